/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d structures in memory, read a second time: translation structures and paging entries (chapter 9),
 * invalidation descriptors (6.5.2), page requests (7.4, 7.6), fault reasons (7.1.3) and records of the VT-d
 * specification, revision 4.x (D51397).
 *
 * Each field once alone, in rows; and each structure once whole, as a dump, so that the word a field is put
 * into and the byte order are pinned as well.
 */
#include "golden.h"

#include "spec/vtd/descs.h"
#include "spec/vtd/entries.h"
#include "spec/vtd/faults.h"
#include "spec/vtd/pte.h"

static void root_and_context_entries(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_ROOT_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_ROOT_0_CTP, "00 f0 ff ff ff ff ff ff"),
		G(VTD_SROOT_0_LP, "01 00 00 00 00 00 00 00"),
		G(VTD_SROOT_0_LCTP, "00 f0 ff ff ff ff ff ff"),
		G(VTD_SROOT_1_UP, "01 00 00 00 00 00 00 00"),
		G(VTD_SROOT_1_UCTP, "00 f0 ff ff ff ff ff ff"),
		G(VTD_CTX_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_CTX_0_FPD, "02 00 00 00 00 00 00 00"),
		G(VTD_CTX_0_TT, "0c 00 00 00 00 00 00 00"),
		G(VTD_CTX_0_SSPTPTR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_CTX_1_AW, "07 00 00 00 00 00 00 00"),
		G(VTD_CTX_1_IGN, "78 00 00 00 00 00 00 00"),
		G(VTD_CTX_1_DID, "00 ff ff 00 00 00 00 00"),
		G(VTD_SCTX_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_SCTX_0_FPD, "02 00 00 00 00 00 00 00"),
		G(VTD_SCTX_0_DTE, "04 00 00 00 00 00 00 00"),
		G(VTD_SCTX_0_PASIDE, "08 00 00 00 00 00 00 00"),
		G(VTD_SCTX_0_PRE, "10 00 00 00 00 00 00 00"),
		G(VTD_SCTX_0_PDTS, "00 0e 00 00 00 00 00 00"),
		G(VTD_SCTX_0_PASIDDIRPTR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_SCTX_1_RID_PASID, "ff ff 0f 00 00 00 00 00"),
		G(VTD_SCTX_1_RID_PRIV, "00 00 10 00 00 00 00 00"),
	};
	static const struct golden_number n[] = {
		N(VTD_TT_UNTRANSLATED, 0), N(VTD_TT_DEVICE_TLB, 1), N(VTD_TT_PASS_THROUGH, 2),
		/* 1: 39-bit, 3 levels; 2: 48-bit, 4 levels; 3: 57-bit, 5 levels */
		N(VTD_AW_39, 1), N(VTD_AW_48, 2), N(VTD_AW_57, 3),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
}

static void whole_root_and_context_entries(void **state)
{
	/* present, context table at 0x123456789000 */
	struct vtd_root_entry root = {{le64(VTD_ROOT_0_P | 0x123456789000), le64(0)}};
	/* lower table at 0x1000, upper at 0xabc0_0000_2000 */
	struct vtd_root_entry sroot = {{le64(VTD_SROOT_0_LP | 0x1000), le64(VTD_SROOT_1_UP | 0xabc000002000)}};
	/* present, untranslated with device-TLB, 4 levels, domain 0x1234, table at 0x5000 */
	struct vtd_ctx_entry ctx = {{le64(VTD_CTX_0_P | FIELD_C(VTD_CTX_0_TT, VTD_TT_DEVICE_TLB) | 0x5000),
				     le64(FIELD_C(VTD_CTX_1_AW, VTD_AW_48) | FIELD_C(VTD_CTX_1_DID, 0x1234))}};
	/* present, DTE, PASIDE, PRE, PDTS 7, directory at 0x7654_3000, RID_PASID 0x2_1abc */
	struct vtd_sctx_entry sctx = {
		{le64(VTD_SCTX_0_P | VTD_SCTX_0_DTE | VTD_SCTX_0_PASIDE | VTD_SCTX_0_PRE |
		      FIELD_C(VTD_SCTX_0_PDTS, 7) | 0x76543000),
		 le64(FIELD_C(VTD_SCTX_1_RID_PASID, 0x21abc)), le64(0), le64(0)}};

	(void)state;
	golden_dump(&root, sizeof(root), "01 90 78 56 34 12 00 00 00 00 00 00 00 00 00 00");
	golden_dump(&sroot, sizeof(sroot), "01 10 00 00 00 00 00 00 01 20 00 00 c0 ab 00 00");
	golden_dump(&ctx, sizeof(ctx), "05 50 00 00 00 00 00 00 02 34 12 00 00 00 00 00");
	golden_dump(&sctx, sizeof(sctx),
		    "1d 3e 54 76 00 00 00 00 bc 1a 02 00 00 00 00 00 "
		    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

static void pasid_directory_and_table(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_PDIR_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_PDIR_0_FPD, "02 00 00 00 00 00 00 00"),
		G(VTD_PDIR_0_SMPTBLPTR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_PASID_DIR_INDEX, "c0 ff 0f 00 00 00 00 00"),
		G(VTD_PASID_TABLE_INDEX, "3f 00 00 00 00 00 00 00"),

		/* bits 63:0 */
		G(VTD_PASID_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_PASID_0_FPD, "02 00 00 00 00 00 00 00"),
		G(VTD_PASID_0_AW, "1c 00 00 00 00 00 00 00"),
		G(VTD_PASID_0_PGTT, "c0 01 00 00 00 00 00 00"),
		G(VTD_PASID_0_SSADE, "00 02 00 00 00 00 00 00"),
		G(VTD_PASID_0_SSPTPTR, "00 f0 ff ff ff ff ff ff"),
		/* bits 127:64: DID 79:64, PWSNP 87, PGSNP 88, CD 89, EMTE 90, EMT 93:91, PWT 94, PCD 95, PAT 127:96 */
		G(VTD_PASID_1_DID, "ff ff 00 00 00 00 00 00"),
		G(VTD_PASID_1_PWSNP, "00 00 80 00 00 00 00 00"),
		G(VTD_PASID_1_PGSNP, "00 00 00 01 00 00 00 00"),
		G(VTD_PASID_1_CD, "00 00 00 02 00 00 00 00"),
		G(VTD_PASID_1_EMTE, "00 00 00 04 00 00 00 00"),
		G(VTD_PASID_1_EMT, "00 00 00 38 00 00 00 00"),
		G(VTD_PASID_1_PWT, "00 00 00 40 00 00 00 00"),
		G(VTD_PASID_1_PCD, "00 00 00 80 00 00 00 00"),
		G(VTD_PASID_1_PAT, "00 00 00 00 ff ff ff ff"),
		/* bits 191:128: SRE 128, ERE 129, FSPM 131:130, WPE 132, NXE 133, SMEP 134, EAFE 135, FSPTPTR 191:140 */
		G(VTD_PASID_2_SRE, "01 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_ERE, "02 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_FSPM, "0c 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_WPE, "10 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_NXE, "20 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_SMEP, "40 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_EAFE, "80 00 00 00 00 00 00 00"),
		G(VTD_PASID_2_FSPTPTR, "00 f0 ff ff ff ff ff ff"),
	};
	static const struct golden_number n[] = {
		N(VTD_PGTT_FS, 1), N(VTD_PGTT_SS, 2), N(VTD_PGTT_NESTED, 3), N(VTD_PGTT_PT, 4),
		N(VTD_FSPM_4, 0), N(VTD_FSPM_5, 1),
	};
	/* directory entry: present, table at 0x8_8888_8000 */
	struct vtd_pasid_dir_entry dir = {{le64(VTD_PDIR_0_P | 0x888888000)}};
	/*
	 * nested: 5-level second stage at 0x11000 with dirty bits, domain 0x0203, walks and pages snooped,
	 * 5-level first stage at GPA 0x22000 with SRE, WPE and EAFE
	 */
	struct vtd_pasid_entry e = {
		{le64(VTD_PASID_0_P | FIELD_C(VTD_PASID_0_AW, VTD_AW_57) |
		      FIELD_C(VTD_PASID_0_PGTT, VTD_PGTT_NESTED) | VTD_PASID_0_SSADE | 0x11000),
		 le64(FIELD_C(VTD_PASID_1_DID, 0x203) | VTD_PASID_1_PWSNP | VTD_PASID_1_PGSNP),
		 le64(VTD_PASID_2_SRE | FIELD_C(VTD_PASID_2_FSPM, VTD_FSPM_5) | VTD_PASID_2_WPE |
		      VTD_PASID_2_EAFE | 0x22000)}};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
	golden_dump(&dir, sizeof(dir), "01 80 88 88 08 00 00 00");
	golden_dump(&e, sizeof(e),
		    "cd 12 01 00 00 00 00 00 03 02 80 01 00 00 00 00 "
		    "95 20 02 00 00 00 00 00 00 00 00 00 00 00 00 00 "
		    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
		    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

static void paging_entries(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_SSPTE_R, "01 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_W, "02 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_X, "04 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_EMT, "38 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_IPAT, "40 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_PS, "80 00 00 00 00 00 00 00"),
		G(VTD_SSPTE_A, "00 01 00 00 00 00 00 00"),
		G(VTD_SSPTE_D, "00 02 00 00 00 00 00 00"),
		G(VTD_SSPTE_SNP, "00 08 00 00 00 00 00 00"),
		G(VTD_SSPTE_ADDR, "00 f0 ff ff ff ff 0f 00"),
		G(VTD_SSPTE_IR, "00 00 00 00 00 00 00 20"),
		G(VTD_SSPTE_TM, "00 00 00 00 00 00 00 40"),
		G(VTD_FSPTE_P, "01 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_RW, "02 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_US, "04 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_PWT, "08 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_PCD, "10 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_A, "20 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_D, "40 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_PS, "80 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_PAT, "80 00 00 00 00 00 00 00"),
		G(VTD_FSPTE_G, "00 01 00 00 00 00 00 00"),
		G(VTD_FSPTE_EA, "00 04 00 00 00 00 00 00"),
		G(VTD_FSPTE_LARGE_PAT, "00 10 00 00 00 00 00 00"),
		G(VTD_FSPTE_ADDR, "00 f0 ff ff ff ff 0f 00"),
		G(VTD_FSPTE_XD, "00 00 00 00 00 00 00 80"),
	};
	static const struct golden_number n[] = {
		N(VTD_TABLE_ENTRIES, 512),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
}

static void invalidation_descriptors(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_INV_0_TYPE, "0f 00 00 00 00 00 00 00"),
		G(VTD_INV_0_TYPE_HI, "00 0e 00 00 00 00 00 00"),
		G(VTD_INV_CC_0_G, "30 00 00 00 00 00 00 00"),
		G(VTD_INV_CC_0_DID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_CC_0_SID, "00 00 00 00 ff ff 00 00"),
		G(VTD_INV_CC_0_FM, "00 00 00 00 00 00 03 00"),
		G(VTD_INV_PC_0_G, "30 00 00 00 00 00 00 00"),
		G(VTD_INV_PC_0_DID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_PC_0_PASID, "00 00 00 00 ff ff 0f 00"),
		G(VTD_INV_IOTLB_0_G, "30 00 00 00 00 00 00 00"),
		G(VTD_INV_IOTLB_0_DW, "40 00 00 00 00 00 00 00"),
		G(VTD_INV_IOTLB_0_DR, "80 00 00 00 00 00 00 00"),
		G(VTD_INV_IOTLB_0_DID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_IOTLB_1_AM, "3f 00 00 00 00 00 00 00"),
		G(VTD_INV_IOTLB_1_IH, "40 00 00 00 00 00 00 00"),
		G(VTD_INV_IOTLB_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_INV_PIOTLB_0_G, "30 00 00 00 00 00 00 00"),
		G(VTD_INV_PIOTLB_0_DID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_PIOTLB_0_PASID, "00 00 00 00 ff ff 0f 00"),
		G(VTD_INV_PIOTLB_1_AM, "3f 00 00 00 00 00 00 00"),
		G(VTD_INV_PIOTLB_1_IH, "40 00 00 00 00 00 00 00"),
		G(VTD_INV_PIOTLB_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_INV_DEVTLB_0_PFSID_LO, "00 f0 00 00 00 00 00 00"),
		G(VTD_INV_DEVTLB_0_MIP, "00 00 1f 00 00 00 00 00"),
		G(VTD_INV_DEVTLB_0_SID, "00 00 00 00 ff ff 00 00"),
		G(VTD_INV_DEVTLB_0_PFSID_HI, "00 00 00 00 00 00 f0 ff"),
		G(VTD_INV_DEVTLB_1_S, "01 00 00 00 00 00 00 00"),
		G(VTD_INV_DEVTLB_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_INV_PDEVTLB_0_MIP, "f0 01 00 00 00 00 00 00"),
		G(VTD_INV_PDEVTLB_0_PFSID_LO, "00 f0 00 00 00 00 00 00"),
		G(VTD_INV_PDEVTLB_0_SID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_PDEVTLB_0_PASID, "00 00 00 00 ff ff 0f 00"),
		G(VTD_INV_PDEVTLB_0_PFSID_HI, "00 00 00 00 00 00 f0 ff"),
		G(VTD_INV_PDEVTLB_1_GI, "01 00 00 00 00 00 00 00"),
		G(VTD_INV_PDEVTLB_1_S, "00 08 00 00 00 00 00 00"),
		G(VTD_INV_PDEVTLB_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(VTD_INV_IEC_0_G, "10 00 00 00 00 00 00 00"),
		G(VTD_INV_IEC_0_IM, "00 00 00 f8 00 00 00 00"),
		G(VTD_INV_IEC_0_IIDX, "00 00 00 00 ff ff 00 00"),
		G(VTD_INV_WAIT_0_IF, "10 00 00 00 00 00 00 00"),
		G(VTD_INV_WAIT_0_SW, "20 00 00 00 00 00 00 00"),
		G(VTD_INV_WAIT_0_FN, "40 00 00 00 00 00 00 00"),
		G(VTD_INV_WAIT_0_PD, "80 00 00 00 00 00 00 00"),
		G(VTD_INV_WAIT_0_DATA, "00 00 00 00 ff ff ff ff"),
		G(VTD_INV_WAIT_1_ADDR, "fc ff ff ff ff ff ff ff"),
		G(VTD_INV_PRGR_0_PP, "10 00 00 00 00 00 00 00"),
		G(VTD_INV_PRGR_0_CODE, "00 f0 00 00 00 00 00 00"),
		G(VTD_INV_PRGR_0_RID, "00 00 ff ff 00 00 00 00"),
		G(VTD_INV_PRGR_0_PASID, "00 00 00 00 ff ff 0f 00"),
		G(VTD_INV_PRGR_1_PRGI, "f8 0f 00 00 00 00 00 00"),
	};
	static const struct golden_number n[] = {
		N(VTD_INV_CC, 1), N(VTD_INV_IOTLB, 2), N(VTD_INV_DEVTLB, 3), N(VTD_INV_IEC, 4),
		N(VTD_INV_WAIT, 5), N(VTD_INV_PIOTLB, 6), N(VTD_INV_PC, 7), N(VTD_INV_PDEVTLB, 8),
		N(VTD_INV_PRGR, 9),
		N(VTD_INV_CC_GLOBAL, 1), N(VTD_INV_CC_DOMAIN, 2), N(VTD_INV_CC_DEVICE, 3),
		N(VTD_INV_PC_DOMAIN, 0), N(VTD_INV_PC_PASID, 1), N(VTD_INV_PC_GLOBAL, 3),
		N(VTD_INV_IOTLB_GLOBAL, 1), N(VTD_INV_IOTLB_DOMAIN, 2), N(VTD_INV_IOTLB_PAGE, 3),
		N(VTD_INV_PIOTLB_PASID, 2), N(VTD_INV_PIOTLB_PAGE, 3),
		N(VTD_PRGR_SUCCESS, 0), N(VTD_PRGR_INVALID, 1), N(VTD_PRGR_FAILURE, 15),
		N(VTD_IQEI_NONE, 0), N(VTD_IQEI_TAIL, 1), N(VTD_IQEI_FETCH, 2), N(VTD_IQEI_TYPE, 3),
		N(VTD_IQEI_RESERVED, 4), N(VTD_IQEI_WIDTH, 5), N(VTD_IQEI_TAIL_ALIGN, 6), N(VTD_IQEI_TTM, 7),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
}

static void whole_descriptors(void **state)
{
	/* page-selective within domain 0x21: 16 pages at 0x7fff_0000, leaf hint, drained */
	struct vtd_inv_desc128 iotlb = {
		{le64(FIELD_C(VTD_INV_0_TYPE, VTD_INV_IOTLB) | FIELD_C(VTD_INV_IOTLB_0_G, VTD_INV_IOTLB_PAGE) |
		      VTD_INV_IOTLB_0_DW | VTD_INV_IOTLB_0_DR | FIELD_C(VTD_INV_IOTLB_0_DID, 0x21)),
		 le64(FIELD_C(VTD_INV_IOTLB_1_AM, 4) | VTD_INV_IOTLB_1_IH | 0x7fff0000)}};
	/* all of PASID 0x54321 in domain 0x1234 */
	struct vtd_inv_desc piotlb = {
		{le64(FIELD_C(VTD_INV_0_TYPE, VTD_INV_PIOTLB) | FIELD_C(VTD_INV_PIOTLB_0_G, VTD_INV_PIOTLB_PASID) |
		      FIELD_C(VTD_INV_PIOTLB_0_DID, 0x1234) | FIELD_C(VTD_INV_PIOTLB_0_PASID, 0x54321))}};
	/* write 2 at 0xdead_bee0, fence, interrupt */
	struct vtd_inv_desc wait = {
		{le64(FIELD_C(VTD_INV_0_TYPE, VTD_INV_WAIT) | VTD_INV_WAIT_0_IF | VTD_INV_WAIT_0_SW |
		      VTD_INV_WAIT_0_FN | FIELD_C(VTD_INV_WAIT_0_DATA, 2)),
		 le64(0xdeadbee0)}};
	/* function 01:00.0 behind physical function 02:03.4, everything */
	struct vtd_inv_desc128 devtlb = {
		{le64(FIELD_C(VTD_INV_0_TYPE, VTD_INV_DEVTLB) | FIELD_C(VTD_INV_DEVTLB_0_PFSID_LO, 0xc) |
		      FIELD_C(VTD_INV_DEVTLB_0_SID, 0x100) | FIELD_C(VTD_INV_DEVTLB_0_PFSID_HI, 0x021)),
		 le64(VTD_INV_DEVTLB_1_S | 0x7ffffffffffff000)}};

	(void)state;
	golden_dump(&iotlb, sizeof(iotlb), "f2 00 21 00 00 00 00 00 44 00 ff 7f 00 00 00 00");
	golden_dump(&piotlb, sizeof(piotlb),
		    "26 00 34 12 21 43 05 00 00 00 00 00 00 00 00 00 "
		    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
	golden_dump(&wait, sizeof(wait),
		    "75 00 00 00 02 00 00 00 e0 be ad de 00 00 00 00 "
		    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
	golden_dump(&devtlb, sizeof(devtlb), "03 c0 00 00 00 01 10 02 01 f0 ff ff ff ff ff 7f");
}

static void page_requests(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_PREQ_0_TYPE, "ff 00 00 00 00 00 00 00"),
		G(VTD_PREQ_0_PP, "00 01 00 00 00 00 00 00"),
		G(VTD_PREQ_0_RID, "00 00 ff ff 00 00 00 00"),
		G(VTD_PREQ_0_PASID, "00 00 00 00 ff ff 0f 00"),
		G(VTD_PREQ_0_EXE, "00 00 00 00 00 00 10 00"),
		G(VTD_PREQ_0_PRIV, "00 00 00 00 00 00 20 00"),
		G(VTD_PREQ_1_RD, "01 00 00 00 00 00 00 00"),
		G(VTD_PREQ_1_WR, "02 00 00 00 00 00 00 00"),
		G(VTD_PREQ_1_LPIG, "04 00 00 00 00 00 00 00"),
		G(VTD_PREQ_1_PRGI, "f8 0f 00 00 00 00 00 00"),
		G(VTD_PREQ_1_ADDR, "00 f0 ff ff ff ff ff ff"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void fault_records(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_FRCD_0_FI, "00 f0 ff ff ff ff ff ff"),
		/* bits 127:64: SID 79:64, T2 92, PRIV 93, EXE 94, PP 95, FR 103:96, PV 123:104, AT 125:124, T1 126, F 127 */
		G(VTD_FRCD_1_SID, "ff ff 00 00 00 00 00 00"),
		G(VTD_FRCD_1_T2, "00 00 00 10 00 00 00 00"),
		G(VTD_FRCD_1_PRIV, "00 00 00 20 00 00 00 00"),
		G(VTD_FRCD_1_EXE, "00 00 00 40 00 00 00 00"),
		G(VTD_FRCD_1_PP, "00 00 00 80 00 00 00 00"),
		G(VTD_FRCD_1_FR, "00 00 00 00 ff 00 00 00"),
		G(VTD_FRCD_1_PV, "00 00 00 00 00 ff ff 0f"),
		G(VTD_FRCD_1_AT, "00 00 00 00 00 00 00 30"),
		G(VTD_FRCD_1_T1, "00 00 00 00 00 00 00 40"),
		G(VTD_FRCD_1_F, "00 00 00 00 00 00 00 80"),
	};
	/* read by 01:00.0 with PASID 0x12345 at 0xfee_cafe_b000: first-stage entry not present */
	struct vtd_fault_record f = {
		{le64(0xfeecafeb000),
		 le64(VTD_FRCD_1_F | VTD_FRCD_1_T1 | FIELD_C(VTD_FRCD_1_PV, 0x12345) | VTD_FRCD_1_PP |
		      FIELD_C(VTD_FRCD_1_FR, VTD_FR_FS_NP) | FIELD_C(VTD_FRCD_1_SID, 0x0100))}};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_dump(&f, sizeof(f), "00 b0 fe ca ee 0f 00 00 00 01 00 80 71 45 23 c1");
}

static void fault_reasons(void **state)
{
	static const struct golden_number n[] = {
		N(VTD_FR_ROOT_NP, 0x01),	  N(VTD_FR_CTX_NP, 0x02),	N(VTD_FR_CTX_INV, 0x03),
		N(VTD_FR_ADDR_WIDE, 0x04),	  N(VTD_FR_NO_WRITE, 0x05),	N(VTD_FR_NO_READ, 0x06),
		N(VTD_FR_SS_FETCH, 0x07),	  N(VTD_FR_ROOT_FETCH, 0x08),	N(VTD_FR_CTX_FETCH, 0x09),
		N(VTD_FR_ROOT_RSVD, 0x0a),	  N(VTD_FR_CTX_RSVD, 0x0b),	N(VTD_FR_SS_RSVD, 0x0c),
		N(VTD_FR_ATS_BLOCKED, 0x0d),	  N(VTD_FR_INTR_OUT, 0x0e),
		N(VTD_FR_IR_RSVD, 0x20),	  N(VTD_FR_IR_INDEX, 0x21),	N(VTD_FR_IRTE_NP, 0x22),
		N(VTD_FR_IRTE_FETCH, 0x23),	  N(VTD_FR_IRTE_RSVD, 0x24),	N(VTD_FR_IR_COMPAT, 0x25),
		N(VTD_FR_IR_SID, 0x26),		  N(VTD_FR_IR_NO_MSG, 0x29),
		N(VTD_FR_RTADDR_INV, 0x30),	  N(VTD_FR_PASID_LEGACY, 0x31), N(VTD_FR_PREQ_LEGACY, 0x32),
		N(VTD_FR_ABORT_MODE, 0x33),
		N(VTD_FR_SROOT_FETCH, 0x38),	  N(VTD_FR_SROOT_NP, 0x39),	N(VTD_FR_SROOT_RSVD, 0x3a),
		N(VTD_FR_SCTX_FETCH, 0x40),	  N(VTD_FR_SCTX_NP, 0x41),	N(VTD_FR_SCTX_RSVD, 0x42),
		N(VTD_FR_SCTX_INV, 0x43),	  N(VTD_FR_SCTX_DTE, 0x44),	N(VTD_FR_SCTX_PASIDE, 0x45),
		N(VTD_FR_PASID_WIDE, 0x46),	  N(VTD_FR_SCTX_PRE, 0x47),	N(VTD_FR_RID_PASID, 0x48),
		N(VTD_FR_PDIR_FETCH, 0x50),	  N(VTD_FR_PDIR_NP, 0x51),	N(VTD_FR_PDIR_RSVD, 0x52),
		N(VTD_FR_PASID_FETCH, 0x58),	  N(VTD_FR_PASID_NP, 0x59),	N(VTD_FR_PASID_RSVD, 0x5a),
		N(VTD_FR_PASID_INV, 0x5b),	  N(VTD_FR_PASID_ERE, 0x5c),	N(VTD_FR_PASID_SRE, 0x5d),
		N(VTD_FR_FS_FETCH, 0x70),	  N(VTD_FR_FS_NP, 0x71),	N(VTD_FR_FS_RSVD, 0x72),
		N(VTD_FR_FS_ROOT_FETCH, 0x73),	  N(VTD_FR_FS_GPA_WIDE, 0x74),	N(VTD_FR_FS_ROOT_NO_READ, 0x75),
		N(VTD_FR_FS_NO_READ, 0x76),	  N(VTD_FR_FS_NO_AD, 0x77),	N(VTD_FR_FS_AD_NO_SNOOP, 0x90),
		N(VTD_FR_FS_AD_FAILED, 0x91),
		N(VTD_FR_SSS_FETCH, 0x78),	  N(VTD_FR_SSS_NO_PERM, 0x79),	N(VTD_FR_SSS_RSVD, 0x7a),
		N(VTD_FR_SSS_ROOT_FETCH, 0x7b),	  N(VTD_FR_SSS_AD_NO_SNOOP, 0x7c), N(VTD_FR_SSS_AD_FAILED, 0x7d),
		N(VTD_FR_NOT_CANONICAL, 0x80),	  N(VTD_FR_US, 0x81),		N(VTD_FR_NO_EXEC, 0x82),
		N(VTD_FR_HPA_WIDE, 0x83),	  N(VTD_FR_SS_ADDR_WIDE, 0x84), N(VTD_FR_SNO_WRITE, 0x85),
		N(VTD_FR_SNO_READ, 0x86),	  N(VTD_FR_SINTR_OUT, 0x87),	N(VTD_FR_PSS, 0x89),
	};

	(void)state;
	golden_numbers(n, ARRAY_SIZE(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_and_context_entries),
		cmocka_unit_test(whole_root_and_context_entries),
		cmocka_unit_test(pasid_directory_and_table),
		cmocka_unit_test(paging_entries),
		cmocka_unit_test(invalidation_descriptors),
		cmocka_unit_test(whole_descriptors),
		cmocka_unit_test(page_requests),
		cmocka_unit_test(fault_records),
		cmocka_unit_test(fault_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
