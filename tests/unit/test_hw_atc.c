/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device-TLB of a function on a VT-d unit: what it keeps, for whom, how long; and that nobody gets through an old
 * translation once a wait behind its invalidation has completed.
 */
#include "hw_vtd_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "hw/atc.h"

#define NOP NB_NO_PASID
#define VA  UINT64_C(0x7f1234567000)
#define IA  UINT64_C(0x12345000)

struct world {
	struct rig r;
	struct hw_atc *atc;
	struct hw_client client;
	uint64_t ss, fs, page[3], ctx;
	struct hw_irq irq;
	unsigned int nirq;
};

static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct world *w = opaque;

	return rid == RIG_RID ? &w->client : NULL;
}

static void deliver(void *opaque, const struct hw_irq *irq)
{
	struct world *w = opaque;

	w->irq = *irq;
	w->nirq++;
}

/* Requests without PASID: second stage. PASIDs 1 and 2: first stage, one table. */
static void world_new(struct world *w)
{
	struct vtd_caps c;
	struct rig *r = &w->r;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	vtd_caps_all(&c);
	rig_new_caps(r, &c);
	rig_queue(r, true);
	sm_device(r, RIG_RID, VTD_SCTX_0_DTE | VTD_SCTX_0_PASIDE, 0);
	w->ctx = (r64(r, r->root + (RIG_RID >> 8) * 16u) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	w->ss = rig_page(r);
	w->fs = rig_page(r);
	for (i = 0; i < 3; i++) {
		w->page[i] = rig_page(r);
		memset(r->buf + (w->page[i] - RIG_BASE), 'a' + (int)i, 4096);
	}
	sm_pasid(r, 0, w->ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 5, 0);
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w->fs | VTD_PASID_2_SRE);
	sm_pasid(r, 2, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w->fs);
	rig_on(r, VTD_TTM_SCALABLE);
	w->atc = hw_atc_new(r->hw, RIG_RID, 256);
	assert_non_null(w->atc);
	w->client = (struct hw_client){.opaque = w->atc, .ats_invalidate = hw_atc_invalidate};
	r->hw->client = client;
	r->hw->client_opaque = w;
	r->hw->deliver = deliver;
	r->hw->deliver_opaque = w;
	hw_atc_enable(w->atc, true);
}

static void world_free(struct world *w)
{
	hw_atc_free(w->atc);
	rig_free(&w->r);
}

/* The byte there, or the errno. */
static int reads(struct world *w, uint32_t pasid, uint64_t addr)
{
	size_t done = 99;
	char c = 0;
	int err = hw_atc_dma(w->atc, pasid, addr, &c, 1, false, 0, &done);

	assert_int_equal(done, err ? 0 : 1);
	return err ? err : c;
}
static int writes(struct world *w, uint32_t pasid, uint64_t addr, char c)
{
	size_t done = 99;
	int err = hw_atc_dma(w->atc, pasid, addr, &c, 1, true, 0, &done);

	assert_int_equal(done, err ? 0 : 1);
	return err;
}
static uint64_t asks(struct world *w)
{
	return nb_trace_count(w->r.tr, NB_EV_hw_ats_request);
}

/* Second stage: IA shows page i. All of the IOTLB goes, nothing of the device-TLB. */
static void show(struct world *w, uint64_t ia, unsigned int i, uint64_t perm)
{
	ss_map(&w->r, w->ss, 4, 1, ia, w->page[i] | perm);
	vtd_drop_caches(w->r.hw);
}

static void test_hit(void **state)
{
	struct world w;
	uint64_t n;

	(void)state;
	world_new(&w);
	show(&w, IA, 0, SS_RW);
	assert_int_equal(reads(&w, NOP, IA + 5), 'a');
	n = asks(&w);
	assert_int_equal(n, 1);
	show(&w, IA, 1, SS_RW);
	assert_int_equal(reads(&w, NOP, IA + 5), 'a'); /* kept */
	assert_int_equal(asks(&w), n);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_ats_hit), 1);
	/* a write asks again, as the read was asked for reading only; then both are there */
	assert_int_equal(writes(&w, NOP, IA + 6, 'X'), 0);
	assert_int_equal(w.r.buf[w.page[1] - RIG_BASE + 6], 'X');
	assert_int_equal(asks(&w), n + 1);
	assert_int_equal(reads(&w, NOP, IA + 6), 'X');
	assert_int_equal(writes(&w, NOP, IA + 7, 'Y'), 0);
	assert_int_equal(asks(&w), n + 1);
	hw_atc_forget(w.atc);
	assert_int_equal(reads(&w, NOP, IA + 6), 'X');
	assert_int_equal(asks(&w), n + 2);
	world_free(&w);
}

static void test_nothing_there(void **state)
{
	struct world w;
	char buf[10000];
	size_t done;

	(void)state;
	world_new(&w);
	assert_int_equal(reads(&w, NOP, IA), -ENOENT);
	assert_int_equal(get32(&w.r, VTD_REG_FSTS), 0); /* not a fault */
	show(&w, IA, 0, 1);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	assert_int_equal(writes(&w, NOP, IA, 'X'), -ENOENT);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	/* across pages: as far as it goes */
	show(&w, IA + 4096, 1, SS_RW);
	assert_int_equal(hw_atc_dma(w.atc, NOP, IA + 100, buf, sizeof(buf), false, 0, &done), -ENOENT);
	assert_int_equal(done, 8192 - 100);
	assert_int_equal(buf[3995], 'a');
	assert_int_equal(buf[3996], 'b');
	show(&w, IA + 8192, 2, SS_RW);
	assert_int_equal(hw_atc_dma(w.atc, NOP, IA + 100, buf, sizeof(buf), false, 0, &done), 0);
	assert_int_equal(done, sizeof(buf));
	assert_int_equal(buf[8192 - 100], 'c');
	assert_int_equal(hw_atc_dma(w.atc, NOP, IA, buf, 0, false, 0, &done), 0);
	assert_int_equal(done, 0);
	/* the end of all addresses */
	assert_int_equal(hw_atc_dma(w.atc, NOP, UINT64_MAX, buf, 2, false, 0, &done), -ENOENT);
	/* a translation to where no memory is */
	ss_map(&w.r, w.ss, 4, 1, IA + 0x10000, UINT64_C(0x3f00000000) | SS_RW);
	assert_int_equal(reads(&w, NOP, IA + 0x10000), -EFAULT);
	assert_int_equal(reads(&w, NOP, IA + 0x10000), -EFAULT); /* from the device-TLB too */
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_dma_bad_pa), 2);
	world_free(&w);
}

/* Unsupported request and completer abort: aborted and logged; and so is a translated request when ATS was cut off behind us. */
static void test_aborted(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t q0;

	(void)state;
	world_new(&w);
	show(&w, IA, 0, SS_RW);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	ss_map(r, w.ss, 4, 1, IA + 0x1000, w.page[0] | SS_RW | VTD_SSPTE_TM);
	assert_int_equal(reads(&w, NOP, IA + 0x1000), -EFAULT);
	assert_int_equal(get64(r, VTD_FRCD_AT + 8), BIT(63) | BIT(62) | BIT(60) | UINT64_C(0x7a) << 32 | RIG_RID);
	faults_clear(r);
	q0 = r64(r, w.ctx);
	w64(r, w.ctx, q0 & ~VTD_SCTX_0_DTE);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	vtd_drop_caches(r->hw);
	assert_int_equal(reads(&w, NOP, IA), -EFAULT); /* translated, AT 10b */
	assert_int_equal(get64(r, VTD_FRCD_AT + 16 + 8), BIT(63) | BIT(62) | BIT(61) | UINT64_C(0x44) << 32 | RIG_RID);
	assert_int_equal(reads(&w, NOP, IA + 0x2000), -EFAULT); /* translation request */
	assert_int_equal(get64(r, VTD_FRCD_AT + 32 + 8), BIT(63) | BIT(62) | BIT(60) | UINT64_C(0x44) << 32 | RIG_RID);
	world_free(&w);
}

static void test_spaces(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	size_t done;
	char c;

	(void)state;
	world_new(&w);
	show(&w, IA, 0, SS_RW);
	fs_map(r, w.fs, 4, 1, IA, w.page[1] | FS_U_RW, 0);
	fs_map(r, w.fs, 4, 1, IA + 4096, w.page[2] | VTD_FSPTE_P | VTD_FSPTE_RW, 0); /* supervisor */
	assert_int_equal(reads(&w, NOP, IA), 'a');
	assert_int_equal(reads(&w, 1, IA), 'b');
	assert_int_equal(reads(&w, 2, IA), 'b');
	assert_int_equal(reads(&w, NOP, IA), 'a');
	assert_int_equal(asks(&w), 3);
	/* what a privileged request got does not serve others */
	assert_int_equal(hw_atc_dma(w.atc, 1, IA + 4096, &c, 1, false, HW_PRIV, &done), 0);
	assert_int_equal(c, 'c');
	assert_int_equal(reads(&w, 1, IA + 4096), -ENOENT);
	/* one PASID; then the requests without and all PASIDs; then all PASIDs and not those without */
	fs_map(r, w.fs, 4, 1, IA, w.page[0] | FS_U_RW, 0);
	show(&w, IA, 1, SS_RW);
	INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32, IA);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	assert_int_equal(reads(&w, 1, IA), 'a');
	assert_int_equal(reads(&w, 2, IA), 'b');
	INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32, IA | 1);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	assert_int_equal(reads(&w, 2, IA), 'a');
	fs_map(r, w.fs, 4, 1, IA, w.page[2] | FS_U_RW, 0);
	vtd_drop_caches(r->hw);
	INV(r, VTD_INV_DEVTLB | (uint64_t)RIG_RID << 32, IA);
	assert_int_equal(reads(&w, NOP, IA), 'b');
	assert_int_equal(reads(&w, 1, IA), 'c');
	assert_int_equal(reads(&w, 2, IA), 'c');
	world_free(&w);
}

/* Large translations serve all of their range, and go with any part of it. */
static void test_sizes(void **state)
{
	static const struct {
		unsigned int level, lg2, kept; /* kept: what one entry covers */
	} sizes[] = {{2, 21, 21}, {3, 30, 30}};
	struct world w;
	struct rig *r = &w.r;
	unsigned int i;
	uint64_t va, n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		world_new(&w);
		va = UINT64_C(0x5540000000);
		memset(r->buf, 'k', 16);
		memset(r->buf + 0x1ff000, 'l', 16);
		fs_map(r, w.fs, 4, sizes[i].level, va, RIG_BASE | FS_U_RW | VTD_FSPTE_PS, 0);
		assert_int_equal(reads(&w, 1, va + 0x1ff001), 'l');
		n = asks(&w);
		assert_int_equal(reads(&w, 1, va + 1), 'k');
		assert_int_equal(asks(&w), n);
		/* somewhere else: stays */
		INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32, va + BIT(sizes[i].lg2));
		INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32, va - 4096);
		assert_int_equal(reads(&w, 1, va + 1), 'k');
		assert_int_equal(asks(&w), n);
		INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32, va + 0x5000);
		assert_int_equal(reads(&w, 1, va + 1), 'k');
		assert_int_equal(asks(&w), n + 1);
		/* a range that begins before and ends within */
		INV(r, VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32,
		    (va & ~nb_low_mask(36)) | (nb_low_mask(35) & ~UINT64_C(0xfff)) | BIT(11));
		assert_int_equal(reads(&w, 1, va + 1), 'k');
		assert_int_equal(asks(&w), n + 2);
		hw_atc_forget(w.atc);
		assert_int_equal(reads(&w, 1, va + 1), 'k');
		assert_int_equal(asks(&w), n + 3);
		world_free(&w);
	}
	/* a size between: of 3ffff000 bytes of pass-through below the interrupt range, a page that is kept must not cover it */
	world_new(&w);
	sm_pasid(r, 4, PGTT(VTD_PGTT_PT), 8, 0);
	assert_int_equal(reads(&w, 4, RIG_BASE), 0);
	assert_int_equal(asks(&w), 1);
	assert_int_equal(reads(&w, 4, w.page[1]), 'b');
	assert_int_equal(asks(&w), 1); /* 1 GiB */
	assert_int_equal(reads(&w, 4, UINT64_C(0xfec00000)), -EFAULT); /* granted 2 MiB; no memory */
	assert_int_equal(reads(&w, 4, UINT64_C(0xfed00000)), -EFAULT);
	assert_int_equal(asks(&w), 2);
	assert_int_equal(reads(&w, 4, UINT64_C(0xfef00000)), -EFAULT);
	assert_int_equal(asks(&w), 3);
	assert_int_equal(get32(r, VTD_REG_FSTS), 0);
	world_free(&w);
}

/* More pages than entries: slower, never wrong. */
static void test_room(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	unsigned int i, round;

	(void)state;
	world_new(&w);
	for (i = 0; i < 2000; i++)
		ss_map(r, w.ss, 4, 1, IA + i * 4096u, w.page[i % 3] | SS_RW);
	for (round = 0; round < 3; round++)
		for (i = 0; i < 2000; i++)
			assert_int_equal(reads(&w, NOP, IA + i * 4096u), "abc"[i % 3]);
	for (i = 0; i < 2000; i++)
		ss_map(r, w.ss, 4, 1, IA + i * 4096u, w.page[(i + 1) % 3] | SS_RW);
	INV(r, d_iotlb(1, 0), 0);
	INV(r, VTD_INV_DEVTLB | (uint64_t)RIG_RID << 32, UINT64_C(0x7ffffffffffff001));
	for (i = 0; i < 2000; i++)
		assert_int_equal(reads(&w, NOP, IA + i * 4096u), "abc"[(i + 1) % 3]);
	world_free(&w);
}

/* Ranges of every size, at every place: what lies in them goes, and nothing else. With entries of PASIDs about and without. */
static void test_ranges(void **state)
{
	const unsigned int n = 64;
	struct world w;
	struct rig *r = &w.r;
	unsigned int i, lg2, at, pasids;

	(void)state;
	for (pasids = 0; pasids < 2; pasids++) {
		world_new(&w);
		for (i = 0; i < n; i++) {
			ss_map(r, w.ss, 4, 1, BIT(32) + i * 4096u, w.page[0] | SS_RW);
			fs_map(r, w.fs, 4, 1, BIT(32) + i * 4096u, w.page[1] | FS_U_RW, 0);
		}
		for (lg2 = 12; lg2 <= 19; lg2++) {
			for (at = 0; at < n; at += 5) {
				uint64_t base = (BIT(32) + at * 4096u) & ~nb_low_mask(lg2), last = base | nb_low_mask(lg2);
				uint64_t ones = lg2 == 12 ? 0 : (nb_low_mask(lg2 - 1) & ~UINT64_C(0xfff)) | 1;

				hw_atc_free(w.atc); /* many entries, so that none goes for want of room */
				w.atc = hw_atc_new(r->hw, RIG_RID, 65536);
				assert_non_null(w.atc);
				w.client.opaque = w.atc;
				hw_atc_enable(w.atc, true);
				for (i = 0; i < n; i++) {
					assert_int_equal(reads(&w, NOP, BIT(32) + i * 4096u), 'a');
					if (pasids)
						assert_int_equal(reads(&w, 1, BIT(32) + i * 4096u), 'b');
				}
				INV(r, VTD_INV_DEVTLB | (uint64_t)RIG_RID << 32, base | ones);
				for (i = 0; i < n; i++) {
					uint64_t ia = BIT(32) + i * 4096u, before = asks(&w);
					bool gone = ia >= base && ia <= last;

					assert_int_equal(reads(&w, NOP, ia), 'a');
					assert_int_equal(asks(&w), before + gone);
					if (pasids) {
						assert_int_equal(reads(&w, 1, ia), 'b');
						assert_int_equal(asks(&w), before + 2 * gone);
					}
				}
			}
		}
		world_free(&w);
	}
}

/* Messages by DMA: translated to "untranslated only", so they go the way of interrupts. */
static void test_interrupt(void **state)
{
	struct world w;
	uint32_t data = 0x4041;
	size_t done;

	(void)state;
	world_new(&w);
	assert_int_equal(hw_atc_dma(w.atc, NOP, 0xfee03000, &data, 4, true, 0, &done), 0);
	assert_int_equal(done, 4);
	assert_int_equal(w.nirq, 1);
	assert_int_equal(w.irq.vector, 0x41);
	assert_int_equal(w.irq.dest, 3);
	assert_int_equal(hw_atc_dma(w.atc, NOP, 0xfee03000, &data, 4, false, 0, &done), -ENOENT);
	assert_int_equal(hw_atc_dma(w.atc, NOP, 0xfee03000, &data, 2, true, 0, &done), -EFAULT);
	assert_int_equal(w.nirq, 1);
	/* a function that makes up translated messages */
	assert_int_equal(hw_atc_dma_translated(w.atc, NOP, 0xfee03000, &data, 4, true), -EFAULT);
	assert_int_equal(w.nirq, 1);
	world_free(&w);
}

static void test_switch(void **state)
{
	struct world w;
	uint64_t n;
	char c = 'Q';
	struct hw_ats_completion got;

	(void)state;
	world_new(&w);
	show(&w, IA, 0, SS_RW);
	assert_int_equal(reads(&w, NOP, IA), 'a');
	n = asks(&w);
	hw_atc_enable(w.atc, false);
	assert_false(hw_atc_enabled(w.atc));
	show(&w, IA, 1, SS_RW);
	assert_int_equal(reads(&w, NOP, IA), 'b'); /* untranslated */
	assert_int_equal(reads(&w, NOP, IA + 4096), -EFAULT);
	assert_int_equal(asks(&w), n);
	hw_atc_enable(w.atc, true);
	show(&w, IA, 2, SS_RW);
	assert_int_equal(reads(&w, NOP, IA), 'c'); /* nothing was kept */
	assert_int_equal(asks(&w), n + 1);
	/* past the device-TLB */
	show(&w, IA, 0, SS_RW);
	hw_atc_ask(w.atc, NOP, IA, HW_READ | HW_WRITE, 0, &got);
	assert_int_equal(got.pa.v, w.page[0]);
	assert_int_equal(reads(&w, NOP, IA), 'c');
	assert_int_equal(hw_atc_dma_translated(w.atc, NOP, w.page[1] + 9, &c, 1, true), 0);
	assert_int_equal(w.r.buf[w.page[1] - RIG_BASE + 9], 'Q');
	assert_int_equal(hw_atc_dma_translated(w.atc, 1, w.page[1], &c, 1, true), -EFAULT);
	assert_int_equal(hw_atc_dma_translated(w.atc, NOP, UINT64_C(0x3f00000000), &c, 1, true), -EFAULT);
	world_free(&w);
}

static void test_no_memory(void **state)
{
	struct world w;
	unsigned long n;

	(void)state;
	world_new(&w);
	for (n = 1; ; n++) {
		struct hw_atc *a;

		nb_fail_nth_arm(n);
		a = hw_atc_new(w.r.hw, RIG_RID, 100000);
		if (!nb_fail_nth_fired()) {
			assert_non_null(a);
			hw_atc_free(a);
			break;
		}
		assert_null(a);
	}
	assert_int_equal(n, 3);
	hw_atc_free(NULL);
	world_free(&w);
}

/* ---- threads ---- */

struct race {
	struct world w;
	_Atomic unsigned int shown; /* the page that every access must see that begins from now on */
	_Atomic bool stop;
	_Atomic unsigned long reads, stale;
	unsigned int nth;
};

static void *reader(void *arg)
{
	struct race *x = arg;
	unsigned long n = 0;

	while (!atomic_load(&x->stop)) {
		uint32_t pasid = n & 1 ? 1 : NOP;
		unsigned int before = atomic_load(&x->shown);
		uint32_t v = 0;
		size_t done;

		/* Each page holds the number of the round in which it is shown. */
		if (hw_atc_dma(x->w.atc, pasid, IA + (n % 7) * 4096, &v, 4, false, 0, &done) == 0 && v < before)
			atomic_fetch_add(&x->stale, 1);
		n++;
	}
	atomic_fetch_add(&x->reads, n);
	return NULL;
}

/*
 * Round by round all addresses move to the other set of pages; IOTLB, then device-TLB, then wait. An access that begins after
 * that and still reads a number from before came through an old translation. Half of the rounds use one descriptor for each page.
 */
static void test_race(void **state)
{
	struct race *x = calloc(1, sizeof(*x));
	struct rig *r = &x->w.r;
	uint64_t page[2][7];
	unsigned int i, round;
	pthread_t t[2];

	(void)state;
	assert_non_null(x);
	world_new(&x->w);
	for (i = 0; i < 14; i++)
		page[i / 7][i % 7] = rig_page(r);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, x), 0);
	for (round = 1; round < 3000; round++) {
		const uint64_t dev = VTD_INV_DEVTLB | (uint64_t)RIG_RID << 32,
			       pdev = VTD_INV_PDEVTLB | (uint64_t)RIG_RID << 16 | UINT64_C(1) << 32;

		for (i = 0; i < 7; i++) {
			uint64_t p = page[round & 1][i];

			assert_int_equal(mem_store32(&r->mem, hpa(p), round), 0);
			ss_map(r, x->w.ss, 4, 1, IA + i * 4096u, p | SS_RW);
			fs_map(r, x->w.fs, 4, 1, IA + i * 4096u, p | FS_U_RW | VTD_FSPTE_A | VTD_FSPTE_D, 0);
		}
		assert_true(inv(r, d_iotlb(2, 5), 0));
		assert_true(inv(r, d_piotlb(2, 6, 1), 0));
		if (round & 1) {
			for (i = 0; i < 7; i++) {
				assert_true(inv(r, pdev, IA + i * 4096u));
				assert_true(inv(r, dev, IA + i * 4096u));
			}
		} else {
			assert_true(inv(r, dev, UINT64_C(0x7ffffffffffff001)));
		}
		sync_wait(r);
		atomic_store(&x->shown, round);
		if (round % 64 == 0)
			sched_yield();
	}
	atomic_store(&x->stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(x->stale, 0);
	assert_true(x->reads > 0);
	world_free(&x->w);
	free(x);
}

/* ---- an access that takes its time ---- */

#define SLOW (RIG_BASE + RIG_SIZE) /* a page whose reads call back */

struct slow {
	struct world w;
	void (*during)(struct slow *x);
	_Atomic bool inside, go, over;
	uint64_t answer;
};

static uint64_t slow_read(void *opaque, uint64_t off, unsigned int size)
{
	struct slow *x = opaque;

	(void)off;
	(void)size;
	if (x->during)
		x->during(x);
	return x->answer;
}
static void slow_write(void *opaque, uint64_t off, unsigned int size, uint64_t v)
{
	(void)opaque;
	(void)off;
	(void)size;
	(void)v;
}

static struct slow *slow_new(void)
{
	static const struct mem_mmio_ops ops = {slow_read, slow_write};
	struct slow *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	world_new(&x->w);
	assert_int_equal(mem_add_mmio(&x->w.r.mem, hpa(SLOW), 4096, &ops, x), 0);
	return x;
}

static void forget_now(struct slow *x)
{
	x->during = NULL;
	hw_atc_forget(x->w.atc);
}

/* An invalidation while the unit is asked: the translation serves its request and is not kept. */
static void test_fill_loses(void **state)
{
	struct slow *x = slow_new();
	struct world *w = &x->w;
	unsigned int i;

	(void)state;
	/* the page table itself is slow */
	w64(&w->r, entry_at(&w->r, w->ss, 4, 2, IA, SS_RW, 0), SLOW | SS_RW);
	x->answer = w->page[0] | SS_RW;
	for (i = 0; i < 2; i++) {
		x->during = i == 0 ? forget_now : NULL;
		assert_int_equal(reads(w, NOP, IA), 'a');
		assert_int_equal(asks(w), i + 1);
	}
	x->answer = w->page[1] | SS_RW;
	assert_int_equal(reads(w, NOP, IA), 'a'); /* the second time it was kept */
	assert_int_equal(asks(w), 2);
	world_free(w);
	free(x);
}

static void stay_inside(struct slow *x)
{
	atomic_store(&x->inside, true);
	while (!atomic_load(&x->go))
		sched_yield();
}

static void *slow_access(void *arg)
{
	struct slow *x = arg;
	char c;
	size_t done;

	assert_int_equal(hw_atc_dma(x->w.atc, NOP, IA, &c, 1, false, 0, &done), 0);
	return NULL;
}
static void *switch_off(void *arg)
{
	struct slow *x = arg;

	hw_atc_enable(x->w.atc, false);
	atomic_store(&x->over, true);
	return NULL;
}
/* A device-TLB invalidation and a wait, and nothing else that would be waited for. */
static void *invalidate(void *arg)
{
	struct slow *x = arg;
	struct rig *r = &x->w.r;

	w64(r, r->iq + r->iqt, VTD_INV_DEVTLB | (uint64_t)RIG_RID << 32);
	w64(r, r->iq + r->iqt + 8, IA);
	w64(r, r->iq + r->iqt + 32, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | BIT(32));
	w64(r, r->iq + r->iqt + 40, r->status);
	reg64(r, VTD_REG_IQT, r->iqt + 64);
	atomic_store(&x->over, true);
	return NULL;
}

/* An access is under way through a translation that goes: nobody is told that it is gone before the access is done. */
static void waits_for(void *(*what)(void *), bool hit)
{
	struct slow *x = slow_new();
	struct world *w = &x->w;
	uint64_t status;
	pthread_t t[2];
	unsigned int i;
	bool over;

	ss_map(&w->r, w->ss, 4, 1, IA, SLOW | SS_RW);
	if (hit)
		assert_int_equal(reads(w, NOP, IA), 0);
	sync_wait(&w->r);
	w64(&w->r, w->r.status, 0);
	x->during = stay_inside;
	assert_int_equal(pthread_create(&t[0], NULL, slow_access, x), 0);
	while (!atomic_load(&x->inside))
		sched_yield();
	assert_int_equal(pthread_create(&t[1], NULL, what, x), 0);
	for (i = 0; i < 50 && !atomic_load(&x->over); i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	over = atomic_load(&x->over);
	status = r64(&w->r, w->r.status);
	atomic_store(&x->go, true);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_false(over);
	assert_int_equal(status, 0);
	assert_true(x->over);
	world_free(w);
	free(x);
}

static void test_waits(void **state)
{
	(void)state;
	waits_for(invalidate, true);
	waits_for(invalidate, false);
	waits_for(switch_off, true);
	waits_for(switch_off, false);
}

/* Off means off: no translated access after hw_atc_enable(false) has returned. */
static void *toggled(void *arg)
{
	struct race *x = arg;
	char c;
	size_t done;

	while (!atomic_load(&x->stop))
		hw_atc_dma(x->w.atc, NOP, IA, &c, 1, false, 0, &done);
	return NULL;
}

static void test_race_switch(void **state)
{
	struct race *x = calloc(1, sizeof(*x));
	unsigned int i;
	pthread_t t[2];

	(void)state;
	assert_non_null(x);
	world_new(&x->w);
	show(&x->w, IA, 0, SS_RW);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, toggled, x), 0);
	for (i = 0; i < 500; i++) {
		uint64_t n, hits;

		hw_atc_enable(x->w.atc, false);
		n = asks(&x->w);
		hits = nb_trace_count(x->w.r.tr, NB_EV_hw_ats_done);
		sched_yield();
		assert_int_equal(asks(&x->w), n);
		assert_int_equal(nb_trace_count(x->w.r.tr, NB_EV_hw_ats_done), hits);
		hw_atc_enable(x->w.atc, true);
	}
	atomic_store(&x->stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	world_free(&x->w);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_aborted),
		cmocka_unit_test(test_spaces),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_fill_loses),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_race_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
