/*
 * bench_query.c
 *		The same question to PostgreSQL and to MongoDB, in turn.
 *
 *	bench_query URI CONNINFO SETUP SQL
 *			Each line on standard input asks once: the values of SQL's parameters,
 *			a tab after each, and a find or aggregate with "$db" in Extended JSON.
 *			Prints "OURS_US THEIRS_US OUR_ROWS THEIR_ROWS".  OURS is a prepared
 *			statement by libpq over a session that has executed SETUP; THEIRS is
 *			a cursor of libmongoc's to its end.  Both are what a client sees, with
 *			the whole result in its hands.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "bench_common.h"

#define MAX_PARAMETERS 16

static uint8_t sink[16 * 1024 * 1024 + 64 * 1024];

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench_query: %s: %s\n", what, why);
	exit(1);
}

static PGconn *
open_session(const char *conninfo, const char *setup, const char *sql)
{
	PGconn	   *session = PQconnectdb(conninfo);
	PGresult   *result;

	if (PQstatus(session) != CONNECTION_OK)
		die("connect", PQerrorMessage(session));
	result = PQexec(session, setup);
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		die("setup", PQerrorMessage(session));
	PQclear(result);
	result = PQprepare(session, "query", sql, 0, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die("prepare", PQerrorMessage(session));
	PQclear(result);
	return session;
}

static int
ask_postgres(PGconn *session, int n_values, const char *const *values)
{
	PGresult   *result = PQexecPrepared(session, "query", n_values, values, NULL, NULL, 0);
	int			rows;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die("query", PQerrorMessage(session));
	rows = PQntuples(result);
	PQclear(result);
	return rows;
}

static int
ask_mongo(mongoc_collection_t *collection, const BenchCommand *command)
{
	mongoc_cursor_t *cursor = command_open(command, collection);
	const bson_t *document;
	bson_error_t error;
	int			rows = 0;

	while (mongoc_cursor_next(cursor, &document))
	{
		memcpy(sink, bson_get_data(document), document->len);
		rows++;
	}
	if (mongoc_cursor_error(cursor, &error))
		die("cursor", error.message);
	mongoc_cursor_destroy(cursor);
	return rows;
}

/* The parameters' values of a line; the command follows them. */
static char *
split(char *line, const char **values, int *n_values)
{
	char	   *tab;

	*n_values = 0;
	while ((tab = strchr(line, '\t')) != NULL && *n_values < MAX_PARAMETERS)
	{
		*tab = '\0';
		values[(*n_values)++] = line;
		line = tab + 1;
	}
	return line;
}

int
main(int argc, char **argv)
{
	static char line[1024 * 1024];
	mongoc_client_t *client;
	PGconn	   *session;

	if (argc != 5)
	{
		fprintf(stderr, "usage: bench_query URI CONNINFO SETUP SQL\n");
		return 2;
	}
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024 * 1024);
	mongoc_init();
	client = mongoc_client_new(argv[1]);
	session = open_session(argv[2], argv[3], argv[4]);
	while (fgets(line, sizeof line, stdin) != NULL)
	{
		const char *values[MAX_PARAMETERS];
		int			n_values;
		BenchCommand command;
		mongoc_collection_t *collection;
		int			our_rows;
		int			their_rows;
		int64_t		marks[3];

		command_parse(&command, split(line, values, &n_values));
		collection = mongoc_client_get_collection(client, command.database, command.collection);
		marks[0] = now_us();
		our_rows = ask_postgres(session, n_values, values);
		marks[1] = now_us();
		their_rows = ask_mongo(collection, &command);
		marks[2] = now_us();
		printf("%" PRId64 " %" PRId64 " %d %d\n", marks[1] - marks[0], marks[2] - marks[1], our_rows, their_rows);
		mongoc_collection_destroy(collection);
		command_free(&command);
	}
	PQfinish(session);
	mongoc_client_destroy(client);
	mongoc_cleanup();
	return 0;
}
