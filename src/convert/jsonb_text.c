/*
 * jsonb_text.c
 *		Text of a BSON document into jsonb: copied when it is valid, and made
 *		so when it is not.
 *
 * MongoDB stores any bytes in strings and names.  PostgreSQL's text holds
 * neither NUL nor invalid UTF-8, so each NUL and each maximal part of an
 * ill-formed sequence (in the words of the Unicode Standard, 3.9) becomes
 * U+FFFD.  In a database of another encoding than UTF8 the text is converted,
 * U+FFFD is written '?', and a character that the encoding lacks is an error
 * (22P05) of PostgreSQL's own, which names it.
 */
#include "postgres.h"

#include "convert/jsonb_build.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* Up to this length text is copied and checked in one go. */
#define MT_JSONB_SHORT_TEXT 64

#define MT_HIGH_BITS	UINT64CONST(0x8080808080808080)
#define MT_LOW_BITS		UINT64CONST(0x0101010101010101)

static inline uint64
load64(const void *p)
{
	uint64		word;

	memcpy(&word, p, 8);
	return word;
}

/* Nonzero when one of the 8 bytes is NUL or not ASCII; may be so for no other. */
static inline uint64
not_plain(uint64 word)
{
	return ((word - MT_LOW_BITS) | word) & MT_HIGH_BITS;
}

/*
 * Copy up to MT_JSONB_SHORT_TEXT bytes; true when all are ASCII without NUL.
 */
static inline bool
copy_plain(char *to, const uint8 *from, uint32 len)
{
	uint64		bad = 0;

	if (len >= 8)
	{
		uint64		word;

		for (uint32 i = 0; i + 8 < len; i += 8)
		{
			word = load64(from + i);
			bad |= not_plain(word);
			memcpy(to + i, &word, 8);
		}
		word = load64(from + len - 8);
		bad |= not_plain(word);
		memcpy(to + len - 8, &word, 8);
		return bad == 0;
	}
	for (uint32 i = 0; i < len; i++)
	{
		bad |= (uint8) (from[i] - 1) & 0x80;	/* NUL and all above 0x80 */
		bad |= from[i] & 0x80;
		to[i] = (char) from[i];
	}
	return bad == 0;
}

/*
 * How many bytes the character at p takes; when it is none, how many bytes its
 * maximal ill-formed part takes, and *valid is false.
 */
static uint32
utf8_character(const uint8 *p, const uint8 *end, bool *valid)
{
	uint8		low = 0x80;
	uint8		high = 0xBF;
	uint32		len;

	*valid = true;
	if (p[0] >= 0x01 && p[0] <= 0x7F)
		return 1;
	*valid = false;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 1;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	switch (p[0])
	{
		case 0xE0:
			low = 0xA0;			/* else overlong */
			break;
		case 0xED:
			high = 0x9F;		/* else a surrogate */
			break;
		case 0xF0:
			low = 0x90;			/* else overlong */
			break;
		case 0xF4:
			high = 0x8F;		/* else over U+10FFFF */
			break;
	}
	for (uint32 i = 1; i < len; i++)
	{
		if (p + i >= end || p[i] < low || p[i] > high)
			return i;
		low = 0x80;
		high = 0xBF;
	}
	*valid = true;
	return len;
}

/* Copy text with substitutes to a place of 3 times its length. */
static char *
replace_invalid(char *to, const uint8 *text, uint32 len, const char *substitute)
{
	const uint8 *end = text + len;
	size_t		substitute_bytes = strlen(substitute);

	while (text < end)
	{
		bool		valid;
		uint32		n = utf8_character(text, end, &valid);

		if (valid)
		{
			memcpy(to, text, n);
			to += n;
		}
		else
		{
			memcpy(to, substitute, substitute_bytes);
			to += substitute_bytes;
		}
		text += n;
	}
	return to;
}

/* The substitute in the encoding of this database, written in UTF-8. */
static const char *
substitute_text(void)
{
	int			encoding = GetDatabaseEncoding();

	return encoding == PG_UTF8 || encoding == PG_SQL_ASCII ? "\xEF\xBF\xBD" : "?";
}

/*
 * Text that is not plain, as valid text of the database: the text itself, or a
 * palloc'd copy.  *len is adjusted.
 */
static const char *
make_valid(const uint8 *text, uint32 *len)
{
	const char *result = (const char *) text;
	char	   *server_text;

	if (*len == 0)
		return result;
	if (!pg_verify_mbstr(PG_UTF8, result, (int) *len, true))
	{
		char	   *copy = palloc((Size) *len * 3);
		char	   *end = replace_invalid(copy, text, *len, substitute_text());

		*len = (uint32) (end - copy);
		result = copy;
	}
	if (GetDatabaseEncoding() == PG_UTF8)
		return result;
	server_text = pg_any_to_server(result, (int) *len, PG_UTF8);
	if (server_text != result)
	{
		*len = (uint32) strlen(server_text);
		if (result != (const char *) text)
			pfree(unconstify(char *, result));
	}
	return server_text;
}

static void
check_length(uint32 len)
{
	/* also what an int and three times the length in a palloc can hold */
	StaticAssertStmt((uint64) JENTRY_OFFLENMASK * 3 < MaxAllocSize, "a text can be rewritten");
	if (len > JENTRY_OFFLENMASK)
		mt_jsonb_too_large("a string");
}

/* Text that is long, or not plain ASCII. */
static char *
put_other_text(MtJsonbBuilder *builder, char *p, const uint8 *text, uint32 len, JEntry *entry)
{
	const char *valid;
	uint32		valid_bytes = len;

	check_length(len);
	if (builder->server_is_utf8 && pg_verify_mbstr(PG_UTF8, (const char *) text, (int) len, true))
		valid = (const char *) text;
	else
	{
		valid = make_valid(text, &valid_bytes);
		check_length(valid_bytes);
	}
	p = mt_jsonb_room(builder, p, (size_t) valid_bytes + MT_JSONB_VALUE_BYTES);
	memcpy(p, valid, valid_bytes);
	if (valid != (const char *) text)
		pfree(unconstify(char *, valid));
	*entry = JENTRY_ISSTRING | valid_bytes;
	return p + valid_bytes;
}

/*
 * A string.  Leaves room for MT_JSONB_VALUE_BYTES - MT_JSONB_SHORT_TEXT more
 * bytes behind it.
 */
char *
mt_jsonb_put_text(MtJsonbBuilder *builder, char *p, const uint8 *text, uint32 len, JEntry *entry)
{
	p = mt_jsonb_room(builder, p, MT_JSONB_VALUE_BYTES);
	if (len <= MT_JSONB_SHORT_TEXT && copy_plain(p, text, len))
	{
		*entry = JENTRY_ISSTRING | len;
		return p + len;
	}
	return put_other_text(builder, p, text, len, entry);
}

/*
 * A name that is not ASCII: itself when it is valid, else a valid copy in the
 * builder's scratch.  *len is adjusted.
 */
const char *
mt_jsonb_rewrite_key(MtJsonbBuilder *builder, const char *name, uint32 *len)
{
	MemoryContext caller;
	const char *key;

	check_length(*len);
	if (builder->server_is_utf8 && pg_verify_mbstr(PG_UTF8, name, (int) *len, true))
		return name;
	caller = MemoryContextSwitchTo(builder->scratch);
	builder->scratch_is_used = true;
	key = make_valid((const uint8 *) name, len);
	MemoryContextSwitchTo(caller);
	check_length(*len);
	return key;
}
