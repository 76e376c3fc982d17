/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An SMMU with a CMDQ-V: 4 VINTFs, 8 VCMDQs, 2 slots. Offsets by hand: the block is at 32 MiB; VINTF v's registers at 0x1000 + 0x100 v, page 0 at
 * 0x30000 + 0x20000 v.
 */
#ifndef NB_TESTS_HW_CMDQV_RIG_H
#define NB_TESTS_HW_CMDQV_RIG_H

#include "hw_smmu_rig.h"

#define BLOCK	     0x2000000ul
#define VINTF(v)     (BLOCK + 0x1000 + 0x100ul * (v))
#define ALLOC(q)     (BLOCK + 0x200 + 4ul * (q))
#define VCMDQ0(q)    (BLOCK + 0x10000 + 0x80ul * (q))
#define VCMDQ1(q)    (BLOCK + 0x20000 + 0x80ul * (q))
#define LVCMDQ0(v, l) (BLOCK + 0x30000 + 0x20000ul * (v) + 0x80ul * (l))
#define LVCMDQ1(v, l) (LVCMDQ0(v, l) + 0x10000)
#define WIRE	     4
enum { CONS = 0, PROD = 4, CONFIG = 8, STATUS = 12, GERROR = 16, GERRORN = 20 };
#define Q_LG2 4u

struct queue {
	uint64_t base;
	unsigned int n; /* VCMDQ */
	uint32_t prod;
};

static inline void new(struct rig *r)
{
	struct smmu_caps c;

	smmu_caps_all(&c);
	c.cmdqv = true;
	c.cmdqv_vintfs_lg2 = 2;
	c.cmdqv_vcmdqs_lg2 = 3;
	c.cmdqv_sids_lg2 = 1;
	rig_new_caps(r, &c);
	rig_start(r);
	reg32(r, BLOCK, 1);
	assert_int_equal(get32(r, BLOCK + 8), 1);
}

/* VCMDQ n is LVCMDQ l of VINTF v and lies in memory of its own; not enabled. */
static inline void give(struct rig *r, struct queue *q, unsigned int n, unsigned int v, unsigned int l)
{
	*q = (struct queue){.base = rig_alloc(r, 12), .n = n};
	reg64(r, VCMDQ1(n), q->base | Q_LG2);
	reg32(r, ALLOC(n), 1 | l << 1 | v << 15);
	assert_int_equal(get32(r, ALLOC(n)), 1 | l << 1 | v << 15);
}
static inline void enable(struct rig *r, const struct queue *q)
{
	reg32(r, VCMDQ0(q->n) + CONFIG, 1);
	assert_int_equal(get32(r, VCMDQ0(q->n) + STATUS), 1);
}
static inline void vintf(struct rig *r, unsigned int v, uint32_t vmid, bool hyp)
{
	reg32(r, VINTF(v), vmid << 1 | (hyp ? 1u << 17 : 0));
	reg32(r, VINTF(v), vmid << 1 | (hyp ? 1u << 17 : 0) | 1);
	assert_int_equal(get32(r, VINTF(v) + 4), 1);
}
static inline void put(struct rig *r, struct queue *q, uint64_t lo, uint64_t hi)
{
	uint64_t at = q->base + 16 * (q->prod & 15);

	w64(r, at, lo);
	w64(r, at + 8, hi);
	q->prod = (q->prod + 1) & 31;
}
/* Have it run; CONS. */
static inline uint32_t go_q(struct rig *r, struct queue *q)
{
	reg32(r, VCMDQ0(q->n) + PROD, q->prod);
	return get32(r, VCMDQ0(q->n) + CONS);
}
static inline bool send(struct rig *r, struct queue *q, uint64_t lo, uint64_t hi)
{
	put(r, q, lo, hi);
	return (go_q(r, q) & 0xfffff) == q->prod;
}
/* The last command was refused with this error. The queue goes on behind it. */
static inline void refused(struct rig *r, struct queue *q, uint32_t err)
{
	uint32_t at = (q->prod - 1) & 31;

	assert_int_equal(get32(r, VCMDQ0(q->n) + CONS), err << 24 | at);
	assert_int_equal(get32(r, VCMDQ0(q->n) + GERROR) ^ get32(r, VCMDQ0(q->n) + GERRORN), 1);
	w64(r, q->base + 16 * (at & 15), 0x46);
	w64(r, q->base + 16 * (at & 15) + 8, 0);
	reg32(r, VCMDQ0(q->n) + GERRORN, get32(r, VCMDQ0(q->n) + GERROR));
	assert_int_equal(get32(r, VCMDQ0(q->n) + CONS) & 0xfffff, q->prod);
}
/* Without its descriptor: is the translation still there? */
static inline bool cached(struct rig *r)
{
	return go(r, RIG_VA, HW_READ).kind == HW_OK;
}
static inline void cache_again(struct rig *r, uint64_t page)
{
	rig_map(r, r->s1root, RIG_VA, (page + RIG_IPA) | S1_RW, RIG_IPA);
	assert_true(cached(r));
	rig_map(r, r->s1root, RIG_VA, 0, RIG_IPA);
	assert_true(cached(r));
}

#endif
