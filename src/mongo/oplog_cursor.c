/*
 * oplog_cursor.c
 *		A tailable cursor on an oplog, and single reads of one.
 *
 * find goes through the driver (which knows how to read from the chosen
 * server) with an empty first batch; every getMore goes through wire.c into
 * one buffer that lives as long as the cursor.
 *
 * While a consumer is behind, the next getMore is sent before the batch is
 * handed out, so that the server works at the same time as the consumer.  Its
 * reply waits in the socket.  If the connection is wanted for something else
 * before the next call, the reply is first taken off it (mt_cursor_absorb).
 *
 * $_requestResumeToken is not documented: where a server refuses it the cursor
 * opens without, and batches then do not say how far the server has scanned.
 */
#include <stdio.h>

#include "mongo/mongo_private.h"
#include "mongo/oplog_cursor.h"

#define DEFAULT_BATCH_SIZE 5000

/* A buffer over this that has been mostly empty for so many replies is given
 * back, so that one huge transaction does not stay in memory for ever. */
#define KEEP_BUFFER_BYTES (4 * 1024 * 1024)
#define SHRINK_AFTER_REPLIES 64

/* A batch of so many bytes says that there is more, so that the server will
 * answer the next getMore without waiting for data. */
#define SEND_AHEAD_BYTES (64 * 1024)

struct MtOplogCursor
{
	MtConnection *connection;
	mongoc_stream_t *stream;	/* the driver's; checked before each use */
	uint32_t	server_id;
	int64_t		id;				/* 0: closed by the server */
	int			batch_size;
	int			await_ms;
	bool		tailable;
	bool		failed;			/* no more batches: a reply is missing */
	int			small_replies;	/* in a row */
	bool		asked;			/* request_id is sent, its reply not received */
	bool		absorbed;		/* its reply is in spare */
	int32_t		request_id;
	MtByteBuffer buffer;		/* of the batch that was handed out */
	MtByteBuffer spare;
	MtSlice		spare_document;
	char	   *database;
	char	   *collection;
};

static MtSlice
bson_slice(const bson_t *doc)
{
	MtSlice		slice = {bson_get_data(doc), doc->len};

	return slice;
}

static void
build_find(bson_t *command, const MtOplogCursorOptions *options, bool with_token)
{
	bson_t		hint;

	bson_init(command);
	BSON_APPEND_UTF8(command, "find", options->collection);
	BSON_APPEND_DOCUMENT(command, "filter", options->filter);
	BSON_APPEND_INT32(command, "batchSize", 0);
	if (options->tailable)
	{
		BSON_APPEND_BOOL(command, "tailable", true);
		BSON_APPEND_BOOL(command, "awaitData", true);
	}
	if (with_token)
	{
		/* the token is only given on a scan in natural order */
		BSON_APPEND_DOCUMENT_BEGIN(command, "hint", &hint);
		BSON_APPEND_INT32(&hint, "$natural", 1);
		bson_append_document_end(command, &hint);
		BSON_APPEND_BOOL(command, "$_requestResumeToken", true);
	}
}

static bool
run_find(MtOplogCursor *cursor, const MtOplogCursorOptions *options, bool with_token,
		 MtMongoError *error)
{
	MtCursorReply found;
	bson_t		command;
	bson_t		reply;
	bool		ok;

	build_find(&command, options, with_token);
	ok = mt_connection_run(cursor->connection, cursor->server_id, cursor->database, &command,
						   options->read_concern_local ? "local" : "majority", &reply, error);
	if (ok && !mt_cursor_reply_read(bson_slice(&reply), &found))
	{
		mt_cursor_reply_malformed(error);
		ok = false;
	}
	if (ok)
		cursor->id = found.id;
	bson_destroy(&command);
	bson_destroy(&reply);
	return ok;
}

/* Codes of a server that does not know, or not permit, the resume token. */
static bool
is_token_refusal(const MtMongoError *error)
{
	return error->from_server && !error->interrupted &&
		(error->code == 2 ||		/* BadValue */
		 error->code == 9 ||		/* FailedToParse */
		 error->code == 13 ||		/* Unauthorized */
		 error->code == 72 ||		/* InvalidOptions */
		 error->code == 115 ||		/* CommandNotSupported */
		 error->code == 303 ||		/* FeatureNotSupported */
		 error->code == 40415);		/* unknown field */
}

MtOplogCursor *
mt_oplog_cursor_open(MtConnection *connection, const MtOplogCursorOptions *options,
					 MtMongoError *error)
{
	MtOplogCursor *cursor;
	bool		with_token;
	bool		opened;

	if (!mt_connection_begin(connection, NULL, error))
		return NULL;
	cursor = calloc(1, sizeof *cursor);
	if (cursor == NULL)
	{
		mt_error_set(error, "out of memory");
		return NULL;
	}
	connection->cursors++;
	cursor->connection = connection;
	cursor->batch_size = options->batch_size > 0 ? options->batch_size : DEFAULT_BATCH_SIZE;
	cursor->await_ms = options->await_ms > 0 ? options->await_ms : 1;
	cursor->tailable = options->tailable;
	cursor->database = bson_strdup(options->database);
	cursor->collection = bson_strdup(options->collection);
	cursor->server_id = mt_connection_select(connection, NULL, error);
	with_token = !options->without_scanned_to;
	opened = cursor->server_id != 0 && run_find(cursor, options, with_token, error);
	if (!opened && cursor->server_id != 0 && with_token && is_token_refusal(error))
		opened = run_find(cursor, options, false, error);
	if (!opened)
	{
		cursor->id = 0;
		mt_oplog_cursor_close(cursor);
		return NULL;
	}
	return cursor;
}

static void
append_session(MtOplogCursor *cursor, bson_t *command)
{
	BSON_APPEND_DOCUMENT(command, "lsid",
						 mongoc_client_session_get_lsid(cursor->connection->session));
	BSON_APPEND_UTF8(command, "$db", cursor->database);
}

/* The stream on which the cursor was opened, if the driver still has it. */
static bool
check_stream(MtOplogCursor *cursor)
{
	mongoc_stream_t *stream = mt_connection_stream(cursor->connection, cursor->server_id);

	if (cursor->stream == NULL)
		cursor->stream = stream;
	return stream != NULL && stream == cursor->stream;
}

static bool
send_get_more(MtOplogCursor *cursor, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;

	BSON_APPEND_INT64(&command, "getMore", cursor->id);
	BSON_APPEND_UTF8(&command, "collection", cursor->collection);
	BSON_APPEND_INT32(&command, "batchSize", cursor->batch_size);
	if (cursor->tailable)
		BSON_APPEND_INT32(&command, "maxTimeMS", cursor->await_ms);
	append_session(cursor, &command);
	cursor->asked = mt_wire_send(cursor->connection, cursor->stream, &command,
								 &cursor->request_id, error);
	bson_destroy(&command);
	cursor->failed = !cursor->asked;
	if (cursor->asked)
		cursor->connection->asking = cursor;
	return cursor->asked;
}

static bool
receive_get_more(MtOplogCursor *cursor, MtByteBuffer *buffer, MtSlice *document,
				 MtMongoError *error)
{
	MtConnection *connection = cursor->connection;
	int			timeout_ms = connection->socket_timeout_ms;

	if (cursor->tailable)
		timeout_ms += cursor->await_ms;
	cursor->asked = false;
	connection->asking = NULL;
	cursor->failed = !mt_wire_receive(connection, cursor->stream, cursor->request_id,
									  timeout_ms, buffer, document, error);
	return !cursor->failed;
}

bool
mt_cursor_absorb(MtOplogCursor *cursor, MtMongoError *error)
{
	cursor->absorbed = receive_get_more(cursor, &cursor->spare, &cursor->spare_document, error);
	return cursor->absorbed;
}

/* The reply to the next getMore, in cursor->buffer. */
static bool
next_reply(MtOplogCursor *cursor, MtSlice *document, MtMongoError *error)
{
	MtByteBuffer old = cursor->buffer;

	if (cursor->absorbed)
	{
		cursor->absorbed = false;
		cursor->buffer = cursor->spare;
		cursor->spare = old;
		mt_byte_buffer_free(&cursor->spare);
		*document = cursor->spare_document;
		return true;
	}
	return (cursor->asked || send_get_more(cursor, error)) &&
		receive_get_more(cursor, &cursor->buffer, document, error);
}

/* Give back a buffer that one large batch has left behind. */
static void
shrink_buffer(MtOplogCursor *cursor)
{
	if (cursor->buffer.capacity <= KEEP_BUFFER_BYTES ||
		cursor->buffer.len > cursor->buffer.capacity / 2)
		cursor->small_replies = 0;
	else if (++cursor->small_replies >= SHRINK_AFTER_REPLIES)
	{
		mt_byte_buffer_free(&cursor->buffer);
		cursor->small_replies = 0;
	}
}

MtOplogCursorResult
mt_oplog_cursor_next(MtOplogCursor *cursor, MtOplogBatch *batch, MtMongoError *error)
{
	MtConnection *connection = cursor->connection;
	MtCursorReply reply;
	MtMongoError later;
	MtSlice		document;

	memset(batch, 0, sizeof *batch);
	if (cursor->id == 0)
		return MT_OPLOG_CURSOR_END;
	if (!mt_connection_begin(connection, cursor, error))
		return MT_OPLOG_CURSOR_ERROR;
	if (cursor->failed || !check_stream(cursor))
	{
		mt_error_from_stream(connection, "the cursor's connection was lost", NULL, error);
		cursor->failed = true;
		return MT_OPLOG_CURSOR_ERROR;
	}
	shrink_buffer(cursor);
	if (!next_reply(cursor, &document, error))
		return MT_OPLOG_CURSOR_ERROR;
	if (!mt_cursor_reply_read(document, &reply))
	{
		mt_cursor_reply_malformed(error);
		return MT_OPLOG_CURSOR_ERROR;
	}
	if (!reply.ok)
	{
		mt_error_from_reply(connection, document, error);
		cursor->id = 0;
		return MT_OPLOG_CURSOR_ERROR;
	}
	cursor->id = reply.id;
	batch->documents = reply.documents;
	batch->scanned_to = reply.scanned_to;
	batch->operation_time = reply.operation_time;

	/* Should that fail, this batch is good all the same, and the next call
	 * finds the cursor failed. */
	if (cursor->id != 0 && batch->documents.len >= SEND_AHEAD_BYTES)
		(void) send_get_more(cursor, &later);
	return MT_OPLOG_CURSOR_BATCH;
}

/* Tell the server without waiting for its answer. */
static void
kill_cursor(MtOplogCursor *cursor)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		ids = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "killCursors", cursor->collection);
	BSON_APPEND_INT64(&ids, "0", cursor->id);
	BSON_APPEND_ARRAY(&command, "cursors", &ids);
	append_session(cursor, &command);
	mt_wire_send_and_forget(cursor->connection, cursor->stream, &command);
	bson_destroy(&ids);
	bson_destroy(&command);
}

void
mt_oplog_cursor_set_await(MtOplogCursor *cursor, int await_ms)
{
	cursor->await_ms = await_ms > 0 ? await_ms : 1;
}

void
mt_oplog_cursor_close(MtOplogCursor *cursor)
{
	if (cursor == NULL)
		return;
	if (cursor->id != 0 && check_stream(cursor))
		kill_cursor(cursor);
	if (cursor->connection->asking == cursor)
	{
		/* a reply is still to come that nobody will read */
		cursor->connection->asking = NULL;
		cursor->connection->renew = true;
	}
	mt_connection_release(cursor->connection);
	mt_byte_buffer_free(&cursor->buffer);
	mt_byte_buffer_free(&cursor->spare);
	bson_free(cursor->database);
	bson_free(cursor->collection);
	free(cursor);
}

/* Run a find for one document and append that to entry. */
static MtOplogLookup
find_one(MtConnection *connection, const char *database, const bson_t *command,
		 MtByteBuffer *entry, MtMongoError *error)
{
	MtCursorReply found;
	MtElement	element;
	MtWalk		walk;
	bson_t		reply;
	MtOplogLookup result = MT_OPLOG_LOOKUP_ERROR;

	if (!mt_connection_begin(connection, NULL, error))
		return MT_OPLOG_LOOKUP_ERROR;
	if (!mt_connection_run(connection, 0, database, command, "local", &reply, error))
	{
		bson_destroy(&reply);
		return MT_OPLOG_LOOKUP_ERROR;
	}
	if (!mt_cursor_reply_read(bson_slice(&reply), &found) || !mt_walk_begin(&walk, found.documents))
		mt_cursor_reply_malformed(error);
	else if (mt_walk_next(&walk, &element) != MT_WALK_ELEMENT)
		result = MT_OPLOG_LOOKUP_NONE;
	else if (!mt_byte_buffer_append(entry, element.value, element.value_len))
		mt_error_set(error, "out of memory for an entry of %u bytes", element.value_len);
	else
		result = MT_OPLOG_LOOKUP_FOUND;
	bson_destroy(&reply);
	return result;
}

MtOplogLookup
mt_oplog_fetch(MtConnection *connection, const char *database, const char *collection,
			   uint64_t ts, MtByteBuffer *entry, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		filter;
	MtOplogLookup result;

	BSON_APPEND_UTF8(&command, "find", collection);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	BSON_APPEND_TIMESTAMP(&filter, "ts", (uint32_t) (ts >> 32), (uint32_t) ts);
	bson_append_document_end(&command, &filter);
	BSON_APPEND_INT32(&command, "limit", 1);
	BSON_APPEND_BOOL(&command, "singleBatch", true);
	result = find_one(connection, database, &command, entry, error);
	bson_destroy(&command);
	return result;
}

MtOplogLookup
mt_oplog_first(MtConnection *connection, const char *database, const char *collection,
			   MtByteBuffer *entry, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		filter;
	bson_t		hint;
	MtOplogLookup result;

	BSON_APPEND_UTF8(&command, "find", collection);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	bson_append_document_end(&command, &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "hint", &hint);
	BSON_APPEND_INT32(&hint, "$natural", 1);
	bson_append_document_end(&command, &hint);
	BSON_APPEND_INT32(&command, "limit", 1);
	BSON_APPEND_BOOL(&command, "singleBatch", true);
	result = find_one(connection, database, &command, entry, error);
	bson_destroy(&command);
	return result;
}

bool
mt_oplog_majority_point(MtConnection *connection, uint64_t *ts, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		filter;
	bson_t		reply;
	MtCursorReply read;
	bool		ok;

	*ts = 0;
	if (!mt_connection_begin(connection, NULL, error))
	{
		bson_destroy(&command);
		return false;
	}
	/* Any majority read does; this one touches one entry and needs no right
	 * that a tailer does not need anyway. */
	BSON_APPEND_UTF8(&command, "find", "oplog.rs");
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	bson_append_document_end(&command, &filter);
	BSON_APPEND_INT32(&command, "limit", 1);
	BSON_APPEND_BOOL(&command, "singleBatch", true);
	ok = mt_connection_run(connection, 0, "local", &command, "majority", &reply, error);
	if (ok)
	{
		if (mt_cursor_reply_read(bson_slice(&reply), &read))
			*ts = read.operation_time;
		if (*ts == 0)
		{
			mt_error_set(error, "the server reports no operation time: it is not a member of a replica set");
			ok = false;
		}
	}
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}
