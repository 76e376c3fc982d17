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
 * it finds out. Then words on the path change while the model has them cached: until the command that is meant for such a change the
 * access may go as before, and after it as the walker says.
 *
 * Left out: stalls, attributes of memory.
 *
 * A failing case is shown with as many of its random numbers made 0 as can be. --survey goes on after a difference and lists each
 * kind once. A case is its seed: `--seed N --cases 1` repeats it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "prop_walk_smmuv3.h"

const char *const cls_name[NCLS] = {"free", "STE", "CD", "stage 1", "stage 2", "L1STD", "L1CD"};

/* ---- damage ---- */

void access_of(struct world *w, unsigned int kind)
{
	w->req.read = kind == 0 || kind == 3;
	w->req.write = kind == 1 || kind == 3;
	w->req.exec = kind == 2;
}

/* May this bit of a word of this class be flipped? Not what the naive walker does not know. */
bool may_flip(enum cls cls, uint64_t pa, unsigned int bit)
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
		f.reads = g->record[1] >> 35 & 1; /* RnW: of requests that write only, or else it says nothing new */
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
		if (want->reads && !got->reads)
			return false;
		if (want->stage == 2 && want->event != 0x0b && (want->ipa & BITS(55, 12)) != got->ipa)
			return false;
	}
	return !(want->event == 0x0b || want->event == 0x09 || want->event == 0x03) ||
	       (want->fetch & BITS(55, 3)) == got->fetch;
}

void difference(struct world *w, unsigned int step, const struct naive_smmu_res *want, const struct hw_result *got, const char *what)
{
	struct naive_smmu_fault g = fault_of(got);

	if (w->differs)
		return;
	w->differs = true;
	snprintf(w->kind, sizeof(w->kind), "%s%s: %s: want event %#x s%d class %d%s, got %#x s%d class %d%s; damaged: %s%s",
		 w->s1 ? "stage 1" : "", w->s2 ? " stage 2" : "", what, (unsigned int)want->fault.event, want->fault.stage,
		 want->fault.cls, want->fault.ttwrite ? " write" : "", (unsigned int)g.event, g.stage, g.cls,
		 g.ttwrite ? " write" : "", *w->damage ? w->damage : "nothing", w->change);
	snprintf(w->text, sizeof(w->text),
		 "%s\n  access %u: sid %x ssid %s%x addr %#" PRIx64 " %s%s%s%s; want pa %#" PRIx64 " lg2 %u %c%c%c ipa %#" PRIx64
		 " fetch %#" PRIx64 ", got pa %#" PRIx64 " lg2 %u perm %x ipa %#" PRIx64 " fetch %#" PRIx64
		 "\n  granules %u %u%s%s, TxSZ %u %u, start %d %d, oas %u, stream table split %u",
		 w->kind, step, w->req.sid, w->req.with_ssid ? "" : "none ", w->req.ssid, w->req.addr, w->req.read ? "r" : "",
		 w->req.write ? "w" : "", w->req.exec ? "x" : "", w->req.priv ? " privileged" : "", want->pa, want->lg2,
		 want->r ? 'r' : '-', want->w ? 'w' : '-', want->x ? 'x' : '-', want->fault.ipa, want->fault.fetch, got->pa.v,
		 got->lg2, got->perm, g.ipa, g.fetch, w->one.page, w->two.page, w->one.big ? " big-endian 1" : "",
		 w->two.big ? " big-endian 2" : "", w->one.tsz, w->two.tsz, w->one.start, w->two.start, w->caps.oas, w->naive.split);
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

void copy_back(struct world *w)
{
	bool stray = false;

	same_memory(w, false, &stray);
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
	ops->mmio_write(w->hw, 0x90, 8, (w->base + QUEUE) | 5);		 /* CMDQ_BASE: 32 commands */
	w->prod = 0;
	ops->mmio_write(w->hw, 0x20, 4, 9);			 /* CR0.SMMUEN, CMDQEN */
	smmu_drop_caches(w->hw);
}

void translate_hw(struct world *w, struct hw_result *got)
{
	const struct hw_request hq = {
		.addr = w->req.addr, .pasid = w->req.with_ssid ? w->req.ssid : NB_NO_PASID, .rid = (uint16_t)w->req.sid,
		.flags = w->req.priv ? HW_PRIV : 0,
		.access = (uint8_t)((w->req.read ? HW_READ : 0) | (w->req.write ? HW_WRITE : 0) | (w->req.exec ? HW_EXEC : 0))};

	memset(got, 0, sizeof(*got));
	hw_translate(w->hw, &hq, got);
}

bool same_access(struct world *w, unsigned int step, struct naive_smmu_res *want, struct hw_result *got, bool *stray)
{
	struct naive_smmu n = w->naive;
	struct naive_smmu_fault f;
	const char *what = NULL;

	naive_smmu_translate(&n, &w->req, want);
	translate_hw(w, got);
	f = fault_of(got);
	if (want->fault.event) {
		if (got->kind != HW_FAULT || (!same_fault(&want->fault, &f) && !same_fault(&want->maybe, &f)))
			what = "verdict";
		else if (!same_memory(w, false, stray))
			what = "memory";
	} else if (got->kind != HW_OK) {
		what = "verdict";
	} else if (got->pa.v != want->pa) {
		what = "address";
	} else if (want->lg2 && got->lg2 != want->lg2) {
		what = "size";
	} else if (got->perm != ((want->r ? HW_READ : 0) | (want->w ? HW_WRITE : 0) | (want->x ? HW_EXEC : 0))) {
		what = "rights";
	} else if (!same_memory(w, true, stray)) {
		what = "memory";
	}
	if (what)
		difference(w, step, want, got, what);
	same_memory(w, false, stray);
	return !what;
}

/* ---- cases ---- */

/* False: no luck with these numbers. */
static bool run_case(struct world *w, uint64_t seed, uint64_t counts[2])
{
	struct naive_smmu_res want;
	struct hw_result got;
	unsigned int step;
	bool stray = false;

	w->differs = false;
	w->change[0] = '\0';
	w->calls = 0;
	w->rng = seed * UINT64_C(0xd1342543de82ef95) + 1;
	rnd(w, 2);
	if (!build(w))
		return false;
	damage(w);
	setup_unit(w);
	for (step = 0; step < 4 && !stray && !w->differs; step++) {
		access_of(w, (unsigned int)(chance(w, 3) ? rnd(w, 4) : rnd(w, 2)));
		w->req.priv = chance(w, 3);
		same_access(w, step, &want, &got, &stray);
		counts[want.fault.event != 0]++;
	}
	if (!stray && !w->differs)
		change_and_invalidate(w);
	if (seed % 256 == 0 && !w->differs && !same_everything(w)) {
		w->differs = true;
		snprintf(w->text, sizeof(w->text), "a word that nobody put has changed");
	}
	return true;
}

/* As many numbers 0 as can be, with the case still failing. */
static void shrink(struct world *w, uint64_t seed)
{
	unsigned int n = w->calls < NTAPE ? w->calls : NTAPE, size, at;
	uint64_t counts[2];

	for (size = n / 2; size > 0; size /= 2) {
		for (at = 1; at < n; at += size) {
			bool saved[NTAPE];

			memcpy(saved, w->zero, sizeof(saved));
			memset(w->zero + at, 1, (at + size > n ? n - at : size) * sizeof(*w->zero));
			if (!run_case(w, seed, counts) || !w->differs)
				memcpy(w->zero, saved, sizeof(saved));
		}
	}
	run_case(w, seed, counts);
}

static void show_step(void *opaque, const struct hw_step *s)
{
	(void)opaque;
	printf("  %-34s %#14" PRIx64 " %#18" PRIx64 "  %s\n", s->name, s->pa.v, s->word[0], s->fetched ? s->fields : "not there");
}

/* What the model reads now, without its caches. */
static void show_walk(struct world *w)
{
	const struct hw_request hq = {.addr = w->req.addr, .pasid = w->req.with_ssid ? w->req.ssid : NB_NO_PASID,
				      .rid = (uint16_t)w->req.sid, .access = w->req.write ? HW_WRITE : HW_READ};
	struct hw_result res;

	w->hw->ops->walk(w->hw, &hq, show_step, NULL, &res);
}

static int nkinds;
static char kinds[200][500];

static void note_kind(const struct world *w, uint64_t seed)
{
	int i;

	for (i = 0; i < nkinds; i++)
		if (strcmp(kinds[i], w->kind) == 0)
			return;
	if (nkinds < 200)
		strcpy(kinds[nkinds++], w->kind);
	printf("%s\n  prop_walk_smmuv3 --seed %" PRIu64 " --cases 1\n", w->text, seed);
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
	w->calls = NTAPE; /* these stay as they are */
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
		built += run_case(&w, i, counts);
		if (!w.differs)
			continue;
		if (!survey)
			shrink(&w, i);
		note_kind(&w, i);
		if (!survey) {
			show_walk(&w);
			return 1;
		}
	}
	w.hw->ops->destroy(w.hw);
	mem_fini(&w.mem);
	printf("%" PRIu64 " cases, %" PRIu64 " translations, %" PRIu64 " faults, %d kinds of difference\n", built, counts[0],
	       counts[1], nkinds);
	return nkinds || (cases >= 1000 && (counts[0] < cases / 2 || counts[1] < cases / 2));
}
