/* SPDX-License-Identifier: BSD-3-Clause */
/* Random STEs, CDs and tables for one address. */
#include "prop_walk_smmuv3.h"

uint64_t rnd(struct world *w, uint64_t n)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	if (w->calls++ < NTAPE && w->zero[w->calls - 1])
		return 0;
	return (w->rng * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

uint64_t rnd64(struct world *w)
{
	return rnd(w, UINT64_C(1) << 32) << 32 | rnd(w, UINT64_C(1) << 32);
}

bool chance(struct world *w, unsigned int one_in)
{
	return rnd(w, one_in) == 0;
}

bool put(struct world *w, uint64_t pa, uint64_t v)
{
	if (w->nlog == NLOG)
		return false;
	w->log[w->nlog++] = pa - w->base;
	memcpy(w->ram + (pa - w->base), &v, 8);
	memcpy(w->image + (pa - w->base), &v, 8);
	return true;
}

static uint64_t low(unsigned int n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* 2^lg2 bytes of memory, aligned to themselves; 0: none left. */
static uint64_t room(struct world *w, unsigned int lg2, enum cls cls)
{
	uint64_t at, p;

	if (lg2 < 12)
		lg2 = 12;
	at = (w->next + low(lg2)) & ~low(lg2);
	if (at + (UINT64_C(1) << lg2) > QUEUE)
		return 0;
	w->next = at + (UINT64_C(1) << lg2);
	for (p = at / 4096; p < w->next / 4096; p++)
		w->cls[p] = (uint8_t)cls;
	return w->base + at;
}

/* ---- tables ---- */

static unsigned int lsb_of(const struct shape *s, int level)
{
	return s->page + (unsigned int)(3 - level) * (s->page - 3);
}

/* lg2 of the first lookup's table */
static unsigned int root_lg2(const struct shape *s)
{
	unsigned int n = 64 - s->tsz - lsb_of(s, s->start) + 3;

	return s->oa == 52 && n < 6 ? 6 : n;
}

static uint64_t offset_of(const struct shape *s, int level, uint64_t ia)
{
	uint64_t index = (ia & low(64 - s->tsz)) >> lsb_of(s, level);

	return 8 * (level == s->start ? index : index & low(s->page - 3));
}

static unsigned int widest(const struct shape *s)
{
	return s->page == 16 || s->ds ? s->oa : s->oa < 48 ? s->oa : 48;
}

/* An address in a descriptor. */
static uint64_t addressed(const struct shape *s, uint64_t a)
{
	if (s->page == 16)
		return (a & BITS(47, 16)) | (a >> 48 & 15) << 12;
	if (s->ds)
		return (a & BITS(49, 12)) | (a >> 50 & 3) << 8;
	return a & BITS(47, 12);
}

/* The address that `addressed` put there. */
static uint64_t next_table(const struct shape *s, uint64_t d)
{
	if (s->page == 16)
		return (d & BITS(47, 16)) | (d >> 12 & 15) << 48;
	if (s->ds)
		return (d & BITS(49, 12)) | (d >> 8 & 3) << 50;
	return d & BITS(47, 12);
}

static int leaf_level(struct world *w, const struct shape *s)
{
	int min = s->page == 12 ? 1 - s->ds : s->page == 14 ? 2 - s->ds : w->caps.oas == 52 ? 1 : 2;

	if (min < s->start)
		min = s->start;
	return chance(w, 2) ? 3 : min + (int)rnd(w, (uint64_t)(4 - min));
}

static unsigned int group_lg2(const struct shape *s, int level)
{
	if (s->page == 12)
		return level >= 1 ? lsb_of(s, level) + 4 : 0;
	if (s->page == 14)
		return level == 3 ? 21 : level == 2 ? 30 : 0;
	return level >= 2 ? lsb_of(s, level) + 5 : 0;
}

/* A leaf for ia at `at`, sometimes as one of a whole contiguous group. */
static bool put_leaf(struct world *w, const struct shape *s, int level, uint64_t at, uint64_t ia, uint64_t oa, uint64_t attr)
{
	unsigned int lsb = lsb_of(s, level), big = group_lg2(s, level), i, n;
	uint64_t d = attr | (level == 3 ? 3 : 1);

	oa &= ~low(lsb);
	if (!big && chance(w, 4))
		d |= BIT(52); /* RES0 here */
	if (!big || big > 64 - s->tsz || big > s->oa || !chance(w, 6))
		return put(w, at, turned(s, d | addressed(s, oa)));
	n = 1u << (big - lsb);
	at &= ~(uint64_t)(8 * n - 1);
	oa &= ~low(big);
	(void)ia;
	for (i = 0; i < n; i++)
		if (get(w, at + 8 * i) || !put(w, at + 8 * i, turned(s, d | BIT(52) | addressed(s, oa + ((uint64_t)i << lsb)))))
			return false;
	return true;
}

static uint64_t s2_attr(struct world *w)
{
	uint64_t d = chance(w, 20) ? rnd(w, 4) << 6 : 3 << 6;

	d |= chance(w, 8) ? rnd(w, 16) << 2 : 15 << 2;
	if (!chance(w, w->ha2 ? 3 : 40))
		d |= BIT(10);
	if (chance(w, w->ha2 ? 3 : 20)) { /* writable-clean */
		d |= BIT(51);
		d &= ~BIT(7);
	}
	if (chance(w, 8))
		d |= rnd(w, 4) << 53;
	if (chance(w, 2))
		d |= rnd64(w) & (BITS(63, 59) | BITS(58, 55) | BIT(11));
	return d;
}

static uint64_t s1_attr(struct world *w)
{
	uint64_t d = chance(w, 8) ? rnd(w, 4) << 6 : 1 << 6;

	if (!chance(w, w->ha1 ? 3 : 20))
		d |= BIT(10);
	if (chance(w, w->ha1 ? 2 : 10))
		d |= BIT(51) | BIT(7);
	if (chance(w, 4))
		d |= rnd(w, 4) << 53;
	if (chance(w, 2))
		d |= BIT(11);
	if (chance(w, 2))
		d |= rnd64(w) & (BITS(63, 59) | BITS(58, 55) | BIT(50) | BITS(5, 2));
	return d;
}

/* DS has address bits where SH would stand, so only there the noise may not go. */
static uint64_t table_noise(struct world *w, const struct shape *s)
{
	return chance(w, 2) ? rnd64(w) & (BITS(58, 51) | BITS(11, 10) | BITS(7, 2) | (s->ds ? 0 : BITS(9, 8))) : 0;
}

static bool map2(struct world *w, uint64_t ipa, uint64_t pa, int leaf)
{
	const struct shape *s = &w->two;
	uint64_t table = s->root, at, d;
	int level;

	if (leaf < s->start)
		leaf = s->start;
	for (level = s->start; level < leaf; level++) {
		at = table + offset_of(s, level, ipa);
		d = turned(s, get(w, at));
		if (d == 0) {
			table = room(w, s->page, S2);
			if (!table || !put(w, at, turned(s, addressed(s, table) | table_noise(w, s) | 3)))
				return false;
		} else if ((d & 3) == 3) {
			table = next_table(s, d);
		} else {
			return false;
		}
	}
	at = table + offset_of(s, leaf, ipa);
	if (get(w, at))
		return false;
	/* a block of tables must not have the tables' neighbours elsewhere, so those are always pages */
	return put_leaf(w, s, leaf, at, ipa, pa, s2_attr(w));
}

/* A random intermediate address for something of 2^lg2 bytes. */
static uint64_t random_ipa(struct world *w, unsigned int lg2)
{
	unsigned int bits = 64 - w->two.tsz;

	if (bits > widest(&w->one) && w->s1)
		bits = widest(&w->one);
	return rnd64(w) & low(bits) & ~low(lg2);
}

/*
 * Memory for the 2^lg2 bytes around offset `off` of a structure; *pa is where that offset lies. Returns the structure's address for
 * its owner; 0: no luck.
 */
static uint64_t place(struct world *w, unsigned int lg2, uint64_t off, enum cls cls, uint64_t *pa)
{
	unsigned int page = w->two.page;
	uint64_t at, owner;

	if (!w->s2) {
		at = room(w, lg2, cls);
		*pa = at + off;
		return at;
	}
	at = room(w, page, cls);
	owner = random_ipa(w, lg2);
	if (!at || !owner || !map2(w, owner + off, at, 3))
		return 0;
	*pa = at + ((owner + off) & low(page));
	return owner;
}

static bool build1(struct world *w, uint64_t va)
{
	struct shape *s = &w->one;
	int leaf = leaf_level(w, s), level;
	uint64_t at, next, target, next_at;

	s->root = place(w, root_lg2(s), offset_of(s, s->start, va), S1, &at);
	if (!s->root)
		return false;
	for (level = s->start; level < leaf; level++) {
		uint64_t d = 3 | table_noise(w, s);

		next = place(w, s->page, offset_of(s, level + 1, va), S1, &next_at);
		if (!next)
			return false;
		if (chance(w, 6))
			d |= rnd(w, 16) << 59;
		if (!put(w, at, turned(s, d | addressed(s, next))))
			return false;
		at = next_at;
	}
	if (get(w, at))
		return false;
	target = rnd64(w) & low(widest(s));
	if (w->s2)
		target &= low(64 - w->two.tsz);
	if (!put_leaf(w, s, leaf, at, va, target, s1_attr(w)))
		return false;
	if (!w->s2)
		return true;
	/* what the leaf made of it, in a group too */
	target = next_table(s, turned(s, get(w, at)) & ~(low(lsb_of(s, leaf)) & ~(s->page == 16 ? BITS(15, 12) : s->ds ? BITS(9, 8) : 0)));
	target = (target & ~low(lsb_of(s, leaf))) | (va & low(lsb_of(s, leaf)));
	if (target >> (64 - w->two.tsz))
		return true; /* stage 2 will say so */
	return map2(w, target, rnd64(w) & low(widest(&w->two)), leaf_level(w, &w->two));
}

/* ---- shapes ---- */

static unsigned int pick_page(struct world *w)
{
	for (;;) {
		unsigned int page = 12 + 2 * (unsigned int)rnd(w, 3);

		if (smmu_caps_granule(&w->caps, page))
			return page;
	}
}

static unsigned int size_code(struct world *w, unsigned int at_least)
{
	static const unsigned int bits[8] = {32, 36, 40, 42, 44, 48, 52, 52};
	unsigned int c;

	do
		c = chance(w, 2) ? 5 + (unsigned int)rnd(w, 3) : (unsigned int)rnd(w, 8);
	while (bits[c] < at_least);
	return c;
}

static unsigned int size_of(const struct world *w, unsigned int code)
{
	static const unsigned int bits[8] = {32, 36, 40, 42, 44, 48, 52, 52};

	return bits[code] < w->caps.oas ? bits[code] : w->caps.oas;
}

static void shape2(struct world *w)
{
	struct shape *s = &w->two;
	unsigned int max, min;

	do {
		s->page = pick_page(w);
		s->ds = w->caps.ds && s->page != 16 && chance(w, 2);
		max = !w->caps.stt ? 39 : s->page == 16 ? 47 : 48;
		min = s->page == 16 || s->ds ? 12 : 16;
		if (min < 64u - w->caps.oas)
			min = 64u - w->caps.oas;
		s->tsz = min + (unsigned int)rnd(w, max - min + 1);
		s->sl0 = (unsigned int)rnd(w, 4);
		s->sl2 = s->ds && s->page == 12 && chance(w, 2);
		s->start = naive_smmu_start2(&w->naive, s->page, s->tsz, s->sl0, s->sl2, s->ds);
	} while (s->start == -2);
}

static unsigned int pick_tsz1(struct world *w, unsigned int page, bool ds)
{
	unsigned int max = !w->caps.stt ? 39 : page == 16 ? 47 : 48, min = w->caps.vax52 && (page == 16 || ds) ? 12 : 16;

	return min + (unsigned int)rnd(w, max - min + 1);
}

static uint64_t ste_flags(struct world *w)
{
	uint64_t q = 0;

	if (w->caps.attr_ovr && chance(w, 4))
		q |= rnd(w, 4) << 48;
	if (w->caps.attr_ovr && chance(w, 6))
		q |= rnd(w, 4) << 50;
	if (w->caps.fwb && chance(w, 2))
		q |= BIT(25);
	return q;
}

/* The stream table, linear or of two levels; *ste: where the entry of w->req.sid lies. */
static bool place_ste(struct world *w, uint64_t *ste)
{
	unsigned int split, span, low_sid;
	uint64_t l2;

	w->naive.split = 0;
	w->naive.log2size = 6;
	if (!w->caps.st_2level || chance(w, 2)) {
		w->naive.strtab = room(w, 12, STE);
		*ste = w->naive.strtab + 64 * w->req.sid;
		return true;
	}
	split = 6 + 2 * (unsigned int)rnd(w, 3);
	w->naive.split = split;
	w->naive.log2size = w->caps.sid_bits < 12 ? w->caps.sid_bits : 12;
	w->req.sid = (uint32_t)rnd(w, UINT64_C(1) << w->naive.log2size);
	low_sid = w->req.sid & ((1u << split) - 1);
	w->naive.strtab = room(w, 12, L1STD);
	for (span = 1; low_sid >> (span - 1); span++)
		;
	span += (unsigned int)rnd(w, split + 2 - span);
	l2 = room(w, 6 + span - 1, STE);
	*ste = l2 + 64 * (uint64_t)low_sid;
	return l2 && put(w, w->naive.strtab + 8 * (uint64_t)(w->req.sid >> split), l2 | span);
}

/* The CD table, for its owner; *cd: where the CD of w->req.ssid lies, *q0: what the STE says of it. */
static bool place_cd(struct world *w, unsigned int cdmax, uint64_t *cd, uint64_t *q0)
{
	unsigned int fmt = cdmax && w->caps.cd_2level ? (unsigned int)rnd(w, 3) : 0, split = fmt == 1 ? 6 : 10;
	uint64_t ctx, leaf, l1;

	if (fmt == 0) {
		ctx = place(w, 6 + cdmax < 12 ? 12 : 6 + cdmax, 64 * (uint64_t)w->req.ssid, CD, cd);
		*q0 = ctx;
		return ctx;
	}
	ctx = place(w, 12, 8 * (uint64_t)(w->req.ssid >> split), L1CD, &l1);
	leaf = place(w, 6 + split, 64 * (uint64_t)(w->req.ssid & ((1u << split) - 1)), CD, cd);
	*q0 = ctx | (uint64_t)fmt << 4;
	return ctx && leaf && put(w, l1, leaf | 1);
}

bool build(struct world *w)
{
	unsigned int i, config, s2ps, ips, cdmax = 0, page1, t1, base_bits;
	uint64_t q[8] = {0}, cd[8] = {0}, ste, cd_at, ctx, va, addr;
	bool ds, el2 = false, e2h = w->naive.e2h;

	for (i = 0; i < w->nlog; i++) {
		memset(w->ram + w->log[i], 0, 8);
		memset(w->image + w->log[i], 0, 8);
	}
	memset(w->cls, 0, (w->next + 4095) / 4096);
	w->nlog = 0;
	w->next = 0;
	w->damage[0] = '\0';
	do {
		config = chance(w, 40) ? (unsigned int)rnd(w, 8) : 5 + (unsigned int)rnd(w, 3);
		w->s1 = config & 1;
		w->s2 = config & 2;
	} while (config >= 4 && ((w->s1 && !w->caps.s1) || (w->s2 && !w->caps.s2)));
	w->req = (struct naive_smmu_req){.sid = (uint32_t)rnd(w, 64)};
	if (!place_ste(w, &ste))
		return false;
	w->ste_at = ste;
	w->cd_at = 0;
	base_bits = w->base >> 32 ? 52 : 32;
	w->ha1 = w->caps.httu && chance(w, 2);
	w->ha2 = w->caps.httu && chance(w, 2);
	s2ps = size_code(w, base_bits);
	ips = size_code(w, w->s2 ? 0 : base_bits);
	w->two.oa = size_of(w, s2ps);
	w->one.oa = size_of(w, ips);
	q[0] = 1 | config << 1;
	q[1] = ste_flags(w);
	ds = w->caps.ds && chance(w, 2);
	w->one.page = pick_page(w);
	w->one.ds = ds && w->one.page != 16;
	w->one.big = w->caps.big_endian && chance(w, 2);
	w->two.big = w->caps.big_endian && chance(w, 2);
	if (w->s2) {
		shape2(w);
		w->two.root = room(w, root_lg2(&w->two), S2);
		if (!w->two.root)
			return false;
		q[2] = rnd(w, w->caps.vmid16 ? 65536 : 256) | (uint64_t)w->two.tsz << 32 | (uint64_t)w->two.sl0 << 38 |
		       (w->two.page == 12 ? 0 : w->two.page == 16 ? UINT64_C(1) : UINT64_C(2)) << 46 | (uint64_t)s2ps << 48 |
		       BIT(51) | (w->two.big ? BIT(52) : 0) | (chance(w, 4) ? BIT(53) : 0) | (chance(w, 4) ? BIT(54) : 0) | BIT(58);
		if (w->ha2)
			q[2] |= BIT(56);
		if (w->caps.httu == 2 && chance(w, 2))
			q[2] |= BIT(55);
		q[3] = (w->two.sl2 ? BIT(2) : 0) | (w->two.ds ? BIT(3) : 0) | w->two.root;
	}
	if (w->s1) {
		if (!w->s2 && w->caps.hyp && chance(w, 4)) {
			q[1] |= BIT(31);
			el2 = !e2h;
		}
		w->high = !el2 && chance(w, 3);
		w->one.tsz = pick_tsz1(w, w->one.page, ds);
		w->one.start = naive_smmu_start1(w->one.page, w->one.tsz);
		va = rnd64(w) & low(64 - w->one.tsz);
		if (chance(w, 16)) /* the ends of the range */
			va = w->high ? low(64 - w->one.tsz) : 0;
		addr = w->high ? va | ~low(64 - w->one.tsz) : va;
		if (w->caps.ssid_bits) {
			cdmax = (unsigned int)rnd(w, chance(w, 2) ? 5 : 12);
			w->req.with_ssid = cdmax && chance(w, 2);
			if (w->req.with_ssid)
				w->req.ssid = (uint32_t)rnd(w, UINT64_C(1) << cdmax);
			q[1] |= chance(w, 4) ? rnd(w, 3) : 2;
		}
		if (!place_cd(w, cdmax, &cd_at, &ctx) || !build1(w, va))
			return false;
		q[0] |= ctx | (uint64_t)cdmax << 59;
		page1 = pick_page(w);
		t1 = pick_tsz1(w, page1, ds);
		{
			unsigned int p0 = w->high ? page1 : w->one.page, p1 = w->high ? w->one.page : page1;
			unsigned int t0 = w->high ? t1 : w->one.tsz, th = w->high ? w->one.tsz : t1;
			uint64_t other = w->s2 ? 0 : w->two.root & low(20);

			cd[0] = t0 | (p0 == 12 ? 0u : p0 == 16 ? 1u : 2u) << 6 | (uint64_t)th << 16 |
				(p1 == 12 ? UINT64_C(2) : p1 == 16 ? UINT64_C(3) : UINT64_C(1)) << 22;
			cd[1] = w->high ? other : w->one.root;
			cd[2] = w->high ? w->one.root : other;
		}
		if (chance(w, 8))
			cd[0] |= w->high ? BIT(14) : BIT(30); /* the half that is not used */
		if (chance(w, 24))
			cd[0] |= w->high ? BIT(30) : BIT(14);
		cd[0] |= (w->one.big ? BIT(15) : 0) | BIT(31) | (uint64_t)ips << 32 | (chance(w, 4) ? BIT(35) : 0) | (chance(w, 8) ? BIT(36) : 0) |
			 (chance(w, 4) ? BIT(38) : 0) | (chance(w, 4) ? BIT(39) : 0) | (chance(w, 8) ? BIT(40) : 0) |
			 BIT(41) | BIT(45) | BIT(46) | (chance(w, 2) ? BIT(47) : 0) |
			 rnd(w, w->caps.asid16 ? 65536 : 256) << 48;
		if (w->ha1)
			cd[0] |= BIT(43);
		if (w->caps.httu == 2 && chance(w, 2))
			cd[0] |= BIT(42);
		cd[1] |= (chance(w, 4) ? BIT(1) : 0) | (w->caps.e0pd && chance(w, 10) ? BIT(2) : 0) |
			 (w->caps.epan && chance(w, 2) ? BIT(59) : 0);
		cd[2] |= (chance(w, 4) ? BIT(1) : 0) | (w->caps.e0pd && chance(w, 10) ? BIT(2) : 0) | (ds ? BIT(58) : 0);
		if ((cd[0] & (w->high ? BIT(39) : BIT(38))) && chance(w, 2))
			addr = (addr & low(56)) | rnd64(w) << 56; /* TBI */
		w->cd_at = cd_at;
		for (i = 0; i < 8; i++)
			if (!put(w, cd_at + 8 * i, cd[i]))
				return false;
	} else if (w->s2) {
		addr = rnd64(w) & low(64 - w->two.tsz);
		if (!map2(w, addr, rnd64(w) & low(widest(&w->two)), leaf_level(w, &w->two)))
			return false;
	} else {
		addr = rnd64(w) & low(w->caps.oas);
	}
	for (i = 0; i < 8; i++)
		if (!put(w, ste + 8 * i, q[i]))
			return false;
	w->req.addr = addr & ~UINT64_C(7);
	return true;
}
