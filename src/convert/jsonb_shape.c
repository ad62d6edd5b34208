/*
 * jsonb_shape.c
 *		Objects whose names are those of one that came before.
 *
 * To sort an object's names is most of what its conversion costs, and most
 * documents of a collection, and the objects in them, have the same names in
 * the same order.  So of an object that was converted its names are remembered,
 * where each belongs in jsonb's order, and what jsonb has in front of the
 * values, ready to be copied.  An object that begins with the same name is
 * then first tried against that.
 *
 * There is one shape for a hash of first name and depth.  Where they keep missing
 * each other, remembering would cost more than it gains, so it is done seldom.
 */
#include "postgres.h"

#include "convert/jsonb_build.h"

/* After so many misses in a row, remember only one object in this many. */
#define MISSES_BEFORE_SELDOM 4
#define SELDOM 16

/* See jsonb_build.h. */
int
mt_jsonb_shape_slot(const uint8 *p, const uint8 *end, int depth)
{
	const uint64 low_bits = UINT64CONST(0x0101010101010101);
	const uint64 high_bits = UINT64CONST(0x8080808080808080);
	uint64		word;
	uint64		nul;

	if (end - p <= 8)
		return -1;
	word = mt_le64(p + 1);
	nul = (word - low_bits) & ~word & high_bits;
	word &= (nul & -nul) - 1;
	return (int) (((word ^ (uint64) depth) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) % MT_JSONB_SHAPES;
}

const MtJsonbShape *
mt_jsonb_match_shape(MtJsonbBuilder *builder, int slot, const uint8 *p, const uint8 *end)
{
	MtJsonbShape *shape = builder->shapes[slot];
	MtJsonbElement *elements;

	if (shape == NULL)
		return NULL;
	if (builder->elements_capacity - builder->n_elements < MT_JSONB_SHAPE_NAMES)
		mt_jsonb_grow_elements(builder);
	elements = builder->elements + builder->n_elements;
	shape->misses++;
	for (uint32 i = 0; i < shape->n; i++)
	{
		MtJsonbElement *element = &elements[shape->ranks[i]];
		const uint8 *value;
		int64		value_len;

		if (!mt_known_name_is_next(&shape->names[i], p, end))
			return NULL;
		value = p + 1 + shape->names[i].bytes;
		value_len = mt_bson_value_length(*p, value, (size_t) (end - value));
		if (value_len < 0)
			return NULL;
		element->type = *p;
		element->value_offset = (uint32) (value - builder->document);
		p = value + value_len;
	}
	if (p != end)
		return NULL;
	shape->misses = 0;
	builder->n_elements += shape->n;
	return shape;
}

/* Where the element whose value is at that offset stands among sorted ones. */
static uint8
rank_of(const MtJsonbElement *sorted, uint32 n, uint32 value_offset)
{
	uint32		rank = 0;

	while (rank < n - 1 && sorted[rank].value_offset != value_offset)
		rank++;
	return (uint8) rank;
}

void
mt_jsonb_learn_shape(MtJsonbBuilder *builder, int slot, const uint8 *p, const uint8 *end,
					 const MtJsonbElement *sorted, size_t n)
{
	MtJsonbShape *shape = builder->shapes[slot];
	uint8	   *room;
	MtWalk		walk = {p, end};
	MtElement	element;
	uint32		keys_bytes = 0;

	if (n == 0 || n > MT_JSONB_SHAPE_NAMES ||
		(shape != NULL && shape->misses > MISSES_BEFORE_SELDOM && shape->misses % SELDOM != 0))
		return;
	for (size_t i = 0; i < n; i++)
		keys_bytes += MT_JSONB_KEY_BYTES(&sorted[i]);
	if (keys_bytes > MT_JSONB_SHAPE_BYTES)
		return;
	if (shape == NULL)
		shape = builder->shapes[slot] = MemoryContextAllocZero(builder->context, sizeof *shape);
	shape->n = 0;
	shape->keys_bytes = 0;
	for (size_t i = 0; i < n; i++)
	{
		uint32		len = MT_JSONB_KEY_BYTES(&sorted[i]);

		memcpy(shape->keys + shape->keys_bytes, sorted[i].key, len);
		shape->keys_bytes += len;
		shape->entries[i] = JENTRY_ISSTRING |
			(i % JB_OFFSET_STRIDE == 0 ? shape->keys_bytes | JENTRY_HAS_OFF : len);
	}
	room = shape->name_bytes;
	while (mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
	{
		/* more of them than sorted ones: a name came twice */
		if (shape->n == n || room + element.name_len + 1 > shape->name_bytes + sizeof shape->name_bytes)
		{
			shape->n = 0;
			return;
		}
		memcpy(room, element.name, element.name_len + 1);
		mt_known_name_set(&shape->names[shape->n], room, element.name_len);
		room += element.name_len + 1;
		shape->ranks[shape->n++] = rank_of(sorted, (uint32) n, (uint32) (element.value - builder->document));
	}
}
