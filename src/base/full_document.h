/*
 * full_document.h
 *		The full documents of updates, looked up in batches.
 *
 * Changes wait in a queue, as records in oplog order.  Whoever takes them out
 * asks here for each one's document, and the first update that has none yet
 * makes the look-up of all that follow it in the queue, as far as memory
 * allows.
 *
 * A document shows the present, at least as new as the change: read concern
 * majority, after the newest change of its batch.
 */
#ifndef MT_FULL_DOCUMENT_H
#define MT_FULL_DOCUMENT_H

#include "port/atomics.h"

#include "base/options.h"
#include "mongo/connection.h"
#include "oplog/byte_buffer.h"
#include "oplog/change.h"

/* A queue longer than this should be taken out before more is put in. */
#define MT_LOOKUP_QUEUE_BYTES (4 * 1024 * 1024)

typedef struct MtFullDocuments MtFullDocuments;

/*
 * In the current memory context, with connections of its own as the given
 * user.  Documents looked up are counted in *lookups unless that is NULL.
 * Throws as mt_remote_open does; no I/O yet.
 */
extern MtFullDocuments *mt_full_documents_new(Oid serverid, Oid userid,
											  const MtServerOptions *server,
											  pg_atomic_uint64 *lookups);

/*
 * Give the change, read from the record at offset of queue, its full document:
 * flag MT_CHANGE_LOOKED_UP, and no document when there is none any more.
 * Changes other than updates are left as they are.  The slice is valid until
 * the next call.  False with error filled when MongoDB cannot be asked; nothing
 * is lost by asking again.  Does not throw.
 */
extern bool mt_full_documents_fill(MtFullDocuments *documents, const MtByteBuffer *queue,
								   size_t offset, MtChange *change, MtMongoError *error);

/* Give back what large documents have left behind; what was handed out is
 * gone. */
extern void mt_full_documents_shrink(MtFullDocuments *documents);

#endif							/* MT_FULL_DOCUMENT_H */
