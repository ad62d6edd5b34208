/*
 * arm.c
 *		Arms as elements of a filter's document: see arm.h.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "condition/arm.h"
#include "condition/bson_build.h"

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

void
mt_put_no_array(StringInfo buffer)
{
	int			is_no = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$not");

	mt_build_text(buffer, "$type", "array");
	mt_build_end(buffer, is_no);
}

/* {path: {$type: 'array'}}, or that it is none */
void
mt_put_array_test(StringInfo buffer, const char *path, bool wanted)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, path);

	if (wanted)
		mt_build_text(buffer, "$type", "array");
	else
		mt_put_no_array(buffer);
	mt_build_end(buffer, field);
}

char *
mt_next_parent(const MtCollectionColumn *column, const char **dot)
{
	if (*dot == NULL && column->root_len > 0)
		*dot = column->path + column->root_len;
	*dot = strchr(*dot == NULL ? column->path : *dot + 1, '.');
	return *dot == NULL ? NULL : pnstrdup(column->path, *dot - column->path);
}

/* The path leads through no array. */
static void
put_no_arrays_above(StringInfo buffer, const MtCollectionColumn *column)
{
	const char *dot = NULL;
	char	   *parent;

	while ((parent = mt_next_parent(column, &dot)) != NULL)
		mt_put_array_test(buffer, parent, false);
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
put_converts(StringInfo buffer, const char *path, const char *type)
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

int
mt_put_begin_digits(StringInfo buffer, const char *path)
{
	int			condition = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");
	int			type = mt_build_begin_indexed(buffer, 0);

	mt_build_text(buffer, "$type", path);
	mt_build_end(buffer, type);
	mt_build_text(buffer, "1", "objectId");
	mt_build_end(buffer, equal);
	mt_build_end(buffer, element);
	element = mt_build_begin_indexed(buffer, 1);
	mt_build_text(buffer, "$toString", path);
	mt_build_end(buffer, element);
	return condition;
}

/*
 * name: an ObjectId's digits, of all else null.  MongoDB may come to the
 * expression before it has looked at the type, and a regular expression is an
 * error on text that is ill-formed.
 */
static void
put_digits(StringInfo buffer, const char *name, const char *path)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			condition = mt_put_begin_digits(buffer, path);

	mt_build_index(buffer, MT_BSON_NULL, 2);
	mt_build_end(buffer, condition);
	mt_build_end(buffer, either);
}

/* {$eq: [{$regexMatch: its digits}, wanted]} */
static void
put_digits_match(StringInfo buffer, const char *path, const char *regex, bool wanted)
{
	int			equal = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$eq");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			match = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$regexMatch");
	MtPoint		point = {.type = MT_BSON_BOOL, .integer = wanted};

	put_digits(buffer, "input", path);
	put_regex(buffer, "regex", regex);
	mt_build_end(buffer, match);
	mt_build_end(buffer, element);
	mt_point_put_indexed(buffer, 1, &point);
	mt_build_end(buffer, equal);
}

void
mt_put_guard_expression(StringInfo buffer, const char *path, const MtGuard *guard)
{
	switch (guard->expression)
	{
		case MT_EXPRESSION_IS_DOUBLE:
			put_converts(buffer, path, "double");
			break;
		case MT_EXPRESSION_IS_LONG:
			put_converts(buffer, path, "long");
			break;
		case MT_EXPRESSION_IS_MIDNIGHT:
			put_is_midnight(buffer, path);
			break;
		default:
			put_digits_match(buffer, path, guard->expression_regex, guard->expression == MT_EXPRESSION_DIGITS_MATCH);
			break;
	}
}

static void
put_expression(StringInfo buffer, const MtCollectionColumn *column, const MtGuard *guard)
{
	int			expression = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$expr");

	mt_put_guard_expression(buffer, psprintf("$%s", column->path), guard);
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
		mt_put_no_array(buffer);
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
MtSent
mt_put_perhaps_not_null(StringInfo buffer, const MtCollectionColumn *column)
{
	int			field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	MtPoint		yes = {.type = MT_BSON_BOOL, .integer = 1};

	/* An array that holds a null is no null, but $ne would say so. */
	if (column->class == MT_COMPARE_NONE || column->has_index)
		mt_point_put(buffer, "$exists", &yes);
	else
		mt_build_name(buffer, MT_BSON_NULL, "$ne");
	mt_build_end(buffer, field);
	return MT_SENT;
}

MtSent
mt_put_arms(StringInfo buffer, const MtCollectionColumn *column, const MtArms *arms, bool exact)
{
	int			either;

	if (arms->n == 0)
		return MT_NEVER;
	for (int i = 0; i < arms->n; i++)
		if (!exact && !has_core(&arms->arms[i]))
			return mt_put_perhaps_not_null(buffer, column);
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
			mt_put_array_test(buffer, column->path, false);
	}
	if (exact)
		put_no_arrays_above(buffer, column);
	return MT_SENT;
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
		mt_put_no_array(buffer);
	mt_build_end(buffer, field);
	mt_build_end(buffer, element);
}

/* $or, or $nor, of what is NULL by its value: beyond an array, missing, null,
 * undefined, which is equal to null until MongoDB 7. */
static void
put_null_by_value(StringInfo buffer, const char *operator, const MtCollectionColumn *column, bool exact)
{
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, operator);
	const char *dot = NULL;
	char	   *parent;
	int			n = 0;

	put_null_arm(buffer, n++, column, MT_BSON_NULL, exact);
	put_null_arm(buffer, n++, column, MT_BSON_UNDEFINED, exact);
	while ((parent = mt_next_parent(column, &dot)) != NULL)
	{
		int			element = mt_build_begin_indexed(buffer, n++);

		mt_put_array_test(buffer, parent, true);
		mt_build_end(buffer, element);
	}
	mt_build_end(buffer, list);
}

MtSent
mt_put_no_array_at(StringInfo buffer, const MtCollectionColumn *column)
{
	mt_put_array_test(buffer, column->path, false);
	put_no_arrays_above(buffer, column);
	return MT_SENT;
}

MtSent
mt_put_not_null(StringInfo buffer, const MtCollectionColumn *column, bool exact)
{
	MtArms		arms;

	if (!exact)
		return mt_put_perhaps_not_null(buffer, column);
	if (mt_column_reads_everything(column))
	{
		put_null_by_value(buffer, "$nor", column, true);
		return MT_SENT;
	}
	mt_typed_arms(column, &arms);
	return mt_put_arms(buffer, column, &arms, true);
}

MtSent
mt_put_null(StringInfo buffer, const MtCollectionColumn *column, bool exact)
{
	int			neither;
	int			element;

	if (!column->null_on_mismatch || mt_column_reads_everything(column))
	{
		put_null_by_value(buffer, "$or", column, exact);
		return MT_SENT;
	}
	neither = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$nor");
	element = mt_build_begin_indexed(buffer, 0);
	if (mt_put_not_null(buffer, column, true) == MT_NEVER)
		return MT_ALWAYS;
	mt_build_end(buffer, element);
	mt_build_end(buffer, neither);
	return MT_SENT;
}
