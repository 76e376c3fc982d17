/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Benchmarks that carry their own yardstick.
 *
 * A case measures work of ours and, in the same run and on the same data, the
 * least that any implementation has to do: the limit. Both are sampled in turn, so that a busy machine
 * disturbs both, and medians are compared. What a row must reach stands in the row; nothing here is a test, and
 * no test asserts a time.
 */
#ifndef NB_BENCH_H
#define NB_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct bench;

struct bench_row {
	const char *name, *unit;
	double value;
	const char *limit;    /* what limit_value measures; null: there is none */
	double limit_value;
	bool more_is_better;  /* a rate or a scaling factor: targets are lower bounds */
	double target;	      /* bound on value, in `unit`; 0: none */
	double target_ratio;  /* bound on value / limit_value; 0: none */
};

struct bench_case {
	const char *name; /* --filter matches it with fnmatch(3) */
	void (*run)(struct bench *b);
};

/* One file a room; the array ends with a null name. */
extern const struct bench_case bench_pt[], bench_hw[], bench_host[], bench_ir[], bench_ats[], bench_iopf[],
	bench_viommu[];

bool bench_quick(const struct bench *b); /* fewer samples, smaller sizes: does it run, not how fast */
void bench_report(struct bench *b, const struct bench_row *row);
/* A case that cannot run here: says why and counts as failed. */
void bench_skip(struct bench *b, const char *name, const char *why);

#define BENCH_SAMPLES_MAX 64
struct bench_samples {
	double v[BENCH_SAMPLES_MAX];
	unsigned int n;
};
unsigned int bench_samples(const struct bench *b, unsigned int normal); /* how many to take */
void bench_add(struct bench_samples *s, double v);
double bench_median(struct bench_samples *s);

static inline uint64_t bench_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Keep a value, and what it depends on, from being optimised away. */
static inline void bench_keep(uint64_t v)
{
	__asm__ volatile("" : : "r"(v) : "memory");
}

/* xorshift64*: any non-zero seed. */
static inline uint64_t bench_rand(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
