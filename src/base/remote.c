/*
 * remote.c
 *		The one door from PostgreSQL to MongoDB.
 *
 * Interrupts.  While the driver waits, it is on the C stack, so nothing may
 * throw: the port only answers "stop", the driver unwinds with an error by
 * value, and mt_remote_error() then lets CHECK_FOR_INTERRUPTS() throw.
 * InterruptPending alone says too little to stop for: a barrier or a request
 * to log memory contexts sets it too, and must not fail the statement.  So the
 * port stops for the flags on which ProcessInterrupts() throws; it serves what
 * other processes wait for (barriers) or what may become a reason to throw (a
 * client that has gone) on the spot; and leaves the rest to the next
 * CHECK_FOR_INTERRUPTS(), which comes when the driver has returned, at the
 * latest after the await time of a tail.
 *
 * Exit.  WaitEventSetWait() may exit the process when the postmaster has
 * died, and exiting resets memory contexts.  A connection that is being waited
 * on must then be left alone: the driver is in the middle of it.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "lib/ilist.h"
#include "libpq/libpq.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/options.h"
#include "base/remote.h"
#include "base/wait_event.h"
#include "compat.h"

bool		(*mt_remote_stop_hook) (void) = NULL;

/* Is the driver waiting, that is, on the stack? */
static bool in_wait = false;

/* What a connection's memory context knows about it. */
typedef struct RemoteOwner
{
	MemoryContextCallback callback;
	dlist_node	node;			/* in owners, while connection is not NULL */
	MtConnection *connection;
} RemoteOwner;

static dlist_head owners = DLIST_STATIC_INIT(owners);

static void
release_owner(RemoteOwner *owner)
{
	MtConnection *connection = owner->connection;

	if (connection == NULL)
		return;
	dlist_delete(&owner->node);
	owner->connection = NULL;
	if (!in_wait)
		mt_connection_free(connection);
}

static void
owner_reset(void *arg)
{
	release_owner((RemoteOwner *) arg);
}

/*
 * Serve a barrier.  It cannot be put off, since another process waits for it,
 * and it does not touch what is on our stack; but should it throw, the error
 * must not pass through the driver.  It stays pending then, and
 * CHECK_FOR_INTERRUPTS() raises it once the driver has returned.
 */
static bool
serve_barrier(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool served = true;

	PG_TRY();
	{
		ProcessProcSignalBarrier();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		served = false;
	}
	PG_END_TRY();
	return served;
}

/* client_connection_check_interval is over: is the client still there? */
static bool
client_is_gone(void)
{
	CheckClientConnectionPending = false;
	if (MyProcPort == NULL || client_connection_check_interval <= 0)
		return false;
	if (!pq_check_connection())
	{
		ClientConnectionLost = true;
		InterruptPending = true;
		return true;
	}
	enable_timeout_after(CLIENT_CONNECTION_CHECK_TIMEOUT, client_connection_check_interval);
	return false;
}

static bool
port_interrupted(void *context)
{
	(void) context;
	if (ShutdownRequestPending)
		return true;
	if (mt_remote_stop_hook != NULL && mt_remote_stop_hook())
		return true;
	if (!InterruptPending || !INTERRUPTS_CAN_BE_PROCESSED())
		return false;
	if (ProcDiePending || QueryCancelPending || ClientConnectionLost)
		return true;
	if (CheckClientConnectionPending && client_is_gone())
		return true;
	if (ProcSignalBarrierPending && !serve_barrier())
		return true;
	return false;
}

/*
 * The latch, the postmaster and the socket that was waited for last.  A tailer
 * waits some times a batch, and nearly always for the same socket; to make an
 * event set for each wait, as WaitLatchOrSocket() does, takes six system calls.
 */
static WaitEventSet *wait_set = NULL;
static int	wait_set_fd;
static int	wait_set_socket;	/* the place of the socket's event */

static void
port_forget(void *context, int fd)
{
	(void) context;
	if (wait_set == NULL || wait_set_fd != fd)
		return;
	FreeWaitEventSet(wait_set);
	wait_set = NULL;
}

/*
 * Make the set for another socket.  That may throw (the process may have too
 * many files open), which must not pass through the driver: the reason goes to
 * the log, and false stops what the driver does.
 */
static bool
make_wait_set(int fd, uint32 events)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool made = true;

	if (wait_set != NULL)
		port_forget(NULL, wait_set_fd);
	PG_TRY();
	{
		wait_set = mt_compat_create_wait_event_set(3);
		wait_set_fd = fd;
		AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		wait_set_socket = AddWaitEventToSet(wait_set, events, fd, NULL, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg("could not wait for MongoDB: %s", edata->message)));
		FreeErrorData(edata);
		made = false;
	}
	PG_END_TRY();
	if (!made && wait_set != NULL)
		port_forget(NULL, wait_set_fd);
	return made;
}

static MtIoWait
port_wait(void *context, int fd, int events, int64_t timeout_ms)
{
	TimestampTz deadline = 0;
	bool		latch_was_set = false;
	MtIoWait	result;
	uint32		wanted = (events & MT_IO_READ ? WL_SOCKET_READABLE : 0) |
		(events & MT_IO_WRITE ? WL_SOCKET_WRITEABLE : 0);

	if (wait_set != NULL && wait_set_fd == fd)
		ModifyWaitEvent(wait_set, wait_set_socket, wanted, NULL);
	else if (!make_wait_set(fd, wanted))
		return MT_IO_INTERRUPTED;
	if (timeout_ms >= 0)
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	for (;;)
	{
		WaitEvent	event;
		long		left_ms = -1;
		int			n;

		if (port_interrupted(context))
		{
			result = MT_IO_INTERRUPTED;
			break;
		}
		if (timeout_ms >= 0)
			left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		in_wait = true;
		n = WaitEventSetWait(wait_set, left_ms, &event, 1,
							 mt_wait_event(MT_WAIT_MONGODB));
		in_wait = false;
		if (n == 0)
		{
			result = MT_IO_TIMEOUT;
			break;
		}
		if (event.events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
		{
			result = MT_IO_READY;
			break;
		}
		if (event.events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			latch_was_set = true;
		}
	}
	/* It may have been for somebody else in this process. */
	if (latch_was_set)
		SetLatch(MyLatch);
	return result;
}

MtIoPort
mt_remote_port(void)
{
	MtIoPort	port = {NULL, port_wait, port_interrupted, port_forget};

	return port;
}

bool
mt_remote_in_driver(void)
{
	return in_wait;
}

MtConnection *
mt_remote_connect(Oid serverid, Oid userid)
{
	MtServerOptions *server = mt_options_server(serverid);
	MtUserOptions *user = mt_options_user(serverid, userid);
	MtConnectionOptions options;
	MtMongoError error;
	MtConnection *connection;

	/* whatever can throw comes before the connection exists */
	(void) mt_wait_event(MT_WAIT_MONGODB);
	memset(&options, 0, sizeof(options));
	options.uri = server->uri;
	options.username = user->username;
	options.password = user->password;
	options.auth_mechanism = user->auth_mechanism;
	options.auth_source = user->auth_source;
	options.tls_certificate_key_file = user->tls_certificate_key_file;
	options.tls_certificate_key_file_password = user->tls_certificate_key_file_password;
	options.connect_timeout_ms = server->connect_timeout_ms;
	options.port = mt_remote_port();
	connection = mt_connection_new(&options, &error);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("could not use the options of server \"%s\"",
						GetForeignServer(serverid)->servername),
				 errdetail("%s", error.message)));
	return connection;
}

MtConnection *
mt_remote_open(Oid serverid, Oid userid, MemoryContext context)
{
	RemoteOwner *owner = MemoryContextAllocZero(context, sizeof(RemoteOwner));

	owner->connection = mt_remote_connect(serverid, userid);
	owner->callback.func = owner_reset;
	owner->callback.arg = owner;
	MemoryContextRegisterResetCallback(context, &owner->callback);
	dlist_push_head(&owners, &owner->node);
	return owner->connection;
}

void
mt_remote_close(MtConnection *connection)
{
	dlist_iter	iter;

	if (connection == NULL)
		return;
	dlist_foreach(iter, &owners)
	{
		RemoteOwner *owner = dlist_container(RemoteOwner, node, iter.cur);

		if (owner->connection == connection)
		{
			release_owner(owner);
			return;
		}
	}
}

/* MongoDB's codes in SQL's terms. */
typedef struct SqlstateOfCode
{
	int32		code;
	int			sqlstate;
	const char *hint;			/* NULL: none */
} SqlstateOfCode;

/* PostgreSQL 17 has no name for it any more. */
#define SNAPSHOT_TOO_OLD MAKE_SQLSTATE('7','2','0','0','0')

#define HINT_PRIVILEGE "Grant the MongoDB user a role that may do this; to tail, role \"read\" on database \"local\" is enough."
#define HINT_AUTHENTICATION "Check username, password, auth_source and auth_mechanism of the user mapping."
#define HINT_HISTORY "The oplog no longer reaches back to the position that was asked for. Make the oplog larger, or start from a newer position."
#define HINT_SNAPSHOT_AGE "MongoDB keeps the past for minSnapshotHistoryWindowInSeconds, 300 by default: set it higher there, or end the transaction sooner."
#define HINT_TOO_LARGE \
	"What MongoDB makes of documents has room for 16 MB; SET mongo_tail.enable_pushdown = off lets PostgreSQL make it."
#define HINT_CURSOR "The cursor is gone; running the statement again opens a new one."

static const SqlstateOfCode sqlstates[] = {
	{6, ERRCODE_CONNECTION_FAILURE, NULL},	/* HostUnreachable */
	{7, ERRCODE_CONNECTION_FAILURE, NULL},	/* HostNotFound */
	{8, ERRCODE_FDW_ERROR, NULL},	/* UnknownError */
	{13, ERRCODE_INSUFFICIENT_PRIVILEGE, HINT_PRIVILEGE},	/* Unauthorized */
	{18, ERRCODE_INVALID_PASSWORD, HINT_AUTHENTICATION},	/* AuthenticationFailed */
	{26, ERRCODE_FDW_TABLE_NOT_FOUND, NULL},	/* NamespaceNotFound */
	{31, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, HINT_AUTHENTICATION},	/* RoleNotFound */
	{43, ERRCODE_UNDEFINED_FILE, HINT_CURSOR},	/* CursorNotFound */
	{50, ERRCODE_QUERY_CANCELED, NULL}, /* MaxTimeMSExpired */
	{89, ERRCODE_CONNECTION_FAILURE, NULL}, /* NetworkTimeout */
	{91, ERRCODE_CONNECTION_FAILURE, NULL}, /* ShutdownInProgress */
	{112, ERRCODE_T_R_SERIALIZATION_FAILURE, NULL}, /* WriteConflict */
	{121, ERRCODE_CHECK_VIOLATION, NULL},	/* DocumentValidationFailure */
	{136, ERRCODE_UNDEFINED_FILE, HINT_HISTORY},	/* CappedPositionLost */
	{175, ERRCODE_FDW_ERROR, HINT_CURSOR},	/* QueryPlanKilled */
	{189, ERRCODE_CONNECTION_FAILURE, NULL},	/* PrimarySteppedDown */
	{237, ERRCODE_QUERY_CANCELED, HINT_CURSOR}, /* CursorKilled */
	{239, SNAPSHOT_TOO_OLD, HINT_SNAPSHOT_AGE},	/* SnapshotTooOld */
	{280, ERRCODE_UNDEFINED_FILE, HINT_HISTORY},	/* ChangeStreamFatalError */
	{286, ERRCODE_UNDEFINED_FILE, HINT_HISTORY},	/* ChangeStreamHistoryLost */
	{326, ERRCODE_UNDEFINED_FILE, HINT_HISTORY},	/* OplogQueryMinTsMissing */
	{8000, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, HINT_AUTHENTICATION},	/* AtlasError */
	{9001, ERRCODE_CONNECTION_FAILURE, NULL},	/* SocketException */
	{10107, ERRCODE_CONNECTION_FAILURE, NULL},	/* NotWritablePrimary */
	{10334, ERRCODE_PROGRAM_LIMIT_EXCEEDED, HINT_TOO_LARGE},	/* BSONObjectTooLarge */
	{11000, ERRCODE_UNIQUE_VIOLATION, NULL},	/* DuplicateKey */
	{11600, ERRCODE_CONNECTION_FAILURE, NULL},	/* InterruptedAtShutdown */
	{11601, ERRCODE_QUERY_CANCELED, NULL},	/* Interrupted */
	{11602, ERRCODE_CONNECTION_FAILURE, NULL},	/* InterruptedDueToReplStateChange */
	{13435, ERRCODE_CONNECTION_FAILURE, NULL},	/* NotPrimaryNoSecondaryOk */
	{13436, ERRCODE_CONNECTION_FAILURE, NULL},	/* NotPrimaryOrSecondary */
};

static const SqlstateOfCode *
find_code(const MtMongoError *error)
{
	if (error->from_server)
		for (size_t i = 0; i < lengthof(sqlstates); i++)
			if (sqlstates[i].code == error->code)
				return &sqlstates[i];
	return NULL;
}

int
mt_remote_sqlstate(const MtMongoError *error)
{
	const SqlstateOfCode *known = find_code(error);

	if (error->interrupted)
		return ERRCODE_QUERY_CANCELED;
	if (known != NULL)
		return known->sqlstate;
	if (error->connecting)
		return ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	if (error->network)
		return ERRCODE_CONNECTION_FAILURE;
	return ERRCODE_FDW_ERROR;
}

static const char *
hint_for(const MtMongoError *error)
{
	const SqlstateOfCode *known = find_code(error);

	if (known != NULL)
		return known->hint;
	if (error->connecting)
		return "Check option \"uri\" of the server, and that the MongoDB deployment can be reached from here.";
	return NULL;
}

void
mt_remote_error(const MtMongoError *error, const char *server, const char *what)
{
	const char *hint = hint_for(error);

	CHECK_FOR_INTERRUPTS();
	if (error->interrupted)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("could not %s on server \"%s\"", what, server),
				 errdetail("The operation was asked to stop.")));
	ereport(ERROR,
			(errcode(mt_remote_sqlstate(error)),
			 errmsg("could not %s on server \"%s\"", what, server),
			 error->from_server && error->code_name[0] != '\0' ?
			 errdetail("MongoDB server reported: %s (%s, code %d)",
					   error->message, error->code_name, error->code) :
			 error->from_server ?
			 errdetail("MongoDB server reported: %s (code %d)", error->message, error->code) :
			 errdetail("MongoDB driver reported: %s", error->message),
			 hint != NULL ? errhint("%s", hint) : 0));
}
