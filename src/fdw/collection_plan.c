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
#include "condition/shippable.h"
#include "fdw/collection_cost.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_range.h"
#include "fdw/plan_shared.h"
#include "guc.h"

/* The shortest documents of which fields are picked, on average, and what each
 * field adds to that. */
#define PROJECTION_BYTES	200
#define PROJECTION_FIELD_BYTES 50

static List *
ship(PlannerInfo *root, RelOptInfo *baserel, Expr *clause, List **values)
{
	MtCollectionRel *known = baserel->fdw_private;
	List	   *condition;
	bool		exact;

	if (!known->pushdown.filter)
		return NIL;
	condition = mt_collection_ship(root, baserel->relid, known->columns, clause, values, &exact);
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
		one->values = values;
		shipped = lappend(shipped, one);
	}
	return shipped;
}

void
mt_collection_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table)
{
	MtCollectionRel *known = palloc0(sizeof *known);
	Relation	relation = table_open(relid, NoLock);
	Oid			userid = OidIsValid(baserel->userid) ? baserel->userid : GetUserId();

	known->relid = relid;
	known->table = table;
	known->name = mt_collection_name(relation, table, userid);
	known->columns = mt_collection_columns(relation, table);
	known->pushdown = mt_options_pushdown(table);
	known->has_pipeline = table->pipeline != NULL;
	known->statistics = mt_collection_cost_size(root, baserel, known->columns, known->name, table, relid);
	table_close(relation, NoLock);
	baserel->fdw_private = known;
	mt_collection_cost_rows(root, baserel, known->statistics, known->columns,
							shipped_clauses(root, baserel, baserel->baserestrictinfo));
}

/* ---- paths ---- */

MtFindCost
mt_collection_find_cost(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info)
{
	MtCollectionRel *known = baserel->fdw_private;
	List	   *clauses = baserel->baserestrictinfo;

	if (param_info != NULL)
		clauses = list_concat_copy(clauses, param_info->ppi_clauses);
	return mt_collection_cost_find(root, baserel, known->statistics, known->columns,
								   shipped_clauses(root, baserel, clauses), param_info);
}

static void
add_find_path(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info)
{
	MtFindCost	cost = mt_collection_find_cost(root, baserel, param_info);

	add_path(baserel, (Path *) mt_compat_foreignscan_path(root, baserel, cost.rows, cost.startup, cost.total, NIL,
														   param_info ? param_info->ppi_req_outer : NULL, NIL));
}

/*
 * The documents in the query's order, by an index: for whoever stops early, or
 * merges.  Where there is none of all its keys, the first ones may have one, and
 * an Incremental Sort does the rest.
 */
static void
add_ordered_path(PlannerInfo *root, RelOptInfo *baserel)
{
	MtCollectionRel *known = baserel->fdw_private;
	MtSpecialScan *scan = NULL;
	List	   *pathkeys = NIL;
	MtFindCost	cost;

	for (int n = known->pushdown.sort ? list_length(root->query_pathkeys) : 0; n > 0; n--)
	{
		pathkeys = list_copy_head(root->query_pathkeys, n);
		scan = mt_collection_special_scan(root, baserel, pathkeys, false);
		if (scan != NULL && mt_order_has_index(scan->order, known->columns, known->statistics->indexes))
			break;
		scan = NULL;
	}
	if (scan == NULL)
		return;
	cost = mt_collection_find_cost(root, baserel, NULL);
	add_path(baserel, (Path *) mt_compat_foreignscan_path(root, baserel, cost.rows, cost.startup,
														   cost.total + baserel->tuples * MT_INDEX_FETCH_COST,
														   pathkeys, NULL, list_make1(scan)));
}

/* ec_matches_callback: an equality on a column that can be sent? */
static bool
is_sent_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *member, void *arg)
{
	MtCollectionRel *known = rel->fdw_private;
	Node	   *node = (Node *) member->em_expr;
	Var		   *var;

	(void) root;
	(void) ec;
	(void) arg;
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	return IsA(node, Var) && var->varno == (int) rel->relid && var->varattno > 0 &&
		mt_collection_ships_equality(&known->columns[var->varattno - 1]);
}

/* The join clauses that become conditions once the other tables' rows are given. */
static List *
sent_join_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *clauses = NIL;
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, mt_plan_movable_clauses(root, baserel, is_sent_member))
		if (ship(root, baserel, lfirst_node(RestrictInfo, cell)->clause, &values) != NIL)
			clauses = lappend(clauses, lfirst(cell));
	return clauses;
}

void
mt_collection_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	ListCell   *cell;

	if (bms_is_empty(baserel->lateral_relids))
		add_ordered_path(root, baserel);
	mt_collection_partial_path(root, baserel);
	foreach(cell, mt_plan_outers(baserel, sent_join_clauses(root, baserel)))
		add_find_path(root, baserel, get_baserel_parampathinfo(root, baserel, lfirst(cell)));
}

/* ---- the plan ---- */

bool
mt_collection_ship_exactly(PlannerInfo *root, RelOptInfo *baserel, List **conditions, List **values)
{
	MtCollectionRel *known = baserel->fdw_private;
	ListCell   *cell;

	*conditions = NIL;
	*values = NIL;
	foreach(cell, baserel->baserestrictinfo)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		List	   *condition;
		bool		exact;

		if (clause->pseudoconstant || !known->pushdown.filter)
			return false;
		condition = mt_collection_ship(root, baserel->relid, known->columns, clause->clause, values, &exact);
		if (condition == NIL || !exact)
			return false;
		*conditions = lappend(*conditions, mt_condition_exact(condition));
	}
	return true;
}

/* What the clauses have of conditions, in their exact form if they have one. */
static void
ship_what_can_be(PlannerInfo *root, RelOptInfo *baserel, List **conditions, List **values)
{
	MtCollectionRel *known = baserel->fdw_private;
	ListCell   *cell;

	if (!known->pushdown.filter)
		return;
	foreach(cell, baserel->baserestrictinfo)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		List	   *condition;
		bool		exact;

		if (clause->pseudoconstant)
			continue;
		condition = mt_collection_ship(root, baserel->relid, known->columns, clause->clause, values, &exact);
		if (condition != NIL)
			*conditions = lappend(*conditions, exact ? mt_condition_exact(condition) : condition);
	}
}

MtSpecialScan *
mt_collection_special_scan(PlannerInfo *root, RelOptInfo *baserel, List *pathkeys, bool exactly)
{
	MtCollectionRel *known = baserel->fdw_private;
	MtSpecialScan *scan = palloc0(sizeof *scan);

	if (!exactly)
		ship_what_can_be(root, baserel, &scan->conditions, &scan->values);
	else if (!mt_collection_ship_exactly(root, baserel, &scan->conditions, &scan->values))
		return NULL;
	if (pathkeys == NIL)
		return scan;
	scan->order = mt_order_plan(root, baserel, known->columns, pathkeys, scan->conditions, &scan->values);
	return scan->order != NULL ? scan : NULL;
}

/* The index of an expression among the values, -1 for none. */
static int
add_value(List **values, Node *expression)
{
	if (expression == NULL)
		return -1;
	*values = lappend(*values, expression);
	return list_length(*values) - 1;
}

static void
plan_special(MtCollectionQuery *query, const MtSpecialScan *scan, List **values)
{
	ListCell   *cell;

	query->conditions = scan->conditions;
	query->order = scan->order;
	*values = list_copy(scan->values);
	query->limit = add_value(values, scan->limit);
	query->offset = add_value(values, scan->offset);
	query->skips = scan->skips;
	if (scan->order == NULL || list_member_int(query->attributes, 0))
		return;
	foreach(cell, scan->order->never_null)
		query->attributes = list_append_unique_int(query->attributes, lfirst_int(cell) + 1);
	if (mt_order_runs(scan->order) > 1)
		query->attributes = list_append_unique_int(query->attributes, linitial_int(linitial(scan->order->keys)) + 1);
}

/* MongoDB makes each document anew then, which costs it more than sending a short one whole. */
bool
mt_collection_pays_to_project(double document_bytes, int n_fields)
{
	return document_bytes >= PROJECTION_BYTES + PROJECTION_FIELD_BYTES * n_fields;
}

/* Does it pay to let MongoDB pick the fields, and can it? */
static bool
pays_to_project(const MtCollectionRel *known, const MtCollectionQuery *query)
{
	ListCell   *cell;

	if (!known->pushdown.projection ||
		!mt_collection_pays_to_project(known->statistics->document_bytes, list_length(query->attributes)))
		return false;
	foreach(cell, query->attributes)
		if (lfirst_int(cell) == 0 || !mt_column_can_be_projected(&known->columns[lfirst_int(cell) - 1]))
			return false;
	return true;
}

ForeignScan *
mt_collection_plan(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path, List *tlist, List *scan_clauses,
				   Plan *outer_plan)
{
	MtCollectionRel *known = baserel->fdw_private;
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	MtCollectionQuery query = mt_query_empty(known->relid);
	List	   *values = NIL;
	ListCell   *cell;

	query.attributes = mt_plan_wanted_attributes(baserel, clauses);
	if (path->fdw_private != NIL)
		plan_special(&query, linitial(path->fdw_private), &values);
	else
		foreach(cell, clauses)
		{
			List	   *condition = ship(root, baserel, lfirst(cell), &values);

			if (condition != NIL)
				query.conditions = lappend(query.conditions, condition);
		}
	query.projects = pays_to_project(known, &query);
	return make_foreignscan(tlist, clauses, baserel->relid, values, list_make1(mt_query_to_list(&query)),
							NIL, NIL, outer_plan);
}

MtCollectionQuery *
mt_collection_plan_query(const ForeignScan *plan)
{
	return mt_query_from_list(linitial(plan->fdw_private));
}
