/*
 * error.c
 *		The driver's and the server's errors as one value.
 *
 * Three sources: a bson_error_t of the driver (error API 2: the domain SERVER
 * means that the code is the server's), a reply with ok: 0 read by wire.c, and
 * a stream that failed.  Whether opening again may help is decided here, in
 * one table.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "mongo/mongo_private.h"

#define AUTHENTICATION_FAILED 18

/*
 * Server codes after which a cursor may be opened again at its position: the
 * node stepped down, shut down, lost the cursor, or is not there yet.  What is
 * not here (no privilege, history lost, a bad query) will fail again.
 */
static const int32_t resumable_codes[] = {
	6,							/* HostUnreachable */
	7,							/* HostNotFound */
	43,							/* CursorNotFound */
	63,							/* StaleShardVersion */
	89,							/* NetworkTimeout */
	91,							/* ShutdownInProgress */
	133,						/* FailedToSatisfyReadPreference */
	134,						/* ReadConcernMajorityNotAvailableYet */
	150,						/* StaleEpoch */
	175,						/* QueryPlanKilled */
	189,						/* PrimarySteppedDown */
	202,						/* NetworkInterfaceExceededTimeLimit */
	234,						/* RetryChangeStream */
	237,						/* CursorKilled */
	262,						/* ExceededTimeLimit */
	279,						/* ClientDisconnect */
	317,						/* ConnectionPoolExpired */
	358,						/* InternalTransactionNotSupported while upgrading */
	9001,						/* SocketException */
	10107,						/* NotWritablePrimary */
	11600,						/* InterruptedAtShutdown */
	11602,						/* InterruptedDueToReplStateChange */
	13388,						/* StaleConfig */
	13435,						/* NotPrimaryNoSecondaryOk */
	13436,						/* NotPrimaryOrSecondary */
};

static bool
code_is_resumable(int32_t code)
{
	for (size_t i = 0; i < sizeof resumable_codes / sizeof resumable_codes[0]; i++)
		if (resumable_codes[i] == code)
			return true;
	return false;
}

/* Copy text, cutting at a character's boundary so that it stays valid UTF-8. */
static void
copy_text(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
	{
		len = size - 1;
		while (len > 0 && ((unsigned char) from[len] & 0xC0) == 0x80)
			len--;
	}
	memcpy(to, from, len);
	to[len] = '\0';
}

/*
 * Overwrite what must not be shown.  Neither server nor driver is known to
 * repeat a password; this is the belt to those braces.
 */
static void
mask_secret(char *message, const char *secret)
{
	size_t		len = secret ? strlen(secret) : 0;
	char	   *at;

	if (len < 4)				/* would match by chance, and so tell more than it hides */
		return;
	while ((at = strstr(message, secret)) != NULL)
		memset(at, '*', len);
}

static void
mask_secrets(MtConnection *connection, MtMongoError *error)
{
	if (connection == NULL || connection->uri == NULL)
		return;
	mask_secret(error->message, mongoc_uri_get_password(connection->uri));
	mask_secret(error->message,
				mongoc_uri_get_option_as_utf8(connection->uri,
											  MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD, NULL));
}

/* An error of our own: a bad argument, a bad uri. */
void
mt_error_set(MtMongoError *error, const char *format,...)
{
	va_list		args;

	memset(error, 0, sizeof *error);
	error->domain = MONGOC_ERROR_COMMAND;
	error->code = MONGOC_ERROR_COMMAND_INVALID_ARG;
	va_start(args, format);
	vsnprintf(error->message, sizeof error->message, format, args);
	va_end(args);
}

/* What every error of a call has in common, and what it means for the client. */
static void
finish(MtConnection *connection, MtMongoError *error)
{
	if (connection != NULL)
	{
		if (connection->interrupted)
		{
			error->interrupted = true;
			error->network = error->connecting = error->resumable = false;
			copy_text(error->message, sizeof error->message, "interrupted", 11);
		}
		else if (error->network || error->resumable)
			connection->renew = true;
	}
	mask_secrets(connection, error);
}

/* The text field of a reply, copied; empty when there is none. */
static void
reply_text(const bson_t *reply, const char *field, char *to, size_t size)
{
	bson_iter_t iter;
	uint32_t	len;
	const char *text;

	to[0] = '\0';
	if (reply != NULL && bson_iter_init_find(&iter, reply, field) && BSON_ITER_HOLDS_UTF8(&iter))
	{
		text = bson_iter_utf8(&iter, &len);
		copy_text(to, size, text, len);
	}
}

void
mt_error_from_driver(MtConnection *connection, const bson_error_t *driver, const bson_t *reply,
					 MtMongoError *error)
{
	memset(error, 0, sizeof *error);
	error->domain = driver->domain;
	error->code = (int32_t) driver->code;
	copy_text(error->message, sizeof error->message, driver->message, strlen(driver->message));
	reply_text(reply, "codeName", error->code_name, sizeof error->code_name);

	/* The driver reports a connection lost while authenticating as a failed
	 * authentication; the stream knows better. */
	if (driver->domain == MONGOC_ERROR_STREAM ||
		driver->domain == MONGOC_ERROR_SERVER_SELECTION ||
		(connection != NULL && connection->io_failed &&
		 driver->domain != MONGOC_ERROR_SERVER))
	{
		error->network = error->resumable = true;
		error->connecting = driver->domain == MONGOC_ERROR_SERVER_SELECTION ||
			(driver->domain == MONGOC_ERROR_STREAM &&
			 (driver->code == MONGOC_ERROR_STREAM_CONNECT ||
			  driver->code == MONGOC_ERROR_STREAM_NAME_RESOLUTION));
		/* stream.c could not give the driver the reason at the time */
		if (connection != NULL && connection->connect_errors[0] != '\0')
			bson_snprintf(error->message, sizeof error->message,
						  "no suitable server: %s", connection->connect_errors);
	}
	else if (driver->domain == MONGOC_ERROR_SERVER ||
			 driver->domain == MONGOC_ERROR_WRITE_CONCERN)
	{
		error->from_server = true;
		error->resumable = code_is_resumable(error->code) ||
			(reply != NULL && mongoc_error_has_label(reply, "ResumableChangeStreamError"));
	}
	else if (driver->domain == MONGOC_ERROR_SASL || driver->domain == MONGOC_ERROR_SCRAM ||
			 (driver->domain == MONGOC_ERROR_CLIENT &&
			  driver->code == MONGOC_ERROR_CLIENT_AUTHENTICATE))
	{
		error->from_server = true;
		error->code = AUTHENTICATION_FAILED;
		snprintf(error->code_name, sizeof error->code_name, "AuthenticationFailed");
	}
	else if (driver->domain == MONGOC_ERROR_PROTOCOL &&
			 driver->code == MONGOC_ERROR_PROTOCOL_INVALID_REPLY)
		error->resumable = true;
	finish(connection, error);
}

void
mt_error_from_reply(MtConnection *connection, MtSlice reply, MtMongoError *error)
{
	bson_t		doc;
	bson_iter_t iter;

	memset(error, 0, sizeof *error);
	error->domain = MONGOC_ERROR_SERVER;
	error->from_server = true;
	if (!bson_init_static(&doc, reply.data, reply.len))
	{
		mt_error_from_stream(connection, "the server's reply is not BSON", NULL, error);
		return;
	}
	if (bson_iter_init_find(&iter, &doc, "code") && BSON_ITER_HOLDS_NUMBER(&iter))
		error->code = (int32_t) bson_iter_as_int64(&iter);
	reply_text(&doc, "codeName", error->code_name, sizeof error->code_name);
	reply_text(&doc, "errmsg", error->message, sizeof error->message);
	error->resumable = code_is_resumable(error->code) ||
		mongoc_error_has_label(&doc, "ResumableChangeStreamError");
	finish(connection, error);
}

void
mt_error_from_stream(MtConnection *connection, const char *what, mongoc_stream_t *stream,
					 MtMongoError *error)
{
	int			err = errno;

	memset(error, 0, sizeof *error);
	error->domain = MONGOC_ERROR_STREAM;
	error->code = MONGOC_ERROR_STREAM_SOCKET;
	error->network = error->resumable = true;
	if (stream != NULL && mongoc_stream_timed_out(stream))
		snprintf(error->message, sizeof error->message, "%s: timed out", what);
	else if (stream != NULL && err != 0)
		snprintf(error->message, sizeof error->message, "%s: %s", what, strerror(err));
	else
		snprintf(error->message, sizeof error->message, "%s", what);
	finish(connection, error);
}
