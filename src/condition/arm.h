/*
 * arm.h
 *		A condition on one column as alternatives, before it is BSON.
 *
 * Any of the arms: what a document's field must be for the row to pass.  Each
 * arm has a core, which alone gives a superset, and guards, which make it exact
 * where the core lets more through: any of the arm's guards.
 */
#ifndef MT_CONDITION_ARM_H
#define MT_CONDITION_ARM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/date.h"

#include "condition/column.h"
#include "condition/point.h"
#include "convert/objectid.h"

#define MT_MAX_ARMS		4
#define MT_MAX_TYPES	4
#define MT_MAX_GUARDS	2

#define MT_NO_LIMIT		PG_INT32_MAX

#define MT_BINARY_OLD		2
#define MT_UUID_OLD			3
#define MT_UUID_STANDARD	4
#define MT_BINARY_COLUMN	7

#define MT_MS_PER_DAY		(SECS_PER_DAY * 1000)

/* Dates that a timestamp holds. */
#define MT_EPOCH_MS			((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * 1000))
#define MT_LEAST_DATE_MS	(MIN_TIMESTAMP / 1000 + MT_EPOCH_MS)
#define MT_GREATEST_DATE_MS (END_TIMESTAMP / 1000 - 1 + MT_EPOCH_MS)

/* What only an aggregation expression can say of a value. */
typedef enum MtExpressionGuard
{
	MT_EXPRESSION_NONE,
	MT_EXPRESSION_IS_DOUBLE,	/* a double holds the number exactly */
	MT_EXPRESSION_IS_LONG,		/* an int64 does */
	MT_EXPRESSION_IS_MIDNIGHT,	/* a date without time of day */
	MT_EXPRESSION_DIGITS_MATCH, /* an ObjectId's digits match expression_regex */
	MT_EXPRESSION_DIGITS_DIFFER
} MtExpressionGuard;

/* All that is set must hold. */
typedef struct MtGuard
{
	const char *types[MT_MAX_TYPES];	/* one of these, by MongoDB's names; none: any */
	bool		is_integral;	/* no double with a fraction, or beyond int64 */
	const char *regex;
	MtExpressionGuard expression;
	const char *expression_regex;
} MtGuard;

typedef struct MtArm
{
	/* the core */
	const MtPoint *lower;		/* NULL: none */
	bool		lower_is_open;
	const MtPoint *upper;
	bool		upper_is_open;
	List	   *points;			/* of MtPoint: one of these; regular expressions are matched */
	List	   *excluded;		/* of MtPoint: none of these */
	const char *type;			/* this, by MongoDB's name */

	/* bounds where the core has none, and guards */
	const MtPoint *least;
	const MtPoint *most;
	int			n_guards;
	MtGuard		guards[MT_MAX_GUARDS];
} MtArm;

typedef struct MtArms
{
	int			n;				/* 0: no row can pass */
	MtArm		arms[MT_MAX_ARMS];
} MtArms;

/* What became of a condition. */
typedef enum MtSent
{
	MT_SENT,					/* it is in the buffer */
	MT_ALWAYS,					/* every row passes, or (a superset) perhaps; what was written is to be taken back */
	MT_NEVER,					/* no row can pass; likewise */
	MT_CUT						/* it cannot be said, or is too long; likewise */
} MtSent;

extern MtArm *mt_add_arm(MtArms *arms);
extern MtGuard *mt_add_guard(MtArm *arm);

/* ---- typed.c: what reads as a value of the column ---- */

/* Is there a condition on the column that can be exact? */
extern bool mt_column_can_be_exact(const MtCollectionColumn *column);

/* Can just those documents be asked for whose field converts? */
extern bool mt_column_has_typed_form(const MtCollectionColumn *column);

/* Those documents.  Of a column without that form the guards do not suffice. */
extern void mt_typed_arms(const MtCollectionColumn *column, MtArms *arms);

/*
 * How many runs the column's values are of: sets in which MongoDB and SQL have
 * the values in one order, though not of one run beside another.  And the
 * documents of one.
 */
extern int	mt_column_runs(const MtCollectionColumn *column);
extern void mt_run_arm(const MtCollectionColumn *column, int run, MtArms *arms);

/* json and jsonb: the typed form is whatever is not null */
extern bool mt_column_reads_everything(const MtCollectionColumn *column);

/* An enum's labels, as a list of oids of pg_enum, and the text of one in UTF-8. */
extern List *mt_column_labels(const MtCollectionColumn *column);
extern char *mt_label_text(Oid label);

/* Add to an arm of equality what reads as a text. */
extern void mt_add_text_points(char *text, MtArms *arms);

/* The n of varchar(n) and char(n), or MT_NO_LIMIT. */
extern int	mt_column_characters(const MtCollectionColumn *column);

/* What the milliseconds of a date or timestamp must be a multiple of. */
extern int	mt_column_date_unit_ms(const MtCollectionColumn *column);

extern int64 mt_column_least_integer(const MtCollectionColumn *column);
extern int64 mt_column_greatest_integer(const MtCollectionColumn *column);

extern MtPoint *mt_uuid_point(uint8 subtype, const char *bytes);

/* ---- compare.c: what compares with a value of a type that shippable.c takes ---- */

/* Of a range's strategy */
extern bool mt_is_less(int strategy);
extern bool mt_is_open(int strategy);
extern void mt_bound_arm(MtArm *arm, int strategy, const MtPoint *point, bool open);

/* Where a time lies among the milliseconds since 1970. */
typedef struct MtTimePlace
{
	int			infinity;		/* -1, 1 or 0 */
	int64		floor_ms;
	int64		ceiling_ms;
} MtTimePlace;

extern MtTimePlace mt_place_of_timestamp(Timestamp timestamp);
extern MtTimePlace mt_place_of_date(DateADT date);

/* The arm of an equality for fields of these types, NULL: of any. */
extern MtArm *mt_equality_arm(MtArms *arms, const char *const *types);
extern void mt_add_equal_point(MtArms *arms, const char *const *types, MtPoint *point);

extern const char *const mt_double_types[MT_MAX_TYPES];
extern const char *const mt_other_number_types[MT_MAX_TYPES];

/* number.c */
extern void mt_add_equal_number(const MtCollectionColumn *column, Oid type, Datum value, bool exact, MtArms *arms);
extern void mt_compare_numbers(const MtCollectionColumn *column, Oid type, Datum value, int strategy, bool exact,
							   MtArms *arms);

/* A range for what rounds to a number that compares so; false: there is none. */
extern bool mt_rough_range(Oid type, Datum value, int strategy, MtArm *arm);

/* Add the points that are equal to a value to arms of equality. */
extern void mt_add_equality(const MtCollectionColumn *column, Oid type, Datum value, bool exact, MtArms *arms);

/* column operator value, by strategy; the exact form takes the arms from mt_typed_arms. */
extern void mt_comparison_arms(const MtCollectionColumn *column, Oid type, Datum value, int strategy,
							   bool exact, MtArms *arms);

/* What remains of the column's values without those of arms of equality. */
extern void mt_exclusion_arms(const MtCollectionColumn *column, const MtArms *equality, bool exact, MtArms *arms);

/* ---- arm.c: each writes elements of a document ---- */

extern MtSent mt_put_arms(StringInfo buffer, const MtCollectionColumn *column, const MtArms *arms, bool exact);
extern MtSent mt_put_null(StringInfo buffer, const MtCollectionColumn *column, bool exact);
extern MtSent mt_put_not_null(StringInfo buffer, const MtCollectionColumn *column, bool exact);

/* No array, and below none. */
extern MtSent mt_put_no_array_at(StringInfo buffer, const MtCollectionColumn *column);

/* Not null, as a superset. */
extern MtSent mt_put_perhaps_not_null(StringInfo buffer, const MtCollectionColumn *column);

/* {path: {$type: 'array'}}, or that it is none, and this as an operator. */
extern void mt_put_array_test(StringInfo buffer, const char *path, bool wanted);
extern void mt_put_no_array(StringInfo buffer);

/* Begin $cond: [it is an ObjectId, its digits, ...]; what it is else, and mt_build_end(), is the caller's. */
extern int	mt_put_begin_digits(StringInfo buffer, const char *path);

/* The next longer part of a column's path that leads into the document, and is
 * not all of it; NULL: there is none. */
extern char *mt_next_parent(const MtCollectionColumn *column, const char **dot);

/* An operator's element: what the guard's expression says of a field, by its path with $. */
extern void mt_put_guard_expression(StringInfo buffer, const char *path, const MtGuard *guard);

/* ---- expression.c: the same, exact, as an aggregation expression, which is one element ---- */

/* Has an exact condition, all of its columns, this form? */
extern bool mt_condition_has_expression(const MtCollectionColumn *columns, List *condition);

extern MtSent mt_express_arms(StringInfo buffer, const MtCollectionColumn *column, const MtArms *arms);
extern MtSent mt_express_null(StringInfo buffer, const MtCollectionColumn *column);
extern MtSent mt_express_not_null(StringInfo buffer, const MtCollectionColumn *column);

/* ---- like.c ---- */

/* column LIKE value and its like, by strategy; false: that cannot be said, which
 * in the exact form is an error where it is one to PostgreSQL. */
extern bool mt_like_arms(const MtCollectionColumn *column, Datum value, int strategy, bool exact, MtArms *arms);

#endif							/* MT_CONDITION_ARM_H */
