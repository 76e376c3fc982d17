/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests of the VT-d model: the queue as bytes, every condition of 7.1.3 that a page request meets, automatic and
 * software's responses, the event, and rings that nobody sane would set up.
 */
#include "hw_vtd_rig.h"

#include <pthread.h>
#include <stdatomic.h>

#define NOP  NB_NO_PASID
#define VA   UINT64_C(0x7f1234567000)
#define GONE UINT64_C(0x3f00000000)
#define RW   (HW_READ | HW_WRITE)

struct response {
	uint32_t pasid;
	unsigned int prgi, code;
};

struct world {
	struct rig r;
	uint64_t ss, fs, page, ctx, pq;
	struct hw_client client;
	struct response resp[16];
	_Atomic unsigned int nresp;
};

static void got_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct world *w = opaque;
	unsigned int n = atomic_fetch_add(&w->nresp, 1);

	w->resp[n % 16] = (struct response){pasid, prgi, code};
}

/* Several threads at once: counted only. */
static void count_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	struct world *w = opaque;

	(void)pasid;
	(void)prgi;
	(void)code;
	atomic_fetch_add(&w->nresp, 1);
}

static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct world *w = opaque;

	return rid == RIG_RID ? &w->client : NULL;
}

static void world_new(struct world *w, struct vtd_caps *caps)
{
	struct vtd_caps c;
	struct rig *r = &w->r;

	memset(w, 0, sizeof(*w));
	vtd_caps_all(&c);
	rig_new_caps(r, caps ? caps : &c);
	w->client = (struct hw_client){.opaque = w, .page_response = got_response};
	r->hw->client = client;
	r->hw->client_opaque = w;
	rig_queue(r, true);
	w->pq = rig_page(r);
	reg64(r, VTD_REG_PQA, w->pq);
	sm_device(r, RIG_RID, VTD_SCTX_0_DTE | VTD_SCTX_0_PRE | VTD_SCTX_0_PASIDE, 0);
	w->ctx = (r64(r, r->root + (RIG_RID >> 8) * 16u) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	w->ss = rig_page(r);
	w->fs = rig_page(r);
	w->page = rig_page(r);
	sm_pasid(r, 0, w->ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 5, 0);
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w->fs | VTD_PASID_2_SRE);
	rig_on(r, VTD_TTM_SCALABLE);
}

static void page_request(struct world *w, uint32_t pasid, uint64_t addr, unsigned int prgi, unsigned int access, bool last)
{
	struct hw_page_request pr = {.addr = addr, .pasid = pasid, .rid = RIG_RID, .prgi = (uint16_t)prgi,
				     .access = (uint8_t)access, .last = last};

	w->r.hw->ops->page_request(w->r.hw, &pr);
}

#define RESPONSE(w, n, p, i, c)                                                                               \
	do {                                                                                                  \
		assert_int_equal((w)->nresp, n);                                                              \
		assert_int_equal((w)->resp[((n) - 1) % 16].pasid, p);                                         \
		assert_int_equal((w)->resp[((n) - 1) % 16].prgi, i);                                          \
		assert_int_equal((w)->resp[((n) - 1) % 16].code, c);                                          \
	} while (0)

static void entry_is(struct world *w, unsigned int i, uint64_t q0, uint64_t q1)
{
	assert_int_equal(r64(&w->r, w->pq + 32 * i), q0);
	assert_int_equal(r64(&w->r, w->pq + 32 * i + 8), q1);
	assert_int_equal(r64(&w->r, w->pq + 32 * i + 16), 0);
	assert_int_equal(r64(&w->r, w->pq + 32 * i + 24), 0);
}

static void test_entries(void **state)
{
	struct world w;
	struct hw_page_request pr = {.addr = VA | 0xabc, .pasid = 1, .rid = RIG_RID, .prgi = 0x1ff, .access = HW_READ | HW_EXEC,
				     .priv = true, .last = true};

	(void)state;
	world_new(&w, NULL);
	memset(w.r.buf + (w.pq - RIG_BASE), 0xff, 4096); /* every word is written */
	page_request(&w, NOP, VA | 0xabc, 5, HW_READ, true);
	entry_is(&w, 0, UINT64_C(0x0000000001100001), VA | 5 << 3 | 4 | 1);
	page_request(&w, 1, VA + 0x1000, 6, HW_WRITE, false);
	entry_is(&w, 1, UINT64_C(0x0000000101100101), (VA + 0x1000) | 6 << 3 | 2);
	w.r.hw->ops->page_request(w.r.hw, &pr);
	entry_is(&w, 2, UINT64_C(0x0030000101100101), VA | 0xff8 | 4 | 1);
	pr.pasid = NOP; /* nothing on the wire says execute or privileged then */
	w.r.hw->ops->page_request(w.r.hw, &pr);
	entry_is(&w, 3, UINT64_C(0x0000000001100001), VA | 0xff8 | 4 | 1);
	page_request(&w, 1, VA, 0, 0, true); /* stop marker */
	entry_is(&w, 4, UINT64_C(0x0000000101100101), VA | 4);
	pr.prgi = 0xffff; /* only 9 bits are there */
	w.r.hw->ops->page_request(w.r.hw, &pr);
	entry_is(&w, 5, UINT64_C(0x0000000001100001), VA | 0xff8 | 4 | 1);
	assert_int_equal(get64(&w.r, VTD_REG_PQT), 6 * 32);
	assert_int_equal(get64(&w.r, VTD_REG_PQH), 0);
	assert_int_equal(get32(&w.r, VTD_REG_PRS), 1);
	assert_int_equal(w.nresp, 0);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_page_request), 6);
	assert_int_equal(nb_trace_count(w.r.tr, NB_EV_hw_page_request_lost), 0);
	rig_free(&w.r);
}

/* ---- what refuses a page request ---- */

static void refused(struct world *w, unsigned int line, uint32_t pasid, unsigned int reason, bool logged)
{
	struct rig *r = &w->r;
	unsigned int before = w->nresp, i, pass;
	uint64_t want = 0, rec, tail = get64(r, VTD_REG_PQT);

	if (logged) /* F, page request; PASID */
		want = BIT(63) | BIT(28) | (uint64_t)reason << 32 | RIG_RID | (pasid == NOP ? 0 : BIT(31) | (uint64_t)pasid << 40);
	for (pass = 0; pass < 3; pass++) { /* in the middle of a group; the last of one; a stop marker */
		page_request(w, pasid, VA, 77, pass == 2 ? 0 : HW_READ, pass != 0);
		rec = 0;
		for (i = 0; i < r->caps.fault_records; i++)
			if (get64(r, VTD_FRCD_AT + 16 * i + 8) >> 63) {
				rec = get64(r, VTD_FRCD_AT + 16 * i + 8);
				if (get64(r, VTD_FRCD_AT + 16 * i) != VA)
					fail_msg("line %u: address", line);
			}
		faults_clear(r);
		if (rec != want)
			fail_msg("line %u: record %#lx, wanted %#lx", line, (unsigned long)rec, (unsigned long)want);
		if (w->nresp != before + (pass >= 1))
			fail_msg("line %u: pass %u: %u responses", line, pass, w->nresp - before);
	}
	if (w->resp[before % 16].code != HW_PAGE_INVALID || w->resp[before % 16].pasid != pasid || w->resp[before % 16].prgi != 77)
		fail_msg("line %u: response %u", line, w->resp[before % 16].code);
	assert_int_equal(get64(r, VTD_REG_PQT), tail);
	assert_int_equal(get32(r, VTD_REG_PRS), 0);
}
#define REFUSED(w, pasid, reason, logged) refused(w, __LINE__, pasid, reason, logged)

static void test_conditions(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t half, q0, t0;

	(void)state;
	world_new(&w, NULL);
	half = r->root + (RIG_RID >> 8) * 16u;
	q0 = r64(r, w.ctx);
	t0 = r64(r, half);
#define FRESH(pa, v) (w64(r, pa, v), vtd_drop_caches(r->hw))
	FRESH(half, 0);
	REFUSED(&w, NOP, 0x39, true);
	FRESH(half, t0 | 2);
	REFUSED(&w, NOP, 0x3a, true);
	FRESH(half, GONE | 1);
	REFUSED(&w, NOP, 0x40, true);
	FRESH(half, t0);
	FRESH(w.ctx, q0 & ~1ul);
	REFUSED(&w, NOP, 0x41, true);
	FRESH(w.ctx, (q0 & ~1ul) | VTD_SCTX_0_FPD);
	REFUSED(&w, NOP, 0x41, false);
	FRESH(w.ctx, q0 | BIT(8));
	REFUSED(&w, NOP, 0x42, true);
	FRESH(w.ctx, q0 & ~VTD_SCTX_0_DTE);
	REFUSED(&w, NOP, 0x43, true);
	FRESH(w.ctx, q0 & ~VTD_SCTX_0_PRE);
	REFUSED(&w, NOP, 0x47, true);
	REFUSED(&w, 1, 0x47, true);
	FRESH(w.ctx, (q0 & ~VTD_SCTX_0_PRE) | VTD_SCTX_0_FPD);
	REFUSED(&w, NOP, 0x47, false);
	FRESH(w.ctx, q0 & ~VTD_SCTX_0_PASIDE);
	REFUSED(&w, 1, 0x45, true);
	FRESH(w.ctx, q0);
	REFUSED(&w, 0x2000, 0x46, true);
	REFUSED(&w, 0, 0x48, true);
	FRESH(w.ctx, (q0 & BITS(11, 0)) | GONE);
	REFUSED(&w, 1, 0x50, true);
	FRESH(w.ctx, q0);
	FRESH(r->dir, 0);
	REFUSED(&w, 1, 0x51, true);
	FRESH(r->dir, r->table | 9);
	REFUSED(&w, 1, 0x52, true);
	FRESH(r->dir, GONE | 1);
	REFUSED(&w, 1, 0x58, true);
	FRESH(r->dir, r->table | 1);
	REFUSED(&w, 33, 0x59, true);
	rig_free(r);
}

static void test_conditions_mode(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	static const struct { unsigned int ttm, reason; } modes[] = {{0, 0x32}, {2, 0x30}, {3, 0x33}};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		world_new(&w, NULL);
		gcmd(r, 0, VTD_GCMD_TE);
		rig_on(r, modes[i].ttm);
		REFUSED(&w, NOP, modes[i].reason, true);
		REFUSED(&w, 1, modes[i].reason, true);
		rig_free(r);
	}
	world_new(&w, NULL);
	sm_pasid(r, 1, PGTT(7), 6, w.fs);
	REFUSED(&w, 1, 0x5b, true);
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 6 | BIT(18), w.fs);
	REFUSED(&w, 1, 0x5a, true);
	/* translation off; a fault has no code for it */
	gcmd(r, 0, VTD_GCMD_TE);
	REFUSED(&w, 1, 0, false);
	rig_free(r);
}

static void test_off(void **state)
{
	struct vtd_caps c;
	struct world w;
	struct rig *r = &w.r;
	uint64_t off;

	(void)state;
	vtd_caps_all(&c);
	assert_true(vtd_caps_ecap(&c) & VTD_ECAP_PRS);
	assert_true(vtd_caps_ecap(&c) & VTD_ECAP_PDS);
	c.page_requests = false;
	assert_int_equal(vtd_caps_ecap(&c) & (VTD_ECAP_PRS | VTD_ECAP_PDS), 0);
	world_new(&w, &c);
	for (off = VTD_REG_PQH; off <= VTD_REG_PEUADDR; off += 4) {
		reg32(r, off, ~0u);
		assert_int_equal(get32(r, off), 0);
	}
	w64(r, w.ctx, r64(r, w.ctx) & ~VTD_SCTX_0_PRE);
	REFUSED(&w, 1, 0, false);
	assert_false(inv(r, VTD_INV_PRGR, 0));
	assert_int_equal(get64(r, VTD_REG_IQER) & 15, 3);
	rig_free(r);
}

/* ---- the ring ---- */

static void test_registers(void **state)
{
	struct world w;
	struct rig *r = &w.r;

	(void)state;
	world_new(&w, NULL);
	assert_int_equal(get32(r, VTD_REG_PECTL), UINT32_C(1) << 31);
	reg64(r, VTD_REG_PQH, ~0ul);
	reg64(r, VTD_REG_PQT, ~0ul);
	reg64(r, VTD_REG_PQA, ~0ul);
	assert_int_equal(get64(r, VTD_REG_PQH), 0x7ffe0);
	assert_int_equal(get64(r, VTD_REG_PQT), 0x7ffe0);
	assert_int_equal(get64(r, VTD_REG_PQA), ~UINT64_C(0xff8));
	reg32(r, VTD_REG_PQA + 4, 0x12345678);
	assert_int_equal(get64(r, VTD_REG_PQA), UINT64_C(0x12345678fffff007));
	r->hw->ops->mmio_write(r->hw, VTD_REG_PQH + 1, 1, 0);
	assert_int_equal(get64(r, VTD_REG_PQH), 0x700e0);
	reg32(r, VTD_REG_PEADDR, ~0u);
	assert_int_equal(get32(r, VTD_REG_PEADDR), ~3u);
	reg32(r, VTD_REG_PEUADDR, 0x55aa);
	assert_int_equal(get32(r, VTD_REG_PEUADDR), 0x55aa);
	reg32(r, VTD_REG_PEDATA, 0x4321);
	assert_int_equal(get32(r, VTD_REG_PEDATA), 0x4321);
	reg32(r, VTD_REG_PECTL, 0);
	assert_int_equal(get32(r, VTD_REG_PECTL), 0);
	reg32(r, VTD_REG_PRS, ~0u);
	assert_int_equal(get32(r, VTD_REG_PRS), 0);
	assert_int_equal(get32(r, 0xd8), 0); /* between PQA and PRS there is nothing */
	r->hw->ops->reset(r->hw);
	assert_int_equal(get64(r, VTD_REG_PQA), 0);
	assert_int_equal(get64(r, VTD_REG_PQH), 0);
	assert_int_equal(get64(r, VTD_REG_PQT), 0);
	assert_int_equal(get32(r, VTD_REG_PEADDR), 0);
	assert_int_equal(get32(r, VTD_REG_PECTL), UINT32_C(1) << 31);
	rig_free(r);
}

/* Every size, more than once around: entries lie one behind the other, one place stays free. */
static void test_sizes(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	unsigned int pqs, i;

	(void)state;
	for (pqs = 0; pqs < 8; pqs++) {
		unsigned int n = 128u << pqs;

		world_new(&w, NULL);
		w.pq = RIG_BASE + RIG_SIZE - (UINT64_C(4096) << pqs); /* nothing may be written behind it */
		reg64(r, VTD_REG_PQA, w.pq | pqs);
		for (i = 0; i < 2 * n + 3; i++) {
			page_request(&w, NOP, VA + i * 4096u, i & 0x1ff, HW_READ, i & 1);
			entry_is(&w, i % n, 0x1100001, (VA + i * 4096u) | (i & 0x1ff) << 3 | (i & 1) << 2 | 1);
			assert_int_equal(get64(r, VTD_REG_PQT), (i + 1) % n * 32);
			reg64(r, VTD_REG_PQH, (i + 1) % n * 32);
		}
		assert_int_equal(get32(r, VTD_REG_PRS), 1);
		/* full: n - 1 entries */
		for (i = 0; i < n - 1; i++)
			page_request(&w, NOP, VA, 1, HW_READ, true);
		assert_int_equal(get32(r, VTD_REG_PRS), 1);
		assert_int_equal(w.nresp, 0);
		page_request(&w, NOP, VA, 9, HW_READ, true);
		assert_int_equal(get32(r, VTD_REG_PRS), 3);
		RESPONSE(&w, 1, NOP, 9, HW_PAGE_SUCCESS);
		assert_int_equal(get64(r, VTD_REG_PQT), (2 * n + 3 + n - 1) % n * 32);
		rig_free(r);
	}
}

static void test_overflow(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	unsigned int i;

	(void)state;
	world_new(&w, NULL);
	for (i = 0; i < 127; i++)
		page_request(&w, NOP, VA, i, HW_READ, true);
	page_request(&w, NOP, VA, 1, HW_READ, false); /* discarded without a word */
	assert_int_equal(get32(r, VTD_REG_PRS), 3);
	assert_int_equal(w.nresp, 0);
	page_request(&w, 1, VA, 0, 0, true); /* a stop marker too */
	assert_int_equal(w.nresp, 0);
	/* room again, but the overflow is not cleared: still discarded */
	reg64(r, VTD_REG_PQH, 64 * 32);
	page_request(&w, 1, VA, 2, HW_READ, true);
	RESPONSE(&w, 1, 1, 2, HW_PAGE_SUCCESS);
	assert_int_equal(get64(r, VTD_REG_PQT), 127 * 32);
	reg32(r, VTD_REG_PRS, 2);
	assert_int_equal(get32(r, VTD_REG_PRS), 1);
	page_request(&w, 1, VA, 3, HW_READ, true);
	entry_is(&w, 127, UINT64_C(0x101100101), VA | 3 << 3 | 5);
	assert_int_equal(get64(r, VTD_REG_PQT), 0);
	assert_int_equal(w.nresp, 1);
	/* no fault is logged for any of this */
	assert_int_equal(get32(r, VTD_REG_FSTS), 0);
	/* a storm: each of its requests is answered and forgotten */
	for (i = 0; i < 100000; i++)
		page_request(&w, 1, VA, i & 0x1ff, HW_READ, true);
	assert_int_equal(w.nresp, 1 + 100000 - 63);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_page_request_lost), 3 + 100000 - 63);
	rig_free(r);
}

/* Head, tail and size that software should not have written. */
static void test_strange_rings(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t head, tail;

	(void)state;
	world_new(&w, NULL);
	/* beyond the size: the bits that are, do not count */
	reg64(r, VTD_REG_PQT, 0x7ff00 | 0x20);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	entry_is(&w, (0x7ff20 & 0xfff) / 32, 0x1100001, VA | 4 << 3 | 5);
	assert_int_equal(get64(r, VTD_REG_PQT), 0xf40);
	for (head = 0; head < 0x80000; head += 0x7e0) {
		for (tail = 0; tail < 0x80000; tail += 0x9e0) {
			unsigned int before = w.nresp;
			bool full = ((tail + 32) & 0xfe0) == (head & 0xfe0);

			reg64(r, VTD_REG_PQH, head);
			reg64(r, VTD_REG_PQT, tail);
			reg32(r, VTD_REG_PRS, 3);
			page_request(&w, NOP, VA, 4, HW_READ, true);
			assert_int_equal(get32(r, VTD_REG_PRS), full ? 2 : 1);
			assert_int_equal(w.nresp, before + full);
			assert_int_equal(get64(r, VTD_REG_PQT), full ? tail & 0x7ffe0 : (tail + 32) & 0xfe0);
		}
	}
	/* no memory: lost, answered as a fault is, and the tail stays */
	reg32(r, VTD_REG_PRS, 3);
	reg64(r, VTD_REG_PQA, GONE);
	reg64(r, VTD_REG_PQH, 0);
	reg64(r, VTD_REG_PQT, 0x40);
	w.nresp = 0;
	page_request(&w, NOP, VA, 4, HW_READ, true);
	RESPONSE(&w, 1, NOP, 4, HW_PAGE_INVALID);
	assert_int_equal(get64(r, VTD_REG_PQT), 0x40);
	assert_int_equal(get32(r, VTD_REG_PRS), 0);
	/* half of the last entry is there */
	reg64(r, VTD_REG_PQA, (RIG_BASE + RIG_SIZE - 4096) | 1);
	reg64(r, VTD_REG_PQT, 0x1000);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	RESPONSE(&w, 2, NOP, 4, HW_PAGE_INVALID);
	reg64(r, VTD_REG_PQA, ~0ul);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	RESPONSE(&w, 3, NOP, 4, HW_PAGE_INVALID);
	rig_free(r);
}

/* ---- the event ---- */

static void test_event(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	unsigned int i;

	(void)state;
	world_new(&w, NULL);
	reg32(r, VTD_REG_PEADDR, 0xfee01000);
	reg32(r, VTD_REG_PEUADDR, 0x12);
	reg32(r, VTD_REG_PEDATA, 0x33);
	page_request(&w, NOP, VA, 4, HW_READ, false); /* masked */
	assert_int_equal(r->nmsi, 0);
	assert_int_equal(get32(r, VTD_REG_PECTL), UINT32_C(3) << 30);
	reg32(r, VTD_REG_PECTL, 0);
	assert_int_equal(r->nmsi, 1);
	assert_int_equal(r->msi[0].addr, UINT64_C(0x12fee01000));
	assert_int_equal(r->msi[0].data, 0x33);
	assert_int_equal(get32(r, VTD_REG_PECTL), 0);
	page_request(&w, NOP, VA, 4, HW_READ, true); /* pending already */
	assert_int_equal(r->nmsi, 1);
	reg32(r, VTD_REG_PRS, 1);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(r->nmsi, 2);
	/* serviced while masked: forgotten */
	reg32(r, VTD_REG_PRS, 1);
	reg32(r, VTD_REG_PECTL, UINT32_C(1) << 31);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(get32(r, VTD_REG_PECTL), UINT32_C(3) << 30);
	reg32(r, VTD_REG_PRS, 1);
	assert_int_equal(get32(r, VTD_REG_PECTL), UINT32_C(1) << 31);
	reg32(r, VTD_REG_PECTL, 0);
	assert_int_equal(r->nmsi, 2);
	/* an overflow is an event of its own when nothing is pending */
	for (i = 4; i < 127; i++)
		page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(r->nmsi, 3);
	reg32(r, VTD_REG_PRS, 1);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(r->nmsi, 4);
	assert_int_equal(get32(r, VTD_REG_PRS), 2);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(r->nmsi, 4);
	reg32(r, VTD_REG_PRS, 2);
	page_request(&w, NOP, VA, 4, HW_READ, true);
	assert_int_equal(r->nmsi, 5);
	rig_free(r);
}

/* ---- responses and drains ---- */

static void test_responses(void **state)
{
	static const struct {
		uint64_t q0, q1;
		uint32_t pasid;
		unsigned int prgi, code;
	} good[] = {
		{UINT64_C(0x0000000001100009), 5 << 3, NOP, 5, 0},
		{UINT64_C(0x0000000501100019), 0xff8, 5, 0x1ff, 0},
		{UINT64_C(0x000fffff01101019), 0xff8 | 7, 0xfffff, 0x1ff, 1}, /* bits 2:0 are ignored */
		{UINT64_C(0x000000050110f009), 0, NOP, 0, 15},	 /* without PP the PASID is ignored */
		{UINT64_C(0x0000000001102009), 0, NOP, 0, 15},	 /* reserved codes are failures */
		{UINT64_C(0x000000000110e009), 0, NOP, 0, 15},
	};
	static const struct { uint64_t q0, q1; } bad[] = {
		{0x1100009 | BIT(5), 0}, {0x1100009 | BIT(8), 0}, {0x1100009 | BIT(52), 0}, {0x1100009 | BIT(63), 0},
		{0x1100009, BIT(12)}, {0x1100009, BIT(63)},
	};
	struct world w;
	struct rig *r = &w.r;
	unsigned int i;

	(void)state;
	world_new(&w, NULL);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(inv(r, good[i].q0, good[i].q1));
		RESPONSE(&w, i + 1, good[i].pasid, good[i].prgi, good[i].code);
	}
	/* to a function that is not there, or has no such interest */
	assert_true(inv(r, 0x9990009, 0));
	w.client.page_response = NULL;
	assert_true(inv(r, 0x1100009, 0));
	w.client.page_response = got_response;
	assert_int_equal(w.nresp, ARRAY_SIZE(good));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t head = r->iqt;

		assert_false(inv(r, bad[i].q0, bad[i].q1));
		assert_int_equal(get64(r, VTD_REG_IQER) & 15, 4);
		w64(r, r->iq + head, VTD_INV_WAIT);
		w64(r, r->iq + head + 8, 0);
		reg32(r, VTD_REG_FSTS, (uint32_t)VTD_FSTS_IQE);
	}
	assert_int_equal(w.nresp, ARRAY_SIZE(good));
	sync_wait(r);
	/* drain */
	assert_true(inv(r, VTD_INV_WAIT | VTD_INV_WAIT_0_PD, 0));
	r->hw->client = NULL;
	assert_true(inv(r, 0x1100009, 0));
	page_request(&w, 77, VA, 4, HW_READ, true); /* refused; nobody to tell */
	rig_free(r);
	world_new(&w, NULL);
	gcmd(r, 0, VTD_GCMD_TE);
	rig_on(r, VTD_TTM_LEGACY);
	assert_false(inv(r, 0x1100009, 0));
	assert_int_equal(get64(r, VTD_REG_IQER) & 15, 3);
	rig_free(r);
}

/* 6.5.3.1: the translation that refused is gone when the function tries again, and no other. */
static void test_implicit_invalidation(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t ia = UINT64_C(0x7000), other;

	(void)state;
	world_new(&w, NULL);
	other = rig_page(r);
	ss_map(r, w.ss, 4, 1, ia, w.page | 1);
	ss_map(r, w.ss, 4, 1, ia + 4096, w.page | 1);
	FAULTS(r, NOP, ia, HW_WRITE, 0x85);
	FAULTS(r, NOP, ia + 4096, HW_WRITE, 0x85);
	GOES(r, NOP, ia, HW_READ, w.page);
	GOES(r, NOP, ia + 4096, HW_READ, w.page);
	ss_map(r, w.ss, 4, 1, ia, other | SS_RW);
	ss_map(r, w.ss, 4, 1, ia + 4096, other | SS_RW);
	FAULTS(r, NOP, ia, HW_WRITE, 0x85);
	page_request(&w, NOP, ia | 0x123, 4, HW_WRITE, true);
	GOES(r, NOP, ia, HW_WRITE, other);
	FAULTS(r, NOP, ia + 4096, HW_WRITE, 0x85);
	/* first stage, of one PASID */
	sm_pasid(r, 2, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w.fs);
	fs_map(r, w.fs, 4, 1, VA, w.page | VTD_FSPTE_P | VTD_FSPTE_US, 0);
	GOES(r, 1, VA, HW_READ, w.page);
	GOES(r, 2, VA, HW_READ, w.page);
	fs_map(r, w.fs, 4, 1, VA, other | FS_U_RW, 0);
	FAULTS(r, 1, VA, HW_WRITE, 0x85);
	page_request(&w, 1, VA, 4, HW_WRITE, true);
	GOES(r, 1, VA, HW_WRITE, other);
	FAULTS(r, 2, VA, HW_WRITE, 0x85);
	/* nested: the whole domain */
	w.ss = ss_all(r, 4);
	w.fs = rig_page(r);
	sm_pasid(r, 3, w.ss | PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_48), 9 | VTD_PASID_1_PWSNP, w.fs + RIG_GPA);
	fs_map(r, w.fs, 4, 1, VA, (w.page + RIG_GPA) | VTD_FSPTE_P | VTD_FSPTE_US, RIG_GPA);
	fs_map(r, w.fs, 4, 1, VA + 4096, (w.page + RIG_GPA) | VTD_FSPTE_P | VTD_FSPTE_US, RIG_GPA);
	GOES(r, 3, VA, HW_READ, w.page);
	GOES(r, 3, VA + 4096, HW_READ, w.page);
	fs_map(r, w.fs, 4, 1, VA, (other + RIG_GPA) | FS_U_RW, RIG_GPA);
	fs_map(r, w.fs, 4, 1, VA + 4096, (other + RIG_GPA) | FS_U_RW, RIG_GPA);
	FAULTS(r, 3, VA, HW_WRITE, 0x85);
	page_request(&w, 3, VA, 4, HW_WRITE, true);
	GOES(r, 3, VA, HW_WRITE, other);
	GOES(r, 3, VA + 4096, HW_WRITE, other);
	assert_int_equal(w.nresp, 0);
	rig_free(r);
}

/* ---- threads ---- */

#define PER_THREAD 20000u
struct sender {
	struct world *w;
	unsigned int id;
};

static void *send(void *arg)
{
	struct sender *s = arg;
	unsigned int i;

	for (i = 0; i < PER_THREAD; i++) {
		struct hw_page_request pr = {.addr = (uint64_t)i << 12, .pasid = NOP, .rid = RIG_RID, .prgi = (uint16_t)s->id,
					     .access = HW_READ, .last = true};

		s->w->r.hw->ops->page_request(s->w->r.hw, &pr);
	}
	return NULL;
}

/* Three senders, one reader, a full ring now and then: each request is in the ring once, in order, or was answered. */
static void test_threads(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sender s[3];
	pthread_t t[3];
	unsigned int seen[3] = {0}, total = 0, i;
	uint64_t next[3] = {0};
	bool alive = true;

	(void)state;
	assert_non_null(w);
	world_new(w, NULL);
	w->client.page_response = count_response;
	for (i = 0; i < 3; i++) {
		s[i] = (struct sender){w, i};
		assert_int_equal(pthread_create(&t[i], NULL, send, &s[i]), 0);
	}
	while (alive) {
		uint64_t head = get64(&w->r, VTD_REG_PQH), tail;

		alive = nb_trace_count(w->r.tr, NB_EV_hw_page_request) < 3 * PER_THREAD;
		if (!alive) { /* all are in the unit: when the drain is done, they are in the ring */
			for (i = 0; i < 3; i++)
				pthread_join(t[i], NULL);
			assert_true(inv(&w->r, VTD_INV_WAIT | VTD_INV_WAIT_0_PD, 0));
		}
		reg32(&w->r, VTD_REG_PRS, 3);
		for (tail = get64(&w->r, VTD_REG_PQT); head != tail; head = (head + 32) & 4095) {
			uint64_t q1 = r64(&w->r, w->pq + head + 8);
			unsigned int id = (unsigned int)FIELD_GET(VTD_PREQ_1_PRGI, q1);

			assert_in_range(id, 0, 2);
			assert_true((q1 >> 12) >= next[id]);
			next[id] = (q1 >> 12) + 1;
			seen[id]++;
		}
		reg64(&w->r, VTD_REG_PQH, head);
	}
	for (i = 0; i < 3; i++)
		total += seen[i];
	assert_int_equal(total + w->nresp, 3 * PER_THREAD);
	assert_true(total > 0);
	rig_free(&w->r);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_conditions_mode),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_strange_rings),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_implicit_invalidation),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
