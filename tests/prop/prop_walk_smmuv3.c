/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMUv3 model's configuration lookup and walks against the naive walker, over random tables.
 *
 *	prop_walk_smmuv3 [--seed N] [--cases N] [--survey]
 *
 * A case builds an STE, a CD and tables for one address out of random granules, sizes, start levels, rights and attributes,
 * damages at most one word on the path in one place, and asks model and naive walker for four accesses of random kind and
 * privilege: same verdict, same event, stage, class and intermediate address, same output, size and rights, and word for
 * word the same memory (access flags and dirty states). After a fault the flags may differ, since hardware may set some before
 * it finds out.
 *
 * Left out: stalls, attributes of memory.
 *
 * --survey goes on after a difference and lists each kind once. A case is its seed: `--seed N --cases 1` repeats it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "prop_walk_smmuv3.h"

static const char *const cls_name[NCLS] = {"free", "STE", "CD", "stage 1", "stage 2", "L1STD", "L1CD"};

/* ---- damage ---- */

static void access_of(struct world *w, unsigned int kind)
{
	w->req.read = kind == 0 || kind == 3;
	w->req.write = kind == 1 || kind == 3;
	w->req.exec = kind == 2;
}

/* May this bit of a word of this class be flipped? Not what the naive walker does not know. */
static bool may_flip(enum cls cls, uint64_t pa, unsigned int bit)
{
	unsigned int q = (unsigned int)(pa >> 3) & 7;

	switch (cls) {
	case S1:
	case S2:
		return true;
	case L1STD:
		return bit <= 4 || (bit >= 6 && bit <= 55);
	case L1CD:
		return bit == 0 || (bit >= 12 && bit <= 55);
	case STE:
		if (q == 0)
			return bit <= 55 || bit >= 59;
		if (q == 1)
			return bit <= 1 || bit == 25 || bit == 30 || bit == 31 || (bit >= 48 && bit <= 51);
		if (q == 2)
			return bit <= 15 || (bit >= 32 && bit <= 39) || (bit >= 46 && bit <= 56);
		return q == 3 && bit >= 2 && bit <= 51;
	case CD:
		if (q == 0)
			return bit <= 7 || (bit >= 14 && bit <= 23) || (bit >= 30 && bit <= 43) || bit >= 47;
		if (q == 1)
			return bit == 1 || bit == 2 || (bit >= 4 && bit <= 51) || bit == 59;
		return q == 2 && (bit == 1 || bit == 2 || (bit >= 4 && bit <= 51) || bit == 58);
	default:
		return false;
	}
}

static void damage(struct world *w)
{
	struct naive_smmu n = w->naive;
	struct naive_smmu_res res;
	unsigned int bit, tries, i;
	uint64_t pa;
	enum cls cls;

	if (chance(w, 2))
		return;
	if (chance(w, 8)) { /* the request instead */
		bit = (unsigned int)rnd(w, 64);
		w->req.addr ^= UINT64_C(1) << bit;
		snprintf(w->damage, sizeof(w->damage), "request address bit %u", bit);
		return;
	}
	access_of(w, 0);
	naive_smmu_translate(&n, &w->req, &res);
	for (i = 0; i < w->nlog; i++)
		memcpy(w->image + w->log[i], w->ram + w->log[i], 8);
	if (res.nwords == 0)
		return;
	for (tries = 0; tries < 40; tries++) {
		pa = res.word[chance(w, 2) ? res.nwords - 1 : rnd(w, res.nwords)];
		cls = w->cls[(pa - w->base) / 4096];
		bit = (unsigned int)rnd(w, 64);
		if (may_flip(cls, pa, bit)) {
			put(w, pa, get(w, pa) ^ UINT64_C(1) << bit);
			snprintf(w->damage, sizeof(w->damage), "%s word %u bit %u", cls_name[cls],
				 cls == STE || cls == CD ? (unsigned int)(pa >> 3) & 7 : 0, bit);
			return;
		}
	}
}

/* ---- model against walker ---- */

static int nkinds;
static char kinds[200][256];

/* The model's fault in the naive walker's words, from the record as software would read it: 7.3. */
static struct naive_smmu_fault fault_of(const struct hw_result *got)
{
	const struct hw_fault *g = &got->fault;
	struct naive_smmu_fault f = {.event = got->kind == HW_FAULT ? g->reason : 0};

	if (got->kind != HW_FAULT || g->record_len == 0) {
		if (got->kind == HW_FAULT && f.event == 0)
			f.event = -1;
		return f;
	}
	f.event = (int)(g->record[0] & 0xff);
	if (f.event == 0x0b || f.event >= 0x10) {
		f.stage = g->record[1] >> 39 & 1 ? 2 : 1;
		f.cls = (int)(g->record[1] >> 40 & 3);
		f.ttwrite = f.event == 0x13 && f.cls == 1 && !(g->record[1] >> 44 & 1);
		if (f.stage == 2 && f.event != 0x0b)
			f.ipa = g->record[3] & BITS(55, 12);
	}
	if (f.event == 0x0b || f.event == 0x09 || f.event == 0x03)
		f.fetch = g->record[3] & BITS(55, 3);
	return f;
}

static bool same_fault(const struct naive_smmu_fault *want, const struct naive_smmu_fault *got)
{
	if (want->event != got->event)
		return false;
	if (want->event == 0x0b || want->event >= 0x10) {
		if (want->stage != got->stage || want->cls != got->cls)
			return false;
		if (want->event == 0x13 && want->cls == 1 && want->ttwrite != got->ttwrite)
			return false;
		if (want->stage == 2 && want->event != 0x0b && (want->ipa & BITS(55, 12)) != got->ipa)
			return false;
	}
	return !(want->event == 0x0b || want->event == 0x09 || want->event == 0x03) ||
	       (want->fetch & BITS(55, 3)) == got->fetch;
}

static void difference(const struct world *w, uint64_t seed, unsigned int step, const struct naive_smmu_res *want,
		       const struct hw_result *got, const char *what, bool survey)
{
	struct naive_smmu_fault g = fault_of(got);
	char kind[256];
	int i;

	snprintf(kind, sizeof(kind), "%s%s: %s: want event %#x s%d class %d%s, got %#x s%d class %d%s; damaged: %s",
		 w->s1 ? "stage 1" : "", w->s2 ? " stage 2" : "", what, (unsigned int)want->fault.event, want->fault.stage,
		 want->fault.cls, want->fault.ttwrite ? " write" : "", (unsigned int)g.event, g.stage, g.cls,
		 g.ttwrite ? " write" : "", *w->damage ? w->damage : "nothing");
	for (i = 0; i < nkinds; i++)
		if (strcmp(kinds[i], kind) == 0)
			return;
	if (nkinds < 200)
		strcpy(kinds[nkinds++], kind);
	printf("%s\n  access %u: sid %x ssid %s%x addr %#" PRIx64 " %s%s%s%s; want pa %#" PRIx64 " lg2 %u %c%c%c ipa %#" PRIx64
	       " fetch %#" PRIx64 ", got pa %#" PRIx64 " lg2 %u perm %x ipa %#" PRIx64 " fetch %#" PRIx64
	       "\n  granules %u %u, TxSZ %u %u, start %d %d, oas %u\n  prop_walk_smmuv3 --seed %" PRIu64 " --cases 1\n",
	       kind, step, w->req.sid, w->req.with_ssid ? "" : "none ", w->req.ssid, w->req.addr, w->req.read ? "r" : "",
	       w->req.write ? "w" : "", w->req.exec ? "x" : "", w->req.priv ? " privileged" : "", want->pa, want->lg2,
	       want->r ? 'r' : '-', want->w ? 'w' : '-', want->x ? 'x' : '-', want->fault.ipa, want->fault.fetch, got->pa.v,
	       got->lg2, got->perm, g.ipa, g.fetch, w->one.page, w->two.page, w->one.tsz, w->two.tsz, w->one.start,
	       w->two.start, w->caps.oas, seed);
	if (!survey)
		exit(1);
}

/*
 * After a fault: AF and write permission of table words may differ. *stray: in another structure, where a damaged
 * pointer led; what the model has cached of that is no longer what memory says.
 */
static bool same_memory(struct world *w, bool exact, bool *stray)
{
	unsigned int i;
	bool same = true;

	for (i = 0; i < w->nlog; i++) {
		uint64_t a, b, off = w->log[i];
		enum cls cls = w->cls[off / 4096];

		memcpy(&a, w->ram + off, 8);
		memcpy(&b, w->image + off, 8);
		if (a == b)
			continue;
		if (exact || ((a ^ b) & ~UINT64_C(0x480) && (a ^ b) & ~__builtin_bswap64(UINT64_C(0x480))))
			same = false;
		*stray |= cls != S1 && cls != S2;
		memcpy(w->image + off, &a, 8);
	}
	return same;
}

/* Now and then: nothing was written where nothing was put. */
static bool same_everything(const struct world *w)
{
	return memcmp(w->ram, w->image, w->next) == 0;
}

static void setup_unit(struct world *w)
{
	const struct hw_ops *ops = w->hw->ops;

	ops->reset(w->hw);
	ops->mmio_write(w->hw, 0x2c, 4, w->naive.e2h ? 1 : 0);		 /* CR2 */
	ops->mmio_write(w->hw, 0x80, 8, w->naive.strtab);		 /* STRTAB_BASE */
	ops->mmio_write(w->hw, 0x88, 4,				 /* STRTAB_BASE_CFG */
			w->naive.log2size | w->naive.split << 6 | (w->naive.split ? 1u << 16 : 0));
	ops->mmio_write(w->hw, 0x20, 4, 1);			 /* CR0.SMMUEN */
	smmu_drop_caches(w->hw);
}

static void run_case(struct world *w, uint64_t seed, bool survey, uint64_t counts[2])
{
	unsigned int step;
	bool stray = false;

	setup_unit(w);
	for (step = 0; step < 4 && !stray; step++) {
		struct naive_smmu n = w->naive;
		struct naive_smmu_res want;
		struct naive_smmu_fault f;
		struct hw_result got = {0};
		struct hw_request hq;

		access_of(w, (unsigned int)(chance(w, 3) ? rnd(w, 4) : rnd(w, 2)));
		w->req.priv = chance(w, 3);
		hq = (struct hw_request){.addr = w->req.addr, .pasid = w->req.with_ssid ? w->req.ssid : NB_NO_PASID,
					 .rid = (uint16_t)w->req.sid, .flags = w->req.priv ? HW_PRIV : 0,
					 .access = (uint8_t)((w->req.read ? HW_READ : 0) | (w->req.write ? HW_WRITE : 0) |
							     (w->req.exec ? HW_EXEC : 0))};
		naive_smmu_translate(&n, &w->req, &want);
		hw_translate(w->hw, &hq, &got);
		f = fault_of(&got);
		counts[want.fault.event != 0]++;
		if (want.fault.event) {
			if (got.kind != HW_FAULT || (!same_fault(&want.fault, &f) && !same_fault(&want.maybe, &f)))
				difference(w, seed, step, &want, &got, "verdict", survey);
			else if (!same_memory(w, false, &stray))
				difference(w, seed, step, &want, &got, "memory", survey);
			same_memory(w, false, &stray);
			continue;
		}
		if (got.kind != HW_OK)
			difference(w, seed, step, &want, &got, "verdict", survey);
		else if (got.pa.v != want.pa)
			difference(w, seed, step, &want, &got, "address", survey);
		else if (want.lg2 && got.lg2 != want.lg2)
			difference(w, seed, step, &want, &got, "size", survey);
		else if (got.perm != ((want.r ? HW_READ : 0) | (want.w ? HW_WRITE : 0) | (want.x ? HW_EXEC : 0)))
			difference(w, seed, step, &want, &got, "rights", survey);
		else if (!same_memory(w, true, &stray))
			difference(w, seed, step, &want, &got, "memory", survey);
		same_memory(w, false, &stray);
	}
	if (seed % 256 == 0 && !same_everything(w)) {
		printf("a word that nobody put has changed; seed %" PRIu64 "\n", seed);
		exit(1);
	}
}

static void random_caps(struct world *w)
{
	static const uint8_t oas[] = {44, 48, 52};
	struct smmu_caps *c = &w->caps;

	do {
		smmu_caps_all(c);
		c->oas = oas[rnd(w, 3)];
		c->gran4k = chance(w, 2);
		c->gran16k = chance(w, 2);
		c->gran64k = chance(w, 2);
		c->vax52 = chance(w, 2);
		c->ds = chance(w, 2);
		c->stt = chance(w, 2);
		c->httu = (uint8_t)rnd(w, 3);
		c->s1 = !chance(w, 8);
		c->s2 = !chance(w, 8);
		c->hyp = c->s1 && c->s2 && !chance(w, 4);
		c->xnx = c->s2;
		c->had = c->s1;
		c->fwb = c->s2 && chance(w, 2);
		c->e0pd = c->s1 && chance(w, 2);
		c->epan = c->s1 && chance(w, 2);
		c->attr_ovr = chance(w, 2);
		c->asid16 = c->s1 && chance(w, 2);
		c->vmid16 = c->s2 && chance(w, 2);
		if (chance(w, 3))
			c->ssid_bits = 0;
		c->ats = c->pri = false;
		c->big_endian = chance(w, 2);
		c->st_2level = chance(w, 2);
		c->cd_2level = c->s1 && chance(w, 2);
		c->ns1ats = c->pps = c->ats_rec_err = c->pasidtt = false;
		c->minor = 0;
	} while (smmu_caps_check(c, NULL));
	w->naive = (struct naive_smmu){
		.image = w->image, .len = LEN, .oas = c->oas, .httu = c->httu, .ssid_bits = c->ssid_bits,
		.sid_bits = c->sid_bits, .s1 = c->s1, .s2 = c->s2, .hyp = c->hyp, .gran4 = c->gran4k, .gran16 = c->gran16k,
		.gran64 = c->gran64k, .vax = c->vax52, .ds = c->ds, .stt = c->stt, .xnx = c->xnx, .had = c->had, .fwb = c->fwb,
		.perms_ovr = c->attr_ovr, .e0pd = c->e0pd, .epan = c->epan, .asid16 = c->asid16, .vmid16 = c->vmid16, .big_endian = c->big_endian,
		.cd_2level = c->cd_2level,
		.e2h = c->hyp && chance(w, 2),
	};
}

/* One unit serves a few cases. A seed stands for caps and case, so that one number repeats both. */
static void new_unit(struct world *w, uint64_t seed)
{
	struct nb_diag why = {""};

	w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(w, 2);
	random_caps(w);
	w->base = w->caps.oas == 52 && !w->caps.gran4k && !w->caps.gran16k && chance(w, 2) ? (UINT64_C(1) << 52) - LEN :
											     UINT64_C(0x40000000);
	w->naive.base = w->base;
	if (mem_init_regions(&w->mem) || mem_add_region(&w->mem, hpa(w->base), w->ram, LEN) ||
	    smmu_create(&w->caps, &w->mem, NULL, &w->hw, &why)) {
		printf("no unit: %s\n", why.msg);
		exit(1);
	}
}

#define PER_UNIT 32

int main(int argc, char **argv)
{
	uint64_t seed = 1, cases = 100000, i, counts[2] = {0, 0}, built = 0;
	static struct world w;
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
	w.ram = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w.image = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w.ram == MAP_FAILED || w.image == MAP_FAILED)
		return 1;
	printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + cases - 1);
	for (i = seed; i < seed + cases; i++) {
		if (!w.hw || i % PER_UNIT == 0) {
			if (w.hw) {
				w.hw->ops->destroy(w.hw);
				mem_fini(&w.mem);
			}
			new_unit(&w, i / PER_UNIT + 1);
		}
		w.rng = i * UINT64_C(0xd1342543de82ef95) + 1;
		rnd(&w, 2);
		if (!build(&w))
			continue;
		built++;
		damage(&w);
		run_case(&w, i, survey, counts);
	}
	w.hw->ops->destroy(w.hw);
	mem_fini(&w.mem);
	printf("%" PRIu64 " cases, %" PRIu64 " translations, %" PRIu64 " faults, %d kinds of difference\n", built, counts[0],
	       counts[1], nkinds);
	return nkinds || (cases >= 1000 && (counts[0] < cases / 2 || counts[1] < cases / 2));
}
