/*
 * diff_reader.c
 *		Read the grammar of $v:2 diffs: see diff_reader.h.
 */
#include "oplog/diff_reader.h"

#include "oplog/bson_path.h"

/* An "s..." element's kind, by the first field of its value. */
static bool
classify_sub_diff(MtDiffItem *item)
{
	MtWalk		walk;
	MtElement	first;

	if (item->element.type != MT_BSON_DOCUMENT ||
		!mt_walk_begin(&walk, mt_element_value(&item->element)) ||
		mt_walk_next(&walk, &first) != MT_WALK_ELEMENT)
		return false;
	item->kind = MT_ELEMENT_IS(&first, "a") ? MT_DIFF_SUB_ARRAY : MT_DIFF_SUB_DOCUMENT;
	return true;
}

static MtDiffKind
section_kind(char section)
{
	switch (section)
	{
		case 'd':
			return MT_DIFF_DELETE;
		case 'u':
			return MT_DIFF_UPDATE;
		case 'i':
			return MT_DIFF_INSERT;
		default:
			return MT_DIFF_BINARY;
	}
}

bool
mt_document_diff_begin(MtDocumentDiffReader *reader, MtSlice diff)
{
	memset(reader, 0, sizeof *reader);
	reader->sections_left = "duib";
	return mt_walk_begin(&reader->diff, diff) && reader->diff.p < reader->diff.end;
}

/* Enter a section, or give a sub-diff out as item. */
static MtWalkResult
next_of_diff(MtDocumentDiffReader *reader, MtDiffItem *item)
{
	MtWalkResult result = mt_walk_next(&reader->diff, &item->element);
	const char *section;

	if (result != MT_WALK_ELEMENT)
		return result;
	if (item->element.name_len == 1 && item->element.name[0] != 's')
	{
		section = strchr(reader->sections_left, item->element.name[0]);
		if (section == NULL || reader->in_sub_diffs || item->element.type != MT_BSON_DOCUMENT ||
			!mt_walk_begin(&reader->section, mt_element_value(&item->element)))
			return MT_WALK_CORRUPT;
		reader->sections_left = section + 1;
		reader->kind = section_kind(*section);
		reader->in_section = true;
		return MT_WALK_ELEMENT;
	}
	if (item->element.name_len == 0 || item->element.name[0] != 's' || !classify_sub_diff(item))
		return MT_WALK_CORRUPT;
	item->name.data = (const uint8_t *) item->element.name + 1;
	item->name.len = item->element.name_len - 1;
	reader->in_sub_diffs = true;
	return MT_WALK_ELEMENT;
}

MtWalkResult
mt_document_diff_next(MtDocumentDiffReader *reader, MtDiffItem *item)
{
	MtWalkResult result;

	item->index = 0;
	for (;;)
	{
		if (reader->in_section)
		{
			result = mt_walk_next(&reader->section, &item->element);
			if (result == MT_WALK_ELEMENT)
			{
				item->kind = reader->kind;
				item->name.data = (const uint8_t *) item->element.name;
				item->name.len = item->element.name_len;
			}
			if (result != MT_WALK_END)
				return result;
			reader->in_section = false;
		}
		result = next_of_diff(reader, item);
		if (result != MT_WALK_ELEMENT || !reader->in_section)
			return result;
	}
}

bool
mt_array_diff_begin(MtArrayDiffReader *reader, MtSlice diff)
{
	MtWalk		after_header;
	MtElement	element;
	MtWalkResult result;

	memset(reader, 0, sizeof *reader);
	if (!mt_walk_begin(&reader->diff, diff) ||
		mt_walk_next(&reader->diff, &element) != MT_WALK_ELEMENT ||
		!MT_ELEMENT_IS(&element, "a") || element.type != MT_BSON_BOOL || element.value[0] != 1)
		return false;

	after_header = reader->diff;
	result = mt_walk_next(&reader->diff, &element);
	if (result == MT_WALK_ELEMENT && MT_ELEMENT_IS(&element, "l"))
	{
		if (element.type != MT_BSON_INT32 || mt_le32(element.value) > INT32_MAX)
			return false;
		reader->has_length = true;
		reader->length = mt_le32(element.value);
	}
	else
		reader->diff = after_header;
	return result != MT_WALK_CORRUPT;
}

MtWalkResult
mt_array_diff_next(MtArrayDiffReader *reader, MtDiffItem *item)
{
	MtWalkResult result = mt_walk_next(&reader->diff, &item->element);

	if (result != MT_WALK_ELEMENT)
		return result;
	if (item->element.name_len < 2)
		return MT_WALK_CORRUPT;
	item->name.data = (const uint8_t *) item->element.name + 1;
	item->name.len = item->element.name_len - 1;
	if (!mt_path_looks_like_index(item->name) || !mt_path_index(item->name, &item->index) ||
		(reader->has_previous && item->index <= reader->previous))
		return MT_WALK_CORRUPT;
	reader->has_previous = true;
	reader->previous = item->index;

	if (item->element.name[0] == 'u')
	{
		item->kind = MT_DIFF_UPDATE;
		return MT_WALK_ELEMENT;
	}
	if (item->element.name[0] != 's' || !classify_sub_diff(item))
		return MT_WALK_CORRUPT;
	return MT_WALK_ELEMENT;
}

bool
mt_diff_binary(const MtDiffItem *item, uint64_t *offset, MtSlice *data)
{
	MtSlice		change = mt_element_value(&item->element);
	MtElement	element;

	if (item->element.type != MT_BSON_DOCUMENT ||
		mt_bson_find(change, "o", 1, &element) != MT_WALK_ELEMENT)
		return false;
	if (element.type == MT_BSON_INT32)
		*offset = mt_le32(element.value);
	else if (element.type == MT_BSON_INT64)
		*offset = mt_le64(element.value);
	else
		return false;
	if (*offset > INT32_MAX)
		return false;
	if (mt_bson_find(change, "d", 1, &element) != MT_WALK_ELEMENT ||
		element.type != MT_BSON_BINARY)
		return false;
	*data = mt_element_value(&element);
	return true;
}
