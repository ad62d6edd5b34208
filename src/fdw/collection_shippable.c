/*
 * collection_shippable.c
 *		Which clauses a find's filter can help with.
 *
 * Only what is known to give a superset is taken: operators of the btree
 * family of the column's own type, by their strategy, on the bare column.  A
 * cast of the column is another value, which MongoDB does not know.  What has
 * an exact form stands at the top of collection_typed.c.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "base/collation.h"
#include "compat.h"
#include "fdw/collection_arm.h"
#include "fdw/collection_shippable.h"

typedef struct Shipper
{
	PlannerInfo *root;
	Index		relid;
	const MtCollectionColumn *columns;
	List	  **values;
	bool		exact;			/* of all leaves so far */
} Shipper;

static List *ship(Shipper *shipper, Node *clause);

/* ---- columns and values ---- */

/*
 * The index of the column that an expression is, -1 when it is none that can
 * be sent.  A relabelled one has the same value: a varchar as text, a domain
 * as its base type.
 */
static int
column_of(const Shipper *shipper, Node *node)
{
	Var		   *var;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	if (node == NULL || !IsA(node, Var) || var->varno != (int) shipper->relid || var->varlevelsup != 0 ||
		var->varattno <= 0)
		return -1;
	return shipper->columns[var->varattno - 1].is_sendable ? var->varattno - 1 : -1;
}

/* Is the value the same for every row of a scan, and known before it? */
static bool
is_value(const Shipper *shipper, Node *node)
{
	return !bms_is_member((int) shipper->relid, pull_varnos(shipper->root, node)) &&
		!contain_volatile_functions(node) && !contain_subplans(node);
}

/* A leaf in its superset form; can_be_exact: it has the other, too. */
static List *
leaf(Shipper *shipper, MtConditionKind kind, int column, int strategy, Oid type, int value, bool can_be_exact)
{
	List	   *result = list_make4_int((int) kind, column, strategy, (int) type);

	shipper->exact &= can_be_exact;
	return lappend_int(lappend_int(result, value), false);
}

MtLeaf
mt_condition_leaf(List *condition)
{
	MtLeaf		result;

	result.kind = (MtConditionKind) list_nth_int(condition, 0);
	result.column = list_nth_int(condition, 1);
	result.strategy = list_nth_int(condition, 2);
	result.type = (Oid) list_nth_int(condition, 3);
	result.value = list_nth_int(condition, 4);
	result.exact = list_nth_int(condition, 5) != 0;
	return result;
}

List *
mt_condition_exact(List *condition)
{
	List	   *arms = NIL;
	ListCell   *cell;

	if (IsA(condition, IntList))
	{
		List	   *copy = list_copy(condition);

		lfirst_int(list_tail(copy)) = true;
		return copy;
	}
	foreach(cell, (List *) lsecond(condition))
		arms = lappend(arms, mt_condition_exact(lfirst(cell)));
	return list_make2(linitial(condition), arms);
}

bool
mt_conditions_are_exact(List *conditions)
{
	ListCell   *cell;

	foreach(cell, conditions)
	{
		List	   *condition = lfirst(cell);
		bool		is_exact = IsA(condition, IntList) ? mt_condition_leaf(condition).exact :
			mt_conditions_are_exact(lsecond(condition));

		if (!is_exact)
			return false;
	}
	return true;
}

bool
mt_conditions_have_exact(List *conditions)
{
	ListCell   *cell;

	foreach(cell, conditions)
	{
		List	   *condition = lfirst(cell);
		bool		has_exact = IsA(condition, IntList) ? mt_condition_leaf(condition).exact :
			mt_conditions_have_exact(lsecond(condition));

		if (has_exact)
			return true;
	}
	return false;
}

/* ---- operators ---- */

static bool
is_equality_only(MtCompareClass class)
{
	return class == MT_COMPARE_BOOL || class == MT_COMPARE_UUID;
}

/* The types of values that a class is compared with. */
static bool
takes_type(const MtCollectionColumn *column, Oid type)
{
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			return type == INT2OID || type == INT4OID || type == INT8OID;
		case MT_COMPARE_FLOAT:
			return type == FLOAT4OID || type == FLOAT8OID;
		case MT_COMPARE_TEXT:
			return type == TEXTOID;
		default:
			return type == column->base_type;
	}
}

bool
mt_collection_ships_equality(const MtCollectionColumn *column)
{
	return column->name != NULL && column->is_sendable && !column->is_whole && column->class != MT_COMPARE_NONE;
}

/*
 * The strategy of an operator between a column, on its left, and a value; 0
 * when MongoDB's would be another comparison.
 */
static int
strategy_of(const MtCollectionColumn *column, Oid operator, Oid collation, Oid *value_type)
{
	Oid			left;
	Oid			wanted_left = column->class == MT_COMPARE_TEXT ? TEXTOID : column->base_type;
	Oid			class;
	Oid			family;
	int			strategy;
	Oid			negator;

	if (!mt_collection_ships_equality(column))
		return 0;
	op_input_types(operator, &left, value_type);
	if (left != wanted_left || !takes_type(column, *value_type))
		return 0;
	class = GetDefaultOpClass(wanted_left, BTREE_AM_OID);
	if (!OidIsValid(class))
		return 0;
	family = get_opclass_family(class);
	strategy = get_op_opfamily_strategy(operator, family);
	if (strategy == 0)
	{
		negator = get_negator(operator);
		if (!OidIsValid(negator) || get_op_opfamily_strategy(negator, family) != BTEqualStrategyNumber)
			return 0;
		strategy = MT_NOT_EQUAL_STRATEGY;
	}
	if (strategy == BTEqualStrategyNumber || strategy == MT_NOT_EQUAL_STRATEGY)
		return column->class != MT_COMPARE_TEXT ||
			(OidIsValid(collation) && get_collation_isdeterministic(collation)) ? strategy : 0;
	if (is_equality_only(column->class))
		return 0;
	return column->class != MT_COMPARE_TEXT ||
		(OidIsValid(collation) && mt_collation_is_c(collation)) ? strategy : 0;
}

/* Equality needs no more than that no array is in the way. */
static bool
is_exact_comparison(const MtCollectionColumn *column, int strategy)
{
	return strategy == BTEqualStrategyNumber ? mt_column_can_be_exact(column) : mt_column_has_typed_form(column);
}

static List *
compare(Shipper *shipper, int column, int strategy, Oid type, void *value)
{
	*shipper->values = lappend(*shipper->values, value);
	return leaf(shipper, MT_CONDITION_COMPARE, column, strategy, type, list_length(*shipper->values) - 1,
				is_exact_comparison(&shipper->columns[column], strategy));
}

static List *
ship_operator(Shipper *shipper, OpExpr *clause)
{
	Node	   *left = linitial(clause->args);
	Node	   *right;
	Oid			operator = clause->opno;
	Oid			value_type;
	int			column;
	int			strategy;

	if (list_length(clause->args) != 2)
		return NIL;
	right = lsecond(clause->args);
	column = column_of(shipper, left);
	if (column < 0)
	{
		column = column_of(shipper, right);
		right = left;
		operator = get_commutator(operator);
	}
	if (column < 0 || !OidIsValid(operator) || !is_value(shipper, right))
		return NIL;
	strategy = strategy_of(&shipper->columns[column], operator, clause->inputcollid, &value_type);
	if (strategy == 0)
		return NIL;
	return compare(shipper, column, strategy, value_type, right);
}

/* column = ANY (array), what IN becomes. */
static List *
ship_any(Shipper *shipper, ScalarArrayOpExpr *clause)
{
	int			column = column_of(shipper, linitial(clause->args));
	Node	   *array = lsecond(clause->args);
	Oid			value_type;

	if (!clause->useOr || column < 0 || !is_value(shipper, array) ||
		strategy_of(&shipper->columns[column], clause->opno, clause->inputcollid,
					&value_type) != BTEqualStrategyNumber ||
		get_element_type(exprType(array)) != value_type)
		return NIL;
	*shipper->values = lappend(*shipper->values, array);
	return leaf(shipper, MT_CONDITION_ANY, column, BTEqualStrategyNumber, value_type,
				list_length(*shipper->values) - 1, mt_column_can_be_exact(&shipper->columns[column]));
}

/* ---- truth values ---- */

/* A boolean column that must be that. */
static List *
ship_bool(Shipper *shipper, Node *node, bool wanted)
{
	int			column = column_of(shipper, node);

	if (column < 0 || shipper->columns[column].class != MT_COMPARE_BOOL)
		return NIL;
	return compare(shipper, column, BTEqualStrategyNumber, BOOLOID, makeBoolConst(wanted, false));
}

/*
 * IS NULL.  Under on_mismatch 'null' it holds for every value that does not
 * convert, so it is sent only where those that do can be told.
 */
static List *
ship_null(Shipper *shipper, Node *node, bool wanted)
{
	int			index = column_of(shipper, node);
	const MtCollectionColumn *column;

	if (index < 0)
		return NIL;
	column = &shipper->columns[index];
	if (!wanted)
		return leaf(shipper, MT_CONDITION_NOT_NULL, index, 0, InvalidOid, -1, mt_column_has_typed_form(column));
	if (column->null_on_mismatch && !mt_column_has_typed_form(column))
		return NIL;
	return leaf(shipper, MT_CONDITION_NULL, index, 0, InvalidOid, -1, mt_column_can_be_exact(column));
}

static List *
ship_boolean_test(Shipper *shipper, BooleanTest *test)
{
	switch (test->booltesttype)
	{
		case IS_TRUE:
			return ship_bool(shipper, (Node *) test->arg, true);
		case IS_FALSE:
			return ship_bool(shipper, (Node *) test->arg, false);
		case IS_UNKNOWN:
			return ship_null(shipper, (Node *) test->arg, true);
		case IS_NOT_UNKNOWN:
			return ship_null(shipper, (Node *) test->arg, false);
		default:
			return NIL;
	}
}

/* Every arm of an OR must help; of an AND, whichever do. */
static List *
ship_boolean(Shipper *shipper, BoolExpr *clause)
{
	bool		is_or = clause->boolop == OR_EXPR;
	int			n_values = list_length(*shipper->values);
	List	   *conditions = NIL;
	ListCell   *cell;

	if (clause->boolop == NOT_EXPR)
		return ship_bool(shipper, linitial(clause->args), false);
	foreach(cell, clause->args)
	{
		List	   *condition = ship(shipper, lfirst(cell));

		if (condition != NIL)
			conditions = lappend(conditions, condition);
		else if (!is_or)
			shipper->exact = false;
		else
		{
			*shipper->values = list_truncate(*shipper->values, n_values);
			return NIL;
		}
	}
	if (conditions == NIL)
		return NIL;
	return list_make2(makeInteger(is_or ? MT_CONDITION_OR : MT_CONDITION_AND), conditions);
}

static List *
ship(Shipper *shipper, Node *clause)
{
	switch (nodeTag(clause))
	{
		case T_RestrictInfo:
			return ship(shipper, (Node *) ((RestrictInfo *) clause)->clause);
		case T_BoolExpr:
			return ship_boolean(shipper, (BoolExpr *) clause);
		case T_OpExpr:
			return ship_operator(shipper, (OpExpr *) clause);
		case T_ScalarArrayOpExpr:
			return ship_any(shipper, (ScalarArrayOpExpr *) clause);
		case T_NullTest:
			if (((NullTest *) clause)->argisrow)
				return NIL;
			return ship_null(shipper, (Node *) ((NullTest *) clause)->arg,
							 ((NullTest *) clause)->nulltesttype == IS_NULL);
		case T_BooleanTest:
			return ship_boolean_test(shipper, (BooleanTest *) clause);
		case T_Var:
		case T_RelabelType:
			return ship_bool(shipper, clause, true);
		default:
			return NIL;
	}
}

List *
mt_collection_ship(PlannerInfo *root, Index relid, const MtCollectionColumn *columns, Expr *clause,
				   List **values, bool *exact)
{
	Shipper		shipper = {root, relid, columns, values, true};
	List	   *condition = ship(&shipper, (Node *) clause);

	*exact = condition != NIL && shipper.exact;
	return condition;
}
