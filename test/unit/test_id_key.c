/*
 * test_id_key.c
 *		Which ids are one key, and which are two.
 */
#include "check_bson.h"
#include "unit.h"

#include "oplog/id_key.h"

/* The key of field v of a document in Extended JSON. */
static MtIdKeyStatus
key_of(const char *json, MtByteBuffer *key)
{
	bson_t	   *bson = bson_of(json);
	MtSlice		doc = {bson_get_data(bson), bson->len};
	MtElement	element;
	MtIdKeyStatus status;

	MT_CHECK(mt_bson_find(doc, "v", 1, &element) == MT_WALK_ELEMENT);
	status = mt_id_key_append(key, &element);
	bson_destroy(bson);
	return status;
}

static void
compare(const char *a, const char *b, bool equal, int line)
{
	MtByteBuffer x = {NULL, 0, 0};
	MtByteBuffer y = {NULL, 0, 0};

	MT_CHECK(key_of(a, &x) == MT_ID_KEY_OK);
	MT_CHECK(key_of(b, &y) == MT_ID_KEY_OK);
	if (!mt_unit_check((x.len == y.len && memcmp(x.data, y.data, x.len) == 0) == equal,
					   equal ? "one key" : "two keys", __FILE__, line))
		printf("  %s and %s\n", a, b);
	mt_byte_buffer_free(&x);
	mt_byte_buffer_free(&y);
}
#define ONE(a, b) compare(a, b, true, __LINE__)
#define TWO(a, b) compare(a, b, false, __LINE__)

#define INT(n) "{\"v\": {\"$numberInt\": \"" n "\"}}"
#define LONG(n) "{\"v\": {\"$numberLong\": \"" n "\"}}"
#define DOUBLE(n) "{\"v\": {\"$numberDouble\": \"" n "\"}}"
#define DECIMAL(n) "{\"v\": {\"$numberDecimal\": \"" n "\"}}"

static void
test_integers(void)
{
	ONE(INT("1"), LONG("1"));
	ONE(INT("1"), DOUBLE("1.0"));
	ONE(INT("1"), DECIMAL("1"));
	ONE(INT("1"), DECIMAL("1.000"));
	ONE(INT("100"), DECIMAL("1E+2"));
	ONE(INT("-120"), DOUBLE("-120.0"));
	ONE(LONG("-9223372036854775808"), DOUBLE("-9223372036854775808"));
	ONE(LONG("9223372036854775807"), DECIMAL("9223372036854775807"));
	TWO(LONG("9223372036854775807"), DOUBLE("9223372036854775808"));
	TWO(LONG("9007199254740993"), DOUBLE("9007199254740992"));
	ONE(LONG("9007199254740992"), DOUBLE("9007199254740992"));
	TWO(INT("1"), INT("-1"));
	TWO(INT("1"), INT("10"));
	TWO(INT("1"), "{\"v\": \"1\"}");
	TWO(INT("1"), "{\"v\": true}");
	TWO(INT("0"), "{\"v\": null}");
}

static void
test_zero(void)
{
	ONE(INT("0"), DOUBLE("0.0"));
	ONE(INT("0"), DOUBLE("-0.0"));
	ONE(INT("0"), DECIMAL("-0E+20"));
	ONE(INT("0"), LONG("0"));
	TWO(INT("0"), DOUBLE("5e-324"));
}

static void
test_fractions(void)
{
	ONE(DOUBLE("0.5"), DECIMAL("0.50"));
	ONE(DOUBLE("-2.25"), DECIMAL("-225E-2"));
	ONE(DOUBLE("9.5367431640625e-07"), DECIMAL("9.5367431640625E-7"));
	TWO(DOUBLE("0.1"), DECIMAL("0.1"));
	ONE(DOUBLE("0.1"), DOUBLE("0.1"));
	TWO(DOUBLE("0.1"), DOUBLE("0.10000000000000002"));
	ONE(DECIMAL("0.1"), DECIMAL("100E-3"));
}

static void
test_large_and_small(void)
{
	ONE(DOUBLE("1e22"), DECIMAL("1E+22"));
	ONE(DOUBLE("1267650600228229401496703205376"), DECIMAL("1267650600228229401496703205376"));
	ONE(DOUBLE("1e300"), DOUBLE("1e300"));
	TWO(DOUBLE("1e300"), DECIMAL("1E+300"));
	TWO(DOUBLE("1e300"), DOUBLE("1.0000000000000002e300"));
	TWO(DOUBLE("1e300"), DOUBLE("-1e300"));
	TWO(DOUBLE("5e-324"), DOUBLE("1e-323"));
	TWO(DECIMAL("1E+6144"), DECIMAL("1E-6176"));
	ONE(DECIMAL("1E+6111"), DECIMAL("10E+6110"));
	ONE(DECIMAL("9999999999999999999999999999999999"), DECIMAL("9999999999999999999999999999999999"));
}

static void
test_not_finite(void)
{
	ONE(DOUBLE("NaN"), DECIMAL("NaN"));
	ONE(DOUBLE("Infinity"), DECIMAL("Infinity"));
	ONE(DOUBLE("-Infinity"), DECIMAL("-Infinity"));
	TWO(DOUBLE("Infinity"), DOUBLE("-Infinity"));
	TWO(DOUBLE("NaN"), DOUBLE("Infinity"));
	TWO(DOUBLE("Infinity"), INT("0"));
}

static void
test_text(void)
{
	ONE("{\"v\": \"a\"}", "{\"v\": {\"$symbol\": \"a\"}}");
	TWO("{\"v\": \"a\"}", "{\"v\": \"A\"}");
	TWO("{\"v\": \"a\"}", "{\"v\": {\"$code\": \"a\"}}");
	TWO("{\"v\": \"\"}", "{\"v\": null}");
}

static void
test_documents(void)
{
	ONE("{\"v\": {\"a\": 1, \"b\": [1, {\"c\": 2}]}}", "{\"v\": {\"a\": 1.0, \"b\": [{\"$numberLong\": \"1\"}, {\"c\": 2.0}]}}");
	TWO("{\"v\": {\"a\": 1, \"b\": 2}}", "{\"v\": {\"b\": 2, \"a\": 1}}");
	TWO("{\"v\": {\"a\": 1}}", "{\"v\": {\"b\": 1}}");
	TWO("{\"v\": {\"a\": 1}}", "{\"v\": {\"a\": 1, \"b\": 1}}");
	TWO("{\"v\": {\"a\": {}}}", "{\"v\": {\"a\": []}}");
	TWO("{\"v\": {\"a\": {\"b\": 1}, \"c\": 1}}", "{\"v\": {\"a\": {\"b\": 1, \"c\": 1}}}");
	TWO("{\"v\": {}}", "{\"v\": null}");
}

/* The key of {"": {"": ... {}}}, so many levels deep. */
static MtIdKeyStatus
key_of_nested(uint32_t levels, MtByteBuffer *key)
{
	uint8_t		bytes[7 * 300];
	uint8_t    *p = bytes;
	MtElement	element;

	memset(bytes, 0, sizeof bytes);
	memset(&element, 0, sizeof element);
	for (uint32_t level = 1; level <= levels; level++, p += 6)
	{
		uint32_t	len = 7 * (levels - level) + 5;

		p[0] = (uint8_t) len;
		p[1] = (uint8_t) (len >> 8);
		p[4] = level < levels ? MT_BSON_DOCUMENT : 0;
	}
	element.type = MT_BSON_DOCUMENT;
	element.name = "";
	element.value = bytes;
	element.value_len = 7 * (levels - 1) + 5;
	return mt_id_key_append(key, &element);
}

static void
test_depth(void)
{
	MtByteBuffer key = {NULL, 0, 0};

	MT_CHECK(key_of_nested(MT_BSON_MAX_DEPTH, &key) == MT_ID_KEY_OK);
	key.len = 0;
	MT_CHECK(key_of_nested(MT_BSON_MAX_DEPTH + 1, &key) == MT_ID_KEY_MALFORMED);
	MT_CHECK(key.len == 0);
	mt_byte_buffer_free(&key);
}

static void
test_damaged(void)
{
	static const uint8_t cut[] = {20, 0, 0, 0, 0};
	MtByteBuffer key = {NULL, 0, 0};
	MtElement	element;

	memset(&element, 0, sizeof element);
	element.type = MT_BSON_DOCUMENT;
	element.name = "";
	element.value = cut;
	element.value_len = sizeof cut;
	MT_CHECK(mt_id_key_append(&key, &element) == MT_ID_KEY_MALFORMED);
	MT_CHECK(key.len == 0);
	mt_byte_buffer_free(&key);
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(integers),
	MT_UNIT_TEST(zero),
	MT_UNIT_TEST(fractions),
	MT_UNIT_TEST(large_and_small),
	MT_UNIT_TEST(not_finite),
	MT_UNIT_TEST(text),
	MT_UNIT_TEST(documents),
	MT_UNIT_TEST(depth),
	MT_UNIT_TEST(damaged),
};
MT_UNIT_MAIN(tests)
