/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupt remapping: messages, entries, source validation, faults and their records, the entry cache. */
#include "hw_vtd_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define FEE 0xfee00000u

struct ir {
	struct rig r;
	uint64_t table;
	struct hw_irq irq;
};

/* Remappable address of an index, without subhandle; bits as the manual lays them out. */
static uint64_t msg(uint32_t index)
{
	return FEE | 0x10u | (index & 0x7fff) << 5 | (index & 0x8000 ? 4u : 0u);
}

static void ir_caps(struct ir *t, const struct vtd_caps *c, unsigned int s, bool eime)
{
	unsigned int i;

	rig_new_caps(&t->r, c);
	t->table = rig_page(&t->r);
	for (i = 1; i < 256; i++)
		(void)rig_page(&t->r); /* 65,536 entries */
	rig_queue(&t->r, true);
	reg64(&t->r, VTD_REG_IRTA, t->table | (eime ? BIT(11) : 0) | s);
	gcmd(&t->r, VTD_GCMD_SIRTP, 0);
	assert_true(get32(&t->r, VTD_REG_GSTS) & BIT(24));
	gcmd(&t->r, VTD_GCMD_IRE, 0);
	assert_true(get32(&t->r, VTD_REG_GSTS) & BIT(25));
	assert_false(get32(&t->r, VTD_REG_GSTS) & VTD_GSTS_TES); /* interrupts do not need translation */
}

static void ir_new(struct ir *t, unsigned int s, bool eime)
{
	struct vtd_caps c;

	vtd_caps_all(&c);
	c.esirtps = false;
	ir_caps(t, &c, s, eime);
}

/* 2 words of an entry; word 1 first, as a driver would. */
static void put(struct ir *t, uint32_t index, uint64_t lo, uint64_t hi)
{
	w64(&t->r, t->table + index * 16ul + 8, hi);
	w64(&t->r, t->table + index * 16ul, lo);
}

static int send(struct ir *t, uint16_t rid, uint64_t addr, uint32_t data)
{
	memset(&t->irq, 0xee, sizeof(t->irq));
	return t->r.hw->ops->interrupt(t->r.hw, rid, addr, data, &t->irq);
}

#define SENT(t, rid, addr, data, want_dest, want_vector)                                                      \
	do {                                                                                                  \
		assert_int_equal(send(t, rid, addr, data), 0);                                                \
		assert_int_equal((t)->irq.dest, want_dest);                                                   \
		assert_int_equal((t)->irq.vector, want_vector);                                               \
	} while (0)

static void check_record(struct ir *t, uint16_t rid, unsigned int reason, uint64_t index)
{
	uint64_t at = VTD_FRCD_AT + 16ul * (get32(&t->r, VTD_REG_FSTS) >> 8 & 0xff);

	assert_int_equal(get32(&t->r, VTD_REG_FSTS) & 2, 2);
	assert_int_equal(get64(&t->r, at), index << 48);
	assert_int_equal(get64(&t->r, at + 8), BIT(63) | (uint64_t)reason << 32 | rid);
}

static void blocked(struct ir *t, uint16_t rid, uint64_t addr, uint32_t data, unsigned int reason, uint64_t index, bool recorded)
{
	faults_clear(&t->r);
	assert_int_equal(send(t, rid, addr, data), -14);
	if (recorded)
		check_record(t, rid, reason, index);
	else
		assert_int_equal(get32(&t->r, VTD_REG_FSTS) & 0xff, 0);
	faults_clear(&t->r);
}

static void iec(struct ir *t, bool one, uint32_t index, unsigned int im)
{
	INV(&t->r, VTD_INV_IEC | (one ? BIT(4) : 0) | (uint64_t)im << 27 | (uint64_t)index << 32, 0);
}

#define P 1ul
#define FPD 2ul
#define V(v) ((uint64_t)(v) << 16)
#define DST8(d) ((uint64_t)(d) << 40)
#define DST(d) ((uint64_t)(d) << 32)

static void test_registers(void **state)
{
	struct vtd_caps c;
	struct ir t;

	(void)state;
	ir_new(&t, 7, true);
	reg64(&t.r, VTD_REG_IRTA, ~0ul);
	assert_int_equal(get64(&t.r, VTD_REG_IRTA), ~0ul & ~BITS(10, 4));
	gcmd(&t.r, VTD_GCMD_CFI, 0);
	assert_int_equal(get32(&t.r, VTD_REG_GSTS), BIT(23) | BIT(24) | BIT(25) | BIT(26));
	gcmd(&t.r, 0, VTD_GCMD_CFI);
	gcmd(&t.r, 0, VTD_GCMD_IRE);
	assert_int_equal(get32(&t.r, VTD_REG_GSTS), BIT(24) | BIT(26));
	t.r.hw->ops->reset(t.r.hw);
	assert_int_equal(get64(&t.r, VTD_REG_IRTA), 0);
	assert_int_equal(get32(&t.r, VTD_REG_GSTS), 0);
	rig_free(&t.r);
	/* without x2APIC mode EIME cannot be set */
	vtd_caps_all(&c);
	c.x2apic = false;
	ir_caps(&t, &c, 0, true);
	assert_int_equal(get64(&t.r, VTD_REG_IRTA), t.table);
	assert_int_equal(vtd_caps_ecap(&c) & BITS(4, 3), BIT(3));
	rig_free(&t.r);
	/* a write of the top byte of GCMD: no second SIRTP out of the status */
	ir_new(&t, 0, false);
	reg64(&t.r, VTD_REG_IRTA, t.table + 4096);
	w64(&t.r, t.table, P | V(1));
	w64(&t.r, t.table + 4096, P | V(2));
	t.r.hw->ops->mmio_write(t.r.hw, VTD_REG_GCMD, 1, 0);
	assert_int_equal(send(&t, 1, msg(0), 0), 0);
	assert_int_equal(t.irq.vector, 1);
	rig_free(&t.r);
}

static void test_off_and_compatibility(void **state)
{
	struct vtd_caps c;
	struct ir t;
	bool eime;

	(void)state;
	vtd_caps_all(&c);
	c.intr_remap = c.x2apic = c.esirtps = false;
	rig_new_caps(&t.r, &c); /* a unit that cannot */
	SENT(&t, 0x0110, FEE | 0x7f00c, 0xc5fb, 0x7f, 0xfb);
	assert_true(t.irq.logical);
	assert_true(t.irq.hint);
	assert_true(t.irq.level);
	assert_int_equal(t.irq.delivery, 5);
	rig_free(&t.r);

	for (eime = false;; eime = true) {
		ir_new(&t, 0, eime);
		gcmd(&t.r, 0, VTD_GCMD_IRE);
		SENT(&t, 0x0110, FEE | 0x3000, 0x0041, 3, 0x41); /* off: as it is */
		assert_false(t.irq.logical || t.irq.hint || t.irq.level || t.irq.delivery);
		SENT(&t, 0x0110, msg(0) | 0x1000, 0x0041, 1, 0x41);
		gcmd(&t.r, VTD_GCMD_IRE, 0);
		blocked(&t, 0x0110, FEE | 0x3000, 0x41, 0x25, 0, true);
		gcmd(&t.r, VTD_GCMD_CFI, 0);
		if (eime)
			blocked(&t, 0x0110, FEE | 0x3000, 0x41, 0x25, 0, true);
		else
			SENT(&t, 0x0110, FEE | 0x3000, 0x41, 3, 0x41);
		gcmd(&t.r, 0, VTD_GCMD_CFI);
		blocked(&t, 0x0110, FEE | 0x3000, 0x41, 0x25, 0, true);
		rig_free(&t.r);
		if (eime)
			break;
	}
}

static void test_entry_fields(void **state)
{
	struct ir t;
	unsigned int dlm;

	(void)state;
	ir_new(&t, 15, false);
	put(&t, 5, P | DST8(0x9a) | V(0x52), 0);
	SENT(&t, 0x0110, msg(5), 0, 0x9a, 0x52);
	assert_false(t.irq.logical || t.irq.hint || t.irq.level || t.irq.delivery);
	SENT(&t, 0xffff, msg(5), 0xffffffff, 0x9a, 0x52); /* no subhandle: data are not looked at */
	put(&t, 6, P | BIT(2) | V(1), 0);
	SENT(&t, 0, msg(6), 0, 0, 1);
	assert_true(t.irq.logical && !t.irq.hint && !t.irq.level);
	put(&t, 7, P | BIT(3) | V(1), 0);
	SENT(&t, 0, msg(7), 0, 0, 1);
	assert_true(!t.irq.logical && t.irq.hint && !t.irq.level);
	put(&t, 8, P | BIT(4) | V(1), 0);
	SENT(&t, 0, msg(8), 0, 0, 1);
	assert_true(!t.irq.logical && !t.irq.hint && t.irq.level);
	for (dlm = 0; dlm < 8; dlm++) {
		put(&t, 16 + dlm, P | (uint64_t)dlm << 5 | V(0x30) | 0xf00, 0); /* with AVAIL */
		SENT(&t, 0, msg(16 + dlm), 0, 0, 0x30);
		assert_int_equal(t.irq.delivery, dlm);
	}
	/* handle bit 15, and the last index */
	put(&t, 0x8001, P | V(0x81), 0);
	put(&t, 0xffff, P | V(0x82), 0);
	SENT(&t, 0, FEE | 0x10 | 0x24, 0, 0, 0x81);
	SENT(&t, 0, FEE | 0xffff4, 0, 0, 0x82);
	/* subhandle */
	put(&t, 0x8003, P | V(0x83), 0);
	SENT(&t, 0, msg(0x8000) | 8, 3, 0, 0x83);
	SENT(&t, 0, msg(3) | 8, 0x8000, 0, 0x83);
	rig_free(&t.r);
	/* x2APIC: 32 bits of destination */
	ir_new(&t, 15, true);
	put(&t, 5, P | DST(0x8a9bacbd) | V(0x52), 0);
	SENT(&t, 0x0110, msg(5), 0, 0x8a9bacbd, 0x52);
	rig_free(&t.r);
}

/* Every bit that is reserved, alone, in both modes; every other, alone. FPD keeps the record away. */
static void test_reserved_bits(void **state)
{
	const uint64_t rsvd0 = BITS(14, 12) | BIT(15) | BITS(31, 24), rsvd0_xapic = BITS(39, 32) | BITS(63, 48);
	const uint64_t rsvd1 = BITS(63, 20);
	unsigned int eime, bit;
	struct ir t;

	(void)state;
	for (eime = 0; eime < 2; eime++) {
		ir_new(&t, 3, eime);
		for (bit = 2; bit < 128; bit++) {
			uint64_t lo = bit < 64 ? BIT(bit) : 0, hi = bit < 64 ? 0 : BIT(bit - 64);
			bool bad = (lo & (rsvd0 | (eime ? 0 : rsvd0_xapic))) || (hi & rsvd1);

			put(&t, 2, P | lo, hi);
			if (bad) {
				blocked(&t, 0, msg(2), 0, 0x24, 2, true);
				put(&t, 2, P | FPD | lo, hi);
				blocked(&t, 0, msg(2), 0, 0x24, 2, false);
			} else if (bit < 64 || bit >= 80) { /* source-id bits: another test; rid 0 with SVT 0 fits all */
				assert_int_equal(send(&t, 0, msg(2), 0), 0);
				iec(&t, true, 2, 0);
			}
		}
		put(&t, 2, P, BITS(19, 18)); /* SVT 3 is reserved */
		blocked(&t, 0, msg(2), 0, 0x24, 2, true);
		rig_free(&t.r);
	}
}

static void test_faults(void **state)
{
	struct ir t;

	(void)state;
	ir_new(&t, 3, false); /* 16 entries */
	put(&t, 15, P | V(0x44), 0);
	put(&t, 16, P | V(0x45), 0);
	SENT(&t, 0x110, msg(15), 0, 0, 0x44);
	blocked(&t, 0x110, msg(16), 0, 0x21, 16, true);
	blocked(&t, 0x110, msg(0x8000), 0, 0x21, 0x8000, true);
	blocked(&t, 0x110, msg(15) | 8, 1, 0x21, 16, true);
	blocked(&t, 0x110, msg(0xffff) | 8, 0xffff, 0x21, 0xfffe, true); /* 17 bits of index */
	blocked(&t, 0x110, msg(15) | 8, 0x10000, 0x20, 0, true);
	blocked(&t, 0x110, msg(15) | 8, 0x80000000, 0x20, 0, true);
	blocked(&t, 0x110, msg(3), 0, 0x22, 3, true);
	put(&t, 3, FPD, 0);
	blocked(&t, 0x110, msg(3), 0, 0x22, 3, false);
	/* a table that is not in memory: no FPD was read, so it counts */
	reg64(&t.r, VTD_REG_IRTA, UINT64_C(0x3f00000000) | 3);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	iec(&t, false, 0, 0);
	blocked(&t, 0x110, msg(3), 0, 0x23, 3, true);
	/* a table that crosses the host address width */
	reg64(&t.r, VTD_REG_IRTA, (BIT(52) - 4096) | 15);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	blocked(&t, 0x110, msg(255), 0, 0x23, 255, true);
	blocked(&t, 0x110, msg(256), 0, 0x21, 256, true);
	rig_free(&t.r);
}

static void test_source(void **state)
{
	static const struct {
		uint64_t hi;
		uint16_t rid;
		bool ok;
	} cases[] = {
		{0x0110, 0x9999, true}, /* SVT 0: anybody */
		{0x40110, 0x0110, true}, {0x40110, 0x0111, false}, {0x40110, 0x0114, false}, {0x40110, 0x0210, false},
		{0x40110, 0x0118, false},
		{0x50110, 0x0114, true}, {0x50110, 0x0111, false}, {0x50110, 0x0112, false}, {0x50110, 0x0118, false},
		{0x60110, 0x0116, true}, {0x60110, 0x0111, false}, {0x60110, 0x0118, false},
		{0x70110, 0x0117, true}, {0x70117, 0x0110, true}, {0x70110, 0x0118, false}, {0x70110, 0x8110, false},
		/* SVT 2: busses 0x21 to 0x24 */
		{0x82124, 0x2100, true}, {0x82124, 0x24ff, true}, {0x82124, 0x20ff, false}, {0x82124, 0x2500, false},
		{0xb2124, 0x2300, true}, /* SQ is not looked at */
		{0x82421, 0x2200, false}, {0x800ff, 0xffff, true},
	};
	struct ir t;
	unsigned int i;

	(void)state;
	ir_new(&t, 3, false);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		put(&t, 1, P | V(i), cases[i].hi);
		iec(&t, true, 1, 0);
		if (cases[i].ok) {
			SENT(&t, cases[i].rid, msg(1), 0, 0, i);
			SENT(&t, cases[i].rid, msg(1), 0, 0, i); /* cached */
		} else {
			blocked(&t, cases[i].rid, msg(1), 0, 0x26, 1, true);
			/* a message with a fault caches nothing (6.4) */
			put(&t, 1, P | FPD, cases[i].hi);
			blocked(&t, cases[i].rid, msg(1), 0, 0x26, 1, false);
			put(&t, 1, P | V(i), 0);
			SENT(&t, cases[i].rid, msg(1), 0, 0, i);
		}
	}
	/* what a good message has cached, the source is compared with all the same */
	put(&t, 2, P | V(9), 0x40110);
	SENT(&t, 0x0110, msg(2), 0, 0, 9);
	put(&t, 2, P | FPD | V(9), 0);
	blocked(&t, 0x0111, msg(2), 0, 0x26, 2, true);
	iec(&t, true, 2, 0);
	SENT(&t, 0x0111, msg(2), 0, 0, 9);
	/* the source is looked at before the rest of the entry (5.1.4) */
	put(&t, 3, P | BIT(12), 0x40110);
	blocked(&t, 0x0111, msg(3), 0, 0x26, 3, true);
	blocked(&t, 0x0110, msg(3), 0, 0x24, 3, true);
	put(&t, 3, P | FPD | BIT(12), 0x40110);
	blocked(&t, 0x0111, msg(3), 0, 0x26, 3, false);
	put(&t, 3, P, 0xc0110); /* reserved SVT: nothing to compare */
	blocked(&t, 0x0111, msg(3), 0, 0x24, 3, true);
	rig_free(&t.r);
}

static void test_cache(void **state)
{
	struct vtd_caps c;
	struct ir t;
	uint32_t i, im;

	(void)state;
	ir_new(&t, 15, false);
	/* what faults is not cached */
	blocked(&t, 0, msg(9), 0, 0x22, 9, true);
	put(&t, 9, P | V(1), 0);
	SENT(&t, 0, msg(9), 0, 0, 1);
	/* a change is not seen before an invalidation, whatever else is invalidated */
	put(&t, 9, P | V(2), 0);
	SENT(&t, 0, msg(9), 0, 0, 1);
	INV(&t.r, d_iotlb(1, 0), 0);
	INV(&t.r, d_cc(1, 0, 0), 0);
	gcmd(&t.r, 0, VTD_GCMD_IRE);
	gcmd(&t.r, VTD_GCMD_IRE, 0);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	SENT(&t, 0, msg(9), 0, 0, 1);
	put(&t, 9, 0, 0);
	iec(&t, true, 8, 0);
	iec(&t, true, 0, 3);
	SENT(&t, 0, msg(9), 0, 0, 1);
	iec(&t, true, 9, 0);
	blocked(&t, 0, msg(9), 0, 0x22, 9, true);
	/* the index of a descriptor: its low IM bits do not count */
	for (im = 0; im <= 15; im++) {
		uint32_t first = (0x5555u & ~((1u << im) - 1)) & 0xffff, last = first | ((1u << im) - 1);
		const uint32_t in[4] = {first, last, (first + last) / 2, first}, out[2] = {first ? first - 1 : 0xffff, last + 1};
		unsigned int k;

		for (k = 0; k < 4; k++)
			put(&t, in[k], P | V(0x70), 0);
		for (k = 0; k < 2; k++)
			if (out[k] <= 0xffff && out[k] != first)
				put(&t, out[k], P | V(0x70), 0);
		iec(&t, false, 0, 0);
		/* One after the other, as they may share a slot. */
		for (k = 0; k < 4; k++) {
			SENT(&t, 0, msg(in[k]), 0, 0, 0x70);
			put(&t, in[k], P | V(0x71), 0);
			iec(&t, true, first + 1 > last ? last : first + 1, im);
			SENT(&t, 0, msg(in[k]), 0, 0, 0x71);
			put(&t, in[k], P | V(0x70), 0);
			iec(&t, true, in[k], 0);
		}
		for (k = 0; k < 2; k++) {
			if (out[k] > 0xffff)
				continue;
			SENT(&t, 0, msg(out[k]), 0, 0, 0x70);
			put(&t, out[k], P | V(0x71), 0);
			iec(&t, true, first, im);
			SENT(&t, 0, msg(out[k]), 0, 0, 0x70);
		}
	}
	/* all of them at once */
	for (i = 0; i < 4096; i++)
		put(&t, i, P | V(1), 0);
	iec(&t, false, 0, 0);
	for (i = 0; i < 4096; i++)
		SENT(&t, 0, msg(i), 0, 0, 1);
	for (i = 0; i < 4096; i++)
		put(&t, i, P | V(2), 0);
	for (i = 0; i < 4096; i++)
		SENT(&t, 0, msg(i), 0, 0, 1);
	iec(&t, false, 0x1234, 7); /* global: index and mask do not count */
	for (i = 0; i < 4096; i++)
		SENT(&t, 0, msg(i), 0, 0, 2);
	/* entries as they were decoded: EIME counts when an entry is read */
	put(&t, 77, P | DST8(0x12) | V(3), 0);
	iec(&t, true, 77, 0);
	SENT(&t, 0, msg(77), 0, 0x12, 3);
	reg64(&t.r, VTD_REG_IRTA, t.table | BIT(11) | 15);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	SENT(&t, 0, msg(77), 0, 0x12, 3);
	iec(&t, true, 77, 0);
	SENT(&t, 0, msg(77), 0, 0x1200, 3);
	/* vtd_drop_caches() and reset take them too */
	put(&t, 77, P | V(4), 0);
	vtd_drop_caches(t.r.hw);
	SENT(&t, 0, msg(77), 0, 0, 4);
	rig_free(&t.r);

	/* ESIRTPS */
	vtd_caps_all(&c);
	c.esirtps = true;
	assert_true(vtd_caps_cap(&c) >> 62 & 1);
	ir_caps(&t, &c, 15, false);
	put(&t, 9, P | V(1), 0);
	SENT(&t, 0, msg(9), 0, 0, 1);
	put(&t, 9, P | V(2), 0);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	SENT(&t, 0, msg(9), 0, 0, 2);
	/* and so does switching remapping off, but not CFI or switching it on */
	put(&t, 9, P | V(3), 0);
	gcmd(&t.r, VTD_GCMD_CFI, 0);
	gcmd(&t.r, 0, VTD_GCMD_CFI);
	SENT(&t, 0, msg(9), 0, 0, 2);
	gcmd(&t.r, 0, VTD_GCMD_IRE);
	gcmd(&t.r, VTD_GCMD_IRE, 0);
	SENT(&t, 0, msg(9), 0, 0, 3);
	rig_free(&t.r);
}

/* 7.2.1: the next record is the first one again when both DMA and interrupts are left alone, not before. */
static void test_record_index(void **state)
{
	struct ir t;
	unsigned int i;

	(void)state;
	ir_new(&t, 3, false);
	for (i = 0; i < 2; i++) {
		gcmd(&t.r, VTD_GCMD_TE, 0);
		assert_int_equal(send(&t, 1, msg(2), 0), -14);
		assert_int_equal(get32(&t.r, VTD_REG_FSTS), 2);
		faults_clear(&t.r);
		gcmd(&t.r, 0, i ? VTD_GCMD_IRE : VTD_GCMD_TE);
		gcmd(&t.r, i ? VTD_GCMD_IRE : VTD_GCMD_TE, 0);
		assert_int_equal(send(&t, 1, msg(2), 0), -14);
		assert_int_equal(get32(&t.r, VTD_REG_FSTS), 0x102);
		faults_clear(&t.r);
		gcmd(&t.r, 0, i ? VTD_GCMD_IRE : VTD_GCMD_TE);
		gcmd(&t.r, 0, i ? VTD_GCMD_TE : VTD_GCMD_IRE);
		gcmd(&t.r, VTD_GCMD_IRE, 0);
	}
	rig_free(&t.r);
}

/* In every translation mode, and the unit's own messages past it. */
static void test_modes_and_own(void **state)
{
	struct ir t;
	unsigned int ttm;

	(void)state;
	for (ttm = 0; ttm < 4; ttm++) {
		ir_new(&t, 3, false);
		put(&t, 2, P | V(0x21), 0x40110);
		reg64(&t.r, VTD_REG_RTADDR, t.r.root | (uint64_t)ttm << 10);
		gcmd(&t.r, VTD_GCMD_SRTP, 0);
		gcmd(&t.r, VTD_GCMD_TE, 0);
		SENT(&t, 0x110, msg(2), 0, 0, 0x21);
		faults_clear(&t.r);
		assert_int_equal(send(&t, 0x111, msg(2), 0), -14);
		assert_int_equal(get64(&t.r, VTD_FRCD_AT), 2ul << 48);
		assert_int_equal(get64(&t.r, VTD_FRCD_AT + 8) >> 32 & 0xff, 0x26);
		rig_free(&t.r);
	}
	/* the fault event's message is in compatibility format and goes out all the same */
	ir_new(&t, 3, false);
	reg32(&t.r, VTD_REG_FEDATA, 0x31);
	reg32(&t.r, VTD_REG_FEADDR, 0xfee01000);
	reg32(&t.r, VTD_REG_FECTL, 0);
	assert_int_equal(send(&t, 0x110, msg(2), 0), -14);
	assert_int_equal(t.r.nmsi, 1);
	assert_int_equal(t.r.msi[0].addr, 0xfee01000);
	assert_int_equal(t.r.msi[0].data, 0x31);
	rig_free(&t.r);
}

/*
 * A look-up that is overtaken by the invalidation of what it reads: the table lies in a device's registers, which change the entry
 * and invalidate it, and then answer with the old one. That may be used once and not be kept.
 */
struct trap {
	struct ir *t;
	uint64_t entry[2];
	bool armed;
};

static void *overtake(void *arg)
{
	struct trap *x = arg;

	assert_true(inv(&x->t->r, VTD_INV_IEC | BIT(4), 0));
	return NULL;
}

static uint64_t trap_read(void *opaque, uint64_t off, unsigned int size)
{
	struct trap *x = opaque;
	uint64_t was = off < 16 ? x->entry[off / 8] : 0;
	pthread_t thread;

	(void)size;
	if (x->armed && off == 8) { /* the last read of the look-up: registers have no 128 bits at once */
		x->armed = false;
		x->entry[0] = P | V(2);
		assert_int_equal(pthread_create(&thread, NULL, overtake, x), 0);
		pthread_join(thread, NULL);
	}
	return was;
}

static void trap_write(void *opaque, uint64_t off, unsigned int size, uint64_t val)
{
	(void)opaque;
	(void)off;
	(void)size;
	(void)val;
}

static void test_overtaken(void **state)
{
	static const struct mem_mmio_ops ops = {trap_read, trap_write};
	struct ir t;
	struct trap x = {.t = &t, .entry = {P | V(1), 0}, .armed = true};

	(void)state;
	ir_new(&t, 3, false);
	assert_int_equal(mem_add_mmio(&t.r.mem, hpa(0x10000000), 4096, &ops, &x), 0);
	reg64(&t.r, VTD_REG_IRTA, 0x10000000);
	gcmd(&t.r, VTD_GCMD_SIRTP, 0);
	SENT(&t, 0, msg(0), 0, 0, 1);
	SENT(&t, 0, msg(0), 0, 0, 2);
	x.entry[0] = 0; /* that one is kept */
	SENT(&t, 0, msg(0), 0, 0, 2);
	rig_free(&t.r);
}

/* ---- beside a driver that changes entries ---- */

struct racer {
	struct ir *t;
	_Atomic uint32_t floor; /* no message may get an older vector any more */
	_Atomic bool stop;
};

static void *race_send(void *arg)
{
	struct racer *k = arg;
	struct hw_irq irq;

	while (!atomic_load(&k->stop)) {
		uint32_t floor = atomic_load(&k->floor);

		assert_int_equal(k->t->r.hw->ops->interrupt(k->t->r.hw, 0x110, msg(4), 0, &irq), 0);
		if (irq.vector < (floor & 0x7f))
			fail_msg("vector %u after %u was invalidated away", irq.vector, floor);
		assert_int_equal(irq.dest, irq.vector); /* both words of one entry */
	}
	return NULL;
}

static void test_race(void **state)
{
	pthread_t thread[2];
	struct racer k;
	struct ir t;
	uint32_t v, i;

	(void)state;
	ir_new(&t, 3, true);
	put(&t, 4, P | DST(1) | V(1), 0x40110);
	memset(&k, 0, sizeof(k));
	k.t = &t;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race_send, &k), 0);
	for (v = 2; v < 0x80; v++) {
		for (i = 0; i < 20; i++) {
			put(&t, 4, P | DST(v) | V(v), 0x40110);
			iec(&t, true, 4, 0);
		}
		atomic_store(&k.floor, v);
	}
	atomic_store(&k.stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	rig_free(&t.r);
}

/* ---- an entry changes in one store of 128 bits, and the unit sees all of it or nothing ---- */

#ifdef __x86_64__
struct pair {
	uint64_t *at;
	_Atomic bool stop;
};

static void *flip(void *arg)
{
	static const uint64_t val[2][2] __attribute__((aligned(16))) = {{P | V(1), 0x40110}, {P | V(2), 0x40220}};
	struct pair *p = arg;
	unsigned int n = 0;

	while (!atomic_load(&p->stop))
		__asm__ volatile("movaps %1, %%xmm0\n\tmovaps %%xmm0, %0"
				 : "=m"(*(uint64_t(*)[2])p->at)
				 : "m"(val[n++ & 1])
				 : "xmm0");
	return NULL;
}

static void test_entry_in_one_piece(void **state)
{
	unsigned int i, mine = 0;
	struct pair p = {.stop = false};
	struct hw_irq irq;
	pthread_t thread;
	struct ir t;

	(void)state;
	ir_new(&t, 3, false);
	put(&t, 4, P | V(1), 0x40110);
	p.at = (uint64_t *)(void *)(t.r.buf + ((get64(&t.r, VTD_REG_IRTA) & VTD_IRTA_IRTA) + 4 * 16 - RIG_BASE));
	assert_int_equal(p.at[0], P | V(1));
	assert_int_equal(pthread_create(&thread, NULL, flip, &p), 0);
	for (i = 0; i < 20000; i++) {
		if (t.r.hw->ops->interrupt(t.r.hw, 0x110, msg(4), 0, &irq) == 0) {
			assert_int_equal(irq.vector, 1); /* never the other source's */
			mine++;
		}
		iec(&t, true, 4, 0);
	}
	atomic_store(&p.stop, true);
	pthread_join(thread, NULL);
	assert_true(mine > 0);
	rig_free(&t.r);
}
#endif

/* ---- an interrupt that is being delivered holds up the wait descriptor, and nothing else ---- */

struct slow {
	struct ir *t;
	_Atomic bool inside, go, done;
};

static void slow_deliver(void *opaque, const struct hw_irq *irq)
{
	struct slow *s = opaque;

	assert_int_equal(irq->vector, 0x33);
	atomic_store(&s->inside, true);
	while (!atomic_load(&s->go))
		sched_yield();
}

static void *slow_send(void *arg)
{
	struct slow *s = arg;

	assert_int_equal(hw_interrupt(s->t->r.hw, 0x110, msg(4), 0), 0);
	return NULL;
}

static void *slow_unmap(void *arg)
{
	struct slow *s = arg;

	put(s->t, 4, 0, 0);
	iec(s->t, true, 4, 0);
	atomic_store(&s->done, true);
	return NULL;
}

static void test_delivery_drains(void **state)
{
	pthread_t sender, driver;
	struct slow s;
	struct ir t;

	(void)state;
	ir_new(&t, 3, false);
	memset(&s, 0, sizeof(s));
	s.t = &t;
	t.r.hw->deliver = slow_deliver;
	t.r.hw->deliver_opaque = &s;
	put(&t, 4, P | V(0x33), 0);
	assert_int_equal(pthread_create(&sender, NULL, slow_send, &s), 0);
	while (!atomic_load(&s.inside))
		sched_yield();
	INV(&t.r, d_iotlb(1, 0), 0); /* translations are another matter */
	assert_int_equal(pthread_create(&driver, NULL, slow_unmap, &s), 0);
	usleep(30000);
	assert_false(atomic_load(&s.done));
	atomic_store(&s.go, true);
	pthread_join(driver, NULL);
	assert_true(atomic_load(&s.done));
	pthread_join(sender, NULL);
	assert_int_equal(hw_interrupt(t.r.hw, 0x110, msg(4), 0), -14);
	rig_free(&t.r);
}

/* A function's DMA write into the interrupt range is the same message. */
static void count_deliver(void *opaque, const struct hw_irq *irq)
{
	*(uint32_t *)opaque += irq->vector;
}

static void test_by_dma(void **state)
{
	const uint8_t sub[4] = {2, 0, 0, 0};
	uint32_t sum = 0;
	struct ir t;

	(void)state;
	ir_new(&t, 3, false);
	t.r.hw->deliver = count_deliver;
	t.r.hw->deliver_opaque = &sum;
	put(&t, 6, P | V(0x33), 0x40110);
	assert_int_equal(hw_dma_write(t.r.hw, 0x110, NB_NO_PASID, msg(4) | 8, sub, 4), 0);
	assert_int_equal(sum, 0x33);
	assert_int_equal(hw_dma_write(t.r.hw, 0x111, NB_NO_PASID, msg(4) | 8, sub, 4), -14);
	assert_int_equal(sum, 0x33);
	assert_int_equal(get64(&t.r, VTD_FRCD_AT + 8) >> 32 & 0xff, 0x26);
	/* other writes there are no messages: 29h, whatever the entries say */
	faults_clear(&t.r);
	assert_int_equal(hw_dma_write(t.r.hw, 0x110, NB_NO_PASID, msg(4) | 8, "\2\0\0\0\0\0\0", 8), -14);
	assert_int_equal(get64(&t.r, VTD_FRCD_AT + 24) >> 32, BIT(31) | 0x29);
	assert_int_equal(hw_dma_write(t.r.hw, 0x110, NB_NO_PASID, msg(4) | 10, sub, 4), -14);
	assert_int_equal(get64(&t.r, VTD_FRCD_AT + 40) >> 32, BIT(31) | 0x29);
	assert_int_equal(hw_dma_read(t.r.hw, 0x110, NB_NO_PASID, msg(4), &(uint32_t){0}, 4), -14);
	assert_int_equal(get64(&t.r, VTD_FRCD_AT + 56) >> 32, BIT(31) | BIT(30) | 0x29);
	assert_int_equal(sum, 0x33);
	rig_free(&t.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),     cmocka_unit_test(test_off_and_compatibility),
		cmocka_unit_test(test_entry_fields),  cmocka_unit_test(test_reserved_bits),
		cmocka_unit_test(test_faults),	      cmocka_unit_test(test_source),
		cmocka_unit_test(test_cache),	      cmocka_unit_test(test_modes_and_own),
		cmocka_unit_test(test_race),	      cmocka_unit_test(test_delivery_drains),
#ifdef __x86_64__
		cmocka_unit_test(test_entry_in_one_piece),
#endif
		cmocka_unit_test(test_by_dma),	      cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_record_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
