/*
 * ring_shmem.c
 *		Rings in PostgreSQL's dynamic shared memory.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/dsm.h"
#include "utils/memutils.h"

#include "ring/ring_shmem.h"

/* This process's mappings, one for each key. */
typedef struct MtRingMapping
{
	dsm_handle	handle;
	dsm_segment *segment;		/* NULL: nothing mapped */
} MtRingMapping;

static MtRingMapping *mappings = NULL;
static int	n_mappings = 0;

/*
 * A mapping that another has replaced may still be read by a scan of this
 * transaction: it is let go in a later one.
 */
typedef struct MtRetiredMapping
{
	dsm_segment *segment;
	TimestampTz transaction_start;
	struct MtRetiredMapping *next;
} MtRetiredMapping;

static MtRetiredMapping *retired = NULL;

static void
retire_mapping(dsm_segment *segment)
{
	MtRetiredMapping *r = MemoryContextAlloc(TopMemoryContext, sizeof *r);

	r->segment = segment;
	r->transaction_start = GetCurrentTransactionStartTimestamp();
	r->next = retired;
	retired = r;
}

static void
detach_retired(void)
{
	MtRetiredMapping **link = &retired;

	while (*link != NULL)
	{
		MtRetiredMapping *r = *link;

		if (r->transaction_start == GetCurrentTransactionStartTimestamp())
			link = &r->next;
		else
		{
			*link = r->next;
			dsm_detach(r->segment);
			pfree(r);
		}
	}
}

uint64
mt_ring_shmem_round(int64 bytes)
{
	uint64		rounded = 4096;

	while (rounded < (uint64) bytes)
		rounded <<= 1;
	return rounded;
}

/* Make mappings[key] exist. */
static MtRingMapping *
mapping_of(int key)
{
	if (key >= n_mappings)
	{
		int			n = Max(key + 1, 8);
		Size		bytes = sizeof(MtRingMapping) * n;

		if (mappings == NULL)
			mappings = MemoryContextAllocZero(TopMemoryContext, bytes);
		else
		{
			mappings = repalloc(mappings, bytes);
			memset(mappings + n_mappings, 0, sizeof(MtRingMapping) * (n - n_mappings));
		}
		n_mappings = n;
	}
	return &mappings[key];
}

/* Let the key's mapping be this one, pinned for the life of the process. */
static MtRing *
keep_mapping(MtRingMapping *mapping, dsm_segment *segment, dsm_handle handle)
{
	dsm_pin_mapping(segment);
	mapping->segment = segment;
	mapping->handle = handle;
	return dsm_segment_address(segment);
}

static void
give_up_mapping(MtRingMapping *mapping)
{
	detach_retired();
	if (mapping->segment != NULL)
		retire_mapping(mapping->segment);
	mapping->segment = NULL;
}

MtRing *
mt_ring_shmem_create(int key, uint64 data_bytes, dsm_handle *handle)
{
	MtRingMapping *mapping = mapping_of(key);
	dsm_segment *segment;
	MtRing	   *ring;

	give_up_mapping(mapping);
	segment = dsm_create(mt_ring_size(data_bytes), 0);
	dsm_pin_segment(segment);
	*handle = dsm_segment_handle(segment);
	ring = keep_mapping(mapping, segment, *handle);
	return mt_ring_init(ring, data_bytes);
}

MtRing *
mt_ring_shmem_attach(int key, dsm_handle handle)
{
	MtRingMapping *mapping = mapping_of(key);
	dsm_segment *segment;

	if (mapping->segment != NULL && mapping->handle == handle)
		return dsm_segment_address(mapping->segment);
	give_up_mapping(mapping);
	segment = dsm_attach(handle);
	return segment ? keep_mapping(mapping, segment, handle) : NULL;
}

void
mt_ring_shmem_drop(dsm_handle handle)
{
	dsm_unpin_segment(handle);
}
