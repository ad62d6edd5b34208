/*
 * guc.c
 *		The configuration parameters of mongo_tail.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "guc.h"

int			mt_guc_max_tails = 32;
int			mt_guc_ring_size_kb = 64 * 1024;
int			mt_guc_position_store_ms = 10000;
bool		mt_guc_enable_pushdown = true;

void
mt_guc_define(void)
{
	DefineCustomIntVariable("mongo_tail.max_tails",
							"Largest number of oplogs that can be tailed at once in the whole cluster.",
							"Each needs a background worker (max_worker_processes) while it runs.",
							&mt_guc_max_tails, 32, 1, 1024,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("mongo_tail.ring_size",
							"Size of the ring of a tail that names none.",
							"Rounded up to a power of two.",
							&mt_guc_ring_size_kb, 64 * 1024, 4, 16 * 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("mongo_tail.position_store_interval",
							"How often a tailer stores where it would go on after a restart.",
							NULL,
							&mt_guc_position_store_ms, 10000, 100, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("mongo_tail.enable_pushdown",
							 "Lets conditions on collections restrict what MongoDB sends.",
							 "Every condition is checked here as well, so the answers are the same without it.",
							 &mt_guc_enable_pushdown, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("mongo_tail");
}
