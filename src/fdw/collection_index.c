/*
 * collection_index.c
 *		Which index MongoDB would use for a find.
 *
 * MongoDB tries the indexes whose leading fields a filter bounds, and always
 * prefers one to reading the collection; it is taken to choose the one by which
 * it fetches least.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"

#include "condition/json.h"
#include "condition/shippable.h"
#include "fdw/collection_index.h"

typedef enum BoundKind
{
	BOUND_NONE,
	BOUND_RANGE,
	BOUND_NULL,					/* the field is null or missing */
	BOUND_EQUAL,				/* to each of some values */
	BOUND_POINT					/* to one value */
} BoundKind;

/* What a condition says of a path. */
typedef struct Bound
{
	BoundKind	kind;
	const char *path;
	bool		compares_text;	/* perhaps: so by bytes */
	RestrictInfo *clause;
} Bound;

/* ---- bounds ---- */

/* Does the pattern of a LIKE begin with what any text has? */
static bool
is_open_pattern(const MtLeaf *leaf, List *values)
{
	const Const *pattern = list_nth(values, leaf->value);
	char	   *begin;

	if (!IsA(pattern, Const) || pattern->constisnull || pattern->consttype != TEXTOID)
		return false;
	begin = TextDatumGetCString(pattern->constvalue);
	return begin[0] == '%' || begin[0] == '_';
}

static BoundKind
strategy_kind(const MtLeaf *leaf, List *values)
{
	switch (leaf->strategy)
	{
		case BTEqualStrategyNumber:
			return BOUND_POINT;
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
		case BTGreaterStrategyNumber:
		case BTGreaterEqualStrategyNumber:
		case MT_PREFIX_STRATEGY:
			return BOUND_RANGE;
		case MT_LIKE_STRATEGY:
			return is_open_pattern(leaf, values) ? BOUND_NONE : BOUND_RANGE;
		default:
			return BOUND_NONE;
	}
}

static bool
is_known_value(const Node *value)
{
	return IsA(value, Const) && !((const Const *) value)->constisnull;
}

/* Arrays, and arrays in arrays of json, are asked for by two arms, one of which no index answers: see put_elements. */
static BoundKind
leaf_kind(const MtLeaf *leaf, List *values)
{
	switch (leaf->kind)
	{
		case MT_CONDITION_COMPARE:
			return strategy_kind(leaf, values);
		case MT_CONDITION_ANY:
		case MT_CONDITION_ALL:
			return Min(strategy_kind(leaf, values), BOUND_EQUAL);
		case MT_CONDITION_NULL:
			return BOUND_NULL;
		case MT_CONDITION_NOT_DISTINCT:
			return is_known_value(list_nth(values, leaf->value)) ? BOUND_POINT : BOUND_NULL;
		case MT_CONDITION_TIME:
		case MT_CONDITION_TIME_ANY:
		case MT_CONDITION_TIME_ALL:
			return BOUND_RANGE;
		case MT_CONDITION_JSON:
			if (leaf->nested >= 0)
				return BOUND_NONE;
			return leaf->strategy % 256 >= MT_JSON_NUMBER ? BOUND_RANGE : BOUND_EQUAL;
		default:
			return BOUND_NONE;
	}
}

/* The paths that a leaf compares, as its filter names them. */
static List *
leaf_paths(const MtCollectionColumn *columns, const MtLeaf *leaf, List *values)
{
	const MtCollectionColumn *column = &columns[leaf->column];
	const Const *path;

	if (leaf->kind != MT_CONDITION_JSON)
		return list_make1(column->path);
	path = list_nth(values, leaf->path);
	return mt_json_compared_paths(column, TextDatumGetCString(path->constvalue), (MtJsonTest) (leaf->strategy % 256),
								  leaf->value >= 0 ? list_nth(values, leaf->value) : NULL);
}

/* Bounds of all the paths that a leaf compares. */
static List *
leaf_bounds(const MtCollectionColumn *columns, List *condition, const MtShippedClause *shipped)
{
	MtLeaf		leaf = mt_condition_leaf(condition);
	BoundKind	kind = leaf_kind(&leaf, shipped->values);
	List	   *bounds = NIL;
	ListCell   *cell;

	if (kind == BOUND_NONE)
		return NIL;
	foreach(cell, leaf_paths(columns, &leaf, shipped->values))
	{
		Bound	   *bound = palloc(sizeof *bound);

		bound->kind = kind;
		bound->path = lfirst(cell);
		bound->compares_text = leaf.kind == MT_CONDITION_JSON || mt_class_is_text(columns[leaf.column].class);
		bound->clause = shipped->clause;
		bounds = lappend(bounds, bound);
	}
	return bounds;
}

static void
widen(Bound *common, const Bound *bound)
{
	if (common->kind == BOUND_NULL || bound->kind == BOUND_NULL)
		common->kind = BOUND_NULL;
	else if (common->kind == BOUND_RANGE || bound->kind == BOUND_RANGE)
		common->kind = BOUND_RANGE;
	else
		common->kind = BOUND_EQUAL;
	common->compares_text |= bound->compares_text;
}

/* One path that each arm of an OR bounds; NULL: there is none. */
static Bound *
or_bound(const MtCollectionColumn *columns, List *arms, const MtShippedClause *shipped)
{
	Bound	   *common = NULL;
	ListCell   *cell;

	foreach(cell, arms)
	{
		List	   *arm = lfirst(cell);
		List	   *bounds = IsA(arm, IntList) ? leaf_bounds(columns, arm, shipped) : NIL;
		Bound	   *bound = list_length(bounds) == 1 ? linitial(bounds) : NULL;

		if (bound == NULL || (common != NULL && strcmp(bound->path, common->path) != 0))
			return NULL;
		if (common == NULL)
			common = bound;
		else
			widen(common, bound);
	}
	return common;
}

/* Append what a condition that must hold says. */
static List *
add_bounds(List *bounds, const MtCollectionColumn *columns, List *condition, const MtShippedClause *shipped)
{
	Bound	   *bound;
	ListCell   *cell;

	if (IsA(condition, IntList))
		return list_concat(bounds, leaf_bounds(columns, condition, shipped));
	if (intVal(linitial(condition)) == MT_CONDITION_OR)
	{
		bound = or_bound(columns, lsecond(condition), shipped);
		return bound != NULL ? lappend(bounds, bound) : bounds;
	}
	foreach(cell, (List *) lsecond(condition))
		bounds = add_bounds(bounds, columns, lfirst(cell), shipped);
	return bounds;
}

/* ---- indexes ---- */

/* Strings are compared by their bytes, which such an index has not. */
static bool
can_use(const MtCollectionIndex *index, const Bound *bound)
{
	return !(index->has_collation && bound->compares_text) &&
		!(index->is_sparse && bound->kind == BOUND_NULL);
}

static bool
is_of_field(const MtCollectionIndex *index, const MtIndexField *field, const Bound *bound)
{
	const char *path = bound->path;
	size_t		len = strlen(field->path);

	if (!index->is_wildcard)
		return strcmp(path, field->path) == 0;
	return len == 0 || (strncmp(path, field->path, len) == 0 && (path[len] == '\0' || path[len] == '.'));
}

/*
 * The clauses that an index's leading fields answer; NIL: MongoDB cannot use
 * it.  *is_point: each of its fields is given one value.
 */
static List *
index_clauses(const MtCollectionIndex *index, List *bounds, bool *is_point)
{
	List	   *clauses = NIL;
	bool		is_equal = true;
	ListCell   *cell;

	*is_point = true;
	for (int i = 0; i < index->n_fields && is_equal; i++)
	{
		BoundKind	kind = BOUND_NONE;
		const char *path = NULL;	/* of a wildcard index, which has one at a time */

		foreach(cell, bounds)
		{
			Bound	   *bound = lfirst(cell);

			if (!can_use(index, bound) || !is_of_field(index, &index->fields[i], bound) ||
				(index->fields[i].is_hashed && bound->kind < BOUND_EQUAL) ||
				(path != NULL && strcmp(path, bound->path) != 0))
				continue;
			path = bound->path;
			clauses = list_append_unique_ptr(clauses, bound->clause);
			kind = Max(kind, bound->kind);
		}
		is_equal = kind >= BOUND_EQUAL;
		*is_point = *is_point && kind == BOUND_POINT;
	}
	return clauses;
}

static void
consider(PlannerInfo *root, RelOptInfo *baserel, const MtCollectionIndex *index, List *bounds, MtIndexUse *best)
{
	bool		is_point;
	List	   *clauses = index_clauses(index, bounds, &is_point);
	double		fraction;

	if (clauses == NIL)
		return;
	fraction = clauselist_selectivity(root, clauses, (int) baserel->relid, JOIN_INNER, NULL);
	if (best->is_used && best->fraction <= fraction)
		return;
	best->is_used = true;
	best->fraction = fraction;
	best->finds_one = index->is_unique && is_point;
}

/*
 * An OR over several paths can be answered by as many indexes, if each arm has
 * one.
 */
static bool
arms_have_indexes(List *indexes, const MtCollectionColumn *columns, const MtShippedClause *shipped)
{
	ListCell   *cell;

	foreach(cell, (List *) lsecond(shipped->condition))
	{
		List	   *bounds = add_bounds(NIL, columns, lfirst(cell), shipped);
		bool		has_index = false;
		bool		is_point;
		ListCell   *index;

		foreach(index, indexes)
			has_index = has_index || index_clauses(lfirst(index), bounds, &is_point) != NIL;
		if (!has_index)
			return false;
	}
	return true;
}

static void
consider_or(PlannerInfo *root, RelOptInfo *baserel, List *indexes, const MtCollectionColumn *columns,
			const MtShippedClause *shipped, MtIndexUse *best)
{
	double		fraction;

	if (IsA(shipped->condition, IntList) || intVal(linitial(shipped->condition)) != MT_CONDITION_OR ||
		!arms_have_indexes(indexes, columns, shipped))
		return;
	fraction = clause_selectivity(root, (Node *) shipped->clause, (int) baserel->relid, JOIN_INNER, NULL);
	if (best->is_used && best->fraction <= fraction)
		return;
	best->is_used = true;
	best->fraction = fraction;
	best->finds_one = false;
}

MtIndexUse
mt_index_use(PlannerInfo *root, RelOptInfo *baserel, List *indexes, const MtCollectionColumn *columns,
			 List *shipped)
{
	MtIndexUse	best = {false, 1, false};
	List	   *bounds = NIL;
	ListCell   *cell;

	foreach(cell, shipped)
	{
		MtShippedClause *one = lfirst(cell);

		bounds = add_bounds(bounds, columns, one->condition, one);
		consider_or(root, baserel, indexes, columns, one, &best);
	}
	foreach(cell, indexes)
		consider(root, baserel, lfirst(cell), bounds, &best);
	return best;
}

/* ---- uniqueness ---- */

static IndexOptInfo *
imagined_index(RelOptInfo *baserel, AttrNumber attribute)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);

	index->rel = baserel;
	index->tuples = baserel->tuples;
	index->ncolumns = index->nkeycolumns = 1;
	index->indexkeys = palloc0(sizeof(int));
	index->indexkeys[0] = attribute;
	index->indexcollations = palloc0(sizeof(Oid));	/* all of no family: good for nothing */
	index->opfamily = palloc0(sizeof(Oid));
	index->opcintype = palloc0(sizeof(Oid));
	index->canreturn = palloc0(sizeof(bool));
	index->unique = true;
	index->immediate = false;	/* so that no join is planned as if it held */
	index->hypothetical = true;
	return index;
}

void
mt_index_show_unique(RelOptInfo *baserel, List *indexes, const MtCollectionColumn *columns)
{
	ListCell   *cell;

	foreach(cell, indexes)
	{
		MtCollectionIndex *index = lfirst(cell);

		if (!index->is_unique || index->n_fields != 1)
			continue;
		for (AttrNumber i = 0; i < baserel->max_attr; i++)
			if (columns[i].name != NULL && !columns[i].is_whole &&
				strcmp(columns[i].path, index->fields[0].path) == 0)
				baserel->indexlist = lappend(baserel->indexlist, imagined_index(baserel, i + 1));
	}
}
