/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d registers: offsets and fields.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10
 * (D51397-018), section 11.4. Field names are the manual's: "SS" and "FS" (second and first
 * stage) are what older revisions and Linux call "SL" and "FL".
 */
#ifndef NB_SPEC_VTD_REGS_H
#define NB_SPEC_VTD_REGS_H

#include "base/bits.h"

/* Offsets. 64-bit registers may be accessed as two 32-bit halves, low at the offset. */
enum {
	VTD_REG_VER = 0x00,
	VTD_REG_CAP = 0x08,   /* 64 */
	VTD_REG_ECAP = 0x10,  /* 64 */
	VTD_REG_GCMD = 0x18,
	VTD_REG_GSTS = 0x1c,
	VTD_REG_RTADDR = 0x20, /* 64 */
	VTD_REG_CCMD = 0x28,  /* 64 */
	VTD_REG_FSTS = 0x34,
	VTD_REG_FECTL = 0x38,
	VTD_REG_FEDATA = 0x3c,
	VTD_REG_FEADDR = 0x40,
	VTD_REG_FEUADDR = 0x44,
	VTD_REG_PMEN = 0x64,
	VTD_REG_PLMBASE = 0x68,
	VTD_REG_PLMLIMIT = 0x6c,
	VTD_REG_PHMBASE = 0x70, /* 64 */
	VTD_REG_PHMLIMIT = 0x78, /* 64 */
	VTD_REG_IQH = 0x80,   /* 64 */
	VTD_REG_IQT = 0x88,   /* 64 */
	VTD_REG_IQA = 0x90,   /* 64 */
	VTD_REG_ICS = 0x9c,
	VTD_REG_IECTL = 0xa0,
	VTD_REG_IEDATA = 0xa4,
	VTD_REG_IEADDR = 0xa8,
	VTD_REG_IEUADDR = 0xac,
	VTD_REG_IQER = 0xb0,  /* 64 */
	VTD_REG_IRTA = 0xb8,  /* 64 */
	VTD_REG_PQH = 0xc0,   /* 64 */
	VTD_REG_PQT = 0xc8,   /* 64 */
	VTD_REG_PQA = 0xd0,   /* 64 */
	VTD_REG_PRS = 0xdc,
	VTD_REG_PECTL = 0xe0,
	VTD_REG_PEDATA = 0xe4,
	VTD_REG_PEADDR = 0xe8,
	VTD_REG_PEUADDR = 0xec,
	VTD_REG_MTRRCAP = 0x100, /* 64 */
	VTD_REG_MTRRDEF = 0x108, /* 64 */
	VTD_REG_PERFCAP = 0x300, /* 64 */
	VTD_REG_ECMD = 0x400,  /* 64 */
	VTD_REG_ECRSP = 0x410, /* 64 */
	VTD_REG_ECCAP = 0x430, /* 64 */
};
/* Fault recording registers lie at 16 * CAP.FRO, 16 bytes each; IVA at 16 * ECAP.IRO, IOTLB 8 bytes later. */
#define VTD_FRCD_SIZE  16
#define VTD_IVA_OFF    0
#define VTD_IOTLB_OFF  8

/* 11.4.1 Version */
#define VTD_VER_MIN BITS(3, 0)
#define VTD_VER_MAX BITS(7, 4)

/* 11.4.2 Capability */
#define VTD_CAP_ND	BITS(2, 0)   /* 2^(4 + 2 ND) domain ids; 7 is reserved */
#define VTD_CAP_RWBF	BIT(4)	     /* write-buffer flushing required */
#define VTD_CAP_PLMR	BIT(5)
#define VTD_CAP_PHMR	BIT(6)
#define VTD_CAP_CM	BIT(7)	     /* caching mode: not-present may be cached */
#define VTD_CAP_SAGAW	BITS(12, 8)
#define VTD_CAP_SAGAW_3 BIT(9)	     /* 39 bits, 3 levels */
#define VTD_CAP_SAGAW_4 BIT(10)	     /* 48 bits, 4 levels */
#define VTD_CAP_SAGAW_5 BIT(11)	     /* 57 bits, 5 levels */
#define VTD_CAP_MGAW	BITS(21, 16) /* maximum guest address width minus one */
#define VTD_CAP_ZLR	BIT(22)
#define VTD_CAP_FRO	BITS(33, 24) /* in units of 16 bytes */
#define VTD_CAP_SSLPS	BITS(37, 34)
#define VTD_CAP_SSLPS_2M BIT(34)
#define VTD_CAP_SSLPS_1G BIT(35)
#define VTD_CAP_PSI	BIT(39)	     /* page-selective invalidation */
#define VTD_CAP_NFR	BITS(47, 40) /* fault recording registers minus one */
#define VTD_CAP_MAMV	BITS(53, 48)
#define VTD_CAP_DWD	BIT(54)
#define VTD_CAP_DRD	BIT(55)
#define VTD_CAP_FS1GP	BIT(56)
#define VTD_CAP_PI	BIT(59)
#define VTD_CAP_FS5LP	BIT(60)
#define VTD_CAP_ECMDS	BIT(61)
#define VTD_CAP_ESIRTPS BIT(62)
#define VTD_CAP_ESRTPS	BIT(63)

/* 11.4.3 Extended Capability */
#define VTD_ECAP_C	BIT(0) /* legacy-mode page walks snoop */
#define VTD_ECAP_QI	BIT(1)
#define VTD_ECAP_DT	BIT(2)
#define VTD_ECAP_IR	BIT(3)
#define VTD_ECAP_EIM	BIT(4)
#define VTD_ECAP_PT	BIT(6)
#define VTD_ECAP_SC	BIT(7)
#define VTD_ECAP_IRO	BITS(17, 8) /* in units of 16 bytes */
#define VTD_ECAP_MHMV	BITS(23, 20)
#define VTD_ECAP_MTS	BIT(25)
#define VTD_ECAP_NEST	BIT(26)
#define VTD_ECAP_PRS	BIT(29)
#define VTD_ECAP_ERS	BIT(30) /* execute requests: as in revision 4.1 */
#define VTD_ECAP_SRS	BIT(31)
#define VTD_ECAP_NWFS	BIT(33)
#define VTD_ECAP_EAFS	BIT(34)
#define VTD_ECAP_PSS	BITS(39, 35) /* PASID width minus one */
#define VTD_ECAP_PASID	BIT(40)
#define VTD_ECAP_DIT	BIT(41)
#define VTD_ECAP_PDS	BIT(42)
#define VTD_ECAP_SMTS	BIT(43)
#define VTD_ECAP_VCS	BIT(44)
#define VTD_ECAP_SSADS	BIT(45)
#define VTD_ECAP_SSTS	BIT(46)
#define VTD_ECAP_FSTS	BIT(47)
#define VTD_ECAP_SMPWC	BIT(48)
#define VTD_ECAP_RPS	BIT(49)
#define VTD_ECAP_PMS	BIT(51)
#define VTD_ECAP_ADMS	BIT(52)
#define VTD_ECAP_RPRIVS BIT(53)

/* 11.4.4 Global Command and Status: the same positions in both */
#define VTD_GCMD_TE    BIT(31)
#define VTD_GCMD_SRTP  BIT(30)
#define VTD_GCMD_SFL   BIT(29)
#define VTD_GCMD_EAFL  BIT(28)
#define VTD_GCMD_WBF   BIT(27)
#define VTD_GCMD_QIE   BIT(26)
#define VTD_GCMD_IRE   BIT(25)
#define VTD_GCMD_SIRTP BIT(24)
#define VTD_GCMD_CFI   BIT(23)
#define VTD_GSTS_TES   BIT(31)
#define VTD_GSTS_RTPS  BIT(30)
#define VTD_GSTS_WBFS  BIT(27)
#define VTD_GSTS_QIES  BIT(26)
#define VTD_GSTS_IRES  BIT(25)
#define VTD_GSTS_IRTPS BIT(24)
#define VTD_GSTS_CFIS  BIT(23)

/* 11.4.5 Root Table Address */
#define VTD_RTADDR_TTM BITS(11, 10)
#define VTD_RTADDR_RTA BITS(63, 12)
enum { VTD_TTM_LEGACY = 0, VTD_TTM_SCALABLE = 1, VTD_TTM_RESERVED = 2, VTD_TTM_ABORT = 3 };

/* 11.4.6 register-based invalidation */
#define VTD_CCMD_ICC  BIT(63)
#define VTD_CCMD_CIRG BITS(62, 61)
#define VTD_CCMD_CAIG BITS(60, 59)
#define VTD_CCMD_FM   BITS(33, 32)
#define VTD_CCMD_SID  BITS(31, 16)
#define VTD_CCMD_DID  BITS(15, 0)
#define VTD_IOTLB_IVT  BIT(63)
#define VTD_IOTLB_IIRG BITS(61, 60)
#define VTD_IOTLB_IAIG BITS(58, 57)
#define VTD_IOTLB_DR   BIT(49)
#define VTD_IOTLB_DW   BIT(48)
#define VTD_IOTLB_DID  BITS(47, 32)
#define VTD_IVA_ADDR   BITS(63, 12)
#define VTD_IVA_IH     BIT(6)
#define VTD_IVA_AM     BITS(5, 0)

/* 11.4.7 Fault Status and Fault Event */
#define VTD_FSTS_PFO BIT(0) /* RW1C: overflow */
#define VTD_FSTS_PPF BIT(1) /* some record has F; follows them */
#define VTD_FSTS_IQE BIT(4) /* RW1C */
#define VTD_FSTS_ICE BIT(5) /* RW1C */
#define VTD_FSTS_ITE BIT(6) /* RW1C */
#define VTD_FSTS_FRI BITS(15, 8)
/* FECTL, IECTL, PECTL alike */
#define VTD_ECTL_IM BIT(31)
#define VTD_ECTL_IP BIT(30)
#define VTD_EADDR_MA BITS(31, 2)
#define VTD_EDATA_IMD BITS(15, 0)

/* 11.4.8 Protected Memory */
#define VTD_PMEN_EPM BIT(31)
#define VTD_PMEN_PRS BIT(0)

/* 11.4.9 Invalidation Queue */
#define VTD_IQH_QH    BITS(18, 4)
#define VTD_IQT_QT    BITS(18, 4)
#define VTD_IQA_QS    BITS(2, 0) /* 2^QS pages of 4 KiB */
#define VTD_IQA_DW    BIT(11)	 /* 256-bit descriptors */
#define VTD_IQA_IQA   BITS(63, 12)
#define VTD_ICS_IWC   BIT(0) /* RW1C */
#define VTD_IQER_IQEI	BITS(3, 0)
#define VTD_IQER_ITESID BITS(47, 32)
#define VTD_IQER_ICESID BITS(63, 48)

/* 11.4.10 Interrupt Remapping Table Address */
#define VTD_IRTA_S    BITS(3, 0)
#define VTD_IRTA_EIME BIT(11)
#define VTD_IRTA_IRTA BITS(63, 12)

/* 11.4.11 Page Request */
#define VTD_PQH_PQH BITS(18, 5)
#define VTD_PQT_PQT BITS(18, 5)
#define VTD_PQA_PQS BITS(2, 0)
#define VTD_PQA_PQA BITS(63, 12)
#define VTD_PRS_PPR BIT(0) /* RW1C */
#define VTD_PRS_PRO BIT(1) /* RW1C */

#endif
