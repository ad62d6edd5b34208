/*
 * read_time.h
 *		At which time of MongoDB's a statement or a transaction reads.
 */
#ifndef MT_READ_TIME_H
#define MT_READ_TIME_H

#include "postgres.h"

#include "base/options.h"
#include "mongo/connection.h"

/*
 * One time for all reads of a server that share it.  It is chosen by the first
 * of them, who asks the server: mt_collection_reader does so.
 */
typedef struct MtReadTime
{
	bool		is_chosen;
	MtClusterClock clock;		/* operation_time is the time */
} MtReadTime;

/* Would it share one? */
extern bool mt_read_time_is_shared(MtReadConsistency consistency);

struct EState;

/*
 * The time that a scan of the running statement shares, NULL when each cursor
 * shows what it finds.  consistency is the option; the setting
 * mongo_tail.read_consistency, if it is set, comes before it.  In a transaction
 * whose statements share a snapshot they share the time, too.
 */
extern MtReadTime *mt_read_time(MtReadConsistency consistency, Oid serverid, struct EState *estate);

#endif							/* MT_READ_TIME_H */
