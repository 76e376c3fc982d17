/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `nestbox translate` as a whole against the naive walker.
 *
 *	translate_vtd NESTBOX [--seed N] [--images N] [--requests N] [--keep]
 *
 * For each image: random functions (legacy or scalable; first-stage, second-stage, nested, pass-through; 3 to 5 levels; pages of all
 * sizes) in three files of memory, a third of the images with damaged entries, a third where nothing is refused, and random requests with
 * a flush now and then.
 * The command is run on them, and every line that it writes must be the one that the naive walker's answer makes: address, size,
 * rights; fault, stage, refused address, and the record, put together here from the manual's bit numbers. Afterwards the image that
 * the command wrote must be the walker's, accessed and dirty bits included (where something was refused: at least).
 *
 * No number in here comes from src/spec, nor from the model.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "naive_vtd.h"

typedef uint64_t u64;

#define BASE	UINT64_C(0x12340000000)
#define NPAGES	2048u
#define LEN	(NPAGES * 4096u)
#define NFUNC	48
#define NADDR	10
#define MAX_ENT 8000

enum kind { PT, FS, SS, NESTED };

struct func {
	enum kind kind;
	uint16_t rid;
	bool with_pasid, sre;
	uint32_t pasid;
	unsigned int ss_levels, fs_levels;
	u64 ss_root, fs_root, addr[NADDR];
	unsigned int naddr;
};

struct entry { /* of a table, for damage */
	u64 pa;
	unsigned int level;
	bool fs;
};

struct world {
	u64 rng;
	uint8_t *ram;
	unsigned int used;
	bool legacy, small; /* small: the unit of the caps below */
	bool clean;	    /* nothing is refused, so accessed and dirty bits are certain */
	struct naive_vtd n;
	struct func func[NFUNC];
	unsigned int nfunc;
	struct entry ent[MAX_ENT];
	unsigned int nent;
	u64 root, ctx[256][2];
	char dir[200];
};

static u64 rnd(struct world *w, u64 n)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return (w->rng * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static u64 rnd64(struct world *w)
{
	return rnd(w, UINT64_C(1) << 32) << 32 | rnd(w, UINT64_C(1) << 32);
}

static bool chance(struct world *w, unsigned int one_in)
{
	return rnd(w, one_in) == 0;
}

static u64 low(unsigned int n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static u64 get(const struct world *w, u64 pa)
{
	u64 v;

	memcpy(&v, w->ram + (pa - BASE), 8);
	return v;
}

static void put(struct world *w, u64 pa, u64 v)
{
	memcpy(w->ram + (pa - BASE), &v, 8);
}

/* 0: the image is full. */
static u64 new_page(struct world *w)
{
	return w->used == NPAGES ? 0 : BASE + 4096u * (u64)w->used++;
}

static unsigned int slot(u64 addr, unsigned int level)
{
	return (unsigned int)(addr >> (12 + 9 * (level - 1))) & 511;
}

static void note(struct world *w, u64 pa, unsigned int level, bool fs)
{
	if (w->nent < MAX_ENT)
		w->ent[w->nent++] = (struct entry){pa, level, fs};
}

static unsigned int ss_width(const struct world *w, const struct func *f)
{
	unsigned int width = 12 + 9 * f->ss_levels;

	return width < w->n.mgaw ? width : w->n.mgaw;
}

static u64 ss_rights(struct world *w)
{
	return !w->clean && chance(w, 12) ? 1 + rnd(w, 3) : 3;
}

static bool ss_map(struct world *w, struct func *f, u64 addr, u64 pa, unsigned int leaf)
{
	u64 t = f->ss_root, at;
	unsigned int level;

	for (level = f->ss_levels; level > leaf; level--) {
		at = t + 8 * slot(addr, level);
		t = get(w, at);
		if (t & 0x80)
			return false;
		if (t == 0) {
			u64 page = new_page(w);

			if (!page)
				return false;
			t = page | ss_rights(w) | (rnd64(w) & UINT64_C(0x1ff0000000000000));
			put(w, at, t);
			note(w, at, level, false);
		}
		t &= UINT64_C(0x000ffffffffff000);
	}
	at = t + 8 * slot(addr, leaf);
	if (get(w, at))
		return false;
	put(w, at, (pa & ~low(12 + 9 * (leaf - 1))) | ss_rights(w) | (leaf > 1 ? 0x80 : 0) |
			   (w->n.sc && chance(w, 3) ? 0x800 : 0));
	note(w, at, leaf, false);
	return true;
}

/* A table of the first stage: *pa, and what its writer calls it (0: no room). */
static u64 fs_table(struct world *w, struct func *f, u64 *pa)
{
	unsigned int width = ss_width(w, f);
	u64 gpa;

	*pa = new_page(w);
	if (!*pa || f->kind != NESTED)
		return *pa;
	gpa = (rnd64(w) & low(width > 52 ? 52 : width) & ~low(12)) | 0x1000;
	return ss_map(w, f, gpa, *pa, 1) ? gpa : 0;
}

static u64 fs_flags(struct world *w)
{
	u64 e = !w->clean && chance(w, 12) ? 1 | rnd(w, 4) << 1 : 7;

	return e | (chance(w, 3) ? 0x20 : 0) | (rnd64(w) & UINT64_C(0x7ff0000000000a00));
}

/* The path is remembered by table address as its writer calls it; *path_pa[level] where it lies. */
static bool fs_map(struct world *w, struct func *f, u64 root_pa, u64 addr, u64 target, unsigned int leaf,
		   u64 child_pa[], u64 child_of[], unsigned int *nchild)
{
	u64 t_pa = root_pa, at, e;
	unsigned int level, i;

	for (level = f->fs_levels; level > leaf; level--) {
		at = t_pa + 8 * slot(addr, level);
		e = get(w, at);
		if (e & 0x80)
			return false;
		if (e == 0) {
			u64 pa, name = fs_table(w, f, &pa);

			if (!name || *nchild == 64)
				return false;
			put(w, at, name | fs_flags(w));
			note(w, at, level, true);
			child_of[*nchild] = at;
			child_pa[(*nchild)++] = pa;
			t_pa = pa;
			continue;
		}
		for (i = 0; i < *nchild && child_of[i] != at; i++)
			;
		if (i == *nchild)
			return false;
		t_pa = child_pa[i];
	}
	at = t_pa + 8 * slot(addr, leaf);
	if (get(w, at))
		return false;
	put(w, at, (target & ~low(12 + 9 * (leaf - 1))) | fs_flags(w) | (leaf > 1 ? 0x80 : 0) | (chance(w, 4) ? 0x40 : 0));
	note(w, at, leaf, true);
	return true;
}

/* Sometimes near the interrupt range, whose neighbours are cached in pieces. */
static u64 target_of(struct world *w, unsigned int width)
{
	return chance(w, 4) ? UINT64_C(0xc0000000) + rnd(w, UINT64_C(1) << 30) : rnd64(w) & low(width);
}

static unsigned int leaf_level(struct world *w, bool m2, bool g1)
{
	unsigned int r = (unsigned int)rnd(w, 4);

	return r == 0 && m2 ? 2 : r == 1 && g1 ? 3 : 1;
}

static u64 near(struct world *w, struct func *f, unsigned int width, bool canonical)
{
	u64 addr = f->naddr && chance(w, 2) ? f->addr[rnd(w, f->naddr)] + (rnd(w, 40) << 12) : rnd64(w);

	addr &= low(width);
	if (canonical && addr >> (width - 1))
		addr |= ~low(width);
	return addr;
}

static void fill(struct world *w, struct func *f)
{
	u64 root_pa = f->fs_root, child_pa[64], child_of[64], addr, target;
	unsigned int nchild = 0, i, leaf;

	if (f->kind == NESTED) {
		f->fs_root = fs_table(w, f, &root_pa);
		if (!f->fs_root)
			return;
	}
	for (i = 0; i < NADDR; i++) {
		bool ok;

		if (f->kind == PT) {
			f->addr[f->naddr++] = rnd64(w) & low(48);
			continue;
		}
		if (f->kind == SS) {
			addr = near(w, f, ss_width(w, f), false);
			ok = ss_map(w, f, addr, target_of(w, w->n.haw), leaf_level(w, w->n.ss2m, w->n.ss1g));
		} else {
			unsigned int out = f->kind == FS ? w->n.haw : ss_width(w, f) > 52 ? 52 : ss_width(w, f);

			addr = near(w, f, 12 + 9 * f->fs_levels, true);
			leaf = leaf_level(w, true, w->n.fs1g);
			target = target_of(w, out);
			ok = fs_map(w, f, root_pa, addr, target, leaf, child_pa, child_of, &nchild);
			target = (target & ~low(12 + 9 * (leaf - 1))) | (addr & low(12 + 9 * (leaf - 1)));
			if (ok && f->kind == NESTED)
				ok = ss_map(w, f, target, target_of(w, w->n.haw),
					    leaf_level(w, w->n.ss2m, w->n.ss1g));
		}
		if (ok)
			f->addr[f->naddr++] = addr;
	}
}

static unsigned int pick_ss_levels(struct world *w)
{
	return w->small ? 3 + (unsigned int)rnd(w, 2) : 3 + (unsigned int)rnd(w, 3);
}

static u64 context_table(struct world *w, uint16_t rid)
{
	bool upper = !w->legacy && (rid & 0x80);
	u64 *t = &w->ctx[rid >> 8][upper];

	if (!*t) {
		*t = new_page(w);
		if (*t)
			put(w, w->root + 16u * (rid >> 8) + (upper ? 8 : 0), *t | 1);
	}
	return *t;
}

static bool add_legacy(struct world *w, struct func *f)
{
	u64 ctx = context_table(w, f->rid), at = ctx + 16u * (f->rid & 0xff);

	f->kind = chance(w, 8) ? PT : SS;
	f->ss_levels = f->kind == PT ? (w->small ? 4 : 5) : pick_ss_levels(w);
	f->ss_root = new_page(w);
	if (!ctx || !f->ss_root || get(w, at))
		return false;
	put(w, at, f->ss_root | (f->kind == PT ? 2u << 2 : 0) | 1);
	put(w, at + 8, (f->ss_levels - 2) | (u64)(w->nfunc + 1) << 8);
	fill(w, f);
	return true;
}

/* A source-id has one PASID directory of a page; functions of the same source-id share it. */
static bool add_scalable(struct world *w, struct func *f)
{
	u64 ctx = context_table(w, f->rid), at = ctx + 32u * (f->rid & 0x7f), dir, tab, q0 = 1, q2 = 0;

	if (!ctx)
		return false;
	dir = get(w, at) & ~low(12);
	if (!dir) {
		dir = new_page(w);
		if (!dir)
			return false;
		put(w, at, dir | 1 | 8 | (u64)2 << 9); /* P, PASIDE, PDTS: 2^15 PASIDs */
		put(w, at + 8, w->small ? 0 : 0x1234); /* RID_PASID */
	}
	f->pasid = !f->with_pasid ? (w->small ? 0 : 0x1234) : 1 + (uint32_t)rnd(w, 0x1200);
	tab = get(w, dir + 8 * (f->pasid >> 6)) & ~low(12);
	if (!tab) {
		tab = new_page(w);
		if (!tab)
			return false;
		put(w, dir + 8 * (f->pasid >> 6), tab | 1);
	}
	at = tab + 64 * (f->pasid & 63);
	if (get(w, at))
		return false;
	f->kind = chance(w, 10) ? PT : (enum kind)(1 + rnd(w, 3));
	f->ss_levels = pick_ss_levels(w);
	f->fs_levels = !w->small && chance(w, 2) ? 5 : 4;
	f->ss_root = new_page(w);
	if (!f->ss_root)
		return false;
	if (f->kind == FS) {
		f->fs_root = f->ss_root;
		f->ss_root = 0;
	}
	fill(w, f);
	if (!f->naddr)
		return false;
	q0 |= (u64)(f->kind == PT ? 4 : f->kind) << 6;
	if (f->kind == SS || f->kind == NESTED)
		q0 |= f->ss_root | (f->ss_levels - 2) << 2 | (w->n.ssad && chance(w, 2) ? 1 << 9 : 0);
	if (f->kind == PT)
		q0 |= 2 << 2;
	if (f->kind == FS || f->kind == NESTED) {
		f->sre = chance(w, 2);
		q2 = f->fs_root | (f->fs_levels == 5 ? 4 : 0) | (f->sre ? 1 : 0) | (chance(w, 2) ? 0x10 : 0) |
		     (w->n.eaf && chance(w, 2) ? 0x80 : 0);
	}
	put(w, at, q0);
	put(w, at + 8, (u64)(w->nfunc + 1) | (!w->clean && chance(w, 12) ? 0 : 1 << 23)); /* DID, PWSNP */
	put(w, at + 16, q2);
	return true;
}

/* Bits whose meaning is a fault or a right: none that leads a pointer to another place in the image. */
static void damage(struct world *w)
{
	static const uint8_t ss_bits[] = {0, 1, 7, 11, 40, 45, 48, 51}, fs_bits[] = {0, 1, 2, 5, 6, 7, 10, 40, 45, 48, 51};
	unsigned int i, n = w->nent / 12;

	for (i = 0; i < n; i++) {
		const struct entry *e = &w->ent[rnd(w, w->nent)];
		unsigned int bit = e->fs ? fs_bits[rnd(w, sizeof(fs_bits))] : ss_bits[rnd(w, sizeof(ss_bits))];

		put(w, e->pa, get(w, e->pa) ^ UINT64_C(1) << bit);
	}
	/* Some functions lose their PASID or context entry's sense: reserved bits, present bits. */
	for (i = 0; i < w->nfunc; i++) {
		const struct func *f = &w->func[i];
		u64 ctx = w->ctx[f->rid >> 8][!w->legacy && (f->rid & 0x80)];

		if (!chance(w, 12))
			continue;
		if (w->legacy)
			put(w, ctx + 16u * (f->rid & 0xff) + (chance(w, 2) ? 8 : 0), chance(w, 2) ? 0x30 : rnd64(w) & ~UINT64_C(2));
		else
			put(w, ctx + 32u * (f->rid & 0x7f) + 8 * (2 + rnd(w, 2)), UINT64_C(1) << rnd(w, 64));
	}
}

static void build(struct world *w)
{
	unsigned int tries;

	memset(w->ram, 0, LEN);
	memset(w->ctx, 0, sizeof(w->ctx));
	w->used = w->nfunc = w->nent = 0;
	w->legacy = chance(w, 4);
	w->small = chance(w, 3);
	w->n = (struct naive_vtd){
		.image = w->ram, .base = BASE, .len = LEN, .haw = 52, .mgaw = w->small ? 48 : 57, .pasid_bits = 20,
		.has5 = !w->small, .fs = true, .ss = true, .nest = true, .pt = true, .fs1g = !w->small, .ss2m = true,
		.ss1g = !w->small, .sc = !w->small, .ssad = !w->small, .eaf = !w->small, .srs = true, .ers = false, .dt = true,
		.rps = !w->small,
	};
	w->root = new_page(w);
	w->n.rtaddr = w->root | (w->legacy ? 0 : 1 << 10);
	for (tries = 0; tries < 200 && w->nfunc < NFUNC && w->used + 80 < NPAGES; tries++) {
		struct func *f = &w->func[w->nfunc];

		*f = (struct func){.rid = (uint16_t)(rnd(w, 4) * 0x5555 + rnd(w, 5) * 0x41)};
		f->with_pasid = !w->legacy && chance(w, 2);
		w->nfunc += w->legacy ? add_legacy(w, f) : add_scalable(w, f);
	}
}

/* ---- the files ---- */

static FILE *open_in(const struct world *w, const char *name, const char *mode)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	f = fopen(path, mode);
	if (!f) {
		printf("%s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

/* Three regions; the middle one begins in the middle of a page. */
static const unsigned int cut[4] = {0, 700 * 4096 + 0x808, 1500 * 4096, LEN};

static void write_files(const struct world *w)
{
	/* By hand, from 11.4.2 and 11.4.3. CAP: 2^16 domains, SAGAW 39 and 48, MGAW 48, 2 MiB. */
	static const u64 small_cap = 6 | UINT64_C(0x6) << 8 | UINT64_C(47) << 16 | UINT64_C(1) << 34 | UINT64_C(1) << 39;
	/* ECAP: C, QI, DT, PT, NEST, SRS, 20 bits of PASID, PASID, SMTS, SSTS, FSTS, SMPWC, ADMS. */
	static const u64 small_ecap = 1 | 2 | 4 | 1 << 6 | UINT64_C(1) << 26 | UINT64_C(1) << 31 | UINT64_C(19) << 35 |
				      UINT64_C(1) << 40 | UINT64_C(1) << 43 | UINT64_C(1) << 46 | UINT64_C(1) << 47 |
				      UINT64_C(1) << 48 | UINT64_C(1) << 52;
	unsigned int i;
	FILE *f;

	for (i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "mem%u.bin", i);
		f = open_in(w, name, "wb");
		if (fwrite(w->ram + cut[i], 1, cut[i + 1] - cut[i], f) != cut[i + 1] - cut[i] || fclose(f))
			exit(1);
	}
	f = open_in(w, "config.json", "w");
	fprintf(f,
		"{ \"registers\": { \"RTADDR\": \"0x%" PRIx64 "\" },\n  \"memory\": [\n"
		"    { \"base\": \"0x%" PRIx64 "\", \"file\": \"mem2.bin\" },\n"
		"    { \"file\": \"mem0.bin\", \"base\": \"0x%" PRIx64 "\" },\n"
		"    { \"base\": \"0x%" PRIX64 "\", \"file\": \"mem1.bin\" } ]",
		w->n.rtaddr, BASE + cut[2], BASE + cut[0], BASE + cut[1]);
	if (w->small)
		fprintf(f, ",\n  \"caps\": { \"CAP\": \"0x%" PRIx64 "\", \"ECAP\": \"0x%" PRIx64 "\" }", small_cap, small_ecap);
	fputs("\n}\n", f);
	fclose(f);
}

static void random_request(struct world *w, struct naive_req *q)
{
	const struct func *f = &w->func[rnd(w, w->nfunc)];
	unsigned int r = w->clean ? 9 : (unsigned int)rnd(w, 40);

	*q = (struct naive_req){.rid = f->rid, .with_pasid = f->with_pasid, .pasid = f->pasid};
	if (!f->with_pasid)
		q->pasid = 0;
	q->addr = f->naddr ? f->addr[rnd(w, f->naddr)] : 0;
	q->addr = (q->addr & ~low(12)) | rnd(w, 4096);
	if (r < 5)
		q->addr ^= UINT64_C(1) << (12 + rnd(w, 52));
	else if (r == 5)
		q->addr = rnd64(w);
	else if (r == 6)
		q->rid = (uint16_t)rnd(w, 65536);
	else if (r == 7)
		q->with_pasid = !q->with_pasid;
	else if (r == 8 && q->with_pasid)
		q->pasid = (uint32_t)rnd(w, 1u << 20);
	q->write = chance(w, 2);
	q->priv = q->with_pasid && (f->kind == FS || f->kind == NESTED) && r > 8 && chance(w, f->sre ? 3 : 20) &&
		  (f->sre || !w->clean);
	/* The interrupt range has rules of its own, and test_translate.py for them. */
	if (q->addr >> 20 == 0xfee)
		q->addr ^= UINT64_C(1) << 40;
}

static void put_request(FILE *f, unsigned int id, const struct naive_req *q)
{
	char pasid[16] = "null";

	if (q->with_pasid)
		snprintf(pasid, sizeof(pasid), "%u", q->pasid);
	fprintf(f, "{\"id\":%u,\"op\":\"%s\",\"rid\":%u,\"pasid\":%s,\"addr\":\"0x%" PRIx64 "\",\"priv\":%s}\n", id,
		q->write ? "write" : "read", q->rid, pasid, q->addr, q->priv ? "true" : "false");
}

/* 11.4.7.6 by the manual's bit numbers. `widest`: of the addresses that this unit's tables take. */
static void record_text(const struct naive_req *q, int fault, unsigned int widest, char out[33])
{
	u64 rec[2] = {q->addr & low(widest) & ~low(12),
		      q->rid | UINT64_C(1) << 63 | (u64)!q->write << 62 | (u64)fault << 32};
	unsigned int i;

	if (q->with_pasid)
		rec[1] |= UINT64_C(1) << 31 | (u64)q->priv << 29 | (u64)q->pasid << 40;
	for (i = 0; i < 16; i++)
		sprintf(out + 2 * i, "%02x", (unsigned int)(rec[i / 8] >> (i % 8 * 8)) & 0xff);
}

static void fault_line(char *out, size_t size, const struct world *w, unsigned int id, const struct naive_req *q, int fault,
		       int stage, u64 ipa)
{
	char st[8] = "null", at[24] = "null", rec[33];

	if (stage)
		snprintf(st, sizeof(st), "%d", stage);
	if (stage == 2)
		snprintf(at, sizeof(at), "\"0x%" PRIx64 "\"", ipa);
	record_text(q, fault, w->small ? 48 : 57, rec);
	snprintf(out, size, "{ \"id\": %u, \"ok\": false, \"fault\": \"0x%x\", \"stage\": %s, \"ipa\": %s, \"record\": \"%s\" }\n", id,
		 (unsigned int)fault, st, at, rec);
}

/* Another fault of the same walk may come first; whose it is, its code says. */
static bool other_fault_ok(const struct world *w, const char *got, unsigned int id, const struct naive_req *q,
			   const struct naive_res *r)
{
	int codes[2] = {r->fault, r->maybe}, i;
	char want[300];
	size_t n;

	for (i = 0; i < 2 && r->maybe; i++) {
		const char *tail = strstr(got, ", \"record\"");

		fault_line(want, sizeof(want), w, id, q, codes[i], 0, 0);
		n = (size_t)(strstr(want, ", \"stage\"") - want);
		if (tail && strncmp(got, want, n) == 0 && strcmp(tail, strstr(want, ", \"record\"")) == 0)
			return true;
	}
	return false;
}

static bool check_line(struct world *w, const char *got, unsigned int id, const struct naive_req *q, u64 counts[3])
{
	struct naive_res r;
	char want[300];

	naive_translate(&w->n, q, &r);
	counts[r.fault != 0]++;
	if (!r.fault && r.pa >> 20 == 0xfee) {
		counts[2]++;
		return strstr(got, "\"ok\": false") != NULL;
	}
	if (r.fault) {
		fault_line(want, sizeof(want), w, id, q, r.fault, r.stage, r.ipa);
		if (strcmp(got, want) == 0 || other_fault_ok(w, got, id, q, &r))
			return true;
	} else {
		/* Pass-through: all physical addresses, or in legacy mode as many as AW says. */
		unsigned int lg2 = r.lg2 ? r.lg2 : w->legacy && w->small ? 48 : 52;

		snprintf(want, sizeof(want), "{ \"id\": %u, \"ok\": true, \"pa\": \"0x%" PRIx64 "\", \"lg2\": %u, \"perm\": \"%s%s\" }\n", id,
			 r.pa, lg2, r.r ? "r" : "", r.w ? "w" : "");
		if (strcmp(got, want) == 0)
			return true;
	}
	printf("request: ");
	put_request(stdout, id, q);
	printf("got:     %swanted:  %s", got, want);
	if (r.maybe)
		printf("or fault 0x%x\n", (unsigned int)r.maybe);
	return false;
}

static bool run_command(const struct world *w, const char *nestbox)
{
	static const char *const files[] = {"config.json", "requests", "results", "out"};
	char path[4][300];
	int status, i;
	pid_t pid;

	for (i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", w->dir, files[i]);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl(nestbox, nestbox, "translate", "--model", "vtd", "--config", path[0], "--requests", path[1], "--results",
		      path[2], "--image-out", path[3], (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * Bits that the walker set, the command must have set. Before it finds a fault, hardware may set some more, in entries of tables
 * only: A, D, EA of either stage. The walker does not know the interrupt range, where a translation ends without a dirty
 * bit: `less`.
 */
static bool check_image(const struct world *w, bool exact, bool less)
{
	uint8_t *out = malloc(LEN);
	unsigned int i;
	bool ok = true;

	for (i = 0; i < 3 && out; i++) {
		char name[24];
		FILE *f;

		snprintf(name, sizeof(name), "out/mem%u.bin", i);
		f = open_in(w, name, "rb");
		if (fread(out + cut[i], 1, cut[i + 1] - cut[i], f) != cut[i + 1] - cut[i] || fgetc(f) != EOF) {
			printf("%s is of another size\n", name);
			ok = false;
		}
		fclose(f);
	}
	for (i = 0; i < LEN && out && ok; i += 8) {
		u64 a, b;

		memcpy(&a, out + i, 8);
		memcpy(&b, w->ram + i, 8);
		if (a == b || (!exact && (a | 0x760) == (b | 0x760) && (less || !(b & ~a))))
			continue;
		printf("image at %#" PRIx64 ": got %#" PRIx64 ", wanted %#" PRIx64 "\n", BASE + i, a, b);
		ok = false;
	}
	free(out);
	return ok && out;
}

static void remove_files(const struct world *w)
{
	static const char *const all[] = {"mem0.bin",	  "mem1.bin",	  "mem2.bin",	  "config.json", "requests",
					  "results",	  "out/mem0.bin", "out/mem1.bin", "out/mem2.bin"};
	char path[300];
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, all[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/out", w->dir);
	rmdir(path);
	rmdir(w->dir);
}

static bool one_image(struct world *w, const char *nestbox, u64 seed, unsigned int requests, u64 counts[3])
{
	struct naive_req *q = calloc(requests, sizeof(*q));
	u64 faults = counts[1], ends = counts[2];
	char line[1024];
	unsigned int i;
	FILE *f;

	if (!q)
		exit(1);
	w->rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(w, 2);
	w->clean = seed % 3 == 0;
	build(w);
	if (seed % 3 == 1)
		damage(w);
	write_files(w);
	f = open_in(w, "requests", "w");
	for (i = 0; i < requests; i++) {
		if (chance(w, 300))
			fputs("{ \"flush\": true }\n", f);
		random_request(w, &q[i]);
		put_request(f, i, &q[i]);
	}
	fclose(f);
	if (!run_command(w, nestbox)) {
		printf("the command failed\n");
		return false;
	}
	f = open_in(w, "results", "r");
	for (i = 0; i < requests; i++)
		if (!fgets(line, sizeof(line), f) || !check_line(w, line, i, &q[i], counts)) {
			printf("in line %u of the results\n", i + 1);
			return false;
		}
	if (fgetc(f) != EOF) {
		printf("more results than requests\n");
		return false;
	}
	fclose(f);
	free(q);
	if (w->clean && counts[1] != faults) {
		printf("a clean image has faults\n");
		return false;
	}
	return check_image(w, w->clean && counts[2] == ends, counts[2] != ends);
}

int main(int argc, char **argv)
{
	u64 seed = 1, images = 24, requests = 5000, i, counts[3] = {0, 0, 0};
	const char *tmp = getenv("TMPDIR");
	static struct world w;
	bool keep = false;
	int a;

	if (argc < 2)
		return 2;
	for (a = 2; a < argc; a++) {
		if (strcmp(argv[a], "--keep") == 0)
			keep = true;
		else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0)
			seed = strtoull(argv[++a], NULL, 0);
		else if (a + 1 < argc && strcmp(argv[a], "--images") == 0)
			images = strtoull(argv[++a], NULL, 0);
		else if (a + 1 < argc && strcmp(argv[a], "--requests") == 0)
			requests = strtoull(argv[++a], NULL, 0);
		else
			return 2;
	}
	w.ram = aligned_alloc(4096, LEN);
	snprintf(w.dir, sizeof(w.dir), "%s/translate-XXXXXX", tmp ? tmp : "/tmp");
	if (!w.ram || !mkdtemp(w.dir)) {
		printf("%s: %s\n", w.dir, strerror(errno));
		return 1;
	}
	printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + images - 1);
	for (i = seed; i < seed + images; i++)
		if (!one_image(&w, argv[1], i, (unsigned int)requests, counts)) {
			printf("repeat with --seed %" PRIu64 " --images 1 --requests %" PRIu64 " --keep; the files are in %s\n", i,
			       requests, w.dir);
			return 1;
		}
	if (!keep)
		remove_files(&w);
	free(w.ram);
	printf("%" PRIu64 " translations, %" PRIu64 " faults, %" PRIu64 " ends in the interrupt range\n", counts[0], counts[1],
	       counts[2]);
	return counts[0] < images * requests / 4 || counts[1] < images * requests / 8;
}
