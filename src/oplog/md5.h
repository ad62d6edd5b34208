/*
 * md5.h
 *		MD5, for consistent hashing only.
 *
 * The rings must agree with other programs', so the digest is given; it
 * protects nothing.  libbson had it until 2.0.  Source: RFC 1321.
 */
#ifndef MT_MD5_H
#define MT_MD5_H

#include <stddef.h>
#include <stdint.h>

#define MT_MD5_BYTES 16

extern void mt_md5(const void *data, size_t len, uint8_t digest[MT_MD5_BYTES]);

#endif							/* MT_MD5_H */
