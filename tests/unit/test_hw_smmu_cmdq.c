/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMUv3 command queue: indices, errors, CMD_SYNC and its signals, and what each invalidation reaches and what it leaves.
 *
 * Whether a translation is cached is seen by taking its descriptor away: then it is still there, or a fault.
 */
#include "hw_smmu_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define SID64 ((uint64_t)RIG_SID << 32)

/* ---- indices ---- */

static void wraps(void **state)
{
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	for (i = 0; i < 600; i++)
		assert_true(cmd(&r, 0x46, 0));
	assert_int_equal(get32(&r, 0x9c), 600 & 511);
	/* A full queue at once. */
	for (i = 0; i < 256; i++)
		cmd_put(&r, 0x46, 0);
	assert_int_equal(cmd_go(&r), r.prod);
	/* Without CMDQEN nothing is fetched; with it, at once. */
	reg32(&r, 0x20, 7);
	cmd_put(&r, 0x46, 0);
	assert_int_not_equal(cmd_go(&r), r.prod);
	reg32(&r, 0x20, 0xf);
	assert_int_equal(get32(&r, 0x9c), r.prod);
	/* PROD beyond the size: what there is in it is run, and no more. */
	reg32(&r, 0x98, 0xffffffff);
	assert_int_equal(get32(&r, 0x98), 0xfffff);
	assert_int_equal(get32(&r, 0x9c) & 511, 511);
	rig_free(&r);
}

/* LOG2SIZE 0, 1, the largest, and beyond. */
static void sizes(void **state)
{
	struct smmu_caps c;
	unsigned int i;
	uint64_t q;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	c.cmdq_lg2 = 2;
	rig_new_caps(&r, &c);
	q = rig_page(&r);
	/* One entry: the index is the wrap bit. The base is aligned to 32 bytes all the same. */
	reg64(&r, 0x90, q | 0);
	reg32(&r, 0x20, 8);
	w64(&r, q, 0x46);
	for (i = 0; i < 5; i++) {
		reg32(&r, 0x98, ~get32(&r, 0x98) & 1);
		assert_int_equal(get32(&r, 0x9c), get32(&r, 0x98));
	}
	/* 31: as 2 here, and the base is aligned to 64 bytes. */
	reg32(&r, 0x20, 0);
	reg64(&r, 0x90, q | 31 | 0x20);
	assert_int_equal(get64(&r, 0x90), q | 31 | 0x20);
	reg32(&r, 0x9c, 0);
	reg32(&r, 0x98, 0);
	reg32(&r, 0x20, 8);
	for (i = 0; i < 4; i++)
		w64(&r, q + 16 * i, 0x46);
	reg32(&r, 0x98, 4);
	assert_int_equal(get32(&r, 0x9c), 4);
	reg32(&r, 0x98, 0);
	assert_int_equal(get32(&r, 0x9c), 0);
	assert_int_equal(get32(&r, 0x60), 0);
	rig_free(&r);
}

/* ---- errors ---- */

static void stops_and_restarts(void **state)
{
	uint64_t page;
	uint32_t at;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	rig_map(&r, r.s1root, RIG_VA, 0, 0);
	sync_cmds(&r);
	/* The command before the bad one has been done, the one behind it has not. */
	cmd_put(&r, 0x46, 0);
	at = r.prod;
	cmd_put(&r, 0x00, 0);
	cmd_put(&r, 0x30, 0);
	assert_int_equal(cmd_go(&r), 1u << 24 | at);
	assert_int_equal(get32(&r, 0x60), 1);
	assert_int_equal(r.nmsi, 1);
	ok_at(go(&r, RIG_VA, HW_READ), page);
	/* More commands change nothing. */
	cmd_put(&r, 0x46, 0);
	assert_int_equal(cmd_go(&r), 1u << 24 | at);
	assert_int_equal(r.nmsi, 1);
	/* The bad one mended, and acknowledged. */
	w64(&r, r.cmdq + at * 16, 0x46);
	reg32(&r, 0x64, 1);
	assert_int_equal(get32(&r, 0x9c) & 0xfffff, r.prod);
	faults(go(&r, RIG_VA, HW_READ), 0x10);
	/* The next error toggles the bit back. */
	assert_false(cmd(&r, 0xff, 0));
	assert_int_equal(get32(&r, 0x60), 0);
	assert_int_equal(r.nmsi, 3); /* and the event's */
	rig_free(&r);
}

/* Every opcode: known, or CERROR_ILL. */
static void opcodes(void **state)
{
	static const uint8_t known[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21,
					0x22, 0x23, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x45, 0x46};
	unsigned int op, i;
	struct rig r;

	(void)state;
	rig_new(&r);
	for (op = 0; op < 256; op++) {
		bool is = false;

		for (i = 0; i < sizeof(known); i++)
			is |= known[i] == op;
		if (is)
			assert_true(cmd(&r, op, 0));
		else
			cmd_ill(&r, op, 0);
	}
	rig_free(&r);
}

static void missing_features(void **state)
{
	static const struct {
		uint8_t op;
		size_t off[4]; /* flags of struct smmu_caps that go */
	} t[] = {
#define O(f) offsetof(struct smmu_caps, f)
		{0x10, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x11, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x12, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x13, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x05, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x06, {O(s1), O(hyp), O(cd_2level), O(ssid_bits)}},
		{0x20, {O(hyp), O(hyp), O(hyp), O(hyp)}},
		{0x21, {O(hyp), O(hyp), O(hyp), O(hyp)}},
		{0x22, {O(hyp), O(hyp), O(hyp), O(hyp)}},
		{0x23, {O(hyp), O(hyp), O(hyp), O(hyp)}},
		{0x41, {O(pri), O(pri), O(pri), O(pri)}},
		{0x40, {O(pri), O(ats), O(ats_rec_err), O(ats)}},
	};
	struct smmu_caps c;
	unsigned int i, j;
	struct rig r;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		smmu_caps_all(&c);
		for (j = 0; j < 4; j++)
			*((uint8_t *)&c + t[i].off[j]) = 0;
		rig_new_caps(&r, &c);
		rig_start(&r);
		cmd_ill(&r, t[i].op, 0);
		sync_cmds(&r);
		rig_free(&r);
	}
	/* Stage 2, and the stall model. */
	smmu_caps_all(&c);
	c.s2 = c.hyp = c.fwb = c.xnx = c.vmid16 = c.vmw = false;
	c.stall_model = 1;
	rig_new_caps(&r, &c);
	rig_start(&r);
	cmd_ill(&r, 0x28, 0);
	cmd_ill(&r, 0x2a, 0);
	cmd_ill(&r, 0x44, 0);
	cmd_ill(&r, 0x45, 0);
	assert_true(cmd(&r, 0x30, 0));
	rig_free(&r);
}

static void bad_parameters(void **state)
{
	static const uint8_t with_ssec[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x40, 0x41, 0x44, 0x45};
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	for (i = 0; i < sizeof(with_ssec); i++)
		cmd_ill(&r, with_ssec[i] | 0x400u, 0);
	cmd_ill(&r, 0x46 | 3u << 12, 0);	  /* CS 3 */
	cmd_ill(&r, 0x41, 3u << 12);		  /* Resp 3 */
	cmd_ill(&r, 0x40, 53);			  /* Size beyond all */
	cmd_ill(&r, 0x12, 0x400);		  /* TG without a range and without a level */
	cmd_ill(&r, 0x13, 0x800);
	cmd_ill(&r, 0x2a, 0xc00);
	cmd_ill(&r, 0x22, 0x400);
	assert_true(cmd(&r, 0x12, 0x500));	  /* with a level */
	assert_true(cmd(&r, 0x12 | 1u << 12, 0x400)); /* with a range */
	/* StreamIDs and SubstreamIDs out of range do nothing. */
	assert_true(cmd(&r, 0x03 | UINT64_C(0x10000) << 32, 0));
	assert_true(cmd(&r, 0x05 | UINT64_C(0xffffffff) << 32, 0));
	assert_true(cmd(&r, 0x40 | UINT64_C(0x10110) << 32, 52));
	assert_true(cmd(&r, 0x44 | UINT64_C(0x10110) << 32, 0));
	rig_free(&r);
}

/* TG 16 KiB with level 1 is as without level, unless there is DS. */
static void ril_16k_level1(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	smmu_caps_all(&c);
	rig_new_caps(&r, &c);
	rig_start(&r);
	assert_true(cmd(&r, 0x12, 0x900));
	rig_free(&r);
	c.ds = false;
	rig_new_caps(&r, &c);
	rig_start(&r);
	cmd_ill(&r, 0x12, 0x900);
	rig_free(&r);
	/* Without RIL none of the fields is looked at. */
	c.ril = false;
	rig_new_caps(&r, &c);
	rig_start(&r);
	assert_true(cmd(&r, 0x12, 0x900));
	rig_free(&r);
}

static void fetch_abort(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x20, 7);
	reg64(&r, 0x90, RIG_NONE | RIG_CMDQ_LG2);
	reg32(&r, 0x20, 0xf);
	reg32(&r, 0x98, 1);
	assert_int_equal(get32(&r, 0x9c), 2u << 24);
	assert_int_equal(get32(&r, 0x60), 1);
	/* PROD may go back to CONS while the error is active. */
	reg32(&r, 0x98, 0);
	reg32(&r, 0x64, 1);
	assert_int_equal(get32(&r, 0x60), 1);
	reg32(&r, 0x20, 7);
	reg64(&r, 0x90, r.cmdq | RIG_CMDQ_LG2);
	reg32(&r, 0x20, 0xf);
	sync_cmds(&r);
	rig_free(&r);
}

/* Commands are fetched several at a time, and run as if they were not. */
static void batches(void **state)
{
	const uint64_t tlbi = UINT64_C(0x12) | RIG_VMID << 32 | RIG_ASID << 48;
	uint64_t page;
	unsigned int i;
	uint32_t at = 0;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	for (i = 0; i < 40; i++) {
		rig_map(&r, r.s1root, RIG_VA + i * 4096, page | S1_RW, 0);
		ok_at(go(&r, RIG_VA + i * 4096, HW_READ), page);
	}
	for (i = 0; i < 40; i++) {
		rig_map(&r, r.s1root, RIG_VA + i * 4096, 0, 0);
		if (i == 20) {
			at = r.prod;
			cmd_put(&r, 0xff, 0);
		}
		cmd_put(&r, tlbi, (RIG_VA + i * 4096) | 1);
	}
	/* All before the bad one, none behind it. */
	assert_int_equal(cmd_go(&r), 1u << 24 | at);
	for (i = 0; i < 40; i++) {
		if (i < 20)
			faults(go(&r, RIG_VA + i * 4096, HW_READ), 0x10);
		else
			ok_at(go(&r, RIG_VA + i * 4096, HW_READ), page);
	}
	/* What stands behind it is fetched again: software may have put something else there. */
	w64(&r, r.cmdq + at * 16, 0x46);
	w64(&r, r.cmdq + (at + 1) * 16 + 8, RIG_VA | 1);
	reg32(&r, 0x64, get32(&r, 0x60));
	assert_int_equal(get32(&r, 0x9c) & 0xfffff, r.prod);
	ok_at(go(&r, RIG_VA + 20 * 4096, HW_READ), page);
	for (i = 21; i < 40; i++)
		faults(go(&r, RIG_VA + i * 4096, HW_READ), 0x10);
	/* More messages than are kept at once: each is sent, in order. */
	r.nmsi = 0;
	for (i = 0; i < 50; i++)
		cmd_put(&r, 0x46 | 1u << 12 | (uint64_t)i << 32, 0x8090040);
	assert_int_equal(cmd_go(&r) & 0xfffff, r.prod);
	assert_int_equal(r.nmsi, 50);
	for (i = 0; i < 50; i++)
		assert_int_equal(r.msi[i].data, i);
	rig_free(&r);
}

/* ---- CMD_SYNC ---- */

static void sync_signals(void **state)
{
	uint64_t at, i;
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_new(&r);
	at = rig_page(&r);
	w64(&r, at, UINT64_MAX);
	/* To memory: 32 bits. */
	assert_true(cmd(&r, 0x46 | 1u << 12 | UINT64_C(0x12345678) << 32, at));
	assert_int_equal(r64(&r, at), UINT64_C(0xffffffff12345678));
	assert_int_equal(r.nmsi, 0);
	/* Its own place in the queue, as drivers do. */
	i = r.cmdq + (r.prod & 255) * 16;
	assert_true(cmd(&r, 0x46 | 1u << 12, i));
	assert_int_equal(r64(&r, i), 0);
	/* To a doorbell. */
	assert_true(cmd(&r, 0x46 | 1u << 12 | UINT64_C(0x77) << 32, 0x8090040));
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0x8090040);
	assert_int_equal(r.msi[0].data, 0x77);
	/* Address 0: the wire. None and SEV: nothing. */
	assert_true(cmd(&r, 0x46 | 1u << 12 | UINT64_C(0x77) << 32, 0));
	assert_int_equal(r.nmsi, 2);
	assert_int_equal(r.msi[1].addr, 0);
	assert_int_equal(r.msi[1].data, 1);
	assert_true(cmd(&r, 0x46 | UINT64_C(0x77) << 32, 0x8090040));
	assert_true(cmd(&r, 0x46 | 2u << 12 | UINT64_C(0x77) << 32, 0x8090040));
	assert_int_equal(r.nmsi, 2);
	/* Many in one go: all are sent. */
	for (i = 0; i < 60; i++)
		cmd_put(&r, 0x46 | 1u << 12 | i << 32, 0x8090040);
	assert_int_equal(cmd_go(&r), r.prod);
	assert_int_equal(r.nmsi, 62);
	for (i = 0; i < 60; i++)
		assert_int_equal(r.msi[2 + i].data, i);
	/* Nobody takes it: an error of its own, and its interrupt the same. */
	r.hw->msi = NULL;
	assert_true(cmd(&r, 0x46 | 1u << 12, 0x8090040));
	assert_int_equal(get32(&r, 0x60), 0x90);
	assert_true(cmd(&r, 0x46 | 1u << 12, 0x8090040)); /* active already: it does not toggle back */
	assert_int_equal(get32(&r, 0x60), 0x90);
	rig_free(&r);

	smmu_caps_all(&c);
	c.msi = false;
	rig_new_caps(&r, &c);
	rig_start(&r);
	assert_true(cmd(&r, 0x46 | 1u << 12 | UINT64_C(0x77) << 32, r.cmdq));
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].addr, 0);
	rig_free(&r);
}

struct reader {
	_Atomic int stage;
	struct rig *r;
};

static void *reads(void *arg)
{
	struct reader *rd = arg;

	nb_rcu_read_lock();
	atomic_store(&rd->stage, 1);
	usleep(30000);
	atomic_store(&rd->stage, 2);
	nb_rcu_read_unlock();
	return NULL;
}

/* Whoever stands on an older translation has left when CMD_SYNC is consumed; without an invalidation nobody is waited for. */
static void sync_waits(void **state)
{
	static const struct {
		uint64_t q0, q1;
		bool waits;
	} t[] = {{0x30, 0, true},      {0x10, 0, true},		 {0x11, 0, true},      {0x12, 0, true},	     {0x13, 0, true},
		 {0x20, 0, true},      {0x21, 0, true},		 {0x22, 0, true},      {0x23, 0, true},	     {0x28, 0, true},
		 {0x2a, 0, true},      {0x03 | SID64, 1, true},	 {0x04, 31, true},     {0x05 | SID64, 1, true}, {0x06 | SID64, 0, true},
		 {0x40 | SID64, 52, true}, {0x01, 0, false},	 {0x41 | SID64, 0, false}};
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct reader rd;
		pthread_t th;

		rig_new(&r);
		atomic_store(&rd.stage, 0);
		rd.r = &r;
		assert_int_equal(pthread_create(&th, NULL, reads, &rd), 0);
		while (atomic_load(&rd.stage) == 0)
			;
		cmd_put(&r, t[i].q0, t[i].q1);
		cmd_put(&r, 0x46, 0);
		assert_int_equal(cmd_go(&r), r.prod);
		assert_int_equal(atomic_load(&rd.stage), t[i].waits ? 2 : 1);
		pthread_join(th, NULL);
		rig_free(&r);
	}
}

/* ---- what an invalidation reaches ---- */

struct inv {
	const char *what;
	uint64_t q0, q1;
	bool gone;
};

#define VMID64 (RIG_VMID << 32)
#define ASID64 (RIG_ASID << 48)
#define OTHER_VMID ((RIG_VMID ^ 1) << 32)
#define OTHER_ASID ((RIG_ASID ^ 1) << 48)
#define TTL(n) ((uint64_t)(n) << 8)
#define TG(n) ((uint64_t)(n) << 10)
#define SCALE(n) ((uint64_t)(n) << 20)
#define NUM(n) ((uint64_t)(n) << 12)

/* One mapping at RIG_VA, made anew for each row. */
static unsigned int rows(const struct inv *t, size_t n, bool nested, bool global, uint64_t strw, const struct smmu_caps *c)
{
	unsigned int bad = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		struct hw_result res;
		uint64_t page;
		struct rig r;

		rig_new_caps(&r, c);
		rig_start(&r);
		page = nested ? rig_nested(&r) : rig_s1(&r);
		if (global)
			rig_map(&r, r.s1root, RIG_VA, page | (S1_RW & ~BIT(11)), 0);
		w64(&r, r.strtab + RIG_SID * 64 + 8, strw << 30);
		ok_at(go(&r, RIG_VA, HW_READ), page);
		if (nested)
			rig_map(&r, r.s1root, RIG_VA, 0, RIG_IPA);
		else
			rig_map(&r, r.s1root, RIG_VA, 0, 0);
		assert_true(cmd(&r, t[i].q0, t[i].q1));
		sync_cmds(&r);
		res = go(&r, RIG_VA, HW_READ);
		if (t[i].gone != (res.kind == HW_FAULT)) {
			print_error("%s: %s\n", t[i].what, res.kind == HW_FAULT ? "gone" : "still there");
			bad++;
		}
		rig_free(&r);
	}
	return bad;
}

static const struct inv el1_rows[] = {
	{"NSNH_ALL", 0x30, 0, true},
	{"EL2_ALL", 0x20, 0, false},
	{"NH_ALL", 0x10 | VMID64, 0, true},
	{"NH_ALL of another VMID", 0x10 | OTHER_VMID, 0, false},
	{"S12_VMALL", 0x28 | VMID64, 0, true},
	{"S12_VMALL of another VMID", 0x28 | OTHER_VMID, 0, false},
	{"NH_ASID", 0x11 | VMID64 | ASID64, 0, true},
	{"NH_ASID of another ASID", 0x11 | VMID64 | OTHER_ASID, 0, false},
	{"NH_ASID of another VMID", 0x11 | OTHER_VMID | ASID64, 0, false},
	{"EL2_ASID", 0x21 | ASID64, 0, false},
	{"NH_VA", 0x12 | VMID64 | ASID64, RIG_VA, true},
	{"NH_VA leaf", 0x12 | VMID64 | ASID64, RIG_VA | 1, true},
	{"NH_VA of the next page", 0x12 | VMID64 | ASID64, RIG_VA + 4096, false},
	{"NH_VA of another ASID", 0x12 | VMID64 | OTHER_ASID, RIG_VA, false},
	{"NH_VA of another VMID", 0x12 | OTHER_VMID | ASID64, RIG_VA, false},
	{"EL2_VA", 0x22 | ASID64, RIG_VA, false},
	{"NH_VAA", 0x13 | VMID64, RIG_VA, true},
	{"NH_VAA: the ASID does not count", 0x13 | VMID64 | OTHER_ASID, RIG_VA, true},
	{"NH_VAA of the page before", 0x13 | VMID64, RIG_VA - 4096, false},
	{"EL2_VAA", 0x23, RIG_VA, false},
	{"S2_IPA", 0x2a | VMID64, RIG_VA, false},
	{"CFGI_ALL", 0x04, 31, false},
	/* ranges: from 16 pages below, 16 and 17 of them */
	{"16 pages", 0x12 | VMID64 | ASID64 | NUM(15), (RIG_VA - 0x10000) | TG(1), false},
	{"17 pages", 0x12 | VMID64 | ASID64 | NUM(16), (RIG_VA - 0x10000) | TG(1), true},
	{"9 pairs", 0x12 | VMID64 | ASID64 | NUM(8) | SCALE(1), (RIG_VA - 0x10000) | TG(1), true},
	{"8 pairs", 0x12 | VMID64 | ASID64 | NUM(7) | SCALE(1), (RIG_VA - 0x10000) | TG(1), false},
	{"ranges of any ASID", 0x13 | VMID64 | NUM(16), (RIG_VA - 0x10000) | TG(1), true},
	{"a range of 64 KiB granules", 0x12 | VMID64 | ASID64 | NUM(16), (RIG_VA - 0x10000) | TG(3), false},
	{"everything from 0", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(39), TG(1), true},
	{"everything from 0, SCALE 63", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(63), TG(1), true},
	{"everything from above", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(39), (RIG_VA + 4096) | TG(1), false},
	/* level hints */
	{"level 3", 0x12 | VMID64 | ASID64, RIG_VA | TG(1) | TTL(3), true},
	{"level 2", 0x12 | VMID64 | ASID64, (RIG_VA & ~BITS(20, 0)) | TG(1) | TTL(2), false},
	{"level 2, range", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(39), TG(1) | TTL(2), false},
	{"level 3, range", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(39), TG(1) | TTL(3), true},
	{"level 3 of 64 KiB", 0x12 | VMID64 | ASID64 | NUM(31) | SCALE(39), TG(3) | TTL(3), false},
};

static void el1(void **state)
{
	struct smmu_caps c;

	(void)state;
	smmu_caps_all(&c);
	assert_int_equal(rows(el1_rows, ARRAY_SIZE(el1_rows), false, false, 0, &c), 0);
}

/* Without RIL a command names one page, whatever stands in the fields. Without DS SCALE has five bits. */
static void el1_without_ril(void **state)
{
	static const struct inv t[] = {
		{"one page", 0x12 | VMID64 | ASID64 | NUM(16), (RIG_VA - 0x10000) | TG(1), false},
		{"one page, of any granule", 0x12 | VMID64 | ASID64 | NUM(16), RIG_VA | TG(3) | TTL(1), true},
	};
	static const struct inv ds[] = {
		{"SCALE 32 is 0", 0x12 | VMID64 | ASID64 | SCALE(32) | NUM(15), (RIG_VA - 0x10000) | TG(1), false},
	};
	struct smmu_caps c;

	(void)state;
	smmu_caps_all(&c);
	c.ril = false;
	assert_int_equal(rows(t, ARRAY_SIZE(t), false, false, 0, &c), 0);
	smmu_caps_all(&c);
	c.ds = false;
	assert_int_equal(rows(ds, ARRAY_SIZE(ds), false, false, 0, &c), 0);
}

static const struct inv global_rows[] = {
	{"NH_ASID leaves global entries", 0x11 | VMID64 | ASID64, 0, false},
	{"NH_VA takes them, whatever the ASID", 0x12 | VMID64 | OTHER_ASID, RIG_VA, true},
	{"NH_VA elsewhere", 0x12 | VMID64 | ASID64, RIG_VA + 4096, false},
	{"NH_VA of another VMID", 0x12 | OTHER_VMID | ASID64, RIG_VA, false},
	{"NH_VAA", 0x13 | VMID64, RIG_VA, true},
	{"NH_ALL", 0x10 | VMID64, 0, true},
	{"NSNH_ALL", 0x30, 0, true},
};

static void globals(void **state)
{
	struct smmu_caps c;

	(void)state;
	smmu_caps_all(&c);
	assert_int_equal(rows(global_rows, ARRAY_SIZE(global_rows), false, true, 0, &c), 0);
}

static const struct inv el2_rows[] = {
	{"EL2_ALL", 0x20, 0, true},
	{"EL2_VA: the ASID does not count", 0x22 | OTHER_ASID, RIG_VA, true},
	{"EL2_VA elsewhere", 0x22, RIG_VA + 4096, false},
	{"EL2_VAA", 0x23, RIG_VA, true},
	{"EL2_ASID", 0x21, 0, false},
	{"NSNH_ALL", 0x30, 0, false},
	{"NH_ALL", 0x10 | VMID64, 0, false},
	{"NH_ALL of VMID 0", 0x10, 0, false},
	{"NH_VAA of VMID 0", 0x13, RIG_VA, false},
	{"S12_VMALL of VMID 0", 0x28, 0, false},
};

static void el2(void **state)
{
	struct smmu_caps c;

	(void)state;
	smmu_caps_all(&c);
	assert_int_equal(rows(el2_rows, ARRAY_SIZE(el2_rows), false, false, 2, &c), 0);
}

static const struct inv nested_rows[] = {
	{"NH_VA", 0x12 | VMID64 | ASID64, RIG_VA, true},
	{"NH_ASID", 0x11 | VMID64 | ASID64, 0, true},
	{"NH_ALL", 0x10 | VMID64, 0, true},
	{"S12_VMALL", 0x28 | VMID64, 0, true},
	{"NSNH_ALL", 0x30, 0, true},
	{"NH_VA of another VMID", 0x12 | OTHER_VMID | ASID64, RIG_VA, false},
};

static void nested(void **state)
{
	struct smmu_caps c;

	(void)state;
	smmu_caps_all(&c);
	assert_int_equal(rows(nested_rows, ARRAY_SIZE(nested_rows), true, false, 0, &c), 0);
}

/* Stage 2: alone, and under stage 1, where what is cached is the whole way and S2_IPA is not enough. */
static void stage2(void **state)
{
	static const struct {
		struct inv inv;
		bool nested_gone;
	} t[] = {
		{{"S2_IPA", 0x2a | VMID64, 0, true}, false},
		{{"S2_IPA leaf", 0x2a | VMID64, 1, true}, false},
		{{"S2_IPA elsewhere", 0x2a | VMID64, 4096, false}, false},
		{{"S2_IPA of another VMID", 0x2a | OTHER_VMID, 0, false}, false},
		{{"S2_IPA, range", 0x2a | VMID64 | NUM(1), TG(1), true}, false},
		{{"S12_VMALL", 0x28 | VMID64, 0, true}, true},
		{{"NSNH_ALL", 0x30, 0, true}, true},
		{{"NH_ALL is stage 1's", 0x10 | VMID64, 0, false}, false},
		{{"NH_VAA is stage 1's", 0x13 | VMID64, 0, false}, false},
	};
	unsigned int i, bad = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		bool addressed = (t[i].inv.q0 & 0xff) == 0x2a || (t[i].inv.q0 & 0xff) == 0x13;
		unsigned int both;

		for (both = 0; both < 2; both++) {
			struct hw_result res;
			uint64_t page, ipa;
			struct rig r;

			rig_new(&r);
			page = rig_nested(&r);
			ipa = page + RIG_IPA;
			if (!both)
				ste(&r, RIG_SID, STE_S2, 0, STE2_S2 | RIG_VMID, r.s2root);
			ok_at(go(&r, both ? RIG_VA : ipa, HW_READ), page);
			rig_map(&r, r.s2root, ipa, 0, 0);
			assert_true(cmd(&r, t[i].inv.q0, t[i].inv.q1 + (addressed ? ipa : 0)));
			sync_cmds(&r);
			res = go(&r, both ? RIG_VA : ipa, HW_READ);
			if ((both ? t[i].nested_gone : t[i].inv.gone) != (res.kind == HW_FAULT)) {
				print_error("%s, %s: %s\n", t[i].inv.what, both ? "nested" : "stage 2 alone",
					    res.kind == HW_FAULT ? "gone" : "still there");
				bad++;
			}
			rig_free(&r);
		}
	}
	assert_int_equal(bad, 0);
}

/* CR0.VMW: a command names VMIDs that differ in low bits. */
static void vmid_wildcards(void **state)
{
	unsigned int vmw, bit;

	(void)state;
	for (vmw = 0; vmw < 8; vmw++) {
		for (bit = 0; bit < 6; bit++) {
			struct hw_result res;
			uint64_t page;
			struct rig r;

			rig_new(&r);
			page = rig_s1(&r);
			ok_at(go(&r, RIG_VA, HW_READ), page);
			rig_map(&r, r.s1root, RIG_VA, 0, 0);
			reg32(&r, 0x20, 0xf | vmw << 6);
			assert_true(cmd(&r, (bit & 1 ? 0x10u : 0x28u) | (RIG_VMID ^ BIT(bit)) << 32, 0));
			res = go(&r, RIG_VA, HW_READ);
			assert_int_equal(res.kind == HW_FAULT, vmw <= 4 && bit < vmw);
			rig_free(&r);
		}
	}
}

/* ---- ATC invalidations and page responses ---- */

static void atc_invalidations(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	assert_true(cmd(&r, 0x40 | SID64, 52)); /* nobody there */
	r.has_client = true;
	assert_true(cmd(&r, 0x40 | SID64, 52));
	assert_int_equal(r.ninval, 1);
	assert_int_equal(r.got.pasid, NB_NO_PASID);
	assert_true(r.got.all);
	assert_int_equal(r.got.lg2, 64);
	assert_int_equal(r.got.addr, 0);
	/* SSV: its own; with Global every PASID's. The address is aligned to the span. */
	assert_true(cmd(&r, 0x40 | 0x800 | 0x54321u << 12 | SID64, UINT64_C(0xffff123456789000) | 3));
	assert_int_equal(r.got.pasid, 0x54321);
	assert_false(r.got.all);
	assert_int_equal(r.got.lg2, 15);
	assert_int_equal(r.got.addr, UINT64_C(0xffff123456788000));
	assert_true(cmd(&r, 0x40 | 0x800 | 0x200 | 0x54321u << 12 | SID64, 0));
	assert_true(r.got.all);
	assert_int_equal(r.got.lg2, 12);
	assert_int_equal(r.ninval, 3);
	/* No answer: CMD_SYNC fails, once. */
	r.answers = false;
	assert_true(cmd(&r, 0x40 | SID64, 52));
	assert_int_equal(get32(&r, 0x60), 0);
	r.answers = true;
	assert_true(cmd(&r, 0x40 | SID64, 52));
	assert_false(cmd(&r, 0x46, 0));
	assert_int_equal(get32(&r, 0x9c) >> 24, 3);
	assert_int_equal(get32(&r, 0x60), 1);
	reg32(&r, 0x64, 1);
	assert_int_equal(get32(&r, 0x9c) & 0xfffff, r.prod);
	/* Injected. */
	assert_int_equal(smmu_inject_atc_timeout(r.hw, RIG_SID), 0);
	assert_true(cmd(&r, 0x40 | SID64, 52));
	assert_false(cmd(&r, 0x46, 0));
	reg32(&r, 0x64, 0);
	assert_int_equal(get32(&r, 0x9c) & 0xfffff, r.prod);
	/* SMMUEN clear: ignored, like page responses. */
	reg32(&r, 0x20, 0xe);
	r.ninval = 0;
	assert_true(cmd(&r, 0x40 | SID64, 52));
	assert_true(cmd(&r, 0x41 | SID64, 0));
	assert_int_equal(r.ninval + r.nresponse, 0);
	rig_free(&r);
}

static void page_responses(void **state)
{
	static const uint8_t codes[3] = {HW_PAGE_FAILURE, HW_PAGE_INVALID, HW_PAGE_SUCCESS};
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	r.has_client = true;
	for (i = 0; i < 3; i++) {
		assert_true(cmd(&r, 0x41 | 0x800 | 0x321u << 12 | SID64, 0x1a5 | i << 12));
		assert_int_equal(r.nresponse, i + 1);
		assert_int_equal(r.got.pasid, 0x321);
		assert_int_equal(r.got.prgi, 0x1a5);
		assert_int_equal(r.got.code, codes[i]);
	}
	assert_true(cmd(&r, 0x41 | 0x321u << 12 | SID64, 2u << 12));
	assert_int_equal(r.got.pasid, NB_NO_PASID);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps),	    cmocka_unit_test(sizes),	       cmocka_unit_test(stops_and_restarts),
		cmocka_unit_test(opcodes),	    cmocka_unit_test(missing_features), cmocka_unit_test(bad_parameters),
		cmocka_unit_test(ril_16k_level1),   cmocka_unit_test(fetch_abort),
		cmocka_unit_test(batches),     cmocka_unit_test(sync_signals),
		cmocka_unit_test(sync_waits),	    cmocka_unit_test(el1),	       cmocka_unit_test(el1_without_ril),
		cmocka_unit_test(globals),	    cmocka_unit_test(el2),	       cmocka_unit_test(nested),
		cmocka_unit_test(stage2),	    cmocka_unit_test(vmid_wildcards),  cmocka_unit_test(atc_invalidations),
		cmocka_unit_test(page_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
