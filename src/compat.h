/*
 * compat.h
 *		What differs between PostgreSQL 15 and 18: the only file that asks for
 *		the version.
 */
#ifndef MT_COMPAT_H
#define MT_COMPAT_H

#include "postgres.h"

#include "funcapi.h"

#if PG_VERSION_NUM < 150000
#error "mongo_tail needs PostgreSQL 15 or newer"
#endif

/* A prefix since 18; what it was before can be one, too. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* VARDATA_ANY and its like stood in postgres.h until 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Renamed in 16. */
#if PG_VERSION_NUM >= 160000
#define mt_compat_init_materialized(fcinfo) InitMaterializedSRF(fcinfo, 0)
#else
#define mt_compat_init_materialized(fcinfo) SetSingleFuncCall(fcinfo, 0)
#endif

/* One function for all objects since 16. */
#if PG_VERSION_NUM >= 160000
#define mt_compat_server_aclcheck(oid, role, mode) object_aclcheck(ForeignServerRelationId, oid, role, mode)
#define mt_compat_database_aclcheck(oid, role, mode) object_aclcheck(DatabaseRelationId, oid, role, mode)
#define mt_compat_database_ownercheck(oid, role) object_ownercheck(DatabaseRelationId, oid, role)
#define mt_compat_namespace_aclcheck(oid, role, mode) object_aclcheck(NamespaceRelationId, oid, role, mode)
#else
#define mt_compat_server_aclcheck(oid, role, mode) pg_foreign_server_aclcheck(oid, role, mode)
#define mt_compat_database_aclcheck(oid, role, mode) pg_database_aclcheck(oid, role, mode)
#define mt_compat_database_ownercheck(oid, role) pg_database_ownercheck(oid, role)
#define mt_compat_namespace_aclcheck(oid, role, mode) pg_namespace_aclcheck(oid, role, mode)
#endif

/*
 * A type's input function that reports what it does not read.  Before 16 it can
 * only throw; what PostgreSQL's own throw about their text can be caught, since
 * they look at nothing but it, and hold nothing when they do.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"

static inline bool
mt_compat_input(FmgrInfo *function, char *text, Oid parameter, int32 typmod, Datum *value)
{
	ErrorSaveContext soft = {.type = T_ErrorSaveContext};

	return InputFunctionCallSafe(function, text, parameter, typmod, (Node *) &soft, value);
}
#else
#include "access/transam.h"

static inline bool
mt_compat_input(FmgrInfo *function, char *text, Oid parameter, int32 typmod, Datum *value)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_read = true;

	if (function->fn_oid >= FirstNormalObjectId)
	{
		*value = InputFunctionCall(function, text, parameter, typmod);
		return true;
	}
	PG_TRY();
	{
		*value = InputFunctionCall(function, text, parameter, typmod);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		is_read = false;
	}
	PG_END_TRY();
	return is_read;
}
#endif

/* What an input function says of text that it does not read, and its end: softly
 * where it was asked so, which is possible since 16. */
#if PG_VERSION_NUM >= 160000
#define mt_compat_input_error(fcinfo, rest) \
	ereturn((fcinfo)->context, (Datum) 0, rest)
#else
#define mt_compat_input_error(fcinfo, rest) ereport(ERROR, rest)
#endif

/* A path of a foreign base relation: 17 and 18 put arguments in between. */
#if PG_VERSION_NUM >= 180000
#define mt_compat_foreignscan_path(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, keys, outer, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define mt_compat_foreignscan_path(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL, NIL, private)
#else
#define mt_compat_foreignscan_path(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL, private)
#endif

/* A path of a join, which needs no local one beside it: the same. */
#if PG_VERSION_NUM >= 180000
#define mt_compat_join_path(root, rel, rows, startup, total, restrictlist, private) \
	create_foreign_join_path(root, rel, NULL, rows, 0, startup, total, NIL, NULL, NULL, restrictlist, private)
#elif PG_VERSION_NUM >= 170000
#define mt_compat_join_path(root, rel, rows, startup, total, restrictlist, private) \
	create_foreign_join_path(root, rel, NULL, rows, startup, total, NIL, NULL, NULL, restrictlist, private)
#else
#define mt_compat_join_path(root, rel, rows, startup, total, restrictlist, private) \
	create_foreign_join_path(root, rel, NULL, rows, startup, total, NIL, NULL, NULL, private)
#endif

/* A path of an upper relation: the same. */
#if PG_VERSION_NUM >= 180000
#define mt_compat_upper_path(root, rel, target, rows, startup, total, keys, outer, private) \
	create_foreign_upper_path(root, rel, target, rows, 0, startup, total, keys, outer, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define mt_compat_upper_path(root, rel, target, rows, startup, total, keys, outer, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, keys, outer, NIL, private)
#else
#define mt_compat_upper_path(root, rel, target, rows, startup, total, keys, outer, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, keys, outer, private)
#endif

/* GROUP BY and DISTINCT without what is redundant, which is found out since 16
 * and 17; pathkeys are made of these. */
#if PG_VERSION_NUM >= 160000
#define mt_compat_group_clause(root) ((root)->processed_groupClause)
#else
#define mt_compat_group_clause(root) ((root)->parse->groupClause)
#endif
#if PG_VERSION_NUM >= 160000
#define mt_compat_distinct_clause(root) ((root)->processed_distinctClause)
#else
#define mt_compat_distinct_clause(root) ((root)->parse->distinctClause)
#endif

/* A pathkey named its direction by a strategy of btree until 18. */
#if PG_VERSION_NUM >= 180000
#define mt_compat_pathkey_ascends(key) ((key)->pk_cmptype == COMPARE_LT)
#else
#include "access/stratnum.h"
#define mt_compat_pathkey_ascends(key) ((key)->pk_strategy == BTLessStrategyNumber)
#endif

/* The members of an equivalence class that are of a relation, and perhaps some of
 * others: those of partitions and other children are kept apart since 18. */
#if PG_VERSION_NUM >= 180000
#include "nodes/pathnodes.h"
#include "optimizer/paths.h"

static inline List *
mt_compat_class_members(EquivalenceClass *class, Relids relids)
{
	EquivalenceMemberIterator iterator;
	EquivalenceMember *member;
	List	   *members = NIL;

	setup_eclass_member_iterator(&iterator, class, relids);
	while ((member = eclass_member_iterator_next(&iterator)) != NULL)
		members = lappend(members, member);
	return members;
}
#else
#define mt_compat_class_members(class, relids) ((class)->ec_members)
#endif

/* The base relations that a foreign scan stands for, outer joins left out. */
#if PG_VERSION_NUM >= 160000
#define mt_compat_base_relids(plan) ((plan)->fs_base_relids)
#else
#define mt_compat_base_relids(plan) ((plan)->fs_relids)
#endif

/* Whom a scan's rights are checked as, InvalidOid for the current user: a field
 * of the range table's entry until 16. */
#include "executor/executor.h"
#if PG_VERSION_NUM >= 160000
#define mt_compat_check_as_user(node) (((ForeignScan *) (node)->ss.ps.plan)->checkAsUser)
#else
#define mt_compat_check_as_user(node) \
	(exec_rt_fetch((Index) bms_next_member(((ForeignScan *) (node)->ss.ps.plan)->fs_relids, -1), \
				   (node)->ss.ps.state)->checkAsUser)
#endif

/* EXPLAIN's declarations moved in 18. */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#else
#include "commands/explain.h"
#endif

/* Wait events of extensions have names since 17. */
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 170000
#define mt_compat_wait_event_new(name) WaitEventExtensionNew(name)
#else
#define mt_compat_wait_event_new(name) ((void) (name), PG_WAIT_EXTENSION)
#endif

/* A set that lives as long as the process; owned otherwise since 17. */
#if PG_VERSION_NUM >= 170000
#define mt_compat_create_wait_event_set(n_events) CreateWaitEventSet(NULL, n_events)
#else
#define mt_compat_create_wait_event_set(n_events) CreateWaitEventSet(TopMemoryContext, n_events)
#endif

/* ProcessUtility_hook's parameters, which are the same from 14 to 18. */
#define MT_COMPAT_UTILITY_PARAMETERS \
	PlannedStmt *pstmt, const char *query_string, bool read_only_tree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc
#define MT_COMPAT_UTILITY_ARGUMENTS \
	pstmt, query_string, read_only_tree, context, params, query_env, dest, qc

#endif							/* MT_COMPAT_H */
