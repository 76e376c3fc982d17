/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stream table entry and a context descriptor say, and whether they are ILLEGAL: the conditions of 5.2.2 and 5.4.2 in
 * the order in which they stand there, without those of Secure and Realm streams, VMSAv9-128 and permission indirection.
 *
 * Where SMMUv3.0 leaves a choice this is v3.1: a TxSZ out of range and an S1ContextPtr out of range are ILLEGAL.
 */
#include "hw/smmuv3/model.h"

uint8_t smmu_ps_bits(const struct smmu *v, uint64_t ps)
{
	static const uint8_t bits[8] = {32, 36, 40, 42, 44, 48, 52, 52};
	uint8_t n = bits[ps & 7];

	return n < v->caps.oas ? n : v->caps.oas;
}

/* TG0 and S2TG; 0: reserved. */
static uint8_t granule(uint64_t tg)
{
	static const uint8_t lg2[4] = {12, 16, 14, 0};

	return lg2[tg & 3];
}
static uint8_t granule1(uint64_t tg)
{
	static const uint8_t lg2[4] = {0, 14, 12, 16};

	return lg2[tg & 3];
}

/* Largest TxSZ. */
static unsigned int txsz_max(const struct smmu *v, unsigned int tg)
{
	if (!v->caps.stt)
		return 39;
	return tg == 16 ? 47 : 48;
}

/* Address bits below the alignment of a table with 2^n entries. */
static uint64_t table_base(uint64_t ttb, unsigned int n, unsigned int oa_bits)
{
	unsigned int align = n + 3;

	if (oa_bits == 52 && align < 6)
		align = 6;
	return ttb & ~nb_low_mask(align);
}

static bool beyond(uint64_t addr, unsigned int bits)
{
	return addr >> bits != 0;
}

/* ---- stage 2 of an STE ---- */

/* The start level of S2SL0_2, S2SL0; false: reserved for this granule. DDI 0487, D8.2. */
static bool s2_start(const struct smmu *v, unsigned int tg, bool ds, unsigned int sl0, bool sl2, int8_t *level)
{
	switch (tg) {
	case 12:
		if (ds && sl2) {
			*level = -1;
			return sl0 == 0 && v->caps.oas >= 52;
		}
		*level = sl0 == 3 ? 3 : (int8_t)(2 - (int)sl0);
		return sl0 == 3 ? v->caps.stt : sl0 != 2 || v->caps.oas >= 44;
	case 14:
		*level = (int8_t)(3 - (int)sl0);
		return sl0 == 3 ? ds && v->caps.oas >= 52 : sl0 != 2 || v->caps.oas >= 42;
	default:
		*level = (int8_t)(3 - (int)sl0);
		return sl0 != 3 && (sl0 != 2 || v->caps.oas >= 44);
	}
}

/* False: ILLEGAL. */
static bool decode_s2(const struct smmu *v, const uint64_t q[8], struct smmu_s2 *s)
{
	const struct smmu_caps *c = &v->caps;
	unsigned int t0sz = (unsigned int)FIELD_GET(SMMU_STE_2_S2T0SZ, q[2]), ias = smmu_caps_ias(c), least, stride;
	int bits;

	s->s = q[2] & SMMU_STE_2_S2S;
	s->r = q[2] & SMMU_STE_2_S2R;
	if (s->s ? c->stall_model == SMMU_STALL_NEVER : c->stall_model == SMMU_STALL_ALWAYS)
		return false;
	if (!(q[2] & SMMU_STE_2_S2AA64))
		return false;
	s->ha = q[2] & SMMU_STE_2_S2HA;
	s->hd = q[2] & SMMU_STE_2_S2HD;
	if ((s->ha && c->httu == SMMU_HTTU_NONE) || (s->hd && c->httu < SMMU_HTTU_AD))
		return false;
	s->hd &= s->ha;
	s->tg = granule(FIELD_GET(SMMU_STE_2_S2TG, q[2]));
	if (!smmu_caps_granule(c, s->tg))
		return false;
	s->ds = c->ds && s->tg != 16 && (q[3] & SMMU_STE_3_S2DS);
	s->oa_bits = smmu_ps_bits(v, FIELD_GET(SMMU_STE_2_S2PS, q[2]));
	s->ttb = q[3] & SMMU_STE_3_S2TTB;
	if (beyond(s->ttb, s->oa_bits) || (s->tg != 16 && !s->ds && beyond(s->ttb, 48)))
		return false;
	least = s->tg == 16 || s->ds ? 12 : 16;
	if (least < 64 - ias)
		least = 64 - ias;
	if (t0sz < least || t0sz > txsz_max(v, s->tg))
		return false;
	s->ia_bits = (uint8_t)(64 - t0sz);
	if (!s2_start(v, s->tg, s->ds, (unsigned int)FIELD_GET(SMMU_STE_2_S2SL0, q[2]), q[3] & SMMU_STE_3_S2SL0_2, &s->start))
		return false;
	/* The start table resolves at least one bit, and up to four more than one table: concatenation. */
	stride = s->tg - 3u;
	bits = (int)s->ia_bits - (int)s->tg - (int)stride * (3 - s->start);
	if (bits < 1 || bits > (int)stride + 4)
		return false;
	s->ttb = table_base(s->ttb, (unsigned int)bits, s->oa_bits);
	s->big_endian = q[2] & SMMU_STE_2_S2ENDI;
	if (s->big_endian && !c->big_endian)
		return false;
	s->affd = q[2] & SMMU_STE_2_S2AFFD;
	s->ptw = q[2] & SMMU_STE_2_S2PTW;
	s->fwb = c->fwb && (q[1] & SMMU_STE_1_S2FWB);
	s->vmid = (uint16_t)FIELD_GET(SMMU_STE_2_S2VMID, q[2]);
	return true;
}

/* ---- STE ---- */

void smmu_cfg_hot(struct smmu_cfg *c)
{
	bool tbi = c->s1.tbi[0] && c->s1.tbi[1];

	if (c->kind == SMMU_K_S2) {
		c->in_bias = 0;
		c->in_mask = ~nb_low_mask(c->s2.ia_bits);
	} else {
		/* Bits 63:56 repeat bit 55: adding it clears them all, or carries out. */
		c->in_bias = tbi ? 0 : BIT(55);
		c->in_mask = tbi ? 0 : BITS(63, 56);
	}
	/* With one privilege level all requests have it, so the rights to look at are others. */
	c->hot = c->kind != SMMU_K_BYPASS && (c->kind == SMMU_K_S2 || c->s1.two_ranges) && c->privcfg < SMMU_CFG_UNPRIV &&
		 c->instcfg < SMMU_CFG_UNPRIV;
}

static bool decode_ste(const struct smmu *v, const uint64_t q[8], struct smmu_dev *d)
{
	const struct smmu_caps *c = &v->caps;
	uint64_t strw = FIELD_GET(SMMU_STE_1_STRW, q[1]);
	bool s1, s2, strw_used, split;

	if (!(q[0] & SMMU_STE_0_V))
		return false;
	d->config = (uint8_t)FIELD_GET(SMMU_STE_0_CONFIG, q[0]);
	if (!(d->config & SMMU_STE_CONFIG_BYPASS)) {
		d->config = SMMU_STE_CONFIG_ABORT;
		return true;
	}
	s1 = (d->config & SMMU_STE_CONFIG_S1) == SMMU_STE_CONFIG_S1;
	s2 = (d->config & SMMU_STE_CONFIG_S2) == SMMU_STE_CONFIG_S2;
	if ((s1 && !c->s1) || (s2 && !c->s2))
		return false;

	/* EATS 3 is reserved without DPT and behaves as 0. */
	d->eats = (uint8_t)FIELD_GET(SMMU_STE_1_EATS, q[1]);
	if (!c->ats || d->config == SMMU_STE_CONFIG_BYPASS || d->eats == SMMU_EATS_DPT)
		d->eats = SMMU_EATS_ABORT;
	split = d->eats == SMMU_EATS_SPLIT;
	if (split && (d->config != SMMU_STE_CONFIG_NESTED || (q[2] & SMMU_STE_2_S2S) || c->ns1ats))
		return false;
	if (d->eats == SMMU_EATS_FULL && s2 && (q[2] & SMMU_STE_2_S2S))
		return false;

	strw_used = c->s1 && c->hyp && d->config == SMMU_STE_CONFIG_S1;
	if (strw_used && (strw & 1))
		return false;
	d->regime = SMMU_R_EL1;
	if (strw_used && strw == SMMU_STRW_EL2)
		d->regime = atomic_load_explicit(&v->mode, memory_order_relaxed) & SMMU_MODE_E2H ? SMMU_R_EL2_E2H : SMMU_R_EL2;

	if (s1) {
		d->s1stalld = q[1] & SMMU_STE_1_S1STALLD;
		if (d->s1stalld && c->stall_model != SMMU_STALL_BOTH)
			return false;
		d->s1cdmax = c->ssid_bits ? (uint8_t)FIELD_GET(SMMU_STE_0_S1CDMAX, q[0]) : 0;
		if (d->s1cdmax > c->ssid_bits)
			return false;
		d->s1fmt = (uint8_t)FIELD_GET(SMMU_STE_0_S1FMT, q[0]);
		if (!d->s1cdmax || d->s1fmt > SMMU_S1FMT_64K)
			d->s1fmt = SMMU_S1FMT_LINEAR;
		if (d->s1fmt != SMMU_S1FMT_LINEAR && !c->cd_2level)
			return false;
		d->s1dss = (uint8_t)FIELD_GET(SMMU_STE_1_S1DSS, q[1]);
		d->s1ctx = q[0] & SMMU_STE_0_S1CTXPTR;
		if (beyond(d->s1ctx, s2 ? smmu_caps_ias(c) : c->oas))
			return false;
	}
	if (s2 && !decode_s2(v, q, &d->nos1.s2))
		return false;
	if (c->s2 && d->config != SMMU_STE_CONFIG_BYPASS && d->regime == SMMU_R_EL1) {
		d->vmid = (uint16_t)FIELD_GET(SMMU_STE_2_S2VMID, q[2]);
		if (!c->vmid16 && d->vmid > 0xff)
			return false;
	}

	d->mev = q[1] & SMMU_STE_1_MEV;
	d->ppar = c->pri && c->ssid_bits && (q[1] & SMMU_STE_1_PPAR);
	d->privcfg = c->attr_ovr ? (uint8_t)FIELD_GET(SMMU_STE_1_PRIVCFG, q[1]) : 0;
	d->instcfg = c->attr_ovr ? (uint8_t)FIELD_GET(SMMU_STE_1_INSTCFG, q[1]) : 0;
	d->nos1.kind = s2 ? SMMU_K_S2 : SMMU_K_BYPASS;
	d->nos1.regime = SMMU_R_EL1;
	d->nos1.sid = d->sid;
	d->nos1.ssid = NB_NO_PASID;
	d->nos1.vmid = d->vmid;
	d->nos1.mev = d->mev;
	d->nos1.privcfg = d->privcfg;
	d->nos1.instcfg = d->instcfg;
	smmu_cfg_hot(&d->nos1);
	return true;
}

void smmu_ste_decode(const struct smmu *v, const uint64_t q[8], struct smmu_dev *d)
{
	d->bad = decode_ste(v, q, d) ? 0 : SMMU_EVT_BAD_STE;
}

/* ---- CD ---- */

/* One of the two ranges; what is disabled is not looked at (5.4.1.1). */
static bool decode_range(const struct smmu *v, struct smmu_s1 *s, unsigned int i, uint64_t tg, uint64_t txsz, uint64_t ttb)
{
	const struct smmu_caps *c = &v->caps;
	unsigned int least, stride, bits;

	if (s->epd[i])
		return true;
	s->tg[i] = (uint8_t)tg;
	if (!smmu_caps_granule(c, s->tg[i]))
		return false;
	least = c->vax52 && (tg == 16 || s->ds) ? 12 : 16;
	if (txsz < least || txsz > txsz_max(v, s->tg[i]))
		return false;
	s->ia_bits[i] = (uint8_t)(64 - txsz);
	if (beyond(ttb, s->oa_bits) || (tg != 16 && !s->ds && beyond(ttb, 48)))
		return false;
	stride = s->tg[i] - 3u;
	bits = (s->ia_bits[i] - (unsigned int)s->tg[i] - 1) % stride + 1;
	s->ttb[i] = table_base(ttb, bits, s->oa_bits);
	return true;
}

static bool decode_cd(const struct smmu *v, const uint64_t q[8], const struct smmu_dev *d, struct smmu_s1 *s)
{
	const struct smmu_caps *c = &v->caps;
	bool two = d->regime != SMMU_R_EL2;

	if (!(q[0] & SMMU_CD_0_V))
		return false;
	s->a = q[0] & SMMU_CD_0_A;
	s->r = q[0] & SMMU_CD_0_R;
	s->s = q[0] & SMMU_CD_0_S;
	if ((d->s1stalld && s->s) || (c->no_term_model && !s->a))
		return false;
	if (s->s ? c->stall_model == SMMU_STALL_NEVER : c->stall_model == SMMU_STALL_ALWAYS)
		return false;
	s->two_ranges = two;
	s->epd[0] = two && (q[0] & SMMU_CD_0_EPD0);
	s->epd[1] = !two || (q[0] & SMMU_CD_0_EPD1);
	s->big_endian = q[0] & SMMU_CD_0_ENDI;
	if (s->big_endian && !c->big_endian && !(s->epd[0] && s->epd[1]))
		return false;
	if (!(q[0] & SMMU_CD_0_AA64))
		return false;
	s->ha = q[0] & SMMU_CD_0_HA;
	s->hd = q[0] & SMMU_CD_0_HD;
	if ((s->ha && c->httu == SMMU_HTTU_NONE) || (s->hd && c->httu < SMMU_HTTU_AD))
		return false;
	s->hd &= s->ha;
	s->asid = two ? (uint16_t)FIELD_GET(SMMU_CD_0_ASID, q[0]) : 0;
	if (!c->asid16 && s->asid > 0xff)
		return false;
	s->oa_bits = smmu_ps_bits(v, FIELD_GET(SMMU_CD_0_IPS, q[0]));
	s->ds = c->ds && (q[2] & SMMU_CD_2_DS);
	if (!decode_range(v, s, 0, granule(FIELD_GET(SMMU_CD_0_TG0, q[0])), FIELD_GET(SMMU_CD_0_T0SZ, q[0]),
			  q[1] & SMMU_CD_1_TTB0))
		return false;
	if (!decode_range(v, s, 1, granule1(FIELD_GET(SMMU_CD_0_TG1, q[0])), FIELD_GET(SMMU_CD_0_T1SZ, q[0]),
			  q[2] & SMMU_CD_2_TTB1))
		return false;

	s->tbi[0] = q[0] & SMMU_CD_0_TBI0;
	s->tbi[1] = two && (q[0] & SMMU_CD_0_TBI1);
	s->had[0] = c->had && (q[1] & SMMU_CD_1_HAD0);
	s->had[1] = c->had && two && (q[2] & SMMU_CD_2_HAD1);
	s->e0pd[0] = c->e0pd && two && (q[1] & SMMU_CD_1_E0PD0);
	s->e0pd[1] = c->e0pd && two && (q[2] & SMMU_CD_2_E0PD1);
	s->affd = q[0] & SMMU_CD_0_AFFD;
	s->wxn = q[0] & SMMU_CD_0_WXN;
	s->uwxn = q[0] & SMMU_CD_0_UWXN;
	s->pan = two && (q[0] & SMMU_CD_0_PAN);
	s->epan = c->epan && s->pan && (q[1] & SMMU_CD_1_EPAN);
	s->aset = q[0] & SMMU_CD_0_ASET;
	s->mair = q[3];
	return true;
}

void smmu_cd_decode(const struct smmu *v, const uint64_t q[8], const struct smmu_dev *d, struct smmu_cfg *c)
{
	c->bad = decode_cd(v, q, d, &c->s1) ? 0 : SMMU_EVT_BAD_CD;
	c->kind = d->config == SMMU_STE_CONFIG_NESTED ? SMMU_K_NESTED : SMMU_K_S1;
	c->regime = d->regime;
	c->sid = d->sid;
	c->vmid = d->vmid;
	c->mev = d->mev;
	c->privcfg = d->privcfg;
	c->instcfg = d->instcfg;
	c->s2 = d->nos1.s2;
	smmu_cfg_hot(c);
}
