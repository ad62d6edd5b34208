/*
 * find_cursor.c
 *		A find or an aggregate over a collection.
 *
 * The command goes through the driver, which knows how to read from the
 * chosen server; its reply holds the first, small batch, which is all there is
 * for most finds by a key.  Every getMore goes through wire.c into one buffer that
 * lives as long as the cursor.
 *
 * Once a second batch was wanted, the next getMore is sent before a batch is
 * handed out, so that the server works at the same time as the consumer.  Not
 * sooner: whoever wants ten rows shall not make the server fetch 5,000.
 */
#include "mongo/find_cursor.h"
#include "mongo/mongo_private.h"

#define DEFAULT_BATCH_SIZE 5000

/* How long closing waits, at each of its steps, for a reply that is on its way. */
#define FAREWELL_MS 20

struct MtFindCursor
{
	MtConnection *connection;
	mongoc_stream_t *stream;	/* that the connection was settled on; checked before each use */
	int64_t		id;				/* 0: closed by the server */
	int			batch_size;
	bool		has_first;		/* the first batch was not handed out yet */
	bool		failed;			/* no more batches: a reply is missing */
	bool		asked;			/* request_id is sent, its reply not received */
	int32_t		request_id;
	uint64_t	bytes;			/* of all replies */
	MtSlice		first_documents;
	MtByteBuffer buffer;		/* of the batch that was handed out */
	char	   *database;
	char	   *collection;
};

/* {readConcern: {level, atClusterTime}} */
static void
append_read_concern(bson_t *command, const MtFindCursorOptions *options)
{
	bson_t		concern;

	BSON_APPEND_DOCUMENT_BEGIN(command, "readConcern", &concern);
	if (options->at_cluster_time != 0)
	{
		BSON_APPEND_UTF8(&concern, "level", "snapshot");
		BSON_APPEND_TIMESTAMP(&concern, "atClusterTime", (uint32_t) (options->at_cluster_time >> 32),
							  (uint32_t) options->at_cluster_time);
	}
	else
		BSON_APPEND_UTF8(&concern, "level", options->read_concern != NULL ? options->read_concern : "majority");
	bson_append_document_end(command, &concern);
}

/* The command as given, and what the options add to it. */
static bool
build_command(bson_t *command, const MtFindCursorOptions *options)
{
	bson_t		given;
	bson_t		batch;
	bson_iter_t iter;

	if (!bson_init_static(&given, options->command.data, options->command.len) ||
		!bson_iter_init(&iter, &given) || !bson_iter_next(&iter) || !bson_concat(command, &given))
		return false;
	if (strcmp(bson_iter_key(&iter), "aggregate") == 0)
	{
		BSON_APPEND_DOCUMENT_BEGIN(command, "cursor", &batch);
		bson_append_document_end(command, &batch);
	}
	else if (options->no_cursor_timeout)
		BSON_APPEND_BOOL(command, "noCursorTimeout", true);
	if (options->allow_disk_use != 0)
		BSON_APPEND_BOOL(command, "allowDiskUse", options->allow_disk_use > 0);
	if (options->max_time_ms > 0)
		BSON_APPEND_INT64(command, "maxTimeMS", options->max_time_ms);
	append_read_concern(command, options);
	return true;
}

static bool
run_command(MtFindCursor *cursor, const MtFindCursorOptions *options, MtMongoError *error)
{
	MtConnection *connection = cursor->connection;
	bson_t		command = BSON_INITIALIZER;
	MtCursorReply found;
	MtSlice		document;
	bool		ok = build_command(&command, options);

	if (!ok)
		mt_error_set(error, "the command is no BSON document, or too large");
	else
		ok = mt_connection_ask(connection, cursor->database, &command, options->clock, &cursor->buffer,
							   &document, error);
	bson_destroy(&command);
	if (!ok)
		return false;
	if (!mt_cursor_reply_read(document, &found))
	{
		mt_cursor_reply_malformed(error);
		connection->renew = true;
		return false;
	}
	if (!found.ok)
	{
		mt_error_from_reply(connection, document, error);
		return false;
	}
	cursor->id = found.id;
	cursor->bytes = document.len;
	cursor->first_documents = found.documents;
	cursor->has_first = true;
	return true;
}

MtFindCursor *
mt_find_cursor_open(MtConnection *connection, const MtFindCursorOptions *options, MtMongoError *error)
{
	MtFindCursor *cursor;

	if (!mt_connection_begin(connection, NULL, error) ||
		!mt_connection_settle(connection, options->read_preference, error))
		return NULL;
	cursor = calloc(1, sizeof *cursor);
	if (cursor == NULL)
	{
		mt_error_set(error, "out of memory");
		return NULL;
	}
	connection->cursors++;
	cursor->connection = connection;
	cursor->stream = connection->settled;
	cursor->batch_size = options->batch_size > 0 ? options->batch_size : DEFAULT_BATCH_SIZE;
	cursor->database = bson_strdup(options->database);
	cursor->collection = bson_strdup(options->collection);
	if (!run_command(cursor, options, error))
	{
		mt_find_cursor_close(cursor);
		return NULL;
	}
	return cursor;
}

/* Is the connection still what the cursor was opened on? */
static bool
check_stream(const MtFindCursor *cursor)
{
	const MtConnection *connection = cursor->connection;

	return connection->settled == cursor->stream && mt_stream_is_live(connection, cursor->stream);
}

static bool
send_get_more(MtFindCursor *cursor, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;

	BSON_APPEND_INT64(&command, "getMore", cursor->id);
	BSON_APPEND_UTF8(&command, "collection", cursor->collection);
	BSON_APPEND_INT32(&command, "batchSize", cursor->batch_size);
	mt_connection_append_session(cursor->connection, cursor->database, &command);
	cursor->asked = mt_wire_send(cursor->connection, cursor->stream, &command,
								 &cursor->request_id, error);
	if (cursor->asked)
		cursor->connection->awaited_by = cursor;
	bson_destroy(&command);
	cursor->failed = !cursor->asked;
	return cursor->asked;
}

static bool
receive_get_more(MtFindCursor *cursor, MtSlice *document, MtMongoError *error)
{
	MtConnection *connection = cursor->connection;

	cursor->failed = !mt_wire_receive(connection, cursor->stream, cursor->request_id,
									  connection->socket_timeout_ms, &cursor->buffer, document, error);
	if (!cursor->failed)
	{
		cursor->asked = false;
		connection->awaited_by = NULL;
	}
	return !cursor->failed;
}

static MtFindCursorResult
get_more(MtFindCursor *cursor, MtSlice *documents, MtMongoError *error)
{
	MtCursorReply reply;
	MtMongoError later;
	MtSlice		document;

	if (!mt_connection_begin(cursor->connection, cursor, error))
		return MT_FIND_CURSOR_ERROR;
	if (cursor->failed || !check_stream(cursor))
	{
		mt_error_from_stream(cursor->connection, "the cursor's connection was lost", NULL, error);
		cursor->failed = true;
		return MT_FIND_CURSOR_ERROR;
	}
	if ((!cursor->asked && !send_get_more(cursor, error)) ||
		!receive_get_more(cursor, &document, error))
		return MT_FIND_CURSOR_ERROR;
	if (!mt_cursor_reply_read(document, &reply))
	{
		mt_cursor_reply_malformed(error);
		cursor->failed = true;
		return MT_FIND_CURSOR_ERROR;
	}
	if (!reply.ok)
	{
		/* failed, as well as closed: an end would be taken for the collection's */
		mt_error_from_reply(cursor->connection, document, error);
		cursor->failed = true;
		return MT_FIND_CURSOR_ERROR;
	}
	cursor->id = reply.id;
	cursor->bytes += document.len;
	*documents = reply.documents;

	/* Should that fail, this batch is good all the same, and the next call
	 * finds the cursor failed. */
	if (cursor->id != 0)
		(void) send_get_more(cursor, &later);
	return MT_FIND_CURSOR_BATCH;
}

MtFindCursorResult
mt_find_cursor_next(MtFindCursor *cursor, MtSlice *documents, MtMongoError *error)
{
	memset(documents, 0, sizeof *documents);
	if (cursor->has_first)
	{
		cursor->has_first = false;
		*documents = cursor->first_documents;
		return MT_FIND_CURSOR_BATCH;
	}
	if (cursor->id == 0 && !cursor->failed)
		return MT_FIND_CURSOR_END;
	return get_more(cursor, documents, error);
}

uint64_t
mt_find_cursor_bytes(const MtFindCursor *cursor)
{
	return cursor->bytes;
}

/* Tell the server without waiting for its answer. */
static void
kill_cursor(MtFindCursor *cursor)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		ids = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "killCursors", cursor->collection);
	BSON_APPEND_INT64(&ids, "0", cursor->id);
	BSON_APPEND_ARRAY(&command, "cursors", &ids);
	mt_connection_append_session(cursor->connection, cursor->database, &command);
	mt_wire_send_and_forget(cursor->connection, cursor->stream, &command);
	bson_destroy(&ids);
	bson_destroy(&command);
}

/*
 * Take the reply that is on its way off the connection.  A server that cannot
 * get rid of its reply, since we have gone, does not read on either: it would
 * never see that the cursor shall be closed.
 */
static void
receive_last(MtFindCursor *cursor)
{
	MtConnection *connection = cursor->connection;
	MtCursorReply reply;
	MtMongoError ignored;
	MtSlice		document;

	if (connection->interrupted || !check_stream(cursor) ||
		!mt_wire_receive(connection, cursor->stream, cursor->request_id, FAREWELL_MS,
						 &cursor->buffer, &document, &ignored))
		return;
	cursor->asked = false;
	if (mt_cursor_reply_read(document, &reply) && reply.ok)
		cursor->id = reply.id;
}

void
mt_find_cursor_close(MtFindCursor *cursor)
{
	if (cursor == NULL)
		return;
	if (cursor->asked && !cursor->failed)
		receive_last(cursor);
	if (cursor->id != 0 && check_stream(cursor))
		kill_cursor(cursor);
	/* a reply may still be to come that nobody will read */
	if (cursor->asked || cursor->failed)
		cursor->connection->renew = true;
	if (cursor->connection->awaited_by == cursor)
		cursor->connection->awaited_by = NULL;
	mt_connection_release(cursor->connection);
	mt_byte_buffer_free(&cursor->buffer);
	bson_free(cursor->database);
	bson_free(cursor->collection);
	free(cursor);
}
