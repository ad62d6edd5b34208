/*
 * import_names.h
 *		Names of MongoDB's as names of PostgreSQL's.
 */
#ifndef MT_IMPORT_NAMES_H
#define MT_IMPORT_NAMES_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct MtImportName
{
	const char *remote;			/* UTF-8 */
	char	   *shown;			/* the same in the database's encoding; NULL: it has no such characters */
	char	   *local;			/* unique, and at most NAMEDATALEN - 1 bytes; NULL as shown is */
} MtImportName;

/*
 * Give each of the names (a list of MtImportName, remote set) its local name,
 * none of which is one of taken (a list of strings).  A name that needs no
 * change keeps its text; the others are folded to lower case if wanted, cut,
 * and numbered where that makes them equal to another.
 */
extern void mt_import_names(List *names, List *taken, bool fold);

#endif							/* MT_IMPORT_NAMES_H */
