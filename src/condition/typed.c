/*
 * typed.c
 *		Which documents' field reads as a value of a column, and not as NULL or
 *		a mismatch, in MongoDB's words.
 *
 * This is what makes filters exact.  A filter is exact when it selects just
 * those documents whose row passes the clause, whatever the documents hold.
 * Under on_mismatch 'error' a document that does not convert may be left out
 * (no error is owed for it), but must never be selected.
 *
 * Read with what bson_to_datum.c and bson_to_number.c convert.  No field that
 * is an array reads as a scalar, and no path leads through one, but MongoDB
 * looks into arrays: every exact form says that neither is one.
 *
 *	column					typed form					comparisons	equality
 *	integers				in range; double without	exact		exact
 *							fraction: $bitsAllClear: 0
 *							is no mask, but matches no
 *							other double; decimal that
 *							$convert to an equal long
 *	double precision		double, int; long and		exact		exact
 *							decimal that $convert to
 *							an equal double
 *	real					none: nothing says that a	superset	exact
 *							double is a float4
 *	numeric					number						exact: a double reads as its shortest
 *														digits, so doubles compare with the
 *														double nearest to the constant, all
 *														else with the constant as Decimal128
 *	numeric(p, s)			none						superset	exact
 *	text, varchar			string, symbol without NUL	exact in C	exact
 *							or ill-formed UTF-8 (regular
 *							expressions match no others);
 *							objectId, as its digits
 *	varchar(n)				the same, of n characters;	exact in C	exact
 *							none over 65535
 *	boolean					bool						-			exact
 *	timestamp[tz]			date in range				exact		exact
 *	timestamp[tz](0..2)		none						superset	exact
 *	date					the same, at midnight		exact		exact
 *	uuid					binary of 16 bytes and		exact		exact
 *							subtypes 3 to 4, which is
 *							one range of MongoDB's order
 *	char(n)					as varchar(n)				<> exact	exact, with any
 *														spaces at the end; n <= 64
 *	enums					strings that are labels		exact		exact
 *	objectid				objectId					exact		exact
 *	bytea					none						-			superset: of any subtype
 *	arrays					none: nested ones are read	@>, && and = ANY (column):
 *							as more dimensions			supersets
 *	json, jsonb				whatever is not null		-			-
 *
 * "Comparisons" are <, <=, >, >=, and <>, NOT IN and IS NOT NULL, which need
 * the typed form; so does IS NULL under on_mismatch 'null'.  IS NULL under
 * 'error' is exact for every column: missing, null, undefined, or beyond an
 * array.  Never exact are columns with a domain that has constraints, since its
 * errors are owed, and paths with an array's index, which MongoDB also takes
 * for a name.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "condition/arm.h"

/* The most that a quantifier of PCRE repeats. */
#define MAX_REPEATED_CHARACTERS 65535

MtArm *
mt_add_arm(MtArms *arms)
{
	MtArm	   *arm = &arms->arms[arms->n++];

	Assert(arms->n <= MT_MAX_ARMS);
	memset(arm, 0, sizeof *arm);
	return arm;
}

MtGuard *
mt_add_guard(MtArm *arm)
{
	Assert(arm->n_guards < MT_MAX_GUARDS);
	return &arm->guards[arm->n_guards++];
}

bool
mt_column_can_be_exact(const MtCollectionColumn *column)
{
	return column->is_sendable && !column->has_index &&
		(column->type == column->base_type || !DomainHasConstraints(column->type));
}

bool
mt_column_has_typed_form(const MtCollectionColumn *column)
{
	if (!mt_column_can_be_exact(column))
		return false;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
		case MT_COMPARE_BOOL:
		case MT_COMPARE_DATE:
		case MT_COMPARE_UUID:
		case MT_COMPARE_OBJECTID:
		case MT_COMPARE_ENUM:
			return true;
		case MT_COMPARE_FLOAT:
			return column->base_type == FLOAT8OID;
		case MT_COMPARE_NUMERIC:
			return column->base_typmod < 0;
		case MT_COMPARE_TEXT:
		case MT_COMPARE_BPCHAR:
			return mt_column_characters(column) == MT_NO_LIMIT ||
				mt_column_characters(column) <= MAX_REPEATED_CHARACTERS;
		case MT_COMPARE_TIMESTAMP:
			return mt_column_date_unit_ms(column) == 1;
		default:
			return mt_column_reads_everything(column);
	}
}

bool
mt_column_reads_everything(const MtCollectionColumn *column)
{
	return (column->base_type == JSONBOID || column->base_type == JSONOID) && GetDatabaseEncoding() == PG_UTF8;
}

int
mt_column_characters(const MtCollectionColumn *column)
{
	return column->base_type != TEXTOID && column->base_typmod >= VARHDRSZ ?
		column->base_typmod - VARHDRSZ : MT_NO_LIMIT;
}

int
mt_column_date_unit_ms(const MtCollectionColumn *column)
{
	static const int units[] = {1000, 100, 10};

	if (column->class == MT_COMPARE_DATE)
		return MT_MS_PER_DAY;
	return column->base_typmod >= 0 && column->base_typmod < (int) lengthof(units) ? units[column->base_typmod] : 1;
}

List *
mt_column_labels(const MtCollectionColumn *column)
{
	CatCList   *members = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(column->base_type));
	List	   *labels = NIL;

	for (int i = 0; i < members->n_members; i++)
		labels = lappend_oid(labels, ((Form_pg_enum) GETSTRUCT(&members->members[i]->tuple))->oid);
	ReleaseSysCacheList(members);
	return labels;
}

char *
mt_label_text(Oid label)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	char	   *text;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	text = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return text;
}

int64
mt_column_least_integer(const MtCollectionColumn *column)
{
	return column->base_type == INT2OID ? PG_INT16_MIN : column->base_type == INT4OID ? PG_INT32_MIN : PG_INT64_MIN;
}

int64
mt_column_greatest_integer(const MtCollectionColumn *column)
{
	return column->base_type == INT2OID ? PG_INT16_MAX : column->base_type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;
}

MtPoint *
mt_uuid_point(uint8 subtype, const char *bytes)
{
	MtPoint    *point = mt_point_bytes(MT_BSON_BINARY, bytes, UUID_LEN);

	point->subtype = subtype;
	return point;
}

/* ---- by class ---- */

static void
integer_arms(const MtCollectionColumn *column, MtArms *arms)
{
	MtArm	   *arm = mt_add_arm(arms);
	MtGuard    *guard = mt_add_guard(arm);

	guard->types[0] = "int";
	guard->types[1] = "long";
	guard->types[2] = "double";
	guard->is_integral = true;
	guard = mt_add_guard(arm);
	guard->types[0] = "decimal";
	guard->expression = MT_EXPRESSION_IS_LONG;
	arm->least = mt_point_integer(MT_BSON_INT64, mt_column_least_integer(column));
	arm->most = mt_point_integer(MT_BSON_INT64, mt_column_greatest_integer(column));
}

static void
float_arms(MtArms *arms)
{
	MtArm	   *arm = mt_add_arm(arms);
	MtGuard    *guard = mt_add_guard(arm);

	guard->types[0] = "double";
	guard->types[1] = "int";
	guard = mt_add_guard(arm);
	guard->types[0] = "long";
	guard->types[1] = "decimal";
	guard->expression = MT_EXPRESSION_IS_DOUBLE;
}

static void
text_arms(const MtCollectionColumn *column, MtArms *arms)
{
	int			characters = mt_column_characters(column);
	MtGuard    *guard = mt_add_guard(mt_add_arm(arms));

	guard->types[0] = "string";
	guard->types[1] = "symbol";
	guard->regex = characters == MT_NO_LIMIT ? "^[^\\x00]*+\\z" : psprintf("^[^\\x00]{0,%d}+\\z", characters);
	if (characters >= MT_OBJECTID_DIGITS)
		mt_add_arm(arms)->type = "objectId";
}

static void
time_arms(const MtCollectionColumn *column, MtArms *arms)
{
	MtArm	   *arm = mt_add_arm(arms);

	arm->least = mt_point_integer(MT_BSON_DATE, MT_LEAST_DATE_MS);
	arm->most = mt_point_integer(MT_BSON_DATE, MT_GREATEST_DATE_MS);
	mt_add_guard(arm)->expression = column->class == MT_COMPARE_DATE ? MT_EXPRESSION_IS_MIDNIGHT : MT_EXPRESSION_NONE;
}

static void
uuid_arms(MtArms *arms)
{
	static const char least[UUID_LEN] = {0};
	static const char greatest[UUID_LEN + 1] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
	MtArm	   *arm = mt_add_arm(arms);

	arm->least = mt_uuid_point(MT_UUID_OLD, least);
	arm->most = mt_uuid_point(MT_UUID_STANDARD, greatest);
}

/* The labels that there are now; one of 24 hexadecimal digits is also an ObjectId. */
static void
enum_arms(const MtCollectionColumn *column, MtArms *arms)
{
	ListCell   *cell;

	foreach(cell, mt_column_labels(column))
		mt_add_text_points(mt_label_text(lfirst_oid(cell)), arms);
}

/* Strings and ObjectIds; the two subtypes of a uuid, by which MongoDB sorts first. */
int
mt_column_runs(const MtCollectionColumn *column)
{
	if (column->class == MT_COMPARE_TEXT)
		return mt_column_characters(column) >= MT_OBJECTID_DIGITS ? 2 : 1;
	return column->class == MT_COMPARE_UUID ? 2 : 1;
}

void
mt_run_arm(const MtCollectionColumn *column, int run, MtArms *arms)
{
	MtArm	   *arm = &arms->arms[0];

	mt_typed_arms(column, arms);
	if (column->class == MT_COMPARE_UUID)
	{
		arm->least = mt_uuid_point(run == 0 ? MT_UUID_OLD : MT_UUID_STANDARD, arm->least->bytes);
		arm->most = mt_uuid_point(run == 0 ? MT_UUID_OLD : MT_UUID_STANDARD, arm->most->bytes);
	}
	else
		*arm = arms->arms[run];
	arms->n = 1;
}

void
mt_typed_arms(const MtCollectionColumn *column, MtArms *arms)
{
	arms->n = 0;
	switch (column->class)
	{
		case MT_COMPARE_INTEGER:
			integer_arms(column, arms);
			break;
		case MT_COMPARE_FLOAT:
			float_arms(arms);
			break;
		case MT_COMPARE_NUMERIC:
			mt_add_guard(mt_add_arm(arms))->types[0] = "number";
			break;
		case MT_COMPARE_TEXT:
		case MT_COMPARE_BPCHAR:
			text_arms(column, arms);
			break;
		case MT_COMPARE_BOOL:
			mt_add_guard(mt_add_arm(arms))->types[0] = "bool";
			break;
		case MT_COMPARE_TIMESTAMP:
		case MT_COMPARE_DATE:
			time_arms(column, arms);
			break;
		case MT_COMPARE_UUID:
			uuid_arms(arms);
			break;
		case MT_COMPARE_OBJECTID:
			mt_add_arm(arms)->type = "objectId";
			break;
		case MT_COMPARE_ENUM:
			enum_arms(column, arms);
			break;
		default:
			(void) mt_add_arm(arms);
			break;
	}
}
