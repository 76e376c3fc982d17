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
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/trace.h"
#include "dev/dev.h"
#include "host/host.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define PG UINT64_C(0x1000)
#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

struct fake_map {
	uint64_t ia, pa, len;
	unsigned int prot;
};

struct fake_domain {
	struct drv_domain base;
	struct fake_map map[512];
	unsigned int n;
	bool unsynced; /* something was unmapped and not yet invalidated */
	bool tracking;
	uint64_t dirty_ia[8];
	unsigned int ndirty, cleared;
	uint32_t inv_calls;
};

struct fake_unit {
	struct drv_iommu base;
	/* what to be like */
	uint64_t pgsizes, aperture_first, aperture_last;
	unsigned int no_caps; /* bits of enum drv_cap */
	struct drv_resv resv[4];
	unsigned int nresv;
	int attach_err, map_err;
	unsigned int map_err_after; /* successful maps before map_err */
	uint16_t attach_err_rid;
	/* what happened */
	int domains;
	unsigned int attaches, blocks;
	bool block_saw_unsynced;
	/* called from attach and block, as a driver that drains page requests in there would report them */
	void (*in_attach)(struct drv_dev *dev, uint32_t pasid);
	void (*in_block)(struct drv_dev *dev, uint32_t pasid);
	/* page responses, in order; the lock is for tests with threads */
	pthread_mutex_t lock;
	struct fake_answer {
		uint16_t rid;
		struct drv_page_response resp;
	} answer[64];
	unsigned int nanswers;
	void (*in_response)(struct drv_dev *dev, const struct drv_page_response *resp);
	/* interrupt messages */
	int irq_err;
	unsigned int irq_err_after; /* successful ones before irq_err */
	struct fake_irq {
		uint16_t rid;
		unsigned int n;
		struct drv_irq_target target[32];
		bool mapped;
	} irq[256];
	unsigned int nirqs, irqs_mapped;
};

static struct drv_domain *rig_attached[0x10000]; /* by RID, requests without PASID */
static struct drv_domain *rig_pasid5[0x10000];

static inline struct fake_domain *fake(struct drv_domain *d)
{
	return (struct fake_domain *)(void *)d;
}
static inline struct fake_unit *fake_unit(struct drv_iommu *i)
{
	return (struct fake_unit *)(void *)i;
}

static void fake_free(struct drv_domain *d)
{
	fake_unit(d->iommu)->domains--;
	nb_free(d);
}

static int fake_map(struct drv_domain *d, uint64_t ia, hpa_t pa, uint64_t len, unsigned int prot, struct nb_diag *diag)
{
	struct fake_unit *u = fake_unit(d->iommu);
	struct fake_domain *f = fake(d);

	assert_true(len && nb_aligned(ia | pa.v | len, FIELD_LSB(d->pgsizes)));
	assert_true(ia >= d->aperture_first && ia + (len - 1) <= d->aperture_last);
	if (u->map_err && u->map_err_after-- == 0)
		return nb_fail(diag, u->map_err, "as ordered");
	for (unsigned int i = 0; i < f->n; i++)
		assert_false(f->map[i].ia <= ia + (len - 1) && ia <= f->map[i].ia + (f->map[i].len - 1));
	assert_in_range(f->n, 0, ARRAY_SIZE(f->map) - 1);
	f->map[f->n++] = (struct fake_map){ia, pa.v, len, prot};
	return 0;
}

static int fake_unmap(struct drv_domain *d, uint64_t ia, uint64_t len, struct drv_gather *g)
{
	struct fake_domain *f = fake(d);
	uint64_t last = ia + (len - 1);
	unsigned int n = f->n;

	for (unsigned int i = 0; i < n; i++) {
		struct fake_map m = f->map[i];
		uint64_t mlast = m.ia + (m.len - 1);

		if (m.len == 0 || m.ia > last || mlast < ia)
			continue;
		f->map[i].len = 0;
		if (m.ia < ia)
			f->map[f->n++] = (struct fake_map){m.ia, m.pa, ia - m.ia, m.prot};
		if (mlast > last)
			f->map[f->n++] = (struct fake_map){last + 1, m.pa + (last + 1 - m.ia), mlast - last, m.prot};
		drv_gather_add(g, ia, last);
		f->unsynced = true;
	}
	n = 0;
	for (unsigned int i = 0; i < f->n; i++) {
		if (f->map[i].len)
			f->map[n++] = f->map[i];
	}
	f->n = n;
	return 0;
}

static void fake_sync(struct drv_domain *d, struct drv_gather *g)
{
	if (g->any)
		fake(d)->unsynced = false;
	*g = (struct drv_gather){0};
}

static int fake_set_dirty(struct drv_domain *d, bool on, struct nb_diag *diag)
{
	(void)diag;
	fake(d)->tracking = on;
	return 0;
}

static int fake_read_dirty(struct drv_domain *d, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn, void *opaque,
			   struct drv_gather *g)
{
	struct fake_domain *f = fake(d);

	for (unsigned int i = 0; i < f->ndirty; i++) {
		if (f->dirty_ia[i] < ia || f->dirty_ia[i] > ia + (len - 1))
			continue;
		fn(opaque, f->dirty_ia[i], PG);
		if (!no_clear) {
			f->cleared++;
			f->unsynced = true;
			drv_gather_add(g, f->dirty_ia[i], f->dirty_ia[i] + PG - 1);
		}
	}
	return 0;
}

static bool fake_enforce(struct drv_domain *d)
{
	(void)d;
	return true;
}

static int fake_inval(struct drv_domain *d, struct drv_user_array *a, struct nb_diag *diag)
{
	uint32_t want = a->entry_num;

	a->entry_num = 0;
	if (a->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return nb_fail(diag, -EINVAL, "type");
	if (want && a->entry_len != 24)
		return nb_fail(diag, -EINVAL, "length");
	fake(d)->inv_calls++;
	a->entry_num = want > 2 ? 2 : want; /* the third entry is always bad */
	return want > 2 ? -EOPNOTSUPP : 0;
}

static const struct drv_domain_ops fake_paging_ops = {
	.free = fake_free,
	.map = fake_map,
	.unmap = fake_unmap,
	.iotlb_sync = fake_sync,
	.set_dirty_tracking = fake_set_dirty,
	.read_and_clear_dirty = fake_read_dirty,
	.enforce_cache_coherency = fake_enforce,
};
static const struct drv_domain_ops fake_nested_ops = {.free = fake_free, .cache_invalidate_user = fake_inval};

static struct drv_domain *fake_new(struct drv_dev *dev, const struct drv_domain_ops *ops, uint32_t flags)
{
	struct fake_unit *u = fake_unit(dev->iommu);
	struct fake_domain *f = nb_zalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->base = (struct drv_domain){.ops = ops,
				      .iommu = dev->iommu,
				      .type = ops == &fake_paging_ops ? DRV_DOMAIN_PAGING : DRV_DOMAIN_NESTED,
				      .flags = flags,
				      .aperture_first = u->aperture_first,
				      .aperture_last = u->aperture_last,
				      .pgsizes = u->pgsizes};
	u->domains++;
	return &f->base;
}

static int fake_alloc_paging(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag)
{
	(void)diag;
	*out = fake_new(dev, &fake_paging_ops, flags);
	return *out ? 0 : -ENOMEM;
}

static int fake_alloc_nested(struct drv_dev *dev, struct drv_domain *parent, uint32_t flags,
			     const struct drv_user_data *data, struct drv_domain **out, struct nb_diag *diag)
{
	(void)diag;
	if (data->type != IOMMU_HWPT_DATA_VTD_S1)
		return -EOPNOTSUPP;
	if (data->len != 24)
		return -EINVAL;
	*out = fake_new(dev, &fake_nested_ops, flags);
	if (!*out)
		return -ENOMEM;
	(*out)->parent = parent;
	return 0;
}

static int fake_hw_info(struct drv_iommu *iommu, uint32_t type, void *buf, uint32_t *len)
{
	(void)iommu;
	if (type != 0 && type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return -EOPNOTSUPP;
	memset(buf, 0xab, 24);
	*len = 24;
	return 0;
}

static bool fake_capable(struct drv_dev *dev, enum drv_cap cap)
{
	return !(fake_unit(dev->iommu)->no_caps & (1u << cap));
}

static unsigned int fake_resv(struct drv_dev *dev, struct drv_resv *r, unsigned int max)
{
	struct fake_unit *u = fake_unit(dev->iommu);

	assert_true(u->nresv <= max);
	memcpy(r, u->resv, sizeof(u->resv));
	return u->nresv;
}

static int fake_probe(struct drv_dev *dev, struct nb_diag *diag)
{
	(void)diag;
	dev->priv = dev;
	return 0;
}

static void fake_release(struct drv_dev *dev)
{
	dev->priv = NULL;
}

static int fake_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *d, struct nb_diag *diag)
{
	struct fake_unit *u = fake_unit(dev->iommu);

	if (u->in_attach)
		u->in_attach(dev, pasid);
	if (u->attach_err && (!u->attach_err_rid || u->attach_err_rid == dev->rid))
		return nb_fail(diag, u->attach_err, "as ordered");
	if (d->iopf && !dev->pri)
		return nb_fail(diag, -ENODEV, "no page requests");
	u->attaches++;
	if (pasid == NB_NO_PASID)
		rig_attached[dev->rid] = d;
	else if (pasid == 5)
		rig_pasid5[dev->rid] = d;
	return 0;
}

static void fake_block(struct drv_dev *dev, uint32_t pasid)
{
	if (fake_unit(dev->iommu)->in_block)
		fake_unit(dev->iommu)->in_block(dev, pasid);
	fake_unit(dev->iommu)->blocks++;
	if (pasid == NB_NO_PASID)
		rig_attached[dev->rid] = NULL;
	else if (pasid == 5)
		rig_pasid5[dev->rid] = NULL;
}

static void fake_page_response(struct drv_dev *dev, const struct drv_page_response *resp)
{
	struct fake_unit *u = fake_unit(dev->iommu);

	if (u->in_response)
		u->in_response(dev, resp);
	pthread_mutex_lock(&u->lock);
	u->answer[u->nanswers++ % ARRAY_SIZE(u->answer)] = (struct fake_answer){dev->rid, *resp};
	pthread_mutex_unlock(&u->lock);
}

static int fake_irq_map(struct drv_dev *dev, unsigned int n, const struct drv_irq_target *target, uint32_t *handle,
			struct drv_msi *msg, struct nb_diag *diag)
{
	struct fake_unit *u = fake_unit(dev->iommu);
	struct fake_irq *q = &u->irq[u->nirqs];

	assert_true(n && (n & (n - 1)) == 0 && n <= ARRAY_SIZE(q->target));
	if (u->irq_err == -EOPNOTSUPP) /* for good: it remaps nothing */
		return -EOPNOTSUPP;
	if (u->irq_err && u->irq_err_after-- == 0)
		return nb_fail(diag, u->irq_err, "as ordered");
	assert_in_range(u->nirqs, 0, ARRAY_SIZE(u->irq) - 1);
	*q = (struct fake_irq){.rid = dev->rid, .n = n, .mapped = true};
	memcpy(q->target, target, n * sizeof(*target));
	*handle = u->nirqs++;
	u->irqs_mapped++;
	*msg = (struct drv_msi){.addr = 0xfee00010 | *handle << 5, .data = 0};
	return 0;
}

static void fake_irq_unmap(struct drv_dev *dev, uint32_t handle, unsigned int n)
{
	struct fake_unit *u = fake_unit(dev->iommu);

	assert_in_range(handle, 0, u->nirqs - 1);
	assert_true(u->irq[handle].mapped && u->irq[handle].n == n && u->irq[handle].rid == dev->rid);
	u->irq[handle].mapped = false;
	u->irqs_mapped--;
}

static const struct drv_ops fake_ops = {
	.vendor = "fake",
	.hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD,
	.hw_info = fake_hw_info,
	.capable = fake_capable,
	.resv_regions = fake_resv,
	.probe_device = fake_probe,
	.release_device = fake_release,
	.domain_alloc_paging = fake_alloc_paging,
	.domain_alloc_nested = fake_alloc_nested,
	.attach = fake_attach,
	.block = fake_block,
	.page_response = fake_page_response,
	.irq_map = fake_irq_map,
	.irq_unmap = fake_irq_unmap,
};

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
	char log[512];
	unsigned int nlog;
	/* fault queues: descriptor RIG_FAULT_FD + i */
	struct fault_file *_Atomic fault[8];
	_Atomic bool fault_ready[8];
	unsigned int nfaults, nfault_aborts;
	int fault_fd_err;
	_Atomic unsigned int nsettles;
	void (*in_settle)(struct rig *r);
	/* messages that functions sent, when with_msi */
	bool with_msi;
	uint64_t msi_addr;
	uint32_t msi_data;
	unsigned int nmsi;
	uint64_t node_ino; /* a file of this inode stands for a device node */
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

static inline void rig_irq(void *opaque, enum dev_irq kind, unsigned int vector, bool level)
{
	struct rig_slot *s = opaque;

	if (s->r->hf[s->i])
		host_function_irq(s->r->hf[s->i], kind, vector, level);
}

/* What a unit that remaps (or does not) would do with the message: look its handle up, or take the vector out of it. */
static inline void rig_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct rig_slot *s = opaque;
	struct fake_unit *u = &s->r->unit;

	s->r->msi_addr = addr;
	s->r->msi_data = data;
	s->r->nmsi++;
	assert_int_equal(addr >> 20, 0xfee);
	if (addr & 0x10) {
		struct fake_irq *q = &u->irq[addr >> 5 & 0x7fff];

		if (q->mapped && q->rid == s->r->dev[s->i].rid && data < q->n)
			host_deliver(s->r->host, q->target[data].dest, q->target[data].vector);
	} else {
		host_deliver(s->r->host, addr >> 12 & 0xff, (uint8_t)data);
	}
}

static inline bool rig_is_node(void *opaque, int fd)
{
	const struct rig *r = opaque;
	struct stat st;

	return r->node_ino && fstat(fd, &st) == 0 && st.st_ino == r->node_ino;
}

static inline int rig_fault_fd(void *opaque, struct fault_file *f, int *fd)
{
	struct rig *r = opaque;

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

static inline void rig_fault_fd_abort(void *opaque, struct fault_file *f, int fd)
{
	struct rig *r = opaque;

	assert_ptr_equal(r->fault[fd - RIG_FAULT_FD], f);
	r->fault[fd - RIG_FAULT_FD] = NULL;
	r->nfaults--;
	r->nfault_aborts++;
}

static inline void rig_fault_ready(void *opaque, struct fault_file *f, bool ready)
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
	struct fault_file *f = r->fault[i];

	assert_non_null(f);
	host_fault_close(f); /* may still be told about while it runs */
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
	assert_int_equal(host_create(&(struct host_cfg){.mem = &r->mem,
							.tr = r->tr,
							.resolve_iommufd = rig_resolve,
							.log = rig_log,
							.is_node = rig_is_node,
							.fault_fd = rig_fault_fd,
							.fault_fd_abort = rig_fault_fd_abort,
							.fault_ready = rig_fault_ready,
							.settle = rig_settle,
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
									       .dev = &r->dev[i]},
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
