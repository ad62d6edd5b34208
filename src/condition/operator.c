/*
 * operator.c
 *		What an operator between a column and a value is to MongoDB.
 *
 * Operators are known by the strategy that they have in the btree family of
 * their type, LIKE and ^@ by their function.  A cast of the column is another
 * value, which MongoDB does not know, unless it keeps every value and their
 * order.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/collation.h"
#include "condition/operator.h"

/* Casts of a column that lose nothing. */
static const struct
{
	Oid			from;
	Oid			to;
}			exact_casts[] =
{
	{INT2OID, INT4OID},
	{INT2OID, INT8OID},
	{INT2OID, FLOAT4OID},
	{INT2OID, FLOAT8OID},
	{INT2OID, NUMERICOID},
	{INT4OID, INT8OID},
	{INT4OID, FLOAT8OID},
	{INT4OID, NUMERICOID},
	{INT8OID, NUMERICOID},
	{FLOAT4OID, FLOAT8OID},
	{DATEOID, TIMESTAMPOID},
};

static bool
is_exact_cast(const FuncExpr *cast)
{
	Oid			from;
	Oid			function;

	if (list_length(cast->args) != 1)
		return false;
	from = exprType(linitial(cast->args));
	for (size_t i = 0; i < lengthof(exact_casts); i++)
		if (exact_casts[i].from == from && exact_casts[i].to == cast->funcresulttype)
			return find_coercion_pathway(cast->funcresulttype, from, COERCION_EXPLICIT, &function) ==
				COERCION_PATH_FUNC && function == cast->funcid;
	return false;
}

Node *
mt_without_exact_casts(Node *node)
{
	for (;;)
	{
		if (node != NULL && IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (node != NULL && IsA(node, FuncExpr) && is_exact_cast((FuncExpr *) node))
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

/* ---- types ---- */

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

static bool
are_numbers(Oid left, Oid right)
{
	return (is_integer(left) && is_integer(right)) || (is_float(left) && is_float(right)) ||
		(left == NUMERICOID && right == NUMERICOID);
}

static bool
is_time(Oid type)
{
	return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

/* Is a column that reads as column_type compared by the value of value_type itself? */
static bool
takes_types(const MtCollectionColumn *column, Oid column_type, Oid value_type)
{
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_FLOAT:
		case MT_COMPARE_NUMERIC:
			return are_numbers(column_type, value_type);
		case MT_COMPARE_TEXT:
			/* a varchar is compared as the text that it is */
			return (column_type == TEXTOID || column_type == VARCHAROID) && value_type == column_type;
		case MT_COMPARE_TIMESTAMP:
			/* a timestamp that is compared with a timestamptz is first cast, by the session's time zone */
			return column_type == column->base_type &&
				(value_type == column_type || value_type == DATEOID ||
				 (column_type == TIMESTAMPTZOID && value_type == TIMESTAMPOID));
		case MT_COMPARE_DATE:
			return (column_type == DATEOID || column_type == TIMESTAMPOID) &&
				(value_type == DATEOID || value_type == TIMESTAMPOID);
		default:
			return column_type == column->base_type && value_type == column_type;
	}
}

/* ---- strategies ---- */

static int
pattern_strategy(Oid operator)
{
	switch (get_opcode(operator))
	{
		case F_TEXTLIKE:
			return MT_LIKE_STRATEGY;
		case F_TEXTNLIKE:
			return MT_NOT_LIKE_STRATEGY;
		case F_STARTS_WITH:
			return MT_PREFIX_STRATEGY;
		default:
			return 0;
	}
}

/* By the btree family of the operator's left type. */
static int
btree_strategy(Oid operator)
{
	Oid			left;
	Oid			right;
	Oid			family;
	Oid			negator;
	int			strategy;

	op_input_types(operator, &left, &right);
	if (left == ANYELEMENTOID || left == ANYARRAYOID)
		return 0;
	family = lookup_type_cache(left, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	if (!OidIsValid(family))
		return 0;
	strategy = get_op_opfamily_strategy(operator, family);
	if (strategy != 0)
		return strategy;
	negator = get_negator(operator);
	return OidIsValid(negator) && get_op_opfamily_strategy(negator, family) == BTEqualStrategyNumber ?
		MT_NOT_EQUAL_STRATEGY : 0;
}

static bool
is_order(int strategy)
{
	return strategy != BTEqualStrategyNumber && strategy <= BTMaxStrategyNumber;
}

/* Is that what the class's values are to MongoDB, too? */
static bool
is_sound(const MtCollectionColumn *column, int strategy, Oid collation)
{
	switch (column->class)
	{
		case MT_COMPARE_BYTES:
			return strategy == BTEqualStrategyNumber;
		case MT_COMPARE_BOOL:
			return !is_order(strategy);
		case MT_COMPARE_BPCHAR:
			return !is_order(strategy) && OidIsValid(collation) && get_collation_isdeterministic(collation);
		case MT_COMPARE_TEXT:
			return OidIsValid(collation) && (is_order(strategy) ? mt_collation_is_c(collation) :
											 get_collation_isdeterministic(collation));
		default:
			return true;
	}
}

int
mt_operator_strategy(const MtCollectionColumn *column, Oid column_type, Oid value_type, Oid operator, Oid collation)
{
	int			strategy = 0;

	if (!takes_types(column, column_type, value_type))
		return 0;
	if (column->class == MT_COMPARE_TEXT)
		strategy = pattern_strategy(operator);
	if (strategy == 0)
		strategy = btree_strategy(operator);
	return strategy != 0 && is_sound(column, strategy, collation) ? strategy : 0;
}

int
mt_number_strategy(Oid left, Oid right, Oid operator)
{
	return are_numbers(left, right) ? btree_strategy(operator) : 0;
}

int
mt_times_strategy(Oid left, Oid right, Oid operator)
{
	return is_time(left) && is_time(right) ? btree_strategy(operator) : 0;
}

int
mt_negated_strategy(int strategy)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return BTGreaterEqualStrategyNumber;
		case BTLessEqualStrategyNumber:
			return BTGreaterStrategyNumber;
		case BTEqualStrategyNumber:
			return MT_NOT_EQUAL_STRATEGY;
		case BTGreaterEqualStrategyNumber:
			return BTLessStrategyNumber;
		case BTGreaterStrategyNumber:
			return BTLessEqualStrategyNumber;
		case MT_NOT_EQUAL_STRATEGY:
			return BTEqualStrategyNumber;
		case MT_LIKE_STRATEGY:
			return MT_NOT_LIKE_STRATEGY;
		case MT_NOT_LIKE_STRATEGY:
			return MT_LIKE_STRATEGY;
		case MT_PREFIX_STRATEGY:
			return MT_NOT_PREFIX_STRATEGY;
		default:
			return MT_PREFIX_STRATEGY;
	}
}
