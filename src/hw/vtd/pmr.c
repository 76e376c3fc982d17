/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Protected memory regions (11.4.8).
 *
 * While EPM is set, a unit of major version 2 or higher refuses all requests to the two regions, by the address that they
 * have in the end: with translation off or on, remapped, passed through or translated. Translation requests access nothing and are
 * answered. The unit's own accesses are never blocked. Nothing is recorded or reported.
 *
 * The regions are latched when EPM is set: software must not change them meanwhile. Base and limit have 2 MiB granularity, which
 * software finds out by writing ones.
 */
#include "hw/vtd/model.h"

#include <string.h>

enum { LOW_FIRST, LOW_LAST, HIGH_FIRST, HIGH_LAST };

static void region(struct vtd *v, unsigned int i, bool exists, uint64_t base, uint64_t limit)
{
	atomic_store_explicit(&v->pmr[i], exists ? base : 1, memory_order_relaxed);
	atomic_store_explicit(&v->pmr[i + 1], exists ? limit | nb_low_mask(VTD_PMR_LG2) : 0, memory_order_relaxed);
}

void vtd_pmr_update(struct vtd *v)
{
	uint32_t mode = atomic_load_explicit(&v->mode, memory_order_relaxed);
	bool on = v->pmen & VTD_PMEN_EPM;

	if (on == ((mode & VTD_MODE_PMR) != 0))
		return;
	if (on) {
		region(v, LOW_FIRST, v->caps.pmr_low, v->plmbase, v->plmlimit);
		region(v, HIGH_FIRST, v->caps.pmr_high, v->phmbase, v->phmlimit);
	}
	atomic_store_explicit(&v->mode, mode ^ VTD_MODE_PMR, memory_order_release); /* pairs with the readers of mode */
	nb_rcu_synchronize(); /* requests in flight are drained before PRS says so */
	v->pmen = (v->pmen & ~(uint32_t)VTD_PMEN_PRS) | (on ? (uint32_t)VTD_PMEN_PRS : 0);
}

bool vtd_pmr_hit(struct vtd *v, uint64_t pa)
{
	unsigned int i;

	for (i = LOW_FIRST; i <= HIGH_FIRST; i += HIGH_FIRST - LOW_FIRST)
		if (pa >= atomic_load_explicit(&v->pmr[i], memory_order_relaxed) &&
		    pa <= atomic_load_explicit(&v->pmr[i + 1], memory_order_relaxed))
			return true;
	return false;
}

void vtd_pmr_block(struct hw_result *res)
{
	res->kind = HW_FAULT;
	res->lg2 = 0;
	res->perm = 0;
	res->pa = hpa(0);
	memset(&res->fault, 0, sizeof(res->fault));
}
