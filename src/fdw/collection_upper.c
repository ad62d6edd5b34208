/*
 * collection_upper.c
 *		Planning aggregates, GROUP BY and DISTINCT.
 *
 * Those of bare columns become one $group, under the condition that WHERE and
 * FILTER, where there are any, have an exact form.  Whatever
 * expressions stand over aggregates and keys, HAVING among them, is evaluated
 * here, on the groups.
 *
 * Whether the $group gives PostgreSQL's answer depends on the documents, and
 * shows when it runs.  So each such path has a local one under it, the same
 * query by PostgreSQL's own means, as its outer path: not a source of rows but
 * a spare.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "base/collation.h"
#include "compat.h"
#include "condition/arm.h"
#include "condition/shippable.h"
#include "fdw/collection_limit.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_upper.h"

/* What a $group costs MongoDB of what it costs to send all its documents. */
#define GROUP_COST_SHARE	0.6
/* Fetching a group, in units of cpu_tuple_cost. */
#define GROUP_FETCH_FACTOR	8.0

/* A planned $group: the first member of the path's fdw_private. */
typedef struct GroupPlan
{
	MtCollectionQuery query;
	List	   *values;			/* expressions of the conditions' values */
	List	   *scan_tlist;		/* a result's columns: keys and aggregates */
	List	   *having;
} GroupPlan;

/* What is grouped, while it is found out whether it can be. */
typedef struct Grouper
{
	PlannerInfo *root;
	RelOptInfo *input;
	MtCollectionRel *known;
	GroupPlan  *plan;
	MtGrouping *grouping;
	List	   *filters;		/* expressions of FILTER: those of the grouping's filters */
	int			n_plain;		/* aggregates over columns */
	int			n_distinct;		/* those of the kind count(DISTINCT column) */
} Grouper;

/* ---- expressions ---- */

static const struct
{
	Oid			function;
	MtOutputKind kind;
}			aggregates[] =
{
	{F_COUNT_, MT_OUTPUT_COUNT_ALL},
	{F_COUNT_ANY, MT_OUTPUT_COUNT},
	{F_SUM_INT2, MT_OUTPUT_SUM},
	{F_SUM_INT4, MT_OUTPUT_SUM},
	{F_SUM_INT8, MT_OUTPUT_SUM},
	{F_SUM_FLOAT8, MT_OUTPUT_SUM},
	{F_AVG_INT2, MT_OUTPUT_AVG},
	{F_AVG_INT4, MT_OUTPUT_AVG},
	{F_AVG_INT8, MT_OUTPUT_AVG},
	{F_AVG_FLOAT8, MT_OUTPUT_AVG},
	{F_MIN_INT2, MT_OUTPUT_MIN},
	{F_MIN_INT4, MT_OUTPUT_MIN},
	{F_MIN_INT8, MT_OUTPUT_MIN},
	{F_MIN_FLOAT8, MT_OUTPUT_MIN},
	{F_MIN_TEXT, MT_OUTPUT_MIN},
	{F_MIN_TIMESTAMP, MT_OUTPUT_MIN},
	{F_MIN_TIMESTAMPTZ, MT_OUTPUT_MIN},
	{F_MIN_DATE, MT_OUTPUT_MIN},
	{F_MAX_INT2, MT_OUTPUT_MAX},
	{F_MAX_INT4, MT_OUTPUT_MAX},
	{F_MAX_INT8, MT_OUTPUT_MAX},
	{F_MAX_FLOAT8, MT_OUTPUT_MAX},
	{F_MAX_TEXT, MT_OUTPUT_MAX},
	{F_MAX_TIMESTAMP, MT_OUTPUT_MAX},
	{F_MAX_TIMESTAMPTZ, MT_OUTPUT_MAX},
	{F_MAX_DATE, MT_OUTPUT_MAX},
	{F_BOOL_AND, MT_OUTPUT_MIN},
	{F_EVERY, MT_OUTPUT_MIN},
	{F_BOOL_OR, MT_OUTPUT_MAX},
};

/* The index of the column that an expression is, -1 when it is none. */
static int
column_of(const Grouper *grouper, Node *node)
{
	Var		   *var;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	if (node == NULL || !IsA(node, Var) || var->varno != (int) grouper->input->relid || var->varlevelsup != 0 ||
		var->varattno <= 0)
		return -1;
	return var->varattno - 1;
}

/* One more column of the results, which the grouping has as its last output. */
static void
add_column(Grouper *grouper, Expr *expression)
{
	GroupPlan  *plan = grouper->plan;

	plan->scan_tlist = lappend(plan->scan_tlist,
							   makeTargetEntry(expression, list_length(plan->scan_tlist) + 1, NULL, false));
}

static bool
add_key(Grouper *grouper, Expr *expression)
{
	int			column = column_of(grouper, (Node *) expression);
	Oid			collation = exprCollation((Node *) expression);

	if (column < 0 || !IsA(expression, Var) || !mt_group_takes_key(&grouper->known->columns[column]) ||
		(OidIsValid(collation) && !get_collation_isdeterministic(collation)))
		return false;
	if (tlist_member(expression, grouper->plan->scan_tlist) == NULL)
	{
		mt_grouping_add_key(grouper->grouping, column);
		add_column(grouper, expression);
	}
	return true;
}

/* The kind of an aggregate that is nothing special, or -1. */
static int
aggregate_kind(const Aggref *aggregate)
{
	if (aggregate->aggsplit != AGGSPLIT_SIMPLE || aggregate->aggorder != NIL ||
		aggregate->aggdirectargs != NIL || aggregate->agglevelsup != 0 || aggregate->aggvariadic ||
		(aggregate->aggdistinct != NIL && (aggregate->aggfnoid != F_COUNT_ANY || aggregate->aggfilter != NULL)))
		return -1;
	for (size_t i = 0; i < lengthof(aggregates); i++)
		if (aggregates[i].function == aggregate->aggfnoid)
			return (int) aggregates[i].kind;
	return -1;
}

static bool
is_constant(Node *node)
{
	return IsA(node, Const) && !((Const *) node)->constisnull;
}

/* What min, max and DISTINCT compare, do they as MongoDB does? */
static bool
compares_alike(const Aggref *aggregate, MtOutputKind kind)
{
	Oid			collation = aggregate->inputcollid;

	if (!OidIsValid(collation))
		return true;
	if (kind == MT_OUTPUT_COUNT)
		return aggregate->aggdistinct == NIL || get_collation_isdeterministic(collation);
	return mt_collation_is_c(collation);
}

/* Zeros this frequent make sums of 0 likely. */
#define MANY_ZEROS 0.1

/* Do statistics show a value in every row, and not many zeros? */
static bool
is_full(const Grouper *grouper, Node *argument)
{
	VariableStatData variable;
	AttStatsSlot slot;
	bool		full = false;

	examine_variable(grouper->root, argument, 0, &variable);
	if (HeapTupleIsValid(variable.statsTuple))
	{
		full = ((Form_pg_statistic) GETSTRUCT(variable.statsTuple))->stanullfrac == 0;
		if (full && get_attstatsslot(&slot, variable.statsTuple, STATISTIC_KIND_MCV, InvalidOid,
									 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		{
			/* zero has no bits in any type that is added */
			for (int i = 0; i < slot.nvalues && i < slot.nnumbers; i++)
				if (slot.values[i] == (Datum) 0 && slot.numbers[i] > MANY_ZEROS)
					full = false;
			free_attstatsslot(&slot);
		}
	}
	ReleaseVariableStats(variable);
	return full;
}

/*
 * See mt_group_needs().  What a filter leaves is fewer values than documents,
 * but still their sum; and a sum of all rows is hardly one of nothing.
 */
static bool
probably_full(const Grouper *grouper, MtOutputKind kind, Node *argument, int filter)
{
	if (kind == MT_OUTPUT_SUM && filter < 0 && grouper->grouping->keys == NIL)
		return true;
	return (filter < 0 || kind == MT_OUTPUT_SUM) && is_full(grouper, argument);
}

/* The index of FILTER's expression in the grouping, -1: it cannot be sent. */
static int
add_filter(Grouper *grouper, Expr *filter)
{
	MtCollectionRel *known = grouper->known;
	List	   *condition;
	bool		is_exact;

	for (int i = 0; i < list_length(grouper->filters); i++)
		if (equal(list_nth(grouper->filters, i), filter))
			return i;
	if (!known->pushdown.filter)
		return -1;
	condition = mt_collection_ship(grouper->root, grouper->input->relid, known->columns, filter,
								   &grouper->plan->values, &is_exact);
	if (condition == NIL || !is_exact || !mt_condition_has_expression(known->columns, condition))
		return -1;
	grouper->filters = lappend(grouper->filters, filter);
	grouper->grouping->filters = lappend(grouper->grouping->filters, mt_condition_expression(condition));
	return list_length(grouper->filters) - 1;
}

/* Rows as such are counted, by count(*) or count(1). */
static void
add_count_all(Grouper *grouper, int filter)
{
	MtGroupArgument argument = {-1, MT_NEED_COUNT, filter};

	if (filter < 0)
		mt_grouping_add_count_all(grouper->grouping);
	else
	{
		mt_grouping_add(grouper->grouping, MT_OUTPUT_COUNT, argument);
		grouper->n_plain++;
	}
}

/* An aggregate over a column; false: it cannot be had. */
static bool
add_over_column(Grouper *grouper, const Aggref *aggregate, MtOutputKind kind, Node *node, int filter)
{
	MtGroupArgument argument = {column_of(grouper, node), 0, filter};
	bool		is_distinct = aggregate->aggdistinct != NIL;

	if (argument.column < 0 || !compares_alike(aggregate, kind))
		return false;
	argument.needs = mt_group_needs(&grouper->known->columns[argument.column], kind,
									!is_distinct && probably_full(grouper, kind, node, filter));
	if (argument.needs == 0)
		return false;
	mt_grouping_add(grouper->grouping, kind, argument);
	if (is_distinct)
		grouper->n_distinct++;
	else
		grouper->n_plain++;
	return true;
}

static bool
add_aggregate(Grouper *grouper, Aggref *aggregate)
{
	int			kind = aggregate_kind(aggregate);
	Node	   *argument;
	int			filter = -1;

	if (kind < 0)
		return false;
	if (tlist_member((Expr *) aggregate, grouper->plan->scan_tlist) != NULL)
		return true;
	if (aggregate->aggfilter != NULL)
	{
		filter = add_filter(grouper, aggregate->aggfilter);
		if (filter < 0)
			return false;
	}
	argument = kind == MT_OUTPUT_COUNT_ALL ? NULL : (Node *) ((TargetEntry *) linitial(aggregate->args))->expr;
	if (argument == NULL ||
		(kind == MT_OUTPUT_COUNT && is_constant(argument) && aggregate->aggdistinct == NIL))
		add_count_all(grouper, filter);
	else if (!add_over_column(grouper, aggregate, (MtOutputKind) kind, argument, filter))
		return false;
	add_column(grouper, (Expr *) aggregate);
	return true;
}

/* Every column and aggregate of an expression, which is evaluated here. */
static bool
add_expression(Grouper *grouper, Node *expression)
{
	List	   *parts = pull_var_clause(expression, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS);
	ListCell   *cell;

	if (contain_subplans(expression))
		return false;
	foreach(cell, parts)
	{
		Node	   *part = lfirst(cell);

		if (IsA(part, Aggref) ? !add_aggregate(grouper, (Aggref *) part) :
			tlist_member((Expr *) part, grouper->plan->scan_tlist) == NULL)
			return false;
	}
	return true;
}

/* ---- finding out whether it can be sent ---- */

/* The keys first, then what stands over them. */
static bool
add_target(Grouper *grouper, PathTarget *target, List *clauses, List *having)
{
	ListCell   *cell;
	int			i = 0;

	foreach(cell, target->exprs)
	{
		Index		reference = get_pathtarget_sortgroupref(target, i++);

		if (reference != 0 && get_sortgroupref_clause_noerr(reference, clauses) != NULL &&
			!add_key(grouper, lfirst(cell)))
			return false;
	}
	foreach(cell, target->exprs)
		if (!add_expression(grouper, lfirst(cell)))
			return false;
	foreach(cell, having)
		if (!add_expression(grouper, lfirst(cell)))
			return false;
	return true;
}

/* Is every clause's expression in the target?  One that is not is a key all the same. */
static bool
has_all_keys(PathTarget *target, List *clauses)
{
	ListCell   *cell;

	foreach(cell, clauses)
	{
		Index		reference = lfirst_node(SortGroupClause, cell)->tleSortGroupRef;
		bool		found = false;

		for (int i = 0; i < list_length(target->exprs); i++)
			found |= get_pathtarget_sortgroupref(target, i) == reference;
		if (!found)
			return false;
	}
	return true;
}

static GroupPlan *
plan_group(PlannerInfo *root, RelOptInfo *input, PathTarget *target, List *clauses, List *having)
{
	GroupPlan  *plan = palloc0(sizeof *plan);
	MtCollectionRel *known = input->fdw_private;
	Grouper		grouper = {root, input, known, plan, palloc0(sizeof(MtGrouping)), NIL, 0, 0};

	plan->query = mt_query_empty(known->relid);
	if (root->parse->hasTargetSRFs || root->parse->groupingSets != NIL ||
		!known->pushdown.aggregate || !has_all_keys(target, clauses) ||
		!mt_collection_ship_exactly(root, input, &plan->query.conditions, &plan->values) ||
		!add_target(&grouper, target, clauses, having))
		return NULL;
	/* the values of one column are told apart, or none */
	if (grouper.n_distinct > 0 && (grouper.n_plain > 0 || list_length(grouper.grouping->arguments) > 1))
		return NULL;
	grouper.grouping->is_one_row = clauses == NIL;
	grouper.grouping->is_distinct = grouper.n_distinct > 0;
	plan->query.grouping = grouper.grouping;
	plan->having = having;
	return plan;
}

/* ---- paths ---- */

/* Keys and aggregates, what both the $group and the spare give. */
static PathTarget *
scan_target(PlannerInfo *root, List *scan_tlist)
{
	PathTarget *target = create_empty_pathtarget();
	ListCell   *cell;

	foreach(cell, scan_tlist)
		add_column_to_pathtarget(target, lfirst_node(TargetEntry, cell)->expr, 0);
	return set_pathtarget_cost_width(root, target);
}

/* The same by PostgreSQL itself, without HAVING, which is checked above. */
static Path *
spare_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, PathTarget *target, List *clauses,
		   List *pathkeys, double n_groups)
{
	Path	   *path = input->cheapest_total_path;
	AggClauseCosts costs;
	AggStrategy strategy = clauses == NIL ? AGG_PLAIN : AGG_HASHED;

	memset(&costs, 0, sizeof costs);
	if (root->parse->hasAggs)
		get_agg_clause_costs(root, AGGSPLIT_SIMPLE, &costs);
	if (clauses != NIL && grouping_is_sortable(clauses) &&
		(!grouping_is_hashable(clauses) || root->numOrderedAggs > 0))
		strategy = AGG_SORTED;
	if (strategy != AGG_HASHED && pathkeys != NIL && !pathkeys_contained_in(pathkeys, path->pathkeys))
		path = (Path *) create_sort_path(root, output, path, pathkeys, -1.0);
	return (Path *) create_agg_path(root, output, path, target, strategy, AGGSPLIT_SIMPLE, clauses, NIL, &costs,
									n_groups);
}

static void
add_group_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, PathTarget *result, GroupPlan *plan,
			   List *clauses, List *processed_clauses, List *pathkeys)
{
	MtFindCost	find = mt_collection_find_cost(root, input, NULL);
	PathTarget *target = scan_target(root, plan->scan_tlist);
	List	   *keys = NIL;
	double		n_groups;
	double		rows;
	QualCost	having;
	Cost		startup;
	Path	   *spare;

	/* the keys come first */
	for (int i = 0; i < list_length(plan->query.grouping->keys); i++)
		keys = lappend(keys, list_nth_node(TargetEntry, plan->scan_tlist, i)->expr);
	n_groups = clauses == NIL ? 1 : estimate_num_groups(root, keys, input->rows, NULL, NULL);
	rows = clamp_row_est(n_groups * clauselist_selectivity(root, plan->having, 0, JOIN_INNER, NULL));
	spare = spare_path(root, input, output, target, processed_clauses, pathkeys, n_groups);
	cost_qual_eval(&having, plan->having, root);
	startup = find.startup + (find.total - find.startup) * GROUP_COST_SHARE + having.startup;
	add_path(output, (Path *) mt_compat_upper_path(root, output, result, rows, startup,
												   startup + n_groups * (cpu_tuple_cost * GROUP_FETCH_FACTOR +
																		 having.per_tuple),
												   NIL, spare, list_make1(plan)));
}

static void
add_grouping_paths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra)
{
	GroupPlan  *plan;

	if (extra->patype != PARTITIONWISE_AGGREGATE_NONE && extra->patype != PARTITIONWISE_AGGREGATE_FULL)
		return;
	plan = plan_group(root, input, output->reltarget, root->parse->groupClause, (List *) extra->havingQual);
	if (plan != NULL)
		add_group_path(root, input, output, output->reltarget, plan, root->parse->groupClause,
					   mt_compat_group_clause(root), root->group_pathkeys);
}

static void
add_distinct_paths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output)
{
	Query	   *parse = root->parse;
	PathTarget *result = root->upper_targets[UPPERREL_DISTINCT];
	GroupPlan  *plan;

	if (result == NULL || parse->hasDistinctOn || parse->hasAggs || parse->groupClause != NIL || parse->hasWindowFuncs)
		return;
	plan = plan_group(root, input, result, parse->distinctClause, NIL);
	if (plan != NULL)
		add_group_path(root, input, output, result, plan, parse->distinctClause, mt_compat_distinct_clause(root),
					   root->distinct_pathkeys);
}

void
mt_collection_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel,
						  void *extra)
{
	switch (stage)
	{
		case UPPERREL_GROUP_AGG:
			add_grouping_paths(root, input_rel, output_rel, extra);
			break;
		case UPPERREL_DISTINCT:
			add_distinct_paths(root, input_rel, output_rel);
			break;
		case UPPERREL_FINAL:
			mt_collection_limit_path(root, input_rel, output_rel, extra);
			break;
		default:
			break;
	}
}

ForeignScan *
mt_collection_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan)
{
	GroupPlan  *plan = linitial(path->fdw_private);

	return make_foreignscan(tlist, plan->having, 0, plan->values, list_make1(mt_query_to_list(&plan->query)),
							plan->scan_tlist, NIL, outer_plan);
}
