/*
 * oplog_transaction.c
 *		Unfold oplog entries into changes.
 *
 * A group is what one applyOps entry, or one chain of them, holds.  Its life:
 *
 *		partialTxn ... partialTxn  applyOps                       decided by applyOps
 *		partialTxn ... prepare     ...  commitTransaction         decided by the commit
 *		partialTxn ... prepare     ...  abortTransaction          never
 *
 * each linked to the one before it by prevOpTime.  Nothing happens before the
 * deciding entry.  Then the chain is walked back to its first entry, by exact
 * ts, and its operations are delivered forward, oldest first.  The walk keeps
 * the entries that it reads as long as they fit into transaction_memory; the
 * others are read a second time on the way forward, one at a time.
 *
 * The last change of a group that passes the filter is marked.  Which one it
 * is shows only when the group ends, so that one change is held back, by its
 * slices: whatever they point into stays until the next change takes its
 * place.  That is why an entry that is read again goes into one of two
 * buffers, the one that the change held back does not need.
 */
#include "oplog/oplog_transaction.h"

#include <inttypes.h>

#include "oplog/oplog_operation.h"

/* applyOps within applyOps.  A level takes three levels of BSON, so that no
 * document that MongoDB accepts is deeper. */
#define MT_APPLY_OPS_MAX_DEPTH (MT_BSON_MAX_DEPTH / 3)

#define MT_NO_SPARE (-1)

/* An earlier entry of a chain */
typedef struct MtChainLink
{
	uint64_t	ts;
	MtByteBuffer bytes;			/* empty: to be read again */
} MtChainLink;

struct MtUnfolder
{
	MtUnfoldOptions options;
	MtOperationReader reader;

	/* The group in hand; empty between two entries */
	MtChainLink *links;			/* newest first */
	size_t		n_links;
	size_t		links_capacity;
	MtByteBuffer spare[2];
	int			spare_in_use;	/* that the operations now read lie in, or MT_NO_SPARE */
	bool		holding;
	MtChange	held;			/* passed, and not yet delivered */
	int			held_spare;		/* that held points into, or MT_NO_SPARE */
	uint8_t		transaction_id[MT_TRANSACTION_ID_BYTES];
};

/* What all changes of a group share, and how many operations it had so far */
typedef struct MtGroup
{
	const MtOplogEntry *decider;
	uint64_t	visible_time;
	MtSlice		transaction_id;
	uint32_t	index;
} MtGroup;

/* The o of an applyOps entry */
typedef struct MtApplyOps
{
	MtSlice		operations;		/* array */
	int64_t		count;			/* operations of the whole transaction; valid if has_count */
	bool		has_count;
	bool		partial;
	bool		prepare;
	bool		upsert;			/* updates insert what they do not find */
} MtApplyOps;

/* An earlier entry, parsed */
typedef struct MtChainEntry
{
	MtOplogEntry entry;
	MtApplyOps	apply_ops;
} MtChainEntry;

#define MT_TS_FORMAT "%" PRIu32 ".%" PRIu32
#define MT_TS_ARGS(ts) (uint32_t) ((ts) >> 32), (uint32_t) (ts)

MtUnfolder *
mt_unfolder_new(const MtUnfoldOptions *options)
{
	MtUnfolder *unfolder = calloc(1, sizeof *unfolder);

	if (unfolder == NULL)
		return NULL;
	unfolder->options = *options;
	unfolder->reader.filter = options->filter;
	unfolder->reader.skip_migrated = options->is_shard && !options->include_migrate;
	unfolder->spare_in_use = MT_NO_SPARE;
	unfolder->held_spare = MT_NO_SPARE;
	return unfolder;
}

/* Forget the group, and give back what it took. */
static void
mt_unfolder_end_group(MtUnfolder *unfolder)
{
	for (size_t i = 0; i < unfolder->n_links; i++)
		mt_byte_buffer_free(&unfolder->links[i].bytes);
	free(unfolder->links);
	unfolder->links = NULL;
	unfolder->n_links = 0;
	unfolder->links_capacity = 0;
	mt_byte_buffer_free(&unfolder->spare[0]);
	mt_byte_buffer_free(&unfolder->spare[1]);
	unfolder->spare_in_use = MT_NO_SPARE;
	unfolder->held_spare = MT_NO_SPARE;
	unfolder->holding = false;
}

void
mt_unfolder_free(MtUnfolder *unfolder)
{
	if (unfolder == NULL)
		return;
	mt_unfolder_end_group(unfolder);
	mt_operation_reader_free(&unfolder->reader);
	free(unfolder);
}

/* ---- applyOps, as a document ---- */

/* What the server takes for true */
static bool
mt_element_is_true(const MtElement *e)
{
	switch (e->type)
	{
		case MT_BSON_BOOL:
			return e->value[0] != 0;
		case MT_BSON_INT32:
			return mt_le32(e->value) != 0;
		case MT_BSON_INT64:
			return mt_le64(e->value) != 0;
		case MT_BSON_DOUBLE:
			return mt_le_double(e->value) != 0;
		default:
			return e->type != MT_BSON_NULL && e->type != MT_BSON_UNDEFINED;
	}
}

static void
mt_apply_ops_take_count(const MtElement *e, MtApplyOps *apply_ops)
{
	apply_ops->has_count = e->type == MT_BSON_INT32 || e->type == MT_BSON_INT64;
	if (apply_ops->has_count)
		apply_ops->count = e->type == MT_BSON_INT32 ?
			(int32_t) mt_le32(e->value) : (int64_t) mt_le64(e->value);
}

/*
 * Parse the o of applyOps.  A user's command is logged as it was sent, "$db"
 * included, and the server then took a missing alwaysUpsert for true (seen on
 * 6.0.5); the server's own applyOps never upsert without saying so.
 */
static MtOplogStatus
mt_apply_ops_parse(MtSlice o, MtApplyOps *apply_ops, MtOplogError *error)
{
	MtWalk		walk;
	MtElement	e;
	MtWalkResult result;
	bool		sent_by_user = false;
	bool		says_upsert = false;

	memset(apply_ops, 0, sizeof *apply_ops);
	if (!mt_walk_begin(&walk, o))
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "the o of applyOps is not a BSON document");
	while ((result = mt_walk_next(&walk, &e)) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&e, "applyOps") && e.type == MT_BSON_ARRAY)
			apply_ops->operations = mt_element_value(&e);
		else if (MT_ELEMENT_IS(&e, "partialTxn"))
			apply_ops->partial = mt_element_is_true(&e);
		else if (MT_ELEMENT_IS(&e, "prepare"))
			apply_ops->prepare = mt_element_is_true(&e);
		else if (MT_ELEMENT_IS(&e, "count"))
			mt_apply_ops_take_count(&e, apply_ops);
		else if (MT_ELEMENT_IS(&e, "alwaysUpsert"))
		{
			says_upsert = true;
			apply_ops->upsert = mt_element_is_true(&e);
		}
		else if (MT_ELEMENT_IS(&e, "$db"))
			sent_by_user = true;
	}
	if (result == MT_WALK_CORRUPT)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "the o of applyOps is corrupt BSON");
	if (apply_ops->operations.len == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "applyOps is not an array");
	if (sent_by_user && !says_upsert)
		apply_ops->upsert = true;
	return MT_OPLOG_OK;
}

/* ---- delivering ---- */

/* An empty change with what it takes from the entry that decides it; field by
 * field, as mt_entry_clear is. */
static inline void
mt_change_begin(MtChange *change, const MtOplogEntry *decider)
{
	static const MtSlice absent = {NULL, 0};

	change->cluster_time = decider->ts;
	change->visible_time = decider->ts;
	change->index = 0;
	change->operation = MT_OPERATION_NONE;
	change->payload_kind = MT_PAYLOAD_NONE;
	change->flags = 0;
	change->wall_ms = decider->wall_ms;
	change->entry_bytes = 0;
	change->namespace = absent;
	change->document_key = absent;
	change->payload = absent;
	change->full_document = absent;
	change->transaction_id = absent;
}

static MtOplogStatus
mt_unfolder_emit(MtUnfolder *unfolder, const MtChange *change)
{
	return unfolder->options.emit(unfolder->options.context, change) ?
		MT_OPLOG_OK : MT_OPLOG_STOPPED;
}

/* Hold a change of a group back, and deliver the one held before it. */
static MtOplogStatus
mt_unfolder_hold(MtUnfolder *unfolder, const MtChange *change)
{
	MtOplogStatus status = MT_OPLOG_OK;

	if (unfolder->holding)
		status = mt_unfolder_emit(unfolder, &unfolder->held);
	unfolder->held = *change;
	unfolder->held_spare = unfolder->spare_in_use;
	unfolder->holding = true;
	return status;
}

static MtOplogStatus
mt_unfolder_release(MtUnfolder *unfolder)
{
	if (!unfolder->holding)
		return MT_OPLOG_OK;
	unfolder->holding = false;
	unfolder->held.flags |= MT_CHANGE_LAST_IN_GROUP;
	return mt_unfolder_emit(unfolder, &unfolder->held);
}

static MtOplogStatus
mt_unfold_single(MtUnfolder *unfolder, const MtOplogEntry *entry, MtOplogError *error)
{
	MtChange	change;
	bool		passes;
	MtOplogStatus status;

	mt_change_begin(&change, entry);
	status = mt_operation_read(&unfolder->reader, entry, &change, &passes, error);
	if (status != MT_OPLOG_OK || !passes)
		return status;
	return mt_unfolder_emit(unfolder, &change);
}

static MtOplogStatus
mt_unfold_operations(MtUnfolder *unfolder, MtGroup *group, const MtApplyOps *apply_ops, int depth,
					 MtOplogError *error);

/* One operation of applyOps, which may be applyOps itself. */
static MtOplogStatus
mt_unfold_operation(MtUnfolder *unfolder, MtGroup *group, MtSlice bson, bool upsert, int depth,
					MtOplogError *error)
{
	MtOplogEntry entry;
	MtChange	change;
	MtApplyOps	nested;
	bool		passes;
	MtOplogStatus status = mt_oplog_entry_parse_inner(bson, &entry, error);

	if (status != MT_OPLOG_OK)
		return status;
	entry.upsert |= upsert;
	switch (mt_operation_group_command(&entry))
	{
		case MT_GROUP_APPLY_OPS:
			status = mt_apply_ops_parse(entry.o, &nested, error);
			nested.upsert |= upsert;
			return status != MT_OPLOG_OK ? status :
				mt_unfold_operations(unfolder, group, &nested, depth + 1, error);
		case MT_GROUP_COMMIT:
		case MT_GROUP_ABORT:
			return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "applyOps holds the end of a transaction");
		case MT_GROUP_NONE:
			break;
	}
	mt_change_begin(&change, group->decider);
	change.visible_time = group->visible_time;
	change.transaction_id = group->transaction_id;
	change.flags = MT_CHANGE_IN_GROUP;
	change.index = group->index++;
	entry.from_migrate |= group->decider->from_migrate;
	status = mt_operation_read(&unfolder->reader, &entry, &change, &passes, error);
	if (status != MT_OPLOG_OK || !passes)
		return status;
	return mt_unfolder_hold(unfolder, &change);
}

/* All operations of one applyOps, which the group counts on. */
static MtOplogStatus
mt_unfold_operations(MtUnfolder *unfolder, MtGroup *group, const MtApplyOps *apply_ops, int depth,
					 MtOplogError *error)
{
	MtWalk		walk;
	MtElement	e;
	MtWalkResult result;

	if (depth > MT_APPLY_OPS_MAX_DEPTH)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "applyOps is nested deeper than %d levels",
							 MT_APPLY_OPS_MAX_DEPTH);
	if (!mt_walk_begin(&walk, apply_ops->operations))
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "applyOps is not a BSON array");
	while ((result = mt_walk_next(&walk, &e)) == MT_WALK_ELEMENT)
	{
		MtOplogStatus status;

		if (e.type != MT_BSON_DOCUMENT)
			return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "operation %" PRIu32 " of applyOps is not a document",
								 group->index);
		status = mt_unfold_operation(unfolder, group, mt_element_value(&e), apply_ops->upsert,
									 depth, error);
		if (status != MT_OPLOG_OK)
			return status;
	}
	if (result == MT_WALK_CORRUPT)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "applyOps is corrupt BSON after operation %" PRIu32,
							 group->index);
	return MT_OPLOG_OK;
}

/* ---- transactions ---- */

/*
 * lsid.id and txnNumber, as the ring has them; absent when the entry belongs
 * to no session.  id is the memory for it.
 */
static MtOplogStatus
mt_transaction_id(const MtOplogEntry *entry, uint8_t *id, MtSlice *transaction_id,
				  MtOplogError *error)
{
	MtElement	e;
	uint64_t	number = (uint64_t) entry->txn_number;

	transaction_id->data = NULL;
	transaction_id->len = 0;
	if (entry->lsid.len == 0 || !entry->has_txn_number)
		return MT_OPLOG_OK;
	if (mt_bson_find(entry->lsid, "id", 2, &e) != MT_WALK_ELEMENT ||
		e.type != MT_BSON_BINARY || e.value_len != 5 + 16)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "lsid has no id of 16 bytes");
	memcpy(id, e.value + 5, 16);
	for (int i = 0; i < 8; i++)
		id[16 + i] = (uint8_t) (number >> (8 * i));
	transaction_id->data = id;
	transaction_id->len = MT_TRANSACTION_ID_BYTES;
	return MT_OPLOG_OK;
}

/*
 * Parse an earlier entry of the group's chain, and require that it is one.
 * prepared: it is the last entry of a prepared transaction.
 */
static MtOplogStatus
mt_chain_parse(const MtGroup *group, uint64_t ts, bool prepared, const MtByteBuffer *bytes,
			   MtChainEntry *earlier, MtOplogError *error)
{
	uint8_t		id[MT_TRANSACTION_ID_BYTES];
	MtSlice		transaction_id;
	MtSlice		bson = {bytes->data, (uint32_t) bytes->len};
	MtOplogStatus status = mt_oplog_entry_parse(bson, &earlier->entry, error);

	if (status != MT_OPLOG_OK)
		return status;
	if (earlier->entry.ts != ts)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED,
							 "asked for entry " MT_TS_FORMAT " of the transaction, got " MT_TS_FORMAT,
							 MT_TS_ARGS(ts), MT_TS_ARGS(earlier->entry.ts));
	if (mt_operation_group_command(&earlier->entry) != MT_GROUP_APPLY_OPS)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED,
							 "prevOpTime leads to entry " MT_TS_FORMAT ", which is no applyOps",
							 MT_TS_ARGS(ts));
	status = mt_apply_ops_parse(earlier->entry.o, &earlier->apply_ops, error);
	if (status == MT_OPLOG_OK)
		status = mt_transaction_id(&earlier->entry, id, &transaction_id, error);
	if (status != MT_OPLOG_OK)
		return status;
	if (transaction_id.len != group->transaction_id.len ||
		(transaction_id.len > 0 && memcmp(id, group->transaction_id.data, transaction_id.len) != 0))
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED,
							 "prevOpTime leads to entry " MT_TS_FORMAT " of another transaction",
							 MT_TS_ARGS(ts));
	if (prepared ? !earlier->apply_ops.prepare : !earlier->apply_ops.partial)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "entry " MT_TS_FORMAT " of the transaction is not %s",
							 MT_TS_ARGS(ts), prepared ? "prepared" : "partial");
	return MT_OPLOG_OK;
}

static MtOplogStatus
mt_unfolder_fetch(MtUnfolder *unfolder, uint64_t ts, MtByteBuffer *bytes, MtOplogError *error)
{
	bytes->len = 0;
	switch (unfolder->options.fetch(unfolder->options.context, ts, bytes))
	{
		case MT_FETCH_FOUND:
			if (bytes->len <= UINT32_MAX)
				return MT_OPLOG_OK;
			return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "entry " MT_TS_FORMAT " of the transaction is too large",
								 MT_TS_ARGS(ts));
		case MT_FETCH_MISSING:
			return mt_oplog_fail(error, MT_OPLOG_HISTORY_LOST,
								 "entry " MT_TS_FORMAT " of the transaction is no longer in the oplog",
								 MT_TS_ARGS(ts));
		case MT_FETCH_FAILED:
			break;
	}
	return mt_oplog_fail(error, MT_OPLOG_FETCH_FAILED, "could not read entry " MT_TS_FORMAT " of the transaction",
						 MT_TS_ARGS(ts));
}

static MtChainLink *
mt_unfolder_push_link(MtUnfolder *unfolder, uint64_t ts)
{
	MtChainLink *link;

	if (unfolder->n_links == unfolder->links_capacity)
	{
		size_t		capacity = unfolder->links_capacity ? unfolder->links_capacity * 2 : 8;
		MtChainLink *links = realloc(unfolder->links, capacity * sizeof *links);

		if (links == NULL)
			return NULL;
		unfolder->links = links;
		unfolder->links_capacity = capacity;
	}
	link = &unfolder->links[unfolder->n_links++];
	memset(link, 0, sizeof *link);
	link->ts = ts;
	return link;
}

/*
 * Walk the chain back from the deciding entry, and keep what fits.  Each step
 * must lead to an earlier ts, so that the walk ends.  count is that of the
 * prepare entry, if there is one.
 */
static MtOplogStatus
mt_unfolder_walk_back(MtUnfolder *unfolder, const MtGroup *group, bool prepared, MtApplyOps *last,
					  MtOplogError *error)
{
	uint64_t	later = group->decider->ts;
	uint64_t	ts = group->decider->prev_ts;
	size_t		kept = 0;
	MtByteBuffer *fetched = &unfolder->spare[0];
	MtChainEntry earlier;

	while (ts != 0)
	{
		bool		first = unfolder->n_links == 0;
		MtChainLink *link;
		MtOplogStatus status;

		if (ts >= later)
			return mt_oplog_fail(error, MT_OPLOG_MALFORMED,
								 "prevOpTime of entry " MT_TS_FORMAT " leads to " MT_TS_FORMAT ", which is not earlier",
								 MT_TS_ARGS(later), MT_TS_ARGS(ts));
		status = mt_unfolder_fetch(unfolder, ts, fetched, error);
		if (status == MT_OPLOG_OK)
			status = mt_chain_parse(group, ts, prepared && first, fetched, &earlier, error);
		if (status != MT_OPLOG_OK)
			return status;
		link = mt_unfolder_push_link(unfolder, ts);
		if (link == NULL)
			return mt_oplog_fail(error, MT_OPLOG_OUT_OF_MEMORY, "out of memory");
		if (prepared && first)
			*last = earlier.apply_ops;
		if (fetched->capacity <= unfolder->options.transaction_memory - kept)
		{
			kept += fetched->capacity;
			link->bytes = *fetched;
			memset(fetched, 0, sizeof *fetched);
		}
		later = ts;
		ts = earlier.entry.prev_ts;
	}
	return MT_OPLOG_OK;
}

/* Deliver the operations of the earlier entries, oldest first. */
static MtOplogStatus
mt_unfolder_deliver_chain(MtUnfolder *unfolder, MtGroup *group, bool prepared, MtOplogError *error)
{
	for (size_t i = unfolder->n_links; i-- > 0;)
	{
		MtChainLink *link = &unfolder->links[i];
		const MtByteBuffer *bytes = &link->bytes;
		MtChainEntry earlier;
		MtOplogStatus status = MT_OPLOG_OK;

		unfolder->spare_in_use = MT_NO_SPARE;
		if (bytes->len == 0)
		{
			unfolder->spare_in_use = unfolder->holding && unfolder->held_spare == 0 ? 1 : 0;
			bytes = &unfolder->spare[unfolder->spare_in_use];
			status = mt_unfolder_fetch(unfolder, link->ts, &unfolder->spare[unfolder->spare_in_use], error);
		}
		if (status == MT_OPLOG_OK)
			status = mt_chain_parse(group, link->ts, prepared && i == 0, bytes, &earlier, error);
		if (status == MT_OPLOG_OK)
			status = mt_unfold_operations(unfolder, group, &earlier.apply_ops, 1, error);
		if (status != MT_OPLOG_OK)
			return status;
	}
	unfolder->spare_in_use = MT_NO_SPARE;
	return MT_OPLOG_OK;
}

/*
 * Deliver a decided group: the chain behind its deciding entry, then last, the
 * applyOps of the deciding entry itself or, of a prepared transaction, none.
 */
static MtOplogStatus
mt_unfold_group(MtUnfolder *unfolder, MtGroup *group, bool chained, bool prepared,
				MtApplyOps *last, MtOplogError *error)
{
	MtOplogStatus status = MT_OPLOG_OK;

	if (chained)
		status = mt_unfolder_walk_back(unfolder, group, prepared, last, error);
	if (status == MT_OPLOG_OK)
		status = mt_unfolder_deliver_chain(unfolder, group, prepared, error);
	if (status == MT_OPLOG_OK && !prepared)
		status = mt_unfold_operations(unfolder, group, last, 1, error);
	if (status == MT_OPLOG_OK && chained && last->has_count && last->count != (int64_t) group->index)
		status = mt_oplog_fail(error, MT_OPLOG_MALFORMED,
							 "the transaction has %" PRIu32 " operations where its count says %" PRId64,
							   group->index, last->count);
	if (status == MT_OPLOG_OK)
		status = mt_unfolder_release(unfolder);
	mt_unfolder_end_group(unfolder);
	return status;
}

/*
 * An applyOps entry.  multiOpType says that it is no part of a transaction:
 * its prevOpTime then leads to an earlier statement of a retryable write.
 * Type 1 always means that; a later type may link entries, and then has the
 * count that the last entry of a chain carries.
 */
static MtOplogStatus
mt_unfold_apply_ops(MtUnfolder *unfolder, const MtOplogEntry *entry, MtOplogError *error)
{
	MtGroup		group = {entry, entry->ts, {NULL, 0}, 0};
	MtApplyOps	apply_ops;
	bool		stands_alone;
	MtOplogStatus status = mt_apply_ops_parse(entry->o, &apply_ops, error);

	if (status != MT_OPLOG_OK || apply_ops.partial || apply_ops.prepare)
		return status;
	stands_alone = entry->multi_op_type == 1 || (entry->multi_op_type != 0 && !apply_ops.has_count);
	if (!stands_alone)
		status = mt_transaction_id(entry, unfolder->transaction_id, &group.transaction_id, error);
	if (status != MT_OPLOG_OK)
		return status;
	return mt_unfold_group(unfolder, &group, !stands_alone && entry->prev_ts != 0, false,
						   &apply_ops, error);
}

static MtOplogStatus
mt_unfold_commit(MtUnfolder *unfolder, const MtOplogEntry *entry, MtOplogError *error)
{
	MtGroup		group = {entry, 0, {NULL, 0}, 0};
	MtApplyOps	prepare = {{NULL, 0}, 0, false, false, false, false};
	MtElement	e;
	MtOplogStatus status;

	if (mt_bson_find(entry->o, "commitTimestamp", 15, &e) != MT_WALK_ELEMENT ||
		e.type != MT_BSON_TIMESTAMP || mt_le64(e.value) == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "commitTransaction has no commitTimestamp");
	group.visible_time = mt_le64(e.value);
	if (entry->prev_ts == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "commitTransaction has no prevOpTime");
	status = mt_transaction_id(entry, unfolder->transaction_id, &group.transaction_id, error);
	if (status != MT_OPLOG_OK)
		return status;
	return mt_unfold_group(unfolder, &group, true, true, &prepare, error);
}

MtOplogStatus
mt_unfolder_feed(MtUnfolder *unfolder, MtSlice bson, MtOplogError *error)
{
	MtOplogEntry entry;
	MtOplogStatus status = mt_oplog_entry_parse(bson, &entry, error);

	if (status != MT_OPLOG_OK)
		return status;
	switch (mt_operation_group_command(&entry))
	{
		case MT_GROUP_APPLY_OPS:
			status = mt_unfold_apply_ops(unfolder, &entry, error);
			break;
		case MT_GROUP_COMMIT:
			status = mt_unfold_commit(unfolder, &entry, error);
			break;
		case MT_GROUP_ABORT:
			break;
		case MT_GROUP_NONE:
			status = mt_unfold_single(unfolder, &entry, error);
			break;
	}
	if (status != MT_OPLOG_OK)
		error->cluster_time = entry.ts;
	return status;
}
