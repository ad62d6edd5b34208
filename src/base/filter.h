/*
 * filter.h
 *		Namespace filters for PostgreSQL: compiled, or an error that says why not.
 */
#ifndef MT_FILTER_H
#define MT_FILTER_H

#include "base/tail_catalog.h"
#include "oplog/namespace_filter.h"

/* On malloc: the caller frees it.  ERROR 22023 on a bad pattern. */
extern MtNamespaceFilter *mt_filter_compile(char **includes, int n_includes,
											char **excludes, int n_excludes);

/* The filter of a tail. */
extern MtNamespaceFilter *mt_filter_of_tail(const MtTail *tail);

#endif							/* MT_FILTER_H */
