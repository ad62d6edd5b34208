/*
 * point.c
 *		One BSON value that a clause compares with: see point.h.
 */
#include "postgres.h"

#include "condition/bson_build.h"
#include "condition/point.h"

MtPoint *
mt_point(MtBsonType type)
{
	MtPoint    *point = palloc0(sizeof *point);

	point->type = type;
	return point;
}

MtPoint *
mt_point_integer(MtBsonType type, int64 integer)
{
	MtPoint    *point = mt_point(type);

	point->integer = integer;
	return point;
}

MtPoint *
mt_point_double(double number)
{
	MtPoint    *point = mt_point(MT_BSON_DOUBLE);

	point->number = number;
	return point;
}

MtPoint *
mt_point_bytes(MtBsonType type, const char *bytes, int n_bytes)
{
	MtPoint    *point = mt_point(type);

	point->bytes = bytes;
	point->n_bytes = n_bytes;
	return point;
}

static void
put_value(StringInfo buffer, const MtPoint *point)
{
	uint64		bits;

	switch (point->type)
	{
		case MT_BSON_DOUBLE:
			memcpy(&bits, &point->number, sizeof bits);
			mt_build_le64(buffer, bits);
			break;
		case MT_BSON_INT64:
		case MT_BSON_DATE:
			mt_build_le64(buffer, (uint64) point->integer);
			break;
		case MT_BSON_INT32:
			mt_build_le32(buffer, (uint32) point->integer);
			break;
		case MT_BSON_BOOL:
			appendStringInfoChar(buffer, (char) point->integer);
			break;
		case MT_BSON_NULL:
			break;
		case MT_BSON_STRING:
			mt_build_string(buffer, point->bytes, point->n_bytes);
			break;
		case MT_BSON_REGEX:
			/* the dot matches a line's end, too */
			appendBinaryStringInfo(buffer, point->bytes, point->n_bytes);
			appendBinaryStringInfo(buffer, "\0s", 3);
			break;
		case MT_BSON_BINARY:
			mt_build_le32(buffer, (uint32) point->n_bytes);
			appendStringInfoChar(buffer, (char) point->subtype);
			appendBinaryStringInfo(buffer, point->bytes, point->n_bytes);
			break;
		default:
			appendBinaryStringInfo(buffer, point->bytes, point->n_bytes);
			break;
	}
}

void
mt_point_put(StringInfo buffer, const char *name, const MtPoint *point)
{
	mt_build_name(buffer, point->type, name);
	put_value(buffer, point);
}

void
mt_point_put_indexed(StringInfo buffer, int index, const MtPoint *point)
{
	mt_build_index(buffer, point->type, index);
	put_value(buffer, point);
}
