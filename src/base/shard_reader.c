/*
 * shard_reader.c
 *		Read the changes of one shard, from its ring or from its oplog.
 *
 * It knows one thing: its place, the time and index up to which everything has
 * been delivered.  From a place it can go on in two ways, and change between
 * them at any record:
 *
 *	- the ring, when it is this tail version's and its window covers the place;
 *	- else the oplog, through the same stream of changes that fills the ring,
 *	  until the place is inside the window.
 *
 * So falling out of the ring (lapped, a new epoch) is not an event of its own:
 * the ring says no, and the oplog is opened at the place.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/change_record.h"
#include "base/remote.h"
#include "base/shard_reader.h"
#include "base/wait_event.h"
#include "compat.h"

/* Changes of one oplog entry held at once; a larger transaction is unfolded
 * again from where the queue was full. */
#define QUEUE_BYTES (8 * 1024 * 1024)

/* How long a tail that is on its way may take to have its ring. */
#define START_MS 2000

void
mt_shard_reader_init(MtShardReader *shard, const MtReadPlan *plan, const MtTailShard *tail_shard)
{
	shard->plan = plan;
	shard->shard = tail_shard;
	shard->buffer_size = 8192;
	shard->buffer = palloc(shard->buffer_size);
}

/* ---- errors ---- */

static void
stream_error(MtShardReader *shard, MtStreamStatus status, const MtStreamError *error)
{
	const char *server = NameStr(shard->plan->tail->server);

	CHECK_FOR_INTERRUPTS();
	switch (status)
	{
		case MT_STREAM_DRIVER:
			mt_remote_error(&error->mongo, server, "read the oplog");
			break;
		case MT_STREAM_HISTORY_LOST:
			if (error->oldest != 0 && error->oldest <= error->wanted)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("the oplog of server \"%s\" has no entry at %u.%u", server,
								(uint32) (error->wanted >> 32), (uint32) error->wanted),
						 errdetail("It reaches back to %u.%u, so the position is of another replica set, "
								   "or of a history that was rolled back or restored.",
								   (uint32) (error->oldest >> 32), (uint32) error->oldest),
						 errhint("Read after => 'oldest', and take a new copy of the collections "
								 "if every change is needed.")));
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("changes of server \"%s\" after %u.%u are no longer in its oplog", server,
							(uint32) (error->wanted >> 32), (uint32) error->wanted),
					 error->oldest != 0 ?
					 errdetail("The oldest entry of the oplog of shard \"%s\" is %u.%u.", shard->shard->name,
							   (uint32) (error->oldest >> 32), (uint32) error->oldest) : 0,
					 errhint("Read after => 'oldest', and take a new copy of the collections "
							 "if every change is needed.")));
			break;
		case MT_STREAM_MALFORMED:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("malformed oplog entry at %u.%u of shard \"%s\" of server \"%s\"",
							(uint32) (error->oplog.cluster_time >> 32), (uint32) error->oplog.cluster_time,
							shard->shard->name, server),
					 errdetail_internal("%s", error->oplog.message),
					 errhint("Read after that time to go on without it.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory while reading the oplog of server \"%s\"", server)));
	}
}

/* ---- the oplog ---- */

static void
close_stream(MtShardReader *shard)
{
	if (shard->stream != NULL)
		mt_oplog_stream_close(shard->stream);
	shard->stream = NULL;
	shard->queue.len = 0;
	shard->queue_read = 0;
}

/* Memory-context callback: before the connection itself goes. */
static void
release_session(void *arg)
{
	MtShardReader *shard = arg;

	close_stream(shard);
	mt_byte_buffer_free(&shard->queue);
	shard->connection = NULL;
	shard->documents = NULL;
	shard->session = NULL;
}

/* Does the reader see updates with their full documents? */
static bool
wants_documents(const MtReadPlan *plan)
{
	return plan->tail->lookup &&
		(plan->operations == 0 || (plan->operations & (1u << MT_OPERATION_UPDATE)) != 0);
}

static void
open_session(MtShardReader *shard)
{
	const MtReadPlan *plan = shard->plan;
	MemoryContextCallback *callback;
	MemoryContext old;

	if (shard->session != NULL)
		return;
	shard->session = AllocSetContextCreate(plan->context, "mongo_tail oplog reader",
										   ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(shard->session);
	shard->server = mt_options_server(plan->tail->serverid);
	shard->connection = mt_remote_open(plan->tail->serverid, plan->tail->owner, shard->session);
	if (wants_documents(plan))
		shard->documents = mt_full_documents_new(plan->tail->serverid, plan->tail->owner, shard->server,
												 shard->slot ? &shard->slot->lookups : NULL);
	/* Registered after the connection's own, so called before it. */
	callback = palloc0(sizeof *callback);
	callback->func = release_session;
	callback->arg = shard;
	MemoryContextRegisterResetCallback(shard->session, callback);
	MemoryContextSwitchTo(old);
	if (shard->slot != NULL)
		pg_atomic_fetch_add_u64(&shard->slot->oplog_reads, 1);
}

void
mt_shard_reader_close(MtShardReader *shard)
{
	if (shard->session != NULL)
		MemoryContextDelete(shard->session);
}

/* Is a before b in the stream of one shard? */
static bool
place_before(MtRingPlace a, MtRingPlace b)
{
	return a.time < b.time || (a.time == b.time && a.index < b.index);
}

static MtRingPlace
place_of(const MtChange *change)
{
	MtRingPlace place = {change->cluster_time, change->index};

	return place;
}

/* MtEmitChange: put what is new into the queue. */
static bool
enqueue(void *context, const MtChange *change)
{
	MtShardReader *shard = context;

	if (shard->by_reference)
	{
		if (change->index != shard->wanted_index)
			return true;
		shard->queue_failed = !mt_change_record_copy(&shard->queue, change);
		return false;
	}
	if (!place_before(shard->queued, place_of(change)))
		return true;
	if (shard->queue.len > QUEUE_BYTES)
	{
		shard->queue_full = true;
		return false;
	}
	shard->queue_failed = !mt_change_record_copy(&shard->queue, change);
	shard->queued = place_of(change);
	return !shard->queue_failed;
}

static void
fill_stream_options(MtShardReader *shard, MtOplogStreamOptions *options)
{
	const MtReadPlan *plan = shard->plan;

	memset(options, 0, sizeof *options);
	options->connection = shard->connection;
	options->database = shard->server->oplog_database;
	options->collection = shard->server->oplog_collection;
	if (plan->narrow_is_covered)
		options->filter = plan->narrow;
	else
		options->filter = plan->filter ? plan->filter : plan->tail_filter;
	options->batch_size = shard->server->batch_size;
	options->await_ms = shard->server->await_ms;
	options->read_concern_local = shard->server->read_concern_local;
	options->include_migrate = shard->server->include_migrate;
	options->context = shard;
	options->emit = enqueue;
}

static void
open_stream(MtShardReader *shard)
{
	MtOplogStreamOptions options;
	MtStreamStatus status;
	MtStreamError error;

	open_session(shard);
	fill_stream_options(shard, &options);
	options.after = shard->place.time;
	options.after_is_entry = shard->place_is_entry;
	options.with_after = shard->place.index != AFTER_WHOLE_ENTRY;
	options.until = shard->plan->end;
	shard->queued = shard->place;
	shard->stream = mt_oplog_stream_open(&options, &status, &error);
	if (shard->stream == NULL)
		stream_error(shard, status, &error);
}

/* The next change out of the queue; false when it is empty. */
static bool
dequeue(MtShardReader *shard)
{
	const uint8 *record = shard->queue.data + shard->queue_read;
	MtRingHeader header;

	if (shard->queue_read >= shard->queue.len)
		return false;
	memcpy(&header, record, sizeof header);
	mt_change_record_read(record, &shard->change);
	if (shard->documents != NULL)
	{
		MtMongoError error;

		if (!mt_full_documents_fill(shard->documents, &shard->queue, shard->queue_read,
									&shard->change, &error))
			mt_remote_error(&error, NameStr(shard->plan->tail->server), "look up full documents");
	}
	shard->queue_read += header.length;
	return true;
}

typedef enum MtReadResult
{
	MT_READ_CHANGE,
	MT_READ_END,				/* nothing more up to the interval's end */
	MT_READ_ELSEWHERE			/* not from here: choose again */
} MtReadResult;

static bool try_ring(MtShardReader *shard);

/*
 * Feed the next entry to the queue, or, that documents may be looked up
 * together, as many as the batch has; what the stream says after them it says
 * again.
 */
static MtStreamStatus
feed_queue(MtShardReader *shard, MtStreamError *error)
{
	MtStreamStatus status;
	size_t		whole_entries;
	MtRingPlace queued;

	if (shard->documents == NULL)
		return mt_oplog_stream_feed(shard->stream, error);
	do
	{
		whole_entries = shard->queue.len;
		queued = shard->queued;
		status = mt_oplog_stream_feed(shard->stream, error);
	} while (status == MT_STREAM_OK && shard->queue.len < MT_LOOKUP_QUEUE_BYTES);
	if (status != MT_STREAM_OK && status != MT_STREAM_STOPPED && whole_entries > 0)
	{
		/* The entry that failed begins anew, with all of its changes. */
		shard->queue.len = whole_entries;
		shard->queued = queued;
		return MT_STREAM_OK;
	}
	return status;
}

static MtReadResult
read_oplog(MtShardReader *shard)
{
	MtStreamError error;
	MtStreamStatus status = MT_STREAM_OK;

	memset(&error, 0, sizeof error);
	for (;;)
	{
		if (dequeue(shard))
			return MT_READ_CHANGE;
		CHECK_FOR_INTERRUPTS();
		shard->queue.len = 0;
		shard->queue_read = 0;
		shard->queue_full = false;
		status = feed_queue(shard, &error);
		if (status == MT_STREAM_STOPPED && shard->queue_full)
			continue;			/* the rest of the entry, when this is delivered */
		if (shard->queue_failed)
			stream_error(shard, MT_STREAM_OUT_OF_MEMORY, &error);
		if (status == MT_STREAM_BATCH_END)
		{
			uint64		scanned_to = mt_oplog_stream_scanned_to(shard->stream);

			if (scanned_to > shard->place.time)
			{
				shard->place.time = scanned_to;
				shard->place.index = AFTER_WHOLE_ENTRY;
				shard->place_is_entry = false;
			}
			if (shard->place.time < shard->plan->end && try_ring(shard))
			{
				mt_shard_reader_close(shard);
				return MT_READ_ELSEWHERE;
			}
			status = mt_oplog_stream_fetch(shard->stream, &error);
		}
		if (status == MT_STREAM_END)
		{
			close_stream(shard);
			return MT_READ_END;
		}
		if (status != MT_STREAM_OK)
			stream_error(shard, status, &error);
	}
}

/* The change that the ring holds by reference, from the oplog. */
static void
fetch_reference(MtShardReader *shard)
{
	MtOplogStreamOptions options;
	MtStreamError error;
	MtStreamStatus status;

	open_session(shard);
	fill_stream_options(shard, &options);
	options.filter = shard->plan->tail_filter;
	shard->queue.len = 0;
	shard->queue_read = 0;
	shard->by_reference = true;
	shard->wanted_index = shard->change.index;
	status = mt_oplog_stream_one(&options, shard->change.cluster_time, &error);
	shard->by_reference = false;
	if (shard->queue_failed)
		stream_error(shard, MT_STREAM_OUT_OF_MEMORY, &error);
	if (status != MT_STREAM_OK && status != MT_STREAM_STOPPED)
		stream_error(shard, status, &error);
	if (!dequeue(shard))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the oplog entry at %u.%u of server \"%s\" has no change %u",
						(uint32) (shard->change.cluster_time >> 32), (uint32) shard->change.cluster_time,
						NameStr(shard->plan->tail->server), shard->wanted_index)));
}

/* ---- the ring ---- */

/* Stand in the ring at the place, if the ring is this tail's and covers it. */
static bool
try_ring(MtShardReader *shard)
{
	MtRing	   *ring;
	MtRingWindow window;

	shard->in_ring = false;
	if (shard->slot == NULL)
		return false;
	ring = mt_tail_ring(shard->slot, shard->plan->tail->version);
	if (ring == NULL)
		return false;
	mt_ring_window(ring, &window);
	if (window.epoch == 0 || window.filter_version != (uint64) shard->plan->tail->version)
		return false;
	shard->in_ring = mt_ring_seek(&shard->ring_reader, ring, shard->place) == MT_RING_RECORD;
	return shard->in_ring;
}

static MtReadResult
read_ring(MtShardReader *shard)
{
	size_t		needed;

	for (;;)
	{
		switch (mt_ring_read(&shard->ring_reader, shard->buffer, shard->buffer_size, &needed))
		{
			case MT_RING_RECORD:
				mt_change_record_read(shard->buffer, &shard->change);
				/* A seek may stand before records that were delivered. */
				if (!place_before(shard->place, place_of(&shard->change)))
					continue;
				return MT_READ_CHANGE;
			case MT_RING_EMPTY:
				return MT_READ_END;
			case MT_RING_BUFFER_TOO_SMALL:
				shard->buffer_size = Max(needed, shard->buffer_size * 2);
				shard->buffer = repalloc_huge(shard->buffer, shard->buffer_size);
				break;
			case MT_RING_LAPPED:
				pg_atomic_fetch_add_u64(&shard->slot->readers_lapped, 1);
				shard->in_ring = false;
				return MT_READ_ELSEWHERE;
			case MT_RING_NEW_EPOCH:
				shard->in_ring = false;
				return MT_READ_ELSEWHERE;
			case MT_RING_CORRUPT:
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("the ring of server \"%s\" is corrupt",
								NameStr(shard->plan->tail->server)),
						 errhint("SELECT mongo_tail.seek_tail(...) begins it anew.")));
		}
	}
}

/* ---- one shard ---- */

/* Does a change pass a filter (NULL: everything does)? */
static bool
filter_passes(const MtNamespaceFilter *filter, const MtChange *change)
{
	MtSlice		database;
	MtSlice		collection;
	MtElement	to;

	if (filter == NULL)
		return true;
	mt_namespace_split(change->namespace, &database, &collection);
	if (collection.len == 0)
		return mt_namespace_filter_match_database(filter, database);
	if (mt_namespace_filter_match(filter, change->namespace))
		return true;
	if (change->operation != MT_OPERATION_RENAME)
		return false;
	/* By reference it has no payload yet. */
	if (change->flags & MT_CHANGE_BY_REFERENCE)
		return true;
	return mt_bson_find(change->payload, "to", 2, &to) == MT_WALK_ELEMENT &&
		to.type == MT_BSON_STRING &&
		mt_namespace_filter_match(filter, mt_element_text(&to));
}

/* Does a change pass the reader's own filters? */
static bool
change_passes(const MtReadPlan *plan, const MtChange *change)
{
	if (plan->operations != 0 && (plan->operations & (1u << change->operation)) == 0)
		return false;
	return filter_passes(plan->narrow, change) &&
		(plan->narrow_is_covered || filter_passes(plan->filter, change));
}

void
mt_shard_reader_advance(MtShardReader *shard)
{
	while (!shard->pending && !shard->exhausted)
	{
		MtReadResult result;

		CHECK_FOR_INTERRUPTS();
		if (!shard->in_ring && shard->stream == NULL)
		{
			if (shard->place.time > shard->plan->end ||
				(shard->place.time == shard->plan->end && shard->place.index == AFTER_WHOLE_ENTRY))
			{
				shard->exhausted = true;
				break;
			}
			if (!try_ring(shard))
				open_stream(shard);
		}
		result = shard->in_ring ? read_ring(shard) : read_oplog(shard);
		if (result == MT_READ_ELSEWHERE)
			continue;
		if (result == MT_READ_END || shard->change.cluster_time > shard->plan->end)
		{
			shard->exhausted = true;
			shard->in_ring = false; /* the record read too far comes again */
			close_stream(shard);
			if (shard->place.time <= shard->plan->end)
			{
				shard->place.time = shard->plan->end;
				shard->place.index = AFTER_WHOLE_ENTRY;
				shard->place_is_entry = false;
			}
			break;
		}
		shard->place = place_of(&shard->change);
		shard->place_is_entry = true;
		if (shard->in_ring)
			shard->from_ring++;
		else
			shard->from_oplog++;
		if (!change_passes(shard->plan, &shard->change))
			continue;
		if (shard->change.flags & MT_CHANGE_BY_REFERENCE)
			fetch_reference(shard);
		shard->pending = true;
	}
}

void
mt_shard_reader_seek(MtShardReader *shard, const MtPosition *after)
{
	uint64		time = mt_position_cluster_time(after);
	uint32		shard_id = mt_position_shard(after);

	shard->place.time = time;
	shard->place.index = AFTER_WHOLE_ENTRY;
	shard->place_is_entry = false;
	if (shard->shard->id == shard_id)
	{
		shard->place.index = mt_position_index(after);
		shard->place_is_entry = true;
	}
	else if (shard->shard->id > shard_id && time > 0)
		shard->place.time = time - 1;	/* all of that time is still to come */
}

/* The ring of the tail's version, and its window; NULL when there is none. */
static MtRing *
find_ring(MtShardReader *shard, MtRingWindow *window)
{
	const MtTail *tail = shard->plan->tail;
	MtRing	   *ring;

	shard->slot = mt_tail_slot_find(MyDatabaseId, tail->serverid, shard->shard->id);
	ring = shard->slot ? mt_tail_ring(shard->slot, tail->version) : NULL;
	if (ring == NULL)
		return NULL;
	mt_ring_window(ring, window);
	return window->epoch != 0 && window->filter_version == (uint64) tail->version ? ring : NULL;
}

void
mt_shard_reader_rewind(MtShardReader *shard)
{
	MtRingWindow window;

	shard->place.time = shard->shard->resume_time;
	shard->place.index = AFTER_WHOLE_ENTRY;
	shard->place_is_entry = false;
	if (find_ring(shard, &window) != NULL)
	{
		shard->place = window.covered_from;
		shard->place_is_entry = shard->place.index != AFTER_WHOLE_ENTRY;
	}
}

/*
 * Is the tailer about to have the ring?  Not before the transaction that asked
 * for it has committed, not on a standby, not while MongoDB is out of reach.
 */
static bool
ring_is_coming(const MtShardReader *shard)
{
	const MtTail *tail = shard->plan->tail;

	if (tail->paused || mt_tail_scan_is_pending() || RecoveryInProgress())
		return false;
	if (shard->slot == NULL || shard->slot->version != tail->version)
		return true;
	switch (mt_tail_status(shard->slot))
	{
		case MT_TAIL_STARTING:
		case MT_TAIL_CONNECTING:
		case MT_TAIL_STREAMING:
			return true;
		default:
			return false;
	}
}

/* Has the ring come to where MongoDB stood when the tailer's session began? */
static bool
ring_has_caught_up(const MtShardReader *shard, const MtRingWindow *window)
{
	uint64		catch_up_to;

	SpinLockAcquire(&shard->slot->mutex);
	catch_up_to = shard->slot->catch_up_to;
	SpinLockRelease(&shard->slot->mutex);
	return window->scanned_to >= catch_up_to;
}

/*
 * While a tail starts or has just been sought its ring is a moment away, or
 * behind.  To wait for it, rather than read what MongoDB has by now, lets no
 * reader see less than one before it saw.
 */
static MtRing *
await_ring(MtShardReader *shard, MtRingWindow *window)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), START_MS);
	MtRing	   *ring = NULL;

	for (;;)
	{
		ring = find_ring(shard, window);
		if ((ring != NULL && ring_has_caught_up(shard, window)) || !ring_is_coming(shard) ||
			GetCurrentTimestamp() >= deadline)
			break;
		ConditionVariablePrepareToSleep(&mt_tail_shared->changed);
		(void) ConditionVariableTimedSleep(&mt_tail_shared->changed, 10, mt_wait_event(MT_WAIT_RING));
		ConditionVariableCancelSleep();
	}
	return ring;
}

uint64
mt_shard_reader_scanned_to(MtShardReader *shard, bool had_ring, bool *in_ring)
{
	MtRingWindow window;
	uint64		point;
	MtMongoError error;

	*in_ring = (had_ring ? find_ring(shard, &window) : await_ring(shard, &window)) != NULL;
	if (*in_ring)
		return window.scanned_to;
	if (shard->plan->tail->paused)
		return shard->shard->resume_time;
	open_session(shard);
	if (!mt_oplog_majority_point(shard->connection, &point, &error))
		mt_remote_error(&error, NameStr(shard->plan->tail->server), "read the oplog");
	return point;
}
