/*
 * position.c
 *		Positions and cluster times as values: packing, comparing, text.
 *
 * Everything here is independent of SQL; the types' SQL functions in func/ and
 * every room that stores or compares a position stand on it.
 */
#include "postgres.h"

#include "base/position.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#define FNV1A_OFFSET_BASIS	0x811c9dc5U
#define FNV1A_PRIME			0x01000193U

/* 1970-01-01 as timestamptz, which counts microseconds from 2000-01-01. */
#define UNIX_EPOCH_TIMESTAMPTZ \
	((int64) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY)

/* Where the four parts stand. */
#define OFFSET_CLUSTER_TIME	0
#define OFFSET_SHARD		8
#define OFFSET_INDEX		12

static const MtPosition position_oldest = {{0}};

static const MtPosition position_now = {{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
}};

StaticAssertDecl(sizeof(MtPosition) == 16, "a position is 16 bytes in SQL");

static uint32
read_uint32(const MtPosition *position, int offset)
{
	uint32		big_endian;

	memcpy(&big_endian, position->bytes + offset, sizeof(big_endian));
	return pg_ntoh32(big_endian);
}

void
mt_position_set(MtPosition *position, uint64 cluster_time, uint32 shard, uint32 index)
{
	uint64		big_endian_time = pg_hton64(cluster_time);
	uint32		big_endian_shard = pg_hton32(shard);
	uint32		big_endian_index = pg_hton32(index);

	memcpy(position->bytes + OFFSET_CLUSTER_TIME, &big_endian_time, sizeof(big_endian_time));
	memcpy(position->bytes + OFFSET_SHARD, &big_endian_shard, sizeof(big_endian_shard));
	memcpy(position->bytes + OFFSET_INDEX, &big_endian_index, sizeof(big_endian_index));
}

uint64
mt_position_cluster_time(const MtPosition *position)
{
	uint64		big_endian;

	memcpy(&big_endian, position->bytes + OFFSET_CLUSTER_TIME, sizeof(big_endian));
	return pg_ntoh64(big_endian);
}

uint32
mt_position_shard(const MtPosition *position)
{
	return read_uint32(position, OFFSET_SHARD);
}

uint32
mt_position_index(const MtPosition *position)
{
	return read_uint32(position, OFFSET_INDEX);
}

bool
mt_position_is_oldest(const MtPosition *position)
{
	return mt_position_compare(position, &position_oldest) == 0;
}

bool
mt_position_is_now(const MtPosition *position)
{
	return mt_position_compare(position, &position_now) == 0;
}

int
mt_position_compare(const MtPosition *a, const MtPosition *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

char *
mt_position_text(const MtPosition *position, char *buf)
{
	uint64		cluster_time = mt_position_cluster_time(position);

	if (mt_position_is_oldest(position))
		strlcpy(buf, "oldest", MT_POSITION_TEXT_BYTES);
	else if (mt_position_is_now(position))
		strlcpy(buf, "now", MT_POSITION_TEXT_BYTES);
	else
		snprintf(buf, MT_POSITION_TEXT_BYTES, "%u.%u/%08x/%u",
				 (uint32) (cluster_time >> 32), (uint32) cluster_time,
				 mt_position_shard(position), mt_position_index(position));
	return buf;
}

uint32
mt_position_shard_id(const char *shard_name)
{
	uint32		hash = FNV1A_OFFSET_BASIS;

	for (const char *c = shard_name; *c != '\0'; c++)
	{
		hash ^= (unsigned char) *c;
		hash *= FNV1A_PRIME;
	}

	/* 0 is "before every shard" in a position that a timestamp gave. */
	return hash == 0 ? 1 : hash;
}

int64
mt_cluster_time_to_timestamptz(uint64 cluster_time)
{
	return UNIX_EPOCH_TIMESTAMPTZ + (int64) (cluster_time >> 32) * USECS_PER_SEC;
}

uint64
mt_cluster_time_from_timestamptz(int64 timestamptz)
{
	if (TIMESTAMP_IS_NOBEGIN(timestamptz))
		return 0;
	if (TIMESTAMP_IS_NOEND(timestamptz))
		return PG_UINT64_MAX;

	/* The bounds first: the difference of the epochs could overflow. */
	if (timestamptz < UNIX_EPOCH_TIMESTAMPTZ ||
		timestamptz >= UNIX_EPOCH_TIMESTAMPTZ + ((int64) PG_UINT32_MAX + 1) * USECS_PER_SEC)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range for a cluster time"),
				 errhint("MongoDB's cluster times lie between 1970-01-01 00:00:00 and 2106-02-07 06:28:15 UTC.")));

	return (uint64) ((timestamptz - UNIX_EPOCH_TIMESTAMPTZ) / USECS_PER_SEC) << 32;
}

char *
mt_cluster_time_text(uint64 cluster_time, char *buf)
{
	snprintf(buf, MT_POSITION_TEXT_BYTES, "%u.%u",
			 (uint32) (cluster_time >> 32), (uint32) cluster_time);
	return buf;
}

/* The value of a digit, or -1.  Not isxdigit: no locale has a say here. */
static int
digit_value(char c, int base)
{
	int			value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < base ? value : -1;
}

bool
mt_position_scan_uint32(const char **cursor, int base, uint32 *value)
{
	const char *c = *cursor;
	uint64		sum = 0;
	int			digit;

	while ((digit = digit_value(*c, base)) >= 0)
	{
		sum = sum * base + digit;
		if (sum > PG_UINT32_MAX)
			return false;
		c++;
	}
	if (c == *cursor)
		return false;

	*cursor = c;
	*value = (uint32) sum;
	return true;
}

bool
mt_cluster_time_scan(const char **cursor, uint64 *cluster_time)
{
	const char *c = *cursor;
	uint32		seconds;
	uint32		increment;

	if (!mt_position_scan_uint32(&c, 10, &seconds) || *c++ != '.' ||
		!mt_position_scan_uint32(&c, 10, &increment))
		return false;

	*cursor = c;
	*cluster_time = (uint64) seconds << 32 | increment;
	return true;
}
