/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the models' translation caches are made of: a spinlock, and hash tables of 64-byte buckets with three (key, value)
 * pairs each. What a key and a value mean is the model's.
 *
 * Readers take no lock: a sequence count per bucket tells a reader that it looked at a half-written pair, which is
 * then a miss. Writers hold the cache's lock, which nobody keeps while blocking. A key is never 0.
 */
#ifndef NB_HW_TLB_H
#define NB_HW_TLB_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/cpu.h"

/* ---- lock: spins, then yields; held for microseconds, never across anything that blocks ---- */

struct hw_spin {
	atomic_flag held;
};

static inline bool hw_spin_try(struct hw_spin *s)
{
	return !atomic_flag_test_and_set_explicit(&s->held, memory_order_acquire);
}
static inline void hw_spin_lock(struct hw_spin *s)
{
	unsigned int n = 0;

	while (!hw_spin_try(s)) {
		if (++n < 100)
			nb_cpu_relax();
		else
			sched_yield();
	}
}
static inline void hw_spin_unlock(struct hw_spin *s)
{
	atomic_flag_clear_explicit(&s->held, memory_order_release);
}

/* ---- invalidation ----
 *
 * Who fills a cache reads its count of invalidations before anything else, and enters nothing if the count has moved
 * when he has the lock. An invalidation holds the lock from the first entry that goes to the last, and moves the count then: a fill came before,
 * and what it entered was erased, or it comes after, and the count was read too early. (Moved at the beginning it would miss
 * who reads it meanwhile and starts from an entry that was not erased yet.) Nobody else writes the count. Release: who reads the new one finds memory and
 * caches at least as new as the invalidation.
 */
static inline void hw_inval_end(struct hw_spin *lock, _Atomic uint64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_release);
	hw_spin_unlock(lock);
}

/* ---- buckets ---- */

#define HW_WAYS 3
struct hw_bucket {
	_Atomic uint32_t seq; /* odd: being written */
	uint32_t hand;	      /* next victim; under the lock */
	_Atomic uint64_t key[HW_WAYS], val[HW_WAYS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct hw_bucket) == 64, "one cache line");

/* `lg2` of the number of buckets. */
static inline struct hw_bucket *hw_bucket(struct hw_bucket *b, unsigned int lg2, uint64_t key)
{
	return &b[(key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - lg2)];
}

/*
 * Acquire loads keep the order count, key, value, count without a fence; the writer's release stores are
 * their pairs (hw_bucket_put()).
 */
static inline __attribute__((always_inline)) bool hw_probe(struct hw_bucket *table, unsigned int lg2, uint64_t key, uint64_t *val)
{
	struct hw_bucket *b = hw_bucket(table, lg2, key);
	uint32_t s = atomic_load_explicit(&b->seq, memory_order_acquire);
	uint64_t k0 = atomic_load_explicit(&b->key[0], memory_order_acquire);
	uint64_t k1 = atomic_load_explicit(&b->key[1], memory_order_acquire);
	uint64_t k2 = atomic_load_explicit(&b->key[2], memory_order_acquire);
	unsigned int way = k0 == key ? 0 : k1 == key ? 1 : 2;
	uint64_t v = atomic_load_explicit(&b->val[way], memory_order_acquire);

	if ((k0 != key) & (k1 != key) & (k2 != key))
		return false;
	if (unlikely((s & 1) != 0 || atomic_load_explicit(&b->seq, memory_order_relaxed) != s))
		return false;
	*val = v;
	return true;
}

/* Count odd before, even after; the pair's own stores are releases so that they cannot be seen before it is odd. */
static inline void hw_bucket_put(struct hw_bucket *b, unsigned int way, uint64_t key, uint64_t val)
{
	uint32_t s = atomic_load_explicit(&b->seq, memory_order_relaxed);

	atomic_store_explicit(&b->seq, s + 1, memory_order_relaxed);
	atomic_store_explicit(&b->key[way], key, memory_order_release);
	atomic_store_explicit(&b->val[way], val, memory_order_release);
	atomic_store_explicit(&b->seq, s + 2, memory_order_release);
}

static inline void hw_bucket_erase(struct hw_bucket *b, unsigned int way)
{
	hw_bucket_put(b, way, 0, 0);
}

/* Where the key is, or else a free place; HW_WAYS: neither. */
static inline unsigned int hw_bucket_way(const struct hw_bucket *b, uint64_t key)
{
	uint64_t k[HW_WAYS];
	unsigned int way;

	for (way = 0; way < HW_WAYS; way++)
		k[way] = atomic_load_explicit(&b->key[way], memory_order_relaxed);
	way = k[0] == key ? 0 : k[1] == key ? 1 : k[2] == key ? 2 : HW_WAYS;
	if (likely(way == HW_WAYS))
		way = !k[0] ? 0 : !k[1] ? 1 : !k[2] ? 2 : HW_WAYS;
	return way;
}

/* Two tables of buckets, as a unit has them. False: out of memory. */
bool hw_tables_new(struct hw_bucket **a, unsigned int a_lg2, struct hw_bucket **b, unsigned int b_lg2);
void hw_table_clear(struct hw_bucket *b, unsigned int lg2);

/*
 * The 16-bit ids that stand for tags in keys. To invalidate all of a tag it gets a new one: its entries are then never found again,
 * and are overwritten in time. 0, which caches nothing, when they have run out: starting over, with tables cleared, gives them back.
 */
#define HW_ID_FIRST 1u
#define HW_ID_LAST  0xffffu
static inline uint32_t hw_id_new(uint32_t *next, _Atomic bool *want_reset)
{
	if (unlikely(*next > HW_ID_LAST)) {
		atomic_store_explicit(want_reset, true, memory_order_relaxed);
		return 0;
	}
	return (*next)++;
}

/* Of a full bucket: whose turn it is to go. */
static inline unsigned int hw_bucket_turn(struct hw_bucket *b)
{
	unsigned int way = b->hand;

	b->hand = way == HW_WAYS - 1 ? 0 : way + 1;
	return way;
}

#endif
