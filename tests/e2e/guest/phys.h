/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory whose physical address is known: pages of one huge page, so that nothing moves them. */
#ifndef NB_GUEST_PHYS_H
#define NB_GUEST_PHYS_H

#include <stdint.h>

#define PHYS_PAGE 4096u

struct phys {
	void *va;
	uint64_t pa;
};

struct phys phys_alloc(void); /* one zeroed page */
void *phys_va(uint64_t pa);   /* of such a page */
volatile void *phys_mmio(uint64_t pa, uint64_t size);

#endif
