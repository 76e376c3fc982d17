/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vIOMMUs: a slice of a physical unit that a guest's own IOMMU stands on, and what is made from one: nested HWPTs (hwpt.h), vDEVICEs, event
 * queues (veventq.h) and hardware queues. All of them refer to it.
 *
 * Each has a structure of the driver's besides, whose size the driver says; see drv/drv.h.
 */
#ifndef NB_HOST_VIOMMU_H
#define NB_HOST_VIOMMU_H

#include <pthread.h>

#include "base/bits.h"
#include "base/list.h"
#include "drv/drv.h"
#include "host/object.h"

struct hwpt;
struct idev;
struct ioas_access;

struct viommu {
	struct object obj;
	struct drv_viommu *drv;
	struct hwpt *parent;	  /* a reference */
	struct nb_list vdevices;  /* struct vdevice.link, one per virtual id; under ctx->vdev_lock */
	/*
	 * Held over the driver's making and destroying of hardware queues, so that one that is needed by another cannot go while that other
	 * is made. Only drivers' locks and ctx->lock are taken under it.
	 */
	pthread_mutex_t queue_lock;
	struct nb_list hw_queues; /* struct hw_queue.link */
	/* Events; a leaf that reports take, on any thread and with the driver's locks held. veventq.c. */
	pthread_mutex_t event_lock;
	struct nb_list veventqs;  /* struct veventq.link, one per type */
};

/* A device under the name that the guest has for it. One per device. */
struct vdevice {
	struct object obj;
	struct drv_vdevice *drv;
	struct viommu *viommu; /* a reference */
	struct idev *dev;      /* a reference; idev->vdev points back */
	struct nb_list link;   /* viommu->vdevices */
};

/* A queue of the guest's that hardware reads past the tables. */
struct hw_queue {
	struct object obj;
	struct drv_hw_queue *drv;
	struct viommu *viommu;	    /* a reference */
	struct ioas_access *access; /* its memory */
	struct hw_queue *after;	    /* a reference, or null: what the driver named in drv->after */
	struct nb_list link;	    /* viommu->hw_queues */
};

static inline struct viommu *viommu_of(struct object *obj)
{
	return container_of(obj, struct viommu, obj);
}
static inline struct vdevice *vdevice_of(struct object *obj)
{
	return container_of(obj, struct vdevice, obj);
}
static inline struct hw_queue *hw_queue_of(struct object *obj)
{
	return container_of(obj, struct hw_queue, obj);
}
static inline struct viommu *viommu_get(struct ictx *c, uint32_t id)
{
	struct object *obj = object_get(c, id, OBJ_VIOMMU);

	return obj ? viommu_of(obj) : NULL;
}

/* Is the device behind the unit that the vIOMMU is a slice of? */
bool viommu_serves(const struct viommu *v, const struct idev *dev);

/*
 * The device is about to go: its vDEVICE goes first and leaves a tombstone, and none is made any more. Without locks but those of the function.
 */
void vdevice_remove(struct idev *dev);

/* object.c's */
void viommu_free(struct viommu *v);
void vdevice_free(struct vdevice *vd);
void hw_queue_free(struct hw_queue *q);

#endif
