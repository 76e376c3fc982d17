/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An SMMUv3 over a small memory with a valid setup, for the target that attacks one: little of an input is needed to get
 * deep.
 *
 * Memory is SZ_PAGES pages from SZ_BASE. StreamIDs 0 to 7 bypass, use stage 1, stage 2, abort, and so on; SZ_SID is nested with
 * eight SubstreamIDs, a CD each. Stage 1 maps SZ_VA and up to the pages in order, stage 2 maps all our memory to itself.
 */
#ifndef NB_FUZZ_SMMU_H
#define NB_FUZZ_SMMU_H

#include <string.h>

#include "base/rcu.h"
#include "hw/hw.h"
#include "hw/smmuv3/smmu.h"
#include "client.h"
#include "input.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/pte.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

#define SZ_PAGES 40u
#define SZ_LEN	 (SZ_PAGES * 4096u)
#define SZ_BASE	 UINT64_C(0x100000)
#define SZ_VA	 UINT64_C(0x200000)
#define SZ_SID	 8
#define SZ_CMDQ_LG2 8u /* entries: one page */
#define SZ_EVTQ_LG2 7u
#define SZ_PRIQ_LG2 8u

enum { /* pages */
	SZ_STRTAB, SZ_L1STD, SZ_CMDQ, SZ_EVTQ, SZ_PRIQ, SZ_CD, SZ_L1CD, SZ_S1, SZ_S2 = SZ_S1 + 3, SZ_S1_64K = SZ_S2 + 3, SZ_DATA
};

struct fz_smmu {
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *ram;
	struct smmu_caps caps;
	bool two_level, two_level_cd, waits;
	struct hw_client client;
	uint32_t prod; /* CMDQ */
	unsigned int told;
};

static inline uint64_t sz_at(unsigned int page)
{
	return SZ_BASE + page * 4096u;
}
static inline void sz_put(struct fz_smmu *z, unsigned int page, unsigned int word, uint64_t v)
{
	check(mem_store64(&z->mem, hpa(sz_at(page % SZ_PAGES) + (word & 511) * 8), v) == 0);
}
static inline uint64_t sz_get(struct fz_smmu *z, unsigned int page, unsigned int word)
{
	uint64_t v = 0;

	check(mem_load64(&z->mem, hpa(sz_at(page % SZ_PAGES) + (word & 511) * 8), &v) == 0);
	return v;
}
static inline void sz_reg(struct fz_smmu *z, uint64_t off, unsigned int size, uint64_t v)
{
	z->hw->ops->mmio_write(z->hw, off, size, v);
}
static inline uint32_t sz_read(struct fz_smmu *z, uint64_t off)
{
	return (uint32_t)z->hw->ops->mmio_read(z->hw, off, 4);
}

/* By number: plain, flags by hardware, stalls, nothing recorded, both halves, 64 KiB granule, E0PD and PAN, invalid. */
static inline void sz_cd(struct fz_smmu *z, unsigned int n)
{
	uint64_t q0 = SMMU_CD_0_V | SMMU_CD_0_AA64 | SMMU_CD_0_A | SMMU_CD_0_R | SMMU_CD_0_EPD1 | FIELD_C(SMMU_CD_0_T0SZ, 25) |
		      FIELD_C(SMMU_CD_0_IPS, SMMU_OAS_40) | FIELD(SMMU_CD_0_ASID, 4 + n);
	uint64_t ttb = sz_at(SZ_S1), ttb1 = 0;

	if (n == 1 && z->caps.httu)
		q0 |= SMMU_CD_0_HA | (z->caps.httu == SMMU_HTTU_AD ? SMMU_CD_0_HD : 0);
	if (n == 2 && z->caps.stall_model != SMMU_STALL_NEVER)
		q0 |= SMMU_CD_0_S;
	if (z->caps.stall_model == SMMU_STALL_ALWAYS)
		q0 |= SMMU_CD_0_S;
	if (n == 3)
		q0 &= ~(SMMU_CD_0_R | (z->caps.no_term_model ? 0 : SMMU_CD_0_A));
	if (n == 4) {
		q0 = (q0 & ~SMMU_CD_0_EPD1) | FIELD_C(SMMU_CD_0_T1SZ, 25) | FIELD_C(SMMU_CD_0_TG1, SMMU_TG1_4K) | SMMU_CD_0_TBI0;
		ttb1 = sz_at(SZ_S1);
	}
	if (n == 5) {
		q0 |= FIELD_C(SMMU_CD_0_TG0, SMMU_TG_64K);
		ttb = sz_at(SZ_S1_64K);
	}
	if (n == 6)
		q0 |= SMMU_CD_0_PAN | SMMU_CD_0_WXN;
	if (n == 7)
		q0 &= ~SMMU_CD_0_V;
	sz_put(z, SZ_CD, 8 * n, q0);
	sz_put(z, SZ_CD, 8 * n + 1, ttb | (n == 6 ? SMMU_CD_1_E0PD0 : 0));
	sz_put(z, SZ_CD, 8 * n + 2, ttb1);
	sz_put(z, SZ_CD, 8 * n + 3, 0xff);
}

static inline void sz_ste(struct fz_smmu *z, unsigned int sid, unsigned int config, bool substreams)
{
	uint64_t q0 = SMMU_STE_0_V | FIELD(SMMU_STE_0_CONFIG, config);
	uint64_t q1 = FIELD_C(SMMU_STE_1_SHCFG, SMMU_SHCFG_INCOMING) | FIELD_C(SMMU_STE_1_S1DSS, SMMU_S1DSS_SSID0);
	uint64_t q2 = SMMU_STE_2_S2AA64 | SMMU_STE_2_S2R | FIELD_C(SMMU_STE_2_S2T0SZ, 32) | FIELD_C(SMMU_STE_2_S2SL0, 1) |
		      FIELD_C(SMMU_STE_2_S2PS, SMMU_OAS_40) | FIELD(SMMU_STE_2_S2VMID, 1 + (sid & 3));

	if (z->caps.stall_model == SMMU_STALL_ALWAYS)
		q2 |= SMMU_STE_2_S2S;
	if (config & 1) {
		q0 |= z->two_level_cd && substreams ? sz_at(SZ_L1CD) : sz_at(SZ_CD);
		if (substreams)
			q0 |= FIELD_C(SMMU_STE_0_S1CDMAX, 3) | (z->two_level_cd ? FIELD_C(SMMU_STE_0_S1FMT, SMMU_S1FMT_4K) : 0);
	}
	if (z->caps.ats)
		q1 |= FIELD(SMMU_STE_1_EATS, sid & 1 && config == SMMU_STE_CONFIG_NESTED ? SMMU_EATS_SPLIT : SMMU_EATS_FULL);
	sz_put(z, SZ_STRTAB, 8 * sid, q0);
	sz_put(z, SZ_STRTAB, 8 * sid + 1, q1);
	sz_put(z, SZ_STRTAB, 8 * sid + 2, q2);
	sz_put(z, SZ_STRTAB, 8 * sid + 3, sz_at(SZ_S2));
}

static inline void sz_tables(struct fz_smmu *z)
{
	const uint64_t s1 = SMMU_PTE_AF | SMMU_PTE_AP1 | 3, s2 = SMMU_S2PTE_AF | SMMU_S2PTE_R | SMMU_S2PTE_W | 0x3c | 3;
	unsigned int i;

	sz_put(z, SZ_L1STD, 0, sz_at(SZ_STRTAB) | 6); /* 32 STEs */
	for (i = 0; i < 8; i++)
		sz_ste(z, i, i ^ 4, false);
	sz_ste(z, SZ_SID, SMMU_STE_CONFIG_NESTED, z->caps.ssid_bits >= 3);
	sz_ste(z, SZ_SID + 1, SMMU_STE_CONFIG_NESTED, false);
	sz_ste(z, SZ_SID + 2, SMMU_STE_CONFIG_S1, z->caps.ssid_bits >= 3);
	sz_put(z, SZ_L1CD, 0, sz_at(SZ_CD) | SMMU_L1CD_0_V);
	for (i = 0; i < 8; i++)
		sz_cd(z, i);
	sz_put(z, SZ_S1, 0, sz_at(SZ_S1 + 1) | 3);
	sz_put(z, SZ_S1 + 1, 1, sz_at(SZ_S1 + 2) | 3);
	sz_put(z, SZ_S2, 0, sz_at(SZ_S2 + 1) | 3);
	sz_put(z, SZ_S2 + 1, 0, sz_at(SZ_S2 + 2) | 3);
	for (i = 0; i < SZ_PAGES; i++) {
		/* Some without access flag, some writable once they are dirty, some global. */
		sz_put(z, SZ_S1 + 2, i, sz_at(i) | (i % 5 == 4 ? s1 & ~SMMU_PTE_AF : s1) | (i % 7 == 6 ? SMMU_PTE_AP2 | SMMU_PTE_DBM : 0) |
						 (i & 1 ? SMMU_PTE_NG : 0));
		sz_put(z, SZ_S2 + 2, 256 + i, sz_at(i) | s2);
	}
	sz_put(z, SZ_S1_64K, 0, sz_at(SZ_S1_64K) | 3); /* itself, and a block */
	sz_put(z, SZ_S1_64K, 1, (s1 & ~UINT64_C(2)));
}

/* Registers as a driver leaves them, whatever they were; queues begin anew. */
static inline void sz_enable(struct fz_smmu *z)
{
	uint32_t on = (uint32_t)(SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN | (z->caps.pri ? SMMU_CR0_PRIQEN : 0));

	sz_reg(z, SMMU_REG_CR0, 4, 0);
	sz_reg(z, SMMU_REG_GERRORN, 4, sz_read(z, SMMU_REG_GERROR));
	sz_reg(z, SMMU_REG_IRQ_CTRL, 4, 0);
	sz_reg(z, SMMU_REG_EVENTQ_IRQ_CFG0, 8, 0xfee00000);
	sz_reg(z, SMMU_REG_GERROR_IRQ_CFG0, 8, 0);
	sz_reg(z, SMMU_REG_PRIQ_IRQ_CFG0, 8, 0);
	sz_reg(z, SMMU_REG_IRQ_CTRL, 4, SMMU_IRQ_CTRL_EVENTQ | SMMU_IRQ_CTRL_GERROR);
	sz_reg(z, SMMU_REG_CR2, 4, SMMU_CR2_RECINVSID);
	sz_reg(z, SMMU_REG_STRTAB_BASE, 8, sz_at(z->two_level ? SZ_L1STD : SZ_STRTAB));
	sz_reg(z, SMMU_REG_STRTAB_BASE_CFG, 4,
	       z->two_level ? FIELD_C(SMMU_STRTAB_BASE_CFG_FMT, 1) | FIELD_C(SMMU_STRTAB_BASE_CFG_SPLIT, 6) | 6 : 5);
	sz_reg(z, SMMU_REG_CMDQ_BASE, 8, sz_at(SZ_CMDQ) | SZ_CMDQ_LG2);
	sz_reg(z, SMMU_REG_EVENTQ_BASE, 8, sz_at(SZ_EVTQ) | SZ_EVTQ_LG2);
	sz_reg(z, SMMU_REG_PRIQ_BASE, 8, sz_at(SZ_PRIQ) | SZ_PRIQ_LG2);
	sz_reg(z, SMMU_REG_CMDQ_PROD, 4, 0);
	sz_reg(z, SMMU_REG_CMDQ_CONS, 4, 0);
	sz_reg(z, SMMU_REG_EVENTQ_PROD, 4, 0);
	sz_reg(z, SMMU_REG_EVENTQ_CONS, 4, 0);
	sz_reg(z, SMMU_REG_PRIQ_PROD, 4, 0);
	sz_reg(z, SMMU_REG_PRIQ_CONS, 4, 0);
	z->prod = 0;
	sz_reg(z, SMMU_REG_CR0, 4, on);
	sz_reg(z, SMMU_REG_CR0, 4, on | (uint32_t)SMMU_CR0_SMMUEN);
	check(sz_read(z, SMMU_REG_CR0ACK) == (on | SMMU_CR0_SMMUEN));
}

static inline void sz_stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	unsigned int *told = opaque;

	(void)addr;
	check(all || pasid == NB_NO_PASID || pasid <= NB_PASID_MAX);
	check(end == HW_STALL_RETRY || end == HW_STALL_ABORT || end == HW_STALL_RAZ_WI);
	++*told;
}

static inline const struct hw_client *sz_client(void *opaque, uint16_t rid)
{
	struct fz_smmu *z = opaque;

	return rid == SZ_SID || rid == SZ_SID + 2 ? &z->client : NULL;
}

static inline void sz_caps(struct smmu_caps *c, uint64_t bits)
{
	smmu_caps_all(c);
	c->oas = bits & 1 ? 52 : bits & 2 ? 48 : 40;
	c->ds = c->ds && c->oas == 52;
	c->httu = bits & 4 ? SMMU_HTTU_NONE : bits & 8 ? SMMU_HTTU_A : SMMU_HTTU_AD;
	c->stall_model = bits & 16 ? SMMU_STALL_NEVER : bits & 0x20000 && bits & 32 ? SMMU_STALL_ALWAYS : SMMU_STALL_BOTH;
	c->ats = !(bits & 64);
	c->pri = c->ats && !(bits & 128);
	c->ats_rec_err = c->ats;
	c->no_term_model = bits & 256;
	c->ril = !(bits & 512);
	c->ssid_bits = bits & 1024 ? 0 : 20;
	c->cd_2level = c->ssid_bits != 0;
	c->vmw = bits & 2048;
	c->big_endian = bits & 4096;
	c->attr_ovr = bits & 8192;
	c->pasidtt = c->ats && bits & 16384;
	c->pps = bits & 32768;
	c->ns1ats = c->ats && (bits & 0x30000) == 0x10000;
}

/* Set up, switched on. False: the model refuses such capabilities. */
static inline bool sz_up(struct fz_smmu *z, uint64_t bits)
{
	memset(z, 0, sizeof(*z));
	z->two_level = bits & 1;
	z->two_level_cd = bits & 2;
	z->waits = bits & 4;
	sz_caps(&z->caps, bits >> 3);
	z->ram = aligned_alloc(4096, SZ_LEN);
	if (!z->ram || mem_init_regions(&z->mem) || mem_add_region(&z->mem, hpa(SZ_BASE), z->ram, SZ_LEN))
		abort();
	memset(z->ram, 0, SZ_LEN);
	if (smmu_create(&z->caps, &z->mem, NULL, &z->hw, NULL)) {
		mem_fini(&z->mem);
		free(z->ram);
		return false;
	}
	z->client = (struct hw_client){.opaque = &z->told, .ats_invalidate = fz_ats_invalidate, .page_response = fz_page_response,
				       .stall_done = z->waits ? sz_stall_done : NULL};
	z->hw->msi = fz_msi;
	z->hw->client = sz_client;
	z->hw->client_opaque = z;
	sz_tables(z);
	sz_enable(z);
	return true;
}

static inline void sz_down(struct fz_smmu *z)
{
	z->hw->ops->destroy(z->hw);
	mem_fini(&z->mem);
	free(z->ram);
}

#endif
