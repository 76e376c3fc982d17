/* SPDX-License-Identifier: BSD-3-Clause */
#include "drv/common.h"

#include <errno.h>
#include <time.h>

#include "base/alloc.h"
#include "base/rcu.h"

uint64_t drv_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- numbers of domains ---- */

int drv_ids_init(struct drv_ids *ids, pthread_mutex_t *lock, uint32_t n, uint64_t reserved)
{
	ids->taken = nb_calloc((n + 63) / 64, sizeof(*ids->taken));
	if (!ids->taken)
		return -ENOMEM;
	ids->lock = lock;
	ids->n = n;
	ids->taken[0] = reserved;
	return 0;
}

void drv_ids_fini(struct drv_ids *ids)
{
	nb_free(ids->taken);
}

/* Bits at and above n, if n is no multiple of 64, read as free and are never given out. */
static int take(struct drv_ids *ids, uint16_t *id)
{
	int err = -ENOSPC;
	uint32_t i, at;

	pthread_mutex_lock(ids->lock);
	for (i = 0; i < (ids->n + 63) / 64; i++) {
		if (ids->taken[i] == UINT64_MAX)
			continue;
		at = i * 64 + (uint32_t)__builtin_ctzll(~ids->taken[i]);
		if (at < ids->n) {
			ids->taken[i] |= BIT(at & 63);
			*id = (uint16_t)at;
			err = 0;
		}
		break;
	}
	pthread_mutex_unlock(ids->lock);
	return err;
}

static void give_back(struct drv_ids *ids, uint16_t id)
{
	pthread_mutex_lock(ids->lock);
	assert(ids->taken[id / 64] & BIT(id & 63));
	ids->taken[id / 64] &= ~BIT(id & 63);
	pthread_mutex_unlock(ids->lock);
}

static struct drv_domain_id *find(struct nb_list *list, const struct drv_iommu *unit)
{
	struct drv_domain_id *i;

	nb_list_for_each(i, list, link)
		if (i->unit == unit)
			return i;
	return NULL;
}

int drv_domain_id_get(struct nb_list *list, const struct drv_iommu *unit, struct drv_ids *ids, uint16_t *id)
{
	struct drv_domain_id *i = find(list, unit);
	int err;

	if (!i) {
		i = nb_zalloc(sizeof(*i));
		err = i ? take(ids, &i->id) : -ENOMEM;
		if (err) {
			nb_free(i);
			return err;
		}
		i->unit = unit;
		nb_list_add_tail(list, &i->link);
	}
	i->users++;
	*id = i->id;
	return 0;
}

void drv_domain_id_put(struct nb_list *list, const struct drv_iommu *unit, struct drv_ids *ids)
{
	struct drv_domain_id *i = find(list, unit);

	assert(i && i->users > 0);
	if (--i->users > 0)
		return;
	nb_list_del(&i->link);
	give_back(ids, i->id);
	nb_free(i);
}

/* ---- pages, tables ---- */

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
