/*
 * collection_query.c
 *		What a scan of a collection asks of MongoDB.
 *
 * A query is planned once and sent many times, with other values: a plan
 * carries it as lists of nodes, which PostgreSQL can copy and save, and its
 * command is written anew for each pass.
 */
#include "postgres.h"

#include "fdw/bson_build.h"
#include "fdw/collection_query.h"

List *
mt_query_to_list(const MtCollectionQuery *query)
{
	return list_make2(query->conditions, query->attributes);
}

MtCollectionQuery *
mt_query_from_list(List *list)
{
	MtCollectionQuery *query = palloc0(sizeof *query);

	query->conditions = linitial(list);
	query->attributes = lsecond(list);
	return query;
}

MtCommand
mt_query_command(const MtCollectionQuery *query, const MtCollectionName *name,
				 const MtCollectionColumn *columns, const MtFilterValue *values)
{
	MtFilter	filter = mt_collection_filter(columns, query->conditions, values);
	StringInfoData buffer;
	MtCommand	command;
	int			document;
	int			collation;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	mt_build_text(&buffer, "find", name->collection);
	mt_build_document(&buffer, "filter", filter.document);
	if (filter.compares_text)
	{
		collation = mt_build_begin_named(&buffer, MT_BSON_DOCUMENT, "collation");
		mt_build_text(&buffer, "locale", "simple");
		mt_build_end(&buffer, collation);
	}
	mt_build_end(&buffer, document);
	command.document.data = (const uint8 *) buffer.data;
	command.document.len = (uint32) buffer.len;
	command.is_empty_set = filter.is_empty_set;
	return command;
}
