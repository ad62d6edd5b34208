/*
 * collation.h
 *		What a collation compares.
 */
#ifndef MT_COLLATION_H
#define MT_COLLATION_H

/* Does it compare bytes, as C does? */
extern bool mt_collation_is_c(Oid collation);

#endif							/* MT_COLLATION_H */
