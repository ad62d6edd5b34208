/*
 * changes_scan.c
 *		Running a scan of a logical table.
 *
 * A scan streams: each call for a row reads on until one passes, so that a
 * LIMIT above reads no further.  Its interval, from the oldest change in the
 * ring to the newest scanned, is fixed at the first row that is asked for;
 * conditions on positions and times cut it down, at every rescan by the values
 * of that moment, and the interval itself stays for the whole statement.
 *
 * Who may read: SELECT on the table is PostgreSQL's to check, and whoever has
 * it reads by the right of the table's owner, who must be allowed to read the
 * tail.  (So a view's owner, or a caller, needs SELECT alone.)
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/change_reader.h"
#include "base/options.h"
#include "fdw/changes_plan.h"
#include "fdw/changes_row.h"
#include "fdw/changes_scan.h"

typedef struct ChangesScan
{
	MtTableOptions *table;
	MtTail	   *tail;
	Oid			owner;			/* of the table */
	int			n_quals;
	MtPushedQual *quals;
	List	   *values;			/* of ExprState */
	MtChangesRow *row;

	MemoryContext reading;		/* of one pass: the reader and its bounds */
	MtChangeReader *reader;		/* NULL: not yet, or nothing to read */
	bool		is_done;		/* this pass is over */

	bool		is_fixed;		/* the interval */
	MtPosition	oldest;
	MtPosition	newest;

	/* changes read by earlier passes */
	uint64		from_ring;
	uint64		from_oplog;
} ChangesScan;

/* ---- begin ---- */

void
mt_changes_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation	relation = node->ss.ss_currentRelation;
	int			n_attributes = RelationGetDescr(relation)->natts;
	ChangesScan *scan = palloc0(sizeof *scan);

	node->fdw_state = scan;
	scan->table = mt_options_table(RelationGetRelid(relation));
	scan->owner = relation->rd_rel->relowner;
	scan->quals = mt_changes_plan_quals(plan, &scan->n_quals);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	scan->values = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	scan->tail = mt_tail_catalog_load(GetForeignServer(scan->table->serverid)->servername, false);
	scan->row = mt_changes_row_create(mt_changes_columns(relation, scan->table), n_attributes,
									  mt_changes_plan_attributes(plan, n_attributes));
	scan->reading = AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "mongo_tail logical table",
										  ALLOCSET_DEFAULT_SIZES);
}

/* ---- a pass ---- */

static void
evaluate_bounds(ForeignScanState *node, MtScanBounds *bounds)
{
	ChangesScan *scan = node->fdw_state;
	ListCell   *cell;
	int			i = 0;

	mt_scan_bounds_init(bounds, scan->table);
	foreach(cell, scan->values)
	{
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(lfirst(cell), node->ss.ps.ps_ExprContext, &isnull);

		mt_scan_bounds_add(bounds, &scan->quals[i++], value, isnull);
	}
}

/* Cut the bounds to the interval that an earlier pass fixed. */
static void
keep_interval(const ChangesScan *scan, MtScanBounds *bounds)
{
	if (!bounds->has_after)
		bounds->after = scan->oldest;
	if (!bounds->has_until || mt_position_compare(&bounds->until, &scan->newest) > 0)
		bounds->until = scan->newest;
	bounds->has_after = true;
	bounds->has_until = true;
}

static MtChangeReader *
open_reader(ChangesScan *scan, const MtScanBounds *bounds)
{
	MtChangeReaderOptions options;

	memset(&options, 0, sizeof options);
	options.tail = scan->tail;
	options.reader_role = scan->owner;
	options.operations = bounds->operations;
	options.has_after = bounds->has_after;
	options.after = bounds->after;
	options.has_until = bounds->has_until;
	options.until = bounds->until;
	options.narrow_to = mt_scan_bounds_namespaces(bounds, &options.n_narrow_to);
	if (scan->table->database != NULL)
	{
		/* What the table itself names must be in the tail, all of it. */
		MtScanBounds own;

		mt_scan_bounds_init(&own, scan->table);
		options.namespaces = mt_scan_bounds_namespaces(&own, &options.n_namespaces);
	}
	return mt_change_reader_begin(&options);
}

/* Begin to read, if there is anything to. */
static void
begin_pass(ForeignScanState *node)
{
	ChangesScan *scan = node->fdw_state;
	MemoryContext old = MemoryContextSwitchTo(scan->reading);
	MtScanBounds bounds;

	evaluate_bounds(node, &bounds);
	scan->is_done = bounds.is_empty;
	if (scan->is_fixed)
		keep_interval(scan, &bounds);
	if (!bounds.is_empty)
	{
		scan->reader = open_reader(scan, &bounds);
		if (!scan->is_fixed)
		{
			mt_change_reader_interval(scan->reader, &scan->oldest, &scan->newest);
			scan->is_fixed = true;
			if (scan->tail->n_shards > 1)
			{
				/* Rings begin at different places; a rescan must not see that. */
				mt_change_reader_end(scan->reader);
				keep_interval(scan, &bounds);
				scan->reader = open_reader(scan, &bounds);
			}
		}
	}
	MemoryContextSwitchTo(old);
}

/* The changes that all passes so far have read. */
static void
count_reads(const ChangesScan *scan, uint64 *from_ring, uint64 *from_oplog)
{
	*from_ring = 0;
	*from_oplog = 0;
	if (scan->reader != NULL)
		mt_change_reader_counts(scan->reader, from_ring, from_oplog);
	*from_ring += scan->from_ring;
	*from_oplog += scan->from_oplog;
}

static void
end_pass(ChangesScan *scan)
{
	uint64		from_ring;
	uint64		from_oplog;

	count_reads(scan, &from_ring, &from_oplog);
	scan->from_ring = from_ring;
	scan->from_oplog = from_oplog;
	if (scan->reader != NULL)
		mt_change_reader_end(scan->reader);
	scan->reader = NULL;
	MemoryContextReset(scan->reading);
}

/* Called in the context of one tuple, which lives as long as the tuple. */
TupleTableSlot *
mt_changes_iterate(ForeignScanState *node)
{
	ChangesScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MtChangeRow change;

	if (scan->reader == NULL && !scan->is_done)
		begin_pass(node);
	if (!scan->is_done && mt_change_reader_next(scan->reader, &change))
		mt_changes_row_store(scan->row, &change, slot);
	else
	{
		scan->is_done = true;
		ExecClearTuple(slot);
	}
	return slot;
}

void
mt_changes_rescan(ForeignScanState *node)
{
	ChangesScan *scan = node->fdw_state;

	end_pass(scan);
	scan->is_done = false;
}

void
mt_changes_end(ForeignScanState *node)
{
	ChangesScan *scan = node->fdw_state;

	if (scan != NULL && scan->reader != NULL)
		mt_change_reader_end(scan->reader);
}

/* ---- EXPLAIN ---- */

/* Append the conditions on columns from first to last whose values are not
 * known before the scan runs. */
static void
append_unknown(StringInfo text, ChangesScan *scan, List *context, MtPushedColumn first, MtPushedColumn last,
			   int wanted_strategies)
{
	for (int i = 0; i < scan->n_quals; i++)
	{
		const MtPushedQual *qual = &scan->quals[i];
		char	   *value;

		if (IsA(qual->value, Const) || qual->column < first || qual->column > last ||
			(wanted_strategies & (1 << qual->strategy)) == 0)
			continue;
		value = deparse_expression((Node *) qual->value, context, context != NIL && list_length(context) > 1, false);
		appendStringInfo(text, "%s%s%s%s%s", text->len > 0 ? ", " : "", mt_pushed_qual_prefix(qual),
						 qual->is_array ? "ANY (" : "", value, qual->is_array ? ")" : "");
	}
}

static void
explain_line(ExplainState *es, const char *label, StringInfo text, const char *otherwise)
{
	ExplainPropertyText(label, text->len > 0 ? text->data : otherwise, es);
	resetStringInfo(text);
}

static void
append_operations(StringInfo text, uint32 operations)
{
	for (int i = 0; i < MT_OPERATION_COUNT; i++)
		if (operations & (1u << i))
			appendStringInfo(text, "%s%s", text->len > 0 ? ", " : "", mt_operation_name(i));
}

/* What the known values of the conditions restrict. */
static void
known_bounds(const ChangesScan *scan, MtScanBounds *bounds)
{
	mt_scan_bounds_init(bounds, scan->table);
	for (int i = 0; i < scan->n_quals; i++)
	{
		Const	   *value = (Const *) scan->quals[i].value;

		if (IsA(value, Const))
			mt_scan_bounds_add(bounds, &scan->quals[i], value->constvalue, value->constisnull);
	}
}

#define UPPER_STRATEGIES (1 << 1 | 1 << 2 | 1 << 3) /* <, <=, = */
#define LOWER_STRATEGIES (1 << 3 | 1 << 4 | 1 << 5) /* =, >=, > */

static void
explain_read(ChangesScan *scan, List *context, ExplainState *es)
{
	StringInfoData text;
	MtScanBounds bounds;
	char		place[MT_POSITION_TEXT_BYTES];
	char	  **namespaces;
	int			n_namespaces;

	initStringInfo(&text);
	known_bounds(scan, &bounds);
	namespaces = mt_scan_bounds_namespaces(&bounds, &n_namespaces);
	for (int i = 0; i < n_namespaces; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "",
						 pg_any_to_server(namespaces[i], (int) strlen(namespaces[i]), PG_UTF8));
	append_unknown(&text, scan, context, MT_PUSHED_DATABASE, MT_PUSHED_COLLECTION, UPPER_STRATEGIES);
	explain_line(es, "Namespaces", &text, "all of the tail");
	append_operations(&text, bounds.operations);
	append_unknown(&text, scan, context, MT_PUSHED_OPERATION, MT_PUSHED_OPERATION, UPPER_STRATEGIES);
	explain_line(es, "Operations", &text, "all");
	if (bounds.has_after)
		appendStringInfoString(&text, mt_position_text(&bounds.after, place));
	append_unknown(&text, scan, context, MT_PUSHED_POSITION, MT_PUSHED_SECOND, LOWER_STRATEGIES);
	explain_line(es, "After", &text, "the oldest in the ring");
	if (bounds.has_until)
		appendStringInfoString(&text, mt_position_text(&bounds.until, place));
	append_unknown(&text, scan, context, MT_PUSHED_POSITION, MT_PUSHED_SECOND, UPPER_STRATEGIES);
	explain_line(es, "Until", &text, "the newest");
	if (bounds.is_empty)
		ExplainPropertyBool("Reads Nothing", true, es);
}

void
mt_changes_explain(ForeignScanState *node, ExplainState *es)
{
	ChangesScan *scan = node->fdw_state;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);

	ExplainPropertyText("Server", GetForeignServer(scan->table->serverid)->servername, es);
	explain_read(scan, context, es);
	if (es->analyze)
	{
		uint64		from_ring;
		uint64		from_oplog;

		count_reads(scan, &from_ring, &from_oplog);
		ExplainPropertyUInteger("Changes Read From Ring", NULL, from_ring, es);
		ExplainPropertyUInteger("Changes Read From Oplog", NULL, from_oplog, es);
	}
}
