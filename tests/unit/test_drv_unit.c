/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: units of other kinds (legacy mode, walks that do not snoop, caching mode,
 * write-buffer flush, coarse invalidation), bring-up, faults, queue errors.
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
	c->page_requests = false;
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

/* Without a second stage the width in a PASID entry is reserved: what is written there must be 0. */
static void first_stage_only(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.second_stage = c.nested = c.ss_dirty = false;
	rig_up2(&r, &c, &c, 0);
	life(&r, 0);
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

/* Fetches of entries and walks of tables snoop, or do not, each by itself (ECAP.C, ECAP.SMPWC). */
static void each_kind_of_snooping(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct drv_irq_target to = {.dest = 5, .vector = 0x40};
		struct drv_domain *d, *e;
		struct drv_msi msg;
		struct vtd_caps c;
		struct rig r;
		uint32_t h;

		if (i == 3)
			caps_legacy(&c);
		else
			vtd_caps_all(&c);
		c.ss_dirty = c.ext_access = c.coherent = false;
		c.c_only = i == 0;
		c.smpwc_only = i == 1;
		rig_memory(&r, false);
		r.lag = mem_lag_new(&r.mem, r.pool);
		assert_non_null(r.lag);
		rig_unit_up(&r, 0, &c, 0);
		rig_unit_up(&r, 1, &c, 0);
		rig_devices(&r);
		life(&r, 0);
		r.busy_addr = X;
		life(&r, 0);
		r.busy_addr = 0;
		if (i < 3) {
			d = paging(&r, 2, 0);
			e = parent(&r, 2, 0);
			OK(&r, map(&r, d, X, H, K4, RW));
			OK(&r, attach(&r, 2, 700, d));
			OK(&r, attach(&r, 2, 701, e));
			GO(&r, 2, 700, X, H);
			GO(&r, 2, 701, 0, (uint64_t)(uintptr_t)r.ram);
			unmap(&r, d, X, K4);
			GO(&r, 2, 700, X, FAULT);
			block(&r, 2, 700);
			block(&r, 2, 701);
			GO(&r, 2, 701, 0, FAULT);
			d->ops->free(d);
			e->ops->free(e);
		}
		OK(&r, drv_vtd_ops.irq_map(&r.dev[0], 1, &to, &h, &msg, &r.diag));
		OK(&r, hw_interrupt(r.unit[0].hw, r.dev[0].rid, msg.addr, msg.data));
		drv_vtd_ops.irq_unmap(&r.dev[0], h, 1);
		assert_int_equal(hw_interrupt(r.unit[0].hw, r.dev[0].rid, msg.addr, msg.data), -EFAULT);
		assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
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
		/*
		 * The same ids come again, for other domains: PASID entries and translations of before
		 * are gone.
		 */
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

/* Whoever reads the records of a device that never ceases to fault comes back all the same, and the rest is found later. */
static void fault_storm(void **state)
{
	struct drv_domain *d;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_up2(&r, &c, &c, 0);
	r.storm = 20000;
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	assert_in_range(r.storm, 1, 19999);
	r.storm = 0;
	d = paging(&r, 0, 0);
	OK(&r, drv_vtd_ops.attach(&r.dev[0], NB_NO_PASID, d, &r.diag));
	drv_vtd_ops.block(&r.dev[0], NB_NO_PASID); /* has the queue do something */
	assert_int_equal(rig_mmio_read(&r.unit[0], 0x34, 4), 0);
	d->ops->free(d);
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
	/* Two requests for each of two submissions: all of it is sent again. */
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), faults + 4);
	GO(&r, 0, NB_NO_PASID, X, FAULT);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_fault), faults + 5);
	assert_int_equal(vtd_inject_devtlb_stray(r.unit[0].hw, r.dev[1].rid), 0);
	OK(&r, map(&r, d, X, H, K4, RW));
	GO(&r, 1, NB_NO_PASID, X, H);
	unmap(&r, d, X, K4);
	GO(&r, 1, NB_NO_PASID, X, FAULT);
	/* A descriptor that the unit refuses is replaced; the ones behind it are executed. */
	OK(&r, map(&r, d, X, H, K4, RW));
	GO(&r, 1, NB_NO_PASID, X, H);
	for (i = 1; i <= 2; i++) { /* the first, and the wait itself */
		r.unit[0].corrupt = i;
		unmap(&r, d, X, K4);
		assert_int_equal(r.unit[0].corrupt, 0);
		assert_false(r.unit[0].drv->dead);
		GO(&r, 1, NB_NO_PASID, X, FAULT);
		OK(&r, map(&r, d, X, H, K4, RW));
		GO(&r, 1, NB_NO_PASID, X, H);
	}
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
	uint64_t used;
	struct rig r;

	(void)state;
	rig_up(&r);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, map(&r, d, M2, H + K4, M2, RW)); /* a table of small pages, which goes with them */
	OK(&r, map(&r, d, X, H, K4, RW));
	OK(&r, map(&r, d, X + M2, H, K4, RW));
	GO(&r, 0, NB_NO_PASID, X, H);
	r.unit[0].deaf = true;
	used = mem_pool_used(r.pool);
	unmap(&r, d, X, K4);
	unmap(&r, d, M2, M2);
	assert_true(nb_trace_count(r.tr, NB_EV_drv_queue_error) > 0);
	/* The core can see it; no table page goes to anyone else; and nothing passes any more, cached or not. */
	assert_true(r.unit[0].drv->dead);
	assert_false(r.unit[1].drv->dead);
	assert_int_equal(mem_pool_used(r.pool), used);
	GO(&r, 0, NB_NO_PASID, X, FAULT | VTD_FR_ABORT_MODE);
	GO(&r, 1, NB_NO_PASID, X, FAULT | VTD_FR_ABORT_MODE);
	assert_int_equal(attach(&r, 1, NB_NO_PASID, d), -EIO);
	OK(&r, attach(&r, 2, NB_NO_PASID, d));
	GO(&r, 2, NB_NO_PASID, X + M2, H);
	used = mem_pool_used(r.pool);
	unmap(&r, d, X + M2, K4);
	assert_int_equal(mem_pool_used(r.pool), used);
	block(&r, 2, NB_NO_PASID);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_tlb_is_told),
		cmocka_unit_test(legacy_mode),
		cmocka_unit_test(first_stage_only),
		cmocka_unit_test(coarse_invalidation),
		cmocka_unit_test(walks_that_do_not_snoop),
		cmocka_unit_test(each_kind_of_snooping),
		cmocka_unit_test(caching_mode),
		cmocka_unit_test(write_buffer_flush),
		cmocka_unit_test(running_unit_is_taken_over),
		cmocka_unit_test(faults_are_read_and_cleared),
		cmocka_unit_test(fault_storm),
		cmocka_unit_test(queue_errors),
		cmocka_unit_test(dead_unit),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
