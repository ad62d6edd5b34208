/*
 * cursor_reply.c
 *		The replies to find and getMore, read where they lie.
 */
#include "mongo/mongo_private.h"

static uint64_t
element_timestamp(const MtElement *element)
{
	return element->type == MT_BSON_TIMESTAMP ? mt_le64(element->value) : 0;
}

static bool
element_is_true(const MtElement *element)
{
	switch (element->type)
	{
		case MT_BSON_DOUBLE:
			return mt_le_double(element->value) != 0;
		case MT_BSON_INT32:
			return mt_le32(element->value) != 0;
		case MT_BSON_INT64:
			return mt_le64(element->value) != 0;
		case MT_BSON_BOOL:
			return element->value[0] != 0;
		default:
			return false;
	}
}

/*
 * How far an oplog has been scanned: {ts: <timestamp>} since MongoDB 5.0, and
 * {$recordId: <int64>} in 4.4, where the record id of an oplog's entry is its
 * timestamp.  (That of another collection is small, and so says nothing.)
 */
static uint64_t
resume_token_time(MtSlice token)
{
	MtElement	element;

	if (mt_bson_find(token, "ts", 2, &element) == MT_WALK_ELEMENT)
		return element_timestamp(&element);
	if (mt_bson_find(token, "$recordId", 9, &element) == MT_WALK_ELEMENT &&
		element.type == MT_BSON_INT64)
		return mt_le64(element.value);
	return 0;
}

/* Read the cursor sub-document.  False when it is not one. */
static bool
read_cursor(MtSlice cursor, MtCursorReply *reply)
{
	MtElement	element;
	MtWalk		walk;
	MtWalkResult result;

	if (!mt_walk_begin(&walk, cursor))
		return false;
	while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "id") && element.type == MT_BSON_INT64)
			reply->id = (int64_t) mt_le64(element.value);
		else if (element.type == MT_BSON_ARRAY &&
				 (MT_ELEMENT_IS(&element, "nextBatch") || MT_ELEMENT_IS(&element, "firstBatch")))
			reply->documents = mt_element_value(&element);
		else if (MT_ELEMENT_IS(&element, "postBatchResumeToken") &&
				 element.type == MT_BSON_DOCUMENT)
			reply->scanned_to = resume_token_time(mt_element_value(&element));
	}
	return result == MT_WALK_END && reply->documents.data != NULL;
}

bool
mt_cursor_reply_read(MtSlice document, MtCursorReply *reply)
{
	MtElement	element;
	MtWalk		walk;
	MtWalkResult result;
	bool		has_cursor = false;

	memset(reply, 0, sizeof *reply);
	if (!mt_walk_begin(&walk, document))
		return false;
	while ((result = mt_walk_next(&walk, &element)) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&element, "cursor") && element.type == MT_BSON_DOCUMENT)
			has_cursor = read_cursor(mt_element_value(&element), reply);
		else if (MT_ELEMENT_IS(&element, "ok"))
			reply->ok = element_is_true(&element);
		else if (MT_ELEMENT_IS(&element, "operationTime"))
			reply->operation_time = element_timestamp(&element);
	}
	return result == MT_WALK_END && (has_cursor || !reply->ok);
}

void
mt_cursor_reply_malformed(MtMongoError *error)
{
	mt_error_set(error, "the server's reply to a cursor command is malformed");
	error->domain = MONGOC_ERROR_PROTOCOL;
	error->code = MONGOC_ERROR_PROTOCOL_INVALID_REPLY;
}
