/*
 * collection_scan.h
 *		Running a scan of a collection: FdwRoutine's callbacks.
 */
#ifndef MT_COLLECTION_SCAN_H
#define MT_COLLECTION_SCAN_H

#include "postgres.h"

#include "access/parallel.h"
#include "nodes/execnodes.h"

#include "compat.h"

extern void mt_collection_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *mt_collection_iterate(ForeignScanState *node);
extern void mt_collection_rescan(ForeignScanState *node);
extern void mt_collection_end(ForeignScanState *node);
extern void mt_collection_shutdown(ForeignScanState *node);

/* ... of one that several processes share */
extern Size mt_collection_estimate_dsm(ForeignScanState *node, ParallelContext *parallel);
extern void mt_collection_initialize_dsm(ForeignScanState *node, ParallelContext *parallel, void *coordinate);
extern void mt_collection_reinitialize_dsm(ForeignScanState *node, ParallelContext *parallel, void *coordinate);
extern void mt_collection_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate);

extern void mt_collection_explain(ForeignScanState *node, ExplainState *es);

#endif							/* MT_COLLECTION_SCAN_H */
