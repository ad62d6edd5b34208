/*
 * compare.c
 *		What of a column compares with a value, in MongoDB's words.
 *
 * The traps that shape the arms, but for numbers (number.c):
 *
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

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "condition/arm.h"
#include "condition/bson_build.h"

const char *const mt_double_types[MT_MAX_TYPES] = {"double"};
const char *const mt_other_number_types[MT_MAX_TYPES] = {"int", "long", "decimal"};

static const char hex_digits[] = "0123456789abcdef";

bool
mt_is_less(int strategy)
{
	return strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber;
}

bool
mt_is_open(int strategy)
{
	return strategy == BTLessStrategyNumber || strategy == BTGreaterStrategyNumber;
}

void
mt_bound_arm(MtArm *arm, int strategy, const MtPoint *point, bool open)
{
	if (mt_is_less(strategy))
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

/* ---- equality ---- */

/* Is this an arm for points of these types? */
static bool
is_equality_arm(const MtArm *arm, const char *const *types)
{
	if (arm->type != NULL || arm->lower != NULL)
		return false;
	return types == NULL ? arm->n_guards == 0 : arm->n_guards > 0 && arm->guards[0].types[0] == types[0];
}

/* The arm for points that are equal to fields of these types, NULL: of any. */
MtArm *
mt_equality_arm(MtArms *arms, const char *const *types)
{
	MtArm	   *arm;

	for (int i = 0; i < arms->n; i++)
		if (is_equality_arm(&arms->arms[i], types))
			return &arms->arms[i];
	arm = mt_add_arm(arms);
	if (types != NULL)
		memcpy(mt_add_guard(arm)->types, types, sizeof(char *) * MT_MAX_TYPES);
	return arm;
}

void
mt_add_equal_point(MtArms *arms, const char *const *types, MtPoint *point)
{
	MtArm	   *arm = mt_equality_arm(arms, types);

	arm->points = lappend(arm->points, point);
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
		return mt_is_less(strategy);
	if (mt_is_less(strategy) && memcmp(digits, zeros, sizeof digits) == 0 &&
		!(is_equal && strategy == BTLessEqualStrategyNumber))
		return false;
	mt_bound_arm(arm, strategy, objectid_point(digits),
		  is_equal ? mt_is_open(strategy) : mt_is_less(strategy));
	arm->type = NULL;			/* the bound says it */
	return true;
}

static void
compare_texts(const MtCollectionColumn *column, Datum value, int strategy, MtArms *arms)
{
	MtPoint    *text = text_point(value);

	mt_typed_arms(column, arms);
	mt_bound_arm(&arms->arms[0], strategy, text, mt_is_open(strategy));
	if (arms->n > 1 && !compare_objectids(text, strategy, &arms->arms[1]))
		arms->n = 1;
}

void
mt_add_text_points(char *text, MtArms *arms)
{
	int			n_bytes = (int) strlen(text);

	mt_add_equal_point(arms, NULL, mt_point_bytes(MT_BSON_STRING, text, n_bytes));
	if (n_bytes == MT_OBJECTID_DIGITS && strspn(text, hex_digits) == MT_OBJECTID_DIGITS)
		mt_add_equal_point(arms, NULL, objectid_point(text));
}

static void
add_equal_text(const MtCollectionColumn *column, Datum value, MtArms *arms)
{
	char	   *string = TextDatumGetCString(value);

	if (pg_mbstrlen(string) <= mt_column_characters(column))
		mt_add_text_points(string, arms);
}

/* The same but for spaces at the end, of which there are as many as the column has room for. */
static void
add_equal_padded(const MtCollectionColumn *column, Datum value, MtArms *arms)
{
	char	   *string = TextDatumGetCString(value);
	size_t		n_bytes = strlen(string);
	int			room;

	while (n_bytes > 0 && string[n_bytes - 1] == ' ')
		n_bytes--;
	room = mt_column_characters(column) - pg_mbstrlen_with_len(string, (int) n_bytes);
	for (int i = 0; i <= room; i++)
	{
		char	   *padded = palloc(n_bytes + i + 1);

		memcpy(padded, string, n_bytes);
		memset(padded + n_bytes, ' ', i);
		padded[n_bytes + i] = '\0';
		mt_add_text_points(padded, arms);
	}
}

/* ---- enums ---- */

static void
compare_enums(const MtCollectionColumn *column, Datum value, int strategy, MtArms *arms)
{
	ListCell   *cell;

	foreach(cell, mt_column_labels(column))
	{
		int			order = DatumGetInt32(OidFunctionCall2(F_ENUM_CMP, ObjectIdGetDatum(lfirst_oid(cell)), value));

		if (mt_is_less(strategy) ? order < 0 || (order == 0 && !mt_is_open(strategy)) :
			order > 0 || (order == 0 && !mt_is_open(strategy)))
			mt_add_text_points(mt_label_text(lfirst_oid(cell)), arms);
	}
}

/* ---- dates ---- */

MtTimePlace
mt_place_of_timestamp(Timestamp timestamp)
{
	MtTimePlace place = {0, 0, 0};
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
MtTimePlace
mt_place_of_date(DateADT date)
{
	MtTimePlace place = {0, 0, 0};

	if (DATE_NOT_FINITE(date))
		place.infinity = DATE_IS_NOBEGIN(date) ? -1 : 1;
	else
		place.floor_ms = place.ceiling_ms = date * ((int64) SECS_PER_DAY * 1000) + MT_EPOCH_MS;
	return place;
}

/* A time that only became one: later or earlier than any column's. */
static MtTimePlace
place_of_cast(TimestampTz timestamp, int overflow)
{
	MtTimePlace place = {overflow, 0, 0};

	return overflow != 0 ? place : mt_place_of_timestamp(timestamp);
}

/* A timestamptz is compared with what the value is in the session's time zone. */
static MtTimePlace
time_place(const MtCollectionColumn *column, Oid type, Datum value)
{
	int			overflow = 0;
	TimestampTz timestamp;

	if (column->base_type == TIMESTAMPTZOID && type == TIMESTAMPOID)
	{
		timestamp = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
		return place_of_cast(timestamp, overflow);
	}
	if (column->base_type == TIMESTAMPTZOID && type == DATEOID)
	{
		timestamp = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
		return place_of_cast(timestamp, overflow);
	}
	return type == DATEOID ? mt_place_of_date(DatumGetDateADT(value)) : mt_place_of_timestamp(DatumGetTimestamp(value));
}

static void
compare_times(const MtCollectionColumn *column, Oid type, Datum value, int strategy, MtArms *arms)
{
	MtTimePlace place = time_place(column, type, value);
	bool		is_whole = place.floor_ms == place.ceiling_ms;
	int64		limit = mt_is_less(strategy) ? place.floor_ms : place.ceiling_ms;

	/* no date of BSON reads as an infinity */
	if (place.infinity != 0 && mt_is_less(strategy) != (place.infinity > 0))
		return;
	mt_typed_arms(column, arms);
	if (place.infinity != 0 || (mt_is_less(strategy) ? limit > MT_GREATEST_DATE_MS : limit < MT_LEAST_DATE_MS))
		return;
	mt_bound_arm(&arms->arms[0], strategy, mt_point_integer(MT_BSON_DATE, limit), mt_is_open(strategy) && is_whole);
}

static void
add_equal_time(const MtCollectionColumn *column, Oid type, Datum value, MtArms *arms)
{
	MtTimePlace place = time_place(column, type, value);

	if (place.infinity == 0 && place.floor_ms == place.ceiling_ms &&
		place.floor_ms >= MT_LEAST_DATE_MS && place.floor_ms <= MT_GREATEST_DATE_MS &&
		place.floor_ms % mt_column_date_unit_ms(column) == 0)
		mt_add_equal_point(arms, NULL, mt_point_integer(MT_BSON_DATE, place.floor_ms));
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
		mt_bound_arm(arm, strategy, mt_uuid_point(subtypes[i], (const char *) DatumGetUUIDP(value)->data),
			  mt_is_open(strategy));
	}
}

static void
add_equal_uuid(Datum value, MtArms *arms)
{
	const char *bytes = (const char *) DatumGetUUIDP(value)->data;

	mt_add_equal_point(arms, NULL, mt_uuid_point(MT_UUID_STANDARD, bytes));
	mt_add_equal_point(arms, NULL, mt_uuid_point(MT_UUID_OLD, bytes));
}

/* ---- objectid ---- */

static MtPoint *
objectid_value(Datum value)
{
	return mt_point_bytes(MT_BSON_OBJECTID, (const char *) DatumGetMtObjectId(value)->bytes, MT_OBJECTID_BYTES);
}

/* ---- bytea ---- */

/* Could the bytes be a document? */
static bool
looks_like_document(const char *bytes, int n_bytes)
{
	return n_bytes >= 5 && mt_le32((const uint8 *) bytes) == (uint32) n_bytes && bytes[n_bytes - 1] == '\0';
}

/* Beyond these, whatever is binary is asked for: every subtype is a copy of the value. */
#define MAX_POINT_BYTES 4096
#define MAX_BINARY_POINTS (1024 * (PG_UINT8_MAX + 1))

static MtArm *
arm_of_type(MtArms *arms, const char *type)
{
	MtArm	   *arm;

	for (int i = 0; i < arms->n; i++)
		if (arms->arms[i].type != NULL && strcmp(arms->arms[i].type, type) == 0)
			return &arms->arms[i];
	arm = mt_add_arm(arms);
	arm->type = type;
	return arm;
}

static MtPoint *
filled_point(uint8 subtype, int filler, int n_bytes)
{
	char	   *bytes = palloc(n_bytes);
	MtPoint    *point;

	memset(bytes, filler, n_bytes);
	point = mt_point_bytes(MT_BSON_BINARY, bytes, n_bytes);
	point->subtype = subtype;
	return point;
}

/*
 * MongoDB looks into a binary of subtype 7, and refuses a command with one that
 * is not a compressed column.  Binaries sort by length, subtype and bytes, so
 * the subtype is what lies between its neighbours: of all values one arm, from
 * the shortest to the longest.
 */
static void
add_compressed_columns(int n_bytes, MtArms *arms)
{
	MtArm	   *arm = NULL;

	for (int i = 0; i < arms->n; i++)
		if (arms->arms[i].lower != NULL)
			arm = &arms->arms[i];
	if (arm == NULL)
		arm = mt_add_arm(arms);
	if (arm->lower == NULL || n_bytes < arm->lower->n_bytes)
		mt_bound_arm(arm, BTGreaterStrategyNumber, filled_point(MT_BINARY_COLUMN - 1, 0xff, n_bytes), true);
	if (arm->upper == NULL || n_bytes > arm->upper->n_bytes)
		mt_bound_arm(arm, BTLessStrategyNumber, filled_point(MT_BINARY_COLUMN + 1, 0, n_bytes), true);
}

/* A binary of any subtype, of which the old one repeats the length in front; an ObjectId, a document. */
static void
add_equal_bytes(Datum value, MtArms *arms)
{
	bytea	   *datum = DatumGetByteaPP(value);
	const char *bytes = VARDATA_ANY(datum);
	int			n_bytes = (int) VARSIZE_ANY_EXHDR(datum);
	StringInfoData old;

	if (looks_like_document(bytes, n_bytes))
		arm_of_type(arms, "object");
	if (n_bytes > MAX_POINT_BYTES || list_length(mt_equality_arm(arms, NULL)->points) > MAX_BINARY_POINTS)
	{
		arm_of_type(arms, "binData");
		return;
	}
	initStringInfo(&old);
	mt_build_le32(&old, (uint32) n_bytes);
	appendBinaryStringInfo(&old, bytes, n_bytes);
	for (int subtype = 0; subtype <= PG_UINT8_MAX; subtype++)
	{
		MtPoint    *point = subtype == MT_BINARY_OLD ? mt_point_bytes(MT_BSON_BINARY, old.data, old.len) :
			mt_point_bytes(MT_BSON_BINARY, bytes, n_bytes);

		point->subtype = (uint8) subtype;
		if (subtype == MT_BINARY_COLUMN)
			add_compressed_columns(n_bytes, arms);
		else
			mt_add_equal_point(arms, NULL, point);
	}
	if (n_bytes == MT_OBJECTID_BYTES)
		mt_add_equal_point(arms, NULL, mt_point_bytes(MT_BSON_OBJECTID, bytes, n_bytes));
}

/* ---- by class ---- */

void
mt_add_equality(const MtCollectionColumn *column, Oid type, Datum value, bool exact, MtArms *arms)
{
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_FLOAT:
		case MT_COMPARE_NUMERIC:
			mt_add_equal_number(column, type, value, exact, arms);
			break;
		case MT_COMPARE_TEXT:
			add_equal_text(column, value, arms);
			break;
		case MT_COMPARE_BPCHAR:
			add_equal_padded(column, value, arms);
			break;
		case MT_COMPARE_ENUM:
			mt_add_text_points(mt_label_text(DatumGetObjectId(value)), arms);
			break;
		case MT_COMPARE_BOOL:
			mt_add_equal_point(arms, NULL, mt_point_integer(MT_BSON_BOOL, DatumGetBool(value)));
			break;
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
			add_equal_time(column, type, value, arms);
			break;
		case MT_COMPARE_OBJECTID:
			mt_add_equal_point(arms, NULL, objectid_value(value));
			break;
		case MT_COMPARE_BYTES:
			add_equal_bytes(value, arms);
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
		case MT_COMPARE_FLOAT:
		case MT_COMPARE_NUMERIC:
			mt_compare_numbers(column, type, value, strategy, exact, arms);
			break;
		case MT_COMPARE_TEXT:
			compare_texts(column, value, strategy, arms);
			break;
		case MT_COMPARE_UUID:
			compare_uuids(column, value, strategy, arms);
			break;
		case MT_COMPARE_ENUM:
			compare_enums(column, value, strategy, arms);
			break;
		case MT_COMPARE_OBJECTID:
			mt_bound_arm(mt_add_arm(arms), strategy, objectid_value(value), mt_is_open(strategy));
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
		mt_equality_arm(arms, mt_double_types)->excluded = points_of(equality, mt_double_types);
		mt_equality_arm(arms, mt_other_number_types)->excluded = points_of(equality, mt_other_number_types);
		return;
	}
	mt_typed_arms(column, arms);
	for (int i = 0; i < arms->n; i++)
		arms->arms[i].excluded = points;
}
