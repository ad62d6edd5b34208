/*
 * bson_to_jsonb.c
 *		BSON to jsonb, written directly in jsonb's binary form.
 *
 * The result is byte for byte what jsonb_in makes of MongoDB's relaxed
 * Extended JSON (version 2) of the document, but neither text nor JsonbValues
 * stand in between.  A container is converted in two steps: its elements are
 * collected, checked and (of an object) sorted by name, then written in that
 * order, containers in them by recursion.  An object with the names of an
 * earlier one is not sorted again (jsonb_shape.c).  A converter allocates nothing per
 * value; its buffers are kept from document to document.
 *
 * What a value becomes
 *
 *	double, finite		number; an integral one below 2^63 has its exact digits
 *						and ".0", every other one the shortest ones (float8out). -0.0 is
 *						0.0: numeric has no negative zero
 *	NaN, infinities		{"$numberDouble": "NaN"}, "Infinity", "-Infinity"
 *	int32, int64		number
 *	Decimal128			{"$numberDecimal": its canonical text}, all of them, as
 *						the text carries NaN, the exponent and zeros at the end
 *	string				string
 *	document, array		object, array; the names of an array's elements are not
 *						looked at, only their order
 *	bool, null			true, false (any byte but 0 is true), null
 *	date				{"$date": "2020-01-01T00:00:00.123Z"} from 1970 to 9999,
 *						milliseconds only when not 0; else {"$date":
 *						{"$numberLong": milliseconds}}
 *	ObjectId			{"$oid": 24 hex digits}
 *	binary				{"$binary": {"base64", "subType": 2 hex digits}}, UUIDs too
 *	regex				{"$regularExpression": {"pattern", "options"}}
 *	Timestamp			{"$timestamp": {"t", "i"}}
 *	code				{"$code"}, with scope {"$code", "$scope"}
 *	symbol, dbPointer	{"$symbol"}, {"$dbPointer": {"$ref", "$id"}}
 *	undefined, minKey, maxKey	{"$undefined": true}, {"$minKey": 1}, {"$maxKey": 1}
 *
 * What jsonb cannot hold
 *
 *	- NUL in a string, and bytes in strings and names that are not UTF-8: each
 *	  NUL and each maximal ill-formed part becomes U+FFFD ('?' when the
 *	  database's encoding is neither UTF8 nor SQL_ASCII).
 *	- Characters that the database's encoding lacks: error 22P05.
 *	- Names that occur twice, also only after such a substitution: the last one
 *	  wins, as in jsonb_in, or the first one, as in MongoDB's queries.
 *	- The order of names, and the width of numbers: 1 and NumberLong(1) are the
 *	  same, 1.0 differs only in how it prints.
 *	- A string or container over 256 MB: error 54000.
 *
 * Corrupt BSON and documents nested deeper than MongoDB allows are errors
 * 22P03 that say what is wrong at which byte.  Nothing is read outside the
 * document, and no time is quadratic in its size.
 */
#include "postgres.h"

#include "convert/jsonb_build.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

/* Buffers larger than this are not kept from document to document. */
#define MT_JSONB_KEEP_BYTES (1024 * 1024)

#define MT_JSONB_FIRST_BYTES 8192
#define MT_JSONB_FIRST_ELEMENTS 128

/* Up to so many elements of an object are sorted as they come. */
#define MT_JSONB_INSERTION_MAX 24

/* A container as collected: its elements on the builder's stack */
typedef struct MtJsonbContainer
{
	size_t		first;			/* element */
	size_t		n_elements;
	size_t		key_bytes;		/* of all keys, at most */
	bool		is_object;
} MtJsonbContainer;

MtJsonbBuilder *
mt_jsonb_builder_create(MemoryContext context)
{
	MtJsonbBuilder *builder = MemoryContextAllocZero(context, sizeof(MtJsonbBuilder));

	builder->context = context;
	builder->scratch = AllocSetContextCreate(context, "mongo_tail jsonb scratch",
											 ALLOCSET_START_SMALL_SIZES);
	builder->server_is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	builder->day = -1;
	return builder;
}

void
mt_jsonb_builder_keep_first(MtJsonbBuilder *builder)
{
	builder->first_wins = true;
}

void
mt_jsonb_corrupt(const MtJsonbBuilder *builder, const void *at, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid BSON document"),
			 errdetail("There is %s at byte %zu of %u.", problem,
					   (size_t) ((const uint8 *) at - builder->document),
					   builder->document_bytes)));
}

void
mt_jsonb_too_large(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("BSON document is too large for jsonb"),
			 errdetail("The size of %s would exceed the maximum of %d bytes.", what,
					   JENTRY_OFFLENMASK)));
}

/* Grow the result's buffer to hold that many bytes after p. */
char *
mt_jsonb_grow(MtJsonbBuilder *builder, char *p, size_t bytes)
{
	size_t		used = mt_jsonb_offset(builder, p);
	size_t		capacity = (size_t) (builder->limit - builder->base) * 2;

	if (bytes > MaxAllocSize - used)
		mt_jsonb_too_large("the result");
	capacity = Min(Max(capacity, used + bytes), MaxAllocSize);
	builder->base = repalloc(builder->base, capacity);
	builder->limit = builder->base + capacity;
	return builder->base + used;
}

void
mt_jsonb_grow_elements(MtJsonbBuilder *builder)
{
	builder->elements_capacity *= 2;
	builder->elements = repalloc_huge(builder->elements,
									  builder->elements_capacity * sizeof(MtJsonbElement));
}

/*
 * Find the NUL of the name at p, and whether the name is all ASCII.  Returns
 * the name's length, or -1 when there is no NUL before end.
 */
static inline int64
scan_name(const uint8 *p, const uint8 *end, bool *is_ascii)
{
	const uint64 low_bits = UINT64CONST(0x0101010101010101);
	const uint64 high_bits = UINT64CONST(0x8080808080808080);
	const uint8 *begin = p;
	uint64		high = 0;

	for (; end - p >= 8; p += 8)
	{
		uint64		word = mt_le64(p);
		uint64		nul = (word - low_bits) & ~word & high_bits;

		if (nul != 0)
		{
			/* the lowest bit is the first NUL's; higher ones may be wrong */
			*is_ascii = ((high | (word & (nul - 1))) & high_bits) == 0;
			return p - begin + __builtin_ctzll(nul) / 8;
		}
		high |= word;
	}
	for (; p < end; p++)
	{
		if (*p == 0)
		{
			*is_ascii = (high & high_bits) == 0;
			return p - begin;
		}
		high |= *p;
	}
	return -1;
}

/* See MtJsonbElement. */
static inline uint64
order_of(const char *key, uint32 len)
{
	uint32		head = 0;

	if (len >= 4)
	{
		memcpy(&head, key, 4);
		head = pg_ntoh32(head);
	}
	else
	{
		for (uint32 i = 0; i < len; i++)
			head |= (uint32) (uint8) key[i] << (24 - 8 * i);
	}
	return (uint64) len << 32 | head;
}

/* Put the element that was just pushed where it belongs among its siblings. */
static inline void
insert_sorted(MtJsonbBuilder *builder, MtJsonbContainer *container)
{
	MtJsonbElement *first = builder->elements + container->first;
	MtJsonbElement *last = first + container->n_elements - 1;
	MtJsonbElement element = *last;
	MtJsonbElement *place = last;
	int			order = 1;

	while (place > first && (order = mt_jsonb_compare_keys(place - 1, &element)) > 0)
	{
		*place = place[-1];
		place--;
	}
	if (likely(order != 0))
	{
		*place = element;
		return;
	}
	if (!builder->first_wins)
		place[-1] = element;
	memmove(place, place + 1, (size_t) (last - place) * sizeof(MtJsonbElement));
	builder->n_elements--;
	container->n_elements--;
}

static bool
is_known_type(uint8 type)
{
	return (type >= MT_BSON_DOUBLE && type <= MT_BSON_DECIMAL128) ||
		type == MT_BSON_MAXKEY || type == MT_BSON_MINKEY;
}

/*
 * Collect the elements from p to end on the builder's stack: checked, and of
 * an object sorted and without duplicates.
 */
static void
collect(MtJsonbBuilder *builder, const uint8 *p, const uint8 *end, MtJsonbContainer *container)
{
	bool		is_unsorted = false;

	container->first = builder->n_elements;
	container->n_elements = 0;
	container->key_bytes = 0;
	while (p < end)
	{
		MtJsonbElement *element;
		const char *key = (const char *) p + 1;
		bool		is_ascii;
		int64		name_len = scan_name(p + 1, end, &is_ascii);
		uint8		type = *p;
		const uint8 *value = p + 1 + name_len + 1;
		int64		value_len;

		if (name_len < 0)
			mt_jsonb_corrupt(builder, p, "an element whose name does not end");
		value_len = mt_bson_value_length(type, value, (size_t) (end - value));
		if (value_len < 0)
			mt_jsonb_corrupt(builder, p, is_known_type(type) ? "an element of wrong length" :
							 "an element of unknown type");
		p = value + value_len;

		if (builder->n_elements == builder->elements_capacity)
			mt_jsonb_grow_elements(builder);
		element = &builder->elements[builder->n_elements++];
		container->n_elements++;
		element->type = type;
		element->value_offset = (uint32) (value - builder->document);
		if (container->is_object)
		{
			uint32		key_len = (uint32) name_len;

			if (!is_ascii || name_len > JENTRY_OFFLENMASK)
				key = mt_jsonb_rewrite_key(builder, key, &key_len);
			element->key = key;
			element->order = order_of(key, key_len);
			container->key_bytes += key_len;
			if (container->n_elements <= MT_JSONB_INSERTION_MAX && !is_unsorted)
				insert_sorted(builder, container);
			else
				is_unsorted = true;
		}
	}
	if (is_unsorted)
	{
		container->n_elements = mt_jsonb_sort(builder->context,
											  builder->elements + container->first,
											  container->n_elements, builder->first_wins);
		builder->n_elements = container->first + container->n_elements;
	}
	if (container->n_elements > JB_CMASK / 2)
		mt_jsonb_too_large("an object or array");
}

static char *put_container(MtJsonbBuilder *builder, char *p, const uint8 *begin, const uint8 *end,
						   bool is_object, int depth, JEntry *entry);

/* The document or array at value, whose length and end were checked. */
static inline char *
put_document(MtJsonbBuilder *builder, char *p, const uint8 *value, bool is_object, int depth,
			 JEntry *entry)
{
	StaticAssertStmt(MT_BSON_MAX_DEPTH == 200, "the message says so");
	if (depth > MT_BSON_MAX_DEPTH)
		mt_jsonb_corrupt(builder, value, "a document nested deeper than 200 levels");
	return put_container(builder, p, value + 4, value + mt_le32(value) - 1, is_object, depth, entry);
}

/* {"$code": ..., "$scope": {...}}, whose insides nobody has checked. */
static char *
put_code_with_scope(MtJsonbBuilder *builder, char *p, const uint8 *value, int depth, JEntry *entry)
{
	static const char *const keys[] = {"$code", "$scope"};
	const uint8 *end = value + mt_le32(value);
	const uint8 *code = value + 4;
	int64		code_len = mt_bson_value_length(MT_BSON_CODE, code, (size_t) (end - code));
	const uint8 *scope = code + code_len;
	size_t		begin = mt_jsonb_offset(builder, p);
	JEntry		values[2];

	if (code_len < 0)
		mt_jsonb_corrupt(builder, code, "a code of wrong length");
	if (mt_bson_value_length(MT_BSON_DOCUMENT, scope, (size_t) (end - scope)) != end - scope)
		mt_jsonb_corrupt(builder, scope, "a scope of wrong length");
	p = mt_jsonb_open_object(builder, p, 2, keys);
	p = mt_jsonb_put_text(builder, p, code + 4, (uint32) code_len - 5, &values[0]);
	p = put_document(builder, p, scope, true, depth + 1, &values[1]);
	mt_jsonb_close_object(builder, begin, 2, values);
	*entry = mt_jsonb_container_entry(builder, begin, p);
	return p;
}

/* A value that was checked to lie inside the document. */
static inline char *
put_value(MtJsonbBuilder *builder, char *p, uint8 type, const uint8 *value, int depth,
		  JEntry *entry)
{
	switch (type)
	{
		case MT_BSON_DOUBLE:
			return mt_jsonb_put_double(builder, p, mt_le_double(value), entry);
		case MT_BSON_STRING:
			return mt_jsonb_put_text(builder, p, value + 4, mt_le32(value) - 1, entry);
		case MT_BSON_DOCUMENT:
		case MT_BSON_ARRAY:
			return put_document(builder, p, value, type == MT_BSON_DOCUMENT, depth + 1, entry);
		case MT_BSON_OBJECTID:
			return mt_jsonb_put_objectid(builder, p, value, entry);
		case MT_BSON_BOOL:
			*entry = value[0] ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
			return p;
		case MT_BSON_DATE:
			return mt_jsonb_put_date(builder, p, (int64) mt_le64(value), entry);
		case MT_BSON_NULL:
			*entry = JENTRY_ISNULL;
			return p;
		case MT_BSON_CODE_W_SCOPE:
			return put_code_with_scope(builder, p, value, depth, entry);
		case MT_BSON_INT32:
			return mt_jsonb_put_int64(builder, p, (int32) mt_le32(value), entry);
		case MT_BSON_INT64:
			return mt_jsonb_put_int64(builder, p, (int64) mt_le64(value), entry);
		default:
			return mt_jsonb_put_extended(builder, p, type, value, entry);
	}
}

/* Where the next child's entry goes, and what is in front of that child */
typedef struct MtJsonbEntries
{
	size_t		offset;			/* in the buffer */
	size_t		index;			/* of the child */
	size_t		total;			/* bytes of the children so far */
} MtJsonbEntries;

/* Store a child's entry: a length, or every so often an offset instead. */
static inline void
put_entry(MtJsonbBuilder *builder, MtJsonbEntries *entries, JEntry entry)
{
	entries->total += JBE_OFFLENFLD(entry);
	if (unlikely(entries->total > JENTRY_OFFLENMASK))
		mt_jsonb_too_large("an object or array");
	if (entries->index % JB_OFFSET_STRIDE == 0)
		entry = (entry & JENTRY_TYPEMASK) | (JEntry) entries->total | JENTRY_HAS_OFF;
	mt_jsonb_store32(builder->base + entries->offset, entry);
	entries->offset += sizeof(JEntry);
	entries->index++;
}

/* Write an object's keys and their entries behind its header. */
static char *
put_keys(MtJsonbBuilder *builder, char *p, const MtJsonbContainer *container, MtJsonbEntries *entries)
{
	const MtJsonbElement *element = builder->elements + container->first;

	for (size_t i = 0; i < container->n_elements; i++, element++)
	{
		uint32		len = MT_JSONB_KEY_BYTES(element);

		mt_jsonb_copy(p, element->key, len);
		p += len;
		put_entry(builder, entries, JENTRY_ISSTRING | len);
	}
	return p;
}

/* The same of a shape's. */
static inline char *
put_known_keys(MtJsonbBuilder *builder, char *p, const MtJsonbShape *shape, MtJsonbEntries *entries)
{
	memcpy(builder->base + entries->offset, shape->entries, shape->n * sizeof(JEntry));
	entries->offset += shape->n * sizeof(JEntry);
	entries->index = shape->n;
	entries->total = shape->keys_bytes;
	memcpy(p, shape->keys, shape->keys_bytes);
	return p + shape->keys_bytes;
}

/*
 * Collect an object's elements: NULL, or the shape that they have.
 */
static inline const MtJsonbShape *
collect_object(MtJsonbBuilder *builder, const uint8 *begin, const uint8 *end, int depth,
			   MtJsonbContainer *container)
{
	int			slot = mt_jsonb_shape_slot(begin, end, depth);
	const MtJsonbShape *shape;

	container->first = builder->n_elements;
	if (slot >= 0 && (shape = mt_jsonb_match_shape(builder, slot, begin, end)) != NULL)
	{
		container->n_elements = shape->n;
		container->key_bytes = shape->keys_bytes;
		return shape;
	}
	collect(builder, begin, end, container);
	if (slot >= 0)
		mt_jsonb_learn_shape(builder, slot, begin, end, builder->elements + container->first,
							 container->n_elements);
	return NULL;
}

/* The elements from begin to end as an object or an array. */
static char *
put_container(MtJsonbBuilder *builder, char *p, const uint8 *begin, const uint8 *end,
			  bool is_object, int depth, JEntry *entry)
{
	size_t		begin_offset = mt_jsonb_offset(builder, p);
	MtJsonbContainer container = {.is_object = is_object};
	MtJsonbEntries entries = {0};
	const MtJsonbShape *shape = NULL;
	size_t		entries_bytes;

	check_stack_depth();
	if (is_object)
		shape = collect_object(builder, begin, end, depth, &container);
	else
		collect(builder, begin, end, &container);
	entries_bytes = container.n_elements * (is_object ? 2 : 1) * sizeof(JEntry);

	p = mt_jsonb_room(builder, p, entries_bytes + container.key_bytes + MT_JSONB_VALUE_BYTES);
	p = mt_jsonb_pad(p);
	mt_jsonb_store32(p, (uint32) container.n_elements | (is_object ? JB_FOBJECT : JB_FARRAY));
	p += sizeof(uint32);
	entries.offset = mt_jsonb_offset(builder, p);
	p += entries_bytes;
	if (shape != NULL)
		p = put_known_keys(builder, p, shape, &entries);
	else if (is_object)
		p = put_keys(builder, p, &container, &entries);
	for (size_t i = 0; i < container.n_elements; i++)
	{
		/* the stack may move while a value is written */
		const MtJsonbElement *element = builder->elements + container.first + i;
		JEntry		child;

		p = put_value(builder, p, element->type, builder->document + element->value_offset,
					  depth, &child);
		put_entry(builder, &entries, child);
	}
	builder->n_elements = container.first;
	*entry = mt_jsonb_container_entry(builder, begin_offset, p);
	return p;
}

/* A buffer of the wanted size; a huge one of an earlier document is let go. */
static void *
first_buffer(MtJsonbBuilder *builder, void *buffer, size_t capacity_bytes, size_t bytes)
{
	if (buffer != NULL && capacity_bytes <= MT_JSONB_KEEP_BYTES)
		return buffer;
	if (buffer != NULL)
		pfree(buffer);
	return MemoryContextAlloc(builder->context, bytes);
}

/*
 * Make the builder ready for a document, also after an error has left it in
 * the middle of another one.
 */
static void
begin_document(MtJsonbBuilder *builder, MtSlice document)
{
	size_t		base_bytes = (size_t) (builder->limit - builder->base);
	size_t		elements_bytes = builder->elements_capacity * sizeof(MtJsonbElement);
	char	   *base = builder->base;
	MtJsonbElement *elements = builder->elements;

	if (base == NULL || base_bytes > MT_JSONB_KEEP_BYTES)
	{
		builder->base = builder->limit = NULL;
		builder->base = first_buffer(builder, base, base_bytes, MT_JSONB_FIRST_BYTES);
		builder->limit = builder->base + MT_JSONB_FIRST_BYTES;
	}
	if (elements == NULL || elements_bytes > MT_JSONB_KEEP_BYTES)
	{
		builder->elements = NULL;
		builder->elements_capacity = 0;
		builder->elements = first_buffer(builder, elements, elements_bytes,
										 MT_JSONB_FIRST_ELEMENTS * sizeof(MtJsonbElement));
		builder->elements_capacity = MT_JSONB_FIRST_ELEMENTS;
	}
	if (builder->scratch_is_used)
	{
		MemoryContextReset(builder->scratch);
		builder->scratch_is_used = false;
	}
	builder->n_elements = 0;
	builder->document = document.data;
	builder->document_bytes = document.len;
}

/* The elements from begin to end as a whole jsonb value. */
static Jsonb *
build(MtJsonbBuilder *builder, const uint8 *begin, const uint8 *end)
{
	char	   *p;
	JEntry		root;

	p = put_container(builder, builder->base + VARHDRSZ, begin, end, true, 0, &root);
	SET_VARSIZE(builder->base, p - builder->base);
	return (Jsonb *) builder->base;
}

Jsonb *
mt_bson_to_jsonb(MtJsonbBuilder *builder, MtSlice document)
{
	MtWalk		walk;

	begin_document(builder, document);
	if (!mt_walk_begin(&walk, document))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid BSON document"),
				 errdetail("Its length is not that of its %u bytes, or its last byte is not 0.",
						   document.len)));
	return build(builder, walk.p, walk.end);
}

Jsonb *
mt_bson_element_to_jsonb(MtJsonbBuilder *builder, MtSlice element)
{
	MtWalk		walk = {element.data, element.data + element.len};
	MtElement	checked;

	begin_document(builder, element);
	if (mt_walk_next(&walk, &checked) != MT_WALK_ELEMENT || walk.p != walk.end)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid BSON element"),
				 errdetail("Its length is not that of its %u bytes.", element.len)));
	return build(builder, element.data, walk.end);
}
