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

/* What a value that does not convert to its column's type reads as. */
typedef enum MtOnMismatch
{
	MT_MISMATCH_DEFAULT,		/* not given: as the table has it, or the server; else an error */
	MT_MISMATCH_ERROR,
	MT_MISMATCH_NULL
} MtOnMismatch;

typedef struct MtServerOptions
{
	char	   *uri;
	int			connect_timeout_ms; /* 0: the uri's or the driver's */
	int			await_ms;		/* how long an empty getMore waits on the server */
	int			batch_size;		/* entries a getMore */
	int			max_backoff_ms; /* between tries to connect */
	bool		read_concern_local; /* default is majority */
	char	   *oplog_database; /* "local" */
	char	   *oplog_collection;	/* "oplog.rs" */
	bool		include_migrate;	/* show entries with fromMigrate */
	int			lookup_batch;	/* ids in one look-up of full documents */
	int			lookup_wait_ms; /* how long an update may wait for others, to be looked up together */
	int			lookup_connections; /* finds in flight at once */
	MtOnMismatch on_mismatch;
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
} MtTableOptions;

typedef struct MtColumnOptions
{
	char	   *field;			/* dotted path into the document; NULL: not given */
	MtOnMismatch on_mismatch;
} MtColumnOptions;

/* Throws when there is no such server. */
extern MtServerOptions *mt_options_server(Oid serverid);

/* Of the user's own mapping, else of PUBLIC's, else all NULL. */
extern MtUserOptions *mt_options_user(Oid serverid, Oid userid);

extern MtTableOptions *mt_options_table(Oid relid);

extern MtColumnOptions *mt_options_column(Oid relid, AttrNumber attnum);

#endif							/* MT_OPTIONS_H */
