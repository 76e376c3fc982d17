/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: units of other kinds (legacy mode, walks that do not snoop, caching mode, write-buffer flush,
 * coarse invalidation), bring-up, faults, queue errors, capability rules.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "drv_rig.h"
#include "spec/vtd/faults.h"

#define X UINT64_C(0x40200000)
#define H BIT(40)

/* ---- what the unit was told: descriptors, by way of the trace ---- */

struct told {
	int fd;
	struct nb_trace *tr;
	unsigned int n;
	uint64_t lo[512], hi[512];
};

static void listen_begin(struct told *t, struct rig *r)
{
	t->tr = r->tr;
	t->fd = memfd_create("descriptors", 0);
	assert_true(t->fd >= 0);
	OK(r, nb_trace_log(r->tr, "hw.inv-desc", t->fd, &r->diag));
}

static void listen_end(struct told *t)
{
	FILE *f = fdopen(t->fd, "r");
	char line[256];

	nb_trace_log(t->tr, NULL, -1, NULL);
	rewind(f);
	t->n = 0;
	while (fgets(line, sizeof(line), f)) {
		assert_true(t->n < 512);
		assert_int_equal(sscanf(line, "nestbox: hw.inv-desc lo %lx hi %lx", &t->lo[t->n], &t->hi[t->n]), 2);
		t->n++;
	}
	fclose(f);
}

/* Descriptors whose words, under the masks, are these. */
static unsigned int heard(const struct told *t, uint64_t lo_mask, uint64_t lo, uint64_t hi)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->n; i++)
		n += (t->lo[i] & lo_mask) == lo && t->hi[i] == hi;
	return n;
}

#define ALL_OF_DEVTLB UINT64_C(0x7ffffffffffff001) /* S, and ones up to bit 62 */

/* A device with a device-TLB is told of each change that could be in it. VT-d 6.5.2.5, 6.5.2.6. */
static void device_tlb_is_told(void **state)
{
	const uint64_t dev = UINT64_C(0xffff0000000f), pdev = UINT64_C(0xfffffffff000f);
	struct drv_domain *fs, *p, *n;
	struct drv_gather g = {0};
	struct told t;
	uint64_t rid, root;
	struct rig r;

	(void)state;
	rig_up(&r);
	rid = r.dev[1].rid;
	fs = paging(&r, 1, 0);
	OK(&r, attach(&r, 1, NB_NO_PASID, fs));
	OK(&r, attach(&r, 1, 5, fs));
	OK(&r, map(&r, fs, X, H, 8 * K4, RW));
	listen_begin(&t, &r);
	unmap(&r, fs, X, K4);
	unmap(&r, fs, X + 4 * K4, 4 * K4);
	listen_end(&t);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, X), 1);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, (X + 4 * K4) | 0x1001), 1);
	assert_int_equal(heard(&t, pdev, 8 | rid << 16 | UINT64_C(5) << 32, X), 1);
	assert_int_equal(heard(&t, pdev, 8 | rid << 16 | UINT64_C(5) << 32, (X + 4 * K4) | 0x1800), 1);
	listen_begin(&t, &r);
	block(&r, 1, NB_NO_PASID);
	listen_end(&t);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, ALL_OF_DEVTLB), 1);

	p = parent(&r, 1, DRV_ALLOC_DIRTY);
	OK(&r, map(&r, p, G1, H, G1, RW));
	root = guest_page(&r);
	n = nested(&r, 1, p, root);
	OK(&r, attach(&r, 1, NB_NO_PASID, n));
	listen_begin(&t, &r);
	inval(&r, n, X, 2, 0);
	listen_end(&t);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, X | 1), 1);
	listen_begin(&t, &r);
	unmap(&r, p, G1, G1); /* which IOVAs led there only the guest knows */
	listen_end(&t);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, ALL_OF_DEVTLB), 1);
	listen_begin(&t, &r);
	OK(&r, p->ops->set_dirty_tracking(p, true, &r.diag));
	OK(&r, p->ops->set_dirty_tracking(p, true, &r.diag));
	listen_end(&t);
	assert_int_equal(heard(&t, dev, 3 | rid << 32, ALL_OF_DEVTLB), 1);
	/* No device, no tag: nothing is sent. */
	block(&r, 1, NB_NO_PASID);
	block(&r, 1, 5);
	listen_begin(&t, &r);
	OK(&r, p->ops->unmap(p, 0, RAM, &g));
	p->ops->iotlb_sync(p, &g);
	listen_end(&t);
	assert_int_equal(t.n, 0);
	n->ops->free(n);
	p->ops->free(p);
	fs->ops->free(fs);
	rig_down(&r);
}

/* ---- other kinds of units ---- */

static void caps_legacy(struct vtd_caps *c)
{
	vtd_caps_all(c);
	c->scalable = c->first_stage = c->second_stage = c->nested = c->fs_1g = c->ss_dirty = c->ext_access = false;
	c->supervisor = c->rid_pasid = c->rid_priv = false;
	c->pasid_bits = 0;
}

/* The life of a domain and its id, whatever the unit: replace, reuse, unmap. */
static void life(struct rig *r, uint32_t flags)
{
	struct drv_domain *a, *b, *id = identity(r, 0);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		a = paging(r, 0, flags);
		OK(r, map(r, a, X, H + i * G1, 64 * K4, RW));
		OK(r, attach(r, 0, NB_NO_PASID, a));
		OK(r, attach(r, 1, NB_NO_PASID, a));
		GO(r, 0, NB_NO_PASID, X + 3 * K4, H + i * G1 + 3 * K4);
		GO(r, 1, NB_NO_PASID, X + 60 * K4, H + i * G1 + 60 * K4);
		unmap(r, a, X + K4, 33 * K4);
		GO(r, 0, NB_NO_PASID, X + 3 * K4, FAULT);
		GO(r, 1, NB_NO_PASID, X + 60 * K4, H + i * G1 + 60 * K4);
		b = paging(r, 0, flags);
		OK(r, map(r, b, X, 3 * H + K4, M2, RW));
		OK(r, attach(r, 0, NB_NO_PASID, b));
		GO(r, 0, NB_NO_PASID, X, 3 * H + K4);
		unmap(r, b, X, M2);
		OK(r, map(r, b, X, 5 * H + K4, M2, RW));
		GO(r, 0, NB_NO_PASID, X + 9 * K4, 5 * H + 10 * K4);
		OK(r, attach(r, 0, NB_NO_PASID, id));
		GO(r, 0, NB_NO_PASID, X, X);
		OK(r, attach(r, 0, NB_NO_PASID, a));
		GO(r, 0, NB_NO_PASID, X, H + i * G1);
		block(r, 0, NB_NO_PASID);
		GO(r, 0, NB_NO_PASID, X, FAULT);
		block(r, 1, NB_NO_PASID);
		GO(r, 1, NB_NO_PASID, X + 60 * K4, FAULT);
		a->ops->free(a);
		b->ops->free(b);
	}
}

static void legacy_mode(void **state)
{
	struct drv_domain *d;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	caps_legacy(&c);
	rig_up2(&r, &c, &c, 0);
	life(&r, 0);
	assert_int_equal(r.dev[0].max_pasids, 0);
	assert_int_equal(attach(&r, 0, 1, identity(&r, 0)), -EOPNOTSUPP);
	assert_int_equal(drv_vtd_ops.domain_alloc_paging(&r.dev[0], DRV_ALLOC_NEST_PARENT, &d, NULL), -EOPNOTSUPP);
	assert_int_equal(drv_vtd_ops.domain_alloc_paging(&r.dev[0], DRV_ALLOC_DIRTY, &d, NULL), -EOPNOTSUPP);
	assert_false(drv_vtd_ops.capable(&r.dev[0], DRV_CAP_NESTING));
	rig_down(&r);
}

/* The unit takes no page-selective invalidation, or only small ones. */
static void coarse_invalidation(void **state)
{
	struct vtd_caps c;
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < 4; i++) {
		vtd_caps_all(&c);
		if (i & 1)
			c.mamv = 3;
		else
			c.no_page_selective = true;
		rig_up2(&r, &c, &c, 0);
		life(&r, i & 2 ? DRV_ALLOC_DIRTY : 0);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
		rig_down(&r);
	}
}

/* Every table, entry and descriptor must be flushed before the unit is told of it. */
static void walks_that_do_not_snoop(void **state)
{
	struct vtd_caps c;
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < 3; i++) {
		if (i == 2) {
			caps_legacy(&c);
		} else {
			vtd_caps_all(&c);
			c.ss_dirty = c.ext_access = false;
			c.first_stage = c.nested = c.fs_1g = i == 0;
		}
		c.coherent = false;
		rig_memory(&r, true);
		rig_unit_up(&r, 0, &c, 0);
		rig_unit_up(&r, 1, &c, 0);
		rig_devices(&r);
		if (i == 0) { /* a PASID: its table is made at the first attach */
			struct drv_domain *d = paging(&r, 2, 0);

			OK(&r, map(&r, d, X, H, K4, RW));
			OK(&r, attach(&r, 2, 700, d));
			GO(&r, 2, 700, X, H);
			GO(&r, 2, 701, X, FAULT | VTD_FR_PASID_NP);
			block(&r, 2, 700);
			GO(&r, 2, 700, X, FAULT);
			d->ops->free(d);
		}
		life(&r, 0);
		r.busy_addr = X;
		life(&r, 0);
		r.busy_addr = 0;
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
		/* Nothing but zeros beside what was written: no neighbour of a device, none of a PASID. */
		{
			struct hw_request req = {.addr = X, .pasid = NB_NO_PASID, .rid = 0x1ff, .access = HW_READ};
			struct hw_result res;

			hw_translate(r.unit[0].hw, &req, &res);
			assert_int_equal(res.fault.reason, i == 2 ? VTD_FR_CTX_NP : VTD_FR_SCTX_NP);
		}
		if (i < 2)
			GO(&r, 0, 9999, X, FAULT | VTD_FR_PDIR_NP);
		rig_down(&r);
	}
}

/* 6.1: the unit may remember that nothing was there. The model does not; so look at what it is told. */
static void caching_mode(void **state)
{
	struct vtd_caps c;
	struct drv_domain *d;
	struct told t;
	uint64_t rid;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.caching_mode = true;
	rig_memory(&r, false);
	rig_unit_up(&r, 0, &c, 0);
	rig_unit_up(&r, 1, &c, 0);
	listen_begin(&t, &r);
	rig_devices(&r);
	listen_end(&t);
	rid = r.dev[0].rid;
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x31 | rid << 32, 0), 1);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, 5, d));
	listen_begin(&t, &r);
	OK(&r, map(&r, d, X, H, 4 * K4, RW));
	listen_end(&t);
	assert_int_equal(heard(&t, UINT64_C(0xfffff0000003f), 0x36 | UINT64_C(5) << 32, X | 2 | BIT(6)), 1);
	block(&r, 0, 5);
	listen_begin(&t, &r);
	OK(&r, attach(&r, 0, 5, d));
	listen_end(&t);
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x17 | 2 << 16 | UINT64_C(5) << 32, 0), 1);
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x17 | UINT64_C(5) << 32, 0), 1);
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x26 | 2 << 16 | UINT64_C(5) << 32, 0), 1);
	block(&r, 0, 5);
	d->ops->free(d);
	life(&r, 0);
	life(&r, DRV_ALLOC_DIRTY);
	rig_down(&r);

	caps_legacy(&c);
	c.caching_mode = true;
	rig_up2(&r, &c, &c, 0);
	d = paging(&r, 0, 0);
	listen_begin(&t, &r);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	listen_end(&t);
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x31 | 2 << 16 | (uint64_t)r.dev[0].rid << 32, 0), 1);
	assert_int_equal(heard(&t, ~UINT64_C(0), 0x31 | (uint64_t)r.dev[0].rid << 32, 0), 1);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

static void write_buffer_flush(void **state)
{
	struct drv_domain *d, *dry;
	struct vtd_caps c, plain;
	unsigned int before;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	plain = c;
	c.write_buffer_flush = true;
	rig_up2(&r, &c, &plain, 0);
	d = paging(&r, 0, 0);
	before = r.unit[0].wbf;
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_int_equal(r.unit[0].wbf, before + 1);
	OK(&r, map(&r, d, X, H, K4, RW));
	assert_int_equal(r.unit[0].wbf, before + 2);
	OK(&r, attach(&r, 2, NB_NO_PASID, d)); /* a unit that does not need it may join */
	OK(&r, map(&r, d, X + K4, H, K4, RW));
	assert_int_equal(r.unit[0].wbf, before + 3);
	assert_int_equal(r.unit[1].wbf, 0);
	dry = paging(&r, 2, 0);
	assert_int_equal(attach(&r, 0, 1, dry), -EINVAL); /* not built for flushes on map */
	block(&r, 0, NB_NO_PASID);
	block(&r, 2, NB_NO_PASID);
	d->ops->free(d);
	dry->ops->free(dry);
	rig_down(&r);
}

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

/* ---- bring-up, faults, errors ---- */

/* An earlier kernel left the unit running, with an attached device: nothing of that may be reachable. */
static void running_unit_is_taken_over(void **state)
{
	struct drv_iommu_cfg cfg;
	struct drv_iommu *second = NULL;
	struct drv_domain *ss, *fs;
	unsigned int legacy;

	(void)state;
	for (legacy = 0; legacy < 2; legacy++) {
		struct drv_dev again;
		struct vtd_caps c;
		struct told t;
		struct rig r;

		if (legacy)
			caps_legacy(&c);
		else
			vtd_caps_all(&c);
		rig_up2(&r, &c, &c, 0);
		ss = paging(&r, 0, legacy ? 0 : DRV_ALLOC_DIRTY);
		fs = paging(&r, 0, 0);
		OK(&r, map(&r, ss, X, H, K4, RW));
		OK(&r, map(&r, fs, X, 2 * H, K4, RW));
		OK(&r, attach(&r, 0, NB_NO_PASID, ss));
		if (!legacy)
			OK(&r, attach(&r, 0, 5, fs));
		GO(&r, 0, NB_NO_PASID, X, H);
		cfg = r.unit[0].drv->cfg;
		listen_begin(&t, &r);
		OK(&r, drv_vtd_ops.probe(&cfg, &second, &r.diag));
		listen_end(&t);
		assert_int_equal(heard(&t, 0x3f, 0x11, 0), 1);
		assert_int_equal(heard(&t, 0x3f, 0x37, 0), legacy ? 0 : 1);
		assert_int_equal(heard(&t, 0x3f, 0x12, 0), 1);
		GO(&r, 0, NB_NO_PASID, X, FAULT);
		if (!legacy)
			GO(&r, 0, 5, X, FAULT);
		/* The same ids come again, for other domains: PASID entries and translations of before are gone. */
		again = (struct drv_dev){.iommu = second, .rid = r.dev[0].rid, .max_pasids = 64};
		OK(&r, drv_vtd_ops.probe_device(&again, &r.diag));
		GO(&r, 0, NB_NO_PASID, X, FAULT);
		if (!legacy)
			GO(&r, 0, 5, X, FAULT);
		{
			struct drv_domain *d = NULL;

			OK(&r, drv_vtd_ops.domain_alloc_paging(&again, legacy ? 0 : DRV_ALLOC_DIRTY, &d, &r.diag));
			OK(&r, map(&r, d, X, 3 * H, K4, RW));
			OK(&r, drv_vtd_ops.attach(&again, NB_NO_PASID, d, &r.diag));
			GO(&r, 0, NB_NO_PASID, X, 3 * H);
			drv_vtd_ops.release_device(&again);
			d->ops->free(d);
		}
		drv_vtd_ops.remove(second);
		/* The first driver finds its queue dead, waits once, and still cleans up. */
		block(&r, 0, NB_NO_PASID);
		block(&r, 0, 5);
		ss->ops->free(ss);
		fs->ops->free(fs);
		rig_down(&r);
	}
}

static void faults_are_read_and_cleared(void **state)
{
	struct vtd_caps c;
	unsigned int i;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.fault_records = 4;
	rig_up2(&r, &c, &c, 0);
	for (i = 0; i < 20; i++) { /* more than there are records: each interrupt frees some */
		GO(&r, 0, i % 2 ? NB_NO_PASID : 5, X + i * K4, FAULT);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), i + 1);
	}
	/* The interrupt is lost for a while; records fill up and overflow. */
	{
		struct drv_iommu *drv = r.unit[0].drv;

		r.unit[0].drv = NULL;
		for (i = 0; i < 9; i++)
			GO(&r, 0, NB_NO_PASID, X + i * K4, FAULT);
		r.unit[0].drv = drv;
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), 20);
		drv_vtd_ops.irq(drv, 0x99); /* somebody else's message */
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), 20);
		drv_vtd_ops.irq(drv, 0x40);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), 24);
	}
	assert_int_equal(rig_mmio_read(&r.unit[0], 0x34, 4), 0); /* FSTS: no overflow, nothing pending */
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), 25);
	rig_down(&r);
}

static void queue_errors(void **state)
{
	struct drv_domain *d;
	unsigned int i;
	uint64_t faults;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 1, 0);
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	/* The device does not answer: the driver goes on, and what follows works. */
	for (i = 0; i < 3; i++) {
		OK(&r, map(&r, d, X, H, K4, RW));
		GO(&r, 1, NB_NO_PASID, X, H);
		assert_int_equal(vtd_inject_devtlb_timeout(r.unit[0].hw, r.dev[1].rid), 0);
		unmap(&r, d, X, K4);
		GO(&r, 1, NB_NO_PASID, X, FAULT);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), i + 1);
	}
	/* A fault that is logged while the error is pending makes no interrupt; it is found all the same. */
	OK(&r, map(&r, d, X, H, K4, RW));
	assert_int_equal(vtd_inject_devtlb_timeout(r.unit[0].hw, r.dev[1].rid), 0);
	r.busy_addr = X; /* device 0 is blocked */
	r.busy_pasid = 5;
	faults = nb_trace_count(r.tr, NB_EV_drv_fault);
	unmap(&r, d, X, K4);
	r.busy_addr = 0;
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), faults + 2);
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), faults + 3);
	assert_int_equal(vtd_inject_devtlb_stray(r.unit[0].hw, r.dev[1].rid), 0);
	OK(&r, map(&r, d, X, H, K4, RW));
	GO(&r, 1, NB_NO_PASID, X, H);
	unmap(&r, d, X, K4);
	GO(&r, 1, NB_NO_PASID, X, FAULT);
	/* A descriptor that the unit refuses is replaced; the ones behind it are executed. */
	OK(&r, map(&r, d, X, H, K4, RW));
	GO(&r, 1, NB_NO_PASID, X, H);
	r.unit[0].corrupt = true;
	unmap(&r, d, X, K4);
	assert_false(r.unit[0].corrupt);
	for (i = 0; i < 300; i++) { /* once round the ring */
		OK(&r, map(&r, d, X + K4, H, K4, RW));
		GO(&r, 1, NB_NO_PASID, X + K4, H);
		unmap(&r, d, X + K4, K4);
		GO(&r, 1, NB_NO_PASID, X + K4, FAULT);
	}
	block(&r, 1, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* The unit stops answering. Calls return; the first of them after a second, the others at once. */
static void dead_unit(void **state)
{
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, map(&r, d, X, H, M2, RW));
	r.unit[0].deaf = true;
	unmap(&r, d, X, K4);
	assert_true(nb_trace_count(r.tr, NB_EV_drv_queue_error) > 0);
	unmap(&r, d, X + K4, M2 - K4);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	r.unit[0].deaf = false;
	rig_down(&r);
}

/* Bring-up, a device, and each kind of domain, with every allocation failing once. */
static void no_memory(void **state)
{
	struct vtd_caps c;
	unsigned int n;

	(void)state;
	vtd_caps_all(&c);
	for (n = 1;; n++) {
		struct drv_iommu_cfg cfg;
		struct drv_iommu *drv = NULL;
		struct drv_domain *d[3] = {NULL, NULL, NULL};
		struct drv_dev dev = {.rid = 0x99, .max_pasids = 1u << 20};
		struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
		struct drv_user_data data = {1, 24, (uint64_t)(uintptr_t)&s1};
		bool fired;
		struct rig r;
		int err;

		rig_memory(&r, false);
		rig_unit_up(&r, 0, &c, 0); /* to have a model; its own driver goes */
		cfg = r.unit[0].drv->cfg;
		drv_vtd_ops.remove(r.unit[0].drv);
		r.unit[0].drv = NULL;
		nb_fail_nth_arm(n);
		err = drv_vtd_ops.probe(&cfg, &drv, &r.diag);
		if (!err) {
			dev.iommu = drv;
			err = drv_vtd_ops.probe_device(&dev, &r.diag);
		}
		if (!err)
			err = drv_vtd_ops.domain_alloc_paging(&dev, 0, &d[0], &r.diag);
		if (!err)
			err = drv_vtd_ops.domain_alloc_paging(&dev, DRV_ALLOC_NEST_PARENT, &d[1], &r.diag);
		if (!err)
			err = drv_vtd_ops.domain_alloc_nested(&dev, d[1], 0, &data, &d[2], &r.diag);
		fired = nb_fail_nth_fired();
		assert_int_equal(err, fired ? -ENOMEM : 0);
		if (d[2])
			d[2]->ops->free(d[2]);
		if (d[1])
			d[1]->ops->free(d[1]);
		if (d[0])
			d[0]->ops->free(d[0]);
		if (dev.priv)
			drv_vtd_ops.release_device(&dev);
		if (drv)
			drv_vtd_ops.remove(drv);
		r.unit[0].hw->ops->destroy(r.unit[0].hw);
		mem_pool_free(r.pool); /* asserts that nothing leaked */
		mem_fini(&r.mem);
		nb_trace_free(r.tr);
		free(r.ram);
		if (!fired)
			break;
	}
	assert_true(n > 10);
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
		cmocka_unit_test(device_tlb_is_told),
		cmocka_unit_test(legacy_mode),
		cmocka_unit_test(coarse_invalidation),
		cmocka_unit_test(walks_that_do_not_snoop),
		cmocka_unit_test(caching_mode),
		cmocka_unit_test(write_buffer_flush),
		cmocka_unit_test(domains_of_another_unit),
		cmocka_unit_test(nested_rules),
		cmocka_unit_test(erratum),
		cmocka_unit_test(enforced_snooping),
		cmocka_unit_test(shapes),
		cmocka_unit_test(running_unit_is_taken_over),
		cmocka_unit_test(faults_are_read_and_cleared),
		cmocka_unit_test(queue_errors),
		cmocka_unit_test(dead_unit),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
