/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 stream tables, context descriptors and translation table descriptors, read a second time: IHI 0070, issue G.b, 5.1 to 5.4,
 * where bits are counted through the whole entry, and DDI 0487, issue M.a.a, D8.3.
 */
#include "golden.h"

#include "spec/smmuv3/ste.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/pte.h"

static void ste_fields(void **state)
{
	static const struct golden_row r[] = {
		G(SMMU_L1STD_0_SPAN, "1f 00 00 00 00 00 00 00"),
		G(SMMU_L1STD_0_L2PTR, "c0 ff ff ff ff ff ff 00"),
		G(SMMU_STE_0_V, "01 00 00 00 00 00 00 00"),
		G(SMMU_STE_0_CONFIG, "0e 00 00 00 00 00 00 00"),
		G(SMMU_STE_0_S1FMT, "30 00 00 00 00 00 00 00"),
		G(SMMU_STE_0_S1CTXPTR, "c0 ff ff ff ff ff ff 00"),
		G(SMMU_STE_0_S1CDMAX, "00 00 00 00 00 00 00 f8"),
		G(SMMU_STE_1_S1DSS, "03 00 00 00 00 00 00 00"),
		G(SMMU_STE_1_S1CIR, "0c 00 00 00 00 00 00 00"),
		G(SMMU_STE_1_S1COR, "30 00 00 00 00 00 00 00"),
		G(SMMU_STE_1_S1CSH, "c0 00 00 00 00 00 00 00"),
		G(SMMU_STE_1_S2HWU, "00 0f 00 00 00 00 00 00"),
		G(SMMU_STE_1_DRE, "00 10 00 00 00 00 00 00"),
		G(SMMU_STE_1_CONT, "00 e0 01 00 00 00 00 00"),
		G(SMMU_STE_1_DCP, "00 00 02 00 00 00 00 00"),
		G(SMMU_STE_1_PPAR, "00 00 04 00 00 00 00 00"),
		G(SMMU_STE_1_MEV, "00 00 08 00 00 00 00 00"),
		G(SMMU_STE_1_SW, "00 00 f0 00 00 00 00 00"),
		G(SMMU_STE_1_S1PIE, "00 00 00 01 00 00 00 00"),
		G(SMMU_STE_1_S2FWB, "00 00 00 02 00 00 00 00"),
		G(SMMU_STE_1_S1MPAM, "00 00 00 04 00 00 00 00"),
		G(SMMU_STE_1_S1STALLD, "00 00 00 08 00 00 00 00"),
		G(SMMU_STE_1_EATS, "00 00 00 30 00 00 00 00"),
		G(SMMU_STE_1_STRW, "00 00 00 c0 00 00 00 00"),
		G(SMMU_STE_1_MEMATTR, "00 00 00 00 0f 00 00 00"),
		G(SMMU_STE_1_MTCFG, "00 00 00 00 10 00 00 00"),
		G(SMMU_STE_1_ALLOCCFG, "00 00 00 00 e0 01 00 00"),
		G(SMMU_STE_1_SHCFG, "00 00 00 00 00 30 00 00"),
		G(SMMU_STE_1_NSCFG, "00 00 00 00 00 c0 00 00"),
		G(SMMU_STE_1_PRIVCFG, "00 00 00 00 00 00 03 00"),
		G(SMMU_STE_1_INSTCFG, "00 00 00 00 00 00 0c 00"),
		G(SMMU_STE_2_S2VMID, "ff ff 00 00 00 00 00 00"),
		G(SMMU_STE_2_S2T0SZ, "00 00 00 00 3f 00 00 00"),
		G(SMMU_STE_2_S2SL0, "00 00 00 00 c0 00 00 00"),
		G(SMMU_STE_2_S2IR0, "00 00 00 00 00 03 00 00"),
		G(SMMU_STE_2_S2OR0, "00 00 00 00 00 0c 00 00"),
		G(SMMU_STE_2_S2SH0, "00 00 00 00 00 30 00 00"),
		G(SMMU_STE_2_S2TG, "00 00 00 00 00 c0 00 00"),
		G(SMMU_STE_2_S2PS, "00 00 00 00 00 00 07 00"),
		G(SMMU_STE_2_S2AA64, "00 00 00 00 00 00 08 00"),
		G(SMMU_STE_2_S2ENDI, "00 00 00 00 00 00 10 00"),
		G(SMMU_STE_2_S2AFFD, "00 00 00 00 00 00 20 00"),
		G(SMMU_STE_2_S2PTW, "00 00 00 00 00 00 40 00"),
		G(SMMU_STE_2_S2HD, "00 00 00 00 00 00 80 00"),
		G(SMMU_STE_2_S2HA, "00 00 00 00 00 00 00 01"),
		G(SMMU_STE_2_S2S, "00 00 00 00 00 00 00 02"),
		G(SMMU_STE_2_S2R, "00 00 00 00 00 00 00 04"),
		G(SMMU_STE_2_S2HAFT, "00 00 00 00 00 00 00 08"),
		G(SMMU_STE_2_S2PIE, "00 00 00 00 00 00 00 10"),
		G(SMMU_STE_2_S2POE, "00 00 00 00 00 00 00 20"),
		G(SMMU_STE_3_S2SL0_2, "04 00 00 00 00 00 00 00"),
		G(SMMU_STE_3_S2DS, "08 00 00 00 00 00 00 00"),
		G(SMMU_STE_3_S2TTB, "f0 ff ff ff ff ff 0f 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void ste_numbers(void **state)
{
	static const struct golden_number r[] = {
		N(SMMU_SPAN_MAX, 11),
		N(SMMU_STE_CONFIG_ABORT, 0),
		N(SMMU_STE_CONFIG_BYPASS, 4),
		N(SMMU_STE_CONFIG_S1, 5),
		N(SMMU_STE_CONFIG_S2, 6),
		N(SMMU_STE_CONFIG_NESTED, 7),
		N(SMMU_S1FMT_LINEAR, 0),
		N(SMMU_S1FMT_4K, 1),
		N(SMMU_S1FMT_64K, 2),
		N(SMMU_S1DSS_TERMINATE, 0),
		N(SMMU_S1DSS_BYPASS, 1),
		N(SMMU_S1DSS_SSID0, 2),
		N(SMMU_EATS_ABORT, 0),
		N(SMMU_EATS_FULL, 1),
		N(SMMU_EATS_SPLIT, 2),
		N(SMMU_EATS_DPT, 3),
		N(SMMU_STRW_EL1, 0),
		N(SMMU_STRW_EL2, 2),
		N(SMMU_CFG_INCOMING, 0),
		N(SMMU_CFG_UNPRIV, 2),
		N(SMMU_CFG_PRIV, 3),
		N(SMMU_SHCFG_NON, 0),
		N(SMMU_SHCFG_INCOMING, 1),
		N(SMMU_SHCFG_OUTER, 2),
		N(SMMU_SHCFG_INNER, 3),
		N(SMMU_TG_4K, 0),
		N(SMMU_TG_64K, 1),
		N(SMMU_TG_16K, 2),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

static void cd_fields(void **state)
{
	static const struct golden_row r[] = {
		G(SMMU_L1CD_0_V, "01 00 00 00 00 00 00 00"),
		G(SMMU_L1CD_0_L2PTR, "00 f0 ff ff ff ff ff 00"),
		G(SMMU_CD_0_T0SZ, "3f 00 00 00 00 00 00 00"),
		G(SMMU_CD_0_TG0, "c0 00 00 00 00 00 00 00"),
		G(SMMU_CD_0_IR0, "00 03 00 00 00 00 00 00"),
		G(SMMU_CD_0_OR0, "00 0c 00 00 00 00 00 00"),
		G(SMMU_CD_0_SH0, "00 30 00 00 00 00 00 00"),
		G(SMMU_CD_0_EPD0, "00 40 00 00 00 00 00 00"),
		G(SMMU_CD_0_ENDI, "00 80 00 00 00 00 00 00"),
		G(SMMU_CD_0_T1SZ, "00 00 3f 00 00 00 00 00"),
		G(SMMU_CD_0_TG1, "00 00 c0 00 00 00 00 00"),
		G(SMMU_CD_0_IR1, "00 00 00 03 00 00 00 00"),
		G(SMMU_CD_0_OR1, "00 00 00 0c 00 00 00 00"),
		G(SMMU_CD_0_SH1, "00 00 00 30 00 00 00 00"),
		G(SMMU_CD_0_EPD1, "00 00 00 40 00 00 00 00"),
		G(SMMU_CD_0_V, "00 00 00 80 00 00 00 00"),
		G(SMMU_CD_0_IPS, "00 00 00 00 07 00 00 00"),
		G(SMMU_CD_0_AFFD, "00 00 00 00 08 00 00 00"),
		G(SMMU_CD_0_WXN, "00 00 00 00 10 00 00 00"),
		G(SMMU_CD_0_UWXN, "00 00 00 00 20 00 00 00"),
		G(SMMU_CD_0_TBI0, "00 00 00 00 40 00 00 00"),
		G(SMMU_CD_0_TBI1, "00 00 00 00 80 00 00 00"),
		G(SMMU_CD_0_PAN, "00 00 00 00 00 01 00 00"),
		G(SMMU_CD_0_AA64, "00 00 00 00 00 02 00 00"),
		G(SMMU_CD_0_HD, "00 00 00 00 00 04 00 00"),
		G(SMMU_CD_0_HA, "00 00 00 00 00 08 00 00"),
		G(SMMU_CD_0_S, "00 00 00 00 00 10 00 00"),
		G(SMMU_CD_0_R, "00 00 00 00 00 20 00 00"),
		G(SMMU_CD_0_A, "00 00 00 00 00 40 00 00"),
		G(SMMU_CD_0_ASET, "00 00 00 00 00 80 00 00"),
		G(SMMU_CD_0_ASID, "00 00 00 00 00 00 ff ff"),
		G(SMMU_CD_1_HAD0, "02 00 00 00 00 00 00 00"),
		G(SMMU_CD_1_E0PD0, "04 00 00 00 00 00 00 00"),
		G(SMMU_CD_1_HAFT, "08 00 00 00 00 00 00 00"),
		G(SMMU_CD_1_TTB0, "f0 ff ff ff ff ff 0f 00"),
		G(SMMU_CD_1_PNCH, "00 00 00 00 00 00 00 04"),
		G(SMMU_CD_1_EPAN, "00 00 00 00 00 00 00 08"),
		G(SMMU_CD_2_HAD1, "02 00 00 00 00 00 00 00"),
		G(SMMU_CD_2_E0PD1, "04 00 00 00 00 00 00 00"),
		G(SMMU_CD_2_AIE, "08 00 00 00 00 00 00 00"),
		G(SMMU_CD_2_TTB1, "f0 ff ff ff ff ff 0f 00"),
		G(SMMU_CD_2_DS, "00 00 00 00 00 00 00 04"),
		G(SMMU_CD_2_PIE, "00 00 00 00 00 00 00 08"),
		G(SMMU_CD_3_MAIR, "ff ff ff ff ff ff ff ff"),
		G(SMMU_CD_4_AMAIR, "ff ff ff ff ff ff ff ff"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void cd_numbers(void **state)
{
	static const struct golden_number r[] = {
		N(SMMU_TG1_16K, 1),
		N(SMMU_TG1_4K, 2),
		N(SMMU_TG1_64K, 3),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

static void pte_fields(void **state)
{
	static const struct golden_row r[] = {
		G(SMMU_PTE_VALID, "01 00 00 00 00 00 00 00"),
		G(SMMU_PTE_TABLE, "02 00 00 00 00 00 00 00"),
		G(SMMU_PTE_ADDR, "00 f0 ff ff ff ff 00 00"),
		G(SMMU_PTE_LPA_64K, "00 f0 00 00 00 00 00 00"),
		G(SMMU_PTE_LPA2_LO, "00 03 00 00 00 00 00 00"),
		G(SMMU_PTE_LPA2_HI, "00 00 00 00 00 00 03 00"),
		G(SMMU_PTE_ATTRINDX, "1c 00 00 00 00 00 00 00"),
		G(SMMU_PTE_NS, "20 00 00 00 00 00 00 00"),
		G(SMMU_PTE_AP1, "40 00 00 00 00 00 00 00"),
		G(SMMU_PTE_AP2, "80 00 00 00 00 00 00 00"),
		G(SMMU_PTE_SH, "00 03 00 00 00 00 00 00"),
		G(SMMU_PTE_AF, "00 04 00 00 00 00 00 00"),
		G(SMMU_PTE_NG, "00 08 00 00 00 00 00 00"),
		G(SMMU_PTE_NT, "00 00 01 00 00 00 00 00"),
		G(SMMU_PTE_GP, "00 00 00 00 00 00 04 00"),
		G(SMMU_PTE_DBM, "00 00 00 00 00 00 08 00"),
		G(SMMU_PTE_CONT, "00 00 00 00 00 00 10 00"),
		G(SMMU_PTE_PXN, "00 00 00 00 00 00 20 00"),
		G(SMMU_PTE_UXN, "00 00 00 00 00 00 40 00"),
		G(SMMU_PTE_PXNTABLE, "00 00 00 00 00 00 00 08"),
		G(SMMU_PTE_UXNTABLE, "00 00 00 00 00 00 00 10"),
		G(SMMU_PTE_APTABLE0, "00 00 00 00 00 00 00 20"),
		G(SMMU_PTE_APTABLE1, "00 00 00 00 00 00 00 40"),
		G(SMMU_PTE_NSTABLE, "00 00 00 00 00 00 00 80"),
		G(SMMU_S2PTE_MEMATTR, "3c 00 00 00 00 00 00 00"),
		G(SMMU_S2PTE_R, "40 00 00 00 00 00 00 00"),
		G(SMMU_S2PTE_W, "80 00 00 00 00 00 00 00"),
		G(SMMU_S2PTE_SH, "00 03 00 00 00 00 00 00"),
		G(SMMU_S2PTE_AF, "00 04 00 00 00 00 00 00"),
		G(SMMU_S2PTE_DBM, "00 00 00 00 00 00 08 00"),
		G(SMMU_S2PTE_CONT, "00 00 00 00 00 00 10 00"),
		G(SMMU_S2PTE_XN, "00 00 00 00 00 00 60 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ste_fields),
		cmocka_unit_test(ste_numbers),
		cmocka_unit_test(cd_fields),
		cmocka_unit_test(cd_numbers),
		cmocka_unit_test(pte_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
