/*
 * test_hash_ring.c
 *		What the tables of vectors do not hold: MD5 itself, awkward values,
 *		damaged ones, and the ends of the rings.
 */
#include "check_bson.h"

#include "oplog/hash_ring.h"
#include "oplog/md5.h"

static void
check_md5(const char *text, const char *expected, int line)
{
	uint8_t		digest[MT_MD5_BYTES];
	char		hex[2 * MT_MD5_BYTES + 1];

	mt_md5(text, strlen(text), digest);
	for (int i = 0; i < MT_MD5_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	check_true(strcmp(hex, expected) == 0, text, line);
}

/* The test suite of RFC 1321. */
static void
test_md5(void)
{
	check_md5("", "d41d8cd98f00b204e9800998ecf8427e", __LINE__);
	check_md5("a", "0cc175b9c0f1b6a831c399e269772661", __LINE__);
	check_md5("abc", "900150983cd24fb0d6963f7d28e17f72", __LINE__);
	check_md5("message digest", "f96b697d7cb7938d525a2f31aaf161d0", __LINE__);
	check_md5("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b", __LINE__);
	check_md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f", __LINE__);
	check_md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890",
			  "57edf4a22be3c955ac49da2e2107b67a", __LINE__);
}

static void
check_key(MtHashRingKind kind, const char *json, const char *expected, int line)
{
	bson_t	   *bson = bson_of(json);
	MtByteBuffer key = {0};
	MtElement	id;
	bool		same;

	mt_bson_find(slice_of_bson(bson), "v", 1, &id);
	same = mt_hash_ring_key(kind, &id, &key) == MT_HASH_OK && key.len == strlen(expected) &&
		(key.len == 0 || memcmp(key.data, expected, key.len) == 0);
	if (!same)
		printf("key %.*s\n", (int) key.len, key.len > 0 ? (const char *) key.data : "");
	check_true(same, json, line);
	mt_byte_buffer_free(&key);
	bson_destroy(bson);
}
#define CHECK_V1(json, key) check_key(MT_HASH_RING_V1, (json), (key), __LINE__)
#define CHECK_V2(json, key) check_key(MT_HASH_RING_V2, (json), (key), __LINE__)

static void
test_keys(void)
{
	CHECK_V2("{\"v\":\"\"}", "");
	CHECK_V2("{\"v\":{}}", "map[]");
	CHECK_V2("{\"v\":{\"b\":1,\"a\":1,\"b\":2}}", "map[a:1 b:2]");
	CHECK_V2("{\"v\":{\"a\":[]}}", "map[a:[]]");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"NaN\"}}", "NaN");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"Infinity\"}}", "+Inf");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"0.00009999\"}}", "9.999e-05");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"999999.5\"}}", "999999.5");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"1234567.5\"}}", "1.2345675e+06");
	CHECK_V2("{\"v\":{\"$numberDouble\":\"0.0\"}}", "0");
	CHECK_V2("{\"v\":{\"$regex\":\"a.b\",\"$options\":\"i\"}}", "{\"pattern\": \"a.b\", \"options\": \"i\"}");
	CHECK_V1("{\"v\":{\"$regex\":\"a.b\",\"$options\":\"i\"}}", "{a.b i}");
	CHECK_V1("{\"v\":{\"$date\":{\"$numberLong\":\"951782400000\"}}}", "2000-02-29 00:00:00 +0000 UTC");
	CHECK_V1("{\"v\":{\"$date\":{\"$numberLong\":\"-62135596800001\"}}}", "0000-12-31 23:59:59.999 +0000 UTC");
	CHECK_V1("{\"v\":{\"$date\":{\"$numberLong\":\"253402300800000\"}}}", "10000-01-01 00:00:00 +0000 UTC");
	CHECK_V1("{\"v\":{\"$date\":{\"$numberLong\":\"-9223372036854775808\"}}}", "-292275055-05-16 16:47:04.192 +0000 UTC");
	CHECK_V2("{\"v\":{\"$numberDecimal\":\"NaN\"}}", "NaN");
	CHECK_V1("{\"v\":{\"$numberDecimal\":\"-Infinity\"}}", "-Inf");
	CHECK_V2("{\"v\":{\"$numberDecimal\":\"0.001234\"}}", "0.001234");
	CHECK_V2("{\"v\":{\"$numberDecimal\":\"1.234E-8\"}}", "1.234E-8");
	CHECK_V2("{\"v\":{\"$numberDecimal\":\"9.999999999999999999999999999999999E+6144\"}}", "9.999999999999999999999999999999999E+6144");
}

static void
test_null_and_damaged_ids(void)
{
	bson_t	   *bson = bson_of("{\"v\":null}");
	MtByteBuffer key = {0};
	/* A binary of subtype 2 whose inner length is wrong. */
	static const uint8_t binary[] = {5, 0, 0, 0, 2, 9, 0, 0, 0, 'x'};
	MtElement	id;

	mt_bson_find(slice_of_bson(bson), "v", 1, &id);
	CHECK(mt_hash_ring_key(MT_HASH_RING_V1, &id, &key) == MT_HASH_EVERY_WORKER && key.len == 0);
	id.type = MT_BSON_BINARY;
	id.value = binary;
	id.value_len = sizeof binary;
	CHECK(mt_hash_ring_key(MT_HASH_RING_V2, &id, &key) == MT_HASH_MALFORMED && key.len == 0);
	id.type = MT_BSON_DOCUMENT;
	id.value = (const uint8_t *) "\006\0\0\0\001\0";
	id.value_len = 6;
	CHECK(mt_hash_ring_key(MT_HASH_RING_V2, &id, &key) == MT_HASH_MALFORMED && key.len == 0);
	mt_byte_buffer_free(&key);
	bson_destroy(bson);
}

/* Every key has an owner, and all workers own something of a v1 ring. */
static void
test_owners(void)
{
	static const char *const workers[] = {"Tom", "Dick", "Harry", "Sally", "Jane"};

	for (int kind = MT_HASH_RING_V1; kind <= MT_HASH_RING_V2; kind++)
	{
		MtHashRing *ring = mt_hash_ring_new((MtHashRingKind) kind, workers, 5);
		int			owned[5] = {0};
		int			least = 10000;

		for (int i = 0; i < 10000; i++)
		{
			char		key[16];
			int			len = snprintf(key, sizeof key, "%d", i);
			MtSlice		slice = {(const uint8_t *) key, (uint32_t) len};

			owned[mt_hash_ring_owner(ring, slice)]++;
		}
		for (int i = 0; i < 5; i++)
			least = owned[i] < least ? owned[i] : least;
		CHECK(least > (kind == MT_HASH_RING_V1 ? 1000 : 0));
		mt_hash_ring_free(ring);
	}
}

int
main(void)
{
	test_md5();
	test_keys();
	test_null_and_damaged_ids();
	test_owners();
	return check_bson_finish();
}
