/*
 * test_mongo.c
 *		mongo/ without a MongoDB: connection strings, and deployments that are
 *		down, silent or say nonsense.
 *
 * The servers are sockets of this process that listen and never accept, or a
 * child that answers with what the case says.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mongo/oplog_cursor.h"
#include "mongo/uri.h"

static int failures = 0;

#define CHECK(condition) \
	((condition) ? (void) 0 : (void) (failures++, printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition)))

static void
test_uri_check(void)
{
	static const char *const good[] = {
		"mongodb://localhost/", "mongodb://h1:1,h2:2/?replicaSet=rs0",
		"mongodb://%2Ftmp%2Fmongodb-27017.sock/?directConnection=true",
		"mongodb://h/?tls=true&tlsCAFile=/ca.pem&appname=a%40b",
		"mongodb+srv://cluster.example.com/", "mongodb+srv://cluster.example.com/admin?readPreference=nearest",
		"mongodb+srv://cluster.example.com/?srvServiceName=customname&srvMaxHosts=2&tls=false",
		"mongodb://[::1]:27017,h2/db?readPreference=secondary&readPreferenceTags=dc:ny,rack:1&readPreferenceTags=",
		"mongodb://h/?readPreference=secondary&maxStalenessSeconds=120&localThresholdMS=5",
		"mongodb://h/?readConcernLevel=local&authSource=app&w=majority&journal=true&wtimeoutMS=5",
		"mongodb://h/?ssl=true&tlsAllowInvalidHostnames=true&tlsAllowInvalidCertificates=true",
		"mongodb://h/?compressors=zlib&zlibCompressionLevel=3&socketTimeoutMS=5&heartbeatFrequencyMS=1000",
	};
	static const char *const credentials[] = {
		"mongodb://u:S3CRET@h/", "mongodb://u@h/", "mongodb://u:S3/CRET@h/",
		"mongodb://u:S3CRET?x@h/", "mongodb://u:S3CRET%zz@h/",
		"mongodb://h/?tls=true&tlsCertificateKeyFile=/k&tlsCertificateKeyFilePassword=S3CRET",
		"mongodb://h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:S3CRET",
	};
	static const char *const bad[] = {
		"", "http://h/", "mongodb://", "mongodb://h/?tls=true&tlsDisableOCSPEndpointCheck=true",
		"mongodb://h:99999/", "mongodb+srv://",
		"mongodb+srv://cluster.example.com:27017/", "mongodb+srv://a.example.com,b.example.com/",
		"mongodb+srv://cluster.example.com/?directConnection=true", "mongodb://h1,h2/?directConnection=true",
		"mongodb://h/?srvMaxHosts=2", "mongodb://h/?readPreference=somewhere", "mongodb://h/?maxStalenessSeconds=120",
		"mongodb://h/?readPreferenceTags=a:b", "mongodb://h/?tlsInsecure=true&tlsAllowInvalidHostnames=true",
		"mongodb://h/?tls=true&ssl=false",
	};
	MtMongoError error;
	bool		has_credentials;
	char		mechanism[32];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!mt_uri_check(good[i], &has_credentials, &error) || has_credentials)
			CHECK(!printf("%s: %s\n", good[i], error.message));
	for (size_t i = 0; i < sizeof credentials / sizeof *credentials; i++)
	{
		CHECK(!mt_uri_check(credentials[i], &has_credentials, &error));
		CHECK(has_credentials);
		CHECK(strstr(error.message, "S3") == NULL);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mt_uri_check(bad[i], &has_credentials, &error) || has_credentials || error.message[0] == '\0')
			CHECK(!printf("%s is taken\n", bad[i]));
	CHECK(mt_uri_names_files(good[3]) && !mt_uri_names_files(good[0]));
	CHECK(mt_uri_auth_mechanism("mongodb://h/?authMechanism=MONGODB-X509", mechanism,
								sizeof mechanism) && strcmp(mechanism, "MONGODB-X509") == 0);
	CHECK(!mt_uri_auth_mechanism(good[0], mechanism, sizeof mechanism));
	CHECK(mt_uri_read_concern("mongodb://h/?readConcernLevel=local", mechanism, sizeof mechanism) &&
		  strcmp(mechanism, "local") == 0);
	CHECK(!mt_uri_read_concern(good[0], mechanism, sizeof mechanism));
	CHECK(!mt_uri_read_concern("mongodb://h/?appname=readConcernLevel", mechanism, sizeof mechanism));
}

/* A listening socket on a free port. */
static int
listen_somewhere(int *port)
{
	struct sockaddr_in address;
	socklen_t	len = sizeof address;
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *) &address, sizeof address) != 0 || listen(fd, 8) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &len) != 0)
	{
		perror("listen");
		exit(2);
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static int64_t interrupt_at_us;

static bool
timer_interrupted(void *context)
{
	(void) context;
	return bson_get_monotonic_time() >= interrupt_at_us;
}

static MtIoWait
timer_wait(void *context, int fd, int events, int64_t timeout_ms)
{
	struct pollfd p = {fd, (short) ((events & MT_IO_READ ? POLLIN : 0) |
									(events & MT_IO_WRITE ? POLLOUT : 0)), 0};
	int64_t		left_ms = (interrupt_at_us - bson_get_monotonic_time()) / 1000 + 1;

	if (timer_interrupted(context))
		return MT_IO_INTERRUPTED;
	if (timeout_ms >= 0 && timeout_ms < left_ms)
		left_ms = timeout_ms;
	if (poll(&p, 1, (int) left_ms) > 0)
		return MT_IO_READY;
	return timer_interrupted(context) ? MT_IO_INTERRUPTED : MT_IO_TIMEOUT;
}

/* hello to the uri, interrupted after a while; returns the milliseconds. */
static double
hello_error(const char *uri, int interrupt_ms, MtMongoError *error)
{
	MtConnectionOptions options;
	MtConnection *connection;
	MtHello		hello;
	int64_t		started = bson_get_monotonic_time();

	memset(&options, 0, sizeof options);
	memset(error, 0, sizeof *error);
	options.uri = uri;
	options.port.wait = timer_wait;
	options.port.interrupted = timer_interrupted;
	interrupt_at_us = started + (int64_t) interrupt_ms * 1000;
	connection = mt_connection_new(&options, error);
	CHECK(connection != NULL);
	CHECK(!mt_connection_hello(connection, &hello, error));
	mt_connection_free(connection);
	return (double) (bson_get_monotonic_time() - started) / 1000;
}

static void
test_unreachable(void)
{
	MtMongoError error;
	char		uri[128];
	int			port;
	int			other_port;
	int			fd = listen_somewhere(&port);
	int			other_fd = listen_somewhere(&other_port);

	/* silent: the interrupt ends it, alone and among several */
	snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d/", port);
	CHECK(hello_error(uri, 100, &error) < 200);
	CHECK(error.interrupted && !error.resumable && !error.network);
	snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d,127.0.0.1:%d/?replicaSet=x", port, other_port);
	CHECK(hello_error(uri, 100, &error) < 200);
	CHECK(error.interrupted);

	/* silent: so does the connect timeout */
	snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d/?connectTimeoutMS=300", port);
	CHECK(hello_error(uri, 5000, &error) < 2000);
	CHECK(!error.interrupted && error.network && error.connecting && error.resumable);
	close(fd);
	close(other_fd);

	/* refused */
	CHECK(hello_error(uri, 5000, &error) < 1000);
	CHECK(error.network && error.connecting && error.resumable && !error.from_server);
}

/* A child that answers whatever comes with these bytes and closes. */
static pid_t
answer_with(int fd, const void *bytes, size_t len)
{
	pid_t		pid = fork();
	char		request[4096];

	if (pid != 0)
		return pid;
	for (;;)
	{
		int			client = accept(fd, NULL, NULL);

		if (read(client, request, sizeof request) > 0 &&
			write(client, bytes, len) < 0)
			_exit(1);
		close(client);
	}
}

static void
test_nonsense(void)
{
	static const char *const answers[] = {
		"HTTP/1.0 400 Bad Request\r\n\r\n",
		"\377\377\377\377\0\0\0\0\0\0\0\0\335\7\0\0",
		"\25\0\0\0\0\0\0\0\1\0\0\0\335\7\0\0\0\0\0\0\0",
		"\20\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0",
		/* OP_MSG whose document says 1000 bytes, and one of a second kind */
		"\32\0\0\0\0\0\0\0\1\0\0\0\335\7\0\0\0\0\0\0\0\350\3\0\0\0",
		"\36\0\0\0\0\0\0\0\1\0\0\0\335\7\0\0\0\0\0\0\1\50\43\0\0abcd\0",
		/* OP_COMPRESSED */
		"\36\0\0\0\0\0\0\0\1\0\0\0\334\7\0\0\335\7\0\0\0\0\0\167\0\1\2\3\4\5",
	};
	static const size_t lengths[] = {28, 16, 21, 16, 26, 30, 30};
	MtMongoError error;
	char		uri[128];

	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
	{
		int			port;
		int			fd = listen_somewhere(&port);
		pid_t		pid = answer_with(fd, answers[i], lengths[i]);

		snprintf(uri, sizeof uri, "mongodb://127.0.0.1:%d/?connectTimeoutMS=1000", port);
		hello_error(uri, 5000, &error);
		CHECK(!error.interrupted && !error.from_server && error.message[0] != '\0');
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd);
	}
}

int
main(void)
{
	mt_mongo_init();
	test_uri_check();
	test_unreachable();
	test_nonsense();
	printf(failures ? "test_mongo: %d failed\n" : "test_mongo: ok\n", failures);
	return failures != 0;
}
