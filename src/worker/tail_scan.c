/*
 * tail_scan.c
 *		A scan: bring the slots in line with one database's catalog.
 *
 * Runs in a worker of its own, because only a process that is connected to a
 * database can read its tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "compat.h"
#include "worker/launcher.h"

/* Does a slot serve a shard of one of the tails? */
static bool
slot_is_wanted(const MtTailSlot *slot, List *tails)
{
	ListCell   *cell;

	foreach(cell, tails)
	{
		MtTail	   *tail = lfirst(cell);

		if (!tail->adopted || tail->serverid != slot->serverid)
			continue;
		for (int i = 0; i < tail->n_shards; i++)
			if (tail->shards[i].id == slot->shard_id)
				return true;
	}
	return false;
}

/* The shard's slot, or a free one made its; NULL when none is free. */
static MtTailSlot *
find_or_assign(const MtTail *tail, const MtTailShard *shard)
{
	MtTailSlot *free_slot = NULL;

	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (!slot->used)
			free_slot = free_slot ? free_slot : slot;
		else if (!slot->stop && slot->database == MyDatabaseId &&
				 slot->serverid == tail->serverid && slot->shard_id == shard->id)
			return slot;
	}
	if (free_slot == NULL)
		return NULL;
	free_slot->used = true;
	free_slot->stop = false;
	free_slot->held = false;
	free_slot->scan = false;
	free_slot->database = MyDatabaseId;
	free_slot->serverid = tail->serverid;
	free_slot->owner = tail->owner;
	free_slot->shard_id = shard->id;
	strlcpy(free_slot->shard, shard->name, sizeof free_slot->shard);
	free_slot->worker_started = 0;
	free_slot->next_launch = 0;
	free_slot->launch_failures = 0;
	SpinLockAcquire(&free_slot->mutex);
	free_slot->status = MT_TAIL_STARTING;
	free_slot->status_since = GetCurrentTimestamp();
	free_slot->last_error[0] = '\0';
	free_slot->last_error_at = 0;
	free_slot->oplog_first = 0;
	free_slot->catch_up_to = 0;
	SpinLockRelease(&free_slot->mutex);
	pg_atomic_write_u64(&free_slot->events, 0);
	pg_atomic_write_u64(&free_slot->entries, 0);
	pg_atomic_write_u64(&free_slot->entry_bytes, 0);
	pg_atomic_write_u64(&free_slot->batches, 0);
	pg_atomic_write_u64(&free_slot->reconnects, 0);
	pg_atomic_write_u64(&free_slot->lookups, 0);
	pg_atomic_write_u64(&free_slot->notifies, 0);
	pg_atomic_write_u64(&free_slot->notify_failures, 0);
	pg_atomic_write_u64(&free_slot->readers_lapped, 0);
	pg_atomic_write_u64(&free_slot->oplog_reads, 0);
	return free_slot;
}

/*
 * A number that changes when the options of the tail's server or of its
 * owner's user mapping do.
 */
static void
set_options_stamp(MtTail *tail)
{
	static const int caches[] = {FOREIGNSERVEROID, USERMAPPINGUSERSERVER, USERMAPPINGUSERSERVER};
	Datum		keys[3][2] = {
		{ObjectIdGetDatum(tail->serverid), (Datum) 0},
		{ObjectIdGetDatum(tail->owner), ObjectIdGetDatum(tail->serverid)},
		{ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(tail->serverid)}
	};

	for (int i = 0; i < (int) lengthof(caches); i++)
	{
		HeapTuple	tuple = SearchSysCache(caches[i], keys[i][0], keys[i][1], (Datum) 0, (Datum) 0);

		if (!HeapTupleIsValid(tuple))
			continue;
		tail->options_stamp = hash_combine(tail->options_stamp, HeapTupleHeaderGetRawXmin(tuple->t_data));
		ReleaseSysCache(tuple);
	}
}

/* Make the slots of this database say what its tails say. */
static void
write_slots(List *tails)
{
	ListCell   *cell;
	const MtTail *without_slot = NULL;
	bool		was_lacked;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && slot->database == MyDatabaseId && !slot_is_wanted(slot, tails))
			slot->stop = true;
	}
	foreach(cell, tails)
	{
		MtTail	   *tail = lfirst(cell);

		for (int i = 0; tail->adopted && i < tail->n_shards; i++)
		{
			MtTailSlot *slot = find_or_assign(tail, &tail->shards[i]);

			if (slot == NULL)
			{
				without_slot = tail;
				continue;
			}
			slot->owner = tail->owner;
			slot->server = tail->server;
			slot->version = tail->version;
			slot->options_stamp = tail->options_stamp;
			slot->paused = tail->paused;
		}
	}
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && slot->database == MyDatabaseId && slot->worker_latch != NULL)
			SetLatch(slot->worker_latch);
	}
	was_lacked = mt_tail_shared->slot_lacked;
	mt_tail_shared->slot_lacked = was_lacked || without_slot != NULL;
	LWLockRelease(mt_tail_shared->lock);
	ConditionVariableBroadcast(&mt_tail_shared->changed);
	if (without_slot != NULL && !was_lacked)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no slot is free for the tail of server \"%s\"", NameStr(without_slot->server)),
				 errhint("Increase mongo_tail.max_tails and restart PostgreSQL.")));
}

/* Follow servers that were renamed where our hooks did not see it. */
static void
mend_catalog(List *tails)
{
	bool		renamed = false;
	ListCell   *cell;

	foreach(cell, tails)
	{
		MtTail	   *tail = lfirst(cell);
		ForeignServer *server;

		if (!tail->adopted)
			continue;
		server = GetForeignServer(tail->serverid);
		if (strcmp(server->servername, NameStr(tail->server)) == 0)
			continue;
		renamed = true;
		namestrcpy(&tail->server, server->servername);
	}
	if (renamed)
		mt_catalog_follow_servers();
}

void
mt_worker_pin_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", ""},
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"lock_timeout", "0"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"TimeZone", "UTC"}
	};

	for (size_t i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

void
mt_tail_scan(void)
{
	List	   *tails = NIL;

	if (OidIsValid(mt_catalog_relation("tail")))
	{
		ListCell   *cell;

		tails = mt_tail_catalog_load_all();
		mend_catalog(tails);
		foreach(cell, tails)
			set_options_stamp(lfirst(cell));
	}
	write_slots(tails);
}

void
mongo_tail_scan_main(Datum arg)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
	mt_worker_pin_settings();

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	mt_tail_scan();
	PopActiveSnapshot();
	CommitTransactionCommand();
	proc_exit(0);
}
