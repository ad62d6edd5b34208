/*
 * remote_lease.h
 *		Connections that outlive a statement, lent to one borrower at a time.
 *
 * A session keeps its connections for the next statement, by server and user
 * mapping.  While a cursor is open nothing else may run on its connection, so
 * a scan has one for itself: two foreign tables that are read at once take two.
 */
#ifndef MT_REMOTE_LEASE_H
#define MT_REMOTE_LEASE_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "mongo/connection.h"

typedef struct MtRemoteLease MtRemoteLease;

/*
 * A lease of the current memory context, whose reset ends it.  Cursors must be
 * closed before: a callback that does so is registered after this.  No
 * connection yet.
 */
extern MtRemoteLease *mt_remote_lease_create(Oid serverid, Oid userid);

/*
 * The lease's connection: the one it has, else one that was kept, else a new
 * one.  With afresh, a new one in any case: what was kept is taken to be as
 * bad as the one that the lease has.  *was_used: it may have stood idle, and
 * its server may be another's by now.  No I/O, and throws only on a bad option.
 */
extern MtConnection *mt_remote_lease_connection(MtRemoteLease *lease, bool afresh, bool *was_used);

/* Give the connection back, if there is one: kept when it is still good. */
extern void mt_remote_lease_return(MtRemoteLease *lease);

/* The newest times that the session's connections to a server know of. */
extern void mt_remote_lease_clock(Oid serverid, MtClusterClock *clock);

/* What the session has. */
typedef struct MtRemoteConnection
{
	Oid			serverid;
	Oid			mappingid;		/* InvalidOid: made without a mapping */
	bool		in_use;
	bool		is_stale;		/* its options have changed: closed after its use */
	uint64		uses;
	TimestampTz made_at;
	TimestampTz used_at;		/* when it was lent or given back last */
} MtRemoteConnection;

/* All of them, palloc'd; returns how many. */
extern int	mt_remote_lease_list(MtRemoteConnection **connections);

/* Close what is kept of a server, or (InvalidOid) of all, and let what is in
 * use be closed after its use; returns how many were closed. */
extern int	mt_remote_lease_disconnect(Oid serverid);

#endif							/* MT_REMOTE_LEASE_H */
