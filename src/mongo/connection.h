/*
 * connection.h
 *		The driver behind an opaque type: one connection to one deployment.
 *
 * Single-threaded client only (a pool would run signal handlers of PostgreSQL
 * on foreign threads), every wait through MtIoPort, every error by value.
 * mongoc.h is seen only in this folder; who includes this sees libbson.
 *
 * After MtMongoError.interrupted the connection is good only for closing.
 * After any other error it may be used on.  After a network error, or one of
 * the server's that is resumable, its open cursors are dead; once they are
 * closed, the next call connects anew and selects a server anew, without delay:
 * whoever retries waits between tries.
 *
 * Closing a connection or a cursor never waits for the network, so it may be
 * done while a transaction aborts.
 */
#ifndef MT_CONNECTION_H
#define MT_CONNECTION_H

#include <bson/bson.h>

#include "oplog/bson_walk.h"

typedef struct MtMongoError
{
	int32_t		code;			/* MongoDB server's code, or the driver's */
	uint32_t	domain;			/* the driver's error domain */
	bool		from_server;	/* code is a server's error code */
	bool		interrupted;	/* MtIoPort asked to stop */
	bool		network;		/* connection refused, reset, timed out, no suitable server */
	bool		connecting;		/* network: none could be made, as against one that was lost */
	bool		resumable;		/* opening again at the position may help */
	char		code_name[64];	/* "CursorNotFound", or empty */
	char		message[504];	/* MongoDB's or the driver's own text; credentials masked */
} MtMongoError;

typedef enum MtIoWait
{
	MT_IO_READY,
	MT_IO_TIMEOUT,
	MT_IO_INTERRUPTED
} MtIoWait;

#define MT_IO_READ	1
#define MT_IO_WRITE 2

/*
 * How to wait.  Floor 2 supplies one that waits on the process latch.  None of
 * the functions may longjmp.
 */
typedef struct MtIoPort
{
	void	   *context;
	/* Wait until fd is ready for events or timeout_ms (-1: none) is over. */
	MtIoWait	(*wait) (void *context, int fd, int events, int64_t timeout_ms);
	/* Should whatever is under way stop now? */
	bool		(*interrupted) (void *context);
	/* fd, which may have been waited for, is about to be closed.  NULL: no matter. */
	void		(*forget) (void *context, int fd);
} MtIoPort;

typedef struct MtConnectionOptions
{
	const char *uri;			/* mongodb:// or mongodb+srv://, without credentials */
	const char *username;		/* NULL: none */
	const char *password;		/* NULL: none */
	const char *app_name;		/* NULL: "mongo_tail" */
	const char *auth_mechanism; /* NULL: the uri's or the default */
	const char *auth_source;	/* NULL: the uri's or the default */
	const char *tls_certificate_key_file;	/* NULL: the uri's or none */
	const char *tls_certificate_key_file_password;	/* NULL: the uri's or none */
	int			connect_timeout_ms;	/* 0: the uri's or 10000 */
	int			server_selection_timeout_ms;	/* 0: the uri's or 10000 */
	MtIoPort	port;			/* port.wait NULL: poll(2), never interrupted */
} MtConnectionOptions;

typedef struct MtConnection MtConnection;

/*
 * What is known of a deployment's logical time.  cluster_time comes signed, and
 * is told to members that may not know it yet.
 */
typedef struct MtClusterClock
{
	uint64_t	operation_time; /* of the newest operation that is known of; 0: none */
	uint64_t	cluster_time;
	uint32_t	gossip_len;
	uint8_t		gossip[256];	/* $clusterTime, a document */
} MtClusterClock;

/* Once a process, before anything else here; safe to call again. */
extern void mt_mongo_init(void);

/* "1.23.1", of the library that is loaded. */
extern const char *mt_mongo_driver_version(void);

/*
 * Check a uri without using it: false with the reason in error.  A uri that
 * carries a user or password is refused (*has_credentials true).
 */
extern bool mt_uri_check(const char *uri, bool *has_credentials, MtMongoError *error);

/*
 * A connection; network I/O (also the DNS look-ups of mongodb+srv) begins with
 * the first command.  NULL on error.  The options are copied.
 */
extern MtConnection *mt_connection_new(const MtConnectionOptions *options, MtMongoError *error);

/* NULL is allowed.  Open cursors stay valid for closing, and for nothing else. */
extern void mt_connection_free(MtConnection *connection);

/*
 * May the connection be kept for later?  Not before it was used with success,
 * nor after an interrupt or an error that makes its next call connect anew,
 * nor while a cursor is open, nor once its server has closed it: that is seen
 * without asking the server anything.
 */
extern bool mt_connection_is_reusable(const MtConnection *connection);

/*
 * Does the server perhaps work on, for a call that was interrupted?  Then
 * session_id is what it works in, and another connection of the same user may
 * end that.
 */
extern bool mt_connection_has_left_work(const MtConnection *connection, uint8_t session_id[16]);

/*
 * Connect anew, within about within_ms, and have that work ended.  False: the
 * server could not be told.  Interrupts are expected to be held off; the
 * connection is only good for closing after that.
 */
extern bool mt_connection_kill_left_work(MtConnection *connection, int within_ms);

/* Tell the server, without waiting, to end what is done in another session. */
extern void mt_connection_kill_session(MtConnection *connection, const uint8_t session_id[16]);

/*
 * Run a command on the primary (or where the uri's read preference says).
 * reply is always initialised; the caller destroys it.
 */
extern bool mt_connection_command(MtConnection *connection, const char *database,
								  const bson_t *command, bson_t *reply, MtMongoError *error);

/*
 * Ask a server (of that read preference, NULL: the uri's) for its newest
 * operation's time, and advance the clock to it.  A standalone has none.
 */
extern bool mt_connection_now(MtConnection *connection, const char *mode, MtClusterClock *clock,
							  MtMongoError *error);

/* What its replies have told; nothing after it connected anew. */
extern const MtClusterClock *mt_connection_clock(const MtConnection *connection);

extern void mt_cluster_clock_advance(MtClusterClock *clock, const MtClusterClock *other);

/*
 * Is the server a member of a shard (or of a config server)?  Known once it
 * has answered a command: only these say lastCommittedOpTime with every
 * answer, which needs no privilege to see.
 */
extern bool mt_connection_is_shard(const MtConnection *connection);

/* What hello says. */
typedef struct MtHello
{
	char		set_name[128];	/* empty: a standalone or mongos */
	char		host[300];		/* me, or the host connected to */
	bool		is_mongos;
	bool		is_config_server;
	bool		is_primary;
	uint64_t	majority_ts;	/* lastWrite.majorityOpTime.ts; 0 when absent */
	int64_t		majority_term;
	uint64_t	last_ts;		/* lastWrite.opTime.ts */
	int32_t		max_wire_version;
} MtHello;
extern bool mt_connection_hello(MtConnection *connection, MtHello *hello, MtMongoError *error);

#endif							/* MT_CONNECTION_H */
