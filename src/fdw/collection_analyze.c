/*
 * collection_analyze.c
 *		ANALYZE of a collection's table: a sample of its rows.
 *
 * MongoDB finds a small sample by random steps in the collection; one of more
 * than a twentieth it takes by reading and sorting all of it, and then it is
 * better to read all of it here and to keep a part.  That is also the way to
 * learn how large a view is, or what a filter or pipeline leaves.
 *
 * A value that does not fit its column counts as NULL: statistics are
 * estimates, and one odd document shall not stand in their way.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#include "base/collection_facts.h"
#include "condition/bson_build.h"
#include "fdw/collection_analyze.h"
#include "fdw/collection_query.h"
#include "fdw/collection_row.h"

/* The part of a collection beyond which MongoDB sorts all of it for a sample. */
#define MAX_RANDOM_FRACTION 0.05

typedef struct Sampler
{
	TupleDesc	descriptor;
	MtCollectionName *name;
	MtCollectionColumn *columns;
	MtReadOptions *options;
	MtCollectionRow *row;
	MtCollectionReader *reader;
	TupleTableSlot *slot;
	MemoryContext one;			/* of one row's values */
	HeapTuple  *rows;
	int			n_rows;
	int			max_rows;
} Sampler;

static void
sampler_init(Sampler *sampler, Relation relation, const MtTableOptions *table)
{
	TupleDesc	descriptor = RelationGetDescr(relation);
	Bitmapset  *wanted = descriptor->natts > 0 ? bms_add_range(NULL, 1, descriptor->natts) : NULL;

	sampler->descriptor = descriptor;
	sampler->name = mt_collection_name(relation, table, GetUserId());
	sampler->columns = mt_collection_columns(relation, table);
	for (int i = 0; i < descriptor->natts; i++)
		sampler->columns[i].null_on_mismatch = true;
	sampler->options = mt_options_read(table);
	sampler->row = mt_collection_row_create(sampler->columns, descriptor->natts, wanted, sampler->name);
	sampler->reader = mt_collection_reader_create(sampler->name, sampler->options, NULL);
	sampler->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
	sampler->one = AllocSetContextCreate(CurrentMemoryContext, "mongo_tail sample", ALLOCSET_DEFAULT_SIZES);
}

/* The document's row, in the current memory context. */
static HeapTuple
make_row(Sampler *sampler, MtSlice document)
{
	MemoryContext old = MemoryContextSwitchTo(sampler->one);
	HeapTuple	tuple;

	MemoryContextReset(sampler->one);
	mt_collection_row_store(sampler->row, document, sampler->slot);
	MemoryContextSwitchTo(old);
	tuple = heap_form_tuple(sampler->descriptor, sampler->slot->tts_values, sampler->slot->tts_isnull);
	ExecClearTuple(sampler->slot);
	return tuple;
}

/* ---- two ways ---- */

static MtSlice
sample_command(const char *collection, int n)
{
	StringInfoData buffer;
	int			command;
	int			pipeline;
	int			stage;
	int			sample;
	MtSlice		document;

	initStringInfo(&buffer);
	command = mt_build_begin(&buffer);
	mt_build_text(&buffer, "aggregate", collection);
	pipeline = mt_build_begin_named(&buffer, MT_BSON_ARRAY, "pipeline");
	stage = mt_build_begin_indexed(&buffer, 0);
	sample = mt_build_begin_named(&buffer, MT_BSON_DOCUMENT, "$sample");
	mt_build_int64(&buffer, "size", n);
	mt_build_end(&buffer, sample);
	mt_build_end(&buffer, stage);
	mt_build_end(&buffer, pipeline);
	mt_build_end(&buffer, command);
	document.data = (const uint8 *) buffer.data;
	document.len = (uint32) buffer.len;
	return document;
}

/* Take what MongoDB chooses. */
static void
take_sample(Sampler *sampler)
{
	MtSlice		document;

	mt_collection_reader_run(sampler->reader, sample_command(sampler->name->collection, sampler->max_rows));
	while (sampler->n_rows < sampler->max_rows && mt_collection_reader_next(sampler->reader, &document))
	{
		CHECK_FOR_INTERRUPTS();
		sampler->rows[sampler->n_rows++] = make_row(sampler, document);
	}
}

/* Read everything and keep a part, each document as likely as any other;
 * returns how many there were. */
static double
read_all(Sampler *sampler)
{
	MtCollectionQuery query = mt_query_empty(InvalidOid);
	MtQueryTarget target = {sampler->name, sampler->columns, sampler->options, NULL};
	MtQueryProgress progress = {0};
	MtCommand	command = mt_query_command(&query, &target, NULL, progress);
	ReservoirStateData reservoir;
	double		documents = 0;
	double		to_skip = -1;
	MtSlice		document;

	reservoir_init_selection_state(&reservoir, sampler->max_rows);
	mt_collection_reader_run(sampler->reader, command.document);
	while (mt_collection_reader_next(sampler->reader, &document))
	{
		int			place;

		CHECK_FOR_INTERRUPTS();
		documents++;
		if (sampler->n_rows < sampler->max_rows)
		{
			sampler->rows[sampler->n_rows++] = make_row(sampler, document);
			continue;
		}
		if (to_skip < 0)
			to_skip = reservoir_get_next_S(&reservoir, documents - 1, sampler->max_rows);
		if (to_skip-- > 0)
			continue;
		place = (int) (sampler->max_rows * sampler_random_fract(&reservoir.randstate));
		heap_freetuple(sampler->rows[place]);
		sampler->rows[place] = make_row(sampler, document);
		to_skip = -1;
	}
	return documents;
}

/* AcquireSampleRowsFunc */
static int
acquire_rows(Relation relation, int elevel, HeapTuple *rows, int max_rows, double *total_rows,
			 double *total_dead_rows)
{
	MtTableOptions *table = mt_options_table(RelationGetRelid(relation));
	Sampler		sampler = {.rows = rows, .max_rows = max_rows};
	MtCollectionFacts *facts;
	bool		by_random;

	sampler_init(&sampler, relation, table);
	facts = mt_collection_facts(sampler.name, RelationGetRelid(relation));
	by_random = !facts->is_view && !facts->is_time_series && table->filter == NULL && table->pipeline == NULL &&
		max_rows < facts->documents * MAX_RANDOM_FRACTION;
	if (by_random)
	{
		take_sample(&sampler);
		*total_rows = facts->documents;
	}
	else
		*total_rows = read_all(&sampler);
	*total_dead_rows = 0;
	mt_collection_reader_end(sampler.reader);
	ExecDropSingleTupleTableSlot(sampler.slot);
	ereport(elevel,
			(errmsg("\"%s\": %s %.0f documents, %d rows in sample",
					RelationGetRelationName(relation), by_random ? "sampled" : "read", *total_rows, sampler.n_rows)));
	return sampler.n_rows;
}

bool
mt_collection_analyze(Relation relation, const MtTableOptions *table, AcquireSampleRowsFunc *function,
					  BlockNumber *total_pages)
{
	MtCollectionFacts *facts = mt_collection_facts(mt_collection_name(relation, table, GetUserId()),
												   RelationGetRelid(relation));
	double		pages = Max(facts->documents, 0) * facts->document_bytes / BLCKSZ;

	*function = acquire_rows;
	*total_pages = (BlockNumber) Max(1, Min(pages, MaxBlockNumber));
	return true;
}
