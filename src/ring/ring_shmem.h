/*
 * ring_shmem.h
 *		Rings in PostgreSQL's dynamic shared memory.
 *
 * A ring's segment is pinned: it outlives the tailer that made it, so that a
 * tailer that was restarted goes on in the same ring, and ends with
 * mt_ring_shmem_drop or with the postmaster.  A process maps a segment once
 * and keeps it until it maps another in its place.
 */
#ifndef MT_RING_SHMEM_H
#define MT_RING_SHMEM_H

#include "storage/dsm.h"

#include "ring/ring.h"

/* The next power of two of at least 4096 that holds bytes. */
extern uint64 mt_ring_shmem_round(int64 bytes);

/* Make a ring in a new pinned segment, and map it as attach does. */
extern MtRing *mt_ring_shmem_create(int key, uint64 data_bytes, dsm_handle *handle);

/* Map a ring, NULL when the segment is gone.  key is any number below the
 * number of slots: one mapping is kept for each. */
extern MtRing *mt_ring_shmem_attach(int key, dsm_handle handle);

/* Unpin: the memory goes when the last process that maps it lets go. */
extern void mt_ring_shmem_drop(dsm_handle handle);

#endif							/* MT_RING_SHMEM_H */
