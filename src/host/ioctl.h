/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ioctl on an iommufd file, from the table in ioctl.c to its handler.
 *
 * A handler gets its struct copied and checked for unknown tails, returns 0 or a negative errno, and leaves an
 * object that it made in `made`: the dispatcher copies the struct back, then publishes the object, so that nothing is left
 * of a call whose answer could not be delivered.
 */
#ifndef NB_HOST_IOCTL_H
#define NB_HOST_IOCTL_H

#include "base/diag.h"
#include "host/object.h"
#include "host/user.h"

struct ucmd {
	struct ictx *ctx;
	uint64_t uptr;
	void *cmd;	      /* the struct, whole, in our memory */
	struct object *made;  /* reserved, not published */
	bool respond_anyway;  /* copy back although the call failed */
	struct nb_diag diag;
};

int ioctl_ioas_alloc(struct ucmd *u);
int ioctl_ioas_iova_ranges(struct ucmd *u);
int ioctl_ioas_allow_iovas(struct ucmd *u);
int ioctl_ioas_map(struct ucmd *u);
int ioctl_ioas_map_file(struct ucmd *u);
int ioctl_ioas_copy(struct ucmd *u);
int ioctl_ioas_unmap(struct ucmd *u);
int ioctl_option(struct ucmd *u);
int ioctl_vfio_ioas(struct ucmd *u);
int ioctl_hwpt_alloc(struct ucmd *u);
int ioctl_hwpt_invalidate(struct ucmd *u);
int ioctl_hwpt_set_dirty(struct ucmd *u);
int ioctl_hwpt_get_dirty(struct ucmd *u);
int ioctl_get_hw_info(struct ucmd *u);
int ioctl_fault_alloc(struct ucmd *u);
int ioctl_viommu_alloc(struct ucmd *u);
int ioctl_vdevice_alloc(struct ucmd *u);
int ioctl_veventq_alloc(struct ucmd *u);
int ioctl_hw_queue_alloc(struct ucmd *u);

/* Calls of the old container on an iommufd file. */
long vfio_compat_ioctl(struct ictx *c, unsigned int cmd, uint64_t uarg);

#endif
