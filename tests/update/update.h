/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of update share: who is asked, what is expected, and what frames a transition. */
#ifndef NB_TESTS_UPDATE_H
#define NB_TESTS_UPDATE_H

#include "bench.h"

#define X UINT64_C(0x12350000)	/* asked for behind every store */
#define P (UINT64_C(1) << (t->b.conf->page_lg2 ? t->b.conf->page_lg2 : 12)) /* smallest page of the driver's tables */
#define Y (X + 2 * P)		/* asked for before, so that it is cached, and after */
#define FAR UINT64_C(0x10000000000) /* 2^40: where domains lead, hardware never goes there */

#define NSUBJECTS 20
#define PASID_A	  5u
#define PASID_B	  5000u /* in another table than PASID_A */
#define PASID_BY  9u

struct subject {
	const char *name;
	enum vendor_kind kind;
	struct drv_domain *d; /* null: blocked */
	const struct drv_domain *on; /* what it stands on: the parent, else itself */
	uint64_t x, y;	      /* where X and Y go */
	uint64_t guest_x;     /* and X of the guest's own PASID, where there is one */
};

enum lines { AT_ONCE, AT_RANDOM, WHEN_FLUSHED };
extern const char *const lines_name[];

struct asked { /* one requester, while something changes */
	unsigned int dev;
	uint32_t pasid;
	uint64_t addr, old, new;
	bool may_fault;
	unsigned int stage[2]; /* from memory, through caches: 0 old, 1 refused, 2 new */
};

struct test {
	struct bench b;
	struct subject s[NSUBJECTS];
	unsigned int n;
	struct drv_domain *parent[3], *by;
	struct asked ask[8];
	unsigned int nask;
	struct asked irq;    /* a message of function 0, while its entry changes; addr 0: none */
	struct drv_msi msg;
	bool hot; /* ask through the caches too */
	bool inside; /* a transition is under way */
	enum lines lines;
	struct {
		size_t off;
		uint64_t was[8];
	} line[16]; /* lines that changed since hardware was last told something, as they were then */
	unsigned int nlines;
	char what[200];
	uint64_t seed;
	unsigned int failures;
	uint64_t transitions, stores, refused, asked_total;
};

/* The answer was wrong: who got it, why it is. */
void fail(struct test *t, const char *fmt, const char *who, uint64_t got, const struct asked *a);
bool same(uint64_t got, uint64_t want);
/* One more who is asked behind every store. */
void asked(struct test *t, unsigned int dev, uint32_t pasid, uint64_t addr, uint64_t old, uint64_t new, bool may_fault);
void begin(struct test *t);
void finish(struct test *t);
/* y: the same requester's, cached before and not asked for since; through caches, then by memory. */
void end(struct test *t, unsigned int dev, uint32_t pasid, uint64_t y, uint64_t y_new);
bool can_attach(struct test *t, unsigned int dev, uint32_t pasid, const struct subject *s);
/* To whom does t->msg go? */
uint64_t interrupt(struct test *t);

/* update_function.c */
void release(struct test *t, const struct subject *s);
void silent(struct test *t, const struct subject *s);
void interrupts(struct test *t);

#endif
