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
#include "commands/async.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/change_record.h"
#include "base/lookup_queue.h"
#include "base/oplog_stream.h"
#include "base/options.h"
#include "base/position.h"
#include "base/remote.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "compat.h"
#include "guc.h"
#include "ring/ring_shmem.h"
#include "worker/launcher.h"

#define FIRST_BACKOFF_MS	100
/* A batch of fewer bytes of entries leaves nothing more to fetch at once. */
#define SMALL_BATCH_BYTES	(32 * 1024)
/* How often the oldest entry of the oplog is looked up, for stat_tail. */
#define OPLOG_FIRST_MS		30000

typedef struct MtTailer
{
	MtTailSlot *slot;
	MemoryContext session_context;
	/* of the session */
	MtTail	   *tail;			/* the catalog row */
	MtTailShard *shard;			/* in it */
	MtServerOptions *server;
	MtNamespaceFilter *filter;
	MtConnection *connection;
	MtOplogStream *stream;
	MtRing	   *ring;
	MtRingPlace published;		/* the newest record in the ring */
	uint64		batch_events;	/* appended since the last commit */
	MtLookupQueue *lookups;		/* NULL: no documents are looked up */
	uint64		stored_time;	/* last resume time stored */
	TimestampTz stored_at;
	TimestampTz oplog_first_at;
	TimestampTz notified_at;
	bool		notify_pending;
	/* of the tailer */
	Oid			owner;			/* whom it runs as */
	int			backoff_ms;
	uint32		options_stamp;	/* the slot's, when the options were read */
	bool		scan_fails;		/* chores that failed the last time */
	bool		notify_fails;
	bool		store_fails;
	MtTailStatus logged;		/* the last state that the log knows */
} MtTailer;

static MtTailer tailer;

/* ---- what others want of this tailer ---- */

static bool
must_exit(void)
{
	MtTailSlot *slot = tailer.slot;

	return ProcDiePending || slot->stop || slot->held || slot->owner != tailer.owner;
}

/* Is the session's plan no longer the tail's? */
static bool
plan_changed(void)
{
	return must_exit() || tailer.slot->paused || tailer.slot->scan ||
		(tailer.tail != NULL && (tailer.slot->version != tailer.tail->version ||
								 tailer.slot->options_stamp != tailer.options_stamp));
}

static bool in_transaction(void (*chore) (void), bool *failing);

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
	if (tailer.slot->scan && !must_exit())
	{
		tailer.slot->scan = false;
		(void) in_transaction(mt_tail_scan, &tailer.scan_fails);
	}
}

/* Sleep until something is asked or the time is over. */
static void
nap(long wait_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (wait_ms >= 0 ? WL_TIMEOUT : 0),
					 wait_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	serve_interrupts();
}

/* ---- states ---- */

static void
enter_state(MtTailStatus status, const char *message)
{
	MtTailSlot *slot = tailer.slot;

	mt_tail_set_status(slot, status, message);
	if (status == MT_TAIL_CONNECTING || status == tailer.logged)
		return;					/* a step on the way, or known already */
	tailer.logged = status;
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

	pg_atomic_fetch_add_u64(&tailer.slot->reconnects, 1);
	enter_state(MT_TAIL_RETRYING, message);
	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), tailer.backoff_ms);
	while (!plan_changed() &&
		   (left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0)
		nap(left_ms);
	tailer.backoff_ms = Min(tailer.backoff_ms * 2,
							tailer.server ? tailer.server->max_backoff_ms : 30000);
}

/* Stay until somebody changes the tail. */
static void
fail(const char *message)
{
	int64		version = tailer.tail->version;

	enter_state(MT_TAIL_FAILED, message);
	while (!must_exit() && tailer.slot->version == version)
		nap(-1);
}

/* ---- the session's parts ---- */

static void
close_session(void)
{
	if (tailer.stream != NULL)
		mt_oplog_stream_close(tailer.stream);
	tailer.stream = NULL;
	tailer.lookups = NULL;
	if (tailer.connection != NULL)
		mt_remote_close(tailer.connection);
	tailer.connection = NULL;
	if (tailer.filter != NULL)
		mt_namespace_filter_free(tailer.filter);
	tailer.filter = NULL;
	tailer.tail = NULL;
	tailer.server = NULL;
	MemoryContextReset(tailer.session_context);
}

/* MtEmitChange: one change into the ring. */
static bool
publish(void *context, const MtChange *change)
{
	(void) context;
	if (change->cluster_time < tailer.published.time ||
		(change->cluster_time == tailer.published.time && change->index <= tailer.published.index))
		return true;			/* in the ring since the session before */
	mt_change_record_append(tailer.ring, change);
	tailer.published.time = change->cluster_time;
	tailer.published.index = change->index;
	tailer.batch_events++;
	return true;
}

/* Read the plan from the catalog.  False when the tail is no longer there. */
static bool
load_plan(void)
{
	MemoryContext old;
	char		message[256];

	tailer.options_stamp = tailer.slot->options_stamp;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	old = MemoryContextSwitchTo(tailer.session_context);
	tailer.tail = mt_tail_catalog_load_server(tailer.slot->serverid);
	tailer.shard = NULL;
	for (int i = 0; tailer.tail != NULL && i < tailer.tail->n_shards; i++)
		if (tailer.tail->shards[i].id == tailer.slot->shard_id)
			tailer.shard = &tailer.tail->shards[i];
	if (tailer.shard != NULL)
	{
		tailer.server = mt_options_server(tailer.slot->serverid);
		tailer.filter = mt_namespace_filter_new((const char *const *) tailer.tail->includes,
												tailer.tail->n_includes,
												(const char *const *) tailer.tail->excludes,
												tailer.tail->n_excludes,
												message, sizeof message);
		if (tailer.filter == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid namespace filter: %s", message)));
		tailer.connection = mt_remote_open(tailer.slot->serverid, tailer.slot->owner,
										   tailer.session_context);
		if (tailer.tail->lookup)
			tailer.lookups = mt_lookup_queue_new(tailer.slot->serverid, tailer.slot->owner, tailer.server,
												 &tailer.slot->lookups, publish);
	}
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return tailer.shard != NULL;
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
	MtTailSlot *slot = tailer.slot;
	uint64		data_bytes = mt_ring_shmem_round(tailer.tail->ring_bytes);
	MtRingWindow window;
	MtRingPlace covered_from;
	dsm_handle	old_handle;
	dsm_handle	handle;

	tailer.ring = mt_tail_ring(slot, tailer.tail->version);
	if (tailer.ring != NULL)
	{
		mt_ring_writer_attach(tailer.ring);
		mt_ring_window(tailer.ring, &window);
		if (window.epoch != 0 && window.scanned_to != 0)
		{
			tailer.published = newest_record(tailer.ring, window.scanned_to);
			return window.scanned_to;
		}
	}

	SpinLockAcquire(&slot->mutex);
	old_handle = handle = slot->ring;
	SpinLockRelease(&slot->mutex);
	tailer.ring = mt_tail_ring(slot, -1);
	if (tailer.ring == NULL || mt_ring_data_bytes(tailer.ring) != data_bytes)
		tailer.ring = mt_ring_shmem_create(mt_tail_slot_index(slot), data_bytes, &handle);
	else
		mt_ring_writer_attach(tailer.ring);
	covered_from.time = tailer.shard->resume_time;
	covered_from.index = UINT64_MAX;	/* all of that time */
	tailer.published = covered_from;
	mt_ring_begin_epoch(tailer.ring, covered_from, (uint64) tailer.tail->version);
	mt_ring_commit(tailer.ring, tailer.shard->resume_time);

	SpinLockAcquire(&slot->mutex);
	slot->ring = handle;
	slot->ring_version = tailer.tail->version;
	SpinLockRelease(&slot->mutex);
	if (old_handle != handle && old_handle != DSM_HANDLE_INVALID)
		mt_ring_shmem_drop(old_handle);
	mt_tail_wake_readers(slot);
	return tailer.shard->resume_time;
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
	options.connection = tailer.connection;
	options.database = tailer.server->oplog_database;
	options.collection = tailer.server->oplog_collection;
	options.filter = tailer.filter;
	options.after = after;
	options.batch_size = tailer.server->batch_size;
	options.await_ms = tailer.server->await_ms;
	options.read_concern_local = tailer.server->read_concern_local;
	options.include_migrate = tailer.server->include_migrate;
	options.context = tailer.lookups;
	options.emit = tailer.lookups != NULL ? mt_lookup_queue_emit : publish;
	tailer.stream = mt_oplog_stream_open(&options, &status, &error);
	if (tailer.stream != NULL)
		return true;
	end_session(status, &error);
	return false;
}

/* ---- chores between batches ---- */

/*
 * Run chore in a transaction; an error of it is logged, if it is the first
 * since it last succeeded, and no more.
 */
static bool
in_transaction(void (*chore) (void), bool *failing)
{
	volatile bool done = false;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		chore();
		PopActiveSnapshot();
		CommitTransactionCommand();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		HOLD_INTERRUPTS();
		if (!*failing)
			EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	*failing = !done;
	return done;
}

static void
store_resume_time(void)
{
	mt_tail_catalog_set_resume(tailer.tail->serverid, tailer.tail->version, tailer.shard->name,
							   tailer.stored_time);
}

static void
send_notify(void)
{
	Async_Notify(tailer.tail->notify_channel, NameStr(tailer.tail->server));
}

static bool
is_due(TimestampTz last, int interval_ms, TimestampTz now)
{
	return last == 0 || TimestampDifferenceMilliseconds(last, now) >= interval_ms;
}

static void
notify_now(TimestampTz now)
{
	if (in_transaction(send_notify, &tailer.notify_fails))
		pg_atomic_fetch_add_u64(&tailer.slot->notifies, 1);
	else
		pg_atomic_fetch_add_u64(&tailer.slot->notify_failures, 1);
	tailer.notified_at = now;
	tailer.notify_pending = false;
}

/*
 * NOTIFY at most once in notify_ms; a notification that must wait shortens
 * the next await.
 */
static void
notify_listeners(TimestampTz now)
{
	int			await_ms = tailer.server->await_ms;

	if (!tailer.notify_pending)
		return;
	if (is_due(tailer.notified_at, tailer.tail->notify_ms, now))
		notify_now(now);
	else
		await_ms = Min(await_ms, tailer.tail->notify_ms -
					   (int) TimestampDifferenceMilliseconds(tailer.notified_at, now) + 1);
	mt_oplog_stream_set_await(tailer.stream, await_ms);
}

static void
look_at_oldest(TimestampTz now)
{
	MtByteBuffer entry = {NULL, 0, 0};
	MtMongoError error;
	MtSlice		first;

	if (!is_due(tailer.oplog_first_at, OPLOG_FIRST_MS, now))
		return;
	tailer.oplog_first_at = now;
	if (mt_oplog_first(tailer.connection, tailer.server->oplog_database,
					   tailer.server->oplog_collection, &entry, &error) == MT_OPLOG_LOOKUP_FOUND)
	{
		first.data = entry.data;
		first.len = (uint32) entry.len;
		SpinLockAcquire(&tailer.slot->mutex);
		tailer.slot->oplog_first = mt_oplog_entry_ts(first);
		SpinLockRelease(&tailer.slot->mutex);
	}
	mt_byte_buffer_free(&entry);
}

/* Everything up to this time is in the ring, committed or not. */
static uint64
published_to(void)
{
	uint64		scanned_to = mt_oplog_stream_scanned_to(tailer.stream);

	return tailer.lookups ? mt_lookup_queue_emitted_to(tailer.lookups, scanned_to) : scanned_to;
}

static void
store_progress(TimestampTz now, bool at_once)
{
	uint64		scanned_to = published_to();

	if (scanned_to == tailer.stored_time ||
		(!at_once && !is_due(tailer.stored_at, mt_guc_position_store_ms, now)))
		return;
	tailer.stored_time = scanned_to;
	tailer.stored_at = now;
	(void) in_transaction(store_resume_time, &tailer.store_fails);
}

/* ---- streaming ---- */

/* Make the batch visible, count it, wake who waits for it. */
static void
commit_batch(uint64 *entries_before, uint64 *bytes_before)
{
	MtTailSlot *slot = tailer.slot;
	uint64_t	entries;
	uint64_t	bytes;

	mt_ring_commit(tailer.ring, published_to());
	mt_oplog_stream_counts(tailer.stream, &entries, &bytes);
	pg_atomic_fetch_add_u64(&slot->entries, entries - *entries_before);
	pg_atomic_fetch_add_u64(&slot->entry_bytes, bytes - *bytes_before);
	pg_atomic_fetch_add_u64(&slot->batches, 1);
	*entries_before = entries;
	*bytes_before = bytes;
	if (tailer.batch_events > 0)
	{
		pg_atomic_fetch_add_u64(&slot->events, tailer.batch_events);
		tailer.batch_events = 0;
		mt_tail_wake_readers(slot);
		tailer.notify_pending = tailer.tail->notify_channel != NULL;
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
	if (tailer.notify_pending)
		notify_now(GetCurrentTimestamp());
	store_progress(GetCurrentTimestamp(), true);
}

/*
 * May updates wait for more of them, to be looked up together?  Then the next
 * fetch waits no longer than that.  Not after a batch of so many bytes that the
 * next one may have been asked for already.
 */
static bool
lookups_may_wait(uint64 bytes_before)
{
	int			left_ms = mt_lookup_queue_wait_left(tailer.lookups);
	uint64_t	entries, bytes;

	mt_oplog_stream_counts(tailer.stream, &entries, &bytes);
	if (bytes - bytes_before >= SMALL_BATCH_BYTES)
		left_ms = 0;
	mt_oplog_stream_set_await(tailer.stream, left_ms > 0 ? left_ms : tailer.server->await_ms);
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
		(status != MT_STREAM_STOPPED && mt_lookup_queue_flush(tailer.lookups)))
		return status;
	error->mongo = *mt_lookup_queue_error(tailer.lookups);
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

		status = mt_oplog_stream_fetch(tailer.stream, &error);
		while (status == MT_STREAM_OK)
			status = mt_oplog_stream_feed(tailer.stream, &error);
		if (tailer.lookups != NULL)
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
		tailer.backoff_ms = FIRST_BACKOFF_MS;
		now = GetCurrentTimestamp();
		notify_listeners(now);
		store_progress(now, false);
		look_at_oldest(now);
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

	if (!mt_oplog_majority_point(tailer.connection, &point, &error.mongo))
	{
		end_session(MT_STREAM_DRIVER, &error);
		return false;
	}
	SpinLockAcquire(&tailer.slot->mutex);
	tailer.slot->catch_up_to = point;
	SpinLockRelease(&tailer.slot->mutex);
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

		MemoryContextSwitchTo(tailer.session_context);
		HOLD_INTERRUPTS();
		edata = CopyErrorData();
		snprintf(message, sizeof message, "%s%s%s", edata->message,
				 edata->detail ? ": " : "", edata->detail ? edata->detail : "");
		FlushErrorState();
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
	mt_tail_wake_readers(tailer.slot);
	while (!must_exit() && tailer.slot->paused)
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
	tailer.slot = &mt_tail_shared->slots[index];
	BackgroundWorkerInitializeConnectionByOid(tailer.slot->database, tailer.slot->owner, 0);
	mt_worker_pin_settings();
	tailer.session_context = AllocSetContextCreate(TopMemoryContext, "mongo_tail session",
												   ALLOCSET_DEFAULT_SIZES);
	tailer.owner = GetUserId();
	tailer.backoff_ms = FIRST_BACKOFF_MS;
	tailer.logged = MT_TAIL_STARTING;
	mt_remote_stop_hook = plan_changed;

	while (!must_exit())
	{
		serve_interrupts();
		if (tailer.slot->paused)
			wait_paused();
		else
			run_session_guarded();
	}
	proc_exit(0);
}
