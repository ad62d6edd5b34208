/*
 * changes_qual.h
 *		Conditions of a query that restrict what a logical table reads.
 *
 * Every condition stays in the plan and is checked again there; what is read
 * only has to be a superset of what passes.
 */
#ifndef MT_CHANGES_QUAL_H
#define MT_CHANGES_QUAL_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "base/change_reader.h"
#include "base/options.h"
#include "fdw/changes_column.h"

typedef enum MtPushedColumn
{
	MT_PUSHED_POSITION,
	MT_PUSHED_CLUSTER_TIME,
	MT_PUSHED_SECOND,			/* cluster_time as timestamptz */
	MT_PUSHED_DATABASE,
	MT_PUSHED_COLLECTION,
	MT_PUSHED_OPERATION
} MtPushedColumn;

/* column OP value; of a text column, column = value or column = ANY (value). */
typedef struct MtPushedQual
{
	MtPushedColumn column;
	int			strategy;		/* BTLessStrategyNumber, ... */
	bool		is_array;
	Expr	   *value;			/* has no Var of the table and is not volatile */
} MtPushedQual;

/*
 * Is a clause such a condition?  varno is the table's index in the query.
 */
extern bool mt_changes_match_qual(PlannerInfo *root, Index varno, const MtChangesColumn *columns,
								  Expr *clause, MtPushedQual *qual);

/* The same of a column alone: could an equality on it be pushed? */
extern bool mt_changes_pushes_equality(const MtChangesColumn *column);

/* "position > ", for EXPLAIN. */
extern char *mt_pushed_qual_prefix(const MtPushedQual *qual);

/* What is read: the conjunction of all conditions whose values are known. */
typedef struct MtScanBounds
{
	bool		is_empty;		/* no row passes */
	bool		has_after;
	MtPosition	after;
	bool		has_until;
	MtPosition	until;
	uint32		operations;		/* bit mask; 0: all */
	bool		some_databases;
	List	   *databases;		/* of char *, in UTF-8 */
	bool		some_collections;
	List	   *collections;
} MtScanBounds;

/* Begin with what the table's options say. */
extern void mt_scan_bounds_init(MtScanBounds *bounds, const MtTableOptions *table);

/* Add a condition. */
extern void mt_scan_bounds_add(MtScanBounds *bounds, const MtPushedQual *qual, Datum value, bool isnull);

/* The namespaces of the bounds as patterns of a filter; NULL: all. */
extern char **mt_scan_bounds_namespaces(const MtScanBounds *bounds, int *n_namespaces);

#endif							/* MT_CHANGES_QUAL_H */
