/*
 * test_extended_json.c
 *		Extended JSON to BSON: against libbson's canonical text of what came
 *		out, and what is refused, where and why.
 */
#include <bson/bson.h>
#include <stdlib.h>

#include "unit.h"

#include "oplog/extended_json.h"

/* The text of an array has got another name, and its old one a warning. */
static char *
array_as_json(const bson_t *bson)
{
#if BSON_CHECK_VERSION(1, 29, 0)
	return bson_array_as_legacy_extended_json(bson, NULL);
#else
	return bson_array_as_json(bson, NULL);
#endif
}

/* libbson 1 has two spaces in what is empty and inside of something, 2 has one. */
static void
squeeze_empty(char *text)
{
	char	   *empty;

	while ((empty = strstr(text, "{  }")) != NULL || (empty = strstr(text, "[  ]")) != NULL)
		memmove(empty + 1, empty + 2, strlen(empty + 2) + 1);
}

/* Parse; the canonical Extended JSON of the result, or "offset: reason". */
static char *
parsed(const char *text)
{
	char	   *copy = strdup(text);	/* exact, so that a read past its end is seen */
	MtByteBuffer buffer = {NULL, 0, 0};
	MtJsonError error = {0, ""};
	bool		is_array = false;
	char	   *result;
	bson_t		bson;

	mt_byte_buffer_append(&buffer, "before", 6);
	if (!mt_json_parse(copy, &buffer, &is_array, &error))
	{
		MT_CHECK(buffer.len == 6);
		result = bson_strdup_printf("%zu: %s", error.offset, error.text);
	}
	else if (!bson_init_static(&bson, buffer.data + 6, buffer.len - 6) ||
			 !bson_validate(&bson, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL))
		result = bson_strdup("no BSON");
	else
		result = is_array ? array_as_json(&bson) : bson_as_canonical_extended_json(&bson, NULL);
	mt_byte_buffer_free(&buffer);
	free(copy);
	squeeze_empty(result);
	return result;
}

static void
expect(const char *text, const char *expected, int line)
{
	char	   *result = parsed(text);

	if (!mt_unit_check(strcmp(result, expected) == 0, text, __FILE__, line))
		printf("  is       %s\n  expected %s\n", result, expected);
	bson_free(result);
}
#define IS(text, expected) expect(text, expected, __LINE__)
#define SAME(text) expect(text, text, __LINE__)

static void
test_plain(void)
{
	IS("{}", "{ }");
	IS(" \t\r\n{ } \n", "{ }");
	IS("[]", "[ ]");
	IS("{\"a\":1,\"b\":[true,false,null,\"x\"]}",
	   "{ \"a\" : { \"$numberInt\" : \"1\" }, \"b\" : [ true, false, null, \"x\" ] }");
	IS("[1, [2], {\"a\": {}}]", "[ 1, [ 2 ], { \"a\" : { } } ]");
	/* the order and repetition of names are BSON's to keep */
	IS("{\"b\":{},\"a\":[],\"b\":\"\"}", "{ \"b\" : { }, \"a\" : [ ], \"b\" : \"\" }");
	IS("{\"\":1}", "{ \"\" : { \"$numberInt\" : \"1\" } }");
}

static void
test_numbers(void)
{
	IS("{\"a\":-0}", "{ \"a\" : { \"$numberInt\" : \"0\" } }");
	IS("{\"a\":-2147483648}", "{ \"a\" : { \"$numberInt\" : \"-2147483648\" } }");
	IS("{\"a\":2147483648}", "{ \"a\" : { \"$numberLong\" : \"2147483648\" } }");
	IS("{\"a\":9223372036854775807}", "{ \"a\" : { \"$numberLong\" : \"9223372036854775807\" } }");
	IS("{\"a\":-0.0}", "{ \"a\" : { \"$numberDouble\" : \"-0.0\" } }");
	IS("{\"a\":1.5e3}", "{ \"a\" : { \"$numberDouble\" : \"1500.0\" } }");
	IS("{\"a\":1E-2}", "{ \"a\" : { \"$numberDouble\" : \"0.010000000000000000208\" } }");
	IS("{\"a\":9223372036854775808}",
	   "5: an integer does not fit 64 bits; write {\"$numberDecimal\": \"...\"}");
	IS("{\"a\":99999999999999999999999}",
	   "5: an integer does not fit 64 bits; write {\"$numberDecimal\": \"...\"}");
	IS("{\"a\":1e400}", "5: a number is larger than a double can be");
	IS("{\"a\":01}", "5: no number of JSON's");
	IS("{\"a\":1.}", "5: no number of JSON's");
	IS("{\"a\":-}", "5: no number of JSON's");
	IS("{\"a\":1e}", "5: no number of JSON's");
	IS("{\"a\":1-2}", "5: no number of JSON's");
	IS("{\"a\":.5}", "5: a value was expected");
	IS("{\"a\":+5}", "5: a value was expected");
	IS("{\"a\":NaN}", "5: a value was expected");
}

static void
test_strings(void)
{
	IS("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{ \"a\" : \"\\\"\\\\/\\b\\f\\n\\r\\t\" }");
	IS("{\"a\":\"\\u00e4\\u6771\\ud83d\\ude00 ä東😀\"}", "{ \"a\" : \"ä東😀 ä東😀\" }");
	IS("{\"a\":\"x\\u0000y\"}", "{ \"a\" : \"x\\u0000y\" }");
	IS("{\"\\u0061\":1}", "{ \"a\" : { \"$numberInt\" : \"1\" } }");
	IS("{\"a\\u0000\":1}", "10: a NUL in the name of a field");
	IS("{\"a\":\"\\ud83d\"}", "12: half of a surrogate pair");
	IS("{\"a\":\"\\ude00\"}", "8: half of a surrogate pair");
	IS("{\"a\":\"\\ud83d\\u0041\"}", "12: half of a surrogate pair");
	IS("{\"a\":\"\\u12\"}", "8: \\u needs four hexadecimal digits");
	IS("{\"a\":\"\\x\"}", "7: no such escape sequence");
	IS("{\"a\":\"\\", "7: no such escape sequence");
	IS("{\"a\":\"b", "7: a string does not end");
	IS("{\"a\":\"b\nc\"}", "7: a control character in a string");
}

static void
test_structure(void)
{
	IS("", "0: a value was expected");
	IS("1", "1: a document or an array was expected");
	IS("\"x\"", "3: a document or an array was expected");
	IS("{\"$oid\":\"507f1f77bcf86cd799439011\"}", "35: a document or an array was expected");
	IS("{", "1: a string was expected");
	IS("{\"a\"", "4: a colon was expected");
	IS("{\"a\":", "5: a value was expected");
	IS("{\"a\":1", "6: a comma or } was expected");
	IS("{\"a\":1,}", "7: a string was expected");
	IS("{a:1}", "1: a string was expected");
	IS("{'a':1}", "1: a string was expected");
	IS("[1", "2: a comma or ] was expected");
	IS("[1,]", "3: a value was expected");
	IS("{}{}", "2: more than one value");
	IS("{} x", "3: more than one value");
	IS("{\"a\":truE}", "5: a value was expected");
}

static void
test_depth(void)
{
	char		text[3 * MT_JSON_MAX_DEPTH];
	char	   *result;

	for (int depth = MT_JSON_MAX_DEPTH; depth <= MT_JSON_MAX_DEPTH + 1; depth++)
	{
		memset(text, '[', (size_t) depth);
		memset(text + depth, ']', (size_t) depth);
		text[2 * depth] = '\0';
		result = parsed(text);
		MT_CHECK((strstr(result, "nested too deep") == NULL) == (depth == MT_JSON_MAX_DEPTH));
		bson_free(result);
	}
	/* side by side they are not deep */
	result = parsed("[[],[],[[]],{\"a\":{}}]");
	MT_CHECK(strcmp(result, "[ [ ], [ ], [ [ ] ], { \"a\" : { } } ]") == 0);
	bson_free(result);
}

/* Each type as MongoDB's specification writes it canonically. */
static void
test_types(void)
{
	SAME("{ \"a\" : { \"$oid\" : \"507f1f77bcf86cd799439011\" } }");
	SAME("{ \"a\" : { \"$symbol\" : \"x\" } }");
	SAME("{ \"a\" : { \"$numberInt\" : \"-5\" } }");
	SAME("{ \"a\" : { \"$numberLong\" : \"-9223372036854775808\" } }");
	SAME("{ \"a\" : { \"$numberDouble\" : \"NaN\" } }");
	SAME("{ \"a\" : { \"$numberDouble\" : \"-Infinity\" } }");
	SAME("{ \"a\" : { \"$numberDouble\" : \"1.5\" } }");
	SAME("{ \"a\" : { \"$numberDecimal\" : \"1.50\" } }");
	SAME("{ \"a\" : { \"$numberDecimal\" : \"-1.234567890123456789012345678901234E-6143\" } }");
	SAME("{ \"a\" : { \"$numberDecimal\" : \"NaN\" } }");
	SAME("{ \"a\" : { \"$binary\" : { \"base64\" : \"\", \"subType\" : \"00\" } } }");
	SAME("{ \"a\" : { \"$binary\" : { \"base64\" : \"AA==\", \"subType\" : \"05\" } } }");
	SAME("{ \"a\" : { \"$binary\" : { \"base64\" : \"/+A=\", \"subType\" : \"80\" } } }");
	SAME("{ \"a\" : { \"$binary\" : { \"base64\" : \"//79\", \"subType\" : \"02\" } } }");
	IS("{\"a\":{\"$binary\":{\"subType\":\"4\",\"base64\":\"AQID\"}}}",
	   "{ \"a\" : { \"$binary\" : { \"base64\" : \"AQID\", \"subType\" : \"04\" } } }");
	IS("{\"a\":{\"$uuid\":\"F81d4fae-7dec-11d0-a765-00a0c91e6bf6\"}}",
	   "{ \"a\" : { \"$binary\" : { \"base64\" : \"+B1Prn3sEdCnZQCgyR5r9g==\", \"subType\" : \"04\" } } }");
	SAME("{ \"a\" : { \"$code\" : \"f()\" } }");
	SAME("{ \"a\" : { \"$code\" : \"f()\", \"$scope\" : { \"x\" : { \"$numberInt\" : \"1\" } } } }");
	SAME("{ \"a\" : { \"$timestamp\" : { \"t\" : 4294967295, \"i\" : 1 } } }");
	SAME("{ \"a\" : { \"$regularExpression\" : { \"pattern\" : \"a/b\", \"options\" : \"imx\" } } }");
	IS("{\"a\":{\"$regularExpression\":{\"options\":\"xi\",\"pattern\":\"\"}}}",
	   "{ \"a\" : { \"$regularExpression\" : { \"pattern\" : \"\", \"options\" : \"ix\" } } }");
	SAME("{ \"a\" : { \"$dbPointer\" : { \"$ref\" : \"db.c\", \"$id\" : { \"$oid\" : \"507f1f77bcf86cd799439011\" } } } }");
	SAME("{ \"a\" : { \"$minKey\" : 1 } }");
	SAME("{ \"a\" : { \"$maxKey\" : 1 } }");
	SAME("{ \"a\" : { \"$undefined\" : true } }");
	SAME("{ \"a\" : { \"$date\" : { \"$numberLong\" : \"-1\" } } }");
}

static void
date_is(const char *text, const char *ms, int line)
{
	char	   *json = bson_strdup_printf("{\"a\":{\"$date\":\"%s\"}}", text);
	char	   *expected = bson_strdup_printf("{ \"a\" : { \"$date\" : { \"$numberLong\" : \"%s\" } } }", ms);

	expect(json, expected, line);
	bson_free(json);
	bson_free(expected);
}

static void
date_is_not(const char *text, int line)
{
	char	   *json = bson_strdup_printf("{\"a\":{\"$date\":\"%s\"}}", text);
	char	   *result = parsed(json);

	mt_unit_check(strstr(result, ": $date is a text like") != NULL, text, __FILE__, line);
	bson_free(json);
	bson_free(result);
}

static void
test_dates(void)
{
	date_is("1970-01-01T00:00:00Z", "0", __LINE__);
	date_is("1969-12-31T23:59:59.999Z", "-1", __LINE__);
	date_is("2000-02-29T12:34:56.7Z", "951827696700", __LINE__);
	date_is("2000-03-01T00:00:00Z", "951868800000", __LINE__);
	date_is("1900-02-28T00:00:00Z", "-2203977600000", __LINE__);
	date_is("0000-01-01T00:00:00Z", "-62167219200000", __LINE__);
	date_is("0000-02-29T00:00:00Z", "-62162121600000", __LINE__);
	date_is("9999-12-31T23:59:59.99Z", "253402300799990", __LINE__);
	date_is("2026-01-31T01:00:00+01:30", "1769815800000", __LINE__);
	date_is("2026-01-31T01:00:00-0130", "1769826600000", __LINE__);
	date_is_not("2026-01-31", __LINE__);
	date_is_not("2026-01-31T01:00:00", __LINE__);
	date_is_not("2026-01-31 01:00:00Z", __LINE__);
	date_is_not("2026-01-31T01:00Z", __LINE__);
	date_is_not("1900-02-29T00:00:00Z", __LINE__);
	date_is_not("2026-13-01T00:00:00Z", __LINE__);
	date_is_not("2026-00-01T00:00:00Z", __LINE__);
	date_is_not("2026-04-31T00:00:00Z", __LINE__);
	date_is_not("2026-04-30T24:00:00Z", __LINE__);
	date_is_not("2026-04-30T00:00:60Z", __LINE__);
	date_is_not("2026-04-30T00:00:00.1234Z", __LINE__);
	date_is_not("2026-04-30T00:00:00.Z", __LINE__);
	date_is_not("2026-04-30T00:00:00Zx", __LINE__);
	date_is_not("2026-04-30T00:00:00+24:00", __LINE__);
	date_is_not("26-04-30T00:00:00Z", __LINE__);
}

/* What names a type is that type or an error. */
static void
test_broken_types(void)
{
	static const char *const broken[] = {
		"{\"$oid\":\"507f1f77bcf86cd79943901\"}", "{\"$oid\":\"507f1f77bcf86cd79943901g\"}", "{\"$oid\":5}",
		"{\"$oid\":\"507f1f77bcf86cd799439011\",\"x\":1}", "{\"$oid\":\"507f1f77bcf86cd799439011\",\"x\":1,\"y\":1}",
		"{\"$numberInt\":\"2147483648\"}", "{\"$numberInt\":5}", "{\"$numberInt\":\"5.0\"}", "{\"$numberInt\":\"\"}",
		"{\"$numberLong\":\"9223372036854775808\"}", "{\"$numberLong\":\" 5\"}", "{\"$numberDouble\":\"1e999\"}",
		"{\"$numberDouble\":\"inf\"}", "{\"$numberDouble\":\"0x1p3\"}", "{\"$numberDecimal\":\"x\"}",
		"{\"$numberDecimal\":\"12345678901234567890123456789012345\"}", "{\"$numberDecimal\":\"1E+7000\"}",
		"{\"$numberDecimal\":\"\"}", "{\"$numberDecimal\":\"1 \"}",
		"{\"$date\":5}", "{\"$date\":{\"$numberInt\":\"5\"}}", "{\"$binary\":\"AA==\",\"$type\":\"00\"}",
		"{\"$binary\":{\"base64\":\"AA=\",\"subType\":\"00\"}}", "{\"$binary\":{\"base64\":\"A===\",\"subType\":\"00\"}}",
		"{\"$binary\":{\"base64\":\"AA==AA==\",\"subType\":\"00\"}}", "{\"$binary\":{\"base64\":\"*A==\",\"subType\":\"00\"}}",
		"{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"\"}}", "{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"0x\"}}",
		"{\"$binary\":{\"base64\":\"AA==\"}}", "{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"00\",\"x\":1}}",
		"{\"$uuid\":\"f81d4fae7dec11d0a76500a0c91e6bf6\"}", "{\"$uuid\":\"f81d4fae-7dec-11d0-a765-00a0c91e6bf\"}",
		"{\"$timestamp\":{\"t\":-1,\"i\":0}}", "{\"$timestamp\":{\"t\":4294967296,\"i\":0}}", "{\"$timestamp\":{\"t\":1}}",
		"{\"$timestamp\":5}", "{\"$regularExpression\":{\"pattern\":\"a\\u0000\",\"options\":\"\"}}",
		"{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"iiiiiiiiiiiiiiii\"}}", "{\"$regularExpression\":\"a\"}",
		"{\"$dbPointer\":{\"$ref\":\"x\",\"$id\":5}}", "{\"$code\":5}", "{\"$code\":\"\",\"$scope\":5}",
		"{\"$code\":\"\",\"scope\":{}}", "{\"$symbol\":1}", "{\"$minKey\":2}", "{\"$maxKey\":true}", "{\"$undefined\":false}",
	};

	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
	{
		char	   *json = bson_strdup_printf("{\"a\":%s}", broken[i]);
		char	   *result = parsed(json);

		mt_unit_check(strstr(result, ": $") != NULL && strstr(result, " is ") != NULL, broken[i], __FILE__, __LINE__);
		bson_free(json);
		bson_free(result);
	}
}

/* What begins with $ and names no type is an operator. */
static void
test_operators(void)
{
	SAME("{ \"a\" : { \"$type\" : { \"$numberInt\" : \"2\" } } }");
	SAME("{ \"a\" : { \"$type\" : [ \"string\", \"int\" ] } }");
	SAME("{ \"a\" : { \"$not\" : { \"$type\" : \"array\" } } }");
	SAME("{ \"a\" : { \"$regex\" : \"^a\", \"$options\" : \"i\" } }");
	SAME("{ \"a\" : { \"$options\" : \"i\", \"$regex\" : \"^a\" } }");
	SAME("{ \"a\" : { \"$ref\" : \"c\", \"$id\" : { \"$numberInt\" : \"1\" } } }");
	SAME("{ \"a\" : { \"$scope\" : { \"$numberInt\" : \"1\" } } }");
	SAME("{ \"a\" : { \"x\" : { \"$numberInt\" : \"1\" }, \"$oid\" : { \"$numberInt\" : \"1\" } } }");
	SAME("{ \"$and\" : [ { \"a\" : { \"$gt\" : { \"$oid\" : \"507f1f77bcf86cd799439011\" } } } ] }");
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(plain),
	MT_UNIT_TEST(numbers),
	MT_UNIT_TEST(strings),
	MT_UNIT_TEST(structure),
	MT_UNIT_TEST(depth),
	MT_UNIT_TEST(types),
	MT_UNIT_TEST(dates),
	MT_UNIT_TEST(broken_types),
	MT_UNIT_TEST(operators),
};
MT_UNIT_MAIN(tests)
