/*
 * bench_command.c
 *		A find or aggregate given as Extended JSON, by a cursor of libmongoc's.
 */
#include <string.h>

#include "bench_common.h"

void
command_parse(BenchCommand *command, const char *text)
{
	bson_error_t error;
	bson_iter_t iter;

	memset(command, 0, sizeof *command);
	command->whole = bson_new_from_json((const uint8_t *) text, -1, &error);
	if (command->whole == NULL)
		die("command", error.message);
	bson_init(&command->argument);
	bson_init(&command->opts);
	bson_iter_init(&iter, command->whole);
	while (bson_iter_next(&iter))
	{
		const char *key = bson_iter_key(&iter);
		const uint8_t *data;
		uint32_t	len;

		if (strcmp(key, "find") == 0 || strcmp(key, "aggregate") == 0)
		{
			command->is_aggregate = key[0] == 'a';
			command->collection = bson_iter_utf8(&iter, NULL);
		}
		else if (strcmp(key, "$db") == 0)
			command->database = bson_iter_utf8(&iter, NULL);
		else if (strcmp(key, "filter") == 0 || strcmp(key, "pipeline") == 0)
		{
			if (BSON_ITER_HOLDS_ARRAY(&iter))
				bson_iter_array(&iter, &len, &data);
			else
				bson_iter_document(&iter, &len, &data);
			bson_init_static(&command->argument, data, len);
		}
		else if (strcmp(key, "cursor") != 0)
			bson_append_iter(&command->opts, NULL, -1, &iter);
	}
	if (command->collection == NULL || command->database == NULL)
		die("command", "it has no collection, or no $db");
}

mongoc_cursor_t *
command_open(const BenchCommand *command, mongoc_collection_t *collection)
{
	if (command->is_aggregate)
		return mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, &command->argument, &command->opts, NULL);
	return mongoc_collection_find_with_opts(collection, &command->argument, &command->opts, NULL);
}

void
command_free(BenchCommand *command)
{
	bson_destroy(&command->opts);
	bson_destroy(command->whole);
}
