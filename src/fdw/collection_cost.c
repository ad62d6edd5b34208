/*
 * collection_cost.c
 *		What reading a collection costs, in the planner's units.
 *
 * A find costs a way to MongoDB and back, what MongoDB looks at, and what it
 * sends.  The constants were measured with MongoDB 6.0 on the same machine,
 * against PostgreSQL's own scan of the same rows, whose costs are known: a
 * find of one document took as long as 50 units of that scan, a document of 300
 * bytes that was sent 0.2, one that was looked at and not sent 0.1, and one
 * that was fetched by an index 0.9.  Over a network the first is larger, which
 * is what option fdw_startup_cost is for.
 */
#include "postgres.h"

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "base/options.h"
#include "fdw/collection_cost.h"

/* A collection of which MongoDB tells nothing. */
#define DEFAULT_DOCUMENTS	1000.0
#define DEFAULT_DOCUMENT_BYTES 300.0

/* Asking, and each document that is sent, where the server's options say nothing. */
#define FIND_COST			50.0
#define DOCUMENT_COST		0.1

/* The rest in units of cpu_tuple_cost: each byte that is sent; each document
 * and byte that MongoDB looks at; each document that it fetches by an index. */
#define BYTE_FACTOR			0.03
#define LOOK_FACTOR			5.0
#define LOOK_BYTE_FACTOR	0.02
#define INDEX_FACTOR		90.0
/* Beginning to look up in another collection, for one document. */
#define LOOKUP_FACTOR		2000.0

/* ---- size ---- */

/*
 * MongoDB's count is of now; where it has none, or what the table shows is not
 * the whole collection, the last ANALYZE knows better.
 */
static double
documents_of(const MtCollectionFacts *facts, const MtTableOptions *table, double analyzed)
{
	bool		is_other = facts->is_view || facts->is_time_series || table->filter != NULL || table->pipeline != NULL;

	if (analyzed >= 0 && (is_other || facts->documents < 0))
		return analyzed;
	return facts->documents >= 0 ? facts->documents : DEFAULT_DOCUMENTS;
}

/* Documents are wider than the planner takes a jsonb to be, unless it has statistics. */
static void
set_document_widths(RelOptInfo *baserel, const MtCollectionColumn *columns, Oid relid, double document_bytes)
{
	for (AttrNumber i = 1; i <= baserel->max_attr; i++)
		if (columns[i - 1].is_whole && get_attavgwidth(relid, i) <= 0)
			baserel->attr_widths[i - baserel->min_attr] = (int32) Min(document_bytes, 1e6);
}

MtCollectionStatistics *
mt_collection_cost_size(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionColumn *columns,
						const MtCollectionName *name, const MtTableOptions *table, Oid relid)
{
	MtCollectionStatistics *statistics = palloc0(sizeof *statistics);
	MtServerOptions *server = mt_options_server(table->serverid);
	MtCollectionFacts *facts = mt_collection_facts(name, relid);

	statistics->facts = facts;
	statistics->find_cost = server->fdw_startup_cost >= 0 ? server->fdw_startup_cost : FIND_COST;
	statistics->document_cost = server->fdw_tuple_cost >= 0 ? server->fdw_tuple_cost : DOCUMENT_COST;
	statistics->document_bytes = facts->document_bytes > 0 ? facts->document_bytes : DEFAULT_DOCUMENT_BYTES;
	/* a pipeline's results have none */
	statistics->indexes = table->pipeline == NULL ? facts->indexes : NIL;
	baserel->tuples = documents_of(facts, table, baserel->tuples);
	mt_index_show_unique(baserel, statistics->indexes, columns);
	set_document_widths(baserel, columns, relid, statistics->document_bytes);
	set_baserel_size_estimates(root, baserel);
	return statistics;
}

void
mt_collection_cost_rows(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionStatistics *statistics,
						const MtCollectionColumn *columns, List *shipped)
{
	MtIndexUse	use = mt_index_use(root, baserel, statistics->indexes, columns, shipped);

	if (use.finds_one)
		baserel->rows = 1;
}

/* ---- finds ---- */

MtFindCost
mt_collection_cost_find(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionStatistics *statistics,
						const MtCollectionColumn *columns, List *shipped, ParamPathInfo *param_info)
{
	MtIndexUse	use = mt_index_use(root, baserel, statistics->indexes, columns, shipped);
	double		bytes = statistics->document_bytes;
	List	   *clauses = NIL;
	MtFindCost	cost;
	Cost		looking;
	ListCell   *cell;

	foreach(cell, shipped)
		clauses = lappend(clauses, ((MtShippedClause *) lfirst(cell))->clause);
	cost.rows = param_info != NULL ? param_info->ppi_rows : baserel->rows;
	cost.documents = clamp_row_est(baserel->tuples *
								   clauselist_selectivity(root, clauses, (int) baserel->relid, JOIN_INNER, NULL));
	if (use.finds_one)
		cost.documents = 1;
	if (use.finds_one)
		looking = INDEX_FACTOR * cpu_tuple_cost;
	else if (use.is_used)
		looking = clamp_row_est(baserel->tuples * use.fraction) * INDEX_FACTOR * cpu_tuple_cost;
	else
		looking = Max(baserel->tuples, statistics->facts->documents) *
			(LOOK_FACTOR + LOOK_BYTE_FACTOR * bytes) * cpu_tuple_cost;
	cost.startup = statistics->find_cost + baserel->baserestrictcost.startup;
	cost.looking = statistics->find_cost + looking;
	cost.total = cost.startup + looking +
		mt_collection_cost_send(cost.documents, bytes, statistics->document_cost) +
		cost.documents * baserel->baserestrictcost.per_tuple +
		cost.rows * baserel->reltarget->cost.per_tuple;
	return cost;
}

Cost
mt_collection_cost_send(double documents, double bytes, Cost document_cost)
{
	return documents * (document_cost + BYTE_FACTOR * cpu_tuple_cost * bytes + cpu_tuple_cost);
}

/* ---- joins ---- */

Cost
mt_collection_cost_lookup(double documents, double found)
{
	return documents * (LOOKUP_FACTOR + found * INDEX_FACTOR) * cpu_tuple_cost;
}
