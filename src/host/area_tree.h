/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disjoint ranges of IOVA in a red-black tree whose nodes know the largest hole below them.
 *
 * Links are embedded: inserting and removing need no memory. Every operation is O(log n), fitting over all changes since the
 * last; it skips whole subtrees that have no hole long enough. (Holes that are long enough but badly aligned are looked at one by one.)
 * Ranges are inclusive: an IOVA may be UINT64_MAX.
 *
 * Locking: the owner's.
 */
#ifndef NB_HOST_AREA_TREE_H
#define NB_HOST_AREA_TREE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Facts of a subtree are kept lazily: a change marks the nodes above it stale, up to the first that is stale already, and fitting
 * brings up to date what it looks at. Who never asks for a fit never pays for one. What is stale has only stale nodes above it.
 */
struct area_node {
	uint64_t first, last;
	struct area_node *child[2], *up; /* [0] lower, [1] higher */
	bool red, stale;
	/* Of the subtree: its ends, and the longest hole between two of its ranges. */
	uint64_t sub_first, sub_last, sub_gap;
};

struct area_tree {
	struct area_node *root;
};

/* False: [n->first, n->last] overlaps a range that is there; nothing changed. */
bool area_tree_insert(struct area_tree *t, struct area_node *n);
void area_tree_erase(struct area_tree *t, struct area_node *n);
/* The lowest range that intersects [first, last], or null. */
struct area_node *area_tree_find(const struct area_tree *t, uint64_t first, uint64_t last);
struct area_node *area_tree_next(const struct area_node *n);
static inline struct area_node *area_tree_first(const struct area_tree *t)
{
	return area_tree_find(t, 0, UINT64_MAX);
}

/*
 * The lowest *iova in [first, last] at which len bytes are free, where iova is (the hole's first byte rounded up to align) | sub. align is a
 * power of two, sub < align or sub < page. The last byte of a hole is no place to begin: Linux's rule, kept for equal results.
 */
bool area_tree_fit(struct area_tree *t, uint64_t first, uint64_t last, uint64_t len, uint64_t align, uint64_t sub,
		   uint64_t *iova);

#endif
