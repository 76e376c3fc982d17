/* SPDX-License-Identifier: BSD-3-Clause */
/* Protected memory regions: registers, and which requests they stop (11.4.8). */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID
#define MIB UINT64_C(0x100000)

/* Blocked, and nobody is told. */
static void stops(struct rig *r, uint16_t rid, uint32_t pasid, uint64_t addr, uint8_t access, uint8_t flags)
{
	struct hw_result res = ask(r, rid, pasid, addr, access, flags);

	assert_int_equal(res.kind, HW_FAULT);
	assert_int_equal(res.fault.reason, 0);
	assert_int_equal(res.fault.record_len, 0);
	assert_false(res.fault.recorded);
	assert_int_equal(get32(r, VTD_REG_FSTS), 0);
}

static void protect(struct rig *r, bool on)
{
	reg32(r, VTD_REG_PMEN, on ? UINT32_C(1) << 31 : 0);
	assert_int_equal(get32(r, VTD_REG_PMEN), on ? UINT32_C(0x80000001) : 0);
}

static void test_registers(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	assert_int_equal(vtd_caps_cap(&c) & BITS(6, 5), BITS(6, 5));
	/* how software finds the granularity: the lowest bit that holds */
	reg32(&r, 0x68, ~0u);
	reg32(&r, 0x6c, ~0u);
	reg64(&r, 0x70, ~0ul);
	reg64(&r, 0x78, ~0ul);
	assert_int_equal(get32(&r, 0x68), 0xffe00000);
	assert_int_equal(get32(&r, 0x6c), 0xffe00000);
	assert_int_equal(get64(&r, 0x70), UINT64_C(0xffffffffffe00000));
	assert_int_equal(get64(&r, 0x78), UINT64_C(0xffffffffffe00000));
	reg32(&r, 0x64, 0x7fffffff);
	assert_int_equal(get32(&r, 0x64), 0);
	protect(&r, true);
	protect(&r, true);
	r.hw->ops->mmio_write(r.hw, 0x64, 1, 0); /* not the byte of EPM */
	assert_int_equal(get32(&r, 0x64), UINT32_C(0x80000001));
	r.hw->ops->reset(r.hw);
	assert_int_equal(get32(&r, 0x64), 0);
	assert_int_equal(get32(&r, 0x68), 0);
	assert_int_equal(get64(&r, 0x78), 0);
	rig_free(&r);
	/* one region only: the other's registers are not there, and its addresses are free */
	c.pmr_high = false;
	rig_new_caps(&r, &c);
	assert_int_equal(vtd_caps_cap(&c) & BITS(6, 5), BIT(5));
	reg64(&r, 0x70, ~0ul);
	assert_int_equal(get64(&r, 0x70), 0);
	reg32(&r, 0x68, 0x600000);
	reg32(&r, 0x6c, 0x600000);
	protect(&r, true);
	GOES(&r, NOP, 0x1000, HW_READ, 0x1000);
	GOES(&r, NOP, 0, HW_READ, 0);
	stops(&r, 1, NOP, 0x600000, HW_READ, 0);
	rig_free(&r);
	c.pmr_low = false;
	c.pmr_high = true;
	rig_new_caps(&r, &c);
	reg32(&r, 0x68, ~0u);
	assert_int_equal(get32(&r, 0x68), 0);
	reg64(&r, 0x70, 0x600000);
	reg64(&r, 0x78, 0x600000);
	protect(&r, true);
	GOES(&r, NOP, 0x1000, HW_READ, 0x1000);
	GOES(&r, NOP, 0, HW_READ, 0);
	stops(&r, 1, NOP, 0x600000, HW_READ, 0);
	rig_free(&r);
}

/* Edges, with translation off: every kind of request. */
static void test_translation_off(void **state)
{
	struct vtd_caps c;
	struct hw_result res;
	struct hw_irq irq;
	struct rig r;
	uint8_t buf[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	reg32(&r, 0x68, RIG_BASE + 4 * MIB);
	reg32(&r, 0x6c, RIG_BASE + 6 * MIB); /* the last region of 2 MiB is in */
	reg64(&r, 0x70, UINT64_C(0x1000000000));
	reg64(&r, 0x78, UINT64_C(0x1000000000));
	GOES(&r, NOP, RIG_BASE + 4 * MIB, HW_READ, RIG_BASE + 4 * MIB); /* not enabled yet */
	protect(&r, true);
	GOES(&r, NOP, RIG_BASE + 4 * MIB - 1, HW_READ, RIG_BASE + 4 * MIB - 1);
	stops(&r, 1, NOP, RIG_BASE + 4 * MIB, HW_READ, 0);
	stops(&r, 1, NOP, RIG_BASE + 4 * MIB, HW_WRITE, 0);
	stops(&r, 1, 7, RIG_BASE + 6 * MIB, HW_READ, 0);
	stops(&r, 1, NOP, RIG_BASE + 8 * MIB - 1, HW_READ | HW_WRITE, 0);
	GOES(&r, NOP, RIG_BASE + 8 * MIB, HW_READ, RIG_BASE + 8 * MIB);
	GOES(&r, NOP, UINT64_C(0xfffffffff), HW_READ, UINT64_C(0xfffffffff));
	stops(&r, 1, NOP, UINT64_C(0x1000000000), HW_READ, 0);
	stops(&r, 1, NOP, UINT64_C(0x10001fffff), HW_READ, 0);
	GOES(&r, NOP, UINT64_C(0x1000200000), HW_READ, UINT64_C(0x1000200000));
	/* what goes through says no more than it knows */
	res = ask(&r, 1, NOP, RIG_BASE + 8 * MIB, HW_READ, 0);
	assert_int_equal(res.lg2, 21);
	/* walk() sees the same, and DMA really stops */
	r.hw->ops->walk(r.hw, &(struct hw_request){.addr = RIG_BASE + 4 * MIB, .pasid = NOP, .access = HW_READ}, NULL, NULL, &res);
	assert_int_equal(res.kind, HW_FAULT);
	w64(&r, RIG_BASE + 4 * MIB, 0);
	assert_int_equal(hw_dma_write(r.hw, 1, NOP, RIG_BASE + 4 * MIB - 4, buf, 8), -14);
	assert_int_equal(r64(&r, RIG_BASE + 4 * MIB), 0);
	assert_int_equal(r64(&r, RIG_BASE + 4 * MIB - 8) >> 32, 0x04030201);
	assert_int_equal(get32(&r, VTD_REG_FSTS), 0);
	/* interrupts are no memory */
	assert_int_equal(r.hw->ops->interrupt(r.hw, 1, 0xfee01000, 0x31, &irq), 0);
	/* software must not move the regions now: if it does, they stay */
	reg32(&r, 0x68, 0);
	reg32(&r, 0x6c, 0);
	stops(&r, 1, NOP, RIG_BASE + 4 * MIB, HW_READ, 0);
	GOES(&r, NOP, 0, HW_READ, 0);
	protect(&r, false);
	GOES(&r, NOP, RIG_BASE + 4 * MIB, HW_READ, RIG_BASE + 4 * MIB);
	protect(&r, true);
	stops(&r, 1, NOP, 0, HW_READ, 0);
	/* a limit below the base protects nothing */
	protect(&r, false);
	reg32(&r, 0x68, 0x800000);
	reg32(&r, 0x6c, 0x400000);
	protect(&r, true);
	GOES(&r, NOP, 0x400000, HW_READ, 0x400000);
	GOES(&r, NOP, 0x800000, HW_READ, 0x800000);
	rig_free(&r);
}

static void legacy_device(struct rig *r, uint16_t rid, unsigned int tt, uint64_t root)
{
	uint64_t re = r->root + (rid >> 8) * 16u;

	if (!r64(r, re))
		w64(r, re, rig_page(r) | 1);
	w64(r, (r64(r, re) & BITS(51, 12)) + (rid & 0xffu) * 16u + 8, 1u << 8 | VTD_AW_48);
	w64(r, (r64(r, re) & BITS(51, 12)) + (rid & 0xffu) * 16u, root | (uint64_t)tt << 2 | 1);
}

/* Translation on: whatever ends there is stopped (major version 2 and higher), remapped, passed through or translated. */
static void test_translation_on(void **state)
{
	const uint64_t at = RIG_BASE + 16 * MIB, iova = UINT64_C(0x7000000000);
	struct vtd_caps c;
	struct rig r;
	uint64_t ss;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, iova, at | SS_RW);
	legacy_device(&r, RIG_RID, VTD_TT_DEVICE_TLB, ss);
	legacy_device(&r, 0x0118, VTD_TT_PASS_THROUGH, 0);
	rig_queue(&r, false);
	reg32(&r, 0x68, (uint32_t)at);
	reg32(&r, 0x6c, (uint32_t)at);
	rig_on(&r, VTD_TTM_LEGACY);
	assert_int_equal(ask(&r, 0x0118, NOP, at, HW_READ, 0).kind, HW_OK);
	assert_int_equal(ask(&r, RIG_RID, NOP, at, HW_READ, HW_TRANSLATED).kind, HW_OK);
	protect(&r, true);
	stops(&r, RIG_RID, NOP, iova, HW_WRITE, 0);
	stops(&r, RIG_RID, NOP, iova, HW_WRITE, 0); /* from the IOTLB */
	stops(&r, RIG_RID, NOP, iova + 4, HW_READ, HW_OBSERVE);
	stops(&r, 0x0118, NOP, at, HW_READ, 0);
	stops(&r, 0x0118, NOP, at + 2 * MIB - 1, HW_WRITE, 0);
	assert_int_equal(ask(&r, 0x0118, NOP, at + 2 * MIB, HW_READ, 0).kind, HW_OK);
	assert_int_equal(ask(&r, 0x0118, NOP, at + 2 * MIB, HW_READ, 0).lg2, 21);
	stops(&r, RIG_RID, NOP, at, HW_READ, HW_TRANSLATED);
	assert_int_equal(ask(&r, RIG_RID, NOP, at - 1, HW_READ, HW_TRANSLATED).kind, HW_OK);
	nb_rcu_read_lock();
	assert_false(r.hw->ops->translated_ok(r.hw, RIG_RID, at));
	nb_rcu_read_unlock();
	/* the unit's own accesses are not: its tables may lie there */
	legacy_device(&r, 0x0120, VTD_TT_UNTRANSLATED, at);
	ss_map(&r, at, 4, 1, iova / 2, RIG_BASE | SS_RW);
	assert_int_equal(ask(&r, 0x0120, NOP, iova / 2, HW_READ, 0).kind, HW_OK);
	protect(&r, false);
	assert_int_equal(ask(&r, 0x0118, NOP, at, HW_READ, 0).kind, HW_OK);
	GOES(&r, NOP, iova, HW_WRITE, at);
	rig_free(&r);

	/* scalable pass-through, with PASID and without */
	rig_new_caps(&r, &c);
	rig_queue(&r, true);
	sm_device(&r, RIG_RID, VTD_SCTX_0_PASIDE, 3);
	sm_pasid(&r, 3, PGTT(VTD_PGTT_PT), 1, 0);
	sm_pasid(&r, 4, PGTT(VTD_PGTT_PT), 1, 0);
	reg32(&r, 0x68, (uint32_t)at);
	reg32(&r, 0x6c, (uint32_t)at);
	rig_on(&r, VTD_TTM_SCALABLE);
	GOES(&r, NOP, at, HW_READ, at);
	protect(&r, true);
	stops(&r, RIG_RID, NOP, at, HW_READ, 0);
	stops(&r, RIG_RID, 4, at, HW_READ, 0);
	GOES(&r, 4, at - 1, HW_READ, at - 1);
	rig_free(&r);
}

/* Remapped requests by every way to an address: walks, the IOTLB by small and large pages, with PASID and without. */
static void test_remapped(void **state)
{
	const uint64_t at = RIG_BASE + 16 * MIB, iova = UINT64_C(0x7000000000);
	struct hw_ats_completion a;
	struct hw_request q;
	struct hw_result res;
	struct vtd_caps c;
	uint64_t ss, fs;
	unsigned int i;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	rig_queue(&r, true);
	ss = rig_page(&r);
	fs = rig_page(&r);
	sm_device(&r, RIG_RID, VTD_SCTX_0_PASIDE | VTD_SCTX_0_DTE, 0);
	sm_pasid(&r, 0, ss | PGTT(VTD_PGTT_SS) | AW(VTD_AW_48), 5, 0);
	sm_pasid(&r, 1, PGTT(VTD_PGTT_FS), 6 | VTD_PASID_1_PWSNP, fs);
	ss_map(&r, ss, 4, 1, iova, at | SS_RW);
	ss_map(&r, ss, 4, 1, iova + 4096, (at - 4096) | SS_RW);
	fs_map(&r, fs, 4, 3, iova, RIG_BASE | FS_U_RW | VTD_FSPTE_PS, 0); /* 1 GiB, most of it free */
	reg32(&r, 0x68, (uint32_t)at);
	reg32(&r, 0x6c, (uint32_t)at);
	rig_on(&r, VTD_TTM_SCALABLE);
	for (i = 0; i < 4; i++) { /* off, on, off and on: nothing of it is cached */
		if (i % 2 == 0) {
			GOES(&r, NOP, iova, HW_READ, at);
			GOES(&r, 1, iova + 16 * MIB, HW_WRITE, at);
		} else {
			stops(&r, RIG_RID, NOP, iova, HW_READ, 0);
			stops(&r, RIG_RID, 1, iova + 16 * MIB, HW_WRITE, 0);
			stops(&r, RIG_RID, 1, iova + 18 * MIB - 1, HW_READ, 0);
			/* what goes through says no more than it knows */
			assert_int_equal(ask(&r, RIG_RID, 1, iova + 18 * MIB, HW_READ, 0).lg2, 21);
		}
		GOES(&r, NOP, iova + 4096, HW_READ, at - 4096);
		GOES(&r, 1, iova + 18 * MIB, HW_READ, at + 2 * MIB);
		GOES(&r, 1, iova + 16 * MIB - 1, HW_READ, at - 1);
		protect(&r, i % 2 == 0);
	}
	protect(&r, true);
	q = (struct hw_request){.addr = iova, .pasid = NOP, .rid = RIG_RID, .access = HW_READ};
	r.hw->ops->walk(r.hw, &q, NULL, NULL, &res);
	assert_int_equal(res.kind, HW_FAULT);
	assert_int_equal(res.fault.record_len, 0);
	assert_int_equal(hw_dma_write(r.hw, RIG_RID, 1, iova + 16 * MIB - 4, &(uint64_t){0}, 8), -14);
	/* a translation request accesses nothing */
	nb_rcu_read_lock();
	r.hw->ops->ats_request(r.hw, &q, &a);
	nb_rcu_read_unlock();
	assert_int_equal(a.status, HW_ATS_OK);
	assert_int_equal(a.pa.v, at);
	sm_pasid(&r, 2, PGTT(VTD_PGTT_PT), 7, 0);
	q.pasid = 2;
	q.addr = at;
	nb_rcu_read_lock();
	r.hw->ops->ats_request(r.hw, &q, &a);
	nb_rcu_read_unlock();
	assert_int_equal(a.status, HW_ATS_OK);
	assert_int_equal(a.perm, HW_READ);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_translation_off),
		cmocka_unit_test(test_translation_on),
		cmocka_unit_test(test_remapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
