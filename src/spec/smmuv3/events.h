/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 event records.
 *
 * Arm SMMUv3 Architecture Specification, IHI 0070, issue G.b, section 7.3. The number in a name is the 64-bit word.
 */
#ifndef NB_SPEC_SMMUV3_EVENTS_H
#define NB_SPEC_SMMUV3_EVENTS_H

#include "base/bits.h"

enum {
	SMMU_EVT_UUT = 0x01,
	SMMU_EVT_BAD_STREAMID = 0x02,	 /* C_BAD_STREAMID */
	SMMU_EVT_STE_FETCH = 0x03,	 /* F_STE_FETCH */
	SMMU_EVT_BAD_STE = 0x04,	 /* C_BAD_STE */
	SMMU_EVT_BAD_ATS_TREQ = 0x05,	 /* F_BAD_ATS_TREQ */
	SMMU_EVT_STREAM_DISABLED = 0x06, /* F_STREAM_DISABLED */
	SMMU_EVT_TRANSL_FORBIDDEN = 0x07,/* F_TRANSL_FORBIDDEN */
	SMMU_EVT_BAD_SUBSTREAMID = 0x08, /* C_BAD_SUBSTREAMID */
	SMMU_EVT_CD_FETCH = 0x09,	 /* F_CD_FETCH */
	SMMU_EVT_BAD_CD = 0x0a,		 /* C_BAD_CD */
	SMMU_EVT_WALK_EABT = 0x0b,	 /* F_WALK_EABT */
	SMMU_EVT_TRANSLATION = 0x10,	 /* F_TRANSLATION, and the next three: may stall */
	SMMU_EVT_ADDR_SIZE = 0x11,
	SMMU_EVT_ACCESS = 0x12,
	SMMU_EVT_PERMISSION = 0x13,
	SMMU_EVT_TLB_CONFLICT = 0x20,	 /* this and the next never come from this model */
	SMMU_EVT_CFG_CONFLICT = 0x21,
	SMMU_EVT_PAGE_REQUEST = 0x24,	 /* E_PAGE_REQUEST */
	SMMU_EVT_VMS_FETCH = 0x25,
};

struct smmu_event {
	le64_t q[4];
};
_Static_assert(sizeof(struct smmu_event) == 32, "IHI 0070 7.3, event record");
#define SMMU_EVT_0_ID	 BITS(7, 0)
#define SMMU_EVT_0_SSV	 BIT(11)
#define SMMU_EVT_0_SSID	 BITS(31, 12)
#define SMMU_EVT_0_SID	 BITS(63, 32)

#define SMMU_EVT_1_STAG	  BITS(15, 0)
#define SMMU_EVT_1_REASON BITS(15, 0) /* F_STE_FETCH, F_CD_FETCH, F_WALK_EABT: implementation defined */
#define SMMU_EVT_1_STALL  BIT(31)
#define SMMU_EVT_1_PNU	  BIT(33)
#define SMMU_EVT_1_IND	  BIT(34)
#define SMMU_EVT_1_RNW	  BIT(35)
#define SMMU_EVT_1_NSIPA  BIT(36)
#define SMMU_EVT_1_S2	  BIT(39)
#define SMMU_EVT_1_CLASS  BITS(41, 40)
#define SMMU_EVT_1_TTRNW  BIT(44) /* F_PERMISSION with class TT */
/*
 * F_BAD_ATS_TREQ: what was asked for. The figure of 7.3.6 is not part of the text we read; these are the places of the same words in
 * E_PAGE_REQUEST (7.3.19).
 */
#define SMMU_EVT_1_ATS_P  BIT(36)
#define SMMU_EVT_1_ATS_X  BIT(37)
#define SMMU_EVT_1_ATS_W  BIT(38)
#define SMMU_EVT_1_ATS_R  BIT(39)
#define SMMU_EVT_1_SPAN	  BITS(51, 44)
enum { SMMU_CLASS_CD = 0, SMMU_CLASS_TT = 1, SMMU_CLASS_IN = 2 };

#define SMMU_EVT_2_ADDR	   BITS(63, 0)
#define SMMU_EVT_3_IPA	   BITS(55, 12)
#define SMMU_EVT_3_FETCH   BITS(55, 3)

#endif
