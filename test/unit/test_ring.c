/*
 * test_ring.c
 *		The ring against a model: a plain list of everything committed, of which
 *		the ring must hold a suffix.  One thread, and the same on every run:
 *		the seed is printed, and may be given as the first argument.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"
#include "unit.h"

#define SMALL_RING 4096
#define MODEL_RECORDS 4096

typedef struct Record
{
	MtRingPlace place;
	uint32_t	salt;			/* lengths and bytes follow from it */
	uint64_t	length;
} Record;

static Record model[MODEL_RECORDS];
static int	n_model;
static uint64_t reached;		/* the highest counter ever appended up to */
static uint64_t random_state;
static uint8_t buffer[1 << 20];

static uint32_t
random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t) ((random_state >> 11) % n);
}

static MtRing *
make_ring(uint64_t data_bytes)
{
	size_t		size = (mt_ring_size(data_bytes) + 63) / 64 * 64;
	void	   *memory = aligned_alloc(64, size);

	memset(memory, 0xa5, size);
	return mt_ring_init(memory, data_bytes);
}

static void
fill(uint8_t *bytes, size_t len, uint32_t salt)
{
	for (size_t i = 0; i < len; i++)
	{
		salt = salt * 1664525 + 1013904223;
		bytes[i] = (uint8_t) (salt >> 24);
	}
}

/* Append a record with len bytes of slices, cut into parts anywhere. */
static bool
append(MtRing *ring, MtRingPlace place, size_t len, uint32_t salt)
{
	static uint8_t bytes[1 << 20];
	MtRingHeader header = {.time = place.time, .index = (uint32_t) place.index, .entry_bytes = salt};
	MtRingPart	parts[12];
	size_t		done = 0;
	int			n = 0;

	fill(bytes, len, salt);
	for (int i = 0; i < MT_RING_SLICES; i++)
	{
		header.slice_len[i] = i == MT_RING_SLICES - 1 ? (uint32_t) (len - done)
			: random_below((uint32_t) (len - done + 1));
		done += header.slice_len[i];
	}
	done = 0;
	while (n < 11 && random_below(12) > 0)
	{
		parts[n].data = bytes + done;
		parts[n].len = random_below(2) ? random_below((uint32_t) (len - done + 1))
			: random_below(len - done < 9 ? (uint32_t) (len - done + 1) : 9);
		done += parts[n++].len;
	}
	parts[n++] = (MtRingPart) {bytes + done, len - done};
	return mt_ring_append(ring, &header, parts, n);
}

/* Whether the buffer holds a record of this place, length and salt. */
static bool
is_record(MtRingPlace place, size_t len, uint32_t salt)
{
	static uint8_t bytes[1 << 20];
	MtRingHeader header;

	memcpy(&header, buffer, sizeof(header));
	fill(bytes, len, salt);
	return header.time == place.time && header.index == place.index && header.entry_bytes == salt &&
		header.length == (sizeof(header) + len + 7) / 8 * 8 &&
		memcmp(buffer + sizeof(header), bytes, len) == 0;
}

/* ---- every offset ---- */

static void
test_wrap_at_every_offset(void)
{
	bool		right = true;

	for (uint64_t offset = 0; offset < SMALL_RING; offset += 8)
	{
		MtRing	   *ring = make_ring(SMALL_RING);
		MtRingReader reader;
		uint64_t	done = 0;
		uint64_t	goal = SMALL_RING + offset;
		size_t		needed;
		MtRingPlace place = {1, 0};
		size_t		len = random_below(SMALL_RING / 4 - 64 + 1);

		mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
		while (done < goal)
		{
			uint64_t	size = goal - done > 1024 + 64 ? 1024 : goal - done > 1024 ? 512 : goal - done;

			right &= append(ring, (MtRingPlace) {1, 0}, size - 64, 1);
			mt_ring_commit(ring, 0);
			done += size;
		}
		place.time = 2;
		right &= append(ring, place, len, (uint32_t) offset);
		mt_ring_commit(ring, 2);
		right &= mt_ring_seek(&reader, ring, (MtRingPlace) {1, 0}) == MT_RING_RECORD;
		right &= mt_ring_read(&reader, buffer, 1024, &needed) == MT_RING_RECORD;
		right &= is_record(place, len, (uint32_t) offset);
		right &= mt_ring_read(&reader, buffer, 1024, &needed) == MT_RING_EMPTY;
		right &= mt_ring_check(ring) == NULL;
		free(ring);
	}
	MT_CHECK(right);
}

/* ---- the model ---- */

static size_t
model_len(const Record *record)
{
	return record->salt % 8 == 0 ? record->salt / 8 % 961 : record->salt / 8 % 200;
}

static int
compare(MtRingPlace a, MtRingPlace b)
{
	if (a.time != b.time)
		return a.time < b.time ? -1 : 1;
	return a.index < b.index ? -1 : a.index > b.index;
}

/* The first of the model's records after place. */
static int
model_after(MtRingPlace place)
{
	int			i = n_model;

	while (i > 0 && compare(model[i - 1].place, place) > 0)
		i--;
	return i;
}

/* Move place on and append a record there. */
static void
model_append(MtRing *ring, MtRingPlace *place)
{
	Record	   *record = &model[n_model++];

	if (random_below(3) == 0)
		*place = (MtRingPlace) {place->time + 1 + random_below(5), 0};
	else
		place->index++;
	record->place = *place;
	record->salt = random_below(1 << 20);
	record->length = (64 + model_len(record) + 7) / 8 * 8;
	MT_CHECK(append(ring, *place, model_len(record), record->salt));
}

/* Append some records and commit them, or die before that. */
static void
model_batch(MtRing *ring, MtRingPlace *place, MtRingPlace epoch_from)
{
	int			n = (int) random_below(random_below(10) == 0 ? 60 : 6);
	bool		dies = random_below(8) == 0;
	int			n_committed = n_model;
	MtRingReader reader;
	MtRingWindow window;
	MtRingHeader header;

	mt_ring_window(ring, &window);
	for (uint64_t counter = window.tail; n > 0; n--)
	{
		model_append(ring, place);
		counter += model[n_model - 1].length;
		if (counter > reached)
			reached = counter;
	}
	if (!dies)
	{
		mt_ring_commit(ring, place->time);
		return;
	}

	/* what was not visible is gone, and only that */
	mt_ring_writer_attach(ring);
	mt_ring_window(ring, &window);
	for (; n_model > 0; n_model--)
	{
		if (compare(model[n_model - 1].place, window.covered_from) == 0)
			break;
		*place = n_model > 1 ? model[n_model - 2].place : epoch_from;
		if (mt_ring_seek(&reader, ring, *place) == MT_RING_RECORD &&
			mt_ring_peek(&reader, &header) == MT_RING_RECORD)
			break;
	}
	MT_CHECK(n_model >= n_committed);
	*place = n_model > 0 ? model[n_model - 1].place : epoch_from;
}

/* Read to the end; all must be the model's records from first on. */
static bool
reads_from(MtRingReader *reader, int first)
{
	size_t		needed;
	MtRingResult result;

	while ((result = mt_ring_read(reader, buffer, SMALL_RING / 4, &needed)) == MT_RING_RECORD)
	{
		if (first >= n_model ||
			!is_record(model[first].place, model_len(&model[first]), model[first].salt))
			return false;
		first++;
	}
	return result == MT_RING_EMPTY && first == n_model;
}

/* Seek to one place: right by the model, and by header the same as by read. */
static bool
seek_is_right(const MtRing *ring, const MtRingWindow *window, MtRingPlace place)
{
	MtRingReader reader;
	MtRingHeader header;
	MtRingResult result = mt_ring_seek(&reader, ring, place);
	int			first = model_after(place);

	if (compare(place, window->covered_from) < 0)
		return result == MT_RING_LAPPED;
	if (result != MT_RING_RECORD)
		return false;
	result = mt_ring_peek(&reader, &header);
	if (first == n_model)
		return result == MT_RING_EMPTY && reader.cursor == window->tail;
	return result == MT_RING_RECORD &&
		compare((MtRingPlace) {header.time, header.index}, model[first].place) == 0 &&
		header.entry_bytes == model[first].salt;
}

/* The window is a suffix of the model, and as long as it can be. */
static void
check_against_model(const MtRing *ring, MtRingPlace epoch_from)
{
	MtRingWindow window;
	MtRingReader reader;
	int			first;
	uint64_t	bytes = 0;
	bool		seeks = true;

	MT_CHECK(mt_ring_check(ring) == NULL);
	mt_ring_window(ring, &window);
	first = model_after(window.covered_from);
	for (int i = first; i < n_model; i++)
		bytes += model[i].length;
	MT_CHECK(window.tail - window.head == bytes);
	if (first == 0)
		MT_CHECK(compare(window.covered_from, epoch_from) == 0);
	else
	{
		MT_CHECK(compare(window.covered_from, model[first - 1].place) == 0);
		/* nothing was dropped long before it had to be */
		MT_CHECK(reached - window.head > SMALL_RING / 2);
	}

	MT_CHECK(mt_ring_seek(&reader, ring, window.covered_from) == MT_RING_RECORD);
	MT_CHECK(reader.cursor == window.head);
	MT_CHECK(reads_from(&reader, first));

	for (int i = first > 3 ? first - 3 : 0; i < n_model; i++)
	{
		MtRingPlace place = model[i].place;

		seeks &= seek_is_right(ring, &window, place);
		seeks &= seek_is_right(ring, &window, (MtRingPlace) {place.time, place.index + 1});
		seeks &= seek_is_right(ring, &window, (MtRingPlace) {place.time, UINT64_MAX});
		if (place.index > 0)
			seeks &= seek_is_right(ring, &window, (MtRingPlace) {place.time, place.index - 1});
		else
			seeks &= seek_is_right(ring, &window, (MtRingPlace) {place.time - 1, UINT64_MAX});
	}
	seeks &= seek_is_right(ring, &window, (MtRingPlace) {0, 0});
	seeks &= seek_is_right(ring, &window, (MtRingPlace) {UINT64_MAX, UINT64_MAX});
	MT_CHECK(seeks);
}

static void
test_against_model(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);

	reached = 0;
	for (int round = 0; round < 20; round++)
	{
		MtRingPlace epoch_from = {1000 * (uint64_t) round, 7};
		MtRingPlace place = epoch_from;
		MtRingReader old;
		size_t		needed;

		mt_ring_seek(&old, ring, place);
		n_model = 0;
		mt_ring_begin_epoch(ring, epoch_from, (uint64_t) round);
		MT_CHECK(mt_ring_read(&old, buffer, sizeof(buffer), &needed) == MT_RING_NEW_EPOCH);
		check_against_model(ring, epoch_from);
		for (int batch = 0; batch < 60; batch++)
		{
			model_batch(ring, &place, epoch_from);
			check_against_model(ring, epoch_from);
		}
	}
	free(ring);
}

/* ---- one by one ---- */

static void
test_empty(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingWindow window;
	MtRingReader reader;
	MtRingHeader header;
	size_t		needed = 1;

	mt_ring_window(ring, &window);
	MT_CHECK(window.epoch == 0 && window.scanned_to == 0 && window.head == window.tail);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {UINT64_MAX, UINT64_MAX}) == MT_RING_LAPPED);
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_EMPTY);

	mt_ring_begin_epoch(ring, (MtRingPlace) {10, 3}, 77);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_NEW_EPOCH);
	mt_ring_window(ring, &window);
	MT_CHECK(window.epoch == 1 && window.filter_version == 77 && window.scanned_to == 0);
	MT_CHECK(window.covered_from.time == 10 && window.covered_from.index == 3);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {10, 2}) == MT_RING_LAPPED);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {10, 3}) == MT_RING_RECORD);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_EMPTY);
	mt_ring_commit(ring, 15);
	mt_ring_window(ring, &window);
	MT_CHECK(window.scanned_to == 15);
	mt_ring_commit(ring, 14);
	mt_ring_window(ring, &window);
	MT_CHECK(window.scanned_to == 15);
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_EMPTY);
	MT_CHECK(needed == 1);
	MT_CHECK(mt_ring_check(ring) == NULL);
	free(ring);
}

static void
test_sizes(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingReader reader;
	MtRingWindow before;
	MtRingWindow after;
	size_t		needed = 0;

	MT_CHECK(mt_ring_data_bytes(ring) == SMALL_RING && mt_ring_max_record(ring) == SMALL_RING / 4);
	mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
	mt_ring_seek(&reader, ring, (MtRingPlace) {0, 0});

	mt_ring_window(ring, &before);
	MT_CHECK(!append(ring, (MtRingPlace) {1, 0}, SMALL_RING / 4 - 64 + 1, 1));
	mt_ring_commit(ring, 0);
	mt_ring_window(ring, &after);
	MT_CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	MT_CHECK(append(ring, (MtRingPlace) {1, 0}, SMALL_RING / 4 - 64, 2));
	MT_CHECK(append(ring, (MtRingPlace) {1, 1}, 0, 3));
	MT_CHECK(mt_ring_read(&reader, buffer, 0, &needed) == MT_RING_EMPTY);
	mt_ring_commit(ring, 1);

	MT_CHECK(mt_ring_read(&reader, buffer, 0, &needed) == MT_RING_BUFFER_TOO_SMALL && needed == 1024);
	needed = 0;
	MT_CHECK(mt_ring_read(&reader, buffer, 1023, &needed) == MT_RING_BUFFER_TOO_SMALL && needed == 1024);
	needed = 0;
	MT_CHECK(mt_ring_read(&reader, buffer, 1024, &needed) == MT_RING_RECORD && needed == 1024);
	MT_CHECK(is_record((MtRingPlace) {1, 0}, 1024 - 64, 2));
	MT_CHECK(mt_ring_read(&reader, buffer, 64, &needed) == MT_RING_RECORD && needed == 64);
	MT_CHECK(is_record((MtRingPlace) {1, 1}, 0, 3));
	MT_CHECK(mt_ring_read(&reader, buffer, 0, &needed) == MT_RING_EMPTY);
	free(ring);
}

static void
test_peek_and_skip(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingReader reader;
	MtRingHeader header;
	size_t		needed;

	mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
	mt_ring_seek(&reader, ring, (MtRingPlace) {0, 0});
	for (uint32_t i = 0; i < 3; i++)
		append(ring, (MtRingPlace) {5, i}, 10 * i, i);
	mt_ring_commit(ring, 5);
	for (int twice = 0; twice < 2; twice++)
		MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 0 && header.length == 64);
	mt_ring_skip(&reader, &header);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 1 && header.length == 80);
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_RECORD);
	MT_CHECK(is_record((MtRingPlace) {5, 1}, 10, 1));
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 2);
	mt_ring_skip(&reader, &header);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_EMPTY);
	free(ring);
}

/* A reader that was overtaken is told, by uncommitted records as well. */
static void
test_lapped(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingReader reader;
	MtRingHeader header;
	MtRingWindow window;
	size_t		needed;

	mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
	mt_ring_seek(&reader, ring, (MtRingPlace) {0, 0});
	for (uint32_t i = 0; i < 4; i++)
	{
		append(ring, (MtRingPlace) {1, i}, 1024 - 64, i);
		mt_ring_commit(ring, 0);
	}
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 0);
	append(ring, (MtRingPlace) {1, 4}, 0, 4);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_LAPPED);
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_LAPPED);

	/* the writer dies; what it had begun to overwrite stays lost */
	mt_ring_writer_attach(ring);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_LAPPED);
	mt_ring_window(ring, &window);
	MT_CHECK(window.covered_from.time == 1 && window.covered_from.index == 0 && window.tail == 4096);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {0, 0}) == MT_RING_LAPPED);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {1, 0}) == MT_RING_RECORD);
	for (uint32_t i = 1; i < 4; i++)
	{
		MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_RECORD);
		MT_CHECK(is_record((MtRingPlace) {1, i}, 1024 - 64, i));
	}
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_EMPTY);
	MT_CHECK(append(ring, (MtRingPlace) {1, 4}, 100, 5));
	mt_ring_commit(ring, 1);
	MT_CHECK(mt_ring_read(&reader, buffer, sizeof(buffer), &needed) == MT_RING_RECORD);
	MT_CHECK(is_record((MtRingPlace) {1, 4}, 100, 5));
	MT_CHECK(mt_ring_check(ring) == NULL);
	free(ring);
}

/* What a dead writer announced stays announced when the next one writes less. */
static void
test_intent_stays(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingReader reader;
	MtRingHeader header;

	mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
	for (uint32_t i = 0; i < 4; i++)
		append(ring, (MtRingPlace) {1, i}, 1024 - 64, i);
	mt_ring_commit(ring, 0);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {1, 0}) == MT_RING_RECORD);
	append(ring, (MtRingPlace) {1, 4}, 1024 - 64, 4);
	append(ring, (MtRingPlace) {1, 5}, 1024 - 64, 5);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_LAPPED);
	mt_ring_writer_attach(ring);
	append(ring, (MtRingPlace) {1, 4}, 0, 4);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_LAPPED);
	mt_ring_commit(ring, 1);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_LAPPED);
	MT_CHECK(mt_ring_check(ring) == NULL);
	free(ring);
}

/* The first record of each writer has no mark; here there are no others. */
static void
test_without_marks(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingPlace place = {0, 0};

	n_model = 0;
	reached = 0;
	mt_ring_begin_epoch(ring, place, 1);
	for (int i = 0; i < 100; i++)
	{
		mt_ring_writer_attach(ring);
		model_append(ring, &place);
		reached += model[i].length;
		mt_ring_commit(ring, place.time);
		check_against_model(ring, (MtRingPlace) {0, 0});
	}
	free(ring);
}

/* A mark of a discarded record must not lead a seek into the middle of another. */
static void
test_marks_of_discarded_records(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingReader reader;
	MtRingHeader header;

	mt_ring_begin_epoch(ring, (MtRingPlace) {0, 0}, 1);
	for (uint32_t i = 0; i < 10; i++)
		append(ring, (MtRingPlace) {1, i}, 0, i);
	mt_ring_writer_attach(ring);
	append(ring, (MtRingPlace) {1, 0}, 900, 0);
	append(ring, (MtRingPlace) {1, 1}, 0, 0);
	mt_ring_commit(ring, 1);
	MT_CHECK(mt_ring_check(ring) == NULL);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {1, 0}) == MT_RING_RECORD);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 1);

	/* the same across an epoch */
	append(ring, (MtRingPlace) {1, 2}, 0, 0);
	append(ring, (MtRingPlace) {1, 3}, 0, 0);
	mt_ring_begin_epoch(ring, (MtRingPlace) {1, 1}, 2);
	append(ring, (MtRingPlace) {1, 2}, 500, 0);
	mt_ring_commit(ring, 1);
	MT_CHECK(mt_ring_check(ring) == NULL);
	MT_CHECK(mt_ring_seek(&reader, ring, (MtRingPlace) {1, 1}) == MT_RING_RECORD);
	MT_CHECK(mt_ring_peek(&reader, &header) == MT_RING_RECORD && header.index == 2);
	free(ring);
}

/* One batch of several times the ring: visible in portions, watermark unmoved. */
static void
test_batch_larger_than_ring(void)
{
	MtRing	   *ring = make_ring(SMALL_RING);
	MtRingPlace place = {0, 0};
	MtRingWindow window;

	n_model = 0;
	reached = 0;
	mt_ring_begin_epoch(ring, place, 1);
	for (int i = 0; i < 1000; i++)
	{
		model_append(ring, &place);
		reached += model[i].length;
		mt_ring_window(ring, &window);
		MT_CHECK(mt_ring_check(ring) == NULL);
		MT_CHECK(window.scanned_to == 0);
	}
	mt_ring_commit(ring, place.time);
	check_against_model(ring, (MtRingPlace) {0, 0});
	free(ring);
}

/* A large ring: seeks all over, some laps. */
static void
test_large_ring(void)
{
	MtRing	   *ring = make_ring(1 << 20);
	MtRingPlace place = {0, 0};
	MtRingWindow window;
	bool		seeks = true;

	n_model = 0;
	mt_ring_begin_epoch(ring, place, 1);
	for (int i = 0; i < 20000; i++)
	{
		if (n_model == MODEL_RECORDS)
		{
			/* keep the newer half: the ring cannot hold more than that */
			memmove(model, model + MODEL_RECORDS / 2, sizeof(Record) * MODEL_RECORDS / 2);
			n_model = MODEL_RECORDS / 2;
		}
		place.time++;
		model[n_model].place = place;
		model[n_model].salt = random_below(8000);
		append(ring, place, 1000 + model[n_model].salt % 4000, model[n_model].salt);
		n_model++;
		if (i % 100 == 0)
			mt_ring_commit(ring, place.time);
	}
	mt_ring_commit(ring, place.time);
	MT_CHECK(mt_ring_check(ring) == NULL);
	mt_ring_window(ring, &window);
	for (int i = 0; i < n_model; i++)
		seeks &= seek_is_right(ring, &window, model[i].place);
	MT_CHECK(seeks);
	free(ring);
}

static const MtUnitTest tests[] = {
	MT_UNIT_TEST(empty),
	MT_UNIT_TEST(sizes),
	MT_UNIT_TEST(peek_and_skip),
	MT_UNIT_TEST(lapped),
	MT_UNIT_TEST(intent_stays),
	MT_UNIT_TEST(without_marks),
	MT_UNIT_TEST(marks_of_discarded_records),
	MT_UNIT_TEST(wrap_at_every_offset),
	MT_UNIT_TEST(batch_larger_than_ring),
	MT_UNIT_TEST(large_ring),
	MT_UNIT_TEST(against_model),
};

/* The seed of the random tests, from MT_SEED, is printed. */
__attribute__((constructor)) static void
seed(void)
{
	const char *text = getenv("MT_SEED");

	random_state = text ? strtoull(text, NULL, 0) : 20240607;
	printf("test_ring: seed %llu\n", (unsigned long long) random_state);
	random_state = random_state * 0x9e3779b97f4a7c15 + 1;
}

MT_UNIT_MAIN(tests)
