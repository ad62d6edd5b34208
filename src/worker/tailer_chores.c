/*
 * tailer_chores.c
 *		What a tailer does between batches: store its progress, NOTIFY, look at
 *		the oplog's other end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "worker/tailer_private.h"

/* How often the oldest entry of the oplog is looked up. */
#define OPLOG_FIRST_MS		30000

bool
mt_tailer_in_transaction(void (*chore) (void), bool *failing)
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
		/* Outside of a transaction there is nothing that would let go of these. */
		LWLockReleaseAll();
		ConditionVariableCancelSleep();
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
	mt_tail_catalog_set_resume(mt_tailer.tail->serverid, mt_tailer.tail->version, mt_tailer.shard->name,
							   mt_tailer.stored_time);
}

static void
send_notify(void)
{
	Async_Notify(mt_tailer.tail->notify_channel, NameStr(mt_tailer.tail->server));
}

static bool
is_due(TimestampTz last, int interval_ms, TimestampTz now)
{
	return last == 0 || TimestampDifferenceMilliseconds(last, now) >= interval_ms;
}

void
mt_tailer_notify_now(TimestampTz now)
{
	if (mt_tailer_in_transaction(send_notify, &mt_tailer.notify_fails))
		pg_atomic_fetch_add_u64(&mt_tailer.slot->notifies, 1);
	else
		pg_atomic_fetch_add_u64(&mt_tailer.slot->notify_failures, 1);
	mt_tailer.notified_at = now;
	mt_tailer.notify_pending = false;
}

void
mt_tailer_notify_listeners(TimestampTz now)
{
	int			await_ms = mt_tailer.server->await_ms;

	if (!mt_tailer.notify_pending)
		return;
	if (is_due(mt_tailer.notified_at, mt_tailer.tail->notify_ms, now))
		mt_tailer_notify_now(now);
	else
		await_ms = Min(await_ms, mt_tailer.tail->notify_ms -
					   (int) TimestampDifferenceMilliseconds(mt_tailer.notified_at, now) + 1);
	mt_oplog_stream_set_await(mt_tailer.stream, await_ms);
}

void
mt_tailer_look_at_oldest(TimestampTz now)
{
	MtByteBuffer entry = {NULL, 0, 0};
	MtMongoError error;
	MtSlice		first;

	if (!is_due(mt_tailer.oplog_first_at, OPLOG_FIRST_MS, now))
		return;
	mt_tailer.oplog_first_at = now;
	if (mt_oplog_first(mt_tailer.connection, mt_tailer.server->oplog_database,
					   mt_tailer.server->oplog_collection, &entry, &error) == MT_OPLOG_LOOKUP_FOUND)
	{
		first.data = entry.data;
		first.len = (uint32) entry.len;
		SpinLockAcquire(&mt_tailer.slot->mutex);
		mt_tailer.slot->oplog_first = mt_oplog_entry_ts(first);
		SpinLockRelease(&mt_tailer.slot->mutex);
	}
	mt_byte_buffer_free(&entry);
}

uint64
mt_tailer_published_to(void)
{
	uint64		scanned_to = mt_oplog_stream_scanned_to(mt_tailer.stream);

	return mt_tailer.lookups ? mt_lookup_queue_emitted_to(mt_tailer.lookups, scanned_to) : scanned_to;
}

void
mt_tailer_store_progress(TimestampTz now, bool at_once)
{
	uint64		scanned_to = mt_tailer_published_to();

	if (scanned_to == mt_tailer.stored_time ||
		(!at_once && !is_due(mt_tailer.stored_at, mt_guc_position_store_ms, now)))
		return;
	mt_tailer.stored_time = scanned_to;
	mt_tailer.stored_at = now;
	(void) mt_tailer_in_transaction(store_resume_time, &mt_tailer.store_fails);
}
