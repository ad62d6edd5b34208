/*
 * ring_port.h
 *		The atomics that the ring needs, from the compiler.
 *
 * The ring compiles with and without PostgreSQL, so it cannot use
 * port/atomics.h; GCC's and clang's __atomic builtins are what C11's
 * stdatomic.h is made of, work on plain lock-free 8-byte words in shared
 * memory, and are understood by ThreadSanitizer.
 */
#ifndef MT_RING_PORT_H
#define MT_RING_PORT_H

#include <stdint.h>

typedef struct MtAtomic64
{
	uint64_t	value __attribute__((aligned(8)));
} MtAtomic64;

static inline uint64_t
mt_atomic_load_relaxed(const MtAtomic64 *a)
{
	return __atomic_load_n(&a->value, __ATOMIC_RELAXED);
}

static inline uint64_t
mt_atomic_load_acquire(const MtAtomic64 *a)
{
	return __atomic_load_n(&a->value, __ATOMIC_ACQUIRE);
}

static inline void
mt_atomic_store_relaxed(MtAtomic64 *a, uint64_t v)
{
	__atomic_store_n(&a->value, v, __ATOMIC_RELAXED);
}

static inline void
mt_atomic_store_release(MtAtomic64 *a, uint64_t v)
{
	__atomic_store_n(&a->value, v, __ATOMIC_RELEASE);
}

static inline void
mt_atomic_fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void
mt_atomic_fence_release(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

#endif							/* MT_RING_PORT_H */
