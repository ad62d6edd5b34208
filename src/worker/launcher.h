/*
 * launcher.h
 *		The workers of mongo_tail: the launcher, which supervises, the scans,
 *		which bring shared memory in line with a database's catalog, and the
 *		tailers.
 */
#ifndef MT_LAUNCHER_H
#define MT_LAUNCHER_H

#include "postgres.h"

/* In _PG_init of a preloaded library: register the launcher. */
extern void mt_launcher_register(void);

/* In _PG_init: hooks on DDL that workers stand in the way of. */
extern void mt_ddl_hooks_install(void);

/* Bring the slots in line with this database's catalog; in a transaction. */
extern void mt_tail_scan(void);

/* What a database's or role's settings must not change for a worker. */
extern void mt_worker_pin_settings(void);

/* Entry points of the workers, found by name in the library. */
extern PGDLLEXPORT void mongo_tail_launcher_main(Datum arg);
extern PGDLLEXPORT void mongo_tail_scan_main(Datum arg);
extern PGDLLEXPORT void mongo_tail_tailer_main(Datum arg);

#endif							/* MT_LAUNCHER_H */
