/*
 * oplog_entry.h
 *		Parse one oplog entry into slices, without allocating.
 *
 * Source: MongoDB's src/mongo/db/repl/oplog_entry.idl, and entries seen on
 * real servers from 4.4 to 6.0.
 */
#ifndef MT_OPLOG_ENTRY_H
#define MT_OPLOG_ENTRY_H

#include "oplog/bson_walk.h"
#include "oplog/oplog_error.h"

typedef struct MtOplogEntry
{
	MtSlice		whole;			/* the entry itself */
	uint64_t	ts;				/* seconds << 32 | increment; 0 in an inner operation */
	int64_t		term;			/* -1 when absent */
	int64_t		wall_ms;		/* MT_NO_WALL_TIME when absent */
	MtSlice		op;				/* "i", "u", "d", "c", "n" or any other text */
	MtSlice		ns;				/* text, no NUL */
	MtSlice		o;				/* document; absent if missing */
	MtSlice		o2;				/* document; absent if missing */
	MtSlice		ui;				/* 16 bytes, or absent */
	MtSlice		lsid;			/* document, or absent */
	int64_t		txn_number;		/* valid if has_txn_number */
	uint64_t	prev_ts;		/* prevOpTime; 0 for none and for the null optime */
	int64_t		prev_term;
	int32_t		multi_op_type;	/* 0 when absent */
	bool		has_txn_number;
	bool		upsert;			/* b: true */
	bool		from_migrate;
} MtOplogEntry;

/*
 * Parse a top-level entry.  Requires ts, op and ns, and v == 2 when v is
 * there; unknown fields are ignored.
 */
extern MtOplogStatus mt_oplog_entry_parse(MtSlice bson, MtOplogEntry *entry, MtOplogError *error);

/*
 * Parse an inner operation of applyOps: op, ns and o, and no ts needed.
 */
extern MtOplogStatus mt_oplog_entry_parse_inner(MtSlice bson, MtOplogEntry *entry, MtOplogError *error);

/* The ts of an entry and nothing else; 0 when it has none or is corrupt. */
extern uint64_t mt_oplog_entry_ts(MtSlice bson);

/*
 * Is this the entry that a replica set's oplog begins with when the set is
 * made?  Nothing can have been before it.
 */
extern bool mt_oplog_entry_is_initial(MtSlice bson);

#endif							/* MT_OPLOG_ENTRY_H */
