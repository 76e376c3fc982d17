/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/vtd/tlb.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "base/alloc.h"

/* Up to here each page is looked up; a longer range is compared with every entry. */
#define PROBE_MAX 1024

int vtd_tlb_init(struct vtd_tlb *t, struct nb_trace *tr)
{
	if (!hw_tables_new(&t->leaf, VTD_TLB_LG2, &t->psc, VTD_PSC_LG2))
		return -ENOMEM;
	t->next_id = HW_ID_FIRST;
	t->tr = tr;
	t->none.dom = &t->none_dom;
	t->none_dom.ss.dom = t->none_dom.gpa.dom = &t->none_dom;
	return 0;
}

void vtd_tlb_fini(struct vtd_tlb *t)
{
	struct vtd_dom *d;
	struct vtd_tag *tag;
	unsigned int i;

	for (i = 0; i < VTD_DOM_HASH; i++)
		while ((d = t->doms[i]) != NULL) {
			t->doms[i] = d->hash_next;
			nb_free(d);
		}
	for (i = 0; i < VTD_TAG_HASH; i++)
		while ((tag = t->tags[i]) != NULL) {
			t->tags[i] = tag->hash_next;
			nb_free(tag);
		}
	nb_free(t->leaf);
	nb_free(t->psc);
}

/* ---- ids and tags ---- */

static uint32_t new_id(struct vtd_tlb *t)
{
	return hw_id_new(&t->next_id, &t->want_reset);
}

static void tag_start(struct vtd_tlb *t, struct vtd_tag *tag, struct vtd_dom *dom, uint32_t pasid)
{
	tag->dom = dom;
	tag->pasid = pasid;
	atomic_store_explicit(&tag->leaf, new_id(t) << 8, memory_order_relaxed);
	atomic_store_explicit(&tag->psc, new_id(t) << 8, memory_order_relaxed);
}

struct vtd_dom *vtd_dom_find_locked(struct vtd_tlb *t, uint16_t did)
{
	struct vtd_dom *d;

	for (d = t->doms[did % VTD_DOM_HASH]; d && d->did != did; d = d->hash_next)
		;
	return d;
}

static unsigned int tag_hash(uint16_t did, uint32_t pasid)
{
	return (did * 31u + pasid) % VTD_TAG_HASH;
}

struct vtd_tag *vtd_tag_find_locked(struct vtd_tlb *t, uint16_t did, uint32_t pasid)
{
	struct vtd_tag *tag;

	for (tag = t->tags[tag_hash(did, pasid)]; tag && (tag->pasid != pasid || tag->dom->did != did);
	     tag = tag->hash_next)
		;
	return tag;
}

struct vtd_dom *vtd_dom_get_locked(struct vtd_tlb *t, uint16_t did, struct vtd_dom **spare_dom)
{
	struct vtd_dom *d = vtd_dom_find_locked(t, did);

	if (d)
		return d;
	if (t->want_reset || t->ntags >= VTD_MAX_TAGS || !*spare_dom) {
		t->want_reset |= t->ntags >= VTD_MAX_TAGS;
		return &t->none_dom;
	}
	d = *spare_dom;
	*spare_dom = NULL;
	d->did = did;
	tag_start(t, &d->ss, d, VTD_TAG_SS);
	tag_start(t, &d->gpa, d, VTD_TAG_GPA);
	d->hash_next = t->doms[did % VTD_DOM_HASH];
	t->doms[did % VTD_DOM_HASH] = d;
	t->ntags++;
	return d;
}

struct vtd_tag *vtd_tag_get_locked(struct vtd_tlb *t, struct vtd_dom *dom, uint32_t pasid, struct vtd_tag **spare_tag)
{
	struct vtd_tag *tag;
	unsigned int h;

	if (dom == &t->none_dom)
		return &t->none;
	tag = vtd_tag_find_locked(t, dom->did, pasid);
	if (tag)
		return tag;
	if (t->want_reset || t->ntags >= VTD_MAX_TAGS || !*spare_tag) {
		t->want_reset |= t->ntags >= VTD_MAX_TAGS;
		return &t->none;
	}
	tag = *spare_tag;
	*spare_tag = NULL;
	tag_start(t, tag, dom, pasid);
	h = tag_hash(dom->did, pasid);
	tag->hash_next = t->tags[h];
	t->tags[h] = tag;
	tag->dom_next = dom->fs;
	dom->fs = tag;
	t->ntags++;
	return tag;
}

void vtd_tlb_forget_locked(struct vtd_tlb *t, struct vtd_dom **doms, struct vtd_tag **tags)
{
	unsigned int i;

	*doms = NULL;
	*tags = NULL;
	for (i = 0; i < VTD_DOM_HASH; i++) {
		while (t->doms[i]) {
			struct vtd_dom *d = t->doms[i];

			t->doms[i] = d->hash_next;
			d->hash_next = *doms;
			*doms = d;
		}
	}
	for (i = 0; i < VTD_TAG_HASH; i++) {
		while (t->tags[i]) {
			struct vtd_tag *tag = t->tags[i];

			t->tags[i] = tag->hash_next;
			tag->hash_next = *tags;
			*tags = tag;
		}
	}
	t->ntags = 0;
	t->want_reset = true; /* no new tags: a reader may still use an old id that would be given again */
}

void vtd_tlb_restart_locked(struct vtd_tlb *t)
{
	hw_table_clear(t->leaf, VTD_TLB_LG2);
	hw_table_clear(t->psc, VTD_PSC_LG2);
	t->next_id = HW_ID_FIRST;
	t->want_reset = false;
}

/* ---- entries ---- */

static inline void put(struct vtd_tlb *t, const struct vtd_fill *f)
{
	struct hw_bucket *b = f->bucket;
	unsigned int way = hw_bucket_way(b, f->key);
	uint64_t victim;

	if (way == HW_WAYS) {
		way = hw_bucket_turn(b);
		victim = atomic_load_explicit(&b->key[way], memory_order_relaxed);
		NB_TRACE(t->tr, hw_tlb_evict, victim >> 48, victim & (BIT(48) - 1));
	}
	hw_bucket_put(b, way, f->key, f->val);
}

void vtd_tlb_fill(struct vtd_tlb *t, uint64_t seq, const struct vtd_fill *f, unsigned int n)
{
	unsigned int i, spins = 0;

	while (!hw_spin_try(&t->lock)) {
		if (++spins > 200)
			return; /* caching is never owed */
		nb_cpu_relax();
	}
	if (likely(atomic_load_explicit(&t->inv_seq, memory_order_relaxed) == seq)) {
		for (i = 0; i < n; i++, f++) {
			uint32_t word = atomic_load_explicit(f->word, memory_order_relaxed);
			uint32_t bit = 1u << (f->key >> 46 & 3);

			if (unlikely(word >> 8 != f->key >> 48))
				continue;
			put(t, f);
			if (!(word & bit)) /* release: whoever sees the bit finds the entry */
				atomic_store_explicit(f->word, word | bit, memory_order_release);
		}
	}
	hw_spin_unlock(&t->lock);
}

/* ---- invalidation ---- */

void vtd_tag_drop_leaf_locked(struct vtd_tlb *t, struct vtd_tag *tag)
{
	if (atomic_load_explicit(&tag->leaf, memory_order_relaxed) & 0xff)
		atomic_store_explicit(&tag->leaf, new_id(t) << 8, memory_order_release);
}

void vtd_tag_drop_psc_locked(struct vtd_tlb *t, struct vtd_tag *tag)
{
	if (atomic_load_explicit(&tag->psc, memory_order_relaxed) & 0xff)
		atomic_store_explicit(&tag->psc, new_id(t) << 8, memory_order_release);
}

static void erase_key(struct hw_bucket *table, unsigned int lg2, uint64_t key)
{
	struct hw_bucket *b = hw_bucket(table, lg2, key);
	unsigned int way;

	for (way = 0; way < HW_WAYS; way++)
		if (atomic_load_explicit(&b->key[way], memory_order_relaxed) == key)
			hw_bucket_erase(b, way);
}

/* Keys lo..hi, which differ in their page number only. */
static void erase_range(struct hw_bucket *table, unsigned int lg2, uint64_t lo, uint64_t hi)
{
	size_t i;
	unsigned int way;

	if (hi - lo < PROBE_MAX) {
		for (;; lo++) {
			erase_key(table, lg2, lo);
			if (lo == hi)
				return;
		}
	}
	for (i = 0; i < (size_t)1 << lg2; i++) {
		for (way = 0; way < HW_WAYS; way++) {
			uint64_t k = atomic_load_explicit(&table[i].key[way], memory_order_relaxed);

			if (k >= lo && k <= hi)
				hw_bucket_erase(&table[i], way);
		}
	}
}

void vtd_tag_leaf_range_locked(struct vtd_tlb *t, struct vtd_tag *tag, uint64_t first, uint64_t last)
{
	uint32_t word = atomic_load_explicit(&tag->leaf, memory_order_relaxed);
	unsigned int s;

	for (s = 0; s < VTD_NSIZES; s++)
		if (word >> s & 1)
			erase_range(t->leaf, VTD_TLB_LG2, vtd_key(word >> 8, s, vtd_vpn(first) >> (9 * s)),
				    vtd_key(word >> 8, s, vtd_vpn(last) >> (9 * s)));
}

void vtd_tag_psc_range_locked(struct vtd_tlb *t, struct vtd_tag *tag, uint64_t first, uint64_t last)
{
	uint32_t word = atomic_load_explicit(&tag->psc, memory_order_relaxed);
	unsigned int s;

	for (s = 0; s <= VTD_PSC_LAST - VTD_PSC_FIRST; s++)
		if (word >> s & 1)
			erase_range(t->psc, VTD_PSC_LG2, vtd_key(word >> 8, s, vtd_vpn(first) >> (9 * (s + 1))),
				    vtd_key(word >> 8, s, vtd_vpn(last) >> (9 * (s + 1))));
}
