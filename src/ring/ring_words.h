/*
 * ring_words.h
 *		Bytes into and out of a circular array of 8-byte words.
 *
 * Each word is stored and loaded by one relaxed atomic access: it is never
 * torn, and readers may look at it while it is written.  That costs what
 * memcpy does, as long as bytes arrive in whole words; so a stream of parts
 * of any lengths carries the odd bytes in a register until they make a word.
 *
 * Positions are byte counters, multiples of 8; they lie at position modulo
 * data_bytes, and every run may go over the physical end once.
 */
#ifndef MT_RING_WORDS_H
#define MT_RING_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ring/ring_port.h"

#define MT_RING_WORD			sizeof(uint64_t)

/* Where a record's bytes go: whole words to the ring, the rest is carried. */
typedef struct MtWordStream
{
	MtAtomic64 *data;
	uint64_t	data_bytes;		/* a power of two */
	uint64_t	position;		/* counter of the next word */
	size_t		carried;		/* bytes in carry, less than a word */
	uint64_t	carry;			/* the first byte lowest, zeros above the last */
} MtWordStream;

static inline uint64_t
mt_words_index(uint64_t data_bytes, uint64_t position)
{
	return (position & (data_bytes - 1)) / MT_RING_WORD;
}

/* How many of n_words from position lie before the physical end. */
static inline uint64_t
mt_words_run(uint64_t data_bytes, uint64_t position, uint64_t n_words)
{
	uint64_t	room = data_bytes / MT_RING_WORD - mt_words_index(data_bytes, position);

	return n_words < room ? n_words : room;
}

static inline void
mt_words_store_run(MtAtomic64 *to, const uint8_t *from, uint64_t n_words)
{
	for (uint64_t i = 0; i < n_words; i++)
	{
		uint64_t	word;

		memcpy(&word, from + i * MT_RING_WORD, MT_RING_WORD);
		mt_atomic_store_relaxed(&to[i], word);
	}
}

static inline void
mt_words_load_run(uint8_t *to, const MtAtomic64 *from, uint64_t n_words)
{
	for (uint64_t i = 0; i < n_words; i++)
	{
		uint64_t	word = mt_atomic_load_relaxed(&from[i]);

		memcpy(to + i * MT_RING_WORD, &word, MT_RING_WORD);
	}
}

static inline void
mt_words_store(MtAtomic64 *data, uint64_t data_bytes, uint64_t position, const void *from, uint64_t n_words)
{
	uint64_t	run = mt_words_run(data_bytes, position, n_words);

	mt_words_store_run(&data[mt_words_index(data_bytes, position)], from, run);
	if (run < n_words)
		mt_words_store_run(data, (const uint8_t *) from + run * MT_RING_WORD, n_words - run);
}

static inline void
mt_words_load(const MtAtomic64 *data, uint64_t data_bytes, uint64_t position, void *to, uint64_t n_words)
{
	uint64_t	run = mt_words_run(data_bytes, position, n_words);

	mt_words_load_run(to, &data[mt_words_index(data_bytes, position)], run);
	if (run < n_words)
		mt_words_load_run((uint8_t *) to + run * MT_RING_WORD, data, n_words - run);
}

/*
 * Less than a word of bytes as a number, the first byte lowest.  Loads that
 * overlap spare a loop; the bytes they share are the same in both.
 */
static inline uint64_t
mt_words_few_bytes(const uint8_t *from, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (n >= 4)
	{
		uint32_t	low;
		uint32_t	high;

		memcpy(&low, from, 4);
		memcpy(&high, from + n - 4, 4);
		return low | (uint64_t) high << 8 * (n - 4);
	}
#endif
	{
		uint64_t	value = 0;

		for (size_t i = 0; i < n; i++)
			value |= (uint64_t) from[i] << 8 * i;
		return value;
	}
}

/* Store the carry, with zeros behind its last byte. */
static inline void
mt_words_flush(MtWordStream *stream)
{
	uint64_t	word = stream->carry;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	mt_atomic_store_relaxed(&stream->data[mt_words_index(stream->data_bytes, stream->position)], word);
	stream->position += MT_RING_WORD;
	stream->carried = 0;
	stream->carry = 0;
}

static inline void
mt_words_put(MtWordStream *stream, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint64_t	n_words;

	if (stream->carried > 0)
	{
		size_t		missing = MT_RING_WORD - stream->carried;
		size_t		n = len < missing ? len : missing;

		stream->carry |= mt_words_few_bytes(from, n) << 8 * stream->carried;
		stream->carried += n;
		if (stream->carried < MT_RING_WORD)
			return;
		mt_words_flush(stream);
		from += n;
		len -= n;
	}

	n_words = len / MT_RING_WORD;
	mt_words_store(stream->data, stream->data_bytes, stream->position, from, n_words);
	stream->position += n_words * MT_RING_WORD;
	stream->carried = len % MT_RING_WORD;
	stream->carry = mt_words_few_bytes(from + n_words * MT_RING_WORD, stream->carried);
}

/* End the record: what is carried still is stored, padded with zeros. */
static inline void
mt_words_finish(MtWordStream *stream)
{
	if (stream->carried > 0)
		mt_words_flush(stream);
}

#endif							/* MT_RING_WORDS_H */
