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

#include "fdw/bson_build.h"
#include "fdw/collection_query.h"

List *
mt_query_to_list(const MtCollectionQuery *query)
{
	return list_make4(list_make1_oid(query->relid), query->conditions, query->attributes,
					  query->grouping != NULL ? mt_grouping_to_list(query->grouping) : NIL);
}

MtCollectionQuery *
mt_query_from_list(List *list)
{
	MtCollectionQuery *query = palloc0(sizeof *query);

	query->relid = linitial_oid((List *) linitial(list));
	query->conditions = lsecond(list);
	query->attributes = lthird(list);
	if (lfourth(list) != NIL)
		query->grouping = mt_grouping_from_list(lfourth(list));
	return query;
}

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
	return document.len <= 5;
}

/* The table's own filter and the query's, as one. */
static MtSlice
whole_filter(const MtReadOptions *options, MtSlice filter)
{
	StringInfoData buffer;
	MtSlice		whole;
	int			document;
	int			list;

	if (options->filter.data == NULL || is_empty_document(options->filter))
		return filter;
	if (is_empty_document(filter))
		return options->filter;
	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	list = mt_build_begin_named(&buffer, MT_BSON_ARRAY, "$and");
	mt_build_document(&buffer, "0", options->filter);
	mt_build_document(&buffer, "1", filter);
	mt_build_end(&buffer, list);
	mt_build_end(&buffer, document);
	whole.data = (const uint8 *) buffer.data;
	whole.len = (uint32) buffer.len;
	return whole;
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

/* {"aggregate": ..., "pipeline": [the table's stages, {"$match": ...}, ...]} */
static void
build_aggregate(StringInfo buffer, const MtCollectionQuery *query, const MtQueryTarget *target, MtSlice filter,
				bool is_precise)
{
	int			n = 0;
	int			pipeline;
	int			stage;

	mt_build_text(buffer, "aggregate", target->name->collection);
	pipeline = mt_build_begin_named(buffer, MT_BSON_ARRAY, "pipeline");
	if (target->options->pipeline.data != NULL)
	{
		append_elements(buffer, target->options->pipeline);
		n = count_elements(target->options->pipeline);
	}
	if (!is_empty_document(filter))
	{
		stage = mt_build_begin_indexed(buffer, n++);
		mt_build_document(buffer, "$match", filter);
		mt_build_end(buffer, stage);
	}
	if (query->grouping != NULL)
		mt_group_build(buffer, n++, query->grouping, target->columns, is_precise);
	mt_build_end(buffer, pipeline);
}

static void
build_simple_collation(StringInfo buffer)
{
	int			collation = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "collation");

	mt_build_text(buffer, "locale", "simple");
	mt_build_end(buffer, collation);
}

MtCommand
mt_query_command(const MtCollectionQuery *query, const MtQueryTarget *target, const MtFilterValue *values,
				 bool is_precise)
{
	MtFilter	filter = mt_collection_filter(target->columns, query->conditions, values);
	MtSlice		whole = whole_filter(target->options, filter.document);
	StringInfoData buffer;
	MtCommand	command;
	int			document;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	if (query->grouping != NULL || target->options->pipeline.data != NULL)
		build_aggregate(&buffer, query, target, whole, is_precise);
	else
	{
		mt_build_text(&buffer, "find", target->name->collection);
		mt_build_document(&buffer, "filter", whole);
	}
	if (filter.compares_text ||
		(query->grouping != NULL && mt_group_compares_text(query->grouping, target->columns)))
		build_simple_collation(&buffer);
	mt_build_end(&buffer, document);
	command.document.data = (const uint8 *) buffer.data;
	command.document.len = (uint32) buffer.len;
	command.is_empty_set = filter.is_empty_set;
	return command;
}
