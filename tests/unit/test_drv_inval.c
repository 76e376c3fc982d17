/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: after unmap, user invalidation and dirty reads no cache remembers what
 * was. The model keeps all that it may keep, so a missing or short invalidation is a wrong translation
 * here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "drv_rig.h"

#define X UINT64_C(0x40200000)
#define H BIT(40)

/* First stage by RID and by PASID, second stage: every page that is unmapped is gone, its neighbours stay. */
static void unmap_reaches_all_attachments(void **state)
{
	static const uint32_t flags[] = {0, DRV_ALLOC_DIRTY};
	unsigned int f, i;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (f = 0; f < 2; f++) {
		struct drv_domain *d = paging(&r, 0, flags[f]);

		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		OK(&r, attach(&r, 0, 3, d));
		OK(&r, attach(&r, 1, 4, d));
		OK(&r, attach(&r, 2, NB_NO_PASID, d)); /* another unit, another id */
		OK(&r, map(&r, d, X, H, 16 * K4, RW));
		for (i = 0; i < 16; i++) {
			GO(&r, 0, NB_NO_PASID, X + i * K4, H + i * K4);
			GO(&r, 0, 3, X + i * K4, H + i * K4);
			GO(&r, 1, 4, X + i * K4, H + i * K4);
			GO(&r, 2, NB_NO_PASID, X + i * K4, H + i * K4);
		}
		unmap(&r, d, X + 3 * K4, K4);
		unmap(&r, d, X + 5 * K4, 6 * K4); /* not a power of two, not aligned to one */
		for (i = 0; i < 16; i++) {
			uint64_t want = i == 3 || (i >= 5 && i < 11) ? FAULT : H + i * K4;

			GO(&r, 0, NB_NO_PASID, X + i * K4, want);
			GO(&r, 0, 3, X + i * K4, want);
			GO(&r, 1, 4, X + i * K4, want);
			GO(&r, 2, NB_NO_PASID, X + i * K4, want);
		}
		/* Mapped elsewhere, at once. */
		OK(&r, map(&r, d, X + 3 * K4, 2 * H, K4, RW));
		GO(&r, 0, 3, X + 3 * K4, 2 * H);
		block(&r, 0, NB_NO_PASID);
		block(&r, 0, 3);
		block(&r, 1, 4);
		block(&r, 2, NB_NO_PASID);
		d->ops->free(d);
	}
	rig_down(&r);
}

/* Tables that are freed must not live on in paging-structure caches: new tables take their place. */
static void freed_tables_are_forgotten(void **state)
{
	static const uint32_t flags[] = {0, DRV_ALLOC_DIRTY};
	unsigned int f, round;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (f = 0; f < 2; f++) {
		struct drv_domain *d = paging(&r, 0, flags[f]), *other = paging(&r, 0, flags[f]);

		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		OK(&r, map(&r, d, X, H + K4, M2, RW));
		GO(&r, 0, NB_NO_PASID, X, H + K4);
		for (round = 0; round < 4; round++) {
			unmap(&r, d, X, M2);
			/* The freed page is somebody else's table now. */
			OK(&r, map(&r, other, round * M2, 8 * H + K4, M2, RW));
			OK(&r, map(&r, d, X, (2 + round) * H + K4, M2, RW));
			/* Pages that were never translated: only upper levels can be stale. */
			GO(&r, 0, NB_NO_PASID, X + (7 + round) * K4, (2 + round) * H + (8 + round) * K4);
			GO(&r, 0, NB_NO_PASID, X, (2 + round) * H + K4);
		}
		/* An empty table that gives way to a large page, without an unmap of its own. */
		unmap(&r, d, X, M2 - K4);
		unmap(&r, d, X + M2 - K4, K4);
		OK(&r, map(&r, d, X + 5 * K4, H, K4, RW));
		GO(&r, 0, NB_NO_PASID, X + 5 * K4, H);
		unmap(&r, d, X + 5 * K4, K4);
		OK(&r, map(&r, d, X, 16 * H, M2, RW));
		OK(&r, map(&r, other, 64 * M2, 8 * H + K4, M2, RW));
		GO(&r, 0, NB_NO_PASID, X + 9 * K4, 16 * H + 9 * K4);
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
		other->ops->free(other);
	}
	rig_down(&r);
}

/* Until the invalidation is complete a table that went belongs to the hardware. */
static void tables_are_freed_last(void **state)
{
	static const uint32_t flags[] = {0, DRV_ALLOC_DIRTY};
	struct drv_domain *d;
	struct drv_gather g;
	unsigned int f;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (f = 0; f < 2; f++) {
		d = paging(&r, 0, flags[f]);
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		r.busy_addr = X + 9 * K4; /* first used when the table is unlinked already */
		OK(&r, map(&r, d, X, H + K4, M2, RW));
		GO(&r, 0, NB_NO_PASID, X, H + K4);
		r.thief = true;
		unmap(&r, d, X, M2);
		/* An empty table that makes room for a large page; only its upper levels are cached. */
		r.thief = false;
		OK(&r, map(&r, d, X, H + K4, K4, RW));
		GO(&r, 0, NB_NO_PASID, X, H + K4);
		g = (struct drv_gather){0};
		OK(&r, d->ops->unmap(d, X, K4, &g));
		d->ops->iotlb_sync(d, &g);
		GO(&r, 0, NB_NO_PASID, X, FAULT);
		r.thief = true;
		OK(&r, map(&r, d, X, 4 * H, M2, RW));
		r.thief = false;
		r.busy_addr = 0;
		assert_int_equal(r.stolen, 0);
		GO(&r, 0, NB_NO_PASID, X + 9 * K4, 4 * H + 9 * K4);
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
	}
	rig_down(&r);
}

/* A part of a large page goes: the rest stays, at the same place. */
static void split_large_page(void **state)
{
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, DRV_ALLOC_DIRTY);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, map(&r, d, G1, 4 * G1, G1, RW));
	GO(&r, 0, NB_NO_PASID, G1 + 5 * K4, 4 * G1 + 5 * K4);
	unmap(&r, d, G1 + 5 * K4, K4);
	GO(&r, 0, NB_NO_PASID, G1 + 5 * K4, FAULT);
	GO(&r, 0, NB_NO_PASID, G1 + 6 * K4, 4 * G1 + 6 * K4);
	GO(&r, 0, NB_NO_PASID, 2 * G1 - K4, 5 * G1 - K4);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* A map that fails half-way may have been used meanwhile; here: nothing of it stays. */
static void failed_map_leaves_nothing(void **state)
{
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, map(&r, d, X + M2, H, K4, RW));
	assert_int_equal(map(&r, d, X, 2 * H, 2 * M2, RW), -EADDRINUSE);
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	GO(&r, 0, NB_NO_PASID, X + M2, H);
	assert_int_equal(map(&r, d, d->aperture_last + 1, H, K4, RW), -ERANGE);
	assert_int_equal(map(&r, d, d->aperture_last + 1 - K4, H, 2 * K4, RW), -ERANGE);
	assert_int_equal(map(&r, d, UINT64_MAX - K4 + 1, H, K4, RW), -ERANGE);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* ---- nesting ---- */

struct nest {
	struct drv_domain *p, *n;
	uint64_t root;
};

/* Guest: X + i pages -> GPA 1 GiB + i pages; parent: GPA + 2^40. */
static void nest_up(struct rig *r, struct nest *n)
{
	unsigned int i;

	n->p = parent(r, 0, 0);
	OK(r, map(r, n->p, G1, H + G1, G1, RW));
	n->root = guest_page(r);
	for (i = 0; i < 64; i++)
		guest_map(r, n->root, X + i * K4, G1 + i * K4);
	n->n = nested(r, 0, n->p, n->root);
	OK(r, attach(r, 0, NB_NO_PASID, n->n));
	OK(r, attach(r, 0, 9, n->n));
	OK(r, attach(r, 1, NB_NO_PASID, n->n));
	OK(r, attach(r, 2, 11, n->n));
}

static const struct {
	unsigned int dev;
	uint32_t pasid;
} nest_att[] = {{0, NB_NO_PASID}, {0, 9}, {1, NB_NO_PASID}, {2, 11}};

#define EVERYWHERE(r, addr, want)                                                                            \
	do {                                                                                                  \
		for (unsigned int a_ = 0; a_ < 4; a_++)                                                       \
			GO(r, nest_att[a_].dev, nest_att[a_].pasid, addr, want);                              \
	} while (0)

static void nest_down(struct rig *r, struct nest *n)
{
	unsigned int a;

	for (a = 0; a < 4; a++)
		block(r, nest_att[a].dev, nest_att[a].pasid);
	n->n->ops->free(n->n);
	n->p->ops->free(n->p);
}

static void guest_invalidates(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate *many = calloc(1000, sizeof(*many));
	unsigned int i;
	uint32_t done;
	struct nest n;
	struct rig r;

	(void)state;
	rig_up(&r);
	nest_up(&r, &n);
	for (i = 0; i < 64; i++)
		EVERYWHERE(&r, X + i * K4, H + G1 + i * K4);
	/* One page, by its address; the others may stay. */
	guest_map(&r, n.root, X + 2 * K4, G1 + 77 * K4);
	inval(&r, n.n, X + 2 * K4, 1, IOMMU_VTD_INV_FLAGS_LEAF);
	EVERYWHERE(&r, X + 2 * K4, H + G1 + 77 * K4);
	/* A range that crosses powers of two. */
	for (i = 7; i < 18; i++)
		guest_map(&r, n.root, X + i * K4, 0);
	inval(&r, n.n, X + 7 * K4, 11, 0);
	for (i = 7; i < 18; i++)
		EVERYWHERE(&r, X + i * K4, FAULT);
	EVERYWHERE(&r, X + 18 * K4, H + G1 + 18 * K4);
	/* Everything. */
	for (i = 18; i < 64; i++)
		guest_map(&r, n.root, X + i * K4, G1 + (i + 100) * K4);
	inval(&r, n.n, 0, UINT64_MAX, 0);
	for (i = 18; i < 64; i++)
		EVERYWHERE(&r, X + i * K4, H + G1 + (i + 100) * K4);
	/* The guest moves a table: without LEAF upper levels are forgotten too. */
	*guest_entry(&r, n.root, X, 3) = 0;
	guest_map(&r, n.root, X + 20 * K4, G1 + 555 * K4);
	inval(&r, n.n, X, 64, 0);
	EVERYWHERE(&r, X + 20 * K4, H + G1 + 555 * K4);
	EVERYWHERE(&r, X + 21 * K4, FAULT);
	/* More ranges than the ring has slots; the last one counts as much as the first. */
	for (i = 0; i < 64; i++) {
		guest_map(&r, n.root, X + i * K4, G1 + i * K4);
		inval(&r, n.n, X + i * K4, 1, 0);
		EVERYWHERE(&r, X + i * K4, H + G1 + i * K4);
		guest_map(&r, n.root, X + i * K4, G1 + (i + 200) * K4);
	}
	for (i = 0; i < 1000; i++)
		many[i] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = i % 250 ? 0x1000 : X + (i / 250) * 21 * K4,
								.npages = 1};
	many[999].addr = X + 63 * K4;
	OK(&r, inval_n(&r, n.n, many, 1000, &done));
	assert_int_equal(done, 1000);
	for (i = 0; i < 64; i += 21)
		EVERYWHERE(&r, X + i * K4, H + G1 + (i + 200) * K4);
	nest_down(&r, &n);
	rig_down(&r);
	free(many);
}

static void guest_invalidates_badly(void **state)
{
	struct iommu_hwpt_vtd_s1_invalidate inv[4] = {{.addr = X, .npages = 1}, {.addr = X + K4, .npages = 1}};
	struct drv_user_array a = {IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 24, 0, 0};
	uint8_t *edge;
	uint32_t done;
	struct nest n;
	struct rig r;

	(void)state;
	rig_up(&r);
	nest_up(&r, &n);
	/* What comes before the bad one is done, and counted. */
	EVERYWHERE(&r, X + K4, H + G1 + K4);
	guest_map(&r, n.root, X + K4, 0);
	inv[2] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X + 1, .npages = 1};
	assert_int_equal(inval_n(&r, n.n, inv, 4, &done), -EINVAL);
	assert_int_equal(done, 2);
	EVERYWHERE(&r, X + K4, FAULT);
	inv[2] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X, .npages = UINT64_MAX};
	assert_int_equal(inval_n(&r, n.n, inv, 4, &done), -EINVAL);
	inv[2] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X, .npages = 1, .flags = 2};
	assert_int_equal(inval_n(&r, n.n, inv, 4, &done), -EOPNOTSUPP);
	inv[2] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X, .npages = 1, .__reserved = 1};
	assert_int_equal(inval_n(&r, n.n, inv, 4, &done), -EOPNOTSUPP);
	assert_int_equal(done, 2);
	/* Counts that run over the end, and of nothing: more may be flushed, never less, and nothing breaks. */
	EVERYWHERE(&r, X + 2 * K4, H + G1 + 2 * K4);
	guest_map(&r, n.root, X + 2 * K4, 0);
	inval(&r, n.n, 4 * K4, UINT64_MAX - 1, 0);
	EVERYWHERE(&r, X + 2 * K4, FAULT);
	inval(&r, n.n, X, 0, 0);
	inval(&r, n.n, 0, 0, 0);
	inval(&r, n.n, UINT64_MAX - K4 + 1, 1, 0);
	inval(&r, n.n, UINT64_MAX - K4 + 1, 2, 0);
	inval(&r, n.n, K4, UINT64_C(1) << 52, 0);
	/* Type and length; an empty array is a question about the type. */
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), 0);
	a.type = 1;
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), -EINVAL);
	a = (struct drv_user_array){0, 23, 1, (uint64_t)(uintptr_t)inv};
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), -EINVAL);
	assert_int_equal(a.entry_num, 0);
	a = (struct drv_user_array){0, 32, 1, (uint64_t)(uintptr_t)inv};
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), -EINVAL);
	/* The array ends in a hole. */
	edge = mmap(NULL, 2 * K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(edge != MAP_FAILED);
	inv[1].addr = X + 3 * K4;
	memcpy(edge + K4 - 60, inv, 48); /* not aligned: the guest need not */
	munmap(edge + K4, K4);
	EVERYWHERE(&r, X + 3 * K4, H + G1 + 3 * K4);
	guest_map(&r, n.root, X + 3 * K4, 0);
	a = (struct drv_user_array){0, 24, 3, (uint64_t)(uintptr_t)(edge + K4 - 60)};
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), -EFAULT);
	assert_int_equal(a.entry_num, 2);
	EVERYWHERE(&r, X + 3 * K4, FAULT);
	a = (struct drv_user_array){0, 24, 3, UINT64_MAX - 30};
	assert_int_equal(n.n->ops->cache_invalidate_user(n.n, &a, &r.diag), -EFAULT);
	assert_int_equal(a.entry_num, 0);
	munmap(edge, K4);
	nest_down(&r, &n);
	rig_down(&r);
}

/* The parent changes under the nested domains: leaves that they use, and pages that hold the guest's tables. */
static void parent_unmap_reaches_nested(void **state)
{
	struct drv_domain *p2;
	struct nest n;
	struct rig r;

	(void)state;
	rig_up(&r);
	nest_up(&r, &n);
	EVERYWHERE(&r, X, H + G1);
	EVERYWHERE(&r, X + 5 * K4, H + G1 + 5 * K4);
	unmap(&r, n.p, G1 + 5 * K4, K4);
	EVERYWHERE(&r, X + 5 * K4, FAULT);
	EVERYWHERE(&r, X, H + G1);
	OK(&r, map(&r, n.p, G1 + 5 * K4, 3 * H, K4, RW));
	EVERYWHERE(&r, X + 5 * K4, 3 * H);
	/* The guest's root goes away, with the rest of its memory. */
	unmap(&r, n.p, 0, RAM);
	EVERYWHERE(&r, X, FAULT);
	EVERYWHERE(&r, X + 5 * K4, FAULT);
	OK(&r, map(&r, n.p, 0, (uint64_t)(uintptr_t)r.ram, RAM, RW));
	EVERYWHERE(&r, X, H + G1);
	/* Detached from the parent's point of view: its tags went with the attachments. */
	p2 = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, 9, p2));
	unmap(&r, n.p, G1, K4);
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	GO(&r, 0, 9, X, FAULT);
	nest_down(&r, &n);
	p2->ops->free(p2);
	rig_down(&r);
}

/* ---- dirty tracking ---- */

static void count_dirty(void *opaque, uint64_t ia, uint64_t len)
{
	(void)ia;
	*(uint64_t *)opaque += len;
}

static uint64_t dirty(struct rig *r, struct drv_domain *d, uint64_t ia, uint64_t len, bool no_clear)
{
	struct drv_gather g = {0};
	uint64_t n = 0;

	OK(r, d->ops->read_and_clear_dirty(d, ia, len, no_clear, count_dirty, &n, &g));
	assert_true(g.any == (n > 0 && !no_clear));
	d->ops->iotlb_sync(d, &g);
	return n;
}

#define WRITE(r, dev, pasid, addr, want) assert_int_equal(rig_go(r, dev, pasid, addr, HW_WRITE), want)

static void dirty_second_stage(void **state)
{
	struct drv_domain *d;
	unsigned int i;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, DRV_ALLOC_DIRTY);
	OK(&r, map(&r, d, X, H, 32 * K4, RW));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, attach(&r, 2, 3, d));
	/* Cached without tracking; then tracking begins under way. */
	WRITE(&r, 0, NB_NO_PASID, X, H);
	WRITE(&r, 2, 3, X + K4, H + K4);
	assert_int_equal(dirty(&r, d, X, 32 * K4, false), 0);
	OK(&r, d->ops->set_dirty_tracking(d, true, &r.diag));
	for (i = 0; i < 3; i++) {
		WRITE(&r, 0, NB_NO_PASID, X, H);
		WRITE(&r, 2, 3, X + K4, H + K4);
		GO(&r, 0, NB_NO_PASID, X + 2 * K4, H + 2 * K4);
		assert_int_equal(dirty(&r, d, X, 32 * K4, true), 2 * K4);
		assert_int_equal(dirty(&r, d, X, 32 * K4, false), 2 * K4);
		assert_int_equal(dirty(&r, d, X, 32 * K4, false), 0);
	}
	/* A device that comes later tracks too. */
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	WRITE(&r, 1, NB_NO_PASID, X + 9 * K4, H + 9 * K4);
	assert_int_equal(dirty(&r, d, X, 32 * K4, false), K4);
	OK(&r, d->ops->set_dirty_tracking(d, false, &r.diag));
	WRITE(&r, 0, NB_NO_PASID, X + 4 * K4, H + 4 * K4);
	WRITE(&r, 1, NB_NO_PASID, X + 4 * K4, H + 4 * K4);
	assert_int_equal(dirty(&r, d, X, 32 * K4, false), 0);
	block(&r, 0, NB_NO_PASID);
	block(&r, 1, NB_NO_PASID);
	block(&r, 2, 3);
	d->ops->free(d);
	rig_down(&r);
}

static void dirty_through_nesting(void **state)
{
	struct drv_domain *p, *n;
	uint64_t root;
	unsigned int i;
	struct rig r;

	(void)state;
	rig_up(&r);
	p = parent(&r, 0, DRV_ALLOC_DIRTY);
	OK(&r, map(&r, p, G1, H, 32 * K4, RW));
	root = guest_page(&r);
	for (i = 0; i < 32; i++)
		guest_map(&r, root, X + i * K4, G1 + i * K4);
	n = nested(&r, 0, p, root);
	OK(&r, attach(&r, 0, NB_NO_PASID, n));
	OK(&r, attach(&r, 2, 3, n));
	WRITE(&r, 0, NB_NO_PASID, X, H);
	WRITE(&r, 2, 3, X + K4, H + K4);
	assert_int_equal(dirty(&r, p, G1, 32 * K4, false), 0);
	OK(&r, p->ops->set_dirty_tracking(p, true, &r.diag));
	for (i = 0; i < 3; i++) {
		WRITE(&r, 0, NB_NO_PASID, X, H);
		WRITE(&r, 2, 3, X + K4, H + K4);
		assert_int_equal(dirty(&r, p, G1, 32 * K4, false), 2 * K4);
		assert_int_equal(dirty(&r, p, G1, 32 * K4, false), 0);
	}
	OK(&r, p->ops->set_dirty_tracking(p, false, &r.diag));
	WRITE(&r, 0, NB_NO_PASID, X + 4 * K4, H + 4 * K4);
	assert_int_equal(dirty(&r, p, G1, 32 * K4, false), 0);
	block(&r, 0, NB_NO_PASID);
	block(&r, 2, 3);
	n->ops->free(n);
	p->ops->free(p);
	/* Without the flag there is no tracking. */
	p = parent(&r, 0, 0);
	assert_int_equal(p->ops->set_dirty_tracking(p, true, &r.diag), -EOPNOTSUPP);
	p->ops->free(p);
	rig_down(&r);
}

/* ---- threads ---- */

struct stress {
	struct rig *r;
	struct nest n;
	_Atomic bool stop;
	_Atomic unsigned int wrong;
};

/*
 * A page that is unmapped and synced cannot be reached; seen by the thread that did it, so no race
 * excuses it.
 */
static void *unmapper(void *arg)
{
	struct stress *s = arg;
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		uint64_t off = (128 + i % 64) * K4;
		struct drv_gather g = {0};

		if (map(s->r, s->n.p, off + 2 * G1, H + off, K4, RW))
			s->wrong++;
		if (s->n.p->ops->unmap(s->n.p, off + 2 * G1, K4, &g))
			s->wrong++;
		s->n.p->ops->iotlb_sync(s->n.p, &g);
	}
	return NULL;
}

static void *invalidator(void *arg)
{
	struct stress *s = arg;
	struct iommu_hwpt_vtd_s1_invalidate inv[64];
	unsigned int i;

	for (i = 0; i < 64; i++)
		inv[i] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X + i * K4, .npages = 1};
	for (i = 0; i < 500; i++) {
		struct drv_user_array a = {0, sizeof(inv[0]), 64, (uint64_t)(uintptr_t)inv};

		if (s->n.n->ops->cache_invalidate_user(s->n.n, &a, NULL) || a.entry_num != 64)
			s->wrong++;
	}
	return NULL;
}

static void *requester(void *arg)
{
	struct stress *s = arg;
	unsigned int i = 0;

	while (!atomic_load(&s->stop)) {
		struct hw_request req = {.addr = X + (i++ % 64) * K4, .pasid = NB_NO_PASID, .access = HW_READ};
		struct hw_result res;

		req.rid = s->r->dev[0].rid;
		hw_translate(s->r->unit[0].hw, &req, &res);
		if (res.kind != HW_OK || res.pa.v != H + G1 + (req.addr - X))
			s->wrong++;
	}
	return NULL;
}

static void *attacher(void *arg)
{
	struct stress *s = arg;
	unsigned int i;

	for (i = 0; i < 500; i++)
		if (drv_vtd_ops.attach(&s->r->dev[2], 20 + i % 3, i % 2 ? s->n.n : s->n.p, NULL))
			s->wrong++;
	for (i = 0; i < 3; i++)
		drv_vtd_ops.block(&s->r->dev[2], 20 + i);
	return NULL;
}

static void threads(void **state)
{
	void *(*const fn[])(void *) = {requester, unmapper, invalidator, invalidator, attacher};
	pthread_t t[5];
	struct stress s;
	unsigned int i;
	struct rig r;

	(void)state;
	rig_up(&r);
	memset(&s, 0, sizeof(s));
	s.r = &r;
	nest_up(&r, &s.n);
	for (i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fn[i], &s), 0);
	for (i = 1; i < 5; i++)
		pthread_join(t[i], NULL);
	atomic_store(&s.stop, true);
	pthread_join(t[0], NULL);
	assert_int_equal(s.wrong, 0);
	nest_down(&r, &s.n);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unmap_reaches_all_attachments),
		cmocka_unit_test(freed_tables_are_forgotten),
		cmocka_unit_test(tables_are_freed_last),
		cmocka_unit_test(split_large_page),
		cmocka_unit_test(failed_map_leaves_nothing),
		cmocka_unit_test(guest_invalidates),
		cmocka_unit_test(guest_invalidates_badly),
		cmocka_unit_test(parent_unmap_reaches_nested),
		cmocka_unit_test(dirty_second_stage),
		cmocka_unit_test(dirty_through_nesting),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
