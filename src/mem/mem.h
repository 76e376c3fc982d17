/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical memory, as hardware and drivers reach it.
 *
 * A struct mem is one physical address space. Three kinds:
 *  - process: a physical address is an address of this process (the virtual host);
 *  - regions: ranges of physical addresses, each backed by a buffer (memory images,
 *    tests);
 *  - bus: every access is handed on, to somebody who may translate it once more (an IOMMU behind an IOMMU).
 * The first two may have MMIO ranges, served by callbacks.
 *
 * Every access is guarded: an address that is not backed, or whose pages went
 * away between one instruction and the next, gives -EFAULT and nothing else. A
 * 64-bit load or store is one access and never tears; longer ones are atomic
 * per 64-bit word only. No pointer leaves this room but for the pages that a caller allocated
 * itself with mem_page_alloc(), as an operating system has for its own tables.
 *
 * Threads: all functions may be called concurrently; adding ranges may not run
 * beside accesses. Accesses need guard_init() once per process before, and
 * the calling thread must not block SIGSEGV or SIGBUS.
 */
#ifndef NB_MEM_MEM_H
#define NB_MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bits.h"
#include "mem/guard.h"

struct mem_mmio_ops {
	/* size is 1, 2, 4 or 8; off counts from the range's first address. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, unsigned int size, uint64_t v);
};

/* Each is as the function of the same name below; loads and exchanges are of aligned words. */
struct mem_bus_ops {
	int (*load64)(void *opaque, hpa_t pa, uint64_t *v);
	int (*cas64)(void *opaque, hpa_t pa, uint64_t *expected, uint64_t desired);
	int (*copy_from)(void *opaque, void *dst, hpa_t pa, size_t len);
	int (*copy_to)(void *opaque, hpa_t pa, const void *src, size_t len);
};

struct mem_slow; /* further regions and MMIO ranges; or the bus */

struct mem {
	/* The first region, checked inline: [first, first + span] at process address pa + bias. */
	uint64_t first, span, bias;
	struct mem_slow *slow;
};

/* The process's own address space. 0 or -ENOMEM. */
int mem_init_process(struct mem *m);
/* An empty space of regions. 0 or -ENOMEM. */
int mem_init_regions(struct mem *m);
/* A bus. 0 or -ENOMEM. What reads and writes pages from a pool is not for this kind. */
int mem_init_bus(struct mem *m, const struct mem_bus_ops *ops, void *opaque);
void mem_fini(struct mem *m);

/* Back [pa, pa + len) with buf (caller keeps it alive). -EINVAL: empty, wraps or overlaps; -ENOMEM. */
int mem_add_region(struct mem *m, hpa_t pa, void *buf, uint64_t len);
/* Serve [pa, pa + len) by callbacks. In a process space the range must be reserved, inaccessible address space. */
int mem_add_mmio(struct mem *m, hpa_t pa, uint64_t len, const struct mem_mmio_ops *ops, void *opaque);

/* Slow halves: further regions, MMIO ranges, refusals. */
int mem_load64_slow(const struct mem *m, hpa_t pa, uint64_t *v);
int mem_load128_slow(const struct mem *m, hpa_t pa, uint64_t v[2]);
int mem_store64_slow(const struct mem *m, hpa_t pa, uint64_t v);
int mem_cas64_slow(const struct mem *m, hpa_t pa, uint64_t *expected, uint64_t desired);

static inline bool mem_inline(const struct mem *m, uint64_t pa, uint64_t last_off)
{
	return pa - m->first <= m->span - last_off && m->span >= last_off;
}
static inline void *mem_ptr_(const struct mem *m, uint64_t pa)
{
	return (void *)(uintptr_t)(pa + m->bias);
}

/* Load one naturally aligned little-endian 64-bit word (acquire). 0 or -EFAULT; *v untouched on failure. */
static inline int mem_load64(const struct mem *m, hpa_t pa, uint64_t *v)
{
	if (likely(mem_inline(m, pa.v, 7) && guard_load64(mem_ptr_(m, pa.v), v)))
		return 0;
	return mem_load64_slow(m, pa, v);
}

/*
 * Load two little-endian words, naturally aligned as a whole, in one access: what is stored in one is seen whole. Only memory
 * whose buffer is aligned as its physical addresses are gives that; elsewhere it is two loads. 0 or -EFAULT; v untouched on failure.
 */
static inline int mem_load128(const struct mem *m, hpa_t pa, uint64_t v[2])
{
	if (likely(mem_inline(m, pa.v, 15) && !((pa.v + m->bias) & 15) && guard_load128(mem_ptr_(m, pa.v), v)))
		return 0;
	return mem_load128_slow(m, pa, v);
}

/* Store one naturally aligned little-endian 64-bit word (release). */
static inline int mem_store64(const struct mem *m, hpa_t pa, uint64_t v)
{
	if (likely(mem_inline(m, pa.v, 7) && guard_store64(mem_ptr_(m, pa.v), v)))
		return 0;
	return mem_store64_slow(m, pa, v);
}

/*
 * Compare and exchange one aligned word. 0: done. 1: memory held something else, now in *expected. -EFAULT.
 */
static inline int mem_cas64(const struct mem *m, hpa_t pa, uint64_t *expected, uint64_t desired)
{
	if (likely(mem_inline(m, pa.v, 7))) {
		int r = guard_cas64(mem_ptr_(m, pa.v), expected, desired);

		if (likely(r >= 0))
			return r;
	}
	return mem_cas64_slow(m, pa, expected, desired);
}

int mem_load32(const struct mem *m, hpa_t pa, uint32_t *v);
int mem_store32(const struct mem *m, hpa_t pa, uint32_t v);
/*
 * Copy len bytes. -EFAULT: some byte is not there; what came before it may have been copied.
 * Descriptors and entries (aligned, up to 256 bytes) are copied by whole 64-bit words.
 */
int mem_copy_from(const struct mem *m, void *dst, hpa_t pa, size_t len);
int mem_copy_to(const struct mem *m, hpa_t pa, const void *src, size_t len);

/*
 * Pages for a driver's own tables, rings and entries: 4 KiB << order, naturally
 * aligned, zeroed. `ptr` and `pa` name the same bytes. Pages are cached and go
 * back to the system when the pool is destroyed.
 */
struct mem_pool;
/* Pages of the process itself (mem must be a process space), or carved from [pa, pa+len) of a region. */
struct mem_pool *mem_pool_new(struct mem *m);
struct mem_pool *mem_pool_new_at(struct mem *m, hpa_t pa, uint64_t len);
void mem_pool_free(struct mem_pool *p); /* all pages must have been returned; asserts it */
void *mem_page_alloc(struct mem_pool *p, unsigned int order, hpa_t *pa); /* null: out of memory */
/* The same, not zeroed: for a caller that writes every byte before anyone else sees the pages. */
void *mem_page_alloc_raw(struct mem_pool *p, unsigned int order, hpa_t *pa);
void mem_page_free(struct mem_pool *p, void *ptr, unsigned int order);
/* For a page that this pool gave: its other name. */
void *mem_page_ptr(const struct mem_pool *p, hpa_t pa);
hpa_t mem_page_pa(const struct mem_pool *p, const void *ptr);
uint64_t mem_pool_used(const struct mem_pool *p); /* bytes handed out */
/* For mem/lag.c only. */
struct mem_lag;
void mem_pool_set_lag(struct mem_pool *p, struct mem_lag *lag);

#endif
