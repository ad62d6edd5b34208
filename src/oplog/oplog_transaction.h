/*
 * oplog_transaction.h
 *		Unfold oplog entries into changes, transactions included.
 *
 * An entry becomes no change (a noop, a part of an undecided transaction), one
 * change, or many (applyOps).  A transaction is unfolded when the entry that
 * decides it arrives: the last applyOps of a chain, or commitTransaction of a
 * prepared one.  Nothing is kept between entries: the earlier parts are read
 * again, by exact ts, through the fetch function, as MongoDB's own change
 * streams do, so that a reader may start anywhere.  (An unfolder may cache
 * entries; that changes no result.)
 */
#ifndef MT_OPLOG_TRANSACTION_H
#define MT_OPLOG_TRANSACTION_H

#include "oplog/byte_buffer.h"
#include "oplog/change.h"
#include "oplog/namespace_filter.h"
#include "oplog/oplog_entry.h"

/* Take one change; false stops the unfolding (MT_OPLOG_STOPPED).  The change
 * and its slices are valid only during the call. */
typedef bool (*MtEmitChange) (void *context, const MtChange *change);

typedef enum MtFetchResult
{
	MT_FETCH_FOUND,
	MT_FETCH_MISSING,			/* the oplog no longer has it */
	MT_FETCH_FAILED
} MtFetchResult;

/* Append the oplog entry with exactly that ts to entry (emptied before). */
typedef MtFetchResult (*MtFetchEntry) (void *context, uint64_t ts, MtByteBuffer *entry);

typedef struct MtUnfoldOptions
{
	void	   *context;		/* handed to both functions */
	MtEmitChange emit;
	MtFetchEntry fetch;
	const MtNamespaceFilter *filter;	/* NULL: all but the system's namespaces */
	bool		is_shard;		/* skip fromMigrate (a plain set must not: fact 12) */
	bool		include_migrate;	/* deliver them on a shard all the same */
	size_t		transaction_memory; /* bytes of earlier entries held while a chain is walked;
									 * what is over it is fetched twice */
} MtUnfoldOptions;

typedef struct MtUnfolder MtUnfolder;

/* NULL when out of memory.  options is copied; the filter stays the caller's. */
extern MtUnfolder *mt_unfolder_new(const MtUnfoldOptions *options);
extern void mt_unfolder_free(MtUnfolder *unfolder);

/*
 * Unfold one entry, calling emit for each change in order.  After an error of
 * the entry itself (MT_OPLOG_MALFORMED) changes of its first operations may
 * have been emitted; the caller discards them.
 */
extern MtOplogStatus mt_unfolder_feed(MtUnfolder *unfolder, MtSlice entry, MtOplogError *error);

#endif							/* MT_OPLOG_TRANSACTION_H */
