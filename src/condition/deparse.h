/*
 * deparse.h
 *		Conditions and the values of a moment as the filter of a find.
 */
#ifndef MT_CONDITION_DEPARSE_H
#define MT_CONDITION_DEPARSE_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "condition/column.h"

/* A value that a condition compares with. */
typedef struct MtFilterValue
{
	Datum		datum;
	bool		isnull;
	const char *unknown;		/* not known yet: what EXPLAIN shows for it; NULL: known */
} MtFilterValue;

typedef struct MtFilter
{
	MtSlice		document;
	bool		is_empty_set;	/* no document can match: nothing need be asked */
	bool		compares_text;	/* so the collation must be the simple one */
} MtFilter;

/*
 * All of the conditions, in the current memory context.  False: one that must be
 * exact is too long, and left out, at least.
 */
extern bool mt_collection_try_filter(const MtCollectionColumn *columns, List *conditions,
									 const MtFilterValue *values, MtFilter *filter);

/* The same, but that is an error. */
extern MtFilter mt_collection_filter(const MtCollectionColumn *columns, List *conditions,
									 const MtFilterValue *values);

/* A condition in the form of an expression, as one; false: it would be too long. */
extern bool mt_collection_expression(const MtCollectionColumn *columns, List *condition,
									 const MtFilterValue *values, MtFilter *expression);

#endif							/* MT_CONDITION_DEPARSE_H */
