/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: attach, replace, block, in every order; nothing of the old may be left in
 * a cache.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "drv_rig.h"

#define X UINT64_C(0x12345000) /* where the device goes */

enum kind { BLOCKED, IDENTITY, FIRST, SECOND, NESTED, NKINDS };

/* A domain of a kind that leads X to `to`. */
static struct drv_domain *make(struct rig *r, unsigned int dev, enum kind k, struct drv_domain *par, uint64_t to)
{
	struct drv_domain *d = NULL;
	uint64_t root;

	switch (k) {
	case FIRST:
		d = paging(r, dev, 0);
		assert_false(d->ops->read_and_clear_dirty); /* it is the first stage that we got */
		OK(r, map(r, d, X, to, K4, RW));
		break;
	case SECOND:
		d = paging(r, dev, DRV_ALLOC_DIRTY);
		OK(r, map(r, d, X, to, K4, RW));
		break;
	case NESTED:
		root = guest_page(r);
		guest_map(r, root, X, to & ~BIT(40)); /* the parent: GPA + 2^40 */
		d = nested(r, dev, par, root);
		break;
	case IDENTITY:
		d = identity(r, dev);
		break;
	default:
		break;
	}
	return d;
}

static uint64_t target(enum kind k)
{
	return k == BLOCKED ? FAULT : k == IDENTITY ? X : BIT(40) + G1 * (k + 1);
}

static void put_in_force(struct rig *r, unsigned int dev, uint32_t pasid, struct drv_domain *d)
{
	if (d)
		OK(r, attach(r, dev, pasid, d));
	else
		block(r, dev, pasid);
}

/* The parent also leads GPA [1 GiB, 32 GiB) to 2^40 + GPA. */
static struct drv_domain *par_up(struct rig *r, unsigned int dev)
{
	struct drv_domain *p = parent(r, dev, 0);

	OK(r, map(r, p, G1, BIT(40) + G1, 31 * G1, RW));
	return p;
}

static void replace_every_pair(void **state)
{
	static const uint32_t pasids[] = {NB_NO_PASID, 5, 65535};
	struct drv_domain *d[NKINDS], *par;
	unsigned int a, b, p, i, dev;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (i = 0; i < NDEVS + 1; i++) {
		dev = i % NDEVS;
		if (i == NDEVS) { /* once more, with requests between all steps */
			r.busy_addr = X;
			r.busy_pasid = 5;
		}
		par = par_up(&r, dev);
		for (a = 0; a < NKINDS; a++)
			d[a] = make(&r, dev, a, par, target(a));
		for (p = 0; p < 3; p++) {
			for (a = 0; a < NKINDS; a++) {
				for (b = 0; b < NKINDS; b++) {
					put_in_force(&r, dev, pasids[p], d[a]);
					GO(&r, dev, pasids[p], X + 8, target(a) | (a ? 8 : 0));
					put_in_force(&r, dev, pasids[p], d[b]);
					GO(&r, dev, pasids[p], X + 8, target(b) | (b ? 8 : 0));
				}
			}
			block(&r, dev, pasids[p]);
		}
		for (a = FIRST; a < NKINDS; a++)
			d[a]->ops->free(d[a]);
		par->ops->free(par);
	}
	r.busy_addr = 0;
	rig_down(&r);
}

/*
 * A domain id that is given away again must not bring the translations of its former owner
 * along. Domains come and go with nothing else attached, so each gets the same id.
 */
static void domain_id_reuse(void **state)
{
	static const uint32_t pasids[] = {NB_NO_PASID, 7, NB_NO_PASID, 7};
	struct drv_domain *par;
	unsigned int a, b, p, i;
	struct rig r;

	(void)state;
	rig_up(&r);
	par = par_up(&r, 0);
	for (p = 0; p < 4; p++) {
		r.busy_addr = p >= 2 ? X : 0;
		r.busy_pasid = 7;
		for (a = FIRST; a < NKINDS; a++) {
			for (b = FIRST; b < NKINDS; b++) {
				for (i = 0; i < 2; i++) {
					enum kind k = i ? b : a;
					uint64_t to = BIT(40) + (2 + i) * G1;
					struct drv_domain *d = make(&r, 0, k, par, to);

					GO(&r, 0, pasids[p], X, FAULT);
					OK(&r, attach(&r, 0, pasids[p], d));
					GO(&r, 0, pasids[p], X, to);
					block(&r, 0, pasids[p]);
					GO(&r, 0, pasids[p], X, FAULT);
					d->ops->free(d);
				}
			}
		}
	}
	r.busy_addr = 0;
	par->ops->free(par);
	rig_down(&r);
}

/* The RID and PASIDs of a device are attached, replaced and blocked without touching each other. */
static void pasids_are_apart(void **state)
{
	struct drv_domain *rid, *one, *two;
	struct rig r;

	(void)state;
	rig_up(&r);
	rid = make(&r, 0, SECOND, NULL, 1 * G1);
	one = make(&r, 0, FIRST, NULL, 2 * G1);
	two = make(&r, 0, SECOND, NULL, 3 * G1);
	OK(&r, attach(&r, 0, NB_NO_PASID, rid));
	OK(&r, attach(&r, 0, 1, one));
	OK(&r, attach(&r, 0, 2, two));
	OK(&r, attach(&r, 0, 3, rid)); /* one domain twice on one device */
	GO(&r, 0, NB_NO_PASID, X, 1 * G1);
	GO(&r, 0, 1, X, 2 * G1);
	GO(&r, 0, 2, X, 3 * G1);
	GO(&r, 0, 3, X, 1 * G1);
	GO(&r, 0, 4, X, FAULT);
	GO(&r, 1, NB_NO_PASID, X, FAULT);
	block(&r, 0, NB_NO_PASID);
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	GO(&r, 0, 3, X, 1 * G1);
	OK(&r, attach(&r, 0, 1, two));
	GO(&r, 0, 1, X, 3 * G1);
	block(&r, 0, 2);
	GO(&r, 0, 2, X, FAULT);
	GO(&r, 0, 1, X, 3 * G1);
	/* The id that PASID 3 still uses was not given away: unmap reaches it. */
	unmap(&r, rid, X, K4);
	GO(&r, 0, 3, X, FAULT);
	OK(&r, attach(&r, 0, NB_NO_PASID, two));
	GO(&r, 0, NB_NO_PASID, X, 3 * G1);
	assert_int_equal(attach(&r, 0, 0, two), -EINVAL);
	assert_int_equal(attach(&r, 0, 1u << 16, two), -EINVAL);
	assert_int_equal(attach(&r, 0, 1u << 20, two), -EINVAL);
	block(&r, 0, 1u << 20); /* never attached: nothing happens */
	block(&r, 0, NB_NO_PASID);
	block(&r, 0, 1);
	block(&r, 0, 3);
	rid->ops->free(rid);
	one->ops->free(one);
	two->ops->free(two);
	rig_down(&r);
}

/* A nested domain is attached first; its parent never. Two parents live side by side. */
static void any_order_of_calls(void **state)
{
	struct drv_domain *p0, *p1, *n0, *n1;
	struct rig r;

	(void)state;
	rig_up(&r);
	p0 = par_up(&r, 0);
	n0 = make(&r, 0, NESTED, p0, BIT(40) + 2 * G1);
	OK(&r, attach(&r, 0, NB_NO_PASID, n0));
	p1 = paging(&r, 2, DRV_ALLOC_NEST_PARENT);
	OK(&r, map(&r, p1, 0, (uint64_t)(uintptr_t)r.ram, RAM, RW));
	OK(&r, map(&r, p1, G1, BIT(41) + G1, 31 * G1, RW));
	n1 = make(&r, 2, NESTED, p1, BIT(40) + 2 * G1);
	OK(&r, attach(&r, 1, NB_NO_PASID, n1)); /* allocated for a device of another unit */
	OK(&r, attach(&r, 2, NB_NO_PASID, n1));
	GO(&r, 0, NB_NO_PASID, X, BIT(40) + 2 * G1);
	GO(&r, 1, NB_NO_PASID, X, BIT(41) + 2 * G1);
	GO(&r, 2, NB_NO_PASID, X, BIT(41) + 2 * G1);
	OK(&r, attach(&r, 0, NB_NO_PASID, n1));
	GO(&r, 0, NB_NO_PASID, X, BIT(41) + 2 * G1);
	OK(&r, attach(&r, 0, NB_NO_PASID, p0)); /* at last a parent itself */
	GO(&r, 0, NB_NO_PASID, 3 * G1, BIT(40) + 3 * G1);
	unmap(&r, p1, 2 * G1, G1);
	GO(&r, 1, NB_NO_PASID, X, FAULT);
	GO(&r, 2, NB_NO_PASID, X, FAULT);
	block(&r, 0, NB_NO_PASID);
	block(&r, 1, NB_NO_PASID);
	block(&r, 2, NB_NO_PASID);
	n0->ops->free(n0);
	n1->ops->free(n1);
	p0->ops->free(p0);
	p1->ops->free(p1);
	rig_down(&r);
}

/* A refused attach leaves the old translation in force. */
static void refused_attach_changes_nothing(void **state)
{
	struct drv_domain *old, *d = NULL, *par;
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 47};
	unsigned int n;
	struct rig r;

	(void)state;
	rig_up(&r);
	old = make(&r, 0, FIRST, NULL, G1);
	par = par_up(&r, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, old));
	OK(&r, nested_raw(&r, 0, par, &s1, &d));
	assert_int_equal(attach(&r, 0, NB_NO_PASID, d), -EINVAL);
	assert_non_null(strstr(r.diag.msg, "47"));
	GO(&r, 0, NB_NO_PASID, X, G1);
	d->ops->free(d);

	d = make(&r, 0, NESTED, par, BIT(40) + 2 * G1);
	for (n = 1;; n++) {
		int err;

		nb_fail_nth_arm(n);
		err = attach(&r, 0, 9, d);
		if (!nb_fail_nth_fired()) {
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		GO(&r, 0, 9, X, FAULT);
		GO(&r, 0, NB_NO_PASID, X, G1);
	}
	assert_true(n > 4);
	GO(&r, 0, 9, X, BIT(40) + 2 * G1);
	block(&r, 0, 9);
	for (n = 1;; n++) {
		int err;

		nb_fail_nth_arm(n);
		err = attach(&r, 1, NB_NO_PASID, d); /* with a device-TLB: four tags */
		if (!nb_fail_nth_fired()) {
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		GO(&r, 1, NB_NO_PASID, X, FAULT);
	}
	block(&r, 1, NB_NO_PASID);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	old->ops->free(old);
	par->ops->free(par);
	rig_down(&r);
}

/* 2^4 ids, two of them reserved. */
static void domain_ids_run_out(void **state)
{
	struct drv_domain *d[15];
	struct vtd_caps c;
	unsigned int i;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.nd_lg2 = 4;
	rig_up2(&r, &c, &c, 0);
	for (i = 0; i < 15; i++) {
		d[i] = make(&r, 0, FIRST, NULL, G1 * (i + 1));
		assert_int_equal(attach(&r, 0, i + 1, d[i]), i < 14 ? 0 : -ENOSPC);
	}
	for (i = 0; i < 15; i++)
		GO(&r, 0, i + 1, X, i < 14 ? G1 * (i + 1) : FAULT);
	assert_int_equal(attach(&r, 2, NB_NO_PASID, d[14]), 0); /* ids are the unit's */
	block(&r, 0, 3);
	OK(&r, attach(&r, 0, 3, d[14]));
	GO(&r, 0, 3, X, G1 * 15);
	for (i = 0; i < 15; i++)
		block(&r, 0, i + 1);
	block(&r, 2, NB_NO_PASID);
	for (i = 0; i < 15; i++)
		d[i]->ops->free(d[i]);
	rig_down(&r);
}

/* A function goes and another takes its place, with all its PASIDs in force until the end. */
static void release_and_probe_again(void **state)
{
	struct drv_domain *d;
	unsigned int i;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = make(&r, 1, FIRST, NULL, G1);
	for (i = 0; i < 10; i++) {
		struct drv_dev twin = r.dev[1];

		assert_int_equal(drv_vtd_ops.probe_device(&twin, &r.diag), -EBUSY);
		OK(&r, attach(&r, 1, NB_NO_PASID, d));
		OK(&r, attach(&r, 1, 77 + 64 * i, d));
		GO(&r, 1, NB_NO_PASID, X, G1);
		GO(&r, 1, 77 + 64 * i, X, G1);
		drv_vtd_ops.release_device(&r.dev[1]);
		GO(&r, 1, NB_NO_PASID, X, FAULT);
		GO(&r, 1, 77 + 64 * i, X, FAULT);
		r.dev[1].max_pasids = 1u << 20;
		OK(&r, drv_vtd_ops.probe_device(&r.dev[1], &r.diag));
		GO(&r, 1, NB_NO_PASID, X, FAULT);
		GO(&r, 1, 77 + 64 * i, X, FAULT);
	}
	d->ops->free(d);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replace_every_pair),
		cmocka_unit_test(domain_id_reuse),
		cmocka_unit_test(pasids_are_apart),
		cmocka_unit_test(any_order_of_calls),
		cmocka_unit_test(refused_attach_changes_nothing),
		cmocka_unit_test(domain_ids_run_out),
		cmocka_unit_test(release_and_probe_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
