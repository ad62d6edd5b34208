/*
 * tail.c
 *		start_tail, stop_tail, pause_tail, resume_tail, seek_tail, adopt_tail,
 *		grant_tail and revoke_tail.
 *
 * Each writes the catalog in the caller's transaction; when that commits, a
 * scan of the database tells the workers.  start_tail and seek_tail fix the
 * place themselves, by asking MongoDB now: a write that is acknowledged after
 * they returned is after it, however late the tailer starts.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/filter.h"
#include "base/options.h"
#include "base/place.h"
#include "base/position.h"
#include "base/remote.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "compat.h"
#include "func/arguments.h"
#include "guc.h"
#include "oplog/namespace_filter.h"

PG_FUNCTION_INFO_V1(mongo_tail_start_tail);
PG_FUNCTION_INFO_V1(mongo_tail_stop_tail);
PG_FUNCTION_INFO_V1(mongo_tail_pause_tail);
PG_FUNCTION_INFO_V1(mongo_tail_resume_tail);
PG_FUNCTION_INFO_V1(mongo_tail_seek_tail);
PG_FUNCTION_INFO_V1(mongo_tail_adopt_tail);
PG_FUNCTION_INFO_V1(mongo_tail_grant_tail);
PG_FUNCTION_INFO_V1(mongo_tail_revoke_tail);

/* ---- checks ---- */

static void
refuse_on_standby(void)
{
	mt_tail_state_require();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("tails do not run on a standby"),
				 errhint("Start it on the primary; it goes on here after a promotion.")));
	PreventCommandIfReadOnly("this function");
}

static ForeignServer *
usable_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	AclResult	acl;

	if (strcmp(wrapper->fdwname, "mongo_tail") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not a MongoDB server", name),
				 errhint("CREATE SERVER ... FOREIGN DATA WRAPPER mongo_tail.")));
	acl = mt_compat_server_aclcheck(server->serverid, GetUserId(), ACL_USAGE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_FOREIGN_SERVER, name);
	return server;
}

/* A worker runs as the tail's owner, so the owner must be able to log in. */
static void
check_owner(Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool		can_login;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", owner);
	can_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!can_login)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot own a tail: it is not permitted to log in",
						GetUserNameFromId(owner, false)),
				 errhint("The tail's worker runs as its owner: ALTER ROLE ... LOGIN, or SET ROLE to another.")));
	if (mt_compat_database_aclcheck(MyDatabaseId, owner, ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" cannot own a tail: it may not connect to this database",
						GetUserNameFromId(owner, false)),
				 errhint("GRANT CONNECT ON DATABASE ... TO the role.")));
}

/* The tail, if the user may change it. */
static MtTail *
changeable_tail(const char *server)
{
	MtTail	   *tail;

	refuse_on_standby();
	tail = mt_tail_catalog_load(server, false);
	if (!mt_tail_may_change(tail, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of the tail of server \"%s\"", server)));
	return tail;
}

/* ---- places ---- */

/* Connect, learn the shards and the place, and put both into the tail. */
static void
locate_tail(MtTail *tail, Oid userid, const MtPosition *after)
{
	const char *server = NameStr(tail->server);
	MtServerOptions *options = mt_options_server(tail->serverid);
	MtConnection *connection = mt_remote_open(tail->serverid, userid, CurrentMemoryContext);
	MtMongoError error;
	MtHello		hello;

	if (!mt_connection_hello(connection, &hello, &error))
		mt_remote_error(&error, server, "connect");
	if (hello.is_mongos || hello.is_config_server)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" is a sharded cluster", server),
				 errdetail("Its uri leads to a %s.", hello.is_mongos ? "mongos" : "config server"),
				 errhint("Make one server for each shard's replica set.")));
	tail->start_time = mt_place_resolve(connection, server, options, after);
	tail->n_shards = 1;
	tail->shards = palloc0(sizeof(MtTailShard));
	tail->shards[0].name = pstrdup(hello.set_name[0] ? hello.set_name : "standalone");
	tail->shards[0].id = mt_position_shard_id(tail->shards[0].name);
	tail->shards[0].resume_time = tail->start_time;
	mt_remote_close(connection);
}

static Datum
place_datum(uint64 cluster_time)
{
	MtPosition *position = palloc(sizeof *position);

	mt_position_set(position, cluster_time, PG_UINT32_MAX, PG_UINT32_MAX);
	return MtPositionGetDatum(position);
}

/* ---- start_tail(server, namespaces, exclude_namespaces, after,
 * full_document, ring_size, notify, notify_ms) ---- */

static int64
ring_size_argument(FunctionCallInfo fcinfo, int n)
{
	const int64 least = 4096;
	const int64 most = INT64CONST(16) * 1024 * 1024 * 1024;
	int64		bytes;

	if (PG_ARGISNULL(n))
		return (int64) mt_guc_ring_size_kb * 1024;
	bytes = DatumGetInt64(DirectFunctionCall1(pg_size_bytes, PG_GETARG_DATUM(n)));
	if (bytes < least || bytes > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid ring_size \"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(n))),
				 errhint("It reads like 64MB, and is between 4kB and 16GB.")));
	return bytes;
}

static bool
full_document_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *value = PG_ARGISNULL(n) ? "none" : text_to_cstring(PG_GETARG_TEXT_PP(n));

	if (strcmp(value, "none") != 0 && strcmp(value, "lookup") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid full_document \"%s\"", value),
				 errhint("It is 'none' or 'lookup'.")));
	return strcmp(value, "lookup") == 0;
}

static void
read_notify(FunctionCallInfo fcinfo, MtTail *tail)
{
	if (!PG_ARGISNULL(6))
	{
		tail->notify_channel = text_to_cstring(PG_GETARG_TEXT_PP(6));
		if (tail->notify_channel[0] == '\0' || strlen(tail->notify_channel) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("notify must name a channel of 1 to %d bytes", NAMEDATALEN - 1)));
	}
	tail->notify_ms = PG_ARGISNULL(7) ? 100 : PG_GETARG_INT32(7);
	if (tail->notify_ms < 0 || tail->notify_ms > 3600 * 1000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notify_ms must be between 0 and 3600000")));
}

Datum
mongo_tail_start_tail(PG_FUNCTION_ARGS)
{
	MtTail		tail;
	MtTail	   *old;
	ForeignServer *server;
	MtPosition	after;

	refuse_on_standby();
	mt_require_argument(fcinfo, 0, "server");
	server = usable_server(NameStr(*PG_GETARG_NAME(0)));
	memset(&tail, 0, sizeof tail);
	namestrcpy(&tail.server, server->servername);
	tail.serverid = server->serverid;
	tail.owner = GetUserId();
	tail.includes = mt_namespaces_argument(fcinfo, 1, "namespaces", &tail.n_includes);
	tail.excludes = mt_namespaces_argument(fcinfo, 2, "exclude_namespaces", &tail.n_excludes);
	if (!mt_position_argument(fcinfo, 3, &after))
		mt_position_set(&after, PG_UINT64_MAX, PG_UINT32_MAX, PG_UINT32_MAX);
	tail.lookup = full_document_argument(fcinfo, 4);
	tail.ring_bytes = ring_size_argument(fcinfo, 5);
	read_notify(fcinfo, &tail);
	check_owner(tail.owner);
	mt_namespace_filter_free(mt_filter_of_tail(&tail));

	old = mt_tail_catalog_load(server->servername, true);
	if (old != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("server \"%s\" has a tail already", server->servername),
				 errhint("stop_tail('%s') first, or seek_tail to move it.", server->servername)));
	locate_tail(&tail, tail.owner, &after);

	/* Not a count from 1: a tail that was stopped and started again must not
	 * take the old one's ring for its own. */
	tail.version = GetCurrentTimestamp();
	mt_tail_catalog_store(&tail);
	mt_tail_request_scan_at_commit();
	return place_datum(tail.start_time);
}

Datum
mongo_tail_stop_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	mt_tail_catalog_delete(NameStr(tail->server));
	mt_tail_request_scan_at_commit();
	PG_RETURN_VOID();
}

/* How far all shards of a tail have been scanned. */
static uint64
scanned_to(const MtTail *tail)
{
	uint64		least = PG_UINT64_MAX;

	for (int i = 0; i < tail->n_shards; i++)
	{
		MtTailSlot *slot = mt_tail_slot_find(MyDatabaseId, tail->serverid, tail->shards[i].id);
		MtRing	   *ring = slot ? mt_tail_ring(slot, tail->version) : NULL;
		uint64		point = tail->shards[i].resume_time;
		MtRingWindow window;

		if (ring != NULL)
		{
			mt_ring_window(ring, &window);
			point = Max(point, window.scanned_to);
		}
		least = Min(least, point);
	}
	return least;
}

Datum
mongo_tail_pause_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	if (!tail->paused)
	{
		mt_tail_catalog_set_paused(NameStr(tail->server), true, scanned_to(tail));
		mt_tail_request_scan_at_commit();
	}
	PG_RETURN_VOID();
}

Datum
mongo_tail_resume_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	if (tail->paused)
	{
		mt_tail_catalog_set_paused(NameStr(tail->server), false, 0);
		mt_tail_request_scan_at_commit();
	}
	PG_RETURN_VOID();
}

Datum
mongo_tail_seek_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	locate_tail(tail, tail->owner, PG_GETARG_MT_POSITION(1));
	tail->version = Max(tail->version + 1, GetCurrentTimestamp());
	if (tail->paused)
		tail->paused_at = tail->start_time;
	mt_tail_catalog_store(tail);
	mt_tail_request_scan_at_commit();
	return place_datum(tail->start_time);
}

Datum
mongo_tail_adopt_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	if (!tail->adopted)
	{
		tail->serverid = usable_server(NameStr(tail->server))->serverid;
		check_owner(tail->owner);
		tail->version = Max(tail->version + 1, GetCurrentTimestamp());
		mt_tail_catalog_store(tail);
		mt_tail_request_scan_at_commit();
	}
	PG_RETURN_VOID();
}

Datum
mongo_tail_grant_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	mt_tail_catalog_grant(NameStr(tail->server), PG_GETARG_OID(1), true);
	PG_RETURN_VOID();
}

Datum
mongo_tail_revoke_tail(PG_FUNCTION_ARGS)
{
	MtTail	   *tail = changeable_tail(NameStr(*PG_GETARG_NAME(0)));

	mt_tail_catalog_grant(NameStr(tail->server), PG_GETARG_OID(1), false);
	PG_RETURN_VOID();
}
