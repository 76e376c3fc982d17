/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device-TLB invalidation descriptors: what reaches the requester, with which range, and what its silence does.
 */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID

struct world {
	struct rig r;
	struct hw_client client;
	bool silent;
	unsigned int n;
	struct {
		uint64_t addr;
		uint32_t pasid;
		unsigned int lg2;
		bool all;
	} got;
};

static bool invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct world *w = opaque;

	w->n++;
	w->got.pasid = pasid;
	w->got.all = all_pasids;
	w->got.addr = addr;
	w->got.lg2 = lg2;
	return !w->silent;
}

static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct world *w = opaque;

	return rid == RIG_RID ? &w->client : NULL;
}

static void world_new(struct world *w, bool throttle, unsigned int ttm)
{
	struct vtd_caps c;

	memset(w, 0, sizeof(*w));
	vtd_caps_all(&c);
	c.dev_tlb_throttle = throttle;
	rig_new_caps(&w->r, &c);
	w->client = (struct hw_client){.opaque = w, .ats_invalidate = invalidate};
	w->r.hw->client = client;
	w->r.hw->client_opaque = w;
	rig_queue(&w->r, true);
	rig_on(&w->r, ttm);
}

static void is(struct world *w, unsigned int line, unsigned int n, uint32_t pasid, bool all, uint64_t addr, unsigned int lg2)
{
	if (w->n != n || w->got.pasid != pasid || w->got.all != all || w->got.addr != addr || w->got.lg2 != lg2)
		fail_msg("line %u: call %u pasid %#x all %d addr %#lx lg2 %u", line, w->n, w->got.pasid, w->got.all,
			 (unsigned long)w->got.addr, w->got.lg2);
}
#define IS(w, n, pasid, all, addr, lg2) is(w, __LINE__, n, pasid, all, addr, lg2)

#define DEV(sid)	     (0x3 | (uint64_t)(sid) << 32)
#define PDEV(sid, pasid)     (0x8 | (uint64_t)(sid) << 16 | (uint64_t)(pasid) << 32)

static void test_ranges(void **state)
{
	const uint64_t at = UINT64_C(0x7f12340000000000);
	struct world w;
	struct rig *r = &w.r;
	unsigned int lg2, n = 0;

	(void)state;
	world_new(&w, false, VTD_TTM_SCALABLE);
	/* without S the low bits are the address */
	INV(r, DEV(RIG_RID), UINT64_C(0x7f12345fff000));
	IS(&w, ++n, NOP, true, UINT64_C(0x7f12345fff000), 12);
	INV(r, PDEV(RIG_RID, 0xabcde), UINT64_C(0xfffff12345678000));
	IS(&w, ++n, 0xabcde, false, UINT64_C(0xfffff12345678000), 12);
	for (lg2 = 13; lg2 <= 63; lg2++) {
		uint64_t base = at & ~nb_low_mask(lg2), a = base | (nb_low_mask(lg2 - 1) & ~UINT64_C(0xfff));

		INV(r, DEV(RIG_RID), a | 1);
		IS(&w, ++n, NOP, true, base, lg2);
		INV(r, PDEV(RIG_RID, 5), a | BIT(11));
		IS(&w, ++n, 5, false, base, lg2);
	}
	/* all, and one that means nothing else */
	INV(r, DEV(RIG_RID), UINT64_C(0x7ffffffffffff001));
	IS(&w, ++n, NOP, true, 0, 64);
	INV(r, PDEV(RIG_RID, 5), UINT64_C(0x7ffffffffffff800));
	IS(&w, ++n, 5, false, 0, 64);
	INV(r, PDEV(RIG_RID, 5), UINT64_C(0xfffffffffffff800));
	IS(&w, ++n, 5, false, 0, 64);
	/* all PASIDs */
	INV(r, PDEV(RIG_RID, 5), 0x5000 | 1);
	IS(&w, ++n, 5, true, 0x5000, 12);
	/* MIP is a hint; somebody else's is not ours */
	INV(r, DEV(RIG_RID) | 31 << 16, 0x3000);
	IS(&w, ++n, NOP, true, 0x3000, 12);
	INV(r, DEV(RIG_RID + 1), 0x4000);
	INV(r, PDEV(RIG_RID ^ 0x100, 5), 0x4000);
	assert_int_equal(w.n, n);
	assert_int_equal(nb_trace_count(r->tr, NB_EV_hw_ats_inval), n + 2);
	rig_free(r);
}

/* The type exists in legacy mode, the one with PASID does not; PFSID with DIT only. */
static void test_modes(void **state)
{
	struct world w;
	struct rig *r = &w.r;

	(void)state;
	world_new(&w, true, VTD_TTM_LEGACY);
	INV(r, DEV(RIG_RID) | 0xf << 12 | UINT64_C(0xfff) << 52, 0x3000);
	IS(&w, 1, NOP, true, 0x3000, 12);
	assert_false(inv(r, PDEV(RIG_RID, 5), 0));
	assert_int_equal(get64(r, VTD_REG_IQER) & 15, 3);
	rig_free(r);
	world_new(&w, true, VTD_TTM_SCALABLE);
	INV(r, PDEV(RIG_RID, 5) | 0xf << 12 | UINT64_C(0xfff) << 52, 0x3000);
	IS(&w, 1, 5, false, 0x3000, 12);
	rig_free(r);
	world_new(&w, false, VTD_TTM_SCALABLE);
	assert_false(inv(r, PDEV(RIG_RID, 5) | BIT(52), 0x3000));
	assert_int_equal(get64(r, VTD_REG_IQER) & 15, 4);
	assert_int_equal(w.n, 0);
	rig_free(r);
}

/* No answer: ITE with the source-id; the wait behind it stays where it is until software clears that. */
static void test_silence(void **state)
{
	struct world w;
	struct rig *r = &w.r;
	uint64_t head;

	(void)state;
	world_new(&w, false, VTD_TTM_SCALABLE);
	reg32(r, VTD_REG_FECTL, 0);
	w.silent = true;
	assert_true(inv(r, PDEV(RIG_RID, 5), 0x3000));
	assert_int_equal(get32(r, VTD_REG_FSTS), VTD_FSTS_ITE);
	assert_int_equal(get64(r, VTD_REG_IQER) >> 32 & 0xffff, RIG_RID);
	assert_int_equal(r->nmsi, 1);
	head = get64(r, VTD_REG_IQH);
	w64(r, r->status, 0);
	assert_false(inv(r, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | BIT(40), r->status));
	assert_int_equal(get64(r, VTD_REG_IQH), head);
	assert_int_equal(r64(r, r->status), 0);
	w.silent = false;
	reg32(r, VTD_REG_FSTS, (uint32_t)VTD_FSTS_ITE);
	assert_int_equal(get64(r, VTD_REG_IQH), r->iqt);
	assert_int_equal(r64(r, r->status), 0x100);
	INV(r, DEV(RIG_RID), 0x3000);
	/* injected: the requester is not asked */
	assert_int_equal(vtd_inject_devtlb_timeout(r->hw, RIG_RID), 0);
	assert_true(inv(r, DEV(RIG_RID), 0x3000));
	assert_int_equal(w.n, 2);
	assert_int_equal(get32(r, VTD_REG_FSTS), VTD_FSTS_ITE);
	reg32(r, VTD_REG_FSTS, (uint32_t)VTD_FSTS_ITE);
	INV(r, DEV(RIG_RID), 0x3000);
	assert_int_equal(w.n, 3);
	/* a requester without a device-TLB */
	w.client.ats_invalidate = NULL;
	INV(r, DEV(RIG_RID), 0x3000);
	assert_int_equal(get32(r, VTD_REG_FSTS), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
