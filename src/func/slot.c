/*
 * slot.c
 *		create_slot, drop_slot, get_changes, peek_changes, advance_slot and
 *		adopt_slot.
 *
 * get_changes reads from the slot's position and stores the new one in the
 * caller's transaction, in the row that it has locked: consuming is a plain
 * UPDATE, with all that PostgreSQL promises for one.  Where a batch ends is
 * decided here: at the end of the atomic group (MongoDB's transaction) that
 * reached max_changes or that until stands in.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/change_reader.h"
#include "base/change_row.h"
#include "base/place.h"
#include "base/remote.h"
#include "base/slot_catalog.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "compat.h"
#include "func/arguments.h"
#include "guc.h"

PG_FUNCTION_INFO_V1(mongo_tail_create_slot);
PG_FUNCTION_INFO_V1(mongo_tail_drop_slot);
PG_FUNCTION_INFO_V1(mongo_tail_get_changes);
PG_FUNCTION_INFO_V1(mongo_tail_peek_changes);
PG_FUNCTION_INFO_V1(mongo_tail_advance_slot);
PG_FUNCTION_INFO_V1(mongo_tail_adopt_slot);

/* What a call has read of a slot. */
typedef struct MtSlotBatch
{
	int64		changes;
	bool		complete;		/* everything in the interval was read */
	MtPosition	last;			/* of the last change */
	bool		has_wall_time;
	TimestampTz wall_time;		/* of the last change */
} MtSlotBatch;

/* ---- checks ---- */

static void
refuse_read_only(const char *function)
{
	mt_tail_state_require();
	if (XactReadOnly || RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s in a read-only transaction", function),
				 errhint("mongo_tail.peek_changes reads a slot there.")));
}

/*
 * The tail that a slot reads.  The slot's position must be a place in the
 * very oplogs that the tail follows.
 */
static MtTail *
tail_of_slot(const MtSlot *slot)
{
	const char *name = NameStr(slot->slot);
	MtTail	   *tail;
	bool		same_shards;

	if (!slot->adopted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("slot \"%s\" was restored from another database", name),
				 errdetail("Who consumes it there does not know of what is consumed here."),
				 errhint("SELECT mongo_tail.adopt_slot('%s') lets it be used here.", name)));
	tail = mt_tail_catalog_load_server(slot->serverid);
	if (tail == NULL)
		tail = mt_tail_catalog_load(NameStr(slot->server), false);	/* which says why not */
	same_shards = slot->n_shards == tail->n_shards;
	for (int i = 0; same_shards && i < slot->n_shards; i++)
		same_shards = strcmp(slot->shards[i], tail->shards[i].name) == 0;
	if (!same_shards)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("slot \"%s\" is of another replica set than the tail of server \"%s\" is now",
						name, NameStr(slot->server)),
				 errdetail("The slot is of \"%s\", the tail of \"%s\".", slot->n_shards > 0 ? slot->shards[0] : "",
						   tail->n_shards > 0 ? tail->shards[0].name : ""),
				 errhint("Drop the slot and create it again.")));
	return tail;
}

static MtChangeReader *
begin_reader(const MtSlot *slot, MtChangeReaderOptions *options)
{
	options->tail = tail_of_slot(slot);
	options->namespaces = slot->namespaces;
	options->n_namespaces = slot->n_namespaces;
	options->has_after = true;
	options->after = slot->position;
	return mt_change_reader_begin(options);
}

/* ---- create_slot(slot, server, namespaces, after) ---- */

/*
 * Where a new slot begins.  'now' and 'oldest' become cluster times; a change's
 * own position stays, since the rest of its transaction is after it.
 */
static MtPosition
first_position(const MtTail *tail, const MtPosition *after)
{
	const char *server = NameStr(tail->server);
	MtServerOptions *options = mt_options_server(tail->serverid);
	MtConnection *connection = mt_remote_open(tail->serverid, tail->owner, CurrentMemoryContext);
	uint64		time = mt_place_resolve(connection, server, options, after);
	MtPosition	position = *after;

	mt_remote_close(connection);
	if (mt_position_is_now(after) || mt_position_is_oldest(after))
		mt_position_set(&position, time, PG_UINT32_MAX, PG_UINT32_MAX);
	return position;
}

static Datum
position_datum(const MtPosition *position)
{
	MtPosition *copy = palloc(sizeof *copy);

	*copy = *position;
	return MtPositionGetDatum(copy);
}

Datum
mongo_tail_create_slot(PG_FUNCTION_ARGS)
{
	MtSlot		slot;
	MtTail	   *tail;
	MtChangeReaderOptions options;
	MtPosition	after;

	refuse_read_only("create_slot()");
	mt_require_argument(fcinfo, 0, "slot");
	mt_require_argument(fcinfo, 1, "server");
	memset(&slot, 0, sizeof slot);
	namestrcpy(&slot.slot, NameStr(*PG_GETARG_NAME(0)));
	if (NameStr(slot.slot)[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a slot's name must not be empty")));
	tail = mt_tail_catalog_load(NameStr(*PG_GETARG_NAME(1)), false);
	slot.server = tail->server;
	slot.serverid = tail->serverid;
	slot.owner = GetUserId();
	slot.namespaces = mt_namespaces_argument(fcinfo, 2, "namespaces", &slot.n_namespaces);
	if (!mt_position_argument(fcinfo, 3, &after))
		mt_position_set(&after, PG_UINT64_MAX, PG_UINT32_MAX, PG_UINT32_MAX);

	/* The reader's checks: may the user read this, and is it all tailed? */
	memset(&options, 0, sizeof options);
	options.tail = tail;
	options.namespaces = slot.namespaces;
	options.n_namespaces = slot.n_namespaces;
	mt_change_reader_end(mt_change_reader_begin(&options));

	slot.position = first_position(tail, &after);
	slot.n_shards = tail->n_shards;
	slot.shards = palloc(sizeof(char *) * (tail->n_shards + 1));
	for (int i = 0; i < tail->n_shards; i++)
		slot.shards[i] = tail->shards[i].name;
	mt_slot_catalog_insert(&slot);
	return position_datum(&slot.position);
}

Datum
mongo_tail_drop_slot(PG_FUNCTION_ARGS)
{
	MtSlot	   *slot;

	refuse_read_only("drop_slot()");
	slot = mt_slot_catalog_lock(NameStr(*PG_GETARG_NAME(0)));
	mt_slot_catalog_delete(NameStr(slot->slot));
	PG_RETURN_VOID();
}

Datum
mongo_tail_adopt_slot(PG_FUNCTION_ARGS)
{
	MtSlot	   *slot;

	refuse_read_only("adopt_slot()");
	slot = mt_slot_catalog_lock(NameStr(*PG_GETARG_NAME(0)));
	if (!slot->adopted)
		mt_slot_catalog_adopt(NameStr(slot->slot),
							  GetForeignServerByName(NameStr(slot->server), false)->serverid);
	PG_RETURN_VOID();
}

/* ---- get_changes and peek_changes(slot, max_changes, until, wait) ---- */

/*
 * Is a change of the same oplog entry as the last one of the batch?  Only one
 * entry of a shard has a cluster time.
 */
static bool
same_entry(const MtSlotBatch *batch, const MtChangeRow *row)
{
	return mt_position_cluster_time(&batch->last) == mt_position_cluster_time(&row->position) &&
		mt_position_shard(&batch->last) == mt_position_shard(&row->position);
}

/*
 * Put changes into the result: max_changes, and what is left of the group that
 * the last of them belongs to.  The change marked as a group's last may be one
 * that the slot's namespaces do not want; so the next entry's ends it, too.
 */
static void
put_batch(MtChangeReader *reader, int64 max_changes, ReturnSetInfo *result, MtSlotBatch *batch)
{
	MtRowBuilder *builder = mt_row_builder_create();
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail row",
												  ALLOCSET_DEFAULT_SIZES);
	MtChangeRow row;
	Datum		values[MT_CHANGE_COLUMNS];
	bool		nulls[MT_CHANGE_COLUMNS];
	bool		in_group = false;

	memset(batch, 0, sizeof *batch);
	while (batch->changes < max_changes || in_group)
	{
		MemoryContext old;

		if (!mt_change_reader_next(reader, &row))
		{
			batch->complete = true;
			break;
		}
		if (batch->changes >= max_changes && !same_entry(batch, &row))
			break;
		old = MemoryContextSwitchTo(per_row);
		mt_row_builder_fill(builder, &row, MT_ALL_COLUMNS, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);

		batch->changes++;
		batch->last = row.position;
		batch->has_wall_time = !nulls[MT_COLUMN_WALL_TIME];
		if (batch->has_wall_time)
			batch->wall_time = DatumGetTimestampTz(values[MT_COLUMN_WALL_TIME]);
		in_group = (row.change.flags & (MT_CHANGE_IN_GROUP | MT_CHANGE_LAST_IN_GROUP)) == MT_CHANGE_IN_GROUP;
	}
	MemoryContextDelete(per_row);
}

/* Where the slot stands when a batch is consumed. */
static MtPosition
position_after(const MtChangeReader *reader, const MtChangeReaderOptions *options,
			   const MtSlotBatch *batch)
{
	MtPosition	position = batch->last;

	if (batch->complete)
	{
		/* All of the interval, whose end is a time; until may be less. */
		mt_change_reader_position(reader, &position);
		if (options->has_until && mt_position_compare(&options->until, &position) < 0)
			position = options->until;
	}
	return position;
}

/*
 * Store where the slot stands.  A call that found nothing moves it, too, past
 * what was scanned, so that a quiet consumer does not fall off the oplog; but
 * only now and then, since each move is a new version of the row.
 */
static void
advance(const MtSlot *slot, const MtPosition *position, const MtSlotBatch *batch)
{
	if (mt_position_compare(position, &slot->position) <= 0)
		return;
	if (batch->changes == 0 &&
		!TimestampDifferenceExceeds(slot->advanced_at, GetCurrentTimestamp(), mt_guc_position_store_ms))
		return;
	mt_slot_catalog_advance(NameStr(slot->slot), position, batch->has_wall_time ? &batch->wall_time : NULL);
}

static void
read_slot_changes(FunctionCallInfo fcinfo, bool consume)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *name = NameStr(*PG_GETARG_NAME(0));
	MtChangeReaderOptions options;
	MtChangeReader *reader;
	MtSlot	   *slot;
	MtSlotBatch batch;

	slot = consume ? mt_slot_catalog_lock(name) : mt_slot_catalog_load(name);
	memset(&options, 0, sizeof options);
	options.has_until = mt_position_argument(fcinfo, 2, &options.until) &&
		!mt_position_is_now(&options.until);
	/* To the end of the entry that it stands in. */
	if (options.has_until && mt_position_shard(&options.until) != 0)
		mt_position_set(&options.until, mt_position_cluster_time(&options.until),
						mt_position_shard(&options.until), PG_UINT32_MAX);
	options.wait_ms = mt_interval_argument(fcinfo, 3, "wait");
	reader = begin_reader(slot, &options);
	put_batch(reader, mt_count_argument(fcinfo, 1, "max_changes"), result, &batch);
	if (consume && (batch.changes > 0 || batch.complete))
	{
		MtPosition	position = position_after(reader, &options, &batch);

		advance(slot, &position, &batch);
	}
	mt_change_reader_end(reader);
}

/* Common to both: a context for what the call needs, and the argument. */
static Datum
slot_changes(FunctionCallInfo fcinfo, bool consume)
{
	MemoryContext context;
	MemoryContext old;

	mt_require_argument(fcinfo, 0, "slot");
	mt_init_materialized(fcinfo);
	context = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail slot", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	read_slot_changes(fcinfo, consume);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}

Datum
mongo_tail_get_changes(PG_FUNCTION_ARGS)
{
	refuse_read_only("get_changes()");
	return slot_changes(fcinfo, true);
}

Datum
mongo_tail_peek_changes(PG_FUNCTION_ARGS)
{
	return slot_changes(fcinfo, false);
}

/* ---- advance_slot(slot, position) ---- */

Datum
mongo_tail_advance_slot(PG_FUNCTION_ARGS)
{
	MtPosition	target = *PG_GETARG_MT_POSITION(1);
	MtPosition	scanned_to;
	MtChangeReaderOptions options;
	MtChangeReader *reader;
	MtSlot	   *slot;
	char		text[MT_POSITION_TEXT_BYTES];
	char		limit[MT_POSITION_TEXT_BYTES];

	refuse_read_only("advance_slot()");
	slot = mt_slot_catalog_lock(NameStr(*PG_GETARG_NAME(0)));
	memset(&options, 0, sizeof options);
	reader = begin_reader(slot, &options);
	mt_change_reader_position(reader, &scanned_to);
	mt_change_reader_end(reader);

	/* A slot that was created just now may be ahead of the tailer. */
	if (mt_position_compare(&scanned_to, &slot->position) < 0)
		scanned_to = slot->position;
	if (mt_position_is_now(&target))
		target = scanned_to;
	if (mt_position_compare(&target, &slot->position) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("slot \"%s\" cannot go back to %s", NameStr(slot->slot),
						mt_position_text(&target, text)),
				 errdetail("It stands at %s.", mt_position_text(&slot->position, limit)),
				 errhint("Create another slot there: create_slot(..., after => ...).")));
	if (mt_position_compare(&target, &scanned_to) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("slot \"%s\" cannot go to %s: it is later than what has been scanned",
						NameStr(slot->slot), mt_position_text(&target, text)),
				 errdetail("Server \"%s\" has been scanned up to %s.", NameStr(slot->server),
						   mt_position_text(&scanned_to, limit)),
				 errhint("'now' moves it to there.")));
	if (mt_position_compare(&target, &slot->position) > 0)
		mt_slot_catalog_advance(NameStr(slot->slot), &target, NULL);
	return position_datum(&target);
}
