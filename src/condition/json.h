/*
 * json.h
 *		Conditions on what stands in a column of json or jsonb.
 */
#ifndef MT_CONDITION_JSON_H
#define MT_CONDITION_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/primnodes.h"

#include "condition/column.h"

/* What is asked of the value at a path of a column. */
typedef enum MtJsonTest
{
	MT_JSON_NONE,
	MT_JSON_TEXT_EQUAL,			/* ->> = text */
	MT_JSON_TEXT_IN,			/* ->> = ANY (text[]) */
	MT_JSON_EQUAL,				/* -> = jsonb */
	MT_JSON_CONTAINS,			/* @> jsonb */
	MT_JSON_HAS_KEY,			/* ? text */
	MT_JSON_HAS_ANY,			/* ?| text[] */
	MT_JSON_HAS_ALL,			/* ?& text[] */
	MT_JSON_PRESENT,			/* ->> IS NOT NULL */
	MT_JSON_NUMBER,				/* (->>)::type operator number, by strategy */
	MT_JSON_RANGE				/* a number of json operator numeric, by strategy */
} MtJsonTest;

typedef struct MtJsonClause
{
	MtJsonTest	test;			/* MT_JSON_NONE: the clause is none that can be sent */
	Var		   *column;
	char	   *path;			/* below the column, dotted and in UTF-8; "": it itself */
	Node	   *value;			/* NULL: of MT_JSON_PRESENT */
	Oid			type;			/* of the value */
	int			strategy;		/* of MT_JSON_NUMBER and MT_JSON_RANGE */
	int			nested;			/* what so many bytes of the path lead to may hold arrays in arrays; -1: nothing */
} MtJsonClause;

extern MtJsonClause mt_json_clause(Node *clause);

/* Does a key mean to MongoDB's paths what it means here? */
extern bool mt_json_key_is_plain(const char *key);

/*
 * What column @@ jsonpath, or column @? jsonpath, asks for; below keys that the
 * path already holds, and to which it appends.  False: none that can be sent.
 */
extern bool mt_jsonpath_clause(const Const *jsonpath, bool is_predicate, StringInfo path, MtJsonClause *clause);

/* Is the column one that such a clause can be sent for? */
extern bool mt_column_holds_json(const MtCollectionColumn *column);

/*
 * The paths of which a test's filter says that one of some values is there, or
 * (of MT_JSON_NUMBER) one of a range; as far as that can be told from the
 * expression of its value, which may be NULL.
 */
extern List *mt_json_compared_paths(const MtCollectionColumn *column, const char *path, MtJsonTest test,
									const Node *value);

/*
 * The superset of a test, as elements of a document.  False: it cannot be said,
 * and what was written is to be taken back.
 */
extern bool mt_json_put(StringInfo buffer, const MtCollectionColumn *column, const char *path,
						const MtJsonClause *clause, Datum value);

#endif							/* MT_CONDITION_JSON_H */
