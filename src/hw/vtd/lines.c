/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which reads of the unit snoop the processor's caches (11.4.3: C, SMPWC; 9.6: PWSNP), and what the others see.
 *
 *   C       root, context, PASID directory and table entries, interrupt remapping table; legacy mode's second-stage tables
 *   SMPWC   tables behind a PASID entry: together with the entry's PWSNP
 *   always  invalidation queue, status writes, page request queue: coherent on every unit
 */
#include "hw/vtd/model.h"

void vtd_set_lag(struct hw_iommu *hw, struct mem_lag *lag)
{
	struct vtd *v = to_vtd(hw);

	v->lag = lag;
	v->cfg_lag = v->ecap & VTD_ECAP_C ? NULL : lag;
}

void vtd_written_back(struct hw_iommu *hw, hpa_t pa, size_t len)
{
	struct vtd *v = to_vtd(hw);

	if (v->lag)
		mem_lag_written_back(v->lag, pa, len);
}
