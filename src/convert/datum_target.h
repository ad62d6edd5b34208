/*
 * datum_target.h
 *		What the files of the BSON to Datum converter share.  Nobody else
 *		includes it.
 */
#ifndef MT_DATUM_TARGET_H
#define MT_DATUM_TARGET_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/numeric.h"

#include "convert/bson_to_datum.h"
#include "convert/bson_to_jsonb.h"

typedef struct MtValueTarget MtValueTarget;
typedef struct MtCompositeTarget MtCompositeTarget;

/* Why a value does not convert. */
typedef struct MtMismatch
{
	int			sqlstate;
	const char *reason;			/* completes "... type integer, ...": "which has no fractions" */
	bool		is_told;		/* an error will say so; else what follows is not filled */
	char	   *path;			/* where in the column's value, in UTF-8; NULL: it is the value */
	MtElement	element;		/* what stands there */
	const MtValueTarget *target;	/* and what it should be */
} MtMismatch;

typedef enum MtConvertResult
{
	MT_CONVERTED,
	MT_CONVERTED_NULL,
	MT_CONVERT_MISMATCH
} MtConvertResult;

/* Convert a value that is not null, undefined or missing. */
typedef MtConvertResult (*MtConvertFunction) (MtValueTarget *target, const MtElement *element,
											  Datum *value);

/* A type, or the element type of an array, with what converting to it needs. */
struct MtValueTarget
{
	MtConvertFunction convert;
	Oid			type;			/* the base type */
	int32		typmod;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	bool		may_throw;		/* a domain or an input function in it has the last word */
	bool		holds_arrays;	/* json, jsonb, domains: a nested array is one value */
	bool		is_element;		/* of an array: each value in memory of its own */
	Oid			domain;			/* InvalidOid: none */
	void	   *domain_extra;	/* of domain_check */
	MemoryContext context;
	MtJsonbBuilder *jsonb;		/* json, jsonb */
	char	   *room;			/* text types: for a short text; NULL: none */
	Numeric		numeric_limit;	/* numeric(p, s): the least power of ten that is too large */
	FmgrInfo	input;			/* types that are read from text */
	Oid			input_parameter;
	MtValueTarget *element;		/* arrays */
	MtCompositeTarget *composite;
	MtMismatch *mismatch;		/* the converter's */
};

struct MtColumnConverter
{
	MtColumnTarget target;
	MtValueTarget *value;
	MtMismatch	mismatch;
	bool		may_throw;		/* as the value's */
	MtJsonbBuilder *errors;		/* of _id and values; NULL: none yet */
	MemoryContext context;
};

/* Note why, and say so to the caller. */
static inline MtConvertResult
mt_mismatch(MtValueTarget *target, int sqlstate, const char *reason)
{
	target->mismatch->sqlstate = sqlstate;
	target->mismatch->reason = reason;
	target->mismatch->path = NULL;
	return MT_CONVERT_MISMATCH;
}

/* bson_to_number.c */
extern MtConvertResult mt_convert_int2(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtConvertResult mt_convert_int4(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtConvertResult mt_convert_int8(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtConvertResult mt_convert_float4(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtConvertResult mt_convert_float8(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtConvertResult mt_convert_numeric(MtValueTarget *target, const MtElement *element, Datum *value);
extern void mt_prepare_numeric(MtValueTarget *target);

/* bson_to_array.c */
extern MtConvertResult mt_convert_array(MtValueTarget *target, const MtElement *element, Datum *value);

/* bson_to_composite.c */
extern MtConvertResult mt_convert_composite(MtValueTarget *target, const MtElement *element, Datum *value);
extern void mt_prepare_composite(MtValueTarget *target);

/* bson_to_datum.c: any value of a target, NULLs and domains included */
extern MtConvertResult mt_convert_value(MtValueTarget *target, const MtElement *element, Datum *value);
extern MtValueTarget *mt_target_prepare(MtMismatch *mismatch, Oid type, int32 typmod, bool is_element);

/* Well-formed UTF-8 in the database's encoding; false when that lacks a
 * character, where pg_any_to_server() would throw. */
extern bool mt_utf8_to_server(MtSlice utf8, char **text);

/* An element's value as jsonb, in the builder's buffer or the current context. */
extern Jsonb *mt_element_jsonb(MtJsonbBuilder *builder, const MtElement *element);

/* bson_mismatch.c */

/* The mismatch just noted was of this element, of the value of the caller's
 * target; called from inside out. */
extern void mt_mismatch_within(MtMismatch *mismatch, const MtValueTarget *target, const MtElement *element);

/* Throw it. */
extern void mt_mismatch_report(MtColumnConverter *converter, const MtElement *element,
							   const MtDocumentOrigin *origin);

/* " with _id 1", or nothing when there is none. */
extern char *mt_shown_id(MtColumnConverter *converter, const MtDocumentOrigin *origin);

/* "shop.flights", in the database's encoding */
extern char *mt_shown_namespace(const MtDocumentOrigin *origin);

#endif							/* MT_DATUM_TARGET_H */
