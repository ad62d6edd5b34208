/*
 * change_record.c
 *		A change as a record of a ring, and back.
 */
#include "postgres.h"

#include "base/change_record.h"

/* The parts of a record: five slices, and two to make a document of a key
 * that is one raw element. */
#define MAX_PARTS (MT_RING_SLICES + 2)

static void
add_part(MtRingPart *parts, int *n, const void *data, size_t len)
{
	if (len == 0)
		return;
	parts[*n].data = data;
	parts[*n].len = len;
	(*n)++;
}

static void
fill_header(MtRingHeader *header, const MtChange *change)
{
	memset(header, 0, sizeof *header);
	header->time = change->cluster_time;
	header->index = change->index;
	header->visible_time = change->visible_time;
	header->wall_ms = change->wall_ms;
	header->entry_bytes = change->entry_bytes;
	header->operation = change->operation;
	header->payload_kind = change->payload_kind;
	header->flags = change->flags;
	header->slice_len[MT_RING_NAMESPACE] = change->namespace.len;
}

/*
 * The parts of a change's record in slice order, and its header's lengths.
 * wrapped_len is room for the length word of a key that is one element.
 */
static int
collect_parts(const MtChange *change, MtRingHeader *header, uint8 *wrapped_len, MtRingPart *parts)
{
	static const uint8 terminator = 0;
	uint32		key_len = change->document_key.len;
	int			n = 0;

	fill_header(header, change);
	add_part(parts, &n, change->namespace.data, change->namespace.len);
	if (change->flags & MT_CHANGE_KEY_ELEMENT)
	{
		key_len += 5;
		header->flags &= ~MT_CHANGE_KEY_ELEMENT;
		wrapped_len[0] = (uint8) key_len;
		wrapped_len[1] = (uint8) (key_len >> 8);
		wrapped_len[2] = (uint8) (key_len >> 16);
		wrapped_len[3] = (uint8) (key_len >> 24);
		add_part(parts, &n, wrapped_len, 4);
		add_part(parts, &n, change->document_key.data, change->document_key.len);
		add_part(parts, &n, &terminator, 1);
	}
	else
		add_part(parts, &n, change->document_key.data, key_len);
	add_part(parts, &n, change->payload.data, change->payload.len);
	add_part(parts, &n, change->full_document.data, change->full_document.len);
	add_part(parts, &n, change->transaction_id.data, change->transaction_id.len);

	header->slice_len[MT_RING_DOCUMENT_KEY] = key_len;
	header->slice_len[MT_RING_PAYLOAD] = change->payload.len;
	header->slice_len[MT_RING_FULL_DOCUMENT] = change->full_document.len;
	header->slice_len[MT_RING_TRANSACTION_ID] = change->transaction_id.len;
	return n;
}

/* Only what is needed to find the change in the oplog again. */
static void
append_reference(MtRing *ring, const MtChange *change)
{
	MtRingHeader header;
	MtRingPart	part;

	fill_header(&header, change);
	header.flags |= MT_CHANGE_BY_REFERENCE;
	part.data = change->namespace.data;
	part.len = change->namespace.len;
	if (!mt_ring_append(ring, &header, &part, 1))
		elog(ERROR, "a ring of " UINT64_FORMAT " bytes does not hold a reference",
			 mt_ring_data_bytes(ring));
}

void
mt_change_record_append(MtRing *ring, const MtChange *change)
{
	MtRingHeader header;
	MtRingPart	parts[MAX_PARTS];
	uint8		wrapped_len[4];
	int			n = collect_parts(change, &header, wrapped_len, parts);

	if (!mt_ring_append(ring, &header, parts, n))
		append_reference(ring, change);
}

bool
mt_change_record_copy(MtByteBuffer *buffer, const MtChange *change)
{
	MtRingHeader header;
	MtRingPart	parts[MAX_PARTS];
	uint8		wrapped_len[4];
	int			n = collect_parts(change, &header, wrapped_len, parts);
	size_t		length = sizeof header;

	for (int i = 0; i < n; i++)
		length += parts[i].len;
	header.length = (uint32) TYPEALIGN(8, length);
	if (!mt_byte_buffer_reserve(buffer, header.length))
		return false;
	mt_byte_buffer_append(buffer, &header, sizeof header);
	for (int i = 0; i < n; i++)
		mt_byte_buffer_append(buffer, parts[i].data, parts[i].len);
	buffer->len += header.length - length;
	return true;
}

void
mt_change_record_read(const void *record, MtChange *change)
{
	MtRingHeader header;
	const uint8 *p = (const uint8 *) record + sizeof header;
	MtSlice    *slices[MT_RING_SLICES];

	memcpy(&header, record, sizeof header);
	memset(change, 0, sizeof *change);
	change->cluster_time = header.time;
	change->visible_time = header.visible_time;
	change->index = header.index;
	change->operation = header.operation;
	change->payload_kind = header.payload_kind;
	change->flags = header.flags;
	change->wall_ms = header.wall_ms;
	change->entry_bytes = header.entry_bytes;
	slices[MT_RING_NAMESPACE] = &change->namespace;
	slices[MT_RING_DOCUMENT_KEY] = &change->document_key;
	slices[MT_RING_PAYLOAD] = &change->payload;
	slices[MT_RING_FULL_DOCUMENT] = &change->full_document;
	slices[MT_RING_TRANSACTION_ID] = &change->transaction_id;
	for (int i = 0; i < MT_RING_SLICES; i++)
	{
		slices[i]->data = header.slice_len[i] > 0 ? p : NULL;
		slices[i]->len = header.slice_len[i];
		p += header.slice_len[i];
	}
}
