/*
 * collection_scan.c
 *		Running a scan of a collection.
 *
 * The command is run when the first row is asked for, with the values that the
 * conditions have then; every rescan is a find of its own, on the same
 * connection.  Rows are made as they are asked for, so memory does not grow
 * with the collection, and a LIMIT above ends the find early.
 *
 * Who may read: SELECT on the table is PostgreSQL's to check; MongoDB is read
 * by the user mapping of whoever that right is checked for, which in a view is
 * its owner.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/collection_reader.h"
#include "base/options.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_row.h"
#include "fdw/collection_scan.h"
#include "fdw/collection_shippable.h"

typedef struct CollectionScan
{
	Oid			serverid;
	MtCollectionName *name;
	MtCollectionColumn *columns;
	MtCollectionQuery *query;
	List	   *values;			/* of ExprState */
	MtCollectionRow *row;
	MtCollectionReader *reader;
	MemoryContext asking;		/* of one command: it and its values */
	bool		has_begun;		/* this pass */
} CollectionScan;

static Bitmapset *
wanted_attributes(List *list, int n_attributes)
{
	Bitmapset  *attributes = NULL;
	ListCell   *cell;

	foreach(cell, list)
	{
		if (lfirst_int(cell) == 0)
			return n_attributes > 0 ? bms_add_range(NULL, 1, n_attributes) : NULL;
		attributes = bms_add_member(attributes, lfirst_int(cell));
	}
	return attributes;
}

void
mt_collection_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Relation	relation = node->ss.ss_currentRelation;
	int			n_attributes = RelationGetDescr(relation)->natts;
	MtTableOptions *table = mt_options_table(RelationGetRelid(relation));
	CollectionScan *scan = palloc0(sizeof *scan);
	Oid			userid = mt_compat_check_as_user(node);
	MtReadOptions *options;

	node->fdw_state = scan;
	scan->serverid = table->serverid;
	scan->name = mt_collection_name(relation, table, OidIsValid(userid) ? userid : GetUserId());
	scan->columns = mt_collection_columns(relation, table);
	scan->query = mt_collection_plan_query(plan);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	scan->values = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	scan->row = mt_collection_row_create(scan->columns, n_attributes,
										 wanted_attributes(scan->query->attributes, n_attributes), scan->name);
	options = mt_options_read(table);
	scan->reader =
		mt_collection_reader_create(scan->name, options,
									mt_read_time(options->read_consistency, scan->serverid, node->ss.ps.state));
	scan->asking = AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "mongo_tail command",
											ALLOCSET_SMALL_SIZES);
}

/* Run the command of this pass, unless no document can match. */
static void
begin_pass(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	MtFilterValue *values;
	MemoryContext old;
	ListCell   *cell;
	MtCommand	command;
	int			i = 0;

	scan->has_begun = true;
	MemoryContextReset(scan->asking);
	old = MemoryContextSwitchTo(scan->asking);
	values = palloc0(sizeof(MtFilterValue) * (list_length(scan->values) + 1));
	foreach(cell, scan->values)
	{
		values[i].datum = ExecEvalExprSwitchContext(lfirst(cell), node->ss.ps.ps_ExprContext,
													&values[i].isnull);
		i++;
	}
	command = mt_query_command(scan->query, scan->name, scan->columns, values);
	if (!command.is_empty_set)
		mt_collection_reader_run(scan->reader, command.document);
	MemoryContextSwitchTo(old);
}

/* Called in the context of one tuple, which lives as long as the tuple. */
TupleTableSlot *
mt_collection_iterate(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MtSlice		document;

	if (!scan->has_begun)
		begin_pass(node);
	if (mt_collection_reader_next(scan->reader, &document))
		mt_collection_row_store(scan->row, document, slot);
	else
		ExecClearTuple(slot);
	return slot;
}

void
mt_collection_rescan(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	mt_collection_reader_end(scan->reader);
	scan->has_begun = false;
}

void
mt_collection_end(ForeignScanState *node)
{
	CollectionScan *scan = node->fdw_state;

	if (scan != NULL && scan->reader != NULL)
		mt_collection_reader_end(scan->reader);
}

/* ---- EXPLAIN ---- */

/* The command of the plan, with the text of what is not known before it runs. */
static char *
planned_command(CollectionScan *scan, const ForeignScan *plan, List *context)
{
	MtFilterValue *values = palloc0(sizeof(MtFilterValue) * (list_length(plan->fdw_exprs) + 1));
	ListCell   *cell;
	MtCommand	command;
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
	command = mt_query_command(scan->query, scan->name, scan->columns, values);
	return command.is_empty_set ? NULL : mt_collection_document_text(command.document);
}

void
mt_collection_explain(ForeignScanState *node, ExplainState *es)
{
	CollectionScan *scan = node->fdw_state;
	char	   *namespace = psprintf("%s.%s", scan->name->database, scan->name->collection);
	MtReadCounts counts;

	ExplainPropertyText("MongoDB Collection", pg_any_to_server(namespace, (int) strlen(namespace), PG_UTF8), es);
	if (es->verbose)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
		char	   *command = planned_command(scan, (ForeignScan *) node->ss.ps.plan, context);

		ExplainPropertyText("MongoDB Server", GetForeignServer(scan->serverid)->servername, es);
		if (command != NULL)
			ExplainPropertyText("MongoDB Query", command, es);
		else
			ExplainPropertyBool("Reads Nothing", true, es);
		if (scan->query->conditions != NIL && mt_conditions_are_exact(scan->query->conditions) &&
			list_length(scan->query->conditions) == list_length(node->ss.ps.plan->qual))
			ExplainPropertyBool("MongoDB Filter Is Exact", true, es);
	}
	if (es->analyze && scan->reader != NULL)
	{
		counts = mt_collection_reader_counts(scan->reader);
		ExplainPropertyUInteger("MongoDB Commands", NULL, counts.commands, es);
		ExplainPropertyUInteger("MongoDB Batches", NULL, counts.batches, es);
		ExplainPropertyUInteger("MongoDB Documents", NULL, counts.documents, es);
		ExplainPropertyUInteger("MongoDB Bytes", NULL, counts.bytes, es);
		if (es->timing)
			ExplainPropertyFloat("MongoDB Wait Time", "ms", INSTR_TIME_GET_MILLISEC(counts.waited), 3, es);
	}
}
