/*
 * test_oplog_entry.c
 *		The envelope of an oplog entry: what is taken, what is refused, and
 *		that every truncation of an entry is an error.
 */
#include <bson/bson.h>
#include <stdlib.h>

#include "oplog/change.h"
#include "oplog/oplog_entry.h"
#include "unit.h"

/* Extended JSON with ' for ", as BSON.  The caller destroys it. */
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

static bool
text_is(MtSlice slice, const char *text)
{
	return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

#define TS(t, i) "{'$timestamp':{'t':" #t ",'i':" #i "}}"

static const char full_entry[] =
"{'lsid':{'id':{'$uuid':'00112233-4455-6677-8899-aabbccddeeff'}},'txnNumber':{'$numberLong':'7'},"
"'op':'u','ns':'shop.a.b','ui':{'$uuid':'ffeeddcc-bbaa-9988-7766-554433221100'},"
"'o':{'$v':2,'diff':{'u':{'x':1}}},'o2':{'_id':5},'stmtId':[0,1],'b':true,'fromMigrate':true,"
"'ts':" TS(100, 3) ",'t':{'$numberLong':'4'},'v':{'$numberLong':'2'},"
"'wall':{'$date':{'$numberLong':'1600000000123'}},'multiOpType':1,'needsRetryImage':'preImage',"
"'prevOpTime':{'ts':" TS(99, 1) ",'t':{'$numberLong':'3'}}}";

static void
test_takes_every_field(void)
{
	bson_t	   *bson = from_json(full_entry);
	MtOplogEntry entry;
	MtOplogError error;

	MT_CHECK(mt_oplog_entry_parse(slice_of(bson), &entry, &error) == MT_OPLOG_OK);
	MT_CHECK(entry.ts == (UINT64_C(100) << 32 | 3));
	MT_CHECK(entry.term == 4);
	MT_CHECK(entry.wall_ms == INT64_C(1600000000123));
	MT_CHECK(text_is(entry.op, "u"));
	MT_CHECK(text_is(entry.ns, "shop.a.b"));
	MT_CHECK(entry.o.len > 5 && entry.o2.len > 5 && entry.lsid.len > 5);
	MT_CHECK(entry.ui.len == 16 && entry.ui.data[0] == 0xff && entry.ui.data[15] == 0);
	MT_CHECK(entry.has_txn_number && entry.txn_number == 7);
	MT_CHECK(entry.prev_ts == (UINT64_C(99) << 32 | 1) && entry.prev_term == 3);
	MT_CHECK(entry.multi_op_type == 1 && entry.upsert && entry.from_migrate);
	MT_CHECK(mt_oplog_entry_ts(slice_of(bson)) == entry.ts);
	bson_destroy(bson);
}

static void
test_absent_fields_have_their_defaults(void)
{
	bson_t	   *bson = from_json("{'ts':" TS(1, 1) ",'op':'n','ns':'','o':{'msg':'periodic noop'},"
								 "'prevOpTime':{'ts':" TS(0, 0) ",'t':{'$numberLong':'-1'}}}");
	MtOplogEntry entry;
	MtOplogError error;

	MT_CHECK(mt_oplog_entry_parse(slice_of(bson), &entry, &error) == MT_OPLOG_OK);
	MT_CHECK(entry.term == -1 && entry.wall_ms == MT_NO_WALL_TIME);
	MT_CHECK(entry.ns.len == 0 && entry.o2.len == 0 && entry.ui.len == 0 && entry.lsid.len == 0);
	MT_CHECK(!entry.has_txn_number && entry.prev_ts == 0 && entry.multi_op_type == 0);
	MT_CHECK(!entry.upsert && !entry.from_migrate);
	bson_destroy(bson);
}

static void
test_inner_operation_needs_no_ts(void)
{
	bson_t	   *bson = from_json("{'op':'i','ns':'a.b','o':{'_id':1},'ts':'typed by a user','v':1,'h':3}");
	MtOplogEntry entry;
	MtOplogError error;

	MT_CHECK(mt_oplog_entry_parse_inner(slice_of(bson), &entry, &error) == MT_OPLOG_OK);
	MT_CHECK(entry.ts == 0 && text_is(entry.ns, "a.b"));
	MT_CHECK(mt_oplog_entry_parse(slice_of(bson), &entry, &error) == MT_OPLOG_MALFORMED);
	bson_destroy(bson);
}

static void
check_refused(bool inner, const char *json, uint64_t ts, const char *what)
{
	bson_t	   *bson = from_json(json);
	MtOplogEntry entry;
	MtOplogError error;
	MtOplogStatus status;

	memset(&error, 0xAA, sizeof error);
	status = inner ? mt_oplog_entry_parse_inner(slice_of(bson), &entry, &error) :
		mt_oplog_entry_parse(slice_of(bson), &entry, &error);
	if (!MT_CHECK(status == MT_OPLOG_MALFORMED))
		printf("  %s\n", json);
	else if (!MT_CHECK(strstr(error.message, what) != NULL))
		printf("  \"%s\" where \"%s\" was expected\n", error.message, what);
	MT_CHECK(error.cluster_time == ts);
	bson_destroy(bson);
}

static void
test_what_a_server_cannot_have_written_is_refused(void)
{
	const uint64_t ts = UINT64_C(9) << 32 | 1;

#define ENTRY(more) "{'ts':" TS(9, 1) "," more "}"
	check_refused(false, "{'op':'i','ns':'a.b','o':{}}", 0, "no ts");
	check_refused(false, "{'ts':" TS(0, 0) ",'op':'i','ns':'a.b','o':{}}", 0, "no ts");
	check_refused(false, "{'ts':1,'op':'i','ns':'a.b','o':{}}", 0, "\"ts\"");
	check_refused(false, ENTRY("'ns':'a.b','o':{}"), ts, "no op");
	check_refused(false, ENTRY("'op':'i','o':{}"), ts, "no ns");
	check_refused(false, ENTRY("'op':1,'ns':'a.b','o':{}"), ts, "\"op\"");
	check_refused(false, ENTRY("'op':'i','ns':null,'o':{}"), ts, "\"ns\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','o':[]"), ts, "\"o\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','o2':3"), ts, "\"o2\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','v':1"), ts, "not version 2");
	check_refused(false, ENTRY("'v':{'$numberLong':'3'},'op':'i','ns':'a.b'"), ts, "not version 2");
	check_refused(false, ENTRY("'ui':{'$binary':{'base64':'AAAA','subType':'04'}},'op':'i','ns':'a.b'"), ts, "\"ui\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','b':1"), ts, "\"b\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','ui':'x'"), ts, "\"ui\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','wall':1"), ts, "\"wall\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','lsid':1"), ts, "\"lsid\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','txnNumber':1.5"), ts, "\"txnNumber\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','prevOpTime':{'t':1}"), ts, "\"prevOpTime\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','prevOpTime':{'ts':" TS(1, 1) ",'t':'x'}"), ts, "\"prevOpTime\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','multiOpType':-1"), ts, "\"multiOpType\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','fromMigrate':'yes'"), ts, "\"fromMigrate\"");
	check_refused(false, ENTRY("'op':'i','ns':'a.b','op':'d'"), ts, "twice");
	/* the ts is found although it stands behind what is wrong */
	check_refused(false, "{'op':1,'ns':'a.b','ts':" TS(9, 1) "}", ts, "\"op\"");
	check_refused(true, "{'ns':'a.b','o':{}}", 0, "no op");
	check_refused(true, "{'op':'i','o':{}}", 0, "no ns");
	check_refused(true, "{'op':'i','ns':'a.b'}", 0, "no o");
}

/* Every shorter copy, in memory of exactly its size, and every byte changed:
 * an error or a parse, and never a byte outside (the sanitizers watch). */
static void
test_damage_is_an_error(void)
{
	bson_t	   *bson = from_json(full_entry);
	MtOplogEntry entry;
	MtOplogError error;
	int			parsed = 0;

	for (uint32_t len = 0; len < bson->len; len++)
	{
		uint8_t    *copy = malloc(len ? len : 1);
		MtSlice		slice = {copy, len};

		memcpy(copy, bson_get_data(bson), len);
		MT_CHECK(mt_oplog_entry_parse(slice, &entry, &error) == MT_OPLOG_MALFORMED);
		if (len >= 5)
		{
			/* a length that says the truth, and a terminator */
			uint32_t	le = BSON_UINT32_TO_LE(len);

			memcpy(copy, &le, 4);
			copy[len - 1] = 0;
			(void) mt_oplog_entry_parse(slice, &entry, &error);
			(void) mt_oplog_entry_ts(slice);
		}
		free(copy);
	}
	for (uint32_t at = 0; at < bson->len; at++)
	{
		uint8_t    *copy = malloc(bson->len);
		MtSlice		slice = {copy, bson->len};

		memcpy(copy, bson_get_data(bson), bson->len);
		for (int value = 0; value < 256; value++)
		{
			copy[at] = (uint8_t) value;
			parsed += mt_oplog_entry_parse(slice, &entry, &error) == MT_OPLOG_OK;
		}
		free(copy);
	}
	MT_CHECK(parsed > 0);
	bson_destroy(bson);
}

static void
test_operation_names_read_back(void)
{
	for (int i = MT_OPERATION_NONE + 1; i < MT_OPERATION_COUNT; i++)
		MT_CHECK(mt_operation_from_name(mt_operation_name((MtOperation) i)) == (MtOperation) i);
	MT_CHECK(strcmp(mt_operation_name(MT_OPERATION_DROP_DATABASE), "dropDatabase") == 0);
	MT_CHECK(mt_operation_from_name("none") == MT_OPERATION_NONE);
	MT_CHECK(mt_operation_from_name("Insert") == MT_OPERATION_NONE);
	MT_CHECK(mt_operation_name((MtOperation) 200) != NULL);
	MT_CHECK(mt_operation_name((MtOperation) -1) != NULL);
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(takes_every_field),
	MT_UNIT_TEST(absent_fields_have_their_defaults),
	MT_UNIT_TEST(inner_operation_needs_no_ts),
	MT_UNIT_TEST(what_a_server_cannot_have_written_is_refused),
	MT_UNIT_TEST(damage_is_an_error),
	MT_UNIT_TEST(operation_names_read_back),
};

MT_UNIT_MAIN(tests)
