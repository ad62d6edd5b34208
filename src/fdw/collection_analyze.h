/*
 * collection_analyze.h
 *		ANALYZE of a collection's table.
 */
#ifndef MT_COLLECTION_ANALYZE_H
#define MT_COLLECTION_ANALYZE_H

#include "postgres.h"

#include "foreign/fdwapi.h"

#include "base/options.h"

/* FdwRoutine's callback for a table of a collection */
extern bool mt_collection_analyze(Relation relation, const MtTableOptions *table,
								  AcquireSampleRowsFunc *function, BlockNumber *total_pages);

#endif							/* MT_COLLECTION_ANALYZE_H */
