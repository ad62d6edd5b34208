/*
 * changes_plan.h
 *		Planning a scan of a logical table, and what the plan carries.
 */
#ifndef MT_CHANGES_PLAN_H
#define MT_CHANGES_PLAN_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

#include "base/options.h"
#include "fdw/changes_qual.h"

/* FdwRoutine's callbacks for a table with relation 'changes' */
extern void mt_changes_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid, MtTableOptions *table);
extern void mt_changes_paths(PlannerInfo *root, RelOptInfo *baserel);
extern ForeignScan *mt_changes_plan(PlannerInfo *root, RelOptInfo *baserel, List *tlist,
									List *scan_clauses, Plan *outer_plan);

/* Out of a plan: its conditions (their values are plan->fdw_exprs), and the
 * attribute numbers that are wanted (0: all). */
extern MtPushedQual *mt_changes_plan_quals(const ForeignScan *plan, int *n_quals);
extern Bitmapset *mt_changes_plan_attributes(const ForeignScan *plan, int n_attributes);

#endif							/* MT_CHANGES_PLAN_H */
