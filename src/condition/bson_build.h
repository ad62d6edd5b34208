/*
 * bson_build.h
 *		Write BSON into a StringInfo: filters, stages and commands.
 *
 * Names and strings are in UTF-8 and hold no NUL.  Whoever begins a document
 * or an array ends it.
 */
#ifndef MT_CONDITION_BSON_BUILD_H
#define MT_CONDITION_BSON_BUILD_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "oplog/bson_walk.h"

/* {} */
#define MT_EMPTY_DOCUMENT_BYTES 5

extern void mt_build_le32(StringInfo buffer, uint32 v);
extern void mt_build_le64(StringInfo buffer, uint64 v);

/* A string's value: length, bytes, NUL. */
extern void mt_build_string(StringInfo buffer, const char *text, int len);

/* Type byte and name; the value follows. */
extern void mt_build_name(StringInfo buffer, MtBsonType type, const char *name);

/* The same of an element of an array, which has its index as its name. */
extern void mt_build_index(StringInfo buffer, MtBsonType type, int index);

/* Begin a document or array as a value; returns what ends it. */
extern int	mt_build_begin(StringInfo buffer);
extern void mt_build_end(StringInfo buffer, int offset);

/* The same with a name; the type is MT_BSON_DOCUMENT or MT_BSON_ARRAY. */
extern int	mt_build_begin_named(StringInfo buffer, MtBsonType type, const char *name);

/* A document as an element of an array. */
extern int	mt_build_begin_indexed(StringInfo buffer, int index);

/* Whole elements */
extern void mt_build_text(StringInfo buffer, const char *name, const char *text);
extern void mt_build_int64(StringInfo buffer, const char *name, int64 v);
extern void mt_build_bool(StringInfo buffer, const char *name, bool v);
extern void mt_build_document(StringInfo buffer, const char *name, MtSlice document);

#endif							/* MT_CONDITION_BSON_BUILD_H */
