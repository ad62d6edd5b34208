/*
 * plan_shared.h
 *		What planning is the same for every kind of foreign table.
 */
#ifndef MT_PLAN_SHARED_H
#define MT_PLAN_SHARED_H

#include "nodes/pathnodes.h"

/* The attributes that a scan must make, as a list of integers; 0 stands for all. */
extern List *mt_plan_wanted_attributes(RelOptInfo *baserel, List *clauses);

#endif							/* MT_PLAN_SHARED_H */
