/*
 * collection_plan.h
 *		Planning a scan of a collection, and what the plan carries.
 */
#ifndef MT_COLLECTION_PLAN_H
#define MT_COLLECTION_PLAN_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

#include "base/options.h"
#include "fdw/collection_cost.h"
#include "fdw/collection_query.h"

/* What planning knows of a collection's table: the fdw_private of its relation. */
typedef struct MtCollectionRel
{
	Oid			relid;
	const MtTableOptions *table;
	MtCollectionName *name;
	MtCollectionColumn *columns;
	MtPushdown	pushdown;
	bool		has_pipeline;	/* the table shows what a pipeline makes of the collection */
	MtCollectionStatistics *statistics;
} MtCollectionRel;

/* FdwRoutine's callbacks for a table of a collection */
extern void mt_collection_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table);
extern void mt_collection_paths(PlannerInfo *root, RelOptInfo *baserel);
extern ForeignScan *mt_collection_plan(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path, List *tlist,
									   List *scan_clauses, Plan *outer_plan);

/*
 * The conditions of all clauses of the relation in their exact forms, and the
 * expressions of their values.  False when a clause has none, so that MongoDB
 * would find other documents.
 */
extern bool mt_collection_ship_exactly(PlannerInfo *root, RelOptInfo *baserel, List **conditions, List **values);

/* A scan that is more than a filter: the only member of its path's fdw_private. */
typedef struct MtSpecialScan
{
	List	   *conditions;		/* of the clauses; with a limit of all, and in exact form */
	List	   *values;			/* expressions */
	MtOrder    *order;			/* NULL: none */
	Node	   *limit;			/* NULL: none */
	Node	   *offset;			/* NULL: none */
	bool		skips;			/* MongoDB leaves out what OFFSET says */
} MtSpecialScan;

/* One in the order of pathkeys (NIL: in any); exactly: of just the documents whose
 * row passes all clauses; NULL when there is none. */
extern MtSpecialScan *mt_collection_special_scan(PlannerInfo *root, RelOptInfo *baserel, List *pathkeys, bool exactly);

/* What reading the relation's documents costs. */
extern MtFindCost mt_collection_find_cost(PlannerInfo *root, RelOptInfo *baserel, ParamPathInfo *param_info);

/* Does it pay to pick some fields of documents? */
extern bool mt_collection_pays_to_project(double document_bytes, int n_fields);

/* Out of a plan: what it asks for, its values being plan->fdw_exprs. */
extern MtCollectionQuery *mt_collection_plan_query(const ForeignScan *plan);

#endif							/* MT_COLLECTION_PLAN_H */
