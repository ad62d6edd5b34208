/*
 * vectors.h
 *		What run_vectors.c and hash_vectors.c share.
 */
#ifndef MT_TEST_VECTORS_H
#define MT_TEST_VECTORS_H

#include "oplog/byte_buffer.h"

typedef struct VectorLines
{
	char	  **text;			/* without line ends */
	size_t		n;
} VectorLines;

typedef struct VectorCounts
{
	int			passed;
	int			failed;
} VectorCounts;

/* Parse a JSON string into out (emptied before); returns what follows it, or
 * NULL when p begins none. */
extern const char *vectors_parse_string(const char *p, MtByteBuffer *out);

/* Is that the header of a table of consistent hashing? */
extern bool hash_vectors_recognize(const char *header);
extern void hash_vectors_run(const char *file_name, const VectorLines *lines, VectorCounts *counts);

#endif							/* MT_TEST_VECTORS_H */
