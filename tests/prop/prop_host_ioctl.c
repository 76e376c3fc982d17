/* SPDX-License-Identifier: BSD-3-Clause */
/* What the VMM asks of the host: areas, domains, attachments. */
#include "prop_host.h"

/* ---- steps: IOAS ---- */

uint64_t pick_iova(struct world *w, uint64_t *room)
{
	uint64_t base = iova_window[rnd(w, ARRAY_SIZE(iova_window))], off = 0;

	if (rnd(w, 3))
		off = rnd(w, 4) ? rnd(w, 24) : rnd(w, WPAGES);
	*room = WPAGES - off;
	return base + off * PAGE;
}

static bool has_parent(const struct world *w, unsigned int ioas)
{
	unsigned int i;

	for (i = 0; i < NHWPTS; i++)
		if (w->hwpt[i].kind == PARENT && w->hwpt[i].ioas == ioas)
			return true;
	return false;
}

bool has_read_only(const struct ioas *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (!(s->area[i].prot & HW_WRITE))
			return true;
	return false;
}

void do_map(struct world *w)
{
	unsigned int k = (unsigned int)rnd(w, NIOAS), i, prot = 1 + (unsigned int)rnd(w, 3);
	struct ioas *s = &w->ioas[k];
	uint64_t room, iova = pick_iova(w, &room), n, len;
	bool overlap = false, refused;
	uint32_t page;
	long err;

	if (prot == HW_WRITE && rnd(w, 4))
		prot = HW_READ | HW_WRITE;
	if (nb_aligned(iova, WPAGES * PAGE) && rnd(w, 2) == 0) {
		n = WPAGES; /* what a large page may hold, when the data is aligned too */
		page = (uint32_t)rnd(w, NPAGES / WPAGES) * WPAGES;
		if (rnd(w, 4) == 0 && page)
			page -= 1;
	} else {
		n = 1 + rnd(w, rnd(w, 4) ? 8 : room);
		if (n > room)
			n = room;
		page = (uint32_t)rnd(w, NPAGES - n);
	}
	len = n * PAGE;
	for (i = 0; i < s->n; i++)
		if (iova < s->area[i].iova + s->area[i].len && s->area[i].iova < iova + len)
			overlap = true;
	if (s->n == NAREAS)
		return;
	err = rig_map(&w->rig, s->id, w->data + page * (PAGE / 8), iova, len, prot);
	SAY(w, "map ioas %u iova %#" PRIx64 " pages %" PRIu64 " of data %u prot %u: %ld\n", k, iova, n, page, prot, err);
	refused = w->erratum && !(prot & HW_WRITE) && has_parent(w, k);
	if (overlap ? err != -17 : err != (refused ? -22 : 0))
		FAIL(w, "IOAS_MAP of %#" PRIx64 "+%#" PRIx64 " returned %ld, expected %s", iova, len, err,
		     overlap ? "EEXIST" : refused ? "EINVAL" : "success");
	if (!err)
		fresh(w, k, iova, len);
	if (!err)
		s->area[s->n++] = (struct area){.iova = iova, .len = len, .page = page, .prot = (uint8_t)prot,
						 .writable = prot & HW_WRITE};
}

/* A part of what one IOAS has, to the other. */
void do_copy(struct world *w)
{
	unsigned int from = (unsigned int)rnd(w, NIOAS), to = (from + 1) % NIOAS, prot = HW_READ | (rnd(w, 2) ? HW_WRITE : 0u), i;
	struct ioas *s = &w->ioas[from], *d = &w->ioas[to];
	uint64_t room, iova = pick_iova(w, &room), first, n;
	bool overlap = false, exceeds;
	struct area a;
	long err;

	if (!s->n || d->n == NAREAS)
		return;
	a = s->area[rnd(w, s->n)];
	if (a.tables)
		return;
	first = rnd(w, a.len / PAGE);
	n = 1 + rnd(w, a.len / PAGE - first);
	if (n > room)
		n = room;
	for (i = 0; i < d->n; i++)
		if (iova < d->area[i].iova + d->area[i].len && d->area[i].iova < iova + n * PAGE)
			overlap = true;
	exceeds = (prot & HW_WRITE) && !a.writable;
	err = rig_copy(&w->rig, d->id, iova, s->id, a.iova + first * PAGE, n * PAGE, prot);
	SAY(w, "copy ioas %u iova %#" PRIx64 " pages %" PRIu64 " to ioas %u iova %#" PRIx64 " prot %u: %ld\n", from,
	    a.iova + first * PAGE, n, to, iova, prot, err);
	if ((err != 0) != (overlap || exceeds))
		FAIL(w, "IOAS_COPY to %#" PRIx64 "+%" PRIu64 " pages returned %ld", iova, n, err);
	if (err)
		return;
	fresh(w, to, iova, n * PAGE);
	d->area[d->n++] = (struct area){.iova = iova, .len = n * PAGE, .page = a.page + (uint32_t)first, .prot = (uint8_t)prot,
					 .writable = a.writable};
}

void do_unmap(struct world *w)
{
	unsigned int k = (unsigned int)rnd(w, NIOAS), i;
	struct ioas *s = &w->ioas[k];
	uint64_t gone = 0;
	struct area a;
	long err;

	if (s->n == 0)
		return;
	i = (unsigned int)rnd(w, s->n);
	a = s->area[i];
	if (a.tables && rnd(w, 8))
		return;
	err = rig_unmap(&w->rig, s->id, a.iova, a.len, &gone);
	SAY(w, "unmap ioas %u iova %#" PRIx64 " len %#" PRIx64 ": %ld\n", k, a.iova, a.len, err);
	if (err || gone != a.len)
		FAIL(w, "IOAS_UNMAP of %#" PRIx64 "+%#" PRIx64 " returned %ld, %#" PRIx64 " bytes", a.iova, a.len, err, gone);
	fresh(w, k, a.iova, a.len);
	s->area[i] = s->area[--s->n];
}

void map_tables(struct world *w, unsigned int k)
{
	struct ioas *s = &w->ioas[k];
	const uint64_t len = w->tables_len;
	long err;

	if (area_at(s, TABLE_GPA) || s->n == NAREAS)
		return;
	err = rig_map(&w->rig, s->id, w->tables, TABLE_GPA, len, HW_READ | HW_WRITE);
	SAY(w, "map the guest's tables into ioas %u: %ld\n", k, err);
	if (err)
		FAIL(w, "mapping the guest's tables returned %ld", err);
	else
		s->area[s->n++] = (struct area){.iova = TABLE_GPA, .len = len, .prot = HW_READ | HW_WRITE, .tables = true};
}

/* ---- steps: domains ---- */

struct hwpt *free_hwpt(struct world *w, unsigned int ioas)
{
	unsigned int i;

	for (i = 0; i < NHWPTS && w->hwpt[i].kind != FREE; i++)
		;
	if (i == NHWPTS)
		return NULL;
	w->hwpt[i] = (struct hwpt){.ioas = ioas};
	return &w->hwpt[i];
}

struct hwpt *any_hwpt(struct world *w, enum kind kind)
{
	unsigned int p, q;

	for (p = 0; p < NHWPTS && w->hwpt[p].kind != kind; p++)
		;
	if (p == NHWPTS)
		return NULL;
	if (rnd(w, 2)) /* another one, if there is */
		for (q = p + 1; q < NHWPTS; q++)
			if (w->hwpt[q].kind == kind)
				p = q;
	return &w->hwpt[p];
}

void dirty_new(struct hwpt *h)
{
	h->dirty = calloc(1, sizeof(*h->dirty));
	if (!h->dirty)
		abort();
}

void destroy_hwpt(struct world *w, struct hwpt *h)
{
	if (h->kind == NESTED)
		w->hwpt[h->parent].users--;
	if (w->vendor->destroyed)
		w->vendor->destroyed(w, h);
	seen_free(&h->seen);
	free(h->dirty);
	h->dirty = NULL;
	h->kind = FREE;
}

void do_destroy(struct world *w)
{
	unsigned int i = (unsigned int)rnd(w, NHWPTS);
	struct hwpt *h = &w->hwpt[i];
	long err;

	if (h->kind == FREE)
		return;
	err = rig_destroy(&w->rig, h->id);
	SAY(w, "destroy hwpt %u: %ld\n", i, err);
	if (h->users ? err != -16 : err != 0)
		FAIL(w, "DESTROY of a domain with %u users returned %ld", h->users, err);
	if (!err)
		destroy_hwpt(w, h);
}

static void drop_att(struct world *w, unsigned int dev, unsigned int p)
{
	int at = w->att[dev][p];

	if (at >= 0 && at < NHWPTS)
		w->hwpt[at].users--;
	w->att[dev][p] = -1;
}

void attach_to(struct world *w, unsigned int dev, unsigned int p, int at)
{
	uint32_t id = at < NHWPTS ? w->hwpt[at].id : w->ioas[at - NHWPTS].id;
	long refused = w->vendor->attach_refused ? w->vendor->attach_refused(w, dev, p, at) : 0;
	long err = rig_attach(&w->rig, dev, pasids[p], id);
	int was = w->att[dev][p];

	SAY(w, "attach device %u pasid %d to %s %d: %ld\n", dev, (int)pasids[p], at < NHWPTS ? "hwpt" : "ioas",
	    at < NHWPTS ? at : at - NHWPTS, err);
	if (refused == ANY_ERROR ? err >= 0 : err != refused)
		FAIL(w, "attach of device %u pasid %d to a domain of kind %d returned %ld, expected %ld", dev, (int)pasids[p],
		     at < NHWPTS ? (int)w->hwpt[at].kind : -1, err, refused);
	if (err || was == at)
		return;
	drop_att(w, dev, p);
	w->att[dev][p] = at;
	if (at < NHWPTS)
		w->hwpt[at].users++;
	if (w->vendor->attached)
		w->vendor->attached(w, dev, p, was);
}

void do_attach(struct world *w)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs), p = 0;
	int at = (int)rnd(w, NHWPTS), i;

	if (w->vendor->has_pasids(w, dev))
		p = (unsigned int)rnd(w, NPASIDS);
	else if (rnd(w, 6) == 0)
		at = NHWPTS + (int)rnd(w, NIOAS);
	for (i = 0; i < 3 && at < NHWPTS && w->hwpt[at].kind != NESTED; i++)
		at = (int)rnd(w, NHWPTS);
	if (at >= NHWPTS || w->hwpt[at].kind != FREE)
		attach_to(w, dev, p, at);
}

void do_detach(struct world *w)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs);
	unsigned int p = w->vendor->has_pasids(w, dev) ? (unsigned int)rnd(w, NPASIDS) : 0;
	int was = w->att[dev][p];
	long err;

	if (was < 0)
		return;
	err = rig_detach(&w->rig, dev, pasids[p]);
	SAY(w, "detach device %u pasid %d: %ld\n", dev, (int)pasids[p], err);
	if (err) {
		FAIL(w, "detach returned %ld", err);
		return;
	}
	drop_att(w, dev, p);
	if (w->vendor->attached)
		w->vendor->attached(w, dev, p, was);
}
