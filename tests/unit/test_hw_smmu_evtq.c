/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMUv3 event queue: each record bit by bit (7.3), A, R and S (5.5), overflow, aborts, interrupts, merging; stalled
 * transactions. Records of configuration errors stand in test_hw_smmu_cfg.c as well.
 *
 * Words of a record: 0 has type, SSV (bit 11), SubstreamID (31:12), StreamID (63:32); 1 has STAG (15:0), Stall (31), PnU (33), InD (34),
 * RnW (35), S2 (39), class (41:40: CD, TT, IN), TTRnW (44); 2 is the input address, 3 the IPA or the fetched address.
 */
#include "hw_smmu_rig.h"

#include <errno.h>

#define SID64 ((uint64_t)RIG_SID << 32)
#define PNU BIT(33)
#define IND BIT(34)
#define RNW BIT(35)
#define S2 BIT(39)
#define TT BIT(40)
#define IN BIT(41)
#define TTRNW BIT(44)
#define STALL BIT(31)

static void forget(struct rig *r)
{
	cfgi_ste(r, RIG_SID);
	assert_true(cmd(r, 0x30, 0));
	sync_cmds(r);
}

/* ---- records of translation faults ---- */

static void attributes(void **state)
{
	static const struct {
		uint8_t access, flags;
		uint64_t bits;
	} t[] = {
		{HW_READ, 0, RNW},		       {HW_WRITE, 0, 0},
		{HW_READ | HW_WRITE, 0, 0},	       {HW_EXEC, 0, RNW | IND},
		{HW_READ | HW_EXEC, HW_PRIV, RNW | IND | PNU}, {HW_WRITE, HW_PRIV, PNU},
		{HW_WRITE | HW_EXEC, 0, 0},	       {0, 0, RNW},
	};
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		faults(go_ssid(&r, NB_NO_PASID, RIG_VA + 0x1abc, t[i].access, t[i].flags), 0x10);
		event_is(&r, 0x10 | SID64, IN | t[i].bits, RIG_VA + 0x1abc, 0);
	}
	rig_free(&r);
}

static void stage1(void **state)
{
	uint64_t page, leaf;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	/* F_TRANSLATION: beyond T0SZ; of the disabled half; the top byte counts. */
	faults(go(&r, BIT(39), HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | RNW, BIT(39), 0);
	faults(go(&r, UINT64_C(0xffffffff12345000), HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | RNW, UINT64_C(0xffffffff12345000), 0);
	faults(go(&r, RIG_VA | BIT(60), HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | RNW, RIG_VA | BIT(60), 0);
	/* F_PERMISSION */
	rig_map(&r, r.s1root, RIG_VA, page | S1_RO, 0);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	faults(go(&r, RIG_VA + 4, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, IN, RIG_VA + 4, 0);
	forget(&r);
	faults(go(&r, RIG_VA + 4, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, IN, RIG_VA + 4, 0);
	/* F_ACCESS */
	rig_map(&r, r.s1root, RIG_VA, page | (S1_RW & ~BIT(10)), 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_READ), 0x12);
	event_is(&r, 0x12 | SID64, IN | RNW, RIG_VA, 0);
	/* F_ADDR_SIZE: the leaf's address beyond IPS, 36 bits */
	w64(&r, r.cd, (CD0 & ~BITS(34, 32)) | UINT64_C(1) << 32);
	rig_map(&r, r.s1root, RIG_VA, BIT(36) | S1_RW, 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_WRITE), 0x11);
	event_is(&r, 0x11 | SID64, IN, RIG_VA, 0);
	/* F_WALK_EABT: a table that is not there; S2 0, class TT, RnW as the transaction's, the descriptor's address. */
	w64(&r, r.cd, CD0);
	leaf = RIG_NONE + 0x5000;
	w64(&r, r.s1root, leaf | 3);
	forget(&r);
	faults(go(&r, RIG_VA, HW_WRITE), 0x0b);
	event_is(&r, 0x0b | SID64, TT, RIG_VA, leaf + (RIG_VA >> 21 & 511) * 8);
	rig_free(&r);
}

static void stage2_alone(void **state)
{
	uint64_t page, ipa;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ipa = page + RIG_IPA;
	ste(&r, RIG_SID, STE_S2, 0, STE2_S2 | RIG_VMID, r.s2root);
	ok_at(go(&r, ipa + 0x777, HW_WRITE), page + 0x777);
	/* Cached, and yet not for an address that differs above bit 55. */
	ok_at(go(&r, ipa, HW_READ), page);
	faults(go(&r, ipa | BIT(60), HW_READ), 0x11);
	event_is(&r, 0x11 | SID64, IN | RNW, ipa | BIT(60), 0);
	/* The IPA in the record is that of the page. */
	faults(go(&r, UINT64_C(0x123456), HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | S2 | RNW, 0x123456, 0x123000);
	/* Beyond S2T0SZ; beyond what there is of addresses: stage 1's, though it is bypassed. */
	faults(go(&r, BIT(40) | 0x10, HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | S2 | RNW, BIT(40) | 0x10, BIT(40));
	faults(go(&r, BIT(52), HW_READ), 0x11);
	event_is(&r, 0x11 | SID64, IN | RNW, BIT(52), 0);
	rig_map(&r, r.s2root, ipa, page | S2_RO, 0);
	forget(&r);
	faults(go(&r, ipa + 4, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, IN | S2, ipa + 4, ipa);
	rig_map(&r, r.s2root, ipa, page | (S2_RW & ~BIT(10)), 0);
	forget(&r);
	faults(go(&r, ipa + 4, HW_READ), 0x12);
	event_is(&r, 0x12 | SID64, IN | S2 | RNW, ipa + 4, ipa);
	/* S2PS of 32 bits: the tables are within, the page is not. */
	ste(&r, RIG_SID, STE_S2, 0, (STE2_S2 & ~BITS(50, 48)) | RIG_VMID, r.s2root);
	rig_map(&r, r.s2root, ipa, BIT(32) | S2_RW, 0);
	forget(&r);
	faults(go(&r, ipa, HW_READ), 0x11);
	event_is(&r, 0x11 | SID64, IN | S2 | RNW, ipa, ipa);
	/* S2R clear: no event, and an abort. */
	ste(&r, RIG_SID, STE_S2, 0, (STE2_S2 & ~(BITS(50, 48) | BIT(58))) | RIG_VMID, r.s2root);
	forget(&r);
	faults(go(&r, ipa, HW_READ), 0x11);
	assert_int_equal(events(&r), 0);
	/* A table that is not there: F_WALK_EABT is recorded all the same. */
	ste(&r, RIG_SID, STE_S2, 0, (STE2_S2 & ~BIT(58)) | RIG_VMID, r.s2root);
	w64(&r, r.s2root + (ipa >> 30) * 8, RIG_NONE | 3);
	forget(&r);
	faults(go(&r, ipa, HW_READ), 0x0b);
	event_is(&r, 0x0b | SID64, IN | S2 | RNW, ipa, RIG_NONE + (ipa >> 21 & 511) * 8);
	rig_free(&r);
}

static void nested(void **state)
{
	uint64_t page, at;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ok_at(go(&r, RIG_VA, HW_WRITE), page);
	/* The page: class IN with its IPA. */
	rig_map(&r, r.s2root, page + RIG_IPA, page | S2_RO, 0);
	forget(&r);
	faults(go(&r, RIG_VA + 8, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, IN | S2, RIG_VA + 8, page + RIG_IPA);
	/* A descriptor of stage 1: class TT. The IPA is the descriptor's, its page in the record. */
	at = r.s1root + RIG_IPA;
	rig_map(&r, r.s2root, at, 0, 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_WRITE), 0x10);
	event_is(&r, 0x10 | SID64, TT | S2, RIG_VA, at);
	/* Not readable: TTRnW tells that it was a read. */
	rig_map(&r, r.s2root, at, r.s1root | (S2_RW & ~BIT(6)), 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, TT | S2 | TTRNW, RIG_VA, at);
	/* There for stage 2 and yet not in memory: F_WALK_EABT of stage 1, with the PA. */
	rig_map(&r, r.s2root, at, RIG_NONE | S2_RW, 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_READ), 0x0b);
	event_is(&r, 0x0b | SID64, TT | RNW, RIG_VA, RIG_NONE + (RIG_VA >> 30) * 8);
	/* Stage 1's own fault has no IPA. */
	rig_map(&r, r.s2root, at, r.s1root | S2_RW, 0);
	forget(&r);
	faults(go(&r, RIG_VA + 0x1000, HW_READ), 0x10);
	event_is(&r, 0x10 | SID64, IN | RNW, RIG_VA + 0x1000, 0);
	rig_free(&r);
}

/* With SubstreamID: SSV and the value. */
static void substream(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	w64(&r, r.cd + 3 * 64, CD0);
	w64(&r, r.cd + 3 * 64 + 8, r.s1root);
	ste(&r, RIG_SID, STE_S1 | r.cd | UINT64_C(2) << 59, 0, RIG_VMID, 0);
	faults(go_ssid(&r, 3, 0x5000, HW_WRITE, HW_PRIV), 0x10);
	event_is(&r, 0x10 | 0x800 | 3u << 12 | SID64, IN | PNU, 0x5000, 0);
	rig_free(&r);
}

/* ---- A, R, S ---- */

static void abort_or_razwi(void **state)
{
	uint8_t buf[64], want[64];
	unsigned int ars;
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	for (ars = 0; ars < 8; ars += 2) { /* A R 0 */
		bool a = ars & 4, rec = ars & 2;

		w64(&r, r.cd, (CD0 & ~(UINT64_C(3) << 45)) | (uint64_t)ars << 44);
		forget(&r);
		memset(buf, 0x5a, sizeof(buf));
		memset(want, 0x5a, sizeof(want));
		/* Across the end of what is mapped: the first half moves. */
		memset(r.buf + (page - RIG_BASE) + 4096 - 32, 0x11, 32);
		assert_int_equal(hw_dma_read(r.hw, RIG_SID, NB_NO_PASID, RIG_VA + 4096 - 32, buf, 64), a ? -EFAULT : 0);
		memset(want, 0x11, 32);
		if (!a)
			memset(want + 32, 0, 32);
		assert_memory_equal(buf, want, 64);
		assert_int_equal(events(&r), rec);
		if (rec)
			event_is(&r, 0x10 | SID64, IN | RNW, RIG_VA + 4096, 0);
		assert_int_equal(hw_dma_write(r.hw, RIG_SID, NB_NO_PASID, RIG_VA + 4096, buf, 64), a ? -EFAULT : 0);
		if (rec)
			event_is(&r, 0x10 | SID64, IN, RIG_VA + 4096, 0);
		assert_int_equal(events(&r), 0);
	}
	/* Configuration errors abort, whatever A says. */
	w64(&r, r.cd, 0);
	forget(&r);
	assert_int_equal(hw_dma_read(r.hw, RIG_SID, NB_NO_PASID, RIG_VA, buf, 8), -EFAULT);
	event_is(&r, 0x0a | SID64, 0, 0, 0);
	rig_free(&r);
}

/* ---- the queue ---- */

static void overflow(void **state)
{
	unsigned int i;
	uint64_t rec[4];
	struct rig r;

	(void)state;
	rig_new(&r);
	for (i = 0; i < 128; i++)
		faults(go_sid(&r, (uint16_t)(512 + i), 0), 0x02);
	/* Full, and nothing lost yet: no flag; one interrupt, for the first. */
	assert_int_equal(get32(&r, 0x100a8), 128);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0xfee00004);
	assert_int_equal(r.msi[0].data, 0x22);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x80000080);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x80000080); /* once */
	/* Space without acknowledgement: records go on, the flag stays. */
	for (i = 0; i < 3; i++) {
		rec[0] = r64(&r, r.evtq + i * 32);
		assert_int_equal(rec[0], 0x02 | (uint64_t)(512 + i) << 32);
	}
	reg32(&r, 0x100ac, 3);
	r.econs = 3;
	for (i = 0; i < 3; i++)
		faults(go_sid(&r, (uint16_t)(1000 + i), 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x80000083);
	assert_int_equal(r64(&r, r.evtq + 64), 0x02 | UINT64_C(1002) << 32);
	/* A second overflow is seen after the acknowledgement only. */
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x80000083);
	reg32(&r, 0x100ac, 0x80000003);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x00000083);
	/* Emptied: the next record interrupts again. PROD wraps with its flag. */
	reg32(&r, 0x100ac, 0x83);
	assert_int_equal(r.nmsi, 1);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(r.nmsi, 2);
	assert_int_equal(get32(&r, 0x100a8), 0x84);
	rig_free(&r);
}

static void disabled(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x20, 0xb);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0);
	assert_int_equal(r.nmsi, 0);
	reg32(&r, 0x20, 0xf);
	/* No interrupt without its enable, and none for what happened before. */
	reg32(&r, 0x50, 0);
	faults(go_sid(&r, 999, 0), 0x02);
	reg32(&r, 0x50, 7);
	assert_int_equal(r.nmsi, 0);
	event_is(&r, 0x02 | UINT64_C(999) << 32, 0, 0, 0);
	/* Address 0: the wire. */
	reg32(&r, 0x50, 0);
	reg64(&r, 0xb0, 0);
	reg32(&r, 0x50, 7);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0);
	assert_int_equal(r.msi[0].data, 0);
	rig_free(&r);
}

/* A queue that is not in memory. */
static void write_abort(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x20, 0xb);
	reg64(&r, 0xa0, RIG_NONE | 3);
	reg32(&r, 0x20, 0xf);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x60), 4);
	assert_int_equal(get32(&r, 0x100a8), 0);
	assert_int_equal(r.nmsi, 1); /* GERROR's; the queue is empty */
	assert_int_equal(r.msi[0].addr, 0xfee00000);
	/* Until it is acknowledged nothing is written, overflow neither. */
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(r.nmsi, 1);
	reg32(&r, 0x20, 0xb);
	reg64(&r, 0xa0, r.evtq | RIG_EVTQ_LG2);
	reg32(&r, 0x20, 0xf);
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(events(&r), 0);
	reg32(&r, 0x64, 4);
	faults(go_sid(&r, 999, 0), 0x02);
	event_is(&r, 0x02 | UINT64_C(999) << 32, 0, 0, 0);
	rig_free(&r);
}

/* One entry; a size beyond what there is; the base aligned to the size. */
static void sizes(void **state)
{
	struct smmu_caps c;
	uint64_t q;
	unsigned int i;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.evtq_lg2 = 1;
	rig_new_caps(&r, &c);
	rig_start(&r);
	q = rig_page(&r);
	reg32(&r, 0x20, 0xb);
	reg64(&r, 0xa0, q);
	reg32(&r, 0x20, 0xf);
	for (i = 0; i < 3; i++) {
		faults(go_sid(&r, (uint16_t)(600 + i), 0), 0x02);
		assert_int_equal(get32(&r, 0x100a8), ~i & 1);
		assert_int_equal(r64(&r, q), 0x02 | (uint64_t)(600 + i) << 32);
		reg32(&r, 0x100ac, ~i & 1);
	}
	faults(go_sid(&r, 700, 0), 0x02);
	faults(go_sid(&r, 700, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 0x80000000);
	reg32(&r, 0x20, 0xb);
	reg64(&r, 0xa0, q | 0x20 | 31);
	reg32(&r, 0x100a8, 1);
	reg32(&r, 0x100ac, 1);
	reg32(&r, 0x20, 0xf);
	faults(go_sid(&r, 701, 0), 0x02);
	assert_int_equal(get32(&r, 0x100a8), 2);
	assert_int_equal(r64(&r, q + 32), 0x02 | UINT64_C(701) << 32);
	rig_free(&r);
}

/* MEV: alike but for the page offset, while the first one is still there. */
static void merging(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	go(&r, 0x5008, HW_READ);
	go(&r, 0x5008, HW_READ);
	assert_int_equal(events(&r), 2); /* MEV clear */
	w64(&r, r.strtab + RIG_SID * 64 + 8, BIT(19));
	cfgi_ste(&r, RIG_SID);
	reg32(&r, 0x100ac, 2);
	r.econs = 2;
	go(&r, 0x5008, HW_READ);
	go(&r, 0x5010, HW_READ);
	go(&r, 0x5fff, HW_READ);
	assert_int_equal(events(&r), 1);
	go(&r, 0x6000, HW_READ); /* another page */
	go(&r, 0x6000, HW_WRITE); /* another access */
	go(&r, 0x6000, HW_READ);
	assert_int_equal(events(&r), 4);
	/* Taken: the next is a record of its own. */
	reg32(&r, 0x100ac, 6);
	r.econs = 6;
	go(&r, 0x6000, HW_READ);
	event_is(&r, 0x10 | SID64, IN | RNW, 0x6000, 0);
	/* Before an STE is found there is no MEV. */
	go_sid(&r, 600, 0);
	go_sid(&r, 600, 0);
	assert_int_equal(events(&r), 2);
	/* What could be merged with is there, but the stream does not want it any more. */
	go(&r, 0x7000, HW_READ);
	go(&r, 0x7000, HW_READ);
	assert_int_equal(events(&r), 3);
	w64(&r, r.strtab + RIG_SID * 64 + 8, 0);
	cfgi_ste(&r, RIG_SID);
	go(&r, 0x7000, HW_READ);
	assert_int_equal(events(&r), 4);
	rig_free(&r);
}

/* Observing records nothing. */
static void observing(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	faults(go_ssid(&r, NB_NO_PASID, 0x5000, HW_READ, HW_OBSERVE), 0x10);
	faults(go_ssid(&r, 3, 0x5000, HW_READ, HW_OBSERVE), 0x08);
	assert_int_equal(events(&r), 0);
	rig_free(&r);
}

/* ---- stalls ---- */

static uint64_t stalling(struct rig *r)
{
	uint64_t page = rig_s1(r);

	w64(r, r->cd, CD0 | BIT(44));
	r->has_client = true;
	return page;
}

static void stalls(void **state)
{
	uint64_t page, rec[4], first;
	uint8_t b = 1;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = stalling(&r);
	assert_int_equal(hw_dma_write(r.hw, RIG_SID, NB_NO_PASID, RIG_VA + 0x1010, &b, 1), -EAGAIN);
	event_get(&r, rec);
	assert_int_equal(rec[0], 0x10 | SID64);
	assert_int_equal(rec[1] & ~BITS(15, 0), STALL | IN);
	assert_int_equal(rec[2], RIG_VA + 0x1010);
	first = rec[1] & 0xffff;
	/* A wrong StreamID, a wrong STAG: nothing. */
	assert_true(cmd(&r, 0x44 | 0x1000 | (uint64_t)(RIG_SID + 1) << 32, first));
	assert_true(cmd(&r, 0x44 | 0x1000 | SID64, first ^ 1));
	assert_true(cmd(&r, 0x44 | 0x1000 | SID64, first ^ 0x8000));
	assert_int_equal(r.nstall, 0);
	/* Retry: the requester issues it again, and now there is a page. */
	rig_map(&r, r.s1root, RIG_VA + 0x1000, page | S1_RW, 0);
	assert_true(cmd(&r, 0x44 | 0x1000 | SID64, first));
	assert_int_equal(r.nstall, 1);
	assert_int_equal(r.got.addr, RIG_VA + 0x1010);
	assert_int_equal(r.got.pasid, NB_NO_PASID);
	assert_false(r.got.all);
	assert_int_equal(r.got.end, HW_STALL_RETRY);
	assert_int_equal(hw_dma_write(r.hw, RIG_SID, NB_NO_PASID, RIG_VA + 0x1010, &b, 1), 0);
	assert_int_equal(r.buf[page + 0x10 - RIG_BASE], 1);
	/* Once answered a STAG means nothing any more, and the next is another. */
	assert_true(cmd(&r, 0x44 | 0x1000 | SID64, first));
	assert_int_equal(r.nstall, 1);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	event_get(&r, rec);
	assert_int_not_equal(rec[1] & 0xffff, first);
	/* Terminate, with an abort or without. */
	assert_true(cmd(&r, 0x44 | 0x2000 | SID64, rec[1] & 0xffff));
	assert_int_equal(r.got.end, HW_STALL_ABORT);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	event_get(&r, rec);
	assert_true(cmd(&r, 0x44 | SID64, rec[1] & 0xffff));
	assert_int_equal(r.got.end, HW_STALL_RAZ_WI);
	assert_int_equal(r.nstall, 3);
	rig_free(&r);
}

/* R and A mean nothing with S; stage 2 stalls by S2S, for the fetch of a CD too. Merging never. */
static void stalls_of_both_stages(void **state)
{
	uint64_t rec[4];
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_nested(&r);
	r.has_client = true;
	w64(&r, r.cd, (CD0 & ~(UINT64_C(3) << 45)) | BIT(44));
	w64(&r, r.strtab + RIG_SID * 64 + 8, BIT(19));
	faults(go(&r, 0x5000, HW_READ), 0x10);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	assert_int_equal(events(&r), 2);
	event_get(&r, rec);
	assert_int_equal(rec[1] & ~BITS(15, 0), STALL | IN | RNW);
	event_get(&r, rec);
	ste(&r, RIG_SID, STE_NESTED | (r.cd + RIG_IPA), 0, (STE2_S2 & ~BIT(58)) | BIT(57) | RIG_VMID, r.s2root);
	rig_map(&r, r.s2root, r.cd + RIG_IPA, 0, 0);
	forget(&r);
	faults(go(&r, RIG_VA, HW_READ), 0x10);
	event_get(&r, rec);
	assert_int_equal(rec[1] & ~BITS(15, 0), STALL | S2 | RNW);
	assert_int_equal(rec[3], r.cd + RIG_IPA);
	/* STALL_TERM ends them all; other streams' are none. */
	assert_true(cmd(&r, 0x45 | (uint64_t)(RIG_SID + 1) << 32, 0));
	assert_int_equal(r.nstall, 0);
	assert_true(cmd(&r, 0x45 | SID64, 0));
	assert_int_equal(r.nstall, 3);
	assert_int_equal(r.got.end, HW_STALL_ABORT);
	rig_free(&r);
}

/* Who cannot wait is not made to: the fault ends as A says, with Stall 0. */
static void cannot_stall(void **state)
{
	struct smmu_caps c;
	uint8_t b;
	struct rig r;

	(void)state;
	rig_new(&r);
	stalling(&r);
	r.client.stall_done = NULL;
	assert_int_equal(hw_dma_read(r.hw, RIG_SID, NB_NO_PASID, 0x5000, &b, 1), -EFAULT);
	event_is(&r, 0x10 | SID64, IN | RNW, 0x5000, 0);
	/* 3.12: "terminated with Abort", whatever A says. */
	w64(&r, r.cd, (CD0 & ~BIT(46)) | BIT(44));
	forget(&r);
	assert_int_equal(hw_dma_read(r.hw, RIG_SID, NB_NO_PASID, 0x5000, &b, 1), -EFAULT);
	event_is(&r, 0x10 | SID64, IN | RNW, 0x5000, 0);
	rig_free(&r);
	/* Where there is nothing but stalls, it waits for good. */
	smmu_caps_all(&c);
	c.stall_model = 2;
	rig_new_caps(&r, &c);
	rig_start(&r);
	stalling(&r);
	r.client.stall_done = NULL;
	assert_int_equal(hw_dma_read(r.hw, RIG_SID, NB_NO_PASID, 0x5000, &b, 1), -EAGAIN);
	assert_int_equal(events(&r), 1);
	rig_free(&r);
}

/* No room for the record, or for the transaction: it comes again when there is. No overflow. */
static void stalls_wait_for_room(void **state)
{
	struct smmu_caps c;
	uint64_t rec[4];
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	stalling(&r);
	for (i = 0; i < 128; i++)
		go_sid(&r, 600, 0);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	assert_int_equal(get32(&r, 0x100a8), 128);
	assert_int_equal(r.nstall, 0);
	reg32(&r, 0x100ac, 5);
	r.econs = 128;
	assert_int_equal(r.nstall, 1);
	assert_true(r.got.all);
	assert_int_equal(r.got.end, HW_STALL_RETRY);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	event_get(&r, rec);
	assert_int_equal(rec[1] & ~BITS(15, 0), STALL | IN | RNW);
	/* The queue off, and on again. */
	reg32(&r, 0x20, 0xb);
	faults(go(&r, 0x5000, HW_READ), 0x10);
	assert_int_equal(r.nstall, 1);
	reg32(&r, 0x20, 0xf);
	assert_int_equal(r.nstall, 2);
	/* SMMUEN clear: those that wait abort. */
	reg32(&r, 0x20, 0xe);
	assert_int_equal(r.nstall, 3);
	assert_int_equal(r.got.end, HW_STALL_ABORT);
	assert_false(r.got.all);
	rig_free(&r);

	/* Two places. */
	smmu_caps_all(&c);
	c.stall_max = 2;
	rig_new_caps(&r, &c);
	rig_start(&r);
	assert_int_equal(get32(&r, 0x14) >> 16, 2);
	stalling(&r);
	for (i = 0; i < 3; i++)
		faults(go(&r, 0x5000 + i * 0x1000, HW_READ), 0x10);
	assert_int_equal(events(&r), 2);
	event_get(&r, rec);
	assert_true(cmd(&r, 0x44 | 0x1000 | SID64, rec[1] & 0xffff));
	assert_int_equal(r.nstall, 2); /* the one, and the one without a place */
	assert_true(r.got.all);
	rig_free(&r);
}

/* An atomic access reads and writes: what it is in the record of F_PERMISSION (13.1.1). Walked, and then from the TLB. */
static void atomics(void **state)
{
	static const struct {
		uint64_t s2ap;
		uint64_t bits;
	} t[] = {{2, RNW} /* write-only: the read was refused */, {1, 0}, {0, 0}};
	unsigned int i, k;
	uint64_t page;
	struct rig r;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		rig_new(&r);
		page = rig_nested(&r);
		ste(&r, RIG_SID, STE_S2, 0, STE2_S2 | RIG_VMID, r.s2root);
		rig_map(&r, r.s2root, page + RIG_IPA, page | (S2_RW & ~BITS(7, 6)) | t[i].s2ap << 6, 0);
		for (k = 0; k < 3; k++) {
			faults(go(&r, page + RIG_IPA, HW_READ | HW_WRITE), 0x13);
			event_is(&r, 0x13 | SID64, IN | S2 | t[i].bits, page + RIG_IPA, page + RIG_IPA);
			if (k == 0 && t[i].s2ap)
				ok_at(go(&r, page + RIG_IPA, (unsigned int)t[i].s2ap), page); /* now it is cached */
		}
		rig_free(&r);
	}
	/* Nested: stage 2 found in its own TLB entry. */
	rig_new(&r);
	page = rig_nested(&r);
	rig_map(&r, r.s2root, page + RIG_IPA, page | (S2_RW & ~BIT(6)), 0);
	for (k = 0; k < 2; k++) {
		faults(go(&r, RIG_VA, HW_READ | HW_WRITE), 0x13);
		event_is(&r, 0x13 | SID64, IN | S2 | RNW, RIG_VA, page + RIG_IPA);
		ok_at(go(&r, RIG_VA, HW_WRITE), page);
	}
	rig_free(&r);
}

/* ---- aborted messages: 7.5 ---- */

static void message_aborts(void **state)
{
	const struct hw_page_request pr = {.pasid = NB_NO_PASID, .rid = RIG_SID, .access = HW_READ, .last = true};
	struct rig r;

	(void)state;
	rig_new(&r);
	r.hw->msi = NULL; /* nobody takes a doorbell: a write there is aborted */
	/* The event queue's message: its own bit, and then that of GERROR's. The record stays. GERROR's abort sends no other (7.5.1). */
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x60), 1u << 5 | 1u << 7);
	assert_int_equal(events(&r), 1);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_hw_irq), 2);
	/* While a bit is active it is not toggled again. */
	reg32(&r, 0x100ac, 1);
	r.econs = 1;
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(get32(&r, 0x60), 1u << 5 | 1u << 7);
	assert_int_equal(nb_trace_count(r.tr, NB_EV_hw_irq), 3);
	reg32(&r, 0x64, get32(&r, 0x60));
	/* CMD_SYNC's: the command is consumed all the same. */
	assert_true(cmd(&r, 0x46 | 1u << 12 | UINT64_C(0x77) << 32, RIG_NONE));
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 1u << 4 | 1u << 7);
	reg32(&r, 0x64, get32(&r, 0x60));
	/* The PRI queue's. */
	r.hw->ops->page_request(r.hw, &pr);
	assert_int_equal(get32(&r, 0x100c8), 1);
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 1u << 6 | 1u << 7);
	reg32(&r, 0x64, get32(&r, 0x60));
	/* An error does not affect later messages. */
	r.hw->msi = rig_msi;
	reg32(&r, 0x100ac, 2);
	r.econs = 2;
	faults(go_sid(&r, 999, 0), 0x02);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(get32(&r, 0x60) ^ get32(&r, 0x64), 0);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes),	  cmocka_unit_test(stage1),	       cmocka_unit_test(stage2_alone),
		cmocka_unit_test(nested),	  cmocka_unit_test(substream),	       cmocka_unit_test(abort_or_razwi),
		cmocka_unit_test(overflow),	  cmocka_unit_test(disabled),	       cmocka_unit_test(write_abort),
		cmocka_unit_test(sizes),	  cmocka_unit_test(merging),	       cmocka_unit_test(observing),
		cmocka_unit_test(stalls),	  cmocka_unit_test(stalls_of_both_stages), cmocka_unit_test(cannot_stall),
		cmocka_unit_test(stalls_wait_for_room), cmocka_unit_test(atomics),     cmocka_unit_test(message_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
