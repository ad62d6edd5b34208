/*
 * catalog.c
 *		SQL on the extension's own tables.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/catalog.h"

Oid
mt_catalog_relation(const char *name)
{
	Oid			namespace_oid = get_namespace_oid("mongo_tail", true);

	return OidIsValid(namespace_oid) ? get_relname_relid(name, namespace_oid) : InvalidOid;
}

uint64
mt_catalog_system_identifier(void)
{
	return GetSystemIdentifier();
}

static Oid
catalog_owner(void)
{
	Oid			relid = mt_catalog_relation("tail");
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"mongo_tail\" is not in this database"),
				 errhint("CREATE EXTENSION mongo_tail;")));
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
mt_catalog_enter(MtCatalogScope *scope)
{
	Oid			owner = catalog_owner();

	GetUserIdAndSecContext(&scope->saved_user, &scope->saved_context);
	SetUserIdAndSecContext(owner, scope->saved_context | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
mt_catalog_leave(MtCatalogScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(true, scope->guc_nest_level);
	SetUserIdAndSecContext(scope->saved_user, scope->saved_context);
}

void
mt_catalog_run(const char *sql, int n, Oid *types, Datum *values, const char *nulls, bool read_only, int expected)
{
	int			rc = SPI_execute_with_args(sql, n, types, values, nulls, read_only, 0);

	if (rc != expected)
		elog(ERROR, "SPI_execute_with_args returned %s for: %s", SPI_result_code_string(rc), sql);
}

uint64
mt_catalog_execute(const char *sql, int n, Oid *types, Datum *values, const char *nulls, int expected)
{
	MtCatalogScope scope;
	uint64		rows;

	mt_catalog_enter(&scope);
	mt_catalog_run(sql, n, types, values, nulls, false, expected);
	rows = SPI_processed;
	mt_catalog_leave(&scope);
	return rows;
}

Datum
mt_catalog_name_datum(const char *name)
{
	Name		copy = palloc0(NAMEDATALEN);

	namestrcpy(copy, name);
	return NameGetDatum(copy);
}

char **
mt_catalog_text_array(Datum datum, int *n)
{
	Datum	   *elements;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(datum), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, n);
	texts = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	return texts;
}

Datum
mt_catalog_text_array_datum(char **texts, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

char **
mt_catalog_namespaces(Datum datum, int *n)
{
	char	  **texts = mt_catalog_text_array(datum, n);

	for (int i = 0; i < *n; i++)
		texts[i] = pg_server_to_any(texts[i], (int) strlen(texts[i]), PG_UTF8);
	return texts;
}

Datum
mt_catalog_namespaces_datum(char **namespaces, int n)
{
	char	  **texts = palloc(sizeof(char *) * (n + 1));

	for (int i = 0; i < n; i++)
		texts[i] = pg_any_to_server(namespaces[i], (int) strlen(namespaces[i]), PG_UTF8);
	return mt_catalog_text_array_datum(texts, n);
}

void
mt_catalog_follow_servers(void)
{
	static const char *const tables[] = {"mongo_tail.tail", "mongo_tail.slot"};
	MtCatalogScope scope;
	Oid			types[2] = {INT8OID, OIDOID};
	Datum		values[2];

	values[0] = Int64GetDatum((int64) mt_catalog_system_identifier());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	mt_catalog_enter(&scope);
	for (size_t i = 0; i < lengthof(tables); i++)
	{
		mt_catalog_run(psprintf("DELETE FROM %s r WHERE r.system_identifier = $1 AND r.database = $2 "
								"AND NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.oid = r.serverid)",
								tables[i]),
					   2, types, values, NULL, false, SPI_OK_DELETE);
		mt_catalog_run(psprintf("UPDATE %s r SET server = f.srvname FROM pg_catalog.pg_foreign_server f "
								"WHERE r.system_identifier = $1 AND r.database = $2 AND f.oid = r.serverid "
								"AND r.server <> f.srvname",
								tables[i]),
					   2, types, values, NULL, false, SPI_OK_UPDATE);
	}
	mt_catalog_leave(&scope);
}
