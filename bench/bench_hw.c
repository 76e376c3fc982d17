/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw: translation, nested, 4 KiB pages, 4 levels on 4, of each vendor in turn. Rows of SMMUv3 come twice: beside the limit, and beside
 * the VT-d unit, measured in the same run.
 *
 * A hit is compared with a probe of a hash table of the same shape (buckets of a cache line, three ways, a sequence count) over
 * the same addresses, with nothing around it. A miss is compared with the loads that the walk makes, as walk() reports
 * them, each waiting for the one before, with nothing decoded.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/rcu.h"
#include "bench.h"
#include "bench_unit.h"

#define VA     BENCH_VA
#define NPAGES BENCH_NPAGES
#define STREAM BENCH_STREAM
#define LAPS   16u

#define NVENDORS 2
static const struct bench_unit_ops *const vendors[NVENDORS] = {&bench_vtd, &bench_smmuv3};

/* A row of `row` for each vendor, and of the others beside the first. */
static void report_all(struct bench *b, const struct bench_row *row, struct bench_samples value[NVENDORS],
		       struct bench_samples limit[NVENDORS])
{
	double first = bench_median(&value[0]);
	unsigned int i;
	char name[128];

	for (i = 0; i < NVENDORS; i++) {
		struct bench_row r = *row;

		snprintf(name, sizeof(name), "%s%s", row->name, vendors[i]->suffix);
		r.name = name;
		r.value = bench_median(&value[i]);
		if (limit)
			r.limit_value = bench_median(&limit[i]);
		bench_report(b, &r);
		if (i == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s beside VT-d", row->name, vendors[i]->suffix);
		r.limit = "VT-d";
		r.limit_value = first;
		r.target = 0;
		r.target_ratio = 0;
		bench_report(b, &r);
	}
}

static bool units_up(struct bench *b, const char *name, struct bench_unit *u)
{
	unsigned int i;

	for (i = 0; i < NVENDORS; i++)
		if (!bench_unit_up(&u[i], vendors[i])) {
			bench_skip(b, name, "no unit");
			return false;
		}
	return true;
}

static void units_down(struct bench_unit *u)
{
	unsigned int i;

	for (i = 0; i < NVENDORS; i++)
		bench_unit_down(&u[i]);
}

/* What DMA does per page, but for the access itself. 0: some translation failed. */
static uint64_t translate_stream(struct hw_iommu *hw, const uint64_t *s, unsigned int n)
{
	struct hw_request req = {.rid = BENCH_RID, .pasid = NB_NO_PASID, .access = HW_READ};
	struct hw_result res;
	uint64_t sum = 1;
	unsigned int i;

	for (i = 0; i < n; i++) {
		req.addr = s[i];
		nb_rcu_read_lock();
		hw->ops->translate(hw, &req, &res);
		sum += res.pa.v;
		nb_rcu_read_unlock();
		if (res.kind != HW_OK)
			return 0;
	}
	return sum;
}

/* ---- the bare table ---- */

struct bucket {
	_Atomic uint32_t seq;
	uint32_t pad;
	_Atomic uint64_t key[3], val[3];
	uint64_t more;
} __attribute__((aligned(64)));

#define BUCKETS_LG2 13

static struct bucket *bucket_of(struct bucket *t, uint64_t key)
{
	return &t[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUCKETS_LG2)];
}

static struct bucket *bare_table(void)
{
	struct bucket *t = aligned_alloc(64, sizeof(*t) << BUCKETS_LG2);
	unsigned int i, w;

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t) << BUCKETS_LG2);
	for (i = 0; i < NPAGES; i++) {
		uint64_t key = (VA >> 12) + i;
		struct bucket *b = bucket_of(t, key);

		for (w = 0; w < 2 && atomic_load_explicit(&b->key[w], memory_order_relaxed); w++)
			;
		atomic_store_explicit(&b->key[w], key, memory_order_relaxed);
		atomic_store_explicit(&b->val[w], key << 12, memory_order_relaxed);
	}
	return t;
}

static uint64_t probe_stream(struct bucket *t, const uint64_t *s, unsigned int n)
{
	uint64_t sum = 1;
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t key = s[i] >> 12;
		struct bucket *b = bucket_of(t, key);
		uint32_t seq = atomic_load_explicit(&b->seq, memory_order_acquire);
		uint64_t k0 = atomic_load_explicit(&b->key[0], memory_order_acquire);
		uint64_t k1 = atomic_load_explicit(&b->key[1], memory_order_acquire);
		unsigned int w = k0 == key ? 0 : k1 == key ? 1 : 2;
		uint64_t v = atomic_load_explicit(&b->val[w], memory_order_acquire);

		if (atomic_load_explicit(&b->seq, memory_order_relaxed) != seq)
			return 0;
		sum += v | (s[i] & 4095);
	}
	return sum;
}

/* Units with the set of pages mapped and cached, and the stream. */
static bool units_hot(struct bench *b, const char *name, struct bench_unit *u, uint64_t *stream)
{
	unsigned int i;

	bench_stream(stream);
	if (!units_up(b, name, u))
		return false;
	for (i = 0; i < NVENDORS; i++)
		if (!bench_unit_map_set(&u[i]) || !translate_stream(u[i].hw, stream, STREAM)) {
			bench_skip(b, name, "it does not translate");
			return false;
		}
	return true;
}

static void hit(struct bench *b)
{
	const char *name = "hw translate, TLB hit, nested, one thread";
	struct bench_samples s[NVENDORS] = {{.n = 0}}, limit[NVENDORS] = {{.n = 0}};
	unsigned int i, v, n = bench_samples(b, 60);
	struct bucket *bare = bare_table();
	static uint64_t stream[STREAM];
	struct bench_unit u[NVENDORS];

	if (!bare || !units_hot(b, name, u, stream))
		return;
	for (i = 0; i < n; i++) {
		for (v = 0; v < NVENDORS; v++) {
			uint64_t t = bench_ns(), k;

			for (k = 0; k < LAPS; k++)
				bench_keep(probe_stream(bare, stream, STREAM));
			bench_add(&limit[v], (double)(bench_ns() - t) / (LAPS * STREAM));
			t = bench_ns();
			for (k = 0; k < LAPS; k++)
				bench_keep(translate_stream(u[v].hw, stream, STREAM));
			bench_add(&s[v], (double)(bench_ns() - t) / (LAPS * STREAM));
		}
	}
	units_down(u);
	free(bare);
	report_all(b, &(struct bench_row){.name = name, .unit = "ns", .limit = "a bare probe of a table of the same shape",
					  .target = 10, .target_ratio = 2}, s, limit);
}

/* ---- threads ---- */

struct reader {
	pthread_t thread;
	struct hw_iommu *hw;
	const uint64_t *stream;
	_Atomic bool *stop;
	uint64_t count, longest_ns;
};

static void *read_until_stopped(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load_explicit(r->stop, memory_order_relaxed)) {
		bench_keep(translate_stream(r->hw, r->stream, STREAM));
		r->count += STREAM;
	}
	return NULL;
}

/*
 * Page-selective invalidations of one page that the readers use, each with its wait: 10,000 a second, ten in a burst every
 * millisecond. (Waking up 10,000 times a second costs two readers on two cores a third of their time all by itself, on
 * a virtual machine; that is not what is measured here.)
 */
#define BURST 10

static void invalidate_for(struct bench_unit *u, uint64_t ns, uint64_t *done)
{
	uint64_t va = VA, start = bench_ns(), due = start;
	unsigned int i;

	for (*done = 0; bench_ns() - start < ns;) {
		struct timespec ts;

		for (i = 0; i < BURST; i++) {
			u->ops->inv(u, BENCH_INV_LEAF, &va, 1);
			va = VA + ++*done % NPAGES * 4096;
		}
		due += BURST * 100000;
		ts = (struct timespec){(time_t)(due / 1000000000), (long)(due % 1000000000)};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
}

static double run_readers(struct bench_unit *u, const uint64_t *stream, unsigned int n, bool invalidate, uint64_t ns,
			  double *inv_per_s)
{
	struct reader r[2];
	_Atomic bool stop = false;
	uint64_t t = bench_ns(), done = 0, total = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i] = (struct reader){.hw = u->hw, .stream = stream, .stop = &stop};
		if (pthread_create(&r[i].thread, NULL, read_until_stopped, &r[i]))
			abort();
	}
	if (invalidate)
		invalidate_for(u, ns, &done);
	else
		usleep((useconds_t)(ns / 1000));
	atomic_store(&stop, true);
	for (i = 0; i < n; i++) {
		pthread_join(r[i].thread, NULL);
		total += r[i].count;
	}
	t = bench_ns() - t;
	if (inv_per_s)
		*inv_per_s = (double)done * 1e9 / (double)t;
	return (double)total * 1e3 / (double)t;
}

static void threads(struct bench *b)
{
	const char *name = "hw translate, hits, 2 threads, invalidations";
	struct bench_samples one[NVENDORS] = {{.n = 0}}, two[NVENDORS] = {{.n = 0}}, rate[NVENDORS] = {{.n = 0}};
	unsigned int i, v, n = bench_samples(b, 7);
	static uint64_t stream[STREAM];
	uint64_t ns = bench_quick(b) ? 20000000 : 200000000;
	struct bench_unit u[NVENDORS];
	double inv;

	if (!units_hot(b, name, u, stream))
		return;
	for (i = 0; i < n; i++) {
		for (v = 0; v < NVENDORS; v++) {
			bench_add(&one[v], run_readers(&u[v], stream, 1, false, ns, NULL));
			bench_add(&two[v], run_readers(&u[v], stream, 2, true, ns, &inv));
			bench_add(&rate[v], inv);
		}
	}
	units_down(u);
	report_all(b, &(struct bench_row){.name = name, .unit = "M/s", .limit = "one thread, nobody else",
					  .more_is_better = true, .target_ratio = 1.8}, two, one);
	report_all(b, &(struct bench_row){.name = "hw invalidations beside 2 readers", .unit = "1/s", .more_is_better = true,
					  .limit = "asked for", .limit_value = 10000, .target_ratio = 0.9}, rate, NULL);
}

/* ---- misses ---- */

#define MISS_VAS 32
#define MAX_LOADS 64

struct loads {
	unsigned int n;
	const uint64_t *at[MAX_LOADS];
};

static void note_load(void *opaque, const struct hw_step *step)
{
	struct loads *l = opaque;

	if (step->stage != 0 && l->n < MAX_LOADS)
		l->at[l->n++] = (const uint64_t *)(uintptr_t)step->pa.v;
}

static uint64_t chase(const struct loads *l, uint64_t zero)
{
	uint64_t x = 0;
	unsigned int i;

	for (i = 0; i < l->n; i++)
		x = *(const volatile uint64_t *)((const char *)l->at[i] + (x & zero));
	return x;
}

static inline uint64_t tsc_begin(void)
{
	_mm_lfence();
	return __rdtsc();
}

static inline uint64_t tsc_end(void)
{
	unsigned int aux;
	uint64_t t = __rdtscp(&aux);

	_mm_lfence();
	return t;
}

static double ns_per_tick(void)
{
	uint64_t t = bench_ns(), c = __rdtsc();

	while (bench_ns() - t < 20000000)
		;
	return (double)(bench_ns() - t) / (double)(__rdtsc() - c);
}

/* The loads of a walk from nothing, but those of its configuration; or those of the last table of each stage. */
static bool miss_loads(struct bench_unit *u, struct loads *l, const struct hw_request *asked, bool whole)
{
	struct hw_request req = *asked;
	struct hw_result res;

	req.flags = HW_OBSERVE;
	l->n = 0;
	u->hw->ops->walk(u->hw, &req, note_load, l, &res);
	if (res.kind != HW_OK || l->n < BENCH_LOADS)
		return false;
	if (whole) {
		memmove(l->at, l->at + l->n - BENCH_LOADS, BENCH_LOADS * sizeof(l->at[0]));
		l->n = BENCH_LOADS;
	} else {
		l->at[0] = l->at[l->n - 5];
		l->at[1] = l->at[l->n - 1];
		l->n = 2;
	}
	return true;
}

/*
 * `what` is invalidated before each translation, outside the measured time: the address space (nothing of the address is
 * cached but its configuration), or the page alone (upper levels are).
 */
static void miss_with(struct bench *b, const char *name, enum bench_inv what, double target, double ratio)
{
	unsigned int i, k, v, n = bench_samples(b, 40), inner = bench_quick(b) ? 20 : 500;
	struct bench_samples s[NVENDORS] = {{.n = 0}}, limit[NVENDORS] = {{.n = 0}};
	static struct loads loads[NVENDORS][MISS_VAS];
	bool whole = what == BENCH_INV_SPACE;
	struct bench_unit u[NVENDORS];
	double tick = ns_per_tick();
	volatile uint64_t zero = 0;

	if (!units_up(b, name, u))
		return;
	for (v = 0; v < NVENDORS; v++) {
		for (i = 0; i < MISS_VAS; i++) {
			struct hw_request req = {.addr = (i + UINT64_C(1)) << 39 | i << 21, .rid = BENCH_RID,
						 .pasid = NB_NO_PASID, .access = HW_READ};

			if (!bench_unit_map(&u[v], req.addr, (i + UINT64_C(64)) << 39 >> 2) ||
			    !miss_loads(&u[v], &loads[v][i], &req, whole)) {
				bench_skip(b, name, "a walk does not make the loads that it should");
				return;
			}
		}
	}
	for (i = 0; i < n * NVENDORS; i++) {
		uint64_t ours = 0, bare = 0, empty = 0;

		v = i % NVENDORS;
		for (k = 0; k < inner; k++) {
			unsigned int a = k % MISS_VAS;
			struct hw_request req = {.addr = (a + UINT64_C(1)) << 39 | a << 21, .rid = BENCH_RID,
						 .pasid = NB_NO_PASID, .access = HW_READ};
			struct hw_result res;
			uint64_t t;

			nb_rcu_read_lock();
			u[v].hw->ops->translate(u[v].hw, &req, &res);
			nb_rcu_read_unlock();
			u[v].ops->inv(&u[v], what, &req.addr, 1);
			t = tsc_begin();
			empty += tsc_end() - t;
			bench_keep(chase(&loads[v][a], zero)); /* the tables are warm for both */
			t = tsc_begin();
			bench_keep(chase(&loads[v][a], zero));
			bare += tsc_end() - t;
			t = tsc_begin();
			nb_rcu_read_lock();
			u[v].hw->ops->translate(u[v].hw, &req, &res);
			nb_rcu_read_unlock();
			ours += tsc_end() - t;
			if (res.kind != HW_OK) {
				bench_skip(b, name, "a translation failed");
				return;
			}
		}
		bench_add(&s[v], (double)(ours - empty) * tick / inner);
		bench_add(&limit[v], (double)(bare - empty) * tick / inner);
	}
	units_down(u);
	report_all(b, &(struct bench_row){.name = name, .unit = "ns",
					  .limit = whole ? "its 24 loads, each after the other" : "two loads",
					  .target = target, .target_ratio = ratio}, s, limit);
}

static void miss(struct bench *b)
{
	miss_with(b, "hw translate, miss, 4 on 4 levels, nothing cached", BENCH_INV_SPACE, 150, 1.5);
	miss_with(b, "hw translate, miss, upper levels cached", BENCH_INV_LEAF, 0, 0);
}

#define NINV 128u

static void invalidation(struct bench *b)
{
	const char *name = "hw page invalidation, 128 commands and a wait";
	unsigned int i, v, n = bench_samples(b, 60);
	struct bench_samples s[NVENDORS] = {{.n = 0}};
	struct bench_unit u[NVENDORS];
	uint64_t va[NINV];

	if (!units_up(b, name, u))
		return;
	for (i = 0; i < NINV; i++)
		va[i] = VA + i * 4096u;
	for (v = 0; v < NVENDORS; v++) {
		/* something of the address space is cached, but not these pages */
		struct hw_request req = {.addr = VA + NINV * 4096u, .rid = BENCH_RID, .pasid = NB_NO_PASID, .access = HW_READ};
		struct hw_result res;

		if (!bench_unit_map_set(&u[v])) {
			bench_skip(b, name, "no memory");
			return;
		}
		nb_rcu_read_lock();
		u[v].hw->ops->translate(u[v].hw, &req, &res);
		nb_rcu_read_unlock();
	}
	for (i = 0; i < n * NVENDORS; i++) {
		uint64_t t = bench_ns();

		v = i % NVENDORS;
		u[v].ops->inv(&u[v], BENCH_INV_LEAF, va, NINV);
		bench_add(&s[v], (double)(bench_ns() - t) / NINV);
	}
	units_down(u);
	report_all(b, &(struct bench_row){.name = name, .unit = "ns/command"}, s, NULL);
}

const struct bench_case bench_hw[] = {
	{"hw hit", hit}, {"hw threads", threads}, {"hw miss", miss}, {"hw invalidation", invalidation}, {NULL, NULL},
};
