/*
 * collection_cost.h
 *		What reading a collection costs, in the planner's units.
 */
#ifndef MT_COLLECTION_COST_H
#define MT_COLLECTION_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "condition/column.h"
#include "fdw/collection_index.h"

/* What planning knows about a collection beside its columns. */
typedef struct MtCollectionStatistics
{
	MtCollectionFacts *facts;
	List	   *indexes;		/* that the table's conditions may use */
	double		document_bytes; /* on average */
	Cost		find_cost;		/* of asking */
	Cost		document_cost;	/* of a document that is sent */
} MtCollectionStatistics;

/*
 * Learn how large the collection is, and set the relation's tuples, rows and
 * width by it.
 */
extern MtCollectionStatistics *mt_collection_cost_size(PlannerInfo *root, RelOptInfo *baserel,
													   const MtCollectionColumn *columns,
													   const MtCollectionName *name,
													   const MtTableOptions *table, Oid relid);

/* Correct the relation's rows by what is known of the clauses that restrict it. */
extern void mt_collection_cost_rows(PlannerInfo *root, RelOptInfo *baserel,
									const MtCollectionStatistics *statistics,
									const MtCollectionColumn *columns, List *shipped);

/* Fetching a document by an index, over reading it where it lies. */
#define MT_INDEX_FETCH_COST	0.9

typedef struct MtFindCost
{
	double		documents;		/* that are sent */
	double		rows;			/* that pass every clause */
	Cost		startup;
	Cost		total;
	Cost		looking;		/* of total, what MongoDB's work costs, and asking it */
} MtFindCost;

/*
 * What a find costs whose filter is made of the shipped clauses (a list of
 * MtShippedClause), those of param_info among them, and whose rows are checked
 * here.
 */
extern MtFindCost mt_collection_cost_find(PlannerInfo *root, RelOptInfo *baserel,
										  const MtCollectionStatistics *statistics,
										  const MtCollectionColumn *columns, List *shipped,
										  ParamPathInfo *param_info);

/* Looking up, by an index, for each of some documents those of another collection: the work. */
extern Cost mt_collection_cost_lookup(double documents, double found);

/* Sending documents, and making rows of them. */
extern Cost mt_collection_cost_send(double documents, double bytes, Cost document_cost);

#endif							/* MT_COLLECTION_COST_H */
