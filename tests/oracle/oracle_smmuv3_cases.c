/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMUv3 cases: plain and random ones, and how a case is printed.
 *
 * Addresses, levels, granules, sizes, tags and device are always random, and so are bits that the manual says are ignored. On top
 * of that a case has no, one or two damages: a bit of any word on the path, missing rights, another configuration, a strange address.
 */
#include <inttypes.h>

#include "oracle_smmuv3.h"

#define LAND	 UINT64_C(0x4d000000)
#define LAND_LEN UINT64_C(0x800000)

#define STE1_IGNORED (SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH | SMMU_STE_1_DRE | SMMU_STE_1_DCP | SMMU_STE_1_SW |     \
		      SMMU_STE_1_MEMATTR | SMMU_STE_1_MTCFG | SMMU_STE_1_ALLOCCFG | SMMU_STE_1_SHCFG | SMMU_STE_1_NSCFG |           \
		      SMMU_STE_1_PRIVCFG | SMMU_STE_1_INSTCFG)
#define STE2_IGNORED (SMMU_STE_2_S2IR0 | SMMU_STE_2_S2OR0 | SMMU_STE_2_S2SH0)
#define CD0_IGNORED (SMMU_CD_0_IR0 | SMMU_CD_0_OR0 | SMMU_CD_0_SH0 | SMMU_CD_0_IR1 | SMMU_CD_0_OR1 | SMMU_CD_0_SH1 | SMMU_CD_0_ASET |  \
		     SMMU_CD_0_UWXN | SMMU_CD_0_WXN | SMMU_CD_0_PAN)
/* Of all descriptors: software's bits. Of leaves: attributes, execute permission, nG. */
#define ANY_IGNORED  BITS(58, 55)
#define S1_LEAF_NOISE (SMMU_PTE_ATTRINDX | SMMU_PTE_NS | SMMU_PTE_SH | SMMU_PTE_NG | SMMU_PTE_PXN | SMMU_PTE_UXN | BITS(62, 59))
#define S2_LEAF_NOISE (SMMU_S2PTE_MEMATTR | SMMU_S2PTE_SH | SMMU_S2PTE_XN | BITS(62, 59))
#define TABLE_NOISE  (BITS(11, 2) | BITS(54, 51) | SMMU_PTE_PXNTABLE | SMMU_PTE_UXNTABLE | SMMU_PTE_NSTABLE)

const char *const smmu_fields[] = {
	[F_KIND] = "kind", [F_DEV] = "dev", [F_EN] = "en", [F_GBPA] = "gbpa", [F_RAW] = "raw", [F_IOVA] = "iova", [F_LAND] = "land",
	[F_IPA] = "ipa", [F_LOG2SIZE] = "log2size", [F_STRTAB_X] = "strtab_x", [F_SPLIT] = "split", [F_SPAN] = "span",
	[F_L1STD_X] = "l1std_x", [F_STE0_X] = "ste0_x", [F_STE1_X] = "ste1_x", [F_STE2_X] = "ste2_x", [F_STE3_X] = "ste3_x",
	[F_STE4_X] = "ste4_x", [F_VMID] = "vmid", [F_S2IA] = "s2ia", [F_S2TG] = "s2tg", [F_S2DOWN] = "s2down", [F_S2PS] = "s2ps",
	[F_CD0_X] = "cd0_x", [F_CD1_X] = "cd1_x", [F_CD2_X] = "cd2_x", [F_CD3_X] = "cd3_x", [F_HALF] = "half", [F_S1IA] = "s1ia",
	[F_TG] = "tg", [F_IPS] = "ips", [F_ASID] = "asid", [F_TBI] = "tbi", [F_HAD] = "had", [F_EPD] = "epd", [F_TOP] = "top",
	[F_OTHER] = "other", [F_S1LEAF] = "s1leaf", [F_R] = "r", [F_E0_X] = "e0_x", [F_E1_X] = "e1_x", [F_E2_X] = "e2_x",
	[F_E3_X] = "e3_x", [F_S2LEAF] = "s2leaf", [F_T0_X] = "t0_x", [F_T1_X] = "t1_x", [F_T2_X] = "t2_x", [F_T3_X] = "t3_x",
	[F_INNER] = "inner", [F_CDLEAF_X] = "cdleaf_x", [F_TTLEAF_X] = "ttleaf_x", [F_TTLEAF] = "ttleaf", [F_AGAIN] = "again",
	[F_AGAIN_X] = "again_x", [F_AGAIN_S2] = "again_s2", [F_AGAIN_TG] = "again_tg", [F_AGAIN_NUM] = "again_num",
	[F_AGAIN_SCALE] = "again_scale", [F_AGAIN_BEFORE] = "again_before", [F_AGAIN_TTL] = "again_ttl", [F_AGAIN_LEAF] = "again_leaf",
	[F_CMD0] = "cmd0", [F_CMD1] = "cmd1", [F_RECINV] = "recinv", [F_COUNT] = NULL,
};

void smmu_plain(const struct oracle_unit *u, struct oracle_case *c)
{
	memset(c, 0, sizeof(*c));
	c->f[F_KIND] = u->flags & U_S2 ? SMMU_STE_CONFIG_S2 : SMMU_STE_CONFIG_S1;
	c->f[F_EN] = 1;
	c->f[F_RECINV] = 1;
	c->f[F_IOVA] = 0x1234567000;
	c->f[F_LAND] = LAND;
	c->f[F_IPA] = UINT64_C(0x300020001);
	c->f[F_LOG2SIZE] = 9;
	c->f[F_SPLIT] = 6;
	c->f[F_SPAN] = 7;
	c->f[F_S1IA] = c->f[F_S2IA] = 40;
	c->f[F_S2PS] = c->f[F_IPS] = SMMU_OAS_44;
	c->f[F_S1LEAF] = c->f[F_S2LEAF] = c->f[F_INNER] = 3;
	c->f[F_EPD] = 1;
	c->f[F_R] = 1 | 3 << 2;
}

static bool chance(uint64_t *rng, unsigned int one_in)
{
	return oracle_rnd(rng, one_in) == 0;
}

static uint64_t one_bit(uint64_t *rng)
{
	return BIT(oracle_rnd(rng, 64));
}

/* Half of the time bits that are where something matters. */
static uint64_t one_bit_of(uint64_t *rng, uint64_t mask)
{
	uint64_t bit = one_bit(rng);
	unsigned int i;

	for (i = 0; i < 64 && chance(rng, 2) && !(bit & mask); i++)
		bit = one_bit(rng);
	return bit;
}

/* IOVAs at which something may be special. */
static uint64_t strange(uint64_t *rng)
{
	static const uint8_t edge[] = {12, 25, 31, 32, 36, 39, 40, 43, 44, 47, 48, 49, 52, 55, 56, 63};

	switch (oracle_rnd(rng, 4)) {
	case 0:
		return BIT(edge[oracle_rnd(rng, sizeof(edge))]);
	case 1:
		return ~(BIT(edge[oracle_rnd(rng, sizeof(edge))]) - 1);
	case 2:
		return (BIT(edge[oracle_rnd(rng, sizeof(edge))]) - 1) & ~UINT64_C(4095);
	default:
		return oracle_rnd64(rng) & ~UINT64_C(4095);
	}
}

static void choose_kind(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	uint64_t n = oracle_rnd(rng, 32);

	if (n == 0)
		c->f[F_KIND] = SMMU_STE_CONFIG_BYPASS;
	else if (n == 1)
		c->f[F_KIND] = oracle_rnd(rng, 8);
	else if (!(u->flags & (U_S1 | U_S2)))
		c->f[F_KIND] = n < 12 ? SMMU_STE_CONFIG_S1 : n < 19 ? SMMU_STE_CONFIG_S2 : SMMU_STE_CONFIG_NESTED;
}

static void streams(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	unsigned int split = 6 + 2 * (unsigned int)oracle_rnd(rng, 3);

	if (u->flags & U_2LEVEL) {
		c->f[F_SPLIT] = split;
		c->f[F_SPAN] = split + 1;
		c->f[F_LOG2SIZE] = 9 + oracle_rnd(rng, 8);
	} else {
		c->f[F_LOG2SIZE] = 9 + oracle_rnd(rng, 5);
	}
	c->f[F_RECINV] = !chance(rng, 32);
	if (chance(rng, 64))
		c->f[F_EN] = 0;
	if (chance(rng, 64))
		c->f[F_GBPA] = 1;
	c->f[F_STE1_X] = oracle_rnd64(rng) & STE1_IGNORED;
	c->f[F_STE2_X] = oracle_rnd64(rng) & STE2_IGNORED;
	c->f[F_VMID] = oracle_rnd(rng, 1u << 16);
}

static uint64_t size_of(uint64_t *rng, unsigned int least)
{
	static const uint8_t bits[] = {32, 36, 40, 42, 44, 48, 52};
	unsigned int i = (unsigned int)oracle_rnd(rng, sizeof(bits));

	return bits[i] >= least ? i : SMMU_OAS_44;
}

static void geometry(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	struct smmu_plan p;
	unsigned int l;

	c->f[F_DEV] = chance(rng, 8) ? DEV_READ + oracle_rnd(rng, 2) : oracle_rnd(rng, 2);
	c->f[F_IOVA] = oracle_rnd64(rng);
	c->f[F_LAND] = LAND + oracle_rnd(rng, LAND_LEN >> 12) * 4096;
	c->f[F_IPA] = oracle_rnd64(rng);
	choose_kind(u, rng, c);
	streams(u, rng, c);
	c->f[F_TG] = oracle_rnd(rng, 3);
	c->f[F_S2TG] = oracle_rnd(rng, 3);
	c->f[F_S1IA] = 25 + oracle_rnd(rng, 24);
	c->f[F_S2IA] = 25 + oracle_rnd(rng, 20);
	c->f[F_S2DOWN] = chance(rng, 16);
	c->f[F_S1LEAF] = chance(rng, 2) ? 3 : 1 + oracle_rnd(rng, 2);
	c->f[F_S2LEAF] = chance(rng, 2) ? 3 : 1 + oracle_rnd(rng, 2);
	c->f[F_INNER] = chance(rng, 2) ? 3 : 1 + oracle_rnd(rng, 2);
	c->f[F_HALF] = oracle_rnd(rng, 2);
	c->f[F_ASID] = oracle_rnd(rng, 1u << 16);
	c->f[F_TBI] = chance(rng, 16) ? oracle_rnd(rng, 4) : 3 * oracle_rnd(rng, 2); /* mostly in both halves: "tbi1" */
	c->f[F_TOP] = oracle_rnd(rng, 256);
	c->f[F_HAD] = chance(rng, 8) ? oracle_rnd(rng, 4) : 0;
	c->f[F_EPD] = oracle_rnd(rng, 2);
	c->f[F_OTHER] = oracle_rnd64(rng) & (chance(rng, 16) ? 0x1fff : 0xfff); /* its table mostly is there: "ttb-early" */
	smmu_plan(u, c, &p);
	c->f[F_IPS] = size_of(rng, p.s2 ? p.ia2 : 32);
	c->f[F_S2PS] = size_of(rng, chance(rng, 16) ? 32 : p.ia2); /* "s2-input-size" */
	c->f[F_CD0_X] = oracle_rnd64(rng) & CD0_IGNORED;
	c->f[F_CD3_X] = oracle_rnd64(rng);
	for (l = 0; l < 4; l++) {
		if (chance(rng, 2))
			c->f[F_E0_X + l] = oracle_rnd64(rng) & (ANY_IGNORED | (l == p.leaf1 ? S1_LEAF_NOISE : TABLE_NOISE));
		if (chance(rng, 2))
			c->f[F_T0_X + l] = oracle_rnd64(rng) & (ANY_IGNORED | (l == p.leaf2 ? S2_LEAF_NOISE : TABLE_NOISE));
	}
}

/* A second access, after the leaf was changed to another page, to read-only or to nothing; or the STE or CD to something else. */
static void again(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	struct smmu_plan p;
	bool s2;

	c->f[F_AGAIN] = AGAIN_ALL + oracle_rnd(rng, AGAIN_COUNT - AGAIN_ALL);
	c->f[F_AGAIN_S2] = oracle_rnd(rng, 2);
	c->f[F_AGAIN_TG] = oracle_rnd(rng, 2);
	c->f[F_AGAIN_NUM] = oracle_rnd(rng, 32);
	c->f[F_AGAIN_SCALE] = chance(rng, 2) ? 0 : oracle_rnd(rng, 8);
	c->f[F_AGAIN_BEFORE] = oracle_rnd(rng, 1u << 12);
	c->f[F_AGAIN_TTL] = oracle_rnd(rng, 2);
	c->f[F_AGAIN_LEAF] = oracle_rnd(rng, 2);
	if (c->f[F_AGAIN] == AGAIN_CFGI) {
		c->f[F_AGAIN_X] = oracle_rnd(rng, 2) ? BIT(oracle_rnd(rng, 4)) : one_bit(rng) & ~BITS(51, 6);
		return;
	}
	smmu_plan(u, c, &p);
	s2 = p.s2 && (!p.s1 || c->f[F_AGAIN_S2]);
	switch (oracle_rnd(rng, 4)) {
	case 0:
		c->f[F_AGAIN_X] = s2 ? SMMU_S2PTE_W : SMMU_PTE_AP2;
		break;
	case 1:
		c->f[F_AGAIN_X] = SMMU_PTE_VALID;
		break;
	default:
		c->f[F_AGAIN_X] = oracle_rnd64(rng) & (LAND_LEN - 1) &
				  ~nb_low_mask(s2 ? smmu_lsb(p.tg2, p.leaf2) : smmu_lsb(p.tg1, p.leaf1));
	}
}

/* A command that may be illegal. */
static void command(uint64_t *rng, struct oracle_case *c)
{
	static const uint8_t legal[] = {SMMU_CMD_PREFETCH_CONFIG, SMMU_CMD_PREFETCH_ADDR, SMMU_CMD_CFGI_STE, SMMU_CMD_CFGI_STE_RANGE,
					SMMU_CMD_CFGI_CD, SMMU_CMD_CFGI_CD_ALL, SMMU_CMD_TLBI_NH_ALL, SMMU_CMD_TLBI_NH_ASID,
					SMMU_CMD_TLBI_NH_VA, SMMU_CMD_TLBI_NH_VAA, SMMU_CMD_TLBI_S12_VMALL, SMMU_CMD_TLBI_S2_IPA,
					SMMU_CMD_TLBI_NSNH_ALL, SMMU_CMD_SYNC};
	uint64_t op = oracle_rnd(rng, 2) ? legal[oracle_rnd(rng, sizeof(legal))] : oracle_rnd(rng, 256);

	c->f[F_CMD0] = (oracle_rnd64(rng) & ~UINT64_C(0xff)) | op;
	c->f[F_CMD1] = oracle_rnd64(rng);
}

static void damage(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	unsigned int l = (unsigned int)oracle_rnd(rng, 4);
	const uint64_t desc = BITS(1, 0) | BITS(7, 6) | SMMU_PTE_AF | BITS(47, 40) | BITS(62, 61);

	switch (oracle_rnd(rng, 16)) {
	case 0:
	case 1:
		l = (unsigned int)oracle_rnd(rng, 5);
		c->f[F_STE0_X + l] ^= one_bit_of(rng, l == 0 ? BITS(3, 0) | BITS(63, 59) : l == 2 ? BITS(63, 32) : UINT64_MAX);
		break;
	case 2:
	case 3:
		l = (unsigned int)oracle_rnd(rng, 3);
		c->f[F_CD0_X + l] ^= one_bit_of(rng, l ? BITS(59, 40) | BITS(5, 1) : UINT64_MAX);
		break;
	case 4:
	case 5:
	case 6:
		c->f[F_E0_X + l] ^= one_bit_of(rng, desc);
		break;
	case 7:
	case 8:
	case 9:
		c->f[F_T0_X + l] ^= one_bit_of(rng, desc);
		break;
	case 10:
		c->f[F_R] = oracle_rnd(rng, 16);
		break;
	case 11:
		c->f[F_RAW] = 1;
		c->f[F_IOVA] = strange(rng);
		break;
	case 12:
		c->f[F_CDLEAF_X] = one_bit_of(rng, desc);
		break;
	case 13:
		c->f[F_TTLEAF] = l;
		c->f[F_TTLEAF_X] = one_bit_of(rng, desc);
		break;
	case 14:
		if (l == 0)
			c->f[F_IPS] = oracle_rnd(rng, 8);
		else if (l == 1)
			c->f[F_S2PS] = oracle_rnd(rng, 8);
		else
			c->f[F_KIND] = oracle_rnd(rng, 8);
		break;
	default:
		if (l == 0)
			c->f[F_LOG2SIZE] = oracle_rnd(rng, 64);
		else if (l == 1)
			c->f[F_STRTAB_X] = one_bit(rng);
		else if (u->flags & U_2LEVEL)
			c->f[l == 2 ? F_SPAN : F_L1STD_X] = l == 2 ? oracle_rnd(rng, 32) : one_bit(rng);
		else
			c->f[F_STE0_X] ^= SMMU_STE_0_V;
	}
}

void smmu_random(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	static const uint8_t damages[] = {0, 0, 0, 1, 1, 1, 1, 2};
	unsigned int n = damages[oracle_rnd(rng, sizeof(damages))];

	geometry(u, rng, c);
	if (chance(rng, 4))
		again(u, rng, c);
	if (chance(rng, 16))
		command(rng, c);
	while (n-- > 0)
		damage(u, rng, c);
}

/* ---- printing ---- */

static void on_step(void *opaque, const struct hw_step *s)
{
	unsigned int i;
	FILE *to = opaque;

	fprintf(to, "    %-34s", s->name);
	if (s->stage)
		fprintf(to, " stage %u level %u", s->stage, 4u - s->level);
	if (s->gpa_valid)
		fprintf(to, " IPA %#" PRIx64, s->gpa.v);
	fprintf(to, " at %#" PRIx64 ":", s->pa.v);
	if (!s->fetched)
		fprintf(to, " no memory");
	for (i = 0; s->fetched && i < s->nwords; i++)
		fprintf(to, " %#" PRIx64, s->word[i]);
	fprintf(to, "  %s\n", s->fields);
}

void smmu_print(struct oracle *o, const struct oracle_case *c, const struct oracle_built *b, FILE *to)
{
	struct hw_request req = {.addr = b->iova, .pasid = NB_NO_PASID, .rid = smmu_rid(c),
				 .access = c->f[F_DEV] < DEV_READ ? HW_WRITE : HW_READ};
	struct smmu_plan p;
	struct hw_result res;
	unsigned int i;

	smmu_plan(o->unit, c, &p);
	fprintf(to, "  %s of %#" PRIx64 " by %02x:%02x.%x, meant for %#" PRIx64 ", STRTAB_BASE %#" PRIx64 ", _CFG %#" PRIx64 "\n",
		c->f[F_DEV] < DEV_READ ? "write" : c->f[F_DEV] == DEV_READ ? "read" : "read, then write of the same page,",
		b->iova, smmu_rid(c) >> 8, smmu_rid(c) >> 3 & 31, smmu_rid(c) & 7, b->target, b->vend[0], b->vend[1]);
	fprintf(to, "  Config %u; stage 1: granule 2^%u, %u bits, level %u to %u; stage 2: 2^%u, %u bits, level %u to %u, inner %u; IPA %#"
		PRIx64 "\n", p.kind, p.tg1, p.ia1, p.start1, p.leaf1, p.tg2, p.ia2, p.start2, p.leaf2, p.inner, b->vend[B_IPA]);
	for (i = 0; i < b->nwords; i++)
		oracle_put64(o, o->ours, b->word[i].pa, b->word[i].val);
	o->hw->ops->walk(o->hw, &req, on_step, to, &res);
	for (i = 0; i < b->nwords; i++)
		oracle_put64(o, o->ours, b->word[i].pa, 0);
}

void smmu_print_step(const struct oracle_step *s, FILE *to)
{
	if (s->reason >= 0xc0) {
		fprintf(to, ": command: CERROR %#" PRIx64 ", GERROR %#" PRIx64 ", CONS %#" PRIx64, s->record[0], s->record[1], s->record[2]);
		return;
	}
	fprintf(to, ": event %#x, SID %#" PRIx64 ", S2=%d CLASS=%d RnW=%d addr %#" PRIx64 " (%#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64
		")", s->reason, FIELD_GET(SMMU_EVT_0_SID, s->record[0]), (s->record[1] & SMMU_EVT_1_S2) != 0,
		(int)FIELD_GET(SMMU_EVT_1_CLASS, s->record[1]), (s->record[1] & SMMU_EVT_1_RNW) != 0, s->record[2], s->record[0],
		s->record[1], s->record[2], s->record[3]);
}
