/*
 * lookup_queue.h
 *		Changes on their way, in order, past the look-up of full documents.
 *
 * What stands between an oplog stream and a ring when a tail looks documents
 * up.  A change passes at once unless an update is before it; an update, and
 * what follows it, waits until it is flushed, or the queue is full.
 */
#ifndef MT_LOOKUP_QUEUE_H
#define MT_LOOKUP_QUEUE_H

#include "base/full_document.h"
#include "oplog/oplog_transaction.h"

typedef struct MtLookupQueue MtLookupQueue;

/*
 * In front of emit, which must not fail.  The rest is as with
 * mt_full_documents_new.
 */
extern MtLookupQueue *mt_lookup_queue_new(Oid serverid, Oid userid, const MtServerOptions *server,
										  pg_atomic_uint64 *lookups, MtEmitChange emit);

/* MtEmitChange, its context the queue; false when mt_lookup_queue_error says why. */
extern bool mt_lookup_queue_emit(void *queue, const MtChange *change);

/* Look up and emit all that waits.  False on an error; then what was not
 * emitted waits still. */
extern bool mt_lookup_queue_flush(MtLookupQueue *queue);

extern const MtMongoError *mt_lookup_queue_error(const MtLookupQueue *queue);

/* Of a stream that was scanned to this time: up to when has all been emitted? */
extern uint64 mt_lookup_queue_emitted_to(const MtLookupQueue *queue, uint64 scanned_to);

/* How long the queue may still wait for more to look up; 0: flush it. */
extern int	mt_lookup_queue_wait_left(const MtLookupQueue *queue);

#endif							/* MT_LOOKUP_QUEUE_H */
