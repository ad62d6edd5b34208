/*
 * collection_plan.c
 *		Planning a scan of a collection.
 *
 * Every clause stays in the plan and is checked here; what the planner decides
 * is which of them help MongoDB to send fewer documents (collection_shippable)
 * and whose rows, when a join gives a value for a column, to ask for one at a
 * time.
 *
 * What options and settings enable_... switch off is left to PostgreSQL: the
 * answers are the same, which the tests compare.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_shippable.h"
#include "fdw/plan_shared.h"

/* A collection whose size MongoDB does not tell. */
#define DEFAULT_DOCUMENTS	1000.0

/* A find: two ways over the network, in the planner's units. */
#define FIND_COST			10.0
/* Fetching a document and making its columns, in units of cpu_tuple_cost. */
#define FETCH_COST_FACTOR	4.0
/* Looking at a document in MongoDB that is not sent, in the same. */
#define LOOK_COST_FACTOR	0.5

typedef struct CollectionPlan
{
	MtCollectionColumn *columns;
	MtPushdown	pushdown;
} CollectionPlan;

static List *
ship(PlannerInfo *root, RelOptInfo *baserel, Expr *clause, List **values)
{
	CollectionPlan *plan = baserel->fdw_private;

	if (!plan->pushdown.filter)
		return NIL;
	return mt_collection_ship(root, baserel->relid, plan->columns, clause, values);
}

void
mt_collection_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table)
{
	CollectionPlan *plan = palloc0(sizeof *plan);
	Relation	relation = table_open(relid, NoLock);
	Oid			userid = OidIsValid(baserel->userid) ? baserel->userid : GetUserId();
	double		documents;

	plan->columns = mt_collection_columns(relation, table);
	plan->pushdown = mt_options_pushdown(table);
	documents = mt_collection_estimate(mt_collection_name(relation, table, userid), relid);
	table_close(relation, NoLock);
	baserel->fdw_private = plan;
	baserel->tuples = documents >= 0 ? documents : DEFAULT_DOCUMENTS;
	set_baserel_size_estimates(root, baserel);
}

/* ---- paths ---- */

/* Is the condition one that the index of _id answers? */
static bool
is_id_lookup(const CollectionPlan *plan, List *condition)
{
	MtLeaf		leaf;

	if (!IsA(condition, IntList))
		return false;
	leaf = mt_condition_leaf(condition);
	return strcmp(plan->columns[leaf.column].path, "_id") == 0 &&
		(leaf.kind == MT_CONDITION_ANY ||
		 (leaf.kind == MT_CONDITION_COMPARE && leaf.strategy == BTEqualStrategyNumber));
}

/* The documents that are sent under these clauses, and those that MongoDB looks at. */
static void
documents_read(PlannerInfo *root, RelOptInfo *baserel, List *clauses, double *sent, double *looked_at)
{
	List	   *pushed = NIL;
	List	   *values = NIL;
	bool		by_id = false;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		List	   *condition = ship(root, baserel, clause->clause, &values);

		if (condition == NIL)
			continue;
		pushed = lappend(pushed, clause);
		by_id |= is_id_lookup(baserel->fdw_private, condition);
	}
	*sent = clamp_row_est(baserel->tuples *
						  clauselist_selectivity(root, pushed, (int) baserel->relid, JOIN_INNER, NULL));
	*looked_at = by_id ? 1 : baserel->tuples;
	if (by_id)
		*sent = 1;
}

static void
add_find_path(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info)
{
	List	   *clauses = baserel->baserestrictinfo;
	double		rows = baserel->rows;
	double		sent;
	double		looked_at;
	Cost		total;

	if (param_info != NULL)
	{
		clauses = list_concat_copy(clauses, param_info->ppi_clauses);
		rows = param_info->ppi_rows;
	}
	documents_read(root, baserel, clauses, &sent, &looked_at);
	total = FIND_COST + baserel->baserestrictcost.startup +
		looked_at * LOOK_COST_FACTOR * cpu_tuple_cost +
		sent * (FETCH_COST_FACTOR * cpu_tuple_cost + baserel->baserestrictcost.per_tuple) +
		rows * baserel->reltarget->cost.per_tuple;
	add_path(baserel, (Path *) mt_compat_foreignscan_path(root, baserel, rows, FIND_COST, total, NIL,
														   param_info ? param_info->ppi_req_outer : NULL));
}

/* ec_matches_callback: an equality on a column that can be sent? */
static bool
is_sent_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *member, void *arg)
{
	CollectionPlan *plan = rel->fdw_private;
	Node	   *node = (Node *) member->em_expr;
	Var		   *var;

	(void) root;
	(void) ec;
	(void) arg;
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	return IsA(node, Var) && var->varno == (int) rel->relid && var->varattno > 0 &&
		mt_collection_ships_equality(&plan->columns[var->varattno - 1]);
}

/* The join clauses that become conditions once the other tables' rows are given. */
static List *
sent_join_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *clauses = NIL;
	List	   *values = NIL;
	List	   *candidates = list_copy(baserel->joininfo);
	ListCell   *cell;

	if (baserel->has_eclass_joins)
		candidates = list_concat(candidates,
								 generate_implied_equalities_for_column(root, baserel, is_sent_member, NULL,
																		baserel->lateral_referencers));
	foreach(cell, candidates)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);

		if (join_clause_is_movable_to(clause, baserel) &&
			ship(root, baserel, clause->clause, &values) != NIL)
			clauses = lappend(clauses, clause);
	}
	return clauses;
}

void
mt_collection_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *outers = NIL;	/* of Relids */
	ListCell   *cell;
	Relids		lateral = baserel->lateral_relids;

	if (bms_is_empty(lateral))
		add_find_path(root, baserel, NULL);
	else
		outers = list_make1(lateral);
	foreach(cell, sent_join_clauses(root, baserel))
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		Relids		outer = bms_union(clause->clause_relids, lateral);
		ListCell   *known;
		bool		is_known = false;

		outer = bms_del_member(outer, (int) baserel->relid);
		foreach(known, outers)
			is_known |= bms_equal(lfirst(known), outer);
		if (!is_known && !bms_is_empty(outer))
			outers = lappend(outers, outer);
	}
	foreach(cell, outers)
		add_find_path(root, baserel, get_baserel_parampathinfo(root, baserel, lfirst(cell)));
}

/* ---- the plan ---- */

ForeignScan *
mt_collection_plan(PlannerInfo *root, RelOptInfo *baserel, List *tlist, List *scan_clauses, Plan *outer_plan)
{
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	List	   *conditions = NIL;
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		List	   *condition = ship(root, baserel, lfirst(cell), &values);

		if (condition != NIL)
			conditions = lappend(conditions, condition);
	}
	return make_foreignscan(tlist, clauses, baserel->relid, values,
							list_make2(conditions, mt_plan_wanted_attributes(baserel, clauses)), NIL, NIL, outer_plan);
}

List *
mt_collection_plan_conditions(const ForeignScan *plan)
{
	return linitial(plan->fdw_private);
}

Bitmapset *
mt_collection_plan_attributes(const ForeignScan *plan, int n_attributes)
{
	Bitmapset  *attributes = NULL;
	ListCell   *cell;

	foreach(cell, (List *) lsecond(plan->fdw_private))
	{
		if (lfirst_int(cell) == 0)
			return n_attributes > 0 ? bms_add_range(NULL, 1, n_attributes) : NULL;
		attributes = bms_add_member(attributes, lfirst_int(cell));
	}
	return attributes;
}
