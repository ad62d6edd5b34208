/*
 * decimal128.c
 *		numeric to BSON's Decimal128: see decimal128.h.
 *
 * A Decimal128 is up to 34 digits and a power of ten.  The digits of a numeric
 * are its text's; what does not fit is cut off, which rounds towards zero, and
 * a unit of the last digit is added where that is the wrong side.
 */
#include "postgres.h"

#include <bson/bson.h>

#include "utils/builtins.h"

#include "convert/decimal128.h"

#define DECIMAL_DIGITS		34
#define MIN_EXPONENT		(-6176)
#define MAX_EXPONENT		6111

/* digits * 10^exponent, without zeros in front and at the end; 0 has no digits */
typedef struct Decimal
{
	bool		is_negative;
	char	   *digits;
	int			n_digits;
	int			exponent;
} Decimal;

static Decimal
parse(const char *text)
{
	Decimal		decimal = {*text == '-', palloc(strlen(text) + 1), 0, 0};
	bool		has_point = false;

	for (; *text != '\0'; text++)
	{
		has_point |= *text == '.';
		if (*text < '0' || *text > '9')
			continue;
		decimal.exponent -= has_point;
		if (*text != '0' || decimal.n_digits > 0)
			decimal.digits[decimal.n_digits++] = *text;
	}
	while (decimal.n_digits > 0 && decimal.digits[decimal.n_digits - 1] == '0')
	{
		decimal.n_digits--;
		decimal.exponent++;
	}
	return decimal;
}

/* Cut off what does not fit; false: nothing. */
static bool
cut(Decimal *decimal)
{
	int			excess = Max(decimal->n_digits - DECIMAL_DIGITS, MIN_EXPONENT - decimal->exponent);

	if (excess <= 0 || decimal->n_digits == 0)
		return false;
	decimal->exponent += excess;
	decimal->n_digits = Max(decimal->n_digits - excess, 0);
	return true;
}

/* Add a unit of the last digit: the next number away from zero. */
static void
add_unit(Decimal *decimal)
{
	int			i = decimal->n_digits - 1;

	while (i >= 0 && decimal->digits[i] == '9')
		decimal->digits[i--] = '0';
	if (i >= 0)
		decimal->digits[i]++;
	else if (decimal->n_digits == 0)
	{
		decimal->digits[0] = '1';
		decimal->n_digits = 1;
	}
	else
	{
		/* 99..9 is now 00..0: one followed by as many zeros, less the last */
		decimal->digits[0] = '1';
		decimal->exponent++;
	}
}

/* Write zeros at the end rather than an exponent that is too large; false: there is no room. */
static bool
lower_exponent(Decimal *decimal)
{
	if (decimal->n_digits == 0)
		decimal->exponent = 0;
	while (decimal->exponent > MAX_EXPONENT)
	{
		if (decimal->n_digits == DECIMAL_DIGITS)
			return false;
		decimal->digits = repalloc(decimal->digits, decimal->n_digits + 1);
		decimal->digits[decimal->n_digits++] = '0';
		decimal->exponent--;
	}
	return true;
}

static void
write_text(const char *text, uint8 bytes[MT_DECIMAL128_BYTES])
{
	bson_decimal128_t value;

	if (!bson_decimal128_from_string(text, &value))
		elog(ERROR, "could not make a Decimal128 of \"%s\"", text);
	for (int i = 0; i < 8; i++)
	{
		bytes[i] = (uint8) (value.low >> (8 * i));
		bytes[8 + i] = (uint8) (value.high >> (8 * i));
	}
}

bool
mt_decimal128_of_numeric(Numeric number, MtDecimalRounding rounding, uint8 bytes[MT_DECIMAL128_BYTES])
{
	Decimal		decimal = parse(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))));
	bool		away = decimal.is_negative == (rounding == MT_DECIMAL_FLOOR);
	const char *sign = decimal.is_negative ? "-" : "";
	bool		is_cut = cut(&decimal);

	if (is_cut && away)
		add_unit(&decimal);
	if (lower_exponent(&decimal))
	{
		write_text(decimal.n_digits == 0 ? "0" :
				   psprintf("%s%.*sE%d", sign, decimal.n_digits, decimal.digits, decimal.exponent), bytes);
		return !is_cut;
	}
	write_text(psprintf("%s%s", sign, away ? "Infinity" : "9999999999999999999999999999999999E6111"), bytes);
	return false;
}
