/*
 * changes_plan.c
 *		Planning a scan of a logical table.
 *
 * There is one way to read it, forward from a place, so planning is to find
 * the conditions that restrict what is read, and to estimate how much that is.
 * Conditions on the columns of other tables (a position that a join gives)
 * make parameterized paths, as an index's do.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/tail_state.h"
#include "compat.h"
#include "fdw/changes_plan.h"
#include "fdw/plan_shared.h"

/* What a tail without a ring, or no tail, is taken for. */
#define DEFAULT_CHANGES		1000.0
/* A record of a ring whose tail has not said how many there are. */
#define DEFAULT_RECORD_BYTES 300.0

#define STARTUP_COST		1.0
/* Reading a change and making its columns, in units of cpu_tuple_cost. */
#define CHANGE_COST_FACTOR	4.0

typedef struct ChangesPlan
{
	MtTableOptions *table;
	MtChangesColumn *columns;
} ChangesPlan;

/* ---- estimates ---- */

/* How many changes the rings of a server hold, 0 when there is none. */
static double
changes_in_rings(Oid serverid)
{
	double		changes = 0;

	if (mt_tail_shared == NULL)
		return 0;
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];
		MtRing	   *ring;
		MtRingWindow window;
		double		events;
		double		record_bytes = DEFAULT_RECORD_BYTES;

		if (!slot->used || slot->database != MyDatabaseId || slot->serverid != serverid)
			continue;
		ring = mt_tail_ring(slot, -1);
		if (ring == NULL)
			continue;
		mt_ring_window(ring, &window);
		events = (double) pg_atomic_read_u64(&slot->events);
		if (events > 0 && window.tail > 0)
			record_bytes = Max((double) window.tail / events, 1.0);
		changes += (double) (window.tail - window.head) / record_bytes;
	}
	return changes;
}

void
mt_changes_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table)
{
	ChangesPlan *plan = palloc0(sizeof *plan);
	Relation	relation = table_open(relid, NoLock);
	double		changes = changes_in_rings(table->serverid);

	plan->table = table;
	plan->columns = mt_changes_columns(relation, table);
	table_close(relation, NoLock);
	baserel->fdw_private = plan;
	baserel->tuples = changes > 0 ? changes : DEFAULT_CHANGES;
	set_baserel_size_estimates(root, baserel);
}

/* The changes that are read under these clauses: those of places count. */
static double
changes_read(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	ChangesPlan *plan = baserel->fdw_private;
	List	   *places = NIL;
	ListCell   *cell;
	MtPushedQual qual;

	foreach(cell, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);

		if (mt_changes_match_qual(root, baserel->relid, plan->columns, clause->clause, &qual) &&
			qual.column <= MT_PUSHED_SECOND)
			places = lappend(places, clause);
	}
	return baserel->tuples * clauselist_selectivity(root, places, (int) baserel->relid, JOIN_INNER, NULL);
}

/* ---- paths ---- */

/* The column of the table that a pathkey orders, as PostgreSQL orders it by
 * default, ascending; NULL when it is none. */
static const MtChangesColumn *
ordered_column(RelOptInfo *baserel, const PathKey *key)
{
	ChangesPlan *plan = baserel->fdw_private;
	ListCell   *cell;

	if (!mt_compat_pathkey_ascends(key) || key->pk_eclass->ec_has_volatile)
		return NULL;
	foreach(cell, key->pk_eclass->ec_members)
	{
		EquivalenceMember *member = lfirst(cell);
		Var		   *var = (Var *) member->em_expr;
		const MtChangesColumn *column;
		Oid			class;

		if (!IsA(var, Var) || var->varno != (int) baserel->relid || var->varattno <= 0)
			continue;
		column = &plan->columns[var->varattno - 1];
		class = GetDefaultOpClass(column->type, BTREE_AM_OID);
		if (OidIsValid(class) && get_opclass_family(class) == key->pk_opfamily)
			return column;
	}
	return NULL;
}

/*
 * As much of the wanted order as a scan has by itself: changes come by
 * position, which no two share, and so by cluster time.
 */
static List *
scan_pathkeys(PlannerInfo *root, RelOptInfo *baserel)
{
	List	   *keys = NIL;
	ListCell   *cell;

	foreach(cell, root->query_pathkeys)
	{
		const MtChangesColumn *column = ordered_column(baserel, lfirst(cell));

		if (column == NULL ||
			(column->kind != MT_CHANGES_SECOND &&
			 !(column->kind == MT_CHANGES_ROW &&
			   (column->row == MT_COLUMN_POSITION || column->row == MT_COLUMN_CLUSTER_TIME))))
			break;
		keys = lappend(keys, lfirst(cell));
		if (column->row == MT_COLUMN_POSITION)
			return list_copy(root->query_pathkeys);
	}
	return keys;
}

static void
add_changes_path(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info)
{
	List	   *clauses = baserel->baserestrictinfo;
	double		rows = baserel->rows;
	double		read;
	Cost		total;

	if (param_info != NULL)
	{
		clauses = list_concat_copy(clauses, param_info->ppi_clauses);
		rows = param_info->ppi_rows;
	}
	read = Max(changes_read(root, baserel, clauses), 1.0);
	total = STARTUP_COST + baserel->baserestrictcost.startup +
		read * (CHANGE_COST_FACTOR * cpu_tuple_cost + baserel->baserestrictcost.per_tuple) +
		rows * baserel->reltarget->cost.per_tuple;
	add_path(baserel, (Path *) mt_compat_foreignscan_path(root, baserel, rows, STARTUP_COST, total,
														   scan_pathkeys(root, baserel),
														   param_info ? param_info->ppi_req_outer : NULL, NIL));
}

/* ec_matches_callback: an equality on a column that can be pushed? */
static bool
is_pushed_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *member, void *arg)
{
	ChangesPlan *plan = rel->fdw_private;
	Var		   *var = (Var *) member->em_expr;

	(void) root;
	(void) ec;
	(void) arg;
	return IsA(var, Var) && var->varno == (int) rel->relid && var->varattno > 0 &&
		mt_changes_pushes_equality(&plan->columns[var->varattno - 1]);
}

/* The join clauses that become conditions once the other tables' rows are given. */
static List *
pushed_join_clauses(PlannerInfo *root, RelOptInfo *baserel)
{
	ChangesPlan *plan = baserel->fdw_private;
	List	   *clauses = NIL;
	ListCell   *cell;
	MtPushedQual qual;

	foreach(cell, mt_plan_movable_clauses(root, baserel, is_pushed_member))
		if (mt_changes_match_qual(root, baserel->relid, plan->columns, lfirst_node(RestrictInfo, cell)->clause, &qual))
			clauses = lappend(clauses, lfirst(cell));
	return clauses;
}

void
mt_changes_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	ListCell   *cell;

	foreach(cell, mt_plan_outers(baserel, pushed_join_clauses(root, baserel)))
		add_changes_path(root, baserel, get_baserel_parampathinfo(root, baserel, lfirst(cell)));
}

/* ---- the plan ---- */

ForeignScan *
mt_changes_plan(PlannerInfo *root, RelOptInfo *baserel, List *tlist, List *scan_clauses, Plan *outer_plan)
{
	ChangesPlan *plan = baserel->fdw_private;
	List	   *clauses = extract_actual_clauses(scan_clauses, false);
	List	   *quals = NIL;
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		MtPushedQual qual;

		if (!mt_changes_match_qual(root, baserel->relid, plan->columns, lfirst(cell), &qual))
			continue;
		quals = lappend(quals, list_make3_int(qual.column, qual.strategy, qual.is_array));
		values = lappend(values, qual.value);
	}
	return make_foreignscan(tlist, clauses, baserel->relid, values,
							list_make2(quals, mt_plan_wanted_attributes(baserel, clauses)), NIL, NIL, outer_plan);
}

MtPushedQual *
mt_changes_plan_quals(const ForeignScan *plan, int *n_quals)
{
	List	   *list = linitial(plan->fdw_private);
	MtPushedQual *quals = palloc0(sizeof(MtPushedQual) * (list_length(list) + 1));
	ListCell   *cell;
	ListCell   *value;

	*n_quals = 0;
	forboth(cell, list, value, plan->fdw_exprs)
	{
		MtPushedQual *qual = &quals[(*n_quals)++];
		List	   *parts = lfirst(cell);

		qual->column = linitial_int(parts);
		qual->strategy = lsecond_int(parts);
		qual->is_array = lthird_int(parts) != 0;
		qual->value = lfirst(value);
	}
	return quals;
}

Bitmapset *
mt_changes_plan_attributes(const ForeignScan *plan, int n_attributes)
{
	return mt_plan_attribute_set(lsecond(plan->fdw_private), n_attributes);
}
