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
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/collection_cost.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_shippable.h"
#include "fdw/plan_shared.h"
#include "guc.h"

typedef struct CollectionPlan
{
	MtCollectionColumn *columns;
	MtPushdown	pushdown;
	MtCollectionStatistics *statistics;
} CollectionPlan;

static List *
ship(PlannerInfo *root, RelOptInfo *baserel, Expr *clause, List **values)
{
	CollectionPlan *plan = baserel->fdw_private;
	List	   *condition;
	bool		exact;

	if (!plan->pushdown.filter)
		return NIL;
	condition = mt_collection_ship(root, baserel->relid, plan->columns, clause, values, &exact);
	return exact && mt_guc_exact_filters ? mt_condition_exact(condition) : condition;
}

/* Those of the clauses that MongoDB can help with, as a list of MtShippedClause. */
static List *
shipped_clauses(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	List	   *shipped = NIL;
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		List	   *condition = ship(root, baserel, clause->clause, &values);
		MtShippedClause *one;

		if (condition == NIL)
			continue;
		one = palloc(sizeof *one);
		one->clause = clause;
		one->condition = condition;
		shipped = lappend(shipped, one);
	}
	return shipped;
}

void
mt_collection_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table)
{
	CollectionPlan *plan = palloc0(sizeof *plan);
	Relation	relation = table_open(relid, NoLock);
	Oid			userid = OidIsValid(baserel->userid) ? baserel->userid : GetUserId();

	plan->columns = mt_collection_columns(relation, table);
	plan->pushdown = mt_options_pushdown(table);
	plan->statistics = mt_collection_cost_size(root, baserel, plan->columns,
											   mt_collection_name(relation, table, userid), table, relid);
	table_close(relation, NoLock);
	baserel->fdw_private = plan;
	mt_collection_cost_rows(root, baserel, plan->statistics, plan->columns,
							shipped_clauses(root, baserel, baserel->baserestrictinfo));
}
/* ---- paths ---- */

static void
add_find_path(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info)
{
	CollectionPlan *plan = baserel->fdw_private;
	List	   *clauses = baserel->baserestrictinfo;
	MtFindCost	cost;

	if (param_info != NULL)
		clauses = list_concat_copy(clauses, param_info->ppi_clauses);
	cost = mt_collection_cost_find(root, baserel, plan->statistics, plan->columns,
								   shipped_clauses(root, baserel, clauses), param_info);
	add_path(baserel, (Path *) mt_compat_foreignscan_path(root, baserel, cost.rows, cost.startup, cost.total, NIL,
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
	MtCollectionQuery query = {NIL, mt_plan_wanted_attributes(baserel, clauses)};
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		List	   *condition = ship(root, baserel, lfirst(cell), &values);

		if (condition != NIL)
			query.conditions = lappend(query.conditions, condition);
	}
	return make_foreignscan(tlist, clauses, baserel->relid, values, list_make1(mt_query_to_list(&query)),
							NIL, NIL, outer_plan);
}

MtCollectionQuery *
mt_collection_plan_query(const ForeignScan *plan)
{
	return mt_query_from_list(linitial(plan->fdw_private));
}
