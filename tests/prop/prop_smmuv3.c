/* SPDX-License-Identifier: BSD-3-Clause */
/* prop_host on SMMUv3: which hosts, what a nested attachment may do, steps. What is what: prop_smmuv3.h. */
#include "prop_smmuv3.h"

static const uint64_t va_window[NWINDOWS] = {0x200000, UINT64_C(0x7fffffe00000), UINT64_C(0xffff800000000000),
					     UINT64_C(0x123440000000)};

/* ---- hosts ---- */

static bool host_is(struct world *w)
{
	struct smmu_state *t = own(w);

	if (w->desc->iommu[0].vendor != NB_DESC_SMMUV3)
		return false;
	t->cap = &w->desc->iommu[0].smmuv3;
	w->tracks = w->starts_dirty = t->cap->httu == 2 && t->cap->coherent;
	return true;
}

static bool has_pasids(const struct world *w, unsigned int dev)
{
	return own(w)->cap->ssid_bits && strcmp(w->desc->function[dev].model, "dmatest") == 0;
}

/* Stage 1 cannot refuse to be read; stage 2 can. */
static bool read_implied(const struct world *w, const struct hwpt *h)
{
	(void)w;
	return !h || h->kind == FS_PAGING;
}

/* ---- nested attachments ---- */

int cd_slot(struct world *w, unsigned int dev, unsigned int p, int *how)
{
	const struct smmu_nest *n = nest_of(w, dev);

	*how = FAULT;
	if (!n || n->nest == NEST_ABORT) {
		*how = FAULT_HOST;
		return -1;
	}
	if (n->nest == NEST_BYPASS) {
		*how = p ? FAULT : 0;
		return -1;
	}
	if (own(w)->cdtab[n->cdtab].cdmax == 0)
		return p ? -1 : 0;
	if (p)
		return (int)p;
	if (n->dss == SMMU_S1DSS_BYPASS)
		*how = 0;
	return n->dss == SMMU_S1DSS_SSID0 ? 0 : -1;
}

unsigned int cd_candidates(struct world *w, unsigned int dev, unsigned int slot)
{
	const struct smmu_nest *n = nest_of(w, dev);

	return 1u << own(w)->cdtab[n->cdtab].now[slot] | own(w)->dev[dev].cd_old[slot];
}

static unsigned int add(int *out, unsigned int n, int o)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (out[i] == o)
			return n;
	if (n < MAX_OUTCOMES)
		out[n++] = o;
	return n;
}

/* Through an entry of stage 1 and then stage 2. */
static int through(const struct ioas *s, const struct entry *e, unsigned int access, int fault)
{
	int o;

	if (!area_at(s, TABLE_GPA))
		return FAULT_HOST; /* the tables cannot be read */
	if ((e->prot & access) != access)
		return fault;
	o = through_ioas(s, e->gpa, access, false);
	return o < 0 ? FAULT_HOST : o;
}

/* 5.4.2: the stall model that the unit has not, or the STE forbids; an ASID that is too wide. */
static bool bad_cd(struct world *w, unsigned int dev, unsigned int value)
{
	const struct nb_desc_smmuv3 *cap = unit_cap(w, unit_of(w, dev));

	if (value & CD_STALL ? cap->stall_model == SMMU_STALL_NEVER || nest_of(w, dev)->stalld : cap->stall_model == SMMU_STALL_ALWAYS)
		return true;
	return !cap->asid16 && own(w)->asid[value & 3] > 0xff;
}

static unsigned int through_cd(struct world *w, const struct ioas *s, unsigned int dev, unsigned int value, uint64_t va,
			       unsigned int access, int *out, unsigned int n)
{
	static const struct entry none;
	const unsigned int space = value & 3;
	const int fault = value & CD_STALL ? FAULT_STALL : FAULT;
	const struct smmu_ctx *c = ctx_of(w, dev);
	unsigned int win, page, i;

	if (!area_at(s, TABLE_GPA))
		n = add(out, n, FAULT_HOST);
	if (space == CD_INVALID || bad_cd(w, dev, value))
		return add(out, n, FAULT); /* C_BAD_CD, which may be cached */
	if (!find_window(w, va, &win, &page))
		return add(out, n, through(s, &none, access, fault));
	n = add(out, n, through(s, &w->space[space].now[win][page], access, fault));
	for (i = 0; i < c->seen[space].old[win][page].n; i++)
		n = add(out, n, through(s, &c->seen[space].old[win][page].e[i], access, fault));
	return n;
}

static unsigned int nested_outcomes(struct world *w, unsigned int dev, unsigned int p, uint64_t va, unsigned int access,
				    int out[MAX_OUTCOMES])
{
	const struct hwpt *h = hwpt_at(w, dev, 0);
	const struct smmu_nest *nest = nest_of(w, dev);
	const struct ioas *s;
	unsigned int now, n = 0, win, page, i, v;
	int how, slot;

	if (!nest) {
		out[0] = FAULT_HOST;
		return 1;
	}
	if (own(w)->ats_lent == ATS_OFF) {
		out[0] = FAULT_HOST;
		return 1;
	}
	s = &w->ioas[h->ioas];
	slot = cd_slot(w, dev, p, &how);
	if (slot < 0) {
		out[0] = how == 0 ? through_ioas(s, va, access, false) : how;
		if (how == 0 && out[0] < 0) /* what stage 1 lets by has to fit into an address (3.4) */
			out[0] = va >> own(w)->cap->oas ? FAULT : FAULT_HOST;
		return 1;
	}
	now = own(w)->cdtab[nest->cdtab].now[slot];
	n = through_cd(w, s, dev, now, va, access, out, 0);
	for (v = 0; v < CD_VALUES; v++)
		if (v != now && (cd_candidates(w, dev, (unsigned int)slot) >> v & 1))
			n = through_cd(w, s, dev, v, va, access, out, n);
	if (own(w)->ats_lent && find_window(w, va, &win, &page)) {
		const struct old *o = &own(w)->dev[dev].atc_seen[p].old[win][page];

		for (i = 0; i < o->n; i++)
			n = add(out, n, through(s, &o->e[i], access, FAULT));
	}
	return n;
}

static const struct seen *view(struct world *w, unsigned int dev, unsigned int p)
{
	const struct smmu_nest *n = nest_of(w, dev);
	int how, slot = cd_slot(w, dev, p, &how);
	unsigned int now;

	if (slot < 0)
		return NULL;
	now = own(w)->cdtab[n->cdtab].now[slot];
	return (now & 3) == CD_INVALID ? NULL : &ctx_of(w, dev)->seen[now & 3];
}

/* Those who stand on a guest's tables, above all. */
static void pick(struct world *w, unsigned int *dev, unsigned int *p)
{
	unsigned int tries;

	for (tries = 0; tries < 6 && !view(w, *dev, *p); tries++) {
		*dev = (unsigned int)rnd(w, w->rig.ndevs);
		*p = has_pasids(w, *dev) ? (unsigned int)rnd(w, NPASIDS) : 0;
	}
}

/* ---- runs ---- */

static bool begin(struct world *w)
{
	w->rng = w->run * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(w, 2);
	return guest_begin(w) && objs_begin(w);
}

static void end(struct world *w)
{
	guest_end(w);
	objs_end(w);
}

static void step(struct world *w)
{
	switch (rnd(w, 44)) {
	case 0 ... 2:
		do_map(w);
		break;
	case 3 ... 4:
		do_unmap(w);
		break;
	case 5:
		if (rnd(w, 2))
			do_copy(w);
		else
			map_tables(w, (unsigned int)rnd(w, NIOAS));
		break;
	case 6 ... 7:
		do_alloc(w);
		break;
	case 8:
		if (rnd(w, 3) == 0)
			do_destroy(w);
		break;
	case 9 ... 12:
		smmu_attach(w);
		break;
	case 13:
		if (rnd(w, 3) == 0)
			do_detach(w);
		break;
	case 14 ... 17:
		do_guest(w);
		break;
	case 18 ... 20:
		do_commands(w);
		break;
	case 21:
		do_dirty(w);
		break;
	case 22:
		do_viommu(w);
		break;
	case 23:
		do_vdevice(w);
		break;
	case 24:
		do_veventq(w);
		break;
	case 25 ... 26:
		do_cd(w);
		break;
	case 27:
		if (rnd(w, 4) == 0)
			do_flood(w);
		break;
	default:
		do_access(w);
	}
}

static bool enough(const struct world *w, uint64_t steps)
{
	const struct smmu_state *t = own(w);

	printf("%" PRIu64 " events and %" PRIu64 " times some lost, %" PRIu64 " batches of commands and %" PRIu64 " that were refused, %" PRIu64
	       " pages through device-TLBs, %" PRIu64 " times refused, %" PRIu64 " stalls\n",
	       t->events, t->lost, t->batches, t->refused, t->through_atc, t->ats_off, t->stalls);
	return w->nested >= steps / 60 && w->stale > 0 && t->events >= steps / 200 && t->lost && t->refused &&
	       (!t->cap->ats || t->through_atc) && (t->cap->stall_model == SMMU_STALL_NEVER || t->stalls);
}

int main(int argc, char **argv)
{
	static struct smmu_state state;
	static struct world w = {.own = &state};
	const struct prop_vendor v = {
		.name = "prop_smmuv3",
		.host = "grace",
		.conf = vendor_smmuv3.conf,
		.nconfs = vendor_smmuv3.nconfs,
		.va_window = va_window,
		.max_gran = 16,
		.extra = 0x20000,
		.host_is = host_is,
		.begin = begin,
		.end = end,
		.step = step,
		.enough = enough,
		.outcomes = nested_outcomes,
		.view = view,
		.read_implied = read_implied,
		.has_pasids = has_pasids,
		.pick = pick,
		.dma = smmu_dma,
		.faulted = smmu_faulted,
		.destroyed = smmu_destroyed,
		.attached = smmu_attached,
		.attach_refused = smmu_attach_refused,
		.seers = smmu_seers,
		.forget = smmu_forget,
		.put_node = put_node,
		.put_large = put_large,
		.put_leaf = put_leaf,
	};

	return prop_host_main(&v, &w, argc, argv);
}
