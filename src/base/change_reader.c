/*
 * change_reader.c
 *		Read the changes of a tailed server.
 *
 * Each shard has a reader of its own that knows one thing: its place, the
 * time and index up to which everything has been delivered.  From a place it
 * can go on in two ways, the ring or the oplog, and change between them at any
 * record:
 *
 *	- the ring, when it is this tail version's and its window covers the place;
 *	- else the oplog, through the same stream of changes that fills the ring,
 *	  until the place is inside the window.
 *
 * So falling out of the ring (lapped, a new epoch) is not an event of its own:
 * the ring says no, and the oplog is opened at the place.
 *
 * The interval.  end is the time that all shards have been scanned up to; a
 * reader whose next change is later is done.  Since every shard is read up to
 * the same end, the merge by position needs no waiting.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/change_reader.h"
#include "base/change_record.h"
#include "base/full_document.h"
#include "base/oplog_stream.h"
#include "base/options.h"
#include "base/remote.h"
#include "base/tail_state.h"
#include "compat.h"

/* Changes of one oplog entry held at once; a larger transaction is unfolded
 * again from where the queue was full. */
#define QUEUE_BYTES (8 * 1024 * 1024)

#define AFTER_WHOLE_ENTRY	UINT64_MAX

typedef struct MtShardReader
{
	MtChangeReader *reader;
	const MtTailShard *shard;
	MtTailSlot *slot;			/* NULL: not yet assigned */

	MtRingPlace place;			/* delivered up to here */
	bool		place_is_entry; /* place.time is the time of an entry */
	bool		exhausted;		/* nothing more up to end */

	/* the change that was read and not yet delivered */
	bool		pending;
	MtChange	change;

	/* in the ring */
	bool		in_ring;
	MtRingReader ring_reader;
	char	   *buffer;
	size_t		buffer_size;

	/* in the oplog */
	MemoryContext session;		/* NULL: no connection */
	MtConnection *connection;
	MtServerOptions *server;
	MtFullDocuments *documents; /* of the session; NULL: none are looked up */
	MtOplogStream *stream;		/* NULL: not reading the oplog */
	MtByteBuffer queue;			/* records of the entry being unfolded, of several when
								 * documents are looked up */
	size_t		queue_read;
	MtRingPlace queued;			/* the last change put in the queue */
	bool		queue_failed;	/* out of memory in emit */
	bool		queue_full;
	uint32		wanted_index;	/* of a change by reference */
	bool		by_reference;
} MtShardReader;

struct MtChangeReader
{
	const MtTail *tail;
	MemoryContext context;
	MtNamespaceFilter *filter;	/* of the reader; NULL: the tail's own */
	MtNamespaceFilter *narrow;	/* a second one that must pass; NULL: none */
	bool		narrow_is_covered;	/* whatever passes narrow also passes the others */
	MtNamespaceFilter *tail_filter;
	uint32		operations;
	bool		has_until;
	MtPosition	until;
	TimestampTz deadline;		/* 0: do not wait */
	bool		delivered;
	uint64		end;			/* cluster time */
	uint64		news_seen;		/* of the first shard's slot */
	bool		in_rings;		/* all shards had a ring when end was fixed */
	bool		was_in_rings;	/* and once before */
	MtPosition	position;		/* of the last change delivered */
	MtPosition	began_after;	/* the place before the first change */
	uint64		scanned;		/* cluster time: end without until */
	uint64		from_ring;		/* changes read */
	uint64		from_oplog;
	int			n_shards;
	MtShardReader *shards;
};

/* ---- errors ---- */

static void
stream_error(MtShardReader *shard, MtStreamStatus status, const MtStreamError *error)
{
	const char *server = NameStr(shard->reader->tail->server);

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
wants_documents(const MtChangeReader *reader)
{
	return reader->tail->lookup &&
		(reader->operations == 0 || (reader->operations & (1u << MT_OPERATION_UPDATE)) != 0);
}

static void
open_session(MtShardReader *shard)
{
	MtChangeReader *reader = shard->reader;
	MemoryContextCallback *callback;
	MemoryContext old;

	if (shard->session != NULL)
		return;
	shard->session = AllocSetContextCreate(reader->context, "mongo_tail oplog reader",
										   ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(shard->session);
	shard->server = mt_options_server(reader->tail->serverid);
	shard->connection = mt_remote_open(reader->tail->serverid, reader->tail->owner, shard->session);
	if (wants_documents(reader))
		shard->documents = mt_full_documents_new(reader->tail->serverid, reader->tail->owner, shard->server,
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

static void
close_session(MtShardReader *shard)
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
	MtChangeReader *reader = shard->reader;

	memset(options, 0, sizeof *options);
	options->connection = shard->connection;
	options->database = shard->server->oplog_database;
	options->collection = shard->server->oplog_collection;
	if (reader->narrow_is_covered)
		options->filter = reader->narrow;
	else
		options->filter = reader->filter ? reader->filter : reader->tail_filter;
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
	options.until = shard->reader->end;
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
			mt_remote_error(&error, NameStr(shard->reader->tail->server), "look up full documents");
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

	if (shard->documents == NULL)
		return mt_oplog_stream_feed(shard->stream, error);
	do
	{
		whole_entries = shard->queue.len;
		status = mt_oplog_stream_feed(shard->stream, error);
	} while (status == MT_STREAM_OK && shard->queue.len < MT_LOOKUP_QUEUE_BYTES);
	if (status != MT_STREAM_OK && status != MT_STREAM_STOPPED && whole_entries > 0)
	{
		shard->queue.len = whole_entries;
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
			if (shard->place.time < shard->reader->end && try_ring(shard))
			{
				close_session(shard);
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
	options.filter = shard->reader->tail_filter;
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
						NameStr(shard->reader->tail->server), shard->wanted_index)));
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
	ring = mt_tail_ring(shard->slot, shard->reader->tail->version);
	if (ring == NULL)
		return false;
	mt_ring_window(ring, &window);
	if (window.epoch == 0 || window.filter_version != (uint64) shard->reader->tail->version)
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
								NameStr(shard->reader->tail->server)),
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
change_passes(const MtChangeReader *reader, const MtChange *change)
{
	if (reader->operations != 0 && (reader->operations & (1u << change->operation)) == 0)
		return false;
	return filter_passes(reader->narrow, change) &&
		(reader->narrow_is_covered || filter_passes(reader->filter, change));
}

/* Have the shard's next change pending, or find it exhausted. */
static void
advance(MtShardReader *shard)
{
	while (!shard->pending && !shard->exhausted)
	{
		MtReadResult result;

		CHECK_FOR_INTERRUPTS();
		if (!shard->in_ring && shard->stream == NULL)
		{
			if (shard->place.time > shard->reader->end ||
				(shard->place.time == shard->reader->end && shard->place.index == AFTER_WHOLE_ENTRY))
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
		if (result == MT_READ_END || shard->change.cluster_time > shard->reader->end)
		{
			shard->exhausted = true;
			shard->in_ring = false; /* the record read too far comes again */
			close_stream(shard);
			if (shard->place.time <= shard->reader->end)
			{
				shard->place.time = shard->reader->end;
				shard->place.index = AFTER_WHOLE_ENTRY;
				shard->place_is_entry = false;
			}
			break;
		}
		shard->place = place_of(&shard->change);
		shard->place_is_entry = true;
		if (shard->in_ring)
			shard->reader->from_ring++;
		else
			shard->reader->from_oplog++;
		if (!change_passes(shard->reader, &shard->change))
			continue;
		if (shard->change.flags & MT_CHANGE_BY_REFERENCE)
			fetch_reference(shard);
		shard->pending = true;
	}
}

/* Where a shard begins for a position in the merged stream. */
static void
set_place(MtShardReader *shard, const MtPosition *after)
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

/* ---- the interval ---- */

/*
 * How far a shard has been scanned: by its tailer, or, while there is no ring
 * of this version, by MongoDB's own word.
 */
static uint64
scanned_to(MtShardReader *shard)
{
	MtRing	   *ring;
	MtRingWindow window;
	uint64		point;
	MtMongoError error;

	shard->slot = mt_tail_slot_find(MyDatabaseId, shard->reader->tail->serverid, shard->shard->id);
	ring = shard->slot ? mt_tail_ring(shard->slot, shard->reader->tail->version) : NULL;
	if (ring != NULL)
	{
		mt_ring_window(ring, &window);
		if (window.epoch != 0 && window.filter_version == (uint64) shard->reader->tail->version)
			return window.scanned_to;
	}
	shard->reader->in_rings = false;
	if (shard->reader->tail->paused)
		return shard->shard->resume_time;
	open_session(shard);
	if (!mt_oplog_majority_point(shard->connection, &point, &error))
		mt_remote_error(&error, NameStr(shard->reader->tail->server), "read the oplog");
	return point;
}

/* Fix the interval's end at what is there now. */
static void
fix_interval(MtChangeReader *reader)
{
	reader->end = UINT64_MAX;
	reader->in_rings = true;
	for (int i = 0; i < reader->n_shards; i++)
	{
		MtShardReader *shard = &reader->shards[i];

		if (i == 0 && shard->slot != NULL)
			reader->news_seen = pg_atomic_read_u64(&shard->slot->news_count);
		reader->end = Min(reader->end, scanned_to(shard));
		shard->exhausted = false;
	}
	if (reader->tail->paused)
		reader->end = Min(reader->end, reader->tail->paused_at);
	reader->scanned = reader->end;
	if (reader->has_until)
		reader->end = Min(reader->end, mt_position_cluster_time(&reader->until));
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
			shard->place.time = reader->end;
			shard->place.index = AFTER_WHOLE_ENTRY;
		}
		else if (options->has_after)
			set_place(shard, &options->after);
		else
		{
			MtRing	   *ring = shard->slot ? mt_tail_ring(shard->slot, reader->tail->version) : NULL;

			shard->place.time = shard->shard->resume_time;
			shard->place.index = AFTER_WHOLE_ENTRY;
			if (ring != NULL)
			{
				MtRingWindow window;

				mt_ring_window(ring, &window);
				shard->place = window.covered_from;
				shard->place_is_entry = shard->place.index != AFTER_WHOLE_ENTRY;
			}
		}
		remember_beginning(reader, shard);
	}
}

/* To a reader with an end of its own, scanned_to is news, too. */
static void
wait_in_ring(MtChangeReader *reader, MtShardReader *shard)
{
	if (!reader->has_until)
	{
		(void) mt_tail_wait_news(shard->slot, reader->news_seen, reader->deadline);
		return;
	}
	pg_atomic_fetch_add_u32(&shard->slot->watermark_waiters, 1);
	PG_TRY();
	{
		(void) mt_tail_wait_news(shard->slot, reader->news_seen, reader->deadline);
	}
	PG_FINALLY();
	{
		pg_atomic_fetch_sub_u32(&shard->slot->watermark_waiters, 1);
	}
	PG_END_TRY();
}

/*
 * Nothing is there: wait for news.  False when the time is over.
 */
static bool
wait_for_news(MtChangeReader *reader)
{
	MtShardReader *shard = &reader->shards[0];
	TimestampTz deadline = reader->deadline;

	if (deadline == 0 || GetCurrentTimestamp() >= deadline)
		return false;
	if (reader->has_until && reader->end >= mt_position_cluster_time(&reader->until))
		return false;
	/* A wait may be long: nothing is kept open to MongoDB for it. */
	if (reader->in_rings)
		for (int i = 0; i < reader->n_shards; i++)
			close_session(&reader->shards[i]);
	if (reader->in_rings && reader->n_shards == 1)
		wait_in_ring(reader, shard);
	else
	{
		/* The ring is not there yet, or there are several: a short sleep. */
		ConditionVariablePrepareToSleep(&mt_tail_shared->changed);
		(void) ConditionVariableTimedSleep(&mt_tail_shared->changed, 20, PG_WAIT_EXTENSION);
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
		if (slot == NULL || slot->version != reader->tail->version ||
			mt_tail_status(slot) != MT_TAIL_FAILED)
			continue;
		SpinLockAcquire(&slot->mutex);
		strlcpy(message, slot->last_error, sizeof message);
		SpinLockRelease(&slot->mutex);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the tail of server \"%s\" has failed", NameStr(reader->tail->server)),
				 errdetail_internal("%s", message),
				 errhint("SELECT mongo_tail.seek_tail('%s', 'now') begins it anew.",
						 NameStr(reader->tail->server))));
	}
}

/* ---- the reader ---- */

static void
free_filters(void *arg)
{
	MtChangeReader *reader = arg;

	mt_namespace_filter_free(reader->filter);
	mt_namespace_filter_free(reader->narrow);
	mt_namespace_filter_free(reader->tail_filter);
}

static MtNamespaceFilter *
compile_filter(char **includes, int n_includes, char **excludes, int n_excludes)
{
	char		message[256];
	MtNamespaceFilter *filter;

	filter = mt_namespace_filter_new((const char *const *) includes, n_includes,
									 (const char *const *) excludes, n_excludes,
									 message, sizeof message);
	if (filter == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid namespace filter"),
				 errdetail_internal("%s", message),
				 errhint("A namespace is db.coll, db.*, *.coll or /regex/.")));
	return filter;
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
	reader->tail = tail;
	reader->context = CurrentMemoryContext;
	callback->func = free_filters;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	reader->tail_filter = compile_filter(tail->includes, tail->n_includes,
										 tail->excludes, tail->n_excludes);
	if (options->namespaces != NULL)
	{
		reader->filter = compile_filter(options->namespaces, options->n_namespaces, NULL, 0);
		if (!mt_namespace_filter_covers(reader->tail_filter, reader->filter))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("namespaces are not all inside the filter of the tail of server \"%s\"",
							NameStr(tail->server)),
					 errhint("Name namespaces that the tail has, or start the tail with wider ones.")));
	}
	if (options->narrow_to != NULL)
	{
		reader->narrow = compile_filter(options->narrow_to, options->n_narrow_to, NULL, 0);
		reader->narrow_is_covered =
			mt_namespace_filter_covers(reader->tail_filter, reader->narrow) &&
			(reader->filter == NULL || mt_namespace_filter_covers(reader->filter, reader->narrow));
	}
	reader->operations = options->operations;
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

		shard->reader = reader;
		shard->shard = &tail->shards[i];
		shard->slot = mt_tail_slot_find(MyDatabaseId, tail->serverid, shard->shard->id);
		shard->buffer_size = 8192;
		shard->buffer = palloc(shard->buffer_size);
	}
	fix_interval(reader);
	fix_places(reader, options);
	mt_position_set(&reader->position, reader->end, PG_UINT32_MAX, PG_UINT32_MAX);
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

		advance(shard);
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
			mt_position_set(&reader->position, reader->end, PG_UINT32_MAX, PG_UINT32_MAX);
			return false;
		}
		fix_interval(reader);
		if (reader->was_in_rings && !reader->in_rings)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the tail of server \"%s\" was moved or stopped while its changes were waited for",
							NameStr(reader->tail->server))));
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
		close_session(&reader->shards[i]);
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
	*from_ring = reader->from_ring;
	*from_oplog = reader->from_oplog;
}
