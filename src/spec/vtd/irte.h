/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d interrupt remapping: table entries and the remappable message.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10
 * (D51397-018), sections 9.9 (remapped), 9.10 (posted) and 5.1.2.2 (the message). The number in a name is the 64-bit word.
 */
#ifndef NB_SPEC_VTD_IRTE_H
#define NB_SPEC_VTD_IRTE_H

#include "base/bits.h"

struct vtd_irte {
	le64_t q[2];
};
_Static_assert(sizeof(struct vtd_irte) == 16, "VT-d 9.9, Interrupt Remapping Table Entry");
#define VTD_IRTE_0_P	 BIT(0)
#define VTD_IRTE_0_FPD	 BIT(1)
#define VTD_IRTE_0_DM	 BIT(2)	    /* destination mode: logical */
#define VTD_IRTE_0_RH	 BIT(3)	    /* redirection hint */
#define VTD_IRTE_0_TM	 BIT(4)	    /* trigger mode: level */
#define VTD_IRTE_0_DLM	 BITS(7, 5) /* delivery mode */
#define VTD_IRTE_0_AVAIL BITS(11, 8)
#define VTD_IRTE_0_IM	 BIT(15)    /* posted */
#define VTD_IRTE_0_V	 BITS(23, 16)
#define VTD_IRTE_0_DST	 BITS(63, 32) /* EIME: the x2APIC id */
#define VTD_IRTE_0_DST8	 BITS(47, 40) /* else: the APIC id; the rest of DST is reserved */
#define VTD_IRTE_1_SID	 BITS(15, 0)
#define VTD_IRTE_1_SQ	 BITS(17, 16)
#define VTD_IRTE_1_SVT	 BITS(19, 18)
enum { VTD_SVT_NONE = 0, VTD_SVT_SID = 1, VTD_SVT_BUS = 2 };
/* With VTD_SVT_SID: which bits of the function number are not compared */
enum { VTD_SQ_ALL = 0, VTD_SQ_NOT_2 = 1, VTD_SQ_NOT_2_1 = 2, VTD_SQ_NOT_2_0 = 3 };

/* 9.10, where a posted entry differs */
#define VTD_IRTE_0_URG	 BIT(14)
#define VTD_IRTE_0_PDA_L BITS(63, 38)
#define VTD_IRTE_1_PDA_H BITS(63, 32)

/* 5.1.2.2: the address of a message; its data is the sub-handle in 15:0 with SHV, else 0. */
#define VTD_MSI_FIRST	    0xfee00000u
#define VTD_MSI_LAST	    0xfeefffffu
#define VTD_MSI_ADDR_HANDLE BITS(19, 5) /* bits 14:0 */
#define VTD_MSI_ADDR_FORMAT BIT(4)	/* remappable */
#define VTD_MSI_ADDR_SHV    BIT(3)
#define VTD_MSI_ADDR_HANDLE15 BIT(2)
#define VTD_MSI_DATA_SUBHANDLE BITS(15, 0)
#define VTD_MSI_DATA_RSVD   BITS(31, 16) /* with SHV */

/* 5.1.2.1: the compatibility format */
#define VTD_CMSI_ADDR_DEST  BITS(19, 12)
#define VTD_CMSI_ADDR_RH    BIT(3)
#define VTD_CMSI_ADDR_DM    BIT(2)
#define VTD_CMSI_DATA_V	    BITS(7, 0)
#define VTD_CMSI_DATA_DLM   BITS(10, 8)
#define VTD_CMSI_DATA_TM    BIT(15)

#endif
