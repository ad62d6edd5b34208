/*
 * handler.h
 *		The foreign-data wrapper's handler: mongo_tail.mongo_tail_fdw_handler().
 */
#ifndef MT_HANDLER_H
#define MT_HANDLER_H

#include "postgres.h"

#include "fmgr.h"

extern PGDLLEXPORT Datum mongo_tail_fdw_handler(PG_FUNCTION_ARGS);

#endif							/* MT_HANDLER_H */
