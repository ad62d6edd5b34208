/*
 * collection_lookup.c
 *		Joins of collections as $lookup stages.
 *
 * The first table's documents, each in the field t1 of a new document, are
 * completed by a $lookup for each further table, whose documents stand in t2,
 * t3 and so on.  So no field of one table is ever taken for one of another.
 *
 * $lookup has another equality than SQL: null and missing are equal to each
 * other and to themselves, and an array is equal to what any of its elements
 * is.  Two things make it SQL's:
 *
 *	- the field that is looked up is known to read as a value of its column,
 *	  since only such documents come so far (the typed form of
 *	  condition/typed.c): no null, no array, nothing of another type
 *	- what is found by it is equal to such a value, or an array with an element
 *	  that is; the latter goes by a condition behind the $lookup, as goes what
 *	  its own column cannot hold, where that is the narrower one
 *
 * Where one value of a column is several of MongoDB's, which are not equal to
 * each other, no column is joined (uuid, numeric), but for text: an ObjectId
 * reads as its digits, so a text is looked up together with the ObjectId that
 * it spells.
 *
 * MongoDB takes $unwind and the $match on what was looked up into the $lookup,
 * so that neither an array of all that was found is made, nor all of it is.
 * That the first table's field reads as a value is asked for when the document
 * stands in t1 already: before that MongoDB would read all of the collection by
 * an index on the field, if it has one, which is nine times as slow.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"

#include "base/options.h"
#include "condition/arm.h"
#include "condition/bson_build.h"
#include "condition/shippable.h"
#include "fdw/collection_lookup.h"

/* The field of the values that a text is looked up by. */
#define KEY_FIELD "key"

/* ---- as a plan carries it ---- */

List *
mt_join_to_list(const MtJoin *join)
{
	List	   *tables = NIL;
	ListCell   *cell;

	foreach(cell, join->tables)
	{
		const MtJoinTable *table = lfirst(cell);
		List	   *numbers = list_make4_int(table->first_value, table->key_table, table->key_column, table->column);

		tables = lappend(tables, list_make3(list_make1_oid(table->relid), table->conditions, numbers));
	}
	return list_make2(tables, join->outputs);
}

MtJoin *
mt_join_from_list(List *list)
{
	MtJoin	   *join = palloc0(sizeof *join);
	ListCell   *cell;

	foreach(cell, (List *) linitial(list))
	{
		List	   *members = lfirst(cell);
		List	   *numbers = lthird(members);
		MtJoinTable *table = palloc0(sizeof *table);

		table->relid = linitial_oid((List *) linitial(members));
		table->conditions = lsecond(members);
		table->first_value = linitial_int(numbers);
		table->key_table = lsecond_int(numbers);
		table->key_column = lthird_int(numbers);
		table->column = lfourth_int(numbers);
		join->tables = lappend(join->tables, table);
	}
	join->outputs = lsecond(list);
	return join;
}

/* ---- columns ---- */

Relation
mt_join_open_table(Oid relid)
{
	return table_open(relid, IsParallelWorker() ? AccessShareLock : NoLock);
}

/* The source of one of the tables. */
static MtJoinSource
create_source(int index, Oid relid, Oid userid)
{
	Relation	relation = mt_join_open_table(relid);
	MtTableOptions *table = mt_options_table(relid);
	int			n_columns = RelationGetDescr(relation)->natts;
	MtCollectionColumn *columns = mt_collection_columns(relation, table);
	MtJoinSource source;

	source.name = mt_collection_name(relation, table, userid);
	source.root = psprintf("t%d", index + 1);
	source.columns = palloc0(sizeof(MtCollectionColumn) * (n_columns + 1));
	table_close(relation, NoLock);
	for (int i = 0; i < n_columns; i++)
		if (columns[i].name != NULL)
			source.columns[i] = mt_column_below(&columns[i], source.root);
	return source;
}

MtJoinSource *
mt_join_sources(const MtJoin *join, Oid userid)
{
	MtJoinSource *sources = palloc0(sizeof(MtJoinSource) * list_length(join->tables));
	ListCell   *cell;

	foreach(cell, join->tables)
		sources[foreach_current_index(cell)] =
			create_source(foreach_current_index(cell), ((MtJoinTable *) lfirst(cell))->relid, userid);
	return sources;
}

MtCollectionRow *
mt_join_row(const MtJoin *join, const MtJoinSource *sources)
{
	int			n = list_length(join->outputs);
	MtCollectionColumn *columns = palloc0(sizeof(MtCollectionColumn) * (n + 1));
	MtCollectionRow *row;
	ListCell   *cell;

	foreach(cell, join->outputs)
	{
		List	   *output = lfirst(cell);

		columns[foreach_current_index(cell)] = sources[linitial_int(output)].columns[lsecond_int(output)];
	}
	row = mt_collection_row_create(columns, n, n > 0 ? bms_add_range(NULL, 1, n) : NULL, sources[0].name);
	for (int i = 0; i < list_length(join->tables); i++)
		mt_collection_row_set_root(row, sources[i].root, sources[i].name);
	return row;
}

bool
mt_join_takes_key(const MtCollectionColumn *key, const MtCollectionColumn *column)
{
	if (!mt_column_has_typed_form(key) || !mt_column_has_typed_form(column) || key->is_whole || column->is_whole)
		return false;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_FLOAT:
			return key->class == MT_COMPARE_INTEGER || key->class == MT_COMPARE_FLOAT;
		case MT_COMPARE_BOOL:
		case MT_COMPARE_TEXT:
		case MT_COMPARE_OBJECTID:
			return key->class == column->class;
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
			/* no operator between columns of which one depends on the time zone */
			return key->class == MT_COMPARE_TIMESTAMP || key->class == MT_COMPARE_DATE;
		default:
			return false;
	}
}

/* Is every value of a column one of the other, with the same field? */
static bool
holds_all_of(const MtCollectionColumn *column, const MtCollectionColumn *key)
{
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			return key->class == MT_COMPARE_INTEGER &&
				mt_column_least_integer(column) <= mt_column_least_integer(key) &&
				mt_column_greatest_integer(column) >= mt_column_greatest_integer(key);
		case MT_COMPARE_TEXT:
			return mt_column_characters(column) == MT_NO_LIMIT;
		case MT_COMPARE_BOOL:
		case MT_COMPARE_OBJECTID:
			return true;
		default:
			return column->class == key->class;
	}
}

List *
mt_join_condition(const MtCollectionColumn *key, const MtCollectionColumn *columns, int column)
{
	return mt_condition_of_column(holds_all_of(&columns[column], key) ? MT_CONDITION_NO_ARRAY : MT_CONDITION_NOT_NULL,
								  column);
}

/* ---- stages ---- */

/* {name: text} as a stage */
static void
build_stage_of_text(StringInfo buffer, int *n, const char *name, const char *text)
{
	int			stage = mt_build_begin_indexed(buffer, (*n)++);

	mt_build_text(buffer, name, text);
	mt_build_end(buffer, stage);
}

/* {$replaceWith: {root: "$$ROOT"}} */
static void
build_root(StringInfo buffer, int *n, const char *root)
{
	int			stage = mt_build_begin_indexed(buffer, (*n)++);
	int			document = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$replaceWith");

	mt_build_text(buffer, root, "$$ROOT");
	mt_build_end(buffer, document);
	mt_build_end(buffer, stage);
}

/* s: {$cond: [{$eq: [{$type: path}, "objectId"]}, {$toString: path}, {$substrBytes: [path, 0, -1]}]}
 * The last is what makes a string of a symbol. */
static void
build_text_of(StringInfo buffer, const char *name, const char *path)
{
	int			text = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, name);
	int			condition = mt_put_begin_digits(buffer, path);
	int			element = mt_build_begin_indexed(buffer, 2);
	int			list = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$substrBytes");

	mt_build_text(buffer, "0", path);
	mt_build_int64(buffer, "1", 0);
	mt_build_int64(buffer, "2", -1);
	mt_build_end(buffer, list);
	mt_build_end(buffer, element);
	mt_build_end(buffer, condition);
	mt_build_end(buffer, text);
}

/* {$cond: [{$regexMatch: {input: "$$s", regex: 24 digits}}, {$toObjectId: "$$s"}, "$$s"]} */
static void
build_spelled_objectid(StringInfo buffer, int index)
{
	int			value = mt_build_begin_indexed(buffer, index);
	int			condition = mt_build_begin_named(buffer, MT_BSON_ARRAY, "$cond");
	int			element = mt_build_begin_indexed(buffer, 0);
	int			match = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$regexMatch");
	const char *digits = "^[0-9a-f]{24}\\z";
	MtPoint		regex = {.type = MT_BSON_REGEX,.bytes = digits,.n_bytes = (int) strlen(digits)};

	mt_build_text(buffer, "input", "$$s");
	mt_point_put(buffer, "regex", &regex);
	mt_build_end(buffer, match);
	mt_build_end(buffer, element);
	element = mt_build_begin_indexed(buffer, 1);
	mt_build_text(buffer, "$toObjectId", "$$s");
	mt_build_end(buffer, element);
	mt_build_text(buffer, "2", "$$s");
	mt_build_end(buffer, condition);
	mt_build_end(buffer, value);
}

/* {$addFields: {key: {$let: {vars: {s: the text}, in: ["$$s", the ObjectId]}}}}: $lookup looks for any element. */
static void
build_text_key(StringInfo buffer, int *n, const MtCollectionColumn *column)
{
	int			stage = mt_build_begin_indexed(buffer, (*n)++);
	int			fields = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$addFields");
	int			key = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, KEY_FIELD);
	int			let = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$let");
	int			part = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "vars");

	build_text_of(buffer, "s", psprintf("$%s", column->path));
	mt_build_end(buffer, part);
	part = mt_build_begin_named(buffer, MT_BSON_ARRAY, "in");
	mt_build_text(buffer, "0", "$$s");
	build_spelled_objectid(buffer, 1);
	mt_build_end(buffer, part);
	mt_build_end(buffer, let);
	mt_build_end(buffer, key);
	mt_build_end(buffer, fields);
	mt_build_end(buffer, stage);
}

/* {$lookup: {from: ..., localField: ..., foreignField: ..., as: root}}, {$unwind: "$root"} */
static void
build_lookup(StringInfo buffer, int *n, const MtJoinTable *table, const MtJoinSource *source,
			 const MtCollectionColumn *key)
{
	int			stage;
	int			lookup;

	if (key->class == MT_COMPARE_TEXT)
		build_text_key(buffer, n, key);
	stage = mt_build_begin_indexed(buffer, (*n)++);
	lookup = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$lookup");
	mt_build_text(buffer, "from", source->name->collection);
	mt_build_text(buffer, "localField", key->class == MT_COMPARE_TEXT ? KEY_FIELD : key->path);
	mt_build_text(buffer, "foreignField", mt_column_own_path(&source->columns[table->column]));
	mt_build_text(buffer, "as", source->root);
	mt_build_end(buffer, lookup);
	mt_build_end(buffer, stage);
	build_stage_of_text(buffer, n, "$unwind", psprintf("$%s", source->root));
}

/* Is the path in another one, or an earlier one? */
static bool
is_redundant(List *paths, int index)
{
	const char *path = list_nth(paths, index);
	ListCell   *cell;

	foreach(cell, paths)
	{
		const char *other = lfirst(cell);
		size_t		len = strlen(other);

		if (strncmp(other, path, len) == 0 &&
			(path[len] == '.' || (path[len] == '\0' && foreach_current_index(cell) < index)))
			return true;
	}
	return false;
}

/* {$project: {"t1._id": 1, "t1.a": 1, ...}}; the _ids are for errors, which name the document. */
static void
build_projection(StringInfo buffer, int *n, const MtJoin *join, const MtJoinSource *sources)
{
	int			stage = mt_build_begin_indexed(buffer, (*n)++);
	int			projection = mt_build_begin_named(buffer, MT_BSON_DOCUMENT, "$project");
	List	   *paths = NIL;
	ListCell   *cell;

	for (int i = 0; i < list_length(join->tables); i++)
		paths = lappend(paths, psprintf("%s._id", sources[i].root));
	foreach(cell, join->outputs)
	{
		List	   *output = lfirst(cell);

		paths = lappend(paths, sources[linitial_int(output)].columns[lsecond_int(output)].path);
	}
	foreach(cell, paths)
	{
		if (is_redundant(paths, foreach_current_index(cell)))
			continue;
		mt_build_name(buffer, MT_BSON_INT32, lfirst(cell));
		mt_build_le32(buffer, 1);
	}
	mt_build_end(buffer, projection);
	mt_build_end(buffer, stage);
}

bool
mt_join_build(StringInfo buffer, int *n, const MtJoin *join, const MtJoinSource *sources,
			  const MtFilterValue *values, bool projects)
{
	bool		has_documents = true;

	build_root(buffer, n, sources[0].root);
	for (int i = 0; i < list_length(join->tables); i++)
	{
		const MtJoinTable *table = list_nth(join->tables, i);
		MtFilter	filter = mt_collection_filter(sources[i].columns, table->conditions, values + table->first_value);
		int			stage;

		if (i > 0)
			build_lookup(buffer, n, table, &sources[i], &sources[table->key_table].columns[table->key_column]);
		stage = mt_build_begin_indexed(buffer, (*n)++);
		mt_build_document(buffer, "$match", filter.document);
		mt_build_end(buffer, stage);
		has_documents = has_documents && !filter.is_empty_set;
	}
	if (projects)
		build_projection(buffer, n, join, sources);
	return has_documents;
}
