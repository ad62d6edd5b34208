/*
 * shippable.h
 *		Which clauses a find's filter can help with, as conditions in a form
 *		that a plan can carry.
 *
 * A condition is a superset filter: it holds for every document whose row
 * passes the clause, and perhaps for more, so the clause must be checked here.
 * Where there is an exact one, mt_condition_exact makes it: it holds for just
 * those documents, at any value of its parameters, so that LIMIT or count(*)
 * can be MongoDB's.  It costs MongoDB more.
 */
#ifndef MT_CONDITION_SHIPPABLE_H
#define MT_CONDITION_SHIPPABLE_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "condition/column.h"
#include "condition/operator.h"

/*
 * AND, OR: a list of two, the kind as an Integer and the list of conditions.
 * The others: a list of integers, the members of MtLeaf in their order.
 */
typedef enum MtConditionKind
{
	MT_CONDITION_AND,
	MT_CONDITION_OR,
	MT_CONDITION_COMPARE,		/* column operator value */
	MT_CONDITION_ANY,			/* column operator ANY (value) */
	MT_CONDITION_ALL,			/* column operator ALL (value) */
	MT_CONDITION_DISTINCT,		/* column IS DISTINCT FROM value */
	MT_CONDITION_NOT_DISTINCT,
	MT_CONDITION_NULL,			/* column IS NULL */
	MT_CONDITION_NOT_NULL,
	MT_CONDITION_RUN,			/* the column's value is of a run (arm.h); strategy is its number */
	MT_CONDITION_ELEMENTS,		/* what the column's array holds; strategy is an MtElementsTest */
	MT_CONDITION_JSON,			/* see json.h; strategy is an MtJsonTest, and 256 times a strategy */
	MT_CONDITION_NO_ARRAY,		/* what is equal to a value by its element is not meant */
	MT_CONDITION_TIME,			/* what time.h makes of the column, operator value */
	MT_CONDITION_TIME_ANY,		/* the same, operator ANY (value) */
	MT_CONDITION_TIME_ALL
} MtConditionKind;

typedef enum MtElementsTest
{
	MT_ELEMENTS_HAVE,			/* value = ANY (column) */
	MT_ELEMENTS_HAVE_ANY,		/* column && value */
	MT_ELEMENTS_HAVE_ALL		/* column @> value */
} MtElementsTest;

typedef struct MtLeaf
{
	MtConditionKind kind;
	int			column;			/* index of the attribute */
	int			strategy;		/* of operator.h */
	Oid			type;			/* of the value, or of the array's elements */
	int			value;			/* index in the plan's list of values */
	int			path;			/* the same of the path below a column of json; -1: none */
	int			nested;			/* of MT_CONDITION_JSON: see MtJsonClause */
	int			days;			/* of MT_CONDITION_TIME: see MtTimeExpression */
	int			zones;
	int			run;			/* of the column's values only this run (arm.h); -1: all */
	bool		exact;			/* the form in which it is sent */
	bool		is_expression;	/* which is exact, too */
} MtLeaf;

#define MT_NEW_LEAF {.value = -1, .path = -1, .nested = -1, .run = -1}

/*
 * The condition for a clause, as a superset, NIL when there is none; *exact:
 * has it an exact form?  The expressions of its values, which other tables'
 * columns may stand in, are appended to values.
 */
extern List *mt_collection_ship(PlannerInfo *root, Index relid, const MtCollectionColumn *columns,
								Expr *clause, List **values, bool *exact);

/* Can an equality on this column be sent? */
extern bool mt_collection_ships_equality(const MtCollectionColumn *column);

/* ---- condition.c ---- */

/* A copy of a condition in its exact form, which it must have. */
extern List *mt_condition_exact(List *condition);

/* The same as an aggregation expression, which it must have (expression.c). */
extern List *mt_condition_expression(List *condition);

/* A condition without a value on a column, in its exact form. */
extern List *mt_condition_of_column(MtConditionKind kind, int column);

/* An exact condition: the column's value is of that run. */
extern List *mt_condition_run(int column, int run);

/* The same condition, in exact form, for what is of that run only; NIL: it does
 * not tell them apart. */
extern List *mt_condition_of_run(List *condition, const MtCollectionColumn *columns, List *run);

/* Is any of the conditions in its exact form, are all of them? */
extern bool mt_conditions_have_exact(List *conditions);
extern bool mt_conditions_are_exact(List *conditions);

/* A leaf, and as a condition. */
extern MtLeaf mt_condition_leaf(List *condition);
extern List *mt_condition_new(const MtLeaf *leaf);

#endif							/* MT_CONDITION_SHIPPABLE_H */
