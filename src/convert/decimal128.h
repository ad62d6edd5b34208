/*
 * decimal128.h
 *		numeric to BSON's Decimal128, exactly or to the side that is asked for.
 */
#ifndef MT_DECIMAL128_H
#define MT_DECIMAL128_H

#include "postgres.h"

#include "utils/numeric.h"

#define MT_DECIMAL128_BYTES 16

typedef enum MtDecimalRounding
{
	MT_DECIMAL_FLOOR,			/* the greatest that is not greater; -Infinity is one */
	MT_DECIMAL_CEILING			/* the least that is not less; Infinity is one */
} MtDecimalRounding;

/* As on the wire.  True: it is the very number.  The number is finite. */
extern bool mt_decimal128_of_numeric(Numeric number, MtDecimalRounding rounding,
									 uint8 bytes[MT_DECIMAL128_BYTES]);

#endif							/* MT_DECIMAL128_H */
