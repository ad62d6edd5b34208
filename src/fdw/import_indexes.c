/*
 * import_indexes.c
 *		Fields of a collection that only its indexes show.
 *
 * Who made an index on a field asks for it, however few documents have it; and
 * the rarer it is, the likelier a sample misses it.  The index finds documents
 * with such a field, whose values say its type; where it finds none, or not
 * soon, the column is jsonb.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fdw/import_indexes.h"
#include "oplog/bson_path.h"

/* Documents that an index is asked for, and their size. */
#define SAMPLE_SIZE		100
#define SAMPLE_BYTES	(16 * 1024 * 1024)

typedef struct Indexes
{
	MtMetadata *metadata;
	const char *database;
	const char *collection;
	int			sample_size;
	bool		flatten;
	MtCensus   *census;
} Indexes;

/* Take in what the documents have at the first len bytes of the path, which is that of a field. */
static void
sample_field(const Indexes *indexes, const MtIndexInfo *index, const char *path, uint32 len, MtCensusField *field)
{
	MtSlice		begin = {(const uint8 *) path, len};
	MtSlice		document;
	MtElement	value;

	if (indexes->sample_size == 0 ||
		!mt_metadata_sample_by_index(indexes->metadata, indexes->database, indexes->collection, index, path,
									 Min(indexes->sample_size, SAMPLE_SIZE), SAMPLE_BYTES))
		return;
	while (mt_metadata_next(indexes->metadata, &document))
	{
		CHECK_FOR_INTERRUPTS();
		if (mt_path_find(document, begin, &value))
			mt_census_add_indexed_value(indexes->census, field, &value);
	}
}

/*
 * The first component of the path that was not seen becomes a field, if it
 * becomes a column.  Another index that names it may find what one did not.
 */
static void
add_path(const Indexes *indexes, const MtIndexInfo *index, const char *path)
{
	MtSlice		whole = {(const uint8 *) path, (uint32) strlen(path)};
	MtCensusField *parent = indexes->census->root;
	MtCensusField *field;
	MtSlice		name;
	uint32		offset = 0;

	for (;;)
	{
		name = mt_path_component(whole, offset);
		if (offset == 0 && name.len == 3 && memcmp(name.data, "_id", 3) == 0)
			return;				/* always a column, and of one document's own */
		field = mt_census_find(indexes->census, parent, name);
		offset += name.len + 1;
		if (field == NULL || (field->index != NULL && field->by_index == 0))
			break;
		if (!indexes->flatten || !mt_census_is_flat(field) || offset > whole.len)
			return;
		parent = field;
	}
	if (field == NULL)
		field = mt_census_add_indexed(indexes->census, parent, name, index->name);
	if (field != NULL)
		sample_field(indexes, index, path, offset - 1, field);
	if (field != NULL && field->by_index > 0)
		field->index = index->name;
}

void
mt_import_indexes(MtMetadata *metadata, const char *database, const char *collection,
				  int sample_size, bool flatten, MtCensus *census)
{
	Indexes		indexes = {metadata, database, collection, sample_size, flatten, census};
	ListCell   *index;
	ListCell   *path;

	foreach(index, mt_metadata_indexes(metadata, database, collection))
		foreach(path, ((MtIndexInfo *) lfirst(index))->paths)
			add_path(&indexes, lfirst(index), lfirst(path));
}
