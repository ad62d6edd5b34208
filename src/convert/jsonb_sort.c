/*
 * jsonb_sort.c
 *		The keys of a large object into jsonb's order, without duplicates.
 *
 * Objects of few keys are sorted by insertion while they are collected.  For
 * the others this is a merge sort: names come from whoever may write to
 * MongoDB, and PostgreSQL's qsort can be driven into quadratic time by names
 * chosen for it.  It is stable, which is what "the last duplicate wins" needs,
 * or the first, and keys that are in order already (a map with padded numbers
 * as names) cost one comparison each and no memory.
 */
#include "postgres.h"

#include "convert/jsonb_build.h"

/* Runs this short are sorted by insertion. */
#define MT_JSONB_RUN 12

/* Merges of up to this many elements have their room on the stack. */
#define MT_JSONB_MERGE_ON_STACK 64

typedef struct MtJsonbSorter
{
	MemoryContext context;
	MtJsonbElement *room;		/* for the left half of a merge; NULL until needed */
	size_t		room_elements;
} MtJsonbSorter;

static void
insertion_sort(MtJsonbElement *elements, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		MtJsonbElement element = elements[i];
		size_t		j = i;

		while (j > 0 && mt_jsonb_compare_keys(&elements[j - 1], &element) > 0)
		{
			elements[j] = elements[j - 1];
			j--;
		}
		elements[j] = element;
	}
}

/* Merge two sorted neighbours; of equal keys the left one's comes first. */
static void
merge(const MtJsonbSorter *sorter, MtJsonbElement *elements, size_t n_left, size_t n)
{
	const MtJsonbElement *left = sorter->room;
	const MtJsonbElement *left_end = left + n_left;
	const MtJsonbElement *right = elements + n_left;
	const MtJsonbElement *right_end = elements + n;
	MtJsonbElement *to = elements;

	memcpy(sorter->room, elements, n_left * sizeof(MtJsonbElement));
	while (left < left_end && right < right_end)
		*to++ = mt_jsonb_compare_keys(left, right) <= 0 ? *left++ : *right++;
	if (left < left_end)
		memcpy(to, left, (size_t) (left_end - left) * sizeof(MtJsonbElement));
}

static void
merge_sort(MtJsonbSorter *sorter, MtJsonbElement *elements, size_t n)
{
	size_t		n_left = n / 2;

	if (n <= MT_JSONB_RUN)
	{
		insertion_sort(elements, n);
		return;
	}
	merge_sort(sorter, elements, n_left);
	merge_sort(sorter, elements + n_left, n - n_left);
	if (mt_jsonb_compare_keys(&elements[n_left - 1], &elements[n_left]) <= 0)
		return;
	if (sorter->room == NULL)
		sorter->room = MemoryContextAllocHuge(sorter->context,
											  sorter->room_elements * sizeof(MtJsonbElement));
	merge(sorter, elements, n_left, n);
}

/*
 * Sort the elements, given in the document's order, and keep of those with
 * equal keys the last, or the first.  Returns how many there are left.
 */
size_t
mt_jsonb_sort(MemoryContext context, MtJsonbElement *elements, size_t n, bool first_wins)
{
	MtJsonbElement on_stack[MT_JSONB_MERGE_ON_STACK];
	MtJsonbSorter sorter = {context, NULL, n / 2};
	size_t		n_kept = 0;

	if (n / 2 <= lengthof(on_stack))
		sorter.room = on_stack;
	merge_sort(&sorter, elements, n);
	if (sorter.room != NULL && sorter.room != on_stack)
		pfree(sorter.room);

	for (size_t i = 0; i < n; i++)
	{
		bool		is_kept = first_wins ?
			n_kept == 0 || mt_jsonb_compare_keys(&elements[n_kept - 1], &elements[i]) != 0 :
			i + 1 == n || mt_jsonb_compare_keys(&elements[i], &elements[i + 1]) != 0;

		if (is_kept)
			elements[n_kept++] = elements[i];
	}
	return n_kept;
}
