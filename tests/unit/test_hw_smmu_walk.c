/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 walks through the unit's port, with tables made by hand: what the property test cannot see, because it asks for
 * one address at a time: how many descriptors a walk reads, what stays cached and for whom, updates that race.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "hw/smmuv3/model.h"
#include "hw/smmuv3/smmu.h"
#include "mem/mem.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/pte.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

#define BASE UINT64_C(0x40000000)
#define SIZE UINT64_C(0x2000000)
#define SID  0x11

/* Leaves that allow everything. */
#define S1_RW (SMMU_PTE_AF | SMMU_PTE_AP1 | SMMU_PTE_NG)
#define S2_RW (SMMU_S2PTE_AF | SMMU_S2PTE_R | SMMU_S2PTE_W | FIELD_C(SMMU_S2PTE_MEMATTR, 15))

struct rig {
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *buf;
	uint64_t next;
	uint64_t ste, cds; /* where they lie */
	uint64_t s2_root;
	unsigned int s2_tg, s1_tg;
	unsigned int loads;
	bool nested;
};
static struct rig *r;

static uint64_t get(uint64_t pa)
{
	uint64_t v;

	memcpy(&v, r->buf + (pa - BASE), 8);
	return v;
}

static void put(uint64_t pa, uint64_t v)
{
	memcpy(r->buf + (pa - BASE), &v, 8);
}

static uint64_t room(unsigned int lg2)
{
	uint64_t at = (r->next + BIT(lg2) - 1) & ~(BIT(lg2) - 1);

	assert_true(at + BIT(lg2) <= SIZE);
	r->next = at + BIT(lg2);
	return BASE + at;
}

static uint64_t count_read(void *opaque, uint64_t off, unsigned int size)
{
	uint64_t v = 0;

	(void)opaque;
	memcpy(&v, r->buf + off, size);
	r->loads += size == 8;
	return v;
}

static void count_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	(void)opaque;
	memcpy(r->buf + off, &v, size);
}

static const struct mem_mmio_ops counting = {.read = count_read, .write = count_write};

/* One STE with a table of 16 CDs; counted: memory counts what is read from it, and cannot be updated. */
static void start(bool nested, unsigned int s1_tg, unsigned int s2_tg, bool counted)
{
	struct smmu_caps caps;
	struct nb_diag why = {""};
	uint64_t tg2 = s2_tg == 12 ? SMMU_TG_4K : s2_tg == 14 ? SMMU_TG_16K : SMMU_TG_64K;

	r = calloc(1, sizeof(*r));
	assert_non_null(r);
	r->buf = aligned_alloc(1 << 16, SIZE);
	assert_non_null(r->buf);
	memset(r->buf, 0, SIZE);
	r->nested = nested;
	r->s1_tg = s1_tg;
	r->s2_tg = s2_tg;
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_regions(&r->mem), 0);
	if (counted)
		assert_int_equal(mem_add_mmio(&r->mem, hpa(BASE), SIZE, &counting, NULL), 0);
	else
		assert_int_equal(mem_add_region(&r->mem, hpa(BASE), r->buf, SIZE), 0);
	smmu_caps_all(&caps);
	caps.oas = 48;
	if (smmu_create(&caps, &r->mem, NULL, &r->hw, &why))
		fail_msg("%s", why.msg);
	r->ste = room(12) + 64 * SID;
	r->cds = room(12);
	put(r->ste, SMMU_STE_0_V | FIELD(SMMU_STE_0_CONFIG, nested ? 7u : 5u) | r->cds | FIELD_C(SMMU_STE_0_S1CDMAX, 4));
	put(r->ste + 8, FIELD_C(SMMU_STE_1_S1DSS, 2));
	if (nested) {
		r->s2_root = room(s2_tg);
		/* 48 bits: 4 KiB starts at level 0, 16 KiB at 1 with two tables, 64 KiB at 1 */
		if (s2_tg == 14)
			r->s2_root = room(15);
		put(r->ste + 16, 5 | FIELD_C(SMMU_STE_2_S2T0SZ, 16) | FIELD_C(SMMU_STE_2_S2SL0, 2) |
					 FIELD(SMMU_STE_2_S2TG, tg2) | FIELD_C(SMMU_STE_2_S2PS, 5) | SMMU_STE_2_S2AA64 |
					 SMMU_STE_2_S2R);
		put(r->ste + 24, r->s2_root);
	} else {
		put(r->ste + 16, 5);
	}
	r->hw->ops->mmio_write(r->hw, 0x80, 8, r->ste & ~UINT64_C(0xfff)); /* STRTAB_BASE */
	r->hw->ops->mmio_write(r->hw, 0x88, 4, 6);			   /* STRTAB_BASE_CFG: 64 entries */
	r->hw->ops->mmio_write(r->hw, 0x20, 4, 1);			   /* CR0.SMMUEN */
}

static int stop(void **state)
{
	(void)state;
	r->hw->ops->destroy(r->hw);
	mem_fini(&r->mem);
	free(r->buf);
	free(r);
	return 0;
}

static uint64_t descend(uint64_t table, uint64_t ia, unsigned int tg, int level, uint64_t *at)
{
	unsigned int lsb = tg + (unsigned int)(3 - level) * (tg - 3);
	unsigned int bits = 48 - lsb < tg - 3 ? 48 - lsb : level == 1 && tg == 14 ? 12 : tg - 3;

	*at = table + 8 * ((ia >> lsb) & (BIT(bits) - 1));
	return get(*at);
}

/* Stage 2 of one page or block. Returns the leaf's place. */
static uint64_t map2(uint64_t ipa, uint64_t pa, int leaf, uint64_t attr)
{
	uint64_t table = r->s2_root, at, e;
	int level;

	for (level = r->s2_tg == 12 ? 0 : 1; level < leaf; level++) {
		e = descend(table, ipa, r->s2_tg, level, &at);
		if (!e) {
			e = room(r->s2_tg) | 3;
			put(at, e);
		}
		table = e & SMMU_PTE_ADDR & ~(BIT(r->s2_tg) - 1);
	}
	descend(table, ipa, r->s2_tg, leaf, &at);
	put(at, (pa & ~(BIT(r->s2_tg) - 1)) | attr | (leaf == 3 ? 3 : 1));
	return at;
}

/*
 * Stage 1 tables: the address that their owner knows is a word of its own, far from all others, so that each needs a walk of stage
 * 2 of its own. Without nesting it is where they lie.
 */
#define FAR(n) ((uint64_t)(n) * UINT64_C(0x8040201000) + UINT64_C(0x100000000))
static unsigned int nfar;

struct s1_tables {
	uint64_t root; /* for the CD */
	uint64_t leaf; /* the last leaf's place, and its address for the owner */
	uint64_t leaf_ipa;
	uint64_t at[4]; /* where the tables of the last walk lie */
	uint64_t ipa[4];
};

/* One path, each table of it new. */
static struct s1_tables map1(uint64_t va, uint64_t target, uint64_t attr)
{
	struct s1_tables t = {0};
	int level, first = r->s1_tg == 12 ? 0 : r->s1_tg == 14 ? 0 : 1;
	uint64_t at;

	for (level = first; level <= 3; level++) {
		t.at[level] = room(r->s1_tg);
		t.ipa[level] = t.at[level];
		if (r->nested) {
			t.ipa[level] = FAR(nfar++);
			map2(t.ipa[level], t.at[level], 3, S2_RW);
		}
	}
	for (level = first; level < 3; level++) {
		descend(t.at[level], va, r->s1_tg, level, &at);
		put(at, t.ipa[level + 1] | 3);
	}
	descend(t.at[3], va, r->s1_tg, 3, &at);
	put(at, target | attr | 3);
	t.root = t.ipa[first];
	t.leaf = at;
	t.leaf_ipa = t.ipa[3] + (at - t.at[3]);
	return t;
}

static uint64_t cd_w0(unsigned int asid)
{
	unsigned int tg0 = r->s1_tg == 12 ? SMMU_TG_4K : r->s1_tg == 14 ? SMMU_TG_16K : SMMU_TG_64K;

	return FIELD_C(SMMU_CD_0_T0SZ, 16) | FIELD(SMMU_CD_0_TG0, (uint64_t)tg0) | SMMU_CD_0_EPD1 | SMMU_CD_0_V |
	       FIELD_C(SMMU_CD_0_IPS, 5) | SMMU_CD_0_AA64 | SMMU_CD_0_R | SMMU_CD_0_A | FIELD(SMMU_CD_0_ASID, (uint64_t)asid);
}

/* The CD table lies at its address for its owner as well. */
static void put_cd(unsigned int ssid, uint64_t w0, uint64_t root)
{
	put(r->cds + 64 * ssid, w0);
	put(r->cds + 64 * ssid + 8, root);
	if (r->nested)
		map2(r->cds, r->cds, 3, S2_RW);
}

static struct hw_result ask(uint32_t ssid, uint64_t va, uint8_t access)
{
	struct hw_request q = {.addr = va, .pasid = ssid ? ssid : NB_NO_PASID, .rid = SID, .access = access};
	struct hw_result res = {0};

	hw_translate(r->hw, &q, &res);
	return res;
}

static uint64_t pa_of(uint32_t ssid, uint64_t va, uint8_t access)
{
	struct hw_result res = ask(ssid, va, access);

	assert_int_equal(res.kind, HW_OK);
	return res.pa.v;
}

static uint64_t event_of(const struct hw_result *res)
{
	assert_int_equal(res->kind, HW_FAULT);
	return FIELD_GET(SMMU_EVT_0_ID, res->fault.record[0]);
}

#define VA	UINT64_C(0x123456789000)
#define IPA_PAGE UINT64_C(0x6dcba9876000)
#define PA_PAGE UINT64_C(0x7f1234567000)

/* ---- how many words ---- */

/* 4 on 4 levels: 4 (4 + 1) + 4 descriptors, and the CD's stage 2 before; and what the walk caches then leave of it. */
static void loads_of_nested_walks(void **state)
{
	struct s1_tables t;

	(void)state;
	start(true, 12, 12, true);
	nfar = 1;
	t = map1(VA, IPA_PAGE, S1_RW);
	put(t.leaf + 8, (IPA_PAGE + 0x1000) | S1_RW | 3);
	map2(IPA_PAGE, PA_PAGE, 3, S2_RW);
	map2(IPA_PAGE + 0x1000, PA_PAGE + 0x5000, 3, S2_RW);
	put_cd(0, cd_w0(1), t.root);
	r->loads = 0;
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	assert_int_equal(r->loads, 8 + 4 + 8 + 24);
	r->loads = 0;
	assert_int_equal(pa_of(0, VA | 0x123, HW_WRITE), PA_PAGE | 0x123);
	assert_int_equal(r->loads, 0);
	/* the next page: its descriptor, and its stage 2's in a table that is known */
	assert_int_equal(pa_of(0, VA + 0x1000, HW_READ), PA_PAGE + 0x5000);
	assert_int_equal(r->loads, 2);
}

static void loads_of_single_stages(void **state)
{
	struct s1_tables t;

	(void)state;
	start(false, 12, 12, true);
	t = map1(VA, PA_PAGE, S1_RW);
	put(t.leaf + 8, (PA_PAGE + 0x5000) | S1_RW | 3);
	put_cd(0, cd_w0(1), t.root);
	r->loads = 0;
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	assert_int_equal(r->loads, 8 + 8 + 4);
	r->loads = 0;
	assert_int_equal(pa_of(0, VA + 0x1000, HW_READ), PA_PAGE + 0x5000);
	assert_int_equal(r->loads, 1);
}

/* ---- what stays, and for whom ---- */

/* Nothing but an invalidation makes a unit forget: neither leaf nor tables are looked at again. */
static void stale_until_invalidated(void **state)
{
	struct s1_tables t;
	uint64_t leaf2;

	(void)state;
	start(true, 12, 12, false);
	nfar = 1;
	t = map1(VA, IPA_PAGE, S1_RW);
	leaf2 = map2(IPA_PAGE, PA_PAGE, 3, S2_RW);
	put_cd(0, cd_w0(1), t.root);
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	put(leaf2, (PA_PAGE + 0x3000) | S2_RW | 3);
	put(t.leaf, 0);
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	smmu_drop_caches(r->hw);
	put(t.leaf, IPA_PAGE | S1_RW | 3);
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE + 0x3000);
}

/* A 64 KiB stage 1 table over 4 KiB pages of stage 2 lies in pieces: what is known of one says nothing about the next. */
static void tables_in_pieces(void **state)
{
	const uint64_t va = UINT64_C(0x100000000), step = UINT64_C(0x10000) * 512;
	uint64_t root, l2, piece[4], i;
	uint64_t t_ipa[3];

	(void)state;
	start(true, 16, 12, false);
	for (i = 0; i < 3; i++)
		t_ipa[i] = UINT64_C(0x500000000000) + i * UINT64_C(0x10000000);
	root = room(12);
	l2 = room(12);
	map2(t_ipa[0] + 8 * (va >> 42), root, 3, S2_RW);
	map2(t_ipa[1] + 8 * (va >> 29 & 8191), l2, 3, S2_RW);
	put(root + (8 * (va >> 42) & 4095), t_ipa[1] | 3);
	put(l2 + (8 * (va >> 29 & 8191) & 4095), t_ipa[2] | 3);
	for (i = 0; i < 4; i++) {
		piece[3 - i] = room(12); /* not in order */
	}
	for (i = 0; i < 4; i++) {
		map2(t_ipa[2] + 4096 * i, piece[i], 3, S2_RW);
		put(piece[i], (UINT64_C(0x600000000000) + i * 0x10000) | S1_RW | 3);
		map2(UINT64_C(0x600000000000) + i * 0x10000, PA_PAGE + i * 0x1000, 3, S2_RW);
	}
	put_cd(0, cd_w0(1), t_ipa[0]);
	for (i = 0; i < 4; i++)
		assert_int_equal(pa_of(0, va + step * i, HW_READ), PA_PAGE + i * 0x1000);
}

/* nG 0: found by every ASID of the VMID, and of the same ASET only (3.17.1). */
static void global_entries(void **state)
{
	struct s1_tables with, without;

	(void)state;
	start(false, 12, 12, false);
	with = map1(VA, PA_PAGE, S1_RW & ~SMMU_PTE_NG);
	put(with.leaf + 8, PA_PAGE | S1_RW | 3);
	without = map1(VA + BIT(40), 0, 0);
	put_cd(1, cd_w0(1), with.root);
	put_cd(2, cd_w0(2), without.root);
	put_cd(3, cd_w0(3) | SMMU_CD_0_ASET, without.root);
	assert_int_equal(ask(2, VA, HW_READ).kind, HW_FAULT);
	assert_int_equal(pa_of(1, VA, HW_READ), PA_PAGE);
	assert_int_equal(pa_of(1, VA + 0x1000, HW_READ), PA_PAGE);
	assert_int_equal(pa_of(2, VA, HW_READ), PA_PAGE);
	assert_int_equal(ask(2, VA + 0x1000, HW_READ).kind, HW_FAULT);
	assert_int_equal(ask(3, VA, HW_READ).kind, HW_FAULT);
}

/* The contiguous hint: sixteen pages are one entry, so that a page whose descriptor nobody read is known. */
static void contiguous_groups(void **state)
{
	const uint64_t va = VA & ~UINT64_C(0xffff), pa = PA_PAGE & ~UINT64_C(0xffff);
	struct s1_tables t;
	struct hw_result res;

	(void)state;
	start(false, 12, 12, false);
	t = map1(va | 0x3000, pa | 0x3000, S1_RW | SMMU_PTE_CONT);
	put_cd(0, cd_w0(1), t.root);
	res = ask(0, va | 0x3008, HW_READ);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.lg2, 16);
	assert_int_equal(res.pa.v, pa | 0x3008);
	assert_int_equal(pa_of(0, va | 0xf010, HW_READ), pa | 0xf010);
	/* one whose output lies at another place in its group is taken for a page of its own */
	put(t.leaf, (pa | 0x4000) | S1_RW | SMMU_PTE_CONT | 3);
	smmu_drop_caches(r->hw);
	res = ask(0, va | 0x3008, HW_READ);
	assert_int_equal(res.lg2, 12);
	assert_int_equal(res.pa.v, pa | 0x4008);
}

/* Top byte ignore: whatever stands there, the TLB finds it; without TBI it is no address. */
static void top_bytes(void **state)
{
	struct s1_tables t;

	(void)state;
	start(false, 12, 12, true);
	t = map1(VA, PA_PAGE, S1_RW);
	put_cd(1, cd_w0(1) | SMMU_CD_0_TBI0, t.root);
	put_cd(2, cd_w0(2), t.root);
	assert_int_equal(pa_of(1, VA, HW_READ), PA_PAGE);
	assert_int_equal(pa_of(2, VA, HW_READ), PA_PAGE);
	r->loads = 0;
	assert_int_equal(pa_of(1, VA | UINT64_C(0xa5) << 56, HW_READ), PA_PAGE);
	assert_int_equal(r->loads, 0);
	assert_int_equal(ask(2, VA | UINT64_C(0xa5) << 56, HW_READ).kind, HW_FAULT);
}

/* A right that was taken away counts when the entry goes, not before; one that was given, too. */
static void rights_as_cached(void **state)
{
	struct s1_tables t;
	struct hw_result res;

	(void)state;
	start(false, 12, 12, false);
	t = map1(VA, PA_PAGE, S1_RW | SMMU_PTE_AP2);
	put_cd(0, cd_w0(1), t.root);
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	put(t.leaf, PA_PAGE | S1_RW | 3);
	res = ask(0, VA, HW_WRITE);
	assert_int_equal(event_of(&res), SMMU_EVT_PERMISSION);
	smmu_drop_caches(r->hw);
	assert_int_equal(pa_of(0, VA, HW_WRITE), PA_PAGE);
	put(t.leaf, PA_PAGE | S1_RW | SMMU_PTE_AP2 | 3);
	assert_int_equal(pa_of(0, VA, HW_WRITE), PA_PAGE);
}

/* ---- access flag and dirty state ---- */

#define HTTU (SMMU_CD_0_HA | SMMU_CD_0_HD)

/* A page read clean and then written: the dirty state is set although the translation was cached. */
static void dirty_after_clean(void **state)
{
	const uint64_t clean = (S1_RW & ~SMMU_PTE_AF) | SMMU_PTE_DBM | SMMU_PTE_AP2;
	struct s1_tables t;
	struct hw_result res;

	(void)state;
	start(false, 12, 12, false);
	t = map1(VA, PA_PAGE, clean);
	put_cd(0, cd_w0(1) | HTTU, t.root);
	res = ask(0, VA, HW_READ);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.perm & (HW_READ | HW_WRITE), HW_READ | HW_WRITE);
	assert_int_equal(get(t.leaf), PA_PAGE | clean | SMMU_PTE_AF | 3);
	assert_int_equal(pa_of(0, VA, HW_WRITE), PA_PAGE);
	assert_int_equal(get(t.leaf), (PA_PAGE | clean | SMMU_PTE_AF | 3) & ~SMMU_PTE_AP2);
	/* software cleans it, and forgets the TLB: no one sees the next write */
	put(t.leaf, PA_PAGE | clean | SMMU_PTE_AF | 3);
	assert_int_equal(pa_of(0, VA, HW_WRITE), PA_PAGE);
	assert_int_equal(get(t.leaf), PA_PAGE | clean | SMMU_PTE_AF | 3);
}

/* An update of a stage 1 descriptor is a write, for which stage 2 has to be asked (3.13.5): from a cached table, too. */
static void updates_ask_stage_2(void **state)
{
	const uint64_t young = S1_RW & ~SMMU_PTE_AF;
	struct s1_tables t;
	struct hw_result res;
	uint64_t table2, next;
	unsigned int cached;

	(void)state;
	start(true, 12, 12, false);
	nfar = 1;
	t = map1(VA, IPA_PAGE, young);
	next = t.leaf + 8;
	put(next, (IPA_PAGE + 0x1000) | S1_RW | 3);
	map2(IPA_PAGE, PA_PAGE, 3, S2_RW);
	map2(IPA_PAGE + 0x1000, PA_PAGE + 0x1000, 3, S2_RW);
	put_cd(0, cd_w0(1) | SMMU_CD_0_HA, t.root);
	table2 = map2(t.ipa[3], t.at[3], 3, S2_RW & ~SMMU_S2PTE_W);
	for (cached = 0; cached < 2; cached++) {
		smmu_drop_caches(r->hw);
		if (cached) /* the next page needs no update and leaves the table in the walk cache */
			assert_int_equal(pa_of(0, VA + 0x1000, HW_READ), PA_PAGE + 0x1000);
		res = ask(0, VA, HW_READ);
		assert_int_equal(event_of(&res), SMMU_EVT_PERMISSION);
		assert_true(res.fault.record[1] & SMMU_EVT_1_S2);
		assert_int_equal(FIELD_GET(SMMU_EVT_1_CLASS, res.fault.record[1]), SMMU_CLASS_TT);
		assert_false(res.fault.record[1] & SMMU_EVT_1_TTRNW);
		assert_true(res.fault.record[1] & SMMU_EVT_1_RNW);
		assert_int_equal(res.fault.record[3], t.leaf_ipa & SMMU_EVT_3_IPA);
		assert_int_equal(get(t.leaf), IPA_PAGE | young | 3);
	}
	/* writable-clean in stage 2: the table's page becomes dirty with it */
	put(r->ste + 16, get(r->ste + 16) | SMMU_STE_2_S2HA | SMMU_STE_2_S2HD);
	put(table2, get(table2) | SMMU_S2PTE_DBM);
	smmu_drop_caches(r->hw);
	assert_int_equal(pa_of(0, VA + 0x1000, HW_READ), PA_PAGE + 0x1000);
	assert_false(get(table2) & SMMU_S2PTE_W); /* read only, so far */
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE);
	assert_true(get(table2) & SMMU_S2PTE_W);
	assert_int_equal(get(t.leaf), IPA_PAGE | S1_RW | 3);
}

/* Whoever only looks leaves no trace; neither does a stage 1 descriptor of a transaction that faults. */
static void no_updates(void **state)
{
	const uint64_t young = (S1_RW & ~SMMU_PTE_AF) | SMMU_PTE_DBM | SMMU_PTE_AP2;
	struct hw_request q = {.addr = VA, .pasid = NB_NO_PASID, .rid = SID, .access = HW_WRITE, .flags = HW_OBSERVE};
	struct hw_result res = {0};
	struct s1_tables t;

	(void)state;
	start(true, 12, 12, false);
	nfar = 1;
	t = map1(VA, IPA_PAGE, young);
	put_cd(0, cd_w0(1) | HTTU, t.root);
	res = ask(0, VA, HW_WRITE); /* stage 2 has no such page */
	assert_int_equal(event_of(&res), SMMU_EVT_TRANSLATION);
	assert_int_equal(FIELD_GET(SMMU_EVT_1_CLASS, res.fault.record[1]), SMMU_CLASS_IN);
	assert_int_equal(res.fault.record[3], IPA_PAGE);
	assert_int_equal(get(t.leaf), IPA_PAGE | young | 3);
	map2(IPA_PAGE, PA_PAGE, 3, S2_RW);
	memset(&res, 0, sizeof(res));
	hw_translate(r->hw, &q, &res);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.pa.v, PA_PAGE);
	assert_int_equal(get(t.leaf), IPA_PAGE | young | 3);
}

/* Software changes a bit of its own by compare-exchange while the unit sets flags: nobody loses anything. */
static _Atomic bool racing;
static _Atomic unsigned int lost;
static void *scribble(void *opaque)
{
	uint64_t *p = opaque, n = 0;

	while (atomic_load(&racing)) {
		uint64_t was = __atomic_load_n(p, __ATOMIC_ACQUIRE);

		/* bits 58:55 are software's: a counter there, which nobody else may set back */
		if ((was >> 55 & 15) != n % 16)
			atomic_fetch_add(&lost, 1);
		n = was >> 55 & 15;
		if (__atomic_compare_exchange_n(p, &was, (was & ~BITS(58, 55)) | (n + 1) % 16 << 55, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			n++;
	}
	return NULL;
}

static void updates_race(void **state)
{
	const uint64_t clean = (S1_RW & ~SMMU_PTE_AF) | SMMU_PTE_DBM | SMMU_PTE_AP2;
	struct s1_tables t;
	uint64_t *word;
	unsigned int i;
	pthread_t th;

	(void)state;
	start(false, 12, 12, false);
	t = map1(VA, PA_PAGE, clean);
	put_cd(0, cd_w0(1) | HTTU, t.root);
	word = (uint64_t *)(void *)(r->buf + (t.leaf - BASE));
	atomic_store(&racing, true);
	assert_int_equal(pthread_create(&th, NULL, scribble, word), 0);
	for (i = 0; i < 20000; i++) {
		uint64_t e;

		__atomic_fetch_and(word, ~SMMU_PTE_AF, __ATOMIC_ACQ_REL);
		__atomic_fetch_or(word, SMMU_PTE_AP2, __ATOMIC_ACQ_REL);
		smmu_drop_caches(r->hw);
		assert_int_equal(pa_of(0, VA, i % 2 ? HW_WRITE : HW_READ), PA_PAGE);
		e = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		assert_true(e & SMMU_PTE_AF);
		assert_int_equal((e & SMMU_PTE_AP2) == 0, i % 2);
	}
	atomic_store(&racing, false);
	pthread_join(th, NULL);
	assert_int_equal(atomic_load(&lost), 0);
	assert_int_equal(*word & ~(BITS(58, 55) | SMMU_PTE_AP2), (PA_PAGE | clean | SMMU_PTE_AF | 3) & ~SMMU_PTE_AP2);
}

/* ---- threads ---- */

/*
 * When an invalidation and a grace period are over, nobody gets an older translation. Every change leads to a page further up;
 * each reader notes how far the changes were done before it asks.
 */
static _Atomic uint64_t done_with;
struct user {
	pthread_t th;
	_Atomic unsigned int asked;
	unsigned int wrong;
};
static void *use(void *opaque)
{
	struct user *u = opaque;

	while (atomic_load(&racing)) {
		uint64_t sure = atomic_load(&done_with), pa;

		nb_rcu_read_lock();
		pa = ask(0, VA, HW_READ).pa.v;
		nb_rcu_read_unlock();
		u->wrong += (pa & 0xfffff000) >> 12 < sure;
		atomic_fetch_add(&u->asked, 1);
	}
	return NULL;
}

static void invalidation_is_a_promise(void **state)
{
	const struct smmu_range va = {.first = VA, .last = VA | 0xfff, .leaf = true};
	struct smmu_range ipa = {.leaf = true};
	struct user users[2] = {0};
	unsigned int i, k, seen;
	struct s1_tables t;
	struct smmu *v;
	uint64_t s2_leaf[2];

	(void)state;
	start(true, 12, 12, false);
	v = to_smmu(r->hw);
	nfar = 1;
	t = map1(VA, IPA_PAGE, S1_RW);
	s2_leaf[0] = map2(IPA_PAGE, 0, 3, S2_RW);
	s2_leaf[1] = map2(IPA_PAGE + 0x1000, 0, 3, S2_RW);
	put_cd(0, cd_w0(1), t.root);
	atomic_store(&racing, true);
	atomic_store(&done_with, 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&users[i].th, NULL, use, &users[i]), 0);
	for (i = 1; i < 100; i++) {
		/* the page that stage 1 does not lead to gets a new output; then stage 1 leads to it, or stage 2 changes under it */
		unsigned int page = i / 2 % 2;
		uint64_t out = (uint64_t)i << 12 | S2_RW | 3;

		__atomic_store_n((uint64_t *)(void *)(r->buf + (s2_leaf[page] - BASE)), out, __ATOMIC_RELEASE);
		ipa.first = IPA_PAGE + 0x1000 * page;
		ipa.last = ipa.first | 0xfff;
		smmu_inval_begin(v);
		smmu_tlbi_ipa(v, 5, &ipa);
		smmu_inval_end(v);
		__atomic_store_n((uint64_t *)(void *)(r->buf + (t.leaf - BASE)), ipa.first | S1_RW | 3, __ATOMIC_RELEASE);
		smmu_inval_begin(v);
		smmu_tlbi_va(v, SMMU_R_EL1, 5, 1, &va);
		smmu_inval_end(v);
		nb_rcu_synchronize();
		atomic_store(&done_with, i);
		for (k = 0; k < 2; k++) /* one of the two that this one asks begins after the change */
			for (seen = atomic_load(&users[k].asked); atomic_load(&users[k].asked) - seen < 2;)
				sched_yield();
	}
	atomic_store(&racing, false);
	for (i = 0; i < 2; i++)
		pthread_join(users[i].th, NULL);
	assert_int_equal(users[0].wrong + users[1].wrong, 0);
}

/* ---- telling ---- */

struct told {
	unsigned int n, stage1, stage2, config;
	struct hw_step last1;
};

static void note(void *opaque, const struct hw_step *s)
{
	struct told *t = opaque;

	t->n++;
	t->config += s->stage == 0;
	t->stage1 += s->stage == 1;
	t->stage2 += s->stage == 2;
	if (s->stage == 1)
		t->last1 = *s;
}

static void steps_of_a_walk(void **state)
{
	struct hw_request q = {.addr = VA, .pasid = NB_NO_PASID, .rid = SID, .access = HW_READ};
	struct hw_result res = {0};
	struct told told = {0};
	struct s1_tables t;

	(void)state;
	start(true, 12, 12, false);
	nfar = 1;
	t = map1(VA, IPA_PAGE, S1_RW);
	map2(IPA_PAGE, PA_PAGE, 3, S2_RW);
	put_cd(0, cd_w0(1), t.root);
	assert_int_equal(pa_of(0, VA, HW_READ), PA_PAGE); /* caches make no difference */
	r->hw->ops->walk(r->hw, &q, note, &told, &res);
	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.pa.v, PA_PAGE);
	assert_int_equal(told.config, 2);
	assert_int_equal(told.stage1, 4);
	assert_int_equal(told.stage2, 4 + 16 + 4);
	assert_string_equal(told.last1.name, "stage 1 level 3 descriptor");
	assert_int_equal(told.last1.level, 1);
	assert_int_equal(told.last1.pa.v, t.leaf);
	assert_true(told.last1.gpa_valid);
	assert_int_equal(told.last1.gpa.v, t.leaf_ipa);
	assert_string_equal(told.last1.fields, "page AP 1 AF nG AttrIndx 0 -> 0x6dcba9876000");
}

/* The words for an entry fit, whatever it holds. */
static void words_fit(void **state)
{
	uint64_t q[8];
	char text[200];
	unsigned int i;

	(void)state;
	memset(q, 0xff, sizeof(q));
	smmu_text_ste(text, q);
	assert_string_equal(text, "V nested S1CDMax=31 S1DSS=3 -> 0xffffffffffffc0 S2T0SZ=63 S2SL0=3 S2TG=reserved S2PS=reserved "
			    "S2TTB 0xffffffffffff0 S2VMID=65535 EATS=3");
	smmu_text_cd(text, q);
	assert_string_equal(text, "V ASID=65535 AA64 HA HD EPD0 T0SZ=63 TG0=reserved TTB0 0xffffffffffff0 T1SZ=63 EPD1 "
			    "TTB1 0xffffffffffff0 IPS=reserved A R S");
	for (i = 0; i < 3; i++) {
		static const char *const granule[] = {"4K", "64K", "16K"}, *const size[] = {"32", "36", "40"};

		memset(q, 0, sizeof(q));
		q[0] = BIT(31) | i << 6 | (uint64_t)i << 32;
		smmu_text_cd(text, q);
		assert_non_null(strstr(strstr(text, " TG0="), granule[i]));
		assert_non_null(strstr(strstr(text, " IPS="), size[i]));
		q[0] = 1 | 6 << 1;
		q[2] = (uint64_t)i << 46 | (uint64_t)i << 48;
		smmu_text_ste(text, q);
		assert_non_null(strstr(strstr(text, " S2TG="), granule[i]));
		assert_non_null(strstr(strstr(text, " S2PS="), size[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(loads_of_nested_walks, stop),
		cmocka_unit_test_teardown(loads_of_single_stages, stop),
		cmocka_unit_test_teardown(stale_until_invalidated, stop),
		cmocka_unit_test_teardown(tables_in_pieces, stop),
		cmocka_unit_test_teardown(global_entries, stop),
		cmocka_unit_test_teardown(contiguous_groups, stop),
		cmocka_unit_test_teardown(top_bytes, stop),
		cmocka_unit_test_teardown(rights_as_cached, stop),
		cmocka_unit_test_teardown(dirty_after_clean, stop),
		cmocka_unit_test_teardown(updates_ask_stage_2, stop),
		cmocka_unit_test_teardown(no_updates, stop),
		cmocka_unit_test_teardown(updates_race, stop),
		cmocka_unit_test_teardown(invalidation_is_a_promise, stop),
		cmocka_unit_test_teardown(steps_of_a_walk, stop),
		cmocka_unit_test(words_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
