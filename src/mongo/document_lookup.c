/*
 * document_lookup.c
 *		Find documents by their _ids, several finds in flight.
 *
 * A lane is a connection with at most one command on its way.  Idle lanes get
 * the next requests; then the oldest reply is received into the one buffer
 * there is, and handed out from there.  A reply ends at 16 MB, so a find may
 * take several getMores, which its lane sends before it takes a new request.
 *
 * The find names no collation, so the collection's own holds: its _id index
 * has that one, and could not be used for strings under another.  What is then
 * found is at least what the simple collation finds; whoever takes the
 * documents compares their _ids himself.
 *
 * Any member that has caught up with after_cluster_time answers right, so the
 * read preference lets a member that was primary when it was chosen answer on.
 */
#include "mongo/mongo_private.h"
#include "mongo/document_lookup.h"
#include "oplog/bson_writer.h"
#include "oplog/change.h"

#define KEEP_BUFFER_BYTES (4 * 1024 * 1024)

/* MongoDB's limit of a command with some room for the command around the ids. */
#define MAX_IDS_BYTES (16 * 1024 * 1024 + 8 * 1024)

typedef struct MtLookupLane
{
	MtConnection *connection;
	mongoc_stream_t *stream;	/* the driver's, of this run */
	MtLookupRequest *request;	/* NULL: idle */
	int64_t		cursor_id;		/* 0: find is on its way, else getMore */
	int32_t		request_id;
	uint64_t	asked;			/* when: counts the commands of a run */
} MtLookupLane;

struct MtDocumentLookup
{
	MtByteBuffer reply;
	MtByteBuffer ids;			/* the array of ids of a find being sent */
	uint64_t	commands;
	int			n_lanes;
	MtLookupLane lanes[MT_LOOKUP_MAX_CONNECTIONS];
};

MtDocumentLookup *
mt_document_lookup_new(MtConnection *const *connections, int n_connections)
{
	MtDocumentLookup *lookup = calloc(1, sizeof *lookup);

	if (lookup == NULL)
		return NULL;
	lookup->n_lanes = n_connections;
	for (int i = 0; i < n_connections; i++)
		lookup->lanes[i].connection = connections[i];
	return lookup;
}

void
mt_document_lookup_free(MtDocumentLookup *lookup)
{
	if (lookup == NULL)
		return;
	mt_byte_buffer_free(&lookup->reply);
	mt_byte_buffer_free(&lookup->ids);
	free(lookup);
}

void
mt_document_lookup_shrink(MtDocumentLookup *lookup)
{
	if (lookup->reply.capacity > KEEP_BUFFER_BYTES)
		mt_byte_buffer_free(&lookup->reply);
	if (lookup->ids.capacity > KEEP_BUFFER_BYTES)
		mt_byte_buffer_free(&lookup->ids);
}

/* The lane's stream from a run before, unless the server has closed it. */
static mongoc_stream_t *
live_stream(MtConnection *connection)
{
	mongoc_stream_t *stream;

	if (connection->session == NULL || connection->server_id == 0)
		return NULL;
	stream = mt_connection_stream(connection, connection->server_id);
	if (stream != NULL && mongoc_stream_check_closed(stream))
	{
		connection->renew = true;
		return NULL;
	}
	return stream;
}

/* Have a stream, with a session, made by the driver. */
static bool
connect_lane(MtLookupLane *lane, MtMongoError *error)
{
	MtConnection *connection = lane->connection;
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bool		ok = mt_connection_begin(connection, NULL, error);

	lane->stream = ok ? live_stream(connection) : NULL;
	if (ok && lane->stream == NULL && (ok = mt_connection_begin(connection, NULL, error)))
	{
		BSON_APPEND_INT32(&command, "ping", 1);
		ok = mt_connection_run(connection, 0, "admin", &command, NULL, &reply, error);
		bson_destroy(&reply);
		if (ok)
		{
			lane->stream = mt_connection_stream(connection, connection->server_id);
			ok = lane->stream != NULL;
			if (!ok)
				mt_error_from_stream(connection, "the connection was lost", NULL, error);
		}
	}
	bson_destroy(&command);
	return ok;
}

static bool
send_command(MtDocumentLookup *lookup, MtLookupLane *lane, bson_t *command, MtMongoError *error)
{
	MtSlice		database;
	MtSlice		collection;

	mt_namespace_split(lane->request->namespace, &database, &collection);
	BSON_APPEND_DOCUMENT(command, "lsid", mongoc_client_session_get_lsid(lane->connection->session));
	bson_append_utf8(command, "$db", 3, (const char *) database.data, (int) database.len);
	lane->asked = ++lookup->commands;
	return mt_wire_send(lane->connection, lane->stream, command, &lane->request_id, error);
}

/* The request's ids as a BSON array. */
static bool
build_ids(MtDocumentLookup *lookup, const MtLookupRequest *request, bson_t *ids, MtMongoError *error)
{
	MtBsonWriter writer;
	size_t		start;

	lookup->ids.len = 0;
	mt_writer_begin(&writer, &lookup->ids, MAX_IDS_BYTES);
	start = mt_writer_begin_document(&writer);
	for (uint32_t i = 0; i < request->n_ids && writer.status == MT_DIFF_OK; i++)
	{
		char		digits[16];
		const char *name;
		size_t		len = bson_uint32_to_string(i, &name, digits, sizeof digits);

		mt_writer_element_as(&writer, mt_slice_of(name, (uint32_t) len), &request->ids[i]);
	}
	mt_writer_end_document(&writer, start);
	if (mt_writer_end(&writer) == MT_DIFF_OK &&
		bson_init_static(ids, lookup->ids.data, lookup->ids.len))
		return true;
	mt_error_set(error, "cannot make a query of %u ids: %s", request->n_ids,
				 mt_diff_status_text(writer.status));
	return false;
}

static void
append_read_concern(bson_t *command, const MtLookupOptions *options)
{
	bson_t		concern;

	BSON_APPEND_DOCUMENT_BEGIN(command, "readConcern", &concern);
	BSON_APPEND_UTF8(&concern, "level", options->read_concern_local ? "local" : "majority");
	BSON_APPEND_TIMESTAMP(&concern, "afterClusterTime",
						  (uint32_t) (options->after_cluster_time >> 32),
						  (uint32_t) options->after_cluster_time);
	bson_append_document_end(command, &concern);
}

/* find {_id: {$in: [...]}} */
static bool
send_find(MtDocumentLookup *lookup, MtLookupLane *lane, const MtLookupOptions *options,
		  MtMongoError *error)
{
	MtLookupRequest *request = lane->request;
	bson_t		command = BSON_INITIALIZER;
	bson_t		ids;
	bson_t		filter;
	bson_t		condition;
	bson_t		preference;
	MtSlice		database;
	MtSlice		collection;
	bool		ok;

	if (!build_ids(lookup, request, &ids, error))
	{
		bson_destroy(&command);
		return false;
	}
	mt_namespace_split(request->namespace, &database, &collection);
	bson_append_utf8(&command, "find", 4, (const char *) collection.data, (int) collection.len);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "filter", &filter);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &condition);
	BSON_APPEND_ARRAY(&condition, "$in", &ids);
	bson_append_document_end(&filter, &condition);
	bson_append_document_end(&command, &filter);
	/* one more than there can be, so that the server sees the end at once */
	BSON_APPEND_INT32(&command, "batchSize", (int32_t) request->n_ids + 1);
	append_read_concern(&command, options);
	BSON_APPEND_DOCUMENT_BEGIN(&command, "$readPreference", &preference);
	BSON_APPEND_UTF8(&preference, "mode", "primaryPreferred");
	bson_append_document_end(&command, &preference);
	ok = send_command(lookup, lane, &command, error);
	bson_destroy(&command);
	return ok;
}

static bool
send_get_more(MtDocumentLookup *lookup, MtLookupLane *lane, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	MtSlice		database;
	MtSlice		collection;
	bool		ok;

	mt_namespace_split(lane->request->namespace, &database, &collection);
	BSON_APPEND_INT64(&command, "getMore", lane->cursor_id);
	bson_append_utf8(&command, "collection", 10, (const char *) collection.data, (int) collection.len);
	BSON_APPEND_INT32(&command, "batchSize", (int32_t) lane->request->n_ids + 1);
	ok = send_command(lookup, lane, &command, error);
	bson_destroy(&command);
	return ok;
}

/* Tell the server without waiting for its answer. */
static void
kill_cursor(MtLookupLane *lane)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		ids = BSON_INITIALIZER;
	MtSlice		database;
	MtSlice		collection;

	mt_namespace_split(lane->request->namespace, &database, &collection);
	bson_append_utf8(&command, "killCursors", 11, (const char *) collection.data, (int) collection.len);
	BSON_APPEND_INT64(&ids, "0", lane->cursor_id);
	BSON_APPEND_ARRAY(&command, "cursors", &ids);
	BSON_APPEND_DOCUMENT(&command, "lsid", mongoc_client_session_get_lsid(lane->connection->session));
	bson_append_utf8(&command, "$db", 3, (const char *) database.data, (int) database.len);
	mt_wire_send_and_forget(lane->connection, lane->stream, &command);
	bson_destroy(&ids);
	bson_destroy(&command);
}

/* The lane that waits longest for its reply; NULL: none does. */
static MtLookupLane *
oldest_lane(MtDocumentLookup *lookup)
{
	MtLookupLane *oldest = NULL;

	for (int i = 0; i < lookup->n_lanes; i++)
	{
		MtLookupLane *lane = &lookup->lanes[i];

		if (lane->request != NULL && (oldest == NULL || lane->asked < oldest->asked))
			oldest = lane;
	}
	return oldest;
}

/* Receive the lane's reply. */
static bool
receive(MtDocumentLookup *lookup, MtLookupLane *lane, MtCursorReply *reply, MtMongoError *error)
{
	MtConnection *connection = lane->connection;
	MtSlice		document;

	if (!mt_wire_receive(connection, lane->stream, lane->request_id,
						 connection->socket_timeout_ms, &lookup->reply, &document, error))
		return false;
	if (!mt_cursor_reply_read(document, reply))
	{
		mt_cursor_reply_malformed(error);
		return false;
	}
	if (!reply->ok)
		mt_error_from_reply(connection, document, error);
	return reply->ok;
}

/* Hand out a reply's documents; *wanted becomes false when no more are. */
static bool
hand_out(const MtLookupRequest *request, const MtLookupOptions *options, MtSlice documents,
		 bool *wanted, MtMongoError *error)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_CORRUPT;

	if (mt_walk_begin(&walk, documents))
		while (*wanted && (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
			*wanted = options->take(options->context, request, mt_element_value(&element));
	if (*wanted && result != MT_WALK_END)
	{
		mt_cursor_reply_malformed(error);
		return false;
	}
	return true;
}

/* What a lane does with its reply: hand it out, and ask on or be idle. */
static bool
serve_lane(MtDocumentLookup *lookup, MtLookupLane *lane, const MtLookupOptions *options,
		   bool *wanted, MtMongoError *error)
{
	MtCursorReply reply;

	if (!receive(lookup, lane, &reply, error) ||
		!hand_out(lane->request, options, reply.documents, wanted, error))
		return false;
	lane->cursor_id = reply.id;
	if (lane->cursor_id != 0 && *wanted)
		return send_get_more(lookup, lane, error);
	if (lane->cursor_id != 0)
		kill_cursor(lane);
	lane->request->complete = *wanted;
	lane->request = NULL;
	return true;
}

/* After an error: replies that are still to come would be taken for others. */
static void
abandon(MtDocumentLookup *lookup)
{
	for (int i = 0; i < lookup->n_lanes; i++)
	{
		MtLookupLane *lane = &lookup->lanes[i];

		if (lane->request != NULL)
			lane->connection->renew = true;
		lane->request = NULL;
	}
}

bool
mt_document_lookup_run(MtDocumentLookup *lookup, const MtLookupOptions *options,
					   MtLookupRequest *requests, uint32_t n_requests, MtMongoError *error)
{
	uint32_t	next = 0;
	bool		wanted = true;
	bool		ok = true;

	for (uint32_t i = 0; i < n_requests; i++)
		requests[i].complete = false;
	while (ok)
	{
		MtLookupLane *oldest;

		for (int i = 0; ok && wanted && next < n_requests && i < lookup->n_lanes; i++)
		{
			MtLookupLane *lane = &lookup->lanes[i];

			if (lane->request != NULL)
				continue;
			ok = connect_lane(lane, error);
			if (!ok)
				break;
			lane->request = &requests[next++];
			lane->cursor_id = 0;
			ok = send_find(lookup, lane, options, error);
		}
		oldest = ok ? oldest_lane(lookup) : NULL;
		if (oldest == NULL)
			break;
		ok = serve_lane(lookup, oldest, options, &wanted, error);
	}
	if (!ok)
		abandon(lookup);
	return ok;
}
