/*
 * expression.c
 *		Exact conditions as aggregation expressions: what FILTER is to $group.
 *
 * They say what the exact filters of arm.c say, where MongoDB's rules
 * are others:
 *
 *	types		a comparison knows all of BSON's order, so that a missing field is
 *				less than 5, and a string greater; a range that has one end is
 *				therefore that of a type
 *	NaN			is the least number here, and not in a range of a filter's
 *	arrays		are values; what a path finds beyond an array is one, too, and
 *				equals no scalar
 *	strings		that begin with $ are fields, but for a $literal
 *	errors		what looks at text or numbers fails for all else, and so stands
 *				behind $cond, which alone promises to look at types first
 */
#include "postgres.h"

#include "utils/float.h"

#include "condition/arm.h"
#include "condition/bson_build.h"
#include "condition/shippable.h"

static const char *const number_types[MT_MAX_TYPES] = {"int", "long", "double", "decimal"};
static const char *const integer_types[MT_MAX_TYPES] = {"int", "long"};
static const char *const string_types[MT_MAX_TYPES] = {"string", "symbol"};
static const char *const null_types[MT_MAX_TYPES] = {"missing", "null", "undefined"};

/* The elements of an array of expressions that is being written. */
typedef struct Terms
{
	StringInfo	buffer;
	const char *path;			/* with $ */
	int			list;
	int			n;
} Terms;

static Terms
begin_terms(StringInfo buffer, const char *operator, const char *path)
{
	Terms		terms = {buffer, path, mt_build_begin_named(buffer, MT_BSON_ARRAY, operator), 0};

	return terms;
}

static int
begin_term(Terms *terms)
{
	return mt_build_begin_indexed(terms->buffer, terms->n++);
}

static void
end_terms(Terms *terms)
{
	mt_build_end(terms->buffer, terms->list);
}

/* ---- single operators: each writes one element ---- */

/* {$in: [{$type: path}, types]} */
static void
express_types(StringInfo buffer, const char *path, const char *const *types)
{
	int			in = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
	int			type = mt_build_begin_indexed(buffer, 0);
	int			list;

	mt_build_text(buffer, "$type", path);
	mt_build_end(buffer, type);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "1");
	for (int i = 0; i < MT_MAX_TYPES && types[i] != NULL; i++)
	{
		mt_build_index(buffer, MT_BSON_STRING, i);
		mt_build_string(buffer, types[i], (int) strlen(types[i]));
	}
	mt_build_end(buffer, list);
	mt_build_end(buffer, in);
}

/* {operator: [path, {$literal: point}]} */
static void
express_comparison(StringInfo buffer, const char *operator, const char *path, const MtPoint *point)
{
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, operator);
	int			literal;

	mt_build_text(buffer, "0", path);
	literal = mt_build_begin_indexed(buffer, 1);
	mt_point_put(buffer, "$literal", point);
	mt_build_end(buffer, literal);
	mt_build_end(buffer, list);
}

/* {$in: [path, {$literal: points}]} */
static void
express_in(StringInfo buffer, const char *path, const List *points)
{
	int			in = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
	int			element;
	int			list;
	int			n = 0;
	ListCell   *cell;

	mt_build_text(buffer, "0", path);
	element = mt_build_begin_indexed(buffer, 1);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$literal");
	foreach(cell, points)
		mt_point_put_indexed(buffer, n++, lfirst(cell));
	mt_build_end(buffer, list);
	mt_build_end(buffer, element);
	mt_build_end(buffer, in);
}

/* {$regexMatch: ...}, for which a symbol must become a string */
static void
express_match(StringInfo buffer, const char *path, const MtPoint *regex)
{
	int			match = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$regexMatch");
	int			input = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "input");
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$substrBytes");
	MtPoint		number = {.type = MT_BSON_INT32};

	mt_build_text(buffer, "0", path);
	mt_point_put_indexed(buffer, 1, &number);
	number.integer = -1;
	mt_point_put_indexed(buffer, 2, &number);
	mt_build_end(buffer, list);
	mt_build_end(buffer, input);
	mt_point_put(buffer, "regex", regex);
	mt_build_end(buffer, match);
}

/* An integer, or what converts to an equal one. */
static void
express_integral(StringInfo buffer, const char *path)
{
	MtGuard		is_long = {.expression = MT_EXPRESSION_IS_LONG};
	Terms		either = begin_terms(buffer, "$or", path);
	int			term = begin_term(&either);

	express_types(buffer, path, integer_types);
	mt_build_end(buffer, term);
	term = begin_term(&either);
	mt_put_guard_expression(buffer, path, &is_long);
	mt_build_end(buffer, term);
	end_terms(&either);
}

/* The types of which a range is that has one end. */
static const char *const *
types_beside(const MtPoint *point)
{
	static const char *const objectid_types[MT_MAX_TYPES] = {"objectId"};
	static const char *const date_types[MT_MAX_TYPES] = {"date"};
	static const char *const binary_types[MT_MAX_TYPES] = {"binData"};

	switch (point->type)
	{
		case MT_BSON_STRING:
			return string_types;
		case MT_BSON_OBJECTID:
			return objectid_types;
		case MT_BSON_DATE:
			return date_types;
		case MT_BSON_BINARY:
			return binary_types;
		default:
			return number_types;
	}
}

/* ---- terms ---- */

static void
add_comparison(Terms *terms, const char *operator, const MtPoint *point)
{
	int			term = begin_term(terms);

	express_comparison(terms->buffer, operator, terms->path, point);
	mt_build_end(terms->buffer, term);
}

static void
add_match(Terms *terms, const MtPoint *regex)
{
	int			term = begin_term(terms);

	express_match(terms->buffer, terms->path, regex);
	mt_build_end(terms->buffer, term);
}

/* One of these points, which are values or a regular expression. */
static void
add_points(Terms *terms, const List *points)
{
	int			term;

	if (((const MtPoint *) linitial(points))->type == MT_BSON_REGEX)
	{
		Assert(list_length(points) == 1);
		add_match(terms, linitial(points));
		return;
	}
	term = begin_term(terms);
	express_in(terms->buffer, terms->path, points);
	mt_build_end(terms->buffer, term);
}

/* None of them: {$not: [...]} */
static void
add_excluded(Terms *terms, const List *points)
{
	int			term = begin_term(terms);
	Terms		neither = begin_terms(terms->buffer, "$not", terms->path);

	add_points(&neither, points);
	end_terms(&neither);
	mt_build_end(terms->buffer, term);
}

static void
add_core(Terms *terms, const MtArm *arm)
{
	const MtPoint *lower = arm->lower != NULL ? arm->lower : arm->least;
	const MtPoint *upper = arm->upper != NULL ? arm->upper : arm->most;
	MtPoint		nan = {.type = MT_BSON_DOUBLE,.number = get_float8_nan()};

	if (arm->points != NIL)
		add_points(terms, arm->points);
	if (arm->excluded != NIL)
		add_excluded(terms, arm->excluded);
	if (lower != NULL)
		add_comparison(terms, arm->lower != NULL && arm->lower_is_open ? "$gt" : "$gte", lower);
	else if (upper != NULL && types_beside(upper) == number_types)
		add_comparison(terms, "$gt", &nan);
	if (upper != NULL)
		add_comparison(terms, arm->upper != NULL && arm->upper_is_open ? "$lt" : "$lte", upper);
}

/* What a guard says, but for the types. */
static void
add_guard(Terms *terms, const MtGuard *guard)
{
	int			term;

	if (guard->is_integral)
	{
		term = begin_term(terms);
		express_integral(terms->buffer, terms->path);
		mt_build_end(terms->buffer, term);
	}
	if (guard->regex != NULL)
	{
		MtPoint		regex = {.type = MT_BSON_REGEX,.bytes = guard->regex,.n_bytes = (int) strlen(guard->regex)};

		add_match(terms, &regex);
	}
	if (guard->expression != MT_EXPRESSION_NONE)
	{
		term = begin_term(terms);
		mt_put_guard_expression(terms->buffer, terms->path, guard);
		mt_build_end(terms->buffer, term);
	}
}

/* ---- arms ---- */

/* MongoDB's names, as its $type has them in an expression; NULL: any. */
static const char *const *
plain_types(const char *const *types)
{
	if (types[0] == NULL)
		return NULL;
	return strcmp(types[0], "number") == 0 ? number_types : types;
}

/*
 * What must be known of the type before the rest is looked at; NULL: nothing.
 * Of a range with two ends it is known, but $in makes MongoDB 6.0 take its older
 * engine, which takes half the time for the rest.
 */
static const char *const *
types_first(const MtArm *arm, const char **room)
{
	const MtPoint *bounds[] = {arm->lower, arm->upper, arm->least, arm->most};

	if (arm->type != NULL)
	{
		memset(room, 0, sizeof(char *) * MT_MAX_TYPES);
		room[0] = arm->type;
		return plain_types(room);
	}
	if (arm->n_guards == 1 && arm->guards[0].types[0] != NULL)
		return plain_types(arm->guards[0].types);
	for (size_t i = 0; i < lengthof(bounds); i++)
		if (bounds[i] != NULL)
			return types_beside(bounds[i]);
	return NULL;
}

/* Does a core or a guard say more than types do? */
static bool
says_more(const MtArm *core, const MtGuard *guard)
{
	return (core != NULL && (core->points != NIL || core->excluded != NIL || core->lower != NULL ||
							 core->upper != NULL || core->least != NULL || core->most != NULL)) ||
		(guard != NULL && (guard->is_integral || guard->regex != NULL || guard->expression != MT_EXPRESSION_NONE));
}

/* {$and: [core, guard]}; either may be NULL */
static void
express_all(StringInfo buffer, const char *path, const MtArm *core, const MtGuard *guard)
{
	Terms		terms = begin_terms(buffer, "$and", path);

	if (core != NULL)
		add_core(&terms, core);
	if (guard != NULL)
		add_guard(&terms, guard);
	end_terms(&terms);
}

/* {$cond: [its type is one of these, {$and: [core, guard]}, false]}, or what there is of it */
static void
express_typed(StringInfo buffer, const char *path, const char *const *types, const MtArm *core, const MtGuard *guard)
{
	int			condition;
	int			element;

	if (types == NULL)
	{
		express_all(buffer, path, core, guard);
		return;
	}
	if (!says_more(core, guard))
	{
		express_types(buffer, path, types);
		return;
	}
	condition = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	element = mt_build_begin_indexed(buffer, 0);
	express_types(buffer, path, types);
	mt_build_end(buffer, element);
	element = mt_build_begin_indexed(buffer, 1);
	express_all(buffer, path, core, guard);
	mt_build_end(buffer, element);
	mt_build_bool(buffer, "2", false);
	mt_build_end(buffer, condition);
}

/* Several guards: {$and: [core, {$or: guards}]} */
static void
express_guarded(StringInfo buffer, const char *path, const MtArm *arm)
{
	Terms		all = begin_terms(buffer, "$and", path);
	int			term;
	Terms		either;

	add_core(&all, arm);
	term = begin_term(&all);
	either = begin_terms(buffer, "$or", path);
	for (int i = 0; i < arm->n_guards; i++)
	{
		int			guarded = begin_term(&either);

		express_typed(buffer, path, plain_types(arm->guards[i].types), NULL, &arm->guards[i]);
		mt_build_end(buffer, guarded);
	}
	end_terms(&either);
	mt_build_end(buffer, term);
	end_terms(&all);
}

/* Nothing but values that the field may equal? */
static bool
is_point(const MtArm *arm)
{
	return arm->n_guards == 0 && arm->type == NULL && arm->points != NIL && arm->excluded == NIL &&
		arm->lower == NULL && arm->upper == NULL && arm->least == NULL && arm->most == NULL &&
		((const MtPoint *) linitial(arm->points))->type != MT_BSON_REGEX;
}

static void
express_arm(StringInfo buffer, const char *path, const MtArm *arm)
{
	const char *room[MT_MAX_TYPES];

	if (is_point(arm))
		express_in(buffer, path, arm->points);
	else if (arm->n_guards > 1)
		express_guarded(buffer, path, arm);
	else
		express_typed(buffer, path, types_first(arm, room), arm, arm->n_guards == 1 ? &arm->guards[0] : NULL);
}

MtSent
mt_express_arms(StringInfo buffer, const MtCollectionColumn *column, const MtArms *arms)
{
	char	   *path = psprintf("$%s", column->path);
	Terms		either;

	if (arms->n == 0)
		return MT_NEVER;
	if (arms->n == 1)
	{
		express_arm(buffer, path, &arms->arms[0]);
		return MT_SENT;
	}
	either = begin_terms(buffer, "$or", path);
	for (int i = 0; i < arms->n; i++)
	{
		int			term = begin_term(&either);

		express_arm(buffer, path, &arms->arms[i]);
		mt_build_end(buffer, term);
	}
	end_terms(&either);
	return MT_SENT;
}

/* ---- NULL ---- */

/* What is NULL by its value: missing, null, undefined, or beyond an array. */
static void
express_null_by_value(StringInfo buffer, const MtCollectionColumn *column)
{
	char	   *path = psprintf("$%s", column->path);
	Terms		either = begin_terms(buffer, "$or", path);
	int			term = begin_term(&either);
	const char *dot = NULL;
	char	   *parent;

	express_types(buffer, path, null_types);
	mt_build_end(buffer, term);
	while ((parent = mt_next_parent(column, &dot)) != NULL)
	{
		term = begin_term(&either);
		mt_build_text(buffer, "$isArray", psprintf("$%s", parent));
		mt_build_end(buffer, term);
	}
	end_terms(&either);
}

static MtSent
express_no_null(StringInfo buffer, const MtCollectionColumn *column)
{
	MtArms		arms;

	mt_typed_arms(column, &arms);
	return mt_express_arms(buffer, column, &arms);
}

MtSent
mt_express_null(StringInfo buffer, const MtCollectionColumn *column)
{
	Terms		neither;
	int			term;

	if (!column->null_on_mismatch || mt_column_reads_everything(column))
	{
		express_null_by_value(buffer, column);
		return MT_SENT;
	}
	neither = begin_terms(buffer, "$not", NULL);
	term = begin_term(&neither);
	if (express_no_null(buffer, column) == MT_NEVER)
		return MT_ALWAYS;
	mt_build_end(buffer, term);
	end_terms(&neither);
	return MT_SENT;
}

MtSent
mt_express_not_null(StringInfo buffer, const MtCollectionColumn *column)
{
	Terms		neither;
	int			term;

	if (!mt_column_reads_everything(column))
		return express_no_null(buffer, column);
	neither = begin_terms(buffer, "$not", NULL);
	term = begin_term(&neither);
	express_null_by_value(buffer, column);
	mt_build_end(buffer, term);
	end_terms(&neither);
	return MT_SENT;
}

/* ---- planning ---- */

bool
mt_condition_has_expression(const MtCollectionColumn *columns, List *condition)
{
	ListCell   *cell;
	MtLeaf		leaf;

	if (IsA(condition, IntList))
	{
		leaf = mt_condition_leaf(condition);
		return leaf.kind <= MT_CONDITION_NOT_NULL && !columns[leaf.column].is_whole &&
			!columns[leaf.column].has_index;
	}
	foreach(cell, (List *) lsecond(condition))
		if (!mt_condition_has_expression(columns, lfirst(cell)))
			return false;
	return true;
}
