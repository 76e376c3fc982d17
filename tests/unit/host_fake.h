/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of host_rig.h: it remembers what it was asked, and refuses what a test orders. */
#ifndef NB_TESTS_HOST_FAKE_H
#define NB_TESTS_HOST_FAKE_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "drv/drv.h"
#include "uapi/iommufd.h"

#define PG UINT64_C(0x1000)

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

#endif
