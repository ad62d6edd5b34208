/*
 * shard_reader.h
 *		Read the changes of one shard, from its ring or from its oplog.
 *
 * Private to the change reader, which merges the shards.
 */
#ifndef MT_SHARD_READER_H
#define MT_SHARD_READER_H

#include "base/full_document.h"
#include "base/oplog_stream.h"
#include "base/options.h"
#include "base/position.h"
#include "base/tail_catalog.h"
#include "base/tail_state.h"
#include "ring/ring.h"

/* An index after every change of an entry: all of that time is behind. */
#define AFTER_WHOLE_ENTRY	UINT64_MAX

/* What all shards of a reader are read by. */
typedef struct MtReadPlan
{
	const MtTail *tail;
	MemoryContext context;
	MtNamespaceFilter *filter;	/* of the reader; NULL: the tail's own */
	MtNamespaceFilter *narrow;	/* a second one that must pass; NULL: none */
	bool		narrow_is_covered;	/* whatever passes narrow also passes the others */
	MtNamespaceFilter *tail_filter;
	uint32		operations;		/* bit mask, 0: all */
	uint64		end;			/* cluster time: the interval's end */
} MtReadPlan;

typedef struct MtShardReader
{
	const MtReadPlan *plan;
	const MtTailShard *shard;
	MtTailSlot *slot;			/* NULL: not yet assigned */

	MtRingPlace place;			/* delivered up to here */
	bool		place_is_entry; /* place.time is the time of an entry */
	bool		exhausted;		/* nothing more up to end */
	uint64		from_ring;		/* changes read */
	uint64		from_oplog;

	/* the change that was read and not yet delivered */
	bool		pending;
	MtChange	change;

	/* in the ring */
	bool		in_ring;
	MtRingReader ring_reader;
	char	   *buffer;
	size_t		buffer_size;

	/* in the oplog */
	MemoryContext session;		/* NULL: no connection */
	MtConnection *connection;
	MtServerOptions *server;
	MtFullDocuments *documents; /* of the session; NULL: none are looked up */
	MtOplogStream *stream;		/* NULL: not reading the oplog */
	MtByteBuffer queue;			/* records of the entry being unfolded, of several when
								 * documents are looked up */
	size_t		queue_read;
	MtRingPlace queued;			/* the last change put in the queue */
	bool		queue_failed;	/* out of memory in emit */
	bool		queue_full;
	uint32		wanted_index;	/* of a change by reference */
	bool		by_reference;
} MtShardReader;

extern void mt_shard_reader_init(MtShardReader *shard, const MtReadPlan *plan,
								 const MtTailShard *tail_shard);

/* Stand where a position in the merged stream is, or at the ring's beginning. */
extern void mt_shard_reader_seek(MtShardReader *shard, const MtPosition *after);
extern void mt_shard_reader_rewind(MtShardReader *shard);

/*
 * How far the shard has been scanned.  *in_ring: by its tailer; else there is
 * no ring of the tail's version, and MongoDB itself was asked.  A ring that is
 * on its way is waited for, unless there was one before (had_ring).
 */
extern uint64 mt_shard_reader_scanned_to(MtShardReader *shard, bool had_ring, bool *in_ring);

/* Have the shard's next change pending, or find it exhausted.  Throws. */
extern void mt_shard_reader_advance(MtShardReader *shard);

/* Close what is open to MongoDB. */
extern void mt_shard_reader_close(MtShardReader *shard);

#endif							/* MT_SHARD_READER_H */
