/*
 * probe_mongo.c
 *		Measure and prove the rooms mongo/ and oplog/ without PostgreSQL.
 *
 *	probe_mongo drain URI [BATCH]	read the whole oplog by MtOplogCursor
 *	probe_mongo raw URI [BATCH]		the same by the driver's own cursor
 *	probe_mongo tuned URI [BATCH]	raw, with malloc's thresholds raised
 *	probe_mongo hello URI			what hello, first and majority point say
 *	probe_mongo tail URI SECONDS	print what each batch of a tail says
 *	probe_mongo cycle URI COUNT		open, read a batch and close; prints RSS
 *	probe_mongo cancel URI MS		tail, be interrupted after MS, print how long that took
 *	probe_mongo fetch URI			every hundredth entry again by mt_oplog_fetch
 *
 * USERNAME, PASSWORD, AUTH_SOURCE, AUTH_MECHANISM come from the environment.
 * drain, raw and tuned print entries, entries/s and nanoseconds of CPU each;
 * all of them touch every byte by copying it, as a consumer would.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <mongoc/mongoc.h>

#include "mongo/oplog_cursor.h"

static uint8_t sink[16 * 1024 * 1024 + 64 * 1024];

static double
now_s(void)
{
	return (double) bson_get_monotonic_time() / 1e6;
}

static double
cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long
rss_anon_kib(void)
{
	FILE	   *status = fopen("/proc/self/status", "r");
	char		line[128];
	long		kib = -1;

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

static void
show(const char *what, const MtMongoError *error)
{
	printf("%s: code %d %s%s%s%s%s: %s\n", what, error->code, error->code_name,
		   error->from_server ? " server" : "", error->network ? " network" : "",
		   error->resumable ? " resumable" : "", error->interrupted ? " interrupted" : "",
		   error->message);
	fflush(stdout);
}

static void
die(const char *what, const MtMongoError *error)
{
	show(what, error);
	exit(1);
}

static double interrupt_at;		/* 0: never */
static double interrupted_at;

static bool
probe_interrupted(void *context)
{
	(void) context;
	if (interrupt_at == 0 || now_s() < interrupt_at)
		return false;
	if (interrupted_at == 0)
		interrupted_at = now_s();
	return true;
}

/* Like a latch: wakes for the interrupt too. */
static MtIoWait
probe_wait(void *context, int fd, int events, int64_t timeout_ms)
{
	struct pollfd p = {fd, (short) ((events & MT_IO_READ ? POLLIN : 0) |
									(events & MT_IO_WRITE ? POLLOUT : 0)), 0};
	double		deadline = timeout_ms < 0 ? 1e18 : now_s() + (double) timeout_ms / 1e3;

	for (;;)
	{
		double		until = deadline;
		int			rc;

		if (probe_interrupted(context))
			return MT_IO_INTERRUPTED;
		if (interrupt_at != 0 && interrupt_at < until)
			until = interrupt_at;
		rc = poll(&p, 1, until > 1e17 ? -1 : (int) ((until - now_s()) * 1e3) + 1);
		if (rc > 0)
			return MT_IO_READY;
		if (now_s() >= deadline)
			return MT_IO_TIMEOUT;
	}
}

static MtConnection *
connect_to(const char *uri)
{
	MtConnectionOptions options;
	MtMongoError error;
	MtConnection *connection;

	memset(&options, 0, sizeof options);
	options.uri = uri;
	options.username = getenv("USERNAME");
	options.password = getenv("PASSWORD");
	options.auth_source = getenv("AUTH_SOURCE");
	options.auth_mechanism = getenv("AUTH_MECHANISM");
	options.port.wait = probe_wait;
	options.port.interrupted = probe_interrupted;
	connection = mt_connection_new(&options, &error);
	if (connection == NULL)
		die("connection", &error);
	return connection;
}

static MtOplogCursor *
try_open(MtConnection *connection, uint64_t after, bool tailable, int batch_size, int await_ms,
		 MtMongoError *error)
{
	MtOplogCursorOptions options;
	MtOplogCursor *cursor;
	bson_t	   *filter = BCON_NEW("ts", "{", "$gt", BCON_TIMESTAMP((uint32_t) (after >> 32), (uint32_t) after), "}");

	memset(&options, 0, sizeof options);
	options.database = "local";
	options.collection = "oplog.rs";
	options.filter = filter;
	options.batch_size = batch_size;
	options.tailable = tailable;
	options.without_scanned_to = !tailable;
	options.await_ms = await_ms;
	cursor = mt_oplog_cursor_open(connection, &options, error);
	bson_destroy(filter);
	return cursor;
}

static MtOplogCursor *
open_cursor(MtConnection *connection, uint64_t after, bool tailable, int batch_size, int await_ms)
{
	MtMongoError error;
	MtOplogCursor *cursor = try_open(connection, after, tailable, batch_size, await_ms, &error);

	if (cursor == NULL)
		die("open", &error);
	return cursor;
}

static void
report(const char *name, uint64_t entries, uint64_t bytes, double started, double cpu_started)
{
	double		seconds = now_s() - started;
	double		cpu = cpu_s() - cpu_started;

	printf("%s: %" PRIu64 " entries, %.0f MB, %.0f entries/s, %.0f ns CPU each, RssAnon %ld KiB\n",
		   name, entries, (double) bytes / 1e6, (double) entries / seconds,
		   cpu * 1e9 / (double) (entries ? entries : 1), rss_anon_kib());
}

static void
drain(const char *uri, int batch_size)
{
	MtConnection *connection = connect_to(uri);
	MtOplogCursor *cursor = open_cursor(connection, 0, false, batch_size, 0);
	MtOplogCursorResult result;
	MtOplogBatch batch;
	MtMongoError error;
	uint64_t	entries = 0;
	uint64_t	bytes = 0;
	double		started = now_s();
	double		cpu_started = cpu_s();

	while ((result = mt_oplog_cursor_next(cursor, &batch, &error)) == MT_OPLOG_CURSOR_BATCH)
	{
		MtElement	element;
		MtWalk		walk;

		if (!mt_walk_begin(&walk, batch.documents))
			abort();
		while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
		{
			memcpy(sink, element.value, element.value_len);
			entries++;
			bytes += element.value_len;
		}
	}
	if (result == MT_OPLOG_CURSOR_ERROR)
		die("next", &error);
	report("drain", entries, bytes, started, cpu_started);
	mt_oplog_cursor_close(cursor);
	mt_connection_free(connection);
}

static void
raw(const char *uri, int batch_size, bool tuned)
{
	mongoc_client_t *client;
	mongoc_collection_t *collection;
	mongoc_cursor_t *cursor;
	bson_t	   *filter = BCON_NEW("ts", "{", "$gt", BCON_TIMESTAMP(0, 0), "}");
	bson_t	   *opts;
	bson_error_t error;
	const bson_t *doc;
	uint64_t	entries = 0;
	uint64_t	bytes = 0;
	double		started;
	double		cpu_started;

	if (tuned)
	{
		mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
		mallopt(M_TRIM_THRESHOLD, 128 * 1024 * 1024);
	}
	mongoc_init();
	client = mongoc_client_new(uri);
	collection = mongoc_client_get_collection(client, "local", "oplog.rs");
	opts = BCON_NEW("batchSize", BCON_INT32(batch_size ? batch_size : 5000),
					"readConcern", "{", "level", "majority", "}");
	started = now_s();
	cpu_started = cpu_s();
	cursor = mongoc_collection_find_with_opts(collection, filter, opts, NULL);
	while (mongoc_cursor_next(cursor, &doc))
	{
		memcpy(sink, bson_get_data(doc), doc->len);
		entries++;
		bytes += doc->len;
	}
	if (mongoc_cursor_error(cursor, &error))
		printf("error: %s\n", error.message);
	report(tuned ? "tuned" : "raw", entries, bytes, started, cpu_started);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
	bson_destroy(filter);
	bson_destroy(opts);
	mongoc_cleanup();
}

static uint64_t
majority_point(MtConnection *connection)
{
	MtMongoError error;
	uint64_t	ts;

	if (!mt_oplog_majority_point(connection, &ts, &error))
		die("majority point", &error);
	return ts;
}

static void
hello(const char *uri)
{
	MtConnection *connection = connect_to(uri);
	MtByteBuffer entry = {NULL, 0, 0};
	MtMongoError error;
	MtHello		h;

	if (!mt_connection_hello(connection, &h, &error))
		die("hello", &error);
	printf("set '%s' host '%s' primary %d mongos %d wire %d majority %" PRIx64 "/%" PRId64 " last %" PRIx64 "\n",
		   h.set_name, h.host, h.is_primary, h.is_mongos, h.max_wire_version,
		   h.majority_ts, h.majority_term, h.last_ts);
	if (mt_oplog_first(connection, "local", "oplog.rs", &entry, &error) == MT_OPLOG_LOOKUP_ERROR)
		die("first", &error);
	printf("first entry %zu bytes, majority point %" PRIx64 "\n", entry.len,
		   majority_point(connection));
	mt_byte_buffer_free(&entry);
	mt_connection_free(connection);
}

/* Goes on after resumable errors, with the same connection. */
static void
tail(const char *uri, double seconds)
{
	MtConnection *connection = connect_to(uri);
	uint64_t	position = majority_point(connection);
	MtOplogCursor *cursor = NULL;
	MtOplogBatch batch;
	MtMongoError error;
	double		until = now_s() + seconds;

	while (now_s() < until)
	{
		double		asked_at = now_s();

		if (cursor == NULL)
			cursor = try_open(connection, position, true, 0, 1000, &error);
		if (cursor == NULL ||
			mt_oplog_cursor_next(cursor, &batch, &error) == MT_OPLOG_CURSOR_ERROR)
		{
			mt_oplog_cursor_close(cursor);
			cursor = NULL;
			printf("after %.1f ms: ", (now_s() - asked_at) * 1e3);
			show("tail", &error);
			if (!error.resumable)
				exit(1);
			usleep(200000);
			continue;
		}
		if (batch.scanned_to != 0)
			position = batch.scanned_to;
		printf("batch of %u bytes, scanned to %" PRIx64 ", operation time %" PRIx64 "\n",
			   batch.documents.len, batch.scanned_to, batch.operation_time);
		fflush(stdout);
	}
	mt_oplog_cursor_close(cursor);
	mt_connection_free(connection);
}

static void
cycle(const char *uri, int count)
{
	for (int i = 0; i < count; i++)
	{
		MtConnection *connection = connect_to(uri);
		MtOplogCursor *cursor = open_cursor(connection, 0, true, 10, 10);
		MtOplogBatch batch;
		MtMongoError error;

		if (mt_oplog_cursor_next(cursor, &batch, &error) != MT_OPLOG_CURSOR_BATCH)
			die("next", &error);
		mt_oplog_cursor_close(cursor);
		mt_connection_free(connection);
		if (i == 0 || (i + 1) % (count < 5 ? 1 : count / 5) == 0)
			printf("%d cycles: RssAnon %ld KiB\n", i + 1, rss_anon_kib());
	}
}

static void
cancel(const char *uri, double after_ms)
{
	MtConnection *connection;
	MtOplogCursor *cursor = NULL;
	MtOplogBatch batch;
	MtMongoError error;
	uint64_t	ts = 0;
	double		done;

	interrupt_at = now_s() + after_ms / 1e3;
	connection = connect_to(uri);
	if (mt_oplog_majority_point(connection, &ts, &error))
	{
		cursor = open_cursor(connection, ts, true, 0, 60000);
		while (mt_oplog_cursor_next(cursor, &batch, &error) == MT_OPLOG_CURSOR_BATCH)
			;
	}
	mt_oplog_cursor_close(cursor);
	mt_connection_free(connection);
	done = now_s();
	printf("%.1f ms after the interrupt, ", (done - interrupt_at) * 1e3);
	die("stopped", &error);
}

static void
fetch(const char *uri)
{
	MtConnection *connection = connect_to(uri);
	MtConnection *other = connect_to(uri);
	MtOplogCursor *cursor = open_cursor(connection, 0, false, 0, 0);
	MtByteBuffer entry = {NULL, 0, 0};
	MtOplogBatch batch;
	MtMongoError error;
	uint64_t	seen = 0;
	uint64_t	same = 0;
	uint64_t	fetched = 0;

	while (mt_oplog_cursor_next(cursor, &batch, &error) == MT_OPLOG_CURSOR_BATCH)
	{
		MtElement	element;
		MtElement	ts;
		MtWalk		walk;

		if (!mt_walk_begin(&walk, batch.documents))
			abort();
		while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
		{
			if (seen++ % 100 != 0 || fetched >= 1000)
				continue;
			if (mt_bson_find(mt_element_value(&element), "ts", 2, &ts) != MT_WALK_ELEMENT)
				abort();
			entry.len = 0;
			fetched++;
			if (mt_oplog_fetch(other, "local", "oplog.rs", mt_le64(ts.value), &entry, &error) ==
				MT_OPLOG_LOOKUP_FOUND &&
				entry.len == element.value_len && memcmp(entry.data, element.value, entry.len) == 0)
				same++;
		}
	}
	printf("%" PRIu64 " entries, %" PRIu64 " fetched, %" PRIu64 " equal\n", seen, fetched, same);
	mt_byte_buffer_free(&entry);
	mt_oplog_cursor_close(cursor);
	mt_connection_free(other);
	mt_connection_free(connection);
	if (same != fetched)
		exit(1);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	double		number = argc > 3 ? atof(argv[3]) : 0;

	if (strcmp(what, "drain") == 0)
		drain(argv[2], (int) number);
	else if (strcmp(what, "raw") == 0 || strcmp(what, "tuned") == 0)
		raw(argv[2], (int) number, what[0] == 't');
	else if (strcmp(what, "hello") == 0)
		hello(argv[2]);
	else if (strcmp(what, "tail") == 0)
		tail(argv[2], number);
	else if (strcmp(what, "cycle") == 0)
		cycle(argv[2], (int) number);
	else if (strcmp(what, "cancel") == 0)
		cancel(argv[2], number);
	else if (strcmp(what, "fetch") == 0)
		fetch(argv[2]);
	else
	{
		fprintf(stderr, "usage: probe_mongo drain|raw|tuned|hello|tail|cycle|cancel|fetch URI [NUMBER]\n");
		return 2;
	}
	return 0;
}
