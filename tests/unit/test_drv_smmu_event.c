/* SPDX-License-Identifier: BSD-3-Clause */
/* SMMUv3 driver: stalls and their answers, queues that run over, page requests, commands that fail, devices that do not answer. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_smmu_rig.h"

#define PA UINT64_C(0x100000000)

/* What becomes of a request that may stall. */
static bool stalls(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = r->dev[dev].rid, .access = access};
	struct hw_result res;

	hw_translate(r->unit[dev == 2].hw, &req, &res);
	return res.kind == HW_FAULT && res.fault.stalled;
}

static void answer(struct rig *r, unsigned int dev, uint32_t grpid, enum drv_page_code code)
{
	struct drv_page_response resp = {.pasid = NB_NO_PASID, .grpid = grpid, .code = code};

	drv_smmuv3_ops.page_response(&r->dev[dev], &resp);
}

static void stall(void **state)
{
	struct drv_domain *s1, *s2;
	struct smmu_caps c;
	struct rig r;
	struct rig_fn *fn = &r.fn[0];
	unsigned int i;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_STALL);
	s1 = paging(&r, 0, DRV_ALLOC_PASID);
	s2 = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
	for (i = 0; i < 2; i++) {
		OK(&r, attach(&r, 0, NB_NO_PASID, i ? s2 : s1));
		fn->nreports = fn->ndone = 0;
		fn->answer = RIG_TAKE;
		assert_true(stalls(&r, 0, NB_NO_PASID, 0x5678, HW_WRITE));
		assert_int_equal(fn->nreports, 1);
		assert_int_equal(fn->report[0].addr, 0x5678);
		assert_int_equal(fn->report[0].pasid, NB_NO_PASID);
		assert_int_equal(fn->report[0].perm & RW, DRV_PERM_WRITE);
		assert_true(fn->report[0].last);
		assert_int_equal(fn->ndone, 0);
		OK(&r, map(&r, i ? s2 : s1, 0x5000, PA, K4, RW));
		answer(&r, 0, fn->report[0].grpid, DRV_PAGE_SUCCESS);
		assert_int_equal(fn->ndone, 1);
		assert_int_equal(fn->done, HW_STALL_RETRY);
		assert_int_equal(rig_go(&r, 0, NB_NO_PASID, 0x5678, HW_WRITE), PA + 0x678);
		assert_true(stalls(&r, 0, NB_NO_PASID, 0x9000, HW_READ));
		assert_int_equal(fn->report[1].perm & RW, DRV_PERM_READ);
		answer(&r, 0, fn->report[1].grpid, DRV_PAGE_FAILURE);
		assert_int_equal(fn->done, HW_STALL_ABORT);
		assert_true(stalls(&r, 0, NB_NO_PASID, 0x9000, HW_READ));
		answer(&r, 0, fn->report[2].grpid, DRV_PAGE_INVALID);
		assert_int_equal(fn->ndone, 3);
		assert_int_equal(fn->done, HW_STALL_ABORT);
		/* Nobody wants it: the driver answers. Or the core does at once. */
		fn->answer = RIG_REFUSE;
		assert_true(stalls(&r, 0, NB_NO_PASID, 0x9000, HW_READ));
		assert_int_equal(fn->ndone, 4);
		assert_int_equal(fn->done, HW_STALL_ABORT);
		fn->answer = RIG_ANSWER;
		assert_true(stalls(&r, 0, NB_NO_PASID, 0x9000, HW_READ));
		assert_int_equal(fn->ndone, 5);
		assert_int_equal(fn->done, HW_STALL_RETRY);
		block(&r, 0, NB_NO_PASID);
	}
	OK(&r, attach(&r, 0, 7, s1));
	fn->nreports = 0;
	assert_true(stalls(&r, 0, 7, 0x9000, HW_READ));
	assert_int_equal(fn->report[0].pasid, 7);
	block(&r, 0, 7);
	/* A function of which nobody says that it may stall does not. */
	drv_smmuv3_ops.release_device(&r.dev[1]);
	r.dev[1].stall = false;
	OK(&r, drv_smmuv3_ops.probe_device(&r.dev[1], &r.diag));
	OK(&r, attach(&r, 1, NB_NO_PASID, s1));
	assert_false(stalls(&r, 1, NB_NO_PASID, 0x9000, HW_READ));
	block(&r, 1, NB_NO_PASID);
	s1->ops->free(s1);
	s2->ops->free(s2);
	rig_down(&r);
}

/* 5.2.2: a stage 2 that stalls has no ATS, or the STE is illegal. */
static void stall_or_ats(void **state)
{
	struct drv_domain *s1, *s2;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_STALL | RIG_ATS);
	s1 = paging(&r, 0, 0);
	s2 = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
	OK(&r, map(&r, s1, 0x1000, PA, K4, RW));
	OK(&r, map(&r, s2, 0x1000, PA, K4, RW));
	OK(&r, attach(&r, 0, NB_NO_PASID, s1));
	assert_true(r.fn[0].on[DRV_FEATURE_ATS]);
	GO(&r, 0, NB_NO_PASID, 0x1000, PA);
	OK(&r, attach(&r, 0, NB_NO_PASID, s2));
	assert_false(r.fn[0].on[DRV_FEATURE_ATS]);
	GO(&r, 0, NB_NO_PASID, 0x1000, PA);
	block(&r, 0, NB_NO_PASID);
	s1->ops->free(s1);
	s2->ops->free(s2);
	rig_down(&r);
}

/* Whoever ends an attachment has been told of all its stalls before. */
static void drained(void **state)
{
	struct drv_domain *d, *e;
	struct smmu_caps c;
	struct rig r;
	struct rig_fn *fn = &r.fn[0];

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_STALL);
	d = paging(&r, 0, 0);
	e = paging(&r, 0, 0);
	r.hold_msi = true;
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ));
	assert_int_equal(fn->nreports, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, e));
	assert_int_equal(fn->nreports, 1);
	answer(&r, 0, fn->report[0].grpid, DRV_PAGE_INVALID);
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ));
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x2000, HW_READ));
	block(&r, 0, NB_NO_PASID);
	assert_int_equal(fn->nreports, 3);
	answer(&r, 0, fn->report[1].grpid, DRV_PAGE_INVALID);
	answer(&r, 0, fn->report[2].grpid, DRV_PAGE_INVALID);
	assert_int_equal(fn->ndone, 3);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ));
	fn->answer = RIG_ANSWER;
	drv_smmuv3_ops.release_device(&r.dev[0]);
	assert_int_equal(fn->ndone, 4);
	fn->gone = true;
	r.hold_msi = false;
	fn->gone = false;
	OK(&r, drv_smmuv3_ops.probe_device(&r.dev[0], &r.diag));
	d->ops->free(d);
	e->ops->free(e);
	rig_down(&r);
}

static bool overflown(struct rig *r)
{
	const struct hw_ops *ops = r->unit[0].hw->ops;
	uint64_t prod = ops->mmio_read(r->unit[0].hw, SMMU_REG_EVENTQ_PROD, 4), cons = ops->mmio_read(r->unit[0].hw, SMMU_REG_EVENTQ_CONS, 4);

	return (prod & SMMU_Q_PROD_OVFLG) != (cons & SMMU_Q_CONS_OVACKFLG);
}

/* A queue of four records, and many more faults than that, stalled and not: the reader goes on, and no stall is forgotten. */
static void overflow(void **state)
{
	struct drv_domain *d;
	struct smmu_caps c;
	struct rig r;
	struct rig_fn *fn = &r.fn[0];
	const struct hw_request stranger = {.addr = 0x1000, .pasid = NB_NO_PASID, .rid = 0x900, .access = HW_READ};
	struct hw_result res;
	unsigned int i, n = 0;

	(void)state;
	rig_caps(&c);
	c.evtq_lg2 = 2;
	rig_up2(&r, &c, &c, RIG_STALL);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	r.hold_msi = true;
	for (i = 0; i < 20; i++) {
		hw_translate(r.unit[0].hw, &stranger, &res); /* no stream: an event that can be lost */
		n += stalls(&r, 0, NB_NO_PASID, 0x1000 * i, HW_READ);
	}
	assert_int_equal(n, 20);
	assert_true(overflown(&r));
	r.hold_msi = false;
	fn->answer = RIG_FAIL;
	/* The interrupt of the first is lost with us; a later fault, when there is room again, makes another. */
	drv_smmuv3_ops.irq(r.unit[0].drv, 0x40 + DRV_MSI_PAGE_REQUEST);
	for (i = 0; fn->ndone < n && i < 100; i++)
		(void)stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ);
	assert_true(fn->ndone >= 5);
	fn->nreports = 0;
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x77000, HW_READ));
	assert_int_equal(fn->nreports, 1);
	assert_int_equal(fn->report[0].addr, 0x77000);
	assert_false(overflown(&r)); /* 7.4: that records were lost is acknowledged, or the next loss would not show */
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* While one event is reported, more come, on the same thread: all are told, one inside the other never. */
static struct rig *deep_rig;
static unsigned int deep, deepest, more;

static int deep_report(struct drv_dev *dev, const struct drv_page_request *pr)
{
	struct drv_page_response resp = {.pasid = pr->pasid, .grpid = pr->grpid, .code = DRV_PAGE_INVALID};

	if (++deep > deepest)
		deepest = deep;
	deep_rig->fn[0].nreports++;
	if (more) {
		more--;
		assert_true(stalls(deep_rig, 0, NB_NO_PASID, 0x1000 * more, HW_READ));
	}
	drv_smmuv3_ops.page_response(dev, &resp);
	deep--;
	return 0;
}

static void reentered(void **state)
{
	struct drv_domain *d;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_STALL);
	deep_rig = &r;
	r.dev[0].report_fault = deep_report;
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	deepest = 0;
	more = 40;
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ));
	assert_int_equal(r.fn[0].nreports, 41);
	assert_int_equal(r.fn[0].ndone, 41);
	assert_int_equal(deepest, 1);
	/* More than one interrupt is ready to serve, and the queue is never empty: whoever is next goes on. */
	r.fn[0].nreports = 0;
	more = 300;
	assert_true(stalls(&r, 0, NB_NO_PASID, 0x1000, HW_READ));
	assert_true(r.fn[0].nreports < 301);
	for (unsigned int i = 0; i < 10 && r.fn[0].nreports < 301; i++)
		unmap(&r, d, 0, K4);
	assert_int_equal(r.fn[0].nreports, 301);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* Page requests over PRI are refused, group by group. */
static void page_requests(void **state)
{
	struct hw_page_request pr = {.addr = 0x1000, .pasid = NB_NO_PASID, .prgi = 5, .access = HW_READ};
	struct drv_domain *d;
	struct smmu_caps c;
	struct rig r;
	unsigned int i;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_ATS);
	d = paging(&r, 0, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	pr.rid = r.dev[0].rid;
	for (i = 0; i < 3; i++) {
		pr.last = false;
		r.unit[0].hw->ops->page_request(r.unit[0].hw, &pr);
		assert_int_equal(r.fn[0].nresponses, i);
		pr.last = true;
		r.unit[0].hw->ops->page_request(r.unit[0].hw, &pr);
		assert_int_equal(r.fn[0].nresponses, i + 1);
		assert_int_equal(r.fn[0].last_response, HW_PAGE_FAILURE);
	}
	pr.access = 0; /* a stop marker */
	r.unit[0].hw->ops->page_request(r.unit[0].hw, &pr);
	assert_int_equal(r.fn[0].nresponses, 3);
	assert_int_equal(r.fn[0].nreports, 0);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* A command of the host's that the unit refuses: nobody knows what it was to do, so everything is forgotten. */
static void bad_command(void **state)
{
	struct drv_domain *d;
	struct smmu_caps c;
	struct rig r;
	struct rig_unit *u = &r.unit[0];
	unsigned int hyp, which, at;

	(void)state;
	for (hyp = 0; hyp < 2; hyp++) {
		rig_caps(&c);
		c.hyp = hyp;
		rig_up2(&r, &c, &c, 0);
		d = paging(&r, 0, 0);
		OK(&r, attach(&r, 0, NB_NO_PASID, d));
		for (which = 1; which <= 2; which++) { /* the invalidation, the sync */
			OK(&r, map(&r, d, 0x1000, PA, K4, RW));
			GO(&r, 0, NB_NO_PASID, 0x1000, PA);
			at = u->ncmds;
			u->corrupt = which;
			unmap(&r, d, 0x1000, K4);
			assert_int_equal(u->corrupt, 0);
			GO(&r, 0, NB_NO_PASID, 0x1000, FAULT | SMMU_EVT_TRANSLATION);
			assert_int_equal(sent(u, at, SMMU_CMD_CFGI_STE_RANGE, NULL, NULL), 1);
			assert_int_equal(sent(u, at, SMMU_CMD_TLBI_NSNH_ALL, NULL, NULL), 1);
			assert_int_equal(sent(u, at, SMMU_CMD_TLBI_EL2_ALL, NULL, NULL), hyp);
			assert_false(u->drv->dead);
		}
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
		rig_down(&r);
	}
}

/* A device that does not answer ATC invalidations loses ATS; nobody waits for it again, and others go on. */
static void silent_device(void **state)
{
	uint64_t mem[512] __attribute__((aligned(4096)));
	struct hw_request req = {.pasid = NB_NO_PASID, .access = HW_READ, .flags = HW_TRANSLATED};
	struct hw_result res;
	struct drv_domain *d;
	struct smmu_caps c;
	struct rig r;
	unsigned int told;
	uint64_t v = 0;
	size_t n;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_ATS);
	mem[0] = 99;
	d = paging(&r, 0, 0);
	OK(&r, map(&r, d, 0x1000, (uint64_t)(uintptr_t)mem, K4, RW));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, 0x1000, &v, 8, false, 0, &n), 0);
	assert_int_equal(v, 99);
	req.rid = r.dev[0].rid;
	req.addr = (uint64_t)(uintptr_t)mem;
	hw_translate(r.unit[0].hw, &req, &res);
	assert_int_equal(res.kind, HW_OK);
	/* Once is an accident. */
	assert_int_equal(smmu_inject_atc_timeout(r.unit[0].hw, r.dev[0].rid), 0);
	unmap(&r, d, 0x1000, K4);
	OK(&r, map(&r, d, 0x1000, (uint64_t)(uintptr_t)mem, K4, RW));
	assert_int_equal(hw_atc_dma(r.fn[0].atc, NB_NO_PASID, 0x1000, &v, 8, false, 0, &n), 0);
	/* For good. */
	r.fn[0].silent = true;
	unmap(&r, d, 0x1000, K4);
	hw_translate(r.unit[0].hw, &req, &res);
	assert_int_equal(res.kind, HW_FAULT); /* what it remembers is of no use */
	assert_false(r.unit[0].drv->dead);
	OK(&r, map(&r, d, 0x1000, (uint64_t)(uintptr_t)mem, K4, RW));
	GO(&r, 0, NB_NO_PASID, 0x1000, (uint64_t)(uintptr_t)mem);
	assert_int_equal(hw_atc_dma(r.fn[1].atc, NB_NO_PASID, 0x1000, &v, 8, false, 0, &n), 0);
	told = r.fn[0].invalidated;
	unmap(&r, d, 0x1000, K4);
	assert_int_equal(r.fn[0].invalidated, told);
	assert_int_not_equal(hw_atc_dma(r.fn[1].atc, NB_NO_PASID, 0x1000, &v, 8, false, 0, &n), 0);
	/* Also when it is attached anew; not after it was released. */
	block(&r, 0, NB_NO_PASID);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_false(r.fn[0].on[DRV_FEATURE_ATS]);
	hw_translate(r.unit[0].hw, &req, &res);
	assert_int_equal(res.kind, HW_FAULT);
	drv_smmuv3_ops.release_device(&r.dev[0]);
	r.fn[0].silent = false;
	OK(&r, drv_smmuv3_ops.probe_device(&r.dev[0], &r.diag));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_true(r.fn[0].on[DRV_FEATURE_ATS]);
	block(&r, 0, NB_NO_PASID);
	block(&r, 1, NB_NO_PASID);
	d->ops->free(d);
	rig_down(&r);
}

/* ---- threads ---- */

struct worker {
	struct rig *r;
	unsigned int dev;
	_Atomic bool stop;
	unsigned int bad;
};

/* Gets to the page, or faults, or stalls. */
static void *wander(void *opaque)
{
	struct worker *w = opaque;
	unsigned int i;

	for (i = 0; !atomic_load(&w->stop); i++) {
		uint64_t got = go(w->r, w->dev, NB_NO_PASID, 0x1000 * (i % 16));

		if (!(got & FAULT) && got != PA + 0x1000 * (i % 16))
			w->bad++;
	}
	return NULL;
}

static void threads(void **state)
{
	struct worker w[2];
	struct smmu_caps c;
	struct drv_domain *d, *e;
	struct rig r;
	pthread_t t[2];
	unsigned int i;

	(void)state;
	rig_caps(&c);
	rig_up2(&r, &c, &c, RIG_STALL);
	d = paging(&r, 0, 0);
	e = paging(&r, 0, DRV_ALLOC_NEST_PARENT);
	OK(&r, map(&r, d, 0, PA, 16 * K4, RW));
	OK(&r, map(&r, e, 0, PA, 16 * K4, RW));
	for (i = 0; i < 2; i++) {
		r.fn[i].answer = RIG_FAIL;
		w[i] = (struct worker){.r = &r, .dev = i};
		assert_int_equal(pthread_create(&t[i], NULL, wander, &w[i]), 0);
	}
	for (i = 0; i < 150; i++) {
		unsigned int dev = i & 1;

		OK(&r, attach(&r, dev, NB_NO_PASID, i & 2 ? d : e));
		unmap(&r, d, 0x1000 * (i % 16), K4);
		OK(&r, map(&r, d, 0x1000 * (i % 16), PA + 0x1000 * (i % 16), K4, RW));
		if (i % 5 == 0)
			block(&r, dev, NB_NO_PASID);
	}
	for (i = 0; i < 2; i++) {
		atomic_store(&w[i].stop, true);
		pthread_join(t[i], NULL);
		assert_int_equal(w[i].bad, 0);
		block(&r, i, NB_NO_PASID);
	}
	d->ops->free(d);
	e->ops->free(e);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stall), cmocka_unit_test(stall_or_ats), cmocka_unit_test(drained), cmocka_unit_test(overflow), cmocka_unit_test(reentered),
		cmocka_unit_test(page_requests), cmocka_unit_test(bad_command), cmocka_unit_test(silent_device),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
