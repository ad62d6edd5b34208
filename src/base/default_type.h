/*
 * default_type.h
 *		The PostgreSQL type that a column gets which is to hold a BSON type.
 */
#ifndef MT_DEFAULT_TYPE_H
#define MT_DEFAULT_TYPE_H

#include "postgres.h"

#include "oplog/bson_walk.h"

/*
 * The type that holds every value of a BSON type, as far as one does, and is
 * best to work with: InvalidOid for null and undefined, which every type
 * holds, and jsonb for what nothing else does.  subtype is of a binary.  A
 * date, whose range is wider than timestamptz's, is one all the same.
 */
extern Oid	mt_default_type_for(MtBsonType type, uint8 subtype);

#endif							/* MT_DEFAULT_TYPE_H */
