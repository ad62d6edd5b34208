/*
 * unit.h
 *		The least a unit test needs: count, name what failed, sum up.
 */
#ifndef MT_UNIT_H
#define MT_UNIT_H

#include <stdio.h>

static int	mt_unit_passed;
static int	mt_unit_failed;

#define MT_CHECK(cond) \
	do { \
		if (cond) \
			mt_unit_passed++; \
		else \
		{ \
			mt_unit_failed++; \
			printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
		} \
	} while (0)

/* The last line of a test, and its exit status. */
static inline int
mt_unit_report(void)
{
	printf("%d passed, %d failed\n", mt_unit_passed, mt_unit_failed);
	return mt_unit_failed > 0 || mt_unit_passed == 0;
}

#endif							/* MT_UNIT_H */
