/* SPDX-License-Identifier: BSD-3-Clause */
/* The VT-d side of the oracle: what its three files share. */
#ifndef NB_TESTS_ORACLE_VTD_H
#define NB_TESTS_ORACLE_VTD_H

#include "oracle.h"
#include "spec/vtd/descs.h"
#include "spec/vtd/entries.h"
#include "spec/vtd/faults.h"
#include "spec/vtd/pte.h"
#include "spec/vtd/regs.h"

enum { /* unit flags */
	U_SM = 1,    /* scalable mode, second stage */
	U_FS = 2,    /* scalable mode, first stage: QEMU has one or the other */
	U_AW39 = 4,
	U_SC = 8,    /* snoop control */
	U_DT = 16,   /* device-TLBs */
	U_NO1G = 32, /* no first-stage 1 GiB pages */
};

/* A case's numbers; in an xor the plain value is 0 and each bit set is damage (or noise where the bit is ignored). */
enum vtd_field {
	F_TTM,	  /* RTADDR.TTM */
	F_DEV,	  /* DEV_* */
	F_RAW,	  /* 1: the IOVA is as it stands, not cut to what the tables cover */
	F_IOVA,
	F_LAND,	  /* page where it should land */
	F_INVAL,  /* 1: also invalidate by the queue; else SRTP has to do (ESRTPS) */
	F_LEAF,	  /* level of the leaf: 1, 2, 3 */
	F_RTA_X, F_ROOT_X,
	F_ROOT_OTHER, /* legacy: word 1; scalable: the half that is not this function's */
	F_TT, F_AW, F_DID, F_CTX0_X, F_CTX1_X, F_CTX2_X, F_CTX3_X,
	F_PDTS, F_PDIR_X, F_PGTT, F_FSPM,
	F_P0_X, F_P1_X, F_P2_X, F_P3_X, F_P4_X, F_P5_X, F_P6_X, F_P7_X,
	F_R1, F_R2, F_R3, F_R4, F_R5, /* rights in the entry of each level */
	F_E1_X, F_E2_X, F_E3_X, F_E4_X, F_E5_X,
	F_AGAIN,  /* AGAIN_*: after a landing the leaf is changed, invalidated, and the access repeated */
	F_AGAIN_X, /* what is changed in it */
	F_AGAIN_AM, F_AGAIN_IH,
	F_COUNT
};
_Static_assert(F_COUNT <= ORACLE_FIELDS, "");

enum { AGAIN_NO, AGAIN_GLOBAL, AGAIN_DOMAIN /* first stage: PASID */, AGAIN_PAGE };

enum { DEV_WRITE, DEV_WRITE_UPPER, DEV_READ, DEV_READ_WRITE, DEV_COUNT };

enum vtd_word { /* oracle_word.what; tables: W_LEVEL + level */
	W_ROOT, W_ROOT_OTHER, W_CTX, W_PDIR = W_CTX + 4, W_PASID, W_DESC = W_PASID + 8, W_STATUS, W_LEVEL
};

/* oracle_built.vend */
enum { B_RTADDR, B_TAIL /* 0: no invalidation */, B_AGAIN_TAIL /* likewise */, B_LEAF /* as changed */, B_LEAF_PA };

static inline bool vtd_scalable(const struct oracle_case *c)
{
	return c->f[F_TTM] == VTD_TTM_SCALABLE;
}
/* The word of the case as it was built; 0 if it has none. */
static inline uint64_t vtd_word(const struct oracle_built *b, unsigned int what)
{
	unsigned int i;

	for (i = 0; i < b->nwords; i++)
		if (b->word[i].what == what)
			return b->word[i].val;
	return 0;
}
/* Entries as the step that differs found them. */
static inline uint64_t vtd_path_word(const struct oracle_diff *d, unsigned int level)
{
	if (d->step == 1 && d->b->vend[B_AGAIN_TAIL] && level == (d->c->f[F_LEAF] == 2 || d->c->f[F_LEAF] == 3 ? d->c->f[F_LEAF] : 1))
		return d->b->vend[B_LEAF];
	return vtd_word(d->b, W_LEVEL + level);
}
/* First or second stage, or neither. By the structures as they stand in memory. */
static inline unsigned int vtd_stage(const struct oracle_case *c, const struct oracle_built *b)
{
	uint64_t pgtt = FIELD_GET(VTD_PASID_0_PGTT, vtd_word(b, W_PASID));

	if (!vtd_scalable(c))
		return FIELD_GET(VTD_CTX_0_TT, vtd_word(b, W_CTX)) < VTD_TT_PASS_THROUGH ? 2 : 0;
	return pgtt == VTD_PGTT_FS ? 1 : pgtt == VTD_PGTT_SS ? 2 : 0;
}

extern const char *const vtd_fields[];
extern const struct oracle_filter vtd_known[];
void vtd_plain(const struct oracle_unit *u, struct oracle_case *c);
void vtd_random(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c);
void vtd_print(struct oracle *o, const struct oracle_case *c, const struct oracle_built *b, FILE *to);
void vtd_print_step(const struct oracle_step *s, FILE *to);
uint16_t vtd_rid(const struct oracle_case *c);

#endif
