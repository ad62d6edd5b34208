/*
 * collection_import.c
 *		IMPORT FOREIGN SCHEMA: the collections of a database as foreign tables.
 *
 * Each collection is sampled, and its fields become columns: the type of a
 * column is one to which every value that was seen converts, and that the
 * collection's validator allows; import_indexes.c adds those that indexes name.  What the sample did not show may not
 * convert, which option on_mismatch is for; so a column's comment says what
 * its type was concluded from.
 *
 * Names are given to all collections before LIMIT TO and EXCEPT choose among
 * them, so that a table's name does not depend on which others are imported.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/collection_metadata.h"
#include "compat.h"
#include "fdw/collection_census.h"
#include "fdw/collection_import.h"
#include "fdw/import_comments.h"
#include "fdw/import_indexes.h"
#include "fdw/import_names.h"

#define DEFAULT_SAMPLE_SIZE 1000
#define MAX_SAMPLE_SIZE		100000
#define MAX_SAMPLE_BYTES	(64 * 1024 * 1024)

#define CHANGES_SUFFIX "_changes"

/* The columns of a change feed that come before those of its documents. */
#define CHANGES_COLUMNS \
	"\n    position mongo_tail.position,\n    cluster_time mongo_tail.cluster_time," \
	"\n    operation_type pg_catalog.text,\n    document_key pg_catalog.jsonb," \
	"\n    changed_columns pg_catalog.text[]"
#define N_CHANGES_COLUMNS 5

typedef struct ImportOptions
{
	int			sample_size;	/* documents of each collection */
	bool		fold_names;		/* to lower case */
	bool		flatten;		/* fields of sub-documents as columns */
	bool		import_changes; /* a logical table for each collection, too */
	bool		import_collate; /* text has collation "C" */
	bool		import_types;	/* ObjectIds and Timestamps have types of mongo_tail's */
	char	   *document;		/* a column of this name for the whole document; NULL: none */
	char	   *on_mismatch;	/* option of each table; NULL: none */
} ImportOptions;

typedef struct Import
{
	ImportForeignSchemaStmt *stmt;
	ImportOptions options;
	MtMetadata *metadata;
	char	   *database;		/* UTF-8 */
	char	   *server;			/* quoted */
} Import;

/* A table to be made. */
typedef struct ImportTable
{
	MtImportName name;			/* remote is the collection's, or with its suffix */
	MtCollectionInfo *collection;
	bool		of_changes;
	char	   *collection_name;	/* in the database's encoding */
} ImportTable;

/* A column to be made. */
typedef struct ImportColumn
{
	MtImportName name;			/* remote is the path, its dots made underscores */
	char	   *path;			/* in the database's encoding; NULL: it cannot be said there */
	const MtCensusField *field;
} ImportColumn;

/* ---- options ---- */

static int
parse_sample_size(const char *value)
{
	int			n;

	if (!parse_int(value, &n, 0, NULL) || n < 0 || n > MAX_SAMPLE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"sample_size\": \"%s\"", value),
				 errhint("It is a number of documents from 0 to %d; 0 relies on validators and indexes alone.", MAX_SAMPLE_SIZE)));
	return n;
}

/* Who may not name the extension's types can have columns of others. */
static bool
may_use_types(void)
{
	return mt_compat_namespace_aclcheck(get_namespace_oid("mongo_tail", false), GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

static ImportOptions
parse_options(List *list)
{
	ImportOptions options = {.sample_size = DEFAULT_SAMPLE_SIZE, .import_collate = true,
	.import_types = may_use_types()};
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (strcmp(def->defname, "sample_size") == 0)
			options.sample_size = parse_sample_size(defGetString(def));
		else if (strcmp(def->defname, "fold_names") == 0)
			options.fold_names = defGetBoolean(def);
		else if (strcmp(def->defname, "flatten") == 0)
			options.flatten = defGetBoolean(def);
		else if (strcmp(def->defname, "import_changes") == 0)
			options.import_changes = defGetBoolean(def);
		else if (strcmp(def->defname, "import_collate") == 0)
			options.import_collate = defGetBoolean(def);
		else if (strcmp(def->defname, "import_types") == 0)
			options.import_types = defGetBoolean(def);
		else if (strcmp(def->defname, "document") == 0)
			options.document = defGetString(def);
		else if (strcmp(def->defname, "on_mismatch") == 0)
			options.on_mismatch = defGetString(def);
		else
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname),
					 errhint("Valid options in this context are: sample_size, fold_names, flatten, import_changes, import_collate, import_types, document, on_mismatch.")));
	}
	return options;
}

/* ---- columns ---- */

static char *
utf8_of(const char *text)
{
	return pg_server_to_any(pstrdup(text), (int) strlen(text), PG_UTF8);
}

/* Add a field's column, or those of its own fields. */
static void
add_columns(const Import *import, const MtCensusField *field, const char *path, const char *name,
			List **columns, List **unnamed)
{
	ImportColumn *column;
	dlist_head *fields = unconstify(dlist_head *, &field->fields);
	dlist_iter	iter;

	check_stack_depth();
	if (!mt_census_has_path(field))
	{
		*unnamed = lappend(*unnamed, field->name);
		return;
	}
	path = *path == '\0' ? field->name : psprintf("%s.%s", path, field->name);
	name = *name == '\0' ? field->name : psprintf("%s_%s", name, field->name);
	if (import->options.flatten && strcmp(path, "_id") != 0 && mt_census_is_flat(field))
	{
		dlist_foreach(iter, fields)
			add_columns(import, dlist_container(MtCensusField, node, iter.cur), path, name, columns, unnamed);
		return;
	}
	column = palloc0(sizeof *column);
	column->name.remote = name;
	column->path = unconstify(char *, path);
	column->field = field;
	if (strcmp(path, "_id") == 0)
		*columns = lcons(column, *columns);
	else
		*columns = lappend(*columns, column);
}

static uint64
frequency(const ImportColumn *column)
{
	uint64		n = 0;

	if (column->field->schema_types != 0 || column->field->index != NULL || strcmp(column->name.remote, "_id") == 0)
		return PG_UINT64_MAX;
	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		n += column->field->counts[i];
	return n;
}

static int
compare_frequencies(const void *a, const void *b)
{
	uint64		one = *(const uint64 *) a;
	uint64		other = *(const uint64 *) b;

	return one > other ? -1 : one < other;
}

/* Keep the most frequent, in their order. */
static List *
limit_columns(List *columns, int max)
{
	int			n = list_length(columns);
	uint64	   *frequencies = palloc(sizeof(uint64) * n);
	List	   *kept = NIL;
	uint64		least;
	int			n_least = 0;
	ListCell   *cell;

	foreach(cell, columns)
		frequencies[foreach_current_index(cell)] = frequency(lfirst(cell));
	qsort(frequencies, n, sizeof(uint64), compare_frequencies);
	least = frequencies[max - 1];
	for (int i = max - 1; i >= 0 && frequencies[i] == least; i--)
		n_least++;
	foreach(cell, columns)
	{
		uint64		one = frequency(lfirst(cell));

		if (one > least || (one == least && n_least-- > 0))
			kept = lappend(kept, lfirst(cell));
	}
	return kept;
}

/* Give the columns names, and leave out those that have none. */
static List *
name_columns(const Import *import, List *columns, bool of_changes, const char *document, List **unnamed)
{
	static const char *const system[] = {"tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"};
	static const char *const changes[] = {"position", "cluster_time", "wall_time", "shard", "operation_type",
		"database", "collection", "document_key", "full_document", "update_description", "transaction_id",
	"entry_bytes", "source", "changed_columns", "full_document_bson"};
	List	   *taken = NIL;
	List	   *names = NIL;
	List	   *named = NIL;
	ListCell   *cell;

	for (size_t i = 0; i < lengthof(system); i++)
		taken = lappend(taken, unconstify(char *, system[i]));
	for (size_t i = 0; of_changes && i < lengthof(changes); i++)
		taken = lappend(taken, unconstify(char *, changes[i]));
	if (document != NULL)
		taken = lappend(taken, unconstify(char *, document));
	/* a field of the document itself comes before one below that would have its name */
	for (int nested = 0; nested <= 1; nested++)
		foreach(cell, columns)
		{
			ImportColumn *column = lfirst(cell);

			if ((strcmp(column->path, column->name.remote) != 0) == (nested == 1))
				names = lappend(names, &column->name);
		}
	mt_import_names(names, taken, import->options.fold_names);
	foreach(cell, columns)
	{
		ImportColumn *column = lfirst(cell);

		if (column->name.local == NULL)
		{
			*unnamed = lappend(*unnamed, unconstify(char *, column->name.remote));
			continue;
		}
		column->path = pg_any_to_server(column->path, (int) strlen(column->path), PG_UTF8);
		named = lappend(named, column);
	}
	return named;
}

/* ---- commands ---- */

/* For a message: what the database's encoding lacks stands as a question mark. */
static char *
showable(const char *utf8)
{
	char	   *text = pstrdup(utf8);

	for (char *p = text; *p != '\0'; p++)
		if (IS_HIGHBIT_SET(*p) && GetDatabaseEncoding() != PG_UTF8)
			*p = '?';
	if (pg_encoding_verifymbstr(PG_UTF8, text, (int) strlen(text)) != (int) strlen(text))
		for (char *p = text; *p != '\0'; p++)
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
	return text;
}

static void
append_column(StringInfo command, const Import *import, const ImportTable *table, const ImportColumn *column,
			  const MtCensus *census)
{
	const char *type = mt_census_sql_type(column->field, import->options.import_types);

	appendStringInfo(command, "\n    %s %s", quote_identifier(column->name.local), type);
	if (table->of_changes || strcmp(column->path, column->name.local) != 0)
		appendStringInfo(command, " OPTIONS (field %s)", quote_literal_cstr(column->path));
	if (import->options.import_collate && strncmp(type, "pg_catalog.text", 15) == 0)
		appendStringInfoString(command, " COLLATE pg_catalog.\"C\"");
	mt_import_comment(table->name.local, column->name.local,
					  showable(mt_census_text(census, column->field)));
}

static void
comment_on_table(const Import *import, const ImportTable *table)
{
	const MtCollectionInfo *collection = table->collection;
	StringInfoData text;

	initStringInfo(&text);
	if (table->of_changes)
		appendStringInfoString(&text, "changes of ");
	switch (collection->kind)
	{
		case MT_IS_VIEW:
			appendStringInfoString(&text, "view ");
			break;
		case MT_IS_TIME_SERIES:
			appendStringInfoString(&text, "time series ");
			break;
		case MT_IS_COLLECTION:
			appendStringInfoString(&text, collection->capped ? "capped collection " : "collection ");
			break;
	}
	appendStringInfo(&text, "%s.%s", import->stmt->remote_schema, table->collection_name);
	if (collection->source != NULL)
		appendStringInfo(&text, collection->kind == MT_IS_VIEW ? " on %s" : " by %s", showable(collection->source));
	mt_import_comment(table->name.local, NULL, text.data);
}

static char *
create_command(const Import *import, const ImportTable *table, List *columns, const char *document,
			   const MtCensus *census)
{
	StringInfoData command;
	const char *separator = "";
	ListCell   *cell;

	initStringInfo(&command);
	appendStringInfo(&command, "CREATE FOREIGN TABLE %s (", quote_identifier(table->name.local));
	if (table->of_changes)
	{
		appendStringInfoString(&command, CHANGES_COLUMNS);
		separator = ",";
	}
	foreach(cell, columns)
	{
		appendStringInfoString(&command, separator);
		append_column(&command, import, table, lfirst(cell), census);
		separator = ",";
	}
	if (document != NULL)
		appendStringInfo(&command, "%s\n    %s pg_catalog.jsonb OPTIONS (field '$')", separator,
						 quote_identifier(document));
	appendStringInfo(&command, "\n) SERVER %s OPTIONS (%sdatabase %s, collection %s", import->server,
					 table->of_changes ? "relation 'changes', " : "",
					 quote_literal_cstr(import->stmt->remote_schema), quote_literal_cstr(table->collection_name));
	if (import->options.on_mismatch != NULL)
		appendStringInfo(&command, ", on_mismatch %s", quote_literal_cstr(import->options.on_mismatch));
	appendStringInfoChar(&command, ')');
	return command.data;
}

static void
warn_about_fields(const ImportTable *table, const List *unnamed, int n_cut, bool census_is_full)
{
	if (unnamed != NIL)
		ereport(WARNING,
				(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
				 errmsg_plural("%d field of collection \"%s\" is no column of foreign table \"%s\"",
							   "%d fields of collection \"%s\" are no columns of foreign table \"%s\"",
							   list_length(unnamed), list_length(unnamed), table->collection_name, table->name.local),
				 errdetail("No path can name a field such as \"%s\".", showable(linitial(unnamed))),
				 errhint("Option \"document\" adds a column with the whole document.")));
	if (n_cut > 0 || census_is_full)
		ereport(WARNING,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("collection \"%s\" has more fields than foreign table \"%s\" can have columns",
						table->collection_name, table->name.local),
				 errdetail("The most frequent fields are its columns, %d others are not.", n_cut),
				 errhint("Option \"document\" adds a column with the whole document.")));
}

/* ---- collections ---- */

static MtCensus *
take_census(const Import *import, const MtCollectionInfo *collection)
{
	MtCensus   *census = mt_census_create();
	MtSlice		document;

	if (collection->validator.data != NULL)
		mt_census_add_validator(census, collection->validator);
	if (import->options.sample_size > 0)
	{
		mt_metadata_sample(import->metadata, import->database, collection->name, import->options.sample_size,
						   MAX_SAMPLE_BYTES);
		while (mt_metadata_next(import->metadata, &document))
		{
			CHECK_FOR_INTERRUPTS();
			mt_census_add_document(census, document);
		}
	}
	if (collection->kind == MT_IS_COLLECTION)
		mt_import_indexes(import->metadata, import->database, collection->name, import->options.sample_size,
						  import->options.flatten, census);
	return census;
}

/* Every document has an _id, also where none was seen; one of a view may lack it. */
static void
add_missing_id(MtCensus *census, List **columns)
{
	ImportColumn *column = palloc0(sizeof *column);
	MtCensusField *field = palloc0(sizeof *field);

	field->name = pstrdup("_id");
	field->name_len = 3;
	field->parent = census->root;
	dlist_init(&field->fields);
	column->name.remote = "_id";
	column->path = pstrdup("_id");
	column->field = field;
	*columns = lcons(column, *columns);
}

static bool
has_id(const List *columns)
{
	return columns != NIL && strcmp(((ImportColumn *) linitial(columns))->path, "_id") == 0;
}

/* The command that makes the table, in the current memory context. */
static char *
import_table(const Import *import, const ImportTable *table)
{
	MtCensus   *census = take_census(import, table->collection);
	const char *document = import->options.document;
	List	   *columns = NIL;
	List	   *unnamed = NIL;
	int			n_cut = 0;
	int			room;
	dlist_iter	iter;

	dlist_foreach(iter, &census->root->fields)
		add_columns(import, dlist_container(MtCensusField, node, iter.cur), "", "", &columns, &unnamed);
	if (!has_id(columns) && table->collection->kind == MT_IS_COLLECTION)
		add_missing_id(census, &columns);
	/* of a collection that shows nothing, what it will hold */
	if (document == NULL && census->documents == 0 && !census->has_schema)
		document = "document";
	room = MaxHeapAttributeNumber - (table->of_changes ? N_CHANGES_COLUMNS : 0) - (document != NULL ? 1 : 0);
	if (list_length(columns) > room)
	{
		n_cut = list_length(columns) - room;
		columns = limit_columns(columns, room);
	}
	columns = name_columns(import, columns, table->of_changes, document, &unnamed);
	warn_about_fields(table, unnamed, n_cut, census->is_full);
	comment_on_table(import, table);
	return create_command(import, table, columns, document, census);
}

/* ---- the database ---- */

static void
no_such_database(const Import *import)
{
	StringInfoData others;
	ListCell   *cell;

	initStringInfo(&others);
	foreach(cell, mt_metadata_databases(import->metadata))
		appendStringInfo(&others, "%s%s", others.len > 0 ? ", " : "", showable(lfirst(cell)));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
			 errmsg("database \"%s\" has no collections on server \"%s\"",
					import->stmt->remote_schema, import->stmt->server_name),
			 others.len > 0 ? errdetail("The server has the databases %s.", others.data) : 0,
			 errhint("The schema to import is a database of MongoDB; upper and lower case matter.")));
}

/* All tables that could be made, with their names. */
static List *
name_tables(const Import *import, List *collections)
{
	List	   *tables = NIL;
	List	   *names = NIL;
	ListCell   *cell;

	for (int of_changes = 0; of_changes <= (import->options.import_changes ? 1 : 0); of_changes++)
		foreach(cell, collections)
		{
			ImportTable *table = palloc0(sizeof *table);

			table->collection = lfirst(cell);
			table->of_changes = of_changes;
			table->name.remote = of_changes ? psprintf("%s%s", table->collection->name, CHANGES_SUFFIX) :
				table->collection->name;
			/* a view has no changes of its own, and those of a time series are its buckets' */
			if (of_changes && table->collection->kind != MT_IS_COLLECTION)
				continue;
			tables = lappend(tables, table);
			names = lappend(names, &table->name);
		}
	mt_import_names(names, NIL, import->options.fold_names);
	return tables;
}

List *
mt_collection_import(ImportForeignSchemaStmt *stmt, Oid serverid)
{
	Import		import = {.stmt = stmt, .options = parse_options(stmt->options)};
	MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail import", ALLOCSET_DEFAULT_SIZES);
	List	   *collections;
	List	   *commands = NIL;
	ListCell   *cell;

	import.metadata = mt_metadata_open(serverid, GetUserId());
	import.database = utf8_of(stmt->remote_schema);
	import.server = pstrdup(quote_identifier(GetForeignServer(serverid)->servername));
	collections = mt_metadata_collections(import.metadata, import.database);
	if (collections == NIL)
		no_such_database(&import);
	foreach(cell, name_tables(&import, collections))
	{
		ImportTable *table = lfirst(cell);
		MemoryContext old;
		char	   *command;

		CHECK_FOR_INTERRUPTS();
		if (table->name.local == NULL)
		{
			ereport(WARNING,
					(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
					 errmsg("collection \"%s\" is not imported", showable(table->collection->name)),
					 errdetail("The encoding of this database has no characters for its name.")));
			continue;
		}
		if (!IsImportableForeignTable(table->name.local, stmt))
			continue;
		table->collection_name = pg_any_to_server(pstrdup(table->collection->name),
												  (int) strlen(table->collection->name), PG_UTF8);
		old = MemoryContextSwitchTo(one);
		command = import_table(&import, table);
		MemoryContextSwitchTo(old);
		commands = lappend(commands, pstrdup(command));
		MemoryContextReset(one);
	}
	return commands;
}
