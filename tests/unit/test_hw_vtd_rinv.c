/* SPDX-License-Identifier: BSD-3-Clause */
/* Register-based invalidation (11.4.6) with every granularity, what it refuses, and the capability registers both ways. */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID
#define A   UINT64_C(0x2345600000)

/* Eight functions of one device, one of another and one on another bus; domains by turns 5 and 6. */
static const uint16_t rids[] = {0x0110, 0x0111, 0x0112, 0x0113, 0x0114, 0x0115, 0x0116, 0x0117, 0x0118, 0x0210};
#define NRIDS ARRAY_SIZE(rids)

struct world {
	struct rig r;
	uint64_t ctx[NRIDS], ss[2], page[2];
};

static uint16_t did_of(unsigned int i)
{
	return (uint16_t)(5 + i % 2);
}

static void world_new(struct world *w, const struct vtd_caps *c)
{
	unsigned int i;

	rig_new_caps(&w->r, c);
	w->page[0] = rig_page(&w->r);
	w->page[1] = rig_page(&w->r);
	w->ss[0] = rig_page(&w->r);
	w->ss[1] = rig_page(&w->r);
	for (i = 0; i < 2; i++) {
		unsigned int k;

		for (k = 0; k < 16; k++)
			ss_map(&w->r, w->ss[i], 4, 1, A + k * 4096, w->page[0] | SS_RW);
	}
	for (i = 0; i < NRIDS; i++) {
		uint64_t re = w->r.root + (rids[i] >> 8) * 16u;

		if (!r64(&w->r, re))
			w64(&w->r, re, rig_page(&w->r) | 1);
		w->ctx[i] = (r64(&w->r, re) & BITS(51, 12)) + (rids[i] & 0xffu) * 16;
		w64(&w->r, w->ctx[i] + 8, VTD_AW_48 | (uint64_t)did_of(i) << 8);
		w64(&w->r, w->ctx[i], w->ss[i % 2] | 1);
	}
	rig_on(&w->r, VTD_TTM_LEGACY);
}

static struct hw_result go(struct world *w, unsigned int i, uint64_t addr)
{
	return ask(&w->r, rids[i], NOP, addr, HW_READ, 0);
}

/* Which context entries does this command remove? Bit i: of rids[i]. */
static unsigned int ccmd(struct world *w, uint64_t cmd)
{
	unsigned int i, gone = 0;

	vtd_drop_caches(w->r.hw);
	for (i = 0; i < NRIDS; i++)
		assert_int_equal(go(w, i, A).kind, HW_OK);
	for (i = 0; i < NRIDS; i++)
		w64(&w->r, w->ctx[i], 0);
	reg64(&w->r, VTD_REG_CCMD, cmd);
	assert_int_equal(get64(&w->r, VTD_REG_CCMD) >> 63, 0); /* done */
	for (i = 0; i < NRIDS; i++)
		gone |= (go(w, i, A).kind == HW_FAULT ? 1u : 0u) << i;
	for (i = 0; i < NRIDS; i++)
		w64(&w->r, w->ctx[i], w->ss[i % 2] | 1);
	faults_clear(&w->r);
	return gone;
}
#define CCMD(g, did, sid, fm) (BIT(63) | (uint64_t)(g) << 61 | (uint64_t)(fm) << 32 | (uint64_t)(sid) << 16 | (did))
#define CAIG(r) (get64(r, VTD_REG_CCMD) >> 59 & 3)

static void test_context_command(void **state)
{
	struct vtd_caps c;
	struct world w;

	(void)state;
	vtd_caps_all(&c);
	world_new(&w, &c);
	assert_int_equal(ccmd(&w, CCMD(1, 99, 99, 3)), 0x3ff);
	assert_int_equal(CAIG(&w.r), 1);
	assert_int_equal(ccmd(&w, CCMD(2, 5, 0, 0)), 0x155);
	assert_int_equal(CAIG(&w.r), 2);
	assert_int_equal(ccmd(&w, CCMD(2, 9, 0, 0)), 0);
	assert_int_equal(CAIG(&w.r), 2); /* performed: there was nothing */
	assert_int_equal(ccmd(&w, CCMD(3, 5, 0x0110, 0)), 0x001);
	assert_int_equal(CAIG(&w.r), 3);
	/* bits of the domain-id that the unit does not have are not looked at */
	c.nd_lg2 = 8;
	rig_free(&w.r);
	world_new(&w, &c);
	assert_int_equal(ccmd(&w, CCMD(2, 0x305, 0, 0)), 0x155);
	assert_int_equal(ccmd(&w, CCMD(3, 0x305, 0x0110, 0)), 0x001);
	c.nd_lg2 = 16;
	rig_free(&w.r);
	world_new(&w, &c);
	assert_int_equal(ccmd(&w, CCMD(3, 6, 0x0110, 0)), 0); /* another domain's */
	/* the function mask leaves bits of the function number out, from the third down */
	assert_int_equal(ccmd(&w, CCMD(3, 5, 0x0110, 1)), 0x011);
	assert_int_equal(ccmd(&w, CCMD(3, 5, 0x0110, 2)), 0x055);
	assert_int_equal(ccmd(&w, CCMD(3, 6, 0x0110, 3)), 0x0aa);
	assert_int_equal(ccmd(&w, CCMD(3, 6, 0x0210, 3)), 0x200);
	/* reserved granularity: ignored, and says so */
	assert_int_equal(ccmd(&w, CCMD(0, 5, 0x0110, 3)), 0);
	assert_int_equal(CAIG(&w.r), 0);
	/* the fields stay as written; only ICC acts, and only when its byte is written */
	w64(&w.r, w.ctx[0], 0);
	assert_int_equal(go(&w, 0, A).kind, HW_OK);
	reg32(&w.r, VTD_REG_CCMD, 0x01100005);
	assert_int_equal(get64(&w.r, VTD_REG_CCMD) & BITS(31, 0), 0x01100005);
	assert_int_equal(go(&w, 0, A).kind, HW_OK);
	w.r.hw->ops->mmio_write(w.r.hw, VTD_REG_CCMD + 7, 1, 0xe0);
	assert_int_equal(go(&w, 0, A).kind, HW_FAULT);
	w64(&w.r, w.ctx[0], w.ss[0] | 1);
	/* with the queue on, registers invalidate nothing */
	rig_queue(&w.r, false);
	assert_int_equal(ccmd(&w, CCMD(1, 0, 0, 0)), 0);
	assert_int_equal(CAIG(&w.r), 0);
	gcmd(&w.r, 0, VTD_GCMD_QIE);
	assert_int_equal(ccmd(&w, CCMD(1, 0, 0, 0)), 0x3ff);
	rig_free(&w.r);
}

/* Which translations does this command remove? Bit i: page i of domain 5; bit 16 + i: of domain 6. */
static uint32_t iotlb(struct world *w, uint64_t iva, uint64_t cmd)
{
	uint32_t gone = 0;
	unsigned int i, k;

	vtd_drop_caches(w->r.hw);
	for (i = 0; i < 2; i++)
		for (k = 0; k < 16; k++)
			assert_int_equal(go(w, i, A + k * 4096).pa.v, w->page[0]);
	for (i = 0; i < 2; i++)
		for (k = 0; k < 16; k++)
			ss_map(&w->r, w->ss[i], 4, 1, A + k * 4096, w->page[1] | SS_RW);
	reg64(&w->r, VTD_IOTLB_AT, iva);
	reg64(&w->r, VTD_IOTLB_AT + 8, cmd);
	assert_int_equal(get64(&w->r, VTD_IOTLB_AT + 8) >> 63, 0);
	for (i = 0; i < 2; i++)
		for (k = 0; k < 16; k++)
			gone |= (go(w, i, A + k * 4096).pa.v == w->page[1] ? 1u : 0u) << (16 * i + k);
	for (i = 0; i < 2; i++)
		for (k = 0; k < 16; k++)
			ss_map(&w->r, w->ss[i], 4, 1, A + k * 4096, w->page[0] | SS_RW);
	return gone;
}
#define IOTLB(g, did) (BIT(63) | (uint64_t)(g) << 60 | (uint64_t)(did) << 32)
#define IAIG(r) (get64(r, VTD_IOTLB_AT + 8) >> 57 & 3)

static void test_iotlb_command(void **state)
{
	struct vtd_caps c;
	struct world w;

	(void)state;
	vtd_caps_all(&c);
	world_new(&w, &c);
	assert_int_equal(iotlb(&w, 0, IOTLB(1, 9)), UINT32_MAX);
	assert_int_equal(IAIG(&w.r), 1);
	assert_int_equal(iotlb(&w, 0, IOTLB(2, 6) | BITS(49, 48)), 0xffff0000); /* with both drains asked for */
	assert_int_equal(IAIG(&w.r), 2);
	assert_int_equal(iotlb(&w, A + 0x3000, IOTLB(3, 5)), 0x00000008);
	assert_int_equal(IAIG(&w.r), 3);
	assert_int_equal(iotlb(&w, (A + 0x3000) | BIT(6), IOTLB(3, 5)), 0x00000008); /* the hint is about structures */
	assert_int_equal(iotlb(&w, (A + 0x5000) | 2, IOTLB(3, 6)), 0x00f00000); /* the address is masked */
	assert_int_equal(iotlb(&w, A | 18, IOTLB(3, 5)), 0x0000ffff);
	/* what is no valid request is ignored */
	assert_int_equal(iotlb(&w, A | 19, IOTLB(3, 5)), 0);
	assert_int_equal(IAIG(&w.r), 0);
	assert_int_equal(iotlb(&w, A, IOTLB(0, 5)), 0);
	assert_int_equal(IAIG(&w.r), 0);
	rig_queue(&w.r, false);
	assert_int_equal(iotlb(&w, 0, IOTLB(1, 0)), 0);
	assert_int_equal(IAIG(&w.r), 0);
	gcmd(&w.r, 0, VTD_GCMD_QIE);
	rig_free(&w.r);

	c.no_page_selective = true;
	c.mamv = 4;
	world_new(&w, &c);
	assert_int_equal(iotlb(&w, A, IOTLB(3, 5)), 0);
	assert_int_equal(IAIG(&w.r), 0);
	assert_int_equal(iotlb(&w, 0, IOTLB(2, 5)), 0x0000ffff);
	rig_free(&w.r);
}

/* Whatever a unit can be, its registers say, and they say it back. */
static void test_caps_both_ways(void **state)
{
	uint64_t x = 88172645463325252ul;
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < 200000; i++) {
		struct vtd_caps a = {0}, b;
		struct nb_diag why;

#define R(k) (x = (x ^ x << 13), x ^= x >> 7, x ^= x << 17, (uint8_t)((x >> 20) % (k)))
		a.haw = (uint8_t)(39 + R(14));
		a.mgaw = (uint8_t)(39 + R(19));
		a.nd_lg2 = (uint8_t)(4 + 2 * R(7));
		a.pasid_bits = R(21);
		a.fault_records = (uint8_t)(1 + R(64));
		a.mamv = (uint8_t)(1 + R(52));
		a.sagaw = (uint8_t)(2 * R(8));
		bool *const f[] = {&a.levels5, &a.scalable, &a.first_stage, &a.second_stage, &a.nested, &a.pass_through, &a.fs_1g, &a.ss_2m,
				   &a.ss_1g, &a.coherent, &a.c_only, &a.smpwc_only, &a.snoop_control, &a.ss_dirty, &a.ext_access,
				   &a.supervisor, &a.exec_request, &a.device_tlb, &a.caching_mode, &a.write_buffer_flush, &a.page_requests,
				   &a.intr_remap, &a.x2apic, &a.pmr_low, &a.pmr_high, &a.rid_pasid, &a.rid_priv, &a.abort_mode, &a.esrtps,
				   &a.esirtps, &a.dev_tlb_throttle, &a.no_write_flag, &a.no_page_selective};
		for (unsigned int k = 0; k < ARRAY_SIZE(f); k++)
			*f[k] = R(4) != 0;
		if (a.coherent)
			a.c_only = a.smpwc_only = false;
		a.no_write_flag &= a.device_tlb;
		if (vtd_caps_check(&a, &why))
			continue;
		n++;
		vtd_caps_from_regs(vtd_caps_cap(&a), vtd_caps_ecap(&a), a.haw, &b);
		assert_int_equal(vtd_caps_check(&b, &why), 0);
		assert_int_equal(vtd_caps_cap(&a), vtd_caps_cap(&b));
		assert_int_equal(vtd_caps_ecap(&a), vtd_caps_ecap(&b));
		/* FS5LP without a first stage is in no register, nor a SAGAW of 0 that stands for MGAW */
		if (!a.first_stage)
			b.levels5 = a.levels5;
		if (!a.sagaw)
			b.sagaw = 0;
		assert_memory_equal(&a, &b, sizeof(a));
	}
	assert_true(n > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context_command),
		cmocka_unit_test(test_iotlb_command),
		cmocka_unit_test(test_caps_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
