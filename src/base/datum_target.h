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

#include "base/bson_to_jsonb.h"

/* Why a value does not convert. */
typedef struct MtMismatch
{
	int			sqlstate;
	const char *reason;			/* completes "... type integer, ...": "which has no fractions" */
} MtMismatch;

typedef enum MtConvertResult
{
	MT_CONVERTED,
	MT_CONVERTED_NULL,
	MT_CONVERT_MISMATCH
} MtConvertResult;

typedef struct MtValueTarget MtValueTarget;

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
	bool		holds_arrays;	/* json, jsonb: a nested array is one value */
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
	MtMismatch *mismatch;		/* the converter's */
};

/* Note why, and say so to the caller. */
static inline MtConvertResult
mt_mismatch(MtValueTarget *target, int sqlstate, const char *reason)
{
	target->mismatch->sqlstate = sqlstate;
	target->mismatch->reason = reason;
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

/* bson_to_datum.c: any value of a target, NULLs and domains included */
extern MtConvertResult mt_convert_value(MtValueTarget *target, const MtElement *element, Datum *value);

#endif							/* MT_DATUM_TARGET_H */
