/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of fault queues share: requests are put in where a driver reports them. After host_rig.h's own needs. */
#ifndef NB_TESTS_HOST_FAULT_H
#define NB_TESTS_HOST_FAULT_H

#include "host_rig.h"

#define PASID_FLAG IOMMU_HWPT_ALLOC_PASID
#define REC	   sizeof(struct iommu_hwpt_pgfault)

static inline int setup(void **state)
{
	*state = rig_new();
	return 0;
}
static inline int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static inline int report(struct rig *r, unsigned int i, uint32_t pasid, uint32_t grpid, uint64_t addr, bool last)
{
	const struct drv_page_request pr = {
		.addr = addr, .pasid = pasid, .grpid = grpid, .perm = DRV_PERM_READ, .last = last, .needs_pasid = false};

	return r->dev[i].report_fault(&r->dev[i], &pr);
}

static inline ssize_t rd(struct rig *r, unsigned int q, struct iommu_hwpt_pgfault *f, unsigned int n)
{
	return host_queue_read(r->fault[q], f, n * REC, 0);
}

static inline ssize_t answer(struct rig *r, unsigned int q, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response resp = {cookie, code};

	return host_queue_write(r->fault[q], &resp, sizeof(resp), 0);
}

/* The only answer since the last look. */
static inline void answered(struct rig *r, unsigned int i, uint32_t pasid, uint32_t grpid, enum drv_page_code code)
{
	assert_int_equal(r->unit.nanswers, 1);
	assert_int_equal(r->unit.answer[0].rid, RID(i));
	assert_int_equal(r->unit.answer[0].resp.pasid, pasid);
	assert_int_equal(r->unit.answer[0].resp.grpid, grpid);
	assert_int_equal(r->unit.answer[0].resp.code, code);
	r->unit.nanswers = 0;
}

/* Function 0 bound and attached to a paging HWPT with a queue. */
struct one {
	uint32_t ioas, fault, hwpt;
	unsigned int q;
};
static inline struct one attach_one(struct rig *r)
{
	struct one o;

	rig_bind(r, 0);
	o.ioas = rig_ioas(r);
	o.fault = rig_fault(r, &o.q);
	o.hwpt = rig_hwpt_fault(r, 0, o.ioas, 0, false, o.fault);
	assert_int_equal(rig_attach(r, 0, o.hwpt), 0);
	assert_true(rig_attached[RID(0)]->iopf);
	return o;
}

#endif
