/* SPDX-License-Identifier: BSD-3-Clause */
/* The DMAR table, chapter 8: every constant from the manual's tables. A whole table is read by tests/cli/test_acpi.py. */
#include "golden.h"

#include "spec/vtd/dmar.h"

static void header(void **state)
{
	static const struct golden_number n[] = {
		N(VTD_DMAR_SIGNATURE, 0),	N(VTD_DMAR_LENGTH, 4),	   N(VTD_DMAR_REVISION, 8),
		N(VTD_DMAR_CHECKSUM, 9),	N(VTD_DMAR_OEMID, 10),	   N(VTD_DMAR_OEM_TABLE_ID, 16),
		N(VTD_DMAR_OEM_REVISION, 24),	N(VTD_DMAR_CREATOR_ID, 28), N(VTD_DMAR_CREATOR_REVISION, 32),
		N(VTD_DMAR_HAW, 36),		N(VTD_DMAR_FLAGS, 37),	   N(VTD_DMAR_SIZE, 48),
	};
	static const struct golden_row r[] = {
		G(VTD_DMAR_INTR_REMAP, "01 00 00 00"),
		G(VTD_DMAR_X2APIC_OPT_OUT, "02 00 00 00"),
		G(VTD_DMAR_OPT_IN, "04 00 00 00"),
	};

	(void)state;
	golden_numbers(n, ARRAY_SIZE(n));
	golden_rows(r, ARRAY_SIZE(r));
}

static void structures(void **state)
{
	static const struct golden_number n[] = {
		N(VTD_DMAR_DRHD, 0),	   N(VTD_DMAR_RMRR, 1),	     N(VTD_DMAR_ATSR, 2),     N(VTD_DMAR_RHSA, 3),
		N(VTD_DMAR_ANDD, 4),	   N(VTD_DMAR_SATC, 5),	     N(VTD_DRHD_SIZE, 16),    N(VTD_RMRR_SIZE, 24),
		N(VTD_ATSR_SIZE, 8),	   N(VTD_SATC_SIZE, 8),	     N(VTD_SCOPE_ENDPOINT, 1), N(VTD_SCOPE_BRIDGE, 2),
		N(VTD_SCOPE_IOAPIC, 3),	   N(VTD_SCOPE_HPET, 4),     N(VTD_SCOPE_NAMESPACE, 5), N(VTD_SCOPE_SIZE, 6),
		N(VTD_SCOPE_HOP, 2),
	};
	static const struct golden_row r[] = {
		G(VTD_DRHD_INCLUDE_PCI_ALL, "01 00 00 00"),
		G(VTD_ATSR_ALL_PORTS, "01 00 00 00"),
		G(VTD_SATC_ATC_REQUIRED, "01 00 00 00"),
	};

	(void)state;
	golden_numbers(n, ARRAY_SIZE(n));
	golden_rows(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),
		cmocka_unit_test(structures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
