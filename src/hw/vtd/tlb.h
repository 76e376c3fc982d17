/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOTLB and the paging-structure caches of one unit: storage, tags, lookup.
 *
 * Words: a *tag* stands for what the manual tags entries with (6.2.1): a domain for second-stage entries, a
 * domain and a PASID for first-stage and nested ones; never a source-id, so two devices in one domain share entries. A
 * tag has two 16-bit *ids*, one under which its IOTLB entries lie, one for its paging-structure entries. To invalidate all
 * of a tag it gets a new id: its entries are then never found again and are overwritten in time.
 *
 * Two hash tables of hw/tlb.h's buckets, of which readers take no lock; a filler that finds the lock taken gives up rather than
 * wait long.
 *
 * A fill that races with an invalidation: the filler reads `inv_seq` before it reads any table of the guest and
 * its entry is dropped if the count has moved when it holds the lock.
 */
#ifndef NB_HW_VTD_TLB_H
#define NB_HW_VTD_TLB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/trace.h"
#include "hw/tlb.h"

/* ---- values: an output page and what is allowed there ---- */

#define VTD_V_UR   BIT(0)  /* user read allowed: U/S and second-stage R */
#define VTD_V_UW   BIT(1)  /* user write allowed, and no dirty bit is still to be set */
#define VTD_V_UX   BIT(2)  /* user execute allowed */
#define VTD_V_SSR  BIT(3)  /* second stage: all R bits (set when there is none) */
#define VTD_V_SSW  BIT(4)
#define VTD_V_RW   BIT(5)  /* first stage: all R/W bits (set when there is none) */
#define VTD_V_US   BIT(6)  /* all U/S bits */
#define VTD_V_X    BIT(7)  /* no XD bit */
#define VTD_V_D    BIT(8)  /* a write needs no dirty bit set any more */
#define VTD_V_UWP  BIT(9)  /* as UW, dirty bits aside */
#define VTD_V_ADDR BITS(51, 12)

/* The derived bits of a value whose facts are in. */
static inline uint64_t vtd_value(uint64_t pa, uint64_t facts)
{
	uint64_t v = (pa & VTD_V_ADDR) | facts;

	if (v & VTD_V_US) {
		if (v & VTD_V_SSR)
			v |= VTD_V_UR | (v & VTD_V_X ? VTD_V_UX : 0);
		if ((v & VTD_V_SSW) && (v & VTD_V_RW))
			v |= VTD_V_UWP | (v & VTD_V_D ? VTD_V_UW : 0);
	}
	return v;
}

/* ---- keys ---- */

enum { VTD_SZ_4K, VTD_SZ_2M, VTD_SZ_1G, VTD_NSIZES };
/* Paging-structure entries: the level whose entry is cached, 2 (references a page table) to 5. */
enum { VTD_PSC_FIRST = 2, VTD_PSC_LAST = 5 };

#define VTD_VPN_BITS 45 /* of a 57-bit address */

/* id is not 0; size is VTD_SZ_*, or level - 2 in the table of paging structures. */
static inline uint64_t vtd_key(uint32_t id, unsigned int size, uint64_t page)
{
	return (uint64_t)id << 48 | (uint64_t)size << 46 | page;
}
static inline uint64_t vtd_vpn(uint64_t addr)
{
	return (addr >> 12) & (BIT(VTD_VPN_BITS) - 1);
}

/* ---- tags ---- */

/* Both words: id << 8 | bitmap of sizes (levels) that have been entered since the id was given. Written under the
 * lock; read without. An id of 0 caches nothing. */
struct vtd_tag {
	_Atomic uint32_t leaf, psc;
	uint32_t pasid;		/* VTD_TAG_SS, VTD_TAG_GPA or the PASID of first-stage entries */
	struct vtd_dom *dom;
	struct vtd_tag *dom_next, *hash_next;
};
#define VTD_TAG_SS  UINT32_MAX	     /* second-stage requests; its psc: all second-stage structures of the domain */
#define VTD_TAG_GPA (UINT32_MAX - 1) /* second-stage translations made on the way of nested ones */

struct vtd_dom {
	struct vtd_tag ss, gpa;
	struct vtd_tag *fs; /* through dom_next */
	struct vtd_dom *hash_next;
	uint16_t did;
};

/* ---- tables ---- */

#define VTD_TLB_LG2 13 /* buckets */
#define VTD_PSC_LG2 10
#define VTD_TAG_HASH 1024
#define VTD_DOM_HASH 256
#define VTD_MAX_TAGS 16384

struct vtd_fill {
	uint64_t key, val;
	struct hw_bucket *bucket;
	_Atomic uint32_t *word; /* the tag's */
};

struct vtd_tlb {
	struct hw_bucket *leaf, *psc;
	_Atomic uint64_t inv_seq; /* invalidations so far; written under the lock */
	/* the rest under the lock */
	uint32_t next_id;
	uint32_t ntags;
	_Atomic bool want_reset;  /* ids or tags ran out: vtd_drop_caches() soon */
	struct vtd_dom *doms[VTD_DOM_HASH];
	struct vtd_tag *tags[VTD_TAG_HASH];
	struct vtd_tag none;	  /* caches nothing: out of memory or tags */
	struct vtd_dom none_dom;
	struct nb_trace *tr;
	struct hw_spin lock __attribute__((aligned(64)));
};

int vtd_tlb_init(struct vtd_tlb *t, struct nb_trace *tr); /* 0 or -ENOMEM */
void vtd_tlb_fini(struct vtd_tlb *t);

/*
 * The tags of a domain, and of (domain, PASID); made when new. With the lock held, so memory that may be needed is allocated
 * before: *spare_dom and *spare_tag are used and set to null, or left for the caller to free; they may be null.
 * The result is `none` when there is no room. pasid is not VTD_TAG_*.
 */
struct vtd_dom *vtd_dom_get_locked(struct vtd_tlb *t, uint16_t did, struct vtd_dom **spare_dom);
struct vtd_tag *vtd_tag_get_locked(struct vtd_tlb *t, struct vtd_dom *dom, uint32_t pasid, struct vtd_tag **spare_tag);
struct vtd_dom *vtd_dom_find_locked(struct vtd_tlb *t, uint16_t did);
struct vtd_tag *vtd_tag_find_locked(struct vtd_tlb *t, uint16_t did, uint32_t pasid);

/* Enter what a walk found, unless something was invalidated since inv_seq was `seq`. */
void vtd_tlb_fill(struct vtd_tlb *t, uint64_t seq, const struct vtd_fill *f, unsigned int n);

/* Invalidation; inv_seq moves under this lock after. Ranges are of addresses, last included. */
void vtd_tag_drop_leaf_locked(struct vtd_tlb *t, struct vtd_tag *tag);
void vtd_tag_drop_psc_locked(struct vtd_tlb *t, struct vtd_tag *tag);
void vtd_tag_leaf_range_locked(struct vtd_tlb *t, struct vtd_tag *tag, uint64_t first, uint64_t last);
void vtd_tag_psc_range_locked(struct vtd_tlb *t, struct vtd_tag *tag, uint64_t first, uint64_t last);

/*
 * All tags leave: *doms and *tags get the chains (dom_next is not used any more) to be freed after a grace period, and
 * until vtd_tlb_restart_locked() every tag given out is `none`.
 */
void vtd_tlb_forget_locked(struct vtd_tlb *t, struct vtd_dom **doms, struct vtd_tag **tags);
void vtd_tlb_restart_locked(struct vtd_tlb *t);

/* `word` is the tag's leaf word. True: *val, *lg2 of its size. */
static inline __attribute__((always_inline)) bool vtd_tlb_probe(struct vtd_tlb *t, uint32_t word, uint64_t addr, uint64_t *val, unsigned int *lg2)
{
	uint64_t vpn = vtd_vpn(addr);
	uint32_t id = word >> 8;

	if ((word & 1) && hw_probe(t->leaf, VTD_TLB_LG2, vtd_key(id, VTD_SZ_4K, vpn), val)) {
		*lg2 = 12;
		return true;
	}
	if ((word & 2) && hw_probe(t->leaf, VTD_TLB_LG2, vtd_key(id, VTD_SZ_2M, vpn >> 9), val)) {
		*lg2 = 21;
		return true;
	}
	if ((word & 4) && hw_probe(t->leaf, VTD_TLB_LG2, vtd_key(id, VTD_SZ_1G, vpn >> 18), val)) {
		*lg2 = 30;
		return true;
	}
	return false;
}

/* The lowest cached structure for the address: its level, or 0. `word` is the tag's psc word. */
static inline unsigned int vtd_psc_probe(struct vtd_tlb *t, uint32_t word, uint64_t addr, uint64_t *val)
{
	uint64_t vpn = vtd_vpn(addr);
	unsigned int level;

	if ((word & 0xff) == 0)
		return 0;
	for (level = VTD_PSC_FIRST; level <= VTD_PSC_LAST; level++) {
		unsigned int s = level - VTD_PSC_FIRST;

		if ((word >> s & 1) &&
		    hw_probe(t->psc, VTD_PSC_LG2, vtd_key(word >> 8, s, vpn >> (9 * (s + 1))), val))
			return level;
	}
	return 0;
}

#endif
