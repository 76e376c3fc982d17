/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caches keep everything until an invalidation that covers it, and each invalidation removes exactly what the manual's
 * tables in 6.5.2 say. A stale translation is the expected result here as often as a fresh one.
 */
#include "hw_vtd_rig.h"

#include <pthread.h>
#include <sched.h>

#include "base/alloc.h"

#define NOP NB_NO_PASID
#define A   UINT64_C(0x7f1234567000)
#define B   (A + 4096) /* in another group of 8 pages, but in the same 256 KiB */
#define RID2 0x0118

struct world {
	struct rig r;
	uint64_t ss, fs;     /* tables */
	uint64_t a[2], b[2]; /* pages: old and new target of A and B */
};

/* First stage maps A and B; nested below when `nested`. Domain 5; PASID 1 and the RID share the tables. */
static void world_new(struct world *w, unsigned int pgtt)
{
	struct vtd_caps c;
	unsigned int i;

	vtd_caps_all(&c);
	rig_new_caps(&w->r, &c);
	rig_queue(&w->r, true);
	sm_device(&w->r, RIG_RID, VTD_SCTX_0_PASIDE, 0);
	sm_device(&w->r, RID2, VTD_SCTX_0_PASIDE, 0);
	rig_on(&w->r, VTD_TTM_SCALABLE);
	for (i = 0; i < 2; i++) {
		w->a[i] = rig_page(&w->r);
		w->b[i] = rig_page(&w->r);
	}
	w->fs = rig_page(&w->r);
	if (pgtt == VTD_PGTT_SS) {
		w->ss = rig_page(&w->r);
		ss_map(&w->r, w->ss, 4, 1, A, w->a[0] | SS_RW);
		ss_map(&w->r, w->ss, 4, 1, B, w->b[0] | SS_RW);
	} else {
		w->ss = ss_all(&w->r, 4);
		fs_map(&w->r, w->fs, 4, 1, A, (w->a[0] + RIG_GPA) | FS_U_RW, RIG_GPA);
		fs_map(&w->r, w->fs, 4, 1, B, (w->b[0] + RIG_GPA) | FS_U_RW, RIG_GPA);
	}
	for (i = 0; i < 3; i++)
		sm_pasid(&w->r, i, PGTT(pgtt) | AW(VTD_AW_48) | w->ss, (i == 2 ? 6 : 5) | VTD_PASID_1_PWSNP,
			 pgtt == VTD_PGTT_SS ? 0 : w->fs + RIG_GPA);
}

/* Change the leaves behind the unit's back. */
static void fs_leaf(struct world *w, unsigned int i)
{
	fs_map(&w->r, w->fs, 4, 1, A, (w->a[i] + RIG_GPA) | FS_U_RW, RIG_GPA);
	fs_map(&w->r, w->fs, 4, 1, B, (w->b[i] + RIG_GPA) | FS_U_RW, RIG_GPA);
}
static void touch(struct world *w)
{
	uint32_t p;

	for (p = 0; p < 3; p++) {
		(void)ask(&w->r, RIG_RID, p ? p : NOP, A, HW_WRITE, 0);
		(void)ask(&w->r, RIG_RID, p ? p : NOP, B, HW_WRITE, 0);
	}
}
/* Which of A and B, for PASID 0 (as RID), 1 and 2, are answered anew: bits 0..5. */
static unsigned int fresh(struct world *w)
{
	unsigned int bits = 0;
	uint32_t p;

	for (p = 0; p < 3; p++) {
		if (ask(&w->r, RIG_RID, p ? p : NOP, A, HW_READ, 0).pa.v == w->a[1])
			bits |= 1u << (2 * p);
		if (ask(&w->r, RIG_RID, p ? p : NOP, B, HW_READ, 0).pa.v == w->b[1])
			bits |= 2u << (2 * p);
	}
	return bits;
}

static void test_iotlb_nested(void **state)
{
	/* what to send after a change of first-stage leaves, and what must be seen anew */
	const struct {
		const char *what;
		uint64_t q0, q1;
		unsigned int want;
	} cases[] = {
		{"nothing", d_cc(VTD_INV_CC_GLOBAL, 0, 0), 0, 0},
		{"PASID cache", d_pc(VTD_INV_PC_GLOBAL, 0, 0), 0, 0},
		{"one page of PASID 0", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), A, 001},
		{"one page of PASID 1, hint", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), B | VTD_INV_PIOTLB_1_IH, 010},
		{"A's pair of pages", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), (A & ~8191ul) | 1, 004},
		{"A's four pages", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), (A & ~16383ul) | 2, 004},
		{"1 GiB", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), (A & ~(BIT(30) - 1)) | 18, 014},
		{"everything by mask", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), 63, 014},
		{"bits above 47 are not looked at", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), A | BITS(63, 48), 004},
		{"whole PASID", d_piotlb(VTD_INV_PIOTLB_PASID, 5, 1), 0, 014},
		{"PASID of another domain", d_piotlb(VTD_INV_PIOTLB_PASID, 6, 1), 0, 0},
		{"domain 6", d_iotlb(VTD_INV_IOTLB_DOMAIN, 6), 0, 060},
		{"domain 5", d_iotlb(VTD_INV_IOTLB_DOMAIN, 5), 0, 017},
		{"one second-stage page of domain 5", d_iotlb(VTD_INV_IOTLB_PAGE, 5), 0x5000 | VTD_INV_IOTLB_1_IH, 017},
		{"global", d_iotlb(VTD_INV_IOTLB_GLOBAL, 0), 0, 077},
	};
	struct world w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int got, want = cases[i].want;

		world_new(&w, VTD_PGTT_NESTED);
		touch(&w);
		fs_leaf(&w, 1);
		assert_int_equal(fresh(&w), 0);
		INV(&w.r, cases[i].q0, cases[i].q1);
		got = fresh(&w);
		if (got != want)
			fail_msg("%s: %03o is fresh, not %03o", cases[i].what, got, want);
		rig_free(&w.r);
	}
}

/* IH keeps the paging-structure caches: a page table that was replaced stays in use. */
static void test_structures_nested(void **state)
{
	const struct {
		uint64_t q0, q1;
		unsigned int want;
	} cases[] = {
		{d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), A | VTD_INV_PIOTLB_1_IH, 0},
		{d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), A, 004},
		{d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 1), A ^ BIT(21), 0},
		{d_piotlb(VTD_INV_PIOTLB_PASID, 5, 1), 0, 014},
		{d_iotlb(VTD_INV_IOTLB_PAGE, 5), VTD_INV_IOTLB_1_IH, 017},
		{d_iotlb(VTD_INV_IOTLB_DOMAIN, 5), 0, 017},
	};
	struct world w;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t pt, k;

		world_new(&w, VTD_PGTT_NESTED);
		touch(&w);
		pt = rig_page(&w.r); /* a new page table */
		for (k = 0; k < 512; k++)
			w64(&w.r, pt + 8 * k, (w.b[1] + RIG_GPA) | FS_U_RW | VTD_FSPTE_A);
		w64(&w.r, pt + ((A >> 12) & 511) * 8, (w.a[1] + RIG_GPA) | FS_U_RW | VTD_FSPTE_A);
		w64(&w.r, entry_at(&w.r, w.fs, 4, 2, A, 0, RIG_GPA), (pt + RIG_GPA) | FS_U_RW);
		INV(&w.r, cases[i].q0, cases[i].q1);
		assert_int_equal(fresh(&w), cases[i].want);
		rig_free(&w.r);
	}
}

/* Second-stage changes under nested translations. */
static void test_second_stage_under_nested(void **state)
{
	struct world w;
	uint64_t at;

	(void)state;
	world_new(&w, VTD_PGTT_NESTED);
	touch(&w);
	at = entry_at(&w.r, w.ss, 4, 1, w.a[0] + RIG_GPA, 0, 0);
	w64(&w.r, at, w.a[1] | SS_RW);
	assert_int_equal(fresh(&w), 0);
	/* PASID-selective leaves the translation of the guest-physical page: still stale */
	INV(&w.r, d_piotlb(VTD_INV_PIOTLB_PASID, 5, 1), 0);
	assert_int_equal(fresh(&w), 0);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_PAGE, 5), (w.b[0] + RIG_GPA) | VTD_INV_IOTLB_1_IH); /* another page */
	assert_int_equal(fresh(&w), 0);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_PAGE, 5), (w.a[0] + RIG_GPA) | VTD_INV_IOTLB_1_IH);
	assert_int_equal(fresh(&w), 005);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_PAGE, 6), (w.a[0] + RIG_GPA) | VTD_INV_IOTLB_1_IH);
	assert_int_equal(fresh(&w), 025);
	at = entry_at(&w.r, w.ss, 4, 1, w.b[0] + RIG_GPA, 0, 0);
	w64(&w.r, at, w.b[1] | SS_RW);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_DOMAIN, 5), 0);
	assert_int_equal(fresh(&w), 037);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_GLOBAL, 0), 0);
	assert_int_equal(fresh(&w), 077);
	rig_free(&w.r);
}

/* Both ends of a range that is compared with every entry rather than looked up page by page. */
static void test_range_ends(void **state)
{
	const uint64_t first = A & ~(BIT(30) - 1), last = A | (BIT(30) - 4096);
	const struct {
		uint64_t addr;
		bool fresh;
	} pages[] = {{first - 4096, false}, {first, true}, {A, true}, {last & ~4095ul, true}, {last + 4096, false}};
	struct world w;
	size_t i, pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		world_new(&w, pass ? VTD_PGTT_SS : VTD_PGTT_NESTED);
		for (i = 0; i < 2 * ARRAY_SIZE(pages); i++) {
			uint64_t to = i < ARRAY_SIZE(pages) ? 0 : 1, at = pages[i % ARRAY_SIZE(pages)].addr & ~4095ul;

			if (pass)
				ss_map(&w.r, w.ss, 4, 1, at, w.a[to] | SS_RW);
			else
				fs_map(&w.r, w.fs, 4, 1, at, (w.a[to] + RIG_GPA) | FS_U_RW, RIG_GPA);
			if (!to)
				GOES(&w.r, NOP, at, HW_READ, w.a[0]);
		}
		INV(&w.r, pass ? d_iotlb(VTD_INV_IOTLB_PAGE, 5) : d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), first | 18);
		for (i = 0; i < ARRAY_SIZE(pages); i++)
			GOES(&w.r, NOP, pages[i].addr & ~4095ul, HW_READ, w.a[pages[i].fresh]);
		rig_free(&w.r);
	}
}

/*
 * A walk that an invalidation overtakes: the page table is a device that, when its entry is read, lets another thread
 * change the entry and invalidate it, and then answers with the old one. Nothing of that walk may stay.
 */
struct trap {
	struct world *w;
	uint64_t entry, change_to, q0, q1;
	bool armed;
	uint64_t more[7]; /* words behind the entry */
	uint64_t fires_at; /* offset of the word whose read sets it off: the 128 bits of the first are read together */
};
static void *overtake(void *arg)
{
	struct trap *x = arg;

	assert_true(inv(&x->w->r, x->q0, x->q1));
	return NULL;
}
static uint64_t trap_read(void *opaque, uint64_t off, unsigned int size)
{
	struct trap *x = opaque;
	uint64_t was = x->entry;
	pthread_t t;

	(void)size;
	if (x->armed && off == x->fires_at) {
		x->armed = false;
		x->entry = x->change_to;
		assert_int_equal(pthread_create(&t, NULL, overtake, x), 0);
		pthread_join(t, NULL);
	}
	if (off >= 8)
		return off < 64 ? x->more[off / 8 - 1] : 0;
	return was;
}
static void trap_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	(void)opaque;
	(void)off;
	(void)size;
	(void)v;
}

static void test_overtaken(void **state)
{
	static const struct mem_mmio_ops ops = {trap_read, trap_write};
	const uint64_t q0[] = {d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), d_iotlb(VTD_INV_IOTLB_PAGE, 5)};
	const uint64_t at = A & ~(BIT(21) - 1); /* the first entry of its table: see trap_read() */
	struct world w;
	struct trap x;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world_new(&w, i ? VTD_PGTT_SS : VTD_PGTT_FS);
		x = (struct trap){.w = &w, .q0 = q0[i], .q1 = at, .armed = true};
		assert_int_equal(mem_add_mmio(&w.r.mem, hpa(0x10000000), 4096, &ops, &x), 0);
		if (i) {
			x.entry = w.a[0] | SS_RW;
			x.change_to = w.a[1] | SS_RW;
			w64(&w.r, entry_at(&w.r, w.ss, 4, 2, at, 0, 0), 0x10000000 | SS_RW);
		} else {
			uint64_t root = rig_page(&w.r);

			x.entry = w.a[0] | FS_U_RW | VTD_FSPTE_A | VTD_FSPTE_D;
			x.change_to = w.a[1] | FS_U_RW | VTD_FSPTE_A | VTD_FSPTE_D;
			sm_pasid(&w.r, 0, PGTT(VTD_PGTT_FS), 5 | VTD_PASID_1_PWSNP, root);
			w64(&w.r, entry_at(&w.r, root, 4, 2, at, FS_U_RW, 0), 0x10000000 | FS_U_RW);
		}
		GOES(&w.r, NOP, at, HW_READ, w.a[0]); /* began before: either answer is right */
		GOES(&w.r, NOP, at, HW_READ, w.a[1]);
		GOES(&w.r, NOP, at, HW_READ, w.a[1]);
		rig_free(&w.r);
	}
}

/* The same for the PASID cache: the PASID table is the device. */
static void test_overtaken_config(void **state)
{
	static const struct mem_mmio_ops ops = {trap_read, trap_write};
	struct world w;
	struct trap x;
	uint64_t root;

	(void)state;
	world_new(&w, VTD_PGTT_SS);
	root = rig_page(&w.r);
	ss_map(&w.r, root, 4, 1, A, w.a[1] | SS_RW);
	x = (struct trap){.w = &w, .q0 = d_pc(VTD_INV_PC_PASID, 5, 0), .armed = true, .fires_at = 16};
	x.entry = r64(&w.r, pasid_at(&w.r, 0));
	x.change_to = (x.entry & 0xfff) | root;
	x.more[0] = r64(&w.r, pasid_at(&w.r, 0) + 8);
	assert_int_equal(mem_add_mmio(&w.r.mem, hpa(0x10000000), 4096, &ops, &x), 0);
	w64(&w.r, w.r.dir, 0x10000000 | 1);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	GOES(&w.r, NOP, A, HW_READ, w.a[1]);
	rig_free(&w.r);
}

static void test_second_stage(void **state)
{
	const struct {
		const char *what;
		uint64_t q0, q1;
		unsigned int leaf, table; /* fresh after a change of leaves, of the page table */
	} cases[] = {
		{"PASID, page", d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), A, 0, 0},
		{"PASID", d_piotlb(VTD_INV_PIOTLB_PASID, 5, 0), 0, 017, 0},
		{"page", d_iotlb(VTD_INV_IOTLB_PAGE, 5), A, 005, 005},
		{"page, hint", d_iotlb(VTD_INV_IOTLB_PAGE, 5), A | VTD_INV_IOTLB_1_IH, 005, 0},
		{"256 KiB", d_iotlb(VTD_INV_IOTLB_PAGE, 5), (A & ~(BIT(18) - 1)) | 6, 017, 017},
		{"1 GiB", d_iotlb(VTD_INV_IOTLB_PAGE, 5), (A & ~(BIT(30) - 1)) | 18, 017, 017},
		{"domain", d_iotlb(VTD_INV_IOTLB_DOMAIN, 5), 0, 017, 017},
		{"global", d_iotlb(VTD_INV_IOTLB_GLOBAL, 0), 0, 077, 077},
	};
	struct world w;
	size_t i, k;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		bool table = i & 1;
		unsigned int want = table ? cases[i / 2].table : cases[i / 2].leaf, got;

		world_new(&w, VTD_PGTT_SS);
		touch(&w);
		if (table) {
			uint64_t pt = rig_page(&w.r);

			for (k = 0; k < 512; k++)
				w64(&w.r, pt + 8 * k, w.b[1] | SS_RW);
			w64(&w.r, pt + ((A >> 12) & 511) * 8, w.a[1] | SS_RW);
			w64(&w.r, entry_at(&w.r, w.ss, 4, 2, A, 0, 0), pt | SS_RW);
		} else {
			ss_map(&w.r, w.ss, 4, 1, A, w.a[1] | SS_RW);
			ss_map(&w.r, w.ss, 4, 1, B, w.b[1] | SS_RW);
		}
		assert_int_equal(fresh(&w), 0);
		INV(&w.r, cases[i / 2].q0, cases[i / 2].q1);
		got = fresh(&w);
		if (got != want)
			fail_msg("%s, %s: %03o is fresh, not %03o", cases[i / 2].what, table ? "table" : "leaf", got, want);
		rig_free(&w.r);
	}
}

/* Two devices in one domain share translations. */
static void test_shared(void **state)
{
	struct world w;
	uint64_t misses;

	(void)state;
	world_new(&w, VTD_PGTT_SS);
	touch(&w);
	misses = nb_trace_count(w.r.tr, NB_EV_hw_tlb_miss);
	assert_int_equal(ask(&w.r, RID2, NOP, A, HW_WRITE, 0).pa.v, w.a[0]);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_tlb_miss), misses);
	rig_free(&w.r);
}

static void test_config(void **state)
{
	struct world w;
	uint64_t e, half, ctx, table;

	(void)state;
	world_new(&w, VTD_PGTT_SS);
	touch(&w);
	/* PASID entries: the RID's, and PASID 1 */
	e = r64(&w.r, pasid_at(&w.r, 0));
	w64(&w.r, pasid_at(&w.r, 0), 0);
	w64(&w.r, pasid_at(&w.r, 1), 0);
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	INV(&w.r, d_cc(VTD_INV_CC_GLOBAL, 0, 0), 0); /* not the PASID cache */
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	INV(&w.r, d_iotlb(VTD_INV_IOTLB_GLOBAL, 0), 0);
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	INV(&w.r, d_pc(VTD_INV_PC_PASID, 6, 0), 0); /* another domain */
	INV(&w.r, d_pc(VTD_INV_PC_PASID, 5, 1), 0);
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	FAULTS(&w.r, 1, A, HW_READ, 0x59);
	INV(&w.r, d_pc(VTD_INV_PC_PASID, 5, 0), 0);
	FAULTS(&w.r, NOP, A, HW_READ, 0x59);
	w64(&w.r, pasid_at(&w.r, 0), e);
	w64(&w.r, pasid_at(&w.r, 1), e);
	touch(&w); /* a fault was not cached */
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	w64(&w.r, pasid_at(&w.r, 0), 0);
	w64(&w.r, pasid_at(&w.r, 2), 0);
	INV(&w.r, d_pc(VTD_INV_PC_DOMAIN, 5, 0), 0);
	FAULTS(&w.r, NOP, A, HW_READ, 0x59);
	assert_int_equal(ask(&w.r, RIG_RID, 2, A, HW_READ, 0).kind, HW_OK);
	w64(&w.r, pasid_at(&w.r, 0), e);
	w64(&w.r, pasid_at(&w.r, 2), e | 0);

	/* the context entry */
	half = w.r.root + 16;
	ctx = (r64(&w.r, half) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	touch(&w);
	table = r64(&w.r, ctx);
	w64(&w.r, ctx, 0);
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	INV(&w.r, d_cc(VTD_INV_CC_DEVICE, 77, RID2), 0);
	INV(&w.r, d_pc(VTD_INV_PC_GLOBAL, 0, 0), 0);
	assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).kind, HW_OK);
	INV(&w.r, d_cc(VTD_INV_CC_DEVICE, 77, RIG_RID), 0); /* the domain does not matter in scalable mode */
	FAULTS(&w.r, NOP, A, HW_READ, 0x41);
	w64(&w.r, ctx, table);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	w64(&w.r, ctx, 0);
	INV(&w.r, d_cc(VTD_INV_CC_DEVICE, 0, RIG_RID ^ 4) | BIT(48), 0); /* function mask 1: bit 2 */
	FAULTS(&w.r, NOP, A, HW_READ, 0x41);
	w64(&w.r, ctx, table);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	w64(&w.r, ctx, 0);
	INV(&w.r, d_cc(VTD_INV_CC_DOMAIN, 1234, 0), 0); /* global in scalable mode */
	FAULTS(&w.r, NOP, A, HW_READ, 0x41);
	rig_free(&w.r);
}

/* Legacy context entries do have a domain. Also: register-based invalidation. */
static void test_legacy(void **state)
{
	struct rig r;
	struct vtd_caps c;
	uint64_t ctx, root, p[2];
	unsigned int i;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	ctx = rig_page(&r);
	root = rig_page(&r);
	p[0] = rig_page(&r);
	p[1] = rig_page(&r);
	w64(&r, r.root + 16, ctx | 1);
	ctx += (RIG_RID & 0xff) * 16;
	w64(&r, ctx + 8, 2 | 7 << 8);
	w64(&r, ctx, root | 1);
	rig_on(&r, VTD_TTM_LEGACY);
	for (i = 0; i < 2; i++) { /* by registers, then by queue of 128-bit descriptors */
		ss_map(&r, root, 4, 1, A, p[0] | SS_RW);
		ss_map(&r, root, 4, 1, B, p[0] | SS_RW);
		vtd_drop_caches(r.hw);
		GOES(&r, NOP, A, HW_READ, p[0]);
		GOES(&r, NOP, B, HW_READ, p[0]);
		ss_map(&r, root, 4, 1, A, p[1] | SS_RW);
		ss_map(&r, root, 4, 1, B, p[1] | SS_RW);
		if (i == 0) {
			reg64(&r, VTD_IOTLB_AT, A);
			reg64(&r, VTD_IOTLB_AT + 8, BIT(63) | BITS(61, 60) | UINT64_C(8) << 32);
			assert_int_equal(get64(&r, VTD_IOTLB_AT + 8) >> 57, 3 << 3 | 3);
			GOES(&r, NOP, A, HW_READ, p[0]);
			reg64(&r, VTD_IOTLB_AT + 8, BIT(63) | BITS(61, 60) | UINT64_C(7) << 32);
		} else {
			rig_queue(&r, false);
			INV(&r, d_iotlb(VTD_INV_IOTLB_PAGE, 8), A);
			GOES(&r, NOP, A, HW_READ, p[0]);
			INV(&r, d_iotlb(VTD_INV_IOTLB_PAGE, 7), A);
		}
		GOES(&r, NOP, A, HW_READ, p[1]);
		GOES(&r, NOP, B, HW_READ, p[0]);
		w64(&r, ctx, 0);
		if (i == 0) {
			reg64(&r, VTD_REG_CCMD, BIT(63) | BITS(62, 61) | (uint64_t)RIG_RID << 16 | 8);
			GOES(&r, NOP, A, HW_READ, p[1]);
			reg32(&r, VTD_REG_CCMD, (uint32_t)RIG_RID << 16 | 7);
			reg32(&r, VTD_REG_CCMD + 4, UINT32_C(0xe0000000));
			assert_int_equal(get64(&r, VTD_REG_CCMD) >> 59, 3 << 2 | 3);
		} else {
			INV(&r, d_cc(VTD_INV_CC_DOMAIN, 8, 0), 0);
			GOES(&r, NOP, A, HW_READ, p[1]);
			INV(&r, d_cc(VTD_INV_CC_DOMAIN, 7, 0), 0);
		}
		FAULTS(&r, NOP, A, HW_READ, 0x02);
		w64(&r, ctx, root | 1);
		GOES(&r, NOP, B, HW_READ, p[0]); /* the IOTLB outlived the context entry */
	}
	/* Scalable mode has no register-based invalidation: error, and nothing done. */
	gcmd(&r, 0, VTD_GCMD_TE);
	gcmd(&r, 0, VTD_GCMD_QIE);
	reg64(&r, VTD_REG_RTADDR, r.root | 1 << 10);
	gcmd(&r, VTD_GCMD_SRTP, 0);
	reg64(&r, VTD_IOTLB_AT + 8, BIT(63) | BIT(60));
	assert_int_equal(get64(&r, VTD_IOTLB_AT + 8) >> 57, 1 << 3);
	rig_free(&r);
}

/* Not-present is not cached, a lack of permission is. */
static void test_upgrades(void **state)
{
	struct world w;
	uint64_t C = A + 8 * 4096;

	(void)state;
	world_new(&w, VTD_PGTT_NESTED);
	FAULTS(&w.r, NOP, C, HW_READ, 0x71);
	fs_map(&w.r, w.fs, 4, 1, C, (w.a[0] + RIG_GPA) | (FS_U_RW & ~VTD_FSPTE_RW), RIG_GPA);
	GOES(&w.r, NOP, C, HW_READ, w.a[0]);
	fs_map(&w.r, w.fs, 4, 1, C, (w.a[0] + RIG_GPA) | FS_U_RW, RIG_GPA);
	FAULTS(&w.r, NOP, C, HW_WRITE, 0x85);
	INV(&w.r, d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), C | VTD_INV_PIOTLB_1_IH);
	GOES(&w.r, NOP, C, HW_WRITE, w.a[0]);
	rig_free(&w.r);
}

/* TE off and a new mode empty the caches; a new root pointer alone does not (ESRTPS is 0). */
static void test_global_commands(void **state)
{
	struct world w;

	(void)state;
	world_new(&w, VTD_PGTT_SS);
	touch(&w);
	reg64(&w.r, VTD_REG_RTADDR, rig_page(&w.r) | 1 << 10);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]); /* not latched */
	gcmd(&w.r, VTD_GCMD_SRTP, 0);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	INV(&w.r, d_cc(VTD_INV_CC_GLOBAL, 0, 0), 0);
	FAULTS(&w.r, NOP, A, HW_READ, 0x39);
	reg64(&w.r, VTD_REG_RTADDR, w.r.root | 1 << 10);
	gcmd(&w.r, VTD_GCMD_SRTP, 0);
	GOES(&w.r, NOP, A, HW_READ, w.a[0]);
	ss_map(&w.r, w.ss, 4, 1, A, w.a[1] | SS_RW);
	gcmd(&w.r, 0, VTD_GCMD_TE);
	GOES(&w.r, NOP, A, HW_READ, A);
	gcmd(&w.r, VTD_GCMD_TE, 0);
	GOES(&w.r, NOP, A, HW_READ, w.a[1]);
	rig_free(&w.r);
}

/* Ids run out after 65,535 invalidations of whole tags: nothing stale may come back, and caching goes on. */
static void test_ids_run_out(void **state)
{
	struct world w;
	unsigned int i;
	uint64_t misses;

	(void)state;
	world_new(&w, VTD_PGTT_NESTED);
	for (i = 0; i < 70000; i++) {
		fs_leaf(&w, i & 1);
		assert_true(inv(&w.r, d_piotlb(VTD_INV_PIOTLB_PASID, 5, 0), 0));
		if (i % 64 == 0)
			sync_wait(&w.r);
		assert_int_equal(ask(&w.r, RIG_RID, NOP, A, HW_READ, 0).pa.v, w.a[i & 1]);
	}
	sync_wait(&w.r);
	(void)ask(&w.r, RIG_RID, NOP, A, HW_READ, 0);
	misses = nb_trace_count(w.r.tr, NB_EV_hw_tlb_miss);
	(void)ask(&w.r, RIG_RID, NOP, A, HW_READ, 0);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_tlb_miss), misses);
	rig_free(&w.r);
}

/* More pages than the IOTLB holds, large pages among them. */
static void test_capacity(void **state)
{
	struct world w;
	uint64_t i, n = 60000, base = UINT64_C(0x100000000000), evicted;

	(void)state;
	world_new(&w, VTD_PGTT_SS);
	for (i = 0; i < n; i++)
		ss_map(&w.r, w.ss, 4, 1, base + i * 4096, (RIG_BASE + (i % 4096) * 4096) | SS_RW);
	for (i = 0; i < 2 * n; i++)
		assert_int_equal(ask(&w.r, RIG_RID, NOP, base + (i % n) * 4096, HW_READ, 0).pa.v,
				 RIG_BASE + (i % n % 4096) * 4096);
	evicted = nb_trace_count(w.r.tr, NB_EV_hw_tlb_evict);
	assert_true(evicted > n);
	rig_free(&w.r);
}

/*
 * DMA against unmap: after the wait descriptor no byte may land in the old page, whatever other threads
 * do. Each round moves A to another page, waits, and paints the old page; a write through an older translation would
 * show in the paint.
 */
struct racer {
	struct world *w;
	_Atomic bool stop;
	uint16_t rid;
	uint32_t pasid;
	_Atomic uint64_t done;
};
static void *race(void *arg)
{
	struct racer *x = arg;
	uint64_t word = 0x1111111111111111;

	while (!atomic_load(&x->stop)) {
		if (hw_dma_write(x->w->r.hw, x->rid, x->pasid, A + 64, &word, 8) == 0)
			atomic_fetch_add(&x->done, 1);
	}
	return NULL;
}

static void test_race(void **state)
{
	struct world w;
	struct racer x[3] = {{&w, false, RIG_RID, NOP, 0}, {&w, false, RIG_RID, 1, 0}, {&w, false, RID2, NOP, 0}};
	pthread_t t[3];
	unsigned int i, cur = 0, rounds = 2000;
	uint64_t v, at;

	(void)state;
	world_new(&w, VTD_PGTT_NESTED);
	at = entry_at(&w.r, w.fs, 4, 1, A, 0, RIG_GPA);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, race, &x[i]), 0);
	for (i = 0; i < rounds; i++) {
		uint64_t seen = atomic_load(&x[i % 3].done);

		while (i % 50 == 0 && atomic_load(&x[i % 3].done) == seen)
			sched_yield();
		w64(&w.r, at, (w.a[cur ^ 1] + RIG_GPA) | FS_U_RW);
		if (i & 1) {
			assert_true(inv(&w.r, d_piotlb(VTD_INV_PIOTLB_PAGE, 5, 0), A | VTD_INV_PIOTLB_1_IH));
			assert_true(inv(&w.r, d_piotlb(VTD_INV_PIOTLB_PASID, 5, 1), 0));
		} else if (i & 2) {
			assert_true(inv(&w.r, d_iotlb(VTD_INV_IOTLB_PAGE, 5), 0x1000));
		} else {
			assert_true(inv(&w.r, d_pc(VTD_INV_PC_DOMAIN, 5, 0), 0));
			assert_true(inv(&w.r, d_iotlb(VTD_INV_IOTLB_DOMAIN, 5), 0));
		}
		sync_wait(&w.r);
		w64(&w.r, w.a[cur] + 64, 0x2222222222222222);
		if (i % 10 == 0)
			sched_yield();
		v = r64(&w.r, w.a[cur] + 64);
		if (v != 0x2222222222222222)
			fail_msg("round %u: a write went to the old page after the wait", i);
		cur ^= 1;
	}
	for (i = 0; i < 3; i++)
		atomic_store(&x[i].stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_fault), 0);
	rig_free(&w.r);
}

/* Nothing leaks and nothing breaks when memory runs out anywhere in a translation. */
static void test_no_memory(void **state)
{
	struct world w;
	unsigned long n;
	bool fired = true;

	(void)state;
	world_new(&w, VTD_PGTT_NESTED);
	for (n = 1; fired; n++) {
		vtd_drop_caches(w.r.hw);
		nb_fail_nth_arm(n);
		GOES(&w.r, 1, A, HW_WRITE, w.a[0]);
		GOES(&w.r, 1, A, HW_WRITE, w.a[0]);
		fired = nb_fail_nth_fired();
	}
	assert_true(n > 3);
	rig_free(&w.r);
}

/* Chapter 9: 128 bits of an entry change in one store, and hardware sees all of it or nothing. */
#ifdef __x86_64__
struct pair {
	uint64_t *at;
	_Atomic bool stop;
	unsigned int torn, seen;
};

static void *flip(void *arg)
{
	struct pair *p = arg;
	uint64_t val[2][2] __attribute__((aligned(16))), n = 0;

	/* word 0 and word 1 tell each other's version */
	memcpy(val[0], p->at, 16);
	memcpy(val[1], p->at, 16);
	val[1][0] ^= BIT(1);
	val[1][1] ^= BIT(8);
	while (!atomic_load(&p->stop))
		__asm__ volatile("movaps %1, %%xmm0\n\tmovaps %%xmm0, %0" : "=m"(*(uint64_t(*)[2])p->at) : "m"(val[n++ & 1]) : "xmm0");
	__asm__ volatile("movaps %1, %%xmm0\n\tmovaps %%xmm0, %0" : "=m"(*(uint64_t(*)[2])p->at) : "m"(val[0]) : "xmm0");
	return NULL;
}

static void look(void *opaque, const struct hw_step *s)
{
	struct pair *p = opaque;

	if (strcmp(s->name, "context entry") == 0) {
		p->seen++;
		p->torn += (s->word[0] >> 1 & 1) != (s->word[1] >> 8 & 1);
	}
}

static void test_entry_in_one_piece(void **state)
{
	struct hw_request q = {.addr = 0x5000, .pasid = NOP, .rid = RIG_RID, .access = HW_READ};
	struct pair p = {.stop = false};
	struct hw_result res;
	struct vtd_caps c;
	pthread_t t;
	uint64_t ctx;
	unsigned int i;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	w64(&r, r.root + (RIG_RID >> 8) * 16u, rig_page(&r) | 1);
	ctx = (r64(&r, r.root + (RIG_RID >> 8) * 16u) & BITS(51, 12)) + (RIG_RID & 0xff) * 16;
	w64(&r, ctx + 8, 4 << 8 | VTD_AW_48); /* an even domain-id: FPD is 0 */
	w64(&r, ctx, rig_page(&r) | 1);
	rig_on(&r, VTD_TTM_LEGACY);
	p.at = (uint64_t *)(void *)(r.buf + (ctx - RIG_BASE));
	assert_int_equal(pthread_create(&t, NULL, flip, &p), 0);
	for (i = 0; i < 200000; i++)
		r.hw->ops->walk(r.hw, &q, look, &p, &res);
	atomic_store(&p.stop, true);
	pthread_join(t, NULL);
	assert_int_equal(p.seen, 200000);
	assert_int_equal(p.torn, 0);
	rig_free(&r);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iotlb_nested),   cmocka_unit_test(test_structures_nested),
		cmocka_unit_test(test_second_stage),   cmocka_unit_test(test_second_stage_under_nested),
		cmocka_unit_test(test_shared),	       cmocka_unit_test(test_config),
		cmocka_unit_test(test_legacy),	       cmocka_unit_test(test_upgrades),
		cmocka_unit_test(test_global_commands), cmocka_unit_test(test_ids_run_out),
		cmocka_unit_test(test_capacity),       cmocka_unit_test(test_race),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_range_ends),     cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_overtaken_config),
#ifdef __x86_64__
		cmocka_unit_test(test_entry_in_one_piece),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
