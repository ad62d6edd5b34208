/*
 * read_time.c
 *		At which time of MongoDB's a statement or a transaction reads.
 *
 * A statement is what has an executor state: a query that a function runs is a
 * statement of its own.  Times are kept by server, not by connection or user,
 * since all of them reach one deployment with one clock.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"

#include "base/read_time.h"
#include "guc.h"

typedef struct SharedTime
{
	dlist_node	node;			/* in shared_times, while its context lives */
	MemoryContextCallback callback;
	MemoryContext context;		/* of the statement, or of the transaction */
	Oid			serverid;
	MtReadTime	time;
} SharedTime;

static dlist_head shared_times = DLIST_STATIC_INIT(shared_times);

static void
forget_time(void *arg)
{
	dlist_delete(&((SharedTime *) arg)->node);
}

static MtReadConsistency
consistency_in_force(MtReadConsistency option)
{
	MtReadConsistency consistency = option;

	switch (mt_guc_read_consistency)
	{
		case MT_GUC_CONSISTENCY_OPTIONS:
			break;
		case MT_GUC_CONSISTENCY_CURSOR:
			consistency = MT_CONSISTENCY_CURSOR;
			break;
		case MT_GUC_CONSISTENCY_STATEMENT:
			consistency = MT_CONSISTENCY_STATEMENT;
			break;
		case MT_GUC_CONSISTENCY_TRANSACTION:
			consistency = MT_CONSISTENCY_TRANSACTION;
			break;
	}
	if (consistency == MT_CONSISTENCY_STATEMENT && IsolationUsesXactSnapshot())
		consistency = MT_CONSISTENCY_TRANSACTION;
	return consistency;
}

bool
mt_read_time_is_shared(MtReadConsistency option)
{
	return consistency_in_force(option) != MT_CONSISTENCY_CURSOR;
}

MtReadTime *
mt_read_time(MtReadConsistency option, Oid serverid, EState *estate)
{
	MemoryContext context;
	SharedTime *shared;
	dlist_iter	iter;

	switch (consistency_in_force(option))
	{
		case MT_CONSISTENCY_STATEMENT:
			context = estate->es_query_cxt;
			break;
		case MT_CONSISTENCY_TRANSACTION:
			context = TopTransactionContext;
			break;
		default:
			return NULL;
	}
	dlist_foreach(iter, &shared_times)
	{
		shared = dlist_container(SharedTime, node, iter.cur);
		if (shared->context == context && shared->serverid == serverid)
			return &shared->time;
	}
	shared = MemoryContextAllocZero(context, sizeof *shared);
	shared->context = context;
	shared->serverid = serverid;
	shared->callback.func = forget_time;
	shared->callback.arg = shared;
	MemoryContextRegisterResetCallback(context, &shared->callback);
	dlist_push_head(&shared_times, &shared->node);
	return &shared->time;
}
