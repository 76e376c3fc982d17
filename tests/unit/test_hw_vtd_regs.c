/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers, the invalidation queue's errors and completion, fault recording and both interrupts. */
#include "hw_vtd_rig.h"

#define NOP NB_NO_PASID
#define VA  UINT64_C(0x123456789000)

static void start(struct rig *r, const struct vtd_caps *caps, bool dw, unsigned int ttm)
{
	struct vtd_caps c;

	vtd_caps_all(&c);
	rig_new_caps(r, caps ? caps : &c);
	rig_queue(r, dw);
	rig_on(r, ttm);
}

static void test_caps_round_trip(void **state)
{
	struct vtd_caps a, b;

	(void)state;
	vtd_caps_all(&a);
	a.caching_mode = a.write_buffer_flush = a.esrtps = true;
	a.nd_lg2 = 10;
	a.mamv = 9;
	a.sagaw = 0xc;
	a.pasid_bits = 17;
	a.fault_records = 3;
	vtd_caps_from_regs(vtd_caps_cap(&a), vtd_caps_ecap(&a), a.haw, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	/* by hand, from the manual's figures */
	assert_int_equal(vtd_caps_cap(&a) & 7, 3);
	assert_int_equal(vtd_caps_cap(&a) >> 8 & 0x1f, 0xc);
	assert_int_equal(vtd_caps_cap(&a) >> 16 & 0x3f, 56);
	assert_int_equal(vtd_caps_cap(&a) >> 40 & 0xff, 2);
	assert_int_equal(vtd_caps_cap(&a) >> 48 & 0x3f, 9);
	assert_int_equal(vtd_caps_ecap(&a) >> 35 & 0x1f, 16);
	assert_true(vtd_caps_ecap(&a) >> 43 & 1);
	assert_true(vtd_caps_ecap(&a) >> 26 & 1);
}

static void test_caps_refused(void **state)
{
	struct vtd_caps c, all;
	struct nb_diag diag;
	struct hw_iommu *hw = NULL;

	(void)state;
	vtd_caps_all(&all);
#define REFUSED(change)                                                                                       \
	do {                                                                                                  \
		c = all;                                                                                      \
		change;                                                                                       \
		diag.msg[0] = 0;                                                                              \
		assert_int_equal(vtd_create(&c, NULL, NULL, &hw, &diag), -22);                                \
		assert_int_not_equal(diag.msg[0], 0);                                                         \
		assert_null(hw);                                                                              \
	} while (0)
	REFUSED(c.haw = 53);
	REFUSED(c.mgaw = 58);
	REFUSED(c.nd_lg2 = 5);
	REFUSED(c.pasid_bits = 21);
	REFUSED(c.fault_records = 0);
	REFUSED(c.fault_records = 65);
	REFUSED(c.sagaw = 1);
	REFUSED(c.scalable = false);
	REFUSED(c.first_stage = false);
	REFUSED(c.coherent = false);
	REFUSED(c.ss_2m = false);
	REFUSED(c.mamv = 53);
}

static void test_access_sizes(void **state)
{
	struct rig r;
	const struct hw_ops *ops;
	struct vtd_caps c;
	uint64_t cap;

	(void)state;
	vtd_caps_all(&c);
	c.intr_remap = c.x2apic = c.pmr_low = c.pmr_high = c.page_requests = false;
	start(&r, &c, true, VTD_TTM_SCALABLE);
	ops = r.hw->ops;
	cap = vtd_caps_cap(&r.caps);
	assert_int_equal(get64(&r, 8), cap);
	assert_int_equal(get32(&r, 8) | (uint64_t)get32(&r, 12) << 32, cap);
	assert_int_equal(ops->mmio_read(r.hw, 9, 1), cap >> 8 & 0xff);
	assert_int_equal(ops->mmio_read(r.hw, 14, 2), cap >> 48);
	assert_int_equal(ops->mmio_read(r.hw, 10, 4), 0); /* not aligned */
	assert_int_equal(ops->mmio_read(r.hw, 0x1000, 4), 0);
	assert_int_equal(ops->mmio_read(r.hw, ~0ul & ~7ul, 8), 0);
	ops->mmio_write(r.hw, 0x1000, 8, ~0ul);
	reg64(&r, 8, 0); /* read-only */
	assert_int_equal(get64(&r, 8), cap);
	/* halves and bytes of a 64-bit register */
	reg32(&r, VTD_REG_RTADDR, 0xfffff000);
	reg32(&r, VTD_REG_RTADDR + 4, 0x12345678);
	assert_int_equal(get64(&r, VTD_REG_RTADDR), UINT64_C(0x12345678fffff000));
	ops->mmio_write(r.hw, VTD_REG_RTADDR + 5, 1, 0xaa);
	assert_int_equal(get64(&r, VTD_REG_RTADDR), UINT64_C(0x1234aa78fffff000));
	reg64(&r, VTD_REG_RTADDR, ~0ul);
	assert_int_equal(get64(&r, VTD_REG_RTADDR), UINT64_C(0xfffffffffffffc00));
	/* two registers in one access: GCMD and GSTS */
	assert_int_equal(get64(&r, VTD_REG_GCMD), (VTD_GSTS_TES | VTD_GSTS_RTPS | VTD_GSTS_QIES) << 32);
	ops->mmio_write(r.hw, VTD_REG_GCMD + 3, 1, 0x04); /* the top byte alone: TE off, QIE stays */
	assert_int_equal(get32(&r, VTD_REG_GSTS), VTD_GSTS_RTPS | VTD_GSTS_QIES);
	/* features that are not there read as zero */
	reg64(&r, VTD_REG_IRTA, ~0ul);
	reg64(&r, VTD_REG_PQA, ~0ul);
	reg32(&r, VTD_REG_PMEN, ~0u);
	gcmd(&r, VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI | VTD_GCMD_WBF, 0);
	assert_int_equal(get64(&r, VTD_REG_IRTA), 0);
	assert_int_equal(get64(&r, VTD_REG_PQA), 0);
	assert_int_equal(get32(&r, VTD_REG_PMEN), 0);
	assert_int_equal(get32(&r, VTD_REG_GSTS), VTD_GSTS_RTPS | VTD_GSTS_QIES);
	/* as a DMA would reach it */
	nb_rcu_read_lock();
	assert_int_equal(get32(&r, VTD_REG_GSTS), UINT32_MAX);
	reg32(&r, VTD_REG_GCMD, 0);
	nb_rcu_read_unlock();
	assert_int_equal(get32(&r, VTD_REG_GSTS), VTD_GSTS_RTPS | VTD_GSTS_QIES);
	r.hw->ops->reset(r.hw);
	assert_int_equal(get32(&r, VTD_REG_GSTS), 0);
	assert_int_equal(get32(&r, VTD_REG_FECTL), UINT32_C(1) << 31);
	assert_int_equal(get32(&r, VTD_REG_IECTL), UINT32_C(1) << 31);
	rig_free(&r);
}

/* 11.4 as a table: what each 32 bits hold after reset and after all ones are written (commands: all but their go). The rest is 0. */
static void test_bits(void **state)
{
	static const struct {
		uint16_t off;
		uint32_t reset, ones;
	} regs_[] = {
		{0x000, 0x50, 0x50},		   {0x020, 0, 0xfffffc00}, {0x024, 0, 0xffffffff},	   {0x028, 0, 0xffffffff},
		{0x02c, 0, 0x60000003},		   {0x038, 0x80000000, 0x80000000}, {0x03c, 0, 0x0000ffff}, {0x040, 0, 0xfffffffc},
		{0x044, 0, 0xffffffff},		   {0x064, 0, 0x80000001}, {0x068, 0, 0xffe00000},	   {0x06c, 0, 0xffe00000},
		{0x070, 0, 0xffe00000},		   {0x074, 0, 0xffffffff}, {0x078, 0, 0xffe00000},	   {0x07c, 0, 0xffffffff},
		{0x088, 0, 0x0007fff0},		   {0x090, 0, 0xfffff807}, {0x094, 0, 0xffffffff},
		{0x0a0, 0x80000000, 0x80000000},   {0x0a4, 0, 0x0000ffff}, {0x0a8, 0, 0xfffffffc},	   {0x0ac, 0, 0xffffffff},
		{0x0b8, 0, 0xfffff80f},		   {0x0bc, 0, 0xffffffff}, {0x0c0, 0, 0x0007ffe0},	   {0x0c8, 0, 0x0007ffe0},
		{0x0d0, 0, 0xfffff007},		   {0x0d4, 0, 0xffffffff}, {0x0e0, 0x80000000, 0x80000000},
		{0x0e4, 0, 0x0000ffff},		   {0x0e8, 0, 0xfffffffc}, {0x0ec, 0, 0xffffffff},
		{0x500, 0, 0xfffff07f},		   {0x504, 0, 0xffffffff}, {0x50c, 0, 0x3003ffff},
	};
	unsigned int off, i, round;
	struct vtd_caps c;
	struct rig r;

	(void)state;
	vtd_caps_all(&c);
	rig_new_caps(&r, &c);
	for (round = 0; round < 2; round++) {
		for (off = 0; off < 0x1000; off += 4) {
			uint32_t reset = 0, ones = 0;

			if ((off >= 8 && off < 0x1c)) /* capabilities are elsewhere; GCMD */
				continue;
			for (i = 0; i < ARRAY_SIZE(regs_); i++) {
				if (regs_[i].off == off) {
					reset = regs_[i].reset;
					ones = regs_[i].ones;
				}
			}
			if (get32(&r, off) != reset)
				fail_msg("%#x after reset: %#x", off, get32(&r, off));
			reg32(&r, off, off == 0x2c || off == 0x50c ? 0x7fffffff : ~0u);
			if (get32(&r, off) != ones)
				fail_msg("%#x after ones: %#x instead of %#x", off, get32(&r, off), ones);
		}
		r.hw->ops->reset(r.hw);
	}
	rig_free(&r);
}

/* The queue stopped at its last descriptor for this reason; then let it go on with a good one. */
static void stopped(struct rig *r, unsigned int iqei)
{
	uint64_t head = get64(r, VTD_REG_IQH);
	bool dw = get64(r, VTD_REG_IQA) & VTD_IQA_DW;

	assert_int_equal(get32(r, VTD_REG_FSTS) & VTD_FSTS_IQE, VTD_FSTS_IQE);
	assert_int_equal(get64(r, VTD_REG_IQER) & 15, iqei);
	assert_int_equal((head + (dw ? 32 : 16)) & 4095, r->iqt);
	assert_false(inv(r, VTD_INV_WAIT, 0)); /* nothing is fetched while IQE is set */
	assert_int_equal(get64(r, VTD_REG_IQH), head);
	w64(r, r->iq + head, VTD_INV_WAIT);
	w64(r, r->iq + head + 8, 0);
	if (dw) {
		w64(r, r->iq + head + 16, 0);
		w64(r, r->iq + head + 24, 0);
	}
	reg32(r, VTD_REG_FSTS, (uint32_t)VTD_FSTS_IQE);
	assert_int_equal(get64(r, VTD_REG_IQH), r->iqt);
	assert_int_equal(get32(r, VTD_REG_FSTS) & VTD_FSTS_IQE, 0);
}

static void test_queue_errors(void **state)
{
	const struct {
		uint64_t q0, q1;
		unsigned int iqei; /* 0: fine */
	} cases[] = {
		{0, 0, 3}, {0xa, 0, 3}, {VTD_INV_PRGR, 0, 3},
		{VTD_INV_IEC, 0, 0}, {VTD_INV_IEC | BIT(5), 0, 4}, {VTD_INV_IEC | BIT(26), 0, 4},
		{VTD_INV_IEC | BIT(48), 0, 4}, {VTD_INV_IEC, 1, 4}, {VTD_INV_IEC | BIT(4) | UINT64_C(15) << 27, 0, 0},
		{VTD_INV_IEC | BIT(4) | UINT64_C(16) << 27, 0, 4}, {VTD_INV_IEC | UINT64_C(16) << 27, 0, 0},
		{VTD_INV_WAIT | BIT(9), 0, 3}, {VTD_INV_WAIT | BIT(11), 0, 3},
		{VTD_INV_WAIT | BIT(7), 0, 4}, {VTD_INV_WAIT | BIT(12), 0, 4}, {VTD_INV_WAIT, 1, 4},
		{VTD_INV_CC, 0, 4}, {d_cc(1, 0, 0) | BIT(50), 0, 4}, {d_cc(1, 0, 0), 1, 4}, {d_cc(1, 9, 9), 0, 0},
		{d_iotlb(0, 0), 0, 4}, {d_iotlb(1, 0) | BIT(8), 0, 4}, {d_iotlb(1, 0) | BIT(32), 0, 4},
		{d_iotlb(1, 0), BIT(7), 4}, {d_iotlb(3, 0), 19, 4}, {d_iotlb(3, 0), 18, 0},
		{d_iotlb(1, 0) | BIT(6) | BIT(7), 0, 0},
		{d_piotlb(0, 0, 0), 0, 4}, {d_piotlb(1, 0, 0), 0, 4}, {d_piotlb(2, 0, 0) | BIT(52), 0, 4},
		{d_piotlb(3, 0, 0) | BIT(6), 0, 4}, {d_piotlb(3, 0, 0), BIT(8), 4}, {d_piotlb(3, 0, 0), 63, 0},
		{d_pc(2, 0, 0), 0, 4}, {d_pc(3, 0, 0) | BIT(55), 0, 4}, {d_pc(3, 0, 0), 1, 4}, {d_pc(0, 0, 0), 0, 0},
		{VTD_INV_DEVTLB, BIT(1), 4}, {VTD_INV_DEVTLB | BIT(12), 0, 4}, {VTD_INV_DEVTLB | BIT(4), 0, 4},
		{VTD_INV_DEVTLB | BIT(16), 1, 0}, {VTD_INV_PDEVTLB, BIT(10), 4},
		{VTD_INV_PDEVTLB | BIT(63), 0, 4}, {VTD_INV_PDEVTLB | BIT(4), BIT(11) | 1, 0},
	};
	struct rig r;
	struct vtd_caps c;
	size_t i;

	(void)state;
	/* with them: test_hw_vtd_ats.c, test_hw_vtd_prq.c */
	vtd_caps_all(&c);
	c.page_requests = c.dev_tlb_throttle = false;
	start(&r, &c, true, VTD_TTM_SCALABLE);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bool ok = inv(&r, cases[i].q0, cases[i].q1);

		if (ok != (cases[i].iqei == 0))
			fail_msg("descriptor %#lx %#lx: %s", (unsigned long)cases[i].q0, (unsigned long)cases[i].q1,
				 ok ? "taken" : "refused");
		if (!ok)
			stopped(&r, cases[i].iqei);
	}
	/* the padding of a 128-bit descriptor counts */
	w64(&r, r.iq + r.iqt, VTD_INV_WAIT);
	w64(&r, r.iq + r.iqt + 24, 1);
	r.iqt += 32;
	reg64(&r, VTD_REG_IQT, r.iqt);
	stopped(&r, 4);
	/* the tail: not a multiple of 32, beyond the queue */
	reg64(&r, VTD_REG_IQT, r.iqt + 16);
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 6);
	reg32(&r, VTD_REG_FSTS, 0x10);
	assert_int_equal(get32(&r, VTD_REG_FSTS) & 0x10, 0x10); /* still so */
	reg64(&r, VTD_REG_IQT, 4096);
	reg32(&r, VTD_REG_FSTS, 0x10);
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 1);
	reg64(&r, VTD_REG_IQT, r.iqt);
	reg32(&r, VTD_REG_FSTS, 0x10);
	assert_int_equal(get32(&r, VTD_REG_FSTS) & 0x10, 0);
	sync_wait(&r);
	/* a queue that is not in memory */
	gcmd(&r, 0, VTD_GCMD_QIE);
	assert_int_equal(get64(&r, VTD_REG_IQH), 0);
	reg64(&r, VTD_REG_IQT, 32);
	reg64(&r, VTD_REG_IQA, UINT64_C(0x3f00000000) | BIT(11));
	gcmd(&r, VTD_GCMD_QIE, 0);
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 2);
	assert_int_equal(get64(&r, VTD_REG_IQH), 0);
	rig_free(&r);

	/* 128-bit descriptors in scalable mode */
	start(&r, NULL, false, VTD_TTM_SCALABLE);
	assert_false(inv(&r, VTD_INV_WAIT, 0));
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 5);
	rig_free(&r);
	start(&r, NULL, true, VTD_TTM_RESERVED);
	assert_false(inv(&r, VTD_INV_WAIT, 0));
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 7);
	rig_free(&r);
	/* modes that this unit does not have are no modes */
	c.abort_mode = false;
	start(&r, &c, true, VTD_TTM_ABORT);
	assert_false(inv(&r, VTD_INV_WAIT, 0));
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 7);
	rig_free(&r);
	/* legacy mode knows types 1 to 5, in either width */
	start(&r, NULL, true, VTD_TTM_LEGACY);
	assert_true(inv(&r, VTD_INV_WAIT, 0));
	assert_false(inv(&r, d_pc(3, 0, 0), 0));
	stopped(&r, 3);
	rig_free(&r);
	start(&r, NULL, false, VTD_TTM_LEGACY);
	for (i = 0; i < 600; i++) /* around the ring */
		sync_wait(&r);
	assert_false(inv(&r, d_piotlb(2, 0, 0), 0));
	stopped(&r, 3);
	rig_free(&r);
	/* what a unit does not have */
	vtd_caps_all(&c);
	c.device_tlb = c.page_requests = c.dev_tlb_throttle = false;
	c.no_page_selective = true;
	c.intr_remap = c.x2apic = false;
	start(&r, &c, true, VTD_TTM_SCALABLE);
	assert_false(inv(&r, VTD_INV_IEC, 0));
	stopped(&r, 3);
	assert_false(inv(&r, VTD_INV_DEVTLB, 0));
	stopped(&r, 3);
	assert_false(inv(&r, VTD_INV_PDEVTLB, 0));
	stopped(&r, 3);
	assert_false(inv(&r, VTD_INV_PRGR, 0));
	stopped(&r, 3);
	assert_false(inv(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_PD, 0));
	stopped(&r, 4);
	assert_false(inv(&r, d_iotlb(3, 0), 0));
	stopped(&r, 4);
	assert_true(inv(&r, d_piotlb(3, 0, 0), 0));
	rig_free(&r);
	memset(&c, 0, sizeof(c));
	c.haw = 39;
	c.mgaw = 39;
	c.nd_lg2 = 8;
	c.fault_records = 1;
	start(&r, &c, true, VTD_TTM_LEGACY);
	assert_false(inv(&r, VTD_INV_WAIT, 0));
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 5);
	rig_free(&r);
}

static void test_device_tlb_errors(void **state)
{
	struct rig r;

	(void)state;
	start(&r, NULL, true, VTD_TTM_SCALABLE);
	assert_int_equal(vtd_inject_devtlb_timeout(r.hw, 0x110), 0);
	assert_true(inv(&r, VTD_INV_DEVTLB | UINT64_C(0x118) << 32, 0));
	assert_true(inv(&r, VTD_INV_DEVTLB | UINT64_C(0x110) << 32, 0)); /* was fetched: head is past it */
	assert_int_equal(get32(&r, VTD_REG_FSTS), VTD_FSTS_ITE);
	assert_int_equal(get64(&r, VTD_REG_IQER), UINT64_C(0x110) << 32);
	assert_false(inv(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_SW | UINT64_C(77) << 32, r.status));
	assert_int_equal(r64(&r, r.status), 0);
	reg32(&r, VTD_REG_FSTS, (uint32_t)VTD_FSTS_ITE);
	assert_int_equal(r64(&r, r.status), 77);
	assert_int_equal(vtd_inject_devtlb_stray(r.hw, 0x220), 0);
	assert_int_equal(get32(&r, VTD_REG_FSTS), VTD_FSTS_ICE);
	assert_int_equal(get64(&r, VTD_REG_IQER) >> 48, 0x220);
	assert_true(inv(&r, VTD_INV_WAIT, 0)); /* the queue goes on */
	rig_free(&r);
}

static void test_completion_interrupt(void **state)
{
	struct rig r;

	(void)state;
	start(&r, NULL, true, VTD_TTM_SCALABLE);
	reg32(&r, VTD_REG_IEDATA, 0x4021);
	reg32(&r, VTD_REG_IEADDR, 0xfee00000);
	reg32(&r, VTD_REG_IEUADDR, 1);
	INV(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_IF, 0); /* masked since reset */
	assert_int_equal(r.nmsi, 0);
	assert_int_equal(get32(&r, VTD_REG_ICS), 1);
	assert_int_equal(get32(&r, VTD_REG_IECTL), UINT32_C(3) << 30);
	reg32(&r, VTD_REG_IECTL, 0); /* unmasking sends what is pending */
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, UINT64_C(0x1fee00000));
	assert_int_equal(r.msi[0].data, 0x4021);
	assert_int_equal(get32(&r, VTD_REG_IECTL), 0);
	INV(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_IF, 0); /* IWC is still set: no second message */
	assert_int_equal(r.nmsi, 1);
	reg32(&r, VTD_REG_ICS, 1);
	assert_int_equal(get32(&r, VTD_REG_ICS), 0);
	INV(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_IF, 0);
	assert_int_equal(r.nmsi, 2);
	reg32(&r, VTD_REG_ICS, 0); /* write 0: nothing */
	assert_int_equal(get32(&r, VTD_REG_ICS), 1);
	reg32(&r, VTD_REG_ICS, 1);
	/* pending, then serviced while masked: gone */
	reg32(&r, VTD_REG_IECTL, UINT32_C(1) << 31);
	INV(&r, VTD_INV_WAIT | VTD_INV_WAIT_0_IF, 0);
	reg32(&r, VTD_REG_ICS, 1);
	reg32(&r, VTD_REG_IECTL, 0);
	assert_int_equal(r.nmsi, 2);
	rig_free(&r);
}

static uint64_t frcd(struct rig *r, unsigned int i, unsigned int word)
{
	return get64(r, VTD_FRCD_AT + 16 * i + 8 * word);
}

static void test_fault_records(void **state)
{
	struct rig r;
	struct vtd_caps c;
	struct hw_result res;
	unsigned int i;

	(void)state;
	vtd_caps_all(&c);
	c.fault_records = 3;
	start(&r, &c, true, VTD_TTM_SCALABLE);
	reg32(&r, VTD_REG_FEDATA, 0x31);
	reg32(&r, VTD_REG_FEADDR, 0xfee01000);
	reg32(&r, VTD_REG_FECTL, 0);
	/* a read by 01:02.0 without PASID; bytes as the manual lays them out */
	res = ask(&r, 0x0110, NOP, VA + 0x123, HW_READ, 0);
	assert_true(res.fault.recorded);
	assert_int_equal(frcd(&r, 0, 0), VA);
	assert_int_equal(frcd(&r, 0, 1), UINT64_C(0xc000003900000110));
	assert_int_equal(res.fault.record[0], frcd(&r, 0, 0));
	assert_int_equal(res.fault.record[1], frcd(&r, 0, 1));
	assert_int_equal(get32(&r, VTD_REG_FSTS), 2);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0xfee01000);
	assert_int_equal(r.msi[0].data, 0x31);
	/* a privileged write with PASID 0x54321; PPF is set, so no message */
	(void)ask(&r, 0xff80, 0x54321, VA, HW_WRITE, HW_PRIV);
	assert_int_equal(frcd(&r, 1, 1), UINT64_C(0x85432139a000ff80));
	(void)ask(&r, 0x0110, 1, VA, HW_READ | HW_WRITE, 0); /* AtomicOp */
	assert_int_equal(frcd(&r, 2, 1), UINT64_C(0xc000013990000110));
	assert_int_equal(r.nmsi, 1);
	/* overflow: the record that is next is full */
	res = ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_false(res.fault.recorded);
	assert_int_equal(get32(&r, VTD_REG_FSTS), 3);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_hw_fault_lost), 1);
	/* a free record does not help while PFO is set */
	reg32(&r, VTD_FRCD_AT + 12, UINT32_C(1) << 31);
	assert_int_equal(frcd(&r, 0, 1) >> 63, 0);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(frcd(&r, 0, 1) >> 63, 0);
	for (i = 1; i < 3; i++)
		reg64(&r, VTD_FRCD_AT + 16 * i + 8, BIT(63));
	assert_int_equal(get32(&r, VTD_REG_FSTS), 1);
	reg32(&r, VTD_REG_FSTS, 1);
	assert_int_equal(get32(&r, VTD_REG_FSTS), 0);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(frcd(&r, 0, 1), UINT64_C(0x8000003900000110));
	assert_int_equal(r.nmsi, 2);
	reg64(&r, VTD_FRCD_AT + 8, BIT(63));
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(get32(&r, VTD_REG_FSTS), 0x102); /* FRI 1 */
	/* masked: pending, sent when unmasked; or dropped when serviced before */
	reg64(&r, VTD_FRCD_AT + 24, BIT(63));
	reg32(&r, VTD_REG_FECTL, UINT32_C(1) << 31);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(r.nmsi, 3);
	assert_int_equal(get32(&r, VTD_REG_FECTL), UINT32_C(3) << 30);
	reg32(&r, VTD_REG_FECTL, 0);
	assert_int_equal(r.nmsi, 4);
	reg32(&r, VTD_REG_FECTL, UINT32_C(1) << 31);
	faults_clear(&r);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	faults_clear(&r);
	assert_int_equal(get32(&r, VTD_REG_FECTL), UINT32_C(1) << 31);
	/* a queue error has the same event; a second condition makes no second message */
	reg32(&r, VTD_REG_FECTL, 0);
	assert_false(inv(&r, 0, 0));
	assert_int_equal(r.nmsi, 5);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(r.nmsi, 5);
	/* the index starts over when translation is switched off */
	faults_clear(&r);
	gcmd(&r, 0, VTD_GCMD_TE);
	gcmd(&r, VTD_GCMD_TE, 0);
	(void)ask(&r, 0x0110, NOP, VA, HW_WRITE, 0);
	assert_int_equal(get32(&r, VTD_REG_FSTS) & 0xff02, 2);
	/* addresses are recorded up to the widest table: 57 bits here */
	faults_clear(&r);
	(void)ask(&r, 0x0110, NOP, UINT64_MAX, HW_READ, 0);
	assert_int_equal(frcd(&r, 1, 0), BITS(56, 12));
	rig_free(&r);
}

/* Registers take anything from anyone. */
static void test_random_registers(void **state)
{
	struct rig r;
	uint64_t x = 88172645463325252ul;
	unsigned int i;

	(void)state;
	start(&r, NULL, true, VTD_TTM_SCALABLE);
	r.hw->msi = NULL;
	for (i = 0; i < 200000; i++) {
		uint64_t off, v;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		off = (x >> 8) & 0x1fff;
		v = x * UINT64_C(0x9e3779b97f4a7c15);
		if (i % 3 == 0)
			off &= 0xff;
		if (i % 5 == 0)
			v = r.iq | (v & 0xfff);
		if (i % 7 == 0)
			w64(&r, r.iq + (x & 0xff8), v & (x >> 3));
		r.hw->ops->mmio_write(r.hw, off, 1u << (x & 3), v);
		(void)r.hw->ops->mmio_read(r.hw, off, 1u << (x >> 2 & 3));
		(void)ask(&r, (uint16_t)x, x & 1 ? NOP : (uint32_t)(x >> 5), v, (uint8_t)x, (uint8_t)(x >> 4));
		(void)hw_interrupt(r.hw, (uint16_t)x, (v & 0xfffff) | 0xfee00000, (uint32_t)(x >> 32));
	}
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps_round_trip),	   cmocka_unit_test(test_caps_refused),
		cmocka_unit_test(test_access_sizes),	   cmocka_unit_test(test_queue_errors),
		cmocka_unit_test(test_device_tlb_errors),  cmocka_unit_test(test_completion_interrupt),
		cmocka_unit_test(test_fault_records),	   cmocka_unit_test(test_random_registers),
		cmocka_unit_test(test_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
