/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An SMMUv3 without coherent accesses (IDR0.COHACC clear): of tables, structures and commands it sees what was written back, ones before
 * (mem/lag.h). What ones mean: an STE and a CD are ILLEGAL, a level 1 descriptor leads nowhere, a descriptor above level 3 to a table
 * that is not there, one of level 3 to a page, and no command has the opcode.
 */
#include "hw_smmu_rig.h"

#include "mem/lag.h"

struct lag_rig {
	struct rig r;
	struct mem_pool *pool;
	struct mem_lag *lag;
	void *page;
	uint64_t guest; /* memory that does not lag */
};

#define ORDER 9
#define ONES_PAGE UINT64_C(0xfffffffff000)

/* Everything that the rig takes from now on lies in pages that the pool gave. */
static void lag_new(struct lag_rig *t, bool coherent)
{
	struct smmu_caps c;
	hpa_t pa;

	memset(t, 0, sizeof(*t));
	smmu_caps_all(&c);
	c.coherent = coherent;
	c.httu = coherent ? c.httu : 0;
	rig_new_caps(&t->r, &c);
	t->guest = rig_alloc(&t->r, 20);
	t->pool = mem_pool_new_at(&t->r.mem, hpa(RIG_BASE + RIG_SIZE / 2), RIG_SIZE / 2);
	t->lag = mem_lag_new(&t->r.mem, t->pool);
	assert_non_null(t->lag);
	smmu_set_lag(t->r.hw, t->lag);
	t->page = mem_page_alloc(t->pool, ORDER, &pa);
	assert_non_null(t->page);
	t->r.next = pa.v;
	rig_start(&t->r);
}

static void lag_free(struct lag_rig *t)
{
	t->r.hw->ops->destroy(t->r.hw);
	mem_page_free(t->pool, t->page, ORDER);
	mem_lag_free(t->lag);
	mem_pool_free(t->pool);
	mem_fini(&t->r.mem);
	nb_trace_free(t->r.tr);
	free(t->r.buf);
}

static void wb(struct lag_rig *t, uint64_t pa)
{
	t->r.hw->ops->written_back(t->r.hw, hpa(pa), 8);
}

/* The request ends so until the line is written back; caches keep nothing of it. */
#define NEEDS(t, pa, ssid, reason)                                                \
	do {                                                                      \
		smmu_drop_caches((t)->r.hw);                                      \
		faults(go_ssid(&(t)->r, ssid, RIG_VA, HW_READ, 0), reason);       \
		wb(t, pa);                                                        \
		smmu_drop_caches((t)->r.hw);                                      \
	} while (0)

static uint64_t entry_at(struct rig *r, uint64_t root, uint64_t va, unsigned int level, uint64_t off)
{
	uint64_t at = root + (va >> 30 & 1023) * 8;

	if (level >= 2)
		at = ((r64(r, at) & BITS(47, 12)) - off) + (va >> 21 & 511) * 8;
	if (level >= 3)
		at = ((r64(r, at) & BITS(47, 12)) - off) + (va >> 12 & 511) * 8;
	return at;
}

static void stage1(void **state)
{
	uint64_t page, leaf;
	struct lag_rig t;

	(void)state;
	lag_new(&t, false);
	assert_int_equal(get32(&t.r, 0) & 0x10, 0);
	page = rig_s1(&t.r);
	leaf = entry_at(&t.r, t.r.s1root, RIG_VA, 3, 0);
	NEEDS(&t, t.r.strtab + RIG_SID * 64, NB_NO_PASID, 0x04);
	NEEDS(&t, t.r.cd, NB_NO_PASID, 0x0a);
	NEEDS(&t, entry_at(&t.r, t.r.s1root, RIG_VA, 1, 0), NB_NO_PASID, 0x0b);
	NEEDS(&t, entry_at(&t.r, t.r.s1root, RIG_VA, 2, 0), NB_NO_PASID, 0x0b);
	ok_at(go(&t.r, RIG_VA, HW_READ), ONES_PAGE);
	wb(&t, leaf);
	smmu_drop_caches(t.r.hw);
	ok_at(go(&t.r, RIG_VA, HW_READ), page);
	/* Observing reads the same. An entry that changes is the old one until it is written back, even after invalidations. */
	w64(&t.r, leaf, (page + 4096) | S1_RW);
	smmu_drop_caches(t.r.hw);
	ok_at(go(&t.r, RIG_VA, HW_READ), page);
	ok_at(go_ssid(&t.r, NB_NO_PASID, RIG_VA, HW_READ, HW_OBSERVE), page);
	wb(&t, leaf);
	ok_at(go(&t.r, RIG_VA, HW_READ), page); /* the TLB's */
	smmu_drop_caches(t.r.hw);
	ok_at(go(&t.r, RIG_VA, HW_READ), page + 4096);
	ok_at(go_ssid(&t.r, NB_NO_PASID, RIG_VA, HW_READ, HW_OBSERVE), page + 4096);
	lag_free(&t);
}

/* The guest's CD and tables are read as they are; the host's stage 2 is not. */
static void nested(void **state)
{
	uint64_t ours, page, ipa, pa;
	struct lag_rig t;
	struct rig *r = &t.r;

	(void)state;
	lag_new(&t, false);
	ours = r->next;
	r->next = t.guest;
	page = rig_page(r);
	r->cd = rig_page(r);
	r->s1root = rig_page(r);
	rig_map(r, r->s1root, RIG_VA, (page + RIG_IPA) | S1_RW, RIG_IPA);
	w64(r, r->cd, CD0);
	w64(r, r->cd + 8, r->s1root + RIG_IPA);
	r->next = ours;
	r->s2root = rig_alloc(r, 13);
	for (pa = t.guest; pa < t.guest + 0x10000; pa += 4096)
		rig_map(r, r->s2root, pa + RIG_IPA, pa | S2_RW, 0);
	ste(r, RIG_SID, STE_NESTED | (r->cd + RIG_IPA), 0, STE2_S2 | RIG_VMID, r->s2root);
	ipa = page + RIG_IPA;
	wb(&t, r->strtab + RIG_SID * 64);
	NEEDS(&t, entry_at(r, r->s2root, ipa, 1, 0), NB_NO_PASID, 0x0b);
	NEEDS(&t, entry_at(r, r->s2root, ipa, 2, 0), NB_NO_PASID, 0x0b);
	for (pa = t.guest; pa < t.guest + 0x10000; pa += 4096)
		if (pa != page)
			wb(&t, entry_at(r, r->s2root, pa + RIG_IPA, 3, 0));
	wb(&t, entry_at(r, r->s2root, ipa, 3, 0));
	ok_at(go(r, RIG_VA, HW_WRITE), page);
	lag_free(&t);
}

/* Level 1 descriptors, and the queue. */
static void two_levels(void **state)
{
	uint64_t l1, l2, l1cd, cds, page;
	struct lag_rig t;
	struct rig *r = &t.r;

	(void)state;
	lag_new(&t, false);
	page = rig_s1(r);
	l1 = rig_page(r);
	l2 = rig_page(r);
	l1cd = rig_page(r);
	cds = rig_page(r);
	reg32(r, 0x20, 0xe);
	reg64(r, 0x80, l1);
	reg32(r, 0x88, 9 | 6 << 6 | 1 << 16);
	reg32(r, 0x20, 0xf);
	w64(r, l1 + (RIG_SID >> 6) * 8, l2 | 7);
	w64(r, l2 + (RIG_SID & 63) * 64, STE_S1 | 1u << 4 | l1cd | UINT64_C(10) << 59);
	w64(r, l1cd + 3 * 8, cds | 1);
	w64(r, cds + 5 * 64, CD0);
	w64(r, cds + 5 * 64 + 8, r->s1root);
	wb(&t, l2 + (RIG_SID & 63) * 64);
	wb(&t, cds + 5 * 64);
	wb(&t, entry_at(r, r->s1root, RIG_VA, 1, 0));
	wb(&t, entry_at(r, r->s1root, RIG_VA, 2, 0));
	wb(&t, entry_at(r, r->s1root, RIG_VA, 3, 0));
	NEEDS(&t, l1 + (RIG_SID >> 6) * 8, 3 * 64 + 5, 0x02);
	NEEDS(&t, l1cd + 3 * 8, 3 * 64 + 5, 0x08);
	ok_at(go_ssid(r, 3 * 64 + 5, RIG_VA, HW_READ, 0), page);
	/* A command that is not written back is none. */
	assert_false(cmd(r, 0x46, 0));
	assert_int_equal(get32(r, 0x9c), 1u << 24);
	wb(&t, r->cmdq);
	reg32(r, 0x64, get32(r, 0x60));
	assert_int_equal(get32(r, 0x9c) & 0xfffff, 1);
	lag_free(&t);
}

/* A unit that snoops is not concerned. */
static void coherent(void **state)
{
	struct lag_rig t;
	uint64_t page;

	(void)state;
	lag_new(&t, true);
	page = rig_s1(&t.r);
	ok_at(go(&t.r, RIG_VA, HW_READ), page);
	sync_cmds(&t.r);
	lag_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stage1),
		cmocka_unit_test(nested),
		cmocka_unit_test(two_levels),
		cmocka_unit_test(coherent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
