/* SPDX-License-Identifier: BSD-3-Clause */
#include "naive_vtd.h"

#include <string.h>

typedef uint64_t u64;

struct walk {
	struct naive_vtd *n;
	struct naive_res *res;
	bool scalable;
	/* second stage */
	u64 ss_root;
	unsigned int ss_levels;
	bool ss_ad, pwsnp;
	/* first stage */
	bool nested, priv, wpe, eafe, exec, nxe, smep;
	bool fpd; /* of the entries that were read so far and count */
};

static bool load(struct walk *w, u64 pa, u64 *v)
{
	if (pa < w->n->base || pa - w->n->base > w->n->len - 8)
		return false;
	if (w->res->nwords < 64)
		w->res->word[w->res->nwords++] = pa;
	memcpy(v, w->n->image + (pa - w->n->base), 8);
	return true;
}

static void set_bits(struct walk *w, u64 pa, u64 bits)
{
	u64 v;

	memcpy(&v, w->n->image + (pa - w->n->base), 8);
	v |= bits;
	memcpy(w->n->image + (pa - w->n->base), &v, 8);
}

/* Any of bits hi..lo set? */
static bool bits(u64 v, unsigned int hi, unsigned int lo)
{
	for (; lo <= hi; lo++)
		if (v >> lo & 1)
			return true;
	return false;
}

/* Any address bit at or above the host address width, up to `top`? */
static bool beyond_haw(struct walk *w, u64 v, unsigned int top)
{
	return w->n->haw <= top && bits(v, top, w->n->haw);
}

static unsigned int index_of(u64 addr, unsigned int level)
{
	return (unsigned int)(addr >> (12 + 9 * (level - 1))) % 512;
}

struct leaf {
	u64 pa;
	unsigned int lg2;
	bool r, w;
};

/* An A or D bit cannot be set: hardware may find that out before or after another fault of the same walk. */
static void maybe(struct walk *w, int fault)
{
	if (!w->res->maybe)
		w->res->maybe = fault;
}

/*
 * Section 9.8 and 3.7. want: 'r', 'w'; 'T', 't': the first, a lower first-stage table. Returns a fault reason or 0.
 */
static int ss_steps(struct walk *w, u64 addr, char want, struct leaf *out)
{
	unsigned int width = 12 + 9 * w->ss_levels, level, i, nseen = 0;
	u64 table = w->ss_root, e = 0, seen[5];
	bool r = true, wr = true;

	if (width > w->n->mgaw)
		width = w->n->mgaw;
	if (addr >> width)
		return w->scalable ? 0x84 : 0x04;
	for (level = w->ss_levels;; level--) {
		u64 pa = table + 8 * index_of(addr, level);
		bool large = false;

		if (!load(w, pa, &e)) {
			if (level == w->ss_levels)
				return w->scalable ? 0x7b : 0x03;
			return w->scalable ? 0x78 : 0x07;
		}
		seen[nseen++] = pa;
		if ((e & 3) == 0)
			return w->scalable ? 0x79 : want == 'w' ? 0x05 : 0x06;
		if (level >= 4 && bits(e, 7, 7))
			return w->scalable ? 0x7a : 0x0c;
		if ((level == 2 || level == 3) && bits(e, 7, 7)) {
			if (!(level == 2 ? w->n->ss2m : w->n->ss1g))
				return w->scalable ? 0x7a : 0x0c;
			if (bits(e, level == 2 ? 20 : 29, 12))
				return w->scalable ? 0x7a : 0x0c;
			large = true;
		}
		if (bits(e, 11, 11) && (!(large || level == 1) || !w->n->sc))
			return w->scalable ? 0x7a : 0x0c;
		if (bits(e, 62, 62) || beyond_haw(w, e, 51))
			return w->scalable ? 0x7a : 0x0c;
		r = r && (e & 1);
		wr = wr && (e & 2);
		if (w->ss_ad && !w->pwsnp && !bits(e, 8, 8))
			maybe(w, 0x7c);
		if (large || level == 1)
			break;
		table = e & 0x000ffffffffff000;
	}
	if (w->scalable && !r && !wr)
		return 0x79;
	if (want == 'w' && !wr)
		return w->scalable ? 0x85 : 0x05;
	if (want == 'r' && !r)
		return w->scalable ? 0x86 : 0x06;
	/* 3.8.1: a first-stage table is read; with second-stage A and D it is accessed as if written */
	if ((want == 't' || want == 'T') && (!r || (w->ss_ad && !wr)))
		return want == 'T' ? 0x75 : 0x76;
	if (w->ss_ad && !w->pwsnp && (!bits(e, 8, 8) || (want != 'r' && !bits(e, 9, 9)) || w->res->maybe == 0x7c))
		return 0x7c;
	out->lg2 = 12 + 9 * (level - 1);
	out->pa = (e & 0x000ffffffffff000) | (addr & ((UINT64_C(1) << out->lg2) - 1));
	out->r = r;
	out->w = wr;
	if (w->ss_ad) {
		for (i = 0; i < nseen; i++)
			set_bits(w, seen[i], 1 << 8);
		if (want != 'r')
			set_bits(w, seen[nseen - 1], 1 << 9);
	}
	return 0;
}

static int refused(struct walk *w, int fault, int stage, u64 ipa)
{
	if (fault && !w->res->stage) {
		w->res->stage = stage;
		w->res->ipa = ipa;
	}
	return fault;
}

static int ss_walk(struct walk *w, u64 addr, char want, struct leaf *out)
{
	return refused(w, ss_steps(w, addr, want, out), 2, addr);
}

/* Section 3.6 and 9.7, nested: 3.8. */
/* *page: the second stage of the page itself, when nested. Bits are set when nothing else can go wrong. */
static int fs_steps(struct walk *w, u64 addr, u64 root, unsigned int levels, bool write, struct leaf *out, struct leaf *page)
{
	unsigned int width = 12 + 9 * levels, level, i, nseen = 0;
	u64 table = root, e = 0, top = addr >> (width - 1), need;
	struct {
		u64 gpa, pa, was;
		struct leaf ss;
	} seen[5];
	bool rw = true, us = true, x = true;
	int err;

	if (top != 0 && top != UINT64_MAX >> (width - 1))
		return 0x80;
	for (level = levels;; level--) {
		u64 pa = table + 8 * index_of(addr, level);
		bool large = false;

		if (w->nested) {
			err = ss_walk(w, pa, level == levels ? 'T' : 't', &seen[nseen].ss);
			if (err)
				return err;
			pa = seen[nseen].ss.pa;
		}
		seen[nseen].gpa = table + 8 * index_of(addr, level);
		if (!load(w, pa, &e))
			return level == levels ? 0x73 : 0x70;
		seen[nseen].pa = pa;
		seen[nseen++].was = e;
		if (!(e & 1))
			return 0x71;
		if (level >= 4 && bits(e, 7, 7))
			return 0x72;
		if ((level == 2 || level == 3) && bits(e, 7, 7)) {
			if (level == 3 && !w->n->fs1g)
				return 0x72;
			if (bits(e, level == 2 ? 20 : 29, 13))
				return 0x72;
			large = true;
		}
		if (beyond_haw(w, e, 51))
			return 0x72;
		if (w->nested) {
			unsigned int sswidth = 12 + 9 * w->ss_levels;

			if (sswidth > w->n->mgaw)
				sswidth = w->n->mgaw;
			if (sswidth <= 51 && bits(e, 51, sswidth))
				return 0x74;
		}
		rw = rw && (e & 2);
		us = us && (e & 4);
		x = x && !(w->nxe && bits(e, 63, 63));
		if (!bits(e, 5, 5) || (w->eafe && !bits(e, 10, 10))) {
			if (!w->pwsnp)
				maybe(w, 0x90);
			else if (w->nested && !seen[nseen - 1].ss.w)
				maybe(w, 0x77);
		}
		if (large || level == 1)
			break;
		table = e & 0x000ffffffffff000;
	}
	if (!w->priv && !us)
		return 0x81;
	out->r = true;
	out->w = rw || (w->priv && !w->wpe);
	if (write && !out->w)
		return 0x85;
	if (w->exec && (!x || (w->priv && w->smep && us)))
		return 0x82;
	out->lg2 = 12 + 9 * (level - 1);
	out->pa = (e & 0x000ffffffffff000 & ~((UINT64_C(1) << out->lg2) - 1)) |
		  (addr & ((UINT64_C(1) << out->lg2) - 1));
	if (w->nested) {
		err = ss_walk(w, out->pa, write ? 'w' : 'r', page);
		if (err)
			return err;
	}
	for (i = 0; i < nseen; i++) {
		need = 1 << 5;
		if (w->eafe)
			need |= 1 << 10;
		if (write && i + 1 == nseen)
			need |= 1 << 6;
		if ((seen[i].was & need) == need)
			continue;
		if (!w->pwsnp || (w->nested && !seen[i].ss.w)) {
			maybe(w, w->pwsnp ? 0x77 : 0x90);
			if (w->res->maybe == 0x77)
				refused(w, 0x77, 2, seen[i].gpa);
			return w->res->maybe;
		}
		set_bits(w, seen[i].pa, need);
	}
	return 0;
}

static int fs_walk(struct walk *w, u64 addr, u64 root, unsigned int levels, bool write, struct leaf *out, struct leaf *page)
{
	return refused(w, fs_steps(w, addr, root, levels, write, out, page), 1, 0);
}

/* The levels that this unit's second stage may have: SAGAW. */
static bool aw_ok(const struct naive_vtd *n, unsigned int aw)
{
	if (aw == 1)
		return true;
	if (aw == 2)
		return n->mgaw >= 48;
	return aw == 3 && n->mgaw >= 57 && n->has5;
}

static int legacy(struct walk *w, const struct naive_req *q, struct leaf *out)
{
	u64 lo, hi, root = w->n->rtaddr & ~UINT64_C(0xfff);
	unsigned int tt, aw;

	if (q->with_pasid)
		return 0x31;
	if (!load(w, root + 16 * (q->rid >> 8), &lo) || !load(w, root + 16 * (q->rid >> 8) + 8, &hi))
		return 0x08;
	if (!(lo & 1))
		return 0x01;
	if (bits(lo, 11, 1) || hi || beyond_haw(w, lo, 63))
		return 0x0a;
	root = lo & ~UINT64_C(0xfff);
	if (!load(w, root + 16 * (q->rid & 0xff), &lo) || !load(w, root + 16 * (q->rid & 0xff) + 8, &hi))
		return 0x09;
	w->fpd = lo >> 1 & 1;
	if (!(lo & 1))
		return 0x02;
	tt = lo >> 2 & 3;
	aw = hi & 7;
	if (bits(lo, 11, 4) || bits(hi, 7, 7) || bits(hi, 63, 24) || (tt != 2 && beyond_haw(w, lo, 63)))
		return 0x0b;
	if (tt == 3 || (tt == 2 && !w->n->pt) || (tt == 1 && !w->n->dt))
		return 0x03;
	if (!aw_ok(w->n, aw))
		return 0x03;
	if (tt == 2) {
		if (q->addr >> w->n->haw) /* LGN.1.3; AW must be one there is, and that is all */
			return 0x04;
		*out = (struct leaf){.pa = q->addr, .lg2 = 0, .r = true, .w = true};
		return 0;
	}
	w->ss_root = lo & ~UINT64_C(0xfff);
	w->ss_levels = aw + 2;
	return ss_walk(w, q->addr, q->write ? 'w' : 'r', out);
}

static int scalable(struct walk *w, const struct naive_req *q, struct leaf *out)
{
	u64 e, c[4], p[8], at = w->n->rtaddr & ~UINT64_C(0xfff);
	unsigned int i, pgtt, aw, fspm, fslevels;
	struct leaf fs, ss;
	u64 pasid, pdts;
	bool fpd;
	int err;

	if (!load(w, at + 16 * (q->rid >> 8) + (q->rid & 0x80 ? 8 : 0), &e))
		return 0x38;
	if (!(e & 1))
		return 0x39;
	if (bits(e, 11, 1) || beyond_haw(w, e, 63))
		return 0x3a;
	at = (e & ~UINT64_C(0xfff)) + 32 * (q->rid & 0x7f);
	for (i = 0; i < 4; i++)
		if (!load(w, at + 8 * i, &c[i]))
			return 0x40;
	w->fpd = c[0] >> 1 & 1;
	if (!(c[0] & 1))
		return 0x41;
	if (bits(c[0], 8, 5) || (!w->n->pasid_bits && bits(c[0], 3, 3)) || (!w->n->dt && bits(c[0], 2, 2)) ||
	    (!w->n->prs && bits(c[0], 4, 4)) || (!w->n->rps && bits(c[1], 19, 0)) || (!w->n->rprivs && bits(c[1], 20, 20)) || bits(c[1], 63, 21) || c[2] || c[3] || beyond_haw(w, c[0], 63))
		return 0x42;
	if (bits(c[0], 4, 4) && !bits(c[0], 2, 2))
		return 0x43;
	pdts = c[0] >> 9 & 7;
	if ((c[1] & 0xfffff) >> (pdts + 13))
		return 0x43;
	if (q->with_pasid) {
		if (q->pasid >> w->n->pasid_bits)
			return 0x89;
		if (!(c[0] >> 3 & 1))
			return 0x45;
		if (q->pasid >= UINT64_C(1) << (pdts + 7 + 6))
			return 0x46;
		if (q->pasid == (w->n->rps ? (c[1] & 0xfffff) : 0))
			return 0x48;
		pasid = q->pasid;
	} else {
		pasid = w->n->rps ? (c[1] & 0xfffff) : 0;
	}
	fpd = w->fpd;
	w->fpd = false; /* 50h and 58h are not qualified */
	if (!load(w, (c[0] & ~UINT64_C(0xfff)) + 8 * (pasid >> 6), &e))
		return 0x50;
	w->fpd = fpd = fpd || bits(e, 1, 1);
	if (!(e & 1))
		return 0x51;
	if (bits(e, 11, 2) || beyond_haw(w, e, 63))
		return 0x52;
	at = (e & ~UINT64_C(0xfff)) + 64 * (pasid & 63);
	w->fpd = false;
	for (i = 0; i < 8; i++)
		if (!load(w, at + 8 * i, &p[i]))
			return 0x58;
	w->fpd = fpd || bits(p[0], 1, 1);
	if (!(p[0] & 1))
		return 0x59;
	pgtt = p[0] >> 6 & 7;
	aw = p[0] >> 2 & 7;
	fspm = p[2] >> 2 & 3;
	/* CD, EMTE, EMT, PWT, PCD and PAT are for units with memory types */
	if (bits(p[0], 11, 10) || bits(p[0], 5, 5) || bits(p[1], 22, 16) || bits(p[1], 63, 25) || (!w->n->sc && bits(p[1], 24, 24)) ||
	    (!w->n->ssad && bits(p[0], 9, 9)) || (!w->n->ers && bits(p[2], 1, 1)) || (!w->n->srs && bits(p[2], 0, 0)) ||
	    (!w->n->eaf && bits(p[2], 7, 7)) || bits(p[2], 11, 8) || p[3] || p[4] || p[5] || p[6] || p[7])
		return 0x5a;
	if (beyond_haw(w, p[0], 63) || beyond_haw(w, p[2], 63))
		return 0x5a;
	if (!w->n->ss && (bits(p[0], 4, 2) || bits(p[0], 9, 9) || bits(p[0], 63, 12)))
		return 0x5a;
	if (!w->n->fs && (bits(p[2], 4, 2) || bits(p[2], 63, 12)))
		return 0x5a;
	if (pgtt < 1 || pgtt > 4 || (pgtt == 1 && !w->n->fs) || (pgtt == 2 && !w->n->ss) ||
	    (pgtt == 3 && !w->n->nest) || (pgtt == 4 && !w->n->pt))
		return 0x5b;
	if ((pgtt == 2 || pgtt == 3) && !aw_ok(w->n, aw))
		return 0x5b;
	if ((pgtt == 1 || pgtt == 3) && (fspm > 1 || (fspm == 1 && !w->n->has5)))
		return 0x5b;
	if (pgtt == 3 && (p[2] & ~UINT64_C(0xfff)) >> (30 + 9 * aw < w->n->mgaw ? 30 + 9 * aw : w->n->mgaw))
		return 0x5b;
	if (q->exec && !bits(p[2], 1, 1))
		return 0x5c;
	w->priv = q->priv || (!q->with_pasid && bits(c[1], 20, 20));
	if (w->priv && !(p[2] & 1))
		return 0x5d;
	w->exec = q->exec;
	w->nxe = w->n->ers && bits(p[2], 5, 5);
	w->smep = w->n->ers && bits(p[2], 6, 6);
	w->pwsnp = p[1] >> 23 & 1;
	fslevels = 4 + fspm;
	w->ss_root = p[0] & ~UINT64_C(0xfff);
	w->ss_levels = aw + 2;
	w->ss_ad = p[0] >> 9 & 1;
	w->wpe = p[2] >> 4 & 1;
	w->eafe = p[2] >> 7 & 1;
	switch (pgtt) {
	case 1:
		return fs_walk(w, q->addr, p[2] & ~UINT64_C(0xfff), fslevels, q->write, out, NULL);
	case 2:
		return ss_walk(w, q->addr, q->write ? 'w' : 'r', out);
	case 4:
		if (q->addr >> w->n->haw)
			return 0x83;
		*out = (struct leaf){.pa = q->addr, .lg2 = 0, .r = true, .w = true};
		return 0;
	}
	w->nested = true;
	err = fs_walk(w, q->addr, p[2] & ~UINT64_C(0xfff), fslevels, q->write, &fs, &ss);
	if (err)
		return err;
	*out = ss;
	out->lg2 = fs.lg2 < ss.lg2 ? fs.lg2 : ss.lg2;
	out->w = fs.w && ss.w;
	return 0;
}

void naive_translate(struct naive_vtd *n, const struct naive_req *q, struct naive_res *res)
{
	struct walk w = {.n = n, .res = res};
	struct leaf leaf = {0};
	unsigned int ttm = n->rtaddr >> 10 & 3;

	*res = (struct naive_res){0};
	w.scalable = ttm == 1;
	res->maybe = 0;
	res->fault = ttm == 0 ? legacy(&w, q, &leaf) : ttm == 1 ? scalable(&w, q, &leaf) : 0x30;
	res->silent = res->fault && w.fpd;
	if (res->fault)
		return;
	res->pa = leaf.pa;
	res->lg2 = leaf.lg2;
	res->r = leaf.r;
	res->w = leaf.w;
}
