/*
 * document_diff.h
 *		Apply an update of the oplog to a document, byte for byte as MongoDB's
 *		server does, and say what it changed.
 *
 * $v:2 is the diff of MongoDB 4.7 and later (src/mongo/db/update/document_diff*),
 * $v:1 the modifiers $set and $unset of 4.4 and of atomic applyOps.  The
 * grammar and its traps stand in ARCHITECTURE.md.
 */
#ifndef MT_DOCUMENT_DIFF_H
#define MT_DOCUMENT_DIFF_H

#include "oplog/byte_buffer.h"
#include "oplog/bson_walk.h"

/* What one oplog entry may carry of a document: 16 MiB and some slack. */
#define MT_DOCUMENT_MAX_BYTES (16 * 1024 * 1024 + 16 * 1024)

typedef enum MtDiffStatus
{
	MT_DIFF_OK = 0,
	MT_DIFF_CORRUPT_DOCUMENT,	/* the pre-image is not BSON */
	MT_DIFF_MALFORMED,			/* the diff is not what the grammar allows */
	MT_DIFF_TOO_DEEP,			/* more than MT_BSON_MAX_DEPTH levels */
	MT_DIFF_TOO_LARGE,			/* the result is over MT_DOCUMENT_MAX_BYTES */
	MT_DIFF_OUT_OF_MEMORY
} MtDiffStatus;

/* A text for the status: lower case, no period. */
extern const char *mt_diff_status_text(MtDiffStatus status);

/*
 * Apply a $v:2 docdiff (the value of "diff") to pre, appending the post-image
 * to post.  On failure post is as it was.
 */
extern MtDiffStatus mt_document_diff_apply(MtSlice pre, MtSlice diff, MtByteBuffer *post);

/*
 * Apply $v:1 modifiers ({$v, $set, $unset}) to pre, appending to post.  A path
 * that pre has no place for (through a scalar, say) is passed over, as a
 * secondary does.  On failure post is as it was.
 */
extern MtDiffStatus mt_document_modifiers_apply(MtSlice pre, MtSlice modifiers, MtByteBuffer *post);

#endif							/* MT_DOCUMENT_DIFF_H */
