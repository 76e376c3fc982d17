/* SPDX-License-Identifier: BSD-3-Clause */
/* prop_vtd: what guests do: their own first-stage tables in their own memory, and invalidations. */
#include "prop_vtd.h"

/* ---- steps: the guest ---- */

static void invalidate(struct world *w, unsigned int i, unsigned int win, unsigned int page, unsigned int n, bool leaf)
{
	struct hwpt *h = &w->hwpt[i];
	unsigned int k;
	long err;

	if (n == 0) {
		err = rig_invalidate(&w->rig, h->id, 0, UINT64_MAX, false);
		memset(h->old, 0, NWINDOWS * sizeof(*h->old));
		h->structure = false;
	} else {
		err = rig_invalidate(&w->rig, h->id, va_window[win] + page * PAGE, n, leaf);
		for (k = 0; k < n; k++)
			h->old[win][page + k].n = 0;
	}
	SAY(w, "invalidate hwpt %u window %u page %u count %u%s: %ld\n", i, win, page, n, leaf ? " leaf" : "", err);
	if (err)
		FAIL(w, "HWPT_INVALIDATE returned %ld", err);
}

void do_invalidate(struct world *w)
{
	unsigned int i = (unsigned int)rnd(w, NHWPTS), win = (unsigned int)rnd(w, NWINDOWS), page, n;
	struct hwpt *h = &w->hwpt[i];

	if (h->kind != NESTED)
		return;
	if (rnd(w, 3) == 0) {
		invalidate(w, i, 0, 0, 0, false);
		return;
	}
	page = (unsigned int)rnd(w, rnd(w, 2) ? 24 : WPAGES);
	n = 1 + (unsigned int)rnd(w, rnd(w, 2) ? 4 : WPAGES - page);
	if (page + n > WPAGES)
		n = WPAGES - page;
	/* the hint says that only last-level entries changed: a lie would be the guest's fault */
	invalidate(w, i, win, page, n, !h->structure && rnd(w, 2));
}

/*
 * The entry of one page is about to change: whoever walks this space may remember it. That nothing was there cannot be
 * remembered, except through a table that is about to be unlinked.
 */
static void remember(struct world *w, unsigned int k, unsigned int win, unsigned int page, bool unlink)
{
	const struct entry e = w->space[k].now[win][page];
	unsigned int i, j;

	if (e.prot == 0 && !(unlink && w->space[k].mode[win] == SMALL))
		return;
	for (i = 0; i < NHWPTS; i++) {
		struct hwpt *h = &w->hwpt[i];
		struct old *o;

		if (h->kind != NESTED || h->space != k)
			continue;
		o = &h->old[win][page];
		for (j = 0; j < o->n; j++)
			if (o->e[j].gpa == e.gpa && o->e[j].prot == e.prot)
				break;
		if (j < o->n)
			continue;
		if (o->n == NOLD)
			invalidate(w, i, 0, 0, 0, false);
		o->e[o->n++] = e;
	}
}

uint64_t *table_page(const struct space *s, unsigned int i)
{
	return s->tables + i * (PAGE / 8);
}

uint64_t table_gpa(const struct space *s, unsigned int i)
{
	return s->gpa + (uint64_t)i * PAGE;
}

static void guest_store(uint64_t *slot, uint64_t v)
{
	__atomic_store_n(slot, v, __ATOMIC_RELEASE);
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

static void whole_window_changes(struct world *w, unsigned int k, unsigned int win)
{
	unsigned int page, i;

	for (page = 0; page < WPAGES; page++)
		remember(w, k, win, page, true);
	for (i = 0; i < NHWPTS; i++)
		if (w->hwpt[i].kind == NESTED && w->hwpt[i].space == k)
			w->hwpt[i].structure = true;
}

static uint64_t *pd_slot(struct space *s, unsigned int win)
{
	return &table_page(s, 1 + win * (2 + PTS) + 1)[va_window[win] >> 21 & 511];
}

static void to_small(struct world *w, unsigned int k, unsigned int win)
{
	struct space *s = &w->space[k];
	unsigned int turn = s->next_pt[win]++, at = 1 + win * (2 + PTS) + 2 + turn % PTS, i;

	whole_window_changes(w, k, win);
	if (turn >= PTS) {
		/* the table was in use before: nobody may know it any more */
		guest_store(pd_slot(s, win), 0);
		memset(s->now[win], 0, sizeof(s->now[win]));
		for (i = 0; i < NHWPTS; i++)
			if (w->hwpt[i].kind == NESTED && w->hwpt[i].space == k)
				invalidate(w, i, 0, 0, 0, false);
	}
	memset(table_page(s, at), 0, PAGE);
	memset(s->now[win], 0, sizeof(s->now[win]));
	guest_store(pd_slot(s, win), table_gpa(s, at) | (w->preset ? 0x27 : 7));
	s->mode[win] = SMALL;
	SAY(w, "guest: space %u window %u: a table of pages\n", k, win);
}

void do_guest(struct world *w)
{
	unsigned int k = (unsigned int)rnd(w, NSPACES), win = (unsigned int)rnd(w, NWINDOWS), page, n, i, prot;
	struct space *s = &w->space[k];
	uint64_t room, gpa = pick_iova(w, &room), *pt;

	if (rnd(w, 12) == 0 && s->mode[win] != NONE) {
		whole_window_changes(w, k, win);
		guest_store(pd_slot(s, win), 0);
		memset(s->now[win], 0, sizeof(s->now[win]));
		s->mode[win] = NONE;
		SAY(w, "guest: space %u window %u: nothing\n", k, win);
		return;
	}
	prot = HW_READ | (rnd(w, 3) ? HW_WRITE : 0u);
	if (rnd(w, 5)) { /* mostly what the host has mapped */
		const struct ioas *io = &w->ioas[rnd(w, NIOAS)];
		const struct area *a = io->n ? &io->area[rnd(w, io->n)] : NULL;

		if (a && !a->tables)
			gpa = a->iova + rnd(w, a->len / PAGE) * PAGE;
	}
	if (rnd(w, 8) == 0) {
		gpa = iova_window[rnd(w, ARRAY_SIZE(iova_window))];
		whole_window_changes(w, k, win);
		for (i = 0; i < WPAGES; i++)
			s->now[win][i] = (struct entry){.gpa = gpa + i * PAGE, .prot = (uint8_t)prot};
		guest_store(pd_slot(s, win), gpa | leaf_bits(w, prot) | 0x80);
		s->mode[win] = LARGE;
		SAY(w, "guest: space %u window %u: large page to %#" PRIx64 " prot %u\n", k, win, gpa, prot);
		return;
	}
	if (s->mode[win] != SMALL)
		to_small(w, k, win);
	page = (unsigned int)rnd(w, rnd(w, 3) ? 24 : WPAGES);
	n = 1 + (unsigned int)rnd(w, 4);
	pt = table_page(s, 1 + win * (2 + PTS) + 2 + (s->next_pt[win] - 1) % PTS);
	if (rnd(w, 3) == 0)
		prot = 0;
	for (i = 0; i < n && page + i < WPAGES; i++) {
		remember(w, k, win, page + i, false);
		s->now[win][page + i] = (struct entry){.gpa = gpa + i * PAGE, .prot = (uint8_t)prot};
		guest_store(&pt[page + i], prot ? (gpa + i * PAGE) | leaf_bits(w, prot) : 0);
	}
	SAY(w, "guest: space %u window %u pages %u+%u to %#" PRIx64 " prot %u\n", k, win, page, n, gpa, prot);
}
