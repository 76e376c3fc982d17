/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TLB of one SMMU: storage, tags, lookup, invalidation.
 *
 * Words: a *tag* stands for what the manual tags entries with (IHI 0070 3.17): translation regime, VMID, ASID; never a StreamID.
 * A translation function (struct smmu_cfg) has up to three: of its requests, of global entries (nG 0) of the same
 * regime, VMID and ASET, and of the stage 2 under it (IPA to PA of a VMID). With stage 2 alone the first is the third. All
 * tags of a regime and VMID make a *space*.
 *
 * What an entry of nested translation holds is the whole way, VA to PA, under the ASID's tag; invalidation by IPA does
 * not reach it (4.4.3.1), so a driver that forgets CMD_TLBI_NH_ALL finds the old translation, as on silicon. It remembers
 * granule and level of its stage 1 leaf, for TG and TTL, and because it goes when any address of that leaf is invalidated,
 * even if stage 2 made smaller pieces of it.
 *
 * A tag has two 16-bit *ids*, one under which its translations lie, one for walk caches: addresses of tables, as table
 * descriptors gave them. To invalidate all of a tag it gets a new id: its entries are then never found again and are
 * overwritten in time.
 *
 * A fill that races with an invalidation: the filler reads `inv_seq` before it reads any table and its entry is dropped
 * if the count has moved when it holds the lock (hw/tlb.h).
 */
#ifndef NB_HW_SMMUV3_TLB_H
#define NB_HW_SMMUV3_TLB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/trace.h"
#include "hw/tlb.h"

struct smmu_cfg;
struct smmu_dev;

/* Translation regimes of Non-secure streams. EL2 has neither ASID nor VMID, EL2_E2H has no VMID. */
enum smmu_regime { SMMU_R_EL1, SMMU_R_EL2, SMMU_R_EL2_E2H };

/* What an invalidation by address names: 4.4.1.1. Addresses are of bits 55:0; `last` is inclusive. */
struct smmu_range {
	uint64_t first, last;
	bool leaf;	/* entries of the last level only */
	uint8_t tg;	/* only entries of this granule (12, 14, 16); 0: of any */
	uint8_t ttl;	/* only leaf entries of this level (1..3); 0: of any */
};

/*
 * ---- values: an output page and what is allowed there ----
 * Rights are HW_READ | HW_WRITE | HW_EXEC of both stages together, for unprivileged requests and, SMMU_V_PRIV_SHIFT further
 * up, for privileged ones. A right that still needs a flag or dirty bit set is not among them but in the second set
 * ("would be"), which is what the requester is told it has. The third set is stage 1's share of the second.
 */
#define SMMU_V_RIGHTS	   BITS(2, 0)
#define SMMU_V_PRIV_SHIFT  3
#define SMMU_V_WOULD_SHIFT 6 /* bits 11:6: the same two sets, dirty state aside */
#define SMMU_V_ADDR	   BITS(51, 12)
#define SMMU_V_S1_SHIFT	   52 /* bits 57:52: all set where there is no stage 1 */
#define SMMU_V_TG	   BITS(59, 58) /* of the stage by whose addresses the entry is invalidated: (granule - 12) / 2 */
#define SMMU_V_LEVEL	   BITS(61, 60) /* and its leaf's level, 0..3 */

/* Walk caches: the table's address and, below it, what hierarchical attributes take away. */
#define SMMU_V_HIER_SHIFT  0 /* bits 3:0: PXNTable, UXNTable, APTable as in bits 62:59 of a table descriptor */

/* ---- keys ---- */

/* Bits 55:12 of an address: what a translation is looked up by. */
static inline uint64_t smmu_vpn(uint64_t addr)
{
	return (addr >> 12) & (BIT(44) - 1);
}

/* Sizes of translations, smallest first: pages, blocks and contiguous groups of all granules. */
enum { SMMU_SZ_4K, SMMU_SZ_16K, SMMU_SZ_64K, SMMU_SZ_2M, SMMU_SZ_32M, SMMU_SZ_512M, SMMU_SZ_1G, SMMU_SZ_16G, SMMU_SZ_64G,
       SMMU_SZ_512G, SMMU_SZ_4T, SMMU_NSIZES };
/* Of each in turn, above 4 KiB: 0, 2, 4, 9, 13, 17, 18, 22, 24, 27, 30; as packed 5-bit numbers it fits one register. */
#define SMMU_SZ_PACKED                                                                                                \
	(UINT64_C(0) | UINT64_C(2) << 5 | UINT64_C(4) << 10 | UINT64_C(9) << 15 | UINT64_C(13) << 20 |                 \
	 UINT64_C(17) << 25 | UINT64_C(18) << 30 | UINT64_C(22) << 35 | UINT64_C(24) << 40 | UINT64_C(27) << 45 |      \
	 UINT64_C(30) << 50)
static inline unsigned int smmu_size_order(unsigned int size)
{
	return (unsigned int)(SMMU_SZ_PACKED >> (5 * size)) & 31;
}

/*
 * Walk caches: by granule and level of the table that was found (1..3), so that one lookup tells both. Bits of the address
 * above what a whole table of that level covers.
 */
#define SMMU_WC(tg, level) ((unsigned int)((tg) - 12) * 2 + (unsigned int)(level))
#define SMMU_WC_CODES 12
static inline unsigned int smmu_wc_lg2(unsigned int code)
{
	unsigned int tg = 12 + code / 4 * 2, level = code % 4;

	return tg + (4 - level) * (tg - 3);
}

/* id is not 0; size is SMMU_SZ_* or, of walk caches, SMMU_WC(); page is the address above that size. */
static inline uint64_t smmu_key(uint32_t id, unsigned int size, uint64_t page)
{
	return (uint64_t)id << 48 | (uint64_t)size << 44 | page;
}

/* ---- tags ---- */

/* Both words: id << 16 | bitmap of sizes (codes) that have been entered since the id was given. Written under the
 * lock; read without. An id of 0 caches nothing. */
struct smmu_tag {
	_Atomic uint32_t leaf, wc;
	uint8_t split;	/* lg2 of the largest stage 1 leaf that was entered in pieces, or 0; under the lock */
	uint16_t asid;	/* of the space's list */
	struct smmu_space *space;
	struct smmu_tag *space_next, *hash_next;
};

struct smmu_space {
	struct smmu_tag global[2]; /* by ASET */
	struct smmu_tag s2;	   /* IPA to PA */
	struct smmu_tag *asids;	   /* through space_next */
	struct smmu_space *hash_next;
	uint16_t vmid;
	uint8_t regime;
};

/* ---- tables ---- */

#define SMMU_TLB_LG2 13 /* buckets */
#define SMMU_WC_LG2  10
#define SMMU_TAG_HASH	1024
#define SMMU_SPACE_HASH 256
#define SMMU_MAX_TAGS	16384

struct smmu_fill {
	uint64_t key, val;
	struct hw_bucket *bucket;
	struct smmu_tag *tag;
	bool wc;
	uint8_t split; /* lg2 of the stage 1 leaf if larger than the entry, else 0 */
};

struct smmu_tlb {
	struct hw_bucket *leaf, *wc;
	_Atomic uint64_t inv_seq; /* written under the lock */
	/* the rest under the lock */
	uint32_t next_id;
	uint32_t ntags;
	_Atomic bool want_reset;  /* ids or tags ran out: smmu_invalidate_all() soon */
	struct smmu_space *spaces[SMMU_SPACE_HASH];
	struct smmu_tag *tags[SMMU_TAG_HASH];
	struct smmu_tag none;	  /* caches nothing: out of memory or tags */
	struct smmu_space none_space;
	struct nb_trace *tr;
	struct hw_spin lock __attribute__((aligned(64)));
};

int smmu_tlb_init(struct smmu_tlb *t, struct nb_trace *tr); /* 0 or -ENOMEM */
void smmu_tlb_fini(struct smmu_tlb *t);

/* Enter what a walk found, unless something was invalidated since inv_seq was `seq`. */
void smmu_tlb_fill(struct smmu_tlb *t, uint64_t seq, const struct smmu_fill *f, unsigned int n);

/* ---- lookup ---- */

static inline __attribute__((always_inline)) bool smmu_probe_size(struct smmu_tlb *t, uint32_t word, unsigned int size, uint64_t addr,
								  uint64_t *val)
{
	return hw_probe(t->leaf, SMMU_TLB_LG2, smmu_key(word >> 16, size, smmu_vpn(addr) >> smmu_size_order(size)), val);
}

/* `word` is the tag's leaf word. True: *val, *lg2 of its size. The address is val's SMMU_V_ADDR and lg2 low bits. */
static inline __attribute__((always_inline)) bool smmu_tlb_probe(struct smmu_tlb *t, uint32_t word, uint64_t addr, uint64_t *val,
								 unsigned int *lg2)
{
	uint32_t sizes = word & 0xffff;

	for (; sizes; sizes &= sizes - 1) {
		unsigned int s = (unsigned int)__builtin_ctz(sizes);

		if (smmu_probe_size(t, word, s, addr, val)) {
			*lg2 = 12 + smmu_size_order(s);
			return true;
		}
	}
	return false;
}

/* Under the function's own tag, then among global entries. gtag may be null. */
static inline bool smmu_tlb_find(struct smmu_tlb *t, struct smmu_tag *tag, struct smmu_tag *gtag, uint64_t addr, uint64_t *val,
				 unsigned int *lg2)
{
	if (smmu_tlb_probe(t, atomic_load_explicit(&tag->leaf, memory_order_acquire), addr, val, lg2))
		return true;
	return gtag && smmu_tlb_probe(t, atomic_load_explicit(&gtag->leaf, memory_order_acquire), addr, val, lg2);
}

/* A table of the granule for the address that a walk cache knows, the lowest: its level (3, 2), or 0. */
static inline unsigned int smmu_wc_probe(struct smmu_tlb *t, uint32_t word, unsigned int tg, uint64_t addr, uint64_t *val)
{
	unsigned int level;

	for (level = 3; level >= 2; level--) {
		unsigned int code = SMMU_WC(tg, level);

		if ((word >> code & 1) && hw_probe(t->wc, SMMU_WC_LG2,
						   smmu_key(word >> 16, code, smmu_vpn(addr) >> (smmu_wc_lg2(code) - 12)), val))
			return level;
	}
	return 0;
}

#endif
