/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a StreamID and a SubstreamID to a translation function: stream table (3.3.1), CD table (3.3.2), and what is cached of
 * them (16.2).
 *
 * Cached, each for itself: level 1 stream table descriptors by index, STEs by StreamID, level 1 CD descriptors by StreamID and
 * index, CDs by StreamID and SubstreamID (the CD's index in its table; 0 where there is one). All of them in whatever state
 * they were fetched, illegal ones too (5.2.1, 5.4.1): software that makes an entry valid has to invalidate it as well. What
 * could not be fetched is not cached. Cached objects are immutable; invalidating one unpublishes it and it is freed after a grace period.
 */
#include "hw/smmuv3/model.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define L1STD_CACHED BIT(63)

/* Read n words of an entry, word by word: that is how far the SMMU promises atomicity (3.21.3). */
static bool fetch(const struct smmu *v, uint64_t pa, uint64_t *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (smmu_load64(v, pa + 8 * i, &w[i]))
			return false;
	return true;
}

static bool refuse(struct smmu_why *why, unsigned int type)
{
	*why = (struct smmu_why){.type = (uint8_t)type};
	return false;
}

static bool refuse_fetch(struct smmu_why *why, unsigned int type, uint64_t pa)
{
	*why = (struct smmu_why){.type = (uint8_t)type, .fetch = pa};
	return false;
}

static bool beyond(uint64_t addr, unsigned int bits)
{
	return addr >> bits != 0;
}

/* ---- the caches ---- */

struct smmu_slot *smmu_slot_of(struct smmu *v, uint16_t sid, bool create)
{
	struct smmu_bus *b = atomic_load_explicit(&v->bus[sid >> 8], memory_order_acquire), *none = NULL;

	if (!b && create) {
		b = nb_zalloc(sizeof(*b));
		if (b && !atomic_compare_exchange_strong_explicit(&v->bus[sid >> 8], &none, b, memory_order_acq_rel,
								  memory_order_acquire)) {
			nb_free(b);
			b = none;
		}
	}
	return b ? &b->slot[sid & 0xff] : NULL;
}

static struct smmu_cfg *_Atomic *cd_chain(struct smmu *v, uint16_t sid, uint32_t ssid)
{
	return &v->cds[(sid * 0x9e37u ^ ssid) % SMMU_CD_HASH];
}

static struct smmu_cfg *cd_find(struct smmu *v, uint16_t sid, uint32_t ssid)
{
	struct smmu_cfg *c = atomic_load_explicit(cd_chain(v, sid, ssid), memory_order_acquire);

	while (c && (c->sid != sid || c->ssid != ssid))
		c = nb_rcu_dereference(c->next);
	return c;
}

static struct smmu_l1 *_Atomic *l1cd_chain(struct smmu *v, uint16_t sid, uint32_t index)
{
	return &v->l1cds[(sid * 0x9e37u ^ index) % SMMU_L1CD_HASH];
}

static struct smmu_l1 *l1cd_find(struct smmu *v, uint16_t sid, uint32_t index)
{
	struct smmu_l1 *l = atomic_load_explicit(l1cd_chain(v, sid, index), memory_order_acquire);

	while (l && (l->sid != sid || l->index != index))
		l = nb_rcu_dereference(l->next);
	return l;
}

/* Nothing was invalidated since `seq`, tlb.lock held. */
static bool fresh_locked(const struct smmu *v, uint64_t seq)
{
	return atomic_load_explicit(&v->tlb.inv_seq, memory_order_relaxed) == seq;
}

/*
 * Publish what was read, unless something was invalidated since `seq`. Returns the cached object, or null: the caller
 * then goes on with its own copy, which has no tags and so fills nothing.
 */
static const struct smmu_dev *dev_publish(struct smmu *v, struct smmu_slot *slot, const struct smmu_dev *d, uint64_t seq)
{
	struct smmu_dev *copy = nb_zalloc(sizeof(*copy)), *old = NULL;
	struct smmu_spares sp;

	if (!copy)
		return NULL;
	*copy = *d;
	smmu_spares_get(&sp);
	hw_spin_lock(&v->tlb.lock);
	if (fresh_locked(v, seq)) {
		old = atomic_load_explicit(&slot->dev, memory_order_relaxed);
		if (!old) {
			smmu_tags_locked(&v->tlb, &copy->nos1, &sp);
			atomic_store_explicit(&slot->dev, copy, memory_order_release);
			old = copy;
			copy = NULL;
		}
	}
	hw_spin_unlock(&v->tlb.lock);
	smmu_spares_put(&sp);
	nb_free(copy);
	return old;
}

static const struct smmu_cfg *cd_publish(struct smmu *v, const struct smmu_cfg *c, uint64_t seq)
{
	struct smmu_cfg *copy = nb_zalloc(sizeof(*copy)), *old = NULL;
	struct smmu_spares sp;

	if (!copy)
		return NULL;
	*copy = *c;
	smmu_spares_get(&sp);
	hw_spin_lock(&v->tlb.lock);
	if (fresh_locked(v, seq) && v->ncds < SMMU_CD_MAX) {
		old = cd_find(v, c->sid, c->ssid);
		if (!old) {
			struct smmu_cfg *_Atomic *chain = cd_chain(v, c->sid, c->ssid);

			smmu_tags_locked(&v->tlb, copy, &sp);
			atomic_store_explicit(&copy->next, atomic_load_explicit(chain, memory_order_relaxed), memory_order_relaxed);
			atomic_store_explicit(chain, copy, memory_order_release);
			v->ncds++;
			old = copy;
			copy = NULL;
		}
	} else if (v->ncds >= SMMU_CD_MAX) {
		atomic_store_explicit(&v->tlb.want_reset, true, memory_order_relaxed);
	}
	hw_spin_unlock(&v->tlb.lock);
	smmu_spares_put(&sp);
	nb_free(copy);
	return old;
}

static void l1cd_publish(struct smmu *v, uint16_t sid, uint32_t index, uint64_t w, uint64_t seq)
{
	struct smmu_l1 *copy = nb_zalloc(sizeof(*copy));

	if (!copy)
		return;
	*copy = (struct smmu_l1){.w = w, .sid = sid, .index = index};
	hw_spin_lock(&v->tlb.lock);
	if (fresh_locked(v, seq) && v->nl1cds < SMMU_CD_MAX && !l1cd_find(v, sid, index)) {
		struct smmu_l1 *_Atomic *chain = l1cd_chain(v, sid, index);

		atomic_store_explicit(&copy->next, atomic_load_explicit(chain, memory_order_relaxed), memory_order_relaxed);
		atomic_store_explicit(chain, copy, memory_order_release);
		v->nl1cds++;
		copy = NULL;
	}
	hw_spin_unlock(&v->tlb.lock);
	nb_free(copy);
}

/* Let requests without SubstreamID find the function at once, while everything on its way is cached. */
static void fast_publish(struct smmu *v, struct smmu_slot *slot, const struct smmu_dev *d, const struct smmu_cfg *c)
{
	hw_spin_lock(&v->tlb.lock);
	if (atomic_load_explicit(&slot->dev, memory_order_relaxed) == d &&
	    (c == &d->nos1 || cd_find(v, d->sid, c->ssid) == c))
		atomic_store_explicit(&slot->fast, (struct smmu_cfg *)(uintptr_t)c, memory_order_release);
	hw_spin_unlock(&v->tlb.lock);
}

/* ---- stream table ---- */

struct strtab {
	uint64_t base;
	unsigned int log2size, split;
	bool two_level;
};

static void strtab_of(const struct smmu *v, struct strtab *t)
{
	uint32_t cfg = atomic_load_explicit(&v->strtab_cfg, memory_order_acquire);
	unsigned int literal = (unsigned int)FIELD_GET(SMMU_STRTAB_BASE_CFG_LOG2SIZE, cfg), l1;

	t->log2size = literal < v->caps.sid_bits ? literal : v->caps.sid_bits;
	t->two_level = v->caps.st_2level && FIELD_GET(SMMU_STRTAB_BASE_CFG_FMT, cfg) == SMMU_STRTAB_2LEVEL;
	t->split = (unsigned int)FIELD_GET(SMMU_STRTAB_BASE_CFG_SPLIT, cfg);
	if (t->split != 8 && t->split != 10)
		t->split = 6; /* other values are reserved and behave so */
	l1 = t->two_level ? (literal > t->split ? literal - t->split : 0) + 3 : literal + 6;
	t->base = atomic_load_explicit(&v->strtab, memory_order_acquire) & ~nb_low_mask(l1 < 6 ? 6 : l1);
}

/* Where the STE lies; false: nowhere. */
static bool find_ste(struct smmu *v, const struct strtab *t, uint16_t sid, uint64_t seq, const struct smmu_steps *st, bool observe,
		     struct smmu_why *why, uint64_t *pa)
{
	uint32_t index = sid >> t->split;
	uint64_t at, w = 0, span;
	char text[200];
	bool ok = true;

	if ((uint64_t)sid >> t->log2size != 0)
		return refuse(why, SMMU_EVT_BAD_STREAMID);
	if (!t->two_level) {
		*pa = t->base + sid * 64ul;
		return !beyond(*pa, v->caps.oas) || refuse_fetch(why, SMMU_EVT_STE_FETCH, *pa);
	}
	at = t->base + index * 8ul;
	if (!observe)
		w = atomic_load_explicit(&v->l1std[index], memory_order_acquire);
	if (!(w & L1STD_CACHED)) {
		ok = !beyond(at, v->caps.oas) && fetch(v, at, &w, 1);
		w &= ~L1STD_CACHED;
		if (st) {
			snprintf(text, sizeof(text), "Span=%u -> 0x%llx", (unsigned int)FIELD_GET(SMMU_L1STD_0_SPAN, w),
				 (unsigned long long)(w & SMMU_L1STD_0_L2PTR));
			smmu_step_entry(st, "level 1 stream table descriptor", at, false, 0, ok, &w, 1, text);
		}
		if (!ok)
			return refuse_fetch(why, SMMU_EVT_STE_FETCH, at);
		if (!observe) {
			hw_spin_lock(&v->tlb.lock);
			if (fresh_locked(v, seq))
				atomic_store_explicit(&v->l1std[index], w | L1STD_CACHED, memory_order_release);
			hw_spin_unlock(&v->tlb.lock);
		}
	}
	span = FIELD_GET(SMMU_L1STD_0_SPAN, w);
	if (span == 0 || span > SMMU_SPAN_MAX || span > t->split + 1 || (sid & nb_low_mask(t->split)) >> (span - 1) != 0)
		return refuse(why, SMMU_EVT_BAD_STREAMID);
	*pa = (w & SMMU_L1STD_0_L2PTR & ~nb_low_mask(6 + (unsigned int)span - 1)) + (sid & nb_low_mask(t->split)) * 64;
	return !beyond(*pa, v->caps.oas) || refuse_fetch(why, SMMU_EVT_STE_FETCH, *pa);
}

const struct smmu_dev *smmu_config_dev(struct smmu *v, uint16_t sid, uint64_t seq, struct smmu_box *box,
				       const struct smmu_steps *st, bool observe, struct smmu_why *why)
{
	struct smmu_slot *slot = observe ? NULL : smmu_slot_of(v, sid, true);
	const struct smmu_dev *d = slot ? nb_rcu_dereference(slot->dev) : NULL;
	uint64_t pa = 0, q[8] = {0};
	struct strtab t;
	char text[200];
	bool ok;

	if (d)
		return d;
	strtab_of(v, &t);
	if (!find_ste(v, &t, sid, seq, st, observe, why, &pa))
		return NULL;
	ok = fetch(v, pa, q, 8);
	if (st) {
		smmu_text_ste(text, q);
		smmu_step_entry(st, "stream table entry", pa, false, 0, ok, q, 8, text);
	}
	if (!ok) {
		refuse_fetch(why, SMMU_EVT_STE_FETCH, pa);
		return NULL;
	}
	memset(&box->dev, 0, sizeof(box->dev));
	box->dev.sid = sid;
	smmu_ste_decode(v, q, &box->dev);
	if (slot)
		d = dev_publish(v, slot, &box->dev, seq);
	if (!d) {
		d = &box->dev;
		smmu_tags_none(&v->tlb, &box->dev.nos1);
	}
	if (!observe)
		NB_TRACE(v->hw.tr, hw_cfg_miss, sid, NB_NO_PASID);
	return d;
}

/* ---- CD table ---- */

/* Where a structure of the CD table lies in memory: under nesting its address is an IPA. */
static bool cd_pa(struct smmu *v, const struct smmu_dev *d, uint64_t addr, uint64_t seq, const struct smmu_steps *st, bool observe,
		  struct smmu_why *why, uint64_t *pa)
{
	if (d->config == SMMU_STE_CONFIG_NESTED)
		return smmu_s2_fetch(v, &d->nos1.s2, d->nos1.s2tag, addr, SMMU_CLASS_CD, false, observe, st, seq, pa, why);
	*pa = addr;
	return true;
}

/* The level 1 descriptor for a SubstreamID. */
static bool fetch_l1cd(struct smmu *v, const struct smmu_dev *d, uint32_t index, uint64_t seq, const struct smmu_steps *st,
		       bool observe, struct smmu_why *why, uint64_t *w)
{
	unsigned int split = d->s1fmt == SMMU_S1FMT_4K ? 6 : 10, n = d->s1cdmax > split ? d->s1cdmax - split : 0;
	const struct smmu_l1 *l = observe ? NULL : l1cd_find(v, d->sid, index);
	uint64_t addr, pa = 0;
	char text[200];
	bool ok;

	if (l) {
		*w = l->w;
		return true;
	}
	addr = (d->s1ctx & ~nb_low_mask(n + 3 < 6 ? 6 : n + 3)) + index * 8ul;
	if (!cd_pa(v, d, addr, seq, st, observe, why, &pa))
		return false;
	*w = 0;
	ok = fetch(v, pa, w, 1);
	if (st) {
		snprintf(text, sizeof(text), "%s -> 0x%llx", *w & SMMU_L1CD_0_V ? "V" : "not valid",
			 (unsigned long long)(*w & SMMU_L1CD_0_L2PTR));
		smmu_step_entry(st, "level 1 context descriptor", pa, d->config == SMMU_STE_CONFIG_NESTED, addr, ok, w, 1, text);
	}
	if (!ok)
		return refuse_fetch(why, SMMU_EVT_CD_FETCH, pa);
	if (!observe)
		l1cd_publish(v, d->sid, index, *w, seq);
	return true;
}

static bool fetch_cd(struct smmu *v, const struct smmu_dev *d, uint32_t index, uint64_t seq, const struct smmu_steps *st,
		     bool observe, struct smmu_why *why, struct smmu_cfg *c)
{
	bool nested = d->config == SMMU_STE_CONFIG_NESTED;
	uint64_t addr, pa = 0, w, q[8] = {0};
	char text[200];
	bool ok;

	if (d->s1fmt == SMMU_S1FMT_LINEAR) {
		addr = (d->s1ctx & ~nb_low_mask(6u + d->s1cdmax)) + index * 64ul;
	} else {
		unsigned int split = d->s1fmt == SMMU_S1FMT_4K ? 6 : 10;

		if (!fetch_l1cd(v, d, index >> split, seq, st, observe, why, &w))
			return false;
		addr = w & SMMU_L1CD_0_L2PTR & (split == 10 ? ~nb_low_mask(16) : UINT64_MAX);
		if (!(w & SMMU_L1CD_0_V) || beyond(addr, nested ? smmu_caps_ias(&v->caps) : v->caps.oas))
			return refuse(why, SMMU_EVT_BAD_SUBSTREAMID);
		addr += (index & nb_low_mask(split)) * 64;
	}
	if (!cd_pa(v, d, addr, seq, st, observe, why, &pa))
		return false;
	ok = fetch(v, pa, q, 8);
	if (st) {
		smmu_text_cd(text, q);
		smmu_step_entry(st, "context descriptor", pa, nested, addr, ok, q, 8, text);
	}
	if (!ok)
		return refuse_fetch(why, SMMU_EVT_CD_FETCH, pa);
	memset(c, 0, sizeof(*c));
	c->ssid = index;
	smmu_cd_decode(v, q, d, c);
	return true;
}

/* ---- requests ---- */

/* Which CD, if any, answers: 5.2, S1CDMax and S1DSS. False: refused. *bypass: stage 1 is off for it. */
static bool select_cd(const struct smmu *v, const struct smmu_dev *d, uint32_t ssid, bool *bypass, uint32_t *index,
		      struct smmu_why *why)
{
	bool s1 = (d->config & SMMU_STE_CONFIG_S1) == SMMU_STE_CONFIG_S1, has = ssid != NB_NO_PASID;

	*bypass = !s1;
	*index = 0;
	if (has && (!v->caps.ssid_bits || !s1 || !d->s1cdmax || ssid >> d->s1cdmax != 0))
		return refuse(why, SMMU_EVT_BAD_SUBSTREAMID);
	if (!s1 || !d->s1cdmax)
		return true;
	if (has) {
		if (d->s1dss == SMMU_S1DSS_SSID0 && ssid == 0)
			return refuse(why, SMMU_EVT_STREAM_DISABLED);
		*index = ssid;
		return true;
	}
	if (d->s1dss == SMMU_S1DSS_BYPASS)
		*bypass = true;
	else if (d->s1dss != SMMU_S1DSS_SSID0)
		return refuse(why, SMMU_EVT_STREAM_DISABLED);
	return true;
}

const struct smmu_cfg *smmu_config_proc(struct smmu *v, const struct smmu_dev *d, uint32_t ssid, uint64_t seq,
					struct smmu_box *box, const struct smmu_steps *st, bool observe, struct smmu_why *why)
{
	const struct smmu_cfg *c = NULL;
	struct smmu_slot *slot;
	uint32_t index;
	bool bypass;

	if (!select_cd(v, d, ssid, &bypass, &index, why))
		return NULL;
	if (bypass) {
		c = &d->nos1;
	} else {
		if (!observe)
			c = cd_find(v, d->sid, index);
		if (!c) {
			if (!fetch_cd(v, d, index, seq, st, observe, why, &box->cfg))
				return NULL;
			if (!observe && d != &box->dev)
				c = cd_publish(v, &box->cfg, seq);
			if (!c) {
				c = &box->cfg;
				smmu_tags_none(&v->tlb, &box->cfg);
			}
			if (!observe)
				NB_TRACE(v->hw.tr, hw_cfg_miss, d->sid, index);
		}
		if (c->bad) {
			refuse(why, c->bad);
			return NULL;
		}
	}
	if (ssid == NB_NO_PASID && !observe && d != &box->dev && c != &box->cfg) {
		slot = smmu_slot_of(v, d->sid, false);
		if (slot && atomic_load_explicit(&slot->fast, memory_order_relaxed) != c)
			fast_publish(v, slot, d, c);
	}
	return c;
}

const struct smmu_cfg *smmu_config(struct smmu *v, const struct hw_request *req, uint64_t seq, struct smmu_box *box,
				   const struct smmu_steps *st, bool observe, struct smmu_why *why, const struct smmu_cfg **of)
{
	const struct smmu_dev *d;

	*of = NULL;
	d = smmu_config_dev(v, req->rid, seq, box, st, observe, why);
	if (!d)
		return NULL;
	if (d->bad || d->config == SMMU_STE_CONFIG_ABORT) {
		refuse(why, d->bad);
		return NULL;
	}
	*of = &d->nos1; /* stage 2 under a CD fetch stalls and records as the STE says */
	return smmu_config_proc(v, d, req->pasid, seq, box, st, observe, why);
}

const struct smmu_cfg *smmu_config_cached(struct smmu *v, uint16_t sid, uint32_t ssid)
{
	struct smmu_slot *slot = smmu_slot_of(v, sid, false);
	const struct smmu_dev *d = slot ? nb_rcu_dereference(slot->dev) : NULL;
	const struct smmu_cfg *c;
	struct smmu_why why;
	uint32_t index;
	bool bypass;

	if (!d || d->bad || d->config == SMMU_STE_CONFIG_ABORT || !select_cd(v, d, ssid, &bypass, &index, &why) || bypass)
		return NULL;
	c = cd_find(v, sid, index);
	return c && !c->bad ? c : NULL;
}
