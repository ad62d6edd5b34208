/*
 * time.c
 *		What a clause compares of a column of times in place of it, as a range of
 *		the column.
 *
 * MongoDB knows neither the session's time zone nor its rules of summer time.
 * The range is wide enough for all of them: offsets to universal time are less
 * than a day, but for those that somebody made up ('FOO+100' is a time zone to
 * PostgreSQL).  The beginning of a day or a longer unit is looked for in local
 * time, and so is moved twice, there and back, and by offsets that may differ.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "nodes/nodeFuncs.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "condition/operator.h"
#include "condition/time.h"

/* By how much a time zone moves, in days: any with a usual name, and any. */
#define USUAL_ZONE_DAYS	1
#define ANY_ZONE_DAYS	8		/* what PostgreSQL takes is 167:59:59 at most */

/* The most of zones and days that is taken, far from what an int holds. */
#define MAX_ZONES	20
#define MAX_DAYS	1000000

/* Beyond any year of a timestamp. */
#define LEAST_YEAR		(-4713)
#define GREATEST_YEAR	300000

/* The units of date_trunc, and no fewer days than the longest of each has. */
static const struct
{
	const char *name;
	int			days;
}			units[] =
{
	{"microseconds", 1},
	{"milliseconds", 1},
	{"second", 1},
	{"minute", 1},
	{"hour", 1},
	{"day", 1},
	{"week", 7},
	{"month", 31},
	{"quarter", 92},
	{"year", 366},
	{"decade", 3653},
	{"century", 36525},
	{"millennium", 365250},
};

/* ---- expressions ---- */

static char *
constant_text(Node *node)
{
	Const	   *constant = (Const *) node;

	return IsA(node, Const) && constant->consttype == TEXTOID && !constant->constisnull ?
		TextDatumGetCString(constant->constvalue) : NULL;
}

/* 0: it is none. */
static int
days_of_unit(Node *node)
{
	char	   *name = constant_text(node);

	for (size_t i = 0; name != NULL && i < lengthof(units); i++)
		if (pg_strcasecmp(name, units[i].name) == 0)
			return units[i].days;
	return 0;
}

/*
 * Has the zone no number in its name that may be an offset of more than a day?
 * What follows a colon are minutes or seconds.
 */
static bool
is_usual_zone(const char *name)
{
	const char *p = name;

	while (*p != '\0')
	{
		size_t		n = strspn(p, "0123456789");

		if (n > 0 && (p == name || p[-1] != ':') && (n > 2 || atoi(p) > 23))
			return false;
		p += Max(n, 1);
	}
	return true;
}

static bool
is_usual_zone_constant(Node *node)
{
	char	   *name = constant_text(node);

	return name != NULL && is_usual_zone(name);
}

/* The expression's value is that of its function of this argument. */
static bool
enter(MtTimeExpression *expression, Node *argument, int days, int zones)
{
	if (expression->days + days > MAX_DAYS || expression->zones + zones > MAX_ZONES)
		return false;
	expression->argument = argument;
	expression->days += days;
	expression->zones += zones;
	return true;
}

/* date_trunc: its unit and its time zone are constants, so that what is wrong with them can be no error. */
static bool
enter_truncation(MtTimeExpression *expression, FuncExpr *function)
{
	int			days = days_of_unit(linitial(function->args));

	if (days == 0 || (list_length(function->args) > 2 && !is_usual_zone_constant(lthird(function->args))))
		return false;
	return enter(expression, lsecond(function->args), days,
				 function->funcid == F_DATE_TRUNC_TEXT_TIMESTAMP ? 0 : 2);
}

static bool
enter_year(MtTimeExpression *expression, FuncExpr *function)
{
	char	   *field = constant_text(linitial(function->args));
	Node	   *argument = lsecond(function->args);

	if (field == NULL || pg_strcasecmp(field, "year") != 0)
		return false;
	expression->is_year = true;
	return enter(expression, argument, 0, exprType(argument) == TIMESTAMPTZOID ? 1 : 0);
}

/* A cast between times, AT TIME ZONE, date_trunc */
static bool
enter_time(MtTimeExpression *expression)
{
	FuncExpr   *function = (FuncExpr *) expression->argument;

	switch (function->funcid)
	{
		case F_TIMESTAMP_DATE:
			return enter(expression, linitial(function->args), 0, 0);
		case F_DATE_TIMESTAMP:
			return enter(expression, linitial(function->args), 1, 0);
		case F_DATE_TIMESTAMPTZ:
			return enter(expression, linitial(function->args), 1, 1);
		case F_TIMESTAMPTZ_DATE:
		case F_TIMESTAMPTZ_TIMESTAMP:
		case F_TIMESTAMP_TIMESTAMPTZ:
			return enter(expression, linitial(function->args), 0, 1);
		case F_TIMEZONE_TEXT_TIMESTAMP:
		case F_TIMEZONE_TEXT_TIMESTAMPTZ:
			return is_usual_zone_constant(linitial(function->args)) &&
				enter(expression, lsecond(function->args), 0, 1);
		case F_DATE_TRUNC_TEXT_TIMESTAMP:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT:
			return enter_truncation(expression, function);
		default:
			return false;
	}
}

/* extract(year FROM ...), which may be cast to another number */
static bool
enter_number(MtTimeExpression *expression)
{
	FuncExpr   *function = (FuncExpr *) expression->argument;

	switch (function->funcid)
	{
		case F_INT4_NUMERIC:
		case F_INT8_NUMERIC:
		case F_FLOAT8_NUMERIC:
		case F_INT4_FLOAT8:
		case F_INT8_FLOAT8:
			return enter(expression, linitial(function->args), 0, 0);
		case F_DATE_PART_TEXT_DATE:
		case F_DATE_PART_TEXT_TIMESTAMP:
		case F_DATE_PART_TEXT_TIMESTAMPTZ:
		case F_EXTRACT_TEXT_DATE:
		case F_EXTRACT_TEXT_TIMESTAMP:
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
			return enter_year(expression, function);
		default:
			return false;
	}
}

MtTimeExpression
mt_time_expression(Node *node)
{
	MtTimeExpression expression = {node, false, 0, 0};
	bool		is_number = node != NULL && IsA(node, FuncExpr) && enter_number(&expression);

	while (is_number && !expression.is_year && IsA(expression.argument, FuncExpr))
		is_number = enter_number(&expression);
	while (expression.argument != NULL && IsA(expression.argument, FuncExpr) && enter_time(&expression))
		;
	return expression;
}

bool
mt_column_holds_time(const MtCollectionColumn *column)
{
	return column->name != NULL && column->is_sendable && !column->is_whole &&
		(column->class == MT_COMPARE_TIMESTAMP || column->class == MT_COMPARE_DATE);
}

int
mt_time_strategy(MtTimeExpression *expression, Oid left, Oid right, Oid operator)
{
	if (expression->is_year)
		return mt_number_strategy(left, right, operator);
	/* the other one is cast, by the session's time zone */
	expression->zones += (left == TIMESTAMPTZOID) != (right == TIMESTAMPTZOID) ? 1 : 0;
	return mt_times_strategy(left, right, operator);
}

/* ---- ranges ---- */

static int64
start_of_year(int year)
{
	return (date2j(year, 1, 1) - UNIX_EPOCH_JDATE) * (int64) MT_MS_PER_DAY;
}

/* The whole year.  SQL has no year 0: what is before the year 1 is -1.  NaN is greater than any number. */
static MtTimePlace
place_of_year(double year)
{
	MtTimePlace place = {0, 0, 0};

	if (isnan(year) || isinf(year))
	{
		place.infinity = year < 0 ? -1 : 1;
		return place;
	}
	if (year < 0)
		year++;
	year = Max(LEAST_YEAR, Min(GREATEST_YEAR, floor(year)));
	place.floor_ms = start_of_year((int) year);
	place.ceiling_ms = start_of_year((int) year + 1);
	return place;
}

static MtTimePlace
place_of(Oid type, Datum value)
{
	switch (type)
	{
		case DATEOID:
			return mt_place_of_date(DatumGetDateADT(value));
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return mt_place_of_timestamp(DatumGetTimestamp(value));
		case INT2OID:
			return place_of_year(DatumGetInt16(value));
		case INT4OID:
			return place_of_year(DatumGetInt32(value));
		case INT8OID:
			return place_of_year((double) DatumGetInt64(value));
		case FLOAT4OID:
			return place_of_year(DatumGetFloat4(value));
		case FLOAT8OID:
			return place_of_year(DatumGetFloat8(value));
		default:
			return place_of_year(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value)));
	}
}

static int64
zones_ms(int zones)
{
	bool		is_usual = is_usual_zone(pg_get_timezone_name(session_timezone));

	return zones * (is_usual ? USUAL_ZONE_DAYS : ANY_ZONE_DAYS) * (int64) MT_MS_PER_DAY;
}

/* No date of BSON reads as an infinity. */
void
mt_time_arms(const MtCollectionColumn *column, const MtLeaf *leaf, Datum value, MtArms *arms)
{
	MtTimePlace place = place_of(leaf->type, value);
	bool		has_lower = !mt_is_less(leaf->strategy);
	bool		has_upper = has_lower == (leaf->strategy == BTEqualStrategyNumber);
	int64		zones = zones_ms(leaf->zones);
	int64		lower = place.floor_ms - zones;
	int64		upper = place.ceiling_ms + leaf->days * (int64) MT_MS_PER_DAY + zones;

	arms->n = 0;
	if ((has_lower && (place.infinity > 0 || lower > MT_GREATEST_DATE_MS)) ||
		(has_upper && (place.infinity < 0 || upper < MT_LEAST_DATE_MS)))
		return;
	mt_typed_arms(column, arms);
	if (place.infinity != 0)
		return;
	if (has_lower && lower >= MT_LEAST_DATE_MS)
		mt_bound_arm(&arms->arms[0], BTGreaterEqualStrategyNumber, mt_point_integer(MT_BSON_DATE, lower), false);
	if (has_upper && upper <= MT_GREATEST_DATE_MS)
		mt_bound_arm(&arms->arms[0], BTLessEqualStrategyNumber, mt_point_integer(MT_BSON_DATE, upper), false);
}
