/*
 * fuzz_extended_json.c
 *		Parse hostile Extended JSON; what comes out is BSON that can be walked.
 */
#include <stdlib.h>
#include <string.h>

#include "oplog/extended_json.h"

/* Walk everything; abort on what a reader would call corrupt. */
static void
walk(MtSlice document, int depth)
{
	MtWalk		inside;
	MtElement	element;
	MtWalkResult result;

	if (depth > MT_JSON_MAX_DEPTH || !mt_walk_begin(&inside, document))
		abort();
	while ((result = mt_walk_next(&inside, &element)) == MT_WALK_ELEMENT)
		if (element.type == MT_BSON_DOCUMENT || element.type == MT_BSON_ARRAY)
			walk(mt_element_value(&element), depth + 1);
	if (result == MT_WALK_CORRUPT)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MtByteBuffer bson = {NULL, 0, 0};
	MtJsonError error;
	bool		is_array;
	char	   *text = malloc(size + 1);	/* exact, so that a read past its end is seen */

	memcpy(text, data, size);
	text[size] = '\0';
	if (mt_json_parse(text, &bson, &is_array, &error))
		walk((MtSlice) {bson.data, (uint32_t) bson.len}, 1);
	else if (bson.len != 0 || error.offset > strlen(text))
		abort();
	mt_byte_buffer_free(&bson);
	free(text);
	return 0;
}
