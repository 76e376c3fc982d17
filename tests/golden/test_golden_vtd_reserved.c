/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every bit of every VT-d entry, flipped alone in memory under the real model.
 *
 * Each table below says of all bits of an entry what the manual says of them (chapter 9, revision 4.x): reserved, with the
 * exact fault of 7.1.3; ignored, so that nothing changes; or a field. They are written by hand from the figures and use
 * none of our masks. A bit that no row names fails the test, so an entry is complete or red.
 *
 * The unit has 48-bit physical addresses, 8-bit domain ids, no execute requests, no memory types and no 1 GiB pages in the
 * first stage unless a scene says otherwise.
 */
#include "../unit/hw_vtd_rig.h"

#include <stdio.h>

#define SAME  0xffffu /* ignored: the translation is what it was */
#define FIELD_ 0xfffeu /* a field: may do anything but report a reserved bit */
#define ADDR_  0xfffdu /* an address: what lies elsewhere may be anything */
#define ABOVE  48

struct span {
	uint8_t word, hi, lo;
	uint16_t want;
};

struct scene {
	const char *name;
	uint64_t at;	      /* of the entry */
	unsigned int words;
	const struct span *span;
	unsigned int nspans;
	uint16_t rsvd;	      /* the fault that a field's bit may not give */
	uint32_t pasid;	      /* 0: none */
	uint64_t addr, to;    /* addr 0: IA */
	uint8_t access;
};

#define IA UINT64_C(0x12345678)

static uint16_t want_of(const struct scene *s, unsigned int word, unsigned int bit)
{
	unsigned int i;
	uint16_t want = 0;

	for (i = 0; i < s->nspans; i++) {
		const struct span *p = &s->span[i];

		if (p->word != word || bit < p->lo || bit > p->hi)
			continue;
		if (want)
			fail_msg("%s: word %u bit %u is described twice", s->name, word, bit);
		want = p->want;
	}
	if (!want)
		fail_msg("%s: word %u bit %u is not described", s->name, word, bit);
	return want;
}

static void flip_all(struct rig *r, const struct scene *s)
{
	const uint64_t addr = s->addr ? s->addr : IA;
	unsigned int word, bit, bad = 0;

	for (word = 0; word < s->words; word++) {
		for (bit = 0; bit < 64; bit++) {
			uint64_t pa = s->at + 8 * word, was;
			uint16_t want = want_of(s, word, bit);
			struct hw_result res;

			vtd_drop_caches(r->hw);
			res = ask(r, RIG_RID, s->pasid ? s->pasid : NB_NO_PASID, addr, s->access, 0);
			if (res.kind != HW_OK || res.pa.v != s->to)
				fail_msg("%s: before the flip of word %u bit %u: kind %d reason %#x", s->name, word, bit, (int)res.kind,
					 res.kind == HW_FAULT ? res.fault.reason : 0);
			was = r64(r, pa); /* with whatever hardware has set in it */
			w64(r, pa, was ^ BIT(bit));
			vtd_drop_caches(r->hw);
			res = ask(r, RIG_RID, s->pasid ? s->pasid : NB_NO_PASID, addr, s->access, 0);
			if (want == SAME ? res.kind != HW_OK || res.pa.v != s->to :
			    want == ADDR_ ? false :
			    want == FIELD_ ? res.kind == HW_FAULT && res.fault.reason == s->rsvd :
					     res.kind != HW_FAULT || res.fault.reason != want) {
				print_error("%s: word %u bit %u: %s %#llx, the manual says %s %#x\n", s->name, word, bit,
					    res.kind == HW_FAULT ? "fault" : "goes to",
					    (unsigned long long)(res.kind == HW_FAULT ? res.fault.reason : res.pa.v),
					    want == SAME ? "no change," : want == FIELD_ ? "a field," : "fault", want);
				bad++;
			}
			w64(r, pa, was);
			faults_clear(r);
		}
	}
	assert_int_equal(bad, 0);
}

#define SCENE(r_, name_, at_, words_, spans_, rsvd_, ...)                                                      \
	do {                                                                                                   \
		const struct scene s_ = {.name = name_, .at = at_, .words = words_, .span = spans_,            \
					 .nspans = ARRAY_SIZE(spans_), .rsvd = rsvd_, .access = HW_READ,        \
					 __VA_ARGS__};                                    \
		flip_all(r_, &s_);                                                                             \
	} while (0)

static void caps(struct vtd_caps *c)
{
	vtd_caps_all(c);
	c->haw = ABOVE;
	c->nd_lg2 = 8;
	c->exec_request = false;
	c->device_tlb = c->page_requests = true;
	c->fs_1g = true;
}

/* ---- legacy mode: root entry 9.1, context entry 9.3 ---- */

static const struct span root_legacy[] = {
	{0, 0, 0, 0x01}, /* P */
	{0, 11, 1, 0x0a},
	{0, 47, 12, ADDR_},
	{0, 63, 48, 0x0a},
	{1, 63, 0, 0x0a},
};
static const struct span ctx[] = {
	{0, 0, 0, 0x02},    /* P */
	{0, 1, 1, SAME},    /* FPD: about faults */
	{0, 3, 2, FIELD_},  /* TT */
	{0, 11, 4, 0x0b},
	{0, 47, 12, ADDR_},
	{0, 63, 48, 0x0b},
	{1, 2, 0, FIELD_},  /* AW */
	{1, 6, 3, SAME},    /* ignored */
	{1, 7, 7, 0x0b},
	{1, 15, 8, SAME},   /* DID: another domain, the same table */
	{1, 23, 16, 0x0b},  /* DID beyond CAP.ND */
	{1, 63, 24, 0x0b},
};
static const struct span ctx_pass[] = {
	{0, 0, 0, 0x02},    {0, 1, 1, SAME},	{0, 2, 2, 0x03}, /* TT 11b */
	{0, 3, 3, FIELD_},  {0, 11, 4, 0x0b},	{0, 63, 12, SAME}, /* SSPTPTR is not looked at */
	{1, 2, 0, FIELD_},  {1, 6, 3, SAME},	{1, 7, 7, 0x0b}, {1, 15, 8, SAME}, {1, 23, 16, 0x0b}, {1, 63, 24, 0x0b},
};

static void legacy_entries(void **state)
{
	struct vtd_caps c;
	struct rig r;
	uint64_t table, ss;

	(void)state;
	caps(&c);
	rig_new_caps(&r, &c);
	table = rig_page(&r);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, 0xabcde003);
	w64(&r, r.root + (RIG_RID >> 8) * 16, table | 1);
	w64(&r, table + (RIG_RID & 255) * 16 + 8, 2 | 0x11 << 8);
	w64(&r, table + (RIG_RID & 255) * 16, ss | 1);
	rig_queue(&r, false);
	rig_on(&r, 0);
	SCENE(&r, "root entry", r.root + (RIG_RID >> 8) * 16, 2, root_legacy, 0x0a, .to = 0xabcde678);
	SCENE(&r, "context entry", table + (RIG_RID & 255) * 16, 2, ctx, 0x0b, .to = 0xabcde678);
	w64(&r, table + (RIG_RID & 255) * 16, 2 << 2 | 1);
	SCENE(&r, "context entry, pass-through", table + (RIG_RID & 255) * 16, 2, ctx_pass, 0x0b, .to = IA);
	rig_free(&r);
}

/* ---- scalable mode: root 9.2, context 9.4, PASID directory 9.5 ---- */

static const struct span sroot_lower[] = {
	{0, 0, 0, 0x39}, {0, 11, 1, 0x3a}, {0, 47, 12, ADDR_}, {0, 63, 48, 0x3a}, {1, 63, 0, SAME},
};
static const struct span sctx[] = {
	{0, 0, 0, 0x41},   /* P */
	{0, 1, 1, SAME},   /* FPD */
	{0, 2, 2, FIELD_}, /* DTE */
	{0, 3, 3, FIELD_}, /* PASIDE */
	{0, 4, 4, FIELD_}, /* PRE */
	{0, 8, 5, 0x42},
	{0, 11, 9, SAME},  /* PDTS: a larger directory */
	{0, 47, 12, ADDR_},
	{0, 63, 48, 0x42},
	{1, 19, 0, FIELD_}, /* RID_PASID */
	{1, 20, 20, FIELD_}, /* RID_PRIV */
	{1, 63, 21, 0x42},
	{2, 63, 0, 0x42},
	{3, 63, 0, 0x42},
};
/* Without device-TLBs, PASIDs, page requests, RID_PASID and RID_PRIV their fields are reserved. */
static const struct span sctx_bare[] = {
	{0, 0, 0, 0x41}, {0, 1, 1, SAME}, {0, 2, 2, 0x42}, {0, 3, 3, 0x42}, {0, 4, 4, 0x42}, {0, 8, 5, 0x42},
	{0, 11, 9, SAME}, {0, 47, 12, ADDR_}, {0, 63, 48, 0x42}, {1, 63, 0, 0x42}, {2, 63, 0, 0x42}, {3, 63, 0, 0x42},
};
static const struct span pdir[] = {
	{0, 0, 0, 0x51}, {0, 1, 1, SAME}, {0, 11, 2, 0x52}, {0, 47, 12, ADDR_}, {0, 63, 48, 0x52},
};

static uint64_t ctx_at(struct rig *r)
{
	return (r64(r, r->root + (RIG_RID >> 8) * 16u) & BITS(47, 12)) + (RIG_RID & 0x7f) * 32u;
}

static void scalable_entries(void **state)
{
	struct vtd_caps c;
	struct rig r;
	uint64_t ss;

	(void)state;
	caps(&c);
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, 0xabcde003);
	sm_device(&r, RIG_RID, 0, 0);
	sm_pasid(&r, 0, ss | PGTT(2) | AW(2), 0x11, 0);
	rig_queue(&r, true);
	rig_on(&r, 1);
	SCENE(&r, "scalable root entry", r.root + (RIG_RID >> 8) * 16, 2, sroot_lower, 0x3a, .to = 0xabcde678);
	SCENE(&r, "scalable context entry", ctx_at(&r), 4, sctx, 0x42, .to = 0xabcde678);
	SCENE(&r, "PASID directory entry", r.dir, 1, pdir, 0x52, .to = 0xabcde678);
	rig_free(&r);

	c.device_tlb = c.page_requests = c.dev_tlb_throttle = c.rid_pasid = c.rid_priv = false;
	c.pasid_bits = 0;
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, 0xabcde003);
	sm_device(&r, RIG_RID, 0, 0);
	sm_pasid(&r, 0, ss | PGTT(2) | AW(2), 0x11, 0);
	rig_queue(&r, true);
	rig_on(&r, 1);
	SCENE(&r, "scalable context entry of a bare unit", ctx_at(&r), 4, sctx_bare, 0x42, .to = 0xabcde678);
	rig_free(&r);
}

/* ---- PASID table entry 9.6, by PGTT ---- */

#define PASID_TOP {3, 63, 0, 0x5a}, {4, 63, 0, 0x5a}, {5, 63, 0, 0x5a}, {6, 63, 0, 0x5a}, {7, 63, 0, 0x5a}
/* DID, and with 8-bit domain ids what is above; 22:16; PWSNP, PGSNP; CD, EMTE, EMT, PWT, PCD, PAT want ECAP.MTS */
#define PASID_1 {1, 7, 0, SAME}, {1, 15, 8, 0x5a}, {1, 22, 16, 0x5a}, {1, 24, 24, SAME}, {1, 63, 25, 0x5a}

static const struct span pasid_ss[] = {
	{0, 0, 0, 0x59},    /* P */
	{0, 1, 1, SAME},    /* FPD */
	{0, 4, 2, FIELD_},  /* AW */
	{0, 5, 5, 0x5a},
	{0, 8, 6, FIELD_},  /* PGTT */
	{0, 9, 9, SAME},    /* SSADE: the walk can update (PWSNP) */
	{0, 11, 10, 0x5a},
	{0, 47, 12, ADDR_},
	{0, 63, 48, 0x5a},
	PASID_1, {1, 23, 23, SAME}, /* PWSNP: no A/D update is due */
	{2, 0, 0, SAME},    /* SRE: about supervisor requests */
	{2, 1, 1, 0x5a},    /* ERE wants ECAP.ERS */
	{2, 7, 2, SAME},    /* first stage: not looked at */
	{2, 11, 8, 0x5a},
	{2, 47, 12, SAME},
	{2, 63, 48, 0x5a},
	PASID_TOP,
};
static const struct span pasid_fs[] = {
	{0, 0, 0, 0x59}, {0, 1, 1, SAME},
	{0, 4, 2, SAME},    /* AW: second stage, not looked at */
	{0, 5, 5, 0x5a}, {0, 8, 6, FIELD_}, {0, 9, 9, SAME}, {0, 11, 10, 0x5a}, {0, 47, 12, SAME}, {0, 63, 48, 0x5a},
	PASID_1, {1, 23, 23, SAME}, /* PWSNP: A and D are set already */
	{2, 0, 0, SAME}, {2, 1, 1, 0x5a},
	{2, 2, 2, FIELD_},  /* FSPM 01b: 5 levels */
	{2, 3, 3, 0x5b},    /* FSPM 10b is no mode */
	{2, 4, 4, SAME},    /* WPE */
	{2, 6, 5, SAME},    /* NXE, SMEP without execute requests */
	{2, 7, 7, SAME},    /* EAFE */
	{2, 11, 8, 0x5a}, {2, 47, 12, ADDR_}, {2, 63, 48, 0x5a},
	PASID_TOP,
};
static const struct span pasid_nested[] = {
	{0, 0, 0, 0x59}, {0, 1, 1, SAME}, {0, 4, 2, FIELD_}, {0, 5, 5, 0x5a}, {0, 8, 6, FIELD_}, {0, 9, 9, SAME},
	{0, 11, 10, 0x5a}, {0, 47, 12, ADDR_}, {0, 63, 48, 0x5a},
	PASID_1, {1, 23, 23, SAME},
	{2, 0, 0, SAME}, {2, 1, 1, 0x5a}, {2, 2, 2, FIELD_}, {2, 3, 3, 0x5b}, {2, 4, 4, SAME}, {2, 6, 5, SAME},
	{2, 7, 7, SAME}, {2, 11, 8, 0x5a}, {2, 47, 12, ADDR_}, {2, 63, 48, 0x5a},
	PASID_TOP,
};
static const struct span pasid_pass[] = {
	{0, 0, 0, 0x59}, {0, 1, 1, SAME}, {0, 4, 2, SAME}, {0, 5, 5, 0x5a}, {0, 8, 6, FIELD_}, {0, 9, 9, SAME},
	{0, 11, 10, 0x5a}, {0, 47, 12, SAME}, {0, 63, 48, 0x5a},
	PASID_1, {1, 23, 23, SAME},
	{2, 0, 0, SAME}, {2, 1, 1, 0x5a}, {2, 7, 2, SAME}, {2, 11, 8, 0x5a}, {2, 47, 12, SAME}, {2, 63, 48, 0x5a},
	PASID_TOP,
};

static void pasid_entries(void **state)
{
	struct vtd_caps c;
	struct rig r;
	uint64_t ss, fs, nfs, all;

	(void)state;
	caps(&c);
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, 0xabcde003);
	fs = rig_page(&r);
	w64(&r, entry_at(&r, fs, 4, 1, IA, 0x67, 0), 0xabcde067);
	nfs = rig_page(&r);
	w64(&r, entry_at(&r, nfs, 4, 1, IA, 0x67, RIG_GPA), (RIG_BASE + RIG_GPA + 0x1ffe000) | 0x67);
	all = ss_all(&r, 4);
	sm_device(&r, RIG_RID, VTD_SCTX_0_PASIDE, 0);
	sm_pasid(&r, 1, ss | PGTT(2) | AW(2), 0x800011, 0);
	sm_pasid(&r, 2, PGTT(1), 0x800011, fs);
	sm_pasid(&r, 3, all | PGTT(3) | AW(2), 0x800011, nfs + RIG_GPA);
	sm_pasid(&r, 4, PGTT(4), 0x800011, 0);
	rig_queue(&r, true);
	rig_on(&r, 1);
	SCENE(&r, "PASID entry, second stage", pasid_at(&r, 1), 8, pasid_ss, 0x5a, .pasid = 1, .to = 0xabcde678);
	SCENE(&r, "PASID entry, first stage", pasid_at(&r, 2), 8, pasid_fs, 0x5a, .pasid = 2, .to = 0xabcde678);
	SCENE(&r, "PASID entry, nested", pasid_at(&r, 3), 8, pasid_nested, 0x5a, .pasid = 3, .to = RIG_BASE + 0x1ffe678);
	SCENE(&r, "PASID entry, pass-through", pasid_at(&r, 4), 8, pasid_pass, 0x5a, .pasid = 4, .to = IA);
	rig_free(&r);
}

/* ---- second-stage entries 9.8 ---- */

#define SS_NODE(name, ps, code, none)                                                                          \
	static const struct span name[] = {                                                                    \
		{0, 0, 0, none},  /* R: the request reads */                                                   \
		{0, 1, 1, SAME},  /* W */                                                                      \
		{0, 2, 2, SAME},  /* X: ignored */                                                             \
		{0, 6, 3, SAME},  /* ignored */                                                                \
		{0, 7, 7, ps},	   /* PS */                                                                    \
		{0, 10, 8, SAME}, /* A without SSADE; ignored */                                               \
		{0, 11, 11, code},                                                                             \
		{0, 47, 12, ADDR_},                                                                           \
		{0, 51, 48, code},                                                                             \
		{0, 61, 52, SAME},                                                                             \
		{0, 62, 62, code},                                                                             \
		{0, 63, 63, SAME},                                                                             \
	}
#define SS_LEAF(name, ps, code, none, ...)                                                                      \
	static const struct span name[] = {                                                                    \
		{0, 0, 0, none},                                                                               \
		{0, 1, 1, SAME},                                                                               \
		{0, 2, 2, SAME},                                                                               \
		{0, 6, 3, SAME},  /* EMT, IPAT */                                                              \
		{0, 7, 7, ps},                                                                                 \
		{0, 10, 8, SAME}, /* A, D without SSADE; ignored */                                            \
		{0, 11, 11, SAME}, /* SNP, with ECAP.SC */                                                     \
		__VA_ARGS__,                                                                                    \
		{0, 51, 48, code},                                                                             \
		{0, 61, 52, SAME},                                                                             \
		{0, 62, 62, code},                                                                             \
		{0, 63, 63, SAME},                                                                             \
	}
SS_NODE(ss_node_high, 0x7a, 0x7a, 0x86);
SS_NODE(ss_node_low, FIELD_, 0x7a, 0x86);
SS_LEAF(ss_leaf_4k, SAME, 0x7a, 0x86, {0, 47, 12, ADDR_});
SS_LEAF(ss_leaf_2m, FIELD_, 0x7a, 0x86, {0, 20, 12, 0x7a}, {0, 47, 21, ADDR_});
SS_LEAF(ss_leaf_1g, FIELD_, 0x7a, 0x86, {0, 29, 12, 0x7a}, {0, 47, 30, ADDR_});
SS_NODE(lss_node_high, 0x0c, 0x0c, 0x06);
SS_NODE(lss_node_low, FIELD_, 0x0c, 0x06);
SS_LEAF(lss_leaf_4k, SAME, 0x0c, 0x06, {0, 47, 12, ADDR_});
SS_LEAF(lss_leaf_2m, FIELD_, 0x0c, 0x06, {0, 20, 12, 0x0c}, {0, 47, 21, ADDR_});
SS_LEAF(lss_leaf_1g, FIELD_, 0x0c, 0x06, {0, 29, 12, 0x0c}, {0, 47, 30, ADDR_});

static void second_stage_of(struct rig *r, uint64_t ss, bool legacy)
{
	const uint16_t code = legacy ? 0x0c : 0x7a;
	const uint64_t big = IA + (UINT64_C(1) << 30), huge = IA + (UINT64_C(8) << 30);
	unsigned int level;

	ss_map(r, ss, 5, 1, IA, 0xabcde003);
	ss_map(r, ss, 5, 2, big, 0xab600083);
	ss_map(r, ss, 5, 3, huge, 0x1c0000083);
	for (level = 5; level >= 2; level--) {
		char name[32];

		snprintf(name, sizeof(name), "second-stage level %u", level);
		if (legacy && level >= 4)
			SCENE(r, name, entry_at(r, ss, 5, level, IA, 3, 0), 1, lss_node_high, code, .to = 0xabcde678);
		else if (legacy)
			SCENE(r, name, entry_at(r, ss, 5, level, IA, 3, 0), 1, lss_node_low, 0, .to = 0xabcde678);
		else if (level >= 4)
			SCENE(r, name, entry_at(r, ss, 5, level, IA, 3, 0), 1, ss_node_high, code, .to = 0xabcde678);
		else
			SCENE(r, name, entry_at(r, ss, 5, level, IA, 3, 0), 1, ss_node_low, 0, .to = 0xabcde678);
	}
	if (legacy) {
		SCENE(r, "second-stage 4 KiB leaf", entry_at(r, ss, 5, 1, IA, 3, 0), 1, lss_leaf_4k, code, .to = 0xabcde678);
		SCENE(r, "second-stage 2 MiB leaf", entry_at(r, ss, 5, 2, big, 3, 0), 1, lss_leaf_2m, code, .addr = big,
		      .to = 0xab600000 + (big & BITS(20, 0)));
		SCENE(r, "second-stage 1 GiB leaf", entry_at(r, ss, 5, 3, huge, 3, 0), 1, lss_leaf_1g, code, .addr = huge,
		      .to = 0x1c0000000 + (huge & BITS(29, 0)));
	} else {
		SCENE(r, "second-stage 4 KiB leaf", entry_at(r, ss, 5, 1, IA, 3, 0), 1, ss_leaf_4k, code, .to = 0xabcde678);
		SCENE(r, "second-stage 2 MiB leaf", entry_at(r, ss, 5, 2, big, 3, 0), 1, ss_leaf_2m, code, .addr = big,
		      .to = 0xab600000 + (big & BITS(20, 0)));
		SCENE(r, "second-stage 1 GiB leaf", entry_at(r, ss, 5, 3, huge, 3, 0), 1, ss_leaf_1g, code, .addr = huge,
		      .to = 0x1c0000000 + (huge & BITS(29, 0)));
	}
}

static void second_stage_entries(void **state)
{
	struct vtd_caps c;
	struct rig r;
	uint64_t ss, table;

	(void)state;
	caps(&c);
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	sm_device(&r, RIG_RID, 0, 0);
	sm_pasid(&r, 0, ss | PGTT(2) | AW(3), 0x11, 0);
	rig_queue(&r, true);
	rig_on(&r, 1);
	second_stage_of(&r, ss, false);
	rig_free(&r);

	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	table = rig_page(&r);
	w64(&r, r.root + (RIG_RID >> 8) * 16, table | 1);
	w64(&r, table + (RIG_RID & 255) * 16 + 8, 3 | 0x11 << 8);
	w64(&r, table + (RIG_RID & 255) * 16, ss | 1);
	rig_queue(&r, false);
	rig_on(&r, 0);
	second_stage_of(&r, ss, true);
	rig_free(&r);
}

/* Without snoop control SNP is reserved in a leaf; without the page size PS is. */
static void second_stage_of_a_bare_unit(void **state)
{
	static const struct span leaf[] = {
		{0, 0, 0, 0x86}, {0, 10, 1, SAME}, {0, 11, 11, 0x7a}, {0, 47, 12, ADDR_}, {0, 51, 48, 0x7a},
		{0, 61, 52, SAME}, {0, 62, 62, 0x7a}, {0, 63, 63, SAME},
	};
	static const struct span node[] = {
		{0, 0, 0, 0x86}, {0, 6, 1, SAME}, {0, 7, 7, 0x7a}, {0, 10, 8, SAME}, {0, 11, 11, 0x7a}, {0, 47, 12, ADDR_},
		{0, 51, 48, 0x7a}, {0, 61, 52, SAME}, {0, 62, 62, 0x7a}, {0, 63, 63, SAME},
	};
	struct vtd_caps c;
	struct rig r;
	uint64_t ss;

	(void)state;
	caps(&c);
	c.snoop_control = c.ss_2m = c.ss_1g = false;
	rig_new_caps(&r, &c);
	ss = rig_page(&r);
	ss_map(&r, ss, 4, 1, IA, 0xabcde003);
	sm_device(&r, RIG_RID, 0, 0);
	sm_pasid(&r, 0, ss | PGTT(2) | AW(2), 0x11, 0);
	rig_queue(&r, true);
	rig_on(&r, 1);
	SCENE(&r, "leaf without SC", entry_at(&r, ss, 4, 1, IA, 3, 0), 1, leaf, 0x7a, .to = 0xabcde678);
	SCENE(&r, "level 2 without SSLPS", entry_at(&r, ss, 4, 2, IA, 3, 0), 1, node, 0, .to = 0xabcde678);
	SCENE(&r, "level 3 without SSLPS", entry_at(&r, ss, 4, 3, IA, 3, 0), 1, node, 0, .to = 0xabcde678);
	rig_free(&r);
}

/* ---- first-stage entries 9.7 ---- */

#define FS_ENTRY(name, ps, ...)                                                                                \
	static const struct span name[] = {                                                                    \
		{0, 0, 0, 0x71},  /* P */                                                                      \
		{0, 1, 1, SAME},  /* R/W: the request reads */                                                 \
		{0, 2, 2, 0x81},  /* U/S: the request is a user's */                                           \
		{0, 4, 3, SAME},  /* PWT, PCD */                                                               \
		{0, 6, 5, SAME},  /* A, D: set by hardware; D of a node is ignored */                          \
		{0, 7, 7, ps},                                                                                 \
		{0, 11, 8, SAME}, /* G, EA without EAFE; ignored */                                            \
		__VA_ARGS__,                                                                                   \
		{0, 51, 48, 0x72},                                                                             \
		{0, 62, 52, SAME},                                                                             \
		{0, 63, 63, SAME}, /* XD without NXE */                                                        \
	}
FS_ENTRY(fs_node_high, 0x72, {0, 47, 12, ADDR_});
FS_ENTRY(fs_node_low, FIELD_, {0, 47, 12, ADDR_});
FS_ENTRY(fs_leaf_4k, SAME, {0, 47, 12, ADDR_}); /* bit 7 is PAT */
FS_ENTRY(fs_leaf_2m, FIELD_, {0, 12, 12, SAME}, {0, 20, 13, 0x72}, {0, 47, 21, ADDR_});
FS_ENTRY(fs_leaf_1g, FIELD_, {0, 12, 12, SAME}, {0, 29, 13, 0x72}, {0, 47, 30, ADDR_});

static void first_stage_entries(void **state)
{
	const uint64_t big = IA + (UINT64_C(1) << 30), huge = IA + (UINT64_C(8) << 30);
	struct vtd_caps c;
	struct rig r;
	uint64_t fs;
	unsigned int level;

	(void)state;
	caps(&c);
	rig_new_caps(&r, &c);
	fs = rig_page(&r);
	fs_map(&r, fs, 5, 1, IA, 0xabcde007, 0);
	fs_map(&r, fs, 5, 2, big, 0xab600087, 0);
	fs_map(&r, fs, 5, 3, huge, 0x1c0000087, 0);
	sm_device(&r, RIG_RID, 0, 0);
	sm_pasid(&r, 0, PGTT(1), 0x800011, fs | 1 << 2);
	rig_queue(&r, true);
	rig_on(&r, 1);
	for (level = 5; level >= 2; level--) {
		char name[32];

		snprintf(name, sizeof(name), "first-stage level %u", level);
		/* PS where no page of that size may be is reserved; with one, the address has low bits. */
		if (level >= 4)
			SCENE(&r, name, entry_at(&r, fs, 5, level, IA, 7, 0), 1, fs_node_high, 0x72, .to = 0xabcde678);
		else
			SCENE(&r, name, entry_at(&r, fs, 5, level, IA, 7, 0), 1, fs_node_low, 0, .to = 0xabcde678);
	}
	SCENE(&r, "first-stage 4 KiB leaf", entry_at(&r, fs, 5, 1, IA, 7, 0), 1, fs_leaf_4k, 0x72, .to = 0xabcde678);
	SCENE(&r, "first-stage 2 MiB leaf", entry_at(&r, fs, 5, 2, big, 7, 0), 1, fs_leaf_2m, 0x72, .addr = big,
	      .to = 0xab600000 + (big & BITS(20, 0)));
	SCENE(&r, "first-stage 1 GiB leaf", entry_at(&r, fs, 5, 3, huge, 7, 0), 1, fs_leaf_1g, 0x72, .addr = huge,
	      .to = 0x1c0000000 + (huge & BITS(29, 0)));
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legacy_entries),
		cmocka_unit_test(scalable_entries),
		cmocka_unit_test(pasid_entries),
		cmocka_unit_test(second_stage_entries),
		cmocka_unit_test(second_stage_of_a_bare_unit),
		cmocka_unit_test(first_stage_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
