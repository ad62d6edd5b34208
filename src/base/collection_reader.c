/*
 * collection_reader.c
 *		Read the documents of a collection.
 *
 * A connection is leased for each command, and given back as soon as its last
 * document has been read.  Cursor and lease belong to the memory context that
 * the reader was made in, so that an error anywhere in the statement ends both.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/collection_reader.h"
#include "base/options.h"
#include "base/remote.h"
#include "base/remote_lease.h"
#include "mongo/find_cursor.h"

/* MongoDB's codes for a snapshot that it does not give. */
#define INVALID_OPTIONS			72
#define NOT_A_REPLICA_SET		123
#define SNAPSHOT_UNAVAILABLE	246

#define HINT_CURSOR_CONSISTENCY \
	"Reads as of one time need a replica set of MongoDB 5.0 or newer; without one set read_consistency to \"cursor\"."
#define HINT_SNAPSHOT \
	"Capped collections, and what was created, renamed or changed after that time, cannot be read so; " \
	"set read_consistency to \"cursor\" for them, or try again in a new transaction."

/* How much more than statement_timeout MongoDB is given. */
#define GRACE_MS		50

struct MtCollectionReader
{
	const MtCollectionName *name;
	const MtReadOptions *options;
	MtReadTime *time;			/* NULL: each cursor reads what it finds */
	char	   *server_name;
	char	   *what;			/* for errors */
	MtRemoteLease *lease;
	MtFindCursor *cursor;		/* NULL: nothing is under way */
	bool		in_driver;		/* the driver is on the stack */
	bool		in_batch;
	MtWalk		walk;			/* over the batch */
	MtReadCounts counts;		/* without the bytes of the present cursor */
};

static void
count_wait(MtCollectionReader *reader, instr_time start)
{
	instr_time	end;

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_ACCUM_DIFF(reader->counts.waited, end, start);
}

static void
close_cursor(MtCollectionReader *reader)
{
	MtFindCursor *cursor = reader->cursor;

	reader->cursor = NULL;
	reader->in_batch = false;

	/* A process that exits while it waits is in the middle of it. */
	if (reader->in_driver)
		return;
	if (cursor != NULL)
		reader->counts.bytes += mt_find_cursor_bytes(cursor);
	mt_find_cursor_close(cursor);
	mt_remote_lease_return(reader->lease);
}

static void
reader_reset(void *arg)
{
	close_cursor((MtCollectionReader *) arg);
}

MtCollectionReader *
mt_collection_reader_create(const MtCollectionName *name, const MtReadOptions *options, MtReadTime *time)
{
	MtCollectionReader *reader = palloc0(sizeof *reader);
	MemoryContextCallback *callback = palloc0(sizeof *callback);
	char	   *shown = psprintf("%s.%s", name->database, name->collection);

	reader->name = name;
	reader->lease = mt_remote_lease_create(name->serverid, name->userid);
	reader->options = options;
	reader->time = time;
	reader->server_name = GetForeignServer(name->serverid)->servername;
	reader->what = psprintf("read collection \"%s\"",
							pg_any_to_server(shown, (int) strlen(shown), PG_UTF8));
	callback->func = reader_reset;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return reader;
}

/* ---- the command ---- */

static const char *
read_concern_name(MtReadConcern concern)
{
	switch (concern)
	{
		case MT_READ_CONCERN_LOCAL:
			return "local";
		case MT_READ_CONCERN_AVAILABLE:
			return "available";
		case MT_READ_CONCERN_LINEARIZABLE:
			return "linearizable";
		default:
			return "majority";
	}
}

static const char *
read_preference_name(MtReadPreference preference)
{
	switch (preference)
	{
		case MT_READ_PRIMARY:
			return "primary";
		case MT_READ_PRIMARY_PREFERRED:
			return "primaryPreferred";
		case MT_READ_SECONDARY:
			return "secondary";
		case MT_READ_SECONDARY_PREFERRED:
			return "secondaryPreferred";
		case MT_READ_NEAREST:
			return "nearest";
		default:
			return NULL;
	}
}

/*
 * What is left of statement_timeout, 0 when there is none: MongoDB stops then by
 * itself, should nobody be able to tell it.  A little more is given, so that it
 * is PostgreSQL that says why.  MongoDB takes an int32.
 *
 * A cursor that is fetched from has the timeout anew with every FETCH, but what
 * MongoDB gets is for all of them; so it gets none.
 */
static int64
time_left_ms(void)
{
	TimestampTz end;

	if (!get_timeout_active(STATEMENT_TIMEOUT) ||
		(ActivePortal != NULL && ActivePortal->name[0] != '\0'))
		return 0;
	end = get_timeout_finish_time(STATEMENT_TIMEOUT);
	return Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end), PG_INT32_MAX - GRACE_MS) + GRACE_MS;
}

/*
 * Choose the time to read at, if that is still to be done: that of the newest
 * operation of the server's that is to be read, or one that a connection of the
 * session has heard of, if that is newer.  So whatever was acknowledged to
 * anybody before the statement began is seen.  (A snapshot read without a time
 * would be shown the newest one that a majority has, which misses it.)
 */
static bool
choose_time(MtCollectionReader *reader, MtConnection *connection, MtMongoError *error)
{
	MtReadTime *time = reader->time;

	if (time == NULL || time->is_chosen)
		return true;
	mt_remote_lease_clock(reader->name->serverid, &time->clock);
	if (!mt_connection_now(connection, read_preference_name(reader->options->read_preference),
						   &time->clock, error))
		return false;
	time->is_chosen = true;
	return true;
}

/* A deployment without a logical clock has no snapshots, either. */
static void
check_time(const MtCollectionReader *reader)
{
	if (reader->time != NULL && reader->time->is_chosen && reader->time->clock.operation_time == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not %s on server \"%s\" as of one time", reader->what, reader->server_name),
				 errdetail("Only members of a replica set have snapshots."),
				 errhint(HINT_CURSOR_CONSISTENCY)));
}

/* Raise an error of a command or cursor; what refuses the snapshot gets a hint. */
pg_noreturn static void
raise_error(const MtCollectionReader *reader, const MtMongoError *error)
{
	if (reader->time != NULL && error->from_server &&
		(error->code == INVALID_OPTIONS || error->code == NOT_A_REPLICA_SET ||
		 error->code == SNAPSHOT_UNAVAILABLE))
	{
		CHECK_FOR_INTERRUPTS();
		ereport(ERROR,
				(errcode(error->code == SNAPSHOT_UNAVAILABLE ?
						 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not %s on server \"%s\" as of one time", reader->what, reader->server_name),
				 errdetail("MongoDB server reported: %s (%s, code %d)", error->message, error->code_name, error->code),
				 error->code == SNAPSHOT_UNAVAILABLE ? errhint(HINT_SNAPSHOT) : errhint(HINT_CURSOR_CONSISTENCY)));
	}
	mt_remote_error(error, reader->server_name, reader->what);
}

/*
 * Run a command.  On a connection that had stood idle an error may mean no more
 * than that: that its server was restarted, or is the primary no longer.  None
 * of its documents has been seen, so it is tried again with a new one.
 */
static bool
open_cursor(MtCollectionReader *reader, MtFindCursorOptions *options, MtMongoError *error)
{
	MtConnection *connection;
	bool		was_used;
	bool		afresh = false;
	bool		ok;

	for (;;)
	{
		connection = mt_remote_lease_connection(reader->lease, afresh, &was_used);
		reader->in_driver = true;
		ok = choose_time(reader, connection, error);
		if (ok && reader->time != NULL)
		{
			options->at_cluster_time = reader->time->clock.operation_time;
			options->clock = &reader->time->clock;
			ok = options->at_cluster_time != 0;
		}
		if (ok)
			reader->cursor = mt_find_cursor_open(connection, options, error);
		reader->in_driver = false;
		check_time(reader);
		if (reader->cursor != NULL)
			return true;
		if (error->interrupted || !was_used || !(error->network || error->resumable))
			break;
		afresh = true;
	}
	mt_remote_lease_return(reader->lease);
	return false;
}

static bool
run(MtCollectionReader *reader, MtSlice command, MtMongoError *error)
{
	MtFindCursorOptions options;
	instr_time	start;
	bool		ok;

	mt_collection_reader_end(reader);
	memset(&options, 0, sizeof options);
	options.database = reader->name->database;
	options.collection = reader->name->collection;
	options.command = command;
	options.batch_size = reader->options->batch_size;
	options.read_concern = read_concern_name(reader->options->read_concern);
	options.read_preference = read_preference_name(reader->options->read_preference);
	options.max_time_ms = time_left_ms();
	options.no_cursor_timeout = reader->options->no_cursor_timeout;
	options.allow_disk_use = reader->options->allow_disk_use == MT_SWITCH_DEFAULT ? 0 :
		reader->options->allow_disk_use == MT_SWITCH_ON ? 1 : -1;
	INSTR_TIME_SET_CURRENT(start);
	ok = open_cursor(reader, &options, error);
	count_wait(reader, start);
	if (ok)
		reader->counts.commands++;
	return ok;
}

void
mt_collection_reader_run(MtCollectionReader *reader, MtSlice command)
{
	MtMongoError error;

	if (!run(reader, command, &error))
		raise_error(reader, &error);
}

/*
 * Expressions fail by TypeMismatch, by ExceededMemoryLimit, or by a number that
 * stands for the line of MongoDB's source and begins where the codes of other
 * errors end; but for those of elections, which read likewise.
 */
static bool
is_of_expression(const MtMongoError *error)
{
	return error->from_server && !error->interrupted && !error->network && !error->resumable &&
		(error->code == 14 || error->code == 146 || error->code == 292 || error->code > 14000);
}

bool
mt_collection_reader_try(MtCollectionReader *reader, MtSlice command)
{
	MtMongoError error;

	if (run(reader, command, &error))
		return true;
	if (!is_of_expression(&error))
		raise_error(reader, &error);
	return false;
}

/* False: the cursor is at its end. */
static bool
next_batch(MtCollectionReader *reader)
{
	MtFindCursorResult result;
	MtMongoError error;
	MtSlice		documents;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	reader->in_driver = true;
	result = mt_find_cursor_next(reader->cursor, &documents, &error);
	reader->in_driver = false;
	count_wait(reader, start);
	if (result == MT_FIND_CURSOR_ERROR)
	{
		close_cursor(reader);
		raise_error(reader, &error);
	}
	if (result == MT_FIND_CURSOR_END)
		return false;
	reader->counts.batches++;
	reader->in_batch = mt_walk_begin(&reader->walk, documents);
	if (!reader->in_batch)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not %s on server \"%s\"", reader->what, reader->server_name),
				 errdetail("A batch is no BSON array.")));
	return true;
}

bool
mt_collection_reader_next(MtCollectionReader *reader, MtSlice *document)
{
	MtElement	element;

	while (reader->cursor != NULL)
	{
		MtWalkResult result = reader->in_batch ? mt_walk_next(&reader->walk, &element) : MT_WALK_END;

		if (result == MT_WALK_ELEMENT && element.type == MT_BSON_DOCUMENT)
		{
			*document = mt_element_value(&element);
			reader->counts.documents++;
			return true;
		}
		if (result != MT_WALK_END)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("could not %s on server \"%s\"", reader->what, reader->server_name),
					 errdetail("A batch holds corrupt BSON.")));
		if (!next_batch(reader))
			close_cursor(reader);
	}
	return false;
}

void
mt_collection_reader_end(MtCollectionReader *reader)
{
	close_cursor(reader);
}

void
mt_read_counts_add(MtReadCounts *to, const MtReadCounts *counts)
{
	to->commands += counts->commands;
	to->batches += counts->batches;
	to->documents += counts->documents;
	to->bytes += counts->bytes;
	INSTR_TIME_ADD(to->waited, counts->waited);
}

MtReadCounts
mt_collection_reader_counts(const MtCollectionReader *reader)
{
	MtReadCounts counts = reader->counts;

	if (reader->cursor != NULL)
		counts.bytes += mt_find_cursor_bytes(reader->cursor);
	return counts;
}

char *
mt_collection_document_text(MtSlice document)
{
	bson_t		bson;
	char	   *json;
	char	   *text;

	if (!bson_init_static(&bson, document.data, document.len) ||
		(json = bson_as_relaxed_extended_json(&bson, NULL)) == NULL)
		return "?";
	text = pstrdup(json);
	bson_free(json);
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}
