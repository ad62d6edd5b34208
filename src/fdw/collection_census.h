/*
 * collection_census.h
 *		Which fields the documents of a collection have, of which BSON types.
 *
 * Fed with documents, and with the collection's $jsonSchema if it has one.
 */
#ifndef MT_COLLECTION_CENSUS_H
#define MT_COLLECTION_CENSUS_H

#include "postgres.h"

#include "lib/ilist.h"
#include "oplog/bson_walk.h"

/* BSON's types in the order in which a census names them. */
typedef enum MtCensusType
{
	MT_CENSUS_DOUBLE,
	MT_CENSUS_INT,
	MT_CENSUS_LONG,
	MT_CENSUS_DECIMAL,
	MT_CENSUS_STRING,
	MT_CENSUS_SYMBOL,
	MT_CENSUS_OBJECT_ID,
	MT_CENSUS_BOOL,
	MT_CENSUS_DATE,
	MT_CENSUS_BINARY,
	MT_CENSUS_OBJECT,
	MT_CENSUS_ARRAY,
	MT_CENSUS_TIMESTAMP,
	MT_CENSUS_REGEX,
	MT_CENSUS_CODE,
	MT_CENSUS_CODE_W_SCOPE,
	MT_CENSUS_DBPOINTER,
	MT_CENSUS_MINKEY,
	MT_CENSUS_MAXKEY,
	MT_CENSUS_NULL,
	MT_CENSUS_UNDEFINED,
	MT_CENSUS_TYPES				/* how many there are */
} MtCensusType;

typedef struct MtCensusField MtCensusField;

struct MtCensusField
{
	char	   *name;			/* UTF-8; NULL: the document itself, or the elements of an array */
	uint32		name_len;
	MtCensusField *parent;
	dlist_node	node;			/* in the parent's fields */
	dlist_head	fields;			/* of documents here, in the order in which they were seen */
	int			n_fields;
	MtCensusField *elements;	/* of arrays here, NULL: none was seen */
	uint64		last_turn;		/* that it was counted in; of fields of the same name the first counts */
	uint64		counts[MT_CENSUS_TYPES];
	uint32		schema_types;	/* those that the schema allows, as bits */
	const char *index;			/* that names it, where nothing else shows it; UTF-8 */
	uint64		by_index;		/* documents that were found by that index */
	bool		has_bad_text;	/* a string that no text can hold */
	bool		has_far_date;	/* a date that no timestamptz can hold */
	bool		has_large_long; /* an int64 that no double can hold */
	bool		has_other_binary;	/* one that is no uuid of subtype 4 */
};

typedef struct MtCensus
{
	MemoryContext context;
	struct HTAB *fields;		/* of all, by parent and name */
	MtCensusField *root;
	uint64		documents;		/* of the sample */
	uint64		turn;			/* of all documents, those found by indexes, too */
	bool		has_schema;
	bool		is_full;		/* there were more fields than are counted */
} MtCensus;

/* In the current memory context. */
extern MtCensus *mt_census_create(void);

extern void mt_census_add_document(MtCensus *census, MtSlice document);

/* A collection's validator, of which only $jsonSchema is looked at. */
extern void mt_census_add_validator(MtCensus *census, MtSlice validator);

/* The field below parent of that name, NULL: none was seen. */
extern MtCensusField *mt_census_find(MtCensus *census, MtCensusField *parent, MtSlice name);

/*
 * A field that no document of the sample has, but an index names.  NULL: there
 * are too many fields.
 */
extern MtCensusField *mt_census_add_indexed(MtCensus *census, MtCensusField *parent, MtSlice name, const char *index);

/* Its value in a document that was found by the index. */
extern void mt_census_add_indexed_value(MtCensus *census, MtCensusField *field, const MtElement *value);

/*
 * The SQL type to which every value that was seen, or that the schema allows,
 * converts: jsonb where no other does.  own_types: it may be one of
 * mongo_tail's own.
 */
extern const char *mt_census_sql_type(const MtCensusField *field, bool own_types);

/* Are the values documents and nothing else, all of whose fields have paths? */
extern bool mt_census_is_flat(const MtCensusField *field);

/* Could a path name the field?  Not when its name is empty or has a dot. */
extern bool mt_census_has_path(const MtCensusField *field);

/* What was seen, for people; in UTF-8. */
extern char *mt_census_text(const MtCensus *census, const MtCensusField *field);

#endif							/* MT_COLLECTION_CENSUS_H */
