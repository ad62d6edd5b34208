/*
 * extended_json.h
 *		MongoDB's Extended JSON (v2, canonical and relaxed) to BSON.
 *
 * Exactly or not at all: libbson's own reader wraps integers over 64 bits
 * around, reads a broken decimal as NaN, and takes {"$type": 2} for half a
 * binary.  Keys that begin with $ and name no type are operators of queries,
 * and stay what they are.
 */
#ifndef MT_EXTENDED_JSON_PARSER_H
#define MT_EXTENDED_JSON_PARSER_H

#include "oplog/bson_walk.h"
#include "oplog/byte_buffer.h"

/* Levels of documents and arrays; as many as a query of MongoDB's may have. */
#define MT_JSON_MAX_DEPTH 100

typedef struct MtJsonError
{
	size_t		offset;			/* in bytes */
	const char *text;			/* lower case, no period */
} MtJsonError;

/*
 * Append the document or array that text is, which ends with a NUL and is
 * well-formed UTF-8; an array as a document of its indexes, *is_array then.
 * On failure bson is as it was.
 */
extern bool mt_json_parse(const char *text, MtByteBuffer *bson, bool *is_array, MtJsonError *error);

typedef enum MtJsonTypeResult
{
	MT_JSON_NO_TYPE,			/* a document like any other */
	MT_JSON_TYPE,
	MT_JSON_BAD_TYPE,
	MT_JSON_OUT_OF_MEMORY
} MtJsonTypeResult;

/*
 * Is the document the Extended JSON of another type, as {$oid: '...'} is?  Its
 * type and value then, the value appended to value.  The documents in it have
 * been asked before.  A bad one has the reason in *why.
 */
extern MtJsonTypeResult mt_json_type_of(MtSlice document, MtByteBuffer *value, uint8_t *type, const char **why);

/* Is the text, of that length, a number of JSON's?  has_point: as doubles are
 * written. */
extern bool mt_json_is_number(const char *text, size_t len, bool *has_point);

#endif							/* MT_EXTENDED_JSON_PARSER_H */
