/*
 * bench_mongo.c
 *		The driver's side of the comparisons: what a careful C program without
 *		mongo_tail takes for the same work.
 *
 *	bench_mongo drain URI COMMAND	run COMMAND, a find or aggregate with "$db" in
 *									Extended JSON, by a libmongoc cursor, to its
 *									end, and copy each document
 *	bench_mongo pipelined URI COMMAND	the same with each getMore sent before
 *									the batch that came is looked at, which no
 *									cursor of libmongoc's does: bench_pipeline.c
 *	bench_mongo json URI COMMAND	keep the fields "o" and "o2" of each oplog
 *									entry, which are what changes() makes jsonb of;
 *									then, for each line on standard input, convert
 *									all of them by bson_as_relaxed_extended_json
 *
 * malloc's thresholds are raised, which takes half of the driver's time off:
 * without, each reply of megabytes is mapped and unmapped anew.
 *
 * The clock runs from the opening of the cursor, over a connection that is
 * open, to its last document.  The result is one line of JSON.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <mongoc/mongoc.h>

#include "bench_common.h"

typedef struct Totals
{
	uint64_t	documents;
	uint64_t	bytes;
	double		wall_s;
	double		cpu_s;
} Totals;

static uint8_t sink[16 * 1024 * 1024 + 64 * 1024];

/* The documents that are kept, one after another. */
static uint8_t *kept;
static size_t kept_bytes;
static uint64_t kept_entries;
static size_t kept_size;

static double
seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench_mongo: %s: %s\n", what, why);
	exit(1);
}

static void
start(Totals *totals)
{
	memset(totals, 0, sizeof *totals);
	totals->wall_s = -seconds(CLOCK_MONOTONIC);
	totals->cpu_s = -seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void
stop(Totals *totals)
{
	totals->wall_s += seconds(CLOCK_MONOTONIC);
	totals->cpu_s += seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void
report(const Totals *totals)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"documents\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"wall_s\": %.6f, "
		   "\"cpu_s\": %.6f, \"peak_rss_kib\": %ld}\n",
		   totals->documents, totals->bytes, totals->wall_s, totals->cpu_s, usage.ru_maxrss);
	fflush(stdout);
}

static void
copy(const bson_t *document)
{
	memcpy(sink, bson_get_data(document), document->len);
}

static void
keep_field(const bson_t *entry, const char *name)
{
	bson_iter_t iter;
	const uint8_t *data;
	uint32_t	len;

	if (!bson_iter_init_find(&iter, entry, name) || !BSON_ITER_HOLDS_DOCUMENT(&iter))
		return;
	bson_iter_document(&iter, &len, &data);
	if (kept_bytes + len > kept_size)
	{
		kept_size = kept_size ? kept_size * 2 : 64 * 1024 * 1024;
		kept = realloc(kept, kept_size);
		if (kept == NULL)
			die("json", "out of memory");
	}
	memcpy(kept + kept_bytes, data, len);
	kept_bytes += len;
}

static void
keep(const bson_t *entry)
{
	keep_field(entry, "o");
	keep_field(entry, "o2");
	kept_entries++;
}

static void
read_all(const char *uri, const char *text, Consumer consume, Totals *totals)
{
	mongoc_client_t *client = mongoc_client_new(uri);
	mongoc_collection_t *collection;
	mongoc_cursor_t *cursor;
	bson_t		ping = BSON_INITIALIZER;
	bson_error_t error;
	const bson_t *document;
	BenchCommand command;

	command_parse(&command, text);
	collection = mongoc_client_get_collection(client, command.database, command.collection);
	BSON_APPEND_INT32(&ping, "ping", 1);
	if (!mongoc_client_command_simple(client, "admin", &ping, NULL, NULL, &error))
		die("ping", error.message);

	start(totals);
	cursor = command_open(&command, collection);
	while (mongoc_cursor_next(cursor, &document))
	{
		consume(document);
		totals->documents++;
		totals->bytes += document->len;
	}
	stop(totals);
	if (mongoc_cursor_error(cursor, &error))
		die("cursor", error.message);

	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	mongoc_client_destroy(client);
	bson_destroy(&ping);
	command_free(&command);
}

static void
read_pipelined(const char *uri, const char *text, Totals *totals)
{
	Pipeline   *pipeline;
	BenchCommand command;

	command_parse(&command, text);
	pipeline = pipeline_connect(uri);
	start(totals);
	pipeline_read(pipeline, command.whole, command.database, command.collection, copy,
				  &totals->documents, &totals->bytes);
	stop(totals);
}

static void
convert_kept(Totals *totals)
{
	start(totals);
	for (size_t at = 0; at < kept_bytes;)
	{
		bson_t		document;
		uint32_t	len;
		size_t		text_len;
		char	   *text;

		memcpy(&len, kept + at, sizeof len);
		len = BSON_UINT32_FROM_LE(len);
		if (!bson_init_static(&document, kept + at, len))
			die("json", "not a document");
		text = bson_as_relaxed_extended_json(&document, &text_len);
		if (text == NULL)
			die("json", "a document that libbson cannot convert");
		totals->bytes += text_len;
		bson_free(text);
		at += len;
	}
	stop(totals);
	totals->documents = kept_entries;
}

int
main(int argc, char **argv)
{
	const char *what = argc == 4 ? argv[1] : "";
	Totals		totals;
	char		line[16];

	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024 * 1024);
	mongoc_init();
	mongoc_log_set_handler(NULL, NULL);
	if (strcmp(what, "drain") == 0)
	{
		read_all(argv[2], argv[3], copy, &totals);
		report(&totals);
	}
	else if (strcmp(what, "pipelined") == 0)
	{
		read_pipelined(argv[2], argv[3], &totals);
		report(&totals);
	}
	else if (strcmp(what, "json") == 0)
	{
		read_all(argv[2], argv[3], keep, &totals);
		report(&totals);
		while (fgets(line, sizeof line, stdin) != NULL)
		{
			convert_kept(&totals);
			report(&totals);
		}
	}
	else
	{
		fprintf(stderr, "usage: bench_mongo drain|pipelined|json URI COMMAND\n");
		return 2;
	}
	mongoc_cleanup();
	return 0;
}
