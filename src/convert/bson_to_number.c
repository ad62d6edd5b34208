/*
 * bson_to_number.c
 *		BSON numbers to integers, floats and numeric, exactly or not at all.
 *
 * BSON has four kinds of numbers that MongoDB mixes freely in one field, so
 * every kind converts to every type when its very value can be held: 3.0 is an
 * integer and 3.7 is none; 2^53 + 1 is no float8, and 0.1 no float4.  To
 * numeric a double goes by its shortest digits, which read back as that double.
 */
#include "postgres.h"

#include <bson/bson.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "convert/datum_target.h"

/* Digits after the point that any double needs to be written exactly. */
#define DOUBLE_EXACT_DIGITS 1074

/* What MongoDB calls a number. */
static bool
is_number(const MtElement *element)
{
	return element->type == MT_BSON_INT32 || element->type == MT_BSON_INT64 ||
		element->type == MT_BSON_DOUBLE || element->type == MT_BSON_DECIMAL128;
}

static MtConvertResult
not_a_number(MtValueTarget *target)
{
	return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only numbers");
}

static Numeric
numeric_from_text(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
decimal128_text(const MtElement *element, char text[BSON_DECIMAL128_STRING])
{
	bson_decimal128_t decimal;

	decimal.low = mt_le64(element->value);
	decimal.high = mt_le64(element->value + 8);
	bson_decimal128_to_string(&decimal, text);
}

/* An element of type int32 or int64. */
static int64
integer_value(const MtElement *element)
{
	return element->type == MT_BSON_INT32 ? (int32) mt_le32(element->value) : (int64) mt_le64(element->value);
}

static bool
numeric_equal(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b))) == 0;
}

/* ---- integers ---- */

static MtConvertResult
has_fraction(MtValueTarget *target)
{
	return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which holds no fractions");
}

static MtConvertResult
out_of_range(MtValueTarget *target)
{
	return mt_mismatch(target, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "whose range it exceeds");
}

static MtConvertResult
double_to_int64(MtValueTarget *target, double number, int64 *value)
{
	if (isnan(number))
		return mt_mismatch(target, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "which has no NaN");
	if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0))
		return out_of_range(target);
	if (number != floor(number))
		return has_fraction(target);
	*value = (int64) number;
	return MT_CONVERTED;
}

static MtConvertResult
decimal128_to_int64(MtValueTarget *target, const MtElement *element, int64 *value)
{
	char		text[BSON_DECIMAL128_STRING];
	Numeric		numeric;
	Numeric		limit;
	Datum		floor_of;

	decimal128_text(element, text);
	numeric = numeric_from_text(text);
	if (numeric_is_nan(numeric))
		return mt_mismatch(target, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "which has no NaN");
	if (numeric_is_inf(numeric))
		return out_of_range(target);
	/* |number| <= 2^63 is enough to let numeric_int8 decide the last one. */
	limit = numeric_from_text("9223372036854775808");
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, DirectFunctionCall1(numeric_abs, NumericGetDatum(numeric)),
										  NumericGetDatum(limit))) > 0 || numeric_equal(numeric, limit))
		return out_of_range(target);
	floor_of = DirectFunctionCall1(numeric_floor, NumericGetDatum(numeric));
	if (!numeric_equal(numeric, DatumGetNumeric(floor_of)))
		return has_fraction(target);
	*value = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(numeric)));
	return MT_CONVERTED;
}

static MtConvertResult
to_integer(MtValueTarget *target, const MtElement *element, int64 min, int64 max, int64 *value)
{
	MtConvertResult result = MT_CONVERTED;

	switch (element->type)
	{
		case MT_BSON_INT32:
		case MT_BSON_INT64:
			*value = integer_value(element);
			break;
		case MT_BSON_DOUBLE:
			result = double_to_int64(target, mt_le_double(element->value), value);
			break;
		case MT_BSON_DECIMAL128:
			result = decimal128_to_int64(target, element, value);
			break;
		default:
			return not_a_number(target);
	}
	if (result == MT_CONVERTED && (*value < min || *value > max))
		return out_of_range(target);
	return result;
}

MtConvertResult
mt_convert_int2(MtValueTarget *target, const MtElement *element, Datum *value)
{
	int64		number = 0;
	MtConvertResult result = to_integer(target, element, PG_INT16_MIN, PG_INT16_MAX, &number);

	*value = Int16GetDatum((int16) number);
	return result;
}

MtConvertResult
mt_convert_int4(MtValueTarget *target, const MtElement *element, Datum *value)
{
	int64		number = 0;
	MtConvertResult result = to_integer(target, element, PG_INT32_MIN, PG_INT32_MAX, &number);

	*value = Int32GetDatum((int32) number);
	return result;
}

MtConvertResult
mt_convert_int8(MtValueTarget *target, const MtElement *element, Datum *value)
{
	int64		number = 0;
	MtConvertResult result = to_integer(target, element, PG_INT64_MIN, PG_INT64_MAX, &number);

	*value = Int64GetDatum(number);
	return result;
}

/* ---- floats ---- */

/* Is this the double of exactly that integer? */
static bool
double_is_integer(double number, int64 integer)
{
	return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && (int64) number == integer;
}

static bool
decimal128_to_double(const MtElement *element, double *number)
{
	char		text[BSON_DECIMAL128_STRING];
	char	   *exact;
	Numeric		numeric;

	decimal128_text(element, text);
	numeric = numeric_from_text(text);
	*number = strtod(text, NULL);
	if (numeric_is_nan(numeric) || numeric_is_inf(numeric))
		return true;
	if (isinf(*number))
		return false;
	exact = psprintf("%.*f", DOUBLE_EXACT_DIGITS, *number);
	return numeric_equal(numeric, numeric_from_text(exact));
}

/* The double of exactly the element's value; false when there is none. */
static bool
to_double(const MtElement *element, double *number)
{
	switch (element->type)
	{
		case MT_BSON_INT32:
		case MT_BSON_INT64:
			*number = (double) integer_value(element);
			return double_is_integer(*number, integer_value(element));
		case MT_BSON_DOUBLE:
			*number = mt_le_double(element->value);
			return true;
		default:
			return decimal128_to_double(element, number);
	}
}

static MtConvertResult
not_exact(MtValueTarget *target)
{
	return mt_mismatch(target, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "which cannot hold it exactly");
}

MtConvertResult
mt_convert_float8(MtValueTarget *target, const MtElement *element, Datum *value)
{
	double		number;

	if (!is_number(element))
		return not_a_number(target);
	if (!to_double(element, &number))
		return not_exact(target);
	*value = Float8GetDatum(number);
	return MT_CONVERTED;
}

MtConvertResult
mt_convert_float4(MtValueTarget *target, const MtElement *element, Datum *value)
{
	double		number;

	if (!is_number(element))
		return not_a_number(target);
	if (!to_double(element, &number))
		return not_exact(target);
	if (!isnan(number) && (double) (float) number != number)
		return not_exact(target);
	*value = Float4GetDatum((float) number);
	return MT_CONVERTED;
}

/* ---- numeric ---- */

/* The places after the point of a numeric's typmod; PostgreSQL keeps 11 bits
 * with a sign there. */
static int
typmod_scale(int32 typmod)
{
	return (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
}

void
mt_prepare_numeric(MtValueTarget *target)
{
	int			precision = ((target->typmod - VARHDRSZ) >> 16) & 0xffff;

	if (target->typmod >= VARHDRSZ)
		target->numeric_limit = numeric_from_text(psprintf("1e%d", precision - typmod_scale(target->typmod)));
}

/* The number under the typmod, which must neither round nor overflow it. */
static MtConvertResult
apply_numeric_typmod(MtValueTarget *target, Numeric exact, Datum *value)
{
	Datum		number = NumericGetDatum(exact);
	Datum		rounded;

	if (numeric_is_inf(exact))
		return out_of_range(target);
	if (numeric_is_nan(exact))
	{
		*value = number;
		return MT_CONVERTED;
	}
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, DirectFunctionCall1(numeric_abs, number),
										  NumericGetDatum(target->numeric_limit))) >= 0)
		return out_of_range(target);
	rounded = DirectFunctionCall2(numeric_round, number, Int32GetDatum(typmod_scale(target->typmod)));
	if (!numeric_equal(exact, DatumGetNumeric(rounded)))
		return not_exact(target);
	*value = DirectFunctionCall2(numeric, number, Int32GetDatum(target->typmod));
	return MT_CONVERTED;
}

MtConvertResult
mt_convert_numeric(MtValueTarget *target, const MtElement *element, Datum *value)
{
	Numeric		number;

	if (!is_number(element))
		return not_a_number(target);
	if (element->type == MT_BSON_DOUBLE)
	{
		char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

		double_to_shortest_decimal_buf(mt_le_double(element->value), text);
		number = numeric_from_text(text);
	}
	else if (element->type == MT_BSON_DECIMAL128)
	{
		char		text[BSON_DECIMAL128_STRING];

		decimal128_text(element, text);
		number = numeric_from_text(text);
	}
	else
		number = int64_to_numeric(integer_value(element));
	if (target->numeric_limit != NULL)
		return apply_numeric_typmod(target, number, value);
	*value = NumericGetDatum(number);
	return MT_CONVERTED;
}
