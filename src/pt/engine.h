/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine: map, unmap, dirty and lookup over the tables of one format.
 *
 * Included once by each format's source file, after it has defined
 *
 *   FMT_PAGE_LG2, FMT_INDEX_LG2      sizes, constants
 *   fmt_present(e)                   is there a leaf or a table
 *   fmt_is_leaf(e, level)            given that it is present
 *   fmt_leaf(attr, oa, level)        a leaf entry; `attr` from fmt_attr(prot)
 *   fmt_leaf_down(e, level)          the leaf e as the first of the leaves one level below
 *   fmt_leaf_oa(e, level)
 *   fmt_table(pa, level), fmt_table_pa(e)   an entry of a level-`level` table that leads down
 *   fmt_prot(e)                      PT_* of a leaf
 *   fmt_dirty(e)                     non-zero when the leaf is dirty; 0 for any other word
 *   fmt_clean(e)                     the same leaf, not dirty
 *   FMT_MAX_CONCAT_LG2               if a root may be several tables: log2 of how many, at most
 *
 * all static inline. Leaves that map consecutive pages differ by the page size
 * and nothing else, in every format we know; the loops rely on it.
 *
 * Order of stores: a table is filled while nothing leads to it, made visible
 * with pt_flush(), and then published by one release store. A table that is
 * taken out is first unlinked, then gathered. So a walk that runs beside us meets
 * complete tables only.
 */
#include <errno.h>

#include "pt/fmt.h"

#define ENTRIES (1u << FMT_INDEX_LG2)

#ifndef FMT_MAX_CONCAT_LG2
#define FMT_MAX_CONCAT_LG2 0
#endif

static inline unsigned int level_lg2(unsigned int level)
{
	return FMT_PAGE_LG2 + level * FMT_INDEX_LG2;
}

static inline uint64_t level_size(unsigned int level)
{
	return BIT(level_lg2(level));
}

static inline unsigned int level_index(uint64_t ia, unsigned int level)
{
	return (unsigned int)(ia >> level_lg2(level)) & (ENTRIES - 1);
}

static inline uint64_t *table_of(const struct pt *pt, uint64_t e)
{
	return mem_page_ptr(pt->pool, hpa(fmt_table_pa(e)));
}

static void free_below(struct pt *pt, uint64_t *t, unsigned int level);

static void free_tree(struct pt *pt, uint64_t *t, unsigned int level)
{
	free_below(pt, t, level);
	pt_table_free(pt, t);
}

static void free_below(struct pt *pt, uint64_t *t, unsigned int level)
{
	unsigned int i;

	for (i = 0; level > 0 && i < ENTRIES; i++) {
		uint64_t e = pt_load(&t[i]);

		if (fmt_present(e) && !fmt_is_leaf(e, level))
			free_tree(pt, table_of(pt, e), level - 1);
	}
}

/* Known when this is compiled, for formats that have no other. */
static inline bool one_root(const struct pt *pt)
{
	return FMT_MAX_CONCAT_LG2 == 0 || likely(pt->concat_lg2 == 0);
}

/*
 * A root of several tables side by side: the one for ia, and the last address up to `last` that it maps. The ordinary root is one
 * table, and bits of ia above it repeat its top bit.
 */
static inline uint64_t *root_part(const struct pt *pt, uint64_t ia)
{
	uint64_t *root = pt->root;

	return one_root(pt) ? root : root + (ia >> level_lg2(pt->levels) << FMT_INDEX_LG2);
}

static inline uint64_t root_part_end(const struct pt *pt, uint64_t ia, uint64_t last)
{
	uint64_t end;

	if (one_root(pt))
		return last;
	end = ia | (level_size(pt->levels) - 1);
	return end < last ? end : last;
}

typedef uint64_t pair __attribute__((vector_size(16), may_alias));

/*
 * n leaves into a table that nobody else sees. The full table is the case that must be fast, and written out as
 * vectors it does not depend on what a compiler makes of the loop.
 */
static void fill_fresh(uint64_t *t, unsigned int n, uint64_t e, uint64_t step)
{
	unsigned int i;

	if (likely(n == ENTRIES) && NB_SWAP64(UINT64_C(1)) == 1) {
		pair v0 = {e, e + step}, v1 = v0 + 2 * step, v2 = v1 + 2 * step, v3 = v2 + 2 * step;
		pair *q = (pair *)(void *)t, *end = q + ENTRIES / 2;

		for (; q < end; q += 4) {
			q[0] = v0;
			q[1] = v1;
			q[2] = v2;
			q[3] = v3;
			v0 += 8 * step;
			v1 += 8 * step;
			v2 += 8 * step;
			v3 += 8 * step;
		}
		return;
	}
	for (i = 0; i < n; i++)
		t[i] = NB_SWAP64(e + i * step);
}

/* ---- map ---- */

static int map_last_level(struct pt_op *op, uint64_t *t, uint64_t first, uint64_t last, bool fresh)
{
	unsigned int i, n = (unsigned int)((last - first) >> FMT_PAGE_LG2) + 1;
	uint64_t e = fmt_leaf(op->attr, first + op->delta, 0);
	uint64_t *slot = &t[level_index(first, 0)];

	if (fresh) {
		fill_fresh(slot, n, e, level_size(0));
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (unlikely(fmt_present(pt_load(&slot[i])))) {
			op->stop = first;
			return -EADDRINUSE;
		}
	}
	for (i = 0; i < n; i++, e += level_size(0))
		pt_store(&slot[i], e);
	pt_flush(op->pt, slot, n * sizeof(*slot));
	return 0;
}

/* No leaf at or below this table; then a large leaf may take its place. */
static bool tree_empty(struct pt *pt, const uint64_t *t, unsigned int level)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++) {
		uint64_t e = pt_load(&t[i]);

		if (!fmt_present(e))
			continue;
		if (level == 0 || fmt_is_leaf(e, level) || !tree_empty(pt, table_of(pt, e), level - 1))
			return false;
	}
	return true;
}

/* The table was unlinked; hardware may still walk it. Counts what it mapped when asked to. */
static void gather_tree(struct pt_op *op, uint64_t *t, unsigned int level)
{
	unsigned int i;

	if (level == 0) {
		uint64_t n = 0;

		for (i = 0; op->counting && i < ENTRIES; i++)
			n += fmt_present(pt_load(&t[i]));
		op->count += n * level_size(0);
	} else {
		for (i = 0; i < ENTRIES; i++) {
			uint64_t e = pt_load(&t[i]);

			if (!fmt_present(e))
				continue;
			if (fmt_is_leaf(e, level))
				op->count += level_size(level);
			else
				gather_tree(op, table_of(op->pt, e), level - 1);
		}
	}
	pt_table_gather(op->pt, t, op->g);
}

static int map_table(struct pt_op *op, uint64_t *t, unsigned int level, uint64_t first, uint64_t last, bool fresh);

/* A large leaf at one slot. */
static int map_leaf(struct pt_op *op, uint64_t *slot, unsigned int level, uint64_t first)
{
	uint64_t old = pt_load(slot);
	uint64_t *empty = NULL;

	if (fmt_present(old)) {
		if (fmt_is_leaf(old, level))
			return -EADDRINUSE;
		empty = table_of(op->pt, old);
		if (!tree_empty(op->pt, empty, level - 1))
			return -EADDRINUSE;
	}
	pt_publish(slot, fmt_leaf(op->attr, first + op->delta, level));
	pt_flush(op->pt, slot, sizeof(*slot));
	if (empty)
		gather_tree(op, empty, level - 1);
	return 0;
}

/* A part of one slot's range, or all of it when no leaf fits: one level down. */
static int map_below(struct pt_op *op, uint64_t *slot, unsigned int level, uint64_t first, uint64_t last)
{
	uint64_t old = pt_load(slot);
	uint64_t *child;
	hpa_t pa;
	int err;

	if (fmt_present(old)) {
		if (fmt_is_leaf(old, level)) {
			op->stop = first;
			return -EADDRINUSE;
		}
		return map_table(op, table_of(op->pt, old), level - 1, first, last, false);
	}
	/* A table of pages that is filled from end to end need not be cleared before. */
	if (level == 1 && last - first == level_size(1) - 1)
		child = pt_table_new_raw(op->pt, &pa);
	else
		child = pt_table_new(op->pt, &pa);
	err = child ? map_table(op, child, level - 1, first, last, true) : -ENOMEM;
	if (err) {
		if (child)
			free_tree(op->pt, child, level - 1);
		op->stop = first;
		return err;
	}
	pt_flush(op->pt, child, ENTRIES * sizeof(*child));
	pt_publish(slot, fmt_table(pa.v, level));
	pt_flush(op->pt, slot, sizeof(*slot));
	return 0;
}

static int map_table(struct pt_op *op, uint64_t *t, unsigned int level, uint64_t first, uint64_t last, bool fresh)
{
	uint64_t size = level_size(level);

	if (level == 0)
		return map_last_level(op, t, first, last, fresh);
	for (;;) {
		uint64_t end = first | (size - 1), *slot = &t[level_index(first, level)];
		int err;

		if (end > last)
			end = last;
		if ((op->pt->pgsizes & size) && nb_aligned(first | (first + op->delta), size) &&
		    end - first == size - 1) {
			err = map_leaf(op, slot, level, first);
			if (err)
				op->stop = first;
		} else {
			err = map_below(op, slot, level, first, end);
		}
		if (err)
			return err;
		if (end == last)
			return 0;
		first = end + 1;
	}
}

static int op_map(struct pt_op *op, uint64_t first, uint64_t last)
{
	for (;;) {
		uint64_t end = root_part_end(op->pt, first, last);
		int err = map_table(op, root_part(op->pt, first), op->pt->levels - 1u, first, end, false);

		if (err || end == last)
			return err;
		first = end + 1;
	}
}

/* ---- unmap ---- */

/*
 * A table of leaves with the rights and the A and D bits of the leaf e of
 * `level`; if hardware has no leaves of the next size, of tables of them.
 */
static uint64_t *split_table(struct pt *pt, uint64_t e, unsigned int level, hpa_t *pa)
{
	uint64_t step = level_size(level - 1);
	uint64_t *t = pt->pgsizes & step ? pt_table_new_raw(pt, pa) : pt_table_new(pt, pa);
	unsigned int i;

	if (!t)
		return NULL;
	e = fmt_leaf_down(e, level);
	if (pt->pgsizes & step) {
		fill_fresh(t, ENTRIES, e, step);
	} else {
		for (i = 0; i < ENTRIES; i++) {
			hpa_t child_pa;

			if (!split_table(pt, e + i * step, level - 1, &child_pa)) {
				free_tree(pt, t, level - 1);
				return NULL;
			}
			t[i] = NB_SWAP64(fmt_table(child_pa.v, level - 1));
		}
	}
	pt_flush(pt, t, ENTRIES * sizeof(*t));
	return t;
}

static int split_leaf(struct pt_op *op, uint64_t *slot, unsigned int level)
{
	for (;;) {
		uint64_t e = pt_load(slot);
		hpa_t pa;
		uint64_t *t = split_table(op->pt, e, level, &pa);

		if (!t)
			return -ENOMEM;
		if (pt_cas(slot, &e, fmt_table(pa.v, level)))
			break;
		/* Hardware set A or D meanwhile: at most once each, so at most two more rounds. */
		free_tree(op->pt, t, level - 1);
	}
	pt_flush(op->pt, slot, sizeof(*slot));
	return 0;
}

static void unmap_last_level(struct pt_op *op, uint64_t *t, uint64_t first, uint64_t last)
{
	unsigned int i, n = (unsigned int)((last - first) >> FMT_PAGE_LG2) + 1;
	uint64_t *slot = &t[level_index(first, 0)];

	if (op->counting) {
		uint64_t present = 0;

		for (i = 0; i < n; i++)
			present += fmt_present(pt_load(&slot[i]));
		op->count += present * level_size(0);
	}
	for (i = 0; i < n; i++)
		pt_store(&slot[i], 0);
	pt_flush(op->pt, slot, n * sizeof(*slot));
}

static int unmap_table(struct pt_op *op, uint64_t *t, unsigned int level, uint64_t first, uint64_t last)
{
	uint64_t size = level_size(level);
	int err;

	if (level == 0) {
		unmap_last_level(op, t, first, last);
		return 0;
	}
	for (;;) {
		uint64_t end = first | (size - 1), *slot = &t[level_index(first, level)];
		uint64_t e = pt_load(slot);

		if (end > last)
			end = last;
		if (!fmt_present(e)) {
			/* a hole */
		} else if (end - first == size - 1) {
			pt_publish(slot, 0);
			pt_flush(op->pt, slot, sizeof(*slot));
			if (fmt_is_leaf(e, level))
				op->count += size;
			else
				gather_tree(op, table_of(op->pt, e), level - 1);
		} else {
			if (fmt_is_leaf(e, level)) {
				err = split_leaf(op, slot, level);
				if (err)
					return err;
				e = pt_load(slot);
			}
			err = unmap_table(op, table_of(op->pt, e), level - 1, first, end);
			if (err)
				return err;
		}
		if (end == last)
			return 0;
		first = end + 1;
	}
}

static int op_unmap(struct pt_op *op, uint64_t first, uint64_t last)
{
	for (;;) {
		uint64_t end = root_part_end(op->pt, first, last);
		int err = unmap_table(op, root_part(op->pt, first), op->pt->levels - 1u, first, end);

		if (err || end == last)
			return err;
		first = end + 1;
	}
}

/* ---- dirty ---- */

static void dirty_leaf(struct pt_op *op, uint64_t *slot, uint64_t first, uint64_t last)
{
	uint64_t e = pt_load(slot);

	if (op->clear) {
		while (!pt_cas(slot, &e, fmt_clean(e)))
			;	/* hardware set A or D: it cannot do so for ever */
		pt_flush(op->pt, slot, sizeof(*slot));
	}
	op->count++;
	if (op->fn)
		op->fn(op->fn_opaque, first, last - first + 1);
}

static void dirty_last_level(struct pt_op *op, uint64_t *t, uint64_t first, uint64_t last)
{
	unsigned int i, k, n = (unsigned int)((last - first) >> FMT_PAGE_LG2) + 1;
	uint64_t *slot = &t[level_index(first, 0)];

	for (i = 0; i < n;) {
		/* Eight clean ones at a time: that is what most of memory looks like. */
		for (; i + 8 <= n; i += 8) {
			uint64_t any = 0;

#pragma GCC unroll 8
			for (k = 0; k < 8; k++)
				any |= fmt_dirty(pt_load(&slot[i + k]));
			if (any)
				break;
		}
		for (k = 0; k < 8 && i < n; k++, i++) {
			uint64_t ia = first + ((uint64_t)i << FMT_PAGE_LG2);

			if (fmt_dirty(pt_load(&slot[i])))
				dirty_leaf(op, &slot[i], ia, ia + level_size(0) - 1);
		}
	}
}

static void dirty_table(struct pt_op *op, uint64_t *t, unsigned int level, uint64_t first, uint64_t last)
{
	uint64_t size = level_size(level);

	if (level == 0) {
		dirty_last_level(op, t, first, last);
		return;
	}
	for (;;) {
		uint64_t end = first | (size - 1), *slot = &t[level_index(first, level)];
		uint64_t e = pt_load(slot);

		if (end > last)
			end = last;
		if (!fmt_present(e))
			; /* a hole */
		else if (!fmt_is_leaf(e, level))
			dirty_table(op, table_of(op->pt, e), level - 1, first, end);
		else if (fmt_dirty(e))
			dirty_leaf(op, slot, first, end);
		if (end == last)
			return;
		first = end + 1;
	}
}

static void op_dirty(struct pt_op *op, uint64_t first, uint64_t last)
{
	for (;;) {
		uint64_t end = root_part_end(op->pt, first, last);

		dirty_table(op, root_part(op->pt, first), op->pt->levels - 1u, first, end);
		if (end == last)
			return;
		first = end + 1;
	}
}

/* ---- lookup ---- */

static int op_lookup(const struct pt *pt, uint64_t ia, struct pt_leaf *leaf)
{
	const uint64_t *t = root_part(pt, ia);
	unsigned int level = pt->levels - 1u;

	for (;; level--) {
		uint64_t e = pt_load_acquire(&t[level_index(ia, level)]);

		if (!fmt_present(e))
			return -ENOENT;
		if (level == 0 || fmt_is_leaf(e, level)) {
			leaf->oa = fmt_leaf_oa(e, level) | (ia & (level_size(level) - 1));
			leaf->lg2 = (uint8_t)level_lg2(level);
			leaf->prot = fmt_prot(e);
			leaf->dirty = fmt_dirty(e) != 0;
			return 0;
		}
		t = table_of(pt, e);
	}
}

/* A format whose entries are not linear in the output address everywhere has a function of its own that calls op_map(). */
#ifndef FMT_MAP
#define FMT_MAP op_map
#endif

#define PT_FMT_ENGINE                                                                                        \
	.page_lg2 = FMT_PAGE_LG2, .index_lg2 = FMT_INDEX_LG2, .max_concat_lg2 = FMT_MAX_CONCAT_LG2,          \
	.prot_ok = fmt_prot_ok, .attr = fmt_attr, .map = FMT_MAP, .unmap = op_unmap, .dirty = op_dirty,      \
	.lookup = op_lookup, .free_below = free_below
