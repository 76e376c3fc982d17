/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver, the real hardware model, memory and requesters, for any vendor: below the host, where a test can stand between any
 * two stores of the driver. (rig.h is the whole virtual host.)
 *
 * Memory is a space of regions: the driver's pages (the pool) and a guest's RAM, both at physical addresses that are not the
 * process's. Where page walks do not snoop, hardware has its own copy of the pool: a line of the CPU's gets there by
 * the driver's flush, or when the test evicts it, as a cache may at any time.
 */
#ifndef NB_TESTS_BENCH_H
#define NB_TESTS_BENCH_H

#include "base/trace.h"
#include "vendor.h"

#define K4 UINT64_C(0x1000)
#define M2 UINT64_C(0x200000)
#define G1 UINT64_C(0x40000000)

#define BENCH_UNITS 2
#define BENCH_VIOMMUS 4
#define BENCH_DEVS  3 /* 0 and 1 behind unit 0, 2 behind unit 1 */
#define BENCH_POOL_PA  UINT64_C(0x100000000)
#define BENCH_POOL_LEN (UINT64_C(8) << 20)
#define BENCH_RAM_PA   UINT64_C(0x200000000)
#define BENCH_RAM_LEN  (UINT64_C(4) << 20)
#define BENCH_LINE     64u

#define BENCH_FAULT BIT(63) /* bench_go(): refused, the reason in the low bits */

struct bench_unit {
	struct bench *b;
	struct hw_iommu *hw;
	struct drv_iommu *drv;
	uint32_t msi_data;
	bool msi_held[2]; /* one came while `hold` was set: of the unit's own events, of page requests */
};

struct bench {
	const struct vendor *vendor;
	const struct vendor_conf *conf;
	struct nb_desc desc;
	struct mem mem, hw_mem;
	struct mem_pool *pool;
	struct nb_trace *tr;
	uint8_t *pool_cpu;  /* what the CPU sees: page-aligned, mmapped */
	uint8_t *pool_hw;   /* what hardware sees; the same when coherent */
	uint8_t *ram;
	uint64_t ram_used;
	struct vendor_guest guest;
	/* Where nested domains come from vIOMMUs: one for each unit and parent, and where each function has its vDEVICE. */
	struct drv_viommu *viommu[BENCH_VIOMMUS];
	struct drv_vdevice *vdev[BENCH_DEVS];
	struct bench_unit unit[BENCH_UNITS];
	struct drv_dev dev[BENCH_DEVS];
	struct nb_diag diag;
	/*
	 * Set while the test stands inside the driver: interrupts wait, since the driver may hold a lock that its handler wants. (A
	 * processor would take them on another core.)
	 */
	bool hold;
	/* Functions do not answer invalidations of their translation caches. */
	bool silent;
	struct hw_client client;
	/* Around everything that leaves the driver for the model, and after each line that a flush brought to hardware. */
	void (*leave)(void *opaque);
	void (*enter)(void *opaque);
	void (*line)(void *opaque, size_t off);
	void *opaque;
	/* Every register write of a driver, before the unit gets it; set by bench_up_watched(). */
	void (*wrote)(struct bench *b, unsigned int unit, uint64_t off, uint64_t v);
};

/* 0, or the errno of what refused, with the reason in b->diag. */
int bench_up(struct bench *b, const struct vendor *v, const struct vendor_conf *conf);
int bench_up_watched(struct bench *b, const struct vendor *v, const struct vendor_conf *conf,
		     void (*wrote)(struct bench *b, unsigned int unit, uint64_t off, uint64_t v));
void bench_down(struct bench *b); /* all domains freed */

/* Line at off of the pool goes from CPU to hardware, if it differs. */
bool bench_evict(struct bench *b, size_t off);

/* Where does the request get to? Through the caches, or as memory says now (nothing cached, nothing filled). */
uint64_t bench_go(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access);
uint64_t bench_look(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint8_t access);
/*
 * Does hardware, on its way for this request, read of the driver's pages exactly what the processor has there? False: a line was not
 * written back, even if the difference changes no translation. *pa: where.
 */
bool bench_agrees(struct bench *b, unsigned int dev, uint32_t pasid, uint64_t addr, uint64_t *pa);
/* Deliver what was held back. */
void bench_interrupts(struct bench *b);

bool bench_capable(struct bench *b, unsigned int dev, enum drv_cap cap);
int bench_attach(struct bench *b, unsigned int dev, uint32_t pasid, struct drv_domain *d); /* null: block */
int bench_map(struct bench *b, struct drv_domain *d, uint64_t ia, uint64_t pa, uint64_t len);
int bench_unmap(struct drv_domain *d, uint64_t ia, uint64_t len);

/* The guest's RAM: a page of it, and a page of a stage-1 table in it. gpa 0: not mapped. Nobody is told. */
uint64_t bench_guest_page(struct bench *b);
void bench_guest_map(struct bench *b, uint64_t root, uint64_t va, uint64_t gpa, unsigned int prot);
/* *out is null and the result 0 when a guest of this vendor cannot ask for that. */
int bench_nested(struct bench *b, unsigned int dev, struct drv_domain *parent, enum vendor_s1 how, uint64_t root,
		 struct drv_domain **out);
int bench_invalidate(struct bench *b, struct drv_domain *d, uint64_t root, uint64_t va, uint64_t npages, bool leaf);
/* No nested domain is left: vIOMMUs go, before their parents. */
void bench_viommus_down(struct bench *b);

#endif
