/*
 * hash_ring.h
 *		Consistent hashing of document ids over workers, as gtm does it.
 *
 * A set of workers that are partly gtm processes and partly PostgreSQL must
 * agree on who owns a document, so both of gtm's rings are here, bit for bit.
 * The key of an id is what Go prints of it, and that differs between them too.
 */
#ifndef MT_HASH_RING_H
#define MT_HASH_RING_H

#include "oplog/bson_walk.h"
#include "oplog/byte_buffer.h"

typedef enum MtHashRingKind
{
	MT_HASH_RING_V1,			/* ketama, 120 points a worker */
	MT_HASH_RING_V2				/* one point a worker: it balances badly */
} MtHashRingKind;

typedef struct MtHashRing MtHashRing;

typedef enum MtHashStatus
{
	MT_HASH_OK,
	MT_HASH_EVERY_WORKER,		/* the id is null: it has no single owner */
	MT_HASH_MALFORMED,			/* not BSON, or nested too deeply */
	MT_HASH_OUT_OF_MEMORY
} MtHashStatus;

/* workers are NUL-terminated names, at least one.  NULL when out of memory. */
extern MtHashRing *mt_hash_ring_new(MtHashRingKind kind, const char *const *workers, int n_workers);
extern void mt_hash_ring_free(MtHashRing *ring);

/* Append an id's key string, as that ring's gtm makes it, to key.  Nothing is
 * appended unless the status is MT_HASH_OK. */
extern MtHashStatus mt_hash_ring_key(MtHashRingKind kind, const MtElement *id, MtByteBuffer *key);

/* The owner of a key: an index into the workers. */
extern int	mt_hash_ring_owner(const MtHashRing *ring, MtSlice key);

#endif							/* MT_HASH_RING_H */
