/* SPDX-License-Identifier: BSD-3-Clause */
/* The IORT, DEN 0049 E.e, chapter 3: every constant from the document's tables. A whole table is read by tests/cli/test_acpi_iort.py. */
#include "golden.h"

#include "spec/smmuv3/iort.h"

static void headers(void **state)
{
	static const struct golden_number n[] = {
		N(SMMU_IORT_NNODES, 36),     N(SMMU_IORT_NODES, 40),	     N(SMMU_IORT_SIZE, 48),
		N(SMMU_IORT_REVISION, 6),    N(SMMU_IORT_NODE_TYPE, 0),	     N(SMMU_IORT_NODE_LENGTH, 1),
		N(SMMU_IORT_NODE_REVISION, 3), N(SMMU_IORT_NODE_ID, 4),	     N(SMMU_IORT_NODE_NMAPS, 8),
		N(SMMU_IORT_NODE_MAPS, 12),  N(SMMU_IORT_NODE_SIZE, 16),     N(SMMU_IORT_ITS, 0),
		N(SMMU_IORT_NAMED, 1),	     N(SMMU_IORT_ROOT_COMPLEX, 2),   N(SMMU_IORT_SMMUV3, 4),
		N(SMMU_IORT_PMCG, 5),	     N(SMMU_IORT_RMR, 6),	     N(SMMU_IORT_ITS_REVISION, 1),
		N(SMMU_IORT_ROOT_COMPLEX_REVISION, 4), N(SMMU_IORT_SMMUV3_REVISION, 5), N(SMMU_IORT_RMR_REVISION, 3),
		N(SMMU_IORT_MAP_SIZE, 20),
	};
	static const struct golden_row r[] = {
		G(SMMU_IORT_MAP_SINGLE, "01 00 00 00"),
	};

	(void)state;
	golden_numbers(n, ARRAY_SIZE(n));
	golden_rows(r, ARRAY_SIZE(r));
}

static void nodes(void **state)
{
	static const struct golden_number n[] = {
		N(SMMU_IORT_ITS_SIZE, 20),	  N(SMMU_IORT_ROOT_COMPLEX_SIZE, 40), N(SMMU_IORT_SMMUV3_SIZE, 68),
		N(SMMU_IORT_SMMUV3_GENERIC, 0),	  N(SMMU_IORT_RMR_SIZE, 28),	      N(SMMU_IORT_RMR_ATTR_NORMAL_WB, 5),
		N(SMMU_IORT_RMR_RANGE_SIZE, 20),  N(SMMU_IORT_RMR_ALIGN, 65536),
	};
	static const struct golden_row r[] = {
		G(SMMU_IORT_COHERENT, "01 00 00 00"),
		G(SMMU_IORT_MEM_CPM, "01 00 00 00"),
		G(SMMU_IORT_MEM_DACS, "02 00 00 00"),
		G(SMMU_IORT_MEM_CANWBS, "04 00 00 00"),
		G(SMMU_IORT_ATS_SUPPORTED, "01 00 00 00"),
		G(SMMU_IORT_PRI_SUPPORTED, "02 00 00 00"),
		G(SMMU_IORT_PASID_FORWARD, "04 00 00 00"),
		G(SMMU_IORT_PASID_WIDTH, "1f 00 00 00"),
		G(SMMU_IORT_SMMUV3_COHACC, "01 00 00 00"),
		G(SMMU_IORT_SMMUV3_HTTU, "06 00 00 00"),
		G(SMMU_IORT_SMMUV3_PXM, "08 00 00 00"),
		G(SMMU_IORT_SMMUV3_DEVICEID, "10 00 00 00"),
		G(SMMU_IORT_RMR_REMAP, "01 00 00 00"),
		G(SMMU_IORT_RMR_PRIVILEGED, "02 00 00 00"),
		G(SMMU_IORT_RMR_ATTR, "fc 03 00 00"),
	};

	(void)state;
	golden_numbers(n, ARRAY_SIZE(n));
	golden_rows(r, ARRAY_SIZE(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
