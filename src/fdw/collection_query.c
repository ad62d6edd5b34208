/*
 * collection_query.c
 *		What a scan of a collection asks of MongoDB.
 *
 * A query is planned once and sent many times, with other values: a plan
 * carries it as lists of nodes, which PostgreSQL can copy and save, and its
 * command is written anew for each pass.
 *
 * The command is a find where that can say it, since MongoDB answers those
 * fastest, and an aggregate where it cannot.
 */
#include "postgres.h"

#include "common/int.h"

#include "condition/bson_build.h"
#include "condition/shippable.h"
#include "fdw/collection_query.h"

List *
mt_query_to_list(const MtCollectionQuery *query)
{
	List	   *list = list_make3(list_make1_oid(query->relid), query->conditions, query->attributes);

	list = lappend(list, query->grouping != NULL ? mt_grouping_to_list(query->grouping) : NIL);
	list = lappend(list, query->order != NULL ? mt_order_to_list(query->order) : NIL);
	list = lappend(list, list_make4_int(query->limit, query->offset, query->skips, query->projects));
	return lappend(list, query->join != NULL ? mt_join_to_list(query->join) : NIL);
}

MtCollectionQuery *
mt_query_from_list(List *list)
{
	MtCollectionQuery *query = palloc0(sizeof *query);
	List	   *numbers = list_nth(list, 5);

	query->relid = linitial_oid((List *) linitial(list));
	query->conditions = lsecond(list);
	query->attributes = lthird(list);
	if (lfourth(list) != NIL)
		query->grouping = mt_grouping_from_list(lfourth(list));
	if (list_nth(list, 4) != NIL)
		query->order = mt_order_from_list(list_nth(list, 4));
	if (list_nth(list, 6) != NIL)
		query->join = mt_join_from_list(list_nth(list, 6));
	query->limit = linitial_int(numbers);
	query->offset = lsecond_int(numbers);
	query->skips = lthird_int(numbers) != 0;
	query->projects = lfourth_int(numbers) != 0;
	return query;
}

MtCollectionQuery
mt_query_empty(Oid relid)
{
	MtCollectionQuery query = {.relid = relid,.limit = -1,.offset = -1};

	return query;
}

int
mt_query_segments(const MtCollectionQuery *query)
{
	return query->order != NULL ? list_length(query->order->segments) : 1;
}

bool
mt_query_is_merged(const MtCollectionQuery *query, int segment)
{
	return query->order != NULL && mt_segment_is_merged(list_nth(query->order->segments, segment));
}

/* What MongoDB takes, but for what is added to it on its way. */
#define MAX_COMMAND_BYTES (16 * 1024 * 1024 - 64 * 1024)

/* ---- parts of a command ---- */

/* The bytes between a document's length and its end. */
static void
append_elements(StringInfo buffer, MtSlice document)
{
	appendBinaryStringInfo(buffer, (const char *) document.data + 4, (int) document.len - 5);
}

static bool
is_empty_document(MtSlice document)
{
	return document.len <= MT_EMPTY_DOCUMENT_BYTES;
}

static MtSlice
document_in(const StringInfoData *buffer)
{
	MtSlice		document = {(const uint8 *) buffer->data, (uint32) buffer->len};

	return document;
}

/* Both filters as one. */
static MtSlice
both_filters(MtSlice first, MtSlice second)
{
	StringInfoData buffer;
	int			document;
	int			list;

	if (first.data == NULL || is_empty_document(first))
		return second;
	if (is_empty_document(second))
		return first;
	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	list = mt_build_begin_named(&buffer, MT_BSON_ARRAY, "$and");
	mt_build_document(&buffer, "0", first);
	mt_build_document(&buffer, "1", second);
	mt_build_end(&buffer, list);
	mt_build_end(&buffer, document);
	return document_in(&buffer);
}

/* {$nor: [each of the conditions]} */
static MtSlice
none_of(const MtQueryTarget *target, List *conditions, const MtFilterValue *values)
{
	StringInfoData buffer;
	int			document;
	int			list;
	ListCell   *cell;
	int			n = 0;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	list = mt_build_begin_named(&buffer, MT_BSON_ARRAY, "$nor");
	foreach(cell, conditions)
	{
		MtFilter	filter = mt_collection_filter(target->columns, list_make1(lfirst(cell)), values);

		if (filter.is_empty_set)
			continue;
		mt_build_index(&buffer, MT_BSON_DOCUMENT, n++);
		appendBinaryStringInfo(&buffer, (const char *) filter.document.data, (int) filter.document.len);
	}
	mt_build_end(&buffer, list);
	mt_build_end(&buffer, document);
	return document_in(&buffer);
}

static int
count_elements(MtSlice array)
{
	MtWalk		walk;
	MtElement	element;
	int			n = 0;

	if (mt_walk_begin(&walk, array))
		while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
			n++;
	return n;
}

/* ---- what sorts, cuts and projects ---- */

static List *
segment_of(const MtCollectionQuery *query, int n)
{
	return query->order != NULL ? list_nth(query->order->segments, n) : NIL;
}

/* {path: 1, ...}; false: nothing to sort by. */
static bool
build_sort(StringInfo buffer, const char *name, const MtCollectionQuery *query, const MtQueryTarget *target,
		   int segment)
{
	int			first = query->order != NULL ? mt_segment_first_key(segment_of(query, segment)) : 0;
	int			sort;

	if (query->order == NULL || first >= list_length(query->order->keys))
		return false;
	sort = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	for (int i = first; i < list_length(query->order->keys); i++)
	{
		List	   *key = list_nth(query->order->keys, i);

		mt_build_name(buffer, MT_BSON_INT32, target->columns[linitial_int(key)].path);
		mt_build_le32(buffer, (uint32) (lsecond_int(key) ? -1 : 1));
	}
	mt_build_end(buffer, sort);
	return true;
}

static int64
number_of(const MtFilterValue *value)
{
	return value->isnull ? 0 : DatumGetInt64(value->datum);
}

/* How many documents to leave out; false: none. */
static bool
build_skip(StringInfo buffer, const char *name, const MtCollectionQuery *query, const MtFilterValue *values)
{
	const MtFilterValue *offset;

	if (query->offset < 0 || !query->skips)
		return false;
	offset = &values[query->offset];
	if (offset->unknown != NULL)
		mt_build_text(buffer, name, offset->unknown);
	else if (number_of(offset) > 0)
		mt_build_int64(buffer, name, number_of(offset));
	else
		return false;
	return true;
}

/*
 * How many documents at most will be asked for, those that the node above
 * skips included; false: it is not known, or is that node's to refuse.
 */
static bool
build_limit(StringInfo buffer, const char *name, const MtCollectionQuery *query, const MtFilterValue *values,
			int64 n_rows)
{
	const MtFilterValue *offset = query->offset >= 0 && !query->skips ? &values[query->offset] : NULL;
	const MtFilterValue *limit;
	int64		number;

	if (query->limit < 0)
		return false;
	limit = &values[query->limit];
	if (limit->unknown != NULL || (offset != NULL && offset->unknown != NULL))
	{
		mt_build_text(buffer, name, limit->unknown != NULL ? limit->unknown : offset->unknown);
		return true;
	}
	if (limit->isnull ||
		pg_add_s64_overflow(number_of(limit), offset != NULL ? Max(number_of(offset), 0) : 0, &number) ||
		number - n_rows <= 0)
		return false;
	mt_build_int64(buffer, name, number - n_rows);
	return true;
}

/* Does another wanted path hold this one, so that it must not be named? */
static bool
is_within_another(const MtCollectionQuery *query, const MtCollectionColumn *columns, int index)
{
	const char *path = columns[index].path;
	ListCell   *cell;

	foreach(cell, query->attributes)
	{
		int			other = lfirst_int(cell) - 1;
		size_t		len = strlen(columns[other].path);

		if (strncmp(columns[other].path, path, len) != 0)
			continue;
		if (path[len] == '.' || (path[len] == '\0' && other < index))
			return true;
	}
	return false;
}

/* {_id: 1, path: 1, ...}; _id is for errors, which name the document. */
static void
build_projection(StringInfo buffer, const char *name, const MtCollectionQuery *query, const MtQueryTarget *target)
{
	int			projection = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	ListCell   *cell;

	mt_build_name(buffer, MT_BSON_INT32, "_id");
	mt_build_le32(buffer, 1);
	foreach(cell, query->attributes)
	{
		const char *path = target->columns[lfirst_int(cell) - 1].path;

		if (strcmp(path, "_id") == 0 || strncmp(path, "_id.", 4) == 0 ||
			is_within_another(query, target->columns, lfirst_int(cell) - 1))
			continue;
		mt_build_name(buffer, MT_BSON_INT32, path);
		mt_build_le32(buffer, 1);
	}
	mt_build_end(buffer, projection);
}

/* ---- whole commands ---- */

/* A stage that build wrote, or nothing. */
#define STAGE(buffer, n, build) \
	do { \
		int			before_ = (buffer)->len; \
		int			stage_ = mt_build_begin_indexed(buffer, *(n)); \
		bool		built_ = (build); \
		mt_build_end(buffer, stage_); \
		if (built_) \
			(*(n))++; \
		else \
			(buffer)->len = before_; \
	} while (0)

/* What a find says by its fields, as stages. */
static void
build_find_stages(StringInfo buffer, int *n, const MtCollectionQuery *query, const MtQueryTarget *target,
				  const MtFilterValue *values, MtQueryProgress progress)
{
	STAGE(buffer, n, build_sort(buffer, "$sort", query, target, progress.segment));
	STAGE(buffer, n, build_skip(buffer, "$skip", query, values));
	STAGE(buffer, n, build_limit(buffer, "$limit", query, values, progress.n_rows));
	if (query->projects)
		STAGE(buffer, n, (build_projection(buffer, "$project", query, target), true));
}

/*
 * {"aggregate": ..., "pipeline": [the table's stages, {"$match": ...}, ...]}, and
 * what the command says of it.  *compares_text is set when it does.
 */
static void
build_aggregate(StringInfo buffer, const MtCollectionQuery *query, const MtQueryTarget *target, MtSlice filter,
				const MtFilterValue *values, MtQueryProgress progress, MtCommand *command, bool *compares_text)
{
	int			n = 0;
	int			pipeline;

	mt_build_text(buffer, "aggregate", target->name->collection);
	pipeline = mt_build_begin_named(buffer, MT_BSON_ARRAY, "pipeline");
	if (target->options->pipeline.data != NULL)
	{
		append_elements(buffer, target->options->pipeline);
		n = count_elements(target->options->pipeline);
	}
	if (!is_empty_document(filter))
		STAGE(buffer, &n, (mt_build_document(buffer, "$match", filter), true));
	if (query->grouping != NULL)
		command->is_too_long = !mt_group_build(buffer, &n, query->grouping, target->columns, values,
											   progress.is_precise, compares_text);
	else if (query->join != NULL)
		command->is_empty_set |= !mt_join_build(buffer, &n, query->join, target->sources, values, query->projects);
	else
		build_find_stages(buffer, &n, query, target, values, progress);
	mt_build_end(buffer, pipeline);
}

/* {"min": ..., "max": ..., "hint": {_id: 1}} */
static void
build_range(StringInfo buffer, MtQueryProgress progress)
{
	int			hint;

	if (progress.range.min.data != NULL)
		mt_build_document(buffer, "min", progress.range.min);
	if (progress.range.max.data != NULL)
		mt_build_document(buffer, "max", progress.range.max);
	if (progress.range.min.data == NULL && progress.range.max.data == NULL)
		return;
	hint = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "hint");
	mt_build_name(buffer, MT_BSON_INT32, "_id");
	mt_build_le32(buffer, 1);
	mt_build_end(buffer, hint);
}

/* {"find": ..., "filter": ..., "projection": ..., "sort": ..., "skip": ..., "limit": ..., "min": ...} */
static void
build_find(StringInfo buffer, const MtCollectionQuery *query, const MtQueryTarget *target, MtSlice filter,
		   const MtFilterValue *values, MtQueryProgress progress)
{
	mt_build_text(buffer, "find", target->name->collection);
	mt_build_document(buffer, "filter", filter);
	if (query->projects)
		build_projection(buffer, "projection", query, target);
	(void) build_sort(buffer, "sort", query, target, progress.segment);
	(void) build_skip(buffer, "skip", query, values);
	(void) build_limit(buffer, "limit", query, values, progress.n_rows);
	build_range(buffer, progress);
}

static void
build_simple_collation(StringInfo buffer)
{
	int			collation = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "collation");

	mt_build_text(buffer, "locale", "simple");
	mt_build_end(buffer, collation);
}

/* OFFSET is PostgreSQL's to refuse, but where MongoDB does it. */
static void
check_offset(const MtCollectionQuery *query, const MtFilterValue *values)
{
	if (query->skips && query->offset >= 0 && values[query->offset].unknown == NULL &&
		number_of(&values[query->offset]) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE),
				 errmsg("OFFSET must not be negative")));
}

/* Does the plan already know the value of a condition on one column? */
static bool
is_known(List *condition, const MtFilterValue *values)
{
	int			value = IsA(condition, IntList) ? mt_condition_leaf(condition).value : -1;

	return value >= 0 && values[value].unknown == NULL;
}

/*
 * The query's conditions for the documents of a segment.  Those of a run are
 * asked for in as few words as there are: a condition on the column that says
 * which of that run are wanted says that they are of it.
 */
static List *
segment_conditions(const MtCollectionQuery *query, const MtQueryTarget *target, List *segment,
				   const MtFilterValue *values)
{
	List	   *run = mt_segment_run(segment);
	List	   *conditions = NIL;
	bool		is_said = false;
	ListCell   *cell;

	if (run == NIL)
		return list_concat_copy(query->conditions, mt_segment_conditions(segment));
	foreach(cell, query->conditions)
	{
		List	   *condition = is_known(lfirst(cell), values) ?
			mt_condition_of_run(lfirst(cell), target->columns, run) : NIL;

		is_said |= condition != NIL;
		conditions = lappend(conditions, condition != NIL ? condition : lfirst(cell));
	}
	return is_said ? conditions : lappend(conditions, run);
}

/*
 * The filter of a segment.  Where rows are only read in order, and all checked
 * here, conditions that are too long may be missing, but not what a segment is.
 */
static MtFilter
segment_filter(const MtCollectionQuery *query, const MtQueryTarget *target, List *segment,
			   const MtFilterValue *values)
{
	bool		is_rest = segment != NIL && mt_segment_is_rest(segment);
	List	   *conditions = segment != NIL && !is_rest ?
		segment_conditions(query, target, segment, values) : query->conditions;
	bool		may_lack = query->order != NULL && query->limit < 0 && query->offset < 0;
	MtFilter	filter;

	if (!may_lack)
		return mt_collection_filter(target->columns, conditions, values);
	if (!mt_collection_try_filter(target->columns, conditions, values, &filter))
		filter = mt_collection_filter(target->columns, is_rest ? NIL : mt_segment_conditions(segment), values);
	return filter;
}

MtCommand
mt_query_command(const MtCollectionQuery *query, const MtQueryTarget *target, const MtFilterValue *values,
				 MtQueryProgress progress)
{
	List	   *segment = segment_of(query, progress.segment);
	bool		is_rest = segment != NIL && mt_segment_is_rest(segment);
	MtFilter	filter = segment_filter(query, target, segment, values);
	MtSlice		whole = both_filters(target->options->filter, filter.document);
	bool		compares_text = filter.compares_text;
	StringInfoData buffer;
	MtCommand	command = {.is_empty_set = filter.is_empty_set};
	int			document;

	if (is_rest)
		whole = both_filters(whole, none_of(target, mt_segment_conditions(segment), values));
	if (progress.range.filter.data != NULL)
		whole = both_filters(whole, progress.range.filter);
	check_offset(query, values);
	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	if (query->grouping != NULL || query->join != NULL || target->options->pipeline.data != NULL)
		build_aggregate(&buffer, query, target, whole, values, progress, &command, &compares_text);
	else
		build_find(&buffer, query, target, whole, values, progress);
	if (compares_text || query->join != NULL)
		build_simple_collation(&buffer);
	mt_build_end(&buffer, document);
	command.is_too_long |= query->grouping != NULL && buffer.len > MAX_COMMAND_BYTES;
	command.document = document_in(&buffer);
	return command;
}
