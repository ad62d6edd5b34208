/*
 * jsonb_number.c
 *		Integers and doubles into the numerics of a jsonb, digit for digit
 *		what numeric_in makes of the number's text.
 *
 * A numeric's form on disk cannot change without breaking every database, so
 * it is written here by hand, where numeric_in takes a quarter of a
 * microsecond: a varlena header, then either one word (sign, display scale and
 * weight of the first digit, when they fit) or two, then digits to the base of
 * 10,000 without zeros at either end.
 *
 * The text of a double is MongoDB's own: an integral one that an int64 can
 * hold is its exact digits and ".0", every other one the shortest digits that
 * read as the same double.
 */
#include "postgres.h"

#include <math.h>

#include "convert/jsonb_build.h"
#include "common/shortest_dec.h"

#define MT_NBASE		10000

/* The short form's word, and what fits it */
#define MT_SHORT			0x8000
#define MT_SHORT_NEGATIVE	0x2000
#define MT_SHORT_SCALE_SHIFT 7
#define MT_SHORT_MAX_SCALE	63
#define MT_SHORT_WEIGHT_MASK 0x007F /* 6 bits and a sign */
#define MT_SHORT_MAX_WEIGHT	63
#define MT_SHORT_MIN_WEIGHT	(-64)

/* The long form's first word; the scale stands in its lower bits */
#define MT_LONG_NEGATIVE	0x4000

/* 17 digits of a double, the first one anywhere in its group of four */
#define MT_MAX_GROUPS	6

typedef struct MtNumber
{
	bool		negative;
	int			weight;			/* of the first group, in groups */
	int			scale;			/* decimal digits shown behind the point */
	int			n_groups;
	uint16		groups[MT_MAX_GROUPS];
} MtNumber;

/* Write the number, whose first and last groups are not zero. */
static char *
put_number(MtJsonbBuilder *builder, char *p, const MtNumber *number, JEntry *entry)
{
	char	   *begin;
	char	   *numeric;
	uint16		word;
	int16		weight = (int16) number->weight;

	begin = p = mt_jsonb_room(builder, p, MT_JSONB_VALUE_BYTES);
	numeric = p = mt_jsonb_pad(p);
	p += VARHDRSZ;
	if (number->scale <= MT_SHORT_MAX_SCALE && number->weight <= MT_SHORT_MAX_WEIGHT &&
		number->weight >= MT_SHORT_MIN_WEIGHT)
	{
		word = (uint16) (MT_SHORT | (number->negative ? MT_SHORT_NEGATIVE : 0) |
						 number->scale << MT_SHORT_SCALE_SHIFT |
						 (number->weight & MT_SHORT_WEIGHT_MASK));
		memcpy(p, &word, 2);
		p += 2;
	}
	else
	{
		word = (uint16) ((number->negative ? MT_LONG_NEGATIVE : 0) | number->scale);
		memcpy(p, &word, 2);
		memcpy(p + 2, &weight, 2);
		p += 4;
	}
	for (int i = 0; i < number->n_groups; i++, p += 2)
		memcpy(p, &number->groups[i], 2);
	SET_VARSIZE(numeric, p - numeric);
	*entry = JENTRY_ISNUMERIC | (JEntry) (p - begin);
	return p;
}

/* Write magnitude / 10000^n_fraction. */
static inline char *
put_scaled(MtJsonbBuilder *builder, char *p, bool negative, uint64 magnitude, int n_fraction,
		   int scale, JEntry *entry)
{
	MtNumber	number;
	uint16		reversed[MT_MAX_GROUPS];
	int			n = 0;
	int			last = 0;

	while (magnitude != 0)
	{
		reversed[n++] = (uint16) (magnitude % MT_NBASE);
		magnitude /= MT_NBASE;
	}
	while (last < n && reversed[last] == 0)
		last++;
	number.negative = negative && n > 0;
	number.weight = n > 0 ? n - 1 - n_fraction : 0;
	number.scale = scale;
	number.n_groups = n - last;
	for (int i = 0; i < number.n_groups; i++)
		number.groups[i] = reversed[n - 1 - i];
	return put_number(builder, p, &number, entry);
}

static inline uint64
magnitude_of(int64 value)
{
	return value < 0 ? -(uint64) value : (uint64) value;
}

char *
mt_jsonb_put_int64(MtJsonbBuilder *builder, char *p, int64 value, JEntry *entry)
{
	return put_scaled(builder, p, value < 0, magnitude_of(value), 0, 0, entry);
}

/*
 * Whether value is scaled / factor for an integer of at most 15 digits.  Two
 * decimals of so few digits are never the same double, and the division
 * rounds correctly, so those are then the shortest digits.
 */
static inline bool
is_scaled(double value, double factor, int64 *scaled)
{
	double		product = value * factor;

	if (!(fabs(product) < 1e15))
		return false;
	*scaled = (int64) (product + (product < 0 ? -0.5 : 0.5));
	return (double) *scaled / factor == value;
}

/* The decimal places that are left of so many when zeros at the end go. */
static inline int
places(int64 scaled, int n)
{
	while (scaled % 10 == 0)
	{
		scaled /= 10;
		n--;
	}
	return n;
}

/*
 * The significant digits of a shortest decimal, as text without a zero at
 * their beginning.  Returns where the point stands: the decimal is 0.DIGITS
 * times 10 to that power.
 */
static int
split_decimal(const char *text, char *digits, int *n_digits)
{
	bool		behind_point = false;
	int			n = 0;
	int			point = 0;

	for (; *text != '\0' && *text != 'e'; text++)
	{
		if (*text == '.')
			behind_point = true;
		else if (n > 0 || *text != '0')
		{
			digits[n++] = *text;
			point += !behind_point;
		}
		else
			point -= behind_point;
	}
	if (*text == 'e')
		point += atoi(text + 1);
	*n_digits = n;
	return point;
}

/* Any finite double but zero, by its shortest digits. */
static char *
put_shortest(MtJsonbBuilder *builder, char *p, double value, JEntry *entry)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN + 4];
	int			n_digits;
	int			point;
	int			in_group;
	MtNumber	number;

	double_to_shortest_decimal_buf(fabs(value), text);
	point = split_decimal(text, digits, &n_digits);
	memset(digits + n_digits, '0', 4);	/* the last group's */

	number.negative = value < 0;
	number.scale = Max(n_digits - point, 0);
	number.weight = point > 0 ? (point - 1) / 4 : -(-point / 4) - 1;
	number.n_groups = 0;
	in_group = point - 4 * number.weight;
	for (int i = 0; i < n_digits; in_group = 4)
	{
		int			group = 0;

		for (int j = 0; j < in_group; j++)
			group = group * 10 + (digits[i++] - '0');
		number.groups[number.n_groups++] = (uint16) group;
	}
	while (number.groups[number.n_groups - 1] == 0)
		number.n_groups--;
	return put_number(builder, p, &number, entry);
}

/* A double: a number, or {"$numberDouble": ...} when it is not finite. */
char *
mt_jsonb_put_double(MtJsonbBuilder *builder, char *p, double value, JEntry *entry)
{
	int64		scaled;

	if (value >= -9223372036854775808.0 && value < 9223372036854775808.0)
	{
		scaled = (int64) value;
		if ((double) scaled == value)
			return put_scaled(builder, p, value < 0, magnitude_of(scaled), 0, 1, entry);
		if (is_scaled(value, 1e4, &scaled))
			return put_scaled(builder, p, value < 0, magnitude_of(scaled), 1, places(scaled, 4), entry);
		if (is_scaled(value, 1e8, &scaled))
			return put_scaled(builder, p, value < 0, magnitude_of(scaled), 2, places(scaled, 8), entry);
	}
	if (likely(isfinite(value)))
		return put_shortest(builder, p, value, entry);
	return mt_jsonb_put_wrapped(builder, p, "$numberDouble",
								isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity", entry);
}
