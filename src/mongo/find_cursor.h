/*
 * find_cursor.h
 *		A find or an aggregate over a collection, a batch at a time.
 *
 * Speaks getMore itself for the reasons that oplog_cursor.h gives.
 */
#ifndef MT_FIND_CURSOR_H
#define MT_FIND_CURSOR_H

#include "mongo/connection.h"

typedef struct MtFindCursorOptions
{
	const char *database;
	const char *collection;		/* that the command reads, for getMore */

	/* A document that begins with find or aggregate: the whole command, except
	 * for what the other options add, and the session. */
	MtSlice		command;
	int			batch_size;		/* documents a getMore; 0: 5000 */
	const char *read_concern;	/* NULL: majority */
	const char *read_preference;	/* NULL: the uri's */
	uint64_t	at_cluster_time;	/* read what was there then; 0: at the read concern */
	const MtClusterClock *clock;	/* told to the server, which may not know that time yet; NULL: nothing */
	int64_t		max_time_ms;	/* for the server to work on it, over all batches; 0: no bound */
	bool		no_cursor_timeout;	/* of a find */
	int			allow_disk_use; /* negative: no, positive: yes, 0: as the server has it */
} MtFindCursorOptions;

typedef struct MtFindCursor MtFindCursor;

typedef enum MtFindCursorResult
{
	MT_FIND_CURSOR_BATCH,		/* may be empty */
	MT_FIND_CURSOR_END,			/* all documents have been handed out */
	MT_FIND_CURSOR_ERROR
} MtFindCursorResult;

/* NULL on error.  Runs the command, whose reply holds the first batch. */
extern MtFindCursor *mt_find_cursor_open(MtConnection *connection, const MtFindCursorOptions *options,
										 MtMongoError *error);

/* documents is a BSON array to be walked, valid until the next call. */
extern MtFindCursorResult mt_find_cursor_next(MtFindCursor *cursor, MtSlice *documents,
											  MtMongoError *error);

/* How long the replies were so far. */
extern uint64_t mt_find_cursor_bytes(const MtFindCursor *cursor);

/*
 * NULL is allowed.  Tells the server to close the cursor, also after an
 * interrupt, without waiting for its answer; a batch that is on its way is
 * waited for shortly.  May come after mt_connection_free().
 */
extern void mt_find_cursor_close(MtFindCursor *cursor);

#endif							/* MT_FIND_CURSOR_H */
