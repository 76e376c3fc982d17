/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt against a naive map: an array with one element a page. Random map, unmap, hardware access and dirty scans,
 * for all formats, numbers of levels and sets of leaf sizes, at both ends of the address space, across start tables that lie side
 * by side and, where a format keeps address bits in two places, across the output addresses at which that shows.
 *
 * prop_pt [SEED [OPS]]: without SEED a fixed list of seeds. A failure prints what to run again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pt/pt.h"

#define K4    UINT64_C(0x1000)
#define M2    UINT64_C(0x200000)
#define G1    UINT64_C(0x40000000)
#define PAGES ((unsigned int)((2 * G1 + 8 * M2) / K4)) /* the window: two boundaries of 1 GiB at least */
#define K16   UINT64_C(0x4000)
#define M32   UINT64_C(0x2000000)
#define PAGES16 ((unsigned int)(8 * M32 / K16))
#define K64   UINT64_C(0x10000)
#define M512  UINT64_C(0x20000000)
#define PAGES64 ((unsigned int)(3 * M512 / K64))

struct page {
	uint64_t oa;
	uint8_t prot; /* 0: not mapped */
	bool dirty;
};

struct conf {
	const struct pt_fmt *fmt;
	uint8_t levels;
	uint64_t sizes, base;
	uint8_t stage, concat; /* of VMSAv8-64; else 0 */
};

struct world {
	struct conf c;
	uint64_t seed, rng;
	unsigned int op;
	struct mem mem;
	struct mem_pool *pool;
	struct pt pt;
	struct pt_gather g;
	struct page *page;
	uint64_t size;	     /* of a page */
	unsigned int pages;  /* in the window */
	unsigned int lg2, index; /* log2 of a page, of the entries in a table */
};

#define CHECK(w, cond, ...)                                                                                  \
	do {                                                                                                  \
		if (!(cond)) {                                                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                            \
			fprintf(stderr, __VA_ARGS__);                                                         \
			fprintf(stderr, "\nseed %" PRIu64 " op %u, %u levels, sizes %#" PRIx64 ", base %#" PRIx64 \
				"; again: prop_pt %" PRIu64 "\n",                                             \
				(w)->seed, (w)->op, (w)->c.levels, (w)->c.sizes, (w)->c.base, (w)->seed);     \
			exit(1);                                                                              \
		}                                                                                             \
	} while (0)

static uint64_t rnd(struct world *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng * UINT64_C(0x2545f4914f6cdd1d)) % below;
}

/* First page and number of pages: small, or of the order of a large leaf, aligned or a little off. */
static void rnd_range(struct world *w, unsigned int *first, unsigned int *n)
{
	const unsigned int table = 1u << w->index;
	const unsigned int unit[] = {1, 1, 8, table, table, w->index == 9 ? table * 8 : 64,
				     w->index == 9 ? table * table : table};
	unsigned int u = unit[rnd(w, 7)];

	*first = (unsigned int)rnd(w, w->pages) / u * u;
	*n = u * (unsigned int)(1 + rnd(w, 3));
	if (rnd(w, 3) == 0)
		*first += (unsigned int)rnd(w, 3);
	if (rnd(w, 3) == 0)
		*n += (unsigned int)rnd(w, 3);
	if (*first >= w->pages)
		*first = w->pages - 1;
	if (*n > w->pages - *first)
		*n = w->pages - *first;
}

static uint64_t ia_of(const struct world *w, unsigned int i)
{
	return w->c.base + i * w->size;
}

/* The format cannot say "not readable" or "not executable" in the first stage, nor "force snoop". */
static unsigned int seen_prot(const struct world *w, unsigned int prot)
{
	unsigned int seen = prot & (PT_READ | PT_WRITE | PT_DEVICE);

	if (w->c.stage) {
		if ((prot & PT_TRACK) && (prot & PT_WRITE))
			seen |= PT_TRACK;
		if (w->c.stage == 1)
			return seen | PT_READ | PT_EXEC;
		return seen | (prot & PT_READ ? PT_EXEC : 0u) | (prot & PT_DEVICE ? 0u : prot & PT_SNOOP);
	}
	if (w->c.fmt == &pt_fmt_x86_64)
		return (prot & PT_WRITE) | PT_READ | PT_EXEC;
	return prot & (PT_READ | PT_WRITE | PT_SNOOP);
}

/* A fresh leaf that is writable may be dirty: always, when writes are tracked, never. */
static bool starts_dirty(const struct world *w, unsigned int prot)
{
	return (prot & PT_WRITE) && (w->c.stage ? (prot & PT_TRACK) != 0 : w->c.fmt == &pt_fmt_x86_64);
}

static void do_map(struct world *w)
{
	static const unsigned int prots[] = {PT_READ, PT_WRITE, PT_READ | PT_WRITE, PT_READ | PT_WRITE | PT_SNOOP,
					     PT_READ | PT_WRITE | PT_TRACK, PT_WRITE | PT_TRACK, PT_READ | PT_TRACK,
					     PT_READ | PT_WRITE | PT_DEVICE};
	unsigned int first, n, i, prot = prots[rnd(w, w->c.stage ? 8 : 4)];
	uint64_t oa;
	bool clash = false;
	int err;

	rnd_range(w, &first, &n);
	/* Half the time as aligned as the input: then large leaves fit. */
	oa = (rnd(w, 1 << 10) << 31) + (rnd(w, 2) ? ia_of(w, first) % G1 : rnd(w, 1 << 18) * K4 / w->size * w->size);
	if (w->size == K64 && rnd(w, 3) == 0) /* around a change of bit 48 */
		oa = ((1 + rnd(w, 15)) << 48) - (rnd(w, 2) ? M512 : rnd(w, PAGES64) * K64);
	for (i = 0; i < n && !clash; i++)
		clash = w->page[first + i].prot != 0;
	err = pt_map(&w->pt, ia_of(w, first), oa, n * w->size, prot, &w->g);
	CHECK(w, err == (clash ? -EADDRINUSE : 0), "map page %u n %u: %d", first, n, err);
	for (i = 0; i < n && !err; i++)
		w->page[first + i] = (struct page){oa + i * w->size, (uint8_t)prot, starts_dirty(w, prot)};
}

static void do_unmap(struct world *w)
{
	unsigned int first, n, i;
	uint64_t want = 0, got = 0;
	bool ask = rnd(w, 2);
	int err;

	rnd_range(w, &first, &n);
	for (i = 0; i < n; i++) {
		want += w->page[first + i].prot ? w->size : 0;
		w->page[first + i] = (struct page){0, 0, false};
	}
	err = pt_unmap(&w->pt, ia_of(w, first), n * w->size, ask ? &got : NULL, &w->g);
	CHECK(w, err == 0, "unmap page %u n %u: %d", first, n, err);
	CHECK(w, !ask || got == want, "unmap page %u n %u: %" PRIu64 " not %" PRIu64, first, n, got, want);
	if (rnd(w, 2))
		pt_gather_free(&w->pt, &w->g);
}

/* The page's leaf entry, found without the engine. */
static uint64_t *leaf_entry(const struct world *w, uint64_t ia, unsigned int *lg2)
{
	uint64_t *t = w->pt.root, *e;
	unsigned int level = w->c.levels, entries = 1u << (w->index + w->c.concat);

	for (; w->c.stage; entries = 1u << w->index) {
		level--;
		*lg2 = w->lg2 + w->index * level;
		e = &t[(ia >> *lg2) & (entries - 1)];
		if (!(*e & 1) || (level == 0 && !(*e & 2))) /* a last level without bit 1 is reserved, and maps nothing */
			return NULL;
		if (level == 0 || !(*e & 2))
			return e;
		/* 64 KiB: bits 51:48 of the next table are bits 15:12; our tables have none. */
		t = (uint64_t *)(uintptr_t)(*e & UINT64_C(0xffffffffffff) & ~(w->size - 1));
	}
	for (;;) {
		level--;
		e = &t[(ia >> (12 + 9 * level)) & 511];
		if (w->c.fmt == &pt_fmt_x86_64 ? !(*e & 1) : !(*e & 3))
			return NULL;
		if (level == 0 || (*e & 0x80))
			break;
		t = (uint64_t *)(uintptr_t)(*e & UINT64_C(0xffffffffff000));
	}
	*lg2 = 12 + 9 * level;
	return e;
}

/* Hardware writes through a leaf: the whole leaf is dirty then. */
static void do_access(struct world *w)
{
	unsigned int i = (unsigned int)rnd(w, w->pages), lg2 = 0, first, k;
	uint64_t *e = leaf_entry(w, ia_of(w, i), &lg2);

	CHECK(w, (e != NULL) == (w->page[i].prot != 0), "page %u", i);
	if (!e)
		return;
	if (w->c.stage) {
		if (!(*e >> 51 & 1)) /* DBM */
			return;
		*e = w->c.stage == 1 ? *e & ~UINT64_C(0x80) : *e | 0x80;
	} else {
		*e |= w->c.fmt == &pt_fmt_x86_64 ? 0x60 : 0x300;
	}
	first = (unsigned int)(((ia_of(w, i) & ~((UINT64_C(1) << lg2) - 1)) - w->c.base) / w->size);
	for (k = 0; k < 1u << (lg2 - w->lg2); k++)
		w->page[first + k].dirty = true;
}

static void on_dirty(void *opaque, uint64_t ia, uint64_t len)
{
	struct world *w = opaque;
	unsigned int i = (unsigned int)((ia - w->c.base) / w->size);

	for (; len; len -= w->size, i++) {
		CHECK(w, i < w->pages && w->page[i].dirty && w->page[i].prot, "page %u reported", i);
		w->page[i].oa |= 1; /* seen */
	}
}

static void do_dirty(struct world *w)
{
	unsigned int first, n, i, k;
	bool clear = rnd(w, 2);

	rnd_range(w, &first, &n);
	CHECK(w, pt_read_dirty(&w->pt, ia_of(w, first), n * w->size, clear, on_dirty, w) >= 0, "dirty");
	for (i = first; i < first + n; i++) {
		CHECK(w, !w->page[i].dirty || (w->page[i].oa & 1), "page %u is dirty, not reported", i);
		w->page[i].oa &= ~UINT64_C(1);
	}
	/* A leaf that sticks out of the range is clean as a whole. */
	for (i = first; clear && i < first + n;) {
		unsigned int lg2 = 0, leaf = i;

		if (leaf_entry(w, ia_of(w, i), &lg2))
			leaf = (unsigned int)(((ia_of(w, i) & ~((UINT64_C(1) << lg2) - 1)) - w->c.base) / w->size);
		else
			lg2 = w->lg2;
		for (k = 0; k < 1u << (lg2 - w->lg2); k++)
			w->page[leaf + k].dirty = false;
		i = leaf + (1u << (lg2 - w->lg2));
	}
}

static void check_page(struct world *w, unsigned int i)
{
	const struct page *p = &w->page[i];
	struct pt_leaf leaf = {0};
	uint64_t off = rnd(w, w->size);
	int err = pt_lookup(&w->pt, ia_of(w, i) + off, &leaf);

	CHECK(w, err == (p->prot ? 0 : -ENOENT), "page %u: %d", i, err);
	if (err)
		return;
	CHECK(w, leaf.oa == p->oa + off && leaf.prot == seen_prot(w, p->prot) && leaf.dirty == p->dirty,
	      "page %u: oa %#" PRIx64 " want %#" PRIx64 ", prot %#x, dirty %d", i, leaf.oa, p->oa + off, leaf.prot,
	      leaf.dirty);
	CHECK(w, (w->c.sizes >> leaf.lg2) & 1, "page %u: leaf of 2^%u", i, leaf.lg2);
}

static void check_all(struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->pages; i++)
		check_page(w, i);
}

static void run(const struct conf *c, uint64_t seed, unsigned int nth, unsigned int ops)
{
	struct world w = {.c = *c, .seed = seed, .rng = (seed * 64 + nth) * UINT64_C(0x9e3779b97f4a7c15) | 1};
	uint64_t n = 0;
	unsigned int i;

	w.size = c->sizes & -c->sizes;
	w.lg2 = w.size == K4 ? 12 : w.size == K16 ? 14 : 16;
	w.index = w.lg2 - 3;
	w.pages = w.size == K4 ? PAGES : w.size == K16 ? PAGES16 : PAGES64;
	w.page = calloc(w.pages, sizeof(*w.page));
	CHECK(&w, w.page && mem_init_process(&w.mem) == 0 && (w.pool = mem_pool_new(&w.mem)), "memory");
	w.pt.pool = w.pool;
	w.pt.levels = c->levels;
	w.pt.pgsizes = c->sizes;
	w.pt.concat_lg2 = c->concat;
	CHECK(&w, pt_init(&w.pt, c->fmt) == 0, "init");
	for (w.op = 0; w.op < ops; w.op++) {
		switch (rnd(&w, 10)) {
		case 0: case 1: case 2: case 3:
			do_map(&w);
			break;
		case 4: case 5: case 6:
			do_unmap(&w);
			break;
		case 7: case 8:
			do_access(&w);
			break;
		default:
			do_dirty(&w);
			break;
		}
		for (i = 0; i < 20; i++)
			check_page(&w, (unsigned int)rnd(&w, w.pages));
		if (w.op % 64 == 63)
			check_all(&w);
	}
	check_all(&w);
	CHECK(&w, pt_unmap(&w.pt, c->base, w.pages * w.size, &n, &w.g) == 0, "unmap all");
	for (i = 0; i < w.pages; i++)
		n -= w.page[i].prot ? w.size : 0;
	CHECK(&w, n == 0, "bytes unmapped at the end");
	pt_gather_free(&w.pt, &w.g);
	pt_fini(&w.pt);
	CHECK(&w, mem_pool_used(w.pool) == 0, "tables left over");
	mem_pool_free(w.pool);
	mem_fini(&w.mem);
	free(w.page);
}

int main(int argc, char **argv)
{
	static const uint64_t all = K4 | M2 | G1;
	const uint64_t window = PAGES * K4, window16 = PAGES16 * K16, window64 = PAGES64 * K64;
	const uint64_t t16 = K16 | M32, t64 = K64 | M512;
	const struct conf confs[] = {
		{&pt_fmt_vtdss, 3, all, 511 * G1 - window - 3 * M2, 0, 0},
		{&pt_fmt_vtdss, 3, all, (UINT64_C(1) << 39) - window, 0, 0},
		{&pt_fmt_vtdss, 4, K4, 0, 0, 0},
		{&pt_fmt_vtdss, 4, K4 | M2, (UINT64_C(1) << 39) - G1, 0, 0},
		{&pt_fmt_vtdss, 4, K4 | G1, 5 * G1 - M2, 0, 0},
		{&pt_fmt_vtdss, 5, all, (UINT64_C(1) << 57) - window, 0, 0},
		{&pt_fmt_vtdss, 5, all, (UINT64_C(1) << 48) - G1, 0, 0},
		{&pt_fmt_x86_64, 4, all, 0, 0, 0},
		{&pt_fmt_x86_64, 4, K4 | M2, (UINT64_C(1) << 47) - window, 0, 0},
		{&pt_fmt_x86_64, 4, all, UINT64_MAX - window + 1, 0, 0},
		{&pt_fmt_x86_64, 4, K4 | G1, UINT64_C(0xffff800000000000), 0, 0},
		{&pt_fmt_x86_64, 5, all, (UINT64_C(1) << 56) - window, 0, 0},
		{&pt_fmt_x86_64, 5, all, UINT64_MAX - window + 1, 0, 0},
		{&pt_fmt_arm64_s1_4k, 4, all, 0, 1, 0},
		{&pt_fmt_arm64_s1_4k, 4, all, (UINT64_C(1) << 48) - window, 1, 0},
		{&pt_fmt_arm64_s1_4k, 3, K4 | M2, (UINT64_C(1) << 39) - window, 1, 0},
		{&pt_fmt_arm64_s1_16k, 4, t16, (UINT64_C(1) << 48) - window16, 1, 0},
		{&pt_fmt_arm64_s1_16k, 3, t16, 3 * M32, 1, 0},
		{&pt_fmt_arm64_s1_64k, 3, t64, (UINT64_C(1) << 52) - window64, 1, 0},
		{&pt_fmt_arm64_s1_64k, 2, K64, 0, 1, 0},
		{&pt_fmt_arm64_s2_4k, 4, all, (UINT64_C(1) << 48) - window, 2, 0},
		{&pt_fmt_arm64_s2_4k, 3, all, (UINT64_C(1) << 39) - G1, 2, 1},
		{&pt_fmt_arm64_s2_4k, 3, K4 | M2, (UINT64_C(1) << 42) - window, 2, 3},
		{&pt_fmt_arm64_s2_16k, 3, t16, (UINT64_C(1) << 47) - 3 * M32, 2, 1},
		{&pt_fmt_arm64_s2_16k, 2, t16, (UINT64_C(5) << 36) - 4 * M32, 2, 4},
		{&pt_fmt_arm64_s2_16k, 2, t16, (UINT64_C(1) << 40) - window16, 2, 4},
		{&pt_fmt_arm64_s2_64k, 3, t64, (UINT64_C(1) << 52) - window64, 2, 0},
		{&pt_fmt_arm64_s2_64k, 2, t64, (UINT64_C(3) << 42) - M512, 2, 2},
	};
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, last = argc > 1 ? seed : 2;
	unsigned int ops = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 300, i, n = 0;

	if (guard_init())
		return 1;
	for (; seed <= last; seed++)
		for (i = 0; i < sizeof(confs) / sizeof(confs[0]); i++, n++)
			run(&confs[i], seed, i, ops);
	printf("prop_pt: %u runs of %u operations, seeds up to %" PRIu64 "\n", n, ops, last);
	return 0;
}
