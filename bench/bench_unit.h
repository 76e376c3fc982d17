/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A unit of some vendor with hand-made nested tables in process memory, driven through its registers: what bench_hw and
 * bench_ats measure on. Stage 1 and 2 have 4 levels and 4 KiB pages with either vendor, so that the rows compare.
 */
#ifndef NB_BENCH_UNIT_H
#define NB_BENCH_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/hw.h"
#include "mem/mem.h"

#define BENCH_RID   0x0100
#define BENCH_LOADS 24 /* of a walk from nothing: 5 for each level of stage 1, 4 for what comes out */
#define BENCH_INV_MAX 200

enum bench_inv {
	BENCH_INV_SPACE, /* everything of the address space but configuration; no address */
	BENCH_INV_LEAF,	 /* the page; tables of upper levels stay cached */
};

struct bench_unit;
struct bench_unit_ops {
	const char *suffix; /* of the names of rows */
	/* Tables and registers, nested, for BENCH_RID without PASID; pool and mem are there. False: out of memory. */
	bool (*up)(struct bench_unit *u);
	uint64_t s1_node, s1_leaf, s2_node, s2_leaf; /* an entry but for its address; accessed and dirty bits are set already */
	/* n commands, n at most BENCH_INV_MAX, then a wait; returns when the wait has completed. */
	void (*inv)(struct bench_unit *u, enum bench_inv what, const uint64_t *va, unsigned int n);
	/* Take page request prgi from the ring of requests, answer it, and wait. */
	void (*respond)(struct bench_unit *u, unsigned int prgi);
};
extern const struct bench_unit_ops bench_vtd, bench_smmuv3;

struct bench_unit {
	const struct bench_unit_ops *ops;
	struct mem mem;
	struct mem_pool *pool;
	struct hw_iommu *hw;
	struct {	/* everything taken from the pool, to give it back */
		void *p;
		unsigned int order;
	} *pages;
	unsigned int npages;
	uint64_t *s1_root, *s2_root;
	uint64_t next_ipa;
	uint64_t *ring, *pr_ring;
	uint32_t *status;
	uint32_t tail;
};

bool bench_unit_up(struct bench_unit *u, const struct bench_unit_ops *ops);
void bench_unit_down(struct bench_unit *u);
/* va -> a guest page -> memory, 4 KiB each. False: out of memory. */
bool bench_unit_map(struct bench_unit *u, uint64_t va, uint64_t ipa);

/* For ops->up(): zeroed pages, which live as long as the unit; null: out of memory. */
uint64_t *bench_unit_pages(struct bench_unit *u, unsigned int order);
/* A page that stage 1 refers to: its guest-physical address, or 0. */
uint64_t bench_unit_guest_page(struct bench_unit *u, uint64_t **p);

static inline uint64_t bench_pa(const void *p)
{
	return (uintptr_t)p; /* a process space: physical addresses are the process's */
}

/*
 * What all rows of hits use: BENCH_NPAGES mapped pages, and a stream of addresses in them, few enough to stay in the
 * first-level cache, so that they cost nothing themselves.
 */
#define BENCH_VA     UINT64_C(0x7f0000000000)
#define BENCH_IPA    UINT64_C(0x5000000000)
#define BENCH_NPAGES 1024u
#define BENCH_STREAM 2048u
bool bench_unit_map_set(struct bench_unit *u);
void bench_stream(uint64_t *s);

#endif
