/* SPDX-License-Identifier: BSD-3-Clause */
/* prop_smmuv3: what guests do: translation tables, CD tables; and the devices' TLBs. Their commands: prop_smmuv3_cmds.c. */
#include "prop_smmuv3.h"

/* ---- translation tables: DDI 0487 D8.3 ---- */

static unsigned int tg_of(const struct space *s)
{
	return s->gran == 1 ? 12 : s->gran == 4 ? 14 : 16;
}

/* The lowest address bit that a level resolves. */
static unsigned int lsb(const struct space *s, unsigned int level)
{
	return tg_of(s) + (3 - level) * (tg_of(s) - 3);
}

static uint64_t index_at(const struct space *s, uint64_t va, unsigned int level)
{
	return (va & nb_low_mask(48)) >> lsb(s, level) & nb_low_mask(tg_of(s) - 3);
}

static uint64_t leaf_bits(struct world *w, const struct space *s, unsigned int prot)
{
	uint64_t e = SMMU_PTE_VALID | SMMU_PTE_AP1 | SMMU_PTE_NG | SMMU_PTE_AF | FIELD_C(SMMU_PTE_SH, 3);
	bool ha = own(w)->ha[s - w->space];

	if (ha && rnd(w, 2))
		e &= ~SMMU_PTE_AF;
	if (!(prot & HW_WRITE))
		return e | SMMU_PTE_AP2;
	return ha && rnd(w, 2) ? e | SMMU_PTE_AP2 | SMMU_PTE_DBM : e;
}

static uint64_t *l2_slot(struct world *w, const struct space *s, unsigned int win)
{
	return &table_page(s, WINDOW_TABLE(win) + 1)[index_at(s, w->vendor->va_window[win], 2)];
}

void put_node(struct world *w, struct space *s, unsigned int win, unsigned int table)
{
	guest_store(l2_slot(w, s, win), table == NO_TABLE ? 0 : table_gpa(s, table) | SMMU_PTE_VALID | SMMU_PTE_TABLE);
}

void put_large(struct world *w, struct space *s, unsigned int win, uint64_t gpa, unsigned int prot)
{
	guest_store(l2_slot(w, s, win), gpa | leaf_bits(w, s, prot));
}

void put_leaf(struct world *w, struct space *s, unsigned int table, unsigned int page, uint64_t gpa, unsigned int prot, bool group)
{
	/* All windows begin at an index that is a multiple of theirs: of 2 MiB in a table of 2, 32 or 512 MiB. */
	unsigned int win = (table - WINDOW_TABLE(0)) / (2 + PTS);
	uint64_t first = index_at(s, w->vendor->va_window[win], 3);

	guest_store(&table_page(s, table)[first + page / s->gran],
		    prot ? gpa | SMMU_PTE_TABLE | leaf_bits(w, s, prot) | (group ? SMMU_PTE_CONT : 0) : 0);
}

static uint64_t root_of(const struct space *s, bool high)
{
	return table_gpa(s, high ? SPACE_TABLES - 1 : 0);
}

static void make_space(struct world *w, unsigned int k)
{
	static const uint8_t grans[3] = {1, 4, 16};
	const struct nb_desc_smmuv3 *cap = own(w)->cap;
	const bool have[3] = {cap->gran4k, cap->gran16k, cap->gran64k};
	struct space *s = &w->space[k];
	unsigned int win, g;

	do
		g = (unsigned int)rnd(w, 3);
	while (!have[g]);
	s->gran = grans[g];
	/* 31 apart: under the first few VMIDs they fall into the same places of the model's hash */
	own(w)->asid[k] = (uint16_t)((cap->asid16 && w->run % 2 ? 0x1201 : 0x11) + 31 * k);
	own(w)->ha[k] = cap->httu == 2 && rnd(w, 2);
	for (win = 0; win < NWINDOWS; win++) {
		const uint64_t va = w->vendor->va_window[win];
		unsigned int first = WINDOW_TABLE(win), l1 = va >> 55 & 1 ? SPACE_TABLES - 1 : 0;

		/* 48 bits: levels 0 to 3, of which windows may share the upper; with 64 KiB tables 1 to 3 */
		if (s->gran < 16) {
			uint64_t *slot = &table_page(s, l1)[index_at(s, va, 0)];

			if (!*slot)
				*slot = table_gpa(s, first) | SMMU_PTE_VALID | SMMU_PTE_TABLE;
			l1 = (unsigned int)(((*slot & SMMU_PTE_ADDR) - s->gpa) / PAGE / s->gran);
		}
		table_page(s, l1)[index_at(s, va, 1)] = table_gpa(s, first + 1) | SMMU_PTE_VALID | SMMU_PTE_TABLE;
	}
}

/* ---- CDs: 5.4 ---- */

static void write_cd(struct world *w, uint64_t *cd, unsigned int value)
{
	static const uint8_t tg0[] = {[1] = 0, [4] = 2, [16] = 1}, tg1[] = {[1] = 2, [4] = 1, [16] = 3};
	const struct space *s;
	unsigned int k = value & 3;

	if (k == CD_INVALID) {
		guest_store(&cd[0], 0);
		return;
	}
	s = &w->space[k];
	guest_store(&cd[1], root_of(s, false));
	guest_store(&cd[2], root_of(s, true));
	guest_store(&cd[3], UINT64_C(0xff));
	guest_store(&cd[0], FIELD_C(SMMU_CD_0_T0SZ, 16) | FIELD(SMMU_CD_0_TG0, tg0[s->gran]) | FIELD_C(SMMU_CD_0_IR0, 1) |
				    FIELD_C(SMMU_CD_0_OR0, 1) | FIELD_C(SMMU_CD_0_SH0, 3) | FIELD_C(SMMU_CD_0_T1SZ, 16) |
				    FIELD(SMMU_CD_0_TG1, tg1[s->gran]) | FIELD_C(SMMU_CD_0_IR1, 1) | FIELD_C(SMMU_CD_0_OR1, 1) |
				    FIELD_C(SMMU_CD_0_SH1, 3) | SMMU_CD_0_V | FIELD_C(SMMU_CD_0_IPS, 5) | SMMU_CD_0_AA64 |
				    (own(w)->ha[k] ? SMMU_CD_0_HA | SMMU_CD_0_HD : 0) | (value & CD_STALL ? SMMU_CD_0_S : 0) |
				    SMMU_CD_0_R | SMMU_CD_0_A | SMMU_CD_0_ASET | FIELD(SMMU_CD_0_ASID, own(w)->asid[k]));
}

static unsigned int random_cd(struct world *w)
{
	unsigned int v = rnd(w, 8) ? (unsigned int)rnd(w, NSPACES) : CD_INVALID;

	unsigned int model = own(w)->cap->stall_model, odds = model == SMMU_STALL_BOTH ? 6 : 12;

	if (v == CD_INVALID || model == SMMU_STALL_NEVER)
		return v;
	/* mostly what the unit takes */
	return (rnd(w, odds) == 0) != (model == SMMU_STALL_ALWAYS) ? v | CD_STALL : v;
}

/* A guest that changes a CD: who stands on its table may go on with the old one. */
void do_cd(struct world *w)
{
	unsigned int t = (unsigned int)rnd(w, NCDTABS), slot = (unsigned int)rnd(w, NPASIDS), dev, value = random_cd(w);
	struct smmu_cdtab *tab = &own(w)->cdtab[t];

	if (!tab->cd[slot])
		return;
	for (dev = 0; dev < w->rig.ndevs; dev++) {
		const struct smmu_nest *n = nest_of(w, dev);

		if (n && n->nest == NEST_S1 && n->cdtab == t)
			own(w)->dev[dev].cd_old[slot] |= (uint8_t)(1u << tab->now[slot]);
	}
	tab->now[slot] = (uint8_t)value;
	write_cd(w, tab->cd[slot], value);
	SAY(w, "guest: CD table %u SubstreamID %u is now of space %u%s\n", t, ssid_of(slot), value & 3, value & CD_STALL ? ", stalls" : "");
}

/* In the memory behind the translation tables, by number of table. */
static void make_cdtab(struct world *w, unsigned int i)
{
	static const uint32_t leaf_at[NCDTABS] = {0x10000, 0x12000, 0x14000, 0}, l1_at[NCDTABS] = {0, 0x15000, 0, 0x15040};
	static const uint8_t fmt[NCDTABS] = {SMMU_S1FMT_LINEAR, SMMU_S1FMT_4K, SMMU_S1FMT_LINEAR, SMMU_S1FMT_64K};
	const uint64_t gpa = TABLE_GPA + w->tables_len - w->vendor->extra;
	struct smmu_cdtab *t = &own(w)->cdtab[i];
	uint64_t *leaf = w->extra + leaf_at[i] / 8, *l1 = w->extra + l1_at[i] / 8;
	unsigned int slot;

	*t = (struct smmu_cdtab){.fmt = own(w)->cap->cd_2level ? fmt[i] : SMMU_S1FMT_LINEAR,
				 .cdmax = i == 2 || !own(w)->cap->ssid_bits ? 0 : CDMAX, .ctxptr = gpa + leaf_at[i]};
	if (t->cdmax == 0)
		t->fmt = SMMU_S1FMT_LINEAR;
	if (t->fmt != SMMU_S1FMT_LINEAR) {
		t->ctxptr = gpa + l1_at[i];
		l1[0] = (gpa + leaf_at[i]) | SMMU_L1CD_0_V;
		if (t->fmt == SMMU_S1FMT_4K) /* SubstreamIDs 64 to 127 */
			l1[1] = (gpa + leaf_at[i] + 0x1000) | SMMU_L1CD_0_V;
	}
	for (slot = 0; slot < (t->cdmax ? NPASIDS : 1); slot++) {
		t->cd[slot] = leaf + (size_t)ssid_of(slot) * 8;
		t->now[slot] = (uint8_t)random_cd(w);
		write_cd(w, t->cd[slot], t->now[slot]);
	}
}

/* ---- device-TLBs ---- */

static bool ats_invalidate(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2)
{
	struct smmu_dev_state *d = opaque;

	return hw_atc_invalidate(d->atc, pasid, all_pasids, addr, lg2);
}

static void stall_done(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end)
{
	(void)opaque;
	(void)pasid;
	(void)addr;
	(void)all;
	(void)end;
}

static void page_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	(void)opaque;
	(void)pasid;
	(void)prgi;
	(void)code;
}

static const struct hw_client *client(void *opaque, uint16_t rid)
{
	struct world *w = opaque;
	unsigned int i;

	for (i = 0; i < w->rig.ndevs; i++)
		if (w->rig.dev[i].rid == rid)
			return &own(w)->dev[i].client;
	return NULL;
}

/* A disk has none. */
static bool is_ats_function(struct world *w, unsigned int dev)
{
	return own(w)->cap->ats && strcmp(w->desc->function[dev].model, "dmatest") == 0;
}

/* What the driver's rule for ATS says: what translates, and what the guest allows. */
static bool has_ats(struct world *w, unsigned int dev)
{
	const struct smmu_nest *n = nest_of(w, dev);
	const struct hwpt *h = hwpt_at(w, dev, 0);
	unsigned int p;

	if (!is_ats_function(w, dev))
		return false;
	for (p = 1; p < NPASIDS; p++)
		if (w->att[dev][p] >= 0)
			return true;
	if (w->att[dev][0] < 0)
		return false;
	/* a stage 2 that stalls does not go with it */
	if (h && h->kind != FS_PAGING && unit_cap(w, unit_of(w, dev))->stall_model == SMMU_STALL_ALWAYS)
		return false;
	return !n || n->nest != NEST_S1 || n->eats;
}

int smmu_dma(struct world *w, unsigned int dev, unsigned int p, uint64_t va, uint64_t *buf, size_t len, bool write)
{
	struct smmu_state *t = own(w);
	size_t done = 0;
	int err;

	t->ats_lent = ATS_NONE;
	if (has_ats(w, dev))
		t->ats_lent = rnd(w, 2) ? ATS_ON : ATS_NONE;
	else if (is_ats_function(w, dev) && nest_of(w, dev))
		t->ats_lent = rnd(w, 8) ? ATS_NONE : ATS_OFF;
	if (t->ats_lent == ATS_NONE)
		return write ? rig_write(&w->rig, dev, pasids[p], va, buf, len) : rig_read(&w->rig, dev, pasids[p], va, buf, len);
	SAY(w, "through the device-TLB%s:\n", t->ats_lent == ATS_OFF ? ", which is off" : "");
	if (t->ats_lent == ATS_OFF && rnd(w, 2)) { /* or it makes an address up */
		t->ats_off++;
		return hw_atc_dma_translated(t->dev[dev].atc, NB_NO_PASID, (uintptr_t)w->data, buf, 8, write);
	}
	t->ats_off += t->ats_lent == ATS_OFF && t->dev[dev].route >= 0 && t->viommu[t->dev[dev].route].queue_id;
	err = hw_atc_dma(t->dev[dev].atc, pasids[p], va, buf, len, write, 0, &done);
	t->through_atc += done / PAGE + (done > 0);
	return err;
}

void atc_clear(struct world *w, unsigned int dev)
{
	unsigned int p;

	for (p = 0; p < NPASIDS; p++)
		seen_clear(&own(w)->dev[dev].atc_seen[p]);
}

/* A page of a space, and what is remembered of it, under a nested attachment. */
static void atc_keeps(struct world *w, unsigned int dev, unsigned int slot, unsigned int space, unsigned int win, unsigned int page,
		      bool now)
{
	const struct old *o = &ctx_of(w, dev)->seen[space].old[win][page];
	struct seen *s = &own(w)->dev[dev].atc_seen[slot];
	unsigned int i;

	if (now && w->space[space].now[win][page].prot)
		seen_add(w, s, win, page, &w->space[space].now[win][page]);
	for (i = 0; i < o->n; i++)
		seen_add(w, s, win, page, &o->e[i]);
}

/* Requests without PASID through a table that has one CD, or CD 0: one name for both. */
void atc_keeps_cds(struct world *w, unsigned int dev, unsigned int slot, unsigned int values)
{
	unsigned int v, win, page;

	if (!own(w)->cap->ats)
		return;
	for (v = 0; v < CD_VALUES; v++)
		if ((values >> v & 1) && (v & 3) != CD_INVALID)
			for (win = 0; win < NWINDOWS; win++)
				for (page = 0; page < WPAGES; page++)
					atc_keeps(w, dev, slot, v & 3, win, page, true);
}

void atc_keeps_page(struct world *w, const struct smmu_ctx *c, unsigned int space, unsigned int win, unsigned int page)
{
	unsigned int dev, slot;

	if (!own(w)->cap->ats || !c->seen[space].old[win][page].n)
		return;
	for (dev = 0; dev < w->rig.ndevs; dev++)
		if (ctx_of(w, dev) == c && nest_of(w, dev)->nest == NEST_S1)
			for (slot = 0; slot < NPASIDS; slot++)
				if (cd_candidates(w, dev, slot) & ((1u | 1u << CD_STALL) << space))
					atc_keeps(w, dev, slot, space, win, page, false);
}

/* ---- who remembers ---- */

unsigned int smmu_seers(struct world *w, unsigned int space, struct seen *out[MAX_SEEN])
{
	struct smmu_state *t = own(w);
	unsigned int u, i, slot, n = 0;

	for (u = 0; u < NUNITS; u++)
		for (i = 0; i < NHWPTS; i++)
			if (t->ctx[u][i].users)
				out[n++] = &t->ctx[u][i].seen[space];
	for (i = 0; i < w->rig.ndevs && t->cap->ats; i++) {
		const struct smmu_nest *nest = nest_of(w, i);

		for (slot = 0; nest && nest->nest == NEST_S1 && slot < NPASIDS; slot++)
			if (cd_candidates(w, i, slot) & ((1u | 1u << CD_STALL) << space))
				out[n++] = &t->dev[i].atc_seen[slot];
	}
	return n;
}

/* ---- runs ---- */

bool guest_begin(struct world *w)
{
	struct smmu_state *t = own(w);
	unsigned int i, p;

	for (i = 0; i < NSPACES; i++)
		make_space(w, i);
	for (i = 0; i < NCDTABS; i++)
		make_cdtab(w, i);
	for (i = 0; i < w->rig.ndevs; i++) {
		struct smmu_dev_state *d = &t->dev[i];

		*d = (struct smmu_dev_state){.client = {.opaque = d, .ats_invalidate = ats_invalidate, .page_response = page_response,
							.stall_done = stall_done}};
		d->atc = hw_atc_new(w->rig.dev[i].hw, w->rig.dev[i].rid, 256);
		if (!d->atc)
			return false;
		hw_atc_enable(d->atc, true);
		for (p = 0; p < NPASIDS; p++)
			seen_new(&d->atc_seen[p], 0);
		/* From here on the units know our device-TLBs, not those of the functions. */
		w->rig.dev[i].hw->client = client;
		w->rig.dev[i].hw->client_opaque = w;
	}
	return true;
}

void guest_end(struct world *w)
{
	unsigned int i, p;

	for (i = 0; i < w->rig.ndevs; i++) {
		w->rig.dev[i].hw->client = NULL;
		hw_atc_free(own(w)->dev[i].atc);
		for (p = 0; p < NPASIDS; p++)
			seen_free(&own(w)->dev[i].atc_seen[p]);
	}
}
