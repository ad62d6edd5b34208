/*
 * find_cursor.h
 *		A find or an aggregate over a collection, a batch at a time.
 *
 * Speaks getMore itself for the reasons that oplog_cursor.h gives.  While a
 * cursor is open nothing else may run on its connection: the reply to the next
 * getMore may be on its way there.
 */
#ifndef MT_FIND_CURSOR_H
#define MT_FIND_CURSOR_H

#include "mongo/connection.h"

typedef struct MtFindCursorOptions
{
	const char *database;
	const char *collection;		/* that the command reads, for getMore */

	/* A document that begins with find or aggregate: the whole command, except
	 * for what the cursor adds: how many documents a batch, at which read
	 * concern, in which session. */
	MtSlice		command;
	int			batch_size;		/* documents a getMore; 0: 5000 */
	bool		read_concern_local; /* default is majority */
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

/*
 * NULL is allowed.  Tells the server to close the cursor, also after an
 * interrupt, without waiting for its answer; a batch that is on its way is
 * waited for shortly, unless interrupted.  May come after
 * mt_connection_free().
 */
extern void mt_find_cursor_close(MtFindCursor *cursor);

#endif							/* MT_FIND_CURSOR_H */
