/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_unit.h"

#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MAX_PAGES (1u << 16)
#define ADDR	  UINT64_C(0xfffffffff000)

uint64_t *bench_unit_pages(struct bench_unit *u, unsigned int order)
{
	hpa_t pa;
	void *p = u->npages < MAX_PAGES ? mem_page_alloc(u->pool, order, &pa) : NULL;

	if (p) {
		u->pages[u->npages].p = p;
		u->pages[u->npages++].order = order;
	}
	return p;
}

/* The slot for addr in the last-level table of stage 2, tables made on the way. */
static uint64_t *s2_slot(struct bench_unit *u, uint64_t addr)
{
	uint64_t *t = u->s2_root;
	unsigned int level;

	for (level = 4; level > 1; level--) {
		uint64_t *e = &t[addr >> (3 + 9 * level) & 511];

		if (!*e) {
			uint64_t *child = bench_unit_pages(u, 0);

			if (!child)
				return NULL;
			*e = bench_pa(child) | u->ops->s2_node;
		}
		t = (uint64_t *)(uintptr_t)(*e & ADDR);
	}
	return &t[addr >> 12 & 511];
}

static bool s2_map(struct bench_unit *u, uint64_t ipa, const void *to)
{
	uint64_t *slot = s2_slot(u, ipa);

	if (slot)
		*slot = bench_pa(to) | u->ops->s2_leaf;
	return slot != NULL;
}

/* They lie far apart in guest-physical space, so that their translations share nothing. */
uint64_t bench_unit_guest_page(struct bench_unit *u, uint64_t **p)
{
	uint64_t ipa = u->next_ipa;

	*p = bench_unit_pages(u, 0);
	u->next_ipa += (UINT64_C(1) << 30) + 4096;
	return *p && s2_map(u, ipa, *p) ? ipa : 0;
}

bool bench_unit_map(struct bench_unit *u, uint64_t va, uint64_t ipa)
{
	uint64_t *t = u->s1_root, *slot;
	unsigned int level;

	for (level = 4; level > 1; level--) {
		uint64_t *e = &t[va >> (3 + 9 * level) & 511];

		if (!*e) {
			uint64_t *child, at = bench_unit_guest_page(u, &child);

			if (!at)
				return false;
			*e = at | u->ops->s1_node;
		}
		slot = s2_slot(u, *e & ADDR);
		if (!slot)
			return false;
		t = (uint64_t *)(uintptr_t)(*slot & ADDR);
	}
	t[va >> 12 & 511] = ipa | u->ops->s1_leaf;
	slot = s2_slot(u, ipa);
	if (!slot)
		return false;
	if (!*slot)
		*slot = bench_pa(u->s1_root) | u->ops->s2_leaf; /* nobody looks at the data */
	return true;
}

bool bench_unit_map_set(struct bench_unit *u)
{
	unsigned int i;

	for (i = 0; i < BENCH_NPAGES; i++)
		if (!bench_unit_map(u, BENCH_VA + i * 4096u, BENCH_IPA + (BENCH_NPAGES - 1 - i) * 4096u))
			return false;
	return true;
}

void bench_stream(uint64_t *s)
{
	uint64_t seed = 88172645463325252u;
	unsigned int i;

	for (i = 0; i < BENCH_STREAM; i++)
		s[i] = BENCH_VA + bench_rand(&seed) % BENCH_NPAGES * 4096 + bench_rand(&seed) % 512 * 8;
}

bool bench_unit_up(struct bench_unit *u, const struct bench_unit_ops *ops)
{
	memset(u, 0, sizeof(*u));
	u->ops = ops;
	u->next_ipa = UINT64_C(0x100000000);
	u->pages = calloc(MAX_PAGES, sizeof(*u->pages));
	if (!u->pages || guard_init() || mem_init_process(&u->mem))
		return false;
	u->pool = mem_pool_new(&u->mem);
	return u->pool && ops->up(u);
}

void bench_unit_down(struct bench_unit *u)
{
	unsigned int i;

	if (u->hw)
		u->hw->ops->destroy(u->hw);
	for (i = 0; i < u->npages; i++)
		mem_page_free(u->pool, u->pages[i].p, u->pages[i].order);
	mem_pool_free(u->pool);
	mem_fini(&u->mem);
	free(u->pages);
}
