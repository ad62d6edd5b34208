/*
 * collation.c
 *		What a collation compares.
 *
 * Asked of the catalogs.  PostgreSQL's own answer is in pg_locale.h, which
 * needs the headers of ICU that the server's package does not bring.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/collation.h"

/* Since 17; each of its locales orders by bytes. */
#define PROVIDER_BUILTIN 'b'

static bool
names_bytes(char provider, int cache, HeapTuple tuple, AttrNumber attribute)
{
	bool		is_null;
	Datum		name = SysCacheGetAttr(cache, tuple, attribute, &is_null);
	char	   *locale;

	if (provider != COLLPROVIDER_LIBC || is_null)
		return provider == PROVIDER_BUILTIN;
	locale = TextDatumGetCString(name);
	return strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0;
}

bool
mt_collation_is_c(Oid collation)
{
	bool		is_default = collation == DEFAULT_COLLATION_OID;
	int			cache = is_default ? DATABASEOID : COLLOID;
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(is_default ? MyDatabaseId : collation));
	bool		is_c;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (is_default)
		is_c = names_bytes(((Form_pg_database) GETSTRUCT(tuple))->datlocprovider, cache, tuple,
						   Anum_pg_database_datcollate);
	else
		is_c = names_bytes(((Form_pg_collation) GETSTRUCT(tuple))->collprovider, cache, tuple,
						   Anum_pg_collation_collcollate);
	ReleaseSysCache(tuple);
	return is_c;
}
