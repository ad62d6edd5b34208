/*
 * collection_query.h
 *		What a scan of a collection asks of MongoDB: as a plan carries it, and
 *		as the command that it is at one moment.
 */
#ifndef MT_COLLECTION_QUERY_H
#define MT_COLLECTION_QUERY_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "fdw/collection_deparse.h"
#include "fdw/collection_group.h"

typedef struct MtCollectionQuery
{
	Oid			relid;			/* the foreign table */
	List	   *conditions;		/* all of which must hold; see collection_shippable.h */
	List	   *attributes;		/* numbers of those that are wanted; 0 stands for all */
	MtGrouping *grouping;		/* NULL: a row for each document */
} MtCollectionQuery;

/* To what a plan can carry, and back. */
extern List *mt_query_to_list(const MtCollectionQuery *query);
extern MtCollectionQuery *mt_query_from_list(List *list);

/* Of what a query is asked. */
typedef struct MtQueryTarget
{
	const MtCollectionName *name;
	const MtCollectionColumn *columns;
	const MtReadOptions *options;
} MtQueryTarget;

typedef struct MtCommand
{
	MtSlice		document;
	bool		is_empty_set;	/* no document can match: nothing need be asked */
} MtCommand;

/* In the current memory context; is_precise: see collection_group.h. */
extern MtCommand mt_query_command(const MtCollectionQuery *query, const MtQueryTarget *target,
								  const MtFilterValue *values, bool is_precise);

#endif							/* MT_COLLECTION_QUERY_H */
