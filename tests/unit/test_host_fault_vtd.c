/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests and interrupt messages the whole way: a test engine asks for a page, the unit's queue, the driver, the fault queue that a
 * user reads, the mapping it makes, its answer, and the engine's retry. The machine is a real one; only the descriptors are played.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/dmatest_regs.h"
#include "machine/machine.h"
#include "mem/guard.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define PG	 UINT64_C(0x1000)
#define RW	 (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define CONFIG	 (UINT64_C(7) << 40)
#define FAULT_FD 100
#define REC	 sizeof(struct iommu_hwpt_pgfault)

#define S1_ENTRY UINT64_C(0x7) /* present, writable, user */

static const uint16_t rids[2] = {0x0200, 0x8200};

struct vm {
	struct machine *m;
	struct iommufd_file *fd;
	struct vfio_file *vf[2];
	uint32_t dev[2], ioas;
	struct queue_file *_Atomic fault[2];
	_Atomic bool ready[2];
};

static int resolve(void *opaque, int fd, struct iommufd_file **out)
{
	struct vm *v = opaque;

	*out = v->fd;
	return fd == 7 ? 0 : -9;
}

static int fault_fd(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd)
{
	struct vm *v = opaque;
	int i = v->fault[0] ? 1 : 0;

	assert_int_equal(kind, HOST_QUEUE_FAULT);
	v->fault[i] = f;
	*fd = FAULT_FD + i;
	return 0;
}

static void fault_fd_abort(void *opaque, struct queue_file *f, int fd)
{
	struct vm *v = opaque;

	(void)f;
	v->fault[fd - FAULT_FD] = NULL;
}

static void fault_ready(void *opaque, struct queue_file *f, bool ready)
{
	struct vm *v = opaque;

	v->ready[v->fault[0] == f ? 0 : 1] = ready;
}

static long io(struct vm *v, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(v->fd, cmd, (uintptr_t)arg);
}

static void reg(struct vm *v, unsigned int i, uint32_t off, uint64_t x, unsigned int n)
{
	assert_int_equal(vfio_pwrite(v->vf[i], &x, n, off), n);
}
static uint64_t get(struct vm *v, unsigned int i, uint32_t off, unsigned int n)
{
	uint64_t x = 0;

	assert_int_equal(vfio_pread(v->vf[i], &x, n, off), n);
	return x;
}

static struct vm *up(const char *host)
{
	struct vm *v = calloc(1, sizeof(*v));
	struct machine_cfg cfg = {.desc = nb_desc_find(host),
				  .resolve_iommufd = resolve,
				  .opaque = v,
				  .queue_fd = fault_fd,
				  .queue_fd_abort = fault_fd_abort,
				  .queue_ready = fault_ready};
	struct iommu_ioas_alloc a = {.size = sizeof(a)};
	uint16_t command = 6;

	assert_int_equal(guard_init(), 0);
	assert_int_equal(machine_create(&cfg, &v->m, NULL), 0);
	assert_int_equal(iommufd_open(machine_host(v->m), &v->fd), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = 7};
		int n = machine_vfio_index(v->m, 0, rids[i]);

		assert_int_equal(vfio_open(machine_host(v->m), (unsigned int)n, &v->vf[i]), 0);
		assert_int_equal(vfio_ioctl(v->vf[i], VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b), 0);
		v->dev[i] = b.out_devid;
		assert_int_equal(vfio_pwrite(v->vf[i], &command, 2, CONFIG + 4), 2);
	}
	assert_int_equal(io(v, IOMMU_IOAS_ALLOC, &a), 0);
	v->ioas = a.out_ioas_id;
	return v;
}

static void down(struct vm *v)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (v->vf[i])
			vfio_close(v->vf[i]);
	}
	iommufd_close(v->fd);
	for (unsigned int i = 0; i < 2; i++) {
		if (v->fault[i])
			host_queue_close(v->fault[i]);
	}
	machine_destroy(v->m);
	free(v);
}

static uint32_t queue(struct vm *v)
{
	struct iommu_fault_alloc a = {.size = sizeof(a)};

	assert_int_equal(io(v, IOMMU_FAULT_QUEUE_ALLOC, &a), 0);
	return a.out_fault_id;
}

/* pt: IOAS, or the parent with the root of a stage-1 table. fault 0: without. */
static uint32_t hwpt(struct vm *v, unsigned int i, uint32_t pt, uint32_t flags, uint32_t fault, uint64_t s1)
{
	struct iommu_hwpt_vtd_s1 d = {.pgtbl_addr = s1, .addr_width = 48};
	struct iommu_hwpt_alloc a = {.size = sizeof(a),
				     .flags = flags | (fault ? (uint32_t)IOMMU_HWPT_FAULT_ID_VALID : 0),
				     .dev_id = v->dev[i],
				     .pt_id = pt,
				     .fault_id = fault};

	if (s1) {
		a.data_type = IOMMU_HWPT_DATA_VTD_S1;
		a.data_len = sizeof(d);
		a.data_uptr = (uintptr_t)&d;
	}
	assert_int_equal(io(v, IOMMU_HWPT_ALLOC, &a), 0);
	return a.out_hwpt_id;
}

static long attach(struct vm *v, unsigned int i, uint32_t pasid, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = {
		.argsz = sizeof(a), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = pt, .pasid = pasid};

	return vfio_ioctl(v->vf[i], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a);
}
static long detach(struct vm *v, unsigned int i, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt a = {
		.argsz = sizeof(a), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0, .pasid = pasid};

	return vfio_ioctl(v->vf[i], VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&a);
}

static void map(struct vm *v, const void *p, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map a = {.size = sizeof(a),
				   .flags = RW | IOMMU_IOAS_MAP_FIXED_IOVA,
				   .ioas_id = v->ioas,
				   .user_va = (uintptr_t)p,
				   .length = len,
				   .iova = iova};

	assert_int_equal(io(v, IOMMU_IOAS_MAP, &a), 0);
}

/* FILL through the device-TLB, asking for pages. */
static void fill(struct vm *v, unsigned int i, uint32_t pasid, uint64_t iova, uint64_t len, uint64_t pattern)
{
	reg(v, i, DMATEST_CONTROL, DMATEST_CONTROL_ATS | DMATEST_CONTROL_PRI, 4);
	reg(v, i, DMATEST_PASID, pasid ? pasid | DMATEST_PASID_EN : 0, 4);
	reg(v, i, DMATEST_DST, iova, 8);
	reg(v, i, DMATEST_LENGTH, len, 8);
	reg(v, i, DMATEST_PATTERN, pattern, 8);
	reg(v, i, DMATEST_COMMAND, DMATEST_CMD_FILL, 4);
}

static uint64_t status(struct vm *v, unsigned int i)
{
	return get(v, i, DMATEST_STATUS, 4);
}

static ssize_t answer(struct vm *v, unsigned int q, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response resp = {cookie, code};

	return host_queue_write(v->fault[q], &resp, sizeof(resp), 0);
}

static uint8_t *page(unsigned int n)
{
	uint8_t *p = aligned_alloc(4096, n * 4096);

	assert_non_null(p);
	memset(p, 0, n * 4096);
	return p;
}

static void map_on_demand(void **state)
{
	struct vm *v = up("spr-fixed");
	uint32_t h = hwpt(v, 0, v->ioas, 0, queue(v), 0);
	uint8_t *mem = page(2);
	struct iommu_hwpt_pgfault f[4];

	(void)state;
	assert_int_equal(attach(v, 0, 0, h), 0);
	fill(v, 0, 0, 0x10000, 2 * PG, 0x1111111111111111);
	assert_int_equal(status(v, 0), DMATEST_STATUS_WAITING);
	for (unsigned int k = 0; k < 2; k++) { /* page after page */
		assert_true(v->ready[0]);
		assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
		assert_false(v->ready[0]);
		assert_int_equal(f[0].dev_id, v->dev[0]);
		assert_int_equal(f[0].flags & 3, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
		assert_int_equal(f[0].addr, 0x10000 + k * PG);
		assert_int_equal(f[0].perm & IOMMU_PGFAULT_PERM_WRITE, IOMMU_PGFAULT_PERM_WRITE);
		map(v, mem + k * PG, 0x10000 + k * PG, PG);
		assert_int_equal(status(v, 0), DMATEST_STATUS_WAITING); /* not before it is told */
		assert_int_equal(answer(v, 0, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS), 8);
	}
	assert_int_equal(status(v, 0), DMATEST_STATUS_DONE);
	for (unsigned int k = 0; k < 2 * PG; k++)
		assert_int_equal(mem[k], 0x11);
	/* no */
	fill(v, 0, 0, 0x20000, 8, 1);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
	assert_int_equal(answer(v, 0, f[0].cookie, IOMMUFD_PAGE_RESP_INVALID), 8);
	assert_int_equal(status(v, 0), DMATEST_STATUS_ERROR);
	assert_int_equal(get(v, 0, DMATEST_ERROR, 4), DMATEST_ERROR_INVALID);
	assert_int_equal(get(v, 0, DMATEST_UNEXPECTED, 8), 0);
	down(v);
	free(mem);
}

/* However the attachment ends, the engine hears of it, and a late answer is refused. */
static void ends(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 5; how++) {
		struct vm *v = up("spr-fixed");
		uint32_t q = queue(v), h = hwpt(v, 0, v->ioas, 0, q, 0), h2 = hwpt(v, 0, v->ioas, 0, q, 0);
		uint32_t plain = hwpt(v, 0, v->ioas, 0, 0, 0);
		struct iommu_hwpt_pgfault f[4];

		assert_int_equal(attach(v, 0, 0, h), 0);
		fill(v, 0, 0, 0x10000, 8, 1);
		if (how & 1)
			assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
		switch (how) {
		case 0:
		case 1:
			assert_int_equal(detach(v, 0, 0), 0);
			break;
		case 2:
			assert_int_equal(attach(v, 0, 0, h2), 0);
			break;
		case 3:
			assert_int_equal(attach(v, 0, 0, plain), 0);
			break;
		default:
			vfio_close(v->vf[0]);
			v->vf[0] = NULL;
			break;
		}
		assert_false(v->ready[0]);
		assert_int_equal(host_queue_read(v->fault[0], f + 1, REC, 0), 0);
		if (how & 1)
			assert_int_equal(answer(v, 0, f[0].cookie, 0), -EINVAL);
		if (v->vf[0]) {
			assert_int_equal(status(v, 0), DMATEST_STATUS_ERROR);
			assert_int_equal(get(v, 0, DMATEST_ERROR, 4), DMATEST_ERROR_INVALID);
			assert_int_equal(get(v, 0, DMATEST_UNEXPECTED, 8), 0);
		}
		if (how == 2) { /* the next one works */
			fill(v, 0, 0, 0x10000, 8, 1);
			assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
			assert_int_equal(answer(v, 0, f[0].cookie, 1), 8);
		}
		down(v);
	}
}

/* The answer comes when the engine was reset: it is no answer to anything, and the next request is answered. */
static void reset_while_waiting(void **state)
{
	struct vm *v = up("spr-fixed");
	uint32_t h = hwpt(v, 0, v->ioas, 0, queue(v), 0);
	struct iommu_hwpt_pgfault f[4];
	uint8_t *mem = page(1);
	uint16_t command = 6;

	(void)state;
	assert_int_equal(attach(v, 0, 0, h), 0);
	fill(v, 0, 0, 0x10000, 8, 1);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
	assert_int_equal(vfio_ioctl(v->vf[0], VFIO_DEVICE_RESET, 0), 0);
	assert_int_equal(vfio_pwrite(v->vf[0], &command, 2, CONFIG + 4), 2);
	assert_int_equal(get(v, 0, DMATEST_FEATURES, 4) & (DMATEST_FEATURE_ATS_ON | DMATEST_FEATURE_PRI_ON),
			 DMATEST_FEATURE_ATS_ON | DMATEST_FEATURE_PRI_ON);
	assert_int_equal(answer(v, 0, f[0].cookie, 0), 8);
	assert_int_equal(status(v, 0), DMATEST_STATUS_IDLE);
	fill(v, 0, 0, 0x10000, 8, 0x2222222222222222);
	assert_int_equal(status(v, 0), DMATEST_STATUS_WAITING);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
	map(v, mem, 0x10000, PG);
	assert_int_equal(answer(v, 0, f[0].cookie, 0), 8);
	assert_int_equal(status(v, 0), DMATEST_STATUS_DONE);
	assert_int_equal(mem[7], 0x22);
	down(v);
	free(mem);
}

/* A guest's own table for one PASID: the VMM makes the entry that is missing. Two groups at once, two PASIDs, two engines. */
static void nested(void **state)
{
	struct vm *v = up("spr-fixed");
	uint32_t q0 = queue(v), q1 = queue(v), parent, n[2];
	uint64_t *ram = (uint64_t *)(void *)page(32); /* GPA 0x100000: tables in pages 0 to 3 and 4 to 7, data from 16 on */
	const uint64_t gpa = 0x100000;
	struct iommu_hwpt_pgfault f[4];

	(void)state;
	map(v, ram, gpa, 32 * PG);
	parent = hwpt(v, 0, v->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, 0);
	for (unsigned int k = 0; k < 2; k++) {
		uint64_t *t = ram + k * 4 * 512;

		for (unsigned int l = 0; l < 3; l++) /* three levels; the fourth is empty */
			t[l * 512] = (gpa + (k * 4 + l + 1) * PG) | S1_ENTRY;
		n[k] = hwpt(v, 0, parent, IOMMU_HWPT_ALLOC_PASID, k ? q1 : q0, gpa + k * 4 * PG);
	}
	assert_int_equal(attach(v, 0, 5, n[0]), 0);
	assert_int_equal(attach(v, 0, 6, n[1]), 0);
	assert_int_equal(attach(v, 1, 6, n[1]), 0);
	fill(v, 0, 5, 0x3000, 8, 0x55);
	fill(v, 1, 6, 0x4000, 8, 0x66);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), REC);
	assert_int_equal(f[0].flags & 3, 3);
	assert_int_equal(f[0].pasid, 5);
	assert_int_equal(f[0].dev_id, v->dev[0]);
	assert_int_equal(f[0].addr, 0x3000);
	assert_int_equal(host_queue_read(v->fault[1], f + 1, REC, 0), REC);
	assert_int_equal(f[1].pasid, 6);
	assert_int_equal(f[1].dev_id, v->dev[1]);
	assert_int_equal(f[1].addr, 0x4000);
	ram[(4 + 3) * 512 + 4] = (gpa + 17 * PG) | S1_ENTRY;
	assert_int_equal(answer(v, 1, f[1].cookie, 0), 8);
	assert_int_equal(status(v, 1), DMATEST_STATUS_DONE);
	assert_int_equal(ram[17 * 512], 0x66);
	assert_int_equal(status(v, 0), DMATEST_STATUS_WAITING);
	/* the other PASID of this function goes: nothing of ours */
	assert_int_equal(detach(v, 0, 6), 0);
	assert_int_equal(status(v, 0), DMATEST_STATUS_WAITING);
	ram[3 * 512 + 3] = (gpa + 16 * PG) | S1_ENTRY;
	assert_int_equal(answer(v, 0, f[0].cookie, 0), 8);
	assert_int_equal(status(v, 0), DMATEST_STATUS_DONE);
	assert_int_equal(ram[16 * 512], 0x55);
	/* a PASID without a route: the engine is told no, whoever else is attached */
	fill(v, 0, 6, 0x4000, 8, 1);
	assert_int_equal(status(v, 0), DMATEST_STATUS_ERROR);
	assert_false(v->ready[0] || v->ready[1]);
	down(v);
	free(ram);
}

/* Raw requests: a group of three, groups of one, one that never ends. */
static void groups(void **state)
{
	struct vm *v = up("spr-fixed");
	uint32_t h = hwpt(v, 0, v->ioas, 0, queue(v), 0);
	struct iommu_hwpt_pgfault f[16];

	(void)state;
	assert_int_equal(attach(v, 0, 0, h), 0);
	reg(v, 0, DMATEST_SRC, 0x50000, 8);
	reg(v, 0, DMATEST_LENGTH, 3, 8);
	reg(v, 0, DMATEST_REQUEST, 33 | DMATEST_REQUEST_READ | DMATEST_REQUEST_LAST, 4);
	reg(v, 0, DMATEST_COMMAND, DMATEST_CMD_PAGE_REQUEST, 4);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), 3 * REC);
	for (unsigned int k = 0; k < 3; k++) {
		assert_int_equal(f[k].grpid, 33);
		assert_int_equal(f[k].addr, 0x50000 + k * PG);
		assert_int_equal(f[k].flags & 2, k == 2 ? 2 : 0);
	}
	assert_int_equal(answer(v, 0, f[0].cookie, 0), 8);
	assert_int_equal(get(v, 0, DMATEST_RESPONSES, 8), 1);
	reg(v, 0, DMATEST_REQUEST, 40 | DMATEST_REQUEST_READ, 4); /* no last */
	reg(v, 0, DMATEST_COMMAND, DMATEST_CMD_PAGE_REQUEST, 4);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), 0);
	reg(v, 0, DMATEST_LENGTH, 16, 8);
	reg(v, 0, DMATEST_REQUEST, 100 | DMATEST_REQUEST_READ | DMATEST_REQUEST_LAST | DMATEST_REQUEST_EACH, 4);
	reg(v, 0, DMATEST_COMMAND, DMATEST_CMD_PAGE_REQUEST, 4);
	assert_int_equal(host_queue_read(v->fault[0], f, sizeof(f), 0), 16 * REC);
	for (unsigned int k = 0; k < 16; k++)
		assert_int_equal(answer(v, 0, f[15 - k].cookie, k & 1), 8);
	assert_int_equal(get(v, 0, DMATEST_RESPONSES, 8), 17);
	assert_int_equal(get(v, 0, DMATEST_UNEXPECTED, 8), 0);
	down(v);
}

/* Hosts without page requests: no. */
static void not_there(void **state)
{
	struct vm *v = up("legacy");
	uint32_t h = hwpt(v, 0, v->ioas, 0, queue(v), 0);

	(void)state;
	assert_int_equal(attach(v, 0, 0, h), -ENODEV);
	assert_int_equal(attach(v, 0, 0, v->ioas), 0);
	assert_int_equal(attach(v, 0, 0, h), -ENODEV);
	down(v);
}

/* A message of the engine passes the unit's remapping on its way to the owner's eventfd. */
static void interrupts(void **state)
{
	static const char *const hosts[] = {"spr-fixed", "legacy", "incoherent"};

	(void)state;
	for (unsigned int k = 0; k < 3; k++) {
		struct vm *v = up(hosts[k]);
		struct nb_trace *tr = machine_trace(v->m);

		for (uint32_t index = VFIO_PCI_MSI_IRQ_INDEX; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
			struct {
				uint32_t h[5];
				int32_t e[4];
			} q = {{36, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 4}, {0}};
			uint64_t n, before = nb_trace_count(tr, NB_EV_hw_intr);

			for (unsigned int i = 0; i < 4; i++)
				q.e[i] = eventfd(0, EFD_NONBLOCK);
			assert_int_equal(vfio_ioctl(v->vf[0], VFIO_DEVICE_SET_IRQS, (uintptr_t)&q), 0);
			for (unsigned int i = 0; i < 4; i++) {
				reg(v, 0, DMATEST_CONTROL, DMATEST_CONTROL_INT_EN | i << 8, 4);
				reg(v, 0, DMATEST_COMMAND, DMATEST_CMD_NOP, 4);
				for (unsigned int j = 0; j < 4; j++)
					assert_int_equal(read(q.e[j], &n, 8), i == j ? 8 : -1);
			}
			assert_int_equal(nb_trace_count(tr, NB_EV_hw_intr), before + 4);
			assert_int_equal(nb_trace_count(tr, NB_EV_hw_intr_blocked), 0);
			{
				uint32_t off[5] = {20, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0};

				assert_int_equal(vfio_ioctl(v->vf[0], VFIO_DEVICE_SET_IRQS, (uintptr_t)off), 0);
			}
			for (unsigned int i = 0; i < 4; i++)
				close(q.e[i]);
		}
		down(v);
	}
}

/*
 * Two engines that ask, one user that maps and answers, and one thread that takes the attachments away and gives them back. Every command
 * ends: done, or told no. Nothing waits for ever.
 */
static struct vm *V;
static _Atomic bool stop, halt;
static _Atomic unsigned int served, told_no, moves;
#define COMMANDS 400u
#define MOVES	 300u
static uint32_t tables[2][2];

static void *engine(void *arg)
{
	unsigned int i = *(unsigned int *)arg;

	for (unsigned int n = 0; n < COMMANDS || atomic_load(&moves) < MOVES; n++) {
		fill(V, i, 0, 0x1000000 * (i + 1) + n % 64 * PG, 16, n);
		while (status(V, i) == DMATEST_STATUS_WAITING)
			sched_yield();
		if (status(V, i) == DMATEST_STATUS_ERROR)
			atomic_fetch_add(&told_no, 1);
	}
	return NULL;
}

static void *user(void *arg)
{
	uint8_t *mem = arg;

	while (!atomic_load(&stop)) {
		struct iommu_hwpt_pgfault f[8];
		ssize_t got = host_queue_read(V->fault[0], f, sizeof(f), 0);

		for (ssize_t k = 0; k < got / (ssize_t)REC; k++) {
			struct iommu_ioas_map a = {.size = sizeof(a),
						   .flags = RW | IOMMU_IOAS_MAP_FIXED_IOVA,
						   .ioas_id = V->ioas,
						   .user_va = (uintptr_t)(mem + f[k].addr / PG % 64 * PG),
						   .length = PG,
						   .iova = f[k].addr & ~(PG - 1)};
			struct iommu_ioas_unmap u = {sizeof(u), V->ioas, 0x1000000 * (1 + (uint64_t)k % 2), 64 * PG};

			if (served % 50 == 0)
				(void)io(V, IOMMU_IOAS_UNMAP, &u);
			(void)io(V, IOMMU_IOAS_MAP, &a);
			if (answer(V, 0, f[k].cookie, 0) == 8)
				atomic_fetch_add(&served, 1);
		}
		sched_yield();
	}
	return NULL;
}

static void *mover(void *arg)
{
	(void)arg;
	for (unsigned int n = 0; !atomic_load(&halt); n++) {
		unsigned int i = n & 1;

		if (n % 7 == 0)
			(void)detach(V, i, 0);
		assert_int_equal(attach(V, i, 0, tables[i][n >> 1 & 1]), 0);
		atomic_fetch_add(&moves, 1);
		for (unsigned int k = 0; k < 10; k++)
			sched_yield();
	}
	return NULL;
}

static void all_at_once(void **state)
{
	static const unsigned int fn[2] = {0, 1};
	uint8_t *mem = page(64);
	pthread_t e[2], u, m;
	struct nb_trace *tr;
	uint32_t q;

	(void)state;
	V = up("spr-fixed");
	q = queue(V);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 2; k++)
			tables[i][k] = hwpt(V, i, V->ioas, 0, q, 0);
		assert_int_equal(attach(V, i, 0, tables[i][0]), 0);
	}
	pthread_create(&u, NULL, user, mem);
	for (unsigned int i = 0; i < 2; i++)
		pthread_create(&e[i], NULL, engine, (void *)(uintptr_t)&fn[i]);
	pthread_create(&m, NULL, mover, NULL);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(e[i], NULL);
	atomic_store(&halt, true);
	pthread_join(m, NULL);
	atomic_store(&stop, true);
	pthread_join(u, NULL);
	assert_true(served > 0);
	tr = machine_trace(V->m);
	/*
	 * Each request was a group of its own, and each was answered once: by the user, by the host when an attachment ended, or by the
	 * unit. (Whether the engine still wanted to hear it is another matter: the answer may be on its way while page requests are
	 * switched off and on.)
	 */
	assert_int_equal(nb_trace_count(tr, NB_EV_hw_page_response), nb_trace_count(tr, NB_EV_hw_page_request));
	assert_int_equal(nb_trace_count(tr, NB_EV_drv_page_response), nb_trace_count(tr, NB_EV_drv_page_request));
	/* what the host took, it answered */
	assert_true(nb_trace_count(tr, NB_EV_host_fault) <=
		    nb_trace_count(tr, NB_EV_host_fault_response) + nb_trace_count(tr, NB_EV_host_fault_dropped));
	down(V);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_on_demand), cmocka_unit_test(ends),      cmocka_unit_test(reset_while_waiting),
		cmocka_unit_test(nested),	 cmocka_unit_test(groups),    cmocka_unit_test(not_there),
		cmocka_unit_test(interrupts),	 cmocka_unit_test(all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
