/*
 * ring.c
 *		One writer, any number of readers that may be lapped, no locks.
 *
 * THE PROTOCOL
 *
 * The data area is an array of 8-byte words.  Positions in the stream are byte
 * counters that only grow and never wrap (at 10 GB/s, 58 years); counter c
 * lies at byte c modulo data_bytes.  A record is an MtRingHeader and its
 * slices, padded to a multiple of 8, and may run over the physical end.
 * Every byte that writer and readers share moves in relaxed atomic words, so a
 * word cannot be torn; what must be prevented is a record made of words of
 * two laps.
 *
 * Fields.  The writer alone stores all of them; readers only load.
 *
 *	intent		bytes before this counter may have been begun.  Never less than
 *				before, so bytes [0, intent - data_bytes) may be overwritten and
 *				everything from there on is untouched.
 *	tail		records before this counter are whole and visible.
 *	epoch		number of the newest epoch.
 *	version, windows[]
 *				the ring's header as readers see it, see "The window".
 *	marks[]		hints for mt_ring_seek, see "Marks".
 *	writer, before[]
 *				plain memory, the writer's own; readers never look at it.
 *
 * Barriers.
 *
 *	append:  W1		intent := end;  release fence;  words of the record
 *	commit:  W2		words of the record;  tail := end (release)
 *	read:	 R1		load tail (acquire);  words of the header
 *			 R2		words of the header;  acquire fence;  load intent
 *			 R3		words of the slices;  acquire fence;  load intent
 *
 *	W2 pairs with R1: who sees the tail sees the whole record below it, and
 *	the epoch in which it was written.
 *	W1 pairs with R2 and with R3: who saw one single word of a later lap sees,
 *	behind the fence, the intent that announced it.  So if intent - cursor is
 *	still at most data_bytes then no word loaded before the fence was newer than
 *	the record at the cursor; and none was older, because of R1.
 *
 * Why R2, given that R3 would throw the copy away anyhow: the length decides
 * what is done before R3.  data_bytes = 4096, the reader stands at c = 0:
 *
 *		reader							writer
 *		load tail = 4000, not empty
 *										intent := 4400, W1
 *										overwrites bytes 0..: there, a payload's
 *										"deadbeef" falls on the length's bytes
 *		load length = 0xdeadbeef
 *		without R2: the copy runs over 3.7 GB, or the caller is told to
 *		allocate them, or (bounded) that the ring is corrupt, or peek hands out
 *		another record's middle as a header, to be skipped by
 *		R2: the garbage came from a store behind W1, so this load of intent
 *		gives 4400 or more; 4400 - 0 > 4096: lapped, the length is never used.
 *
 * Why R3, given that R2 found the record whole: it was whole then.
 *
 *		reader							writer
 *		header, R2: intent = 4000, good
 *		copies words 8..20
 *										intent := 4400, W1, overwrites words 0..
 *		copies words 21..40: partly of the new lap
 *		without R3: half of one document and half of another is returned.
 *		R3: one of the copied words came from behind W1, so this load of
 *		intent gives 4400 or more: lapped, the copy is discarded.
 *
 * Why W1 stands before the words and not behind: with the intent last, the
 * reader above could load new words and yet the old intent.
 *
 * Uncommitted records.  A batch is appended record by record and committed
 * once.  The words of uncommitted records lie above tail, where no reader
 * looks, and lap readers by the same rule as any others.  Before they, with
 * the next record, would fill more than data_bytes less the largest record,
 * append makes them visible early, so that the head never passes the tail.
 *
 * The window.  windows[] are copies of the header and version counts how
 * often one was published: number n lies in windows[n mod 4].  The writer
 * fills number n + 1 while readers may look at n, n - 1 and n - 2, then
 * stores version (release).  A reader loads version n (acquire), copies, and
 * after an acquire fence loads version again.  Words of number n + 4, which
 * takes the same place, are stored behind a release fence that follows the
 * store of version n + 3; so the copy is good when the second load gives less
 * than n + 3.  The writer never waits, and should it die at any point the
 * newest published window stays readable.
 *
 * commit stores tail before it publishes the window with scanned_to.  Who has
 * loaded a window therefore sees at least the tail that belongs to it, and
 * having then read until MT_RING_EMPTY has read every record with
 * time <= scanned_to.
 *
 * The head.  Before an append may overwrite a record, head moves behind it and
 * covered_from to the last record that lies before the new head, and the window
 * is published; then intent.  So head >= intent - data_bytes always.  To walk
 * there from header to header would be a cache miss for each old record, which
 * costs more than to write a new one; instead the head jumps to the next mark,
 * beside which the writer has noted the place of the record before.  Readers
 * between goal and mark are not disturbed: they obey intent.
 *
 * Epochs.  begin_epoch publishes a window with head = tail and a new epoch,
 * then stores epoch; counters go on, so a cursor of an older epoch means no
 * record of the new one.  A reader compares after R1: either the tail that it
 * loaded belongs to its epoch, and so does any record below it, or it sees
 * the newer number.  It asks "newer?" and not "other?", because having taken
 * its epoch from the window it may be ahead of the field.
 *
 * A writer that died.  Its successor calls mt_ring_writer_attach: uncommitted
 * bytes are discarded (the next append goes on at tail), but intent stays, as
 * what it announced may have happened; it will not be stored again until the
 * new end is larger.  The words between tail and intent are then written a
 * second time.  No reader can see the first writing: it looks below tail
 * only, and R1 gives it words at least as new as that tail.
 *
 * Marks.  The data area is divided into 1024 segments; marks[k] is the counter
 * of the first record that begins in segment k.  A mark is one word and a
 * hint: it is used only when it lies between head and tail of a window loaded
 * before it, and the record found there is validated like any other.  Marks
 * of uncommitted records that were discarded are wiped before anything is
 * committed above them, hence a mark within a window is the beginning of a
 * record.
 */
#include "ring/ring.h"

#include <assert.h>
#include <string.h>

#include "ring/ring_port.h"
#include "ring/ring_words.h"

#define MT_RING_HEADER_WORDS	(sizeof(MtRingHeader) / MT_RING_WORD)
#define MT_RING_MIN_DATA		4096
#define MT_RING_WINDOWS			4	/* a power of two */
#define MT_RING_MARKS			1024
#define MT_RING_NO_MARK			UINT64_MAX
#define MT_RING_SEEK_TRIES		64
#define MT_RING_LINE			64

static_assert(sizeof(MtRingHeader) == 64, "a record's header has no padding");
static_assert(offsetof(MtRingHeader, index) == 4 && offsetof(MtRingHeader, time) == 8,
			  "length, index and time are a record's first two words");

/* MtRingWindow in atomic words; one cache line. */
typedef struct MtRingWindowWords
{
	MtAtomic64	epoch;
	MtAtomic64	filter_version;
	MtAtomic64	scanned_to;
	MtAtomic64	covered_time;
	MtAtomic64	covered_index;
	MtAtomic64	head;
	MtAtomic64	tail;
	MtAtomic64	unused;
} MtRingWindowWords;

typedef struct MtRingWriter
{
	uint64_t	append;			/* counter after the newest record, committed or not */
	uint64_t	marked;			/* the segment, counted on, that got the newest mark */
	MtRingPlace newest;			/* place of the newest record */
	MtRingWindow window;		/* as it is or will next be published */
} MtRingWriter;

struct MtRing
{
	/* constant after mt_ring_init */
	uint64_t	data_bytes;
	uint64_t	segment_bytes;
	uint64_t	max_record;

	/* what every read looks at, together */
	MtAtomic64	intent __attribute__((aligned(MT_RING_LINE)));
	MtAtomic64	tail;
	MtAtomic64	epoch;
	MtAtomic64	version;

	MtRingWindowWords windows[MT_RING_WINDOWS] __attribute__((aligned(MT_RING_LINE)));
	MtRingWriter writer __attribute__((aligned(MT_RING_LINE)));
	MtAtomic64	marks[MT_RING_MARKS] __attribute__((aligned(MT_RING_LINE)));
	MtRingPlace before[MT_RING_MARKS];	/* the writer's: place before each mark */
	MtAtomic64	data[] __attribute__((aligned(MT_RING_LINE)));
};


/* ---- places ---- */

static inline int
mt_ring_place_compare(MtRingPlace a, MtRingPlace b)
{
	if (a.time != b.time)
		return a.time < b.time ? -1 : 1;
	if (a.index != b.index)
		return a.index < b.index ? -1 : 1;
	return 0;
}

static inline MtRingPlace
mt_ring_header_place(const MtRingHeader *header)
{
	return (MtRingPlace) {header->time, header->index};
}


/* ---- making and remaking ---- */

size_t
mt_ring_size(uint64_t data_bytes)
{
	return sizeof(MtRing) + data_bytes;
}

MtRing *
mt_ring_init(void *memory, uint64_t data_bytes)
{
	MtRing	   *ring = memory;

	assert(data_bytes >= MT_RING_MIN_DATA && (data_bytes & (data_bytes - 1)) == 0);
	assert((uintptr_t) memory % MT_RING_LINE == 0);

	/* The words need no value: none is looked at before it is written. */
	memset(ring, 0, sizeof(MtRing));
	ring->data_bytes = data_bytes;
	ring->segment_bytes = data_bytes / MT_RING_MARKS;
	ring->max_record = data_bytes / 4;
	if (ring->max_record > UINT32_MAX - UINT32_MAX % MT_RING_WORD)
		ring->max_record = UINT32_MAX - UINT32_MAX % MT_RING_WORD;
	mt_ring_writer_attach(ring);
	return ring;
}

uint64_t
mt_ring_max_record(const MtRing *ring)
{
	return ring->max_record;
}

uint64_t
mt_ring_data_bytes(const MtRing *ring)
{
	return ring->data_bytes;
}


/* ---- the writer ---- */

static void
mt_ring_publish_window(MtRing *ring)
{
	const MtRingWindow *window = &ring->writer.window;
	uint64_t	number = mt_atomic_load_relaxed(&ring->version) + 1;
	MtRingWindowWords *words = &ring->windows[number % MT_RING_WINDOWS];

	mt_atomic_fence_release();	/* the version before this one, then these words */
	mt_atomic_store_relaxed(&words->epoch, window->epoch);
	mt_atomic_store_relaxed(&words->filter_version, window->filter_version);
	mt_atomic_store_relaxed(&words->scanned_to, window->scanned_to);
	mt_atomic_store_relaxed(&words->covered_time, window->covered_from.time);
	mt_atomic_store_relaxed(&words->covered_index, window->covered_from.index);
	mt_atomic_store_relaxed(&words->head, window->head);
	mt_atomic_store_relaxed(&words->tail, window->tail);
	mt_atomic_store_release(&ring->version, number);
}

/* Discard what was appended and not committed; intent stays as it is. */
static void
mt_ring_discard(MtRing *ring)
{
	uint64_t	tail = mt_atomic_load_relaxed(&ring->tail);

	/* The next record gets no mark: what place comes before it is not known. */
	ring->writer.append = tail;
	ring->writer.marked = tail / ring->segment_bytes;
	ring->writer.window.tail = tail;
	for (int k = 0; k < MT_RING_MARKS; k++)
		if (mt_atomic_load_relaxed(&ring->marks[k]) >= tail)
			mt_atomic_store_relaxed(&ring->marks[k], MT_RING_NO_MARK);
}

void
mt_ring_writer_attach(MtRing *ring)
{
	MtRingWriter *writer = &ring->writer;

	mt_ring_window(ring, &writer->window);
	mt_ring_discard(ring);
	writer->newest = writer->window.covered_from;

	/* The dead writer may have stopped between any two of these. */
	mt_atomic_store_release(&ring->epoch, writer->window.epoch);
	mt_ring_publish_window(ring);
}

void
mt_ring_begin_epoch(MtRing *ring, MtRingPlace covered_from, uint64_t filter_version)
{
	MtRingWriter *writer = &ring->writer;

	mt_ring_discard(ring);
	writer->window.epoch++;
	writer->window.filter_version = filter_version;
	writer->window.scanned_to = 0;
	writer->window.covered_from = covered_from;
	writer->window.head = writer->window.tail;
	writer->newest = covered_from;
	mt_ring_publish_window(ring);
	mt_atomic_store_release(&ring->epoch, writer->window.epoch);
}

/* Move the head to the first mark in [goal, tail], if there is one. */
static bool
mt_ring_jump(MtRing *ring, uint64_t goal)
{
	MtRingWindow *window = &ring->writer.window;

	for (uint64_t segment = goal / ring->segment_bytes;
		 segment <= window->tail / ring->segment_bytes; segment++)
	{
		uint64_t	mark = mt_atomic_load_relaxed(&ring->marks[segment % MT_RING_MARKS]);

		if (mark >= goal && mark <= window->tail && mark / ring->segment_bytes == segment)
		{
			window->head = mark;
			window->covered_from = ring->before[segment % MT_RING_MARKS];
			return true;
		}
	}
	return false;
}

/*
 * Take the records that writing up to end would overwrite out of the window.
 * Append has seen to it that the last of them ends at or before tail.
 */
static void
mt_ring_make_room(MtRing *ring, uint64_t end)
{
	MtRingWindow *window = &ring->writer.window;

	if (end - window->head <= ring->data_bytes)
		return;

	/* Without a mark, that is behind a very large record, walk. */
	if (!mt_ring_jump(ring, end - ring->data_bytes))
		while (end - window->head > ring->data_bytes)
		{
			MtRingHeader header;

			mt_words_load(ring->data, ring->data_bytes, window->head, &header, 2);
			window->covered_from = mt_ring_header_place(&header);
			window->head += header.length;
		}
	mt_ring_publish_window(ring);
}

/*
 * The mark of the segment in which a record begins, if it is the first.  A
 * writer that dies between the stores leaves no mark rather than a wrong place.
 */
static inline void
mt_ring_mark(MtRing *ring, uint64_t begin)
{
	uint64_t	segment = begin / ring->segment_bytes;
	uint64_t	k = segment % MT_RING_MARKS;

	if (segment == ring->writer.marked)
		return;
	ring->writer.marked = segment;
	mt_atomic_store_relaxed(&ring->marks[k], MT_RING_NO_MARK);
	mt_atomic_fence_release();
	ring->before[k] = ring->writer.newest;
	mt_atomic_store_release(&ring->marks[k], begin);
}

/* The length of a record of header and these parts. */
static uint64_t
mt_ring_record_length(const MtRingHeader *header, const MtRingPart *parts, int n_parts)
{
	uint64_t	slices = 0;
	uint64_t	bytes = 0;

	for (int i = 0; i < MT_RING_SLICES; i++)
		slices += header->slice_len[i];
	for (int i = 0; i < n_parts; i++)
		bytes += parts[i].len;
	assert(slices == bytes);
	(void) slices;
	return (sizeof(MtRingHeader) + bytes + MT_RING_WORD - 1) & ~(uint64_t) (MT_RING_WORD - 1);
}

bool
mt_ring_append(MtRing *ring, MtRingHeader *header, const MtRingPart *parts, int n_parts)
{
	MtRingWriter *writer = &ring->writer;
	uint64_t	length = mt_ring_record_length(header, parts, n_parts);
	uint64_t	end;
	MtWordStream stream;

	assert(writer->window.epoch > 0);
	assert(mt_ring_place_compare(mt_ring_header_place(header), writer->newest) >= 0);
	if (length > ring->max_record)
		return false;
	header->length = (uint32_t) length;

	if (writer->append + length - writer->window.tail > ring->data_bytes - ring->max_record)
		mt_ring_commit(ring, writer->window.scanned_to);

	end = writer->append + length;
	mt_ring_make_room(ring, end);

	/* After a writer that died intent may be further on already. */
	if (end > mt_atomic_load_relaxed(&ring->intent))
		mt_atomic_store_relaxed(&ring->intent, end);
	mt_atomic_fence_release();	/* W1 */

	stream = (MtWordStream) {ring->data, ring->data_bytes, writer->append, 0, 0};
	mt_ring_mark(ring, writer->append);
	mt_words_put(&stream, header, sizeof(MtRingHeader));
	for (int i = 0; i < n_parts; i++)
		mt_words_put(&stream, parts[i].data, parts[i].len);
	mt_words_finish(&stream);

	writer->newest = mt_ring_header_place(header);
	writer->append = end;
	return true;
}

void
mt_ring_commit(MtRing *ring, uint64_t scanned_to)
{
	MtRingWindow *window = &ring->writer.window;

	window->tail = ring->writer.append;
	if (scanned_to > window->scanned_to)
		window->scanned_to = scanned_to;
	mt_atomic_store_release(&ring->tail, window->tail);	/* W2 */
	mt_ring_publish_window(ring);
}


/* ---- readers ---- */

void
mt_ring_window(const MtRing *ring, MtRingWindow *window)
{
	uint64_t	number;

	do
	{
		const MtRingWindowWords *words;

		number = mt_atomic_load_acquire(&ring->version);
		words = &ring->windows[number % MT_RING_WINDOWS];
		window->epoch = mt_atomic_load_relaxed(&words->epoch);
		window->filter_version = mt_atomic_load_relaxed(&words->filter_version);
		window->scanned_to = mt_atomic_load_relaxed(&words->scanned_to);
		window->covered_from.time = mt_atomic_load_relaxed(&words->covered_time);
		window->covered_from.index = mt_atomic_load_relaxed(&words->covered_index);
		window->head = mt_atomic_load_relaxed(&words->head);
		window->tail = mt_atomic_load_relaxed(&words->tail);
		mt_atomic_fence_acquire();
	} while (mt_atomic_load_relaxed(&ring->version) - number >= MT_RING_WINDOWS - 1);
}

/*
 * Whether nothing loaded before this call, from cursor on, was overwritten.
 */
static inline bool
mt_ring_is_intact(const MtRing *ring, uint64_t cursor)
{
	mt_atomic_fence_acquire();
	return mt_atomic_load_relaxed(&ring->intent) - cursor <= ring->data_bytes;
}

/*
 * Load and validate the header at cursor, which is below a tail that was
 * loaded with acquire (R1).  Its length may be trusted on MT_RING_RECORD.
 */
static inline MtRingResult
mt_ring_load_header(const MtRing *ring, uint64_t cursor, uint64_t tail, MtRingHeader *header)
{
	mt_words_load(ring->data, ring->data_bytes, cursor, header, MT_RING_HEADER_WORDS);
#ifndef MT_RING_BREAK_R2
	if (!mt_ring_is_intact(ring, cursor))	/* R2 */
		return MT_RING_LAPPED;
#endif
	if (header->length < sizeof(MtRingHeader) || header->length > ring->max_record ||
		header->length > tail - cursor || header->length % MT_RING_WORD != 0)
		return MT_RING_CORRUPT;
	return MT_RING_RECORD;
}

/* The reader's next header, or why there is none. */
static inline MtRingResult
mt_ring_next_header(const MtRingReader *reader, MtRingHeader *header)
{
	const MtRing *ring = reader->ring;
	uint64_t	tail = mt_atomic_load_acquire(&ring->tail);	/* R1 */

	if (mt_atomic_load_acquire(&ring->epoch) > reader->epoch)
		return MT_RING_NEW_EPOCH;
	if (tail == reader->cursor)
		return MT_RING_EMPTY;
	return mt_ring_load_header(ring, reader->cursor, tail, header);
}

MtRingResult
mt_ring_peek(const MtRingReader *reader, MtRingHeader *header)
{
	return mt_ring_next_header(reader, header);
}

void
mt_ring_skip(MtRingReader *reader, const MtRingHeader *header)
{
	reader->cursor += header->length;
}

MtRingResult
mt_ring_read(MtRingReader *reader, void *buffer, size_t buffer_size, size_t *needed)
{
	const MtRing *ring = reader->ring;
	MtRingHeader header;
	MtRingResult result = mt_ring_next_header(reader, &header);

	if (result != MT_RING_RECORD)
		return result;
	*needed = header.length;
	if (header.length > buffer_size)
		return MT_RING_BUFFER_TOO_SMALL;

	memcpy(buffer, &header, sizeof(header));
	mt_words_load(ring->data, ring->data_bytes, reader->cursor + sizeof(header),
				  (uint8_t *) buffer + sizeof(header), header.length / MT_RING_WORD - MT_RING_HEADER_WORDS);
#ifndef MT_RING_BREAK_R3
	if (!mt_ring_is_intact(ring, reader->cursor))	/* R3 */
		return MT_RING_LAPPED;
#endif
	reader->cursor += header.length;
	return MT_RING_RECORD;
}


/* ---- seek ---- */

/*
 * The mark of the last segment in [low, high] that has one inside the window,
 * or MT_RING_NO_MARK.
 */
static uint64_t
mt_ring_last_mark(const MtRing *ring, const MtRingWindow *window, uint64_t low, uint64_t high)
{
	for (uint64_t segment = high + 1; segment > low; segment--)
	{
		uint64_t	mark = mt_atomic_load_relaxed(&ring->marks[(segment - 1) % MT_RING_MARKS]);

		if (mark >= window->head && mark < window->tail && mark / ring->segment_bytes == segment - 1)
			return mark;
	}
	return MT_RING_NO_MARK;
}

/*
 * By binary search over the marks, set *cursor to a record of the window that
 * is not after place, as near to it as marks can say; to the head if
 * there is none.
 */
static MtRingResult
mt_ring_seek_mark(const MtRing *ring, const MtRingWindow *window, MtRingPlace place, uint64_t *cursor)
{
	uint64_t	low = window->head / ring->segment_bytes;
	uint64_t	end = window->tail / ring->segment_bytes + 1;	/* search [low, end) */

	*cursor = window->head;
	while (low < end)
	{
		uint64_t	middle = low + (end - low) / 2;
		uint64_t	mark = mt_ring_last_mark(ring, window, low, middle);
		MtRingHeader header;
		MtRingResult result;

		if (mark == MT_RING_NO_MARK)
		{
			low = middle + 1;
			continue;
		}
		result = mt_ring_load_header(ring, mark, window->tail, &header);
		if (result != MT_RING_RECORD)
			return result;
		if (mt_ring_place_compare(mt_ring_header_place(&header), place) <= 0)
		{
			*cursor = mark;
			low = middle + 1;
		}
		else
			end = mark / ring->segment_bytes;
	}
	return MT_RING_RECORD;
}

/* mt_ring_seek inside one window; MT_RING_LAPPED when it has moved on. */
static MtRingResult
mt_ring_seek_window(const MtRing *ring, const MtRingWindow *window, MtRingPlace place, uint64_t *cursor)
{
	MtRingResult result = mt_ring_seek_mark(ring, window, place, cursor);

	while (result == MT_RING_RECORD && *cursor < window->tail)
	{
		MtRingHeader header;

		result = mt_ring_load_header(ring, *cursor, window->tail, &header);
		if (result != MT_RING_RECORD ||
			mt_ring_place_compare(mt_ring_header_place(&header), place) > 0)
			break;
		*cursor += header.length;
	}
	return result;
}

MtRingResult
mt_ring_seek(MtRingReader *reader, const MtRing *ring, MtRingPlace place)
{
	/*
	 * Being overtaken on the way means that the head has passed the record
	 * last looked at.  Look again: place may still be inside.  A writer so
	 * fast that this fails again and again leaves nothing worth standing on.
	 */
	for (int i = 0; i < MT_RING_SEEK_TRIES; i++)
	{
		MtRingWindow window;
		MtRingResult result;

		mt_ring_window(ring, &window);
		reader->ring = ring;
		reader->epoch = window.epoch;
		reader->cursor = window.tail;
		if (window.epoch == 0 || mt_ring_place_compare(place, window.covered_from) < 0)
			return MT_RING_LAPPED;
		result = mt_ring_seek_window(ring, &window, place, &reader->cursor);
		if (result != MT_RING_LAPPED)
			return result;
	}
	return MT_RING_LAPPED;
}


/* ---- for tests ---- */

/* The records of the window, from head to tail, and the marks on them. */
static const char *
mt_ring_check_records(const MtRing *ring, const MtRingWindow *window, int *n_marks)
{
	MtRingPlace previous = window->covered_from;
	uint64_t	cursor = window->head;

	while (cursor < window->tail)
	{
		MtRingHeader header;
		uint64_t	bytes = sizeof(MtRingHeader);
		int			k = (int) (cursor / ring->segment_bytes % MT_RING_MARKS);

		if (mt_ring_load_header(ring, cursor, window->tail, &header) != MT_RING_RECORD)
			return "a record of the window cannot be read";
		for (int i = 0; i < MT_RING_SLICES; i++)
			bytes += header.slice_len[i];
		if (header.length - bytes >= MT_RING_WORD)
			return "a record's length is not that of its slices";
		if (mt_ring_place_compare(previous, mt_ring_header_place(&header)) > 0)
			return "records are not in order";
		if (mt_atomic_load_relaxed(&ring->marks[k]) == cursor)
			(*n_marks)--;
		previous = mt_ring_header_place(&header);
		cursor += header.length;
	}
	return NULL;
}

const char *
mt_ring_check(const MtRing *ring)
{
	MtRingWindow window;
	uint64_t	append = ring->writer.append;
	uint64_t	intent = mt_atomic_load_relaxed(&ring->intent);
	int			n_marks = 0;
	const char *broken;

	mt_ring_window(ring, &window);
	if (window.epoch != mt_atomic_load_relaxed(&ring->epoch))
		return "the window is of another epoch";
	if (window.tail != mt_atomic_load_relaxed(&ring->tail))
		return "the window has another tail";
	if (window.head > window.tail || window.tail > append || append > intent)
		return "head <= tail <= append <= intent does not hold";
	if (intent > ring->data_bytes && window.head < intent - ring->data_bytes)
		return "head may be overwritten";

	for (int k = 0; k < MT_RING_MARKS; k++)
	{
		uint64_t	mark = mt_atomic_load_relaxed(&ring->marks[k]);

		if (mark != MT_RING_NO_MARK && mark >= append)
			return "a mark lies above everything appended";
		if (mark >= window.head && mark < window.tail)
			n_marks++;
	}
	broken = mt_ring_check_records(ring, &window, &n_marks);
	if (broken == NULL && n_marks != 0)
		broken = "a mark of the window is not the beginning of a record";
	return broken;
}
