/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables: what is the same for every format. Checks of arguments, life of
 * table pages, and the undoing of a map that failed half-way.
 */
#include "pt/pt.h"

#include <errno.h>

#include "base/rcu.h"
#include "pt/fmt.h"

uint64_t *pt_table_new(struct pt *pt, hpa_t *pa)
{
	uint64_t *t = mem_page_alloc(pt->pool, pt->fmt->page_lg2 - 12u, pa);

	if (t)
		pt->npages++;
	return t;
}

uint64_t *pt_table_new_raw(struct pt *pt, hpa_t *pa)
{
	uint64_t *t = mem_page_alloc_raw(pt->pool, pt->fmt->page_lg2 - 12u, pa);

	if (t)
		pt->npages++;
	return t;
}

void pt_table_free(struct pt *pt, uint64_t *table)
{
	pt->npages--;
	mem_page_free(pt->pool, table, pt->fmt->page_lg2 - 12u);
}

/*
 * Hardware that still has the table cached may read it until the invalidation: the link is page-aligned, so it
 * reads as a non-present entry; the other entries stay what they were.
 */
void pt_table_gather(struct pt *pt, uint64_t *table, struct pt_gather *g)
{
	pt_publish(&table[0], (uint64_t)(uintptr_t)g->pages);
	g->pages = table;
	g->npages++;
	pt->npages--;
}

void pt_gather_free(struct pt *pt, struct pt_gather *g)
{
	uint64_t *t = g->pages;

	if (!t)
		return;
	nb_rcu_synchronize(); /* pt_lookup() beside us */
	while (t) {
		uint64_t *next = (uint64_t *)(uintptr_t)pt_load(&t[0]);

		mem_page_free(pt->pool, t, pt->fmt->page_lg2 - 12u);
		t = next;
	}
	*g = (struct pt_gather){0};
}

static unsigned int root_order(const struct pt *pt)
{
	return pt->fmt->page_lg2 - 12u + pt->concat_lg2;
}

int pt_init(struct pt *pt, const struct pt_fmt *fmt)
{
	unsigned int ia_lg2;
	hpa_t pa;

	if (pt->levels < fmt->min_levels || pt->levels > fmt->max_levels)
		return -EINVAL;
	if ((pt->pgsizes & ~fmt->pgsizes) || !(pt->pgsizes & BIT(fmt->page_lg2)))
		return -EINVAL;
	ia_lg2 = fmt->page_lg2 + (unsigned int)pt->levels * fmt->index_lg2 + pt->concat_lg2;
	if (pt->concat_lg2 > fmt->max_concat_lg2 || pt->ia_lg2 > ia_lg2 || pt->oa_lg2 > fmt->oa_lg2)
		return -EINVAL;
	if (pt->ia_lg2 == 0)
		pt->ia_lg2 = (uint8_t)ia_lg2;
	if (pt->oa_lg2 == 0)
		pt->oa_lg2 = fmt->oa_lg2;
	pt->fmt = fmt;
	pt->npages = 0;
	pt->root = mem_page_alloc(pt->pool, root_order(pt), &pa);
	if (!pt->root)
		return -ENOMEM;
	pt->npages = 1;
	pt_flush(pt, pt->root, sizeof(uint64_t) << (fmt->index_lg2 + pt->concat_lg2));
	return 0;
}

void pt_fini(struct pt *pt)
{
	unsigned int i;

	if (!pt->root)
		return;
	for (i = 0; i < 1u << pt->concat_lg2; i++)
		pt->fmt->free_below(pt, (uint64_t *)pt->root + ((size_t)i << pt->fmt->index_lg2), pt->levels - 1u);
	assert(pt->npages == 1);
	mem_page_free(pt->pool, pt->root, root_order(pt));
	pt->npages = 0;
	pt->root = NULL;
}

hpa_t pt_root(const struct pt *pt)
{
	return mem_page_pa(pt->pool, pt->root);
}

unsigned int pt_ia_lg2(const struct pt *pt)
{
	return pt->ia_lg2;
}

/* first..last inside the table, and for canonical addresses inside one half. */
static bool ia_ok(const struct pt *pt, uint64_t first, uint64_t last)
{
	unsigned int lg2 = pt_ia_lg2(pt);
	uint64_t top;

	if (last < first)
		return false;
	if (!pt->fmt->sign_extended)
		return lg2 >= 64 || last >> lg2 == 0;
	top = first >> (lg2 - 1);
	return top == last >> (lg2 - 1) && (top == 0 || top == UINT64_MAX >> (lg2 - 1));
}

/* 0, -EINVAL: not made of whole pages, -ERANGE. */
static int check_range(const struct pt *pt, uint64_t ia, uint64_t len)
{
	if (len == 0 || !nb_aligned(ia | len, BIT(pt->fmt->page_lg2)))
		return -EINVAL;
	return ia_ok(pt, ia, ia + (len - 1)) ? 0 : -ERANGE;
}

int pt_map(struct pt *pt, uint64_t ia, uint64_t oa, uint64_t len, unsigned int prot, struct pt_gather *g)
{
	struct pt_op op = {.pt = pt, .g = g, .delta = oa - ia};
	uint64_t oa_last = oa + (len - 1);
	int err = check_range(pt, ia, len);

	if (err)
		return err;
	if (!nb_aligned(oa, BIT(pt->fmt->page_lg2)) || !pt->fmt->prot_ok(prot))
		return -EINVAL;
	if (oa_last < oa || oa_last >> pt->oa_lg2)
		return -ERANGE;
	op.attr = pt->fmt->attr(prot);
	err = pt->fmt->map(&op, ia, ia + (len - 1));
	if (err && op.stop != ia) {
		/* What was mapped consists of whole leaves: taking it away splits nothing and cannot fail. */
		int undo = pt->fmt->unmap(&op, ia, op.stop - 1);

		assert(undo == 0);
		(void)undo;
	}
	return err;
}

int pt_unmap(struct pt *pt, uint64_t ia, uint64_t len, uint64_t *unmapped, struct pt_gather *g)
{
	struct pt_op op = {.pt = pt, .g = g, .counting = unmapped != NULL};
	int err = check_range(pt, ia, len) ? -EINVAL : 0;

	if (err == 0)
		err = pt->fmt->unmap(&op, ia, ia + (len - 1));
	if (unmapped)
		*unmapped = op.count;
	return err;
}

int pt_lookup(const struct pt *pt, uint64_t ia, struct pt_leaf *leaf)
{
	if (!ia_ok(pt, ia, ia))
		return -ENOENT;
	return pt->fmt->lookup(pt, ia, leaf);
}

int64_t pt_read_dirty(struct pt *pt, uint64_t ia, uint64_t len, bool clear, pt_dirty_fn *fn, void *opaque)
{
	struct pt_op op = {.pt = pt, .clear = clear, .fn = fn, .fn_opaque = opaque};

	if (!pt->fmt->has_dirty)
		return -EOPNOTSUPP;
	if (check_range(pt, ia, len))
		return -EINVAL;
	pt->fmt->dirty(&op, ia, ia + (len - 1));
	return (int64_t)op.count;
}
