/*
 * tail_catalog.c
 *		The tables mongo_tail.tail, tail_shard and tail_grant, as C structs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/catalog.h"
#include "base/position.h"
#include "base/tail_catalog.h"

#define TAIL_COLUMNS \
	"t.server, t.serverid, t.owner::pg_catalog.oid, t.namespaces, t.exclude_namespaces, " \
	"t.full_document, t.ring_bytes, t.notify_channel, t.notify_ms, " \
	"t.start_time::pg_catalog.int8, t.paused_at::pg_catalog.int8, t.version, " \
	"t.system_identifier, t.database, " \
	"ARRAY(SELECT s.shard FROM mongo_tail.tail_shard s WHERE s.server = t.server ORDER BY s.shard), " \
	"ARRAY(SELECT s.resume_time::pg_catalog.int8 FROM mongo_tail.tail_shard s " \
	"WHERE s.server = t.server ORDER BY s.shard)"

/* Read row i of the current SPI result into the current memory context. */
static MtTail *
read_tail(uint64 i)
{
	HeapTuple	row = SPI_tuptable->vals[i];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MtTail	   *tail = palloc0(sizeof *tail);
	bool		isnull;
	Datum	   *times;
	int			n_times;
	char	  **names;

#define COLUMN(k) SPI_getbinval(row, desc, (k), &isnull)
	namestrcpy(&tail->server, NameStr(*DatumGetName(COLUMN(1))));
	tail->serverid = DatumGetObjectId(COLUMN(2));
	tail->owner = DatumGetObjectId(COLUMN(3));
	tail->includes = mt_catalog_namespaces(COLUMN(4), &tail->n_includes);
	tail->excludes = mt_catalog_namespaces(COLUMN(5), &tail->n_excludes);
	tail->lookup = strcmp(TextDatumGetCString(COLUMN(6)), "lookup") == 0;
	tail->ring_bytes = DatumGetInt64(COLUMN(7));
	tail->notify_channel = SPI_getvalue(row, desc, 8);
	tail->notify_ms = DatumGetInt32(COLUMN(9));
	tail->start_time = (uint64) DatumGetInt64(COLUMN(10));
	tail->paused_at = (uint64) DatumGetInt64(COLUMN(11));
	tail->paused = !isnull;
	tail->version = DatumGetInt64(COLUMN(12));
	tail->adopted = (uint64) DatumGetInt64(COLUMN(13)) == mt_catalog_system_identifier() &&
		DatumGetObjectId(COLUMN(14)) == MyDatabaseId;
	names = mt_catalog_text_array(COLUMN(15), &tail->n_shards);
	deconstruct_array(DatumGetArrayTypeP(COLUMN(16)), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &times, NULL, &n_times);
#undef COLUMN
	tail->shards = palloc0(sizeof(MtTailShard) * (tail->n_shards + 1));
	for (int k = 0; k < tail->n_shards && k < n_times; k++)
	{
		tail->shards[k].name = names[k];
		tail->shards[k].id = mt_position_shard_id(names[k]);
		tail->shards[k].resume_time = (uint64) DatumGetInt64(times[k]);
	}

	/* The row knows the server by its name, which survives a dump; the oid is
	 * only good where the row was made, and while that server lives. */
	if (GetForeignServerExtended(tail->serverid, FSV_MISSING_OK) == NULL)
		tail->adopted = false;
	if (!tail->adopted)
		tail->serverid = get_foreign_server_oid(NameStr(tail->server), true);
	return tail;
}

/* The tail that a condition on $1 finds, in the caller's context, or NULL. */
static MtTail *
load_one(const char *sql, Oid type, Datum value)
{
	MtCatalogScope scope;
	MemoryContext caller = CurrentMemoryContext;
	MtTail	   *tail = NULL;

	mt_catalog_enter(&scope);
	mt_catalog_run(sql, 1, &type, &value, NULL, true, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		tail = read_tail(0);
		MemoryContextSwitchTo(spi);
	}
	mt_catalog_leave(&scope);
	return tail;
}

MtTail *
mt_tail_catalog_load_server(Oid serverid)
{
	MtTail	   *tail = load_one("SELECT " TAIL_COLUMNS " FROM mongo_tail.tail t WHERE t.serverid = $1",
								OIDOID, ObjectIdGetDatum(serverid));

	return tail != NULL && tail->adopted ? tail : NULL;
}

MtTail *
mt_tail_catalog_load(const char *server, bool missing_ok)
{
	MtTail	   *tail = load_one("SELECT " TAIL_COLUMNS " FROM mongo_tail.tail t WHERE t.server = $1",
								NAMEOID, mt_catalog_name_datum(server));

	if (tail == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" has no tail", server),
				 errhint("Start one with SELECT mongo_tail.start_tail('%s').", server)));
	return tail;
}

List *
mt_tail_catalog_load_all(void)
{
	MtCatalogScope scope;
	MemoryContext caller = CurrentMemoryContext;
	List	   *tails = NIL;

	mt_catalog_enter(&scope);
	mt_catalog_run("SELECT " TAIL_COLUMNS " FROM mongo_tail.tail t", 0, NULL, NULL, NULL, true, SPI_OK_SELECT);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		tails = lappend(tails, read_tail(i));
		MemoryContextSwitchTo(spi);
	}
	mt_catalog_leave(&scope);
	return tails;
}

void
mt_tail_catalog_store(const MtTail *tail)
{
	MtCatalogScope scope;
	Oid			types[14] = {NAMEOID, OIDOID, OIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, INT8OID,
	TEXTOID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, OIDOID};
	Datum		values[14];
	char		nulls[15] = "              ";

	values[0] = mt_catalog_name_datum(NameStr(tail->server));
	values[1] = ObjectIdGetDatum(tail->serverid);
	values[2] = ObjectIdGetDatum(tail->owner);
	values[3] = mt_catalog_namespaces_datum(tail->includes, tail->n_includes);
	values[4] = mt_catalog_namespaces_datum(tail->excludes, tail->n_excludes);
	values[5] = CStringGetTextDatum(tail->lookup ? "lookup" : "none");
	values[6] = Int64GetDatum(tail->ring_bytes);
	values[7] = tail->notify_channel ? CStringGetTextDatum(tail->notify_channel) : (Datum) 0;
	nulls[7] = tail->notify_channel ? ' ' : 'n';
	values[8] = Int32GetDatum(tail->notify_ms);
	values[9] = Int64GetDatum((int64) tail->start_time);
	values[10] = Int64GetDatum((int64) tail->paused_at);
	nulls[10] = tail->paused ? ' ' : 'n';
	values[11] = Int64GetDatum(tail->version);
	values[12] = Int64GetDatum((int64) mt_catalog_system_identifier());
	values[13] = ObjectIdGetDatum(MyDatabaseId);

	mt_catalog_enter(&scope);
	mt_catalog_run("INSERT INTO mongo_tail.tail VALUES ($1, $2, $3::pg_catalog.regrole, $4, $5, $6, $7, $8, $9, "
		"$10::mongo_tail.cluster_time, $11::mongo_tail.cluster_time, $12, $13, $14) "
		"ON CONFLICT (server) DO UPDATE SET serverid = excluded.serverid, owner = excluded.owner, "
		"namespaces = excluded.namespaces, exclude_namespaces = excluded.exclude_namespaces, "
		"full_document = excluded.full_document, ring_bytes = excluded.ring_bytes, "
		"notify_channel = excluded.notify_channel, notify_ms = excluded.notify_ms, "
		"start_time = excluded.start_time, paused_at = excluded.paused_at, version = excluded.version, "
		"system_identifier = excluded.system_identifier, database = excluded.database",
		14, types, values, nulls, false, SPI_OK_INSERT);
	mt_catalog_run("DELETE FROM mongo_tail.tail_shard WHERE server = $1", 1, types, values, NULL, false, SPI_OK_DELETE);
	for (int i = 0; i < tail->n_shards; i++)
	{
		Oid			shard_types[3] = {NAMEOID, TEXTOID, INT8OID};
		Datum		shard[3];

		shard[0] = values[0];
		shard[1] = CStringGetTextDatum(tail->shards[i].name);
		shard[2] = Int64GetDatum((int64) tail->shards[i].resume_time);
		mt_catalog_run("INSERT INTO mongo_tail.tail_shard VALUES ($1, $2, $3::mongo_tail.cluster_time)",
			3, shard_types, shard, NULL, false, SPI_OK_INSERT);
	}
	mt_catalog_leave(&scope);
}

void
mt_tail_catalog_delete(const char *server)
{
	Oid			types[1] = {NAMEOID};
	Datum		values[1];

	values[0] = mt_catalog_name_datum(server);
	(void) mt_catalog_execute("DELETE FROM mongo_tail.tail WHERE server = $1", 1, types, values, NULL, SPI_OK_DELETE);
}

void
mt_tail_catalog_set_paused(const char *server, bool paused, uint64 paused_at)
{
	Oid			types[2] = {NAMEOID, INT8OID};
	Datum		values[2];
	char		nulls[3] = "  ";

	values[0] = mt_catalog_name_datum(server);
	values[1] = Int64GetDatum((int64) paused_at);
	nulls[1] = paused ? ' ' : 'n';
	(void) mt_catalog_execute("UPDATE mongo_tail.tail SET paused_at = $2::mongo_tail.cluster_time WHERE server = $1",
							  2, types, values, nulls, SPI_OK_UPDATE);
}

void
mt_tail_catalog_set_resume(Oid serverid, int64 version, const char *shard, uint64 resume_time)
{
	Oid			types[4] = {OIDOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[4];

	values[0] = ObjectIdGetDatum(serverid);
	values[1] = CStringGetTextDatum(shard);
	values[2] = Int64GetDatum((int64) resume_time);
	values[3] = Int64GetDatum(version);
	(void) mt_catalog_execute("WITH place AS (SELECT s.server, s.shard FROM mongo_tail.tail_shard s "
							  "JOIN mongo_tail.tail t USING (server) WHERE t.serverid = $1 AND t.version = $4 "
							  "AND s.shard = $2 FOR UPDATE OF s SKIP LOCKED) "
							  "UPDATE mongo_tail.tail_shard s SET resume_time = $3::mongo_tail.cluster_time "
							  "FROM place WHERE s.server = place.server AND s.shard = place.shard",
							  4, types, values, NULL, SPI_OK_UPDATE);
}

void
mt_tail_catalog_grant(const char *server, Oid role, bool grant)
{
	static const char *const functions[] = {
		"FUNCTION mongo_tail.changes", "PROCEDURE mongo_tail.wait_for_changes",
		"FUNCTION mongo_tail.create_slot", "FUNCTION mongo_tail.drop_slot",
		"FUNCTION mongo_tail.get_changes", "FUNCTION mongo_tail.peek_changes",
		"FUNCTION mongo_tail.advance_slot", "FUNCTION mongo_tail.adopt_slot"
	};
	MtCatalogScope scope;
	Oid			types[2] = {NAMEOID, OIDOID};
	Datum		values[2];

	values[0] = mt_catalog_name_datum(server);
	values[1] = ObjectIdGetDatum(role);
	mt_catalog_enter(&scope);
	if (grant)
	{
		const char *quoted = quote_identifier(GetUserNameFromId(role, false));

		mt_catalog_run("INSERT INTO mongo_tail.tail_grant VALUES ($1, $2::pg_catalog.regrole) ON CONFLICT DO NOTHING",
			2, types, values, NULL, false, SPI_OK_INSERT);
		mt_catalog_run(psprintf("GRANT USAGE ON SCHEMA mongo_tail TO %s", quoted),
			0, NULL, NULL, NULL, false, SPI_OK_UTILITY);
		for (size_t i = 0; i < lengthof(functions); i++)
			mt_catalog_run(psprintf("GRANT EXECUTE ON %s TO %s", functions[i], quoted),
				0, NULL, NULL, NULL, false, SPI_OK_UTILITY);
	}
	else
		mt_catalog_run("DELETE FROM mongo_tail.tail_grant WHERE server = $1 AND grantee = $2::pg_catalog.regrole",
			2, types, values, NULL, false, SPI_OK_DELETE);
	mt_catalog_leave(&scope);
}

bool
mt_tail_may_change(const MtTail *tail, Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, tail->owner);
}

bool
mt_tail_may_read(const MtTail *tail, Oid role)
{
	MtCatalogScope scope;
	Oid			types[2] = {NAMEOID, OIDOID};
	Datum		values[2];
	bool		granted;

	if (mt_tail_may_change(tail, role))
		return true;
	values[0] = mt_catalog_name_datum(NameStr(tail->server));
	values[1] = ObjectIdGetDatum(role);
	mt_catalog_enter(&scope);
	mt_catalog_run("SELECT 1 FROM mongo_tail.tail_grant WHERE server = $1 "
		"AND pg_catalog.pg_has_role($2, grantee::pg_catalog.oid, 'USAGE')",
		2, types, values, NULL, true, SPI_OK_SELECT);
	granted = SPI_processed > 0;
	mt_catalog_leave(&scope);
	return granted;
}
