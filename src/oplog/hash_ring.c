/*
 * hash_ring.c
 *		The two rings: where workers and keys lie on them, and who owns what.
 *
 * Both are sorted arrays of points.  Points are compared as pairs of signed
 * numbers: v2 has two of 64 bits, v1 one of 32.
 */
#include "oplog/hash_ring.h"

#include <stdio.h>

#include "oplog/md5.h"

#define V1_DIGESTS 40
#define V1_POINTS_PER_DIGEST 3

typedef struct MtHashPoint
{
	int64_t		high;
	int64_t		low;
	int			worker;
} MtHashPoint;

struct MtHashRing
{
	MtHashRingKind kind;
	int			n_points;
	MtHashPoint points[];
};

/* Place first, then worker: of equal points the last worker's is the last. */
static int
compare_points(const void *a, const void *b)
{
	const MtHashPoint *p = a;
	const MtHashPoint *q = b;

	if (p->high != q->high)
		return p->high < q->high ? -1 : 1;
	if (p->low != q->low)
		return p->low < q->low ? -1 : 1;
	return (p->worker > q->worker) - (p->worker < q->worker);
}

static MtHashPoint
point_of_digest(MtHashRingKind kind, const uint8_t *digest, int worker)
{
	MtHashPoint point;

	point.worker = worker;
	point.high = kind == MT_HASH_RING_V1 ? (int64_t) mt_le32(digest) : (int64_t) mt_le64(digest);
	point.low = kind == MT_HASH_RING_V1 ? 0 : (int64_t) mt_le64(digest + 8);
	return point;
}

/* md5(name + "-" + number) into digest.  False when out of memory. */
static bool
digest_of_name(const char *name, int number, uint8_t digest[MT_MD5_BYTES])
{
	MtByteBuffer text = {0};
	char		suffix[16];
	int			suffix_len = snprintf(suffix, sizeof suffix, "-%d", number);
	bool		good = mt_byte_buffer_append(&text, name, strlen(name)) &&
		mt_byte_buffer_append(&text, suffix, (size_t) suffix_len);

	if (good)
		mt_md5(text.data, text.len, digest);
	mt_byte_buffer_free(&text);
	return good;
}

/* Add a worker's points to the ring.  False when out of memory. */
static bool
add_worker(MtHashRing *ring, const char *name, int worker)
{
	int			n_digests = ring->kind == MT_HASH_RING_V1 ? V1_DIGESTS : 1;
	int			n_points = ring->kind == MT_HASH_RING_V1 ? V1_POINTS_PER_DIGEST : 1;
	uint8_t		digest[MT_MD5_BYTES];

	for (int i = 0; i < n_digests; i++)
	{
		if (!digest_of_name(name, i, digest))
			return false;
		for (int j = 0; j < n_points; j++)
			ring->points[ring->n_points++] = point_of_digest(ring->kind, digest + 4 * j, worker);
	}
	return true;
}

MtHashRing *
mt_hash_ring_new(MtHashRingKind kind, const char *const *workers, int n_workers)
{
	size_t		points_each = kind == MT_HASH_RING_V1 ? V1_DIGESTS * V1_POINTS_PER_DIGEST : 1;
	MtHashRing *ring = malloc(sizeof *ring + (size_t) n_workers * points_each * sizeof ring->points[0]);

	if (ring == NULL)
		return NULL;
	ring->kind = kind;
	ring->n_points = 0;
	for (int i = 0; i < n_workers; i++)
		if (!add_worker(ring, workers[i], i))
		{
			free(ring);
			return NULL;
		}
	qsort(ring->points, (size_t) ring->n_points, sizeof ring->points[0], compare_points);
	return ring;
}

void
mt_hash_ring_free(MtHashRing *ring)
{
	free(ring);
}

int
mt_hash_ring_owner(const MtHashRing *ring, MtSlice key)
{
	uint8_t		digest[MT_MD5_BYTES];
	MtHashPoint point;
	int			low = 0;
	int			high = ring->n_points;

	mt_md5(key.data, key.len, digest);
	/* After every worker's point of the same place: the search is for a
	 * greater place. */
	point = point_of_digest(ring->kind, digest, INT32_MAX);
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_points(&ring->points[middle], &point) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == ring->n_points)
		low = 0;
	while (low + 1 < ring->n_points && ring->points[low + 1].high == ring->points[low].high &&
		   ring->points[low + 1].low == ring->points[low].low)
		low++;
	return ring->points[low].worker;
}
