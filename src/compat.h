/*
 * compat.h
 *		What differs between PostgreSQL 15 and 18: the only file that asks for
 *		the version.
 */
#ifndef MT_COMPAT_H
#define MT_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "mongo_tail needs PostgreSQL 15 or newer"
#endif

#endif							/* MT_COMPAT_H */
