/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where QEMU's arm-smmuv3 is known to differ from the manual (IHI 0070 G.b, DDI 0487). A filter looks at what the case holds and
 * at both answers, and explains a difference only as a whole: first match wins.
 *
 * All were seen with 11.1.3.
 */
#include "oracle_smmuv3.h"

#define CAUSE (SMMU_EVT_1_S2 | SMMU_EVT_1_CLASS)

static bool command_step(const struct oracle_diff *d)
{
	return d->b->vend[B_CMD_TAIL] && d->step == 0;
}

/* Is this the step after the leaf, the STE or the CD was changed? */
static bool second(const struct oracle_diff *d)
{
	return d->step == (d->b->vend[B_CMD_TAIL] ? 2 : 1);
}

/* As the step that differs found it. */
static uint64_t found(const struct oracle_diff *d, unsigned int what)
{
	unsigned int i;

	for (i = 0; i < d->b->nwords; i++)
		if (d->b->word[i].what == what)
			return second(d) && d->b->vend[B_AGAIN_TAIL] && d->b->word[i].pa == d->b->vend[B_LEAF_PA] ?
				       d->b->vend[B_LEAF] : d->b->word[i].val;
	return 0;
}

static uint64_t config(const struct oracle_diff *d)
{
	return FIELD_GET(SMMU_STE_0_CONFIG, found(d, W_STE));
}
static bool has_s1(const struct oracle_diff *d)
{
	return (config(d) & SMMU_STE_CONFIG_S1) == SMMU_STE_CONFIG_S1;
}
static bool has_s2(const struct oracle_diff *d)
{
	return (config(d) & SMMU_STE_CONFIG_S2) == SMMU_STE_CONFIG_S2;
}

static unsigned int ps_bits(uint64_t code)
{
	static const uint8_t bits[8] = {32, 36, 40, 42, 44, 44, 44, 44};

	return bits[code & 7];
}

static unsigned int granule(uint64_t tg)
{
	return tg == SMMU_TG_64K ? 16 : tg == SMMU_TG_16K ? 14 : 12;
}

static bool nothing(const struct oracle_step *s)
{
	return s->outcome == ORACLE_NOTHING || s->outcome == ORACLE_UNSEEN;
}

/* What ours says: recorded, or not (R, S2R). */
static bool ours_refuses(const struct oracle_diff *d, unsigned int type)
{
	return d->step >= 0 && !command_step(d) && d->ours->reason == type && (d->ours->outcome == ORACLE_FAULT || d->ours->silent);
}
static bool theirs_faults(const struct oracle_diff *d, unsigned int type)
{
	return d->step >= 0 && !command_step(d) && d->theirs->outcome == ORACLE_FAULT && d->theirs->reason == type;
}
/* The same, or, where the stage does not record, nothing. */
static bool theirs_refuses(const struct oracle_diff *d, unsigned int type, unsigned int stage)
{
	bool records = stage == 1 ? found(d, W_CD) & SMMU_CD_0_R : found(d, W_STE + 2) & SMMU_STE_2_S2R;

	return theirs_faults(d, type) || (d->step >= 0 && !command_step(d) && !records && nothing(d->theirs));
}
static bool both_fault(const struct oracle_diff *d)
{
	return d->step >= 0 && !command_step(d) && d->ours->outcome == ORACLE_FAULT && d->theirs->outcome == ORACLE_FAULT;
}

/* Two records alike but for these bits of words 1 and 3. */
static bool alike(const struct oracle_diff *d, uint64_t free1, uint64_t free3)
{
	const uint64_t *a = d->ours->record, *b = d->theirs->record;

	/* Ours has no bits there that the manual does not have. */
	if (both_fault(d) && (a[1] & SMMU_EVT_1_S2) && d->ours->reason != SMMU_EVT_WALK_EABT &&
	    (a[3] & ~(SMMU_EVT_3_IPA & nb_low_mask(SMMU_ORACLE_OAS))))
		return false;
	return both_fault(d) && a[0] == b[0] && !((a[1] ^ b[1]) & ~free1) && a[2] == b[2] && !((a[3] ^ b[3]) & ~free3);
}

/* ---- records ---- */

static bool ipa_low_bits(const struct oracle_diff *d)
{
	return alike(d, 0, nb_low_mask(12)) && (d->ours->record[1] & SMMU_EVT_1_S2);
}

static bool fetch_address(const struct oracle_diff *d)
{
	const uint64_t *a = d->ours->record, *b = d->theirs->record;

	return both_fault(d) && d->ours->reason == SMMU_EVT_CD_FETCH && a[0] == b[0] && a[1] == b[1] &&
	       a[3] == (b[2] & SMMU_EVT_3_FETCH) && !b[3];
}

static bool fetch_width(const struct oracle_diff *d)
{
	return alike(d, 0, ~nb_low_mask(SMMU_ORACLE_OAS)) && d->ours->reason == SMMU_EVT_STE_FETCH;
}

static bool recinvsid(const struct oracle_diff *d)
{
	return !d->c->f[F_RECINV] && ours_refuses(d, SMMU_EVT_BAD_STREAMID) && theirs_faults(d, SMMU_EVT_BAD_STREAMID);
}

/* RnW is the input's, of whatever it was that failed. */
static bool cd_fetch_rnw(const struct oracle_diff *d)
{
	return alike(d, SMMU_EVT_1_RNW, nb_low_mask(12)) &&
	       (d->ours->record[1] & CAUSE) == (SMMU_EVT_1_S2 | FIELD_C(SMMU_EVT_1_CLASS, SMMU_CLASS_CD));
}

/* And so whether it is recorded depends on CD.R, not on S2R. */
static bool tt_stage(const struct oracle_diff *d)
{
	const uint64_t tt = FIELD_C(SMMU_EVT_1_CLASS, SMMU_CLASS_TT);

	if (d->step < 0 || command_step(d) || config(d) != SMMU_STE_CONFIG_NESTED)
		return false;
	if (d->ours->silent)
		return d->theirs->outcome == ORACLE_FAULT && d->theirs->reason == d->ours->reason &&
		       (d->theirs->record[1] & CAUSE) == tt && !(found(d, W_STE + 2) & SMMU_STE_2_S2R);
	if ((d->ours->record[1] & CAUSE) != (SMMU_EVT_1_S2 | tt))
		return false;
	return alike(d, SMMU_EVT_1_S2 | SMMU_EVT_1_TTRNW, nb_low_mask(16)) ||
	       (nothing(d->theirs) && !(found(d, W_CD) & SMMU_CD_0_R));
}

/* ---- requests ---- */

static bool bypass_width(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_ADDR_SIZE) && config(d) == SMMU_STE_CONFIG_BYPASS && d->b->iova >> SMMU_ORACLE_OAS &&
	       nothing(d->theirs);
}

static bool s2_width(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_ADDR_SIZE) && config(d) == SMMU_STE_CONFIG_S2 && d->b->iova >> SMMU_ORACLE_OAS &&
	       nothing(d->theirs);
}

/* ---- STE ---- */

static bool s1cdmax(const struct oracle_diff *d)
{
	return theirs_faults(d, SMMU_EVT_BAD_STE) && config(d) >= SMMU_STE_CONFIG_S1 && (found(d, W_STE) & SMMU_STE_0_S1CDMAX);
}

static bool s1stalld(const struct oracle_diff *d)
{
	return theirs_faults(d, SMMU_EVT_BAD_STE) && config(d) == SMMU_STE_CONFIG_S2 && (found(d, W_STE + 1) & SMMU_STE_1_S1STALLD);
}


static bool context_pointer(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_BAD_STE) && has_s1(d) && (found(d, W_STE) & SMMU_STE_0_S1CTXPTR) >> SMMU_ORACLE_OAS &&
	       (nothing(d->theirs) || d->theirs->reason == SMMU_EVT_CD_FETCH || (d->theirs->record[1] & CAUSE) ==
		(SMMU_EVT_1_S2 | FIELD_C(SMMU_EVT_1_CLASS, SMMU_CLASS_CD)));
}

static bool s2_flags(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_BAD_STE) && has_s2(d) && (found(d, W_STE + 2) & (SMMU_STE_2_S2HA | SMMU_STE_2_S2HD));
}

static bool s2_input_size(const struct oracle_diff *d)
{
	uint64_t w = found(d, W_STE + 2);

	return theirs_faults(d, SMMU_EVT_BAD_STE) && has_s2(d) &&
	       64 - FIELD_GET(SMMU_STE_2_S2T0SZ, w) > ps_bits(FIELD_GET(SMMU_STE_2_S2PS, w));
}

/* The start table resolves nothing. */
static bool s2_start(const struct oracle_diff *d)
{
	uint64_t w = found(d, W_STE + 2), sl0 = FIELD_GET(SMMU_STE_2_S2SL0, w), ia = 64 - FIELD_GET(SMMU_STE_2_S2T0SZ, w);
	unsigned int tg = granule(FIELD_GET(SMMU_STE_2_S2TG, w)), level = tg == 12 ? 2 - (unsigned int)(sl0 & 3) : 3 - (unsigned int)sl0;

	return ours_refuses(d, SMMU_EVT_BAD_STE) && has_s2(d) && sl0 < 3 && ia <= smmu_lsb(tg, level);
}

/* Of a second-level stream table. */
static bool span(const struct oracle_diff *d)
{
	return (d->unit->flags & U_2LEVEL) && ours_refuses(d, SMMU_EVT_BAD_STREAMID);
}

static bool l1std_wide(const struct oracle_diff *d)
{
	return (d->unit->flags & U_2LEVEL) && (found(d, W_L1STD) & BITS(63, 56)) && theirs_faults(d, SMMU_EVT_STE_FETCH);
}

/* ---- CD ---- */

/* The top byte of an address in the upper half. */
static bool tbi1(const struct oracle_diff *d)
{
	uint64_t cd = found(d, W_CD);
	bool differ = !(cd & SMMU_CD_0_TBI0) != !(cd & SMMU_CD_0_TBI1);

	return d->step >= 0 && has_s1(d) && differ && (d->b->iova >> 55 & 1) && d->b->iova >> 56 != 0xff &&
	       (theirs_refuses(d, SMMU_EVT_TRANSLATION, 1) || ours_refuses(d, SMMU_EVT_TRANSLATION));
}

/* QEMU translates both TTBs when it decodes the CD. Only there it says that stage 2 refused a stage 1 table. */
static bool ttb_early(const struct oracle_diff *d)
{
	bool records = found(d, W_STE + 2) & SMMU_STE_2_S2R;

	return d->step >= 0 && config(d) == SMMU_STE_CONFIG_NESTED &&
	       (d->theirs->outcome == ORACLE_FAULT ?
			(d->theirs->record[1] & CAUSE) == (SMMU_EVT_1_S2 | FIELD_C(SMMU_EVT_1_CLASS, SMMU_CLASS_TT)) :
			!records && nothing(d->theirs) && d->ours->outcome != ORACLE_FAULT);
}

/* ---- walks ---- */

/* The address in a table descriptor on the way of `stage` is wider than it may be. */
static bool wide_table(const struct oracle_diff *d, unsigned int stage)
{
	unsigned int bits = stage == 1 ? ps_bits(FIELD_GET(SMMU_CD_0_IPS, found(d, W_CD))) :
					 ps_bits(FIELD_GET(SMMU_STE_2_S2PS, found(d, W_STE + 2)));
	unsigned int l;

	for (l = 0; l < 3; l++) {
		uint64_t e = found(d, (stage == 1 ? W_S1 : W_S2) + l);

		if ((e & 3) == 3 && (e & BITS(47, 12)) >> bits)
			return true;
	}
	return false;
}

/* Does damage lead to another table, whose descriptors are of another level? */
static bool astray(const struct oracle_diff *d)
{
	const uint64_t *f = d->c->f;
	uint64_t x = f[F_CD0_X + 1] | f[F_CD0_X + 2] | f[F_STE3_X];
	struct smmu_plan p;
	unsigned int l;

	smmu_plan(d->unit, d->c, &p);
	for (l = 0; l < 3; l++)
		x |= (l < p.leaf1 ? f[F_E0_X + l] : 0) | (l < p.leaf2 ? f[F_T0_X + l] : 0);
	return x & BITS(47, 12);
}

/* Blocks where the granule has none. */
static bool block_level(const struct oracle_diff *d)
{
	struct smmu_plan p;
	unsigned int l;

	smmu_plan(d->unit, d->c, &p);
	if (!ours_refuses(d, SMMU_EVT_TRANSLATION))
		return false;
	if (astray(d))
		return true;
	/* Tables of another shape, or of the other half: the descriptor of one level is that of another. */
	if (has_s1(d) && (found(d, W_S1 + p.leaf1) & 3) == 1 && ((second(d) && d->c->f[F_AGAIN] == AGAIN_CFGI) || (d->b->iova >> 55 & 1) != (d->c->f[F_HALF] & 1) ||
	    d->c->f[F_CD0_X] & (SMMU_CD_0_T0SZ | SMMU_CD_0_T1SZ | SMMU_CD_0_TG0 | SMMU_CD_0_TG1)))
		return true;
	for (l = 0; l < 2; l++) {
		if (has_s1(d) && (p.tg1 != 12 || l == 0) && (found(d, W_S1 + l) & 3) == 1)
			return true;
		if (has_s2(d) && (p.tg2 != 12 || l == 0) && (found(d, W_S2 + l) & 3) == 1)
			return true;
	}
	return false;
}

/* More than one start table: the second and later ones are not found. */
static bool concatenated(const struct oracle_diff *d)
{
	uint64_t w = found(d, W_STE + 2), sl0 = FIELD_GET(SMMU_STE_2_S2SL0, w), ia = 64 - FIELD_GET(SMMU_STE_2_S2T0SZ, w);
	unsigned int tg = granule(FIELD_GET(SMMU_STE_2_S2TG, w)), level = tg == 12 ? 2 - (unsigned int)(sl0 & 3) : 3 - (unsigned int)sl0;

	uint64_t one = smmu_lsb(tg, level) + tg - 3;

	return d->step >= 0 && has_s2(d) && sl0 < 3 && ia > one && ia <= one + 4 && d->theirs->outcome != ORACLE_LANDED &&
	       !theirs_faults(d, SMMU_EVT_BAD_STE);
}

static bool ttb_cut(const struct oracle_diff *d)
{
	return config(d) == SMMU_STE_CONFIG_NESTED && ours_refuses(d, SMMU_EVT_WALK_EABT) &&
	       (found(d, W_S2_TT) & BITS(47, 12)) >> ps_bits(FIELD_GET(SMMU_CD_0_IPS, found(d, W_CD)));
}

static bool table_address_size(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_ADDR_SIZE) && ((has_s1(d) && wide_table(d, 1)) || (has_s2(d) && wide_table(d, 2)) || astray(d));
}

/* 7.3.22: of a descriptor its output address, then the flag, then rights. */
static bool order_of_checks(const struct oracle_diff *d)
{
	return ours_refuses(d, SMMU_EVT_ADDR_SIZE) && (theirs_faults(d, SMMU_EVT_ACCESS) || theirs_faults(d, SMMU_EVT_PERMISSION));
}

/* ---- what was cached ---- */

static bool global(const struct oracle_diff *d)
{
	struct smmu_plan p;

	smmu_plan(d->unit, d->c, &p);
	return second(d) && d->c->f[F_AGAIN] == AGAIN_VA && d->c->f[F_AGAIN_BEFORE] & 1 && has_s1(d) &&
	       !(smmu_word(d->b, W_S1 + p.leaf1) & SMMU_PTE_NG) && d->theirs->outcome != ORACLE_FAULT;
}

static uint64_t aptable(const struct oracle_diff *d)
{
	uint64_t all = 0;
	unsigned int l;

	for (l = 0; l < 3; l++)
		if ((found(d, W_S1 + l) & 3) == 3)
			all |= found(d, W_S1 + l);
	return all & (SMMU_PTE_APTABLE0 | SMMU_PTE_APTABLE1);
}

/* A write after a read of the same page. */
static bool write_hit(const struct oracle_diff *d)
{
	return d->c->f[F_DEV] == DEV_READ_WRITE && second(d) && ours_refuses(d, SMMU_EVT_PERMISSION);
}

static bool aptable_hit(const struct oracle_diff *d)
{
	return write_hit(d) && has_s1(d) && aptable(d) && d->theirs->outcome != ORACLE_FAULT;
}

static bool s2_hit(const struct oracle_diff *d)
{
	return write_hit(d) && has_s2(d) && d->ours->record[1] & SMMU_EVT_1_S2 &&
	       (alike(d, 0, UINT64_MAX) || (!has_s1(d) && d->theirs->outcome == ORACLE_NOTHING));
}

static bool aptable_early(const struct oracle_diff *d)
{
	return has_s1(d) && aptable(d) && (d->ours->outcome == ORACLE_FAULT || d->ours->silent) && theirs_faults(d, SMMU_EVT_PERMISSION) && !(d->theirs->record[1] & SMMU_EVT_1_S2);
}

/* A stage 1 table takes several pages of stage 2, and the descriptor is not in the first. */
static bool table_in_one(const struct oracle_diff *d)
{
	static const uint8_t tg1[4] = {12, 14, 12, 16};
	uint64_t cd = found(d, W_CD), tt = SMMU_EVT_1_S2 | FIELD_C(SMMU_EVT_1_CLASS, SMMU_CLASS_TT);
	unsigned int tg = d->b->iova >> 55 & 1 ? tg1[FIELD_GET(SMMU_CD_0_TG1, cd)] : granule(FIELD_GET(SMMU_CD_0_TG0, cd));
	struct smmu_plan p;

	smmu_plan(d->unit, d->c, &p);
	return d->step >= 0 && config(d) == SMMU_STE_CONFIG_NESTED && tg > smmu_lsb(p.tg2, p.inner) &&
	       (d->c->f[F_TTLEAF_X] || (d->ours->record[1] & CAUSE) == tt);
}

static bool unprivileged(const struct oracle_diff *d)
{
	struct smmu_plan p;
	unsigned int l;

	smmu_plan(d->unit, d->c, &p);
	if (!ours_refuses(d, SMMU_EVT_PERMISSION) || !has_s1(d))
		return false;
	for (l = p.start1; l <= p.leaf1; l++) {
		uint64_t e = found(d, W_S1 + l);

		if (l == p.leaf1 || (e & 3) == 1 ? !(e & SMMU_PTE_AP1) : (e & SMMU_PTE_APTABLE0) != 0)
			return true;
	}
	return false;
}

const struct oracle_filter smmu_known[] = {
	{"ipa-low-bits", "7.3.13 IPA[55:12]", "bits 11:0 of the IPA are recorded", ipa_low_bits},
	{"fetch-address", "7.3.10 FetchAddr", "of a CD lies where other events have InputAddr", fetch_address},
	{"fetch-width", "7.3.4 FetchAddr[55:OAS]", "bits beyond OAS are recorded", fetch_width},
	{"recinvsid", "6.3.12, 7.3.3", "C_BAD_STREAMID is recorded without CR2.RECINVSID", recinvsid},
	{"cd-fetch-rnw", "7.3.13 RnW", "of a CD fetch that stage 2 refuses is that of the fetch", cd_fetch_rnw},
	{"tt-stage", "7.3.13 S2, CLASS", "stage 2 refuses a stage 1 table: told as of stage 1", tt_stage},
	{"bypass-width", "3.4", "bypassed addresses beyond OAS pass", bypass_width},
	{"s2-width", "3.4", "stage 2 alone: addresses beyond IAS are aborted in silence", s2_width},
	{"s1cdmax", "5.2 S1CDMax", "is looked at without SubstreamIDs, and for stage 2 alone", s1cdmax},
	{"s1stalld", "5.2 S1STALLD", "is looked at for stage 2 alone", s1stalld},
	{"s2-start", "5.2 S2SL0", "a start level above what S2T0SZ needs is taken", s2_start},
	{"span", "7.3.3 (2)", "StreamIDs beyond L1STD.Span: other event, other limit", span},
	{"l1std-wide", "5.1 L2Ptr[55:6]", "bits 63:56 count as address", l1std_wide},
	{"context-pointer", "3.4.3 (1), (2)", "S1ContextPtr out of range is used", context_pointer},
	{"s2-flags", "5.2.2, IDR0.HTTU", "S2HA and S2HD are ignored where they are ILLEGAL", s2_flags},
	{"s2-input-size", "5.2 S2T0SZ", "an input size above S2PS is ILLEGAL", s2_input_size},
	{"tbi1", "5.4 TBI1", "TBI0 counts for both halves", tbi1},
	{"ttb-early", "3.4, 7.3.22", "both TTBs pass through stage 2 when the CD is read, and fault then", ttb_early},
	{"ttb-cut", "7.3.22", "the memory behind a TTB is cut to IPS", ttb_cut},
	{"table-address-size", "3.4.3, 7.3.14", "addresses in table descriptors are not checked against IPS and S2PS", table_address_size},
	{"block-level", "DDI 0487 D8.3.1", "blocks are taken at every level but 3", block_level},
	{"concatenated", "DDI 0487 D8.2", "of concatenated start tables of stage 2 only the first is used", concatenated},
	{"order-of-checks", "7.3.22 (2c)", "the output address is looked at after flag and rights", order_of_checks},
	{"global", "4.4.2.4", "TLBI_NH_VA leaves global entries of other ASIDs", global},
	{"aptable-hit", "13.4, DDI 0487 D8.4", "APTable is forgotten after a read", aptable_hit},
	{"s2-hit", "7.3.16", "a write that hits a read-only entry of stage 2: no IPA, with stage 2 alone no record", s2_hit},
	{"aptable-early", "7.3.22", "APTable faults before what is below", aptable_early},
	{"table-in-one", "7.3.22 (2)", "stage 1 tables of several pages are taken as one piece", table_in_one},
	{"unprivileged", "13.4, DDI 0487 D8.4", "AP[1] and APTable[0] are ignored", unprivileged},
	{NULL, NULL, NULL, NULL},
};
