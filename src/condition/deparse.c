/*
 * deparse.c
 *		Conditions and the values of a moment as the filter of a find.
 *
 * Each condition on a column becomes arms (arm.h), which are written
 * in one of three forms: their core as a superset, or, where the plan says so,
 * with their guards as an exact filter or as an aggregation expression.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "condition/arm.h"
#include "condition/bson_build.h"
#include "condition/deparse.h"
#include "condition/json.h"
#include "condition/shippable.h"
#include "condition/time.h"

/* What is left of MongoDB's 16 MB for one condition; a longer one is not sent. */
#define MAX_CONDITION_BYTES (4 * 1024 * 1024)
#define MAX_FILTER_BYTES	(12 * 1024 * 1024)
/* More values of IN than that surely exceed it. */
#define MAX_VALUES			(1024 * 1024)

typedef struct Deparser
{
	const MtCollectionColumn *columns;
	const MtFilterValue *values;
	StringInfo	buffer;
	bool		compares_text;
	bool		is_cut;			/* a condition that must be exact was too long to be sent */
} Deparser;

/* ---- in which form ---- */

static MtSent
put_arms(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const MtArms *arms)
{
	return leaf->is_expression ? mt_express_arms(buffer, column, arms) :
		mt_put_arms(buffer, column, arms, leaf->exact);
}

static MtSent
put_null(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf)
{
	return leaf->is_expression ? mt_express_null(buffer, column) : mt_put_null(buffer, column, leaf->exact);
}

static MtSent
put_not_null(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf)
{
	return leaf->is_expression ? mt_express_not_null(buffer, column) : mt_put_not_null(buffer, column, leaf->exact);
}

/* ---- comparisons ---- */

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

static bool
is_any(const MtLeaf *leaf)
{
	return leaf->kind == MT_CONDITION_ANY || leaf->kind == MT_CONDITION_TIME_ANY;
}

static bool
is_time(const MtLeaf *leaf)
{
	return leaf->kind >= MT_CONDITION_TIME;
}

/* A value that is not known yet, as its text. */
static MtSent
put_unknown(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const char *text)
{
	const char *operator = leaf->kind == MT_CONDITION_ELEMENTS ? "$in" : operators[leaf->strategy];
	int			field;

	if (leaf->kind == MT_CONDITION_ANY && leaf->strategy == BTEqualStrategyNumber)
		operator = "$in";
	if (leaf->kind == MT_CONDITION_ALL && leaf->strategy == MT_NOT_EQUAL_STRATEGY)
		operator = "$nin";
	if (leaf->is_expression)
	{
		field = mt_build_begin_named(buffer, MT_BSON_ARRAY, operator);
		mt_build_text(buffer, "0", psprintf("$%s", column->path));
		mt_build_text(buffer, "1", text);
		mt_build_end(buffer, field);
		return MT_SENT;
	}
	if (!leaf->exact && !is_time(leaf) && strcmp(operator, "$eq") == 0)
	{
		mt_build_text(buffer, column->path, text);
		return MT_SENT;
	}
	field = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, column->path);
	if (is_time(leaf) && strcmp(operator, "$eq") == 0)
	{
		mt_build_text(buffer, "$gte", text);
		operator = "$lte";
	}
	mt_build_text(buffer, operator, text);
	if (leaf->exact)
		mt_put_no_array(buffer);
	mt_build_end(buffer, field);
	return MT_SENT;
}

/* column operator value, which is not NULL */
static MtSent
put_comparison(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum value)
{
	MtArms		equality = {0};
	MtArms		arms = {0};

	if (is_time(leaf))
		mt_time_arms(column, leaf, value, &arms);
	else if (leaf->strategy == BTEqualStrategyNumber)
		mt_add_equality(column, leaf->type, value, leaf->exact, &arms);
	else if (leaf->strategy == MT_NOT_EQUAL_STRATEGY)
	{
		mt_add_equality(column, leaf->type, value, true, &equality);
		mt_exclusion_arms(column, &equality, leaf->exact, &arms);
	}
	else if (leaf->strategy > MT_NOT_EQUAL_STRATEGY)
	{
		if (!mt_like_arms(column, value, leaf->strategy, leaf->exact, &arms))
			return MT_CUT;
	}
	else
		mt_comparison_arms(column, leaf->type, value, leaf->strategy, leaf->exact, &arms);
	if (leaf->run >= 0)
	{
		if (leaf->run >= arms.n)
			return MT_NEVER;
		arms.arms[0] = arms.arms[leaf->run];
		arms.n = 1;
	}
	return put_arms(buffer, column, leaf, &arms);
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
static MtSent
put_list(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const Elements *elements)
{
	bool		is_in = leaf->kind == MT_CONDITION_ANY;
	MtArms		equality = {0};
	MtArms		arms;

	if (elements->n > MAX_VALUES)
		return MT_CUT;
	for (int i = 0; i < elements->n; i++)
		mt_add_equality(column, leaf->type, elements->values[i], leaf->exact || !is_in, &equality);
	if (is_in)
		return put_arms(buffer, column, leaf, &equality);
	mt_exclusion_arms(column, &equality, leaf->exact, &arms);
	return put_arms(buffer, column, leaf, &arms);
}

/* Any other operator: $or or $and of comparisons. */
static MtSent
put_each(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, const Elements *elements)
{
	bool		is_or = is_any(leaf);
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, is_or ? "$or" : "$and");
	int			n = 0;

	for (int i = 0; i < elements->n; i++)
	{
		int			start = buffer->len;
		int			element = mt_build_begin_indexed(buffer, n);
		MtSent		sent = put_comparison(buffer, column, leaf, elements->values[i]);

		if (start - list > MAX_CONDITION_BYTES || sent == MT_CUT)
			return MT_CUT;
		if (sent == (is_or ? MT_ALWAYS : MT_NEVER))
			return sent;
		if (sent == MT_SENT)
		{
			mt_build_end(buffer, element);
			n++;
		}
		else
			buffer->len = start;
	}
	mt_build_end(buffer, list);
	return n > 0 ? MT_SENT : is_or ? MT_NEVER : MT_ALWAYS;
}

/* ANY is never true of no element, ALL not where one is NULL; but it is of none at all. */
static MtSent
put_array(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum array)
{
	Elements	elements = elements_of(leaf, array);

	if (is_any(leaf) ? elements.n == 0 : elements.has_null)
		return MT_NEVER;
	if (elements.n == 0)
		return MT_ALWAYS;
	if (!is_time(leaf) && leaf->strategy == (is_any(leaf) ? BTEqualStrategyNumber : MT_NOT_EQUAL_STRATEGY))
		return put_list(buffer, column, leaf, &elements);
	return put_each(buffer, column, leaf, &elements);
}

/* IS DISTINCT FROM a value that is not NULL: another value, or NULL. */
static MtSent
put_distinct(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum value)
{
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	int			start = buffer->len;
	int			n = 0;
	int			element = mt_build_begin_indexed(buffer, n);
	MtSent		sent = put_comparison(buffer, column, leaf, value);

	if (sent == MT_ALWAYS || sent == MT_CUT)
		return sent;
	if (sent == MT_SENT)
	{
		mt_build_end(buffer, element);
		n++;
	}
	else
		buffer->len = start;
	element = mt_build_begin_indexed(buffer, n);
	if (put_null(buffer, column, leaf) == MT_ALWAYS)
		return MT_ALWAYS;
	mt_build_end(buffer, element);
	mt_build_end(buffer, either);
	return MT_SENT;
}

/* ---- arrays and json: supersets ---- */

/*
 * An array in an array reads as a dimension more, and what it holds as the
 * column's elements; PostgreSQL's arrays being rectangular, it is the first.
 */
static MtSent
put_elements(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf, Datum value)
{
	MtCollectionColumn element = mt_column_element(column);
	MtLeaf		as_leaf = *leaf;
	Elements	elements = {1, &value, false};
	int			either;
	int			arm;
	MtSent		sent;

	if (leaf->strategy != MT_ELEMENTS_HAVE)
		elements = elements_of(leaf, value);
	if (leaf->strategy == MT_ELEMENTS_HAVE_ALL ? elements.has_null : elements.n == 0)
		return MT_NEVER;
	if (elements.n == 0)
		return mt_put_perhaps_not_null(buffer, column);
	as_leaf.kind = leaf->strategy == MT_ELEMENTS_HAVE_ALL ? MT_CONDITION_ALL : MT_CONDITION_ANY;
	as_leaf.strategy = BTEqualStrategyNumber;
	either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$or");
	arm = mt_build_begin_indexed(buffer, 0);
	sent = as_leaf.kind == MT_CONDITION_ANY ? put_list(buffer, &element, &as_leaf, &elements) :
		put_each(buffer, &element, &as_leaf, &elements);
	if (sent != MT_SENT)
		return sent;
	mt_build_end(buffer, arm);
	arm = mt_build_begin_indexed(buffer, 1);
	mt_put_array_test(buffer, psprintf("%s.0", column->path), true);
	mt_build_end(buffer, arm);
	mt_build_end(buffer, either);
	return MT_SENT;
}

static MtSent
put_run(StringInfo buffer, const MtCollectionColumn *column, const MtLeaf *leaf)
{
	MtArms		arms;

	mt_run_arm(column, leaf->strategy, &arms);
	return mt_put_arms(buffer, column, &arms, true);
}

static MtSent
put_json(Deparser *deparser, const MtCollectionColumn *column, const MtLeaf *leaf)
{
	MtJsonClause clause = {.test = leaf->strategy % 256, .type = leaf->type, .strategy = leaf->strategy / 256,
	.nested = leaf->nested};
	const MtFilterValue *value = leaf->value < 0 ? NULL : &deparser->values[leaf->value];
	char	   *path = TextDatumGetCString(deparser->values[leaf->path].datum);

	if (value != NULL && value->unknown != NULL)
	{
		mt_build_text(deparser->buffer, psprintf("%s.%s", column->path, path), value->unknown);
		return MT_SENT;
	}
	if (value != NULL && value->isnull)
		return MT_NEVER;
	return mt_json_put(deparser->buffer, column, path, &clause, value != NULL ? value->datum : (Datum) 0) ?
		MT_SENT : MT_CUT;
}

static MtSent
put_leaf(Deparser *deparser, const MtLeaf *leaf)
{
	const MtCollectionColumn *column = &deparser->columns[leaf->column];
	StringInfo	buffer = deparser->buffer;
	const MtFilterValue *value;

	deparser->compares_text |= mt_class_is_text(column->class) || mt_class_is_text(column->element_class) ||
		leaf->kind == MT_CONDITION_JSON;
	if (leaf->kind == MT_CONDITION_NOT_NULL)
		return put_not_null(buffer, column, leaf);
	if (leaf->kind == MT_CONDITION_NO_ARRAY)
		return mt_put_no_array_at(buffer, column);
	if (leaf->kind == MT_CONDITION_NULL)
		return put_null(buffer, column, leaf);
	if (leaf->kind == MT_CONDITION_RUN)
		return put_run(buffer, column, leaf);
	if (leaf->kind == MT_CONDITION_JSON)
		return put_json(deparser, column, leaf);
	value = &deparser->values[leaf->value];
	if (value->unknown != NULL)
		return put_unknown(buffer, column, leaf, value->unknown);
	switch (leaf->kind)
	{
		case MT_CONDITION_DISTINCT:
			return value->isnull ? put_not_null(buffer, column, leaf) :
				put_distinct(buffer, column, leaf, value->datum);
		case MT_CONDITION_NOT_DISTINCT:
			return value->isnull ? put_null(buffer, column, leaf) :
				put_comparison(buffer, column, leaf, value->datum);
		case MT_CONDITION_COMPARE:
		case MT_CONDITION_TIME:
			return value->isnull ? MT_NEVER : put_comparison(buffer, column, leaf, value->datum);
		case MT_CONDITION_ELEMENTS:
			return value->isnull ? MT_NEVER : put_elements(buffer, column, leaf, value->datum);
		default:
			return value->isnull ? MT_NEVER : put_array(buffer, column, leaf, value->datum);
	}
}

static MtSent put_several(Deparser *deparser, bool is_or, List *conditions);

/* What it leaves behind when it is not MT_SENT, the caller removes. */
static MtSent
put_condition(Deparser *deparser, List *condition)
{
	int			start = deparser->buffer->len;
	MtLeaf		leaf;
	MtSent		sent;

	if (!IsA(condition, IntList))
		return put_several(deparser, intVal(linitial(condition)) == MT_CONDITION_OR, lsecond(condition));
	leaf = mt_condition_leaf(condition);
	sent = put_leaf(deparser, &leaf);
	if (sent != MT_CUT && (sent != MT_SENT || deparser->buffer->len - start <= MAX_CONDITION_BYTES))
		return sent;
	deparser->is_cut |= leaf.exact;
	return MT_ALWAYS;
}

/* {$and: [...]} or {$or: [...]}, which must not be empty. */
static MtSent
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
		MtSent		sent = put_condition(deparser, lfirst(cell));

		if (sent == (is_or ? MT_ALWAYS : MT_NEVER))
			return sent;
		if (sent == MT_SENT)
		{
			mt_build_end(buffer, element);
			n++;
		}
		else
			buffer->len = start;
	}
	mt_build_end(buffer, list);
	if (n > 0)
		return MT_SENT;
	return is_or ? MT_NEVER : MT_ALWAYS;
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

bool
mt_collection_try_filter(const MtCollectionColumn *columns, List *conditions, const MtFilterValue *values,
						 MtFilter *filter)
{
	StringInfoData buffer;
	Deparser	deparser = {columns, values, &buffer, false, false};
	int			document;
	MtSent		sent;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	sent = list_length(conditions) == 1 ? put_condition(&deparser, linitial(conditions)) :
		put_several(&deparser, false, conditions);
	mt_build_end(&buffer, document);
	if (sent == MT_SENT && buffer.len > MAX_FILTER_BYTES)
	{
		deparser.is_cut |= mt_conditions_have_exact(conditions);
		sent = MT_ALWAYS;
	}
	if (sent != MT_SENT)
	{
		resetStringInfo(&buffer);
		mt_build_end(&buffer, mt_build_begin(&buffer));
	}
	filter->document.data = (const uint8 *) buffer.data;
	filter->document.len = (uint32) buffer.len;
	filter->is_empty_set = sent == MT_NEVER;
	filter->compares_text = deparser.compares_text;
	return !deparser.is_cut;
}

MtFilter
mt_collection_filter(const MtCollectionColumn *columns, List *conditions, const MtFilterValue *values)
{
	MtFilter	filter;

	if (!mt_collection_try_filter(columns, conditions, values, &filter))
		refuse();
	return filter;
}

bool
mt_collection_expression(const MtCollectionColumn *columns, List *condition, const MtFilterValue *values,
						 MtFilter *expression)
{
	bool		is_whole = mt_collection_try_filter(columns, list_make1(condition), values, expression);
	StringInfoData buffer;
	int			document;

	if (!expression->is_empty_set && expression->document.len > MT_EMPTY_DOCUMENT_BYTES)
		return is_whole;
	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	mt_build_bool(&buffer, "$literal", !expression->is_empty_set);
	mt_build_end(&buffer, document);
	expression->document.data = (const uint8 *) buffer.data;
	expression->document.len = (uint32) buffer.len;
	return is_whole;
}
