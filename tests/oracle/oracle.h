/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential runs of our IOMMU models against the ones in a stock QEMU.
 *
 * A case is a vector of named numbers. From it a vendor builds structures in guest memory, twice: in QEMU's RAM and in a copy
 * that our model walks. Then a device does the same accesses to both, and what happened is compared: did it land and
 * where, which fault record, and every word of the structures afterwards (accessed and dirty bits).
 *
 * Since a case is numbers that each have a plain value, shrinking is generic: set a number to its plain value, and keep that if
 * both still disagree. The text "name=value,..." of what is left replays the case (--replay).
 *
 * QEMU is a peer and not a judge. Where it is known to differ from the manual, a filter says so by name, with the
 * manual's section; a difference that no filter explains fails the run.
 *
 * Split: qtest.c talks to QEMU; oracle.c runs batches and compares; report.c shrinks and prints; a vendor has
 * oracle_<vendor>.c (structures, model, commands), _cases.c (the numbers) and _known.c (filters).
 */
#ifndef NB_TESTS_ORACLE_ORACLE_H
#define NB_TESTS_ORACLE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hw/hw.h"
#include "mem/mem.h"
#include "qtest.h"

#define ORACLE_FIELDS  80
#define ORACLE_WORDS   96
#define ORACLE_STEPS   3
#define ORACLE_BATCH   64
#define ORACLE_FILTERS 64
#define ORACLE_RAM     (UINT64_C(256) << 20)

struct oracle_case {
	uint64_t f[ORACLE_FIELDS];
};

/* A word that the case puts into memory. */
struct oracle_word {
	uint64_t pa, val;
	uint8_t what; /* vendor's: which structure, which level */
	uint64_t ours, theirs; /* afterwards */
};

enum oracle_outcome {
	ORACLE_NOTHING, /* no landing, no record: blocked in silence, an interrupt, or no memory there */
	ORACLE_LANDED,
	ORACLE_FAULT,	/* recorded */
	ORACLE_UNSEEN,	/* a read without a record: where it went cannot be told */
};

/* One access of a case. */
struct oracle_step {
	enum oracle_outcome outcome;
	uint64_t pa;	    /* ours: of the first byte */
	uint64_t record[4]; /* as read from registers or ring */
	uint16_t reason;    /* out of the record, or of a fault that was not recorded (ours only) */
	bool silent;	    /* ours: refused without a record */
};

struct oracle_answer {
	unsigned int n;
	struct oracle_step step[ORACLE_STEPS];
};

/* A case in memory: what the vendor's build() makes of its numbers. */
struct oracle_built {
	unsigned int slot; /* in the batch: its own pages, its own word in a page */
	uint64_t iova;
	uint64_t target;   /* where the access lands if everything is in order */
	bool skip;	   /* set by ours(): it would reach what is no memory of ours, so QEMU is not asked */
	uint64_t vend[12]; /* the vendor's own */
	size_t at, at2;	   /* indices of answers, the vendor's own */
	struct oracle_answer ours, theirs;
	unsigned int nwords;
	struct oracle_word word[ORACLE_WORDS];
};

struct oracle_unit { /* one QEMU configuration */
	const char *name;
	const char *const *args;
	unsigned int flags; /* vendor's */
};

struct oracle_diff {
	const struct oracle_unit *unit;
	const struct oracle_case *c;
	const struct oracle_built *b;
	/* The first step that differs, or -1: only words do. */
	int step;
	const struct oracle_step *ours, *theirs; /* of that step */
};

/* A known deviation of QEMU. */
struct oracle_filter {
	const char *name;
	const char *section; /* of the manual that we follow */
	const char *what;    /* what QEMU does instead */
	/* Does it explain the whole difference? */
	bool (*match)(const struct oracle_diff *d);
};

struct oracle;

struct oracle_vendor {
	const char *name;
	const char *program;
	uint64_t ram_base;		 /* where the machine has its RAM */
	const struct oracle_unit *units; /* ends with a null name */
	const char *const *fields;	 /* names; ends with null */
	const struct oracle_filter *filters; /* ends with a null name */
	/* The simplest case of this unit: everything allowed. */
	void (*plain)(const struct oracle_unit *u, struct oracle_case *c);
	void (*random)(const struct oracle_unit *u, uint64_t *rng, struct oracle_case *c);
	/* After QEMU came up: read its capabilities, set up its registers, make our model with the same. 0 or -errno. */
	int (*start)(struct oracle *o, struct nb_diag *diag);
	/* Called in the order in which the cases run. */
	void (*build)(struct oracle *o, const struct oracle_case *c, struct oracle_built *b);
	/* Run our model over o->mem. */
	void (*ours)(struct oracle *o, const struct oracle_case *c, struct oracle_built *b);
	/* Collect the commands; b->ours is known. */
	void (*ask)(struct oracle *o, const struct oracle_case *c, struct oracle_built *b);
	void (*theirs)(struct oracle *o, const struct oracle_case *c, struct oracle_built *b);
	/* Once per batch: did both queues stay alive? Null or what is wrong. */
	const char *(*alive)(struct oracle *o);
	/* Are these two steps the same to the letter? Outcomes were compared already. */
	bool (*same_record)(const struct oracle_step *ours, const struct oracle_step *theirs);
	/* A fresh walk of our model, entry by entry, and what stands in the records. */
	void (*print)(struct oracle *o, const struct oracle_case *c, const struct oracle_built *b, FILE *to);
	void (*print_step)(const struct oracle_step *s, FILE *to);
};

extern const struct oracle_vendor oracle_vtd, oracle_smmuv3;

struct oracle_totals { /* shared by the worker processes */
	_Atomic uint64_t cases, landed, faults, skipped, bad;
	_Atomic uint64_t hits[ORACLE_FILTERS];
	_Atomic uint64_t reasons[256]; /* of our faults: what the generator reaches */
};

struct oracle { /* one run of one unit */
	const struct oracle_vendor *v;
	const struct oracle_unit *unit;
	struct oracle_totals *totals;
	struct qtest *q;
	uint8_t *theirs, *ours; /* both RAMs */
	struct mem mem;		/* over `ours` */
	struct hw_iommu *hw;
	uint64_t nbatches;
	uint64_t magic;		/* counts accesses, so that no word is right by chance */
	uint64_t vend[32];	/* the vendor's own */
	struct oracle_case c[ORACLE_BATCH];
	struct oracle_built b[ORACLE_BATCH];
};

int oracle_open(struct oracle *o, const char *program, struct nb_diag *diag);
void oracle_close(struct oracle *o);

/* Build, run and compare o->c[0..n). 0 or -EIO: QEMU is gone. */
int oracle_batch(struct oracle *o, unsigned int n, struct nb_diag *diag);
/* Is there a difference in o->b[i]? */
bool oracle_differs(const struct oracle *o, unsigned int i, struct oracle_diff *d);
/* The filter that explains it; -1: none, -2: there is no difference. */
int oracle_judge(const struct oracle *o, unsigned int i);

/*
 * report.c: print the case `at` of the batch; before, with `simplify`, find the simplest one with this judgement. -EIO:
 * QEMU went away.
 */
int oracle_report(struct oracle *o, unsigned int at, int judgement, bool simplify, struct nb_diag *diag);
/* "name=value,...": numbers on top of the plain case. Null or the text that is wrong. */
const char *oracle_parse(const struct oracle *o, const char *text, struct oracle_case *c);

static inline uint64_t oracle_rnd64(uint64_t *s)
{
	uint64_t z = (*s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}
static inline uint64_t oracle_rnd(uint64_t *s, uint64_t n)
{
	return (oracle_rnd64(s) >> 16) % n;
}
/* Little-endian words of one of the two RAMs. Out of range reads as 0 and is not written. */
static inline uint64_t oracle_get64(const struct oracle *o, const uint8_t *ram, uint64_t pa)
{
	uint64_t v = 0, at = pa - o->v->ram_base;

	if (at <= ORACLE_RAM - 8)
		memcpy(&v, ram + at, 8);
	return v;
}
static inline void oracle_put64(const struct oracle *o, uint8_t *ram, uint64_t pa, uint64_t v)
{
	uint64_t at = pa - o->v->ram_base;

	if (at <= ORACLE_RAM - 8)
		memcpy(ram + at, &v, 8);
}
static inline uint32_t oracle_get32(const struct oracle *o, const uint8_t *ram, uint64_t pa)
{
	return (uint32_t)(oracle_get64(o, ram, pa & ~UINT64_C(7)) >> (pa & 4 ? 32 : 0));
}

#endif
