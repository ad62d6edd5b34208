/*
 * time.h
 *		What a clause compares of a column of times in place of it: its day, its
 *		time in another zone, the beginning of its month, its year.
 *
 * Each of these lies near the column's own value.  So a range of that one is a
 * superset, and never exact.
 */
#ifndef MT_CONDITION_TIME_H
#define MT_CONDITION_TIME_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "condition/arm.h"
#include "condition/shippable.h"

/*
 * An expression's value is not later than its argument's, and earlier by no
 * more than the days; but for the difference to universal time, either way, by
 * which it is moved so many times.
 */
typedef struct MtTimeExpression
{
	Node	   *argument;
	bool		is_year;		/* the value is not a time, but its year */
	int			days;
	int			zones;
} MtTimeExpression;

/* Any expression; of what is unknown it itself is the argument. */
extern MtTimeExpression mt_time_expression(Node *node);

/* Is it a column of what such an expression can be of? */
extern bool mt_column_holds_time(const MtCollectionColumn *column);

/*
 * The strategy of an operator between an expression of type left, and a value;
 * 0: it is none that can be sent.  It may add to the expression's zones.
 */
extern int	mt_time_strategy(MtTimeExpression *expression, Oid left, Oid right, Oid operator);

/* Where the column's value may lie when the expression's compares so with the value. */
extern void mt_time_arms(const MtCollectionColumn *column, const MtLeaf *leaf, Datum value, MtArms *arms);

#endif							/* MT_CONDITION_TIME_H */
