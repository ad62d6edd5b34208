/*
 * document_modifiers.c
 *		Apply $v:1 modifiers, {$v, $set, $unset} with dotted paths, to BSON.
 *
 * The modifiers are sorted by path.  Those that begin with the same components
 * then stand together, so that a slice of the sorted array is the tree below
 * one field, and one pass over the pre-image suffices whatever the number of
 * modifiers.
 *
 * What a path means is decided by what it meets: a component is an element of
 * an array, a field of a document, and nothing at all below a scalar.  Missing
 * parents become documents.  A missing element of an array is padded with
 * nulls.  New fields come in the order of the paths, not of the modifiers.  All
 * of this was seen on MongoDB 6.0.5.
 */
#include "oplog/bson_writer.h"

/* MongoDB refuses to pad an array by more nulls at once. */
#define MAX_PADDING 1500000

typedef struct MtModifier
{
	MtSlice		path;
	MtElement	element;		/* of $set; in $unset its value is not looked at */
	bool		unset;
	int			consumed_depth; /* levels, from the top, at which its field was met */
} MtModifier;

typedef struct MtModifiers
{
	MtModifier *entries;
	size_t		n;
	size_t		capacity;
} MtModifiers;

/*
 * The modifiers of one field, which share their path up to and including the
 * component at offset.
 */
typedef struct MtModifierGroup
{
	MtModifier *first;
	MtModifier *end;
	MtSlice		component;
	uint32_t	next_offset;	/* of the components below */
	bool		is_leaf;		/* the path ends here, and the group is one modifier */
} MtModifierGroup;

/* The modifiers below one document or array, and where their paths go on. */
typedef struct MtModifierLevel
{
	MtModifier *first;
	MtModifier *end;
	uint32_t	offset;
	int			depth;			/* 1 at the top */
} MtModifierLevel;

static void modify_document(MtBsonWriter *out, MtSlice pre, const MtModifierLevel *level);
static void modify_array(MtBsonWriter *out, MtSlice pre, const MtModifierLevel *level);
static void create_document(MtBsonWriter *out, const MtModifierLevel *level);

static int
compare_modifiers(const void *a, const void *b)
{
	return mt_path_compare(((const MtModifier *) a)->path, ((const MtModifier *) b)->path);
}

static int
count_components(MtSlice path)
{
	int			n = 1;

	for (uint32_t i = 0; i < path.len; i++)
		n += path.data[i] == '.';
	return n;
}

static MtDiffStatus
modifiers_add(MtModifiers *modifiers, const MtElement *element, bool unset)
{
	MtModifier *entry;

	if (modifiers->n == modifiers->capacity)
	{
		size_t		capacity = modifiers->capacity ? modifiers->capacity * 2 : 16;
		MtModifier *entries = realloc(modifiers->entries, capacity * sizeof *entries);

		if (entries == NULL)
			return MT_DIFF_OUT_OF_MEMORY;
		modifiers->entries = entries;
		modifiers->capacity = capacity;
	}
	entry = &modifiers->entries[modifiers->n++];
	entry->path = mt_element_name(element);
	entry->element = *element;
	entry->unset = unset;
	entry->consumed_depth = 0;
	if (!mt_path_is_valid(entry->path))
		return MT_DIFF_MALFORMED;
	return count_components(entry->path) <= MT_BSON_MAX_DEPTH ? MT_DIFF_OK : MT_DIFF_TOO_DEEP;
}

static MtDiffStatus
modifiers_add_all(MtModifiers *modifiers, const MtElement *section, bool unset)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result;
	MtDiffStatus status;

	if (section->type != MT_BSON_DOCUMENT || !mt_walk_begin(&walk, mt_element_value(section)))
		return MT_DIFF_MALFORMED;
	while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
		if ((status = modifiers_add(modifiers, &element, unset)) != MT_DIFF_OK)
			return status;
	return result == MT_WALK_END ? MT_DIFF_OK : MT_DIFF_MALFORMED;
}

/* Sort, and refuse a path that is given twice or lies below another. */
static MtDiffStatus
modifiers_sort(MtModifiers *modifiers)
{
	if (modifiers->n < 2)
		return MT_DIFF_OK;
	qsort(modifiers->entries, modifiers->n, sizeof *modifiers->entries, compare_modifiers);
	for (size_t i = 1; i < modifiers->n; i++)
	{
		MtSlice		above = modifiers->entries[i - 1].path;
		MtSlice		path = modifiers->entries[i].path;

		if (path.len >= above.len && memcmp(path.data, above.data, above.len) == 0 &&
			(path.len == above.len || path.data[above.len] == '.'))
			return MT_DIFF_MALFORMED;
	}
	return MT_DIFF_OK;
}

static MtDiffStatus
modifiers_read(MtModifiers *modifiers, MtSlice bson)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result;
	MtDiffStatus status = MT_DIFF_OK;

	if (!mt_walk_begin(&walk, bson))
		return MT_DIFF_MALFORMED;
	while (status == MT_DIFF_OK && (result = mt_walk_next(&walk, &element)) != MT_WALK_END)
	{
		if (result == MT_WALK_CORRUPT)
			status = MT_DIFF_MALFORMED;
		else if (MT_ELEMENT_IS(&element, "$set"))
			status = modifiers_add_all(modifiers, &element, false);
		else if (MT_ELEMENT_IS(&element, "$unset"))
			status = modifiers_add_all(modifiers, &element, true);
		else if (!MT_ELEMENT_IS(&element, "$v"))
			status = MT_DIFF_MALFORMED;
	}
	return status == MT_DIFF_OK ? modifiers_sort(modifiers) : status;
}

/* The group that begins at first; false when first is the level's end. */
static bool
group_at(const MtModifierLevel *level, MtModifier *first, MtModifierGroup *group)
{
	if (first == level->end)
		return false;
	group->first = first;
	group->component = mt_path_component(first->path, level->offset);
	group->next_offset = level->offset + group->component.len + 1;
	group->is_leaf = group->next_offset > first->path.len;
	for (group->end = first + 1; group->end < level->end; group->end++)
	{
		MtSlice		component = mt_path_component(group->end->path, level->offset);

		if (mt_path_compare_component(component, group->component) != 0)
			break;
	}
	return true;
}

/* The first modifier of the field's group, or NULL. */
static MtModifier *
find_first(const MtModifierLevel *level, MtSlice name)
{
	MtModifier *low = level->first;
	MtModifier *high = level->end;

	while (low < high)
	{
		MtModifier *middle = low + (high - low) / 2;

		if (mt_path_compare_component(mt_path_component(middle->path, level->offset), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == level->end ||
		mt_path_compare_component(mt_path_component(low->path, level->offset), name) != 0)
		return NULL;
	return low;
}

/* Does the group set anything, or does it only unset? */
static bool
group_sets(const MtModifierGroup *group)
{
	for (const MtModifier *m = group->first; m < group->end; m++)
		if (!m->unset)
			return true;
	return false;
}

static MtModifierLevel
level_below(const MtModifierLevel *level, const MtModifierGroup *group)
{
	MtModifierLevel below = {group->first, group->end, group->next_offset, level->depth + 1};

	return below;
}

/* Write the field or array element that a group with a $set makes anew. */
static void
create_element(MtBsonWriter *out, MtSlice name, const MtModifierLevel *level, const MtModifierGroup *group)
{
	MtModifierLevel below;

	if (group->is_leaf)
	{
		mt_writer_element_as(out, name, &group->first->element);
		return;
	}
	below = level_below(level, group);
	mt_writer_name(out, MT_BSON_DOCUMENT, name);
	create_document(out, &below);
}

static void
create_document(MtBsonWriter *out, const MtModifierLevel *level)
{
	size_t		document = mt_writer_begin_document(out);
	MtModifierGroup group;

	for (MtModifier *m = level->first; group_at(level, m, &group); m = group.end)
		if (group_sets(&group))
			create_element(out, group.component, level, &group);
	mt_writer_end_document(out, document);
}

/* Write what a group makes of a field or array element that is there. */
static void
modify_element(MtBsonWriter *out, MtSlice name, const MtElement *pre, bool in_array,
			   const MtModifierLevel *level, const MtModifierGroup *group)
{
	MtModifierLevel below;

	if (group->is_leaf)
	{
		if (!group->first->unset)
			mt_writer_element_as(out, name, &group->first->element);
		else if (in_array)
			mt_writer_name(out, MT_BSON_NULL, name);
		return;
	}
	below = level_below(level, group);
	if (pre->type == MT_BSON_DOCUMENT)
	{
		mt_writer_name(out, pre->type, name);
		modify_document(out, mt_element_value(pre), &below);
	}
	else if (pre->type == MT_BSON_ARRAY)
	{
		mt_writer_name(out, pre->type, name);
		modify_array(out, mt_element_value(pre), &below);
	}
	else
		mt_writer_element_as(out, name, pre);
}

/* Write the fields of pre as modified, without the new ones. */
static void
modify_fields(MtBsonWriter *out, MtSlice pre, const MtModifierLevel *level)
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
		MtModifier *first;
		MtModifierGroup group;

		if (result == MT_WALK_CORRUPT)
		{
			mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
			return;
		}
		first = find_first(level, mt_element_name(&element));
		if (first == NULL || first->consumed_depth >= level->depth)
			continue;
		first->consumed_depth = level->depth;
		group_at(level, first, &group);
		mt_writer_bytes(out, unchanged, (size_t) (mt_element_bytes(&element).data - unchanged));
		unchanged = walk.p;
		modify_element(out, group.component, &element, false, level, &group);
	}
	mt_writer_bytes(out, unchanged, (size_t) (walk.p - unchanged));
}

static void
modify_document(MtBsonWriter *out, MtSlice pre, const MtModifierLevel *level)
{
	size_t		document = mt_writer_begin_document(out);
	MtModifierGroup group;

	modify_fields(out, pre, level);
	for (MtModifier *m = level->first; group_at(level, m, &group) && out->status == MT_DIFF_OK;
		 m = group.end)
		if (group.first->consumed_depth < level->depth && group_sets(&group))
			create_element(out, group.component, level, &group);
	mt_writer_end_document(out, document);
}

/*
 * The first group from m on that names an element with at least that index.
 * Components sort by value, so the indexes come in growing order.
 */
static bool
next_indexed_group(const MtModifierLevel *level, MtModifier *m, uint32_t least, MtModifierGroup *group,
				   uint32_t *index)
{
	for (; group_at(level, m, group); m = group->end)
		if (mt_path_index(group->component, index) && *index >= least)
			return true;
	return false;
}

/* Write the elements that the groups from group on make beyond the end of an
 * array of length elements. */
static void
extend_array(MtBsonWriter *out, uint32_t length, const MtModifierLevel *level, MtModifierGroup *group,
			 uint32_t index)
{
	char		text[MT_INDEX_TEXT_BYTES];

	do
	{
		if (!group_sets(group) || index - length > MAX_PADDING)
			continue;
		for (; length < index && out->status == MT_DIFF_OK; length++)
			mt_writer_name(out, MT_BSON_NULL, mt_slice_of(text, mt_index_text(length, text)));
		create_element(out, mt_slice_of(text, mt_index_text(index, text)), level, group);
		length = index + 1;
	} while (out->status == MT_DIFF_OK &&
			 next_indexed_group(level, group->end, length, group, &index));
}

static void
modify_array(MtBsonWriter *out, MtSlice pre, const MtModifierLevel *level)
{
	size_t		array = mt_writer_begin_document(out);
	MtModifierGroup group;
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_CORRUPT;
	uint32_t	index;
	uint32_t	i = 0;
	bool		has_group = next_indexed_group(level, level->first, 0, &group, &index);

	if (mt_walk_begin(&walk, pre))
		while (out->status == MT_DIFF_OK &&
			   (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
		{
			char		text[MT_INDEX_TEXT_BYTES];
			MtSlice		name = mt_slice_of(text, mt_index_text(i, text));

			if (has_group && index == i)
			{
				modify_element(out, name, &element, true, level, &group);
				has_group = next_indexed_group(level, group.end, i + 1, &group, &index);
			}
			else
				mt_writer_element_as(out, name, &element);
			i++;
		}
	if (result == MT_WALK_CORRUPT)
		mt_writer_fail(out, MT_DIFF_CORRUPT_DOCUMENT);
	if (has_group && out->status == MT_DIFF_OK)
		extend_array(out, i, level, &group, index);
	mt_writer_end_document(out, array);
}

MtDiffStatus
mt_document_modifiers_apply(MtSlice pre, MtSlice modifiers, MtByteBuffer *post)
{
	MtModifiers sorted = {NULL, 0, 0};
	MtModifierLevel top = {NULL, NULL, 0, 1};
	MtBsonWriter out;

	mt_writer_begin(&out, post, MT_DOCUMENT_MAX_BYTES);
	mt_writer_fail(&out, modifiers_read(&sorted, modifiers));
	if (out.status == MT_DIFF_OK)
	{
		top.first = sorted.entries;
		top.end = sorted.entries == NULL ? NULL : sorted.entries + sorted.n;
		modify_document(&out, pre, &top);
	}
	free(sorted.entries);
	return mt_writer_end(&out);
}
