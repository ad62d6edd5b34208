/*
 * import_comments.c
 *		Comments of imported tables and columns.
 *
 * A foreign-data wrapper may give IMPORT FOREIGN SCHEMA no other commands than
 * CREATE FOREIGN TABLE, so what it has to say about the tables is noted, and
 * becomes comments when the statement has made them.  Where the library is not
 * preloaded the first import of a session comes before this hook, and leaves
 * none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "fdw/import_comments.h"

typedef struct ImportComment
{
	char	   *table;
	char	   *column;			/* NULL: of the table */
	char	   *text;
} ImportComment;

/* The import that is under way, NULL: none. */
typedef struct Import
{
	MemoryContext context;
	List	   *comments;		/* of ImportComment */
} Import;

static Import *present = NULL;
static ProcessUtility_hook_type previous_hook = NULL;

void
mt_import_comment(const char *table, const char *column, const char *text)
{
	MemoryContext old;
	ImportComment *comment;

	if (present == NULL)
		return;
	old = MemoryContextSwitchTo(present->context);
	comment = palloc(sizeof *comment);
	comment->table = pstrdup(table);
	comment->column = column != NULL ? pstrdup(column) : NULL;
	comment->text = pstrdup(text);
	present->comments = lappend(present->comments, comment);
	MemoryContextSwitchTo(old);
}

/* An event trigger may have dropped or changed what was made. */
static void
write_comment(Oid namespace, const ImportComment *comment)
{
	Oid			relid = get_relname_relid(comment->table, namespace);
	AttrNumber	attribute = 0;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return;
	if (comment->column != NULL)
	{
		attribute = get_attnum(relid, comment->column);
		if (attribute == InvalidAttrNumber)
			return;
	}
	CreateComments(relid, RelationRelationId, attribute, comment->text);
}

static void
run_utility(MT_COMPAT_UTILITY_PARAMETERS)
{
	if (previous_hook)
		previous_hook(MT_COMPAT_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(MT_COMPAT_UTILITY_ARGUMENTS);
}

static void
on_utility(MT_COMPAT_UTILITY_PARAMETERS)
{
	Import		import = {CurrentMemoryContext, NIL};
	Import	   *outer = present;
	Oid			namespace;
	ListCell   *cell;

	if (!IsA(pstmt->utilityStmt, ImportForeignSchemaStmt))
	{
		run_utility(MT_COMPAT_UTILITY_ARGUMENTS);
		return;
	}
	present = &import;
	PG_TRY();
	{
		run_utility(MT_COMPAT_UTILITY_ARGUMENTS);
	}
	PG_FINALLY();
	{
		present = outer;
	}
	PG_END_TRY();
	if (import.comments == NIL)
		return;
	CommandCounterIncrement();
	namespace = get_namespace_oid(((ImportForeignSchemaStmt *) pstmt->utilityStmt)->local_schema, true);
	foreach(cell, import.comments)
		write_comment(namespace, lfirst(cell));
}

void
mt_import_comments_install(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}
