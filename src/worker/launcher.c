/*
 * launcher.c
 *		The launcher: keeps a tailer running for each slot that wants one.
 *
 * A static worker that is connected to no database, so that it stands in no
 * DROP DATABASE's way.  It learns what shall run from scans: short-lived
 * workers, one a database, which read that database's catalog and write the
 * slots (tail_scan.c).  After a start of PostgreSQL every database is scanned;
 * later those that a session changed (mt_tail_request_scan).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/tail_state.h"
#include "base/wait_event.h"
#include "compat.h"
#include "ring/ring_shmem.h"
#include "worker/launcher.h"

/* A tailer that ended is started again after this, doubled at each failure. */
#define RELAUNCH_MS			1000
#define RELAUNCH_MAX_MS		30000
/* A slot whose tailer ran this long has recovered. */
#define HEALTHY_MS			10000

/* The tailers that this launcher started, by slot. */
static BackgroundWorkerHandle **handles = NULL;

static void
init_worker(BackgroundWorker *worker, const char *function, const char *type)
{
	memset(worker, 0, sizeof *worker);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "mongo_tail", sizeof worker->bgw_library_name);
	strlcpy(worker->bgw_function_name, function, sizeof worker->bgw_function_name);
	strlcpy(worker->bgw_type, type, sizeof worker->bgw_type);
	strlcpy(worker->bgw_name, type, sizeof worker->bgw_name);
}

void
mt_launcher_register(void)
{
	BackgroundWorker worker;

	init_worker(&worker, "mongo_tail_launcher_main", "mongo_tail launcher");
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

static void
leave(int code, Datum arg)
{
	(void) code;
	(void) arg;
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	mt_tail_shared->launcher_latch = NULL;
	mt_tail_shared->launcher_pid = 0;
	LWLockRelease(mt_tail_shared->lock);
}

/* The databases, or only those that one can connect to. */
static List *
list_databases(bool connectable)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn || !connectable)
		{
			MemoryContext old = MemoryContextSwitchTo(caller);

			databases = lappend_oid(databases, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

/* The slots of databases that are gone are free. */
static void
forget_dropped_databases(void)
{
	List	   *databases = list_databases(false);

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && !list_member_oid(databases, slot->database))
			slot->stop = true;
	}
	LWLockRelease(mt_tail_shared->lock);
	list_free(databases);
}

/* Is it held?  Then its release asks for the scan again. */
static bool
database_is_held(Oid database)
{
	bool		held = false;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < mt_tail_shared->n_holds; i++)
		held = held || mt_tail_shared->holds[i] == database;
	mt_tail_shared->scan_skipped |= held;
	LWLockRelease(mt_tail_shared->lock);
	return held;
}

/*
 * No worker is free to scan a database: have a tailer do it that runs there.
 * Otherwise a full house of tailers could not even be told to stop.
 */
static bool
scan_by_tailer(Oid database)
{
	bool		asked = false;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < mt_tail_shared->n_slots && !asked; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (slot->used && slot->database == database && slot->worker_latch != NULL)
		{
			slot->scan = true;
			SetLatch(slot->worker_latch);
			asked = true;
		}
	}
	LWLockRelease(mt_tail_shared->lock);
	return asked;
}

/*
 * PostgreSQL's own wait does not end when this process shall, and a scan that
 * was registered as the shutdown began never starts.
 */
static void
wait_for_scan(BackgroundWorkerHandle *handle)
{
	pid_t		pid;

	while (!ShutdownRequestPending && GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
						 mt_wait_event(MT_WAIT_LAUNCHER_SCAN));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Scan one database, and wait for the end of it.  False when no worker could
 * be had: try again later.
 */
static bool
scan_database(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	if (database_is_held(database))
		return true;
	init_worker(&worker, "mongo_tail_scan_main", "mongo_tail scan");
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		return scan_by_tailer(database);
	wait_for_scan(handle);
	pfree(handle);
	return true;
}

/* Take the list of databases to scan, and scan them; false: come again.  A
 * database that nobody can connect to is not scanned. */
static bool
run_scans(void)
{
	List	   *databases;
	List	   *wanted = NIL;
	ListCell   *cell;
	bool		all;
	bool		complete = true;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	all = mt_tail_shared->rescan_all;
	mt_tail_shared->rescan_all = false;
	for (int i = 0; i < mt_tail_shared->n_rescans && !all; i++)
		wanted = lappend_oid(wanted, mt_tail_shared->rescans[i]);
	mt_tail_shared->n_rescans = 0;
	LWLockRelease(mt_tail_shared->lock);
	if (!all && wanted == NIL)
		return true;

	forget_dropped_databases();
	databases = list_databases(true);
	foreach(cell, databases)
	{
		if (ShutdownRequestPending)
			break;
		if (!all && !list_member_oid(wanted, lfirst_oid(cell)))
			continue;
		if (!scan_database(lfirst_oid(cell)))
		{
			mt_tail_request_scan(lfirst_oid(cell));
			complete = false;
		}
	}
	list_free(databases);
	list_free(wanted);
	return complete;
}

static bool
scans_pending(void)
{
	bool		pending;

	LWLockAcquire(mt_tail_shared->lock, LW_SHARED);
	pending = mt_tail_shared->rescan_all || mt_tail_shared->n_rescans > 0;
	LWLockRelease(mt_tail_shared->lock);
	return pending;
}

static bool
worker_lives(int i)
{
	pid_t		pid;

	if (handles[i] == NULL)
		return mt_tail_shared->slots[i].worker_pid != 0;
	switch (GetBackgroundWorkerPid(handles[i], &pid))
	{
		case BGWH_STARTED:
		case BGWH_NOT_YET_STARTED:
			return true;
		default:
			pfree(handles[i]);
			handles[i] = NULL;
			return false;
	}
}

/* A tailer is gone, and nobody asked it to go: when may the next start? */
static void
schedule_relaunch(MtTailSlot *slot, TimestampTz now)
{
	int			wait_ms = RELAUNCH_MS;

	if (slot->worker_started != 0 &&
		TimestampDifferenceMilliseconds(slot->worker_started, now) > HEALTHY_MS)
		slot->launch_failures = 0;
	for (int i = 0; i < slot->launch_failures && wait_ms < RELAUNCH_MAX_MS; i++)
		wait_ms *= 2;
	/* It ended before it had anything to say of its own: it could not log in. */
	if (slot->launch_failures > 0 && mt_tail_status(slot) == MT_TAIL_STARTING)
		mt_tail_set_status(slot, MT_TAIL_STARTING,
						   "the tail's worker could not start; the log of PostgreSQL says why");
	slot->launch_failures++;
	slot->next_launch = TimestampTzPlusMilliseconds(now, Min(wait_ms, RELAUNCH_MAX_MS));
}

static void
launch(int i, TimestampTz now)
{
	MtTailSlot *slot = &mt_tail_shared->slots[i];
	BackgroundWorker worker;

	init_worker(&worker, "mongo_tail_tailer_main", "mongo_tail tailer");
	snprintf(worker.bgw_name, sizeof worker.bgw_name, "mongo_tail tailer for %.60s",
			 NameStr(slot->server));
	worker.bgw_main_arg = Int32GetDatum(i);
	worker.bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(&worker, &handles[i]))
	{
		schedule_relaunch(slot, now);
		return;
	}
	handles[i] = NULL;
	slot->next_launch = TimestampTzPlusMilliseconds(now, RELAUNCH_MS);
	if (mt_tail_status(slot) != MT_TAIL_NO_WORKER)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free for the tail of server \"%s\"", NameStr(slot->server)),
				 errhint("Increase max_worker_processes.")));
	mt_tail_set_status(slot, MT_TAIL_NO_WORKER,
					   "no background worker is free; increase max_worker_processes");
}

static void
free_slot(MtTailSlot *slot)
{
	dsm_handle	ring;
	bool		lacked;

	SpinLockAcquire(&slot->mutex);
	ring = slot->ring;
	slot->ring = DSM_HANDLE_INVALID;
	SpinLockRelease(&slot->mutex);
	if (ring != DSM_HANDLE_INVALID)
		mt_ring_shmem_drop(ring);
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	slot->used = false;
	slot->stop = false;
	lacked = mt_tail_shared->slot_lacked;
	mt_tail_shared->slot_lacked = false;
	LWLockRelease(mt_tail_shared->lock);
	mt_tail_wake_readers(slot);
	ConditionVariableBroadcast(&mt_tail_shared->changed);
	if (lacked)
		mt_tail_request_scan(InvalidOid);
}

/* See to every slot; the time in ms until something is due. */
static long
supervise(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		due_ms = 60 * 1000;

	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];

		if (!slot->used || worker_lives(i))
			continue;
		if (slot->stop)
			free_slot(slot);
		else if (slot->held)
			continue;
		else if (slot->next_launch <= now)
			launch(i, now);
		else
			due_ms = Min(due_ms, TimestampDifferenceMilliseconds(now, slot->next_launch) + 1);
	}
	return due_ms;
}

void
mongo_tail_launcher_main(Datum arg)
{
	(void) arg;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	handles = MemoryContextAllocZero(TopMemoryContext,
									 sizeof(BackgroundWorkerHandle *) * mt_tail_shared->n_slots);
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	mt_tail_shared->launcher_latch = MyLatch;
	mt_tail_shared->launcher_pid = MyProcPid;
	mt_tail_shared->rescan_all = true;	/* a launcher before may have lost some */
	LWLockRelease(mt_tail_shared->lock);
	before_shmem_exit(leave, (Datum) 0);

	while (!ShutdownRequestPending)
	{
		bool		scanned;
		long		due_ms;

		/* Waiting for a scan takes what our latch was set for meanwhile. */
		do
			scanned = run_scans();
		while (scanned && scans_pending() && !ShutdownRequestPending);
		due_ms = supervise();
		if (ShutdownRequestPending)
			break;				/* its latch may have been taken, too */
		if (scans_pending())
			due_ms = Min(due_ms, RELAUNCH_MS);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 due_ms, mt_wait_event(MT_WAIT_LAUNCHER_MAIN));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* Not 0, after which a launcher that was terminated would not come again. */
	proc_exit(1);
}
