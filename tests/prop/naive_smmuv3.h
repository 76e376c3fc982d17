/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second SMMUv3, as slow and as plain as it can be: no cache, no masks of ours, every number from the manuals
 * (IHI 0070 G.b, DDI 0487 M.a.a).
 *
 * It exists to disagree with src/hw/smmuv3. It reads a flat image of memory and applies access flags and dirty states to
 * it, so the images of both can be compared afterwards. 64-bit descriptors, Non-secure.
 */
#ifndef NB_TESTS_NAIVE_SMMUV3_H
#define NB_TESTS_NAIVE_SMMUV3_H

#include <stdbool.h>
#include <stdint.h>

struct naive_smmu {
	uint8_t *image;		/* of [base, base + len) */
	uint64_t base, len;
	uint64_t strtab;	/* 2^log2size entries */
	unsigned int log2size;
	unsigned int split;	/* of two levels: entries in a second, as a power of two; 0: linear */
	bool e2h;		/* CR2.E2H */
	/* capabilities that decide about walks */
	unsigned int oas;	/* bits */
	unsigned int httu;	/* 0, 1: access flag, 2: and dirty state */
	unsigned int ssid_bits, sid_bits;
	bool s1, s2, hyp, gran4, gran16, gran64, vax, ds, stt, xnx, had, fwb, perms_ovr, e0pd, epan, asid16, vmid16, big_endian, cd_2level;
};

struct naive_smmu_req {
	uint64_t addr;
	uint32_t sid, ssid;
	bool with_ssid, priv;
	bool read, write, exec; /* exec alone: an instruction read; read and write: atomic */
};

struct naive_smmu_fault {
	int event;	/* number, or 0 */
	int stage;	/* 1, 2; 0: configuration */
	int cls;	/* 0 CD, 1 TT, 2 IN */
	bool ttwrite;	/* F_PERMISSION with class TT: it was a write to the descriptor */
	bool reads;	/* F_PERMISSION of an atomic access that may write and not read: 13.1.1 */
	uint64_t ipa;	/* stage 2 only */
	uint64_t fetch;	/* F_WALK_EABT, F_CD_FETCH: address of what could not be read */
};

struct naive_smmu_res {
	struct naive_smmu_fault fault; /* event 0: none */
	struct naive_smmu_fault maybe; /* another one that hardware may give instead */
	uint64_t pa;
	unsigned int lg2;	/* 0: nobody says (bypass) */
	bool r, w, x;		/* what the requester may do there */
	bool global;
	unsigned int nwords;	/* addresses of the words that the walk read, in order */
	uint64_t word[128];
};

/* First lookup levels by granule (12, 14, 16) and TxSZ; stage 2: -2 if SL0 and SL2 do not go with it. */
int naive_smmu_start1(unsigned int page, unsigned int tsz);
int naive_smmu_start2(const struct naive_smmu *n, unsigned int page, unsigned int tsz, unsigned int sl0, bool sl2, bool ds);

void naive_smmu_translate(struct naive_smmu *n, const struct naive_smmu_req *q, struct naive_smmu_res *res);

#endif
