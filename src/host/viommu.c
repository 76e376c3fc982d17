/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU_VIOMMU_ALLOC, and what every vIOMMU has. */
#include "host/viommu.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "host/device.h"
#include "host/host_priv.h"
#include "host/hwpt.h"
#include "host/ioctl.h"
#include "host/mmap.h"
#include "host/veventq.h"
#include "uapi/iommufd.h"

bool viommu_serves(const struct viommu *v, const struct idev *dev)
{
	return v->drv->iommu == dev->drv->iommu;
}

/* drv_viommu.offer_mmap: pages of the unit's registers become a region of the context, owned by the vIOMMU. */
static int offer_mmap(struct drv_viommu *drv, uint64_t reg, uint64_t len, uint64_t *offset)
{
	struct viommu *v = drv->core;
	const struct host_cfg *cfg = &v->obj.ctx->host->cfg;
	uint64_t fd_off;
	int err, fd;

	err = cfg->unit_pages(cfg->opaque, drv->iommu, reg, len, &fd, &fd_off);
	return err ? err : mmap_region_add(&v->obj, len, fd, fd_off, offset);
}

static void viommu_fini(struct viommu *v)
{
	assert(nb_list_empty(&v->vdevices) && nb_list_empty(&v->hw_queues) && nb_list_empty(&v->veventqs));
	mmap_region_remove_all(&v->obj);
	pthread_mutex_destroy(&v->event_lock);
	pthread_mutex_destroy(&v->queue_lock);
	nb_free(v->drv);
	nb_free(v);
}

void viommu_free(struct viommu *v)
{
	NB_TRACE(v->obj.ctx->host->cfg.tr, host_viommu_destroy, v->obj.id);
	v->drv->ops->destroy(v->drv);
	object_put(&v->parent->obj);
	viommu_fini(v);
}

/* With a reserved id; the parent is referred to only when all is done. */
static int viommu_new(struct ictx *c, size_t drv_size, struct viommu **out)
{
	struct viommu *v = nb_zalloc(sizeof(*v));
	int err = -ENOMEM;

	assert(drv_size >= sizeof(struct drv_viommu));
	if (!v)
		return err;
	v->drv = nb_zalloc(drv_size);
	if (v->drv)
		err = object_reserve(c, &v->obj, OBJ_VIOMMU);
	if (err) {
		nb_free(v->drv);
		nb_free(v);
		return err;
	}
	nb_list_init(&v->vdevices);
	nb_list_init(&v->hw_queues);
	nb_list_init(&v->veventqs);
	pthread_mutex_init(&v->queue_lock, NULL);
	pthread_mutex_init(&v->event_lock, NULL);
	*out = v;
	return 0;
}

static int alloc_on(struct ucmd *u, struct iommu_viommu_alloc *c, struct idev *dev, size_t size, struct hwpt *parent)
{
	const struct drv_user_data data = {.type = c->type, .len = c->data_len, .uptr = c->data_uptr};
	const struct drv_ops *ops = dev->drv->iommu->ops;
	struct viommu *v;
	int err;

	if (!parent->nest_parent)
		return nb_fail(&u->diag, -EINVAL, "HWPT %" PRIu32 " was not allocated as a nesting parent", c->hwpt_id);
	/* Linux leaves this to the driver, which would have to look into a foreign structure. */
	if (parent->dom->iommu->ops != ops)
		return nb_fail(&u->diag, -EINVAL, "HWPT %" PRIu32 " belongs to another kind of IOMMU", c->hwpt_id);
	err = viommu_new(u->ctx, size, &v);
	if (err)
		return err;
	v->parent = parent;
	v->drv->iommu = dev->drv->iommu;
	v->drv->parent = parent->dom;
	v->drv->type = c->type;
	v->drv->core = v;
	v->drv->report_event = viommu_report_event;
	v->drv->offer_mmap = u->ctx->host->cfg.unit_pages ? offer_mmap : NULL;
	err = ops->viommu_init(v->drv, c->data_len ? &data : NULL, &u->diag);
	if (err) {
		object_unreserve(&v->obj);
		viommu_fini(v);
		return err;
	}
	assert(v->drv->ops);
	object_ref(&parent->obj);
	NB_TRACE(u->ctx->host->cfg.tr, host_viommu, v->obj.id, dev->obj.id, parent->obj.id, c->type);
	c->out_viommu_id = v->obj.id;
	u->made = &v->obj;
	return 0;
}

int ioctl_viommu_alloc(struct ucmd *u)
{
	struct iommu_viommu_alloc *c = u->cmd;
	const struct drv_ops *ops;
	struct hwpt *parent;
	struct idev *dev;
	size_t size;
	int err;

	if (c->flags || c->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return nb_fail(&u->diag, -EOPNOTSUPP, "unknown flags, or no type");
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev)
		return nb_fail(&u->diag, -ENOENT, "there is no device %" PRIu32, c->dev_id);
	ops = dev->drv->iommu->ops;
	size = ops->viommu_size ? ops->viommu_size(dev->drv, c->type) : 0;
	if (!size) {
		err = nb_fail(&u->diag, -EOPNOTSUPP, "the IOMMU of device %" PRIu32 " has no vIOMMU of type %" PRIu32, c->dev_id,
			      c->type);
		goto out;
	}
	parent = hwpt_get_paging(u->ctx, c->hwpt_id);
	if (!parent) {
		err = nb_fail(&u->diag, -ENOENT, "there is no paging HWPT %" PRIu32, c->hwpt_id);
		goto out;
	}
	err = alloc_on(u, c, dev, size, parent);
	object_put(&parent->obj);
out:
	object_put(&dev->obj);
	return err;
}
