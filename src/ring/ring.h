/*
 * ring.h
 *		One writer, any number of readers that may be lapped, no locks.
 *
 * A ring is a block of shared memory that holds the newest records of one
 * stream.  The writer never waits; a reader that is overtaken finds out before
 * it trusts anything it read.  The protocol stands at the top of ring.c.
 *
 * The ring knows neither BSON nor MongoDB: a record is a fixed header, of
 * which the ring itself reads only length, time and index, and up to
 * MT_RING_SLICES byte strings.
 */
#ifndef MT_RING_H
#define MT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the stream: time, and index among the records of that time. */
typedef struct MtRingPlace
{
	uint64_t	time;
	uint64_t	index;
} MtRingPlace;

/* A ring's slices are, in this order: */
typedef enum MtRingSliceId
{
	MT_RING_NAMESPACE,
	MT_RING_DOCUMENT_KEY,
	MT_RING_PAYLOAD,
	MT_RING_FULL_DOCUMENT,
	MT_RING_TRANSACTION_ID,
	MT_RING_SLICES
} MtRingSliceId;

/*
 * The fixed header of a record.  Written and read whole, 8-byte words.
 */
typedef struct MtRingHeader
{
	uint32_t	length;			/* of the record with this header, multiple of 8; set by append */
	uint32_t	index;
	uint64_t	time;
	/* the rest is the writer's and readers' own */
	uint64_t	visible_time;
	int64_t		wall_ms;
	uint32_t	entry_bytes;
	uint8_t		operation;
	uint8_t		payload_kind;
	uint16_t	flags;
	uint32_t	slice_len[MT_RING_SLICES];
	uint32_t	unused;
} MtRingHeader;

/* Bytes to write: a slice of a record may come in several parts. */
typedef struct MtRingPart
{
	const void *data;
	size_t		len;
} MtRingPart;

typedef struct MtRing MtRing;	/* lives in shared memory */

/* Bytes of shared memory that a ring of data_bytes (a power of two, at least
 * 4096) needs, header included. */
extern size_t mt_ring_size(uint64_t data_bytes);

/*
 * Make a ring in memory, zeroed or not, that begins on a cache line (64 bytes)
 * and that nobody reads yet.  It is empty and of epoch 0, in which nothing
 * may be appended and every seek says MT_RING_LAPPED.
 */
extern MtRing *mt_ring_init(void *memory, uint64_t data_bytes);

/* The largest record, header included: a quarter of data_bytes, below 4 GiB. */
extern uint64_t mt_ring_max_record(const MtRing *ring);
extern uint64_t mt_ring_data_bytes(const MtRing *ring);

/* ---- the writer (one process; the caller guarantees it) ---- */

/*
 * Become the writer of a ring that an earlier writer left, at whatever point
 * it stopped.  What it had appended and not committed is discarded; window and
 * epoch stay, and readers notice nothing.  mt_ring_init does it by itself.
 */
extern void mt_ring_writer_attach(MtRing *ring);

/*
 * Forget every record, committed or not, and begin a new epoch: from here the ring holds
 * everything after covered_from.  filter_version is the writer's, opaque.
 * Counters go on, so a reader of an older epoch can mistake nothing.
 */
extern void mt_ring_begin_epoch(MtRing *ring, MtRingPlace covered_from, uint64_t filter_version);

/*
 * Append one record: header, whose length is set here and whose slice_len
 * must add up to the parts (an assertion), and parts of any lengths in slice
 * order.  Its place must not be before that of the record before.  Readers see
 * it only after mt_ring_commit, except that a batch of more than three
 * quarters of the ring becomes visible in portions, scanned_to unmoved.
 * False when the record is larger than mt_ring_max_record: publish it by
 * reference.
 */
extern bool mt_ring_append(MtRing *ring, MtRingHeader *header, const MtRingPart *parts, int n_parts);

/*
 * Make everything appended visible, and say that the stream has been seen up
 * to scanned_to (the watermark), matching or not.  Once per batch.  A value
 * below the epoch's watermark leaves it where it is.
 */
extern void mt_ring_commit(MtRing *ring, uint64_t scanned_to);

/* ---- readers ---- */

/* The ring's header.  All fields are of one moment. */
typedef struct MtRingWindow
{
	uint64_t	epoch;			/* 0: nothing was ever written here */
	uint64_t	filter_version;
	uint64_t	scanned_to;		/* 0: nothing in this epoch yet; else who has loaded this
								 * and then reads until MT_RING_EMPTY has read every
								 * record of time <= scanned_to */
	MtRingPlace covered_from;	/* every record after this place is in the ring */
	uint64_t	head;			/* byte counter of the oldest whole record */
	uint64_t	tail;			/* byte counter after the newest */
} MtRingWindow;

/* Never waits for the writer; looks again if it published three windows meanwhile. */
extern void mt_ring_window(const MtRing *ring, MtRingWindow *window);

typedef struct MtRingReader
{
	const MtRing *ring;
	uint64_t	epoch;
	uint64_t	cursor;			/* byte counter of the next record */
} MtRingReader;

typedef enum MtRingResult
{
	MT_RING_RECORD,				/* *header and the buffer are valid */
	MT_RING_EMPTY,				/* nothing newer; read window.scanned_to BEFORE the read that
								 * said so, and everything up to it has been read */
	MT_RING_LAPPED,				/* the record was overwritten: find the place again */
	MT_RING_NEW_EPOCH,			/* the ring began anew: find the place again */
	MT_RING_BUFFER_TOO_SMALL,	/* *needed says how much; mt_ring_max_record is always enough */
	MT_RING_CORRUPT				/* a length that no writer wrote: shared memory was trampled on */
} MtRingResult;

/*
 * Put the reader before the first record after place.  MT_RING_RECORD: it
 * stands (there may be no record yet); MT_RING_LAPPED: place is older than
 * the window, or the writer overtook every attempt.  Never blocks.  A place
 * newer than the newest record stands at the end; what is appended later may
 * then still be before it.
 */
extern MtRingResult mt_ring_seek(MtRingReader *reader, const MtRing *ring, MtRingPlace place);

/*
 * Copy the next record into buffer (header first, then the slices, unpadded,
 * in order) and move on.  The copy has been validated when this returns
 * MT_RING_RECORD; the buffer may have been scribbled on otherwise, and the
 * reader has not moved.  *needed is the record's length on MT_RING_RECORD and
 * MT_RING_BUFFER_TOO_SMALL, else untouched.
 */
extern MtRingResult mt_ring_read(MtRingReader *reader, void *buffer, size_t buffer_size, size_t *needed);

/*
 * Copy only the next record's header, without moving; for those who skip by
 * header.  mt_ring_skip moves over the record just peeked at.
 */
extern MtRingResult mt_ring_peek(const MtRingReader *reader, MtRingHeader *header);
extern void mt_ring_skip(MtRingReader *reader, const MtRingHeader *header);

/* ---- tests ---- */

/*
 * Check every invariant of a ring whose writer is at rest between two calls.
 * NULL, or which one is broken.
 */
extern const char *mt_ring_check(const MtRing *ring);

#endif							/* MT_RING_H */
