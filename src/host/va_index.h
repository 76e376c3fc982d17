/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which areas use a given piece of this process's memory.
 *
 * Areas of one address space, hashed by (size class, address / class size): an area lies in the chunk of its first byte and
 * reaches at most into the next. Adding and removing are O(1); asking costs a look into the few chunks around the
 * range, per class in use, or a sweep over all buckets when that is less.
 *
 * Locking: the owner's, but for va_index_may_hit(), which needs none.
 */
#ifndef NB_HOST_VA_INDEX_H
#define NB_HOST_VA_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct va_link {
	struct va_link *next, **pprev;
	uint64_t first, last; /* process addresses, inclusive */
};

#define VA_CLASSES 4
#define VA_SMALL   16

struct va_index {
	struct va_link **bucket; /* `small` until there are many */
	size_t nbuckets;	 /* power of two */
	size_t count, class_count[VA_CLASSES];
	/* Everything in the index lies in [lo, hi]; grows at once, shrinks when the index becomes empty. */
	_Atomic uint64_t lo, hi;
	struct va_link *small[VA_SMALL];
};

void va_index_init(struct va_index *x);
void va_index_fini(struct va_index *x); /* empty */
/* Cannot fail: without memory for more buckets the chains become longer. */
void va_index_add(struct va_index *x, struct va_link *l);
void va_index_del(struct va_index *x, struct va_link *l);

static inline bool va_index_may_hit(struct va_index *x, uint64_t first, uint64_t last)
{
	return first <= atomic_load_explicit(&x->hi, memory_order_acquire) &&
	       last >= atomic_load_explicit(&x->lo, memory_order_acquire);
}

/* Call fn for each link that intersects [first, last]. fn must not change the index. */
void va_index_each(struct va_index *x, uint64_t first, uint64_t last, void (*fn)(void *opaque, struct va_link *l),
		   void *opaque);

#endif
