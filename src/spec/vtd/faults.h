/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d faults: reason codes and the fault recording register.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, D51397, revision 5.10, table 15 in 5.1.4.1,
 * table 30 "Fault Conditions and Remapping Hardware Behavior" in 7.1.3 (the condition's own name stands beside each reason) and
 * 11.4.7.6. What a unit of major version 7 or less has for execute requests is revision 4.1's: SPT.5 and SGN.3.
 */
#ifndef NB_SPEC_VTD_FAULTS_H
#define NB_SPEC_VTD_FAULTS_H

#include "base/bits.h"

enum {
	/* legacy mode */
	VTD_FR_ROOT_NP = 0x01,	      /* LRT.2 */
	VTD_FR_CTX_NP = 0x02,	      /* LCT.2 */
	VTD_FR_CTX_INV = 0x03,	      /* LCT.4: AW, TT, or first second-stage table not readable */
	VTD_FR_ADDR_WIDE = 0x04,      /* LGN.1 */
	VTD_FR_NO_WRITE = 0x05,	      /* LGN.2 */
	VTD_FR_NO_READ = 0x06,	      /* LGN.3 */
	VTD_FR_SS_FETCH = 0x07,	      /* LSS.1: below the first table */
	VTD_FR_ROOT_FETCH = 0x08,     /* LRT.1 */
	VTD_FR_CTX_FETCH = 0x09,      /* LCT.1 */
	VTD_FR_ROOT_RSVD = 0x0a,      /* LRT.3 */
	VTD_FR_CTX_RSVD = 0x0b,	      /* LCT.3 */
	VTD_FR_SS_RSVD = 0x0c,	      /* LSS.2 */
	VTD_FR_ATS_BLOCKED = 0x0d,    /* LCT.5 */
	VTD_FR_INTR_OUT = 0x0e,	      /* LGN.4 */

	/* interrupt remapping */
	VTD_FR_IR_RSVD = 0x20,
	VTD_FR_IR_INDEX = 0x21,
	VTD_FR_IRTE_NP = 0x22,
	VTD_FR_IRTE_FETCH = 0x23,
	VTD_FR_IRTE_RSVD = 0x24,
	VTD_FR_IR_COMPAT = 0x25,
	VTD_FR_IR_SID = 0x26,
	VTD_FR_IR_NO_MSG = 0x29,      /* in the interrupt range, without PASID, and yet no interrupt message */

	/* root table address register */
	VTD_FR_RTADDR_INV = 0x30,     /* RTA.1: TTM reserved or not supported */
	VTD_FR_PASID_LEGACY = 0x31,   /* RTA.2: request with PASID in legacy mode */
	VTD_FR_PREQ_LEGACY = 0x32,    /* RTA.3 */
	VTD_FR_ABORT_MODE = 0x33,     /* RTA.4 */

	/* scalable mode: structures */
	VTD_FR_SROOT_FETCH = 0x38,    /* SRT.1 */
	VTD_FR_SROOT_NP = 0x39,	      /* SRT.2 */
	VTD_FR_SROOT_RSVD = 0x3a,     /* SRT.3 */
	VTD_FR_SCTX_FETCH = 0x40,     /* SCT.1 */
	VTD_FR_SCTX_NP = 0x41,	      /* SCT.2 */
	VTD_FR_SCTX_RSVD = 0x42,      /* SCT.3 */
	VTD_FR_SCTX_INV = 0x43,	      /* SCT.4: PRE without DTE, RID_PASID beyond PDTS */
	VTD_FR_SCTX_DTE = 0x44,	      /* SCT.5 */
	VTD_FR_SCTX_PASIDE = 0x45,    /* SCT.6 */
	VTD_FR_PASID_WIDE = 0x46,     /* SCT.7: beyond PDTS */
	VTD_FR_SCTX_PRE = 0x47,	      /* SCT.8 */
	VTD_FR_RID_PASID = 0x48,      /* SCT.9: request's PASID equals RID_PASID */
	VTD_FR_PDIR_FETCH = 0x50,     /* SPD.1 */
	VTD_FR_PDIR_NP = 0x51,	      /* SPD.2 */
	VTD_FR_PDIR_RSVD = 0x52,      /* SPD.3 */
	VTD_FR_PASID_FETCH = 0x58,    /* SPT.1 */
	VTD_FR_PASID_NP = 0x59,	      /* SPT.2 */
	VTD_FR_PASID_RSVD = 0x5a,     /* SPT.3 */
	VTD_FR_PASID_INV = 0x5b,      /* SPT.4: AW, PGTT, FSPM; nested: FSPTPTR too wide */
	VTD_FR_PASID_ERE = 0x5c,      /* SPT.5: execute request not enabled */
	VTD_FR_PASID_SRE = 0x5d,      /* SPT.6: supervisor request not enabled */

	/* scalable mode: first stage */
	VTD_FR_FS_FETCH = 0x70,	      /* SFS.1: below the first table */
	VTD_FR_FS_NP = 0x71,	      /* SFS.2 */
	VTD_FR_FS_RSVD = 0x72,	      /* SFS.3 */
	VTD_FR_FS_ROOT_FETCH = 0x73,  /* SFS.4 */
	VTD_FR_FS_GPA_WIDE = 0x74,    /* SFS.5: nested, address in an entry too wide for the second stage */
	VTD_FR_FS_ROOT_NO_READ = 0x75,/* SFS.6: nested, first table not readable in the second stage */
	VTD_FR_FS_NO_READ = 0x76,     /* SFS.7: nested, lower table not readable */
	VTD_FR_FS_NO_AD = 0x77,	      /* SFS.8: nested, A/D/EA update not writable */
	VTD_FR_FS_AD_NO_SNOOP = 0x90, /* SFS.9 */
	VTD_FR_FS_AD_FAILED = 0x91,   /* SFS.10 */

	/* scalable mode: second stage */
	VTD_FR_SSS_FETCH = 0x78,      /* SSS.1: below the first table */
	VTD_FR_SSS_NO_PERM = 0x79,    /* SSS.2: R=W=0 in an entry or in all entries together */
	VTD_FR_SSS_RSVD = 0x7a,	      /* SSS.3 */
	VTD_FR_SSS_ROOT_FETCH = 0x7b, /* SSS.4 */
	VTD_FR_SSS_AD_NO_SNOOP = 0x7c,/* SSS.5 */
	VTD_FR_SSS_AD_FAILED = 0x7d,  /* SSS.6 */

	/* scalable mode: general */
	VTD_FR_NOT_CANONICAL = 0x80,  /* SGN.1 */
	VTD_FR_US = 0x81,	      /* SGN.2 */
	VTD_FR_NO_EXEC = 0x82,	      /* SGN.3, gone in revision 5 */
	VTD_FR_HPA_WIDE = 0x83,	      /* SGN.4: pass-through or translated address beyond HAW */
	VTD_FR_SS_ADDR_WIDE = 0x84,   /* SGN.5 */
	VTD_FR_SNO_WRITE = 0x85,      /* SGN.6 */
	VTD_FR_SNO_READ = 0x86,	      /* SGN.7 */
	VTD_FR_SINTR_OUT = 0x87,      /* SGN.8 */
	VTD_FR_PSS = 0x89,	      /* SGN.10: PASID beyond ECAP.PSS */
};

/* 11.4.7.6 Fault recording register */
struct vtd_fault_record {
	le64_t q[2];
};
_Static_assert(sizeof(struct vtd_fault_record) == 16, "VT-d 11.4.7.6, Fault Recording Register");
#define VTD_FRCD_0_FI	BITS(63, 12) /* page of the faulted address */
#define VTD_FRCD_0_II	BITS(63, 48) /* interrupt requests: the index; the rest is 0 */
#define VTD_FRCD_1_SID	BITS(15, 0)
#define VTD_FRCD_1_T2	BIT(28)
#define VTD_FRCD_1_PRIV BIT(29)
#define VTD_FRCD_1_EXE	BIT(30)
#define VTD_FRCD_1_PP	BIT(31) /* PASID present */
#define VTD_FRCD_1_FR	BITS(39, 32)
#define VTD_FRCD_1_PV	BITS(59, 40) /* PASID value */
#define VTD_FRCD_1_AT	BITS(61, 60)
#define VTD_FRCD_1_T1	BIT(62) /* T1 T2: 0 0 write, 0 1 page request, 1 0 read, 1 1 AtomicOp */
#define VTD_FRCD_1_F	BIT(63) /* RW1C */

#endif
