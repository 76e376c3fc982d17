/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d interrupt remapping, read a second time: table entries (9.9, 9.10), the remappable and the compatibility
 * message (5.1.2), revision 4.x.
 */
#include "golden.h"

#include "spec/vtd/faults.h"
#include "spec/vtd/irte.h"

static void entries(void **state)
{
	static const struct golden_row r[] = {
		/* remapped: P 0, FPD 1, DM 2, RH 3, TM 4, DLM 7:5, AVAIL 11:8, IM 15, V 23:16, DST 63:32 */
		G(VTD_IRTE_0_P, "01 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_FPD, "02 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_DM, "04 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_RH, "08 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_TM, "10 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_DLM, "e0 00 00 00 00 00 00 00"),
		G(VTD_IRTE_0_AVAIL, "00 0f 00 00 00 00 00 00"),
		G(VTD_IRTE_0_IM, "00 80 00 00 00 00 00 00"),
		G(VTD_IRTE_0_V, "00 00 ff 00 00 00 00 00"),
		G(VTD_IRTE_0_DST, "00 00 00 00 ff ff ff ff"),
		G(VTD_IRTE_0_DST8, "00 00 00 00 00 ff 00 00"),
		/* SID 79:64, SQ 81:80, SVT 83:82 */
		G(VTD_IRTE_1_SID, "ff ff 00 00 00 00 00 00"),
		G(VTD_IRTE_1_SQ, "00 00 03 00 00 00 00 00"),
		G(VTD_IRTE_1_SVT, "00 00 0c 00 00 00 00 00"),
		/* posted: URG 14, PDA-L 63:38, PDA-H 127:96 */
		G(VTD_IRTE_0_URG, "00 40 00 00 00 00 00 00"),
		G(VTD_IRTE_0_PDA_L, "00 00 00 00 c0 ff ff ff"),
		G(VTD_IRTE_1_PDA_H, "00 00 00 00 ff ff ff ff"),
	};
	static const struct golden_number n[] = {
		N(VTD_SVT_NONE, 0), N(VTD_SVT_SID, 1), N(VTD_SVT_BUS, 2),
		/* 01b: bit 2 of the function is not compared; 10b: bits 2:1; 11b: bits 2:0 */
		N(VTD_SQ_ALL, 0), N(VTD_SQ_NOT_2, 1), N(VTD_SQ_NOT_2_1, 2), N(VTD_SQ_NOT_2_0, 3),
	};
	/* vector 0x41, lowest priority, logical with the hint, x2APIC cluster 3 bit 2; from 02:00.0 exactly */
	struct vtd_irte e = {{le64(VTD_IRTE_0_P | VTD_IRTE_0_DM | VTD_IRTE_0_RH | FIELD_C(VTD_IRTE_0_DLM, 1) |
				   FIELD_C(VTD_IRTE_0_V, 0x41) | FIELD_C(VTD_IRTE_0_DST, 0x30004)),
			      le64(FIELD_C(VTD_IRTE_1_SID, 0x200) | FIELD_C(VTD_IRTE_1_SVT, VTD_SVT_SID))}};
	/* posted, urgent, vector 0xe1, descriptor at 0x12_3456_7840, from bus 5 to 7 */
	struct vtd_irte p = {{le64(VTD_IRTE_0_P | VTD_IRTE_0_IM | VTD_IRTE_0_URG | FIELD_C(VTD_IRTE_0_V, 0xe1) |
				   FIELD_C(VTD_IRTE_0_PDA_L, 0x34567840 >> 6)),
			      le64(FIELD_C(VTD_IRTE_1_SID, 0x507) | FIELD_C(VTD_IRTE_1_SVT, VTD_SVT_BUS) |
				   FIELD_C(VTD_IRTE_1_PDA_H, 0x12))}};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
	golden_dump(&e, sizeof(e), "2d 00 41 00 04 00 03 00 00 02 04 00 00 00 00 00");
	golden_dump(&p, sizeof(p), "01 c0 e1 00 40 78 56 34 07 05 08 00 12 00 00 00");
}

static void messages(void **state)
{
	static const struct golden_row r[] = {
		/* 5.1.2.2: address 31:20 0FEEh, handle 14:0 at 19:5, format 4, SHV 3, handle bit 15 at 2 */
		G(VTD_MSI_ADDR_HANDLE, "e0 ff 0f 00"),
		G(VTD_MSI_ADDR_FORMAT, "10 00 00 00"),
		G(VTD_MSI_ADDR_SHV, "08 00 00 00"),
		G(VTD_MSI_ADDR_HANDLE15, "04 00 00 00"),
		G(VTD_MSI_DATA_SUBHANDLE, "ff ff 00 00"),
		G(VTD_MSI_DATA_RSVD, "00 00 ff ff"),
		/* 5.1.2.1 */
		G(VTD_CMSI_ADDR_DEST, "00 f0 0f 00"),
		G(VTD_CMSI_ADDR_RH, "08 00 00 00"),
		G(VTD_CMSI_ADDR_DM, "04 00 00 00"),
		G(VTD_CMSI_DATA_V, "ff 00 00 00"),
		G(VTD_CMSI_DATA_DLM, "00 07 00 00"),
		G(VTD_CMSI_DATA_TM, "00 80 00 00"),
		/* 11.4.7.6 for interrupt requests: the index in 63:48 */
		G(VTD_FRCD_0_II, "00 00 00 00 00 00 ff ff"),
	};
	static const struct golden_number n[] = {
		N(VTD_MSI_FIRST, 0xfee00000), N(VTD_MSI_LAST, 0xfeefffff),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
	golden_numbers(n, ARRAY_SIZE(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
