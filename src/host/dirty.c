/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty tracking: which pages devices wrote, as bits in a bitmap of the caller's.
 *
 * Bits are only ever set. Bit n stands for iova + n * page_size of the asked range. Linux ends the walk in silence at the first
 * IOVA that is not mapped, at a driver's error and when the bitmap cannot be written: so do we.
 */
#include <errno.h>
#include <inttypes.h>

#include "host/hwpt.h"
#include "host/user.h"

struct bitmap {
	uint64_t iova, page_size;
	uint64_t uptr;
	bool failed;
};

static void set_byte(struct bitmap *b, uint64_t at, uint8_t mask)
{
	uint8_t byte;

	if (!guard_load8(user_ptr(b->uptr + at), &byte)) {
		b->failed = true;
		return;
	}
	byte |= mask;
	if (user_write(b->uptr + at, &byte, 1))
		b->failed = true;
}

/* One dirty leaf, clipped to the walk: sets every bit that it covers. */
static void set_bits(void *opaque, uint64_t ia, uint64_t len)
{
	struct bitmap *b = opaque;
	uint64_t first, last;

	if (b->failed || len == 0)
		return;
	first = (ia - b->iova) / b->page_size;
	last = (ia + (len - 1) - b->iova) / b->page_size;
	if (first / 8 == last / 8) {
		set_byte(b, first / 8, (uint8_t)(0xffu << first % 8 & 0xffu >> (7 - last % 8)));
		return;
	}
	if (first % 8) {
		set_byte(b, first / 8, (uint8_t)(0xffu << first % 8));
		first = nb_align_down(first, 8) + 8;
	}
	if (last % 8 != 7) {
		set_byte(b, last / 8, (uint8_t)(0xffu >> (7 - last % 8)));
		last = nb_align_down(last, 8) - 1;
	}
	if (!b->failed && last + 1 > first && guard_fill(user_ptr(b->uptr + first / 8), 0xff, (last + 1 - first) / 8))
		b->failed = true;
}

static void ignore_bits(void *opaque, uint64_t ia, uint64_t len)
{
	(void)opaque;
	(void)ia;
	(void)len;
}

int hwpt_set_dirty_tracking(struct hwpt *h, bool on, struct nb_diag *diag)
{
	struct drv_domain *d = h->dom;
	struct area_node *n;
	int err = 0;

	if (!h->dirty_tracking || !d->ops->set_dirty_tracking || !d->ops->read_and_clear_dirty)
		return nb_fail(diag, -EOPNOTSUPP, "HWPT %" PRIu32 " was allocated without dirty tracking", h->obj.id);
	pthread_mutex_lock(&h->ioas->lock);
	if (on) {
		/* Begin with a clean slate, also when tracking is on already. */
		struct drv_gather g = {0};

		for (n = area_tree_first(&h->ioas->areas); n; n = area_tree_next(n))
			(void)d->ops->read_and_clear_dirty(d, n->first, n->last - n->first + 1, false, ignore_bits,
							   NULL, &g);
		d->ops->iotlb_sync(d, &g);
	}
	err = d->ops->set_dirty_tracking(d, on, diag);
	pthread_mutex_unlock(&h->ioas->lock);
	return err;
}

int hwpt_read_dirty(struct hwpt *h, uint64_t iova, uint64_t length, uint64_t page_size, uint64_t uptr, bool no_clear,
		    struct nb_diag *diag)
{
	struct bitmap b = {.iova = iova, .page_size = page_size, .uptr = uptr};
	struct drv_domain *d = h->dom;
	struct drv_gather g = {0};
	uint64_t last = iova + (length - 1), at = iova;
	struct area_node *n;

	pthread_mutex_lock(&h->ioas->lock);
	if ((iova | (last + 1)) & (h->ioas->alignment - 1)) {
		uint64_t alignment = h->ioas->alignment;

		pthread_mutex_unlock(&h->ioas->lock);
		return nb_fail(diag, -EINVAL, "the range is not aligned to %#" PRIx64, alignment);
	}
	if (!h->dirty_tracking || !d->ops->read_and_clear_dirty) {
		pthread_mutex_unlock(&h->ioas->lock);
		return nb_fail(diag, -EOPNOTSUPP, "HWPT %" PRIu32 " was allocated without dirty tracking", h->obj.id);
	}
	for (n = area_tree_find(&h->ioas->areas, at, at); n && n->first <= at && !b.failed; n = area_tree_next(n)) {
		uint64_t end = n->last < last ? n->last : last;

		if (d->ops->read_and_clear_dirty(d, at, end - at + 1, no_clear, set_bits, &b, &g))
			break;
		if (end == last)
			break;
		at = end + 1;
	}
	d->ops->iotlb_sync(d, &g);
	pthread_mutex_unlock(&h->ioas->lock);
	return 0;
}
