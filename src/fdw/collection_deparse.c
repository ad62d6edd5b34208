/*
 * collection_deparse.c
 *		Conditions as the filter of a find: the table of supersets.
 *
 * Read with what bson_to_datum.c converts to what.  The traps that shape the
 * filters:
 *
 *	NaN			SQL's greatest number; no range of MongoDB's holds it, so > and
 *				>= have an arm for it
 *	numeric		ranges go from one double below the constant to one above, and
 *				equality is a range, too (collection_point.c)
 *	text		an ObjectId reads as its digits: equality asks for both, and a range
 *				of strings has an arm for all ObjectIds
 *	dates		are milliseconds; the bounds of what SQL can say between two are
 *				rounded to the side that keeps the same documents
 *	uuid		is read from two subtypes
 *	<>			never holds for NULL, but $ne matches missing fields, so null is
 *				among what it excludes; where the path may lead through an array,
 *				one element that is null would exclude the document, so only
 *				$exists is asked there
 *	IS NULL		{a: null} does not match where the path meets an array, or (in the
 *				future) undefined
 *	arrays		a match of any element matches the array: more than SQL's, and so
 *				harmless in everything but a negation
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

#include "fdw/bson_build.h"
#include "fdw/collection_deparse.h"
#include "fdw/collection_point.h"
#include "fdw/collection_shippable.h"

/* What is left of MongoDB's 16 MB for one condition; a longer one is not sent. */
#define MAX_CONDITION_BYTES (4 * 1024 * 1024)
#define MAX_FILTER_BYTES	(12 * 1024 * 1024)

/* What became of a condition. */
typedef enum Sent
{
	SENT,						/* it is in the buffer */
	ALWAYS,						/* it restricts nothing that could be said; nothing is written */
	NEVER						/* no document can match; nothing is written */
} Sent;

typedef struct Deparser
{
	const MtCollectionColumn *columns;
	const MtFilterValue *values;
	StringInfo	buffer;
	bool		compares_text;
} Deparser;

static void
put_point(StringInfo buffer, const MtPoint *point)
{
	uint64		bits;

	switch (point->type)
	{
		case MT_BSON_INT64:
		case MT_BSON_DATE:
			mt_build_le64(buffer, (uint64) point->integer);
			break;
		case MT_BSON_BOOL:
			appendStringInfoChar(buffer, (char) point->integer);
			break;
		case MT_BSON_DOUBLE:
			memcpy(&bits, &point->number, sizeof bits);
			mt_build_le64(buffer, bits);
			break;
		case MT_BSON_STRING:
			mt_build_string(buffer, point->bytes, point->n_bytes);
			break;
		case MT_BSON_BINARY:
			mt_build_le32(buffer, (uint32) point->n_bytes);
			appendStringInfoChar(buffer, (char) point->subtype);
			appendBinaryStringInfo(buffer, point->bytes, point->n_bytes);
			break;
		default:
			appendBinaryStringInfo(buffer, point->bytes, point->n_bytes);
			break;
	}
}

static MtPoints
points_of(Deparser *deparser, const MtLeaf *leaf, Datum value)
{
	deparser->compares_text |= leaf->type == TEXTOID;
	return mt_points_of(leaf->type, value);
}

/* ---- filters of one column: each writes the elements of a document ---- */

static void
put_type(StringInfo buffer, const char *path, const char *type)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	mt_build_name(buffer, MT_BSON_STRING, "$type");
	mt_build_string(buffer, type, (int) strlen(type));
	mt_build_end(buffer, field);
}

/* {path: {operator: value}} */
static void
put_operator(StringInfo buffer, const char *path, const char *operator, const MtPoint *point)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	mt_build_name(buffer, point->type, operator);
	put_point(buffer, point);
	mt_build_end(buffer, field);
}

static Sent
put_not_null(StringInfo buffer, const MtCollectionColumn *column)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);

	/* An array that holds a null is no null, but $ne would say so. */
	if (column->class == MT_COMPARE_NONE || column->has_index)
	{
		mt_build_name(buffer, MT_BSON_BOOL, "$exists");
		appendStringInfoChar(buffer, 1);
	}
	else
		mt_build_name(buffer, MT_BSON_NULL, "$ne");
	mt_build_end(buffer, field);
	return SENT;
}

/* What is NULL to SQL by its value, and the arrays that a path may meet on its way. */
static void
put_null_by_value(StringInfo buffer, const MtCollectionColumn *column)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	int			n = 0;
	int			arm = mt_build_begin_indexed(buffer, n++);

	mt_build_name(buffer, MT_BSON_NULL, column->path);
	mt_build_end(buffer, arm);
	arm = mt_build_begin_indexed(buffer, n++);
	put_type(buffer, column->path, "undefined");
	mt_build_end(buffer, arm);
	for (const char *dot = strchr(column->path, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
	{
		arm = mt_build_begin_indexed(buffer, n++);
		put_type(buffer, pnstrdup(column->path, dot - column->path), "array");
		mt_build_end(buffer, arm);
	}
	mt_build_end(buffer, either);
}

/* The BSON types of which every value converts to a type. */
static const struct
{
	Oid			type;
	const char *always[5];
}			converting[] =
{
	{BOOLOID, {"bool"}},
	{INT4OID, {"int"}},
	{INT8OID, {"int", "long"}},
	{FLOAT8OID, {"int", "double"}},
	{NUMERICOID, {"int", "long", "double", "decimal"}},
};

/* Whatever is not surely converted: {$nor: [{a: {$type: [...], $not: {$type: 'array'}}}]} */
static void
put_null_by_type(StringInfo buffer, const MtCollectionColumn *column)
{
	int			neither = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$nor");
	int			arm = mt_build_begin_indexed(buffer, 0);
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	int			types = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$type");
	int			is_no;

	for (size_t i = 0; i < lengthof(converting); i++)
		for (int j = 0; converting[i].type == column->type && converting[i].always[j] != NULL; j++)
		{
			mt_build_index(buffer, MT_BSON_STRING, j);
			mt_build_string(buffer, converting[i].always[j], (int) strlen(converting[i].always[j]));
		}
	mt_build_end(buffer, types);
	is_no = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$not");
	mt_build_name(buffer, MT_BSON_STRING, "$type");
	mt_build_string(buffer, "array", 5);
	mt_build_end(buffer, is_no);
	mt_build_end(buffer, field);
	mt_build_end(buffer, arm);
	mt_build_end(buffer, neither);
}

/* {path: {$gte: below, $lte: above}} */
static void
put_numeric_range(StringInfo buffer, const char *path, const MtPoints *points)
{
	MtPoint		below = {.type = MT_BSON_DOUBLE, .number = points->below};
	MtPoint		above = {.type = MT_BSON_DOUBLE, .number = points->above};
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	mt_build_name(buffer, MT_BSON_DOUBLE, "$gte");
	put_point(buffer, &below);
	mt_build_name(buffer, MT_BSON_DOUBLE, "$lte");
	put_point(buffer, &above);
	mt_build_end(buffer, field);
}

static Sent
put_equal(StringInfo buffer, const MtCollectionColumn *column, const MtPoints *points)
{
	int			field;
	int			list;

	if (points->is_range)
		put_numeric_range(buffer, column->path, points);
	else if (points->n == 1)
		put_operator(buffer, column->path, "$eq", &points->points[0]);
	else if (points->n == 0)
		return NEVER;
	else
	{
		field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
		list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
		for (int i = 0; i < points->n; i++)
		{
			mt_build_index(buffer, points->points[i].type, i);
			put_point(buffer, &points->points[i]);
		}
		mt_build_end(buffer, list);
		mt_build_end(buffer, field);
	}
	return SENT;
}

static Sent
put_not_equal(StringInfo buffer, const MtCollectionColumn *column, const MtPoints *points)
{
	int			field;
	int			list;

	if (column->has_index || points->is_range || points->n == 0)
		return put_not_null(buffer, column);
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$nin");
	for (int i = 0; i < points->n; i++)
	{
		mt_build_index(buffer, points->points[i].type, i);
		put_point(buffer, &points->points[i]);
	}
	mt_build_index(buffer, MT_BSON_NULL, points->n);
	mt_build_end(buffer, list);
	mt_build_end(buffer, field);
	return SENT;
}

static const char *const operators[] = {
	[BTLessStrategyNumber] = "$lt",
	[BTLessEqualStrategyNumber] = "$lte",
	[BTEqualStrategyNumber] = "$eq",
	[BTGreaterEqualStrategyNumber] = "$gte",
	[BTGreaterStrategyNumber] = "$gt",
	[MT_NOT_EQUAL_STRATEGY] = "$ne",
};

static bool
is_less(int strategy)
{
	return strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber;
}

/* {$or: [{path: {operator: point}}, {path: {$eq: NaN}} or {path: {$type: 'objectId'}}]} */
static void
put_range_or(StringInfo buffer, const MtCollectionColumn *column, const char *operator, const MtPoint *point)
{
	MtPoint		nan = {.type = MT_BSON_DOUBLE, .number = get_float8_nan()};
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	int			arm = mt_build_begin_indexed(buffer, 0);

	put_operator(buffer, column->path, operator, point);
	mt_build_end(buffer, arm);
	arm = mt_build_begin_indexed(buffer, 1);
	if (column->class == MT_COMPARE_TEXT)
		put_type(buffer, column->path, "objectId");
	else
		put_operator(buffer, column->path, "$eq", &nan);
	mt_build_end(buffer, arm);
	mt_build_end(buffer, either);
}

static Sent
put_float_range(StringInfo buffer, const MtCollectionColumn *column, int strategy, const MtPoints *points)
{
	MtPoint		bound = points->points[0];
	const char *operator = operators[strategy];

	/* NaN is equal to itself, and greater than all else */
	if (points->is_nan && strategy == BTGreaterStrategyNumber)
		return NEVER;
	if (points->is_nan)
		return strategy == BTGreaterEqualStrategyNumber ? put_equal(buffer, column, points) :
			put_not_null(buffer, column);
	if (column->class == MT_COMPARE_NUMERIC)
	{
		bound.type = MT_BSON_DOUBLE;
		bound.number = is_less(strategy) ? points->above : points->below;
		operator = is_less(strategy) ? "$lte" : "$gte";
	}
	if (is_less(strategy))
		put_operator(buffer, column->path, operator, &bound);
	else
		put_range_or(buffer, column, operator, &bound);
	return SENT;
}

static Sent
put_time_range(StringInfo buffer, const MtCollectionColumn *column, int strategy, const MtPoints *points)
{
	MtPoint		bound = {.type = MT_BSON_DATE};

	/* no date of BSON reads as an infinity */
	if (points->infinity != 0)
		return is_less(strategy) == (points->infinity > 0) ? put_not_null(buffer, column) : NEVER;
	bound.integer = strategy == BTLessStrategyNumber || strategy == BTGreaterEqualStrategyNumber ?
		points->ceil_ms : points->floor_ms;
	put_operator(buffer, column->path, operators[strategy], &bound);
	return SENT;
}

static Sent
put_range(StringInfo buffer, const MtCollectionColumn *column, int strategy, const MtPoints *points)
{
	switch (column->class)
	{
		case MT_COMPARE_FLOAT:
		case MT_COMPARE_NUMERIC:
			return put_float_range(buffer, column, strategy, points);
		case MT_COMPARE_DATE:
		case MT_COMPARE_TIMESTAMP:
			return put_time_range(buffer, column, strategy, points);
		case MT_COMPARE_TEXT:
			put_range_or(buffer, column, operators[strategy], &points->points[0]);
			return SENT;
		default:
			put_operator(buffer, column->path, operators[strategy], &points->points[0]);
			return SENT;
	}
}

/* ---- conditions ---- */

/* A value that is not known yet, as its text. */
static Sent
put_unknown(StringInfo buffer, const MtCollectionColumn *column, const char *operator, const char *text)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);

	mt_build_name(buffer, MT_BSON_STRING, operator);
	mt_build_string(buffer, text, (int) strlen(text));
	mt_build_end(buffer, field);
	return SENT;
}

static Sent
put_compare(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	const MtFilterValue *value = &deparser->values[leaf->value];
	MtPoints		points;

	if (value->unknown != NULL)
		return put_unknown(deparser->buffer, column, operators[leaf->strategy], value->unknown);
	if (value->isnull)
		return NEVER;
	points = points_of(deparser, leaf, value->datum);
	if (leaf->strategy == BTEqualStrategyNumber)
		return put_equal(deparser->buffer, column, &points);
	if (leaf->strategy == MT_NOT_EQUAL_STRATEGY)
		return put_not_equal(deparser->buffer, column, &points);
	return put_range(deparser->buffer, column, leaf->strategy, &points);
}

/* {$or: [{path: {$in: [...]}}, a range, ...]} */
static Sent
put_any(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	const MtFilterValue *value = &deparser->values[leaf->value];
	StringInfo	buffer = deparser->buffer;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			n_elements;
	int			n_points = 0;
	int			n_arms = 0;
	int			either;
	int			arm;
	int			field;
	int			list;

	if (value->unknown != NULL)
		return put_unknown(buffer, column, "$in", value->unknown);
	if (value->isnull)
		return NEVER;
	get_typlenbyvalalign(leaf->type, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(value->datum), leaf->type, typlen, typbyval, typalign,
					  &elements, &nulls, &n_elements);
	either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	arm = mt_build_begin_indexed(buffer, n_arms++);
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
	for (int i = 0; i < n_elements && buffer->len < MAX_FILTER_BYTES; i++)
	{
		MtPoints		points;

		if (nulls[i])
			continue;
		points = points_of(deparser, leaf, elements[i]);
		if (points.is_range)
			continue;
		for (int j = 0; j < points.n; j++)
		{
			mt_build_index(buffer, points.points[j].type, n_points++);
			put_point(buffer, &points.points[j]);
		}
	}
	mt_build_end(buffer, list);
	mt_build_end(buffer, field);
	mt_build_end(buffer, arm);
	for (int i = 0; i < n_elements && column->class == MT_COMPARE_NUMERIC && buffer->len < MAX_FILTER_BYTES; i++)
	{
		MtPoints		points;

		if (nulls[i])
			continue;
		points = points_of(deparser, leaf, elements[i]);
		if (!points.is_range)
			continue;
		arm = mt_build_begin_indexed(buffer, n_arms++);
		put_numeric_range(buffer, column->path, &points);
		mt_build_end(buffer, arm);
	}
	mt_build_end(buffer, either);
	return n_points == 0 && n_arms == 1 ? NEVER : SENT;
}

static Sent put_condition(Deparser *deparser, List *condition);

/* The document of one condition as an element of an array. */
static Sent
put_arm(Deparser *deparser, int index, List *condition)
{
	StringInfo	buffer = deparser->buffer;
	int			start = buffer->len;
	int			document = mt_build_begin_indexed(buffer, index);
	Sent		sent = put_condition(deparser, condition);

	mt_build_end(buffer, document);
	if (sent == SENT && buffer->len - start > MAX_CONDITION_BYTES)
		sent = ALWAYS;
	if (sent != SENT)
		buffer->len = start;
	return sent;
}

/* {$and: [...]} or {$or: [...]}, which must not be empty. */
static Sent
put_several(Deparser *deparser, bool is_or, List *conditions)
{
	int			list = mt_build_begin_named(deparser->buffer, MT_BSON_ARRAY, is_or ? "$or" : "$and");
	int			n = 0;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		Sent		sent = put_arm(deparser, n, lfirst(cell));

		if (sent == (is_or ? ALWAYS : NEVER))
			return sent;
		n += sent == SENT;
	}
	mt_build_end(deparser->buffer, list);
	if (n > 0)
		return SENT;
	return is_or ? NEVER : ALWAYS;
}

/* What it leaves behind when it is not SENT, the caller removes. */
static Sent
put_condition(Deparser *deparser, List *condition)
{
	MtLeaf		leaf;
	const MtCollectionColumn *column;

	if (!IsA(condition, IntList))
		return put_several(deparser, intVal(linitial(condition)) == MT_CONDITION_OR, lsecond(condition));
	leaf = mt_condition_leaf(condition);
	column = &deparser->columns[leaf.column];
	switch (leaf.kind)
	{
		case MT_CONDITION_COMPARE:
			return put_compare(deparser, &leaf);
		case MT_CONDITION_ANY:
			return put_any(deparser, &leaf);
		case MT_CONDITION_NOT_NULL:
			return put_not_null(deparser->buffer, column);
		default:
			if (column->null_on_mismatch)
				put_null_by_type(deparser->buffer, column);
			else
				put_null_by_value(deparser->buffer, column);
			return SENT;
	}
}

MtFilter
mt_collection_filter(const MtCollectionColumn *columns, List *conditions, const MtFilterValue *values)
{
	StringInfoData buffer;
	Deparser	deparser = {columns, values, &buffer, false};
	MtFilter	filter;
	int			document;
	Sent		sent;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	sent = list_length(conditions) == 1 ? put_condition(&deparser, linitial(conditions)) :
		put_several(&deparser, false, conditions);
	mt_build_end(&buffer, document);
	if (sent != SENT || buffer.len > MAX_FILTER_BYTES)
	{
		resetStringInfo(&buffer);
		mt_build_end(&buffer, mt_build_begin(&buffer));
	}
	filter.document.data = (const uint8 *) buffer.data;
	filter.document.len = (uint32) buffer.len;
	filter.is_empty_set = sent == NEVER;
	filter.compares_text = deparser.compares_text;
	return filter;
}
