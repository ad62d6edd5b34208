/*
 * import_names.c
 *		Names of MongoDB's as names of PostgreSQL's.
 *
 * MongoDB's names are UTF-8 of any length but for few characters, and differ
 * in case; the same name may be given here to several of them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "fdw/import_names.h"

/* Room for "_" and a number at the end of a name. */
#define SUFFIX_BYTES 12

/* In the database's encoding, or NULL when that has no such characters. */
static char *
to_server(const char *utf8)
{
	int			encoding = GetDatabaseEncoding();
	int			len = (int) strlen(utf8);
	int			size = len * MAX_CONVERSION_GROWTH + 1;
	char	   *text;
	Oid			conversion;

	if (pg_encoding_verifymbstr(PG_UTF8, utf8, len) != len)
		return NULL;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return pstrdup(utf8);
	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return NULL;
	text = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, (unsigned char *) pstrdup(utf8), len,
									  (unsigned char *) text, size, true) != len)
		return NULL;
	return text;
}

/* At most so many bytes of a name, and no half character. */
static char *
clip(const char *name, int max_bytes)
{
	int			len = (int) strlen(name);

	return pnstrdup(name, len <= max_bytes ? len : pg_mbcliplen(name, len, max_bytes));
}

/* Note a name; false when it was there. */
static bool
take(HTAB *taken, const char *name)
{
	NameData	key;
	bool		found;

	namestrcpy(&key, name);		/* pads with zeros */
	(void) hash_search(taken, &key, HASH_ENTER, &found);
	return !found;
}

static char *
take_numbered(HTAB *taken, char *wanted)
{
	char	   *name = wanted;

	for (int i = 2; !take(taken, name); i++)
		name = psprintf("%s_%d", clip(wanted, NAMEDATALEN - 1 - SUFFIX_BYTES), i);
	return name;
}

void
mt_import_names(List *names, List *reserved, bool fold)
{
	HASHCTL		control = {0};
	HTAB	   *taken;
	ListCell   *cell;

	control.keysize = sizeof(NameData);
	control.entrysize = sizeof(NameData);
	control.hcxt = CurrentMemoryContext;
	taken = hash_create("mongo_tail names", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(cell, reserved)
		(void) take(taken, lfirst(cell));
	foreach(cell, names)
	{
		MtImportName *name = lfirst(cell);
		char	   *wanted;

		name->shown = to_server(name->remote);
		if (name->shown == NULL)
			continue;
		wanted = fold ? downcase_identifier(name->shown, (int) strlen(name->shown), false, false) : name->shown;
		if (strlen(wanted) < NAMEDATALEN && strcmp(wanted, name->shown) == 0 && take(taken, wanted))
			name->local = wanted;
	}
	foreach(cell, names)
	{
		MtImportName *name = lfirst(cell);

		if (name->shown == NULL || name->local != NULL)
			continue;
		name->local = fold ? downcase_identifier(name->shown, (int) strlen(name->shown), false, false) :
			pstrdup(name->shown);
		name->local = take_numbered(taken, clip(name->local, NAMEDATALEN - 1));
	}
	hash_destroy(taken);
}
