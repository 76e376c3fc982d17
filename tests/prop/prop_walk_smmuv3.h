/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two halves of prop_walk_smmuv3 share: a world with one unit, its memory and one case in it. */
#ifndef NB_TESTS_PROP_WALK_SMMUV3_H
#define NB_TESTS_PROP_WALK_SMMUV3_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "hw/hw.h"
#include "hw/smmuv3/smmu.h"
#include "naive_smmuv3.h"

#define LEN   (UINT64_C(32) << 20)
#define PAGES (LEN / 4096)
#define NLOG  8192u
#define QUEUE (LEN - 4096) /* the command queue: one page that no case has */
#define NTAPE 3000u

enum cls { FREE, STE, CD, S1, S2, L1STD, L1CD, NCLS };

struct shape { /* of one table */
	unsigned int page, tsz, oa, sl0;
	int start;
	bool ds, sl2, big;
	uint64_t root; /* address by which its owner knows it */
};

struct world {
	uint64_t rng;
	struct smmu_caps caps;
	struct naive_smmu naive;
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *ram, *image;
	uint64_t base, next;
	unsigned int nlog;
	uint64_t log[NLOG]; /* every word that was ever put */
	uint8_t cls[PAGES];
	bool s1, s2;
	bool ha1, ha2; /* the stage updates access flags */
	struct shape one, two;
	bool high;
	struct naive_smmu_req req;
	char damage[120], change[120];
	uint64_t ste_at, cd_at; /* cd_at: 0, or where it was put */
	uint32_t prod;		/* of the command queue */
	/* A case is its random numbers; what a failing one does not need is made 0. */
	unsigned int calls;
	bool zero[NTAPE];
	/* The first difference of a case, and what is left to do about it. */
	char kind[500], text[1400];
	bool differs;
};

uint64_t rnd(struct world *w, uint64_t n);
uint64_t rnd64(struct world *w);
bool chance(struct world *w, unsigned int one_in);

static inline uint64_t get(const struct world *w, uint64_t pa)
{
	uint64_t v;

	memcpy(&v, w->ram + (pa - w->base), 8);
	return v;
}
bool put(struct world *w, uint64_t pa, uint64_t v);

/* A descriptor of a table, whose owner may be big-endian. */
static inline uint64_t turned(const struct shape *s, uint64_t v)
{
	return s->big ? __builtin_bswap64(v) : v;
}

/* A case out of caps and random numbers. False: no luck, try another seed. prop_walk_smmuv3_build.c */
bool build(struct world *w);

/* prop_walk_smmuv3.c */
extern const char *const cls_name[NCLS];
void access_of(struct world *w, unsigned int kind);
bool may_flip(enum cls cls, uint64_t pa, unsigned int bit);
void translate_hw(struct world *w, struct hw_result *got);
/* Model against walker for w->req; false: they differ, and w says how. After a fault memory is made the same; *stray as there. */
bool same_access(struct world *w, unsigned int step, struct naive_smmu_res *want, struct hw_result *got, bool *stray);
/* What the model has written, the walker's image has too. */
void copy_back(struct world *w);
void difference(struct world *w, unsigned int step, const struct naive_smmu_res *want, const struct hw_result *got, const char *what);

/* prop_walk_smmuv3_inval.c: descriptors that change under what is cached. */
void change_and_invalidate(struct world *w);

#endif
