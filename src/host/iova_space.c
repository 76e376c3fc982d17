/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/iova_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static int by_first(const void *a, const void *b)
{
	const struct iova_win *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_resv_first(const void *a, const void *b)
{
	const struct iova_resv *x = a, *y = b;

	return by_first(&x->w, &y->w);
}

/* Make both derived lists anew. They have the room: see struct iova_space. */
static void derive(struct iova_space *s)
{
	uint64_t at = 0;
	bool full = false; /* the top of the space is reserved */
	size_t h = 0, a = 0;

	s->nholes = 0;
	for (size_t i = 0; i < s->nresv && !full; i++) {
		const struct iova_win *r = &s->resv[i].w;

		if (r->first > at)
			s->holes[s->nholes++] = (struct iova_win){at, r->first - 1};
		if (r->last == UINT64_MAX)
			full = true;
		else if (r->last >= at)
			at = r->last + 1;
	}
	if (!full)
		s->holes[s->nholes++] = (struct iova_win){at, UINT64_MAX};

	s->nusable = 0;
	if (!s->nallowed) {
		memcpy(s->usable, s->holes, s->nholes * sizeof(*s->usable));
		s->nusable = s->nholes;
		return;
	}
	while (h < s->nholes && a < s->nallowed) {
		const struct iova_win *x = &s->holes[h], *y = &s->allowed[a];
		uint64_t first = x->first > y->first ? x->first : y->first;
		uint64_t last = x->last < y->last ? x->last : y->last;
		struct iova_win *prev = s->nusable ? &s->usable[s->nusable - 1] : NULL;

		if (first <= last && prev && prev->last + 1 == first)
			prev->last = last; /* neighbours are one window */
		else if (first <= last)
			s->usable[s->nusable++] = (struct iova_win){first, last};
		if (x->last < y->last)
			h++;
		else
			a++;
	}
}

/* Room for the derived lists of nresv reservations and nallowed allowed ranges. */
static int make_room(struct iova_space *s, size_t nresv, size_t nallowed)
{
	struct iova_win *holes, *usable;

	holes = nb_realloc(s->holes, nresv + 1, sizeof(*holes));
	if (!holes)
		return -ENOMEM;
	s->holes = holes;
	usable = nb_realloc(s->usable, nresv + 1 + nallowed, sizeof(*usable));
	if (!usable)
		return -ENOMEM;
	s->usable = usable;
	return 0;
}

int iova_space_init(struct iova_space *s)
{
	int err;

	*s = (struct iova_space){0};
	err = make_room(s, 0, 0);
	if (err)
		iova_space_fini(s);
	else
		derive(s);
	return err;
}

void iova_space_fini(struct iova_space *s)
{
	nb_free(s->resv);
	nb_free(s->allowed);
	nb_free(s->holes);
	nb_free(s->usable);
	*s = (struct iova_space){0};
}

static bool hits(const struct iova_win *w, size_t n, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i].first <= last && first <= w[i].last)
			return true;
	}
	return false;
}

int iova_space_reserve(struct iova_space *s, uint64_t first, uint64_t last, const void *owner)
{
	struct iova_resv *resv;
	int err;

	if (hits(s->allowed, s->nallowed, first, last))
		return -EADDRINUSE;
	err = make_room(s, s->nresv + 1, s->nallowed);
	if (err)
		return err;
	resv = nb_realloc(s->resv, s->nresv + 1, sizeof(*resv));
	if (!resv)
		return -ENOMEM;
	s->resv = resv;
	resv[s->nresv++] = (struct iova_resv){{first, last}, owner};
	qsort(resv, s->nresv, sizeof(*resv), by_resv_first);
	derive(s);
	return 0;
}

void iova_space_unreserve(struct iova_space *s, const void *owner)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nresv; i++) {
		if (s->resv[i].owner != owner)
			s->resv[n++] = s->resv[i];
	}
	s->nresv = n;
	derive(s);
}

bool iova_space_is_reserved(const struct iova_space *s, uint64_t first, uint64_t last)
{
	size_t lo = 0, hi = s->nholes;

	/* Free means: inside one hole. Find the last hole that begins at or before `first`. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->holes[mid].first <= first)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 || last > s->holes[lo - 1].last;
}

int iova_space_allow(struct iova_space *s, struct iova_win *ranges, size_t n)
{
	struct iova_win *copy = NULL;
	int err;

	if (n) {
		qsort(ranges, n, sizeof(*ranges), by_first);
		for (size_t i = 1; i < n; i++) {
			if (ranges[i].first <= ranges[i - 1].last)
				return -EINVAL;
		}
		for (size_t i = 0; i < n; i++) {
			if (iova_space_is_reserved(s, ranges[i].first, ranges[i].last))
				return -EADDRINUSE;
		}
		copy = nb_calloc(n, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, ranges, n * sizeof(*copy));
	}
	err = make_room(s, s->nresv, n);
	if (err) {
		nb_free(copy);
		return err;
	}
	nb_free(s->allowed);
	s->allowed = copy;
	s->nallowed = n;
	derive(s);
	return 0;
}
