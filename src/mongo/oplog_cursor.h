/*
 * oplog_cursor.h
 *		A tailable cursor on an oplog, a batch at a time.
 *
 * The cursor speaks find and getMore itself instead of using mongoc_cursor_t,
 * because it needs what that hides: the bytes of a whole batch, and the
 * postBatchResumeToken that says how far the server has scanned (oplog.md
 * fact 7).  One explicit session and one server for all of its commands.
 */
#ifndef MT_OPLOG_CURSOR_H
#define MT_OPLOG_CURSOR_H

#include "mongo/connection.h"
#include "oplog/byte_buffer.h"

typedef struct MtOplogCursorOptions
{
	const char *database;		/* "local" */
	const char *collection;		/* "oplog.rs" */
	const bson_t *filter;		/* with its ts bound */
	int			batch_size;		/* 0: 5000 */
	int			await_ms;		/* how long an empty getMore waits on the server */
	bool		tailable;		/* false: a plain forward scan that ends */
	bool		read_concern_local; /* default is majority */

	/*
	 * Do not ask how far the server has scanned.  For a filter that drops
	 * nothing but by ts: the last entry says it then, and the server saves an
	 * eighth of its work.
	 */
	bool		without_scanned_to;
} MtOplogCursorOptions;

typedef struct MtOplogCursor MtOplogCursor;

typedef enum MtOplogCursorResult
{
	MT_OPLOG_CURSOR_BATCH,		/* documents may still be empty (await time over) */
	MT_OPLOG_CURSOR_END,		/* a plain scan has ended, or the server closed the cursor */
	MT_OPLOG_CURSOR_ERROR
} MtOplogCursorResult;

/* Valid until the next call on the cursor. */
typedef struct MtOplogBatch
{
	MtSlice		documents;		/* a BSON array of entries, to be walked */
	uint64_t	scanned_to;		/* everything up to this ts has been scanned; 0: not known */
	uint64_t	operation_time; /* the reply's operationTime; 0: not known */
} MtOplogBatch;

/* NULL on error.  Runs find; its first batch comes from the first next. */
extern MtOplogCursor *mt_oplog_cursor_open(MtConnection *connection,
										   const MtOplogCursorOptions *options, MtMongoError *error);
extern MtOplogCursorResult mt_oplog_cursor_next(MtOplogCursor *cursor, MtOplogBatch *batch,
												MtMongoError *error);

/* How long later empty getMores wait on the server; at least 1 ms. */
extern void mt_oplog_cursor_set_await(MtOplogCursor *cursor, int await_ms);

/*
 * NULL is allowed.  Tells the server to close the cursor, also after an
 * interrupt, without waiting for its answer; a batch that is on its way is
 * waited for shortly.  May come after mt_connection_free().
 */
extern void mt_oplog_cursor_close(MtOplogCursor *cursor);

typedef enum MtOplogLookup
{
	MT_OPLOG_LOOKUP_FOUND,
	MT_OPLOG_LOOKUP_NONE,
	MT_OPLOG_LOOKUP_ERROR
} MtOplogLookup;

/* The entry with exactly that ts, appended to entry; one seek.  Read concern
 * local: whoever asks has seen a later entry of the same chain. */
extern MtOplogLookup mt_oplog_fetch(MtConnection *connection, const char *database,
									const char *collection, uint64_t ts,
									MtByteBuffer *entry, MtMongoError *error);

/* The oldest entry, appended to entry. */
extern MtOplogLookup mt_oplog_first(MtConnection *connection, const char *database,
									const char *collection, MtByteBuffer *entry,
									MtMongoError *error);

/*
 * A place to start from that is behind every hole (oplog.md fact 1): the
 * operationTime of a majority read, which a write acknowledged later with any
 * write concern is always after.
 */
extern bool mt_oplog_majority_point(MtConnection *connection, uint64_t *ts, MtMongoError *error);

#endif							/* MT_OPLOG_CURSOR_H */
