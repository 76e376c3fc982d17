/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that the tables have no say in: the interrupt address range (3.15), zero-length reads (3.14). */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID
#define VA  UINT64_C(0x123456789000)

/* 3.15: without PASID, what is neither a message nor a zero-length read is 29h, recorded whatever FPD says. */
static void test_interrupt_range(void **state)
{
	static const uint8_t bad[] = {HW_READ, HW_READ | HW_WRITE, HW_READ | HW_EXEC, HW_WRITE | HW_EXEC};
	struct hw_result res;
	unsigned int i, ttm;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	for (ttm = 0; ttm < 2; ttm++) {
		rig_new_caps(&r, &c);
		rig_on(&r, ttm); /* no structures at all: they are not asked */
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			res = ask(&r, RIG_RID, NOP, 0xfeeffffc, bad[i], 0);
			assert_int_equal(res.kind, HW_FAULT);
			assert_int_equal(res.fault.reason, 0x29);
			assert_true(res.fault.recorded);
			r.hw->ops->walk(r.hw, &(struct hw_request){.addr = 0xfee00000, .pasid = NOP, .access = bad[i]}, NULL, NULL, &res);
			assert_int_equal(res.fault.reason, 0x29);
		}
		assert_int_equal(ask(&r, RIG_RID, NOP, 0xfee00000, HW_WRITE, HW_NO_MSG).fault.reason, 0x29);
		assert_int_equal(ask(&r, RIG_RID, NOP, 0xfee00000, HW_WRITE, 0).kind, HW_INTERRUPT);
		res = ask(&r, RIG_RID, NOP, 0xfee01000, 0, 0);
		assert_int_equal(res.kind, HW_OK);
		assert_int_equal(res.pa.v, 0xfee01000);
		assert_int_equal(res.perm, 0);
		assert_int_equal(ask(&r, RIG_RID, NOP, 0xfedff000, 0, 0).kind, HW_FAULT);
		rig_free(&r);
	}
	/* with interrupts remapped but not DMA, too; with neither nobody looks */
	rig_new_caps(&r, &c);
	GOES(&r, NOP, 0xfee00000, HW_READ, 0xfee00000);
	gcmd(&r, VTD_GCMD_IRE, 0);
	FAULTS(&r, NOP, 0xfee00000, HW_READ, 0x29);
	rig_free(&r);
}

/* 3.14, CAP.ZLR: a read of nothing from a page that can only be written goes through, and leaves no dirty bit. */
static void test_zero_length_reads(void **state)
{
	struct hw_request q = {.addr = VA, .pasid = NOP, .rid = RIG_RID};
	uint64_t ss, page, leaf, ctx;
	struct hw_result res;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	page = rig_page(&r);
	ss_map(&r, ss, 4, 1, VA, page | VTD_SSPTE_W);
	leaf = entry_at(&r, ss, 4, 1, VA, SS_RW, 0);
	sm_device(&r, RIG_RID, VTD_SCTX_0_PASIDE, 0);
	sm_pasid(&r, 0, ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48) | VTD_PASID_0_SSADE, 5 | VTD_PASID_1_PWSNP, 0);
	rig_on(&r, VTD_TTM_SCALABLE);
	FAULTS(&r, NOP, VA, HW_READ, 0x86);
	GOES(&r, NOP, VA, 0, page);
	assert_false(r64(&r, leaf) & VTD_SSPTE_D);
	GOES(&r, NOP, VA, HW_WRITE, page);
	GOES(&r, NOP, VA, 0, page); /* the entry that is cached now says no more */
	FAULTS(&r, NOP, VA, HW_READ, 0x86);
	r.hw->ops->walk(r.hw, &q, NULL, NULL, &res);
	assert_int_equal(res.kind, HW_OK);
	FAULTS(&r, NOP, VA + 4096, 0, 0x79);
	rig_free(&r);
	/* legacy: an entry without R and W is no write-only page */
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	page = rig_page(&r);
	ss_map(&r, ss, 4, 1, VA, page | VTD_SSPTE_W);
	w64(&r, r.root + (RIG_RID >> 8) * 16u, rig_page(&r) | 1);
	ctx = (r64(&r, r.root + (RIG_RID >> 8) * 16u) & BITS(51, 12)) + (RIG_RID & 0xff) * 16;
	w64(&r, ctx + 8, 5 << 8 | VTD_AW_48);
	w64(&r, ctx, ss | 1);
	rig_on(&r, VTD_TTM_LEGACY);
	GOES(&r, NOP, VA, 0, page);
	FAULTS(&r, NOP, VA, HW_READ, 0x06);
	FAULTS(&r, NOP, VA + 4096, 0, 0x06);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt_range),
		cmocka_unit_test(test_zero_length_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
