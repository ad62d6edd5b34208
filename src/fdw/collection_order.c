/*
 * collection_order.c
 *		ORDER BY as sorts of MongoDB's.
 *
 * Among values that convert, MongoDB sorts numbers, dates, booleans and
 * ObjectIds as SQL does.  What it sorts otherwise is taken apart and read one
 * after another, each by a find of its own on the same index:
 *
 *	values		sorted by MongoDB
 *	NaN			SQL's greatest number, MongoDB's least
 *	NULL		whatever reads as NULL; SQL has it last (or first when the order
 *				descends), MongoDB between other types
 *	the rest	what does not convert, and so is an error when it is reached
 *
 * so that ORDER BY a LIMIT 10 is one find of ten documents as long as there
 * are ten values.  Which documents are which is said by exact conditions; where
 * there are none, there is no order.
 *
 * In text an ObjectId is its digits, which stand among the strings; MongoDB
 * sorts all ObjectIds behind them.  Each of the two, a run, is sorted alike, so
 * there is a find of each, and they are merged here.  One is almost always
 * empty, which by an index costs a look at one key.  Likewise the two subtypes
 * of a uuid.  Strings must be compared by their bytes: collation C here, the
 * simple one there.
 *
 * Keys after the first cannot be taken apart.  They are known to be no NULL by
 * the query's own conditions, or are _id, of which at most one document can
 * make a NULL; should it, the scan says so instead of giving a wrong order.  So
 * it does where two runs have the same value, and a further key would decide.
 *
 * Left out are numeric, in which a double is its shortest digits, and so less
 * than a decimal that MongoDB finds less than it; columns of which nothing says
 * what converts (real, numeric(p, s), timestamps of a precision); char(n),
 * to which spaces at the end mean nothing; and enums, whose order is another.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

#include "base/collation.h"
#include "base/collection_facts.h"
#include "compat.h"
#include "condition/arm.h"
#include "condition/shippable.h"
#include "fdw/collection_order.h"

List *
mt_order_to_list(const MtOrder *order)
{
	return list_make3(order->keys, order->segments, order->never_null);
}

MtOrder *
mt_order_from_list(List *list)
{
	MtOrder    *order = palloc0(sizeof *order);

	order->keys = linitial(list);
	order->segments = lsecond(list);
	order->never_null = lthird(list);
	return order;
}

static List *
make_segment(int first_key, bool is_rest, bool is_merged, List *conditions)
{
	return list_make2(list_make3_int(first_key, is_rest, is_merged), conditions);
}

static List *
segment(int first_key, List *condition)
{
	return make_segment(first_key, false, false, condition != NIL ? list_make1(condition) : NIL);
}

bool
mt_segment_is_rest(List *segment)
{
	return lsecond_int((List *) linitial(segment)) != 0;
}

int
mt_segment_first_key(List *segment)
{
	return linitial_int((List *) linitial(segment));
}

bool
mt_segment_is_merged(List *segment)
{
	return lthird_int((List *) linitial(segment)) != 0;
}

List *
mt_segment_conditions(List *segment)
{
	return lsecond(segment);
}

List *
mt_segment_run(List *segment)
{
	List	   *conditions = mt_segment_conditions(segment);

	if (mt_segment_is_rest(segment) || list_length(conditions) != 1 || !IsA(linitial(conditions), IntList))
		return NIL;
	return mt_condition_leaf(linitial(conditions)).kind == MT_CONDITION_RUN ? linitial(conditions) : NIL;
}

int
mt_order_runs(const MtOrder *order)
{
	ListCell   *cell;

	foreach(cell, order->segments)
		if (mt_segment_is_merged(lfirst(cell)))
			return 2;
	return 1;
}

/* ---- keys ---- */

typedef struct Orderer
{
	PlannerInfo *root;
	RelOptInfo *baserel;
	const MtCollectionColumn *columns;
	List	   *conditions;
	List	  **values;
	MtOrder    *order;
} Orderer;

/* The table's column that a pathkey sorts by; NULL: none. */
static Var *
column_of(const Orderer *orderer, PathKey *pathkey)
{
	EquivalenceClass *class = pathkey->pk_eclass;
	ListCell   *cell;

	if (class->ec_has_volatile)
		return NULL;
	foreach(cell, mt_compat_class_members(class, orderer->baserel->relids))
	{
		Node	   *node = (Node *) ((EquivalenceMember *) lfirst(cell))->em_expr;
		Var		   *var;

		/* a varchar is sorted as text, and text by another collation than its own */
		while (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		var = (Var *) node;
		if (IsA(var, Var) && var->varno == (int) orderer->baserel->relid && var->varattno > 0 && var->varlevelsup == 0)
			return var;
	}
	return NULL;
}

static bool
sorts_alike(const MtCollectionColumn *column, PathKey *pathkey)
{
	Oid			class = GetDefaultOpClass(column->base_type, BTREE_AM_OID);

	if (column->has_index || column->is_whole || column->type != column->base_type ||
		!OidIsValid(class) || get_opclass_family(class) != pathkey->pk_opfamily)
		return false;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_BOOL:
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
		case MT_COMPARE_OBJECTID:
			return true;
		case MT_COMPARE_FLOAT:
			return column->type == FLOAT8OID;
		case MT_COMPARE_UUID:
			return true;
		case MT_COMPARE_TEXT:
			return mt_column_has_typed_form(column) && mt_collation_is_c(pathkey->pk_eclass->ec_collation);
		default:
			return false;
	}
}

/* Does a condition hold for no document whose column is NULL? */
static bool
excludes_null(List *condition, int column)
{
	MtLeaf		leaf;
	ListCell   *cell;

	if (IsA(condition, IntList))
	{
		leaf = mt_condition_leaf(condition);
		return leaf.exact && leaf.column == column && leaf.kind != MT_CONDITION_NULL;
	}
	if (intVal(linitial(condition)) != MT_CONDITION_AND)
		return false;
	foreach(cell, (List *) lsecond(condition))
		if (excludes_null(lfirst(cell), column))
			return true;
	return false;
}

static bool
is_never_null(const Orderer *orderer, int column)
{
	ListCell   *cell;

	foreach(cell, orderer->conditions)
		if (excludes_null(lfirst(cell), column))
			return true;
	return false;
}

static bool
add_key(Orderer *orderer, PathKey *pathkey)
{
	MtOrder    *order = orderer->order;
	bool		is_first = order->keys == NIL;
	Var		   *var = column_of(orderer, pathkey);
	const MtCollectionColumn *column;

	if (var == NULL)
		return false;
	column = &orderer->columns[var->varattno - 1];
	if (!sorts_alike(column, pathkey))
		return false;
	if (!is_first && !is_never_null(orderer, var->varattno - 1))
	{
		if (strcmp(column->path, "_id") != 0)
			return false;
		order->never_null = lappend_int(order->never_null, var->varattno - 1);
	}
	if (!is_first && (column->class == MT_COMPARE_FLOAT || mt_column_runs(column) > 1))
		return false;
	order->keys = lappend(order->keys, list_make2_int(var->varattno - 1, !mt_compat_pathkey_ascends(pathkey)));
	return true;
}

/* ---- segments ---- */

/* A clause's exact condition, or NIL. */
static List *
ship(const Orderer *orderer, Expr *clause)
{
	bool		exact;
	List	   *condition = mt_collection_ship(orderer->root, orderer->baserel->relid, orderer->columns, clause,
											   orderer->values, &exact);

	return condition != NIL && exact ? mt_condition_exact(condition) : NIL;
}

static List *
ship_null_test(const Orderer *orderer, Var *var, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) var;
	test->nulltesttype = type;
	test->location = -1;
	return ship(orderer, (Expr *) test);
}

/* The column against NaN, by an operator of the order's family. */
static List *
ship_nan_test(const Orderer *orderer, Var *var, Oid family, int strategy)
{
	Oid			operator = get_opfamily_member(family, FLOAT8OID, FLOAT8OID, (int16) strategy);
	Const	   *nan = makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(get_float8_nan()), false,
								FLOAT8PASSBYVAL);

	return ship(orderer, make_opclause(operator, BOOLOID, false, (Expr *) var, (Expr *) nan, InvalidOid, InvalidOid));
}

/* One segment for each run, merged. */
static List *
run_segments(int column, int n_runs)
{
	List	   *segments = NIL;

	for (int run = 0; run < n_runs; run++)
		segments = lappend(segments,
						   make_segment(0, false, run < n_runs - 1, list_make1(mt_condition_run(column, run))));
	return segments;
}

/* What is not NULL, in order. */
static bool
value_segments(const Orderer *orderer, Var *var, PathKey *pathkey, bool needs_condition, List **segments)
{
	int			n_runs = mt_column_runs(&orderer->columns[var->varattno - 1]);
	List	   *values;
	List	   *nan;

	if (n_runs > 1)
	{
		*segments = run_segments(var->varattno - 1, n_runs);
		return true;
	}
	if (orderer->columns[var->varattno - 1].class != MT_COMPARE_FLOAT)
	{
		values = needs_condition ? ship_null_test(orderer, var, IS_NOT_NULL) : NIL;
		*segments = list_make1(segment(0, values));
		return values != NIL || !needs_condition;
	}
	values = ship_nan_test(orderer, var, pathkey->pk_opfamily, BTLessStrategyNumber);
	nan = ship_nan_test(orderer, var, pathkey->pk_opfamily, BTEqualStrategyNumber);
	if (values == NIL || nan == NIL)
		return false;
	*segments = mt_compat_pathkey_ascends(pathkey) ?
		list_make2(segment(0, values), segment(1, nan)) :
		list_make2(segment(1, nan), segment(0, values));
	return true;
}

/*
 * What does not convert, where that is an error: it is looked for when all rows
 * were wanted, so that none is missing without a word.
 */
static List *
rest_segment(const MtOrder *order)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, order->segments)
		others = list_concat(others, mt_segment_conditions(lfirst(cell)));
	return make_segment(list_length(order->keys), true, false, others);
}

static bool
add_segments(Orderer *orderer, PathKey *pathkey)
{
	MtOrder    *order = orderer->order;
	Var		   *var = column_of(orderer, pathkey);
	bool		has_nulls = !is_never_null(orderer, var->varattno - 1);
	List	   *null = NIL;

	if (!value_segments(orderer, var, pathkey, has_nulls, &order->segments))
		return false;
	if (!has_nulls)
		return true;
	null = ship_null_test(orderer, var, IS_NULL);
	if (null == NIL)
		return false;
	null = segment(1, null);
	order->segments = pathkey->pk_nulls_first ? lcons(null, order->segments) : lappend(order->segments, null);
	if (!orderer->columns[var->varattno - 1].null_on_mismatch)
		order->segments = lappend(order->segments, rest_segment(order));
	return true;
}

MtOrder *
mt_order_plan(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionColumn *columns, List *pathkeys,
			  List *conditions, List **values)
{
	MtOrder    *order = palloc0(sizeof *order);
	Orderer		orderer = {root, baserel, columns, conditions, values, order};
	ListCell   *cell;

	foreach(cell, pathkeys)
		if (!add_key(&orderer, lfirst(cell)))
			return NULL;
	return order->keys != NIL && add_segments(&orderer, linitial(pathkeys)) ? order : NULL;
}

/* Does the index's order of the column's values depend on a collation that it has? */
static bool
is_collated(const MtCollectionIndex *index, const MtCollectionColumn *column)
{
	return index->has_collation && column->class == MT_COMPARE_TEXT;
}

bool
mt_order_has_index(const MtOrder *order, const MtCollectionColumn *columns, List *indexes)
{
	ListCell   *cell;

	foreach(cell, indexes)
	{
		MtCollectionIndex *index = lfirst(cell);
		ListCell   *key;
		int			i = 0;
		bool		turned = false;
		bool		fits = index->n_fields >= list_length(order->keys) && !index->is_sparse && !index->is_wildcard;

		foreach(key, order->keys)
		{
			const MtIndexField *field = &index->fields[i];
			const MtCollectionColumn *column = &columns[linitial_int((List *) lfirst(key))];
			bool		descends = lsecond_int((List *) lfirst(key)) != 0;

			if (!fits)
				break;
			if (i == 0)
				turned = descends != field->descends;
			fits = !field->is_hashed && (descends != field->descends) == turned && !is_collated(index, column) &&
				strcmp(field->path, column->path) == 0;
			i++;
		}
		if (fits)
			return true;
	}
	return false;
}
