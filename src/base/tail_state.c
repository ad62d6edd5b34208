/*
 * tail_state.c
 *		What all processes share about running tails.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/tail_state.h"
#include "base/wait_event.h"
#include "compat.h"
#include "guc.h"
#include "ring/ring_shmem.h"

MtTailShared *mt_tail_shared = NULL;

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;

/* Set by whoever changed this database's catalog in the current transaction. */
static bool scan_at_commit = false;

/* The databases that the current transaction holds. */
static Oid	own_holds[MT_MAX_RESCANS];
static int	n_own_holds = 0;

static Size
shared_size(void)
{
	return add_size(offsetof(MtTailShared, slots),
					mul_size(sizeof(MtTailSlot), mt_guc_max_tails));
}

static void
request_shmem(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("mongo_tail", 1);
}

static void
init_slot(MtTailSlot *slot)
{
	SpinLockInit(&slot->mutex);
	slot->ring = DSM_HANDLE_INVALID;
	pg_atomic_init_u64(&slot->events, 0);
	pg_atomic_init_u64(&slot->entries, 0);
	pg_atomic_init_u64(&slot->entry_bytes, 0);
	pg_atomic_init_u64(&slot->batches, 0);
	pg_atomic_init_u64(&slot->reconnects, 0);
	pg_atomic_init_u64(&slot->lookups, 0);
	pg_atomic_init_u64(&slot->notifies, 0);
	pg_atomic_init_u64(&slot->notify_failures, 0);
	pg_atomic_init_u64(&slot->readers_lapped, 0);
	pg_atomic_init_u64(&slot->oplog_reads, 0);
	pg_atomic_init_u64(&slot->news_count, 0);
	pg_atomic_init_u32(&slot->watermark_waiters, 0);
	ConditionVariableInit(&slot->news);
}

static void
startup_shmem(void)
{
	bool		found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	mt_tail_shared = ShmemInitStruct("mongo_tail", shared_size(), &found);
	if (!found)
	{
		memset(mt_tail_shared, 0, shared_size());
		mt_tail_shared->lock = &(GetNamedLWLockTranche("mongo_tail"))->lock;
		mt_tail_shared->rescan_all = true;
		mt_tail_shared->n_slots = mt_guc_max_tails;
		ConditionVariableInit(&mt_tail_shared->changed);
		for (int i = 0; i < mt_tail_shared->n_slots; i++)
			init_slot(&mt_tail_shared->slots[i]);
	}
	LWLockRelease(AddinShmemInitLock);
}

static bool
oid_listed(const Oid *list, int n, Oid oid)
{
	for (int i = 0; i < n; i++)
		if (list[i] == oid)
			return true;
	return false;
}

static void
release_database(Oid database)
{
	bool		scan;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	/* Not in vain: a scan is a connection, in the way of the next such statement. */
	scan = mt_tail_shared->scan_skipped;
	mt_tail_shared->scan_skipped = scan && mt_tail_shared->n_holds > 1;
	for (int i = 0; i < mt_tail_shared->n_holds; i++)
		if (mt_tail_shared->holds[i] == database)
		{
			mt_tail_shared->holds[i] = mt_tail_shared->holds[--mt_tail_shared->n_holds];
			break;
		}
	if (!oid_listed(mt_tail_shared->holds, mt_tail_shared->n_holds, database))
		for (int i = 0; i < mt_tail_shared->n_slots; i++)
			if (mt_tail_shared->slots[i].used && mt_tail_shared->slots[i].database == database)
			{
				mt_tail_shared->slots[i].held = false;
				scan = true;
			}
	LWLockRelease(mt_tail_shared->lock);
	if (scan)
		mt_tail_request_scan(database);
}

static void
on_transaction_end(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			/* Nobody would tell the workers at COMMIT PREPARED. */
			if (scan_at_commit)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has changed a tail or its server")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			if (scan_at_commit && event == XACT_EVENT_COMMIT)
				mt_tail_request_scan(MyDatabaseId);
			scan_at_commit = false;
			while (n_own_holds > 0)
				release_database(own_holds[--n_own_holds]);
			break;
		default:
			break;
	}
}

void
mt_tail_state_install(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	RegisterXactCallback(on_transaction_end, NULL);
}

void
mt_tail_state_require(void)
{
	if (mt_tail_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mongo_tail must be loaded when the server starts"),
				 errhint("Add mongo_tail to shared_preload_libraries and restart PostgreSQL.")));
}

const char *
mt_tail_status_name(MtTailStatus status)
{
	switch (status)
	{
		case MT_TAIL_STARTING:
			return "starting";
		case MT_TAIL_NO_WORKER:
			return "no worker";
		case MT_TAIL_CONNECTING:
			return "connecting";
		case MT_TAIL_STREAMING:
			return "streaming";
		case MT_TAIL_PAUSED:
			return "paused";
		case MT_TAIL_RETRYING:
			return "retrying";
		case MT_TAIL_FAILED:
			return "failed";
	}
	return "unknown";
}

void
mt_tail_request_scan(Oid database)
{
	if (mt_tail_shared == NULL)
		return;
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	if (!OidIsValid(database) || mt_tail_shared->n_rescans == MT_MAX_RESCANS)
		mt_tail_shared->rescan_all = true;
	else if (!oid_listed(mt_tail_shared->rescans, mt_tail_shared->n_rescans, database))
		mt_tail_shared->rescans[mt_tail_shared->n_rescans++] = database;
	if (mt_tail_shared->launcher_latch != NULL)
		SetLatch(mt_tail_shared->launcher_latch);
	LWLockRelease(mt_tail_shared->lock);
}

void
mt_tail_request_scan_at_commit(void)
{
	scan_at_commit = true;
}

bool
mt_tail_scan_is_pending(void)
{
	return scan_at_commit;
}

MtTailSlot *
mt_tail_slot_find(Oid database, Oid serverid, uint32 shard_id)
{
	MtTailSlot *found = NULL;

	LWLockAcquire(mt_tail_shared->lock, LW_SHARED);
	for (int i = 0; i < mt_tail_shared->n_slots && found == NULL; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && !slot->stop && slot->database == database &&
			slot->serverid == serverid && slot->shard_id == shard_id)
			found = slot;
	}
	LWLockRelease(mt_tail_shared->lock);
	return found;
}

void
mt_tail_set_status(MtTailSlot *slot, MtTailStatus status, const char *message)
{
	TimestampTz now = GetCurrentTimestamp();
	int			length = 0;

	if (message != NULL)		/* cut between two characters */
		length = pg_mbcliplen(message, (int) strlen(message), MT_TAIL_ERROR_BYTES - 1);
	SpinLockAcquire(&slot->mutex);
	if (slot->status != status)
		slot->status_since = now;
	slot->status = status;
	if (message != NULL)
	{
		memcpy(slot->last_error, message, length);
		slot->last_error[length] = '\0';
		slot->last_error_at = now;
	}
	SpinLockRelease(&slot->mutex);
	ConditionVariableBroadcast(&mt_tail_shared->changed);
}

MtTailStatus
mt_tail_status(MtTailSlot *slot)
{
	MtTailStatus status;

	SpinLockAcquire(&slot->mutex);
	status = slot->status;
	SpinLockRelease(&slot->mutex);
	return status;
}

MtRing *
mt_tail_ring(MtTailSlot *slot, int64 version)
{
	dsm_handle	handle;

	SpinLockAcquire(&slot->mutex);
	handle = (version < 0 || slot->ring_version == version) ? slot->ring : DSM_HANDLE_INVALID;
	SpinLockRelease(&slot->mutex);
	if (handle == DSM_HANDLE_INVALID)
		return NULL;
	return mt_ring_shmem_attach(mt_tail_slot_index(slot), handle);
}

void
mt_tail_wake_worker(MtTailSlot *slot)
{
	LWLockAcquire(mt_tail_shared->lock, LW_SHARED);
	if (slot->worker_latch != NULL)
		SetLatch(slot->worker_latch);
	LWLockRelease(mt_tail_shared->lock);
}

void
mt_tail_wake_readers(MtTailSlot *slot)
{
	pg_atomic_fetch_add_u64(&slot->news_count, 1);
	ConditionVariableSignal(&slot->news);
}

/* How long a sleeper sleeps at most before it looks again; a latch counts in int. */
#define LONGEST_SLEEP_MS	10000

/*
 * Waking is a chain: the tailer signals one sleeper and each sleeper that
 * finds news signals the next before it goes to work.  Who is signalled and
 * finds none (its news_count has not moved) signals nobody, which ends the
 * chain when it has gone round.  Between the tailer's increment and its
 * signal, and between a reader's look at the count and its place in the queue
 * (ConditionVariablePrepareToSleep), nothing is lost: the count is read again
 * after the place in the queue is taken.  A sleeper that is cancelled between
 * its signal and its passing on could break the chain; it passes the signal on
 * when the wait is left by an error, too.
 */
bool
mt_tail_wait_news(MtTailSlot *slot, uint64 seen, TimestampTz deadline)
{
	volatile bool news = false;

	ConditionVariablePrepareToSleep(&slot->news);
	PG_TRY();
	{
		for (;;)
		{
			long		left_ms = LONGEST_SLEEP_MS;

			news = pg_atomic_read_u64(&slot->news_count) != seen;
			if (news)
				break;
			if (deadline != 0)
			{
				left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
				if (left_ms <= 0)
					break;
			}
			ConditionVariableTimedSleep(&slot->news, Min(left_ms, LONGEST_SLEEP_MS), mt_wait_event(MT_WAIT_CHANGES));
		}
	}
	PG_FINALLY();
	{
		ConditionVariableCancelSleep();
		ConditionVariableSignal(&slot->news);
	}
	PG_END_TRY();
	return news;
}

void
mt_tail_hold_database(Oid database)
{
	if (mt_tail_shared == NULL || n_own_holds == MT_MAX_RESCANS)
		return;
	own_holds[n_own_holds++] = database;
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	if (mt_tail_shared->n_holds < MT_MAX_RESCANS)
		mt_tail_shared->holds[mt_tail_shared->n_holds++] = database;
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && slot->database == database)
		{
			slot->held = true;
			if (slot->worker_latch != NULL)
				SetLatch(slot->worker_latch);
		}
	}
	LWLockRelease(mt_tail_shared->lock);
}
