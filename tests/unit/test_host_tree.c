/* SPDX-License-Identifier: BSD-3-Clause */
/* The three structures of an address space against naive ones: the tree of areas, the index by process address, the windows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "host/area_tree.h"
#include "host/iova_space.h"
#include "host/va_index.h"

static uint64_t rng = 0x1234567;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* ---- tree ---- */

static int check_node(const struct area_node *n, const struct area_node *up, uint64_t *prev, bool *any, uint64_t *gap,
		      uint64_t *low)
{
	int l, r;
	uint64_t sub = 0, sub_low;

	if (!n)
		return 0;
	assert_ptr_equal(n->up, up);
	*low = n->first;
	l = check_node(n->child[0], n, prev, any, &sub, low);
	if (*any)
		assert_true(n->first > *prev);
	if (n->child[0] && n->first - *prev - 1 > sub)
		sub = n->first - *prev - 1;
	*prev = n->last;
	*any = true;
	if (n->child[1]) {
		uint64_t rsub = 0, hole;

		r = check_node(n->child[1], n, prev, any, &rsub, &sub_low);
		hole = sub_low - n->last - 1;
		sub = hole > sub ? hole : sub;
		sub = rsub > sub ? rsub : sub;
	} else {
		r = 0;
	}
	assert_int_equal(l, r); /* as many black nodes on every way down, and never red below red */
	assert_false(n->red && (!up || up->red));
	if (n->stale) {
		assert_true(!up || up->stale);
	} else {
		assert_int_equal(n->sub_gap, sub);
		assert_int_equal(n->sub_first, *low);
		assert_int_equal(n->sub_last, *prev);
	}
	*gap = sub;
	return l + !n->red;
}

static void check_tree(const struct area_tree *t)
{
	uint64_t prev = 0, gap = 0, low;
	bool any = false;

	check_node(t->root, NULL, &prev, &any, &gap, &low);
}

#define SLOTS 256 /* the naive picture: one byte a unit */

static bool naive_fit(const uint8_t *used, uint64_t first, uint64_t last, uint64_t len, uint64_t align, uint64_t sub,
		      uint64_t *iova)
{
	uint64_t at = first;

	while (at <= last) {
		uint64_t hole = at, end, cand;

		if (used[at]) {
			at++;
			continue;
		}
		for (end = hole; end < last && !used[end + 1]; end++)
			;
		cand = ((hole + align - 1) & ~(align - 1)) | sub;
		if (cand < end && end - cand >= len - 1 && end - hole >= len - 1) {
			*iova = cand;
			return true;
		}
		at = end + 1;
	}
	return false;
}

static void tree_is_the_naive_one(void **state)
{
	struct area_node *node[SLOTS] = {NULL};
	uint8_t used[SLOTS] = {0};
	struct area_tree t = {NULL};
	unsigned int hits = 0, misses = 0;

	(void)state;
	for (unsigned int round = 0; round < 200000; round++) {
		uint64_t first = rnd() % SLOTS, len = 1 + rnd() % 6, last = first + len - 1;
		uint64_t align = BIT(rnd() % 4), got = 0, want = 0;
		bool free_ = true;

		if (last >= SLOTS)
			continue;
		for (uint64_t i = first; i <= last; i++)
			free_ &= !used[i];
		if (rnd() % 100 < 45 + (round / 20000 % 2) * 15) {
			struct area_node *n = calloc(1, sizeof(*n));

			n->first = first;
			n->last = last;
			assert_int_equal(area_tree_insert(&t, n), free_);
			if (free_) {
				memset(used + first, 1, len);
				node[first] = n;
			} else {
				free(n);
			}
		} else if (node[first]) {
			memset(used + first, 0, node[first]->last - first + 1);
			area_tree_erase(&t, node[first]);
			free(node[first]);
			node[first] = NULL;
		}
		{
			struct area_node *f = area_tree_find(&t, first, last);
			uint64_t i;

			free_ = true;
			for (i = first; i <= last; i++)
				free_ &= !used[i];
			assert_int_equal(f == NULL, free_);
			if (f) { /* the lowest one */
				assert_true(f->first <= last && f->last >= first);
				for (i = first; i < f->first; i++)
					assert_false(used[i]);
			}
		}
		{
			uint64_t lo = rnd() % SLOTS, hi = lo + rnd() % (SLOTS - lo);
			bool a = area_tree_fit(&t, lo, hi, len, align, 0, &got);
			bool b = naive_fit(used, lo, hi, len, align, 0, &want);

			assert_int_equal(a, b);
			if (a)
				assert_int_equal(got, want);
			hits += a;
			misses += !a;
		}
		if (round % 64 == 0)
			check_tree(&t);
	}
	assert_true(hits > 1000 && misses > 1000); /* both were tried */
	for (unsigned int i = 0; i < SLOTS; i++)
		free(node[i]);
}

static void tree_reaches_the_ends(void **state)
{
	struct area_node lo = {.first = 0, .last = 0}, hi = {.first = UINT64_MAX, .last = UINT64_MAX};
	struct area_node all = {.first = 0, .last = UINT64_MAX};
	struct area_tree t = {NULL};
	uint64_t at;

	(void)state;
	assert_true(area_tree_insert(&t, &lo));
	assert_true(area_tree_insert(&t, &hi));
	assert_false(area_tree_insert(&t, &all));
	assert_ptr_equal(area_tree_find(&t, 1, UINT64_MAX), &hi);
	assert_null(area_tree_find(&t, 1, UINT64_MAX - 1));
	assert_true(area_tree_fit(&t, 0, UINT64_MAX, 16, 1, 0, &at));
	assert_int_equal(at, 1);
	assert_false(area_tree_fit(&t, 0, UINT64_MAX, UINT64_MAX, 1, 0, &at));
	/* rounding up must not wrap */
	assert_false(area_tree_fit(&t, UINT64_MAX - 100, UINT64_MAX - 1, 4, 4096, 0, &at));
	area_tree_erase(&t, &lo);
	area_tree_erase(&t, &hi);
	assert_true(area_tree_insert(&t, &all));
	assert_false(area_tree_fit(&t, 0, UINT64_MAX, 1, 1, 0, &at));
	assert_ptr_equal(area_tree_next(&all), NULL);
	/* a last byte is no place to begin (Linux's rule), and a sub-page offset is put in */
	area_tree_erase(&t, &all);
	assert_false(area_tree_fit(&t, 7, 7, 1, 1, 0, &at));
	assert_true(area_tree_fit(&t, 0x1000, 0x8000, 0x100, 0x10, 0x230, &at));
	assert_int_equal(at, 0x1230);
}

/* Many areas, one long enough hole near the end: found without visiting them all. */
static void fit_skips_full_subtrees(void **state)
{
	enum { N = 65536 };
	struct area_node *n = calloc(N, sizeof(*n));
	struct area_tree t = {NULL};
	uint64_t at;

	(void)state;
	for (uint64_t i = 0; i < N; i++) {
		n[i].first = i * 0x2000;
		n[i].last = i * 0x2000 + 0xfff;
		assert_true(area_tree_insert(&t, &n[i]));
	}
	check_tree(&t);
	area_tree_erase(&t, &n[N - 3]);
	for (unsigned int i = 0; i < 200000; i++) /* linear search would take minutes */
		assert_true(area_tree_fit(&t, 0x1000, UINT64_MAX - 0x1000, 0x2000, 0x1000, 0, &at));
	assert_int_equal(at, (N - 4) * UINT64_C(0x2000) + 0x1000);
	free(n);
}

/* ---- index ---- */

struct hit {
	struct va_link *l[64];
	unsigned int n;
};

static void note(void *opaque, struct va_link *l)
{
	struct hit *h = opaque;

	for (unsigned int i = 0; i < h->n; i++)
		assert_ptr_not_equal(h->l[i], l); /* once only */
	assert_in_range(h->n, 0, 63);
	h->l[h->n++] = l;
}

static void index_is_the_naive_one(void **state)
{
	static const uint64_t lens[] = {0x1000, 0x1000, 0x10000, 0x200000, 0x200001, 0x40000000, UINT64_C(0x8000000001)};
	struct va_link link[64] = {{0}};
	bool in[64] = {false};
	struct va_index x;
	unsigned int found = 0;

	(void)state;
	va_index_init(&x);
	for (unsigned int round = 0; round < 100000; round++) {
		unsigned int i = (unsigned int)(rnd() % 64);
		uint64_t first = (rnd() % 3 ? UINT64_C(0x7f0000000000) : 0) + rnd() % 0x4000 * 0x1000;
		uint64_t last = first + lens[rnd() % 7] - 1;
		struct hit h = {.n = 0};

		if (in[i]) {
			va_index_del(&x, &link[i]);
		} else {
			link[i].first = first;
			link[i].last = last;
			va_index_add(&x, &link[i]);
		}
		in[i] = !in[i];
		first = (rnd() % 3 ? UINT64_C(0x7f0000000000) : 0) + rnd() % 0x4000 * 0x1000;
		last = rnd() % 50 ? first + lens[rnd() % 7] - 1 : UINT64_MAX;
		va_index_each(&x, first, last, note, &h);
		for (i = 0; i < 64; i++) {
			bool want = in[i] && link[i].first <= last && link[i].last >= first, got = false;

			for (unsigned int k = 0; k < h.n; k++)
				got |= h.l[k] == &link[i];
			assert_int_equal(got, want);
			if (want)
				assert_true(va_index_may_hit(&x, first, last));
			found += want;
		}
	}
	assert_true(found > 1000);
	va_index_fini(&x);
}

static void index_grows_or_does_without(void **state)
{
	enum { N = 5000 };
	struct va_link *l = calloc(N, sizeof(*l));
	struct hit h = {.n = 0};
	struct va_index x;

	(void)state;
	for (unsigned int oom = 0; oom < 2; oom++) {
		va_index_init(&x);
		for (unsigned int i = 0; i < N; i++) {
			l[i].first = 0x10000000 + i * UINT64_C(0x200000);
			l[i].last = l[i].first + 0xfff;
			if (oom)
				nb_fail_nth_arm(1);
			va_index_add(&x, &l[i]);
		}
		nb_fail_nth_arm(0);
		h.n = 0;
		va_index_each(&x, l[77].first, l[79].last, note, &h);
		assert_int_equal(h.n, 3);
		assert_int_equal(x.bucket == x.small, oom);
		for (unsigned int i = 0; i < N; i++)
			va_index_del(&x, &l[i]);
		assert_false(va_index_may_hit(&x, 1, UINT64_MAX - 1));
		va_index_fini(&x);
	}
	free(l);
}

/* ---- windows ---- */

static void windows(void **state)
{
	struct iova_win allow[] = {{0x9000, 0x9fff}, {0x4000, 0x5fff}, {0x6000, 0x6fff}};
	int a = 0, b = 0;
	struct iova_space s;

	(void)state;
	assert_int_equal(iova_space_init(&s), 0);
	assert_int_equal(s.nholes, 1);
	assert_int_equal(iova_space_reserve(&s, 0x8000, 0x8fff, &a), 0);
	assert_int_equal(iova_space_reserve(&s, 0x8800, 0x8bff, &b), 0); /* inside the first: no new hole */
	assert_int_equal(s.nholes, 2);
	assert_int_equal(s.holes[0].last, 0x7fff);
	assert_int_equal(s.holes[1].first, 0x9000);
	assert_true(iova_space_is_reserved(&s, 0x7fff, 0x8000));
	assert_true(iova_space_is_reserved(&s, 0, UINT64_MAX));
	assert_false(iova_space_is_reserved(&s, 0, 0x7fff));
	assert_int_equal(iova_space_allow(&s, allow, 3), 0);
	assert_int_equal(s.nusable, 2); /* neighbours merge */
	assert_int_equal(s.usable[0].first, 0x4000);
	assert_int_equal(s.usable[0].last, 0x6fff);
	assert_int_equal(iova_space_reserve(&s, 0x5000, 0x5000, &b), -EADDRINUSE);
	allow[1].first = 0x8fff;
	allow[1].last = 0x9000;
	assert_int_equal(iova_space_allow(&s, allow + 1, 1), -EADDRINUSE);
	assert_int_equal(iova_space_allow(&s, (struct iova_win[]){{1, 5}, {5, 9}}, 2), -EINVAL);
	assert_int_equal(s.nusable, 2); /* the old list is in force */
	iova_space_unreserve(&s, &a);
	assert_true(iova_space_is_reserved(&s, 0x8800, 0x8800));
	assert_false(iova_space_is_reserved(&s, 0x8000, 0x87ff));
	iova_space_unreserve(&s, &b);
	assert_int_equal(iova_space_allow(&s, NULL, 0), 0);
	assert_int_equal(iova_space_reserve(&s, 0, 0xfff, &a), 0);
	assert_int_equal(iova_space_reserve(&s, UINT64_C(1) << 48, UINT64_MAX, &a), 0);
	assert_int_equal(s.nholes, 1);
	assert_int_equal(s.holes[0].first, 0x1000);
	assert_int_equal(s.holes[0].last, (UINT64_C(1) << 48) - 1);
	assert_int_equal(iova_space_reserve(&s, 0, UINT64_MAX, &b), 0);
	assert_int_equal(s.nholes, 0);
	assert_int_equal(s.nusable, 0);
	iova_space_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_is_the_naive_one),
		cmocka_unit_test(tree_reaches_the_ends),
		cmocka_unit_test(fit_skips_full_subtrees),
		cmocka_unit_test(index_is_the_naive_one),
		cmocka_unit_test(index_grows_or_does_without),
		cmocka_unit_test(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
