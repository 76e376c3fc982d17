/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VMSAv8-64 translation table descriptors as an SMMUv3 reads them, both stages.
 *
 * Arm Architecture Reference Manual for A-profile architecture, DDI 0487, issue M.a.a, section D8.3; what the SMMU
 * makes of them: IHI 0070, issue G.b, section 13.4. A descriptor is one 64-bit word.
 */
#ifndef NB_SPEC_SMMUV3_PTE_H
#define NB_SPEC_SMMUV3_PTE_H

#include "base/bits.h"

#define SMMU_PTE_VALID BIT(0)
#define SMMU_PTE_TABLE BIT(1) /* level 3: page; above: table, else block */

/* Output and next-level address; the granule gives the low end */
#define SMMU_PTE_ADDR	 BITS(47, 12)
#define SMMU_PTE_LPA_64K BITS(15, 12) /* 64 KiB granule, 52 bits: address bits 51:48 */
#define SMMU_PTE_LPA2_LO BITS(9, 8)   /* DS: address bits 51:50; where SH stands otherwise */
#define SMMU_PTE_LPA2_HI BITS(49, 48) /* DS: address bits 49:48 */

/* Page and block descriptors, stage 1 */
#define SMMU_PTE_ATTRINDX BITS(4, 2)
#define SMMU_PTE_NS	  BIT(5)
#define SMMU_PTE_AP1	  BIT(6) /* unprivileged access */
#define SMMU_PTE_AP2	  BIT(7) /* read-only */
#define SMMU_PTE_SH	  BITS(9, 8)
#define SMMU_PTE_AF	  BIT(10)
#define SMMU_PTE_NG	  BIT(11)
#define SMMU_PTE_NT	  BIT(16) /* blocks, BBML 1 and 2 */
#define SMMU_PTE_GP	  BIT(50)
#define SMMU_PTE_DBM	  BIT(51)
#define SMMU_PTE_CONT	  BIT(52)
#define SMMU_PTE_PXN	  BIT(53)
#define SMMU_PTE_UXN	  BIT(54) /* XN where there is one privilege level */

/* Table descriptors, stage 1 */
#define SMMU_PTE_PXNTABLE BIT(59)
#define SMMU_PTE_UXNTABLE BIT(60)
#define SMMU_PTE_APTABLE0 BIT(61) /* no unprivileged access below */
#define SMMU_PTE_APTABLE1 BIT(62) /* no write below */
#define SMMU_PTE_NSTABLE  BIT(63)

/* Page and block descriptors, stage 2 */
#define SMMU_S2PTE_MEMATTR BITS(5, 2)
#define SMMU_S2PTE_R	   BIT(6) /* S2AP[0] */
#define SMMU_S2PTE_W	   BIT(7) /* S2AP[1] */
#define SMMU_S2PTE_SH	   BITS(9, 8)
#define SMMU_S2PTE_AF	   BIT(10)
#define SMMU_S2PTE_DBM	   BIT(51)
#define SMMU_S2PTE_CONT	   BIT(52)
#define SMMU_S2PTE_XN	   BITS(54, 53) /* XN[1:0]; bit 53 with IDR3.XNX only */

#endif
