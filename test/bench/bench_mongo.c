/*
 * bench_mongo.c
 *		The driver's side of the comparisons: what a careful C program without
 *		mongo_tail takes for the same work.
 *
 *	bench_mongo drain URI FIND		run the find command FIND (Extended JSON) by
 *									a libmongoc cursor, to its end, and copy
 *									each document
 *	bench_mongo json URI FIND		keep the fields "o" and "o2" of each oplog
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

typedef struct Totals
{
	uint64_t	documents;
	uint64_t	bytes;
	double		wall_s;
	double		cpu_s;
} Totals;

/* What is done with each document. */
typedef void (*Consumer) (const bson_t *document);

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

static void
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

/* The options of the cursor that the find command describes. */
static void
cursor_options(const bson_t *find, bson_t *filter, bson_t *opts)
{
	bson_iter_t iter;

	bson_init(opts);
	if (!bson_iter_init(&iter, find))
		die("find", "no document");
	while (bson_iter_next(&iter))
	{
		const char *key = bson_iter_key(&iter);

		if (strcmp(key, "filter") == 0)
		{
			const uint8_t *data;
			uint32_t	len;

			bson_iter_document(&iter, &len, &data);
			bson_init_static(filter, data, len);
		}
		else if (strcmp(key, "batchSize") == 0 || strcmp(key, "hint") == 0 ||
				 strcmp(key, "readConcern") == 0)
			bson_append_iter(opts, NULL, -1, &iter);
	}
}

static void
read_all(const char *uri, const char *text, Consumer consume, Totals *totals)
{
	mongoc_client_t *client = mongoc_client_new(uri);
	mongoc_collection_t *collection = mongoc_client_get_collection(client, "local", "oplog.rs");
	mongoc_cursor_t *cursor;
	bson_t		ping = BSON_INITIALIZER;
	bson_t	   *find;
	bson_t		filter = BSON_INITIALIZER;
	bson_t		opts;
	bson_error_t error;
	const bson_t *document;

	find = bson_new_from_json((const uint8_t *) text, -1, &error);
	if (find == NULL)
		die("find", error.message);
	cursor_options(find, &filter, &opts);
	BSON_APPEND_INT32(&ping, "ping", 1);
	if (!mongoc_client_command_simple(client, "admin", &ping, NULL, NULL, &error))
		die("ping", error.message);

	start(totals);
	cursor = mongoc_collection_find_with_opts(collection, &filter, &opts, NULL);
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
	bson_destroy(&opts);
	bson_destroy(find);
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
	if (strcmp(what, "drain") == 0)
	{
		read_all(argv[2], argv[3], copy, &totals);
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
		fprintf(stderr, "usage: bench_mongo drain|json URI FIND\n");
		return 2;
	}
	mongoc_cleanup();
	return 0;
}
