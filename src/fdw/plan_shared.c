/*
 * plan_shared.c
 *		What planning is the same for every kind of foreign table.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "optimizer/optimizer.h"

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
