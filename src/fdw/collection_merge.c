/*
 * collection_merge.c
 *		Two sorted finds read as one.
 *
 * Each find gives a run (collection_order.c): strings or ObjectIds of a column
 * of text, one subtype or the other of a uuid.  Most often one of the two is
 * empty.  Of each the next document is held until it is the less of the two;
 * what is compared are the bytes that the column's value will have.
 */
#include "postgres.h"

#include "convert/objectid.h"
#include "fdw/collection_merge.h"
#include "oplog/bson_path.h"
#include "oplog/bson_walk.h"

typedef struct Source
{
	MtCollectionReader *reader;
	bool		is_over;
	bool		has_head;
	MtSlice		head;			/* the next document, the reader's */
	MtSlice		key;			/* of it; its own bytes, or digits */
	char		digits[MT_OBJECTID_DIGITS + 1];
} Source;

struct MtRunMerge
{
	MtSlice		path;			/* of the first key */
	bool		descends;
	bool		is_only_key;
	bool		is_ambiguous;
	Source		sources[2];
	Source	   *given;			/* whose head was given out last */
};

MtRunMerge *
mt_merge_create(const MtOrder *order, const MtCollectionColumn *columns)
{
	MtRunMerge *merge = palloc0(sizeof *merge);
	List	   *key = linitial(order->keys);
	const char *path = columns[linitial_int(key)].path;

	merge->path.data = (const uint8 *) path;
	merge->path.len = (uint32) strlen(path);
	merge->descends = lsecond_int(key) != 0;
	merge->is_only_key = list_length(order->keys) == 1;
	return merge;
}

void
mt_merge_begin(MtRunMerge *merge, MtCollectionReader *first, MtCollectionReader *second)
{
	memset(merge->sources, 0, sizeof merge->sources);
	merge->sources[0].reader = first;
	merge->sources[1].reader = second;
	merge->given = NULL;
	merge->is_ambiguous = false;
}

static MtSlice
key_of(const MtElement *element, char digits[MT_OBJECTID_DIGITS + 1])
{
	MtSlice		key = {NULL, 0};

	switch (element->type)
	{
		case MT_BSON_STRING:
		case MT_BSON_SYMBOL:
			return mt_element_text(element);
		case MT_BSON_OBJECTID:
			(void) mt_objectid_text((const MtObjectId *) element->value, digits);
			key.data = (const uint8 *) digits;
			key.len = MT_OBJECTID_DIGITS;
			return key;
		case MT_BSON_BINARY:
			key.data = element->value + 5;	/* behind its length and subtype */
			key.len = element->value_len - 5;
			return key;
		default:
			return key;
	}
}

static void
fill(const MtRunMerge *merge, Source *source)
{
	MtElement	element;

	if (source->has_head || source->is_over)
		return;
	source->has_head = mt_collection_reader_next(source->reader, &source->head);
	source->is_over = !source->has_head;
	if (!source->has_head)
		return;
	/* the finds have selected documents that have it, below documents */
	if (!mt_path_find(source->head, merge->path, &element))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("MongoDB sent a document without the field that it was sorted by")));
	source->key = key_of(&element, source->digits);
}

static int
compare_keys(MtSlice a, MtSlice b)
{
	int			order = memcmp(a.data, b.data, Min(a.len, b.len));

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool
mt_merge_next(MtRunMerge *merge, MtSlice *document)
{
	Source	   *first = &merge->sources[0];
	Source	   *second = &merge->sources[1];
	int			order;

	if (merge->given != NULL)
		merge->given->has_head = false;
	fill(merge, first);
	fill(merge, second);
	merge->given = first->has_head ? first : second;
	if (first->has_head && second->has_head)
	{
		order = compare_keys(first->key, second->key);
		merge->is_ambiguous |= order == 0 && !merge->is_only_key;
		if (merge->descends ? order < 0 : order > 0)
			merge->given = second;
	}
	*document = merge->given->head;
	return merge->given->has_head;
}

bool
mt_merge_is_ambiguous(const MtRunMerge *merge)
{
	return merge->is_ambiguous;
}
