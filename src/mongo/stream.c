/*
 * stream.c
 *		A stream for the driver that waits where we say.
 *
 * The driver's own sockets treat EINTR as "again" and so cannot be cancelled.
 * This one is non-blocking and waits only through MtIoPort.  The port never
 * jumps: when it asks to stop, the connection is marked interrupted and every
 * call on it fails at once with ECANCELED, until the driver has unwound.
 *
 * Three traps of the driver's.  An initiator must not return NULL: for a member
 * that the driver has just discovered, it would report that while it holds a
 * lock that the report takes again, and wait for itself for ever.  So a failed
 * connection is a stream without a socket, which polls as broken, and the
 * reason goes to the connection.  Its scanner ignores -1 from poll and would spin
 * to the connect timeout, so an interrupted poll reports every stream as
 * broken.  And its TLS stream reads with min_bytes 0, which must wait for a
 * first byte all the same.
 *
 * There is no buffering stream on top, as the driver's own has: it would copy
 * every reply once more, and save one recv of four bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mongo/mongo_private.h"

/* The driver wants all streams of one poll to be of one type; any number that
 * is none of its own does. */
#define MT_STREAM_TYPE 77

/* How long a poll of several sockets may sleep before it asks the port again. */
#define POLL_SLICE_MS 50

/* A dead peer is noticed after KEEPALIVE_IDLE_S + 6 * KEEPALIVE_INTERVAL_S. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 6

struct MtStream
{
	mongoc_stream_t vtable;		/* first: the driver casts */
	MtConnection *connection;
	MtStream   *next;			/* in connection->streams */
	mongoc_stream_t *outer;		/* what the driver holds, around this */
	int			fd;
	bool		timed_out;
	bool		broken;			/* nothing that is sent would be understood */
	char		host_and_port[BSON_HOST_NAME_MAX + 8];
};

static int64_t
deadline_after(int64_t timeout_ms)
{
	return timeout_ms < 0 ? -1 : bson_get_monotonic_time() + timeout_ms * 1000;
}

/* Milliseconds left, rounded up; -1 for a deadline that never comes. */
static int64_t
ms_left(int64_t deadline)
{
	int64_t		left;

	if (deadline < 0)
		return -1;
	left = deadline - bson_get_monotonic_time();
	return left <= 0 ? 0 : (left + 999) / 1000;
}

static MtIoWait
plain_wait(void *context, int fd, int events, int64_t timeout_ms)
{
	struct pollfd p;
	int			rc;

	(void) context;
	p.fd = fd;
	p.events = (events & MT_IO_READ ? POLLIN : 0) | (events & MT_IO_WRITE ? POLLOUT : 0);
	p.revents = 0;
	do
		rc = poll(&p, 1, timeout_ms < 0 ? -1 : (int) BSON_MIN(timeout_ms, INT32_MAX));
	while (rc < 0 && errno == EINTR);
	return rc == 0 ? MT_IO_TIMEOUT : MT_IO_READY;
}

static bool
plain_interrupted(void *context)
{
	(void) context;
	return false;
}

MtIoPort
mt_stream_plain_port(void)
{
	MtIoPort	port = {NULL, plain_wait, plain_interrupted, NULL};

	return port;
}

/* Interrupted now or before?  Sets errno. */
static bool
stopped(MtConnection *connection)
{
	if (connection->farewell_until != 0)
		return false;
	if (!connection->interrupted && connection->port.interrupted(connection->port.context))
		connection->interrupted = true;
	if (connection->interrupted)
		errno = ECANCELED;
	return connection->interrupted;
}

/* Wait for fd; true when ready, else errno is ETIMEDOUT or ECANCELED. */
static bool
wait_for(MtConnection *connection, int fd, int events, int64_t deadline)
{
	MtIoWait	result;

	if (stopped(connection))
		return false;
	if (connection->farewell_until != 0)
		result = plain_wait(NULL, fd, events, ms_left(connection->farewell_until));
	else
		result = connection->port.wait(connection->port.context, fd, events, ms_left(deadline));
	switch (result)
	{
		case MT_IO_READY:
			return true;
		case MT_IO_TIMEOUT:
			errno = ETIMEDOUT;
			return false;
		case MT_IO_INTERRUPTED:
			break;
	}
	connection->interrupted = true;
	errno = ECANCELED;
	return false;
}

static int
close_socket(MtConnection *connection, int fd)
{
	if (connection->port.forget != NULL)
		connection->port.forget(connection->port.context, fd);
	return close(fd);
}

/* Wait within a read or write; remembers a timeout for the driver. */
static bool
stream_wait(MtStream *stream, int events, int64_t deadline)
{
	if (wait_for(stream->connection, stream->fd, events, deadline))
		return true;
	stream->timed_out = errno == ETIMEDOUT;
	return false;
}

static ssize_t
fail(MtStream *stream)
{
	stream->connection->io_failed = true;
	return -1;
}

/* Not even the interrupt of a write leaves the stream usable: part of a
 * message may be on its way. */
static ssize_t
fail_write(MtStream *stream)
{
	stream->broken = true;
	return fail(stream);
}

/* The interrupt of a read does, and so does its running out of time: the
 * request was sent whole, and another may follow it. */
static ssize_t
fail_read(MtStream *stream)
{
	stream->broken = errno != ECANCELED && errno != ETIMEDOUT;
	return fail(stream);
}

/* Take what was sent off the front of what is still to be sent. */
static void
advance_iov(struct msghdr *message, size_t sent)
{
	while (message->msg_iovlen > 0 && sent >= message->msg_iov->iov_len)
	{
		sent -= message->msg_iov->iov_len;
		message->msg_iov++;
		message->msg_iovlen--;
	}
	if (message->msg_iovlen > 0)
	{
		message->msg_iov->iov_base = (char *) message->msg_iov->iov_base + sent;
		message->msg_iov->iov_len -= sent;
	}
}

/* All parts in one call, so that a command is one packet and the server wakes
 * once for it.  The driver does not look at iov afterwards. */
static ssize_t BSON_CALL
stream_writev(mongoc_stream_t *s, mongoc_iovec_t *iov, size_t n, int32_t timeout_ms)
{
	MtStream   *stream = (MtStream *) s;
	int64_t		deadline = deadline_after(timeout_ms);
	struct msghdr message;
	ssize_t		total = 0;

	stream->timed_out = false;
	if (stopped(stream->connection))
		return fail(stream);	/* nothing of the message is on its way */
	memset(&message, 0, sizeof message);
	message.msg_iov = iov;
	message.msg_iovlen = n;
	advance_iov(&message, 0);
	while (message.msg_iovlen > 0)
	{
		ssize_t		sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);

		if (sent >= 0)
		{
			advance_iov(&message, (size_t) sent);
			total += sent;
		}
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
		{
			if (!stream_wait(stream, MT_IO_WRITE, deadline))
				return fail_write(stream);
		}
		else if (errno != EINTR)
			return fail_write(stream);
	}
	return total;
}

static ssize_t BSON_CALL
stream_readv(mongoc_stream_t *s, mongoc_iovec_t *iov, size_t n, size_t min_bytes,
			 int32_t timeout_ms)
{
	MtStream   *stream = (MtStream *) s;
	int64_t		deadline = deadline_after(timeout_ms);
	size_t		total = 0;
	size_t		want = BSON_MAX(min_bytes, 1);
	size_t		off = 0;
	size_t		i = 0;

	stream->timed_out = false;
	if (stopped(stream->connection))
		return fail_read(stream);
	while (i < n)
	{
		ssize_t		got;

		if (off == iov[i].iov_len)
		{
			i++;
			off = 0;
			continue;
		}
		got = recv(stream->fd, (char *) iov[i].iov_base + off, iov[i].iov_len - off, 0);
		if (got > 0)
		{
			off += (size_t) got;
			total += (size_t) got;
			if (total >= want)
				break;
		}
		else if (got == 0)
		{
			errno = ECONNRESET;
			return fail_read(stream);
		}
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
		{
			/* the scanner asks without waiting: that is no failure */
			if (timeout_ms == 0)
			{
				errno = EAGAIN;
				return total > 0 ? (ssize_t) total : -1;
			}
			if (!stream_wait(stream, MT_IO_READ, deadline))
				return fail_read(stream);
		}
		else if (errno != EINTR)
			return fail_read(stream);
	}
	return (ssize_t) total;
}

static ssize_t
poll_once(MtConnection *connection, struct pollfd *fds, size_t n, int64_t deadline)
{
	/* Asking the port with no time to wait lets it look after its own events
	 * (the death of its parent), and is all the wait a single stream needs. */
	int			events = (fds[0].events & POLLIN ? MT_IO_READ : 0) |
		(fds[0].events & POLLOUT ? MT_IO_WRITE : 0);
	int64_t		left = ms_left(deadline);
	int			rc;

	if (!wait_for(connection, fds[0].fd, events,
				  n == 1 ? deadline : deadline_after(0)) && errno == ECANCELED)
		return -1;
	if (n == 1)
		left = 0;
	else if (left < 0 || left > POLL_SLICE_MS)
		left = POLL_SLICE_MS;
	rc = poll(fds, n, (int) left);
	if (rc < 0 && errno == EINTR)
		rc = 0;
	return rc;
}

/* Mark the streams that will never be ready, all of them when interrupted. */
static ssize_t
report_broken(MtConnection *connection, mongoc_stream_poll_t *streams, struct pollfd *fds, size_t n)
{
	ssize_t		found = 0;

	for (size_t i = 0; i < n; i++)
		if (connection->interrupted || ((MtStream *) streams[i].stream)->broken)
		{
			fds[i].revents = POLLERR | POLLHUP;
			found++;
		}
	return found;
}

static ssize_t BSON_CALL
stream_poll(mongoc_stream_poll_t *streams, size_t n, int32_t timeout_ms)
{
	MtConnection *connection = ((MtStream *) streams[0].stream)->connection;
	int64_t		deadline = deadline_after(timeout_ms);
	struct pollfd *fds = bson_malloc0(sizeof *fds * n);
	ssize_t		rc;

	for (size_t i = 0; i < n; i++)
	{
		fds[i].fd = ((MtStream *) streams[i].stream)->fd;
		fds[i].events = (short) streams[i].events;
	}
	rc = report_broken(connection, streams, fds, n);
	while (rc == 0)
	{
		rc = poll_once(connection, fds, n, deadline);
		if (connection->interrupted)
			rc = report_broken(connection, streams, fds, n);
		else if (ms_left(deadline) == 0)
			break;
	}
	for (size_t i = 0; i < n; i++)
		streams[i].revents = fds[i].revents;
	bson_free(fds);
	return rc;
}

static int BSON_CALL
stream_close(mongoc_stream_t *s)
{
	MtStream   *stream = (MtStream *) s;
	int			fd = stream->fd;

	stream->fd = -1;
	return fd >= 0 ? close_socket(stream->connection, fd) : 0;
}

static void BSON_CALL
stream_destroy(mongoc_stream_t *s)
{
	MtStream   *stream = (MtStream *) s;
	MtStream  **link = &stream->connection->streams;

	while (*link != NULL && *link != stream)
		link = &(*link)->next;
	if (*link == stream)
		*link = stream->next;
	if (stream->connection->settled == stream->outer)
		stream->connection->settled = NULL;
	stream_close(s);
	bson_free(stream);
}

static int BSON_CALL
stream_flush(mongoc_stream_t *s)
{
	(void) s;
	return 0;
}

static int BSON_CALL
stream_setsockopt(mongoc_stream_t *s, int level, int name, void *value, mongoc_socklen_t len)
{
	return setsockopt(((MtStream *) s)->fd, level, name, value, len);
}

static bool BSON_CALL
stream_check_closed(mongoc_stream_t *s)
{
	MtStream   *stream = (MtStream *) s;
	char		byte;
	ssize_t		got;

	if (stream->fd < 0)
		return true;
	got = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return got == 0 ||
		(got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static bool BSON_CALL
stream_timed_out(mongoc_stream_t *s)
{
	return ((MtStream *) s)->timed_out;
}

static bool BSON_CALL
stream_should_retry(mongoc_stream_t *s)
{
	(void) s;
	return false;
}

static mongoc_stream_t *
stream_new(MtConnection *connection, int fd, const char *host_and_port)
{
	MtStream   *stream = bson_malloc0(sizeof *stream);

	stream->vtable.type = MT_STREAM_TYPE;
	stream->vtable.destroy = stream_destroy;
	stream->vtable.close = stream_close;
	stream->vtable.flush = stream_flush;
	stream->vtable.writev = stream_writev;
	stream->vtable.readv = stream_readv;
	stream->vtable.setsockopt = stream_setsockopt;
	stream->vtable.check_closed = stream_check_closed;
	stream->vtable.poll = stream_poll;
	stream->vtable.failed = stream_destroy;
	stream->vtable.timed_out = stream_timed_out;
	stream->vtable.should_retry = stream_should_retry;
	stream->connection = connection;
	stream->fd = fd;
	stream->outer = &stream->vtable;
	bson_snprintf(stream->host_and_port, sizeof stream->host_and_port, "%s", host_and_port);
	stream->next = connection->streams;
	connection->streams = stream;
	return &stream->vtable;
}

mongoc_stream_t *
mt_stream_find(const MtConnection *connection, const char *host_and_port)
{
	for (MtStream *stream = connection->streams; stream != NULL; stream = stream->next)
		if (stream->fd >= 0 && !stream->broken && strcmp(stream->host_and_port, host_and_port) == 0)
			return stream->outer;
	return NULL;
}

bool
mt_stream_is_live(const MtConnection *connection, const mongoc_stream_t *outer)
{
	for (MtStream *stream = connection->streams; stream != NULL; stream = stream->next)
		if (stream->outer == outer)
			return stream->fd >= 0 && !stream->broken;
	return false;
}

/* A connected, non-blocking socket to one address, or -1 with errno. */
static int
connect_address(MtConnection *connection, int family, int type, int protocol,
				const struct sockaddr *address, socklen_t address_len)
{
	int			fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int			err = 0;
	socklen_t	len = sizeof err;

	if (fd < 0)
		return -1;
	if (connect(fd, address, address_len) == 0)
		return fd;
	if (errno != EINPROGRESS && errno != EINTR)
		err = errno;
	else if (!wait_for(connection, fd, MT_IO_WRITE,
					   deadline_after(connection->connect_timeout_ms)))
		err = errno;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err == 0)
		return fd;
	close_socket(connection, fd);
	errno = err;
	return -1;
}

static void
set_tcp_options(int fd)
{
	int			on = 1;
	int			idle = KEEPALIVE_IDLE_S;
	int			interval = KEEPALIVE_INTERVAL_S;
	int			probes = KEEPALIVE_PROBES;

	/* None of these is needed to go on, so no result is looked at. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#ifdef TCP_KEEPIDLE
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
#endif
}

static int
connect_unix(MtConnection *connection, const char *path, bson_error_t *error)
{
	struct sockaddr_un address;
	int			fd = -1;

	memset(&address, 0, sizeof address);
	address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof address.sun_path)
		errno = ENAMETOOLONG;
	else
	{
		strcpy(address.sun_path, path);
		fd = connect_address(connection, AF_UNIX, SOCK_STREAM, 0,
							 (struct sockaddr *) &address, sizeof address);
	}
	if (fd < 0)
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
					   "could not connect to \"%s\": %s", path, strerror(errno));
	return fd;
}

/* Try every address of the host.  getaddrinfo cannot be interrupted. */
static int
connect_tcp(MtConnection *connection, const mongoc_host_list_t *host, bson_error_t *error)
{
	struct addrinfo hints;
	struct addrinfo *addresses = NULL;
	char		port[16];
	int			fd = -1;
	int			rc;

	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_family = host->family;
	bson_snprintf(port, sizeof port, "%u", (unsigned) host->port);
	rc = getaddrinfo(host->host, port, &hints, &addresses);
	if (rc != 0)
	{
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NAME_RESOLUTION,
					   "could not resolve \"%s\": %s", host->host, gai_strerror(rc));
		return -1;
	}
	for (struct addrinfo *a = addresses; a != NULL && fd < 0 && !connection->interrupted;
		 a = a->ai_next)
		fd = connect_address(connection, a->ai_family, a->ai_socktype, a->ai_protocol,
							 a->ai_addr, a->ai_addrlen);
	rc = errno;
	freeaddrinfo(addresses);
	if (fd < 0)
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT,
					   "could not connect to \"%s\": %s", host->host_and_port, strerror(rc));
	else
		set_tcp_options(fd);
	return fd;
}

/* TLS as the uri asks for it.  Destroys the base stream on failure. */
static mongoc_stream_t *
wrap_tls(MtConnection *connection, const mongoc_uri_t *uri, const mongoc_host_list_t *host,
		 mongoc_stream_t *base, bson_error_t *error)
{
	mongoc_ssl_opt_t opt = *mongoc_ssl_opt_get_default();
	bool		insecure = mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSINSECURE, false);
	mongoc_stream_t *tls;

	opt.ca_file = mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, NULL);
	opt.pem_file = mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, NULL);
	opt.pem_pwd = mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD,
												NULL);
	opt.weak_cert_validation =
		mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, insecure);
	opt.allow_invalid_hostname =
		mongoc_uri_get_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, insecure);
	tls = mongoc_stream_tls_new_with_hostname(base, host->host, &opt, 1);
	if (tls == NULL)
	{
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET,
					   "could not set up TLS: a certificate or key file cannot be used");
		mongoc_stream_destroy(base);
		return NULL;
	}
	if (!mongoc_stream_tls_handshake_block(tls, host->host, connection->connect_timeout_ms,
										   error))
	{
		mongoc_stream_destroy(tls);
		return NULL;
	}
	return tls;
}

/* Remember why there is no connection, for error.c. */
static void
note_connect_error(MtConnection *connection, const bson_error_t *error)
{
	size_t		used = strlen(connection->connect_errors);

	bson_snprintf(connection->connect_errors + used, sizeof connection->connect_errors - used,
				  "%s%s", used > 0 ? "; " : "", error->message);
}

/* A connected stream, TLS included; NULL with error. */
static mongoc_stream_t *
connect_stream(MtConnection *connection, const mongoc_uri_t *uri, const mongoc_host_list_t *host,
			   bson_error_t *error)
{
	mongoc_stream_t *base;
	mongoc_stream_t *outer;
	int			fd = -1;

	if (stopped(connection))
		bson_set_error(error, MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, "interrupted");
	else if (host->family == AF_UNIX)
		fd = connect_unix(connection, host->host, error);
	else
		fd = connect_tcp(connection, host, error);
	if (fd < 0)
		return NULL;
	base = outer = stream_new(connection, fd, host->host_and_port);
	if (mongoc_uri_get_tls(uri))
		outer = wrap_tls(connection, uri, host, base, error);
	if (outer == NULL)
		return NULL;
	outer = mt_guard_new(outer);
	((MtStream *) base)->outer = outer;
	return outer;
}

mongoc_stream_t *BSON_CALL
mt_stream_initiate(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *context,
				   bson_error_t *error)
{
	MtConnection *connection = context;
	mongoc_stream_t *stream;
	bson_error_t reason;

	(void) error;
	memset(&reason, 0, sizeof reason);
	stream = connect_stream(connection, uri, host, &reason);
	if (stream == NULL)
	{
		note_connect_error(connection, &reason);
		stream = stream_new(connection, -1, host->host_and_port);
		((MtStream *) stream)->broken = true;
	}
	return stream;
}
