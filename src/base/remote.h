/*
 * remote.h
 *		The one door from PostgreSQL to MongoDB: foreign server and user
 *		mapping in, connection out, driver errors as PostgreSQL errors.
 */
#ifndef MT_REMOTE_H
#define MT_REMOTE_H

#include "compat.h"
#include "mongo/connection.h"

/*
 * A new connection to the foreign server as the given user (its user mapping,
 * or PUBLIC's, or without credentials when there is neither).  The connection
 * belongs to context: it is closed when the context is reset or deleted, and
 * may be closed earlier by mt_remote_close.  Throws on a bad option; no I/O
 * yet.
 */
extern MtConnection *mt_remote_open(Oid serverid, Oid userid, MemoryContext context);
extern void mt_remote_close(MtConnection *connection);

/*
 * The same without an owner: the caller frees it, and not while
 * mt_remote_in_driver().  For what outlives a statement, see remote_lease.h.
 */
extern MtConnection *mt_remote_connect(Oid serverid, Oid userid);

/*
 * Is a connection being waited on?  A process that exits then is in the middle
 * of it, and must leave it alone.
 */
extern bool mt_remote_in_driver(void);

/*
 * A port that waits on MyLatch, what every connection here is made with.  It
 * stops for whatever CHECK_FOR_INTERRUPTS() would throw on, for
 * ShutdownRequestPending, and when mt_remote_stop_hook says so.  A latch that
 * was set for another reason is set again when the wait is over.
 */
extern MtIoPort mt_remote_port(void);

/*
 * NULL, or a worker's own reasons to stop waiting.  Called often and in the
 * middle of the driver: it looks at flags in memory and must not throw.
 */
extern bool (*mt_remote_stop_hook) (void);

/* The SQLSTATE for a driver error, by the table in remote.c. */
extern int	mt_remote_sqlstate(const MtMongoError *error);

/*
 * Raise a driver error: first CHECK_FOR_INTERRUPTS (nothing of the driver may
 * be on the stack), then an ERROR "could not <what> on server \"<server>\"",
 * with MongoDB's text in the detail and a hint where there is one.
 */
pg_noreturn extern void mt_remote_error(const MtMongoError *error, const char *server, const char *what);

#endif							/* MT_REMOTE_H */
