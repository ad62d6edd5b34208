/*
 * collection_import.h
 *		IMPORT FOREIGN SCHEMA: the collections of a database as foreign tables.
 */
#ifndef MT_COLLECTION_IMPORT_H
#define MT_COLLECTION_IMPORT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* FdwRoutine's callback: a list of CREATE FOREIGN TABLE commands. */
extern List *mt_collection_import(ImportForeignSchemaStmt *stmt, Oid serverid);

#endif							/* MT_COLLECTION_IMPORT_H */
