/*
 * change_reader.h
 *		Read the changes of a tailed server: from the rings, or, outside their
 *		windows, from the oplogs themselves, merged by position.
 *
 * A reader delivers the changes after one place up to another, in order, each
 * once, and ends.  Its interval is fixed at the first fetch: up to the least
 * scanned_to of all shards at that moment.
 */
#ifndef MT_CHANGE_READER_H
#define MT_CHANGE_READER_H

#include "datatype/timestamp.h"

#include "base/position.h"
#include "base/tail_catalog.h"
#include "oplog/change.h"

typedef struct MtChangeReader MtChangeReader;

typedef struct MtChangeReaderOptions
{
	const MtTail *tail;			/* must outlive the reader */
	char	  **namespaces;		/* in UTF-8; none: all of the tail's */
	int			n_namespaces;
	uint32		operations;		/* bit mask of 1 << MtOperation; 0: all */
	bool		has_after;		/* false: the oldest in the ring */
	MtPosition	after;
	bool		has_until;		/* false: the newest at the first fetch */
	MtPosition	until;			/* the last position that is delivered */
	int64		wait_ms;		/* for a first change, when there is none */
	Oid			reader_role;	/* whose right to read counts; InvalidOid: the current user's */

	/*
	 * Of those namespaces, deliver only what passes these (NULL: no such
	 * restriction).  They may lie outside the tail's filter: the reader stays
	 * inside both.
	 */
	char	  **narrow_to;
	int			n_narrow_to;
} MtChangeReaderOptions;

/* One change and where it stands; slices are valid until the next call. */
typedef struct MtChangeRow
{
	MtChange	change;
	MtPosition	position;
	uint32		shard_id;
	const char *shard;			/* name */
} MtChangeRow;

/*
 * A reader in the current memory context, which frees all that it holds.
 * Throws 42501 when the user may not read the tail, 22023 when namespaces are
 * not all inside the tail's filter.
 */
extern MtChangeReader *mt_change_reader_begin(const MtChangeReaderOptions *options);

/*
 * The next change; false at the end.  Waits at most wait_ms before the first.
 * Throws 55000 with a hint when the oplog no longer holds the place.
 */
extern bool mt_change_reader_next(MtChangeReader *reader, MtChangeRow *row);

/* Everything up to this position has been delivered (or did not match). */
extern void mt_change_reader_position(const MtChangeReader *reader, MtPosition *position);

/*
 * The interval that was fixed: the place before the first change, and the last
 * place that had been scanned, whatever until says.  A reader with these as
 * after and until delivers the same changes (with several shards, a reader
 * without after begins at the rings' different places, and these at the last
 * of them).
 */
extern void mt_change_reader_interval(const MtChangeReader *reader, MtPosition *after, MtPosition *until);

/* How many changes were read so far, before any restriction but the tail's. */
extern void mt_change_reader_counts(const MtChangeReader *reader, uint64 *from_ring, uint64 *from_oplog);

/* Close what is open to MongoDB; the context's end does the same. */
extern void mt_change_reader_end(MtChangeReader *reader);

#endif							/* MT_CHANGE_READER_H */
