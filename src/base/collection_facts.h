/*
 * collection_facts.h
 *		What the planner wants to know about a collection: how large it is, and
 *		which indexes it has.  Asked for once in a while, and never exact.
 */
#ifndef MT_COLLECTION_FACTS_H
#define MT_COLLECTION_FACTS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/collection_reader.h"

typedef struct MtIndexField
{
	char	   *path;			/* dotted, in UTF-8; "" in a wildcard index: all */
	bool		is_hashed;
	bool		descends;
} MtIndexField;

typedef struct MtCollectionIndex
{
	int			n_fields;
	MtIndexField *fields;
	bool		is_unique;
	bool		is_sparse;		/* documents without its fields are not in it */
	bool		is_wildcard;	/* of one field: all that lie at or below its path */
	bool		has_collation;	/* strings do not stand in it by their bytes */
} MtCollectionIndex;

typedef struct MtCollectionFacts
{
	double		documents;		/* -1: MongoDB does not say */
	double		document_bytes; /* on average; 0: it does not say */
	bool		is_view;
	bool		is_time_series;
	bool		is_local;		/* no mongos answers for it, and no shard */
	List	   *indexes;		/* of MtCollectionIndex; those that a find may use */
} MtCollectionFacts;

/*
 * In the current memory context.  A collection whose server cannot be reached
 * has no facts; throws only when interrupted.
 */
extern MtCollectionFacts *mt_collection_facts(const MtCollectionName *name, Oid relid);

#endif							/* MT_COLLECTION_FACTS_H */
