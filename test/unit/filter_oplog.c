/*
 * filter_oplog.c
 *		Show a namespace filter at work on a recorded oplog.
 *
 * usage: filter_oplog [PATTERN | -PATTERN] ... < entries.bson
 *
 * Prints the filter's query as one line of canonical extended JSON, then the
 * ts of each entry that the unfolder made a change of, one a line.  What
 * stands behind this is test/integration/test_namespace_query.py: whatever is
 * printed must be found by the query.
 */
#include <bson/bson.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "oplog/oplog_transaction.h"

#define MAX_PATTERNS 100

static MtByteBuffer oplog;

/* The entry at offset; absent at the end. */
static MtSlice
entry_at(size_t offset)
{
	MtSlice		entry = {NULL, 0};

	if (oplog.len - offset >= 5 && mt_le32(oplog.data + offset) <= oplog.len - offset)
	{
		entry.data = oplog.data + offset;
		entry.len = mt_le32(entry.data);
	}
	return entry;
}

static bool
count_change(void *context, const MtChange *change)
{
	(void) change;
	++*(int *) context;
	return true;
}

static MtFetchResult
fetch(void *context, uint64_t ts, MtByteBuffer *bytes)
{
	MtSlice		entry;

	(void) context;
	for (size_t offset = 0; (entry = entry_at(offset)).len > 0; offset += entry.len)
		if (mt_oplog_entry_ts(entry) == ts)
			return mt_byte_buffer_append(bytes, entry.data, entry.len) ? MT_FETCH_FOUND : MT_FETCH_FAILED;
	return MT_FETCH_MISSING;
}

static bool
read_oplog(void)
{
	uint8_t		block[1 << 16];
	size_t		len;

	while ((len = fread(block, 1, sizeof block, stdin)) > 0)
		if (!mt_byte_buffer_append(&oplog, block, len))
			return false;
	return true;
}

static int
print_passing(const MtNamespaceFilter *filter)
{
	int			changes = 0;
	MtUnfoldOptions options = {.context = &changes, .emit = count_change, .fetch = fetch, .filter = filter};
	MtUnfolder *unfolder = mt_unfolder_new(&options);
	MtSlice		entry;

	for (size_t offset = 0; (entry = entry_at(offset)).len > 0; offset += entry.len)
	{
		MtOplogError error;

		changes = 0;
		if (mt_unfolder_feed(unfolder, entry, &error) != MT_OPLOG_OK)
		{
			fprintf(stderr, "%s\n", error.message);
			return 1;
		}
		if (changes > 0)
			printf("%" PRIu64 "\n", mt_oplog_entry_ts(entry));
	}
	mt_unfolder_free(unfolder);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *includes[MAX_PATTERNS];
	const char *excludes[MAX_PATTERNS];
	int			n_includes = 0;
	int			n_excludes = 0;
	char		message[256];
	MtNamespaceFilter *filter;
	bson_t		query = BSON_INITIALIZER;
	char	   *json;
	int			status;

	for (int i = 1; i < argc && i < MAX_PATTERNS; i++)
		if (argv[i][0] == '-')
			excludes[n_excludes++] = argv[i] + 1;
		else
			includes[n_includes++] = argv[i];
	filter = mt_namespace_filter_new(includes, n_includes, excludes, n_excludes, message, sizeof message);
	if (filter == NULL || !read_oplog())
	{
		fprintf(stderr, "%s\n", filter == NULL ? message : "out of memory");
		return 2;
	}
	mt_namespace_filter_append_query(filter, &query);
	json = bson_as_canonical_extended_json(&query, NULL);
	printf("%s\n", json);
	bson_free(json);
	bson_destroy(&query);
	status = print_passing(filter);
	mt_namespace_filter_free(filter);
	mt_byte_buffer_free(&oplog);
	return status;
}
