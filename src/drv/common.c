/* SPDX-License-Identifier: BSD-3-Clause */
#include "drv/common.h"

#include <errno.h>
#include <time.h>

#include "base/rcu.h"

uint64_t drv_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int drv_id_alloc(uint64_t *taken, uint32_t n, uint16_t *id)
{
	uint32_t i;

	for (i = 0; i < (n + 63) / 64; i++) {
		uint32_t free;

		if (taken[i] == UINT64_MAX)
			continue;
		free = i * 64 + (uint32_t)__builtin_ctzll(~taken[i]);
		if (free >= n)
			break;
		taken[i] |= BIT(free & 63);
		*id = (uint16_t)free;
		return 0;
	}
	return -ENOSPC;
}

void drv_id_free(uint64_t *taken, uint16_t id)
{
	assert(taken[id / 64] & BIT(id & 63));
	taken[id / 64] &= ~BIT(id & 63);
}

/* The pages are linked by their first word, as pt_gather_free() reads them. */
void drv_pages_keep(struct pt_gather *kept, struct pt_gather *g)
{
	void **last = g->pages;

	if (!last)
		return;
	while (*last)
		last = *last;
	*last = kept->pages;
	kept->pages = g->pages;
	kept->npages += g->npages;
	*g = (struct pt_gather){ 0 };
}

void drv_pages_free(struct pt_gather *kept, struct mem_pool *pool, unsigned int order)
{
	void **page = kept->pages;

	while (page) {
		void **next = *page;

		mem_page_free(pool, page, order);
		page = next;
	}
}

struct dirty_seen {
	pt_dirty_fn *fn;
	void *opaque;
	uint64_t first, last;
};

static void dirty_seen(void *opaque, uint64_t ia, uint64_t len)
{
	struct dirty_seen *s = opaque;

	if (ia < s->first)
		s->first = ia;
	s->last = ia + (len - 1);
	if (s->fn)
		s->fn(s->opaque, ia, len);
}

int drv_read_dirty(struct pt *pt, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn, void *opaque,
		   struct drv_gather *g)
{
	struct dirty_seen seen = { .fn = fn, .opaque = opaque, .first = UINT64_MAX };
	int64_t n = pt_read_dirty(pt, ia, len, !no_clear, dirty_seen, &seen);

	if (n < 0)
		return (int)n;
	if (n > 0 && !no_clear) {
		drv_gather_add(g, seen.first, seen.last);
		g->cut = true; /* a leaf that reaches beyond the range was cleaned as a whole */
	}
	return 0;
}

int drv_lookup(const struct pt *pt, uint64_t ia, hpa_t *pa)
{
	struct pt_leaf leaf;
	int err;

	nb_rcu_read_lock();
	err = pt_lookup(pt, ia, &leaf);
	nb_rcu_read_unlock();
	if (err == 0)
		*pa = hpa(leaf.oa);
	return err;
}
