/*
 * check_bson.h
 *		Checks on BSON written as JSON, for the tests of diffs.
 *
 * A failing check is printed with its line; check_bson_finish prints the
 * closing line and gives the exit status.
 */
#ifndef MT_TEST_CHECK_BSON_H
#define MT_TEST_CHECK_BSON_H

#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "oplog/document_diff.h"

static int	checks_passed;
static int	checks_failed;

static inline void
check_true(bool condition, const char *what, int line)
{
	if (condition)
		checks_passed++;
	else
	{
		checks_failed++;
		printf("line %d: %s\n", line, what);
	}
}
#define CHECK(condition) check_true((condition), #condition, __LINE__)

static inline int
check_bson_finish(void)
{
	printf("%d passed, %d failed\n", checks_passed, checks_failed);
	return checks_failed > 0;
}

static inline MtSlice
slice_of_bson(const bson_t *bson)
{
	MtSlice		s = {bson_get_data(bson), bson->len};

	return s;
}

static inline MtSlice
slice_of_buffer(const MtByteBuffer *buffer)
{
	MtSlice		s = {buffer->data, (uint32_t) buffer->len};

	return s;
}

/* To be freed by bson_destroy; a wrong JSON text ends the test. */
static inline bson_t *
bson_of(const char *json)
{
	bson_error_t error;
	bson_t	   *bson = bson_new_from_json((const uint8_t *) json, -1, &error);

	if (bson == NULL)
	{
		printf("bad JSON in a test: %s: %s\n", json, error.message);
		exit(2);
	}
	return bson;
}

/* Is the buffer the BSON of that JSON, byte for byte? */
static inline bool
buffer_is(const MtByteBuffer *buffer, const char *json)
{
	bson_t	   *expected = bson_of(json);
	bson_t		actual;
	bool		same = buffer->len == expected->len &&
		memcmp(buffer->data, bson_get_data(expected), buffer->len) == 0;

	if (!same && buffer->len > 0 && bson_init_static(&actual, buffer->data, buffer->len))
	{
		char	   *text = bson_as_canonical_extended_json(&actual, NULL);

		printf("expected %s\n  actual %s\n", json, text ? text : "(not BSON)");
		bson_free(text);
	}
	bson_destroy(expected);
	return same;
}

#endif							/* MT_TEST_CHECK_BSON_H */
