/*
 * fuzz_hash_key.c
 *		Make keys of hostile ids.
 *
 * The input is one value: its type in the first byte, then its bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "oplog/hash_ring.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MtByteBuffer key = {0};
	MtElement	id = {0};
	uint8_t    *copy;
	int64_t		value_len;

	if (size < 1)
		return 0;
	copy = malloc(size - 1 + (size == 1));	/* exact, so that a read past its end is seen */
	memcpy(copy, data + 1, size - 1);
	value_len = mt_bson_value_length(data[0], copy, size - 1);
	if (value_len >= 0)
	{
		id.type = data[0];
		id.name = "_id";
		id.name_len = 3;
		id.value = copy;
		id.value_len = (uint32_t) value_len;
		for (int kind = MT_HASH_RING_V1; kind <= MT_HASH_RING_V2; kind++)
		{
			key.len = 0;
			if (mt_hash_ring_key((MtHashRingKind) kind, &id, &key) != MT_HASH_OK && key.len > 0)
				abort();
		}
	}
	mt_byte_buffer_free(&key);
	free(copy);
	return 0;
}
