/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/hwpt.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/device.h"
#include "host/fault.h"
#include "host/host_priv.h"
#include "host/viommu.h"
#include "uapi/iommufd.h"

#define PAGING_FLAGS                                                                                                   \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID |                  \
	 IOMMU_HWPT_ALLOC_PASID)
#define NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static struct nb_trace *trace_of(const struct ictx *c)
{
	return c->host->cfg.tr;
}

/* The first half that both kinds share: memory and an id. */
static int reserve(struct ictx *c, enum object_type type, struct hwpt **out)
{
	struct hwpt *h = nb_zalloc(sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	err = object_reserve(c, &h->obj, type);
	if (err) {
		nb_free(h);
		return err;
	}
	nb_list_init(&h->ioas_link);
	nb_list_init(&h->msi_guest);
	*out = h;
	return 0;
}

static void unreserve(struct hwpt *h)
{
	object_unreserve(&h->obj);
	nb_free(h);
}

int hwpt_alloc_paging(struct ictx *c, struct ioas *s, struct idev *dev, uint32_t flags, struct hwpt **out,
		      struct nb_diag *diag)
{
	const struct drv_ops *ops = dev->drv->iommu->ops;
	struct hwpt *h;
	int err;

	if (flags & ~PAGING_FLAGS)
		return nb_fail(diag, -EOPNOTSUPP, "unknown flags %#" PRIx32, flags & ~PAGING_FLAGS);
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) && !ops->capable(dev->drv, DRV_CAP_DIRTY_TRACKING))
		return nb_fail(diag, -EOPNOTSUPP, "this IOMMU cannot track dirty pages");
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return nb_fail(diag, -EOPNOTSUPP, "a nesting parent takes no fault queue");
	err = reserve(c, OBJ_HWPT_PAGING, &h);
	if (err)
		return err;
	err = ops->domain_alloc_paging(dev->drv, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, &h->dom, diag);
	if (err) {
		unreserve(h);
		return err;
	}
	h->ioas = s;
	object_ref(&s->obj);
	h->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	h->dirty_tracking = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	h->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	if (dev->enforce_cc && h->dom->ops->enforce_cache_coherency)
		h->enforce_cc = h->dom->ops->enforce_cache_coherency(h->dom);
	NB_TRACE(trace_of(c), host_hwpt_paging, h->obj.id, dev->obj.id, flags);
	*out = h;
	return 0;
}

int hwpt_fill(struct hwpt *h, struct nb_diag *diag)
{
	int err = ioas_add_hwpt(h->ioas, h, diag);

	h->added = !err;
	return err;
}

int hwpt_alloc_nested(struct ictx *c, struct hwpt *parent, struct idev *dev, uint32_t flags,
		      const struct drv_user_data *data, struct hwpt **out, struct nb_diag *diag)
{
	const struct drv_ops *ops = dev->drv->iommu->ops;
	struct hwpt *h;
	int err;

	if (flags & ~NESTED_FLAGS)
		return nb_fail(diag, -EOPNOTSUPP, "flags %#" PRIx32 " do not go with a nested table",
			       flags & ~NESTED_FLAGS);
	if (!data->len || !ops->domain_alloc_nested)
		return nb_fail(diag, -EOPNOTSUPP, "a nested table needs the vendor's data and an IOMMU that can nest");
	if (parent->automatic || !parent->nest_parent)
		return nb_fail(diag, -EINVAL, "HWPT %" PRIu32 " was not allocated as a nesting parent", parent->obj.id);
	if (parent->dom->iommu->ops != ops)
		return nb_fail(diag, -EINVAL, "HWPT %" PRIu32 " belongs to another kind of IOMMU", parent->obj.id);
	err = reserve(c, OBJ_HWPT_NESTED, &h);
	if (err)
		return err;
	err = ops->domain_alloc_nested(dev->drv, parent->dom, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data,
				       &h->dom, diag);
	if (err) {
		unreserve(h);
		return err;
	}
	h->parent = parent;
	h->ioas = parent->ioas;
	object_ref(&parent->obj);
	h->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	NB_TRACE(trace_of(c), host_hwpt_nested, h->obj.id, dev->obj.id, parent->obj.id);
	*out = h;
	return 0;
}

int hwpt_alloc_nested_from(struct ictx *c, struct viommu *v, struct idev *dev, uint32_t flags,
			   const struct drv_user_data *data, struct hwpt **out, struct nb_diag *diag)
{
	const struct drv_viommu_ops *ops = v->drv->ops;
	struct hwpt *h;
	int err;

	if (!viommu_serves(v, dev))
		return nb_fail(diag, -EINVAL, "device %" PRIu32 " is behind another IOMMU than vIOMMU %" PRIu32, dev->obj.id,
			       v->obj.id);
	if (flags & ~NESTED_FLAGS)
		return nb_fail(diag, -EOPNOTSUPP, "flags %#" PRIx32 " do not go with a nested table",
			       flags & ~NESTED_FLAGS);
	if (!data->len || !ops->domain_alloc_nested)
		return nb_fail(diag, -EOPNOTSUPP, "a nested table needs the vendor's data and a vIOMMU that can nest");
	err = reserve(c, OBJ_HWPT_NESTED, &h);
	if (err)
		return err;
	err = ops->domain_alloc_nested(v->drv, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data, &h->dom, diag);
	if (err) {
		unreserve(h);
		return err;
	}
	h->viommu = v;
	h->parent = v->parent;
	h->ioas = v->parent->ioas;
	object_ref(&v->obj);
	h->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	NB_TRACE(trace_of(c), host_hwpt_nested, h->obj.id, dev->obj.id, h->parent->obj.id);
	*out = h;
	return 0;
}

/* What h refers to for being what it is. */
static struct object *base_of(const struct hwpt *h)
{
	if (h->viommu)
		return &h->viommu->obj;
	return hwpt_is_nested(h) ? &h->parent->obj : &h->ioas->obj;
}

void hwpt_free(struct hwpt *h)
{
	NB_TRACE(trace_of(h->obj.ctx), host_hwpt_destroy, h->obj.id, hwpt_is_nested(h));
	if (hwpt_is_nested(h))
		NB_TRACE(trace_of(h->obj.ctx), host_hwpt_nested_destroy, h->obj.id, h->parent->obj.id);
	if (h->added) {
		pthread_mutex_lock(&h->ioas->mutex);
		ioas_remove_hwpt(h->ioas, h);
		pthread_mutex_unlock(&h->ioas->mutex);
	}
	assert(h->msi_users == 0 && h->msi_present == 0 && nb_list_empty(&h->msi_guest)); /* nothing is attached */
	h->dom->ops->free(h->dom);
	if (h->fault)
		object_put(&h->fault->q.obj);
	object_put(base_of(h));
	nb_free(h);
}
