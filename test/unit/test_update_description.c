/*
 * test_update_description.c
 *		Describing updates.  What the real server says is in the vectors; here
 *		is what those do not hold: disambiguatedPaths, which no server before
 *		6.1 sends, limits, and the touched fields.
 */
#include "check_bson.h"

#include "oplog/update_description.h"

static void
check_description(bool is_diff_v2, const char *update_json, const char *expected, int line)
{
	bson_t	   *update = bson_of(update_json);
	MtByteBuffer out = {0};
	MtDiffStatus status = is_diff_v2
		? mt_update_description_from_diff(slice_of_bson(update), &out)
		: mt_update_description_from_modifiers(slice_of_bson(update), &out);

	if (expected == NULL)
		check_true(status == MT_DIFF_MALFORMED && out.len == 0, update_json, line);
	else
		check_true(status == MT_DIFF_OK && buffer_is(&out, expected), update_json, line);
	mt_byte_buffer_free(&out);
	bson_destroy(update);
}
#define CHECK_DESCRIPTION(diff, expected) check_description(true, (diff), (expected), __LINE__)
#define CHECK_DESCRIPTION_V1(modifiers, expected) check_description(false, (modifiers), (expected), __LINE__)

static void
test_parts(void)
{
	CHECK_DESCRIPTION("{\"d\":{\"x\":false},\"u\":{\"a\":1},\"i\":{\"b\":{\"c\":2}},\"so\":{\"d\":{\"y\":false},\"u\":{\"p\":[1]}}}",
					  "{\"updatedFields\":{\"a\":1,\"b\":{\"c\":2},\"o.p\":[1]},\"removedFields\":[\"x\",\"o.y\"],\"truncatedArrays\":[]}");
	CHECK_DESCRIPTION("{\"sarr\":{\"a\":true,\"l\":4,\"u3\":7,\"s1\":{}}}", NULL);
	CHECK_DESCRIPTION("{\"sarr\":{\"a\":true,\"l\":4,\"s1\":{\"sb\":{\"a\":true,\"l\":0}},\"u3\":7}}",
					  "{\"updatedFields\":{\"arr.3\":7},\"removedFields\":[],\"truncatedArrays\":[{\"field\":\"arr\",\"newSize\":4},{\"field\":\"arr.1.b\",\"newSize\":0}]}");
}

static void
test_disambiguated_paths(void)
{
	/* An index alone is not ambiguous, nor is a digit name at the top. */
	CHECK_DESCRIPTION("{\"u\":{\"0\":1},\"sa\":{\"a\":true,\"u0\":1}}",
					  "{\"updatedFields\":{\"0\":1,\"a.0\":1},\"removedFields\":[],\"truncatedArrays\":[]}");
	/* A name that no array index could be is not. */
	CHECK_DESCRIPTION("{\"sa\":{\"u\":{\"01\":1,\"-1\":1,\"1a\":1,\"\":1}}}",
					  "{\"updatedFields\":{\"a.01\":1,\"a.-1\":1,\"a.1a\":1,\"a.\":1},\"removedFields\":[],\"truncatedArrays\":[]}");
	CHECK_DESCRIPTION("{\"u\":{\"home.town\":1}}",
					  "{\"updatedFields\":{\"home.town\":1},\"removedFields\":[],\"truncatedArrays\":[],\"disambiguatedPaths\":{\"home.town\":[\"home.town\"]}}");
	CHECK_DESCRIPTION("{\"sa\":{\"d\":{\"0\":false},\"i\":{\"10\":1,\"b\":1}}}",
					  "{\"updatedFields\":{\"a.10\":1,\"a.b\":1},\"removedFields\":[\"a.0\"],\"truncatedArrays\":[],"
					  "\"disambiguatedPaths\":{\"a.10\":[\"a\",\"10\"],\"a.0\":[\"a\",\"0\"]}}");
	/* Ambiguity goes on below; indexes are numbers; a truncated array has a path too. */
	CHECK_DESCRIPTION("{\"sa\":{\"a\":true,\"s7\":{\"s1\":{\"a\":true,\"l\":2,\"s1\":{\"u\":{\"z\":5}}},\"sq\":{\"u\":{\"z\":5}}}}}",
					  "{\"updatedFields\":{\"a.7.1.1.z\":5,\"a.7.q.z\":5},\"removedFields\":[],\"truncatedArrays\":[{\"field\":\"a.7.1\",\"newSize\":2}],"
					  "\"disambiguatedPaths\":{\"a.7.1\":[\"a\",7,\"1\"],\"a.7.1.1.z\":[\"a\",7,\"1\",1,\"z\"]}}");
}

static void
test_modifiers(void)
{
	CHECK_DESCRIPTION_V1("{\"$v\":1,\"$set\":{\"a.0\":1,\"b\":[2]},\"$unset\":{\"c.d\":true}}",
						 "{\"updatedFields\":{\"a.0\":1,\"b\":[2]},\"removedFields\":[\"c.d\"],\"truncatedArrays\":[]}");
	CHECK_DESCRIPTION_V1("{\"$v\":1}", "{\"updatedFields\":{},\"removedFields\":[],\"truncatedArrays\":[]}");
	CHECK_DESCRIPTION_V1("{\"$push\":{\"a\":1}}", NULL);
	CHECK_DESCRIPTION_V1("{\"$set\":7}", NULL);
}

/* Paths repeat a long name so often that the description would be gigabytes. */
static void
test_exploding_diff(void)
{
	char	   *name = malloc(1 << 20);
	bson_t	   *inserted = bson_new();
	bson_t	   *section = bson_new();
	bson_t	   *diff = bson_new();
	MtByteBuffer out = {0};

	memset(name, 's', 1 << 20);
	name[(1 << 20) - 1] = '\0';
	for (int i = 0; i < 1000; i++)
	{
		char		key[16];

		snprintf(key, sizeof key, "k%d", i);
		bson_append_int32(inserted, key, -1, i);
	}
	bson_append_document(section, "i", -1, inserted);
	bson_append_document(diff, name, -1, section);
	CHECK(mt_update_description_from_diff(slice_of_bson(diff), &out) == MT_DIFF_TOO_LARGE);
	CHECK(out.len == 0);
	mt_byte_buffer_free(&out);
	bson_destroy(inserted);
	bson_destroy(section);
	bson_destroy(diff);
	free(name);
}

typedef struct Touched
{
	char		names[256];		/* each followed by a semicolon */
	int			left;			/* stop after so many */
} Touched;

static bool
touch(void *context, MtSlice name)
{
	Touched    *touched = context;

	strncat(touched->names, (const char *) name.data, name.len);
	strcat(touched->names, ";");
	return --touched->left > 0;
}

static void
check_touched(bool is_diff_v2, const char *update_json, int stop_after, const char *expected, int line)
{
	bson_t	   *update = bson_of(update_json);
	Touched		touched = {"", stop_after};
	MtDiffStatus status = mt_update_touched_fields(slice_of_bson(update), is_diff_v2, touch, &touched);

	check_true(status == MT_DIFF_OK && strcmp(touched.names, expected) == 0, touched.names, line);
	bson_destroy(update);
}

static void
test_touched_fields(void)
{
	const char *diff = "{\"d\":{\"x\":false},\"u\":{\"a.b\":1},\"i\":{\"\":1},\"so\":{\"u\":{\"p\":1}},\"sarr\":{\"a\":true,\"l\":1}}";
	const char *modifiers = "{\"$v\":1,\"$set\":{\"a.0\":1,\"b\":[2]},\"$unset\":{\"a.d\":true}}";

	check_touched(true, diff, 99, "x;a.b;;o;arr;", __LINE__);
	check_touched(true, diff, 2, "x;a.b;", __LINE__);
	check_touched(false, modifiers, 99, "a;b;a;", __LINE__);
	check_touched(false, modifiers, 1, "a;", __LINE__);
}

int
main(void)
{
	test_parts();
	test_disambiguated_paths();
	test_modifiers();
	test_exploding_diff();
	test_touched_fields();
	return check_bson_finish();
}
