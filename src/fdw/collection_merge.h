/*
 * collection_merge.h
 *		Two sorted finds read as one, in the order of the first key.
 */
#ifndef MT_COLLECTION_MERGE_H
#define MT_COLLECTION_MERGE_H

#include "postgres.h"

#include "base/collection_reader.h"
#include "fdw/collection_order.h"

typedef struct MtRunMerge MtRunMerge;

/* In the current memory context; all that is given must live as long. */
extern MtRunMerge *mt_merge_create(const MtOrder *order, const MtCollectionColumn *columns);

/* Read from these two, whose commands have been run. */
extern void mt_merge_begin(MtRunMerge *merge, MtCollectionReader *first, MtCollectionReader *second);

/* The next document, valid until the next call; false: no more. */
extern bool mt_merge_next(MtRunMerge *merge, MtSlice *document);

/* Has a document been equal in the first key to one of the other find, so that
 * further keys, which are not compared, might have to decide? */
extern bool mt_merge_is_ambiguous(const MtRunMerge *merge);

#endif							/* MT_COLLECTION_MERGE_H */
