/*
 * bson_build.c
 *		Write BSON into a StringInfo.
 *
 * A StringInfo is in a memory context, so that an error in the middle leaves
 * nothing behind, which the writers of floor 0 and libbson's cannot promise.
 */
#include "postgres.h"

#include "condition/bson_build.h"
#include "oplog/bson_path.h"

void
mt_build_le32(StringInfo buffer, uint32 v)
{
	char		bytes[4] = {(char) v, (char) (v >> 8), (char) (v >> 16), (char) (v >> 24)};

	appendBinaryStringInfo(buffer, bytes, 4);
}

void
mt_build_le64(StringInfo buffer, uint64 v)
{
	mt_build_le32(buffer, (uint32) v);
	mt_build_le32(buffer, (uint32) (v >> 32));
}

void
mt_build_string(StringInfo buffer, const char *text, int len)
{
	mt_build_le32(buffer, (uint32) len + 1);
	appendBinaryStringInfo(buffer, text, len);
	appendStringInfoChar(buffer, '\0');
}

void
mt_build_name(StringInfo buffer, MtBsonType type, const char *name)
{
	appendStringInfoChar(buffer, (char) type);
	appendBinaryStringInfo(buffer, name, (int) strlen(name) + 1);
}

void
mt_build_index(StringInfo buffer, MtBsonType type, int index)
{
	char		name[MT_INDEX_TEXT_BYTES];

	(void) mt_index_text((uint32) index, name);
	mt_build_name(buffer, type, name);
}

int
mt_build_begin(StringInfo buffer)
{
	mt_build_le32(buffer, 0);
	return buffer->len - 4;
}

void
mt_build_end(StringInfo buffer, int offset)
{
	uint32		len;

	appendStringInfoChar(buffer, '\0');
	len = (uint32) (buffer->len - offset);
	for (int i = 0; i < 4; i++)
		buffer->data[offset + i] = (char) (len >> (8 * i));
}

int
mt_build_begin_named(StringInfo buffer, MtBsonType type, const char *name)
{
	mt_build_name(buffer, type, name);
	return mt_build_begin(buffer);
}

int
mt_build_begin_indexed(StringInfo buffer, int index)
{
	mt_build_index(buffer, MT_BSON_DOCUMENT, index);
	return mt_build_begin(buffer);
}

void
mt_build_text(StringInfo buffer, const char *name, const char *text)
{
	mt_build_name(buffer, MT_BSON_STRING, name);
	mt_build_string(buffer, text, (int) strlen(text));
}

void
mt_build_int64(StringInfo buffer, const char *name, int64 v)
{
	mt_build_name(buffer, MT_BSON_INT64, name);
	mt_build_le64(buffer, (uint64) v);
}

void
mt_build_bool(StringInfo buffer, const char *name, bool v)
{
	mt_build_name(buffer, MT_BSON_BOOL, name);
	appendStringInfoChar(buffer, v ? 1 : 0);
}

void
mt_build_document(StringInfo buffer, const char *name, MtSlice document)
{
	mt_build_name(buffer, MT_BSON_DOCUMENT, name);
	appendBinaryStringInfo(buffer, (const char *) document.data, (int) document.len);
}
