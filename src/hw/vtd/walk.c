/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page walks: second-stage (3.7), first-stage (3.6) and nested (3.8), with access rights, accessed and dirty
 * bits, reserved bits and the fault of each step (7.1.3).
 *
 * One body, compiled three times: for translation (paging-structure caches and the IOTLB's second-stage entries are
 * used, A/D bits set, results entered), the same for walks that do not snoop (lines.c), and for observation (memory only,
 * nothing changed, each entry reported). `obs` and `lags` are constants in each.
 *
 * Choices where the manual leaves room: a present entry's reserved bits are looked at as it is read, access
 * rights when the leaf is known; second-stage rights before any dirty bit is set; with SSADE an access to a
 * first-stage table counts as a write to its page (it needs R and W by 3.8.1), so its D is set too.
 */
#include "hw/vtd/model.h"

#define INLINE static inline __attribute__((always_inline))

#define MAX_FILLS 24
/* How often an entry may change under an A/D update before we call the update failed. */
#define MAX_RETRIES 64

struct walk {
	struct vtd *v;
	const struct vtd_proc *p;
	const struct hw_request *req;
	struct hw_result *res;
	const struct vtd_steps *st;
	unsigned int retries;
	unsigned int nfill;
	uint32_t ss_psc, gpa_leaf; /* words of the domain's tags */
	/* The last SS-PDE of this very walk: the tables of one address space tend to lie together. */
	uint64_t pde_page, pde_table;
	unsigned int pde_perm;
	struct vtd_fill fill[MAX_FILLS];
};

/* What a second-stage translation is for: decides the fault when a permission lacks. */
enum ss_for { SS_PAGE, SS_FS_ROOT, SS_FS_TABLE };

struct ss_out {
	uint64_t pa;
	uint64_t facts; /* VTD_V_SSR, SSW, D */
	unsigned int lg2;
};

static __attribute__((cold, noinline)) void fault(struct walk *w, unsigned int reason, unsigned int stage)
{
	vtd_fault(w->v, w->req, w->res, reason, stage, w->p->fpd);
}

static __attribute__((cold, noinline)) void fault_gpa(struct walk *w, unsigned int reason, uint64_t gpa_v)
{
	vtd_fault(w->v, w->req, w->res, reason, 2, w->p->fpd);
	w->res->fault.gpa_valid = true;
	w->res->fault.gpa = gpa(gpa_v);
}

/* Both return -1, which every caller passes on: "the fault is in *res". */
INLINE int refuse(struct walk *w, unsigned int reason, unsigned int stage)
{
	fault(w, reason, stage);
	return -1;
}
INLINE int refuse_gpa(struct walk *w, unsigned int reason, uint64_t gpa_v)
{
	fault_gpa(w, reason, gpa_v);
	return -1;
}

INLINE void enter(struct walk *w, struct vtd_tag *tag, bool psc, uint32_t word, unsigned int size, uint64_t page,
		  uint64_t val)
{
	struct vtd_fill *f = &w->fill[w->nfill];

	if (word >> 8 == 0 || w->nfill == MAX_FILLS)
		return;
	w->nfill++;
	f->key = vtd_key(word >> 8, size, page);
	f->val = val;
	f->word = psc ? &tag->psc : &tag->leaf;
	f->bucket = psc ? hw_bucket(w->v->tlb.psc, VTD_PSC_LG2, f->key) :
			  hw_bucket(w->v->tlb.leaf, VTD_TLB_LG2, f->key);
	__builtin_prefetch(f->bucket, 1);
}

/*
 * A translation of 2^lg2 bytes around addr. Output in the interrupt range faults, so it is never cached; nor is what overlaps the
 * range, so that translation requests meet the page as a whole (SGN.8.2).
 */
INLINE void enter_leaf(struct walk *w, struct vtd_tag *tag, uint32_t word, uint64_t addr, uint64_t pa,
		       unsigned int lg2, uint64_t facts)
{
	unsigned int size = (lg2 - 12) / 9;

	if (unlikely(pa >> 20 == VTD_INTR_RANGE || ((pa ^ (VTD_INTR_RANGE << 20)) & ~nb_low_mask(lg2)) == 0))
		return;
	enter(w, tag, false, word, size, vtd_vpn(addr) >> (9 * size),
	      vtd_value(pa & ~nb_low_mask(12 + 9 * size), facts));
}

/*
 * Set bits in an entry by compare-exchange. 1: done, *e as it is now. 0: the entry is another one by now, start over.
 * -1: not writable, or it will not hold still.
 */
static int set_bits(struct walk *w, uint64_t pa, uint64_t *e, uint64_t bits)
{
	uint64_t was = *e;
	int r = mem_cas64(w->v->hw.mem, hpa(pa), &was, *e | bits);

	if (r == 0) {
		*e |= bits;
		return 1;
	}
	if (r < 0 || ++w->retries > MAX_RETRIES)
		return -1;
	return 0;
}

/* ---- second stage ---- */

/* need: HW_READ and HW_WRITE bits. write: the dirty bit is due. */
INLINE int ss_rights(struct walk *w, uint64_t in, unsigned int perm, unsigned int need, enum ss_for what)
{
	unsigned int lacks = need & ~perm;

	if (likely(!lacks))
		return 0;
	if (what == SS_FS_ROOT)
		return refuse_gpa(w, VTD_FR_FS_ROOT_NO_READ, in);
	if (what == SS_FS_TABLE)
		return refuse_gpa(w, VTD_FR_FS_NO_READ, in);
	if (w->p->legacy)
		return refuse_gpa(w, lacks & HW_WRITE ? VTD_FR_NO_WRITE : VTD_FR_NO_READ, in);
	return refuse_gpa(w, lacks & HW_WRITE ? VTD_FR_SNO_WRITE : VTD_FR_SNO_READ, in);
}

INLINE int ss_walk(struct walk *w, uint64_t in, unsigned int need, enum ss_for what, struct ss_out *o, const bool obs, const bool lags)
{
	const struct vtd_proc *p = w->p;
	struct vtd *v = w->v;
	unsigned int level = p->ss_levels, perm = HW_READ | HW_WRITE;
	uint64_t table = p->ss_root, e, val, due;
	const uint64_t plain_mask = p->ss_plain_mask, plain = p->ss_plain;
	const struct mem_lag *lag = lags ? p->lag : NULL;
	bool leaf;

	if (!obs) {
		if (w->pde_page == in >> 21) {
			level = 1;
			table = w->pde_table;
			perm = w->pde_perm;
		} else if (w->ss_psc & 0xff) {
			unsigned int l = vtd_psc_probe(&v->tlb, w->ss_psc, in, &val);

			if (l) {
				level = l - 1;
				table = val & VTD_V_ADDR;
				perm = (unsigned int)(val / VTD_V_SSR & 3);
			}
		}
	}
	for (;;) {
		uint64_t pa = table | ((in >> (9 * level)) & 0xff8);

		if (unlikely(vtd_load64(v, lag, pa, &e))) {
			bool root = level == p->ss_levels;

			if (obs)
				vtd_step_pte(w->st, 2, level, pa, true, in, false, 0);
			if (p->legacy)
				return refuse_gpa(w, root ? VTD_FR_CTX_INV : VTD_FR_SS_FETCH, in);
			return refuse_gpa(w, root ? VTD_FR_SSS_ROOT_FETCH : VTD_FR_SSS_FETCH, in);
		}
		if (obs)
			vtd_step_pte(w->st, 2, level, pa, true, in, true, e);
		if (likely(level > 1 && (e & plain_mask) == plain)) {
			leaf = false;
			goto node;
		}
		if (unlikely(!(e & (VTD_SSPTE_R | VTD_SSPTE_W)))) {
			if (p->legacy)
				return refuse_gpa(w, need & HW_WRITE ? VTD_FR_NO_WRITE : VTD_FR_NO_READ, in);
			return refuse_gpa(w, VTD_FR_SSS_NO_PERM, in);
		}
		leaf = level == 1 || (level <= 3 && (e & VTD_SSPTE_PS));
		if (unlikely(e & (leaf ? v->ss_leaf_rsvd : v->ss_node_rsvd)[level]))
			return refuse_gpa(w, p->legacy ? VTD_FR_SS_RSVD : VTD_FR_SSS_RSVD, in);
		if (leaf)
			perm &= (unsigned int)e & 3;
		if (leaf) {
			if (unlikely(!perm && !p->legacy))
				return refuse_gpa(w, VTD_FR_SSS_NO_PERM, in);
			if (ss_rights(w, in, perm, need, what))
				return -1;
		}
		if (p->ssade) {
			due = VTD_SSPTE_A | (leaf && (need & HW_WRITE) ? VTD_SSPTE_D : 0);
			if (due & ~e) {
				int r;

				if (!p->can_ad)
					return refuse_gpa(w, VTD_FR_SSS_AD_NO_SNOOP, in);
				r = obs ? 1 : set_bits(w, pa, &e, due);
				if (r < 0)
					return refuse_gpa(w, VTD_FR_SSS_AD_FAILED, in);
				if (r == 0)
					continue; /* read it again */
			}
		}
		if (leaf)
			break;
		perm &= (unsigned int)e & 3;
node:
		table = e & VTD_SSPTE_ADDR;
		if (!obs && level == 2) {
			w->pde_page = in >> 21;
			w->pde_table = table;
			w->pde_perm = perm;
			enter(w, &p->dom->ss, true, w->ss_psc, 0, vtd_vpn(in) >> 9, table | perm * VTD_V_SSR);
		} else if (!obs && level == 3 && (w->ss_psc & 1)) { /* not the domain's first region of 2 MiB */
			enter(w, &p->dom->ss, true, w->ss_psc, 1, vtd_vpn(in) >> 18, table | perm * VTD_V_SSR);
		}
		level--;
	}
	o->lg2 = 3 + 9 * level;
	o->pa = (e & VTD_SSPTE_ADDR & ~nb_low_mask(o->lg2)) | (in & nb_low_mask(o->lg2));
	o->facts = perm * VTD_V_SSR | (!p->ssade || (e & VTD_SSPTE_D) ? VTD_V_D : 0);
	return 0;
}

/*
 * Second stage of a nested translation. Those of pages are kept under the domain; those of first-stage tables are not, as
 * the first stage's paging-structure caches hold the outcome.
 */
INLINE int gpa_to_hpa(struct walk *w, uint64_t in, unsigned int need, enum ss_for what, struct ss_out *o,
		      const bool obs, const bool lags)
{
	uint64_t val;

	if (what != SS_PAGE)
		return ss_walk(w, in, need, what, o, obs, lags);
	if (!obs && vtd_tlb_probe(&w->v->tlb, w->gpa_leaf, in, &val, &o->lg2) &&
	    (!(need & HW_WRITE) || (val & VTD_V_D) || !(val & VTD_V_SSW))) {
		if (ss_rights(w, in, (unsigned int)(val / VTD_V_SSR & 3), need, what))
			return -1;
		o->pa = (val & VTD_V_ADDR) | (in & nb_low_mask(o->lg2));
		o->facts = val & (VTD_V_SSR | VTD_V_SSW | VTD_V_D);
		return 0;
	}
	if (ss_walk(w, in, need, what, o, obs, lags))
		return -1;
	if (!obs)
		enter_leaf(w, &w->p->dom->gpa, w->gpa_leaf, in, o->pa, o->lg2,
			   o->facts | VTD_V_RW | VTD_V_US | VTD_V_X);
	return 0;
}

/* ---- first stage ---- */

/*
 * A table of the first stage, by the address that its writer gave, for the entry at `off` in it: that is the access that the second
 * stage sees. *ssw: its entries may be updated.
 */
INLINE int fs_table(struct walk *w, uint64_t addr, uint64_t off, enum ss_for what, uint64_t *table, uint64_t *ssw,
		    const bool obs, const bool lags)
{
	struct ss_out o;

	if (w->p->kind != VTD_K_NESTED) {
		*table = addr;
		*ssw = VTD_V_SSW;
		return 0;
	}
	if (gpa_to_hpa(w, addr | off, HW_READ | (w->p->ssade ? HW_WRITE : 0), what, &o, obs, lags))
		return -1;
	*table = o.pa ^ off;
	*ssw = o.facts & VTD_V_SSW;
	return 0;
}

#define GPA_UNKNOWN UINT64_MAX /* of a table that was found through a paging-structure cache */

/* 1: the bits are set (or would be: obs). 0: read the entry again. -1: refused. */
static int fs_set(struct walk *w, uint64_t gtable, uint64_t pa, uint64_t *e, uint64_t due, uint64_t ssw, bool obs)
{
	int r;

	if (!w->p->can_ad)
		return refuse(w, VTD_FR_FS_AD_NO_SNOOP, 1);
	if (!ssw && gtable == GPA_UNKNOWN)
		return refuse(w, VTD_FR_FS_NO_AD, 2);
	if (!ssw)
		return refuse_gpa(w, VTD_FR_FS_NO_AD, gtable | (pa & 0xff8));
	r = obs ? 1 : set_bits(w, pa, e, due);
	return r < 0 ? refuse(w, VTD_FR_FS_AD_FAILED, 1) : r;
}

INLINE int fs_rights(struct walk *w, uint64_t facts, bool priv)
{
	const struct vtd_proc *p = w->p;
	unsigned int a = w->req->access;

	if (unlikely(!priv && !(facts & VTD_V_US)))
		return refuse(w, VTD_FR_US, 1);
	if (unlikely((a & HW_WRITE) && !(facts & VTD_V_RW) && (!priv || p->wpe)))
		return refuse(w, VTD_FR_SNO_WRITE, 1);
	if (unlikely((a & HW_EXEC) && w->req->pasid != NB_NO_PASID &&
		     (!(facts & VTD_V_X) || (priv && p->smep && (facts & VTD_V_US)))))
		return refuse(w, VTD_FR_NO_EXEC, 1);
	return 0;
}

INLINE int fs_walk(struct walk *w, uint64_t in, unsigned int need, bool priv, struct ss_out *o, uint64_t *facts_out,
		   const bool obs, const bool lags)
{
	const struct vtd_proc *p = w->p;
	struct vtd *v = w->v;
	const uint64_t accessed = VTD_FSPTE_A | (p->eafe ? VTD_FSPTE_EA : 0);
	const bool nested = p->kind == VTD_K_NESTED;
	const uint64_t plain_mask = p->fs_plain_mask, plain = p->fs_plain;
	const struct mem_lag *lag = lags ? p->lag : NULL;
	uint32_t psc = 0;
	unsigned int level = p->fs_levels, lg2;
	uint64_t facts = VTD_V_RW | VTD_V_US | VTD_V_X, table, ssw, gtable, pa, e, val, due, out;
	bool leaf;
	int r;

	gtable = p->fs_root;
	if (!obs) {
		psc = atomic_load_explicit(&p->tag->psc, memory_order_acquire);
		level = vtd_psc_probe(&v->tlb, psc, in, &val);
		if (level) {
			level--;
			table = val & VTD_V_ADDR;
			ssw = val & VTD_V_SSW;
			facts &= val;
			gtable = GPA_UNKNOWN;
			goto have_table;
		}
		level = p->fs_levels;
	}
	if (fs_table(w, p->fs_root, (in >> (9 * level)) & 0xff8, SS_FS_ROOT, &table, &ssw, obs, lags))
		return -1;
have_table:
	for (;;) {
		pa = table | ((in >> (9 * level)) & 0xff8);
		if (unlikely(vtd_load64(v, lag, pa, &e))) {
			if (obs)
				vtd_step_pte(w->st, 1, level, pa, nested, gtable | (pa & 0xff8), false, 0);
			return refuse(w, level == p->fs_levels ? VTD_FR_FS_ROOT_FETCH : VTD_FR_FS_FETCH, 1);
		}
		if (obs)
			vtd_step_pte(w->st, 1, level, pa, nested, gtable | (pa & 0xff8), true, e);
		if (likely(level > 1 && (e & plain_mask) == plain))
			goto node;
		if (unlikely(!(e & VTD_FSPTE_P)))
			return refuse(w, VTD_FR_FS_NP, 1);
		leaf = level == 1 || (level <= 3 && (e & VTD_FSPTE_PS));
		if (unlikely(e & (leaf ? v->fs_leaf_rsvd : v->fs_node_rsvd)[level]))
			return refuse(w, VTD_FR_FS_RSVD, 1);
		if (nested && unlikely((e & VTD_FSPTE_ADDR) >> p->gpa_bits != 0))
			return refuse(w, VTD_FR_FS_GPA_WIDE, 1);
		if (leaf)
			break;
		due = accessed & ~e;
		if (unlikely(due)) {
			r = fs_set(w, gtable, pa, &e, due, ssw, obs);
			if (r < 0)
				return -1;
			if (r == 0)
				continue;
		}
		if (!(e & VTD_FSPTE_RW))
			facts &= ~VTD_V_RW;
		if (!(e & VTD_FSPTE_US))
			facts &= ~VTD_V_US;
		if (unlikely(p->nxe && (e & VTD_FSPTE_XD)))
			facts &= ~VTD_V_X;
node:
		gtable = e & VTD_FSPTE_ADDR;
		if (fs_table(w, gtable, (in >> (9 * level - 9)) & 0xff8, SS_FS_TABLE, &table, &ssw, obs, lags))
			return -1;
		if (!obs && (level == 2 || (level == 3 && (psc & 1))))
			enter(w, p->tag, true, psc, level - VTD_PSC_FIRST, vtd_vpn(in) >> (9 * (level - 1)),
			      table | facts | ssw);
		level--;
	}
	val = facts;
	if (!(e & VTD_FSPTE_RW))
		val &= ~VTD_V_RW;
	if (!(e & VTD_FSPTE_US))
		val &= ~VTD_V_US;
	if (unlikely(p->nxe && (e & VTD_FSPTE_XD)))
		val &= ~VTD_V_X;
	if (fs_rights(w, val, priv))
		return -1;
	lg2 = 3 + 9 * level;
	out = (e & VTD_FSPTE_ADDR & ~nb_low_mask(lg2)) | (in & nb_low_mask(lg2));
	if (nested) {
		if (gpa_to_hpa(w, out, need, SS_PAGE, o, obs, lags))
			return -1;
		if (lg2 < o->lg2)
			o->lg2 = lg2;
	} else {
		o->pa = out;
		o->lg2 = lg2;
		o->facts = VTD_V_SSR | VTD_V_SSW | VTD_V_D;
	}
	if (unlikely(o->pa >> 20 == VTD_INTR_RANGE))
		return nested ? refuse_gpa(w, VTD_FR_SINTR_OUT, out) : refuse(w, VTD_FR_SINTR_OUT, 1);
	/* All is well: now, and only now, the leaf is marked. It may have changed since: then once more. */
	due = (accessed | (need & HW_WRITE ? VTD_FSPTE_D : 0)) & ~e;
	if (unlikely(due)) {
		r = fs_set(w, gtable, pa, &e, due, ssw, obs);
		if (r < 0)
			return -1;
		if (r == 0)
			goto have_table;
	}
	*facts_out = val | (o->facts & (VTD_V_SSR | VTD_V_SSW)) |
		     (e & VTD_FSPTE_D ? o->facts & VTD_V_D : 0);
	return 0;
}

/* ---- the whole ---- */

static unsigned int perm_of(const struct vtd_proc *p, const struct hw_request *req, uint64_t val, bool priv)
{
	unsigned int r;

	if (!priv)
		r = (unsigned int)((val & VTD_V_UR) | (val & VTD_V_UWP) / (VTD_V_UWP / VTD_V_UW));
	else
		r = (val & VTD_V_SSR ? HW_READ : 0u) |
		    ((val & VTD_V_SSW) && ((val & VTD_V_RW) || !p->wpe) ? HW_WRITE : 0u);
	if (p->ere && req->pasid != NB_NO_PASID && (r & HW_READ) && (val & VTD_V_X) &&
	    !(priv && p->smep && (val & VTD_V_US)))
		r |= HW_EXEC;
	return r;
}

INLINE void walk_body(struct walk *w, uint64_t seq, const bool obs, const bool lags)
{
	const struct vtd_proc *p = w->p;
	const struct hw_request *req = w->req;
	struct hw_result *res = w->res;
	struct vtd *v = w->v;
	bool priv = vtd_req_priv(p, req);
	unsigned int need = (req->access & (HW_READ | HW_WRITE)) | (req->access & HW_EXEC ? HW_READ : 0u);
	uint32_t word = 0;
	uint64_t facts;
	struct ss_out o;

	w->retries = 0;
	w->nfill = 0;
	w->pde_page = UINT64_MAX;
	w->pde_table = w->pde_perm = 0;
	if (!obs) {
		word = atomic_load_explicit(&p->tag->leaf, memory_order_acquire);
		w->ss_psc = atomic_load_explicit(&p->dom->ss.psc, memory_order_acquire);
		w->gpa_leaf = atomic_load_explicit(&p->dom->gpa.leaf, memory_order_acquire);
	}
	if (p->kind == VTD_K_SS) {
		if (ss_walk(w, req->addr, need, SS_PAGE, &o, obs, lags))
			goto fill;
		if (unlikely(o.pa >> 20 == VTD_INTR_RANGE)) {
			refuse_gpa(w, p->legacy ? VTD_FR_INTR_OUT : VTD_FR_SINTR_OUT, req->addr);
			goto fill;
		}
		facts = o.facts | VTD_V_RW | VTD_V_US | VTD_V_X;
	} else {
		if (fs_walk(w, req->addr, need, priv, &o, &facts, obs, lags))
			goto fill;
	}
	res->kind = HW_OK;
	res->lg2 = (uint8_t)o.lg2;
	res->pa = hpa(o.pa);
	res->perm = (uint8_t)perm_of(p, req, vtd_value(0, facts), priv);
	if (!obs)
		enter_leaf(w, p->tag, word, req->addr, o.pa, o.lg2, facts);
fill:
	/* What was learned on the way to a fault is as true as any. */
	if (!obs && w->nfill && likely(!(req->flags & HW_OBSERVE)))
		vtd_tlb_fill(&v->tlb, seq, w->fill, w->nfill);
}

static __attribute__((noinline)) void walk_lagging(struct walk *w, uint64_t seq)
{
	walk_body(w, seq, false, true);
}

void vtd_walk(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
	      uint64_t seq)
{
	struct walk w;

	w.v = v;
	w.p = p;
	w.req = req;
	w.res = res;
	w.st = NULL;
	if (likely(!p->lag))
		walk_body(&w, seq, false, false);
	else
		walk_lagging(&w, seq);
}

void vtd_walk_observe(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
		      const struct vtd_steps *st)
{
	struct walk w;

	w.v = v;
	w.p = p;
	w.req = req;
	w.res = res;
	w.st = st;
	walk_body(&w, 0, true, true);
}

/*
 * A request that hit an IOTLB entry which does not plainly allow it: allowed after all (0), refused from the entry as
 * it was cached (-1), or to be walked because a dirty bit is due (1).
 */
int vtd_hit(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res, uint64_t val)
{
	struct walk w;
	bool priv = vtd_req_priv(p, req);
	unsigned int need = (req->access & (HW_READ | HW_WRITE)) | (req->access & HW_EXEC ? HW_READ : 0u);
	unsigned int lacks = need & ~(unsigned int)(val / VTD_V_SSR & 3);

	w.v = v;
	w.p = p;
	w.req = req;
	w.res = res;
	if (p->kind != VTD_K_SS && fs_rights(&w, val, priv))
		return -1;
	if (lacks) {
		if (p->legacy)
			return refuse_gpa(&w, lacks & HW_WRITE ? VTD_FR_NO_WRITE : VTD_FR_NO_READ, req->addr);
		refuse(&w, lacks & HW_WRITE ? VTD_FR_SNO_WRITE : VTD_FR_SNO_READ, 2);
		/* Of a nested translation the entry holds the outcome, not the address between the stages. */
		w.res->fault.gpa_valid = p->kind == VTD_K_SS;
		w.res->fault.gpa = gpa(p->kind == VTD_K_SS ? req->addr : 0);
		return -1;
	}
	if ((need & HW_WRITE) && !(val & VTD_V_D))
		return 1;
	res->perm = (uint8_t)perm_of(p, req, val, priv);
	return 0;
}
