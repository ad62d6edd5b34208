/*
 * collection_catalog.c
 *		What a deployment says about its databases and collections.
 *
 * These commands answer with cursors of few batches, so they and their
 * getMores go through the driver as they are.
 */
#include <limits.h>

#include "mongo/collection_catalog.h"
#include "mongo/mongo_private.h"

/* The reply of listCollections has a batch of 101 unless asked for more. */
#define BATCH_SIZE 1000

/* A sample by an index is taken of at most so many documents, in at most this time. */
#define INDEX_SAMPLE_OF		1000
#define INDEX_SAMPLE_MS		3000

typedef struct CatalogCursor
{
	MtConnection *connection;
	const char *database;
	const char *read_concern;	/* NULL: the server's default */
	size_t		max_bytes;
	MtByteBuffer *documents;
	int64_t		id;				/* 0: at its end */
	char		collection[512];	/* what getMore calls it */
} CatalogCursor;

/* Where the cursor lives: "db.coll", of which getMore wants what follows db. */
static void
read_namespace(CatalogCursor *cursor, const bson_iter_t *ns)
{
	uint32_t	len;
	const char *text = bson_iter_utf8(ns, &len);
	const char *dot = text != NULL ? memchr(text, '.', len) : NULL;

	if (dot != NULL)
		(void) bson_snprintf(cursor->collection, sizeof cursor->collection, "%s", dot + 1);
}

/* Append the batch's documents, up to the limit of bytes. */
static bool
append_batch(CatalogCursor *cursor, const bson_iter_t *batch)
{
	bson_iter_t iter;

	if (!bson_iter_recurse(batch, &iter))
		return false;
	while (bson_iter_next(&iter))
	{
		const uint8_t *data;
		uint32_t	len;

		if (!BSON_ITER_HOLDS_DOCUMENT(&iter))
			return false;
		bson_iter_document(&iter, &len, &data);
		if (len > cursor->max_bytes - cursor->documents->len)
		{
			cursor->max_bytes = cursor->documents->len;
			return true;
		}
		if (!mt_byte_buffer_append(cursor->documents, data, len))
			return false;
	}
	return true;
}

static bool
read_reply(CatalogCursor *cursor, const bson_t *reply)
{
	bson_iter_t iter;
	bson_iter_t field;
	bool		has_batch = false;

	cursor->id = 0;
	if (!bson_iter_init_find(&iter, reply, "cursor") || !bson_iter_recurse(&iter, &field))
		return false;
	while (bson_iter_next(&field))
	{
		const char *key = bson_iter_key(&field);

		if (strcmp(key, "id") == 0)
			cursor->id = bson_iter_as_int64(&field);
		else if (strcmp(key, "ns") == 0)
			read_namespace(cursor, &field);
		else if (strcmp(key, "firstBatch") == 0 || strcmp(key, "nextBatch") == 0)
			has_batch = append_batch(cursor, &field);
	}
	return has_batch;
}

static bool
run(CatalogCursor *cursor, uint32_t server_id, const bson_t *command, MtMongoError *error)
{
	bson_t		reply;
	bool		ok = mt_connection_run(cursor->connection, server_id, cursor->database, command,
									   cursor->read_concern, &reply, error);

	cursor->read_concern = NULL;	/* getMore has none */
	if (ok && !read_reply(cursor, &reply))
	{
		mt_cursor_reply_malformed(error);
		ok = false;
	}
	bson_destroy(&reply);
	return ok;
}

static bool
get_more(CatalogCursor *cursor, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bool		ok;

	BSON_APPEND_INT64(&command, "getMore", cursor->id);
	BSON_APPEND_UTF8(&command, "collection", cursor->collection);
	ok = run(cursor, cursor->connection->server_id, &command, error);
	bson_destroy(&command);
	return ok;
}

/* The server forgets a cursor by itself, later; so a failure is of no interest. */
static void
kill_cursor(CatalogCursor *cursor)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		ids = BSON_INITIALIZER;
	bson_t		reply;
	MtMongoError ignored;

	BSON_APPEND_UTF8(&command, "killCursors", cursor->collection);
	BSON_APPEND_INT64(&ids, "0", cursor->id);
	BSON_APPEND_ARRAY(&command, "cursors", &ids);
	(void) mt_connection_run(cursor->connection, cursor->connection->server_id, cursor->database, &command,
							 NULL, &reply, &ignored);
	bson_destroy(&reply);
	bson_destroy(&ids);
	bson_destroy(&command);
}

/* Run a command and take all documents that its cursor gives. */
static bool
read_all(CatalogCursor *cursor, const bson_t *command, MtMongoError *error)
{
	bool		ok;

	cursor->documents->len = 0;
	if (!mt_connection_begin(cursor->connection, NULL, error))
		return false;
	ok = run(cursor, 0, command, error);
	while (ok && cursor->id != 0 && cursor->documents->len < cursor->max_bytes)
		ok = get_more(cursor, error);
	if (ok && cursor->id != 0)
		kill_cursor(cursor);
	return ok;
}

static void
append_batch_size(bson_t *command)
{
	bson_t		cursor;

	BSON_APPEND_DOCUMENT_BEGIN(command, "cursor", &cursor);
	BSON_APPEND_INT32(&cursor, "batchSize", BATCH_SIZE);
	bson_append_document_end(command, &cursor);
}

bool
mt_catalog_collections(MtConnection *connection, const char *database, bool only_allowed,
					   MtByteBuffer *documents, MtMongoError *error)
{
	CatalogCursor cursor = {.connection = connection, .database = database,
	.max_bytes = SIZE_MAX, .documents = documents};
	bson_t		command = BSON_INITIALIZER;
	bool		ok;

	BSON_APPEND_INT32(&command, "listCollections", 1);
	append_batch_size(&command);
	if (only_allowed)
	{
		BSON_APPEND_BOOL(&command, "nameOnly", true);
		BSON_APPEND_BOOL(&command, "authorizedCollections", true);
	}
	ok = read_all(&cursor, &command, error);
	bson_destroy(&command);
	return ok;
}

bool
mt_catalog_indexes(MtConnection *connection, const char *database, const char *collection,
				   MtByteBuffer *documents, MtMongoError *error)
{
	CatalogCursor cursor = {.connection = connection, .database = database,
	.max_bytes = SIZE_MAX, .documents = documents};
	bson_t		command = BSON_INITIALIZER;
	bool		ok;

	BSON_APPEND_UTF8(&command, "listIndexes", collection);
	append_batch_size(&command);
	ok = read_all(&cursor, &command, error);
	bson_destroy(&command);
	return ok;
}

static void
append_sample(bson_t *pipeline, const char *position, int n)
{
	bson_t		stage;
	bson_t		sample;

	BSON_APPEND_DOCUMENT_BEGIN(pipeline, position, &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&stage, "$sample", &sample);
	BSON_APPEND_INT32(&sample, "size", n);
	bson_append_document_end(&stage, &sample);
	bson_append_document_end(pipeline, &stage);
}

bool
mt_catalog_sample(MtConnection *connection, const char *database, const char *collection,
				  int n, size_t max_bytes, bool read_concern_local,
				  MtByteBuffer *documents, MtMongoError *error)
{
	CatalogCursor cursor = {.connection = connection, .database = database,
		.read_concern = read_concern_local ? "local" : "majority",
	.max_bytes = max_bytes, .documents = documents};
	bson_t		command = BSON_INITIALIZER;
	bson_t		pipeline = BSON_INITIALIZER;
	bool		ok;

	BSON_APPEND_UTF8(&command, "aggregate", collection);
	append_sample(&pipeline, "0", n);
	BSON_APPEND_ARRAY(&command, "pipeline", &pipeline);
	bson_destroy(&pipeline);
	append_batch_size(&command);
	BSON_APPEND_BOOL(&command, "allowDiskUse", true);
	ok = read_all(&cursor, &command, error);
	bson_destroy(&command);
	return ok;
}

/* {path: {operator: null}}, or MinKey for null */
static void
append_comparison(bson_t *clauses, const char *position, const char *path, const char *operator, bool with_null)
{
	bson_t		clause;
	bson_t		comparison;

	BSON_APPEND_DOCUMENT_BEGIN(clauses, position, &clause);
	BSON_APPEND_DOCUMENT_BEGIN(&clause, path, &comparison);
	if (with_null)
		BSON_APPEND_NULL(&comparison, operator);
	else
		BSON_APPEND_MINKEY(&comparison, operator);
	bson_append_document_end(&clause, &comparison);
	bson_append_document_end(clauses, &clause);
}

/*
 * {$and: [...]}.  A partial index serves what its own filter selects.  What
 * stands before the path in the index is compared, though every document
 * passes, so that the keys can tell about the path: otherwise MongoDB fetches
 * every document.
 */
static void
append_index_filter(bson_t *stage, const bson_t *index, const char *path)
{
	bson_t		filter;
	bson_t		clauses = BSON_INITIALIZER;
	bson_iter_t iter;
	bson_iter_t key;
	uint32_t	n = 0;
	char		buffer[16];
	const char *position;

	if (bson_iter_init_find(&iter, index, "partialFilterExpression"))
	{
		BSON_APPEND_VALUE(&clauses, "0", bson_iter_value(&iter));
		n++;
	}
	if (bson_iter_init_find(&iter, index, "key") && bson_iter_recurse(&iter, &key))
		while (bson_iter_next(&key) && strcmp(bson_iter_key(&key), path) != 0)
		{
			(void) bson_uint32_to_string(n++, &position, buffer, sizeof buffer);
			append_comparison(&clauses, position, bson_iter_key(&key), "$gte", false);
		}
	(void) bson_uint32_to_string(n, &position, buffer, sizeof buffer);
	append_comparison(&clauses, position, path, "$ne", true);
	BSON_APPEND_DOCUMENT_BEGIN(stage, "$match", &filter);
	BSON_APPEND_ARRAY(&filter, "$and", &clauses);
	bson_append_document_end(stage, &filter);
	bson_destroy(&clauses);
}

static bool
build_index_sample(bson_t *command, const char *collection, MtSlice document, const char *path, int n)
{
	bson_t		index;
	bson_t		pipeline = BSON_INITIALIZER;
	bson_t		stage;
	bson_iter_t iter;
	bool		is_hidden;

	if (!bson_init_static(&index, document.data, document.len))
		return false;
	BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
	append_index_filter(&stage, &index, path);
	bson_append_document_end(&pipeline, &stage);
	BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "1", &stage);
	BSON_APPEND_INT32(&stage, "$limit", INDEX_SAMPLE_OF);
	bson_append_document_end(&pipeline, &stage);
	/* at random, for an index begins with values of one type */
	append_sample(&pipeline, "2", n);
	BSON_APPEND_UTF8(command, "aggregate", collection);
	BSON_APPEND_ARRAY(command, "pipeline", &pipeline);
	bson_destroy(&pipeline);
	append_batch_size(command);
	/* a hidden index takes no hint */
	is_hidden = bson_iter_init_find(&iter, &index, "hidden") && bson_iter_as_bool(&iter);
	if (!is_hidden && bson_iter_init_find(&iter, &index, "name"))
		BSON_APPEND_VALUE(command, "hint", bson_iter_value(&iter));
	BSON_APPEND_INT32(command, "maxTimeMS", INDEX_SAMPLE_MS);
	BSON_APPEND_BOOL(command, "allowDiskUse", true);
	return true;
}

bool
mt_catalog_sample_by_index(MtConnection *connection, const char *database, const char *collection,
						   MtSlice index, const char *path, int n, size_t max_bytes, bool read_concern_local,
						   MtByteBuffer *documents, MtMongoError *error)
{
	CatalogCursor cursor = {.connection = connection, .database = database,
		.read_concern = read_concern_local ? "local" : "majority",
	.max_bytes = max_bytes, .documents = documents};
	bson_t		command = BSON_INITIALIZER;
	bool		ok = build_index_sample(&command, collection, index, path, n);

	if (!ok)
		mt_error_set(error, "the server's description of an index is malformed");
	else
		ok = read_all(&cursor, &command, error);
	bson_destroy(&command);
	return ok;
}

bool
mt_catalog_databases(MtConnection *connection, MtByteBuffer *documents, MtMongoError *error)
{
	CatalogCursor cursor = {.max_bytes = SIZE_MAX, .documents = documents};
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bson_iter_t iter;
	bool		ok;

	documents->len = 0;
	BSON_APPEND_INT32(&command, "listDatabases", 1);
	BSON_APPEND_BOOL(&command, "nameOnly", true);
	BSON_APPEND_BOOL(&command, "authorizedDatabases", true);
	ok = mt_connection_command(connection, "admin", &command, &reply, error);
	if (ok && (!bson_iter_init_find(&iter, &reply, "databases") || !append_batch(&cursor, &iter)))
	{
		mt_error_set(error, "the server's reply to listDatabases is malformed");
		ok = false;
	}
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}

static bool
is_of_view(const MtMongoError *error)
{
	return error->from_server && error->code == MT_CODE_NOT_ON_VIEW;
}

static void
read_size(const bson_t *reply, MtCollectionSize *size)
{
	bson_iter_t iter;
	bson_iter_t field;

	if (bson_iter_init_find(&iter, reply, "avgObjSize"))
		size->document_bytes = (double) bson_iter_as_int64(&iter);
	if (bson_iter_init_find(&iter, reply, "timeseries"))
	{
		/* what was written since the server's start, once that is something */
		size->is_time_series = true;
		if (bson_iter_recurse(&iter, &field) && bson_iter_find(&field, "numMeasurementsCommitted") &&
			bson_iter_as_int64(&field) > 0)
			size->documents = bson_iter_as_int64(&field);
	}
	else if (bson_iter_init_find(&iter, reply, "count"))
		size->documents = bson_iter_as_int64(&iter);
}

/* For a user who may read but has no right to collStats. */
static bool
count_only(MtConnection *connection, const char *database, const char *collection,
		   MtCollectionSize *size, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bson_iter_t iter;
	bool		ok;

	BSON_APPEND_UTF8(&command, "count", collection);
	ok = mt_connection_command(connection, database, &command, &reply, error);
	if (ok && bson_iter_init_find(&iter, &reply, "n"))
		size->documents = bson_iter_as_int64(&iter);
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}

bool
mt_catalog_size(MtConnection *connection, const char *database, const char *collection,
				MtCollectionSize *size, MtMongoError *error)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		reply;
	bool		ok;

	memset(size, 0, sizeof *size);
	size->documents = -1;
	BSON_APPEND_UTF8(&command, "collStats", collection);
	ok = mt_connection_command(connection, database, &command, &reply, error);
	if (ok)
	{
		read_size(&reply, size);
		/* only mongos says whether it is sharded; a shard may have a part of it */
		size->is_local = !bson_has_field(&reply, "sharded") && !mt_connection_is_shard(connection);
	}
	bson_destroy(&reply);
	bson_destroy(&command);
	if (ok)
		return true;
	if (is_of_view(error))
	{
		size->is_view = true;
		return true;
	}
	if (error->from_server && error->code == MT_CODE_UNAUTHORIZED)
		return count_only(connection, database, collection, size, error);
	return false;
}
