/*
 * fuzz_oplog_entry.c
 *		Hostile oplogs through the parser and the unfolder.
 *
 * The input is a row of BSON documents, as a file of raw oplog entries is; a
 * rest that is none is an entry too.  All are fed in order, and the fetch
 * function finds the earlier ones among them.  Beside the sanitizers the
 * target watches what must hold of every oplog: that the memory for chains
 * changes no result, that filters change no index, and that a group has one
 * last change.
 */
#include <stdint.h>
#include <stdlib.h>

#include "oplog/oplog_transaction.h"

#define MAX_ENTRIES 64

typedef struct FuzzOplog
{
	MtSlice		entries[MAX_ENTRIES];
	int			n;
} FuzzOplog;

typedef struct FuzzRun
{
	const FuzzOplog *oplog;
	uint64_t	changes;
	uint64_t	failures;
	uint64_t	digest;			/* of all that was emitted */
	bool		in_group;		/* a group's last change is still to come */
	uint32_t	next_index;
} FuzzRun;

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_split(const uint8_t *data, size_t size, FuzzOplog *oplog)
{
	oplog->n = 0;
	while (size > 0 && oplog->n < MAX_ENTRIES)
	{
		size_t		len = size >= 5 ? mt_le32(data) : size;

		if (len < 5 || len > size || oplog->n == MAX_ENTRIES - 1)
			len = size;
		oplog->entries[oplog->n].data = data;
		oplog->entries[oplog->n++].len = (uint32_t) len;
		data += len;
		size -= len;
	}
}

/* Read every byte of the slice, so that one outside is found. */
static void
fuzz_digest(FuzzRun *run, MtSlice slice)
{
	run->digest = run->digest * 31 + slice.len;
	for (uint32_t i = 0; i < slice.len; i++)
		run->digest = run->digest * 31 + slice.data[i];
}

static bool
fuzz_emit(void *context, const MtChange *change)
{
	FuzzRun    *run = context;

	run->changes++;
	run->digest = run->digest * 31 + change->cluster_time + change->visible_time * 7 + change->index * 3 +
		change->operation + change->flags * 11u + change->payload_kind + change->entry_bytes;
	fuzz_digest(run, change->namespace);
	fuzz_digest(run, change->document_key);
	fuzz_digest(run, change->payload);
	fuzz_digest(run, change->transaction_id);
	if (change->operation == MT_OPERATION_NONE || change->operation >= MT_OPERATION_COUNT)
		abort();
	if (mt_operation_from_name(mt_operation_name(change->operation)) != (MtOperation) change->operation)
		abort();
	if (change->flags & MT_CHANGE_IN_GROUP)
	{
		if (run->in_group && change->index < run->next_index)
			abort();
		run->in_group = !(change->flags & MT_CHANGE_LAST_IN_GROUP);
		run->next_index = change->index + 1;
	}
	else if (change->index != 0 || run->in_group || (change->flags & MT_CHANGE_LAST_IN_GROUP))
		abort();
	return true;
}

static MtFetchResult
fuzz_fetch(void *context, uint64_t ts, MtByteBuffer *entry)
{
	const FuzzOplog *oplog = ((FuzzRun *) context)->oplog;

	for (int i = 0; i < oplog->n; i++)
		if (mt_oplog_entry_ts(oplog->entries[i]) == ts)
			return mt_byte_buffer_append(entry, oplog->entries[i].data, oplog->entries[i].len) ?
				MT_FETCH_FOUND : MT_FETCH_FAILED;
	return MT_FETCH_MISSING;
}

static void
fuzz_run(const FuzzOplog *oplog, MtUnfoldOptions options, FuzzRun *run)
{
	MtUnfolder *unfolder;

	memset(run, 0, sizeof *run);
	run->oplog = oplog;
	options.context = run;
	options.emit = fuzz_emit;
	options.fetch = fuzz_fetch;
	unfolder = mt_unfolder_new(&options);
	if (unfolder == NULL)
		abort();
	for (int i = 0; i < oplog->n; i++)
	{
		MtOplogError error = {0, ""};
		MtOplogStatus status = mt_unfolder_feed(unfolder, oplog->entries[i], &error);

		if (status == MT_OPLOG_STOPPED || (status != MT_OPLOG_OK && error.message[0] == '\0'))
			abort();
		if (status == MT_OPLOG_OK && run->in_group)
			abort();
		run->in_group = false;
		run->failures += status != MT_OPLOG_OK;
		run->digest = run->digest * 31 + status;
	}
	mt_unfolder_free(unfolder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const includes[] = {"shop.*", "/a.*z/", "mall.x"};
	static const char *const excludes[] = {"*.log"};
	static MtNamespaceFilter *filter;
	MtUnfoldOptions options = {.transaction_memory = 1 << 20};
	char		message[200];
	FuzzOplog	oplog;
	FuzzRun		held;
	FuzzRun		again;

	if (filter == NULL)
		filter = mt_namespace_filter_new(includes, 3, excludes, 1, message, sizeof message);
	if (filter == NULL)
		abort();
	fuzz_split(data, size, &oplog);
	fuzz_run(&oplog, options, &held);
	options.transaction_memory = 0;
	fuzz_run(&oplog, options, &again);
	if (held.changes != again.changes || held.digest != again.digest)
		abort();
	options.filter = filter;
	options.transaction_memory = 600;
	options.is_shard = true;
	fuzz_run(&oplog, options, &again);
	/* what the filter drops is not looked at, so that it cannot be malformed */
	if (held.failures == 0 && again.changes > held.changes)
		abort();
	return 0;
}
