/*
 * collection_lookup.h
 *		Joins of collections as $lookup stages: what is asked for, and which
 *		columns its documents have.
 *
 * See the top of collection_lookup.c for what makes it right.
 */
#ifndef MT_COLLECTION_LOOKUP_H
#define MT_COLLECTION_LOOKUP_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "condition/column.h"
#include "condition/deparse.h"
#include "fdw/collection_row.h"

/* A table that is looked up in; or the first one, in which nothing is. */
typedef struct MtJoinTable
{
	Oid			relid;
	List	   *conditions;		/* that its documents must meet, in exact form; the first's are not all */
	int			first_value;	/* where their values begin in the plan's list */
	int			key_table;		/* whose column is looked up: index of an earlier table */
	int			key_column;
	int			column;			/* of its own columns the one that is equal */
} MtJoinTable;

/* A plan can carry it. */
typedef struct MtJoin
{
	List	   *tables;			/* of MtJoinTable */
	List	   *outputs;		/* integer lists: index of the table, and of its column */
} MtJoin;

extern List *mt_join_to_list(const MtJoin *join);
extern MtJoin *mt_join_from_list(List *list);

/* What a table of a join is when it is asked. */
typedef struct MtJoinSource
{
	MtCollectionName *name;
	const char *root;			/* the field of the joined document in which its own one stands */
	MtCollectionColumn *columns;	/* below that */
} MtJoinSource;

/* Open a table of a plan.  It is locked but in a parallel worker, whose executor
 * knows nothing of the tables of a join. */
extern Relation mt_join_open_table(Oid relid);

/* One for each table, in the current memory context. */
extern MtJoinSource *mt_join_sources(const MtJoin *join, Oid userid);

/* What makes rows of the joined documents: the outputs. */
extern MtCollectionRow *mt_join_row(const MtJoin *join, const MtJoinSource *sources);

/* Is equality of the values of both columns that of their fields? */
extern bool mt_join_takes_key(const MtCollectionColumn *key, const MtCollectionColumn *column);

/* The condition on a column whose field is equal to a key that is a value of its column. */
extern List *mt_join_condition(const MtCollectionColumn *key, const MtCollectionColumn *columns, int column);

/*
 * Write the stages that follow the first table's own $match as elements of a
 * pipeline, of which *n are there already.  projects: only the outputs' fields.
 * False: no document can come of it.
 */
extern bool mt_join_build(StringInfo buffer, int *n, const MtJoin *join, const MtJoinSource *sources,
						  const MtFilterValue *values, bool projects);

#endif							/* MT_COLLECTION_LOOKUP_H */
