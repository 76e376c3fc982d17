/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 stream table: level 1 descriptors and stream table entries.
 *
 * Arm SMMUv3 Architecture Specification, IHI 0070, issue G.b, sections 5.1 and 5.2. The number in a name is the 64-bit
 * word. Fields of Secure and Realm streams, of VMSAv9-128, MPAM, DPT and MEC are not named.
 */
#ifndef NB_SPEC_SMMUV3_STE_H
#define NB_SPEC_SMMUV3_STE_H

#include "base/bits.h"

/* 5.1 Level 1 Stream Table Descriptor */
struct smmu_l1std {
	le64_t q[1];
};
_Static_assert(sizeof(struct smmu_l1std) == 8, "IHI 0070 5.1, Level 1 Stream Table Descriptor");
#define SMMU_L1STD_0_SPAN  BITS(4, 0) /* 0: nothing there; else 2^(Span - 1) entries */
#define SMMU_L1STD_0_L2PTR BITS(55, 6)
#define SMMU_SPAN_MAX 11

/* 5.2 Stream Table Entry */
struct smmu_ste {
	le64_t q[8];
};
_Static_assert(sizeof(struct smmu_ste) == 64, "IHI 0070 5.2, Stream Table Entry");
#define SMMU_STE_0_V	       BIT(0)
#define SMMU_STE_0_CONFIG      BITS(3, 1)
#define SMMU_STE_0_S1FMT       BITS(5, 4)
#define SMMU_STE_0_S1CTXPTR    BITS(55, 6)
#define SMMU_STE_0_S1CDMAX     BITS(63, 59)
enum { /* Config: 0xx abort; bit 0 stage 1 translates, bit 1 stage 2 */
	SMMU_STE_CONFIG_ABORT = 0,
	SMMU_STE_CONFIG_BYPASS = 4,
	SMMU_STE_CONFIG_S1 = 5,
	SMMU_STE_CONFIG_S2 = 6,
	SMMU_STE_CONFIG_NESTED = 7,
};
enum { SMMU_S1FMT_LINEAR = 0, SMMU_S1FMT_4K = 1, SMMU_S1FMT_64K = 2 };

#define SMMU_STE_1_S1DSS    BITS(1, 0)
#define SMMU_STE_1_S1CIR    BITS(3, 2)
#define SMMU_STE_1_S1COR    BITS(5, 4)
#define SMMU_STE_1_S1CSH    BITS(7, 6)
#define SMMU_STE_1_S2HWU    BITS(11, 8) /* S2HWU59 to S2HWU62 */
#define SMMU_STE_1_DRE	    BIT(12)
#define SMMU_STE_1_CONT	    BITS(16, 13)
#define SMMU_STE_1_DCP	    BIT(17)
#define SMMU_STE_1_PPAR	    BIT(18)
#define SMMU_STE_1_MEV	    BIT(19)
#define SMMU_STE_1_SW	    BITS(23, 20)
#define SMMU_STE_1_S1PIE    BIT(24)
#define SMMU_STE_1_S2FWB    BIT(25)
#define SMMU_STE_1_S1MPAM   BIT(26)
#define SMMU_STE_1_S1STALLD BIT(27)
#define SMMU_STE_1_EATS	    BITS(29, 28)
#define SMMU_STE_1_STRW	    BITS(31, 30)
#define SMMU_STE_1_MEMATTR  BITS(35, 32)
#define SMMU_STE_1_MTCFG    BIT(36)
#define SMMU_STE_1_ALLOCCFG BITS(40, 37)
#define SMMU_STE_1_SHCFG    BITS(45, 44)
#define SMMU_STE_1_NSCFG    BITS(47, 46)
#define SMMU_STE_1_PRIVCFG  BITS(49, 48)
#define SMMU_STE_1_INSTCFG  BITS(51, 50)
enum { SMMU_S1DSS_TERMINATE = 0, SMMU_S1DSS_BYPASS = 1, SMMU_S1DSS_SSID0 = 2 };
enum { SMMU_EATS_ABORT = 0, SMMU_EATS_FULL = 1, SMMU_EATS_SPLIT = 2, SMMU_EATS_DPT = 3 };
enum { SMMU_STRW_EL1 = 0, SMMU_STRW_EL2 = 2 };
/* PRIVCFG, and INSTCFG with data for unprivileged and instruction for privileged; GBPA has the same */
enum { SMMU_CFG_INCOMING = 0, SMMU_CFG_UNPRIV = 2, SMMU_CFG_PRIV = 3 };
enum { SMMU_SHCFG_NON = 0, SMMU_SHCFG_INCOMING = 1, SMMU_SHCFG_OUTER = 2, SMMU_SHCFG_INNER = 3 };

#define SMMU_STE_2_S2VMID   BITS(15, 0)
#define SMMU_STE_2_S2T0SZ   BITS(37, 32)
#define SMMU_STE_2_S2SL0    BITS(39, 38)
#define SMMU_STE_2_S2IR0    BITS(41, 40)
#define SMMU_STE_2_S2OR0    BITS(43, 42)
#define SMMU_STE_2_S2SH0    BITS(45, 44)
#define SMMU_STE_2_S2TG	    BITS(47, 46)
#define SMMU_STE_2_S2PS	    BITS(50, 48)
#define SMMU_STE_2_S2AA64   BIT(51)
#define SMMU_STE_2_S2ENDI   BIT(52)
#define SMMU_STE_2_S2AFFD   BIT(53)
#define SMMU_STE_2_S2PTW    BIT(54)
#define SMMU_STE_2_S2HD	    BIT(55)
#define SMMU_STE_2_S2HA	    BIT(56)
#define SMMU_STE_2_S2S	    BIT(57)
#define SMMU_STE_2_S2R	    BIT(58)
#define SMMU_STE_2_S2HAFT   BIT(59)
#define SMMU_STE_2_S2PIE    BIT(60)
#define SMMU_STE_2_S2POE    BIT(61)

#define SMMU_STE_3_S2SL0_2  BIT(2)
#define SMMU_STE_3_S2DS	    BIT(3)
#define SMMU_STE_3_S2TTB    BITS(51, 4)

/* S2TG, and TG0 of a CD; TG1 counts differently */
enum { SMMU_TG_4K = 0, SMMU_TG_64K = 1, SMMU_TG_16K = 2 };

#endif
