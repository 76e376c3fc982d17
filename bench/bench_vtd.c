/* SPDX-License-Identifier: BSD-3-Clause */
/* A VT-d unit, scalable mode. Words are numbers from the manual. */
#include "bench_unit.h"

#include "hw/vtd/vtd.h"

#define DID   5
#define SLOTS 256

static void write64(struct bench_unit *u, uint64_t off, uint64_t val)
{
	u->hw->ops->mmio_write(u->hw, off, 8, val);
}

static void gcmd(struct bench_unit *u, uint32_t val)
{
	u->hw->ops->mmio_write(u->hw, 0x18, 4, val);
}

static bool up(struct bench_unit *u)
{
	uint64_t *root, *ctx, *dir, *tab, fs_gpa;
	struct vtd_caps caps;

	vtd_caps_all(&caps);
	if (vtd_create(&caps, &u->mem, NULL, &u->hw, NULL))
		return false;
	root = bench_unit_pages(u, 0);
	ctx = bench_unit_pages(u, 0);
	dir = bench_unit_pages(u, 0);
	tab = bench_unit_pages(u, 0);
	u->s2_root = bench_unit_pages(u, 0);
	u->status = (uint32_t *)bench_unit_pages(u, 0);
	u->ring = bench_unit_pages(u, 1);
	u->pr_ring = bench_unit_pages(u, 0);
	if (!root || !ctx || !dir || !tab || !u->s2_root || !u->status || !u->ring || !u->pr_ring)
		return false;
	fs_gpa = bench_unit_guest_page(u, &u->s1_root);
	if (!fs_gpa)
		return false;
	root[2 * (BENCH_RID >> 8)] = bench_pa(ctx) | 1;
	ctx[4 * (BENCH_RID & 0x7f)] = bench_pa(dir) | 0x1d; /* PASIDs, ATS, page requests */
	dir[0] = bench_pa(tab) | 1;
	tab[0] = bench_pa(u->s2_root) | 2 << 2 | 3 << 6 | 1; /* 4 levels, nested */
	tab[1] = DID | 1 << 23;
	tab[2] = fs_gpa;
	write64(u, 0x20, bench_pa(root) | 1 << 10);
	gcmd(u, UINT32_C(1) << 30);
	write64(u, 0x90, bench_pa(u->ring) | 1 << 11 | 1);
	write64(u, 0xd0, bench_pa(u->pr_ring));
	gcmd(u, UINT32_C(1) << 26);
	gcmd(u, UINT32_C(1) << 26 | UINT32_C(1) << 31);
	return true;
}

static void put(struct bench_unit *u, uint64_t lo, uint64_t hi)
{
	uint64_t *slot = &u->ring[4 * u->tail];

	slot[0] = lo;
	slot[1] = hi;
	slot[2] = slot[3] = 0;
	u->tail = (u->tail + 1) % SLOTS;
}

static void finish(struct bench_unit *u)
{
	put(u, UINT64_C(2) << 32 | 1 << 5 | 5, bench_pa(u->status)); /* wait: write 2 */
	__atomic_store_n(u->status, 0, __ATOMIC_RELAXED);
	write64(u, 0x88, u->tail * 32);
	while (__atomic_load_n(u->status, __ATOMIC_ACQUIRE) != 2)
		;
}

static void inv(struct bench_unit *u, enum bench_inv what, const uint64_t *va, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (what == BENCH_INV_SPACE)
			put(u, 2 | 2 << 4 | DID << 16, 0);
		else /* with the hint: paging structures stay */
			put(u, 6 | 3 << 4 | DID << 16, va[i] | 1 << 6);
	}
	finish(u);
}

static void respond(struct bench_unit *u, unsigned int prgi)
{
	write64(u, 0xc0, u->hw->ops->mmio_read(u->hw, 0xc8, 8));
	put(u, (uint64_t)BENCH_RID << 16 | 9, (uint64_t)prgi << 3);
	finish(u);
}

const struct bench_unit_ops bench_vtd = {
	.suffix = "",
	.up = up,
	.s1_node = 0x27, /* P, R/W, U/S, A */
	.s1_leaf = 0x67, /* and D */
	.s2_node = 3,
	.s2_leaf = 3,
	.inv = inv,
	.respond = respond,
};
