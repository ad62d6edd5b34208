/*
 * json_filter.c
 *		What a clause asks of json, in MongoDB's words: supersets.
 *
 * A column of json shows numbers, strings, booleans, documents and arrays as
 * themselves, and whatever else as an object of Extended JSON, whose keys begin
 * with $ (bson_to_jsonb.c).  So a scalar of json is one of a few BSON values:
 * a number is an integer, or the double nearest to it, since doubles are
 * written by digits that read back as they were.  A string with U+FFFD may
 * stand for bytes that are not text, and is not asked for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "condition/arm.h"
#include "condition/bson_build.h"
#include "condition/json.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* The most conditions that one value of @> becomes. */
#define MAX_CONDITIONS 100

/* The path below a column as a path of the document. */
static char *
full_path(const MtCollectionColumn *column, const char *path)
{
	if (column->is_whole)
		return pstrdup(path);
	return *path == '\0' ? pstrdup(column->path) : psprintf("%s.%s", column->path, path);
}

static char *
below(const char *path, const char *key)
{
	return *path == '\0' ? pstrdup(key) : psprintf("%s.%s", path, key);
}

/* {path: point} or {path: {$in: points}} */
static void
put_points(StringInfo buffer, const char *path, const List *points)
{
	int			field;
	int			list;
	int			n = 0;
	ListCell   *cell;

	if (list_length(points) == 1)
	{
		mt_point_put(buffer, path, linitial(points));
		return;
	}
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
	foreach(cell, points)
		mt_point_put_indexed(buffer, n++, lfirst(cell));
	mt_build_end(buffer, list);
	mt_build_end(buffer, field);
}

/* ---- scalars ---- */

static List *
add_string(List *points, char *string)
{
	return lappend(points, mt_point_bytes(MT_BSON_STRING, string, (int) strlen(string)));
}

static List *
add_number(List *points, Numeric number)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	Datum		rounded = DirectFunctionCall1(numeric_floor, NumericGetDatum(number));
	char	   *integer = DatumGetCString(DirectFunctionCall1(numeric_out, rounded));
	char	   *end;
	int64		value;

	points = lappend(points, mt_point_double(strtod(text, NULL)));
	errno = 0;
	value = strtoll(integer, &end, 10);
	if (errno == 0 && *end == '\0' &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, rounded, NumericGetDatum(number))))
		points = lappend(points, mt_point_integer(MT_BSON_INT64, value));
	return points;
}

/* Is it a number as json writes it? */
static bool
is_json_number(const char *text)
{
	const char *p = text + (*text == '-');
	size_t		n = strspn(p, "0123456789");

	if (n == 0 || (n > 1 && *p == '0'))
		return false;
	p += n;
	if (*p == '.')
	{
		n = strspn(++p, "0123456789");
		if (n == 0)
			return false;
		p += n;
	}
	return *p == '\0' && strlen(text) < 1000;
}

/* What is shown as a text by ->>; false: too much. */
static bool
text_points(char *text, List **points)
{
	if (*text == '{' || *text == '[' || strstr(text, REPLACEMENT) != NULL)
		return false;
	*points = add_string(*points, text);
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		*points = lappend(*points, mt_point_integer(MT_BSON_BOOL, *text == 't'));
	else if (is_json_number(text))
		*points = add_number(*points,
							 DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
	return true;
}

static bool
scalar_points(const JsonbValue *scalar, List **points)
{
	char	   *string;

	switch (scalar->type)
	{
		case jbvString:
			string = pnstrdup(scalar->val.string.val, scalar->val.string.len);
			if (strstr(string, REPLACEMENT) != NULL)
				return false;
			*points = add_string(*points, string);
			return true;
		case jbvNumeric:
			*points = add_number(*points, scalar->val.numeric);
			return true;
		case jbvBool:
			*points = lappend(*points, mt_point_integer(MT_BSON_BOOL, scalar->val.boolean));
			return true;
		case jbvNull:
			*points = lappend(*points, mt_point(MT_BSON_NULL));
			return true;
		default:
			return false;
	}
}

/* ---- containment ---- */

typedef struct Containment
{
	StringInfo	buffer;
	int			n;				/* conditions in $and */
	List	   *paths;			/* which they are of */
} Containment;

static void
contain_scalar(Containment *containment, const char *path, const JsonbValue *scalar)
{
	List	   *points = NIL;
	int			element;

	if (*path == '\0' || containment->n >= MAX_CONDITIONS || !scalar_points(scalar, &points))
		return;
	element = mt_build_begin_indexed(containment->buffer, containment->n++);
	put_points(containment->buffer, path, points);
	mt_build_end(containment->buffer, element);
	containment->paths = lappend(containment->paths, pstrdup(path));
}

/*
 * What must stand below the path so that it contains the value.  What cannot
 * be said is left out.  The elements of an array may stand anywhere in one, and
 * so are asked for at the array's own path.
 */
static void
contain(Containment *containment, const char *path, JsonbContainer *value)
{
	JsonbIterator *iterator = JsonbIteratorInit(value);
	JsonbIteratorToken token;
	JsonbValue	v;
	char	   *child = NULL;	/* NULL: of a key that cannot be said */

	while ((token = JsonbIteratorNext(&iterator, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *key = pnstrdup(v.val.string.val, v.val.string.len);

			child = mt_json_key_is_plain(key) ? below(path, key) : NULL;
		}
		else if (token == WJB_VALUE && child != NULL)
		{
			if (v.type == jbvBinary)
				contain(containment, child, v.val.binary.data);
			else
				contain_scalar(containment, child, &v);
		}
		else if (token == WJB_ELEM && v.type != jbvBinary)
			contain_scalar(containment, path, &v);
		else if (token == WJB_ELEM && JsonContainerIsObject(v.val.binary.data))
			contain(containment, path, v.val.binary.data);
	}
}

static bool
put_containment(StringInfo buffer, const char *path, Jsonb *value)
{
	Containment containment = {buffer, 0, NIL};
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$and");

	contain(&containment, path, &value->root);
	mt_build_end(buffer, list);
	return containment.n > 0;
}

static List *
contained_paths(const char *path, Jsonb *value)
{
	StringInfoData scratch;
	Containment containment = {&scratch, 0, NIL};

	initStringInfo(&scratch);
	contain(&containment, path, &value->root);
	return containment.paths;
}

/* ---- keys ---- */

/* {path.key: {$exists: true}}, or that the path has it as a string */
static int
put_key(StringInfo buffer, int index, const char *path, char *key)
{
	int			element = mt_build_begin_indexed(buffer, index++);
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, below(path, key));

	mt_build_bool(buffer, "$exists", true);
	mt_build_end(buffer, field);
	mt_build_end(buffer, element);
	if (*path == '\0')
		return index;
	element = mt_build_begin_indexed(buffer, index++);
	put_points(buffer, path, add_string(NIL, key));
	mt_build_end(buffer, element);
	return index;
}

/* Any of the keys, or all of them. */
static bool
put_keys(StringInfo buffer, const char *path, char **keys, int n, bool all)
{
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, all ? "$and" : "$or");
	int			index = 0;

	if (n == 0 || n > MAX_CONDITIONS)
		return false;
	for (int i = 0; i < n; i++)
	{
		int			element;
		int			either;

		if (!mt_json_key_is_plain(keys[i]))
			return false;
		if (!all)
		{
			index = put_key(buffer, index, path, keys[i]);
			continue;
		}
		element = mt_build_begin_indexed(buffer, index++);
		either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
		(void) put_key(buffer, 0, path, keys[i]);
		mt_build_end(buffer, either);
		mt_build_end(buffer, element);
	}
	mt_build_end(buffer, list);
	return true;
}

/* Those of an array of text that are not NULL. */
static char **
texts_of(Datum array, int *n_texts)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	texts = palloc(sizeof(char *) * (n + 1));
	*n_texts = 0;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			texts[(*n_texts)++] = TextDatumGetCString(values[i]);
	return texts;
}

/* ---- numbers ---- */

/*
 * The text of a number that is cast to one.  Casts to double precision round,
 * so the range is wider by what they may.  What the cast makes of a string
 * MongoDB does not know.
 */
static bool
put_number(StringInfo buffer, const char *path, const MtJsonClause *clause, Datum value)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);
	MtArm		arm = {0};

	if (!mt_rough_range(clause->type, value, clause->strategy, &arm))
		return false;
	if (arm.lower != NULL)
		mt_point_put(buffer, "$gte", arm.lower);
	if (arm.upper != NULL)
		mt_point_put(buffer, "$lte", arm.upper);
	mt_build_end(buffer, field);
	mt_build_end(buffer, element);
	element = mt_build_begin_indexed(buffer, 1);
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);
	mt_build_text(buffer, "$type", "string");
	mt_build_end(buffer, field);
	mt_build_end(buffer, element);
	mt_build_end(buffer, either);
	return true;
}

/* A number that json shows as one. */
static bool
put_range(StringInfo buffer, const char *path, const MtJsonClause *clause, Datum value)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);
	MtArm		arm = {0};

	if (*path == '\0' || !mt_rough_range(NUMERICOID, value, clause->strategy, &arm))
		return false;
	if (arm.lower != NULL)
		mt_point_put(buffer, "$gte", arm.lower);
	if (arm.upper != NULL)
		mt_point_put(buffer, "$lte", arm.upper);
	mt_build_end(buffer, field);
	return true;
}

/* ---- by test ---- */

static bool
put_texts(StringInfo buffer, const char *path, char **texts, int n)
{
	List	   *points = NIL;

	for (int i = 0; i < n; i++)
		if (!text_points(texts[i], &points))
			return false;
	if (points == NIL)
		return false;
	put_points(buffer, path, points);
	return true;
}

static bool
put_equal(StringInfo buffer, const char *path, Jsonb *value)
{
	JsonbValue	scalar;
	List	   *points = NIL;

	if (!JsonbExtractScalar(&value->root, &scalar))
		return put_containment(buffer, path, value);
	if (*path == '\0' || !scalar_points(&scalar, &points))
		return false;
	put_points(buffer, path, points);
	return true;
}

static void
put_present(StringInfo buffer, const char *path)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	mt_build_bool(buffer, "$exists", true);
	mt_build_end(buffer, field);
}

static bool
put_test(StringInfo buffer, const char *document_path, const MtJsonClause *clause, Datum value)
{
	char	   *string;
	char	  **texts;
	int			n;

	switch (clause->test)
	{
		case MT_JSON_TEXT_EQUAL:
			string = TextDatumGetCString(value);
			return put_texts(buffer, document_path, &string, 1);
		case MT_JSON_TEXT_IN:
			texts = texts_of(value, &n);
			return put_texts(buffer, document_path, texts, n);
		case MT_JSON_EQUAL:
			return put_equal(buffer, document_path, DatumGetJsonbP(value));
		case MT_JSON_CONTAINS:
			return put_containment(buffer, document_path, DatumGetJsonbP(value));
		case MT_JSON_HAS_KEY:
			string = TextDatumGetCString(value);
			return put_keys(buffer, document_path, &string, 1, false);
		case MT_JSON_HAS_ANY:
		case MT_JSON_HAS_ALL:
			texts = texts_of(value, &n);
			return put_keys(buffer, document_path, texts, n, clause->test == MT_JSON_HAS_ALL);
		case MT_JSON_NUMBER:
			return put_number(buffer, document_path, clause, value);
		case MT_JSON_RANGE:
			return put_range(buffer, document_path, clause, value);
		default:
			put_present(buffer, document_path);
			return true;
	}
}

/* {path: {$elemMatch: {$type: 'array'}}} */
static void
put_nested_array(StringInfo buffer, const char *path)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	mt_put_array_test(buffer, "$elemMatch", true);
	mt_build_end(buffer, field);
}

bool
mt_json_put(StringInfo buffer, const MtCollectionColumn *column, const char *path, const MtJsonClause *clause,
			Datum value)
{
	char	   *nested = clause->nested < 0 ? NULL : full_path(column, pnstrdup(path, clause->nested));
	int			either;
	int			arm;

	/* a document is no array */
	if (nested == NULL || *nested == '\0')
		return put_test(buffer, full_path(column, path), clause, value);
	either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	arm = mt_build_begin_indexed(buffer, 0);
	if (!put_test(buffer, full_path(column, path), clause, value))
		return false;
	mt_build_end(buffer, arm);
	arm = mt_build_begin_indexed(buffer, 1);
	put_nested_array(buffer, nested);
	mt_build_end(buffer, arm);
	mt_build_end(buffer, either);
	return true;
}

List *
mt_json_compared_paths(const MtCollectionColumn *column, const char *path, MtJsonTest test, const Node *value)
{
	char	   *document_path = full_path(column, path);
	JsonbValue	scalar;
	Jsonb	   *jsonb;

	if (test == MT_JSON_TEXT_EQUAL || test == MT_JSON_TEXT_IN || test == MT_JSON_NUMBER)
		return list_make1(document_path);
	if (test == MT_JSON_RANGE)
		return *document_path == '\0' ? NIL : list_make1(document_path);
	if ((test != MT_JSON_EQUAL && test != MT_JSON_CONTAINS) || value == NULL || !IsA(value, Const) ||
		((const Const *) value)->constisnull)
		return NIL;
	jsonb = DatumGetJsonbP(((const Const *) value)->constvalue);
	if (test == MT_JSON_EQUAL && JsonbExtractScalar(&jsonb->root, &scalar))
		return *document_path == '\0' ? NIL : list_make1(document_path);
	return contained_paths(document_path, jsonb);
}
