/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation requests and translated requests of the VT-d model, one condition after the other of the table in 7.1.3: how
 * it ends for the function, what is logged, and what is granted.
 */
#include "hw_vtd_rig.h"

#define NOP  NB_NO_PASID
#define VA   UINT64_C(0x7f1234567000)
#define IA   UINT64_C(0x12345000)
#define GONE UINT64_C(0x3f00000000) /* no memory there */
#define NW   HW_READ
#define RW   (HW_READ | HW_WRITE)

enum { OK = HW_ATS_OK, UR = HW_ATS_UR, CA = HW_ATS_CA };

static struct hw_ats_completion asked(struct rig *r, uint32_t pasid, uint64_t addr, unsigned int access, unsigned int flags)
{
	struct hw_request req = {.addr = addr, .pasid = pasid, .rid = RIG_RID, .access = (uint8_t)access, .flags = (uint8_t)flags};
	struct hw_result res = {.kind = HW_FAULT};
	struct hw_ats_completion c;

	memset(&c, 0xee, sizeof(c));
	nb_rcu_read_lock();
	r->hw->ops->ats_request(r->hw, &req, &c);
	nb_rcu_read_unlock();
	res.fault = c.fault;
	if (c.fault.record_len)
		r->hw->ops->report(r->hw, &req, &res);
	return c;
}

/* The last fault record, which goes; 0: none. */
static uint64_t record(struct rig *r)
{
	uint64_t hi = 0;
	unsigned int i;

	for (i = 0; i < r->caps.fault_records; i++)
		if (get64(r, VTD_FRCD_AT + 16 * i + 8) >> 63)
			hi = get64(r, VTD_FRCD_AT + 16 * i + 8);
	faults_clear(r);
	return hi;
}

static void expect(struct rig *r, unsigned int line, uint32_t pasid, uint64_t addr, unsigned int status, unsigned int reason,
		   bool logged)
{
	struct hw_ats_completion c = asked(r, pasid, addr, RW, 0);
	uint64_t rec = record(r), want = 0;

	if (logged) /* F, read, translation request; PASID */
		want = BIT(63) | BIT(62) | UINT64_C(1) << 60 | (uint64_t)reason << 32 | RIG_RID |
		       (pasid == NOP ? 0 : BIT(31) | (uint64_t)pasid << 40);
	if (c.status != status || c.fault.reason != reason || rec != want || c.perm != 0 || c.untranslated_only)
		fail_msg("line %u: status %u reason %#x record %#lx perm %u; wanted %u %#x %#lx", line, c.status, c.fault.reason,
			 (unsigned long)rec, c.perm, status, reason, (unsigned long)want);
}
#define ENDS(r, pasid, addr, status, reason, logged) expect(r, __LINE__, pasid, addr, status, reason, logged)

static void granted(struct rig *r, unsigned int line, uint32_t pasid, uint64_t addr, unsigned int access, unsigned int perm,
		    uint64_t pa, unsigned int lg2)
{
	struct hw_ats_completion c = asked(r, pasid, addr, access, 0);

	if (c.status != HW_ATS_OK || c.perm != perm || c.pa.v != pa || c.lg2 != lg2 || c.untranslated_only || c.global || c.priv ||
	    record(r))
		fail_msg("line %u: status %u reason %#x perm %u pa %#lx lg2 %u", line, c.status, c.fault.reason, c.perm,
			 (unsigned long)c.pa.v, c.lg2);
}
#define GRANTS(r, pasid, addr, access, perm, pa, lg2) granted(r, __LINE__, pasid, addr, access, perm, pa, lg2)

/* All that is cached goes. */
static void fresh(struct rig *r)
{
	vtd_drop_caches(r->hw);
}

static void start(struct rig *r, struct vtd_caps *c, unsigned int ttm)
{
	struct vtd_caps all;

	vtd_caps_all(&all);
	rig_new_caps(r, c ? c : &all);
	rig_queue(r, true);
	rig_on(r, ttm);
}

/* ---- legacy mode ---- */

static void test_legacy(void **state)
{
	struct rig r;
	uint64_t ss, ctx, root, page;

	(void)state;
	start(&r, NULL, VTD_TTM_LEGACY);
	root = r.root + (RIG_RID >> 8) * 16u;
	ENDS(&r, NOP, IA, UR, 0x01, true);
	ENDS(&r, 7, IA, UR, 0x31, true);
	w64(&r, root, rig_page(&r) | 3);
	ENDS(&r, NOP, IA, CA, 0x0a, true);
	w64(&r, root, GONE | 1);
	ENDS(&r, NOP, IA, CA, 0x09, true);
	ctx = rig_page(&r);
	w64(&r, root, ctx | 1);
	ctx += (RIG_RID & 0xff) * 16u;
	ENDS(&r, NOP, IA, UR, 0x02, true);
	w64(&r, ctx, VTD_CTX_0_FPD);
	ENDS(&r, NOP, IA, UR, 0x02, false);
	ss = rig_page(&r);
	page = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, page | SS_RW);
#define CTX(q0, q1) (w64(&r, ctx + 8, q1), w64(&r, ctx, (q0) | 1), fresh(&r))
	CTX(ss | BIT(4), 0x102);
	ENDS(&r, NOP, IA, CA, 0x0b, true);
	CTX(ss | VTD_TT_DEVICE_TLB << 2, 0x104);
	ENDS(&r, NOP, IA, CA, 0x03, true);
	CTX(ss | 3 << 2, 0x102);
	ENDS(&r, NOP, IA, CA, 0x03, true);
	CTX(ss, 0x102); /* untranslated only */
	ENDS(&r, NOP, IA, UR, 0x0d, true);
	CTX(ss | VTD_CTX_0_FPD, 0x102);
	ENDS(&r, NOP, IA, UR, 0x0d, false);
	CTX(ss | VTD_TT_PASS_THROUGH << 2, 0x102);
	ENDS(&r, NOP, IA, UR, 0x0d, true);
	CTX(GONE | VTD_TT_DEVICE_TLB << 2, 0x102);
	ENDS(&r, NOP, IA, CA, 0x03, true);
	CTX(ss | VTD_TT_DEVICE_TLB << 2, 0x102);
	ENDS(&r, NOP, BIT(48) | IA, OK, 0x04, false);
	ENDS(&r, NOP, IA + 4096, OK, 0x06, false);
	ENDS(&r, NOP, BIT(47) | IA, OK, 0x06, false);
	GRANTS(&r, NOP, IA + 5, RW, RW, page, 12);
	GRANTS(&r, NOP, IA + 5, NW, NW, page, 12);
	ss_map(&r, ss, 4, 1, IA + 0x1000, page | 1);
	GRANTS(&r, NOP, IA + 0x1000, RW, HW_READ, page, 12);
	GRANTS(&r, NOP, IA + 0x1000, RW, HW_READ, page, 12);
	ss_map(&r, ss, 4, 1, IA + 0x2000, page | 2);
	GRANTS(&r, NOP, IA + 0x2000, RW, HW_WRITE, page, 12);
	GRANTS(&r, NOP, IA + 0x2000, RW, HW_WRITE, page, 12);
	ENDS(&r, NOP, IA + 0x3000, OK, 0x06, false);
	ss_map(&r, ss, 4, 1, IA + 0x3000, 0xfee12000 | SS_RW);
	ENDS(&r, NOP, IA + 0x3000, CA, 0x0e, true);
	ss_map(&r, ss, 4, 1, IA + 0x4000, page | SS_RW | VTD_SSPTE_TM);
	ENDS(&r, NOP, IA + 0x4000, CA, 0x0c, true);
	ss_map(&r, ss, 4, 2, UINT64_C(0x4000000000), GONE | SS_RW);
	w64(&r, entry_at(&r, ss, 4, 2, UINT64_C(0x4000000000), SS_RW, 0), GONE | SS_RW);
	ENDS(&r, NOP, UINT64_C(0x4000000000), CA, 0x07, true);
	/* the root table is not in memory */
	reg64(&r, VTD_REG_RTADDR, GONE);
	gcmd(&r, VTD_GCMD_SRTP, 0);
	fresh(&r);
	ENDS(&r, NOP, IA, CA, 0x08, true);
	rig_free(&r);
}

/* ---- scalable mode ---- */

static void test_scalable_config(void **state)
{
	struct rig r;
	struct vtd_caps c;
	uint64_t ss, ctx, q0, half, page;

	(void)state;
	vtd_caps_all(&c);
	c.pasid_bits = 16;
	c.haw = 46;
	start(&r, &c, VTD_TTM_SCALABLE);
	half = r.root + (RIG_RID >> 8) * 16u;
	ENDS(&r, NOP, IA, UR, 0x39, true);
	ENDS(&r, 3, IA, UR, 0x39, true);
	w64(&r, half, GONE | 3);
	ENDS(&r, NOP, IA, CA, 0x3a, true);
	w64(&r, half, GONE | 1);
	ENDS(&r, 3, IA, CA, 0x40, true);
	w64(&r, half, 0);
	sm_device(&r, RIG_RID, VTD_SCTX_0_DTE | VTD_SCTX_0_PASIDE, 9);
	ctx = (r64(&r, half) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	q0 = r64(&r, ctx);
	ss = rig_page(&r);
	page = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, page | SS_RW);
#define SCTX(v) (w64(&r, ctx, v), fresh(&r))
	SCTX(q0 & ~1ul);
	ENDS(&r, NOP, IA, UR, 0x41, true);
	SCTX((q0 & ~1ul) | VTD_SCTX_0_FPD);
	ENDS(&r, NOP, IA, UR, 0x41, false);
	SCTX(q0 | BIT(6));
	ENDS(&r, NOP, IA, CA, 0x42, true);
	SCTX((q0 & ~VTD_SCTX_0_DTE) | VTD_SCTX_0_PRE);
	ENDS(&r, NOP, IA, CA, 0x43, true);
	SCTX(q0 & ~VTD_SCTX_0_DTE);
	ENDS(&r, NOP, IA, UR, 0x44, true);
	ENDS(&r, 3, IA, UR, 0x44, true);
	SCTX((q0 & ~VTD_SCTX_0_DTE) | VTD_SCTX_0_FPD);
	ENDS(&r, NOP, IA, UR, 0x44, false);
	SCTX(q0 & ~VTD_SCTX_0_PASIDE);
	ENDS(&r, 3, IA, UR, 0x45, true);
	SCTX(q0);
	ENDS(&r, 0x2000, IA, UR, 0x46, true); /* PDTS 0: 8192 */
	ENDS(&r, 9, IA, UR, 0x48, true);
	ENDS(&r, 0x10000, IA, UR, 0x89, true);

	w64(&r, r.dir, 0);
	fresh(&r);
	ENDS(&r, NOP, IA, OK, 0x51, false);
	ENDS(&r, 3, IA, OK, 0x51, false);
	w64(&r, r.dir, r.table | 5);
	ENDS(&r, 3, IA, CA, 0x52, true);
	w64(&r, r.dir, GONE | 1);
	ENDS(&r, 3, IA, CA, 0x58, true);
	w64(&r, r.dir, r.table | 1);
	ENDS(&r, 3, IA, OK, 0x59, false);
	ENDS(&r, NOP, IA, OK, 0x59, false);
	sm_pasid(&r, 3, ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), BIT(20), 0);
	ENDS(&r, 3, IA, CA, 0x5a, true);
	sm_pasid(&r, 3, ss | PGTT(5), 5, 0);
	ENDS(&r, 3, IA, CA, 0x5b, true);
	sm_pasid(&r, 3, ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 5, 0);
	GRANTS(&r, 3, IA, RW, RW, page, 12);
	{
		struct hw_ats_completion got = asked(&r, 3, IA, RW, HW_PRIV); /* SRE clear */

		assert_int_equal(got.status, OK);
		assert_int_equal(got.perm, 0);
		assert_true(got.priv);
		assert_int_equal(got.fault.reason, 0x5d);
		assert_int_equal(record(&r), 0);
	}
	w64(&r, ctx, q0 & ~BITS(63, 12));
	w64(&r, ctx, (q0 & BITS(11, 0)) | GONE);
	fresh(&r);
	ENDS(&r, 3, IA, CA, 0x50, true);
	rig_free(&r);
}

static void test_modes(void **state)
{
	struct rig r;
	struct vtd_caps c;
	struct hw_ats_completion got;

	(void)state;
	start(&r, NULL, VTD_TTM_ABORT);
	ENDS(&r, NOP, IA, UR, 0x33, true);
	ENDS(&r, 3, IA, UR, 0x33, true);
	gcmd(&r, 0, VTD_GCMD_TE); /* off: unsupported, and nobody logs it */
	ENDS(&r, NOP, IA, UR, 0, false);
	ENDS(&r, NOP, 0xfee00000, UR, 0, false);
	rig_free(&r);
	start(&r, NULL, VTD_TTM_RESERVED);
	ENDS(&r, NOP, IA, CA, 0x30, true);
	rig_free(&r);
	vtd_caps_all(&c);
	c.device_tlb = c.page_requests = c.dev_tlb_throttle = false;
	start(&r, &c, VTD_TTM_SCALABLE);
	got = asked(&r, NOP, IA, RW, 0);
	assert_int_equal(got.status, UR);
	assert_int_equal(record(&r), 0);
	assert_int_equal(ask(&r, RIG_RID, NOP, IA, HW_READ, HW_TRANSLATED).kind, HW_FAULT);
	assert_int_equal(record(&r), 0);
	rig_free(&r);
}

/* PASID 0, requests without: second stage. PASID 1: first stage. PASID 2: nested. PASID 4: pass-through. */
struct world {
	struct rig r;
	uint64_t ss, fs, fs1, page, ctx;
};

static void world_new(struct world *w, struct vtd_caps *caps)
{
	struct vtd_caps c;
	struct rig *r = &w->r;

	vtd_caps_all(&c);
	start(r, caps ? caps : &c, VTD_TTM_SCALABLE);
	sm_device(r, RIG_RID, VTD_SCTX_0_DTE | VTD_SCTX_0_PASIDE, 0);
	w->ctx = (r64(r, r->root + (RIG_RID >> 8) * 16u) & BITS(51, 12)) + (RIG_RID & 0x7f) * 32u;
	w->ss = ss_all(r, 4);
	w->fs = rig_page(r);
	w->fs1 = rig_page(r);
	w->page = rig_page(r);
	sm_pasid(r, 0, w->ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 5, 0);
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w->fs | VTD_PASID_2_SRE);
	sm_pasid(r, 2, w->ss | PGTT(VTD_PGTT_NESTED) | AW(VTD_AW_48), 7 | VTD_PASID_1_PWSNP, w->fs1 + RIG_GPA);
	sm_pasid(r, 4, PGTT(VTD_PGTT_PT), 8, 0);
}

static void test_first_stage(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t leaf;

	(void)state;
	world_new(&w, NULL);
	ENDS(r, 1, VA, OK, 0x71, false);
	ENDS(r, 1, UINT64_C(0x8f1234567000), OK, 0x80, false);
	fs_map(r, w.fs, 4, 1, VA, w.page | FS_U_RW, 0);
	leaf = entry_at(r, w.fs, 4, 1, VA, FS_U_RW, 0);
	/* A read: the dirty bit stays clear. A read and write sets it. */
	GRANTS(r, 1, VA, NW, NW, w.page, 12);
	assert_int_equal(r64(r, leaf), w.page | FS_U_RW | VTD_FSPTE_A);
	GRANTS(r, 1, VA, RW, RW, w.page, 12);
	assert_int_equal(r64(r, leaf), w.page | FS_U_RW | VTD_FSPTE_A | VTD_FSPTE_D);
	GRANTS(r, 1, VA, NW, NW, w.page, 12); /* never more than was asked for */
	/* read-only: no dirty bit */
	fs_map(r, w.fs, 4, 1, VA + 0x1000, w.page | VTD_FSPTE_P | VTD_FSPTE_US, 0);
	GRANTS(r, 1, VA + 0x1000, RW, HW_READ, w.page, 12);
	assert_int_equal(r64(r, leaf + 8), w.page | VTD_FSPTE_P | VTD_FSPTE_US | VTD_FSPTE_A);
	GRANTS(r, 1, VA + 0x1000, RW, HW_READ, w.page, 12);
	/* supervisor page: nothing for users; all for privileged requests, and the completion says so */
	fs_map(r, w.fs, 4, 1, VA + 0x2000, w.page | VTD_FSPTE_P | VTD_FSPTE_RW, 0);
	ENDS(r, 1, VA + 0x2000, OK, 0x81, false);
	{
		struct hw_ats_completion c = asked(r, 1, VA + 0x2000, RW, HW_PRIV);

		assert_int_equal(c.status, OK);
		assert_int_equal(c.perm, RW);
		assert_true(c.priv);
		assert_false(c.global);
	}
	ENDS(r, 1, VA + 0x2000, OK, 0x81, false); /* from the IOTLB too */
	/* large pages, and one that overlaps the interrupt range */
	fs_map(r, w.fs, 4, 2, VA + 0x40000000, UINT64_C(0x40200000) | FS_U_RW | VTD_FSPTE_PS, 0);
	GRANTS(r, 1, VA + 0x40000000, RW, RW, 0x40200000, 21);
	GRANTS(r, 1, VA + 0x40000000, RW, RW, 0x40200000, 21);
	fs_map(r, w.fs, 4, 3, UINT64_C(0x1000000000), UINT64_C(0x40000000) | FS_U_RW | VTD_FSPTE_PS, 0);
	GRANTS(r, 1, UINT64_C(0x1000000000) + 0x12345678, RW, RW, 0x40000000, 30);
	fs_map(r, w.fs, 4, 3, UINT64_C(0x1040000000), UINT64_C(0xc0000000) | FS_U_RW | VTD_FSPTE_PS, 0);
	ENDS(r, 1, UINT64_C(0x1040000000) + 0x3ef00000, CA, 0x87, true);
	ENDS(r, 1, UINT64_C(0x1040000000), CA, 0x87, true);
	ENDS(r, 1, UINT64_C(0x1040000000) + 0x3ee45000, CA, 0x87, true);
	/* whatever untranslated requests, which may pass, have cached of it */
	assert_int_equal(ask(r, RIG_RID, 1, UINT64_C(0x1040000000), HW_READ, 0).kind, HW_OK);
	assert_int_equal(ask(r, RIG_RID, 1, UINT64_C(0x1040000000), HW_READ, 0).kind, HW_OK);
	ENDS(r, 1, UINT64_C(0x1040000000), CA, 0x87, true);
	/* no table: not the unit's error but a page fault, by the manual */
	sm_pasid(r, 3, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, GONE);
	ENDS(r, 3, VA, OK, 0x73, false);
	w64(r, entry_at(r, w.fs, 4, 3, UINT64_C(0x2000000000), FS_U_RW, 0), GONE | FS_U_RW);
	ENDS(r, 1, UINT64_C(0x2000000000), OK, 0x70, false);
	w64(r, entry_at(r, w.fs, 4, 3, UINT64_C(0x3000000000), FS_U_RW, 0), w.page | BIT(13) | FS_U_RW | VTD_FSPTE_PS);
	ENDS(r, 1, UINT64_C(0x3000000000), OK, 0x72, false);
	/* no snooping walk: bits cannot be set */
	sm_pasid(r, 5, PGTT(VTD_PGTT_FS), 9, w.fs);
	fs_map(r, w.fs, 4, 1, VA + 0x5000, w.page | FS_U_RW, 0);
	ENDS(r, 5, VA + 0x5000, OK, 0x90, false);
	rig_free(r);
}

static void test_second_stage_and_nested(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t leaf;

	(void)state;
	world_new(&w, NULL);
	GRANTS(r, NOP, w.page + RIG_GPA, RW, RW, w.page, 12);
	ENDS(r, NOP, IA, OK, 0x79, false);
	ENDS(r, NOP, BIT(48), OK, 0x84, false);
	ss_map(r, w.ss, 4, 1, IA, w.page | SS_RW | VTD_SSPTE_TM);
	ENDS(r, NOP, IA, CA, 0x7a, true);
	w64(r, entry_at(r, w.ss, 4, 2, BIT(40), SS_RW, 0), GONE | SS_RW);
	ENDS(r, NOP, BIT(40), CA, 0x78, true);
	sm_pasid(r, 3, GONE | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 9, 0);
	ENDS(r, 3, IA, CA, 0x7b, true);
	/* SSADE: accessed and dirty as for the first stage */
	sm_pasid(r, 6, w.ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | VTD_PASID_0_SSADE, 10 | VTD_PASID_1_PWSNP, 0);
	leaf = entry_at(r, w.ss, 4, 1, w.page + RIG_GPA, SS_RW, 0);
	GRANTS(r, 6, w.page + RIG_GPA, NW, NW, w.page, 12);
	assert_int_equal(r64(r, leaf), w.page | SS_RW | VTD_SSPTE_A);
	GRANTS(r, 6, w.page + RIG_GPA, RW, RW, w.page, 12);
	assert_int_equal(r64(r, leaf), w.page | SS_RW | VTD_SSPTE_A | VTD_SSPTE_D);
	sm_pasid(r, 7, w.ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | VTD_PASID_0_SSADE, 11, 0);
	ss_map(r, w.ss, 4, 1, w.page + 4096 + RIG_GPA, (w.page + 4096) | SS_RW);
	ENDS(r, 7, w.page + 4096 + RIG_GPA, CA, 0x7c, true);
	/* nested */
	ENDS(r, 2, VA, OK, 0x71, false);
	fs_map(r, w.fs1, 4, 1, VA, (w.page + RIG_GPA) | FS_U_RW, RIG_GPA);
	GRANTS(r, 2, VA, RW, RW, w.page, 12);
	fs_map(r, w.fs1, 4, 1, VA + 0x1000, 0x7000 | FS_U_RW, RIG_GPA);
	ENDS(r, 2, VA + 0x1000, OK, 0x79, false);
	fs_map(r, w.fs1, 4, 1, VA + 0x2000, BIT(50) | FS_U_RW, RIG_GPA);
	ENDS(r, 2, VA + 0x2000, OK, 0x74, false);
	ss_map(r, w.ss, 4, 1, 0x8000, w.page | 1);
	fs_map(r, w.fs1, 4, 1, VA + 0x3000, 0x8000 | FS_U_RW, RIG_GPA);
	GRANTS(r, 2, VA + 0x3000, RW, HW_READ, w.page, 12);
	ss_map(r, w.ss, 4, 1, 0x9000, 0xfee55000 | SS_RW);
	fs_map(r, w.fs1, 4, 1, VA + 0x4000, 0x9000 | FS_U_RW, RIG_GPA);
	ENDS(r, 2, VA + 0x4000, CA, 0x87, true);
	/* pass-through in the largest pages, but for the interrupt range */
	GRANTS(r, 4, UINT64_C(0x123456789), RW, RW, UINT64_C(0x100000000), 30);
	GRANTS(r, 4, UINT64_C(0xfef12345), RW, RW, 0xfef00000, 20);
	ENDS(r, 4, BIT(52), OK, 0x83, false);
	rig_free(r);
}

/* S.1 and S.2; with PASID it is an address like others. */
static void test_interrupt_range(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	struct hw_ats_completion c;

	(void)state;
	world_new(&w, NULL);
	c = asked(r, NOP, 0xfee01004, RW, 0);
	assert_int_equal(c.status, OK);
	assert_int_equal(c.perm, HW_WRITE);
	assert_true(c.untranslated_only);
	rig_free(r);
}

static void test_interrupt_range_nw(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	struct hw_ats_completion c;

	(void)state;
	world_new(&w, NULL);
	c = asked(r, NOP, 0xfee01004, NW, 0);
	assert_int_equal(c.status, OK);
	assert_int_equal(c.perm, 0);
	assert_false(c.untranslated_only);
	/* supervisor by RID_PRIV, and the PASID entry does not allow it */
	w64(r, w.ctx + 8, VTD_SCTX_1_RID_PRIV);
	fresh(r);
	ENDS(r, NOP, 0xfee01004, OK, 0x5d, false);
	w64(r, w.ctx + 8, 0);
	fresh(r);
	c = asked(r, 4, 0xfee01004, RW, 0); /* pass-through */
	assert_int_equal(c.perm, HW_WRITE);
	assert_true(c.untranslated_only);
	ENDS(r, 1, 0xfee01004, OK, 0x71, false);
	fs_map(r, w.fs, 4, 1, 0xfee01000, w.page | FS_U_RW, 0);
	GRANTS(r, 1, 0xfee01004, RW, RW, w.page, 12);
	w64(r, w.ctx, r64(r, w.ctx) & ~VTD_SCTX_0_DTE); /* first of all it must be allowed to ask */
	fresh(r);
	ENDS(r, NOP, 0xfee01004, UR, 0x44, true);
	rig_free(r);
}

/* Without NWFS the flag means nothing. */
static void test_no_write_flag(void **state)
{
	struct vtd_caps c;
	struct world w;

	(void)state;
	vtd_caps_all(&c);
	assert_true(vtd_caps_ecap(&c) & VTD_ECAP_NWFS);
	c.no_write_flag = false;
	assert_false(vtd_caps_ecap(&c) & VTD_ECAP_NWFS);
	world_new(&w, &c);
	fs_map(&w.r, w.fs, 4, 1, VA, w.page | FS_U_RW, 0);
	GRANTS(&w.r, 1, VA, NW, RW, w.page, 12);
	assert_int_equal(r64(&w.r, entry_at(&w.r, w.fs, 4, 1, VA, FS_U_RW, 0)), w.page | FS_U_RW | VTD_FSPTE_A | VTD_FSPTE_D);
	rig_free(&w.r);
}

/* Execute permission, where a unit has execute requests at all. */
static void test_execute(void **state)
{
	struct vtd_caps c;
	struct world w;
	struct rig *r = &w.r;

	(void)state;
	vtd_caps_all(&c);
	c.exec_request = true;
	world_new(&w, &c);
	fs_map(r, w.fs, 4, 1, VA, w.page | FS_U_RW, 0);
	fs_map(r, w.fs, 4, 1, VA + 0x1000, w.page | FS_U_RW | VTD_FSPTE_XD, 0);
	{
		struct hw_ats_completion got = asked(r, 1, VA, RW | HW_EXEC, 0); /* ERE clear */

		assert_int_equal(got.status, OK);
		assert_int_equal(got.perm, 0);
		assert_int_equal(got.fault.reason, 0x5c);
	}
	sm_pasid(r, 1, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, w.fs | VTD_PASID_2_ERE | VTD_PASID_2_NXE);
	fresh(r);
	GRANTS(r, 1, VA, RW | HW_EXEC, RW | HW_EXEC, w.page, 12);
	GRANTS(r, 1, VA, RW, RW, w.page, 12); /* not asked for */
	GRANTS(r, 1, VA + 0x1000, RW | HW_EXEC, RW, w.page, 12);
	GRANTS(r, NOP, w.page + RIG_GPA, RW | HW_EXEC, RW, w.page, 12);
	assert_int_equal(asked(r, 0, VA, RW | HW_EXEC, HW_PRIV).status, UR);
	assert_int_equal(record(r), BIT(63) | BIT(62) | BIT(60) | UINT64_C(0x48) << 32 | BIT(31) | BIT(30) | BIT(29) | RIG_RID);
	rig_free(r);
}

/* An observing request changes nothing and logs nothing. */
static void test_observe(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	struct hw_ats_completion c;
	uint64_t leaf;

	(void)state;
	world_new(&w, NULL);
	fs_map(r, w.fs, 4, 1, VA, w.page | FS_U_RW, 0);
	leaf = entry_at(r, w.fs, 4, 1, VA, FS_U_RW, 0);
	c = asked(r, 1, VA, RW, HW_OBSERVE);
	assert_int_equal(c.perm, RW);
	assert_int_equal(c.pa.v, w.page);
	assert_int_equal(r64(r, leaf), w.page | FS_U_RW);
	w64(r, leaf, (w.page + 4096) | FS_U_RW);
	c = asked(r, 1, VA, RW, HW_OBSERVE);
	assert_int_equal(c.pa.v, w.page + 4096);
	asked(r, 9 + 64, VA, RW, HW_OBSERVE);
	{ /* walk(), translated: nothing to show, and not what an untranslated request would find */
		struct hw_request req = {.addr = w.page + 7, .pasid = NOP, .rid = RIG_RID, .access = HW_READ, .flags = HW_TRANSLATED};
		struct hw_result res;

		r->hw->ops->walk(r->hw, &req, NULL, NULL, &res);
		assert_int_equal(res.kind, HW_OK);
		assert_int_equal(res.pa.v, w.page + 7);
		req.addr = 0xfee00000;
		r->hw->ops->walk(r->hw, &req, NULL, NULL, &res);
		assert_int_equal(res.kind, HW_FAULT);
		assert_int_equal(record(r), 0);
	}
	c = asked(r, 0, VA, RW, HW_OBSERVE); /* equals RID_PASID: UR, logged otherwise */
	assert_int_equal(c.status, UR);
	assert_int_equal(record(r), 0);
	rig_free(r);
}

/* ---- translated requests ---- */

static void translated(struct rig *r, unsigned int line, uint32_t pasid, uint64_t addr, unsigned int access, unsigned int reason,
		       bool logged)
{
	struct hw_result res = ask(r, RIG_RID, pasid, addr, (uint8_t)access, HW_TRANSLATED);
	uint64_t rec = record(r), want = 0;
	bool ok;

	nb_rcu_read_lock();
	ok = r->hw->ops->translated_ok(r->hw, RIG_RID, addr);
	nb_rcu_read_unlock();
	if (logged)
		want = BIT(63) | (access & HW_WRITE ? 0 : BIT(62)) | UINT64_C(2) << 60 | (uint64_t)reason << 32 | RIG_RID;
	if (res.kind != HW_FAULT || res.fault.reason != reason || rec != want || (pasid == NOP && ok))
		fail_msg("line %u: kind %u reason %#x record %#lx, wanted %#lx", line, res.kind, res.fault.reason,
			 (unsigned long)rec, (unsigned long)want);
}
#define BLOCKED(r, pasid, addr, access, reason, logged) translated(r, __LINE__, pasid, addr, access, reason, logged)

static void through(struct rig *r, uint64_t addr)
{
	struct hw_result res = ask(r, RIG_RID, NOP, addr, HW_WRITE, HW_TRANSLATED);
	bool ok;

	assert_int_equal(res.kind, HW_OK);
	assert_int_equal(res.pa.v, addr);
	nb_rcu_read_lock();
	ok = r->hw->ops->translated_ok(r->hw, RIG_RID, addr);
	nb_rcu_read_unlock();
	assert_true(ok);
}

static void test_translated(void **state)
{
	struct vtd_caps c;
	struct world w;
	struct rig *r = &w.r;
	uint64_t q0;

	(void)state;
	vtd_caps_all(&c);
	c.haw = 46;
	world_new(&w, &c);
	through(r, w.page + 5);
	through(r, UINT64_C(0x3fffffffffff)); /* no memory, but that is another matter */
	BLOCKED(r, NOP, BIT(46), HW_READ, 0x83, true);
	BLOCKED(r, NOP, 0xfee00000, HW_WRITE, 0x87, true);
	BLOCKED(r, 1, w.page, HW_READ, 0, false); /* with PASID: never supported */
	q0 = r64(r, w.ctx);
	w64(r, w.ctx, q0 & ~VTD_SCTX_0_DTE);
	through(r, w.page); /* cached */
	fresh(r);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0x44, true);
	w64(r, w.ctx, (q0 & ~VTD_SCTX_0_DTE) | VTD_SCTX_0_FPD);
	fresh(r);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0x44, false);
	w64(r, w.ctx, (q0 & ~VTD_SCTX_0_DTE) | VTD_SCTX_0_PRE);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0x44, false); /* the entry is cached */
	fresh(r);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0x43, true);
	w64(r, w.ctx, 0);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0x41, true);
	w64(r, w.ctx, q0);
	sm_pasid(r, 0, 0, 0, 0); /* the PASID entry is not looked at */
	fresh(r);
	through(r, w.page);
	/* off: not even pass-through */
	gcmd(r, 0, VTD_GCMD_TE);
	BLOCKED(r, NOP, w.page, HW_WRITE, 0, false);
	rig_free(r);

	start(r, NULL, VTD_TTM_ABORT);
	BLOCKED(r, NOP, IA, HW_READ, 0x33, true);
	rig_free(r);
	start(r, NULL, VTD_TTM_RESERVED);
	BLOCKED(r, NOP, IA, HW_READ, 0x30, true);
	rig_free(r);
	start(r, &c, VTD_TTM_LEGACY);
	BLOCKED(r, NOP, IA, HW_READ, 0x01, true);
	w64(r, r->root + 16, rig_page(r) | 1);
	BLOCKED(r, NOP, IA, HW_READ, 0x02, true);
	w.ctx = (r64(r, r->root + 16) & BITS(51, 12)) + (RIG_RID & 0xff) * 16u;
	w64(r, w.ctx + 8, 0x102);
	w64(r, w.ctx, GONE | 1);
	BLOCKED(r, NOP, IA, HW_READ, 0x0d, true);
	w64(r, w.ctx, GONE | VTD_TT_PASS_THROUGH << 2 | 1);
	fresh(r);
	BLOCKED(r, NOP, IA, HW_READ, 0x0d, true);
	w64(r, w.ctx, GONE | VTD_TT_DEVICE_TLB << 2 | 1);
	fresh(r);
	through(r, IA);
	BLOCKED(r, NOP, BIT(46), HW_READ, 0x04, true);
	BLOCKED(r, NOP, 0xfee00000, HW_READ, 0x0e, true);
	rig_free(r);
}

/* Protected memory applies to what comes translated. */
static void test_translated_pmr(void **state)
{
	struct world w;
	struct rig *r = &w.r;

	(void)state;
	world_new(&w, NULL);
	reg32(r, VTD_REG_PLMBASE, RIG_BASE);
	reg32(r, VTD_REG_PLMLIMIT, RIG_BASE + 0x1fffff);
	through(r, RIG_BASE + 0x1000);
	reg32(r, VTD_REG_PMEN, UINT32_C(1) << 31);
	BLOCKED(r, NOP, RIG_BASE + 0x1000, HW_WRITE, 0, false);
	assert_int_equal(ask(r, RIG_RID, NOP, RIG_BASE + 0x200000, HW_READ, HW_TRANSLATED).kind, HW_OK);
	reg32(r, VTD_REG_PMEN, 0);
	through(r, RIG_BASE + 0x1000);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_scalable_config),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_first_stage),
		cmocka_unit_test(test_second_stage_and_nested),
		cmocka_unit_test(test_interrupt_range),
		cmocka_unit_test(test_interrupt_range_nw),
		cmocka_unit_test(test_no_write_flag),
		cmocka_unit_test(test_execute),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_translated),
		cmocka_unit_test(test_translated_pmr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
