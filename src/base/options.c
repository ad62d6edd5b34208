/*
 * options.c
 *		Options of foreign servers, user mappings, foreign tables and columns.
 *
 * One table says of each option where it stands, of what type it is, what it
 * may be, who may set it, and where in which structure it goes.  The validator
 * and the getters only walk that table; to add an option is to add a line and
 * a field.
 *
 * Everyone may read a server's options, so they hold no secret and nothing by
 * which a user would act under another's identity: credentials and the
 * mechanism to use them stand in user mappings.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "base/extended_json.h"
#include "base/options.h"
#include "guc.h"
#include "mongo/connection.h"
#include "mongo/uri.h"

PG_FUNCTION_INFO_V1(mongo_tail_fdw_validator);

typedef enum OptionType
{
	OPTION_TEXT,				/* any text but the empty one: char * */
	OPTION_SECRET,				/* the same, and never shown: char * */
	OPTION_URI,					/* a connection string: char * */
	OPTION_MECHANISM,			/* an authentication mechanism: char * */
	OPTION_FILE,				/* a file on this machine: char * */
	OPTION_MS,					/* milliseconds, or with a unit ('5s'): int */
	OPTION_COUNT,				/* int */
	OPTION_BOOL,				/* bool */
	OPTION_SWITCH,				/* a boolean that may be left to others: MtSwitch */
	OPTION_COST,				/* the planner's, from 0: double */
	OPTION_WORD,				/* one of words: an enum, or the like of it: int */
	OPTION_DATABASE,			/* the name of a database: char * */
	OPTION_FILTER,				/* a document in Extended JSON: char * */
	OPTION_PIPELINE				/* an array of stages in Extended JSON: char * */
} OptionType;

/* What an option of type OPTION_WORD may be; the last one has no text. */
typedef struct Word
{
	const char *text;
	int			value;
} Word;

static const Word mismatches[] = {
	{"error", MT_MISMATCH_ERROR}, {"null", MT_MISMATCH_NULL}, {NULL, 0}
};
static const Word relations[] = {
	{"collection", MT_TABLE_COLLECTION}, {"changes", MT_TABLE_CHANGES}, {NULL, 0}
};
static const Word tail_read_concerns[] = {
	{"majority", MT_READ_CONCERN_MAJORITY}, {"local", MT_READ_CONCERN_LOCAL}, {NULL, 0}
};
static const Word read_concerns[] = {
	{"majority", MT_READ_CONCERN_MAJORITY}, {"local", MT_READ_CONCERN_LOCAL},
	{"available", MT_READ_CONCERN_AVAILABLE}, {"linearizable", MT_READ_CONCERN_LINEARIZABLE}, {NULL, 0}
};
static const Word read_preferences[] = {
	{"primary", MT_READ_PRIMARY}, {"primaryPreferred", MT_READ_PRIMARY_PREFERRED},
	{"secondary", MT_READ_SECONDARY}, {"secondaryPreferred", MT_READ_SECONDARY_PREFERRED},
	{"nearest", MT_READ_NEAREST}, {NULL, 0}
};
static const Word consistencies[] = {
	{"cursor", MT_CONSISTENCY_CURSOR}, {"statement", MT_CONSISTENCY_STATEMENT},
	{"transaction", MT_CONSISTENCY_TRANSACTION}, {NULL, 0}
};

typedef struct Option
{
	const char *name;
	Oid			catalog;		/* of the object it stands on */
	OptionType	type;
	size_t		offset;			/* in the object's structure */
	int			min;			/* of numbers */
	int			max;
	const Word *words;
	bool		collections_only;	/* a table of changes cannot have it */
} Option;

#define OPTION(option, on, structure, kind, ...) \
	{.name = #option, .catalog = on, .type = kind, .offset = offsetof(structure, option), __VA_ARGS__}
#define SERVER(name, type, ...)	OPTION(name, ForeignServerRelationId, MtServerOptions, type, __VA_ARGS__)
#define USER(name, type, ...)	OPTION(name, UserMappingRelationId, MtUserOptions, type, __VA_ARGS__)
#define TABLE(name, type, ...)	OPTION(name, ForeignTableRelationId, MtTableOptions, type, __VA_ARGS__)
#define COLUMN(name, type, ...)	OPTION(name, AttributeRelationId, MtColumnOptions, type, __VA_ARGS__)

/* Of a server and of a table, which has the last word. */
#define SWITCH(name) \
	SERVER(name, OPTION_SWITCH), TABLE(name, OPTION_SWITCH, .collections_only = true)

static const Option options[] = {
	SERVER(uri, OPTION_URI),
	SERVER(connect_timeout_ms, OPTION_MS, .min = 1, .max = INT_MAX),
	SERVER(await_ms, OPTION_MS, .min = 1, .max = 60 * 60 * 1000),
	SERVER(batch_size, OPTION_COUNT, .min = 1, .max = 1000000),
	SERVER(max_backoff_ms, OPTION_MS, .min = 10, .max = 24 * 60 * 60 * 1000),
	SERVER(read_concern, OPTION_WORD, .words = tail_read_concerns),
	SERVER(read_preference, OPTION_WORD, .words = read_preferences),
	SERVER(read_consistency, OPTION_WORD, .words = consistencies),
	SERVER(oplog_database, OPTION_TEXT),
	SERVER(oplog_collection, OPTION_TEXT),
	SERVER(include_migrate, OPTION_BOOL),
	SERVER(lookup_batch, OPTION_COUNT, .min = 1, .max = 10000),
	SERVER(lookup_wait_ms, OPTION_MS, .min = 0, .max = 60 * 1000),
	SERVER(lookup_connections, OPTION_COUNT, .min = 1, .max = 16),
	SERVER(on_mismatch, OPTION_WORD, .words = mismatches),
	SERVER(fdw_startup_cost, OPTION_COST),
	SERVER(fdw_tuple_cost, OPTION_COST),

	USER(username, OPTION_TEXT),
	USER(password, OPTION_SECRET),
	USER(auth_source, OPTION_TEXT),
	USER(auth_mechanism, OPTION_MECHANISM),
	USER(tls_certificate_key_file, OPTION_FILE),
	USER(tls_certificate_key_file_password, OPTION_SECRET),

	TABLE(relation, OPTION_WORD, .words = relations),
	TABLE(database, OPTION_DATABASE),
	TABLE(collection, OPTION_TEXT),
	TABLE(on_mismatch, OPTION_WORD, .words = mismatches),
	TABLE(filter, OPTION_FILTER, .collections_only = true),
	TABLE(pipeline, OPTION_PIPELINE, .collections_only = true),
	TABLE(batch_size, OPTION_COUNT, .min = 1, .max = 1000000, .collections_only = true),
	TABLE(read_concern, OPTION_WORD, .words = read_concerns, .collections_only = true),
	TABLE(read_preference, OPTION_WORD, .words = read_preferences, .collections_only = true),
	TABLE(read_consistency, OPTION_WORD, .words = consistencies, .collections_only = true),

	SWITCH(no_cursor_timeout),
	SWITCH(allow_disk_use),
	SWITCH(enable_filter),
	SWITCH(enable_sort),
	SWITCH(enable_limit),
	SWITCH(enable_aggregate),
	SWITCH(enable_join),
	SWITCH(enable_projection),
	SWITCH(enable_parallel),

	COLUMN(field, OPTION_TEXT),
	COLUMN(on_mismatch, OPTION_WORD, .words = mismatches),
};

/* An enum is stored through a pointer to int. */
StaticAssertDecl(sizeof(MtOnMismatch) == sizeof(int) && sizeof(MtSwitch) == sizeof(int),
				 "enums are as large as int");

/* Who may use a mechanism.  What is not here, the driver refuses. */
typedef enum MechanismPrivilege
{
	MECHANISM_ANYBODY,			/* proves itself by the mapping's own password */
	MECHANISM_READS_FILES,		/* by a certificate file of this machine */
	MECHANISM_SUPERUSER			/* by the identity of the server's process */
} MechanismPrivilege;

static const struct
{
	const char *name;
	MechanismPrivilege privilege;
}			mechanisms[] =
{
	{"SCRAM-SHA-256", MECHANISM_ANYBODY},
	{"SCRAM-SHA-1", MECHANISM_ANYBODY},
	{"PLAIN", MECHANISM_ANYBODY},
	{"MONGODB-X509", MECHANISM_READS_FILES},
	{"MONGODB-AWS", MECHANISM_SUPERUSER},
	{"GSSAPI", MECHANISM_SUPERUSER},
};

static const Option *
find_option(const char *name, Oid catalog)
{
	for (size_t i = 0; i < lengthof(options); i++)
		if (options[i].catalog == catalog && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* NULL: none of these. */
static const Word *
find_word(const Word *words, const char *text)
{
	for (const Word *word = words; word->text != NULL; word++)
		if (strcmp(word->text, text) == 0)
			return word;
	return NULL;
}

static void
unknown_option(const char *name, Oid catalog)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (size_t i = 0; i < lengthof(options); i++)
		if (options[i].catalog == catalog)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", options[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 valid.len > 0 ?
			 errhint("Valid options in this context are: %s.", valid.data) :
			 errhint("There are no valid options in this context.")));
}

static void
invalid_value(const Option *option, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", option->name, value),
			 hint != NULL ? errhint("%s", hint) : 0));
}

static void
require_file_privilege(const Option *option)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\" to a value that reads files of the database server",
						option->name),
				 errhint("Only superusers and members of role \"pg_read_server_files\" may do that.")));
}

static void
check_uri(const Option *option, const char *value)
{
	MtMongoError error;
	char		mechanism[64];
	char		level[64];
	bool		has_credentials;

	if (!mt_uri_check(value, &has_credentials, &error))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", option->name),
				 errdetail("%s.", error.message),
				 has_credentials ?
				 errhint("Put credentials in a user mapping: CREATE USER MAPPING FOR ... "
						 "OPTIONS (username '...', password '...'). A literal @ is written %%40.") :
				 errhint("A uri looks like mongodb://host1:27017,host2:27017/?replicaSet=rs0; "
						 "authentication options belong in a user mapping.")));
	if (mt_uri_auth_mechanism(value, mechanism, sizeof(mechanism)))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", option->name),
				 errdetail("The uri names the authentication mechanism %s.", mechanism),
				 errhint("Set option \"auth_mechanism\" of the user mapping instead.")));
	if (mt_uri_read_concern(value, level, sizeof(level)) && find_word(read_concerns, level) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", option->name),
				 errdetail("The uri names the read concern \"%s\".", level),
				 errhint("It can be majority, local, available or linearizable; "
						 "for snapshots there is option \"read_consistency\".")));
	if (mt_uri_names_files(value))
		require_file_privilege(option);
}

static void
check_mechanism(const Option *option, const char *value)
{
	for (size_t i = 0; i < lengthof(mechanisms); i++)
	{
		if (strcmp(mechanisms[i].name, value) != 0)
			continue;
		if (mechanisms[i].privilege == MECHANISM_READS_FILES)
			require_file_privilege(option);
		if (mechanisms[i].privilege == MECHANISM_SUPERUSER && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to use authentication mechanism %s", value),
					 errdetail("It uses the identity of the database server's own process."),
					 errhint("Only superusers may set it.")));
		return;
	}
	invalid_value(option, value,
				  "Mechanisms are SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, MONGODB-X509, MONGODB-AWS and GSSAPI.");
}

static int
parse_number(const Option *option, const char *value)
{
	const char *hint = NULL;
	int			result;

	if (!parse_int(value, &result, option->type == OPTION_MS ? GUC_UNIT_MS : 0, &hint))
		invalid_value(option, value, hint);
	if (result < option->min || result > option->max)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("%d is outside the valid range of option \"%s\" (%d .. %d)",
						result, option->name, option->min, option->max)));
	return result;
}

static bool
parse_flag(const Option *option, const char *value)
{
	bool		result;

	if (!parse_bool(value, &result))
		invalid_value(option, value, "Write true or false.");
	return result;
}

static double
parse_cost(const Option *option, const char *value)
{
	const char *hint = NULL;
	double		result;

	if (!parse_real(value, &result, 0, &hint) || !(result >= 0) || isinf(result))
		invalid_value(option, value, hint != NULL ? hint : "It is a number from 0.");
	return result;
}

static int
parse_word(const Option *option, const char *value)
{
	const Word *known = find_word(option->words, value);
	StringInfoData hint;

	if (known != NULL)
		return known->value;
	initStringInfo(&hint);
	for (const Word *word = option->words; word->text != NULL; word++)
		appendStringInfo(&hint, "%s\"%s\"",
						 word == option->words ? "It is " : (word + 1)->text == NULL ? " or " : ", ",
						 word->text);
	appendStringInfoChar(&hint, '.');
	invalid_value(option, value, hint.data);
	return 0;
}

/* As MongoDB names databases; so it is never a pattern of namespaces either. */
static void
check_database(const Option *option, const char *value)
{
	if (value[0] == '\0' || strlen(value) > 63 || strpbrk(value, "/\\. \"$*<>:|?") != NULL)
		invalid_value(option, value, "A database's name has 1 to 63 bytes, and none of /\\. \"$*<>:|?");
}

/*
 * Throw unless the current user may give the option this value.  Numbers and
 * words are checked by reading them.
 */
static void
check_value(const Option *option, const char *value)
{
	switch (option->type)
	{
		case OPTION_TEXT:
		case OPTION_SECRET:
			if (value[0] == '\0')
				invalid_value(option, value, "It must not be empty; to have none, drop the option.");
			break;
		case OPTION_URI:
			check_uri(option, value);
			break;
		case OPTION_MECHANISM:
			check_mechanism(option, value);
			break;
		case OPTION_FILE:
			require_file_privilege(option);
			break;
		case OPTION_MS:
		case OPTION_COUNT:
			(void) parse_number(option, value);
			break;
		case OPTION_BOOL:
		case OPTION_SWITCH:
			(void) parse_flag(option, value);
			break;
		case OPTION_COST:
			(void) parse_cost(option, value);
			break;
		case OPTION_WORD:
			(void) parse_word(option, value);
			break;
		case OPTION_DATABASE:
			check_database(option, value);
			break;
		case OPTION_FILTER:
			(void) mt_parse_filter(option->name, value);
			break;
		case OPTION_PIPELINE:
			(void) mt_parse_pipeline(option->name, value);
			break;
	}
}

/* Throw when a table of changes has an option of collections. */
static void
check_relation(List *list)
{
	bool		shows_changes = false;
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		shows_changes |= strcmp(def->defname, "relation") == 0 && strcmp(defGetString(def), "changes") == 0;
	}
	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);

		if (shows_changes && find_option(def->defname, ForeignTableRelationId)->collections_only)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname),
					 errdetail("It is an option of tables that read a collection, and this one reads changes.")));
	}
}

/*
 * The validator of the foreign-data wrapper.  Options already stored are
 * checked again when one beside them is altered, so that whoever may not set a
 * value may not keep it by altering around it either.
 */
Datum
mongo_tail_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *list = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	bool		has_uri = false;
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);

		if (option == NULL)
			unknown_option(def->defname, catalog);
		else
			check_value(option, defGetString(def));
		has_uri |= strcmp(def->defname, "uri") == 0;
	}
	if (catalog == ForeignServerRelationId && !has_uri)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"uri\" is required"),
				 errhint("For example: OPTIONS (uri 'mongodb://localhost:27017/?replicaSet=rs0').")));
	if (catalog == ForeignTableRelationId)
		check_relation(list);
	PG_RETURN_VOID();
}

static void
store_value(const Option *option, const char *value, void *to)
{
	void	   *field = (char *) to + option->offset;

	switch (option->type)
	{
		case OPTION_TEXT:
		case OPTION_SECRET:
		case OPTION_URI:
		case OPTION_MECHANISM:
		case OPTION_FILE:
		case OPTION_DATABASE:
		case OPTION_FILTER:
		case OPTION_PIPELINE:
			*(char **) field = pstrdup(value);
			break;
		case OPTION_MS:
		case OPTION_COUNT:
			*(int *) field = parse_number(option, value);
			break;
		case OPTION_BOOL:
			*(bool *) field = parse_flag(option, value);
			break;
		case OPTION_SWITCH:
			*(MtSwitch *) field = parse_flag(option, value) ? MT_SWITCH_ON : MT_SWITCH_OFF;
			break;
		case OPTION_COST:
			*(double *) field = parse_cost(option, value);
			break;
		case OPTION_WORD:
			*(int *) field = parse_word(option, value);
			break;
	}
}

/* Put stored options over the defaults in to. */
static void
store_list(List *list, Oid catalog, void *to)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);

		if (option == NULL)
			unknown_option(def->defname, catalog);
		else
			store_value(option, defGetString(def), to);
	}
}

MtServerOptions *
mt_options_server(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);
	MtServerOptions *result = palloc0(sizeof(MtServerOptions));

	result->await_ms = 1000;
	result->batch_size = 5000;
	result->max_backoff_ms = 30000;
	result->oplog_database = "local";
	result->oplog_collection = "oplog.rs";
	result->lookup_batch = 1000;
	result->lookup_wait_ms = 0;
	result->lookup_connections = 3;
	result->fdw_startup_cost = -1;
	result->fdw_tuple_cost = -1;
	store_list(server->options, ForeignServerRelationId, result);
	result->read_concern_local = result->read_concern == MT_READ_CONCERN_LOCAL;
	if (result->uri == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("server \"%s\" has no option \"uri\"", server->servername),
				 errhint("It must be a server of foreign-data wrapper \"mongo_tail\".")));
	return result;
}

MtUserOptions *
mt_options_user(Oid serverid, Oid userid)
{
	MtUserOptions *result = palloc0(sizeof(MtUserOptions));
	HeapTuple	tuple;
	Datum		stored;
	bool		isnull;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
							ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
								ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return result;
	stored = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							 Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		store_list(untransformRelOptions(stored), UserMappingRelationId, result);
	ReleaseSysCache(tuple);
	return result;
}

MtTableOptions *
mt_options_table(Oid relid)
{
	ForeignTable *table = GetForeignTable(relid);
	MtTableOptions *result = palloc0(sizeof(MtTableOptions));

	result->serverid = table->serverid;
	store_list(table->options, ForeignTableRelationId, result);
	return result;
}

MtColumnOptions *
mt_options_column(Oid relid, AttrNumber attnum)
{
	MtColumnOptions *result = palloc0(sizeof(MtColumnOptions));

	store_list(GetForeignColumnOptions(relid, attnum), AttributeRelationId, result);
	return result;
}

/* ---- a table's options over its server's ---- */

static bool
is_on(MtSwitch table, MtSwitch server, bool otherwise)
{
	if (table != MT_SWITCH_DEFAULT)
		return table == MT_SWITCH_ON;
	return server != MT_SWITCH_DEFAULT ? server == MT_SWITCH_ON : otherwise;
}

MtPushdown
mt_options_pushdown(const MtTableOptions *table)
{
	MtServerOptions *server = mt_options_server(table->serverid);
	MtPushdown	result;

#define ALLOWED(name) \
	(mt_guc_enable_pushdown && mt_guc_enable_##name && is_on(table->enable_##name, server->enable_##name, true))
	result.filter = ALLOWED(filter);
	result.sort = ALLOWED(sort);
	result.limit = ALLOWED(limit);
	result.aggregate = ALLOWED(aggregate);
	result.join = ALLOWED(join);
	result.projection = ALLOWED(projection);
	result.parallel = ALLOWED(parallel);
#undef ALLOWED
	return result;
}

/* What the uri says, else what MongoDB's cluster has agreed on. */
static MtReadConcern
default_read_concern(const char *uri)
{
	char		level[64];
	const Word *word = mt_uri_read_concern(uri, level, sizeof(level)) ? find_word(read_concerns, level) : NULL;

	return word != NULL ? (MtReadConcern) word->value : MT_READ_CONCERN_MAJORITY;
}

MtReadOptions *
mt_options_read(const MtTableOptions *table)
{
	MtServerOptions *server = mt_options_server(table->serverid);
	MtReadOptions *result = palloc0(sizeof *result);

#define GIVEN(name, otherwise) \
	(table->name != 0 ? table->name : server->name != 0 ? server->name : (otherwise))
	result->batch_size = GIVEN(batch_size, 0);
	result->read_concern = GIVEN(read_concern, default_read_concern(server->uri));
	result->read_preference = GIVEN(read_preference, MT_READ_AS_URI);
	result->read_consistency = GIVEN(read_consistency, MT_CONSISTENCY_CURSOR);
#undef GIVEN
	result->no_cursor_timeout = is_on(table->no_cursor_timeout, server->no_cursor_timeout, false);
	result->allow_disk_use = table->allow_disk_use != MT_SWITCH_DEFAULT ?
		table->allow_disk_use : server->allow_disk_use;
	if (table->filter != NULL)
		result->filter = mt_parse_filter("filter", table->filter);
	if (table->pipeline != NULL)
		result->pipeline = mt_parse_pipeline("pipeline", table->pipeline);
	return result;
}
