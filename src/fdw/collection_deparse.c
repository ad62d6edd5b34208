/*
 * collection_deparse.c
 *		Conditions and the values of a moment as the filter of a find.
 *
 * Each condition on a column becomes arms (collection_arm.h), which are written
 * in one of two forms: their core as a superset, or, where the plan says so,
 * with their guards as an exact filter.
 */
#include "postgres.h"

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

/* What became of a condition. */
typedef enum Sent
{
	SENT,						/* it is in the buffer */
	ALWAYS,						/* every row passes, or (a superset) perhaps; nothing is written */
	NEVER,						/* no row can pass; nothing is written */
	CUT							/* it cannot be said, or is too long */
} Sent;

typedef struct Deparser
{
	const MtCollectionColumn *columns;
	const MtFilterValue *values;
	StringInfo	buffer;
	bool		compares_text;
	bool		is_cut;			/* a condition that must be exact was too long to be sent */
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

/* name: {$convert: {input: path, to: type, onError: null, onNull: null}} */
static void
put_conversion(StringInfo buffer, const char *name, const char *path, const char *type)
{
	int			element = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			convert = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$convert");

	mt_build_text(buffer, "input", path);
	mt_build_text(buffer, "to", type);
	mt_build_name(buffer, MT_BSON_NULL, "onError");
	mt_build_name(buffer, MT_BSON_NULL, "onNull");
	mt_build_end(buffer, convert);
	mt_build_end(buffer, element);
}

/* {$eq: [its conversion to a type, it]} */
static void
put_is_a(StringInfo buffer, const char *path, const char *type)
{
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");

	put_conversion(buffer, "0", path, type);
	mt_build_text(buffer, "1", path);
	mt_build_end(buffer, equal);
}

/* {$eq: [{$mod: [its milliseconds, a day's]}, 0]} */
static void
put_is_midnight(StringInfo buffer, const char *path)
{
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			modulo = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$mod");
	MtPoint		point = {.type = MT_BSON_INT64, .integer = MT_MS_PER_DAY};

	put_conversion(buffer, "0", path, "long");
	mt_point_put_indexed(buffer, 1, &point);
	mt_build_end(buffer, modulo);
	mt_build_end(buffer, element);
	point.integer = 0;
	mt_point_put_indexed(buffer, 1, &point);
	mt_build_end(buffer, equal);
}

/* {$eq: [{$regexMatch: its digits}, wanted]} */
static void
put_digits_match(StringInfo buffer, const char *path, const char *regex, bool wanted)
{
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			match = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$regexMatch");
	MtPoint		point = {.type = MT_BSON_BOOL, .integer = wanted};

	put_conversion(buffer, "input", path, "string");
	put_regex(buffer, "regex", regex);
	mt_build_end(buffer, match);
	mt_build_end(buffer, element);
	mt_point_put_indexed(buffer, 1, &point);
	mt_build_end(buffer, equal);
}

static void
put_expression(StringInfo buffer, const MtCollectionColumn *column, const MtGuard *guard)
{
	char	   *path = psprintf("$%s", column->path);
	int			expression = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$expr");

	switch (guard->expression)
	{
		case MT_EXPRESSION_IS_DOUBLE:
			put_is_a(buffer, path, "double");
			break;
		case MT_EXPRESSION_IS_INTEGER:
			put_is_a(buffer, path, "long");
			break;
		case MT_EXPRESSION_IS_MIDNIGHT:
			put_is_midnight(buffer, path);
			break;
		default:
			put_digits_match(buffer, path, guard->expression_regex, guard->expression == MT_EXPRESSION_DIGITS_MATCH);
			break;
	}
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
			put_expression(buffer, column, &arm->guards[i]);
		mt_build_end(buffer, element);
	}
	mt_build_end(buffer, either);
}

/* ---- arms ---- */

/* One point by one operator, several by another, which also takes regular expressions. */
static void
put_points(StringInfo buffer, const char *one, const char *several, const List *points)
{
	int			list;
	int			n = 0;
	ListCell   *cell;

	if (list_length(points) == 1 && ((const MtPoint *) linitial(points))->type != MT_BSON_REGEX)
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
		put_expression(buffer, column, &arm->guards[0]);
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
	if (put_not_null(buffer, column, true) == NEVER)
		return ALWAYS;
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
	[MT_LIKE_STRATEGY] = "$regex",
	[MT_NOT_LIKE_STRATEGY] = "$not",
	[MT_PREFIX_STRATEGY] = "$regex",
	[MT_NOT_PREFIX_STRATEGY] = "$not",
};

/* A value that is not known yet, as its text. */
static Sent
put_unknown(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const char *text)
{
	const char *operator = operators[leaf->strategy];
	int			field;

	if (leaf->kind == MT_CONDITION_ANY && leaf->strategy == BTEqualStrategyNumber)
		operator = "$in";
	if (leaf->kind == MT_CONDITION_ALL && leaf->strategy == MT_NOT_EQUAL_STRATEGY)
		operator = "$nin";
	if (!leaf->exact && strcmp(operator, "$eq") == 0)
	{
		mt_build_text(buffer, column->path, text);
		return SENT;
	}
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	mt_build_text(buffer, operator, text);
	if (leaf->exact)
		put_no_array(buffer);
	mt_build_end(buffer, field);
	return SENT;
}

/* column operator value, which is not NULL */
static Sent
put_comparison(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum value)
{
	MtArms		equality = {0};
	MtArms		arms = {0};

	if (leaf->strategy == BTEqualStrategyNumber)
		mt_add_equality(column, leaf->type, value, leaf->exact, &arms);
	else if (leaf->strategy == MT_NOT_EQUAL_STRATEGY)
	{
		mt_add_equality(column, leaf->type, value, true, &equality);
		mt_exclusion_arms(column, &equality, leaf->exact, &arms);
	}
	else if (leaf->strategy > MT_NOT_EQUAL_STRATEGY)
	{
		if (!mt_like_arms(column, value, leaf->strategy, leaf->exact, &arms))
			return CUT;
	}
	else
		mt_comparison_arms(column, leaf->type, value, leaf->strategy, leaf->exact, &arms);
	return put_arms(buffer, column, &arms, leaf->exact);
}

/* The value of a leaf that is an array. */
typedef struct Elements
{
	int			n;				/* of those that are not NULL */
	Datum	   *values;
	bool		has_null;
} Elements;

static Elements
elements_of(const MtLeaf *leaf, Datum array)
{
	Elements	elements = {0, NULL, false};
	int16		typlen;
	bool		typbyval;
	char		typalign;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(leaf->type, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(array), leaf->type, typlen, typbyval, typalign,
					  &elements.values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		elements.has_null |= nulls[i];
		if (!nulls[i])
			elements.values[elements.n++] = elements.values[i];
	}
	return elements;
}

/* = ANY and <> ALL: one list. */
static Sent
put_list(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const Elements *elements)
{
	bool		is_in = leaf->kind == MT_CONDITION_ANY;
	MtArms		equality = {0};
	MtArms		arms;

	if (elements->n > MAX_VALUES)
		return CUT;
	for (int i = 0; i < elements->n; i++)
		mt_add_equality(column, leaf->type, elements->values[i], leaf->exact || !is_in, &equality);
	if (is_in)
		return put_arms(buffer, column, &equality, leaf->exact);
	mt_exclusion_arms(column, &equality, leaf->exact, &arms);
	return put_arms(buffer, column, &arms, leaf->exact);
}

/* Any other operator: $or or $and of comparisons. */
static Sent
put_each(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const Elements *elements)
{
	bool		is_or = leaf->kind == MT_CONDITION_ANY;
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, is_or ? "$or" : "$and");
	int			n = 0;

	for (int i = 0; i < elements->n; i++)
	{
		int			start = buffer->len;
		int			element = mt_build_begin_indexed(buffer, n);
		Sent		sent = put_comparison(buffer, column, leaf, elements->values[i]);

		if (start - list > MAX_CONDITION_BYTES || sent == CUT)
			return CUT;
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
	return n > 0 ? SENT : is_or ? NEVER : ALWAYS;
}

/* ANY is never true of no element, ALL not where one is NULL; but it is of none at all. */
static Sent
put_array(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum array)
{
	Elements	elements = elements_of(leaf, array);
	bool		is_any = leaf->kind == MT_CONDITION_ANY;

	if (is_any ? elements.n == 0 : elements.has_null)
		return NEVER;
	if (elements.n == 0)
		return ALWAYS;
	if (leaf->strategy == (is_any ? BTEqualStrategyNumber : MT_NOT_EQUAL_STRATEGY))
		return put_list(buffer, column, leaf, &elements);
	return put_each(buffer, column, leaf, &elements);
}

/* IS DISTINCT FROM a value that is not NULL: another value, or NULL. */
static Sent
put_distinct(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum value)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	int			start = buffer->len;
	int			n = 0;
	int			element = mt_build_begin_indexed(buffer, n);
	Sent		sent = put_comparison(buffer, column, leaf, value);

	if (sent == ALWAYS || sent == CUT)
		return sent;
	if (sent == SENT)
	{
		mt_build_end(buffer, element);
		n++;
	}
	else
		buffer->len = start;
	element = mt_build_begin_indexed(buffer, n);
	if (put_null(buffer, column, leaf->exact) == ALWAYS)
		return ALWAYS;
	mt_build_end(buffer, element);
	mt_build_end(buffer, either);
	return SENT;
}

static Sent
put_leaf(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	StringInfo	buffer = deparser->buffer;
	const MtFilterValue *value;

	deparser->compares_text |= column->class == MT_COMPARE_TEXT || column->class == MT_COMPARE_BPCHAR ||
		column->class == MT_COMPARE_ENUM;
	if (leaf->kind == MT_CONDITION_NOT_NULL)
		return put_not_null(buffer, column, leaf->exact);
	if (leaf->kind == MT_CONDITION_NULL)
		return put_null(buffer, column, leaf->exact);
	value = &deparser->values[leaf->value];
	if (value->unknown != NULL)
		return put_unknown(buffer, column, leaf, value->unknown);
	switch (leaf->kind)
	{
		case MT_CONDITION_DISTINCT:
			return value->isnull ? put_not_null(buffer, column, leaf->exact) :
				put_distinct(buffer, column, leaf, value->datum);
		case MT_CONDITION_NOT_DISTINCT:
			return value->isnull ? put_null(buffer, column, leaf->exact) :
				put_comparison(buffer, column, leaf, value->datum);
		case MT_CONDITION_COMPARE:
			return value->isnull ? NEVER : put_comparison(buffer, column, leaf, value->datum);
		default:
			return value->isnull ? NEVER : put_array(buffer, column, leaf, value->datum);
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
	if (sent != CUT && (sent != SENT || deparser->buffer->len - start <= MAX_CONDITION_BYTES))
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
