/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox translate --model smmuv3` against the naive walker; translate_rig.h says how.
 *
 * Streams bypass, have stage 1, stage 2 or both, and up to 32 SubstreamIDs; granules of 4, 16 and 64 KiB; TTB0 and TTB1; start tables
 * one after the other; pages, blocks and contiguous groups; access flags and dirty states. Records are put together here from the bit
 * numbers of IHI 0070, 7.3, entries from those of 5.2, 5.4 and DDI 0487 D8.3.
 */
#include <stdlib.h>
#include <string.h>

#include "naive_smmuv3.h"
#include "translate_rig.h"

#define MAX_REQUESTS 20000
#define NSTREAM	 24
#define NFUNC	 48
#define NADDR	 10
#define NCHILD	 96
#define MAX_ENT	 12000
#define LOG2SIZE 10 /* of the stream table */

enum { BYPASS = 4, S1 = 5, S2 = 6, NESTED = 7 }; /* STE.Config */
enum what { IS_S1, IS_S2, IS_STE, IS_CD };

struct shape { /* of one table */
	unsigned int page, bits, oa; /* lg2 of the granule; input and output width */
	int start;
	unsigned int sl0, sl2;
	bool ds, ha, hd;
	u64 root; /* as its writer calls it */
};

struct stream {
	unsigned int config, sid, cdmax;
	struct shape two;
	u64 cds; /* where they lie */
};

struct func { /* an STE without stage 1, or a CD */
	struct stream *st;
	bool with_ssid, high, hd;
	unsigned int ssid;
	struct shape one;
	u64 root_pa, addr[NADDR];
	unsigned int naddr, nchild;
	u64 child_of[NCHILD], child_pa[NCHILD]; /* descriptor of stage 1, and where its table lies */
};

struct entry { /* for damage */
	u64 pa;
	enum what what;
};

struct world {
	struct image im;
	struct naive_smmu_req req[MAX_REQUESTS];
	struct naive_smmu n;
	bool small; /* the unit of the ID registers below */
	struct stream stream[NSTREAM];
	struct func func[NFUNC];
	unsigned int nstream, nfunc, ncd, nent;
	struct entry ent[MAX_ENT];
};

static void note(struct world *w, u64 pa, enum what what)
{
	if (w->nent < MAX_ENT)
		w->ent[w->nent++] = (struct entry){pa, what};
}

/* ---- tables: DDI 0487, D8.2 ---- */

static unsigned int lsb_of(const struct shape *s, int level)
{
	return s->page + (unsigned int)(3 - level) * (s->page - 3);
}

static u64 slot(const struct shape *s, int level, u64 ia)
{
	u64 index = (ia & low(s->bits)) >> lsb_of(s, level);

	return 8 * (level == s->start ? index : index & low(s->page - 3));
}

static unsigned int root_lg2(const struct shape *s)
{
	unsigned int n = s->bits - lsb_of(s, s->start) + 3;

	return n < 6 ? 6 : n;
}

/* An address as a descriptor holds it, and back. */
static u64 to_desc(const struct shape *s, u64 a)
{
	u64 mid = a & low(48) & ~low(s->page);

	if (s->page == 16)
		return mid | (a >> 48 & 15) << 12;
	return s->ds ? (a & low(50) & ~low(12)) | (a >> 50 & 3) << 8 : mid;
}

static u64 from_desc(const struct shape *s, u64 d)
{
	u64 mid = d & low(48) & ~low(s->page);

	if (s->page == 16)
		return mid | (d >> 12 & 15) << 48;
	return s->ds ? (d & low(50) & ~low(12)) | (d >> 8 & 3) << 50 : mid;
}

/* Tables D8-19 and on: 52-bit addresses take the 64 KiB granule or DS. */
static unsigned int widest(const struct world *w, const struct shape *s)
{
	return w->n.oas == 52 && (s->page == 16 || s->ds) ? 52 : 48;
}

/* A level for a leaf: D8-17, D8-27, D8-36. */
static int leaf_level(struct world *w, const struct shape *s)
{
	int top = s->page == 12 ? (s->ds ? 0 : 1) : s->page == 14 ? (s->ds ? 1 : 2) : w->n.oas == 52 ? 1 : 2;

	if (top < s->start)
		top = s->start;
	return chance(&w->im, 2) || top > 2 ? 3 : top + (int)rnd(&w->im, (u64)(3 - top));
}

/* D8-104: lg2 of a contiguous group. 0: none. */
static unsigned int group_lg2(const struct shape *s, int level)
{
	if (s->page == 12)
		return level >= 1 ? lsb_of(s, level) + 4 : 0;
	if (s->page == 14)
		return level == 3 ? 21 : level == 2 ? 30 : 0;
	return level >= 2 ? lsb_of(s, level) + 5 : 0;
}

static unsigned int leaf_lg2(const struct shape *s, int level)
{
	return group_lg2(s, level) ? group_lg2(s, level) : lsb_of(s, level);
}

/*
 * A leaf at `at`, sometimes (`groups`) as one of a whole contiguous group around it. Of a group hardware may mark any member, or none that
 * a cached translation covers, so members leave nothing to mark.
 */
static bool put_leaf(struct world *w, const struct shape *s, int level, u64 at, u64 oa, u64 attr, enum what what, bool groups)
{
	unsigned int lsb = lsb_of(s, level), big = group_lg2(s, level), i, n;
	u64 type = level == 3 ? 3 : 1;

	if (get(&w->im, at))
		return false;
	oa &= ~low(lsb);
	if (!groups || !big || big > s->bits || big > s->oa || !chance(&w->im, 8)) {
		put(&w->im, at, type | attr | to_desc(s, oa));
		note(w, at, what);
		return true;
	}
	n = 1u << (big - lsb);
	at &= ~(u64)(8 * n - 1);
	for (i = 0; i < n; i++)
		if (get(&w->im, at + 8 * i))
			return false;
	if (attr >> 51 & 1) /* writable, and not clean */
		attr ^= UINT64_C(1) << 51 | 1 << 7;
	attr |= 1 << 10 | UINT64_C(1) << 52;
	oa &= ~low(big);
	for (i = 0; i < n; i++)
		put(&w->im, at + 8 * i, type | attr | to_desc(s, oa + ((u64)i << lsb)));
	return true;
}

/* ---- stage 2 ---- */

static u64 s2_attr(struct world *w, const struct shape *s)
{
	u64 d = 15 << 2 | 3 << 6; /* normal memory, S2AP */

	if (s->hd && chance(&w->im, 3))
		d = 15 << 2 | 1 << 6 | UINT64_C(1) << 51; /* writable-clean */
	else if (!w->im.clean && chance(&w->im, 12))
		d = 15 << 2 | rnd(&w->im, 4) << 6;
	if (!s->ha || !chance(&w->im, 3))
		d |= 1 << 10;
	if (!w->im.clean && chance(&w->im, 10))
		d |= rnd(&w->im, 4) << 53;
	return d | (rnd64(&w->im) & UINT64_C(0x0780000000000000)); /* for software */
}

static bool map2(struct world *w, struct stream *st, u64 ipa, u64 pa, int leaf, bool groups)
{
	const struct shape *s = &st->two;
	u64 table = s->root, at, d;
	int level;

	for (level = s->start; level < leaf; level++) {
		at = table + slot(s, level, ipa);
		d = get(&w->im, at);
		if (d == 0) {
			table = new_room(&w->im, s->page);
			if (!table)
				return false;
			put(&w->im, at, to_desc(s, table) | 3);
			note(w, at, IS_S2);
		} else if ((d & 3) == 3) {
			table = from_desc(s, d);
		} else {
			return false;
		}
	}
	return put_leaf(w, s, leaf, table + slot(s, leaf, ipa), pa, s2_attr(w, s), IS_S2, groups);
}

/* Room for 2^lg2 bytes of a stage 1 structure; *pa is where it lies. Returns its writer's name for it; 0: no room. */
static u64 place(struct world *w, struct stream *st, unsigned int lg2, unsigned int most, u64 *pa)
{
	unsigned int page = st->two.page, size = lg2 > page ? lg2 : page;
	u64 name, at;

	if (st->config != NESTED)
		return *pa = new_room(&w->im, lg2);
	*pa = new_room(&w->im, size);
	if (!*pa)
		return 0;
	if (most > st->two.bits)
		most = st->two.bits;
	name = (rnd64(&w->im) & low(most) & ~low(size)) | UINT64_C(1) << size;
	for (at = 0; at < UINT64_C(1) << size; at += UINT64_C(1) << page)
		if (!map2(w, st, name + at, *pa + at, 3, false))
			return 0;
	return name;
}

/* ---- stage 1 ---- */

static u64 s1_attr(struct world *w, const struct func *f)
{
	u64 d = 1 << 6 | (chance(&w->im, 2) ? 1 << 2 : 0); /* AP: all */

	if (f->hd && chance(&w->im, 3))
		d |= UINT64_C(1) << 51 | 1 << 7;
	else if (!w->im.clean && chance(&w->im, 8))
		d ^= rnd(&w->im, 4) << 6;
	if (!f->one.ha || !chance(&w->im, 3))
		d |= 1 << 10;
	if (!w->im.clean && chance(&w->im, 4))
		d |= rnd(&w->im, 4) << 53;
	/* Global pages of one VMID are everybody's: only where nobody else is. */
	if (f->with_ssid || f->st->cdmax || chance(&w->im, 2))
		d |= 1 << 11;
	return d | (rnd64(&w->im) & UINT64_C(0xf780000000000000));
}

static bool map1(struct world *w, struct func *f, u64 va, u64 target, int leaf)
{
	const struct shape *s = &f->one;
	u64 t = f->root_pa, at, d;
	int level;

	for (level = s->start; level < leaf; level++) {
		unsigned int i;

		at = t + slot(s, level, va);
		d = get(&w->im, at);
		if (d && !(d & 2))
			return false;
		for (i = 0; i < f->nchild && f->child_of[i] != at; i++)
			;
		if (i == f->nchild) {
			u64 pa, name;

			if (d || i == NCHILD)
				return false;
			name = place(w, f->st, s->page, s->oa, &pa);
			if (!name)
				return false;
			d = 3 | to_desc(s, name);
			if (!w->im.clean && chance(&w->im, 16))
				d |= rnd(&w->im, 16) << 59;
			put(&w->im, at, d);
			note(w, at, IS_S1);
			f->child_of[i] = at;
			f->child_pa[i] = pa;
			f->nchild++;
		}
		t = f->child_pa[i];
	}
	return put_leaf(w, s, leaf, t + slot(s, leaf, va), target, s1_attr(w, f), IS_S1, true);
}

/* Near another one, or anywhere. */
static u64 some_address(struct world *w, struct func *f, unsigned int bits, bool high)
{
	u64 a = f->naddr && chance(&w->im, 2) ? f->addr[rnd(&w->im, f->naddr)] + (rnd(&w->im, 40) << f->one.page) : rnd64(&w->im);

	a &= low(bits);
	return high ? a | ~low(bits) : a;
}

static void fill(struct world *w, struct func *f)
{
	struct stream *st = f->st;
	unsigned int i;

	for (i = 0; i < NADDR; i++) {
		u64 addr, target;
		int leaf;
		bool ok;

		if (st->config == BYPASS) {
			f->addr[f->naddr++] = rnd64(&w->im) & low(w->n.oas);
			continue;
		}
		if (st->config == S2) {
			addr = some_address(w, f, st->two.bits, false);
			if (map2(w, st, addr, rnd64(&w->im) & low(st->two.oa), leaf_level(w, &st->two), true))
				f->addr[f->naddr++] = addr;
			continue;
		}
		addr = some_address(w, f, f->one.bits, f->high);
		do
			leaf = leaf_level(w, &f->one);
		while (st->config == NESTED && leaf_lg2(&f->one, leaf) > st->two.bits);
		target = rnd64(&w->im) & low(f->one.oa);
		if (st->config == NESTED)
			target &= low(st->two.bits);
		target &= ~low(lsb_of(&f->one, leaf));
		ok = map1(w, f, addr, target, leaf);
		if (ok && st->config == NESTED) {
			/* A group took other low bits: read what came of it. */
			u64 t = f->root_pa;
			int level;

			for (level = f->one.start; level < leaf; level++) {
				unsigned int c;

				for (c = 0; f->child_of[c] != t + slot(&f->one, level, addr); c++)
					;
				t = f->child_pa[c];
			}
			target = from_desc(&f->one, get(&w->im, t + slot(&f->one, leaf, addr)) & ~low(f->one.page == 16 ? 12 : 0));
			target = (target & ~low(lsb_of(&f->one, leaf))) | (addr & low(lsb_of(&f->one, leaf)));
			ok = map2(w, st, target, rnd64(&w->im) & low(st->two.oa), leaf_level(w, &st->two), true);
		}
		if (ok)
			f->addr[f->naddr++] = addr;
	}
}

/* ---- entries ---- */

static unsigned int pick_page(struct world *w)
{
	static const unsigned int pages[] = {12, 16, 14};

	return pages[rnd(&w->im, w->small ? 2 : 3)];
}

/* IPS and S2PS; the image takes 41 bits. */
static unsigned int pick_size(struct world *w, unsigned int most, unsigned int *bits)
{
	static const unsigned int of[] = {32, 36, 40, 42, 44, 48, 52};
	unsigned int code = w->im.clean || chance(&w->im, 2) ? 6 : 3 + (unsigned int)rnd(&w->im, 4);

	*bits = of[code] < w->n.oas ? of[code] : w->n.oas;
	if (*bits > most)
		*bits = most;
	return code;
}

static bool shape1(struct world *w, struct func *f)
{
	struct shape *s = &f->one;
	unsigned int levels;

	s->page = pick_page(w);
	s->ds = !w->small && s->page != 16 && chance(&w->im, 2);
	s->bits = 25 + (unsigned int)rnd(&w->im, (w->n.vax && (s->page == 16 || s->ds) ? 52 : 48) - 25 + 1);
	levels = (s->bits - s->page + s->page - 4) / (s->page - 3);
	s->start = 4 - (int)levels;
	return s->start >= -1 && (s->page == 12 ? s->start >= (s->ds ? -1 : 0) : s->start >= 0);
}

/* D8-19 to D8-24, D8-29 to D8-33, D8-38 to D8-41: which SL0 takes which input sizes. */
static const struct {
	unsigned int page, sl0, sl2, least, most;
	int start;
	bool ds;
} starts[] = {
	{12, 0, 0, 25, 34, 2, false}, {12, 1, 0, 31, 43, 1, false}, {12, 2, 0, 40, 48, 0, false}, {12, 2, 0, 40, 52, 0, true},
	{12, 0, 1, 49, 52, -1, true}, {14, 0, 0, 25, 29, 3, false}, {14, 1, 0, 26, 40, 2, false}, {14, 2, 0, 37, 48, 1, false},
	{14, 2, 0, 37, 51, 1, true},  {16, 0, 0, 25, 33, 3, false}, {16, 1, 0, 30, 46, 2, false}, {16, 2, 0, 43, 52, 1, false},
};

static bool shape2(struct world *w, struct stream *st)
{
	struct shape *s = &st->two;
	unsigned int k = (unsigned int)rnd(&w->im, sizeof(starts) / sizeof(starts[0])), most;

	s->page = starts[k].page;
	if (w->small && (s->page == 14 || starts[k].ds))
		return false;
	s->ds = s->page != 16 && (starts[k].ds || (!w->small && starts[k].most <= 43 && chance(&w->im, 2)));
	most = starts[k].most < widest(w, s) ? starts[k].most : widest(w, s);
	s->bits = starts[k].least + (unsigned int)rnd(&w->im, most - starts[k].least + 1);
	s->start = starts[k].start;
	s->sl0 = starts[k].sl0;
	s->sl2 = starts[k].sl2;
	return root_lg2(s) <= 16;
}

static u64 tg0(unsigned int page)
{
	return page == 12 ? 0 : page == 16 ? 1 : 2;
}

static bool add_stream(struct world *w)
{
	struct stream *st = &w->stream[w->nstream];
	u64 ste, q[4] = {0}, cds;
	unsigned int i, ps;

	*st = (struct stream){.sid = (unsigned int)rnd(&w->im, 1u << LOG2SIZE)};
	ste = w->n.strtab + 64 * (u64)st->sid;
	if (get(&w->im, ste))
		return false;
	st->config = chance(&w->im, 10) ? BYPASS : S1 + (unsigned int)rnd(&w->im, 3);
	q[0] = 1 | st->config << 1;
	q[1] = 2; /* S1DSS */
	q[2] = w->nstream + 1;
	if (st->config & 2) {
		struct shape *s = &st->two;

		if (!shape2(w, st))
			return false;
		ps = pick_size(w, widest(w, s), &s->oa);
		s->root = new_room(&w->im, root_lg2(s) < 12 ? 12 : root_lg2(s));
		if (!s->root)
			return false;
		s->ha = !w->small && chance(&w->im, 2);
		s->hd = s->ha && chance(&w->im, 2);
		q[2] |= (u64)(64 - s->bits) << 32 | (u64)s->sl0 << 38 | tg0(s->page) << 46 | (u64)ps << 48 | UINT64_C(1) << 51 |
			(u64)s->hd << 55 | (u64)s->ha << 56 | UINT64_C(1) << 58; /* S2R */
		q[3] = s->root | (u64)s->sl2 << 2 | (u64)s->ds << 3;
	}
	if (st->config & 1) {
		st->cdmax = chance(&w->im, 2) ? 0 : 1 + (unsigned int)rnd(&w->im, 5);
		cds = place(w, st, 12, w->n.oas, &st->cds);
		if (!cds)
			return false;
		q[0] |= cds | (u64)st->cdmax << 59;
	}
	for (i = 0; i < 4; i++)
		put(&w->im, ste + 8 * i, q[i]);
	note(w, ste, IS_STE);
	w->nstream++;
	return true;
}

static bool add_cd(struct world *w, struct func *f)
{
	struct shape *s = &f->one;
	unsigned int ips, other;
	u64 at = f->st->cds + 64 * (u64)f->ssid, q[3];

	if (get(&w->im, at) || !shape1(w, f))
		return false;
	ips = pick_size(w, widest(w, s), &s->oa);
	f->high = chance(&w->im, 3);
	s->ha = !w->small && chance(&w->im, 2);
	f->hd = s->ha && chance(&w->im, 2);
	s->root = place(w, f->st, root_lg2(s) < 12 ? 12 : root_lg2(s), s->oa, &f->root_pa);
	if (!s->root)
		return false;
	/* The half that is not used is switched off, or valid and empty. */
	other = 64 - 40;
	q[0] = UINT64_C(1) << 31 | (u64)ips << 32 | UINT64_C(7) << 45 | UINT64_C(1) << 41 | (u64)f->hd << 42 | (u64)s->ha << 43 |
	       (u64)++w->ncd << 48 | 1 << (f->high ? 14 : 30);
	if (f->high)
		q[0] |= (u64)(64 - s->bits) << 16 | (s->page == 12 ? 2u : s->page == 16 ? 3u : 1u) << 22 | other;
	else
		q[0] |= (64 - s->bits) | tg0(s->page) << 6 | (u64)other << 16 | 2u << 22;
	q[1] = f->high ? 0 : s->root;
	q[2] = (f->high ? s->root : 0) | (u64)s->ds << 58;
	if (!w->im.clean) {
		q[0] |= (chance(&w->im, 6) ? UINT64_C(1) << 36 : 0) | (chance(&w->im, 6) ? UINT64_C(1) << 40 : 0); /* WXN, PAN */
		q[1] |= chance(&w->im, 6) ? 2 : 0; /* HAD0 */
		q[2] |= chance(&w->im, 6) ? 2 : 0;
	}
	if (chance(&w->im, 4))
		q[0] |= UINT64_C(3) << 38; /* TBI */
	put(&w->im, at, q[0]);
	put(&w->im, at + 8, q[1]);
	put(&w->im, at + 16, q[2]);
	put(&w->im, at + 24, UINT64_C(0xff));
	note(w, at, IS_CD);
	return true;
}

static void add_func(struct world *w)
{
	struct func *f = &w->func[w->nfunc];

	*f = (struct func){.st = &w->stream[rnd(&w->im, w->nstream)]};
	f->one.page = 12;
	if (f->st->config & 1) {
		f->with_ssid = f->st->cdmax && chance(&w->im, 2);
		/* With S1DSS 2 the first is for requests without. */
		f->ssid = f->with_ssid ? 1 + (unsigned int)rnd(&w->im, (1u << f->st->cdmax) - 1) : 0;
		if (!add_cd(w, f))
			return;
	} else {
		unsigned int i;

		for (i = 0; i < w->nfunc; i++)
			if (w->func[i].st == f->st)
				return;
	}
	fill(w, f);
	w->nfunc += f->naddr != 0;
}

static void build(void *world)
{
	struct world *w = world;
	unsigned int tries;

	w->nstream = w->nfunc = w->ncd = w->nent = 0;
	w->small = chance(&w->im, 3);
	w->n = (struct naive_smmu){
		.image = w->im.ram, .base = BASE, .len = LEN, .log2size = LOG2SIZE, .oas = w->small ? 48 : 52,
		.httu = w->small ? 0 : 2, .ssid_bits = w->small ? 8 : 20, .sid_bits = 16, .s1 = true, .s2 = true, .hyp = !w->small,
		.gran4 = true, .gran16 = !w->small, .gran64 = true, .vax = !w->small, .ds = !w->small, .stt = !w->small,
		.xnx = !w->small, .had = !w->small, .fwb = !w->small, .perms_ovr = !w->small, .e0pd = !w->small, .epan = !w->small,
		.asid16 = !w->small, .vmid16 = !w->small,
	};
	w->n.strtab = new_room(&w->im, LOG2SIZE + 6);
	for (tries = 0; tries < 60 && w->nstream < NSTREAM && w->im.used < NPAGES / 4; tries++)
		add_stream(w);
	for (tries = 0; tries < 200 && w->nfunc < NFUNC && w->im.used + 64 < NPAGES; tries++)
		add_func(w);
}

/* Bits whose meaning is a fault or a right: none that leads a pointer to another place in the image, or changes where an index lies. */
static void damage(void *world)
{
	static const uint8_t s1_bits[] = {0, 1, 6, 7, 10, 40, 45, 47, 51, 53, 54, 59, 60, 61, 62};
	static const uint8_t s2_bits[] = {0, 1, 6, 7, 10, 40, 45, 47, 51, 53, 54};
	static const uint8_t cd_bits[] = {32, 33, 34, 35, 36, 38, 39, 40, 41, 42, 43, 31};
	static const struct {
		uint8_t word, bit;
	} ste_bits[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 45}, {0, 59}, {0, 63}, {1, 0}, {1, 1}, {1, 48}, {1, 49}, {1, 50},
			{1, 51}, {2, 48}, {2, 49}, {2, 50}, {2, 51}, {2, 52}, {2, 53}, {2, 54}, {2, 55}, {2, 56}};
	struct world *w = world;
	unsigned int i, k;

	for (i = 0; i < w->nent; i++) {
		const struct entry *e = &w->ent[i];
		u64 pa = e->pa, bit;

		if (!chance(&w->im, e->what == IS_S1 || e->what == IS_S2 ? 16 : 8))
			continue;
		switch (e->what) {
		case IS_S1:
			bit = s1_bits[rnd(&w->im, sizeof(s1_bits))];
			break;
		case IS_S2:
			bit = s2_bits[rnd(&w->im, sizeof(s2_bits))];
			break;
		case IS_CD:
			bit = cd_bits[rnd(&w->im, sizeof(cd_bits))];
			break;
		default:
			k = (unsigned int)rnd(&w->im, sizeof(ste_bits) / sizeof(ste_bits[0]));
			pa += 8u * ste_bits[k].word;
			bit = ste_bits[k].bit;
			break;
		}
		put(&w->im, pa, get(&w->im, pa) ^ UINT64_C(1) << bit);
	}
}

/* ---- asking ---- */

static void registers(const void *world, FILE *f)
{
	const struct world *w = world;
	/* By hand, from 6.3.1 to 6.3.6. IDR0: S2P, S1P, TTF, COHACC, TTENDIAN little, ST_LEVEL. */
	static const u64 idr0 = 3 | 2 << 2 | 1 << 4 | 2 << 21 | 1 << 27;
	static const u64 idr1 = 16 | 8 << 6 | 8 << 16 | 8 << 21; /* SIDSIZE, SSIDSIZE, queues */
	static const u64 idr5 = 5 | 1 << 4 | 1 << 6;		 /* 48 bits, 4 and 64 KiB */

	fprintf(f, "\"registers\": { \"STRTAB_BASE\": \"0x%" PRIx64 "\", \"STRTAB_BASE_CFG\": \"0x%x\" }", w->n.strtab, LOG2SIZE);
	if (w->small)
		fprintf(f,
			",\n  \"caps\": { \"IDR0\": \"0x%" PRIx64 "\", \"IDR1\": \"0x%" PRIx64 "\", \"IDR3\": \"0x0\", \"IDR5\": \"0x%" PRIx64
			"\" }",
			idr0, idr1, idr5);
}

static const char *op_of(const struct naive_smmu_req *q)
{
	return q->write ? (q->read ? "atomic" : "write") : q->exec ? "exec" : "read";
}

static void put_request(FILE *f, unsigned int id, const struct naive_smmu_req *q)
{
	char pasid[16] = "null";

	if (q->with_ssid)
		snprintf(pasid, sizeof(pasid), "%u", q->ssid);
	fprintf(f, "{\"id\":%u,\"op\":\"%s\",\"rid\":%u,\"pasid\":%s,\"addr\":\"0x%" PRIx64 "\",\"priv\":%s}\n", id, op_of(q), q->sid, pasid,
		q->addr, q->priv ? "true" : "false");
}

static void request(void *world, unsigned int i, FILE *out)
{
	struct world *w = world;
	const struct func *f = &w->func[rnd(&w->im, w->nfunc)];
	unsigned int r = w->im.clean ? 20 : (unsigned int)rnd(&w->im, 60), kind;
	struct naive_smmu_req *q = &w->req[i];

	*q = (struct naive_smmu_req){.sid = f->st->sid, .with_ssid = f->with_ssid, .ssid = f->ssid};
	q->addr = (f->addr[rnd(&w->im, f->naddr)] & ~low(12)) | rnd(&w->im, 4096);
	if (r < 6)
		q->addr ^= UINT64_C(1) << (12 + rnd(&w->im, 52));
	else if (r == 6)
		q->addr = rnd64(&w->im);
	else if (r == 7)
		q->sid = (unsigned int)rnd(&w->im, 65536);
	else if (r == 8)
		q->with_ssid = !q->with_ssid;
	else if (r == 9 && q->with_ssid)
		q->ssid = (uint32_t)rnd(&w->im, chance(&w->im, 2) ? 64 : 1u << 20);
	if (!q->with_ssid)
		q->ssid = 0;
	kind = (unsigned int)rnd(&w->im, w->im.clean ? 3 : 4);
	q->read = kind != 1 && kind != 3;
	q->write = kind == 1 || kind == 2;
	q->exec = kind == 3;
	q->priv = !w->im.clean && chance(&w->im, 3);
	put_request(out, i, q);
}

/* The 32 bytes of 7.3, bit by bit; privilege and kind as they are after the STE's overrides. */
static void record_text(const struct world *w, const struct naive_smmu_req *q, const struct naive_smmu_fault *f, bool priv, bool inst,
			char out[65])
{
	u64 rec[4] = {(u64)f->event | (u64)q->sid << 32, 0, 0, 0};
	unsigned int i;

	if (q->with_ssid) /* C_BAD_SUBSTREAMID has no SSV */
		rec[0] |= (u64)q->ssid << 12 | (f->event == 8 ? 0 : 1 << 11);
	if (f->event >= 0x0b) {
		rec[1] = (u64)priv << 33 | (u64)(inst && !q->write) << 34 | (u64)(!q->write || f->reads) << 35 | (u64)(f->stage == 2) << 39 |
			 (u64)f->cls << 40;
		if (f->event == 0x13 && f->cls == 1)
			rec[1] |= (u64)!f->ttwrite << 44;
		rec[2] = q->addr;
		if (f->event != 0x0b && f->stage == 2)
			rec[3] = f->ipa & low(w->n.oas) & ~low(12);
	}
	if (f->event == 3 || f->event == 9 || f->event == 0x0b)
		rec[3] = f->fetch & low(w->n.oas) & ~low(3);
	for (i = 0; i < 32; i++)
		sprintf(out + 2 * i, "%02x", (unsigned int)(rec[i / 8] >> (i % 8 * 8)) & 0xff);
}

static void fault_line(char *out, size_t size, const struct world *w, unsigned int id, const struct naive_smmu_req *q,
		       const struct naive_smmu_fault *f)
{
	char st[8] = "null", at[24] = "null", rec[65];
	u64 ste = w->n.strtab + 64 * (u64)q->sid, q1;
	bool priv = q->priv, inst = q->exec;

	if (f->event < 0) { /* STE.Config abort: nothing is recorded, and nothing has a number */
		snprintf(out, size, "{ \"id\": %u, \"ok\": false, \"fault\": \"0x0\", \"stage\": null, \"ipa\": null, \"record\": null }\n",
			 id);
		return;
	}
	q1 = q->sid >> LOG2SIZE ? 0 : get(&w->im, ste + 8);
	if (w->n.perms_ovr && (q1 >> 49 & 1))
		priv = q1 >> 48 & 1;
	if (w->n.perms_ovr && (q1 >> 51 & 1))
		inst = q1 >> 50 & 1;
	if (f->stage)
		snprintf(st, sizeof(st), "%d", f->stage);
	if (f->stage == 2)
		snprintf(at, sizeof(at), "\"0x%" PRIx64 "\"", f->ipa);
	record_text(w, q, f, priv, inst, rec);
	snprintf(out, size, "{ \"id\": %u, \"ok\": false, \"fault\": \"0x%x\", \"stage\": %s, \"ipa\": %s, \"record\": \"%s\" }\n", id,
		 (unsigned int)f->event, st, at, rec);
}

static bool check_line(void *world, const char *got, unsigned int id, u64 counts[NCOUNTS])
{
	struct world *w = world;
	const struct naive_smmu_req *q = &w->req[id];
	struct naive_smmu_res r;
	char want[400], maybe[400] = "";

	naive_smmu_translate(&w->n, q, &r);
	counts[r.fault.event ? FAULTS : TRANSLATIONS]++;
	if (r.fault.event) {
		fault_line(want, sizeof(want), w, id, q, &r.fault);
		if (r.maybe.event)
			fault_line(maybe, sizeof(maybe), w, id, q, &r.maybe);
	} else {
		snprintf(want, sizeof(want), "{ \"id\": %u, \"ok\": true, \"pa\": \"0x%" PRIx64 "\", \"lg2\": %u, \"perm\": \"%s%s%s\" }\n",
			 id, r.pa, r.lg2 ? r.lg2 : w->n.oas, r.r ? "r" : "", r.w ? "w" : "", r.x ? "x" : "");
	}
	if (strcmp(got, want) == 0 || strcmp(got, maybe) == 0)
		return true;
	printf("request: ");
	put_request(stdout, id, q);
	printf("got:     %swanted:  %s", got, want);
	if (maybe[0])
		printf("or:      %s", maybe);
	return false;
}

int main(int argc, char **argv)
{
	static struct world w;
	const struct rig_ops ops = {
		.model = "smmuv3",
		.im = &w.im,
		.world = &w,
		.build = build,
		.damage = damage,
		.registers = registers,
		.most = MAX_REQUESTS,
		.request = request,
		.check = check_line,
		.marks = 1 << 10 | 1 << 7, /* AF; the dirty state, which stage 1 clears and stage 2 sets */
		.adds = false,
	};

	return rig_main(argc, argv, &ops);
}
