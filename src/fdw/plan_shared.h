/*
 * plan_shared.h
 *		What planning is the same for every kind of foreign table.
 */
#ifndef MT_PLAN_SHARED_H
#define MT_PLAN_SHARED_H

#include "nodes/pathnodes.h"
#include "optimizer/paths.h"

/* The attributes that a scan must make, as a list of integers; 0 stands for all. */
extern List *mt_plan_wanted_attributes(RelOptInfo *baserel, List *clauses);

/* The same as a set, when the plan is run. */
extern Bitmapset *mt_plan_attribute_set(List *attributes, int n_attributes);

/*
 * The join clauses that can be checked in the scan once the other tables' rows
 * are given; is_wanted says of which of the relation's columns implied
 * equalities are.
 */
extern List *mt_plan_movable_clauses(PlannerInfo *root, RelOptInfo *baserel, ec_matches_callback_type is_wanted);

/* By whose rows to parameterize the paths of a relation that can use these join
 * clauses: a list of Relids, NULL for the path without. */
extern List *mt_plan_outers(RelOptInfo *baserel, List *join_clauses);

#endif							/* MT_PLAN_SHARED_H */
