/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d translation structures: root, context, PASID directory and table entries.
 *
 * Intel Virtualization Technology for Directed I/O, Architecture Specification, revision 5.10
 * (D51397-018), sections 9.1 to 9.6. The number in a name is the 64-bit word of the entry.
 */
#ifndef NB_SPEC_VTD_ENTRIES_H
#define NB_SPEC_VTD_ENTRIES_H

#include "base/bits.h"

/* 9.1, 9.2 Root entry, by bus. Scalable mode: word 0 for devices 0-15, word 1 for devices 16-31, alike. */
struct vtd_root_entry {
	le64_t q[2];
};
_Static_assert(sizeof(struct vtd_root_entry) == 16, "VT-d 9.1, Root Entry");
#define VTD_ROOT_0_P	BIT(0)
#define VTD_ROOT_0_CTP	BITS(63, 12)
#define VTD_SROOT_0_LP	 BIT(0)
#define VTD_SROOT_0_LCTP BITS(63, 12)
#define VTD_SROOT_1_UP	 BIT(0)
#define VTD_SROOT_1_UCTP BITS(63, 12)

/* 9.3 Context entry, by device and function */
struct vtd_ctx_entry {
	le64_t q[2];
};
_Static_assert(sizeof(struct vtd_ctx_entry) == 16, "VT-d 9.3, Context Entry");
#define VTD_CTX_0_P	  BIT(0)
#define VTD_CTX_0_FPD	  BIT(1)
#define VTD_CTX_0_TT	  BITS(3, 2)
#define VTD_CTX_0_SSPTPTR BITS(63, 12)
#define VTD_CTX_1_AW	  BITS(2, 0)
#define VTD_CTX_1_IGN	  BITS(6, 3)
#define VTD_CTX_1_DID	  BITS(23, 8)
enum { VTD_TT_UNTRANSLATED = 0, VTD_TT_DEVICE_TLB = 1, VTD_TT_PASS_THROUGH = 2 };

/* Address widths of context and PASID entries: levels minus 2 */
enum { VTD_AW_39 = 1, VTD_AW_48 = 2, VTD_AW_57 = 3 };

/* 9.4 Scalable-mode context entry, 128 in a table: (device & 15) << 3 | function */
struct vtd_sctx_entry {
	le64_t q[4];
};
_Static_assert(sizeof(struct vtd_sctx_entry) == 32, "VT-d 9.4, Scalable-Mode Context Entry");
#define VTD_SCTX_0_P	       BIT(0)
#define VTD_SCTX_0_FPD	       BIT(1)
#define VTD_SCTX_0_DTE	       BIT(2)
#define VTD_SCTX_0_PASIDE      BIT(3)
#define VTD_SCTX_0_PRE	       BIT(4)
#define VTD_SCTX_0_PDTS	       BITS(11, 9) /* 2^(PDTS + 7) directory entries */
#define VTD_SCTX_0_PASIDDIRPTR BITS(63, 12)
#define VTD_SCTX_1_RID_PASID   BITS(19, 0)
#define VTD_SCTX_1_RID_PRIV    BIT(20)

/* 9.5 PASID directory entry, by PASID bits 19:6 */
struct vtd_pasid_dir_entry {
	le64_t q[1];
};
_Static_assert(sizeof(struct vtd_pasid_dir_entry) == 8, "VT-d 9.5, Scalable-Mode PASID Directory Entry");
#define VTD_PDIR_0_P	     BIT(0)
#define VTD_PDIR_0_FPD	     BIT(1)
#define VTD_PDIR_0_SMPTBLPTR BITS(63, 12)
#define VTD_PASID_DIR_INDEX   BITS(19, 6)
#define VTD_PASID_TABLE_INDEX BITS(5, 0)

/* 9.6 PASID table entry, by PASID bits 5:0 */
struct vtd_pasid_entry {
	le64_t q[8];
};
_Static_assert(sizeof(struct vtd_pasid_entry) == 64, "VT-d 9.6, Scalable-Mode PASID Table Entry");
#define VTD_PASID_0_P	    BIT(0)
#define VTD_PASID_0_FPD	    BIT(1)
#define VTD_PASID_0_AW	    BITS(4, 2)
#define VTD_PASID_0_PGTT    BITS(8, 6)
#define VTD_PASID_0_SSADE   BIT(9)
#define VTD_PASID_0_SSPTPTR BITS(63, 12)
#define VTD_PASID_1_DID	    BITS(15, 0)
#define VTD_PASID_1_PWSNP   BIT(23)
#define VTD_PASID_1_PGSNP   BIT(24)
#define VTD_PASID_1_CD	    BIT(25)
#define VTD_PASID_1_EMTE    BIT(26)
#define VTD_PASID_1_EMT	    BITS(29, 27) /* with MTS, as are CD, EMTE, PWT, PCD and PAT */
#define VTD_PASID_1_PWT	    BIT(30)
#define VTD_PASID_1_PCD	    BIT(31)
#define VTD_PASID_1_PAT	    BITS(63, 32)
#define VTD_PASID_2_SRE	    BIT(0)
#define VTD_PASID_2_ERE	    BIT(1) /* execute requests: gone in revision 5 (reserved) */
#define VTD_PASID_2_FSPM    BITS(3, 2)
#define VTD_PASID_2_WPE	    BIT(4)
#define VTD_PASID_2_NXE	    BIT(5) /* execute requests: gone in revision 5 (ignored) */
#define VTD_PASID_2_SMEP    BIT(6) /* execute requests: gone in revision 5 (ignored) */
#define VTD_PASID_2_EAFE    BIT(7)
#define VTD_PASID_2_FSPTPTR BITS(63, 12) /* a GPA when PGTT is nested */
enum { VTD_PGTT_FS = 1, VTD_PGTT_SS = 2, VTD_PGTT_NESTED = 3, VTD_PGTT_PT = 4 };
enum { VTD_FSPM_4 = 0, VTD_FSPM_5 = 1 };

#endif
