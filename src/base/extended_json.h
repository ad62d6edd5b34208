/*
 * extended_json.h
 *		MongoDB's Extended JSON, as options are written in it, to BSON.
 *
 * All throw HV024 on text that is not what it must be; the option's name is
 * for the message.  Results are in the current memory context.
 */
#ifndef MT_EXTENDED_JSON_H
#define MT_EXTENDED_JSON_H

#include "postgres.h"

#include "oplog/bson_walk.h"

/* A document: what a find may have as its filter. */
extern MtSlice mt_parse_filter(const char *option, const char *text);

/* An array of stages of an aggregation, none of which writes or never ends. */
extern MtSlice mt_parse_pipeline(const char *option, const char *text);

#endif							/* MT_EXTENDED_JSON_H */
