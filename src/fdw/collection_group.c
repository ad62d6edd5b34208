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

#include "fdw/bson_build.h"
#include "fdw/collection_group.h"

/* ---- what can be had ---- */

List *
mt_grouping_to_list(const MtGrouping *grouping)
{
	return list_make4(grouping->keys, grouping->arguments, grouping->outputs,
					  list_make2_int(grouping->is_one_row, grouping->is_distinct));
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
	return grouping;
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

static int
add_key(MtGrouping *grouping, int column)
{
	int			i = 0;
	ListCell   *cell;

	foreach(cell, grouping->keys)
	{
		if (lfirst_int(cell) == column)
			return i;
		i++;
	}
	grouping->keys = lappend_int(grouping->keys, column);
	return i;
}

static int
add_argument(MtGrouping *grouping, int column, int needs)
{
	int			i = 0;
	ListCell   *cell;

	foreach(cell, grouping->arguments)
	{
		List	   *argument = lfirst(cell);

		if (linitial_int(argument) == column)
		{
			lsecond_int(argument) |= needs;
			return i;
		}
		i++;
	}
	grouping->arguments = lappend(grouping->arguments, list_make2_int(column, needs));
	return i;
}

void
mt_grouping_add(MtGrouping *grouping, MtOutputKind kind, int column, int needs)
{
	int			index = 0;

	if (kind == MT_OUTPUT_KEY)
		index = add_key(grouping, column);
	else if (kind != MT_OUTPUT_COUNT_ALL)
		index = add_argument(grouping, column, needs);
	grouping->outputs = lappend(grouping->outputs, list_make2_int((int) kind, index));
}

/* ---- the stage ---- */

static char *
field_text(const MtCollectionColumn *column)
{
	return psprintf("$%s", column->path);
}

/* {$group: {..., name: {accumulator: "$path"}}} */
static void
build_accumulator(StringInfo buffer, const char *name, const char *accumulator, const char *field)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);

	mt_build_text(buffer, accumulator, field);
	mt_build_end(buffer, document);
}

/* name: {$sum: {$multiply: ["$path"]}} */
static void
build_guarded_sum(StringInfo buffer, const char *name, const char *field)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			sum = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$sum");
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$multiply");

	mt_build_text(buffer, "0", field);
	mt_build_end(buffer, list);
	mt_build_end(buffer, sum);
	mt_build_end(buffer, document);
}

static void
build_int32(StringInfo buffer, const char *name, int32 v)
{
	mt_build_name(buffer, MT_BSON_INT32, name);
	mt_build_le32(buffer, (uint32) v);
}

/* name: {$sum: {$cond: [{$gt: ["$path", null]}, 1, 0]}} */
static void
build_count(StringInfo buffer, const char *name, const char *field)
{
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			sum = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$sum");
	int			either = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	int			condition = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "0");
	int			greater = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$gt");

	mt_build_text(buffer, "0", field);
	mt_build_name(buffer, MT_BSON_NULL, "1");
	mt_build_end(buffer, greater);
	mt_build_end(buffer, condition);
	build_int32(buffer, "1", 1);
	build_int32(buffer, "2", 0);
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
asked_needs(List *argument, bool is_precise)
{
	int			needs = lsecond_int(argument);

	if (is_precise && (needs & (MT_NEED_ALL | MT_NEED_AVG | MT_NEED_SOME)))
		needs = (needs | MT_NEED_COUNT) & ~MT_NEED_ALL;
	if (needs & (MT_NEED_ALL | MT_NEED_COUNT))
		needs &= ~MT_NEED_AVG;
	return needs;
}

/* The accumulators of one argument. */
static void
build_argument(StringInfo buffer, int i, const char *field, int needs)
{
	if (needs & MT_NEED_ALL)
		build_accumulator(buffer, psprintf("s%d", i), "$sum", field);
	else if (needs & MT_NEED_SUM)
		build_guarded_sum(buffer, psprintf("s%d", i), field);
	if (needs & (MT_NEED_ALL | MT_NEED_AVG))
		build_accumulator(buffer, psprintf("a%d", i), "$avg", field);
	if (needs & MT_NEED_COUNT)
		build_count(buffer, psprintf("c%d", i), field);
	if (needs & MT_NEED_RANGE)
	{
		build_accumulator(buffer, psprintf("l%d", i), "$min", field);
		build_accumulator(buffer, psprintf("h%d", i), "$max", field);
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

void
mt_group_build(StringInfo buffer, int *n, const MtGrouping *grouping, const MtCollectionColumn *columns,
			   bool is_precise)
{
	List	   *keys = NIL;
	List	   *fields = NIL;
	int			stage;
	int			group;
	ListCell   *cell;

	foreach(cell, grouping->keys)
		keys = lappend(keys, field_text(&columns[lfirst_int(cell)]));
	foreach(cell, grouping->arguments)
		fields = lappend(fields, field_text(&columns[linitial_int((List *) lfirst(cell))]));
	if (grouping->is_distinct)
	{
		/* each value once in each group; then null and missing are one */
		List	   *all = list_concat_copy(keys, fields);

		build_values(buffer, (*n)++, all, false);
		all = values_of(all);
		build_values(buffer, (*n)++, all, true);
		keys = list_truncate(list_copy(all), list_length(keys));
		fields = list_make1(llast(all));
	}
	stage = mt_build_begin_indexed(buffer, (*n)++);
	group = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$group");
	build_keys(buffer, keys, is_precise);
	if (list_length(grouping->outputs) > list_length(grouping->keys))
		build_count_all(buffer, grouping->is_distinct);
	for (int i = 0; i < list_length(fields); i++)
		build_argument(buffer, i, list_nth(fields, i), asked_needs(list_nth(grouping->arguments, i), is_precise));
	mt_build_end(buffer, group);
	mt_build_end(buffer, stage);
}

bool
mt_group_compares_text(const MtGrouping *grouping, const MtCollectionColumn *columns)
{
	ListCell   *cell;

	foreach(cell, grouping->keys)
		if (columns[lfirst_int(cell)].class == MT_COMPARE_TEXT)
			return true;
	foreach(cell, grouping->arguments)
		if (columns[linitial_int((List *) lfirst(cell))].class == MT_COMPARE_TEXT)
			return true;
	return false;
}
