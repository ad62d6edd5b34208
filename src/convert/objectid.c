/*
 * objectid.c
 *		MongoDB's ObjectId as a value.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "convert/objectid.h"

StaticAssertDecl(sizeof(MtObjectId) == MT_OBJECTID_BYTES, "an ObjectId is 12 bytes in SQL");

int
mt_objectid_compare(const MtObjectId *a, const MtObjectId *b)
{
	return memcmp(a->bytes, b->bytes, MT_OBJECTID_BYTES);
}

char *
mt_objectid_text(const MtObjectId *objectid, char *buf)
{
	(void) hex_encode((const char *) objectid->bytes, MT_OBJECTID_BYTES, buf);
	buf[MT_OBJECTID_DIGITS] = '\0';
	return buf;
}

uint32
mt_objectid_seconds(const MtObjectId *objectid)
{
	uint32		big_endian;

	memcpy(&big_endian, objectid->bytes, sizeof big_endian);
	return pg_ntoh32(big_endian);
}

static Oid
type_of_ours(const char *name)
{
	Oid			schema = get_namespace_oid("mongo_tail", true);

	if (!OidIsValid(schema))
		return InvalidOid;
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(schema));
}

Oid
mt_objectid_type(void)
{
	return type_of_ours("objectid");
}

Oid
mt_cluster_time_type(void)
{
	return type_of_ours("cluster_time");
}
