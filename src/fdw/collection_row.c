/*
 * collection_row.c
 *		One document as a row of a collection's table.
 *
 * One walk over the document's top level finds all columns; those below a
 * field go on from there.  Of fields with the same name the first counts, as
 * in MongoDB's own queries.  Documents of a collection resemble each other, so
 * the walk first looks whether the field at this place is the one that stood
 * here in the last document.
 *
 * A path goes through documents by name and through arrays by index ("a.0").
 */
#include "postgres.h"

#include "base/bson_to_datum.h"
#include "fdw/collection_row.h"
#include "oplog/bson_path.h"

/* Places of a document for which the field that stood there is remembered. */
#define REMEMBERED_PLACES 64

/* A wanted column. */
typedef struct Field
{
	int			column;			/* index of the attribute */
	MtSlice		path;
	MtColumnConverter *converter;
	bool		found;			/* in this document */
	MtElement	element;
} Field;

/* The columns that begin at the same top-level field. */
typedef struct Group
{
	MtSlice		name;
	int			first;			/* in fields */
	int			n;
	bool		found;			/* in this document */
} Group;

struct MtCollectionRow
{
	int			n_columns;
	int			n_fields;
	Field	   *fields;			/* in the order of groups */
	int			n_groups;
	Group	   *groups;
	int			n_whole;		/* the last fields: those that are the document */
	MtSlice		namespace;
	Group	   *places[REMEMBERED_PLACES];
};

static MtSlice
first_component(const MtCollectionColumn *column)
{
	MtSlice		path = {(const uint8 *) column->path, (uint32) strlen(column->path)};

	return mt_path_component(path, 0);
}

static void
add_field(MtCollectionRow *row, int index, const MtCollectionColumn *column)
{
	Field	   *field = &row->fields[row->n_fields++];
	MtColumnTarget target = {column->type, column->typmod, column->name, column->path,
	column->null_on_mismatch};

	field->column = index;
	field->path.data = (const uint8 *) column->path;
	field->path.len = (uint32) strlen(column->path);
	field->converter = mt_column_converter_create(&target);
}

/* Add the fields below one name, from the first column that has it. */
static void
add_group(MtCollectionRow *row, const MtCollectionColumn *columns, int from, const Bitmapset *wanted)
{
	Group	   *group = &row->groups[row->n_groups++];

	group->name = first_component(&columns[from]);
	group->first = row->n_fields;
	for (int i = from; i < row->n_columns; i++)
	{
		MtSlice		name;

		if (!bms_is_member(i + 1, wanted) || columns[i].name == NULL || columns[i].is_whole)
			continue;
		name = first_component(&columns[i]);
		if (name.len == group->name.len && memcmp(name.data, group->name.data, name.len) == 0)
			add_field(row, i, &columns[i]);
	}
	group->n = row->n_fields - group->first;
}

static bool
has_group(const MtCollectionRow *row, MtSlice name)
{
	for (int i = 0; i < row->n_groups; i++)
		if (name.len == row->groups[i].name.len && memcmp(name.data, row->groups[i].name.data, name.len) == 0)
			return true;
	return false;
}

MtCollectionRow *
mt_collection_row_create(const MtCollectionColumn *columns, int n_columns, const Bitmapset *wanted,
						 const MtCollectionName *name)
{
	MtCollectionRow *row = palloc0(sizeof *row);
	char	   *namespace = psprintf("%s.%s", name->database, name->collection);

	row->n_columns = n_columns;
	row->fields = palloc0(sizeof(Field) * (n_columns + 1));
	row->groups = palloc0(sizeof(Group) * (n_columns + 1));
	row->namespace.data = (const uint8 *) namespace;
	row->namespace.len = (uint32) strlen(namespace);
	for (int i = 0; i < n_columns; i++)
		if (bms_is_member(i + 1, wanted) && columns[i].name != NULL && !columns[i].is_whole &&
			!has_group(row, first_component(&columns[i])))
			add_group(row, columns, i, wanted);
	for (int i = 0; i < n_columns; i++)
		if (bms_is_member(i + 1, wanted) && columns[i].name != NULL && columns[i].is_whole)
		{
			add_field(row, i, &columns[i]);
			row->n_whole++;
		}
	return row;
}

/* ---- finding fields ---- */

static void
corrupt(const MtCollectionRow *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("corrupt BSON in a document of \"%.*s\"",
					(int) row->namespace.len, (const char *) row->namespace.data)));
}

/* From the element of the path's first component to that of the whole path. */
static bool
descend(const MtCollectionRow *row, MtSlice path, uint32 offset, MtElement *element)
{
	while (offset < path.len)
	{
		MtSlice		name = mt_path_component(path, ++offset);
		MtWalkResult result;

		if (element->type != MT_BSON_DOCUMENT &&
			!(element->type == MT_BSON_ARRAY && mt_path_looks_like_index(name)))
			return false;
		result = mt_bson_find(mt_element_value(element), (const char *) name.data, name.len, element);
		if (result == MT_WALK_CORRUPT)
			corrupt(row);
		if (result == MT_WALK_END)
			return false;
		offset += name.len;
	}
	return true;
}

static inline bool
is_group(const Group *group, const MtElement *element)
{
	return !group->found && mt_element_is(element, (const char *) group->name.data, group->name.len);
}

/* The group of an element, the place's of the last document first; NULL when
 * nobody wants it. */
static Group *
group_of(MtCollectionRow *row, const MtElement *element, int place)
{
	Group	   *remembered = place < REMEMBERED_PLACES ? row->places[place] : NULL;

	if (remembered != NULL && is_group(remembered, element))
		return remembered;
	for (int i = 0; i < row->n_groups; i++)
		if (is_group(&row->groups[i], element))
		{
			if (place < REMEMBERED_PLACES)
				row->places[place] = &row->groups[i];
			return &row->groups[i];
		}
	return NULL;
}

static void
find_fields(MtCollectionRow *row, MtSlice document)
{
	int			missing = row->n_groups;
	int			place = 0;
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_END;

	for (int i = 0; i < row->n_groups; i++)
		row->groups[i].found = false;
	for (int i = 0; i < row->n_fields; i++)
		row->fields[i].found = false;
	if (!mt_walk_begin(&walk, document))
		corrupt(row);
	while (missing > 0 && (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		Group	   *group = group_of(row, &element, place++);

		if (group == NULL)
			continue;
		group->found = true;
		missing--;
		for (int i = group->first; i < group->first + group->n; i++)
		{
			Field	   *field = &row->fields[i];

			field->element = element;
			field->found = descend(row, field->path, group->name.len, &field->element);
		}
	}
	if (missing > 0 && result == MT_WALK_CORRUPT)
		corrupt(row);
}

static void
find_whole(MtCollectionRow *row, MtSlice document)
{
	for (int i = row->n_fields - row->n_whole; i < row->n_fields; i++)
	{
		Field	   *field = &row->fields[i];

		field->found = true;
		field->element.type = MT_BSON_DOCUMENT;
		field->element.name = "";
		field->element.name_len = 0;
		field->element.value = document.data;
		field->element.value_len = document.len;
	}
}

void
mt_collection_row_store(MtCollectionRow *row, MtSlice document, TupleTableSlot *slot)
{
	MtDocumentOrigin origin = {row->namespace, document, false};

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * row->n_columns);
	memset(slot->tts_values, 0, sizeof(Datum) * row->n_columns);
	find_fields(row, document);
	find_whole(row, document);
	for (int i = 0; i < row->n_fields; i++)
	{
		Field	   *field = &row->fields[i];

		slot->tts_isnull[field->column] =
			!mt_column_convert(field->converter, field->found ? &field->element : NULL, &origin,
							   &slot->tts_values[field->column]);
	}
	ExecStoreVirtualTuple(slot);
}
