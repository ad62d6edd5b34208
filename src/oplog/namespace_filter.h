/*
 * namespace_filter.h
 *		Which namespaces a tail, reader or slot wants.
 *
 * A pattern is an exact "db.coll" (the collection may contain dots), "db.*",
 * "*.coll", "*.*" (or "*"), or "/regex/" in MongoDB's own dialect (PCRE),
 * matched anywhere in "db.coll" unless anchored.  A namespace passes when it
 * matches an include (or there is none) and no exclude.  admin, config, local
 * and MongoDB's internal collections (system.*, enxcol_.*, tmp.agg_out.*, ...)
 * never pass: the oplog holds password material there (oplog.md fact 15).
 *
 * A command passes by the collection that it names, a rename by either name,
 * a dropDatabase when any collection of that database might pass.
 */
#ifndef MT_NAMESPACE_FILTER_H
#define MT_NAMESPACE_FILTER_H

#include <bson/bson.h>

#include "oplog/bson_walk.h"

typedef struct MtNamespaceFilter MtNamespaceFilter;

/*
 * Compile.  patterns are NUL-terminated.  NULL on a bad pattern or out of
 * memory, with the reason in message (at most message_size bytes with its
 * NUL, lower case, naming the pattern).
 */
extern MtNamespaceFilter *mt_namespace_filter_new(const char *const *includes, int n_includes,
												  const char *const *excludes, int n_excludes,
												  char *message, size_t message_size);
extern void mt_namespace_filter_free(MtNamespaceFilter *filter);

/* Does "db.coll" pass?  filter NULL: everything but the system's. */
extern bool mt_namespace_filter_match(const MtNamespaceFilter *filter, MtSlice namespace);

/* Might any collection of this database pass?  (May say yes too often.) */
extern bool mt_namespace_filter_match_database(const MtNamespaceFilter *filter, MtSlice database);

/* Is every namespace that inner passes also passed by outer?  False when that
 * cannot be shown (a regex against anything but the same regex). */
extern bool mt_namespace_filter_covers(const MtNamespaceFilter *outer, const MtNamespaceFilter *inner);

/* admin, config, local and MongoDB's internal collections */
extern bool mt_namespace_is_system(MtSlice namespace);

/*
 * Append to query the part of the filter that MongoDB can run over
 * local.oplog.rs: a superset of what the filter passes, and every entry that
 * may carry it inside (applyOps, commitTransaction, the commands of the
 * databases, and entries of unknown op).  Nothing is appended when it would
 * restrict nothing.  The appended key is "$or" or "$and"; the caller adds ts.
 */
extern void mt_namespace_filter_append_query(const MtNamespaceFilter *filter, bson_t *query);

#endif							/* MT_NAMESPACE_FILTER_H */
