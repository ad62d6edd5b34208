/*
 * find_cursor.c
 *		A find or an aggregate over a collection.
 *
 * The reply to the command holds the first, small batch, which is all there is
 * for most finds by a key.  Once a second batch was wanted, the next getMore is
 * sent before a batch is handed out (server_cursor.c).  Not sooner: whoever
 * wants ten rows shall not make the server fetch 5,000.
 */
#include "mongo/find_cursor.h"
#include "mongo/mongo_private.h"

struct MtFindCursor
{
	MtServerCursor on_server;
	bool		has_first;		/* the first batch was not handed out yet */
	MtSlice		first_documents;
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
	bson_t		command = BSON_INITIALIZER;
	MtCursorReply found;

	if (!build_command(&command, options))
		mt_error_set(error, "the command is no BSON document, or too large");
	else
		cursor->has_first = mt_server_cursor_ask(&cursor->on_server, &command, options->clock, &found, error);
	bson_destroy(&command);
	if (cursor->has_first)
		cursor->first_documents = found.documents;
	return cursor->has_first;
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
	mt_server_cursor_init(&cursor->on_server, connection, options->database, options->collection,
						  options->batch_size);
	if (!run_command(cursor, options, error))
	{
		mt_find_cursor_close(cursor);
		return NULL;
	}
	return cursor;
}

MtFindCursorResult
mt_find_cursor_next(MtFindCursor *cursor, MtSlice *documents, MtMongoError *error)
{
	MtCursorReply reply;

	memset(documents, 0, sizeof *documents);
	if (cursor->has_first)
	{
		cursor->has_first = false;
		*documents = cursor->first_documents;
		return MT_FIND_CURSOR_BATCH;
	}
	if (cursor->on_server.id == 0 && !cursor->on_server.failed)
		return MT_FIND_CURSOR_END;
	if (!mt_server_cursor_more(&cursor->on_server, &reply, error))
		return MT_FIND_CURSOR_ERROR;
	*documents = reply.documents;
	mt_server_cursor_send_ahead(&cursor->on_server);
	return MT_FIND_CURSOR_BATCH;
}

uint64_t
mt_find_cursor_bytes(const MtFindCursor *cursor)
{
	return cursor->on_server.bytes;
}

void
mt_find_cursor_close(MtFindCursor *cursor)
{
	if (cursor == NULL)
		return;
	mt_server_cursor_close(&cursor->on_server);
	free(cursor);
}
