/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/area_tree.h"

#include <stddef.h>

static int height(const struct area_node *n)
{
	return n ? n->height : 0;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Recompute what n says about its subtree from its children. True: it changed. */
static bool refresh(struct area_node *n)
{
	const struct area_node *l = n->left, *r = n->right;
	uint64_t first = l ? l->sub_first : n->first;
	uint64_t last = r ? r->sub_last : n->last;
	uint64_t gap = 0;
	int h = height(l) > height(r) ? height(l) + 1 : height(r) + 1;
	bool changed;

	if (l)
		gap = max64(l->sub_gap, n->first - l->sub_last - 1);
	if (r)
		gap = max64(gap, max64(r->sub_gap, r->sub_first - n->last - 1));
	changed = n->sub_first != first || n->sub_last != last || n->sub_gap != gap || n->height != h;
	n->sub_first = first;
	n->sub_last = last;
	n->sub_gap = gap;
	n->height = h;
	return changed;
}

static void replace_child(struct area_tree *t, struct area_node *up, struct area_node *was, struct area_node *is)
{
	if (!up)
		t->root = is;
	else if (up->left == was)
		up->left = is;
	else
		up->right = is;
	if (is)
		is->up = up;
}

/* The right child comes up; both subtrees' facts are refreshed. Returns the new top. */
static struct area_node *rotate_left(struct area_tree *t, struct area_node *n)
{
	struct area_node *r = n->right;

	replace_child(t, n->up, n, r);
	n->right = r->left;
	if (n->right)
		n->right->up = n;
	r->left = n;
	n->up = r;
	refresh(n);
	refresh(r);
	return r;
}

static struct area_node *rotate_right(struct area_tree *t, struct area_node *n)
{
	struct area_node *l = n->left;

	replace_child(t, n->up, n, l);
	n->left = l->right;
	if (n->left)
		n->left->up = n;
	l->right = n;
	n->up = l;
	refresh(n);
	refresh(l);
	return l;
}

/* Something changed below n: put facts and balance right up to the root, or to where nothing changes any more. */
static void retrace(struct area_tree *t, struct area_node *n)
{
	while (n) {
		bool changed = refresh(n);
		int lean = height(n->left) - height(n->right);

		if (lean > 1) {
			if (height(n->left->left) < height(n->left->right))
				rotate_left(t, n->left);
			n = rotate_right(t, n);
		} else if (lean < -1) {
			if (height(n->right->right) < height(n->right->left))
				rotate_right(t, n->right);
			n = rotate_left(t, n);
		} else if (!changed) {
			return;
		}
		n = n->up;
	}
}

bool area_tree_insert(struct area_tree *t, struct area_node *n)
{
	struct area_node *up = NULL, **link = &t->root;

	while (*link) {
		up = *link;
		if (n->last < up->first)
			link = &up->left;
		else if (n->first > up->last)
			link = &up->right;
		else
			return false;
	}
	n->left = n->right = NULL;
	n->up = up;
	n->height = 1;
	n->sub_first = n->first;
	n->sub_last = n->last;
	n->sub_gap = 0;
	*link = n;
	retrace(t, up);
	return true;
}

void area_tree_erase(struct area_tree *t, struct area_node *n)
{
	struct area_node *from;

	if (n->left && n->right) {
		struct area_node *s = n->right; /* the successor takes n's place */

		while (s->left)
			s = s->left;
		if (s->up == n) {
			from = s;
		} else {
			from = s->up;
			from->left = s->right;
			if (s->right)
				s->right->up = from;
			s->right = n->right;
			s->right->up = s;
		}
		s->left = n->left;
		s->left->up = s;
		replace_child(t, n->up, n, s);
		/*
		 * s has new children, so what it says is stale; give it n's facts: then a retrace that stops below s stops because
		 * nothing changed there, which must not hide that the ends or holes at s itself did.
		 */
		s->height = n->height;
		s->sub_first = n->sub_first;
		s->sub_last = n->sub_last;
		s->sub_gap = n->sub_gap;
		if (from != s) {
			retrace(t, from);
		}
		retrace(t, s);
	} else {
		from = n->up;
		replace_child(t, n->up, n, n->left ? n->left : n->right);
		retrace(t, from);
	}
	n->left = n->right = n->up = NULL;
}

struct area_node *area_tree_find(const struct area_tree *t, uint64_t first, uint64_t last)
{
	struct area_node *n = t->root, *found = NULL;

	while (n) {
		if (n->last < first) {
			n = n->right;
		} else {
			found = n;
			n = n->first > first ? n->left : NULL;
		}
	}
	return found && found->first <= last ? found : NULL;
}

struct area_node *area_tree_next(const struct area_node *n)
{
	struct area_node *s;

	if (n->right) {
		for (s = n->right; s->left; s = s->left)
			;
		return s;
	}
	for (s = n->up; s && s->right == n; s = s->up)
		n = s;
	return s;
}

struct fit {
	uint64_t len, align, sub;
	uint64_t iova;
};

static bool fit_hole(struct fit *f, uint64_t first, uint64_t last)
{
	uint64_t at;

	if (last - first < f->len - 1)
		return false;
	if (first > UINT64_MAX - (f->align - 1))
		return false;
	at = ((first + f->align - 1) & ~(f->align - 1)) | f->sub;
	if (at >= last || last - at < f->len - 1)
		return false;
	f->iova = at;
	return true;
}

/* n's subtree holds every range that intersects [first, last]. Depth is the tree's height, below 96 for 2^64 nodes. */
static bool fit_below(struct fit *f, const struct area_node *n, uint64_t first, uint64_t last)
{
	while (n) {
		if (n->last < first) {
			n = n->right;
			continue;
		}
		if (n->first > last) {
			n = n->left;
			continue;
		}
		/* n lies in or over the window. Is there any hole that could do? */
		if (n->sub_gap < f->len && (n->sub_first <= first || n->sub_first - first < f->len) &&
		    (n->sub_last >= last || last - n->sub_last < f->len))
			return false;
		if (n->first > first && fit_below(f, n->left, first, n->first - 1))
			return true;
		if (n->last >= last)
			return false;
		first = n->last + 1;
		n = n->right;
	}
	return fit_hole(f, first, last);
}

bool area_tree_fit(const struct area_tree *t, uint64_t first, uint64_t last, uint64_t len, uint64_t align, uint64_t sub,
		   uint64_t *iova)
{
	struct fit f = {.len = len, .align = align, .sub = sub};

	if (len == 0 || first > last || !fit_below(&f, t->root, first, last))
		return false;
	*iova = f.iova;
	return true;
}
