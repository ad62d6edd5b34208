/*
 * collection_scan.c
 *		Running a scan of a collection.
 *
 * The command is run when the first row is asked for, with the values that the
 * conditions have then; every rescan is a find of its own, on the same
 * connection.  Rows are made as they are asked for, so memory does not grow
 * with the collection, and a LIMIT above ends the find early.
 *
 * A $group's results (collection_group.c) are all read before the first is
 * given out, since each may say that the local plan under this node, the spare,
 * has to answer instead.
 *
 * Who may read: SELECT on the table is PostgreSQL's to check; MongoDB is read
 * by the user mapping of whoever that right is checked for, which in a view is
 * its owner.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/tuplestore.h"

#include "base/collection_reader.h"
#include "base/options.h"
#include "condition/shippable.h"
#include "fdw/collection_merge.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_range.h"
#include "fdw/collection_row.h"
#include "fdw/collection_scan.h"
#include "fdw/plan_shared.h"

typedef struct CollectionScan
{
	Oid			serverid;
	MtCollectionName *name;
	MtCollectionColumn *columns;
	int			n_columns;
	MtJoinSource *sources;		/* NULL: no join */
	MtCollectionQuery *query;
	List	   *values;			/* of ExprState */
	MtReadOptions *options;
	MtCollectionRow *row;		/* NULL: results of a $group */
	MtGroupReader *groups;		/* NULL: documents */
	Tuplestorestate *rows;		/* of the groups of this pass */
	TupleTableSlot *row_slot;	/* one of them */
	MemoryContext row_context;
	MtCollectionReader *reader;
	MtRunMerge *merge;			/* of two segments; NULL: there are no such */
	MtCollectionReader *second; /* of the other one of them */
	bool		is_merging;		/* now */
	MemoryContext asking;		/* of one command: it and its values */
	MtQueryProgress progress;	/* of this pass */
	MtIdRanges *ranges;			/* shared with other processes; NULL: alone */
	List	   *dividers;		/* between the ranges, until they are shared */
	MtReadCounts others;		/* what the other processes have read */
	bool		is_over;		/* the processes have parted */
	bool		has_begun;		/* this pass */
	bool		uses_spare;		/* in this pass */
} CollectionScan;

/* What is the same for EXPLAIN as for running. */
static CollectionScan *
create_scan(ForeignScanState *node)
{
	CollectionScan *scan = palloc0(sizeof *scan);
	Oid			userid = mt_compat_check_as_user(node);
	Relation	relation;
	MtTableOptions *table;

	if (!OidIsValid(userid))
		userid = GetUserId();
	scan->query = mt_collection_plan_query((ForeignScan *) node->ss.ps.plan);
	relation = mt_join_open_table(scan->query->relid);
	table = mt_options_table(scan->query->relid);
	scan->serverid = table->serverid;
	scan->options = mt_options_read(table);
	scan->name = mt_collection_name(relation, table, userid);
	scan->columns = mt_collection_columns(relation, table);
	scan->n_columns = RelationGetDescr(relation)->natts;
	table_close(relation, NoLock);
	if (scan->query->join != NULL)
		scan->sources = mt_join_sources(scan->query->join, userid);
	return scan;
}

static MtCollectionRow *
create_row(const CollectionScan *scan)
{
	const MtCollectionQuery *query = scan->query;

	if (query->join != NULL)
		return mt_join_row(query->join, scan->sources);
	return mt_collection_row_create(scan->columns, scan->n_columns,
									mt_plan_attribute_set(query->attributes, scan->n_columns), scan->name);
}

void
mt_collection_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	CollectionScan *scan = create_scan(node);
	MtReadTime *time;

	node->fdw_state = scan;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	scan->values = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	if (scan->query->grouping == NULL)
		scan->row = create_row(scan);
	else
	{
		scan->groups = mt_group_reader_create(scan->query->grouping, scan->columns, scan->name);
		scan->row_slot = ExecAllocTableSlot(&estate->es_tupleTable,
											node->ss.ss_ScanTupleSlot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
		scan->row_context = AllocSetContextCreate(estate->es_query_cxt, "mongo_tail group", ALLOCSET_SMALL_SIZES);
	}
	time = mt_read_time(scan->options->read_consistency, scan->serverid, estate);
	scan->reader = mt_collection_reader_create(scan->name, scan->options, time);
	if (scan->query->order != NULL && mt_order_runs(scan->query->order) > 1)
	{
		scan->merge = mt_merge_create(scan->query->order, scan->columns);
		scan->second = mt_collection_reader_create(scan->name, scan->options, time);
	}
	scan->asking = AllocSetContextCreate(estate->es_query_cxt, "mongo_tail command", ALLOCSET_SMALL_SIZES);
}

/* The command with the values of this moment, in the context "asking". */
static MtCommand
command_now(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	MtQueryTarget target = {scan->name, scan->columns, scan->options, scan->sources};
	MtFilterValue *values;
	MemoryContext old;
	ListCell   *cell;
	MtCommand	command;
	int			i = 0;

	MemoryContextReset(scan->asking);
	old = MemoryContextSwitchTo(scan->asking);
	values = palloc0(sizeof(MtFilterValue) * (list_length(scan->values) + 1));
	foreach(cell, scan->values)
	{
		values[i].datum = ExecEvalExprSwitchContext(lfirst(cell), node->ss.ps.ps_ExprContext,
													&values[i].isnull);
		i++;
	}
	command = mt_query_command(scan->query, &target, values, scan->progress);
	MemoryContextSwitchTo(old);
	return command;
}

/* ---- groups ---- */

/* Read all groups into the store. */
static MtGroupVerdict
read_groups(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MtCommand	command = command_now(node);
	MtGroupVerdict verdict = MT_GROUP_GOOD;
	MemoryContext old;
	MtSlice		document;
	int64		n = 0;

	tuplestore_clear(scan->rows);
	mt_group_reader_reset(scan->groups);
	if (command.is_too_long ||
		(!command.is_empty_set && !mt_collection_reader_try(scan->reader, command.document)))
		return MT_GROUP_ODD;
	while (verdict == MT_GROUP_GOOD && mt_collection_reader_next(scan->reader, &document))
	{
		MemoryContextReset(scan->row_context);
		old = MemoryContextSwitchTo(scan->row_context);
		verdict = mt_group_reader_store(scan->groups, document, slot);
		MemoryContextSwitchTo(old);
		if (verdict == MT_GROUP_GOOD)
			tuplestore_puttupleslot(scan->rows, slot);
		n++;
	}
	if (n == 0 && scan->query->grouping->is_one_row)
	{
		mt_group_reader_store_empty(scan->groups, slot);
		tuplestore_puttupleslot(scan->rows, slot);
	}
	ExecClearTuple(slot);
	mt_collection_reader_end(scan->reader);
	return verdict;
}

static void
begin_groups(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	MtGroupVerdict verdict;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

	if (scan->rows == NULL)
		scan->rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(old);
	verdict = read_groups(node);
	if (verdict == MT_GROUP_UNKNOWN)
	{
		scan->progress.is_precise = true;
		verdict = read_groups(node);
	}
	scan->uses_spare = verdict != MT_GROUP_GOOD;
}

static TupleTableSlot *
next_group(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	MemoryContext old;
	TupleTableSlot *slot;

	if (!scan->has_begun)
		begin_groups(node);
	scan->has_begun = true;
	if (scan->uses_spare)
	{
		/* as if it were called by any other node, and not for one tuple */
		old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
		slot = ExecProcNode(outerPlanState(node));
		MemoryContextSwitchTo(old);
		return slot;
	}
	if (!tuplestore_gettupleslot(scan->rows, true, false, scan->row_slot))
		ExecClearTuple(scan->row_slot);
	return scan->row_slot;
}

/* ---- documents ---- */

/* Ask for the documents of the present part. */
static void
ask(ForeignScanState *node, MtCollectionReader *reader)
{
	MtCommand	command = command_now(node);

	if (!command.is_empty_set)
		mt_collection_reader_run(reader, command.document);
}

/*
 * Ask for the documents of the next range, if several processes share them, else
 * of the next segment; false: there is none.
 */
static bool
next_part(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	if (scan->is_over)
		return false;
	if (scan->ranges != NULL)
	{
		if (!mt_ranges_take(scan->ranges, &scan->progress.range))
			return false;
	}
	else if (scan->has_begun && ++scan->progress.segment >= mt_query_segments(scan->query))
		return false;
	scan->has_begun = true;
	ask(node, scan->reader);
	scan->is_merging = mt_query_is_merged(scan->query, scan->progress.segment);
	if (scan->is_merging)
	{
		scan->progress.segment++;
		ask(node, scan->second);
		mt_merge_begin(scan->merge, scan->reader, scan->second);
	}
	return true;
}

static bool
next_document(ForeignScanState *node, MtSlice *document)
{
	CollectionScan *scan = node->fdw_state;

	while (!(scan->is_merging ? mt_merge_next(scan->merge, document) :
			 mt_collection_reader_next(scan->reader, document)))
		if (!next_part(node))
			return false;
	scan->progress.n_rows++;
	return true;
}

pg_noreturn static void
refuse_order(const CollectionScan *scan, const char *detail, int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("MongoDB cannot order collection \"%s\" as PostgreSQL does",
					pg_any_to_server(scan->name->collection, (int) strlen(scan->name->collection), PG_UTF8)),
			 errdetail(detail, scan->columns[column].name),
			 errhint("SET mongo_tail.enable_sort = off.")));
}

/* See collection_order.c. */
static void
check_order(CollectionScan *scan, TupleTableSlot *slot)
{
	const MtOrder *order = scan->query->order;
	ListCell   *cell;

	foreach(cell, order->never_null)
		if (slot->tts_isnull[lfirst_int(cell)])
			refuse_order(scan, "Column \"%s\" is NULL in one of its rows.", lfirst_int(cell));
	if (scan->merge != NULL && mt_merge_is_ambiguous(scan->merge))
		refuse_order(scan, "Column \"%s\" has one value of two BSON types, and is not the only key.",
					 linitial_int(linitial(order->keys)));
}

/* Called in the context of one tuple, which lives as long as the tuple. */
TupleTableSlot *
mt_collection_iterate(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MtSlice		document;

	if (scan->groups != NULL)
		return next_group(node);
	if (!next_document(node, &document))
		return ExecClearTuple(slot);
	mt_collection_row_store(scan->row, document, slot);
	if (scan->query->order != NULL)
		check_order(scan, slot);
	return slot;
}

static void
end_readers(CollectionScan *scan)
{
	if (scan->reader != NULL)
		mt_collection_reader_end(scan->reader);
	if (scan->second != NULL)
		mt_collection_reader_end(scan->second);
	scan->is_merging = false;
}

void
mt_collection_rescan(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	end_readers(scan);
	memset(&scan->progress, 0, sizeof scan->progress);
	scan->has_begun = false;
	scan->uses_spare = false;
}

/* ---- several processes ---- */

/* How many ranges there are for each process, so that all are busy to the end. */
#define RANGES_PER_PROCESS 8

Size
mt_collection_estimate_dsm(ForeignScanState *node, ParallelContext *parallel)
{
	CollectionScan *scan = node->fdw_state;
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

	scan->dividers = mt_ranges_divide(scan->name, scan->options, (parallel->nworkers + 1) * RANGES_PER_PROCESS);
	MemoryContextSwitchTo(old);
	return mt_ranges_bytes(scan->dividers);
}

void
mt_collection_initialize_dsm(ForeignScanState *node, ParallelContext *parallel, void *coordinate)
{
	CollectionScan *scan = node->fdw_state;

	(void) parallel;
	mt_ranges_init(coordinate, scan->dividers);
	scan->ranges = coordinate;
	scan->is_over = false;
}

void
mt_collection_reinitialize_dsm(ForeignScanState *node, ParallelContext *parallel, void *coordinate)
{
	(void) node;
	(void) parallel;
	mt_ranges_restart(coordinate);
}

void
mt_collection_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	(void) toc;
	((CollectionScan *) node->fdw_state)->ranges = coordinate;
}

/* The memory that is shared goes after this.  The leader's comes when the
 * workers have ended, unless it wants no more rows. */
void
mt_collection_shutdown(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	if (scan == NULL || scan->ranges == NULL)
		return;
	mt_collection_reader_end(scan->reader);
	if (IsParallelWorker())
		mt_ranges_add_counts(scan->ranges, mt_collection_reader_counts(scan->reader));
	else
		scan->others = mt_ranges_counts(scan->ranges);
	scan->ranges = NULL;
	scan->is_over = true;
}

void
mt_collection_end(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	if (scan != NULL)
		end_readers(scan);
	if (scan != NULL && scan->rows != NULL)
		tuplestore_end(scan->rows);
}

/* ---- EXPLAIN ---- */

/* The values of the plan: known, or the text of what is not known before it runs. */
static MtFilterValue *
planned_values(const ForeignScan *plan, List *context)
{
	MtFilterValue *values = palloc0(sizeof(MtFilterValue) * (list_length(plan->fdw_exprs) + 1));
	ListCell   *cell;
	int			i = 0;

	foreach(cell, plan->fdw_exprs)
	{
		Const	   *value = lfirst(cell);
		char	   *text;

		if (IsA(value, Const))
		{
			values[i].datum = value->constvalue;
			values[i].isnull = value->constisnull;
		}
		else
		{
			text = deparse_expression((Node *) value, context, list_length(context) > 1, false);
			values[i].unknown = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
		}
		i++;
	}
	return values;
}

static void
explain_commands(CollectionScan *scan, const ForeignScan *plan, List *context, ExplainState *es)
{
	MtQueryTarget target = {scan->name, scan->columns, scan->options, scan->sources};
	MtQueryProgress progress = {0};
	MtFilterValue *values = planned_values(plan, context);
	bool		reads = false;

	for (; progress.segment < mt_query_segments(scan->query); progress.segment++)
	{
		MtCommand	command = mt_query_command(scan->query, &target, values, progress);
		bool		is_merged = progress.segment > 0 && mt_query_is_merged(scan->query, progress.segment - 1);

		if (command.is_empty_set)
			continue;
		ExplainPropertyText(!reads ? "MongoDB Query" : is_merged ? "Merged With MongoDB Query" : "Then MongoDB Query",
							mt_collection_document_text(command.document), es);
		reads = true;
	}
	if (!reads)
		ExplainPropertyBool("Reads Nothing", true, es);
}

static char *
shown_namespace(const MtCollectionName *name)
{
	char	   *namespace = psprintf("%s.%s", name->database, name->collection);

	return pg_any_to_server(namespace, (int) strlen(namespace), PG_UTF8);
}

/* All of a join, in the order in which MongoDB comes to them. */
static void
explain_names(const CollectionScan *scan, ExplainState *es)
{
	List	   *names = NIL;

	if (scan->sources == NULL)
	{
		ExplainPropertyText("MongoDB Collection", shown_namespace(scan->name), es);
		return;
	}
	for (int i = 0; i < list_length(scan->query->join->tables); i++)
		names = lappend(names, shown_namespace(scan->sources[i].name));
	ExplainPropertyList("MongoDB Collections", names, es);
}

void
mt_collection_explain(ForeignScanState *node, ExplainState *es)
{
	CollectionScan *scan = node->fdw_state;
	MtReadCounts counts;
	MtReadCounts others;

	explain_names(scan, es);
	if (es->verbose)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);

		ExplainPropertyText("MongoDB Server", GetForeignServer(scan->serverid)->servername, es);
		explain_commands(scan, (ForeignScan *) node->ss.ps.plan, context, es);
		if (scan->query->grouping == NULL && scan->query->join == NULL && scan->query->conditions != NIL &&
			mt_conditions_are_exact(scan->query->conditions) &&
			list_length(scan->query->conditions) == list_length(node->ss.ps.plan->qual))
			ExplainPropertyBool("MongoDB Filter Is Exact", true, es);
	}
	if (es->analyze && scan->uses_spare)
		ExplainPropertyBool("Answered Locally", true, es);
	if (es->analyze && scan->reader != NULL)
	{
		counts = mt_collection_reader_counts(scan->reader);
		mt_read_counts_add(&counts, &scan->others);
		if (scan->second != NULL)
		{
			others = mt_collection_reader_counts(scan->second);
			mt_read_counts_add(&counts, &others);
		}
		ExplainPropertyUInteger("MongoDB Commands", NULL, counts.commands, es);
		ExplainPropertyUInteger("MongoDB Batches", NULL, counts.batches, es);
		ExplainPropertyUInteger("MongoDB Documents", NULL, counts.documents, es);
		ExplainPropertyUInteger("MongoDB Bytes", NULL, counts.bytes, es);
		if (es->timing)
			ExplainPropertyFloat("MongoDB Wait Time", "ms", INSTR_TIME_GET_MILLISEC(counts.waited), 3, es);
	}
}
