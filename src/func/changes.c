/*
 * changes.c
 *		SELECT * FROM mongo_tail.changes(...), and wait_for_changes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/change_reader.h"
#include "base/change_row.h"
#include "compat.h"
#include "func/arguments.h"

PG_FUNCTION_INFO_V1(mongo_tail_changes);
PG_FUNCTION_INFO_V1(mongo_tail_wait_for_changes);

void
mt_put_changes(MtChangeReader *reader, int64 max_changes, ReturnSetInfo *result)
{
	MtRowBuilder *builder = mt_row_builder_create();
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail row",
												  ALLOCSET_DEFAULT_SIZES);
	MtChangeRow row;
	Datum		values[MT_CHANGE_COLUMNS];
	bool		nulls[MT_CHANGE_COLUMNS];

	for (int64 n = 0; n < max_changes && mt_change_reader_next(reader, &row); n++)
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);

		mt_row_builder_fill(builder, &row, MT_ALL_COLUMNS, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	MemoryContextDelete(per_row);
}

/* changes(server, namespaces, after, until, max_changes, wait) */
Datum
mongo_tail_changes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MtChangeReaderOptions options;
	MtChangeReader *reader;
	MemoryContext context;
	MemoryContext old;

	mt_require_argument(fcinfo, 0, "server");
	mt_init_materialized(fcinfo);
	context = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail changes", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);

	memset(&options, 0, sizeof options);
	options.tail = mt_tail_catalog_load(NameStr(*PG_GETARG_NAME(0)), false);
	options.namespaces = mt_namespaces_argument(fcinfo, 1, "namespaces", &options.n_namespaces);
	options.has_after = mt_position_argument(fcinfo, 2, &options.after);
	options.has_until = mt_position_argument(fcinfo, 3, &options.until);
	options.wait_ms = mt_interval_argument(fcinfo, 5, "wait");
	reader = mt_change_reader_begin(&options);
	mt_put_changes(reader, mt_count_argument(fcinfo, 4, "max_changes"), result);
	mt_change_reader_end(reader);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/*
 * wait_for_changes(server, after, wait): as a procedure outside of a
 * transaction block, it lets go of the statement's snapshot while it sleeps.
 */
Datum
mongo_tail_wait_for_changes(PG_FUNCTION_ARGS)
{
	bool		atomic = !(fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
						   !castNode(CallContext, fcinfo->context)->atomic);
	MtChangeReaderOptions options;
	MtChangeReader *reader;
	MtChangeRow row;
	MemoryContext context;
	MemoryContext old;

	mt_require_argument(fcinfo, 0, "server");
	context = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail wait", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	memset(&options, 0, sizeof options);
	options.tail = mt_tail_catalog_load(NameStr(*PG_GETARG_NAME(0)), false);
	options.has_after = mt_position_argument(fcinfo, 1, &options.after);
	options.wait_ms = mt_interval_argument(fcinfo, 2, "wait");
	reader = mt_change_reader_begin(&options);
	if (!atomic)
		ForgetPortalSnapshots();
	InvalidateCatalogSnapshot();
	(void) mt_change_reader_next(reader, &row);
	mt_change_reader_end(reader);
	if (!atomic)
		EnsurePortalSnapshotExists();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
