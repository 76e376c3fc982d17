/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 context descriptors, and the level 1 table that leads to them.
 *
 * Arm SMMUv3 Architecture Specification, IHI 0070, issue G.b, sections 5.3 and 5.4. The number in a name is the 64-bit
 * word. Under nesting these lie in intermediate physical addresses and the guest writes them.
 */
#ifndef NB_SPEC_SMMUV3_CD_H
#define NB_SPEC_SMMUV3_CD_H

#include "base/bits.h"

/* 5.3 Level 1 Context Descriptor */
struct smmu_l1cd {
	le64_t q[1];
};
_Static_assert(sizeof(struct smmu_l1cd) == 8, "IHI 0070 5.3, Level 1 Context Descriptor");
#define SMMU_L1CD_0_V	  BIT(0)
#define SMMU_L1CD_0_L2PTR BITS(55, 12)

/* 5.4 Context Descriptor */
struct smmu_cd {
	le64_t q[8];
};
_Static_assert(sizeof(struct smmu_cd) == 64, "IHI 0070 5.4, Context Descriptor");
#define SMMU_CD_0_T0SZ BITS(5, 0)
#define SMMU_CD_0_TG0  BITS(7, 6)
#define SMMU_CD_0_IR0  BITS(9, 8)
#define SMMU_CD_0_OR0  BITS(11, 10)
#define SMMU_CD_0_SH0  BITS(13, 12)
#define SMMU_CD_0_EPD0 BIT(14)
#define SMMU_CD_0_ENDI BIT(15)
#define SMMU_CD_0_T1SZ BITS(21, 16)
#define SMMU_CD_0_TG1  BITS(23, 22)
#define SMMU_CD_0_IR1  BITS(25, 24)
#define SMMU_CD_0_OR1  BITS(27, 26)
#define SMMU_CD_0_SH1  BITS(29, 28)
#define SMMU_CD_0_EPD1 BIT(30)
#define SMMU_CD_0_V    BIT(31)
#define SMMU_CD_0_IPS  BITS(34, 32)
#define SMMU_CD_0_AFFD BIT(35)
#define SMMU_CD_0_WXN  BIT(36)
#define SMMU_CD_0_UWXN BIT(37)
#define SMMU_CD_0_TBI0 BIT(38)
#define SMMU_CD_0_TBI1 BIT(39)
#define SMMU_CD_0_PAN  BIT(40)
#define SMMU_CD_0_AA64 BIT(41)
#define SMMU_CD_0_HD   BIT(42)
#define SMMU_CD_0_HA   BIT(43)
#define SMMU_CD_0_S    BIT(44)
#define SMMU_CD_0_R    BIT(45)
#define SMMU_CD_0_A    BIT(46)
#define SMMU_CD_0_ASET BIT(47)
#define SMMU_CD_0_ASID BITS(63, 48)

#define SMMU_CD_1_HAD0	BIT(1)
#define SMMU_CD_1_E0PD0 BIT(2)
#define SMMU_CD_1_HAFT	BIT(3)
#define SMMU_CD_1_TTB0	BITS(51, 4)
#define SMMU_CD_1_PNCH	BIT(58)
#define SMMU_CD_1_EPAN	BIT(59)

#define SMMU_CD_2_HAD1	BIT(1)
#define SMMU_CD_2_E0PD1 BIT(2)
#define SMMU_CD_2_AIE	BIT(3)
#define SMMU_CD_2_TTB1	BITS(51, 4)
#define SMMU_CD_2_DS	BIT(58)
#define SMMU_CD_2_PIE	BIT(59)

#define SMMU_CD_3_MAIR	BITS(63, 0)
#define SMMU_CD_4_AMAIR BITS(63, 0)

enum { SMMU_TG1_16K = 1, SMMU_TG1_4K = 2, SMMU_TG1_64K = 3 };

#endif
