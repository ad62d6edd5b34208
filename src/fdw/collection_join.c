/*
 * collection_join.c
 *		Planning joins of collections that MongoDB makes.
 *
 * An inner join is a chain: one table's documents, for each of which a $lookup
 * finds those of a second table, and so on (collection_lookup.c).  Each step
 * looks one column up in another that is equal to it, and for which there is an
 * index: without one MongoDB would read the collection once for each document.
 * All conditions on single tables must have exact forms.  What else the join
 * says is checked here, on its rows.
 *
 * To look a document up in another collection costs MongoDB far more than to
 * read it on the way through, and PostgreSQL far more than to find it in a hash
 * table.  So a chain is cheapest where few documents begin it, and what they
 * are looked up in is large: then it saves a message there and back for each.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "condition/operator.h"
#include "condition/shippable.h"
#include "fdw/collection_join.h"
#include "fdw/collection_lookup.h"
#include "fdw/collection_plan.h"

/* A table in a chain. */
typedef struct Step
{
	RelOptInfo *rel;
	int			key_step;		/* whose column is looked up in it */
	int			key_column;
	int			column;			/* of its own columns the one that is equal */
} Step;

/* The fdw_private of a join's relation, the cheapest that was found, and the
 * only member of that of a path. */
typedef struct Chain
{
	List	   *steps;			/* of Step */
	List	   *checked;		/* of RestrictInfo: what is checked here */
	List	   *columns;		/* Vars that are wanted; the relation's target may become another one */
	double		documents;		/* that come of it */
	double		bytes;			/* of one of them */
	Cost		startup;
	Cost		work;			/* MongoDB's */
	Cost		total;
} Chain;

/* ---- tables ---- */

/* Are the table's documents a collection's, and just those that its rows come from? */
static bool
can_be_joined(PlannerInfo *root, RelOptInfo *rel)
{
	const MtCollectionRel *known = rel->fdw_private;
	const MtCollectionFacts *facts = known->statistics->facts;
	List	   *conditions;
	List	   *values;

	return known->pushdown.join && !known->has_pipeline && bms_is_empty(rel->lateral_relids) &&
		facts->is_local && !facts->is_view && !facts->is_time_series &&
		mt_collection_ship_exactly(root, rel, &conditions, &values);
}

/* Can the second table be looked up in by an aggregate over the first? */
static bool
are_read_alike(const MtCollectionRel *first, const MtCollectionRel *second)
{
	MtReadOptions *a;
	MtReadOptions *b;

	if (strcmp(first->name->database, second->name->database) != 0 || second->table->filter != NULL)
		return false;
	a = mt_options_read(first->table);
	b = mt_options_read(second->table);
	return a->read_concern == b->read_concern && a->read_preference == b->read_preference &&
		a->read_consistency == b->read_consistency;
}

static bool
has_index(const MtCollectionRel *known, const MtCollectionColumn *column)
{
	ListCell   *cell;

	foreach(cell, known->statistics->indexes)
	{
		const MtCollectionIndex *index = lfirst(cell);

		if (!index->is_wildcard && strcmp(index->fields[0].path, column->path) == 0 &&
			!(index->has_collation && column->class == MT_COMPARE_TEXT))
			return true;
	}
	return false;
}

/* ---- clauses ---- */

/* The index of the table's column that an expression is, -1 when it is none. */
static int
column_of(const RelOptInfo *rel, Node *node)
{
	Var		   *var = (Var *) mt_without_exact_casts(node);

	if (var == NULL || !IsA(var, Var) || var->varno != (int) rel->relid || var->varlevelsup != 0 || var->varattno <= 0)
		return -1;
	return var->varattno - 1;
}

/* The column of an earlier step that an expression is; NULL when it is none. */
static const MtCollectionColumn *
find_key(const Chain *chain, Node *node, Step *step)
{
	ListCell   *cell;

	foreach(cell, chain->steps)
	{
		const Step *earlier = lfirst(cell);
		int			column = column_of(earlier->rel, node);

		if (column < 0)
			continue;
		step->key_step = foreach_current_index(cell);
		step->key_column = column;
		return &((MtCollectionRel *) earlier->rel->fdw_private)->columns[column];
	}
	return NULL;
}

/* column operator key: can the column be looked up in by it? */
static bool
match_sides(const Chain *chain, Node *column, Node *key, Oid operator, Oid collation, Step *step)
{
	const MtCollectionRel *known = step->rel->fdw_private;
	const MtCollectionColumn *looked_up;
	Oid			commutator = get_commutator(operator);

	step->column = column_of(step->rel, column);
	if (step->column < 0 || !OidIsValid(commutator) || (looked_up = find_key(chain, key, step)) == NULL)
		return false;
	return mt_operator_strategy(&known->columns[step->column], exprType(column), exprType(key),
								operator, collation) == BTEqualStrategyNumber &&
		mt_operator_strategy(looked_up, exprType(key), exprType(column),
							 commutator, collation) == BTEqualStrategyNumber &&
		mt_join_takes_key(looked_up, &known->columns[step->column]) &&
		has_index(known, &known->columns[step->column]);
}

static bool
match_clause(const Chain *chain, const RestrictInfo *restriction, Step *step)
{
	OpExpr	   *clause = (OpExpr *) restriction->clause;
	Node	   *left;
	Node	   *right;

	if (!IsA(clause, OpExpr) || list_length(clause->args) != 2)
		return false;
	left = linitial(clause->args);
	right = lsecond(clause->args);
	return match_sides(chain, left, right, clause->opno, clause->inputcollid, step) ||
		(OidIsValid(get_commutator(clause->opno)) &&
		 match_sides(chain, right, left, get_commutator(clause->opno), clause->inputcollid, step));
}

/* Are all columns in it plain ones, which a document gives? */
static bool
has_plain_columns(Node *node)
{
	ListCell   *cell;

	foreach(cell, pull_var_clause(node, PVC_INCLUDE_PLACEHOLDERS))
	{
		Var		   *var = lfirst(cell);

		if (!IsA(var, Var) || var->varattno <= 0)
			return false;
	}
	return true;
}

/* Security levels would say which is checked first. */
static bool
can_be_checked(const PlannerInfo *root, const RestrictInfo *restriction)
{
	Node	   *clause = (Node *) restriction->clause;

	return root->qual_security_level == 0 && !contain_volatile_functions(clause) && !contain_subplans(clause) &&
		has_plain_columns(clause);
}

/* ---- chains ---- */

/* The chain that the outer relation is; NULL when there is none. */
static Chain *
chain_of(PlannerInfo *root, RelOptInfo *rel)
{
	Chain	   *chain;
	Step	   *step;
	MtFindCost	find;

	if (IS_JOIN_REL(rel))
		return rel->fdw_private;
	if (!can_be_joined(root, rel))
		return NULL;
	chain = palloc0(sizeof *chain);
	step = palloc0(sizeof *step);
	step->rel = rel;
	find = mt_collection_find_cost(root, rel, NULL);
	chain->steps = list_make1(step);
	chain->documents = rel->rows;
	chain->bytes = ((MtCollectionRel *) rel->fdw_private)->statistics->document_bytes;
	chain->startup = find.startup;
	chain->work = find.looking;
	return chain;
}

/*
 * The step to the inner relation by whichever of the clauses finds least; the
 * others are to be checked here.  NULL: there is none.
 */
static Step *
choose_step(PlannerInfo *root, const Chain *outer, RelOptInfo *inner, List *clauses, SpecialJoinInfo *join,
			double *found, List **checked)
{
	RestrictInfo *chosen = NULL;
	Step	   *best = palloc0(sizeof *best);
	ListCell   *cell;

	foreach(cell, clauses)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		Step		step = {.rel = inner};
		double		finds;

		if (restriction->pseudoconstant)
			return NULL;
		if (!match_clause(outer, restriction, &step))
			continue;
		finds = inner->tuples * clause_selectivity(root, (Node *) restriction, 0, JOIN_INNER, join);
		if (chosen != NULL && finds >= *found)
			continue;
		chosen = restriction;
		*best = step;
		*found = finds;
	}
	*checked = NIL;
	foreach(cell, clauses)
	{
		if (lfirst(cell) == chosen)
			continue;
		if (!can_be_checked(root, lfirst(cell)))
			return NULL;
		*checked = lappend(*checked, lfirst(cell));
	}
	return chosen != NULL ? best : NULL;
}

/* The chain with one step more. */
static Chain *
extend(PlannerInfo *root, RelOptInfo *joinrel, const Chain *outer, RelOptInfo *inner, JoinPathExtraData *extra)
{
	const Step *first = linitial(outer->steps);
	const MtCollectionStatistics *statistics = ((MtCollectionRel *) first->rel->fdw_private)->statistics;
	List	   *checked;
	double		found = 0;
	Step	   *step;
	Chain	   *chain;
	QualCost	checks;

	step = choose_step(root, outer, inner, extra->restrictlist, extra->sjinfo, &found, &checked);
	if (step == NULL)
		return NULL;
	chain = palloc0(sizeof *chain);
	chain->steps = lappend(list_copy(outer->steps), step);
	chain->checked = list_concat_copy(outer->checked, checked);
	chain->columns = list_copy(joinrel->reltarget->exprs);
	chain->documents = clamp_row_est(joinrel->rows / Max(clauselist_selectivity(root, chain->checked, 0, JOIN_INNER,
																				 extra->sjinfo), 1e-6));
	chain->bytes = outer->bytes + ((MtCollectionRel *) inner->fdw_private)->statistics->document_bytes;
	chain->work = outer->work + mt_collection_cost_lookup(outer->documents, found);
	cost_qual_eval(&checks, chain->checked, root);
	chain->startup = outer->startup + checks.startup;
	chain->total = chain->startup + chain->work + checks.startup + checks.per_tuple * chain->documents +
		mt_collection_cost_send(chain->documents, chain->bytes, statistics->document_cost) +
		joinrel->reltarget->cost.startup + joinrel->reltarget->cost.per_tuple * joinrel->rows;
	return chain;
}

/* Rows that are locked are read again one table at a time. */
static bool
can_be_chain(const PlannerInfo *root, const RelOptInfo *joinrel, JoinType jointype)
{
	return jointype == JOIN_INNER && root->rowMarks == NIL && bms_is_empty(joinrel->lateral_relids) &&
		has_plain_columns((Node *) joinrel->reltarget->exprs);
}

void
mt_collection_join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
						 JoinType jointype, JoinPathExtraData *extra)
{
	Chain	   *outer;
	Chain	   *chain;
	Chain	   *known = joinrel->fdw_private;
	const Step *first;

	if (IS_JOIN_REL(innerrel) || !can_be_chain(root, joinrel, jointype))
		return;
	outer = chain_of(root, outerrel);
	if (outer == NULL || !can_be_joined(root, innerrel))
		return;
	first = linitial(outer->steps);
	if (!are_read_alike(first->rel->fdw_private, innerrel->fdw_private))
		return;
	chain = extend(root, joinrel, outer, innerrel, extra);
	if (chain == NULL)
		return;
	if (known == NULL || chain->work < known->work)
		joinrel->fdw_private = chain;
	add_path(joinrel, (Path *) mt_compat_join_path(root, joinrel, joinrel->rows, chain->startup, chain->total,
												   extra->restrictlist, list_make1(chain)));
}

/* ---- the plan ---- */

static const MtCollectionColumn *
column_at(const Chain *chain, int step, int column)
{
	const Step *at = list_nth(chain->steps, step);

	return &((MtCollectionRel *) at->rel->fdw_private)->columns[column];
}

/* What makes the looking up of a step, and of those by its columns, right. */
static List *
key_conditions(const Chain *chain, int index)
{
	const Step *step = list_nth(chain->steps, index);
	MtCollectionRel *known = step->rel->fdw_private;
	List	   *conditions = NIL;
	ListCell   *cell;

	if (index > 0)
		conditions = lappend(conditions, mt_join_condition(column_at(chain, step->key_step, step->key_column),
														   known->columns, step->column));
	for_each_from(cell, chain->steps, 1)
	{
		const Step *later = lfirst(cell);

		if (later->key_step == index)
			conditions = lappend(conditions, mt_condition_of_column(MT_CONDITION_NOT_NULL, later->key_column));
	}
	return conditions;
}

/* The index of the step of a table. */
static int
step_of(const Chain *chain, Index relid)
{
	ListCell   *cell;

	foreach(cell, chain->steps)
		if (((Step *) lfirst(cell))->rel->relid == relid)
			return foreach_current_index(cell);
	elog(ERROR, "a join has no table %u", relid);
}

static MtJoin *
plan_join(PlannerInfo *root, const Chain *chain, List *scan_tlist, MtCollectionQuery *query, List **values)
{
	MtJoin	   *join = palloc0(sizeof *join);
	ListCell   *cell;

	foreach(cell, chain->steps)
	{
		const Step *step = lfirst(cell);
		MtJoinTable *table = palloc0(sizeof *table);
		List	   *conditions;
		List	   *of_step;

		if (!mt_collection_ship_exactly(root, step->rel, &conditions, &of_step))
			elog(ERROR, "a condition of a join has no exact form any more");
		table->relid = ((MtCollectionRel *) step->rel->fdw_private)->relid;
		table->first_value = list_length(*values);
		table->key_table = step->key_step;
		table->key_column = step->key_column;
		table->column = step->column;
		table->conditions = key_conditions(chain, foreach_current_index(cell));
		if (join->tables == NIL)
			query->conditions = conditions;
		else
			table->conditions = list_concat(conditions, table->conditions);
		*values = list_concat(*values, of_step);
		join->tables = lappend(join->tables, table);
	}
	foreach(cell, scan_tlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, cell)->expr;

		join->outputs = lappend(join->outputs, list_make2_int(step_of(chain, (Index) var->varno), var->varattno - 1));
	}
	return join;
}

/* As for a table: does it pay that MongoDB picks the fields, and can it? */
static bool
pays_to_project(const Chain *chain, const MtJoin *join)
{
	ListCell   *cell;

	foreach(cell, chain->steps)
		if (!((MtCollectionRel *) ((Step *) lfirst(cell))->rel->fdw_private)->pushdown.projection)
			return false;
	foreach(cell, join->outputs)
	{
		List	   *output = lfirst(cell);

		if (!mt_column_can_be_projected(column_at(chain, linitial_int(output), lsecond_int(output))))
			return false;
	}
	return mt_collection_pays_to_project(chain->bytes, list_length(join->outputs));
}

ForeignScan *
mt_collection_join_plan(PlannerInfo *root, ForeignPath *path, List *tlist, Plan *outer_plan)
{
	const Chain *chain = linitial(path->fdw_private);
	const Step *first = linitial(chain->steps);
	MtCollectionQuery query = mt_query_empty(((MtCollectionRel *) first->rel->fdw_private)->relid);
	List	   *clauses = extract_actual_clauses(chain->checked, false);
	List	   *scan_tlist = add_to_flat_tlist(NIL, chain->columns);
	List	   *values = NIL;

	scan_tlist = add_to_flat_tlist(scan_tlist, pull_var_clause((Node *) clauses, 0));
	query.join = plan_join(root, chain, scan_tlist, &query, &values);
	query.projects = pays_to_project(chain, query.join);
	return make_foreignscan(tlist, clauses, 0, values, list_make1(mt_query_to_list(&query)), scan_tlist, NIL,
							outer_plan);
}
