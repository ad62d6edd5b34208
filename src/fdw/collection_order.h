/*
 * collection_order.h
 *		ORDER BY as sorts of MongoDB's.
 *
 * See the top of collection_order.c for how the order is kept PostgreSQL's.
 */
#ifndef MT_COLLECTION_ORDER_H
#define MT_COLLECTION_ORDER_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "condition/column.h"

/* A plan can carry it: all of it is lists. */
typedef struct MtOrder
{
	List	   *keys;			/* integer lists: index of the column, does it descend? */
	List	   *segments;		/* what is read one after another; see mt_segment_...() */
	List	   *never_null;		/* indexes of columns; a NULL there would stand in the wrong place */
} MtOrder;

extern List *mt_order_to_list(const MtOrder *order);
extern MtOrder *mt_order_from_list(List *list);

/*
 * Of a segment: which documents, of those of the query, by conditions that all
 * hold, or (is_rest) of which none holds; the first of the keys by which they
 * are sorted (those before it are the same for all); and whether it is merged
 * with the segment after it (collection_merge.h).
 */
extern List *mt_segment_conditions(List *segment);
extern bool mt_segment_is_rest(List *segment);
extern int	mt_segment_first_key(List *segment);
extern bool mt_segment_is_merged(List *segment);

/* Of a segment that is a run, the condition that says so, else NIL. */
extern List *mt_segment_run(List *segment);

/* How many of the segments are of values, all of which the first rows may need. */
extern int	mt_order_runs(const MtOrder *order);

/*
 * How to read the table's documents in this order, NULL when MongoDB cannot.
 * conditions, in exact form, hold for all that is read; expressions of new
 * conditions' values are appended to values.
 */
extern MtOrder *mt_order_plan(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionColumn *columns,
							  List *pathkeys, List *conditions, List **values);

/* Does an index give the order without sorting? */
extern bool mt_order_has_index(const MtOrder *order, const MtCollectionColumn *columns, List *indexes);

#endif							/* MT_COLLECTION_ORDER_H */
