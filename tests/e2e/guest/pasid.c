/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pasid: requests of one device with and without a PASID go through different first-stage tables. The Debian
 * kernel has no interface for that, so this program drives QEMU's VT-d itself.
 */

#include <stdio.h>

#include "engine.h"
#include "guest.h"
#include "phys.h"
#include "vtd.h"

#define IOVA  UINT64_C(0x12345678000)
#define PASID 5u

static uint8_t devfn_of(const char *pci)
{
	unsigned int device, function;

	if (sscanf(pci, "0000:00:%x.%x", &device, &function) != 2)
		fail("%s is not on the root bus", pci);
	return (uint8_t)(device << 3 | function);
}

static void fill(struct engine *e, uint32_t pasid, uint64_t pattern, uint32_t error, const char *what)
{
	engine_write32(e, DMATEST_PASID, pasid ? pasid | DMATEST_PASID_EN : 0);
	engine_write64(e, DMATEST_PATTERN, pattern);
	engine_expect(e, error, what, DMATEST_CMD_FILL, 0, IOVA, PHYS_PAGE);
	report(what, "ok");
}

static void expect_page(const char *what, struct phys page, uint64_t value)
{
	const uint64_t *words = page.va;

	for (size_t i = 0; i < PHYS_PAGE / sizeof(*words); i++) {
		if (words[i] != value)
			fail("%s: the page holds %#llx instead of %#llx", what, (unsigned long long)words[i],
			     (unsigned long long)value);
	}
}

void scenario_pasid(void)
{
	struct vtd_table plain, tagged;
	struct phys a = phys_alloc(), b = phys_alloc(), c = phys_alloc();
	struct engine e;
	char pci[16];

	engine_find(pci, sizeof(pci));
	engine_open(&e, pci);
	vtd_init(0, devfn_of(pci));
	fill(&e, 0, 1, DMATEST_ERROR_DST_DMA, "no_entry_faults");

	plain = vtd_table_new();
	tagged = vtd_table_new();
	vtd_map(plain, IOVA, a.pa);
	vtd_map(tagged, IOVA, b.pa);
	vtd_set_pasid(0, plain);
	fill(&e, PASID, 2, DMATEST_ERROR_DST_DMA, "pasid_before_attach_faults");
	vtd_set_pasid(PASID, tagged);

	fill(&e, 0, 3, DMATEST_ERROR_NONE, "without_pasid");
	fill(&e, PASID, 4, DMATEST_ERROR_NONE, "with_pasid");
	expect_page("without_pasid", a, 3);
	expect_page("with_pasid", b, 4);

	/* Another page for the tagged requests only, then none. */
	vtd_map(tagged, IOVA, c.pa);
	vtd_invalidate_page(PASID, IOVA);
	fill(&e, PASID, 5, DMATEST_ERROR_NONE, "pasid_remapped");
	expect_page("pasid_remapped", c, 5);
	expect_page("pasid_remapped", b, 4);
	vtd_map(tagged, IOVA, 0);
	vtd_invalidate_page(PASID, IOVA);
	fill(&e, PASID, 6, DMATEST_ERROR_DST_DMA, "pasid_unmapped_faults");
	fill(&e, 0, 7, DMATEST_ERROR_NONE, "without_pasid_still_good");
	expect_page("without_pasid_still_good", a, 7);

	vtd_map(tagged, IOVA, b.pa);
	vtd_invalidate_page(PASID, IOVA); /* caching mode: absent entries are invalidated, too */
	fill(&e, PASID, 8, DMATEST_ERROR_NONE, "pasid_mapped_again");
	vtd_clear_pasid(PASID);
	fill(&e, PASID, 9, DMATEST_ERROR_DST_DMA, "pasid_detached_faults");
	expect_page("pasid_detached_faults", b, 8);
	fill(&e, 0, 10, DMATEST_ERROR_NONE, "without_pasid_at_end");
	expect_page("without_pasid_at_end", a, 10);
}
