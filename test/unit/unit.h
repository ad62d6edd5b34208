/*
 * unit.h
 *		The smallest thing that runs a table of named tests.
 *
 * A test is a function that checks; a check that fails is printed with its
 * place and fails the test, which goes on.  A program is
 *
 *		static const MtUnitTest tests[] = {
 *			MT_UNIT_TEST(empty_document),
 *			...
 *		};
 *		MT_UNIT_MAIN(tests)
 *
 * It prints "ok name" or "not ok name" per test, then "N passed, N failed",
 * and exits 1 when any failed.  Arguments select tests by name.
 */
#ifndef MT_UNIT_H
#define MT_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct MtUnitTest
{
	const char *name;
	void		(*run) (void);
} MtUnitTest;

#define MT_UNIT_TEST(name) {#name, test_##name}

/* Failed checks of the running test */
static int	mt_unit_failures;

static inline bool
mt_unit_check(bool holds, const char *what, const char *file, int line)
{
	if (!holds)
	{
		printf("%s:%d: does not hold: %s\n", file, line, what);
		mt_unit_failures++;
	}
	return holds;
}

static inline void
mt_unit_print_bytes(const char *label, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	printf("  %s (%zu bytes):", label, len);
	for (size_t i = 0; i < len && i < 512; i++)
		printf(" %02x", p[i]);
	printf("%s\n", len > 512 ? " ..." : "");
}

static inline bool
mt_unit_check_bytes(const void *actual, size_t actual_len,
					const void *expected, size_t expected_len,
					const char *what, const char *file, int line)
{
	if (actual_len == expected_len &&
		(actual_len == 0 || memcmp(actual, expected, actual_len) == 0))
		return true;
	mt_unit_check(false, what, file, line);
	mt_unit_print_bytes("actual", actual, actual_len);
	mt_unit_print_bytes("expected", expected, expected_len);
	return false;
}

/* True when cond holds; a failure is recorded and the test goes on. */
#define MT_CHECK(cond) mt_unit_check((cond), #cond, __FILE__, __LINE__)

/* Compare two byte strings, printing both when they differ. */
#define MT_CHECK_EQ_BYTES(actual, actual_len, expected, expected_len) \
	mt_unit_check_bytes((actual), (actual_len), (expected), (expected_len), \
						#actual " == " #expected, __FILE__, __LINE__)

static inline bool
mt_unit_selected(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 1;
}

static inline int
mt_unit_run(const MtUnitTest *tests, size_t n_tests, int argc, char **argv)
{
	int			passed = 0;
	int			failed = 0;

	for (size_t i = 0; i < n_tests; i++)
	{
		if (!mt_unit_selected(tests[i].name, argc, argv))
			continue;
		mt_unit_failures = 0;
		tests[i].run();
		if (mt_unit_failures == 0)
			passed++;
		else
			failed++;
		printf("%s %s\n", mt_unit_failures == 0 ? "ok" : "not ok", tests[i].name);
		fflush(stdout);
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0 || passed == 0;
}

#define MT_UNIT_MAIN(tests) \
int \
main(int argc, char **argv) \
{ \
	return mt_unit_run((tests), sizeof(tests) / sizeof((tests)[0]), argc, argv); \
}

#endif							/* MT_UNIT_H */
