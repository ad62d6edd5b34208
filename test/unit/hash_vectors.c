/*
 * hash_vectors.c
 *		Tables of consistent hashing for run_vectors.
 *
 * After the header each line is an id in canonical Extended JSON, the workers
 * with commas between, the owner ("*": every worker) and the key as a JSON
 * string.  The table does not say which ring it is of: it is taken to be of
 * the one that more of its lines agree with.
 */
#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "oplog/hash_ring.h"

#include "vectors.h"

#define MAX_WORKERS 1024

bool
hash_vectors_recognize(const char *header)
{
	return strcmp(header, "id\tworkers\towner\tkey") == 0;
}

/* Split at a separator, in place; the number of parts, at most max. */
static int
split(char *text, char separator, char **parts, int max)
{
	int			n = 0;

	while (n < max)
	{
		char	   *end = strchr(text, separator);

		parts[n++] = text;
		if (end == NULL)
			return n;
		*end = '\0';
		text = end + 1;
	}
	return max + 1;
}

/* The id as the only element of a document, since JSON may be any value. */
static bson_t *
parse_id(const char *json, MtElement *id)
{
	size_t		size = strlen(json) + 16;
	char	   *wrapped = malloc(size);
	bson_error_t error;
	bson_t	   *bson;
	MtWalk		walk;
	MtSlice		slice;

	snprintf(wrapped, size, "{\"id\":%s}", json);
	bson = bson_new_from_json((const uint8_t *) wrapped, -1, &error);
	free(wrapped);
	if (bson == NULL)
		return NULL;
	slice.data = bson_get_data(bson);
	slice.len = bson->len;
	if (!mt_walk_begin(&walk, slice) || mt_walk_next(&walk, id) != MT_WALK_ELEMENT)
	{
		bson_destroy(bson);
		return NULL;
	}
	return bson;
}

/* Does the ring agree?  NULL, or what is wrong; the key that came is in key. */
static const char *
check(MtHashRingKind kind, const MtElement *id, const char *workers_text, const char *owner,
	  const MtByteBuffer *expected_key, MtByteBuffer *key)
{
	char	   *copy = strdup(workers_text);
	char	   *workers[MAX_WORKERS];
	int			n_workers = split(copy, ',', workers, MAX_WORKERS);
	const char *problem = NULL;
	MtHashStatus status;

	key->len = 0;
	status = mt_hash_ring_key(kind, id, key);
	if (n_workers > MAX_WORKERS || workers[0][0] == '\0')
		problem = "bad list of workers";
	else if (strcmp(owner, "*") == 0)
		problem = status == MT_HASH_EVERY_WORKER ? NULL : "should belong to every worker";
	else if (status != MT_HASH_OK)
		problem = "has no key";
	else if (key->len != expected_key->len ||
			 (key->len > 0 && memcmp(key->data, expected_key->data, key->len) != 0))
		problem = "the key differs";
	else
	{
		MtHashRing *ring = mt_hash_ring_new(kind, (const char *const *) workers, n_workers);
		MtSlice		slice = {key->data, (uint32_t) key->len};

		if (strcmp(workers[mt_hash_ring_owner(ring, slice)], owner) != 0)
			problem = "the owner differs";
		mt_hash_ring_free(ring);
	}
	free(copy);
	return problem;
}

static const char *
run_line(MtHashRingKind kind, const char *line, MtByteBuffer *key)
{
	char	   *copy = strdup(line);
	char	   *columns[4];
	MtByteBuffer expected_key = {0};
	const char *problem = NULL;
	const char *end;
	bson_t	   *bson = NULL;
	MtElement	id;

	key->len = 0;
	if (split(copy, '\t', columns, 4) != 4)
		problem = "not four columns";
	else if ((bson = parse_id(columns[0], &id)) == NULL)
		problem = "the id is not Extended JSON";
	else if ((end = vectors_parse_string(columns[3], &expected_key)) == NULL || *end != '\0')
		problem = "the key is not a JSON string";
	else
		problem = check(kind, &id, columns[1], columns[2], &expected_key, key);
	if (bson != NULL)
		bson_destroy(bson);
	mt_byte_buffer_free(&expected_key);
	free(copy);
	return problem;
}

static int
count_agreeing(MtHashRingKind kind, const VectorLines *lines)
{
	MtByteBuffer key = {0};
	int			n = 0;

	for (size_t i = 1; i < lines->n; i++)
		n += run_line(kind, lines->text[i], &key) == NULL;
	mt_byte_buffer_free(&key);
	return n;
}

void
hash_vectors_run(const char *file_name, const VectorLines *lines, VectorCounts *counts)
{
	MtHashRingKind kind = count_agreeing(MT_HASH_RING_V1, lines) > count_agreeing(MT_HASH_RING_V2, lines)
		? MT_HASH_RING_V1 : MT_HASH_RING_V2;
	MtByteBuffer key = {0};

	if (lines->n == 1)
	{
		printf("%s: no lines after the header\n", file_name);
		counts->failed++;
	}
	for (size_t i = 1; i < lines->n; i++)
	{
		const char *problem = run_line(kind, lines->text[i], &key);

		if (problem == NULL)
		{
			counts->passed++;
			continue;
		}
		counts->failed++;
		printf("%s:%zu: ring v%d: %s\n  line: %s\n  key: %.*s\n", file_name, i + 1,
			   kind == MT_HASH_RING_V1 ? 1 : 2, problem, lines->text[i], (int) key.len,
			   key.len > 0 ? (const char *) key.data : "");
	}
	mt_byte_buffer_free(&key);
}
