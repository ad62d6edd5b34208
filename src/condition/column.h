/*
 * column.h
 *		The columns of a collection's table: what each one reads of a document,
 *		and how its values may be compared in MongoDB.
 */
#ifndef MT_CONDITION_COLUMN_H
#define MT_CONDITION_COLUMN_H

#include "postgres.h"

#include "utils/relcache.h"

#include "base/collection_reader.h"
#include "base/options.h"
#include "convert/bson_to_datum.h"

/* What the values of a column are to MongoDB. */
typedef enum MtCompareClass
{
	MT_COMPARE_NONE,			/* what no condition is sent for, but IS [NOT] NULL */
	MT_COMPARE_INTEGER,
	MT_COMPARE_FLOAT,
	MT_COMPARE_NUMERIC,
	MT_COMPARE_TEXT,
	MT_COMPARE_BPCHAR,
	MT_COMPARE_ENUM,
	MT_COMPARE_BOOL,
	MT_COMPARE_TIMESTAMP,
	MT_COMPARE_DATE,
	MT_COMPARE_UUID,
	MT_COMPARE_OBJECTID,
	MT_COMPARE_BYTES			/* bytea */
} MtCompareClass;

/* Does MongoDB compare strings for it? */
extern bool mt_class_is_text(MtCompareClass class);

typedef struct MtCollectionColumn
{
	char	   *name;			/* NULL: dropped */
	char	   *path;			/* dotted, in UTF-8 */
	Oid			type;
	int32		typmod;
	bool		null_on_mismatch;
	bool		is_whole;		/* "$": the document itself */
	bool		has_index;		/* one of them, after the first, looks like an array's index */
	bool		is_sendable;	/* the path means in a filter what it means here */
	int			root_len;		/* the part of the path that leads to the document: that of a join's; else 0 */
	Oid			base_type;
	int32		base_typmod;
	MtCompareClass class;
	Oid			element_type;	/* of an array: the base type of its elements */
	MtCompareClass element_class;
} MtCollectionColumn;

/* One for each attribute, in the current memory context. */
extern MtCollectionColumn *mt_collection_columns(Relation relation, const MtTableOptions *table);

/* Does a projection of the path give what the column reads? */
extern bool mt_column_can_be_projected(const MtCollectionColumn *column);

/* A column of a document that stands in another one, in its field root. */
extern MtCollectionColumn mt_column_below(const MtCollectionColumn *column, const char *root);

/* Its path in the document itself. */
extern const char *mt_column_own_path(const MtCollectionColumn *column);

/* A column of an array as if its elements were its values. */
extern MtCollectionColumn mt_column_element(const MtCollectionColumn *column);

/* The collection that a table shows, in the current memory context.  Throws
 * when the table does not say which. */
extern MtCollectionName *mt_collection_name(Relation relation, const MtTableOptions *table, Oid userid);

#endif							/* MT_CONDITION_COLUMN_H */
