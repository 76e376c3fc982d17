/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices as iommufd knows them: a function bound to a context, and what it is attached to.
 *
 * The hardware is programmed per group: the first device of a group that attaches (to what requests without PASID use, or for one
 * PASID) programs all functions of the group, later ones must want the same table, and the last one to detach
 * blocks them all.
 *
 * Locking: group->lock protects everything of a group, and serialises the driver's attach and block for its functions.
 */
#ifndef NB_HOST_DEVICE_H
#define NB_HOST_DEVICE_H

#include <pthread.h>

#include "base/addr.h"
#include "base/bits.h"
#include "base/list.h"
#include "drv/drv.h"
#include "host/fault.h"
#include "host/object.h"

struct host_function;
struct hwpt;
struct vdevice;

struct host_group {
	struct host *host;
	struct nb_list link; /* host->groups */
	uint32_t id;
	pthread_mutex_t lock;
	struct nb_list functions; /* struct host_function.group_link; constant once files are open */
	struct ictx *owner;	  /* who may use its DMA: the context of all its bound devices */
	unsigned int nbound;
	struct nb_list attaches; /* struct attach.link, one per PASID in use */
	unsigned int resetting;	 /* resets under way: parked on the blocked domain */
	uint64_t msi_required;	 /* doorbells that messages are set up for, by number in the owner's table: msi.h */
	struct nb_list routes[FAULT_BUCKETS]; /* struct fault_route.link by PASID, under host->fault_lock */
};

/* What one (group, PASID) is attached to. */
struct attach {
	struct nb_list link;
	uint32_t pasid; /* NB_NO_PASID: requests without one */
	struct hwpt *hwpt;
	struct nb_list devs; /* struct attach_dev.link, never empty */
	struct fault_route route; /* to the HWPT's fault queue, if it has one */
};

struct attach_dev {
	struct nb_list link;
	struct idev *dev;
};

struct idev {
	struct object obj;
	struct host_function *fn;
	struct drv_dev *drv;
	struct host_group *group;
	bool enforce_cc;	 /* its IOMMU can force snooping */
	bool nested_seen;	 /* for host_attach_unnested; under group->lock */
	bool unnested_told;
	bool unbound;		 /* going; under group->lock */
	/* Under ctx->vdev_lock: its vDEVICE, or null; no new one may be made. */
	struct vdevice *vdev;
	bool going;
};

static inline struct idev *idev_of(struct object *obj)
{
	return container_of(obj, struct idev, obj);
}
static inline struct idev *idev_get(struct ictx *c, uint32_t id)
{
	struct object *obj = object_get(c, id, OBJ_DEVICE);

	return obj ? idev_of(obj) : NULL;
}

/* Bind: a device object, with a reference of the caller's besides the table's. -EPERM, -EINVAL, -ENOMEM. */
int idev_bind(struct ictx *c, struct host_function *fn, struct idev **out, struct nb_diag *diag);
void idev_unbind(struct idev *dev); /* detached from everything */
void idev_free(struct idev *dev);   /* object.c's */

/* Attach to a paging or nested HWPT or an address space; *pt_id becomes the HWPT's. `replace` one that is attached. */
int idev_attach(struct idev *dev, uint32_t pasid, uint32_t *pt_id, bool replace, struct nb_diag *diag);
void idev_detach(struct idev *dev, uint32_t pasid);
bool idev_is_attached(struct idev *dev, uint32_t pasid);
void idev_detach_all(struct idev *dev);

/* Around a reset of a function of this group: between the two nothing it sends is translated, and attaching is -EBUSY. */
void group_reset_begin(struct host_group *g);
void group_reset_end(struct host_group *g);

/* What requests without PASID are attached to; null: nothing. With group->lock held. */
struct hwpt *group_hwpt_locked(struct host_group *g);

bool idev_can_nest(const struct idev *dev);

#endif
