/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMU's TLB from the inside: which entries each CMD_TLBI_* removes (IHI 0070 4.4), and that it removes no others.
 * One entry of every kind stands there; a table says for each command which of them go.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hw/smmuv3/model.h"
#include "hw/smmuv3/walk.h"

/* Kinds of entries. Each has a leaf at VA1 (a 4 KiB page), one at VA2 (2 MiB), and a walk cache entry for VA1. */
enum {
	A1,	/* EL1, VMID 1, ASID 1 */
	A2,	/* EL1, VMID 1, ASID 2 */
	B1,	/* EL1, VMID 2, ASID 1 */
	G0,	/* EL1, VMID 1, global, ASET 0 */
	G1,	/* EL1, VMID 1, global, ASET 1 */
	S1,	/* stage 2, VMID 1 */
	S2,	/* stage 2, VMID 2 */
	H,	/* EL2 */
	E1,	/* EL2-E2H, ASID 1 */
	E2,	/* EL2-E2H, ASID 2 */
	EG,	/* EL2-E2H, global */
	NKINDS
};
#define B(k) (1u << (k))
#define ALL  (B(NKINDS) - 1)

#define VA1 UINT64_C(0x12345678000)
#define VA2 UINT64_C(0x22400000000)
#define PA  UINT64_C(0x80000000)

static struct smmu *unit;
static struct smmu_tag *tag_of[NKINDS];

static struct smmu_cfg cfg_make(uint8_t kind, uint8_t regime, uint16_t vmid, uint16_t asid, bool aset)
{
	struct smmu_spares sp;
	struct smmu_cfg c = {.kind = kind, .regime = regime, .vmid = vmid, .s1 = {.asid = asid, .aset = aset}};

	smmu_spares_get(&sp);
	hw_spin_lock(&unit->tlb.lock);
	smmu_tags_locked(&unit->tlb, &c, &sp);
	hw_spin_unlock(&unit->tlb.lock);
	smmu_spares_put(&sp);
	return c;
}

static int setup(void **state)
{
	(void)state;
	unit = aligned_alloc(64, (sizeof(*unit) + 63) & ~(size_t)63);
	if (!unit)
		return -1;
	memset(unit, 0, sizeof(*unit));
	if (smmu_tlb_init(&unit->tlb, NULL))
		return -1;
	tag_of[A1] = cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 1, false).tag;
	tag_of[A2] = cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 2, true).tag;
	tag_of[B1] = cfg_make(SMMU_K_S1, SMMU_R_EL1, 2, 1, false).tag;
	tag_of[G0] = cfg_make(SMMU_K_S1, SMMU_R_EL1, 1, 1, false).gtag;
	tag_of[G1] = cfg_make(SMMU_K_S1, SMMU_R_EL1, 1, 1, true).gtag;
	tag_of[S1] = cfg_make(SMMU_K_S2, SMMU_R_EL1, 1, 0, false).tag;
	tag_of[S2] = cfg_make(SMMU_K_S2, SMMU_R_EL1, 2, 0, false).tag;
	tag_of[H] = cfg_make(SMMU_K_S1, SMMU_R_EL2, 7, 9, false).tag;
	tag_of[E1] = cfg_make(SMMU_K_S1, SMMU_R_EL2_E2H, 7, 1, false).tag;
	tag_of[E2] = cfg_make(SMMU_K_S1, SMMU_R_EL2_E2H, 0, 2, false).tag;
	tag_of[EG] = cfg_make(SMMU_K_S1, SMMU_R_EL2_E2H, 0, 2, false).gtag;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	smmu_tlb_fini(&unit->tlb);
	free(unit);
	return 0;
}

static void enter(struct smmu_tag *tag, uint64_t va, unsigned int lg2, unsigned int tg, unsigned int level, unsigned int split)
{
	uint32_t word = atomic_load(&tag->leaf);
	struct smmu_fill f = {
		.key = smmu_key(word >> 16, smmu_size_of(lg2), smmu_vpn(va) >> (lg2 - 12)),
		.val = PA | smmu_facts(63, 63, false, tg, level),
		.tag = tag,
		.split = (uint8_t)split,
	};

	f.bucket = hw_bucket(unit->tlb.leaf, SMMU_TLB_LG2, f.key);
	smmu_tlb_fill(&unit->tlb, atomic_load(&unit->tlb.inv_seq), &f, 1);
}

static void enter_table(struct smmu_tag *tag, uint64_t va, unsigned int tg, unsigned int level)
{
	uint32_t word = atomic_load(&tag->wc);
	unsigned int code = SMMU_WC(tg, level);
	struct smmu_fill f = {
		.key = smmu_key(word >> 16, code, smmu_vpn(va) >> (smmu_wc_lg2(code) - 12)), .val = PA, .tag = tag, .wc = true,
	};

	f.bucket = hw_bucket(unit->tlb.wc, SMMU_WC_LG2, f.key);
	smmu_tlb_fill(&unit->tlb, atomic_load(&unit->tlb.inv_seq), &f, 1);
}

static bool has(struct smmu_tag *tag, uint64_t va)
{
	uint64_t val;
	unsigned int lg2;

	return smmu_tlb_find(&unit->tlb, tag, NULL, va, &val, &lg2);
}

static unsigned int has_table(struct smmu_tag *tag, unsigned int tg, uint64_t va)
{
	uint64_t val;

	return smmu_wc_probe(&unit->tlb, atomic_load(&tag->wc), tg, va, &val);
}

static void fill_all(void)
{
	unsigned int k;

	for (k = 0; k < NKINDS; k++) {
		enter(tag_of[k], VA1, 12, 12, 3, 0);
		enter(tag_of[k], VA2, 21, 12, 2, 0);
		enter_table(tag_of[k], VA1, 12, 3);
	}
}

static unsigned int left(uint64_t va)
{
	unsigned int k, m = 0;

	for (k = 0; k < NKINDS; k++)
		m |= has(tag_of[k], va) ? B(k) : 0;
	return m;
}

static unsigned int tables_left(void)
{
	unsigned int k, m = 0;

	for (k = 0; k < NKINDS; k++)
		m |= has_table(tag_of[k], 12, VA1) ? B(k) : 0;
	return m;
}

static void kinds_are_apart(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < NKINDS; i++)
		for (j = 0; j < i; j++)
			assert_ptr_not_equal(tag_of[i], tag_of[j]);
	/* the same tags when asked again; EL2 knows no ASID and no VMID, EL2-E2H no VMID */
	assert_ptr_equal(cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 1, true).tag, tag_of[A1]);
	assert_ptr_equal(cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 2, true).s2tag, tag_of[S1]);
	assert_ptr_equal(cfg_make(SMMU_K_S1, SMMU_R_EL2, 3, 4, false).tag, tag_of[H]);
	assert_ptr_equal(cfg_make(SMMU_K_S1, SMMU_R_EL2_E2H, 5, 1, false).tag, tag_of[E1]);
}

struct tlbi {
	const char *name;
	enum { ALL_EL1, ALL_EL2, VMID, S12, ASID, ASID_E2H, VA, VAL, VAA, VAAL, IPA, IPAL, VA_EL2, VA_E2H, VAA_E2H, VA_OTHER } op;
	unsigned int gone1, gone2; /* leaves at VA1, at VA2 */
	unsigned int gone_tables;
};

/* Globals have walk cache entries here too, which no walk ever makes; nothing but NSNH_ALL and EL2_ALL has to think of them. */
#define EL1_S1 (B(A1) | B(A2) | B(B1) | B(G0) | B(G1))
#define GLOBAL (B(G0) | B(G1))
static const struct tlbi tlbis[] = {
	{"NSNH_ALL", ALL_EL1, EL1_S1 | B(S1) | B(S2), EL1_S1 | B(S1) | B(S2), B(A1) | B(A2) | B(B1) | B(S1) | B(S2)},
	{"EL2_ALL", ALL_EL2, B(H) | B(E1) | B(E2) | B(EG), B(H) | B(E1) | B(E2) | B(EG), B(H) | B(E1) | B(E2)},
	{"NH_ALL", VMID, B(A1) | B(A2) | GLOBAL, B(A1) | B(A2) | GLOBAL, B(A1) | B(A2)},
	{"S12_VMALL", S12, B(A1) | B(A2) | GLOBAL | B(S1), B(A1) | B(A2) | GLOBAL | B(S1), B(A1) | B(A2) | B(S1)},
	{"NH_ASID", ASID, B(A1), B(A1), B(A1)},
	{"EL2_ASID", ASID_E2H, B(E1), B(E1), B(E1)},
	{"NH_VA", VA, B(A1) | GLOBAL, 0, B(A1)},
	{"NH_VA leaf", VAL, B(A1) | GLOBAL, 0, 0},
	{"NH_VAA", VAA, B(A1) | B(A2) | GLOBAL, 0, B(A1) | B(A2)},
	{"NH_VAA leaf", VAAL, B(A1) | B(A2) | GLOBAL, 0, 0},
	{"S2_IPA", IPA, B(S1), 0, B(S1)},
	{"S2_IPA leaf", IPAL, B(S1), 0, 0},
	{"EL2_VA", VA_EL2, B(H), 0, B(H)},
	{"EL2_VA, E2H", VA_E2H, B(E1) | B(EG), 0, B(E1)},
	{"EL2_VAA, E2H", VAA_E2H, B(E1) | B(E2) | B(EG), 0, B(E1) | B(E2)},
	{"NH_VA elsewhere", VA_OTHER, 0, 0, 0},
};

static void run(int op)
{
	struct smmu_range r = {.first = VA1, .last = VA1 + 0xfff};

	r.leaf = op == VAL || op == VAAL || op == IPAL;
	switch (op) {
	case ALL_EL1:
		smmu_tlbi_all(unit, true, false);
		return;
	case ALL_EL2:
		smmu_tlbi_all(unit, false, true);
		return;
	case VMID:
	case S12:
		smmu_tlbi_vmid(unit, 1, op == S12);
		return;
	case ASID:
		smmu_tlbi_asid(unit, SMMU_R_EL1, 1, 1);
		return;
	case ASID_E2H:
		smmu_tlbi_asid(unit, SMMU_R_EL2_E2H, 0, 1);
		return;
	case VA:
	case VAL:
		smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
		return;
	case VAA:
	case VAAL:
		smmu_tlbi_vaa(unit, SMMU_R_EL1, 1, &r);
		return;
	case IPA:
	case IPAL:
		smmu_tlbi_ipa(unit, 1, &r);
		return;
	case VA_EL2:
		smmu_tlbi_va(unit, SMMU_R_EL2, 0, 77, &r);
		return;
	case VA_E2H:
		smmu_tlbi_va(unit, SMMU_R_EL2_E2H, 0, 1, &r);
		return;
	case VAA_E2H:
		smmu_tlbi_vaa(unit, SMMU_R_EL2_E2H, 0, &r);
		return;
	case VA_OTHER:
		r.first = VA1 + (UINT64_C(1) << 30);
		r.last = r.first + 0xfff;
		smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
		return;
	}
}

static void each_removes_its_own(void **state)
{
	/* Walk cache entries under a global tag: see above. */
	const unsigned int count = ALL & ~(B(G0) | B(G1) | B(EG));
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tlbis); i++) {
		const struct tlbi *t = &tlbis[i];

		fill_all();
		assert_int_equal(left(VA1), ALL);
		assert_int_equal(left(VA2), ALL);
		assert_int_equal(tables_left(), ALL);
		run((int)t->op);
		if (left(VA1) != (ALL & ~t->gone1) || left(VA2) != (ALL & ~t->gone2) ||
		    (tables_left() & count) != (count & ~t->gone_tables))
			fail_msg("%s left %#x %#x %#x", t->name, left(VA1), left(VA2), tables_left());
	}
}

/* Any address of a block removes its pieces, of which stage 2 made many; an address beside it does not. */
static void pieces_of_a_block(void **state)
{
	const uint64_t block = UINT64_C(0x40000000);
	struct smmu_range r = {.first = block + 0x5000, .last = block + 0x5fff, .leaf = true};
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) { /* 2 MiB pages are looked up, 1 GiB compared with everything */
		unsigned int level = i ? 1 : 2, whole = i ? 30 : 21;

		enter(tag_of[A1], block, 12, 12, level, whole);
		enter(tag_of[A1], block + BIT(whole) - 0x1000, 12, 12, level, whole);
		enter(tag_of[A1], block + BIT(whole), 12, 12, level, whole);
		enter(tag_of[A1], block + 0x7000, 12, 12, 3, 0); /* not of the block: of a page of its own */
		smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
		assert_false(has(tag_of[A1], block));
		assert_false(has(tag_of[A1], block + BIT(whole) - 0x1000));
		assert_true(has(tag_of[A1], block + BIT(whole)));
		assert_true(has(tag_of[A1], block + 0x7000));
		smmu_tlbi_asid(unit, SMMU_R_EL1, 1, 1);
	}
}

static void ranges(void **state)
{
	struct smmu_range r = {.first = VA1, .last = VA1 + 4 * 0x1000 - 1};
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		enter(tag_of[A1], VA1 + i * 0x1000, 12, 12, 3, 0);
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	for (i = 0; i < 6; i++)
		assert_int_equal(has(tag_of[A1], VA1 + i * 0x1000), i >= 4);
	/* large enough to compare all entries; the neighbours in front and behind stay */
	r.first = VA1 + 0x1000;
	r.last = r.first + BIT(32) - 1;
	enter(tag_of[A1], VA1, 12, 12, 3, 0);
	enter(tag_of[A1], VA1 + 0x1000, 12, 12, 3, 0);
	enter(tag_of[A1], r.last, 12, 12, 3, 0);
	enter(tag_of[A1], r.last + 1, 12, 12, 3, 0);
	enter(tag_of[A2], VA1 + 0x1000, 12, 12, 3, 0);
	enter_table(tag_of[A1], VA1 + BIT(31), 12, 3);
	enter_table(tag_of[A1], r.last + BIT(21), 12, 3);
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_true(has(tag_of[A1], VA1));
	assert_false(has(tag_of[A1], VA1 + 0x1000));
	assert_false(has(tag_of[A1], r.last));
	assert_true(has(tag_of[A1], r.last + 1));
	assert_true(has(tag_of[A2], VA1 + 0x1000));
	assert_int_equal(has_table(tag_of[A1], 12, VA1 + BIT(31)), 0);
	assert_int_equal(has_table(tag_of[A1], 12, r.last + BIT(21)), 3);
	/* everything, up to the last address; upper halves have bit 55 */
	enter(tag_of[A1], BITS(63, 12), 12, 12, 3, 0);
	r = (struct smmu_range){.first = 0, .last = BITS(55, 0)};
	smmu_tlbi_vaa(unit, SMMU_R_EL1, 1, &r);
	assert_false(has(tag_of[A1], BITS(63, 12)));
	assert_int_equal(left(VA1) & (B(A1) | B(A2) | GLOBAL), 0);
}

/* 4.4.1.1: with TG only entries of that granule, with TTL only leaves of that level and tables above. */
static void hints(void **state)
{
	struct smmu_range r = {.first = VA1, .last = VA1 + 0xffff};

	(void)state;
	enter(tag_of[A1], VA1, 12, 12, 3, 0);
	enter(tag_of[A1], VA1 + 0x8000, 12, 16, 3, 16); /* a piece of a 64 KiB page */
	r.tg = 16;
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_true(has(tag_of[A1], VA1));
	assert_false(has(tag_of[A1], VA1 + 0x8000));
	enter_table(tag_of[A1], VA1, 12, 2);
	enter_table(tag_of[A1], VA1, 12, 3);
	r.tg = 12;
	r.ttl = 2; /* a block of 2 MiB: not the page, not the level 3 table, but the one above */
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_true(has(tag_of[A1], VA1));
	assert_int_equal(has_table(tag_of[A1], 12, VA1), 3);
	r.ttl = 3;
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_false(has(tag_of[A1], VA1));
	assert_int_equal(has_table(tag_of[A1], 12, VA1), 0);
	enter_table(tag_of[A1], VA1, 12, 2);
	r.ttl = 2;
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_int_equal(has_table(tag_of[A1], 12, VA1), 0);
}

/* A contiguous group is one entry; any of its addresses removes it. */
static void groups(void **state)
{
	struct smmu_range r = {.first = VA1 | 0xf000, .last = VA1 | 0xffff, .tg = 12, .ttl = 3, .leaf = true};

	(void)state;
	enter(tag_of[A1], VA1, 16, 12, 3, 0);
	assert_true(has(tag_of[A1], VA1 | 0x3000));
	smmu_tlbi_va(unit, SMMU_R_EL1, 1, 1, &r);
	assert_false(has(tag_of[A1], VA1 | 0x3000));
}

/* What a walk saw before an invalidation ended is not entered after it. */
static void late_fills(void **state)
{
	uint64_t seq = atomic_load(&unit->tlb.inv_seq), during;
	struct smmu_range r = {.first = VA2, .last = VA2};
	uint32_t word = atomic_load(&tag_of[A1]->leaf);
	struct smmu_fill f = {.key = smmu_key(word >> 16, SMMU_SZ_4K, smmu_vpn(VA1)), .val = PA, .tag = tag_of[A1]};

	(void)state;
	f.bucket = hw_bucket(unit->tlb.leaf, SMMU_TLB_LG2, f.key);
	smmu_inval_begin(unit);
	smmu_tlbi_ipa(unit, 9, &r); /* of nobody, even */
	during = atomic_load(&unit->tlb.inv_seq);
	smmu_tlb_fill(&unit->tlb, during, &f, 1); /* nothing is entered meanwhile, and nobody waits */
	smmu_inval_end(unit);
	assert_false(has(tag_of[A1], VA1));
	smmu_tlb_fill(&unit->tlb, seq, &f, 1);
	assert_false(has(tag_of[A1], VA1));
	smmu_tlb_fill(&unit->tlb, during, &f, 1); /* began while it was under way */
	assert_false(has(tag_of[A1], VA1));
	smmu_tlb_fill(&unit->tlb, atomic_load(&unit->tlb.inv_seq), &f, 1);
	assert_true(has(tag_of[A1], VA1));
	/* nor under an id that the tag does not have any more */
	smmu_tlbi_asid(unit, SMMU_R_EL1, 1, 1);
	smmu_tlb_fill(&unit->tlb, atomic_load(&unit->tlb.inv_seq), &f, 1);
	assert_false(has(tag_of[A1], VA1));
}

/* Ids run out: nothing is cached any more, and never something found under a wrong tag; starting over mends it. */
static void ids_run_out(void **state)
{
	struct smmu_cfg c;
	unsigned int i;
	void *old;

	(void)state;
	for (i = 0; i < 70000; i++) {
		enter(tag_of[A1], VA1, 12, 12, 3, 0);
		smmu_tlbi_asid(unit, SMMU_R_EL1, 1, 1);
		assert_false(has(tag_of[A1], VA1));
	}
	assert_true(atomic_load(&unit->tlb.want_reset));
	enter(tag_of[A1], VA1, 12, 12, 3, 0);
	hw_spin_lock(&unit->tlb.lock);
	old = smmu_tlb_forget_locked(&unit->tlb);
	hw_spin_unlock(&unit->tlb.lock);
	c = cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 1, false);
	enter(c.tag, VA1, 12, 12, 3, 0);
	assert_false(has(c.tag, VA1)); /* not before the restart */
	smmu_tlb_dispose(old);
	hw_spin_lock(&unit->tlb.lock);
	smmu_tlb_restart_locked(&unit->tlb);
	hw_spin_unlock(&unit->tlb.lock);
	c = cfg_make(SMMU_K_NESTED, SMMU_R_EL1, 1, 1, false);
	assert_false(has(c.tag, VA1));
	enter(c.tag, VA1, 12, 12, 3, 0);
	assert_true(has(c.tag, VA1));
}

/* As many address spaces as there are VMIDs and ASIDs: a bound, and then a restart is asked for. */
static void tags_run_out(void **state)
{
	struct smmu_cfg c;
	unsigned int i;

	(void)state;
	for (i = 0; i < SMMU_MAX_TAGS + 10; i++)
		c = cfg_make(SMMU_K_S1, SMMU_R_EL1, 1, (uint16_t)(100 + i), false);
	assert_ptr_equal(c.tag, &unit->tlb.none);
	enter(c.tag, VA1, 12, 12, 3, 0);
	assert_false(has(c.tag, VA1));
	assert_true(atomic_load(&unit->tlb.want_reset));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kinds_are_apart), TEST(each_removes_its_own), TEST(pieces_of_a_block), TEST(ranges), TEST(hints),
		TEST(groups), TEST(late_fills), TEST(ids_run_out), TEST(tags_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
