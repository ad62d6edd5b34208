/*
 * bson_to_jsonb.h
 *		BSON to jsonb, written directly in jsonb's binary form.
 *
 * The value is MongoDB's relaxed Extended JSON v2 of the document, and what it
 * does where jsonb cannot hold a value stands at the top of bson_to_jsonb.c.
 */
#ifndef MT_BSON_TO_JSONB_H
#define MT_BSON_TO_JSONB_H

#include "utils/jsonb.h"

#include "oplog/bson_walk.h"

/* Reusable buffers of one converter; lives in the context it was created in. */
typedef struct MtJsonbBuilder MtJsonbBuilder;

extern MtJsonbBuilder *mt_jsonb_builder_create(MemoryContext context);

/* From now on, of elements with the same name the first wins and not the last. */
extern void mt_jsonb_builder_keep_first(MtJsonbBuilder *builder);

/*
 * Convert a BSON document.  The result stands in the builder's buffer and is
 * valid until its next call.  Throws 22P03 with the reason on corrupt BSON,
 * 54000 when the result is over jsonb's limits, and in a database that is not
 * UTF8 22P05 for a character that its encoding lacks.  The builder can be used
 * again after an error.
 */
extern Jsonb *mt_bson_to_jsonb(MtJsonbBuilder *builder, MtSlice document);

/* The same of one raw element, as an object of one key (see
 * MT_CHANGE_KEY_ELEMENT). */
extern Jsonb *mt_bson_element_to_jsonb(MtJsonbBuilder *builder, MtSlice element);

#endif							/* MT_BSON_TO_JSONB_H */
