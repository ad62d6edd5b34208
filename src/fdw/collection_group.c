/*
 * collection_group.c
 *		Aggregates and GROUP BY as a $group of MongoDB's.
 *
 * $group adds, compares and groups BSON values, and skips what it cannot add;
 * PostgreSQL aggregates what the column's type makes of them.  The two agree as
 * long as all values that a group has met are of the column's plain kind, or
 * null or missing.  So the $group itself finds out whether they were, and its
 * result is believed only then; else the query's own local plan, which every
 * such scan has with it, is run instead (collection_scan.c).  It gives the
 * right rows, or the error that names the document.
 *
 * The proof must cost little beside the aggregates:
 *
 *	numbers		are added through $multiply, which fails for what is no number; the
 *				type of a sum is that of the widest number in it: an integer that
 *				is the sum of integers has met nothing else, and did not overflow
 *	the rest	of a column are told by the least and the greatest value: BSON's
 *				order puts values of one type beside each other
 *	counts		of a column that is added, too, are its sum over its average; are
 *				they as many as documents, then each holds a number, and $multiply
 *				is not needed
 *	no values	add up to 0, so where the sum is another, there are some
 *	keys		are there to be looked at
 *
 * What does not show is a number in a column of on_mismatch 'error' that is an
 * integer, but out of the type's range, and a date or string of the column's
 * own BSON type that it cannot show: such a value is counted and compared, but
 * raises its error only when it is itself the answer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "condition/bson_build.h"
#include "fdw/collection_group.h"

/* ---- what can be had ---- */

List *
mt_grouping_to_list(const MtGrouping *grouping)
{
	return list_make5(grouping->keys, grouping->arguments, grouping->outputs,
					  list_make2_int(grouping->is_one_row, grouping->is_distinct), grouping->filters);
}

MtGrouping *
mt_grouping_from_list(List *list)
{
	MtGrouping *grouping = palloc0(sizeof *grouping);

	grouping->keys = linitial(list);
	grouping->arguments = lsecond(list);
	grouping->outputs = lthird(list);
	grouping->is_one_row = linitial_int(lfourth(list)) != 0;
	grouping->is_distinct = lsecond_int(lfourth(list)) != 0;
	grouping->filters = list_nth(list, 4);
	return grouping;
}

MtGroupArgument
mt_group_argument(const MtGrouping *grouping, int i)
{
	List	   *numbers = list_nth(grouping->arguments, i);
	MtGroupArgument argument = {linitial_int(numbers), lsecond_int(numbers), lthird_int(numbers)};

	return argument;
}

/* Does "$path" of an expression mean what the path means here? */
static bool
is_field(const MtCollectionColumn *column)
{
	return column->name != NULL && column->is_sendable && !column->is_whole && !column->has_index &&
		column->type == column->base_type;
}

bool
mt_group_takes_key(const MtCollectionColumn *column)
{
	if (!is_field(column))
		return false;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_NUMERIC:
		case MT_COMPARE_TEXT:
		case MT_COMPARE_BOOL:
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
		case MT_COMPARE_UUID:
		case MT_COMPARE_OBJECTID:
			return true;
		case MT_COMPARE_FLOAT:
			return column->type == FLOAT8OID;
		default:
			return false;
	}
}

static int
number_needs(const MtCollectionColumn *column, MtOutputKind kind, bool is_full)
{
	/* Values that do not convert are NULL, and so must be told from the others. */
	int			range = column->null_on_mismatch && column->type != INT8OID ? MT_NEED_RANGE : 0;

	switch (kind)
	{
		case MT_OUTPUT_COUNT:
			return (is_full ? MT_NEED_ALL : MT_NEED_COUNT) | MT_NEED_SUM | range;
		case MT_OUTPUT_SUM:
			return (is_full || range ? MT_NEED_SOME : MT_NEED_AVG) | MT_NEED_SUM | range;
		case MT_OUTPUT_AVG:
			return (is_full ? MT_NEED_ALL : MT_NEED_AVG) | MT_NEED_SUM | range;
		default:
			return MT_NEED_RANGE;
	}
}

int
mt_group_needs(const MtCollectionColumn *column, MtOutputKind kind, bool is_full)
{
	bool		adds = kind == MT_OUTPUT_SUM || kind == MT_OUTPUT_AVG;

	if (!is_field(column))
		return 0;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			return number_needs(column, kind, is_full);
		case MT_COMPARE_FLOAT:
			return column->type == FLOAT8OID ? number_needs(column, kind, is_full) : 0;
		case MT_COMPARE_NUMERIC:
			/* the others would be Decimal128's, which rounds, or a double's */
			return kind == MT_OUTPUT_COUNT && column->typmod < 0 ? MT_NEED_COUNT | MT_NEED_SUM : 0;
		case MT_COMPARE_TEXT:
		case MT_COMPARE_DATE:
			if (kind == MT_OUTPUT_COUNT)
				return column->null_on_mismatch ? 0 : MT_NEED_COUNT | MT_NEED_RANGE;
			return adds ? 0 : MT_NEED_RANGE;
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_BOOL:
		case MT_COMPARE_OBJECTID:
			if (kind == MT_OUTPUT_COUNT)
				return column->typmod >= 0 ? 0 : MT_NEED_COUNT | MT_NEED_RANGE;
			return adds ? 0 : MT_NEED_RANGE;
		default:
			return 0;
	}
}

static void
add_output(MtGrouping *grouping, MtOutputKind kind, int index)
{
	grouping->outputs = lappend(grouping->outputs, list_make2_int((int) kind, index));
}

void
mt_grouping_add_key(MtGrouping *grouping, int column)
{
	if (!list_member_int(grouping->keys, column))
		grouping->keys = lappend_int(grouping->keys, column);
	for (int i = 0; i < list_length(grouping->keys); i++)
		if (list_nth_int(grouping->keys, i) == column)
			add_output(grouping, MT_OUTPUT_KEY, i);
}

void
mt_grouping_add_count_all(MtGrouping *grouping)
{
	add_output(grouping, MT_OUTPUT_COUNT_ALL, 0);
}

void
mt_grouping_add(MtGrouping *grouping, MtOutputKind kind, MtGroupArgument argument)
{
	for (int i = 0; i < list_length(grouping->arguments); i++)
	{
		MtGroupArgument other = mt_group_argument(grouping, i);

		if (other.column == argument.column && other.filter == argument.filter)
		{
			lsecond_int((List *) list_nth(grouping->arguments, i)) |= argument.needs;
			add_output(grouping, kind, i);
			return;
		}
	}
	add_output(grouping, kind, list_length(grouping->arguments));
	grouping->arguments = lappend(grouping->arguments,
								  list_make3_int(argument.column, argument.needs, argument.filter));
}

/* ---- the stage ---- */

static char *
field_text(const MtCollectionColumn *column)
{
	return psprintf("$%s", column->path);
}

/* What an accumulator takes of a document. */
typedef struct Operand
{
	const char *field;			/* with $; NULL: the document itself, to count it */
	MtSlice		filter;			/* an expression; else null is taken.  No data: none */
} Operand;

static void
build_int32(StringInfo buffer, const char *name, int32 v)
{
	mt_build_name(buffer, MT_BSON_INT32, name);
	mt_build_le32(buffer, (uint32) v);
}

/* name: "$path", or {$cond: [filter, "$path", null]} */
static void
build_operand(StringInfo buffer, const char *name, const Operand *operand)
{
	int			document;
	int			condition;

	if (operand->filter.data == NULL)
	{
		mt_build_text(buffer, name, operand->field);
		return;
	}
	document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	condition = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	mt_build_document(buffer, "0", operand->filter);
	mt_build_text(buffer, "1", operand->field);
	mt_build_name(buffer, MT_BSON_NULL, "2");
	mt_build_end(buffer, condition);
	mt_build_end(buffer, document);
}

/* name: {accumulator: operand} */
static void
build_accumulator(StringInfo buffer, const char *name, const char *accumulator, const Operand *operand)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);

	build_operand(buffer, accumulator, operand);
	mt_build_end(buffer, document);
}

/* name: {$sum: {$multiply: [operand]}} */
static void
build_guarded_sum(StringInfo buffer, const char *name, const Operand *operand)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			sum = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$sum");
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$multiply");

	build_operand(buffer, "0", operand);
	mt_build_end(buffer, list);
	mt_build_end(buffer, sum);
	mt_build_end(buffer, document);
}

/* {$in: [{$ifNull: [operand, null]}, [null]]}; by $gt it costs MongoDB 6.0 twice that */
static void
build_is_null(StringInfo buffer, const char *name, const Operand *operand)
{
	int			condition = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			in = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$in");
	int			document = mt_build_begin_indexed(buffer, 0);
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$ifNull");

	build_operand(buffer, "0", operand);
	mt_build_name(buffer, MT_BSON_NULL, "1");
	mt_build_end(buffer, list);
	mt_build_end(buffer, document);
	list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "1");
	mt_build_name(buffer, MT_BSON_NULL, "0");
	mt_build_end(buffer, list);
	mt_build_end(buffer, in);
	mt_build_end(buffer, condition);
}

/* name: {$sum: {$cond: [there is none, 0, 1]}}, or of documents {$sum: {$cond: [filter, 1, 0]}} */
static void
build_count(StringInfo buffer, const char *name, const Operand *operand)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			sum = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$sum");
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	bool		is_value = operand->field != NULL;

	if (is_value)
		build_is_null(buffer, "0", operand);
	else
		mt_build_document(buffer, "0", operand->filter);
	build_int32(buffer, "1", is_value ? 0 : 1);
	build_int32(buffer, "2", is_value ? 1 : 0);
	mt_build_end(buffer, either);
	mt_build_end(buffer, sum);
	mt_build_end(buffer, document);
}

/*
 * One key is the field, several are a document of them, which MongoDB groups
 * by fastest.  Where it lacks what the grouped document lacked, as it does in
 * some versions, a group is only a part of that of NULL; an array, which is
 * asked for then, has null in its place.
 */
static void
build_keys(StringInfo buffer, List *fields, bool is_precise)
{
	int			list;
	int			i = 0;
	ListCell   *cell;

	if (fields == NIL)
		mt_build_name(buffer, MT_BSON_NULL, "_id");
	else if (list_length(fields) == 1)
		mt_build_text(buffer, "_id", linitial(fields));
	else
	{
		list = mt_build_begin_named(buffer, is_precise ? MT_BSON_ARRAY : MT_BSON_DOCUMENT, "_id");
		foreach(cell, fields)
		{
			mt_build_index(buffer, MT_BSON_STRING, i++);
			mt_build_string(buffer, lfirst(cell), (int) strlen(lfirst(cell)));
		}
		mt_build_end(buffer, list);
	}
}

/* What to ask for: one of all, a count, an average, and nothing more than the sum. */
static int
asked_needs(int needs, bool is_precise)
{
	if (is_precise && (needs & (MT_NEED_ALL | MT_NEED_AVG | MT_NEED_SOME)))
		needs = (needs | MT_NEED_COUNT) & ~MT_NEED_ALL;
	if (needs & (MT_NEED_ALL | MT_NEED_COUNT))
		needs &= ~MT_NEED_AVG;
	return needs;
}

/* The accumulators of one argument. */
static void
build_argument(StringInfo buffer, int i, const Operand *operand, int needs)
{
	if (needs & MT_NEED_ALL)
		build_accumulator(buffer, psprintf("s%d", i), "$sum", operand);
	else if (needs & MT_NEED_SUM)
		build_guarded_sum(buffer, psprintf("s%d", i), operand);
	if (needs & (MT_NEED_ALL | MT_NEED_AVG))
		build_accumulator(buffer, psprintf("a%d", i), "$avg", operand);
	if (needs & MT_NEED_COUNT)
		build_count(buffer, psprintf("c%d", i), operand);
	if (needs & MT_NEED_RANGE)
	{
		build_accumulator(buffer, psprintf("l%d", i), "$min", operand);
		build_accumulator(buffer, psprintf("h%d", i), "$max", operand);
	}
}

/* n: how many documents, or what groups before said of that */
static void
build_count_all(StringInfo buffer, bool adds_up)
{
	int			count = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "n");

	if (adds_up)
		mt_build_text(buffer, "$sum", "$n");
	else
		build_int32(buffer, "$sum", 1);
	mt_build_end(buffer, count);
}

/* name: {$ifNull: [field, null]} */
static void
build_or_null(StringInfo buffer, int index, const char *field)
{
	int			document = mt_build_begin_indexed(buffer, index);
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$ifNull");

	mt_build_text(buffer, "0", field);
	mt_build_name(buffer, MT_BSON_NULL, "1");
	mt_build_end(buffer, list);
	mt_build_end(buffer, document);
}

/* A $group by these fields, which are named "0", "1", ... in it. */
static void
build_values(StringInfo buffer, int index, List *fields, bool merges)
{
	int			stage = mt_build_begin_indexed(buffer, index);
	int			group = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$group");
	int			id = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "_id");
	int			i = 0;
	ListCell   *cell;

	foreach(cell, fields)
	{
		if (merges)
			build_or_null(buffer, i++, lfirst(cell));
		else
		{
			mt_build_index(buffer, MT_BSON_STRING, i++);
			mt_build_string(buffer, lfirst(cell), (int) strlen(lfirst(cell)));
		}
	}
	mt_build_end(buffer, id);
	build_count_all(buffer, merges);
	mt_build_end(buffer, group);
	mt_build_end(buffer, stage);
}

/* What the fields are called in the result of build_values(). */
static List *
values_of(List *fields)
{
	List	   *values = NIL;

	for (int i = 0; i < list_length(fields); i++)
		values = lappend(values, psprintf("$_id.%d", i));
	return values;
}

/* What a stage may take of MongoDB's 16 MB. */
#define MAX_STAGE_BYTES (12 * 1024 * 1024)

/* The filters as expressions, of MtFilter; false: one is too long. */
static bool
express_filters(const MtGrouping *grouping, const MtCollectionColumn *columns, const MtFilterValue *values,
				List **expressions)
{
	bool		are_whole = true;
	ListCell   *cell;

	*expressions = NIL;
	foreach(cell, grouping->filters)
	{
		MtFilter   *expression = palloc(sizeof *expression);

		are_whole &= mt_collection_expression(columns, lfirst(cell), values, expression);
		*expressions = lappend(*expressions, expression);
	}
	return are_whole;
}

static List *
operands_of(const MtGrouping *grouping, const MtCollectionColumn *columns, List *filters)
{
	List	   *operands = NIL;

	for (int i = 0; i < list_length(grouping->arguments); i++)
	{
		MtGroupArgument argument = mt_group_argument(grouping, i);
		Operand    *operand = palloc0(sizeof *operand);

		if (argument.column >= 0)
			operand->field = field_text(&columns[argument.column]);
		if (argument.filter >= 0)
			operand->filter = ((const MtFilter *) list_nth(filters, argument.filter))->document;
		operands = lappend(operands, operand);
	}
	return operands;
}

/* Two stages, after which each value is there once in each group; then null and missing are one. */
static void
build_distinct_values(StringInfo buffer, int *n, List **keys, Operand *operand)
{
	List	   *all = lappend(list_copy(*keys), (void *) operand->field);

	build_values(buffer, (*n)++, all, false);
	all = values_of(all);
	build_values(buffer, (*n)++, all, true);
	*keys = list_truncate(list_copy(all), list_length(*keys));
	operand->field = llast(all);
}

/* Are strings compared? */
static bool
compares_text(const MtGrouping *grouping, const MtCollectionColumn *columns, const List *filters)
{
	ListCell   *cell;
	MtGroupArgument argument;

	foreach(cell, grouping->keys)
		if (columns[lfirst_int(cell)].class == MT_COMPARE_TEXT)
			return true;
	foreach(cell, filters)
		if (((const MtFilter *) lfirst(cell))->compares_text)
			return true;
	for (int i = 0; i < list_length(grouping->arguments); i++)
	{
		argument = mt_group_argument(grouping, i);
		if (argument.column >= 0 && columns[argument.column].class == MT_COMPARE_TEXT)
			return true;
	}
	return false;
}

/* All accumulators; false: they are too long, and not all. */
static bool
build_accumulators(StringInfo buffer, const MtGrouping *grouping, List *operands, bool is_precise)
{
	int			start = buffer->len;

	if (list_length(grouping->outputs) > list_length(grouping->keys))
		build_count_all(buffer, grouping->is_distinct);
	for (int i = 0; i < list_length(operands); i++)
	{
		build_argument(buffer, i, list_nth(operands, i),
					   asked_needs(mt_group_argument(grouping, i).needs, is_precise));
		if (buffer->len - start > MAX_STAGE_BYTES)
			return false;
	}
	return true;
}

bool
mt_group_build(StringInfo buffer, int *n, const MtGrouping *grouping, const MtCollectionColumn *columns,
			   const MtFilterValue *values, bool is_precise, bool *are_texts)
{
	List	   *filters;
	bool		is_whole = express_filters(grouping, columns, values, &filters);
	List	   *operands = operands_of(grouping, columns, filters);
	List	   *keys = NIL;
	int			stage;
	int			group;
	ListCell   *cell;

	*are_texts |= compares_text(grouping, columns, filters);
	foreach(cell, grouping->keys)
		keys = lappend(keys, field_text(&columns[lfirst_int(cell)]));
	if (grouping->is_distinct)
		build_distinct_values(buffer, n, &keys, linitial(operands));
	stage = mt_build_begin_indexed(buffer, (*n)++);
	group = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$group");
	build_keys(buffer, keys, is_precise);
	is_whole = is_whole && build_accumulators(buffer, grouping, operands, is_precise);
	mt_build_end(buffer, group);
	mt_build_end(buffer, stage);
	return is_whole;
}
