/*
 * like.c
 *		LIKE as MongoDB's regular expressions.
 *
 * A pattern is a row of segments that % keeps apart; in a segment every
 * character is itself or (_) any one.  The first segment stands at the
 * beginning, the last one at the end, and of the others the leftmost place is
 * as good as any, so that the expression commits to it: it never goes back,
 * and so never meets PCRE's limit for that, at which it would match nothing.
 *
 *	%		[^\x00]*, as nothing else than text without NUL converts, and PCRE
 *			matches no ill-formed UTF-8
 *	end		\z, since $ also matches before a newline at the end
 *	prefix	is literal, behind ^, which is what MongoDB uses an index for
 *
 * A column of text reads ObjectIds as their digits.  Patterns with a prefix
 * are a range of them; any other must be asked of the digits themselves.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "condition/arm.h"
#include "condition/operator.h"

/* MongoDB takes no regular expression of 32764 bytes. */
#define MAX_REGEX_BYTES		32000

#define ANY_CHARACTER		"[^\\x00]"
#define ANY_CHARACTERS		"[^\\x00]*+"

static const char hex_digits[] = "0123456789abcdef";

/* What needs no backslash.  Letters and digits would mean something else with one. */
static const char plain_characters[] =
"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-,:;@/";

/* Segments: characters that are any one have the byte 0. */
typedef struct Segment
{
	char	   *text;
	int			n_bytes;
	int			n_characters;
} Segment;

typedef struct Pattern
{
	int			n_segments;		/* one more than there are % */
	Segment    *segments;
	bool		ends_in_escape; /* which PostgreSQL refuses, if it comes so far */
} Pattern;

static void
add_byte(Segment *segment, char byte)
{
	segment->text[segment->n_bytes++] = byte;
	segment->n_characters += !IS_HIGHBIT_SET(byte) || (byte & 0x40) != 0;
}

static void
begin_segment(Pattern *pattern, int n_bytes)
{
	Segment    *segment = &pattern->segments[pattern->n_segments++];

	segment->text = palloc(n_bytes + 1);
	segment->n_bytes = segment->n_characters = 0;
}

/* Several % are one. */
static Pattern
parse_like(const char *text)
{
	Pattern		pattern = {0, palloc(sizeof(Segment) * (strlen(text) + 1)), false};
	bool		was_percent = false;

	begin_segment(&pattern, (int) strlen(text));
	for (; *text != '\0'; text++)
	{
		Segment    *segment = &pattern.segments[pattern.n_segments - 1];

		if (*text == '%')
		{
			if (!was_percent)
				begin_segment(&pattern, (int) strlen(text));
			was_percent = true;
			continue;
		}
		was_percent = false;
		if (*text == '_')
			add_byte(segment, '\0');
		else if (*text != '\\')
			add_byte(segment, *text);
		else if (text[1] != '\0')
			add_byte(segment, *++text);
		else
			pattern.ends_in_escape = true;
	}
	return pattern;
}

static Pattern
parse_prefix(const char *text)
{
	Pattern		pattern = {0, palloc(sizeof(Segment) * 2), false};

	begin_segment(&pattern, (int) strlen(text));
	for (; *text != '\0'; text++)
		add_byte(&pattern.segments[0], *text);
	begin_segment(&pattern, 0);
	return pattern;
}

/* ---- regular expressions ---- */

static void
append_segment(StringInfo regex, const Segment *segment)
{
	for (int i = 0; i < segment->n_bytes; i++)
	{
		unsigned char c = (unsigned char) segment->text[i];

		if (c == '\0')
		{
			appendStringInfoString(regex, ANY_CHARACTER);
			continue;
		}
		if (!IS_HIGHBIT_SET(c) && strchr(plain_characters, c) == NULL)
			appendStringInfoChar(regex, '\\');
		appendStringInfoChar(regex, (char) c);
	}
}

/* A last segment: as many characters are left, and the last ones are it. */
static void
append_last(StringInfo regex, const Segment *segment)
{
	if (segment->n_bytes == 0)
	{
		appendStringInfoString(regex, ANY_CHARACTERS "\\z");
		return;
	}
	appendStringInfo(regex, "(?=" ANY_CHARACTER "{%d})" ANY_CHARACTERS "(?<=", segment->n_characters);
	append_segment(regex, segment);
	appendStringInfoString(regex, ")\\z");
}

/*
 * The pattern as a regular expression.  The short form, enough for a superset,
 * ends with the prefix if nothing but % comes after it.
 */
static char *
regex_of(const Pattern *pattern, bool is_short)
{
	StringInfoData regex;

	initStringInfo(&regex);
	appendStringInfoChar(&regex, '^');
	append_segment(&regex, &pattern->segments[0]);
	if (pattern->n_segments == 1)
		appendStringInfoString(&regex, "\\z");
	else if (is_short && pattern->n_segments == 2 && pattern->segments[1].n_bytes == 0)
		return regex.data;
	for (int i = 1; i < pattern->n_segments - 1; i++)
	{
		appendStringInfoString(&regex, "(?>" ANY_CHARACTER "*?");
		append_segment(&regex, &pattern->segments[i]);
		appendStringInfoChar(&regex, ')');
	}
	if (pattern->n_segments > 1)
		append_last(&regex, &pattern->segments[pattern->n_segments - 1]);
	return regex.data;
}

/* ---- ObjectIds ---- */

/* Can the digits of an ObjectId match? */
static bool
matches_digits(const Pattern *pattern)
{
	int			n = 0;

	for (int i = 0; i < pattern->n_segments; i++)
	{
		const Segment *segment = &pattern->segments[i];

		n += segment->n_characters;
		for (int j = 0; j < segment->n_bytes; j++)
			if (segment->text[j] != '\0' && strchr(hex_digits, segment->text[j]) == NULL)
				return false;
	}
	return pattern->n_segments > 1 ? n <= MT_OBJECTID_DIGITS : n == MT_OBJECTID_DIGITS;
}

static MtPoint *
filled_objectid(const Segment *prefix, int n_digits, char fill)
{
	char		digits[MT_OBJECTID_DIGITS];
	char	   *bytes = palloc(MT_OBJECTID_BYTES);

	memset(digits, fill, sizeof digits);
	memcpy(digits, prefix->text, n_digits);
	(void) hex_decode(digits, MT_OBJECTID_DIGITS, bytes);
	return mt_point_bytes(MT_BSON_OBJECTID, bytes, MT_OBJECTID_BYTES);
}

/* The ObjectIds that match: those with the prefix, if that is all. */
static void
objectid_arm(const Pattern *pattern, MtArm *arm)
{
	const Segment *first = &pattern->segments[0];
	int			n_digits = (int) strnlen(first->text, first->n_bytes);
	bool		is_all = n_digits == first->n_bytes && pattern->n_segments <= 2 &&
		(pattern->n_segments == 1 || pattern->segments[1].n_bytes == 0);

	arm->lower = filled_objectid(first, n_digits, '0');
	arm->upper = filled_objectid(first, n_digits, 'f');
	if (!is_all)
	{
		MtGuard    *guard = mt_add_guard(arm);

		guard->expression = MT_EXPRESSION_DIGITS_MATCH;
		guard->expression_regex = regex_of(pattern, false);
	}
}

/* ---- arms ---- */

static MtPoint *
regex_point(const char *regex)
{
	return mt_point_bytes(MT_BSON_REGEX, regex, (int) strlen(regex));
}

static void
like_arms(const MtCollectionColumn *column, const Pattern *pattern, bool exact, MtArms *arms)
{
	bool		has_digits;

	mt_typed_arms(column, arms);
	has_digits = arms->n > 1 && matches_digits(pattern);
	arms->n = 1;
	arms->arms[0].points = list_make1(regex_point(regex_of(pattern, !exact)));
	if (mt_column_characters(column) == MT_NO_LIMIT)
		arms->arms[0].guards[0].regex = NULL;	/* the pattern says it */
	if (has_digits)
		objectid_arm(pattern, mt_add_arm(arms));
}

static void
unlike_arms(const MtCollectionColumn *column, const Pattern *pattern, bool exact, MtArms *arms)
{
	MtPoint    *regex = regex_point(regex_of(pattern, false));

	if (!exact)
	{
		arms->n = 0;
		(void) mt_add_arm(arms);
		if (!column->has_index)
			arms->arms[0].excluded = list_make2(regex, mt_point(MT_BSON_NULL));
		return;
	}
	mt_typed_arms(column, arms);
	arms->arms[0].excluded = list_make1(regex);
	if (arms->n > 1 && matches_digits(pattern))
	{
		MtGuard    *guard = mt_add_guard(&arms->arms[1]);

		guard->expression = MT_EXPRESSION_DIGITS_DIFFER;
		guard->expression_regex = regex->bytes;
	}
}

bool
mt_like_arms(const MtCollectionColumn *column, Datum value, int strategy, bool exact, MtArms *arms)
{
	char	   *string = TextDatumGetCString(value);
	bool		is_like = strategy == MT_LIKE_STRATEGY || strategy == MT_NOT_LIKE_STRATEGY;
	Pattern		pattern = is_like ? parse_like(string) : parse_prefix(string);

	if (pattern.ends_in_escape && exact)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ESCAPE_SEQUENCE),
				 errmsg("LIKE pattern must not end with escape character")));
	if (pattern.ends_in_escape || strlen(regex_of(&pattern, false)) > MAX_REGEX_BYTES)
		return false;
	if (strategy == MT_LIKE_STRATEGY || strategy == MT_PREFIX_STRATEGY)
		like_arms(column, &pattern, exact, arms);
	else
		unlike_arms(column, &pattern, exact, arms);
	return true;
}
