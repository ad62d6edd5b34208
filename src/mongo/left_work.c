/*
 * left_work.c
 *		Ending what a server still does for a call that has been left.
 *
 * Who is cancelled while the server works does not wait for it.  The server
 * notices that its client has gone while it runs a find or an aggregate, but not
 * in a getMore, and a killCursors behind it would be read only when that is
 * done.  So another connection ends the session in which it works.
 */
#include "mongo/mongo_private.h"

bool
mt_connection_has_left_work(const MtConnection *connection, uint8_t session_id[16])
{
	bson_iter_t iter;
	bson_subtype_t subtype;
	const uint8_t *id;
	uint32_t	len;

	if (!connection->unanswered || connection->session == NULL ||
		!bson_iter_init_find(&iter, mongoc_client_session_get_lsid(connection->session), "id") ||
		!BSON_ITER_HOLDS_BINARY(&iter))
		return false;
	bson_iter_binary(&iter, &subtype, &len, &id);
	if (len != 16)
		return false;
	memcpy(session_id, id, 16);
	return true;
}

void
mt_connection_kill_session(MtConnection *connection, const uint8_t session_id[16])
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		sessions = BSON_INITIALIZER;
	bson_t		session;

	if (connection->settled == NULL || !mt_stream_is_live(connection, connection->settled))
		return;
	BSON_APPEND_DOCUMENT_BEGIN(&sessions, "0", &session);
	BSON_APPEND_BINARY(&session, "id", BSON_SUBTYPE_UUID, session_id, 16);
	bson_append_document_end(&sessions, &session);
	BSON_APPEND_ARRAY(&command, "killSessions", &sessions);
	BSON_APPEND_UTF8(&command, "$db", "admin");
	mt_wire_send_and_forget(connection, connection->settled, &command);
	bson_destroy(&sessions);
	bson_destroy(&command);
}

bool
mt_connection_kill_left_work(MtConnection *connection, int within_ms)
{
	uint8_t		session_id[16];
	MtMongoError ignored;
	bool		sent;

	/* resolving names, all the more those of services, may take any time */
	if (!mt_connection_has_left_work(connection, session_id) ||
		strncmp(mongoc_uri_get_string(connection->uri), "mongodb+srv:", 12) == 0)
		return false;
	connection->renew = true;
	connection->interrupted = false;
	connection->connect_timeout_ms = connection->socket_timeout_ms = within_ms;
	mongoc_uri_set_option_as_int32(connection->uri, MONGOC_URI_CONNECTTIMEOUTMS, within_ms);
	mongoc_uri_set_option_as_int32(connection->uri, MONGOC_URI_SOCKETTIMEOUTMS, within_ms);
	sent = mt_connection_begin(connection, NULL, &ignored) &&
		mt_connection_settle(connection, NULL, &ignored);
	if (sent)
		mt_connection_kill_session(connection, session_id);
	return sent;
}
