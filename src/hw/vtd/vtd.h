/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VT-d hardware model: one remapping unit.
 *
 * Architecture specification D51397, revision 5.10 (docs/support-vtd.md, "Readings of the manual"). It translates requests of every kind, with and
 * without PASID, in legacy and scalable mode, takes page requests, remaps interrupts and protects memory regions; it has queued and
 * register-based invalidation, fault recording and its interrupts. It has no posted interrupts, no memory types (MTRRs),
 * no advanced fault log, no performance monitoring and no commands; the capability registers say so and the registers read zero.
 *
 * What it caches, and under which tags, is described in tlb.h and config.c. The rule is the manual's:
 * an entry stays until software invalidates it in a way that the manual says removes it, or until room is needed.
 */
#ifndef NB_HW_VTD_VTD_H
#define NB_HW_VTD_VTD_H

#include "hw/hw.h"
#include "hw/vtd/caps.h"
#include "mem/lag.h"

/*
 * A unit after reset. caps is copied. 0, -EINVAL (the reason in diag), -ENOMEM. Set msi before first use.
 * Freed by ops->destroy(), when no thread uses it any more.
 */
int vtd_create(const struct vtd_caps *caps, struct mem *mem, struct nb_trace *tr, struct hw_iommu **out,
	       struct nb_diag *diag);

/*
 * Fault injection: the next device-TLB invalidation for this source-id gets no answer (ITE). 0 or -EINVAL without
 * device-TLB support. An unexpected completion from source-id (ICE) happens at once.
 */
int vtd_inject_devtlb_timeout(struct hw_iommu *hw, uint16_t sid);
int vtd_inject_devtlb_stray(struct hw_iommu *hw, uint16_t sid);

/*
 * What this unit reads without snooping, it reads as `lag` shows it (mem/lag.h): with ECAP.C clear the root, context, PASID and
 * interrupt remapping structures and legacy mode's tables, with ECAP.SMPWC or an entry's PWSNP clear the tables behind a PASID
 * entry. Before first use; lag is not owned, and null is a unit that snoops all. hw->ops->written_back() is the way in.
 */
void vtd_set_lag(struct hw_iommu *hw, struct mem_lag *lag);

/* Forget everything cached, as hardware may at any time. Outside read sections. */
void vtd_drop_caches(struct hw_iommu *hw);

#endif
