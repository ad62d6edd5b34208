/*
 * connection.c
 *		The connections that a session keeps, seen and closed by SQL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "base/remote_lease.h"
#include "func/arguments.h"

PG_FUNCTION_INFO_V1(mongo_tail_session_connections);
PG_FUNCTION_INFO_V1(mongo_tail_disconnect);

Datum
mongo_tail_session_connections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MtRemoteConnection *connections;
	int			n;

	mt_init_materialized(fcinfo);
	n = mt_remote_lease_list(&connections);
	for (int i = 0; i < n; i++)
	{
		MtRemoteConnection *c = &connections[i];
		bool		nulls[7] = {false, !OidIsValid(c->mappingid)};
		Datum		values[7] = {
			ObjectIdGetDatum(c->serverid),
			ObjectIdGetDatum(c->mappingid),
			BoolGetDatum(c->in_use),
			BoolGetDatum(!c->is_stale),
			Int64GetDatum((int64) c->uses),
			TimestampTzGetDatum(c->made_at),
			TimestampTzGetDatum(c->used_at)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
mongo_tail_disconnect(PG_FUNCTION_ARGS)
{
	Oid			serverid = InvalidOid;

	if (!PG_ARGISNULL(0))
		serverid = GetForeignServerByName(NameStr(*PG_GETARG_NAME(0)), false)->serverid;
	PG_RETURN_INT32(mt_remote_lease_disconnect(serverid));
}
