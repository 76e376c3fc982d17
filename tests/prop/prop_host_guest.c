/* SPDX-License-Identifier: BSD-3-Clause */
/* What guests do: their own first-stage tables in their own memory. */
#include "prop_host.h"

void seen_new(struct seen *s, unsigned int space)
{
	*s = (struct seen){.space = space, .old = calloc(NWINDOWS, sizeof(*s->old))};
	if (!s->old)
		abort();
}

void seen_free(struct seen *s)
{
	free(s->old);
	s->old = NULL;
}

void seen_clear(struct seen *s)
{
	memset(s->old, 0, NWINDOWS * sizeof(*s->old));
	s->structure = false;
}

void seen_add(struct world *w, struct seen *s, unsigned int win, unsigned int page, const struct entry *e)
{
	struct old *o = &s->old[win][page];
	unsigned int j;

	for (j = 0; j < o->n; j++)
		if (o->e[j].gpa == e->gpa && o->e[j].prot == e->prot)
			return;
	if (o->n == NOLD)
		w->vendor->forget(w, s);
	o->e[o->n++] = *e;
}

/*
 * The entry of one page is about to change: whoever walks this space may remember it. That nothing was there cannot be
 * remembered, except through a table that is about to be unlinked.
 */
static void remember(struct world *w, unsigned int k, unsigned int win, unsigned int page, bool unlink)
{
	const struct entry e = w->space[k].now[win][page];
	struct seen *seers[MAX_SEEN];
	unsigned int i, n;

	if (e.prot == 0 && !(unlink && w->space[k].mode[win] == SMALL))
		return;
	n = w->vendor->seers(w, k, seers);
	for (i = 0; i < n; i++)
		seen_add(w, seers[i], win, page, &e);
}

uint64_t *table_page(const struct space *s, unsigned int i)
{
	return s->tables + (size_t)i * s->gran * (PAGE / 8);
}

uint64_t table_gpa(const struct space *s, unsigned int i)
{
	return s->gpa + (uint64_t)i * s->gran * PAGE;
}

void guest_store(uint64_t *slot, uint64_t v)
{
	__atomic_store_n(slot, v, __ATOMIC_RELEASE);
}

static void whole_window_changes(struct world *w, unsigned int k, unsigned int win)
{
	struct seen *seers[MAX_SEEN];
	unsigned int page, i, n;

	for (page = 0; page < WPAGES; page++)
		remember(w, k, win, page, true);
	n = w->vendor->seers(w, k, seers);
	for (i = 0; i < n; i++)
		seers[i]->structure = true;
}

static void to_small(struct world *w, unsigned int k, unsigned int win)
{
	struct space *s = &w->space[k];
	unsigned int turn = s->next_pt[win]++, at = WINDOW_TABLE(win) + 2 + turn % PTS, i, n;
	struct seen *seers[MAX_SEEN];

	whole_window_changes(w, k, win);
	if (turn >= PTS) {
		/* the table was in use before: nobody may know it any more */
		w->vendor->put_node(w, s, win, NO_TABLE);
		memset(s->now[win], 0, sizeof(s->now[win]));
		n = w->vendor->seers(w, k, seers);
		for (i = 0; i < n; i++)
			w->vendor->forget(w, seers[i]);
	}
	memset(table_page(s, at), 0, (size_t)s->gran * PAGE);
	memset(s->now[win], 0, sizeof(s->now[win]));
	w->vendor->put_node(w, s, win, at);
	s->mode[win] = SMALL;
	SAY(w, "guest: space %u window %u: a table of pages\n", k, win);
}

void do_guest(struct world *w)
{
	unsigned int k = (unsigned int)rnd(w, NSPACES), win = (unsigned int)rnd(w, NWINDOWS), page, n, i, prot, table;
	struct space *s = &w->space[k];
	uint64_t room, gpa = pick_iova(w, &room);

	if (rnd(w, 12) == 0 && s->mode[win] != NONE) {
		whole_window_changes(w, k, win);
		w->vendor->put_node(w, s, win, NO_TABLE);
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
		if (s->gran == 1) {
			whole_window_changes(w, k, win);
			w->vendor->put_large(w, s, win, gpa, prot);
		} else {
			to_small(w, k, win);
			table = WINDOW_TABLE(win) + 2 + (s->next_pt[win] - 1) % PTS;
			for (i = 0; i < WPAGES; i += s->gran)
				w->vendor->put_leaf(w, s, table, i, gpa + i * PAGE, prot, true);
		}
		for (i = 0; i < WPAGES; i++)
			s->now[win][i] = (struct entry){.gpa = gpa + i * PAGE, .prot = (uint8_t)prot};
		s->mode[win] = LARGE;
		SAY(w, "guest: space %u window %u: large page to %#" PRIx64 " prot %u\n", k, win, gpa, prot);
		return;
	}
	if (s->mode[win] != SMALL)
		to_small(w, k, win);
	page = (unsigned int)rnd(w, rnd(w, 3) ? 24 : WPAGES) / s->gran * s->gran;
	n = (1 + (unsigned int)rnd(w, 4)) * s->gran;
	gpa &= ~((uint64_t)s->gran * PAGE - 1);
	table = WINDOW_TABLE(win) + 2 + (s->next_pt[win] - 1) % PTS;
	if (rnd(w, 3) == 0)
		prot = 0;
	for (i = 0; i < n && page + i < WPAGES; i++) {
		remember(w, k, win, page + i, false);
		s->now[win][page + i] = (struct entry){.gpa = gpa + i * PAGE, .prot = (uint8_t)prot};
		if (i % s->gran == 0)
			w->vendor->put_leaf(w, s, table, page + i, gpa + i * PAGE, prot, false);
	}
	SAY(w, "guest: space %u window %u pages %u+%u to %#" PRIx64 " prot %u\n", k, win, page, n, gpa, prot);
}
