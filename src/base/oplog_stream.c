/*
 * oplog_stream.c
 *		From an oplog cursor to changes.
 *
 * Where a stream begins.  A place is a time T that everything up to has been
 * seen.  The query asks for {ts: {$gte: T}} and lets the entry at T through
 * whatever its namespace is: when it comes first, history is complete.  When
 * it does not, T was the time of no entry (a clock time, a watermark), and
 * history is complete if the oplog's first entry is not later than T; that is
 * looked up after the cursor is open, so the answer covers the cursor, too.
 */
#include "postgres.h"

#include "base/oplog_stream.h"

struct MtOplogStream
{
	MtOplogStreamOptions options;
	MtOplogCursor *cursor;
	MtUnfolder *unfolder;
	MtWalk		walk;			/* over the batch's entries */
	bool		in_batch;
	bool		batch_pending;	/* open has fetched it already */
	uint64_t	batch_scanned_to;
	MtSlice		last;			/* the last entry fed, in the batch; absent once noted */
	uint64_t	scanned_to;
	uint64_t	entries;
	uint64_t	entry_bytes;
	MtMongoError fetch_error;	/* of an earlier entry of a transaction */
};

/* MtFetchEntry over the stream's own connection. */
static MtFetchResult
fetch_entry(void *context, uint64_t ts, MtByteBuffer *entry)
{
	MtOplogStream *stream = context;

	switch (mt_oplog_fetch(stream->options.connection, stream->options.database,
						   stream->options.collection, ts, entry, &stream->fetch_error))
	{
		case MT_OPLOG_LOOKUP_FOUND:
			return MT_FETCH_FOUND;
		case MT_OPLOG_LOOKUP_NONE:
			return MT_FETCH_MISSING;
		default:
			return MT_FETCH_FAILED;
	}
}

static bool
emit_through(void *context, const MtChange *change)
{
	MtOplogStream *stream = context;

	return stream->options.emit(stream->options.context, change);
}

/* When the server has answered: whether it is a shard is known then. */
static MtUnfolder *
new_unfolder(MtOplogStream *stream)
{
	MtUnfoldOptions unfold;

	memset(&unfold, 0, sizeof unfold);
	unfold.context = stream;
	unfold.emit = emit_through;
	unfold.fetch = fetch_entry;
	unfold.filter = stream->options.filter;
	unfold.is_shard = mt_connection_is_shard(stream->options.connection);
	unfold.include_migrate = stream->options.include_migrate;
	unfold.transaction_memory = 32 * 1024 * 1024;
	return mt_unfolder_new(&unfold);
}

static MtStreamStatus
unfold_status(MtOplogStream *stream, MtOplogStatus status, MtStreamError *error)
{
	switch (status)
	{
		case MT_OPLOG_OK:
			return MT_STREAM_OK;
		case MT_OPLOG_STOPPED:
			return MT_STREAM_STOPPED;
		case MT_OPLOG_MALFORMED:
			return MT_STREAM_MALFORMED;
		case MT_OPLOG_HISTORY_LOST:
			error->wanted = error->oplog.cluster_time;
			error->oldest = 0;
			return MT_STREAM_HISTORY_LOST;
		case MT_OPLOG_FETCH_FAILED:
			error->mongo = stream->fetch_error;
			return MT_STREAM_DRIVER;
		case MT_OPLOG_OUT_OF_MEMORY:
			break;
	}
	return MT_STREAM_OUT_OF_MEMORY;
}

static void
append_ts(bson_t *doc, const char *key, uint64_t ts)
{
	bson_append_timestamp(doc, key, -1, (uint32_t) (ts >> 32), (uint32_t) ts);
}

/* {ts: {$gte: after[, $lte: until]}, $or: [{ts: after}, <filter>]}; false when
 * there is no filter. */
static bool
build_query(const MtOplogStreamOptions *options, bson_t *query)
{
	bson_t		range;
	bson_t		wanted = BSON_INITIALIZER;
	bool		is_filtered;

	bson_append_document_begin(query, "ts", -1, &range);
	append_ts(&range, "$gte", options->after);
	if (options->until != 0)
		append_ts(&range, "$lte", options->until);
	bson_append_document_end(query, &range);

	mt_namespace_filter_append_query(options->filter, &wanted);
	is_filtered = !bson_empty(&wanted);
	if (is_filtered)
	{
		bson_t		either = BSON_INITIALIZER;
		bson_t		place;

		bson_append_document_begin(&either, "0", -1, &place);
		append_ts(&place, "ts", options->after);
		bson_append_document_end(&either, &place);
		bson_append_document(&either, "1", -1, &wanted);
		bson_append_array(query, "$or", -1, &either);
		bson_destroy(&either);
	}
	bson_destroy(&wanted);
	return is_filtered;
}

/* Is the oplog's first entry not later than the place? */
static MtStreamStatus
check_oldest(const MtOplogStreamOptions *options, MtStreamError *error)
{
	MtByteBuffer entry = {NULL, 0, 0};
	MtStreamStatus status = MT_STREAM_OK;
	MtSlice		first;

	switch (mt_oplog_first(options->connection, options->database, options->collection,
						   &entry, &error->mongo))
	{
		case MT_OPLOG_LOOKUP_FOUND:
			first.data = entry.data;
			first.len = (uint32_t) entry.len;
			error->oldest = mt_oplog_entry_ts(first);
			/* Nothing fits between a time and the one after it, and nothing was
			 * before the replica set. */
			if (options->after_is_entry ||
				(error->oldest > options->after + 1 && !mt_oplog_entry_is_initial(first)))
			{
				error->wanted = options->after;
				status = MT_STREAM_HISTORY_LOST;
			}
			break;
		case MT_OPLOG_LOOKUP_NONE:
			break;				/* an empty oplog has lost nothing */
		default:
			status = MT_STREAM_DRIVER;
	}
	mt_byte_buffer_free(&entry);
	return status;
}

/*
 * The first batch: see that history is complete, and skip the entry at the
 * place itself.
 */
static MtStreamStatus
check_place(MtOplogStream *stream, MtStreamError *error)
{
	MtWalk		ahead;
	MtElement	element;
	MtStreamStatus status;

	status = mt_oplog_stream_fetch(stream, error);
	if (status != MT_STREAM_OK && status != MT_STREAM_END)
		return status;
	stream->batch_pending = status == MT_STREAM_OK;
	if (stream->options.after == 0)
		return MT_STREAM_OK;
	ahead = stream->walk;
	if (stream->in_batch && mt_walk_next(&ahead, &element) == MT_WALK_ELEMENT &&
		mt_oplog_entry_ts(mt_element_value(&element)) == stream->options.after)
	{
		if (!stream->options.with_after)
			stream->walk = ahead;
		return MT_STREAM_OK;
	}
	return check_oldest(&stream->options, error);
}

MtOplogStream *
mt_oplog_stream_open(const MtOplogStreamOptions *options, MtStreamStatus *status, MtStreamError *error)
{
	MtOplogStream *stream = calloc(1, sizeof *stream);
	MtOplogCursorOptions cursor;
	bson_t		query = BSON_INITIALIZER;

	memset(error, 0, sizeof *error);
	*status = MT_STREAM_OUT_OF_MEMORY;
	if (stream == NULL)
		return NULL;
	stream->options = *options;
	stream->scanned_to = options->after;

	memset(&cursor, 0, sizeof cursor);
	/* Where every entry comes, the last one says how far the server has
	 * scanned; to be told so would cost it a seventh of its time. */
	cursor.without_scanned_to = !build_query(options, &query);
	cursor.database = options->database;
	cursor.collection = options->collection;
	cursor.filter = &query;
	cursor.batch_size = options->batch_size;
	cursor.await_ms = options->await_ms;
	cursor.tailable = options->until == 0;
	cursor.read_concern_local = options->read_concern_local;
	stream->cursor = mt_oplog_cursor_open(options->connection, &cursor, &error->mongo);
	bson_destroy(&query);
	*status = stream->cursor == NULL ? MT_STREAM_DRIVER : check_place(stream, error);
	if (*status == MT_STREAM_OK && (stream->unfolder = new_unfolder(stream)) == NULL)
		*status = MT_STREAM_OUT_OF_MEMORY;
	if (*status != MT_STREAM_OK)
	{
		mt_oplog_stream_close(stream);
		return NULL;
	}
	return stream;
}

void
mt_oplog_stream_close(MtOplogStream *stream)
{
	if (stream == NULL)
		return;
	if (stream->cursor != NULL)
		mt_oplog_cursor_close(stream->cursor);
	if (stream->unfolder != NULL)
		mt_unfolder_free(stream->unfolder);
	free(stream);
}

/* The time of the last entry fed has been seen.  Once a batch: to find an
 * entry's time among its fields costs as much as to copy it. */
static void
note_last(MtOplogStream *stream)
{
	if (stream->last.len > 0)
		stream->scanned_to = Max(stream->scanned_to, mt_oplog_entry_ts(stream->last));
	stream->last.len = 0;
}

MtStreamStatus
mt_oplog_stream_fetch(MtOplogStream *stream, MtStreamError *error)
{
	MtOplogBatch batch;

	note_last(stream);			/* before its bytes go */
	if (stream->batch_pending)
	{
		stream->batch_pending = false;
		return MT_STREAM_OK;
	}
	stream->in_batch = false;
	switch (mt_oplog_cursor_next(stream->cursor, &batch, &error->mongo))
	{
		case MT_OPLOG_CURSOR_END:
			if (stream->options.until == 0)
			{
				/* The server closed a tailable cursor, as it does on an empty
				 * collection: to open again is all there is to do. */
				memset(&error->mongo, 0, sizeof error->mongo);
				error->mongo.resumable = true;
				strlcpy(error->mongo.message, "the server closed the oplog cursor",
						sizeof error->mongo.message);
				return MT_STREAM_DRIVER;
			}
			stream->scanned_to = Max(stream->scanned_to, stream->options.until);
			return MT_STREAM_END;
		case MT_OPLOG_CURSOR_ERROR:
			if (error->mongo.from_server && error->mongo.code == 136)
			{
				error->wanted = stream->scanned_to;
				return MT_STREAM_HISTORY_LOST;	/* CappedPositionLost */
			}
			return MT_STREAM_DRIVER;
		case MT_OPLOG_CURSOR_BATCH:
			break;
	}
	if (!mt_walk_begin(&stream->walk, batch.documents))
	{
		strlcpy(error->oplog.message, "the batch is not a BSON array", sizeof error->oplog.message);
		return MT_STREAM_MALFORMED;
	}
	stream->in_batch = true;
	stream->batch_scanned_to = batch.scanned_to;
	return MT_STREAM_OK;
}

MtStreamStatus
mt_oplog_stream_feed(MtOplogStream *stream, MtStreamError *error)
{
	MtWalk		ahead = stream->walk;
	MtElement	element;
	MtSlice		entry;
	MtStreamStatus status;

	if (!stream->in_batch)
		return MT_STREAM_BATCH_END;
	switch (mt_walk_next(&ahead, &element))
	{
		case MT_WALK_ELEMENT:
			break;
		case MT_WALK_END:
			stream->in_batch = false;
			note_last(stream);
			stream->scanned_to = Max(stream->scanned_to, stream->batch_scanned_to);
			/* What is over until was not asked for, so it was not seen. */
			if (stream->options.until != 0)
				stream->scanned_to = Min(stream->scanned_to, stream->options.until);
			return MT_STREAM_BATCH_END;
		case MT_WALK_CORRUPT:
			strlcpy(error->oplog.message, "the batch is corrupt", sizeof error->oplog.message);
			return MT_STREAM_MALFORMED;
	}
	entry = mt_element_value(&element);
	status = unfold_status(stream, mt_unfolder_feed(stream->unfolder, entry, &error->oplog), error);
	if (status != MT_STREAM_OK)
		return status;
	stream->walk = ahead;
	stream->last = entry;
	stream->entries++;
	stream->entry_bytes += entry.len;
	return MT_STREAM_OK;
}

void
mt_oplog_stream_set_await(MtOplogStream *stream, int await_ms)
{
	mt_oplog_cursor_set_await(stream->cursor, await_ms);
}

uint64_t
mt_oplog_stream_scanned_to(MtOplogStream *stream)
{
	note_last(stream);
	return stream->scanned_to;
}

void
mt_oplog_stream_counts(const MtOplogStream *stream, uint64_t *entries, uint64_t *bytes)
{
	*entries = stream->entries;
	*bytes = stream->entry_bytes;
}

MtStreamStatus
mt_oplog_stream_one(const MtOplogStreamOptions *options, uint64_t ts, MtStreamError *error)
{
	MtOplogStream stream;
	MtByteBuffer entry = {NULL, 0, 0};
	MtSlice		bytes;
	MtStreamStatus status;

	memset(error, 0, sizeof *error);
	memset(&stream, 0, sizeof stream);
	stream.options = *options;
	switch (mt_oplog_fetch(options->connection, options->database, options->collection,
						   ts, &entry, &error->mongo))
	{
		case MT_OPLOG_LOOKUP_FOUND:
			break;
		case MT_OPLOG_LOOKUP_NONE:
			mt_byte_buffer_free(&entry);
			error->wanted = ts;
			return MT_STREAM_HISTORY_LOST;
		default:
			mt_byte_buffer_free(&entry);
			return MT_STREAM_DRIVER;
	}
	stream.unfolder = new_unfolder(&stream);
	if (stream.unfolder == NULL)
		status = MT_STREAM_OUT_OF_MEMORY;
	else
	{
		bytes.data = entry.data;
		bytes.len = (uint32_t) entry.len;
		status = unfold_status(&stream, mt_unfolder_feed(stream.unfolder, bytes, &error->oplog), error);
		mt_unfolder_free(stream.unfolder);
	}
	mt_byte_buffer_free(&entry);
	return status;
}
