/*
 * uri.c
 *		Connection strings: checked, parsed and completed, never printed.
 *
 * A uri is parsed by the driver and credentials are set on the parsed form, so
 * that no character of a password can change what the uri means.  The string
 * itself must carry no secret, because everyone may read a foreign server's
 * options: hence no '@' at all (write %40 in a value), no key file password
 * and no session token.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* strcasestr */
#endif
#include <string.h>
#include <strings.h>

#include "mongo/mongo_private.h"
#include "mongo/uri.h"

/* Options of a uri that name files on the database server's disk. */
static const char *const file_options[] = {
	MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE,
};

/*
 * The driver takes these only through a structure that it does not publish, so
 * a stream of ours cannot honour them; to ignore them would be worse.
 */
static const char *const unsupported_options[] = {
	MONGOC_URI_TLSDISABLECERTIFICATEREVOCATIONCHECK, MONGOC_URI_TLSDISABLEOCSPENDPOINTCHECK,
};

#define lengthof_array(a) (sizeof (a) / sizeof (a)[0])

/* Parse; the driver's message is safe only when the string holds no secret. */
static mongoc_uri_t *
parse(const char *text, bool secret_free, MtMongoError *error)
{
	bson_error_t driver;
	mongoc_uri_t *uri;

	mt_mongo_init();
	memset(&driver, 0, sizeof driver);
	uri = mongoc_uri_new_with_error(text, &driver);
	if (uri == NULL)
		mt_error_set(error, "%s",
					 secret_free && driver.message[0] != '\0' ? driver.message : "invalid uri");
	return uri;
}

/* Does the parsed uri carry a secret in its options? */
static bool
has_secret_option(const mongoc_uri_t *uri)
{
	bson_t		properties;

	if (mongoc_uri_has_option(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD) ||
		mongoc_uri_get_password(uri) != NULL)
		return true;
	if (mongoc_uri_get_mechanism_properties(uri, &properties))
	{
		bson_iter_t iter;

		if (bson_iter_init(&iter, &properties))
			while (bson_iter_next(&iter))
				if (strcasecmp(bson_iter_key(&iter), "AWS_SESSION_TOKEN") == 0)
					return true;
	}
	return false;
}

static bool
check_supported(const mongoc_uri_t *uri, MtMongoError *error)
{
	for (size_t i = 0; i < lengthof_array(unsupported_options); i++)
		if (mongoc_uri_has_option(uri, unsupported_options[i]))
		{
			mt_error_set(error, "the uri option \"%s\" is not supported", unsupported_options[i]);
			return false;
		}
	return true;
}

bool
mt_uri_check(const char *text, bool *has_credentials, MtMongoError *error)
{
	mongoc_uri_t *uri;
	bool		ok;

	*has_credentials = strchr(text, '@') != NULL;
	if (*has_credentials)
	{
		mt_error_set(error, "the uri contains a user name or password");
		return false;
	}
	/* the parser must not be asked to quote a key file's password */
	uri = parse(text, strcasestr(text, "password") == NULL, error);
	if (uri == NULL)
		return false;
	*has_credentials = has_secret_option(uri);
	if (*has_credentials)
		mt_error_set(error, "the uri contains a password or session token");
	ok = !*has_credentials && check_supported(uri, error);
	mongoc_uri_destroy(uri);
	return ok;
}

bool
mt_uri_names_files(const char *text)
{
	MtMongoError ignored;
	mongoc_uri_t *uri = parse(text, false, &ignored);
	bool		found = false;

	if (uri == NULL)
		return false;
	for (size_t i = 0; i < lengthof_array(file_options); i++)
		found |= mongoc_uri_has_option(uri, file_options[i]);
	mongoc_uri_destroy(uri);
	return found;
}

bool
mt_uri_auth_mechanism(const char *text, char *mechanism, size_t size)
{
	MtMongoError ignored;
	mongoc_uri_t *uri = parse(text, false, &ignored);
	const char *value = uri ? mongoc_uri_get_auth_mechanism(uri) : NULL;

	bson_snprintf(mechanism, size, "%s", value ? value : "");
	mongoc_uri_destroy(uri);
	return mechanism[0] != '\0';
}

bool
mt_uri_read_concern(const char *text, char *level, size_t size)
{
	MtMongoError ignored;
	mongoc_uri_t *uri = NULL;
	const char *value = NULL;

	/* Asked for every scan, and hardly ever there. */
	if (strcasestr(text, MONGOC_URI_READCONCERNLEVEL) != NULL)
		uri = parse(text, false, &ignored);
	if (uri != NULL)
		value = mongoc_read_concern_get_level(mongoc_uri_get_read_concern(uri));
	bson_snprintf(level, size, "%s", value ? value : "");
	mongoc_uri_destroy(uri);
	return level[0] != '\0';
}

/* Put user, password, source and mechanism on the parsed uri. */
static bool
set_credentials(mongoc_uri_t *uri, const MtConnectionOptions *options, MtMongoError *error)
{
	const char *what = NULL;

	if (options->auth_mechanism && !mongoc_uri_set_auth_mechanism(uri, options->auth_mechanism))
		what = "authentication mechanism";
	else if (options->username && !mongoc_uri_set_username(uri, options->username))
		what = "user name";
	else if (options->password && !mongoc_uri_set_password(uri, options->password))
		what = "password";
	else if (options->auth_source && !mongoc_uri_set_auth_source(uri, options->auth_source))
		what = "authentication source";
	else if (options->tls_certificate_key_file &&
			 !mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE,
											options->tls_certificate_key_file))
		what = "certificate key file";
	else if (options->tls_certificate_key_file_password &&
			 !mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD,
											options->tls_certificate_key_file_password))
		what = "certificate key file password";
	if (what != NULL)
		mt_error_set(error, "the %s is not acceptable to the driver", what);
	return what == NULL;
}

mongoc_uri_t *
mt_uri_build(const MtConnectionOptions *options, MtMongoError *error)
{
	mongoc_uri_t *uri = parse(options->uri, strchr(options->uri, '@') == NULL, error);

	if (uri == NULL)
		return NULL;
	if (!check_supported(uri, error) || !set_credentials(uri, options, error))
	{
		mongoc_uri_destroy(uri);
		return NULL;
	}
	if (mongoc_uri_get_appname(uri) == NULL)
		mongoc_uri_set_appname(uri, options->app_name ? options->app_name : "mongo_tail");
	if (options->connect_timeout_ms > 0)
		mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
									   options->connect_timeout_ms);
	if (options->server_selection_timeout_ms > 0)
		mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
									   options->server_selection_timeout_ms);

	/* Otherwise the driver sleeps between scans, and cannot be woken. */
	mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true);
	/* A compressed reply cannot be checked before the driver trusts it. */
	mongoc_uri_set_compressors(uri, NULL);
	/* Who calls decides what to run again. */
	mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false);
	return uri;
}
