/*
 * connection.c
 *		One connection to one deployment.
 *
 * The driver's client is made at the first call, and made anew after an error
 * that says that servers have moved: a client that has just failed sleeps up
 * to half a second before it looks again, and nothing can wake it.
 *
 * All commands run in one explicit session, so that there is one thing to end
 * when the connection closes.  That is told to the server without waiting for
 * an answer, and the driver, which would wait, is made to forget the session
 * first.
 */
#include "mongo/mongo_private.h"

#define DEFAULT_CONNECT_TIMEOUT_MS 10000
#define DEFAULT_SOCKET_TIMEOUT_MS 300000
#define COMMAND_NOT_FOUND 59

static void
drop_log(mongoc_log_level_t level, const char *domain, const char *message, void *context)
{
	/* Every error comes back by value; a backend's stderr is not for us. */
	(void) level;
	(void) domain;
	(void) message;
	(void) context;
}

void
mt_mongo_init(void)
{
	static bool done = false;

	/*
	 * A process that forks after this hands the state on to its children,
	 * which is all right: there are no threads, and OpenSSL reseeds itself.
	 * The driver's own memory needs no tuning, since replies of megabytes go
	 * to the cursors' buffers (wire.c).
	 */
	if (done)
		return;
	mongoc_log_set_handler(drop_log, NULL);
	mongoc_init();
	mongoc_handshake_data_append("mongo_tail", NULL, NULL);
	done = true;
}

const char *
mt_mongo_driver_version(void)
{
	return mongoc_get_version();
}

MtConnection *
mt_connection_new(const MtConnectionOptions *options, MtMongoError *error)
{
	MtConnection *connection;
	mongoc_uri_t *uri;

	mt_mongo_init();
	uri = mt_uri_build(options, error);
	if (uri == NULL)
		return NULL;
	connection = calloc(1, sizeof *connection);
	if (connection == NULL)
	{
		mt_error_set(error, "out of memory");
		mongoc_uri_destroy(uri);
		return NULL;
	}
	connection->uri = uri;
	connection->preference = bson_new();
	connection->port = options->port.wait ? options->port : mt_stream_plain_port();
	connection->connect_timeout_ms =
		mongoc_uri_get_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
									   DEFAULT_CONNECT_TIMEOUT_MS);
	connection->socket_timeout_ms =
		mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
									   DEFAULT_SOCKET_TIMEOUT_MS);
	if (connection->socket_timeout_ms <= 0)
		connection->socket_timeout_ms = DEFAULT_SOCKET_TIMEOUT_MS;
	return connection;
}

/*
 * Tell the server, without waiting, that the session is over.  What an
 * interrupted call may have opened there, a cursor whose number never came, is
 * closed at once by killing it; an ended session's would stay for minutes.
 */
static void
end_session(MtConnection *connection)
{
	mongoc_stream_t *stream;
	bson_t		command = BSON_INITIALIZER;
	bson_t		sessions = BSON_INITIALIZER;

	if (connection->server_id == 0 || connection->unanswered)
		return;
	stream = mt_connection_stream(connection, connection->server_id);
	if (stream == NULL)
		return;
	BSON_APPEND_DOCUMENT(&sessions, "0", mongoc_client_session_get_lsid(connection->session));
	BSON_APPEND_ARRAY(&command, connection->interrupted ? "killSessions" : "endSessions", &sessions);
	BSON_APPEND_UTF8(&command, "$db", "admin");
	mt_wire_send_and_forget(connection, stream, &command);
	bson_destroy(&sessions);
	bson_destroy(&command);
}

static void
destroy_client(MtConnection *connection)
{
	if (connection->client == NULL)
		return;
	if (connection->session != NULL)
		end_session(connection);
	/* Forgets the sessions, so that the next two calls do no I/O. */
	mongoc_client_reset(connection->client);
	if (connection->session != NULL)
		mongoc_client_session_destroy(connection->session);
	mongoc_client_destroy(connection->client);
	connection->session = NULL;
	connection->client = NULL;
	connection->server_id = 0;
	connection->settled = NULL;
	connection->unanswered = false;
	memset(&connection->clock, 0, sizeof connection->clock);
}

static void
destroy_connection(MtConnection *connection)
{
	destroy_client(connection);
	mongoc_uri_destroy(connection->uri);
	bson_destroy(connection->preference);
	free(connection);
}

void
mt_connection_free(MtConnection *connection)
{
	if (connection == NULL)
		return;
	connection->freed = true;
	if (connection->cursors == 0)
		destroy_connection(connection);
}

void
mt_connection_release(MtConnection *connection)
{
	connection->cursors--;
	if (connection->freed && connection->cursors == 0)
		destroy_connection(connection);
}

bool
mt_connection_is_reusable(const MtConnection *connection)
{
	mongoc_stream_t *stream = connection->settled;

	if (connection->client == NULL || connection->session == NULL || connection->server_id == 0 ||
		connection->interrupted || connection->renew || connection->freed ||
		connection->cursors > 0 || connection->asking != NULL)
		return false;
	if (stream == NULL || !mt_stream_is_live(connection, stream))
		stream = mt_connection_stream(connection, connection->server_id);
	return stream != NULL && !mongoc_stream_check_closed(stream);
}

bool
mt_connection_begin(MtConnection *connection, const MtServerCursor *cursor, MtMongoError *error)
{
	bson_error_t driver;

	connection->io_failed = false;
	connection->connect_errors[0] = '\0';
	if (!connection->interrupted && connection->port.interrupted(connection->port.context))
		connection->interrupted = true;
	if (connection->interrupted || connection->freed)
	{
		memset(&driver, 0, sizeof driver);
		bson_set_error(&driver, MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_NOT_READY,
					   "the connection is closed");
		mt_error_from_driver(connection, &driver, NULL, error);
		return false;
	}
	if (connection->asking != NULL && connection->asking != cursor &&
		!mt_server_cursor_absorb(connection->asking, error))
		return false;
	if (connection->renew && connection->cursors == 0)
		destroy_client(connection);
	if (connection->client != NULL)
		return true;
	memset(&driver, 0, sizeof driver);
	connection->client = mongoc_client_new_from_uri_with_error(connection->uri, &driver);
	if (connection->client == NULL)
	{
		mt_error_from_driver(connection, &driver, NULL, error);
		return false;
	}
	connection->renew = false;
	mongoc_client_set_error_api(connection->client, MONGOC_ERROR_API_VERSION_2);
	mongoc_client_set_stream_initiator(connection->client, mt_stream_initiate, connection);
	return true;
}

/* The session of the client, made when first needed. */
static bool
start_session(MtConnection *connection, MtMongoError *error)
{
	mongoc_session_opt_t *opts;
	bson_error_t driver;

	if (connection->session != NULL)
		return true;
	memset(&driver, 0, sizeof driver);
	opts = mongoc_session_opts_new();
	/* Each read says what it must be consistent with. */
	mongoc_session_opts_set_causal_consistency(opts, false);
	connection->session = mongoc_client_start_session(connection->client, opts, &driver);
	mongoc_session_opts_destroy(opts);
	if (connection->session == NULL)
		mt_error_from_driver(connection, &driver, NULL, error);
	return connection->session != NULL;
}

uint32_t
mt_connection_select(MtConnection *connection, const mongoc_read_prefs_t *prefs, MtMongoError *error)
{
	mongoc_server_description_t *server;
	bson_error_t driver;
	uint32_t	id;

	memset(&driver, 0, sizeof driver);
	if (prefs == NULL)
		prefs = mongoc_client_get_read_prefs(connection->client);
	server = mongoc_client_select_server(connection->client, false, prefs, &driver);
	if (server == NULL)
	{
		mt_error_from_driver(connection, &driver, NULL, error);
		return 0;
	}
	id = mongoc_server_description_id(server);
	mongoc_server_description_destroy(server);
	return id;
}

mongoc_stream_t *
mt_connection_stream(const MtConnection *connection, uint32_t server_id)
{
	mongoc_server_description_t *server =
		mongoc_client_get_server_description(connection->client, server_id);
	mongoc_stream_t *stream;

	if (server == NULL)
		return NULL;
	stream = mt_stream_find(connection,
							mongoc_server_description_host(server)->host_and_port);
	mongoc_server_description_destroy(server);
	return stream;
}

bool
mt_connection_run(MtConnection *connection, uint32_t server_id, const char *database,
				  const bson_t *command, const char *read_concern,
				  bson_t *reply, MtMongoError *error)
{
	bson_t		opts = BSON_INITIALIZER;
	bson_error_t driver;
	bool		ok;

	memset(&driver, 0, sizeof driver);
	if (server_id == 0)
		server_id = mt_connection_select(connection, NULL, error);
	if (server_id == 0 || !start_session(connection, error))
	{
		bson_init(reply);
		bson_destroy(&opts);
		return false;
	}
	connection->server_id = server_id;
	BSON_APPEND_INT32(&opts, "serverId", (int32_t) server_id);
	ok = mongoc_client_session_append(connection->session, &opts, &driver);
	if (ok && read_concern != NULL)
	{
		bson_t		level;

		BSON_APPEND_DOCUMENT_BEGIN(&opts, "readConcern", &level);
		BSON_APPEND_UTF8(&level, "level", read_concern);
		bson_append_document_end(&opts, &level);
	}
	if (ok)
		ok = mongoc_client_command_with_opts(connection->client, database, command,
											 mongoc_client_get_read_prefs(connection->client),
											 &opts, reply, &driver);
	else
		bson_init(reply);
	if (!ok)
	{
		mt_error_from_driver(connection, &driver, reply, error);
		connection->unanswered |= connection->interrupted;
	}
	else if (!connection->is_shard)
		connection->is_shard = bson_has_field(reply, "lastCommittedOpTime");
	bson_destroy(&opts);
	return ok;
}

bool
mt_connection_is_shard(const MtConnection *connection)
{
	return connection->is_shard;
}

bool
mt_connection_command(MtConnection *connection, const char *database, const bson_t *command,
					  bson_t *reply, MtMongoError *error)
{
	if (!mt_connection_begin(connection, NULL, error))
	{
		bson_init(reply);
		return false;
	}
	return mt_connection_run(connection, 0, database, command, NULL, reply, error);
}

/* A Timestamp field as seconds << 32 | increment; 0 when there is none. */
static uint64_t
timestamp_at(const bson_t *doc, const char *path)
{
	bson_iter_t iter;
	bson_iter_t field;
	uint32_t	seconds;
	uint32_t	increment;

	if (!bson_iter_init(&iter, doc) || !bson_iter_find_descendant(&iter, path, &field) ||
		!BSON_ITER_HOLDS_TIMESTAMP(&field))
		return 0;
	bson_iter_timestamp(&field, &seconds, &increment);
	return (uint64_t) seconds << 32 | increment;
}

static void
text_at(const bson_t *doc, const char *field, char *to, size_t size)
{
	bson_iter_t iter;

	to[0] = '\0';
	if (bson_iter_init_find(&iter, doc, field) && BSON_ITER_HOLDS_UTF8(&iter))
		bson_snprintf(to, size, "%s", bson_iter_utf8(&iter, NULL));
}

static void
read_hello(const bson_t *reply, MtHello *hello)
{
	bson_iter_t iter;
	bson_iter_t field;
	char		message[32];

	text_at(reply, "setName", hello->set_name, sizeof hello->set_name);
	text_at(reply, "me", hello->host, sizeof hello->host);
	text_at(reply, "msg", message, sizeof message);
	hello->is_mongos = strcmp(message, "isdbgrid") == 0;
	hello->is_config_server = bson_iter_init_find(&iter, reply, "configsvr");
	hello->is_primary =
		(bson_iter_init_find(&iter, reply, "isWritablePrimary") ||
		 bson_iter_init_find(&iter, reply, "ismaster")) && bson_iter_as_bool(&iter);
	if (bson_iter_init_find(&iter, reply, "maxWireVersion"))
		hello->max_wire_version = (int32_t) bson_iter_as_int64(&iter);
	hello->majority_ts = timestamp_at(reply, "lastWrite.majorityOpTime.ts");
	hello->last_ts = timestamp_at(reply, "lastWrite.opTime.ts");
	hello->majority_term = -1;
	if (bson_iter_init(&iter, reply) &&
		bson_iter_find_descendant(&iter, "lastWrite.majorityOpTime.t", &field))
		hello->majority_term = bson_iter_as_int64(&field);
}

/* The address we speak to, for a server that does not say "me". */
static void
read_host(MtConnection *connection, MtHello *hello)
{
	mongoc_server_description_t *server =
		mongoc_client_get_server_description(connection->client, connection->server_id);

	if (server != NULL)
		bson_snprintf(hello->host, sizeof hello->host, "%s",
					  mongoc_server_description_host(server)->host_and_port);
	mongoc_server_description_destroy(server);
}

bool
mt_connection_hello(MtConnection *connection, MtHello *hello, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bool		ok;

	memset(hello, 0, sizeof *hello);
	BSON_APPEND_INT32(&command, "hello", 1);
	ok = mt_connection_command(connection, "admin", &command, &reply, error);
	if (!ok && error->from_server && error->code == COMMAND_NOT_FOUND)
	{
		/* 4.4.0 and 4.4.1 know it by its old name only */
		bson_destroy(&reply);
		bson_reinit(&command);
		BSON_APPEND_INT32(&command, "isMaster", 1);
		ok = mt_connection_command(connection, "admin", &command, &reply, error);
	}
	if (ok)
	{
		read_hello(&reply, hello);
		if (hello->host[0] == '\0')
			read_host(connection, hello);
	}
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}
