/*
 * collection_deparse.c
 *		Conditions and the values of a moment as the filter of a find.
 *
 * Each condition on a column becomes arms (collection_arm.h), which are written
 * in one of two forms: their core as a superset, or, where the plan says so,
 * with their guards as an exact filter.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "fdw/bson_build.h"
#include "fdw/collection_arm.h"
#include "fdw/collection_deparse.h"
#include "fdw/collection_shippable.h"

/* What is left of MongoDB's 16 MB for one condition; a longer one is not sent. */
#define MAX_CONDITION_BYTES (4 * 1024 * 1024)
#define MAX_FILTER_BYTES	(12 * 1024 * 1024)
/* More values of IN than that surely exceed it. */
#define MAX_VALUES			(1024 * 1024)

#define MS_PER_DAY			(INT64CONST(1000) * SECS_PER_DAY)

/* What became of a condition. */
typedef enum Sent
{
	SENT,						/* it is in the buffer */
	ALWAYS,						/* every row passes, or (a superset) perhaps; nothing is written */
	NEVER						/* no row can pass; nothing is written */
} Sent;

typedef struct Deparser
{
	const MtCollectionColumn *columns;
	const MtFilterValue *values;
	StringInfo	buffer;
	bool		compares_text;
	bool		is_cut;			/* a condition was too long to be sent */
} Deparser;

/* ---- guards: each writes elements of a document ---- */

/* $type of one or several */
static void
put_types(StringInfo buffer, const char *const *types)
{
	int			list;

	if (types[1] == NULL)
	{
		mt_build_text(buffer, "$type", types[0]);
		return;
	}
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$type");
	for (int i = 0; i < MT_MAX_TYPES && types[i] != NULL; i++)
	{
		MtPoint		name = {.type = MT_BSON_STRING, .bytes = types[i], .n_bytes = (int) strlen(types[i])};

		mt_point_put_indexed(buffer, i, &name);
	}
	mt_build_end(buffer, list);
}

static void
put_regex(StringInfo buffer, const char *operator, const char *regex)
{
	MtPoint		point = {.type = MT_BSON_REGEX, .bytes = regex, .n_bytes = (int) strlen(regex)};

	mt_point_put(buffer, operator, &point);
}

static void
put_no_array(StringInfo buffer)
{
	int			is_no = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$not");

	mt_build_text(buffer, "$type", "array");
	mt_build_end(buffer, is_no);
}

/* {path: {$type: 'array'}}, or that it is none */
static void
put_array_test(StringInfo buffer, const char *path, bool wanted)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	if (wanted)
		mt_build_text(buffer, "$type", "array");
	else
		put_no_array(buffer);
	mt_build_end(buffer, field);
}

/* The next longer part of a dotted path that is not all of it; NULL: there is none. */
static char *
next_parent(const char *path, const char **dot)
{
	*dot = strchr(*dot == NULL ? path : *dot + 1, '.');
	return *dot == NULL ? NULL : pnstrdup(path, *dot - path);
}

/* The path leads through no array. */
static void
put_no_arrays_above(StringInfo buffer, const MtCollectionColumn *column)
{
	const char *dot = NULL;
	char	   *parent;

	while ((parent = next_parent(column->path, &dot)) != NULL)
		put_array_test(buffer, parent, false);
}

/* {$convert: {input: path, to: type, onError: null, onNull: null}} */
static void
put_conversion(StringInfo buffer, int index, const char *path, const char *type)
{
	int			element = mt_build_begin_indexed(buffer, index);
	int			convert = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$convert");

	mt_build_text(buffer, "input", path);
	mt_build_text(buffer, "to", type);
	mt_build_name(buffer, MT_BSON_NULL, "onError");
	mt_build_name(buffer, MT_BSON_NULL, "onNull");
	mt_build_end(buffer, convert);
	mt_build_end(buffer, element);
}

/* {$expr: {$eq: [a conversion, or what is left of one, and what it must be]}} */
static void
put_expression(StringInfo buffer, const MtCollectionColumn *column, MtExpressionGuard guard)
{
	char	   *path = psprintf("$%s", column->path);
	int			expression = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$expr");
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");
	int			element;
	int			modulo;
	MtPoint		point = {.type = MT_BSON_INT64};

	if (guard == MT_EXPRESSION_IS_DOUBLE)
	{
		put_conversion(buffer, 0, path, "double");
		mt_build_text(buffer, "1", path);
	}
	else
	{
		element = mt_build_begin_indexed(buffer, 0);
		modulo = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$mod");
		put_conversion(buffer, 0, path, "long");
		point.integer = MS_PER_DAY;
		mt_point_put_indexed(buffer, 1, &point);
		mt_build_end(buffer, modulo);
		mt_build_end(buffer, element);
		point.integer = 0;
		mt_point_put_indexed(buffer, 1, &point);
	}
	mt_build_end(buffer, equal);
	mt_build_end(buffer, expression);
}

/* What a guard says with operators of the field. */
static void
put_guard_operators(StringInfo buffer, const MtGuard *guard)
{
	MtPoint		no_bits = {.type = MT_BSON_INT32};

	if (guard->types[0] != NULL)
		put_types(buffer, guard->types);
	if (guard->is_integral)
		mt_point_put(buffer, "$bitsAllClear", &no_bits);
	if (guard->regex != NULL)
		put_regex(buffer, "$regex", guard->regex);
}

/* $or of an arm's guards */
static void
put_guards(StringInfo buffer, const MtCollectionColumn *column, const MtArm *arm)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");

	for (int i = 0; i < arm->n_guards; i++)
	{
		int			element = mt_build_begin_indexed(buffer, i);
		int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);

		put_guard_operators(buffer, &arm->guards[i]);
		mt_build_end(buffer, field);
		if (arm->guards[i].expression != MT_EXPRESSION_NONE)
			put_expression(buffer, column, arm->guards[i].expression);
		mt_build_end(buffer, element);
	}
	mt_build_end(buffer, either);
}

/* ---- arms ---- */

/* One point by one operator, several by another. */
static void
put_points(StringInfo buffer, const char *one, const char *several, const List *points)
{
	int			list;
	int			n = 0;
	ListCell   *cell;

	if (list_length(points) == 1)
	{
		mt_point_put(buffer, one, linitial(points));
		return;
	}
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, several);
	foreach(cell, points)
		mt_point_put_indexed(buffer, n++, lfirst(cell));
	mt_build_end(buffer, list);
}

static bool
has_core(const MtArm *arm)
{
	return arm->lower != NULL || arm->upper != NULL || arm->points != NIL || arm->excluded != NIL || arm->type != NULL;
}

static void
put_core(StringInfo buffer, const MtArm *arm)
{
	if (arm->type != NULL)
		mt_build_text(buffer, "$type", arm->type);
	if (arm->points != NIL)
		put_points(buffer, "$eq", "$in", arm->points);
	if (arm->excluded != NIL)
		put_points(buffer, "$ne", "$nin", arm->excluded);
	if (arm->lower != NULL)
		mt_point_put(buffer, arm->lower_is_open ? "$gt" : "$gte", arm->lower);
	if (arm->upper != NULL)
		mt_point_put(buffer, arm->upper_is_open ? "$lt" : "$lte", arm->upper);
}

/* Only {path: value} is an equality on _id that MongoDB answers in the shortest way. */
static void
put_superset_arm(StringInfo buffer, const MtCollectionColumn *column, const MtArm *arm)
{
	int			field;

	if (list_length(arm->points) == 1 && arm->excluded == NIL && arm->lower == NULL && arm->upper == NULL)
	{
		mt_point_put(buffer, column->path, linitial(arm->points));
		return;
	}
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	put_core(buffer, arm);
	mt_build_end(buffer, field);
}

static void
put_exact_arm(StringInfo buffer, const MtCollectionColumn *column, const MtArm *arm, bool is_alone)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);

	put_core(buffer, arm);
	if (arm->lower == NULL && arm->least != NULL)
		mt_point_put(buffer, "$gte", arm->least);
	if (arm->upper == NULL && arm->most != NULL)
		mt_point_put(buffer, "$lte", arm->most);
	if (arm->n_guards == 1)
		put_guard_operators(buffer, &arm->guards[0]);
	if (is_alone)
		put_no_array(buffer);
	mt_build_end(buffer, field);
	if (arm->n_guards == 1 && arm->guards[0].expression != MT_EXPRESSION_NONE)
		put_expression(buffer, column, arm->guards[0].expression);
	if (arm->n_guards > 1)
		put_guards(buffer, column, arm);
}

static void
put_arm(StringInfo buffer, const MtCollectionColumn *column, const MtArm *arm, bool exact, bool is_alone)
{
	if (exact)
		put_exact_arm(buffer, column, arm, is_alone);
	else
		put_superset_arm(buffer, column, arm);
}

/* Not null, as a superset. */
static Sent
put_perhaps_not_null(StringInfo buffer, const MtCollectionColumn *column)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	MtPoint		yes = {.type = MT_BSON_BOOL, .integer = 1};

	/* An array that holds a null is no null, but $ne would say so. */
	if (column->class == MT_COMPARE_NONE || column->has_index)
		mt_point_put(buffer, "$exists", &yes);
	else
		mt_build_name(buffer, MT_BSON_NULL, "$ne");
	mt_build_end(buffer, field);
	return SENT;
}

static Sent
put_arms(StringInfo buffer, const MtCollectionColumn *column, const MtArms *arms, bool exact)
{
	int			either;

	if (arms->n == 0)
		return NEVER;
	for (int i = 0; i < arms->n; i++)
		if (!exact && !has_core(&arms->arms[i]))
			return put_perhaps_not_null(buffer, column);
	if (arms->n == 1)
		put_arm(buffer, column, &arms->arms[0], exact, true);
	else
	{
		either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
		for (int i = 0; i < arms->n; i++)
		{
			int			element = mt_build_begin_indexed(buffer, i);

			put_arm(buffer, column, &arms->arms[i], exact, false);
			mt_build_end(buffer, element);
		}
		mt_build_end(buffer, either);
		if (exact)
			put_array_test(buffer, column->path, false);
	}
	if (exact)
		put_no_arrays_above(buffer, column);
	return SENT;
}

/* ---- NULL ---- */

/* {path: null}, of which an array that holds a null is none if it shall be exact */
static void
put_null_arm(StringInfo buffer, int index, const MtCollectionColumn *column, MtBsonType type, bool exact)
{
	int			element = mt_build_begin_indexed(buffer, index);
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);

	if (type == MT_BSON_NULL)
		mt_build_name(buffer, MT_BSON_NULL, "$eq");
	else
		mt_build_text(buffer, "$type", "undefined");
	if (exact)
		put_no_array(buffer);
	mt_build_end(buffer, field);
	mt_build_end(buffer, element);
}

/* $or, or $nor, of what is NULL by its value: beyond an array, missing, null, undefined. */
static void
put_null_by_value(StringInfo buffer, const char *operator, const MtCollectionColumn *column, bool exact)
{
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, operator);
	const char *dot = NULL;
	char	   *parent;
	int			n = 0;

	put_null_arm(buffer, n++, column, MT_BSON_NULL, exact);
	put_null_arm(buffer, n++, column, MT_BSON_UNDEFINED, exact);
	while ((parent = next_parent(column->path, &dot)) != NULL)
	{
		int			element = mt_build_begin_indexed(buffer, n++);

		put_array_test(buffer, parent, true);
		mt_build_end(buffer, element);
	}
	mt_build_end(buffer, list);
}

static Sent
put_not_null(StringInfo buffer, const MtCollectionColumn *column, bool exact)
{
	MtArms		arms;

	if (!exact)
		return put_perhaps_not_null(buffer, column);
	if (mt_column_reads_everything(column))
	{
		put_null_by_value(buffer, "$nor", column, true);
		return SENT;
	}
	mt_typed_arms(column, &arms);
	return put_arms(buffer, column, &arms, true);
}

static Sent
put_null(StringInfo buffer, const MtCollectionColumn *column, bool exact)
{
	int			neither;
	int			element;

	if (!column->null_on_mismatch || mt_column_reads_everything(column))
	{
		put_null_by_value(buffer, "$or", column, exact);
		return SENT;
	}
	neither = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$nor");
	element = mt_build_begin_indexed(buffer, 0);
	(void) put_not_null(buffer, column, true);
	mt_build_end(buffer, element);
	mt_build_end(buffer, neither);
	return SENT;
}

/* ---- conditions ---- */

static const char *const operators[] = {
	[BTLessStrategyNumber] = "$lt",
	[BTLessEqualStrategyNumber] = "$lte",
	[BTEqualStrategyNumber] = "$eq",
	[BTGreaterEqualStrategyNumber] = "$gte",
	[BTGreaterStrategyNumber] = "$gt",
	[MT_NOT_EQUAL_STRATEGY] = "$ne",
};

/* A value that is not known yet, as its text. */
static Sent
put_unknown(StringInfo buffer, const MtCollectionColumn *column, const char *operator, const char *text, bool exact)
{
	int			field;

	if (!exact && strcmp(operator, "$eq") == 0)
	{
		mt_build_text(buffer, column->path, text);
		return SENT;
	}
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	mt_build_text(buffer, operator, text);
	if (exact)
		put_no_array(buffer);
	mt_build_end(buffer, field);
	return SENT;
}

static Sent
put_compare(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	const MtFilterValue *value = &deparser->values[leaf->value];
	MtArms		equality = {0};
	MtArms		arms;

	if (value->unknown != NULL)
		return put_unknown(deparser->buffer, column, operators[leaf->strategy], value->unknown, leaf->exact);
	if (value->isnull)
		return NEVER;
	if (leaf->strategy == BTEqualStrategyNumber)
	{
		mt_add_equality(column, leaf->type, value->datum, leaf->exact, &equality);
		return put_arms(deparser->buffer, column, &equality, leaf->exact);
	}
	if (leaf->strategy == MT_NOT_EQUAL_STRATEGY)
	{
		mt_add_equality(column, leaf->type, value->datum, true, &equality);
		mt_exclusion_arms(column, &equality, leaf->exact, &arms);
	}
	else
		mt_comparison_arms(column, leaf->type, value->datum, leaf->strategy, leaf->exact, &arms);
	return put_arms(deparser->buffer, column, &arms, leaf->exact);
}

static Sent
put_any(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	const MtFilterValue *value = &deparser->values[leaf->value];
	MtArms		arms = {0};
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			n_elements;

	if (value->unknown != NULL)
		return put_unknown(deparser->buffer, column, "$in", value->unknown, leaf->exact);
	if (value->isnull)
		return NEVER;
	get_typlenbyvalalign(leaf->type, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(value->datum), leaf->type, typlen, typbyval, typalign,
					  &elements, &nulls, &n_elements);
	if (n_elements > MAX_VALUES)
	{
		deparser->is_cut |= leaf->exact;
		return ALWAYS;
	}
	for (int i = 0; i < n_elements; i++)
		if (!nulls[i])
			mt_add_equality(column, leaf->type, elements[i], leaf->exact, &arms);
	return put_arms(deparser->buffer, column, &arms, leaf->exact);
}

static Sent
put_leaf(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];

	deparser->compares_text |= column->class == MT_COMPARE_TEXT;
	switch (leaf->kind)
	{
		case MT_CONDITION_COMPARE:
			return put_compare(deparser, leaf);
		case MT_CONDITION_ANY:
			return put_any(deparser, leaf);
		case MT_CONDITION_NOT_NULL:
			return put_not_null(deparser->buffer, column, leaf->exact);
		default:
			return put_null(deparser->buffer, column, leaf->exact);
	}
}

static Sent put_several(Deparser *deparser, bool is_or, List *conditions);

/* What it leaves behind when it is not SENT, the caller removes. */
static Sent
put_condition(Deparser *deparser, List *condition)
{
	int			start = deparser->buffer->len;
	MtLeaf		leaf;
	Sent		sent;

	if (!IsA(condition, IntList))
		return put_several(deparser, intVal(linitial(condition)) == MT_CONDITION_OR, lsecond(condition));
	leaf = mt_condition_leaf(condition);
	sent = put_leaf(deparser, &leaf);
	if (sent != SENT || deparser->buffer->len - start <= MAX_CONDITION_BYTES)
		return sent;
	deparser->is_cut |= leaf.exact;
	return ALWAYS;
}

/* {$and: [...]} or {$or: [...]}, which must not be empty. */
static Sent
put_several(Deparser *deparser, bool is_or, List *conditions)
{
	StringInfo	buffer = deparser->buffer;
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, is_or ? "$or" : "$and");
	int			n = 0;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		int			start = buffer->len;
		int			element = mt_build_begin_indexed(buffer, n);
		Sent		sent = put_condition(deparser, lfirst(cell));

		if (sent == (is_or ? ALWAYS : NEVER))
			return sent;
		if (sent == SENT)
		{
			mt_build_end(buffer, element);
			n++;
		}
		else
			buffer->len = start;
	}
	mt_build_end(buffer, list);
	if (n > 0)
		return SENT;
	return is_or ? NEVER : ALWAYS;
}

static void
refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the condition is too long to be sent to MongoDB"),
			 errdetail("What MongoDB shall do for this query depends on all of the condition."),
			 errhint("Set mongo_tail.enable_pushdown to off for this query, or write shorter lists.")));
}

MtFilter
mt_collection_filter(const MtCollectionColumn *columns, List *conditions, const MtFilterValue *values)
{
	StringInfoData buffer;
	Deparser	deparser = {columns, values, &buffer, false, false};
	MtFilter	filter;
	int			document;
	Sent		sent;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	sent = list_length(conditions) == 1 ? put_condition(&deparser, linitial(conditions)) :
		put_several(&deparser, false, conditions);
	mt_build_end(&buffer, document);
	if (sent == SENT && buffer.len > MAX_FILTER_BYTES)
	{
		deparser.is_cut |= mt_conditions_have_exact(conditions);
		sent = ALWAYS;
	}
	if (deparser.is_cut)
		refuse();
	if (sent != SENT)
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
