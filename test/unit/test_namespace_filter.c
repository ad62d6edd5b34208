/*
 * test_namespace_filter.c
 *		What the patterns match, which are refused, what covers what, and the
 *		query that is sent to MongoDB.
 */
#include <bson/bson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "oplog/namespace_filter.h"
#include "unit.h"

#define MAX_PATTERNS 8

/* A filter from "a.b c.* -d.e": - stands before an exclude. */
static MtNamespaceFilter *
filter_of(const char *spec)
{
	char	   *copy = strdup(spec);
	const char *includes[MAX_PATTERNS];
	const char *excludes[MAX_PATTERNS];
	int			n_includes = 0;
	int			n_excludes = 0;
	char		message[300];
	MtNamespaceFilter *filter;

	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		if (p[0] == '-')
			excludes[n_excludes++] = p + 1;
		else
			includes[n_includes++] = p;
	filter = mt_namespace_filter_new(includes, n_includes, excludes, n_excludes, message, sizeof message);
	if (filter == NULL)
	{
		printf("%s: %s\n", spec, message);
		abort();
	}
	free(copy);
	return filter;
}

static MtSlice
slice_of(const char *text)
{
	MtSlice		slice = {(const uint8_t *) text, (uint32_t) strlen(text)};

	return slice;
}

static bool
passes(const char *spec, const char *namespace)
{
	MtNamespaceFilter *filter = filter_of(spec);
	size_t		len = strlen(namespace);
	uint8_t    *copy = malloc(len ? len : 1);
	MtSlice		slice = {copy, (uint32_t) len};
	bool		result;

	memcpy(copy, namespace, len);
	result = mt_namespace_filter_match(filter, slice);
	free(copy);
	mt_namespace_filter_free(filter);
	return result;
}

static void
test_patterns(void)
{
	MT_CHECK(passes("shop.a", "shop.a"));
	MT_CHECK(!passes("shop.a", "shop.ab"));
	MT_CHECK(!passes("shop.a", "shop.a.b"));
	MT_CHECK(passes("shop.a.b", "shop.a.b"));
	MT_CHECK(passes("shop.*", "shop.a.b"));
	MT_CHECK(!passes("shop.*", "shopx.a"));
	MT_CHECK(!passes("shop.*", "shop"));
	MT_CHECK(!passes("shop.*", "x.shop.a"));
	MT_CHECK(passes("*.a", "shop.a"));
	MT_CHECK(passes("*.a.b", "shop.a.b"));
	MT_CHECK(!passes("*.b", "shop.a.b"));
	MT_CHECK(passes("*", "x.y") && passes("*.*", "x.y"));
	MT_CHECK(passes("/^shop\\.(a|b)$/", "shop.b"));
	MT_CHECK(!passes("/^shop\\.(a|b)$/", "shop.bc"));
	MT_CHECK(passes("/hop/", "shop.bc"));
	MT_CHECK(passes("/^caf\xc3\xa9\\../", "caf\xc3\xa9.x"));
	MT_CHECK(!passes("/./", ""));
	MT_CHECK(passes("mall.x shop.a", "shop.a"));
	MT_CHECK(passes("-shop.a", "shop.b") && !passes("-shop.a", "shop.a"));
	MT_CHECK(!passes("shop.* -/secret/", "shop.secret_x"));
	MT_CHECK(!passes("shop.* -*.log", "shop.log") && passes("shop.* -*.log", "shop.logs"));
	MT_CHECK(!passes("-*", "shop.a"));
	MT_CHECK(mt_namespace_filter_match(NULL, slice_of("shop.a")));
}

static void
test_system_namespaces_never_pass(void)
{
	static const char *const system[] = {
		"admin.x", "config.transactions", "local.oplog.rs", "admin", "config", "local",
		"shop.system.views", "shop.system.buckets.t", "shop.system.profile", "shop.system.js",
		"shop.enxcol_.a.esc", "shop.tmp.agg_out.0-1", "shop.tmpAb1cZ.renameCollection",
		"shop.tmpAb1cZ.convertToCapped.a"
	};
	static const char *const others[] = {
		"shop.systematic", "shop.system", "administration.x", "shop.a.system.b", "shop.tmp.agg_outx",
		"shop.tmpAb1c.renameCollection", "shop.tmpAb1cZ.renameCollections", "shop.tmp", "shop.tmpAb1cZ",
		"shop.tmpAb1cZ.convertToCapped", "shop.enxcol", "locals.a", "shop.", "shop", "shop.$cmd"
	};

	for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
	{
		if (!MT_CHECK(mt_namespace_is_system(slice_of(system[i]))))
			printf("  %s\n", system[i]);
		MT_CHECK(!passes("*", system[i]) && !passes("/./", system[i]));
		MT_CHECK(!mt_namespace_filter_match(NULL, slice_of(system[i])));
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (!MT_CHECK(!mt_namespace_is_system(slice_of(others[i]))))
			printf("  %s\n", others[i]);
	MT_CHECK(!passes("admin.x", "admin.x"));
}

static void
test_bad_patterns_are_named(void)
{
	static const char *const bad[][2] = {
		{"", "database.collection"}, {"shop", "database.collection"}, {".a", "database.collection"},
		{"shop.", "database.collection"}, {"sh*.a", "part of a name"}, {"shop.a*", "part of a name"},
		{"shop.a.*", "part of a name"}, {"**", "database.collection"}, {"*.a*", "part of a name"},
		{"/a", "slash"}, {"/", "slash"}, {"//", "slash"}, {"/(/", "regular expression"},
		{"/\\C/", "regular expression"}, {"/a{2,1}/", "regular expression"}
	};
	char		message[300];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
	{
		message[0] = '\0';
		MT_CHECK(mt_namespace_filter_new(&bad[i][0], 1, NULL, 0, message, sizeof message) == NULL);
		MT_CHECK(mt_namespace_filter_new(NULL, 0, &bad[i][0], 1, message, sizeof message) == NULL);
		if (!MT_CHECK(strstr(message, bad[i][1]) != NULL && strstr(message, bad[i][0]) != NULL))
			printf("  %s: %s\n", bad[i][0], message);
		MT_CHECK(mt_namespace_filter_new(&bad[i][0], 1, NULL, 0, message, 10) == NULL && strlen(message) == 9);
	}
}

/* Patterns that would take for ever, or all memory, or the stack. */
static void
test_no_regex_can_hang(void)
{
	static const char *const cruel[] = {
		"/^(a+)+$/", "/^(([a-z])+.)+[A-Z]([a-z])+$/", "/(a|aa)+$/", "/^(?:a?){60}a{60}$/",
		"/^((a*)*)*b/", "/(?R)?a/", "/^(a(?1)?)+b/", "/(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x\\1/"
	};
	char		subject[1 << 12];
	clock_t		began = clock();

	memset(subject, 'a', sizeof subject);
	memcpy(subject, "shop.", 5);
	subject[sizeof subject - 1] = '\0';
	for (size_t i = 0; i < sizeof cruel / sizeof cruel[0]; i++)
	{
		passes(cruel[i], subject);
		passes(cruel[i], "shop.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
	}
	/* a limit that is reached counts as no match */
	MT_CHECK(!passes("/^shop.(a+)+!!$/", "shop.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
	MT_CHECK((double) (clock() - began) / CLOCKS_PER_SEC < 10.0);
	/* invalid UTF-8 is not matched by a regex, and is by its database */
	MT_CHECK(!passes("/shop/", "shop.\xff\xfe"));
	MT_CHECK(passes("shop.*", "shop.\xff\xfe"));
}

static void
test_match_database(void)
{
	static const struct
	{
		const char *spec;
		const char *database;
		bool		expected;
	}			cases[] = {
		{"shop.a", "shop", true}, {"shop.a", "sho", false}, {"shop.*", "shop", true},
		{"shop.*", "mall", false}, {"*.a", "mall", true}, {"/x/", "mall", true}, {"", "mall", true},
		{"*", "admin", false}, {"-shop.*", "shop", false}, {"-shop.a", "shop", true},
		{"-*", "shop", false}, {"shop.* -*", "shop", false}, {"", "local", false}
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
	{
		MtNamespaceFilter *filter = filter_of(cases[i].spec);

		if (!MT_CHECK(mt_namespace_filter_match_database(filter, slice_of(cases[i].database)) == cases[i].expected))
			printf("  \"%s\" %s\n", cases[i].spec, cases[i].database);
		mt_namespace_filter_free(filter);
	}
	MT_CHECK(mt_namespace_filter_match_database(NULL, slice_of("shop")));
	MT_CHECK(!mt_namespace_filter_match_database(NULL, slice_of("config")));
}

static void
test_covers(void)
{
	static const struct
	{
		const char *outer;
		const char *inner;
		bool		expected;
	}			cases[] = {
		{"", "", true}, {"*", "", true}, {"", "shop.a", true}, {"shop.a", "", false},
		{"shop.*", "shop.a", true}, {"shop.*", "shop.a shop.b", true}, {"shop.*", "shop.a mall.a", false},
		{"shop.*", "shop.*", true}, {"shop.*", "*", false}, {"*.a", "shop.a", true}, {"*.a", "*.a", true},
		{"shop.*", "*.a", false}, {"/^shop/", "shop.a", true}, {"/^shop/", "/^shop/", true},
		{"/^sho/", "/^shop/", false}, {"shop.*", "/^shop\\./", false}, {"/^shop/", "shop.*", false},
		{"shop.a shop.b", "shop.a", true}, {"shop.a", "shop.a shop.b", false},
		/* excludes of the outer */
		{"-shop.a", "shop.a", false}, {"-shop.a", "shop.b", true}, {"-shop.a", "shop.*", false},
		{"-shop.a", "mall.*", true}, {"-shop.a", "-shop.a", true}, {"-shop.a", "-shop.*", true},
		{"-shop.*", "-shop.a", false}, {"-*.log", "*.a", true}, {"-*.log", "shop.*", false},
		{"-*.log", "shop.* -*.log", true}, {"-*.log", "shop.* -shop.log", false}, {"-/x/", "-/x/", true},
		{"-/x/", "shop.a", true}, {"-/x/", "shop.x", false}, {"-/x/", "shop.*", false},
		{"-shop.ab", "/^mall/", true}, {"-shop.ab", "/^shop/", false}, {"-shop.*", "/^mall/", false},
		/* excludes of the inner */
		{"shop.*", "shop.a -shop.a mall.b -mall.b", true}, {"shop.b", "shop.* -shop.a", false},
		{"shop.*", "admin.x shop.a", true}
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
	{
		MtNamespaceFilter *outer = filter_of(cases[i].outer);
		MtNamespaceFilter *inner = filter_of(cases[i].inner);

		if (!MT_CHECK(mt_namespace_filter_covers(outer, inner) == cases[i].expected))
			printf("  outer \"%s\" inner \"%s\"\n", cases[i].outer, cases[i].inner);
		MT_CHECK(mt_namespace_filter_covers(NULL, inner));
		MT_CHECK(mt_namespace_filter_covers(outer, outer));
		mt_namespace_filter_free(outer);
		mt_namespace_filter_free(inner);
	}
}

/* Whatever covers() affirms holds for generated namespaces. */
static void
test_covers_is_true_of_matches(void)
{
	static const char *const specs[] = {
		"", "*", "shop.*", "*.a", "shop.a", "mall.a shop.b", "/a/", "/^shop/", "-shop.a", "-*.a",
		"-shop.*", "-/a/", "shop.* -*.a", "* -shop.b", "shop.* -/a/", "*.a -mall.a"
	};
	static const char *const databases[] = {"shop", "mall", "aa", "admin"};
	static const char *const collections[] = {"a", "b", "ab", "a.b", "system.views", "shop"};
	int			n = (int) (sizeof specs / sizeof specs[0]);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			MtNamespaceFilter *outer = filter_of(specs[i]);
			MtNamespaceFilter *inner = filter_of(specs[j]);
			bool		covers = mt_namespace_filter_covers(outer, inner);

			for (int k = 0; k < 24 && covers; k++)
			{
				char		namespace[64];

				snprintf(namespace, sizeof namespace, "%s.%s", databases[k % 4], collections[k / 4]);
				if (!MT_CHECK(!mt_namespace_filter_match(inner, slice_of(namespace)) ||
							  mt_namespace_filter_match(outer, slice_of(namespace))))
					printf("  outer \"%s\" inner \"%s\" %s\n", specs[i], specs[j], namespace);
			}
			mt_namespace_filter_free(outer);
			mt_namespace_filter_free(inner);
		}
}

static void
check_query(const char *spec, const char *expected)
{
	MtNamespaceFilter *filter = filter_of(spec);
	bson_t		query = BSON_INITIALIZER;
	char	   *json;
	char	   *out;

	mt_namespace_filter_append_query(filter, &query);
	MT_CHECK(bson_validate(&query, BSON_VALIDATE_UTF8, NULL));
	json = bson_as_relaxed_extended_json(&query, NULL);
	out = json;
	for (char *p = json; *p; p++)
		if (*p != ' ')
			*out++ = *p == '"' ? '\'' : *p;
	*out = '\0';
	if (!MT_CHECK(strcmp(json, expected) == 0))
		printf("  %s\n  got      %s\n  expected %s\n", spec, json, expected);
	bson_free(json);
	bson_destroy(&query);
	mt_namespace_filter_free(filter);
}

#define UNKNOWN_OPS "{'op':{'$nin':['i','u','d','c','n']}}"
#define WRITES "'op':{'$in':['i','u','d']}"

static void
test_query(void)
{
	check_query("", "{}");
	check_query("*", "{}");
	check_query("shop.a *", "{}");
	check_query("-/x/", "{}");
	check_query("shop.a shop.b",
				"{'$or':[{'$or':[{'ns':{'$in':['shop.a','shop.b']}}]," WRITES "},"
				"{'op':'c','$or':[{'ns':{'$in':['admin.$cmd','shop.$cmd','shop.$cmd']}},"
				"{'o.renameCollection':{'$exists':true}},{'o.applyOps':{'$exists':true}}]}," UNKNOWN_OPS "]}");
	check_query("shop.* -shop.x",
				"{'$or':[{'$or':[{'ns':{'$gte':'shop.','$lt':'shop/'}}]," WRITES ",'$nor':[{'ns':{'$in':['shop.x']}}]},"
				"{'op':'c','$or':[{'ns':{'$in':['admin.$cmd','shop.$cmd']}},"
				"{'o.renameCollection':{'$exists':true}},{'o.applyOps':{'$exists':true}}]}," UNKNOWN_OPS "]}");
	check_query("*.a+ /b$/",
				"{'$or':[{'$or':[{'ns':{'$regularExpression':{'pattern':'^[^.]*\\\\.a\\\\+\\\\z','options':''}}},"
				"{'ns':{'$regularExpression':{'pattern':'b$','options':''}}}]," WRITES "},{'op':'c'}," UNKNOWN_OPS "]}");
	check_query("-*.log -/x/",
				"{'$or':[{" WRITES ",'$nor':[{'ns':{'$regularExpression':{'pattern':'^[^.]*\\\\.log\\\\z','options':''}}}]},"
				"{'op':'c'}," UNKNOWN_OPS "]}");
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(patterns),
	MT_UNIT_TEST(system_namespaces_never_pass),
	MT_UNIT_TEST(bad_patterns_are_named),
	MT_UNIT_TEST(no_regex_can_hang),
	MT_UNIT_TEST(match_database),
	MT_UNIT_TEST(covers),
	MT_UNIT_TEST(covers_is_true_of_matches),
	MT_UNIT_TEST(query),
};

MT_UNIT_MAIN(tests)
