/*
 * slot_catalog.c
 *		The table mongo_tail.slot, as a C struct.
 *
 * The lock is the row's own (FOR UPDATE SKIP LOCKED), not an advisory one: it
 * goes with the transaction or subtransaction that took it, and a REPEATABLE
 * READ transaction whose snapshot is older than the row gets PostgreSQL's own
 * serialization failure.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/slot_catalog.h"

#define SELECT_SLOT \
	"SELECT s.slot, s.server, s.serverid, s.owner::pg_catalog.oid, s.namespaces, s.position, " \
	"s.shards, s.advanced_at, s.system_identifier, s.database FROM mongo_tail.slot s WHERE s.slot = $1"

static Oid
position_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("position"),
						   ObjectIdGetDatum(get_namespace_oid("mongo_tail", false)));
}

/* Read the only row of the current SPI result into the current memory context. */
static MtSlot *
read_slot(void)
{
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MtSlot	   *slot = palloc0(sizeof *slot);
	Datum		namespaces;
	bool		isnull;

#define COLUMN(k) SPI_getbinval(row, desc, (k), &isnull)
	namestrcpy(&slot->slot, NameStr(*DatumGetName(COLUMN(1))));
	namestrcpy(&slot->server, NameStr(*DatumGetName(COLUMN(2))));
	slot->serverid = DatumGetObjectId(COLUMN(3));
	slot->owner = DatumGetObjectId(COLUMN(4));
	namespaces = COLUMN(5);
	if (!isnull)
		slot->namespaces = mt_catalog_namespaces(namespaces, &slot->n_namespaces);
	slot->position = *DatumGetMtPosition(COLUMN(6));
	slot->shards = mt_catalog_text_array(COLUMN(7), &slot->n_shards);
	slot->advanced_at = DatumGetTimestampTz(COLUMN(8));
	slot->adopted = (uint64) DatumGetInt64(COLUMN(9)) == mt_catalog_system_identifier() &&
		DatumGetObjectId(COLUMN(10)) == MyDatabaseId &&
		GetForeignServerExtended(slot->serverid, FSV_MISSING_OK) != NULL;
#undef COLUMN
	return slot;
}

/* Run a SELECT_SLOT; NULL when it found nothing. */
static MtSlot *
select_slot(const char *sql, const char *name)
{
	MtCatalogScope scope;
	MemoryContext caller = CurrentMemoryContext;
	MtSlot	   *slot = NULL;
	Oid			types[1] = {NAMEOID};
	Datum		values[1];

	values[0] = mt_catalog_name_datum(name);
	mt_catalog_enter(&scope);
	mt_catalog_run(sql, 1, types, values, NULL, false, SPI_OK_SELECT);
	if (SPI_processed > 0)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		slot = read_slot();
		MemoryContextSwitchTo(spi);
	}
	mt_catalog_leave(&scope);
	return slot;
}

MtSlot *
mt_slot_catalog_load(const char *name)
{
	MtSlot	   *slot = select_slot(SELECT_SLOT, name);

	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("slot \"%s\" does not exist", name),
				 errhint("SELECT mongo_tail.create_slot('%s', ...) makes it.", name)));
	if (!superuser() && !has_privs_of_role(GetUserId(), slot->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of slot \"%s\"", name)));
	return slot;
}

/* The process whose transaction has locked the slot, 0 when that cannot be told. */
static int
user_of_slot(const char *name)
{
	MtCatalogScope scope;
	Oid			types[1] = {NAMEOID};
	Datum		values[1];
	bool		isnull;
	int			pid = 0;

	values[0] = mt_catalog_name_datum(name);
	mt_catalog_enter(&scope);
	mt_catalog_run("SELECT l.pid FROM mongo_tail.slot s JOIN pg_catalog.pg_locks l ON l.transactionid = s.xmax "
				   "WHERE s.slot = $1 AND l.locktype = 'transactionid' AND l.granted "
				   "AND l.mode = 'ExclusiveLock'",
				   1, types, values, NULL, false, SPI_OK_SELECT);
	if (SPI_processed > 0)
		pid = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	mt_catalog_leave(&scope);
	return pid;
}

MtSlot *
mt_slot_catalog_lock(const char *name)
{
	MtSlot	   *slot = mt_slot_catalog_load(name); /* may this user? */
	int			pid;

	slot = select_slot(SELECT_SLOT " FOR UPDATE SKIP LOCKED", name);
	if (slot != NULL)
		return slot;
	(void) mt_slot_catalog_load(name);	/* an ERROR when it was dropped meanwhile */
	pid = user_of_slot(name);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("slot \"%s\" is in use by another transaction", name),
			 pid != 0 ? errdetail("That of the process with PID %d.", pid) : 0,
			 errhint("Use it again when that has committed or rolled back; peek_changes does not lock.")));
}

void
mt_slot_catalog_insert(const MtSlot *slot)
{
	Oid			types[9] = {NAMEOID, NAMEOID, OIDOID, OIDOID, TEXTARRAYOID, InvalidOid, TEXTARRAYOID,
	INT8OID, OIDOID};
	Datum		values[9];
	char		nulls[10] = "         ";

	types[5] = position_type();
	values[0] = mt_catalog_name_datum(NameStr(slot->slot));
	values[1] = mt_catalog_name_datum(NameStr(slot->server));
	values[2] = ObjectIdGetDatum(slot->serverid);
	values[3] = ObjectIdGetDatum(slot->owner);
	values[4] = slot->namespaces ? mt_catalog_namespaces_datum(slot->namespaces, slot->n_namespaces) : (Datum) 0;
	nulls[4] = slot->namespaces ? ' ' : 'n';
	values[5] = MtPositionGetDatum(&slot->position);
	values[6] = mt_catalog_text_array_datum(slot->shards, slot->n_shards);
	values[7] = Int64GetDatum((int64) mt_catalog_system_identifier());
	values[8] = ObjectIdGetDatum(MyDatabaseId);
	if (mt_catalog_execute("INSERT INTO mongo_tail.slot (slot, server, serverid, owner, namespaces, \"position\", "
						   "shards, created_at, advanced_at, system_identifier, database) "
						   "VALUES ($1, $2, $3, $4::pg_catalog.regrole, $5, $6, $7, "
						   "clock_timestamp(), clock_timestamp(), $8, $9) ON CONFLICT DO NOTHING",
						   9, types, values, nulls, SPI_OK_INSERT) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("slot \"%s\" exists already", NameStr(slot->slot))));
}

void
mt_slot_catalog_delete(const char *slot)
{
	Oid			types[1] = {NAMEOID};
	Datum		values[1];

	values[0] = mt_catalog_name_datum(slot);
	(void) mt_catalog_execute("DELETE FROM mongo_tail.slot WHERE slot = $1", 1, types, values, NULL, SPI_OK_DELETE);
}

void
mt_slot_catalog_adopt(const char *slot, Oid serverid)
{
	Oid			types[4] = {NAMEOID, OIDOID, INT8OID, OIDOID};
	Datum		values[4];

	values[0] = mt_catalog_name_datum(slot);
	values[1] = ObjectIdGetDatum(serverid);
	values[2] = Int64GetDatum((int64) mt_catalog_system_identifier());
	values[3] = ObjectIdGetDatum(MyDatabaseId);
	(void) mt_catalog_execute("UPDATE mongo_tail.slot SET serverid = $2, system_identifier = $3, database = $4 "
							  "WHERE slot = $1", 4, types, values, NULL, SPI_OK_UPDATE);
}

void
mt_slot_catalog_advance(const char *slot, const MtPosition *position, const TimestampTz *wall_time)
{
	Oid			types[3] = {NAMEOID, InvalidOid, TIMESTAMPTZOID};
	Datum		values[3];
	char		nulls[4] = "   ";

	types[1] = position_type();
	values[0] = mt_catalog_name_datum(slot);
	values[1] = MtPositionGetDatum(position);
	values[2] = wall_time ? TimestampTzGetDatum(*wall_time) : (Datum) 0;
	nulls[2] = wall_time ? ' ' : 'n';
	if (mt_catalog_execute("UPDATE mongo_tail.slot SET \"position\" = $2, wall_time = coalesce($3, wall_time), "
						   "advanced_at = clock_timestamp() WHERE slot = $1",
						   3, types, values, nulls, SPI_OK_UPDATE) != 1)
		elog(ERROR, "slot \"%s\" is gone although it is locked", slot);
}
