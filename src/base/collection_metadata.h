/*
 * collection_metadata.h
 *		What MongoDB says about the collections of a database, and samples of
 *		their documents: one connection, driver errors as PostgreSQL errors.
 */
#ifndef MT_COLLECTION_METADATA_H
#define MT_COLLECTION_METADATA_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "oplog/bson_walk.h"

/* Names and texts are in UTF-8 here. */
typedef struct MtMetadata MtMetadata;

typedef enum MtCollectionKind
{
	MT_IS_COLLECTION,
	MT_IS_VIEW,
	MT_IS_TIME_SERIES
} MtCollectionKind;

typedef struct MtCollectionInfo
{
	char	   *name;
	MtCollectionKind kind;
	bool		capped;
	char	   *source;			/* of a view, and of a time series its time field */
	MtSlice		validator;		/* a document; absent: none */
} MtCollectionInfo;

typedef struct MtIndexInfo
{
	char	   *name;
	List	   *paths;			/* of fields, as strings; none of what stands for many, or for text */
	MtSlice		document;		/* as MongoDB says it */
} MtIndexInfo;

/* In the current memory context, which closes it.  No I/O yet. */
extern MtMetadata *mt_metadata_open(Oid serverid, Oid userid);

/*
 * The collections of a database but MongoDB's own, ordered by name, as a list
 * of MtCollectionInfo in the current memory context.  A user who may not list
 * them sees those that it may read; without any that is an error.
 */
extern List *mt_metadata_collections(MtMetadata *metadata, const char *database);

/* The databases that the user may see, as a list of strings; NIL when MongoDB does not say. */
extern List *mt_metadata_databases(MtMetadata *metadata);

/* Take a sample of about n documents, of at most max_bytes. */
extern void mt_metadata_sample(MtMetadata *metadata, const char *database, const char *collection,
							   int n, Size max_bytes);

/*
 * The indexes of a collection that name fields, as a list of MtIndexInfo in the
 * current memory context; NIL where MongoDB does not say.
 */
extern List *mt_metadata_indexes(MtMetadata *metadata, const char *database, const char *collection);

/*
 * Take a sample of about n documents that have a value at a path of an index,
 * by means of it.  False: MongoDB finds none, or not soon.
 */
extern bool mt_metadata_sample_by_index(MtMetadata *metadata, const char *database, const char *collection,
										const MtIndexInfo *index, const char *path, int n, Size max_bytes);

/* The next document of the sample, valid until the next sample; false: no more. */
extern bool mt_metadata_next(MtMetadata *metadata, MtSlice *document);

#endif							/* MT_COLLECTION_METADATA_H */
