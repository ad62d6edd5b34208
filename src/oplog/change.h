/*
 * change.h
 *		One change of MongoDB, as every room passes it on.
 *
 * The same struct describes a change that was just unfolded from an oplog
 * entry and one that was read from a ring: all slices are borrowed, from the
 * driver's batch or from the reader's buffer, and live as long as those.
 *
 * The names of the operations are those of MongoDB's change events
 * (mongodb.com/docs/manual/reference/change-events), and "unknown".
 */
#ifndef MT_CHANGE_H
#define MT_CHANGE_H

#include "oplog/bson_walk.h"

typedef enum MtOperation
{
	MT_OPERATION_NONE = 0,
	MT_OPERATION_INSERT,
	MT_OPERATION_UPDATE,
	MT_OPERATION_REPLACE,
	MT_OPERATION_DELETE,
	MT_OPERATION_DROP,
	MT_OPERATION_DROP_DATABASE,
	MT_OPERATION_RENAME,
	MT_OPERATION_CREATE,
	MT_OPERATION_CREATE_INDEXES,	/* createIndexes, commitIndexBuild */
	MT_OPERATION_START_INDEX_BUILD,
	MT_OPERATION_ABORT_INDEX_BUILD,
	MT_OPERATION_DROP_INDEXES,
	MT_OPERATION_MODIFY,		/* collMod */
	MT_OPERATION_EMPTY_CAPPED,
	MT_OPERATION_CONVERT_TO_CAPPED,
	MT_OPERATION_IMPORT_COLLECTION,
	MT_OPERATION_TRUNCATE_RANGE,
	MT_OPERATION_UNKNOWN,
	MT_OPERATION_COUNT
} MtOperation;

/* What MtChange.payload holds. */
typedef enum MtPayloadKind
{
	MT_PAYLOAD_NONE = 0,		/* delete */
	MT_PAYLOAD_DOCUMENT,		/* insert, replace: the full document */
	MT_PAYLOAD_DIFF_V2,			/* update: the docdiff itself, without {$v, diff} around it */
	MT_PAYLOAD_MODIFIERS_V1,	/* update: {$v:1, $set, $unset} */
	MT_PAYLOAD_COMMAND,			/* the entry's o */
	MT_PAYLOAD_ENTRY			/* unknown: the whole oplog entry (or inner operation) */
} MtPayloadKind;

/* MtChange.flags */
#define MT_CHANGE_FROM_MIGRATE	0x01	/* written by a chunk migration or a capped copy */
#define MT_CHANGE_UPSERT		0x02	/* an update of applyOps with b or alwaysUpsert */
#define MT_CHANGE_KEY_ELEMENT	0x04	/* document_key is one raw element {_id}, not a document:
										 * before 6.0 an insert entry has no o2 */
#define MT_CHANGE_BY_REFERENCE	0x08	/* in a ring only: too large, all slices but the namespace
										 * are empty; read the entry from the oplog */
#define MT_CHANGE_IN_GROUP		0x10	/* part of an atomic applyOps group */
#define MT_CHANGE_LAST_IN_GROUP 0x20	/* the group's last change that passed the filter */
#define MT_CHANGE_LOOKED_UP		0x40	/* full_document was looked up (it may be absent still) */

/* transaction_id on the wire of the ring: 16 bytes of lsid.id, then the
 * txnNumber as little-endian int64. */
#define MT_TRANSACTION_ID_BYTES 24

#define MT_NO_WALL_TIME INT64_MIN

typedef struct MtChange
{
	uint64_t	cluster_time;	/* ts (seconds << 32 | increment) of the entry that decides it */
	uint64_t	visible_time;	/* commitTimestamp of a prepared transaction, else cluster_time:
								 * oplog.md fact 10 */
	uint32_t	index;			/* in the entry, or in the whole unfiltered transaction, from 0 */
	uint8_t		operation;		/* MtOperation */
	uint8_t		payload_kind;	/* MtPayloadKind */
	uint16_t	flags;
	int64_t		wall_ms;		/* primary's wall clock, ms since 1970, or MT_NO_WALL_TIME */
	uint32_t	entry_bytes;	/* size of the oplog entry (of the inner operation, in a group) */
	MtSlice		namespace;		/* "db.coll", or "db" alone for dropDatabase; no NUL */
	MtSlice		document_key;	/* BSON document, or see MT_CHANGE_KEY_ELEMENT; may be absent */
	MtSlice		payload;		/* BSON */
	MtSlice		full_document;	/* BSON, looked up; absent otherwise */
	MtSlice		transaction_id; /* MT_TRANSACTION_ID_BYTES, or absent */
} MtChange;

/* The name of an operation in SQL and in MongoDB, "insert"; never NULL. */
extern const char *mt_operation_name(MtOperation operation);

/* The operation of that name, MT_OPERATION_NONE when there is none. */
extern MtOperation mt_operation_from_name(const char *name);

/* Split "db.coll" at its first dot; collection is absent when there is none. */
static inline void
mt_namespace_split(MtSlice namespace, MtSlice *database, MtSlice *collection)
{
	const uint8_t *dot = namespace.len ? memchr(namespace.data, '.', namespace.len) : NULL;

	*database = namespace;
	collection->data = NULL;
	collection->len = 0;
	if (dot != NULL)
	{
		database->len = (uint32_t) (dot - namespace.data);
		collection->data = dot + 1;
		collection->len = namespace.len - database->len - 1;
	}
}

#endif							/* MT_CHANGE_H */
