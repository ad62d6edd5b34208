/*
 * extended_json.c
 *		MongoDB's Extended JSON, as options are written in it, to BSON.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "base/extended_json.h"
#include "oplog/extended_json.h"

/* Bytes of the text that an error shows. */
#define SHOWN_BYTES 40

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

/* Throw what the parser says of the text, in UTF-8, and where. */
static void
syntax_error(const char *option, const char *utf8, const MtJsonError *error, const char *hint)
{
	const char *rest = utf8 + error->offset;
	int			len = pg_encoding_mbcliplen(PG_UTF8, rest, (int) strlen(rest), SHOWN_BYTES);
	char	   *shown = pnstrdup(rest, len);

	if (len == 0)
		invalid_json(option, psprintf("At its end: %s.", error->text), hint);
	shown = pg_any_to_server(shown, len, PG_UTF8);
	invalid_json(option, psprintf("At \"%s%s\": %s.", shown, rest[len] != '\0' ? "..." : "", error->text), hint);
}

/* Of what must be a document or, wants_array, an array. */
static MtSlice
parse_json(const char *option, const char *text, bool wants_array, const char *hint)
{
	char	   *utf8 = pg_server_to_any(pstrdup(text), (int) strlen(text), PG_UTF8);
	MtByteBuffer parsed = {NULL, 0, 0};
	MtJsonError error;
	bool		is_array;
	MtSlice		bson;
	uint8	   *copy;

	if (!mt_json_parse(utf8, &parsed, &is_array, &error))
	{
		mt_byte_buffer_free(&parsed);
		syntax_error(option, utf8, &error, hint);
	}
	copy = palloc_extended(parsed.len, MCXT_ALLOC_NO_OOM);
	if (copy != NULL)
		memcpy(copy, parsed.data, parsed.len);
	bson.data = copy;
	bson.len = (uint32) parsed.len;
	mt_byte_buffer_free(&parsed);
	if (copy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (is_array != wants_array)
		invalid_json(option, wants_array ? "It is no array." : "It is no document.", hint);
	return bson;
}

MtSlice
mt_parse_filter(const char *option, const char *text)
{
	static const char *const hint = "A filter is a document in Extended JSON: "
		"{\"status\": \"open\", \"total\": {\"$gt\": 10}}.";

	return parse_json(option, text, false, hint);
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

	stages = parse_json(option, text, true, hint);
	if (mt_walk_begin(&walk, stages))
		while (mt_walk_next(&walk, &stage) == MT_WALK_ELEMENT)
			check_stage(option, &stage, hint);
	return stages;
}
