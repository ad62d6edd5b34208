/*
 * collection_range.c
 *		Ranges of _id that several processes read in turn.
 *
 * A find's min and max are places in the index on _id, whose order knows all
 * types: numbers, strings, ObjectIds and whatever else a collection mixes lie in
 * exactly one range.  ($gt and $lt would not do: they match values of their own
 * operand's type only.)  An _id never changes, so a document that comes, goes or
 * changes while the ranges are read is still in one of them.
 *
 * A find without max ends before MaxKey, which is also a value that an _id may
 * have: the last range of all is that one value.
 *
 * To read by the index costs MongoDB about three times what reading a collection
 * from end to end does.  That pays where MongoDB has processors to spare and the
 * rows are dear here: when conditions that cannot be sent, or conversions, take
 * most of the time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "compat.h"
#include "condition/bson_build.h"
#include "fdw/collection_plan.h"
#include "fdw/collection_range.h"

/* Fetching a document by the index on _id, over reading it where it lies, in
 * units of cpu_tuple_cost. */
#define RANGE_FACTOR 25.0

/* Documents of the sample for each divider, so that ranges are of like size. */
#define SAMPLE_FACTOR 8

/* {_id: MaxKey} */
static const uint8 greatest_bytes[] = {10, 0, 0, 0, 0x7F, '_', 'i', 'd', 0, 0};
static const MtSlice greatest_id = {greatest_bytes, sizeof greatest_bytes};

struct MtIdRanges
{
	pg_atomic_uint32 next;		/* range to be taken */
	uint32		n_dividers;		/* one less than ranges, but for that of MaxKey */
	slock_t		mutex;			/* of counts */
	MtReadCounts counts;
	uint32		offsets[FLEXIBLE_ARRAY_MEMBER]; /* of the dividers, from the struct's start, and of their end */
};

/* ---- planning ---- */

/* An index on _id in which strings stand by their bytes. */
static bool
has_id_index(const MtCollectionFacts *facts)
{
	ListCell   *cell;

	foreach(cell, facts->indexes)
	{
		const MtCollectionIndex *index = lfirst(cell);

		if (index->n_fields == 1 && strcmp(index->fields[0].path, "_id") == 0 && !index->fields[0].is_hashed &&
			!index->fields[0].descends && !index->has_collation && !index->is_wildcard)
			return true;
	}
	return false;
}

/* How many processes' work the workers and the leader do, as the planner has it. */
static double
divisor_of(int workers)
{
	double		leader = parallel_leader_participation ? 1.0 - 0.3 * workers : 0;

	return workers + Max(leader, 0);
}

void
mt_collection_partial_path(PlannerInfo *root, RelOptInfo *baserel)
{
	MtCollectionRel *known = baserel->fdw_private;
	const MtCollectionFacts *facts = known->statistics->facts;
	MtFindCost	cost;
	ForeignPath *path;
	Cost		sending;
	Cost		working;
	double		divisor;
	int			workers;

	if (!baserel->consider_parallel || !known->pushdown.parallel || !bms_is_empty(baserel->lateral_relids) ||
		known->has_pipeline || facts->documents < 0 || facts->is_view || facts->is_time_series ||
		!has_id_index(facts))
		return;
	workers = compute_parallel_worker(baserel, facts->documents * known->statistics->document_bytes / BLCKSZ, -1,
									  max_parallel_workers_per_gather);
	if (workers <= 0)
		return;
	cost = mt_collection_find_cost(root, baserel, NULL);
	divisor = divisor_of(workers);
	/* what it costs to send a document is the network's, which all share */
	sending = cost.documents * known->statistics->document_cost;
	working = cost.total - cost.startup - sending + facts->documents * RANGE_FACTOR * cpu_tuple_cost;
	cost.startup += known->statistics->find_cost;	/* the sample */
	cost.total = cost.startup + sending + working / divisor;
	path = mt_compat_foreignscan_path(root, baserel, clamp_row_est(cost.rows / divisor), cost.startup, cost.total,
									  NIL, NULL, NIL);
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(baserel, (Path *) path);
}

/* ---- dividing ---- */

/* {aggregate: ..., pipeline: [{$sample: {size: n}}, {$project: {_id: 1}}, {$sort: {_id: 1}}]}: in the
 * collection's own order of strings, which is its index's. */
static MtSlice
sample_command(const char *collection, int n)
{
	StringInfoData buffer;
	MtSlice		command;
	int			document;
	int			pipeline;
	int			stage;
	int			body;

	initStringInfo(&buffer);
	document = mt_build_begin(&buffer);
	mt_build_text(&buffer, "aggregate", collection);
	pipeline = mt_build_begin_named(&buffer, MT_BSON_ARRAY, "pipeline");
	stage = mt_build_begin_indexed(&buffer, 0);
	body = mt_build_begin_named(&buffer, MT_BSON_DOCUMENT, "$sample");
	mt_build_int64(&buffer, "size", n);
	mt_build_end(&buffer, body);
	mt_build_end(&buffer, stage);
	for (int i = 1; i <= 2; i++)
	{
		stage = mt_build_begin_indexed(&buffer, i);
		body = mt_build_begin_named(&buffer, MT_BSON_DOCUMENT, i == 1 ? "$project" : "$sort");
		mt_build_name(&buffer, MT_BSON_INT32, "_id");
		mt_build_le32(&buffer, 1);
		mt_build_end(&buffer, body);
		mt_build_end(&buffer, stage);
	}
	mt_build_end(&buffer, pipeline);
	mt_build_end(&buffer, document);
	command.data = (const uint8 *) buffer.data;
	command.len = (uint32) buffer.len;
	return command;
}

static bool
slices_equal(MtSlice a, MtSlice b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

List *
mt_ranges_divide(const MtCollectionName *name, const MtReadOptions *options, int n)
{
	MtCollectionReader *reader = mt_collection_reader_create(name, options, NULL);
	List	   *dividers = NIL;
	MtSlice		document;
	int			i = 0;

	mt_collection_reader_run(reader, sample_command(name->collection, n * SAMPLE_FACTOR));
	while (mt_collection_reader_next(reader, &document))
	{
		MtSlice    *divider;
		uint8	   *data;

		/* one document may be drawn twice; and no range begins with the greatest */
		if (++i % SAMPLE_FACTOR != 0 || slices_equal(document, greatest_id) ||
			(dividers != NIL && slices_equal(*(MtSlice *) llast(dividers), document)))
			continue;
		data = palloc(document.len);
		memcpy(data, document.data, document.len);
		divider = palloc(sizeof *divider);
		divider->data = data;
		divider->len = document.len;
		dividers = lappend(dividers, divider);
	}
	mt_collection_reader_end(reader);
	return dividers;
}

/* ---- sharing ---- */

static Size
offsets_end(int n_dividers)
{
	return offsetof(MtIdRanges, offsets) + sizeof(uint32) * (n_dividers + 1);
}

Size
mt_ranges_bytes(List *dividers)
{
	Size		bytes = offsets_end(list_length(dividers));
	ListCell   *cell;

	foreach(cell, dividers)
		bytes += ((MtSlice *) lfirst(cell))->len;
	return bytes;
}

void
mt_ranges_init(MtIdRanges *ranges, List *dividers)
{
	Size		end = offsets_end(list_length(dividers));
	ListCell   *cell;
	int			i = 0;

	memset(ranges, 0, sizeof *ranges);
	pg_atomic_init_u32(&ranges->next, 0);
	SpinLockInit(&ranges->mutex);
	ranges->n_dividers = list_length(dividers);
	foreach(cell, dividers)
	{
		MtSlice    *divider = lfirst(cell);

		ranges->offsets[i++] = (uint32) end;
		memcpy((char *) ranges + end, divider->data, divider->len);
		end += divider->len;
	}
	ranges->offsets[i] = (uint32) end;
}

static MtSlice
divider_at(const MtIdRanges *ranges, uint32 n)
{
	MtSlice		divider = {(const uint8 *) ranges + ranges->offsets[n], ranges->offsets[n + 1] - ranges->offsets[n]};

	return divider;
}

bool
mt_ranges_take(MtIdRanges *ranges, MtIdRange *range)
{
	uint32		n = pg_atomic_fetch_add_u32(&ranges->next, 1);

	memset(range, 0, sizeof *range);
	if (n == ranges->n_dividers + 1 && n > 1)
	{
		range->filter = greatest_id;
		return true;
	}
	if (n > ranges->n_dividers)
	{
		pg_atomic_fetch_sub_u32(&ranges->next, 1);	/* so that it never wraps */
		return false;
	}
	if (n > 0)
		range->min = divider_at(ranges, n - 1);
	if (n < ranges->n_dividers)
		range->max = divider_at(ranges, n);
	return true;
}

void
mt_ranges_restart(MtIdRanges *ranges)
{
	pg_atomic_write_u32(&ranges->next, 0);
}

void
mt_ranges_add_counts(MtIdRanges *ranges, MtReadCounts counts)
{
	SpinLockAcquire(&ranges->mutex);
	mt_read_counts_add(&ranges->counts, &counts);
	SpinLockRelease(&ranges->mutex);
}

MtReadCounts
mt_ranges_counts(MtIdRanges *ranges)
{
	MtReadCounts counts;

	SpinLockAcquire(&ranges->mutex);
	counts = ranges->counts;
	SpinLockRelease(&ranges->mutex);
	return counts;
}
