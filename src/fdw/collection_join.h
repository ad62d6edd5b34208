/*
 * collection_join.h
 *		Planning joins of collections that MongoDB makes.
 */
#ifndef MT_COLLECTION_JOIN_H
#define MT_COLLECTION_JOIN_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* FdwRoutine's callbacks; both relations are tables of collections, or joins of
 * such of which this room has planned some. */
extern void mt_collection_join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
									 RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra);
extern ForeignScan *mt_collection_join_plan(PlannerInfo *root, ForeignPath *path, List *tlist, Plan *outer_plan);

#endif							/* MT_COLLECTION_JOIN_H */
