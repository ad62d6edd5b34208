/*
 * collection_upper.h
 *		Planning what MongoDB does beyond sending documents: aggregates, GROUP
 *		BY, DISTINCT, and LIMIT.
 */
#ifndef MT_COLLECTION_UPPER_H
#define MT_COLLECTION_UPPER_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* FdwRoutine's callbacks; input_rel is the table of a collection from which all
 * of the query's rows come. */
extern void mt_collection_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
									  RelOptInfo *output_rel, void *extra);
extern ForeignScan *mt_collection_upper_plan(ForeignPath *path, List *tlist, Plan *outer_plan);

#endif							/* MT_COLLECTION_UPPER_H */
