/*
 * bench_wait.c
 *		Who waits for changes: how soon are they woken?
 *
 *	bench_wait latency URI CONNINFO SERVER DATABASE COUNT
 *			COUNT writes each for two readers in turn: a libmongoc change stream
 *			and a session in changes(..., wait).  Prints "stream MICROSECONDS"
 *			or "changes MICROSECONDS" for each: the time from the write's
 *			acknowledgement (w: majority) to the reader having the document.
 *			It can be negative.
 *	bench_wait readers CONNINFO SERVER COUNT
 *			COUNT sessions wait in changes(), again and again, until standard
 *			input ends.  Prints "STAMP MICROSECONDS" for each change that one
 *			returned: the change's field "stamp_us", and how much later than
 *			that the session had it.
 *
 * Both readers of "latency" are threads that block in the call that waits; the
 * writer starts one, leaves it time to fall asleep, and writes.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <mongoc/mongoc.h>

#define SETTLE_US 20000
#define WAIT_MS 10000

static const char wait_sql[] =
	"SELECT position, full_document->>'stamp_us' FROM mongo_tail.changes($1, $2, after => $3, wait => '10s') "
	"ORDER BY position DESC LIMIT 1";

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench_wait: %s: %s\n", what, why);
	exit(1);
}

/* ---- a session of PostgreSQL ---- */

typedef struct Session
{
	PGconn	   *connection;
	const char *server;
	const char *namespaces;		/* as text[]; NULL: all */
	char		position[64];
} Session;

static void
session_open(Session *session, const char *conninfo)
{
	PGresult   *result;

	session->connection = PQconnectdb(conninfo);
	if (PQstatus(session->connection) != CONNECTION_OK)
		die("connect", PQerrorMessage(session->connection));
	result = PQprepare(session->connection, "wait", wait_sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("prepare", PQerrorMessage(session->connection));
	PQclear(result);
	strcpy(session->position, "now");
}

static void
session_send(Session *session)
{
	const char *values[3] = {session->server, session->namespaces, session->position};

	if (!PQsendQueryPrepared(session->connection, "wait", 3, values, NULL, NULL, 0))
		die("send", PQerrorMessage(session->connection));
}

/* The stamp of the newest change that came, -1 when none did. */
static int64_t
session_receive(Session *session)
{
	PGresult   *result;
	int64_t		stamp = -1;

	while ((result = PQgetResult(session->connection)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			die("changes", PQerrorMessage(session->connection));
		if (PQntuples(result) > 0)
		{
			snprintf(session->position, sizeof session->position, "%s", PQgetvalue(result, 0, 0));
			if (!PQgetisnull(result, 0, 1))
				stamp = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
		}
		PQclear(result);
	}
	return stamp;
}

/* ---- latency ---- */

typedef struct Turn
{
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int64_t		wanted;			/* stamp that the reader shall wait for; 0: none */
	int64_t		seen_at;		/* when it had that; 0: not yet */
} Turn;

typedef struct Reader
{
	Turn		turn;
	pthread_t	thread;
	const char *name;
	mongoc_collection_t *collection;	/* of the writer: what the reader watches */
	/* a change stream's */
	mongoc_change_stream_t *stream;
	/* a session's */
	Session		session;
} Reader;

static int64_t
stream_wait(Reader *reader)
{
	const bson_t *event;
	const bson_t *reply;
	bson_error_t error;
	bson_iter_t iter;
	bson_iter_t stamp;

	while (!mongoc_change_stream_next(reader->stream, &event))
		if (mongoc_change_stream_error_document(reader->stream, &error, &reply))
			die("change stream", error.message);
	if (bson_iter_init(&iter, event) &&
		bson_iter_find_descendant(&iter, "fullDocument.stamp_us", &stamp))
		return bson_iter_as_int64(&stamp);
	return -1;
}

static int64_t
session_wait(Reader *reader)
{
	session_send(&reader->session);
	return session_receive(&reader->session);
}

static void *
reader_main(void *arg)
{
	Reader	   *reader = arg;
	Turn	   *turn = &reader->turn;

	for (;;)
	{
		int64_t		wanted;
		int64_t		seen;

		pthread_mutex_lock(&turn->mutex);
		while (turn->wanted == 0)
			pthread_cond_wait(&turn->changed, &turn->mutex);
		wanted = turn->wanted;
		pthread_mutex_unlock(&turn->mutex);
		if (wanted < 0)
			return NULL;
		do
			seen = reader->stream != NULL ? stream_wait(reader) : session_wait(reader);
		while (seen != wanted);
		pthread_mutex_lock(&turn->mutex);
		turn->seen_at = now_us();
		turn->wanted = 0;
		pthread_cond_broadcast(&turn->changed);
		pthread_mutex_unlock(&turn->mutex);
	}
}

static void
want(Turn *turn, int64_t stamp)
{
	pthread_mutex_lock(&turn->mutex);
	turn->wanted = stamp;
	turn->seen_at = 0;
	pthread_cond_broadcast(&turn->changed);
	pthread_mutex_unlock(&turn->mutex);
}

/* Write for a reader that waits; microseconds from the acknowledgement. */
static int64_t
measure(Reader *reader, int64_t stamp)
{
	Turn	   *turn = &reader->turn;
	bson_t		document = BSON_INITIALIZER;
	bson_error_t error;
	int64_t		acknowledged_at;

	BSON_APPEND_INT64(&document, "stamp_us", stamp);
	want(turn, stamp);
	usleep(SETTLE_US);
	if (!mongoc_collection_insert_one(reader->collection, &document, NULL, NULL, &error))
		die("insert", error.message);
	acknowledged_at = now_us();
	pthread_mutex_lock(&turn->mutex);
	while (turn->seen_at == 0)
		pthread_cond_wait(&turn->changed, &turn->mutex);
	pthread_mutex_unlock(&turn->mutex);
	bson_destroy(&document);
	return turn->seen_at - acknowledged_at;
}

static mongoc_collection_t *
majority_collection(mongoc_client_t *client, const char *database, const char *name)
{
	mongoc_collection_t *collection = mongoc_client_get_collection(client, database, name);
	mongoc_write_concern_t *concern = mongoc_write_concern_new();

	mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_collection_set_write_concern(collection, concern);
	mongoc_write_concern_destroy(concern);
	return collection;
}

static void
start_reader(Reader *reader, const char *name)
{
	reader->name = name;
	pthread_mutex_init(&reader->turn.mutex, NULL);
	pthread_cond_init(&reader->turn.changed, NULL);
	if (pthread_create(&reader->thread, NULL, reader_main, reader) != 0)
		die("thread", "cannot be made");
}

static void
latency(const char *uri, const char *conninfo, const char *server, const char *database, int count)
{
	static Reader readers[2];
	mongoc_client_t *writer = mongoc_client_new(uri);
	mongoc_client_t *watcher = mongoc_client_new(uri);
	char		namespaces[256];
	bson_t		pipeline = BSON_INITIALIZER;
	bson_t	   *opts = BCON_NEW("maxAwaitTimeMS", BCON_INT32(WAIT_MS));

	readers[0].collection = majority_collection(writer, database, "for_stream");
	readers[1].collection = majority_collection(writer, database, "for_changes");
	readers[0].stream = mongoc_collection_watch(
		mongoc_client_get_collection(watcher, database, "for_stream"), &pipeline, opts);
	snprintf(namespaces, sizeof namespaces, "{%s.for_changes}", database);
	readers[1].session.server = server;
	readers[1].session.namespaces = namespaces;
	session_open(&readers[1].session, conninfo);
	start_reader(&readers[0], "stream");
	start_reader(&readers[1], "changes");
	for (int i = -2; i < count; i++)
		for (int which = 0; which < 2; which++)
		{
			int64_t		us = measure(&readers[which], now_us());

			if (i >= 0)			/* the first ones make collection and stream */
				printf("%s %" PRId64 "\n", readers[which].name, us);
		}
	for (int which = 0; which < 2; which++)
	{
		want(&readers[which].turn, -1);
		pthread_join(readers[which].thread, NULL);
	}
}

/* ---- many readers ---- */

static void
many_readers(const char *conninfo, const char *server, int count)
{
	Session    *sessions = calloc((size_t) count, sizeof *sessions);
	struct pollfd *fds = calloc((size_t) count + 1, sizeof *fds);

	for (int i = 0; i < count; i++)
	{
		sessions[i].server = server;
		session_open(&sessions[i], conninfo);
		session_send(&sessions[i]);
		fds[i] = (struct pollfd) {PQsocket(sessions[i].connection), POLLIN, 0};
	}
	fds[count] = (struct pollfd) {STDIN_FILENO, POLLIN, 0};
	while (poll(fds, (nfds_t) count + 1, -1) >= 0 && fds[count].revents == 0)
		for (int i = 0; i < count; i++)
		{
			int64_t		stamp;

			if (fds[i].revents == 0)
				continue;
			if (!PQconsumeInput(sessions[i].connection))
				die("receive", PQerrorMessage(sessions[i].connection));
			if (PQisBusy(sessions[i].connection))
				continue;
			stamp = session_receive(&sessions[i]);
			if (stamp >= 0)
				printf("%" PRId64 " %" PRId64 "\n", stamp, now_us() - stamp);
			session_send(&sessions[i]);
		}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	mongoc_init();
	if (strcmp(what, "latency") == 0 && argc == 7)
		latency(argv[2], argv[3], argv[4], argv[5], atoi(argv[6]));
	else if (strcmp(what, "readers") == 0 && argc == 5)
		many_readers(argv[2], argv[3], atoi(argv[4]));
	else
	{
		fprintf(stderr, "usage: bench_wait latency URI CONNINFO SERVER DATABASE COUNT\n"
				"       bench_wait readers CONNINFO SERVER COUNT\n");
		return 2;
	}
	return 0;
}
