/*
 * stat.c
 *		What the stat views show of shared memory.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/position.h"
#include "base/tail_state.h"
#include "compat.h"
#include "func/arguments.h"

PG_FUNCTION_INFO_V1(mongo_tail_stat_tail_slots);

/* One value of the row being built, or a NULL. */
typedef struct MtStatRow
{
	int			n;
	Datum		values[32];
	bool		nulls[32];
} MtStatRow;

static void
add(MtStatRow *row, Datum value, bool is_null)
{
	row->values[row->n] = value;
	row->nulls[row->n] = is_null;
	row->n++;
}

static void
add_counter(MtStatRow *row, pg_atomic_uint64 *counter)
{
	add(row, Int64GetDatum((int64) pg_atomic_read_u64(counter)), false);
}

static void
add_timestamp(MtStatRow *row, TimestampTz t)
{
	add(row, TimestampTzGetDatum(t), t == 0);
}

static void
add_cluster_time(MtStatRow *row, uint64 t)
{
	add(row, UInt64GetDatum(t), t == 0);
}

/* The columns that come out of the ring. */
static void
add_ring(MtStatRow *row, MtTailSlot *slot)
{
	MtRing	   *ring = mt_tail_ring(slot, -1);
	MtRingWindow window;

	memset(&window, 0, sizeof window);
	if (ring != NULL)
		mt_ring_window(ring, &window);
	add_cluster_time(row, window.scanned_to);
	add(row, Int64GetDatum(ring ? (int64) mt_ring_data_bytes(ring) : 0), ring == NULL);
	add(row, Int64GetDatum((int64) (window.tail - window.head)), ring == NULL);
	add_cluster_time(row, window.covered_from.time);
	add(row, Int64GetDatum((int64) window.epoch), ring == NULL);
}

static void
add_slot(MtStatRow *row, MtTailSlot *slot)
{
	MtTailStatus status;
	TimestampTz since;
	TimestampTz error_at;
	uint64		oplog_first;
	char		error[MT_TAIL_ERROR_BYTES];

	SpinLockAcquire(&slot->mutex);
	status = slot->status;
	since = slot->status_since;
	error_at = slot->last_error_at;
	oplog_first = slot->oplog_first;
	strlcpy(error, slot->last_error, sizeof error);
	SpinLockRelease(&slot->mutex);

	row->n = 0;
	add(row, ObjectIdGetDatum(slot->serverid), false);
	add(row, CStringGetTextDatum(slot->shard), false);
	add(row, Int32GetDatum(slot->worker_pid), slot->worker_pid == 0);
	add(row, CStringGetTextDatum(mt_tail_status_name(status)), false);
	add_timestamp(row, since);
	add_ring(row, slot);
	add_counter(row, &slot->events);
	add_counter(row, &slot->entries);
	add_counter(row, &slot->entry_bytes);
	add_counter(row, &slot->batches);
	add_counter(row, &slot->reconnects);
	add_counter(row, &slot->lookups);
	add_counter(row, &slot->notifies);
	add_counter(row, &slot->notify_failures);
	add_counter(row, &slot->readers_lapped);
	add_counter(row, &slot->oplog_reads);
	add_cluster_time(row, oplog_first);
	add(row, error_at ? CStringGetTextDatum(error) : (Datum) 0, error_at == 0);
	add_timestamp(row, error_at);
}

/* The slots of this database. */
Datum
mongo_tail_stat_tail_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	mt_tail_state_require();
	mt_init_materialized(fcinfo);
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
	{
		MtTailSlot *slot = &mt_tail_shared->slots[i];
		MtStatRow	row;
		bool		wanted;

		LWLockAcquire(mt_tail_shared->lock, LW_SHARED);
		wanted = slot->used && !slot->stop && slot->database == MyDatabaseId;
		LWLockRelease(mt_tail_shared->lock);
		if (!wanted)
			continue;
		add_slot(&row, slot);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
	return (Datum) 0;
}
