/*
 * tailer_private.h
 *		What the files of the tailer share: its state, one a process.
 */
#ifndef MT_TAILER_PRIVATE_H
#define MT_TAILER_PRIVATE_H

#include "postgres.h"

#include "base/lookup_queue.h"
#include "base/oplog_stream.h"
#include "base/options.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "ring/ring.h"

typedef struct MtTailer
{
	MtTailSlot *slot;
	MemoryContext session_context;
	/* of the session */
	MtTail	   *tail;			/* the catalog row */
	MtTailShard *shard;			/* in it */
	MtServerOptions *server;
	MtNamespaceFilter *filter;
	MtConnection *connection;
	MtOplogStream *stream;
	MtRing	   *ring;
	MtRingPlace published;		/* the newest record in the ring */
	uint64		batch_events;	/* appended since the last commit */
	MtLookupQueue *lookups;		/* NULL: no documents are looked up */
	uint64		stored_time;	/* last resume time stored */
	TimestampTz stored_at;
	TimestampTz oplog_first_at;
	TimestampTz notified_at;
	bool		notify_pending;
	/* of the tailer */
	Oid			owner;			/* whom it runs as */
	int			backoff_ms;
	uint32		options_stamp;	/* the slot's, when the options were read */
	bool		scan_fails;		/* chores that failed the last time */
	bool		notify_fails;
	bool		store_fails;
	MtTailStatus logged;		/* the last state that the log knows */
} MtTailer;

extern MtTailer mt_tailer;

/* ---- tailer_chores.c ---- */

/*
 * Run chore in a transaction; an error of it is logged, if it is the first
 * since it last succeeded, and no more.
 */
extern bool mt_tailer_in_transaction(void (*chore) (void), bool *failing);

/* Everything up to this time is in the ring, committed or not. */
extern uint64 mt_tailer_published_to(void);

/* Store where a tailer without a ring would go on: when it is due, or at once. */
extern void mt_tailer_store_progress(TimestampTz now, bool at_once);

/*
 * NOTIFY at most once in notify_ms; a notification that must wait shortens
 * the next await.
 */
extern void mt_tailer_notify_listeners(TimestampTz now);
extern void mt_tailer_notify_now(TimestampTz now);

/* Look up the oldest entry of the oplog, for stat_tail, when it is due. */
extern void mt_tailer_look_at_oldest(TimestampTz now);

#endif							/* MT_TAILER_PRIVATE_H */
