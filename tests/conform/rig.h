/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual host inside a test, driven as a VMM drives it: by ioctls; and its devices as silicon: by DMA.
 *
 * Used by conform, prop, fuzz and bench. Calls return what the ioctl returned, ids come back through pointers. The
 * functions are those of the description; no device model is involved in DMA, it is put onto the IOMMU's port directly.
 */
#ifndef NB_TESTS_RIG_H
#define NB_TESTS_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/machine.h"

#define RIG_DEVS 8
#define RIG_QUEUES 16

struct rig_dev {
	struct vfio_file *vfio;
	struct hw_iommu *hw;
	uint16_t rid;
	uint32_t id; /* iommufd's */
};

struct rig {
	struct machine *m;
	struct iommufd_file *iommufd;
	struct rig_dev dev[RIG_DEVS];
	unsigned int ndevs;
	struct queue_file *queue[RIG_QUEUES]; /* open ones */
};

/* Build the host and bind its first functions (all, at most RIG_DEVS) to one context. False: the reason is on stderr. */
bool rig_up(struct rig *r, const struct nb_desc *desc);
void rig_down(struct rig *r); /* everything that was made through it goes too */

long rig_destroy(struct rig *r, uint32_t id);
long rig_ioas(struct rig *r, uint32_t *ioas);
/* prot: HW_READ | HW_WRITE */
long rig_map(struct rig *r, uint32_t ioas, const void *va, uint64_t iova, uint64_t len, unsigned int prot);
long rig_map_any(struct rig *r, uint32_t ioas, const void *va, uint64_t len, unsigned int prot, uint64_t *iova);
long rig_unmap(struct rig *r, uint32_t ioas, uint64_t iova, uint64_t len, uint64_t *unmapped);
/* flags: IOMMU_HWPT_ALLOC_* */
long rig_hwpt(struct rig *r, unsigned int dev, uint32_t pt_id, uint32_t flags, uint32_t *hwpt);
/* s1_flags: IOMMU_VTD_S1_*; width 48 or 57 */
long rig_hwpt_nested(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint64_t s1_root, uint32_t width,
		     uint64_t s1_flags, uint32_t *hwpt);
/* The same two with a vendor's blob (vendor.h makes them): stage-1 data, one invalidation entry. */
long rig_hwpt_blob(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint32_t type, const void *blob,
		   uint32_t len, uint32_t *hwpt);
/* With a fault queue, if the flags say so. */
long rig_hwpt_fault_blob(struct rig *r, unsigned int dev, uint32_t parent, uint32_t flags, uint32_t fault, uint32_t type,
			 const void *blob, uint32_t len, uint32_t *hwpt);
long rig_invalidate_blob(struct rig *r, uint32_t hwpt, uint32_t type, const void *blob, uint32_t len);
/* pasid may be NB_NO_PASID: the function's plain requests. pt_id: IOAS or HWPT. */
long rig_attach(struct rig *r, unsigned int dev, uint32_t pasid, uint32_t pt_id);
long rig_detach(struct rig *r, unsigned int dev, uint32_t pasid);
long rig_invalidate(struct rig *r, uint32_t hwpt, uint64_t addr, uint64_t npages, bool leaf);

/* IOAS_COPY to an address of the caller's choice. */
long rig_copy(struct rig *r, uint32_t dst, uint64_t dst_iova, uint32_t src, uint64_t src_iova, uint64_t len, unsigned int prot);

/* vIOMMUs. *queue is an index of rig.queue; read and close it with the calls below. */
long rig_viommu(struct rig *r, unsigned int dev, uint32_t parent, uint32_t type, uint32_t *viommu);
long rig_vdevice(struct rig *r, uint32_t viommu, unsigned int dev, uint64_t virt_id, uint32_t *vdevice);
long rig_veventq(struct rig *r, uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *veventq, unsigned int *queue);
ssize_t rig_queue_read(struct rig *r, unsigned int queue, void *buf, size_t len);
/* The same for page requests: *queue. */
long rig_fault_queue(struct rig *r, uint32_t *fault, unsigned int *queue);
ssize_t rig_queue_write(struct rig *r, unsigned int queue, const void *buf, size_t len);
void rig_queue_close(struct rig *r, unsigned int queue);
/* A batch; *done: how many were taken, also on error. */
long rig_viommu_invalidate(struct rig *r, uint32_t viommu, uint32_t type, const void *entries, uint32_t len, uint32_t n,
			   uint32_t *done);

long rig_dirty_tracking(struct rig *r, uint32_t hwpt, bool on);
/* bits: one per page_size of [iova, iova + len) */
long rig_dirty_bitmap(struct rig *r, uint32_t hwpt, uint64_t iova, uint64_t len, uint64_t page_size, uint64_t *bits, bool keep);

int rig_read(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t iova, void *buf, size_t len);
int rig_write(struct rig *r, unsigned int dev, uint32_t pasid, uint64_t iova, const void *buf, size_t len);

#endif
