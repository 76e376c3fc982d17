/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bench for the host's core alone: a driver that only remembers what it was asked, and two dmatest functions in two groups plus
 * one more in the second group. (The real driver and the real hardware are behind test_host_vtd.c.)
 */
#ifndef NB_TESTS_HOST_RIG_H
#define NB_TESTS_HOST_RIG_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/trace.h"
#include "dev/dev.h"
#include "host/host.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"
#include "host_fake.h"

#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

#define NFN 3
#define RID(i) ((uint16_t)(0x100 * ((i) + 1)))

struct rig {
	struct mem mem;
	struct nb_trace *tr;
	struct host *host;
	struct fake_unit unit;
	struct drv_dev dev[NFN];
	struct dev_fn *fn[NFN];
	struct host_function *hf[NFN];
	struct vfio_file *vf[NFN];
	uint32_t devid[NFN];
	struct iommufd_file *fd, *fd2; /* descriptors 10 and 11 */
	bool quiet; /* with threads: no log */
	char log[512];
	unsigned int nlog;
	/* fault queues: descriptor RIG_FAULT_FD + i */
	struct queue_file *_Atomic fault[8];
	_Atomic bool fault_ready[8];
	unsigned int nfaults, nfault_aborts;
	int fault_fd_err;
	enum host_queue_kind queue_kind; /* of the last */
	_Atomic unsigned int nsettles;
	void (*in_settle)(struct rig *r);
	/* messages that functions sent, when with_msi */
	bool with_msi;
	uint64_t msi_addr;
	uint32_t msi_data;
	unsigned int nmsi;
	uint64_t node_ino; /* a file of this inode stands for a device node */
	int pages_fd;	   /* registers of the unit that can be mapped, from register 0 on */
};
#define RIG_FAULT_FD 100

static inline int rig_dma(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	(void)opaque, (void)pasid, (void)addr, (void)buf, (void)len;
	return -EFAULT;
}
static inline int rig_dma_w(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	(void)opaque, (void)pasid, (void)addr, (void)buf, (void)len;
	return -EFAULT;
}

struct rig_slot {
	struct rig *r;
	unsigned int i;
};
static struct rig_slot rig_slots[NFN];
/* What functions get, for tests of doorbells: set before rig_new_msi(true). Then msi_addr and msi_data are all that becomes of a message. */
static struct host_doorbell *rig_doorbell;
static bool rig_guest_msi;
static void (*rig_in_msi)(void);

static inline void rig_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	struct rig_slot *s = opaque;

	if (s->r->hf[s->i])
		host_function_irq(s->r->hf[s->i], kind, vector, level);
}

/* What a unit that remaps (or does not) would do with the message: look its handle up, or take the vector out of it. */
static inline int rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig_slot *s = opaque;
	struct fake_unit *u = &s->r->unit;

	s->r->msi_addr = addr;
	s->r->msi_data = data;
	s->r->nmsi++;
	if (rig_in_msi)
		rig_in_msi();
	if (rig_doorbell)
		return 0;
	assert_int_equal(addr >> 20, 0xfee);
	if (addr & 0x10) {
		struct fake_irq *q = &u->irq[addr >> 5 & 0x7fff];

		if (q->mapped && q->rid == s->r->dev[s->i].rid && data < q->n)
			host_deliver(s->r->host, q->target[data].dest, q->target[data].vector);
	} else {
		host_deliver(s->r->host, addr >> 12 & 0xff, (uint8_t)data);
	}
	return 0;
}

static inline bool rig_is_node(void *opaque, int fd)
{
	const struct rig *r = opaque;
	struct stat st;

	return r->node_ino && fstat(fd, &st) == 0 && st.st_ino == r->node_ino;
}

static inline int rig_fault_fd(void *opaque, struct queue_file *f, enum host_queue_kind kind, int *fd)
{
	struct rig *r = opaque;

	r->queue_kind = kind;
	if (r->fault_fd_err)
		return r->fault_fd_err;
	for (unsigned int i = 0; i < ARRAY_SIZE(r->fault); i++) {
		if (r->fault[i])
			continue;
		r->fault[i] = f;
		r->fault_ready[i] = false;
		r->nfaults++;
		*fd = RIG_FAULT_FD + (int)i;
		return 0;
	}
	return -EMFILE;
}

static inline void rig_fault_fd_abort(void *opaque, struct queue_file *f, int fd)
{
	struct rig *r = opaque;

	assert_ptr_equal(r->fault[fd - RIG_FAULT_FD], f);
	r->fault[fd - RIG_FAULT_FD] = NULL;
	r->nfaults--;
	r->nfault_aborts++;
}

static inline void rig_fault_ready(void *opaque, struct queue_file *f, bool ready)
{
	struct rig *r = opaque;

	for (unsigned int i = 0; i < ARRAY_SIZE(r->fault); i++) {
		if (r->fault[i] == f) {
			r->fault_ready[i] = ready;
			return;
		}
	}
	fail_msg("readiness of a queue that is closed");
}

static inline void rig_fault_close(struct rig *r, unsigned int i)
{
	struct queue_file *f = r->fault[i];

	assert_non_null(f);
	host_queue_close(f); /* may still be told about while it runs */
	r->fault[i] = NULL;
	r->nfaults--;
}

static inline void rig_settle(void *opaque)
{
	struct rig *r = opaque;

	r->nsettles++;
	if (r->in_settle)
		r->in_settle(r);
}

static inline int rig_unit_pages(void *opaque, struct drv_iommu *iommu, uint64_t reg, uint64_t len, int *fd, uint64_t *fd_off)
{
	struct rig *r = opaque;

	assert_true(iommu->ops && len);
	*fd = r->pages_fd;
	*fd_off = reg;
	return 0;
}

static inline int rig_resolve(void *opaque, int fd, struct iommufd_file **out)
{
	struct rig *r = opaque;

	if (fd == 10)
		*out = r->fd;
	else if (fd == 11)
		*out = r->fd2;
	else
		return fd == 12 ? -EBADFD : -EBADF;
	return 0;
}

static inline void rig_log(void *opaque, const char *line)
{
	struct rig *r = opaque;

	if (r->quiet)
		return;
	r->nlog++;
	strncpy(r->log, line, sizeof(r->log) - 1);
}

/* The parts, with nothing bound. with_msi: functions send messages to addresses, which a unit looks at. */
static inline struct rig *rig_new_msi(bool with_msi)
{
	const struct dev_model *model = dev_model_find("dmatest");
	struct rig *r = calloc(1, sizeof(*r));

	memset(rig_attached, 0, sizeof(rig_attached));
	memset(rig_pasid5, 0, sizeof(rig_pasid5));
	assert_non_null(model);
	assert_int_equal(mem_init_process(&r->mem), 0);
	r->tr = nb_trace_new(NULL);
	r->unit = (struct fake_unit){.base.ops = &fake_ops,
				     .pgsizes = PG | BIT(21),
				     .aperture_last = BIT(48) - 1,
				     .resv = {{0xfee00000, 0xfeefffff, DRV_RESV_MSI}},
				     .nresv = 1};
	pthread_mutex_init(&r->unit.lock, NULL);
	r->with_msi = with_msi;
	r->pages_fd = memfd_create("registers", MFD_CLOEXEC);
	assert_true(r->pages_fd >= 0 && ftruncate(r->pages_fd, 0x100000) == 0);
	assert_int_equal(host_create(&(struct host_cfg){.mem = &r->mem,
							.tr = r->tr,
							.resolve_iommufd = rig_resolve,
							.log = rig_log,
							.is_node = rig_is_node,
							.queue_fd = rig_fault_fd,
							.queue_fd_abort = rig_fault_fd_abort,
							.queue_ready = rig_fault_ready,
							.settle = rig_settle,
							.unit_pages = rig_unit_pages,
							.opaque = r},
				     &r->host),
			 0);
	for (unsigned int i = 0; i < NFN; i++) {
		rig_slots[i] = (struct rig_slot){r, i};
		assert_int_equal(model->create(NULL, 0,
					       &(struct dev_bus){.opaque = &rig_slots[i],
								 .dma_read = rig_dma,
								 .dma_write = rig_dma_w,
								 .irq = rig_irq,
								 .msi = with_msi ? rig_msi : NULL},
					       r->tr, &r->fn[i], NULL),
				 0);
		r->dev[i] = (struct drv_dev){.iommu = &r->unit.base, .rid = RID(i), .ats = true, .pri = true, .max_pasids = 1u << 20};
		assert_int_equal(host_add_function(r->host,
						   &(struct host_function_cfg){.rid = RID(i),
									       .group = i ? 2 : 1,
									       .fn = r->fn[i],
									       .dev = &r->dev[i],
									       .doorbell = rig_doorbell ? &rig_doorbell[i] : NULL,
									       .guest_msi = rig_guest_msi},
						   &r->hf[i]),
				 0);
	}
	assert_int_equal(iommufd_open(r->host, &r->fd), 0);
	assert_int_equal(iommufd_open(r->host, &r->fd2), 0);
	return r;
}

static inline struct rig *rig_new(void)
{
	return rig_new_msi(false);
}

static inline void rig_free(struct rig *r)
{
	for (unsigned int i = 0; i < NFN; i++) {
		if (r->vf[i])
			vfio_close(r->vf[i]);
	}
	if (r->fd)
		iommufd_close(r->fd);
	if (r->fd2)
		iommufd_close(r->fd2);
	for (unsigned int i = 0; i < ARRAY_SIZE(r->fault); i++) {
		if (r->fault[i])
			rig_fault_close(r, i);
	}
	assert_int_equal(r->unit.domains, 0);
	assert_int_equal(r->unit.irqs_mapped, 0);
	for (unsigned int i = 0; i < NFN; i++)
		assert_null(rig_attached[RID(i)]);
	host_destroy(r->host);
	for (unsigned int i = 0; i < NFN; i++) {
		assert_null(r->dev[i].priv);
		dev_destroy(r->fn[i]);
	}
	pthread_mutex_destroy(&r->unit.lock);
	close(r->pages_fd);
	nb_trace_free(r->tr);
	mem_fini(&r->mem);
	free(r);
}

/* First in every test: cmocka puts its own signal handlers in front for each. */
static inline struct rig *rig_of(void **state)
{
	assert_int_equal(guard_init(), 0);
	return *state;
}

static inline long rig_ioctl(struct rig *r, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(r->fd, cmd, (uintptr_t)arg);
}

static inline void rig_bind(struct rig *r, unsigned int i)
{
	struct vfio_device_bind_iommufd b = {.argsz = sizeof(b), .iommufd = 10};

	assert_int_equal(vfio_open(r->host, i, &r->vf[i]), 0);
	assert_int_equal(vfio_ioctl(r->vf[i], VFIO_DEVICE_BIND_IOMMUFD, (uintptr_t)&b), 0);
	r->devid[i] = b.out_devid;
}

static inline uint32_t rig_ioas(struct rig *r)
{
	struct iommu_ioas_alloc a = {.size = sizeof(a)};

	assert_int_equal(rig_ioctl(r, IOMMU_IOAS_ALLOC, &a), 0);
	return a.out_ioas_id;
}

static inline long rig_hwpt_try(struct rig *r, unsigned int i, uint32_t pt, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc a = {.size = sizeof(a), .dev_id = r->devid[i], .pt_id = pt, .flags = flags};
	long err = rig_ioctl(r, IOMMU_HWPT_ALLOC, &a);

	*id = a.out_hwpt_id;
	return err;
}

static inline uint32_t rig_hwpt(struct rig *r, unsigned int i, uint32_t pt, uint32_t flags)
{
	uint32_t id;

	assert_int_equal(rig_hwpt_try(r, i, pt, flags, &id), 0);
	return id;
}

static inline long rig_nested_try(struct rig *r, unsigned int i, uint32_t parent, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc a = {.size = sizeof(a),
				     .dev_id = r->devid[i],
				     .pt_id = parent,
				     .flags = flags,
				     .data_type = IOMMU_HWPT_DATA_VTD_S1,
				     .data_len = sizeof(s1),
				     .data_uptr = (uintptr_t)&s1};
	long err = rig_ioctl(r, IOMMU_HWPT_ALLOC, &a);

	*id = a.out_hwpt_id;
	return err;
}

/* A paging or nested HWPT with a fault queue. */
static inline long rig_hwpt_fault_try(struct rig *r, unsigned int i, uint32_t pt, uint32_t flags, bool nested, uint32_t fault,
				      uint32_t *id)
{
	struct iommu_hwpt_vtd_s1 s1 = {.addr_width = 48};
	struct iommu_hwpt_alloc a = {.size = sizeof(a),
				     .dev_id = r->devid[i],
				     .pt_id = pt,
				     .flags = flags | IOMMU_HWPT_FAULT_ID_VALID,
				     .fault_id = fault};
	long err;

	if (nested) {
		a.data_type = IOMMU_HWPT_DATA_VTD_S1;
		a.data_len = sizeof(s1);
		a.data_uptr = (uintptr_t)&s1;
	}
	err = rig_ioctl(r, IOMMU_HWPT_ALLOC, &a);
	*id = a.out_hwpt_id;
	return err;
}
static inline uint32_t rig_hwpt_fault(struct rig *r, unsigned int i, uint32_t pt, uint32_t flags, bool nested, uint32_t fault)
{
	uint32_t id;

	assert_int_equal(rig_hwpt_fault_try(r, i, pt, flags, nested, fault, &id), 0);
	return id;
}

/* A fault queue: its object's id, and its place in r->fault. */
static inline uint32_t rig_fault(struct rig *r, unsigned int *i)
{
	struct iommu_fault_alloc a = {.size = sizeof(a)};

	assert_int_equal(rig_ioctl(r, IOMMU_FAULT_QUEUE_ALLOC, &a), 0);
	*i = a.out_fault_fd - RIG_FAULT_FD;
	assert_in_range(*i, 0, ARRAY_SIZE(r->fault) - 1);
	assert_non_null(r->fault[*i]);
	return a.out_fault_id;
}

static inline long rig_attach(struct rig *r, unsigned int i, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .pt_id = pt};

	return vfio_ioctl(r->vf[i], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a);
}
static inline long rig_attach_pasid(struct rig *r, unsigned int i, uint32_t pt, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt a = {.argsz = sizeof(a), .flags = 1, .pt_id = pt, .pasid = pasid};

	return vfio_ioctl(r->vf[i], VFIO_DEVICE_ATTACH_IOMMUFD_PT, (uintptr_t)&a);
}
static inline long rig_detach(struct rig *r, unsigned int i)
{
	struct vfio_device_detach_iommufd_pt d = {.argsz = sizeof(d)};

	return vfio_ioctl(r->vf[i], VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&d);
}
static inline long rig_detach_pasid(struct rig *r, unsigned int i, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt d = {.argsz = sizeof(d), .flags = 1, .pasid = pasid};

	return vfio_ioctl(r->vf[i], VFIO_DEVICE_DETACH_IOMMUFD_PT, (uintptr_t)&d);
}

static inline long rig_map(struct rig *r, uint32_t ioas, uint32_t flags, const void *va, uint64_t len, uint64_t *iova)
{
	struct iommu_ioas_map m = {.size = sizeof(m),
				   .flags = flags,
				   .ioas_id = ioas,
				   .user_va = (uintptr_t)va,
				   .length = len,
				   .iova = *iova};
	long err = rig_ioctl(r, IOMMU_IOAS_MAP, &m);

	if (!err)
		*iova = m.iova;
	return err;
}
static inline long rig_map_at(struct rig *r, uint32_t ioas, const void *va, uint64_t len, uint64_t iova)
{
	return rig_map(r, ioas, FIXED | RW, va, len, &iova);
}

static inline long rig_unmap(struct rig *r, uint32_t ioas, uint64_t iova, uint64_t len, uint64_t *done)
{
	struct iommu_ioas_unmap m = {.size = sizeof(m), .ioas_id = ioas, .iova = iova, .length = len};
	long err = rig_ioctl(r, IOMMU_IOAS_UNMAP, &m);

	if (done)
		*done = m.length;
	return err;
}

static inline long rig_destroy(struct rig *r, uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	return rig_ioctl(r, IOMMU_DESTROY, &d);
}

/* What the domain of function i says about ia: 0 or the process address. */
static inline uint64_t rig_pa(unsigned int i, uint64_t ia)
{
	struct fake_domain *f = fake(rig_attached[RID(i)]);

	assert_non_null(f);
	assert_false(f->unsynced);
	for (unsigned int k = 0; k < f->n; k++) {
		if (ia - f->map[k].ia < f->map[k].len)
			return f->map[k].pa + (ia - f->map[k].ia);
	}
	return 0;
}

#endif
