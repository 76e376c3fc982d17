/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 configuration: stream table, STE, CD table, CD, and what stays cached until which command. What is ILLEGAL:
 * test_hw_smmu_cfg_illegal.c.
 */
#include "hw_smmu_rig.h"
#include "hw/smmuv3/model.h"

/* ---- stream table ---- */

static void restart(struct rig *r, uint64_t base, uint32_t cfg)
{
	reg32(r, 0x20, 0xe);
	reg64(r, 0x80, base);
	reg32(r, 0x88, cfg);
	reg32(r, 0x20, 0xf);
	cfgi_all(r);
}

static void linear_table(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	ste(&r, 511, STE_BYPASS, 0, 0, 0);
	ok_at(go_sid(&r, 511, 0x1000), 0x1000);
	faults(go_sid(&r, 512, 0x1000), 0x02);
	event_is(&r, 0x02 | UINT64_C(512) << 32, 0, 0, 0);
	/* LOG2SIZE 0: one entry. 63: capped by SIDSIZE, and the base is aligned to the literal size. */
	ste(&r, 0, STE_BYPASS, 0, 0, 0);
	restart(&r, r.strtab, 0);
	ok_at(go_sid(&r, 0, 0x2000), 0x2000);
	faults(go_sid(&r, 1, 0x2000), 0x02);
	event_is(&r, 0x02 | UINT64_C(1) << 32, 0, 0, 0);
	restart(&r, r.strtab, 63);
	faults(go_sid(&r, 1, 0x2000), 0x03);
	event_is(&r, 0x03 | UINT64_C(1) << 32, 0, 0, 0x40);
	/* The base is aligned to the table: 2^9 entries are 32 KiB. */
	restart(&r, r.strtab + 0x4000, 9);
	ok_at(go_sid(&r, 511, 0x1000), 0x1000);
	/* No RECINVSID, no event. */
	reg32(&r, 0x20, 0xe);
	reg32(&r, 0x2c, 0);
	reg32(&r, 0x20, 0xf);
	faults(go_sid(&r, 512, 0x1000), 0x02);
	assert_int_equal(events(&r), 0);
	rig_free(&r);
}

static void sid_size(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.sid_bits = 4;
	rig_new_caps(&r, &c);
	rig_start(&r);
	ste(&r, 15, STE_BYPASS, 0, 0, 0);
	ste(&r, 16, STE_BYPASS, 0, 0, 0);
	ok_at(go_sid(&r, 15, 0x1000), 0x1000);
	faults(go_sid(&r, 16, 0x1000), 0x02);
	rig_free(&r);
}

/* Table not in memory: the address of what was fetched. */
static void ste_fetch(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	restart(&r, RIG_NONE, 9);
	faults(go(&r, 0x1000, HW_READ), 0x03);
	event_is(&r, 0x03 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE + RIG_SID * 64);
	/* Two-level: the first descriptor. 272 >> 6 is 4. */
	restart(&r, RIG_NONE, 9 | 6 << 6 | 1 << 16);
	faults(go(&r, 0x1000, HW_READ), 0x03);
	event_is(&r, 0x03 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE + 4 * 8);
	/* The second level. */
	w64(&r, r.strtab + 4 * 8, RIG_NONE | 7);
	restart(&r, r.strtab, 9 | 6 << 6 | 1 << 16);
	faults(go(&r, 0x1000, HW_READ), 0x03);
	event_is(&r, 0x03 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE + (RIG_SID & 63) * 64);
	/* A fetch that failed is not cached. */
	w64(&r, r.strtab + 4 * 8, 0);
	assert_true(cmd(&r, 0x03 | (uint64_t)RIG_SID << 32, 0)); /* not leaf: the descriptor goes */
	faults(go(&r, 0x1000, HW_READ), 0x02);
	rig_free(&r);
}

static void two_level_table(void **state)
{
	static const struct {
		uint32_t split, field;
	} splits[] = {{6, 6}, {8, 8}, {10, 10}, {6, 0}, {6, 7}, {6, 31}};
	unsigned int i, span;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(splits); i++) {
		uint32_t split = splits[i].split, sid = RIG_SID;
		uint64_t l1, l2;
		struct rig r;

		rig_new(&r);
		l1 = rig_alloc(&r, 13);
		l2 = rig_alloc(&r, 16);
		restart(&r, l1, 16 | splits[i].field << 6 | 1 << 16);
		w64(&r, l2 + (sid & ((1u << split) - 1)) * 64, STE_BYPASS);
		for (span = 0; span < 32; span++) {
			/* Span counts 2^(Span - 1) entries; more than the split allows is nothing at all. */
			bool in = span && span <= split + 1 && (sid & ((1u << split) - 1)) < 1u << (span - 1);

			w64(&r, l1 + (sid >> split) * 8, l2 | span);
			assert_true(cmd(&r, 0x03 | (uint64_t)sid << 32, 0));
			sync_cmds(&r);
			if (in) {
				ok_at(go_sid(&r, (uint16_t)sid, 0x1000), 0x1000);
			} else {
				faults(go_sid(&r, (uint16_t)sid, 0x1000), 0x02);
				event_is(&r, 0x02 | (uint64_t)sid << 32, 0, 0, 0);
			}
		}
		/* L2Ptr is aligned to the array. */
		w64(&r, l1 + (sid >> split) * 8, (l2 + (64u << split) / 2) | (split + 1));
		assert_true(cmd(&r, 0x03 | (uint64_t)sid << 32, 0));
		ok_at(go_sid(&r, (uint16_t)sid, 0x1000), 0x1000);
		rig_free(&r);
	}
}

/* ---- Config ---- */

static void abort_and_bypass(void **state)
{
	unsigned int config;
	struct rig r;

	(void)state;
	rig_new(&r);
	for (config = 0; config < 4; config++) {
		ste(&r, RIG_SID, STE_V | config << 1, 0, 0, 0);
		cfgi_ste(&r, RIG_SID);
		faults(go(&r, 0x1000, HW_READ), 0);
		assert_int_equal(events(&r), 0);
	}
	ste(&r, RIG_SID, STE_BYPASS | RIG_NONE, 0, 0, RIG_NONE);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, UINT64_C(0xfffffffff1234), HW_WRITE | HW_READ), UINT64_C(0xfffffffff1234));
	faults(go(&r, UINT64_C(0x10000000001234), HW_READ), 0x11);
	/* F_ADDR_SIZE of stage 1, class IN, a read. */
	event_is(&r, 0x11 | (uint64_t)RIG_SID << 32, UINT64_C(0x20800000000), UINT64_C(0x10000000001234), 0);
	faults(go_ssid(&r, 0x54321, 0x1000, HW_READ, 0), 0x08);
	event_is(&r, 0x08 | UINT64_C(0x54321) << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	rig_free(&r);
}

/* ---- CD tables ---- */

static void one_cd(void **state)
{
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	ok_at(go(&r, RIG_VA + 0x123, HW_READ), page + 0x123);
	/* S1CDMax 0: no SubstreamIDs, not even 0. */
	faults(go_ssid(&r, 0, RIG_VA, HW_READ, 0), 0x08);
	event_is(&r, 0x08 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	/* Not in memory. */
	ste(&r, RIG_SID, STE_S1 | RIG_NONE, 0, RIG_VMID, 0);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x09);
	event_is(&r, 0x09 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE);
	rig_free(&r);
}

/* A CD with its own ASID at `at`; RIG_VA to the page that is returned. */
static uint64_t put_cd(struct rig *r, uint64_t at, uint64_t asid)
{
	uint64_t root = rig_page(r), page = rig_page(r);

	rig_map(r, root, RIG_VA, page | S1_RW, 0);
	w64(r, at + 8, root);
	w64(r, at, (CD0 & ~BITS(63, 48)) | asid << 48);
	return page;
}

static void linear_cds(void **state)
{
	uint64_t page0, page5;
	struct rig r;

	(void)state;
	rig_new(&r);
	r.cd = rig_page(&r);
	page0 = put_cd(&r, r.cd, 1);
	page5 = put_cd(&r, r.cd + 5 * 64, 2);
	/* S1CDMax 3, S1DSS 2: without SubstreamID it is CD 0, and SubstreamID 0 is nobody's. */
	ste(&r, RIG_SID, STE_S1 | r.cd | UINT64_C(3) << 59, 2, RIG_VMID, 0);
	ok_at(go(&r, RIG_VA, HW_READ), page0);
	ok_at(go_ssid(&r, 5, RIG_VA, HW_READ, 0), page5);
	ok_at(go(&r, RIG_VA, HW_READ), page0);
	ok_at(go_ssid(&r, 5, RIG_VA, HW_WRITE, 0), page5);
	faults(go_ssid(&r, 0, RIG_VA, HW_READ, 0), 0x06);
	event_is(&r, 0x06 | 0x800 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	faults(go_ssid(&r, 8, RIG_VA, HW_READ, 0), 0x08);
	event_is(&r, 0x08 | 8u << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	faults(go_ssid(&r, 7, RIG_VA, HW_READ, 0), 0x0a);
	event_is(&r, 0x0a | 0x800 | 7u << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	/* S1DSS 0 and 3: terminated; SubstreamID 0 is one like the others. */
	ste(&r, RIG_SID, STE_S1 | r.cd | UINT64_C(3) << 59, 0, RIG_VMID, 0);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x06);
	event_is(&r, 0x06 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	ok_at(go_ssid(&r, 0, RIG_VA, HW_READ, 0), page0);
	w64(&r, r.strtab + RIG_SID * 64 + 8, 3);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x06);
	event_is(&r, 0x06 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	/* S1DSS 1: bypass. */
	w64(&r, r.strtab + RIG_SID * 64 + 8, 1);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, RIG_VA, HW_READ), RIG_VA);
	ok_at(go_ssid(&r, 5, RIG_VA, HW_READ, 0), page5);
	/* S1CDMax 1: two. */
	w64(&r, r.strtab + RIG_SID * 64, STE_S1 | r.cd | UINT64_C(1) << 59);
	cfgi_ste(&r, RIG_SID);
	ok_at(go_ssid(&r, 0, RIG_VA, HW_READ, 0), page0);
	faults(go_ssid(&r, 1, RIG_VA, HW_READ, 0), 0x0a);
	faults(go_ssid(&r, 2, RIG_VA, HW_READ, 0), 0x08);
	/* The table is aligned to its size. */
	w64(&r, r.strtab + RIG_SID * 64, STE_S1 | (r.cd + 0x100) | UINT64_C(3) << 59);
	cfgi_ste(&r, RIG_SID);
	ok_at(go_ssid(&r, 5, RIG_VA, HW_READ, 0), page5);
	rig_free(&r);
}

static void two_level_cds(void **state)
{
	static const struct {
		unsigned int fmt, split, cdmax;
	} t[] = {{1, 6, 20}, {1, 6, 6}, {1, 6, 3}, {2, 10, 20}, {2, 10, 10}, {2, 10, 4}};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t ssid = (1u << t[i].cdmax) - 2;
		uint64_t l1, l2, page, at;
		struct rig r;

		rig_new(&r);
		l1 = rig_alloc(&r, 17);
		l2 = rig_alloc(&r, 6 + t[i].split);
		at = l1 + (ssid >> t[i].split) * 8;
		page = put_cd(&r, l2 + (ssid & ((1u << t[i].split) - 1)) * 64, 9);
		ste(&r, RIG_SID, STE_S1 | l1 | t[i].fmt << 4 | (uint64_t)t[i].cdmax << 59, 0, RIG_VMID, 0);
		/* V clear: no such SubstreamID. */
		w64(&r, at, l2);
		faults(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), 0x08);
		event_is(&r, 0x08 | (uint64_t)ssid << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
		/* Cached as such; a command with Leaf leaves it there. */
		w64(&r, at, l2 | 1);
		assert_true(cmd(&r, 0x05 | ssid << 12 | (uint64_t)RIG_SID << 32, 1));
		faults(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), 0x08);
		event_is(&r, 0x08 | (uint64_t)ssid << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
		assert_true(cmd(&r, 0x05 | ssid << 12 | (uint64_t)RIG_SID << 32, 0));
		ok_at(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), page);
		/* 64 KiB tables lie at 64 KiB: L2Ptr[15:12] count as zero. */
		if (t[i].fmt == 2) {
			w64(&r, at, l2 | 0xf001);
			assert_true(cmd(&r, 0x05 | ssid << 12 | (uint64_t)RIG_SID << 32, 0));
			ok_at(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), page);
		}
		/* L2Ptr wider than OAS; then where no memory is. */
		w64(&r, at, BIT(53) | 1);
		assert_true(cmd(&r, 0x05 | ssid << 12 | (uint64_t)RIG_SID << 32, 0));
		faults(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), 0x08);
		event_is(&r, 0x08 | (uint64_t)ssid << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
		w64(&r, at, RIG_NONE | 1);
		assert_true(cmd(&r, 0x06 | (uint64_t)RIG_SID << 32, 0));
		faults(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), 0x09);
		event_is(&r, 0x09 | 0x800 | (uint64_t)ssid << 12 | (uint64_t)RIG_SID << 32, 0, 0,
			 RIG_NONE + (ssid & ((1u << t[i].split) - 1)) * 64);
		/* The first level not in memory. */
		ste(&r, RIG_SID, STE_S1 | RIG_NONE | t[i].fmt << 4 | (uint64_t)t[i].cdmax << 59, 0, RIG_VMID, 0);
		cfgi_ste(&r, RIG_SID);
		faults(go_ssid(&r, ssid, RIG_VA, HW_READ, 0), 0x09);
		event_is(&r, 0x09 | 0x800 | (uint64_t)ssid << 12 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE + (ssid >> t[i].split) * 8);
		rig_free(&r);
	}
}

/* Nested: the CD lies in intermediate addresses, and its fetch fails as stage 2 says. */
static void nested_cd(void **state)
{
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ok_at(go(&r, RIG_VA, HW_WRITE), page);
	/* F_TRANSLATION, S2, class CD, a write; the IPA is the CD's. */
	rig_map(&r, r.s2root, r.cd + RIG_IPA, 0, 0);
	cfgi_ste(&r, RIG_SID);
	assert_true(cmd(&r, 0x28 | RIG_VMID << 32, 0));
	faults(go(&r, RIG_VA, HW_WRITE), 0x10);
	event_is(&r, 0x10 | (uint64_t)RIG_SID << 32, UINT64_C(0x8000000000), RIG_VA, r.cd + RIG_IPA);
	/* S2R clear: no event. */
	w64(&r, r.strtab + RIG_SID * 64 + 16, (STE2_S2 | RIG_VMID) & ~BIT(58));
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_WRITE), 0x10);
	assert_int_equal(events(&r), 0);
	/* Mapped where there is no memory: F_CD_FETCH with the PA. */
	w64(&r, r.strtab + RIG_SID * 64 + 16, STE2_S2 | RIG_VMID);
	rig_map(&r, r.s2root, r.cd + RIG_IPA, RIG_NONE | S2_RW, 0);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_WRITE), 0x09);
	event_is(&r, 0x09 | (uint64_t)RIG_SID << 32, 0, 0, RIG_NONE);
	/* Not readable: F_PERMISSION. */
	rig_map(&r, r.s2root, r.cd + RIG_IPA, r.cd | (S2_RW & ~BIT(6)), 0);
	cfgi_ste(&r, RIG_SID);
	assert_true(cmd(&r, 0x28 | RIG_VMID << 32, 0));
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	event_is(&r, 0x13 | (uint64_t)RIG_SID << 32, UINT64_C(0x8800000000), RIG_VA, r.cd + RIG_IPA);
	/* Beyond what stage 2 takes: its own fault. */
	w64(&r, r.strtab + RIG_SID * 64, STE_NESTED | BIT(41));
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x10);
	event_is(&r, 0x10 | (uint64_t)RIG_SID << 32, UINT64_C(0x8800000000), RIG_VA, BIT(41));
	rig_free(&r);
}

/* S1DSS 1 under nesting: stage 2 alone. */
static void nested_bypass(void **state)
{
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ste(&r, RIG_SID, STE_NESTED | (r.cd + RIG_IPA) | UINT64_C(1) << 59, 1, STE2_S2 | RIG_VMID, r.s2root);
	ok_at(go(&r, page + RIG_IPA + 8, HW_READ), page + 8);
	faults(go_ssid(&r, 1, RIG_VA, HW_READ, 0), 0x0a);
	event_is(&r, 0x0a | 0x800 | 1u << 12 | (uint64_t)RIG_SID << 32, 0, 0, 0);
	rig_free(&r);
}

/* ---- what stays cached ---- */

static void ste_cached(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	/* An STE that is not valid, and one that says abort, are cached like any other. */
	faults(go(&r, 0x1000, HW_READ), 0x04);
	ste(&r, RIG_SID, STE_V, 0, 0, 0);
	faults(go(&r, 0x1000, HW_READ), 0x04);
	assert_true(cmd(&r, 0x03 | (uint64_t)(RIG_SID + 1) << 32, 1)); /* another one's */
	faults(go(&r, 0x1000, HW_READ), 0x04);
	assert_true(cmd(&r, 0x05 | (uint64_t)RIG_SID << 32, 0)); /* its CDs */
	assert_true(cmd(&r, 0x06 | (uint64_t)RIG_SID << 32, 0));
	assert_true(cmd(&r, 0x30, 0)); /* translations */
	faults(go(&r, 0x1000, HW_READ), 0x04);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, 0x1000, HW_READ), 0);
	ste(&r, RIG_SID, STE_BYPASS, 0, 0, 0);
	faults(go(&r, 0x1000, HW_READ), 0);
	/* Ranges: 2^(Range + 1) StreamIDs, aligned. 272 is in [256, 288) and not in [273, 274). */
	assert_true(cmd(&r, 0x04 | (uint64_t)(RIG_SID + 2) << 32, 0));
	faults(go(&r, 0x1000, HW_READ), 0);
	assert_true(cmd(&r, 0x04 | UINT64_C(287) << 32, 4));
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	ste(&r, RIG_SID, STE_V, 0, 0, 0);
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	assert_true(cmd(&r, 0x04 | UINT64_C(0xffffffff) << 32, 31)); /* all: the StreamID does not count */
	faults(go(&r, 0x1000, HW_READ), 0);
	ste(&r, RIG_SID, STE_BYPASS, 0, 0, 0);
	assert_true(cmd(&r, 0x04, 30)); /* the lower half of all */
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	/* SMMUEN does not touch the caches; smmu_drop_caches() is hardware's own whim. */
	ste(&r, RIG_SID, STE_V, 0, 0, 0);
	reg32(&r, 0x20, 0xe);
	reg32(&r, 0x20, 0xf);
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	smmu_drop_caches(r.hw);
	faults(go(&r, 0x1000, HW_READ), 0);
	rig_free(&r);
}

static void cd_cached(void **state)
{
	uint64_t page, other;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	other = put_cd(&r, r.cd, 7);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	assert_true(cmd(&r, 0x05 | (uint64_t)(RIG_SID + 1) << 32, 1));
	assert_true(cmd(&r, 0x05 | 1u << 12 | (uint64_t)RIG_SID << 32, 1));
	ok_at(go(&r, RIG_VA, HW_READ), page);
	assert_true(cmd(&r, 0x05 | (uint64_t)RIG_SID << 32, 1));
	ok_at(go(&r, RIG_VA, HW_READ), other);
	/* The first one's translations are there still: back to its ASID, with tables that map nothing. */
	w64(&r, r.cd, CD0);
	w64(&r, r.cd + 8, rig_page(&r));
	assert_true(cmd(&r, 0x06 | (uint64_t)RIG_SID << 32, 0));
	ok_at(go(&r, RIG_VA, HW_READ), page);
	/* A CD that is not valid is cached as well, and CFGI_STE takes the CDs with it. */
	w64(&r, r.cd, 0);
	assert_true(cmd(&r, 0x05 | (uint64_t)RIG_SID << 32, 1));
	faults(go(&r, RIG_VA, HW_READ), 0x0a);
	w64(&r, r.cd, CD0);
	faults(go(&r, RIG_VA, HW_READ), 0x0a);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	rig_free(&r);
}

/* CDs that fall into one chain of the cache: of two streams, of two SubstreamIDs of one; and one ASID under two such VMIDs. */
static void cds_of_one_chain(void **state)
{
	const uint16_t sid[2] = {RIG_SID, RIG_SID + SMMU_CD_HASH};
	const uint32_t ssid[2] = {5, 5 + SMMU_CD_HASH};
	unsigned int i, round;
	uint64_t cds, page[4];
	struct rig r;

	(void)state;
	rig_new(&r);
	r.strtab = rig_alloc(&r, 17);
	restart(&r, r.strtab, 11);
	for (i = 0; i < 2; i++) {
		cds = rig_alloc(&r, 6 + 11);
		page[i] = put_cd(&r, cds, 1);
		ste(&r, sid[i], STE_S1 | cds | UINT64_C(11) << 59, 2, RIG_VMID + i * SMMU_TAG_HASH, 0);
		if (i == 0) {
			page[2] = put_cd(&r, cds + 64 * ssid[0], 3);
			page[3] = put_cd(&r, cds + 64 * ssid[1], 4);
		}
	}
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 2; i++) {
			ok_at(go_sid(&r, sid[i], RIG_VA), page[i]);
			ok_at(go_ssid(&r, ssid[i], RIG_VA, HW_READ, 0), page[2 + i]);
		}
	}
	rig_free(&r);
}

/* Level 1 stream table descriptors: only commands without Leaf, or ranges. */
static void l1std_cached(void **state)
{
	uint64_t l1, l2;
	struct rig r;

	(void)state;
	rig_new(&r);
	l1 = rig_alloc(&r, 13);
	l2 = rig_alloc(&r, 12);
	restart(&r, l1, 16 | 6 << 6 | 1 << 16);
	w64(&r, l2 + (RIG_SID & 63) * 64, STE_BYPASS);
	faults(go(&r, 0x1000, HW_READ), 0x02);
	w64(&r, l1 + (RIG_SID >> 6) * 8, l2 | 7);
	faults(go(&r, 0x1000, HW_READ), 0x02);
	cfgi_ste(&r, RIG_SID); /* Leaf */
	faults(go(&r, 0x1000, HW_READ), 0x02);
	assert_true(cmd(&r, 0x03 | (uint64_t)(RIG_SID ^ 64) << 32, 0)); /* the neighbour's */
	faults(go(&r, 0x1000, HW_READ), 0x02);
	assert_true(cmd(&r, 0x03 | (uint64_t)(RIG_SID ^ 1) << 32, 0)); /* another stream of the same descriptor */
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	w64(&r, l1 + (RIG_SID >> 6) * 8, 0);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, 0x1000, HW_READ), 0x1000);
	assert_true(cmd(&r, 0x04 | (uint64_t)RIG_SID << 32, 0)); /* ranges take descriptors along */
	faults(go(&r, 0x1000, HW_READ), 0x02);
	rig_free(&r);
}

/* ---- overrides and worlds ---- */

static void overrides(void **state)
{
	uint64_t page, at;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	at = r.strtab + RIG_SID * 64 + 8;
	rig_map(&r, r.s1root, RIG_VA, page | (S1_RW & ~UINT64_C(0x40)), 0); /* privileged only */
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	event_is(&r, 0x13 | (uint64_t)RIG_SID << 32, UINT64_C(0x20800000000), RIG_VA, 0);
	/* PRIVCFG 3: privileged, and the record says so. */
	w64(&r, at, UINT64_C(3) << 48);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	faults(go(&r, RIG_VA + 4096, HW_READ), 0x10);
	event_is(&r, 0x10 | (uint64_t)RIG_SID << 32, UINT64_C(0x20a00000000), RIG_VA + 4096, 0);
	/* PRIVCFG 2: not even who asks for it. 1 is reserved and means 0. */
	w64(&r, at, UINT64_C(2) << 48);
	cfgi_ste(&r, RIG_SID);
	faults(go_ssid(&r, NB_NO_PASID, RIG_VA, HW_READ, HW_PRIV), 0x13);
	event_is(&r, 0x13 | (uint64_t)RIG_SID << 32, UINT64_C(0x20800000000), RIG_VA, 0);
	w64(&r, at, UINT64_C(1) << 48);
	cfgi_ste(&r, RIG_SID);
	ok_at(go_ssid(&r, NB_NO_PASID, RIG_VA, HW_READ, HW_PRIV), page);
	/* INSTCFG 3: reads are fetches; UXN refuses them. Writes stay data. */
	rig_map(&r, r.s1root, RIG_VA, page | S1_RW | BIT(54), 0);
	assert_true(cmd(&r, 0x30, 0));
	w64(&r, at, UINT64_C(3) << 50);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	event_is(&r, 0x13 | (uint64_t)RIG_SID << 32, UINT64_C(0x20c00000000), RIG_VA, 0);
	ok_at(go(&r, RIG_VA, HW_WRITE), page);
	/* INSTCFG 2: fetches are reads. */
	w64(&r, at, UINT64_C(2) << 50);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, RIG_VA, HW_EXEC), page);
	rig_map(&r, r.s1root, RIG_VA, page | S1_RO, 0); /* and writes are writes */
	assert_true(cmd(&r, 0x30, 0));
	faults(go(&r, RIG_VA, HW_WRITE), 0x13);
	rig_free(&r);

	/* Without ATTR_PERMS_OVR the fields are not looked at. */
	smmu_caps_all(&c);
	c.attr_ovr = false;
	rig_new_caps(&r, &c);
	rig_start(&r);
	page = rig_s1(&r);
	rig_map(&r, r.s1root, RIG_VA, page | (S1_RW & ~UINT64_C(0x40)), 0);
	w64(&r, r.strtab + RIG_SID * 64 + 8, UINT64_C(3) << 48);
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	rig_free(&r);
}

/* EL2: one range, one privilege level. EL2-E2H: as EL1. */
static void worlds(void **state)
{
	uint64_t page, high = UINT64_C(0xffffff8012345000);
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	w64(&r, r.cd, (CD0 & ~BIT(30)) | UINT64_C(25) << 16 | UINT64_C(2) << 22);
	w64(&r, r.cd + 16, r.s1root);
	rig_map(&r, r.s1root, RIG_VA, page | (S1_RW & ~UINT64_C(0x40)), 0);
	ok_at(go_ssid(&r, NB_NO_PASID, high, HW_READ, HW_PRIV), page);
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	w64(&r, r.strtab + RIG_SID * 64 + 8, UINT64_C(2) << 30);
	cfgi_ste(&r, RIG_SID);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	ok_at(go(&r, RIG_VA, HW_WRITE), page);
	faults(go(&r, high, HW_READ), 0x10);
	/* E2H */
	reg32(&r, 0x20, 0xe);
	reg32(&r, 0x2c, 3);
	reg32(&r, 0x20, 0xf);
	cfgi_ste(&r, RIG_SID);
	faults(go(&r, RIG_VA, HW_READ), 0x13);
	ok_at(go_ssid(&r, NB_NO_PASID, high, HW_READ, HW_PRIV), page);
	rig_free(&r);
}

/* ---- walks with steps ---- */

struct seen {
	char names[24][40];
	unsigned int n, ipas;
};

static void see(void *opaque, const struct hw_step *s)
{
	struct seen *seen = opaque;

	assert_true(seen->n < ARRAY_SIZE(seen->names));
	assert_true(s->fetched);
	seen->ipas += s->gpa_valid;
	assert_non_null(s->name);
	strncpy(seen->names[seen->n], s->name, sizeof(seen->names[0]) - 1);
	seen->n++;
}

static void observed(void **state)
{
	struct hw_request req = {.addr = RIG_VA, .pasid = NB_NO_PASID, .rid = RIG_SID, .access = HW_READ};
	struct seen seen = {.n = 0};
	struct hw_result res;
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	r.hw->ops->walk(r.hw, &req, see, &seen, &res);
	ok_at(res, page);
	/* STE; three of stage 2, the CD; for each of three levels three of stage 2 and one; three for the page. */
	assert_int_equal(seen.n, 1 + 4 + 3 * 4 + 3);
	assert_string_equal(seen.names[0], "stream table entry");
	assert_string_equal(seen.names[4], "context descriptor");
	/* Nothing was cached. */
	ste(&r, RIG_SID, STE_V, 0, 0, 0);
	faults(go(&r, RIG_VA, HW_READ), 0);
	assert_int_equal(events(&r), 0);
	rig_free(&r);
}

/*
 * Entries of which some words are written and the others not yet, all 256 mixtures of an STE and of a CD: word 0 has V, without word 2
 * of the STE there is no AA64, and tables at 0 are none. What was illegal is cached until it is invalidated.
 */
static void half_written(void **state)
{
	uint64_t page, want[8], at;
	unsigned int m, i, k;
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x50, 0); /* events send no messages */
	page = rig_nested(&r);
	for (k = 0; k < 2; k++) {
		at = k ? r.cd : r.strtab + RIG_SID * 64;
		for (i = 0; i < 8; i++)
			want[i] = r64(&r, at + 8 * i);
		for (m = 0; m < 256; m++) {
			unsigned int reason = k ? (!(m & 1) ? 0x0a : !(m & 2) ? 0x10 : 0) :
						  !(m & 1) || !(m & 4) ? 0x04 : !(m & 8) ? 0x0b : 0;

			for (i = 0; i < 8; i++)
				w64(&r, at + 8 * i, m & 1u << i ? want[i] : 0);
			cfgi_ste(&r, RIG_SID);
			assert_true(cmd(&r, 0x30, 0));
			if (reason) {
				uint64_t rec[4];

				faults(go(&r, RIG_VA, HW_READ), reason);
				event_get(&r, rec);
				assert_int_equal(rec[0], reason | (uint64_t)RIG_SID << 32);
			} else {
				ok_at(go(&r, RIG_VA, HW_READ), page);
			}
			for (i = 0; i < 8; i++)
				w64(&r, at + 8 * i, want[i]);
			if (reason == 0x04 || reason == 0x0a)
				faults(go(&r, RIG_VA, HW_READ), reason);
			reg32(&r, 0x100ac, get32(&r, 0x100a8));
			r.econs = get32(&r, 0x100a8);
		}
		cfgi_ste(&r, RIG_SID);
		assert_true(cmd(&r, 0x30, 0));
		ok_at(go(&r, RIG_VA, HW_READ), page);
	}
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_table),	   cmocka_unit_test(sid_size),	    cmocka_unit_test(ste_fetch),
		cmocka_unit_test(two_level_table), cmocka_unit_test(abort_and_bypass), cmocka_unit_test(one_cd),
		cmocka_unit_test(linear_cds),	   cmocka_unit_test(two_level_cds), cmocka_unit_test(nested_cd),
		cmocka_unit_test(nested_bypass),   cmocka_unit_test(ste_cached),    cmocka_unit_test(cd_cached), cmocka_unit_test(cds_of_one_chain),
		cmocka_unit_test(l1std_cached),	   cmocka_unit_test(overrides),	    cmocka_unit_test(worlds),
		cmocka_unit_test(observed), cmocka_unit_test(half_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
