/*
 * changes_column.c
 *		The columns of a logical table: what each one shows of a change.
 *
 * A column is known by its name when the name is one of changes(), or
 * changed_columns or full_document_bson; every other column, and every one
 * with option "field", is a field of the document.  So a document's own field
 * "source" is read by a column with OPTIONS (field 'source').
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/changes_column.h"

#define POSITION		"position"
#define CLUSTER_TIME	"cluster_time"

static const struct
{
	const char *name;
	MtChangesColumnKind kind;
	MtChangeColumn row;
	Oid			type;			/* of pg_catalog; InvalidOid: mongo_tail's type of that name */
}			known[] =
{
	{POSITION, MT_CHANGES_ROW, MT_COLUMN_POSITION, InvalidOid},
	{CLUSTER_TIME, MT_CHANGES_ROW, MT_COLUMN_CLUSTER_TIME, InvalidOid},
	{CLUSTER_TIME, MT_CHANGES_SECOND, MT_COLUMN_CLUSTER_TIME, TIMESTAMPTZOID},
	{"wall_time", MT_CHANGES_ROW, MT_COLUMN_WALL_TIME, TIMESTAMPTZOID},
	{"shard", MT_CHANGES_ROW, MT_COLUMN_SHARD, TEXTOID},
	{"operation_type", MT_CHANGES_ROW, MT_COLUMN_OPERATION_TYPE, TEXTOID},
	{"database", MT_CHANGES_ROW, MT_COLUMN_DATABASE, TEXTOID},
	{"collection", MT_CHANGES_ROW, MT_COLUMN_COLLECTION, TEXTOID},
	{"document_key", MT_CHANGES_ROW, MT_COLUMN_DOCUMENT_KEY, JSONBOID},
	{"full_document", MT_CHANGES_ROW, MT_COLUMN_FULL_DOCUMENT, JSONBOID},
	{"update_description", MT_CHANGES_ROW, MT_COLUMN_UPDATE_DESCRIPTION, JSONBOID},
	{"transaction_id", MT_CHANGES_ROW, MT_COLUMN_TRANSACTION_ID, TEXTOID},
	{"entry_bytes", MT_CHANGES_ROW, MT_COLUMN_ENTRY_BYTES, INT4OID},
	{"source", MT_CHANGES_ROW, MT_COLUMN_SOURCE, TEXTOID},
	{"changed_columns", MT_CHANGES_TOUCHED, MT_CHANGE_COLUMNS, TEXTARRAYOID},
	{"full_document_bson", MT_CHANGES_BSON, MT_CHANGE_COLUMNS, BYTEAOID},
};

static Oid
known_type(size_t i)
{
	if (OidIsValid(known[i].type))
		return known[i].type;
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(known[i].name),
						   ObjectIdGetDatum(get_namespace_oid("mongo_tail", false)));
}

static void
wrong_type(const char *relation, const MtChangesColumn *column, Oid wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of foreign table \"%s\" has type %s, not %s",
					column->name, relation, format_type_be(column->type), format_type_be(wanted)),
			 errhint("Columns named as those of mongo_tail.changes() have their types; "
					 "a field of the document with that name is read by a column with OPTIONS (field '%s').",
					 column->name)));
}

/* What a column without option "field" is, by its name. */
static void
identify(const char *relation, MtChangesColumn *column)
{
	Oid			wanted = InvalidOid;

	for (size_t i = 0; i < lengthof(known); i++)
	{
		if (strcmp(known[i].name, column->name) != 0)
			continue;
		if (known_type(i) == column->type)
		{
			column->kind = known[i].kind;
			column->row = known[i].row;
			return;
		}
		if (!OidIsValid(wanted))
			wanted = known_type(i);
	}
	if (OidIsValid(wanted))
		wrong_type(relation, column, wanted);
	column->kind = MT_CHANGES_FIELD;
	column->field = column->name;
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

MtColumnTarget
mt_changes_column_target(const MtChangesColumn *column)
{
	MtColumnTarget target = {column->type, column->typmod, column->name, column->field,
	column->null_on_mismatch};

	return target;
}

MtChangesColumn *
mt_changes_columns(Relation relation, const MtTableOptions *table)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	MtServerOptions *server = mt_options_server(table->serverid);
	MtChangesColumn *columns = palloc0(sizeof(MtChangesColumn) * (descriptor->natts + 1));

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		MtChangesColumn *column = &columns[i];
		MtColumnOptions *options;

		if (attribute->attisdropped)
			continue;
		options = mt_options_column(RelationGetRelid(relation), attribute->attnum);
		column->name = pstrdup(NameStr(attribute->attname));
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		column->field = options->field;
		column->null_on_mismatch = reads_null(options->on_mismatch, table->on_mismatch, server->on_mismatch);
		if (column->field != NULL)
			column->kind = MT_CHANGES_FIELD;
		else
			identify(RelationGetRelationName(relation), column);
		if (column->kind == MT_CHANGES_FIELD)
		{
			MtColumnTarget target = mt_changes_column_target(column);

			mt_column_target_check(&target);
		}
	}
	return columns;
}
