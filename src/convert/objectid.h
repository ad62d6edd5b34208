/*
 * objectid.h
 *		MongoDB's ObjectId as a value: 12 bytes whose memcmp is their order.
 *
 * The first four are the seconds since 1970, unsigned and big-endian, when a
 * driver made it.
 */
#ifndef MT_OBJECTID_H
#define MT_OBJECTID_H

#include "fmgr.h"

#define MT_OBJECTID_BYTES	12
#define MT_OBJECTID_DIGITS	24

typedef struct MtObjectId
{
	uint8		bytes[MT_OBJECTID_BYTES];
} MtObjectId;

#define DatumGetMtObjectId(d)		((MtObjectId *) DatumGetPointer(d))
#define MtObjectIdGetDatum(p)		PointerGetDatum(p)
#define PG_GETARG_MT_OBJECTID(n)	DatumGetMtObjectId(PG_GETARG_DATUM(n))

extern int	mt_objectid_compare(const MtObjectId *a, const MtObjectId *b);

/* 24 digits and a NUL into buf, which holds as many. */
extern char *mt_objectid_text(const MtObjectId *objectid, char *buf);

/* Seconds since 1970. */
extern uint32 mt_objectid_seconds(const MtObjectId *objectid);

/*
 * The oids of the types mongo_tail.objectid and mongo_tail.cluster_time,
 * InvalidOid where they are not.  By the caches of the catalogs, so they are
 * always the present ones, and cheap, but not for every row.
 */
extern Oid	mt_objectid_type(void);
extern Oid	mt_cluster_time_type(void);

#endif							/* MT_OBJECTID_H */
