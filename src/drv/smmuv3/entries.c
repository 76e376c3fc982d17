/* SPDX-License-Identifier: BSD-3-Clause */
#include "drv/smmuv3/entries.h"

#define WB_WA	      1u /* IR, OR, S1CIR, S1COR: write-back, read- and write-allocate */
#define NON_CACHEABLE 0u
#define SH_OUTER      2u
#define SH_INNER      3u

/* MAIR: 0 is Normal non-cacheable, 1 write-back, 2 Device-nGnRE, 3 write-back in outer caches only. */
#define MAIR_ATTRS UINT64_C(0xf404ff44)

static void check_used(const struct dsmmu_entry *e, void (*used_of)(const struct dsmmu_entry *, struct dsmmu_entry *))
{
	struct dsmmu_entry used;
	unsigned int i;

	used_of(e, &used);
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		assert((e->q[i] & ~used.q[i]) == 0);
}

static uint64_t shcfg(const struct dsmmu_ste_common *c)
{
	return c->shcfg ? FIELD_C(SMMU_STE_1_SHCFG, SMMU_SHCFG_INCOMING) : 0;
}

static uint64_t eats(const struct dsmmu_ste_common *c)
{
	return c->ats ? FIELD_C(SMMU_STE_1_EATS, SMMU_EATS_FULL) : 0;
}

void dsmmu_ste_make_abort(struct dsmmu_entry *out)
{
	*out = (struct dsmmu_entry){ .q = { SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_ABORT) } };
}

/* EATS has no effect without a stage that translates; ATS of a stream that bypasses needs a CD table (13.6.4). */
void dsmmu_ste_make_bypass(struct dsmmu_entry *out, const struct dsmmu_ste_common *c)
{
	*out = (struct dsmmu_entry){ .q = {
		SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_BYPASS),
		shcfg(c),
	} };
	check_used(out, dsmmu_ste_used);
}

void dsmmu_ste_make_s1(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s1_args *s1)
{
	assert((s1->cdtab.v & ~SMMU_STE_0_S1CTXPTR) == 0);
	*out = (struct dsmmu_entry){ .q = {
		SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_S1) | FIELD(SMMU_STE_0_S1FMT, s1->fmt) |
			s1->cdtab.v | FIELD(SMMU_STE_0_S1CDMAX, s1->cdmax),
		FIELD(SMMU_STE_1_S1DSS, s1->dss) | FIELD_C(SMMU_STE_1_S1CIR, WB_WA) |
			FIELD_C(SMMU_STE_1_S1COR, WB_WA) | FIELD_C(SMMU_STE_1_S1CSH, SH_INNER) |
			(s1->no_stall ? SMMU_STE_1_S1STALLD : 0) | eats(c) |
			FIELD(SMMU_STE_1_STRW, s1->el2 ? (uint64_t)SMMU_STRW_EL2 : (uint64_t)SMMU_STRW_EL1) |
			(s1->dss == SMMU_S1DSS_BYPASS ? shcfg(c) : 0),
		0, /* S2VMID 0: host addresses without a guest */
	} };
	check_used(out, dsmmu_ste_used);
}

static uint64_t s2_vtcr(const struct dsmmu_s2_args *s2)
{
	const struct dsmmu_table_args *t = &s2->t;

	return FIELD(SMMU_STE_2_S2T0SZ, 64u - t->ia_bits) | FIELD(SMMU_STE_2_S2SL0, s2->sl0) |
	       FIELD(SMMU_STE_2_S2IR0, t->coherent ? WB_WA : NON_CACHEABLE) |
	       FIELD(SMMU_STE_2_S2OR0, t->coherent ? WB_WA : NON_CACHEABLE) |
	       FIELD(SMMU_STE_2_S2SH0, t->coherent ? SH_INNER : SH_OUTER) | FIELD(SMMU_STE_2_S2TG, t->tg) |
	       FIELD(SMMU_STE_2_S2PS, t->ps);
}

void dsmmu_ste_make_s2(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s2_args *s2)
{
	assert((s2->t.root.v & ~SMMU_STE_3_S2TTB) == 0 && s2->vmid != 0);
	*out = (struct dsmmu_entry){ .q = {
		SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_S2),
		eats(c) | shcfg(c) | (s2->fwb ? SMMU_STE_1_S2FWB : 0),
		FIELD(SMMU_STE_2_S2VMID, s2->vmid) | s2_vtcr(s2) | SMMU_STE_2_S2AA64 |
			(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? SMMU_STE_2_S2ENDI : 0) | SMMU_STE_2_S2PTW |
			(s2->stall ? SMMU_STE_2_S2S : 0) | SMMU_STE_2_S2R,
		s2->t.root.v,
	} };
	check_used(out, dsmmu_ste_used);
}

void dsmmu_ste_make_nested(struct dsmmu_entry *out, const struct dsmmu_ste_common *c, const struct dsmmu_s2_args *s2,
			   const uint64_t vste[2])
{
	dsmmu_ste_make_s2(out, c, s2);
	out->q[0] = SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_NESTED) |
		    (vste[0] & (SMMU_STE_0_S1FMT | SMMU_STE_0_S1CTXPTR | SMMU_STE_0_S1CDMAX));
	/* MEV: a guest that floods itself with events shall not take more room than it must. */
	out->q[1] |= SMMU_STE_1_MEV | (vste[1] & (SMMU_STE_1_S1DSS | SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH |
						  SMMU_STE_1_S1STALLD));
	check_used(out, dsmmu_ste_used);
}

void dsmmu_ste_used(const struct dsmmu_entry *e, struct dsmmu_entry *used)
{
	uint64_t config = FIELD_GET(SMMU_STE_0_CONFIG, e->q[0]);
	bool s1, s2;

	*used = (struct dsmmu_entry){ .q = { SMMU_STE_0_V } };
	if (!(e->q[0] & SMMU_STE_0_V))
		return;
	used->q[0] |= SMMU_STE_0_CONFIG;
	if (!(config & SMMU_STE_CONFIG_BYPASS)) /* 0xx: abort */
		return;
	s1 = config & 1;
	s2 = config & 2;
	if (!s1 && !s2)
		used->q[1] |= SMMU_STE_1_SHCFG;
	if (s1) {
		used->q[0] |= SMMU_STE_0_S1FMT | SMMU_STE_0_S1CTXPTR | SMMU_STE_0_S1CDMAX;
		used->q[1] |= SMMU_STE_1_S1DSS | SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH |
			      SMMU_STE_1_S1STALLD | SMMU_STE_1_STRW | SMMU_STE_1_EATS | SMMU_STE_1_MEV;
		used->q[2] |= SMMU_STE_2_S2VMID; /* tags EL1 translations */
		if (FIELD_GET(SMMU_STE_1_S1DSS, e->q[1]) == SMMU_S1DSS_BYPASS)
			used->q[1] |= SMMU_STE_1_SHCFG;
	}
	if (s2) {
		used->q[1] |= SMMU_STE_1_S2FWB | SMMU_STE_1_EATS | SMMU_STE_1_SHCFG | SMMU_STE_1_MEV;
		used->q[2] |= SMMU_STE_2_S2VMID | BITS(50, 32) | SMMU_STE_2_S2AA64 | SMMU_STE_2_S2ENDI | SMMU_STE_2_S2PTW |
			      SMMU_STE_2_S2S | SMMU_STE_2_S2R;
		used->q[3] |= SMMU_STE_3_S2TTB;
	}
}

void dsmmu_cd_make_s1(struct dsmmu_entry *out, const struct dsmmu_cd_args *a)
{
	const struct dsmmu_table_args *t = &a->t;

	assert((t->root.v & ~SMMU_CD_1_TTB0) == 0);
	*out = (struct dsmmu_entry){ .q = {
		FIELD(SMMU_CD_0_T0SZ, 64u - t->ia_bits) | FIELD(SMMU_CD_0_TG0, t->tg) |
			FIELD(SMMU_CD_0_IR0, t->coherent ? WB_WA : NON_CACHEABLE) |
			FIELD(SMMU_CD_0_OR0, t->coherent ? WB_WA : NON_CACHEABLE) |
			FIELD(SMMU_CD_0_SH0, t->coherent ? SH_INNER : SH_OUTER) |
			(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? SMMU_CD_0_ENDI : 0) | SMMU_CD_0_EPD1 | SMMU_CD_0_V |
			FIELD(SMMU_CD_0_IPS, t->ps) | SMMU_CD_0_AA64 | (a->dirty ? SMMU_CD_0_HA | SMMU_CD_0_HD : 0) |
			(a->stall ? SMMU_CD_0_S : 0) | SMMU_CD_0_R | SMMU_CD_0_A | SMMU_CD_0_ASET |
			FIELD(SMMU_CD_0_ASID, a->asid),
		t->root.v,
		0,
		MAIR_ATTRS,
	} };
	check_used(out, dsmmu_cd_used);
}

void dsmmu_cd_used(const struct dsmmu_entry *e, struct dsmmu_entry *used)
{
	unsigned int i;

	*used = (struct dsmmu_entry){ .q = { SMMU_CD_0_V } };
	if (!(e->q[0] & SMMU_CD_0_V))
		return;
	for (i = 0; i < DSMMU_ENTRY_WORDS; i++)
		used->q[i] = UINT64_MAX;
	if (e->q[0] & SMMU_CD_0_EPD0) {
		used->q[0] &= ~(SMMU_CD_0_T0SZ | SMMU_CD_0_TG0 | SMMU_CD_0_IR0 | SMMU_CD_0_OR0 | SMMU_CD_0_SH0);
		used->q[1] &= ~SMMU_CD_1_TTB0;
	}
}
