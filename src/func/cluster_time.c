/*
 * cluster_time.c
 *		The SQL type mongo_tail.cluster_time: MongoDB's Timestamp.
 *
 * 8 bytes by value, seconds << 32 | increment, compared unsigned.  It prints
 * as seconds.increment, the first component of a position, and reads that and
 * the forms in which MongoDB's shell and Extended JSON write a Timestamp.
 */
#include "postgres.h"

#include "base/position.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "parser/scansup.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

StaticAssertDecl(SIZEOF_DATUM >= 8, "a cluster time is passed by value");

#define PG_GETARG_CLUSTER_TIME(n)	DatumGetUInt64(PG_GETARG_DATUM(n))
#define PG_RETURN_CLUSTER_TIME(t)	return UInt64GetDatum(t)

static void
skip_space(const char **cursor)
{
	while (scanner_isspace(**cursor))
		(*cursor)++;
}

/* Moves past white space, the token and white space; false if it is not there. */
static bool
accept_token(const char **cursor, const char *token)
{
	size_t		length = strlen(token);

	skip_space(cursor);
	if (strncmp(*cursor, token, length) != 0)
		return false;
	*cursor += length;
	skip_space(cursor);
	return true;
}

/* A member of the object: the key, which may be quoted, a colon and a number. */
static bool
accept_member(const char **cursor, const char *key, uint32 *value)
{
	const char *start = *cursor;

	if ((accept_token(cursor, psprintf("\"%s\"", key)) || accept_token(cursor, key)) &&
		accept_token(cursor, ":") &&
		mt_position_scan_uint32(cursor, 10, value))
		return true;
	*cursor = start;
	return false;
}

/* {t: seconds, i: increment}, in either order. */
static bool
accept_object(const char **cursor, uint32 *seconds, uint32 *increment)
{
	if (!accept_token(cursor, "{"))
		return false;
	if (accept_member(cursor, "t", seconds))
		return accept_token(cursor, ",") && accept_member(cursor, "i", increment) && accept_token(cursor, "}");
	return accept_member(cursor, "i", increment) && accept_token(cursor, ",") &&
		accept_member(cursor, "t", seconds) && accept_token(cursor, "}");
}

/* Timestamp(seconds, increment) or Timestamp({t: seconds, i: increment}). */
static bool
parse_shell_form(const char *cursor, uint32 *seconds, uint32 *increment)
{
	if (!accept_token(&cursor, "Timestamp") || !accept_token(&cursor, "("))
		return false;
	if (*cursor == '{')
	{
		if (!accept_object(&cursor, seconds, increment))
			return false;
	}
	else if (!mt_position_scan_uint32(&cursor, 10, seconds) || !accept_token(&cursor, ",") ||
			 !mt_position_scan_uint32(&cursor, 10, increment))
		return false;
	return accept_token(&cursor, ")") && *cursor == '\0';
}

/* {"$timestamp": {"t": seconds, "i": increment}} */
static bool
parse_extended_json(const char *cursor, uint32 *seconds, uint32 *increment)
{
	return accept_token(&cursor, "{") && accept_token(&cursor, "\"$timestamp\"") && accept_token(&cursor, ":") &&
		accept_object(&cursor, seconds, increment) &&
		accept_token(&cursor, "}") && *cursor == '\0';
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_in);
Datum
mongo_tail_cluster_time_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *cursor = text;
	uint64		cluster_time;
	uint32		seconds;
	uint32		increment;

	skip_space(&cursor);
	if (mt_cluster_time_scan(&cursor, &cluster_time))
	{
		skip_space(&cursor);
		if (*cursor == '\0')
			PG_RETURN_CLUSTER_TIME(cluster_time);
	}
	else if (parse_shell_form(cursor, &seconds, &increment) ||
			 parse_extended_json(cursor, &seconds, &increment))
		PG_RETURN_CLUSTER_TIME((uint64) seconds << 32 | increment);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", "cluster_time", text),
			 errhint("A cluster time reads as seconds.increment, as in \"1700000000.5\", as Timestamp(1700000000, 5), as Timestamp({t: 1700000000, i: 5}) or as {\"$timestamp\": {\"t\": 1700000000, \"i\": 5}}; both numbers are at most 4294967295.")));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_out);
Datum
mongo_tail_cluster_time_out(PG_FUNCTION_ARGS)
{
	char	   *buf = palloc(MT_POSITION_TEXT_BYTES);

	PG_RETURN_CSTRING(mt_cluster_time_text(PG_GETARG_CLUSTER_TIME(0), buf));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_recv);
Datum
mongo_tail_cluster_time_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);

	PG_RETURN_CLUSTER_TIME((uint64) pq_getmsgint64(message));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_send);
Datum
mongo_tail_cluster_time_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint64(&message, PG_GETARG_CLUSTER_TIME(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

#define CLUSTER_TIME_OPERATOR(name, operator) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(PG_GETARG_CLUSTER_TIME(0) operator PG_GETARG_CLUSTER_TIME(1)); \
}

CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_lt, <)
CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_le, <=)
CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_eq, ==)
CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_ne, !=)
CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_ge, >=)
CLUSTER_TIME_OPERATOR(mongo_tail_cluster_time_gt, >)

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_cmp);
Datum
mongo_tail_cluster_time_cmp(PG_FUNCTION_ARGS)
{
	uint64		a = PG_GETARG_CLUSTER_TIME(0);
	uint64		b = PG_GETARG_CLUSTER_TIME(1);

	PG_RETURN_INT32(a < b ? -1 : a > b);
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_sortsupport);
Datum
mongo_tail_cluster_time_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport support = (SortSupport) PG_GETARG_POINTER(0);

	support->comparator = ssup_datum_unsigned_cmp;
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_hash);
Datum
mongo_tail_cluster_time_hash(PG_FUNCTION_ARGS)
{
	uint64		cluster_time = PG_GETARG_CLUSTER_TIME(0);

	return hash_any((unsigned char *) &cluster_time, sizeof(cluster_time));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_hash_extended);
Datum
mongo_tail_cluster_time_hash_extended(PG_FUNCTION_ARGS)
{
	uint64		cluster_time = PG_GETARG_CLUSTER_TIME(0);

	return hash_any_extended((unsigned char *) &cluster_time, sizeof(cluster_time),
							 PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_smaller);
Datum
mongo_tail_cluster_time_smaller(PG_FUNCTION_ARGS)
{
	PG_RETURN_CLUSTER_TIME(Min(PG_GETARG_CLUSTER_TIME(0), PG_GETARG_CLUSTER_TIME(1)));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_larger);
Datum
mongo_tail_cluster_time_larger(PG_FUNCTION_ARGS)
{
	PG_RETURN_CLUSTER_TIME(Max(PG_GETARG_CLUSTER_TIME(0), PG_GETARG_CLUSTER_TIME(1)));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_from_timestamptz);
Datum
mongo_tail_cluster_time_from_timestamptz(PG_FUNCTION_ARGS)
{
	PG_RETURN_CLUSTER_TIME(mt_cluster_time_from_timestamptz(PG_GETARG_TIMESTAMPTZ(0)));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_to_timestamptz);
Datum
mongo_tail_cluster_time_to_timestamptz(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(mt_cluster_time_to_timestamptz(PG_GETARG_CLUSTER_TIME(0)));
}

/* An argument of the constructor, which must fit 32 bits unsigned. */
static uint32
checked_uint32(int64 value, const char *name)
{
	if (value < 0 || value > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s of a cluster time out of range: %lld", name, (long long) value),
				 errhint("It must be between 0 and 4294967295.")));
	return (uint32) value;
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_make);
Datum
mongo_tail_cluster_time_make(PG_FUNCTION_ARGS)
{
	uint32		seconds = checked_uint32(PG_GETARG_INT64(0), "seconds");
	uint32		increment = checked_uint32(PG_GETARG_INT64(1), "increment");

	PG_RETURN_CLUSTER_TIME((uint64) seconds << 32 | increment);
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_seconds);
Datum
mongo_tail_cluster_time_seconds(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) (PG_GETARG_CLUSTER_TIME(0) >> 32));
}

PG_FUNCTION_INFO_V1(mongo_tail_cluster_time_increment);
Datum
mongo_tail_cluster_time_increment(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) (uint32) PG_GETARG_CLUSTER_TIME(0));
}
