/*
 * mongo_tail.c
 *		The library's door.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/tail_state.h"
#include "fdw/import_comments.h"
#include "guc.h"
#include "worker/launcher.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * Tails need the library preloaded: shared memory and the launcher can be had
 * only then.  Loaded later it still converts and compares its types, and reads
 * collections.
 */
void
_PG_init(void)
{
	mt_import_comments_install();
	if (!process_shared_preload_libraries_in_progress)
		return;
	mt_guc_define();
	mt_tail_state_install();
	mt_launcher_register();
	mt_ddl_hooks_install();
}
