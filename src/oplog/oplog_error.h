/*
 * oplog_error.h
 *		How floor 0 reports what is wrong with an entry: by value, never by
 *		a jump.
 */
#ifndef MT_OPLOG_ERROR_H
#define MT_OPLOG_ERROR_H

#include <stdint.h>

typedef enum MtOplogStatus
{
	MT_OPLOG_OK = 0,
	MT_OPLOG_MALFORMED,			/* not BSON, or not what an oplog entry may be */
	MT_OPLOG_HISTORY_LOST,		/* an earlier entry of a transaction is no longer there */
	MT_OPLOG_FETCH_FAILED,		/* the caller's fetch failed; it knows why */
	MT_OPLOG_OUT_OF_MEMORY,
	MT_OPLOG_STOPPED			/* the caller's emit asked to stop */
} MtOplogStatus;

/* Filled by whoever returns anything but MT_OPLOG_OK or MT_OPLOG_STOPPED. */
typedef struct MtOplogError
{
	uint64_t	cluster_time;	/* the entry's ts, 0 when it could not be read */
	char		message[256];	/* what is wrong, without the optime; lower case, no period */
} MtOplogError;

/* Set the message and return status; cluster_time is left as it is. */
extern MtOplogStatus mt_oplog_fail(MtOplogError *error, MtOplogStatus status,
								   const char *format, ...)
			__attribute__((format(printf, 3, 4)));

#endif							/* MT_OPLOG_ERROR_H */
