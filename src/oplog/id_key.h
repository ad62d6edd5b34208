/*
 * id_key.h
 *		The value of an _id as a key: equal bytes for equal keys.
 *
 * To MongoDB 1, 1.0, NumberLong(1) and NumberDecimal("1.00") are one key, and
 * so are {a: 1} and {a: 1.0}; 1 and "1" are two.  Who looks ids up in a table
 * of his own needs bytes that are equal exactly when the keys are.
 */
#ifndef MT_ID_KEY_H
#define MT_ID_KEY_H

#include "oplog/bson_walk.h"
#include "oplog/byte_buffer.h"

typedef enum MtIdKeyStatus
{
	MT_ID_KEY_OK,
	MT_ID_KEY_MALFORMED,		/* not BSON, or nested too deeply */
	MT_ID_KEY_OUT_OF_MEMORY
} MtIdKeyStatus;

/*
 * Append the key of a value, whose name is not looked at.  Strings are told
 * apart by their bytes, as under the simple collation.  Nothing is appended
 * unless the status is MT_ID_KEY_OK.
 */
extern MtIdKeyStatus mt_id_key_append(MtByteBuffer *key, const MtElement *value);

#endif							/* MT_ID_KEY_H */
