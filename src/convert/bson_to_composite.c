/*
 * bson_to_composite.c
 *		A BSON document to a value of a composite type.
 *
 * Attributes are fields by name, as the columns of a table are: of fields with
 * the same name the first counts, those that no attribute asks for are passed
 * over, and an attribute whose field is missing is NULL.  A value that does
 * not convert to its attribute makes the whole document a mismatch, not that
 * attribute NULL: half a value would be a changed one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/typcache.h"

#include "convert/datum_target.h"

typedef struct Attribute
{
	char	   *name;			/* in UTF-8 */
	uint32		name_len;
	int			index;			/* in the descriptor */
	MtValueTarget *target;
	bool		found;			/* in this document */
} Attribute;

struct MtCompositeTarget
{
	TupleDesc	descriptor;
	int			n_attributes;	/* without dropped ones */
	Attribute  *attributes;
	Datum	   *values;			/* of this document, as the descriptor has them */
	bool	   *nulls;
};

void
mt_prepare_composite(MtValueTarget *target)
{
	MtCompositeTarget *composite = palloc0(sizeof *composite);
	TupleDesc	descriptor = lookup_rowtype_tupdesc_copy(target->type, -1);

	composite->descriptor = descriptor;
	composite->attributes = palloc0(sizeof(Attribute) * (descriptor->natts + 1));
	composite->values = palloc0(sizeof(Datum) * (descriptor->natts + 1));
	composite->nulls = palloc0(sizeof(bool) * (descriptor->natts + 1));
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute form = TupleDescAttr(descriptor, i);
		Attribute  *attribute = &composite->attributes[composite->n_attributes];

		if (form->attisdropped)
			continue;
		attribute->name = pstrdup(NameStr(form->attname));
		attribute->name = pg_server_to_any(attribute->name, (int) strlen(attribute->name), PG_UTF8);
		attribute->name_len = (uint32) strlen(attribute->name);
		attribute->index = i;
		attribute->target = mt_target_prepare(target->mismatch, form->atttypid, form->atttypmod, false);
		target->may_throw |= attribute->target->may_throw;
		composite->n_attributes++;
	}
	target->composite = composite;
}

/* The attribute of a field, NULL for none; it is likely to be the next one. */
static Attribute *
attribute_of(MtCompositeTarget *composite, const MtElement *element, int next)
{
	for (int i = 0; i < composite->n_attributes; i++)
	{
		Attribute  *attribute = &composite->attributes[(next + i) % composite->n_attributes];

		if (!attribute->found && mt_element_is(element, attribute->name, attribute->name_len))
			return attribute;
	}
	return NULL;
}

/* The value of an attribute; element NULL: the field is missing. */
static MtConvertResult
set_attribute(MtValueTarget *target, Attribute *attribute, const MtElement *element)
{
	MtCompositeTarget *composite = target->composite;
	MtConvertResult result;

	result = mt_convert_value(attribute->target, element, &composite->values[attribute->index]);
	composite->nulls[attribute->index] = result == MT_CONVERTED_NULL;
	if (result == MT_CONVERT_MISMATCH)
		mt_mismatch_within(target->mismatch, attribute->target, element);
	return result;
}

static MtConvertResult
set_attributes(MtValueTarget *target, MtSlice document)
{
	MtCompositeTarget *composite = target->composite;
	int			next = 0;
	MtWalk		walk;
	MtElement	element;
	MtWalkResult walked;

	if (!mt_walk_begin(&walk, document))
		return mt_mismatch(target, ERRCODE_DATA_CORRUPTED, "and is corrupt");
	while ((walked = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		Attribute  *attribute = attribute_of(composite, &element, next);

		if (attribute == NULL)
			continue;
		attribute->found = true;
		next = (int) (attribute - composite->attributes) + 1;
		if (set_attribute(target, attribute, &element) == MT_CONVERT_MISMATCH)
			return MT_CONVERT_MISMATCH;
	}
	if (walked == MT_WALK_CORRUPT)
		return mt_mismatch(target, ERRCODE_DATA_CORRUPTED, "and is corrupt");
	/* A domain may refuse that one is missing. */
	for (int i = 0; i < composite->n_attributes; i++)
		if (!composite->attributes[i].found)
			(void) set_attribute(target, &composite->attributes[i], NULL);
	return MT_CONVERTED;
}

MtConvertResult
mt_convert_composite(MtValueTarget *target, const MtElement *element, Datum *value)
{
	MtCompositeTarget *composite = target->composite;
	MtConvertResult result;

	if (element->type != MT_BSON_DOCUMENT)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only documents");
	memset(composite->nulls, true, sizeof(bool) * composite->descriptor->natts);
	for (int i = 0; i < composite->n_attributes; i++)
		composite->attributes[i].found = false;
	result = set_attributes(target, mt_element_value(element));
	if (result == MT_CONVERTED)
		*value = HeapTupleGetDatum(heap_form_tuple(composite->descriptor, composite->values, composite->nulls));
	return result;
}
