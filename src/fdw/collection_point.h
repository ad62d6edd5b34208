/*
 * collection_point.h
 *		What a value that a clause compares with is to MongoDB.
 */
#ifndef MT_COLLECTION_POINT_H
#define MT_COLLECTION_POINT_H

#include "postgres.h"

#include "oplog/bson_walk.h"

#define MT_MAX_POINTS 2

/* One BSON value. */
typedef struct MtPoint
{
	MtBsonType	type;
	int64		integer;		/* int64, date, bool */
	double		number;
	const char *bytes;			/* string, ObjectId, binary */
	int			n_bytes;
	uint8		subtype;
} MtPoint;

/* What a value is to MongoDB. */
typedef struct MtPoints
{
	int			n;
	MtPoint		points[MT_MAX_POINTS];
	bool		is_range;		/* numeric: not points, but what lies between */
	double		below;
	double		above;
	bool		is_nan;
	int			infinity;		/* of dates and timestamps: -1, 1 or 0 */
	int64		floor_ms;		/* of dates and timestamps */
	int64		ceil_ms;
} MtPoints;

/* Of a value of a type that collection_shippable.c takes. */
extern MtPoints mt_points_of(Oid type, Datum value);

#endif							/* MT_COLLECTION_POINT_H */
