/*
 * test_document_diff.c
 *		Applying updates: what vectors of healthy servers do not show, that is
 *		malformed, misplaced, hostile and oversized ones.
 */
#include "check_bson.h"

typedef MtDiffStatus (*Apply) (MtSlice pre, MtSlice update, MtByteBuffer *post);

/* Apply; expected is the post-image as JSON, or NULL when status is no success. */
static void
check_apply(Apply apply, const char *pre_json, const char *update_json, MtDiffStatus expected_status,
			const char *expected, int line)
{
	bson_t	   *pre = bson_of(pre_json);
	bson_t	   *update = bson_of(update_json);
	MtByteBuffer post = {0};
	MtDiffStatus status = apply(slice_of_bson(pre), slice_of_bson(update), &post);

	if (status != expected_status)
		printf("%s: %s\n", update_json, mt_diff_status_text(status));
	check_true(status == expected_status, update_json, line);
	if (expected == NULL)
		check_true(post.len == 0, "post is as it was", line);
	else
		check_true(buffer_is(&post, expected), expected, line);
	mt_byte_buffer_free(&post);
	bson_destroy(pre);
	bson_destroy(update);
}

#define CHECK_DIFF(pre, diff, post) \
	check_apply(mt_document_diff_apply, (pre), (diff), MT_DIFF_OK, (post), __LINE__)
#define CHECK_BAD_DIFF(pre, diff) \
	check_apply(mt_document_diff_apply, (pre), (diff), MT_DIFF_MALFORMED, NULL, __LINE__)
#define CHECK_MODIFIERS(pre, modifiers, post) \
	check_apply(mt_document_modifiers_apply, (pre), (modifiers), MT_DIFF_OK, (post), __LINE__)
#define CHECK_BAD_MODIFIERS(pre, modifiers) \
	check_apply(mt_document_modifiers_apply, (pre), (modifiers), MT_DIFF_MALFORMED, NULL, __LINE__)

static void
test_order_of_fields(void)
{
	CHECK_DIFF("{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":{\"a\":false},\"u\":{\"c\":7},\"i\":{\"n\":8}}", "{\"b\":2,\"c\":7,\"n\":8}");
	/* i of a field that is there moves it to the end; u of a missing one comes before the i's */
	CHECK_DIFF("{\"a\":1,\"b\":2}", "{\"i\":{\"a\":3}}", "{\"b\":2,\"a\":3}");
	CHECK_DIFF("{\"a\":1}", "{\"u\":{\"z\":1,\"y\":2},\"i\":{\"c\":3,\"b\":4}}", "{\"a\":1,\"z\":1,\"y\":2,\"c\":3,\"b\":4}");
	CHECK_DIFF("{\"a\":1}", "{\"d\":{\"q\":false}}", "{\"a\":1}");
	CHECK_DIFF("{}", "{\"i\":{\"\":1}}", "{\"\":1}");
	CHECK_DIFF("{\"\":1,\"a.b\":2}", "{\"u\":{\"\":3,\"a.b\":4}}", "{\"\":3,\"a.b\":4}");
}

static void
test_replay_over_a_newer_document(void)
{
	/* A sub-diff of a field that is missing or of another kind does nothing. */
	CHECK_DIFF("{\"b\":1}", "{\"sa\":{\"u\":{\"x\":1}}}", "{\"b\":1}");
	CHECK_DIFF("{\"a\":1,\"b\":1}", "{\"sa\":{\"u\":{\"x\":1}}}", "{\"a\":1,\"b\":1}");
	CHECK_DIFF("{\"a\":[1]}", "{\"sa\":{\"u\":{\"x\":1}}}", "{\"a\":[1]}");
	CHECK_DIFF("{\"a\":{\"x\":0}}", "{\"sa\":{\"a\":true,\"u0\":1}}", "{\"a\":{\"x\":0}}");
	CHECK_DIFF("{\"a\":[1,2]}", "{\"sa\":{\"a\":true,\"s1\":{\"u\":{\"x\":1}}}}", "{\"a\":[1,2]}");
	/* An element that is not there at all must become something. */
	CHECK_DIFF("{\"a\":[1]}", "{\"sa\":{\"a\":true,\"s2\":{\"u\":{\"x\":1}}}}", "{\"a\":[1,null,null]}");
	/* Names that occur twice: the first is changed. */
	CHECK_DIFF("{\"a\":1,\"a\":2}", "{\"u\":{\"a\":3}}", "{\"a\":3,\"a\":2}");
	CHECK_DIFF("{\"a\":1,\"a\":2}", "{\"d\":{\"a\":false}}", "{\"a\":2}");
	CHECK_DIFF("{\"a\":1,\"a\":2}", "{\"i\":{\"a\":3}}", "{\"a\":2,\"a\":3}");
	CHECK_DIFF("{\"a\":{\"x\":1},\"a\":{\"x\":1}}", "{\"sa\":{\"u\":{\"x\":2}}}", "{\"a\":{\"x\":2},\"a\":{\"x\":1}}");
}

static void
test_arrays(void)
{
	CHECK_DIFF("{\"a\":[1]}", "{\"sa\":{\"a\":true,\"u4\":9}}", "{\"a\":[1,null,null,null,9]}");
	CHECK_DIFF("{\"a\":[1,2,3]}", "{\"sa\":{\"a\":true,\"l\":0}}", "{\"a\":[]}");
	CHECK_DIFF("{\"a\":[1,2,3]}", "{\"sa\":{\"a\":true,\"l\":2,\"u0\":5}}", "{\"a\":[5,2]}");
	CHECK_DIFF("{\"a\":[1]}", "{\"sa\":{\"a\":true,\"l\":3}}", "{\"a\":[1,null,null]}");
	/* An index beyond the length makes the array that long, as on the server. */
	CHECK_DIFF("{\"a\":[1,2,3]}", "{\"sa\":{\"a\":true,\"l\":1,\"u2\":9}}", "{\"a\":[1,null,9]}");
	CHECK_DIFF("{\"a\":[0,1,2,3,4,5,6,7,8,9,10]}", "{\"sa\":{\"a\":true,\"u2\":\"x\",\"u9\":\"y\",\"u10\":\"z\"}}",
			   "{\"a\":[0,1,\"x\",3,4,5,6,7,8,\"y\",\"z\"]}");
}

static void
test_more_names_than_few(void)
{
	CHECK_DIFF("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"jj\":10,\"k\":11}",
			   "{\"d\":{\"a\":false,\"k\":false},\"u\":{\"b\":-2,\"c\":-3,\"d\":-4,\"zz\":0},\"i\":{\"z\":1,\"e\":-5,\"y\":2,\"x\":3},\"sjj\":{\"u\":{\"q\":1}}}",
			   "{\"b\":-2,\"c\":-3,\"d\":-4,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"jj\":10,\"zz\":0,\"z\":1,\"e\":-5,\"y\":2,\"x\":3}");
	CHECK_BAD_DIFF("{}", "{\"u\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1},\"i\":{\"a\":1}}");
	CHECK_BAD_DIFF("{}", "{\"u\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1},\"si\":{\"u\":{\"a\":1}}}");
}

static void
test_malformed_diffs(void)
{
	const char *pre = "{\"a\":[1,2],\"b\":{\"c\":1}}";

	CHECK_BAD_DIFF(pre, "{}");
	CHECK_BAD_DIFF(pre, "{\"x\":{\"a\":1}}");
	CHECK_BAD_DIFF(pre, "{\"\":{\"a\":1}}");
	CHECK_BAD_DIFF(pre, "{\"u\":1}");
	CHECK_BAD_DIFF(pre, "{\"u\":[1]}");
	CHECK_BAD_DIFF(pre, "{\"i\":{\"q\":1},\"u\":{\"r\":1}}");
	CHECK_BAD_DIFF(pre, "{\"u\":{\"q\":1},\"u\":{\"r\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sb\":{\"u\":{\"c\":1}},\"u\":{\"r\":1}}");
	CHECK_BAD_DIFF(pre, "{\"u\":{\"q\":1},\"i\":{\"q\":1}}");
	CHECK_BAD_DIFF(pre, "{\"d\":{\"b\":false},\"sb\":{\"u\":{\"c\":1}}}");
	CHECK_BAD_DIFF(pre, "{\"u\":{\"q\":1,\"q\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sb\":1}");
	CHECK_BAD_DIFF(pre, "{\"sb\":{}}");
	CHECK_BAD_DIFF(pre, "{\"sb\":{\"q\":1}}");
	CHECK_BAD_DIFF(pre, "{\"a\":true,\"u0\":1}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":false,\"u0\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":1,\"u0\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"l\":-1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"l\":1.5}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u0\":1,\"l\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u1\":1,\"u0\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u1\":1,\"s1\":{\"u\":{\"c\":1}}}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"ux\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u01\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u-1\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u9999999999\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"u99999999999999999999\":1}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"d0\":false}}");
	CHECK_BAD_DIFF(pre, "{\"sa\":{\"a\":true,\"s0\":5}}");
	CHECK_BAD_DIFF("{\"a\":1}", "{\"b\":{\"a\":{\"o\":1}}}");
	CHECK_BAD_DIFF("{\"a\":1}", "{\"b\":{\"a\":1}}");
}

#define COLUMN(base64) "{\"$binary\":{\"base64\":\"" base64 "\",\"subType\":\"07\"}}"

static void
test_column_diffs(void)
{
	/* bytes 1 2 3 4; keep two and append 9 9 9 */
	CHECK_DIFF("{\"x\":0,\"a\":" COLUMN("AQIDBA==") ",\"y\":0}", "{\"b\":{\"a\":{\"o\":2,\"d\":" COLUMN("CQkJ") "}}}",
			   "{\"x\":0,\"a\":" COLUMN("AQIJCQk=") ",\"y\":0}");
	CHECK_DIFF("{\"a\":" COLUMN("AQ==") "}", "{\"b\":{\"a\":{\"o\":0,\"d\":" COLUMN("CQ==") "}}}", "{\"a\":" COLUMN("CQ==") "}");
	/* no such column, or one too short: the entry was made for another state */
	CHECK_DIFF("{\"a\":" COLUMN("AQ==") "}", "{\"b\":{\"a\":{\"o\":2,\"d\":" COLUMN("CQ==") "}}}", "{\"a\":" COLUMN("AQ==") "}");
	CHECK_DIFF("{\"a\":1}", "{\"b\":{\"a\":{\"o\":0,\"d\":" COLUMN("CQ==") "}}}", "{\"a\":1}");
	CHECK_DIFF("{\"c\":1}", "{\"b\":{\"a\":{\"o\":0,\"d\":" COLUMN("CQ==") "}}}", "{\"c\":1}");
	CHECK_BAD_DIFF("{\"a\":" COLUMN("AQ==") "}", "{\"b\":{\"a\":{\"o\":-1,\"d\":" COLUMN("CQ==") "}}}");
}

static void
test_modifiers(void)
{
	const char *pre = "{\"a\":{\"b\":[1,{\"c\":2}]},\"s\":1}";

	CHECK_MODIFIERS(pre, "{\"$v\":1,\"$set\":{\"a.b.1.c\":3,\"a.b.3\":4}}", "{\"a\":{\"b\":[1,{\"c\":3},null,4]},\"s\":1}");
	CHECK_MODIFIERS(pre, "{\"$set\":{\"n.0.x\":1}}", "{\"a\":{\"b\":[1,{\"c\":2}]},\"s\":1,\"n\":{\"0\":{\"x\":1}}}");
	CHECK_MODIFIERS(pre, "{\"$v\":1,\"$unset\":{\"a.b.0\":true,\"a.b.9\":true,\"q.r\":true},\"$set\":{\"s.t\":1,\"u\":1}}",
					"{\"a\":{\"b\":[null,{\"c\":2}]},\"s\":1,\"u\":1}");
	CHECK_MODIFIERS("{}", "{\"$set\":{\"10\":1,\"9\":2,\"b\":3,\"a\":4,\"1a\":5}}", "{\"9\":2,\"10\":1,\"1a\":5,\"a\":4,\"b\":3}");
	CHECK_MODIFIERS("{\"m\":[1,2]}", "{\"$set\":{\"m.01\":7,\"m.x\":8,\"m.99999999999\":9}}", "{\"m\":[1,7]}");
	CHECK_MODIFIERS("{\"a\":1,\"a\":2}", "{\"$set\":{\"a\":3}}", "{\"a\":3,\"a\":2}");
	CHECK_MODIFIERS("{\"a\":1}", "{}", "{\"a\":1}");
	CHECK_MODIFIERS("{\"m\":[]}", "{\"$set\":{\"m.1500001\":1,\"n\":1}}", "{\"m\":[],\"n\":1}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":{\"a\":1,\"a.b\":2}}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":{\"a\":1},\"$unset\":{\"a\":true}}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":{\"a..b\":1}}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":{\"\":1}}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":{\"a.\":1}}");
	CHECK_BAD_MODIFIERS(pre, "{\"$set\":1}");
	CHECK_BAD_MODIFIERS(pre, "{\"$inc\":{\"a\":1}}");
}

/* {key: {key: ... {leaf} ...}} of so many levels, the outermost counted. */
static bson_t *
nested(const char *key, const char *leaf_json, int levels)
{
	bson_t	   *inner = bson_of(leaf_json);

	for (int i = 1; i < levels; i++)
	{
		bson_t	   *outer = bson_new();

		bson_append_document(outer, key, -1, inner);
		bson_destroy(inner);
		inner = outer;
	}
	return inner;
}

static void
test_depth(void)
{
	for (int levels = MT_BSON_MAX_DEPTH; levels <= MT_BSON_MAX_DEPTH + 1; levels++)
	{
		bson_t	   *pre = nested("n", "{\"v\":1}", levels);
		bson_t	   *diff = nested("sn", "{\"u\":{\"v\":2}}", levels);
		bson_t	   *expected = nested("n", "{\"v\":2}", levels);
		MtByteBuffer post = {0};
		MtDiffStatus status = mt_document_diff_apply(slice_of_bson(pre), slice_of_bson(diff), &post);

		if (levels <= MT_BSON_MAX_DEPTH)
			CHECK(status == MT_DIFF_OK && post.len == expected->len &&
				  memcmp(post.data, bson_get_data(expected), post.len) == 0);
		else
			CHECK(status == MT_DIFF_TOO_DEEP && post.len == 0);
		mt_byte_buffer_free(&post);
		bson_destroy(pre);
		bson_destroy(diff);
		bson_destroy(expected);
	}
}

/* A huge length or index is refused before anything of its size is allocated. */
static void
test_size(void)
{
	static const char *const diffs[] = {
		"{\"sa\":{\"a\":true,\"l\":2147483647}}",
		"{\"sa\":{\"a\":true,\"u2147483647\":1}}",
		"{\"sa\":{\"a\":true,\"l\":8000000}}",
	};
	bson_t	   *pre = bson_of("{\"a\":[1]}");
	MtByteBuffer post = {0};

	for (size_t i = 0; i < sizeof diffs / sizeof diffs[0]; i++)
	{
		bson_t	   *diff = bson_of(diffs[i]);

		CHECK(mt_document_diff_apply(slice_of_bson(pre), slice_of_bson(diff), &post) == MT_DIFF_TOO_LARGE);
		CHECK(post.len == 0 && post.capacity < 1024);
		bson_destroy(diff);
	}
	mt_byte_buffer_free(&post);
	bson_destroy(pre);
}

static void
test_largest_document(void)
{
	MtByteBuffer bytes = {0};
	MtByteBuffer post = {0};
	bson_t	   *diff = bson_of("{\"i\":{\"b\":1}}");
	MtSlice		pre;

	/* Room for the new element, 7 bytes, and not a byte more. */
	pre.len = MT_DOCUMENT_MAX_BYTES - 7;
	mt_byte_buffer_reserve(&bytes, pre.len + 1);
	memset(bytes.data, 0, pre.len + 1);
	for (int more = 0; more < 2; more++, pre.len++)
	{
		uint32_t	text_bytes = pre.len - 4 - 3 - 4 - 1;

		for (int i = 0; i < 4; i++)
		{
			bytes.data[i] = (uint8_t) (pre.len >> 8 * i);
			bytes.data[7 + i] = (uint8_t) (text_bytes >> 8 * i);
		}
		memcpy(bytes.data + 4, "\002a", 3);
		pre.data = bytes.data;
		post.len = 0;
		if (more == 0)
			CHECK(mt_document_diff_apply(pre, slice_of_bson(diff), &post) == MT_DIFF_OK &&
				  post.len == MT_DOCUMENT_MAX_BYTES);
		else
			CHECK(mt_document_diff_apply(pre, slice_of_bson(diff), &post) == MT_DIFF_TOO_LARGE &&
				  post.len == 0);
	}
	mt_byte_buffer_free(&bytes);
	mt_byte_buffer_free(&post);
	bson_destroy(diff);
}

/* What stood in post stays, on success and on failure. */
static void
test_post_is_appended_to(void)
{
	bson_t	   *pre = bson_of("{\"a\":[1,2,3]}");
	bson_t	   *good = bson_of("{\"u\":{\"a\":1}}");
	bson_t	   *bad = bson_of("{\"sa\":{\"a\":true,\"u2\":1,\"u1\":1}}");
	MtByteBuffer post = {0};

	mt_byte_buffer_append(&post, "head", 4);
	CHECK(mt_document_diff_apply(slice_of_bson(pre), slice_of_bson(bad), &post) == MT_DIFF_MALFORMED);
	CHECK(post.len == 4 && memcmp(post.data, "head", 4) == 0);
	CHECK(mt_document_diff_apply(slice_of_bson(pre), slice_of_bson(good), &post) == MT_DIFF_OK);
	CHECK(post.len == 4 + 12 && memcmp(post.data, "head\014", 5) == 0);
	mt_byte_buffer_free(&post);
	bson_destroy(pre);
	bson_destroy(good);
	bson_destroy(bad);
}

/* Every truncation and every changed byte of both: an answer, never a crash. */
static void
test_damaged_bytes(Apply apply, const char *update_json)
{
	bson_t	   *pre = bson_of("{\"a\":[1,{\"c\":\"text\"}],\"b\":{\"d\":1.5},\"e\":null}");
	bson_t	   *update = bson_of(update_json);
	bson_t	   *both[2] = {pre, update};
	int			n_refused = 0;

	for (int which = 0; which < 2; which++)
		for (uint32_t at = 0; at < both[which]->len; at++)
			for (int change = 0; change < 256; change++)
			{
				/* exact allocations, so that a sanitizer sees every byte too far */
				uint32_t	len = change == 0 ? at : both[which]->len;
				uint8_t    *damaged = malloc(len + (len == 0));
				MtSlice		slices[2] = {slice_of_bson(pre), slice_of_bson(update)};
				MtByteBuffer post = {0};

				memcpy(damaged, bson_get_data(both[which]), len);
				if (change > 0)
					damaged[at] ^= (uint8_t) change;
				slices[which].data = damaged;
				slices[which].len = len;
				if (apply(slices[0], slices[1], &post) != MT_DIFF_OK)
					n_refused++;
				mt_byte_buffer_free(&post);
				free(damaged);
			}
	CHECK(n_refused > 1000);
	bson_destroy(pre);
	bson_destroy(update);
}

int
main(void)
{
	test_order_of_fields();
	test_replay_over_a_newer_document();
	test_arrays();
	test_more_names_than_few();
	test_malformed_diffs();
	test_column_diffs();
	test_modifiers();
	test_depth();
	test_size();
	test_largest_document();
	test_post_is_appended_to();
	test_damaged_bytes(mt_document_diff_apply,
					   "{\"d\":{\"e\":false},\"i\":{\"n\":1},\"sa\":{\"a\":true,\"l\":3,\"s1\":{\"u\":{\"c\":7}}},\"sb\":{\"u\":{\"d\":1}}}");
	test_damaged_bytes(mt_document_modifiers_apply,
					   "{\"$v\":1,\"$set\":{\"a.1.c\":7,\"a.4\":1,\"n.m\":1},\"$unset\":{\"b.d\":true,\"e\":true}}");
	return check_bson_finish();
}
