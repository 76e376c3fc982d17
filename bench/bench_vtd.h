/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VT-d unit with hand-made nested tables in process memory, driven through its registers: what bench_hw measures on.
 */
#ifndef NB_BENCH_VTD_H
#define NB_BENCH_VTD_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/hw.h"
#include "mem/mem.h"

#define BENCH_RID   0x0100
#define BENCH_DID   5

struct bench_vtd {
	struct mem mem;
	struct mem_pool *pool;
	struct hw_iommu *hw;
	void **pages; /* everything taken from the pool, to give it back */
	unsigned int npages;
	uint64_t *fs_root, *ss_root;
	uint64_t next_gpa;
	uint64_t *ring;
	uint32_t *status;
	unsigned int tail;
};

/* Nested, 4 levels on 4, for RID BENCH_RID without PASID. False: out of memory. */
bool bench_vtd_up(struct bench_vtd *v);
void bench_vtd_down(struct bench_vtd *v);
/* va -> a guest page -> memory, 4 KiB each. Accessed and dirty bits are set already. False: out of memory. */
bool bench_vtd_map(struct bench_vtd *v, uint64_t va, uint64_t gpa_v);
/* n descriptors (two words each), then a wait; returns when the wait has completed. n is at most 200. */
void bench_vtd_queue(struct bench_vtd *v, const uint64_t (*desc)[2], unsigned int n);

#endif
