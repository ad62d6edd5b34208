/*
 * point.h
 *		One BSON value that a clause compares with.
 */
#ifndef MT_CONDITION_POINT_H
#define MT_CONDITION_POINT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "oplog/bson_walk.h"

typedef struct MtPoint
{
	MtBsonType	type;
	int64		integer;		/* int32, int64, date, bool */
	double		number;
	const char *bytes;			/* string, ObjectId, binary, Decimal128, regular expression */
	int			n_bytes;
	uint8		subtype;		/* of a binary */
} MtPoint;

/* In the current memory context; bytes must live as long. */
extern MtPoint *mt_point(MtBsonType type);
extern MtPoint *mt_point_integer(MtBsonType type, int64 integer);
extern MtPoint *mt_point_double(double number);
extern MtPoint *mt_point_bytes(MtBsonType type, const char *bytes, int n_bytes);

/* An element of a document, or of an array. */
extern void mt_point_put(StringInfo buffer, const char *name, const MtPoint *point);
extern void mt_point_put_indexed(StringInfo buffer, int index, const MtPoint *point);

#endif							/* MT_CONDITION_POINT_H */
