/*
 * bson_to_datum.h
 *		One BSON value as a value of a column's type.
 *
 * A conversion is exact or it is a mismatch: never a rounded, cut or otherwise
 * changed value.  What converts to what stands at the top of bson_to_datum.c.
 */
#ifndef MT_BSON_TO_DATUM_H
#define MT_BSON_TO_DATUM_H

#include "postgres.h"

#include "oplog/bson_walk.h"

typedef struct MtColumnConverter MtColumnConverter;

/* What a converter is prepared for; the texts must outlive it. */
typedef struct MtColumnTarget
{
	Oid			type;
	int32		typmod;
	const char *column;			/* for errors */
	const char *field;			/* for errors */
	bool		null_on_mismatch;
} MtColumnTarget;

/* The document that a value stands in, for errors. */
typedef struct MtDocumentOrigin
{
	MtSlice		namespace;		/* "db.coll" */
	MtSlice		key;			/* a document that has _id; may be absent */
	bool		key_is_element; /* key is the raw element _id instead */
} MtDocumentOrigin;

/* Throw 0A000 with a hint when no BSON value converts to the type. */
extern void mt_column_target_check(const MtColumnTarget *target);

/*
 * Prepare a converter in the current memory context, which keeps its buffers.
 * Checks the target, too.
 */
extern MtColumnConverter *mt_column_converter_create(const MtColumnTarget *target);

/*
 * Convert; element NULL: the field is missing.  False: NULL.  A mismatch is an
 * error that names all there is to name, or NULL by the target's choice.  The
 * value is in the current memory context or in the converter, valid until its
 * next call.
 */
extern bool mt_column_convert(MtColumnConverter *converter, const MtElement *element,
							  const MtDocumentOrigin *origin, Datum *value);

#endif							/* MT_BSON_TO_DATUM_H */
