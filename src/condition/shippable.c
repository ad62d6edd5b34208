/*
 * shippable.c
 *		Which clauses a find's filter can help with.
 *
 * Only what is known to give a superset is taken.  NOT is moved down to the
 * comparisons, by De Morgan's laws, which hold for NULL, too.  Which clauses
 * have an exact form stands at the top of typed.c.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "condition/arm.h"
#include "condition/json.h"
#include "condition/shippable.h"
#include "condition/time.h"

typedef struct Shipper
{
	PlannerInfo *root;
	Index		relid;
	const MtCollectionColumn *columns;
	List	  **values;
	bool		exact;			/* of all leaves so far */
} Shipper;

/* ---- columns and values ---- */

/* The index of the column that an expression is, as it is read, -1 when it is
 * none that can be sent. */
static int
column_of(const Shipper *shipper, Node *node)
{
	Var		   *var = (Var *) mt_without_exact_casts(node);

	if (var == NULL || !IsA(var, Var) || var->varno != (int) shipper->relid || var->varlevelsup != 0 ||
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
	MtLeaf		leaf = MT_NEW_LEAF;

	shipper->exact &= can_be_exact;
	leaf.kind = kind;
	leaf.column = column;
	leaf.strategy = strategy;
	leaf.type = type;
	leaf.value = value;
	return mt_condition_new(&leaf);
}

static int
add_value(Shipper *shipper, void *value)
{
	*shipper->values = lappend(*shipper->values, value);
	return list_length(*shipper->values) - 1;
}

/* ---- operators ---- */

bool
mt_collection_ships_equality(const MtCollectionColumn *column)
{
	return column->name != NULL && column->is_sendable && !column->is_whole && column->class != MT_COMPARE_NONE;
}

/* Equality needs no more than that no array is in the way; but bytes are of many kinds. */
static bool
is_exact_comparison(const MtCollectionColumn *column, int strategy)
{
	if (strategy == BTEqualStrategyNumber)
		return column->class != MT_COMPARE_BYTES && mt_column_can_be_exact(column);
	return mt_column_has_typed_form(column);
}

static bool
is_exact_null(const MtCollectionColumn *column)
{
	return column->null_on_mismatch ? mt_column_has_typed_form(column) : mt_column_can_be_exact(column);
}

static List *
compare(Shipper *shipper, MtConditionKind kind, int column, int strategy, Oid type, void *value)
{
	return leaf(shipper, kind, column, strategy, type, add_value(shipper, value),
				is_exact_comparison(&shipper->columns[column], strategy));
}

/* An operator's column, and the value that it is compared with. */
typedef struct Comparison
{
	int			column;
	int			strategy;
	Node	   *value;
	Oid			value_type;
} Comparison;

/* False: it is no comparison with a column that can be sent. */
static bool
find_comparison(Shipper *shipper, Oid operator, Oid collation, List *args, bool negated, Comparison *found)
{
	Node	   *column = linitial(args);

	if (list_length(args) != 2)
		return false;
	found->value = lsecond(args);
	found->column = column_of(shipper, column);
	if (found->column < 0)
	{
		column = lsecond(args);
		found->value = linitial(args);
		found->column = column_of(shipper, column);
		operator = get_commutator(operator);
	}
	if (found->column < 0 || !OidIsValid(operator) || !is_value(shipper, found->value) ||
		!mt_collection_ships_equality(&shipper->columns[found->column]))
		return false;
	found->value_type = exprType(found->value);
	found->strategy = mt_operator_strategy(&shipper->columns[found->column], exprType(column), found->value_type,
										   operator, collation);
	if (negated && found->strategy != 0)
		found->strategy = mt_negated_strategy(found->strategy);
	return found->strategy != 0;
}

static List *
ship_operator(Shipper *shipper, OpExpr *clause, bool negated)
{
	Comparison	found;

	if (!find_comparison(shipper, clause->opno, clause->inputcollid, clause->args, negated, &found))
		return NIL;
	return compare(shipper, MT_CONDITION_COMPARE, found.column, found.strategy, found.value_type, found.value);
}

/* IS DISTINCT FROM, or not.  What it says depends on whether the value is NULL. */
static List *
ship_distinct(Shipper *shipper, DistinctExpr *clause, bool negated)
{
	Comparison	found;
	const MtCollectionColumn *column;

	if (!find_comparison(shipper, clause->opno, clause->inputcollid, clause->args, !negated, &found))
		return NIL;
	column = &shipper->columns[found.column];
	if (column->null_on_mismatch && !mt_column_has_typed_form(column))
		return NIL;
	shipper->exact &= is_exact_null(column);
	return compare(shipper, negated ? MT_CONDITION_NOT_DISTINCT : MT_CONDITION_DISTINCT, found.column,
				   found.strategy, found.value_type, found.value);
}

/* column operator ANY or ALL (array), what IN and NOT IN become. */
static List *
ship_array_operator(Shipper *shipper, ScalarArrayOpExpr *clause, bool negated)
{
	int			column = column_of(shipper, linitial(clause->args));
	Node	   *array = lsecond(clause->args);
	Oid			type = get_element_type(exprType(array));
	int			strategy;

	if (column < 0 || !is_value(shipper, array) || !OidIsValid(type) ||
		!mt_collection_ships_equality(&shipper->columns[column]))
		return NIL;
	strategy = mt_operator_strategy(&shipper->columns[column], exprType(linitial(clause->args)), type,
									clause->opno, clause->inputcollid);
	if (strategy == 0)
		return NIL;
	return compare(shipper, clause->useOr != negated ? MT_CONDITION_ANY : MT_CONDITION_ALL, column,
				   negated ? mt_negated_strategy(strategy) : strategy, type, array);
}

/* ---- times of which there is a function or a cast ---- */

/* left operator right; kind is that of the clause, not of its negation. */
static List *
ship_time_comparison(Shipper *shipper, MtConditionKind kind, Oid operator, Node *left, Node *right, bool negated)
{
	MtTimeExpression time = mt_time_expression(left);
	MtLeaf		leaf = MT_NEW_LEAF;

	leaf.kind = kind;
	leaf.column = column_of(shipper, time.argument);
	if (leaf.column < 0 || !is_value(shipper, right) || !mt_column_holds_time(&shipper->columns[leaf.column]))
		return NIL;
	leaf.type = kind == MT_CONDITION_TIME ? exprType(right) : get_element_type(exprType(right));
	leaf.strategy = mt_time_strategy(&time, exprType(left), leaf.type, operator);
	if (negated && leaf.strategy != 0)
		leaf.strategy = mt_negated_strategy(leaf.strategy);
	if (leaf.strategy == 0 || leaf.strategy > BTMaxStrategyNumber)
		return NIL;
	leaf.days = time.days;
	leaf.zones = time.zones;
	leaf.value = add_value(shipper, right);
	shipper->exact = false;
	return mt_condition_new(&leaf);
}

static List *
ship_time(Shipper *shipper, Node *clause, bool negated)
{
	OpExpr	   *comparison = (OpExpr *) clause;
	ScalarArrayOpExpr *array = (ScalarArrayOpExpr *) clause;
	List	   *condition;
	Oid			commutator;

	if (IsA(clause, ScalarArrayOpExpr))
		return ship_time_comparison(shipper, array->useOr != negated ? MT_CONDITION_TIME_ANY : MT_CONDITION_TIME_ALL,
									array->opno, linitial(array->args), lsecond(array->args), negated);
	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return NIL;
	condition = ship_time_comparison(shipper, MT_CONDITION_TIME, comparison->opno, linitial(comparison->args),
									 lsecond(comparison->args), negated);
	commutator = get_commutator(comparison->opno);
	if (condition != NIL || !OidIsValid(commutator))
		return condition;
	return ship_time_comparison(shipper, MT_CONDITION_TIME, commutator, lsecond(comparison->args),
								linitial(comparison->args), negated);
}

/* ---- arrays and json ---- */

/* Is the type's own = the one that MongoDB has for the elements of the column? */
static bool
is_element_type(const MtCollectionColumn *column, Oid type, Oid collation)
{
	MtCollectionColumn element = mt_column_element(column);
	Oid			equal = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;

	return element.class != MT_COMPARE_NONE && OidIsValid(equal) &&
		mt_operator_strategy(&element, type, type, equal, collation) == BTEqualStrategyNumber;
}

static List *
ship_elements(Shipper *shipper, MtElementsTest test, Node *array, Node *value, Oid collation)
{
	int			column = column_of(shipper, array);
	Oid			type = get_element_type(exprType(array));

	if (column < 0 || !OidIsValid(type) || !is_value(shipper, value) ||
		!is_element_type(&shipper->columns[column], type, collation) ||
		exprType(value) != (test == MT_ELEMENTS_HAVE ? type : exprType(array)))
		return NIL;
	return leaf(shipper, MT_CONDITION_ELEMENTS, column, (int) test, type, add_value(shipper, value), false);
}

/* value = ANY (column) */
static List *
ship_element(Shipper *shipper, ScalarArrayOpExpr *clause)
{
	Oid			left;
	Oid			right;

	op_input_types(clause->opno, &left, &right);
	if (!clause->useOr || left != right || clause->opno != lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr)
		return NIL;
	return ship_elements(shipper, MT_ELEMENTS_HAVE, lsecond(clause->args), linitial(clause->args),
						 clause->inputcollid);
}

/* column @> value, column && value, and what says the same from the other side */
static List *
ship_array_column(Shipper *shipper, OpExpr *clause)
{
	Node	   *left = linitial(clause->args);
	Node	   *right = llast(clause->args);

	switch (get_opcode(clause->opno))
	{
		case F_ARRAYCONTAINS:
			return ship_elements(shipper, MT_ELEMENTS_HAVE_ALL, left, right, clause->inputcollid);
		case F_ARRAYCONTAINED:
			return ship_elements(shipper, MT_ELEMENTS_HAVE_ALL, right, left, clause->inputcollid);
		case F_ARRAYOVERLAP:
			if (column_of(shipper, left) < 0)
				return ship_elements(shipper, MT_ELEMENTS_HAVE_ANY, right, left, clause->inputcollid);
			return ship_elements(shipper, MT_ELEMENTS_HAVE_ANY, left, right, clause->inputcollid);
		default:
			return NIL;
	}
}

static List *
ship_json(Shipper *shipper, Node *node)
{
	MtJsonClause clause = mt_json_clause(node);
	const Var  *var = clause.column;
	MtLeaf		leaf = MT_NEW_LEAF;

	if (clause.test == MT_JSON_NONE || var->varno != (int) shipper->relid || var->varlevelsup != 0 ||
		var->varattno <= 0 || !mt_column_holds_json(&shipper->columns[var->varattno - 1]) ||
		(clause.value != NULL && !is_value(shipper, clause.value)))
		return NIL;
	leaf.kind = MT_CONDITION_JSON;
	leaf.column = var->varattno - 1;
	leaf.strategy = (int) clause.test + 256 * clause.strategy;
	leaf.type = clause.type;
	leaf.nested = clause.nested;
	if (clause.value != NULL)
		leaf.value = add_value(shipper, clause.value);
	leaf.path = add_value(shipper, makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
											 CStringGetTextDatum(clause.path), false, false));
	shipper->exact = false;
	return mt_condition_new(&leaf);
}

/* What is sent of a column that is no scalar. */
static List *
ship_composed(Shipper *shipper, Node *clause)
{
	List	   *condition = NIL;

	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
		condition = ship_array_column(shipper, (OpExpr *) clause);
	else if (IsA(clause, ScalarArrayOpExpr))
		condition = ship_element(shipper, (ScalarArrayOpExpr *) clause);
	return condition != NIL ? condition : ship_json(shipper, clause);
}

/* ---- truth values ---- */

/* A boolean column that must be that. */
static List *
ship_bool(Shipper *shipper, Node *node, bool wanted)
{
	int			column = column_of(shipper, node);

	if (column < 0 || shipper->columns[column].class != MT_COMPARE_BOOL)
		return NIL;
	return compare(shipper, MT_CONDITION_COMPARE, column, BTEqualStrategyNumber, BOOLOID,
				   makeBoolConst(wanted, false));
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
	return leaf(shipper, MT_CONDITION_NULL, index, 0, InvalidOid, -1, is_exact_null(column));
}

/* A boolean column that must not be that: the other, or NULL. */
static List *
ship_not_bool(Shipper *shipper, Node *node, bool unwanted)
{
	int			n_values = list_length(*shipper->values);
	List	   *other = ship_bool(shipper, node, !unwanted);
	List	   *null = other != NIL ? ship_null(shipper, node, true) : NIL;

	if (null != NIL)
		return list_make2(makeInteger(MT_CONDITION_OR), list_make2(other, null));
	*shipper->values = list_truncate(*shipper->values, n_values);
	return NIL;
}

static List *ship(Shipper *shipper, Node *clause, bool negated);

static BoolTestType
negated_test(BoolTestType test)
{
	switch (test)
	{
		case IS_TRUE:
			return IS_NOT_TRUE;
		case IS_NOT_TRUE:
			return IS_TRUE;
		case IS_FALSE:
			return IS_NOT_FALSE;
		case IS_NOT_FALSE:
			return IS_FALSE;
		case IS_UNKNOWN:
			return IS_NOT_UNKNOWN;
		default:
			return IS_UNKNOWN;
	}
}

/* What is true passes, and what must be false is the negation that does. */
static List *
ship_boolean_test(Shipper *shipper, BooleanTest *test, bool negated)
{
	Node	   *arg = (Node *) test->arg;

	switch (negated ? negated_test(test->booltesttype) : test->booltesttype)
	{
		case IS_TRUE:
			return ship(shipper, arg, false);
		case IS_FALSE:
			return ship(shipper, arg, true);
		case IS_NOT_TRUE:
			return ship_not_bool(shipper, arg, true);
		case IS_NOT_FALSE:
			return ship_not_bool(shipper, arg, false);
		case IS_UNKNOWN:
			return ship_null(shipper, arg, true);
		default:
			return ship_null(shipper, arg, false);
	}
}

/* Every arm of an OR must help; of an AND, whichever do. */
static List *
ship_boolean(Shipper *shipper, BoolExpr *clause, bool negated)
{
	bool		is_or = (clause->boolop == OR_EXPR) != negated;
	int			n_values = list_length(*shipper->values);
	List	   *conditions = NIL;
	ListCell   *cell;

	if (clause->boolop == NOT_EXPR)
		return ship(shipper, linitial(clause->args), !negated);
	foreach(cell, clause->args)
	{
		List	   *condition = ship(shipper, lfirst(cell), negated);

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

/* The condition for a comparison of a scalar column, or for its negation. */
static List *
ship_scalar(Shipper *shipper, Node *clause, bool negated)
{
	NullTest   *test;

	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return ship_operator(shipper, (OpExpr *) clause, negated);
		case T_DistinctExpr:
			return ship_distinct(shipper, (DistinctExpr *) clause, negated);
		case T_ScalarArrayOpExpr:
			return ship_array_operator(shipper, (ScalarArrayOpExpr *) clause, negated);
		case T_NullTest:
			test = (NullTest *) clause;
			return test->argisrow ? NIL :
				ship_null(shipper, (Node *) test->arg, (test->nulltesttype == IS_NULL) != negated);
		case T_BooleanTest:
			return ship_boolean_test(shipper, (BooleanTest *) clause, negated);
		case T_Var:
		case T_RelabelType:
			return ship_bool(shipper, clause, !negated);
		default:
			return NIL;
	}
}

/* The condition for a clause, or (De Morgan) for its negation. */
static List *
ship(Shipper *shipper, Node *clause, bool negated)
{
	List	   *condition;

	if (IsA(clause, RestrictInfo))
		return ship(shipper, (Node *) ((RestrictInfo *) clause)->clause, negated);
	if (IsA(clause, BoolExpr))
		return ship_boolean(shipper, (BoolExpr *) clause, negated);
	condition = ship_scalar(shipper, clause, negated);
	if (condition == NIL)
		condition = ship_time(shipper, clause, negated);
	return condition != NIL || negated ? condition : ship_composed(shipper, clause);
}

List *
mt_collection_ship(PlannerInfo *root, Index relid, const MtCollectionColumn *columns, Expr *clause,
				   List **values, bool *exact)
{
	Shipper		shipper = {root, relid, columns, values, true};
	List	   *condition = ship(&shipper, (Node *) clause, false);

	*exact = condition != NIL && shipper.exact;
	return condition;
}
