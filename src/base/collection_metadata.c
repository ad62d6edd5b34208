/*
 * collection_metadata.c
 *		What MongoDB says about the collections of a database.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "mb/pg_wchar.h"

#include "base/collection_metadata.h"
#include "base/options.h"
#include "base/remote.h"
#include "mongo/collection_catalog.h"

struct MtMetadata
{
	char	   *server_name;
	bool		read_concern_local;
	MtConnection *connection;
	MtByteBuffer documents;		/* of the last answer; on malloc */
	size_t		offset;			/* of the next document of a sample */
};

static void
metadata_reset(void *arg)
{
	mt_byte_buffer_free(&((MtMetadata *) arg)->documents);
}

MtMetadata *
mt_metadata_open(Oid serverid, Oid userid)
{
	MtMetadata *metadata = palloc0(sizeof *metadata);
	MemoryContextCallback *callback = palloc0(sizeof *callback);

	callback->func = metadata_reset;
	callback->arg = metadata;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	metadata->server_name = GetForeignServer(serverid)->servername;
	metadata->read_concern_local = mt_options_server(serverid)->read_concern_local;
	metadata->connection = mt_remote_open(serverid, userid, CurrentMemoryContext);
	return metadata;
}

static char *
shown(const char *name)
{
	return pg_any_to_server(pstrdup(name), (int) strlen(name), PG_UTF8);
}

/* ---- collections ---- */

static char *
copy_text(const MtElement *element)
{
	MtSlice		text = mt_element_text(element);

	return pnstrdup((const char *) text.data, text.len);
}

static bool
element_is_true(const MtElement *element)
{
	return element->type == MT_BSON_BOOL && element->value[0] != 0;
}

static void
read_options(MtSlice options, MtCollectionInfo *info)
{
	MtWalk		walk;
	MtElement	element;
	MtElement	field;

	if (!mt_walk_begin(&walk, options))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "capped"))
			info->capped = element_is_true(&element);
		else if (MT_ELEMENT_IS(&element, "viewOn") && element.type == MT_BSON_STRING)
			info->source = copy_text(&element);
		else if (MT_ELEMENT_IS(&element, "timeseries") && element.type == MT_BSON_DOCUMENT &&
				 mt_bson_find(mt_element_value(&element), "timeField", 9, &field) == MT_WALK_ELEMENT &&
				 field.type == MT_BSON_STRING)
			info->source = copy_text(&field);
		else if (MT_ELEMENT_IS(&element, "validator") && element.type == MT_BSON_DOCUMENT)
		{
			info->validator.data = memcpy(palloc(element.value_len), element.value, element.value_len);
			info->validator.len = element.value_len;
		}
	}
}

static MtCollectionKind
kind_of(const MtElement *type)
{
	MtSlice		text = mt_element_text(type);

	if (text.len == 4 && memcmp(text.data, "view", 4) == 0)
		return MT_IS_VIEW;
	if (text.len == 10 && memcmp(text.data, "timeseries", 10) == 0)
		return MT_IS_TIME_SERIES;
	return MT_IS_COLLECTION;
}

/* NULL: it is MongoDB's own, or nothing that we understand. */
static MtCollectionInfo *
read_collection(MtSlice document)
{
	MtCollectionInfo *info = palloc0(sizeof *info);
	MtWalk		walk;
	MtElement	element;

	if (!mt_walk_begin(&walk, document))
		return NULL;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "name") && element.type == MT_BSON_STRING)
			info->name = copy_text(&element);
		else if (MT_ELEMENT_IS(&element, "type") && element.type == MT_BSON_STRING)
			info->kind = kind_of(&element);
		else if (MT_ELEMENT_IS(&element, "options") && element.type == MT_BSON_DOCUMENT)
			read_options(mt_element_value(&element), info);
	}
	return info->name == NULL || strncmp(info->name, "system.", 7) == 0 ? NULL : info;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((MtCollectionInfo *) lfirst(a))->name, ((MtCollectionInfo *) lfirst(b))->name);
}

List *
mt_metadata_collections(MtMetadata *metadata, const char *database)
{
	MtMongoError error;
	MtMongoError second;
	List	   *collections = NIL;
	MtSlice		document;
	bool		allowed;

	allowed = mt_catalog_collections(metadata->connection, database, false, &metadata->documents, &error);
	if (!allowed &&
		(!error.from_server || error.code != MT_CODE_UNAUTHORIZED ||
		 !mt_catalog_collections(metadata->connection, database, true, &metadata->documents, &second)))
		mt_remote_error(&error, metadata->server_name,
						psprintf("list the collections of database \"%s\"", shown(database)));
	metadata->offset = 0;
	while (mt_metadata_next(metadata, &document))
	{
		MtCollectionInfo *info = read_collection(document);

		if (info != NULL)
			collections = lappend(collections, info);
	}
	if (collections == NIL && !allowed)
		mt_remote_error(&error, metadata->server_name,
						psprintf("list the collections of database \"%s\"", shown(database)));
	list_sort(collections, compare_names);
	return collections;
}

List *
mt_metadata_databases(MtMetadata *metadata)
{
	MtMongoError error;
	List	   *names = NIL;
	MtSlice		document;
	MtElement	name;

	if (!mt_catalog_databases(metadata->connection, &metadata->documents, &error))
	{
		if (error.interrupted)
			mt_remote_error(&error, metadata->server_name, "list the databases");
		return NIL;
	}
	metadata->offset = 0;
	while (mt_metadata_next(metadata, &document))
		if (mt_bson_find(document, "name", 4, &name) == MT_WALK_ELEMENT && name.type == MT_BSON_STRING)
			names = lappend(names, copy_text(&name));
	return names;
}

/* ---- indexes ---- */

/* The parts of a text index stand for fields that are named elsewhere, "$**" for all. */
static bool
is_field(const MtElement *part)
{
	MtSlice		kind;

	if (strcmp(part->name, "$**") == 0 || (part->name_len > 4 && strcmp(part->name + part->name_len - 4, ".$**") == 0))
		return false;
	if (strcmp(part->name, "_ftsx") == 0)
		return false;
	if (part->type != MT_BSON_STRING)
		return true;
	kind = mt_element_text(part);
	return kind.len != 4 || memcmp(kind.data, "text", 4) != 0;
}

/* NULL: it names no field. */
static MtIndexInfo *
read_index(MtSlice document)
{
	MtIndexInfo *info = palloc0(sizeof *info);
	MtElement	name;
	MtElement	key;
	MtWalk		walk;
	MtElement	part;

	if (mt_bson_find(document, "name", 4, &name) != MT_WALK_ELEMENT || name.type != MT_BSON_STRING ||
		mt_bson_find(document, "key", 3, &key) != MT_WALK_ELEMENT || key.type != MT_BSON_DOCUMENT ||
		!mt_walk_begin(&walk, mt_element_value(&key)))
		return NULL;
	while (mt_walk_next(&walk, &part) == MT_WALK_ELEMENT)
		if (is_field(&part))
			info->paths = lappend(info->paths, pstrdup(part.name));
	info->name = copy_text(&name);
	info->document.data = memcpy(palloc(document.len), document.data, document.len);
	info->document.len = document.len;
	return info->paths != NIL ? info : NULL;
}

/* Does the server refuse this, rather than fail? */
static bool
is_refusal(const MtMongoError *error)
{
	return error->from_server && !error->resumable && !error->interrupted;
}

List *
mt_metadata_indexes(MtMetadata *metadata, const char *database, const char *collection)
{
	MtMongoError error;
	List	   *indexes = NIL;
	MtSlice		document;

	metadata->offset = 0;
	if (!mt_catalog_indexes(metadata->connection, database, collection, &metadata->documents, &error))
	{
		/* who may read may lack the right to see indexes */
		if (!is_refusal(&error))
			mt_remote_error(&error, metadata->server_name,
							psprintf("list the indexes of collection \"%s\"",
									 shown(psprintf("%s.%s", database, collection))));
		return NIL;
	}
	while (mt_metadata_next(metadata, &document))
	{
		MtIndexInfo *info = read_index(document);

		if (info != NULL)
			indexes = lappend(indexes, info);
	}
	return indexes;
}

/* ---- samples ---- */

void
mt_metadata_sample(MtMetadata *metadata, const char *database, const char *collection, int n, Size max_bytes)
{
	MtMongoError error;

	metadata->offset = 0;
	if (!mt_catalog_sample(metadata->connection, database, collection, n, max_bytes,
						   metadata->read_concern_local, &metadata->documents, &error))
		mt_remote_error(&error, metadata->server_name,
						psprintf("sample collection \"%s\"", shown(psprintf("%s.%s", database, collection))));
}

bool
mt_metadata_sample_by_index(MtMetadata *metadata, const char *database, const char *collection,
							const MtIndexInfo *index, const char *path, int n, Size max_bytes)
{
	MtMongoError error;

	metadata->offset = 0;
	if (mt_catalog_sample_by_index(metadata->connection, database, collection, index->document, path, n, max_bytes,
								   metadata->read_concern_local, &metadata->documents, &error))
		return true;
	if (!is_refusal(&error))
		mt_remote_error(&error, metadata->server_name,
						psprintf("sample collection \"%s\"", shown(psprintf("%s.%s", database, collection))));
	return false;
}

bool
mt_metadata_next(MtMetadata *metadata, MtSlice *document)
{
	return mt_document_next(&metadata->documents, &metadata->offset, document);
}
