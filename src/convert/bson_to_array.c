/*
 * bson_to_array.c
 *		A BSON array to a PostgreSQL array.
 *
 * PostgreSQL's arrays are rectangular and do not say how deep they are by
 * their type: [[1, 2], [3, 4]] is a two-dimensional int[], [[1], [2, 3]] and
 * [1, [2]] are none.  An empty array has no dimensions, so [[]] is none
 * either, as it would read back as [].
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "convert/datum_target.h"

typedef struct ArrayBuild
{
	MtValueTarget *target;		/* of the elements */
	int			n_dimensions;	/* known so far; 0: none */
	int			lengths[MAXDIM];
	bool		is_leaf_known;	/* elements stand in dimension n_dimensions - 1 */
	Datum	   *values;
	bool	   *nulls;
	int			n_values;
	int			capacity;
} ArrayBuild;

static MtConvertResult
not_rectangular(ArrayBuild *build)
{
	return mt_mismatch(build->target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST,
					   "whose nested arrays must all be of the same length, and not empty");
}

static void
push(ArrayBuild *build, Datum value, bool isnull)
{
	if (build->n_values == build->capacity)
	{
		build->capacity *= 2;
		build->values = repalloc_huge(build->values, sizeof(Datum) * build->capacity);
		build->nulls = repalloc_huge(build->nulls, sizeof(bool) * build->capacity);
	}
	build->values[build->n_values] = value;
	build->nulls[build->n_values] = isnull;
	build->n_values++;
}

static MtConvertResult collect(ArrayBuild *build, MtSlice array, int depth);

/* One element of the array in dimension depth. */
static MtConvertResult
collect_element(ArrayBuild *build, const MtElement *element, int depth)
{
	bool		is_nested = element->type == MT_BSON_ARRAY && !build->target->holds_arrays;
	Datum		value = (Datum) 0;
	MtConvertResult result;

	if (is_nested)
	{
		if (build->is_leaf_known && depth == build->n_dimensions - 1)
			return not_rectangular(build);
		result = collect(build, mt_element_value(element), depth + 1);
		/* one of an element, not of the array's shape */
		if (result == MT_CONVERT_MISMATCH && build->target->mismatch->path != NULL)
			mt_mismatch_within(build->target->mismatch, build->target, element);
		return result;
	}
	if (depth != build->n_dimensions - 1)
		return not_rectangular(build);
	build->is_leaf_known = true;
	result = mt_convert_value(build->target, element, &value);
	if (result == MT_CONVERT_MISMATCH)
	{
		mt_mismatch_within(build->target->mismatch, build->target, element);
		return result;
	}
	push(build, value, result == MT_CONVERTED_NULL);
	return MT_CONVERTED;
}

static MtConvertResult
collect(ArrayBuild *build, MtSlice array, int depth)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult walked;
	int			length = 0;
	bool		is_first = depth == build->n_dimensions;

	if (is_first)
	{
		/* A deeper dimension than the elements seen so far stand in, or too many. */
		if (build->is_leaf_known || depth >= MAXDIM)
			return not_rectangular(build);
		build->n_dimensions++;
	}
	if (!mt_walk_begin(&walk, array))
		return mt_mismatch(build->target, ERRCODE_DATA_CORRUPTED, "and is corrupt");
	while ((walked = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		MtConvertResult result = collect_element(build, &element, depth);

		if (result != MT_CONVERTED)
			return result;
		length++;
	}
	if (walked == MT_WALK_CORRUPT)
		return mt_mismatch(build->target, ERRCODE_DATA_CORRUPTED, "and is corrupt");
	if (is_first)
		build->lengths[depth] = length;
	if (length != build->lengths[depth] || (length == 0 && depth > 0))
		return not_rectangular(build);
	return MT_CONVERTED;
}

MtConvertResult
mt_convert_array(MtValueTarget *target, const MtElement *element, Datum *value)
{
	Oid			type = OidIsValid(target->element->domain) ? target->element->domain : target->element->type;
	ArrayBuild	build;
	MtConvertResult result;
	int			bounds[MAXDIM];

	if (element->type != MT_BSON_ARRAY)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only arrays");
	memset(&build, 0, sizeof build);
	build.target = target->element;
	build.capacity = 16;
	build.values = palloc(sizeof(Datum) * build.capacity);
	build.nulls = palloc(sizeof(bool) * build.capacity);
	result = collect(&build, mt_element_value(element), 0);
	if (result != MT_CONVERTED)
		return result;
	if (build.n_values == 0)
	{
		*value = PointerGetDatum(construct_empty_array(type));
		return MT_CONVERTED;
	}
	for (int i = 0; i < MAXDIM; i++)
		bounds[i] = 1;
	*value = PointerGetDatum(construct_md_array(build.values, build.nulls, build.n_dimensions,
												build.lengths, bounds, type,
												target->element->typlen, target->element->typbyval,
												target->element->typalign));
	return MT_CONVERTED;
}
