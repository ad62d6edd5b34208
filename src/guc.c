/*
 * guc.c
 *		The configuration parameters of mongo_tail.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/plancache.h"

#include "guc.h"

int			mt_guc_max_tails = 32;
int			mt_guc_ring_size_kb = 64 * 1024;
int			mt_guc_position_store_ms = 10000;
bool		mt_guc_enable_pushdown = true;
bool		mt_guc_enable_filter = true;
bool		mt_guc_enable_sort = true;
bool		mt_guc_enable_limit = true;
bool		mt_guc_enable_aggregate = true;
bool		mt_guc_enable_join = true;
bool		mt_guc_enable_projection = true;
bool		mt_guc_enable_parallel = true;
bool		mt_guc_exact_filters = false;

int			mt_guc_read_consistency = MT_GUC_CONSISTENCY_OPTIONS;

static const struct config_enum_entry consistencies[] = {
	{"options", MT_GUC_CONSISTENCY_OPTIONS, false},
	{"cursor", MT_GUC_CONSISTENCY_CURSOR, false},
	{"statement", MT_GUC_CONSISTENCY_STATEMENT, false},
	{"transaction", MT_GUC_CONSISTENCY_TRANSACTION, false},
	{NULL, 0, false}
};

/* Reads that share a time are made by one process, which plans must know. */
static void
consistency_is_set(int value, void *extra)
{
	(void) extra;
	if (value != mt_guc_read_consistency)
		ResetPlanCache();
}

/* What a session may leave to MongoDB. */
static const struct
{
	const char *name;
	const char *what;
	bool	   *variable;
}			switches[] =
{
	{"mongo_tail.enable_pushdown", "Lets MongoDB do what it can of queries on collections; off switches all the others off.",
	&mt_guc_enable_pushdown},
	{"mongo_tail.enable_filter", "Lets conditions on collections restrict what MongoDB sends.", &mt_guc_enable_filter},
	{"mongo_tail.enable_sort", "Lets MongoDB sort.", &mt_guc_enable_sort},
	{"mongo_tail.enable_limit", "Lets MongoDB send only the rows of LIMIT and OFFSET.", &mt_guc_enable_limit},
	{"mongo_tail.enable_aggregate", "Lets MongoDB aggregate and group.", &mt_guc_enable_aggregate},
	{"mongo_tail.enable_join", "Lets MongoDB join collections.", &mt_guc_enable_join},
	{"mongo_tail.enable_projection", "Lets MongoDB send only the fields that are needed.", &mt_guc_enable_projection},
	{"mongo_tail.enable_parallel", "Lets several processes read one collection.", &mt_guc_enable_parallel},
};

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
	DefineCustomBoolVariable("mongo_tail.exact_filters",
							 "Sends every condition in its exact form, if it has one.",
							 "As LIMIT and aggregates need them; where PostgreSQL checks the rows anyway, "
							 "this only shows that they are exact.",
							 &mt_guc_exact_filters, false,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	for (size_t i = 0; i < lengthof(switches); i++)
		DefineCustomBoolVariable(switches[i].name, switches[i].what,
								 "The answers are the same without it.",
								 switches[i].variable, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomEnumVariable("mongo_tail.read_consistency",
							 "What reads collections as they were at one time of MongoDB's.",
							 "\"options\": what option read_consistency of the table or the server says.",
							 &mt_guc_read_consistency, MT_GUC_CONSISTENCY_OPTIONS, consistencies,
							 PGC_USERSET, 0, NULL, consistency_is_set, NULL);
	MarkGUCPrefixReserved("mongo_tail");
}
