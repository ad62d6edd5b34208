/*
 * collection_group_result.c
 *		The results of a $group as rows, if they are PostgreSQL's: the proof that
 *		collection_group.c speaks of.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/numeric.h"

#include "fdw/collection_group.h"

/* Integers up to here are doubles, exactly. */
#define DOUBLE_INTEGERS 9007199254740992.0

/* Averages of nothing but zeros have the same scale for counts below this. */
#define SAME_SCALE_COUNT 10000

/* What is known of an aggregated column in a group. */
typedef struct Facts
{
	MtElement	sum;
	MtElement	average;
	MtElement	counted;
	MtElement	least;
	MtElement	greatest;
	double		count;			/* of values that are not NULL; -1: not known */
} Facts;

typedef struct Argument
{
	const MtCollectionColumn *column;	/* NULL: documents are counted */
	int			needs;
	MtColumnConverter *least;
	MtColumnConverter *greatest;
	Facts		facts;
	Datum		least_value;
	Datum		greatest_value;
	bool		is_empty;		/* it has a range, and no value */
} Argument;

typedef struct Key
{
	const MtCollectionColumn *column;
	MtColumnConverter *converter;
	MtBsonType	kind;			/* of text: what all keys so far were; 0: none yet */
	MtElement	element;
	Datum		value;
	bool		isnull;
} Key;

struct MtGroupReader
{
	const MtGrouping *grouping;
	MtSlice		namespace;
	int			n_keys;
	Key		   *keys;
	int			n_arguments;
	Argument   *arguments;
	int64		n;				/* documents in the group */
};

static MtColumnConverter *
converter_of(const MtCollectionColumn *column)
{
	/* that a value does not convert is for the local plan to tell */
	MtColumnTarget target = {column->type, column->typmod, column->name, column->path, true};

	return mt_column_converter_create(&target);
}

MtGroupReader *
mt_group_reader_create(const MtGrouping *grouping, const MtCollectionColumn *columns, const MtCollectionName *name)
{
	MtGroupReader *reader = palloc0(sizeof *reader);
	char	   *namespace = psprintf("%s.%s", name->database, name->collection);
	ListCell   *cell;

	reader->grouping = grouping;
	reader->namespace.data = (const uint8 *) namespace;
	reader->namespace.len = (uint32) strlen(namespace);
	reader->keys = palloc0(sizeof(Key) * (list_length(grouping->keys) + 1));
	reader->arguments = palloc0(sizeof(Argument) * (list_length(grouping->arguments) + 1));
	foreach(cell, grouping->keys)
	{
		Key		   *key = &reader->keys[reader->n_keys++];

		key->column = &columns[lfirst_int(cell)];
		key->converter = converter_of(key->column);
	}
	for (int i = 0; i < list_length(grouping->arguments); i++)
	{
		Argument   *argument = &reader->arguments[reader->n_arguments++];
		MtGroupArgument planned = mt_group_argument(grouping, i);

		argument->needs = planned.needs;
		if (planned.column < 0)
			continue;
		argument->column = &columns[planned.column];
		argument->least = converter_of(argument->column);
		argument->greatest = converter_of(argument->column);
	}
	return reader;
}

void
mt_group_reader_reset(MtGroupReader *reader)
{
	for (int i = 0; i < reader->n_keys; i++)
		reader->keys[i].kind = 0;
}

static bool
is_null(const MtElement *element)
{
	return element->name == NULL || element->type == MT_BSON_NULL;
}

/* As a double; NaN for what is no number. */
static double
number_of(const MtElement *element)
{
	switch (element->type)
	{
		case MT_BSON_INT32:
			return (int32) mt_le32(element->value);
		case MT_BSON_INT64:
			return (double) (int64) mt_le64(element->value);
		case MT_BSON_DOUBLE:
			return mt_le_double(element->value);
		default:
			return get_float8_nan();
	}
}

/* Of an int32 or int64. */
static int64
integer_of(const MtElement *element)
{
	return element->type == MT_BSON_INT32 ? (int32) mt_le32(element->value) : (int64) mt_le64(element->value);
}

static bool
is_integer(const MtElement *element)
{
	return element->type == MT_BSON_INT32 || element->type == MT_BSON_INT64;
}

/* ---- reading a result ---- */

static void
keep_fact(MtGroupReader *reader, const MtElement *element)
{
	int			index = atoi(element->name + 1);
	Facts	   *facts;

	if (element->name[0] == 'n')
		reader->n = is_integer(element) ? integer_of(element) : 0;
	if (element->name[0] == 'n' || index < 0 || index >= reader->n_arguments)
		return;
	facts = &reader->arguments[index].facts;
	switch (element->name[0])
	{
		case 's':
			facts->sum = *element;
			break;
		case 'a':
			facts->average = *element;
			break;
		case 'c':
			facts->counted = *element;
			break;
		case 'l':
			facts->least = *element;
			break;
		case 'h':
			facts->greatest = *element;
			break;
	}
}

/* MT_GROUP_UNKNOWN: some are missing. */
static MtGroupVerdict
keep_keys(MtGroupReader *reader, const MtElement *id)
{
	MtWalk		walk;
	MtElement	element;
	int			n = 0;

	if (reader->n_keys == 1)
		reader->keys[0].element = *id;
	if (reader->n_keys < 2)
		return MT_GROUP_GOOD;
	if ((id->type != MT_BSON_ARRAY && id->type != MT_BSON_DOCUMENT) || !mt_walk_begin(&walk, mt_element_value(id)))
		return MT_GROUP_ODD;
	while (n < reader->n_keys && mt_walk_next(&walk, &element) == MT_WALK_ELEMENT)
		reader->keys[n++].element = element;
	return n == reader->n_keys ? MT_GROUP_GOOD : MT_GROUP_UNKNOWN;
}

static MtGroupVerdict
read_result(MtGroupReader *reader, MtSlice document)
{
	MtWalk		walk;
	MtElement	element;
	MtWalkResult result = MT_WALK_END;
	MtGroupVerdict verdict = MT_GROUP_GOOD;

	if (!mt_walk_begin(&walk, document))
		return MT_GROUP_ODD;
	for (int i = 0; i < reader->n_arguments; i++)
		memset(&reader->arguments[i].facts, 0, sizeof(Facts));
	for (int i = 0; i < reader->n_keys; i++)
		reader->keys[i].element.name = NULL;
	reader->n = 0;
	while (verdict == MT_GROUP_GOOD && (result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		if (mt_element_is(&element, "_id", 3))
			verdict = keep_keys(reader, &element);
		else
			keep_fact(reader, &element);
	}
	return verdict == MT_GROUP_GOOD && result != MT_WALK_END ? MT_GROUP_ODD : verdict;
}

/* ---- proving that it is PostgreSQL's ---- */

/* Is that kind of value the same in a group's key as it is in a column? */
static bool
is_plain_key(Key *key)
{
	MtBsonType	type = key->element.type;
	double		number = number_of(&key->element);

	switch (key->column->class)
	{
		case MT_COMPARE_INTEGER:
			return true;
		case MT_COMPARE_FLOAT:
			return type != MT_BSON_DECIMAL128;
		case MT_COMPARE_NUMERIC:
			/* a double reads by its shortest digits, which another number may have */
			return is_integer(&key->element) || fabs(number) < DOUBLE_INTEGERS;
		case MT_COMPARE_TEXT:
			/* the digits of an ObjectId may be a string, too */
			type = type == MT_BSON_OBJECTID ? MT_BSON_OBJECTID : MT_BSON_STRING;
			if (key->kind == 0)
				key->kind = type;
			return key->kind == type;
		case MT_COMPARE_UUID:
			return type == MT_BSON_BINARY && key->element.value_len > 4 && key->element.value[4] == 4;
		default:
			return true;
	}
}

static bool
convert(MtGroupReader *reader, MtColumnConverter *converter, const MtElement *element, Datum *value)
{
	MtDocumentOrigin origin = {reader->namespace, {NULL, 0}, false};

	return mt_column_convert(converter, element, &origin, value);
}

static MtGroupVerdict
judge_key(MtGroupReader *reader, Key *key)
{
	key->value = (Datum) 0;
	key->isnull = is_null(&key->element);
	if (key->isnull)
		return MT_GROUP_GOOD;
	return is_plain_key(key) && convert(reader, key->converter, &key->element, &key->value) ?
		MT_GROUP_GOOD : MT_GROUP_ODD;
}

/* Types that stand beside each other in BSON's order have the same bracket. */
static int
bracket_of(MtBsonType type)
{
	switch (type)
	{
		case MT_BSON_INT32:
		case MT_BSON_INT64:
		case MT_BSON_DOUBLE:
		case MT_BSON_DECIMAL128:
			return MT_BSON_DOUBLE;
		case MT_BSON_SYMBOL:
			return MT_BSON_STRING;
		default:
			return type;
	}
}

/* Are both ends of the column's kind, so that all between are? */
static bool
judge_range(MtGroupReader *reader, Argument *argument)
{
	Facts	   *facts = &argument->facts;
	bool		is_float = argument->column->class == MT_COMPARE_FLOAT;

	argument->is_empty = is_null(&facts->least) && is_null(&facts->greatest);
	if (argument->is_empty)
		return true;
	if (is_null(&facts->least) || is_null(&facts->greatest) ||
		bracket_of(facts->least.type) != bracket_of(facts->greatest.type) ||
		!convert(reader, argument->least, &facts->least, &argument->least_value) ||
		!convert(reader, argument->greatest, &facts->greatest, &argument->greatest_value))
		return false;

	/* NaN is SQL's greatest and BSON's least number. */
	return !is_float || !isnan(DatumGetFloat8(argument->least_value));
}

static bool
judge_sum(const Argument *argument)
{
	const Facts *facts = &argument->facts;

	switch (argument->column->class)
	{
		case MT_COMPARE_INTEGER:
			return is_integer(&facts->sum);
		case MT_COMPARE_FLOAT:
			if (!isfinite(number_of(&facts->sum)))
				return false;

			/* an integer beyond is no float8, but a double beyond is */
			return !argument->column->null_on_mismatch || argument->is_empty ||
				(fabs(DatumGetFloat8(argument->least_value)) <= DOUBLE_INTEGERS &&
				 fabs(DatumGetFloat8(argument->greatest_value)) <= DOUBLE_INTEGERS);
		default:
			return true;
	}
}

/*
 * Sum over average; -1: that is no number of values in this group.  An average
 * too small to have all of a double's digits says nothing.
 */
static double
quotient(const MtGroupReader *reader, const Facts *facts)
{
	double		average = number_of(&facts->average);
	double		exact = number_of(&facts->sum) / average;
	double		count = rint(exact);

	return fabs(average) >= DBL_MIN && count >= 1 && count <= (double) reader->n && fabs(exact - count) < 0.01 ?
		count : -1;
}

/* How many values, by count or by sum and average. */
static MtGroupVerdict
judge_count(const MtGroupReader *reader, Argument *argument)
{
	Facts	   *facts = &argument->facts;
	int			needs = argument->needs;

	facts->count = -1;
	if (is_integer(&facts->counted))
		facts->count = (double) integer_of(&facts->counted);
	else if (needs & MT_NEED_ALL)
	{
		facts->count = quotient(reader, facts);
		return facts->count == (double) reader->n ? MT_GROUP_GOOD : MT_GROUP_UNKNOWN;
	}
	else if (!(needs & MT_NEED_AVG) && (needs & MT_NEED_RANGE))
		facts->count = argument->is_empty ? 0 : 1;
	else if (!(needs & MT_NEED_AVG))
	{
		facts->count = 1;
		return number_of(&facts->sum) != 0 ? MT_GROUP_GOOD : MT_GROUP_UNKNOWN;
	}
	else if (is_null(&facts->average))
		facts->count = 0;
	else if (number_of(&facts->sum) == 0)
	{
		facts->count = 1;
		return reader->n < SAME_SCALE_COUNT || argument->column->class == MT_COMPARE_FLOAT ?
			MT_GROUP_GOOD : MT_GROUP_UNKNOWN;
	}
	else
	{
		facts->count = quotient(reader, facts);
		return facts->count >= 0 ? MT_GROUP_GOOD : MT_GROUP_UNKNOWN;
	}
	return MT_GROUP_GOOD;
}

static MtGroupVerdict
judge(MtGroupReader *reader)
{
	MtGroupVerdict verdict = MT_GROUP_GOOD;

	for (int i = 0; i < reader->n_keys; i++)
		if (judge_key(reader, &reader->keys[i]) != MT_GROUP_GOOD)
			return MT_GROUP_ODD;
	for (int i = 0; i < reader->n_arguments; i++)
	{
		Argument   *argument = &reader->arguments[i];
		int			needs = argument->needs;

		argument->is_empty = false;
		if ((needs & MT_NEED_RANGE) && !judge_range(reader, argument))
			return MT_GROUP_ODD;
		if ((needs & MT_NEED_SUM) && !judge_sum(argument))
			return MT_GROUP_ODD;
		if (needs & (MT_NEED_COUNT | MT_NEED_AVG | MT_NEED_SOME | MT_NEED_ALL))
			verdict = Max(verdict, judge_count(reader, argument));
	}
	return verdict;
}

/* ---- values ---- */

static Datum
sum_of(const Argument *argument)
{
	const MtElement *sum = &argument->facts.sum;

	if (argument->column->class == MT_COMPARE_FLOAT)
		return Float8GetDatum(number_of(sum));
	if (argument->column->type == INT8OID)
		return NumericGetDatum(int64_to_numeric(integer_of(sum)));
	return Int64GetDatum(integer_of(sum));
}

/* As PostgreSQL's own avg ends: one division. */
static Datum
average_of(const Argument *argument)
{
	const Facts *facts = &argument->facts;

	if (argument->column->class == MT_COMPARE_FLOAT)
		return Float8GetDatum(number_of(&facts->sum) / facts->count);
	return DirectFunctionCall2(numeric_div, NumericGetDatum(int64_to_numeric(integer_of(&facts->sum))),
							   NumericGetDatum(int64_to_numeric((int64) facts->count)));
}

static Datum
output_value(const MtGroupReader *reader, MtOutputKind kind, int index, bool *isnull)
{
	const Argument *argument = &reader->arguments[index];

	*isnull = false;
	switch (kind)
	{
		case MT_OUTPUT_KEY:
			*isnull = reader->keys[index].isnull;
			return reader->keys[index].value;
		case MT_OUTPUT_COUNT_ALL:
			return Int64GetDatum(reader->n);
		case MT_OUTPUT_COUNT:
			return Int64GetDatum((int64) argument->facts.count);
		case MT_OUTPUT_SUM:
		case MT_OUTPUT_AVG:
			*isnull = argument->facts.count == 0;
			if (*isnull)
				return (Datum) 0;
			return kind == MT_OUTPUT_SUM ? sum_of(argument) : average_of(argument);
		default:
			*isnull = argument->is_empty;
			if (*isnull)
				return (Datum) 0;
			return kind == MT_OUTPUT_MIN ? argument->least_value : argument->greatest_value;
	}
}

static void
store_outputs(const MtGroupReader *reader, TupleTableSlot *slot)
{
	int			i = 0;
	ListCell   *cell;

	ExecClearTuple(slot);
	foreach(cell, reader->grouping->outputs)
	{
		List	   *output = lfirst(cell);

		slot->tts_values[i] = output_value(reader, (MtOutputKind) linitial_int(output), lsecond_int(output),
										   &slot->tts_isnull[i]);
		i++;
	}
	ExecStoreVirtualTuple(slot);
}

MtGroupVerdict
mt_group_reader_store(MtGroupReader *reader, MtSlice document, TupleTableSlot *slot)
{
	MtGroupVerdict verdict = read_result(reader, document);

	if (verdict == MT_GROUP_GOOD)
		verdict = judge(reader);
	if (verdict == MT_GROUP_GOOD)
		store_outputs(reader, slot);
	return verdict;
}

void
mt_group_reader_store_empty(MtGroupReader *reader, TupleTableSlot *slot)
{
	reader->n = 0;
	for (int i = 0; i < reader->n_arguments; i++)
	{
		memset(&reader->arguments[i].facts, 0, sizeof(Facts));
		reader->arguments[i].is_empty = true;
	}
	store_outputs(reader, slot);
}
