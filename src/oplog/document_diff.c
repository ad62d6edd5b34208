/*
 * document_diff.c
 *		Apply $v:2 diffs to BSON, byte for byte as MongoDB does.
 *
 * One pass over the pre-image per level.  Whatever the diff does not name is
 * copied as raw bytes, so the result costs little more than a memcpy.  The
 * order of fields follows one line: u keeps the field's place, i puts it at
 * the end in the diff's order, d leaves no gap, and a u of a missing field is
 * appended before the i's.
 *
 * A diff may meet a document that it was not made for, when an oplog is
 * replayed over a newer copy.  Then a sub-diff of a field that is missing or
 * of another kind does nothing: the entry that made it so is still to come.
 *
 * A document may hold a name twice; the first is changed, as a primary does.
 *
 * Source: MongoDB's document_diff_applier and experiments on 6.0.5; sub-diffs
 * of another kind are left as 7.1 and later leave them.
 */
#include "oplog/document_diff.h"

#include "oplog/bson_writer.h"
#include "oplog/diff_reader.h"

/* Up to so many names of a diff are searched one by one; more are sorted. */
#define FEW_NAMES 8

#define BINARY_SUBTYPE_COLUMN 7

typedef struct MtFieldChange
{
	MtDiffItem	item;
	bool		seen;			/* its field was met in the pre-image */
} MtFieldChange;

/*
 * The changes of one docdiff, in the diff's order.  Sorting rather than
 * hashing: names come from MongoDB's clients, and no choice of names may make
 * this slow.
 */
typedef struct MtFieldChanges
{
	MtFieldChange few[FEW_NAMES];
	MtFieldChange *changes;		/* few, or allocated */
	MtFieldChange **by_name;	/* sorted; NULL when there are few */
	size_t		n;
	size_t		capacity;
} MtFieldChanges;

static void apply_document(MtBsonWriter *out, MtSlice pre, MtSlice diff, int depth);
static void apply_array(MtBsonWriter *out, MtSlice pre, MtSlice diff, int depth);

static int
compare_names(const MtSlice *a, const MtSlice *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->data, b->data, a->len);
}

static int
compare_changes(const void *a, const void *b)
{
	return compare_names(&(*(MtFieldChange *const *) a)->item.name,
						 &(*(MtFieldChange *const *) b)->item.name);
}

static void
field_changes_free(MtFieldChanges *fields)
{
	if (fields->changes != fields->few)
		free(fields->changes);
	free(fields->by_name);
}

static MtDiffStatus
field_changes_add(MtFieldChanges *fields, const MtDiffItem *item)
{
	if (fields->n == fields->capacity)
	{
		size_t		capacity = fields->capacity * 2;
		bool		is_few = fields->changes == fields->few;
		MtFieldChange *changes = realloc(is_few ? NULL : fields->changes,
										 capacity * sizeof *changes);

		if (changes == NULL)
			return MT_DIFF_OUT_OF_MEMORY;
		if (is_few)
			memcpy(changes, fields->few, sizeof fields->few);
		fields->changes = changes;
		fields->capacity = capacity;
	}
	fields->changes[fields->n].item = *item;
	fields->changes[fields->n].seen = false;
	fields->n++;
	return MT_DIFF_OK;
}

/* Sort if there are many, and refuse a field that occurs twice. */
static MtDiffStatus
field_changes_index(MtFieldChanges *fields)
{
	if (fields->n <= FEW_NAMES)
	{
		for (size_t i = 1; i < fields->n; i++)
			for (size_t j = 0; j < i; j++)
				if (compare_names(&fields->changes[i].item.name, &fields->changes[j].item.name) == 0)
					return MT_DIFF_MALFORMED;
		return MT_DIFF_OK;
	}
	fields->by_name = malloc(fields->n * sizeof *fields->by_name);
	if (fields->by_name == NULL)
		return MT_DIFF_OUT_OF_MEMORY;
	for (size_t i = 0; i < fields->n; i++)
		fields->by_name[i] = &fields->changes[i];
	qsort(fields->by_name, fields->n, sizeof *fields->by_name, compare_changes);
	for (size_t i = 1; i < fields->n; i++)
		if (compare_changes(&fields->by_name[i - 1], &fields->by_name[i]) == 0)
			return MT_DIFF_MALFORMED;
	return MT_DIFF_OK;
}

/* Read all of a docdiff.  To be freed in any case. */
static MtDiffStatus
field_changes_read(MtFieldChanges *fields, MtSlice diff)
{
	MtDocumentDiffReader reader;
	MtDiffItem	item;
	MtWalkResult result;
	MtDiffStatus status;

	fields->changes = fields->few;
	fields->by_name = NULL;
	fields->n = 0;
	fields->capacity = FEW_NAMES;
	if (!mt_document_diff_begin(&reader, diff))
		return MT_DIFF_MALFORMED;
	while ((result = mt_document_diff_next(&reader, &item)) == MT_WALK_ELEMENT)
		if ((status = field_changes_add(fields, &item)) != MT_DIFF_OK)
			return status;
	return result == MT_WALK_END ? field_changes_index(fields) : MT_DIFF_MALFORMED;
}

static MtFieldChange *
field_changes_find(const MtFieldChanges *fields, MtSlice name)
{
	size_t		low = 0;
	size_t		high = fields->n;

	if (fields->by_name == NULL)
	{
		for (size_t i = 0; i < fields->n; i++)
			if (compare_names(&fields->changes[i].item.name, &name) == 0)
				return &fields->changes[i];
		return NULL;
	}
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = compare_names(&fields->by_name[middle]->item.name, &name);

		if (order == 0)
			return fields->by_name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * A column of a time-series bucket: keep its first bytes up to the offset and
 * append the data.  A field that is no such column is left as it is.
 */
static void
apply_binary(MtBsonWriter *out, MtSlice name, const MtElement *pre, const MtDiffItem *item)
{
	uint64_t	kept_bytes;
	MtSlice		data;

	if (!mt_diff_binary(item, &kept_bytes, &data))
	{
		mt_writer_fail(out, MT_DIFF_MALFORMED);
		return;
	}
	if (pre->type != MT_BSON_BINARY || pre->value[4] != BINARY_SUBTYPE_COLUMN ||
		kept_bytes > pre->value_len - 5)
	{
		mt_writer_element_as(out, name, pre);
		return;
	}
	mt_writer_name(out, MT_BSON_BINARY, name);
	mt_writer_le32(out, (uint32_t) kept_bytes + data.len - 5);
	mt_writer_bytes(out, pre->value + 4, 1 + kept_bytes);
	mt_writer_bytes(out, data.data + 5, data.len - 5);
}

/* Apply a sub-diff to a field or array element that is there. */
static void
apply_sub_diff(MtBsonWriter *out, MtSlice name, const MtElement *pre, const MtDiffItem *item, int depth)
{
	MtSlice		pre_value = mt_element_value(pre);
	MtSlice		diff = mt_element_value(&item->element);

	if (item->kind == MT_DIFF_SUB_DOCUMENT && pre->type == MT_BSON_DOCUMENT)
	{
		mt_writer_name(out, pre->type, name);
		apply_document(out, pre_value, diff, depth + 1);
	}
	else if (item->kind == MT_DIFF_SUB_ARRAY && pre->type == MT_BSON_ARRAY)
	{
		mt_writer_name(out, pre->type, name);
		apply_array(out, pre_value, diff, depth + 1);
	}
	else
		mt_writer_element_as(out, name, pre);
}

static void
apply_field_change(MtBsonWriter *out, const MtElement *pre, const MtDiffItem *item, int depth)
{
	switch (item->kind)
	{
		case MT_DIFF_DELETE:
		case MT_DIFF_INSERT:	/* it comes again at the end */
			break;
		case MT_DIFF_UPDATE:
			mt_writer_element(out, &item->element);
			break;
		case MT_DIFF_BINARY:
			apply_binary(out, item->name, pre, item);
			break;
		case MT_DIFF_SUB_DOCUMENT:
		case MT_DIFF_SUB_ARRAY:
			apply_sub_diff(out, item->name, pre, item, depth);
			break;
	}
}

/* Write what becomes of pre, without the fields that come at the end. */
static void
apply_to_fields(MtBsonWriter *out, MtSlice pre, MtFieldChanges *fields, int depth)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result;
	const uint8_t *unchanged;	/* read and not yet written */

	if (!mt_walk_begin(&walk, pre))
	{
		mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
		return;
	}
	unchanged = walk.p;
	while (out->status == MT_DIFF_OK && (result = mt_walk_next(&walk, &element)) != MT_WALK_END)
	{
		MtFieldChange *change;

		if (result == MT_WALK_CORRUPT)
		{
			mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
			return;
		}
		change = field_changes_find(fields, mt_element_name(&element));
		if (change == NULL || change->seen)
			continue;
		change->seen = true;
		mt_writer_bytes(out, unchanged, (size_t) (mt_element_bytes(&element).data - unchanged));
		unchanged = walk.p;
		apply_field_change(out, &element, &change->item, depth);
	}
	mt_writer_bytes(out, unchanged, (size_t) (walk.p - unchanged));
}

static void
apply_document(MtBsonWriter *out, MtSlice pre, MtSlice diff, int depth)
{
	MtFieldChanges fields;
	size_t		document;

	if (depth > MT_BSON_MAX_DEPTH)
	{
		mt_writer_fail(out, MT_DIFF_TOO_DEEP);
		return;
	}
	document = mt_writer_begin_document(out);
	mt_writer_fail(out, field_changes_read(&fields, diff));
	if (out->status == MT_DIFF_OK)
		apply_to_fields(out, pre, &fields, depth);
	for (size_t i = 0; i < fields.n && out->status == MT_DIFF_OK; i++)
	{
		MtFieldChange *change = &fields.changes[i];

		if (change->item.kind == MT_DIFF_INSERT ||
			(change->item.kind == MT_DIFF_UPDATE && !change->seen))
			mt_writer_element(out, &change->item.element);
	}
	mt_writer_end_document(out, document);
	field_changes_free(&fields);
}

/*
 * Apply the item's change to array element i, or to its absence (pre NULL):
 * there is nothing that a sub-diff could change then, and a null holds the
 * place.
 */
static void
apply_element_change(MtBsonWriter *out, MtSlice name, const MtElement *pre, const MtDiffItem *item,
					 int depth)
{
	if (item->kind == MT_DIFF_UPDATE)
		mt_writer_element_as(out, name, &item->element);
	else if (pre == NULL)
		mt_writer_name(out, MT_BSON_NULL, name);
	else
		apply_sub_diff(out, name, pre, item, depth);
}

/* The next item, or false when there is none or the diff is malformed. */
static bool
next_array_item(MtBsonWriter *out, MtArrayDiffReader *reader, MtDiffItem *item)
{
	MtWalkResult result = mt_array_diff_next(reader, item);

	if (result == MT_WALK_CORRUPT)
		mt_writer_fail(out, MT_DIFF_MALFORMED);
	return result == MT_WALK_ELEMENT;
}

/*
 * Write the elements from index i on that the pre-image does not have: those
 * of the diff, and nulls between them and up to the length.
 */
static void
extend_array(MtBsonWriter *out, uint32_t i, MtArrayDiffReader *reader, MtDiffItem *item, bool has_item,
			 int depth)
{
	for (; out->status == MT_DIFF_OK; i++)
	{
		char		text[MT_INDEX_TEXT_BYTES];
		uint32_t	goal = has_item ? item->index : reader->length;
		MtSlice		name;

		if (!has_item && (!reader->has_length || i >= reader->length))
			break;
		/* A null takes 3 bytes and more: see at once what can't fit. */
		if ((goal - i) > mt_writer_bytes_left(out) / 3)
		{
			mt_writer_fail(out, MT_DIFF_TOO_LARGE);
			break;
		}
		name = mt_slice_of(text, mt_index_text(i, text));
		if (has_item && item->index == i)
		{
			apply_element_change(out, name, NULL, item, depth);
			has_item = next_array_item(out, reader, item);
		}
		else
			mt_writer_name(out, MT_BSON_NULL, name);
	}
}

static void
apply_array(MtBsonWriter *out, MtSlice pre, MtSlice diff, int depth)
{
	MtArrayDiffReader reader;
	MtDiffItem	item;
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_END;
	bool		has_item;
	uint32_t	i = 0;
	size_t		array;

	if (depth > MT_BSON_MAX_DEPTH)
		mt_writer_fail(out, MT_DIFF_TOO_DEEP);
	else if (!mt_array_diff_begin(&reader, diff))
		mt_writer_fail(out, MT_DIFF_MALFORMED);
	else if (!mt_walk_begin(&walk, pre))
		mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
	if (out->status != MT_DIFF_OK)
		return;

	array = mt_writer_begin_document(out);
	has_item = next_array_item(out, &reader, &item);
	while (out->status == MT_DIFF_OK && (!reader.has_length || i < reader.length) &&
		   (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		char		text[MT_INDEX_TEXT_BYTES];
		MtSlice		name = mt_slice_of(text, mt_index_text(i, text));

		if (has_item && item.index == i)
		{
			apply_element_change(out, name, &element, &item, depth);
			has_item = next_array_item(out, &reader, &item);
		}
		else
			mt_writer_element_as(out, name, &element);
		i++;
	}
	if (result == MT_WALK_CORRUPT)
		mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
	extend_array(out, i, &reader, &item, has_item, depth);
	mt_writer_end_document(out, array);
}

const char *
mt_diff_status_text(MtDiffStatus status)
{
	switch (status)
	{
		case MT_DIFF_OK:
			return "no error";
		case MT_DIFF_CORRUPT_DOCUMENT:
			return "the document is not valid BSON";
		case MT_DIFF_MALFORMED:
			return "the update is malformed";
		case MT_DIFF_TOO_DEEP:
			return "the update is nested too deeply";
		case MT_DIFF_TOO_LARGE:
			return "the result is too large";
		case MT_DIFF_OUT_OF_MEMORY:
			return "out of memory";
	}
	return "unknown error";
}

MtDiffStatus
mt_document_diff_apply(MtSlice pre, MtSlice diff, MtByteBuffer *post)
{
	MtBsonWriter out;

	mt_writer_begin(&out, post, MT_DOCUMENT_MAX_BYTES);
	apply_document(&out, pre, diff, 1);
	return mt_writer_end(&out);
}
