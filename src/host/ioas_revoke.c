/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the process takes away under a live mapping. A real kernel would hold the pages; we stop translating them, and remember in
 * the area that they are gone, so that no domain made later sees what was put at their address.
 */
#include "host/hwpt.h"
#include "host/ioas.h"

struct revoke {
	struct ioas *ioas;
	uint64_t va_first, va_last;
	unsigned int n;
};

static void revoke_area_locked(void *opaque, struct va_link *l)
{
	struct revoke *r = opaque;
	struct area *a = container_of(l, struct area, va);
	uint64_t page = r->ioas->alignment, end = area_len(a) - 1;
	uint64_t first = r->va_first > l->first ? r->va_first - l->first : 0;
	uint64_t last = r->va_last < l->last ? r->va_last - l->first : end;
	struct hwpt *h;

	first = nb_align_down(first, page);
	last |= page - 1;
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
	nb_list_for_each(h, &r->ioas->hwpts, ioas_link) {
		struct drv_gather g = {0};

		if (h->dom->ops->unmap(h->dom, a->n.first + first, last - first + 1, &g)) {
			/* A large page had to be cut and there was no memory for it: all of the area goes. */
			first = 0;
			last = end;
			(void)h->dom->ops->unmap(h->dom, a->n.first, end + 1, &g);
		}
		h->dom->ops->iotlb_sync(h->dom, &g);
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
