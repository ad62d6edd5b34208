/*
 * collection_scan.h
 *		Running a scan of a collection: FdwRoutine's callbacks.
 */
#ifndef MT_COLLECTION_SCAN_H
#define MT_COLLECTION_SCAN_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "compat.h"

extern void mt_collection_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *mt_collection_iterate(ForeignScanState *node);
extern void mt_collection_rescan(ForeignScanState *node);
extern void mt_collection_end(ForeignScanState *node);
extern void mt_collection_explain(ForeignScanState *node, ExplainState *es);

#endif							/* MT_COLLECTION_SCAN_H */
