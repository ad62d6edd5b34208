/*
 * stress_ring.c
 *		One writer and several readers on a ring so small that readers are lapped
 *		all the time.  Every byte that a reader gets is verified.
 *
 *		stress_ring [SECONDS [kill]]
 *
 * Exits with 1 when a reader got what it should not, with 2 when the run
 * proves nothing because no reader was lapped.
 *
 * Record n of an epoch lies at time n / 4 + 1, index n % 4; its slices are as
 * long as a salt in its header says, and filled by n and salt.  So a reader
 * can verify each record by itself, that no record was left out, that a seek
 * stands where it should, and that scanned_to is not ahead of what was read.
 *
 * The writer appends batches of all sizes, at times larger than the ring,
 * begins new epochs, and at times throws away what it had appended as if it
 * had died.  With "kill" it is a process that dies by SIGKILL at any
 * instruction, and a new one goes on with the ring as it is.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring/ring.h"

#define RING_BYTES 4096
#define MAX_RECORD (RING_BYTES / 4)
#define READERS 5
#define REPORTS 5

typedef struct Reader
{
	pthread_t	thread;
	int			number;
	uint64_t	random;
	uint8_t		buffer[MAX_RECORD];
	uint64_t	records;
	uint64_t	skipped;		/* by header */
	uint64_t	seeks;
	uint64_t	ends;			/* reached, and compared with scanned_to */
	uint64_t	lapped;
	uint64_t	epochs;
	uint64_t	failed;
} Reader;

static MtRing *ring;
static int	stopped;
static uint64_t appended;
static uint64_t restarts;

static bool
is_stopped(void)
{
	return __atomic_load_n(&stopped, __ATOMIC_RELAXED) != 0;
}

static uint32_t
random_below(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t) ((*state >> 11) % n);
}

/* ---- what record n is ---- */

static MtRingPlace
place_of(uint64_t n)
{
	return (MtRingPlace) {n / 4 + 1, n % 4};
}

static uint64_t
number_of(MtRingPlace place)
{
	return (place.time - 1) * 4 + place.index;
}

static uint32_t
fill(uint8_t *bytes, MtRingHeader *header, uint64_t n, uint64_t salt)
{
	uint64_t	state = (n + 1) * 0x9e3779b97f4a7c15 ^ salt;
	uint32_t	len = random_below(&state, 8) ? random_below(&state, 200) : random_below(&state, MAX_RECORD - 64 + 1);
	uint32_t	left = len;
	uint64_t	words[MAX_RECORD / 8];

	memset(header, 0, sizeof(*header));
	header->length = (64 + len + 7) / 8 * 8;
	header->time = place_of(n).time;
	header->index = (uint32_t) place_of(n).index;
	header->visible_time = salt;
	header->wall_ms = (int64_t) n;
	for (int i = 0; i < MT_RING_SLICES; i++)
	{
		header->slice_len[i] = i == MT_RING_SLICES - 1 ? left : random_below(&state, left + 1);
		left -= header->slice_len[i];
	}
	for (uint32_t i = 0; i < (len + 7) / 8; i++)
		words[i] = state += 0x9e3779b97f4a7c15;
	memcpy(bytes, words, len);
	memset(bytes + len, 0, (8 - len % 8) % 8);
	return len;
}

/* ---- the writer ---- */

static void
append(uint64_t n, uint64_t *random)
{
	uint8_t		bytes[MAX_RECORD];
	MtRingHeader header;
	MtRingPart	parts[4];
	uint32_t	left = fill(bytes, &header, n, random_below(random, UINT32_MAX));
	const uint8_t *from = bytes;

	for (int i = 0; i < 4; i++)
	{
		parts[i].data = from;
		parts[i].len = i == 3 ? left : random_below(random, left + 1);
		from += parts[i].len;
		left -= (uint32_t) parts[i].len;
	}
	if (!mt_ring_append(ring, &header, parts, 4))
		abort();
	__atomic_store_n(&appended, appended + 1, __ATOMIC_RELAXED);
}

/* Take over the ring; returns the number of the next record. */
static uint64_t
take_over(void)
{
	MtRingWindow window;
	MtRingReader reader;
	MtRingHeader header;
	const char *broken;
	uint64_t	next;

	mt_ring_writer_attach(ring);
	broken = mt_ring_check(ring);
	if (broken != NULL)
	{
		printf("after the writer died: %s\n", broken);
		abort();
	}
	mt_ring_window(ring, &window);
	next = number_of(window.covered_from) + 1;
	if (mt_ring_seek(&reader, ring, window.covered_from) != MT_RING_RECORD)
		abort();
	while (mt_ring_peek(&reader, &header) == MT_RING_RECORD)
	{
		mt_ring_skip(&reader, &header);
		next = (uint64_t) header.wall_ms + 1;
	}
	return next;
}

static void *
write_until_stopped(void *seed)
{
	uint64_t	random = *(uint64_t *) seed * 0x9e3779b97f4a7c15 + 1;
	uint64_t	next = take_over();

	while (!is_stopped())
	{
		uint32_t	dice = random_below(&random, 1000);
		uint32_t	n = random_below(&random, dice % 10 ? 8 : 80);

		while (n-- > 0)
			append(next++, &random);
		if (dice < 2)
		{
			MtRingWindow window;

			mt_ring_window(ring, &window);
			next += 1000;
			mt_ring_begin_epoch(ring, place_of(next - 1), 7 * (window.epoch + 1));
		}
		else if (dice < 20)
			next = take_over();
		else
			mt_ring_commit(ring, next / 4);	/* time next / 4 + 1 is not complete yet */
	}
	return NULL;
}

/* ---- readers ---- */

static void
failed(Reader *me, const char *what, uint64_t got, uint64_t expected)
{
	if (me->failed++ < REPORTS)
		printf("reader %d: %s: %llu, expected %llu\n", me->number, what,
			   (unsigned long long) got, (unsigned long long) expected);
}

static void
verify_header(Reader *me, const MtRingHeader *header, uint64_t expected)
{
	if ((uint64_t) header->wall_ms != expected || header->time != place_of(expected).time ||
		header->index != place_of(expected).index)
		failed(me, "record number", (uint64_t) header->wall_ms, expected);
}

static void
verify_record(Reader *me, uint64_t expected, size_t length)
{
	MtRingHeader header;
	MtRingHeader right_header;
	uint8_t		right[MAX_RECORD];
	uint32_t	len;

	memcpy(&header, me->buffer, sizeof(header));
	verify_header(me, &header, expected);
	len = fill(right, &right_header, expected, header.visible_time);
	if (header.length != length || memcmp(&header, &right_header, sizeof(header)) != 0)
		failed(me, "header of record", (uint64_t) header.wall_ms, expected);
	else if (memcmp(me->buffer + sizeof(header), right, (len + 7) / 8 * 8) != 0)
		failed(me, "bytes of record", (uint64_t) header.wall_ms, expected);
	me->records++;
}

static void
verify_window(Reader *me, const MtRingWindow *window, uint64_t *newest_epoch)
{
	if (window->filter_version != 7 * window->epoch)
		failed(me, "filter version", window->filter_version, 7 * window->epoch);
	if (window->head > window->tail || window->tail - window->head > RING_BYTES)
		failed(me, "window of bytes", window->head, window->tail);
	if (window->epoch < *newest_epoch)
		failed(me, "epoch", window->epoch, *newest_epoch);
	*newest_epoch = window->epoch;
}

/*
 * Stand behind some place: where the reader was, any place of the window, or
 * its beginning.  *next is then the number of the record that must come.
 */
static void
find_place(Reader *me, MtRingReader *reader, uint64_t *next, uint64_t *newest_epoch)
{
	uint64_t	wanted = *next - 1;

	for (int tries = 0; !is_stopped(); tries++)
	{
		MtRingWindow window;
		MtRingResult result;
		uint64_t	oldest;

		mt_ring_window(ring, &window);
		verify_window(me, &window, newest_epoch);
		oldest = number_of(window.covered_from);
		if (tries > 0 || me->number == 0 || reader->epoch != window.epoch)
			wanted = oldest + (me->number == 3 && window.scanned_to * 4 > oldest ?
							   random_below(&me->random, (uint32_t) (window.scanned_to * 4 - oldest)) : 0);
		result = mt_ring_seek(reader, ring, place_of(wanted));
		if (result == MT_RING_RECORD)
		{
			me->seeks++;
			*next = wanted + 1;
			if (reader->epoch == window.epoch)
				return;
		}
		else if (result != MT_RING_LAPPED)
			failed(me, "result of seek", result, MT_RING_LAPPED);
	}
}

/* One step of a reader; the result is read's, or that of peek. */
static MtRingResult
step(Reader *me, MtRingReader *reader, uint64_t next)
{
	MtRingHeader header;
	size_t		needed = 0;
	MtRingResult result;

	if (me->number == 2 && random_below(&me->random, 2))
	{
		result = mt_ring_peek(reader, &header);
		if (result == MT_RING_RECORD)
		{
			verify_header(me, &header, next);
			mt_ring_skip(reader, &header);
			me->skipped++;
		}
		return result;
	}
	result = mt_ring_read(reader, me->buffer, sizeof(me->buffer), &needed);
	if (result == MT_RING_RECORD)
		verify_record(me, next, needed);
	else if (result == MT_RING_BUFFER_TOO_SMALL)
		failed(me, "garbage length", needed, MAX_RECORD);
	return result;
}

static void *
read_until_stopped(void *arg)
{
	Reader	   *me = arg;
	MtRingReader reader = {.ring = ring};
	MtRingWindow window = {0};
	uint64_t	newest_epoch = 0;
	uint64_t	next = 1;

	me->random = (uint64_t) me->number * 0x9e3779b97f4a7c15 + 1;
	find_place(me, &reader, &next, &newest_epoch);
	mt_ring_window(ring, &window);
	while (!is_stopped())
	{
		switch (step(me, &reader, next))
		{
			case MT_RING_RECORD:
				next++;
				if (me->number == 4 && random_below(&me->random, 64) == 0)
					sched_yield();
				break;
			case MT_RING_EMPTY:
				/* the window was loaded before, nothing was missed since */
				if (window.epoch == reader.epoch && place_of(next).time <= window.scanned_to)
					failed(me, "end before scanned_to: next time", place_of(next).time, window.scanned_to);
				me->ends++;
				mt_ring_window(ring, &window);
				verify_window(me, &window, &newest_epoch);
				sched_yield();	/* to the writer, that it may lap */
				break;
			case MT_RING_NEW_EPOCH:
				me->epochs++;
				find_place(me, &reader, &next, &newest_epoch);
				break;
			case MT_RING_LAPPED:
				me->lapped++;
				find_place(me, &reader, &next, &newest_epoch);
				break;
			case MT_RING_BUFFER_TOO_SMALL:
				find_place(me, &reader, &next, &newest_epoch);
				break;
			case MT_RING_CORRUPT:
				failed(me, "corrupt at record", next, next);
				find_place(me, &reader, &next, &newest_epoch);
				break;
		}
	}
	return NULL;
}

/* ---- */

static void
sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Run the writer as processes that are killed, for so many milliseconds. */
static void
write_and_kill(long ms)
{
	uint64_t	random = 1;

	while (ms > 0)
	{
		long		life_ms = 1 + random_below(&random, 20);
		uint64_t	seed = random;
		pid_t		child = fork();
		int			status;

		if (child == 0)
		{
			write_until_stopped(&seed);
			_exit(0);
		}
		sleep_ms(life_ms);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		{
			printf("the writer ended by itself, status %d\n", status);
			exit(1);
		}
		restarts++;
		ms -= life_ms;
	}
}

int
main(int argc, char **argv)
{
	static Reader readers[READERS];
	long		ms = argc > 1 ? atol(argv[1]) * 1000 : 2000;
	bool		kills = argc > 2 && strcmp(argv[2], "kill") == 0;
	uint64_t	seed = 20240607;
	pthread_t	writer;
	uint64_t	passed = 0;
	uint64_t	n_failed = 0;
	uint64_t	lapped = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ring = mt_ring_init(mmap(NULL, mt_ring_size(RING_BYTES), PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_ANONYMOUS, -1, 0), RING_BYTES);
	mt_ring_begin_epoch(ring, place_of(0), 7);
	for (int i = 0; i < READERS; i++)
	{
		readers[i].number = i;
		pthread_create(&readers[i].thread, NULL, read_until_stopped, &readers[i]);
	}
	if (kills)
		write_and_kill(ms);
	else
	{
		pthread_create(&writer, NULL, write_until_stopped, &seed);
		sleep_ms(ms);
	}
	__atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
	if (kills)
		printf("writer: killed %llu times\n", (unsigned long long) restarts);
	else
	{
		pthread_join(writer, NULL);
		printf("writer: appended %llu\n", (unsigned long long) appended);
	}
	for (int i = 0; i < READERS; i++)
	{
		Reader	   *r = &readers[i];

		pthread_join(r->thread, NULL);
		printf("reader %d: read %llu, skipped %llu, lapped %llu, epochs %llu, seeks %llu, ends %llu, failed %llu\n", i,
			   (unsigned long long) r->records, (unsigned long long) r->skipped,
			   (unsigned long long) r->lapped, (unsigned long long) r->epochs,
			   (unsigned long long) r->seeks, (unsigned long long) r->ends, (unsigned long long) r->failed);
		passed += r->records + r->skipped + r->seeks + r->ends;
		n_failed += r->failed;
		lapped += r->lapped;
	}
	passed -= passed < n_failed ? passed : n_failed;
	printf("%llu passed, %llu failed\n", (unsigned long long) passed, (unsigned long long) n_failed);
	if (lapped == 0)
	{
		printf("no reader was ever lapped: this proves nothing\n");
		return 2;
	}
	return n_failed > 0;
}
