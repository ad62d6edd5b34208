/*
 * collection_group.h
 *		Aggregates and GROUP BY as a $group of MongoDB's: what is asked for, and
 *		its results as rows.
 *
 * See the top of collection_group.c for how the answer is kept right.
 */
#ifndef MT_COLLECTION_GROUP_H
#define MT_COLLECTION_GROUP_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "condition/column.h"
#include "condition/deparse.h"

/* What a column of the result is. */
typedef enum MtOutputKind
{
	MT_OUTPUT_KEY,
	MT_OUTPUT_COUNT_ALL,
	MT_OUTPUT_COUNT,
	MT_OUTPUT_SUM,
	MT_OUTPUT_AVG,
	MT_OUTPUT_MIN,				/* bool_and, too */
	MT_OUTPUT_MAX				/* bool_or, too */
} MtOutputKind;

/* What must be known of a column that is aggregated: accumulators. */
#define MT_NEED_SUM		1
#define MT_NEED_AVG		2
#define MT_NEED_COUNT	4		/* of values that are not NULL */
#define MT_NEED_RANGE	8		/* the least and the greatest value */
#define MT_NEED_SOME	16		/* whether there are values: a sum that is not 0, or a range */
#define MT_NEED_ALL		32		/* that no document is without, and so all values */

/* A plan can carry it: all of it is lists. */
typedef struct MtGrouping
{
	List	   *keys;			/* indexes of columns */
	List	   *arguments;		/* what is aggregated: integer lists, see MtGroupArgument */
	List	   *filters;		/* conditions in the form of expressions */
	List	   *outputs;		/* integer lists of MtOutputKind and index in keys or arguments */
	bool		is_one_row;		/* no GROUP BY: a row even when there is no document */
	bool		is_distinct;	/* the only argument counts as often as it has values */
} MtGrouping;

/* A column, or documents as such, and which of them. */
typedef struct MtGroupArgument
{
	int			column;			/* index; -1: none, documents are counted */
	int			needs;
	int			filter;			/* index in filters; -1: all */
} MtGroupArgument;

extern MtGroupArgument mt_group_argument(const MtGrouping *grouping, int i);

extern List *mt_grouping_to_list(const MtGrouping *grouping);
extern MtGrouping *mt_grouping_from_list(List *list);

/* Can documents be grouped by the column? */
extern bool mt_group_takes_key(const MtCollectionColumn *column);

/*
 * What must be known for an aggregate over the column; 0: it cannot be had.
 * is_full: probably all rows have a value, and no group of them adds up to 0,
 * which is then proven for less, or asked for again.
 */
extern int	mt_group_needs(const MtCollectionColumn *column, MtOutputKind kind, bool is_full);

/* An output over a column, or over what the argument says: registers it among keys or arguments. */
extern void mt_grouping_add_key(MtGrouping *grouping, int column);
extern void mt_grouping_add_count_all(MtGrouping *grouping);
extern void mt_grouping_add(MtGrouping *grouping, MtOutputKind kind, MtGroupArgument argument);

/*
 * Write the $group, or two of them, as elements of a pipeline, of which *n are
 * there already; values are those of the filters.  is_precise: the slower way,
 * which leaves nothing unknown.  *compares_text is set when they compare strings.
 * False: they would be too long, and are not whole.
 */
extern bool mt_group_build(StringInfo buffer, int *n, const MtGrouping *grouping, const MtCollectionColumn *columns,
						   const MtFilterValue *values, bool is_precise, bool *compares_text);

/* ---- results ---- */

typedef struct MtGroupReader MtGroupReader;

typedef enum MtGroupVerdict
{
	MT_GROUP_GOOD,				/* the row is what PostgreSQL would have made */
	MT_GROUP_UNKNOWN,			/* it may be something else: ask MongoDB precisely */
	MT_GROUP_ODD				/* the same, and MongoDB cannot tell */
} MtGroupVerdict;

/* In the current memory context; all that is given must live as long. */
extern MtGroupReader *mt_group_reader_create(const MtGrouping *grouping, const MtCollectionColumn *columns,
											 const MtCollectionName *name);

/* Begin another pass over results. */
extern void mt_group_reader_reset(MtGroupReader *reader);

/* Store one result as a row; only MT_GROUP_GOOD leaves one.  Values are in the
 * current memory context, or valid until the next call. */
extern MtGroupVerdict mt_group_reader_store(MtGroupReader *reader, MtSlice document, TupleTableSlot *slot);

/* The row of no documents at all. */
extern void mt_group_reader_store_empty(MtGroupReader *reader, TupleTableSlot *slot);

#endif							/* MT_COLLECTION_GROUP_H */
