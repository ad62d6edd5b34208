/*
 * operator.h
 *		What an operator between a column and a value is to MongoDB.
 */
#ifndef MT_CONDITION_OPERATOR_H
#define MT_CONDITION_OPERATOR_H

#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/primnodes.h"

#include "condition/column.h"

/* How a column compares with a value: btree's strategies, and these. */
enum
{
	MT_NOT_EQUAL_STRATEGY = BTMaxStrategyNumber + 1,
	MT_LIKE_STRATEGY,
	MT_NOT_LIKE_STRATEGY,
	MT_PREFIX_STRATEGY,			/* starts with */
	MT_NOT_PREFIX_STRATEGY
};

/*
 * The expression without casts under which its values stay the very same, and
 * compare the same way.
 */
extern Node *mt_without_exact_casts(Node *node);

/*
 * The strategy of an operator between a column, on its left and cast to
 * column_type, and a value of value_type; 0 when MongoDB's would be another
 * comparison.
 */
extern int	mt_operator_strategy(const MtCollectionColumn *column, Oid column_type, Oid value_type,
								 Oid operator, Oid collation);

/* The same between two numbers, and between two times. */
extern int	mt_number_strategy(Oid left, Oid right, Oid operator);
extern int	mt_times_strategy(Oid left, Oid right, Oid operator);

/* The strategy that holds where this one does not, NULLs apart. */
extern int	mt_negated_strategy(int strategy);

#endif							/* MT_CONDITION_OPERATOR_H */
