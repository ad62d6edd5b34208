/*
 * wire.c
 *		One command and its reply in OP_MSG, on a stream that the driver made.
 *
 * Used by cursors for what is repeated often and answered in megabytes.  The
 * reply lands in a buffer that the cursor keeps, is not copied and not looked
 * at beyond its frame, so its pages are faulted in once.
 *
 * The driver must not use the stream between send and receive.
 *
 * Source: the OP_MSG specification of the MongoDB drivers.
 */
#include <errno.h>

#include "mongo/mongo_private.h"

#define OP_MSG 2013
#define OP_MSG_CHECKSUM_PRESENT 1
#define OP_MSG_MORE_TO_COME 2
#define HEADER_BYTES 16
#define BODY_OFFSET (HEADER_BYTES + 4 + 1)	/* flag bits, kind of section */

/* MongoDB's maxMessageSizeBytes. */
#define MAX_MESSAGE_BYTES 48000000

/* Capacity is a multiple of one of these, so that it settles after a few
 * replies; the small one keeps the reply to a look-up on the heap. */
#define BUFFER_STEP_BYTES (256 * 1024)
#define SMALL_BUFFER_STEP_BYTES 4096
#define SMALL_BUFFER_BYTES (64 * 1024)

static void
put_le32(uint8_t *p, uint32_t v)
{
	v = BSON_UINT32_TO_LE(v);
	memcpy(p, &v, 4);
}

static bool
send_message(MtConnection *connection, mongoc_stream_t *stream, const bson_t *command,
			 uint32_t flags, int timeout_ms)
{
	uint8_t		head[BODY_OFFSET];
	mongoc_iovec_t iov[2];

	memset(head, 0, sizeof head);
	put_le32(head, BODY_OFFSET + command->len);
	put_le32(head + 4, (uint32_t) ++connection->last_request_id);
	put_le32(head + 12, OP_MSG);
	put_le32(head + HEADER_BYTES, flags);
	iov[0].iov_base = (void *) head;
	iov[0].iov_len = sizeof head;
	iov[1].iov_base = (void *) bson_get_data(command);
	iov[1].iov_len = command->len;
	errno = 0;
	return mongoc_stream_writev(stream, iov, 2, timeout_ms) ==
		(ssize_t) (sizeof head + command->len);
}

bool
mt_wire_send(MtConnection *connection, mongoc_stream_t *stream, const bson_t *command,
			 int32_t *request_id, MtMongoError *error)
{
	if (!send_message(connection, stream, command, 0, connection->socket_timeout_ms))
	{
		mt_error_from_stream(connection, "could not send to the server", stream, error);
		return false;
	}
	*request_id = connection->last_request_id;
	return true;
}

void
mt_wire_send_and_forget(MtConnection *connection, mongoc_stream_t *stream, const bson_t *command)
{
	connection->farewell_until = bson_get_monotonic_time();
	(void) send_message(connection, stream, command, OP_MSG_MORE_TO_COME, 0);
	connection->farewell_until = 0;
}

/* Make room for a reply whose first bytes stand in head. */
static bool
prepare_buffer(MtByteBuffer *buffer, size_t bytes)
{
	size_t		step = bytes <= SMALL_BUFFER_BYTES ? SMALL_BUFFER_STEP_BYTES : BUFFER_STEP_BYTES;

	if (buffer->capacity < bytes)
	{
		/* the old contents are of no use, so nothing is copied */
		mt_byte_buffer_free(buffer);
		bytes = (bytes + step - 1) / step * step;
		buffer->data = malloc(bytes);
		if (buffer->data == NULL)
			return false;
		buffer->capacity = bytes;
	}
	buffer->len = 0;
	return true;
}

bool
mt_wire_receive(MtConnection *connection, mongoc_stream_t *stream, int32_t request_id,
				int timeout_ms, MtByteBuffer *buffer, MtSlice *document, MtMongoError *error)
{
	uint8_t		head[BODY_OFFSET];
	uint32_t	message_bytes;
	uint32_t	body_bytes;

	errno = 0;
	if (mongoc_stream_read(stream, head, sizeof head, sizeof head, timeout_ms) !=
		(ssize_t) sizeof head)
	{
		mt_error_from_stream(connection, "could not receive from the server", stream, error);
		return false;
	}
	message_bytes = mt_le32(head);
	body_bytes = message_bytes - BODY_OFFSET;
	if (mt_le32(head + HEADER_BYTES) & OP_MSG_CHECKSUM_PRESENT)
		body_bytes -= 4;
	if (message_bytes < BODY_OFFSET + 4 + 5 || message_bytes > MAX_MESSAGE_BYTES ||
		mt_le32(head + 8) != (uint32_t) request_id || mt_le32(head + 12) != OP_MSG ||
		head[BODY_OFFSET - 1] != 0)
	{
		mt_error_from_stream(connection, "the server's reply is not an answer to the request",
							 NULL, error);
		return false;
	}
	if (!prepare_buffer(buffer, message_bytes - BODY_OFFSET))
	{
		mt_error_set(error, "out of memory for a reply of %u bytes", message_bytes);
		connection->renew = true;
		return false;
	}
	errno = 0;
	if (mongoc_stream_read(stream, buffer->data, message_bytes - BODY_OFFSET,
						   message_bytes - BODY_OFFSET, timeout_ms) !=
		(ssize_t) (message_bytes - BODY_OFFSET))
	{
		mt_error_from_stream(connection, "could not receive from the server", stream, error);
		return false;
	}
	buffer->len = body_bytes;
	document->data = buffer->data;
	document->len = body_bytes;
	return true;
}

bool
mt_wire_discard(MtConnection *connection, mongoc_stream_t *stream, int within_ms)
{
	char		scrap[16384];
	bool		any = false;

	connection->farewell_until = bson_get_monotonic_time() + (int64_t) within_ms * 1000;
	while (bson_get_monotonic_time() < connection->farewell_until &&
		   mongoc_stream_read(stream, scrap, sizeof scrap, 1, within_ms) > 0)
		any = true;
	connection->farewell_until = 0;
	return any;
}
