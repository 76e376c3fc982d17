/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nvidia Tegra241 CMDQ-V: command queues for guests beside an SMMUv3, a block of registers of its own.
 *
 * There is no public manual; positions are those that Linux 7.2 uses (drivers/iommu/arm/arm-smmu-v3/tegra241-cmdqv.c). A VCMDQ is
 * a queue of the block; a VINTF is what a guest is given, and an LVCMDQ is a VCMDQ as its VINTF numbers it. Queues hold SMMUv3 commands, and
 * PROD, CONS and the error codes are those of CMDQ (IHI 0070, 6.3.27, 6.3.28, 7.1).
 */
#ifndef NB_SPEC_SMMUV3_CMDQV_H
#define NB_SPEC_SMMUV3_CMDQV_H

#include "base/bits.h"

/* Pages, 64 KiB each. A VINTF's pages follow each other, and a VINTF the one before it. */
#define CMDQV_PAGE_SIZE	  0x10000u
#define CMDQV_VCMDQ_PAGE0 0x10000u /* all VCMDQs by their own numbers */
#define CMDQV_VCMDQ_PAGE1 0x20000u
#define CMDQV_VINTF_PAGES 0x30000u /* page 0 of VINTF 0, then its page 1: LVCMDQs */
#define CMDQV_VINTF_STEP  0x20000u

/* First page */
enum {
	CMDQV_REG_CONFIG = 0x0,
	CMDQV_REG_PARAM = 0x4,
	CMDQV_REG_STATUS = 0x8,
	CMDQV_REG_VINTF_ERR_MAP = 0x14,	 /* 2 words, a bit for each VINTF */
	CMDQV_REG_VINTF_INT_MASK = 0x1c, /* 2 words */
	CMDQV_REG_CMDQ_ERR_MAP = 0x24,	 /* 4 words, a bit for each VCMDQ */
	CMDQV_REG_CMDQ_ALLOC = 0x200,	 /* a word for each VCMDQ */
	CMDQV_REG_VINTF = 0x1000,	 /* of each VINTF, CMDQV_VINTF_REGS apart */
};
#define CMDQV_VINTF_REGS 0x100u

#define CMDQV_CONFIG_EN BIT(0)
#define CMDQV_PARAM_VER			BITS(3, 0)
#define CMDQV_PARAM_NUM_VCMDQ_LOG2	BITS(7, 4)
#define CMDQV_PARAM_NUM_VINTF_LOG2	BITS(11, 8)
#define CMDQV_PARAM_NUM_SID_PER_VM_LOG2 BITS(15, 12)
#define CMDQV_STATUS_ENABLED BIT(0)

#define CMDQV_CMDQ_ALLOC_ALLOCATED BIT(0)
#define CMDQV_CMDQ_ALLOC_LVCMDQ	   BITS(7, 1)
#define CMDQV_CMDQ_ALLOC_VINTF	   BITS(20, 15)

/* Of a VINTF */
enum {
	CMDQV_VINTF_CONFIG = 0x0,
	CMDQV_VINTF_STATUS = 0x4,
	CMDQV_VINTF_SID_MATCH = 0x40,	   /* a word for each slot */
	CMDQV_VINTF_SID_REPLACE = 0x80,	   /* a word for each slot: the StreamID that takes its place */
	CMDQV_VINTF_LVCMDQ_ERR_MAP = 0xc0, /* 4 words, a bit for each LVCMDQ */
};
#define CMDQV_VINTF_CONFIG_EN	   BIT(0)
#define CMDQV_VINTF_CONFIG_VMID	   BITS(16, 1)
#define CMDQV_VINTF_CONFIG_HYP_OWN BIT(17)
#define CMDQV_VINTF_STATUS_ENABLED BIT(0)
#define CMDQV_VINTF_STATUS_STATE   BITS(3, 1)
#define CMDQV_SID_MATCH_EN	   BIT(0)
#define CMDQV_SID_MATCH_VSID	   BITS(20, 1)

/* Of a VCMDQ or LVCMDQ: so far apart in each page */
#define CMDQV_VCMDQ_STEP 0x80u
enum { /* page 0 */
	CMDQV_VCMDQ_CONS = 0x0,
	CMDQV_VCMDQ_PROD = 0x4,
	CMDQV_VCMDQ_CONFIG = 0x8,
	CMDQV_VCMDQ_STATUS = 0xc,
	CMDQV_VCMDQ_GERROR = 0x10,
	CMDQV_VCMDQ_GERRORN = 0x14,
};
enum { /* page 1, 64 bits each */
	CMDQV_VCMDQ_BASE = 0x0,
	CMDQV_VCMDQ_CONS_INDX_BASE = 0x8,
};
#define CMDQV_VCMDQ_CONFIG_EN	  BIT(0)
#define CMDQV_VCMDQ_STATUS_EN_OK  BIT(0)
#define CMDQV_VCMDQ_GERROR_CMDQ_ERR BIT(0)
#define CMDQV_VCMDQ_BASE_LOG2SIZE BITS(4, 0)
#define CMDQV_VCMDQ_BASE_ADDR	  BITS(47, 5)

#endif
