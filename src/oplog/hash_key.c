/*
 * hash_key.c
 *		The key of a document's id on a hash ring: what Go's fmt prints with
 *		%v of what gtm's driver made of the value.
 *
 * Documents are Go maps, printed with sorted keys, of which the last of a name
 * wins; inside a scope of code they are printed in order by the v2 driver.
 * Times are printed in UTC.
 */
#include <inttypes.h>
#include <stdio.h>

#include "oplog/bson_writer.h"
#include "oplog/hash_ring.h"

#define BINARY_SUBTYPE_GENERIC 0
#define BINARY_SUBTYPE_OLD 2

#define MS_PER_DAY INT64_C(86400000)

/* A value being printed. */
typedef struct MtPrinter
{
	MtHashRingKind kind;
	MtByteBuffer *out;
	int			depth;
	MtHashStatus status;		/* the first failure sticks */
} MtPrinter;

static void print_value(MtPrinter *printer, const MtElement *value, bool in_order);

static void
print_bytes(MtPrinter *printer, const void *bytes, size_t len)
{
	if (printer->status == MT_HASH_OK && !mt_byte_buffer_append(printer->out, bytes, len))
		printer->status = MT_HASH_OUT_OF_MEMORY;
}

static void
print_text(MtPrinter *printer, const char *text)
{
	print_bytes(printer, text, strlen(text));
}

static void
print_slice(MtPrinter *printer, MtSlice text)
{
	print_bytes(printer, text.data, text.len);
}

static void
print_integer(MtPrinter *printer, int64_t n)
{
	char		text[32];

	snprintf(text, sizeof text, "%" PRId64, n);
	print_text(printer, text);
}

static void
print_object_id(MtPrinter *printer, const uint8_t *id)
{
	char		hex[25];

	for (int i = 0; i < 12; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	print_text(printer, hex);
}

static void
print_wrapped_object_id(MtPrinter *printer, const uint8_t *id)
{
	print_text(printer, printer->kind == MT_HASH_RING_V1 ? "ObjectIdHex(\"" : "ObjectID(\"");
	print_object_id(printer, id);
	print_text(printer, "\")");
}

/* The shortest digits that read back the same, as Go's %v lays them out. */
static void
print_double(MtPrinter *printer, double d)
{
	char		text[64];
	int			decimals = 0;
	int			exponent;

	if (d != d || d - d != 0)
	{
		print_text(printer, d != d ? "NaN" : d > 0 ? "+Inf" : "-Inf");
		return;
	}
	do
		snprintf(text, sizeof text, "%.*e", decimals, d);
	while (strtod(text, NULL) != d && ++decimals < 17);
	exponent = atoi(strchr(text, 'e') + 1);
	if (exponent >= -4 && exponent < 6)
		snprintf(text, sizeof text, "%.*f", decimals > exponent ? decimals - exponent : 0, d);
	print_text(printer, text);
}

/*
 * The Gregorian date of a day, for any year.  Years are counted from March, so
 * that the leap day is the last, in eras of 400 years.
 */
static void
civil_of_days(int64_t days_since_1970, int64_t *year, int *month, int *day)
{
	int64_t		days = days_since_1970 + 719468;
	int64_t		era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t		day_of_era = days - era * 146097;
	int64_t		year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
							   day_of_era / 146096) / 365;
	int64_t		day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t		month_from_march = (5 * day_of_year + 2) / 153;

	*day = (int) (day_of_year - (153 * month_from_march + 2) / 5) + 1;
	*month = (int) (month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static void
print_time(MtPrinter *printer, int64_t ms)
{
	int64_t		days = ms / MS_PER_DAY - (ms % MS_PER_DAY < 0);
	int			of_day = (int) ((ms % MS_PER_DAY + MS_PER_DAY) % MS_PER_DAY);
	int64_t		year;
	int			month;
	int			day;
	int			len;
	char		text[96];

	civil_of_days(days, &year, &month, &day);
	len = snprintf(text, sizeof text, "%s%04" PRId64 "-%02d-%02d %02d:%02d:%02d.%03d",
				   year < 0 ? "-" : "", year < 0 ? -year : year, month, day,
				   of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
	while (text[len - 1] == '0' && of_day % 1000 != 0)
		len--;
	if (of_day % 1000 == 0)
		len -= 4;
	snprintf(text + len, sizeof text - (size_t) len, " +0000 UTC");
	print_text(printer, text);
}

static void
print_binary(MtPrinter *printer, const MtElement *value)
{
	uint8_t		subtype = value->value[4];
	const uint8_t *p = value->value + 5;
	uint32_t	len = value->value_len - 5;
	bool		bare = printer->kind == MT_HASH_RING_V1 &&
		(subtype == BINARY_SUBTYPE_GENERIC || subtype == BINARY_SUBTYPE_OLD);

	if (subtype == BINARY_SUBTYPE_OLD)
	{
		if (len < 4 || mt_le32(p) != len - 4)
		{
			printer->status = MT_HASH_MALFORMED;
			return;
		}
		p += 4;
		len -= 4;
	}
	if (!bare)
	{
		print_text(printer, "{");
		print_integer(printer, subtype);
		print_text(printer, " ");
	}
	print_text(printer, "[");
	for (uint32_t i = 0; i < len; i++)
	{
		if (i > 0)
			print_text(printer, " ");
		print_integer(printer, p[i]);
	}
	print_text(printer, bare ? "]" : "]}");
}

static void
print_timestamp(MtPrinter *printer, uint64_t t)
{
	if (printer->kind == MT_HASH_RING_V1)
	{
		print_integer(printer, (int64_t) t);
		return;
	}
	print_text(printer, "{");
	print_integer(printer, (int64_t) (t >> 32));
	print_text(printer, " ");
	print_integer(printer, (int64_t) (t & UINT32_MAX));
	print_text(printer, "}");
}

static int
compare_elements(const void *a, const void *b)
{
	const MtElement *p = a;
	const MtElement *q = b;
	uint32_t	common = p->name_len < q->name_len ? p->name_len : q->name_len;
	int			order = memcmp(p->name, q->name, common);

	if (order == 0)
		order = (p->name_len > q->name_len) - (p->name_len < q->name_len);
	/* of the same name, in the document's order */
	return order != 0 ? order : (p->name > q->name) - (p->name < q->name);
}

/* Collect a document's elements into an allocated array; -1 on failure. */
static int64_t
collect_elements(MtPrinter *printer, MtSlice document, MtByteBuffer *elements)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_CORRUPT;

	if (mt_walk_begin(&walk, document))
		while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
			if (!mt_byte_buffer_append(elements, &element, sizeof element))
			{
				printer->status = MT_HASH_OUT_OF_MEMORY;
				return -1;
			}
	if (result == MT_WALK_CORRUPT)
	{
		printer->status = MT_HASH_MALFORMED;
		return -1;
	}
	return (int64_t) (elements->len / sizeof element);
}

/* map[a:1 b:2], or [{b 2} {a 1}] in order. */
static void
print_document(MtPrinter *printer, MtSlice document, bool in_order)
{
	MtByteBuffer buffer = {0};
	int64_t		n = collect_elements(printer, document, &buffer);
	MtElement  *elements = (MtElement *) buffer.data;
	bool		is_first = true;

	if (n > 1 && !in_order)
		qsort(elements, (size_t) n, sizeof *elements, compare_elements);
	print_text(printer, in_order ? "[" : "map[");
	for (int64_t i = 0; i < n; i++)
	{
		if (!in_order && i + 1 < n && elements[i].name_len == elements[i + 1].name_len &&
			memcmp(elements[i].name, elements[i + 1].name, elements[i].name_len) == 0)
			continue;
		if (!is_first)
			print_text(printer, " ");
		is_first = false;
		if (in_order)
			print_text(printer, "{");
		print_bytes(printer, elements[i].name, elements[i].name_len);
		print_text(printer, in_order ? " " : ":");
		print_value(printer, &elements[i], in_order);
		if (in_order)
			print_text(printer, "}");
	}
	print_text(printer, "]");
	mt_byte_buffer_free(&buffer);
}

static void
print_array(MtPrinter *printer, MtSlice array, bool in_order)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_CORRUPT;
	bool		is_first = true;

	print_text(printer, "[");
	if (mt_walk_begin(&walk, array))
		while (printer->status == MT_HASH_OK &&
			   (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
		{
			if (!is_first)
				print_text(printer, " ");
			is_first = false;
			print_value(printer, &element, in_order);
		}
	if (result == MT_WALK_CORRUPT)
		printer->status = MT_HASH_MALFORMED;
	print_text(printer, "]");
}

static void
print_code_with_scope(MtPrinter *printer, const MtElement *value)
{
	const uint8_t *p = value->value + 4;
	uint32_t	left = value->value_len - 4;
	int64_t		code_len = mt_bson_value_length(MT_BSON_CODE, p, left);
	MtSlice		scope;

	if (code_len < 0)
	{
		printer->status = MT_HASH_MALFORMED;
		return;
	}
	scope.data = p + code_len;
	scope.len = left - (uint32_t) code_len;
	print_text(printer, printer->kind == MT_HASH_RING_V1 ? "{" : "{\"code\": \"");
	print_bytes(printer, p + 4, (size_t) code_len - 5);
	print_text(printer, printer->kind == MT_HASH_RING_V1 ? " " : "\", \"scope\": ");
	print_document(printer, scope, printer->kind == MT_HASH_RING_V2);
	print_text(printer, "}");
}

static void
print_regex(MtPrinter *printer, const MtElement *value)
{
	const char *pattern = (const char *) value->value;
	const char *options = pattern + strlen(pattern) + 1;
	bool		is_v1 = printer->kind == MT_HASH_RING_V1;

	print_text(printer, is_v1 ? "{" : "{\"pattern\": \"");
	print_text(printer, pattern);
	print_text(printer, is_v1 ? " " : "\", \"options\": \"");
	print_text(printer, options);
	print_text(printer, is_v1 ? "}" : "\"}");
}

static void
print_db_pointer(MtPrinter *printer, const MtElement *value)
{
	bool		is_v1 = printer->kind == MT_HASH_RING_V1;

	print_text(printer, is_v1 ? "{" : "{\"db\": \"");
	print_bytes(printer, value->value + 4, value->value_len - 4 - 1 - 12);
	print_text(printer, is_v1 ? " " : "\", \"pointer\": \"");
	print_wrapped_object_id(printer, value->value + value->value_len - 12);
	print_text(printer, is_v1 ? "}" : "\"}");
}

/* A sign, digits and an exponent, by the rules of IEEE 754-2008's text form. */
static void
print_decimal_digits(MtPrinter *printer, const char *digits, int exponent)
{
	int			n = (int) strlen(digits);
	int			adjusted = exponent + n - 1;
	char		text[32];

	if (exponent > 0 || adjusted < -6)
	{
		print_bytes(printer, digits, 1);
		if (n > 1)
		{
			print_text(printer, ".");
			print_text(printer, digits + 1);
		}
		snprintf(text, sizeof text, "E%+d", adjusted);
		print_text(printer, text);
	}
	else if (exponent == 0)
		print_text(printer, digits);
	else if (n + exponent > 0)
	{
		print_bytes(printer, digits, (size_t) (n + exponent));
		print_text(printer, ".");
		print_text(printer, digits + n + exponent);
	}
	else
	{
		print_text(printer, "0.");
		for (int i = n + exponent; i < 0; i++)
			print_text(printer, "0");
		print_text(printer, digits);
	}
}

static void
print_decimal128(MtPrinter *printer, const uint8_t *value)
{
	uint64_t	low = mt_le64(value);
	uint64_t	high = mt_le64(value + 8);
	unsigned	combination = (unsigned) (high >> 58) & 0x1F;
	uint32_t	words[4];
	char		reversed[40];
	char		digits[40];
	int			n = 0;
	int			biased;
	bool		is_infinite = combination == 0x1E;

	if (combination == 0x1F)
	{
		print_text(printer, "NaN");
		return;
	}
	if (high >> 63)
		print_text(printer, "-");
	if (is_infinite)
	{
		print_text(printer, printer->kind == MT_HASH_RING_V1 ? "Inf" : "Infinity");
		return;
	}
	/* The other form of the coefficient is over 34 digits: it counts as zero. */
	if ((high >> 61 & 3) == 3)
	{
		biased = (int) (high >> 47) & 0x3FFF;
		high = low = 0;
	}
	else
		biased = (int) (high >> 49) & 0x3FFF;
	high &= (UINT64_C(1) << 49) - 1;
	words[0] = (uint32_t) (high >> 32);
	words[1] = (uint32_t) high;
	words[2] = (uint32_t) (low >> 32);
	words[3] = (uint32_t) low;
	do
	{
		uint64_t	remainder = 0;

		for (int i = 0; i < 4; i++)
		{
			remainder = remainder << 32 | words[i];
			words[i] = (uint32_t) (remainder / 10);
			remainder %= 10;
		}
		reversed[n++] = (char) ('0' + remainder);
	} while ((words[0] | words[1] | words[2] | words[3]) != 0);
	for (int i = 0; i < n; i++)
		digits[i] = reversed[n - 1 - i];
	digits[n] = '\0';
	print_decimal_digits(printer, digits, biased - 6176);
}

static void
print_nested(MtPrinter *printer, const MtElement *value, bool in_order)
{
	if (printer->depth == MT_BSON_MAX_DEPTH)
	{
		printer->status = MT_HASH_MALFORMED;
		return;
	}
	printer->depth++;
	if (value->type == MT_BSON_DOCUMENT)
		print_document(printer, mt_element_value(value), in_order);
	else if (value->type == MT_BSON_ARRAY)
		print_array(printer, mt_element_value(value), in_order);
	else
		print_code_with_scope(printer, value);
	printer->depth--;
}

static void
print_value(MtPrinter *printer, const MtElement *value, bool in_order)
{
	bool		is_v1 = printer->kind == MT_HASH_RING_V1;

	if (printer->status != MT_HASH_OK)
		return;
	switch (value->type)
	{
		case MT_BSON_DOUBLE:
			print_double(printer, mt_le_double(value->value));
			break;
		case MT_BSON_STRING:
		case MT_BSON_SYMBOL:
			print_slice(printer, mt_element_text(value));
			break;
		case MT_BSON_CODE:
			print_text(printer, is_v1 ? "{" : "");
			print_slice(printer, mt_element_text(value));
			print_text(printer, is_v1 ? " <nil>}" : "");
			break;
		case MT_BSON_DOCUMENT:
		case MT_BSON_ARRAY:
		case MT_BSON_CODE_W_SCOPE:
			print_nested(printer, value, in_order);
			break;
		case MT_BSON_BINARY:
			print_binary(printer, value);
			break;
		case MT_BSON_OBJECTID:
			print_wrapped_object_id(printer, value->value);
			break;
		case MT_BSON_BOOL:
			print_text(printer, value->value[0] ? "true" : "false");
			break;
		case MT_BSON_DATE:
			if (is_v1)
				print_time(printer, (int64_t) mt_le64(value->value));
			else
				print_integer(printer, (int64_t) mt_le64(value->value));
			break;
		case MT_BSON_NULL:
			print_text(printer, "<nil>");
			break;
		case MT_BSON_REGEX:
			print_regex(printer, value);
			break;
		case MT_BSON_DBPOINTER:
			print_db_pointer(printer, value);
			break;
		case MT_BSON_INT32:
			print_integer(printer, (int32_t) mt_le32(value->value));
			break;
		case MT_BSON_TIMESTAMP:
			print_timestamp(printer, mt_le64(value->value));
			break;
		case MT_BSON_INT64:
			print_integer(printer, (int64_t) mt_le64(value->value));
			break;
		case MT_BSON_DECIMAL128:
			print_decimal128(printer, value->value);
			break;
		case MT_BSON_MINKEY:
			print_text(printer, is_v1 ? "-9223372036854775808" : "{}");
			break;
		case MT_BSON_MAXKEY:
			print_text(printer, is_v1 ? "9223372036854775807" : "{}");
			break;
		case MT_BSON_UNDEFINED:
			print_text(printer, "{}");
			break;
		default:
			printer->status = MT_HASH_MALFORMED;
			break;
	}
}

MtHashStatus
mt_hash_ring_key(MtHashRingKind kind, const MtElement *id, MtByteBuffer *key)
{
	MtPrinter	printer = {kind, key, 0, MT_HASH_OK};
	size_t		start = key->len;

	if (id->type == MT_BSON_NULL)
		return MT_HASH_EVERY_WORKER;
	if (id->type == MT_BSON_OBJECTID)
		print_object_id(&printer, id->value);
	else
		print_value(&printer, id, false);
	if (printer.status != MT_HASH_OK)
		key->len = start;
	return printer.status;
}
