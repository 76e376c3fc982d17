/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls on hardware page tables. */
#include <errno.h>
#include <inttypes.h>

#include "host/device.h"
#include "host/fault.h"
#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/ioctl.h"
#include "host/viommu.h"
#include "uapi/iommufd.h"

#define INVALIDATE_MAX (1u << 19)

static int no_device(struct ucmd *u, uint32_t id)
{
	return nb_fail(&u->diag, -ENOENT, "there is no device %" PRIu32, id);
}

static int alloc_on_ioas(struct ucmd *u, const struct iommu_hwpt_alloc *c, struct ioas *s, struct idev *dev,
			 struct hwpt **out)
{
	struct hwpt *h;
	int err;

	if (c->data_len)
		return nb_fail(&u->diag, -EOPNOTSUPP, "a paging table takes no vendor data");
	pthread_mutex_lock(&s->mutex);
	err = hwpt_alloc_paging(u->ctx, s, dev, c->flags, &h, &u->diag);
	if (!err)
		err = hwpt_fill(h, &u->diag);
	else
		h = NULL;
	pthread_mutex_unlock(&s->mutex);
	if (err && h)
		object_abort(&h->obj);
	else if (!err)
		*out = h;
	return err;
}

/* Resolved last, as in Linux; nobody can have attached to h yet. */
static int set_fault(struct ucmd *u, struct hwpt *h, uint32_t id)
{
	struct object *obj = object_get(u->ctx, id, OBJ_FAULT);

	if (!obj)
		return nb_fail(&u->diag, -ENOENT, "there is no fault queue %" PRIu32, id);
	h->fault = fault_of(obj);
	h->dom->iopf = true;
	return 0;
}

int ioctl_hwpt_alloc(struct ucmd *u)
{
	struct iommu_hwpt_alloc *c = u->cmd;
	const struct drv_user_data data = {.type = c->data_type, .len = c->data_len, .uptr = c->data_uptr};
	struct object *pt = NULL;
	struct hwpt *h = NULL;
	struct idev *dev;
	int err;

	if (c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "a reserved field is not 0");
	if ((c->data_type == IOMMU_HWPT_DATA_NONE) != (c->data_len == 0))
		return nb_fail(&u->diag, -EINVAL, "data type %" PRIu32 " and data length %" PRIu32 " do not fit",
			       c->data_type, c->data_len);
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev)
		return no_device(u, c->dev_id);
	pt = object_get(u->ctx, c->pt_id, OBJ_ANY);
	if (pt && pt->type == OBJ_IOAS)
		err = alloc_on_ioas(u, c, ioas_of(pt), dev, &h);
	else if (pt && pt->type == OBJ_HWPT_PAGING)
		err = hwpt_alloc_nested(u->ctx, hwpt_of(pt), dev, c->flags, &data, &h, &u->diag);
	else if (pt && pt->type == OBJ_VIOMMU)
		err = hwpt_alloc_nested_from(u->ctx, viommu_of(pt), dev, c->flags, &data, &h, &u->diag);
	else
		err = nb_fail(&u->diag, -EINVAL, "object %" PRIu32 " is no IOAS, no nesting parent and no vIOMMU", c->pt_id);
	if (!err && c->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		err = set_fault(u, h, c->fault_id);
		if (err)
			object_abort(&h->obj);
	}
	if (!err) {
		c->out_hwpt_id = h->obj.id;
		u->made = &h->obj;
	}
	if (pt)
		object_put(pt);
	object_put(&dev->obj);
	return err;
}

/* What a guest has to say about its own tables goes to the table, or to the vIOMMU that all of them are under. */
static int invalidate(struct ucmd *u, struct object *obj, struct drv_user_array *a)
{
	struct drv_domain *d;
	struct drv_viommu *v;

	switch (obj->type) {
	case OBJ_HWPT_NESTED:
		d = hwpt_of(obj)->dom;
		if (d->ops->cache_invalidate_user)
			return d->ops->cache_invalidate_user(d, a, &u->diag);
		break;
	case OBJ_VIOMMU:
		v = viommu_of(obj)->drv;
		if (v->ops->cache_invalidate)
			return v->ops->cache_invalidate(v, a, &u->diag);
		break;
	default:
		a->entry_num = 0;
		return nb_fail(&u->diag, -EINVAL, "object %" PRIu32 " is no nested HWPT and no vIOMMU", obj->id);
	}
	a->entry_num = 0;
	return nb_fail(&u->diag, -EOPNOTSUPP, "this IOMMU takes no invalidations from users there");
}

int ioctl_hwpt_invalidate(struct ucmd *u)
{
	struct iommu_hwpt_invalidate *c = u->cmd;
	struct drv_user_array a = {c->data_type, c->entry_len, c->entry_num, c->data_uptr};
	uint32_t asked = c->entry_num;
	struct object *obj;
	int err;

	u->respond_anyway = true;
	c->entry_num = 0;
	if (c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "a reserved field is not 0");
	if (asked && (!a.uptr || !a.entry_len || a.entry_len > HOST_PAGE_SIZE || asked > INVALIDATE_MAX))
		return nb_fail(&u->diag, -EINVAL, "%" PRIu32 " entries of %" PRIu32 " bytes at %#" PRIx64, asked,
			       a.entry_len, a.uptr);
	obj = object_get(u->ctx, c->hwpt_id, OBJ_ANY);
	if (!obj)
		return nb_fail(&u->diag, -ENOENT, "there is no object %" PRIu32, c->hwpt_id);
	err = invalidate(u, obj, &a);
	c->entry_num = a.entry_num;
	NB_TRACE_N(u->ctx->host->cfg.tr, host_hwpt_invalidate, a.entry_num, c->hwpt_id, asked, a.entry_num, 0);
	object_put(obj);
	return err;
}

int ioctl_hwpt_set_dirty(struct ucmd *u)
{
	const struct iommu_hwpt_set_dirty_tracking *c = u->cmd;
	struct hwpt *h;
	int err;

	if (c->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags");
	h = hwpt_get_paging(u->ctx, c->hwpt_id);
	if (!h)
		return nb_fail(&u->diag, -ENOENT, "there is no paging HWPT %" PRIu32, c->hwpt_id);
	err = hwpt_set_dirty_tracking(h, c->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE, &u->diag);
	object_put(&h->obj);
	return err;
}

int ioctl_hwpt_get_dirty(struct ucmd *u)
{
	const struct iommu_hwpt_get_dirty_bitmap *c = u->cmd;
	struct hwpt *h;
	int err;

	if (c->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || c->__reserved)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags or a reserved field is not 0");
	h = hwpt_get_paging(u->ctx, c->hwpt_id);
	if (!h)
		return nb_fail(&u->diag, -ENOENT, "there is no paging HWPT %" PRIu32, c->hwpt_id);
	if (c->length == 0 || c->iova > UINT64_MAX - (c->length - 1))
		err = nb_fail(&u->diag, -EOVERFLOW, "IOVA %#" PRIx64 " length %#" PRIx64 " wraps", c->iova, c->length);
	else if (c->page_size == 0 || c->iova % c->page_size || (c->iova + c->length) % c->page_size)
		err = nb_fail(&u->diag, -EINVAL, "the range is not made of pages of %#" PRIx64, c->page_size);
	else
		err = hwpt_read_dirty(h, c->iova, c->length, c->page_size, c->data,
				      c->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, &u->diag);
	object_put(&h->obj);
	return err;
}
