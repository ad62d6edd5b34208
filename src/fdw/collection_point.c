/*
 * collection_point.c
 *		What a value that a clause compares with is to MongoDB.
 *
 * A double reads as a numeric by its shortest digits, but compares in MongoDB
 * by its very value.  So a numeric is what lies between two doubles, unless it
 * is an integer that every kind of number holds exactly.  Dates are
 * milliseconds, so a timestamp between two has no point, and two roundings.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/objectid.h"
#include "fdw/collection_point.h"

/* Integers below are doubles, exactly; this one is also what the next rounds to. */
#define DOUBLE_INTEGERS		9007199254740992.0

#define UUID_OLD			3
#define UUID_STANDARD		4

static MtPoint *
add_point(MtPoints *points, MtBsonType type)
{
	MtPoint	   *point = &points->points[points->n++];

	point->type = type;
	return point;
}

static void
add_number(MtPoints *points, double number)
{
	points->is_nan = isnan(number);
	add_point(points, MT_BSON_DOUBLE)->number = number;
}

/*
 * A numeric.  strtod() is the nearest double D: a double whose shortest digits
 * are the numeric is D, one whose shortest digits are less is at most D, and
 * what else the field may hold compares exactly.
 */
static void
numeric_points(MtPoints *points, Datum value)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));
	double		nearest = strtod(text, NULL);

	if (numeric_is_nan(DatumGetNumeric(value)) || numeric_is_inf(DatumGetNumeric(value)))
	{
		add_number(points, nearest);
		points->below = points->above = nearest;
		return;
	}
	points->below = nextafter(nearest, -HUGE_VAL);
	points->above = nextafter(nearest, HUGE_VAL);
	if (strchr(text, '.') == NULL && fabs(nearest) < DOUBLE_INTEGERS)
		add_point(points, MT_BSON_INT64)->integer = (int64) nearest;
	else
		points->is_range = true;
}

/* The bytes of 24 hexadecimal digits as an ObjectId is shown, or NULL. */
static char *
objectid_bytes(const char *text, int len)
{
	char	   *bytes;

	if (len != MT_OBJECTID_DIGITS || strspn(text, "0123456789abcdef") != MT_OBJECTID_DIGITS)
		return NULL;
	bytes = palloc(MT_OBJECTID_BYTES);
	(void) hex_decode(text, MT_OBJECTID_DIGITS, bytes);
	return bytes;
}

static void
text_points(MtPoints *points, Datum value)
{
	char	   *string = TextDatumGetCString(value);
	int			len = (int) strlen(string);
	char	   *bytes = objectid_bytes(string, len);
	MtPoint	   *point = add_point(points, MT_BSON_STRING);

	point->bytes = string;
	point->n_bytes = len;
	if (bytes == NULL)
		return;
	point = add_point(points, MT_BSON_OBJECTID);
	point->bytes = bytes;
	point->n_bytes = MT_OBJECTID_BYTES;
}

static void
uuid_points(MtPoints *points, Datum value)
{
	static const uint8 subtypes[] = {UUID_STANDARD, UUID_OLD};

	for (size_t i = 0; i < lengthof(subtypes); i++)
	{
		MtPoint	   *point = add_point(points, MT_BSON_BINARY);

		point->bytes = (const char *) DatumGetUUIDP(value)->data;
		point->n_bytes = UUID_LEN;
		point->subtype = subtypes[i];
	}
}

/* The only type of ours: which oid it has depends on the database. */
static void
objectid_point(MtPoints *points, Datum value)
{
	MtPoint	   *point = add_point(points, MT_BSON_OBJECTID);

	point->bytes = (const char *) DatumGetMtObjectId(value)->bytes;
	point->n_bytes = MT_OBJECTID_BYTES;
}

/* Milliseconds since 1970 of microseconds since 2000; the point only of a
 * whole one. */
static void
time_points(MtPoints *points, int64 microseconds)
{
	const int64 epoch_ms = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * 1000);
	int64		rest = microseconds % 1000;
	int64		ms = microseconds / 1000 - (rest < 0);

	points->floor_ms = ms + epoch_ms;
	points->ceil_ms = points->floor_ms + (rest != 0);
	if (rest == 0)
		add_point(points, MT_BSON_DATE)->integer = points->floor_ms;
}

static void
timestamp_points(MtPoints *points, Timestamp timestamp)
{
	if (TIMESTAMP_NOT_FINITE(timestamp))
		points->infinity = TIMESTAMP_IS_NOBEGIN(timestamp) ? -1 : 1;
	else
		time_points(points, timestamp);
}

/* A day; it can be later than any timestamp. */
static void
date_points(MtPoints *points, DateADT date)
{
	const int64 ms_per_day = (int64) SECS_PER_DAY * 1000;

	if (DATE_NOT_FINITE(date))
	{
		points->infinity = DATE_IS_NOBEGIN(date) ? -1 : 1;
		return;
	}
	points->floor_ms = (date + (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * ms_per_day;
	points->ceil_ms = points->floor_ms;
	add_point(points, MT_BSON_DATE)->integer = points->floor_ms;
}

MtPoints
mt_points_of(Oid type, Datum value)
{
	MtPoints		points;

	memset(&points, 0, sizeof points);
	switch (type)
	{
		case INT2OID:
			add_point(&points, MT_BSON_INT64)->integer = DatumGetInt16(value);
			break;
		case INT4OID:
			add_point(&points, MT_BSON_INT64)->integer = DatumGetInt32(value);
			break;
		case INT8OID:
			add_point(&points, MT_BSON_INT64)->integer = DatumGetInt64(value);
			break;
		case FLOAT4OID:
			add_number(&points, (double) DatumGetFloat4(value));
			break;
		case FLOAT8OID:
			add_number(&points, DatumGetFloat8(value));
			break;
		case NUMERICOID:
			numeric_points(&points, value);
			break;
		case TEXTOID:
			text_points(&points, value);
			break;
		case BOOLOID:
			add_point(&points, MT_BSON_BOOL)->integer = DatumGetBool(value);
			break;
		case UUIDOID:
			uuid_points(&points, value);
			break;
		case DATEOID:
			date_points(&points, DatumGetDateADT(value));
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			timestamp_points(&points, DatumGetTimestamp(value));
			break;
		default:
			objectid_point(&points, value);
			break;
	}
	return points;
}
