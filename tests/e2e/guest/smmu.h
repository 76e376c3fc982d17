/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virtual SMMUv3, driven without the kernel's help (which must leave it alone:
 * initcall_blacklist=arm_smmu_driver_init): stage 1, one stream with up to SMMU_CDS substreams.
 */
#ifndef NB_GUEST_SMMU_H
#define NB_GUEST_SMMU_H

#include <stdbool.h>
#include <stdint.h>

#define SMMU_CDS 8u

struct smmu_table { /* the root of a 4-level stage-1 table of 4 KiB pages */
	uint64_t *va;
	uint64_t pa;
};

/* 7.3: as far as we look at them */
enum smmu_event_type {
	SMMU_C_BAD_CD = 0x0a,
	SMMU_F_TRANSLATION = 0x10,
	SMMU_F_PERMISSION = 0x13,
};

struct smmu_event {
	uint32_t type, sid, ssid;
	bool has_ssid, read, s2;
	uint64_t address;
};

void smmu_find(void);		   /* the registers; the unit stays off */
bool smmu_has_ats(void);
bool smmu_has_substreams(void);
bool smmu_has_ranges(void);
void smmu_refuse_all(bool refuse); /* while the unit is off: abort what comes, or let it pass */
void smmu_start(void);		   /* queues and translation on; no stream is known */

/* The stream's entry; takes effect at once. */
void smmu_stream_translate(uint32_t sid, bool ats);
void smmu_stream_bypass(uint32_t sid);
void smmu_stream_forget(uint32_t sid);

/* Context descriptors: what comes without a PASID uses the first. Takes effect at once. */
void smmu_set_cd(uint32_t sid, uint32_t ssid, uint16_t asid, struct smmu_table table);
void smmu_clear_cd(uint32_t sid, uint32_t ssid);

struct smmu_table smmu_table_new(void);
/* Changes in memory only; the device may see the old mapping until an invalidation. pa 0 unmaps. */
void smmu_map(struct smmu_table table, uint64_t iova, uint64_t pa, bool writable);
void smmu_invalidate_page(uint16_t asid, uint64_t iova);
void smmu_invalidate_pages(uint16_t asid, uint64_t iova, unsigned int pages); /* one command, at most 32 */
void smmu_invalidate_asid(uint16_t asid);
void smmu_invalidate_atc(uint32_t sid, uint64_t iova);

bool smmu_use_vcmdq(void); /* invalidations above go through a queue of CMDQ-V from now on; false: there is none */

void smmu_wait_event(const char *what, struct smmu_event *e); /* the oldest not yet seen */

#endif
