/*
 * namespace_filter.c
 *		Patterns over "db.coll": compile, match, compare, and say to MongoDB.
 *
 * A pattern is classified once.  Everything but a regex is matched by length
 * and memcmp.  A regex runs in PCRE2 under limits of steps, depth and memory,
 * so that no pattern can hang or exhaust a tailer: one that reaches a limit
 * does not match.
 *
 * The query is a superset of the filter.  Names and "db.*" are comparisons of
 * bytes there as here.  Where MongoDB's engine might disagree with ours (an
 * excluded regex), the condition is left to us.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "oplog/namespace_filter.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "oplog/change.h"

/* A namespace has at most 255 bytes: these are far beyond what a sane pattern
 * needs for one, and are reached within milliseconds by one that is not. */
#define MT_REGEX_MATCH_LIMIT 100000
#define MT_REGEX_DEPTH_LIMIT 2000
#define MT_REGEX_HEAP_LIMIT_KIB 4096
#define MT_REGEX_MAX_PATTERN 4096

typedef enum MtPatternKind
{
	MT_PATTERN_ALL,				/* "*", "*.*" */
	MT_PATTERN_NAME,			/* "db.coll" */
	MT_PATTERN_DATABASE,		/* "db.*" */
	MT_PATTERN_COLLECTION,		/* "*.coll" */
	MT_PATTERN_REGEX			/* "/regex/" */
} MtPatternKind;

typedef struct MtPattern
{
	MtPatternKind kind;
	MtSlice		text;			/* the name, database, collection or regex; NUL-terminated, owned */
	MtSlice		database;		/* of MT_PATTERN_NAME: a part of text */
	pcre2_code *code;
	pcre2_match_data *match_data;
} MtPattern;

struct MtNamespaceFilter
{
	MtPattern  *includes;
	int			n_includes;
	MtPattern  *excludes;
	int			n_excludes;
	pcre2_match_context *match_context; /* the limits of every regex */
};

static bool
mt_slice_equal(MtSlice a, MtSlice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool
mt_slice_is(MtSlice slice, const char *text)
{
	size_t		len = strlen(text);

	return slice.len == len && memcmp(slice.data, text, len) == 0;
}

static bool
mt_slice_begins(MtSlice slice, const char *prefix)
{
	size_t		len = strlen(prefix);

	return slice.len >= len && memcmp(slice.data, prefix, len) == 0;
}

/* ---- MongoDB's own namespaces ---- */

static bool
mt_database_is_system(MtSlice database)
{
	return mt_slice_is(database, "admin") || mt_slice_is(database, "config") ||
		mt_slice_is(database, "local");
}

/* tmp?????.renameCollection and tmp?????.convertToCapped.*: five random
 * characters follow "tmp". */
static bool
mt_collection_is_scratch(MtSlice collection)
{
	MtSlice		rest;

	if (mt_slice_begins(collection, "tmp.agg_out."))
		return true;
	if (collection.len < 8)
		return false;
	rest.data = collection.data + 8;
	rest.len = collection.len - 8;
	return mt_slice_is(rest, ".renameCollection") || mt_slice_begins(rest, ".convertToCapped.");
}

bool
mt_namespace_is_system(MtSlice namespace)
{
	MtSlice		database;
	MtSlice		collection;

	mt_namespace_split(namespace, &database, &collection);
	if (mt_database_is_system(database))
		return true;
	if (collection.len == 0)
		return false;
	switch (collection.data[0])
	{
		case 's':
			return mt_slice_begins(collection, "system.");
		case 'e':
			return mt_slice_begins(collection, "enxcol_.");
		case 't':
			return mt_slice_begins(collection, "tmp") && mt_collection_is_scratch(collection);
		default:
			return false;
	}
}

/* ---- compiling ---- */

static bool
mt_pattern_fail(char *message, size_t message_size, const char *pattern, const char *why)
{
	snprintf(message, message_size, "namespace pattern \"%.200s\" %s", pattern, why);
	return false;
}

static bool
mt_pattern_copy(MtPattern *p, const char *text, size_t len)
{
	char	   *copy = malloc(len + 1);

	if (copy == NULL)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	p->text.data = (uint8_t *) copy;
	p->text.len = (uint32_t) len;
	return true;
}

static bool
mt_pattern_compile_regex(MtPattern *p, const char *pattern, char *message, size_t message_size)
{
	int			code;
	PCRE2_SIZE	offset;

	p->code = pcre2_compile(p->text.data, p->text.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C,
							&code, &offset, NULL);
	if (p->code == NULL)
	{
		PCRE2_UCHAR why[160];
		char		full[220];

		if (pcre2_get_error_message(code, why, sizeof why) < 0)
			why[0] = '\0';
		snprintf(full, sizeof full, "is not a valid regular expression: %s at byte %zu",
				 (const char *) why, (size_t) offset);
		return mt_pattern_fail(message, message_size, pattern, full);
	}
	p->match_data = pcre2_match_data_create(1, NULL);
	return p->match_data != NULL || mt_pattern_fail(message, message_size, pattern, "ran out of memory");
}

/* Classify text, whose kind is not a regex. */
static const char *
mt_pattern_classify(MtPattern *p, const char *text, const char **body, size_t *body_len)
{
	const char *dot = strchr(text, '.');
	size_t		len = strlen(text);

	*body = text;
	*body_len = len;
	if (strcmp(text, "*") == 0 || strcmp(text, "*.*") == 0)
	{
		p->kind = MT_PATTERN_ALL;
		return NULL;
	}
	if (dot == NULL || dot == text || dot[1] == '\0')
		return "is not of the form database.collection";
	if (memchr(text, '*', len) == NULL)
		p->kind = MT_PATTERN_NAME;
	else if (strcmp(dot, ".*") == 0 && memchr(text, '*', (size_t) (dot - text)) == NULL)
	{
		p->kind = MT_PATTERN_DATABASE;
		*body_len = (size_t) (dot - text);
	}
	else if (text[0] == '*' && dot == text + 1 && strchr(dot, '*') == NULL)
	{
		p->kind = MT_PATTERN_COLLECTION;
		*body = dot + 1;
		*body_len = len - 2;
	}
	else
		return "has a * that stands for a part of a name: use /a regular expression/";
	return NULL;
}

static bool
mt_pattern_init(MtPattern *p, const char *text, char *message, size_t message_size)
{
	size_t		len = strlen(text);
	const char *why;
	const char *body;
	size_t		body_len;
	MtSlice		collection;

	if (text[0] == '/')
	{
		if (len < 3 || text[len - 1] != '/')
			return mt_pattern_fail(message, message_size, text, "does not end in a slash, or is empty");
		if (len > MT_REGEX_MAX_PATTERN)
			return mt_pattern_fail(message, message_size, text, "is longer than 4096 bytes");
		p->kind = MT_PATTERN_REGEX;
		if (!mt_pattern_copy(p, text + 1, len - 2))
			return mt_pattern_fail(message, message_size, text, "ran out of memory");
		return mt_pattern_compile_regex(p, text, message, message_size);
	}
	why = mt_pattern_classify(p, text, &body, &body_len);
	if (why != NULL)
		return mt_pattern_fail(message, message_size, text, why);
	if (!mt_pattern_copy(p, body, body_len))
		return mt_pattern_fail(message, message_size, text, "ran out of memory");
	mt_namespace_split(p->text, &p->database, &collection);
	return true;
}

static bool
mt_patterns_init(MtPattern **patterns, int *n_patterns, const char *const *texts, int n_texts,
				 char *message, size_t message_size)
{
	if (n_texts <= 0)
		return true;
	*patterns = calloc((size_t) n_texts, sizeof **patterns);
	if (*patterns == NULL)
	{
		snprintf(message, message_size, "out of memory");
		return false;
	}
	for (int i = 0; i < n_texts; i++)
	{
		*n_patterns = i + 1;	/* so that a half-made pattern is freed */
		if (!mt_pattern_init(&(*patterns)[i], texts[i], message, message_size))
			return false;
	}
	return true;
}

static void
mt_patterns_free(MtPattern *patterns, int n_patterns)
{
	for (int i = 0; i < n_patterns; i++)
	{
		pcre2_match_data_free(patterns[i].match_data);
		pcre2_code_free(patterns[i].code);
		free((void *) patterns[i].text.data);
	}
	free(patterns);
}

MtNamespaceFilter *
mt_namespace_filter_new(const char *const *includes, int n_includes,
						const char *const *excludes, int n_excludes,
						char *message, size_t message_size)
{
	MtNamespaceFilter *filter = calloc(1, sizeof *filter);

	if (filter != NULL)
		filter->match_context = pcre2_match_context_create(NULL);
	if (filter == NULL || filter->match_context == NULL)
	{
		snprintf(message, message_size, "out of memory");
		mt_namespace_filter_free(filter);
		return NULL;
	}
	pcre2_set_match_limit(filter->match_context, MT_REGEX_MATCH_LIMIT);
	pcre2_set_depth_limit(filter->match_context, MT_REGEX_DEPTH_LIMIT);
	pcre2_set_heap_limit(filter->match_context, MT_REGEX_HEAP_LIMIT_KIB);
	if (!mt_patterns_init(&filter->includes, &filter->n_includes, includes, n_includes,
						  message, message_size) ||
		!mt_patterns_init(&filter->excludes, &filter->n_excludes, excludes, n_excludes,
						  message, message_size))
	{
		mt_namespace_filter_free(filter);
		return NULL;
	}
	return filter;
}

void
mt_namespace_filter_free(MtNamespaceFilter *filter)
{
	if (filter == NULL)
		return;
	mt_patterns_free(filter->includes, filter->n_includes);
	mt_patterns_free(filter->excludes, filter->n_excludes);
	pcre2_match_context_free(filter->match_context);
	free(filter);
}

/* ---- matching ---- */

/* Does the pattern match "db.coll"?  A regex that fails in any way does not. */
static bool
mt_pattern_match(const MtNamespaceFilter *filter, const MtPattern *p, MtSlice namespace)
{
	MtSlice		database;
	MtSlice		collection;

	switch (p->kind)
	{
		case MT_PATTERN_ALL:
			return true;
		case MT_PATTERN_NAME:
			return mt_slice_equal(p->text, namespace);
		case MT_PATTERN_DATABASE:
			return namespace.len > p->text.len && namespace.data[p->text.len] == '.' &&
				memcmp(namespace.data, p->text.data, p->text.len) == 0;
		case MT_PATTERN_COLLECTION:
			mt_namespace_split(namespace, &database, &collection);
			return mt_slice_equal(p->text, collection);
		case MT_PATTERN_REGEX:
			/* older PCRE2 refuses a NULL subject, though its length is 0 */
			return pcre2_match(p->code, namespace.len ? namespace.data : (PCRE2_SPTR) "",
							   namespace.len, 0, 0, p->match_data, filter->match_context) >= 0;
	}
	return false;
}

static bool
mt_patterns_match(const MtNamespaceFilter *filter, const MtPattern *patterns, int n_patterns,
				  MtSlice namespace)
{
	for (int i = 0; i < n_patterns; i++)
		if (mt_pattern_match(filter, &patterns[i], namespace))
			return true;
	return false;
}

bool
mt_namespace_filter_match(const MtNamespaceFilter *filter, MtSlice namespace)
{
	if (mt_namespace_is_system(namespace))
		return false;
	if (filter == NULL)
		return true;
	if (filter->n_includes > 0 &&
		!mt_patterns_match(filter, filter->includes, filter->n_includes, namespace))
		return false;
	return !mt_patterns_match(filter, filter->excludes, filter->n_excludes, namespace);
}

bool
mt_namespace_filter_match_database(const MtNamespaceFilter *filter, MtSlice database)
{
	if (mt_database_is_system(database))
		return false;
	if (filter == NULL)
		return true;
	for (int i = 0; i < filter->n_excludes; i++)
	{
		const MtPattern *p = &filter->excludes[i];

		if (p->kind == MT_PATTERN_ALL ||
			(p->kind == MT_PATTERN_DATABASE && mt_slice_equal(p->text, database)))
			return false;
	}
	for (int i = 0; i < filter->n_includes; i++)
	{
		const MtPattern *p = &filter->includes[i];

		if (p->kind == MT_PATTERN_NAME || p->kind == MT_PATTERN_DATABASE)
		{
			if (mt_slice_equal(p->database, database))
				return true;
		}
		else
			return true;
	}
	return filter->n_includes == 0;
}

/* ---- comparing filters ---- */

/* Is every namespace that b matches matched by a?  b is not a single name. */
static bool
mt_pattern_covers(const MtPattern *a, const MtPattern *b)
{
	return a->kind == MT_PATTERN_ALL || (a->kind == b->kind && mt_slice_equal(a->text, b->text));
}

/* Can it be shown that no namespace is matched by both?  a is not a single name. */
static bool
mt_patterns_disjoint(const MtNamespaceFilter *filter_a, const MtPattern *a, const MtPattern *b)
{
	if (b->kind == MT_PATTERN_NAME)
		return !mt_pattern_match(filter_a, a, b->text);
	return (a->kind == MT_PATTERN_DATABASE || a->kind == MT_PATTERN_COLLECTION) &&
		a->kind == b->kind && !mt_slice_equal(a->text, b->text);
}

/* Is all that one include of inner lets through passed by outer? */
static bool
mt_filter_covers_include(const MtNamespaceFilter *outer, const MtNamespaceFilter *inner,
						 const MtPattern *include)
{
	bool		covered = outer->n_includes == 0;

	if (include->kind == MT_PATTERN_NAME)
		return !mt_namespace_filter_match(inner, include->text) ||
			mt_namespace_filter_match(outer, include->text);
	for (int i = 0; i < outer->n_includes && !covered; i++)
		covered = mt_pattern_covers(&outer->includes[i], include);
	for (int i = 0; i < outer->n_excludes && covered; i++)
	{
		const MtPattern *exclude = &outer->excludes[i];

		covered = mt_patterns_disjoint(inner, include, exclude);
		for (int j = 0; j < inner->n_excludes && !covered; j++)
			covered = exclude->kind == MT_PATTERN_NAME ?
				mt_pattern_match(inner, &inner->excludes[j], exclude->text) :
				mt_pattern_covers(&inner->excludes[j], exclude);
	}
	return covered;
}

bool
mt_namespace_filter_covers(const MtNamespaceFilter *outer, const MtNamespaceFilter *inner)
{
	static const MtPattern all = {.kind = MT_PATTERN_ALL};
	static const MtNamespaceFilter everything;

	if (outer == NULL)
		return true;
	if (inner == NULL)
		inner = &everything;
	if (inner->n_includes == 0)
		return mt_filter_covers_include(outer, inner, &all);
	for (int i = 0; i < inner->n_includes; i++)
		if (!mt_filter_covers_include(outer, inner, &inner->includes[i]))
			return false;
	return true;
}

/* ---- the filter as a query ---- */

/* A BSON array under construction: appends number their own keys. */
typedef struct MtQueryArray
{
	bson_t		array;
	uint32_t	n;
} MtQueryArray;

static void
mt_query_array_key(MtQueryArray *a, char *key, size_t key_size)
{
	snprintf(key, key_size, "%u", a->n++);
}

static void
mt_query_array_add_text(MtQueryArray *a, const char *text, int len)
{
	char		key[12];

	mt_query_array_key(a, key, sizeof key);
	bson_append_utf8(&a->array, key, -1, text, len);
}

static void
mt_query_array_add_document(MtQueryArray *a, const bson_t *document)
{
	char		key[12];

	mt_query_array_key(a, key, sizeof key);
	bson_append_document(&a->array, key, -1, document);
}

/* {key: {$in: [...]}} or $nin; frees values. */
static void
mt_query_append_set(bson_t *query, const char *key, const char *operator, MtQueryArray *values)
{
	bson_t		condition;

	bson_append_document_begin(query, key, -1, &condition);
	bson_append_array(&condition, operator, -1, &values->array);
	bson_append_document_end(query, &condition);
	bson_destroy(&values->array);
}

static void
mt_query_append_set_of(bson_t *query, const char *key, const char *operator,
					   const char *const *texts, int n_texts)
{
	MtQueryArray values = {BSON_INITIALIZER, 0};

	for (int i = 0; i < n_texts; i++)
		mt_query_array_add_text(&values, texts[i], -1);
	mt_query_append_set(query, key, operator, &values);
}

static void
mt_query_append_exists(bson_t *query, const char *key)
{
	bson_t		condition;

	bson_append_document_begin(query, key, -1, &condition);
	bson_append_bool(&condition, "$exists", -1, true);
	bson_append_document_end(query, &condition);
}

/* The regex that matches "*.coll" and nothing else; to be freed, or NULL. */
static char *
mt_query_collection_regex(MtSlice collection)
{
	static const char head[] = "^[^.]*\\.";
	char	   *regex = malloc(sizeof head + 2 * (size_t) collection.len + 3);
	char	   *out = regex;

	if (regex == NULL)
		return NULL;
	memcpy(out, head, sizeof head - 1);
	out += sizeof head - 1;
	for (uint32_t i = 0; i < collection.len; i++)
	{
		uint8_t		c = collection.data[i];

		if (c < 0x80 && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_')
			*out++ = '\\';
		*out++ = (char) c;
	}
	memcpy(out, "\\z", 3);
	return regex;
}

/*
 * Append {ns: ...} for one pattern that is neither a name nor "*".  Databases are a range of
 * bytes, "db." <= ns < "db/", which needs no engine.  False when it cannot be
 * said.
 */
static bool
mt_query_append_pattern(bson_t *query, const MtPattern *p)
{
	char	   *text;

	if (p->kind == MT_PATTERN_REGEX)
	{
		bson_append_regex(query, "ns", -1, (const char *) p->text.data, "");
		return true;
	}
	if (p->kind == MT_PATTERN_COLLECTION)
	{
		text = mt_query_collection_regex(p->text);
		if (text == NULL)
			return false;
		bson_append_regex(query, "ns", -1, text, "");
	}
	else
	{
		bson_t		range;
		int			len = (int) p->text.len + 1;

		text = malloc((size_t) len);
		if (text == NULL)
			return false;
		memcpy(text, p->text.data, p->text.len);
		bson_append_document_begin(query, "ns", -1, &range);
		text[len - 1] = '.';
		bson_append_utf8(&range, "$gte", -1, text, len);
		text[len - 1] = '.' + 1;
		bson_append_utf8(&range, "$lt", -1, text, len);
		bson_append_document_end(query, &range);
	}
	free(text);
	return true;
}

/*
 * Collect conditions on ns, one document each, for the patterns; all names
 * share one $in.  Patterns that exact_only does not allow are left out.  False
 * when one cannot be said.
 */
static bool
mt_query_collect(MtQueryArray *conditions, const MtPattern *patterns, int n_patterns, bool exact_only)
{
	MtQueryArray names = {BSON_INITIALIZER, 0};
	bson_t		condition = BSON_INITIALIZER;
	bool		said = true;

	for (int i = 0; i < n_patterns; i++)
	{
		const MtPattern *p = &patterns[i];

		if (p->kind == MT_PATTERN_NAME)
			mt_query_array_add_text(&names, (const char *) p->text.data, (int) p->text.len);
		else if (p->kind != MT_PATTERN_ALL && !(exact_only && p->kind == MT_PATTERN_REGEX))
		{
			bson_reinit(&condition);
			if (mt_query_append_pattern(&condition, p))
				mt_query_array_add_document(conditions, &condition);
			else
				said = false;
		}
	}
	bson_reinit(&condition);
	mt_query_append_set(&condition, "ns", "$in", &names);
	if (names.n > 0)
		mt_query_array_add_document(conditions, &condition);
	bson_destroy(&condition);
	return said;
}

static bool
mt_patterns_have_all(const MtPattern *patterns, int n_patterns)
{
	for (int i = 0; i < n_patterns; i++)
		if (patterns[i].kind == MT_PATTERN_ALL)
			return true;
	return false;
}

/* Add {op: {$in: [i, u, d]}, $or: [includes], $nor: [excludes]}. */
static bool
mt_query_add_writes(const MtNamespaceFilter *filter, MtQueryArray *branches)
{
	static const char *const writes[] = {"i", "u", "d"};
	MtQueryArray includes = {BSON_INITIALIZER, 0};
	MtQueryArray excludes = {BSON_INITIALIZER, 0};
	bson_t		branch = BSON_INITIALIZER;
	bool		said = true;

	if (!mt_patterns_have_all(filter->includes, filter->n_includes))
		said = mt_query_collect(&includes, filter->includes, filter->n_includes, false);
	/* An exclude that could not be said is one that is applied here alone. */
	(void) mt_query_collect(&excludes, filter->excludes, filter->n_excludes, true);
	if (includes.n > 0)
		bson_append_array(&branch, "$or", -1, &includes.array);
	mt_query_append_set_of(&branch, "op", "$in", writes, 3);
	if (excludes.n > 0)
		bson_append_array(&branch, "$nor", -1, &excludes.array);
	said = said && (includes.n > 0 || excludes.n > 0);
	mt_query_array_add_document(branches, &branch);
	bson_destroy(&branch);
	bson_destroy(&includes.array);
	bson_destroy(&excludes.array);
	return said;
}

/*
 * Add the commands: of the databases that are wanted, if they can be listed;
 * a rename, which is logged under the source's database and may lead into a
 * wanted one; and applyOps, which is logged under the database it was sent
 * to, whatever it holds.  admin carries transactions.
 */
static void
mt_query_add_commands(const MtNamespaceFilter *filter, MtQueryArray *branches)
{
	static const char *const anywhere[] = {"o.renameCollection", "o.applyOps"};
	MtQueryArray databases = {BSON_INITIALIZER, 0};
	bson_t		branch = BSON_INITIALIZER;
	bool		listed = filter->n_includes > 0;

	mt_query_array_add_text(&databases, "admin.$cmd", -1);
	for (int i = 0; i < filter->n_includes; i++)
	{
		const MtPattern *p = &filter->includes[i];
		char	   *ns = malloc(p->database.len + sizeof ".$cmd");

		if (ns == NULL || (p->kind != MT_PATTERN_NAME && p->kind != MT_PATTERN_DATABASE))
			listed = false;
		else
		{
			memcpy(ns, p->database.data, p->database.len);
			memcpy(ns + p->database.len, ".$cmd", sizeof ".$cmd");
			mt_query_array_add_text(&databases, ns, -1);
		}
		free(ns);
	}
	bson_append_utf8(&branch, "op", -1, "c", 1);
	if (listed)
	{
		MtQueryArray choices = {BSON_INITIALIZER, 0};
		bson_t		choice = BSON_INITIALIZER;

		mt_query_append_set(&choice, "ns", "$in", &databases);
		mt_query_array_add_document(&choices, &choice);
		for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++)
		{
			bson_reinit(&choice);
			mt_query_append_exists(&choice, anywhere[i]);
			mt_query_array_add_document(&choices, &choice);
		}
		bson_append_array(&branch, "$or", -1, &choices.array);
		bson_destroy(&choice);
		bson_destroy(&choices.array);
	}
	else
		bson_destroy(&databases.array);
	mt_query_array_add_document(branches, &branch);
	bson_destroy(&branch);
}

void
mt_namespace_filter_append_query(const MtNamespaceFilter *filter, bson_t *query)
{
	static const char *const known[] = {"i", "u", "d", "c", "n"};
	MtQueryArray branches = {BSON_INITIALIZER, 0};
	bson_t		branch = BSON_INITIALIZER;

	if (filter != NULL && mt_query_add_writes(filter, &branches))
	{
		mt_query_add_commands(filter, &branches);
		mt_query_append_set_of(&branch, "op", "$nin", known, 5);
		mt_query_array_add_document(&branches, &branch);
		bson_append_array(query, "$or", -1, &branches.array);
	}
	bson_destroy(&branch);
	bson_destroy(&branches.array);
}
