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
#include "utils/memutils.h"

#include "base/collection_reader.h"
#include "base/options.h"
#include "base/remote.h"
#include "base/remote_lease.h"
#include "mongo/find_cursor.h"

struct MtCollectionReader
{
	const MtCollectionName *name;
	MtServerOptions *server;
	char	   *server_name;
	char	   *what;			/* for errors */
	MtRemoteLease *lease;
	MtFindCursor *cursor;		/* NULL: nothing is under way */
	bool		in_driver;		/* the driver is on the stack */
	bool		in_batch;
	MtWalk		walk;			/* over the batch */
	uint64		commands;
	uint64		batches;
	uint64		documents;
};

static void
close_cursor(MtCollectionReader *reader)
{
	MtFindCursor *cursor = reader->cursor;

	reader->cursor = NULL;
	reader->in_batch = false;

	/* A process that exits while it waits is in the middle of it. */
	if (reader->in_driver)
		return;
	mt_find_cursor_close(cursor);
	mt_remote_lease_return(reader->lease);
}

static void
reader_reset(void *arg)
{
	close_cursor((MtCollectionReader *) arg);
}

MtCollectionReader *
mt_collection_reader_create(const MtCollectionName *name)
{
	MtCollectionReader *reader = palloc0(sizeof *reader);
	MemoryContextCallback *callback = palloc0(sizeof *callback);
	char	   *shown = psprintf("%s.%s", name->database, name->collection);

	reader->name = name;
	reader->lease = mt_remote_lease_create(name->serverid, name->userid);
	reader->server = mt_options_server(name->serverid);
	reader->server_name = GetForeignServer(name->serverid)->servername;
	reader->what = psprintf("read collection \"%s\"",
							pg_any_to_server(shown, (int) strlen(shown), PG_UTF8));
	callback->func = reader_reset;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return reader;
}

/*
 * Run a command.  On a connection that had stood idle an error may mean no more
 * than that: that its server was restarted, or is the primary no longer.  None
 * of its documents has been seen, so it is tried again with a new one.
 */
static bool
open_cursor(MtCollectionReader *reader, const MtFindCursorOptions *options, MtMongoError *error)
{
	MtConnection *connection;
	bool		was_used;
	bool		afresh = false;

	for (;;)
	{
		connection = mt_remote_lease_connection(reader->lease, afresh, &was_used);
		reader->in_driver = true;
		reader->cursor = mt_find_cursor_open(connection, options, error);
		reader->in_driver = false;
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

	mt_collection_reader_end(reader);
	memset(&options, 0, sizeof options);
	options.database = reader->name->database;
	options.collection = reader->name->collection;
	options.command = command;
	options.batch_size = reader->server->batch_size;
	options.read_concern = reader->server->read_concern_local ? "local" : "majority";
	if (!open_cursor(reader, &options, error))
		return false;
	reader->commands++;
	return true;
}

void
mt_collection_reader_run(MtCollectionReader *reader, MtSlice command)
{
	MtMongoError error;

	if (!run(reader, command, &error))
		mt_remote_error(&error, reader->server_name, reader->what);
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
		mt_remote_error(&error, reader->server_name, reader->what);
	return false;
}

/* False: the cursor is at its end. */
static bool
next_batch(MtCollectionReader *reader)
{
	MtFindCursorResult result;
	MtMongoError error;
	MtSlice		documents;

	reader->in_driver = true;
	result = mt_find_cursor_next(reader->cursor, &documents, &error);
	reader->in_driver = false;
	if (result == MT_FIND_CURSOR_ERROR)
	{
		close_cursor(reader);
		mt_remote_error(&error, reader->server_name, reader->what);
	}
	if (result == MT_FIND_CURSOR_END)
		return false;
	reader->batches++;
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
			reader->documents++;
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
mt_collection_reader_counts(const MtCollectionReader *reader, uint64 *commands, uint64 *batches,
							uint64 *documents)
{
	*commands = reader->commands;
	*batches = reader->batches;
	*documents = reader->documents;
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
