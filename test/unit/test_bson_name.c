/*
 * test_bson_name.c
 *		Names that are remembered: the same is known, no other is, and nothing
 *		is read behind the end.
 */
#include <stdlib.h>

#include "unit.h"

#include "oplog/bson_name.h"

#define NAME_MAX_LEN 40
#define REST_MAX_LEN 20

/* An element of that name in memory of exactly its size, so that the sanitizer
 * sees what is read behind it. */
static uint8_t *
element(const uint8_t *name, uint32_t len, uint32_t rest)
{
	uint8_t    *bytes = malloc(1 + len + 1 + rest);

	bytes[0] = MT_BSON_BINARY;
	memcpy(bytes + 1, name, len);
	bytes[1 + len] = 0;
	memset(bytes + 1 + len + 1, 0xaa, rest);
	return bytes;
}

static void
fill(uint8_t *name, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		name[i] = (uint8_t) ('a' + i % 26);
	name[len] = 0;
}

static void
test_the_same_name(void)
{
	uint8_t		name[NAME_MAX_LEN + 1];
	MtKnownName known;

	for (uint32_t len = 0; len <= NAME_MAX_LEN; len++)
		for (uint32_t rest = 0; rest <= REST_MAX_LEN; rest++)
		{
			uint8_t    *bytes;

			fill(name, len);
			mt_known_name_set(&known, name, len);
			bytes = element(name, len, rest);
			MT_CHECK(mt_known_name_is_next(&known, bytes, bytes + 1 + len + 1 + rest));
			free(bytes);
		}
}

static void
test_other_names(void)
{
	uint8_t		name[NAME_MAX_LEN + 1];
	MtKnownName known;

	for (uint32_t len = 0; len <= NAME_MAX_LEN; len++)
		for (uint32_t rest = 0; rest <= REST_MAX_LEN; rest++)
		{
			uint8_t    *bytes;

			fill(name, len);
			mt_known_name_set(&known, name, len);
			bytes = element(name, len, rest);
			/* any byte of it, and the one that ends it */
			for (uint32_t at = 0; at <= len; at++)
			{
				bytes[1 + at] ^= 0x80;
				MT_CHECK(!mt_known_name_is_next(&known, bytes, bytes + 1 + len + 1 + rest));
				bytes[1 + at] ^= 0x80;
			}
			free(bytes);
		}
}

static void
test_cut_names(void)
{
	uint8_t		name[NAME_MAX_LEN + 1];
	MtKnownName known;

	for (uint32_t len = 0; len <= NAME_MAX_LEN; len++)
		for (uint32_t cut = 0; cut <= 1 + len; cut++)
		{
			uint8_t    *bytes;
			uint8_t    *beginning = malloc(cut > 0 ? cut : 1);

			fill(name, len);
			mt_known_name_set(&known, name, len);
			bytes = element(name, len, 0);
			memcpy(beginning, bytes, cut);
			MT_CHECK(!mt_known_name_is_next(&known, beginning, beginning + cut));
			free(beginning);
			free(bytes);
		}
}

/* Not inlined: the compiler would see that no memory has the bytes of no name, and warn of what never runs. */
static __attribute__((noinline)) bool
is_next(const MtKnownName *known, const uint8_t *p, const uint8_t *end)
{
	return mt_known_name_is_next(known, p, end);
}

static void
test_no_name(void)
{
	uint8_t		bytes[64] = {0};
	MtKnownName known = {0};

	mt_known_name_clear(&known);
	for (size_t len = 0; len <= sizeof bytes; len++)
		MT_CHECK(!is_next(&known, bytes, bytes + len));
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(the_same_name),
	MT_UNIT_TEST(other_names),
	MT_UNIT_TEST(cut_names),
	MT_UNIT_TEST(no_name),
};
MT_UNIT_MAIN(tests)
