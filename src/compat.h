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
#else
#define mt_compat_server_aclcheck(oid, role, mode) pg_foreign_server_aclcheck(oid, role, mode)
#define mt_compat_database_aclcheck(oid, role, mode) pg_database_aclcheck(oid, role, mode)
#define mt_compat_database_ownercheck(oid, role) pg_database_ownercheck(oid, role)
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
