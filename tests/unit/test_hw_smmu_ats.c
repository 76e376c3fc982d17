/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ATS and page requests of the SMMUv3: translation requests and what is granted (3.9.1.2, 13.7), translated transactions (3.9.1.3), full
 * and split-stage ATS, the PRI queue and the responses that the SMMU makes itself (chapter 8).
 */
#include "hw_smmu_rig.h"

#define SID64 ((uint64_t)RIG_SID << 32)
#define RW (HW_READ | HW_WRITE)

static struct hw_ats_completion ask_ssid(struct rig *r, uint32_t ssid, uint64_t addr, unsigned int access, unsigned int flags)
{
	struct hw_request req = {.addr = addr, .pasid = ssid, .rid = RIG_SID, .access = (uint8_t)access, .flags = (uint8_t)flags};
	struct hw_ats_completion c;
	struct hw_result res;

	memset(&c, 0xa5, sizeof(c));
	nb_rcu_read_lock();
	r->hw->ops->ats_request(r->hw, &req, &c);
	nb_rcu_read_unlock();
	if (c.fault.record_len) {
		res.kind = HW_FAULT;
		res.fault = c.fault;
		r->hw->ops->report(r->hw, &req, &res);
	}
	return c;
}
static struct hw_ats_completion ask(struct rig *r, uint64_t addr, unsigned int access)
{
	return ask_ssid(r, NB_NO_PASID, addr, access, 0);
}
static void granted(struct hw_ats_completion c, uint64_t pa, unsigned int perm)
{
	assert_int_equal(c.status, HW_ATS_OK);
	assert_int_equal(c.perm, perm);
	assert_false(c.global);
	assert_false(c.untranslated_only);
	if (perm) {
		assert_int_equal(c.pa.v, pa);
		assert_int_equal(c.lg2, 12);
	}
}
static struct hw_result translated(struct rig *r, uint64_t addr, unsigned int access)
{
	return go_ssid(r, NB_NO_PASID, addr, access, HW_TRANSLATED);
}
static void ats_on(struct rig *r, unsigned int eats)
{
	uint64_t at = r->strtab + RIG_SID * 64 + 8;

	w64(r, at, (r64(r, at) & ~BITS(29, 28)) | (uint64_t)eats << 28);
	cfgi_ste(r, RIG_SID);
}
static void forget(struct rig *r)
{
	assert_true(cmd(r, 0x30, 0));
	cfgi_ste(r, RIG_SID);
}

/* ---- translation requests ---- */

static void permissions(void **state)
{
	static const struct {
		uint64_t attr; /* of the leaf */
		uint8_t access, flags, perm;
		bool pasid;
	} t[] = {
		/* User-RW, executable; user-RO; the table of 13.7 */
		{S1_RW, HW_READ, 0, HW_READ, false},
		{S1_RW, RW, 0, RW, false},
		{S1_RO, RW, 0, HW_READ, false},
		{S1_RO, HW_READ, 0, HW_READ, false},
		{S1_RO, RW | HW_EXEC, 0, HW_READ, false}, /* no PASID, no Exe */
		{S1_RO, HW_READ | HW_EXEC, 0, HW_READ | HW_EXEC, true},
		{S1_RW | BIT(54), HW_READ | HW_EXEC, 0, HW_READ, true},
		{S1_RW, RW | HW_EXEC, 0, RW | HW_EXEC, true},
		{S1_RW & ~BIT(6), RW, 0, 0, true}, /* privileged only */
		{S1_RW & ~BIT(6), RW, HW_PRIV, RW, true},
		{S1_RW & ~BIT(6), RW, HW_PRIV, 0, false}, /* no PASID, no Priv */
		{S1_RW & ~BIT(10), RW, 0, 0, true},	/* AF */
		{0, RW, 0, 0, true},
	};
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t ssid = t[i].pasid ? 1 : NB_NO_PASID;
		struct hw_ats_completion c;
		uint64_t page;

		rig_new(&r);
		page = rig_s1(&r);
		w64(&r, r.cd + 64, CD0);
		w64(&r, r.cd + 64 + 8, r.s1root);
		ste(&r, RIG_SID, STE_S1 | r.cd | UINT64_C(1) << 59, 2 | BIT(28), RIG_VMID, 0);
		rig_map(&r, r.s1root, RIG_VA, t[i].attr ? page | t[i].attr : 0, 0);
		c = ask_ssid(&r, ssid, RIG_VA + 0x123, t[i].access, t[i].flags);
		granted(c, page, t[i].perm);
		assert_int_equal(c.priv, t[i].pasid && (t[i].flags & HW_PRIV));
		/* Translation faults make no event, with R set neither. */
		assert_int_equal(events(&r), 0);
		rig_free(&r);
	}
}

/* The flags are updated for what is granted, and for no more. */
static void flag_updates(void **state)
{
	uint64_t page, at;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_s1(&r);
	ats_on(&r, 1);
	w64(&r, r.cd, CD0 | BIT(43) | BIT(42));
	rig_map(&r, r.s1root, RIG_VA, page | (S1_RO & ~BIT(10)) | BIT(51), 0); /* AF 0, writable-clean */
	forget(&r);
	at = r64(&r, r.s1root) & BITS(47, 12);
	at = r64(&r, at + (RIG_VA >> 21 & 511) * 8) & BITS(47, 12);
	at += (RIG_VA >> 12 & 511) * 8;
	granted(ask(&r, RIG_VA, HW_READ), page, HW_READ);
	assert_int_equal(r64(&r, at), page | S1_RO | BIT(51));
	granted(ask(&r, RIG_VA, RW), page, RW);
	assert_int_equal(r64(&r, at), page | S1_RW | BIT(51));
	rig_free(&r);
}

static void stalling_streams_do_not_stall(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	r.has_client = true;
	w64(&r, r.cd, CD0 | BIT(44));
	ats_on(&r, 1);
	granted(ask(&r, 0x5000, RW), 0, 0);
	assert_int_equal(events(&r), 0);
	rig_free(&r);
}

static void unsupported(void **state)
{
	unsigned int config;
	struct rig r;

	(void)state;
	rig_new(&r);
	/* EATS 0: UR and F_BAD_ATS_TREQ with what was asked for. */
	rig_s1(&r);
	assert_int_equal(ask_ssid(&r, NB_NO_PASID, RIG_VA + 0x123, RW, 0).status, HW_ATS_UR);
	event_is(&r, 0x05 | SID64, BIT(44) | BIT(39) | BIT(38), RIG_VA, 0);
	assert_int_equal(ask_ssid(&r, 5, RIG_VA, HW_READ | HW_EXEC, HW_PRIV).status, HW_ATS_UR);
	event_is(&r, 0x05 | 0x800 | 5u << 12 | SID64, BIT(44) | BIT(39) | BIT(37) | BIT(36), RIG_VA, 0);
	/* Bypass, whatever EATS says. */
	ste(&r, RIG_SID, STE_BYPASS, BIT(28), 0, 0);
	cfgi_ste(&r, RIG_SID);
	assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_UR);
	event_is(&r, 0x05 | SID64, BIT(44) | BIT(39) | BIT(38), RIG_VA, 0);
	/* Abort: no event. */
	for (config = 0; config < 4; config++) {
		ste(&r, RIG_SID, STE_V | config << 1, BIT(28), 0, 0);
		cfgi_ste(&r, RIG_SID);
		assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_UR);
		assert_int_equal(events(&r), 0);
	}
	reg32(&r, 0x20, 0xe);
	assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_UR);
	event_is(&r, 0x05 | SID64, BIT(44) | BIT(39) | BIT(38), RIG_VA, 0);
	rig_free(&r);
}

/* Errors of configuration: CA, and an event with CR2.REC_CFG_ATS only. */
static void configuration_errors(void **state)
{
	unsigned int rec;
	struct rig r;

	(void)state;
	for (rec = 0; rec < 2; rec++) {
		rig_new(&r);
		reg32(&r, 0x20, 0xe);
		reg32(&r, 0x2c, rec ? 0xa : 0x2);
		reg32(&r, 0x20, 0xf);
		assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_CA);
		if (rec)
			event_is(&r, 0x04 | SID64, 0, 0, 0);
		rig_s1(&r);
		ats_on(&r, 1);
		assert_int_equal(ask_ssid(&r, 5, RIG_VA, RW, 0).status, HW_ATS_CA);
		if (rec)
			event_is(&r, 0x08 | 5u << 12 | SID64, 0, 0, 0);
		w64(&r, r.cd, 0);
		forget(&r);
		assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_CA);
		assert_int_equal(events(&r), rec); /* C_BAD_CD */
		w64(&r, r.cd, CD0);
		w64(&r, r.cd + 8, RIG_NONE);
		forget(&r);
		assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_CA);
		assert_int_equal(events(&r), 2 * rec); /* F_WALK_EABT */
		assert_int_equal(get32(&r, 0x100a8) & 0xff, rec ? 4 : 0);
		rig_free(&r);
	}
}

/* A stage 2 fault where the CD is fetched: nothing is granted. */
static void cd_fault(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_nested(&r);
	ats_on(&r, 1);
	rig_map(&r, r.s2root, r.cd + RIG_IPA, 0, 0);
	granted(ask(&r, RIG_VA, RW), 0, 0);
	assert_int_equal(events(&r), 0);
	rig_free(&r);
}

static void nested_full(void **state)
{
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ats_on(&r, 1);
	granted(ask(&r, RIG_VA, RW), page, RW);
	rig_map(&r, r.s2root, page + RIG_IPA, page | S2_RO, 0);
	forget(&r);
	granted(ask(&r, RIG_VA, RW), page, HW_READ);
	rig_free(&r);
}

/* S1DSS bypass: as stage 2 alone, or identity. */
static void skipping_stage1(void **state)
{
	struct hw_ats_completion c;
	uint64_t page;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ste(&r, RIG_SID, STE_NESTED | (r.cd + RIG_IPA) | UINT64_C(1) << 59, 1 | BIT(28), STE2_S2 | RIG_VMID, r.s2root);
	granted(ask(&r, page + RIG_IPA, RW), page, RW);
	ste(&r, RIG_SID, STE_S1 | r.cd | UINT64_C(1) << 59, 1 | BIT(28), RIG_VMID, 0);
	cfgi_ste(&r, RIG_SID);
	c = ask(&r, 0x123456789, RW);
	assert_int_equal(c.status, HW_ATS_OK);
	assert_int_equal(c.perm, RW);
	assert_true(c.lg2 >= 12);
	assert_int_equal((c.pa.v ^ 0x123456789) & ~nb_low_mask(c.lg2), 0);
	granted(ask(&r, BIT(53), RW), 0, 0);
	rig_free(&r);
}

/* ---- split-stage ---- */

static void split_stage(void **state)
{
	uint64_t page, ipa;
	struct rig r;

	(void)state;
	rig_new(&r);
	page = rig_nested(&r);
	ipa = page + RIG_IPA;
	ats_on(&r, 2);
	/* Without ATSCHK it is as if EATS were 0. */
	assert_int_equal(ask(&r, RIG_VA, RW).status, HW_ATS_UR);
	event_is(&r, 0x05 | SID64, BIT(44) | BIT(39) | BIT(38), RIG_VA, 0);
	reg32(&r, 0x20, 0x1f);
	cfgi_ste(&r, RIG_SID);
	granted(ask(&r, RIG_VA, RW), ipa, RW);
	/* Translated transactions: IPAs, through stage 2. */
	ok_at(translated(&r, ipa + 8, HW_WRITE), page + 8);
	faults(translated(&r, 0x5000, HW_WRITE), 0x10);
	event_is(&r, 0x10 | SID64, BIT(41) | BIT(39), 0x5000, 0x5000);
	assert_false(r.hw->ops->translated_ok(r.hw, RIG_SID, ipa));
	/* Both stages' permissions are in the completion. */
	rig_map(&r, r.s2root, ipa, page | S2_RO, 0);
	forget(&r);
	granted(ask(&r, RIG_VA, RW), ipa, HW_READ);
	faults(translated(&r, ipa, HW_WRITE), 0x13);
	event_is(&r, 0x13 | SID64, BIT(41) | BIT(39), ipa, ipa);
	/* Stage 1 skipped: identity in IPAs. */
	ste(&r, RIG_SID, STE_NESTED | (r.cd + RIG_IPA) | UINT64_C(1) << 59, 1 | BIT(29), STE2_S2 | RIG_VMID, r.s2root);
	cfgi_ste(&r, RIG_SID);
	granted(ask(&r, ipa, RW), ipa, HW_READ);
	rig_free(&r);
}

/* ---- translated transactions ---- */

static void translated_transactions(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	/* ATSCHK clear: all pass, and addresses that are too wide abort silently. */
	ok_at(translated(&r, 0x123456, HW_WRITE), 0x123456);
	assert_true(r.hw->ops->translated_ok(r.hw, RIG_SID, 0x123456));
	faults(translated(&r, BIT(52), HW_WRITE), 0);
	assert_false(r.hw->ops->translated_ok(r.hw, RIG_SID, BIT(52)));
	assert_int_equal(events(&r), 0);
	/* Set: the STE says. */
	reg32(&r, 0x20, 0x1f);
	faults(translated(&r, 0x123456, HW_WRITE), 0x04);
	assert_int_equal(events(&r), 0);
	rig_s1(&r);
	ats_on(&r, 0);
	faults(translated(&r, 0x123456, HW_WRITE), 0x07);
	event_is(&r, 0x07 | SID64, 0, 0x123456, 0);
	faults(translated(&r, 0x123456, HW_READ), 0x07);
	event_is(&r, 0x07 | SID64, BIT(35), 0x123456, 0);
	assert_false(r.hw->ops->translated_ok(r.hw, RIG_SID, 0x123456));
	ats_on(&r, 1);
	ok_at(translated(&r, 0x123456, HW_WRITE), 0x123456);
	assert_true(r.hw->ops->translated_ok(r.hw, RIG_SID, 0x123456));
	ste(&r, RIG_SID, STE_BYPASS, BIT(28), 0, 0);
	cfgi_ste(&r, RIG_SID);
	faults(translated(&r, 0x123456, HW_READ), 0x07);
	event_is(&r, 0x07 | SID64, BIT(35), 0x123456, 0);
	ste(&r, RIG_SID, STE_V, BIT(28), 0, 0);
	cfgi_ste(&r, RIG_SID);
	faults(translated(&r, 0x123456, HW_READ), 0);
	assert_int_equal(events(&r), 0);
	/* SMMUEN clear. */
	reg32(&r, 0x20, 0x1e);
	faults(translated(&r, 0x123456, HW_READ), 0x07);
	event_is(&r, 0x07 | SID64, BIT(35), 0x123456, 0);
	/* REC_CFG_ATS: errors of configuration are recorded. */
	reg32(&r, 0x2c, 8);
	reg32(&r, 0x20, 0x1f);
	ste(&r, RIG_SID, 0, 0, 0, 0);
	cfgi_ste(&r, RIG_SID);
	faults(translated(&r, 0x123456, HW_READ), 0x04);
	event_is(&r, 0x04 | SID64, 0, 0, 0);
	rig_free(&r);
}

/* A PASID counts with PASIDTT only. */
static void translated_with_pasid(void **state)
{
	struct smmu_caps c;
	struct rig r;

	(void)state;
	rig_new(&r);
	rig_s1(&r);
	ats_on(&r, 1);
	reg32(&r, 0x20, 0x1f);
	ok_at(go_ssid(&r, 9, 0x123456, HW_READ, HW_TRANSLATED), 0x123456);
	rig_free(&r);
	smmu_caps_all(&c);
	c.pasidtt = true;
	rig_new_caps(&r, &c);
	rig_start(&r);
	rig_s1(&r);
	ats_on(&r, 1);
	reg32(&r, 0x20, 0x1e);
	reg32(&r, 0x2c, 8);
	reg32(&r, 0x20, 0x1f);
	faults(go_ssid(&r, 9, 0x123456, HW_READ, HW_TRANSLATED), 0x08);
	event_is(&r, 0x08 | 9u << 12 | SID64, 0, 0, 0);
	/* S1DSS 2: SubstreamID 0 is taken. */
	w64(&r, r.strtab + RIG_SID * 64, STE_S1 | r.cd | UINT64_C(2) << 59);
	w64(&r, r.strtab + RIG_SID * 64 + 8, 2 | BIT(28));
	cfgi_ste(&r, RIG_SID);
	faults(go_ssid(&r, 0, 0x123456, HW_READ, HW_TRANSLATED), 0x06);
	event_is(&r, 0x06 | 0x800 | SID64, 0, 0, 0);
	ok_at(go_ssid(&r, 3, 0x123456, HW_READ, HW_TRANSLATED), 0x123456);
	/* What EATS forbids comes first (3.9.1.3). */
	ats_on(&r, 0);
	faults(go_ssid(&r, 9, 0x123456, HW_READ, HW_TRANSLATED), 0x07);
	event_is(&r, 0x07 | 0x800 | 9u << 12 | SID64, BIT(35), 0x123456, 0);
	rig_free(&r);
}

/* ---- page requests ---- */

static void page(struct rig *r, uint32_t pasid, uint64_t addr, unsigned int prgi, unsigned int access, bool last, bool priv)
{
	struct hw_page_request pr = {.addr = addr, .pasid = pasid, .rid = RIG_SID, .prgi = (uint16_t)prgi, .access = (uint8_t)access,
				     .last = last, .priv = priv};

	r->hw->ops->page_request(r->hw, &pr);
}

static void entries(void **state)
{
	struct rig r;

	(void)state;
	rig_new(&r);
	r.has_client = true;
	page(&r, NB_NO_PASID, UINT64_C(0xfedcba9876543000), 0x1a5, HW_READ, false, true);
	/* Without PASID neither X nor Priv. */
	assert_int_equal(r64(&r, r.priq), UINT64_C(0x1000000000000000) | RIG_SID);
	assert_int_equal(r64(&r, r.priq + 8), UINT64_C(0xfedcba98765431a5));
	page(&r, 0x54321, 0x7000, 1, HW_READ | HW_WRITE | HW_EXEC, true, true);
	assert_int_equal(r64(&r, r.priq + 16), UINT64_C(0xfc05432100000000) | RIG_SID);
	assert_int_equal(r64(&r, r.priq + 24), 0x7001);
	assert_int_equal(get32(&r, 0x100c8), 2);
	assert_int_equal(r.nmsi, 1); /* it was empty */
	assert_int_equal(r.msi[0].addr, 0xfee00008);
	assert_int_equal(r.msi[0].data, 0x33);
	assert_int_equal(r.nresponse, 0);
	/* LO: an interrupt for each Last, and for nothing else. */
	reg32(&r, 0x50, 5);
	reg32(&r, 0xdc, 0x80000000);
	reg32(&r, 0x50, 7);
	reg32(&r, 0x100cc, 2);
	page(&r, 1, 0, 1, HW_READ, false, false);
	assert_int_equal(r.nmsi, 1);
	page(&r, 1, 0, 1, HW_READ, true, false);
	page(&r, 1, 0, 2, HW_READ, true, false);
	assert_int_equal(r.nmsi, 3);
	rig_free(&r);
}

/* LOG2SIZE 0, 1, and beyond PRIQS; the base is aligned to the size, to 32 bytes at least. */
static void sizes(void **state)
{
	static const struct {
		uint8_t log2size, entries;
	} t[] = {{0, 1}, {1, 2}, {2, 4}, {3, 4}, {31, 4}};
	struct smmu_caps c;
	unsigned int i, k;
	uint64_t q;
	struct rig r;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		smmu_caps_all(&c);
		c.priq_lg2 = 2;
		rig_new_caps(&r, &c);
		rig_start(&r);
		q = rig_page(&r);
		reg32(&r, 0x20, 0xd);
		reg64(&r, 0xc0, q | (t[i].entries > 2 ? 0x20 : 0) | t[i].log2size);
		reg32(&r, 0x20, 0xf);
		for (k = 0; k < t[i].entries; k++) {
			page(&r, NB_NO_PASID, 0, k + 1, HW_READ, false, false);
			assert_int_equal(get32(&r, 0x100c8), k + 1);
			assert_int_equal(r64(&r, q + 16 * k + 8), k + 1);
		}
		page(&r, NB_NO_PASID, 0, 9, HW_READ, false, false);
		assert_int_equal(get32(&r, 0x100c8), 0x80000000 | t[i].entries);
		reg32(&r, 0x100cc, 0x80000000 | t[i].entries);
		page(&r, NB_NO_PASID, 0, 7, HW_READ, false, false); /* round */
		assert_int_equal(r64(&r, q + 8), 7);
		assert_int_equal(r64(&r, q + 16 * t[i].entries + 8), 0);
		rig_free(&r);
	}
}

/* LO: a Last that is discarded as there is no room interrupts too (6.3.36). One that is discarded for another reason does not. */
static void last_is_lost(void **state)
{
	unsigned int i;
	struct rig r;

	(void)state;
	rig_new(&r);
	reg32(&r, 0x50, 5);
	reg32(&r, 0xdc, 0x80000000);
	reg32(&r, 0x50, 7);
	for (i = 0; i < 256; i++)
		page(&r, 1, 0, 1, HW_READ, false, false);
	page(&r, 1, 0, 1, HW_READ, false, false);
	assert_int_equal(get32(&r, 0x100c8), 0x80000100);
	assert_int_equal(r.nmsi, 0);
	page(&r, 1, 0, 1, HW_READ, true, false);
	assert_int_equal(r.nmsi, 1);
	assert_int_equal(r.msi[0].data, 0x33);
	reg32(&r, 0x100cc, 0x100); /* room, and an overflow that is not acknowledged */
	page(&r, 1, 0, 1, HW_READ, true, false);
	assert_int_equal(r.nmsi, 2);
	reg32(&r, 0x20, 0xd);
	page(&r, 1, 0, 1, HW_READ, true, false);
	assert_int_equal(r.nmsi, 2);
	rig_free(&r);
}

/* Where PPAR is to be looked at and the STE cannot be had: an event, if software asked for these of ATS and PRI (8.1). */
static void overflow_events(void **state)
{
	static const struct {
		uint32_t cr2; /* RECINVSID 2, REC_CFG_ATS 8 */
		uint8_t bad_ste, bad_sid;
	} t[] = {{0xa, 1, 1}, {0x8, 1, 0}, {0x2, 0, 0}};
	unsigned int i, k;
	struct rig r;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(t); k++) {
		rig_new(&r);
		reg32(&r, 0x20, 0xe);
		reg32(&r, 0x2c, t[k].cr2);
		reg32(&r, 0x20, 0xf);
		for (i = 0; i < 256; i++)
			page(&r, 7, 0, 1, HW_READ, true, false);
		page(&r, NB_NO_PASID, 0, 1, HW_READ, true, false); /* nothing to look up */
		page(&r, 7, 0, 1, HW_READ, false, false); /* no response */
		assert_int_equal(events(&r), 0);
		page(&r, 7, 0, 1, HW_READ, true, false);
		assert_int_equal(events(&r), t[k].bad_ste);
		if (t[k].bad_ste)
			event_is(&r, 0x04 | 0x800 | 7u << 12 | SID64, 0, 0, 0);
		reg32(&r, 0x20, 0xe);
		reg32(&r, 0x88, 4); /* the StreamID is out of the table */
		reg32(&r, 0x20, 0xf);
		cfgi_ste(&r, RIG_SID);
		page(&r, 7, 0, 1, HW_READ, true, false);
		assert_int_equal(events(&r), t[k].bad_sid);
		if (t[k].bad_sid)
			event_is(&r, 0x02 | 0x800 | 7u << 12 | SID64, 0, 0, 0);
		rig_free(&r);
	}
}

static void overflow(void **state)
{
	static const struct {
		bool pasid, ppar, valid, pps;
		bool with;
		uint8_t code;
	} t[] = {
		{false, false, true, false, false, HW_PAGE_SUCCESS}, {true, false, true, false, false, HW_PAGE_SUCCESS},
		{true, true, true, false, true, HW_PAGE_SUCCESS},    {true, true, false, false, false, HW_PAGE_FAILURE},
		{false, true, false, false, false, HW_PAGE_SUCCESS}, {true, false, true, true, true, HW_PAGE_SUCCESS},
		{true, false, false, true, true, HW_PAGE_SUCCESS},
	};
	unsigned int i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint32_t pasid = t[i].pasid ? 7 : NB_NO_PASID;
		struct smmu_caps c;
		struct rig r;

		smmu_caps_all(&c);
		c.pps = t[i].pps;
		rig_new_caps(&r, &c);
		rig_start(&r);
		r.has_client = true;
		if (t[i].valid)
			ste(&r, RIG_SID, STE_BYPASS, t[i].ppar ? BIT(18) : 0, 0, 0);
		for (j = 0; j < 256; j++)
			page(&r, pasid, 0, 1, HW_READ, true, false);
		assert_int_equal(get32(&r, 0x100c8), 256);
		page(&r, pasid, 0, 0x1ff, HW_READ, true, false);
		assert_int_equal(get32(&r, 0x100c8), 0x80000100);
		assert_int_equal(r.nresponse, 1);
		assert_int_equal(r.got.prgi, 0x1ff);
		assert_int_equal(r.got.code, t[i].code);
		assert_int_equal(r.got.pasid, t[i].with ? 7 : NB_NO_PASID);
		/* Not Last, and stop markers: no response. */
		page(&r, pasid, 0, 2, HW_READ, false, false);
		page(&r, 7, 0, 2, 0, true, false);
		assert_int_equal(r.nresponse, 1);
		/* Space is not enough: the overflow has to be acknowledged. */
		reg32(&r, 0x100cc, 10);
		page(&r, pasid, 0, 3, HW_READ, true, false);
		assert_int_equal(r.nresponse, 2);
		assert_int_equal(get32(&r, 0x100c8), 0x80000100);
		reg32(&r, 0x100cc, 0x8000000a);
		page(&r, pasid, 0, 4, HW_READ, true, false);
		assert_int_equal(r.nresponse, 2);
		assert_int_equal(get32(&r, 0x100c8), 0x80000101);
		assert_int_equal(events(&r), 0);
		rig_free(&r);
	}
}

/* Switched off, with SMMUEN too, or in error: failure, without PASID, Last or not; not for stop markers. */
static void pri_disabled(void **state)
{
	static const uint32_t cr0[] = {0xd, 0xe};
	unsigned int i;
	struct rig r;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_new(&r);
		r.has_client = true;
		reg32(&r, 0x20, cr0[i]);
		page(&r, 7, 0, 3, HW_READ, false, false);
		assert_int_equal(r.nresponse, 1);
		assert_int_equal(r.got.code, HW_PAGE_FAILURE);
		assert_int_equal(r.got.pasid, NB_NO_PASID);
		page(&r, 7, 0, 3, 0, true, false);
		assert_int_equal(r.nresponse, 1);
		/* LWR 100 without PASID is a request. */
		page(&r, NB_NO_PASID, 0, 3, 0, true, false);
		assert_int_equal(r.nresponse, 2);
		assert_int_equal(get32(&r, 0x100c8), 0);
		rig_free(&r);
	}
	rig_new(&r);
	r.has_client = true;
	reg32(&r, 0x20, 0xd);
	reg64(&r, 0xc0, RIG_NONE | 3);
	reg32(&r, 0x20, 0xf);
	page(&r, 7, 0, 3, HW_READ, true, false);
	assert_int_equal(get32(&r, 0x60), 8);
	assert_int_equal(r.nresponse, 1);
	assert_int_equal(r.got.code, HW_PAGE_FAILURE);
	reg32(&r, 0x20, 0xd);
	reg64(&r, 0xc0, r.priq | RIG_PRIQ_LG2);
	reg32(&r, 0x20, 0xf);
	page(&r, 7, 0, 3, HW_READ, true, false);
	assert_int_equal(r.nresponse, 2);
	reg32(&r, 0x64, 8);
	page(&r, 7, 0, 3, HW_READ, true, false);
	assert_int_equal(r.nresponse, 2);
	assert_int_equal(get32(&r, 0x100c8), 1);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permissions),	     cmocka_unit_test(flag_updates), cmocka_unit_test(stalling_streams_do_not_stall),
		cmocka_unit_test(unsupported),	     cmocka_unit_test(configuration_errors), cmocka_unit_test(cd_fault),
		cmocka_unit_test(nested_full),	     cmocka_unit_test(skipping_stage1), cmocka_unit_test(split_stage),
		cmocka_unit_test(translated_transactions), cmocka_unit_test(translated_with_pasid), cmocka_unit_test(entries),
		cmocka_unit_test(overflow),	     cmocka_unit_test(pri_disabled), cmocka_unit_test(last_is_lost),
		cmocka_unit_test(overflow_events),   cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
