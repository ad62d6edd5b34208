/*
 * collection_row.h
 *		One document as a row of a collection's table.
 */
#ifndef MT_COLLECTION_ROW_H
#define MT_COLLECTION_ROW_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"

#include "condition/column.h"

typedef struct MtCollectionRow MtCollectionRow;

/* In the current memory context; all that is given must live as long. */
extern MtCollectionRow *mt_collection_row_create(const MtCollectionColumn *columns, int n_columns,
												 const Bitmapset *wanted, const MtCollectionName *name);

/*
 * A join's row: each column is of the document of some collection that stands in
 * a field of the joined one, here in the field root.
 */
extern void mt_collection_row_set_root(MtCollectionRow *row, const char *root, const MtCollectionName *name);

/* Store the document's row in the slot.  Values are in the current memory
 * context, or valid until the next call. */
extern void mt_collection_row_store(MtCollectionRow *row, MtSlice document, TupleTableSlot *slot);

#endif							/* MT_COLLECTION_ROW_H */
