/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault queues: routes by function and PASID, what happens to groups whose attachment goes, bounds, and all of it with failing allocations
 * and from many threads. Errors and orders are the uAPI sheet's, sections 2, 4.3 to 4.6 and 9.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <time.h>

#include "test_host_fault.h"

/* In whatever way an attachment ends: its groups, and no others, are answered, and late answers have no cookie. */
static void ends(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_pgfault f[8];
	uint32_t other = rig_hwpt_fault(r, 0, o.ioas, 0, false, o.fault), plain = rig_hwpt(r, 0, o.ioas, 0);
	unsigned int q2;
	uint32_t fault2 = rig_fault(r, &q2), second = rig_hwpt_fault(r, 0, o.ioas, 0, false, fault2);
	const uint32_t to[] = {0, other, second, plain};

	for (unsigned int k = 0; k < ARRAY_SIZE(to); k++) {
		assert_int_equal(rig_attach(r, 0, o.hwpt), 0);
		r->unit.nanswers = 0;
		report(r, 0, NB_NO_PASID, 1, 0x1000, true);
		assert_int_equal(rd(r, o.q, f, 8), 40);
		assert_int_equal(f[0].cookie, 1);
		report(r, 0, NB_NO_PASID, 2, 0x2000, true); /* not read */
		report(r, 0, NB_NO_PASID, 3, 0x3000, false); /* not complete */
		assert_int_equal(to[k] ? rig_attach(r, 0, to[k]) : rig_detach(r, 0), 0);
		assert_int_equal(r->unit.nanswers, 2);
		assert_int_equal(r->unit.answer[0].resp.code, DRV_PAGE_INVALID);
		assert_int_equal(r->unit.answer[0].resp.grpid + r->unit.answer[1].resp.grpid, 1 + 2);
		assert_int_equal(r->unit.answer[1].resp.code, DRV_PAGE_INVALID);
		r->unit.nanswers = 0;
		assert_false(r->fault_ready[o.q]);
		assert_int_equal(answer(r, o.q, 1, 0), -EINVAL);
		assert_int_equal(rd(r, o.q, f, 8), 0);
		/* the part of a group is forgotten, wherever later ones go */
		assert_int_equal(report(r, 0, NB_NO_PASID, 3, 0x4000, true), to[k] == other || to[k] == second ? 0 : -ENODEV);
		if (to[k] == other || to[k] == second) {
			assert_int_equal(rd(r, to[k] == other ? o.q : q2, f, 8), 40);
			assert_int_equal(f[0].addr, 0x4000);
			assert_int_equal(f[0].cookie, 1);
		}
	}
	/* from one without a queue to one with */
	assert_int_equal(rig_attach(r, 0, second), 0);
	report(r, 0, NB_NO_PASID, 5, 0x1000, true);
	assert_int_equal(rd(r, q2, f, 8), 40);
	/* the same one again is no change */
	assert_int_equal(rig_attach(r, 0, second), 0);
	assert_int_equal(r->unit.nanswers, 0);
	assert_int_equal(answer(r, q2, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 5, DRV_PAGE_SUCCESS);
	/* closing the queue's file answers nothing; what comes then waits as well, and unbinding ends it */
	report(r, 0, NB_NO_PASID, 6, 0x1000, true);
	rig_fault_close(r, q2);
	assert_int_equal(report(r, 0, NB_NO_PASID, 7, 0x1000, true), 0);
	assert_int_equal(r->unit.nanswers, 0);
	assert_int_equal(rig_destroy(r, second), -EBUSY);
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	assert_int_equal(r->unit.nanswers, 2);
	r->unit.nanswers = 0;
	assert_int_equal(report(r, 0, NB_NO_PASID, 8, 0x1000, true), -ENODEV);
	assert_int_equal(rig_destroy(r, second), 0);
	assert_int_equal(rig_destroy(r, fault2), 0);
}

/* Linux has no timeout for users who do not answer: a group waits for as long as its attachment is there. */
static void no_timeout(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_pgfault f[2];
	struct timespec ts = {.tv_nsec = 50000000};
	static uint8_t page[0x1000] __attribute__((aligned(0x1000)));
	uint64_t iova = 0;

	report(r, 0, NB_NO_PASID, 1, 0x1000, true);
	assert_int_equal(rd(r, o.q, f, 2), 40);
	report(r, 0, NB_NO_PASID, 2, 0x1000, true);
	for (unsigned int i = 0; i < 3; i++) {
		nanosleep(&ts, NULL);
		assert_int_equal(rig_map(r, o.ioas, RW, page, PG, &iova), 0);
		assert_int_equal(rig_attach_pasid(r, 0, o.ioas, 5), -EINVAL);
		assert_int_equal(r->unit.nanswers, 0);
	}
	assert_int_equal(answer(r, o.q, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 1, DRV_PAGE_SUCCESS);
	assert_int_equal(rig_detach(r, 0), 0);
	answered(r, 0, NB_NO_PASID, 2, DRV_PAGE_INVALID);
}

static struct rig *hook_rig;
static unsigned int hook_calls;
static int hook_err;

static void hook_report(struct drv_dev *dev, uint32_t pasid)
{
	const struct drv_page_request pr = {.addr = 0xd000, .pasid = pasid, .grpid = 0x40 + hook_calls++, .last = true};

	hook_err = dev->report_fault(dev, &pr);
}

/* While a driver attaches or blocks it reports what was on its way: with the core's locks held. */
static void reports_inside(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_pgfault f[8];
	uint32_t plain = rig_hwpt(r, 0, o.ioas, 0), second;
	unsigned int q2;

	second = rig_hwpt_fault(r, 0, o.ioas, 0, false, rig_fault(r, &q2));
	hook_rig = r;
	hook_calls = 0;
	/* detach: answered at once */
	r->unit.in_block = hook_report;
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(hook_err, 0);
	answered(r, 0, NB_NO_PASID, 0x40, DRV_PAGE_INVALID);
	r->unit.in_block = NULL;
	/* a first attachment takes requests before the driver is done */
	r->unit.in_attach = hook_report;
	assert_int_equal(rig_attach(r, 0, o.hwpt), 0);
	assert_int_equal(hook_err, 0);
	assert_int_equal(rd(r, o.q, f, 8), 40);
	assert_int_equal(answer(r, o.q, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 0x41, DRV_PAGE_SUCCESS);
	/* replace: the old one's to the end */
	assert_int_equal(rig_attach(r, 0, second), 0);
	answered(r, 0, NB_NO_PASID, 0x42, DRV_PAGE_INVALID);
	assert_int_equal(rd(r, o.q, f, 8), 0);
	assert_int_equal(rd(r, q2, f, 8), 0);
	/* away from it */
	assert_int_equal(rig_attach(r, 0, plain), 0);
	answered(r, 0, NB_NO_PASID, 0x43, DRV_PAGE_INVALID);
	/* to it: nobody else wants them */
	assert_int_equal(rig_attach(r, 0, second), 0);
	assert_int_equal(hook_err, 0);
	assert_int_equal(r->unit.nanswers, 0);
	assert_int_equal(rd(r, q2, f, 8), 40);
	assert_int_equal(answer(r, q2, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 0x44, DRV_PAGE_SUCCESS);
	/* one that fails: what came for it is answered, and the old one has its queue */
	assert_int_equal(rig_attach(r, 0, plain), 0);
	answered(r, 0, NB_NO_PASID, 0x45, DRV_PAGE_INVALID);
	r->unit.attach_err = -ENOMEM;
	assert_int_equal(rig_attach(r, 0, second), -ENOMEM);
	answered(r, 0, NB_NO_PASID, 0x46, DRV_PAGE_INVALID);
	r->unit.attach_err = 0;
	assert_int_equal(rig_attach(r, 0, second), 0);
	assert_int_equal(rd(r, q2, f, 8), 40);
	r->unit.attach_err = -ENOMEM;
	assert_int_equal(rig_attach(r, 0, o.hwpt), -ENOMEM);
	assert_int_equal(rd(r, q2, f + 1, 7), 40); /* still there, and so is the one that came meanwhile */
	assert_int_equal(answer(r, q2, f[0].cookie, 0), 8);
	r->unit.nanswers = 0;
	r->unit.attach_err = 0;
	r->unit.in_attach = NULL;
	assert_int_equal(rig_detach(r, 0), 0);
	answered(r, 0, NB_NO_PASID, 0x48, DRV_PAGE_INVALID);
	r->unit.attach_err = -ENOMEM;
	r->unit.in_attach = hook_report;
	assert_int_equal(rig_attach(r, 0, second), -ENOMEM);
	answered(r, 0, NB_NO_PASID, 0x49, DRV_PAGE_INVALID);
	r->unit.in_attach = NULL;
	r->unit.attach_err = 0;
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), -ENODEV);
}

static void pasids(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_hwpt_pgfault f[8];
	uint32_t ioas, parent, fault, fault2, n5, n6, rid;
	unsigned int q, q2;

	rig_bind(r, 0);
	ioas = rig_ioas(r);
	parent = rig_hwpt(r, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	fault = rig_fault(r, &q);
	fault2 = rig_fault(r, &q2);
	n5 = rig_hwpt_fault(r, 0, parent, PASID_FLAG, true, fault);
	n6 = rig_hwpt_fault(r, 0, parent, PASID_FLAG, true, fault2);
	rid = rig_hwpt_fault(r, 0, parent, PASID_FLAG, true, fault);
	assert_int_equal(rig_attach_pasid(r, 0, n5, 5), 0);
	/* no route for requests without PASID, nor for another one */
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), -ENODEV);
	assert_int_equal(report(r, 0, 6, 1, 0x1000, true), -ENODEV);
	assert_int_equal(rig_attach(r, 0, rid), 0);
	/* not even when those without have a nested table: this kind of unit does not ask for that */
	assert_int_equal(report(r, 0, 6, 1, 0x1000, true), -ENODEV);
	assert_int_equal(rig_attach_pasid(r, 0, n6, 5 + 32), 0); /* the same place in all tables as 5 has */
	assert_int_equal(report(r, 0, 5 + 64, 1, 0x1000, true), -ENODEV);
	assert_int_equal(report(r, 0, 5, 1, 0x5000, true), 0);
	assert_int_equal(report(r, 0, 37, 1, 0x6000, true), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x7000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 80);
	assert_int_equal(f[0].addr, 0x5000);
	assert_int_equal(f[0].pasid, 5);
	assert_int_equal(f[0].flags, 3);
	assert_int_equal(f[1].addr, 0x7000);
	assert_int_equal(f[1].pasid, 0);
	assert_int_equal(f[1].flags, 2);
	assert_int_equal(rd(r, q2, f + 2, 6), 40);
	assert_int_equal(f[2].pasid, 37);
	assert_int_equal(f[2].cookie, 1); /* counted per queue */
	/* one group number, two PASIDs: two groups */
	assert_int_equal(report(r, 0, 5, 9, 0x1000, false), 0);
	assert_int_equal(report(r, 0, 37, 9, 0x2000, false), 0);
	assert_int_equal(report(r, 0, 5, 9, 0x3000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 80);
	assert_int_equal(f[0].addr, 0x1000);
	assert_int_equal(f[1].addr, 0x3000);
	assert_int_equal(f[1].cookie, 3);
	/* detaching one PASID takes its groups only */
	assert_int_equal(rig_detach_pasid(r, 0, 5), 0);
	assert_int_equal(r->unit.nanswers, 2);
	assert_int_equal(r->unit.answer[0].resp.pasid, 5);
	assert_int_equal(r->unit.answer[1].resp.pasid, 5);
	r->unit.nanswers = 0;
	assert_int_equal(answer(r, q, 1, 0), -EINVAL);
	assert_int_equal(answer(r, q, 3, 0), -EINVAL);
	assert_int_equal(answer(r, q, 2, 0), 8);
	answered(r, 0, NB_NO_PASID, 1, DRV_PAGE_SUCCESS);
	assert_int_equal(answer(r, q2, 1, 0), 8);
	answered(r, 0, 37, 1, DRV_PAGE_SUCCESS);
	assert_int_equal(report(r, 0, 37, 9, 0x4000, true), 0); /* its half survived */
	assert_int_equal(rd(r, q2, f, 8), 80);
	assert_int_equal(f[0].addr, 0x2000);
}

/* Functions 1 and 2 are one group: one attachment, each its own groups. */
static void group(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_hwpt_pgfault f[8];
	uint32_t ioas, fault, hwpt;
	unsigned int q;

	rig_bind(r, 1);
	ioas = rig_ioas(r);
	fault = rig_fault(r, &q);
	hwpt = rig_hwpt_fault(r, 1, ioas, 0, false, fault);
	assert_int_equal(rig_attach(r, 1, hwpt), 0);
	/* a function that nobody has bound, but its group is attached: reported for the one that did that */
	assert_int_equal(report(r, 2, NB_NO_PASID, 1, 0x1000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 40);
	assert_int_equal(f[0].dev_id, r->devid[1]);
	rig_bind(r, 2);
	assert_int_equal(rig_attach(r, 2, hwpt), 0);
	assert_int_equal(report(r, 1, NB_NO_PASID, 2, 0x1000, false), 0);
	assert_int_equal(report(r, 2, NB_NO_PASID, 2, 0x2000, true), 0);
	assert_int_equal(report(r, 1, NB_NO_PASID, 2, 0x3000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 120);
	assert_int_equal(f[0].dev_id, r->devid[2]);
	assert_int_equal(f[0].addr, 0x2000);
	assert_int_equal(f[1].dev_id, r->devid[1]);
	assert_int_equal(f[1].addr, 0x1000);
	assert_int_equal(f[2].addr, 0x3000);
	/* the first goes: the attachment stays, for both functions */
	assert_int_equal(rig_detach(r, 1), 0);
	assert_int_equal(r->unit.nanswers, 0);
	assert_int_equal(report(r, 1, NB_NO_PASID, 3, 0x1000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 40);
	assert_int_equal(f[0].dev_id, r->devid[1]);
	vfio_close(r->vf[1]);
	r->vf[1] = NULL;
	assert_int_equal(r->unit.nanswers, 0);
	assert_int_equal(report(r, 1, NB_NO_PASID, 4, 0x1000, true), 0);
	assert_int_equal(rd(r, q, f, 8), 40);
	assert_int_equal(f[0].dev_id, r->devid[2]); /* never an id that is gone */
	/* the last goes */
	assert_int_equal(rig_detach(r, 2), 0);
	assert_int_equal(r->unit.nanswers, 5);
	r->unit.nanswers = 0;
}

/* A function keeps so many requests here and no more; groups beyond that are refused, and all others go on. */
static void bound(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	static struct iommu_hwpt_pgfault f[2048];
	uint32_t hwpt1;

	rig_bind(r, 1);
	hwpt1 = rig_hwpt_fault(r, 1, o.ioas, 0, false, o.fault);
	assert_int_equal(rig_attach(r, 1, hwpt1), 0);
	for (unsigned int i = 0; i < 2047; i++)
		assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000 * (i + 1), false), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000 * 2048, true), 0); /* one group of all */
	assert_int_equal(report(r, 0, NB_NO_PASID, 2, 0x1000, true), -ENOSPC);
	assert_int_equal(report(r, 0, NB_NO_PASID, 2, 0x1000, false), -ENOSPC);
	assert_int_equal(report(r, 1, NB_NO_PASID, 2, 0x1000, true), 0); /* the neighbour has its own */
	assert_int_equal(rd(r, o.q, f, 2047), -EINVAL);
	assert_int_equal(rd(r, o.q, f, 2048), 2048 * 40);
	for (unsigned int i = 0; i < 2048; i++) {
		assert_int_equal(f[i].addr, 0x1000 * (i + 1));
		assert_int_equal(f[i].cookie, 1);
	}
	/* unanswered ones count */
	assert_int_equal(report(r, 0, NB_NO_PASID, 2, 0x1000, true), -ENOSPC);
	assert_int_equal(answer(r, o.q, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 1, DRV_PAGE_SUCCESS);
	/* parked ones count; the last that finds no place takes its group with it, and there is room again */
	for (unsigned int i = 0; i < 2048; i++)
		assert_int_equal(report(r, 0, NB_NO_PASID, i % 512, 0x1000, false), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 600, 0x1000, true), -ENOSPC);
	assert_int_equal(report(r, 0, NB_NO_PASID, 3, 0x1000, true), -ENOSPC);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(report(r, 0, NB_NO_PASID, 600 + i, 0x1000, true), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 4, 0x1000, true), 0);
	assert_int_equal(rig_detach(r, 0), 0);
	assert_int_equal(r->unit.nanswers, 4);
	r->unit.nanswers = 0;
}

/* A reset of the function: parts of groups will not be completed. What is queued is Linux's business: it stays. */
static void reset(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_pgfault f[8];

	report(r, 0, NB_NO_PASID, 1, 0x1000, true);
	report(r, 0, NB_NO_PASID, 2, 0x2000, false);
	assert_int_equal(vfio_ioctl(r->vf[0], VFIO_DEVICE_RESET, 0), 0);
	assert_int_equal(r->unit.nanswers, 0);
	report(r, 0, NB_NO_PASID, 2, 0x3000, true);
	assert_int_equal(rd(r, o.q, f, 8), 80);
	assert_int_equal(f[0].addr, 0x1000);
	assert_int_equal(f[1].addr, 0x3000);
	/* and when the driver says that lasts were lost */
	report(r, 0, NB_NO_PASID, 4, 0x4000, false);
	r->dev[0].discard_partial(&r->dev[0]);
	report(r, 0, NB_NO_PASID, 4, 0x5000, true);
	assert_int_equal(rd(r, o.q, f, 8), 40);
	assert_int_equal(f[0].addr, 0x5000);
}

static bool settling;

static void settle_calls_host(struct rig *r)
{
	struct vfio_device_info i = {.argsz = sizeof(i)};
	struct iommu_hwpt_pgfault f;
	uint64_t v = 0;

	if (settling)
		return;
	settling = true;
	/* A function that goes on asks again, and the program's next calls may come right then: no lock is held. */
	(void)report(r, 0, NB_NO_PASID, 77, 0x1000, true);
	if (r->vf[0]) {
		(void)rig_detach_pasid(r, 0, 9); /* function and group */
		(void)vfio_ioctl(r->vf[0], VFIO_DEVICE_GET_INFO, (uintptr_t)&i);
		(void)vfio_pwrite(r->vf[0], &v, 4, UINT64_C(7) << 40 | 0x3c);
	}
	if (r->fd)
		(void)rig_destroy(r, 4711);
	if (r->fault[0]) {
		(void)host_queue_read(r->fault[0], &f, sizeof(f), 0);
		(void)answer(r, 0, 1, 0);
	}
	settling = false;
}

static void settles(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	unsigned int n;
	uint32_t v = 0;

	r->in_settle = settle_calls_host;
	n = r->nsettles;
#define SETTLED(call)                        \
	do {                                 \
		n = r->nsettles;             \
		call;                        \
		assert_true(r->nsettles > n); \
	} while (0)
	SETTLED(rig_detach(r, 0));
	SETTLED(rig_attach(r, 0, o.hwpt));
	SETTLED(answer(r, o.q, 1, 0));
	SETTLED(rig_destroy(r, 4711));
	SETTLED(vfio_ioctl(r->vf[0], VFIO_DEVICE_RESET, 0));
	SETTLED(vfio_pwrite(r->vf[0], &v, 4, UINT64_C(7) << 40 | 4));
	{ /* the hook shall not use any of them any more */
		struct vfio_file *vf = r->vf[0];
		struct queue_file *f = r->fault[o.q];
		struct iommufd_file *fd = r->fd;

		r->vf[0] = NULL;
		SETTLED(vfio_close(vf));
		r->fault[o.q] = NULL;
		r->nfaults--;
		SETTLED(host_queue_close(f));
		r->fd = NULL;
		SETTLED(iommufd_close(fd));
	}
	r->in_settle = NULL;
}

/* Everything once, with the n-th allocation failing: whatever a call answers, nothing is lost and nothing is left. */
static void scenario(struct rig *r)
{
	struct iommu_hwpt_pgfault f[16];
	struct iommu_fault_alloc a = {.size = sizeof(a)};
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = 10};
	struct iommu_ioas_alloc s = {.size = sizeof(s)};
	uint32_t h1 = 0, h2 = 0;
	unsigned int q, taken = 0;
	ssize_t n;

	if (vfio_open(r->host, 0, &r->vf[0]))
		return;
	if (vfio_ioctl(r->vf[0], VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b))
		return;
	r->devid[0] = b.out_devid;
	if (rig_ioctl(r, IOMMU_IOAS_ALLOC, &s) || rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &a))
		return;
	q = a.out_fault_fd - RIG_FAULT_FD;
	if (rig_hwpt_fault_try(r, 0, s.out_ioas_id, 0, false, a.out_fault_id, &h1) ||
	    rig_hwpt_fault_try(r, 0, s.out_ioas_id, 0, false, a.out_fault_id, &h2) || rig_attach(r, 0, h1))
		return;
	for (unsigned int i = 0; i < 11; i++)
		(void)report(r, 0, NB_NO_PASID, 1, 0x1000 * i, false);
	taken += report(r, 0, NB_NO_PASID, 1, 0xf000, true) == 0;
	for (unsigned int i = 2; i < 20; i++)
		taken += report(r, 0, NB_NO_PASID, i, 0x1000, true) == 0;
	n = rd(r, q, f, 16);
	if (n > 0)
		(void)answer(r, q, f[0].cookie, 0);
	n = rd(r, q, f, 16);
	assert_true(n >= 0 || n == -ENOMEM);
	/* to another of the same queue: all that was taken is answered by then */
	if (rig_attach(r, 0, h2))
		return;
	assert_int_equal(r->unit.nanswers, taken);
	(void)report(r, 0, NB_NO_PASID, 1, 0x1000, true);
	assert_int_equal(rig_detach(r, 0), 0);
}

static void fail_nth(void **state)
{
	unsigned int n;

	(void)state;
	assert_int_equal(guard_init(), 0);
	for (n = 1; n < 1000; n++) {
		struct rig *r = rig_new();
		bool failed;

		nb_fail_nth_arm(n);
		scenario(r);
		failed = nb_fail_nth_fired();
		nb_fail_nth_arm(0);
		rig_free(r);
		if (!failed)
			break;
	}
	assert_in_range(n, 20, 200);
}
int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ends), T(no_timeout), T(reports_inside), T(pasids), T(group), T(bound), T(reset), T(settles),
		cmocka_unit_test(fail_nth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
