/*
 * tailer.c
 *		The tailer: one oplog, tailed into one ring.
 *
 * It runs as the tail's owner, connected to the tail's database.  Its life is
 * a loop of sessions; a session is one connection to MongoDB, from the place
 * where the ring ends to the first error or change of plan:
 *
 *	load    the catalog row, the server's options, the filter
 *	open    the ring (the old one goes on where it ended) and the oplog stream
 *	stream  fetch a batch, feed it to the ring, commit, wake the readers
 *
 * Where the tail looks up full documents, changes reach the ring through a
 * queue; what is still in it is not yet seen, whatever the stream says.
 *
 * Whatever goes wrong ends the session; what can mend itself is tried again
 * with back-off for ever, the rest waits in state "failed" for a change of the
 * tail.  The log gets one line for each change of state, not for each try.
 */
#include "postgres.h"

#include "access/xact.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/change_record.h"
#include "base/filter.h"
#include "base/lookup_queue.h"
#include "base/oplog_stream.h"
#include "base/options.h"
#include "base/position.h"
#include "base/remote.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "base/wait_event.h"
#include "compat.h"
#include "guc.h"
#include "ring/ring_shmem.h"
#include "worker/launcher.h"
#include "worker/tailer_private.h"

#define FIRST_BACKOFF_MS	100
/* A batch of fewer bytes of entries leaves nothing more to fetch at once. */
#define SMALL_BATCH_BYTES	(32 * 1024)

/* This process's own. */
MtTailer	mt_tailer;

/* ---- what others want of this tailer ---- */

static bool
must_exit(void)
{
	MtTailSlot *slot = mt_tailer.slot;

	return ProcDiePending || slot->stop || slot->held || slot->owner != mt_tailer.owner;
}

/* Is the session's plan no longer the tail's? */
static bool
plan_changed(void)
{
	return must_exit() || mt_tailer.slot->paused || mt_tailer.slot->scan ||
		(mt_tailer.tail != NULL && (mt_tailer.slot->version != mt_tailer.tail->version ||
								 mt_tailer.slot->options_stamp != mt_tailer.options_stamp));
}


/* Interrupts and signals, where the driver is not on the stack.  A worker that
 * is asked to end does so at the loop's head, without a FATAL in the log. */
static void
serve_interrupts(void)
{
	/* A cancel ended the session already, and there is no statement to fail:
	 * thrown here, outside of one, it would end the worker. */
	QueryCancelPending = false;
	if (!ProcDiePending)
		CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (mt_tailer.slot->scan && !must_exit())
	{
		mt_tailer.slot->scan = false;
		(void) mt_tailer_in_transaction(mt_tail_scan, &mt_tailer.scan_fails);
	}
}

/* Sleep until something is asked or the time is over. */
static void
nap(long wait_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (wait_ms >= 0 ? WL_TIMEOUT : 0),
					 wait_ms, mt_wait_event(MT_WAIT_TAILER_IDLE));
	ResetLatch(MyLatch);
	serve_interrupts();
}

/* ---- states ---- */

static void
enter_state(MtTailStatus status, const char *message)
{
	MtTailSlot *slot = mt_tailer.slot;

	mt_tail_set_status(slot, status, message);
	if (status == MT_TAIL_CONNECTING || status == mt_tailer.logged)
		return;					/* a step on the way, or known already */
	mt_tailer.logged = status;
	switch (status)
	{
		case MT_TAIL_STREAMING:
			ereport(LOG, (errmsg("tail of server \"%s\", shard \"%s\": streaming",
								 NameStr(slot->server), slot->shard)));
			break;
		case MT_TAIL_PAUSED:
			ereport(LOG, (errmsg("tail of server \"%s\", shard \"%s\": paused",
								 NameStr(slot->server), slot->shard)));
			break;
		case MT_TAIL_RETRYING:
		case MT_TAIL_FAILED:
			ereport(LOG,
					(errmsg("tail of server \"%s\", shard \"%s\": %s",
							NameStr(slot->server), slot->shard, mt_tail_status_name(status)),
					 message ? errdetail_internal("%s", message) : 0));
			break;
		default:
			break;
	}
}

/* Back off after an error that may mend itself. */
static void
retry_later(const char *message)
{
	TimestampTz until;
	long		left_ms;

	pg_atomic_fetch_add_u64(&mt_tailer.slot->reconnects, 1);
	enter_state(MT_TAIL_RETRYING, message);
	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), mt_tailer.backoff_ms);
	while (!plan_changed() &&
		   (left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0)
		nap(left_ms);
	mt_tailer.backoff_ms = Min(mt_tailer.backoff_ms * 2,
							mt_tailer.server ? mt_tailer.server->max_backoff_ms : 30000);
}

/* Stay until somebody changes the tail. */
static void
fail(const char *message)
{
	int64		version = mt_tailer.tail->version;

	enter_state(MT_TAIL_FAILED, message);
	while (!must_exit() && mt_tailer.slot->version == version)
		nap(-1);
}

/* ---- the session's parts ---- */

static void
close_session(void)
{
	if (mt_tailer.stream != NULL)
		mt_oplog_stream_close(mt_tailer.stream);
	mt_tailer.stream = NULL;
	mt_tailer.lookups = NULL;
	if (mt_tailer.connection != NULL)
		mt_remote_close(mt_tailer.connection);
	mt_tailer.connection = NULL;
	if (mt_tailer.filter != NULL)
		mt_namespace_filter_free(mt_tailer.filter);
	mt_tailer.filter = NULL;
	mt_tailer.tail = NULL;
	mt_tailer.server = NULL;
	MemoryContextReset(mt_tailer.session_context);
}

/* MtEmitChange: one change into the ring. */
static bool
publish(void *context, const MtChange *change)
{
	(void) context;
	if (change->cluster_time < mt_tailer.published.time ||
		(change->cluster_time == mt_tailer.published.time && change->index <= mt_tailer.published.index))
		return true;			/* in the ring since the session before */
	mt_change_record_append(mt_tailer.ring, change);
	mt_tailer.published.time = change->cluster_time;
	mt_tailer.published.index = change->index;
	mt_tailer.batch_events++;
	return true;
}

/* Read the plan from the catalog.  False when the tail is no longer there. */
static bool
load_plan(void)
{
	MemoryContext old;

	mt_tailer.options_stamp = mt_tailer.slot->options_stamp;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	old = MemoryContextSwitchTo(mt_tailer.session_context);
	mt_tailer.tail = mt_tail_catalog_load_server(mt_tailer.slot->serverid);
	mt_tailer.shard = NULL;
	for (int i = 0; mt_tailer.tail != NULL && i < mt_tailer.tail->n_shards; i++)
		if (mt_tailer.tail->shards[i].id == mt_tailer.slot->shard_id)
			mt_tailer.shard = &mt_tailer.tail->shards[i];
	if (mt_tailer.shard != NULL)
	{
		mt_tailer.server = mt_options_server(mt_tailer.slot->serverid);
		mt_tailer.filter = mt_filter_of_tail(mt_tailer.tail);
		mt_tailer.connection = mt_remote_open(mt_tailer.slot->serverid, mt_tailer.slot->owner,
										   mt_tailer.session_context);
		if (mt_tailer.tail->lookup)
			mt_tailer.lookups = mt_lookup_queue_new(mt_tailer.slot->serverid, mt_tailer.slot->owner, mt_tailer.server,
													&mt_tailer.slot->lookups, publish);
	}
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return mt_tailer.shard != NULL;
}

/*
 * The newest record of a ring that goes on.  A batch larger than the ring
 * becomes visible in portions, so there may be records after scanned_to
 * already, which must not come twice.
 */
static MtRingPlace
newest_record(MtRing *ring, uint64 scanned_to)
{
	MtRingPlace place = {scanned_to, UINT64_MAX};
	MtRingReader reader;
	MtRingHeader header;

	if (mt_ring_seek(&reader, ring, place) == MT_RING_RECORD)
		while (mt_ring_peek(&reader, &header) == MT_RING_RECORD)
		{
			place.time = header.time;
			place.index = header.index;
			mt_ring_skip(&reader, &header);
		}
	return place;
}

/*
 * The ring: the one of this version goes on where it ended; else one of the
 * wanted size begins a new epoch where the catalog says.  Returns the time
 * after which to tail.
 */
static uint64
open_ring(void)
{
	MtTailSlot *slot = mt_tailer.slot;
	uint64		data_bytes = mt_ring_shmem_round(mt_tailer.tail->ring_bytes);
	MtRingWindow window;
	MtRingPlace covered_from;
	dsm_handle	old_handle;
	dsm_handle	handle;

	mt_tailer.ring = mt_tail_ring(slot, mt_tailer.tail->version);
	if (mt_tailer.ring != NULL)
	{
		mt_ring_writer_attach(mt_tailer.ring);
		mt_ring_window(mt_tailer.ring, &window);
		if (window.epoch != 0 && window.scanned_to != 0)
		{
			mt_tailer.published = newest_record(mt_tailer.ring, window.scanned_to);
			return window.scanned_to;
		}
	}

	SpinLockAcquire(&slot->mutex);
	old_handle = handle = slot->ring;
	SpinLockRelease(&slot->mutex);
	mt_tailer.ring = mt_tail_ring(slot, -1);
	if (mt_tailer.ring == NULL || mt_ring_data_bytes(mt_tailer.ring) != data_bytes)
		mt_tailer.ring = mt_ring_shmem_create(mt_tail_slot_index(slot), data_bytes, &handle);
	else
		mt_ring_writer_attach(mt_tailer.ring);
	covered_from.time = mt_tailer.shard->resume_time;
	covered_from.index = UINT64_MAX;	/* all of that time */
	mt_tailer.published = covered_from;
	mt_ring_begin_epoch(mt_tailer.ring, covered_from, (uint64) mt_tailer.tail->version);
	mt_ring_commit(mt_tailer.ring, mt_tailer.shard->resume_time);

	SpinLockAcquire(&slot->mutex);
	slot->ring = handle;
	slot->ring_version = mt_tailer.tail->version;
	SpinLockRelease(&slot->mutex);
	if (old_handle != handle && old_handle != DSM_HANDLE_INVALID)
		mt_ring_shmem_drop(old_handle);
	mt_tail_wake_readers(slot);
	return mt_tailer.shard->resume_time;
}

/* Say what ended the session, and how it goes on. */
static void
end_session(MtStreamStatus status, const MtStreamError *error)
{
	char		message[MT_TAIL_ERROR_BYTES];

	switch (status)
	{
		case MT_STREAM_DRIVER:
			if (error->mongo.interrupted)
				return;			/* the loop looks at why */
			snprintf(message, sizeof message, "MongoDB reported: %s", error->mongo.message);
			retry_later(message);
			return;
		case MT_STREAM_MALFORMED:
			snprintf(message, sizeof message,
					 "malformed oplog entry at %u.%u: %s; seek_tail past it to go on",
					 (uint32) (error->oplog.cluster_time >> 32), (uint32) error->oplog.cluster_time,
					 error->oplog.message);
			fail(message);
			return;
		case MT_STREAM_HISTORY_LOST:
			snprintf(message, sizeof message,
					 "the oplog no longer holds %u.%u (its oldest entry is %u.%u): "
					 "changes were lost; seek_tail to 'oldest' or 'now' to go on",
					 (uint32) (error->wanted >> 32), (uint32) error->wanted,
					 (uint32) (error->oldest >> 32), (uint32) error->oldest);
			fail(message);
			return;
		default:
			retry_later("out of memory");
			return;
	}
}

static bool
open_stream(uint64 after)
{
	MtOplogStreamOptions options;
	MtStreamStatus status;
	MtStreamError error;

	memset(&options, 0, sizeof options);
	options.connection = mt_tailer.connection;
	options.database = mt_tailer.server->oplog_database;
	options.collection = mt_tailer.server->oplog_collection;
	options.filter = mt_tailer.filter;
	options.after = after;
	options.batch_size = mt_tailer.server->batch_size;
	options.await_ms = mt_tailer.server->await_ms;
	options.read_concern_local = mt_tailer.server->read_concern_local;
	options.include_migrate = mt_tailer.server->include_migrate;
	options.context = mt_tailer.lookups;
	options.emit = mt_tailer.lookups != NULL ? mt_lookup_queue_emit : publish;
	mt_tailer.stream = mt_oplog_stream_open(&options, &status, &error);
	if (mt_tailer.stream != NULL)
		return true;
	end_session(status, &error);
	return false;
}

/* ---- streaming ---- */

/* Make the batch visible, count it, wake who waits for it. */
static void
commit_batch(uint64 *entries_before, uint64 *bytes_before)
{
	MtTailSlot *slot = mt_tailer.slot;
	uint64_t	entries;
	uint64_t	bytes;

	mt_ring_commit(mt_tailer.ring, mt_tailer_published_to());
	mt_oplog_stream_counts(mt_tailer.stream, &entries, &bytes);
	pg_atomic_fetch_add_u64(&slot->entries, entries - *entries_before);
	pg_atomic_fetch_add_u64(&slot->entry_bytes, bytes - *bytes_before);
	pg_atomic_fetch_add_u64(&slot->batches, 1);
	*entries_before = entries;
	*bytes_before = bytes;
	if (mt_tailer.batch_events > 0)
	{
		pg_atomic_fetch_add_u64(&slot->events, mt_tailer.batch_events);
		mt_tailer.batch_events = 0;
		mt_tail_wake_readers(slot);
		mt_tailer.notify_pending = mt_tailer.tail->notify_channel != NULL;
	}
	else if (pg_atomic_read_u32(&slot->watermark_waiters) > 0)
		mt_tail_wake_readers(slot);
}

/*
 * What was fed before the session ended is seen and stays seen, and who
 * listens may have to live with it for a while.
 */
static void
settle(uint64 *entries_before, uint64 *bytes_before)
{
	commit_batch(entries_before, bytes_before);
	if (ProcDiePending)
		return;
	if (mt_tailer.notify_pending)
		mt_tailer_notify_now(GetCurrentTimestamp());
	mt_tailer_store_progress(GetCurrentTimestamp(), true);
}

/*
 * May updates wait for more of them, to be looked up together?  Then the next
 * fetch waits no longer than that.  Not after a batch of so many bytes that the
 * next one may have been asked for already.
 */
static bool
lookups_may_wait(uint64 bytes_before)
{
	int			left_ms = mt_lookup_queue_wait_left(mt_tailer.lookups);
	uint64_t	entries;
	uint64_t	bytes;

	mt_oplog_stream_counts(mt_tailer.stream, &entries, &bytes);
	if (bytes - bytes_before >= SMALL_BATCH_BYTES)
		left_ms = 0;
	mt_oplog_stream_set_await(mt_tailer.stream, left_ms > 0 ? left_ms : mt_tailer.server->await_ms);
	return left_ms > 0;
}

/*
 * What was fed before the stream said status goes to the ring, too, unless the
 * connection was lost.  Returns the status with that of the look-ups.
 */
static MtStreamStatus
finish_lookups(MtStreamStatus status, MtStreamError *error)
{
	if (status == MT_STREAM_DRIVER ||
		(status != MT_STREAM_STOPPED && mt_lookup_queue_flush(mt_tailer.lookups)))
		return status;
	error->mongo = *mt_lookup_queue_error(mt_tailer.lookups);
	return MT_STREAM_DRIVER;
}

static void
stream_changes(void)
{
	MtStreamError error;
	MtStreamStatus status;
	uint64		entries = 0;
	uint64		bytes = 0;

	memset(&error, 0, sizeof error);
	while (!plan_changed())
	{
		TimestampTz now;

		status = mt_oplog_stream_fetch(mt_tailer.stream, &error);
		while (status == MT_STREAM_OK)
			status = mt_oplog_stream_feed(mt_tailer.stream, &error);
		if (mt_tailer.lookups != NULL)
		{
			if (status == MT_STREAM_BATCH_END && lookups_may_wait(bytes))
				continue;
			status = finish_lookups(status, &error);
		}
		if (status != MT_STREAM_BATCH_END)
		{
			settle(&entries, &bytes);
			end_session(status, &error);
			return;
		}
		commit_batch(&entries, &bytes);
		mt_tailer.backoff_ms = FIRST_BACKOFF_MS;
		now = GetCurrentTimestamp();
		mt_tailer_notify_listeners(now);
		mt_tailer_store_progress(now, false);
		mt_tailer_look_at_oldest(now);
		serve_interrupts();
	}
	settle(&entries, &bytes);
}

/* Where does MongoDB stand as the session begins? */
static bool
note_catch_up(void)
{
	MtStreamError error;
	uint64_t	point;

	if (!mt_oplog_majority_point(mt_tailer.connection, &point, &error.mongo))
	{
		end_session(MT_STREAM_DRIVER, &error);
		return false;
	}
	SpinLockAcquire(&mt_tailer.slot->mutex);
	mt_tailer.slot->catch_up_to = point;
	SpinLockRelease(&mt_tailer.slot->mutex);
	return true;
}

static void
run_session(void)
{
	enter_state(MT_TAIL_CONNECTING, NULL);
	if (!load_plan())
	{
		/* The row is gone: a scan stops this worker, or gives it another. */
		nap(1000);
		return;
	}
	if (!note_catch_up() || !open_stream(open_ring()))
		return;
	enter_state(MT_TAIL_STREAMING, NULL);
	stream_changes();
}

/* A session; an error that PostgreSQL raised ends it as the driver's do. */
static void
run_session_guarded(void)
{
	char		message[MT_TAIL_ERROR_BYTES] = "";

	PG_TRY();
	{
		run_session();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mt_tailer.session_context);
		HOLD_INTERRUPTS();
		edata = CopyErrorData();
		snprintf(message, sizeof message, "%s%s%s", edata->message,
				 edata->detail ? ": " : "", edata->detail ? edata->detail : "");
		FlushErrorState();
		/* Outside of a transaction there is nothing that would let go of these. */
		LWLockReleaseAll();
		ConditionVariableCancelSleep();
		AbortCurrentTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	if (message[0] != '\0')
		retry_later(message);
	close_session();
}

/* While paused, the worker holds no connection. */
static void
wait_paused(void)
{
	enter_state(MT_TAIL_PAUSED, NULL);
	mt_tail_wake_readers(mt_tailer.slot);
	while (!must_exit() && mt_tailer.slot->paused)
		nap(-1);
}

/* ---- the process ---- */

static void
release_slot(int code, Datum arg)
{
	MtTailSlot *slot = &mt_tail_shared->slots[DatumGetInt32(arg)];

	(void) code;
	if (mt_tail_status(slot) != MT_TAIL_PAUSED)
		mt_tail_set_status(slot, MT_TAIL_STARTING, NULL);
	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	slot->worker_pid = 0;
	slot->worker_latch = NULL;
	if (mt_tail_shared->launcher_latch != NULL)
		SetLatch(mt_tail_shared->launcher_latch);
	LWLockRelease(mt_tail_shared->lock);
	ConditionVariableBroadcast(&mt_tail_shared->changed);
}

static bool
claim_slot(int index)
{
	MtTailSlot *slot = &mt_tail_shared->slots[index];
	bool		claimed;

	LWLockAcquire(mt_tail_shared->lock, LW_EXCLUSIVE);
	claimed = slot->used && !slot->stop && !slot->held && slot->worker_pid == 0;
	if (claimed)
	{
		slot->worker_pid = MyProcPid;
		slot->worker_latch = MyLatch;
		slot->worker_started = GetCurrentTimestamp();
	}
	LWLockRelease(mt_tail_shared->lock);
	if (claimed)
		before_shmem_exit(release_slot, Int32GetDatum(index));
	return claimed;
}

void
mongo_tail_tailer_main(Datum arg)
{
	int			index = DatumGetInt32(arg);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	/* Also in the middle of a transaction that waits for a lock. */
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, SIG_IGN);	/* there is no query to cancel */
	BackgroundWorkerUnblockSignals();
	if (!claim_slot(index))
		proc_exit(0);
	mt_tailer.slot = &mt_tail_shared->slots[index];
	BackgroundWorkerInitializeConnectionByOid(mt_tailer.slot->database, mt_tailer.slot->owner, 0);
	mt_worker_pin_settings();
	mt_tailer.session_context = AllocSetContextCreate(TopMemoryContext, "mongo_tail session",
												   ALLOCSET_DEFAULT_SIZES);
	mt_tailer.owner = GetUserId();
	mt_tailer.backoff_ms = FIRST_BACKOFF_MS;
	mt_tailer.logged = MT_TAIL_STARTING;
	mt_remote_stop_hook = plan_changed;

	while (!must_exit())
	{
		serve_interrupts();
		if (mt_tailer.slot->paused)
			wait_paused();
		else
			run_session_guarded();
	}
	proc_exit(0);
}
