/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tegra241 CMDQ-V, read a second time: offsets and fields as Linux 7.2's driver reads and writes them.
 */
#include "golden.h"

#include "spec/smmuv3/cmdqv.h"

static void fields(void **state)
{
	static const struct golden_row r[] = {
		G(CMDQV_CONFIG_EN, "01 00 00 00"),
		G(CMDQV_PARAM_VER, "0f 00 00 00"),
		G(CMDQV_PARAM_NUM_VCMDQ_LOG2, "f0 00 00 00"),
		G(CMDQV_PARAM_NUM_VINTF_LOG2, "00 0f 00 00"),
		G(CMDQV_PARAM_NUM_SID_PER_VM_LOG2, "00 f0 00 00"),
		G(CMDQV_STATUS_ENABLED, "01 00 00 00"),
		G(CMDQV_CMDQ_ALLOC_ALLOCATED, "01 00 00 00"),
		G(CMDQV_CMDQ_ALLOC_LVCMDQ, "fe 00 00 00"),
		G(CMDQV_CMDQ_ALLOC_VINTF, "00 80 1f 00"),
		G(CMDQV_VINTF_CONFIG_EN, "01 00 00 00"),
		G(CMDQV_VINTF_CONFIG_VMID, "fe ff 01 00"),
		G(CMDQV_VINTF_CONFIG_HYP_OWN, "00 00 02 00"),
		G(CMDQV_VINTF_STATUS_ENABLED, "01 00 00 00"),
		G(CMDQV_VINTF_STATUS_STATE, "0e 00 00 00"),
		G(CMDQV_SID_MATCH_EN, "01 00 00 00"),
		G(CMDQV_SID_MATCH_VSID, "fe ff 1f 00"),
		G(CMDQV_VCMDQ_CONFIG_EN, "01 00 00 00"),
		G(CMDQV_VCMDQ_STATUS_EN_OK, "01 00 00 00"),
		G(CMDQV_VCMDQ_GERROR_CMDQ_ERR, "01 00 00 00"),
		G(CMDQV_VCMDQ_BASE_LOG2SIZE, "1f 00 00 00 00 00 00 00"),
		G(CMDQV_VCMDQ_BASE_ADDR, "e0 ff ff ff ff ff 00 00"),
	};

	(void)state;
	golden_rows(r, ARRAY_SIZE(r));
}

static void numbers(void **state)
{
	static const struct golden_number r[] = {
		N(CMDQV_PAGE_SIZE, 65536),
		N(CMDQV_VCMDQ_PAGE0, 0x10000),
		N(CMDQV_VCMDQ_PAGE1, 0x20000),
		N(CMDQV_VINTF_PAGES, 0x30000),
		N(CMDQV_VINTF_STEP, 131072),
		N(CMDQV_REG_CONFIG, 0x000),
		N(CMDQV_REG_PARAM, 0x004),
		N(CMDQV_REG_STATUS, 0x008),
		N(CMDQV_REG_VINTF_ERR_MAP, 0x014),
		N(CMDQV_REG_VINTF_INT_MASK, 0x01c),
		N(CMDQV_REG_CMDQ_ERR_MAP, 0x024),
		N(CMDQV_REG_CMDQ_ALLOC, 0x200),
		N(CMDQV_REG_VINTF, 0x1000),
		N(CMDQV_VINTF_REGS, 0x100),
		N(CMDQV_VINTF_CONFIG, 0x00),
		N(CMDQV_VINTF_STATUS, 0x04),
		N(CMDQV_VINTF_SID_MATCH, 0x40),
		N(CMDQV_VINTF_SID_REPLACE, 0x80),
		N(CMDQV_VINTF_LVCMDQ_ERR_MAP, 0xc0),
		N(CMDQV_VCMDQ_STEP, 128),
		N(CMDQV_VCMDQ_CONS, 0x00),
		N(CMDQV_VCMDQ_PROD, 0x04),
		N(CMDQV_VCMDQ_CONFIG, 0x08),
		N(CMDQV_VCMDQ_STATUS, 0x0c),
		N(CMDQV_VCMDQ_GERROR, 0x10),
		N(CMDQV_VCMDQ_GERRORN, 0x14),
		N(CMDQV_VCMDQ_BASE, 0x00),
		N(CMDQV_VCMDQ_CONS_INDX_BASE, 0x08),
	};

	(void)state;
	golden_numbers(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
