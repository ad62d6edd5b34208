/*
 * changes_row.c
 *		One change as a row of a logical table.
 *
 * Where a column that is a field of the document finds its value:
 *
 *	insert, replace		the document
 *	update				the document, when the tail looks it up and it was there;
 *						else what the update sets whole: the field itself, or a
 *						document above it; else the document key (_id, shard key)
 *	delete				the document key
 *	all else			nowhere: NULL
 *
 * So a NULL in a row of an update may mean "not told": changed_columns, which
 * is NULL for all but updates, says which fields the update touched.
 *
 * A path goes through documents by name and through arrays by index ("a.0").
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/position.h"
#include "convert/bson_to_datum.h"
#include "fdw/changes_row.h"
#include "oplog/bson_path.h"
#include "oplog/update_description.h"

#define WHOLE_DOCUMENT "$"

/* A column that is a field of the document. */
typedef struct Field
{
	int			column;			/* index of the attribute */
	MtSlice		path;			/* in UTF-8 */
	MtSlice		first;			/* its first component */
	bool		is_whole;
	MtColumnConverter *converter;
	bool		found;			/* in this change */
	MtElement	element;
} Field;

struct MtChangesRow
{
	int			n_columns;
	MtChangesColumnKind *kinds; /* DROPPED: not wanted */
	MtChangeColumn *rows;		/* where a ROW column stands in the builder's */
	uint32		mask;			/* of the builder's columns */
	MtRowBuilder *builder;
	int			n_fields;
	Field	   *fields;
	MtByteBuffer description;	/* of an update, for fields */
	Datum		values[MT_CHANGE_COLUMNS];
	bool		nulls[MT_CHANGE_COLUMNS];
};

static void
free_description(void *arg)
{
	MtChangesRow *row = arg;

	mt_byte_buffer_free(&row->description);
}

static void
add_field(MtChangesRow *row, int index, const MtChangesColumn *column)
{
	Field	   *field = &row->fields[row->n_fields++];
	MtColumnTarget target = mt_changes_column_target(column);
	char	   *path = pg_server_to_any(pstrdup(column->field), (int) strlen(column->field), PG_UTF8);

	field->column = index;
	field->path.data = (const uint8 *) path;
	field->path.len = (uint32) strlen(path);
	field->first = mt_path_component(field->path, 0);
	field->is_whole = strcmp(path, WHOLE_DOCUMENT) == 0;
	field->converter = mt_column_converter_create(&target);
}

MtChangesRow *
mt_changes_row_create(const MtChangesColumn *columns, int n_columns, const Bitmapset *wanted)
{
	MtChangesRow *row = palloc0(sizeof *row);
	MemoryContextCallback *callback = palloc0(sizeof *callback);

	row->n_columns = n_columns;
	row->kinds = palloc0(sizeof(MtChangesColumnKind) * (n_columns + 1));
	row->rows = palloc0(sizeof(MtChangeColumn) * (n_columns + 1));
	row->fields = palloc0(sizeof(Field) * (n_columns + 1));
	row->builder = mt_row_builder_create();
	callback->func = free_description;
	callback->arg = row;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	for (int i = 0; i < n_columns; i++)
	{
		const MtChangesColumn *column = &columns[i];

		if (!bms_is_member(i + 1, wanted))
			continue;
		row->kinds[i] = column->kind;
		row->rows[i] = column->row;
		if (column->kind == MT_CHANGES_ROW || column->kind == MT_CHANGES_SECOND)
			row->mask |= 1u << column->row;
		if (column->kind == MT_CHANGES_FIELD)
			add_field(row, i, column);
	}
	return row;
}

/* ---- finding fields ---- */

static void
corrupt(const MtChange *change)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("corrupt BSON in the change at %u.%u",
					(uint32) (change->cluster_time >> 32), (uint32) change->cluster_time)));
}

/*
 * From the element of the path's first components, offset bytes of it, to that
 * of the whole path.  False when there is none.
 */
static bool
descend(const MtChange *change, MtSlice path, uint32 offset, MtElement *element)
{
	while (offset < path.len)
	{
		MtSlice		name = mt_path_component(path, ++offset);
		MtWalkResult result;

		if (element->type != MT_BSON_DOCUMENT && element->type != MT_BSON_ARRAY)
			return false;
		result = mt_bson_find(mt_element_value(element), (const char *) name.data, name.len, element);
		if (result == MT_WALK_CORRUPT)
			corrupt(change);
		if (result == MT_WALK_END)
			return false;
		offset += name.len;
	}
	return true;
}

/* Find what is not found yet in a document, in one walk. */
static void
find_in_document(MtChangesRow *row, const MtChange *change, MtSlice document)
{
	int			missing = 0;
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result;

	for (int i = 0; i < row->n_fields; i++)
		missing += !row->fields[i].found;
	if (missing == 0)
		return;
	if (!mt_walk_begin(&walk, document))
		corrupt(change);
	while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		for (int i = 0; i < row->n_fields; i++)
		{
			Field	   *field = &row->fields[i];
			MtElement	inner = element;

			if (field->found || !mt_element_is(&element, (const char *) field->first.data, field->first.len) ||
				!descend(change, field->path, field->first.len, &inner))
				continue;
			field->element = inner;
			field->found = true;
			if (--missing == 0)
				return;
		}
	}
	if (result == MT_WALK_CORRUPT)
		corrupt(change);
}

/* The whole document, for the columns of "$". */
static void
find_whole(MtChangesRow *row, MtSlice document)
{
	for (int i = 0; i < row->n_fields; i++)
	{
		Field	   *field = &row->fields[i];

		if (!field->is_whole)
			continue;
		field->found = true;
		field->element.type = MT_BSON_DOCUMENT;
		field->element.name = "";
		field->element.name_len = 0;
		field->element.value = document.data;
		field->element.value_len = document.len;
	}
}

/* Does prefix name the path or something above it? */
static bool
path_begins(MtSlice path, const MtElement *prefix)
{
	return prefix->name_len <= path.len && memcmp(path.data, prefix->name, prefix->name_len) == 0 &&
		(prefix->name_len == path.len || path.data[prefix->name_len] == '.');
}

/*
 * Is a name of updatedFields not the path that it looks like, but holds a
 * field with a dot in its name?  Then disambiguatedPaths says so, by fewer
 * components.
 */
static bool
has_dotted_field(MtSlice description, const MtElement *updated)
{
	MtElement	paths;
	MtElement	components;
	MtElement	component;
	MtWalk		walk;
	int			surplus = 1;

	if (mt_bson_find(description, "disambiguatedPaths", 18, &paths) != MT_WALK_ELEMENT ||
		mt_bson_find(mt_element_value(&paths), updated->name, updated->name_len, &components) != MT_WALK_ELEMENT ||
		!mt_walk_begin(&walk, mt_element_value(&components)))
		return false;
	for (uint32 i = 0; i < updated->name_len; i++)
		surplus += updated->name[i] == '.';
	while (mt_walk_next(&walk, &component) == MT_WALK_ELEMENT)
		surplus--;
	return surplus != 0;
}

/* Find fields that an update sets whole. */
static void
find_in_update(MtChangesRow *row, const MtChange *change)
{
	bool		is_diff = change->payload_kind == MT_PAYLOAD_DIFF_V2;
	MtDiffStatus status;
	MtSlice		description;
	MtElement	updated;
	MtElement	element;
	MtWalk		walk;

	row->description.len = 0;
	status = is_diff ? mt_update_description_from_diff(change->payload, &row->description) :
		mt_update_description_from_modifiers(change->payload, &row->description);
	if (status == MT_DIFF_OUT_OF_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory while reading an update")));
	if (status != MT_DIFF_OK)
		corrupt(change);
	description.data = row->description.data;
	description.len = (uint32) row->description.len;
	if (mt_bson_find(description, "updatedFields", 13, &updated) != MT_WALK_ELEMENT ||
		!mt_walk_begin(&walk, mt_element_value(&updated)))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		for (int i = 0; i < row->n_fields; i++)
		{
			Field	   *field = &row->fields[i];
			MtElement	inner = element;

			if (field->found || !path_begins(field->path, &element) || has_dotted_field(description, &element) ||
				!descend(change, field->path, element.name_len, &inner))
				continue;
			field->element = inner;
			field->found = true;
		}
	}
}

/* The document key: a shard key's path stands in it as one name. */
static void
find_in_key(MtChangesRow *row, const MtChange *change)
{
	MtWalk		walk = {change->document_key.data, change->document_key.data + change->document_key.len};
	MtElement	element;

	if (change->document_key.len == 0)
		return;
	if (!(change->flags & MT_CHANGE_KEY_ELEMENT) && !mt_walk_begin(&walk, change->document_key))
		corrupt(change);
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		for (int i = 0; i < row->n_fields; i++)
		{
			Field	   *field = &row->fields[i];
			MtElement	inner = element;

			if (field->found || !path_begins(field->path, &element) ||
				!descend(change, field->path, element.name_len, &inner))
				continue;
			field->element = inner;
			field->found = true;
		}
	}
}

static void
find_fields(MtChangesRow *row, const MtChange *change)
{
	MtSlice		document = {NULL, 0};

	for (int i = 0; i < row->n_fields; i++)
		row->fields[i].found = false;
	if (change->payload_kind == MT_PAYLOAD_DOCUMENT ||
		change->payload_kind == MT_PAYLOAD_DIFF_V2 || change->payload_kind == MT_PAYLOAD_MODIFIERS_V1)
		document = mt_change_full_document(change);
	if (document.len > 0)
	{
		find_whole(row, document);
		find_in_document(row, change, document);
	}
	else if (change->operation == MT_OPERATION_UPDATE)
	{
		find_in_update(row, change);
		find_in_key(row, change);
	}
	else if (change->operation == MT_OPERATION_DELETE)
		find_in_key(row, change);
}

/* ---- making values ---- */

static void
store_fields(MtChangesRow *row, const MtChange *change, TupleTableSlot *slot)
{
	MtDocumentOrigin origin;

	find_fields(row, change);
	origin.namespace = change->namespace;
	origin.key = change->document_key;
	origin.key_is_element = (change->flags & MT_CHANGE_KEY_ELEMENT) != 0;
	for (int i = 0; i < row->n_fields; i++)
	{
		Field	   *field = &row->fields[i];

		slot->tts_isnull[field->column] =
			!mt_column_convert(field->converter, field->found ? &field->element : NULL, &origin,
							   &slot->tts_values[field->column]);
	}
}

/* MtVisitField: append a name that is not there yet. */
static bool
collect_touched(void *context, MtSlice name)
{
	List	  **names = context;
	char	   *text = pnstrdup((const char *) name.data, name.len);
	ListCell   *cell;

	foreach(cell, *names)
		if (strcmp(lfirst(cell), text) == 0)
			return true;
	*names = lappend(*names, text);
	return true;
}

/* changed_columns; false: NULL. */
static bool
touched_array(const MtChange *change, Datum *value)
{
	List	   *names = NIL;
	ListCell   *cell;
	Datum	   *elements;
	int			n = 0;

	if (change->payload_kind != MT_PAYLOAD_DIFF_V2 && change->payload_kind != MT_PAYLOAD_MODIFIERS_V1)
		return false;
	if (mt_update_touched_fields(change->payload, change->payload_kind == MT_PAYLOAD_DIFF_V2,
								 collect_touched, &names) != MT_DIFF_OK)
		corrupt(change);
	elements = palloc(sizeof(Datum) * (list_length(names) + 1));
	foreach(cell, names)
	{
		char	   *name = lfirst(cell);

		elements[n++] = CStringGetTextDatum(pg_any_to_server(name, (int) strlen(name), PG_UTF8));
	}
	*value = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	return true;
}

static bool
bson_value(const MtChange *change, Datum *value)
{
	MtSlice		document = mt_change_full_document(change);
	bytea	   *bytes;

	if (document.len == 0)
		return false;
	bytes = palloc(document.len + VARHDRSZ);
	SET_VARSIZE(bytes, document.len + VARHDRSZ);
	memcpy(VARDATA(bytes), document.data, document.len);
	*value = PointerGetDatum(bytes);
	return true;
}

void
mt_changes_row_store(MtChangesRow *row, const MtChangeRow *change, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * row->n_columns);
	memset(slot->tts_values, 0, sizeof(Datum) * row->n_columns);
	if (row->mask != 0)
		mt_row_builder_fill(row->builder, change, row->mask, row->values, row->nulls);
	for (int i = 0; i < row->n_columns; i++)
	{
		switch (row->kinds[i])
		{
			case MT_CHANGES_ROW:
				slot->tts_values[i] = row->values[row->rows[i]];
				slot->tts_isnull[i] = row->nulls[row->rows[i]];
				break;
			case MT_CHANGES_SECOND:
				slot->tts_values[i] = TimestampTzGetDatum(mt_cluster_time_to_timestamptz(change->change.cluster_time));
				slot->tts_isnull[i] = false;
				break;
			case MT_CHANGES_TOUCHED:
				slot->tts_isnull[i] = !touched_array(&change->change, &slot->tts_values[i]);
				break;
			case MT_CHANGES_BSON:
				slot->tts_isnull[i] = !bson_value(&change->change, &slot->tts_values[i]);
				break;
			default:
				break;
		}
	}
	if (row->n_fields > 0)
		store_fields(row, &change->change, slot);
	ExecStoreVirtualTuple(slot);
}
