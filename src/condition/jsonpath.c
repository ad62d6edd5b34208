/*
 * jsonpath.c
 *		What of a jsonpath can be asked for, as a superset.
 *
 * In lax mode a key is looked for in a document, or in the documents that are
 * elements of an array, as MongoDB does; and a comparison looks at a value, or
 * at the elements of an array, as MongoDB does, too.  But each [*] and each
 * filter takes arrays apart by itself: what they see may lie in one array more
 * than MongoDB looks into.  So whatever has an array in an array where they
 * stand passes; there may be one such place.
 *
 * Of && one side is enough.  What follows a filter, or another step that is not
 * known here, can only make less of what is found.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/jsonb.h"
#include "utils/jsonpath.h"

#include "condition/json.h"

typedef struct Walk
{
	StringInfo	path;
	MtJsonClause *clause;
} Walk;

typedef enum Stop
{
	STOP_END,
	STOP_FILTER,
	STOP_OTHER,					/* a step that is not known */
	STOP_BAD					/* one that cannot be said */
} Stop;

/* ---- paths ---- */

/* A number is a key to PostgreSQL, and to MongoDB also an index. */
static bool
add_key(Walk *walk, JsonPathItem *item)
{
	int			len;
	char	   *bytes = jspGetString(item, &len);
	char	   *key = pnstrdup(bytes, len);

	if (!mt_json_key_is_plain(key) || strspn(key, "0123456789") == (size_t) len)
		return false;
	appendStringInfo(walk->path, "%s%s", walk->path->len > 0 ? "." : "", key);
	return true;
}

static bool
add_nested(Walk *walk)
{
	if (walk->clause->nested >= 0 && walk->clause->nested != walk->path->len)
		return false;
	walk->clause->nested = walk->path->len;
	return true;
}

/* From $ or @ as far as keys and [*] lead; item becomes what it stops at. */
static Stop
follow(Walk *walk, JsonPathItem *item)
{
	JsonPathItem next;

	while (jspGetNext(item, &next))
	{
		*item = next;
		if (item->type == jpiKey ? !add_key(walk, item) : item->type == jpiAnyArray && !add_nested(walk))
			return STOP_BAD;
		if (item->type != jpiKey && item->type != jpiAnyArray)
			return item->type == jpiFilter ? STOP_FILTER : STOP_OTHER;
	}
	return STOP_END;
}

/* ---- predicates ---- */

static int
strategy_of(JsonPathItemType type, bool commuted)
{
	switch (type)
	{
		case jpiEqual:
			return BTEqualStrategyNumber;
		case jpiLess:
			return commuted ? BTGreaterStrategyNumber : BTLessStrategyNumber;
		case jpiLessOrEqual:
			return commuted ? BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber;
		case jpiGreater:
			return commuted ? BTLessStrategyNumber : BTGreaterStrategyNumber;
		case jpiGreaterOrEqual:
			return commuted ? BTLessEqualStrategyNumber : BTGreaterEqualStrategyNumber;
		default:
			return 0;
	}
}

static bool
scalar_of(JsonPathItem *item, JsonbValue *value)
{
	if (item->type != jpiNull && item->type != jpiBool && item->type != jpiNumeric && item->type != jpiString)
		return false;
	if (jspHasNext(item))
		return false;
	switch (item->type)
	{
		case jpiNull:
			value->type = jbvNull;
			return true;
		case jpiBool:
			value->type = jbvBool;
			value->val.boolean = jspGetBool(item);
			return true;
		case jpiNumeric:
			value->type = jbvNumeric;
			value->val.numeric = jspGetNumeric(item);
			return true;
		default:
			value->type = jbvString;
			value->val.string.val = jspGetString(item, &value->val.string.len);
			return true;
	}
}

/* The order of numbers only: that of strings is another, and null is as little as null. */
static bool
set_value(MtJsonClause *clause, JsonbValue *value, int strategy)
{
	if (strategy == BTEqualStrategyNumber)
	{
		clause->test = MT_JSON_EQUAL;
		clause->value = (Node *) makeConst(JSONBOID, -1, InvalidOid, -1, JsonbPGetDatum(JsonbValueToJsonb(value)),
										   false, false);
		return true;
	}
	if (strategy == 0 || value->type != jbvNumeric)
		return false;
	clause->test = MT_JSON_RANGE;
	clause->strategy = strategy;
	clause->value = (Node *) makeConst(NUMERICOID, -1, InvalidOid, -1,
									   NumericGetDatum(DatumGetNumericCopy(NumericGetDatum(value->val.numeric))),
									   false, false);
	return true;
}

/* path operator scalar, where the path begins with $ or, in a filter, with @ */
static bool
take_comparison(Walk *walk, JsonPathItem path, JsonPathItem *scalar, JsonPathItemType begin, int strategy)
{
	JsonbValue	value;

	return path.type == begin && scalar_of(scalar, &value) && follow(walk, &path) == STOP_END &&
		set_value(walk->clause, &value, strategy);
}

static bool take_predicate(Walk *walk, JsonPathItem *item, JsonPathItemType begin);

/* The same, of which a failure leaves nothing behind. */
static bool
try_predicate(Walk *walk, JsonPathItem *item, JsonPathItemType begin)
{
	MtJsonClause before = *walk->clause;
	int			len = walk->path->len;

	if (take_predicate(walk, item, begin))
		return true;
	*walk->clause = before;
	walk->path->len = len;
	walk->path->data[len] = '\0';
	return false;
}

static bool
take_predicate(Walk *walk, JsonPathItem *item, JsonPathItemType begin)
{
	JsonPathItem left;
	JsonPathItem right;

	if (jspHasNext(item) || (item->type != jpiAnd && strategy_of(item->type, false) == 0))
		return false;
	jspGetLeftArg(item, &left);
	jspGetRightArg(item, &right);
	if (item->type == jpiAnd)
		return try_predicate(walk, &left, begin) || try_predicate(walk, &right, begin);
	return take_comparison(walk, left, &right, begin, strategy_of(item->type, false)) ||
		take_comparison(walk, right, &left, begin, strategy_of(item->type, true));
}

/* ---- clauses ---- */

/* That there is something: which passes a filter, if its predicate can be said. */
static bool
take_existence(Walk *walk, JsonPathItem *item)
{
	JsonPathItem predicate;
	Stop		stop = item->type == jpiRoot ? follow(walk, item) : STOP_BAD;

	if (stop == STOP_BAD)
		return false;
	if (stop == STOP_FILTER)
	{
		int			nested = walk->clause->nested;

		jspGetArg(item, &predicate);
		if (add_nested(walk) && try_predicate(walk, &predicate, jpiCurrent))
			return true;
		walk->clause->nested = nested;
	}
	walk->clause->test = MT_JSON_PRESENT;
	return walk->path->len > 0;
}

bool
mt_jsonpath_clause(const Const *jsonpath, bool is_predicate, StringInfo path, MtJsonClause *clause)
{
	JsonPath   *binary = DatumGetJsonPathP(jsonpath->constvalue);
	MtJsonClause found = {.test = MT_JSON_NONE, .nested = -1};
	Walk		walk = {path, &found};
	JsonPathItem item;

	if ((binary->header & JSONPATH_LAX) == 0)
		return false;
	jspInit(&item, binary);
	if (is_predicate ? !take_predicate(&walk, &item, jpiRoot) : !take_existence(&walk, &item))
		return false;
	*clause = found;
	return true;
}
