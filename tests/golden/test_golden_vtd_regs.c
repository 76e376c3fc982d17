/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d registers, read a second time: chapter "Register Descriptions" of the VT-d specification, revision 4.x
 * (D51397), figure by figure.
 */
#include "golden.h"

#include "spec/vtd/regs.h"

static void offsets(void **state)
{
	static const struct golden_number r[] = {
		N(VTD_REG_VER, 0x000),	    N(VTD_REG_CAP, 0x008),	N(VTD_REG_ECAP, 0x010),
		N(VTD_REG_GCMD, 0x018),	    N(VTD_REG_GSTS, 0x01c),	N(VTD_REG_RTADDR, 0x020),
		N(VTD_REG_CCMD, 0x028),	    N(VTD_REG_FSTS, 0x034),	N(VTD_REG_FECTL, 0x038),
		N(VTD_REG_FEDATA, 0x03c),   N(VTD_REG_FEADDR, 0x040),	N(VTD_REG_FEUADDR, 0x044),
		N(VTD_REG_PMEN, 0x064),	    N(VTD_REG_PLMBASE, 0x068),	N(VTD_REG_PLMLIMIT, 0x06c),
		N(VTD_REG_PHMBASE, 0x070),  N(VTD_REG_PHMLIMIT, 0x078), N(VTD_REG_IQH, 0x080),
		N(VTD_REG_IQT, 0x088),	    N(VTD_REG_IQA, 0x090),	N(VTD_REG_ICS, 0x09c),
		N(VTD_REG_IECTL, 0x0a0),    N(VTD_REG_IEDATA, 0x0a4),	N(VTD_REG_IEADDR, 0x0a8),
		N(VTD_REG_IEUADDR, 0x0ac),  N(VTD_REG_IQER, 0x0b0),	N(VTD_REG_IRTA, 0x0b8),
		N(VTD_REG_PQH, 0x0c0),	    N(VTD_REG_PQT, 0x0c8),	N(VTD_REG_PQA, 0x0d0),
		N(VTD_REG_PRS, 0x0dc),	    N(VTD_REG_PECTL, 0x0e0),	N(VTD_REG_PEDATA, 0x0e4),
		N(VTD_REG_PEADDR, 0x0e8),   N(VTD_REG_PEUADDR, 0x0ec),	N(VTD_REG_MTRRCAP, 0x100),
		N(VTD_REG_MTRRDEF, 0x108),  N(VTD_REG_PERFCAP, 0x300),	N(VTD_REG_ECMD, 0x400),
		N(VTD_REG_ECRSP, 0x410),    N(VTD_REG_ECCAP, 0x430),
		/* relative to the places that CAP.FRO and ECAP.IRO name */
		N(VTD_FRCD_SIZE, 16),	    N(VTD_IVA_OFF, 0),		N(VTD_IOTLB_OFF, 8),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

static void version_and_capabilities(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_VER_MIN, "0f 00 00 00"),
		G(VTD_VER_MAX, "f0 00 00 00"),

		G(VTD_CAP_ND, "07 00 00 00 00 00 00 00"),
		G(VTD_CAP_RWBF, "10 00 00 00 00 00 00 00"),
		G(VTD_CAP_PLMR, "20 00 00 00 00 00 00 00"),
		G(VTD_CAP_PHMR, "40 00 00 00 00 00 00 00"),
		G(VTD_CAP_CM, "80 00 00 00 00 00 00 00"),
		G(VTD_CAP_SAGAW, "00 1f 00 00 00 00 00 00"),
		G(VTD_CAP_SAGAW_3, "00 02 00 00 00 00 00 00"),
		G(VTD_CAP_SAGAW_4, "00 04 00 00 00 00 00 00"),
		G(VTD_CAP_SAGAW_5, "00 08 00 00 00 00 00 00"),
		G(VTD_CAP_MGAW, "00 00 3f 00 00 00 00 00"),
		G(VTD_CAP_ZLR, "00 00 40 00 00 00 00 00"),
		G(VTD_CAP_FRO, "00 00 00 ff 03 00 00 00"),
		G(VTD_CAP_SSLPS, "00 00 00 00 3c 00 00 00"),
		G(VTD_CAP_SSLPS_2M, "00 00 00 00 04 00 00 00"),
		G(VTD_CAP_SSLPS_1G, "00 00 00 00 08 00 00 00"),
		G(VTD_CAP_PSI, "00 00 00 00 80 00 00 00"),
		G(VTD_CAP_NFR, "00 00 00 00 00 ff 00 00"),
		G(VTD_CAP_MAMV, "00 00 00 00 00 00 3f 00"),
		G(VTD_CAP_DWD, "00 00 00 00 00 00 40 00"),
		G(VTD_CAP_DRD, "00 00 00 00 00 00 80 00"),
		G(VTD_CAP_FS1GP, "00 00 00 00 00 00 00 01"),
		G(VTD_CAP_PI, "00 00 00 00 00 00 00 08"),
		G(VTD_CAP_FS5LP, "00 00 00 00 00 00 00 10"),
		G(VTD_CAP_ECMDS, "00 00 00 00 00 00 00 20"),
		G(VTD_CAP_ESIRTPS, "00 00 00 00 00 00 00 40"),
		G(VTD_CAP_ESRTPS, "00 00 00 00 00 00 00 80"),

		G(VTD_ECAP_C, "01 00 00 00 00 00 00 00"),
		G(VTD_ECAP_QI, "02 00 00 00 00 00 00 00"),
		G(VTD_ECAP_DT, "04 00 00 00 00 00 00 00"),
		G(VTD_ECAP_IR, "08 00 00 00 00 00 00 00"),
		G(VTD_ECAP_EIM, "10 00 00 00 00 00 00 00"),
		G(VTD_ECAP_PT, "40 00 00 00 00 00 00 00"),
		G(VTD_ECAP_SC, "80 00 00 00 00 00 00 00"),
		G(VTD_ECAP_IRO, "00 ff 03 00 00 00 00 00"),
		G(VTD_ECAP_MHMV, "00 00 f0 00 00 00 00 00"),
		G(VTD_ECAP_MTS, "00 00 00 02 00 00 00 00"),
		G(VTD_ECAP_NEST, "00 00 00 04 00 00 00 00"),
		G(VTD_ECAP_PRS, "00 00 00 20 00 00 00 00"),
		G(VTD_ECAP_ERS, "00 00 00 40 00 00 00 00"),
		G(VTD_ECAP_SRS, "00 00 00 80 00 00 00 00"),
		G(VTD_ECAP_NWFS, "00 00 00 00 02 00 00 00"),
		G(VTD_ECAP_EAFS, "00 00 00 00 04 00 00 00"),
		G(VTD_ECAP_PSS, "00 00 00 00 f8 00 00 00"),
		G(VTD_ECAP_PASID, "00 00 00 00 00 01 00 00"),
		G(VTD_ECAP_DIT, "00 00 00 00 00 02 00 00"),
		G(VTD_ECAP_PDS, "00 00 00 00 00 04 00 00"),
		G(VTD_ECAP_SMTS, "00 00 00 00 00 08 00 00"),
		G(VTD_ECAP_VCS, "00 00 00 00 00 10 00 00"),
		G(VTD_ECAP_SSADS, "00 00 00 00 00 20 00 00"),
		G(VTD_ECAP_SSTS, "00 00 00 00 00 40 00 00"),
		G(VTD_ECAP_FSTS, "00 00 00 00 00 80 00 00"),
		G(VTD_ECAP_SMPWC, "00 00 00 00 00 00 01 00"),
		G(VTD_ECAP_RPS, "00 00 00 00 00 00 02 00"),
		G(VTD_ECAP_PMS, "00 00 00 00 00 00 08 00"),
		G(VTD_ECAP_ADMS, "00 00 00 00 00 00 10 00"),
		G(VTD_ECAP_RPRIVS, "00 00 00 00 00 00 20 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void command_status_and_root(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_GCMD_TE, "00 00 00 80"),
		G(VTD_GCMD_SRTP, "00 00 00 40"),
		G(VTD_GCMD_SFL, "00 00 00 20"),
		G(VTD_GCMD_EAFL, "00 00 00 10"),
		G(VTD_GCMD_WBF, "00 00 00 08"),
		G(VTD_GCMD_QIE, "00 00 00 04"),
		G(VTD_GCMD_IRE, "00 00 00 02"),
		G(VTD_GCMD_SIRTP, "00 00 00 01"),
		G(VTD_GCMD_CFI, "00 00 80 00"),
		G(VTD_GSTS_TES, "00 00 00 80"),
		G(VTD_GSTS_RTPS, "00 00 00 40"),
		G(VTD_GSTS_WBFS, "00 00 00 08"),
		G(VTD_GSTS_QIES, "00 00 00 04"),
		G(VTD_GSTS_IRES, "00 00 00 02"),
		G(VTD_GSTS_IRTPS, "00 00 00 01"),
		G(VTD_GSTS_CFIS, "00 00 80 00"),

		G(VTD_RTADDR_TTM, "00 0c 00 00 00 00 00 00"),
		G(VTD_RTADDR_RTA, "00 f0 ff ff ff ff ff ff"),
	};
	static const struct golden_number n[] = {
		N(VTD_TTM_LEGACY, 0), N(VTD_TTM_SCALABLE, 1), N(VTD_TTM_RESERVED, 2), N(VTD_TTM_ABORT, 3),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
}

static void register_invalidation(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_CCMD_DID, "ff ff 00 00 00 00 00 00"),
		G(VTD_CCMD_SID, "00 00 ff ff 00 00 00 00"),
		G(VTD_CCMD_FM, "00 00 00 00 03 00 00 00"),
		G(VTD_CCMD_CAIG, "00 00 00 00 00 00 00 18"),
		G(VTD_CCMD_CIRG, "00 00 00 00 00 00 00 60"),
		G(VTD_CCMD_ICC, "00 00 00 00 00 00 00 80"),
		G(VTD_IOTLB_DID, "00 00 00 00 ff ff 00 00"),
		G(VTD_IOTLB_DW, "00 00 00 00 00 00 01 00"),
		G(VTD_IOTLB_DR, "00 00 00 00 00 00 02 00"),
		G(VTD_IOTLB_IAIG, "00 00 00 00 00 00 00 06"),
		G(VTD_IOTLB_IIRG, "00 00 00 00 00 00 00 30"),
		G(VTD_IOTLB_IVT, "00 00 00 00 00 00 00 80"),
		G(VTD_IVA_AM, "3f 00 00 00 00 00 00 00"),
		G(VTD_IVA_IH, "40 00 00 00 00 00 00 00"),
		G(VTD_IVA_ADDR, "00 f0 ff ff ff ff ff ff"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void faults_and_interrupts(void **state)
{
	static const struct golden_row r[] = {
		G(VTD_FSTS_PFO, "01 00 00 00"),
		G(VTD_FSTS_PPF, "02 00 00 00"),
		G(VTD_FSTS_IQE, "10 00 00 00"),
		G(VTD_FSTS_ICE, "20 00 00 00"),
		G(VTD_FSTS_ITE, "40 00 00 00"),
		G(VTD_FSTS_FRI, "00 ff 00 00"),
		G(VTD_ECTL_IM, "00 00 00 80"),
		G(VTD_ECTL_IP, "00 00 00 40"),
		G(VTD_EADDR_MA, "fc ff ff ff"),
		G(VTD_EDATA_IMD, "ff ff 00 00"),
		G(VTD_PMEN_EPM, "00 00 00 80"),
		G(VTD_PMEN_PRS, "01 00 00 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void queues(void **state)
{
	static const struct golden_row r[] = {
		/* bits 18:4; 256-bit descriptors leave bit 4 zero */
		G(VTD_IQH_QH, "f0 ff 07 00 00 00 00 00"),
		G(VTD_IQT_QT, "f0 ff 07 00 00 00 00 00"),
		G(VTD_IQA_QS, "07 00 00 00 00 00 00 00"),
		G(VTD_IQA_DW, "00 08 00 00 00 00 00 00"),
		G(VTD_IQA_IQA, "00 f0 ff ff ff ff ff ff"),
		G(VTD_ICS_IWC, "01 00 00 00"),
		G(VTD_IQER_IQEI, "0f 00 00 00 00 00 00 00"),
		G(VTD_IQER_ITESID, "00 00 00 00 ff ff 00 00"),
		G(VTD_IQER_ICESID, "00 00 00 00 00 00 ff ff"),
		G(VTD_IRTA_S, "0f 00 00 00 00 00 00 00"),
		G(VTD_IRTA_EIME, "00 08 00 00 00 00 00 00"),
		G(VTD_IRTA_IRTA, "00 f0 ff ff ff ff ff ff"),
		G(VTD_PQH_PQH, "e0 ff 07 00 00 00 00 00"),
		G(VTD_PQT_PQT, "e0 ff 07 00 00 00 00 00"),
		G(VTD_PQA_PQS, "07 00 00 00 00 00 00 00"),
		G(VTD_PQA_PQA, "00 f0 ff ff ff ff ff ff"),
		G(VTD_PRS_PPR, "01 00 00 00"),
		G(VTD_PRS_PRO, "02 00 00 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets),
		cmocka_unit_test(version_and_capabilities),
		cmocka_unit_test(command_status_and_root),
		cmocka_unit_test(register_invalidation),
		cmocka_unit_test(faults_and_interrupts),
		cmocka_unit_test(queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
