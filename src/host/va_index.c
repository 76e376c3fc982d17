/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/va_index.h"

#include "base/alloc.h"
#include "base/bits.h"

/* Chunk sizes: 2 MiB, 1 GiB, 512 GiB, and one chunk for all that is larger. */
static const uint8_t class_lg2[VA_CLASSES] = {21, 30, 39, 63};

static unsigned int class_of(const struct va_link *l)
{
	uint64_t span = l->last - l->first;
	unsigned int c = 0;

	while (c < VA_CLASSES - 1 && span >> class_lg2[c])
		c++;
	return c;
}

static size_t bucket_of(const struct va_index *x, unsigned int c, uint64_t chunk)
{
	uint64_t h = (chunk * VA_CLASSES + c) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> 32) & (x->nbuckets - 1);
}

static void push(struct va_index *x, struct va_link *l)
{
	unsigned int c = class_of(l);
	struct va_link **head = &x->bucket[bucket_of(x, c, l->first >> class_lg2[c])];

	l->next = *head;
	l->pprev = head;
	if (l->next)
		l->next->pprev = &l->next;
	*head = l;
}

void va_index_init(struct va_index *x)
{
	*x = (struct va_index){.nbuckets = VA_SMALL};
	x->bucket = x->small;
	atomic_init(&x->lo, UINT64_MAX);
	atomic_init(&x->hi, 0);
}

void va_index_fini(struct va_index *x)
{
	if (x->bucket != x->small)
		nb_free(x->bucket);
}

/* Chunks hold several small areas each, so a bucket for every four links keeps chains of distinct chunks short. */
static void grow(struct va_index *x)
{
	size_t n = x->nbuckets * 4, old_n = x->nbuckets;
	struct va_link **bucket = nb_calloc(n, sizeof(struct va_link *)), **old = x->bucket;

	if (!bucket)
		return;
	x->bucket = bucket;
	x->nbuckets = n;
	for (size_t i = 0; i < old_n; i++) {
		struct va_link *l, *next;

		for (l = old[i]; l; l = next) {
			next = l->next;
			push(x, l);
		}
	}
	if (old != x->small)
		nb_free(old);
}

void va_index_add(struct va_index *x, struct va_link *l)
{
	if (x->count >= x->nbuckets * 4)
		grow(x);
	push(x, l);
	x->count++;
	x->class_count[class_of(l)]++;
	/* Release: pairs with va_index_may_hit(); whoever maps publishes the bounds before the area is used. */
	if (l->first < atomic_load_explicit(&x->lo, memory_order_relaxed))
		atomic_store_explicit(&x->lo, l->first, memory_order_release);
	if (l->last > atomic_load_explicit(&x->hi, memory_order_relaxed))
		atomic_store_explicit(&x->hi, l->last, memory_order_release);
}

void va_index_del(struct va_index *x, struct va_link *l)
{
	*l->pprev = l->next;
	if (l->next)
		l->next->pprev = l->pprev;
	x->class_count[class_of(l)]--;
	if (--x->count == 0) {
		atomic_store_explicit(&x->lo, UINT64_MAX, memory_order_release);
		atomic_store_explicit(&x->hi, 0, memory_order_release);
	}
}

static void each_in(struct va_link *head, unsigned int c, uint64_t chunk, bool any, uint64_t first, uint64_t last,
		    void (*fn)(void *, struct va_link *), void *opaque)
{
	struct va_link *l, *next;

	for (l = head; l; l = next) {
		next = l->next;
		if (l->first > last || l->last < first || class_of(l) != c)
			continue;
		if (any || l->first >> class_lg2[c] == chunk)
			fn(opaque, l);
	}
}

void va_index_each(struct va_index *x, uint64_t first, uint64_t last, void (*fn)(void *opaque, struct va_link *l),
		   void *opaque)
{
	for (unsigned int c = 0; c < VA_CLASSES; c++) {
		uint64_t lo = first >> class_lg2[c], hi = last >> class_lg2[c];

		if (!x->class_count[c])
			continue;
		if (lo)
			lo--; /* reaches in from the chunk before */
		if (hi - lo >= x->nbuckets) {
			for (size_t b = 0; b < x->nbuckets; b++)
				each_in(x->bucket[b], c, 0, true, first, last, fn, opaque);
			continue;
		}
		for (uint64_t chunk = lo; chunk <= hi; chunk++)
			each_in(x->bucket[bucket_of(x, c, chunk)], c, chunk, false, first, last, fn, opaque);
	}
}
