/*
 * change_reader.c
 *		Read the changes of a tailed server: its shards, merged.
 *
 * The interval.  end is the time that all shards have been scanned up to; a
 * reader whose next change is later is done.  Since every shard is read up to
 * the same end, the merge by position needs no waiting.  And a reader that has
 * come to the end needs to wait for one shard only: the one that is least far,
 * which is why the end is where it is.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/change_reader.h"
#include "base/filter.h"
#include "base/shard_reader.h"
#include "base/wait_event.h"
#include "compat.h"

struct MtChangeReader
{
	MtReadPlan	plan;
	bool		has_until;
	MtPosition	until;
	TimestampTz deadline;		/* 0: do not wait */
	bool		delivered;
	int			awaited;		/* the shard that is least far */
	uint64		news_seen;		/* of its slot, before that was known */
	bool		in_rings;		/* all shards had a ring when end was fixed */
	bool		was_in_rings;	/* and once before */
	MtPosition	position;		/* of the last change delivered */
	MtPosition	began_after;	/* the place before the first change */
	uint64		scanned;		/* cluster time: end without until */
	int			n_shards;
	MtShardReader *shards;
};

/* ---- the interval ---- */

/* Fix the interval's end at what is there now. */
static void
fix_interval(MtChangeReader *reader)
{
	const MtTail *tail = reader->plan.tail;
	uint64		end = UINT64_MAX;

	reader->in_rings = true;
	for (int i = 0; i < reader->n_shards; i++)
	{
		MtShardReader *shard = &reader->shards[i];
		uint64		news = shard->slot ? pg_atomic_read_u64(&shard->slot->news_count) : 0;
		bool		in_ring;
		uint64		scanned_to = mt_shard_reader_scanned_to(shard, reader->was_in_rings, &in_ring);

		if (i == 0 || scanned_to < end)
		{
			end = scanned_to;
			reader->awaited = i;
			reader->news_seen = news;
		}
		reader->in_rings = reader->in_rings && in_ring;
		shard->exhausted = false;
	}
	if (tail->paused)
		end = Min(end, tail->paused_at);
	reader->scanned = end;
	if (reader->has_until)
		end = Min(end, mt_position_cluster_time(&reader->until));
	reader->plan.end = end;
	reader->was_in_rings |= reader->in_rings;
}

/* Keep the last of the shards' places as the one where the reader began. */
static void
remember_beginning(MtChangeReader *reader, const MtShardReader *shard)
{
	MtPosition	place;

	if (shard->place.index == AFTER_WHOLE_ENTRY)
		mt_position_set(&place, shard->place.time, PG_UINT32_MAX, PG_UINT32_MAX);
	else
		mt_position_set(&place, shard->place.time, shard->shard->id, (uint32) shard->place.index);
	if (mt_position_compare(&place, &reader->began_after) > 0)
		reader->began_after = place;
}

/* The places to begin at, once the interval is known. */
static void
fix_places(MtChangeReader *reader, const MtChangeReaderOptions *options)
{
	for (int i = 0; i < reader->n_shards; i++)
	{
		MtShardReader *shard = &reader->shards[i];

		if (options->has_after && mt_position_is_now(&options->after))
		{
			shard->place.time = reader->plan.end;
			shard->place.index = AFTER_WHOLE_ENTRY;
		}
		else if (options->has_after)
			mt_shard_reader_seek(shard, &options->after);
		else
			mt_shard_reader_rewind(shard);
		remember_beginning(reader, shard);
	}
}

/* before_shmem_exit callback, too: a terminated session must not leave a waiter. */
static void
forget_watermark_waiter(int code, Datum slot)
{
	(void) code;
	pg_atomic_fetch_sub_u32(&((MtTailSlot *) DatumGetPointer(slot))->watermark_waiters, 1);
}

/* To a reader with an end of its own, and to one that merges, scanned_to alone
 * is news, too. */
static void
wait_in_ring(MtChangeReader *reader)
{
	MtShardReader *shard = &reader->shards[reader->awaited];

	if (!reader->has_until && reader->n_shards == 1)
	{
		(void) mt_tail_wait_news(shard->slot, reader->news_seen, reader->deadline);
		return;
	}
	pg_atomic_fetch_add_u32(&shard->slot->watermark_waiters, 1);
	PG_ENSURE_ERROR_CLEANUP(forget_watermark_waiter, PointerGetDatum(shard->slot));
	{
		(void) mt_tail_wait_news(shard->slot, reader->news_seen, reader->deadline);
	}
	PG_END_ENSURE_ERROR_CLEANUP(forget_watermark_waiter, PointerGetDatum(shard->slot));
	forget_watermark_waiter(0, PointerGetDatum(shard->slot));
}

/*
 * Nothing is there: wait for news.  False when the time is over.
 */
static bool
wait_for_news(MtChangeReader *reader)
{
	TimestampTz deadline = reader->deadline;

	if (deadline == 0 || GetCurrentTimestamp() >= deadline)
		return false;
	if (reader->has_until && reader->plan.end >= mt_position_cluster_time(&reader->until))
		return false;
	/* A wait may be long: nothing is kept open to MongoDB for it. */
	if (reader->in_rings)
		for (int i = 0; i < reader->n_shards; i++)
			mt_shard_reader_close(&reader->shards[i]);
	if (reader->in_rings)
		wait_in_ring(reader);
	else
	{
		/* A ring is not there yet: a short sleep. */
		ConditionVariablePrepareToSleep(&mt_tail_shared->changed);
		(void) ConditionVariableTimedSleep(&mt_tail_shared->changed, 20, mt_wait_event(MT_WAIT_CHANGES));
		ConditionVariableCancelSleep();
	}
	return true;
}

/* A tail that has failed brings no more: say so instead of nothing. */
static void
check_failed(MtChangeReader *reader)
{
	for (int i = 0; i < reader->n_shards; i++)
	{
		MtTailSlot *slot = reader->shards[i].slot;
		char		message[MT_TAIL_ERROR_BYTES];

		/* A slot that has not heard of a seek yet speaks of the tail before. */
		if (slot == NULL || slot->version != reader->plan.tail->version ||
			mt_tail_status(slot) != MT_TAIL_FAILED)
			continue;
		SpinLockAcquire(&slot->mutex);
		strlcpy(message, slot->last_error, sizeof message);
		SpinLockRelease(&slot->mutex);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the tail of server \"%s\" has failed", NameStr(reader->plan.tail->server)),
				 errdetail_internal("%s", message),
				 errhint("SELECT mongo_tail.seek_tail('%s', 'now') begins it anew.",
						 NameStr(reader->plan.tail->server))));
	}
}

/* ---- the reader ---- */

static void
free_filters(void *arg)
{
	MtChangeReader *reader = arg;

	mt_namespace_filter_free(reader->plan.filter);
	mt_namespace_filter_free(reader->plan.narrow);
	mt_namespace_filter_free(reader->plan.tail_filter);
}

/* Are the namespaces that are named in full all tailed? */
static bool
names_are_tailed(const MtNamespaceFilter *tail_filter, char **namespaces, int n)
{
	for (int i = 0; i < n; i++)
	{
		MtSlice		name = {(const uint8 *) namespaces[i], strlen(namespaces[i])};

		if (namespaces[i][0] != '/' && strchr(namespaces[i], '*') == NULL &&
			!mt_namespace_filter_match(tail_filter, name))
			return false;
	}
	return true;
}

static void
check_tail(const MtTail *tail, Oid role)
{
	mt_tail_state_require();
	if (!mt_tail_may_read(tail, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the tail of server \"%s\"", NameStr(tail->server)),
				 role != GetUserId() ?
				 errdetail("A logical table is read by the right of its owner, \"%s\".",
						   GetUserNameFromId(role, false)) : 0,
				 errhint("Its owner can grant it: SELECT mongo_tail.grant_tail('%s', '%s').",
						 NameStr(tail->server), GetUserNameFromId(role, false))));
	if (!tail->adopted)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the tail of server \"%s\" was restored from another database and does not run",
						NameStr(tail->server)),
				 errhint("SELECT mongo_tail.adopt_tail('%s') lets it run here.", NameStr(tail->server))));
}

MtChangeReader *
mt_change_reader_begin(const MtChangeReaderOptions *options)
{
	const MtTail *tail = options->tail;
	MtChangeReader *reader = palloc0(sizeof *reader);
	MemoryContextCallback *callback = palloc0(sizeof *callback);

	check_tail(tail, OidIsValid(options->reader_role) ? options->reader_role : GetUserId());
	reader->plan.tail = tail;
	reader->plan.context = CurrentMemoryContext;
	callback->func = free_filters;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	reader->plan.tail_filter = mt_filter_of_tail(tail);
	/* An empty list is no restriction, as it is to start_tail. */
	if (options->n_namespaces > 0)
	{
		/* What the tail excludes is known to be missing from a wider pattern. */
		reader->plan.filter = mt_filter_compile(options->namespaces, options->n_namespaces,
											 tail->excludes, tail->n_excludes);
		if (!mt_namespace_filter_covers(reader->plan.tail_filter, reader->plan.filter) ||
			!names_are_tailed(reader->plan.tail_filter, options->namespaces, options->n_namespaces))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("namespaces are not all inside the filter of the tail of server \"%s\"",
							NameStr(tail->server)),
					 errhint("Name namespaces that the tail has, or start the tail with wider ones.")));
	}
	if (options->narrow_to != NULL)
	{
		reader->plan.narrow = mt_filter_compile(options->narrow_to, options->n_narrow_to,
											 tail->excludes, tail->n_excludes);
		reader->plan.narrow_is_covered =
			mt_namespace_filter_covers(reader->plan.tail_filter, reader->plan.narrow) &&
			(reader->plan.filter == NULL || mt_namespace_filter_covers(reader->plan.filter, reader->plan.narrow));
	}
	reader->plan.operations = options->operations;
	/* 'now' as an end is no end of its own. */
	reader->has_until = options->has_until && !mt_position_is_now(&options->until);
	reader->until = options->until;
	if (options->wait_ms > 0)
		reader->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), options->wait_ms);

	reader->n_shards = tail->n_shards;
	reader->shards = palloc0(sizeof(MtShardReader) * (tail->n_shards + 1));
	for (int i = 0; i < tail->n_shards; i++)
	{
		MtShardReader *shard = &reader->shards[i];

		mt_shard_reader_init(shard, &reader->plan, &tail->shards[i]);
		shard->slot = mt_tail_slot_find(MyDatabaseId, tail->serverid, shard->shard->id);
	}
	fix_interval(reader);
	fix_places(reader, options);
	mt_position_set(&reader->position, reader->plan.end, PG_UINT32_MAX, PG_UINT32_MAX);
	return reader;
}

/* The next change of all shards in the interval, NULL when there is none. */
static MtShardReader *
merge_next(MtChangeReader *reader, MtPosition *position)
{
	MtShardReader *least = NULL;

	for (int i = 0; i < reader->n_shards; i++)
	{
		MtShardReader *shard = &reader->shards[i];
		MtPosition	candidate;

		mt_shard_reader_advance(shard);
		if (!shard->pending)
			continue;
		mt_position_set(&candidate, shard->change.cluster_time, shard->shard->id, shard->change.index);
		if (least == NULL || mt_position_compare(&candidate, position) < 0)
		{
			least = shard;
			*position = candidate;
		}
	}
	return least;
}

bool
mt_change_reader_next(MtChangeReader *reader, MtChangeRow *row)
{
	for (;;)
	{
		MtShardReader *shard = merge_next(reader, &row->position);

		CHECK_FOR_INTERRUPTS();
		if (shard != NULL)
		{
			if (reader->has_until && mt_position_compare(&row->position, &reader->until) > 0)
				return false;
			shard->pending = false;
			row->change = shard->change;
			row->shard_id = shard->shard->id;
			row->shard = shard->shard->name;
			reader->position = row->position;
			reader->delivered = true;
			return true;
		}
		if (!reader->delivered)
			check_failed(reader);
		if (reader->delivered || !wait_for_news(reader))
		{
			mt_position_set(&reader->position, reader->plan.end, PG_UINT32_MAX, PG_UINT32_MAX);
			return false;
		}
		fix_interval(reader);
		if (reader->was_in_rings && !reader->in_rings)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the tail of server \"%s\" was moved or stopped while its changes were waited for",
							NameStr(reader->plan.tail->server))));
	}
}

void
mt_change_reader_position(const MtChangeReader *reader, MtPosition *position)
{
	*position = reader->position;
}

void
mt_change_reader_end(MtChangeReader *reader)
{
	for (int i = 0; i < reader->n_shards; i++)
		mt_shard_reader_close(&reader->shards[i]);
}

void
mt_change_reader_interval(const MtChangeReader *reader, MtPosition *after, MtPosition *until)
{
	*after = reader->began_after;
	mt_position_set(until, reader->scanned, PG_UINT32_MAX, PG_UINT32_MAX);
}

void
mt_change_reader_counts(const MtChangeReader *reader, uint64 *from_ring, uint64 *from_oplog)
{
	*from_ring = 0;
	*from_oplog = 0;
	for (int i = 0; i < reader->n_shards; i++)
	{
		*from_ring += reader->shards[i].from_ring;
		*from_oplog += reader->shards[i].from_oplog;
	}
}
