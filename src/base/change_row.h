/*
 * change_row.h
 *		A change as the columns that SQL sees.
 *
 * One row shape for changes(), get_changes() and the logical table.  Only the
 * columns asked for are made.
 */
#ifndef MT_CHANGE_ROW_H
#define MT_CHANGE_ROW_H

#include "base/change_reader.h"

/* The columns, in the order of the functions' result. */
typedef enum MtChangeColumn
{
	MT_COLUMN_POSITION,
	MT_COLUMN_CLUSTER_TIME,
	MT_COLUMN_WALL_TIME,
	MT_COLUMN_SHARD,
	MT_COLUMN_OPERATION_TYPE,
	MT_COLUMN_DATABASE,
	MT_COLUMN_COLLECTION,
	MT_COLUMN_DOCUMENT_KEY,
	MT_COLUMN_FULL_DOCUMENT,
	MT_COLUMN_UPDATE_DESCRIPTION,
	MT_COLUMN_TRANSACTION_ID,
	MT_COLUMN_ENTRY_BYTES,
	MT_COLUMN_SOURCE,
	MT_CHANGE_COLUMNS
} MtChangeColumn;

#define MT_ALL_COLUMNS ((1u << MT_CHANGE_COLUMNS) - 1)

typedef struct MtRowBuilder MtRowBuilder;

/* Lives in, and keeps its buffers in, the current memory context. */
extern MtRowBuilder *mt_row_builder_create(void);

/*
 * Fill values and nulls (of MT_CHANGE_COLUMNS entries) for the columns of the
 * mask; the others are NULL.  The values are valid until the next call.
 *
 * full_document is the document of an insert or replace, the one looked up
 * for an update, and for commands and unknown entries the command or entry
 * itself.
 */
extern void mt_row_builder_fill(MtRowBuilder *builder, const MtChangeRow *row, uint32 mask,
								Datum *values, bool *nulls);

/*
 * The full document's BSON, as mt_row_builder_fill shows it as jsonb; absent
 * when there is none.
 */
extern MtSlice mt_change_full_document(const MtChange *change);

#endif							/* MT_CHANGE_ROW_H */
