/*
 * import_comments.h
 *		Comments of imported tables and columns.
 */
#ifndef MT_IMPORT_COMMENTS_H
#define MT_IMPORT_COMMENTS_H

#include "postgres.h"

/*
 * Note a comment of a table that the present IMPORT FOREIGN SCHEMA will
 * create, or of its column; column NULL: of the table.
 */
extern void mt_import_comment(const char *table, const char *column, const char *text);

/* Once a process, where the library is loaded. */
extern void mt_import_comments_install(void);

#endif							/* MT_IMPORT_COMMENTS_H */
