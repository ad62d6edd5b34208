/*
 * tail_state.h
 *		What all processes share about running tails.
 *
 * A fixed array of slots in shared memory, one for each oplog that is (or
 * shall be) tailed: a shard of a server of a database.  The catalog
 * (tail_catalog.h) says what shall be; the launcher's scan of a database makes
 * the slots say the same; the tailers and readers live by the slots.
 *
 * Locking, field by field, stands at the struct.
 */
#ifndef MT_TAIL_STATE_H
#define MT_TAIL_STATE_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "ring/ring.h"

/*
 * The states of a tail, in the order of its life.
 *
 *   STARTING -> CONNECTING -> STREAMING <-> PAUSED
 *                  ^   |          |
 *                  |   v          v
 *                 RETRYING <------+     (connection lost: for ever, with back-off)
 *
 * FAILED: something that trying again cannot mend (the place is no longer in
 * the oplog, a malformed entry, a bad option); left by seek_tail or any other
 * change of the tail.  NO_WORKER: no background worker is free; tried again.
 */
typedef enum MtTailStatus
{
	MT_TAIL_STARTING,
	MT_TAIL_NO_WORKER,
	MT_TAIL_CONNECTING,
	MT_TAIL_STREAMING,
	MT_TAIL_PAUSED,
	MT_TAIL_RETRYING,
	MT_TAIL_FAILED
} MtTailStatus;

extern const char *mt_tail_status_name(MtTailStatus status);

#define MT_SHARD_NAME_BYTES 128
#define MT_TAIL_ERROR_BYTES 512

typedef struct MtTailSlot
{
	/* Written under MtTailShared.lock exclusive; read under it, shared or
	 * exclusive, or by the slot's own tailer (nobody else changes the
	 * identity while a tailer runs). */
	bool		used;
	bool		stop;			/* the tailer shall end and the slot be freed */
	bool		paused;			/* the tailer shall hold */
	bool		held;			/* the tailer shall end until the database is released */
	bool		scan;			/* the tailer shall scan its database: no worker is free for it */
	Oid			database;
	Oid			serverid;
	Oid			owner;
	int64		version;		/* of the catalog row that the slot mirrors */
	uint32		options_stamp;	/* changes with the options to connect by */
	uint32		shard_id;
	char		shard[MT_SHARD_NAME_BYTES];
	NameData	server;
	pid_t		worker_pid;		/* 0: none */
	Latch	   *worker_latch;	/* NULL: none */
	TimestampTz worker_started;
	TimestampTz next_launch;	/* launcher: not before */
	int			launch_failures;	/* in a row */

	/* Written by the tailer under mutex; read under it. */
	slock_t		mutex;
	MtTailStatus status;
	TimestampTz status_since;
	char		last_error[MT_TAIL_ERROR_BYTES];
	TimestampTz last_error_at;	/* 0: never */
	dsm_handle	ring;			/* DSM_HANDLE_INVALID: none */
	int64		ring_version;	/* of the row that the ring was begun for */
	uint64		oplog_first;	/* the oldest time in the oplog, 0: not known */
	uint64		catch_up_to;	/* where MongoDB stood when the session began: until the ring
								 * has come there, a reader waits a little */

	/* Counters: one writer (the tailer) but for readers_lapped. */
	pg_atomic_uint64 events;
	pg_atomic_uint64 entries;
	pg_atomic_uint64 entry_bytes;
	pg_atomic_uint64 batches;
	pg_atomic_uint64 reconnects;
	pg_atomic_uint64 lookups;
	pg_atomic_uint64 notifies;
	pg_atomic_uint64 notify_failures;
	pg_atomic_uint64 readers_lapped;
	pg_atomic_uint64 oplog_reads;	/* readers that went through the oplog */

	/* Readers sleep here for news of the ring; see mt_tail_wake_readers. */
	ConditionVariable news;
	pg_atomic_uint64 news_count;	/* counts commits that readers should see */
	pg_atomic_uint32 watermark_waiters; /* readers to whom scanned_to alone is news */
} MtTailSlot;

#define MT_MAX_RESCANS 64

typedef struct MtTailShared
{
	LWLock	   *lock;			/* the slots' identity, the rescan list, the holds */
	Latch	   *launcher_latch; /* under lock */
	pid_t		launcher_pid;	/* under lock */

	/* Databases to scan, by those who changed a catalog; under lock. */
	int			n_rescans;
	bool		rescan_all;
	Oid			rescans[MT_MAX_RESCANS];

	/* Databases where no worker may run now (DROP DATABASE ...); under lock. */
	bool		scan_skipped;	/* a scan was asked for in one of them */
	int			n_holds;
	Oid			holds[MT_MAX_RESCANS];

	bool		slot_lacked;	/* a tail found no slot; under lock */

	/* Woken whenever a slot is assigned, freed, or changes status. */
	ConditionVariable changed;

	int			n_slots;
	MtTailSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} MtTailShared;

extern MtTailShared *mt_tail_shared;

/* In _PG_init: ask for the memory, and set it up. */
extern void mt_tail_state_install(void);

/* ERROR with a hint unless mongo_tail was preloaded. */
extern void mt_tail_state_require(void);

/* Ask the launcher to bring the slots in line with a database's catalog
 * (InvalidOid: of all databases). */
extern void mt_tail_request_scan(Oid database);
/* The same when (and if) the current transaction commits. */
extern void mt_tail_request_scan_at_commit(void);
/* Has the current transaction asked for one?  Then nobody can have heard yet. */
extern bool mt_tail_scan_is_pending(void);

/* The slot of a shard of a server of this database, NULL when there is none. */
extern MtTailSlot *mt_tail_slot_find(Oid database, Oid serverid, uint32 shard_id);

/* Its index, for ring_shmem's keys. */
#define mt_tail_slot_index(slot) ((int) ((slot) - mt_tail_shared->slots))

/* Status and error, for the tailer and launcher.  message NULL keeps the last error. */
extern void mt_tail_set_status(MtTailSlot *slot, MtTailStatus status, const char *message);
extern MtTailStatus mt_tail_status(MtTailSlot *slot);

/* The ring of a slot, mapped; NULL when there is none of that version (any
 * version: -1). */
extern MtRing *mt_tail_ring(MtTailSlot *slot, int64 version);

/* Wake a slot's tailer, if it runs. */
extern void mt_tail_wake_worker(MtTailSlot *slot);

/*
 * News.  The tailer calls mt_tail_wake_readers once a batch: it wakes one
 * sleeper, who wakes the next, so that a tailer pays for one wakeup however
 * many readers wait.
 */
extern void mt_tail_wake_readers(MtTailSlot *slot);

/*
 * Sleep until there is news later than seen (a news_count), the slot changes,
 * or deadline (0: none) is over; false when it is over.  Cancelled at once by
 * interrupts.
 */
extern bool mt_tail_wait_news(MtTailSlot *slot, uint64 seen, TimestampTz deadline);

/*
 * Hold a database: its workers end and none starts until the current
 * transaction has ended, in whatever way.
 */
extern void mt_tail_hold_database(Oid database);

#endif							/* MT_TAIL_STATE_H */
