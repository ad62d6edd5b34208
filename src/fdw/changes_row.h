/*
 * changes_row.h
 *		One change as a row of a logical table.
 */
#ifndef MT_CHANGES_ROW_H
#define MT_CHANGES_ROW_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"

#include "base/change_reader.h"
#include "fdw/changes_column.h"

typedef struct MtChangesRow MtChangesRow;

/*
 * In the current memory context, which keeps its buffers.  wanted holds the
 * attribute numbers of the columns that are made; the others are NULL.
 */
extern MtChangesRow *mt_changes_row_create(const MtChangesColumn *columns, int n_columns,
										   const Bitmapset *wanted);

/*
 * Store a change in a virtual slot.  Its values stand in the row's buffers and
 * in the current memory context, valid until the next call.
 */
extern void mt_changes_row_store(MtChangesRow *row, const MtChangeRow *change, TupleTableSlot *slot);

#endif							/* MT_CHANGES_ROW_H */
