/*
 * update_description.c
 *		Say what an update changed, as MongoDB's change events do.
 *
 * The four parts grow at the same time, each in a buffer of its own, while the
 * diff is read in its order; they are put together at the end.  disambiguated-
 * Paths is there only if it says something (with MongoDB it is there whenever
 * it was asked for).
 *
 * A path needs disambiguation when one of its components is a field's name
 * that holds a dot, or one below the top that looks like an array index.
 *
 * A column diff of a time-series bucket (section b) stands in updatedFields as
 * the {o, d} that the oplog has: the column's value is not known here.
 */
#include "oplog/update_description.h"

#include "oplog/bson_writer.h"
#include "oplog/diff_reader.h"

/* Paths repeat what a diff nests, so a description may be larger than what it
 * describes; a diff that is made to explode stops here. */
#define DESCRIPTION_MAX_BYTES (64 * 1024 * 1024)

/* Where one component ends in the path, and what it is. */
typedef struct MtPathPart
{
	uint32_t	offset;
	uint32_t	len;
	bool		is_index;
	bool		path_is_ambiguous;	/* up to here */
} MtPathPart;

/* One document or array of the description while it grows. */
typedef struct MtPart
{
	MtByteBuffer buffer;
	MtBsonWriter writer;
	size_t		document;
	uint32_t	count;			/* elements so far */
} MtPart;

typedef struct MtDescription
{
	MtPart		updated_fields;
	MtPart		removed_fields;
	MtPart		truncated_arrays;
	MtPart		disambiguated_paths;
	MtByteBuffer path;			/* dotted */
	MtPathPart	parts[MT_BSON_MAX_DEPTH];
	int			n_parts;
	MtDiffStatus status;		/* but for the writers' own */
} MtDescription;

static void describe_document(MtDescription *description, MtSlice diff);
static void describe_array(MtDescription *description, MtSlice diff);

static void
part_begin(MtPart *part)
{
	mt_writer_begin(&part->writer, &part->buffer, DESCRIPTION_MAX_BYTES);
	part->document = mt_writer_begin_document(&part->writer);
}

/* End the part and append it to out under that name. */
static void
part_finish(MtPart *part, MtBsonWriter *out, uint8_t type, const char *name)
{
	MtSlice		value;

	mt_writer_end_document(&part->writer, part->document);
	mt_writer_fail(out, part->writer.status);
	if (out->status != MT_DIFF_OK)
		return;
	value.data = part->buffer.data;
	value.len = (uint32_t) part->buffer.len;
	mt_writer_name(out, type, mt_slice_of(name, (uint32_t) strlen(name)));
	mt_writer_slice(out, value);
}

static void
description_begin(MtDescription *description)
{
	memset(description, 0, sizeof *description);
	part_begin(&description->updated_fields);
	part_begin(&description->removed_fields);
	part_begin(&description->truncated_arrays);
	part_begin(&description->disambiguated_paths);
}

/* Put the parts together in out, and free them. */
static MtDiffStatus
description_end(MtDescription *description, MtByteBuffer *buffer)
{
	MtBsonWriter out;
	size_t		document;

	mt_writer_begin(&out, buffer, DESCRIPTION_MAX_BYTES);
	mt_writer_fail(&out, description->status);
	document = mt_writer_begin_document(&out);
	part_finish(&description->updated_fields, &out, MT_BSON_DOCUMENT, "updatedFields");
	part_finish(&description->removed_fields, &out, MT_BSON_ARRAY, "removedFields");
	part_finish(&description->truncated_arrays, &out, MT_BSON_ARRAY, "truncatedArrays");
	mt_writer_fail(&out, description->disambiguated_paths.writer.status);
	if (description->disambiguated_paths.count > 0)
		part_finish(&description->disambiguated_paths, &out, MT_BSON_DOCUMENT, "disambiguatedPaths");
	mt_writer_end_document(&out, document);

	mt_byte_buffer_free(&description->updated_fields.buffer);
	mt_byte_buffer_free(&description->removed_fields.buffer);
	mt_byte_buffer_free(&description->truncated_arrays.buffer);
	mt_byte_buffer_free(&description->disambiguated_paths.buffer);
	mt_byte_buffer_free(&description->path);
	return mt_writer_end(&out);
}

static void
fail(MtDescription *description, MtDiffStatus status)
{
	if (description->status == MT_DIFF_OK)
		description->status = status;
}

/* Is there any use in going on? */
static bool
is_well(const MtDescription *description)
{
	return description->status == MT_DIFF_OK &&
		description->updated_fields.writer.status == MT_DIFF_OK &&
		description->removed_fields.writer.status == MT_DIFF_OK &&
		description->truncated_arrays.writer.status == MT_DIFF_OK &&
		description->disambiguated_paths.writer.status == MT_DIFF_OK;
}

/*
 * Add a component to the path.  False, with the status set, when it is too
 * deep or there is no memory; the path is as before then.
 */
static bool
push(MtDescription *description, MtSlice name, bool is_index)
{
	size_t		bytes = description->path.len;
	MtPathPart *part;

	if (description->n_parts == MT_BSON_MAX_DEPTH)
	{
		fail(description, MT_DIFF_TOO_DEEP);
		return false;
	}
	if (bytes + name.len >= DESCRIPTION_MAX_BYTES)
	{
		fail(description, MT_DIFF_TOO_LARGE);
		return false;
	}
	if ((description->n_parts > 0 && !mt_byte_buffer_append(&description->path, ".", 1)) ||
		!mt_byte_buffer_append(&description->path, name.data, name.len))
	{
		description->path.len = bytes;
		fail(description, MT_DIFF_OUT_OF_MEMORY);
		return false;
	}
	part = &description->parts[description->n_parts];
	part->offset = (uint32_t) (description->path.len - name.len);
	part->len = name.len;
	part->is_index = is_index;
	part->path_is_ambiguous = (description->n_parts > 0 && part[-1].path_is_ambiguous) ||
		(!is_index && description->n_parts > 0 && mt_path_looks_like_index(name)) ||
		(!is_index && name.len > 0 && memchr(name.data, '.', name.len) != NULL);
	description->n_parts++;
	return true;
}

/* Take the last component off again. */
static void
pop(MtDescription *description)
{
	MtPathPart *part = &description->parts[--description->n_parts];

	description->path.len = part->offset - (description->n_parts > 0 ? 1 : 0);
}

static MtSlice
dotted_path(const MtDescription *description)
{
	MtSlice		path = {description->path.data, (uint32_t) description->path.len};

	return path;
}

/* Append a text as a BSON string's value. */
static void
write_string(MtBsonWriter *writer, MtSlice text)
{
	mt_writer_le32(writer, text.len + 1);
	mt_writer_slice(writer, text);
	mt_writer_bytes(writer, "", 1);
}

/* The name of the next element of a part that is an array. */
static void
write_next_name(MtPart *part, uint8_t type)
{
	char		text[MT_INDEX_TEXT_BYTES];

	mt_writer_name(&part->writer, type, mt_slice_of(text, mt_index_text(part->count, text)));
	part->count++;
}

static void
disambiguate(MtDescription *description)
{
	MtPart	   *part = &description->disambiguated_paths;
	MtBsonWriter *writer = &part->writer;
	size_t		array;

	if (description->n_parts == 0 ||
		!description->parts[description->n_parts - 1].path_is_ambiguous)
		return;
	mt_writer_name(writer, MT_BSON_ARRAY, dotted_path(description));
	part->count++;
	array = mt_writer_begin_document(writer);
	for (int i = 0; i < description->n_parts; i++)
	{
		const MtPathPart *component = &description->parts[i];
		MtSlice		text = {description->path.data + component->offset, component->len};
		char		name[MT_INDEX_TEXT_BYTES];
		uint32_t	index = 0;

		mt_writer_name(writer, component->is_index ? MT_BSON_INT32 : MT_BSON_STRING,
					   mt_slice_of(name, mt_index_text((uint32_t) i, name)));
		if (component->is_index && mt_path_index(text, &index))
			mt_writer_le32(writer, index);
		else
			write_string(writer, text);
	}
	mt_writer_end_document(writer, array);
}

static void
describe_updated(MtDescription *description, const MtElement *element)
{
	mt_writer_element_as(&description->updated_fields.writer, dotted_path(description), element);
	description->updated_fields.count++;
	disambiguate(description);
}

static void
describe_removed(MtDescription *description)
{
	write_next_name(&description->removed_fields, MT_BSON_STRING);
	write_string(&description->removed_fields.writer, dotted_path(description));
	disambiguate(description);
}

static void
describe_truncated(MtDescription *description, uint32_t length)
{
	MtPart	   *part = &description->truncated_arrays;
	size_t		document;

	write_next_name(part, MT_BSON_DOCUMENT);
	document = mt_writer_begin_document(&part->writer);
	mt_writer_name(&part->writer, MT_BSON_STRING, mt_slice_of("field", 5));
	write_string(&part->writer, dotted_path(description));
	mt_writer_name(&part->writer, MT_BSON_INT32, mt_slice_of("newSize", 7));
	mt_writer_le32(&part->writer, length);
	mt_writer_end_document(&part->writer, document);
	disambiguate(description);
}

/* Describe one item, whose path is pushed. */
static void
describe_item(MtDescription *description, const MtDiffItem *item)
{
	switch (item->kind)
	{
		case MT_DIFF_DELETE:
			describe_removed(description);
			break;
		case MT_DIFF_UPDATE:
		case MT_DIFF_INSERT:
		case MT_DIFF_BINARY:
			describe_updated(description, &item->element);
			break;
		case MT_DIFF_SUB_DOCUMENT:
			describe_document(description, mt_element_value(&item->element));
			break;
		case MT_DIFF_SUB_ARRAY:
			describe_array(description, mt_element_value(&item->element));
			break;
	}
}

/*
 * Describe those items of a docdiff that give a field a value, or all others.
 */
static void
describe_fields(MtDescription *description, MtSlice diff, bool values)
{
	MtDocumentDiffReader reader;
	MtDiffItem	item;
	MtWalkResult result;

	if (!mt_document_diff_begin(&reader, diff))
	{
		fail(description, MT_DIFF_MALFORMED);
		return;
	}
	while ((result = mt_document_diff_next(&reader, &item)) == MT_WALK_ELEMENT &&
		   is_well(description))
	{
		bool		is_value = item.kind == MT_DIFF_UPDATE || item.kind == MT_DIFF_INSERT ||
			item.kind == MT_DIFF_BINARY;

		if (is_value == values && push(description, item.name, false))
		{
			describe_item(description, &item);
			pop(description);
		}
	}
	if (result == MT_WALK_CORRUPT)
		fail(description, MT_DIFF_MALFORMED);
}

/* In MongoDB's order, which puts values before what the diff removes. */
static void
describe_document(MtDescription *description, MtSlice diff)
{
	describe_fields(description, diff, true);
	describe_fields(description, diff, false);
}

static void
describe_array(MtDescription *description, MtSlice diff)
{
	MtArrayDiffReader reader;
	MtDiffItem	item;
	MtWalkResult result;

	if (!mt_array_diff_begin(&reader, diff))
	{
		fail(description, MT_DIFF_MALFORMED);
		return;
	}
	if (reader.has_length)
		describe_truncated(description, reader.length);
	while ((result = mt_array_diff_next(&reader, &item)) == MT_WALK_ELEMENT &&
		   is_well(description))
		if (push(description, item.name, true))
		{
			describe_item(description, &item);
			pop(description);
		}
	if (result == MT_WALK_CORRUPT)
		fail(description, MT_DIFF_MALFORMED);
}

MtDiffStatus
mt_update_description_from_diff(MtSlice diff, MtByteBuffer *out)
{
	MtDescription description;

	description_begin(&description);
	describe_document(&description, diff);
	return description_end(&description, out);
}

/* Call visit with the elements of $set, and of $unset, as stated. */
typedef bool (*MtVisitModifier) (void *context, const MtElement *element, bool unset);

static MtDiffStatus
visit_modifiers(MtSlice modifiers, MtVisitModifier visit, void *context)
{
	MtWalk		walk;
	MtElement	section;
	MtWalkResult result;

	if (!mt_walk_begin(&walk, modifiers))
		return MT_DIFF_MALFORMED;
	while ((result = mt_walk_next(&walk, &section)) == MT_WALK_ELEMENT)
	{
		bool		unset = MT_ELEMENT_IS(&section, "$unset");
		MtWalk		inner;
		MtElement	element;

		if (MT_ELEMENT_IS(&section, "$v"))
			continue;
		if ((!unset && !MT_ELEMENT_IS(&section, "$set")) || section.type != MT_BSON_DOCUMENT ||
			!mt_walk_begin(&inner, mt_element_value(&section)))
			return MT_DIFF_MALFORMED;
		while ((result = mt_walk_next(&inner, &element)) == MT_WALK_ELEMENT)
			if (!visit(context, &element, unset))
				return MT_DIFF_OK;
		if (result == MT_WALK_CORRUPT)
			return MT_DIFF_MALFORMED;
	}
	return result == MT_WALK_END ? MT_DIFF_OK : MT_DIFF_MALFORMED;
}

static bool
describe_modifier(void *context, const MtElement *element, bool unset)
{
	MtDescription *description = context;

	if (unset)
	{
		write_next_name(&description->removed_fields, MT_BSON_STRING);
		write_string(&description->removed_fields.writer, mt_element_name(element));
	}
	else
		mt_writer_element(&description->updated_fields.writer, element);
	return is_well(description);
}

MtDiffStatus
mt_update_description_from_modifiers(MtSlice modifiers, MtByteBuffer *out)
{
	MtDescription description;

	description_begin(&description);
	fail(&description, visit_modifiers(modifiers, describe_modifier, &description));
	return description_end(&description, out);
}

typedef struct MtTouchedFields
{
	MtVisitField visit;
	void	   *context;
} MtTouchedFields;

static bool
touch_modifier(void *context, const MtElement *element, bool unset)
{
	const MtTouchedFields *fields = context;

	(void) unset;
	return fields->visit(fields->context, mt_path_component(mt_element_name(element), 0));
}

MtDiffStatus
mt_update_touched_fields(MtSlice update, bool is_diff_v2, MtVisitField visit, void *context)
{
	MtTouchedFields fields = {visit, context};
	MtDocumentDiffReader reader;
	MtDiffItem	item;
	MtWalkResult result;

	if (!is_diff_v2)
		return visit_modifiers(update, touch_modifier, &fields);
	if (!mt_document_diff_begin(&reader, update))
		return MT_DIFF_MALFORMED;
	while ((result = mt_document_diff_next(&reader, &item)) == MT_WALK_ELEMENT)
		if (!visit(context, item.name))
			return MT_DIFF_OK;
	return result == MT_WALK_END ? MT_DIFF_OK : MT_DIFF_MALFORMED;
}
