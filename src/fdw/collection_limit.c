/*
 * collection_limit.c
 *		Planning LIMIT over one table.
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"

#include "compat.h"
#include "fdw/collection_limit.h"
#include "fdw/collection_plan.h"

/* A sort of all documents of which few are sent, of what it costs to send them all. */
#define SORT_COST_SHARE		0.5
/* A second run (collection_order.c), in which few documents are. */
#define RUN_COST_SHARE		0.3
/* A find that knows its limit leaves no cursor to be closed. */
#define LIMITED_STARTUP_SHARE 0.9

/* Of documents that are sorted in memory, half of what MongoDB has for it; until 6.0 it
 * gives up where more are needed, unless it may use the disk. */
#define MAX_SORT_BYTES		(50.0 * 1024 * 1024)

/* Is what the query returns just the rows of its only table? */
static bool
is_plain_select(const Query *parse)
{
	return parse->commandType == CMD_SELECT && parse->setOperations == NULL && parse->rowMarks == NIL &&
		!parse->hasAggs && !parse->hasWindowFuncs && !parse->hasTargetSRFs && parse->groupClause == NIL &&
		parse->groupingSets == NIL && parse->havingQual == NULL && parse->distinctClause == NIL;
}

/* How many rows the limited scan gives. */
static double
limited_rows(const RelOptInfo *baserel, const FinalPathExtraData *extra, bool skips)
{
	double		limit = extra->count_est > 0 ? (double) extra->count_est : baserel->rows * 0.1;

	if (!skips && extra->offset_est > 0)
		limit += (double) extra->offset_est;
	return clamp_row_est(Min(limit, baserel->rows));
}

/* Can MongoDB keep the first rows while it looks for them? */
static bool
can_be_sorted(RelOptInfo *baserel, const MtSpecialScan *scan, const FinalPathExtraData *extra)
{
	MtCollectionRel *known = baserel->fdw_private;

	return scan->order == NULL ||
		limited_rows(baserel, extra, false) * known->statistics->document_bytes <= MAX_SORT_BYTES ||
		mt_order_has_index(scan->order, known->columns, known->statistics->indexes) ||
		mt_options_read(known->table)->allow_disk_use == MT_SWITCH_ON;
}

static Path *
limited_path(PlannerInfo *root, RelOptInfo *baserel, MtSpecialScan *scan, double rows)
{
	MtCollectionRel *known = baserel->fdw_private;
	MtFindCost	find = mt_collection_find_cost(root, baserel, NULL);
	Cost		startup = find.startup * LIMITED_STARTUP_SHARE;
	Cost		total;

	if (scan->order == NULL)
		total = startup + (find.total - find.startup) * rows / Max(baserel->rows, 1);
	else if (mt_order_has_index(scan->order, known->columns, known->statistics->indexes))
		total = startup + rows * known->statistics->document_cost +
			rows * baserel->tuples / Max(baserel->rows, 1) * MT_INDEX_FETCH_COST;
	else
	{
		startup += (find.total - find.startup) *
			(SORT_COST_SHARE + RUN_COST_SHARE * (mt_order_runs(scan->order) - 1));
		total = startup + rows * known->statistics->document_cost;
	}
	return (Path *) mt_compat_foreignscan_path(root, baserel, rows, startup, total,
											   scan->order != NULL ? root->sort_pathkeys : NIL, NULL,
											   list_make1(scan));
}

/*
 * ORDER BY and LIMIT over one table.  The rows are counted here, by a Limit
 * over the scan, which gives no more of them than MongoDB needs to send; only
 * OFFSET, where all rows come from one find, is MongoDB's alone.
 */
void
mt_collection_limit_path(PlannerInfo *root, RelOptInfo *baserel, RelOptInfo *output, FinalPathExtraData *extra)
{
	Query	   *parse = root->parse;
	MtCollectionRel *known = baserel->fdw_private;
	MtSpecialScan *scan;
	bool		skips;
	Path	   *path;

	if (!extra->limit_needed || !known->pushdown.limit || !is_plain_select(parse) ||
		parse->limitOption == LIMIT_OPTION_WITH_TIES ||
		(root->sort_pathkeys != NIL && !known->pushdown.sort))
		return;
	scan = mt_collection_special_scan(root, baserel, root->sort_pathkeys, true);
	if (scan == NULL || !can_be_sorted(baserel, scan, extra))
		return;
	skips = parse->limitOffset != NULL && (scan->order == NULL || list_length(scan->order->segments) == 1);
	scan->limit = parse->limitCount;
	scan->offset = parse->limitOffset;
	scan->skips = skips;
	path = limited_path(root, baserel, scan, limited_rows(baserel, extra, skips));
	path = apply_projection_to_path(root, output, path, root->upper_targets[UPPERREL_FINAL]);
	add_path(output, (Path *) create_limit_path(root, output, path, skips ? NULL : parse->limitOffset,
												parse->limitCount, parse->limitOption,
												skips ? 0 : extra->offset_est, extra->count_est));
}
