/*
 * find_cursor.c
 *		A find or an aggregate over a collection.
 *
 * The reply to the command holds the first, small batch, which is all there is for
 * most finds by a key.  Once a second batch was wanted, the next getMore is
 * sent before a batch is handed out (server_cursor.c).  Not sooner: whoever
 * wants ten rows shall not make the server fetch 5,000.
 */
#include "mongo/find_cursor.h"
#include "mongo/mongo_private.h"

struct MtFindCursor
{
	MtServerCursor on_server;
	bool		has_first;		/* the first batch was not handed out yet */
	bson_t		first;			/* the reply to the command */
	MtSlice		first_documents;
};

/* The command as given and, for an aggregate, that a cursor is wanted. */
static bool
build_command(bson_t *command, const MtFindCursorOptions *options)
{
	bson_t		given;
	bson_t		batch;
	bson_iter_t iter;

	bson_init(command);
	if (!bson_init_static(&given, options->command.data, options->command.len) ||
		!bson_iter_init(&iter, &given) || !bson_iter_next(&iter) || !bson_concat(command, &given))
		return false;
	if (strcmp(bson_iter_key(&iter), "aggregate") == 0)
	{
		if (!BSON_APPEND_DOCUMENT_BEGIN(command, "cursor", &batch))
			return false;
		bson_append_document_end(command, &batch);
	}
	return true;
}

static bool
run_command(MtFindCursor *cursor, const MtFindCursorOptions *options, MtMongoError *error)
{
	MtCursorReply found;
	bson_t		command;

	if (!build_command(&command, options))
	{
		mt_error_set(error, "the command is no BSON document, or too large");
		bson_destroy(&command);
		return false;
	}
	bson_destroy(&cursor->first);
	cursor->has_first = mt_server_cursor_run(&cursor->on_server, &command,
											 options->read_concern_local ? "local" : "majority",
											 &cursor->first, &found, error);
	bson_destroy(&command);
	if (cursor->has_first)
		cursor->first_documents = found.documents;
	return cursor->has_first;
}

MtFindCursor *
mt_find_cursor_open(MtConnection *connection, const MtFindCursorOptions *options, MtMongoError *error)
{
	MtFindCursor *cursor = calloc(1, sizeof *cursor);

	if (cursor == NULL)
	{
		mt_error_set(error, "out of memory");
		return NULL;
	}
	if (!mt_server_cursor_begin(&cursor->on_server, connection, options->database,
								options->collection, options->batch_size, error))
	{
		free(cursor);
		return NULL;
	}
	bson_init(&cursor->first);
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
	/* its documents have been consumed */
	bson_reinit(&cursor->first);
	if (cursor->on_server.id == 0 && !cursor->on_server.failed)
		return MT_FIND_CURSOR_END;
	if (!mt_server_cursor_more(&cursor->on_server, &reply, error))
		return MT_FIND_CURSOR_ERROR;
	*documents = reply.documents;
	mt_server_cursor_ask(&cursor->on_server);
	return MT_FIND_CURSOR_BATCH;
}

void
mt_find_cursor_close(MtFindCursor *cursor)
{
	if (cursor == NULL)
		return;
	mt_server_cursor_close(&cursor->on_server);
	bson_destroy(&cursor->first);
	free(cursor);
}

bool
mt_find_estimated_count(MtConnection *connection, const char *database, const char *collection,
						int64_t *count, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bson_iter_t iter;
	bool		ok;

	*count = 0;
	BSON_APPEND_UTF8(&command, "count", collection);
	ok = mt_connection_command(connection, database, &command, &reply, error);
	if (ok && bson_iter_init_find(&iter, &reply, "n"))
		*count = bson_iter_as_int64(&iter);
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}
