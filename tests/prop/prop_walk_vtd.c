/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VT-d model's walks against the naive walker, over random tables.
 *
 *	prop_walk_vtd [--seed N] [--cases N] [--survey]
 *
 * A case builds structures for one request out of random levels, sizes, rights and widths, damages at most one word on the
 * path in one place, and asks model and naive walker for a read (perhaps to execute), a write and a read again: same verdict, same
 * fault reason, recorded or not (FPD), same address, size and rights, and bit for bit the same memory (A and D bits). After a fault A and D
 * bits may differ, since hardware may set some before it finds out.
 *
 * --survey goes on after a difference and lists each kind once. A case is its seed: `--seed N --cases 1` repeats it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "hw/hw.h"
#include "hw/vtd/vtd.h"
#include "naive_vtd.h"

#define NPAGES 128u
#define LEN    (NPAGES * 4096u)

enum cls { FREE, ROOT, CTX, PDIR, PTAB, FS, SS, NCLS };
static const char *const cls_name[NCLS] = {"free", "root", "context", "PASID directory", "PASID table", "FS", "SS"};

struct world {
	uint64_t rng;
	struct vtd_caps caps;
	struct hw_iommu *hw;
	struct mem mem;
	uint8_t *ram, *image, *before;
	uint64_t base;
	unsigned int used;
	uint8_t cls[NPAGES];
	bool legacy, nested, first; /* first: there is a first stage */
	uint64_t ss_root, fs_root, rtaddr;
	unsigned int ss_levels, fs_levels;
	struct naive_req req;
	char damage[120];
};

static uint64_t rnd(struct world *w, uint64_t n)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return (w->rng * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static uint64_t rnd64(struct world *w)
{
	return rnd(w, UINT64_C(1) << 32) << 32 | rnd(w, UINT64_C(1) << 32);
}

static bool chance(struct world *w, unsigned int one_in)
{
	return rnd(w, one_in) == 0;
}

static uint64_t get(const struct world *w, uint64_t pa)
{
	uint64_t v;

	memcpy(&v, w->ram + (pa - w->base), 8);
	return v;
}

static void put(struct world *w, uint64_t pa, uint64_t v)
{
	memcpy(w->ram + (pa - w->base), &v, 8);
}

static uint64_t new_page(struct world *w, enum cls cls)
{
	if (w->used == NPAGES)
		return 0;
	w->cls[w->used] = (uint8_t)cls;
	return w->base + 4096u * w->used++;
}

static unsigned int slot(uint64_t addr, unsigned int level)
{
	return (unsigned int)(addr >> (12 + 9 * (level - 1))) & 511;
}

static uint64_t low(unsigned int n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Bits that no walk looks at, for noise. */
static uint64_t ss_noise(struct world *w)
{
	return chance(w, 2) ? rnd64(w) & (UINT64_C(0x1ff0000000000000) | 0x47c) : 0;
}

static uint64_t fs_noise(struct world *w)
{
	return chance(w, 2) ? rnd64(w) & (UINT64_C(0x7ff0000000000000) | 0xb18) : 0;
}

static uint64_t ss_rights(struct world *w)
{
	return chance(w, 10) ? 1 + rnd(w, 3) : 3;
}

static bool ss_map(struct world *w, uint64_t addr, uint64_t pa, unsigned int leaf)
{
	uint64_t t = w->ss_root;
	unsigned int level;

	for (level = w->ss_levels; level > leaf; level--) {
		uint64_t at = t + 8 * slot(addr, level), e = get(w, at);

		if (e == 0) {
			t = new_page(w, SS);
			if (!t)
				return false;
			put(w, at, t | ss_rights(w) | ss_noise(w));
		} else {
			if ((e & 0x80) || !(e & 3))
				return false;
			t = e & BITS(51, 12);
		}
	}
	if (get(w, t + 8 * slot(addr, leaf)))
		return false;
	put(w, t + 8 * slot(addr, leaf),
	    (pa & ~low(12 + 9 * (leaf - 1))) | ss_rights(w) | (leaf > 1 ? 0x80 : 0) |
		    (w->caps.snoop_control && chance(w, 3) ? 0x800 : 0) | ss_noise(w));
	return true;
}

static unsigned int ss_width(const struct world *w)
{
	unsigned int width = 12 + 9 * w->ss_levels;

	return width < w->caps.mgaw ? width : w->caps.mgaw;
}

/* A first-stage table: *pa where it lies, returns what its writer calls it. */
static uint64_t fs_table(struct world *w, uint64_t *pa)
{
	unsigned int width = ss_width(w);
	uint64_t gpa;

	*pa = new_page(w, FS);
	if (!*pa || !w->nested)
		return *pa;
	gpa = rnd64(w) & low(width > 52 ? 52 : width) & ~low(12);
	return ss_map(w, gpa, *pa, 1) ? gpa : 0;
}

static uint64_t fs_flags(struct world *w)
{
	uint64_t f = 7;

	if (chance(w, 10))
		f = 1 | (rnd(w, 4) << 1);
	if (chance(w, 3))
		f |= 0x20;
	if (w->caps.exec_request && chance(w, 12))
		f |= UINT64_C(1) << 63;
	return f | fs_noise(w);
}

static bool build_fs(struct world *w, uint64_t addr, uint64_t target, unsigned int leaf)
{
	uint64_t t, t_pa;
	unsigned int level;

	w->fs_root = fs_table(w, &t_pa);
	if (!w->fs_root)
		return false;
	for (level = w->fs_levels; level > leaf; level--) {
		uint64_t child_pa;

		t = fs_table(w, &child_pa);
		if (!t)
			return false;
		put(w, t_pa + 8 * slot(addr, level), t | fs_flags(w));
		t_pa = child_pa;
	}
	put(w, t_pa + 8 * slot(addr, leaf),
	    (target & ~low(12 + 9 * (leaf - 1))) | fs_flags(w) | (leaf > 1 ? 0x80 | (rnd(w, 2) << 12) : rnd(w, 2) << 7) |
		    (chance(w, 4) ? 0x40 : 0));
	return true;
}

static unsigned int leaf_level(struct world *w, bool m2, bool g1)
{
	switch (rnd(w, 4)) {
	case 0:
		return m2 ? 2 : 1;
	case 1:
		return g1 ? 3 : 1;
	default:
		return 1;
	}
}

/* Second stage to a random place in physical memory, for an address that has its own entry at `leaf`. */
static bool build_ss_leaf(struct world *w, uint64_t addr)
{
	return ss_map(w, addr, rnd64(w) & low(w->caps.haw), leaf_level(w, w->caps.ss_2m, w->caps.ss_1g));
}

static unsigned int pick_ss_levels(struct world *w)
{
	unsigned int max = w->caps.mgaw == 57 ? (w->caps.levels5 ? 5 : 4) : w->caps.mgaw == 48 ? 4 : 3;

	return 3 + (unsigned int)rnd(w, max - 2);
}

static uint64_t canonical(uint64_t addr, unsigned int width)
{
	return addr >> (width - 1) & 1 ? addr | ~low(width) : addr & low(width);
}

static unsigned int fpd(struct world *w)
{
	return chance(w, 8) ? 2 : 0;
}

static bool build_legacy(struct world *w, uint64_t root)
{
	uint64_t ctx = new_page(w, CTX), at = ctx + 16u * (w->req.rid & 0xff);
	bool pt = w->caps.pass_through && chance(w, 8);
	unsigned int aw;

	w->ss_levels = pick_ss_levels(w);
	aw = w->ss_levels - 2;
	w->ss_root = new_page(w, SS);
	put(w, root + 16u * (w->req.rid >> 8), ctx | 1);
	put(w, at, w->ss_root | (pt ? 2u << 2 : w->caps.device_tlb && chance(w, 2) ? 1u << 2 : 0) | fpd(w) | 1);
	put(w, at + 8, aw | rnd(w, 16) << 3 | (2 + rnd(w, 14)) << 8);
	w->req.addr = rnd64(w) & low(pt ? w->caps.haw : ss_width(w)); /* pass-through does not ask for AW */
	return pt || build_ss_leaf(w, w->req.addr);
}

static bool build_scalable(struct world *w, uint64_t root)
{
	uint64_t ctx = new_page(w, CTX), dir = new_page(w, PDIR), tab = new_page(w, PTAB), at, addr, target;
	unsigned int kinds[4], nkinds = 0, kind;
	uint64_t rid_pasid = 0, pasid, q0 = 1, q2 = 0, pdts;
	unsigned int fswidth;
	bool dte, rid_priv;

	if (w->caps.first_stage)
		kinds[nkinds++] = 1;
	if (w->caps.second_stage)
		kinds[nkinds++] = 2;
	if (w->caps.nested) {
		kinds[nkinds++] = 3;
		kinds[nkinds++] = 3;
	}
	if (nkinds == 0 || (w->caps.pass_through && chance(w, 12)))
		kind = 4;
	else
		kind = kinds[rnd(w, nkinds)];
	/* the directory is one page: 512 entries, PASIDs below 2^15 */
	pdts = rnd(w, 3);
	if (w->caps.rid_pasid && chance(w, 2))
		rid_pasid = rnd(w, 1u << (13 + pdts));
	pasid = w->req.with_pasid ? rnd(w, 1u << (13 + pdts)) : rid_pasid;
	w->req.pasid = (uint32_t)pasid;
	put(w, root + 16u * (w->req.rid >> 8) + (w->req.rid & 0x80 ? 8 : 0), ctx | 1);
	at = ctx + 32u * (w->req.rid & 0x7f);
	w->first = kind == 1 || kind == 3;
	dte = w->caps.device_tlb && chance(w, 2);
	rid_priv = w->caps.rid_priv && chance(w, 4);
	put(w, at, dir | 1 | fpd(w) | (dte ? 4 : 0) | (w->caps.pasid_bits ? 8 : 0) | (dte && w->caps.page_requests && chance(w, 2) ? 16 : 0) |
			   pdts << 9);
	put(w, at + 8, rid_pasid | (rid_priv ? 1 << 20 : 0));
	put(w, dir + 8 * (pasid >> 6), tab | 1 | fpd(w));
	at = tab + 64 * (pasid & 63);
	w->nested = kind == 3;
	w->ss_levels = pick_ss_levels(w);
	w->fs_levels = w->caps.levels5 && chance(w, 2) ? 5 : 4;
	fswidth = 12 + 9 * w->fs_levels;
	q0 |= (uint64_t)kind << 6;
	if (kind == 2 || kind == 3) {
		w->ss_root = new_page(w, SS);
		q0 |= w->ss_root | (uint64_t)(w->ss_levels - 2) << 2;
		if (w->caps.ss_dirty && chance(w, 2))
			q0 |= 1 << 9;
	}
	if (kind == 4 && w->caps.second_stage)
		q0 |= (vtd_caps_widest(&w->caps) == 57 ? 3u : vtd_caps_widest(&w->caps) == 48 ? 2u : 1u) << 2;
	addr = kind == 2   ? rnd64(w) & low(ss_width(w))
	       : kind == 4 ? rnd64(w) & low(w->caps.haw)
			   : canonical(rnd64(w), fswidth);
	w->req.addr = addr;
	if (kind == 1 || kind == 3) {
		unsigned int out = w->nested ? (ss_width(w) > 52 ? 52 : ss_width(w)) : w->caps.haw;
		unsigned int leaf = leaf_level(w, true, w->caps.fs_1g);
		uint64_t in = low(12 + 9 * (leaf - 1));

		target = rnd64(w) & low(out);
		if (!build_fs(w, addr, target, leaf))
			return false;
		target = (target & ~in) | (addr & in);
		if (w->nested && !build_ss_leaf(w, target))
			return false;
		q2 = w->fs_root | (w->fs_levels == 5 ? 4 : 0) | (w->caps.exec_request ? rnd(w, 4) << 5 : 0) |
		     (chance(w, 2) ? 0x10 : 0) | (w->caps.ext_access && chance(w, 2) ? 0x80 : 0);
	} else if (kind == 2 && !build_ss_leaf(w, addr)) {
		return false;
	}
	put(w, at, q0 | fpd(w));
	/* SRE and ERE count whatever the translation is (SPT.5, SPT.6) */
	q2 |= ((w->req.priv || rid_priv) && !chance(w, 6) ? 1u : 0u) | (w->req.exec && !chance(w, 6) ? 2u : 0u);
	put(w, at + 8, (2 + rnd(w, 14)) | (chance(w, 12) ? 0 : 1 << 23) | (w->caps.snoop_control ? rnd(w, 2) << 24 : 0));
	put(w, at + 16, q2);
	return true;
}

/* May this bit of a word of this class be flipped? */
static bool may_flip(const struct world *w, enum cls cls, uint64_t pa, unsigned int bit)
{
	unsigned int q;

	switch (cls) {
	case ROOT:
	case FS:
	case SS:
	case PDIR:
		return true;
	case CTX:
		if (w->legacy) /* word 1: DID and ignored bits */
			return pa & 8 ? bit < 3 || bit == 7 || bit >= 24 : true;
		return true;
	case PTAB:
		q = (unsigned int)(pa >> 3) & 7;
		return q != 1 || (bit >= 16 && bit != 23);
	default:
		return false;
	}
}

static void naive_of(const struct world *w, struct naive_vtd *n)
{
	*n = (struct naive_vtd){
		.image = w->image, .base = w->base, .len = LEN, .rtaddr = w->rtaddr,
		.haw = w->caps.haw, .mgaw = w->caps.mgaw, .pasid_bits = w->caps.pasid_bits, .has5 = w->caps.levels5,
		.fs = w->caps.first_stage, .ss = w->caps.second_stage, .nest = w->caps.nested,
		.pt = w->caps.pass_through, .fs1g = w->caps.fs_1g, .ss2m = w->caps.ss_2m, .ss1g = w->caps.ss_1g,
		.sc = w->caps.snoop_control, .ssad = w->caps.ss_dirty, .eaf = w->caps.ext_access,
		.srs = w->caps.supervisor, .ers = w->caps.exec_request, .dt = w->caps.device_tlb,
		.rps = w->caps.rid_pasid, .prs = w->caps.page_requests, .rprivs = w->caps.rid_priv,
	};
}

static void damage(struct world *w)
{
	struct naive_vtd n;
	struct naive_res res;
	uint64_t pa;
	unsigned int bit, tries;
	enum cls cls;

	w->damage[0] = '\0';
	if (chance(w, 2))
		return;
	if (chance(w, 6)) { /* the request instead */
		bit = (unsigned int)rnd(w, 64);
		w->req.addr ^= UINT64_C(1) << bit;
		snprintf(w->damage, sizeof(w->damage), "request address bit %u", bit);
		return;
	}
	memcpy(w->image, w->ram, 4096u * w->used);
	naive_of(w, &n);
	naive_translate(&n, &w->req, &res);
	if (res.nwords == 0)
		return;
	pa = res.word[rnd(w, res.nwords)];
	cls = w->cls[(pa - w->base) / 4096];
	for (tries = 0; tries < 20; tries++) {
		bit = (unsigned int)rnd(w, 64);
		if (may_flip(w, cls, pa, bit)) {
			put(w, pa, get(w, pa) ^ UINT64_C(1) << bit);
			snprintf(w->damage, sizeof(w->damage), "%s word %u bit %u", cls_name[cls],
				 cls == PTAB ? (unsigned int)(pa >> 3) & 7 : cls == CTX ? (unsigned int)(pa >> 3) & 3 : 0,
				 bit);
			return;
		}
	}
}

static bool build(struct world *w)
{
	uint64_t root;

	/* pages that were never handed out are zero in both images */
	memset(w->ram, 0, 4096u * w->used);
	memset(w->image, 0, 4096u * w->used);
	memset(w->cls, 0, sizeof(w->cls));
	w->used = 0;
	w->nested = w->first = false;
	w->legacy = !w->caps.scalable || chance(w, 4);
	if (w->legacy && !w->caps.second_stage)
		return false;
	root = new_page(w, ROOT);
	w->req = (struct naive_req){.rid = (uint16_t)rnd(w, 65536)};
	w->req.with_pasid = w->legacy ? chance(w, 20) : w->caps.pasid_bits && chance(w, 2);
	w->req.priv = w->req.with_pasid && w->caps.supervisor && chance(w, 3);
	w->req.exec = w->req.with_pasid && w->caps.exec_request && chance(w, 3);
	w->rtaddr = root | (w->legacy ? 0 : UINT64_C(1) << 10);
	if (!(w->legacy ? build_legacy(w, root) : build_scalable(w, root)))
		return false;
	w->req.addr |= rnd(w, 4096) & ~UINT64_C(7);
	return true;
}

/* ---- model against walker ---- */

static int nkinds;
static char kinds[200][256];

static void difference(const struct world *w, uint64_t seed, unsigned int step, const struct naive_res *want,
		       const struct hw_result *got, const char *what, bool survey)
{
	char kind[256];
	int i;

	snprintf(kind, sizeof(kind), "%s%s: %s: want fault %#x, got %#x; damaged: %s", w->legacy ? "legacy" : "scalable",
		 w->nested ? " nested" : "", what, (unsigned int)want->fault,
		 got->kind == HW_FAULT ? got->fault.reason : 0u, *w->damage ? w->damage : "nothing");
	for (i = 0; i < nkinds; i++)
		if (strcmp(kinds[i], kind) == 0)
			return;
	if (nkinds < 200)
		strcpy(kinds[nkinds++], kind);
	printf("%s\n  request %u: rid %04x pasid %s%x addr %#" PRIx64 " %s%s; want pa %#" PRIx64 " lg2 %u %c%c, got pa %#" PRIx64
	       " lg2 %u perm %x; levels ss %u fs %u; haw %u mgaw %u\n  prop_walk_vtd --seed %" PRIu64 " --cases 1\n",
	       kind, step, w->req.rid, w->req.with_pasid ? "" : "none ", w->req.pasid, w->req.addr,
	       w->req.write ? "write" : "read", w->req.priv ? " privileged" : "", want->pa, want->lg2,
	       want->r ? 'r' : '-', want->w ? 'w' : '-', got->pa.v, got->lg2, got->perm, w->ss_levels, w->fs_levels,
	       w->caps.haw, w->caps.mgaw, seed);
	if (!survey)
		exit(1);
}

/*
 * After a fault: A, EA, D of the first stage and A, D of the second may differ. *stray: in another structure, where a
 * damaged pointer led; what the model has cached of that is no longer what memory says.
 */
static bool same_memory(const struct world *w, bool exact, bool *stray)
{
	unsigned int p, i;

	if (memcmp(w->ram, w->image, 4096u * w->used) == 0)
		return true;
	if (exact)
		return false;
	for (p = 0; p < w->used; p++) {
		const uint64_t own = w->cls[p] == FS ? 0x460 : w->cls[p] == SS ? 0x300 : 0, may = 0x760;

		for (i = 0; i < 4096; i += 8) {
			uint64_t a, b;

			memcpy(&a, w->ram + 4096u * p + i, 8);
			memcpy(&b, w->image + 4096u * p + i, 8);
			if ((a ^ b) & ~may)
				return false;
			*stray |= ((a ^ b) & ~own) != 0;
		}
	}
	return true;
}

/* A large page around the interrupt range may be cached in pieces, so that the range is not. */
static bool around_interrupts(const struct naive_res *res)
{
	return res->lg2 > 12 && ((res->pa ^ UINT64_C(0xfee00000)) >> res->lg2) == 0;
}

static void setup_unit(struct world *w)
{
	const struct hw_ops *ops = w->hw->ops;

	ops->reset(w->hw);
	ops->mmio_write(w->hw, 0x20, 8, w->rtaddr);
	ops->mmio_write(w->hw, 0x18, 4, UINT64_C(1) << 30);
	ops->mmio_write(w->hw, 0x18, 4, UINT64_C(1) << 31);
	vtd_drop_caches(w->hw);
}

static void run_case(struct world *w, uint64_t seed, bool survey, uint64_t counts[2])
{
	const bool exec = w->req.exec;
	unsigned int step;
	bool stray = false;

	setup_unit(w);
	memcpy(w->image, w->ram, 4096u * w->used);
	for (step = 0; step < 3 && !stray; step++) {
		struct hw_request hq = {.addr = w->req.addr,
					.pasid = w->req.with_pasid ? w->req.pasid : NB_NO_PASID,
					.rid = w->req.rid,
					.access = step == 1 ? HW_WRITE : exec ? HW_READ | HW_EXEC : HW_READ,
					.flags = w->req.priv ? HW_PRIV : 0};
		struct hw_result got = {0};
		struct naive_res want;
		struct naive_vtd n;

		w->req.write = step == 1;
		w->req.exec = exec && step != 1;
		naive_of(w, &n);
		naive_translate(&n, &w->req, &want);
		if (!want.fault && (want.pa >> 20) == 0xfee)
			return; /* the interrupt range has rules of its own */
		if ((w->req.addr >> 20) == 0xfee)
			return;
		hw_translate(w->hw, &hq, &got);
		counts[want.fault != 0]++;
		if (want.fault) {
			if (got.kind != HW_FAULT || (got.fault.reason != want.fault && got.fault.reason != want.maybe))
				difference(w, seed, step, &want, &got, "verdict", survey);
			else if (want.silent != (got.fault.record_len == 0))
				difference(w, seed, step, &want, &got, want.silent ? "recorded" : "not recorded", survey);
			else if (!same_memory(w, false, &stray))
				difference(w, seed, step, &want, &got, "memory", survey);
			memcpy(w->image, w->ram, 4096u * w->used);
			continue;
		}
		if (got.kind != HW_OK)
			difference(w, seed, step, &want, &got, "verdict", survey);
		else if (got.pa.v != want.pa)
			difference(w, seed, step, &want, &got, "address", survey);
		else if (want.lg2 && got.lg2 != want.lg2 && !around_interrupts(&want))
			difference(w, seed, step, &want, &got, "size", survey);
		else if ((got.perm & HW_READ) != (want.r ? HW_READ : 0u) || (got.perm & HW_WRITE) != (want.w ? HW_WRITE : 0u))
			difference(w, seed, step, &want, &got, "rights", survey);
		else if (!same_memory(w, true, &stray))
			difference(w, seed, step, &want, &got, "memory", survey);
		memcpy(w->image, w->ram, 4096u * w->used);
	}
}

static void random_caps(struct world *w)
{
	static const uint8_t haws[] = {39, 42, 46, 48, 52}, mgaws[] = {39, 48, 57};
	struct vtd_caps *c = &w->caps;

	do {
		vtd_caps_all(c);
		c->dev_tlb_throttle = c->no_write_flag = false;
		c->mgaw = mgaws[rnd(w, 3)];
		c->levels5 = chance(w, 2);
		c->scalable = !chance(w, 6);
		c->first_stage = c->scalable && !chance(w, 5);
		c->second_stage = !chance(w, 6);
		c->nested = c->first_stage && c->second_stage && !chance(w, 4);
		/* GPAs in first-stage entries beyond HAW are a matter of opinion */
		c->haw = c->nested ? 52 : haws[rnd(w, 5)];
		c->pass_through = !chance(w, 3);
		c->fs_1g = c->first_stage && chance(w, 2);
		c->ss_2m = chance(w, 2);
		c->ss_1g = chance(w, 2);
		c->snoop_control = chance(w, 2);
		c->ss_dirty = c->scalable && c->second_stage && chance(w, 2);
		c->ext_access = c->first_stage && chance(w, 2);
		c->supervisor = c->scalable && chance(w, 2);
		c->pasid_bits = c->scalable && !chance(w, 4) ? 20 : 0;
		c->rid_pasid = c->scalable && chance(w, 2);
		c->rid_priv = c->supervisor && chance(w, 2);
		c->exec_request = c->first_stage && c->pasid_bits && chance(w, 2);
		c->device_tlb = chance(w, 2);
		c->page_requests = c->device_tlb && c->scalable && chance(w, 2);
		c->coherent = true;
	} while (vtd_caps_check(c, NULL));
}

/* One unit serves a few cases. A seed stands for caps and case, so that one number repeats both. */
static void new_unit(struct world *w, uint64_t seed)
{
	struct nb_diag why = {""};

	w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(w, 2);
	random_caps(w);
	w->base = chance(w, 2) ? UINT64_C(0x10000000) : (UINT64_C(1) << w->caps.haw) - LEN;
	if (mem_init_regions(&w->mem) || mem_add_region(&w->mem, hpa(w->base), w->ram, LEN) ||
	    vtd_create(&w->caps, &w->mem, NULL, &w->hw, &why)) {
		printf("no unit: %s\n", why.msg);
		exit(1);
	}
}

#define PER_UNIT 32

int main(int argc, char **argv)
{
	uint64_t seed = 1, cases = 12000, i, counts[2] = {0, 0};
	struct world w = {0};
	bool survey = false;
	int a;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "--survey") == 0)
			survey = true;
		else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0)
			seed = strtoull(argv[++a], NULL, 0);
		else if (a + 1 < argc && strcmp(argv[a], "--cases") == 0)
			cases = strtoull(argv[++a], NULL, 0);
		else
			return 2;
	}
	if (guard_init())
		return 1;
	w.ram = aligned_alloc(4096, LEN);
	w.image = aligned_alloc(4096, LEN);
	if (w.ram && w.image) {
		memset(w.ram, 0, LEN);
		memset(w.image, 0, LEN);
	}
	if (!w.ram || !w.image)
		return 1;
	printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + cases - 1);
	for (i = seed; i < seed + cases; i++) {
		uint64_t group = i / PER_UNIT;

		if (!w.hw || i % PER_UNIT == 0) {
			if (w.hw) {
				w.hw->ops->destroy(w.hw);
				mem_fini(&w.mem);
			}
			new_unit(&w, group + 1);
		}
		w.rng = i * UINT64_C(0xd1342543de82ef95) + 1;
		rnd(&w, 2);
		w.ss_root = 0;
		w.fs_root = 0;
		if (!build(&w))
			continue;
		damage(&w);
		run_case(&w, i, survey, counts);
	}
	w.hw->ops->destroy(w.hw);
	mem_fini(&w.mem);
	free(w.ram);
	free(w.image);
	printf("%" PRIu64 " translations, %" PRIu64 " faults, %d kinds of difference\n", counts[0], counts[1], nkinds);
	return nkinds || counts[0] < cases / 4 || counts[1] < cases / 8;
}
