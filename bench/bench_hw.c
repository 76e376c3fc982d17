/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hw: translation, nested, 4 KiB pages, 4 levels on 4.
 *
 * A hit is compared with a probe of a hash table of the same shape (buckets of a cache line, three ways, a sequence count) over
 * the same addresses, with nothing around it. A miss is compared with the loads that the walk makes, as walk() reports
 * them, each waiting for the one before, with nothing decoded.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/rcu.h"
#include "bench.h"
#include "bench_vtd.h"

#define VA     UINT64_C(0x7f0000000000)
#define GPA    UINT64_C(0x5000000000)
#define NPAGES 1024u
#define STREAM 2048u /* addresses: few enough to stay in the first-level cache, so that they cost nothing themselves */
#define LAPS   16u

static bool map_set(struct bench_vtd *v)
{
	unsigned int i;

	for (i = 0; i < NPAGES; i++)
		if (!bench_vtd_map(v, VA + i * 4096u, GPA + (NPAGES - 1 - i) * 4096u))
			return false;
	return true;
}

static void make_stream(uint64_t *s)
{
	uint64_t seed = 88172645463325252u;
	unsigned int i;

	for (i = 0; i < STREAM; i++)
		s[i] = VA + bench_rand(&seed) % NPAGES * 4096 + bench_rand(&seed) % 512 * 8;
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

static void hit(struct bench *b)
{
	const char *name = "hw translate, TLB hit, nested, one thread";
	unsigned int i, n = bench_samples(b, 60);
	struct bench_samples s = {0}, limit = {0};
	struct bucket *bare = bare_table();
	static uint64_t stream[STREAM];
	struct bench_vtd v;

	make_stream(stream);
	if (!bare || !bench_vtd_up(&v) || !map_set(&v) || !translate_stream(v.hw, stream, STREAM)) {
		bench_skip(b, name, "no unit, or it does not translate");
		return;
	}
	for (i = 0; i < n; i++) {
		uint64_t t = bench_ns(), k;

		for (k = 0; k < LAPS; k++)
			bench_keep(probe_stream(bare, stream, STREAM));
		bench_add(&limit, (double)(bench_ns() - t) / (LAPS * STREAM));
		t = bench_ns();
		for (k = 0; k < LAPS; k++)
			bench_keep(translate_stream(v.hw, stream, STREAM));
		bench_add(&s, (double)(bench_ns() - t) / (LAPS * STREAM));
	}
	bench_vtd_down(&v);
	free(bare);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns", .value = bench_median(&s),
					    .limit = "a bare probe of a table of the same shape",
					    .limit_value = bench_median(&limit), .target = 10, .target_ratio = 2});
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

static void invalidate_for(struct bench_vtd *v, uint64_t ns, uint64_t *done)
{
	uint64_t desc[1][2] = {{6 | 3 << 4 | (uint64_t)BENCH_DID << 16, VA}}, start = bench_ns(), due = start;
	unsigned int i;

	for (*done = 0; bench_ns() - start < ns;) {
		struct timespec ts;

		for (i = 0; i < BURST; i++) {
			bench_vtd_queue(v, desc, 1);
			desc[0][1] = VA + ++*done % NPAGES * 4096;
		}
		due += BURST * 100000;
		ts = (struct timespec){(time_t)(due / 1000000000), (long)(due % 1000000000)};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
}

static double run_readers(struct bench_vtd *v, const uint64_t *stream, unsigned int n, bool invalidate, uint64_t ns,
			  double *inv_per_s)
{
	struct reader r[2];
	_Atomic bool stop = false;
	uint64_t t = bench_ns(), done = 0, total = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i] = (struct reader){.hw = v->hw, .stream = stream, .stop = &stop};
		if (pthread_create(&r[i].thread, NULL, read_until_stopped, &r[i]))
			abort();
	}
	if (invalidate)
		invalidate_for(v, ns, &done);
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
	unsigned int i, n = bench_samples(b, 7);
	struct bench_samples one = {0}, two = {0}, rate = {0};
	static uint64_t stream[STREAM];
	uint64_t ns = bench_quick(b) ? 20000000 : 200000000;
	struct bench_vtd v;
	double inv;

	make_stream(stream);
	if (!bench_vtd_up(&v) || !map_set(&v) || !translate_stream(v.hw, stream, STREAM)) {
		bench_skip(b, name, "no unit, or it does not translate");
		return;
	}
	for (i = 0; i < n; i++) {
		bench_add(&one, run_readers(&v, stream, 1, false, ns, NULL));
		bench_add(&two, run_readers(&v, stream, 2, true, ns, &inv));
		bench_add(&rate, inv);
	}
	bench_vtd_down(&v);
	bench_report(b, &(struct bench_row){.name = name, .unit = "M/s", .value = bench_median(&two),
					    .limit = "one thread, nobody else", .limit_value = bench_median(&one),
					    .more_is_better = true, .target_ratio = 1.8});
	bench_report(b, &(struct bench_row){.name = "hw invalidations beside 2 readers", .unit = "1/s",
					    .value = bench_median(&rate), .more_is_better = true,
					    .limit = "asked for", .limit_value = 10000, .target_ratio = 0.9});
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

/*
 * `what` is invalidated before each translation, outside the measured time: the domain (nothing of the address is
 * cached but its configuration), or the page alone (upper levels are).
 */
static void miss_with(struct bench *b, const char *name, const uint64_t what[2], bool whole, double target, double ratio)
{
	unsigned int i, k, n = bench_samples(b, 40), inner = bench_quick(b) ? 20 : 500;
	struct bench_samples s = {0}, limit = {0};
	static struct loads loads[MISS_VAS];
	double tick = ns_per_tick();
	volatile uint64_t zero = 0;
	struct bench_vtd v;

	if (!bench_vtd_up(&v)) {
		bench_skip(b, name, "no unit");
		return;
	}
	for (i = 0; i < MISS_VAS; i++) {
		struct hw_request req = {.addr = (i + UINT64_C(1)) << 39 | i << 21, .rid = BENCH_RID, .pasid = NB_NO_PASID,
					 .access = HW_READ, .flags = HW_OBSERVE};
		struct hw_result res;

		if (!bench_vtd_map(&v, req.addr, (i + UINT64_C(64)) << 39 >> 2))
			return;
		loads[i].n = 0;
		v.hw->ops->walk(v.hw, &req, note_load, &loads[i], &res);
		if (!whole) { /* the last table of each stage */
			loads[i].at[0] = loads[i].at[loads[i].n - 5];
			loads[i].at[1] = loads[i].at[loads[i].n - 1];
			loads[i].n = 2;
		}
	}
	for (i = 0; i < n; i++) {
		uint64_t ours = 0, bare = 0, empty = 0;

		for (k = 0; k < inner; k++) {
			unsigned int a = k % MISS_VAS;
			struct hw_request req = {.addr = (a + UINT64_C(1)) << 39 | a << 21, .rid = BENCH_RID,
						 .pasid = NB_NO_PASID, .access = HW_READ};
			uint64_t desc[1][2] = {{what[0], whole ? 0 : what[1] | req.addr}}, t;
			struct hw_result res;

			nb_rcu_read_lock();
			v.hw->ops->translate(v.hw, &req, &res);
			nb_rcu_read_unlock();
			bench_vtd_queue(&v, desc, 1);
			t = tsc_begin();
			empty += tsc_end() - t;
			bench_keep(chase(&loads[a], zero)); /* the tables are warm for both */
			t = tsc_begin();
			bench_keep(chase(&loads[a], zero));
			bare += tsc_end() - t;
			t = tsc_begin();
			nb_rcu_read_lock();
			v.hw->ops->translate(v.hw, &req, &res);
			nb_rcu_read_unlock();
			ours += tsc_end() - t;
			if (res.kind != HW_OK) {
				bench_skip(b, name, "a translation failed");
				return;
			}
		}
		bench_add(&s, (double)(ours - empty) * tick / inner);
		bench_add(&limit, (double)(bare - empty) * tick / inner);
	}
	bench_vtd_down(&v);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns", .value = bench_median(&s),
					    .limit = whole ? "its 24 loads, each after the other" : "two loads",
					    .limit_value = bench_median(&limit), .target = target, .target_ratio = ratio});
}

static void miss(struct bench *b)
{
	static const uint64_t domain[2] = {2 | 2 << 4 | (uint64_t)BENCH_DID << 16, 0};
	/* with the hint: paging structures stay */
	static const uint64_t page[2] = {6 | 3 << 4 | (uint64_t)BENCH_DID << 16, 1 << 6};

	miss_with(b, "hw translate, miss, 4 on 4 levels, nothing cached", domain, true, 150, 1.5);
	miss_with(b, "hw translate, miss, upper levels cached", page, false, 0, 0);
}

static void invalidation(struct bench *b)
{
	const char *name = "hw page invalidation, 128 descriptors and a wait";
	unsigned int i, n = bench_samples(b, 40);
	static uint64_t desc[128][2];
	struct bench_samples s = {0};
	struct bench_vtd v;

	if (!bench_vtd_up(&v) || !map_set(&v)) {
		bench_skip(b, name, "no unit");
		return;
	}
	for (i = 0; i < 128; i++) {
		desc[i][0] = 6 | 3 << 4 | (uint64_t)BENCH_DID << 16;
		desc[i][1] = VA + i * 4096u;
	}
	for (i = 0; i < n * 10; i++) {
		uint64_t t = bench_ns();

		bench_vtd_queue(&v, desc, 128);
		bench_add(&s, (double)(bench_ns() - t) / 128);
	}
	bench_vtd_down(&v);
	bench_report(b, &(struct bench_row){.name = name, .unit = "ns/entry", .value = bench_median(&s)});
}

const struct bench_case bench_hw[] = {
	{"hw hit", hit}, {"hw threads", threads}, {"hw miss", miss}, {"hw invalidation", invalidation}, {NULL, NULL},
};
