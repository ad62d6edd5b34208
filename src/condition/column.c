/*
 * column.c
 *		The columns of a collection's table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "condition/column.h"
#include "convert/objectid.h"
#include "oplog/bson_path.h"

#define WHOLE_DOCUMENT "$"

/* The longest char(n) that is compared in MongoDB. */
#define MAX_PADDED_CHARACTERS 64

static const struct
{
	Oid			type;
	MtCompareClass class;
}			classes[] =
{
	{INT2OID, MT_COMPARE_INTEGER},
	{INT4OID, MT_COMPARE_INTEGER},
	{INT8OID, MT_COMPARE_INTEGER},
	{FLOAT4OID, MT_COMPARE_FLOAT},
	{FLOAT8OID, MT_COMPARE_FLOAT},
	{NUMERICOID, MT_COMPARE_NUMERIC},
	{TEXTOID, MT_COMPARE_TEXT},
	{VARCHAROID, MT_COMPARE_TEXT},
	{BPCHAROID, MT_COMPARE_BPCHAR},
	{BOOLOID, MT_COMPARE_BOOL},
	{TIMESTAMPTZOID, MT_COMPARE_TIMESTAMP},
	{TIMESTAMPOID, MT_COMPARE_TIMESTAMP},
	{DATEOID, MT_COMPARE_DATE},
	{UUIDOID, MT_COMPARE_UUID},
	{BYTEAOID, MT_COMPARE_BYTES},
};

bool
mt_class_is_text(MtCompareClass class)
{
	return class == MT_COMPARE_TEXT || class == MT_COMPARE_BPCHAR || class == MT_COMPARE_ENUM;
}

static MtCompareClass
find_class(Oid type)
{
	for (size_t i = 0; i < lengthof(classes); i++)
		if (classes[i].type == type)
			return classes[i].class;
	if (type == mt_objectid_type())
		return MT_COMPARE_OBJECTID;
	return get_typtype(type) == TYPTYPE_ENUM ? MT_COMPARE_ENUM : MT_COMPARE_NONE;
}

/*
 * In other encodings = and < of PostgreSQL are not those of UTF-8's bytes.  A
 * char(n) is compared with as many texts as it has room for spaces.
 */
static MtCompareClass
class_of(Oid type, int32 typmod)
{
	MtCompareClass class = find_class(type);

	if ((mt_class_is_text(class) && GetDatabaseEncoding() != PG_UTF8) ||
		(class == MT_COMPARE_BPCHAR && (typmod < VARHDRSZ || typmod - VARHDRSZ > MAX_PADDED_CHARACTERS)))
		return MT_COMPARE_NONE;
	return class;
}

static char *
utf8_of(const char *text)
{
	return pg_server_to_any(pstrdup(text), (int) strlen(text), PG_UTF8);
}

/*
 * Look at the path's components.  One that begins with $ is an operator to
 * MongoDB, and an empty one it splits otherwise than we do.
 */
static void
examine_path(MtCollectionColumn *column)
{
	MtSlice		path = {(const uint8 *) column->path, (uint32) strlen(column->path)};
	uint32		offset = 0;

	column->is_whole = strcmp(column->path, WHOLE_DOCUMENT) == 0;
	column->is_sendable = mt_path_is_valid(path);
	while (column->is_sendable && offset < path.len)
	{
		MtSlice		component = mt_path_component(path, offset);

		column->is_sendable = component.data[0] != '$';
		if (offset > 0 && strspn((const char *) component.data, "0123456789") >= component.len)
			column->has_index = true;
		offset += component.len + 1;
	}
}

static bool
reads_null(MtOnMismatch column, MtOnMismatch table, MtOnMismatch server)
{
	if (column != MT_MISMATCH_DEFAULT)
		return column == MT_MISMATCH_NULL;
	if (table != MT_MISMATCH_DEFAULT)
		return table == MT_MISMATCH_NULL;
	return server == MT_MISMATCH_NULL;
}

MtCollectionColumn *
mt_collection_columns(Relation relation, const MtTableOptions *table)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	MtServerOptions *server = mt_options_server(table->serverid);
	MtCollectionColumn *columns = palloc0(sizeof(MtCollectionColumn) * (descriptor->natts + 1));

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		MtCollectionColumn *column = &columns[i];
		MtColumnOptions *options;

		if (attribute->attisdropped)
			continue;
		options = mt_options_column(RelationGetRelid(relation), attribute->attnum);
		column->name = pstrdup(NameStr(attribute->attname));
		column->path = utf8_of(options->field != NULL ? options->field : column->name);
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		column->null_on_mismatch = reads_null(options->on_mismatch, table->on_mismatch, server->on_mismatch);
		column->base_typmod = column->typmod;
		column->base_type = getBaseTypeAndTypmod(column->type, &column->base_typmod);
		column->class = class_of(column->base_type, column->base_typmod);
		column->element_type = get_element_type(column->base_type);
		if (OidIsValid(column->element_type))
		{
			column->element_type = getBaseType(column->element_type);
			column->element_class = class_of(column->element_type, column->base_typmod);
		}
		examine_path(column);
	}
	return columns;
}

bool
mt_column_can_be_projected(const MtCollectionColumn *column)
{
	return !column->is_whole && !column->has_index && column->is_sendable;
}

MtCollectionColumn
mt_column_below(const MtCollectionColumn *column, const char *root)
{
	MtCollectionColumn below = *column;

	below.root_len = (int) strlen(root);
	below.path = column->is_whole ? pstrdup(root) : psprintf("%s.%s", root, column->path);
	below.is_whole = false;
	return below;
}

const char *
mt_column_own_path(const MtCollectionColumn *column)
{
	if (column->root_len == 0)
		return column->path;
	return column->path[column->root_len] == '\0' ? WHOLE_DOCUMENT : column->path + column->root_len + 1;
}

MtCollectionColumn
mt_column_element(const MtCollectionColumn *column)
{
	MtCollectionColumn element = *column;

	element.type = element.base_type = column->element_type;
	element.class = column->element_class;
	element.element_type = InvalidOid;
	element.element_class = MT_COMPARE_NONE;
	return element;
}

MtCollectionName *
mt_collection_name(Relation relation, const MtTableOptions *table, Oid userid)
{
	MtCollectionName *name = palloc0(sizeof *name);

	if (table->database == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("foreign table \"%s\" does not say which database its collection is in",
						RelationGetRelationName(relation)),
				 errhint("ALTER FOREIGN TABLE ... OPTIONS (ADD database '...').")));
	name->serverid = table->serverid;
	name->userid = userid;
	name->database = utf8_of(table->database);
	name->collection = utf8_of(table->collection != NULL ? table->collection :
							   RelationGetRelationName(relation));
	return name;
}
