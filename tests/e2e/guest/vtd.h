/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virtual VT-d, driven without the kernel's help (which must leave it alone: intel_iommu=off
 * intremap=off): scalable mode, first-stage tables, one device.
 */
#ifndef NB_GUEST_VTD_H
#define NB_GUEST_VTD_H

#include <stdint.h>

struct vtd_table { /* the root of a 4-level first-stage table */
	uint64_t *va;
	uint64_t pa;
};

void vtd_init(uint8_t bus, uint8_t devfn); /* the device is known, its requests fault; translation is on */
struct vtd_table vtd_table_new(void);
/* Changes in memory only; the device may see the old mapping until an invalidation. pa 0 unmaps. */
void vtd_map(struct vtd_table table, uint64_t iova, uint64_t pa);
void vtd_set_pasid(uint32_t pasid, struct vtd_table table); /* requests without a PASID use entry 0 */
void vtd_clear_pasid(uint32_t pasid);
void vtd_invalidate_page(uint32_t pasid, uint64_t iova);

#endif
