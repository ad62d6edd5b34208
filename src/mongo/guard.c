/*
 * guard.c
 *		A stream around a stream that lets only well-framed replies through.
 *
 * The driver (1.23.1) trusts the lengths inside a reply: an OP_MSG with a wrong
 * section length makes it read past its buffer, and in a backend that takes
 * the whole instance down.  Whoever may create a server may point it at
 * anything, so the first bytes of each reply are looked at before the driver
 * sees any of them.  Replies have one section; anything else, and compressed
 * messages (whose inside could not be checked), is refused.
 *
 * The document itself need not be looked at: the driver and we walk it with
 * bounds.
 */
#include <errno.h>

#include "mongo/mongo_private.h"

#define MT_GUARD_TYPE 78

/* Header, flag bits, kind of section, length of the document.  Every message
 * that is let through is longer than that, so that a poll for the rest of it
 * finds something to read. */
#define HEAD_BYTES 25

#define MAX_MESSAGE_BYTES 48000000
#define OP_REPLY 1
#define OP_REPLY_MIN_BYTES (16 + 20 + 5)
#define OP_MSG 2013
#define OP_MSG_CHECKSUM_PRESENT 1
#define OP_MSG_FRAME_BYTES (16 + 4 + 1)

typedef struct MtGuard
{
	mongoc_stream_t vtable;		/* first: the driver casts */
	mongoc_stream_t *base;
	uint8_t		head[HEAD_BYTES];
	size_t		have;			/* bytes of head read */
	size_t		served;			/* bytes of head handed out */
	size_t		left;			/* bytes of the message after head */
	bool		refused;
} MtGuard;

/* Is this the beginning of a reply that the driver can be given? */
static bool
head_is_sound(const uint8_t *head)
{
	uint32_t	len = mt_le32(head);
	uint32_t	around = OP_MSG_FRAME_BYTES;

	if (len > MAX_MESSAGE_BYTES)
		return false;
	switch (mt_le32(head + 12))
	{
		case OP_REPLY:
			return len >= OP_REPLY_MIN_BYTES;
		case OP_MSG:
			if (mt_le32(head + 16) & OP_MSG_CHECKSUM_PRESENT)
				around += 4;
			return len >= around + 5 && head[20] == 0 && mt_le32(head + 21) == len - around;
		default:
			return false;
	}
}

/* Read the head of the next message; false with errno when it is not there. */
static bool
read_head(MtGuard *guard, int32_t timeout_ms)
{
	size_t		want = HEAD_BYTES - guard->have;
	ssize_t		got = mongoc_stream_read(guard->base, guard->head + guard->have, want,
									 timeout_ms == 0 ? 0 : want, timeout_ms);

	if (got <= 0)
		return false;
	guard->have += (size_t) got;
	if (guard->have < HEAD_BYTES)
	{
		errno = EAGAIN;
		return false;
	}
	if (!head_is_sound(guard->head))
	{
		guard->refused = true;
		errno = EPROTO;
		return false;
	}
	guard->left = mt_le32(guard->head) - HEAD_BYTES;
	return true;
}

/*
 * Up to len bytes of one message, at least min of them if it is that long.
 * What follows the head is asked for even if the head is enough: a TLS stream
 * may hold it decrypted already, and then no poll would ever tell.
 */
static ssize_t
read_some(MtGuard *guard, uint8_t *to, size_t len, size_t min, int32_t timeout_ms)
{
	size_t		from_head;
	ssize_t		got;

	if (guard->refused)
	{
		errno = EPROTO;
		return -1;
	}
	if (guard->served == HEAD_BYTES && guard->left == 0)
		guard->have = guard->served = 0;
	if (guard->have < HEAD_BYTES && !read_head(guard, timeout_ms))
		return -1;
	from_head = BSON_MIN(len, HEAD_BYTES - guard->served);
	memcpy(to, guard->head + guard->served, from_head);
	guard->served += from_head;
	len = BSON_MIN(len - from_head, guard->left);
	if (len == 0)
		return (ssize_t) from_head;
	min = BSON_MIN(min > from_head ? min - from_head : 0, len);
	got = mongoc_stream_read(guard->base, to + from_head, len, min,
							 from_head > 0 && min == 0 ? 0 : timeout_ms);
	if (got > 0)
		guard->left -= (size_t) got;
	else if (from_head == 0 || min > 0)
		return got;
	return (ssize_t) from_head + BSON_MAX(got, 0);
}

static ssize_t BSON_CALL
guard_readv(mongoc_stream_t *s, mongoc_iovec_t *iov, size_t n, size_t min_bytes,
			int32_t timeout_ms)
{
	MtGuard    *guard = (MtGuard *) s;
	size_t		total = 0;

	for (size_t i = 0; i < n; i++)
	{
		size_t		off = 0;

		while (off < iov[i].iov_len)
		{
			size_t		min = min_bytes > total ? min_bytes - total : 0;
			ssize_t		got = read_some(guard, (uint8_t *) iov[i].iov_base + off,
									iov[i].iov_len - off, min, timeout_ms);

			if (got <= 0)
				return total > 0 && total >= min_bytes ? (ssize_t) total : got;
			off += (size_t) got;
			total += (size_t) got;
			if (total >= min_bytes)
				return (ssize_t) total;
		}
	}
	return (ssize_t) total;
}

static ssize_t BSON_CALL
guard_writev(mongoc_stream_t *s, mongoc_iovec_t *iov, size_t n, int32_t timeout_ms)
{
	return mongoc_stream_writev(((MtGuard *) s)->base, iov, n, timeout_ms);
}

static void BSON_CALL
guard_destroy(mongoc_stream_t *s)
{
	mongoc_stream_destroy(((MtGuard *) s)->base);
	bson_free(s);
}

static void BSON_CALL
guard_failed(mongoc_stream_t *s)
{
	mongoc_stream_failed(((MtGuard *) s)->base);
	bson_free(s);
}

static int BSON_CALL
guard_close(mongoc_stream_t *s)
{
	return mongoc_stream_close(((MtGuard *) s)->base);
}

static int BSON_CALL
guard_flush(mongoc_stream_t *s)
{
	return mongoc_stream_flush(((MtGuard *) s)->base);
}

static int BSON_CALL
guard_setsockopt(mongoc_stream_t *s, int level, int name, void *value, mongoc_socklen_t len)
{
	return mongoc_stream_setsockopt(((MtGuard *) s)->base, level, name, value, len);
}

static mongoc_stream_t *BSON_CALL
guard_get_base_stream(mongoc_stream_t *s)
{
	return ((MtGuard *) s)->base;
}

static bool BSON_CALL
guard_check_closed(mongoc_stream_t *s)
{
	return mongoc_stream_check_closed(((MtGuard *) s)->base);
}

static bool BSON_CALL
guard_timed_out(mongoc_stream_t *s)
{
	return mongoc_stream_timed_out(((MtGuard *) s)->base);
}

static bool BSON_CALL
guard_should_retry(mongoc_stream_t *s)
{
	return mongoc_stream_should_retry(((MtGuard *) s)->base);
}

mongoc_stream_t *
mt_guard_new(mongoc_stream_t *base)
{
	MtGuard    *guard = bson_malloc0(sizeof *guard);

	guard->vtable.type = MT_GUARD_TYPE;
	guard->vtable.destroy = guard_destroy;
	guard->vtable.close = guard_close;
	guard->vtable.flush = guard_flush;
	guard->vtable.writev = guard_writev;
	guard->vtable.readv = guard_readv;
	guard->vtable.setsockopt = guard_setsockopt;
	guard->vtable.get_base_stream = guard_get_base_stream;
	guard->vtable.check_closed = guard_check_closed;
	guard->vtable.failed = guard_failed;
	guard->vtable.timed_out = guard_timed_out;
	guard->vtable.should_retry = guard_should_retry;
	guard->base = base;
	return &guard->vtable;
}
