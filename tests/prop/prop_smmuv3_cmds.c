/* SPDX-License-Identifier: BSD-3-Clause */
/* prop_smmuv3: the guest's commands, in batches (IHI 0070 4.3 to 4.5), and what they end. */
#include "prop_smmuv3.h"

struct batch {
	unsigned int viommu, n;
	uint64_t cmd[MAX_BATCH][2];
	/* What each ends, when it was taken. */
	struct effect {
		enum { E_NONE, E_SPACE, E_PAGES, E_ALL, E_CD, E_CDS, E_ATC } what;
		unsigned int space; /* NSPACES: all */
		unsigned int win, first, n;
		unsigned int dev, slot; /* E_ATC: NPASIDS: all */
		bool leaf;
	} effect[MAX_BATCH];
};

/* ---- effects ---- */

static void end_pages(struct world *w, struct smmu_ctx *c, unsigned int space, unsigned int win, unsigned int first, unsigned int n)
{
	unsigned int page;

	for (page = first; page < first + n; page++) {
		atc_keeps_page(w, c, space, win, page);
		c->seen[space].old[win][page].n = 0;
	}
}

static void end_space(struct world *w, struct smmu_ctx *c, unsigned int space)
{
	unsigned int win;

	for (win = 0; win < NWINDOWS; win++)
		end_pages(w, c, space, win, 0, WPAGES);
	c->seen[space].structure = false;
}

static void end_cds(struct world *w, unsigned int dev, unsigned int slot)
{
	struct smmu_dev_state *d = &own(w)->dev[dev];

	if (d->cd_old[slot] && d->ctx && nest_of(w, dev)->nest == NEST_S1)
		atc_keeps_cds(w, dev, slot, d->cd_old[slot]);
	d->cd_old[slot] = 0;
}

static void end_atc(struct world *w, const struct effect *e)
{
	struct smmu_dev_state *d = &own(w)->dev[e->dev];
	unsigned int p, page;

	for (p = 0; p < NPASIDS; p++) {
		if (e->slot != NPASIDS && e->slot != p)
			continue;
		if (e->n == 0)
			seen_clear(&d->atc_seen[p]);
		for (page = e->first; page < e->first + e->n; page++)
			d->atc_seen[p].old[e->win][page].n = 0;
	}
}

static void take_effect(struct world *w, const struct batch *b, const struct effect *e)
{
	const struct smmu_viommu *v = &own(w)->viommu[b->viommu];
	struct smmu_ctx *c = &own(w)->ctx[v->unit][v->parent];
	unsigned int k, slot;

	switch (e->what) {
	case E_NONE:
		break;
	case E_SPACE:
	case E_PAGES:
	case E_ALL:
		for (k = 0; k < NSPACES && c->users; k++) {
			if (e->space != NSPACES && e->space != k)
				continue;
			if (e->what == E_PAGES)
				end_pages(w, c, k, e->win, e->first, e->n);
			else
				end_space(w, c, k);
		}
		break;
	case E_CD:
		end_cds(w, e->dev, e->slot);
		break;
	case E_CDS:
		for (slot = 0; slot < NPASIDS; slot++)
			end_cds(w, e->dev, slot);
		break;
	case E_ATC:
		end_atc(w, e);
		break;
	}
}

static void send(struct world *w, struct batch *b, unsigned int bad)
{
	uint32_t done = 0, want = bad < b->n ? bad : b->n, i;
	long err = rig_viommu_invalidate(&w->rig, own(w)->viommu[b->viommu].id, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, b->cmd,
					 sizeof(b->cmd[0]), b->n, &done);

	for (i = 0; i < b->n; i++)
		SAY(w, "command %#" PRIx64 " %#" PRIx64 "%s\n", b->cmd[i][0], b->cmd[i][1], i == bad ? ": refused" : "");
	SAY(w, "%u commands to vIOMMU %u: %ld, %u done\n", b->n, b->viommu, err, done);
	if (err != (bad < b->n ? -5 : 0) || done != want)
		FAIL(w, "a batch of %u commands, number %u bad, returned %ld with %u done", b->n, bad, err, done);
	own(w)->batches++;
	own(w)->refused += bad < b->n;
	for (i = 0; i < want; i++)
		take_effect(w, b, &b->effect[i]);
}

static void push(struct batch *b, uint64_t lo, uint64_t hi, const struct effect *e)
{
	b->cmd[b->n][0] = lo;
	b->cmd[b->n][1] = hi;
	b->effect[b->n++] = *e;
}

/* ---- making them ---- */

static uint64_t tlbi(struct world *w, unsigned int op, unsigned int space)
{
	/* the guest's own idea of its VMID counts for nothing */
	return FIELD(SMMU_CMD_0_OP, op) | FIELD(SMMU_CMD_TLBI_0_VMID, rnd(w, 3) ? 0 : rnd(w, 256)) |
	       (space < NSPACES ? FIELD(SMMU_CMD_TLBI_0_ASID, own(w)->asid[space]) : 0);
}

/*
 * Pages by address. Leaf says that no table changed, TTL 3 that what changed was of the last level: lies would be the guest's
 * fault. Contiguous groups are of the last level too.
 */
static void push_pages(struct world *w, struct batch *b, bool any_asid)
{
	const struct smmu_viommu *v = &own(w)->viommu[b->viommu];
	const struct smmu_ctx *c = &own(w)->ctx[v->unit][v->parent];
	unsigned int space = (unsigned int)rnd(w, NSPACES), k, win = (unsigned int)rnd(w, NWINDOWS), gran = w->space[space].gran;
	unsigned int tg = gran == 1 ? 1 : gran == 4 ? 2 : 3, n, scale = 0, num;
	struct effect e = {.what = E_PAGES, .space = any_asid ? NSPACES : space, .win = win};
	uint64_t lo = tlbi(w, any_asid ? SMMU_CMD_TLBI_NH_VAA : SMMU_CMD_TLBI_NH_VA, any_asid ? NSPACES : space), hi;
	bool structure = false, leaf;

	for (k = 0; k < NSPACES; k++)
		if (c->users && (any_asid || k == space))
			structure |= c->seen[k].structure;
	leaf = !structure && rnd(w, 2);
	e.first = (unsigned int)rnd(w, rnd(w, 2) ? 24 : WPAGES) / gran * gran;
	hi = w->vendor->va_window[win] + e.first * PAGE;
	hi |= leaf ? SMMU_CMD_TLBI_1_LEAF : 0;
	if (!unit_cap(w, v->unit)->ril || rnd(w, 3) == 0) {
		e.n = 1; /* a page of 4 KiB, and with it all of the leaf that it is in */
		push(b, lo, hi, &e);
		return;
	}
	/* 4.4.1.1. A granule names tables of that granule: of all ASIDs only those are sure to go. */
	if (any_asid)
		e.space = space;
	n = (WPAGES - e.first) / gran;
	num = 1 + (unsigned int)rnd(w, n < 32 ? n : 32);
	while (num << (scale + 1) <= n && rnd(w, 3))
		scale++;
	e.n = (num << scale) * gran;
	if (!structure && rnd(w, 2))
		hi |= FIELD_C(SMMU_CMD_TLBI_1_TTL, 3);
	else if (num == 1 && scale == 0)
		hi |= FIELD_C(SMMU_CMD_TLBI_1_TTL, 3), e.what = structure ? E_NONE : E_PAGES;
	push(b, lo | FIELD(SMMU_CMD_TLBI_0_NUM, num - 1) | FIELD(SMMU_CMD_TLBI_0_SCALE, scale), hi | FIELD(SMMU_CMD_TLBI_1_TG, tg), &e);
}

/* A device that has a name in this vIOMMU, or -1. */
static int named(struct world *w, unsigned int v)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs), i;

	for (i = 0; i < w->rig.ndevs; i++, dev = (dev + 1) % w->rig.ndevs)
		if (own(w)->vdev[dev].id && own(w)->vdev[dev].viommu == v)
			return (int)dev;
	return -1;
}

static uint64_t for_dev(struct world *w, unsigned int op, int dev)
{
	return FIELD(SMMU_CMD_0_OP, op) | FIELD(SMMU_CMD_0_SID, own(w)->vdev[dev].vsid);
}

/* 4.5.1. Sizes are powers of two, ranges aligned to themselves. */
static void push_atc(struct world *w, struct batch *b, int dev)
{
	struct effect e = {.what = E_ATC, .dev = (unsigned int)dev, .slot = NPASIDS, .win = (unsigned int)rnd(w, NWINDOWS)};
	unsigned int slot = (unsigned int)rnd(w, NPASIDS), lg2 = (unsigned int)rnd(w, 10);
	uint64_t lo = for_dev(w, SMMU_CMD_ATC_INV, dev), hi;

	if (slot) {
		lo |= SMMU_CMD_0_SSV | FIELD(SMMU_CMD_0_SSID, pasids[slot]);
		e.slot = slot;
	}
	if (rnd(w, 2)) {
		push(b, lo, FIELD_C(SMMU_CMD_ATC_1_SIZE, SMMU_ATC_SIZE_ALL), &e);
		return;
	}
	e.first = (unsigned int)rnd(w, rnd(w, 2) ? 24 : WPAGES) & ~((1u << lg2) - 1);
	e.n = 1u << lg2;
	hi = w->vendor->va_window[e.win] + e.first * PAGE;
	push(b, lo, hi | FIELD(SMMU_CMD_ATC_1_SIZE, lg2), &e);
}

static void push_any(struct world *w, struct batch *b)
{
	struct effect e = {.what = E_NONE};
	int dev = named(w, b->viommu);

	switch (rnd(w, 10)) {
	case 0:
		e.what = E_ALL;
		e.space = NSPACES;
		push(b, tlbi(w, rnd(w, 2) ? SMMU_CMD_TLBI_NH_ALL : SMMU_CMD_TLBI_NSNH_ALL, NSPACES), 0, &e);
		break;
	case 1:
		e.what = E_SPACE;
		e.space = (unsigned int)rnd(w, NSPACES);
		push(b, tlbi(w, SMMU_CMD_TLBI_NH_ASID, e.space), 0, &e);
		break;
	case 2 ... 4:
		push_pages(w, b, false);
		break;
	case 5:
		push_pages(w, b, true);
		break;
	case 6 ... 7:
		if (dev < 0)
			return;
		e.dev = (unsigned int)dev;
		e.slot = (unsigned int)rnd(w, NPASIDS);
		e.what = rnd(w, 3) ? E_CD : E_CDS;
		push(b, for_dev(w, e.what == E_CD ? SMMU_CMD_CFGI_CD : SMMU_CMD_CFGI_CD_ALL, dev) |
				(e.what == E_CD ? FIELD(SMMU_CMD_0_SSID, ssid_of(e.slot)) : 0),
		     e.what == E_CD && rnd(w, 2) ? SMMU_CMD_CFGI_1_LEAF : 0, &e);
		break;
	default:
		if (dev >= 0 && own(w)->cap->ats)
			push_atc(w, b, dev);
	}
}

/* Something that a guest may not send, or for a device that it has not. */
static void push_bad(struct world *w, struct batch *b)
{
	static const uint8_t ops[] = {0x00, SMMU_CMD_PREFETCH_CONFIG, SMMU_CMD_CFGI_STE, SMMU_CMD_CFGI_STE_RANGE, SMMU_CMD_TLBI_EL2_ALL,
				      SMMU_CMD_TLBI_EL2_VA, SMMU_CMD_TLBI_S12_VMALL, SMMU_CMD_TLBI_S2_IPA, SMMU_CMD_PRI_RESP,
				      SMMU_CMD_RESUME, SMMU_CMD_STALL_TERM, SMMU_CMD_SYNC, 0xff};
	static const uint8_t named_ops[] = {SMMU_CMD_CFGI_CD, SMMU_CMD_CFGI_CD_ALL, SMMU_CMD_ATC_INV};
	const struct effect none = {.what = E_NONE};

	if (rnd(w, 2))
		push(b, ops[rnd(w, ARRAY_SIZE(ops))] | rnd(w, UINT32_MAX) << 32, rnd(w, UINT32_MAX) << 12, &none);
	else /* the names are other numbers */
		push(b, named_ops[rnd(w, ARRAY_SIZE(named_ops))] | FIELD(SMMU_CMD_0_SID, 0x7777), 0, &none);
}

void do_commands(struct world *w)
{
	struct batch b = {.viommu = (unsigned int)rnd(w, NVIOMMUS)};
	unsigned int n = 1 + (unsigned int)rnd(w, rnd(w, 2) ? 3 : MAX_BATCH), bad = rnd(w, 6) ? UINT_MAX : (unsigned int)rnd(w, n), i;

	if (!own(w)->viommu[b.viommu].id)
		return;
	for (i = 0; i < n; i++) {
		if (i == bad) {
			bad = b.n;
			push_bad(w, &b);
			i = n; /* a few behind it */
		} else {
			push_any(w, &b);
		}
	}
	while (bad != UINT_MAX && b.n < MAX_BATCH && rnd(w, 2))
		push_any(w, &b);
	if (b.n)
		send(w, &b, bad);
}

/* No more can be remembered there. */
void smmu_forget(struct world *w, struct seen *s)
{
	struct smmu_state *t = own(w);
	struct batch b = {.n = 0};
	unsigned int u, i, k, p;

	for (i = 0; i < w->rig.ndevs; i++)
		for (p = 0; p < NPASIDS; p++)
			if (s == &t->dev[i].atc_seen[p]) {
				hw_atc_forget(t->dev[i].atc); /* as a function may at any time */
				atc_clear(w, i);
				return;
			}
	for (u = 0; u < NUNITS; u++)
		for (i = 0; i < NHWPTS; i++)
			for (k = 0; k < NSPACES; k++) {
				if (s != &t->ctx[u][i].seen[k] || !t->ctx[u][i].users)
					continue;
				while (!t->viommu[b.viommu].id || t->viommu[b.viommu].unit != u || t->viommu[b.viommu].parent != i)
					b.viommu++; /* there is one: somebody stands on it */
				push(&b, tlbi(w, SMMU_CMD_TLBI_NH_ASID, k), 0, &(struct effect){.what = E_SPACE, .space = k});
				send(w, &b, UINT_MAX);
				return;
			}
}
