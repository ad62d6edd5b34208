/*
 * command.c
 *		A command and its reply as one message each, without the driver.
 *
 * The driver chooses the server, shakes hands and authenticates; that it has
 * done so shows a ping, after which a connection is settled on that server.
 * What is asked from then on goes by wire.c: no look at the topology, no copy
 * of the server's description, of the command or of the reply.  For a look-up
 * of one document that was half of the client's work.
 *
 * A settled connection is settled until it fails, which a server that is the
 * primary no longer makes it do.  Where another member might serve as well, it
 * is chosen anew once in a while.
 */
#include "mongo/mongo_private.h"

/* How long a member that is not asked for as the primary stays chosen. */
#define CHOOSE_AGAIN_US (60 * INT64_C(1000000))

static mongoc_read_mode_t
read_mode(const MtConnection *connection, const char *name)
{
	static const struct
	{
		const char *name;
		mongoc_read_mode_t mode;
	}			modes[] = {
		{"primary", MONGOC_READ_PRIMARY},
		{"primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED},
		{"secondary", MONGOC_READ_SECONDARY},
		{"secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED},
		{"nearest", MONGOC_READ_NEAREST},
	};

	if (name != NULL)
		for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
			if (strcmp(modes[i].name, name) == 0)
				return modes[i].mode;
	return mongoc_read_prefs_get_mode(mongoc_client_get_read_prefs(connection->client));
}

static const char *
mode_name(mongoc_read_mode_t mode)
{
	switch (mode)
	{
		case MONGOC_READ_SECONDARY:
			return "secondary";
		case MONGOC_READ_SECONDARY_PREFERRED:
			return "secondaryPreferred";
		case MONGOC_READ_NEAREST:
			return "nearest";
		default:
			return "primaryPreferred";
	}
}

/*
 * $readPreference as the server wants it.  A member that is no primary, chosen
 * though the primary is asked for, is one that the uri names alone: it is read
 * whatever it is.
 */
static void
keep_preference(MtConnection *connection, const mongoc_read_prefs_t *prefs)
{
	mongoc_server_description_t *server =
		mongoc_client_get_server_description(connection->client, connection->server_id);
	mongoc_read_mode_t mode = mongoc_read_prefs_get_mode(prefs);
	const bson_t *tags = mongoc_read_prefs_get_tags(prefs);
	int64_t		staleness = mongoc_read_prefs_get_max_staleness_seconds(prefs);
	bool		is_alone = server != NULL &&
		strncmp(mongoc_server_description_type(server), "RS", 2) == 0 &&
		strcmp(mongoc_server_description_type(server), "RSPrimary") != 0;

	mongoc_server_description_destroy(server);
	bson_reinit(connection->preference);
	if (mode == MONGOC_READ_PRIMARY && !is_alone)
		return;
	BSON_APPEND_UTF8(connection->preference, "mode", mode_name(mode));
	if (tags != NULL && !bson_empty(tags))
		BSON_APPEND_ARRAY(connection->preference, "tags", tags);
	if (staleness > 0)
		BSON_APPEND_INT64(connection->preference, "maxStalenessSeconds", staleness);
}

/* Have the driver use the chosen server, so that its stream is authenticated. */
static bool
ping(MtConnection *connection, uint32_t server_id, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bool		ok;

	BSON_APPEND_INT32(&command, "ping", 1);
	ok = mt_connection_run(connection, server_id, "admin", &command, NULL, &reply, error);
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}

bool
mt_connection_settle(MtConnection *connection, const char *mode_name, MtMongoError *error)
{
	mongoc_read_mode_t mode = read_mode(connection, mode_name);
	int64_t		now = bson_get_monotonic_time();
	mongoc_read_prefs_t *prefs;
	uint32_t	server_id;
	bool		ok;

	if (connection->settled != NULL && mt_stream_is_live(connection, connection->settled) &&
		connection->settled_mode == (int) mode &&
		(mode == MONGOC_READ_PRIMARY || now - connection->settled_at < CHOOSE_AGAIN_US))
		return true;
	prefs = mongoc_read_prefs_copy(mongoc_client_get_read_prefs(connection->client));
	mongoc_read_prefs_set_mode(prefs, mode);
	server_id = mt_connection_select(connection, prefs, error);
	ok = server_id != 0;
	if (ok && (connection->settled == NULL || connection->server_id != server_id ||
			   mt_connection_stream(connection, server_id) != connection->settled))
	{
		connection->settled = NULL;
		ok = ping(connection, server_id, error);
	}
	if (ok)
	{
		connection->settled = mt_connection_stream(connection, server_id);
		connection->settled_mode = (int) mode;
		connection->settled_at = now;
		keep_preference(connection, prefs);
		if (connection->settled == NULL)
		{
			mt_error_from_stream(connection, "the connection was lost", NULL, error);
			ok = false;
		}
	}
	mongoc_read_prefs_destroy(prefs);
	return ok;
}

/* What a reply tells of the cluster's time. */
static void
note_times(MtConnection *connection, MtSlice reply)
{
	MtClusterClock *clock = &connection->clock;
	MtElement	element;
	MtElement	time;
	MtWalk		walk;
	uint64_t	t;

	if (!mt_walk_begin(&walk, reply))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "operationTime") && element.type == MT_BSON_TIMESTAMP)
		{
			t = mt_le64(element.value);
			if (t > clock->operation_time)
				clock->operation_time = t;
		}
		else if (MT_ELEMENT_IS(&element, "$clusterTime") && element.type == MT_BSON_DOCUMENT &&
				 element.value_len <= sizeof clock->gossip &&
				 mt_bson_find(mt_element_value(&element), "clusterTime", 11, &time) == MT_WALK_ELEMENT &&
				 time.type == MT_BSON_TIMESTAMP && mt_le64(time.value) > clock->cluster_time)
		{
			clock->cluster_time = mt_le64(time.value);
			clock->gossip_len = element.value_len;
			memcpy(clock->gossip, element.value, element.value_len);
		}
	}
}

const MtClusterClock *
mt_connection_clock(const MtConnection *connection)
{
	return &connection->clock;
}

void
mt_cluster_clock_advance(MtClusterClock *clock, const MtClusterClock *other)
{
	if (other->operation_time > clock->operation_time)
		clock->operation_time = other->operation_time;
	if (other->cluster_time > clock->cluster_time)
	{
		clock->cluster_time = other->cluster_time;
		clock->gossip_len = other->gossip_len;
		memcpy(clock->gossip, other->gossip, other->gossip_len);
	}
}

void
mt_connection_append_session(const MtConnection *connection, const char *database, bson_t *command)
{
	BSON_APPEND_DOCUMENT(command, "lsid", mongoc_client_session_get_lsid(connection->session));
	BSON_APPEND_UTF8(command, "$db", database);
}

bool
mt_connection_ask(MtConnection *connection, const char *database, bson_t *command,
				  const MtClusterClock *clock, MtByteBuffer *buffer, MtSlice *reply, MtMongoError *error)
{
	bson_t		gossip;
	int32_t		request_id;

	mt_connection_append_session(connection, database, command);
	if (clock != NULL && clock->gossip_len > 0 && bson_init_static(&gossip, clock->gossip, clock->gossip_len))
		BSON_APPEND_DOCUMENT(command, "$clusterTime", &gossip);
	if (!bson_empty(connection->preference))
		BSON_APPEND_DOCUMENT(command, "$readPreference", connection->preference);
	if (!mt_wire_send(connection, connection->settled, command, &request_id, error) ||
		!mt_wire_receive(connection, connection->settled, request_id, connection->socket_timeout_ms,
						 buffer, reply, error))
		return false;
	note_times(connection, *reply);
	return true;
}

bool
mt_connection_now(MtConnection *connection, const char *mode_name, MtClusterClock *clock, MtMongoError *error)
{
	MtByteBuffer buffer = {0};
	bson_t		command = BSON_INITIALIZER;
	MtSlice		reply;
	bool		ok;

	BSON_APPEND_INT32(&command, "ping", 1);
	ok = mt_connection_begin(connection, NULL, error) &&
		mt_connection_settle(connection, mode_name, error) &&
		mt_connection_ask(connection, "admin", &command, clock, &buffer, &reply, error);
	if (ok)
		mt_cluster_clock_advance(clock, &connection->clock);
	mt_byte_buffer_free(&buffer);
	bson_destroy(&command);
	return ok;
}
