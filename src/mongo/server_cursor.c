/*
 * server_cursor.c
 *		A cursor that is open on a server: what finds of every kind share.
 *
 * Every getMore goes through wire.c into one buffer that lives as long as the
 * cursor, and may be sent ahead, so that the server works at the same time as
 * the consumer.  Its reply waits in the socket.  If the connection is wanted
 * for something else before, the reply is first taken off it
 * (mt_server_cursor_absorb).
 */
#include "mongo/mongo_private.h"

#define DEFAULT_BATCH_SIZE 5000

/* A buffer over this that has been mostly empty for so many replies is given
 * back, so that one huge batch does not stay in memory for ever. */
#define KEEP_BUFFER_BYTES (4 * 1024 * 1024)
#define SHRINK_AFTER_REPLIES 64

/* How long closing waits for more of a reply that is on its way, and how long
 * it takes to read such a one in all when interrupted. */
#define LAST_WAIT_MS 200
#define FAREWELL_MS 25

void
mt_server_cursor_init(MtServerCursor *cursor, MtConnection *connection, const char *database,
					  const char *collection, int batch_size)
{
	memset(cursor, 0, sizeof *cursor);
	connection->cursors++;
	cursor->connection = connection;
	cursor->batch_size = batch_size > 0 ? batch_size : DEFAULT_BATCH_SIZE;
	cursor->database = bson_strdup(database);
	cursor->collection = bson_strdup(collection);
}

/* Take over what the reply says; an error of the server's fails the cursor, as
 * well as closing it: an end would be taken for the collection's. */
static bool
read_reply(MtServerCursor *cursor, MtSlice document, MtCursorReply *reply, MtMongoError *error)
{
	cursor->failed = true;
	if (!mt_cursor_reply_read(document, reply))
	{
		mt_cursor_reply_malformed(error);
		cursor->connection->renew = true;
		return false;
	}
	cursor->id = reply->ok ? reply->id : 0;
	if (!reply->ok)
	{
		mt_error_from_reply(cursor->connection, document, error);
		return false;
	}
	cursor->bytes += document.len;
	cursor->failed = false;
	return true;
}

bool
mt_server_cursor_run(MtServerCursor *cursor, uint32_t server_id, const bson_t *command,
					 const char *read_concern, MtMongoError *error)
{
	MtConnection *connection = cursor->connection;
	MtCursorReply found;
	MtSlice		document;
	bson_t		reply;
	bool		ok;

	ok = mt_connection_run(connection, server_id, cursor->database, command, read_concern, &reply, error);
	if (ok)
	{
		cursor->stream = mt_connection_stream(connection, server_id);
		document.data = bson_get_data(&reply);
		document.len = reply.len;
		ok = read_reply(cursor, document, &found, error);
	}
	bson_destroy(&reply);
	return ok;
}

bool
mt_server_cursor_ask(MtServerCursor *cursor, bson_t *command, const MtClusterClock *clock,
					 MtCursorReply *reply, MtMongoError *error)
{
	MtSlice		document;

	cursor->stream = cursor->connection->settled;
	cursor->failed = true;
	return mt_connection_ask(cursor->connection, cursor->database, command, clock, &cursor->buffer,
							 &document, error) &&
		read_reply(cursor, document, reply, error);
}

static bool
stream_is_live(const MtServerCursor *cursor)
{
	return cursor->stream != NULL && mt_stream_is_live(cursor->connection, cursor->stream);
}

static bool
send_get_more(MtServerCursor *cursor, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;

	BSON_APPEND_INT64(&command, "getMore", cursor->id);
	BSON_APPEND_UTF8(&command, "collection", cursor->collection);
	BSON_APPEND_INT32(&command, "batchSize", cursor->batch_size);
	if (cursor->await_ms > 0)
		BSON_APPEND_INT32(&command, "maxTimeMS", cursor->await_ms);
	mt_connection_append_session(cursor->connection, cursor->database, &command);
	cursor->asked = mt_wire_send(cursor->connection, cursor->stream, &command,
								 &cursor->request_id, error);
	bson_destroy(&command);
	cursor->failed = !cursor->asked;
	if (cursor->asked)
		cursor->connection->asking = cursor;
	return cursor->asked;
}

void
mt_server_cursor_send_ahead(MtServerCursor *cursor)
{
	MtMongoError later;

	if (cursor->id != 0 && !cursor->failed && !cursor->asked && !cursor->absorbed)
		(void) send_get_more(cursor, &later);
}

/* The reply is off the connection, or will not be read by anybody. */
static void
forget_request(MtServerCursor *cursor)
{
	cursor->asked = false;
	if (cursor->connection->asking == cursor)
		cursor->connection->asking = NULL;
}

static bool
receive_get_more(MtServerCursor *cursor, MtByteBuffer *buffer, MtSlice *document,
				 MtMongoError *error)
{
	MtConnection *connection = cursor->connection;

	cursor->failed = !mt_wire_receive(connection, cursor->stream, cursor->request_id,
									  connection->socket_timeout_ms + cursor->await_ms,
									  buffer, document, error);
	forget_request(cursor);
	return !cursor->failed;
}

bool
mt_server_cursor_absorb(MtServerCursor *cursor, MtMongoError *error)
{
	cursor->absorbed = receive_get_more(cursor, &cursor->spare, &cursor->spare_document, error);
	return cursor->absorbed;
}

/* The reply to the next getMore, in cursor->buffer. */
static bool
next_reply(MtServerCursor *cursor, MtSlice *document, MtMongoError *error)
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
shrink_buffer(MtServerCursor *cursor)
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

bool
mt_server_cursor_more(MtServerCursor *cursor, MtCursorReply *reply, MtMongoError *error)
{
	MtConnection *connection = cursor->connection;
	MtSlice		document;

	if (!mt_connection_begin(connection, cursor, error))
		return false;
	if (cursor->failed || !stream_is_live(cursor))
	{
		mt_error_from_stream(connection, "the cursor's connection was lost", NULL, error);
		cursor->failed = true;
		return false;
	}
	shrink_buffer(cursor);
	return next_reply(cursor, &document, error) && read_reply(cursor, document, reply, error);
}

/* Tell the server without waiting for its answer. */
static void
kill_cursor(MtServerCursor *cursor)
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
 *
 * When nothing comes the server is at work, and reads nothing before it is done.
 * But it looks once in a while whether its client is still there, and takes a
 * message that waits for a sign of life: so none is sent.
 */
static void
receive_last(MtServerCursor *cursor)
{
	MtConnection *connection = cursor->connection;
	MtCursorReply reply;
	MtMongoError ignored;
	MtSlice		document;

	if (cursor->asked && !connection->interrupted &&
		mt_wire_receive(connection, cursor->stream, cursor->request_id, LAST_WAIT_MS,
						&cursor->buffer, &document, &ignored))
	{
		forget_request(cursor);
		if (mt_cursor_reply_read(document, &reply))
			cursor->id = reply.ok ? reply.id : 0;
	}
	else if (!connection->interrupted || !mt_wire_discard(connection, cursor->stream, FAREWELL_MS))
		connection->unanswered = cursor->await_ms == 0;	/* who awaits is soon done */
}

void
mt_server_cursor_close(MtServerCursor *cursor)
{
	MtConnection *connection = cursor->connection;

	if (stream_is_live(cursor) && (cursor->asked || cursor->failed))
		receive_last(cursor);
	if (cursor->id != 0 && stream_is_live(cursor) && !connection->unanswered)
		kill_cursor(cursor);
	if (cursor->asked)
	{
	/* a reply is still to come that nobody will read */
		forget_request(cursor);
		connection->renew = true;
	}
	mt_byte_buffer_free(&cursor->buffer);
	mt_byte_buffer_free(&cursor->spare);
	bson_free(cursor->database);
	bson_free(cursor->collection);
	mt_connection_release(connection);
}
