/*
 * test_oplog_transaction.c
 *		Every shape of an oplog entry, from 4.4 to 8.x, and what becomes of it.
 *
 * A test is a small oplog, written as extended JSON, and the changes expected
 * of it, one line each:
 *
 *		cluster_time[~visible_time] #index operation namespace [flags]
 *			[key=...] [document|diff|modifiers|command|entry=...] [txn=...]
 *
 * Flags: m fromMigrate, u upsert, k key element, g in group, l last in group.
 */
#include <bson/bson.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "oplog/oplog_transaction.h"
#include "unit.h"

#define MAX_ENTRIES 400

typedef struct Oplog
{
	bson_t	   *entries[MAX_ENTRIES];
	int			n;
	int			fetches;
	uint64_t	missing;		/* this ts is gone */
	bool		broken;			/* every fetch fails */
	int			stop_after;		/* emit says stop after so many; 0: never */
	int			emitted;
	char		out[1 << 16];
	size_t		out_len;
	MtOplogError error;
} Oplog;

static Oplog oplog;

static bson_t *
from_json(const char *json)
{
	char	   *copy = strdup(json);
	bson_error_t error;
	bson_t	   *bson;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	bson = bson_new_from_json((const uint8_t *) copy, -1, &error);
	if (bson == NULL)
	{
		printf("bad JSON in a test: %s: %s\n", error.message, copy);
		abort();
	}
	free(copy);
	return bson;
}

static MtSlice
slice_of(const bson_t *bson)
{
	MtSlice		slice = {bson_get_data(bson), bson->len};

	return slice;
}

static void
put(const char *format, ...)
{
	va_list		args;

	va_start(args, format);
	oplog.out_len += (size_t) vsnprintf(oplog.out + oplog.out_len, sizeof oplog.out - oplog.out_len, format, args);
	va_end(args);
	if (oplog.out_len >= sizeof oplog.out)
		abort();
}

/* The document without blanks, ' for ". */
static void
put_document(const char *label, const uint8_t *data, size_t len)
{
	bson_t		bson;
	char	   *json;

	if (!bson_init_static(&bson, data, len) || (json = bson_as_relaxed_extended_json(&bson, NULL)) == NULL)
	{
		put(" %s=CORRUPT", label);
		return;
	}
	put(" %s=", label);
	for (char *p = json; *p; p++)
		if (*p != ' ')
			put("%c", *p == '"' ? '\'' : *p);
	bson_free(json);
}

static void
put_key(const MtChange *change)
{
	uint8_t		document[256];
	uint32_t	len = BSON_UINT32_TO_LE(change->document_key.len + 5);

	if (!(change->flags & MT_CHANGE_KEY_ELEMENT))
	{
		put_document("key", change->document_key.data, change->document_key.len);
		return;
	}
	memcpy(document, &len, 4);
	memcpy(document + 4, change->document_key.data, change->document_key.len);
	document[4 + change->document_key.len] = 0;
	put_document("key", document, change->document_key.len + 5);
}

static bool
emit(void *context, const MtChange *change)
{
	static const char *const kinds[] = {"none", "document", "diff", "modifiers", "command", "entry"};

	(void) context;
	put("%d", (int) (change->cluster_time >> 32));
	if (change->visible_time != change->cluster_time)
		put("~%d", (int) (change->visible_time >> 32));
	put(" #%u %s %.*s ", change->index, mt_operation_name(change->operation),
		(int) change->namespace.len, (const char *) change->namespace.data);
	if (change->flags)
		put("%s%s%s%s%s", change->flags & MT_CHANGE_FROM_MIGRATE ? "m" : "",
			change->flags & MT_CHANGE_UPSERT ? "u" : "",
			change->flags & MT_CHANGE_KEY_ELEMENT ? "k" : "",
			change->flags & MT_CHANGE_IN_GROUP ? "g" : "",
			change->flags & MT_CHANGE_LAST_IN_GROUP ? "l" : "");
	if (change->document_key.len)
		put_key(change);
	if (change->payload_kind == MT_PAYLOAD_ENTRY)
		put(" entry=%u", change->payload.len == change->entry_bytes);
	else if (change->payload.len)
		put_document(kinds[change->payload_kind], change->payload.data, change->payload.len);
	if (change->transaction_id.len == MT_TRANSACTION_ID_BYTES)
		put(" txn=%02x.%d", change->transaction_id.data[0], (int) mt_le64(change->transaction_id.data + 16));
	put("\n");
	return !(oplog.stop_after && ++oplog.emitted >= oplog.stop_after);
}

static MtFetchResult
fetch(void *context, uint64_t ts, MtByteBuffer *bytes)
{
	(void) context;
	oplog.fetches++;
	if (oplog.broken)
		return MT_FETCH_FAILED;
	for (int i = 0; i < oplog.n && ts != oplog.missing; i++)
		if (mt_oplog_entry_ts(slice_of(oplog.entries[i])) == ts)
			return mt_byte_buffer_append(bytes, bson_get_data(oplog.entries[i]), oplog.entries[i]->len) ?
				MT_FETCH_FOUND : MT_FETCH_FAILED;
	return MT_FETCH_MISSING;
}

static void
clear(void)
{
	for (int i = 0; i < oplog.n; i++)
		bson_destroy(oplog.entries[i]);
	memset(&oplog, 0, sizeof oplog);
}

/* The whole oplog through one unfolder; the first failure ends it.  Each
 * entry is fed from memory of its own size, freed at once. */
static MtOplogStatus
feed_all(MtUnfoldOptions options)
{
	MtOplogStatus status = MT_OPLOG_OK;
	MtUnfolder *unfolder;

	options.emit = emit;
	options.fetch = fetch;
	oplog.out_len = 0;
	oplog.out[0] = '\0';
	oplog.fetches = 0;
	unfolder = mt_unfolder_new(&options);
	for (int i = 0; i < oplog.n && status == MT_OPLOG_OK; i++)
	{
		MtSlice		entry = slice_of(oplog.entries[i]);
		uint8_t    *copy = malloc(entry.len);

		memcpy(copy, entry.data, entry.len);
		entry.data = copy;
		status = mt_unfolder_feed(unfolder, entry, &oplog.error);
		free(copy);
	}
	mt_unfolder_free(unfolder);
	return status;
}

static void
add(const char *json)
{
	if (oplog.n == MAX_ENTRIES)
		abort();
	oplog.entries[oplog.n++] = from_json(json);
}

static void
check_output(const char *expected, int line)
{
	if (strcmp(oplog.out, expected) == 0)
		return;
	mt_unit_check(false, "the changes are those expected", __FILE__, line);
	printf("  got:\n%s  expected:\n%s", oplog.out, expected);
}

static void
check_status(MtOplogStatus status, MtOplogStatus expected, int line)
{
	if (status == expected)
		return;
	mt_unit_check(false, "the status is the one expected", __FILE__, line);
	printf("  got %d: %s\n", status, status == MT_OPLOG_OK ? "" : oplog.error.message);
}

/* One entry, one expectation; E adds ts, v and wall. */
#define TS(t) "{'$timestamp':{'t':" #t ",'i':1}}"
#define E(t, more) "{'ts':" TS(t) ",'t':{'$numberLong':'1'},'v':{'$numberLong':'2'},'wall':{'$date':{'$numberLong':'5'}}," more "}"
#define PREV(t) "'prevOpTime':{'ts':" TS(t) ",'t':{'$numberLong':'1'}}"
#define NO_PREV "'prevOpTime':{'ts':{'$timestamp':{'t':0,'i':0}},'t':{'$numberLong':'-1'}}"
#define SESSION "'lsid':{'id':{'$uuid':'aa112233-4455-6677-8899-aabbccddeeff'},'uid':{'$binary':{'base64':'','subType':'00'}}},'txnNumber':{'$numberLong':'7'}"

static const MtUnfoldOptions plain = {.transaction_memory = 1 << 20};
static const MtUnfoldOptions tiny = {.transaction_memory = 0};
static const MtUnfoldOptions shard = {.is_shard = true};
static const MtUnfoldOptions shard_migrating = {.is_shard = true, .include_migrate = true};

static void
one(MtUnfoldOptions options, const char *json, const char *expected, int line)
{
	add(json);
	check_status(feed_all(options), MT_OPLOG_OK, line);
	check_output(expected, line);
	clear();
}

static void
refused(MtUnfoldOptions options, const char *json, const char *what, int line)
{
	MtOplogStatus status;
	uint64_t	ts;

	add(json);
	ts = mt_oplog_entry_ts(slice_of(oplog.entries[oplog.n - 1]));
	status = feed_all(options);
	check_status(status, MT_OPLOG_MALFORMED, line);
	if (status == MT_OPLOG_MALFORMED && strstr(oplog.error.message, what) == NULL)
	{
		mt_unit_check(false, "the message is the one expected", __FILE__, line);
		printf("  got \"%s\", expected \"%s\"\n", oplog.error.message, what);
	}
	mt_unit_check(oplog.error.cluster_time == ts, "the error has the entry's ts", __FILE__, line);
	clear();
}

#define GROUP(t, o, more) E(t, "'op':'c','ns':'admin.$cmd','o':" o more)
#define INS(ns, id) "{'op':'i','ns':'" ns "','o':{'_id':" #id "},'o2':{'_id':" #id "}}"

#define ONE(json, expected) one(plain, json, expected, __LINE__)
#define REFUSED(json, what) refused(plain, json, what, __LINE__)

static void
test_writes(void)
{
	ONE(E(5, "'op':'i','ns':'shop.a','o':{'_id':1,'x':2},'o2':{'_id':1}"),
		"5 #0 insert shop.a  key={'_id':1} document={'_id':1,'x':2}\n");
	/* before 6.0 */
	ONE(E(5, "'op':'i','ns':'shop.a','o':{'x':2,'_id':1}"),
		"5 #0 insert shop.a k key={'_id':1} document={'x':2,'_id':1}\n");
	ONE(E(5, "'op':'i','ns':'shop.a','o':{'x':2}"), "5 #0 insert shop.a  document={'x':2}\n");
	ONE(E(5, "'op':'u','ns':'shop.a.b','o':{'$v':2,'diff':{'u':{'x':3}}},'o2':{'k':1,'_id':1}"),
		"5 #0 update shop.a.b  key={'k':1,'_id':1} diff={'u':{'x':3}}\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'$v':1,'$set':{'x':3}},'o2':{'_id':1}"),
		"5 #0 update shop.a  key={'_id':1} modifiers={'$v':1,'$set':{'x':3}}\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'$set':{'x':3}},'o2':{'_id':1}"),
		"5 #0 update shop.a  key={'_id':1} modifiers={'$set':{'x':3}}\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'_id':1,'diff':{'a':1},'$v':2},'o2':{'_id':1.0}"),
		"5 #0 replace shop.a  key={'_id':1.0} document={'_id':1,'diff':{'a':1},'$v':2}\n");
	ONE(E(5, "'op':'d','ns':'shop.a','o':{'k':1,'_id':1}"), "5 #0 delete shop.a  key={'k':1,'_id':1}\n");
	/* a retryable write has lsid, txnNumber and prevOpTime, and is no transaction */
	ONE(E(5, "'op':'i','ns':'shop.a','o':{'_id':1},'o2':{'_id':1},'stmtId':0," SESSION "," PREV(4)),
		"5 #0 insert shop.a  key={'_id':1} document={'_id':1}\n");
}

static void
test_updates_that_nobody_knows(void)
{
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'$v':3,'delta':1},'o2':{'_id':1}"),
		"5 #0 unknown shop.a  key={'_id':1} entry=1\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'$v':'2','diff':{}},'o2':{'_id':1}"),
		"5 #0 unknown shop.a  key={'_id':1} entry=1\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{'x':3},'o2':{'_id':1}"),
		"5 #0 unknown shop.a  key={'_id':1} entry=1\n");
	ONE(E(5, "'op':'u','ns':'shop.a','o':{},'o2':{'_id':1}"),
		"5 #0 unknown shop.a  key={'_id':1} entry=1\n");
	REFUSED(E(5, "'op':'u','ns':'shop.a','o':{'$v':2,'diff':1},'o2':{'_id':1}"), "no diff");
	REFUSED(E(5, "'op':'u','ns':'shop.a','o':{'$v':1,'$set':{}}"), "document key");
	REFUSED(E(5, "'op':'d','ns':'shop.a'"), "no o");
	REFUSED(E(5, "'op':'i','ns':'shop','o':{}"), "names no collection");
}

static void
test_commands(void)
{
#define COMMAND(o) E(5, "'op':'c','ns':'shop.$cmd','o':" o)
	ONE(COMMAND("{'create':'a.b','idIndex':{}}"), "5 #0 create shop.a.b  command={'create':'a.b','idIndex':{}}\n");
	ONE(COMMAND("{'drop':'a'}"), "5 #0 drop shop.a  command={'drop':'a'}\n");
	ONE(COMMAND("{'renameCollection':'shop.a','to':'mall.b','stayTemp':false}"),
		"5 #0 rename shop.a  command={'renameCollection':'shop.a','to':'mall.b','stayTemp':false}\n");
	ONE(COMMAND("{'dropDatabase':1}"), "5 #0 dropDatabase shop  command={'dropDatabase':1}\n");
	ONE(COMMAND("{'createIndexes':'a','v':2}"), "5 #0 createIndexes shop.a  command={'createIndexes':'a','v':2}\n");
	ONE(COMMAND("{'commitIndexBuild':'a'}"), "5 #0 createIndexes shop.a  command={'commitIndexBuild':'a'}\n");
	ONE(COMMAND("{'startIndexBuild':'a'}"), "5 #0 startIndexBuild shop.a  command={'startIndexBuild':'a'}\n");
	ONE(COMMAND("{'abortIndexBuild':'a'}"), "5 #0 abortIndexBuild shop.a  command={'abortIndexBuild':'a'}\n");
	ONE(COMMAND("{'dropIndexes':'a'}"), "5 #0 dropIndexes shop.a  command={'dropIndexes':'a'}\n");
	ONE(COMMAND("{'deleteIndexes':'a'}"), "5 #0 dropIndexes shop.a  command={'deleteIndexes':'a'}\n");
	ONE(COMMAND("{'dropIndex':'a'}"), "5 #0 dropIndexes shop.a  command={'dropIndex':'a'}\n");
	ONE(COMMAND("{'deleteIndex':'a'}"), "5 #0 dropIndexes shop.a  command={'deleteIndex':'a'}\n");
	ONE(COMMAND("{'collMod':'a'}"), "5 #0 modify shop.a  command={'collMod':'a'}\n");
	ONE(COMMAND("{'emptycapped':'a'}"), "5 #0 emptyCapped shop.a  command={'emptycapped':'a'}\n");
	ONE(COMMAND("{'convertToCapped':'a','size':1}"), "5 #0 convertToCapped shop.a  command={'convertToCapped':'a','size':1}\n");
	ONE(COMMAND("{'importCollection':'shop.a'}"), "5 #0 importCollection shop.a  command={'importCollection':'shop.a'}\n");
	ONE(COMMAND("{'truncateRange':'shop.a'}"), "5 #0 truncateRange shop.a  command={'truncateRange':'shop.a'}\n");
	ONE(COMMAND("{'truncateRange':'a'}"), "5 #0 truncateRange shop.a  command={'truncateRange':'a'}\n");
	ONE(COMMAND("{'createDatabaseMetadata':'shop'}"), "");
	ONE(COMMAND("{'dropDatabaseMetadata':'shop'}"), "");
	ONE(COMMAND("{'modifyCollectionShardingIndexCatalog':'shop.a'}"), "");
	ONE(COMMAND("{'createGlobalIndex':'x'}"), "");
	ONE(COMMAND("{'dropGlobalIndex':'x'}"), "");
	ONE(E(5, "'op':'c','ns':'shop.a','o':{'dbCheck':'shop.a','type':'collection'}"), "");
	ONE(E(5, "'op':'c','ns':'admin.$cmd','o':{'abortTransaction':1}," SESSION "," PREV(4)), "");
	REFUSED(COMMAND("{}"), "no command");
	REFUSED(COMMAND("{'create':1}"), "names no collection");
	REFUSED(COMMAND("{'drop':''}"), "names no collection");
	REFUSED(COMMAND("{'renameCollection':'shop.a'}"), "to what");
	REFUSED(E(5, "'op':'c','ns':'','o':{'drop':'a'}"), "no database");
}

/* What newer and older servers, and those with features of their own, write
 * beside what an operation is made of. */
static void
test_fields_of_other_versions(void)
{
	static const char *const fields[] = {
		"'h':{'$numberLong':'-5'}", "'_id':{'ts':1}", "'rid':{'$numberLong':'9'}",
		"'preImageOpTime':{'ts':" TS(4) ",'t':{'$numberLong':'1'}}",
		"'postImageOpTime':{'ts':" TS(4) ",'t':{'$numberLong':'1'}}",
		"'needsRetryImage':'postImage'", "'destinedRecipient':'shard1'", "'checkExistenceForDiffInsert':true",
		"'versionContext':{'OFCV':'8.1'}", "'tid':{'$oid':'aaaaaaaaaaaaaaaaaaaaaaaa'}",
		"'fromTenantMigration':{'$uuid':'aa112233-4455-6677-8899-aabbccddeeff'}",
		"'stmtId':[0,{'$numberLong':'1'}]", "'txnRetryCounter':0", "'ui':{'$uuid':'aa112233-4455-6677-8899-aabbccddeeff'}"
	};
	char		json[1024];

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
	{
		snprintf(json, sizeof json, E(5, "'op':'u','ns':'shop.a',%s,'o':{'$v':2,'diff':{'u':{'x':3}}},'o2':{'_id':1}"), fields[i]);
		ONE(json, "5 #0 update shop.a  key={'_id':1} diff={'u':{'x':3}}\n");
		snprintf(json, sizeof json, E(5, "'op':'c','ns':'admin.$cmd',%s,'o':{'applyOps':[" INS("shop.a", 1) "]}"), fields[i]);
		ONE(json, "5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n");
	}
	/* fields of o that say how, not what */
	ONE(COMMAND("{'create':'a','viewOn':'b','pipeline':[]}"), "5 #0 create shop.a  command={'create':'a','viewOn':'b','pipeline':[]}\n");
	ONE(E(5, "'op':'c','ns':'shop.$cmd','o':{'drop':'a'},'o2':{'numRecords':3}"), "5 #0 drop shop.a  command={'drop':'a'}\n");
	ONE(COMMAND("{'renameCollection':'shop.a','to':'shop.b','dropTarget':true}"),
		"5 #0 rename shop.a  command={'renameCollection':'shop.a','to':'shop.b','dropTarget':true}\n");
	/* a new primary, an image, an appendOplogNote */
	ONE(E(5, "'op':'n','ns':'','o':{'msg':'new primary'}"), "");
	ONE(E(5, "'op':'n','ns':'','o':{'$set':{'anything':1}}"), "");
}

static void
test_what_is_no_change(void)
{
	ONE(E(5, "'op':'n','ns':'','o':{'msg':'periodic noop'}"), "");
	ONE(E(5, "'op':'n','ns':'shop.a','o':{'_id':1}"), "");
	ONE(E(5, "'op':'n','ns':'shop.a','o':{'$sessionMigrateInfo':1},'o2':{'op':'i'},'fromMigrate':true"), "");
	ONE(E(5, "'op':'n','ns':'shop.a','o':{'msg':'x'},'o2':{'type':'migrateChunkToNewShard'}"), "");
	ONE(E(5, "'op':'xi','ns':'shop.a','o':{'ik':1}"), "");
	ONE(E(5, "'op':'xd','ns':'shop.a','o':{'ik':1}"), "");
	ONE(E(5, "'op':'ci','ns':'shop.a','container':'x','o':{'k':1,'v':1}"), "");
	ONE(E(5, "'op':'cu','ns':'shop.a','container':'x','o':{'k':1,'v':1}"), "");
	ONE(E(5, "'op':'cd','ns':'shop.a','container':'x','o':{'k':1}"), "");
	ONE(E(5, "'op':'i','ns':'shop.system.views','o':{'_id':'shop.v'},'o2':{'_id':'shop.v'}"), "");
	ONE(E(5, "'op':'i','ns':'admin.system.users','o':{'_id':'x'},'o2':{'_id':'x'}"), "");
	ONE(E(5, "'op':'i','ns':'shop.system.buckets.t','o':{'_id':1}"), "");
	ONE(COMMAND("{'create':'tmp.agg_out.1-2','temp':true}"), "");
	ONE(COMMAND("{'truncateRange':'shop.system.buckets.t'}"), "");
	ONE(E(5, "'op':'c','ns':'config.$cmd','o':{'dropDatabase':1}"), "");
	/* $out: only the rename onto the target is seen */
	ONE(COMMAND("{'renameCollection':'shop.tmp.agg_out.1-2','to':'shop.a'}"),
		"5 #0 rename shop.tmp.agg_out.1-2  command={'renameCollection':'shop.tmp.agg_out.1-2','to':'shop.a'}\n");
	ONE(COMMAND("{'renameCollection':'shop.tmpab12X.convertToCapped.a','to':'shop.system.x'}"), "");
}

static void
test_unknown_is_never_skipped(void)
{
	ONE(E(5, "'op':'km','ns':'shop.a','o':{}"), "5 #0 unknown shop.a  entry=1\n");
	ONE(E(5, "'op':'z','ns':'','o':{}"), "5 #0 unknown   entry=1\n");
	ONE(E(5, "'op':'','ns':'shop','o':{}"), "5 #0 unknown shop  entry=1\n");
	ONE(E(5, "'op':'km','ns':'shop.$cmd'"), "5 #0 unknown shop.$cmd  entry=1\n");
	ONE(E(5, "'op':'km','ns':'admin.$cmd'"), "5 #0 unknown admin.$cmd  entry=1\n");
	ONE(E(5, "'op':'km','ns':'admin.system.users','o':{}"), "");
	ONE(COMMAND("{'shrinkCollection':'a'}"), "5 #0 unknown shop.a  entry=1\n");
	ONE(COMMAND("{'shrinkCollection':'shop.a'}"), "5 #0 unknown shop.a  entry=1\n");
	ONE(COMMAND("{'shrinkAll':1}"), "5 #0 unknown shop.$cmd  entry=1\n");
	ONE(E(5, "'op':'c','ns':'admin.$cmd','o':{'applyTransaction':1}"), "5 #0 unknown admin.$cmd  entry=1\n");
	ONE(E(5, "'op':'c','ns':'admin.$cmd','o':{'shrinkCollection':'system.users'}"), "");
	/* also in a group, and on a shard with fromMigrate */
	ONE(E(5, "'op':'c','ns':'admin.$cmd','o':{'applyOps':[{'op':'km','ns':'shop.a','o':{}}]}"),
		"5 #0 unknown shop.a gl entry=1\n");
	one(shard, E(5, "'op':'km','ns':'shop.a','fromMigrate':true"), "5 #0 unknown shop.a m entry=1\n", __LINE__);
}

static void
test_from_migrate(void)
{
	static const char insert[] = E(5, "'op':'i','ns':'shop.a','o':{'_id':1},'o2':{'_id':1},'fromMigrate':true");
	static const char create[] = E(5, "'op':'c','ns':'shop.$cmd','o':{'create':'a'},'fromMigrate':true");
	static const char group[] = E(5, "'op':'c','ns':'admin.$cmd','o':{'applyOps':["
								  "{'op':'d','ns':'shop.a','o':{'_id':1},'fromMigrate':true},"
								  "{'op':'d','ns':'shop.a','o':{'_id':2}},"
								  "{'op':'d','ns':'shop.a','o':{'_id':3},'fromMigrate':true}]}");

	one(plain, insert, "5 #0 insert shop.a m key={'_id':1} document={'_id':1}\n", __LINE__);
	one(shard, insert, "", __LINE__);
	one(shard_migrating, insert, "5 #0 insert shop.a m key={'_id':1} document={'_id':1}\n", __LINE__);
	one(plain, create, "5 #0 create shop.a m command={'create':'a'}\n", __LINE__);
	one(shard, create, "", __LINE__);
	one(shard_migrating, create, "5 #0 create shop.a m command={'create':'a'}\n", __LINE__);
	one(shard, group, "5 #1 delete shop.a gl key={'_id':2}\n", __LINE__);
	one(shard_migrating, group, "5 #0 delete shop.a mg key={'_id':1}\n5 #1 delete shop.a g key={'_id':2}\n"
		"5 #2 delete shop.a mgl key={'_id':3}\n", __LINE__);
}

static void
test_groups_of_one_entry(void)
{
	/* a transaction, with the commands it may hold */
	ONE(GROUP(5, "{'applyOps':[{'op':'c','ns':'shop.$cmd','o':{'create':'a'}}," INS("shop.a", 1) ",{'op':'c','ns':'shop.$cmd','o':{'createIndexes':'a'}}]}", "," SESSION "," NO_PREV),
		"5 #0 create shop.a g command={'create':'a'} txn=aa.7\n"
		"5 #1 insert shop.a g key={'_id':1} document={'_id':1} txn=aa.7\n"
		"5 #2 createIndexes shop.a gl command={'createIndexes':'a'} txn=aa.7\n");
	/* no session: an atomic group and no transaction */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "," INS("shop.a", 2) "]}", ""),
		"5 #0 insert shop.a g key={'_id':1} document={'_id':1}\n"
		"5 #1 insert shop.a gl key={'_id':2} document={'_id':2}\n");
	/* vectored inserts of 8.0: prevOpTime leads to another statement */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "," INS("shop.a", 2) "]}", ",'multiOpType':1," SESSION "," PREV(4)),
		"5 #0 insert shop.a g key={'_id':1} document={'_id':1}\n"
		"5 #1 insert shop.a gl key={'_id':2} document={'_id':2}\n");
	/* a type not known, without a count: alone */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "]}", ",'multiOpType':2," SESSION "," PREV(4)),
		"5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n");
	/* type 1 never follows prevOpTime, whatever o has */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "],'count':1}", ",'multiOpType':1," SESSION "," PREV(4)),
		"5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n");
	/* a read-only prepared one, an empty one */
	ONE(GROUP(5, "{'applyOps':[]}", "," SESSION), "");
	/* the index counts what is dropped, and noops */
	ONE(GROUP(5, "{'applyOps':[" INS("config.x", 1) ",{'op':'n','ns':'','o':{}}," INS("shop.a", 2) "," INS("shop.system.views", 3) "]}", ""),
		"5 #2 insert shop.a gl key={'_id':2} document={'_id':2}\n");
	/* applyOps within applyOps */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) ",{'op':'c','ns':'admin.$cmd','o':{'applyOps':[" INS("shop.a", 2) "]}}," INS("shop.a", 3) "]}", ""),
		"5 #0 insert shop.a g key={'_id':1} document={'_id':1}\n"
		"5 #1 insert shop.a g key={'_id':2} document={'_id':2}\n"
		"5 #2 insert shop.a gl key={'_id':3} document={'_id':3}\n");
	/* under the database that it was sent to */
	ONE(E(5, "'op':'c','ns':'shop.$cmd','o':{'applyOps':[" INS("shop.a", 1) "]}"),
		"5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n");
}

#define UPD(more) "{'op':'u','ns':'shop.a','o':{'$v':1,'$set':{'x':1}},'o2':{'_id':1}" more "}"
#define UPDATED(flags) "5 #0 update shop.a " flags " key={'_id':1} modifiers={'$v':1,'$set':{'x':1}}\n"

static void
test_upserts_of_apply_ops(void)
{
	ONE(GROUP(5, "{'applyOps':[" UPD("") "]}", ""), UPDATED("gl"));
	ONE(GROUP(5, "{'applyOps':[" UPD(",'b':true") "]}", ""), UPDATED("ugl"));
	ONE(GROUP(5, "{'applyOps':[" UPD(",'b':false") "]}", ""), UPDATED("gl"));
	ONE(GROUP(5, "{'applyOps':[" UPD("") "],'alwaysUpsert':true}", ""), UPDATED("ugl"));
	ONE(GROUP(5, "{'applyOps':[" UPD("") "],'alwaysUpsert':false,'$db':'admin'}", ""), UPDATED("gl"));
	/* a user's command without alwaysUpsert: the server took it for true */
	ONE(GROUP(5, "{'applyOps':[" UPD("") "],'$db':'admin'}", ""), UPDATED("ugl"));
	ONE(GROUP(5, "{'applyOps':[{'op':'c','ns':'admin.$cmd','o':{'applyOps':[" UPD("") "]}}],'alwaysUpsert':true}", ""), UPDATED("ugl"));
	/* only updates carry it */
	ONE(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "],'alwaysUpsert':true}", ""),
		"5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n");
}

static const char chain_changes[] =
"9 #0 insert shop.a g key={'_id':1} document={'_id':1} txn=aa.7\n"
"9 #1 insert shop.a g key={'_id':2} document={'_id':2} txn=aa.7\n"
"9 #2 drop shop.b g command={'drop':'b'} txn=aa.7\n"
"9 #3 insert shop.a g key={'_id':4} document={'_id':4} txn=aa.7\n"
"9 #4 insert shop.a gl key={'_id':5} document={'_id':5} txn=aa.7\n";

static void
add_chain(const char *last)
{
	add(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "," INS("shop.a", 2) "],'partialTxn':true}", "," SESSION "," NO_PREV));
	add(GROUP(6, "{'applyOps':[{'op':'c','ns':'shop.$cmd','o':{'drop':'b'}}],'partialTxn':true}", "," SESSION "," PREV(5)));
	add(E(7, "'op':'n','ns':'','o':{}"));
	add(GROUP(8, "{'applyOps':[" INS("shop.a", 4) "],'partialTxn':true}", "," SESSION "," PREV(6)));
	if (last)
		add(last);
}

#define CHAIN_END GROUP(9, "{'applyOps':[" INS("shop.a", 5) "],'count':{'$numberLong':'5'}}", "," SESSION "," PREV(8))

/* The same whatever is held: all, nothing, or the newest entry. */
static void
test_chain(void)
{
	MtUnfoldOptions options = plain;

	add_chain(CHAIN_END);
	check_status(feed_all(plain), MT_OPLOG_OK, __LINE__);
	check_output(chain_changes, __LINE__);
	MT_CHECK(oplog.fetches == 3);
	check_status(feed_all(tiny), MT_OPLOG_OK, __LINE__);
	check_output(chain_changes, __LINE__);
	MT_CHECK(oplog.fetches == 6);
	options.transaction_memory = 512;
	check_status(feed_all(options), MT_OPLOG_OK, __LINE__);
	check_output(chain_changes, __LINE__);
	MT_CHECK(oplog.fetches == 5);
	clear();
}

/* A reader that starts at the last entry sees the whole transaction. */
static void
test_chain_from_its_last_entry(void)
{
	MtUnfoldOptions options = plain;
	MtUnfolder *unfolder;

	add_chain(CHAIN_END);
	options.emit = emit;
	options.fetch = fetch;
	unfolder = mt_unfolder_new(&options);
	MT_CHECK(mt_unfolder_feed(unfolder, slice_of(oplog.entries[oplog.n - 1]), &oplog.error) == MT_OPLOG_OK);
	check_output(chain_changes, __LINE__);
	mt_unfolder_free(unfolder);
	clear();
}

/* A multiOpType of the future that links entries: its last one has a count. */
static void
test_chain_of_a_newer_type(void)
{
	add(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "],'partialTxn':true}", ",'multiOpType':2," SESSION "," NO_PREV));
	add(GROUP(6, "{'applyOps':[" INS("shop.a", 2) "],'count':2}", ",'multiOpType':2," SESSION "," PREV(5)));
	check_status(feed_all(plain), MT_OPLOG_OK, __LINE__);
	check_output("6 #0 insert shop.a g key={'_id':1} document={'_id':1} txn=aa.7\n"
				 "6 #1 insert shop.a gl key={'_id':2} document={'_id':2} txn=aa.7\n", __LINE__);
	clear();
}

static void
test_prepared(void)
{
	static const char prepare[] = GROUP(9, "{'applyOps':[" INS("shop.a", 5) "],'prepare':true,'count':{'$numberLong':'5'}}", "," SESSION "," PREV(8));
	static const char commit[] = E(12, "'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1,'commitTimestamp':" TS(10) "}," SESSION "," PREV(9));
	static const char abort_[] = E(12, "'op':'c','ns':'admin.$cmd','o':{'abortTransaction':1}," SESSION "," PREV(9));
	MtUnfoldOptions two[] = {plain, tiny};

	for (int i = 0; i < 2; i++)
	{
		add_chain(prepare);
		check_status(feed_all(two[i]), MT_OPLOG_OK, __LINE__);
		check_output("", __LINE__);
		add(E(11, "'op':'i','ns':'shop.c','o':{'_id':0},'o2':{'_id':0}"));
		add(commit);
		check_status(feed_all(two[i]), MT_OPLOG_OK, __LINE__);
		check_output("11 #0 insert shop.c  key={'_id':0} document={'_id':0}\n"
					 "12~10 #0 insert shop.a g key={'_id':1} document={'_id':1} txn=aa.7\n"
					 "12~10 #1 insert shop.a g key={'_id':2} document={'_id':2} txn=aa.7\n"
					 "12~10 #2 drop shop.b g command={'drop':'b'} txn=aa.7\n"
					 "12~10 #3 insert shop.a g key={'_id':4} document={'_id':4} txn=aa.7\n"
					 "12~10 #4 insert shop.a gl key={'_id':5} document={'_id':5} txn=aa.7\n", __LINE__);
		clear();
	}
	add_chain(prepare);
	add(abort_);
	check_status(feed_all(plain), MT_OPLOG_OK, __LINE__);
	check_output("", __LINE__);
	MT_CHECK(oplog.fetches == 0);
	clear();
	/* a single prepare entry without a count */
	add(GROUP(5, "{'applyOps':[" INS("shop.a", 1) "],'prepare':true}", "," SESSION "," NO_PREV));
	one(plain, E(12, "'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1,'commitTimestamp':" TS(10) "}," SESSION "," PREV(5)),
		"12~10 #0 insert shop.a gl key={'_id':1} document={'_id':1} txn=aa.7\n", __LINE__);
}

/* The filter drops changes and moves the mark; it moves no index. */
static void
test_index_is_stable_under_filters(void)
{
	static const char *const names[] = {"shop.a", "shop.b", "shop.*", "/a$/", "shop.none"};
	static const char *const expected[] = {
		"9 #0 insert shop.a g key={'_id':1} document={'_id':1} txn=aa.7\n"
		"9 #1 insert shop.a g key={'_id':2} document={'_id':2} txn=aa.7\n"
		"9 #3 insert shop.a g key={'_id':4} document={'_id':4} txn=aa.7\n"
		"9 #4 insert shop.a gl key={'_id':5} document={'_id':5} txn=aa.7\n",
		"9 #2 drop shop.b gl command={'drop':'b'} txn=aa.7\n",
		chain_changes,
		NULL,
		""
	};
	char		message[200];

	add_chain(CHAIN_END);
	for (int i = 0; i < 5; i++)
		for (int memory = 0; memory < 2; memory++)
		{
			MtUnfoldOptions options = memory ? plain : tiny;
			MtNamespaceFilter *filter = mt_namespace_filter_new(&names[i], 1, NULL, 0, message, sizeof message);

			options.filter = filter;
			check_status(feed_all(options), MT_OPLOG_OK, __LINE__);
			check_output(expected[i] ? expected[i] : expected[0], __LINE__);
			mt_namespace_filter_free(filter);
		}
	clear();
}

/* Two commands in a row keep their composed names, across entries too. */
static void
test_held_command_keeps_its_name(void)
{
	add(GROUP(5, "{'applyOps':[{'op':'c','ns':'shop.$cmd','o':{'drop':'a'}},{'op':'c','ns':'shop.$cmd','o':{'drop':'tmp.agg_out.x'}},{'op':'c','ns':'shop.$cmd','o':{'drop':'bb'}}],'partialTxn':true}", "," SESSION));
	add(GROUP(6, "{'applyOps':[" INS("config.x", 1) "],'partialTxn':true}", "," SESSION "," PREV(5)));
	add(GROUP(7, "{'applyOps':[{'op':'c','ns':'config.$cmd','o':{'drop':'c'}}],'partialTxn':true}", "," SESSION "," PREV(6)));
	add(GROUP(8, "{'applyOps':[{'op':'c','ns':'shop.$cmd','o':{'drop':'tmp.agg_out.y'}}],'count':6}", "," SESSION "," PREV(7)));
	for (int memory = 0; memory < 2; memory++)
	{
		check_status(feed_all(memory ? plain : tiny), MT_OPLOG_OK, __LINE__);
		check_output("8 #0 drop shop.a g command={'drop':'a'} txn=aa.7\n"
					 "8 #2 drop shop.bb gl command={'drop':'bb'} txn=aa.7\n", __LINE__);
	}
	clear();
}

static void
test_commands_pass_by_what_they_name(void)
{
	static const char *const names[] = {"shop.a"};
	char		message[200];
	MtNamespaceFilter *filter = mt_namespace_filter_new(names, 1, NULL, 0, message, sizeof message);
	MtUnfoldOptions options = {.filter = filter};

	one(options, COMMAND("{'drop':'a'}"), "5 #0 drop shop.a  command={'drop':'a'}\n", __LINE__);
	one(options, COMMAND("{'drop':'b'}"), "", __LINE__);
	one(options, COMMAND("{'dropDatabase':1}"), "5 #0 dropDatabase shop  command={'dropDatabase':1}\n", __LINE__);
	one(options, E(5, "'op':'c','ns':'mall.$cmd','o':{'dropDatabase':1}"), "", __LINE__);
	one(options, COMMAND("{'renameCollection':'shop.x','to':'shop.y'}"), "", __LINE__);
	one(options, COMMAND("{'renameCollection':'shop.a','to':'shop.y'}"),
		"5 #0 rename shop.a  command={'renameCollection':'shop.a','to':'shop.y'}\n", __LINE__);
	one(options, E(5, "'op':'c','ns':'mall.$cmd','o':{'renameCollection':'mall.x','to':'shop.a'}"),
		"5 #0 rename mall.x  command={'renameCollection':'mall.x','to':'shop.a'}\n", __LINE__);
	one(options, E(5, "'op':'km','ns':'shop.b','o':{}"), "", __LINE__);
	one(options, E(5, "'op':'km','ns':'','o':{}"), "5 #0 unknown   entry=1\n", __LINE__);
	one(options, COMMAND("{'shrinkCollection':'b'}"), "", __LINE__);
	one(options, E(5, "'op':'i','ns':'shop.b','o':{}"), "", __LINE__);
	mt_namespace_filter_free(filter);
}

/* The answer for the last namespace is kept; the next one may be as long. */
static void
test_namespaces_of_one_length(void)
{
	static const char *const names[] = {"shop.a"};
	char		message[200];
	MtNamespaceFilter *filter = mt_namespace_filter_new(names, 1, NULL, 0, message, sizeof message);
	MtUnfoldOptions options = {.filter = filter};

	add(E(5, "'op':'d','ns':'shop.a','o':{'_id':1}"));
	add(E(6, "'op':'d','ns':'shop.b','o':{'_id':1}"));
	add(E(7, "'op':'d','ns':'shop.a','o':{'_id':1}"));
	add(E(8, "'op':'d','ns':'','o':{'_id':1}"));
	add(E(9, "'op':'d','ns':'shop.a','o':{'_id':1}"));
	check_status(feed_all(options), MT_OPLOG_OK, __LINE__);
	check_output("5 #0 delete shop.a  key={'_id':1}\n7 #0 delete shop.a  key={'_id':1}\n"
				 "9 #0 delete shop.a  key={'_id':1}\n", __LINE__);
	clear();
	mt_namespace_filter_free(filter);
}

static void
test_history_lost_and_failed_fetches(void)
{
	add_chain(CHAIN_END);
	oplog.missing = UINT64_C(5) << 32 | 1;
	check_status(feed_all(plain), MT_OPLOG_HISTORY_LOST, __LINE__);
	MT_CHECK(strstr(oplog.error.message, "5.1") != NULL);
	MT_CHECK(oplog.error.cluster_time == (UINT64_C(9) << 32 | 1));
	oplog.missing = 0;
	oplog.broken = true;
	check_status(feed_all(plain), MT_OPLOG_FETCH_FAILED, __LINE__);
	oplog.broken = false;
	oplog.stop_after = 2;
	check_status(feed_all(tiny), MT_OPLOG_STOPPED, __LINE__);
	clear();
}

static void
test_chains_that_are_none(void)
{
	/* in circles */
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(9)), "not earlier");
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(10)), "not earlier");
	add(GROUP(8, "{'applyOps':[],'partialTxn':true}", "," SESSION "," PREV(8)));
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(8)), "not earlier");
	/* to something else */
	add(E(8, "'op':'i','ns':'shop.a','o':{'_id':1}," SESSION));
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(8)), "no applyOps");
	add(GROUP(8, "{'applyOps':[]}", "," SESSION));
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(8)), "not partial");
	add(GROUP(8, "{'applyOps':[],'partialTxn':true}", ""));
	REFUSED(GROUP(9, "{'applyOps':[]}", "," SESSION "," PREV(8)), "another transaction");
	add(GROUP(8, "{'applyOps':[],'partialTxn':true}", "," SESSION));
	REFUSED(E(9, "'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1,'commitTimestamp':" TS(8) "}," SESSION "," PREV(8)), "not prepared");
	/* with a count that is wrong */
	add_chain(NULL);
	REFUSED(GROUP(9, "{'applyOps':[" INS("shop.a", 5) "],'count':6}", "," SESSION "," PREV(8)), "5 operations where its count says 6");
	/* malformed here and there */
	REFUSED(E(9, "'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1,'commitTimestamp':" TS(8) "}," SESSION), "no prevOpTime");
	REFUSED(E(9, "'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1}," SESSION "," PREV(8)), "no commitTimestamp");
	REFUSED(GROUP(9, "{'applyOps':{}}", ""), "not an array");
	REFUSED(GROUP(9, "{'applyOps':[1]}", ""), "not a document");
	REFUSED(GROUP(9, "{'applyOps':[{'op':'i','ns':'shop.a'}]}", ""), "no o");
	REFUSED(GROUP(9, "{'applyOps':[{'op':'c','ns':'admin.$cmd','o':{'commitTransaction':1}}]}", ""), "end of a transaction");
	REFUSED(GROUP(9, "{'applyOps':[]}", ",'lsid':{'id':1},'txnNumber':1"), "lsid");
}

/* As deep as BSON may be, and far deeper. */
static void
test_nested_apply_ops_are_bounded(void)
{
	for (int depth = 60; depth <= 2000; depth += 970)
	{
		bson_t	   *o = from_json("{'applyOps':[" INS("shop.a", 1) "]}");
		bson_t	   *entry;

		for (int i = 1; i < depth; i++)
		{
			bson_t	   *outer = bson_new();
			bson_t		array = BSON_INITIALIZER;
			bson_t		operation;

			bson_append_document_begin(&array, "0", -1, &operation);
			bson_append_utf8(&operation, "op", -1, "c", -1);
			bson_append_utf8(&operation, "ns", -1, "admin.$cmd", -1);
			bson_append_document(&operation, "o", -1, o);
			bson_append_document_end(&array, &operation);
			bson_append_array(outer, "applyOps", -1, &array);
			bson_destroy(&array);
			bson_destroy(o);
			o = outer;
		}
		entry = from_json(E(5, "'op':'c','ns':'admin.$cmd'"));
		bson_append_document(entry, "o", -1, o);
		bson_destroy(o);
		oplog.entries[oplog.n++] = entry;
		if (depth == 60)
		{
			check_status(feed_all(plain), MT_OPLOG_OK, __LINE__);
			check_output("5 #0 insert shop.a gl key={'_id':1} document={'_id':1}\n", __LINE__);
		}
		else
		{
			check_status(feed_all(plain), MT_OPLOG_MALFORMED, __LINE__);
			MT_CHECK(strstr(oplog.error.message, "nested") != NULL);
		}
		clear();
	}
}

/* 300 parts, of which a limit keeps some: order and count hold. */
static void
test_long_chain(void)
{
	MtUnfoldOptions options = plain;
	char		expected[1 << 15];
	size_t		len = 0;

	for (int i = 0; i < 300; i++)
	{
		bson_t	   *entry = from_json(E(5, "'op':'c','ns':'admin.$cmd'," SESSION));
		bson_t	   *o = from_json("{'applyOps':[{'op':'d','ns':'shop.a','o':{'_id':1}}]}");
		bson_t		prev;

		bson_append_bool(o, "partialTxn", -1, i < 299);
		bson_append_document(entry, "o", -1, o);
		bson_destroy(o);
		bson_append_document_begin(entry, "prevOpTime", -1, &prev);
		bson_append_timestamp(&prev, "ts", -1, i ? (uint32_t) (99 + i) : 0, i ? 1 : 0);
		bson_append_document_end(entry, &prev);
		/* overwrite the ts, which stands first: length, type, "ts", NUL, increment, seconds */
		((uint8_t *) bson_get_data(entry))[4 + 4 + 4] = (uint8_t) (100 + i);
		((uint8_t *) bson_get_data(entry))[4 + 4 + 5] = (uint8_t) ((100 + i) >> 8);
		oplog.entries[oplog.n++] = entry;
		len += (size_t) snprintf(expected + len, sizeof expected - len,
								 "399 #%d delete shop.a %s key={'_id':1} txn=aa.7\n", i, i < 299 ? "g" : "gl");
	}
	for (size_t memory = 0; memory <= 256 * 1024; memory += 32 * 1024)
	{
		options.transaction_memory = memory;
		check_status(feed_all(options), MT_OPLOG_OK, __LINE__);
		check_output(expected, __LINE__);
	}
	MT_CHECK(oplog.fetches == 299);
	clear();
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(writes),
	MT_UNIT_TEST(updates_that_nobody_knows),
	MT_UNIT_TEST(commands),
	MT_UNIT_TEST(fields_of_other_versions),
	MT_UNIT_TEST(what_is_no_change),
	MT_UNIT_TEST(unknown_is_never_skipped),
	MT_UNIT_TEST(from_migrate),
	MT_UNIT_TEST(groups_of_one_entry),
	MT_UNIT_TEST(upserts_of_apply_ops),
	MT_UNIT_TEST(chain),
	MT_UNIT_TEST(chain_from_its_last_entry),
	MT_UNIT_TEST(chain_of_a_newer_type),
	MT_UNIT_TEST(prepared),
	MT_UNIT_TEST(index_is_stable_under_filters),
	MT_UNIT_TEST(held_command_keeps_its_name),
	MT_UNIT_TEST(commands_pass_by_what_they_name),
	MT_UNIT_TEST(namespaces_of_one_length),
	MT_UNIT_TEST(history_lost_and_failed_fetches),
	MT_UNIT_TEST(chains_that_are_none),
	MT_UNIT_TEST(nested_apply_ops_are_bounded),
	MT_UNIT_TEST(long_chain),
};

MT_UNIT_MAIN(tests)
