/*
 * oplog_stream.h
 *		From an oplog cursor to changes: the one code path that the tailer runs
 *		to fill a ring and a reader outside the ring's window runs for itself,
 *		so that both see the same changes.
 *
 * Nothing here throws; errors come back by value, because the driver and
 * malloc'ed state are on the way.
 */
#ifndef MT_OPLOG_STREAM_H
#define MT_OPLOG_STREAM_H

#include "mongo/oplog_cursor.h"
#include "oplog/oplog_transaction.h"

typedef enum MtStreamStatus
{
	MT_STREAM_OK = 0,
	MT_STREAM_BATCH_END,		/* every entry of the batch has been fed */
	MT_STREAM_END,				/* a bounded stream is complete */
	MT_STREAM_STOPPED,			/* emit returned false; the same entry comes again */
	MT_STREAM_DRIVER,			/* error->mongo says what */
	MT_STREAM_MALFORMED,		/* error->oplog says what */
	MT_STREAM_HISTORY_LOST,		/* the place is no longer in the oplog */
	MT_STREAM_OUT_OF_MEMORY
} MtStreamStatus;

typedef struct MtStreamError
{
	MtMongoError mongo;
	MtOplogError oplog;
	uint64_t	wanted;			/* HISTORY_LOST: the time that was asked for */
	uint64_t	oldest;			/* and the oldest that the oplog still has */
} MtStreamError;

typedef struct MtOplogStreamOptions
{
	MtConnection *connection;
	const char *database;		/* "local" */
	const char *collection;		/* "oplog.rs" */
	const MtNamespaceFilter *filter;
	uint64_t	after;			/* begin with the entry after this time; 0: the oldest */
	bool		after_is_entry; /* there must be an entry of that very time */
	bool		with_after;		/* deliver that very entry, too (a position inside it) */
	uint64_t	until;			/* 0: tail for ever; else end after this time */
	int			batch_size;
	int			await_ms;
	bool		read_concern_local;
	bool		include_migrate;
	void	   *context;
	MtEmitChange emit;
} MtOplogStreamOptions;

typedef struct MtOplogStream MtOplogStream;

/*
 * Open the cursor and check that history after the place is complete.  NULL
 * on error; *status and *error say which.  The connection stays the caller's
 * and must outlive the stream.
 */
extern MtOplogStream *mt_oplog_stream_open(const MtOplogStreamOptions *options,
										   MtStreamStatus *status, MtStreamError *error);
extern void mt_oplog_stream_close(MtOplogStream *stream);

/* Get the next batch.  OK (it may be empty), END, DRIVER. */
extern MtStreamStatus mt_oplog_stream_fetch(MtOplogStream *stream, MtStreamError *error);

/* Feed the batch's next entry to emit: OK, BATCH_END, END, STOPPED or an error. */
extern MtStreamStatus mt_oplog_stream_feed(MtOplogStream *stream, MtStreamError *error);

/*
 * Everything up to this time has been scanned: the last entry that was fed,
 * or, once its batch is fed, as far as the server looked for it.
 */
extern uint64_t mt_oplog_stream_scanned_to(MtOplogStream *stream);

/* How long the next fetch of a tailing stream may wait on the server. */
extern void mt_oplog_stream_set_await(MtOplogStream *stream, int await_ms);

/* Entries and their bytes fed so far. */
extern void mt_oplog_stream_counts(const MtOplogStream *stream, uint64_t *entries, uint64_t *bytes);

/*
 * Unfold the one entry of exactly that time, for changes that are in a ring
 * by reference.
 */
extern MtStreamStatus mt_oplog_stream_one(const MtOplogStreamOptions *options, uint64_t ts,
										  MtStreamError *error);

#endif							/* MT_OPLOG_STREAM_H */
