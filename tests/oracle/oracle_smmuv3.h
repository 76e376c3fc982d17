/* SPDX-License-Identifier: BSD-3-Clause */
/* The SMMUv3 side of the oracle: what its files share. */
#ifndef NB_TESTS_ORACLE_SMMUV3_H
#define NB_TESTS_ORACLE_SMMUV3_H

#include "oracle.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/pte.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

#define SMMU_ORACLE_OAS 44 /* of that QEMU */

enum { /* unit flags */
	U_2LEVEL = 1, /* two-level stream tables; QEMU never goes back from them to linear ones */
	U_S1 = 2,     /* stage 1 alone */
	U_S2 = 4,     /* stage 2 alone */
};

/* A case's numbers; in an xor the plain value is 0 and each bit set is damage (or noise where the bit is ignored). */
enum smmu_field {
	F_KIND,	  /* STE.Config */
	F_DEV,	  /* DEV_* */
	F_EN,	  /* 0: SMMUEN is 0 */
	F_GBPA,	  /* 1: ABORT */
	F_RAW,	  /* 1: the IOVA is as it stands, not cut to what the tables cover */
	F_IOVA,
	F_LAND,	  /* page where it should land */
	F_IPA,	  /* where in intermediate space things are put */
	F_LOG2SIZE, F_STRTAB_X, F_SPLIT, F_SPAN, F_L1STD_X,
	F_STE0_X, F_STE1_X, F_STE2_X, F_STE3_X, F_STE4_X,
	F_VMID, F_S2IA /* input bits */, F_S2TG, F_S2DOWN /* 1: start one level lower, with concatenated tables */, F_S2PS,
	F_CD0_X, F_CD1_X, F_CD2_X, F_CD3_X,
	F_HALF, F_S1IA, F_TG, F_IPS, F_ASID, F_TBI, F_HAD, F_EPD, F_TOP /* byte for TBI */, F_OTHER /* TxSZ, TG of the other half */,
	F_S1LEAF, F_R /* AP of the S1 leaf, S2AP of the S2 leaf << 2 */,
	F_E0_X, F_E1_X, F_E2_X, F_E3_X, /* stage 1 descriptors by level */
	F_S2LEAF, F_T0_X, F_T1_X, F_T2_X, F_T3_X, /* stage 2 descriptors on the way of the page */
	F_INNER,    /* level of the stage 2 leaves that map CD and stage 1 tables */
	F_CDLEAF_X, /* the stage 2 leaf of the CD */
	F_TTLEAF_X, /* of the stage 1 table that F_TTLEAF says, 0: the first */
	F_TTLEAF,
	F_AGAIN,    /* AGAIN_*: after a landing a leaf is changed, invalidated, and the access repeated */
	F_AGAIN_X,  /* what is changed in it */
	F_AGAIN_S2, /* nested: stage 2's leaf is */
	F_AGAIN_TG, F_AGAIN_NUM, F_AGAIN_SCALE, F_AGAIN_BEFORE, F_AGAIN_TTL, F_AGAIN_LEAF,
	F_CMD0, F_CMD1, /* a command before all others, which may be illegal; 0: none */
	F_RECINV,   /* CR2.RECINVSID */
	F_COUNT
};
_Static_assert(F_COUNT <= ORACLE_FIELDS, "");

enum { AGAIN_NO, AGAIN_ALL, AGAIN_VM, AGAIN_ASID, AGAIN_VA, AGAIN_VAA, AGAIN_CFGI, AGAIN_COUNT };

/* Writers at 00:03.0, 01:00.0; readers are edu */
enum { DEV_WRITE, DEV_WRITE_FAR, DEV_READ, DEV_READ_WRITE, DEV_COUNT };

static inline bool smmu_writes(const struct oracle_case *c)
{
	return c->f[F_DEV] != DEV_READ && c->f[F_DEV] != DEV_READ_WRITE;
}

enum smmu_word { /* oracle_word.what */
	W_L1STD, W_STE, W_CD = W_STE + 8, W_CMD = W_CD + 8, W_S1, /* + level */
	W_S2 = W_S1 + 4, W_S2_INNER = W_S2 + 4, W_S2_CD = W_S2_INNER + 4, W_S2_TT
};

/* oracle_built.vend */
enum { B_STRTAB, B_STRTAB_CFG, B_TAIL, B_AGAIN_TAIL /* 0: none */, B_LEAF /* as changed */, B_LEAF_PA, B_IPA, B_CMD_TAIL /* 0: none */, B_CMD_PA,
       B_AT_CMD };

/* The word of the case as it was built; 0 if it has none. */
static inline uint64_t smmu_word(const struct oracle_built *b, unsigned int what)
{
	unsigned int i;

	for (i = 0; i < b->nwords; i++)
		if (b->word[i].what == what)
			return b->word[i].val;
	return 0;
}

/* As the step that differs found it. */
static inline uint64_t smmu_path_word(const struct oracle_diff *d, unsigned int what)
{
	unsigned int i;

	for (i = 0; i < d->b->nwords; i++)
		if (d->b->word[i].what == what)
			return d->step == 1 && d->b->vend[B_AGAIN_TAIL] && d->b->word[i].pa == d->b->vend[B_LEAF_PA] ?
				       d->b->vend[B_LEAF] : d->b->word[i].val;
	return 0;
}

/* What the structures say, as far as they are meant to be read. */
struct smmu_plan {
	unsigned int kind; /* STE.Config without damage */
	bool s1, s2;
	unsigned int tg1, ia1, start1, leaf1; /* granule and input bits; levels */
	unsigned int tg2, ia2, start2, leaf2, inner;
};
void smmu_plan(const struct oracle_unit *u, const struct oracle_case *c, struct smmu_plan *p);
/* The lowest bit that a level resolves. */
static inline unsigned int smmu_lsb(unsigned int tg, unsigned int level)
{
	return tg + (3 - level) * (tg - 3);
}

extern const char *const smmu_fields[];
extern const struct oracle_filter smmu_known[];
void smmu_plain(const struct oracle_unit *u, struct oracle_case *c);
void smmu_random(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c);
void smmu_print(struct oracle *o, const struct oracle_case *c, const struct oracle_built *b, FILE *to);
void smmu_print_step(const struct oracle_step *s, FILE *to);
uint16_t smmu_rid(const struct oracle_case *c);

#endif
