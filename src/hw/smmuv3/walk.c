/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation table walks: stage 1, stage 2 and nested (DDI 0487 D8.2 to D8.5), and the fault of each step in the order
 * of IHI 0070 7.3.22.
 *
 * One body, compiled three times: for translation (walk caches and the TLB's stage 2 entries are used, flags set, results
 * entered), for translation by a unit that does not snoop (mem/lag.h), and for observation (memory only, nothing changed, each
 * descriptor reported). `obs` and `lags` are constants in each; with `lags` the unit is asked whether it does.
 *
 * Choices where the manuals leave room:
 *  - Stage 1 flags are updated last of all, so a transaction that faults leaves stage 1 as it was; of a fault of the
 *    page's stage 2 and one of the update, the update's is reported (RLXCKP). Stage 2 flags are set as each of its
 *    translations succeeds.
 *  - A stage 2 dirty state is changed for a stage 1 table only when a descriptor in it is really written.
 *  - A contiguous group is cached as one entry if the descriptor at hand says the same as its neighbours would: output and input
 *    have the same place in the group, and neither size is smaller than it. Otherwise the hint is ignored.
 *  - RES0 bits of descriptors are not looked at; nT is ignored.
 */
#include "hw/smmuv3/walk.h"

#define INLINE static inline __attribute__((always_inline))

#define MAX_FILLS 24
/* How often a descriptor may change under an update before we call the update failed. */
#define MAX_RETRIES 1000

struct walk {
	struct smmu *v;
	const struct smmu_s2 *s2;
	struct smmu_why *why;
	const struct smmu_steps *st;
	struct smmu_tag *s2tag;
	bool priv;
	unsigned int retries;
	unsigned int nfill;
	uint32_t s2_wc, s2_leaf; /* words of the stage 2 tag */
	struct smmu_geo g2;
	/* The last level 3 table of stage 2 in this very walk: the tables of one address space tend to lie together. */
	uint64_t l3_page, l3_table;
	struct smmu_fill fill[MAX_FILLS];
};

struct s2_out {
	uint64_t pa;
	unsigned int lg2, level;
	unsigned int would; /* rights, for unprivileged and privileged requests */
	bool clean;	    /* a write sets the dirty state first */
};

static __attribute__((cold, noinline)) void say1(struct walk *w, unsigned int type, unsigned int class, uint64_t fetch)
{
	*w->why = (struct smmu_why){.type = (uint8_t)type, .class = (uint8_t)class, .fetch = fetch};
}
static __attribute__((cold, noinline)) void say2(struct walk *w, unsigned int type, unsigned int class, uint64_t ipa, bool write,
						 uint64_t fetch)
{
	*w->why = (struct smmu_why){.type = (uint8_t)type, .class = (uint8_t)class, .s2 = true, .ttrnw = !write, .ipa = ipa,
				    .fetch = fetch};
}

/* All return -1, which every caller passes on: "the fault is in *why". */
INLINE int refuse1(struct walk *w, unsigned int type)
{
	say1(w, type, SMMU_CLASS_IN, 0);
	return -1;
}
INLINE int refuse1_fetch(struct walk *w, uint64_t pa)
{
	say1(w, SMMU_EVT_WALK_EABT, SMMU_CLASS_TT, pa);
	return -1;
}
INLINE int refuse2(struct walk *w, unsigned int type, unsigned int class, uint64_t ipa, bool write, uint64_t fetch)
{
	say2(w, type, class, ipa, write, fetch);
	return -1;
}

INLINE void enter(struct walk *w, struct smmu_tag *tag, bool wc, uint32_t word, unsigned int size, uint64_t page,
		  uint64_t val, unsigned int split)
{
	struct smmu_fill *f = &w->fill[w->nfill];

	if (word >> 16 == 0 || w->nfill == MAX_FILLS)
		return;
	w->nfill++;
	f->key = smmu_key(word >> 16, size, page);
	f->val = val;
	f->tag = tag;
	f->wc = wc;
	f->split = (uint8_t)split;
	f->bucket = wc ? hw_bucket(w->v->tlb.wc, SMMU_WC_LG2, f->key) : hw_bucket(w->v->tlb.leaf, SMMU_TLB_LG2, f->key);
	__builtin_prefetch(f->bucket, 1);
}

/* The table that was found for addr at this level, whole at `table`. */
INLINE void enter_table(struct walk *w, struct smmu_tag *tag, uint32_t word, unsigned int tg, unsigned int level,
			uint64_t addr, uint64_t table, uint64_t hier)
{
	unsigned int code = SMMU_WC(tg, level);

	enter(w, tag, true, word, code, smmu_vpn(addr) >> (smmu_wc_lg2(code) - 12), table | hier << SMMU_V_HIER_SHIFT, 0);
}

INLINE void enter_leaf(struct walk *w, struct smmu_tag *tag, uint32_t word, uint64_t addr, uint64_t pa, unsigned int lg2,
		       uint64_t facts, unsigned int whole)
{
	unsigned int size = smmu_size_of(lg2);

	enter(w, tag, false, word, size, smmu_vpn(addr) >> (lg2 - 12), (pa & SMMU_V_ADDR & ~nb_low_mask(lg2)) | facts,
	      whole > lg2 ? whole : 0);
}

/*
 * Replace a descriptor by compare-exchange. 1: done, *e as it is now. 0: it is another one by now, start over. -1: not
 * writable, or it will not hold still. Bits that belong to software (D8-52, D8-53: 58:55) may change all the time.
 */
static int update(struct walk *w, uint64_t pa, bool big_endian, uint64_t *e, uint64_t now)
{
	uint64_t change = *e ^ now, seen = *e, was;
	int r;

	do {
		was = big_endian ? __builtin_bswap64(seen) : seen;
		r = mem_cas64(w->v->hw.mem, hpa(pa), &was, big_endian ? __builtin_bswap64(seen ^ change) : seen ^ change);
		if (r == 0) {
			*e = seen ^ change;
			return 1;
		}
		if (r < 0 || ++w->retries > MAX_RETRIES)
			return -1;
		seen = big_endian ? __builtin_bswap64(was) : was;
	} while (((seen ^ *e) & ~BITS(58, 55)) == 0);
	return 0;
}

INLINE int load(struct walk *w, uint64_t pa, bool big_endian, uint64_t *e, const bool lags)
{
	if (unlikely(lags ? smmu_load64(w->v, pa, e) : mem_load64(w->v->hw.mem, hpa(pa), e)))
		return -1;
	if (unlikely(big_endian))
		*e = __builtin_bswap64(*e);
	return 0;
}

/* ---- stage 2 ---- */

/* D8.4.2.1: rights of both privileges. */
INLINE unsigned int s2_rights(const struct smmu *v, const struct smmu_s2 *s, uint64_t e, bool *clean)
{
	unsigned int rw = (unsigned int)(e / SMMU_S2PTE_R & 3), r, xn = (unsigned int)FIELD_GET(SMMU_S2PTE_XN, e), x;

	*clean = !(rw & HW_WRITE) && s->ha && s->hd && (e & SMMU_S2PTE_DBM);
	if (*clean)
		rw |= HW_WRITE;
	r = rw | rw << SMMU_V_PRIV_SHIFT;
	if (!v->caps.xnx)
		xn &= 2;
	/* XN[1:0]: 0 both may execute, 1 unprivileged only, 2 nobody, 3 privileged only */
	x = xn == 0 ? HW_EXEC | HW_EXEC << SMMU_V_PRIV_SHIFT : xn == 1 ? HW_EXEC : xn == 2 ? 0u : HW_EXEC << SMMU_V_PRIV_SHIFT;
	return r | x;
}

/* D8.6.5, D8.6.6 */
INLINE bool s2_device(const struct smmu_s2 *s, uint64_t e)
{
	return s->fwb ? !(e & BIT(4)) : !(e & BITS(5, 4));
}

/* need: HW_READ, HW_WRITE, HW_EXEC bits. A write that finds the descriptor writable-clean makes it dirty. */
INLINE int s2_walk(struct walk *w, uint64_t ipa, unsigned int need, unsigned int class, struct s2_out *o, const bool obs, const bool lags)
{
	const struct smmu_s2 *s = w->s2;
	const struct smmu_geo *g = &w->g2;
	struct smmu *v = w->v;
	uint64_t table = s->ttb, e, val, pa, l2_table = 0;
	int level = s->start;
	uint64_t due;
	unsigned int lsb, refused;
	int r;

	if (unlikely(ipa >> s->ia_bits))
		return refuse2(w, SMMU_EVT_TRANSLATION, class, ipa, need & HW_WRITE, 0);
	if (!obs) {
		if (w->l3_page == ipa >> g->l3_lg2) {
			level = 3;
			table = w->l3_table;
		} else if (w->s2_wc & 0xffff) {
			unsigned int l = smmu_wc_probe(&v->tlb, w->s2_wc, s->tg, ipa, &val);

			if (l && (int)l > level) {
				level = (int)l;
				table = val & SMMU_V_ADDR;
			}
		}
	}
	for (;;) {
		lsb = smmu_level_lsb(g, level);
		pa = table + ((ipa >> (lsb - 3)) & (level == s->start ? UINT64_MAX << 3 : g->index_mask));
		if (unlikely(load(w, pa, s->big_endian, &e, lags))) {
			if (obs)
				smmu_step_desc(w->st, 2, level, g, pa, false, 0, false, 0);
			return refuse2(w, SMMU_EVT_WALK_EABT, class, ipa, need & HW_WRITE, pa);
		}
again:
		if (obs)
			smmu_step_desc(w->st, 2, level, g, pa, false, 0, true, e);
		if (level < 3 && (e & 3) == 3) {
			table = smmu_next_table(g, e);
			if (unlikely(table >> s->oa_bits))
				return refuse2(w, SMMU_EVT_ADDR_SIZE, class, ipa, need & HW_WRITE, 0);
			level++;
			if (!obs && level == 3) {
				w->l3_page = ipa >> g->l3_lg2;
				w->l3_table = table;
				enter_table(w, w->s2tag, w->s2_wc, s->tg, 3, ipa, table, 0);
			} else if (!obs && level == 2) {
				l2_table = table;
				/* not the first region of an L3 table */
				if (w->s2_wc >> SMMU_WC(s->tg, 3) & 1)
					enter_table(w, w->s2tag, w->s2_wc, s->tg, 2, ipa, table, 0);
			}
			continue;
		}
		if (unlikely(!smmu_is_leaf(g, e, level)))
			return refuse2(w, SMMU_EVT_TRANSLATION, class, ipa, need & HW_WRITE, 0);
		break;
	}
	o->pa = smmu_leaf_base(g, e, lsb);
	if (unlikely(o->pa >> s->oa_bits))
		return refuse2(w, SMMU_EVT_ADDR_SIZE, class, ipa, need & HW_WRITE, 0);
	due = e & SMMU_S2PTE_AF ? 0 : SMMU_S2PTE_AF;
	if (unlikely(due) && !s->ha) {
		if (!s->affd)
			return refuse2(w, SMMU_EVT_ACCESS, class, ipa, need & HW_WRITE, 0);
		due = 0;
	}
	o->would = s2_rights(v, s, e, &o->clean);
	refused = need & ~(o->would >> (w->priv ? SMMU_V_PRIV_SHIFT : 0));
	if (unlikely(refused) || unlikely(class != SMMU_CLASS_IN && s->ptw && s2_device(s, e)))
		return refuse2(w, SMMU_EVT_PERMISSION, class, ipa, (refused ? refused : need) & HW_WRITE, 0);
	if ((need & HW_WRITE) && unlikely(o->clean)) {
		due |= SMMU_S2PTE_W;
		o->clean = false;
	}
	if (unlikely(due) && !obs) {
		r = update(w, pa, s->big_endian, &e, e | due);
		if (r < 0)
			return refuse2(w, SMMU_EVT_WALK_EABT, class, ipa, need & HW_WRITE, pa);
		if (r == 0) { /* whatever it is now, from its beginning */
			if (load(w, pa, s->big_endian, &e, lags))
				return refuse2(w, SMMU_EVT_WALK_EABT, class, ipa, need & HW_WRITE, pa);
			goto again;
		}
	}
	if (!obs && level == 2 && l2_table)
		enter_table(w, w->s2tag, w->s2_wc, s->tg, 2, ipa, l2_table, 0);
	o->level = (unsigned int)level;
	o->lg2 = smmu_leaf_lg2(g, e, level, lsb, ipa, o->pa, s->ia_bits, s->oa_bits);
	o->pa |= ipa & nb_low_mask(lsb);
	return 0;
}

/* Stage 2 for a write to a stage 1 descriptor: seldom, and so not within the walk. */
static __attribute__((noinline)) int s2_for_update(struct walk *w, uint64_t ipa, struct s2_out *o, bool obs)
{
	return obs ? s2_walk(w, ipa, HW_WRITE, SMMU_CLASS_TT, o, true, true) : s2_walk(w, ipa, HW_WRITE, SMMU_CLASS_TT, o, false, true);
}

/* The stage 2 of a page: its translations are kept under the VMID. Those of tables are not, walk caches hold the outcome. */
INLINE int ipa_to_pa(struct walk *w, uint64_t ipa, unsigned int need, struct s2_out *o, const bool obs, const bool lags)
{
	uint64_t val;

	if (!obs && (w->s2_leaf & 0xffff) && smmu_tlb_probe(&w->v->tlb, w->s2_leaf, ipa, &val, &o->lg2)) {
		unsigned int shift = w->priv ? SMMU_V_PRIV_SHIFT : 0;

		o->would = (unsigned int)(val >> SMMU_V_WOULD_SHIFT) & 63;
		if (unlikely(need & ~(o->would >> shift)))
			return refuse2(w, SMMU_EVT_PERMISSION, SMMU_CLASS_IN, ipa, need & ~(o->would >> shift) & HW_WRITE, 0);
		o->clean = (o->would & ~(unsigned int)val & 63) != 0;
		if (likely(!o->clean || !(need & HW_WRITE))) {
			o->pa = (val & SMMU_V_ADDR) | (ipa & nb_low_mask(o->lg2));
			o->level = (unsigned int)FIELD_GET(SMMU_V_LEVEL, val);
			return 0;
		}
	}
	if (s2_walk(w, ipa, need, SMMU_CLASS_IN, o, obs, lags))
		return -1;
	if (!obs)
		enter_leaf(w, w->s2tag, w->s2_leaf, ipa, o->pa, o->lg2,
			   smmu_facts(o->would, 63, o->clean, w->s2->tg, o->level), 0);
	return 0;
}

/* ---- stage 1 ---- */

/* D8.4.1.2 and 13.4.1: rights of both privileges, hierarchical attributes counted in. */
INLINE unsigned int s1_rights(const struct smmu_s1 *s, unsigned int half, uint64_t e, unsigned int hier, bool *clean)
{
	bool ro = e & SMMU_PTE_AP2, no_write = hier & 8, ur, pw, uw, px, ux, pr = true;

	*clean = ro && s->ha && s->hd && (e & SMMU_PTE_DBM) && !no_write;
	pw = (!ro || *clean) && !no_write;
	if (unlikely(!s->two_ranges)) { /* one privilege level: AP[1] is 1, and so is every request's privilege */
		unsigned int r = HW_READ | (pw ? HW_WRITE : 0u) |
				 (!(e & SMMU_PTE_UXN) && !(hier & 2) && !(s->wxn && pw) ? HW_EXEC : 0u);

		return r | r << SMMU_V_PRIV_SHIFT;
	}
	ur = (e & SMMU_PTE_AP1) && !(hier & 4);
	uw = ur && pw;
	px = !(e & SMMU_PTE_PXN) && !(hier & 1) && !uw && !(s->wxn && pw);
	ux = !(e & SMMU_PTE_UXN) && !(hier & 2) && !(s->wxn && uw);
	if (unlikely(s->pan) && (ur || (s->epan && ux)))
		pr = pw = false;
	if (unlikely(s->e0pd[half]))
		ur = uw = ux = false; /* so that no hit lets them through; smmu_hit() knows why */
	return (ur ? HW_READ : 0u) | (uw ? HW_WRITE : 0u) | (ux ? HW_EXEC : 0u) |
	       ((pr ? HW_READ : 0u) | (pw ? HW_WRITE : 0u) | (px ? HW_EXEC : 0u)) << SMMU_V_PRIV_SHIFT;
}

struct s1_out {
	uint64_t pa, ipa;
	unsigned int lg2, s1_lg2, level;
	unsigned int s1, would; /* rights: stage 1's, and both together */
	bool clean, global;
};

INLINE int s1_walk(struct walk *w, const struct smmu_cfg *c, uint64_t va, unsigned int half, unsigned int need,
		   struct s1_out *o, const bool obs, const bool lags)
{
	const struct smmu_s1 *s = &c->s1;
	const bool nested = c->kind == SMMU_K_NESTED;
	struct smmu *v = w->v;
	struct smmu_geo geo;
	const struct smmu_geo *g = &geo;
	const unsigned int ia_bits = s->ia_bits[half], tg = s->tg[half];
	const uint64_t ia = va & nb_low_mask(ia_bits), hier_mask = s->had[half] ? 0 : 15;
	const int start = smmu_start_level(tg, ia_bits);
	/* `ipa` of the table for its writer, and `table`, its place in memory, if whole is true: known and in one piece there. */
	uint64_t ipa, table, off, pa, e, val, now, hier, l2_table;
	bool whole, cached, l2_whole, use_wc = !obs;
	struct s2_out two;
	uint32_t wc = 0;
	unsigned int lsb;
	int level, r;

	smmu_geo_init(&geo, tg, s->ds, v->caps.oas);
	if (!obs)
		wc = atomic_load_explicit(&c->tag->wc, memory_order_acquire);
restart:
	level = start;
	table = ipa = s->ttb[half];
	whole = !nested;
	cached = l2_whole = false;
	l2_table = hier = 0;
	if (use_wc && (wc & 0xffff)) {
		unsigned int l = smmu_wc_probe(&v->tlb, wc, tg, va, &val);

		if (l && (int)l > start) {
			level = (int)l;
			table = val & SMMU_V_ADDR;
			hier = val >> SMMU_V_HIER_SHIFT & 15;
			whole = cached = true;
		}
	}
	for (;;) {
		lsb = smmu_level_lsb(g, level);
		off = (ia >> (lsb - 3)) & (level == start ? UINT64_MAX << 3 : g->index_mask);
		if (whole) {
			pa = table + off;
		} else {
			if (s2_walk(w, ipa + off, HW_READ, SMMU_CLASS_TT, &two, obs, lags))
				return -1;
			pa = two.pa;
			/* Only now is it known whether the table lies in one piece. */
			if (!obs && level >= 2 && level > start && two.lg2 >= tg) {
				if (level == 3)
					enter_table(w, c->tag, wc, tg, 3, va, pa - off, hier);
				else if (wc >> SMMU_WC(tg, 3) & 1)
					enter_table(w, c->tag, wc, tg, 2, va, pa - off, hier);
				else
					l2_whole = true;
				if (level == 2)
					l2_table = pa - off;
			}
		}
		if (unlikely(load(w, pa, s->big_endian, &e, lags))) {
			if (obs)
				smmu_step_desc(w->st, 1, level, g, pa, nested, ipa + off, false, 0);
			return refuse1_fetch(w, pa);
		}
again:
		if (obs)
			smmu_step_desc(w->st, 1, level, g, pa, nested, ipa + off, true, e);
		if (level < 3 && (e & 3) == 3) {
			table = ipa = smmu_next_table(g, e);
			if (unlikely(ipa >> s->oa_bits))
				return refuse1(w, SMMU_EVT_ADDR_SIZE);
			hier |= e >> 59 & hier_mask;
			level++;
			whole = !nested;
			cached = false;
			if (!obs && !nested) {
				if (level == 3) {
					enter_table(w, c->tag, wc, tg, 3, va, table, hier);
				} else if (level == 2) {
					l2_table = table;
					if (wc >> SMMU_WC(tg, 3) & 1)
						enter_table(w, c->tag, wc, tg, 2, va, table, hier);
					else
						l2_whole = true;
				}
			}
			continue;
		}
		if (unlikely(!smmu_is_leaf(g, e, level)))
			return refuse1(w, SMMU_EVT_TRANSLATION);
		break;
	}
	o->pa = smmu_leaf_base(g, e, lsb);
	if (unlikely(o->pa >> s->oa_bits))
		return refuse1(w, SMMU_EVT_ADDR_SIZE);
	if (unlikely(!(e & SMMU_PTE_AF)) && !s->ha && !s->affd)
		return refuse1(w, SMMU_EVT_ACCESS);
	o->s1 = s1_rights(s, half, e, (unsigned int)hier, &o->clean);
	if (unlikely(need & ~(o->s1 >> (w->priv ? SMMU_V_PRIV_SHIFT : 0))))
		return refuse1(w, SMMU_EVT_PERMISSION);
	if (!obs && level == 2 && l2_whole)
		enter_table(w, c->tag, wc, tg, 2, va, l2_table, hier);
	o->level = (unsigned int)level;
	o->s1_lg2 = lsb;
	o->lg2 = smmu_leaf_lg2(g, e, level, lsb, ia, o->pa, ia_bits, s->oa_bits);
	o->pa |= ia & nb_low_mask(lsb);
	o->would = o->s1;
	o->global = s->two_ranges && !(e & SMMU_PTE_NG);
	now = e;
	if (s->ha)
		now |= SMMU_PTE_AF;
	if ((need & HW_WRITE) && o->clean) {
		now &= ~SMMU_PTE_AP2;
		o->clean = false;
	}
	if (nested) {
		if (unlikely(now != e)) {
			if (cached) { /* where its writer has the table is not known: find out */
				use_wc = false;
				w->nfill = 0;
				goto restart;
			}
			if (s2_for_update(w, ipa + off, &two, obs))
				return -1;
			pa = two.pa;
		}
		o->ipa = o->pa;
		if (ipa_to_pa(w, o->pa, need, &two, obs, lags))
			return -1;
		o->pa = two.pa;
		if (two.lg2 < o->lg2)
			o->lg2 = two.lg2;
		o->would &= two.would;
		o->clean |= two.clean;
	}
	if (likely(now == e) || obs)
		return 0;
	/* All is well: now, and only now, the leaf is marked. It may have changed since: then once more. */
	r = update(w, pa, s->big_endian, &e, now);
	if (r < 0)
		return refuse1_fetch(w, pa);
	if (r == 0) {
		if (load(w, pa, s->big_endian, &e, lags))
			return refuse1_fetch(w, pa);
		goto again;
	}
	return 0;
}

/* ---- the whole ---- */

INLINE unsigned int need_of(const struct hw_request *req)
{
	if (req->access & HW_WRITE)
		return req->access & (HW_READ | HW_WRITE);
	return req->access & HW_EXEC ? HW_EXEC : HW_READ;
}

/*
 * Range checks of an input address: 3.4.1, 5.4.1.1. 0: *va and *half are to be translated. -1: *why.
 */
INLINE int s1_input(struct walk *w, const struct smmu_cfg *c, uint64_t addr, uint64_t *va, unsigned int *half)
{
	const struct smmu_s1 *s = &c->s1;
	uint64_t top;

	*half = addr >> 55 & 1;
	if (s->tbi[s->two_ranges ? *half : 0])
		addr = *half ? addr | BITS(63, 56) : addr & ~BITS(63, 56);
	*va = addr;
	if (unlikely(*half && !s->two_ranges))
		return refuse1(w, SMMU_EVT_TRANSLATION);
	top = *half ? ~addr : addr;
	if (unlikely(top >> s->ia_bits[*half]) || unlikely(s->epd[*half]) || unlikely(s->e0pd[*half] && !w->priv))
		return refuse1(w, SMMU_EVT_TRANSLATION);
	return 0;
}

INLINE void walk_init(struct walk *w, struct smmu *v, const struct smmu_s2 *s2, struct smmu_tag *s2tag, bool priv,
		      const bool obs)
{
	w->v = v;
	w->s2 = s2;
	w->s2tag = s2tag;
	w->priv = priv;
	w->retries = 0;
	w->nfill = 0;
	w->l3_page = UINT64_MAX;
	w->l3_table = 0;
	w->s2_wc = w->s2_leaf = 0;
	if (!s2)
		return;
	smmu_geo_init(&w->g2, s2->tg, s2->ds, v->caps.oas);
	if (!obs && s2tag) {
		w->s2_wc = atomic_load_explicit(&s2tag->wc, memory_order_acquire);
		w->s2_leaf = atomic_load_explicit(&s2tag->leaf, memory_order_acquire);
	}
}

INLINE void walk_body(struct walk *w, struct smmu *v, const struct smmu_cfg *c, const struct hw_request *req,
		      struct hw_result *res, uint64_t seq, const bool obs, const bool lags)
{
	unsigned int need = need_of(req), half, shift;
	struct smmu_why why;
	struct s1_out o;
	struct s2_out two;
	uint32_t word, gword;
	uint64_t va, val;
	unsigned int lg2;
	bool priv = (req->flags & HW_PRIV) || (c->kind != SMMU_K_S2 && !c->s1.two_ranges);

	w->why = &why;
	walk_init(w, v, c->kind == SMMU_K_S1 ? NULL : &c->s2, c->s2tag, priv, obs);
	shift = priv ? SMMU_V_PRIV_SHIFT : 0;
	res->kind = HW_OK;
	if (c->kind == SMMU_K_S2) {
		/* Stage 1 is bypassed: its output has to fit (3.4). */
		if (unlikely(req->addr >> smmu_caps_ias(&v->caps))) {
			refuse1(w, SMMU_EVT_ADDR_SIZE);
			goto refused;
		}
		if (ipa_to_pa(w, req->addr, need, &two, obs, lags))
			goto refused;
		res->lg2 = (uint8_t)two.lg2;
		res->pa = hpa(two.pa);
		res->perm = two.would >> shift & 7;
		goto fill;
	}
	if (s1_input(w, c, req->addr, &va, &half))
		goto refused;
	/* The caller looked in the TLB only if the address was plain. */
	if (!obs && unlikely((req->addr + c->in_bias) & c->in_mask) &&
	    smmu_tlb_find(&v->tlb, c->tag, c->gtag, va, &val, &lg2)) {
		res->pa = hpa((val & SMMU_V_ADDR) | (va & nb_low_mask(lg2)));
		res->lg2 = (uint8_t)lg2;
		if (smmu_hit(v, c, req, res, val) == 0)
			return;
	}
	word = gword = 0;
	if (!obs) {
		word = atomic_load_explicit(&c->tag->leaf, memory_order_acquire);
		gword = atomic_load_explicit(&c->gtag->leaf, memory_order_acquire);
	}
	if (s1_walk(w, c, va, half, need, &o, obs, lags))
		goto refused;
	res->lg2 = (uint8_t)o.lg2;
	res->pa = hpa(o.pa);
	res->perm = o.would >> shift & 7;
	if (!obs)
		enter_leaf(w, o.global ? c->gtag : c->tag, o.global ? gword : word, va, o.pa, o.lg2,
			   smmu_facts(o.would, o.s1, o.clean, c->s1.tg[half], o.level), o.s1_lg2);
	goto fill;
refused:
	smmu_fault(v, c, req, res, &why);
fill:
	/* What was learned on the way to a fault is as true as any. */
	if (!obs && w->nfill && likely(!(req->flags & HW_OBSERVE)))
		smmu_tlb_fill(&v->tlb, seq, w->fill, w->nfill);
}

void smmu_walk(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res, uint64_t seq)
{
	struct walk w;

	w.st = NULL;
	if (unlikely(v->lag))
		walk_body(&w, v, cfg, req, res, seq, false, true);
	else
		walk_body(&w, v, cfg, req, res, seq, false, false);
}

void smmu_walk_observe(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
		       const struct smmu_steps *st)
{
	struct walk w;

	w.st = st;
	walk_body(&w, v, cfg, req, res, 0, true, true);
}

bool smmu_walk_ipa(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, uint64_t *ipa)
{
	struct smmu_why why;
	struct s1_out o;
	struct walk w;
	unsigned int half;
	uint64_t va;

	o.ipa = 0;
	w.st = NULL;
	w.why = &why;
	walk_init(&w, v, &cfg->s2, cfg->s2tag, (req->flags & HW_PRIV) || !cfg->s1.two_ranges, true);
	if (s1_input(&w, cfg, req->addr, &va, &half) || s1_walk(&w, cfg, va, half, need_of(req), &o, true, true))
		return false;
	*ipa = o.ipa;
	return true;
}

bool smmu_s2_fetch(struct smmu *v, const struct smmu_s2 *s2, struct smmu_tag *s2tag, uint64_t ipa, unsigned int class,
		   bool write, bool observe, const struct smmu_steps *st, uint64_t seq, uint64_t *pa, struct smmu_why *why)
{
	unsigned int need = write ? HW_WRITE : HW_READ;
	struct s2_out o;
	struct walk w;
	int r;

	w.st = st;
	w.why = why;
	walk_init(&w, v, s2, s2tag, false, observe);
	r = observe ? s2_walk(&w, ipa, need, class, &o, true, true) : s2_walk(&w, ipa, need, class, &o, false, true);
	if (!observe && w.nfill)
		smmu_tlb_fill(&v->tlb, seq, w.fill, w.nfill);
	if (r)
		return false;
	*pa = o.pa;
	return true;
}

/*
 * A request that hit a TLB entry which does not plainly allow it: allowed after all, refused by stage 1 as it was cached, or
 * to be walked: a dirty state is due, or stage 2 refuses and has to say for which address.
 */
int smmu_hit(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res, uint64_t val)
{
	bool priv = (req->flags & HW_PRIV) || (cfg->kind != SMMU_K_S2 && !cfg->s1.two_ranges);
	unsigned int shift = priv ? SMMU_V_PRIV_SHIFT : 0, need = need_of(req);
	struct smmu_why why = {.type = SMMU_EVT_PERMISSION, .class = SMMU_CLASS_IN};

	if (unlikely(need & ~(val >> (SMMU_V_S1_SHIFT + shift)))) {
		if (cfg->s1.e0pd[req->addr >> 55 & 1] && !priv)
			why.type = SMMU_EVT_TRANSLATION;
		smmu_fault(v, cfg, req, res, &why);
		return 0;
	}
	if (unlikely(need & ~(val >> (SMMU_V_WOULD_SHIFT + shift)))) {
		if (cfg->kind != SMMU_K_S2)
			return 1;
		why.s2 = true;
		why.ttrnw = !(need & ~(val >> (SMMU_V_WOULD_SHIFT + shift)) & HW_WRITE);
		why.ipa = req->addr;
		smmu_fault(v, cfg, req, res, &why);
		return 0;
	}
	if (unlikely(need & ~(val >> shift)))
		return 1;
	res->kind = HW_OK;
	res->perm = val >> (SMMU_V_WOULD_SHIFT + shift) & 7;
	return 0;
}
