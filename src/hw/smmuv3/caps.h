/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an SMMUv3 can do: the one structure from which the ID registers are made and which every check reads, so that
 * what the unit advertises and what it refuses cannot drift apart.
 *
 * IHI 0070, issue G.b, 6.3.1 to 6.3.8. The model is SMMUv3.1 or later (AIDR): what the manual leaves open in v3.0 is
 * as in v3.1. Zero is a sensible value of each field of the second group.
 */
#ifndef NB_HW_SMMUV3_CAPS_H
#define NB_HW_SMMUV3_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct smmu_caps {
	uint8_t oas;	   /* output address size: 32, 36, 40, 42, 44, 48, 52 */
	uint8_t sid_bits;  /* SIDSIZE: 0..32; of requesters 16 exist */
	uint8_t ssid_bits; /* SSIDSIZE: 0..20; 0: no substreams */
	uint8_t cmdq_lg2, evtq_lg2, priq_lg2; /* CMDQS, EVENTQS, PRIQS: 0..19 */
	uint8_t httu;	   /* SMMU_HTTU_NONE, _A, _AD */
	uint8_t stall_model; /* SMMU_STALL_*; without either stage no meaning */
	bool s1, s2;
	bool asid16, vmid16;
	bool gran4k, gran16k, gran64k;
	bool vax52;	   /* IDR5.VAX: 52-bit virtual addresses */
	bool ds;	   /* IDR5.DS: 52-bit addresses with 4 and 16 KiB granules */
	bool st_2level, cd_2level;
	bool ats, pri;
	bool hyp;	   /* EL2 stream worlds, and E2H with them */
	bool msi, sev;
	bool coherent;	   /* COHACC */
	bool ril;	   /* range invalidation and level hints */
	bool had;	   /* hierarchical attributes can be disabled */
	bool stt;	   /* small translation tables */
	bool fwb;	   /* stage 2 decides memory types */
	bool xnx;	   /* stage 2 execute permission by privilege */
	bool e0pd, epan;
	bool attr_ovr;	   /* ATTR_TYPES_OVR, ATTR_PERMS_OVR */

	/* beyond */
	uint8_t minor;	   /* AIDR.ArchMinorRev; 0: the least that has the features above, and not less than 1 */
	uint8_t bbml;	   /* IDR3.BBML: 0..2 */
	uint8_t stall_max; /* IDR5.STALL_MAX: stalled transactions at once; 0: SMMU_STALLS */
	bool no_term_model;/* TERM_MODEL: faults cannot end as RAZ/WI, so CD.A must be 1 */
	bool ns1ats;	   /* NS1ATS: no split-stage ATS */
	bool big_endian;   /* tables of either endianness; else little */
	bool vmw;	   /* VMID wildcards in invalidations; accepted in CR0 */
	bool pps;	   /* PRI responses of overflow carry a PASID as the request did */
	bool ats_rec_err;  /* ATSRECERR: CR2.REC_CFG_ATS exists */
	bool pasidtt;	   /* translated requests may carry a PASID */
	bool ptwnnc;
	uint32_t iidr;	   /* 0: our own */
	bool ecmdq;	   /* command queues in pages of registers: 2^pages pages of 2^queues each, 8 is the most of both */
	uint8_t ecmdq_pages_lg2, ecmdq_queues_lg2;

	/* A CMDQ-V beside the unit, which no ID register tells of: log2 of its VINTFs (6), VCMDQs (7) and of the StreamIDs of a VINTF (4 is the most). */
	bool cmdqv;
	uint8_t cmdqv_vintfs_lg2, cmdqv_vcmdqs_lg2, cmdqv_sids_lg2;
};

/* Stalled transactions that the model keeps at most. */
#define SMMU_STALLS 64u
#define SMMU_IIDR 0x00000000u /* no implementer's code is ours */

/* Everything the model can do, with 52-bit addresses. */
void smmu_caps_all(struct smmu_caps *c);

/* Values in range, and no feature without what it stands on. 0 or -EINVAL with the reason. */
int smmu_caps_check(const struct smmu_caps *c, struct nb_diag *diag);

struct smmu_idregs {
	uint32_t idr0, idr1, idr2, idr3, idr4, idr5, idr6, iidr, aidr;
};
void smmu_caps_regs(const struct smmu_caps *c, struct smmu_idregs *out);
/* The reverse, as far as the model has the features. AIDR 0 counts as 1: SMMUv3.1. */
void smmu_caps_from_regs(const struct smmu_idregs *r, struct smmu_caps *out);

/* Input address size of stage 2, and of bypassed stage 1: there is no AArch32, so it is the output address size. */
static inline uint8_t smmu_caps_ias(const struct smmu_caps *c)
{
	return c->oas;
}
/* 12, 14 or 16. */
static inline bool smmu_caps_granule(const struct smmu_caps *c, unsigned int lg2)
{
	return lg2 == 12 ? c->gran4k : lg2 == 14 ? c->gran16k : lg2 == 16 && c->gran64k;
}

#endif
