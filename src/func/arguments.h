/*
 * arguments.h
 *		What SQL-callable functions here share: reading arguments, and
 *		returning changes.
 */
#ifndef MT_ARGUMENTS_H
#define MT_ARGUMENTS_H

#include "fmgr.h"
#include "funcapi.h"

#include "base/change_reader.h"

/* ERROR 22004 when the argument is NULL. */
extern void mt_require_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* A text[] of namespaces, in UTF-8; NULL when NULL; ERROR when it has a NULL element. */
extern char **mt_namespaces_argument(FunctionCallInfo fcinfo, int n, const char *name, int *count);

/* False when NULL. */
extern bool mt_position_argument(FunctionCallInfo fcinfo, int n, MtPosition *position);

/* An interval in ms, 0 when NULL; ERROR when negative or with months. */
extern int64 mt_interval_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* A count, no bound when NULL; ERROR when negative. */
extern int64 mt_count_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* Prepare to return a set by a tuplestore. */
extern void mt_init_materialized(FunctionCallInfo fcinfo);

/* Put the reader's changes into the result, at most max_changes (changes.c). */
extern void mt_put_changes(MtChangeReader *reader, int64 max_changes, ReturnSetInfo *result);

#endif							/* MT_ARGUMENTS_H */
