/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 commands of the Non-secure command queue, and page requests.
 *
 * Arm SMMUv3 Architecture Specification, IHI 0070, issue G.b, chapters 4 and 8. The number in a name is the 64-bit word.
 */
#ifndef NB_SPEC_SMMUV3_CMDS_H
#define NB_SPEC_SMMUV3_CMDS_H

#include "base/bits.h"

struct smmu_cmd {
	le64_t q[2];
};
_Static_assert(sizeof(struct smmu_cmd) == 16, "IHI 0070 4.1, command");

#define SMMU_CMD_0_OP BITS(7, 0)
enum { /* 4.1.1 */
	SMMU_CMD_PREFETCH_CONFIG = 0x01,
	SMMU_CMD_PREFETCH_ADDR = 0x02,
	SMMU_CMD_CFGI_STE = 0x03,
	SMMU_CMD_CFGI_STE_RANGE = 0x04, /* with Range 31: CFGI_ALL */
	SMMU_CMD_CFGI_CD = 0x05,
	SMMU_CMD_CFGI_CD_ALL = 0x06,
	SMMU_CMD_CFGI_VMS_PIDM = 0x07,
	SMMU_CMD_TLBI_NH_ALL = 0x10,
	SMMU_CMD_TLBI_NH_ASID = 0x11,
	SMMU_CMD_TLBI_NH_VA = 0x12,
	SMMU_CMD_TLBI_NH_VAA = 0x13,
	SMMU_CMD_TLBI_EL3_ALL = 0x18,
	SMMU_CMD_TLBI_EL3_VA = 0x1a,
	SMMU_CMD_TLBI_EL2_ALL = 0x20,
	SMMU_CMD_TLBI_EL2_ASID = 0x21,
	SMMU_CMD_TLBI_EL2_VA = 0x22,
	SMMU_CMD_TLBI_EL2_VAA = 0x23,
	SMMU_CMD_TLBI_S12_VMALL = 0x28,
	SMMU_CMD_TLBI_S2_IPA = 0x2a,
	SMMU_CMD_TLBI_NSNH_ALL = 0x30,
	SMMU_CMD_ATC_INV = 0x40,
	SMMU_CMD_PRI_RESP = 0x41,
	SMMU_CMD_RESUME = 0x44,
	SMMU_CMD_STALL_TERM = 0x45,
	SMMU_CMD_SYNC = 0x46,
};

/* In all commands that have them */
#define SMMU_CMD_0_SSEC BIT(10)
#define SMMU_CMD_0_SSV	BIT(11)
#define SMMU_CMD_0_SSID BITS(31, 12)
#define SMMU_CMD_0_SID	BITS(63, 32)

/* 4.2 Prefetch */
#define SMMU_CMD_PREFETCH_1_SIZE   BITS(4, 0)
#define SMMU_CMD_PREFETCH_1_STRIDE BITS(9, 5)
#define SMMU_CMD_PREFETCH_1_NS	   BIT(10)
#define SMMU_CMD_PREFETCH_1_ADDR   BITS(63, 12)

/* 4.3 Configuration structures */
#define SMMU_CMD_CFGI_1_LEAF  BIT(0)
#define SMMU_CMD_CFGI_1_RANGE BITS(4, 0) /* CFGI_STE_RANGE: 2^(Range + 1) StreamIDs; 31: all */
#define SMMU_CFGI_RANGE_ALL 31
#define SMMU_CMD_VMS_0_VMID BITS(47, 32)

/* 4.4 TLB invalidation */
#define SMMU_CMD_TLBI_0_NUM    BITS(16, 12)
#define SMMU_CMD_TLBI_0_SCALE  BITS(25, 20) /* bit 25 with IDR5.DS only */
#define SMMU_CMD_TLBI_0_VMID   BITS(47, 32)
#define SMMU_CMD_TLBI_0_ASID   BITS(63, 48)
#define SMMU_CMD_TLBI_1_LEAF   BIT(0)
#define SMMU_CMD_TLBI_1_TTL128 BIT(7)
#define SMMU_CMD_TLBI_1_TTL    BITS(9, 8)
#define SMMU_CMD_TLBI_1_TG     BITS(11, 10)
#define SMMU_CMD_TLBI_1_ADDR   BITS(63, 12)
#define SMMU_CMD_TLBI_1_IPA    BITS(55, 12) /* TLBI_S2_IPA */
enum { SMMU_TLBI_TG_NONE = 0, SMMU_TLBI_TG_4K = 1, SMMU_TLBI_TG_16K = 2, SMMU_TLBI_TG_64K = 3 };
#define SMMU_TLBI_SCALE_MAX 39

/* 4.5 ATS and PRI */
#define SMMU_CMD_ATC_0_GLOBAL BIT(9)
#define SMMU_CMD_ATC_1_SIZE   BITS(5, 0) /* 4096 * 2^Size bytes; 52: all */
#define SMMU_CMD_ATC_1_ADDR   BITS(63, 12)
#define SMMU_ATC_SIZE_ALL 52
#define SMMU_CMD_PRI_1_PRGI BITS(8, 0)
#define SMMU_CMD_PRI_1_RESP BITS(13, 12)
enum { SMMU_PRI_RESP_FAILURE = 0, SMMU_PRI_RESP_INVALID = 1, SMMU_PRI_RESP_SUCCESS = 2 };

/* 4.6 Stalled transactions. Ab has a meaning without Ac only */
#define SMMU_CMD_RESUME_0_AC  BIT(12)
#define SMMU_CMD_RESUME_0_AB  BIT(13)
#define SMMU_CMD_RESUME_1_STAG BITS(15, 0)

/* 4.7 Synchronisation */
#define SMMU_CMD_SYNC_0_CS	   BITS(13, 12)
#define SMMU_CMD_SYNC_0_MSH	   BITS(23, 22)
#define SMMU_CMD_SYNC_0_MSIATTR BITS(27, 24)
#define SMMU_CMD_SYNC_0_MSIDATA BITS(63, 32)
#define SMMU_CMD_SYNC_1_MSIADDR BITS(55, 2)
enum { SMMU_SYNC_NONE = 0, SMMU_SYNC_IRQ = 1, SMMU_SYNC_SEV = 2 };

/* 8.3 PRI queue entry */
struct smmu_pri {
	le64_t q[2];
};
_Static_assert(sizeof(struct smmu_pri) == 16, "IHI 0070 8.3, PRI queue entry");
#define SMMU_PRI_0_SID	BITS(31, 0)
#define SMMU_PRI_0_SSID BITS(51, 32)
#define SMMU_PRI_0_P	BIT(58)
#define SMMU_PRI_0_X	BIT(59)
#define SMMU_PRI_0_R	BIT(60)
#define SMMU_PRI_0_W	BIT(61)
#define SMMU_PRI_0_LAST BIT(62)
#define SMMU_PRI_0_SSV	BIT(63)
#define SMMU_PRI_1_PRGI BITS(8, 0)
#define SMMU_PRI_1_ADDR BITS(63, 12)

#endif
