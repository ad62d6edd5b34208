/*
 * extended_json.c
 *		JSON to BSON, by recursive descent; types are extended_json_type.c's.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oplog/bson_writer.h"
#include "oplog/extended_json.h"

/* No double needs more digits to be written exactly. */
#define MAX_NUMBER_BYTES 1100

typedef struct Parser
{
	const char *text;
	const char *p;				/* what comes next */
	MtByteBuffer *out;
	MtByteBuffer scratch;		/* the value of a type */
	int			depth;
	MtJsonError *error;
} Parser;

static bool parse_value(Parser *parser, size_t type_at);

static bool
fail(Parser *parser, const char *text)
{
	parser->error->offset = (size_t) (parser->p - parser->text);
	parser->error->text = text;
	return false;
}

static bool
put(Parser *parser, const void *bytes, size_t len)
{
	return mt_byte_buffer_append(parser->out, bytes, len) || fail(parser, "out of memory");
}

static bool
put_le32(Parser *parser, uint32_t v)
{
	uint8_t		bytes[4];

	mt_store_le32(bytes, v);
	return put(parser, bytes, sizeof bytes);
}

static bool
put_le64(Parser *parser, uint64_t v)
{
	return put_le32(parser, (uint32_t) v) && put_le32(parser, (uint32_t) (v >> 32));
}

static void
skip_space(Parser *parser)
{
	parser->p += strspn(parser->p, " \t\r\n");
}

/* Is that next, after white space?  Then pass it. */
static bool
take(Parser *parser, char c)
{
	skip_space(parser);
	if (*parser->p != c)
		return false;
	parser->p++;
	return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits; -1 when they are not there. */
static int
hex4(const char *p)
{
	int			value = 0;

	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

static bool
put_character(Parser *parser, uint32_t c)
{
	uint8_t		bytes[4];
	size_t		len = 0;

	if (c < 0x80)
		bytes[len++] = (uint8_t) c;
	else if (c < 0x800)
		bytes[len++] = (uint8_t) (0xC0 | c >> 6);
	else if (c < 0x10000)
	{
		bytes[len++] = (uint8_t) (0xE0 | c >> 12);
		bytes[len++] = (uint8_t) (0x80 | (c >> 6 & 0x3F));
	}
	else
	{
		bytes[len++] = (uint8_t) (0xF0 | c >> 18);
		bytes[len++] = (uint8_t) (0x80 | (c >> 12 & 0x3F));
		bytes[len++] = (uint8_t) (0x80 | (c >> 6 & 0x3F));
	}
	if (c >= 0x80)
		bytes[len++] = (uint8_t) (0x80 | (c & 0x3F));
	return put(parser, bytes, len);
}

/* What follows "\u", a pair of surrogates being one character. */
static bool
parse_unicode(Parser *parser)
{
	int			c = hex4(parser->p);
	int			low;

	if (c < 0)
		return fail(parser, "\\u needs four hexadecimal digits");
	if (c >= 0xDC00 && c <= 0xDFFF)
		return fail(parser, "half of a surrogate pair");
	parser->p += 4;
	if (c < 0xD800 || c > 0xDBFF)
		return put_character(parser, (uint32_t) c);
	low = parser->p[0] == '\\' && parser->p[1] == 'u' ? hex4(parser->p + 2) : -1;
	if (low < 0xDC00 || low > 0xDFFF)
		return fail(parser, "half of a surrogate pair");
	parser->p += 6;
	return put_character(parser, 0x10000 + (((uint32_t) c - 0xD800) << 10) + ((uint32_t) low - 0xDC00));
}

static bool
parse_escape(Parser *parser)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char characters[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (*parser->p == 'u')
	{
		parser->p++;
		return parse_unicode(parser);
	}
	letter = *parser->p == '\0' ? NULL : strchr(letters, *parser->p);
	if (letter == NULL)
		return fail(parser, "no such escape sequence");
	parser->p++;
	return put(parser, &characters[letter - letters], 1);
}

/* Append the characters of a string, whose opening quote is next. */
static bool
parse_characters(Parser *parser)
{
	if (!take(parser, '"'))
		return fail(parser, "a string was expected");
	while (*parser->p != '"')
	{
		const char *plain = parser->p;

		while ((unsigned char) *parser->p >= 0x20 && *parser->p != '"' && *parser->p != '\\')
			parser->p++;
		if (!put(parser, plain, (size_t) (parser->p - plain)))
			return false;
		if (*parser->p == '\\')
		{
			parser->p++;
			if (!parse_escape(parser))
				return false;
		}
		else if (*parser->p != '"')
			return fail(parser, *parser->p == '\0' ? "a string does not end" : "a control character in a string");
	}
	parser->p++;
	return true;
}

static bool
parse_string(Parser *parser)
{
	size_t		at = parser->out->len;

	if (!put_le32(parser, 0) || !parse_characters(parser) || !put(parser, "", 1))
		return false;
	mt_store_le32(parser->out->data + at, (uint32_t) (parser->out->len - at - 4));
	return true;
}

/* The name of a field, with its NUL. */
static bool
parse_name(Parser *parser)
{
	size_t		at = parser->out->len;

	if (!parse_characters(parser))
		return false;
	if (parser->out->len > at && memchr(parser->out->data + at, 0, parser->out->len - at) != NULL)
		return fail(parser, "a NUL in the name of a field");
	return put(parser, "", 1);
}

/* ---- numbers ---- */

static size_t
digits(const char *text, size_t len)
{
	size_t		n = 0;

	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

bool
mt_json_is_number(const char *text, size_t len, bool *has_point)
{
	size_t		at = len > 0 && text[0] == '-';
	size_t		n = digits(text + at, len - at);

	*has_point = false;
	if (n == 0 || (n > 1 && text[at] == '0'))
		return false;
	at += n;
	if (at < len && text[at] == '.')
	{
		*has_point = true;
		n = digits(text + at + 1, len - at - 1);
		if (n == 0)
			return false;
		at += n + 1;
	}
	if (at < len && (text[at] == 'e' || text[at] == 'E'))
	{
		*has_point = true;
		at++;
		at += at < len && (text[at] == '+' || text[at] == '-');
		n = digits(text + at, len - at);
		if (n == 0)
			return false;
		at += n;
	}
	return at == len;
}

static bool
parse_number(Parser *parser, size_t type_at)
{
	size_t		len = strspn(parser->p, "+-.0123456789eE");
	char		number[MAX_NUMBER_BYTES + 1];
	bool		has_point;
	double		as_double;
	long long	integer;
	uint64_t	bits;

	if (len > MAX_NUMBER_BYTES || !mt_json_is_number(parser->p, len, &has_point))
		return fail(parser, "no number of JSON's");
	memcpy(number, parser->p, len);
	number[len] = '\0';
	errno = 0;
	if (has_point)
	{
		as_double = strtod(number, NULL);
		if (isinf(as_double))
			return fail(parser, "a number is larger than a double can be");
		memcpy(&bits, &as_double, sizeof bits);
		parser->out->data[type_at] = MT_BSON_DOUBLE;
		parser->p += len;
		return put_le64(parser, bits);
	}
	integer = strtoll(number, NULL, 10);
	if (errno == ERANGE)
		return fail(parser, "an integer does not fit 64 bits; write {\"$numberDecimal\": \"...\"}");
	parser->p += len;
	if (integer >= INT32_MIN && integer <= INT32_MAX)
	{
		parser->out->data[type_at] = MT_BSON_INT32;
		return put_le32(parser, (uint32_t) integer);
	}
	parser->out->data[type_at] = MT_BSON_INT64;
	return put_le64(parser, (uint64_t) integer);
}

/* ---- documents and arrays ---- */

static bool
enter(Parser *parser, size_t *at)
{
	*at = parser->out->len;
	if (++parser->depth > MT_JSON_MAX_DEPTH)
		return fail(parser, "nested too deep");
	return put_le32(parser, 0);
}

static bool
leave(Parser *parser, size_t at)
{
	parser->depth--;
	if (!put(parser, "", 1))
		return false;
	if (parser->out->len - at > INT32_MAX)
		return fail(parser, "too large");
	mt_store_le32(parser->out->data + at, (uint32_t) (parser->out->len - at));
	return true;
}

/* A document may be another type's Extended JSON, and is that value then. */
static bool
resolve_type(Parser *parser, size_t type_at, size_t at, const char *from)
{
	MtSlice		document = {parser->out->data + at, (uint32_t) (parser->out->len - at)};
	const char *why = NULL;
	uint8_t		type;

	parser->scratch.len = 0;
	switch (mt_json_type_of(document, &parser->scratch, &type, &why))
	{
		case MT_JSON_NO_TYPE:
			return true;
		case MT_JSON_TYPE:
			parser->out->data[type_at] = type;
			parser->out->len = at;
			return put(parser, parser->scratch.data, parser->scratch.len);
		case MT_JSON_BAD_TYPE:
			parser->p = from;
			return fail(parser, why);
		default:
			return fail(parser, "out of memory");
	}
}

static bool
parse_document(Parser *parser, size_t type_at)
{
	const char *from = parser->p - 1;
	size_t		at;

	parser->out->data[type_at] = MT_BSON_DOCUMENT;
	if (!enter(parser, &at))
		return false;
	if (!take(parser, '}'))
	{
		do
		{
			size_t		element_at = parser->out->len;

			if (!put(parser, "", 1) || !parse_name(parser))
				return false;
			if (!take(parser, ':'))
				return fail(parser, "a colon was expected");
			if (!parse_value(parser, element_at))
				return false;
		} while (take(parser, ','));
		if (!take(parser, '}'))
			return fail(parser, "a comma or } was expected");
	}
	return leave(parser, at) && resolve_type(parser, type_at, at, from);
}

static bool
parse_array(Parser *parser, size_t type_at)
{
	unsigned	index = 0;
	size_t		at;

	parser->out->data[type_at] = MT_BSON_ARRAY;
	if (!enter(parser, &at))
		return false;
	if (!take(parser, ']'))
	{
		do
		{
			size_t		element_at = parser->out->len;
			char		name[16];
			int			len = snprintf(name, sizeof name, "%u", index++);

			if (!put(parser, "", 1) || !put(parser, name, (size_t) len + 1) || !parse_value(parser, element_at))
				return false;
		} while (take(parser, ','));
		if (!take(parser, ']'))
			return fail(parser, "a comma or ] was expected");
	}
	return leave(parser, at);
}

/* ---- values ---- */

static bool
parse_word(Parser *parser, size_t type_at)
{
	static const struct
	{
		const char *word;
		uint8_t		type;
		uint8_t		value;
		size_t		value_len;
	}			words[] =
	{
		{"true", MT_BSON_BOOL, 1, 1}, {"false", MT_BSON_BOOL, 0, 1}, {"null", MT_BSON_NULL, 0, 0},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
	{
		size_t		len = strlen(words[i].word);

		if (strncmp(parser->p, words[i].word, len) != 0)
			continue;
		parser->p += len;
		parser->out->data[type_at] = words[i].type;
		return put(parser, &words[i].value, words[i].value_len);
	}
	return fail(parser, "a value was expected");
}

/* A value, whose type goes to type_at and whose bytes are appended. */
static bool
parse_value(Parser *parser, size_t type_at)
{
	skip_space(parser);
	switch (*parser->p)
	{
		case '{':
			parser->p++;
			return parse_document(parser, type_at);
		case '[':
			parser->p++;
			return parse_array(parser, type_at);
		case '"':
			parser->out->data[type_at] = MT_BSON_STRING;
			return parse_string(parser);
		default:
			if (*parser->p == '-' || (*parser->p >= '0' && *parser->p <= '9'))
				return parse_number(parser, type_at);
			return parse_word(parser, type_at);
	}
}

static bool
parse_all(Parser *parser, size_t start)
{
	uint8_t		type;

	/* Where the type goes; taken back in the end. */
	if (!put(parser, "", 1) || !parse_value(parser, start))
		return false;
	type = parser->out->data[start];
	if (type != MT_BSON_DOCUMENT && type != MT_BSON_ARRAY)
		return fail(parser, "a document or an array was expected");
	skip_space(parser);
	if (*parser->p != '\0')
		return fail(parser, "more than one value");
	return true;
}

bool
mt_json_parse(const char *text, MtByteBuffer *bson, bool *is_array, MtJsonError *error)
{
	size_t		start = bson->len;
	Parser		parser = {.text = text, .p = text, .out = bson, .error = error};
	bool		ok = parse_all(&parser, start);

	mt_byte_buffer_free(&parser.scratch);
	if (!ok)
	{
		bson->len = start;
		return false;
	}
	*is_array = bson->data[start] == MT_BSON_ARRAY;
	memmove(bson->data + start, bson->data + start + 1, bson->len - start - 1);
	bson->len--;
	return true;
}
