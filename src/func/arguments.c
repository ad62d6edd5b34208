/*
 * arguments.c
 *		Reading the arguments of SQL-callable functions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "func/arguments.h"

#define MAX_WAIT_DAYS 36500

void
mt_require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", name)));
}

char **
mt_namespaces_argument(FunctionCallInfo fcinfo, int n, const char *name, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **texts;

	*count = 0;
	if (PG_ARGISNULL(n))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, count);
	texts = palloc(sizeof(char *) * (*count + 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", name)));
		texts[i] = TextDatumGetCString(elements[i]);
		texts[i] = pg_server_to_any(texts[i], (int) strlen(texts[i]), PG_UTF8);
	}
	return texts;
}

bool
mt_position_argument(FunctionCallInfo fcinfo, int n, MtPosition *position)
{
	if (PG_ARGISNULL(n))
		return false;
	*position = *PG_GETARG_MT_POSITION(n);
	return true;
}

int64
mt_interval_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	Interval   *interval;

	if (PG_ARGISNULL(n))
		return 0;
	interval = PG_GETARG_INTERVAL_P(n);
	/* Each part alone, so that the sum does not overflow, and then the sum. */
	if (interval->month != 0 || interval->day < 0 || interval->day > MAX_WAIT_DAYS ||
		interval->time < 0 || interval->time > MAX_WAIT_DAYS * USECS_PER_DAY ||
		interval->day * USECS_PER_DAY + interval->time > MAX_WAIT_DAYS * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a time between zero and 100 years, without months", name)));
	return (interval->day * USECS_PER_DAY + interval->time) / 1000;
}

int64
mt_count_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	int64		count;

	if (PG_ARGISNULL(n))
		return PG_INT64_MAX;
	count = PG_GETARG_INT64(n);
	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", name)));
	return count;
}

void
mt_init_materialized(FunctionCallInfo fcinfo)
{
	mt_compat_init_materialized(fcinfo);
}
