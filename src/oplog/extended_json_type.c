/*
 * extended_json_type.c
 *		Documents that are the Extended JSON of another type: {$oid: '...'}.
 *
 * Inner ones have become values already: {$date: {$numberLong: '5'}} comes as
 * {$date: an int64}.
 */
#include <bson/bson.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oplog/bson_writer.h"
#include "oplog/extended_json.h"

#define OBJECTID_BYTES	12
#define UUID_BYTES		16
#define UUID_SUBTYPE	4
#define BINARY_OLD		2
#define MAX_NUMBER_BYTES 1100
#define MAX_OPTIONS		16
#define MAX_FIELDS		2

/* A document that may be one: its first fields. */
typedef struct Fields
{
	int			n;
	MtElement	field[MAX_FIELDS];
	MtByteBuffer *value;
	uint8_t		type;
	bool		out_of_memory;
} Fields;

typedef bool (*ReadType) (Fields *fields);

static const MtElement *
field_of(const MtElement *field, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (mt_element_is(&field[i], name, (uint32_t) strlen(name)))
			return &field[i];
	return NULL;
}

static bool
put(Fields *fields, const void *bytes, size_t len)
{
	fields->out_of_memory |= !mt_byte_buffer_append(fields->value, bytes, len);
	return !fields->out_of_memory;
}

static bool
put_le32(Fields *fields, uint32_t v)
{
	uint8_t		bytes[4];

	mt_store_le32(bytes, v);
	return put(fields, bytes, sizeof bytes);
}

static bool
put_le64(Fields *fields, uint64_t v)
{
	return put_le32(fields, (uint32_t) v) && put_le32(fields, (uint32_t) (v >> 32));
}

/* The text of a field that is a string without NUL; false when it is not. */
static bool
text_of(const MtElement *element, MtSlice *text)
{
	if (element == NULL || element->type != MT_BSON_STRING)
		return false;
	*text = mt_element_text(element);
	return text->len == 0 || memchr(text->data, 0, text->len) == NULL;
}

/* The same as a C string of at most size - 1 bytes. */
static bool
short_text_of(const MtElement *element, char *text, size_t size)
{
	MtSlice		slice;

	if (!text_of(element, &slice) || slice.len >= size)
		return false;
	memcpy(text, slice.data, slice.len);
	text[slice.len] = '\0';
	return true;
}

static bool
integer_of(const MtElement *element, int64_t *integer)
{
	if (element == NULL || (element->type != MT_BSON_INT32 && element->type != MT_BSON_INT64))
		return false;
	*integer = element->type == MT_BSON_INT32 ? (int32_t) mt_le32(element->value) : (int64_t) mt_le64(element->value);
	return true;
}

/* The two fields of the document that the first field is; false when it is not. */
static bool
inner_fields(const Fields *fields, MtElement inner[MAX_FIELDS])
{
	MtWalk		walk;
	MtElement	more;

	return fields->n == 1 && fields->field[0].type == MT_BSON_DOCUMENT &&
		mt_walk_begin(&walk, mt_element_value(&fields->field[0])) &&
		mt_walk_next(&walk, &inner[0]) == MT_WALK_ELEMENT && mt_walk_next(&walk, &inner[1]) == MT_WALK_ELEMENT &&
		mt_walk_next(&walk, &more) == MT_WALK_END;
}

static int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Exactly len bytes of hexadecimal digits, hyphens between bytes passed over. */
static bool
hex_bytes(MtSlice text, uint8_t *bytes, size_t len, bool hyphens)
{
	size_t		at = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && (at >= text.len || text.data[at++] != '-'))
			return false;
		if (at + 2 > text.len || hex_digit(text.data[at]) < 0 || hex_digit(text.data[at + 1]) < 0)
			return false;
		bytes[i] = (uint8_t) (hex_digit(text.data[at]) << 4 | hex_digit(text.data[at + 1]));
		at += 2;
	}
	return at == text.len;
}

/* ---- types, each as its first field names it ---- */

static bool
read_oid(Fields *fields)
{
	uint8_t		bytes[OBJECTID_BYTES];
	MtSlice		text;

	fields->type = MT_BSON_OBJECTID;
	return text_of(&fields->field[0], &text) && hex_bytes(text, bytes, sizeof bytes, false) &&
		put(fields, bytes, sizeof bytes);
}

static bool
read_integer_text(Fields *fields, long long min, long long max, long long *integer)
{
	char		text[32];
	bool		has_point;

	if (!short_text_of(&fields->field[0], text, sizeof text) || !mt_json_is_number(text, strlen(text), &has_point) ||
		has_point)
		return false;
	errno = 0;
	*integer = strtoll(text, NULL, 10);
	return errno == 0 && *integer >= min && *integer <= max;
}

static bool
read_int(Fields *fields)
{
	long long	integer;

	fields->type = MT_BSON_INT32;
	return read_integer_text(fields, INT32_MIN, INT32_MAX, &integer) && put_le32(fields, (uint32_t) integer);
}

static bool
read_long(Fields *fields)
{
	long long	integer;

	fields->type = MT_BSON_INT64;
	return read_integer_text(fields, INT64_MIN, INT64_MAX, &integer) && put_le64(fields, (uint64_t) integer);
}

static bool
is_special(const char *text)
{
	return strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0;
}

static bool
read_double(Fields *fields)
{
	char		text[MAX_NUMBER_BYTES + 1];
	bool		has_point;
	double		number;
	uint64_t	bits;

	fields->type = MT_BSON_DOUBLE;
	if (!short_text_of(&fields->field[0], text, sizeof text) ||
		(!is_special(text) && !mt_json_is_number(text, strlen(text), &has_point)))
		return false;
	number = strtod(text, NULL);
	if (!is_special(text) && (number > 1.7976931348623157e308 || number < -1.7976931348623157e308))
		return false;
	memcpy(&bits, &number, sizeof bits);
	return put_le64(fields, bits);
}

static bool
read_decimal(Fields *fields)
{
	char		text[MAX_NUMBER_BYTES + 1];
	bson_decimal128_t decimal;

	fields->type = MT_BSON_DECIMAL128;
	return short_text_of(&fields->field[0], text, sizeof text) && strpbrk(text, " \t\n") == NULL &&
		bson_decimal128_from_string(text, &decimal) && put_le64(fields, decimal.low) && put_le64(fields, decimal.high);
}

/* Two or four digits at *p, which moves on; -1 when they are not there. */
static int
number_at(const char **p, int n_digits)
{
	int			number = 0;

	for (int i = 0; i < n_digits; i++, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return -1;
		number = number * 10 + **p - '0';
	}
	return number;
}

static bool
pass(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t
days_of(int year, int month, int day)
{
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		era = (y >= 0 ? y : y - 399) / 400;
	int64_t		of_era = y - era * 400;
	int64_t		of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

/* Z, +hh:mm or -hhmm, to the end: how many minutes it is ahead of UTC. */
static bool
zone_at(const char **p, int *minutes)
{
	bool		is_behind = **p == '-';
	int			hour;
	int			minute;

	*minutes = 0;
	if (pass(p, 'Z'))
		return **p == '\0';
	if (!pass(p, '+') && !pass(p, '-'))
		return false;
	hour = number_at(p, 2);
	(void) pass(p, ':');
	minute = hour < 0 ? -1 : number_at(p, 2);
	if (minute < 0 || hour > 23 || minute > 59 || **p != '\0')
		return false;
	*minutes = (hour * 60 + minute) * (is_behind ? -1 : 1);
	return true;
}

/* 2026-01-31T23:59:59.999Z; no more digits than a date holds. */
static bool
date_of_text(const char *p, int64_t *ms)
{
	int			year = number_at(&p, 4);
	int			month = pass(&p, '-') ? number_at(&p, 2) : -1;
	int			day = pass(&p, '-') ? number_at(&p, 2) : -1;
	int			hour = pass(&p, 'T') ? number_at(&p, 2) : -1;
	int			minute = pass(&p, ':') ? number_at(&p, 2) : -1;
	int			second = pass(&p, ':') ? number_at(&p, 2) : -1;
	int			fraction = 0;
	int			zone;

	if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 59)
		return false;
	if (pass(&p, '.'))
	{
		int			n = 0;

		while (n < 3 && *p >= '0' && *p <= '9')
		{
			fraction = fraction * 10 + *p++ - '0';
			n++;
		}
		if (n == 0)
			return false;
		for (; n < 3; n++)
			fraction *= 10;
	}
	if (!zone_at(&p, &zone))
		return false;
	*ms = (days_of(year, month, day) * 86400 + hour * 3600 + (minute - zone) * 60 + second) * 1000 + fraction;
	return true;
}

static bool
read_date(Fields *fields)
{
	char		text[64];
	int64_t		ms;

	fields->type = MT_BSON_DATE;
	if (fields->field[0].type == MT_BSON_INT64)
		return put_le64(fields, mt_le64(fields->field[0].value));
	return short_text_of(&fields->field[0], text, sizeof text) && date_of_text(text, &ms) &&
		put_le64(fields, (uint64_t) ms);
}

static int
base64_digit(uint8_t c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *digit = c == '\0' ? NULL : strchr(digits, c);

	return digit == NULL ? -1 : (int) (digit - digits);
}

/* Append the bytes of base64; what is not whole is refused. */
static bool
put_base64(Fields *fields, MtSlice text)
{
	uint32_t	bits = 0;
	uint32_t	padding = 0;

	while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
		padding++;
	if (text.len % 4 != 0)
		return false;
	for (uint32_t i = 0; i < text.len; i++)
	{
		bool		is_padding = i >= text.len - padding;
		int			digit = is_padding ? 0 : base64_digit(text.data[i]);
		uint8_t		bytes[3];

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t) digit;
		if (i % 4 != 3)
			continue;
		bytes[0] = (uint8_t) (bits >> 16);
		bytes[1] = (uint8_t) (bits >> 8);
		bytes[2] = (uint8_t) bits;
		if (!put(fields, bytes, i == text.len - 1 ? 3 - padding : 3))
			return false;
		bits = 0;
	}
	return true;
}

static bool
read_binary(Fields *fields)
{
	MtElement	inner[MAX_FIELDS];
	char		subtype[3];
	MtSlice		base64;
	size_t		frame;
	long		kind;
	uint32_t	len;

	fields->type = MT_BSON_BINARY;
	if (!inner_fields(fields, inner) || !text_of(field_of(inner, 2, "base64"), &base64) ||
		!short_text_of(field_of(inner, 2, "subType"), subtype, sizeof subtype) || subtype[0] == '\0' ||
		strspn(subtype, "0123456789abcdefABCDEF") != strlen(subtype))
		return false;
	kind = strtol(subtype, NULL, 16);
	frame = kind == BINARY_OLD ? 9 : 5;
	if (!put(fields, "\0\0\0\0\0\0\0\0", frame) || !put_base64(fields, base64))
		return false;
	len = (uint32_t) (fields->value->len - frame);
	fields->value->data[4] = (uint8_t) kind;
	/* the old kind has its length twice */
	if (kind == BINARY_OLD)
		mt_store_le32(fields->value->data + 5, len);
	mt_store_le32(fields->value->data, len + (kind == BINARY_OLD ? 4 : 0));
	return true;
}

static bool
read_uuid(Fields *fields)
{
	uint8_t		bytes[UUID_BYTES];
	MtSlice		text;

	fields->type = MT_BSON_BINARY;
	return text_of(&fields->field[0], &text) && hex_bytes(text, bytes, sizeof bytes, true) &&
		put_le32(fields, UUID_BYTES) && put(fields, "\x04", 1) && put(fields, bytes, sizeof bytes);
}

static bool
read_timestamp(Fields *fields)
{
	MtElement	inner[MAX_FIELDS];
	int64_t		seconds;
	int64_t		increment;

	fields->type = MT_BSON_TIMESTAMP;
	return inner_fields(fields, inner) && integer_of(field_of(inner, 2, "t"), &seconds) &&
		integer_of(field_of(inner, 2, "i"), &increment) && seconds >= 0 && seconds <= UINT32_MAX &&
		increment >= 0 && increment <= UINT32_MAX && put_le32(fields, (uint32_t) increment) &&
		put_le32(fields, (uint32_t) seconds);
}

static int
compare_characters(const void *a, const void *b)
{
	return *(const char *) a - *(const char *) b;
}

static bool
read_regex(Fields *fields)
{
	MtElement	inner[MAX_FIELDS];
	char		options[MAX_OPTIONS];
	MtSlice		pattern;

	fields->type = MT_BSON_REGEX;
	if (!inner_fields(fields, inner) || !text_of(field_of(inner, 2, "pattern"), &pattern) ||
		!short_text_of(field_of(inner, 2, "options"), options, sizeof options))
		return false;
	qsort(options, strlen(options), 1, compare_characters);
	return put(fields, pattern.data, pattern.len) && put(fields, "", 1) && put(fields, options, strlen(options) + 1);
}

static bool
read_dbpointer(Fields *fields)
{
	MtElement	inner[MAX_FIELDS];
	const MtElement *ref;
	const MtElement *id;

	fields->type = MT_BSON_DBPOINTER;
	if (!inner_fields(fields, inner))
		return false;
	ref = field_of(inner, 2, "$ref");
	id = field_of(inner, 2, "$id");
	return ref != NULL && ref->type == MT_BSON_STRING && id != NULL && id->type == MT_BSON_OBJECTID &&
		put(fields, ref->value, ref->value_len) && put(fields, id->value, id->value_len);
}

static bool
read_code(Fields *fields)
{
	const MtElement *code = &fields->field[0];
	const MtElement *scope = fields->n == 2 ? &fields->field[1] : NULL;

	fields->type = scope == NULL ? MT_BSON_CODE : MT_BSON_CODE_W_SCOPE;
	if (code->type != MT_BSON_STRING)
		return false;
	if (scope == NULL)
		return put(fields, code->value, code->value_len);
	return mt_element_is(scope, "$scope", 6) && scope->type == MT_BSON_DOCUMENT &&
		put_le32(fields, 4 + code->value_len + scope->value_len) && put(fields, code->value, code->value_len) &&
		put(fields, scope->value, scope->value_len);
}

static bool
read_symbol(Fields *fields)
{
	fields->type = MT_BSON_SYMBOL;
	return fields->field[0].type == MT_BSON_STRING && put(fields, fields->field[0].value, fields->field[0].value_len);
}

static bool
read_min_key(Fields *fields)
{
	int64_t		one;

	fields->type = MT_BSON_MINKEY;
	return integer_of(&fields->field[0], &one) && one == 1;
}

static bool
read_max_key(Fields *fields)
{
	bool		ok = read_min_key(fields);

	fields->type = MT_BSON_MAXKEY;
	return ok;
}

static bool
read_undefined(Fields *fields)
{
	fields->type = MT_BSON_UNDEFINED;
	return fields->field[0].type == MT_BSON_BOOL && fields->field[0].value[0] == 1;
}

static const struct
{
	const char *name;
	ReadType	read;
	int			max_fields;
	const char *why;
}			types[] =
{
	{"$oid", read_oid, 1, "$oid is 24 hexadecimal digits"},
	{"$numberInt", read_int, 1, "$numberInt is the text of an integer of 32 bits"},
	{"$numberLong", read_long, 1, "$numberLong is the text of an integer of 64 bits"},
	{"$numberDouble", read_double, 1, "$numberDouble is the text of a double"},
	{"$numberDecimal", read_decimal, 1, "$numberDecimal is the text of a Decimal128, exactly"},
	{"$date", read_date, 1, "$date is a text like 2026-01-31T23:59:59.999Z, or {\"$numberLong\": milliseconds}"},
	{"$binary", read_binary, 1, "$binary is {\"base64\": \"...\", \"subType\": \"00\"}"},
	{"$uuid", read_uuid, 1, "$uuid is a text like f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
	{"$timestamp", read_timestamp, 1, "$timestamp is {\"t\": seconds, \"i\": increment}"},
	{"$regularExpression", read_regex, 1, "$regularExpression is {\"pattern\": \"...\", \"options\": \"\"}"},
	{"$dbPointer", read_dbpointer, 1, "$dbPointer is {\"$ref\": \"...\", \"$id\": {\"$oid\": \"...\"}}"},
	{"$code", read_code, 2, "$code is a text, and $scope, if it follows, a document"},
	{"$symbol", read_symbol, 1, "$symbol is a text"},
	{"$minKey", read_min_key, 1, "$minKey is 1"},
	{"$maxKey", read_max_key, 1, "$maxKey is 1"},
	{"$undefined", read_undefined, 1, "$undefined is true"},
};

MtJsonTypeResult
mt_json_type_of(MtSlice document, MtByteBuffer *value, uint8_t *type, const char **why)
{
	Fields		fields = {.value = value};
	MtWalk		walk;
	MtElement	element;
	size_t		i = 0;

	if (!mt_walk_begin(&walk, document))
		return MT_JSON_NO_TYPE;
	while (fields.n <= MAX_FIELDS && mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (fields.n < MAX_FIELDS)
			fields.field[fields.n] = element;
		fields.n++;
	}
	while (fields.n > 0 && i < sizeof types / sizeof *types &&
		   !mt_element_is(&fields.field[0], types[i].name, (uint32_t) strlen(types[i].name)))
		i++;
	if (fields.n == 0 || i == sizeof types / sizeof *types)
		return MT_JSON_NO_TYPE;
	*why = types[i].why;
	if (fields.n > types[i].max_fields)
		return MT_JSON_BAD_TYPE;
	if (!types[i].read(&fields))
		return fields.out_of_memory ? MT_JSON_OUT_OF_MEMORY : MT_JSON_BAD_TYPE;
	*type = fields.type;
	return MT_JSON_TYPE;
}
