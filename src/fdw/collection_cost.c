/*
 * collection_cost.c
 *		What reading a collection costs, in the planner's units.
 *
 * A find costs a way to MongoDB and back, what MongoDB looks at, and what it
 * sends.  Only the last two depend on the filter.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

#include "base/collection_reader.h"
#include "fdw/collection_cost.h"
#include "fdw/collection_shippable.h"

/* A collection whose size MongoDB does not tell. */
#define DEFAULT_DOCUMENTS	1000.0

/* A find: two ways over the network, in the planner's units. */
#define FIND_COST			10.0
/* Fetching a document and making its columns, in units of cpu_tuple_cost. */
#define FETCH_COST_FACTOR	4.0
/* Looking at a document in MongoDB that is not sent, in the same. */
#define LOOK_COST_FACTOR	0.5

struct MtCollectionStatistics
{
	double		documents;		/* -1: not known */
};

MtCollectionStatistics *
mt_collection_cost_size(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionName *name, Oid relid)
{
	MtCollectionStatistics *statistics = palloc0(sizeof *statistics);

	statistics->documents = mt_collection_estimate(name, relid);
	baserel->tuples = statistics->documents >= 0 ? statistics->documents : DEFAULT_DOCUMENTS;
	set_baserel_size_estimates(root, baserel);
	return statistics;
}

/* Is the condition one that the index of _id answers? */
static bool
is_id_lookup(const MtCollectionColumn *columns, List *condition)
{
	MtLeaf		leaf;

	if (!IsA(condition, IntList))
		return false;
	leaf = mt_condition_leaf(condition);
	return strcmp(columns[leaf.column].path, "_id") == 0 &&
		(leaf.kind == MT_CONDITION_ANY ||
		 (leaf.kind == MT_CONDITION_COMPARE && leaf.strategy == BTEqualStrategyNumber));
}

/* The documents that MongoDB sends under these clauses, and those that it looks at. */
static void
documents_read(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionColumn *columns, List *shipped,
			   double *sent, double *looked_at)
{
	List	   *clauses = NIL;
	bool		by_id = false;
	ListCell   *cell;

	foreach(cell, shipped)
	{
		MtShippedClause *one = lfirst(cell);

		clauses = lappend(clauses, one->clause);
		by_id |= is_id_lookup(columns, one->condition);
	}
	*sent = clamp_row_est(baserel->tuples *
						  clauselist_selectivity(root, clauses, (int) baserel->relid, JOIN_INNER, NULL));
	*looked_at = by_id ? 1 : baserel->tuples;
	if (by_id)
		*sent = 1;
}

MtFindCost
mt_collection_cost_find(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionStatistics *statistics,
						const MtCollectionColumn *columns, List *shipped, ParamPathInfo *param_info)
{
	MtFindCost	cost;
	double		looked_at;

	(void) statistics;
	cost.rows = param_info != NULL ? param_info->ppi_rows : baserel->rows;
	documents_read(root, baserel, columns, shipped, &cost.documents, &looked_at);
	cost.startup = FIND_COST + baserel->baserestrictcost.startup;
	cost.total = cost.startup +
		looked_at * LOOK_COST_FACTOR * cpu_tuple_cost +
		cost.documents * (FETCH_COST_FACTOR * cpu_tuple_cost + baserel->baserestrictcost.per_tuple) +
		cost.rows * baserel->reltarget->cost.per_tuple;
	return cost;
}
