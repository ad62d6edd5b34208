/*
 * changes_column.h
 *		The columns of a logical table: what each one shows of a change.
 */
#ifndef MT_CHANGES_COLUMN_H
#define MT_CHANGES_COLUMN_H

#include "postgres.h"

#include "utils/relcache.h"

#include "base/change_row.h"
#include "base/options.h"
#include "convert/bson_to_datum.h"

typedef enum MtChangesColumnKind
{
	MT_CHANGES_DROPPED,
	MT_CHANGES_ROW,				/* a column of mongo_tail.changes() */
	MT_CHANGES_SECOND,			/* cluster_time as timestamptz */
	MT_CHANGES_TOUCHED,			/* changed_columns */
	MT_CHANGES_BSON,			/* full_document_bson */
	MT_CHANGES_FIELD			/* a field of the document */
} MtChangesColumnKind;

typedef struct MtChangesColumn
{
	MtChangesColumnKind kind;
	MtChangeColumn row;			/* ROW and SECOND */
	char	   *name;
	char	   *field;			/* FIELD: dotted path, or "$" for the whole document */
	Oid			type;
	int32		typmod;
	bool		null_on_mismatch;
} MtChangesColumn;

/*
 * The columns of a logical table, one for each attribute, in the current
 * memory context.  Throws 42804 with a hint for one that is named like a
 * column of changes() and has another type, 0A000 for a type that no BSON has.
 */
extern MtChangesColumn *mt_changes_columns(Relation relation, const MtTableOptions *table);

/* What a FIELD column converts to. */
extern MtColumnTarget mt_changes_column_target(const MtChangesColumn *column);

#endif							/* MT_CHANGES_COLUMN_H */
