/*
 * collection_reader.h
 *		Read the documents of a collection, or what a pipeline makes of them: a
 *		connection, one command after another on it, driver errors as PostgreSQL
 *		errors.
 */
#ifndef MT_COLLECTION_READER_H
#define MT_COLLECTION_READER_H

#include "postgres.h"

#include "portability/instr_time.h"

#include "base/options.h"
#include "base/read_time.h"
#include "oplog/bson_walk.h"

/* Names are in UTF-8. */
typedef struct MtCollectionName
{
	Oid			serverid;
	Oid			userid;			/* whose user mapping */
	char	   *database;
	char	   *collection;
} MtCollectionName;

typedef struct MtCollectionReader MtCollectionReader;

/*
 * In the current memory context, which closes it; name, options and time (NULL:
 * each cursor reads what it finds) must live as long.  No I/O yet.
 */
extern MtCollectionReader *mt_collection_reader_create(const MtCollectionName *name,
													   const MtReadOptions *options, MtReadTime *time);

/* Run a find or aggregate (see MtFindCursorOptions), which ends what is under way. */
extern void mt_collection_reader_run(MtCollectionReader *reader, MtSlice command);

/*
 * The same, but false when MongoDB cannot evaluate an expression of the command
 * on some document.
 */
extern bool mt_collection_reader_try(MtCollectionReader *reader, MtSlice command);

/* The next document, valid until the next call; false: no more.  Throws on
 * every error of the cursor. */
extern bool mt_collection_reader_next(MtCollectionReader *reader, MtSlice *document);

/* End what is under way, if anything, and tell MongoDB. */
extern void mt_collection_reader_end(MtCollectionReader *reader);

/* What a reader has done, over all its commands. */
typedef struct MtReadCounts
{
	uint64		commands;
	uint64		batches;
	uint64		documents;
	uint64		bytes;			/* of the replies */
	instr_time	waited;			/* for replies, which includes their way and that to a connection */
} MtReadCounts;
extern void mt_read_counts_add(MtReadCounts *to, const MtReadCounts *counts);
extern MtReadCounts mt_collection_reader_counts(const MtCollectionReader *reader);

/* A document as relaxed Extended JSON, in the database's encoding. */
extern char *mt_collection_document_text(MtSlice document);

#endif							/* MT_COLLECTION_READER_H */
