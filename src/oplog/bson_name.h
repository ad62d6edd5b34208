/*
 * bson_name.h
 *		Does the name come next that came here before?
 *
 * Documents of a collection resemble each other.  Who remembers the names of
 * the last one, in their order, needs no search for the end of each name, nor for what
 * it means: a comparison of a word or two tells that it is the same again.
 */
#ifndef MT_BSON_NAME_H
#define MT_BSON_NAME_H

#include "oplog/bson_walk.h"

typedef struct MtKnownName
{
	int64_t		room;			/* bytes that are left of a document if words may be read */
	const uint8_t *name;		/* with its NUL; somebody else's */
	uint64_t	words[2];		/* its first 16 bytes, and zeros */
	uint64_t	masks[2];		/* which of their bits are the name's */
	uint32_t	bytes;			/* with the NUL */
} MtKnownName;

/* Nothing comes next to this. */
static inline void
mt_known_name_clear(MtKnownName *known)
{
	known->room = INT64_MAX;
	known->bytes = UINT32_MAX;
}

/* name points to len bytes and a NUL, and must live as long. */
static inline void
mt_known_name_set(MtKnownName *known, const uint8_t *name, uint32_t len)
{
	uint8_t		head[16] = {0};
	uint8_t		mask[16] = {0};
	uint32_t	bytes = len + 1;
	uint32_t	head_bytes = bytes < sizeof head ? bytes : (uint32_t) sizeof head;

	known->name = name;
	known->bytes = bytes;
	known->room = 1 + (bytes <= 8 ? 8 : bytes <= 16 ? 16 : bytes);
	memcpy(head, name, head_bytes);
	memset(mask, 0xff, head_bytes);
	for (int i = 0; i < 2; i++)
	{
		known->words[i] = mt_le64(head + 8 * i);
		known->masks[i] = mt_le64(mask + 8 * i);
	}
}

/*
 * Is it the name of the element at p, of a document whose elements end at end?
 * Then mt_walk_take() can take it.
 */
static inline bool
mt_known_name_is_next(const MtKnownName *known, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *name = p + 1;

	if (end - p < known->room)
		return end - p > known->bytes && memcmp(name, known->name, known->bytes) == 0;
	return (mt_le64(name) & known->masks[0]) == known->words[0] &&
		(known->bytes <= 8 || (mt_le64(name + 8) & known->masks[1]) == known->words[1]) &&
		(known->bytes <= 16 || memcmp(name + 16, known->name + 16, known->bytes - 16) == 0);
}

#endif							/* MT_BSON_NAME_H */
