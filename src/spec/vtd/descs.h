/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d queues: invalidation descriptors, page requests and their responses.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10
 * (D51397-018), sections 6.5.2 and 7.4 to 7.6. A 128-bit descriptor in a queue of 256-bit ones is
 * padded with zero. The number in a name is the 64-bit word.
 */
#ifndef NB_SPEC_VTD_DESCS_H
#define NB_SPEC_VTD_DESCS_H

#include "base/bits.h"

struct vtd_inv_desc128 {
	le64_t q[2];
};
struct vtd_inv_desc {
	le64_t q[4];
};
_Static_assert(sizeof(struct vtd_inv_desc128) == 16, "VT-d 6.5.2, 128-bit descriptor");
_Static_assert(sizeof(struct vtd_inv_desc) == 32, "VT-d 6.5.2, 256-bit descriptor");

/* The type is 7 bits in two pieces; the upper piece is 0 in all types known. */
#define VTD_INV_0_TYPE	  BITS(3, 0)
#define VTD_INV_0_TYPE_HI BITS(11, 9)
enum {
	VTD_INV_CC = 0x1,	 /* context cache */
	VTD_INV_IOTLB = 0x2,
	VTD_INV_DEVTLB = 0x3,
	VTD_INV_IEC = 0x4,	 /* interrupt entry cache */
	VTD_INV_WAIT = 0x5,
	VTD_INV_PIOTLB = 0x6,	 /* PASID-based IOTLB; 256-bit only, as are the ones below */
	VTD_INV_PC = 0x7,	 /* PASID cache */
	VTD_INV_PDEVTLB = 0x8,	 /* PASID-based device-TLB */
	VTD_INV_PRGR = 0x9,	 /* page group response */
};

/* 6.5.2.1 Context cache */
#define VTD_INV_CC_0_G	 BITS(5, 4)
#define VTD_INV_CC_0_DID BITS(31, 16)
#define VTD_INV_CC_0_SID BITS(47, 32)
#define VTD_INV_CC_0_FM	 BITS(49, 48)
enum { VTD_INV_CC_GLOBAL = 1, VTD_INV_CC_DOMAIN = 2, VTD_INV_CC_DEVICE = 3 };

/* 6.5.2.2 PASID cache */
#define VTD_INV_PC_0_G	   BITS(5, 4)
#define VTD_INV_PC_0_DID   BITS(31, 16)
#define VTD_INV_PC_0_PASID BITS(51, 32)
enum { VTD_INV_PC_DOMAIN = 0, VTD_INV_PC_PASID = 1, VTD_INV_PC_GLOBAL = 3 };

/* 6.5.2.3 IOTLB */
#define VTD_INV_IOTLB_0_G    BITS(5, 4)
#define VTD_INV_IOTLB_0_DW   BIT(6)
#define VTD_INV_IOTLB_0_DR   BIT(7)
#define VTD_INV_IOTLB_0_DID  BITS(31, 16)
#define VTD_INV_IOTLB_1_AM   BITS(5, 0)
#define VTD_INV_IOTLB_1_IH   BIT(6)
#define VTD_INV_IOTLB_1_ADDR BITS(63, 12)
enum { VTD_INV_IOTLB_GLOBAL = 1, VTD_INV_IOTLB_DOMAIN = 2, VTD_INV_IOTLB_PAGE = 3 };

/* 6.5.2.4 PASID-based IOTLB */
#define VTD_INV_PIOTLB_0_G     BITS(5, 4)
#define VTD_INV_PIOTLB_0_DID   BITS(31, 16)
#define VTD_INV_PIOTLB_0_PASID BITS(51, 32)
#define VTD_INV_PIOTLB_1_AM    BITS(5, 0)
#define VTD_INV_PIOTLB_1_IH    BIT(6)
#define VTD_INV_PIOTLB_1_ADDR  BITS(63, 12)
enum { VTD_INV_PIOTLB_PASID = 2, VTD_INV_PIOTLB_PAGE = 3 };

/* 6.5.2.5 Device-TLB */
#define VTD_INV_DEVTLB_0_PFSID_LO BITS(15, 12)
#define VTD_INV_DEVTLB_0_MIP	  BITS(20, 16)
#define VTD_INV_DEVTLB_0_SID	  BITS(47, 32)
#define VTD_INV_DEVTLB_0_PFSID_HI BITS(63, 52)
#define VTD_INV_DEVTLB_1_S	  BIT(0)
#define VTD_INV_DEVTLB_1_ADDR	  BITS(63, 12)

/* 6.5.2.6 PASID-based device-TLB */
#define VTD_INV_PDEVTLB_0_MIP	   BITS(8, 4)
#define VTD_INV_PDEVTLB_0_PFSID_LO BITS(15, 12)
#define VTD_INV_PDEVTLB_0_SID	   BITS(31, 16)
#define VTD_INV_PDEVTLB_0_PASID	   BITS(51, 32)
#define VTD_INV_PDEVTLB_0_PFSID_HI BITS(63, 52)
#define VTD_INV_PDEVTLB_1_GI	   BIT(0)
#define VTD_INV_PDEVTLB_1_S	   BIT(11)
#define VTD_INV_PDEVTLB_1_ADDR	   BITS(63, 12)

/* 6.5.2.8 Interrupt entry cache */
#define VTD_INV_IEC_0_G	   BIT(4) /* index-selective */
#define VTD_INV_IEC_0_IM   BITS(31, 27)
#define VTD_INV_IEC_0_IIDX BITS(47, 32)

/* 6.5.2.9 Wait */
#define VTD_INV_WAIT_0_IF   BIT(4)
#define VTD_INV_WAIT_0_SW   BIT(5)
#define VTD_INV_WAIT_0_FN   BIT(6)
#define VTD_INV_WAIT_0_PD   BIT(7)
#define VTD_INV_WAIT_0_DATA BITS(63, 32)
#define VTD_INV_WAIT_1_ADDR BITS(63, 2)

/* 7.6.1 Page group response */
#define VTD_INV_PRGR_0_PP    BIT(4)
#define VTD_INV_PRGR_0_CODE  BITS(15, 12)
#define VTD_INV_PRGR_0_RID   BITS(31, 16)
#define VTD_INV_PRGR_0_PASID BITS(51, 32)
#define VTD_INV_PRGR_1_PRGI  BITS(11, 3)
enum { VTD_PRGR_SUCCESS = 0, VTD_PRGR_INVALID = 1, VTD_PRGR_FAILURE = 0xf };

/* 11.4.9.9 IQER.IQEI: why the queue stopped */
enum {
	VTD_IQEI_NONE = 0,
	VTD_IQEI_TAIL = 1,	 /* tail beyond the queue's size */
	VTD_IQEI_FETCH = 2,	 /* the descriptor could not be read */
	VTD_IQEI_TYPE = 3,	 /* type reserved, or not supported here */
	VTD_IQEI_RESERVED = 4,	 /* a reserved field is not zero, or holds a reserved value */
	VTD_IQEI_WIDTH = 5,	 /* descriptor width not valid in this mode */
	VTD_IQEI_TAIL_ALIGN = 6, /* tail not a multiple of a 256-bit descriptor */
	VTD_IQEI_TTM = 7,	 /* RTADDR.TTM is reserved */
};

/* 7.4.1 Page request descriptor */
struct vtd_page_req {
	le64_t q[4];
};
_Static_assert(sizeof(struct vtd_page_req) == 32, "VT-d 7.4.1, Page Request Descriptor");
#define VTD_PREQ_0_TYPE	 BITS(7, 0) /* 1 */
#define VTD_PREQ_0_PP	 BIT(8)	    /* PASID present */
#define VTD_PREQ_0_RID	 BITS(31, 16)
#define VTD_PREQ_0_PASID BITS(51, 32)
#define VTD_PREQ_0_EXE	 BIT(52)
#define VTD_PREQ_0_PRIV	 BIT(53)
#define VTD_PREQ_1_RD	 BIT(0)
#define VTD_PREQ_1_WR	 BIT(1)
#define VTD_PREQ_1_LPIG	 BIT(2)
#define VTD_PREQ_1_PRGI	 BITS(11, 3)
#define VTD_PREQ_1_ADDR	 BITS(63, 12)

#endif
