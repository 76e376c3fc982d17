/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 driver: what is in force after attach and block, what devices see on the way, PASIDs, ids, ATS, refusals. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/alloc.h"
#include "drv_smmu_rig.h"

#define A  UINT64_C(0x10000000)
#define B  UINT64_C(0x20000000)
#define IA UINT64_C(0x5000)

static struct drv_domain *one_page(struct rig *r, unsigned int dev, uint32_t flags, uint64_t pa)
{
	struct drv_domain *d = paging(r, dev, flags);

	OK(r, map(r, d, IA, pa, K4, RW));
	return d;
}

/* Device 0 keeps going to IA while it is attached to `to`, and may get nowhere but where it was and where it goes. */
static void watch(struct rig *r, uint32_t pasid, uint64_t was, uint64_t will_be, bool hitless)
{
	r->busy_pasid = pasid;
	r->busy_addr = IA;
	r->busy_ok[0] = was;
	r->busy_ok[1] = will_be;
	r->busy_ok[2] = hitless ? 0 : FAULT;
	r->busy_bad = r->busy_n = 0;
}

static void watched(struct rig *r, const char *what)
{
	r->busy_addr = 0;
	if (r->busy_bad)
		fail_msg("%s: device 0 got to %#lx on the way", what, (unsigned long)r->busy_got);
	assert_true(r->busy_n > 0);
}

/* Where a device that is attached to this gets to. */
static uint64_t expected(struct rig *r, struct drv_domain *d, uint64_t pa)
{
	return !d ? FAULT : d == identity(r, 0) ? IA : pa;
}

/* From everything to everything, in EL1 and EL2; what the architecture lets be hitless is. */
static void kinds(void **state)
{
	struct smmu_caps c;
	unsigned int e2h, from, to;

	(void)state;
	for (e2h = 0; e2h < 2; e2h++) {
		struct drv_domain *d[6];
		const uint64_t pa[6] = {0, 0, A, B, A + M2, B + M2};
		/* blocked and identity differ from the rest by q0 alone; the others replace what hardware looks at in two words */
		const char *kind = "bi1122";
		struct rig r;

		rig_caps(&c);
		c.hyp = e2h;
		rig_up2(&r, &c, &c, RIG_ATS);
		d[0] = NULL;
		d[1] = identity(&r, 0);
		d[2] = one_page(&r, 0, 0, pa[2]);
		d[3] = one_page(&r, 0, DRV_ALLOC_PASID, pa[3]);
		d[4] = one_page(&r, 0, DRV_ALLOC_NEST_PARENT, pa[4]);
		d[5] = one_page(&r, 0, DRV_ALLOC_NEST_PARENT, pa[5]);
		for (from = 0; from < 6; from++) {
			for (to = 0; to < 6; to++) {
				bool hitless = kind[from] == 'b' || kind[from] == 'i' || kind[to] == 'b' || kind[to] == 'i' || from == to;
				char what[64];

				snprintf(what, sizeof(what), "e2h %u, from %u to %u", e2h, from, to);
				if (d[from])
					OK(&r, attach(&r, 0, NB_NO_PASID, d[from]));
				else
					block(&r, 0, NB_NO_PASID);
				GO(&r, 0, NB_NO_PASID, IA, expected(&r, d[from], pa[from]));
				/* A fault is where blocked goes. */
				watch(&r, NB_NO_PASID, expected(&r, d[from], pa[from]), expected(&r, d[to], pa[to]),
				      hitless && d[from] && d[to]);
				if (d[to])
					OK(&r, attach(&r, 0, NB_NO_PASID, d[to]));
				else
					block(&r, 0, NB_NO_PASID);
				if (d[from] || d[to])
					watched(&r, what);
				r.busy_addr = 0;
				GO(&r, 0, NB_NO_PASID, IA, expected(&r, d[to], pa[to]));
			}
		}
		block(&r, 0, NB_NO_PASID);
		GO(&r, 0, NB_NO_PASID, IA, FAULT);
		for (from = 2; from < 6; from++)
			d[from]->ops->free(d[from]);
		rig_down(&r);
	}
}

/* PASIDs: over every kind of RID attachment, tables of one and two levels. */
static void pasids(void **state)
{
	struct smmu_caps c;
	unsigned int flat;

	(void)state;
	for (flat = 0; flat < 2; flat++) {
		struct drv_domain *a, *b, *s2;
		uint32_t far = flat ? 1000 : 60000, k;
		struct rig r;

		rig_caps(&c);
		c.cd_2level = !flat;
		rig_up2(&r, &c, &c, 0);
		assert_int_equal(r.dev[0].max_pasids, flat ? 1024 : 65536);
		a = one_page(&r, 0, DRV_ALLOC_PASID, A);
		b = one_page(&r, 0, DRV_ALLOC_PASID, B);
		s2 = one_page(&r, 0, DRV_ALLOC_NEST_PARENT, B);
		OK(&r, attach(&r, 0, 7, a)); /* RID blocked */
		GO(&r, 0, 7, IA, A);
		GO(&r, 0, 8, IA, FAULT);
		GO(&r, 0, NB_NO_PASID, IA, FAULT | SMMU_EVT_STREAM_DISABLED);
		GO(&r, 0, far, IA, FAULT | SMMU_EVT_BAD_SUBSTREAMID * !flat | SMMU_EVT_BAD_CD * flat); /* and is cached as such */
		OK(&r, attach(&r, 0, far, b));
		GO(&r, 0, far, IA, B);
		/* The RID changes beside them, and they do not notice. */
		watch(&r, 7, A, A, true);
		OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
		GO(&r, 0, NB_NO_PASID, IA, IA);
		OK(&r, attach(&r, 0, NB_NO_PASID, b));
		GO(&r, 0, NB_NO_PASID, IA, B);
		OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
		GO(&r, 0, NB_NO_PASID, IA, IA);
		GO(&r, 0, 0, IA, FAULT); /* PASID 0 would find what the RID had */
		block(&r, 0, NB_NO_PASID);
		GO(&r, 0, NB_NO_PASID, IA, FAULT);
		OK(&r, attach(&r, 0, NB_NO_PASID, b));
		watched(&r, "RID beside PASID 7");
		assert_int_equal(attach(&r, 0, NB_NO_PASID, s2), -EBUSY);
		GO(&r, 0, NB_NO_PASID, IA, B);
		/* Replace one. */
		watch(&r, 7, A, B, false);
		OK(&r, attach(&r, 0, 7, b));
		watched(&r, "PASID 7");
		GO(&r, 0, 7, IA, B);
		block(&r, 0, 7);
		GO(&r, 0, 7, IA, FAULT);
		GO(&r, 0, far, IA, B);
		block(&r, 0, far);
		GO(&r, 0, far, IA, FAULT);
		OK(&r, attach(&r, 0, NB_NO_PASID, s2)); /* none is left */
		GO(&r, 0, NB_NO_PASID, IA, B);
		assert_int_equal(attach(&r, 0, 7, a), -EINVAL);
		OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
		/* With the last PASID the STE is a plain one again. */
		OK(&r, attach(&r, 0, 9, a));
		block(&r, 0, 9);
		GO(&r, 0, 9, IA, FAULT);
		GO(&r, 0, NB_NO_PASID, IA, IA);
		assert_int_equal(attach(&r, 0, 7, identity(&r, 0)), -EOPNOTSUPP);
		assert_int_equal(attach(&r, 0, 7, s2), -EINVAL);
		assert_int_equal(attach(&r, 0, 0, a), -EINVAL);
		assert_int_equal(attach(&r, 0, r.dev[0].max_pasids, a), -EINVAL);
		for (k = 1; k < 12; k++) /* left for release */
			OK(&r, attach(&r, 1, k * 83, k & 1 ? a : b));
		drv_smmuv3_ops.release_device(&r.dev[1]);
		OK(&r, drv_smmuv3_ops.probe_device(&r.dev[1], &r.diag));
		GO(&r, 1, 83, IA, FAULT);
		block(&r, 0, NB_NO_PASID);
		a->ops->free(a);
		b->ops->free(b);
		s2->ops->free(s2);
		rig_down(&r);
	}
}

static void refusals(void **state)
{
	struct drv_domain *d = NULL, *big;
	struct smmu_caps c, c2;
	struct rig r;

	(void)state;
	rig_caps(&c);
	c2 = c;
	c2.oas = 44;
	c2.httu = SMMU_HTTU_NONE;
	c2.fwb = false;
	c2.ssid_bits = 0;
	c2.cd_2level = false;
	rig_up2(&r, &c, &c, 0);
	assert_int_equal(drv_smmuv3_ops.domain_alloc_paging(&r.dev[0], 0x10, &d, &r.diag), -EOPNOTSUPP);
	assert_int_equal(drv_smmuv3_ops.domain_alloc_paging(&r.dev[0], DRV_ALLOC_NEST_PARENT | DRV_ALLOC_DIRTY, &d, &r.diag),
			 -EOPNOTSUPP);
	assert_int_equal(drv_smmuv3_ops.domain_alloc_paging(&r.dev[0], DRV_ALLOC_NEST_PARENT | DRV_ALLOC_PASID, &d, &r.diag),
			 -EOPNOTSUPP);
	assert_null(d);
	d = paging(&r, 0, 0);
	assert_int_equal(d->aperture_last, (UINT64_C(1) << 48) - 1);
	assert_int_equal(d->pgsizes, K4 | M2 | G1);
	assert_int_equal(map(&r, d, UINT64_C(1) << 48, 0, K4, RW), -ERANGE);
	assert_int_equal(map(&r, d, 0, UINT64_C(1) << 48, K4, RW), -ERANGE);
	assert_int_equal(map(&r, d, 0, 0, K4, 0), -EINVAL);
	d->ops->free(d);
	rig_down(&r);

	/* The second unit can less. */
	rig_memory(&r, false);
	OK(&r, rig_try_unit(&r, 0, &c));
	r.unit[1].rig = &r;
	c2.oas = 48;
	OK(&r, rig_try_unit(&r, 1, &c2));
	rig_device(&r, 0, false, false);
	rig_device(&r, 1, false, false);
	rig_device(&r, 2, false, false);
	assert_int_equal(r.dev[2].max_pasids, 0);
	assert_int_equal(drv_smmuv3_ops.domain_alloc_paging(&r.dev[2], DRV_ALLOC_DIRTY, &d, &r.diag), -EOPNOTSUPP);
	d = paging(&r, 0, DRV_ALLOC_DIRTY);
	assert_int_equal(attach(&r, 2, NB_NO_PASID, d), -EINVAL);
	assert_int_equal(attach(&r, 2, 7, d), -EOPNOTSUPP);
	d->ops->free(d);
	big = paging(&r, 0, DRV_ALLOC_NEST_PARENT); /* forced write-back */
	assert_int_equal(attach(&r, 2, NB_NO_PASID, big), -EINVAL);
	big->ops->free(big);
	/* Snooping is enforced: only devices that always do. */
	d = paging(&r, 0, 0);
	assert_true(drv_smmuv3_ops.capable(&r.dev[0], DRV_CAP_ENFORCE_COHERENCY));
	assert_true(d->ops->enforce_cache_coherency(d));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	r.dev[1].always_snoops = false;
	assert_int_equal(attach(&r, 1, NB_NO_PASID, d), -EINVAL);
	assert_false(drv_smmuv3_ops.capable(&r.dev[1], DRV_CAP_ENFORCE_COHERENCY));
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	assert_false(d->ops->enforce_cache_coherency(d));
	/* Nesting without either: no vIOMMU. */
	assert_true(drv_smmuv3_ops.viommu_size(&r.dev[1], IOMMU_VIOMMU_TYPE_ARM_SMMUV3) > 0); /* FWB */
	assert_true(drv_smmuv3_ops.viommu_size(&r.dev[1], IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV) == 0);
	r.dev[2].always_snoops = false;
	assert_true(drv_smmuv3_ops.viommu_size(&r.dev[2], IOMMU_VIOMMU_TYPE_ARM_SMMUV3) == 0);
	block(&r, 1, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* A domain of the first unit, and a second that would read its tables as something else. */
static void foreign_tables(void **state)
{
	enum { GRANULE, COHERENCY, WIDTH, NCASES };
	unsigned int i, parent;
	struct drv_domain *d;
	struct smmu_caps c, c2;
	struct rig r;

	(void)state;
	for (i = 0; i < NCASES; i++) {
		rig_caps(&c);
		if (i == WIDTH) { /* tables of 64 KiB pages use all that there is */
			c.gran4k = c.gran16k = c.ds = false;
			c.oas = 52;
		}
		c2 = c;
		if (i == GRANULE)
			c2.gran4k = false;
		if (i == COHERENCY) {
			c2.coherent = false;
			c2.httu = SMMU_HTTU_NONE;
		}
		if (i == WIDTH)
			c2.oas = 48;
		rig_up2(&r, &c, &c2, 0);
		for (parent = 0; parent < 2; parent++) {
			d = paging(&r, 0, parent ? DRV_ALLOC_NEST_PARENT : 0);
			if (attach(&r, 2, NB_NO_PASID, d) != -EINVAL)
				fail_msg("case %u, parent %u", i, parent);
			OK(&r, attach(&r, 0, NB_NO_PASID, d));
			block(&r, 0, NB_NO_PASID);
			d->ops->free(d);
		}
		rig_down(&r);
	}
}

/* ASIDs and VMIDs come back, and nothing is found under one that was used before. */
static void ids(void **state)
{
	struct smmu_caps c;
	struct drv_domain *d[300];
	struct rig r;
	unsigned int i;

	(void)state;
	rig_caps(&c);
	c.asid16 = c.vmid16 = false;
	rig_up2(&r, &c, &c, 0);
	for (i = 0; i < 600; i++) {
		struct drv_domain *x = one_page(&r, 0, i & 1 ? DRV_ALLOC_NEST_PARENT : 0, A + i * K4);

		OK(&r, attach(&r, 0, NB_NO_PASID, x));
		GO(&r, 0, NB_NO_PASID, IA, A + i * K4);
		block(&r, 0, NB_NO_PASID);
		x->ops->free(x);
	}
	for (i = 0; i < 300; i++)
		d[i] = paging(&r, 0, DRV_ALLOC_PASID);
	for (i = 0; i < 255; i++) /* one of 256 is nobody's */
		OK(&r, attach(&r, 0, 1 + i, d[i]));
	assert_int_equal(attach(&r, 0, 256, d[255]), -ENOSPC);
	OK(&r, attach(&r, 0, 256, d[254])); /* this one has one */
	block(&r, 0, 1);
	OK(&r, attach(&r, 0, 257, d[255]));
	for (i = 1; i < 258; i++)
		block(&r, 0, i);
	for (i = 0; i < 300; i++)
		d[i]->ops->free(d[i]);
	rig_down(&r);
}

/* A domain that was detached and changed is found as it is: nothing was told to the unit in between. */
static void reattach(void **state)
{
	static const uint32_t flags[] = {0, DRV_ALLOC_NEST_PARENT};
	unsigned int i;
	struct rig r;

	(void)state;
	rig_up(&r);
	for (i = 0; i < 2; i++) {
		struct drv_domain *d = one_page(&r, 0, flags[i], A);
		struct drv_viommu *v = i ? viommu(&r, 0, d) : NULL; /* keeps the VMID */

		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		GO(&r, 0, NB_NO_PASID, IA, A);
		block(&r, 0, NB_NO_PASID);
		unmap(&r, d, IA, K4);
		OK(&r, map(&r, d, IA, B, K4, RW));
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		GO(&r, 0, NB_NO_PASID, IA, B);
		block(&r, 0, NB_NO_PASID);
		if (v)
			viommu_free(v);
		d->ops->free(d);
	}
	rig_down(&r);
}

#define ON(r, i) ((r)->fn[i].on[DRV_FEATURE_ATS])

/* On after the STE allows it, off before it forbids it; and what the device cached goes. */
static void ats(void **state)
{
	struct drv_domain *a, *b, *s2;
	struct smmu_caps c;
	uint64_t mem[2][512] __attribute__((aligned(4096)));
	uint64_t v = 0;
	size_t done;
	struct rig r;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_ATS);
	mem[0][0] = 111;
	mem[1][0] = 222;
	a = one_page(&r, 0, DRV_ALLOC_PASID, (uint64_t)(uintptr_t)mem[0]);
	b = one_page(&r, 0, DRV_ALLOC_PASID, (uint64_t)(uintptr_t)mem[1]);
	s2 = one_page(&r, 0, DRV_ALLOC_NEST_PARENT, (uint64_t)(uintptr_t)mem[1]);
#define DMA(pasid, want)                                                                          \
	do {                                                                                      \
		assert_int_equal(hw_atc_dma(r.fn[0].atc, pasid, IA, &v, 8, false, 0, &done), 0);  \
		assert_int_equal(v, want);                                                        \
	} while (0)
	assert_false(ON(&r, 0));
	OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
	assert_false(ON(&r, 0));
	OK(&r, attach(&r, 0, NB_NO_PASID, a));
	assert_true(ON(&r, 0));
	DMA(NB_NO_PASID, 111);
	OK(&r, attach(&r, 0, NB_NO_PASID, b));
	DMA(NB_NO_PASID, 222);
	OK(&r, attach(&r, 0, NB_NO_PASID, s2));
	assert_true(ON(&r, 0));
	DMA(NB_NO_PASID, 222);
	OK(&r, attach(&r, 0, NB_NO_PASID, a));
	DMA(NB_NO_PASID, 111);
	OK(&r, attach(&r, 0, NB_NO_PASID, identity(&r, 0)));
	assert_false(ON(&r, 0));
	/* PASIDs want it whatever the RID does. */
	OK(&r, attach(&r, 0, 5, a));
	assert_true(ON(&r, 0));
	DMA(5, 111);
	OK(&r, attach(&r, 0, 5, b));
	DMA(5, 222);
	/* What the device learned of addresses that pass does not outlive that. */
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, (uint64_t)(uintptr_t)mem[1], &v, 8, false, 0, &done), 0);
	assert_int_equal(v, 222);
	OK(&r, map(&r, a, (uint64_t)(uintptr_t)mem[1], (uint64_t)(uintptr_t)mem[0], K4, RW));
	OK(&r, attach(&r, 0, NB_NO_PASID, a));
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, (uint64_t)(uintptr_t)mem[1], &v, 8, false, 0, &done), 0);
	assert_int_equal(v, 111);
	DMA(NB_NO_PASID, 111);
	block(&r, 0, NB_NO_PASID);
	assert_true(ON(&r, 0));
	assert_int_not_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, IA, &v, 8, false, 0, &done), 0);
	DMA(5, 222);
	/* What is unmapped the device forgets. */
	unmap(&r, b, IA, K4);
	OK(&r, map(&r, b, IA, (uint64_t)(uintptr_t)mem[0], K4, RW));
	DMA(5, 111);
	block(&r, 0, 5);
	assert_false(ON(&r, 0));
	/* A function that has none after all. */
	r.fn[1].refuse[DRV_FEATURE_ATS] = true;
	OK(&r, attach(&r, 1, NB_NO_PASID, a));
	assert_false(ON(&r, 1));
	GO(&r, 1, NB_NO_PASID, IA, (uint64_t)(uintptr_t)mem[0]);
	block(&r, 1, NB_NO_PASID);
	a->ops->free(a);
	b->ops->free(b);
	s2->ops->free(s2);
	rig_down(&r);
}

/* Every allocation of an attach fails once: the old attachment stays in force, and nothing is left over. */
static void no_memory(void **state)
{
	struct smmu_caps c;
	struct rig r;
	unsigned int what;

	(void)state;
	rig_caps(&c);
	for (what = 0; what < 4; what++) {
		struct drv_domain *old, *d;
		unsigned long n;
		int err = -ENOMEM;

		rig_up2(&r, &c, &c, RIG_ATS);
		old = what == 3 ? one_page(&r, 0, 0, A) : identity(&r, 0);
		OK(&r, attach(&r, 0, NB_NO_PASID, old));
		d = one_page(&r, 0, what == 1 ? DRV_ALLOC_NEST_PARENT : 0, B);
		for (n = 1; err; n++) {
			nb_fail_nth_arm(n);
			err = attach(&r, 0, what == 2 ? 60000 : NB_NO_PASID, d);
			nb_fail_nth_arm(0);
			assert_true(err == 0 || err == -ENOMEM);
			if (err)
				GO(&r, 0, NB_NO_PASID, IA, what == 3 ? A : IA);
			assert_true(n < 50);
		}
		GO(&r, 0, what == 2 ? 60000 : NB_NO_PASID, IA, B);
		block(&r, 0, what == 2 ? 60000 : NB_NO_PASID);
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
		if (what == 3)
			old->ops->free(old);
		rig_down(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds), cmocka_unit_test(pasids), cmocka_unit_test(refusals), cmocka_unit_test(foreign_tables), cmocka_unit_test(ids),
		cmocka_unit_test(reattach), cmocka_unit_test(ats), cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
