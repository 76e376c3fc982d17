/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shape of translation tables by granule (DDI 0487 D8.2.8 to D8.2.10) and of the addresses in descriptors (D8.3.1):
 * what walk.c asks at each level. Levels are the manual's: -1 to 3.
 */
#ifndef NB_HW_SMMUV3_WALK_H
#define NB_HW_SMMUV3_WALK_H

#include "hw/smmuv3/model.h"

/* Of one stage, or one half of stage 1. */
struct smmu_geo {
	uint64_t low, high;   /* where a descriptor has its address, without what is below a leaf's size */
	uint8_t high_shift;   /* how far `high` has to go up */
	uint8_t tg, stride;   /* bits that one level resolves */
	uint8_t l3_lg2;	      /* what a whole level 3 table covers */
	int8_t block;	      /* the highest level that may have blocks */
	uint64_t index_mask;
	uint64_t node;	      /* of `low`, what a table descriptor has */
};

static inline __attribute__((always_inline)) void smmu_geo_init(struct smmu_geo *g, unsigned int tg, bool ds, unsigned int oas)
{
	g->tg = (uint8_t)tg;
	g->stride = (uint8_t)(tg - 3);
	g->l3_lg2 = (uint8_t)(2 * tg - 3);
	g->index_mask = nb_low_mask(tg) & ~UINT64_C(7);
	g->low = BITS(47, 0);
	g->high = 0;
	g->high_shift = 0;
	g->block = tg == 12 ? 1 : 2;
	if (tg == 16) {
		if (oas == 52) {
			g->high = SMMU_PTE_LPA_64K;
			g->high_shift = 36;
			g->block = 1;
		}
	} else if (ds) {
		g->low = BITS(49, 0);
		g->high = SMMU_PTE_LPA2_LO;
		g->high_shift = 42;
		g->block--;
	}
	g->node = g->low & ~nb_low_mask(tg);
}

/* The lowest address bit that a lookup at this level resolves. */
static inline unsigned int smmu_level_lsb(const struct smmu_geo *g, int level)
{
	return g->tg + (unsigned int)(3 - level) * g->stride;
}

/* The branch is foreseen and keeps 52-bit formats out of the chain from one load to the next. */
static inline uint64_t smmu_leaf_base(const struct smmu_geo *g, uint64_t e, unsigned int lsb)
{
	uint64_t a = e & g->low & ~nb_low_mask(lsb);

	return likely(!g->high) ? a : a | (e & g->high) << g->high_shift;
}
static inline uint64_t smmu_next_table(const struct smmu_geo *g, uint64_t e)
{
	uint64_t a = e & g->node;

	return likely(!g->high) ? a : a | (e & g->high) << g->high_shift;
}

/* D8-48: of a descriptor that is no table. */
static inline bool smmu_is_leaf(const struct smmu_geo *g, uint64_t e, int level)
{
	return level == 3 ? (e & 3) == 3 : (e & 3) == 1 && level >= g->block;
}

/* Tables D8-18, D8-28, D8-37. */
static inline int smmu_start_level(unsigned int tg, unsigned int ia_bits)
{
	unsigned int n = ia_bits - 1;

	if (tg == 12)
		return n >= 48 ? -1 : n >= 39 ? 0 : n >= 30 ? 1 : n >= 21 ? 2 : 3;
	if (tg == 14)
		return n >= 47 ? 0 : n >= 36 ? 1 : n >= 25 ? 2 : 3;
	return n >= 42 ? 1 : n >= 29 ? 2 : 3;
}

/*
 * What a leaf maps, contiguous groups as one (D8-104) where that is safe: see walk.c. `base` is the leaf's own output, `lsb` of
 * its level.
 */
static inline unsigned int smmu_leaf_lg2(const struct smmu_geo *g, uint64_t e, int level, unsigned int lsb, uint64_t ia,
					 uint64_t base, unsigned int ia_bits, unsigned int oa_bits)
{
	unsigned int big;

	if (likely(!(e & SMMU_PTE_CONT)))
		return lsb;
	if (g->tg == 12)
		big = level >= 1 ? lsb + 4 : 0;
	else if (g->tg == 14)
		big = level == 3 ? 21 : level == 2 ? 30 : 0;
	else
		big = level >= 2 ? lsb + 5 : 0;
	if (!big || big > ia_bits || big > oa_bits || ((ia ^ base) & nb_low_mask(big) & ~nb_low_mask(lsb)))
		return lsb;
	return big;
}

/* SMMU_SZ_* of a size that a leaf or group can have. */
static inline unsigned int smmu_size_of(unsigned int lg2)
{
	/* 5-bit numbers by (lg2 - 12): 4K 16K 64K 2M 32M 512M 1G 16G 64G 512G 4T */
	static const uint8_t of[31] = {
		[0] = SMMU_SZ_4K, [2] = SMMU_SZ_16K, [4] = SMMU_SZ_64K, [9] = SMMU_SZ_2M, [13] = SMMU_SZ_32M,
		[17] = SMMU_SZ_512M, [18] = SMMU_SZ_1G, [22] = SMMU_SZ_16G, [24] = SMMU_SZ_64G, [27] = SMMU_SZ_512G,
		[30] = SMMU_SZ_4T,
	};

	return of[lg2 - 12];
}

/*
 * A TLB value but for its address. would and s1 are rights of both privileges (SMMU_V_*), `clean`: a write sets a dirty state
 * first; granule and level of the leaf by whose addresses the entry goes.
 */
static inline uint64_t smmu_facts(unsigned int would, unsigned int s1, bool clean, unsigned int tg, unsigned int level)
{
	const unsigned int writes = HW_WRITE | HW_WRITE << SMMU_V_PRIV_SHIFT;
	unsigned int now = clean ? would & ~writes : would;

	return now | (uint64_t)would << SMMU_V_WOULD_SHIFT | (uint64_t)s1 << SMMU_V_S1_SHIFT |
	       (uint64_t)((tg - 12) / 2) * FIELD_LSB(SMMU_V_TG) | (uint64_t)level * FIELD_LSB(SMMU_V_LEVEL);
}

/* steps of walk.c: walk_steps.c */
void smmu_step_desc(const struct smmu_steps *st, unsigned int stage, int level, const struct smmu_geo *g, uint64_t pa,
		    bool gpa_valid, uint64_t ipa, bool fetched, uint64_t e);

#endif
