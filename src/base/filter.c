/*
 * filter.c
 *		Namespace filters for PostgreSQL.
 */
#include "postgres.h"

#include "base/filter.h"

MtNamespaceFilter *
mt_filter_compile(char **includes, int n_includes, char **excludes, int n_excludes)
{
	char		message[256];
	MtNamespaceFilter *filter;

	filter = mt_namespace_filter_new((const char *const *) includes, n_includes,
									 (const char *const *) excludes, n_excludes,
									 message, sizeof message);
	if (filter == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid namespace filter"),
				 errdetail_internal("%s", message),
				 errhint("A namespace is db.coll, db.*, *.coll or /regex/.")));
	return filter;
}

MtNamespaceFilter *
mt_filter_of_tail(const MtTail *tail)
{
	return mt_filter_compile(tail->includes, tail->n_includes, tail->excludes, tail->n_excludes);
}
