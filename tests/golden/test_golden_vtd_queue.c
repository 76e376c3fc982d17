/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every bit of every VT-d invalidation descriptor, flipped alone in a queue that the real model runs.
 *
 * The tables say of each bit what the figures of 6.5.2 and 7.6.1 (revision 4.x) say: reserved, and then the queue stops with
 * IQEI 4; or part of a field, and then it runs on or stops for what the new value means, as the row says. Bits of the type lead to other
 * types and are left to the last test, which tries all 128 types. Words 2 and 3 of 256-bit descriptors are reserved in all.
 */
#include "../unit/hw_vtd_rig.h"

#include <stdio.h>

#define RUNS 0u
#define RSVD 4u /* IQEI: a reserved field is not zero, or holds a reserved value */
#define TYPE 0xfeu /* not looked at here */
#define ANY  0xffu /* a value whose meaning depends on the others */

struct span {
	uint8_t word, hi, lo, want;
};

static uint64_t slot(struct rig *r, unsigned int i)
{
	return r->iq + i * (get64(r, VTD_REG_IQA) & BIT(11) ? 32u : 16u);
}

/* Run one descriptor alone. The IQEI with which it stops the queue, or 0; the queue is whole again. */
static unsigned int run(struct rig *r, const uint64_t *q, unsigned int words)
{
	unsigned int at = (unsigned int)(get64(r, VTD_REG_IQH) / (words * 8)), i, iqei;
	unsigned int next = (at + 1) % (4096 / (words * 8));

	for (i = 0; i < words; i++)
		w64(r, slot(r, at) + 8 * i, q[i]);
	reg64(r, VTD_REG_IQT, next * words * 8);
	iqei = (unsigned int)(get64(r, VTD_REG_IQER) & 15);
	if (get32(r, VTD_REG_FSTS) & 1u << 4) {
		assert_int_not_equal(iqei, 0);
		assert_int_equal(get64(r, VTD_REG_IQH), at * words * 8); /* it names the one that failed */
		for (i = 0; i < words; i++)
			w64(r, slot(r, at) + 8 * i, i == 0 ? 5 : 0); /* a wait for nothing in its place */
		reg32(r, VTD_REG_FSTS, 1u << 4);
	} else {
		iqei = 0;
	}
	assert_int_equal(get64(r, VTD_REG_IQH), next * words * 8);
	return iqei;
}

static void flip_all(struct rig *r, const char *name, const uint64_t base[2], const struct span *span, unsigned int n)
{
	unsigned int words = get64(r, VTD_REG_IQA) & BIT(11) ? 4 : 2, word, bit, bad = 0, i;
	uint64_t q[4] = {base[0], base[1], 0, 0};

	assert_int_equal(run(r, q, words), 0);
	for (word = 0; word < words; word++) {
		for (bit = 0; bit < 64; bit++) {
			unsigned int want = word >= 2 ? RSVD : 0x100, got;

			for (i = 0; i < n && word < 2; i++)
				if (span[i].word == word && bit >= span[i].lo && bit <= span[i].hi) {
					assert_int_equal(want, 0x100);
					want = span[i].want;
				}
			if (want == 0x100)
				fail_msg("%s: word %u bit %u is not described", name, word, bit);
			if (want == TYPE)
				continue;
			q[word] ^= BIT(bit);
			got = run(r, q, words);
			q[word] ^= BIT(bit);
			if (want != ANY && got != want) {
				print_error("%s, %u bits: word %u bit %u: IQEI %u, the manual says %u\n", name, words * 64, word, bit,
					    got, want);
				bad++;
			}
		}
	}
	assert_int_equal(bad, 0);
}

/* 11:9 is the upper part of the type in all. */
#define TYPES {0, 3, 0, TYPE}, {0, 11, 9, TYPE}

/* 6.5.2.1: G 5:4, DID 31:16, SID 47:32, FM 49:48 */
static const struct span cc[] = {
	TYPES, {0, 5, 4, RUNS}, {0, 8, 6, RSVD}, {0, 15, 12, RSVD}, {0, 49, 16, RUNS}, {0, 63, 50, RSVD}, {1, 63, 0, RSVD},
};
/* 6.5.2.2: G 5:4, DID 31:16, PASID 51:32; G 10b is reserved */
static const struct span pc[] = {
	TYPES, {0, 4, 4, RUNS}, {0, 5, 5, RSVD}, {0, 8, 6, RSVD}, {0, 15, 12, RSVD}, {0, 51, 16, RUNS}, {0, 63, 52, RSVD},
	{1, 63, 0, RSVD},
};
/* 6.5.2.3: G 5:4, DW 6, DR 7, DID 31:16; AM 69:64, IH 70, ADDR 127:76; the base has AM 4, and beyond MAMV (18) it is a reserved value */
static const struct span iotlb[] = {
	TYPES, {0, 4, 4, RUNS}, {0, 5, 5, RUNS}, {0, 7, 6, RUNS}, {0, 8, 8, RSVD}, {0, 15, 12, RSVD}, {0, 31, 16, RUNS},
	{0, 63, 32, RSVD}, {1, 3, 0, RUNS}, {1, 5, 4, RSVD}, {1, 6, 6, RUNS}, {1, 11, 7, RSVD}, {1, 63, 12, RUNS},
};
/* 6.5.2.4: G 5:4 (00b, 01b reserved), DID 31:16, PASID 51:32; AM, IH, ADDR */
static const struct span piotlb[] = {
	TYPES, {0, 4, 4, RUNS}, {0, 5, 5, RSVD}, {0, 8, 6, RSVD}, {0, 15, 12, RSVD}, {0, 51, 16, RUNS}, {0, 63, 52, RSVD},
	{1, 4, 0, RUNS}, {1, 5, 5, ANY}, {1, 6, 6, RUNS}, {1, 11, 7, RSVD}, {1, 63, 12, RUNS},
};
/* 6.5.2.5: PFSID 15:12 and 63:52 (reserved without DIT), MIP 20:16, SID 47:32; S 64, ADDR 127:76 */
static const struct span devtlb[] = {
	TYPES, {0, 8, 4, RSVD}, {0, 15, 12, RSVD}, {0, 20, 16, RUNS}, {0, 31, 21, RSVD}, {0, 47, 32, RUNS}, {0, 51, 48, RSVD},
	{0, 63, 52, RSVD}, {1, 0, 0, RUNS}, {1, 11, 1, RSVD}, {1, 63, 12, RUNS},
};
/* 6.5.2.6: MIP 8:4, PFSID 15:12 and 63:52, SID 31:16, PASID 51:32; G 64, S 75, ADDR 127:76 */
static const struct span pdevtlb[] = {
	TYPES, {0, 8, 4, RUNS}, {0, 15, 12, RSVD}, {0, 51, 16, RUNS}, {0, 63, 52, RSVD}, {1, 0, 0, RUNS}, {1, 10, 1, RSVD},
	{1, 63, 11, RUNS},
};
/* 6.5.2.8: G 4, IM 31:27, IIDX 47:32. The base is index-selective with IM 0: IM beyond MHMV (15) is a reserved value */
static const struct span iec[] = {
	TYPES, {0, 4, 4, RUNS}, {0, 8, 5, RSVD}, {0, 26, 12, RSVD}, {0, 30, 27, RUNS}, {0, 31, 31, RSVD}, {0, 47, 32, RUNS},
	{0, 63, 48, RSVD}, {1, 63, 0, RSVD},
};
/* 6.5.2.9: IF 4, SW 5, FN 6, PD 7 (with PDS), status data 63:32; status address 127:66 */
static const struct span wait_pds[] = {
	TYPES, {0, 7, 4, RUNS}, {0, 8, 8, RSVD}, {0, 31, 12, RSVD}, {0, 63, 32, RUNS}, {1, 1, 0, RSVD}, {1, 63, 2, RUNS},
};
static const struct span wait_no_pds[] = {
	TYPES, {0, 6, 4, RUNS}, {0, 8, 7, RSVD}, {0, 31, 12, RSVD}, {0, 63, 32, RUNS}, {1, 1, 0, RSVD}, {1, 63, 2, RUNS},
};
/* 7.6.1: PASID present 4, response code 15:12, requester 31:16, PASID 51:32; 66:64 ignored for older software; PRGI 75:67 */
static const struct span prgr[] = {
	TYPES, {0, 4, 4, RUNS}, {0, 8, 5, RSVD}, {0, 15, 12, ANY}, {0, 31, 16, RUNS}, {0, 51, 32, ANY}, {0, 63, 52, RSVD},
	{1, 2, 0, RUNS}, {1, 11, 3, RUNS}, {1, 63, 12, RSVD},
};

static void up(struct rig *r, struct vtd_caps *c, bool scalable)
{
	rig_new_caps(r, c);
	rig_queue(r, scalable);
	rig_on(r, scalable);
}

static void all_caps(struct vtd_caps *c)
{
	vtd_caps_all(c);
	c->device_tlb = c->page_requests = c->intr_remap = true;
	c->dev_tlb_throttle = false;
}

#define FLIP(r, name, w0, w1, spans) flip_all(r, name, (const uint64_t[2]){w0, w1}, spans, ARRAY_SIZE(spans))

static void every_bit(struct rig *r)
{
	FLIP(r, "context cache, global", 0x11, 0, ((struct span[]){TYPES, {0, 4, 4, RSVD}, {0, 5, 5, RUNS}, {0, 8, 6, RSVD},
		{0, 15, 12, RSVD}, {0, 49, 16, RUNS}, {0, 63, 50, RSVD}, {1, 63, 0, RSVD}}));
	FLIP(r, "context cache, device", 0x0000010000210031, 0, cc);
	FLIP(r, "IOTLB, page", 0x00000000002100f2, 0x12345004, iotlb);
	FLIP(r, "device-TLB", 0x0000010000010003, 0x12345000, devtlb);
	FLIP(r, "wait", 0x0000000200000015, 0, wait_pds);
	FLIP(r, "interrupt entry cache", 0x0000001000000014, 0, iec);
}

static void of_128_bits(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	all_caps(&c);
	up(&r, &c, false);
	every_bit(&r);
	rig_free(&r);
}

static void of_256_bits(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	all_caps(&c);
	up(&r, &c, true);
	every_bit(&r);
	FLIP(&r, "PASID cache, PASID", 0x0000004200210017, 0, ((struct span[]){TYPES, {0, 4, 4, RUNS}, {0, 5, 5, RUNS}, {0, 8, 6, RSVD},
		{0, 15, 12, RSVD}, {0, 51, 16, RUNS}, {0, 63, 52, RSVD}, {1, 63, 0, RSVD}}));
	FLIP(&r, "PASID cache, domain", 0x0000000000210007, 0, pc);
	FLIP(&r, "PASID-based IOTLB, page", 0x0000004200210036, 0x12345004, piotlb);
	FLIP(&r, "PASID-based device-TLB", 0x0000004201000018, 0x12345000, pdevtlb);
	FLIP(&r, "page group response", 0x0000004201100019, 0x48, prgr);
	rig_free(&r);
	c.page_requests = false;
	up(&r, &c, true);
	FLIP(&r, "wait without page-request drain", 0x0000000200000015, 0, wait_no_pds);
	rig_free(&r);
}

/* All 128 types, in each mode: 3 for those that are none, or not there in that mode or without the capability. */
static void types(void **state)
{
	unsigned int mode, type, bare;

	(void)state;
	for (mode = 0; mode < 2; mode++) {
		for (bare = 0; bare < 2; bare++) {
			struct vtd_caps c;
			struct rig r;

			all_caps(&c);
			if (bare)
				c.device_tlb = c.page_requests = c.intr_remap = c.x2apic = c.esirtps = false;
			up(&r, &c, mode);
			for (type = 0; type < 128; type++) {
				/* G 01b is a value of all that have one, but for PASID-based IOTLB. */
				uint64_t q[4] = {(type & 15) | (uint64_t)(type >> 4) << 9 | (type == 6 ? 0x20 : type == 5 || type == 3 ? 0 : 0x10)};
				bool there = (type >= 1 && type <= 5) || (mode && type >= 6 && type <= 9);
				unsigned int got;

				if (bare && (type == 3 || type == 4 || type == 8 || type == 9))
					there = false;
				got = run(&r, q, mode ? 4 : 2);
				if (got != (there ? 0u : 3u))
					fail_msg("type %u in %s mode%s: IQEI %u", type, mode ? "scalable" : "legacy",
						 bare ? ", bare unit" : "", got);
			}
			rig_free(&r);
		}
	}
}

/* The queue as a whole, 11.4.9.9: what stops it before any descriptor is read. */
static void whole_queue(void **state)
{
	struct vtd_caps c;
	struct rig r;

	(void)state;
	all_caps(&c);
	up(&r, &c, true);
	reg64(&r, VTD_REG_IQT, 16); /* half of a 256-bit descriptor */
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 6);
	rig_free(&r);
	up(&r, &c, true);
	reg64(&r, VTD_REG_IQT, 4096); /* one page holds 128 */
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 1);
	rig_free(&r);
	rig_new_caps(&r, &c); /* 128-bit descriptors in scalable mode */
	rig_queue(&r, false);
	rig_on(&r, 1);
	reg64(&r, VTD_REG_IQT, 16);
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 5);
	rig_free(&r);
	rig_new_caps(&r, &c); /* a ring that lies nowhere */
	reg64(&r, VTD_REG_IQA, 0x1000);
	gcmd(&r, VTD_GCMD_QIE, 0);
	reg64(&r, VTD_REG_IQT, 16);
	assert_int_equal(get64(&r, VTD_REG_IQER) & 15, 2);
	rig_free(&r);
}

/* 7.4.1: what the unit writes for a page request, byte for byte. */
static void page_request_record(void **state)
{
	static const uint8_t want[32] = {
		0x01, 0x01, 0x10, 0x01, 0x35, 0x00, 0x20, 0x00, /* type 1, PP; 01:02.0; PASID 35h, privileged */
		0xaf, 0x5a, 0x34, 0x12, 0xff, 0x7f, 0x00, 0x00, /* RD, WR, LPIG, group 155h, page 7fff12345h */
	};
	const struct hw_page_request pr = {.addr = 0x7fff12345678, .pasid = 0x35, .rid = RIG_RID, .prgi = 0x155,
					   .access = HW_READ | HW_WRITE, .last = true, .priv = true};
	struct vtd_caps c;
	struct rig r;
	uint64_t ring;

	(void)state;
	all_caps(&c);
	rig_new_caps(&r, &c);
	sm_device(&r, RIG_RID, 0x1c, 0); /* DTE, PASIDE, PRE */
	sm_pasid(&r, 0x35, PGTT(1), 0x800011, rig_page(&r) | 1);
	ring = rig_page(&r);
	reg64(&r, VTD_REG_PQA, ring);
	rig_queue(&r, true);
	rig_on(&r, 1);
	r.hw->ops->page_request(r.hw, &pr);
	assert_int_equal(get64(&r, VTD_REG_PQT), 32);
	assert_memory_equal(r.buf + (ring - RIG_BASE), want, sizeof(want));
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_128_bits),
		cmocka_unit_test(of_256_bits),
		cmocka_unit_test(types),
		cmocka_unit_test(whole_queue),
		cmocka_unit_test(page_request_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
