/*
 * oplog_operation.h
 *		Turn one operation, of an entry of its own or of applyOps, into a
 *		change.
 *
 * Transactions are not known here: oplog_transaction.c takes applyOps apart
 * and gives its operations to this room one by one.
 */
#ifndef MT_OPLOG_OPERATION_H
#define MT_OPLOG_OPERATION_H

#include "oplog/byte_buffer.h"
#include "oplog/change.h"
#include "oplog/namespace_filter.h"
#include "oplog/oplog_entry.h"

/* MongoDB's namespaces have at most 255 bytes. */
#define MT_NAMESPACE_MEMO_BYTES 256

typedef struct MtOperationReader
{
	const MtNamespaceFilter *filter;
	bool		skip_migrated;	/* writes and commands with fromMigrate are none */

	/* The last namespace of a write, and whether the filter passes it */
	uint8_t		memo[MT_NAMESPACE_MEMO_BYTES];
	uint32_t	memo_len;		/* 0: none */
	bool		memo_passes;

	/* A command's "db.coll" is put together here: two, used in turn, so that
	 * the last change that passed stays whole while the next one is read. */
	MtByteBuffer names[2];
	int			name_turn;
} MtOperationReader;

/* The commands that are not operations themselves */
typedef enum MtGroupCommand
{
	MT_GROUP_NONE = 0,
	MT_GROUP_APPLY_OPS,
	MT_GROUP_COMMIT,			/* commitTransaction */
	MT_GROUP_ABORT				/* abortTransaction */
} MtGroupCommand;

/* What the entry's command does to a group; MT_GROUP_NONE for other entries. */
extern MtGroupCommand mt_operation_group_command(const MtOplogEntry *entry);

/*
 * Read an operation into change: operation, payload, document key, namespace,
 * entry_bytes, and the flags for fromMigrate, upsert and the key; the rest of
 * change is the caller's.  passes says whether there is a change, that is
 * whether the operation is one and the filter passes it.
 */
extern MtOplogStatus mt_operation_read(MtOperationReader *reader, const MtOplogEntry *entry,
									   MtChange *change, bool *passes, MtOplogError *error);

extern void mt_operation_reader_free(MtOperationReader *reader);

#endif							/* MT_OPLOG_OPERATION_H */
