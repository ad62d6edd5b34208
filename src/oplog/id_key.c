/*
 * id_key.c
 *		The value of an _id as a key.
 *
 * A key is a byte for the class of the type, as MongoDB orders types, and the
 * value as on the wire, which says where it ends by itself.  Two classes hold
 * values of several types.  Text is that of strings and symbols.  Numbers are
 * written as sign, decimal exponent and a decimal coefficient that 10 does not
 * divide: all four types have that form, but for doubles of more than 34
 * digits, which no decimal is equal to and which stand for themselves.
 *
 * Source: the BSON specification 1.1; IEEE 754-2008, binary integer decimals.
 */
#include "oplog/id_key.h"

#define CLASS_NUMBER 0x80		/* bytes that are no BSON type */
#define CLASS_TEXT 0x81

#define DECIMAL_DIGITS 34
#define DECIMAL_BIAS 6176
#define DOUBLE_BIAS 1075		/* of the mantissa as an integer */

typedef unsigned __int128 MtCoefficient;

typedef enum MtNumberForm
{
	FORM_FINITE,
	FORM_DOUBLE,				/* finite, and a double only */
	FORM_INFINITE,
	FORM_NAN
} MtNumberForm;

typedef struct MtNumber
{
	uint8_t		form;			/* MtNumberForm */
	bool		negative;
	int16_t		exponent;		/* of ten */
	MtCoefficient coefficient;
} MtNumber;

static MtIdKeyStatus append_value(MtByteBuffer *key, const MtElement *value, int depth);

static MtCoefficient
power_of_ten(int n)
{
	MtCoefficient power = 1;

	while (n-- > 0)
		power *= 10;
	return power;
}

/* Of coefficient * 10^exponent, the one form that the key is made of. */
static void
set_finite(MtNumber *number, MtCoefficient coefficient, int exponent)
{
	if (coefficient == 0)
		exponent = 0;
	while (coefficient != 0 && coefficient % 10 == 0)
	{
		coefficient /= 10;
		exponent++;
	}
	number->form = FORM_FINITE;
	number->coefficient = coefficient;
	number->exponent = (int16_t) exponent;
	number->negative &= coefficient != 0;
}

static void
set_integer(MtNumber *number, int64_t value)
{
	number->negative = value < 0;
	set_finite(number, value < 0 ? -(uint64_t) value : (uint64_t) value, 0);
}

/* mantissa * 2^exponent; false when it has too many decimal digits. */
static bool
set_binary(MtNumber *number, uint64_t mantissa, int exponent)
{
	MtCoefficient limit = power_of_ten(DECIMAL_DIGITS);
	MtCoefficient coefficient;
	int			tens = 0;

	while (mantissa % 2 == 0)
	{
		mantissa /= 2;
		exponent++;
	}
	/* 2 * 5 is a ten, 1/2 is 5 of a tenth */
	for (; exponent > 0 && mantissa % 5 == 0; exponent--, tens++)
		mantissa /= 5;
	coefficient = mantissa;
	for (; exponent > 0 && coefficient < limit; exponent--)
		coefficient *= 2;
	for (; exponent < 0 && coefficient < limit; exponent++, tens--)
		coefficient *= 5;
	if (coefficient >= limit)
		return false;
	set_finite(number, coefficient, tens);
	return true;
}

static void
set_double(MtNumber *number, uint64_t bits)
{
	uint64_t	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	int			exponent = (int) (bits >> 52 & 0x7FF);

	number->negative = bits >> 63;
	if (exponent == 0x7FF)
		number->form = mantissa != 0 ? FORM_NAN : FORM_INFINITE;
	else if (exponent == 0 && mantissa == 0)
		set_finite(number, 0, 0);
	else if (!set_binary(number, exponent == 0 ? mantissa : mantissa | UINT64_C(1) << 52,
						 (exponent == 0 ? 1 : exponent) - DOUBLE_BIAS))
	{
		number->form = FORM_DOUBLE;
		number->coefficient = bits;
	}
}

static void
set_decimal(MtNumber *number, uint64_t high, uint64_t low)
{
	MtCoefficient coefficient = (MtCoefficient) (high & ((UINT64_C(1) << 49) - 1)) << 64 | low;

	number->negative = high >> 63;
	if ((high >> 58 & 0x1F) == 0x1F)
		number->form = FORM_NAN;
	else if ((high >> 58 & 0x1F) == 0x1E)
		number->form = FORM_INFINITE;
	else if ((high >> 61 & 3) == 3 || coefficient >= power_of_ten(DECIMAL_DIGITS))
		set_finite(number, 0, 0);	/* what is not canonical is zero by the standard */
	else
		set_finite(number, coefficient, (int) (high >> 49 & 0x3FFF) - DECIMAL_BIAS);
}

static MtIdKeyStatus
append_number(MtByteBuffer *key, const MtElement *value)
{
	MtNumber	number;
	uint8_t		bytes[1 + 1 + 1 + sizeof number.exponent + sizeof number.coefficient];

	memset(&number, 0, sizeof number);
	switch (value->type)
	{
		case MT_BSON_INT32:
			set_integer(&number, (int32_t) mt_le32(value->value));
			break;
		case MT_BSON_INT64:
			set_integer(&number, (int64_t) mt_le64(value->value));
			break;
		case MT_BSON_DOUBLE:
			set_double(&number, mt_le64(value->value));
			break;
		default:
			set_decimal(&number, mt_le64(value->value + 8), mt_le64(value->value));
	}
	if (number.form == FORM_NAN)
		number.negative = false;
	bytes[0] = CLASS_NUMBER;
	bytes[1] = number.form;
	bytes[2] = number.negative;
	memcpy(bytes + 3, &number.exponent, sizeof number.exponent);
	memcpy(bytes + 3 + sizeof number.exponent, &number.coefficient, sizeof number.coefficient);
	return mt_byte_buffer_append(key, bytes, sizeof bytes) ? MT_ID_KEY_OK : MT_ID_KEY_OUT_OF_MEMORY;
}

/* The elements, each with its name, and a byte that is no class. */
static MtIdKeyStatus
append_document(MtByteBuffer *key, const MtElement *value, int depth)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result;

	if (depth > MT_BSON_MAX_DEPTH || !mt_walk_begin(&walk, mt_element_value(value)))
		return MT_ID_KEY_MALFORMED;
	if (!mt_byte_buffer_append(key, &value->type, 1))
		return MT_ID_KEY_OUT_OF_MEMORY;
	while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		MtIdKeyStatus status = append_value(key, &element, depth + 1);

		if (status != MT_ID_KEY_OK)
			return status;
		if (!mt_byte_buffer_append(key, element.name, element.name_len + 1))
			return MT_ID_KEY_OUT_OF_MEMORY;
	}
	if (result == MT_WALK_CORRUPT)
		return MT_ID_KEY_MALFORMED;
	return mt_byte_buffer_append(key, "", 1) ? MT_ID_KEY_OK : MT_ID_KEY_OUT_OF_MEMORY;
}

static MtIdKeyStatus
append_value(MtByteBuffer *key, const MtElement *value, int depth)
{
	uint8_t		type_class = value->type;

	switch (value->type)
	{
		case MT_BSON_INT32:
		case MT_BSON_INT64:
		case MT_BSON_DOUBLE:
		case MT_BSON_DECIMAL128:
			return append_number(key, value);
		case MT_BSON_DOCUMENT:
		case MT_BSON_ARRAY:
			return append_document(key, value, depth);
		case MT_BSON_STRING:
		case MT_BSON_SYMBOL:
			type_class = CLASS_TEXT;
			break;
		default:
			break;
	}
	return mt_byte_buffer_append(key, &type_class, 1) &&
		mt_byte_buffer_append(key, value->value, value->value_len) ?
		MT_ID_KEY_OK : MT_ID_KEY_OUT_OF_MEMORY;
}

MtIdKeyStatus
mt_id_key_append(MtByteBuffer *key, const MtElement *value)
{
	size_t		start = key->len;
	MtIdKeyStatus status = append_value(key, value, 1);

	if (status != MT_ID_KEY_OK)
		key->len = start;
	return status;
}
