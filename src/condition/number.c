/*
 * number.c
 *		What of a column of numbers compares with a number, in MongoDB's words.
 *
 *	NaN			SQL's greatest number; no range of MongoDB's holds it, so > and
 *				>= have an arm for it
 *	integers	compare with the integers next to the value: MongoDB's fields may
 *				hold fractions, but no row does
 *	numeric		a double reads as its shortest digits, but compares in MongoDB by
 *				its very value.  strtod() of the constant is the nearest double
 *				D: doubles less than D read as less than the constant, greater
 *				ones as greater, and D itself is looked at here.  All else in the
 *				field is exact, as the constant is as a Decimal128, or rounded
 *				to the side where no Decimal128 lies between
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/numeric.h"

#include "condition/arm.h"
#include "convert/decimal128.h"

/* Integers below are doubles, exactly; this one is also what the next rounds to. */
#define DOUBLE_INTEGERS		9007199254740992.0
#define INT64_LIMIT			9223372036854775808.0

/* ---- integers ---- */

/* Where a number lies among the integers. */
typedef struct IntegerPlace
{
	int			beyond;			/* -1, 1: below or above all of int64 */
	int64		floor;
	int64		ceiling;
} IntegerPlace;

static IntegerPlace
place_of_double(double number)
{
	IntegerPlace place = {0, 0, 0};

	if (isnan(number) || number >= INT64_LIMIT)
		place.beyond = 1;
	else if (number < -INT64_LIMIT)
		place.beyond = -1;
	else
	{
		place.floor = (int64) floor(number);
		place.ceiling = (int64) ceil(number);
	}
	return place;
}

static int
compare_numerics(Datum a, Datum b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, a, b));
}

static Datum
numeric_of(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static IntegerPlace
place_of_numeric(Datum number)
{
	IntegerPlace place = {0, 0, 0};
	Datum		floor_of;

	if (numeric_is_nan(DatumGetNumeric(number)) ||
		compare_numerics(number, numeric_of("9223372036854775807")) > 0)
		place.beyond = 1;
	else if (compare_numerics(number, numeric_of("-9223372036854775808")) < 0)
		place.beyond = -1;
	else
	{
		floor_of = DirectFunctionCall1(numeric_floor, number);
		place.floor = DatumGetInt64(DirectFunctionCall1(numeric_int8, floor_of));
		place.ceiling = place.floor + (compare_numerics(number, floor_of) != 0);
	}
	return place;
}

static IntegerPlace
place_of(Oid type, Datum value)
{
	IntegerPlace place = {0, 0, 0};

	switch (type)
	{
		case INT2OID:
			place.floor = DatumGetInt16(value);
			break;
		case INT4OID:
			place.floor = DatumGetInt32(value);
			break;
		case INT8OID:
			place.floor = DatumGetInt64(value);
			break;
		case FLOAT4OID:
			return place_of_double((double) DatumGetFloat4(value));
		case FLOAT8OID:
			return place_of_double(DatumGetFloat8(value));
		default:
			return place_of_numeric(value);
	}
	place.ceiling = place.floor;
	return place;
}

static void
compare_integers(const MtCollectionColumn *column, Oid type, Datum value, int strategy, MtArms *arms)
{
	IntegerPlace place = place_of(type, value);
	int64		least = mt_column_least_integer(column);
	int64		greatest = mt_column_greatest_integer(column);
	bool		is_integer = place.floor == place.ceiling;
	int64		limit = mt_is_less(strategy) ? place.floor : place.ceiling;
	bool		open = mt_is_open(strategy) && is_integer;

	if (place.beyond != 0)
	{
		if (mt_is_less(strategy) == (place.beyond > 0))
			mt_typed_arms(column, arms);
		return;
	}
	if (mt_is_less(strategy) ? limit < least || (open && limit == least) :
		limit > greatest || (open && limit == greatest))
		return;
	mt_typed_arms(column, arms);
	if (mt_is_less(strategy) ? limit > greatest || (!open && limit == greatest) :
		limit < least || (!open && limit == least))
		return;
	mt_bound_arm(&arms->arms[0], strategy, mt_point_integer(MT_BSON_INT64, limit), open);
}

static void
add_equal_integer(const MtCollectionColumn *column, Oid type, Datum value, MtArms *arms)
{
	IntegerPlace place = place_of(type, value);

	if (place.beyond == 0 && place.floor == place.ceiling && place.floor >= mt_column_least_integer(column) &&
		place.floor <= mt_column_greatest_integer(column))
		mt_add_equal_point(arms, NULL, mt_point_integer(MT_BSON_INT64, place.floor));
}

/* ---- floats ---- */

static double
float_value(Oid type, Datum value)
{
	return type == FLOAT4OID ? (double) DatumGetFloat4(value) : DatumGetFloat8(value);
}

static void
add_nan(MtArms *arms)
{
	MtArm	   *arm = mt_add_arm(arms);

	arm->points = list_make1(mt_point_double(get_float8_nan()));
}

/* NaN is equal to itself, and greater than all else. */
static void
compare_with_nan(const MtCollectionColumn *column, int strategy, bool exact, MtArms *arms)
{
	MtArms		nan = {0};

	if (strategy == BTGreaterStrategyNumber)
		return;
	add_nan(&nan);
	if (strategy == BTGreaterEqualStrategyNumber)
		*arms = nan;
	else if (strategy == BTLessStrategyNumber)
		mt_exclusion_arms(column, &nan, exact, arms);
	else
		mt_typed_arms(column, arms);
}

static void
compare_floats(const MtCollectionColumn *column, Oid type, Datum value, int strategy, bool exact, MtArms *arms)
{
	double		number = float_value(type, value);

	if (isnan(number))
	{
		compare_with_nan(column, strategy, exact, arms);
		return;
	}
	mt_typed_arms(column, arms);
	mt_bound_arm(&arms->arms[0], strategy, mt_point_double(number), mt_is_open(strategy));
	if (!mt_is_less(strategy))
		add_nan(arms);
}

static void
add_equal_float(const MtCollectionColumn *column, Oid type, Datum value, MtArms *arms)
{
	double		number = float_value(type, value);

	if (column->base_type == FLOAT8OID || isnan(number) || (double) (float) number == number)
		mt_add_equal_point(arms, NULL, mt_point_double(number));
}

/* ---- numeric ---- */

/* A numeric, as doubles and as the other numbers see it. */
typedef struct NumericPlace
{
	MtPoint    *plain;			/* not NULL: one value that is it to all of them */
	double		nearest;
	int			nearest_order;	/* how what the nearest double reads as compares to it */
	MtPoint    *decimal;		/* NULL: no Decimal128 is it */
	MtPoint    *floor;			/* then these are next to it */
	MtPoint    *ceiling;
} NumericPlace;

static MtPoint *
decimal_point(Numeric number, MtDecimalRounding rounding, bool *is_exact)
{
	uint8	   *bytes = palloc(MT_DECIMAL128_BYTES);

	*is_exact = mt_decimal128_of_numeric(number, rounding, bytes);
	return mt_point_bytes(MT_BSON_DECIMAL128, (const char *) bytes, MT_DECIMAL128_BYTES);
}

/* What every kind of number holds exactly: small integers, and dyadic fractions. */
static MtPoint *
plain_number(Datum value, double nearest)
{
	const double fraction_unit = 1073741824.0;	/* of 30 bits, and so 30 decimals */
	char		text[64];

	if (!(fabs(nearest) < DOUBLE_INTEGERS / fraction_unit) && nearest != floor(nearest))
		return NULL;
	if (!(fabs(nearest) < DOUBLE_INTEGERS) || nearest * fraction_unit != floor(nearest * fraction_unit))
		return NULL;
	snprintf(text, sizeof text, "%.30f", nearest);
	if (compare_numerics(value, numeric_of(text)) != 0)
		return NULL;
	return nearest == floor(nearest) ? mt_point_integer(MT_BSON_INT64, (int64) nearest) : mt_point_double(nearest);
}

static NumericPlace
numeric_place(Datum value)
{
	Numeric		number = DatumGetNumeric(value);
	NumericPlace place;
	char		shortest[DOUBLE_SHORTEST_DECIMAL_LEN];
	bool		is_exact;

	memset(&place, 0, sizeof place);
	place.nearest = strtod(DatumGetCString(DirectFunctionCall1(numeric_out, value)), NULL);
	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		place.plain = mt_point_double(place.nearest);
		return place;
	}
	place.plain = plain_number(value, place.nearest);
	double_to_shortest_decimal_buf(place.nearest, shortest);
	place.nearest_order = compare_numerics(numeric_of(shortest), value);
	place.floor = decimal_point(number, MT_DECIMAL_FLOOR, &is_exact);
	if (is_exact)
		place.decimal = place.floor;
	else
		place.ceiling = decimal_point(number, MT_DECIMAL_CEILING, &is_exact);
	return place;
}

/* One range from the double below to the one above. */
static void
compare_numerics_roughly(const NumericPlace *place, int strategy, MtArm *arm)
{
	double		outside = mt_is_less(strategy) ? HUGE_VAL : -HUGE_VAL;

	mt_bound_arm(arm, strategy, mt_point_double(nextafter(place->nearest, outside)), false);
}

static void
compare_numerics_by_kind(const NumericPlace *place, int strategy, MtArms *arms)
{
	MtArm	   *doubles = mt_equality_arm(arms, mt_double_types);
	MtArm	   *others = mt_equality_arm(arms, mt_other_number_types);
	bool		nearest_passes = mt_is_less(strategy) ?
		place->nearest_order < 0 || (place->nearest_order == 0 && !mt_is_open(strategy)) :
		place->nearest_order > 0 || (place->nearest_order == 0 && !mt_is_open(strategy));

	mt_bound_arm(doubles, strategy, mt_point_double(place->nearest), !nearest_passes);
	if (place->decimal != NULL)
		mt_bound_arm(others, strategy, place->decimal, mt_is_open(strategy));
	else
		mt_bound_arm(others, strategy, mt_is_less(strategy) ? place->floor : place->ceiling, false);
}

static void
compare_numeric(const MtCollectionColumn *column, Datum value, int strategy, bool exact, MtArms *arms)
{
	NumericPlace place = numeric_place(value);

	if (isnan(place.nearest))
	{
		compare_with_nan(column, strategy, exact, arms);
		return;
	}
	if (place.plain == NULL && exact)
		compare_numerics_by_kind(&place, strategy, arms);
	else if (place.plain == NULL)
		compare_numerics_roughly(&place, strategy, mt_add_arm(arms));
	else						/* only numbers are within a bound that is one */
		mt_bound_arm(mt_add_arm(arms), strategy, place.plain, mt_is_open(strategy));
	if (!mt_is_less(strategy))
		add_nan(arms);
}

/* Does the number fit numeric(p, s) as it is? */
static bool
fits_typmod(Datum value, int32 typmod)
{
	int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	int			scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	Datum		limit;

	if (typmod < VARHDRSZ || numeric_is_nan(DatumGetNumeric(value)))
		return true;
	if (numeric_is_inf(DatumGetNumeric(value)))
		return false;
	limit = numeric_of(psprintf("1e%d", precision - scale));
	return compare_numerics(DirectFunctionCall1(numeric_abs, value), limit) < 0 &&
		compare_numerics(DirectFunctionCall2(numeric_round, value, Int32GetDatum(scale)), value) == 0;
}

static void
add_equal_numeric(const MtCollectionColumn *column, Datum value, bool exact, MtArms *arms)
{
	NumericPlace place;

	if (!fits_typmod(value, column->base_typmod))
		return;
	place = numeric_place(value);
	if (place.plain != NULL)
	{
		mt_add_equal_point(arms, NULL, place.plain);
		return;
	}
	if (place.nearest_order == 0)
		mt_add_equal_point(arms, exact ? mt_double_types : NULL, mt_point_double(place.nearest));
	if (place.decimal != NULL)
		mt_add_equal_point(arms, exact ? mt_other_number_types : NULL, place.decimal);
}

bool
mt_rough_range(Oid type, Datum value, int strategy, MtArm *arm)
{
	double		number;

	if (type == NUMERICOID)
		number = strtod(DatumGetCString(DirectFunctionCall1(numeric_out, value)), NULL);
	else if (type == FLOAT4OID || type == FLOAT8OID)
		number = float_value(type, value);
	else
		number = (double) place_of(type, value).floor;
	if (isnan(number))
		return false;
	if (!mt_is_less(strategy))
		arm->lower = mt_point_double(nextafter(number, -HUGE_VAL));
	if (mt_is_less(strategy) || strategy == BTEqualStrategyNumber)
		arm->upper = mt_point_double(nextafter(number, HUGE_VAL));
	return true;
}

/* ---- by class ---- */

void
mt_add_equal_number(const MtCollectionColumn *column, Oid type, Datum value, bool exact, MtArms *arms)
{
	if (column->class == MT_COMPARE_INTEGER)
		add_equal_integer(column, type, value, arms);
	else if (column->class == MT_COMPARE_FLOAT)
		add_equal_float(column, type, value, arms);
	else
		add_equal_numeric(column, value, exact, arms);
}

void
mt_compare_numbers(const MtCollectionColumn *column, Oid type, Datum value, int strategy, bool exact, MtArms *arms)
{
	if (column->class == MT_COMPARE_INTEGER)
		compare_integers(column, type, value, strategy, arms);
	else if (column->class == MT_COMPARE_FLOAT)
		compare_floats(column, type, value, strategy, exact, arms);
	else
		compare_numeric(column, value, strategy, exact, arms);
}
