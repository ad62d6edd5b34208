/*
 * bench_common.h
 *		What the programs of the benchmark share.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <mongoc/mongoc.h>

/* The program's: say what went wrong, and end. */
extern void die(const char *what, const char *why);

/* bench_command.c */

/* A find or aggregate, taken apart: a cursor of libmongoc's wants options by themselves. */
typedef struct BenchCommand
{
	bson_t	   *whole;
	const char *database;
	const char *collection;
	bool		is_aggregate;
	bson_t		argument;		/* the filter or the pipeline */
	bson_t		opts;
} BenchCommand;

/* From Extended JSON with "$db". */
extern void command_parse(BenchCommand *command, const char *text);
extern mongoc_cursor_t *command_open(const BenchCommand *command, mongoc_collection_t *collection);
extern void command_free(BenchCommand *command);

/* bench_pipeline.c */

/* What is done with each document. */
typedef void (*Consumer) (const bson_t *document);

typedef struct Pipeline Pipeline;

/* A connection that is open. */
extern Pipeline *pipeline_connect(const char *uri);

/* Run a find and read it to its end. */
extern void pipeline_read(Pipeline *pipeline, const bson_t *find, const char *database, const char *collection,
						  Consumer consume, uint64_t *documents, uint64_t *bytes);

#endif							/* BENCH_COMMON_H */
