/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prop_host on VT-d: nested domains are a guest's first-stage table each, x86-64 of four levels, and are invalidated one by one.
 * Without caching mode "not present" is not cached.
 */
#include "prop_host.h"

static const uint64_t va_window[NWINDOWS] = {0x200000, UINT64_C(0x7fffffe00000), UINT64_C(0xffff800000000000),
					     UINT64_C(0x123440000000)};

static bool host_is(struct world *w)
{
	const struct nb_desc_vtd *u = &w->desc->iommu[0].vtd;

	if (w->desc->iommu[0].vendor != NB_DESC_VTD)
		return false;
	w->legacy = !u->scalable;
	w->erratum = u->erratum_772415;
	w->preset = !u->coherent;
	w->tracks = u->ss_dirty && u->coherent;
	return true;
}

static bool has_pasids(const struct world *w, unsigned int dev)
{
	return !w->legacy && (w->rig.dev[dev].rid & 0x7f00) == 0x0200; /* the test engines */
}

static bool read_implied(const struct world *w, const struct hwpt *h)
{
	return h ? h->kind == FS_PAGING : !w->legacy;
}

/* ---- nested domains ---- */

static const struct seen *view(struct world *w, unsigned int dev, unsigned int p)
{
	const struct hwpt *h = hwpt_at(w, dev, p);

	return h && h->kind == NESTED ? &h->seen : NULL;
}

static const struct entry *entry_at(struct world *w, const struct hwpt *h, unsigned int win, unsigned int page, unsigned int i)
{
	return i ? &h->seen.old[win][page].e[i - 1] : &w->space[h->seen.space].now[win][page];
}

static unsigned int nested_outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
				    int out[MAX_OUTCOMES])
{
	const struct hwpt *h = hwpt_at(w, dev, p);
	unsigned int win, page, i;

	out[0] = FAULT;
	if (!h || !find_window(w, va, &win, &page))
		return 1;
	for (i = 0; i <= h->seen.old[win][page].n; i++)
		out[i] = through_entry(&w->ioas[h->ioas], entry_at(w, h, win, page, i), access);
	return i;
}

/* For the dirty bitmaps: whose page is that now? Through guest tables there may be several candidates. */
static void nested_wrote(struct world *w, unsigned int dev, unsigned int p, uint64_t va, int landed, const int *o, unsigned int n)
{
	const struct hwpt *h = hwpt_at(w, dev, p);
	unsigned int i, win, page, same = 0;

	if (!find_window(w, va, &win, &page))
		return;
	for (i = 0; i < n; i++)
		same += o[i] == landed;
	for (i = 0; i < n; i++)
		if (o[i] == landed)
			wrote(&w->hwpt[h->parent], entry_at(w, h, win, page, i)->gpa, same == 1);
}

static void alloc_hwpt(struct world *w, enum kind kind, unsigned int ioas)
{
	static const uint32_t flags[] = {[FS_PAGING] = IOMMU_HWPT_ALLOC_PASID,
					 [SS_PAGING] = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					 [PARENT] = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_NEST_PARENT};
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs);
	struct hwpt *h, *parent;
	bool refused = false;
	uint32_t want;
	long err;

	if (kind == SS_PAGING && !w->legacy && !w->tracks)
		kind = PARENT; /* the other way to a second stage */
	h = free_hwpt(w, ioas);
	if (!h)
		return;
	if (kind == NESTED) {
		parent = any_hwpt(w, PARENT);
		if (!parent)
			return;
		h->parent = (unsigned int)(parent - w->hwpt);
		h->ioas = parent->ioas;
		seen_new(&h->seen, (unsigned int)rnd(w, NSPACES));
		err = rig_hwpt_nested(&w->rig, dev, parent->id, IOMMU_HWPT_ALLOC_PASID, w->space[h->seen.space].gpa, 48, 0, &h->id);
	} else {
		want = w->legacy ? 0 : flags[kind];
		if (kind == PARENT && w->tracks && rnd(w, 2))
			want |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
		if (want & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
			dirty_new(h);
		refused = kind == PARENT && w->erratum && has_read_only(&w->ioas[h->ioas]);
		err = rig_hwpt(&w->rig, dev, w->ioas[h->ioas].id, want, &h->id);
	}
	SAY(w, "hwpt %u: kind %d on ioas %u space %u for device %u: %ld\n", (unsigned int)(h - w->hwpt), kind, h->ioas,
	    h->seen.space, dev, err);
	if (refused || err) {
		if (err != (refused ? -22 : 0))
			FAIL(w, "HWPT_ALLOC of kind %d returned %ld", kind, err);
		destroy_hwpt(w, h);
		return;
	}
	h->kind = kind;
	if (kind == NESTED)
		w->hwpt[h->parent].users++;
}

static void do_alloc(struct world *w)
{
	enum kind kind = FS_PAGING + (enum kind)rnd(w, 5);

	if (kind > NESTED)
		kind = NESTED;
	if (w->legacy)
		kind = SS_PAGING;
	alloc_hwpt(w, kind, (unsigned int)rnd(w, NIOAS));
}

/* ---- invalidation ---- */

static void invalidate(struct world *w, struct hwpt *h, unsigned int win, unsigned int page, unsigned int n, bool leaf)
{
	unsigned int k;
	long err;

	if (n == 0) {
		err = rig_invalidate(&w->rig, h->id, 0, UINT64_MAX, false);
		seen_clear(&h->seen);
	} else {
		err = rig_invalidate(&w->rig, h->id, va_window[win] + page * PAGE, n, leaf);
		for (k = 0; k < n; k++)
			h->seen.old[win][page + k].n = 0;
	}
	SAY(w, "invalidate hwpt %u window %u page %u count %u%s: %ld\n", (unsigned int)(h - w->hwpt), win, page, n,
	    leaf ? " leaf" : "", err);
	if (err)
		FAIL(w, "HWPT_INVALIDATE returned %ld", err);
}

static void do_invalidate(struct world *w)
{
	unsigned int i = (unsigned int)rnd(w, NHWPTS), win = (unsigned int)rnd(w, NWINDOWS), page, n;
	struct hwpt *h = &w->hwpt[i];

	if (h->kind != NESTED)
		return;
	if (rnd(w, 3) == 0) {
		invalidate(w, h, 0, 0, 0, false);
		return;
	}
	page = (unsigned int)rnd(w, rnd(w, 2) ? 24 : WPAGES);
	n = 1 + (unsigned int)rnd(w, rnd(w, 2) ? 4 : WPAGES - page);
	if (page + n > WPAGES)
		n = WPAGES - page;
	/* the hint says that only last-level entries changed: a lie would be the guest's fault */
	invalidate(w, h, win, page, n, !h->seen.structure && rnd(w, 2));
}

static unsigned int seers(struct world *w, unsigned int space, struct seen *out[MAX_SEEN])
{
	unsigned int i, n = 0;

	for (i = 0; i < NHWPTS; i++)
		if (w->hwpt[i].kind == NESTED && w->hwpt[i].seen.space == space)
			out[n++] = &w->hwpt[i].seen;
	return n;
}

static void forget(struct world *w, struct seen *s)
{
	unsigned int i;

	for (i = 0; i < NHWPTS; i++)
		if (&w->hwpt[i].seen == s)
			invalidate(w, &w->hwpt[i], 0, 0, 0, false);
}

/* ---- the guest's tables: 9.7 ---- */

static uint64_t node_bits(const struct world *w)
{
	return w->preset ? 0x27 : 7;
}

static uint64_t leaf_bits(struct world *w, unsigned int prot)
{
	uint64_t e = 5; /* P, U/S */

	if (prot & HW_WRITE)
		e |= 2;
	if (w->preset)
		return e | 0x60;
	if (rnd(w, 2))
		e |= 0x20;
	if ((e & 0x20) && (prot & HW_WRITE) && rnd(w, 2))
		e |= 0x40;
	return e;
}

static uint64_t *pd_slot(const struct space *s, unsigned int win)
{
	return &table_page(s, WINDOW_TABLE(win) + 1)[va_window[win] >> 21 & 511];
}

static void put_node(struct world *w, struct space *s, unsigned int win, unsigned int table)
{
	guest_store(pd_slot(s, win), table == NO_TABLE ? 0 : table_gpa(s, table) | node_bits(w));
}

static void put_large(struct world *w, struct space *s, unsigned int win, uint64_t gpa, unsigned int prot)
{
	guest_store(pd_slot(s, win), gpa | leaf_bits(w, prot) | 0x80);
}

static void put_leaf(struct world *w, struct space *s, unsigned int table, unsigned int page, uint64_t gpa, unsigned int prot,
		     bool group)
{
	(void)group;
	guest_store(&table_page(s, table)[page], prot ? gpa | leaf_bits(w, prot) : 0);
}

/* ---- runs ---- */

static bool begin(struct world *w)
{
	unsigned int i, k, win;

	for (k = 0; k < NSPACES; k++) {
		struct space *s = &w->space[k];

		for (win = 0; win < NWINDOWS; win++) {
			unsigned int pdpt = WINDOW_TABLE(win);

			table_page(s, 0)[va_window[win] >> 39 & 511] = table_gpa(s, pdpt) | node_bits(w);
			table_page(s, pdpt)[va_window[win] >> 30 & 511] = table_gpa(s, pdpt + 1) | node_bits(w);
		}
	}
	/* Something to nest on from the start. */
	for (i = 0; i < NIOAS; i++)
		alloc_hwpt(w, w->legacy ? SS_PAGING : PARENT, i);
	for (i = 0; i < NSPACES && !w->legacy; i++)
		alloc_hwpt(w, NESTED, 0);
	return true;
}

static void step(struct world *w)
{
	switch (rnd(w, 40)) {
	case 0 ... 3:
		do_map(w);
		break;
	case 4 ... 5:
		do_unmap(w);
		break;
	case 8:
		map_tables(w, (unsigned int)rnd(w, NIOAS));
		break;
	case 6:
	case 9:
		do_alloc(w);
		break;
	case 10:
		if (rnd(w, 3) == 0)
			do_destroy(w);
		break;
	case 7:
	case 11 ... 12:
		do_attach(w);
		break;
	case 13:
		if (rnd(w, 3) == 0)
			do_detach(w);
		break;
	case 14 ... 17:
		do_guest(w);
		break;
	case 18 ... 20:
		do_invalidate(w);
		break;
	case 21:
		do_dirty(w);
		break;
	default:
		do_access(w);
	}
}

static bool enough(const struct world *w, uint64_t steps)
{
	return w->legacy || (w->nested >= steps / 60 && w->stale > 0);
}

int main(int argc, char **argv)
{
	static struct world w;
	const struct prop_vendor v = {
		.name = "prop_vtd",
		.host = "spr-fixed",
		.conf = vendor_vtd.conf,
		.nconfs = vendor_vtd.nconfs,
		.va_window = va_window,
		.max_gran = 1,
		.host_is = host_is,
		.begin = begin,
		.step = step,
		.enough = enough,
		.outcomes = nested_outcomes,
		.view = view,
		.read_implied = read_implied,
		.has_pasids = has_pasids,
		.wrote = nested_wrote,
		.seers = seers,
		.forget = forget,
		.put_node = put_node,
		.put_large = put_large,
		.put_leaf = put_leaf,
	};

	return prop_host_main(&v, &w, argc, argv);
}
