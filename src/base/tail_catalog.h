/*
 * tail_catalog.h
 *		The tables mongo_tail.tail, tail_shard and tail_grant, as C structs.
 */
#ifndef MT_TAIL_CATALOG_H
#define MT_TAIL_CATALOG_H

#include "nodes/pg_list.h"

typedef struct MtTailShard
{
	char	   *name;
	uint32		id;				/* mt_position_shard_id(name) */
	uint64		resume_time;	/* cluster time */
} MtTailShard;

typedef struct MtTail
{
	NameData	server;
	Oid			serverid;
	Oid			owner;
	int			n_includes;
	int			n_excludes;
	char	  **includes;
	char	  **excludes;
	bool		lookup;			/* full_document 'lookup' */
	int64		ring_bytes;
	char	   *notify_channel; /* NULL: none */
	int			notify_ms;
	uint64		start_time;		/* cluster time */
	bool		paused;
	uint64		paused_at;		/* cluster time, if paused */
	int64		version;
	bool		adopted;		/* belongs to this cluster, database and server */
	int			n_shards;
	MtTailShard *shards;
	uint32		options_stamp;	/* of a scan: changes with the options to connect by */
} MtTail;

/*
 * Load a tail, in the current memory context.  NULL when there is none and
 * missing_ok; else an ERROR 42704 with a hint.
 */
extern MtTail *mt_tail_catalog_load(const char *server, bool missing_ok);

/* The tail that runs here on a server, whatever its name is now, or NULL. */
extern MtTail *mt_tail_catalog_load_server(Oid serverid);

/* All tails of this database: a List of MtTail. */
extern List *mt_tail_catalog_load_all(void);

/* Insert or replace (version then grows); shards included. */
extern void mt_tail_catalog_store(const MtTail *tail);

extern void mt_tail_catalog_delete(const char *server);
extern void mt_tail_catalog_set_paused(const char *server, bool paused, uint64 paused_at);

/*
 * Store how far a shard has been tailed, unless the tail is no longer of that
 * version.  Waits for nobody: a row that somebody has locked stays as it is.
 */
extern void mt_tail_catalog_set_resume(Oid serverid, int64 version, const char *shard,
									   uint64 resume_time);

extern void mt_tail_catalog_grant(const char *server, Oid role, bool grant);

/*
 * May this role read the tail: a superuser, its owner (or a member of that
 * role), or a grantee (or a member)?
 */
extern bool mt_tail_may_read(const MtTail *tail, Oid role);
/* May it change it: a superuser, the owner or a member? */
extern bool mt_tail_may_change(const MtTail *tail, Oid role);

#endif							/* MT_TAIL_CATALOG_H */
