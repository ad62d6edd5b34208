/*
 * changes_scan.h
 *		Running a scan of a logical table, and explaining it.
 */
#ifndef MT_CHANGES_SCAN_H
#define MT_CHANGES_SCAN_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "compat.h"

/* FdwRoutine's callbacks for a table with relation 'changes' */
extern void mt_changes_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *mt_changes_iterate(ForeignScanState *node);
extern void mt_changes_rescan(ForeignScanState *node);
extern void mt_changes_end(ForeignScanState *node);
extern void mt_changes_explain(ForeignScanState *node, ExplainState *es);

#endif							/* MT_CHANGES_SCAN_H */
