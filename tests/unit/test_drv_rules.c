/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: what a unit may be asked to walk, what it is told to
 * enforce, and what the core is told about it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_rig.h"

#define X UINT64_C(0x40200000)
#define H BIT(40)

/* ---- compatibility ---- */

struct odd {
	const char *what;
	void (*change)(struct vtd_caps *c);
	uint32_t flags;
	bool enforce;
};

static void no_nesting(struct vtd_caps *c) { c->nested = false; }
static void no_dirty(struct vtd_caps *c) { c->ss_dirty = false; }
static void no_second(struct vtd_caps *c) { c->second_stage = c->nested = c->ss_dirty = false; }
static void no_first(struct vtd_caps *c) { c->first_stage = c->nested = c->fs_1g = false; }
static void no_level5(struct vtd_caps *c) { c->levels5 = false; c->mgaw = 48; }
static void no_ss_1g(struct vtd_caps *c) { c->ss_1g = false; }
static void no_fs_1g(struct vtd_caps *c) { c->fs_1g = false; }
static void no_snoop_control(struct vtd_caps *c) { c->snoop_control = false; }
static void not_coherent(struct vtd_caps *c) { c->coherent = c->ss_dirty = c->ext_access = false; }
static void caching(struct vtd_caps *c) { c->caching_mode = true; }

static void domains_of_another_unit(void **state)
{
	static const struct odd odds[] = {
		{"nesting parent", no_nesting, DRV_ALLOC_NEST_PARENT, false},
		{"dirty tracking", no_dirty, DRV_ALLOC_DIRTY, false},
		{"second stage", no_second, DRV_ALLOC_DIRTY, false},
		{"second stage of a parent", no_second, DRV_ALLOC_NEST_PARENT, false},
		{"first stage", no_first, 0, false},
		{"5 levels, first stage", no_level5, 0, false},
		{"5 levels, second stage", no_level5, DRV_ALLOC_DIRTY, false},
		{"1 GiB, second stage", no_ss_1g, DRV_ALLOC_DIRTY, false},
		{"1 GiB, first stage", no_fs_1g, 0, false},
		{"snooping", no_snoop_control, DRV_ALLOC_NEST_PARENT, true},
		{"coherent tables", not_coherent, 0, false},
		{"coherent tables of a parent", not_coherent, DRV_ALLOC_NEST_PARENT, false},
		{"flush on map", caching, 0, false},
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(odds) / sizeof(odds[0]); i++) {
		const struct odd *o = &odds[i];
		struct vtd_caps all, c;
		struct drv_domain *d;
		struct rig r;

		vtd_caps_all(&all);
		vtd_caps_all(&c);
		o->change(&c);
		rig_up2(&r, &all, &c, 0);
		d = paging(&r, 0, o->flags);
		if (o->enforce)
			assert_true(d->ops->enforce_cache_coherency(d));
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		if (attach(&r, 2, NB_NO_PASID, d) != -EINVAL)
			fail_msg("%s: attached", o->what);
		assert_true(r.diag.msg[0] != 0);
		if (o->flags & DRV_ALLOC_NEST_PARENT) { /* a nested domain asks for its parent */
			struct drv_domain *n = nested(&r, 0, d, 0);

			assert_int_equal(attach(&r, 2, NB_NO_PASID, n), -EINVAL);
			n->ops->free(n);
		}
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
		rig_down(&r);
	}
}

static void nested_rules(void **state)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 57};
	struct drv_user_data data = {IOMMU_HWPT_DATA_VTD_S1, sizeof(s1), (uint64_t)(uintptr_t)&s1};
	const struct drv_ops *ops = &drv_vtd_ops;
	struct drv_domain *p, *plain, *n = NULL;
	struct vtd_caps all, c;
	struct rig r;

	(void)state;
	vtd_caps_all(&all);
	vtd_caps_all(&c);
	c.supervisor = c.rid_priv = c.ext_access = c.levels5 = false;
	c.mgaw = 48;
	rig_up2(&r, &all, &c, 0);
	p = parent(&r, 2, 0);
	plain = paging(&r, 2, DRV_ALLOC_DIRTY);
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], plain, 0, &data, &n, &r.diag), -EINVAL);
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], p, DRV_ALLOC_DIRTY, &data, &n, &r.diag), -EOPNOTSUPP);
	data.len = 23;
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], p, 0, &data, &n, &r.diag), -EINVAL);
	data.len = 25;
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], p, 0, &data, &n, &r.diag), -EINVAL);
	data.len = 24;
	data.type = 2;
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], p, 0, &data, &n, &r.diag), -EOPNOTSUPP);
	data.type = 1;
	data.uptr = 16;
	assert_int_equal(ops->domain_alloc_nested(&r.dev[2], p, 0, &data, &n, &r.diag), -EFAULT);
	assert_null(n);
	/* 5 levels, supervisor, extended accessed flag: not behind unit 1. */
	OK(&r, nested_raw(&r, 2, p, &s1, &n));
	assert_int_equal(attach(&r, 2, NB_NO_PASID, n), -EINVAL);
	n->ops->free(n);
	s1 = (struct iommu_hwpt_vtd_s1){.addr_width = 48, .flags = IOMMU_VTD_S1_SRE};
	OK(&r, nested_raw(&r, 2, p, &s1, &n));
	assert_int_equal(attach(&r, 2, NB_NO_PASID, n), -EINVAL);
	OK(&r, attach(&r, 0, NB_NO_PASID, n));
	block(&r, 0, NB_NO_PASID);
	n->ops->free(n);
	s1 = (struct iommu_hwpt_vtd_s1){.addr_width = 48, .flags = IOMMU_VTD_S1_EAFE};
	OK(&r, nested_raw(&r, 2, p, &s1, &n));
	assert_int_equal(attach(&r, 2, NB_NO_PASID, n), -EINVAL);
	n->ops->free(n);
	/* WPE alone means nothing, unknown flags and low pointer bits are ignored. */
	s1 = (struct iommu_hwpt_vtd_s1){.addr_width = 48, .flags = ~UINT64_C(3), .pgtbl_addr = 0xfff};
	OK(&r, nested_raw(&r, 2, p, &s1, &n));
	OK(&r, attach(&r, 2, NB_NO_PASID, n));
	/* A root far outside the parent: the unit refuses requests, nothing else. */
	GO(&r, 2, NB_NO_PASID, X, FAULT);
	block(&r, 2, NB_NO_PASID);
	n->ops->free(n);
	s1 = (struct iommu_hwpt_vtd_s1){.addr_width = 48, .pgtbl_addr = UINT64_MAX};
	OK(&r, nested_raw(&r, 2, p, &s1, &n));
	OK(&r, attach(&r, 2, NB_NO_PASID, n));
	GO(&r, 2, NB_NO_PASID, X, FAULT);
	block(&r, 2, NB_NO_PASID);
	n->ops->free(n);
	p->ops->free(p);
	plain->ops->free(plain);
	rig_down(&r);
}

/* Erratum 772415: a nesting parent takes no read-only page; others do; and the user is told. */
static void erratum(void **state)
{
	struct iommu_hw_info_vtd info = {0};
	uint32_t len = sizeof(info);
	struct drv_domain *d, *clean, *n;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_up2(&r, &c, &c, DRV_ERRATUM_VTD_772415); /* unit 0 only */
	d = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
	assert_int_equal(map(&r, d, 0, H, K4, PT_READ), -EINVAL);
	OK(&r, map(&r, d, 0, H, K4, RW));
	d->ops->free(d);
	d = paging(&r, 0, DRV_ALLOC_DIRTY);
	OK(&r, map(&r, d, 0, H, K4, PT_READ));
	d->ops->free(d);
	clean = paging(&r, 2, DRV_ALLOC_NEST_PARENT);
	OK(&r, map(&r, clean, 0, H, K4, PT_READ));
	n = nested(&r, 2, clean, 0);
	assert_int_equal(attach(&r, 0, NB_NO_PASID, n), -EINVAL);
	n->ops->free(n);
	clean->ops->free(clean);
	OK(&r, drv_vtd_ops.hw_info(r.unit[0].drv, 0, &info, &len));
	assert_int_equal(len, 24);
	assert_int_equal(info.flags, 1);
	assert_true(info.cap_reg == vtd_caps_cap(&c) && info.ecap_reg == vtd_caps_ecap(&c));
	OK(&r, drv_vtd_ops.hw_info(r.unit[1].drv, IOMMU_HW_INFO_TYPE_INTEL_VTD, &info, &len));
	assert_int_equal(info.flags, 0);
	assert_int_equal(drv_vtd_ops.hw_info(r.unit[1].drv, 2, &info, &len), -EOPNOTSUPP);
	rig_down(&r);
}

/* ---- snooping: read from the unit's own walk ---- */

struct words {
	uint64_t pasid1, leaf;
};

static void on_step(void *opaque, const struct hw_step *s)
{
	struct words *w = opaque;

	if (s->nwords == 8)
		w->pasid1 = s->word[1];
	if (s->stage == 2 && s->level == 1)
		w->leaf = s->word[0];
}

static struct words walk(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = r->dev[dev].rid, .access = HW_READ};
	struct hw_iommu *hw = r->unit[dev == 2].hw;
	struct words w = {0, 0};
	struct hw_result res;

	hw->ops->walk(hw, &req, on_step, &w, &res);
	return w;
}

static void enforced_snooping(void **state)
{
	struct drv_domain *fs, *ss, *n;
	struct words w;
	struct vtd_caps all, c;
	struct rig r;

	(void)state;
	vtd_caps_all(&all);
	vtd_caps_all(&c);
	c.snoop_control = false;
	rig_up2(&r, &all, &c, 0);
	assert_true(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_ENFORCE_COHERENCY));
	assert_false(drv_vtd_ops.capable(&r.dev[2], DRV_CAP_ENFORCE_COHERENCY));
	fs = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, 5, fs));
	assert_int_equal(walk(&r, 0, 5, X).pasid1 & BIT(24), 0);
	assert_true(fs->ops->enforce_cache_coherency(fs)); /* live */
	assert_true(walk(&r, 0, 5, X).pasid1 & BIT(24));
	OK(&r, attach(&r, 0, 6, fs));
	assert_true(walk(&r, 0, 6, X).pasid1 & BIT(24));
	ss = parent(&r, 0, 0);
	n = nested(&r, 0, ss, 0);
	OK(&r, attach(&r, 0, 5, n));
	assert_int_equal(walk(&r, 0, 5, X).pasid1 & BIT(24), 0);
	assert_true(ss->ops->enforce_cache_coherency(ss));
	assert_true(walk(&r, 0, 5, X).pasid1 & BIT(24)); /* nested domains over it, live too */
	OK(&r, map(&r, ss, X, H, K4, RW));
	OK(&r, attach(&r, 0, 5, ss));
	w = walk(&r, 0, 5, X);
	assert_int_equal(w.leaf, H | 0x803);
	block(&r, 0, 5);
	block(&r, 0, 6);
	fs->ops->free(fs);
	fs = paging(&r, 2, 0);
	assert_false(fs->ops->enforce_cache_coherency(fs));
	fs->ops->free(fs);
	fs = paging(&r, 0, 0);
	OK(&r, attach(&r, 2, NB_NO_PASID, fs));
	assert_false(fs->ops->enforce_cache_coherency(fs)); /* for one of its units */
	block(&r, 2, NB_NO_PASID);
	fs->ops->free(fs);
	n->ops->free(n);
	ss->ops->free(ss);
	rig_down(&r);
}

static void shapes(void **state)
{
	static const struct {
		uint8_t mgaw, sagaw;
		bool five;
		uint8_t ss_bits, fs_bits; /* aperture */
	} t[] = {
		{57, 0, true, 57, 56}, {48, 0, false, 48, 47}, {39, 0, false, 39, 38},
		{48, 0xc, true, 48, 47}, {57, 0x4, false, 48, 47}, {45, 0x4, false, 45, 44},
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct drv_domain *ss, *fs;
		struct vtd_caps c;
		struct rig r;

		vtd_caps_all(&c);
		c.mgaw = t[i].mgaw;
		c.sagaw = t[i].sagaw;
		c.levels5 = t[i].five;
		rig_up2(&r, &c, &c, 0);
		ss = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
		fs = paging(&r, 0, DRV_ALLOC_PASID);
		assert_int_equal(ss->aperture_first, 0);
		assert_int_equal(ss->aperture_last, BIT(t[i].ss_bits) - 1);
		assert_int_equal(fs->aperture_last, BIT(t[i].fs_bits) - 1);
		OK(&r, map(&r, ss, ss->aperture_last + 1 - K4, H, K4, RW));
		OK(&r, map(&r, fs, fs->aperture_last + 1 - K4, H + K4, K4, RW));
		OK(&r, attach(&r, 0, 1, ss));
		OK(&r, attach(&r, 0, 2, fs));
		GO(&r, 0, 1, ss->aperture_last - 1, H + K4 - 2);
		GO(&r, 0, 2, fs->aperture_last - 1, H + 2 * K4 - 2);
		assert_int_equal(map(&r, ss, ss->aperture_last + 1, H, K4, RW), -ERANGE);
		assert_int_equal(map(&r, fs, fs->aperture_last + 1, H, K4, RW), -ERANGE);
		block(&r, 0, 1);
		block(&r, 0, 2);
		ss->ops->free(ss);
		fs->ops->free(fs);
		rig_down(&r);
	}
}

static void small_things(void **state)
{
	struct drv_resv resv[2] = {{0, 0, 0}};
	struct drv_domain *d;
	hpa_t pa = {0};
	struct rig r;

	(void)state;
	rig_up(&r);
	assert_int_equal(drv_vtd_ops.resv_regions(&r.dev[0], resv, 0), 0);
	assert_int_equal(drv_vtd_ops.resv_regions(&r.dev[0], resv, 2), 1);
	assert_true(resv[0].first == 0xfee00000 && resv[0].last == 0xfeefffff && resv[0].type == DRV_RESV_MSI);
	assert_true(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_CACHE_COHERENCY));
	assert_true(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_DIRTY_TRACKING));
	assert_true(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_NESTING));
	assert_false(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_ATS));
	assert_true(drv_vtd_ops.capable(&r.dev[1], DRV_CAP_ATS));
	assert_int_equal(drv_vtd_ops.domain_alloc_paging(&r.dev[0], 4, &d, &r.diag), -EOPNOTSUPP);
	d = paging(&r, 0, 0);
	OK(&r, map(&r, d, X, H, K4, RW));
	OK(&r, d->ops->iova_to_phys(d, X + 5, &pa));
	assert_int_equal(pa.v, H + 5);
	assert_int_equal(d->ops->iova_to_phys(d, X + K4, &pa), -ENOENT);
	d->ops->free(d);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_of_another_unit),
		cmocka_unit_test(nested_rules),
		cmocka_unit_test(erratum),
		cmocka_unit_test(enforced_snooping),
		cmocka_unit_test(shapes),
		cmocka_unit_test(small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
