/*
 * collection_catalog.h
 *		What a deployment says about its databases and collections, and a
 *		sample of what they hold.
 *
 * Answers are short, or bounded by the caller, so each comes as a whole:
 * documents one after another in a buffer, whose former contents are lost.
 * They delimit themselves: mt_document_next() takes one after the other.
 */
#ifndef MT_COLLECTION_CATALOG_H
#define MT_COLLECTION_CATALOG_H

#include "mongo/connection.h"
#include "oplog/byte_buffer.h"

/* Codes of MongoDB's that callers act upon. */
#define MT_CODE_UNAUTHORIZED 13
#define MT_CODE_NAMESPACE_NOT_FOUND 26
#define MT_CODE_NOT_ON_VIEW 166

/*
 * The collections of a database as listCollections says them.  only_allowed:
 * only those that the user may read, and of these the name and type; it needs
 * no privilege on the database.
 */
extern bool mt_catalog_collections(MtConnection *connection, const char *database, bool only_allowed,
								   MtByteBuffer *documents, MtMongoError *error);

/* The databases that the user may see: {name: ...}. */
extern bool mt_catalog_databases(MtConnection *connection, MtByteBuffer *documents, MtMongoError *error);

/* As listIndexes says them.  A view has none: MT_CODE_NOT_ON_VIEW. */
extern bool mt_catalog_indexes(MtConnection *connection, const char *database, const char *collection,
							   MtByteBuffer *documents, MtMongoError *error);

/*
 * About n documents, chosen at random; fewer when they would have more than
 * max_bytes.
 */
extern bool mt_catalog_sample(MtConnection *connection, const char *database, const char *collection,
							  int n, size_t max_bytes, bool read_concern_local,
							  MtByteBuffer *documents, MtMongoError *error);

/*
 * The same of those documents that have something other than null at a path of
 * an index, found by that index, which is what listIndexes says of it.  In the
 * worst case MongoDB looks at every document for that: it gives up, which is an
 * error of the server's, after some seconds.
 */
extern bool mt_catalog_sample_by_index(MtConnection *connection, const char *database, const char *collection,
									   MtSlice index, const char *path, int n, size_t max_bytes,
									   bool read_concern_local, MtByteBuffer *documents, MtMongoError *error);

typedef struct MtCollectionSize
{
	int64_t		documents;		/* -1: not known */
	double		document_bytes; /* on average; 0: not known */
	bool		is_view;
	bool		is_time_series;
	bool		is_local;		/* the server that answers has all of it, and said so: it is neither mongos nor shard */
} MtCollectionSize;

/* By the collection's metadata: fast, and not exact.  Reads nothing of a view. */
extern bool mt_catalog_size(MtConnection *connection, const char *database, const char *collection,
							MtCollectionSize *size, MtMongoError *error);

/* The document at *offset, which is moved behind it; false: no more. */
static inline bool
mt_document_next(const MtByteBuffer *documents, size_t *offset, MtSlice *document)
{
	if (documents->len - *offset < 5)
		return false;
	document->data = documents->data + *offset;
	document->len = mt_le32(document->data);
	if (document->len < 5 || document->len > documents->len - *offset)
		return false;
	*offset += document->len;
	return true;
}

#endif							/* MT_COLLECTION_CATALOG_H */
