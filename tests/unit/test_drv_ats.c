/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model, with functions that have device-TLBs: who has ATS on and when, what invalidates device-TLBs, and
 * functions that do not answer.
 *
 * Page n of the rig's RAM begins with n + 1, so that what a device reads says where it got to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_rig.h"

#define X UINT64_C(0x12345000)

static void number_pages(struct rig *r)
{
	uint64_t i;

	for (i = 0; i < RAM / K4; i++)
		*(uint64_t *)(void *)(r->ram + i * K4) = i + 1;
}

static uint64_t page(const struct rig *r, uint64_t n)
{
	return (uint64_t)(uintptr_t)r->ram + n * K4;
}

static void caps_legacy(struct vtd_caps *c)
{
	vtd_caps_all(c);
	c->scalable = c->first_stage = c->second_stage = c->nested = c->fs_1g = c->ss_dirty = c->ext_access = false;
	c->page_requests = c->supervisor = c->rid_pasid = c->rid_priv = false;
	c->pasid_bits = 0;
}

/* Scalable mode: on when the function was probed, PASID before ATS, off when it is released. */
static void switched_with_the_function(void **state)
{
	struct drv_domain *d;
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < 3; i++) { /* 1: no ATS after all, 2: no PASID after all */
		rig_up_fn(&r, NULL);
		number_pages(&r);
		assert_true(r.fn[0].on[DRV_FEATURE_ATS] && r.fn[0].on[DRV_FEATURE_PASID]);
		assert_int_equal(r.fn[0].arg[DRV_FEATURE_ATS], 12);
		drv_vtd_ops.release_device(&r.dev[0]);
		assert_false(r.fn[0].on[DRV_FEATURE_ATS] || r.fn[0].on[DRV_FEATURE_PASID]);
		r.fn[0].refuse[DRV_FEATURE_ATS] = i == 1;
		r.fn[0].refuse[DRV_FEATURE_PASID] = i == 2;
		OK(&r, drv_vtd_ops.probe_device(&r.dev[0], &r.diag));
		assert_int_equal(r.dev[0].max_pasids, i == 2 ? 0 : 1u << 16);
		d = paging(&r, 0, 0);
		OK(&r, map(&r, d, X, page(&r, 7), K4, RW));
		assert_int_equal(attach(&r, 0, 5, d), i == 2 ? -EOPNOTSUPP : 0);
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		DEV_GO(&r, 0, NB_NO_PASID, X, 8);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_hw_ats_request) > 0, i != 1);
		r.fn[0].invalidated = 0;
		unmap(&r, d, X, K4);
		assert_int_equal(r.fn[0].invalidated > 0, i != 1);
		if (i == 1) { /* the unit does not believe a function that says it has translated */
			uint64_t v;

			assert_int_equal(hw_atc_dma_translated(r.fn[0].atc, NB_NO_PASID, page(&r, 1), &v, 8, false),
					 -EFAULT);
		}
		block(&r, 0, NB_NO_PASID);
		block(&r, 0, 5);
		d->ops->free(d);
		rig_down(&r);
	}
}

/* Legacy mode: on around attachments that translate. */
static void legacy_mode(void **state)
{
	struct drv_domain *d, *e;
	struct vtd_caps c;
	struct rig r;
	bool *on = r.fn[0].on;

	(void)state;
	caps_legacy(&c);
	rig_up_fn(&r, &c);
	number_pages(&r);
	d = paging(&r, 0, 0);
	e = paging(&r, 0, 0);
	OK(&r, map(&r, d, X, page(&r, 3), 2 * K4, RW));
	OK(&r, map(&r, e, X, page(&r, 9), K4, RW));
	assert_false(on[DRV_FEATURE_ATS]);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_true(on[DRV_FEATURE_ATS]);
	DEV_GO(&r, 0, NB_NO_PASID, X, 4);
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, 5);
	assert_true(nb_trace_count(r.tr, NB_EV_hw_ats_request) > 0);
	unmap(&r, d, X, K4);
	DEV_GO(&r, 0, NB_NO_PASID, X, NOTHING);
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, 5);
	OK(&r, attach(&r, 0, NB_NO_PASID, e));
	assert_true(on[DRV_FEATURE_ATS]);
	DEV_GO(&r, 0, NB_NO_PASID, X, 10);
	OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
	assert_false(on[DRV_FEATURE_ATS]);
	DEV_GO(&r, 0, NB_NO_PASID, page(&r, 20), 21);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, 5);
	block(&r, 0, NB_NO_PASID);
	assert_false(on[DRV_FEATURE_ATS]);
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, FAULT);
	/* A function that cannot after all is attached all the same. */
	r.fn[0].refuse[DRV_FEATURE_ATS] = true;
	r.fn[0].invalidated = 0;
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, 5);
	unmap(&r, d, X + K4, K4);
	DEV_GO(&r, 0, NB_NO_PASID, X + K4, FAULT);
	assert_int_equal(r.fn[0].invalidated, 0);
	block(&r, 0, NB_NO_PASID);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
	d->ops->free(d);
	e->ops->free(e);
	rig_down(&r);
}

/* Whatever changes a translation takes it out of the device-TLB, for the RID and for a PASID. */
static void changes_reach_the_device(void **state)
{
	const uint32_t pasids[] = {NB_NO_PASID, 6};
	const uint32_t flags[] = {0, DRV_ALLOC_DIRTY};
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 4; i++) {
		uint32_t pasid = pasids[i & 1];
		struct drv_domain *d, *e;
		struct vtd_caps c;
		struct rig r;

		vtd_caps_all(&c);
		c.dev_tlb_throttle = i == 3; /* descriptors carry the physical function */
		rig_up_fn(&r, &c);
		number_pages(&r);
		d = paging(&r, 0, flags[i / 2]);
		e = paging(&r, 0, flags[i / 2]);
		OK(&r, map(&r, d, X, page(&r, 1), 8 * K4, RW));
		OK(&r, map(&r, e, X, page(&r, 50), 8 * K4, RW));
		OK(&r, attach(&r, 0, pasid, d));
		OK(&r, attach(&r, 1, pasid, d));
		for (k = 0; k < 8; k++) {
			DEV_GO(&r, 0, pasid, X + k * K4, 2 + k);
			DEV_GO(&r, 1, pasid, X + k * K4, 2 + k);
		}
		unmap(&r, d, X + 2 * K4, 3 * K4);
		for (k = 0; k < 8; k++) {
			DEV_GO(&r, 0, pasid, X + k * K4, k >= 2 && k < 5 ? NOTHING : 2 + k);
			DEV_GO(&r, 1, pasid, X + k * K4, k >= 2 && k < 5 ? NOTHING : 2 + k);
		}
		OK(&r, attach(&r, 0, pasid, e)); /* replace */
		DEV_GO(&r, 0, pasid, X, 51);
		DEV_GO(&r, 1, pasid, X, 2);
		OK(&r, attach(&r, 0, pasid, identity(&r, 0)));
		DEV_GO(&r, 0, pasid, page(&r, 5), 6);
		OK(&r, attach(&r, 0, pasid, d));
		DEV_GO(&r, 0, pasid, page(&r, 5), NOTHING);
		DEV_GO(&r, 0, pasid, X, 2);
		block(&r, 0, pasid);
		assert_int_not_equal(dev_go(&r, 0, pasid, X), 2);
		block(&r, 1, pasid);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
		d->ops->free(d);
		e->ops->free(e);
		rig_down(&r);
	}
}

/* The guest's table and its parent; dirty tracking and page requests on at the same time. */
static void nested_and_dirty(void **state)
{
	const uint32_t pasids[] = {NB_NO_PASID, 6};
	struct drv_gather g;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		uint32_t pasid = pasids[i];
		struct drv_domain *p, *d;
		uint64_t root, first, second, dirty;
		struct rig r;
		size_t done;

		rig_up_fn(&r, NULL);
		p = parent(&r, 0, DRV_ALLOC_DIRTY);
		root = guest_page(&r);
		guest_map(&r, root, X, 100 * K4);
		guest_map(&r, root, X + K4, 101 * K4);
		*(uint64_t *)(void *)(r.ram + 100 * K4) = 1100;
		*(uint64_t *)(void *)(r.ram + 101 * K4) = 1101;
		*(uint64_t *)(void *)(r.ram + 102 * K4) = 1102;
		d = nested(&r, 0, p, root);
		d->iopf = true;
		r.fn[0].answer = RIG_ANSWER;
		OK(&r, attach(&r, 0, pasid, d));
		DEV_GO(&r, 0, pasid, X, 1100);
		DEV_GO(&r, 0, pasid, X + K4, 1101);
		/* The guest's own change and its invalidation, of one page. */
		guest_map(&r, root, X, 102 * K4);
		guest_map(&r, root, X + K4, 102 * K4);
		DEV_GO(&r, 0, pasid, X, 1100);
		inval(&r, d, X, 1, 0);
		DEV_GO(&r, 0, pasid, X, 1102);
		DEV_GO(&r, 0, pasid, X + K4, 1101);
		inval(&r, d, 0, UINT64_MAX, 0);
		DEV_GO(&r, 0, pasid, X + K4, 1102);
		/* The parent: we know GPAs, the device has IOVAs. */
		unmap(&r, p, 102 * K4, K4);
		DEV_GO(&r, 0, pasid, X, NOTHING);
		ask_page(&r, 0, pasid, X, 3, HW_READ, true);
		assert_int_equal(r.fn[0].nresponses, 1);
		OK(&r, map(&r, p, 102 * K4, (uint64_t)(uintptr_t)r.ram + 102 * K4, K4, RW));
		DEV_GO(&r, 0, pasid, X, 1102);

		/* Dirty tracking switched on under a device that already has the page: its next write is seen. */
		second = 7;
		assert_int_equal(hw_atc_dma(r.fn[0].atc, pasid, X + 8, &second, 8, true, 0, &done), 0);
		OK(&r, p->ops->set_dirty_tracking(p, true, &r.diag));
		g = (struct drv_gather){0};
		OK(&r, p->ops->read_and_clear_dirty(p, 0, RAM, false, NULL, NULL, &g));
		p->ops->iotlb_sync(p, &g);
		for (first = 0; first < 2; first++) {
			assert_int_equal(hw_atc_dma(r.fn[0].atc, pasid, X + 8, &second, 8, true, 0, &done), 0);
			g = (struct drv_gather){0};
			OK(&r, p->ops->read_and_clear_dirty(p, 102 * K4, K4, false, NULL, NULL, &g));
			dirty = g.any; /* something was cleared: it was dirty */
			p->ops->iotlb_sync(p, &g);
			assert_true(dirty);
			g = (struct drv_gather){0};
			OK(&r, p->ops->read_and_clear_dirty(p, 102 * K4, K4, false, NULL, NULL, &g));
			assert_false(g.any);
		}
		OK(&r, p->ops->set_dirty_tracking(p, false, &r.diag));
		assert_int_equal(hw_atc_dma(r.fn[0].atc, pasid, X + 8, &second, 8, true, 0, &done), 0);
		g = (struct drv_gather){0};
		OK(&r, p->ops->read_and_clear_dirty(p, 102 * K4, K4, false, NULL, NULL, &g));
		assert_false(g.any);
		ask_page(&r, 0, pasid, X, 4, HW_WRITE, true);
		assert_int_equal(r.fn[0].nresponses, 2);

		block(&r, 0, pasid);
		assert_int_not_equal(dev_go(&r, 0, pasid, X), 1102);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
		d->ops->free(d);
		p->ops->free(p);
		rig_down(&r);
	}
}

/* Submissions of any size with device-TLB descriptors in them: more than half of the ring, more than all of it. */
static void many_at_once(void **state)
{
	const uint32_t sizes[] = {1, 100, 119, 120, 121, 200, 240, 700};
	struct iommu_hwpt_vtd_s1_invalidate inv[700];
	struct drv_domain *p, *d;
	uint32_t i, k, done;
	uint64_t root;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	p = parent(&r, 0, 0);
	root = guest_page(&r);
	guest_map(&r, root, X, 100 * K4);
	d = nested(&r, 0, p, root);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, attach(&r, 1, 4, d));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(inv, 0, sizeof(inv));
		for (k = 0; k < sizes[i]; k++)
			inv[k] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = X + k * K4, .npages = 1};
		r.fn[0].invalidated = r.fn[1].invalidated = 0;
		OK(&r, inval_n(&r, d, inv, sizes[i], &done));
		assert_int_equal(r.fn[0].invalidated, sizes[i]);
		assert_int_equal(r.fn[1].invalidated, sizes[i]);
		/* One that is lost on the way, the first or the last: everything is sent again. */
		r.fn[0].invalidated = 0;
		assert_int_equal(vtd_inject_devtlb_timeout(r.unit[0].hw, r.dev[0].rid), 0);
		OK(&r, inval_n(&r, d, inv, sizes[i], &done));
		assert_true(r.fn[0].invalidated >= sizes[i]);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), i + 1);
	}
	block(&r, 0, NB_NO_PASID);
	block(&r, 1, 4);
	d->ops->free(d);
	p->ops->free(p);
	rig_down(&r);
}

/* A device never answers: the others and the unit go on, and what the device cached is worth nothing. */
static void cut_off(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) { /* legacy, first stage by RID, by PASID */
		uint32_t pasid = i == 2 ? 5 : NB_NO_PASID;
		struct drv_domain *d;
		uint64_t errors, v;
		struct vtd_caps c;
		struct rig r;

		vtd_caps_all(&c);
		if (i == 0)
			caps_legacy(&c);
		rig_up_fn(&r, &c);
		number_pages(&r);
		d = paging(&r, 0, 0);
		OK(&r, map(&r, d, X, page(&r, 1), 4 * K4, RW));
		OK(&r, attach(&r, 0, pasid, d));
		OK(&r, attach(&r, 1, pasid, d));
		DEV_GO(&r, 0, pasid, X, 2);
		DEV_GO(&r, 1, pasid, X, 2);
		r.fn[0].silent = true;
		unmap(&r, d, X, K4);
		assert_false(r.unit[0].drv->dead);
		errors = nb_trace_count(r.tr, NB_EV_drv_queue_error);
		assert_int_equal(errors, 4); /* once, sent again three times */
		DEV_GO(&r, 1, pasid, X, NOTHING);
		assert_int_not_equal(dev_go(&r, 0, pasid, X), 2); /* though it still has it */
		assert_int_equal(hw_atc_dma_translated(r.fn[0].atc, NB_NO_PASID, page(&r, 1), &v, 8, false), -EFAULT);
		/* It is not asked again, and goes on without. */
		r.fn[0].invalidated = 0;
		unmap(&r, d, X + K4, K4);
		assert_int_equal(r.fn[0].invalidated, 0);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), errors);
		GO(&r, 0, pasid, X + 2 * K4, page(&r, 3));
		block(&r, 0, pasid);
		GO(&r, 0, pasid, X + 2 * K4, FAULT);
		/* Released and probed again, it has a new chance. */
		drv_vtd_ops.release_device(&r.dev[0]);
		r.fn[0].silent = false;
		OK(&r, drv_vtd_ops.probe_device(&r.dev[0], &r.diag));
		OK(&r, attach(&r, 0, pasid, d));
		DEV_GO(&r, 0, pasid, X + 2 * K4, 4);
		unmap(&r, d, X + 2 * K4, K4);
		DEV_GO(&r, 0, pasid, X + 2 * K4, NOTHING);
		assert_true(r.fn[0].invalidated > 0);
		block(&r, 0, pasid);
		block(&r, 1, pasid);
		d->ops->free(d);
		rig_down(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switched_with_the_function),
		cmocka_unit_test(legacy_mode),
		cmocka_unit_test(changes_reach_the_device),
		cmocka_unit_test(nested_and_dirty),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
