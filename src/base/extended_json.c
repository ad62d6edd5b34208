/*
 * extended_json.c
 *		MongoDB's Extended JSON, as options are written in it, to BSON.
 */
#include "postgres.h"

#include <bson/bson.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/extended_json.h"

/* Stages that write, or whose cursors never end. */
static const char *const refused_stages[] = {"$out", "$merge", "$changeStream"};

static void
invalid_json(const char *option, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\"", option),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/*
 * JSON text to BSON; an array becomes a document of its indexes, as BSON has
 * it.  libbson is shown only what PostgreSQL takes for JSON.
 */
static MtSlice
parse_json(const char *option, const char *text, const char *hint)
{
	bson_error_t error;
	bson_t	   *parsed;
	MtSlice		bson;
	uint8	   *copy;
	char	   *utf8;

	(void) DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	utf8 = pg_server_to_any(pstrdup(text), (int) strlen(text), PG_UTF8);
	parsed = bson_new_from_json((const uint8 *) utf8, (ssize_t) strlen(utf8), &error);
	if (parsed == NULL)
		invalid_json(option, psprintf("%s.", error.message), hint);
	bson.len = parsed->len;
	copy = palloc_extended(bson.len, MCXT_ALLOC_NO_OOM);
	if (copy != NULL)
		memcpy(copy, bson_get_data(parsed), bson.len);
	bson_destroy(parsed);
	if (copy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	bson.data = copy;
	return bson;
}

/* The first character that is no white space. */
static char
first_character(const char *text)
{
	return text[strspn(text, " \t\r\n")];
}

MtSlice
mt_parse_filter(const char *option, const char *text)
{
	static const char *const hint = "A filter is a document in Extended JSON: "
		"{\"status\": \"open\", \"total\": {\"$gt\": 10}}.";

	if (first_character(text) != '{')
		invalid_json(option, "It is no document.", hint);
	return parse_json(option, text, hint);
}

static void
check_stage(const char *option, const MtElement *stage, const char *hint)
{
	MtWalk		walk;
	MtElement	operator;
	MtElement	more;

	if (stage->type != MT_BSON_DOCUMENT || !mt_walk_begin(&walk, mt_element_value(stage)) ||
		mt_walk_next(&walk, &operator) != MT_WALK_ELEMENT || operator.name[0] != '$' ||
		mt_walk_next(&walk, &more) != MT_WALK_END)
		invalid_json(option,
					 psprintf("Its element %.*s is no stage.", (int) stage->name_len, stage->name), hint);
	for (size_t i = 0; i < lengthof(refused_stages); i++)
		if (mt_element_is(&operator, refused_stages[i], (uint32) strlen(refused_stages[i])))
			invalid_json(option,
						 psprintf("Stage %s cannot be part of what a table shows.", refused_stages[i]), hint);
}

MtSlice
mt_parse_pipeline(const char *option, const char *text)
{
	static const char *const hint = "A pipeline is an array of stages in Extended JSON: "
		"[{\"$match\": {...}}, {\"$unwind\": \"$items\"}].";
	MtSlice		stages;
	MtWalk		walk;
	MtElement	stage;

	if (first_character(text) != '[')
		invalid_json(option, "It is no array.", hint);
	stages = parse_json(option, text, hint);
	if (mt_walk_begin(&walk, stages))
		while (mt_walk_next(&walk, &stage) == MT_WALK_ELEMENT)
			check_stage(option, &stage, hint);
	return stages;
}
