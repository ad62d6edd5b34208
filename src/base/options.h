/*
 * options.h
 *		The options of foreign servers, user mappings, foreign tables and
 *		columns: one table in options.c says which there are.
 *
 * The structures are allocated in the current memory context, strings
 * included, and hold the defaults of what was not given.
 */
#ifndef MT_OPTIONS_H
#define MT_OPTIONS_H

#include "postgres.h"

#include "access/attnum.h"

#include "oplog/bson_walk.h"

/* What a value that does not convert to its column's type reads as. */
typedef enum MtOnMismatch
{
	MT_MISMATCH_DEFAULT,		/* not given: as the table has it, or the server; else an error */
	MT_MISMATCH_ERROR,
	MT_MISMATCH_NULL
} MtOnMismatch;

/* A boolean that a table leaves to its server, and a server to the default. */
typedef enum MtSwitch
{
	MT_SWITCH_DEFAULT,
	MT_SWITCH_OFF,
	MT_SWITCH_ON
} MtSwitch;

typedef enum MtReadConcern
{
	MT_READ_CONCERN_DEFAULT,	/* not given */
	MT_READ_CONCERN_MAJORITY,
	MT_READ_CONCERN_LOCAL,
	MT_READ_CONCERN_AVAILABLE,
	MT_READ_CONCERN_LINEARIZABLE
} MtReadConcern;

typedef enum MtReadPreference
{
	MT_READ_AS_URI,				/* not given: the uri's, else the primary */
	MT_READ_PRIMARY,
	MT_READ_PRIMARY_PREFERRED,
	MT_READ_SECONDARY,
	MT_READ_SECONDARY_PREFERRED,
	MT_READ_NEAREST
} MtReadPreference;

/* What is read at one and the same time of MongoDB's. */
typedef enum MtReadConsistency
{
	MT_CONSISTENCY_DEFAULT,		/* not given */
	MT_CONSISTENCY_CURSOR,		/* what a cursor shows, no more */
	MT_CONSISTENCY_STATEMENT,
	MT_CONSISTENCY_TRANSACTION
} MtReadConsistency;

typedef struct MtServerOptions
{
	char	   *uri;
	int			connect_timeout_ms; /* 0: the uri's or the driver's */
	int			await_ms;		/* how long an empty getMore waits on the server */
	int			batch_size;		/* entries a getMore */
	int			max_backoff_ms; /* between tries to connect */
	MtReadConcern read_concern;
	bool		read_concern_local; /* the same; default is majority */
	MtReadPreference read_preference;
	MtReadConsistency read_consistency;
	char	   *oplog_database; /* "local" */
	char	   *oplog_collection;	/* "oplog.rs" */
	bool		include_migrate;	/* show entries with fromMigrate */
	int			lookup_batch;	/* ids in one look-up of full documents */
	int			lookup_wait_ms; /* how long an update may wait for others, to be looked up together */
	int			lookup_connections; /* finds in flight at once */
	MtOnMismatch on_mismatch;
	double		fdw_startup_cost;	/* of a find, in the planner's units; -1: not given */
	double		fdw_tuple_cost; /* of a document that is sent; -1: not given */
	MtSwitch	no_cursor_timeout;
	MtSwitch	allow_disk_use;
	MtSwitch	enable_filter;
	MtSwitch	enable_sort;
	MtSwitch	enable_limit;
	MtSwitch	enable_aggregate;
	MtSwitch	enable_join;
	MtSwitch	enable_projection;
	MtSwitch	enable_parallel;
} MtServerOptions;

typedef struct MtUserOptions
{
	char	   *username;		/* NULL: not given, as with all of these */
	char	   *password;
	char	   *auth_source;
	char	   *auth_mechanism;
	char	   *tls_certificate_key_file;
	char	   *tls_certificate_key_file_password;
} MtUserOptions;

typedef enum MtTableRelation
{
	MT_TABLE_COLLECTION,		/* the documents of a collection; the default */
	MT_TABLE_CHANGES			/* the server's changes */
} MtTableRelation;

typedef struct MtTableOptions
{
	Oid			serverid;
	MtTableRelation relation;
	char	   *database;		/* NULL: not given */
	char	   *collection;		/* NULL: not given */
	MtOnMismatch on_mismatch;
	char	   *filter;			/* in Extended JSON; NULL: not given */
	char	   *pipeline;		/* in Extended JSON; NULL: not given */
	int			batch_size;		/* 0: not given */
	MtReadConcern read_concern;
	MtReadPreference read_preference;
	MtReadConsistency read_consistency;
	MtSwitch	no_cursor_timeout;
	MtSwitch	allow_disk_use;
	MtSwitch	enable_filter;
	MtSwitch	enable_sort;
	MtSwitch	enable_limit;
	MtSwitch	enable_aggregate;
	MtSwitch	enable_join;
	MtSwitch	enable_projection;
	MtSwitch	enable_parallel;
} MtTableOptions;

typedef struct MtColumnOptions
{
	char	   *field;			/* dotted path into the document; NULL: not given */
	MtOnMismatch on_mismatch;
} MtColumnOptions;

/* What may be left to MongoDB, of a table. */
typedef struct MtPushdown
{
	bool		filter;			/* WHERE */
	bool		sort;			/* ORDER BY */
	bool		limit;			/* LIMIT, OFFSET */
	bool		aggregate;		/* aggregates, GROUP BY, HAVING, DISTINCT */
	bool		join;
	bool		projection;		/* only the fields that are needed */
	bool		parallel;		/* no pushdown, but switched likewise */
} MtPushdown;

/* How a collection is read: the table's options over the server's. */
typedef struct MtReadOptions
{
	int			batch_size;
	MtReadConcern read_concern; /* never MT_READ_CONCERN_DEFAULT */
	MtReadPreference read_preference;
	MtReadConsistency read_consistency; /* never MT_CONSISTENCY_DEFAULT */
	bool		no_cursor_timeout;
	MtSwitch	allow_disk_use; /* MT_SWITCH_DEFAULT: as MongoDB has it */
	MtSlice		filter;			/* a document; data NULL: none */
	MtSlice		pipeline;		/* an array of stages that come before all others; data NULL: none */
} MtReadOptions;

/* Throws when there is no such server. */
extern MtServerOptions *mt_options_server(Oid serverid);

/* Of the user's own mapping, else of PUBLIC's, else all NULL. */
extern MtUserOptions *mt_options_user(Oid serverid, Oid userid);

extern MtTableOptions *mt_options_table(Oid relid);

extern MtColumnOptions *mt_options_column(Oid relid, AttrNumber attnum);

/*
 * Table over server over the default, which is to leave to MongoDB what can
 * be; but what a setting mongo_tail.enable_... switches off is off, and all of
 * it when mongo_tail.enable_pushdown is.
 */
extern MtPushdown mt_options_pushdown(const MtTableOptions *table);

extern MtReadOptions *mt_options_read(const MtTableOptions *table);

#endif							/* MT_OPTIONS_H */
