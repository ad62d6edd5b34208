/*
 * jsonb_extended.c
 *		The BSON types that JSON lacks, as the objects that Extended JSON
 *		writes for them: {"$oid": ...}, {"$date": ...} and so on.
 *
 * Such an object has one or two keys, given here in jsonb's order (shorter
 * names first, then by bytes).
 */
#include "postgres.h"

#include <bson/bson.h>

#include "convert/jsonb_build.h"
#include "common/string.h"
#include "utils/datetime.h"

#define MT_MS_PER_DAY	INT64CONST(86400000)

/* Extended JSON writes dates from 1970 to 9999 readably. */
#define MT_READABLE_MS_END	INT64CONST(253402300800000)

static const char hex_digits[] = "0123456789abcdef";

/*
 * Begin an object of those keys: everything but the values' entries, which
 * mt_jsonb_close_object fills in once they are known.
 */
char *
mt_jsonb_open_object(MtJsonbBuilder *builder, char *p, int n_keys, const char *const *keys)
{
	char	   *entries;
	uint32		first_len = (uint32) strlen(keys[0]);

	p = mt_jsonb_room(builder, p, MT_JSONB_VALUE_BYTES);
	p = mt_jsonb_pad(p);
	mt_jsonb_store32(p, (uint32) n_keys | JB_FOBJECT);
	entries = p + sizeof(uint32);
	p = entries + (Size) n_keys * 2 * sizeof(JEntry);
	for (int i = 0; i < n_keys; i++)
	{
		uint32		len = (uint32) strlen(keys[i]);

		memcpy(p, keys[i], len);
		p += len;
		mt_jsonb_store32(entries + (Size) i * sizeof(JEntry),
						 i == 0 ? first_len | JENTRY_HAS_OFF : len);
	}
	return p;
}

/*
 * Fill in the values' entries of the object that was opened with the cursor at
 * begin, which is an offset and may stand before the padding.
 */
void
mt_jsonb_close_object(MtJsonbBuilder *builder, size_t begin, int n_keys, const JEntry *values)
{
	char	   *entries = builder->base + INTALIGN(begin) + sizeof(uint32);

	for (int i = 0; i < n_keys; i++)
		mt_jsonb_store32(entries + (Size) (n_keys + i) * sizeof(JEntry), values[i]);
}

/* {outer: {inner[0]: ..., inner[1]: ...}} while its values are written */
typedef struct MtNested
{
	size_t		begin;
	size_t		inner_begin;
} MtNested;

static char *
open_nested(MtJsonbBuilder *builder, char *p, const char *outer, const char *const *inner,
			MtNested *nested)
{
	nested->begin = mt_jsonb_offset(builder, p);
	p = mt_jsonb_open_object(builder, p, 1, &outer);
	nested->inner_begin = mt_jsonb_offset(builder, p);
	return mt_jsonb_open_object(builder, p, 2, inner);
}

static void
close_nested(MtJsonbBuilder *builder, char *p, const MtNested *nested, const JEntry *values,
			 JEntry *entry)
{
	JEntry		inner;

	mt_jsonb_close_object(builder, nested->inner_begin, 2, values);
	inner = mt_jsonb_container_entry(builder, nested->inner_begin, p);
	mt_jsonb_close_object(builder, nested->begin, 1, &inner);
	*entry = mt_jsonb_container_entry(builder, nested->begin, p);
}

/*
 * The frequent shape, an object of one key with a short text.  The caller
 * writes text_bytes at the place returned, inside the room made here.
 */
static inline char *
open_short_text(MtJsonbBuilder *builder, char *p, const char *key, uint32 key_bytes,
				uint32 text_bytes, JEntry *entry)
{
	char	   *begin;

	begin = p = mt_jsonb_room(builder, p, MT_JSONB_VALUE_BYTES);
	p = mt_jsonb_pad(p);
	mt_jsonb_store32(p, 1 | JB_FOBJECT);
	mt_jsonb_store32(p + 4, key_bytes | JENTRY_HAS_OFF);
	mt_jsonb_store32(p + 8, JENTRY_ISSTRING | text_bytes);
	memcpy(p + 12, key, key_bytes);
	p += 12 + key_bytes;
	*entry = JENTRY_ISCONTAINER | (JEntry) (p + text_bytes - begin);
	return p;
}

/* {key: text}, both short ASCII. */
char *
mt_jsonb_put_wrapped(MtJsonbBuilder *builder, char *p, const char *key, const char *text,
					 JEntry *entry)
{
	size_t		len = strlen(text);

	p = open_short_text(builder, p, key, (uint32) strlen(key), (uint32) len, entry);
	memcpy(p, text, len);
	return p + len;
}

char *
mt_jsonb_put_objectid(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	p = open_short_text(builder, p, "$oid", 4, 24, entry);
	for (int i = 0; i < 12; i++)
	{
		*p++ = hex_digits[value[i] >> 4];
		*p++ = hex_digits[value[i] & 15];
	}
	return p;
}

static inline void
put_2_digits(char *p, int value)
{
	p[0] = (char) ('0' + value / 10);
	p[1] = (char) ('0' + value % 10);
}

/* YYYY-MM-DD of the day since 1970 into the builder. */
static void
print_day(MtJsonbBuilder *builder, int64 day)
{
	int			year;
	int			month;
	int			day_of_month;
	char	   *p = builder->day_text;

	j2date((int) day + UNIX_EPOCH_JDATE, &year, &month, &day_of_month);
	put_2_digits(p, year / 100);
	put_2_digits(p + 2, year % 100);
	p[4] = '-';
	put_2_digits(p + 5, month);
	p[7] = '-';
	put_2_digits(p + 8, day_of_month);
	builder->day = day;
}

/* {"$date": {"$numberLong": ...}} */
static char *
put_unreadable_date(MtJsonbBuilder *builder, char *p, int64 ms, JEntry *entry)
{
	static const char *const keys[] = {"$date"};
	size_t		begin = mt_jsonb_offset(builder, p);
	char		text[24];
	JEntry		value;

	snprintf(text, sizeof text, INT64_FORMAT, ms);
	p = mt_jsonb_open_object(builder, p, 1, keys);
	p = mt_jsonb_put_wrapped(builder, p, "$numberLong", text, &value);
	mt_jsonb_close_object(builder, begin, 1, &value);
	*entry = mt_jsonb_container_entry(builder, begin, p);
	return p;
}

/* {"$date": "2020-01-01T00:00:00.123Z"}, milliseconds only when not zero. */
char *
mt_jsonb_put_date(MtJsonbBuilder *builder, char *p, int64 ms, JEntry *entry)
{
	int64		day = ms / MT_MS_PER_DAY;
	int			rest = (int) (ms % MT_MS_PER_DAY);
	int			fraction = rest % 1000;

	if (ms < 0 || ms >= MT_READABLE_MS_END)
		return put_unreadable_date(builder, p, ms, entry);
	if (day != builder->day)
		print_day(builder, day);
	p = open_short_text(builder, p, "$date", 5, fraction ? 24 : 20, entry);
	memcpy(p, builder->day_text, 10);
	p[10] = 'T';
	rest /= 1000;
	put_2_digits(p + 11, rest / 3600);
	p[13] = ':';
	put_2_digits(p + 14, rest / 60 % 60);
	p[16] = ':';
	put_2_digits(p + 17, rest % 60);
	p += 19;
	if (fraction)
	{
		*p++ = '.';
		*p++ = (char) ('0' + fraction / 100);
		put_2_digits(p, fraction % 100);
		p += 2;
	}
	*p++ = 'Z';
	return p;
}

static char *
put_decimal128(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	bson_decimal128_t decimal;
	char		text[BSON_DECIMAL128_STRING];

	decimal.low = mt_le64(value);
	decimal.high = mt_le64(value + 8);
	bson_decimal128_to_string(&decimal, text);
	return mt_jsonb_put_wrapped(builder, p, "$numberDecimal", text, entry);
}

static char *
put_base64(MtJsonbBuilder *builder, char *p, const uint8 *bytes, uint32 len, JEntry *entry)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t		text_bytes = ((size_t) len + 2) / 3 * 4;

	if (text_bytes > JENTRY_OFFLENMASK)
		mt_jsonb_too_large("the base64 text of a binary value");
	p = mt_jsonb_room(builder, p, text_bytes + MT_JSONB_VALUE_BYTES);
	*entry = JENTRY_ISSTRING | (JEntry) text_bytes;
	for (uint32 i = 0; i < len; i += 3)
	{
		uint32		left = len - i;
		uint32		triple = (uint32) bytes[i] << 16;

		if (left > 1)
			triple |= (uint32) bytes[i + 1] << 8;
		if (left > 2)
			triple |= bytes[i + 2];
		*p++ = letters[triple >> 18];
		*p++ = letters[triple >> 12 & 63];
		*p++ = left > 1 ? letters[triple >> 6 & 63] : '=';
		*p++ = left > 2 ? letters[triple & 63] : '=';
	}
	return p;
}

/*
 * {"$binary": {"base64": ..., "subType": "04"}}.  The old subtype 2 repeats
 * its length inside; that is no part of the value unless it is wrong.
 */
static char *
put_binary(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	static const char *const inner_keys[] = {"base64", "subType"};
	uint32		len = mt_le32(value);
	uint8		subtype = value[4];
	const uint8 *bytes = value + 5;
	MtNested	nested;
	JEntry		values[2];

	if (subtype == 2 && len >= 4 && mt_le32(bytes) == len - 4)
	{
		bytes += 4;
		len -= 4;
	}
	p = open_nested(builder, p, "$binary", inner_keys, &nested);
	p = put_base64(builder, p, bytes, len, &values[0]);
	*p++ = hex_digits[subtype >> 4];
	*p++ = hex_digits[subtype & 15];
	values[1] = JENTRY_ISSTRING | 2;
	close_nested(builder, p, &nested, values, entry);
	return p;
}

/* Extended JSON wants the options in the alphabet's order. */
static void
sort_options(const uint8 *options, uint32 len, uint8 *sorted)
{
	for (uint32 i = 0; i < len; i++)
	{
		uint32		j = i;

		for (; j > 0 && sorted[j - 1] > options[i]; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = options[i];
	}
}

/* {"$regularExpression": {"options": ..., "pattern": ...}} */
static char *
put_regex(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	static const char *const inner_keys[] = {"options", "pattern"};
	uint32		pattern_bytes = (uint32) strlen((const char *) value);
	const uint8 *options = value + pattern_bytes + 1;
	uint32		options_bytes = (uint32) strlen((const char *) options);
	uint8		sorted[16];
	MtNested	nested;
	JEntry		values[2];

	if (options_bytes <= sizeof sorted && pg_is_ascii((const char *) options))
	{
		sort_options(options, options_bytes, sorted);
		options = sorted;
	}
	p = open_nested(builder, p, "$regularExpression", inner_keys, &nested);
	p = mt_jsonb_put_text(builder, p, options, options_bytes, &values[0]);
	p = mt_jsonb_put_text(builder, p, value, pattern_bytes, &values[1]);
	close_nested(builder, p, &nested, values, entry);
	return p;
}

/* {"$dbPointer": {"$id": {"$oid": ...}, "$ref": ...}} */
static char *
put_dbpointer(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	static const char *const inner_keys[] = {"$id", "$ref"};
	uint32		ref_bytes = mt_le32(value) - 1;
	MtNested	nested;
	JEntry		values[2];

	p = open_nested(builder, p, "$dbPointer", inner_keys, &nested);
	p = mt_jsonb_put_objectid(builder, p, value + 4 + ref_bytes + 1, &values[0]);
	p = mt_jsonb_put_text(builder, p, value + 4, ref_bytes, &values[1]);
	close_nested(builder, p, &nested, values, entry);
	return p;
}

/* {"$timestamp": {"i": ..., "t": ...}} */
static char *
put_timestamp(MtJsonbBuilder *builder, char *p, const uint8 *value, JEntry *entry)
{
	static const char *const inner_keys[] = {"i", "t"};
	MtNested	nested;
	JEntry		values[2];

	p = open_nested(builder, p, "$timestamp", inner_keys, &nested);
	p = mt_jsonb_put_int64(builder, p, mt_le32(value), &values[0]);
	p = mt_jsonb_put_int64(builder, p, mt_le32(value + 4), &values[1]);
	close_nested(builder, p, &nested, values, entry);
	return p;
}

/* {key: 1} or, of $undefined, {key: true} */
static char *
put_marker(MtJsonbBuilder *builder, char *p, const char *key, bool is_true, JEntry *entry)
{
	size_t		begin = mt_jsonb_offset(builder, p);
	JEntry		value = JENTRY_ISBOOL_TRUE;

	p = mt_jsonb_open_object(builder, p, 1, &key);
	if (!is_true)
		p = mt_jsonb_put_int64(builder, p, 1, &value);
	mt_jsonb_close_object(builder, begin, 1, &value);
	*entry = mt_jsonb_container_entry(builder, begin, p);
	return p;
}

/* {key: text} of a string-like value */
static char *
put_text_of(MtJsonbBuilder *builder, char *p, const char *key, const uint8 *value, JEntry *entry)
{
	size_t		begin = mt_jsonb_offset(builder, p);
	JEntry		text;

	p = mt_jsonb_open_object(builder, p, 1, &key);
	p = mt_jsonb_put_text(builder, p, value + 4, mt_le32(value) - 1, &text);
	mt_jsonb_close_object(builder, begin, 1, &text);
	*entry = mt_jsonb_container_entry(builder, begin, p);
	return p;
}

/* A value of one of the rarer types, all but the code with scope. */
char *
mt_jsonb_put_extended(MtJsonbBuilder *builder, char *p, uint8 type, const uint8 *value,
					  JEntry *entry)
{
	switch (type)
	{
		case MT_BSON_BINARY:
			return put_binary(builder, p, value, entry);
		case MT_BSON_UNDEFINED:
			return put_marker(builder, p, "$undefined", true, entry);
		case MT_BSON_REGEX:
			return put_regex(builder, p, value, entry);
		case MT_BSON_DBPOINTER:
			return put_dbpointer(builder, p, value, entry);
		case MT_BSON_CODE:
			return put_text_of(builder, p, "$code", value, entry);
		case MT_BSON_SYMBOL:
			return put_text_of(builder, p, "$symbol", value, entry);
		case MT_BSON_TIMESTAMP:
			return put_timestamp(builder, p, value, entry);
		case MT_BSON_DECIMAL128:
			return put_decimal128(builder, p, value, entry);
		case MT_BSON_MAXKEY:
			return put_marker(builder, p, "$maxKey", false, entry);
		case MT_BSON_MINKEY:
			return put_marker(builder, p, "$minKey", false, entry);
		default:
			mt_jsonb_corrupt(builder, value, "an element of unknown type");
	}
}
