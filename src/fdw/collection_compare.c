/*
 * collection_compare.c
 *		What of a column compares with a value, in MongoDB's words.
 *
 * The traps that shape the arms:
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
 *	text		an ObjectId reads as its digits, whose order is that of its bytes:
 *				the ranges of strings have an arm of ObjectIds
 *	dates		are milliseconds; the bounds of what SQL can say between two are
 *				rounded to the side that keeps the same documents
 *	uuid		is read from two subtypes, by which MongoDB sorts first
 *	<>			never holds for NULL, but $ne matches missing fields, so null is
 *				among what a superset excludes; where the path may lead through an
 *				array by index, one element that is null would exclude the
 *				document, so nothing is excluded there
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/decimal128.h"
#include "fdw/collection_arm.h"

/* Integers below are doubles, exactly; this one is also what the next rounds to. */
#define DOUBLE_INTEGERS		9007199254740992.0
#define INT64_LIMIT			9223372036854775808.0

static const char hex_digits[] = "0123456789abcdef";

static bool
is_less(int strategy)
{
	return strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber;
}

static bool
is_open(int strategy)
{
	return strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;
}

static void
bound(MtArm *arm, int strategy, const MtPoint *point, bool open)
{
	if (is_less(strategy))
	{
		arm->upper = point;
		arm->upper_is_open = open;
	}
	else
	{
		arm->lower = point;
		arm->lower_is_open = open;
	}
}

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
	int64		limit = is_less(strategy) ? place.floor : place.ceiling;
	bool		open = is_open(strategy) && is_integer;

	if (place.beyond != 0)
	{
		if (is_less(strategy) == (place.beyond > 0))
			mt_typed_arms(column, arms);
		return;
	}
	if (is_less(strategy) ? limit < least || (open && limit == least) : limit > greatest || (open && limit == greatest))
		return;
	mt_typed_arms(column, arms);
	if (is_less(strategy) ? limit > greatest || (!open && limit == greatest) :
		limit < least || (!open && limit == least))
		return;
	bound(&arms->arms[0], strategy, mt_point_integer(MT_BSON_INT64, limit), open);
}

/* ---- equality ---- */

/* The arm for points that are equal to fields of these types, NULL: of any. */
static MtArm *
equality_arm(MtArms *arms, const char *const *types)
{
	MtArm	   *arm;

	for (int i = 0; i < arms->n; i++)
	{
		arm = &arms->arms[i];
		if (types == NULL ? arm->n_guards == 0 : arm->n_guards > 0 && arm->guards[0].types[0] == types[0])
			return arm;
	}
	arm = mt_add_arm(arms);
	if (types != NULL)
		memcpy(mt_add_guard(arm)->types, types, sizeof(char *) * MT_MAX_TYPES);
	return arm;
}

static void
add_point(MtArms *arms, const char *const *types, MtPoint *point)
{
	MtArm	   *arm = equality_arm(arms, types);

	arm->points = lappend(arm->points, point);
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
	bound(&arms->arms[0], strategy, mt_point_double(number), is_open(strategy));
	if (!is_less(strategy))
		add_nan(arms);
}

static void
add_equal_float(const MtCollectionColumn *column, Oid type, Datum value, MtArms *arms)
{
	double		number = float_value(type, value);

	if (column->base_type == FLOAT8OID || isnan(number) || (double) (float) number == number)
		add_point(arms, NULL, mt_point_double(number));
}

/* ---- numeric ---- */

static const char *const double_types[MT_MAX_TYPES] = {"double"};
static const char *const other_types[MT_MAX_TYPES] = {"int", "long", "decimal"};

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
	bound(arm, strategy, mt_point_double(nextafter(place->nearest, is_less(strategy) ? HUGE_VAL : -HUGE_VAL)), false);
}

static void
compare_numerics_by_kind(const NumericPlace *place, int strategy, MtArms *arms)
{
	MtArm	   *doubles = equality_arm(arms, double_types);
	MtArm	   *others = equality_arm(arms, other_types);
	bool		nearest_passes = is_less(strategy) ?
		place->nearest_order < 0 || (place->nearest_order == 0 && !is_open(strategy)) :
		place->nearest_order > 0 || (place->nearest_order == 0 && !is_open(strategy));

	bound(doubles, strategy, mt_point_double(place->nearest), !nearest_passes);
	if (place->decimal != NULL)
		bound(others, strategy, place->decimal, is_open(strategy));
	else
		bound(others, strategy, is_less(strategy) ? place->floor : place->ceiling, false);
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
		bound(mt_add_arm(arms), strategy, place.plain, is_open(strategy));
	if (!is_less(strategy))
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
		add_point(arms, NULL, place.plain);
		return;
	}
	if (place.nearest_order == 0)
		add_point(arms, exact ? double_types : NULL, mt_point_double(place.nearest));
	if (place.decimal != NULL)
		add_point(arms, exact ? other_types : NULL, place.decimal);
}

/* ---- text ---- */

static MtPoint *
text_point(Datum value)
{
	char	   *string = TextDatumGetCString(value);

	return mt_point_bytes(MT_BSON_STRING, string, (int) strlen(string));
}

static MtPoint *
objectid_point(const char digits[MT_OBJECTID_DIGITS])
{
	char	   *bytes = palloc(MT_OBJECTID_BYTES);

	(void) hex_decode(digits, MT_OBJECTID_DIGITS, bytes);
	return mt_point_bytes(MT_BSON_OBJECTID, bytes, MT_OBJECTID_BYTES);
}

/* The next greater of n digits, and zeros behind them; false: there is none. */
static bool
next_digits(char digits[MT_OBJECTID_DIGITS], int n)
{
	memset(digits + n, '0', MT_OBJECTID_DIGITS - n);
	while (--n >= 0)
	{
		if (digits[n] != 'f')
		{
			digits[n] = *(strchr(hex_digits, digits[n]) + 1);
			return true;
		}
		digits[n] = '0';
	}
	return false;
}

/*
 * The least digits of an ObjectId that are not less than a text, byte by byte.
 * False: there are none.
 */
static bool
objectid_ceiling(const MtPoint *text, char digits[MT_OBJECTID_DIGITS], bool *is_equal)
{
	*is_equal = false;
	for (int i = 0; i < MT_OBJECTID_DIGITS; i++)
	{
		unsigned char c = i < text->n_bytes ? (unsigned char) text->bytes[i] : 0;
		const char *digit = hex_digits;

		while (*digit != '\0' && (unsigned char) *digit < c)
			digit++;
		if (*digit == '\0')
			return next_digits(digits, i);
		digits[i] = *digit;
		if ((unsigned char) *digit != c)
		{
			memset(digits + i, '0', MT_OBJECTID_DIGITS - i);
			digits[i] = *digit;
			return true;
		}
	}
	*is_equal = text->n_bytes == MT_OBJECTID_DIGITS;
	return *is_equal || next_digits(digits, MT_OBJECTID_DIGITS);
}

/* The ObjectIds of a range of texts; false: there are none. */
static bool
compare_objectids(const MtPoint *text, int strategy, MtArm *arm)
{
	static const char zeros[] = "000000000000000000000000";
	char		digits[MT_OBJECTID_DIGITS];
	bool		is_equal;

	if (!objectid_ceiling(text, digits, &is_equal))
		return is_less(strategy);
	if (is_less(strategy) && memcmp(digits, zeros, sizeof digits) == 0 &&
		!(is_equal && strategy == BTLessEqualStrategyNumber))
		return false;
	bound(arm, strategy, objectid_point(digits),
		  is_equal ? is_open(strategy) : is_less(strategy));
	arm->type = NULL;			/* the bound says it */
	return true;
}

static void
compare_texts(const MtCollectionColumn *column, Datum value, int strategy, MtArms *arms)
{
	MtPoint    *text = text_point(value);

	mt_typed_arms(column, arms);
	bound(&arms->arms[0], strategy, text, is_open(strategy));
	if (arms->n > 1 && !compare_objectids(text, strategy, &arms->arms[1]))
		arms->n = 1;
}

static void
add_equal_text(const MtCollectionColumn *column, Datum value, MtArms *arms)
{
	MtPoint    *text = text_point(value);

	if (pg_mbstrlen_with_len(text->bytes, text->n_bytes) > mt_column_characters(column))
		return;
	add_point(arms, NULL, text);
	if (text->n_bytes == MT_OBJECTID_DIGITS && strspn(text->bytes, hex_digits) == MT_OBJECTID_DIGITS)
		add_point(arms, NULL, objectid_point(text->bytes));
}

/* ---- dates ---- */

/* Where a time lies among the milliseconds since 1970. */
typedef struct TimePlace
{
	int			infinity;		/* -1, 1 or 0 */
	int64		floor_ms;
	int64		ceiling_ms;
} TimePlace;

static TimePlace
place_of_timestamp(Timestamp timestamp)
{
	TimePlace	place = {0, 0, 0};
	int64		rest = timestamp % 1000;

	if (TIMESTAMP_NOT_FINITE(timestamp))
	{
		place.infinity = TIMESTAMP_IS_NOBEGIN(timestamp) ? -1 : 1;
		return place;
	}
	place.floor_ms = timestamp / 1000 - (rest < 0) + MT_EPOCH_MS;
	place.ceiling_ms = place.floor_ms + (rest != 0);
	return place;
}

/* A day can be later than any timestamp. */
static TimePlace
place_of_date(DateADT date)
{
	TimePlace	place = {0, 0, 0};

	if (DATE_NOT_FINITE(date))
		place.infinity = DATE_IS_NOBEGIN(date) ? -1 : 1;
	else
		place.floor_ms = place.ceiling_ms = date * ((int64) SECS_PER_DAY * 1000) + MT_EPOCH_MS;
	return place;
}

static TimePlace
time_place(Oid type, Datum value)
{
	return type == DATEOID ? place_of_date(DatumGetDateADT(value)) : place_of_timestamp(DatumGetTimestamp(value));
}

static void
compare_times(const MtCollectionColumn *column, Oid type, Datum value, int strategy, MtArms *arms)
{
	TimePlace	place = time_place(type, value);
	bool		is_whole = place.floor_ms == place.ceiling_ms;
	int64		limit = is_less(strategy) ? place.floor_ms : place.ceiling_ms;

	/* no date of BSON reads as an infinity */
	if (place.infinity != 0 && is_less(strategy) != (place.infinity > 0))
		return;
	mt_typed_arms(column, arms);
	if (place.infinity != 0 || (is_less(strategy) ? limit > MT_GREATEST_DATE_MS : limit < MT_LEAST_DATE_MS))
		return;
	bound(&arms->arms[0], strategy, mt_point_integer(MT_BSON_DATE, limit), is_open(strategy) && is_whole);
}

static void
add_equal_time(const MtCollectionColumn *column, Oid type, Datum value, MtArms *arms)
{
	TimePlace	place = time_place(type, value);

	if (place.infinity == 0 && place.floor_ms == place.ceiling_ms &&
		place.floor_ms >= MT_LEAST_DATE_MS && place.floor_ms <= MT_GREATEST_DATE_MS &&
		(place.floor_ms - MT_EPOCH_MS) % mt_column_date_unit_ms(column) == 0)
		add_point(arms, NULL, mt_point_integer(MT_BSON_DATE, place.floor_ms));
}

/* ---- uuid ---- */

static void
compare_uuids(const MtCollectionColumn *column, Datum value, int strategy, MtArms *arms)
{
	static const uint8 subtypes[] = {MT_UUID_OLD, MT_UUID_STANDARD};
	MtArms		typed;

	mt_typed_arms(column, &typed);
	for (size_t i = 0; i < lengthof(subtypes); i++)
	{
		MtArm	   *arm = mt_add_arm(arms);

		arm->lower = mt_uuid_point(subtypes[i], typed.arms[0].least->bytes);
		arm->upper = mt_uuid_point(subtypes[i], typed.arms[0].most->bytes);
		bound(arm, strategy, mt_uuid_point(subtypes[i], (const char *) DatumGetUUIDP(value)->data),
			  is_open(strategy));
	}
}

static void
add_equal_uuid(Datum value, MtArms *arms)
{
	const char *bytes = (const char *) DatumGetUUIDP(value)->data;

	add_point(arms, NULL, mt_uuid_point(MT_UUID_STANDARD, bytes));
	add_point(arms, NULL, mt_uuid_point(MT_UUID_OLD, bytes));
}

/* ---- objectid ---- */

static MtPoint *
objectid_value(Datum value)
{
	return mt_point_bytes(MT_BSON_OBJECTID, (const char *) DatumGetMtObjectId(value)->bytes, MT_OBJECTID_BYTES);
}

/* ---- by class ---- */

void
mt_add_equality(const MtCollectionColumn *column, Oid type, Datum value, bool exact, MtArms *arms)
{
	IntegerPlace place;

	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			place = place_of(type, value);
			if (place.beyond == 0 && place.floor == place.ceiling && place.floor >= mt_column_least_integer(column) &&
				place.floor <= mt_column_greatest_integer(column))
				add_point(arms, NULL, mt_point_integer(MT_BSON_INT64, place.floor));
			break;
		case MT_COMPARE_FLOAT:
			add_equal_float(column, type, value, arms);
			break;
		case MT_COMPARE_NUMERIC:
			add_equal_numeric(column, value, exact, arms);
			break;
		case MT_COMPARE_TEXT:
			add_equal_text(column, value, arms);
			break;
		case MT_COMPARE_BOOL:
			add_point(arms, NULL, mt_point_integer(MT_BSON_BOOL, DatumGetBool(value)));
			break;
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
			add_equal_time(column, type, value, arms);
			break;
		case MT_COMPARE_OBJECTID:
			add_point(arms, NULL, objectid_value(value));
			break;
		default:
			add_equal_uuid(value, arms);
			break;
	}
}

void
mt_comparison_arms(const MtCollectionColumn *column, Oid type, Datum value, int strategy, bool exact, MtArms *arms)
{
	arms->n = 0;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			compare_integers(column, type, value, strategy, arms);
			break;
		case MT_COMPARE_FLOAT:
			compare_floats(column, type, value, strategy, exact, arms);
			break;
		case MT_COMPARE_NUMERIC:
			compare_numeric(column, value, strategy, exact, arms);
			break;
		case MT_COMPARE_TEXT:
			compare_texts(column, value, strategy, arms);
			break;
		case MT_COMPARE_UUID:
			compare_uuids(column, value, strategy, arms);
			break;
		case MT_COMPARE_OBJECTID:
			bound(mt_add_arm(arms), strategy, objectid_value(value), is_open(strategy));
			break;
		default:
			compare_times(column, type, value, strategy, arms);
			break;
	}
}

/* The points of an equality's arms that are of these types or of any. */
static List *
points_of(const MtArms *equality, const char *const *types)
{
	List	   *points = NIL;

	for (int i = 0; i < equality->n; i++)
		if (equality->arms[i].n_guards == 0 ||
			(types != NULL && equality->arms[i].guards[0].types[0] == types[0]))
			points = list_concat_copy(points, equality->arms[i].points);
	return points;
}

static bool
has_guards(const MtArms *arms)
{
	for (int i = 0; i < arms->n; i++)
		if (arms->arms[i].n_guards > 0)
			return true;
	return false;
}

void
mt_exclusion_arms(const MtCollectionColumn *column, const MtArms *equality, bool exact, MtArms *arms)
{
	List	   *points = points_of(equality, NULL);

	arms->n = 0;
	if (!exact)
	{
		MtArm	   *arm = mt_add_arm(arms);

		if (points != NIL && !column->has_index)
			arm->excluded = lappend(points, mt_point(MT_BSON_NULL));
		return;
	}
	if (has_guards(equality))
	{
		equality_arm(arms, double_types)->excluded = points_of(equality, double_types);
		equality_arm(arms, other_types)->excluded = points_of(equality, other_types);
		return;
	}
	mt_typed_arms(column, arms);
	for (int i = 0; i < arms->n; i++)
		arms->arms[i].excluded = points;
}
