/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver of host_rig.h with vIOMMUs: type 1 has nothing but tables and vDEVICEs, type 2 also hardware queues and a page to map. After
 * host_rig.h.
 */
#ifndef NB_TESTS_HOST_FAKE_VIOMMU_H
#define NB_TESTS_HOST_FAKE_VIOMMU_H

#include "host_rig.h"

#define PLAIN  IOMMU_VIOMMU_TYPE_ARM_SMMUV3
#define QUEUED IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV

#define FAKE_QUEUES   4u
#define FAKE_REG      UINT64_C(0x20000) /* of the first vIOMMU's page; the next ones follow */
#define FAKE_REG_SIZE UINT64_C(0x10000)

struct fake_hwq {
	struct drv_hw_queue base;
	uint64_t mark;
};

struct fake_viommu {
	struct drv_viommu base;
	struct fake_hwq *queue[FAKE_QUEUES];
	unsigned int slot; /* in fv.slots, of those with a page */
	uint64_t mmap_offset;
};

struct fake_vdevice {
	struct drv_vdevice base;
	uint64_t mark;
};

/* What a test orders and what happened; fake_unit's lock for what several threads change. */
static struct fake_v {
	int init_err, vdev_err, hwq_err;
	int viommus, vdevices, queues;
	unsigned int inits, vdev_inits, invalidated;
	unsigned int slots; /* pages in use, a bit each */
	struct fake_vdevice *of[0x10000]; /* by RID */
	struct drv_hw_queue last_queue;
	void (*in_init)(struct drv_viommu *v, uint64_t mmap_offset);
	void (*in_vdev_init)(struct drv_vdevice *vd);
	void (*in_hwq_init)(struct drv_hw_queue *q);
} fv;

static inline struct fake_viommu *fake_v(struct drv_viommu *v)
{
	return (struct fake_viommu *)(void *)v;
}

static int fv_add(struct drv_iommu *iommu, int *what, int n)
{
	struct fake_unit *u = fake_unit(iommu);
	int now;

	pthread_mutex_lock(&u->lock);
	now = *what += n;
	pthread_mutex_unlock(&u->lock);
	return now;
}

static void fv_destroy(struct drv_viommu *v)
{
	struct fake_viommu *f = fake_v(v);

	for (unsigned int i = 0; i < FAKE_QUEUES; i++)
		assert_null(f->queue[i]);
	if (v->type == QUEUED) {
		pthread_mutex_lock(&fake_unit(v->iommu)->lock);
		fv.slots &= ~(1u << f->slot);
		pthread_mutex_unlock(&fake_unit(v->iommu)->lock);
	}
	fv_add(v->iommu, &fv.viommus, -1);
}

static int fv_nested(struct drv_viommu *v, uint32_t flags, const struct drv_user_data *data, struct drv_domain **out,
		     struct nb_diag *diag)
{
	struct drv_dev like = {.iommu = v->iommu};
	struct drv_domain *d;

	if (flags)
		return nb_fail(diag, -EOPNOTSUPP, "flags");
	if (data->type != IOMMU_HWPT_DATA_ARM_SMMUV3 || data->len != 16)
		return nb_fail(diag, -EINVAL, "data");
	pthread_mutex_lock(&fake_unit(v->iommu)->lock);
	d = fake_new(&like, &fake_nested_ops, flags);
	pthread_mutex_unlock(&fake_unit(v->iommu)->lock);
	if (!d)
		return -ENOMEM;
	d->parent = v->parent;
	d->viommu = v;
	*out = d;
	return 0;
}

static int fv_invalidate(struct drv_viommu *v, struct drv_user_array *a, struct nb_diag *diag)
{
	uint32_t want = a->entry_num;

	(void)v;
	a->entry_num = 0;
	if (a->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 || !want)
		return nb_fail(diag, -EINVAL, "type, or nothing");
	a->entry_num = want > 2 ? 2 : want; /* the third entry is always bad */
	fv.invalidated += a->entry_num;
	return want > 2 ? nb_fail(diag, -EIO, "the third") : 0;
}

static int fv_vdev_init(struct drv_vdevice *vd, struct nb_diag *diag)
{
	struct fake_vdevice *f = (struct fake_vdevice *)(void *)vd;

	assert_int_equal(f->mark, 0);
	assert_true(vd->dev->iommu == vd->viommu->iommu);
	fv.vdev_inits++;
	if (fv.in_vdev_init)
		fv.in_vdev_init(vd);
	if (fv.vdev_err)
		return nb_fail(diag, fv.vdev_err, "as ordered");
	f->mark = 0x5eed;
	assert_null(fv.of[vd->dev->rid]);
	fv.of[vd->dev->rid] = f;
	fv.vdevices++; /* under the core's lock */
	return 0;
}

static void fv_vdev_destroy(struct drv_vdevice *vd)
{
	assert_ptr_equal(fv.of[vd->dev->rid], vd);
	assert_non_null(vd->dev->priv); /* probed */
	fv.of[vd->dev->rid] = NULL;
	fv.vdevices--;
}

static size_t fv_hwq_size(struct drv_viommu *v, uint32_t type)
{
	return v->type == QUEUED && type == IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV ? sizeof(struct fake_hwq) : 0;
}

static int fv_hwq_init(struct drv_hw_queue *q, struct nb_diag *diag)
{
	struct fake_viommu *f = fake_v(q->viommu);

	if (fv.in_hwq_init)
		fv.in_hwq_init(q);
	if (fv.hwq_err)
		return nb_fail(diag, fv.hwq_err, "as ordered");
	if (q->index >= FAKE_QUEUES)
		return nb_fail(diag, -EINVAL, "index");
	if (f->queue[q->index])
		return nb_fail(diag, -EEXIST, "index");
	if (q->index && !f->queue[q->index - 1])
		return nb_fail(diag, -EIO, "index before");
	f->queue[q->index] = (struct fake_hwq *)(void *)q;
	fv.last_queue = *q;
	if (q->index)
		q->after = &f->queue[q->index - 1]->base;
	fv_add(q->viommu->iommu, &fv.queues, 1);
	return 0;
}

static void fv_hwq_destroy(struct drv_hw_queue *q)
{
	struct fake_viommu *f = fake_v(q->viommu);

	assert_ptr_equal(f->queue[q->index], q);
	assert_true(q->index == FAKE_QUEUES - 1 || !f->queue[q->index + 1]);
	f->queue[q->index] = NULL;
	fv_add(q->viommu->iommu, &fv.queues, -1);
}

static const struct drv_viommu_ops fv_plain_ops = {
	.destroy = fv_destroy,
	.domain_alloc_nested = fv_nested,
	.cache_invalidate = fv_invalidate,
	.vdevice_size = sizeof(struct fake_vdevice),
	.vdevice_init = fv_vdev_init,
	.vdevice_destroy = fv_vdev_destroy,
};
static const struct drv_viommu_ops fv_queued_ops = {
	.destroy = fv_destroy,
	.domain_alloc_nested = fv_nested,
	.cache_invalidate = fv_invalidate,
	.vdevice_size = sizeof(struct fake_vdevice),
	.vdevice_init = fv_vdev_init,
	.vdevice_destroy = fv_vdev_destroy,
	.hw_queue_size = fv_hwq_size,
	.hw_queue_init = fv_hwq_init,
	.hw_queue_destroy = fv_hwq_destroy,
};
static const struct drv_viommu_ops fv_bare_ops = {.destroy = fv_destroy}; /* type 3: nothing at all */

static size_t fv_size(struct drv_dev *dev, uint32_t type)
{
	(void)dev;
	return type && type <= 3 ? sizeof(struct fake_viommu) : 0;
}

static int fv_take_page(struct fake_viommu *f)
{
	struct fake_unit *u = fake_unit(f->base.iommu);

	pthread_mutex_lock(&u->lock);
	f->slot = (unsigned int)__builtin_ctz(~fv.slots);
	fv.slots |= 1u << f->slot;
	pthread_mutex_unlock(&u->lock);
	return f->base.offer_mmap(&f->base, FAKE_REG + f->slot * FAKE_REG_SIZE, FAKE_REG_SIZE, &f->mmap_offset);
}

static int fv_init(struct drv_viommu *v, const struct drv_user_data *data, struct nb_diag *diag)
{
	struct fake_viommu *f = fake_v(v);
	struct iommu_viommu_tegra241_cmdqv out = {.out_vintf_mmap_length = FAKE_REG_SIZE};
	int err = 0;

	assert_true(f->mmap_offset == 0 && v->parent && v->report_event && v->core);
	if (v->parent->iommu != v->iommu)
		return nb_fail(diag, -EINVAL, "the parent is another unit's");
	if (v->type == QUEUED) {
		if (!data)
			return nb_fail(diag, -EINVAL, "data is needed");
		if (!v->offer_mmap)
			return nb_fail(diag, -EOPNOTSUPP, "no pages");
		err = fv_take_page(f);
		out.out_vintf_mmap_offset = f->mmap_offset;
		if (!err && fv.in_init)
			fv.in_init(v, f->mmap_offset);
		if (!err && (data->len != sizeof(out) || guard_copy((void *)(uintptr_t)data->uptr, &out, sizeof(out))))
			err = -EFAULT;
	}
	if (!err && fv.init_err)
		err = nb_fail(diag, fv.init_err, "as ordered");
	if (err) {
		if (v->type == QUEUED) {
			pthread_mutex_lock(&fake_unit(v->iommu)->lock);
			fv.slots &= ~(1u << f->slot);
			pthread_mutex_unlock(&fake_unit(v->iommu)->lock);
		}
		return err;
	}
	v->ops = v->type == QUEUED ? &fv_queued_ops : v->type == PLAIN ? &fv_plain_ops : &fv_bare_ops;
	fv_add(v->iommu, &fv.viommus, 1);
	return 0;
}

/* Tables from a vIOMMU want the guest's name of the device. */
static int fv_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *d, struct nb_diag *diag)
{
	if (d->viommu && !fv.of[dev->rid])
		return nb_fail(diag, -ENOENT, "no vDEVICE");
	return fake_attach(dev, pasid, d, diag);
}

static int fv_hw_info(struct drv_iommu *iommu, uint32_t type, void *buf, uint32_t *len)
{
	if (type != IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV)
		return fake_hw_info(iommu, type, buf, len);
	memset(buf, 0xcd, 8);
	*len = 8;
	return 0;
}

static const struct drv_ops fake_v_ops = {
	.vendor = "fake",
	.hw_info_type = IOMMU_HW_INFO_TYPE_INTEL_VTD,
	.hw_info = fv_hw_info,
	.capable = fake_capable,
	.resv_regions = fake_resv,
	.probe_device = fake_probe,
	.release_device = fake_release,
	.domain_alloc_paging = fake_alloc_paging,
	.viommu_size = fv_size,
	.viommu_init = fv_init,
	.user_pasid_table = true,
	.attach = fv_attach,
	.block = fake_block,
	.page_response = fake_page_response,
	.irq_map = fake_irq_map,
	.irq_unmap = fake_irq_unmap,
};

static struct rig *rig_new_viommu(void)
{
	struct rig *r = rig_new();

	r->unit.base.ops = &fake_v_ops;
	memset(&fv, 0, sizeof(fv));
	return r;
}
static inline int v_setup(void **state)
{
	*state = rig_new_viommu();
	return 0;
}
/* Frees the rig: nothing of the driver's is left. */
static inline void v_free(struct rig *r)
{
	rig_free(r);
	assert_int_equal(fv.viommus, 0);
	assert_int_equal(fv.vdevices, 0);
	assert_int_equal(fv.queues, 0);
	assert_int_equal(fv.slots, 0);
}
static inline int v_teardown(void **state)
{
	v_free(*state);
	return 0;
}

/* Calls */

static inline long viommu_try(struct rig *r, unsigned int i, uint32_t type, uint32_t hwpt, uint32_t *id)
{
	struct iommu_viommu_tegra241_cmdqv out = {0};
	struct iommu_viommu_alloc a = {.size = sizeof(a), .type = type, .dev_id = r->devid[i], .hwpt_id = hwpt};
	long err;

	if (type == QUEUED) {
		a.data_len = sizeof(out);
		a.data_uptr = (uintptr_t)&out;
	}
	err = rig_ioctl(r, IOMMU_VIOMMU_ALLOC, &a);
	*id = a.out_viommu_id;
	return err;
}
static inline uint32_t viommu(struct rig *r, unsigned int i, uint32_t type, uint32_t hwpt)
{
	uint32_t id;

	assert_int_equal(viommu_try(r, i, type, hwpt, &id), 0);
	return id;
}

static inline long vdevice_try(struct rig *r, uint32_t v, uint32_t dev_id, uint64_t virt_id, uint32_t *id)
{
	struct iommu_vdevice_alloc a = {.size = sizeof(a), .viommu_id = v, .dev_id = dev_id, .virt_id = virt_id};
	long err = rig_ioctl(r, IOMMU_VDEVICE_ALLOC, &a);

	*id = a.out_vdevice_id;
	return err;
}
static inline uint32_t vdevice(struct rig *r, uint32_t v, unsigned int i, uint64_t virt_id)
{
	uint32_t id;

	assert_int_equal(vdevice_try(r, v, r->devid[i], virt_id, &id), 0);
	return id;
}

static inline long vnested_try(struct rig *r, unsigned int i, uint32_t v, uint32_t flags, uint32_t fault, uint32_t *id)
{
	struct iommu_hwpt_arm_smmuv3 ste = {{1, 0}};
	struct iommu_hwpt_alloc a = {.size = sizeof(a),
				     .dev_id = r->devid[i],
				     .pt_id = v,
				     .flags = flags,
				     .fault_id = fault,
				     .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
				     .data_len = sizeof(ste),
				     .data_uptr = (uintptr_t)&ste};
	long err = rig_ioctl(r, IOMMU_HWPT_ALLOC, &a);

	*id = a.out_hwpt_id;
	return err;
}
static inline uint32_t vnested(struct rig *r, unsigned int i, uint32_t v)
{
	uint32_t id;

	assert_int_equal(vnested_try(r, i, v, 0, 0, &id), 0);
	return id;
}

static inline long hwq_try(struct rig *r, uint32_t v, uint32_t index, uint64_t iova, uint64_t len, uint32_t *id)
{
	struct iommu_hw_queue_alloc a = {.size = sizeof(a),
					 .viommu_id = v,
					 .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
					 .index = index,
					 .nesting_parent_iova = iova,
					 .length = len};
	long err = rig_ioctl(r, IOMMU_HW_QUEUE_ALLOC, &a);

	*id = a.out_hw_queue_id;
	return err;
}
static inline uint32_t hwq(struct rig *r, uint32_t v, uint32_t index, uint64_t iova, uint64_t len)
{
	uint32_t id;

	assert_int_equal(hwq_try(r, v, index, iova, len, &id), 0);
	return id;
}

/* Function 0 bound, an IOAS, a nesting parent over it and a vIOMMU over that. */
struct vm {
	uint32_t ioas, parent, v;
};
static inline struct vm vm_new(struct rig *r, uint32_t type)
{
	struct vm m;

	rig_bind(r, 0);
	m.ioas = rig_ioas(r);
	m.parent = rig_hwpt(r, 0, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	m.v = viommu(r, 0, type, m.parent);
	return m;
}

/* The driver's side of the last vIOMMU's only vDEVICE. */
static inline struct drv_viommu *drv_of(unsigned int i)
{
	assert_non_null(fv.of[RID(i)]);
	return fv.of[RID(i)]->base.viommu;
}

#endif
