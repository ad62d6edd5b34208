/*
 * position.c
 *		The SQL type mongo_tail.position.
 *
 * A position is 16 bytes whose memcmp order is its order, so the operators,
 * the btree class and the hash class are thin.  What needs thought is what a
 * position reads: its own text form, 'oldest' and 'now', and any timestamp,
 * as date reads 'now' besides dates.
 */
#include "postgres.h"

#include "base/position.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#define DECIMAL_DIGITS "0123456789"

static MtPosition *
make_position(uint64 cluster_time, uint32 shard, uint32 index)
{
	MtPosition *position = palloc(sizeof(MtPosition));

	mt_position_set(position, cluster_time, shard, index);
	return position;
}

static MtPosition *
make_oldest(void)
{
	return make_position(0, 0, 0);
}

static MtPosition *
make_now(void)
{
	return make_position(PG_UINT64_MAX, PG_UINT32_MAX, PG_UINT32_MAX);
}

/*
 * The place that a timestamp names: before everything of its second.  The
 * infinities are the two ends.
 */
static MtPosition *
position_from_timestamptz(TimestampTz timestamptz)
{
	if (TIMESTAMP_IS_NOBEGIN(timestamptz))
		return make_oldest();
	if (TIMESTAMP_IS_NOEND(timestamptz))
		return make_now();
	return make_position(mt_cluster_time_from_timestamptz(timestamptz), 0, 0);
}

static int
hint_position_forms(void)
{
	return errhint("A position reads as seconds.increment/shard/index, as in \"1700000000.5/3f2a9c01/0\", as \"oldest\" or \"now\", or as a timestamp, as in \"2026-01-01 00:00+00\".");
}

static void
report_bad_position(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", "position", text),
			 hint_position_forms()));
}

/*
 * Does this begin as a place does: digits, a point, digits, then a slash or
 * the end?  No date is written so, and what begins so and is broken deserves
 * our error, not one about dates.
 */
static bool
looks_like_place(const char *text)
{
	size_t		seconds_length = strspn(text, DECIMAL_DIGITS);
	size_t		increment_length;

	if (seconds_length == 0 || text[seconds_length] != '.')
		return false;
	text += seconds_length + 1;
	increment_length = strspn(text, DECIMAL_DIGITS);
	return increment_length > 0 &&
		(text[increment_length] == '/' || text[increment_length] == '\0');
}

/* Reads seconds.increment/shard/index; NULL when it is not that. */
static MtPosition *
parse_place(const char *text)
{
	const char *cursor = text;
	uint64		cluster_time;
	uint32		shard;
	uint32		index;

	if (!mt_cluster_time_scan(&cursor, &cluster_time) || *cursor++ != '/' ||
		!mt_position_scan_uint32(&cursor, 16, &shard) || *cursor++ != '/' ||
		!mt_position_scan_uint32(&cursor, 10, &index) || *cursor != '\0')
		return NULL;
	return make_position(cluster_time, shard, index);
}

/*
 * While timestamptz_in reads: what is no timestamp at all is no position, and
 * the error shall say so.  A field out of range keeps PostgreSQL's message,
 * but its hint about DateStyle would mislead who wrote bare seconds.
 */
static void
timestamptz_error_callback(void *arg)
{
	int			code = geterrcode();

	if (code == ERRCODE_INVALID_DATETIME_FORMAT)
	{
		errcode(ERRCODE_INVALID_TEXT_REPRESENTATION);
		errmsg("invalid input syntax for type %s: \"%s\"", "position", (const char *) arg);
	}
	if (code == ERRCODE_INVALID_DATETIME_FORMAT || code == ERRCODE_DATETIME_FIELD_OVERFLOW)
		hint_position_forms();
}

static MtPosition *
parse_timestamp(char *text)
{
	ErrorContextCallback callback;
	TimestampTz timestamptz;

	callback.callback = timestamptz_error_callback;
	callback.arg = text;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	timestamptz = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
														  CStringGetDatum(text),
														  ObjectIdGetDatum(InvalidOid),
														  Int32GetDatum(-1)));
	error_context_stack = callback.previous;

	return position_from_timestamptz(timestamptz);
}

/* A copy without white space at its ends. */
static char *
trim(const char *text)
{
	size_t		length;

	while (scanner_isspace(*text))
		text++;
	length = strlen(text);
	while (length > 0 && scanner_isspace(text[length - 1]))
		length--;
	return pnstrdup(text, length);
}

PG_FUNCTION_INFO_V1(mongo_tail_position_in);
Datum
mongo_tail_position_in(PG_FUNCTION_ARGS)
{
	char	   *input = PG_GETARG_CSTRING(0);
	char	   *text = trim(input);
	MtPosition *position;

	if (pg_strcasecmp(text, "oldest") == 0)
		PG_RETURN_POINTER(make_oldest());
	/* Before timestamptz_in sees it, which would read the wall clock. */
	if (pg_strcasecmp(text, "now") == 0)
		PG_RETURN_POINTER(make_now());
	if (!looks_like_place(text))
		PG_RETURN_POINTER(parse_timestamp(text));

	position = parse_place(text);
	if (position == NULL)
		report_bad_position(input);
	PG_RETURN_POINTER(position);
}

PG_FUNCTION_INFO_V1(mongo_tail_position_out);
Datum
mongo_tail_position_out(PG_FUNCTION_ARGS)
{
	char	   *buf = palloc(MT_POSITION_TEXT_BYTES);

	PG_RETURN_CSTRING(mt_position_text(PG_GETARG_MT_POSITION(0), buf));
}

PG_FUNCTION_INFO_V1(mongo_tail_position_recv);
Datum
mongo_tail_position_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	MtPosition *position = palloc(sizeof(MtPosition));

	pq_copymsgbytes(message, (char *) position->bytes, sizeof(position->bytes));
	PG_RETURN_POINTER(position);
}

PG_FUNCTION_INFO_V1(mongo_tail_position_send);
Datum
mongo_tail_position_send(PG_FUNCTION_ARGS)
{
	MtPosition *position = PG_GETARG_MT_POSITION(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, (char *) position->bytes, sizeof(position->bytes));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

#define POSITION_OPERATOR(name, operator) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(mt_position_compare(PG_GETARG_MT_POSITION(0), \
									   PG_GETARG_MT_POSITION(1)) operator 0); \
}

POSITION_OPERATOR(mongo_tail_position_lt, <)
POSITION_OPERATOR(mongo_tail_position_le, <=)
POSITION_OPERATOR(mongo_tail_position_eq, ==)
POSITION_OPERATOR(mongo_tail_position_ne, !=)
POSITION_OPERATOR(mongo_tail_position_ge, >=)
POSITION_OPERATOR(mongo_tail_position_gt, >)

PG_FUNCTION_INFO_V1(mongo_tail_position_cmp);
Datum
mongo_tail_position_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(mt_position_compare(PG_GETARG_MT_POSITION(0), PG_GETARG_MT_POSITION(1)));
}

static int
compare_full(Datum a, Datum b, SortSupport support)
{
	(void) support;
	return mt_position_compare(DatumGetMtPosition(a), DatumGetMtPosition(b));
}

/* The abbreviated key is the cluster time: few positions share one. */
static Datum
abbreviate(Datum original, SortSupport support)
{
	(void) support;
	return UInt64GetDatum(mt_position_cluster_time(DatumGetMtPosition(original)));
}

/* Never worth giving up: making the key costs one load. */
static bool
abbreviate_abort(int count, SortSupport support)
{
	(void) count;
	(void) support;
	return false;
}

PG_FUNCTION_INFO_V1(mongo_tail_position_sortsupport);
Datum
mongo_tail_position_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport support = (SortSupport) PG_GETARG_POINTER(0);

	support->comparator = compare_full;
	if (support->abbreviate)
	{
		support->comparator = ssup_datum_unsigned_cmp;
		support->abbrev_converter = abbreviate;
		support->abbrev_abort = abbreviate_abort;
		support->abbrev_full_comparator = compare_full;
	}
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(mongo_tail_position_hash);
Datum
mongo_tail_position_hash(PG_FUNCTION_ARGS)
{
	MtPosition *position = PG_GETARG_MT_POSITION(0);

	return hash_any(position->bytes, sizeof(position->bytes));
}

PG_FUNCTION_INFO_V1(mongo_tail_position_hash_extended);
Datum
mongo_tail_position_hash_extended(PG_FUNCTION_ARGS)
{
	MtPosition *position = PG_GETARG_MT_POSITION(0);

	return hash_any_extended(position->bytes, sizeof(position->bytes), PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(mongo_tail_position_smaller);
Datum
mongo_tail_position_smaller(PG_FUNCTION_ARGS)
{
	MtPosition *a = PG_GETARG_MT_POSITION(0);
	MtPosition *b = PG_GETARG_MT_POSITION(1);

	PG_RETURN_POINTER(mt_position_compare(a, b) < 0 ? a : b);
}

PG_FUNCTION_INFO_V1(mongo_tail_position_larger);
Datum
mongo_tail_position_larger(PG_FUNCTION_ARGS)
{
	MtPosition *a = PG_GETARG_MT_POSITION(0);
	MtPosition *b = PG_GETARG_MT_POSITION(1);

	PG_RETURN_POINTER(mt_position_compare(a, b) > 0 ? a : b);
}

PG_FUNCTION_INFO_V1(mongo_tail_position_from_timestamptz);
Datum
mongo_tail_position_from_timestamptz(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(position_from_timestamptz(PG_GETARG_TIMESTAMPTZ(0)));
}

PG_FUNCTION_INFO_V1(mongo_tail_position_to_timestamptz);
Datum
mongo_tail_position_to_timestamptz(PG_FUNCTION_ARGS)
{
	MtPosition *position = PG_GETARG_MT_POSITION(0);

	if (mt_position_is_oldest(position))
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
	if (mt_position_is_now(position))
		PG_RETURN_TIMESTAMPTZ(DT_NOEND);
	PG_RETURN_TIMESTAMPTZ(mt_cluster_time_to_timestamptz(mt_position_cluster_time(position)));
}

/*
 * The end of a cluster time: "after T" means later than everything at T.
 * (No real cluster time has all bits set, so the result is never 'now'.)
 */
PG_FUNCTION_INFO_V1(mongo_tail_position_from_cluster_time);
Datum
mongo_tail_position_from_cluster_time(PG_FUNCTION_ARGS)
{
	uint64		cluster_time = DatumGetUInt64(PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(make_position(cluster_time, PG_UINT32_MAX, PG_UINT32_MAX));
}

PG_FUNCTION_INFO_V1(mongo_tail_position_to_cluster_time);
Datum
mongo_tail_position_to_cluster_time(PG_FUNCTION_ARGS)
{
	return UInt64GetDatum(mt_position_cluster_time(PG_GETARG_MT_POSITION(0)));
}

/* The shard part of the positions of a shard, as positions print it. */
PG_FUNCTION_INFO_V1(mongo_tail_shard_id);
Datum
mongo_tail_shard_id(PG_FUNCTION_ARGS)
{
	char	   *shard_name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%08x", mt_position_shard_id(shard_name))));
}
