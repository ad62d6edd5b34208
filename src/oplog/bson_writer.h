/*
 * bson_writer.h
 *		Append BSON to a byte buffer, element by element.
 *
 * The first failure sticks: from then on nothing is written, and the status
 * says why.  So callers may write a whole level and look once; a loop whose
 * length is not bounded by its input looks at every turn.  The limit is
 * checked before any byte is written or allocated.
 */
#ifndef MT_BSON_WRITER_H
#define MT_BSON_WRITER_H

#include "oplog/bson_path.h"
#include "oplog/document_diff.h"

typedef struct MtBsonWriter
{
	MtByteBuffer *buffer;
	size_t		start;			/* of what this writer wrote */
	size_t		limit_bytes;	/* what it may write at most */
	MtDiffStatus status;
} MtBsonWriter;

static inline void
mt_writer_begin(MtBsonWriter *writer, MtByteBuffer *buffer, size_t limit_bytes)
{
	writer->buffer = buffer;
	writer->start = buffer->len;
	writer->limit_bytes = limit_bytes;
	writer->status = MT_DIFF_OK;
}

/* The final status; takes back what was written unless it is MT_DIFF_OK. */
static inline MtDiffStatus
mt_writer_end(MtBsonWriter *writer)
{
	if (writer->status != MT_DIFF_OK)
		writer->buffer->len = writer->start;
	return writer->status;
}

static inline void
mt_writer_fail(MtBsonWriter *writer, MtDiffStatus status)
{
	if (writer->status == MT_DIFF_OK)
		writer->status = status;
}

static inline size_t
mt_writer_bytes_left(const MtBsonWriter *writer)
{
	return writer->limit_bytes - (writer->buffer->len - writer->start);
}

static inline void
mt_writer_bytes(MtBsonWriter *writer, const void *bytes, size_t len)
{
	if (writer->status != MT_DIFF_OK)
		return;
	if (len > mt_writer_bytes_left(writer))
		writer->status = MT_DIFF_TOO_LARGE;
	else if (!mt_byte_buffer_append(writer->buffer, bytes, len))
		writer->status = MT_DIFF_OUT_OF_MEMORY;
}

static inline void
mt_writer_slice(MtBsonWriter *writer, MtSlice slice)
{
	mt_writer_bytes(writer, slice.data, slice.len);
}

static inline void
mt_store_le32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t) v;
	p[1] = (uint8_t) (v >> 8);
	p[2] = (uint8_t) (v >> 16);
	p[3] = (uint8_t) (v >> 24);
}

static inline void
mt_writer_le32(MtBsonWriter *writer, uint32_t v)
{
	uint8_t		bytes[4];

	mt_store_le32(bytes, v);
	mt_writer_bytes(writer, bytes, sizeof bytes);
}

/* Type byte, name and NUL; the value follows. */
static inline void
mt_writer_name(MtBsonWriter *writer, uint8_t type, MtSlice name)
{
	mt_writer_bytes(writer, &type, 1);
	mt_writer_slice(writer, name);
	mt_writer_bytes(writer, "", 1);
}

static inline void
mt_writer_element(MtBsonWriter *writer, const MtElement *element)
{
	mt_writer_slice(writer, mt_element_bytes(element));
}

/* The element's type and value under another name. */
static inline void
mt_writer_element_as(MtBsonWriter *writer, MtSlice name, const MtElement *element)
{
	mt_writer_name(writer, element->type, name);
	mt_writer_slice(writer, mt_element_value(element));
}

/* Begin a document or array as a value; returns what ends it. */
static inline size_t
mt_writer_begin_document(MtBsonWriter *writer)
{
	size_t		offset = writer->buffer->len;

	mt_writer_le32(writer, 0);
	return offset;
}

static inline void
mt_writer_end_document(MtBsonWriter *writer, size_t offset)
{
	mt_writer_bytes(writer, "", 1);
	if (writer->status == MT_DIFF_OK)
		mt_store_le32(writer->buffer->data + offset, (uint32_t) (writer->buffer->len - offset));
}

static inline MtSlice
mt_slice_of(const char *text, uint32_t len)
{
	MtSlice		s = {(const uint8_t *) text, len};

	return s;
}

static inline MtSlice
mt_element_name(const MtElement *element)
{
	return mt_slice_of(element->name, element->name_len);
}

#endif							/* MT_BSON_WRITER_H */
