/*
 * handler.c
 *		The foreign-data wrapper's handler, and which of its rooms a table is of.
 *
 * Option "relation" says what a foreign table is: the changes of a server (a
 * logical table) or the documents of a collection.  A plan is made for one of
 * them only, and says for which as the last member of its fdw_private.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/options.h"
#include "base/read_time.h"
#include "fdw/changes_plan.h"
#include "fdw/changes_scan.h"
#include "fdw/collection_analyze.h"
#include "fdw/collection_import.h"
#include "fdw/collection_join.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_scan.h"
#include "fdw/collection_upper.h"
#include "fdw/handler.h"

PG_FUNCTION_INFO_V1(mongo_tail_fdw_handler);

/* ---- planning ---- */

static bool
shows_changes(Oid relid)
{
	return mt_options_table(relid)->relation == MT_TABLE_CHANGES;
}

static void
mtGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	MtTableOptions *table = mt_options_table(relid);

	if (table->relation == MT_TABLE_CHANGES)
		mt_changes_rel_size(root, baserel, relid, table);
	else
		mt_collection_rel_size(root, baserel, relid, table);
}

static void
mtGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	if (shows_changes(relid))
		mt_changes_paths(root, baserel);
	else
		mt_collection_paths(root, baserel);
}

/* Is a base relation a table of a collection?  One of which nothing can be read
 * was never asked for its size. */
static bool
shows_collection(PlannerInfo *root, RelOptInfo *rel)
{
	return rel->fdwroutine != NULL && rel->fdw_private != NULL && !IS_DUMMY_REL(rel) &&
		!shows_changes(planner_rt_fetch(rel->relid, root)->relid);
}

/*
 * The table below an upper relation: its input, or what was sorted to be its
 * input; NULL when there are several, or it is none of a collection.
 */
static RelOptInfo *
collection_below(PlannerInfo *root, RelOptInfo *input_rel)
{
	RelOptInfo *table = input_rel;
	int			relid;

	if (!IS_SIMPLE_REL(table))
	{
		if (!bms_get_singleton_member(root->all_baserels, &relid))
			return NULL;
		table = find_base_rel(root, relid);
	}
	return shows_collection(root, table) ? table : NULL;
}

static bool
is_of_collections(PlannerInfo *root, RelOptInfo *rel)
{
	return IS_SIMPLE_REL(rel) ? shows_collection(root, rel) : rel->fdw_private != NULL;
}

static void
mtGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
					  JoinType jointype, JoinPathExtraData *extra)
{
	if (is_of_collections(root, outerrel) && is_of_collections(root, innerrel))
		mt_collection_join_paths(root, joinrel, outerrel, innerrel, jointype, extra);
}

static void
mtGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel,
					   void *extra)
{
	RelOptInfo *table = IS_SIMPLE_REL(input_rel) || stage == UPPERREL_FINAL ? collection_below(root, input_rel) : NULL;

	if (table != NULL)
		mt_collection_upper_paths(root, stage, table, output_rel, extra);
}

static ForeignScan *
mtGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid relid, ForeignPath *best_path,
				 List *tlist, List *scan_clauses, Plan *outer_plan)
{
	bool		of_changes = OidIsValid(relid) && shows_changes(relid);
	ForeignScan *plan;

	if (of_changes)
		plan = mt_changes_plan(root, baserel, tlist, scan_clauses, outer_plan);
	else if (OidIsValid(relid))
		plan = mt_collection_plan(root, baserel, best_path, tlist, scan_clauses, outer_plan);
	else if (IS_JOIN_REL(baserel))
		plan = mt_collection_join_plan(root, best_path, tlist, outer_plan);
	else
		plan = mt_collection_upper_plan(best_path, tlist, outer_plan);
	plan->fdw_private = lappend(plan->fdw_private, makeBoolean(of_changes));
	return plan;
}

/*
 * A time that a statement's reads share is known to one process only.  (A plan
 * that is kept is made anew when this may have changed: see guc.c.)
 */
static bool
mtIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *entry)
{
	MtTableOptions *table = mt_options_table(entry->relid);

	(void) root;
	(void) rel;
	return table->relation == MT_TABLE_COLLECTION && mt_options_pushdown(table).parallel &&
		!mt_read_time_is_shared(mt_options_read(table)->read_consistency);
}

/* ---- running ---- */

static bool
scans_changes(const ForeignScanState *node)
{
	return boolVal(llast(((ForeignScan *) node->ss.ps.plan)->fdw_private));
}

static void
mtBeginForeignScan(ForeignScanState *node, int eflags)
{
	if (scans_changes(node))
		mt_changes_begin(node, eflags);
	else
		mt_collection_begin(node, eflags);
}

static TupleTableSlot *
mtIterateForeignScan(ForeignScanState *node)
{
	return scans_changes(node) ? mt_changes_iterate(node) : mt_collection_iterate(node);
}

static void
mtReScanForeignScan(ForeignScanState *node)
{
	if (scans_changes(node))
		mt_changes_rescan(node);
	else
		mt_collection_rescan(node);
}

static void
mtEndForeignScan(ForeignScanState *node)
{
	if (scans_changes(node))
		mt_changes_end(node);
	else
		mt_collection_end(node);
}

static void
mtShutdownForeignScan(ForeignScanState *node)
{
	if (!scans_changes(node))
		mt_collection_shutdown(node);
}

static void
mtExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	if (scans_changes(node))
		mt_changes_explain(node, es);
	else
		mt_collection_explain(node, es);
}

/* ---- other callbacks ---- */

static bool
mtAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *function, BlockNumber *total_pages)
{
	MtTableOptions *table = mt_options_table(RelationGetRelid(relation));

	return table->relation == MT_TABLE_COLLECTION &&
		mt_collection_analyze(relation, table, function, total_pages);
}

Datum
mongo_tail_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	(void) fcinfo;
	routine->GetForeignRelSize = mtGetForeignRelSize;
	routine->GetForeignPaths = mtGetForeignPaths;
	routine->GetForeignPlan = mtGetForeignPlan;
	routine->GetForeignJoinPaths = mtGetForeignJoinPaths;
	routine->GetForeignUpperPaths = mtGetForeignUpperPaths;
	routine->BeginForeignScan = mtBeginForeignScan;
	routine->IterateForeignScan = mtIterateForeignScan;
	routine->ReScanForeignScan = mtReScanForeignScan;
	routine->EndForeignScan = mtEndForeignScan;
	routine->IsForeignScanParallelSafe = mtIsForeignScanParallelSafe;
	routine->EstimateDSMForeignScan = mt_collection_estimate_dsm;
	routine->InitializeDSMForeignScan = mt_collection_initialize_dsm;
	routine->ReInitializeDSMForeignScan = mt_collection_reinitialize_dsm;
	routine->InitializeWorkerForeignScan = mt_collection_initialize_worker;
	routine->ShutdownForeignScan = mtShutdownForeignScan;
	routine->ExplainForeignScan = mtExplainForeignScan;
	routine->AnalyzeForeignTable = mtAnalyzeForeignTable;
	routine->ImportForeignSchema = mt_collection_import;
	PG_RETURN_POINTER(routine);
}
