/*
 * default_type.c
 *		The PostgreSQL type that a column gets which is to hold a BSON type.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/default_type.h"
#include "base/objectid.h"

#define UUID_STANDARD	4

static const struct
{
	MtBsonType	type;
	Oid			holds;
}			defaults[] =
{
	{MT_BSON_DOUBLE, FLOAT8OID},
	{MT_BSON_STRING, TEXTOID},
	{MT_BSON_DOCUMENT, JSONBOID},
	{MT_BSON_ARRAY, JSONBOID},
	{MT_BSON_BINARY, BYTEAOID},
	{MT_BSON_UNDEFINED, InvalidOid},
	{MT_BSON_BOOL, BOOLOID},
	{MT_BSON_DATE, TIMESTAMPTZOID},
	{MT_BSON_NULL, InvalidOid},
	{MT_BSON_SYMBOL, TEXTOID},
	{MT_BSON_INT32, INT4OID},
	{MT_BSON_INT64, INT8OID},
	{MT_BSON_DECIMAL128, NUMERICOID},
};

Oid
mt_default_type_for(MtBsonType type, uint8 subtype)
{
	if (type == MT_BSON_OBJECTID)
		return mt_objectid_type();
	if (type == MT_BSON_TIMESTAMP)
		return mt_cluster_time_type();
	if (type == MT_BSON_BINARY && subtype == UUID_STANDARD)
		return UUIDOID;
	for (size_t i = 0; i < lengthof(defaults); i++)
		if (defaults[i].type == type)
			return defaults[i].holds;
	return JSONBOID;
}
