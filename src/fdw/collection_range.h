/*
 * collection_range.h
 *		Ranges of _id that several processes read in turn.
 */
#ifndef MT_COLLECTION_RANGE_H
#define MT_COLLECTION_RANGE_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "base/collection_reader.h"

/*
 * From min on, up to and without max, in MongoDB's order of all its types: each
 * is a document {_id: ...}, or absent (data NULL) where the range is open.  Or
 * what matches a filter, if there is one.
 */
typedef struct MtIdRange
{
	MtSlice		min;
	MtSlice		max;
	MtSlice		filter;
} MtIdRange;

/* In shared memory: which ranges there are, and which have been taken. */
typedef struct MtIdRanges MtIdRanges;

/* Add a path by which several processes share the relation's documents. */
extern void mt_collection_partial_path(PlannerInfo *root, RelOptInfo *baserel);

/*
 * Divide a collection into about n ranges that hold as many documents each, by a
 * sample: what stands between them, a list of MtSlice.
 */
extern List *mt_ranges_divide(const MtCollectionName *name, const MtReadOptions *options, int n);

extern Size mt_ranges_bytes(List *dividers);

extern void mt_ranges_init(MtIdRanges *ranges, List *dividers);

/* Take the next range; false: all have been. */
extern bool mt_ranges_take(MtIdRanges *ranges, MtIdRange *range);

/* Before another pass, while no other process reads. */
extern void mt_ranges_restart(MtIdRanges *ranges);

/* Add what a process has read, or learn what all that have added so far did. */
extern void mt_ranges_add_counts(MtIdRanges *ranges, MtReadCounts counts);
extern MtReadCounts mt_ranges_counts(MtIdRanges *ranges);

#endif							/* MT_COLLECTION_RANGE_H */
