/*
 * position.h
 *		A place in the merged stream of a server's changes.
 *
 * 16 bytes, big-endian, so that memcmp is the order: cluster time (seconds 4,
 * increment 4), shard id (4, a stable hash of the shard's name), index (4) in
 * the entry or transaction.  It means the same after a restart and on another
 * machine.  Three values are special: 'oldest' (all zero bytes) is before
 * everything, 'now' (all one bits) stands for the present when a function
 * reads it, and a place with shard and index all zero is "before everything
 * at that cluster time", which is what a timestamp reads as.
 * A cluster time casts to the other end, shard and index all ones: "after T"
 * means later than everything at T.
 *
 * A cluster time is MongoDB's Timestamp: seconds << 32 | increment, unsigned.
 */
#ifndef MT_POSITION_H
#define MT_POSITION_H

#include "fmgr.h"

typedef struct MtPosition
{
	uint8		bytes[16];
} MtPosition;

#define DatumGetMtPosition(d)		((MtPosition *) DatumGetPointer(d))
#define MtPositionGetDatum(p)		PointerGetDatum(p)
#define PG_GETARG_MT_POSITION(n)	DatumGetMtPosition(PG_GETARG_DATUM(n))

extern void mt_position_set(MtPosition *position, uint64 cluster_time, uint32 shard, uint32 index);
extern uint64 mt_position_cluster_time(const MtPosition *position);
extern uint32 mt_position_shard(const MtPosition *position);
extern uint32 mt_position_index(const MtPosition *position);
extern bool mt_position_is_oldest(const MtPosition *position);
extern bool mt_position_is_now(const MtPosition *position);
extern int	mt_position_compare(const MtPosition *a, const MtPosition *b);

/* Text form into buf, which holds at least MT_POSITION_TEXT_BYTES. */
#define MT_POSITION_TEXT_BYTES 64
extern char *mt_position_text(const MtPosition *position, char *buf);

/* The shard id of a shard's name (replica set's name when not sharded):
 * FNV-1a, 32 bit, never 0. */
extern uint32 mt_position_shard_id(const char *shard_name);

/* Seconds since 1970 of a cluster time as timestamptz. */
extern int64 mt_cluster_time_to_timestamptz(uint64 cluster_time);

/* The beginning of a timestamptz's second: its fraction is cut off, the
 * increment is 0.  -infinity is the least cluster time, infinity the greatest;
 * what cluster times cannot say (before 1970, after 2106) is an error. */
extern uint64 mt_cluster_time_from_timestamptz(int64 timestamptz);

/* A cluster time's text form, seconds.increment, into buf, which holds at least
 * MT_POSITION_TEXT_BYTES. */
extern char *mt_cluster_time_text(uint64 cluster_time, char *buf);

/* Reads digits of a base (10 or 16) at *cursor and moves it past them.  False,
 * and *cursor unmoved, when there are none or they do not fit 32 bits. */
extern bool mt_position_scan_uint32(const char **cursor, int base, uint32 *value);

/* Reads seconds.increment at *cursor likewise. */
extern bool mt_cluster_time_scan(const char **cursor, uint64 *cluster_time);

#endif							/* MT_POSITION_H */
