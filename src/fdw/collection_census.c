/*
 * collection_census.c
 *		Which fields the documents of a collection have, of which BSON types.
 *
 * A tree of fields, found by one hash table over (parent, name): documents may
 * have thousands of fields, and keys that are data.  Beyond MAX_FIELDS the
 * rest is not counted, and whoever asks is told.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "fdw/collection_census.h"

#define MAX_FIELDS 20000

/* A sub-document with more fields than this is a map whose keys are data. */
#define MAX_FLAT_FIELDS 100

#define MAX_EXACT_DOUBLE (INT64CONST(1) << 53)

#define BIT(type) (1u << (type))
#define NOTHING (BIT(MT_CENSUS_NULL) | BIT(MT_CENSUS_UNDEFINED))
#define NUMBERS (BIT(MT_CENSUS_DOUBLE) | BIT(MT_CENSUS_INT) | BIT(MT_CENSUS_LONG) | BIT(MT_CENSUS_DECIMAL))
#define TEXTS (BIT(MT_CENSUS_STRING) | BIT(MT_CENSUS_SYMBOL) | BIT(MT_CENSUS_OBJECT_ID))

/* By MtCensusType. */
static const struct
{
	uint8		wire;
	const char *alias;			/* of bsonType */
}			types[] =
{
	{MT_BSON_DOUBLE, "double"},
	{MT_BSON_INT32, "int"},
	{MT_BSON_INT64, "long"},
	{MT_BSON_DECIMAL128, "decimal"},
	{MT_BSON_STRING, "string"},
	{MT_BSON_SYMBOL, "symbol"},
	{MT_BSON_OBJECTID, "objectId"},
	{MT_BSON_BOOL, "bool"},
	{MT_BSON_DATE, "date"},
	{MT_BSON_BINARY, "binData"},
	{MT_BSON_DOCUMENT, "object"},
	{MT_BSON_ARRAY, "array"},
	{MT_BSON_TIMESTAMP, "timestamp"},
	{MT_BSON_REGEX, "regex"},
	{MT_BSON_CODE, "javascript"},
	{MT_BSON_CODE_W_SCOPE, "javascriptWithScope"},
	{MT_BSON_DBPOINTER, "dbPointer"},
	{MT_BSON_MINKEY, "minKey"},
	{MT_BSON_MAXKEY, "maxKey"},
	{MT_BSON_NULL, "null"},
	{MT_BSON_UNDEFINED, "undefined"},
};

StaticAssertDecl(lengthof(types) == MT_CENSUS_TYPES, "every type has a line");

/* ---- the tree ---- */

typedef struct FieldKey
{
	const MtCensusField *parent;
	const char *name;
	uint32		name_len;
} FieldKey;

typedef struct FieldEntry
{
	FieldKey	key;
	MtCensusField *field;
} FieldEntry;

static uint32
key_hash(const void *key, Size size)
{
	const FieldKey *field = key;

	(void) size;
	return hash_combine(hash_bytes((const unsigned char *) field->name, (int) field->name_len),
						hash_bytes((const unsigned char *) &field->parent, sizeof field->parent));
}

static int
key_compare(const void *a, const void *b, Size size)
{
	const FieldKey *one = a;
	const FieldKey *other = b;

	(void) size;
	return one->parent != other->parent || one->name_len != other->name_len ||
		memcmp(one->name, other->name, one->name_len) != 0;
}

static MtCensusField *
new_field(MtCensus *census, MtCensusField *parent)
{
	MtCensusField *field = MemoryContextAllocZero(census->context, sizeof *field);

	field->parent = parent;
	dlist_init(&field->fields);
	return field;
}

MtCensus *
mt_census_create(void)
{
	MtCensus   *census = palloc0(sizeof *census);
	HASHCTL		control = {0};

	census->context = CurrentMemoryContext;
	control.keysize = sizeof(FieldKey);
	control.entrysize = sizeof(FieldEntry);
	control.hash = key_hash;
	control.match = key_compare;
	control.hcxt = CurrentMemoryContext;
	census->fields = hash_create("mongo_tail census", 64, &control,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	census->root = new_field(census, NULL);
	return census;
}

/* The field of that name; NULL when there are too many. */
static MtCensusField *
field_of(MtCensus *census, MtCensusField *parent, const char *name, uint32 name_len)
{
	FieldKey	key = {parent, name, name_len};
	FieldEntry *entry = hash_search(census->fields, &key, HASH_FIND, NULL);
	MtCensusField *field;

	if (entry != NULL)
		return entry->field;
	if (hash_get_num_entries(census->fields) >= MAX_FIELDS)
	{
		census->is_full = true;
		return NULL;
	}
	field = new_field(census, parent);
	field->name = MemoryContextAllocZero(census->context, name_len + 1);
	memcpy(field->name, name, name_len);
	field->name_len = name_len;
	dlist_push_tail(&parent->fields, &field->node);
	parent->n_fields++;
	key.name = field->name;
	entry = hash_search(census->fields, &key, HASH_ENTER, NULL);
	entry->field = field;
	return field;
}

MtCensusField *
mt_census_find(MtCensus *census, MtCensusField *parent, MtSlice name)
{
	FieldKey	key = {parent, (const char *) name.data, name.len};
	FieldEntry *entry = hash_search(census->fields, &key, HASH_FIND, NULL);

	return entry != NULL ? entry->field : NULL;
}

static MtCensusField *
elements_of(MtCensus *census, MtCensusField *array)
{
	if (array->elements == NULL)
		array->elements = new_field(census, array);
	return array->elements;
}

/* ---- documents ---- */

static int
type_of(uint8 wire)
{
	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		if (types[i].wire == wire)
			return i;
	return -1;
}

static bool
date_is_far(int64 ms)
{
	const int64 epoch_ms = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * INT64CONST(1000));
	int64		timestamp;

	return pg_sub_s64_overflow(ms, epoch_ms, &ms) || pg_mul_s64_overflow(ms, 1000, &timestamp) ||
		!IS_VALID_TIMESTAMP(timestamp);
}

/* Note what decides whether the type's usual column can hold the value. */
static void
look_at_value(MtCensusField *field, const MtElement *element)
{
	MtSlice		text;
	int64		number;

	switch (element->type)
	{
		case MT_BSON_STRING:
		case MT_BSON_SYMBOL:
			text = mt_element_text(element);
			if (memchr(text.data, 0, text.len) != NULL ||
				pg_encoding_verifymbstr(PG_UTF8, (const char *) text.data, (int) text.len) != (int) text.len)
				field->has_bad_text = true;
			break;
		case MT_BSON_INT64:
			number = (int64) mt_le64(element->value);
			if (number > MAX_EXACT_DOUBLE || number < -MAX_EXACT_DOUBLE)
				field->has_large_long = true;
			break;
		case MT_BSON_DATE:
			if (date_is_far((int64) mt_le64(element->value)))
				field->has_far_date = true;
			break;
		case MT_BSON_BINARY:
			if (element->value_len != 5 + 16 || element->value[4] != 4)
				field->has_other_binary = true;
			break;
		default:
			break;
	}
}

static void add_fields(MtCensus *census, MtCensusField *parent, MtSlice document, int depth);

static void
add_value(MtCensus *census, MtCensusField *field, const MtElement *element, int depth)
{
	int			type = type_of(element->type);

	if (type < 0)
		return;
	field->counts[type]++;
	look_at_value(field, element);
	if (type == MT_CENSUS_OBJECT)
		add_fields(census, field, mt_element_value(element), depth + 1);
	else if (type == MT_CENSUS_ARRAY && depth < MT_BSON_MAX_DEPTH)
	{
		MtCensusField *elements = elements_of(census, field);
		MtWalk		walk;
		MtElement	member;

		if (!mt_walk_begin(&walk, mt_element_value(element)))
			return;
		/* what documents in arrays hold is never a column */
		while (mt_walk_next(&walk, &member) == MT_WALK_ELEMENT)
			if (member.type == MT_BSON_DOCUMENT || member.type == MT_BSON_ARRAY)
				elements->counts[type_of(member.type)]++;
			else
				add_value(census, elements, &member, depth + 1);
	}
}

static void
add_fields(MtCensus *census, MtCensusField *parent, MtSlice document, int depth)
{
	MtWalk		walk;
	MtElement	element;

	if (depth > MT_BSON_MAX_DEPTH || !mt_walk_begin(&walk, document))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		MtCensusField *field = field_of(census, parent, element.name, element.name_len);

		if (field == NULL || field->last_turn == census->turn)
			continue;
		field->last_turn = census->turn;
		add_value(census, field, &element, depth);
	}
}

void
mt_census_add_document(MtCensus *census, MtSlice document)
{
	census->documents++;
	census->turn++;
	census->root->counts[MT_CENSUS_OBJECT]++;
	add_fields(census, census->root, document, 0);
}

MtCensusField *
mt_census_add_indexed(MtCensus *census, MtCensusField *parent, MtSlice name, const char *index)
{
	MtCensusField *field = field_of(census, parent, (const char *) name.data, name.len);

	if (field != NULL)
		field->index = index;
	return field;
}

void
mt_census_add_indexed_value(MtCensus *census, MtCensusField *field, const MtElement *value)
{
	census->turn++;
	field->by_index++;
	add_value(census, field, value, 0);
}

/* ---- schemas ---- */

static void add_schema(MtCensus *census, MtCensusField *field, MtSlice schema, int depth);

static bool
text_is(MtSlice text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

/* The types that an alias of bsonType, or JSON Schema's own type, stands for. */
static uint32
types_of_alias(MtSlice alias)
{
	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		if (text_is(alias, types[i].alias))
			return BIT(i);
	if (text_is(alias, "number"))
		return NUMBERS;
	if (text_is(alias, "boolean"))
		return BIT(MT_CENSUS_BOOL);
	return 0;
}

/* "string", or ["string", "null"] */
static void
add_aliases(MtCensusField *field, const MtElement *value)
{
	MtWalk		walk;
	MtElement	element;

	if (value->type == MT_BSON_STRING)
		field->schema_types |= types_of_alias(mt_element_text(value));
	else if (value->type == MT_BSON_ARRAY && mt_walk_begin(&walk, mt_element_value(value)))
		while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
			if (element.type == MT_BSON_STRING)
				field->schema_types |= types_of_alias(mt_element_text(&element));
}

static void
add_properties(MtCensus *census, MtCensusField *field, MtSlice properties, int depth)
{
	MtWalk		walk;
	MtElement	element;

	if (!mt_walk_begin(&walk, properties))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		MtCensusField *child = field_of(census, field, element.name, element.name_len);

		if (child != NULL && element.type == MT_BSON_DOCUMENT)
			add_schema(census, child, mt_element_value(&element), depth + 1);
	}
}

/* Each document of an array is a schema for the same values. */
static void
add_schemas(MtCensus *census, MtCensusField *field, const MtElement *value, int depth)
{
	MtWalk		walk;
	MtElement	element;

	if (value->type == MT_BSON_DOCUMENT)
		add_schema(census, field, mt_element_value(value), depth);
	else if (value->type == MT_BSON_ARRAY && mt_walk_begin(&walk, mt_element_value(value)))
		while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
			if (element.type == MT_BSON_DOCUMENT)
				add_schema(census, field, mt_element_value(&element), depth);
}

/* The values of an enumeration say their types by themselves. */
static void
add_enumeration(MtCensusField *field, const MtElement *value)
{
	MtWalk		walk;
	MtElement	element;

	if (value->type != MT_BSON_ARRAY || !mt_walk_begin(&walk, mt_element_value(value)))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		int			type = type_of(element.type);

		if (type >= 0)
			field->schema_types |= BIT(type);
		look_at_value(field, &element);
	}
}

/*
 * Alternatives allow the types of all of them.  allOf is taken the same way: it
 * usually has one member that names a type.
 */
static void
add_schema(MtCensus *census, MtCensusField *field, MtSlice schema, int depth)
{
	MtWalk		walk;
	MtElement	element;

	if (depth > MT_BSON_MAX_DEPTH || !mt_walk_begin(&walk, schema))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "bsonType") || MT_ELEMENT_IS(&element, "type"))
			add_aliases(field, &element);
		else if (MT_ELEMENT_IS(&element, "properties") && element.type == MT_BSON_DOCUMENT)
			add_properties(census, field, mt_element_value(&element), depth);
		else if (MT_ELEMENT_IS(&element, "items"))
			add_schemas(census, elements_of(census, field), &element, depth + 1);
		else if (MT_ELEMENT_IS(&element, "anyOf") || MT_ELEMENT_IS(&element, "oneOf") ||
				 MT_ELEMENT_IS(&element, "allOf"))
			add_schemas(census, field, &element, depth + 1);
		else if (MT_ELEMENT_IS(&element, "enum"))
			add_enumeration(field, &element);
	}
}

static void
add_validator(MtCensus *census, MtSlice validator, int depth)
{
	MtWalk		walk;
	MtWalk		arms;
	MtElement	element;
	MtElement	arm;

	if (depth > MT_BSON_MAX_DEPTH || !mt_walk_begin(&walk, validator))
		return;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "$jsonSchema") && element.type == MT_BSON_DOCUMENT)
		{
			census->has_schema = true;
			add_schema(census, census->root, mt_element_value(&element), 0);
		}
		else if (MT_ELEMENT_IS(&element, "$and") && element.type == MT_BSON_ARRAY &&
				 mt_walk_begin(&arms, mt_element_value(&element)))
			while (mt_walk_next(&arms, &arm) == MT_WALK_ELEMENT)
				if (arm.type == MT_BSON_DOCUMENT)
					add_validator(census, mt_element_value(&arm), depth + 1);
	}
}

void
mt_census_add_validator(MtCensus *census, MtSlice validator)
{
	add_validator(census, validator, 0);
}

/* ---- types ---- */

/* Those seen and those allowed, but null and undefined, which any column reads. */
static uint32
types_of(const MtCensusField *field)
{
	uint32		result = field->schema_types;

	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		if (field->counts[i] > 0)
			result |= BIT(i);
	return result & ~NOTHING;
}

/*
 * A double holds every int32; whether it holds every int64 only a look at all
 * of them could tell, so it is enough that those of the sample do.
 */
static const char *
number_type(const MtCensusField *field, uint32 seen)
{
	if (seen & BIT(MT_CENSUS_DECIMAL))
		return "numeric";
	if (!(seen & BIT(MT_CENSUS_DOUBLE)))
		return seen & BIT(MT_CENSUS_LONG) ? "bigint" : "integer";
	if (field->has_large_long ||
		((field->schema_types & BIT(MT_CENSUS_LONG)) && field->counts[MT_CENSUS_LONG] == 0))
		return "numeric";
	return "double precision";
}

/* The type of a value that is no array; NULL: only jsonb. */
static const char *
scalar_type(const MtCensusField *field, bool own_types)
{
	uint32		seen = types_of(field);

	if (seen == 0)
		return NULL;
	if ((seen & ~NUMBERS) == 0)
		return number_type(field, seen);
	if (own_types && seen == BIT(MT_CENSUS_OBJECT_ID))
		return "mongo_tail.objectid";
	if (own_types && seen == BIT(MT_CENSUS_TIMESTAMP))
		return "mongo_tail.cluster_time";
	if ((seen & ~TEXTS) == 0)
		return field->has_bad_text ? NULL : "pg_catalog.text";
	if (seen == BIT(MT_CENSUS_BOOL))
		return "boolean";
	if (seen == BIT(MT_CENSUS_DATE))
		return field->has_far_date ? NULL : "timestamp with time zone";
	if (seen == BIT(MT_CENSUS_BINARY))
		return field->has_other_binary || field->counts[MT_CENSUS_BINARY] == 0 ? "pg_catalog.bytea" : "pg_catalog.uuid";
	return NULL;
}

const char *
mt_census_sql_type(const MtCensusField *field, bool own_types)
{
	const char *type = NULL;

	if (types_of(field) != BIT(MT_CENSUS_ARRAY))
		type = scalar_type(field, own_types);
	else if (field->elements != NULL && (type = scalar_type(field->elements, own_types)) != NULL)
		return psprintf("%s[]", type);
	return type != NULL ? type : "pg_catalog.jsonb";
}

bool
mt_census_has_path(const MtCensusField *field)
{
	return field->name_len > 0 && memchr(field->name, '.', field->name_len) == NULL &&
		!(field->parent->parent == NULL && strcmp(field->name, "$") == 0);
}

bool
mt_census_is_flat(const MtCensusField *field)
{
	dlist_iter	iter;
	dlist_head *fields = unconstify(dlist_head *, &field->fields);

	if (types_of(field) != BIT(MT_CENSUS_OBJECT) || field->n_fields == 0 || field->n_fields > MAX_FLAT_FIELDS)
		return false;
	dlist_foreach(iter, fields)
		if (!mt_census_has_path(dlist_container(MtCensusField, node, iter.cur)))
			return false;
	return true;
}

/* ---- text ---- */

static void
append_counts(StringInfo text, const MtCensusField *field)
{
	const char *separator = "";

	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		if (field->counts[i] > 0)
		{
			appendStringInfo(text, "%s%s " UINT64_FORMAT, separator, types[i].alias, field->counts[i]);
			separator = ", ";
		}
}

static void
append_schema_types(StringInfo text, uint32 allowed)
{
	const char *separator = "";

	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		if (allowed & BIT(i))
		{
			appendStringInfo(text, "%s%s", separator, types[i].alias);
			separator = " or ";
		}
}

/* The field itself, or the one that it is below, which an index has shown; NULL: the sample has. */
static const MtCensusField *
indexed(const MtCensusField *field)
{
	while (field != NULL && field->index == NULL)
		field = field->parent;
	return field;
}

char *
mt_census_text(const MtCensus *census, const MtCensusField *field)
{
	const MtCensusField *by_index = indexed(field);
	uint64		documents = by_index != NULL ? by_index->by_index : census->documents;
	StringInfoData text;
	uint64		present = 0;

	initStringInfo(&text);
	for (int i = 0; i < MT_CENSUS_TYPES; i++)
		present += field->counts[i];
	if (field->schema_types != 0)
	{
		append_schema_types(&text, field->schema_types);
		appendStringInfo(&text, " by the validator%s", census->documents > 0 ? "; " : "");
	}
	if (by_index != NULL)
		appendStringInfo(&text, "index %s; %s", by_index->index, documents == 0 ? "no documents sampled by it" : "");
	if (documents == 0)
		return text.data;
	appendStringInfo(&text, "of " UINT64_FORMAT " documents sampled%s: ", documents, by_index != NULL ? " by it" : "");
	append_counts(&text, field);
	if (field->elements != NULL && field->counts[MT_CENSUS_ARRAY] > 0)
	{
		appendStringInfoString(&text, " (of ");
		append_counts(&text, field->elements);
		appendStringInfoChar(&text, ')');
	}
	if (present < documents)
		appendStringInfo(&text, "%smissing " UINT64_FORMAT, present > 0 ? ", " : "", documents - present);
	return text.data;
}
