/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drv/vtd on the real model: page requests from the function to the core and back; who may have them; overflow; what block()
 * promises; threads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "drv_rig.h"

#define X UINT64_C(0x12345000)

static struct drv_domain *iopf_domain(struct rig *r, unsigned int dev)
{
	struct drv_domain *d = paging(r, dev, 0);

	d->iopf = true;
	return d;
}

#define RESPONSE(r, dev, n, want_pasid, want_prgi, want_code)                                                \
	do {                                                                                                  \
		assert_int_equal((r)->fn[dev].nresponses, n);                                                 \
		assert_int_equal((r)->fn[dev].response[((n) - 1) % 64].pasid, want_pasid);                    \
		assert_int_equal((r)->fn[dev].response[((n) - 1) % 64].prgi, want_prgi);                      \
		assert_int_equal((r)->fn[dev].response[((n) - 1) % 64].code, want_code);                      \
	} while (0)

/* PRI goes on with the first attachment that wants page requests and off with the last. */
static void enabled_by_attachments(void **state)
{
	struct drv_domain *d, *e, *plain;
	struct rig r;
	bool *on = r.fn[0].on;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 0);
	e = iopf_domain(&r, 0);
	plain = paging(&r, 0, 0);
	assert_false(on[DRV_FEATURE_PRI]);
	OK(&r, attach(&r, 0, NB_NO_PASID, plain));
	assert_false(on[DRV_FEATURE_PRI]);
	assert_int_equal(r.drains, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	assert_true(on[DRV_FEATURE_PRI]);
	assert_int_equal(r.fn[0].arg[DRV_FEATURE_PRI], 512);
	OK(&r, attach(&r, 0, 7, e));
	OK(&r, attach(&r, 0, NB_NO_PASID, e)); /* replace: never off in between */
	assert_int_equal(r.fn[0].switched, 3);
	block(&r, 0, 7);
	assert_true(on[DRV_FEATURE_PRI]);
	OK(&r, attach(&r, 0, NB_NO_PASID, plain));
	assert_false(on[DRV_FEATURE_PRI]);
	assert_true(r.drains >= 3);
	block(&r, 0, NB_NO_PASID);
	d->ops->free(d);
	e->ops->free(e);
	plain->ops->free(plain);
	rig_down(&r);
}

/* -ENODEV, and what was attached before stays. */
static void refused(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		struct drv_domain *d, *old;
		struct vtd_caps c;
		struct rig r;

		vtd_caps_all(&c);
		c.page_requests = i != 0;
		rig_up_fn(&r, &c);
		drv_vtd_ops.release_device(&r.dev[0]);
		r.dev[0].pri = i != 1;
		r.dev[0].ats = i != 2;
		r.dev[0].report_fault = i != 3 ? rig_report : NULL;
		r.fn[0].refuse[DRV_FEATURE_ATS] = i == 4;
		r.fn[0].refuse[DRV_FEATURE_PRI] = i == 5;
		OK(&r, drv_vtd_ops.probe_device(&r.dev[0], &r.diag));
		old = paging(&r, 0, 0);
		d = iopf_domain(&r, 0);
		OK(&r, map(&r, old, X, G1, K4, RW));
		OK(&r, attach(&r, 0, NB_NO_PASID, old));
		assert_int_equal(attach(&r, 0, NB_NO_PASID, d), -ENODEV);
		assert_int_equal(attach(&r, 0, 4, d), -ENODEV);
		GO(&r, 0, NB_NO_PASID, X, G1);
		ask_page(&r, 0, NB_NO_PASID, X, 1, HW_READ, true); /* PRE is for functions that could */
		assert_int_equal(r.fn[0].nreports, i == 5 ? 1 : 0);
		block(&r, 0, NB_NO_PASID);
		d->ops->free(d);
		old->ops->free(old);
		rig_down(&r);
	}
}

static void there_and_back(void **state)
{
	struct drv_page_response resp;
	const struct drv_page_request *pr;
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 1);
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	OK(&r, attach(&r, 1, 0x321, d));
	OK(&r, attach(&r, 1, 9, d));
	pr = r.fn[1].report;

	ask_page(&r, 1, 0x321, X + 5, 0x1ab, HW_READ | HW_WRITE, false);
	ask_page(&r, 1, 0x321, X + K4, 0x1ab, HW_WRITE, true);
	assert_int_equal(r.fn[1].nreports, 2);
	assert_int_equal(pr[0].addr, X);
	assert_int_equal(pr[0].pasid, 0x321);
	assert_int_equal(pr[0].grpid, 0x1ab);
	assert_int_equal(pr[0].perm, DRV_PERM_READ | DRV_PERM_WRITE);
	assert_true(pr[0].needs_pasid && !pr[0].last);
	assert_int_equal(pr[1].addr, X + K4);
	assert_int_equal(pr[1].perm, DRV_PERM_WRITE);
	assert_true(pr[1].last);
	assert_int_equal(r.fn[1].nresponses, 0);
	resp = (struct drv_page_response){.pasid = 0x321, .grpid = 0x1ab, .code = DRV_PAGE_SUCCESS};
	drv_vtd_ops.page_response(&r.dev[1], &resp);
	RESPONSE(&r, 1, 1, 0x321, 0x1ab, HW_PAGE_SUCCESS);

	ask_page(&r, 1, NB_NO_PASID, 0xffff800000000000, 0, HW_READ, true); /* the other half is canonical */
	assert_int_equal(pr[2].pasid, NB_NO_PASID);
	assert_int_equal(pr[2].perm, DRV_PERM_READ);
	assert_false(pr[2].needs_pasid);
	resp = (struct drv_page_response){.pasid = NB_NO_PASID, .grpid = 0, .code = DRV_PAGE_FAILURE};
	drv_vtd_ops.page_response(&r.dev[1], &resp);
	RESPONSE(&r, 1, 2, NB_NO_PASID, 0, HW_PAGE_FAILURE);

	r.fn[1].answer = RIG_ANSWER; /* from inside the report */
	ask_page(&r, 1, NB_NO_PASID, X, 77, HW_READ, true);
	RESPONSE(&r, 1, 3, NB_NO_PASID, 77, HW_PAGE_SUCCESS);

	r.fn[1].answer = RIG_REFUSE; /* the driver answers, and only for a group */
	ask_page(&r, 1, 9, X, 78, HW_READ, false);
	assert_int_equal(r.fn[1].nresponses, 3);
	ask_page(&r, 1, 9, X, 78, HW_READ, true);
	RESPONSE(&r, 1, 4, 9, 78, HW_PAGE_INVALID);
	assert_int_equal(r.fn[1].nreports, 6);
	assert_int_equal(r.fn[0].nreports + r.fn[2].nreports, 0);
	block(&r, 1, NB_NO_PASID);
	block(&r, 1, 0x321);
	block(&r, 1, 9);
	ask_page(&r, 1, 9, X, 78, HW_READ, true); /* the unit's own answer */
	RESPONSE(&r, 1, 5, 9, 78, HW_PAGE_INVALID);
	assert_int_equal(r.fn[1].nreports, 6);
	d->ops->free(d);
	rig_down(&r);
}

/* What the core is not asked about. */
static void answered_by_the_driver(void **state)
{
	struct hw_page_request pr = {.addr = X, .pasid = 3, .access = HW_READ, .last = true, .priv = true};
	struct iommu_hwpt_vtd_s1 s1 = {.flags = IOMMU_VTD_S1_SRE, .addr_width = 48};
	struct drv_domain *p, *d;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	c.levels5 = false;
	c.mgaw = 48;
	rig_up_fn(&r, &c);
	p = parent(&r, 0, 0);
	s1.pgtbl_addr = guest_page(&r);
	OK(&r, nested_raw(&r, 0, p, &s1, &d));
	d->iopf = true;
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, attach(&r, 0, 3, d));
	ask_page(&r, 0, NB_NO_PASID, UINT64_C(1) << 47, 1, HW_READ, true);
	RESPONSE(&r, 0, 1, NB_NO_PASID, 1, HW_PAGE_INVALID);
	ask_page(&r, 0, NB_NO_PASID, UINT64_C(1) << 47, 1, HW_READ, false);
	pr.rid = r.dev[0].rid;
	pr.prgi = 2;
	r.unit[0].hw->ops->page_request(r.unit[0].hw, &pr); /* privileged */
	RESPONSE(&r, 0, 2, 3, 2, HW_PAGE_INVALID);
	ask_page(&r, 0, 3, X, 3, HW_READ | HW_EXEC, true);
	RESPONSE(&r, 0, 3, 3, 3, HW_PAGE_INVALID);
	ask_page(&r, 0, 3, X, 4, 0, true); /* stop marker */
	assert_int_equal(r.fn[0].nresponses, 3);
	assert_int_equal(r.fn[0].nreports, 0);
	ask_page(&r, 0, 3, X, 5, HW_READ, true);
	assert_int_equal(r.fn[0].nreports, 1);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_page_request), 6); /* all of them came to the driver */
	block(&r, 0, NB_NO_PASID);
	block(&r, 0, 3);
	d->ops->free(d);
	p->ops->free(p);
	rig_down(&r);
}

static void flood(struct rig_fn *fn, const struct drv_page_request *pr)
{
	unsigned int i;

	(void)pr;
	fn->in_report = NULL;
	/* The ring is being read on this thread, and nobody moves its head. */
	for (i = 0; i < 3000; i++)
		ask_page(fn->rig, 1, 5, X, i & 511, HW_READ, i % 3 == 2);
}

static void overflow(void **state)
{
	struct drv_domain *d;
	unsigned int i, before;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	OK(&r, attach(&r, 1, 5, d));
	for (i = 0; i < 3; i++) {
		r.fn[0].in_report = flood;
		r.fn[1].answer = RIG_ANSWER;
		before = r.fn[1].nreports;
		ask_page(&r, 0, NB_NO_PASID, X, 1, HW_READ, true);
		assert_int_equal(r.fn[1].nreports - before, 2046); /* 2047, but for the one that is being read */
		assert_int_equal(r.fn[1].nresponses, 1000 * (i + 1)); /* each group once: by the core, or by the unit */
		assert_int_equal(r.fn[0].ndiscards, i + 1);
		assert_int_equal(r.fn[1].ndiscards, i + 1);
		assert_int_equal(r.fn[2].ndiscards, 0); /* another unit */
		assert_int_equal(rig_mmio_read(&r.unit[0], 0xdc, 4), 0);
	}
	block(&r, 0, NB_NO_PASID);
	block(&r, 1, 5);
	d->ops->free(d);
	rig_down(&r);
}

/* When block() returns, what was asked before has been reported, though no interrupt has come yet. */
static void drained(void **state)
{
	struct drv_domain *d, *e;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 0);
	e = iopf_domain(&r, 0);
	r.fn[0].answer = RIG_ANSWER;
	r.hold_msi = true;

	OK(&r, attach(&r, 0, 9, d));
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	ask_page(&r, 0, NB_NO_PASID, X, 1, HW_READ, true);
	assert_int_equal(r.fn[0].nreports, 0);
	OK(&r, attach(&r, 0, NB_NO_PASID, e)); /* replace */
	assert_int_equal(r.fn[0].nreports, 1);
	ask_page(&r, 0, NB_NO_PASID, X, 2, HW_READ, true);
	r.ask_at_drain = 1; /* one more gets into the ring while the unit drains */
	r.drains = 0;
	block(&r, 0, NB_NO_PASID);
	assert_int_equal(r.fn[0].nreports, 3);
	assert_int_equal(r.fn[0].nresponses, 3);
	assert_int_equal(r.drains, 1);

	/* The same of a function that goes. */
	ask_page(&r, 0, 9, X, 3, HW_READ, true);
	assert_int_equal(r.fn[0].nreports, 3);
	drv_vtd_ops.release_device(&r.dev[0]);
	assert_int_equal(r.fn[0].nreports, 4);
	r.hold_msi = false;
	OK(&r, attach(&r, 1, NB_NO_PASID, d));
	ask_page(&r, 0, NB_NO_PASID, X, 3, HW_READ, true); /* the unit refuses it */
	ask_page(&r, 1, NB_NO_PASID, X, 3, HW_READ, true); /* the ring is fine */
	assert_int_equal(r.fn[0].nreports, 4);
	assert_int_equal(r.fn[1].nreports, 1);
	block(&r, 1, NB_NO_PASID);
	OK(&r, drv_vtd_ops.probe_device(&r.dev[0], &r.diag));
	d->ops->free(d);
	e->ops->free(e);
	rig_down(&r);
}

/* A request that comes between any two steps of the reader is not forgotten. */
static void late_for_the_tail(void **state)
{
	struct drv_domain *d;
	unsigned int left;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 0);
	r.fn[0].answer = RIG_ANSWER;
	OK(&r, attach(&r, 0, 9, d));
	r.ask_at_tail = 3;
	ask_page(&r, 0, 9, X, 1, HW_READ, true);
	assert_int_equal(r.fn[0].nreports, 4);
	assert_int_equal(r.fn[0].nresponses, 4);
	/* Others ask without end: this thread goes all the same, and what it leaves comes with the next request. */
	r.ask_at_tail = 500;
	ask_page(&r, 0, 9, X, 1, HW_READ, true);
	assert_true(r.ask_at_tail > 0);
	left = 500 - r.ask_at_tail;
	r.ask_at_tail = 0;
	assert_true(r.fn[0].nreports < 4 + 1 + left);
	ask_page(&r, 0, 9, X, 1, HW_READ, true);
	assert_int_equal(r.fn[0].nreports, 4 + 2 + left);
	assert_int_equal(r.fn[0].nresponses, 4 + 2 + left);
	block(&r, 0, 9);
	d->ops->free(d);
	rig_down(&r);
}

/* A function that asks though page requests are off for it: nothing of it is left for the next one at its place. */
static void asks_unbidden(void **state)
{
	struct drv_domain *d;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = paging(&r, 0, 0);
	r.fn[0].answer = RIG_REFUSE;
	OK(&r, attach(&r, 0, NB_NO_PASID, d));
	r.hold_msi = true;
	ask_page(&r, 0, NB_NO_PASID, X, 1, HW_READ, true);
	drv_vtd_ops.release_device(&r.dev[0]);
	assert_int_equal(r.fn[0].nreports, 1);
	RESPONSE(&r, 0, 1, NB_NO_PASID, 1, HW_PAGE_INVALID);
	OK(&r, drv_vtd_ops.probe_device(&r.dev[0], &r.diag));
	d->ops->free(d);
	rig_down(&r);
}

/* ---- threads ---- */

#define NREQUESTS 1500

struct worker {
	struct rig *r;
	unsigned int dev, asked;
	struct drv_domain *domain;
	_Atomic bool *stop;
	pthread_t thread;
};

static void *asker(void *p)
{
	struct worker *w = p;
	unsigned int i;

	for (i = 0; i < NREQUESTS || w->r->fn[w->dev].nreports < 100; i++)
		ask_page(w->r, w->dev, i & 1 ? 5 : NB_NO_PASID, X + i * K4, i & 511, HW_READ, i % 4 == 3);
	w->asked = i;
	return NULL;
}

/* Everything else that goes on in the unit: mappings, the guest's invalidations, responses nobody waits for. */
static void *mapper(void *p)
{
	struct worker *w = p;
	struct rig *r = w->r;

	while (!atomic_load(w->stop)) {
		OK(r, map(r, w->domain, X, G1, K4, RW));
		unmap(r, w->domain, X, K4);
	}
	return NULL;
}

/* Two functions ask, a third thread attaches and blocks them, a fourth invalidates: every group is answered once. */
static void threads(void **state)
{
	struct worker w[3];
	_Atomic bool stop = false;
	struct drv_domain *d, *other;
	unsigned int i, k;
	struct rig r;

	(void)state;
	rig_up_fn(&r, NULL);
	d = iopf_domain(&r, 0);
	other = paging(&r, 1, 0);
	OK(&r, attach(&r, 1, 3, other));
	r.fn[0].answer = RIG_ANSWER;
	r.fn[1].answer = RIG_REFUSE;
	for (i = 0; i < 3; i++) {
		w[i] = (struct worker){.r = &r, .dev = i, .domain = other, .stop = &stop};
		assert_int_equal(pthread_create(&w[i].thread, NULL, i == 2 ? mapper : asker, &w[i]), 0);
	}
	for (i = 0; i < 150 || r.fn[0].nreports < 100 || r.fn[1].nreports < 100; i++) {
		for (k = 0; k < 2; k++) {
			OK(&r, attach(&r, k, NB_NO_PASID, d));
			OK(&r, attach(&r, k, 5, d));
		}
		for (k = 0; k < 2; k++) {
			block(&r, k, 5);
			block(&r, k, NB_NO_PASID);
		}
	}
	pthread_join(w[0].thread, NULL);
	pthread_join(w[1].thread, NULL);
	atomic_store(&stop, true);
	pthread_join(w[2].thread, NULL);
	for (i = 0; i < 2; i++) {
		assert_int_equal(r.fn[i].nresponses, w[i].asked / 4);
		assert_true(r.fn[i].nreports <= w[i].asked);
	}
	assert_true(r.drains >= 300);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_drv_queue_error), 0);
	block(&r, 1, 3);
	d->ops->free(d);
	other->ops->free(other);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enabled_by_attachments),
		cmocka_unit_test(refused),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(answered_by_the_driver),
		cmocka_unit_test(overflow),
		cmocka_unit_test(drained),
		cmocka_unit_test(late_for_the_tail),
		cmocka_unit_test(asks_unbidden),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
