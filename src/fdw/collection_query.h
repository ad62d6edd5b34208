/*
 * collection_query.h
 *		What a scan of a collection asks of MongoDB: as a plan carries it, and
 *		as the command that it is at one moment.
 */
#ifndef MT_COLLECTION_QUERY_H
#define MT_COLLECTION_QUERY_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "condition/deparse.h"
#include "fdw/collection_group.h"
#include "fdw/collection_lookup.h"
#include "fdw/collection_order.h"
#include "fdw/collection_range.h"

typedef struct MtCollectionQuery
{
	Oid			relid;			/* the foreign table */
	List	   *conditions;		/* all of which must hold; see condition/shippable.h */
	List	   *attributes;		/* numbers of those that are wanted; 0 stands for all */
	MtGrouping *grouping;		/* NULL: a row for each document */
	MtOrder    *order;			/* NULL: in any */
	MtJoin	   *join;			/* NULL: documents of the one table */
	int			limit;			/* index of LIMIT's value, -1: none */
	int			offset;			/* index of OFFSET's value, -1: none */
	bool		skips;			/* MongoDB leaves out OFFSET's documents, not the node above */
	bool		projects;		/* only fetch the wanted attributes' fields */
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
	const MtJoinSource *sources;	/* of a join: its tables, of which the first is this one */
} MtQueryTarget;

typedef struct MtCommand
{
	MtSlice		document;
	bool		is_empty_set;	/* no document can match: nothing need be asked */
	bool		is_too_long;	/* a $group that cannot be sent, and is not whole */
} MtCommand;

/* All documents of a table, without order or limit. */
extern MtCollectionQuery mt_query_empty(Oid relid);

/* How many commands it takes, one after another, but that one may be merged with the next. */
extern int	mt_query_segments(const MtCollectionQuery *query);
extern bool mt_query_is_merged(const MtCollectionQuery *query, int segment);

typedef struct MtQueryProgress
{
	int			segment;		/* which command */
	int64		n_rows;			/* had by the ones before */
	bool		is_precise;		/* see collection_group.h */
	MtIdRange	range;			/* to which all is restricted */
} MtQueryProgress;

/* In the current memory context. */
extern MtCommand mt_query_command(const MtCollectionQuery *query, const MtQueryTarget *target,
								  const MtFilterValue *values, MtQueryProgress progress);

#endif							/* MT_COLLECTION_QUERY_H */
