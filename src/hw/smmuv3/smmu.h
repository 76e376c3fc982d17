/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMUv3 hardware model: one SMMU.
 *
 * Arm System Memory Management Unit Architecture Specification, SMMU architecture version 3, IHI 0070, issue G.b; translation
 * tables: DDI 0487, issue M.a.a. It has the Non-secure programming interface only: no Secure, Realm or Root state, no ATOS,
 * no MPAM, no DPT, no VMSAv8-32 or VMSAv9-128 tables, no permission indirection, no broadcast TLB maintenance; the ID
 * registers say so and the registers read zero.
 *
 * A StreamID is the requester's 16-bit id. What it caches, and under which tags, is described in tlb.h and config.c.
 * The rule is the manual's: an entry stays until software invalidates it in a way that the manual says removes
 * it, or until room is needed.
 */
#ifndef NB_HW_SMMUV3_SMMU_H
#define NB_HW_SMMUV3_SMMU_H

#include "hw/hw.h"
#include "hw/smmuv3/caps.h"
#include "mem/lag.h"

/*
 * Interrupts: an MSI is a 32-bit write of the SMMU to its address; where there is memory, it goes there, else to hw->msi. The wires, used
 * where a message has address 0 or IDR0.MSI is clear, are hw->msi with address 0 and one of SMMU_WIRE_* as data.
 */
enum { SMMU_WIRE_EVENTQ, SMMU_WIRE_SYNC, SMMU_WIRE_GERROR, SMMU_WIRE_PRIQ, SMMU_WIRE_CMDQV };

/*
 * Where registers lie beside the SMMU's own: Command queue control pages (ECMDQ) follow page 1, a CMDQ-V, which is a block by itself and
 * has a wire but no messages, is out of their reach.
 */
#define SMMU_CMDQV_BASE 0x2000000u

/*
 * A unit after reset. caps is copied. 0, -EINVAL (the reason in diag), -ENOMEM. Set msi before first use.
 * Freed by ops->destroy(), when no thread uses it any more.
 */
int smmu_create(const struct smmu_caps *caps, struct mem *mem, struct nb_trace *tr, struct hw_iommu **out,
		struct nb_diag *diag);

/*
 * A unit without coherent accesses (3.15) reads what software writes for it, stream and CD tables, translation tables and commands,
 * as `lag` shows it. Before first use; lag is not owned. Of no effect with IDR0.COHACC. hw->ops->written_back() is the way in.
 */
void smmu_set_lag(struct hw_iommu *hw, struct mem_lag *lag);

/* Fault injection: the next ATC invalidation for this StreamID gets no answer. 0 or -EINVAL without ATS. */
int smmu_inject_atc_timeout(struct hw_iommu *hw, uint16_t sid);

/* Forget everything cached, as hardware may at any time. Outside read sections. */
void smmu_drop_caches(struct hw_iommu *hw);

#endif
