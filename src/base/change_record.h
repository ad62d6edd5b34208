/*
 * change_record.h
 *		A change as a record of a ring, and back.
 */
#ifndef MT_CHANGE_RECORD_H
#define MT_CHANGE_RECORD_H

#include "oplog/byte_buffer.h"
#include "oplog/change.h"
#include "ring/ring.h"

/*
 * Append a change to a ring (visible at the next mt_ring_commit); by reference
 * when it is too large for one record.
 */
extern void mt_change_record_append(MtRing *ring, const MtChange *change);

/* Append the same bytes to a buffer, whatever their size.  False when out of
 * memory. */
extern bool mt_change_record_copy(MtByteBuffer *buffer, const MtChange *change);

/* The change that a copied record holds; its slices point into the record. */
extern void mt_change_record_read(const void *record, MtChange *change);

#endif							/* MT_CHANGE_RECORD_H */
