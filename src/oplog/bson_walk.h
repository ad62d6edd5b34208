/*
 * bson_walk.h
 *		A bounds-checked walk over the elements of a BSON document, by slices.
 *
 * libbson's bson_iter_t costs about 120 ns per oplog entry more than this
 * walk, which is most of what a tailer may spend on one, so the rooms that
 * touch every entry walk by hand.  Nothing here allocates, copies, recurses or
 * trusts a length: every value is checked to lie inside its document before it
 * is handed out.  String contents (UTF-8, NULs inside) and the insides of
 * sub-documents are not looked at; who descends, checks.
 *
 * Source: the BSON specification 1.1, bsonspec.org.
 */
#ifndef MT_BSON_WALK_H
#define MT_BSON_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns.  len 0 with data NULL means "absent". */
typedef struct MtSlice
{
	const uint8_t *data;
	uint32_t	len;			/* bytes */
} MtSlice;

/* BSON element types, as on the wire */
typedef enum MtBsonType
{
	MT_BSON_EOD = 0x00,
	MT_BSON_DOUBLE = 0x01,
	MT_BSON_STRING = 0x02,
	MT_BSON_DOCUMENT = 0x03,
	MT_BSON_ARRAY = 0x04,
	MT_BSON_BINARY = 0x05,
	MT_BSON_UNDEFINED = 0x06,
	MT_BSON_OBJECTID = 0x07,
	MT_BSON_BOOL = 0x08,
	MT_BSON_DATE = 0x09,
	MT_BSON_NULL = 0x0A,
	MT_BSON_REGEX = 0x0B,
	MT_BSON_DBPOINTER = 0x0C,
	MT_BSON_CODE = 0x0D,
	MT_BSON_SYMBOL = 0x0E,
	MT_BSON_CODE_W_SCOPE = 0x0F,
	MT_BSON_INT32 = 0x10,
	MT_BSON_TIMESTAMP = 0x11,
	MT_BSON_INT64 = 0x12,
	MT_BSON_DECIMAL128 = 0x13,
	MT_BSON_MAXKEY = 0x7F,
	MT_BSON_MINKEY = 0xFF
} MtBsonType;

/* MongoDB refuses documents nested deeper than this (oplog.md A2.3). */
#define MT_BSON_MAX_DEPTH 200

/* One element.  All pointers are into the walked document. */
typedef struct MtElement
{
	uint8_t		type;			/* MtBsonType, or a byte that is none */
	uint32_t	name_len;		/* without the NUL */
	uint32_t	value_len;
	const char *name;			/* NUL-terminated */
	const uint8_t *value;		/* the value's bytes as on the wire */
} MtElement;

typedef struct MtWalk
{
	const uint8_t *p;			/* next element */
	const uint8_t *end;			/* the document's terminating 0 */
} MtWalk;

typedef enum MtWalkResult
{
	MT_WALK_ELEMENT,
	MT_WALK_END,
	MT_WALK_CORRUPT				/* a length, type or terminator is wrong */
} MtWalkResult;

/* BSON is little-endian; memcpy because nothing in it is aligned. */
static inline uint32_t
mt_le32(const uint8_t *p)
{
	uint32_t	v;

	memcpy(&v, p, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t
mt_le64(const uint8_t *p)
{
	uint64_t	v;

	memcpy(&v, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline double
mt_le_double(const uint8_t *p)
{
	uint64_t	bits = mt_le64(p);
	double		d;

	memcpy(&d, &bits, 8);
	return d;
}

/*
 * Begin to walk the document at the start of doc.  False when its length does
 * not fit the slice exactly or its terminator is missing.
 */
static inline bool
mt_walk_begin(MtWalk *walk, MtSlice doc)
{
	if (doc.len < 5 || mt_le32(doc.data) != doc.len || doc.data[doc.len - 1] != 0)
		return false;
	walk->p = doc.data + 4;
	walk->end = doc.data + doc.len - 1;
	return true;
}

/* mt_bson_value_length of the rarer types, kept out of the callers' way. */
static __attribute__((noinline, unused)) int64_t
mt_bson_value_length_other(uint8_t type, const uint8_t *p, size_t left)
{
	uint64_t	n;
	const uint8_t *nul;

	switch (type)
	{
		case MT_BSON_MINKEY:
		case MT_BSON_MAXKEY:
			return 0;
		case MT_BSON_DBPOINTER:
			if (left < 5)
				return -1;
			n = mt_le32(p);
			if (n < 1 || n > left - 4 || left - 4 - n < 12 || p[4 + n - 1] != 0)
				return -1;
			return (int64_t) n + 16;
		case MT_BSON_CODE_W_SCOPE:
			if (left < 14)
				return -1;
			n = mt_le32(p);
			if (n < 14 || n > left)
				return -1;
			return (int64_t) n;
		case MT_BSON_REGEX:
			nul = memchr(p, 0, left);
			if (nul == NULL)
				return -1;
			n = (uint64_t) (nul + 1 - p);
			nul = memchr(nul + 1, 0, left - n);
			if (nul == NULL)
				return -1;
			return nul + 1 - p;
		default:
			return -1;
	}
}

/*
 * The length in bytes of a value of this type that begins at p with at most
 * left bytes; -1 when it does not fit or the type is unknown.
 */
static inline int64_t
mt_bson_value_length(uint8_t type, const uint8_t *p, size_t left)
{
	/* One more than the length, 0 for a type that has none of its own. */
	static const uint8_t fixed[] = {
		[MT_BSON_DOUBLE] = 8 + 1, [MT_BSON_UNDEFINED] = 0 + 1, [MT_BSON_OBJECTID] = 12 + 1,
		[MT_BSON_BOOL] = 1 + 1, [MT_BSON_DATE] = 8 + 1, [MT_BSON_NULL] = 0 + 1,
		[MT_BSON_INT32] = 4 + 1, [MT_BSON_TIMESTAMP] = 8 + 1, [MT_BSON_INT64] = 8 + 1,
		[MT_BSON_DECIMAL128] = 16 + 1
	};
	uint64_t	n;

	if (type < sizeof fixed && fixed[type] != 0)
		return fixed[type] - 1u <= left ? fixed[type] - 1 : -1;
	switch (type)
	{
		case MT_BSON_STRING:
		case MT_BSON_CODE:
		case MT_BSON_SYMBOL:
			if (left < 5)
				return -1;
			n = mt_le32(p);		/* with its NUL */
			if (n < 1 || n > left - 4 || p[4 + n - 1] != 0)
				return -1;
			return (int64_t) n + 4;
		case MT_BSON_DOCUMENT:
		case MT_BSON_ARRAY:
			if (left < 5)
				return -1;
			n = mt_le32(p);
			if (n < 5 || n > left || p[n - 1] != 0)
				return -1;
			return (int64_t) n;
		case MT_BSON_BINARY:
			if (left < 5)
				return -1;
			n = mt_le32(p);
			if (n > left - 5)
				return -1;
			return (int64_t) n + 5;
		default:
			return mt_bson_value_length_other(type, p, left);
	}
}

/*
 * The first 0 byte of [p, end), or NULL.  Names are short: eight bytes are
 * looked at in one step, where a call of memchr would cost more than the rest
 * of the element.
 */
static inline const uint8_t *
mt_bson_name_end(const uint8_t *p, const uint8_t *end)
{
	if (end - p >= 8)
	{
		uint64_t	word = mt_le64(p);
		uint64_t	zeros = (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);

		/* the lowest bit that is set belongs to the first 0; higher ones may lie */
		if (zeros != 0)
			return p + (__builtin_ctzll(zeros) >> 3);
		p += 8;
	}
	return memchr(p, 0, (size_t) (end - p));
}

/*
 * The next element, whose name is known to be name_len bytes long and to be
 * ended by a NUL before the document's end.
 */
static inline MtWalkResult
mt_walk_take(MtWalk *walk, uint32_t name_len, MtElement *element)
{
	const uint8_t *p = walk->p;
	int64_t		value_len;

	element->type = *p++;
	element->name = (const char *) p;
	element->name_len = name_len;
	p += name_len + 1;
	value_len = mt_bson_value_length(element->type, p, (size_t) (walk->end - p));
	if (value_len < 0)
		return MT_WALK_CORRUPT;
	element->value = p;
	element->value_len = (uint32_t) value_len;
	walk->p = p + value_len;
	return MT_WALK_ELEMENT;
}

/* The next element. */
static inline MtWalkResult
mt_walk_next(MtWalk *walk, MtElement *element)
{
	const uint8_t *name = walk->p + 1;
	const uint8_t *nul;

	if (walk->p >= walk->end)
		return walk->p == walk->end ? MT_WALK_END : MT_WALK_CORRUPT;
	nul = mt_bson_name_end(name, walk->end);
	if (nul == NULL)
		return MT_WALK_CORRUPT;
	return mt_walk_take(walk, (uint32_t) (nul - name), element);
}

/* The whole element as on the wire: type byte, name, NUL, value. */
static inline MtSlice
mt_element_bytes(const MtElement *element)
{
	MtSlice		s;

	s.data = (const uint8_t *) element->name - 1;
	s.len = 1 + element->name_len + 1 + element->value_len;
	return s;
}

/* The value of an element of type document or array, or of any other type. */
static inline MtSlice
mt_element_value(const MtElement *element)
{
	MtSlice		s;

	s.data = element->value;
	s.len = element->value_len;
	return s;
}

/* The text of a string, code or symbol, without its length word and NUL. */
static inline MtSlice
mt_element_text(const MtElement *element)
{
	MtSlice		s;

	s.data = element->value + 4;
	s.len = element->value_len - 5;
	return s;
}

static inline bool
mt_element_is(const MtElement *element, const char *name, uint32_t name_len)
{
	return element->name_len == name_len && memcmp(element->name, name, name_len) == 0;
}
#define MT_ELEMENT_IS(element, literal) \
	mt_element_is((element), (literal), (uint32_t) (sizeof(literal) - 1))

/*
 * Find the first element of that name.  MT_WALK_ELEMENT when found,
 * MT_WALK_END when not, MT_WALK_CORRUPT when the document ends in garbage
 * before it.
 */
static inline MtWalkResult
mt_bson_find(MtSlice doc, const char *name, uint32_t name_len, MtElement *element)
{
	MtWalk		walk;
	MtWalkResult result;

	if (!mt_walk_begin(&walk, doc))
		return MT_WALK_CORRUPT;
	while ((result = mt_walk_next(&walk, element)) == MT_WALK_ELEMENT)
		if (mt_element_is(element, name, name_len))
			return MT_WALK_ELEMENT;
	return result;
}

#endif							/* MT_BSON_WALK_H */
