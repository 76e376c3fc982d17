/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the process takes away under a live mapping. A real kernel would hold the pages; we stop translating them, and remember in
 * the area that they are gone, so that no domain made later sees what was put at their address.
 */
#include "host/hwpt.h"
#include "host/ioas.h"
#include "host/user.h"

struct revoke {
	struct ioas *ioas;
	uint64_t va_first, va_last;
	unsigned int n;
};

/* Bytes [first, last] of the area out of every domain. False: one had no memory to cut a large page. */
static bool unmap_part_locked(struct ioas *s, const struct area *a, uint64_t first, uint64_t last)
{
	struct hwpt *h;

	nb_list_for_each(h, &s->hwpts, ioas_link) {
		struct drv_gather g = {0};
		int err = h->dom->ops->unmap(h->dom, a->n.first + first, last - first + 1, &g);

		h->dom->ops->iotlb_sync(h->dom, &g);
		if (err)
			return false;
	}
	return true;
}

static void revoke_area_locked(void *opaque, struct va_link *l)
{
	struct revoke *r = opaque;
	struct area *a = container_of(l, struct area, va);
	uint64_t end = area_len(a) - 1;
	uint64_t first = r->va_first > l->first ? r->va_first - l->first : 0;
	uint64_t last = r->va_last < l->last ? r->va_last - l->first : end;

	/* Whole pages, whatever the alignment is now: the next domain may have them only. */
	first = nb_align_down(first, HOST_PAGE_SIZE);
	last |= HOST_PAGE_SIZE - 1;
	if (last > end)
		last = end;
	/* What is dead is one range, so that a later domain can be told in two words what to leave out. */
	if (a->dead_first <= a->dead_last) {
		if (first >= a->dead_first && last <= a->dead_last)
			return;
		first = first < a->dead_first ? first : a->dead_first;
		last = last > a->dead_last ? last : a->dead_last;
	}
	r->n++;
	if (!unmap_part_locked(r->ioas, a, first, last)) {
		/* All of the area goes then, from every domain: nothing is cut, and none shows what the area says is dead. */
		first = 0;
		last = end;
		(void)unmap_part_locked(r->ioas, a, first, last);
	}
	a->dead_first = first;
	a->dead_last = last;
}

unsigned int ioas_revoke(struct ioas *s, uint64_t va_first, uint64_t va_last)
{
	struct revoke r = {.ioas = s, .va_first = va_first, .va_last = va_last};

	if (!va_index_may_hit(&s->va, va_first, va_last))
		return 0;
	pthread_mutex_lock(&s->lock);
	va_index_each(&s->va, va_first, va_last, revoke_area_locked, &r);
	pthread_mutex_unlock(&s->lock);
	return r.n;
}
