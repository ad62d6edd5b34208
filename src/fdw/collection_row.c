/*
 * collection_row.c
 *		One document as a row of a collection's table.
 *
 * One walk over the document's top level finds all columns; those below a
 * field go on from there.  Of fields with the same name the first counts, as
 * in MongoDB's own queries.
 *
 * Documents of a collection resemble each other.  So the names that documents
 * had before are remembered in their order, wanted or not, and the walk first
 * looks whether the next of them comes next, which is a comparison of a word
 * or two instead of a search for the name's end and then for its column.  A few
 * may be missing.  A name that is not found so replaces the one that was
 * expected; where optional fields have an order, the names of all of them come
 * to be remembered.
 *
 * A path goes through documents by name and through arrays by index ("a.0").
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "convert/bson_to_datum.h"
#include "fdw/collection_row.h"
#include "oplog/bson_name.h"
#include "oplog/bson_path.h"

/* Names that are remembered, and how long one may be, with its NUL. */
#define PLACES 64
#define PLACE_NAME_BYTES 48

/* How many of them may be missing in a document where others follow. */
#define PLACES_SKIPPED 3

/* A wanted column. */
typedef struct Field
{
	int			column;			/* index of the attribute */
	MtSlice		path;
	MtColumnConverter *converter;
	const MtDocumentOrigin *origin;
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
	bool		is_root;		/* its value is a document of its own, whose origin is */
	MtDocumentOrigin origin;
} Group;

/* A field's name where it stood in a document before. */
typedef struct Place
{
	MtKnownName known;
	Group	   *group;			/* NULL: nobody wants it */
	uint32		name_len;
	uint8		name[PLACE_NAME_BYTES];
} Place;

struct MtCollectionRow
{
	int			n_columns;
	int			n_fields;
	Field	   *fields;			/* in the order of groups */
	int			n_groups;
	Group	   *groups;
	int			n_whole;		/* the last fields: those that are the document */
	MtDocumentOrigin origin;
	Place		places[PLACES + 1]; /* the last one remembers nothing */
};

static inline Place *
last_place(MtCollectionRow *row)
{
	return &row->places[PLACES];
}

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
	const char *own_path = mt_column_own_path(column);
	char	   *shown_path = pg_any_to_server(own_path, (int) strlen(own_path), PG_UTF8);
	MtColumnTarget target = {column->type, column->typmod, column->name, shown_path, column->null_on_mismatch};

	field->column = index;
	field->path.data = (const uint8 *) column->path;
	field->path.len = (uint32) strlen(column->path);
	field->origin = &row->origin;
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

static Group *
group_of(MtCollectionRow *row, MtSlice name)
{
	for (int i = 0; i < row->n_groups; i++)
		if (name.len == row->groups[i].name.len && memcmp(name.data, row->groups[i].name.data, name.len) == 0)
			return &row->groups[i];
	return NULL;
}

static MtSlice
namespace_of(const MtCollectionName *name)
{
	char	   *text = psprintf("%s.%s", name->database, name->collection);
	MtSlice		namespace = {(const uint8 *) text, (uint32) strlen(text)};

	return namespace;
}

void
mt_collection_row_set_root(MtCollectionRow *row, const char *root, const MtCollectionName *name)
{
	MtSlice		path = {(const uint8 *) root, (uint32) strlen(root)};
	Group	   *group = group_of(row, path);

	if (group == NULL)			/* none of its columns is wanted */
		return;
	group->is_root = true;
	group->origin.namespace = namespace_of(name);
	for (int i = group->first; i < group->first + group->n; i++)
		row->fields[i].origin = &group->origin;
}

MtCollectionRow *
mt_collection_row_create(const MtCollectionColumn *columns, int n_columns, const Bitmapset *wanted,
						 const MtCollectionName *name)
{
	MtCollectionRow *row = palloc0(sizeof *row);

	for (int i = 0; i <= PLACES; i++)
		mt_known_name_clear(&row->places[i].known);
	row->n_columns = n_columns;
	row->fields = palloc0(sizeof(Field) * (n_columns + 1));
	row->groups = palloc0(sizeof(Group) * (n_columns + 1));
	row->origin.namespace = namespace_of(name);
	for (int i = 0; i < n_columns; i++)
		if (bms_is_member(i + 1, wanted) && columns[i].name != NULL && !columns[i].is_whole &&
			group_of(row, first_component(&columns[i])) == NULL)
			add_group(row, columns, i, wanted);
	for (int i = 0; i < n_columns; i++)
		if (bms_is_member(i + 1, wanted) && columns[i].name != NULL && columns[i].is_whole)
		{
			add_field(row, i, &columns[i]);
			row->n_whole++;
		}
	return row;
}

/* ---- names and paths ---- */

static void
corrupt(const MtCollectionRow *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("corrupt BSON in a document of \"%.*s\"",
					(int) row->origin.namespace.len, (const char *) row->origin.namespace.data)));
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

/* ---- remembering places ---- */

/* Let the name be what the place says. */
static void
remember(MtCollectionRow *row, Place *place, MtSlice name)
{
	place->group = group_of(row, name);
	place->name_len = name.len;
	mt_known_name_clear(&place->known);
	if (name.len >= PLACE_NAME_BYTES || place == last_place(row))
		return;
	memcpy(place->name, name.data, name.len + 1);
	mt_known_name_set(&place->known, place->name, name.len);
}

static inline bool
stands_at(const Place *place, MtWalk walk)
{
	return mt_known_name_is_next(&place->known, walk.p, walk.end);
}

/*
 * The place of the next element, which is not the expected one: one shortly
 * after, or from now on that one.  NULL when there is no element.
 */
static pg_noinline Place *
unexpected_place(MtCollectionRow *row, Place *expected, MtWalk walk)
{
	MtSlice		name = {walk.p + 1, 0};
	const uint8 *end;

	for (Place *place = expected + 1; place <= expected + PLACES_SKIPPED && place < last_place(row); place++)
		if (stands_at(place, walk))
			return place;
	if (walk.p >= walk.end || (end = mt_bson_name_end(name.data, walk.end)) == NULL)
		return NULL;
	name.len = (uint32) (end - name.data);
	remember(row, expected, name);
	return expected;
}

/* ---- finding fields ---- */

static inline void
store_group(MtCollectionRow *row, Group *group, const MtElement *element)
{
	group->found = true;
	if (group->is_root)
		group->origin.key = mt_element_value(element);
	for (int i = group->first; i < group->first + group->n; i++)
	{
		Field	   *field = &row->fields[i];

		field->element = *element;
		field->found = field->path.len == group->name.len ||
			descend(row, field->path, group->name.len, &field->element);
	}
}

/*
 * Nothing that is live through this loop is lent to a function that is not
 * inlined: it would live in memory then, and each step wait for the last one's
 * stores.
 */
static void
find_fields(MtCollectionRow *row, MtSlice document)
{
	Place	   *place = row->places;
	int			missing = row->n_groups;
	MtWalk		walk;

	for (int i = 0; i < row->n_groups; i++)
		row->groups[i].found = false;
	for (int i = 0; i < row->n_fields; i++)
		row->fields[i].found = false;
	if (!mt_walk_begin(&walk, document))
		corrupt(row);
	while (missing > 0)
	{
		MtElement	element;

		if (!stands_at(place, walk) && (place = unexpected_place(row, place, walk)) == NULL)
			break;
		if (mt_walk_take(&walk, place->name_len, &element) != MT_WALK_ELEMENT)
			break;
		if (place->group != NULL && !place->group->found)
		{
			store_group(row, place->group, &element);
			missing--;
		}
		if (place < last_place(row))
			place++;
	}
	if (missing > 0 && walk.p != walk.end)
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
	row->origin.key = document;
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * row->n_columns);
	memset(slot->tts_values, 0, sizeof(Datum) * row->n_columns);
	find_fields(row, document);
	find_whole(row, document);
	for (int i = 0; i < row->n_fields; i++)
	{
		Field	   *field = &row->fields[i];

		slot->tts_isnull[field->column] =
			!mt_column_convert(field->converter, field->found ? &field->element : NULL, field->origin,
							   &slot->tts_values[field->column]);
	}
	ExecStoreVirtualTuple(slot);
}
