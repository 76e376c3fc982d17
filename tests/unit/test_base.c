/* SPDX-License-Identifier: BSD-3-Clause */
/* base: fields, allocation with ordered failure, trace counters and log, RCU grace periods. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/diag.h"
#include "base/list.h"
#include "base/rcu.h"
#include "base/trace.h"

static void fields(void **state)
{
	(void)state;
	assert_int_equal(BITS(63, 63), UINT64_C(1) << 63);
	assert_int_equal(BITS(11, 9), 0xe00);
	assert_int_equal(FIELD_C(BITS(11, 9), 5), 0xa00);
	assert_int_equal(FIELD(BITS(11, 9), 7), 0xe00);
	assert_int_equal(FIELD_GET(BITS(11, 9), UINT64_C(0xfffffffffffff5ff)), 2);
	assert_int_equal(nb_low_mask(0), 0);
	assert_int_equal(nb_low_mask(64), UINT64_MAX);
	assert_int_equal(nb_ilog2(4096), 12);
	assert_int_equal(nb_ilog2(8191), 12);
}

/* A value that does not fit must stop us, not spill into the neighbour. */
static void field_overflow_stops(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		volatile uint64_t v = 8;

		close(2);
		(void)FIELD(BITS(11, 9), v);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void fail_nth(void **state)
{
	void *p, *q;

	(void)state;
	nb_fail_nth_arm(2);
	p = nb_zalloc(8);
	q = nb_zalloc(8);
	assert_non_null(p);
	assert_null(q);
	assert_true(nb_fail_nth_fired());
	q = nb_calloc(3, 8);
	assert_non_null(q);
	assert_false(nb_fail_nth_fired());
	assert_null(nb_calloc(SIZE_MAX / 2, 4));
	nb_free(p);
	nb_free(q);
}

static void diag_is_cut_not_overrun(void **state)
{
	struct {
		struct nb_diag d;
		char guard[8];
	} s;
	char longer[1000];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	memset(s.guard, 0x5a, sizeof(s.guard));
	assert_int_equal(nb_fail(&s.d, -EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(strlen(s.d.msg), sizeof(s.d.msg) - 1);
	assert_int_equal(s.guard[0], 0x5a);
	assert_int_equal(nb_fail(NULL, -EIO, "unheard"), -EIO);
}

static void *emit(void *tr)
{
	for (int i = 0; i < 10000; i++)
		NB_TRACE((struct nb_trace *)tr, hw_tlb_hit, 1, 2);
	return NULL;
}

/* More threads than slots: the shared slot must not lose a count either. */
static void counters_lose_nothing(void **state)
{
	enum { N = NB_TRACE_SLOTS + 16 };
	struct nb_trace *tr = nb_trace_new(NULL);
	pthread_t t[N];

	(void)state;
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&t[i], NULL, emit, tr), 0);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(nb_trace_count(tr, NB_EV_hw_tlb_hit), N * 10000);
	assert_int_equal(nb_trace_count(tr, NB_EV_hw_tlb_miss), 0);
	nb_trace_free(tr);
}

static void log_patterns(void **state)
{
	struct nb_trace *tr = nb_trace_new(NULL);
	struct nb_diag diag;
	char buf[512];
	int p[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(nb_trace_log(tr, "hw.fault,nosuch.*", p[1], &diag), -EINVAL);
	assert_non_null(strstr(diag.msg, "nosuch.*"));
	assert_int_equal(nb_trace_log(tr, "drv.*,hw.fault", p[1], &diag), 0);
	NB_TRACE(tr, hw_tlb_miss, 1);
	NB_TRACE(tr, hw_fault, 0x100, 5, 0xabc000, 0x71);
	n = read(p[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = 0;
	assert_string_equal(buf, "nestbox: hw.fault rid 0100 pasid 5 addr abc000 reason 71\n");
	close(p[0]);
	close(p[1]);
	nb_trace_free(tr);
}

/* Many, so that what is dead stays so for a while. */
#define BOXES 64
struct boxed {
	_Atomic uint64_t alive;
};
static _Atomic(struct boxed *) shared;
static atomic_bool stop;
static atomic_ulong dead_seen;

static void *reader(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		nb_rcu_read_lock();
		struct boxed *b = nb_rcu_dereference(shared);
		for (int i = 0; i < 50; i++)
			if (!atomic_load_explicit(&b->alive, memory_order_relaxed))
				atomic_fetch_add(&dead_seen, 1);
		nb_rcu_read_unlock();
		sched_yield(); /* or a preempted section costs the writer a time slice */
	}
	return NULL;
}

/* Readers never see an object after its grace period. Goes red when synchronize does not wait. */
static void rcu_waits_for_readers(void **state)
{
	static struct boxed box[BOXES];
	pthread_t t[3];

	(void)state;
	atomic_store(&box[0].alive, 1);
	atomic_store(&shared, &box[0]);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (int i = 0; i < 300; i++) {
		struct boxed *old = &box[i % BOXES], *new = &box[(i + 1) % BOXES];

		atomic_store(&new->alive, 1);
		nb_rcu_assign(shared, new);
		nb_rcu_synchronize();
		atomic_store(&old->alive, 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&dead_seen), 0);
}

#if defined(__SANITIZE_THREAD__)
#define RCU_ALWAYS_FENCES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_ALWAYS_FENCES 1
#endif
#endif
#ifndef RCU_ALWAYS_FENCES
#define RCU_ALWAYS_FENCES 0
#endif

/* What a reader is, by turns: nobody waits for it for long, then many do in a row. */
struct changing_reader {
	_Atomic uint64_t sections, light, fenced;
};

/*
 * Stores to lines that are in no cache keep those behind them, the reader's counter among them, from being seen for a while: without
 * a fence the section is well under way by then.
 */
static void delay_stores(uint64_t *seed)
{
	static _Atomic uint64_t cold[8 << 20];

	for (int i = 0; i < 40; i++) {
		*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		atomic_store_explicit(&cold[*seed >> 41], *seed, memory_order_relaxed);
	}
}

static void *changing_reader(void *arg)
{
	struct changing_reader *r = arg;
	uint64_t seed = 1;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		if (atomic_load_explicit(&r->sections, memory_order_relaxed) & 1)
			delay_stores(&seed);
		nb_rcu_read_lock();
		struct boxed *b = nb_rcu_dereference(shared);
		for (int i = 0; i < 200; i++)
			if (!atomic_load_explicit(&b->alive, memory_order_relaxed))
				atomic_fetch_add(&dead_seen, 1);
		nb_rcu_read_unlock();
		if (atomic_load_explicit(&nb_rcu_self.state, memory_order_relaxed) == NB_RCU_LIGHT)
			atomic_fetch_add_explicit(&r->light, 1, memory_order_relaxed);
		else
			atomic_fetch_add_explicit(&r->fenced, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&r->sections, 1, memory_order_relaxed);
	}
	return NULL;
}

/*
 * A reader changes between having no fence and having its own, and no writer misses it on the way. Goes red without the fence of
 * either side, or without the membarrier when readers are put into the fenced state.
 */
static void rcu_readers_change(void **state)
{
	static struct boxed box[BOXES];
	static struct changing_reader r;
	bool can_be_light = !RCU_ALWAYS_FENCES && syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) > 0;
	pthread_t t;

	(void)state;
	atomic_store(&stop, false);
	atomic_store(&dead_seen, 0);
	atomic_store(&box[0].alive, 1);
	atomic_store(&shared, &box[0]);
	pthread_create(&t, NULL, changing_reader, &r);
	for (int round = 0, i = 0; round < 400; round++) {
		uint64_t from = atomic_load(&r.sections);

		for (int burst = 0; burst < 10; burst++, i++) {
			struct boxed *old = &box[i % BOXES], *new = &box[(i + 1) % BOXES];

			atomic_store(&new->alive, 1);
			nb_rcu_assign(shared, new);
			nb_rcu_synchronize();
			atomic_store_explicit(&old->alive, 0, memory_order_relaxed);
		}
		while (atomic_load(&r.sections) - from < 2200)
			sched_yield();
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&dead_seen), 0);
	assert_true(atomic_load(&r.fenced) > 0);
	assert_true(!can_be_light || atomic_load(&r.light) > 0);
}

static void rcu_nests_and_survives_fork(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	nb_rcu_read_lock();
	nb_rcu_read_lock();
	nb_rcu_read_unlock();
	assert_true(nb_rcu_in_section());
	nb_rcu_read_unlock();
	assert_false(nb_rcu_in_section());
	pid = fork();
	if (pid == 0) {
		nb_rcu_read_lock();
		nb_rcu_read_unlock();
		nb_rcu_synchronize();
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(field_overflow_stops),
		cmocka_unit_test(fail_nth),
		cmocka_unit_test(diag_is_cut_not_overrun),
		cmocka_unit_test(counters_lose_nothing),
		cmocka_unit_test(log_patterns),
		cmocka_unit_test(rcu_waits_for_readers),
		cmocka_unit_test(rcu_readers_change),
		cmocka_unit_test(rcu_nests_and_survives_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
