/*
 * objectid.c
 *		The SQL type mongo_tail.objectid.
 *
 * 12 bytes whose memcmp order is MongoDB's, so the operators and the classes
 * for btree and hash are thin.  It reads 24 hexadecimal digits and nothing
 * else: what MongoDB's tools print and no other spelling, so that a mistake is
 * an error and not another ObjectId.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#include "base/position.h"
#include "compat.h"
#include "convert/objectid.h"

/* The value of a hexadecimal digit; -1 when it is none. */
static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
parse(const char *text, MtObjectId *objectid)
{
	for (int i = 0; i < MT_OBJECTID_BYTES; i++)
	{
		int			high = digit_value(text[2 * i]);
		int			low = high < 0 ? -1 : digit_value(text[2 * i + 1]);

		if (low < 0)
			return false;
		objectid->bytes[i] = (uint8) (high << 4 | low);
	}
	return text[MT_OBJECTID_DIGITS] == '\0';
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_in);
Datum
mongo_tail_objectid_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	MtObjectId *objectid = palloc(sizeof(MtObjectId));

	if (!parse(text, objectid))
		mt_compat_input_error(fcinfo,
							  (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
							   errmsg("invalid input syntax for type %s: \"%s\"", "objectid", text),
							   errhint("An ObjectId is 24 hexadecimal digits.")));
	PG_RETURN_POINTER(objectid);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_out);
Datum
mongo_tail_objectid_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(mt_objectid_text(PG_GETARG_MT_OBJECTID(0), palloc(MT_OBJECTID_DIGITS + 1)));
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_recv);
Datum
mongo_tail_objectid_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	MtObjectId *objectid = palloc(sizeof(MtObjectId));

	pq_copymsgbytes(message, (char *) objectid->bytes, MT_OBJECTID_BYTES);
	PG_RETURN_POINTER(objectid);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_send);
Datum
mongo_tail_objectid_send(PG_FUNCTION_ARGS)
{
	MtObjectId *objectid = PG_GETARG_MT_OBJECTID(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, (char *) objectid->bytes, MT_OBJECTID_BYTES);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

#define OBJECTID_OPERATOR(name, operator) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(mt_objectid_compare(PG_GETARG_MT_OBJECTID(0), \
									   PG_GETARG_MT_OBJECTID(1)) operator 0); \
}

OBJECTID_OPERATOR(mongo_tail_objectid_lt, <)
OBJECTID_OPERATOR(mongo_tail_objectid_le, <=)
OBJECTID_OPERATOR(mongo_tail_objectid_eq, ==)
OBJECTID_OPERATOR(mongo_tail_objectid_ne, !=)
OBJECTID_OPERATOR(mongo_tail_objectid_ge, >=)
OBJECTID_OPERATOR(mongo_tail_objectid_gt, >)

PG_FUNCTION_INFO_V1(mongo_tail_objectid_cmp);
Datum
mongo_tail_objectid_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(mt_objectid_compare(PG_GETARG_MT_OBJECTID(0), PG_GETARG_MT_OBJECTID(1)));
}

static int
compare_full(Datum a, Datum b, SortSupport support)
{
	(void) support;
	return mt_objectid_compare(DatumGetMtObjectId(a), DatumGetMtObjectId(b));
}

/* As many of the first bytes as a Datum has. */
static Datum
abbreviate(Datum original, SortSupport support)
{
	Datum		big_endian;

	(void) support;
	memcpy(&big_endian, DatumGetMtObjectId(original)->bytes, sizeof big_endian);
	return DatumBigEndianToNative(big_endian);
}

/* Never worth giving up: making the key costs one load. */
static bool
abbreviate_abort(int count, SortSupport support)
{
	(void) count;
	(void) support;
	return false;
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_sortsupport);
Datum
mongo_tail_objectid_sortsupport(PG_FUNCTION_ARGS)
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

PG_FUNCTION_INFO_V1(mongo_tail_objectid_hash);
Datum
mongo_tail_objectid_hash(PG_FUNCTION_ARGS)
{
	return hash_any(PG_GETARG_MT_OBJECTID(0)->bytes, MT_OBJECTID_BYTES);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_hash_extended);
Datum
mongo_tail_objectid_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended(PG_GETARG_MT_OBJECTID(0)->bytes, MT_OBJECTID_BYTES, PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_smaller);
Datum
mongo_tail_objectid_smaller(PG_FUNCTION_ARGS)
{
	MtObjectId *a = PG_GETARG_MT_OBJECTID(0);
	MtObjectId *b = PG_GETARG_MT_OBJECTID(1);

	PG_RETURN_POINTER(mt_objectid_compare(a, b) < 0 ? a : b);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_larger);
Datum
mongo_tail_objectid_larger(PG_FUNCTION_ARGS)
{
	MtObjectId *a = PG_GETARG_MT_OBJECTID(0);
	MtObjectId *b = PG_GETARG_MT_OBJECTID(1);

	PG_RETURN_POINTER(mt_objectid_compare(a, b) > 0 ? a : b);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_from_bytea);
Datum
mongo_tail_objectid_from_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	MtObjectId *objectid;

	if (VARSIZE_ANY_EXHDR(bytes) != MT_OBJECTID_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("an ObjectId has 12 bytes, not %d", (int) VARSIZE_ANY_EXHDR(bytes))));
	objectid = palloc(sizeof(MtObjectId));
	memcpy(objectid->bytes, VARDATA_ANY(bytes), MT_OBJECTID_BYTES);
	PG_RETURN_POINTER(objectid);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_to_bytea);
Datum
mongo_tail_objectid_to_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = palloc(VARHDRSZ + MT_OBJECTID_BYTES);

	SET_VARSIZE(bytes, VARHDRSZ + MT_OBJECTID_BYTES);
	memcpy(VARDATA(bytes), PG_GETARG_MT_OBJECTID(0)->bytes, MT_OBJECTID_BYTES);
	PG_RETURN_BYTEA_P(bytes);
}

PG_FUNCTION_INFO_V1(mongo_tail_objectid_created_at);
Datum
mongo_tail_objectid_created_at(PG_FUNCTION_ARGS)
{
	uint64		seconds = mt_objectid_seconds(PG_GETARG_MT_OBJECTID(0));

	PG_RETURN_TIMESTAMPTZ(mt_cluster_time_to_timestamptz(seconds << 32));
}

/*
 * The least ObjectId that is created at a time or after it: of a time within a
 * second, the first of the next.  A time before 1970 is before all of them.
 */
PG_FUNCTION_INFO_V1(mongo_tail_objectid_first);
Datum
mongo_tail_objectid_first(PG_FUNCTION_ARGS)
{
	const int64 epoch_s = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	TimestampTz time = PG_GETARG_TIMESTAMPTZ(0);
	int64		rest = time % USECS_PER_SEC;
	int64		seconds = time / USECS_PER_SEC + (rest > 0) + epoch_s;
	MtObjectId *objectid = palloc0(sizeof(MtObjectId));
	uint32		big_endian;

	if (TIMESTAMP_IS_NOBEGIN(time) || seconds < 0)
		PG_RETURN_POINTER(objectid);
	if (TIMESTAMP_IS_NOEND(time) || seconds > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("no ObjectId is created so late"),
				 errhint("The last second of an ObjectId is 2106-02-07 06:28:15 UTC.")));
	big_endian = pg_hton32((uint32) seconds);
	memcpy(objectid->bytes, &big_endian, sizeof big_endian);
	PG_RETURN_POINTER(objectid);
}
