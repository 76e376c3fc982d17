/* SPDX-License-Identifier: BSD-3-Clause */
#include "naive_smmuv3.h"

#include <string.h>

typedef uint64_t u64;

enum { C_BAD_STREAMID = 2, F_STE_FETCH = 3, C_BAD_STE = 4, F_STREAM_DISABLED = 6, C_BAD_SUBSTREAMID = 8, F_CD_FETCH = 9,
       C_BAD_CD = 10, F_WALK_EABT = 11, F_TRANSLATION = 16, F_ADDR_SIZE = 17, F_ACCESS = 18, F_PERMISSION = 19 };
enum { CD = 0, TT = 1, IN = 2 };

struct stage { /* one translation table and what governs its walk */
	unsigned int page;   /* 12, 14, 16 */
	unsigned int tsz;
	int start;	     /* lookup level, -1 to 3 */
	bool ds;
	u64 table;
	unsigned int oa;     /* output address bits */
	bool ha, hd, affd;
	bool big;	     /* endian */
};

struct walk {
	struct naive_smmu *n;
	const struct naive_smmu_req *q;
	struct naive_smmu_res *res;
	bool s1, s2;	     /* which stages translate */
	struct stage two;
	bool ptw, fwb;
	bool el2;	     /* one privilege level, one table */
	bool priv, inst;     /* after the STE's overrides */
	/* of the CD's half in use */
	struct stage one;
	bool had, wxn, pan, epan;
};

static bool load(struct walk *w, u64 pa, u64 *v)
{
	if (pa < w->n->base || pa - w->n->base > w->n->len - 8)
		return false;
	if (w->res->nwords < 128)
		w->res->word[w->res->nwords++] = pa;
	memcpy(v, w->n->image + (pa - w->n->base), 8);
	return true;
}

static u64 peek(struct walk *w, u64 pa)
{
	u64 v;

	memcpy(&v, w->n->image + (pa - w->n->base), 8);
	return v;
}

static void poke(struct walk *w, u64 pa, u64 v)
{
	memcpy(w->n->image + (pa - w->n->base), &v, 8);
}

/* A descriptor as its table has it, and as it means. */
static u64 turned(const struct stage *s, u64 v)
{
	return s->big ? __builtin_bswap64(v) : v;
}

/* Bits hi..lo of v, as a number. */
static u64 num(u64 v, unsigned int hi, unsigned int lo)
{
	return (v >> lo) & (UINT64_MAX >> (63 - (hi - lo)));
}

static bool bit(u64 v, unsigned int n)
{
	return v >> n & 1;
}

/* v with only bits hi..lo kept, in place. */
static u64 keep(u64 v, unsigned int hi, unsigned int lo)
{
	return hi < lo ? 0 : num(v, hi, lo) << lo;
}

static int config_fault(struct walk *w, int event, u64 fetch)
{
	w->res->fault = (struct naive_smmu_fault){.event = event, .fetch = fetch};
	return -1;
}

static struct naive_smmu_fault make(int event, int stage, int cls, u64 ipa, u64 fetch, bool ttwrite)
{
	return (struct naive_smmu_fault){
		.event = event, .stage = stage, .cls = cls, .ipa = ipa, .fetch = fetch, .ttwrite = ttwrite};
}

/* ---- tables, D8.2 and D8.3 ---- */

/* Address bits that a lookup at `level` consumes, lowest one: D8-16, D8-26, D8-35. */
static unsigned int level_lsb(const struct stage *s, int level)
{
	return s->page + (unsigned int)(3 - level) * (s->page - 3);
}

/* How far up the index goes: to the next lookup's bits, or at the first lookup to the end of the input. */
static u64 entry_address(const struct stage *s, int level, u64 table, u64 ia)
{
	unsigned int lsb = level_lsb(s, level), msb = lsb + (s->page - 3) - 1, top = 64 - s->tsz - 1;

	if (level == s->start)
		msb = top;
	return table + 8 * num(ia, msb, lsb);
}

/* D8.2.5.2 and IHI 0070 CD.TTB0: aligned to the first table's whole size, at least 64 bytes where 52 bits are in play. */
static u64 aligned_base(const struct stage *s, u64 base)
{
	unsigned int index = 64 - s->tsz - level_lsb(s, s->start), align = index + 3;

	if (s->oa == 52 && align < 6)
		align = 6;
	return keep(base, 51, align);
}

static bool block_allowed(const struct naive_smmu *n, const struct stage *s, int level)
{
	switch (s->page) {
	case 12:
		return level == 2 || level == 1 || (level == 0 && s->ds);
	case 14:
		return level == 2 || (level == 1 && s->ds);
	default:
		return level == 2 || (level == 1 && n->oas == 52);
	}
}

/* The address in a descriptor, bits below `lsb` not counted: D8-50, D8-52. */
static u64 descriptor_address(const struct naive_smmu *n, const struct stage *s, u64 d, unsigned int lsb)
{
	if (s->page == 16) {
		u64 a = keep(d, 47, lsb);

		return n->oas == 52 ? a | num(d, 15, 12) << 48 : a;
	}
	if (s->ds)
		return keep(d, 49, lsb) | num(d, 9, 8) << 50;
	return keep(d, 47, lsb);
}

/* D8-104. 0: no group. */
static unsigned int contiguous_lg2(const struct stage *s, int level)
{
	if (s->page == 12)
		return level == 3 ? 16 : level == 2 ? 25 : level == 1 ? 34 : 0;
	if (s->page == 14)
		return level == 3 ? 21 : level == 2 ? 30 : 0;
	return level == 3 ? 21 : level == 2 ? 34 : 0;
}

struct leaf {
	u64 desc_at, desc, pa;
	unsigned int lg2;
	bool r, w, x;
	bool clean;	 /* writable-clean */
};

/* The size that a cache may use for this leaf: the group only where every member would say the same (our choice). */
static unsigned int leaf_lg2(const struct stage *s, int level, u64 d, u64 ia, u64 base)
{
	unsigned int size = level_lsb(s, level), big = contiguous_lg2(s, level);

	if (!bit(d, 52) || big == 0 || big > 64 - s->tsz || big > s->oa)
		return size;
	if (num(base, big - 1, size) != num(ia, big - 1, size))
		return size;
	return big;
}

/* ---- stage 2 ---- */

/*
 * need: 'r', 'w', 'a' (both), 'x'; 'w' on behalf of a descriptor update too. update: make the hardware updates. 0 or -1 with *f.
 */
static int stage2(struct walk *w, u64 ipa, char need, int cls, bool update, struct leaf *out, struct naive_smmu_fault *f)
{
	const struct stage *s = &w->two;
	u64 table = s->table, d, at, base;
	bool ttwrite = cls == TT && need == 'w', want_w = need == 'w' || need == 'a', x1, x0, device;
	int level;

	if (s->tsz > 0 && ipa >> (64 - s->tsz)) {
		*f = make(F_TRANSLATION, 2, cls, ipa, 0, ttwrite);
		return -1;
	}
	for (level = s->start;; level++) {
		at = entry_address(s, level, table, ipa);
		if (!load(w, at, &d)) {
			*f = make(F_WALK_EABT, 2, cls, ipa, at, ttwrite);
			return -1;
		}
		d = turned(s, d);
		if (!bit(d, 0) || (level == 3 && !bit(d, 1)) ||
		    (level < 3 && !bit(d, 1) && !block_allowed(w->n, s, level))) {
			*f = make(F_TRANSLATION, 2, cls, ipa, 0, ttwrite);
			return -1;
		}
		if (level == 3 || !bit(d, 1))
			break;
		table = descriptor_address(w->n, s, d, s->page);
		if (s->oa < 52 && table >> s->oa) {
			*f = make(F_ADDR_SIZE, 2, cls, ipa, 0, ttwrite);
			return -1;
		}
	}
	base = descriptor_address(w->n, s, d, level_lsb(s, level));
	if (s->oa < 52 && base >> s->oa) {
		*f = make(F_ADDR_SIZE, 2, cls, ipa, 0, ttwrite);
		return -1;
	}
	if (!bit(d, 10) && !s->ha && !s->affd) {
		*f = make(F_ACCESS, 2, cls, ipa, 0, ttwrite);
		return -1;
	}
	out->r = bit(d, 6);
	out->clean = !bit(d, 7) && s->hd && s->ha && bit(d, 51);
	out->w = bit(d, 7) || out->clean;
	/* D8-78: XN[1] is bit 54, XN[0] bit 53 */
	x1 = !bit(d, 54); /* at EL1 */
	x0 = !bit(d, 54);
	if (w->n->xnx && bit(d, 53)) {
		x1 = bit(d, 54);
		x0 = !bit(d, 54);
	}
	out->x = w->priv ? x1 : x0;
	/* D8-100; without FWB, MemAttr[3:2] of 0 is Device */
	device = w->fwb ? !bit(d, 4) : num(d, 5, 4) == 0;
	if ((need == 'x' && !out->x) || ((need == 'r' || need == 'a') && !out->r) || (want_w && !out->w) ||
	    (cls != IN && w->ptw && device)) {
		*f = make(F_PERMISSION, 2, cls, ipa, 0, ttwrite);
		f->reads = need == 'a' && !out->r && out->w;
		return -1;
	}
	if (update && s->ha) {
		u64 now = turned(s, peek(w, at)) | UINT64_C(1) << 10;

		if (want_w && out->clean)
			now |= 1 << 7;
		poke(w, at, turned(s, now));
	}
	out->desc_at = at;
	out->desc = d;
	out->pa = base | keep(ipa, level_lsb(s, level) - 1, 0);
	out->lg2 = leaf_lg2(s, level, d, ipa, base);
	return 0;
}

/* ---- stage 1 ---- */

static char need_of(const struct walk *w)
{
	if (w->q->write)
		return w->q->read ? 'a' : 'w';
	return w->inst ? 'x' : 'r';
}

static int give(struct walk *w, struct naive_smmu_fault f)
{
	w->res->fault = f;
	return -1;
}

/* D8.4.1.2: what the privilege of this request may do. */
static void rights1(const struct walk *w, u64 d, unsigned int aptable, bool uxntable, bool pxntable, struct leaf *o)
{
	bool ap2 = bit(d, 7), ap1 = bit(d, 6), uxn, pxn, pw, uw, ur, px, ux;

	o->clean = ap2 && w->one.ha && w->one.hd && bit(d, 51) && !(aptable & 2);
	if (o->clean)
		ap2 = false;
	if (w->el2) {
		o->r = true;
		o->w = !ap2 && !(aptable & 2);
		o->x = !bit(d, 54) && !uxntable && !(w->wxn && o->w);
		return;
	}
	uxn = bit(d, 54) || uxntable;
	pxn = bit(d, 53) || pxntable;
	ur = ap1 && !(aptable & 1);
	pw = !ap2 && !(aptable & 2);
	uw = pw && ur;
	px = !pxn && !uw && !(w->wxn && pw);
	ux = !uxn && !(w->wxn && uw);
	if (w->priv) {
		bool never = w->pan && (ur || (w->epan && ux));

		o->r = !never;
		o->w = pw && !never;
		o->x = px;
	} else {
		o->r = ur;
		o->w = uw;
		o->x = ux;
	}
}

static int stage1(struct walk *w, u64 va, struct leaf *out)
{
	const struct stage *s = &w->one;
	unsigned int aptable = 0;
	bool uxntable = false, pxntable = false, due;
	u64 table = s->table, d, at, ipa_at, base, want;
	struct naive_smmu_fault f = {0}, f2 = {0};
	struct leaf one = {0}, two = {0}, tmp;
	char need = need_of(w);
	int level;

	for (level = s->start;; level++) {
		at = ipa_at = entry_address(s, level, table, va);
		if (w->s2) {
			if (stage2(w, ipa_at, 'r', TT, true, &tmp, &f))
				return give(w, f);
			at = tmp.pa;
		}
		if (!load(w, at, &d))
			return give(w, make(F_WALK_EABT, 1, TT, 0, at, false));
		d = turned(s, d);
		if (!bit(d, 0) || (level == 3 && !bit(d, 1)) ||
		    (level < 3 && !bit(d, 1) && !block_allowed(w->n, s, level)))
			return give(w, make(F_TRANSLATION, 1, IN, 0, 0, false));
		if (level == 3 || !bit(d, 1))
			break;
		table = descriptor_address(w->n, s, d, s->page);
		if (s->oa < 52 && table >> s->oa)
			return give(w, make(F_ADDR_SIZE, 1, IN, 0, 0, false));
		if (!w->had) {
			aptable |= (unsigned int)num(d, 62, 61);
			uxntable |= bit(d, 60);
			pxntable |= bit(d, 59);
		}
	}
	base = descriptor_address(w->n, s, d, level_lsb(s, level));
	if (s->oa < 52 && base >> s->oa)
		return give(w, make(F_ADDR_SIZE, 1, IN, 0, 0, false));
	if (!bit(d, 10) && !s->ha && !s->affd)
		return give(w, make(F_ACCESS, 1, IN, 0, 0, false));
	rights1(w, d, aptable, uxntable, pxntable, &one);
	if ((need == 'x' && !one.x) || ((need == 'r' || need == 'a') && !one.r) ||
	    ((need == 'w' || need == 'a') && !one.w))
		return give(w, make(F_PERMISSION, 1, IN, 0, 0, false));
	one.pa = base | keep(va, level_lsb(s, level) - 1, 0);
	one.lg2 = leaf_lg2(s, level, d, va, base);
	w->res->global = !w->el2 && !bit(d, 11);
	want = d;
	if (s->ha)
		want |= UINT64_C(1) << 10;
	if ((need == 'w' || need == 'a') && one.clean)
		want &= ~UINT64_C(0x80);
	due = want != d;
	/* The page's stage 2 and the descriptor's may both refuse: either may be reported (RLXCKP). */
	if (w->s2) {
		bool bad1 = stage2(w, one.pa, need, IN, false, &two, &f);
		bool bad2 = due && stage2(w, ipa_at, 'w', TT, false, &tmp, &f2);

		if (bad1 || bad2) {
			w->res->fault = bad1 ? f : f2;
			if (bad1 && bad2)
				w->res->maybe = f2;
			return -1;
		}
		stage2(w, one.pa, need, IN, true, &two, &f);
		if (due)
			stage2(w, ipa_at, 'w', TT, true, &tmp, &f2);
	}
	if (due)
		poke(w, at, turned(s, want));
	*out = one;
	if (w->s2) {
		out->pa = two.pa;
		out->lg2 = one.lg2 < two.lg2 ? one.lg2 : two.lg2;
		out->r = one.r && two.r;
		out->w = one.w && two.w;
		out->x = one.x && two.x;
	}
	return 0;
}

/* ---- configuration ---- */

static unsigned int size_bits(unsigned int code, unsigned int oas)
{
	static const unsigned int of[8] = {32, 36, 40, 42, 44, 48, 52, 52};

	return of[code] < oas ? of[code] : oas;
}

static bool granule(const struct naive_smmu *n, unsigned int page)
{
	return (page == 12 && n->gran4) || (page == 14 && n->gran16) || (page == 16 && n->gran64);
}

static unsigned int tg0_page(unsigned int tg)
{
	return tg == 0 ? 12 : tg == 1 ? 16 : tg == 2 ? 14 : 0;
}

static unsigned int tg1_page(unsigned int tg)
{
	return tg == 1 ? 14 : tg == 2 ? 12 : tg == 3 ? 16 : 0;
}

/* D8-18, D8-28, D8-37. */
int naive_smmu_start1(unsigned int page, unsigned int tsz)
{
	if (page == 12)
		return tsz <= 15 ? -1 : tsz <= 24 ? 0 : tsz <= 33 ? 1 : tsz <= 42 ? 2 : 3;
	if (page == 14)
		return tsz <= 16 ? 0 : tsz <= 27 ? 1 : tsz <= 38 ? 2 : 3;
	return tsz <= 21 ? 1 : tsz <= 34 ? 2 : 3;
}

/* D8-19 to D8-24, D8-29 to D8-33, D8-38 to D8-41. -2: inconsistent. */
int naive_smmu_start2(const struct naive_smmu *n, unsigned int page, unsigned int tsz, unsigned int sl0, bool sl2, bool ds)
{
	if (page == 12) {
		if (ds && sl2)
			return sl0 == 0 && tsz >= 12 && tsz <= 15 ? -1 : -2;
		switch (sl0) {
		case 0:
			return tsz >= 30 && tsz <= (n->stt ? 42 : 39) ? 2 : -2;
		case 1:
			return tsz >= 21 && tsz <= 33 ? 1 : -2;
		case 2:
			return tsz >= (ds ? 12 : 16) && tsz <= 24 ? 0 : -2;
		default:
			return n->stt && tsz >= 39 && tsz <= 48 ? 3 : -2;
		}
	}
	if (page == 14) {
		switch (sl0) {
		case 0:
			return tsz >= 35 && tsz <= (n->stt ? 48 : 39) ? 3 : -2;
		case 1:
			return tsz >= 24 && tsz <= 38 ? 2 : -2;
		case 2:
			return tsz >= (ds ? 13 : 16) && tsz <= 27 ? 1 : -2;
		default: /* table D8-30 asks for DS only; the architecture's pseudocode also for 52-bit addresses */
			return ds && n->oas == 52 && tsz >= 12 && tsz <= 16 ? 0 : -2;
		}
	}
	switch (sl0) {
	case 0:
		return tsz >= 31 && tsz <= (n->stt ? 47 : 39) ? 3 : -2;
	case 1:
		return tsz >= 18 && tsz <= 34 ? 2 : -2;
	case 2:
		return tsz >= 12 && tsz <= 21 ? 1 : -2;
	default:
		return -2;
	}
}

static unsigned int max_tsz(const struct naive_smmu *n, unsigned int page)
{
	return !n->stt ? 39 : page == 16 ? 47 : 48;
}

/* 5.2.2. 0 or -1. */
static int ste_stage2(struct walk *w, const u64 *ste)
{
	struct naive_smmu *n = w->n;
	struct stage *s = &w->two;
	unsigned int min, ias = n->oas;
	u64 ttb = keep(ste[3], 51, 4);

	s->page = tg0_page((unsigned int)num(ste[2], 47, 46));
	if (s->page == 0 || !granule(n, s->page))
		return -1;
	s->big = bit(ste[2], 52); /* S2ENDI */
	if (!bit(ste[2], 51) || (s->big && !n->big_endian)) /* S2AA64 */
		return -1;
	s->ds = n->ds && s->page != 16 && bit(ste[3], 3);
	s->tsz = (unsigned int)num(ste[2], 37, 32);
	s->oa = size_bits((unsigned int)num(ste[2], 50, 48), n->oas);
	min = s->page == 16 || s->ds ? 12 : 16;
	if (min < 64 - ias)
		min = 64 - ias;
	if (s->tsz < min || s->tsz > max_tsz(n, s->page))
		return -1;
	s->start = naive_smmu_start2(n, s->page, s->tsz, (unsigned int)num(ste[2], 39, 38), bit(ste[3], 2), s->ds);
	if (s->start == -2)
		return -1;
	if ((s->oa < 52 && ttb >> s->oa) || (s->page != 16 && !s->ds && ttb >> 48))
		return -1;
	s->hd = bit(ste[2], 55);
	s->ha = bit(ste[2], 56);
	if ((n->httu == 0 && (s->ha || s->hd)) || (n->httu == 1 && s->hd))
		return -1;
	s->affd = bit(ste[2], 53);
	s->table = aligned_base(s, ttb);
	w->ptw = bit(ste[2], 54);
	w->fwb = n->fwb && bit(ste[1], 25);
	return 0;
}

static bool tsz_bad(const struct naive_smmu *n, unsigned int page, unsigned int tsz, bool ds)
{
	return tsz > max_tsz(n, page) || tsz < (n->vax && (page == 16 || ds) ? 12u : 16u);
}

/* 5.4.2, for one half. */
static bool half_bad(const struct naive_smmu *n, unsigned int page, unsigned int tsz, bool ds, u64 ttb, unsigned int oa)
{
	return page == 0 || !granule(n, page) || tsz_bad(n, page, tsz, ds && page != 16) || (oa < 52 && ttb >> oa) ||
	       (page != 16 && !ds && ttb >> 48);
}

/* 1: translate with w->one; 0: the CD is fine but the address is refused; -1: illegal. */
static int cd_decode(struct walk *w, const u64 *cd, u64 *va)
{
	struct naive_smmu *n = w->n;
	struct stage *s = &w->one;
	bool ds = n->ds && bit(cd[2], 58), epd0 = !w->el2 && bit(cd[0], 14), epd1 = w->el2 || bit(cd[0], 30), high, tbi;
	unsigned int page0 = tg0_page((unsigned int)num(cd[0], 7, 6)), page1 = tg1_page((unsigned int)num(cd[0], 23, 22));
	unsigned int t0 = (unsigned int)num(cd[0], 5, 0), t1 = (unsigned int)num(cd[0], 21, 16);
	u64 ttb0 = keep(cd[1], 51, 4), ttb1 = keep(cd[2], 51, 4), top;

	s->oa = size_bits((unsigned int)num(cd[0], 34, 32), n->oas);
	s->ha = bit(cd[0], 43);
	s->hd = bit(cd[0], 42);
	if (!bit(cd[0], 31) || !bit(cd[0], 41) || !bit(cd[0], 46)) /* V, AA64, A */
		return -1;
	s->big = bit(cd[0], 15); /* ENDI */
	if (s->big && !n->big_endian && (!epd0 || !epd1))
		return -1;
	if ((n->httu == 0 && (s->ha || s->hd)) || (n->httu == 1 && s->hd))
		return -1;
	if (!w->el2 && !n->asid16 && num(cd[0], 63, 56))
		return -1;
	if ((!epd0 && half_bad(n, page0, t0, ds, ttb0, s->oa)) || (!epd1 && half_bad(n, page1, t1, ds, ttb1, s->oa)))
		return -1;
	high = bit(*va, 55);
	if (w->el2 && high)
		return 0;
	if (high ? epd1 : epd0)
		return 0;
	if (!w->el2 && n->e0pd && !w->priv && bit(high ? cd[2] : cd[1], 2))
		return 0;
	s->page = high ? page1 : page0;
	s->tsz = high ? t1 : t0;
	s->ds = ds && s->page != 16;
	tbi = bit(cd[0], high ? 39 : 38);
	if (tbi)
		*va = high ? *va | UINT64_C(0xff) << 56 : *va & ~(UINT64_C(0xff) << 56);
	top = *va >> (64 - s->tsz);
	if (s->tsz && top != (high ? UINT64_MAX >> (64 - s->tsz) : 0))
		return 0;
	s->start = naive_smmu_start1(s->page, s->tsz);
	s->affd = bit(cd[0], 35);
	s->table = aligned_base(s, high ? ttb1 : ttb0);
	w->had = n->had && bit(high ? cd[2] : cd[1], 1);
	w->wxn = bit(cd[0], 36);
	w->pan = !w->el2 && bit(cd[0], 40);
	w->epan = n->epan && bit(cd[1], 59);
	return 1;
}

/* 3.3.1, 5.1: where the STE lies. 0 or -1. */
static int find_ste(struct walk *w, u64 *at)
{
	struct naive_smmu *n = w->n;
	unsigned int sid = w->q->sid, span;
	u64 l1;

	if (sid >> n->log2size)
		return config_fault(w, C_BAD_STREAMID, 0);
	if (!n->split) {
		*at = n->strtab + 64 * (u64)sid;
		return 0;
	}
	*at = n->strtab + 8 * (u64)(sid >> n->split);
	if (!load(w, *at, &l1))
		return config_fault(w, F_STE_FETCH, *at);
	span = (unsigned int)num(l1, 4, 0);
	sid &= (1u << n->split) - 1;
	if (span == 0 || span > n->split + 1 || sid >= 1u << (span - 1))
		return config_fault(w, C_BAD_STREAMID, 0);
	*at = keep(l1, 55, 6 + span - 1) + 64 * (u64)sid;
	if (*at >> n->oas)
		return config_fault(w, F_STE_FETCH, keep(*at, n->oas - 1, 0)); /* 7.3: no more bits than addresses have */
	return 0;
}

/* 3.3.2: a word of the CD table, which under nesting lies at an intermediate address. *pa: where it was read. 0 or -1. */
static int load_cd_word(struct walk *w, u64 addr, u64 *pa, u64 *v)
{
	struct naive_smmu_fault f;
	struct leaf two;

	*pa = addr;
	if (w->s2) {
		if (stage2(w, addr, 'r', CD, true, &two, &f))
			return give(w, f);
		*pa = two.pa;
	}
	return load(w, *pa, v) ? 0 : config_fault(w, F_CD_FETCH, *pa);
}

/* Where the CD of a SubstreamID lies, for the owner of the table. 0 or -1. */
static int find_cd(struct walk *w, u64 ste0, unsigned int cdmax, u64 ssid, u64 *at)
{
	const unsigned int fmt = cdmax ? (unsigned int)num(ste0, 5, 4) : 0, split = fmt == 1 ? 6 : 10;
	unsigned int lg2 = cdmax > split ? cdmax - split + 3 : 3;
	u64 l1, pa;

	/* A table is aligned to its size; address bits below it are RES0, and taken for 0 (S1Fmt). */
	if (fmt == 0 || fmt == 3) {
		*at = keep(ste0, 55, 6 + cdmax) + 64 * ssid;
		return 0;
	}
	if (load_cd_word(w, keep(ste0, 55, lg2 < 6 ? 6 : lg2) + 8 * (ssid >> split), &pa, &l1))
		return -1;
	*at = keep(l1, 55, split == 10 ? 16 : 12);
	if (!bit(l1, 0) || *at >> w->n->oas)
		return config_fault(w, C_BAD_SUBSTREAMID, 0);
	*at += 64 * (ssid & ((1u << split) - 1));
	return 0;
}

static int translate(struct walk *w, struct leaf *out)
{
	struct naive_smmu *n = w->n;
	const struct naive_smmu_req *q = w->q;
	u64 ste[8], cd[8], at, va = q->addr, ssid = 0, pa;
	unsigned int i, config, cdmax, dss;
	struct naive_smmu_fault f;
	int r;

	if (find_ste(w, &at))
		return -1;
	for (i = 0; i < 8; i++)
		if (!load(w, at + 8 * i, &ste[i]))
			return config_fault(w, F_STE_FETCH, at);
	config = (unsigned int)num(ste[0], 3, 1);
	if (!bit(ste[0], 0))
		return config_fault(w, C_BAD_STE, 0);
	if (config < 4) { /* abort, nothing recorded */
		w->res->fault.event = -1;
		return -1;
	}
	w->s1 = config & 1;
	w->s2 = config & 2;
	if ((w->s1 && !n->s1) || (w->s2 && !n->s2))
		return config_fault(w, C_BAD_STE, 0);
	w->priv = q->priv;
	w->inst = q->exec;
	if (n->perms_ovr) {
		if (num(ste[1], 49, 48) >= 2)
			w->priv = bit(ste[1], 48);
		if (num(ste[1], 51, 50) >= 2)
			w->inst = bit(ste[1], 50);
	}
	if (q->write)
		w->inst = false;
	if (w->s1 && !w->s2 && n->hyp) {
		unsigned int strw = (unsigned int)num(ste[1], 31, 30);

		if (strw & 1)
			return config_fault(w, C_BAD_STE, 0);
		w->el2 = strw == 2 && !n->e2h;
	}
	cdmax = (unsigned int)num(ste[0], 63, 59);
	if (w->s1 && n->ssid_bits && cdmax > n->ssid_bits)
		return config_fault(w, C_BAD_STE, 0);
	if (w->s1 && n->ssid_bits && cdmax && !n->cd_2level && (num(ste[0], 5, 4) == 1 || num(ste[0], 5, 4) == 2))
		return config_fault(w, C_BAD_STE, 0);
	if (w->s1 && n->oas < 56 && num(ste[0], 55, 6) << 6 >> n->oas)
		return config_fault(w, C_BAD_STE, 0);
	if (w->s2 && ste_stage2(w, ste))
		return config_fault(w, C_BAD_STE, 0);
	/* 5.2.2, IgnoreSTES2VMID() */
	if (n->s2 && !n->vmid16 && (w->s1 || w->s2) && num(ste[2], 15, 8) &&
	    (w->s2 || !n->hyp || num(ste[1], 31, 30) == 0))
		return config_fault(w, C_BAD_STE, 0);
	if (w->s1) {
		if (q->with_ssid && (n->ssid_bits == 0 || cdmax == 0 || q->ssid >> cdmax))
			return config_fault(w, C_BAD_SUBSTREAMID, 0);
		if (n->ssid_bits == 0)
			cdmax = 0;
		dss = (unsigned int)num(ste[1], 1, 0);
		if (q->with_ssid)
			ssid = q->ssid;
		if (cdmax && !q->with_ssid && (dss == 0 || dss == 3))
			return config_fault(w, F_STREAM_DISABLED, 0);
		if (cdmax && !q->with_ssid && dss == 1)
			w->s1 = false;
		if (cdmax && q->with_ssid && dss == 2 && ssid == 0)
			return config_fault(w, F_STREAM_DISABLED, 0);
	} else if (q->with_ssid) {
		return config_fault(w, C_BAD_SUBSTREAMID, 0);
	}
	if (!w->s1) {
		if (va >> n->oas) {
			w->res->fault = make(F_ADDR_SIZE, 1, IN, 0, 0, false);
			return -1;
		}
		if (!w->s2) {
			*out = (struct leaf){.pa = va, .r = true, .w = true, .x = true};
			return 0;
		}
		if (stage2(w, va, need_of(w), IN, true, out, &f))
			return give(w, f);
		return 0;
	}
	if (find_cd(w, ste[0], cdmax, ssid, &at) || load_cd_word(w, at, &pa, &cd[0]))
		return -1;
	for (i = 1; i < 8; i++)
		if (!load(w, pa + 8 * i, &cd[i]))
			return config_fault(w, F_CD_FETCH, pa);
	r = cd_decode(w, cd, &va);
	if (r < 0)
		return config_fault(w, C_BAD_CD, 0);
	if (r == 0)
		return give(w, make(F_TRANSLATION, 1, IN, 0, 0, false));
	return stage1(w, va, out);
}

void naive_smmu_translate(struct naive_smmu *n, const struct naive_smmu_req *q, struct naive_smmu_res *res)
{
	struct walk w = {.n = n, .q = q, .res = res};
	struct leaf leaf = {0};

	*res = (struct naive_smmu_res){0};
	if (translate(&w, &leaf))
		return;
	res->pa = leaf.pa;
	res->lg2 = leaf.lg2;
	res->r = leaf.r;
	res->w = leaf.w;
	res->x = leaf.x;
}
