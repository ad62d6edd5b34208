/*
 * bson.c
 *		SQL functions on BSON in a bytea.
 */
#include "postgres.h"

#include "convert/bson_to_jsonb.h"
#include "fmgr.h"

PG_FUNCTION_INFO_V1(mongo_tail_bson_to_jsonb);

/* mongo_tail.bson_to_jsonb(bytea) returns jsonb */
Datum
mongo_tail_bson_to_jsonb(PG_FUNCTION_ARGS)
{
	bytea	   *bson = PG_GETARG_BYTEA_PP(0);
	MtSlice		document = {(const uint8 *) VARDATA_ANY(bson), VARSIZE_ANY_EXHDR(bson)};
	MtJsonbBuilder *builder = fcinfo->flinfo->fn_extra;
	Jsonb	   *built;
	Jsonb	   *result;

	if (builder == NULL)
	{
		builder = mt_jsonb_builder_create(fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = builder;
	}
	built = mt_bson_to_jsonb(builder, document);

	/* the builder's next call may come before this result is consumed */
	result = palloc(VARSIZE(built));
	memcpy(result, built, VARSIZE(built));
	PG_FREE_IF_COPY(bson, 0);
	PG_RETURN_JSONB_P(result);
}
