/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VT-d cases: plain and random ones, and how a case is printed.
 *
 * Addresses, levels, page sizes, domain and device are always random, and so are bits that the manual says are ignored. On top
 * of that a case has no, one or two damages: a bit of any word on the path, missing rights, another type, a strange address.
 */
#include <inttypes.h>

#include "oracle_vtd.h"

#define LAND	  UINT64_C(0x6800000) /* three bits set: no flip of one leads into rings or structures */
#define LAND_LEN  UINT64_C(0x800000)
#define SS_PLAIN  (VTD_SSPTE_R | VTD_SSPTE_W)
#define FS_PLAIN  (VTD_FSPTE_P | VTD_FSPTE_RW | VTD_FSPTE_US)
#define SS_IGNORED (VTD_SSPTE_X | BIT(10) | BITS(60, 52) | BIT(63))
#define FS_IGNORED (VTD_FSPTE_PWT | VTD_FSPTE_PCD | BITS(11, 8) | BITS(63, 52))

const char *const vtd_fields[] = {
	[F_TTM] = "ttm", [F_DEV] = "dev", [F_RAW] = "raw", [F_IOVA] = "iova", [F_LAND] = "land", [F_INVAL] = "inval",
	[F_LEAF] = "leaf", [F_RTA_X] = "rta_x", [F_ROOT_X] = "root_x", [F_ROOT_OTHER] = "root_other", [F_TT] = "tt",
	[F_AW] = "aw", [F_DID] = "did", [F_CTX0_X] = "ctx0_x", [F_CTX1_X] = "ctx1_x", [F_CTX2_X] = "ctx2_x",
	[F_CTX3_X] = "ctx3_x", [F_PDTS] = "pdts", [F_PDIR_X] = "pdir_x", [F_PGTT] = "pgtt", [F_FSPM] = "fspm",
	[F_P0_X] = "p0_x", [F_P1_X] = "p1_x", [F_P2_X] = "p2_x", [F_P3_X] = "p3_x", [F_P4_X] = "p4_x", [F_P5_X] = "p5_x",
	[F_P6_X] = "p6_x", [F_P7_X] = "p7_x", [F_R1] = "r1", [F_R2] = "r2", [F_R3] = "r3", [F_R4] = "r4", [F_R5] = "r5",
	[F_E1_X] = "e1_x", [F_E2_X] = "e2_x", [F_E3_X] = "e3_x", [F_E4_X] = "e4_x", [F_E5_X] = "e5_x",
	[F_AGAIN] = "again", [F_AGAIN_X] = "again_x", [F_AGAIN_AM] = "again_am", [F_AGAIN_IH] = "again_ih",
	[F_COUNT] = NULL,
};

void vtd_plain(const struct oracle_unit *u, struct oracle_case *c)
{
	unsigned int l;

	memset(c, 0, sizeof(*c));
	c->f[F_TTM] = u->flags & (U_SM | U_FS) ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;
	c->f[F_IOVA] = 0x1234567000;
	c->f[F_LAND] = LAND;
	c->f[F_LEAF] = 1;
	c->f[F_AW] = u->flags & U_FS ? VTD_AW_48 : VTD_AW_39;
	c->f[F_DID] = 5;
	c->f[F_PGTT] = u->flags & U_FS ? VTD_PGTT_FS : VTD_PGTT_SS;
	for (l = 1; l <= 5; l++)
		c->f[F_R1 + l - 1] = u->flags & U_FS ? FS_PLAIN : SS_PLAIN;
}

static bool chance(uint64_t *rng, unsigned int one_in)
{
	return oracle_rnd(rng, one_in) == 0;
}

static uint64_t one_bit(uint64_t *rng)
{
	return BIT(oracle_rnd(rng, 64));
}

/* IOVAs at which something may be special. */
static uint64_t strange(uint64_t *rng)
{
	static const uint8_t edge[] = {12, 30, 32, 38, 39, 47, 48, 52, 56, 57, 63};

	switch (oracle_rnd(rng, 5)) {
	case 0:
		return UINT64_C(0xfee00000) | oracle_rnd(rng, 0x100) << 12;
	case 1:
		return BIT(edge[oracle_rnd(rng, sizeof(edge))]);
	case 2:
		return ~(BIT(edge[oracle_rnd(rng, sizeof(edge))]) - 1);
	case 3:
		return (BIT(edge[oracle_rnd(rng, sizeof(edge))]) - 1) & ~UINT64_C(4095);
	default:
		return oracle_rnd64(rng) & ~UINT64_C(4095);
	}
}

static void geometry(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	unsigned int l;

	c->f[F_DEV] = oracle_rnd(rng, 8) == 0 ? DEV_READ + oracle_rnd(rng, 2) : oracle_rnd(rng, 2);
	c->f[F_IOVA] = oracle_rnd64(rng);
	c->f[F_LAND] = LAND + oracle_rnd(rng, LAND_LEN >> 12) * 4096;
	c->f[F_INVAL] = oracle_rnd(rng, 2);
	c->f[F_LEAF] = chance(rng, 3) ? 2 + oracle_rnd(rng, 2) : 1;
	c->f[F_DID] = oracle_rnd(rng, 1u << 16);
	if (!(u->flags & U_FS) && !(u->flags & U_AW39))
		c->f[F_AW] = VTD_AW_39 + oracle_rnd(rng, 2);
	if (u->flags & (U_SM | U_FS)) {
		c->f[F_ROOT_OTHER] = chance(rng, 2) ? oracle_rnd64(rng) & (BITS(u->flags & U_AW39 ? 38 : 47, 12) | 1) : 0;
		c->f[F_PDTS] = oracle_rnd(rng, 8);
		if (chance(rng, 16))
			c->f[F_PGTT] = VTD_PGTT_PT;
		if (chance(rng, 32)) {
			c->f[F_TTM] = VTD_TTM_LEGACY;
			c->f[F_AW] = VTD_AW_39 + oracle_rnd(rng, u->flags & U_AW39 ? 1 : 2);
			c->f[F_ROOT_OTHER] = 0;
			for (l = 1; l <= 5; l++)
				c->f[F_R1 + l - 1] = SS_PLAIN;
		}
	} else if (u->flags & U_DT && chance(rng, 2)) {
		c->f[F_TT] = VTD_TT_DEVICE_TLB;
	}
	if (!vtd_scalable(c)) {
		if (chance(rng, 12))
			c->f[F_TT] = VTD_TT_PASS_THROUGH;
		c->f[F_CTX1_X] = chance(rng, 2) ? oracle_rnd64(rng) & VTD_CTX_1_IGN : 0;
	}
	/* Noise, and A/D bits as software may leave them */
	for (l = 1; l <= 5; l++) {
		if (chance(rng, 2))
			c->f[F_E1_X + l - 1] = oracle_rnd64(rng) &
					       ((u->flags & U_FS) && vtd_scalable(c) ? FS_IGNORED | VTD_FSPTE_A | VTD_FSPTE_D :
										       SS_IGNORED);
	}
}

/* A second access, after the leaf was changed to another page, to read-only or to nothing. */
static void again(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	unsigned int lg2 = 3 + 9 * (unsigned int)c->f[F_LEAF];
	bool fs = (u->flags & U_FS) && vtd_scalable(c);

	c->f[F_AGAIN] = AGAIN_GLOBAL + oracle_rnd(rng, 3);
	c->f[F_AGAIN_AM] = oracle_rnd(rng, 10);
	c->f[F_AGAIN_IH] = oracle_rnd(rng, 2);
	switch (oracle_rnd(rng, 4)) {
	case 0:
		c->f[F_AGAIN_X] = fs ? VTD_FSPTE_RW : VTD_SSPTE_W;
		break;
	case 1:
		c->f[F_AGAIN_X] = fs ? VTD_FSPTE_P : SS_PLAIN;
		break;
	default:
		c->f[F_AGAIN_X] = oracle_rnd64(rng) & (LAND_LEN - 1) & ~nb_low_mask(lg2);
	}
}

static void damage(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	static const uint8_t legacy_words[] = {F_RTA_X, F_ROOT_X, F_ROOT_OTHER, F_CTX0_X, F_CTX1_X};
	static const uint8_t words[] = {F_RTA_X, F_ROOT_X, F_ROOT_OTHER, F_CTX0_X, F_CTX1_X, F_CTX2_X, F_CTX3_X, F_PDIR_X, F_P0_X, F_P1_X,
					F_P2_X, F_P3_X, F_P4_X, F_P5_X, F_P6_X, F_P7_X};
	unsigned int l = (unsigned int)oracle_rnd(rng, 4);

	switch (oracle_rnd(rng, 12)) {
	case 0:
	case 1:
	case 2:
		if (vtd_scalable(c))
			c->f[words[oracle_rnd(rng, sizeof(words))]] ^= one_bit(rng);
		else
			c->f[legacy_words[oracle_rnd(rng, sizeof(legacy_words))]] ^= one_bit(rng);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		c->f[F_E1_X + l] ^= one_bit(rng);
		break;
	case 7:
	case 8:
		c->f[F_R1 + l] = oracle_rnd(rng, u->flags & U_FS ? 8 : 4);
		break;
	case 9:
		c->f[F_RAW] = 1;
		c->f[F_IOVA] = strange(rng);
		break;
	case 10:
		switch (oracle_rnd(rng, 4)) {
		case 0:
			c->f[F_PGTT] = oracle_rnd(rng, 8);
			break;
		case 1:
			c->f[F_TT] = oracle_rnd(rng, 4);
			break;
		case 2:
			c->f[F_FSPM] = oracle_rnd(rng, 4);
			break;
		default:
			c->f[F_AW] = oracle_rnd(rng, 8);
		}
		break;
	default:
		if (chance(rng, 4))
			c->f[F_TTM] = oracle_rnd(rng, 4);
		else
			c->f[F_LAND] = UINT64_C(0xfee00000) | oracle_rnd(rng, 0x100) << 12;
	}
}

void vtd_random(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c)
{
	static const uint8_t damages[] = {0, 0, 0, 1, 1, 1, 1, 2};
	unsigned int n = damages[oracle_rnd(rng, sizeof(damages))];

	geometry(u, rng, c);
	if (chance(rng, 6))
		again(u, rng, c);
	while (n-- > 0)
		damage(u, rng, c);
}

/* ---- printing ---- */

static void on_step(void *opaque, const struct hw_step *s)
{
	unsigned int i;
	FILE *to = opaque;

	fprintf(to, "    %-34s", s->name);
	if (s->level)
		fprintf(to, " level %u", s->level);
	fprintf(to, " at %#" PRIx64 ":", s->pa.v);
	if (!s->fetched)
		fprintf(to, " no memory");
	for (i = 0; s->fetched && i < s->nwords; i++)
		fprintf(to, " %#" PRIx64, s->word[i]);
	fprintf(to, "  %s\n", s->fields);
}

void vtd_print(struct oracle *o, const struct oracle_case *c, const struct oracle_built *b, FILE *to)
{
	struct hw_request req = {.addr = b->iova, .pasid = NB_NO_PASID, .rid = vtd_rid(c),
				 .access = c->f[F_DEV] < DEV_READ ? HW_WRITE : HW_READ};
	struct hw_result res;
	unsigned int i;

	fprintf(to, "  %s of IOVA %#" PRIx64 " by %02x:%02x.%x, meant for %#" PRIx64 ", RTADDR %#" PRIx64 "\n",
		c->f[F_DEV] < DEV_READ ? "write" : c->f[F_DEV] == DEV_READ ? "read" : "read, then write of the same page,",
		b->iova, vtd_rid(c) >> 8, vtd_rid(c) >> 3 & 31, vtd_rid(c) & 7, b->target, b->vend[B_RTADDR]);
	for (i = 0; i < b->nwords; i++)
		oracle_put64(o, o->ours, b->word[i].pa, b->word[i].val);
	o->hw->ops->walk(o->hw, &req, on_step, to, &res);
	for (i = 0; i < b->nwords; i++)
		oracle_put64(o, o->ours, b->word[i].pa, 0);
}

void vtd_print_step(const struct oracle_step *s, FILE *to)
{
	fprintf(to, ": reason %#x, page %#" PRIx64 ", source-id %#" PRIx64 ", T1=%d T2=%d PP=%d (%#" PRIx64 " %#" PRIx64 ")",
		s->reason, s->record[0] & VTD_FRCD_0_FI, FIELD_GET(VTD_FRCD_1_SID, s->record[1]),
		(s->record[1] & VTD_FRCD_1_T1) != 0, (s->record[1] & VTD_FRCD_1_T2) != 0, (s->record[1] & VTD_FRCD_1_PP) != 0,
		s->record[0], s->record[1]);
}
