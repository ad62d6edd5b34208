/*
 * condition.c
 *		Conditions as lists, which a plan can carry.
 */
#include "postgres.h"

#include "condition/arm.h"
#include "condition/shippable.h"

/* The form of a leaf, in its list. */
enum
{
	FORM_SUPERSET,
	FORM_EXACT,
	FORM_EXPRESSION
};

/* The places in a leaf's list; the members of MtLeaf. */
enum
{
	PLACE_KIND,
	PLACE_COLUMN,
	PLACE_STRATEGY,
	PLACE_TYPE,
	PLACE_VALUE,
	PLACE_PATH,
	PLACE_NESTED,
	PLACE_DAYS,
	PLACE_ZONES,
	PLACE_RUN,
	PLACE_FORM
};

List *
mt_condition_new(const MtLeaf *leaf)
{
	List	   *result = list_make5_int((int) leaf->kind, leaf->column, leaf->strategy, (int) leaf->type, leaf->value);

	result = lappend_int(lappend_int(result, leaf->path), leaf->nested);
	result = lappend_int(lappend_int(result, leaf->days), leaf->zones);
	return lappend_int(lappend_int(result, leaf->run),
					   leaf->is_expression ? FORM_EXPRESSION : leaf->exact ? FORM_EXACT : FORM_SUPERSET);
}

MtLeaf
mt_condition_leaf(List *condition)
{
	MtLeaf		result;
	int			form = list_nth_int(condition, PLACE_FORM);

	result.kind = (MtConditionKind) list_nth_int(condition, PLACE_KIND);
	result.column = list_nth_int(condition, PLACE_COLUMN);
	result.strategy = list_nth_int(condition, PLACE_STRATEGY);
	result.type = (Oid) list_nth_int(condition, PLACE_TYPE);
	result.value = list_nth_int(condition, PLACE_VALUE);
	result.path = list_nth_int(condition, PLACE_PATH);
	result.nested = list_nth_int(condition, PLACE_NESTED);
	result.days = list_nth_int(condition, PLACE_DAYS);
	result.zones = list_nth_int(condition, PLACE_ZONES);
	result.run = list_nth_int(condition, PLACE_RUN);
	result.exact = form != FORM_SUPERSET;
	result.is_expression = form == FORM_EXPRESSION;
	return result;
}

static List *
exact_leaf(MtConditionKind kind, int column, int strategy)
{
	MtLeaf		leaf = MT_NEW_LEAF;

	leaf.kind = kind;
	leaf.column = column;
	leaf.strategy = strategy;
	leaf.exact = true;
	return mt_condition_new(&leaf);
}

List *
mt_condition_of_column(MtConditionKind kind, int column)
{
	return exact_leaf(kind, column, 0);
}

List *
mt_condition_run(int column, int run)
{
	return exact_leaf(MT_CONDITION_RUN, column, run);
}

/* Comparisons but equality have an arm for each run. */
List *
mt_condition_of_run(List *condition, const MtCollectionColumn *columns, List *run)
{
	MtLeaf		of = mt_condition_leaf(run);
	MtLeaf		leaf;
	List	   *copy;

	if (!IsA(condition, IntList))
		return NIL;
	leaf = mt_condition_leaf(condition);
	if (!leaf.exact || leaf.kind != MT_CONDITION_COMPARE || leaf.column != of.column ||
		leaf.strategy == BTEqualStrategyNumber ||
		(columns[leaf.column].class == MT_COMPARE_UUID && leaf.strategy == MT_NOT_EQUAL_STRATEGY))
		return NIL;
	copy = list_copy(condition);
	list_nth_cell(copy, PLACE_RUN)->int_value = of.strategy;
	return copy;
}

static List *
in_form(List *condition, int form)
{
	List	   *arms = NIL;
	ListCell   *cell;

	if (IsA(condition, IntList))
	{
		List	   *copy = list_copy(condition);

		list_nth_cell(copy, PLACE_FORM)->int_value = form;
		return copy;
	}
	foreach(cell, (List *) lsecond(condition))
		arms = lappend(arms, in_form(lfirst(cell), form));
	return list_make2(linitial(condition), arms);
}

List *
mt_condition_exact(List *condition)
{
	return in_form(condition, FORM_EXACT);
}

List *
mt_condition_expression(List *condition)
{
	return in_form(condition, FORM_EXPRESSION);
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
