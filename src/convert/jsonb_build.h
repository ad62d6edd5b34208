/*
 * jsonb_build.h
 *		What the files of the BSON to jsonb converter share: the builder and
 *		the writers of single values.  Nobody else includes it.
 *
 * A writer takes the place to write at and returns the place behind what it
 * wrote, so that the cursor stays in a register.  It makes room for itself,
 * which may move the buffer: a caller keeps no pointer into it across a call,
 * only offsets.  Through entry it returns the JEntry of the value, with its
 * length; the caller turns the length into an offset where jsonb wants one.
 */
#ifndef MT_JSONB_BUILD_H
#define MT_JSONB_BUILD_H

#include "compat.h"
#include "convert/bson_to_jsonb.h"
#include "oplog/bson_name.h"
#include "utils/jsonb.h"

/*
 * One element of a container that is being converted.  The order word holds
 * the key's length in its upper half and the key's first four bytes in its
 * lower one: jsonb sorts keys by length and then by bytes, so nearly every
 * comparison is one of two integers.
 */
typedef struct MtJsonbElement
{
	uint64		order;
	const char *key;			/* in the document, or in scratch when rewritten */
	uint32		value_offset;	/* in the document */
	uint8		type;			/* MtBsonType */
} MtJsonbElement;

#define MT_JSONB_KEY_BYTES(element) ((uint32) ((element)->order >> 32))

/* jsonb's order of keys: by length, then by bytes. */
static inline int
mt_jsonb_compare_keys(const MtJsonbElement *a, const MtJsonbElement *b)
{
	uint32		len;

	if (likely(a->order != b->order))
		return a->order < b->order ? -1 : 1;
	len = MT_JSONB_KEY_BYTES(a);
	return len <= 4 ? 0 : memcmp(a->key + 4, b->key + 4, len - 4);
}

/* Objects of more names, or longer ones, are not remembered. */
#define MT_JSONB_SHAPE_NAMES 64
#define MT_JSONB_SHAPE_BYTES 1024
#define MT_JSONB_SHAPES 16

/* An object's names, without its values */
typedef struct MtJsonbShape
{
	uint32		n;				/* names; 0: none are remembered */
	uint32		misses;			/* since the last object that had them */
	uint32		keys_bytes;
	MtKnownName names[MT_JSONB_SHAPE_NAMES];	/* in the document's order */
	uint8		ranks[MT_JSONB_SHAPE_NAMES];	/* the places of these in jsonb's order */
	JEntry		entries[MT_JSONB_SHAPE_NAMES];	/* of the keys, in that order */
	char		keys[MT_JSONB_SHAPE_BYTES];
	uint8		name_bytes[MT_JSONB_SHAPE_BYTES];
} MtJsonbShape;

struct MtJsonbBuilder
{
	MemoryContext context;
	MemoryContext scratch;		/* rewritten keys, until the document is done */
	bool		scratch_is_used;
	bool		server_is_utf8;
	bool		first_wins;		/* of elements with the same name */

	const uint8 *document;		/* being converted; offsets count from here */
	uint32		document_bytes;

	char	   *base;			/* the result */
	char	   *limit;

	MtJsonbElement *elements;	/* a stack: the open containers' elements */
	size_t		n_elements;
	size_t		elements_capacity;

	MtJsonbShape *shapes[MT_JSONB_SHAPES];	/* NULL until needed */

	/* the day that was last printed: most dates of a collection share few */
	int64		day;
	char		day_text[10];
};

/* What a value needs besides its text: wrappers, padding, numerics. */
#define MT_JSONB_VALUE_BYTES 256

extern char *mt_jsonb_grow(MtJsonbBuilder *builder, char *p, size_t bytes);
pg_noreturn extern void mt_jsonb_corrupt(const MtJsonbBuilder *builder, const void *at,
										 const char *problem);
pg_noreturn extern void mt_jsonb_too_large(const char *what);

/* Make room for that many bytes at p. */
static inline char *
mt_jsonb_room(MtJsonbBuilder *builder, char *p, size_t bytes)
{
	if (likely((size_t) (builder->limit - p) >= bytes))
		return p;
	return mt_jsonb_grow(builder, p, bytes);
}

static inline void
mt_jsonb_store32(char *p, uint32 value)
{
	memcpy(p, &value, sizeof value);
}

/* Zero bytes up to the next multiple of 4 in the buffer, which is aligned. */
static inline char *
mt_jsonb_pad(char *p)
{
	static const char zeros[4] = {0};
	size_t		pad = (size_t) (-(uintptr_t) p & 3);

	memcpy(p, zeros, 4);
	return p + pad;
}

/* memcpy for the few bytes of a name or a short text. */
static inline void
mt_jsonb_copy(char *to, const char *from, size_t len)
{
	if (len > 16)
		memcpy(to, from, len);
	else if (len >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + len - 8, from + len - 8, 8);
	}
	else if (len >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
	}
	else if (len > 0)
	{
		to[0] = from[0];
		to[len / 2] = from[len / 2];
		to[len - 1] = from[len - 1];
	}
}

static inline size_t
mt_jsonb_offset(const MtJsonbBuilder *builder, const char *p)
{
	return (size_t) (p - builder->base);
}

/* The entry of the container from begin, before its padding, to p. */
static inline JEntry
mt_jsonb_container_entry(const MtJsonbBuilder *builder, size_t begin, const char *p)
{
	size_t		bytes = mt_jsonb_offset(builder, p) - begin;

	if (unlikely(bytes > JENTRY_OFFLENMASK))
		mt_jsonb_too_large("an object or array");
	return JENTRY_ISCONTAINER | (JEntry) bytes;
}

/* bson_to_jsonb.c */
extern void mt_jsonb_grow_elements(MtJsonbBuilder *builder);

/* jsonb_shape.c */

/* Which shape an object's elements from p to end are tried against; -1: none. */
extern int	mt_jsonb_shape_slot(const uint8 *p, const uint8 *end, int depth);

/*
 * If the elements from p to end have the names of the slot's shape, push them
 * on the builder's stack in jsonb's order, without keys.  Else NULL, also when
 * they are corrupt.
 */
extern const MtJsonbShape *mt_jsonb_match_shape(MtJsonbBuilder *builder, int slot, const uint8 *p,
												const uint8 *end);

/* Remember the names of the elements from p to end, which sorted are these. */
extern void mt_jsonb_learn_shape(MtJsonbBuilder *builder, int slot, const uint8 *p, const uint8 *end,
								 const MtJsonbElement *sorted, size_t n);

/* jsonb_text.c */
extern char *mt_jsonb_put_text(MtJsonbBuilder *builder, char *p, const uint8 *text, uint32 len,
							   JEntry *entry);
extern const char *mt_jsonb_rewrite_key(MtJsonbBuilder *builder, const char *name, uint32 *len);

/* jsonb_number.c */
extern char *mt_jsonb_put_int64(MtJsonbBuilder *builder, char *p, int64 value, JEntry *entry);
extern char *mt_jsonb_put_double(MtJsonbBuilder *builder, char *p, double value, JEntry *entry);

/* jsonb_extended.c */
extern char *mt_jsonb_put_objectid(MtJsonbBuilder *builder, char *p, const uint8 *value,
								   JEntry *entry);
extern char *mt_jsonb_put_date(MtJsonbBuilder *builder, char *p, int64 ms, JEntry *entry);
extern char *mt_jsonb_put_extended(MtJsonbBuilder *builder, char *p, uint8 type,
								   const uint8 *value, JEntry *entry);
extern char *mt_jsonb_put_wrapped(MtJsonbBuilder *builder, char *p, const char *key,
								  const char *text, JEntry *entry);
extern char *mt_jsonb_open_object(MtJsonbBuilder *builder, char *p, int n_keys,
								  const char *const *keys);
extern void mt_jsonb_close_object(MtJsonbBuilder *builder, size_t begin, int n_keys,
								  const JEntry *values);

/* jsonb_sort.c */
extern size_t mt_jsonb_sort(MemoryContext context, MtJsonbElement *elements, size_t n, bool first_wins);

#endif							/* MT_JSONB_BUILD_H */
