/*
 * uri.h
 *		Questions about a connection string that are asked before it is used.
 *		mt_uri_check stands in connection.h.
 */
#ifndef MT_URI_H
#define MT_URI_H

#include <stdbool.h>
#include <stddef.h>

/* Does the uri name files (certificates) on this machine's disk? */
extern bool mt_uri_names_files(const char *uri);

/* The uri's authMechanism, empty and false when it has none. */
extern bool mt_uri_auth_mechanism(const char *uri, char *mechanism, size_t size);

/* The uri's readConcernLevel, empty and false when it has none. */
extern bool mt_uri_read_concern(const char *uri, char *level, size_t size);

#endif							/* MT_URI_H */
