/* SPDX-License-Identifier: BSD-3-Clause */
/* What a unit that does not snoop sees: nothing before the driver wrote it back; and which of its reads these are. */
#include "hw_vtd_rig.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "mem/lag.h"

#define NOP  NB_NO_PASID
#define IOVA UINT64_C(0x123456789000)

/* ---- mem_lag by itself ---- */

static uint64_t sees(struct mem_lag *l, const void *p)
{
	uint64_t v = 0;

	assert_int_equal(mem_lag_load64(l, hpa((uint64_t)(uintptr_t)p), &v), 0);
	return v;
}

static void test_lines(void **state)
{
	uint64_t direct = 77, v, *p, *q;
	struct mem_pool *pool;
	struct mem_lag *l;
	struct mem m;
	hpa_t pa, pa2;

	(void)state;
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_process(&m), 0);
	pool = mem_pool_new(&m);
	q = mem_page_alloc(pool, 0, &pa2); /* before the lag: not its business */
	l = mem_lag_new(&m, pool);
	assert_non_null(l);
	p = mem_page_alloc(pool, 0, &pa);
	assert_int_equal(sees(l, p), MEM_LAG_POISON); /* zeroed, but nobody wrote it back */
	assert_int_equal(sees(l, q), 0);
	assert_int_equal(sees(l, &direct), 77);
	p[0] = 1;
	p[7] = 2;
	p[8] = 3;
	assert_int_equal(sees(l, p), MEM_LAG_POISON);
	mem_lag_written_back(l, hpa(pa.v + 63), 1); /* one byte: its line */
	assert_int_equal(sees(l, p), 1);
	assert_int_equal(sees(l, p + 7), 2);
	assert_int_equal(sees(l, p + 8), MEM_LAG_POISON);
	p[0] = 5;
	assert_int_equal(sees(l, p), 1); /* as it was */
	mem_lag_written_back(l, hpa(pa.v + 8), 57); /* to the first byte of the next line */
	assert_int_equal(sees(l, p), 5);
	assert_int_equal(sees(l, p + 8), 3);
	assert_int_equal(sees(l, p + 16), MEM_LAG_POISON);
	mem_lag_written_back(l, pa, 0);
	mem_lag_written_back(l, hpa(UINT64_MAX - 100), 101); /* to the end of everything */
	mem_lag_written_back(l, pa2, 4096);
	mem_lag_written_back(l, pa, 4096);
	assert_int_equal(sees(l, p + 511), 0);
	/* not there at all */
	assert_int_equal(mem_lag_load64(l, hpa(UINT64_C(0x800000000000)), &v), -14);
	/* a page that is handed out again begins anew */
	mem_page_free(pool, p, 0);
	assert_ptr_equal(mem_page_alloc(pool, 0, &pa2), p);
	assert_int_equal(sees(l, p), MEM_LAG_POISON);
	mem_page_free(pool, p, 0);
	/* larger pages, across pieces of 2 MiB */
	p = mem_page_alloc(pool, 9, &pa);
	p[(2 << 20) / 8 - 1] = 9;
	mem_lag_written_back(l, pa, 2 << 20);
	assert_int_equal(sees(l, p + (2 << 20) / 8 - 1), 9);
	mem_page_free(pool, p, 9);
	mem_page_free(pool, q, 0);
	mem_lag_free(l);
	mem_pool_free(pool);
	mem_fini(&m);
}

static void test_no_memory(void **state)
{
	struct mem_pool *pool;
	struct mem_lag *l;
	struct mem m;
	hpa_t pa;
	void *p;
	int i;

	(void)state;
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_process(&m), 0);
	for (i = 1;; i++) {
		pool = mem_pool_new(&m);
		nb_fail_nth_arm((unsigned long)i);
		l = mem_lag_new(&m, pool);
		p = l ? mem_page_alloc(pool, 0, &pa) : NULL;
		(void)nb_fail_nth_fired();
		if (!p)
			assert_int_equal(mem_pool_used(pool), 0);
		if (p)
			mem_page_free(pool, p, 0);
		mem_lag_free(l);
		mem_pool_free(pool);
		if (p)
			break;
	}
	assert_int_equal(i, 6); /* view, page, arena, piece, its copy */
	mem_fini(&m);
}

/* ---- the unit ---- */

struct lag_rig {
	struct rig r;
	struct mem_pool *pool;
	struct mem_lag *lag;
	uint64_t page[16];
	unsigned int npages;
};

static uint64_t own(struct lag_rig *t) /* a page of the driver */
{
	hpa_t pa;

	assert_true(t->npages < 16);
	assert_non_null(mem_page_alloc(t->pool, 0, &pa));
	t->page[t->npages++] = pa.v;
	return pa.v;
}

static void lag_new(struct lag_rig *t, const struct vtd_caps *c)
{
	memset(t, 0, sizeof(*t));
	rig_new_caps(&t->r, c);
	t->pool = mem_pool_new_at(&t->r.mem, hpa(RIG_BASE + RIG_SIZE / 2), RIG_SIZE / 2);
	t->lag = mem_lag_new(&t->r.mem, t->pool);
	vtd_set_lag(t->r.hw, t->lag);
}

static void lag_free(struct lag_rig *t)
{
	unsigned int i;

	t->r.hw->ops->destroy(t->r.hw);
	for (i = 0; i < t->npages; i++)
		mem_page_free(t->pool, mem_page_ptr(t->pool, hpa(t->page[i])), 0);
	mem_lag_free(t->lag);
	mem_pool_free(t->pool);
	mem_fini(&t->r.mem);
	nb_trace_free(t->r.tr);
	free(t->r.buf);
}

static void wb(struct lag_rig *t, uint64_t pa, size_t len)
{
	t->r.hw->ops->written_back(t->r.hw, hpa(pa), len);
}

/* One word of the driver's: the request fails with `reason` until the word's line was written back. */
static void needs(struct lag_rig *t, uint64_t pa, unsigned int reason, uint32_t pasid)
{
	FAULTS(&t->r, pasid, IOVA, HW_READ, reason);
	wb(t, pa, 8);
}

static void caps(struct vtd_caps *c)
{
	vtd_caps_all(c);
	c->haw = 39;
	c->coherent = c->ss_dirty = c->ext_access = false;
}

/* Legacy mode: root, context and three tables, each of them needs its flush. */
static void test_legacy(void **state)
{
	uint64_t root, ctx, l3, l2, l1, at = IOVA & nb_low_mask(39);
	struct lag_rig t;
	struct vtd_caps c;

	(void)state;
	caps(&c);
	lag_new(&t, &c);
	assert_int_equal(vtd_caps_ecap(&c) & (VTD_ECAP_C | VTD_ECAP_SMPWC), 0);
	root = own(&t), ctx = own(&t), l3 = own(&t), l2 = own(&t), l1 = own(&t);
	w64(&t.r, root + 16, ctx | 1);
	w64(&t.r, ctx + 0x10 * 16 + 8, VTD_AW_39);
	w64(&t.r, ctx + 0x10 * 16, l3 | 1);
	w64(&t.r, l3 + (at >> 30) * 8, l2 | SS_RW);
	w64(&t.r, l2 + (at >> 21 & 511) * 8, l1 | SS_RW);
	w64(&t.r, l1 + (at >> 12 & 511) * 8, RIG_BASE | SS_RW);
	t.r.root = root;
	rig_queue(&t.r, false);
	rig_on(&t.r, VTD_TTM_LEGACY);
#define NEEDS(pa, reason)                                                                                     \
	do {                                                                                                  \
		FAULTS(&t.r, NOP, at, HW_READ, reason);                                                       \
		wb(&t, pa, 8);                                                                                \
	} while (0)
	NEEDS(root + 16, VTD_FR_ROOT_RSVD);
	NEEDS(ctx + 0x100, VTD_FR_CTX_RSVD);
	NEEDS(l3 + (at >> 30) * 8, VTD_FR_SS_RSVD);
	NEEDS(l2 + (at >> 21 & 511) * 8, VTD_FR_SS_RSVD);
	NEEDS(l1 + (at >> 12 & 511) * 8, VTD_FR_SS_RSVD);
	GOES(&t.r, NOP, at, HW_READ, RIG_BASE);
	/* An entry that changes: the old one until it is written back, even after the invalidation. */
	w64(&t.r, l1 + (at >> 12 & 511) * 8, (RIG_BASE + 4096) | SS_RW);
	INV(&t.r, d_iotlb(1, 0), 0);
	GOES(&t.r, NOP, at, HW_READ, RIG_BASE);
	wb(&t, l1 + (at >> 12 & 511) * 8, 8);
	INV(&t.r, d_iotlb(1, 0), 0);
	GOES(&t.r, NOP, at, HW_READ, RIG_BASE + 4096);
	lag_free(&t);
}

/* Scalable mode, first stage: structures by C, tables by SMPWC and PWSNP. */
static void test_scalable(void **state)
{
	enum { NONE, C_ONLY, SMPWC_ONLY, SMPWC_PWSNP, BOTH, NCASES };
	unsigned int i;

	(void)state;
	for (i = 0; i < NCASES; i++) {
		bool cfg_lags = i == NONE || i == SMPWC_ONLY || i == SMPWC_PWSNP;
		bool walk_lags = i == NONE || i == C_ONLY || i == SMPWC_ONLY;
		uint64_t root, ctx, dir, tab, l4, l1, e[5];
		struct lag_rig t;
		struct vtd_caps c;
		unsigned int k;

		caps(&c);
		c.coherent = i == BOTH;
		c.c_only = i == C_ONLY;
		c.smpwc_only = i == SMPWC_ONLY || i == SMPWC_PWSNP;
		lag_new(&t, &c);
		assert_int_equal(!(vtd_caps_ecap(&c) & VTD_ECAP_C), cfg_lags);
		assert_int_equal(!!(vtd_caps_ecap(&c) & VTD_ECAP_SMPWC), i == BOTH || i == SMPWC_ONLY || i == SMPWC_PWSNP);
		root = own(&t), ctx = own(&t), dir = own(&t), tab = own(&t), l4 = own(&t);
		w64(&t.r, root + 16, ctx | 1);
		w64(&t.r, ctx + 0x10 * 32, dir | 1);
		w64(&t.r, dir, tab | 1);
		w64(&t.r, tab + 16, l4);
		w64(&t.r, tab + 8, i == SMPWC_PWSNP || i == BOTH ? VTD_PASID_1_PWSNP : 0);
		w64(&t.r, tab, PGTT(VTD_PGTT_FS));
		l1 = l4; /* the table of every level is the driver's */
		for (k = 4; k >= 1; k--) {
			uint64_t next = k > 1 ? own(&t) : RIG_BASE;

			e[k] = l1 + (IOVA >> (3 + 9 * k) & 511) * 8;
			w64(&t.r, e[k], next | FS_U_RW | VTD_FSPTE_A);
			l1 = next;
		}
		t.r.root = root;
		rig_queue(&t.r, true);
		rig_on(&t.r, VTD_TTM_SCALABLE);
		if (cfg_lags) {
			needs(&t, root + 16, VTD_FR_SROOT_RSVD, NOP);
			needs(&t, ctx + 0x10 * 32, VTD_FR_SCTX_RSVD, NOP);
			needs(&t, dir, VTD_FR_PDIR_RSVD, NOP);
			needs(&t, tab, VTD_FR_PASID_RSVD, NOP);
		}
		for (k = 4; k >= 1 && walk_lags; k--)
			needs(&t, e[k], VTD_FR_FS_RSVD, NOP);
		GOES(&t.r, NOP, IOVA, HW_READ, RIG_BASE);
		lag_free(&t);
	}
}

/* The queue is coherent on every unit; the interrupt remapping table is not without C. */
static void test_others(void **state)
{
	uint64_t iq, irt;
	struct lag_rig t;
	struct vtd_caps c;
	struct hw_irq irq;
	uint32_t v = 0;

	(void)state;
	caps(&c);
	lag_new(&t, &c);
	iq = own(&t);
	irt = own(&t);
	reg64(&t.r, VTD_REG_IQA, iq);
	gcmd(&t.r, VTD_GCMD_QIE, 0);
	w64(&t.r, iq, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | UINT64_C(42) << 32);
	w64(&t.r, iq + 8, t.r.status);
	reg64(&t.r, VTD_REG_IQT, 16);
	assert_int_equal(mem_load32(&t.r.mem, hpa(t.r.status), &v), 0);
	assert_int_equal(v, 42);
	w64(&t.r, irt, 1 | 0x31 << 16);
	reg64(&t.r, VTD_REG_IRTA, irt);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	gcmd(&t.r, VTD_GCMD_IRE, 0);
	assert_int_equal(t.r.hw->ops->interrupt(t.r.hw, 1, 0xfee00010, 0, &irq), -14);
	assert_int_equal(get64(&t.r, VTD_FRCD_AT + 8) >> 32 & 0xff, 0); /* all ones: FPD as well */
	wb(&t, irt, 16);
	assert_int_equal(t.r.hw->ops->interrupt(t.r.hw, 1, 0xfee00010, 0, &irq), 0);
	assert_int_equal(irq.vector, 0x31);
	lag_free(&t);
}

/* A walk beside write-backs of an entry sees one of its values. */
struct racer {
	struct lag_rig *t;
	uint64_t pa;
	_Atomic bool stop;
};

static void *race_read(void *arg)
{
	struct racer *k = arg;
	uint64_t v, last = 0;

	while (!atomic_load(&k->stop)) {
		assert_int_equal(mem_lag_load64(k->t->lag, hpa(k->pa), &v), 0);
		if (v == MEM_LAG_POISON)
			continue;
		assert_true(v >= last);
		last = v;
	}
	return NULL;
}

static void test_race(void **state)
{
	struct vtd_caps c;
	struct lag_rig t;
	struct racer k;
	pthread_t thread;
	uint64_t i;

	(void)state;
	caps(&c);
	lag_new(&t, &c);
	memset(&k, 0, sizeof(k));
	k.t = &t;
	k.pa = own(&t) + 8;
	assert_int_equal(pthread_create(&thread, NULL, race_read, &k), 0);
	for (i = 0; i < 20000; i++) {
		w64(&t.r, k.pa, i);
		wb(&t, k.pa, 8);
		if (i % 1024 == 0 && t.npages < 16)
			(void)own(&t);
	}
	atomic_store(&k.stop, true);
	pthread_join(thread, NULL);
	lag_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),	 cmocka_unit_test(test_no_memory), cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_scalable), cmocka_unit_test(test_others),	   cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
