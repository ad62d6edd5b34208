/*
 * fuzz_document_diff.c
 *		Feed hostile updates to everything that reads updates.
 *
 * The input is two BSON documents, a pre-image and an update, in the first
 * byte's bits what to do with them: the update may be meant as a diff or as
 * modifiers.  The length words of both are put right, or else nearly every
 * input would end at its first check.
 */
#include <stdlib.h>
#include <string.h>

#include "oplog/update_description.h"

/* An exact allocation, so that a read past its end is seen. */
static MtSlice
copy_of(const uint8_t *data, size_t len, bool repair)
{
	uint8_t    *copy = malloc(len + (len == 0));
	MtSlice		s = {copy, (uint32_t) len};

	memcpy(copy, data, len);
	if (repair && len >= 5)
	{
		for (int i = 0; i < 4; i++)
			copy[i] = (uint8_t) (len >> 8 * i);
		copy[len - 1] = 0;
	}
	return s;
}

static bool
count_bytes(void *context, MtSlice name)
{
	size_t	   *n = context;

	for (uint32_t i = 0; i < name.len; i++)
		*n += name.data[i];
	return true;
}

/* What came out must be a document of its own length, or nothing. */
static void
check_result(const MtByteBuffer *out, MtDiffStatus status)
{
	MtSlice		result = {out->data + 1, (uint32_t) out->len - 1};
	MtWalk		walk;

	if (out->data[0] != 'x' || (status != MT_DIFF_OK && out->len != 1))
		abort();
	if (status == MT_DIFF_OK && !mt_walk_begin(&walk, result))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MtByteBuffer out = {0};
	size_t		pre_len;
	size_t		n = 0;
	bool		repair;
	MtSlice		pre;
	MtSlice		update;
	MtDiffStatus status;

	if (size < 3)
		return 0;
	repair = (data[0] & 0x80) == 0;
	pre_len = (size_t) (data[0] & 0x7F) << 8 | data[1];
	if (pre_len > size - 2)
		pre_len = size - 2;
	pre = copy_of(data + 2, pre_len, repair);
	update = copy_of(data + 2 + pre_len, size - 2 - pre_len, repair);

	mt_byte_buffer_append(&out, "x", 1);
	status = mt_document_diff_apply(pre, update, &out);
	check_result(&out, status);
	out.len = 1;
	status = mt_document_modifiers_apply(pre, update, &out);
	check_result(&out, status);
	out.len = 1;
	status = mt_update_description_from_diff(update, &out);
	check_result(&out, status);
	out.len = 1;
	status = mt_update_description_from_modifiers(update, &out);
	check_result(&out, status);
	mt_update_touched_fields(update, true, count_bytes, &n);
	mt_update_touched_fields(update, false, count_bytes, &n);

	mt_byte_buffer_free(&out);
	free((void *) pre.data);
	free((void *) update.data);
	return 0;
}
