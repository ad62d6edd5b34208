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
#include "fdw/collection_query.h"

/* FdwRoutine's callbacks for a table of a collection */
extern void mt_collection_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table);
extern void mt_collection_paths(PlannerInfo *root, RelOptInfo *baserel);
extern ForeignScan *mt_collection_plan(PlannerInfo *root, RelOptInfo *baserel, List *tlist,
									   List *scan_clauses, Plan *outer_plan);

/* Out of a plan: what it asks for, its values being plan->fdw_exprs. */
extern MtCollectionQuery *mt_collection_plan_query(const ForeignScan *plan);

#endif							/* MT_COLLECTION_PLAN_H */
