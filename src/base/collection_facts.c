/*
 * collection_facts.c
 *		What the planner wants to know about a collection.
 *
 * Stale facts make a plan at worst slow, so they are kept for a while, by table
 * and user: sizes for ten seconds, indexes for a minute.  Nothing invalidates
 * them but time, and another collection's name.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/collection_facts.h"
#include "base/remote.h"
#include "base/remote_lease.h"
#include "mongo/collection_catalog.h"

#define SIZE_MS		10000
#define INDEXES_MS	60000

/* Tables whose facts are kept; beyond, all are forgotten. */
#define MAX_KEPT	1000

typedef struct KeptKey
{
	Oid			relid;
	Oid			userid;
} KeptKey;

typedef struct Kept
{
	KeptKey		key;
	MemoryContext context;		/* of what is kept; NULL: nothing yet */
	MemoryContext index_context;	/* its child, of the indexes */
	char	   *namespace;
	TimestampTz size_at;
	TimestampTz indexes_at;
	MtCollectionSize size;
	List	   *indexes;
} Kept;

static HTAB *kept = NULL;

/* What is asked for. */
typedef struct Question
{
	const MtCollectionName *name;
	bool		of_indexes;
	MtCollectionSize size;
	MtByteBuffer documents;		/* on malloc */
} Question;

/* ---- asking ---- */

static void
question_reset(void *arg)
{
	mt_byte_buffer_free(&((Question *) arg)->documents);
}

static bool
put(Question *question, MtConnection *connection, MtMongoError *error)
{
	const MtCollectionName *name = question->name;

	if (question->of_indexes)
		return mt_catalog_indexes(connection, name->database, name->collection, &question->documents, error);
	return mt_catalog_size(connection, name->database, name->collection, &question->size, error);
}

/* question is of the current memory context, which closes it.  False: MongoDB
 * does not say. */
static bool
ask(Question *question)
{
	MemoryContextCallback *callback = palloc0(sizeof *callback);
	MtRemoteLease *lease;
	MtMongoError error;
	bool		was_used;
	bool		ok;

	callback->func = question_reset;
	callback->arg = question;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	lease = mt_remote_lease_create(question->name->serverid, question->name->userid);
	ok = put(question, mt_remote_lease_connection(lease, false, &was_used), &error);
	if (!ok && was_used && !error.interrupted && (error.network || error.resumable))
		ok = put(question, mt_remote_lease_connection(lease, true, &was_used), &error);
	if (!ok && error.interrupted)
		mt_remote_error(&error, GetForeignServer(question->name->serverid)->servername, "estimate a collection");
	mt_remote_lease_return(lease);
	return ok;
}

/* ---- indexes ---- */

static bool
is_true(MtSlice document, const char *name)
{
	MtElement	element;

	return mt_bson_find(document, name, (uint32) strlen(name), &element) == MT_WALK_ELEMENT &&
		element.type == MT_BSON_BOOL && element.value[0] != 0;
}

static bool
has(MtSlice document, const char *name)
{
	MtElement	element;

	return mt_bson_find(document, name, (uint32) strlen(name), &element) == MT_WALK_ELEMENT;
}

/* 1, -1 and the like; 0 for the names of special kinds of index. */
static int
direction(const MtElement *element)
{
	switch (element->type)
	{
		case MT_BSON_INT32:
			return (int32) mt_le32(element->value) < 0 ? -1 : 1;
		case MT_BSON_INT64:
			return (int64) mt_le64(element->value) < 0 ? -1 : 1;
		case MT_BSON_DOUBLE:
			return mt_le_double(element->value) < 0 ? -1 : 1;
		default:
			return 0;
	}
}

static bool
is_hashed(const MtElement *element)
{
	MtSlice		text;

	if (element->type != MT_BSON_STRING)
		return false;
	text = mt_element_text(element);
	return text.len == 6 && memcmp(text.data, "hashed", 6) == 0;
}

/* "$**" is all fields, "a.$**" those at or below a. */
static void
read_wildcard(MtCollectionIndex *index, MtIndexField *field)
{
	size_t		len = strlen(field->path);

	if (len < 3 || strcmp(field->path + len - 3, "$**") != 0)
		return;
	index->is_wildcard = true;
	field->path[len > 3 ? len - 4 : 0] = '\0';
}

static bool
read_key(MtCollectionIndex *index, MtSlice key)
{
	MtWalk		walk;
	MtElement	element;

	index->fields = palloc0(sizeof(MtIndexField) * (key.len / 3 + 1));
	if (!mt_walk_begin(&walk, key))
		return false;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		MtIndexField *field = &index->fields[index->n_fields++];
		int			order = direction(&element);

		field->is_hashed = is_hashed(&element);
		if (order == 0 && !field->is_hashed)
			return false;		/* text, 2dsphere and their like answer other questions */
		field->descends = order < 0;
		field->path = pnstrdup(element.name, element.name_len);
		read_wildcard(index, field);
	}
	return index->n_fields > 0 && (!index->is_wildcard || index->n_fields == 1);
}

/*
 * NULL: no find of ours can use it.  A partial index holds only what its own
 * filter selects, a wildcard index with a projection only some fields.
 */
static MtCollectionIndex *
read_index(MtSlice document)
{
	MtCollectionIndex *index = palloc0(sizeof *index);
	MtElement	key;

	if (mt_bson_find(document, "key", 3, &key) != MT_WALK_ELEMENT || key.type != MT_BSON_DOCUMENT ||
		!read_key(index, mt_element_value(&key)) || is_true(document, "hidden") ||
		has(document, "partialFilterExpression") || has(document, "wildcardProjection"))
		return NULL;
	index->is_unique = is_true(document, "unique") ||
		(index->n_fields == 1 && strcmp(index->fields[0].path, "_id") == 0 && !index->fields[0].is_hashed);
	index->is_sparse = is_true(document, "sparse") || index->is_wildcard;
	index->has_collation = has(document, "collation");
	return index;
}

static List *
read_indexes(const MtByteBuffer *documents)
{
	List	   *indexes = NIL;
	size_t		offset = 0;
	MtSlice		document;

	while (mt_document_next(documents, &offset, &document))
	{
		MtCollectionIndex *index = read_index(document);

		if (index != NULL)
			indexes = lappend(indexes, index);
	}
	return indexes;
}

static List *
copy_indexes(List *indexes)
{
	List	   *copies = NIL;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		MtCollectionIndex *index = lfirst(cell);
		MtCollectionIndex *copy = memcpy(palloc(sizeof *copy), index, sizeof *copy);

		copy->fields = memcpy(palloc(sizeof(MtIndexField) * index->n_fields), index->fields,
							  sizeof(MtIndexField) * index->n_fields);
		for (int i = 0; i < index->n_fields; i++)
			copy->fields[i].path = pstrdup(index->fields[i].path);
		copies = lappend(copies, copy);
	}
	return copies;
}

/* ---- what is kept ---- */

static void
forget(Kept *one)
{
	if (one->context != NULL)
		MemoryContextDelete(one->context);
	one->context = NULL;
	one->indexes = NIL;
	one->size_at = one->indexes_at = 0;
}

static Kept *
kept_of(const MtCollectionName *name, Oid relid)
{
	KeptKey		key = {relid, name->userid};
	char	   *namespace = psprintf("%u %s.%s", name->serverid, name->database, name->collection);
	HASH_SEQ_STATUS all;
	Kept	   *one;
	bool		found;

	if (kept == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(KeptKey);
		control.entrysize = sizeof(Kept);
		kept = hash_create("mongo_tail facts", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	if (hash_get_num_entries(kept) >= MAX_KEPT)
	{
		hash_seq_init(&all, kept);
		while ((one = hash_seq_search(&all)) != NULL)
		{
			forget(one);
			(void) hash_search(kept, &one->key, HASH_REMOVE, NULL);
		}
	}
	one = hash_search(kept, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) one + sizeof one->key, 0, sizeof *one - sizeof one->key);
	if (one->context != NULL && strcmp(one->namespace, namespace) != 0)
		forget(one);
	if (one->context == NULL)
	{
		one->context = AllocSetContextCreate(CacheMemoryContext, "mongo_tail facts", ALLOCSET_SMALL_SIZES);
		one->index_context = AllocSetContextCreate(one->context, "mongo_tail indexes", ALLOCSET_SMALL_SIZES);
		one->namespace = MemoryContextStrdup(one->context, namespace);
	}
	return one;
}

/*
 * Nothing below keeps a pointer into the table of what is kept while it asks:
 * that may throw, and serves other processes' barriers meanwhile.
 */
static void
refresh_size(const MtCollectionName *name, Oid relid)
{
	Question   *question = palloc0(sizeof *question);
	Kept	   *one;

	question->name = name;
	if (!ask(question))
	{
		memset(&question->size, 0, sizeof question->size);
		question->size.documents = -1;
	}
	one = kept_of(name, relid);
	one->size = question->size;
	one->size_at = GetCurrentTimestamp();
}

static void
refresh_indexes(const MtCollectionName *name, Oid relid)
{
	Question   *question = palloc0(sizeof *question);
	MemoryContext old;
	Kept	   *one;
	bool		ok;

	question->name = name;
	question->of_indexes = true;
	ok = ask(question);
	one = kept_of(name, relid);
	one->indexes = NIL;
	MemoryContextReset(one->index_context);
	old = MemoryContextSwitchTo(one->index_context);
	if (ok)
		one->indexes = read_indexes(&question->documents);
	one->indexes_at = GetCurrentTimestamp();
	MemoryContextSwitchTo(old);
}

static bool
is_old(TimestampTz at, int max_ms)
{
	return at == 0 || TimestampDifferenceExceeds(at, GetCurrentTimestamp(), max_ms);
}

MtCollectionFacts *
mt_collection_facts(const MtCollectionName *name, Oid relid)
{
	MtCollectionFacts *facts = palloc0(sizeof *facts);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail facts", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Kept	   *one;

	if (is_old(kept_of(name, relid)->size_at, SIZE_MS))
		refresh_size(name, relid);
	/* where the size is not known the server cannot be reached, or it is a view */
	one = kept_of(name, relid);
	if ((one->size.documents >= 0 || one->size.is_time_series) && is_old(one->indexes_at, INDEXES_MS))
		refresh_indexes(name, relid);
	one = kept_of(name, relid);
	MemoryContextSwitchTo(old);
	facts->documents = (double) one->size.documents;
	facts->document_bytes = one->size.document_bytes;
	facts->is_view = one->size.is_view;
	facts->is_time_series = one->size.is_time_series;
	facts->is_local = one->size.is_local;
	facts->indexes = copy_indexes(one->indexes);
	MemoryContextDelete(context);
	return facts;
}
