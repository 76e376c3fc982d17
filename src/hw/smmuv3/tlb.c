/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags, fills, and what each CMD_TLBI_* removes (IHI 0070 4.4): that and nothing else, so that what a driver forgets is
 * seen.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "base/alloc.h"
#include "hw/smmuv3/model.h"

/* Up to here each page is looked up; a longer range is compared with every entry. */
#define PROBE_MAX 1024

int smmu_tlb_init(struct smmu_tlb *t, struct nb_trace *tr)
{
	unsigned int i;

	if (!hw_tables_new(&t->leaf, SMMU_TLB_LG2, &t->wc, SMMU_WC_LG2))
		return -ENOMEM;
	t->next_id = HW_ID_FIRST;
	t->tr = tr;
	t->none.space = &t->none_space;
	for (i = 0; i < 2; i++)
		t->none_space.global[i].space = &t->none_space;
	t->none_space.s2.space = &t->none_space;
	return 0;
}

void smmu_tlb_fini(struct smmu_tlb *t)
{
	struct smmu_space *s;
	struct smmu_tag *tag;
	unsigned int i;

	for (i = 0; i < SMMU_SPACE_HASH; i++)
		while ((s = t->spaces[i]) != NULL) {
			t->spaces[i] = s->hash_next;
			nb_free(s);
		}
	for (i = 0; i < SMMU_TAG_HASH; i++)
		while ((tag = t->tags[i]) != NULL) {
			t->tags[i] = tag->hash_next;
			nb_free(tag);
		}
	nb_free(t->leaf);
	nb_free(t->wc);
}

/* ---- ids and tags ---- */

static uint32_t new_id(struct smmu_tlb *t)
{
	return hw_id_new(&t->next_id, &t->want_reset);
}

static void tag_start(struct smmu_tlb *t, struct smmu_tag *tag, struct smmu_space *space, uint16_t asid)
{
	tag->space = space;
	tag->asid = asid;
	tag->split = 0;
	atomic_store_explicit(&tag->leaf, new_id(t) << 16, memory_order_relaxed);
	atomic_store_explicit(&tag->wc, new_id(t) << 16, memory_order_relaxed);
}

static unsigned int space_hash(unsigned int regime, uint16_t vmid)
{
	return (vmid + regime * 85u) % SMMU_SPACE_HASH;
}

static unsigned int tag_hash(unsigned int regime, uint16_t vmid, uint16_t asid)
{
	return (vmid * 31u + asid + regime * 341u) % SMMU_TAG_HASH;
}

static struct smmu_space *space_find_locked(struct smmu_tlb *t, unsigned int regime, uint16_t vmid)
{
	struct smmu_space *s;

	for (s = t->spaces[space_hash(regime, vmid)]; s && (s->vmid != vmid || s->regime != regime); s = s->hash_next)
		;
	return s;
}

static struct smmu_tag *tag_find_locked(struct smmu_tlb *t, unsigned int regime, uint16_t vmid, uint16_t asid)
{
	struct smmu_tag *tag;

	for (tag = t->tags[tag_hash(regime, vmid, asid)];
	     tag && (tag->asid != asid || tag->space->vmid != vmid || tag->space->regime != regime); tag = tag->hash_next)
		;
	return tag;
}

/* A new tag needs a spare and room. */
static bool room_locked(struct smmu_tlb *t, const void *spare)
{
	if (t->ntags >= SMMU_MAX_TAGS)
		atomic_store_explicit(&t->want_reset, true, memory_order_relaxed);
	return spare && !atomic_load_explicit(&t->want_reset, memory_order_relaxed);
}

static struct smmu_space *space_get_locked(struct smmu_tlb *t, unsigned int regime, uint16_t vmid, void **spare)
{
	struct smmu_space *s = space_find_locked(t, regime, vmid), **head;

	if (s)
		return s;
	if (!room_locked(t, *spare))
		return &t->none_space;
	s = *spare;
	*spare = NULL;
	s->regime = (uint8_t)regime;
	s->vmid = vmid;
	tag_start(t, &s->global[0], s, 0);
	tag_start(t, &s->global[1], s, 0);
	tag_start(t, &s->s2, s, 0);
	head = &t->spaces[space_hash(regime, vmid)];
	s->hash_next = *head;
	*head = s;
	t->ntags++;
	return s;
}

static struct smmu_tag *tag_get_locked(struct smmu_tlb *t, struct smmu_space *space, uint16_t asid, void **spare)
{
	struct smmu_tag *tag, **head;

	if (space == &t->none_space)
		return &t->none;
	tag = tag_find_locked(t, space->regime, space->vmid, asid);
	if (tag)
		return tag;
	if (!room_locked(t, *spare))
		return &t->none;
	tag = *spare;
	*spare = NULL;
	tag_start(t, tag, space, asid);
	head = &t->tags[tag_hash(space->regime, space->vmid, asid)];
	tag->hash_next = *head;
	*head = tag;
	tag->space_next = space->asids;
	space->asids = tag;
	t->ntags++;
	return tag;
}

enum { SPARE_SPACE, SPARE_TAG };

void smmu_spares_get(struct smmu_spares *sp)
{
	*sp = (struct smmu_spares){{0}};
	sp->p[SPARE_SPACE] = nb_zalloc(sizeof(struct smmu_space));
	sp->p[SPARE_TAG] = nb_zalloc(sizeof(struct smmu_tag));
}

void smmu_spares_put(struct smmu_spares *sp)
{
	nb_free(sp->p[SPARE_SPACE]);
	nb_free(sp->p[SPARE_TAG]);
	*sp = (struct smmu_spares){{0}};
}

static bool has_s1(const struct smmu_cfg *cfg)
{
	return cfg->kind == SMMU_K_S1 || cfg->kind == SMMU_K_NESTED;
}
static bool has_s2(const struct smmu_cfg *cfg)
{
	return cfg->kind == SMMU_K_S2 || cfg->kind == SMMU_K_NESTED;
}

void smmu_tags_locked(struct smmu_tlb *t, struct smmu_cfg *cfg, struct smmu_spares *sp)
{
	struct smmu_space *space;

	cfg->tag = cfg->gtag = cfg->s2tag = NULL;
	if (cfg->kind == SMMU_K_BYPASS)
		return;
	space = space_get_locked(t, cfg->regime, cfg->regime == SMMU_R_EL1 ? cfg->vmid : 0, &sp->p[SPARE_SPACE]);
	if (has_s2(cfg))
		cfg->s2tag = &space->s2;
	if (has_s1(cfg)) {
		cfg->gtag = &space->global[cfg->s1.aset];
		cfg->tag = tag_get_locked(t, space, cfg->regime == SMMU_R_EL2 ? 0 : cfg->s1.asid, &sp->p[SPARE_TAG]);
	} else {
		cfg->tag = cfg->s2tag;
	}
}

void smmu_tags_none(struct smmu_tlb *t, struct smmu_cfg *cfg)
{
	cfg->tag = cfg->kind == SMMU_K_BYPASS ? NULL : &t->none;
	cfg->gtag = has_s1(cfg) ? &t->none : NULL;
	cfg->s2tag = has_s2(cfg) ? &t->none : NULL;
}

/* ---- starting over ---- */


/*
 * The chains hang on the first of them, so that forgetting needs no memory: spaces by hash_next, and the last space's
 * asids, which nobody looks at any more, is the chain of all tags.
 */
void *smmu_tlb_forget_locked(struct smmu_tlb *t)
{
	struct smmu_space *spaces = NULL, *s;
	struct smmu_tag *tags = NULL, *tag;
	unsigned int i;

	for (i = 0; i < SMMU_TAG_HASH; i++)
		while ((tag = t->tags[i]) != NULL) {
			t->tags[i] = tag->hash_next;
			tag->hash_next = tags;
			tags = tag;
		}
	for (i = 0; i < SMMU_SPACE_HASH; i++)
		while ((s = t->spaces[i]) != NULL) {
			t->spaces[i] = s->hash_next;
			s->hash_next = spaces;
			s->asids = NULL;
			spaces = s;
		}
	assert(spaces || !tags); /* every tag has a space */
	if (spaces)
		spaces->asids = tags;
	t->ntags = 0;
	/* No new tags: a reader may still use an old id that would be given again. */
	atomic_store_explicit(&t->want_reset, true, memory_order_relaxed);
	return spaces;
}

void smmu_tlb_dispose(void *forgotten)
{
	struct smmu_space *s = forgotten;

	while (s) {
		struct smmu_space *next = s->hash_next;

		while (s->asids) {
			struct smmu_tag *tag = s->asids;

			s->asids = tag->hash_next;
			nb_free(tag);
		}
		nb_free(s);
		s = next;
	}
}

void smmu_tlb_restart_locked(struct smmu_tlb *t)
{
	hw_table_clear(t->leaf, SMMU_TLB_LG2);
	hw_table_clear(t->wc, SMMU_WC_LG2);
	t->next_id = HW_ID_FIRST;
	atomic_store_explicit(&t->want_reset, false, memory_order_relaxed);
}

/* ---- fills ---- */

void smmu_tlb_fill(struct smmu_tlb *t, uint64_t seq, const struct smmu_fill *f, unsigned int n)
{
	unsigned int i, way, spins = 0;
	uint64_t victim;

	while (!hw_spin_try(&t->lock)) {
		if (++spins > 200)
			return; /* caching is never owed */
		nb_cpu_relax();
	}
	if (likely(atomic_load_explicit(&t->inv_seq, memory_order_relaxed) == seq)) {
		for (i = 0; i < n; i++, f++) {
			_Atomic uint32_t *tag_word = f->wc ? &f->tag->wc : &f->tag->leaf;
			uint32_t word = atomic_load_explicit(tag_word, memory_order_relaxed);
			uint32_t bit = 1u << (f->key >> 44 & 15);

			if (unlikely(word >> 16 != f->key >> 48 || word >> 16 == 0))
				continue;
			way = hw_bucket_way(f->bucket, f->key);
			if (way == HW_WAYS) {
				way = hw_bucket_turn(f->bucket);
				victim = atomic_load_explicit(&f->bucket->key[way], memory_order_relaxed);
				NB_TRACE(t->tr, hw_tlb_evict, victim >> 48, victim & (BIT(48) - 1));
			}
			hw_bucket_put(f->bucket, way, f->key, f->val);
			if (unlikely(f->split > f->tag->split))
				f->tag->split = f->split;
			if (!(word & bit)) /* release: whoever sees the bit finds the entry */
				atomic_store_explicit(tag_word, word | bit, memory_order_release);
		}
	}
	hw_spin_unlock(&t->lock);
}

/* ---- invalidation ---- */

static void drop_leaf_locked(struct smmu_tlb *t, struct smmu_tag *tag)
{
	if (atomic_load_explicit(&tag->leaf, memory_order_relaxed) & 0xffff) {
		atomic_store_explicit(&tag->leaf, new_id(t) << 16, memory_order_release);
		tag->split = 0;
	}
}

static void drop_wc_locked(struct smmu_tlb *t, struct smmu_tag *tag)
{
	if (atomic_load_explicit(&tag->wc, memory_order_relaxed) & 0xffff)
		atomic_store_explicit(&tag->wc, new_id(t) << 16, memory_order_release);
}

static void drop_locked(struct smmu_tlb *t, struct smmu_tag *tag)
{
	drop_leaf_locked(t, tag);
	drop_wc_locked(t, tag);
}

/* Size of the leaf that the entry was made from. */
static unsigned int leaf_lg2(uint64_t val)
{
	unsigned int tg = 12 + 2 * (unsigned int)FIELD_GET(SMMU_V_TG, val);

	return tg + (3 - (unsigned int)FIELD_GET(SMMU_V_LEVEL, val)) * (tg - 3);
}

/* Does an entry of this value for [at, at + 2^lg2) go? Pieces of a leaf go with any address of the leaf. */
static bool leaf_matches(const struct smmu_range *r, uint64_t val, uint64_t at, unsigned int lg2)
{
	unsigned int whole = leaf_lg2(val);

	if (r->tg && r->tg != 12 + 2 * FIELD_GET(SMMU_V_TG, val))
		return false;
	if (r->ttl && r->ttl != FIELD_GET(SMMU_V_LEVEL, val))
		return false;
	if (whole < lg2)
		whole = lg2; /* a contiguous group */
	return (at & ~nb_low_mask(whole)) <= r->last && (at | nb_low_mask(whole)) >= r->first;
}

static __attribute__((noinline)) void leaf_way_locked(struct hw_bucket *b, unsigned int way, const struct smmu_range *r, uint64_t at,
						      unsigned int lg2)
{
	if (leaf_matches(r, atomic_load_explicit(&b->val[way], memory_order_relaxed), at, lg2))
		hw_bucket_erase(b, way);
}

/* The entry, if it is there and matches. Nearly always it is not there: one bucket is looked at, and no value. */
static inline __attribute__((always_inline)) void leaf_key_locked(struct smmu_tlb *t, const struct smmu_range *r, uint64_t key,
								  uint64_t at, unsigned int lg2)
{
	struct hw_bucket *b = hw_bucket(t->leaf, SMMU_TLB_LG2, key);
	uint64_t k0 = atomic_load_explicit(&b->key[0], memory_order_relaxed);
	uint64_t k1 = atomic_load_explicit(&b->key[1], memory_order_relaxed);
	uint64_t k2 = atomic_load_explicit(&b->key[2], memory_order_relaxed);

	if (likely((k0 != key) & (k1 != key) & (k2 != key)))
		return;
	leaf_way_locked(b, k0 == key ? 0 : k1 == key ? 1 : 2, r, at, lg2); /* it stands in one place: smmu_tlb_fill() */
}

static void leaf_scan_locked(struct smmu_tlb *t, const struct smmu_range *r, uint32_t id)
{
	unsigned int way, order;
	size_t i;

	for (i = 0; i < (size_t)1 << SMMU_TLB_LG2; i++) {
		struct hw_bucket *b = &t->leaf[i];

		for (way = 0; way < HW_WAYS; way++) {
			uint64_t key = atomic_load_explicit(&b->key[way], memory_order_relaxed);

			if (key >> 48 != id)
				continue;
			order = smmu_size_order(key >> 44 & 15);
			if (leaf_matches(r, atomic_load_explicit(&b->val[way], memory_order_relaxed),
					 (key & (BIT(44) - 1)) << (order + 12), order + 12))
				hw_bucket_erase(b, way);
		}
	}
}

static __attribute__((noinline)) void leaf_pages_locked(struct smmu_tlb *t, const struct smmu_tag *tag, uint32_t word,
							const struct smmu_range *r)
{
	uint64_t first = r->first & ~nb_low_mask(tag->split), last = r->last | nb_low_mask(tag->split), n = 0;
	uint32_t sizes;

	for (sizes = word & 0xffff; sizes; sizes &= sizes - 1) {
		unsigned int lg2 = 12 + smmu_size_order((unsigned int)__builtin_ctz(sizes));

		n += (last >> lg2) - (first >> lg2) + 1;
		if (n > PROBE_MAX) {
			leaf_scan_locked(t, r, word >> 16);
			return;
		}
	}
	for (sizes = word & 0xffff; sizes; sizes &= sizes - 1) {
		unsigned int size = (unsigned int)__builtin_ctz(sizes), lg2 = 12 + smmu_size_order(size);
		uint64_t page;

		for (page = first >> lg2; page <= last >> lg2; page++)
			leaf_key_locked(t, r, smmu_key(word >> 16, size, page), page << lg2, lg2);
	}
}

/* One page is what guests invalidate most: a look at one place for each size in use. */
static inline __attribute__((always_inline)) void leaf_range_locked(struct smmu_tlb *t, const struct smmu_tag *tag,
								    const struct smmu_range *r)
{
	uint32_t word = atomic_load_explicit(&tag->leaf, memory_order_relaxed), sizes = word & 0xffff;

	if (!sizes)
		return;
	if (unlikely(r->first >> 12 != r->last >> 12 || tag->split)) {
		leaf_pages_locked(t, tag, word, r);
		return;
	}
	for (; sizes; sizes &= sizes - 1) {
		unsigned int size = (unsigned int)__builtin_ctz(sizes), lg2 = 12 + smmu_size_order(size);
		uint64_t page = r->first >> lg2;

		leaf_key_locked(t, r, smmu_key(word >> 16, size, page), page << lg2, lg2);
	}
}

/* 4.4.1.1: with TTL, tables at levels down to the one that holds the leaf. */
static __attribute__((noinline)) void wc_range_locked(struct smmu_tlb *t, struct smmu_tag *tag, const struct smmu_range *r)
{
	uint32_t word = atomic_load_explicit(&tag->wc, memory_order_relaxed), codes;
	unsigned int way;

	for (codes = word & 0xffff; codes; codes &= codes - 1) {
		unsigned int code = (unsigned int)__builtin_ctz(codes), lg2 = smmu_wc_lg2(code);
		uint64_t lo, hi, k;
		size_t i;

		if ((r->tg && r->tg != 12 + code / 4 * 2) || (r->ttl && code % 4 > r->ttl))
			continue;
		lo = smmu_key(word >> 16, code, r->first >> lg2);
		hi = smmu_key(word >> 16, code, r->last >> lg2);
		if (hi - lo < PROBE_MAX) {
			for (k = lo; k <= hi; k++) {
				struct hw_bucket *b = hw_bucket(t->wc, SMMU_WC_LG2, k);

				for (way = 0; way < HW_WAYS; way++)
					if (atomic_load_explicit(&b->key[way], memory_order_relaxed) == k)
						hw_bucket_erase(b, way);
			}
			continue;
		}
		for (i = 0; i < (size_t)1 << SMMU_WC_LG2; i++)
			for (way = 0; way < HW_WAYS; way++) {
				k = atomic_load_explicit(&t->wc[i].key[way], memory_order_relaxed);
				if (k >= lo && k <= hi)
					hw_bucket_erase(&t->wc[i], way);
			}
	}
}

static inline __attribute__((always_inline)) void range_locked(struct smmu_tlb *t, struct smmu_tag *tag, const struct smmu_range *r)
{
	leaf_range_locked(t, tag, r);
	if (!r->leaf)
		wc_range_locked(t, tag, r);
}

static void space_drop_s1_locked(struct smmu_tlb *t, struct smmu_space *s)
{
	struct smmu_tag *tag;

	for (tag = s->asids; tag; tag = tag->space_next)
		drop_locked(t, tag);
	drop_leaf_locked(t, &s->global[0]);
	drop_leaf_locked(t, &s->global[1]);
}

static bool is_range(const struct smmu_range *r)
{
	return r->first <= r->last && r->last <= BITS(55, 0);
}

void smmu_tlbi_all(struct smmu *v, bool el1, bool el2)
{
	struct smmu_space *s;
	unsigned int i;

	for (i = 0; i < SMMU_SPACE_HASH; i++)
		for (s = v->tlb.spaces[i]; s; s = s->hash_next) {
			if (!(s->regime == SMMU_R_EL1 ? el1 : el2))
				continue;
			space_drop_s1_locked(&v->tlb, s);
			drop_locked(&v->tlb, &s->s2);
		}
}

void smmu_tlbi_vmid(struct smmu *v, uint16_t vmid, bool s2)
{
	struct smmu_space *s = space_find_locked(&v->tlb, SMMU_R_EL1, vmid);

	if (!s)
		return;
	space_drop_s1_locked(&v->tlb, s);
	if (s2)
		drop_locked(&v->tlb, &s->s2);
}

void smmu_tlbi_asid(struct smmu *v, enum smmu_regime regime, uint16_t vmid, uint16_t asid)
{
	struct smmu_tag *tag = tag_find_locked(&v->tlb, regime, vmid, asid);

	if (tag)
		drop_locked(&v->tlb, tag);
}

/* What an address names of a space beside the ASIDs: walk caches hold no leaf, so there is nothing global among them. */
static inline void global_range_locked(struct smmu_tlb *t, struct smmu_space *s, const struct smmu_range *r)
{
	uint32_t sizes = atomic_load_explicit(&s->global[0].leaf, memory_order_relaxed) |
			 atomic_load_explicit(&s->global[1].leaf, memory_order_relaxed);

	if (!(sizes & 0xffff)) /* as nearly always */
		return;
	leaf_range_locked(t, &s->global[0], r);
	leaf_range_locked(t, &s->global[1], r);
}

/* 4.4.2.4. EL2 has no ASIDs (4.4.2.8). */
void smmu_tlbi_va(struct smmu *v, enum smmu_regime regime, uint16_t vmid, uint16_t asid, const struct smmu_range *r)
{
	struct smmu_tag *tag = tag_find_locked(&v->tlb, regime, vmid, regime == SMMU_R_EL2 ? 0 : asid);
	struct smmu_space *s = tag ? tag->space : space_find_locked(&v->tlb, regime, vmid);

	assert(is_range(r));
	if (tag)
		range_locked(&v->tlb, tag, r);
	if (s)
		global_range_locked(&v->tlb, s, r);
}

void smmu_tlbi_vaa(struct smmu *v, enum smmu_regime regime, uint16_t vmid, const struct smmu_range *r)
{
	struct smmu_space *s = space_find_locked(&v->tlb, regime, vmid);
	struct smmu_tag *tag;

	assert(is_range(r));
	if (!s)
		return;
	for (tag = s->asids; tag; tag = tag->space_next)
		range_locked(&v->tlb, tag, r);
	global_range_locked(&v->tlb, s, r);
}

void smmu_tlbi_ipa(struct smmu *v, uint16_t vmid, const struct smmu_range *r)
{
	struct smmu_space *s = space_find_locked(&v->tlb, SMMU_R_EL1, vmid);

	assert(is_range(r));
	if (s)
		range_locked(&v->tlb, &s->s2, r);
}
