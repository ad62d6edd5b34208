/*
 * bench_pipeline.c
 *		The fastest that a client of MongoDB can read a cursor: while it works on
 *		a batch, the server works on the next.
 *
 * No cursor of libmongoc's does that.  The driver connects and runs the find;
 * then the stream that it connected with, which is ours, carries the getMores
 * and their replies (OP_MSG), and the replies land in one buffer.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench_common.h"

#define OP_MSG 2013
#define HEAD_BYTES 21			/* header, flags, kind of section */
#define MAX_MESSAGE_BYTES 48000000
#define TIMEOUT_MS 60000

struct Pipeline
{
	mongoc_client_t *client;
	mongoc_client_session_t *session;
	mongoc_stream_t *stream;	/* the newest; there is one server */
	uint8_t    *buffer;			/* of a reply's body */
	int32_t		batch_size;
};

static mongoc_stream_t *
connect_stream(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *user_data, bson_error_t *error)
{
	Pipeline   *pipeline = user_data;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *address;
	mongoc_socket_t *sock;
	char		port[16];
	int			on = 1;

	(void) uri;
	(void) error;
	snprintf(port, sizeof port, "%d", host->port);
	if (getaddrinfo(host->host, port, &hints, &address) != 0)
		die("connect", "the host is not known");
	sock = mongoc_socket_new(address->ai_family, address->ai_socktype, address->ai_protocol);
	if (sock == NULL || mongoc_socket_connect(sock, address->ai_addr, (mongoc_socklen_t) address->ai_addrlen, -1) != 0)
		die("connect", "the server cannot be reached");
	mongoc_socket_setsockopt(sock, IPPROTO_TCP, 1 /* TCP_NODELAY */ , &on, sizeof on);
	freeaddrinfo(address);
	pipeline->stream = mongoc_stream_socket_new(sock);
	return pipeline->stream;
}

Pipeline *
pipeline_connect(const char *uri)
{
	Pipeline   *pipeline = calloc(1, sizeof *pipeline);
	bson_error_t error;

	pipeline->buffer = malloc(MAX_MESSAGE_BYTES);
	pipeline->client = mongoc_client_new(uri);
	mongoc_client_set_stream_initiator(pipeline->client, connect_stream, pipeline);
	pipeline->session = mongoc_client_start_session(pipeline->client, NULL, &error);
	if (pipeline->session == NULL)
		die("session", error.message);
	return pipeline;
}

static void
send_get_more(Pipeline *pipeline, int64_t id, const char *database, const char *collection)
{
	bson_t		command = BSON_INITIALIZER;
	uint8_t		head[HEAD_BYTES] = {0};
	uint32_t	words[4];
	mongoc_iovec_t iov[2] = {{head, sizeof head}};

	BSON_APPEND_INT64(&command, "getMore", id);
	BSON_APPEND_UTF8(&command, "collection", collection);
	BSON_APPEND_INT32(&command, "batchSize", pipeline->batch_size);
	BSON_APPEND_DOCUMENT(&command, "lsid", mongoc_client_session_get_lsid(pipeline->session));
	BSON_APPEND_UTF8(&command, "$db", database);
	words[0] = BSON_UINT32_TO_LE(HEAD_BYTES + command.len);
	words[1] = BSON_UINT32_TO_LE(1);
	words[2] = 0;
	words[3] = BSON_UINT32_TO_LE(OP_MSG);
	memcpy(head, words, sizeof words);
	iov[1].iov_base = (void *) bson_get_data(&command);
	iov[1].iov_len = command.len;
	if (mongoc_stream_writev(pipeline->stream, iov, 2, TIMEOUT_MS) != (ssize_t) (HEAD_BYTES + command.len))
		die("getMore", "cannot be sent");
	bson_destroy(&command);
}

static void
receive(Pipeline *pipeline, bson_t *reply)
{
	uint8_t		head[HEAD_BYTES];
	uint32_t	len;

	if (mongoc_stream_read(pipeline->stream, head, sizeof head, sizeof head, TIMEOUT_MS) != HEAD_BYTES)
		die("getMore", "no reply");
	memcpy(&len, head, sizeof len);
	len = BSON_UINT32_FROM_LE(len) - HEAD_BYTES;
	if (len > MAX_MESSAGE_BYTES ||
		mongoc_stream_read(pipeline->stream, pipeline->buffer, len, len, TIMEOUT_MS) != (ssize_t) len ||
		!bson_init_static(reply, pipeline->buffer, len))
		die("getMore", "no whole reply");
}

/* Find the batch in a reply; the cursor's id. */
static int64_t
open_reply(const bson_t *reply, bson_iter_t *batch)
{
	bson_iter_t iter;
	bson_iter_t found;
	int64_t		id;

	if (!bson_iter_init(&iter, reply) || !bson_iter_find_descendant(&iter, "cursor.id", &found))
		die("getMore", bson_as_relaxed_extended_json(reply, NULL));
	id = bson_iter_int64(&found);
	if ((!bson_iter_init(&iter, reply) || !bson_iter_find_descendant(&iter, "cursor.nextBatch", &found)) &&
		(!bson_iter_init(&iter, reply) || !bson_iter_find_descendant(&iter, "cursor.firstBatch", &found)))
		die("getMore", "no batch");
	bson_iter_recurse(&found, batch);
	return id;
}

static void
consume_batch(bson_iter_t *batch, Consumer consume, uint64_t *documents, uint64_t *bytes)
{
	while (bson_iter_next(batch))
	{
		const uint8_t *data;
		uint32_t	len;
		bson_t		document;

		bson_iter_document(batch, &len, &data);
		bson_init_static(&document, data, len);
		consume(&document);
		*documents += 1;
		*bytes += len;
	}
}

void
pipeline_read(Pipeline *pipeline, const bson_t *find, const char *database, const char *collection,
			  Consumer consume, uint64_t *documents, uint64_t *bytes)
{
	bson_t		command = BSON_INITIALIZER;
	bson_t		opts = BSON_INITIALIZER;
	bson_t		first;
	bson_t		reply;
	bson_iter_t iter;
	bson_iter_t batch;
	bson_error_t error;
	int64_t		id;

	if (bson_iter_init_find(&iter, find, "batchSize"))
		pipeline->batch_size = (int32_t) bson_iter_as_int64(&iter);
	bson_copy_to_excluding_noinit(find, &command, "$db", "batchSize", NULL);
	mongoc_client_session_append(pipeline->session, &opts, NULL);
	if (!mongoc_client_command_with_opts(pipeline->client, database, &command, NULL, &opts, &first, &error))
		die("find", error.message);
	id = open_reply(&first, &batch);
	if (id != 0)
		send_get_more(pipeline, id, database, collection);
	consume_batch(&batch, consume, documents, bytes);
	while (id != 0)
	{
		receive(pipeline, &reply);
		id = open_reply(&reply, &batch);
		if (id != 0)
			send_get_more(pipeline, id, database, collection);
		consume_batch(&batch, consume, documents, bytes);
	}
	bson_destroy(&first);
	bson_destroy(&opts);
	bson_destroy(&command);
}
