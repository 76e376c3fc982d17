/* SPDX-License-Identifier: BSD-3-Clause */
/* An SMMUv3 with a linear stream table. Words are numbers from the manual. */
#include "bench_unit.h"

#include "hw/smmuv3/smmu.h"

#define VMID 5
#define ASID 6
#define CMDQ_LG2 8
#define PRIQ_LG2 8

static void write32(struct bench_unit *u, uint64_t off, uint32_t val)
{
	u->hw->ops->mmio_write(u->hw, off, 4, val);
}

static void write64(struct bench_unit *u, uint64_t off, uint64_t val)
{
	u->hw->ops->mmio_write(u->hw, off, 8, val);
}

static uint32_t read32(struct bench_unit *u, uint64_t off)
{
	return (uint32_t)u->hw->ops->mmio_read(u->hw, off, 4);
}

static bool up(struct bench_unit *u)
{
	uint64_t *strtab, *cd, cd_ipa, s1_ipa;
	struct smmu_caps caps;

	smmu_caps_all(&caps);
	caps.oas = 48; /* so that stage 2 has 4 levels */
	if (smmu_create(&caps, &u->mem, NULL, &u->hw, NULL))
		return false;
	strtab = bench_unit_pages(u, 3); /* 512 entries */
	u->s2_root = bench_unit_pages(u, 0);
	u->ring = bench_unit_pages(u, 0);
	u->pr_ring = bench_unit_pages(u, 0);
	if (!strtab || !u->s2_root || !u->ring || !u->pr_ring)
		return false;
	cd_ipa = bench_unit_guest_page(u, &cd);
	s1_ipa = bench_unit_guest_page(u, &u->s1_root);
	if (!cd_ipa || !s1_ipa)
		return false;
	strtab[8 * BENCH_RID] = cd_ipa | 0xf; /* V, nested, one CD */
	strtab[8 * BENCH_RID + 1] = UINT64_C(1) << 28; /* EATS */
	/* 48 bits from level 0, 4 KiB, cacheable and shareable walks; AArch64, faults recorded */
	strtab[8 * BENCH_RID + 2] = VMID | UINT64_C(0x53590) << 32 | UINT64_C(1) << 51 | UINT64_C(1) << 58;
	strtab[8 * BENCH_RID + 3] = bench_pa(u->s2_root);
	/* 48 bits, 4 KiB, no TTB1; AArch64, faults recorded and aborted */
	cd[0] = (uint64_t)ASID << 48 | UINT64_C(0xe205c0003510);
	cd[1] = s1_ipa;
	cd[3] = 0xf404ff44;
	write64(u, 0x80, bench_pa(strtab));
	write32(u, 0x88, 9);
	write64(u, 0x90, bench_pa(u->ring) | CMDQ_LG2);
	write64(u, 0xc0, bench_pa(u->pr_ring) | PRIQ_LG2);
	write32(u, 0x20, 0xb); /* the unit, the command queue, the PRI queue */
	return read32(u, 0x24) == 0xb;
}

static void put(struct bench_unit *u, uint64_t lo, uint64_t hi)
{
	uint64_t *slot = &u->ring[2 * (u->tail & ((1u << CMDQ_LG2) - 1))];

	slot[0] = lo;
	slot[1] = hi;
	u->tail = (u->tail + 1) & ((2u << CMDQ_LG2) - 1);
}

static void finish(struct bench_unit *u)
{
	put(u, 0x46, 0);
	write32(u, 0x98, u->tail);
	while (read32(u, 0x9c) != u->tail)
		;
}

static void inv(struct bench_unit *u, enum bench_inv what, const uint64_t *va, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (what == BENCH_INV_SPACE)
			put(u, 0x28 | (uint64_t)VMID << 32, 0);
		else
			put(u, 0x12 | (uint64_t)VMID << 32 | (uint64_t)ASID << 48, va[i] | 1);
	}
	finish(u);
}

static void respond(struct bench_unit *u, unsigned int prgi)
{
	write32(u, 0x100cc, read32(u, 0x100c8));
	put(u, 0x41 | (uint64_t)BENCH_RID << 32, (uint64_t)prgi | 2 << 12);
	finish(u);
}

const struct bench_unit_ops bench_smmuv3 = {
	.suffix = ", SMMUv3",
	.up = up,
	.s1_node = 3,
	.s1_leaf = 0xf47, /* a page, normal memory, unprivileged, writable, AF, nG */
	.s2_node = 3,
	.s2_leaf = 0x7ff,
	.inv = inv,
	.respond = respond,
};
