/* SPDX-License-Identifier: BSD-3-Clause */
/* prop_smmuv3: what the VMM makes and takes away: domains, vIOMMUs, vDEVICEs, event queues, attachments; and what it reads of events. */
#include "prop_smmuv3.h"

/* ---- domains ---- */

static void alloc_paging(struct world *w, enum kind kind, unsigned int ioas)
{
	const bool dirty = kind == FS_PAGING && w->tracks && rnd(w, 2);
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs);
	uint32_t flags = kind == PARENT ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0;
	struct hwpt *h = free_hwpt(w, ioas);
	long err;

	if (!h)
		return;
	if (kind == FS_PAGING && own(w)->cap->ssid_bits)
		flags |= IOMMU_HWPT_ALLOC_PASID;
	if (dirty) {
		flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
		dirty_new(h);
	}
	err = rig_hwpt(&w->rig, dev, w->ioas[ioas].id, flags, &h->id);
	SAY(w, "hwpt %u: flags %#x on ioas %u for device %u: %ld\n", (unsigned int)(h - w->hwpt), flags, ioas, dev, err);
	if (err) {
		FAIL(w, "HWPT_ALLOC with flags %#x returned %ld", flags, err);
		destroy_hwpt(w, h);
		return;
	}
	h->kind = kind;
}

/* 5.2: the guest's two words. */
static void make_vste(struct world *w, const struct smmu_nest *n, uint64_t ste[2])
{
	const struct smmu_cdtab *t = &own(w)->cdtab[n->cdtab];

	ste[0] = ste[1] = 0;
	switch (n->nest) {
	case NEST_ABORT:
		ste[0] = rnd(w, 2) ? SMMU_STE_0_V : rnd(w, UINT32_MAX) << 1; /* nothing of an entry that is not valid counts */
		break;
	case NEST_BYPASS:
		ste[0] = SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_BYPASS);
		break;
	case NEST_S1:
		ste[0] = SMMU_STE_0_V | FIELD_C(SMMU_STE_0_CONFIG, SMMU_STE_CONFIG_S1) | FIELD(SMMU_STE_0_S1FMT, t->fmt) |
			 t->ctxptr | FIELD(SMMU_STE_0_S1CDMAX, t->cdmax);
		ste[1] = FIELD(SMMU_STE_1_S1DSS, n->dss) | FIELD_C(SMMU_STE_1_S1CIR, 1) | FIELD_C(SMMU_STE_1_S1COR, 1) |
			 FIELD_C(SMMU_STE_1_S1CSH, 3) | (n->stalld ? SMMU_STE_1_S1STALLD : 0) |
			 (n->eats ? FIELD_C(SMMU_STE_1_EATS, SMMU_EATS_FULL) : 0);
		break;
	}
}

/* A bit that is not the guest's. */
static void spoil(struct world *w, uint64_t ste[2])
{
	static const struct {
		unsigned int word;
		uint64_t bits;
	} not_the_guests[] = {
		{0, BITS(58, 52)}, {1, BITS(26, 8)}, {1, BITS(63, 30)},
	};
	unsigned int i = (unsigned int)rnd(w, ARRAY_SIZE(not_the_guests)), bit;

	do
		bit = (unsigned int)rnd(w, 64);
	while (!(not_the_guests[i].bits >> bit & 1));
	ste[0] |= SMMU_STE_0_V;
	ste[not_the_guests[i].word] |= BIT(bit);
}

static void alloc_nested(struct world *w)
{
	struct smmu_state *t = own(w);
	unsigned int v = (unsigned int)rnd(w, NVIOMMUS), dev = (unsigned int)rnd(w, w->rig.ndevs);
	const bool hostile = rnd(w, 8) == 0;
	struct smmu_nest *n;
	uint64_t ste[2];
	struct hwpt *h;
	long err, want;

	if (!t->viommu[v].id)
		return;
	h = free_hwpt(w, w->hwpt[t->viommu[v].parent].ioas);
	if (!h)
		return;
	n = &t->nest[h - w->hwpt];
	*n = (struct smmu_nest){.nest = rnd(w, 4) ? NEST_S1 : (enum nest)rnd(w, 3), .viommu = v, .cdtab = (unsigned int)rnd(w, NCDTABS),
				.dss = rnd(w, 3) ? SMMU_S1DSS_SSID0 : (uint8_t)rnd(w, 3), .eats = t->cap->ats && rnd(w, 3),
				.stalld = unit_cap(w, t->viommu[v].unit)->stall_model == SMMU_STALL_BOTH && rnd(w, 5) == 0};
	h->parent = t->viommu[v].parent;
	make_vste(w, n, ste);
	if (hostile)
		spoil(w, ste);
	err = rig_hwpt_blob(&w->rig, dev, t->viommu[v].id, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, ste, sizeof(ste), &h->id);
	want = unit_of(w, dev) != t->viommu[v].unit ? -22 : hostile ? -5 : 0;
	SAY(w, "hwpt %u: nested, vSTE %#" PRIx64 " %#" PRIx64 " (CD table %u) on vIOMMU %u: %ld\n", (unsigned int)(h - w->hwpt), ste[0],
	    ste[1], n->cdtab, v, err);
	if (err != want)
		FAIL(w, "HWPT_ALLOC of vSTE %#" PRIx64 " %#" PRIx64 " returned %ld, expected %ld", ste[0], ste[1], err, want);
	if (err) {
		destroy_hwpt(w, h);
		return;
	}
	h->kind = NESTED;
	w->hwpt[h->parent].users++;
	t->viommu[v].users++;
}

void do_alloc(struct world *w)
{
	unsigned int r = (unsigned int)rnd(w, 6);

	if (r >= 2)
		alloc_nested(w);
	else
		alloc_paging(w, r ? PARENT : FS_PAGING, (unsigned int)rnd(w, NIOAS));
}

void smmu_destroyed(struct world *w, struct hwpt *h)
{
	if (h->kind == NESTED)
		own(w)->viommu[own(w)->nest[h - w->hwpt].viommu].users--;
}

/* ---- vIOMMUs ---- */

static void make_viommu(struct world *w, unsigned int v, unsigned int dev, struct hwpt *parent)
{
	struct smmu_viommu *o = &own(w)->viommu[v];
	long err = rig_viommu(&w->rig, dev, parent->id, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, &o->id);

	SAY(w, "vIOMMU %u: for device %u on hwpt %u: %ld\n", v, dev, (unsigned int)(parent - w->hwpt), err);
	if (err) {
		FAIL(w, "VIOMMU_ALLOC returned %ld", err);
		return;
	}
	o->unit = unit_of(w, dev);
	o->parent = (unsigned int)(parent - w->hwpt);
	o->users = 0;
	o->queue_id = 0;
	parent->users++;
}

void do_viommu(struct world *w)
{
	unsigned int v = (unsigned int)rnd(w, NVIOMMUS), dev = (unsigned int)rnd(w, w->rig.ndevs);
	struct smmu_viommu *o = &own(w)->viommu[v];
	struct hwpt *parent = any_hwpt(w, PARENT);
	long err;

	if (!o->id) {
		if (parent)
			make_viommu(w, v, dev, parent);
		return;
	}
	if (rnd(w, 3))
		return;
	err = rig_destroy(&w->rig, o->id);
	SAY(w, "destroy vIOMMU %u: %ld\n", v, err);
	if (o->users ? err != -16 : err != 0)
		FAIL(w, "DESTROY of a vIOMMU with %u users returned %ld", o->users, err);
	if (err)
		return;
	w->hwpt[o->parent].users--;
	o->id = 0;
}

static bool vsid_taken(const struct world *w, unsigned int v, uint32_t vsid)
{
	unsigned int i;

	for (i = 0; i < w->rig.ndevs; i++)
		if (own(w)->vdev[i].id && own(w)->vdev[i].viommu == v && own(w)->vdev[i].vsid == vsid)
			return true;
	return false;
}

static void make_vdevice(struct world *w, unsigned int v, unsigned int dev)
{
	struct smmu_state *t = own(w);
	/* like those of other guests, and of other devices; or wider than any of the host's */
	uint32_t vsid = rnd(w, 6) ? 0x100 + (uint32_t)rnd(w, 4) * 0x100 : (uint32_t)rnd(w, UINT32_MAX), id = 0;
	bool other = unit_of(w, dev) != t->viommu[v].unit;
	const uint64_t wide = rnd(w, 16) ? 0 : BIT(32 + rnd(w, 32)); /* no StreamID */
	long want = other ? -22 : t->vdev[dev].id || (!wide && vsid_taken(w, v, vsid)) ? -17 : wide ? -22 : 0;
	long err = rig_vdevice(&w->rig, t->viommu[v].id, dev, vsid | wide, &id);

	SAY(w, "vDEVICE: device %u is %#x on vIOMMU %u: %ld\n", dev, vsid, v, err);
	if (err != want)
		FAIL(w, "VDEVICE_ALLOC returned %ld, expected %ld", err, want);
	if (err)
		return;
	t->vdev[dev] = (struct smmu_vdev){.id = id, .viommu = v, .vsid = vsid};
	t->viommu[v].users++;
}

static void end_vdevice(struct world *w, unsigned int dev)
{
	struct smmu_state *t = own(w);
	long err = rig_destroy(&w->rig, t->vdev[dev].id);

	SAY(w, "destroy the vDEVICE of device %u: %ld\n", dev, err);
	if (err) {
		FAIL(w, "DESTROY of a vDEVICE returned %ld", err);
		return;
	}
	t->viommu[t->vdev[dev].viommu].users--;
	if (t->dev[dev].route == (int)t->vdev[dev].viommu)
		t->dev[dev].route = -1;
	t->vdev[dev].id = 0;
}

void do_vdevice(struct world *w)
{
	unsigned int v = (unsigned int)rnd(w, NVIOMMUS), dev = (unsigned int)rnd(w, w->rig.ndevs);

	if (own(w)->vdev[dev].id && rnd(w, 4) == 0)
		end_vdevice(w, dev);
	else if (own(w)->viommu[v].id && (!own(w)->vdev[dev].id || rnd(w, 4) == 0))
		make_vdevice(w, v, dev);
}

void do_veventq(struct world *w)
{
	unsigned int v = (unsigned int)rnd(w, NVIOMMUS);
	struct smmu_viommu *o = &own(w)->viommu[v];
	long err;

	if (!o->id)
		return;
	if (!o->queue_id) {
		err = rig_veventq(&w->rig, o->id, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, DEPTH, &o->queue_id, &o->queue);
		SAY(w, "event queue of vIOMMU %u: %ld\n", v, err);
		if (err) {
			FAIL(w, "VEVENTQ_ALLOC returned %ld", err);
			o->queue_id = 0;
			return;
		}
		o->sequence = 0;
		o->users++;
		return;
	}
	if (rnd(w, 4))
		return;
	read_events(w, v, 0);
	rig_queue_close(&w->rig, o->queue);
	err = rig_destroy(&w->rig, o->queue_id);
	SAY(w, "destroy the event queue of vIOMMU %u: %ld\n", v, err);
	if (err)
		FAIL(w, "DESTROY of an event queue returned %ld", err);
	o->queue_id = 0;
	o->users--;
}

/* ---- attachments ---- */

static bool has_host_pasids(const struct world *w, unsigned int dev)
{
	unsigned int p;

	for (p = 1; p < NPASIDS; p++)
		if (w->att[dev][p] >= 0)
			return true;
	return false;
}

long smmu_attach_refused(const struct world *w, unsigned int dev, unsigned int p, int at)
{
	const struct smmu_state *t = own(w);
	const struct hwpt *h = at < NHWPTS ? &w->hwpt[at] : NULL;
	const int rid = w->att[dev][0];
	const struct smmu_nest *n;

	if (w->att[dev][p] == at)
		return 0; /* nothing to do */
	if (p) {
		if (!h || h->kind != FS_PAGING)
			return ANY_ERROR;
		/* beside what was not made to go with PASIDs */
		return rid >= 0 && (rid >= NHWPTS || w->hwpt[rid].kind != FS_PAGING) ? ANY_ERROR : 0;
	}
	if (has_host_pasids(w, dev) && (!h || h->kind != FS_PAGING))
		return ANY_ERROR;
	if (!h || h->kind != NESTED)
		return 0;
	n = &t->nest[at];
	if (t->viommu[n->viommu].unit != unit_of(w, dev))
		return -22;
	return n->nest == NEST_S1 && !(t->vdev[dev].id && t->vdev[dev].viommu == n->viommu) ? -2 : 0;
}

/* Mostly what goes. */
void smmu_attach(struct world *w)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs), p = 0, tries;
	int at = (int)rnd(w, NHWPTS + NIOAS);

	if (w->vendor->has_pasids(w, dev) && rnd(w, 4) == 0)
		p = 1 + (unsigned int)rnd(w, NPASIDS - 1);
	for (tries = 0; tries < 12; tries++) {
		if (at >= NHWPTS ? tries > 8 : w->hwpt[at].kind == (p ? FS_PAGING : NESTED) &&
			    (!smmu_attach_refused(w, dev, p, at) || tries > 6))
			break;
		at = (int)rnd(w, NHWPTS + NIOAS);
	}
	if (at >= NHWPTS || w->hwpt[at].kind != FREE)
		attach_to(w, dev, p, at);
}

static void leave_ctx(struct world *w, unsigned int dev)
{
	struct smmu_ctx *c = ctx_of(w, dev);
	unsigned int k;

	if (!c)
		return;
	own(w)->dev[dev].ctx = 0;
	if (--c->users == 0) /* the driver has had the VMID forgotten */
		for (k = 0; k < NSPACES; k++)
			seen_free(&c->seen[k]);
}

static void enter_ctx(struct world *w, unsigned int dev, unsigned int parent)
{
	struct smmu_ctx *c = &own(w)->ctx[unit_of(w, dev)][parent];
	unsigned int k;

	own(w)->dev[dev].ctx = parent + 1;
	if (c->users++ == 0)
		for (k = 0; k < NSPACES; k++)
			seen_new(&c->seen[k], k);
}

void smmu_attached(struct world *w, unsigned int dev, unsigned int p, int was)
{
	struct smmu_state *t = own(w);
	struct smmu_dev_state *d = &t->dev[dev];
	const struct hwpt *h = hwpt_at(w, dev, 0);
	const struct smmu_nest *n = nest_of(w, dev), *old = NULL;
	unsigned int before = d->ctx;

	if (p)
		return;
	if (was >= 0 && was < NHWPTS && before) /* a nested one */
		old = &t->nest[was];
	if (n && before != h->parent + 1) {
		/* the new one first: no VMID is given up that is used again at once */
		enter_ctx(w, dev, h->parent);
		if (before) {
			d->ctx = before;
			leave_ctx(w, dev);
			d->ctx = h->parent + 1;
		}
	} else if (!n) {
		leave_ctx(w, dev);
	}
	/* With another STE all CDs are fetched anew. */
	if (!(n && old && n->nest == NEST_S1 && old->nest == NEST_S1 && n->cdtab == old->cdtab))
		memset(d->cd_old, 0, sizeof(d->cd_old));
	atc_clear(w, dev);
	d->route = n && t->vdev[dev].id && t->vdev[dev].viommu == n->viommu ? (int)n->viommu : -1;
	d->route_vsid = t->vdev[dev].vsid;
}

/* ---- events ---- */

struct record {
	struct iommufd_vevent_header h;
	uint64_t evt[4];
};

/* One event, or that some were lost. False: there is none. */
static bool read_event(struct world *w, struct smmu_viommu *o, struct record *r)
{
	ssize_t n;

	memset(r, 0, sizeof(*r));
	n = rig_queue_read(&w->rig, o->queue, r, sizeof(*r));
	if (n == 0)
		return false;
	if (n != (ssize_t)sizeof(*r) && n != (ssize_t)sizeof(r->h)) {
		FAIL(w, "reading events returned %zd", n);
		return false;
	}
	if (r->h.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS)
		own(w)->lost++;
	else
		own(w)->events++;
	return true;
}

void read_events(struct world *w, unsigned int v, unsigned int at_most)
{
	struct smmu_viommu *o = &own(w)->viommu[v];
	struct record r;

	if (!o->id || !o->queue_id)
		return;
	while (read_event(w, o, &r)) {
		if (at_most-- == 0)
			FAIL(w, "vIOMMU %u: an event that nobody caused: %#" PRIx64 " %#" PRIx64 " %#" PRIx64, v, r.evt[0], r.evt[1], r.evt[2]);
		if (w->failed[0])
			return;
	}
}

/* 7.3: in the guest's names, and about this access. */
static void check_event(struct world *w, unsigned int dev, unsigned int p, uint64_t va, bool write, const struct record *r)
{
	const unsigned int id = (unsigned int)FIELD_GET(SMMU_EVT_0_ID, r->evt[0]);
	const bool page = id >= SMMU_EVT_TRANSLATION && id <= SMMU_EVT_PERMISSION;

	if (FIELD_GET(SMMU_EVT_0_SID, r->evt[0]) != own(w)->dev[dev].route_vsid)
		FAIL(w, "an event for StreamID %#" PRIx64 ", the guest knows the device as %#x", FIELD_GET(SMMU_EVT_0_SID, r->evt[0]),
		     own(w)->dev[dev].route_vsid);
	if (p && FIELD_GET(SMMU_EVT_0_SSID, r->evt[0]) != pasids[p])
		FAIL(w, "an event for SubstreamID %" PRIu64 ", the access had %u", FIELD_GET(SMMU_EVT_0_SSID, r->evt[0]), pasids[p]);
	if (page && (!(r->evt[0] & SMMU_EVT_0_SSV) != !p))
		FAIL(w, "SSV of an event is %d", !p);
	if (page && (r->evt[2] != va || !(r->evt[1] & SMMU_EVT_1_RNW) != write || (r->evt[1] & (SMMU_EVT_1_S2 | SMMU_EVT_1_STALL))))
		FAIL(w, "an event of a %s at %#" PRIx64 ": %#" PRIx64 " %#" PRIx64, write ? "write" : "read", va, r->evt[1], r->evt[2]);
	switch (id) {
	case SMMU_EVT_BAD_STE:
	case SMMU_EVT_STREAM_DISABLED:
	case SMMU_EVT_BAD_SUBSTREAMID:
	case SMMU_EVT_BAD_CD:
	case SMMU_EVT_TRANSLATION:
	case SMMU_EVT_ADDR_SIZE:
	case SMMU_EVT_PERMISSION:
		break;
	default:
		FAIL(w, "an event %#x for the guest", id);
	}
}

void smmu_faulted(struct world *w, unsigned int dev, unsigned int p, uint64_t va, bool write, int err, const int *o, unsigned int n)
{
	struct smmu_state *t = own(w);
	struct smmu_dev_state *d = &t->dev[dev];
	unsigned int i, told = 0, not_told = 0, v, got = 0;
	struct record r;

	t->stalls += err == -11;
	for (i = 0; i < n; i++) {
		told += o[i] == FAULT;
		not_told += o[i] < FAULT;
	}
	if (t->ats_lent) /* translation requests leave no record */
		not_told = 1;
	for (v = 0; v < NVIOMMUS; v++)
		if ((int)v != d->route)
			read_events(w, v, 0);
	if (d->route < 0 || !t->viommu[d->route].queue_id)
		return;
	while (!w->failed[0] && read_event(w, &t->viommu[d->route], &r)) {
		if (r.h.flags || r.h.sequence != t->viommu[d->route].sequence)
			FAIL(w, "event %u is number %u, or some were lost (%u)", t->viommu[d->route].sequence, r.h.sequence, r.h.flags);
		t->viommu[d->route].sequence = r.h.sequence + 1;
		check_event(w, dev, p, va, write, &r);
		SAY(w, "event %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " %#" PRIx64 "\n", r.evt[0], r.evt[1], r.evt[2], r.evt[3]);
		got++;
	}
	if (got > (told ? 1u : 0u) || (got == 0 && told && !not_told))
		FAIL(w, "a fault at %#" PRIx64 " of device %u pasid %d (%d) made %u events; outcome %d of %u", va, dev, (int)pasids[p],
		     err, got, o[0], n);
}

/* A guest that does not read: as many as fit, in order, then that the rest was lost, and how many. */
void do_flood(struct world *w)
{
	unsigned int dev = (unsigned int)rnd(w, w->rig.ndevs), n = DEPTH + (unsigned int)rnd(w, 5), i, got = 0;
	struct smmu_state *t = own(w);
	struct smmu_viommu *o;
	int out[MAX_OUTCOMES];
	uint64_t word = 0;
	struct record r;
	uint64_t va = 0;

	if (!nest_of(w, dev) || t->dev[dev].route < 0 || !t->viommu[t->dev[dev].route].queue_id)
		return;
	o = &t->viommu[t->dev[dev].route];
	for (i = 0; i < 20; i++) {
		va = w->vendor->va_window[rnd(w, NWINDOWS)] + rnd(w, WPAGES) * PAGE;
		if (outcomes(w, dev, 0, va, HW_READ, out) == 1 && out[0] == FAULT)
			break;
	}
	if (i == 20)
		return;
	for (i = 0; i < n; i++)
		(void)rig_read(&w->rig, dev, NB_NO_PASID, va, &word, sizeof(word));
	SAY(w, "device %u floods vIOMMU %d with %u events\n", dev, t->dev[dev].route, n);
	for (got = 0; !w->failed[0] && read_event(w, o, &r); got++) {
		const bool lost = r.h.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;

		if (lost != (got == DEPTH) || (!lost && r.h.sequence != o->sequence + got) ||
		    (lost && r.h.sequence != o->sequence + n - 1))
			FAIL(w, "of %u events from %u on the %uth read is number %u, flags %u", n, o->sequence, got, r.h.sequence, r.h.flags);
		if (!lost)
			check_event(w, dev, 0, va, false, &r);
	}
	if (got != (n > DEPTH ? DEPTH + 1 : n))
		FAIL(w, "of %u events %u were read", n, got);
	o->sequence += n;
}

/* ---- runs ---- */

bool objs_begin(struct world *w)
{
	struct smmu_state *t = own(w);
	unsigned int i;

	memset(t->viommu, 0, sizeof(t->viommu));
	memset(t->vdev, 0, sizeof(t->vdev));
	for (i = 0; i < RIG_DEVS; i++)
		t->dev[i].route = -1;
	/* Something to nest on from the start: both parents, and one of them behind all units. */
	for (i = 0; i < NIOAS; i++)
		alloc_paging(w, PARENT, i);
	for (i = 0; i < w->desc->niommus + 1 && !w->failed[0]; i++) {
		unsigned int dev = i % w->desc->niommus;

		while (unit_of(w, dev) != i % w->desc->niommus)
			dev++;
		make_viommu(w, i, dev, &w->hwpt[i < w->desc->niommus ? 0 : 1]);
		make_vdevice(w, i, dev + (i == w->desc->niommus));
	}
	for (i = 0; i < 3; i++)
		alloc_nested(w);
	return !w->failed[0];
}

void objs_end(struct world *w)
{
	unsigned int u, i, k;

	for (u = 0; u < NUNITS; u++)
		for (i = 0; i < NHWPTS; i++) {
			for (k = 0; k < NSPACES; k++)
				seen_free(&own(w)->ctx[u][i].seen[k]);
			own(w)->ctx[u][i].users = 0;
		}
	memset(own(w)->viommu, 0, sizeof(own(w)->viommu));
}
