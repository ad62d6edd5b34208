/*
 * plan_shared.c
 *		What planning is the same for every kind of foreign table.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"

#include "fdw/plan_shared.h"

List *
mt_plan_wanted_attributes(RelOptInfo *baserel, List *clauses)
{
	Bitmapset  *attributes = NULL;
	List	   *list = NIL;
	int			member = -1;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &attributes);
	pull_varattnos((Node *) clauses, baserel->relid, &attributes);
	while ((member = bms_next_member(attributes, member)) >= 0)
	{
		int			attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum >= 0)
			list = lappend_int(list, attnum);
	}
	return list;
}

Bitmapset *
mt_plan_attribute_set(List *attributes, int n_attributes)
{
	Bitmapset  *set = NULL;
	ListCell   *cell;

	foreach(cell, attributes)
	{
		if (lfirst_int(cell) == 0)
			return n_attributes > 0 ? bms_add_range(NULL, 1, n_attributes) : NULL;
		set = bms_add_member(set, lfirst_int(cell));
	}
	return set;
}

List *
mt_plan_movable_clauses(PlannerInfo *root, RelOptInfo *baserel, ec_matches_callback_type is_wanted)
{
	List	   *candidates = list_copy(baserel->joininfo);
	List	   *clauses = NIL;
	ListCell   *cell;

	if (baserel->has_eclass_joins)
		candidates = list_concat(candidates,
								 generate_implied_equalities_for_column(root, baserel, is_wanted, NULL,
																		baserel->lateral_referencers));
	foreach(cell, candidates)
		if (join_clause_is_movable_to(lfirst_node(RestrictInfo, cell), baserel))
			clauses = lappend(clauses, lfirst(cell));
	return clauses;
}

List *
mt_plan_outers(RelOptInfo *baserel, List *join_clauses)
{
	List	   *outers = list_make1(bms_copy(baserel->lateral_relids));
	ListCell   *cell;

	foreach(cell, join_clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
		Relids		outer = bms_union(clause->clause_relids, baserel->lateral_relids);
		ListCell   *known;
		bool		is_known = false;

		outer = bms_del_member(outer, (int) baserel->relid);
		foreach(known, outers)
			is_known |= bms_equal(lfirst(known), outer);
		if (!is_known)
			outers = lappend(outers, outer);
	}
	return outers;
}
