/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty tracking. A page that a device wrote to while tracking was on, and since it was last read with clearing, must be
 * in the bitmap; one that shares no large page with such a page must not.
 */
#include "prop_host.h"

static bool find(uint64_t iova, unsigned int *win, unsigned int *page)
{
	unsigned int i;

	for (i = 0; i < NIOVA_WINDOWS; i++)
		if (iova - iova_window[i] < WPAGES * PAGE) {
			*win = i;
			*page = (unsigned int)((iova - iova_window[i]) >> 12);
			return true;
		}
	return false;
}

/* All of one window lie in one region of 2 MiB, as all windows begin at such a boundary. */
void wrote(struct hwpt *h, uint64_t iova, bool surely)
{
	unsigned int win, page;

	if (!h->dirty || !h->dirty->on || !find(iova, &win, &page))
		return;
	memset(h->dirty->may[win], 1, WPAGES);
	if (surely)
		h->dirty->must[win][page] = 1;
}

void fresh(struct world *w, unsigned int ioas, uint64_t iova, uint64_t len)
{
	unsigned int i, win, page;

	for (i = 0; i < NHWPTS; i++) {
		struct hwpt *h = &w->hwpt[i];
		uint64_t at;

		if (h->kind == FREE || !h->dirty || h->ioas != ioas)
			continue;
		for (at = iova; at < iova + len; at += PAGE)
			if (find(at, &win, &page)) {
				h->dirty->must[win][page] = 0;
				if (w->starts_dirty && h->dirty->on)
					memset(h->dirty->may[win], 1, WPAGES);
			}
	}
}

static void switch_tracking(struct world *w, unsigned int i)
{
	struct hwpt *h = &w->hwpt[i];
	const bool on = rnd(w, 4) != 0;
	long err = rig_dirty_tracking(&w->rig, h->id, on);

	SAY(w, "dirty tracking of hwpt %u %s: %ld\n", i, on ? "on" : "off", err);
	if (err)
		FAIL(w, "SET_DIRTY_TRACKING returned %ld", err);
	if (on) { /* starts clean, also when it was on */
		memset(h->dirty->must, 0, sizeof(h->dirty->must));
		memset(h->dirty->may, 0, sizeof(h->dirty->may));
	}
	h->dirty->on = on;
}

static void read_bitmap(struct world *w, unsigned int i)
{
	struct hwpt *h = &w->hwpt[i];
	const struct ioas *s = &w->ioas[h->ioas];
	const bool clear = rnd(w, 3) != 0;
	unsigned int k = s->n ? (unsigned int)rnd(w, s->n) : 0, page;
	uint64_t bits[WPAGES / 64] = {0};
	struct area a;
	long err;

	if (!s->n || s->area[k].tables)
		return;
	a = s->area[k];
	err = rig_dirty_bitmap(&w->rig, h->id, a.iova, a.len, PAGE, bits, !clear);
	SAY(w, "dirty bitmap of hwpt %u at %#" PRIx64 " bytes %#" PRIx64 "%s: %ld\n", i, a.iova, a.len, clear ? "" : ", kept", err);
	if (err) {
		FAIL(w, "GET_DIRTY_BITMAP returned %ld", err);
		return;
	}
	w->bitmaps++;
	for (page = 0; page < a.len / PAGE; page++) {
		const bool is = bits[page / 64] >> (page % 64) & 1;
		unsigned int win, at;

		if (!find(a.iova + page * PAGE, &win, &at))
			continue;
		w->dirty_pages += is;
		if (!is && h->dirty->must[win][at])
			FAIL(w, "hwpt %u: the page at %#" PRIx64 " was written and is not dirty", i, a.iova + page * PAGE);
		if (is && !h->dirty->may[win][at])
			FAIL(w, "hwpt %u: the page at %#" PRIx64 " is dirty and nobody wrote near it", i, a.iova + page * PAGE);
		if (clear) /* and what is larger is so as a whole */
			h->dirty->must[win][at] = h->dirty->may[win][at] = 0;
	}
}

void do_dirty(struct world *w)
{
	unsigned int i = (unsigned int)rnd(w, NHWPTS), tries;

	for (tries = 0; tries < NHWPTS; tries++, i = (i + 1) % NHWPTS)
		if (w->hwpt[i].kind != FREE && w->hwpt[i].dirty)
			break;
	if (tries == NHWPTS)
		return;
	if (rnd(w, 4) == 0 || !w->hwpt[i].dirty->on)
		switch_tracking(w, i);
	else
		read_bitmap(w, i);
}
