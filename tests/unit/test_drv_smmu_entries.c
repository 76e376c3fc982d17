/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STEs and CDs: bits by hand, and the writer over all pairs of configurations. Hardware is played as the architecture allows it: it
 * may use each word as it was at the last sync or as it is, in any mixture, after every store.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "drv/smmuv3/entries.h"

#define Q(e, n, v) assert_int_equal((e).q[n], UINT64_C(v))

static void rest_zero(const struct dsmmu_entry *e, unsigned int from)
{
	for (; from < DSMMU_ENTRY_WORDS; from++)
		assert_int_equal(e->q[from], 0);
}

/* IHI 0070 5.2, written out. */
static void ste_bits(void **state)
{
	const struct dsmmu_ste_common plain = {0}, all = {.ats = true, .shcfg = true};
	struct dsmmu_s1_args s1 = {.cdtab = {0x123456789fc0}, .fmt = 2, .cdmax = 20, .dss = 2, .el2 = true, .no_stall = true};
	struct dsmmu_s2_args s2 = {.t = {.root = {0xabcdef123000}, .ia_bits = 48, .tg = SMMU_TG_4K, .ps = 5, .coherent = true},
				   .sl0 = 2, .vmid = 0x1234};
	uint64_t vste[2] = {UINT64_C(0xa000000000000000) | 0xfedcba987640 | 0x1b, 0x0800015d};
	struct dsmmu_entry e;

	(void)state;
	dsmmu_ste_make_abort(&e);
	Q(e, 0, 1);
	rest_zero(&e, 1);
	dsmmu_ste_make_bypass(&e, &plain);
	Q(e, 0, 9);
	rest_zero(&e, 1);
	dsmmu_ste_make_bypass(&e, &all);
	Q(e, 1, 0x0000100000000000); /* no EATS */

	dsmmu_ste_make_s1(&e, &all, &s1);
	Q(e, 0, 0xa000123456789feb); /* S1CDMax 20, S1Fmt 2, Config 5, V */
	Q(e, 1, 0x00000000980000d6); /* STRW 2, EATS 1, S1STALLD, CSH 3, COR 1, CIR 1, DSS 2 */
	rest_zero(&e, 2);
	s1.dss = 1;
	s1.el2 = s1.no_stall = false;
	dsmmu_ste_make_s1(&e, &all, &s1);
	Q(e, 1, 0x00001000100000d5); /* SHCFG with a bypass only */

	dsmmu_ste_make_s2(&e, &all, &s2);
	Q(e, 0, 0xd);
	Q(e, 1, 0x0000100010000000);
	/* S2R 58, S2PTW 54, S2AA64 51, S2PS 5, S2TG 0, SH0 3, OR0 1, IR0 1, SL0 2, T0SZ 16, VMID */
	Q(e, 2, 0x044d359000001234);
	Q(e, 3, 0x0000abcdef123000);
	rest_zero(&e, 4);
	s2.fwb = s2.stall = true;
	s2.t.coherent = false;
	s2.t.tg = SMMU_TG_64K;
	dsmmu_ste_make_s2(&e, &plain, &s2);
	Q(e, 1, 0x0000000002000000);
	Q(e, 2, 0x064d609000001234); /* S2S; outer shareable, not cached; S2TG 1 */

	s2.fwb = s2.stall = false;
	dsmmu_ste_make_nested(&e, &plain, &s2, vste);
	Q(e, 0, 0xa000fedcba98765f); /* the guest's pointer, format and size, Config 7 */
	Q(e, 1, 0x000000000808005d); /* the guest's S1STALLD, CSH, COR, CIR, DSS without EATS; MEV */
	Q(e, 2, 0x044d609000001234);
	Q(e, 3, 0x0000abcdef123000);
}

/* 5.4 */
static void cd_bits(void **state)
{
	struct dsmmu_cd_args a = {.t = {.root = {0xabcdef123000}, .ia_bits = 48, .tg = SMMU_TG_4K, .ps = 5, .coherent = true},
				  .asid = 0x1234};
	struct dsmmu_entry e;

	(void)state;
	dsmmu_cd_make_s1(&e, &a);
	/* ASID 63:48, ASET 47, A 46, R 45, AA64 41, IPS 5, V 31, EPD1 30, SH0 3, OR0 1, IR0 1, TG0 0, T0SZ 16 */
	Q(e, 0, 0x1234e205c0003510);
	Q(e, 1, 0x0000abcdef123000);
	Q(e, 2, 0);
	Q(e, 3, 0xf404ff44);
	rest_zero(&e, 4);
	a.dirty = a.stall = true;
	a.t.tg = SMMU_TG_16K;
	a.t.coherent = false;
	dsmmu_cd_make_s1(&e, &a);
	Q(e, 0, 0x1234fe05c0002090); /* HD 42, HA 43, S 44; SH 2, TG0 2 */
}

/* ---- the writer ---- */

struct bench {
	const struct dsmmu_writer *w;
	struct dsmmu_entry old, new, synced;
	le64_t live[DSMMU_ENTRY_WORDS];
	unsigned int syncs;
	bool went_invalid;
};

static const char *name_of(const struct dsmmu_entry *e, char *buf)
{
	snprintf(buf, 64, "{%#lx, %#lx, %#lx, %#lx}", (unsigned long)e->q[0], (unsigned long)e->q[1], (unsigned long)e->q[2],
		 (unsigned long)e->q[3]);
	return buf;
}

/* What hardware makes of it: the bits that it looks at. */
static void seen(const struct bench *b, const struct dsmmu_entry *e, struct dsmmu_entry *out)
{
	unsigned int i;

	b->w->used(e, out);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		out->q[i] &= e->q[i];
}

/* Same, apart from bits that may change at any time, which are one's or the other's. */
static bool is_one_of(const struct bench *b, const struct dsmmu_entry *view)
{
	struct dsmmu_entry v, o, n, safe = {{0}};
	bool is_old = true, is_new = true;
	unsigned int i;

	seen(b, view, &v);
	seen(b, &b->old, &o);
	seen(b, &b->new, &n);
	if (b->w->safe)
		b->w->safe(&b->old, &b->new, &safe);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++) {
		is_old &= ((v.q[i] ^ o.q[i]) & ~safe.q[i]) == 0;
		is_new &= ((v.q[i] ^ n.q[i]) & ~safe.q[i]) == 0;
		if (((v.q[i] ^ o.q[i]) & (v.q[i] ^ n.q[i]) & safe.q[i]) != 0)
			return false;
	}
	return is_old || is_new;
}

static bool valid(const struct bench *b, const struct dsmmu_entry *e)
{
	return e->q[0] & (b->w->used == dsmmu_ste_used ? SMMU_STE_0_V : SMMU_CD_0_V);
}

/* 5.2.2: a stage 2 that stalls does not go with ATS. Stated here once more: is_one_of() believes the driver's idea of what is safe. */
static bool illegal(const struct bench *b, const struct dsmmu_entry *e)
{
	return b->w->used == dsmmu_ste_used && (e->q[0] & 0xd) == 0xd && (e->q[1] >> 28 & 3) && (e->q[2] >> 57 & 1);
}

/* Every mixture of words that hardware may have read since the last sync. */
static void look(struct bench *b)
{
	unsigned int differ = 0, mask, i;
	char x[64], y[64], z[64];

	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		if (cpu64(b->live[i]) != b->synced.q[i])
			differ |= 1u << i;
	for (mask = differ;; mask = (mask - 1) & differ) {
		struct dsmmu_entry view = b->synced;

		for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
			if (mask & 1u << i)
				view.q[i] = cpu64(b->live[i]);
		if (!valid(b, &view) && valid(b, &b->old) && valid(b, &b->new))
			b->went_invalid = true;
		else if (!is_one_of(b, &view) || illegal(b, &view))
			fail_msg("from %s to %s hardware may see %s", name_of(&b->old, x), name_of(&b->new, y), name_of(&view, z));
		if (mask == 0)
			return;
	}
}

static void sync_bench(void *opaque)
{
	struct bench *b = opaque;
	unsigned int i;

	look(b);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		b->synced.q[i] = cpu64(b->live[i]);
	look(b);
	b->syncs++;
}

/* From one to the other; true if it was hitless. */
static bool walk(void (*used)(const struct dsmmu_entry *, struct dsmmu_entry *),
		 void (*safe)(const struct dsmmu_entry *, const struct dsmmu_entry *, struct dsmmu_entry *),
		 const struct dsmmu_entry *old, const struct dsmmu_entry *new, unsigned int *syncs)
{
	struct bench b = {.old = *old, .new = *new, .synced = *old};
	const struct dsmmu_writer w = {used, safe, sync_bench, &b};
	char x[64], y[64];
	unsigned int i;
	bool hitless;

	b.w = &w;
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		b.live[i] = le64(old->q[i]);
	hitless = dsmmu_entry_write(b.live, new, &w);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++) {
		if (cpu64(b.live[i]) != new->q[i] || b.synced.q[i] != new->q[i])
			fail_msg("from %s to %s word %u is not the new one's, or not synced", name_of(old, x), name_of(new, y), i);
	}
	if (hitless == b.went_invalid)
		fail_msg("from %s to %s: hitless %d, but seen invalid %d", name_of(old, x), name_of(new, y), hitless,
			 b.went_invalid);
	assert_true(b.syncs <= 3);
	*syncs = b.syncs;
	return hitless;
}

#define MAX_CONFS 512
static struct dsmmu_entry ste[MAX_CONFS], cd[MAX_CONFS];
static unsigned int nste, ncd;

static void add_ste(const struct dsmmu_entry *e)
{
	assert_true(nste < MAX_CONFS);
	ste[nste++] = *e;
}

static void make_stes(void)
{
	static const uint64_t roots[] = {0x10000, 0xfffffffff000};
	unsigned int i, k;
	struct dsmmu_entry e = {{0}};

	nste = 0;
	add_ste(&e); /* V = 0 */
	dsmmu_ste_make_abort(&e);
	add_ste(&e);
	for (i = 0; i < 2; i++) {
		dsmmu_ste_make_bypass(&e, &(struct dsmmu_ste_common){.shcfg = i});
		add_ste(&e);
	}
	for (i = 0; i < 64; i++) { /* bits of i: ats, pointer and format, stalld, el2; DSS */
		struct dsmmu_s1_args s1 = {.cdtab = {roots[i >> 1 & 1]}, .fmt = i & 2, .cdmax = (uint8_t)(i & 2 ? 16 : 0),
					   .no_stall = i & 4, .el2 = i & 8, .dss = (uint8_t)(i >> 4)};

		if (s1.dss == 3)
			break;
		dsmmu_ste_make_s1(&e, &(struct dsmmu_ste_common){.ats = i & 1, .shcfg = true}, &s1);
		add_ste(&e);
	}
	for (i = 0; i < 64; i++) { /* ats, VMID, root, fwb, stall, granule; and nested over each */
		struct dsmmu_s2_args s2 = {.t = {.root = {roots[i >> 2 & 1]}, .ia_bits = 40, .tg = (uint8_t)(i >> 5 & 1), .ps = 5,
						 .coherent = true},
					   .sl0 = 1, .vmid = (uint16_t)(1 + (i >> 1 & 1)), .fwb = i & 8, .stall = i & 16};
		struct dsmmu_ste_common c = {.ats = (i & 1) && !s2.stall, .shcfg = true};

		dsmmu_ste_make_s2(&e, &c, &s2);
		add_ste(&e);
		for (k = 0; k < 4 && i < 32; k++) { /* the guest's pointer; its S1DSS, S1STALLD and attributes */
			const uint64_t vste[2] = {k & 1 ? 0x7ffc0 | BIT(63) : 0x100040, k & 2 ? 0x080000a9 : 0x2};

			dsmmu_ste_make_nested(&e, &c, &s2, vste);
			add_ste(&e);
		}
	}
}

static void make_cds(void)
{
	struct dsmmu_entry e = {{0}};
	unsigned int i;

	ncd = 0;
	cd[ncd++] = e;
	for (i = 0; i < 64; i++) { /* ASID, root, dirty, stall, width, granule */
		struct dsmmu_cd_args a = {.t = {.root = {i & 2 ? 0xfff0000 : 0x20000}, .ia_bits = (uint8_t)(i & 16 ? 48 : 39),
						.tg = (uint8_t)(i >> 5 & 1), .ps = 5, .coherent = true},
					  .asid = (uint16_t)(1 + (i & 1)), .dirty = i & 4, .stall = i & 8};

		dsmmu_cd_make_s1(&e, &a);
		cd[ncd++] = e;
		e.q[0] |= SMMU_CD_0_EPD0; /* as Linux has when a process's table is gone: the range is not walked */
		e.q[0] &= ~(SMMU_CD_0_T0SZ | SMMU_CD_0_TG0 | SMMU_CD_0_IR0 | SMMU_CD_0_OR0 | SMMU_CD_0_SH0);
		e.q[1] = 0;
		cd[ncd++] = e;
	}
}

static void all_pairs(void **state)
{
	unsigned int i, k, syncs, hitless = 0, total = 0;

	(void)state;
	make_stes();
	for (i = 0; i < nste; i++)
		for (k = 0; k < nste; k++, total++)
			hitless += walk(dsmmu_ste_used, dsmmu_ste_safe, &ste[i], &ste[k], &syncs);
	assert_true(hitless > total / 20 && hitless < total);
	make_cds();
	for (i = 0; i < ncd; i++)
		for (k = 0; k < ncd; k++)
			walk(dsmmu_cd_used, NULL, &cd[i], &cd[k], &syncs);
	/* From what is not there, and back, always. */
	for (i = 0; i < nste; i++) {
		assert_true(walk(dsmmu_ste_used, dsmmu_ste_safe, &ste[0], &ste[i], &syncs));
		assert_true(walk(dsmmu_ste_used, dsmmu_ste_safe, &ste[i], &ste[1], &syncs));
	}
}

/* Which transitions devices do not notice, and how many syncs they take. */
static void known_transitions(void **state)
{
	const struct dsmmu_ste_common c = {.shcfg = true}, ats = {.ats = true, .shcfg = true};
	const struct dsmmu_s1_args s1 = {.cdtab = {0x40000}, .dss = SMMU_S1DSS_SSID0}, s1t = {.cdtab = {0x40000}},
				   s1b = {.cdtab = {0x40000}, .dss = SMMU_S1DSS_BYPASS};
	const struct dsmmu_s2_args s2 = {.t = {.root = {0x80000}, .ia_bits = 48, .coherent = true}, .sl0 = 2, .vmid = 1},
				   s2b = {.t = {.root = {0x90000}, .ia_bits = 48, .coherent = true}, .sl0 = 2, .vmid = 2};
	const uint64_t vste[2] = {0x1000 << 6, 2}, ptr[2] = {0x2000 << 6, 2}, ptr_dss[2] = {0x2000 << 6, 0};
	struct dsmmu_entry abort, bypass, one, one_ats, one_t, one_b, two, two_ats, two_b, nested, nested_ptr, nested_both, none = {{0}};
	struct dsmmu_entry cd_a, cd_b, cd_c;
	struct dsmmu_cd_args a = {.t = {.root = {0x50000}, .ia_bits = 48}, .asid = 1};
	unsigned int n;

	(void)state;
	dsmmu_ste_make_abort(&abort);
	dsmmu_ste_make_bypass(&bypass, &c);
	dsmmu_ste_make_s1(&one, &c, &s1);
	dsmmu_ste_make_s1(&one_ats, &ats, &s1);
	dsmmu_ste_make_s1(&one_t, &c, &s1t);
	dsmmu_ste_make_s1(&one_b, &c, &s1b);
	dsmmu_ste_make_s2(&two, &c, &s2);
	dsmmu_ste_make_s2(&two_ats, &ats, &s2);
	dsmmu_ste_make_s2(&two_b, &c, &s2b);
	dsmmu_ste_make_nested(&nested, &c, &s2, vste);
	dsmmu_ste_make_nested(&nested_ptr, &c, &s2, ptr);
	dsmmu_ste_make_nested(&nested_both, &c, &s2, ptr_dss);
#define STE(from, to) walk(dsmmu_ste_used, dsmmu_ste_safe, &from, &to, &n)
#define HITLESS(from, to, syncs) do { assert_true(STE(from, to)); assert_int_equal(n, syncs); } while (0)
	HITLESS(abort, one, 2);
	HITLESS(one, abort, 2);
	HITLESS(abort, two, 2);
	HITLESS(two, abort, 2);
	HITLESS(abort, bypass, 2);
	HITLESS(bypass, one, 3); /* SHCFG goes when nobody looks at it */
	HITLESS(one, bypass, 3);
	HITLESS(abort, nested, 2);
	HITLESS(two, nested, 2);
	HITLESS(nested, two, 3); /* MEV, then Config, then what is left of the guest */
	HITLESS(nested, nested_ptr, 1);
	HITLESS(one_t, one, 1);
	HITLESS(one, one_b, 1);
	HITLESS(one, one_ats, 1);
	HITLESS(two_ats, two, 1);
	HITLESS(two, two, 0);
	HITLESS(none, two, 2);
	assert_false(STE(nested, nested_both));
	assert_int_equal(n, 3);
	assert_false(STE(one, two));
	assert_false(STE(one, nested));
	assert_false(STE(two, two_b));
	assert_int_equal(n, 3);

	dsmmu_cd_make_s1(&cd_a, &a);
	a.asid = 2;
	dsmmu_cd_make_s1(&cd_c, &a);
	a.t.root.v = 0x60000;
	dsmmu_cd_make_s1(&cd_b, &a);
	assert_true(walk(dsmmu_cd_used, NULL, &none, &cd_a, &n));
	assert_true(walk(dsmmu_cd_used, NULL, &cd_a, &none, &n));
	assert_true(walk(dsmmu_cd_used, NULL, &cd_c, &cd_b, &n)); /* another table, the same ASID */
	assert_false(walk(dsmmu_cd_used, NULL, &cd_a, &cd_b, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ste_bits), cmocka_unit_test(cd_bits), cmocka_unit_test(all_pairs),
		cmocka_unit_test(known_transitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
