/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A word that a walk has read changes. The model may go on with what it has cached, but with nothing else; after the command for
 * such a change (IHI 0070 4.3, 4.4) and CMD_SYNC it must see the new one. Which command is the random choice: by address, by
 * ASID, by VMID, as a range.
 */
#include "prop_walk_smmuv3.h"

#include <inttypes.h>
#include <stdio.h>

#define CMDS 32u

static void push(struct world *w, uint64_t lo, uint64_t hi)
{
	uint8_t *slot = w->ram + QUEUE + 16 * (w->prod % CMDS);

	memcpy(slot, &lo, 8);
	memcpy(slot + 8, &hi, 8);
	w->prod = (w->prod + 1) % (2 * CMDS);
}

/* False: the unit refused one. */
static bool sync(struct world *w)
{
	push(w, 0x46, 0);
	w->hw->ops->mmio_write(w->hw, 0x98, 4, w->prod);
	return w->hw->ops->mmio_read(w->hw, 0x9c, 4) == w->prod;
}

static uint64_t vmid_field(const struct world *w)
{
	return w->caps.s2 ? (get(w, w->ste_at + 16) & 0xffff) << 32 : 0;
}

static uint64_t asid_field(const struct world *w)
{
	return w->cd_at ? get(w, w->cd_at) & BITS(63, 48) : 0;
}

static void forget_translations(struct world *w)
{
	push(w, 0x30, 0); /* NSNH_ALL */
	if (w->caps.hyp)
		push(w, 0x20, 0); /* EL2_ALL */
}

/* 4.4.1.1: some range of the tables' granule that has this address in it; or the page alone. Both in the second word, NUM in *lo. */
static uint64_t around(struct world *w, unsigned int page, uint64_t addr, uint64_t *lo)
{
	unsigned int num, scale = (unsigned int)rnd(w, 6);
	uint64_t first = addr & BITS(55, 0) & ~((UINT64_C(1) << page) - 1), back;

	if (!w->caps.ril || chance(w, 2))
		return addr & BITS(55, 12);
	num = 2 + (unsigned int)rnd(w, 30);
	back = rnd(w, (uint64_t)num << scale) << page;
	if (back <= first)
		first -= back;
	*lo |= (uint64_t)(num - 1) << 12 | (uint64_t)scale << 20;
	return first | (page == 12 ? UINT64_C(1) : page == 14 ? UINT64_C(2) : UINT64_C(3)) << 10;
}

/* leaf: the word is the last of the walk. */
static void push_stage1(struct world *w, bool leaf)
{
	bool el2 = !w->s2 && w->caps.hyp && get(w, w->ste_at + 8) >> 31 & 1, e2h = el2 && w->naive.e2h;
	uint64_t lo, hi = leaf && chance(w, 2) ? 1 : 0;

	switch (rnd(w, 4)) {
	case 0: /* NH_VA, EL2_VA */
		lo = el2 ? 0x22 | (e2h ? asid_field(w) : 0) : 0x12 | vmid_field(w) | asid_field(w);
		hi |= around(w, w->one.page, w->req.addr, &lo);
		push(w, lo, hi);
		break;
	case 1: /* NH_VAA, EL2_VAA */
		lo = el2 ? 0x23 : 0x13 | vmid_field(w);
		hi |= around(w, w->one.page, w->req.addr, &lo);
		push(w, lo, hi);
		break;
	case 2: /* NH_ASID, EL2_ASID: not what is global, or has no ASID */
		if (!el2)
			push(w, 0x11 | vmid_field(w) | asid_field(w), 0);
		else if (e2h)
			push(w, 0x21 | asid_field(w), 0);
		lo = el2 ? 0x23 : 0x13 | vmid_field(w);
		push(w, lo, w->req.addr & BITS(55, 12));
		break;
	default: /* NH_ALL, EL2_ALL */
		push(w, el2 ? 0x20 : 0x10 | vmid_field(w), 0);
	}
}

static void push_stage2(struct world *w, bool leaf)
{
	uint64_t lo = 0x2a | vmid_field(w), hi = leaf && chance(w, 2) ? 1 : 0;

	if (w->s1) { /* also what was fetched through it */
		push(w, 0x06 | (uint64_t)w->req.sid << 32, 0);
		push(w, 0x28 | vmid_field(w), 0);
	} else if (chance(w, 3)) {
		push(w, 0x28 | vmid_field(w), 0); /* S12_VMALL */
	} else {
		hi |= around(w, w->two.page, w->req.addr, &lo);
		push(w, lo, hi); /* S2_IPA */
	}
}

static void push_for(struct world *w, enum cls cls, bool leaf)
{
	const uint64_t sid = (uint64_t)w->req.sid << 32;

	switch (cls) {
	case S1:
		push_stage1(w, leaf);
		break;
	case S2:
		push_stage2(w, leaf);
		break;
	case CD:
		push(w, chance(w, 3) ? 0x06 | sid : 0x05 | sid | (uint64_t)w->req.ssid << 12, chance(w, 2));
		forget_translations(w);
		break;
	case L1CD:
		push(w, chance(w, 3) ? 0x06 | sid : 0x05 | sid | (uint64_t)w->req.ssid << 12, 0);
		forget_translations(w);
		break;
	case STE:
		push(w, 0x03 | sid, chance(w, 2));
		forget_translations(w);
		break;
	default:
		if (chance(w, 2))
			push(w, 0x03 | sid, 0);
		else
			push(w, 0x04, 31); /* CFGI_ALL */
		forget_translations(w);
	}
}

static bool same_outcome(const struct hw_result *a, const struct hw_result *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == HW_FAULT ? a->fault.reason == b->fault.reason : a->pa.v == b->pa.v && a->perm == b->perm;
}

/* What may change is what leads to no other structure: there the walker does not know all fields. And ids stay what commands say. */
static bool may_change(enum cls cls, uint64_t pa, unsigned int bit)
{
	const unsigned int q = (unsigned int)(pa >> 3) & 7;

	if (!may_flip(cls, pa, bit))
		return false;
	switch (cls) {
	case STE:
		return q == 0 ? bit <= 3 : q == 1 || (q == 2 && bit >= 16);
	case CD:
		return q == 0 ? bit < 48 : bit < 4 || bit > 51;
	case L1STD:
		return bit <= 4;
	case L1CD:
		return bit == 0;
	default:
		return true;
	}
}

struct change {
	uint64_t pa, was, now;
	enum cls cls;
	bool leaf, once; /* the leaf of the walk; read once in it */
};

/* One word of those in `walked`. False: none found. */
static bool pick_change(struct world *w, const struct naive_smmu_res *walked, struct change *c)
{
	unsigned int tries, bit, i, same = 0;
	const struct shape *s;

	for (tries = 0; tries < 40; tries++) {
		c->pa = walked->word[chance(w, 3) ? walked->nwords - 1 : rnd(w, walked->nwords)];
		c->cls = w->cls[(c->pa - w->base) / 4096];
		s = c->cls == S1 ? &w->one : &w->two;
		bit = chance(w, 3) ? 0 : (unsigned int)rnd(w, 64);
		if (!may_change(c->cls, c->pa, bit))
			continue;
		c->was = get(w, c->pa);
		c->now = c->cls == S1 || c->cls == S2 ? turned(s, turned(s, c->was) ^ BIT(bit)) : c->was ^ BIT(bit);
		for (i = 0; i < walked->nwords; i++)
			same += walked->word[i] == c->pa;
		c->once = same == 1;
		c->leaf = c->pa == walked->word[walked->nwords - 1] && walked->fault.event == 0;
		snprintf(w->change, sizeof(w->change), "; changed: %s at %#" PRIx64 " bit %u", cls_name[c->cls], c->pa, bit);
		return true;
	}
	return false;
}

/* Between the change and the command. */
static void forgotten(struct world *w, unsigned int step, const struct hw_result *before)
{
	struct naive_smmu n = w->naive;
	struct naive_smmu_res want;
	struct hw_result got;

	naive_smmu_translate(&n, &w->req, &want);
	translate_hw(w, &got);
	if (!same_outcome(&got, before) && (want.fault.event ? got.kind != HW_FAULT : got.kind != HW_OK || got.pa.v != want.pa))
		difference(w, step, &want, &got, "neither the old nor the new");
	copy_back(w);
}

/* One change and its command; then the access is as the walker says. False: enough of this case. */
static bool make(struct world *w, unsigned int step, const struct change *c, uint64_t v, const struct hw_result *before)
{
	struct naive_smmu_res want = {0};
	struct hw_result got;
	bool stray = false;

	if (!put(w, c->pa, v))
		return false;
	if (c->once && chance(w, 2)) /* software forgot, for now */
		forgotten(w, step, before);
	push_for(w, c->cls, c->leaf);
	if (!sync(w))
		difference(w, step, &want, before, "a command was refused");
	else
		same_access(w, step, &want, &got, &stray);
	return !stray && !w->differs;
}

void change_and_invalidate(struct world *w)
{
	struct naive_smmu_res walked;
	struct hw_result before;
	bool stray = false;
	struct change c;
	unsigned int round;

	for (round = 1; round <= 3; round++) {
		access_of(w, (unsigned int)rnd(w, 3));
		w->change[0] = '\0';
		if (!same_access(w, 100 * round, &walked, &before, &stray) || walked.nwords == 0 || stray)
			return;
		/* A walk that went astray has read words as what they are not. */
		if (walked.fault.event && (walked.fault.event != 0x13 || walked.fault.cls != 2))
			return;
		if (!pick_change(w, &walked, &c) || !make(w, 100 * round + 1, &c, c.now, &before))
			return;
		/* and back, unless hardware has marked it meanwhile */
		if (get(w, c.pa) != c.now)
			return;
		c.leaf = false;
		c.once = false;
		if (!make(w, 100 * round + 2, &c, c.was, &before))
			return;
	}
}
