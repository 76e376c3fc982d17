/* SPDX-License-Identifier: BSD-3-Clause */
/* pt: entries bit by bit, errors that leave nothing behind, order of stores and flushes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "pt/pt.h"

#define K4  UINT64_C(0x1000)
#define M2  UINT64_C(0x200000)
#define G1  UINT64_C(0x40000000)
#define RW  (PT_READ | PT_WRITE)
#define ALL (K4 | M2 | G1)

struct rig {
	struct mem mem;
	struct mem_pool *pool;
	struct pt pt;
	struct pt_gather g;
};

static void rig_up(struct rig *r, const struct pt_fmt *fmt, uint8_t levels, uint64_t sizes)
{
	memset(r, 0, sizeof(*r));
	assert_int_equal(guard_init(), 0);
	assert_int_equal(mem_init_process(&r->mem), 0);
	r->pool = mem_pool_new(&r->mem);
	assert_non_null(r->pool);
	r->pt.pool = r->pool;
	r->pt.levels = levels;
	r->pt.pgsizes = sizes;
	assert_int_equal(pt_init(&r->pt, fmt), 0);
}

/* Every page must come back: mem_pool_free() asserts it. */
static void rig_down(struct rig *r)
{
	pt_gather_free(&r->pt, &r->g);
	pt_fini(&r->pt);
	mem_pool_free(r->pool);
	mem_fini(&r->mem);
}

/* The raw entry at `depth` tables below the root, with the shifts of the manual written out. */
static uint64_t raw(const struct rig *r, uint64_t ia, unsigned int depth)
{
	static const unsigned int shift[] = {12, 21, 30, 39, 48};
	const uint64_t *t = r->pt.root;
	unsigned int level = r->pt.levels - 1u;

	for (;; level--, depth--) {
		uint64_t e = t[(ia >> shift[level]) % 512];

		if (depth == 0)
			return e;
		assert_true(e != 0);
		t = (const uint64_t *)(uintptr_t)(e & UINT64_C(0x000ffffffffff000));
	}
}

static void second_stage_entries(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 4, ALL);
	assert_int_equal(pt_map(&r.pt, K4, 0x123456000, K4, PT_READ, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 2 * K4, 0x5000, K4, PT_WRITE, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, 3 * K4, 0xffffffffff000, K4, RW | PT_SNOOP, &r.g), 0);
	assert_int_equal(raw(&r, K4, 3), 0x123456001);
	assert_int_equal(raw(&r, 2 * K4, 3), 0x5002);
	assert_int_equal(raw(&r, 3 * K4, 3), 0xffffffffff803);
	assert_int_equal(raw(&r, K4, 2) & 0xfff, 3);
	assert_int_equal(raw(&r, K4, 0) & 0xfff, 3);
	assert_int_equal(pt_map(&r.pt, M2, 4 * M2, M2, RW | PT_SNOOP, &r.g), 0);
	assert_int_equal(raw(&r, M2, 2), 4 * M2 + 0x883);
	assert_int_equal(pt_map(&r.pt, G1, 8 * G1, G1, PT_READ, &r.g), 0);
	assert_int_equal(raw(&r, G1, 1), 8 * G1 + 0x81);
	assert_int_equal(pt_ia_lg2(&r.pt), 48);
	rig_down(&r);
}

static void first_stage_entries(void **state)
{
	struct rig r;
	uint64_t high = UINT64_C(0xffff800000000000);

	(void)state;
	rig_up(&r, &pt_fmt_x86_64, 4, ALL);
	assert_int_equal(pt_map(&r.pt, 0, 0x7000, K4, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, K4, 0x8000, K4, PT_READ, &r.g), 0);
	assert_int_equal(raw(&r, 0, 3), 0x7067);
	assert_int_equal(raw(&r, K4, 3), 0x8025);
	assert_int_equal(raw(&r, 0, 2) & 0xfff, 0x27);
	assert_int_equal(pt_map(&r.pt, high, M2, M2, RW, &r.g), 0);
	assert_int_equal(raw(&r, high, 2), M2 + 0xe7);
	/* Split: bit 7 means PAT in a last-level entry, and must not stay. */
	assert_int_equal(pt_unmap(&r.pt, high, K4, NULL, &r.g), 0);
	assert_int_equal(raw(&r, high + 3 * K4, 3), M2 + 3 * K4 + 0x67);
	assert_int_equal(pt_map(&r.pt, UINT64_MAX - K4 + 1, 0, K4, RW, &r.g), 0);
	/* The hole between the halves, and a range that runs into it. */
	assert_int_equal(pt_map(&r.pt, UINT64_C(1) << 47, 0, K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 47) - K4, 0, 2 * K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, high - K4, 0, 2 * K4, RW, &r.g), -ERANGE);
	rig_down(&r);

	rig_up(&r, &pt_fmt_x86_64, 5, ALL);
	assert_int_equal(pt_map(&r.pt, (UINT64_C(1) << 56) - K4, 0x9000, K4, RW, &r.g), 0);
	assert_int_equal(raw(&r, (UINT64_C(1) << 56) - K4, 4), 0x9067);
	assert_int_equal(pt_ia_lg2(&r.pt), 57);
	rig_down(&r);
}

static void largest_leaves(void **state)
{
	struct pt_leaf leaf;
	struct rig r;

	(void)state;
	/* From 1 GiB - 2 MiB - 4 KiB to 2 GiB + 4 KiB: 4K 2M 1G 4K. */
	rig_up(&r, &pt_fmt_vtdss, 3, ALL);
	assert_int_equal(pt_map(&r.pt, G1 - M2 - K4, 4 * G1 - M2 - K4, G1 + M2 + 2 * K4, RW, &r.g), 0);
	assert_int_equal(pt_lookup(&r.pt, G1 - M2 - K4, &leaf), 0);
	assert_int_equal(leaf.lg2, 12);
	assert_int_equal(pt_lookup(&r.pt, G1 - M2, &leaf), 0);
	assert_int_equal(leaf.lg2, 21);
	assert_int_equal(pt_lookup(&r.pt, G1 + 12345, &leaf), 0);
	assert_int_equal(leaf.lg2, 30);
	assert_int_equal(leaf.oa, 4 * G1 + 12345);
	assert_int_equal(leaf.prot, RW);
	assert_int_equal(pt_lookup(&r.pt, 2 * G1, &leaf), 0);
	assert_int_equal(leaf.lg2, 12);
	assert_int_equal(pt_lookup(&r.pt, 2 * G1 + K4, &leaf), -ENOENT);
	/* Output not aligned like the input: small leaves only. */
	assert_int_equal(pt_map(&r.pt, 4 * G1, 8 * G1 + K4, 2 * M2, RW, &r.g), 0);
	assert_int_equal(pt_lookup(&r.pt, 4 * G1 + M2, &leaf), 0);
	assert_int_equal(leaf.lg2, 12);
	assert_int_equal(leaf.oa, 8 * G1 + K4 + M2);
	rig_down(&r);
}

static void refusals(void **state)
{
	struct rig r;
	struct pt bad = {0};
	uint64_t n;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 3, K4);
	assert_int_equal(pt_map(&r.pt, 1, 0, K4, RW, &r.g), -EINVAL);
	assert_int_equal(pt_map(&r.pt, 0, 1, K4, RW, &r.g), -EINVAL);
	assert_int_equal(pt_map(&r.pt, 0, 0, 1, RW, &r.g), -EINVAL);
	assert_int_equal(pt_map(&r.pt, 0, 0, 0, RW, &r.g), -EINVAL);
	assert_int_equal(pt_map(&r.pt, 0, 0, K4, 0, &r.g), -EINVAL);
	assert_int_equal(pt_map(&r.pt, 512 * G1, 0, K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, 512 * G1 - K4, 0, 2 * K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, UINT64_MAX - K4 + 1, 0, 2 * K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, 0, UINT64_C(1) << 52, K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, 0, (UINT64_C(1) << 52) - K4, 2 * K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_map(&r.pt, 0, UINT64_MAX - K4 + 1, 2 * K4, RW, &r.g), -ERANGE);
	assert_int_equal(pt_unmap(&r.pt, 0, 3, &n, &r.g), -EINVAL);
	assert_int_equal(pt_unmap(&r.pt, 512 * G1, K4, &n, &r.g), -EINVAL);
	assert_int_equal(r.pt.npages, 1);
	bad.pool = r.pool;
	bad.levels = 2;
	bad.pgsizes = K4;
	assert_int_equal(pt_init(&bad, &pt_fmt_vtdss), -EINVAL);
	bad.levels = 3;
	assert_int_equal(pt_init(&bad, &pt_fmt_x86_64), -EINVAL);
	bad.pgsizes = M2;
	assert_int_equal(pt_init(&bad, &pt_fmt_vtdss), -EINVAL);
	bad.pgsizes = K4 | 0x2000;
	assert_int_equal(pt_init(&bad, &pt_fmt_vtdss), -EINVAL);
	rig_down(&r);
}

/* A collision anywhere takes back what was mapped before it, and touches nothing that was there. */
static void collision_maps_nothing(void **state)
{
	static const uint64_t obstacle[] = {K4, M2 - K4, M2, 5 * M2 + 7 * K4, G1 - K4, G1, G1 + K4};
	struct pt_leaf leaf;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(obstacle) / sizeof(obstacle[0]); i++) {
		struct rig r;
		uint64_t ia;

		rig_up(&r, &pt_fmt_vtdss, 4, ALL);
		assert_int_equal(pt_map(&r.pt, obstacle[i], 0x77000, K4, PT_READ, &r.g), 0);
		assert_int_equal(pt_map(&r.pt, 0, 4 * G1, 2 * G1, RW, &r.g), -EADDRINUSE);
		for (ia = 0; ia < 2 * G1; ia += K4) {
			int want = ia == obstacle[i] ? 0 : -ENOENT;

			if (pt_lookup(&r.pt, ia, &leaf) != want)
				fail_msg("obstacle %#lx: page %#lx", (long)obstacle[i], (long)ia);
		}
		assert_int_equal(pt_lookup(&r.pt, obstacle[i], &leaf), 0);
		assert_int_equal(leaf.oa, 0x77000);
		rig_down(&r);
	}
}

/* Every allocation of a map, and of a split, fails once. */
static void no_memory(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 1;; n++) {
		struct pt_leaf leaf;
		struct rig r;
		uint64_t ia;
		int err;

		rig_up(&r, &pt_fmt_x86_64, 5, K4 | G1);
		assert_int_equal(pt_map(&r.pt, 0, 0, G1, RW, &r.g), 0);
		nb_fail_nth_arm(n);
		err = pt_map(&r.pt, 3 * G1 - 2 * M2, K4, 4 * M2, RW, &r.g);
		if (err == 0)
			err = pt_unmap(&r.pt, G1 - K4, K4, NULL, &r.g); /* 513 tables */
		if (!nb_fail_nth_fired()) {
			assert_int_equal(err, 0);
			assert_true(n > 513);
			assert_int_equal(pt_lookup(&r.pt, G1 - K4, &leaf), -ENOENT);
			assert_int_equal(pt_lookup(&r.pt, G1 - 2 * K4, &leaf), 0);
			rig_down(&r);
			break;
		}
		assert_int_equal(err, -ENOMEM);
		/* The 1 GiB leaf is whole, the other range is all or nothing. */
		assert_int_equal(pt_lookup(&r.pt, G1 - K4, &leaf), 0);
		assert_int_equal(leaf.lg2, 30);
		err = pt_lookup(&r.pt, 3 * G1 - 2 * M2, &leaf);
		for (ia = 3 * G1 - 2 * M2; ia < 3 * G1 + 2 * M2; ia += K4)
			assert_int_equal(pt_lookup(&r.pt, ia, &leaf), err);
		rig_down(&r);
	}
}

static void empty_table_makes_room(void **state)
{
	struct pt_leaf leaf;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 4, ALL);
	assert_int_equal(pt_map(&r.pt, K4, 0, K4, RW, &r.g), 0);
	assert_int_equal(pt_unmap(&r.pt, K4, K4, NULL, &r.g), 0);
	assert_int_equal(r.pt.npages, 4);
	assert_null(r.g.pages);
	assert_int_equal(pt_map(&r.pt, 0, G1, G1, RW, &r.g), 0);
	assert_int_equal(r.g.npages, 2); /* two levels of empty tables went */
	assert_int_equal(r.pt.npages, 2);
	assert_int_equal(pt_lookup(&r.pt, K4, &leaf), 0);
	assert_int_equal(leaf.lg2, 30);
	rig_down(&r);
}

static void unmap_frees_whole_tables(void **state)
{
	struct rig r;
	uint64_t n, *leaf_table, *dir;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 4, K4);
	assert_int_equal(pt_map(&r.pt, 0, 0, 4 * M2, RW, &r.g), 0);
	assert_int_equal(r.pt.npages, 1 + 2 + 4);
	dir = (uint64_t *)(uintptr_t)(raw(&r, 0, 1) & ~UINT64_C(0xfff));
	leaf_table = (uint64_t *)(uintptr_t)(raw(&r, 0, 2) & ~UINT64_C(0xfff));
	assert_int_equal(pt_unmap(&r.pt, 0, 2 * M2 + K4, &n, &r.g), 0);
	assert_int_equal(n, 2 * M2 + K4);
	assert_int_equal(r.g.npages, 2);
	assert_int_equal(r.pt.npages, 5);
	assert_int_equal(dir[0], 0);
	assert_int_equal(dir[1], 0);
	assert_true(dir[2] != 0);
	/* A walk that is still in the gathered table sees old translations or nothing present. */
	assert_int_equal(leaf_table[0] & 3, 0);
	assert_int_equal(leaf_table[1], K4 | 3);
	assert_int_equal(leaf_table[511], 511 * K4 + 3);
	/* A hole and the rest. */
	assert_int_equal(pt_unmap(&r.pt, 0, 512 * G1, &n, &r.g), 0);
	assert_int_equal(n, 2 * M2 - K4);
	assert_int_equal(r.pt.npages, 1);
	rig_down(&r);
}

static void split(void **state)
{
	struct pt_leaf leaf;
	struct rig r;
	uint64_t n, *root;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 3, ALL);
	assert_int_equal(pt_map(&r.pt, 0, 4 * G1, 2 * G1, PT_READ | PT_WRITE | PT_SNOOP, &r.g), 0);
	root = r.pt.root;
	root[0] |= 0x300; /* hardware: accessed and dirty */
	/* End inside the first leaf, start inside the second. */
	assert_int_equal(pt_unmap(&r.pt, 0, M2 + K4, &n, &r.g), 0);
	assert_int_equal(n, M2 + K4);
	assert_int_equal(pt_lookup(&r.pt, M2, &leaf), -ENOENT);
	assert_int_equal(pt_lookup(&r.pt, M2 + K4, &leaf), 0);
	assert_int_equal(leaf.lg2, 12);
	assert_int_equal(leaf.oa, 4 * G1 + M2 + K4);
	assert_true(leaf.dirty);
	assert_int_equal(leaf.prot, RW | PT_SNOOP);
	assert_int_equal(raw(&r, M2 + K4, 2), (4 * G1 + M2 + K4) | 0xb03); /* no PS in a last-level entry */
	assert_int_equal(pt_lookup(&r.pt, 3 * M2, &leaf), 0);
	assert_int_equal(leaf.lg2, 21);
	assert_int_equal(raw(&r, 3 * M2, 1), (4 * G1 + 3 * M2) | 0xb83);
	assert_int_equal(pt_unmap(&r.pt, 2 * G1 - K4, K4, &n, &r.g), 0);
	assert_int_equal(n, K4);
	assert_int_equal(pt_lookup(&r.pt, 2 * G1 - 2 * K4, &leaf), 0);
	assert_int_equal(leaf.oa, 6 * G1 - 2 * K4);
	assert_false(leaf.dirty);
	rig_down(&r);

	/* Hardware without the size between: 1 GiB falls into 4 KiB. */
	rig_up(&r, &pt_fmt_vtdss, 3, K4 | G1);
	assert_int_equal(pt_map(&r.pt, 0, 4 * G1, G1, RW, &r.g), 0);
	assert_int_equal(pt_unmap(&r.pt, 0, M2, &n, &r.g), 0);
	assert_int_equal(pt_lookup(&r.pt, 5 * M2, &leaf), 0);
	assert_int_equal(leaf.lg2, 12);
	assert_int_equal(leaf.oa, 4 * G1 + 5 * M2);
	rig_down(&r);
}

struct seen {
	uint64_t ia[8], len[8];
	unsigned int n;
};

static void note(void *opaque, uint64_t ia, uint64_t len)
{
	struct seen *s = opaque;

	assert_true(s->n < 8);
	s->ia[s->n] = ia;
	s->len[s->n++] = len;
}

static void dirty(void **state)
{
	struct seen s = {{0}, {0}, 0};
	uint64_t *root, *dir, *last;
	struct rig r;

	(void)state;
	rig_up(&r, &pt_fmt_vtdss, 3, ALL);
	assert_int_equal(pt_map(&r.pt, 0, 0, M2 + 19 * K4, RW, &r.g), 0);
	assert_int_equal(pt_map(&r.pt, G1, G1, G1, RW, &r.g), 0);
	assert_int_equal(pt_read_dirty(&r.pt, 0, 2 * G1, true, note, &s), 0);
	root = r.pt.root;
	dir = (uint64_t *)(uintptr_t)(root[0] & ~UINT64_C(0xfff));
	last = (uint64_t *)(uintptr_t)(dir[1] & ~UINT64_C(0xfff));
	dir[0] |= 0x200;
	last[7] |= 0x200;
	last[18] |= 0x300;
	root[1] |= 0x300;
	/* Clipped to what was asked for, not cleared. */
	assert_int_equal(pt_read_dirty(&r.pt, K4, G1, false, note, &s), 4);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.ia[0], K4);
	assert_int_equal(s.len[0], M2 - K4);
	assert_int_equal(s.ia[1], M2 + 7 * K4);
	assert_int_equal(s.len[1], K4);
	assert_int_equal(s.ia[2], M2 + 18 * K4);
	assert_int_equal(s.ia[3], G1);
	assert_int_equal(s.len[3], K4);
	s.n = 0;
	assert_int_equal(pt_read_dirty(&r.pt, M2, 18 * K4, true, note, &s), 1);
	assert_int_equal(pt_read_dirty(&r.pt, 0, 2 * G1, true, NULL, NULL), 3);
	assert_int_equal(pt_read_dirty(&r.pt, 0, 2 * G1, true, NULL, NULL), 0);
	assert_int_equal(last[18], (M2 + 18 * K4) | 0x103); /* A stays */
	assert_int_equal(pt_read_dirty(&r.pt, 0, 512 * G1 + K4, true, NULL, NULL), -EINVAL);
	rig_down(&r);
}

/*
 * What a walker that does not snoop sees: pages as they were at their last flush. Whenever an
 * entry becomes visible, the table that it leads to must be visible as it is.
 */
#define NSHADOW 64
static struct {
	const uint64_t *page[NSHADOW];
	uint64_t copy[NSHADOW][512];
	unsigned int n;
	bool checking;
} shadow;

static unsigned int shadow_of(const uint64_t *page)
{
	unsigned int i;

	for (i = 0; i < shadow.n && shadow.page[i] != page; i++)
		;
	if (i == shadow.n) {
		assert_true(shadow.n < NSHADOW);
		shadow.page[shadow.n++] = page;
	}
	return i;
}

static void shadow_flush(void *opaque, const void *p, size_t len)
{
	const uint64_t *page = (const uint64_t *)((uintptr_t)p & ~(uintptr_t)0xfff);
	size_t first = ((uintptr_t)p & 0xfff) / 8, i;
	unsigned int s = shadow_of(page);

	(void)opaque;
	assert_true(len % 8 == 0 && first + len / 8 <= 512);
	for (i = first; i < first + len / 8; i++) {
		shadow.copy[s][i] = page[i];
		if ((page[i] & 0x83) == 3 && page[i] >> 40) { /* outputs lie below 1 TiB, tables above: a table */
			const uint64_t *child = (const uint64_t *)(uintptr_t)(page[i] & ~UINT64_C(0xfff));

			assert_memory_equal(shadow.copy[shadow_of(child)], child, 4096);
		}
	}
}

static void shadow_walk(const uint64_t *t, unsigned int level)
{
	unsigned int i;

	assert_memory_equal(shadow.copy[shadow_of(t)], t, 4096);
	for (i = 0; level > 0 && i < 512; i++)
		if ((t[i] & 0x83) == 3)
			shadow_walk((const uint64_t *)(uintptr_t)(t[i] & ~UINT64_C(0xfff)), level - 1);
}

static void flush_before_publish(void **state)
{
	struct rig r;

	(void)state;
	memset(&shadow, 0, sizeof(shadow));
	rig_up(&r, &pt_fmt_vtdss, 4, ALL);
	if ((uintptr_t)r.pt.root >> 40 == 0)
		skip();
	r.pt.flush = shadow_flush;
	shadow_flush(NULL, r.pt.root, 4096);
	assert_int_equal(pt_map(&r.pt, G1 - 3 * K4, M2 + K4, 2 * M2, RW, &r.g), 0);
	shadow_walk(r.pt.root, 3);
	assert_int_equal(pt_map(&r.pt, 4 * G1, 8 * G1, 2 * G1 + M2 + K4, RW, &r.g), 0);
	shadow_walk(r.pt.root, 3);
	assert_int_equal(pt_unmap(&r.pt, 5 * G1, M2 + K4, NULL, &r.g), 0);
	shadow_walk(r.pt.root, 3);

	assert_int_equal(pt_read_dirty(&r.pt, 0, 8 * G1, true, NULL, NULL), 0);
	assert_int_equal(pt_unmap(&r.pt, 0, 512 * G1, NULL, &r.g), 0);
	shadow_walk(r.pt.root, 3);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_stage_entries),
		cmocka_unit_test(first_stage_entries),
		cmocka_unit_test(largest_leaves),
		cmocka_unit_test(refusals),
		cmocka_unit_test(collision_maps_nothing),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(empty_table_makes_room),
		cmocka_unit_test(unmap_frees_whole_tables),
		cmocka_unit_test(split),
		cmocka_unit_test(dirty),
		cmocka_unit_test(flush_before_publish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
