/*
 * mongo_private.h
 *		What the files of mongo/ share: the driver's types stay in here.
 *
 * The driver selects servers, shakes hands, authenticates and runs single
 * commands.  Cursors speak OP_MSG themselves on the stream that the driver has
 * made (wire.c), because the driver allocates and copies every multi-megabyte
 * reply anew, and that was most of the cost of reading.
 */
#ifndef MT_MONGO_PRIVATE_H
#define MT_MONGO_PRIVATE_H

#include <mongoc/mongoc.h>

#include "mongo/connection.h"
#include "oplog/byte_buffer.h"

#ifndef BSON_CALL
#define BSON_CALL
#endif

/* One live stream of the driver's, in MtConnection.streams. */
typedef struct MtStream MtStream;

typedef struct MtServerCursor MtServerCursor;

struct MtConnection
{
	mongoc_client_t *client;	/* NULL: made by the next command */
	mongoc_uri_t *uri;			/* with credentials; never printed */
	MtIoPort	port;
	MtStream   *streams;		/* the live ones, one a host */
	mongoc_client_session_t *session;	/* of client; NULL: none yet, or not supported */
	MtServerCursor *asking;		/* whose reply is on its way; NULL: nobody's */
	int			cursors;		/* open cursors; they keep the connection alive */
	uint32_t	server_id;		/* where the session was used last; 0: nowhere */
	mongoc_stream_t *settled;	/* to that server, authenticated; NULL: none */
	int			settled_mode;	/* mongoc_read_mode_t */
	int64_t		settled_at;		/* monotonic us */
	bson_t	   *preference;		/* $readPreference for the settled server; empty: none */
	MtClusterClock clock;		/* of the replies that came by command.c */
	int32_t		last_request_id;	/* of wire.c's messages */
	int			connect_timeout_ms;
	int			socket_timeout_ms;
	bool		interrupted;	/* the port asked to stop: only good for closing */
	char		connect_errors[256];	/* of the present call, "; " between them */
	int64_t		farewell_until; /* 0, or when the last messages, which no interrupt ends, must be through */
	bool		io_failed;		/* a stream failed during the present call */
	bool		renew;			/* the next call makes a new client */
	bool		freed;			/* waits for its last cursor */
	bool		unanswered;		/* the server is still at work for a call that has been left */
	bool		is_shard;		/* see mt_connection_is_shard() */
};

/* connection.c */

/*
 * Begin a call that may do I/O, for a cursor or (NULL) a command: false with
 * error filled when interrupted or no client can be made.  A reply that is on
 * its way to another cursor is received first.
 */
extern bool mt_connection_begin(MtConnection *connection, const MtServerCursor *cursor,
								MtMongoError *error);

/* Choose a server as prefs (NULL: the uri's) say; 0 on error. */
extern uint32_t mt_connection_select(MtConnection *connection, const mongoc_read_prefs_t *prefs,
									 MtMongoError *error);

/*
 * Run a command in the connection's session.  server_id 0: any server that the
 * read preference allows.  read_concern NULL: the server's default.  reply is
 * always initialised.
 */
extern bool mt_connection_run(MtConnection *connection, uint32_t server_id, const char *database,
							  const bson_t *command, const char *read_concern,
							  bson_t *reply, MtMongoError *error);

/* The driver's stream to a server that was selected before, or NULL. */
extern mongoc_stream_t *mt_connection_stream(const MtConnection *connection, uint32_t server_id);

/* A cursor has closed; frees the connection when it waited for that. */
extern void mt_connection_release(MtConnection *connection);

/* command.c */

/*
 * Have a server chosen, and a stream to it that is ready for commands:
 * connection->settled.  mode: a read preference's name, NULL for the uri's.
 * After mt_connection_begin().
 */
extern bool mt_connection_settle(MtConnection *connection, const char *mode, MtMongoError *error);

/* Append the session and the database, which every command has. */
extern void mt_connection_append_session(const MtConnection *connection, const char *database, bson_t *command);

/*
 * Ask the settled server and wait for its reply, which may be an error of the
 * server's and lies in buffer.  command is completed.  clock, if not NULL, is
 * told to the server, so that it knows a time that the command names.
 */
extern bool mt_connection_ask(MtConnection *connection, const char *database, bson_t *command,
							  const MtClusterClock *clock, MtByteBuffer *buffer, MtSlice *reply,
							  MtMongoError *error);

/* stream.c */
extern mongoc_stream_t *BSON_CALL mt_stream_initiate(const mongoc_uri_t *uri,
													 const mongoc_host_list_t *host,
													 void *connection, bson_error_t *error);

/* The driver's (outermost) stream to a host, or NULL when there is none on which
 * a message could be sent. */
extern mongoc_stream_t *mt_stream_find(const MtConnection *connection, const char *host_and_port);

/* Is it the (outermost) stream to some host, and can a message be sent on it? */
extern bool mt_stream_is_live(const MtConnection *connection, const mongoc_stream_t *stream);

/* Waits with poll(2) and is never interrupted: for programs without floor 2. */
extern MtIoPort mt_stream_plain_port(void);

/* guard.c */

/* Takes over base. */
extern mongoc_stream_t *mt_guard_new(mongoc_stream_t *base);

/* uri.c */

/* Parse and complete options->uri.  NULL on error, its text free of secrets. */
extern mongoc_uri_t *mt_uri_build(const MtConnectionOptions *options, MtMongoError *error);

/* error.c */
extern void mt_error_set(MtMongoError *error, const char *format,...) BSON_GNUC_PRINTF(2, 3);
extern void mt_error_from_driver(MtConnection *connection, const bson_error_t *driver,
								 const bson_t *reply, MtMongoError *error);
extern void mt_error_from_reply(MtConnection *connection, MtSlice reply, MtMongoError *error);

/* A stream failed under our own hands: network, or interrupted. */
extern void mt_error_from_stream(MtConnection *connection, const char *what,
								 mongoc_stream_t *stream, MtMongoError *error);

/* cursor_reply.c */

/* What a reply to find or getMore holds. */
typedef struct MtCursorReply
{
	int64_t		id;				/* 0: the cursor is at its end */
	MtSlice		documents;
	uint64_t	scanned_to;
	uint64_t	operation_time;
	bool		ok;
} MtCursorReply;

/* Read a whole reply.  False when it is malformed; a reply with ok: 0 is not. */
extern bool mt_cursor_reply_read(MtSlice document, MtCursorReply *reply);

extern void mt_cursor_reply_malformed(MtMongoError *error);

/* server_cursor.c */
struct MtServerCursor
{
	MtConnection *connection;
	mongoc_stream_t *stream;	/* that it was opened on; checked before each use */
	int64_t		id;				/* 0: closed by the server */
	int			batch_size;		/* documents a getMore */
	int			await_ms;		/* how long a getMore waits for documents; 0: not tailable */
	bool		failed;			/* no more batches, whatever id says */
	int			small_replies;	/* in a row */
	bool		asked;			/* request_id is sent, its reply not received */
	bool		absorbed;		/* its reply is in spare */
	int32_t		request_id;
	uint64_t	bytes;			/* of all replies that were handed out */
	MtByteBuffer buffer;		/* of the reply that was handed out */
	MtByteBuffer spare;
	MtSlice		spare_document;
	char	   *database;
	char	   *collection;
};

/* After mt_connection_begin().  batch_size 0: the default. */
extern void mt_server_cursor_init(MtServerCursor *cursor, MtConnection *connection,
								  const char *database, const char *collection, int batch_size);

/* Open it by the driver, on a server of mt_connection_select(). */
extern bool mt_server_cursor_run(MtServerCursor *cursor, uint32_t server_id, const bson_t *command,
								 const char *read_concern, MtMongoError *error);

/* Open it on the settled server, which completes command.  The documents of
 * the reply are valid until the next call. */
extern bool mt_server_cursor_ask(MtServerCursor *cursor, bson_t *command,
								 const MtClusterClock *clock, MtCursorReply *reply,
								 MtMongoError *error);

/* The next reply, whose documents are valid until the next call. */
extern bool mt_server_cursor_more(MtServerCursor *cursor, MtCursorReply *reply, MtMongoError *error);

/* Send the next getMore ahead.  Should that fail, what was handed out is good
 * all the same, and the next call finds the cursor failed. */
extern void mt_server_cursor_send_ahead(MtServerCursor *cursor);

/* Receive the reply that is on its way and keep it for the cursor's next call. */
extern bool mt_server_cursor_absorb(MtServerCursor *cursor, MtMongoError *error);

/* Tells the server to close the cursor, also after an interrupt, without
 * waiting for its answer; a reply that is on its way is waited for shortly. */
extern void mt_server_cursor_close(MtServerCursor *cursor);

/* wire.c */
extern bool mt_wire_send(MtConnection *connection, mongoc_stream_t *stream,
						 const bson_t *command, int32_t *request_id, MtMongoError *error);

/*
 * Send a command that the server shall not answer, if that needs no waiting;
 * whether it arrives is not known.  For clean-up, also after an interrupt: the
 * server reads it when it is done with what it is doing, even though we have
 * closed our end by then.
 */
extern void mt_wire_send_and_forget(MtConnection *connection, mongoc_stream_t *stream,
									const bson_t *command);

/*
 * Receive the reply to request_id into buffer, whose former contents are lost.
 * document is the reply's body, inside buffer.  timeout_ms bounds each wait for
 * more bytes, not the whole.
 */
extern bool mt_wire_receive(MtConnection *connection, mongoc_stream_t *stream, int32_t request_id,
							int timeout_ms, MtByteBuffer *buffer, MtSlice *document,
							MtMongoError *error);

/* Read what comes within within_ms, the rest of a reply above all, and drop it:
 * before closing, also after an interrupt. */
extern bool mt_wire_discard(MtConnection *connection, mongoc_stream_t *stream, int within_ms);

#endif							/* MT_MONGO_PRIVATE_H */
