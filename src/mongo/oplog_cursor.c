/*
 * oplog_cursor.c
 *		A tailable cursor on an oplog, and single reads of one.
 *
 * find has an empty first batch.  While a consumer is behind, the next getMore
 * is sent before the batch is handed out (server_cursor.c).
 *
 * $_requestResumeToken is not documented: where a server refuses it the cursor
 * opens without, and batches then do not say how far the server has scanned.
 */
#include <stdio.h>

#include "mongo/mongo_private.h"
#include "mongo/oplog_cursor.h"

/* A batch of so many bytes says that there is more, so that the server will
 * answer the next getMore without waiting for data. */
#define SEND_AHEAD_BYTES (64 * 1024)

struct MtOplogCursor
{
	MtServerCursor on_server;
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
run_find(MtOplogCursor *cursor, uint32_t server_id, const MtOplogCursorOptions *options, bool with_token,
		 MtMongoError *error)
{
	bson_t		command;
	bool		ok;

	build_find(&command, options, with_token);
	ok = mt_server_cursor_run(&cursor->on_server, server_id, &command,
							  options->read_concern_local ? "local" : "majority", error);
	bson_destroy(&command);
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
	bool		with_token = !options->without_scanned_to;
	MtOplogCursor *cursor;
	uint32_t	server_id;
	bool		opened;

	if (!mt_connection_begin(connection, NULL, error))
		return NULL;
	server_id = mt_connection_select(connection, NULL, error);
	if (server_id == 0)
		return NULL;
	cursor = calloc(1, sizeof *cursor);
	if (cursor == NULL)
	{
		mt_error_set(error, "out of memory");
		return NULL;
	}
	mt_server_cursor_init(&cursor->on_server, connection, options->database, options->collection,
						  options->batch_size);
	if (options->tailable)
		mt_oplog_cursor_set_await(cursor, options->await_ms);
	opened = run_find(cursor, server_id, options, with_token, error);
	if (!opened && with_token && is_token_refusal(error))
		opened = run_find(cursor, server_id, options, false, error);
	if (!opened)
	{
		mt_oplog_cursor_close(cursor);
		return NULL;
	}
	return cursor;
}

MtOplogCursorResult
mt_oplog_cursor_next(MtOplogCursor *cursor, MtOplogBatch *batch, MtMongoError *error)
{
	MtCursorReply reply;

	memset(batch, 0, sizeof *batch);
	if (cursor->on_server.id == 0 && !cursor->on_server.failed)
		return MT_OPLOG_CURSOR_END;
	if (!mt_server_cursor_more(&cursor->on_server, &reply, error))
		return MT_OPLOG_CURSOR_ERROR;
	batch->documents = reply.documents;
	batch->scanned_to = reply.scanned_to;
	batch->operation_time = reply.operation_time;
	if (batch->documents.len >= SEND_AHEAD_BYTES)
		mt_server_cursor_send_ahead(&cursor->on_server);
	return MT_OPLOG_CURSOR_BATCH;
}

void
mt_oplog_cursor_set_await(MtOplogCursor *cursor, int await_ms)
{
	cursor->on_server.await_ms = await_ms > 0 ? await_ms : 1;
}

void
mt_oplog_cursor_close(MtOplogCursor *cursor)
{
	if (cursor == NULL)
		return;
	mt_server_cursor_close(&cursor->on_server);
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
