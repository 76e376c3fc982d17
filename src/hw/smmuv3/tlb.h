/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TLB of one SMMU: storage, tags, lookup, invalidation.
 *
 * Words: a *tag* stands for what the manual tags entries with (IHI 0070 3.17): translation regime, VMID, ASID; never a StreamID.
 * A translation function (struct smmu_cfg) has up to three: of its requests, of global entries (nG 0) of the same
 * regime and VMID, and of the stage 2 under it (IPA to PA of a VMID). With stage 2 alone the first is the third.
 *
 * What an entry of nested translation holds is the whole way, VA to PA, under the ASID's tag; invalidation by IPA does
 * not reach it (4.4.3.1), so a driver that forgets CMD_TLBI_NH_ALL finds the old translation, as on silicon.
 *
 * A fill that races with an invalidation: the filler reads `inv_seq` before it reads any table and its entry is dropped
 * if the count has moved when it holds the lock. Each invalidation moves it first and last.
 */
#ifndef NB_HW_SMMUV3_TLB_H
#define NB_HW_SMMUV3_TLB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/trace.h"

struct smmu_cfg;
struct smmu_dev;
struct smmu_tag;

/* Translation regimes of Non-secure streams. EL2 has neither ASID nor VMID, EL2_E2H has no VMID. */
enum smmu_regime { SMMU_R_EL1, SMMU_R_EL2, SMMU_R_EL2_E2H };

/* What an invalidation by address names: 4.4.1.1. Addresses are of bits 55:0; `last` is inclusive. */
struct smmu_range {
	uint64_t first, last;
	bool leaf;	/* entries of the last level only */
	uint8_t tg;	/* only entries of this granule (12, 14, 16); 0: of any */
	uint8_t ttl;	/* only leaf entries of this level (1..3); 0: of any */
};


/*
 * ---- values: an output page and what is allowed there ----
 * Rights are HW_READ | HW_WRITE | HW_EXEC of both stages together, for unprivileged requests and, SMMU_V_PRIV_SHIFT further
 * up, for privileged ones. A right that still needs a flag or dirty bit set is not among them but in the second set
 * ("would be"), which is what the requester is told it has. Further bits are tlb.c's and walk.c's.
 */
#define SMMU_V_RIGHTS	   BITS(2, 0)
#define SMMU_V_PRIV_SHIFT  3
#define SMMU_V_WOULD_SHIFT 6 /* bits 11:6: the same two sets, dirty state aside */
#define SMMU_V_ADDR	   BITS(51, 12)

/* Bits 55:12 of an address: what a translation is looked up by. */
static inline uint64_t smmu_vpn(uint64_t addr)
{
	return (addr >> 12) & (BIT(44) - 1);
}

/* First version, the interface only: tlb.c's owner fills it in. Names that other files use: inv_seq, lock, want_reset. */
struct smmu_tlb {
	_Atomic uint64_t inv_seq; /* written under the lock */
	_Atomic bool want_reset;  /* ids or tags ran out: smmu_invalidate_all() soon */
	struct nb_trace *tr;
	struct smmu_spin {
		atomic_flag held;
	} lock __attribute__((aligned(64)));
};

int smmu_tlb_init(struct smmu_tlb *t, struct nb_trace *tr); /* 0 or -ENOMEM */
void smmu_tlb_fini(struct smmu_tlb *t);

#endif
