/*
 * lookup_queue.c
 *		Changes on their way, in order, past the look-up of full documents.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/change_record.h"
#include "base/lookup_queue.h"

struct MtLookupQueue
{
	MtFullDocuments *documents;
	int			wait_ms;
	MtEmitChange emit;
	MtByteBuffer records;
	size_t		emitted;		/* bytes of them */
	TimestampTz queued_at;		/* when the oldest came */
	MtMongoError error;
};

static void
free_records(void *arg)
{
	MtLookupQueue *queue = arg;

	mt_byte_buffer_free(&queue->records);
}

MtLookupQueue *
mt_lookup_queue_new(Oid serverid, Oid userid, const MtServerOptions *server,
					pg_atomic_uint64 *lookups, MtEmitChange emit)
{
	MtLookupQueue *queue = palloc0(sizeof *queue);
	MemoryContextCallback *callback = palloc0(sizeof *callback);

	queue->documents = mt_full_documents_new(serverid, userid, server, lookups);
	queue->wait_ms = server->lookup_wait_ms;
	queue->emit = emit;
	callback->func = free_records;
	callback->arg = queue;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return queue;
}

bool
mt_lookup_queue_emit(void *context, const MtChange *change)
{
	MtLookupQueue *queue = context;

	if (queue->records.len == 0)
	{
		if (change->operation != MT_OPERATION_UPDATE)
			return queue->emit(NULL, change);
		queue->queued_at = GetCurrentTimestamp();
	}
	if (!mt_change_record_copy(&queue->records, change))
	{
		memset(&queue->error, 0, sizeof queue->error);
		strlcpy(queue->error.message, "out of memory", sizeof queue->error.message);
		return false;
	}
	return queue->records.len < MT_LOOKUP_QUEUE_BYTES || mt_lookup_queue_flush(queue);
}

bool
mt_lookup_queue_flush(MtLookupQueue *queue)
{
	if (queue->records.len == 0)
		return true;
	while (queue->emitted < queue->records.len)
	{
		const uint8 *record = queue->records.data + queue->emitted;
		MtRingHeader header;
		MtChange	change;

		memcpy(&header, record, sizeof header);
		mt_change_record_read(record, &change);
		if (!mt_full_documents_fill(queue->documents, &queue->records, queue->emitted,
									&change, &queue->error))
			return false;
		(void) queue->emit(NULL, &change);
		queue->emitted += header.length;
	}
	queue->records.len = queue->emitted = 0;
	if (queue->records.capacity > MT_LOOKUP_QUEUE_BYTES * 2)
		mt_byte_buffer_free(&queue->records);
	mt_full_documents_shrink(queue->documents);
	return true;
}

const MtMongoError *
mt_lookup_queue_error(const MtLookupQueue *queue)
{
	return &queue->error;
}

uint64
mt_lookup_queue_emitted_to(const MtLookupQueue *queue, uint64 scanned_to)
{
	MtRingHeader next;

	if (queue->emitted >= queue->records.len)
		return scanned_to;
	/* Of the next one's entry some may be out already, but not all. */
	memcpy(&next, queue->records.data + queue->emitted, sizeof next);
	return Min(scanned_to, next.time - 1);
}

int
mt_lookup_queue_wait_left(const MtLookupQueue *queue)
{
	int			waited_ms;

	if (queue->wait_ms == 0 || queue->records.len == 0)
		return 0;
	waited_ms = (int) TimestampDifferenceMilliseconds(queue->queued_at, GetCurrentTimestamp());
	return Max(queue->wait_ms - waited_ms, 0);
}
