/*
 * changes_qual.c
 *		Conditions of a query that restrict what a logical table reads.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "fdw/changes_qual.h"

/* More namespaces than this are not worth a filter. */
#define MAX_NAMESPACES 1000

/* ---- matching ---- */

static bool
pushed_column(const MtChangesColumn *column, MtPushedColumn *pushed)
{
	if (column->kind == MT_CHANGES_SECOND)
	{
		*pushed = MT_PUSHED_SECOND;
		return true;
	}
	if (column->kind != MT_CHANGES_ROW)
		return false;
	switch (column->row)
	{
		case MT_COLUMN_POSITION:
			*pushed = MT_PUSHED_POSITION;
			return true;
		case MT_COLUMN_CLUSTER_TIME:
			*pushed = MT_PUSHED_CLUSTER_TIME;
			return true;
		case MT_COLUMN_DATABASE:
			*pushed = MT_PUSHED_DATABASE;
			return true;
		case MT_COLUMN_COLLECTION:
			*pushed = MT_PUSHED_COLLECTION;
			return true;
		case MT_COLUMN_OPERATION_TYPE:
			*pushed = MT_PUSHED_OPERATION;
			return true;
		default:
			return false;
	}
}

bool
mt_changes_pushes_equality(const MtChangesColumn *column)
{
	MtPushedColumn pushed;

	return pushed_column(column, &pushed);
}

static bool
is_text(MtPushedColumn column)
{
	return column >= MT_PUSHED_DATABASE;
}

/* Can the value be had before the scan begins? */
static bool
is_value(PlannerInfo *root, Index varno, Node *node)
{
	return !bms_is_member((int) varno, pull_varnos(root, node)) &&
		!contain_volatile_functions(node) && !contain_subplans(node);
}

/* The strategy of an operator on a column, 0 when it is none that is pushed. */
static int
operator_strategy(const MtChangesColumn *column, MtPushedColumn pushed, Oid operator, Oid collation)
{
	Oid			class;

	if (is_text(pushed))
		return operator == TextEqualOperator && OidIsValid(collation) && get_collation_isdeterministic(collation) ?
			BTEqualStrategyNumber : 0;
	class = GetDefaultOpClass(column->type, BTREE_AM_OID);
	return OidIsValid(class) ? get_op_opfamily_strategy(operator, get_opclass_family(class)) : 0;
}

static bool
match_operator(PlannerInfo *root, Index varno, const MtChangesColumn *columns, OpExpr *clause, MtPushedQual *qual)
{
	Node	   *left;
	Node	   *right;
	Oid			operator = clause->opno;
	const MtChangesColumn *column;

	if (list_length(clause->args) != 2)
		return false;
	left = linitial(clause->args);
	right = lsecond(clause->args);
	if (!(IsA(left, Var) && ((Var *) left)->varno == (int) varno))
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		operator = get_commutator(operator);
	}
	if (!IsA(left, Var) || ((Var *) left)->varno != (int) varno || ((Var *) left)->varlevelsup != 0 ||
		((Var *) left)->varattno <= 0 || !OidIsValid(operator))
		return false;
	column = &columns[((Var *) left)->varattno - 1];
	if (!pushed_column(column, &qual->column) || exprType(right) != column->type || !is_value(root, varno, right))
		return false;
	qual->strategy = operator_strategy(column, qual->column, operator, clause->inputcollid);
	qual->is_array = false;
	qual->value = (Expr *) right;
	return qual->strategy != 0;
}

static bool
match_any(PlannerInfo *root, Index varno, const MtChangesColumn *columns, ScalarArrayOpExpr *clause,
		  MtPushedQual *qual)
{
	Var		   *left = linitial(clause->args);
	Node	   *right = lsecond(clause->args);
	const MtChangesColumn *column;

	if (!clause->useOr || !IsA(left, Var) || left->varno != (int) varno || left->varlevelsup != 0 ||
		left->varattno <= 0)
		return false;
	column = &columns[left->varattno - 1];
	if (!pushed_column(column, &qual->column) || !is_text(qual->column) || exprType(right) != TEXTARRAYOID ||
		!is_value(root, varno, right))
		return false;
	qual->strategy = operator_strategy(column, qual->column, clause->opno, clause->inputcollid);
	qual->is_array = true;
	qual->value = (Expr *) right;
	return qual->strategy != 0;
}

bool
mt_changes_match_qual(PlannerInfo *root, Index varno, const MtChangesColumn *columns, Expr *clause,
					  MtPushedQual *qual)
{
	if (IsA(clause, OpExpr))
		return match_operator(root, varno, columns, (OpExpr *) clause, qual);
	if (IsA(clause, ScalarArrayOpExpr))
		return match_any(root, varno, columns, (ScalarArrayOpExpr *) clause, qual);
	return false;
}

char *
mt_pushed_qual_prefix(const MtPushedQual *qual)
{
	static const char *const names[] = {"position", "cluster_time", "cluster_time", "database", "collection",
	"operation_type"};
	static const char *const operators[] = {"", "<", "<=", "=", ">=", ">"};

	return psprintf("%s %s ", names[qual->column], operators[qual->strategy]);
}

/* ---- places ---- */

static void
add_after(MtScanBounds *bounds, const MtPosition *place)
{
	if (!bounds->has_after || mt_position_compare(place, &bounds->after) > 0)
		bounds->after = *place;
	bounds->has_after = true;
}

static void
add_until(MtScanBounds *bounds, const MtPosition *place)
{
	if (!bounds->has_until || mt_position_compare(place, &bounds->until) < 0)
		bounds->until = *place;
	bounds->has_until = true;
}

/* The greatest position below this one; false when there is none. */
static bool
position_before(const MtPosition *position, MtPosition *before)
{
	*before = *position;
	for (int i = (int) sizeof(before->bytes) - 1; i >= 0; i--)
		if (before->bytes[i]-- != 0)
			return true;
	return false;
}

/* The condition that a position lies between two, both included, or beyond one of them. */
static void
add_range(MtScanBounds *bounds, int strategy, const MtPosition *low, const MtPosition *high)
{
	MtPosition	before;

	switch (strategy)
	{
		case BTLessStrategyNumber:
			if (position_before(low, &before))
				add_until(bounds, &before);
			else
				bounds->is_empty = true;
			break;
		case BTLessEqualStrategyNumber:
			add_until(bounds, high);
			break;
		case BTEqualStrategyNumber:
			add_until(bounds, high);
			/* FALLTHROUGH */
		case BTGreaterEqualStrategyNumber:
			if (position_before(low, &before))
				add_after(bounds, &before);
			else
				add_after(bounds, low); /* no change is at the least position */
			break;
		case BTGreaterStrategyNumber:
			add_after(bounds, high);
			break;
	}
}

/* All positions of cluster times between two. */
static void
add_time_range(MtScanBounds *bounds, int strategy, uint64 low_time, uint64 high_time)
{
	MtPosition	low;
	MtPosition	high;

	mt_position_set(&low, low_time, 0, 0);
	mt_position_set(&high, high_time, PG_UINT32_MAX, PG_UINT32_MAX);
	add_range(bounds, strategy, &low, &high);
}

/*
 * A timestamptz against the whole seconds that the column shows: a row of that
 * very second may pass any comparison but > and, when the timestamptz is
 * whole, <; the recheck decides.
 */
static void
add_second(MtScanBounds *bounds, int strategy, TimestampTz time)
{
	const int64 epoch_seconds = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	int64		second = time / USECS_PER_SEC - (time % USECS_PER_SEC < 0) + epoch_seconds;
	bool		is_whole = time % USECS_PER_SEC == 0;
	uint64		low;

	if (TIMESTAMP_IS_NOBEGIN(time) || second < 0)
	{
		if (strategy <= BTEqualStrategyNumber)
			bounds->is_empty = true;
		else
			add_time_range(bounds, BTGreaterEqualStrategyNumber, 0, 0);
		return;
	}
	if (TIMESTAMP_IS_NOEND(time) || second > PG_UINT32_MAX)
	{
		if (strategy >= BTEqualStrategyNumber)
			bounds->is_empty = true;
		return;
	}
	low = (uint64) second << 32;
	if (strategy == BTLessStrategyNumber && !is_whole)
		strategy = BTLessEqualStrategyNumber;
	add_time_range(bounds, strategy, low, low | PG_UINT32_MAX);
}

/* ---- names ---- */

/* The texts of a value or an array of them, without NULLs. */
static List *
value_texts(const MtPushedQual *qual, Datum value)
{
	List	   *texts = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (!qual->is_array)
		return list_make1(TextDatumGetCString(value));
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			texts = lappend(texts, TextDatumGetCString(elements[i]));
	return texts;
}

static bool
contains(List *texts, const char *text)
{
	ListCell   *cell;

	foreach(cell, texts)
		if (strcmp(lfirst(cell), text) == 0)
			return true;
	return false;
}

/*
 * Could a name stand for something else in a filter's pattern, or be what
 * ill-formed bytes of a name are shown as?  Then its condition is left to the
 * recheck.
 */
static bool
is_odd(const char *name, bool is_database)
{
	return name[0] == '\0' || strpbrk(name, is_database ? "./*?" : "*?") != NULL;
}

static void
add_names(MtScanBounds *bounds, List *texts, bool is_database)
{
	bool	   *some = is_database ? &bounds->some_databases : &bounds->some_collections;
	List	  **names = is_database ? &bounds->databases : &bounds->collections;
	List	   *both = NIL;
	ListCell   *cell;

	foreach(cell, texts)
	{
		char	   *name = lfirst(cell);

		if (is_odd(name, is_database))
			return;
		name = pg_server_to_any(name, (int) strlen(name), PG_UTF8);
		if ((!*some || contains(*names, name)) && !contains(both, name))
			both = lappend(both, name);
	}
	*names = both;
	*some = true;
	if (both == NIL)
		bounds->is_empty = true;
}

static void
add_operations(MtScanBounds *bounds, List *texts)
{
	uint32		mask = 0;
	ListCell   *cell;

	foreach(cell, texts)
	{
		MtOperation operation = mt_operation_from_name(lfirst(cell));

		if (operation != MT_OPERATION_NONE)
			mask |= 1u << operation;
	}
	if (bounds->operations != 0)
		mask &= bounds->operations;
	bounds->operations = mask;
	if (mask == 0)
		bounds->is_empty = true;
}

/* ---- bounds ---- */

void
mt_scan_bounds_init(MtScanBounds *bounds, const MtTableOptions *table)
{
	memset(bounds, 0, sizeof *bounds);
	if (table->database != NULL)
	{
		bounds->some_databases = true;
		bounds->databases = list_make1(pg_server_to_any(table->database, (int) strlen(table->database), PG_UTF8));
	}
	if (table->collection != NULL)
	{
		bounds->some_collections = true;
		bounds->collections =
			list_make1(pg_server_to_any(table->collection, (int) strlen(table->collection), PG_UTF8));
	}
}

void
mt_scan_bounds_add(MtScanBounds *bounds, const MtPushedQual *qual, Datum value, bool isnull)
{
	uint64		time;

	/* Every operator that is pushed is strict. */
	if (isnull)
	{
		bounds->is_empty = true;
		return;
	}
	switch (qual->column)
	{
		case MT_PUSHED_POSITION:
			add_range(bounds, qual->strategy, DatumGetMtPosition(value), DatumGetMtPosition(value));
			break;
		case MT_PUSHED_CLUSTER_TIME:
			time = DatumGetUInt64(value);
			add_time_range(bounds, qual->strategy, time, time);
			break;
		case MT_PUSHED_SECOND:
			add_second(bounds, qual->strategy, DatumGetTimestampTz(value));
			break;
		case MT_PUSHED_DATABASE:
			add_names(bounds, value_texts(qual, value), true);
			break;
		case MT_PUSHED_COLLECTION:
			add_names(bounds, value_texts(qual, value), false);
			break;
		case MT_PUSHED_OPERATION:
			add_operations(bounds, value_texts(qual, value));
			break;
	}
}

char **
mt_scan_bounds_namespaces(const MtScanBounds *bounds, int *n_namespaces)
{
	static char any[] = "*";
	List	   *any_name = list_make1(any);
	List	   *databases = bounds->some_databases ? bounds->databases : any_name;
	List	   *collections = bounds->some_collections ? bounds->collections : any_name;
	ListCell   *database;
	ListCell   *collection;
	char	  **namespaces;

	*n_namespaces = 0;
	/* What is longer than one name came from conditions, not from the options. */
	if ((int64) list_length(databases) * list_length(collections) > MAX_NAMESPACES && list_length(collections) > 1)
		collections = any_name;
	if (list_length(databases) > MAX_NAMESPACES)
		databases = any_name;
	if (databases == any_name && collections == any_name)
		return NULL;
	namespaces = palloc(sizeof(char *) * (list_length(databases) * list_length(collections) + 1));
	foreach(database, databases)
		foreach(collection, collections)
			namespaces[(*n_namespaces)++] = psprintf("%s.%s", (char *) lfirst(database),
													 (char *) lfirst(collection));
	return namespaces;
}
