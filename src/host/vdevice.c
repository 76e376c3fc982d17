/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vDEVICEs: IOMMU_VDEVICE_ALLOC, and the end of one with its device.
 *
 * ctx->vdev_lock protects the lists of all vIOMMUs of the context and idev->vdev and idev->going, and is held while the driver makes or destroys one.
 * Under it: drivers' locks and ctx->lock. A vDEVICE refers to its device all its life, and the device waits for the last reference when it is
 * unbound; by then vdevice_remove() has seen to it that the vDEVICE goes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>

#include "base/alloc.h"
#include "host/device.h"
#include "host/host_priv.h"
#include "host/ioctl.h"
#include "host/viommu.h"
#include "uapi/iommufd.h"

static bool taken_locked(const struct viommu *v, uint64_t virt_id)
{
	struct vdevice *vd;

	nb_list_for_each(vd, &v->vdevices, link) {
		if (vd->drv->virt_id == virt_id)
			return true;
	}
	return false;
}

static int vdevice_new(struct ictx *c, size_t drv_size, struct vdevice **out)
{
	struct vdevice *vd = nb_zalloc(sizeof(*vd));
	int err = -ENOMEM;

	assert(!drv_size || drv_size >= sizeof(struct drv_vdevice));
	if (!vd)
		return err;
	vd->drv = nb_zalloc(drv_size ? drv_size : sizeof(struct drv_vdevice));
	if (vd->drv)
		err = object_reserve(c, &vd->obj, OBJ_VDEVICE);
	if (err) {
		nb_free(vd->drv);
		nb_free(vd);
		return err;
	}
	*out = vd;
	return 0;
}

static int alloc_locked(struct ucmd *u, struct iommu_vdevice_alloc *c, struct viommu *v, struct idev *dev)
{
	const struct drv_viommu_ops *ops = v->drv->ops;
	struct vdevice *vd;
	int err;

	if (dev->going)
		return nb_fail(&u->diag, -ENOENT, "device %" PRIu32 " is being unbound", c->dev_id);
	if (dev->vdev)
		return nb_fail(&u->diag, -EEXIST, "device %" PRIu32 " has a vDEVICE already", c->dev_id);
	if (taken_locked(v, c->virt_id))
		return nb_fail(&u->diag, -EEXIST, "virtual id %#" PRIx64 " is used already", c->virt_id);
	err = vdevice_new(u->ctx, ops->vdevice_size, &vd);
	if (err)
		return err;
	vd->viommu = v;
	vd->dev = dev;
	vd->drv->viommu = v->drv;
	vd->drv->dev = dev->drv;
	vd->drv->virt_id = c->virt_id;
	err = ops->vdevice_init ? ops->vdevice_init(vd->drv, &u->diag) : 0;
	if (err) {
		object_unreserve(&vd->obj);
		nb_free(vd->drv);
		nb_free(vd);
		return err;
	}
	nb_list_add_tail(&v->vdevices, &vd->link);
	dev->vdev = vd;
	object_ref(&v->obj);
	object_ref(&dev->obj);
	NB_TRACE(u->ctx->host->cfg.tr, host_vdevice, vd->obj.id, v->obj.id, dev->obj.id, c->virt_id);
	c->out_vdevice_id = vd->obj.id;
	u->made = &vd->obj;
	return 0;
}

int ioctl_vdevice_alloc(struct ucmd *u)
{
	struct iommu_vdevice_alloc *c = u->cmd;
	struct viommu *v = viommu_get(u->ctx, c->viommu_id);
	struct idev *dev;
	int err;

	if (!v)
		return nb_fail(&u->diag, -ENOENT, "there is no vIOMMU %" PRIu32, c->viommu_id);
	dev = idev_get(u->ctx, c->dev_id);
	if (!dev) {
		err = nb_fail(&u->diag, -ENOENT, "there is no device %" PRIu32, c->dev_id);
		goto out;
	}
	if (!viommu_serves(v, dev)) {
		err = nb_fail(&u->diag, -EINVAL, "device %" PRIu32 " is behind another IOMMU", c->dev_id);
	} else {
		pthread_mutex_lock(&u->ctx->vdev_lock);
		err = alloc_locked(u, c, v, dev);
		pthread_mutex_unlock(&u->ctx->vdev_lock);
	}
	object_put(&dev->obj);
out:
	object_put(&v->obj);
	return err;
}

void vdevice_free(struct vdevice *vd)
{
	struct viommu *v = vd->viommu;
	struct idev *dev = vd->dev;
	struct ictx *c = vd->obj.ctx;

	NB_TRACE(c->host->cfg.tr, host_vdevice_destroy, vd->obj.id, dev->obj.id);
	pthread_mutex_lock(&c->vdev_lock);
	if (v->drv->ops->vdevice_destroy)
		v->drv->ops->vdevice_destroy(vd->drv);
	nb_list_del(&vd->link);
	dev->vdev = NULL;
	pthread_mutex_unlock(&c->vdev_lock);
	object_put(&v->obj);
	object_put(&dev->obj); /* last: the device may be waiting for it */
	nb_free(vd->drv);
	nb_free(vd);
}

void vdevice_remove(struct idev *dev)
{
	struct ictx *c = dev->obj.ctx;
	struct vdevice *vd;
	bool live = false;

	pthread_mutex_lock(&c->vdev_lock);
	dev->going = true;
	while ((vd = dev->vdev) != NULL && !(live = object_get_live(&vd->obj))) {
		/* The call that makes it or the one that destroys it is not done yet. */
		pthread_mutex_unlock(&c->vdev_lock);
		sched_yield();
		pthread_mutex_lock(&c->vdev_lock);
	}
	pthread_mutex_unlock(&c->vdev_lock);
	if (live)
		object_tombstone(&vd->obj, 1);
}
