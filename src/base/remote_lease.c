/*
 * remote_lease.c
 *		Connections that outlive a statement, lent to one borrower at a time.
 *
 * Kept by server and mapping, not by user: who uses PUBLIC's mapping shares its
 * connections, and who gets a mapping of his own stops to.
 *
 * A change of the server's or the mapping's options makes a connection stale.
 * The notice of it may come at any moment, so it only sets a mark; a stale
 * connection is closed when it is given back, and idle ones at the end of the
 * transaction.  None is lent any more.
 *
 * An idle connection may be closed by its server.  Usually the socket says so,
 * which is looked at before it is lent; else the first command fails, and the
 * borrower, to whom nothing has been sent yet, tries again with a new one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_user_mapping.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/remote.h"
#include "base/remote_lease.h"

/* How many connections may stand idle: of one server and mapping, and in all.
 * A statement has seldom more scans open at once. */
#define KEEP_OF_ONE	4
#define KEEP_OF_ALL	16

typedef struct KeptConnection
{
	dlist_node	node;			/* in kept, what was used last first */
	MtRemoteConnection info;
	uint32		server_hash;
	uint32		mapping_hash;
	MtConnection *connection;
} KeptConnection;

/* A session in which a server may still be at work for a statement that was
 * interrupted, until a connection can tell it to stop. */
typedef struct LeftSession
{
	Oid			serverid;		/* InvalidOid: none */
	Oid			mappingid;
	uint8		id[16];
} LeftSession;

#define LEFT_SESSIONS 8

/* How long to try to tell a server that it shall stop. */
#define KILL_WITHIN_MS 40

struct MtRemoteLease
{
	MemoryContextCallback callback;
	Oid			serverid;
	Oid			userid;
	KeptConnection *kept;		/* NULL: nothing is lent */
};

static dlist_head kept_connections = DLIST_STATIC_INIT(kept_connections);

/* Something to close at the end of the transaction? */
static bool any_is_stale = false;

static LeftSession left_sessions[LEFT_SESSIONS];

/*
 * Have the server stop what it may be doing for the connection.  If it does not
 * answer, the next good connection to it does so: of not more than a few, since
 * a session that is interrupted again and again has no use for its server.
 */
static void
leave_work(KeptConnection *kept)
{
	static int	next = 0;
	LeftSession *left = &left_sessions[next];

	if (!mt_connection_has_left_work(kept->connection, left->id) ||
		mt_connection_kill_left_work(kept->connection, KILL_WITHIN_MS))
		return;
	left->serverid = kept->info.serverid;
	left->mappingid = kept->info.mappingid;
	next = (next + 1) % LEFT_SESSIONS;
}

static void
end_left_work(KeptConnection *kept)
{
	for (int i = 0; i < LEFT_SESSIONS; i++)
	{
		LeftSession *left = &left_sessions[i];

		if (left->serverid != kept->info.serverid || left->mappingid != kept->info.mappingid)
			continue;
		mt_connection_kill_session(kept->connection, left->id);
		left->serverid = InvalidOid;
	}
}

static void
close_kept(KeptConnection *kept)
{
	dlist_delete(&kept->node);
	/* A process that exits in the middle of a wait leaves it to the kernel. */
	if (!mt_remote_in_driver())
	{
		HOLD_INTERRUPTS();
		leave_work(kept);
		RESUME_INTERRUPTS();
		mt_connection_free(kept->connection);
	}
	pfree(kept);
}

static void
close_stale(void)
{
	dlist_mutable_iter iter;

	if (!any_is_stale)
		return;
	any_is_stale = false;
	dlist_foreach_modify(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (kept->info.is_stale && !kept->info.in_use)
			close_kept(kept);
	}
}

/* hash_value 0: whatever it is. */
static void
note_change(Datum arg, int cache_id, uint32 hash_value)
{
	dlist_iter	iter;

	(void) arg;
	dlist_foreach(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (hash_value == 0 ||
			(cache_id == FOREIGNSERVEROID ? kept->server_hash : kept->mapping_hash) == hash_value)
			kept->info.is_stale = any_is_stale = true;
	}
}

static void
transaction_ends(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		close_stale();
}

/* Tell the servers that we leave. */
static void
process_exits(int code, Datum arg)
{
	dlist_mutable_iter iter;

	(void) code;
	(void) arg;
	dlist_foreach_modify(iter, &kept_connections)
		close_kept(dlist_container(KeptConnection, node, iter.cur));
}

static void
watch_changes(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_change, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, note_change, (Datum) 0);
	RegisterXactCallback(transaction_ends, NULL);
	on_proc_exit(process_exits, (Datum) 0);
	watching = true;
}

/* The user's own mapping, else PUBLIC's, else none. */
static Oid
mapping_of(Oid serverid, Oid userid)
{
	Oid			mapping = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
										  ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));

	if (!OidIsValid(mapping))
		mapping = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
								  ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	return mapping;
}

/* One that is idle and good; those that are idle and bad are closed. */
static KeptConnection *
find_idle(Oid serverid, Oid mappingid)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (kept->info.serverid != serverid || kept->info.mappingid != mappingid ||
			kept->info.in_use || kept->info.is_stale)
			continue;
		if (mt_connection_is_reusable(kept->connection))
			return kept;
		close_kept(kept);
	}
	return NULL;
}

static KeptConnection *
make_connection(Oid serverid, Oid userid, Oid mappingid)
{
	KeptConnection *kept = MemoryContextAllocZero(TopMemoryContext, sizeof *kept);

	kept->info.serverid = serverid;
	kept->info.mappingid = mappingid;
	kept->info.made_at = GetCurrentTimestamp();
	kept->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	kept->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(mappingid));
	PG_TRY();
	{
		kept->connection = mt_remote_connect(serverid, userid);
	}
	PG_CATCH();
	{
		pfree(kept);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dlist_push_head(&kept_connections, &kept->node);
	return kept;
}

/* Close the idle connections that are too many, those first that were used longest ago. */
static void
close_surplus(const KeptConnection *newest)
{
	dlist_mutable_iter iter;
	int			of_one = 0;
	int			of_all = 0;

	dlist_foreach_modify(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (kept->info.in_use)
			continue;
		of_all++;
		if (kept->info.serverid == newest->info.serverid &&
			kept->info.mappingid == newest->info.mappingid)
			of_one++;
		else if (of_all <= KEEP_OF_ALL)
			continue;
		if (of_one > KEEP_OF_ONE || of_all > KEEP_OF_ALL)
			close_kept(kept);
	}
}

static void
lease_reset(void *arg)
{
	mt_remote_lease_return((MtRemoteLease *) arg);
}

MtRemoteLease *
mt_remote_lease_create(Oid serverid, Oid userid)
{
	MtRemoteLease *lease = palloc0(sizeof *lease);

	watch_changes();
	lease->serverid = serverid;
	lease->userid = userid;
	lease->callback.func = lease_reset;
	lease->callback.arg = lease;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &lease->callback);
	return lease;
}

/* Whatever made the lease's connection fail, its idle sisters may have it, too. */
static void
distrust(MtRemoteLease *lease)
{
	dlist_iter	iter;

	dlist_foreach(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (kept == lease->kept ||
			(kept->info.serverid == lease->kept->info.serverid && !kept->info.in_use))
			kept->info.is_stale = any_is_stale = true;
	}
	mt_remote_lease_return(lease);
	close_stale();
}

MtConnection *
mt_remote_lease_connection(MtRemoteLease *lease, bool afresh, bool *was_used)
{
	KeptConnection *kept;
	Oid			mappingid;

	if (afresh && lease->kept != NULL)
		distrust(lease);
	if (lease->kept == NULL)
	{
		mappingid = mapping_of(lease->serverid, lease->userid);
		kept = afresh ? NULL : find_idle(lease->serverid, mappingid);
		if (kept == NULL)
			kept = make_connection(lease->serverid, lease->userid, mappingid);
		kept->info.in_use = true;
		kept->info.used_at = GetCurrentTimestamp();
		lease->kept = kept;
	}
	*was_used = lease->kept->info.uses++ > 0;
	return lease->kept->connection;
}

void
mt_remote_lease_return(MtRemoteLease *lease)
{
	KeptConnection *kept = lease->kept;

	if (kept == NULL)
		return;
	lease->kept = NULL;
	kept->info.in_use = false;
	if (kept->info.is_stale || mt_remote_in_driver() || !mt_connection_is_reusable(kept->connection))
	{
		close_kept(kept);
		return;
	}
	end_left_work(kept);
	kept->info.used_at = GetCurrentTimestamp();
	dlist_move_head(&kept_connections, &kept->node);
	close_surplus(kept);
}

void
mt_remote_lease_clock(Oid serverid, MtClusterClock *clock)
{
	dlist_iter	iter;

	dlist_foreach(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		/* a stale one may lead to another deployment than the others */
		if (kept->info.serverid == serverid && !kept->info.is_stale)
			mt_cluster_clock_advance(clock, mt_connection_clock(kept->connection));
	}
}

int
mt_remote_lease_list(MtRemoteConnection **connections)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &kept_connections)
		n++;
	*connections = palloc(sizeof(MtRemoteConnection) * (n + 1));
	n = 0;
	dlist_foreach(iter, &kept_connections)
		(*connections)[n++] = dlist_container(KeptConnection, node, iter.cur)->info;
	return n;
}

int
mt_remote_lease_disconnect(Oid serverid)
{
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach_modify(iter, &kept_connections)
	{
		KeptConnection *kept = dlist_container(KeptConnection, node, iter.cur);

		if (OidIsValid(serverid) && kept->info.serverid != serverid)
			continue;
		kept->info.is_stale = true;
		if (!kept->info.in_use)
		{
			close_kept(kept);
			n++;
		}
	}
	return n;
}
