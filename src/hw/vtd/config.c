/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a source-id and a PASID to a translation function: root, context, PASID directory and table
 * entries (9.1 to 9.6), the context cache and the PASID cache (6.2.2, 6.2.3).
 *
 * Context cache: by source-id. PASID cache: by source-id and PASID, invalidated by domain and PASID. They are
 * independent: a cached PASID entry survives a context-cache invalidation. Entries that fault are not cached.
 * Cached objects are immutable; invalidating one unpublishes it and it is freed after a grace period.
 */
#include "hw/vtd/model.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define FS_ALL (VTD_FSPTE_P | VTD_FSPTE_RW | VTD_FSPTE_US | VTD_FSPTE_A)

/*
 * Read n words of an entry: one, or pairs. Hardware reads 64 or 128 bits at once (chapter 9), and software counts on it: table
 * pointer and domain-id change in one store of 128 bits (6.2.2.1).
 */
static bool fetch(struct vtd *v, uint64_t pa, uint64_t *w, unsigned int n)
{
	unsigned int i;

	if (n == 1)
		return !vtd_load64(v, v->cfg_lag, pa, w);
	for (i = 0; i < n; i += 2)
		if (vtd_load128(v, v->cfg_lag, pa + 8 * i, &w[i]))
			return false;
	return true;
}

static bool bad_is(struct vtd_bad *bad, unsigned int reason, bool silent)
{
	bad->reason = (uint16_t)reason;
	bad->silent = silent;
	return false;
}

static uint64_t above_haw(const struct vtd *v)
{
	return ~nb_low_mask(v->caps.haw);
}

static uint64_t did_rsvd(const struct vtd *v) /* of a 16-bit field at bit 0 */
{
	return 0xffff & ~nb_low_mask(v->caps.nd_lg2);
}

static bool aw_ok(const struct vtd *v, uint64_t aw)
{
	return aw >= VTD_AW_39 && aw <= VTD_AW_57 && (vtd_caps_sagaw(&v->caps) >> aw & 1);
}

static uint8_t gpa_width(const struct vtd *v, uint64_t aw)
{
	uint8_t w = (uint8_t)(30 + 9 * aw);

	return w < v->caps.mgaw ? w : v->caps.mgaw;
}

static void make_plain(const struct vtd *v, struct vtd_proc *p)
{
	uint64_t rights = VTD_SSPTE_R | VTD_SSPTE_W | (p->ssade ? VTD_SSPTE_A : 0);

	p->hot = p->kind != VTD_K_PT && !p->priv_rid;
	/* First stage: all bits from in_bits - 1 up are alike, so adding the lowest of them clears them all, or carries out. */
	p->in_bias = p->kind == VTD_K_FS || p->kind == VTD_K_NESTED ? BIT(p->in_bits - 1) : 0;
	p->ss_plain = rights;
	p->ss_plain_mask = rights | VTD_SSPTE_PS | v->ss_node_rsvd[4];
	rights = FS_ALL | (p->eafe ? VTD_FSPTE_EA : 0);
	p->fs_plain = rights;
	p->fs_plain_mask = rights | VTD_FSPTE_PS | v->fs_node_rsvd[4] | (p->nxe ? VTD_FSPTE_XD : 0) |
			   (p->kind == VTD_K_NESTED ? VTD_FSPTE_ADDR & ~nb_low_mask(p->gpa_bits) : 0);
}

/* ---- legacy context entry, 9.3 ---- */

static bool decode_ctx(struct vtd *v, const uint64_t q[2], struct vtd_dev *d, struct vtd_bad *bad)
{
	uint64_t tt = FIELD_GET(VTD_CTX_0_TT, q[0]), aw = FIELD_GET(VTD_CTX_1_AW, q[1]);
	struct vtd_proc *p = &d->legacy;

	d->fpd = q[0] & VTD_CTX_0_FPD;
	if (!(q[0] & VTD_CTX_0_P))
		return bad_is(bad, VTD_FR_CTX_NP, d->fpd);
	/* The table pointer is not looked at with pass-through. */
	if ((q[0] & (BITS(11, 4) | (tt == VTD_TT_PASS_THROUGH ? 0 : above_haw(v)))) ||
	    (q[1] & (BITS(63, 24) | BIT(7) | did_rsvd(v) << 8)))
		return bad_is(bad, VTD_FR_CTX_RSVD, d->fpd);
	if (!aw_ok(v, aw) || tt > VTD_TT_PASS_THROUGH || (tt == VTD_TT_PASS_THROUGH && !v->caps.pass_through) ||
	    (tt == VTD_TT_DEVICE_TLB && !v->caps.device_tlb))
		return bad_is(bad, VTD_FR_CTX_INV, d->fpd);

	d->dte = tt == VTD_TT_DEVICE_TLB;
	memset(p, 0, sizeof(*p));
	p->kind = tt == VTD_TT_PASS_THROUGH ? VTD_K_PT : VTD_K_SS;
	p->ss_levels = (uint8_t)(aw + 2);
	p->gpa_bits = gpa_width(v, aw);
	p->in_bits = p->kind == VTD_K_PT ? v->caps.haw : p->gpa_bits; /* 3.9, LGN.1 */
	p->legacy = true;
	p->fpd = d->fpd;
	p->did = (uint16_t)FIELD_GET(VTD_CTX_1_DID, q[1]);
	p->rid = d->rid;
	p->pasid = NB_NO_PASID;
	p->ss_root = q[0] & VTD_CTX_0_SSPTPTR;
	p->lag = v->cfg_lag;
	make_plain(v, p);
	return true;
}

/* ---- scalable context entry, 9.4 ---- */

static bool decode_sctx(struct vtd *v, const uint64_t q[4], struct vtd_dev *d, struct vtd_bad *bad)
{
	const struct vtd_caps *c = &v->caps;
	uint64_t r0 = BITS(8, 5) | above_haw(v) | (c->device_tlb ? 0 : VTD_SCTX_0_DTE) |
		      (c->pasid_bits ? 0 : VTD_SCTX_0_PASIDE) | (c->page_requests ? 0 : VTD_SCTX_0_PRE);
	uint64_t r1 = BITS(63, 21) | (c->rid_pasid ? 0 : VTD_SCTX_1_RID_PASID) |
		      (c->rid_priv ? 0 : VTD_SCTX_1_RID_PRIV);

	d->fpd = q[0] & VTD_SCTX_0_FPD;
	if (!(q[0] & VTD_SCTX_0_P))
		return bad_is(bad, VTD_FR_SCTX_NP, d->fpd);
	if ((q[0] & r0) || (q[1] & r1) || q[2] || q[3])
		return bad_is(bad, VTD_FR_SCTX_RSVD, d->fpd);
	d->scalable = true;
	d->paside = q[0] & VTD_SCTX_0_PASIDE;
	d->dte = q[0] & VTD_SCTX_0_DTE;
	d->pre = q[0] & VTD_SCTX_0_PRE;
	d->rid_priv = q[1] & VTD_SCTX_1_RID_PRIV;
	d->pdts = (uint8_t)FIELD_GET(VTD_SCTX_0_PDTS, q[0]);
	d->rid_pasid = (uint32_t)FIELD_GET(VTD_SCTX_1_RID_PASID, q[1]);
	d->pasid_dir = q[0] & VTD_SCTX_0_PASIDDIRPTR;
	if (d->pre && !d->dte)
		return bad_is(bad, VTD_FR_SCTX_INV, d->fpd);
	if (d->rid_pasid >> (d->pdts + 13) != 0) /* 2^(PDTS+7) tables of 64 entries */
		return bad_is(bad, VTD_FR_SCTX_INV, d->fpd);
	return true;
}

/* ---- PASID table entry, 9.6 ---- */

static bool pasid_reserved(const struct vtd *v, const uint64_t q[8])
{
	const struct vtd_caps *c = &v->caps;
	uint64_t r0 = BITS(11, 10) | BIT(5) | above_haw(v) |
		      (c->second_stage ? 0 : VTD_PASID_0_SSPTPTR | VTD_PASID_0_AW | VTD_PASID_0_SSADE) |
		      (c->ss_dirty ? 0 : VTD_PASID_0_SSADE);
	uint64_t r1 = BITS(22, 16) | BITS(31, 27) | VTD_PASID_1_CD | VTD_PASID_1_EMTE | VTD_PASID_1_PAT |
		      did_rsvd(v) | (vtd_caps_smpwc(c) ? 0 : VTD_PASID_1_PWSNP) |
		      (c->snoop_control ? 0 : VTD_PASID_1_PGSNP);
	uint64_t r2 = BITS(11, 8) | above_haw(v) | (c->supervisor ? 0 : VTD_PASID_2_SRE) |
		      (c->exec_request ? 0 : VTD_PASID_2_ERE) |
		      (c->first_stage ? 0 : VTD_PASID_2_FSPTPTR | VTD_PASID_2_FSPM | VTD_PASID_2_WPE) |
		      (c->ext_access ? 0 : VTD_PASID_2_EAFE);

	return (q[0] & r0) || (q[1] & r1) || (q[2] & r2) || q[3] || q[4] || q[5] || q[6] || q[7];
}

static bool pgtt_ok(const struct vtd_caps *c, uint64_t pgtt)
{
	switch (pgtt) {
	case VTD_PGTT_FS:
		return c->first_stage;
	case VTD_PGTT_SS:
		return c->second_stage;
	case VTD_PGTT_NESTED:
		return c->nested;
	case VTD_PGTT_PT:
		return c->pass_through;
	default:
		return false;
	}
}

static bool decode_pasid(struct vtd *v, const uint64_t q[8], const struct vtd_dev *d, uint32_t pasid, bool fpd,
			 struct vtd_proc *p, struct vtd_bad *bad)
{
	uint64_t pgtt = FIELD_GET(VTD_PASID_0_PGTT, q[0]), aw = FIELD_GET(VTD_PASID_0_AW, q[0]);
	uint64_t fspm = FIELD_GET(VTD_PASID_2_FSPM, q[2]);
	bool fs = pgtt == VTD_PGTT_FS || pgtt == VTD_PGTT_NESTED;
	bool ss = pgtt == VTD_PGTT_SS || pgtt == VTD_PGTT_NESTED;

	fpd |= (q[0] & VTD_PASID_0_FPD) != 0;
	if (!(q[0] & VTD_PASID_0_P))
		return bad_is(bad, VTD_FR_PASID_NP, fpd);
	if (pasid_reserved(v, q))
		return bad_is(bad, VTD_FR_PASID_RSVD, fpd);
	if (!pgtt_ok(&v->caps, pgtt) || (ss && !aw_ok(v, aw)) ||
	    (fs && (fspm > VTD_FSPM_5 || (fspm == VTD_FSPM_5 && !v->caps.levels5))))
		return bad_is(bad, VTD_FR_PASID_INV, fpd);

	memset(p, 0, sizeof(*p));
	p->kind = pgtt == VTD_PGTT_FS ? VTD_K_FS :
		  pgtt == VTD_PGTT_SS ? VTD_K_SS :
		  pgtt == VTD_PGTT_NESTED ? VTD_K_NESTED :
					    VTD_K_PT;
	p->fpd = fpd;
	p->rid = d->rid;
	p->pasid = pasid;
	p->priv_rid = d->rid_priv;
	p->did = (uint16_t)FIELD_GET(VTD_PASID_1_DID, q[1]);
	p->sre = q[2] & VTD_PASID_2_SRE;
	p->ere = v->caps.exec_request && (q[2] & VTD_PASID_2_ERE);
	p->can_ad = q[1] & VTD_PASID_1_PWSNP;
	p->lag = p->can_ad ? NULL : v->lag;
	p->in_bits = v->caps.haw;
	if (ss) {
		p->ss_levels = (uint8_t)(aw + 2);
		p->gpa_bits = gpa_width(v, aw);
		p->in_bits = p->gpa_bits;
		p->ss_root = q[0] & VTD_PASID_0_SSPTPTR;
		p->ssade = q[0] & VTD_PASID_0_SSADE;
	}
	if (fs) {
		p->fs_levels = fspm == VTD_FSPM_5 ? 5 : 4;
		p->in_bits = fspm == VTD_FSPM_5 ? 57 : 48;
		p->fs_root = q[2] & VTD_PASID_2_FSPTPTR;
		p->wpe = q[2] & VTD_PASID_2_WPE;
		p->eafe = q[2] & VTD_PASID_2_EAFE;
		p->nxe = v->caps.exec_request && (q[2] & VTD_PASID_2_NXE);
		p->smep = v->caps.exec_request && (q[2] & VTD_PASID_2_SMEP);
	}
	if (pgtt == VTD_PGTT_NESTED && p->fs_root >> p->gpa_bits != 0)
		return bad_is(bad, VTD_FR_PASID_INV, fpd);
	make_plain(v, p);
	return true;
}

/* ---- fetching, 3.4 ---- */

static bool fetch_dev(struct vtd *v, uint16_t rid, unsigned int ttm, struct vtd_dev *d, const struct vtd_steps *st,
		      struct vtd_bad *bad)
{
	bool sm = ttm == VTD_TTM_SCALABLE, upper = sm && (rid & 0x80);
	uint64_t pa = (atomic_load_explicit(&v->root, memory_order_relaxed) & VTD_RTADDR_RTA) + (rid >> 8) * 16u;
	uint64_t e[2] = {0}, q[4] = {0}, r;
	char text[200];
	bool ok;

	memset(d, 0, sizeof(*d));
	d->rid = rid;
	/* Legacy: word 1 is reserved and is looked at when P is set. Scalable: each word stands for itself. */
	ok = fetch(v, pa + (upper ? 8 : 0), e, sm ? 1 : 2);
	r = e[0];
	if (st) {
		snprintf(text, sizeof(text), "%s -> 0x%llx", r & 1 ? "P" : "not present",
			 (unsigned long long)(r & VTD_ROOT_0_CTP));
		vtd_step_entry(st, sm ? upper ? "scalable-mode root entry (upper)" : "scalable-mode root entry (lower)" :
				   "root entry", pa + (upper ? 8 : 0), ok, &r, 1, text);
	}
	if (!ok)
		return bad_is(bad, sm ? VTD_FR_SROOT_FETCH : VTD_FR_ROOT_FETCH, false);
	if (!(r & VTD_ROOT_0_P))
		return bad_is(bad, sm ? VTD_FR_SROOT_NP : VTD_FR_ROOT_NP, false);
	if ((r & (BITS(11, 1) | above_haw(v))) || e[1])
		return bad_is(bad, sm ? VTD_FR_SROOT_RSVD : VTD_FR_ROOT_RSVD, false);

	pa = (r & VTD_ROOT_0_CTP) + (sm ? (rid & 0x7fu) * 32u : (rid & 0xffu) * 16u);
	ok = fetch(v, pa, q, sm ? 4 : 2);
	if (st) {
		if (sm)
			vtd_text_sctx(text, q[0], q[1]);
		else
			vtd_text_ctx(text, q[0], q[1]);
		vtd_step_entry(st, sm ? "scalable-mode context entry" : "context entry", pa, ok, q, sm ? 4 : 2, text);
	}
	if (!ok)
		return bad_is(bad, sm ? VTD_FR_SCTX_FETCH : VTD_FR_CTX_FETCH, false);
	return sm ? decode_sctx(v, q, d, bad) : decode_ctx(v, q, d, bad);
}

static bool fetch_proc(struct vtd *v, const struct vtd_dev *d, uint32_t pasid, struct vtd_proc *p,
		       const struct vtd_steps *st, struct vtd_bad *bad)
{
	uint64_t pa = d->pasid_dir + FIELD_GET(VTD_PASID_DIR_INDEX, pasid) * 8, e = 0, q[8] = {0};
	bool ok = fetch(v, pa, &e, 1), fpd;
	char text[200];

	if (st) {
		snprintf(text, sizeof(text), "%s%s -> 0x%llx", e & VTD_PDIR_0_P ? "P" : "not present",
			 e & VTD_PDIR_0_FPD ? " FPD" : "", (unsigned long long)(e & VTD_PDIR_0_SMPTBLPTR));
		vtd_step_entry(st, "PASID directory entry", pa, ok, &e, 1, text);
	}
	if (!ok)
		return bad_is(bad, VTD_FR_PDIR_FETCH, false);
	fpd = d->fpd || (e & VTD_PDIR_0_FPD);
	if (!(e & VTD_PDIR_0_P))
		return bad_is(bad, VTD_FR_PDIR_NP, fpd);
	if (e & (BITS(11, 2) | above_haw(v)))
		return bad_is(bad, VTD_FR_PDIR_RSVD, fpd);

	pa = (e & VTD_PDIR_0_SMPTBLPTR) + FIELD_GET(VTD_PASID_TABLE_INDEX, pasid) * 64;
	ok = fetch(v, pa, q, 8);
	if (st) {
		vtd_text_pasid(text, q);
		vtd_step_entry(st, "PASID table entry", pa, ok, q, 8, text);
	}
	if (!ok)
		return bad_is(bad, VTD_FR_PASID_FETCH, false);
	return decode_pasid(v, q, d, pasid, fpd, p, bad);
}

/* ---- the caches ---- */

struct vtd_slot *vtd_slot_of(struct vtd *v, uint16_t rid, bool create)
{
	struct vtd_bus *b = atomic_load_explicit(&v->bus[rid >> 8], memory_order_acquire), *none = NULL;

	if (!b && create) {
		b = nb_zalloc(sizeof(*b));
		if (b && !atomic_compare_exchange_strong_explicit(&v->bus[rid >> 8], &none, b, memory_order_acq_rel,
								  memory_order_acquire)) {
			nb_free(b);
			b = none;
		}
	}
	return b ? &b->slot[rid & 0xff] : NULL;
}

static struct vtd_proc *_Atomic *pc_chain(struct vtd *v, uint16_t rid, uint32_t pasid)
{
	return &v->pc[(rid * 0x9e37u ^ pasid) % VTD_PC_HASH];
}

static struct vtd_proc *pc_find(struct vtd *v, uint16_t rid, uint32_t pasid)
{
	struct vtd_proc *p = atomic_load_explicit(pc_chain(v, rid, pasid), memory_order_acquire);

	while (p && (p->rid != rid || p->pasid != pasid))
		p = nb_rcu_dereference(p->next);
	return p;
}

/* Give the function its tags. Domain and tag objects are allocated before the lock is taken. */
static void tag_locked(struct vtd *v, struct vtd_proc *p, struct vtd_dom **sd, struct vtd_tag **st)
{
	p->dom = vtd_dom_get_locked(&v->tlb, p->did, sd);
	p->tag = p->kind == VTD_K_FS || p->kind == VTD_K_NESTED ?
			 vtd_tag_get_locked(&v->tlb, p->dom, p->pasid, st) :
			 &p->dom->ss;
}

static void no_tags(struct vtd *v, struct vtd_proc *p)
{
	p->dom = &v->tlb.none_dom;
	p->tag = p->kind == VTD_K_FS || p->kind == VTD_K_NESTED ? &v->tlb.none : &p->dom->ss;
}

/*
 * Publish what was read, unless something was invalidated since `seq`. Returns the cached object, or null:
 * the caller then goes on with its own copy, which has no tags and so fills nothing.
 */
static const struct vtd_dev *dev_publish(struct vtd *v, struct vtd_slot *slot, const struct vtd_dev *d, uint64_t seq)
{
	struct vtd_dev *copy = slot ? nb_zalloc(sizeof(*copy)) : NULL, *old = NULL;
	struct vtd_dom *sd = d->scalable ? NULL : nb_aligned_zalloc(64, sizeof(*sd));

	if (copy) {
		*copy = *d;
		hw_spin_lock(&v->tlb.lock);
		if (atomic_load_explicit(&v->tlb.inv_seq, memory_order_relaxed) == seq) {
			old = atomic_load_explicit(&slot->dev, memory_order_relaxed);
			if (!old) {
				if (!copy->scalable)
					tag_locked(v, &copy->legacy, &sd, &(struct vtd_tag *){NULL});
				atomic_store_explicit(&slot->dev, copy, memory_order_release);
				if (!copy->scalable)
					atomic_store_explicit(&slot->fast, &copy->legacy, memory_order_release);
				old = copy;
				copy = NULL;
			}
		}
		hw_spin_unlock(&v->tlb.lock);
	}
	nb_free(copy);
	nb_free(sd);
	return old;
}

static const struct vtd_proc *proc_publish(struct vtd *v, const struct vtd_proc *p, uint64_t seq)
{
	struct vtd_proc *copy = nb_zalloc(sizeof(*copy)), *old = NULL;
	struct vtd_dom *sd = nb_aligned_zalloc(64, sizeof(*sd));
	struct vtd_tag *st = nb_aligned_zalloc(64, sizeof(*st));

	if (copy) {
		*copy = *p;
		hw_spin_lock(&v->tlb.lock);
		if (atomic_load_explicit(&v->tlb.inv_seq, memory_order_relaxed) == seq && v->npc < VTD_PC_MAX) {
			old = pc_find(v, p->rid, p->pasid);
			if (!old) {
				struct vtd_proc *_Atomic *chain = pc_chain(v, p->rid, p->pasid);

				tag_locked(v, copy, &sd, &st);
				atomic_store_explicit(&copy->next, atomic_load_explicit(chain, memory_order_relaxed),
						      memory_order_relaxed);
				atomic_store_explicit(chain, copy, memory_order_release);
				v->npc++;
				old = copy;
				copy = NULL;
			}
		} else if (v->npc >= VTD_PC_MAX) {
			v->tlb.want_reset = true;
		}
		hw_spin_unlock(&v->tlb.lock);
	}
	nb_free(copy);
	nb_free(sd);
	nb_free(st);
	return old;
}

/* Let requests without PASID find the function at once, while both entries on its way are cached. */
static void fast_publish(struct vtd *v, struct vtd_slot *slot, const struct vtd_dev *d, const struct vtd_proc *p)
{
	if (!slot)
		return;
	hw_spin_lock(&v->tlb.lock);
	if (atomic_load_explicit(&slot->dev, memory_order_relaxed) == d && pc_find(v, p->rid, p->pasid) == p &&
	    d->rid_pasid == p->pasid && d->rid_priv == p->priv_rid)
		atomic_store_explicit(&slot->fast, (struct vtd_proc *)(uintptr_t)p, memory_order_release);
	hw_spin_unlock(&v->tlb.lock);
}

/* Faults of a request before its entries are looked at: the mode, RTA in 7.1.3. */
static bool mode_ok(struct vtd *v, const struct hw_request *req, unsigned int ttm, struct vtd_bad *bad)
{
	bool pasid = req->pasid != NB_NO_PASID;

	if (ttm == VTD_TTM_ABORT && v->caps.abort_mode)
		return bad_is(bad, VTD_FR_ABORT_MODE, false);
	if (ttm > VTD_TTM_SCALABLE || (ttm == VTD_TTM_SCALABLE && !v->caps.scalable))
		return bad_is(bad, VTD_FR_RTADDR_INV, false);
	if (ttm == VTD_TTM_LEGACY && (req->flags & VTD_REQ_PAGE))
		return bad_is(bad, VTD_FR_PREQ_LEGACY, false);
	if (ttm == VTD_TTM_LEGACY && pasid)
		return bad_is(bad, VTD_FR_PASID_LEGACY, false);
	return true;
}

const struct vtd_proc *vtd_config_cached(struct vtd *v, const struct hw_request *req)
{
	struct vtd_slot *slot = vtd_slot_of(v, req->rid, false);
	const struct vtd_dev *d = slot ? nb_rcu_dereference(slot->dev) : NULL;

	if (!d || !d->paside || req->pasid >> (d->pdts + 13) != 0 || req->pasid == d->rid_pasid ||
	    req->pasid >> v->caps.pasid_bits != 0)
		return NULL;
	return pc_find(v, req->rid, req->pasid);
}

/* The device's own entries: cached, or read and then cached in `slot` (null: neither). */
static const struct vtd_dev *device(struct vtd *v, uint16_t rid, unsigned int ttm, struct vtd_slot *slot, uint64_t seq,
				    struct vtd_box *box, const struct vtd_steps *st, bool *missed, struct vtd_bad *bad)
{
	const struct vtd_dev *d = slot ? nb_rcu_dereference(slot->dev) : NULL;

	if (d)
		return d;
	*missed = true;
	if (!fetch_dev(v, rid, ttm, &box->dev, st, bad))
		return NULL;
	if (slot)
		d = dev_publish(v, slot, &box->dev, seq);
	if (!d) {
		d = &box->dev;
		no_tags(v, &box->dev.legacy);
	}
	return d;
}

/* SGN.10: qualified, so it waits for the context entry. Page requests do not meet it. */
static bool pss_ok(const struct vtd *v, const struct vtd_dev *d, const struct hw_request *req, struct vtd_bad *bad)
{
	if (req->pasid != NB_NO_PASID && !(req->flags & VTD_REQ_PAGE) &&
	    req->pasid >> (v->caps.pasid_bits ? v->caps.pasid_bits : 1) != 0)
		return bad_is(bad, VTD_FR_PSS, d->fpd);
	return true;
}

/* SCT.6, SCT.7, SCT.9 */
static bool pasid_allowed(const struct vtd_dev *d, uint32_t pasid, struct vtd_bad *bad)
{
	if (!d->paside)
		return bad_is(bad, VTD_FR_SCTX_PASIDE, d->fpd);
	if (pasid >> (d->pdts + 13) != 0)
		return bad_is(bad, VTD_FR_PASID_WIDE, d->fpd);
	if (pasid == d->rid_pasid)
		return bad_is(bad, VTD_FR_RID_PASID, d->fpd);
	return true;
}

/* LCT.5, SCT.5, SCT.8: may the device send such requests? */
static bool kind_allowed(const struct vtd_dev *d, const struct hw_request *req, struct vtd_bad *bad)
{
	if ((req->flags & VTD_REQ_PAGE) && !d->pre)
		return bad_is(bad, VTD_FR_SCTX_PRE, d->fpd);
	if ((req->flags & (VTD_REQ_ATS | HW_TRANSLATED)) && !d->dte)
		return bad_is(bad, d->scalable ? VTD_FR_SCTX_DTE : VTD_FR_ATS_BLOCKED, d->fpd);
	return true;
}

const struct vtd_dev *vtd_config_dev(struct vtd *v, const struct hw_request *req, uint64_t seq, struct vtd_box *box,
				     struct vtd_bad *bad)
{
	unsigned int ttm = (atomic_load_explicit(&v->mode, memory_order_acquire) & VTD_MODE_TTM) >> 1;
	bool observe = req->flags & HW_OBSERVE, missed;
	const struct vtd_dev *d;

	if (!mode_ok(v, req, ttm, bad))
		return NULL;
	d = device(v, req->rid, ttm, observe ? NULL : vtd_slot_of(v, req->rid, true), seq, box, NULL, &missed, bad);
	return d && kind_allowed(d, req, bad) ? d : NULL;
}

const struct vtd_proc *vtd_config(struct vtd *v, const struct hw_request *req, uint64_t seq, struct vtd_box *box,
				  const struct vtd_steps *st, bool observe, struct vtd_bad *bad)
{
	unsigned int ttm = (atomic_load_explicit(&v->mode, memory_order_acquire) & VTD_MODE_TTM) >> 1;
	struct vtd_slot *slot = observe ? NULL : vtd_slot_of(v, req->rid, true);
	const struct vtd_proc *p = NULL;
	const struct vtd_dev *d;
	bool missed = false;
	uint32_t pasid;

	if (!mode_ok(v, req, ttm, bad))
		return NULL;
	d = device(v, req->rid, ttm, slot, seq, box, st, &missed, bad);
	if (!d || !pss_ok(v, d, req, bad) || !kind_allowed(d, req, bad))
		return NULL;
	if (!d->scalable) {
		p = &d->legacy;
		goto out;
	}

	pasid = d->rid_pasid;
	if (req->pasid != NB_NO_PASID) {
		pasid = req->pasid;
		if (!pasid_allowed(d, pasid, bad))
			return NULL;
	}
	if (!observe)
		p = pc_find(v, req->rid, pasid);
	if (!p) {
		missed = true;
		if (!fetch_proc(v, d, pasid, &box->proc, st, bad))
			return NULL;
		if (!observe && d != &box->dev)
			p = proc_publish(v, &box->proc, seq);
		if (!p) {
			p = &box->proc;
			no_tags(v, &box->proc);
		}
	}
	if (req->pasid == NB_NO_PASID && !observe && p != &box->proc)
		fast_publish(v, slot, d, p);
out:
	if (missed && !observe)
		NB_TRACE(v->hw.tr, hw_cfg_miss, req->rid, req->pasid);
	return p;
}
