/*
 * collection_index.h
 *		Which index MongoDB would use for a find, and how much of the collection
 *		it would look at then.
 */
#ifndef MT_COLLECTION_INDEX_H
#define MT_COLLECTION_INDEX_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "base/collection_facts.h"
#include "condition/column.h"

/* A clause that MongoDB can help with. */
typedef struct MtShippedClause
{
	RestrictInfo *clause;
	List	   *condition;		/* see condition/shippable.h */
	List	   *values;			/* expressions of its values, and perhaps of others' behind them */
} MtShippedClause;

typedef struct MtIndexUse
{
	bool		is_used;
	double		fraction;		/* of the documents, that are fetched by the index */
	bool		finds_one;		/* a unique index, all of whose fields are given */
} MtIndexUse;

/* For a find whose filter is made of the shipped clauses (a list of MtShippedClause). */
extern MtIndexUse mt_index_use(PlannerInfo *root, RelOptInfo *baserel, List *indexes,
							   const MtCollectionColumn *columns, List *shipped);

/*
 * Let the planner estimate as if the columns of unique indexes of one field
 * were unique here.  It is told as an index that is neither there nor enforced
 * at once, so nothing but estimates comes of it.
 */
extern void mt_index_show_unique(RelOptInfo *baserel, List *indexes, const MtCollectionColumn *columns);

#endif							/* MT_COLLECTION_INDEX_H */
