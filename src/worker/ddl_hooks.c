/*
 * ddl_hooks.c
 *		DDL that workers stand in the way of, or must hear about.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and SET TABLESPACE, and CREATE DATABASE
 * from a template refuse while anybody is connected: they first end the
 * workers of that database and hold it until their transaction has ended.  A
 * tail's row follows its server in the same transaction: it is renamed, and
 * dropped, with it.  For that, DROP EXTENSION, and other options to connect
 * by, a scan at commit tells the workers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/catalog.h"
#include "base/tail_state.h"
#include "base/wait_event.h"
#include "compat.h"
#include "worker/launcher.h"

/* How long the workers of a database may take to end. */
#define HOLD_TIMEOUT_MS 10000

static ProcessUtility_hook_type previous_utility_hook = NULL;
static object_access_hook_type previous_access_hook = NULL;

/* A server was dropped since the last look. */
static bool servers_dropped = false;

/* The database whose connections a statement wants gone, or InvalidOid. */
static Oid
database_in_the_way(Node *statement)
{
	const char *name = NULL;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			{
				ListCell   *cell;

				foreach(cell, ((AlterDatabaseStmt *) statement)->options)
					if (strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") == 0)
						name = ((AlterDatabaseStmt *) statement)->dbname;
				break;
			}
		case T_CreatedbStmt:
			{
				ListCell   *cell;

				name = "template1";
				foreach(cell, ((CreatedbStmt *) statement)->options)
				{
					DefElem    *option = lfirst(cell);

					if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
						name = defGetString(option);
				}
				break;
			}
		default:
			break;
	}
	return name ? get_database_oid(name, true) : InvalidOid;
}

/* PostgreSQL's own have_createdb_privilege is for extensions only since 15.19. */
static bool
may_create_databases(void)
{
	bool		may = superuser();
	HeapTuple	role;

	if (may)
		return true;
	role = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(role))
	{
		may = ((Form_pg_authid) GETSTRUCT(role))->rolcreatedb;
		ReleaseSysCache(role);
	}
	return may;
}

/* Whoever will be refused the statement must not stop the workers first. */
static bool
may_disturb(Oid database, NodeTag tag)
{
	if (tag == T_CreatedbStmt && may_create_databases())
		return true;
	return mt_compat_database_ownercheck(database, GetUserId());
}

static bool
workers_run_in(Oid database)
{
	bool		run = false;

	LWLockAcquire(mt_tail_shared->lock, LW_SHARED);
	for (int i = 0; i < mt_tail_shared->n_slots; i++)
		run = run || (mt_tail_shared->slots[i].used &&
					  mt_tail_shared->slots[i].database == database &&
					  mt_tail_shared->slots[i].worker_pid != 0);
	LWLockRelease(mt_tail_shared->lock);
	return run;
}

/* Wait until the held database's workers are gone; what remains after the
 * time is for PostgreSQL's own message about other users. */
static void
wait_for_workers(Oid database)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), HOLD_TIMEOUT_MS);

	ConditionVariablePrepareToSleep(&mt_tail_shared->changed);
	while (workers_run_in(database) && GetCurrentTimestamp() < deadline)
		(void) ConditionVariableTimedSleep(&mt_tail_shared->changed, 100,
											mt_wait_event(MT_WAIT_HOLD));
	ConditionVariableCancelSleep();
}

static void
run_utility(MT_COMPAT_UTILITY_PARAMETERS)
{
	if (previous_utility_hook)
		previous_utility_hook(MT_COMPAT_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(MT_COMPAT_UTILITY_ARGUMENTS);
}

/* Let the tails' and slots' rows follow what the statement did to servers. */
static void
follow(NodeTag tag, Node *statement)
{
	RenameStmt *rename = (RenameStmt *) statement;

	switch (tag)
	{
		case T_RenameStmt:
			if (rename->renameType != OBJECT_FOREIGN_SERVER || !OidIsValid(mt_catalog_relation("tail")))
				break;
			CommandCounterIncrement();
			mt_catalog_follow_servers();
			break;
		case T_AlterForeignServerStmt:
		case T_CreateUserMappingStmt:
		case T_AlterUserMappingStmt:
		case T_DropUserMappingStmt:
			mt_tail_request_scan_at_commit();
			break;
		default:
			break;
	}
	if (servers_dropped)
	{
		servers_dropped = false;
		if (OidIsValid(mt_catalog_relation("tail")))
			mt_catalog_follow_servers();
	}
}

static void
on_utility(MT_COMPAT_UTILITY_PARAMETERS)
{
	/* A statement that ends a transaction is gone, with its memory, when it
	 * has run; those that are followed do not. */
	Node	   *statement = pstmt->utilityStmt;
	NodeTag		tag = nodeTag(statement);
	Oid			database = InvalidOid;

	if (mt_tail_shared != NULL && tag != T_TransactionStmt)
		database = database_in_the_way(statement);
	if (OidIsValid(database) && may_disturb(database, tag))
	{
		mt_tail_hold_database(database);
		wait_for_workers(database);
	}
	run_utility(MT_COMPAT_UTILITY_ARGUMENTS);
	if (mt_tail_shared != NULL && tag != T_TransactionStmt && IsTransactionState())
		follow(tag, statement);
}

static void
on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (previous_access_hook)
		previous_access_hook(access, class_id, object_id, sub_id, arg);
	if (access != OAT_DROP && access != OAT_POST_ALTER)
		return;
	if (class_id == ForeignServerRelationId && access == OAT_DROP)
		servers_dropped = true;
	if (class_id == ForeignServerRelationId ||
		(class_id == ExtensionRelationId && access == OAT_DROP))
		mt_tail_request_scan_at_commit();
}

void
mt_ddl_hooks_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	previous_access_hook = object_access_hook;
	object_access_hook = on_access;
}
