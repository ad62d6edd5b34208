/*
 * bson_walk.c
 *		The lengths of BSON values, by type.
 *
 * A table, because the walk is most of what a tailer does: it spares a jump
 * for every element that is hard to predict.
 */
#include "oplog/bson_walk.h"

/* A string is its length word, the text and a NUL, of which the word counts the
 * last two; a document's word counts all of it; a binary has a subtype. */
#define FIXED(bytes)	(MT_LENGTH_FIXED | (bytes))
#define TEXT			(MT_LENGTH_WORD | MT_LENGTH_NUL | 4)
#define NESTED			(MT_LENGTH_WORD | MT_LENGTH_NUL)

const uint8_t mt_bson_length_rules[256] = {
	[MT_BSON_DOUBLE] = FIXED(8),
	[MT_BSON_STRING] = TEXT,
	[MT_BSON_DOCUMENT] = NESTED,
	[MT_BSON_ARRAY] = NESTED,
	[MT_BSON_BINARY] = MT_LENGTH_WORD | 5,
	[MT_BSON_UNDEFINED] = FIXED(0),
	[MT_BSON_OBJECTID] = FIXED(12),
	[MT_BSON_BOOL] = FIXED(1),
	[MT_BSON_DATE] = FIXED(8),
	[MT_BSON_NULL] = FIXED(0),
	[MT_BSON_CODE] = TEXT,
	[MT_BSON_SYMBOL] = TEXT,
	[MT_BSON_INT32] = FIXED(4),
	[MT_BSON_TIMESTAMP] = FIXED(8),
	[MT_BSON_INT64] = FIXED(8),
	[MT_BSON_DECIMAL128] = FIXED(16),
	[MT_BSON_MAXKEY] = FIXED(0),
	[MT_BSON_MINKEY] = FIXED(0)
};

/* Two texts, each ended by its NUL. */
static int64_t
mt_bson_regex_length(const uint8_t *p, size_t left)
{
	const uint8_t *nul = memchr(p, 0, left);

	if (nul != NULL)
		nul = memchr(nul + 1, 0, left - (size_t) (nul + 1 - p));
	return nul == NULL ? -1 : nul + 1 - p;
}

int64_t
mt_bson_odd_length(uint8_t type, const uint8_t *p, size_t left)
{
	uint64_t	n;

	switch (type)
	{
		case MT_BSON_REGEX:
			return mt_bson_regex_length(p, left);
		case MT_BSON_DBPOINTER:
			/* a string and an ObjectId */
			if (left < 5)
				return -1;
			n = mt_le32(p);
			if (n < 1 || n > left - 4 || left - 4 - n < 12 || p[4 + n - 1] != 0)
				return -1;
			return (int64_t) n + 16;
		case MT_BSON_CODE_W_SCOPE:
			if (left < 14)
				return -1;
			n = mt_le32(p);
			return n < 14 || n > left ? -1 : (int64_t) n;
		default:
			return -1;
	}
}
