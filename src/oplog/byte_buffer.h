/*
 * byte_buffer.h
 *		A growing buffer for floor 0, on malloc.
 *
 * Floor 0 knows no memory context.  Whoever owns a buffer frees it; in a
 * backend that is an object with a memory-context callback, never the stack of
 * a function that may be left by an error.  Growing keeps the contents; on
 * failure the buffer is unchanged.
 */
#ifndef MT_BYTE_BUFFER_H
#define MT_BYTE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct MtByteBuffer
{
	uint8_t    *data;
	size_t		len;			/* bytes in use */
	size_t		capacity;		/* bytes allocated */
} MtByteBuffer;

/* Make room for more bytes after len.  False when out of memory. */
static inline bool
mt_byte_buffer_reserve(MtByteBuffer *buffer, size_t more)
{
	size_t		capacity = buffer->capacity ? buffer->capacity : 256;
	uint8_t    *data;

	if (buffer->capacity - buffer->len >= more)
		return true;
	if (more > SIZE_MAX / 2 - buffer->len)
		return false;
	while (capacity - buffer->len < more)
		capacity *= 2;
	data = realloc(buffer->data, capacity);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

static inline bool
mt_byte_buffer_append(MtByteBuffer *buffer, const void *bytes, size_t len)
{
	if (!mt_byte_buffer_reserve(buffer, len))
		return false;
	if (len > 0)
		memcpy(buffer->data + buffer->len, bytes, len);
	buffer->len += len;
	return true;
}

static inline void
mt_byte_buffer_free(MtByteBuffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof *buffer);
}

#endif							/* MT_BYTE_BUFFER_H */
