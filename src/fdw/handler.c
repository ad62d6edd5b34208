/*
 * handler.c
 *		The foreign-data wrapper's handler, and which of its rooms a table is of.
 *
 * Option "relation" says what a foreign table is: the changes of a server (a
 * logical table) or the documents of a collection.  A plan is made for one of
 * them only, so the callbacks that follow planning need not ask again.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "utils/lsyscache.h"

#include "base/options.h"
#include "fdw/changes_plan.h"
#include "fdw/changes_scan.h"
#include "fdw/handler.h"

PG_FUNCTION_INFO_V1(mongo_tail_fdw_handler);

static void
mtGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	MtTableOptions *table = mt_options_table(relid);

	if (table->relation == MT_TABLE_COLLECTION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("reading collections is not in this version"),
				 errdetail("Foreign table \"%s\" is the collection's documents, as option relation is not 'changes'.",
						   get_rel_name(relid)),
				 errhint("Declare a table with OPTIONS (relation 'changes') to read a collection's changes.")));
	mt_changes_rel_size(root, baserel, relid, table);
}

static void
mtGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	(void) relid;
	mt_changes_paths(root, baserel);
}

static ForeignScan *
mtGetForeignPlan(PlannerInfo *root, RelOptInfo *baserel, Oid relid, ForeignPath *best_path,
				 List *tlist, List *scan_clauses, Plan *outer_plan)
{
	(void) relid;
	(void) best_path;
	return mt_changes_plan(root, baserel, tlist, scan_clauses, outer_plan);
}

Datum
mongo_tail_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	(void) fcinfo;
	routine->GetForeignRelSize = mtGetForeignRelSize;
	routine->GetForeignPaths = mtGetForeignPaths;
	routine->GetForeignPlan = mtGetForeignPlan;
	routine->BeginForeignScan = mt_changes_begin;
	routine->IterateForeignScan = mt_changes_iterate;
	routine->ReScanForeignScan = mt_changes_rescan;
	routine->EndForeignScan = mt_changes_end;
	routine->ExplainForeignScan = mt_changes_explain;
	PG_RETURN_POINTER(routine);
}
