/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of a vIOMMU's events: numbers, losses, what a read gives and when it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "host/veventq.h"
#include "host_fake_viommu.h"

#define EV  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define HDR sizeof(struct iommufd_vevent_header)
#define REC (HDR + sizeof(struct iommu_vevent_arm_smmuv3))

struct rec {
	struct iommufd_vevent_header h;
	struct iommu_vevent_arm_smmuv3 e;
};
_Static_assert(sizeof(struct rec) == REC, "no holes");

static long queue_try(struct rig *r, uint32_t v, uint32_t type, uint32_t depth, struct iommu_veventq_alloc *a)
{
	*a = (struct iommu_veventq_alloc){.size = sizeof(*a), .viommu_id = v, .type = type, .veventq_depth = depth};
	return rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, a);
}

/* Its place in r->fault. */
static unsigned int queue(struct rig *r, uint32_t v, uint32_t depth, uint32_t *id)
{
	struct iommu_veventq_alloc a;

	assert_int_equal(queue_try(r, v, EV, depth, &a), 0);
	assert_int_equal(r->queue_kind, HOST_QUEUE_EVENT);
	if (id)
		*id = a.out_veventq_id;
	return a.out_veventq_fd - RIG_FAULT_FD;
}

static int event(uint64_t word)
{
	struct iommu_vevent_arm_smmuv3 e = {{word, 1, 2, 3}};

	return drv_of(0)->report_event(drv_of(0), EV, &e, sizeof(e));
}

static ssize_t rd(struct rig *r, unsigned int q, void *buf, size_t len)
{
	return host_queue_read(r->fault[q], buf, len, 0);
}

static void one(struct rig *r, unsigned int q, uint32_t sequence, uint64_t word)
{
	struct rec x;

	memset(&x, 0xff, sizeof(x));
	assert_int_equal(rd(r, q, &x, sizeof(x)), REC);
	assert_int_equal(x.h.flags, 0);
	assert_int_equal(x.h.sequence, sequence);
	assert_int_equal(x.e.evt[0], word);
	assert_int_equal(x.e.evt[3], 3);
}

static void lost(struct rig *r, unsigned int q, uint32_t sequence)
{
	struct rec x;

	memset(&x, 0xff, sizeof(x));
	assert_int_equal(rd(r, q, &x, sizeof(x)), HDR);
	assert_int_equal(x.h.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(x.h.sequence, sequence);
	assert_int_equal(x.e.evt[0], UINT64_MAX); /* nothing but the header */
}

static void empty(struct rig *r, unsigned int q)
{
	uint8_t b[8];

	assert_int_equal(rd(r, q, b, sizeof(b)), 0);
	assert_false(r->fault_ready[q]);
}

static struct vm vm_with_device(struct rig *r)
{
	struct vm vm = vm_new(r, PLAIN);

	vdevice(r, vm.v, 0, 5);
	return vm;
}

static void alloc(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	struct iommu_veventq_alloc a;
	uint32_t id, v2;
	unsigned int q;

	a = (struct iommu_veventq_alloc){.size = sizeof(a), .flags = 1, .viommu_id = vm.v, .type = EV, .veventq_depth = 1};
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &a), -EOPNOTSUPP);
	a.flags = 0;
	a.__reserved = 1;
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &a), -EOPNOTSUPP);
	assert_int_equal(queue_try(r, 77, 0, 0, &a), -EOPNOTSUPP);
	assert_int_equal(queue_try(r, 77, EV, 0, &a), -EINVAL);
	assert_int_equal(queue_try(r, 77, EV, (1u << 19) + 1, &a), -EINVAL);
	assert_int_equal(queue_try(r, 77, EV, 1u << 19, &a), -ENOENT);
	assert_int_equal(queue_try(r, vm.parent, EV, 1, &a), -ENOENT);
	r->fault_fd_err = -EMFILE;
	assert_int_equal(queue_try(r, vm.v, EV, 1, &a), -EMFILE);
	r->fault_fd_err = 0;
	assert_int_equal(event(1), -EOPNOTSUPP); /* nobody listens */
	q = queue(r, vm.v, 1u << 19, &id);
	assert_int_equal(id, vm.v + 2);
	r->fault_fd_err = -EMFILE; /* before there is a descriptor for it */
	assert_int_equal(queue_try(r, vm.v, EV, 1, &a), -EEXIST);
	r->fault_fd_err = 0;
	/* Any type will do, one of each, in each vIOMMU. */
	assert_int_equal(queue_try(r, vm.v, 0xfeedbeef, 1, &a), 0);
	v2 = viommu(r, 0, PLAIN, vm.parent);
	assert_int_equal(queue_try(r, v2, EV, 1, &a), 0);
	assert_int_equal(rig_destroy(r, v2), -EBUSY);
	/* The struct of the first kernel ends behind the descriptor. */
	a = (struct iommu_veventq_alloc){.size = 28, .viommu_id = v2, .type = 9, .veventq_depth = 1, .__reserved = 7};
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, &a), 0);
	/* The descriptor holds the object, and it the vIOMMU. */
	assert_int_equal(rig_destroy(r, id), -EBUSY);
	assert_int_equal(event(1), 0);
	rig_fault_close(r, q);
	assert_int_equal(event(2), 0); /* into a queue that nobody can read any more: nobody is told */
	assert_int_equal(rig_destroy(r, id), 0); /* with what is in it */
	assert_int_equal(event(3), -EOPNOTSUPP);
	queue(r, vm.v, 1, NULL); /* the type is free again */
}

static void answer_lost(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	struct iommu_veventq_alloc a = {.size = sizeof(a), .viommu_id = vm.v, .type = EV, .veventq_depth = 1};
	char *m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(m, &a, sizeof(a));
	assert_int_equal(mprotect(m, PG, PROT_READ), 0);
	assert_int_equal(rig_ioctl(r, IOMMU_VEVENTQ_ALLOC, m), -EFAULT);
	assert_int_equal(r->nfault_aborts, 1);
	assert_int_equal(r->nfaults, 0);
	assert_int_equal(event(1), -EOPNOTSUPP);
	queue(r, vm.v, 1, NULL);
	munmap(m, PG);
}

static void records(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	unsigned int q = queue(r, vm.v, 8, NULL);
	struct rec x[4];
	uint8_t small[REC + HDR];

	empty(r, q);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(event(100 + i), 0);
	assert_true(r->fault_ready[q]);
	one(r, q, 0, 100);
	/* As many whole ones as fit. */
	assert_int_equal(event(103), 0);
	assert_int_equal(rd(r, q, x, 2 * REC + REC - 1), 2 * REC);
	assert_int_equal(x[1].h.sequence, 2);
	assert_int_equal(x[1].e.evt[0], 102);
	assert_true(r->fault_ready[q]);
	/* The first must fit. */
	assert_int_equal(rd(r, q, x, REC - 1), -EINVAL);
	assert_int_equal(rd(r, q, x, HDR), -EINVAL);
	assert_int_equal(rd(r, q, small, sizeof(small)), REC);
	empty(r, q);
	/* Other refusals. */
	assert_int_equal(host_queue_read(r->fault[q], x, sizeof(x), 8), -ESPIPE);
	assert_int_equal(rd(r, q, x, 7), -EINVAL); /* empty as it is */
	assert_int_equal(rd(r, q, x, 0), -EINVAL);
	assert_int_equal(host_queue_write(r->fault[q], x, sizeof(x), 0), -EINVAL);
	assert_int_equal(host_queue_write(r->fault[q], x, 0, 0), -EINVAL);
	/* Payloads are as long as they are. */
	assert_int_equal(drv_of(0)->report_event(drv_of(0), EV, "abc", 3), 0);
	assert_int_equal(rd(r, q, small, HDR + 2), -EINVAL);
	assert_int_equal(rd(r, q, small, HDR + 3), HDR + 3);
	assert_memory_equal(small + HDR, "abc", 3);
	assert_int_equal(drv_of(0)->report_event(drv_of(0), EV + 1, "abc", 3), -EOPNOTSUPP); /* no such queue */
}

static void bad_buffers(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	unsigned int q = queue(r, vm.v, 2, NULL);
	char *m = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(m + PG, PG);
	assert_int_equal(rd(r, q, (void *)8, 100), 0); /* empty: never looked at */
	assert_int_equal(event(1), 0);
	assert_int_equal(event(2), 0);
	assert_int_equal(rd(r, q, (void *)8, 100), -EFAULT);
	assert_int_equal(rd(r, q, m + PG - HDR, 100), -EFAULT); /* in the middle of a record: none of it counts */
	assert_true(r->fault_ready[q]);
	assert_int_equal(rd(r, q, m + PG - REC - 1, 2 * REC), REC);
	assert_true(r->fault_ready[q]);
	one(r, q, 1, 2);
	empty(r, q);
	/* The header of losses comes back too. */
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(event(i), 0);
	one(r, q, 2, 0);
	one(r, q, 3, 1);
	assert_int_equal(rd(r, q, (void *)8, 100), -EFAULT);
	assert_true(r->fault_ready[q]);
	lost(r, q, 4);
	empty(r, q);
	munmap(m, PG);
}

static void losses(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	unsigned int q = queue(r, vm.v, 2, NULL);
	struct rec x[4];

	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(event(i), 0); /* full is no error */
	/* At the end: one header, with the last number. It takes no place. */
	one(r, q, 0, 0);
	assert_int_equal(event(6), 0); /* there is room again, so the header goes and only the gap tells */
	one(r, q, 1, 1);
	one(r, q, 6, 6);
	empty(r, q);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_vevent_lost), 4);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_host_vevent), 3);
	/* In one read with the events before it. */
	for (uint64_t i = 7; i < 10; i++)
		assert_int_equal(event(i), 0);
	assert_int_equal(rd(r, q, x, sizeof(x)), 2 * REC + HDR);
	assert_int_equal(x[2].h.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	assert_int_equal(x[2].h.sequence, 9);
	empty(r, q);
	/* The header moves along while losses go on, also after one was read. */
	for (uint64_t i = 10; i < 13; i++)
		assert_int_equal(event(i), 0);
	assert_int_equal(event(13), 0);
	one(r, q, 10, 10);
	one(r, q, 11, 11);
	lost(r, q, 13);
	empty(r, q);
	/* A read of nothing but a header needs no more room than that. */
	assert_int_equal(event(14), 0);
	assert_int_equal(event(15), 0);
	assert_int_equal(event(16), 0);
	one(r, q, 14, 14);
	one(r, q, 15, 15);
	assert_int_equal(rd(r, q, x, HDR), HDR);
	assert_int_equal(x[0].h.sequence, 16);
	empty(r, q);
}

/* Want of memory is a loss like any other. */
static void no_memory(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	unsigned int q = queue(r, vm.v, 2, NULL);

	nb_fail_nth_arm(1);
	assert_int_equal(event(0), -ENOMEM); /* the driver has it in its own log then; a full queue is no error */
	assert_true(nb_fail_nth_fired());
	nb_fail_nth_arm(0);
	lost(r, q, 0);
	empty(r, q);
	assert_int_equal(event(1), 0);
	one(r, q, 1, 1);
}

static void wrap(void **state)
{
	struct rig *r = rig_of(state);
	struct vm vm = vm_with_device(r);
	unsigned int q = queue(r, vm.v, 4, NULL);

	veventq_of(&r->fault[q]->obj)->sequence = 0x7ffffffe; /* two billion events later */
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(event(i), 0);
	one(r, q, 0x7ffffffe, 0);
	one(r, q, 0x7fffffff, 1);
	one(r, q, 0, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, v_setup, v_teardown)
	const struct CMUnitTest tests[] = {T(alloc),  T(answer_lost), T(records), T(bad_buffers),
					   T(losses), T(no_memory),   T(wrap)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
