/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/area_tree.h"

#include <stddef.h>

enum { LOW, HIGH };

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
static bool is_red(const struct area_node *n)
{
	return n && n->red;
}

static void mark_stale(struct area_node *n)
{
	for (; n && !n->stale; n = n->up)
		n->stale = true;
}

/* Bring n's facts up to date, and what they are made from. As deep as the tree is high. */
static void refresh(struct area_node *n)
{
	struct area_node *low = n->child[LOW], *high = n->child[HIGH];

	if (!n->stale)
		return;
	n->stale = false;
	n->sub_first = n->first;
	n->sub_last = n->last;
	n->sub_gap = 0;
	if (low) {
		refresh(low);
		n->sub_first = low->sub_first;
		n->sub_gap = max64(low->sub_gap, n->first - low->sub_last - 1);
	}
	if (high) {
		refresh(high);
		n->sub_last = high->sub_last;
		n->sub_gap = max64(n->sub_gap, max64(high->sub_gap, high->sub_first - n->last - 1));
	}
}

static void replace_child(struct area_tree *t, struct area_node *up, struct area_node *was, struct area_node *is)
{
	if (!up)
		t->root = is;
	else
		up->child[up->child[HIGH] == was] = is;
	if (is)
		is->up = up;
}

/* n's child on `side` comes up, n becomes its child on the other. All above is stale already. */
static void rotate(struct area_tree *t, struct area_node *n, int side)
{
	struct area_node *c = n->child[side], *middle = c->child[!side];

	replace_child(t, n->up, n, c);
	n->child[side] = middle;
	if (middle)
		middle->up = n;
	c->child[!side] = n;
	n->up = c;
	n->stale = c->stale = true;
}

bool area_tree_insert(struct area_tree *t, struct area_node *n)
{
	struct area_node *up = NULL, *at = t->root;
	int side = LOW;

	while (at) {
		up = at;
		if (n->last < up->first)
			side = LOW;
		else if (n->first > up->last)
			side = HIGH;
		else
			return false;
		at = up->child[side];
	}
	n->child[LOW] = n->child[HIGH] = NULL;
	n->stale = n->red = true;
	n->up = up;
	if (up)
		up->child[side] = n;
	else
		t->root = n;
	mark_stale(up);

	/* Red below red: pass the upper one on to the grandparent, or turn it. */
	while (is_red(up = n->up)) {
		struct area_node *grand = up->up, *uncle;

		side = grand->child[HIGH] == up;
		uncle = grand->child[!side];
		if (is_red(uncle)) {
			up->red = uncle->red = false;
			grand->red = true;
			n = grand;
			continue;
		}
		if (up->child[!side] == n) {
			rotate(t, up, !side);
			up = n;
		}
		rotate(t, grand, side);
		up->red = false;
		grand->red = true;
		break;
	}
	t->root->red = false;
	return true;
}

/* The side of `up` where n is (it may be null) lacks one black node. */
static void add_black(struct area_tree *t, struct area_node *n, struct area_node *up, int side)
{
	while (up && !is_red(n)) {
		struct area_node *w = up->child[!side]; /* there is one: its side has a black node to spare */

		if (w->red) {
			w->red = false;
			up->red = true;
			rotate(t, up, !side);
			w = up->child[!side];
		}
		if (!is_red(w->child[LOW]) && !is_red(w->child[HIGH])) {
			w->red = true;
			n = up;
			up = n->up;
			side = up && up->child[HIGH] == n;
			continue;
		}
		if (!is_red(w->child[!side])) {
			w->child[side]->red = false;
			w->red = true;
			rotate(t, w, side);
			w = up->child[!side];
		}
		w->red = up->red;
		up->red = false;
		w->child[!side]->red = false;
		rotate(t, up, !side);
		return;
	}
	if (n)
		n->red = false;
}

void area_tree_erase(struct area_tree *t, struct area_node *n)
{
	struct area_node *up = n->up, *s, *rest;
	int side = up && up->child[HIGH] == n;
	bool red = n->red;

	if (!n->child[LOW] || !n->child[HIGH]) {
		rest = n->child[LOW] ? n->child[LOW] : n->child[HIGH];
		replace_child(t, up, n, rest);
	} else {
		/* The successor takes n's place, and what n said about it. */
		for (s = n->child[HIGH]; s->child[LOW]; s = s->child[LOW])
			;
		red = s->red;
		rest = s->child[HIGH];
		up = s->up;
		side = LOW;
		if (up == n) {
			up = s;
			side = HIGH;
		} else {
			up->child[LOW] = rest;
			if (rest)
				rest->up = up;
			s->child[HIGH] = n->child[HIGH];
			s->child[HIGH]->up = s;
		}
		s->child[LOW] = n->child[LOW];
		s->child[LOW]->up = s;
		replace_child(t, n->up, n, s);
		s->red = n->red;
		s->stale = n->stale;
	}
	mark_stale(up);
	if (!red)
		add_black(t, rest, up, side);
}

struct area_node *area_tree_find(const struct area_tree *t, uint64_t first, uint64_t last)
{
	struct area_node *n = t->root, *found = NULL;

	while (n) {
		if (n->last < first) {
			n = n->child[HIGH];
		} else {
			found = n;
			if (n->first <= first)
				break;
			n = n->child[LOW];
		}
	}
	return found && found->first <= last ? found : NULL;
}

struct area_node *area_tree_next(const struct area_node *n)
{
	struct area_node *s;

	if (n->child[HIGH]) {
		for (s = n->child[HIGH]; s->child[LOW]; s = s->child[LOW])
			;
		return s;
	}
	for (s = n->up; s && s->child[HIGH] == n; s = s->up)
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
static bool fit_below(struct fit *f, struct area_node *n, uint64_t first, uint64_t last)
{
	while (n) {
		if (n->last < first) {
			n = n->child[HIGH];
			continue;
		}
		if (n->first > last) {
			n = n->child[LOW];
			continue;
		}
		/* n lies in or over the window. Is there any hole that could do? */
		refresh(n);
		if (n->sub_gap < f->len && (n->sub_first <= first || n->sub_first - first < f->len) &&
		    (n->sub_last >= last || last - n->sub_last < f->len))
			return false;
		if (n->first > first && fit_below(f, n->child[LOW], first, n->first - 1))
			return true;
		if (n->last >= last)
			return false;
		first = n->last + 1;
		n = n->child[HIGH];
	}
	return fit_hole(f, first, last);
}

bool area_tree_fit(struct area_tree *t, uint64_t first, uint64_t last, uint64_t len, uint64_t align, uint64_t sub,
		   uint64_t *iova)
{
	struct fit f = {.len = len, .align = align, .sub = sub};

	if (len == 0 || first > last || !fit_below(&f, t->root, first, last))
		return false;
	*iova = f.iova;
	return true;
}
