/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 commands, page requests and events, read a second time: IHI 0070, issue G.b, chapters 4, 7.3 and 8. The figures are not in the
 * text we have; the places that software uses were compared with those of the kernel's driver (SMMU_EVT_1_ATS_* have no such second source).
 */
#include "golden.h"

#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"

static void cmds_fields(void **state)
{
	static const struct golden_row r[] = {
		G(SMMU_CMD_0_OP, "ff 00 00 00 00 00 00 00"),
		G(SMMU_CMD_0_SSEC, "00 04 00 00 00 00 00 00"),
		G(SMMU_CMD_0_SSV, "00 08 00 00 00 00 00 00"),
		G(SMMU_CMD_0_SSID, "00 f0 ff ff 00 00 00 00"),
		G(SMMU_CMD_0_SID, "00 00 00 00 ff ff ff ff"),
		G(SMMU_CMD_PREFETCH_1_SIZE, "1f 00 00 00 00 00 00 00"),
		G(SMMU_CMD_PREFETCH_1_STRIDE, "e0 03 00 00 00 00 00 00"),
		G(SMMU_CMD_PREFETCH_1_NS, "00 04 00 00 00 00 00 00"),
		G(SMMU_CMD_PREFETCH_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(SMMU_CMD_CFGI_1_LEAF, "01 00 00 00 00 00 00 00"),
		G(SMMU_CMD_CFGI_1_RANGE, "1f 00 00 00 00 00 00 00"),
		G(SMMU_CMD_VMS_0_VMID, "00 00 00 00 ff ff 00 00"),
		G(SMMU_CMD_TLBI_0_NUM, "00 f0 01 00 00 00 00 00"),
		G(SMMU_CMD_TLBI_0_SCALE, "00 00 f0 03 00 00 00 00"),
		G(SMMU_CMD_TLBI_0_VMID, "00 00 00 00 ff ff 00 00"),
		G(SMMU_CMD_TLBI_0_ASID, "00 00 00 00 00 00 ff ff"),
		G(SMMU_CMD_TLBI_1_LEAF, "01 00 00 00 00 00 00 00"),
		G(SMMU_CMD_TLBI_1_TTL128, "80 00 00 00 00 00 00 00"),
		G(SMMU_CMD_TLBI_1_TTL, "00 03 00 00 00 00 00 00"),
		G(SMMU_CMD_TLBI_1_TG, "00 0c 00 00 00 00 00 00"),
		G(SMMU_CMD_TLBI_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(SMMU_CMD_TLBI_1_IPA, "00 f0 ff ff ff ff ff 00"),
		G(SMMU_CMD_ATC_0_GLOBAL, "00 02 00 00 00 00 00 00"),
		G(SMMU_CMD_ATC_1_SIZE, "3f 00 00 00 00 00 00 00"),
		G(SMMU_CMD_ATC_1_ADDR, "00 f0 ff ff ff ff ff ff"),
		G(SMMU_CMD_PRI_1_PRGI, "ff 01 00 00 00 00 00 00"),
		G(SMMU_CMD_PRI_1_RESP, "00 30 00 00 00 00 00 00"),
		G(SMMU_CMD_RESUME_0_AC, "00 10 00 00 00 00 00 00"),
		G(SMMU_CMD_RESUME_0_AB, "00 20 00 00 00 00 00 00"),
		G(SMMU_CMD_RESUME_1_STAG, "ff ff 00 00 00 00 00 00"),
		G(SMMU_CMD_SYNC_0_CS, "00 30 00 00 00 00 00 00"),
		G(SMMU_CMD_SYNC_0_MSH, "00 00 c0 00 00 00 00 00"),
		G(SMMU_CMD_SYNC_0_MSIATTR, "00 00 00 0f 00 00 00 00"),
		G(SMMU_CMD_SYNC_0_MSIDATA, "00 00 00 00 ff ff ff ff"),
		G(SMMU_CMD_SYNC_1_MSIADDR, "fc ff ff ff ff ff ff 00"),
		G(SMMU_PRI_0_SID, "ff ff ff ff 00 00 00 00"),
		G(SMMU_PRI_0_SSID, "00 00 00 00 ff ff 0f 00"),
		G(SMMU_PRI_0_P, "00 00 00 00 00 00 00 04"),
		G(SMMU_PRI_0_X, "00 00 00 00 00 00 00 08"),
		G(SMMU_PRI_0_R, "00 00 00 00 00 00 00 10"),
		G(SMMU_PRI_0_W, "00 00 00 00 00 00 00 20"),
		G(SMMU_PRI_0_LAST, "00 00 00 00 00 00 00 40"),
		G(SMMU_PRI_0_SSV, "00 00 00 00 00 00 00 80"),
		G(SMMU_PRI_1_PRGI, "ff 01 00 00 00 00 00 00"),
		G(SMMU_PRI_1_ADDR, "00 f0 ff ff ff ff ff ff"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void cmds_numbers(void **state)
{
	static const struct golden_number r[] = {
		N(SMMU_CFGI_RANGE_ALL, 31),
		N(SMMU_TLBI_SCALE_MAX, 39),
		N(SMMU_ATC_SIZE_ALL, 52),
		N(SMMU_CMD_PREFETCH_CONFIG, 0x01),
		N(SMMU_CMD_PREFETCH_ADDR, 0x02),
		N(SMMU_CMD_CFGI_STE, 0x03),
		N(SMMU_CMD_CFGI_STE_RANGE, 0x04),
		N(SMMU_CMD_CFGI_CD, 0x05),
		N(SMMU_CMD_CFGI_CD_ALL, 0x06),
		N(SMMU_CMD_CFGI_VMS_PIDM, 0x07),
		N(SMMU_CMD_TLBI_NH_ALL, 0x10),
		N(SMMU_CMD_TLBI_NH_ASID, 0x11),
		N(SMMU_CMD_TLBI_NH_VA, 0x12),
		N(SMMU_CMD_TLBI_NH_VAA, 0x13),
		N(SMMU_CMD_TLBI_EL3_ALL, 0x18),
		N(SMMU_CMD_TLBI_EL3_VA, 0x1a),
		N(SMMU_CMD_TLBI_EL2_ALL, 0x20),
		N(SMMU_CMD_TLBI_EL2_ASID, 0x21),
		N(SMMU_CMD_TLBI_EL2_VA, 0x22),
		N(SMMU_CMD_TLBI_EL2_VAA, 0x23),
		N(SMMU_CMD_TLBI_S12_VMALL, 0x28),
		N(SMMU_CMD_TLBI_S2_IPA, 0x2a),
		N(SMMU_CMD_TLBI_NSNH_ALL, 0x30),
		N(SMMU_CMD_ATC_INV, 0x40),
		N(SMMU_CMD_PRI_RESP, 0x41),
		N(SMMU_CMD_RESUME, 0x44),
		N(SMMU_CMD_STALL_TERM, 0x45),
		N(SMMU_CMD_SYNC, 0x46),
		N(SMMU_TLBI_TG_NONE, 0),
		N(SMMU_TLBI_TG_4K, 1),
		N(SMMU_TLBI_TG_16K, 2),
		N(SMMU_TLBI_TG_64K, 3),
		N(SMMU_PRI_RESP_FAILURE, 0),
		N(SMMU_PRI_RESP_INVALID, 1),
		N(SMMU_PRI_RESP_SUCCESS, 2),
		N(SMMU_SYNC_NONE, 0),
		N(SMMU_SYNC_IRQ, 1),
		N(SMMU_SYNC_SEV, 2),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

static void events_fields(void **state)
{
	static const struct golden_row r[] = {
		G(SMMU_EVT_0_ID, "ff 00 00 00 00 00 00 00"),
		G(SMMU_EVT_0_SSV, "00 08 00 00 00 00 00 00"),
		G(SMMU_EVT_0_SSID, "00 f0 ff ff 00 00 00 00"),
		G(SMMU_EVT_0_SID, "00 00 00 00 ff ff ff ff"),
		G(SMMU_EVT_1_STAG, "ff ff 00 00 00 00 00 00"),
		G(SMMU_EVT_1_REASON, "ff ff 00 00 00 00 00 00"),
		G(SMMU_EVT_1_STALL, "00 00 00 80 00 00 00 00"),
		G(SMMU_EVT_1_PNU, "00 00 00 00 02 00 00 00"),
		G(SMMU_EVT_1_IND, "00 00 00 00 04 00 00 00"),
		G(SMMU_EVT_1_RNW, "00 00 00 00 08 00 00 00"),
		G(SMMU_EVT_1_NSIPA, "00 00 00 00 10 00 00 00"),
		G(SMMU_EVT_1_S2, "00 00 00 00 80 00 00 00"),
		G(SMMU_EVT_1_CLASS, "00 00 00 00 00 03 00 00"),
		G(SMMU_EVT_1_TTRNW, "00 00 00 00 00 10 00 00"),
		G(SMMU_EVT_1_ATS_P, "00 00 00 00 10 00 00 00"),
		G(SMMU_EVT_1_ATS_X, "00 00 00 00 20 00 00 00"),
		G(SMMU_EVT_1_ATS_W, "00 00 00 00 40 00 00 00"),
		G(SMMU_EVT_1_ATS_R, "00 00 00 00 80 00 00 00"),
		G(SMMU_EVT_1_SPAN, "00 00 00 00 00 f0 0f 00"),
		G(SMMU_EVT_2_ADDR, "ff ff ff ff ff ff ff ff"),
		G(SMMU_EVT_3_IPA, "00 f0 ff ff ff ff ff 00"),
		G(SMMU_EVT_3_FETCH, "f8 ff ff ff ff ff ff 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void events_numbers(void **state)
{
	static const struct golden_number r[] = {
		N(SMMU_EVT_UUT, 0x01),
		N(SMMU_EVT_BAD_STREAMID, 0x02),
		N(SMMU_EVT_STE_FETCH, 0x03),
		N(SMMU_EVT_BAD_STE, 0x04),
		N(SMMU_EVT_BAD_ATS_TREQ, 0x05),
		N(SMMU_EVT_STREAM_DISABLED, 0x06),
		N(SMMU_EVT_TRANSL_FORBIDDEN, 0x07),
		N(SMMU_EVT_BAD_SUBSTREAMID, 0x08),
		N(SMMU_EVT_CD_FETCH, 0x09),
		N(SMMU_EVT_BAD_CD, 0x0a),
		N(SMMU_EVT_WALK_EABT, 0x0b),
		N(SMMU_EVT_TRANSLATION, 0x10),
		N(SMMU_EVT_ADDR_SIZE, 0x11),
		N(SMMU_EVT_ACCESS, 0x12),
		N(SMMU_EVT_PERMISSION, 0x13),
		N(SMMU_EVT_TLB_CONFLICT, 0x20),
		N(SMMU_EVT_CFG_CONFLICT, 0x21),
		N(SMMU_EVT_PAGE_REQUEST, 0x24),
		N(SMMU_EVT_VMS_FETCH, 0x25),
		N(SMMU_CLASS_CD, 0),
		N(SMMU_CLASS_TT, 1),
		N(SMMU_CLASS_IN, 2),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmds_fields),
		cmocka_unit_test(cmds_numbers),
		cmocka_unit_test(events_fields),
		cmocka_unit_test(events_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
