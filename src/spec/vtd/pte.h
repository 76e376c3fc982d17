/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d paging entries, both stages.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10
 * (D51397-018), sections 9.7 and 9.8. Address fields end below the host address width; the bits
 * from there to 51 are reserved.
 */
#ifndef NB_SPEC_VTD_PTE_H
#define NB_SPEC_VTD_PTE_H

#include "base/bits.h"

#define VTD_TABLE_ENTRIES 512

/* 9.8 Second stage: SS-PML5E, SS-PML4E, SS-PDPE, SS-PDE, SS-PTE */
#define VTD_SSPTE_R    BIT(0)
#define VTD_SSPTE_W    BIT(1)
#define VTD_SSPTE_X    BIT(2)	   /* ignored */
#define VTD_SSPTE_EMT  BITS(5, 3)  /* leaf */
#define VTD_SSPTE_IPAT BIT(6)	   /* leaf */
#define VTD_SSPTE_PS   BIT(7)	   /* SS-PDPE, SS-PDE; reserved above, ignored in SS-PTE */
#define VTD_SSPTE_A    BIT(8)	   /* with SSADE */
#define VTD_SSPTE_D    BIT(9)	   /* leaf, with SSADE */
#define VTD_SSPTE_SNP  BIT(11)	   /* leaf, with ECAP.SC; reserved elsewhere */
#define VTD_SSPTE_ADDR BITS(51, 12)
#define VTD_SSPTE_IR   BIT(61)	   /* revision 5: I/O read; else ignored */
#define VTD_SSPTE_TM   BIT(62)	   /* once transient mapping, in revision 5 I/O write; else reserved */

/* 9.7 First stage: FS-PML5E, FS-PML4E, FS-PDPE, FS-PDE, FS-PTE */
#define VTD_FSPTE_P    BIT(0)
#define VTD_FSPTE_RW   BIT(1)
#define VTD_FSPTE_US   BIT(2)
#define VTD_FSPTE_PWT  BIT(3)
#define VTD_FSPTE_PCD  BIT(4)
#define VTD_FSPTE_A    BIT(5)
#define VTD_FSPTE_D    BIT(6)	   /* leaf */
#define VTD_FSPTE_PS   BIT(7)	   /* FS-PDPE, FS-PDE; reserved above */
#define VTD_FSPTE_PAT  BIT(7)	   /* FS-PTE */
#define VTD_FSPTE_G    BIT(8)	   /* leaf; ignored by hardware */
#define VTD_FSPTE_EA   BIT(10)	   /* with EAFE */
#define VTD_FSPTE_LARGE_PAT BIT(12) /* 2 MiB and 1 GiB leaves */
#define VTD_FSPTE_ADDR BITS(51, 12)
#define VTD_FSPTE_XD   BIT(63)	   /* execute requests with NXE; ignored otherwise */

#endif
