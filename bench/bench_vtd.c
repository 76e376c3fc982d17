/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_vtd.h"

#include <stdlib.h>
#include <string.h>

#include "hw/vtd/vtd.h"

#define MAX_PAGES (1u << 16)
#define SLOTS	  256

static uint64_t *page(struct bench_vtd *v, unsigned int order)
{
	hpa_t pa;
	uint64_t *p = v->npages < MAX_PAGES ? mem_page_alloc(v->pool, order, &pa) : NULL;

	if (p && order == 0)
		v->pages[v->npages++] = p;
	return p;
}

static uint64_t pa_of(const void *p)
{
	return (uintptr_t)p; /* a process space: physical addresses are the process's */
}

/* The slot for addr in the last-level table, tables made on the way. gpa: what the entries of first-stage tables hold. */
static uint64_t *ss_slot(struct bench_vtd *v, uint64_t addr)
{
	uint64_t *t = v->ss_root;
	unsigned int level;

	for (level = 4; level > 1; level--) {
		uint64_t *e = &t[addr >> (3 + 9 * level) & 511];

		if (!*e) {
			uint64_t *child = page(v, 0);

			if (!child)
				return NULL;
			*e = pa_of(child) | 3;
		}
		t = (uint64_t *)(uintptr_t)(*e & ~UINT64_C(0xfff));
	}
	return &t[addr >> 12 & 511];
}

static bool ss_map(struct bench_vtd *v, uint64_t gpa_v, const void *to)
{
	uint64_t *slot = ss_slot(v, gpa_v);

	if (slot)
		*slot = pa_of(to) | 3;
	return slot != NULL;
}

/* First-stage tables lie far apart in guest-physical space, so that their translations share nothing. */
static uint64_t fs_page(struct bench_vtd *v, uint64_t **p)
{
	uint64_t gpa_v = v->next_gpa;

	*p = page(v, 0);
	v->next_gpa += (UINT64_C(1) << 30) + 4096;
	return *p && ss_map(v, gpa_v, *p) ? gpa_v : 0;
}

bool bench_vtd_map(struct bench_vtd *v, uint64_t va, uint64_t gpa_v)
{
	uint64_t *t = v->fs_root, *slot;
	unsigned int level;

	for (level = 4; level > 1; level--) {
		uint64_t *e = &t[va >> (3 + 9 * level) & 511];

		if (!*e) {
			uint64_t *child, at = fs_page(v, &child);

			if (!at)
				return false;
			*e = at | 0x27; /* P, R/W, U/S, A */
		}
		slot = ss_slot(v, *e & ~UINT64_C(0xfff));
		if (!slot)
			return false;
		t = (uint64_t *)(uintptr_t)(*slot & ~UINT64_C(0xfff));
	}
	t[va >> 12 & 511] = gpa_v | 0x67; /* and D */
	slot = ss_slot(v, gpa_v);
	if (!slot)
		return false;
	if (!*slot)
		*slot = pa_of(v->fs_root) | 3; /* nobody looks at the data */
	return true;
}

static void write64(struct bench_vtd *v, uint64_t off, uint64_t val)
{
	v->hw->ops->mmio_write(v->hw, off, 8, val);
}

static void gcmd(struct bench_vtd *v, uint32_t val)
{
	v->hw->ops->mmio_write(v->hw, 0x18, 4, val);
}

bool bench_vtd_up(struct bench_vtd *v)
{
	uint64_t *root, *ctx, *dir, *tab, fs_gpa;
	struct vtd_caps caps;

	memset(v, 0, sizeof(*v));
	v->next_gpa = UINT64_C(0x100000000);
	v->pages = calloc(MAX_PAGES, sizeof(*v->pages));
	if (!v->pages || guard_init() || mem_init_process(&v->mem))
		return false;
	v->pool = mem_pool_new(&v->mem);
	vtd_caps_all(&caps);
	if (!v->pool || vtd_create(&caps, &v->mem, NULL, &v->hw, NULL))
		return false;
	root = page(v, 0);
	ctx = page(v, 0);
	dir = page(v, 0);
	tab = page(v, 0);
	v->ss_root = page(v, 0);
	v->status = (uint32_t *)page(v, 0);
	v->ring = page(v, 1);
	fs_gpa = fs_page(v, &v->fs_root);
	if (!root || !ctx || !dir || !tab || !v->status || !v->ring || !fs_gpa)
		return false;
	root[2 * (BENCH_RID >> 8)] = pa_of(ctx) | 1;
	ctx[4 * (BENCH_RID & 0x7f)] = pa_of(dir) | 0x1d; /* PASIDs, ATS, page requests */
	dir[0] = pa_of(tab) | 1;
	tab[0] = pa_of(v->ss_root) | 2 << 2 | 3 << 6 | 1; /* 4 levels, nested */
	tab[1] = BENCH_DID | 1 << 23;
	tab[2] = fs_gpa;
	write64(v, 0x20, pa_of(root) | 1 << 10);
	gcmd(v, UINT32_C(1) << 30);
	write64(v, 0x90, pa_of(v->ring) | 1 << 11 | 1);
	gcmd(v, UINT32_C(1) << 26);
	gcmd(v, UINT32_C(1) << 26 | UINT32_C(1) << 31);
	return true;
}

void bench_vtd_down(struct bench_vtd *v)
{
	unsigned int i;

	if (v->hw)
		v->hw->ops->destroy(v->hw);
	for (i = 0; i < v->npages; i++)
		mem_page_free(v->pool, v->pages[i], 0);
	if (v->ring)
		mem_page_free(v->pool, v->ring, 1);
	mem_pool_free(v->pool);
	mem_fini(&v->mem);
	free(v->pages);
}

void bench_vtd_queue(struct bench_vtd *v, const uint64_t (*desc)[2], unsigned int n)
{
	unsigned int i;

	for (i = 0; i <= n; i++) {
		uint64_t *slot = &v->ring[4 * v->tail];

		slot[0] = i < n ? desc[i][0] : UINT64_C(2) << 32 | 1 << 5 | 5; /* wait: write 2 */
		slot[1] = i < n ? desc[i][1] : pa_of(v->status);
		slot[2] = slot[3] = 0;
		v->tail = (v->tail + 1) % SLOTS;
	}
	__atomic_store_n(v->status, 0, __ATOMIC_RELAXED);
	write64(v, 0x88, v->tail * 32);
	while (__atomic_load_n(v->status, __ATOMIC_ACQUIRE) != 2)
		;
}
