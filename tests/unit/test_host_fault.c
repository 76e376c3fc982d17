/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault queues: the object, HWPTs that use it, records, groups, reading and answering. Errors and orders are the uAPI sheet's,
 * sections 2, 6 and 9.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "test_host_fault.h"

static void object(void **state)
{
	struct rig *r = rig_of(state);
	struct iommu_fault_alloc a = {.size = sizeof(a), .flags = 1};
	struct host_cfg plain = {.mem = &r->mem, .resolve_iommufd = rig_resolve, .opaque = r};
	struct iommufd_file *f;
	struct host *h;
	uint32_t id, ioas, hwpt;
	unsigned int q;
	void *ro;

	assert_int_equal(rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &a), -EOPNOTSUPP);
	a = (struct iommu_fault_alloc){.size = 15};
	assert_int_equal(rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &a), -EINVAL);
	a.size = sizeof(a);
	r->fault_fd_err = -EMFILE;
	assert_int_equal(rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &a), -EMFILE);
	r->fault_fd_err = 0;
	/* the result cannot be delivered: nothing stays, the descriptor neither */
	ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(ro, &a, sizeof(a));
	assert_int_equal(mprotect(ro, 4096, PROT_READ), 0);
	assert_int_equal(rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, ro), -EFAULT);
	munmap(ro, 4096);
	assert_int_equal(r->nfault_aborts, 1);
	assert_int_equal(r->nfaults, 0);
	id = rig_fault(r, &q);
	assert_int_equal(id, 1); /* all that failed gave its id back */
	assert_int_equal(rig_destroy(r, id), -EBUSY);

	/* the open file, then the HWPT, hold it */
	rig_bind(r, 0);
	ioas = rig_ioas(r);
	hwpt = rig_hwpt_fault(r, 0, ioas, 0, false, id);
	rig_fault_close(r, q);
	assert_int_equal(rig_destroy(r, id), -EBUSY);
	assert_int_equal(rig_destroy(r, hwpt), 0);
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(rig_destroy(r, id), -ENOENT);

	/* the file holds the context: it outlives the other descriptor (that all is freed, the leak checker says) */
	id = rig_fault(r, &q);
	iommufd_close(r->fd2);
	r->fd2 = NULL;
	vfio_close(r->vf[0]);
	r->vf[0] = NULL;
	iommufd_close(r->fd);
	r->fd = NULL;
	assert_int_equal(rd(r, q, NULL, 0), 0);
	assert_int_equal(answer(r, q, 1, 0), -EINVAL);
	rig_fault_close(r, q);

	/* a host without descriptors for it */
	assert_int_equal(host_create(&plain, &h), 0);
	assert_int_equal(iommufd_open(h, &f), 0);
	a = (struct iommu_fault_alloc){.size = sizeof(a)};
	assert_int_equal(iommufd_ioctl(f, IOMMU_FAULT_QUEUE_ALLOC, (uintptr_t)&a), -EOPNOTSUPP);
	iommufd_close(f);
	host_destroy(h);
}

/* Section 6: in which order HWPT_ALLOC looks at what. */
static void hwpt_alloc(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t ioas, fault, parent, id = 77, before;
	unsigned int q;

	rig_bind(r, 0);
	ioas = rig_ioas(r);
	fault = rig_fault(r, &q);
	parent = rig_hwpt(r, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	before = rig_hwpt(r, 0, ioas, 0);
	/* all others first: a device that is none, a table that is none, flags */
	r->devid[1] = 4711;
	assert_int_equal(rig_hwpt_fault_try(r, 1, 4712, 0, false, 4713, &id), -ENOENT);
	assert_int_equal(rig_hwpt_fault_try(r, 0, 4712, 0, false, 4713, &id), -EINVAL);
	assert_int_equal(rig_hwpt_fault_try(r, 0, fault, 0, false, 4713, &id), -EINVAL);
	assert_int_equal(rig_hwpt_fault_try(r, 0, ioas, 16, false, 4713, &id), -EOPNOTSUPP);
	assert_int_equal(rig_hwpt_fault_try(r, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, false, fault, &id), -EOPNOTSUPP);
	assert_int_equal(rig_hwpt_fault_try(r, 0, parent, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, true, 4713, &id), -EOPNOTSUPP);
	assert_int_equal(r->unit.domains, 2);
	/* no such queue, and an id of something else: the fresh table goes */
	assert_int_equal(rig_hwpt_fault_try(r, 0, ioas, 0, false, 4713, &id), -ENOENT);
	assert_int_equal(rig_hwpt_fault_try(r, 0, ioas, 0, false, ioas, &id), -ENOENT);
	assert_int_equal(rig_hwpt_fault_try(r, 0, parent, 0, true, before, &id), -ENOENT);
	assert_int_equal(id, 0); /* untouched by the call */
	assert_int_equal(r->unit.domains, 2);
	id = rig_hwpt_fault(r, 0, ioas, 0, false, fault);
	assert_int_equal(id, before + 1);
	assert_int_equal(rig_destroy(r, id), 0);
	assert_int_equal(rig_destroy(r, rig_hwpt_fault(r, 0, parent, PASID_FLAG, true, fault)), 0);
	/* without the flag the field means nothing */
	{
		struct iommu_hwpt_alloc a = {
			.size = sizeof(a), .dev_id = r->devid[0], .pt_id = ioas, .fault_id = 4713, .__reserved2 = 1};

		assert_int_equal(rig_ioctl(r, IOMMU_HWPT_ALLOC, &a), 0);
		assert_int_equal(rig_attach(r, 0, a.out_hwpt_id), 0);
		assert_false(rig_attached[RID(0)]->iopf);
	}
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), -ENODEV);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, false), -ENODEV);
	/* the id of a queue is nothing to attach to */
	assert_int_equal(rig_attach(r, 0, fault), -EINVAL);
}

/* A function without page requests: the driver's answer, and no route is left. */
static void no_page_requests(void **state)
{
	struct rig *r = rig_of(state);
	uint32_t ioas, fault, hwpt, plain;
	unsigned int q;

	rig_bind(r, 0);
	ioas = rig_ioas(r);
	fault = rig_fault(r, &q);
	hwpt = rig_hwpt_fault(r, 0, ioas, 0, false, fault);
	plain = rig_hwpt(r, 0, ioas, 0);
	r->dev[0].pri = false;
	assert_int_equal(rig_attach(r, 0, hwpt), -ENODEV);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), -ENODEV);
	assert_int_equal(rig_attach(r, 0, plain), 0);
	assert_int_equal(rig_attach(r, 0, hwpt), -ENODEV); /* replace */
	assert_ptr_not_equal(rig_attached[RID(0)], NULL);
	assert_false(rig_attached[RID(0)]->iopf);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), -ENODEV);
	r->dev[0].pri = true;
	assert_int_equal(rig_attach(r, 0, hwpt), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 1, 0x1000, true), 0);
	assert_int_equal(r->unit.nanswers, 0);
}

static void records(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct drv_page_request pr = {.addr = UINT64_C(0x123456789abcd000),
				      .pasid = NB_NO_PASID,
				      .grpid = 0x1ff,
				      .perm = DRV_PERM_WRITE | DRV_PERM_PRIV,
				      .last = true,
				      .needs_pasid = true};
	struct iommu_hwpt_pgfault f[8];
	/* by hand: flags, dev_id, pasid, grpid, perm, reserved, addr, length, cookie */
	uint32_t want[10] = {2 | 4, r->devid[0], 0, 0x1ff, 2 | 8, 0, 0x9abcd000, 0x12345678, 0, 1};

	assert_int_equal(rd(r, o.q, f, 8), 0);
	assert_false(r->fault_ready[o.q]);
	assert_int_equal(r->dev[0].report_fault(&r->dev[0], &pr), 0);
	assert_true(r->fault_ready[o.q]);
	memset(f, 0xff, sizeof(f));
	assert_int_equal(rd(r, o.q, f, 8), 40);
	assert_memory_equal(f, want, 40);
	assert_false(r->fault_ready[o.q]);
	assert_int_equal(rd(r, o.q, f, 8), 0);
	assert_int_equal(answer(r, o.q, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 0x1ff, DRV_PAGE_SUCCESS);
	assert_int_equal(answer(r, o.q, 1, 0), -EINVAL); /* once */

	/* groups: whole, in order of arrival, the last one last; by number, and by function */
	assert_int_equal(report(r, 0, NB_NO_PASID, 7, 0x1000, false), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 8, 0x8000, false), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 7, 0x2000, false), 0);
	assert_false(r->fault_ready[o.q]);
	assert_int_equal(rd(r, o.q, f, 8), 0);
	assert_int_equal(report(r, 0, NB_NO_PASID, 7, 0x3000, true), 0);
	assert_int_equal(rd(r, o.q, f, 8), 3 * 40);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(f[i].addr, 0x1000 * (i + 1));
		assert_int_equal(f[i].grpid, 7);
		assert_int_equal(f[i].cookie, 1); /* the lowest free again */
		assert_int_equal(f[i].flags, i == 2 ? 2 : 0);
	}
	assert_int_equal(report(r, 0, NB_NO_PASID, 8, 0x9000, true), 0);
	assert_int_equal(rd(r, o.q, f, 8), 2 * 40);
	assert_int_equal(f[0].addr, 0x8000);
	assert_int_equal(f[1].addr, 0x9000);
	assert_int_equal(f[1].cookie, 2);
	/* one answer for the whole group */
	assert_int_equal(answer(r, o.q, 2, 1), 8);
	answered(r, 0, NB_NO_PASID, 8, DRV_PAGE_INVALID);
	assert_int_equal(answer(r, o.q, 1, 0), 8);
	answered(r, 0, NB_NO_PASID, 7, DRV_PAGE_SUCCESS);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_fault), 3);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_fault_response), 3);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_fault_dropped), 0);
}

static void reading(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_pgfault f[8];
	uint8_t *m;

	assert_int_equal(host_queue_read(r->fault[o.q], f, 40, 1), -ESPIPE);
	assert_int_equal(host_queue_read(r->fault[o.q], f, 41, 0), -ESPIPE);
	assert_int_equal(host_queue_read(r->fault[o.q], f, 39, 0), -ESPIPE);
	assert_int_equal(host_queue_read(r->fault[o.q], (void *)8, 40, 0), 0); /* empty: never looked at */
	/* three groups of 2, 1, 3 */
	report(r, 0, NB_NO_PASID, 1, 0x1000, false);
	report(r, 0, NB_NO_PASID, 1, 0x2000, true);
	report(r, 0, NB_NO_PASID, 2, 0x3000, true);
	report(r, 0, NB_NO_PASID, 3, 0x4000, false);
	report(r, 0, NB_NO_PASID, 3, 0x5000, false);
	report(r, 0, NB_NO_PASID, 3, 0x6000, true);
	assert_int_equal(rd(r, o.q, f, 1), -EINVAL); /* the first does not fit */
	assert_int_equal(rd(r, o.q, f, 0), -EINVAL);
	assert_int_equal(host_queue_read(r->fault[o.q], (void *)8, 80, 0), -EFAULT);
	assert_true(r->fault_ready[o.q]);
	assert_int_equal(answer(r, o.q, 1, 0), -EINVAL); /* that reader had no cookie */
	/* two and a half: the third waits */
	assert_int_equal(rd(r, o.q, f, 5), 3 * 40);
	assert_int_equal(f[0].addr, 0x1000);
	assert_int_equal(f[1].cookie, 1);
	assert_int_equal(f[2].addr, 0x3000);
	assert_int_equal(f[2].cookie, 2);
	assert_true(r->fault_ready[o.q]);
	/* the fault in the middle of a read: what came before counts, and the group is there again, at the front, whole */
	report(r, 0, NB_NO_PASID, 4, 0x7000, true);
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(m + 4096, 4096);
	assert_int_equal(host_queue_read(r->fault[o.q], m + 4096 - 80, 160, 0), -EFAULT);
	assert_int_equal(host_queue_read(r->fault[o.q], m + 4096 - 120, 160, 0), 120);
	memcpy(f, m + 4096 - 120, 120);
	assert_int_equal(f[0].addr, 0x4000);
	assert_int_equal(f[2].addr, 0x6000);
	assert_int_equal(f[2].cookie, 3);
	assert_int_equal(host_queue_read(r->fault[o.q], m + 4096 - 39, 40, 0), -EFAULT);
	assert_int_equal(rd(r, o.q, f, 1), 40);
	assert_int_equal(f[0].addr, 0x7000);
	assert_int_equal(f[0].cookie, 4);
	munmap(m, 4096);
	assert_false(r->fault_ready[o.q]);
	/* cookies: the lowest that is free */
	answer(r, o.q, 3, 0);
	answer(r, o.q, 1, 0);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(report(r, 0, NB_NO_PASID, 100 + i, 0x10000, true), 0);
	for (unsigned int i = 0; i < 40; i++) {
		assert_int_equal(rd(r, o.q, f, 1), 40);
		assert_int_equal(f[0].cookie, i == 0 ? 1 : i == 1 ? 3 : i + 3);
		assert_int_equal(f[0].grpid, 100 + i);
	}
}

static void writing(void **state)
{
	struct rig *r = rig_of(state);
	struct one o = attach_one(r);
	struct iommu_hwpt_page_response w[4] = {{1, 0}, {2, 1}, {9, 0}, {3, 0}};
	struct iommu_hwpt_pgfault f[8];
	unsigned int settles;
	uint8_t *m;

	for (unsigned int i = 1; i <= 5; i++)
		report(r, 0, NB_NO_PASID, i, 0x1000 * i, true);
	assert_int_equal(answer(r, o.q, 1, 0), -EINVAL); /* not before it was read */
	assert_int_equal(rd(r, o.q, f, 8), 5 * 40);
	assert_int_equal(host_queue_write(r->fault[o.q], w, 8, 8), -ESPIPE);
	assert_int_equal(host_queue_write(r->fault[o.q], w, 7, 0), -ESPIPE);
	assert_int_equal(host_queue_write(r->fault[o.q], w, 9, 0), -ESPIPE);
	assert_int_equal(host_queue_write(r->fault[o.q], w, 0, 0), 0);
	assert_int_equal(host_queue_write(r->fault[o.q], (void *)8, 8, 0), -EFAULT);
	assert_int_equal(answer(r, o.q, 1, 2), -EINVAL);
	assert_int_equal(answer(r, o.q, 0, 0), -EINVAL);
	assert_int_equal(answer(r, o.q, 6, 0), -EINVAL);
	assert_int_equal(answer(r, o.q, UINT32_MAX, 0), -EINVAL);
	assert_int_equal(r->unit.nanswers, 0);
	/* as far as it goes */
	settles = r->nsettles;
	assert_int_equal(host_queue_write(r->fault[o.q], w, sizeof(w), 0), 16);
	assert_int_equal(r->nsettles, settles + 1);
	assert_int_equal(r->unit.nanswers, 2);
	assert_int_equal(r->unit.answer[0].resp.code, DRV_PAGE_SUCCESS);
	assert_int_equal(r->unit.answer[1].resp.code, DRV_PAGE_INVALID);
	assert_int_equal(r->unit.answer[1].resp.grpid, 2);
	r->unit.nanswers = 0;
	/* half of the buffer is not there */
	m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(m + 4096, 4096);
	memcpy(m + 4088, &w[3], 8);
	assert_int_equal(host_queue_write(r->fault[o.q], m + 4088, 16, 0), 8);
	answered(r, 0, NB_NO_PASID, 3, DRV_PAGE_SUCCESS);
	munmap(m, 4096);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(object), T(hwpt_alloc), T(no_page_requests), T(records), T(reading), T(writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
