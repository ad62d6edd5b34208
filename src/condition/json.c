/*
 * json.c
 *		Which clauses ask for what stands in a column of json or jsonb.
 *
 * A path of ->, ->>, #>, #>> or subscripts is a dotted path of MongoDB's, as
 * far as its keys mean there what they mean here: none that is empty, holds a
 * dot or begins with $, and of #> none that is an array's index only to
 * PostgreSQL, as -1 and 01 are.  U+FFFD in a key may stand for bytes that it
 * replaced.
 *
 * MongoDB's paths also lead through arrays, so all of this is a superset, and
 * never exact.  Where a document has a name twice, json shows the first as
 * MongoDB compares the first (bson_to_datum.c).
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "condition/json.h"
#include "condition/operator.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Where a chain of operators leads. */
typedef struct Chain
{
	Var		   *column;
	StringInfoData path;
	bool		is_text;		/* its last operator gives text */
} Chain;

static Const *
constant(Node *node, Oid type)
{
	Const	   *value = (Const *) node;

	return node != NULL && IsA(node, Const) && value->consttype == type && !value->constisnull ? value : NULL;
}

bool
mt_json_key_is_plain(const char *key)
{
	return *key != '\0' && *key != '$' && strchr(key, '.') == NULL && strstr(key, REPLACEMENT) == NULL;
}

/* Would #> take the key as another array's index than MongoDB does? */
static bool
is_odd_index(const char *key)
{
	char	   *end;

	(void) strtol(key, &end, 10);
	if (end == key || *end != '\0')
		return false;
	return strspn(key, "0123456789") != strlen(key) || (key[0] == '0' && key[1] != '\0');
}

static void
add_key(Chain *chain, const char *key)
{
	if (chain->path.len > 0)
		appendStringInfoChar(&chain->path, '.');
	appendStringInfoString(&chain->path, key);
}

/*
 * One key of -> or of a subscript.  To -> a scalar is an array of it, to
 * MongoDB it is none: there, the first element is none that can be asked for.
 */
static bool
follow_key(Chain *chain, Node *node, int least_index)
{
	Const	   *name = constant(node, TEXTOID);
	Const	   *index = constant(node, INT4OID);
	char	   *key;

	if (name != NULL)
		key = TextDatumGetCString(name->constvalue);
	else if (index != NULL && DatumGetInt32(index->constvalue) >= least_index)
		key = psprintf("%d", DatumGetInt32(index->constvalue));
	else
		return false;
	if (!mt_json_key_is_plain(key))
		return false;
	add_key(chain, key);
	return true;
}

/* The keys of #> */
static bool
follow_path(Chain *chain, Node *node)
{
	Const	   *path = constant(node, TEXTARRAYOID);
	Datum	   *keys;
	bool	   *nulls;
	int			n;

	if (path == NULL)
		return false;
	deconstruct_array(DatumGetArrayTypeP(path->constvalue), TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *key = nulls[i] ? "" : TextDatumGetCString(keys[i]);

		if (!mt_json_key_is_plain(key) || is_odd_index(key))
			return false;
		add_key(chain, key);
	}
	return true;
}

static bool find_chain(Node *node, Chain *chain);

static bool
follow_operator(Chain *chain, OpExpr *operator)
{
	if (list_length(operator->args) != 2 || !find_chain(linitial(operator->args), chain) || chain->is_text)
		return false;
	switch (get_opcode(operator->opno))
	{
		case F_JSONB_OBJECT_FIELD_TEXT:
		case F_JSON_OBJECT_FIELD_TEXT:
		case F_JSONB_ARRAY_ELEMENT_TEXT:
		case F_JSON_ARRAY_ELEMENT_TEXT:
			chain->is_text = true;
			return follow_key(chain, lsecond(operator->args), 1);
		case F_JSONB_OBJECT_FIELD:
		case F_JSON_OBJECT_FIELD:
		case F_JSONB_ARRAY_ELEMENT:
		case F_JSON_ARRAY_ELEMENT:
			return follow_key(chain, lsecond(operator->args), 1);
		case F_JSONB_EXTRACT_PATH_TEXT:
		case F_JSON_EXTRACT_PATH_TEXT:
			chain->is_text = true;
			return follow_path(chain, lsecond(operator->args));
		case F_JSONB_EXTRACT_PATH:
		case F_JSON_EXTRACT_PATH:
			return follow_path(chain, lsecond(operator->args));
		default:
			return false;
	}
}

static bool
follow_subscripts(Chain *chain, SubscriptingRef *subscripts)
{
	ListCell   *cell;

	if (subscripts->refcontainertype != JSONBOID || subscripts->refassgnexpr != NULL ||
		subscripts->reflowerindexpr != NIL || !find_chain((Node *) subscripts->refexpr, chain))
		return false;
	foreach(cell, subscripts->refupperindexpr)
		if (!follow_key(chain, lfirst(cell), 0))
			return false;
	return true;
}

/* From an expression to its column. */
static bool
find_chain(Node *node, Chain *chain)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RelabelType:
			return find_chain((Node *) ((RelabelType *) node)->arg, chain);
		case T_Var:
			chain->column = (Var *) node;
			return true;
		case T_OpExpr:
			return follow_operator(chain, (OpExpr *) node);
		case T_SubscriptingRef:
			return follow_subscripts(chain, (SubscriptingRef *) node);
		default:
			return false;
	}
}

static bool
is_chain(Node *node, bool is_text, MtJsonClause *clause)
{
	Chain		chain = {0};

	initStringInfo(&chain.path);
	if (!find_chain(node, &chain) || chain.is_text != is_text)
		return false;
	clause->column = chain.column;
	clause->path = chain.path.data;
	return true;
}

/* ---- clauses ---- */

/* The text of a chain as a number: what a clause of it compares is that number. */
static bool
is_number_of_chain(Node *node, MtJsonClause *clause)
{
	CoerceViaIO *cast = (CoerceViaIO *) node;

	if (node == NULL || !IsA(node, CoerceViaIO))
		return false;
	switch (cast->resulttype)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT8OID:
		case NUMERICOID:
			return is_chain((Node *) cast->arg, true, clause);
		default:
			return false;
	}
}

static MtJsonTest
test_of_function(Oid function)
{
	switch (function)
	{
		case F_JSONB_CONTAINS:
			return MT_JSON_CONTAINS;
		case F_JSONB_EXISTS:
			return MT_JSON_HAS_KEY;
		case F_JSONB_EXISTS_ANY:
			return MT_JSON_HAS_ANY;
		case F_JSONB_EXISTS_ALL:
			return MT_JSON_HAS_ALL;
		case F_JSONB_EQ:
			return MT_JSON_EQUAL;
		default:
			return MT_JSON_NONE;
	}
}

/* left operator right, where left is the chain */
static MtJsonTest
test_of_operator(Oid operator, Oid collation, Node *left, Node *right, MtJsonClause *clause)
{
	if (is_chain(left, false, clause))
		return test_of_function(get_opcode(operator));
	if (is_chain(left, true, clause))
		return get_opcode(operator) == F_TEXTEQ && OidIsValid(collation) &&
			get_collation_isdeterministic(collation) ? MT_JSON_TEXT_EQUAL : MT_JSON_NONE;
	if (!is_number_of_chain(left, clause))
		return MT_JSON_NONE;
	clause->strategy = mt_number_strategy(exprType(left), exprType(right), operator);
	return clause->strategy != 0 && clause->strategy <= BTMaxStrategyNumber ? MT_JSON_NUMBER : MT_JSON_NONE;
}

/* chain @@ or @? a constant */
static MtJsonTest
test_of_jsonpath(OpExpr *operator, MtJsonClause *clause)
{
	Oid			function = get_opcode(operator->opno);
	Const	   *jsonpath = constant(lsecond(operator->args), JSONPATHOID);
	Chain		chain = {0};

	initStringInfo(&chain.path);
	if ((function != F_JSONB_PATH_MATCH_OPR && function != F_JSONB_PATH_EXISTS_OPR) || jsonpath == NULL ||
		!find_chain(linitial(operator->args), &chain) || chain.is_text ||
		!mt_jsonpath_clause(jsonpath, function == F_JSONB_PATH_MATCH_OPR, &chain.path, clause))
		return MT_JSON_NONE;
	clause->column = chain.column;
	clause->path = chain.path.data;
	return clause->test;
}

static void
operator_clause(OpExpr *operator, MtJsonClause *clause)
{
	Node	   *left = linitial(operator->args);
	Node	   *right;
	Oid			commutator;

	if (list_length(operator->args) != 2)
		return;
	right = lsecond(operator->args);
	clause->test = test_of_jsonpath(operator, clause);
	if (clause->test != MT_JSON_NONE)
		return;
	clause->value = right;
	clause->test = test_of_operator(operator->opno, operator->inputcollid, left, right, clause);
	if (clause->test != MT_JSON_NONE)
		return;
	commutator = get_commutator(operator->opno);
	clause->value = left;
	if (OidIsValid(commutator))
		clause->test = test_of_operator(commutator, operator->inputcollid, right, left, clause);
}

MtJsonClause
mt_json_clause(Node *node)
{
	MtJsonClause clause = {.test = MT_JSON_NONE, .nested = -1};
	ScalarArrayOpExpr *array = (ScalarArrayOpExpr *) node;
	NullTest   *test = (NullTest *) node;

	if (GetDatabaseEncoding() != PG_UTF8)
		return clause;
	if (IsA(node, OpExpr))
		operator_clause((OpExpr *) node, &clause);
	else if (IsA(node, ScalarArrayOpExpr) && array->useOr)
	{
		clause.value = lsecond(array->args);
		if (test_of_operator(array->opno, array->inputcollid, linitial(array->args), clause.value, &clause) ==
			MT_JSON_TEXT_EQUAL)
			clause.test = MT_JSON_TEXT_IN;
	}
	else if (IsA(node, NullTest) && test->nulltesttype == IS_NOT_NULL && !test->argisrow &&
			 (is_chain((Node *) test->arg, true, &clause) || is_chain((Node *) test->arg, false, &clause)))
		clause.test = *clause.path != '\0' ? MT_JSON_PRESENT : MT_JSON_NONE;
	if (clause.value != NULL)
		clause.type = exprType(clause.value);
	return clause;
}

bool
mt_column_holds_json(const MtCollectionColumn *column)
{
	return column->name != NULL && (column->base_type == JSONBOID || column->base_type == JSONOID) &&
		(column->is_whole || column->is_sendable);
}
