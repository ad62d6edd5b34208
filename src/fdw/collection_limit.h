/*
 * collection_limit.h
 *		Planning LIMIT over one table.
 */
#ifndef MT_COLLECTION_LIMIT_H
#define MT_COLLECTION_LIMIT_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* For UPPERREL_FINAL; baserel is the table from which all of the query's rows come. */
extern void mt_collection_limit_path(PlannerInfo *root, RelOptInfo *baserel, RelOptInfo *output,
									 FinalPathExtraData *extra);

#endif							/* MT_COLLECTION_LIMIT_H */
