/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that looks after the queues of guests, whose registers are plain memory: nothing tells us when they are written.
 *
 * It is made when the first queue is given to an enabled guest VINTF and lives until destruction. Without such a queue it sleeps until there is one.
 * With one it spins as long as there is work and SPIN_NS after; then it sleeps between two looks, an eighth of the time that there has been nothing
 * to do, NAP_MIN_NS at least and NAP_MAX_NS at most. So a command waits no longer than an eighth of its guest's silence and never more than two
 * milliseconds, and a guest that is idle costs 500 looks a second, about a hundredth of a processor (20 us for each, most of it the timer's). A guest
 * that never stops keeps it busy, but not mmio_lock: whoever waits for that gets it after the batch that is being executed.
 *
 * Lock: mmio_lock, then smmu_cmdqv.lock. The thread holds the latter only to sleep. smmu_threads() holds it back around a fork, and before its
 * driver goes: it parks between two looks, with no lock held.
 */
#include "hw/smmuv3/cmdqv.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cpu.h"

#define SPIN_NS	    50000
#define NAP_MIN_NS  5000
#define NAP_MAX_NS  2000000
#define PAUSE_NS    20000
#define MAX_PAUSES  100

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool any_live(struct smmu_cmdqv *c)
{
	return (atomic_load_explicit(&c->live[0], memory_order_acquire) | atomic_load_explicit(&c->live[1], memory_order_acquire)) != 0;
}

/* Without a lock: at worst a look too many, or one that comes a round later. */
static bool wants(const struct cmdqv_vcmdq *q)
{
	return cmdqv_word_get(q, CMDQV_VCMDQ_PROD) != atomic_load_explicit(&q->seen_prod, memory_order_relaxed) ||
	       cmdqv_word_get(q, CMDQV_VCMDQ_CONFIG) != atomic_load_explicit(&q->seen_config, memory_order_relaxed) ||
	       cmdqv_word_get(q, CMDQV_VCMDQ_GERRORN) != atomic_load_explicit(&q->seen_gerrorn, memory_order_relaxed) ||
	       atomic_load_explicit(&q->unfinished, memory_order_relaxed);
}

static void serve(struct smmu_cmdqv *c, struct cmdqv_vcmdq *q)
{
	struct smmu_msis msis = {.n = 0};

	pthread_mutex_lock(&c->smmu->mmio_lock);
	if (cmdqv_is_live(c, q))
		(void)cmdqv_serve(q, &msis);
	pthread_mutex_unlock(&c->smmu->mmio_lock);
	smmu_msi_send(c->smmu, &msis);
}

/* ns 0: until there is something to look after. False: it is over. */
static bool sleep_for(struct smmu_cmdqv *c, uint64_t ns)
{
	uint64_t until = now_ns() + ns;
	const struct timespec t = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
	bool go, timed_out = false;

	pthread_mutex_lock(&c->lock);
	c->at_work = false;
	pthread_cond_broadcast(&c->parked);
	while (!c->stop && (c->held || !any_live(c) || (ns && !timed_out))) {
		if (ns && !timed_out && !c->held && any_live(c))
			timed_out = pthread_cond_timedwait(&c->wake, &c->lock, &t) == ETIMEDOUT;
		else
			pthread_cond_wait(&c->wake, &c->lock);
	}
	c->at_work = go = !c->stop;
	atomic_store_explicit(&c->attention, false, memory_order_relaxed);
	pthread_mutex_unlock(&c->lock);
	return go;
}

/*
 * Who waits has been woken and needs a processor to come to it: stay away until then, but not for ever, as there may always be one more. False: it is
 * over.
 */
static bool give_way(struct smmu_cmdqv *c)
{
	unsigned int pauses = 0;

	while (unlikely(atomic_load_explicit(&c->smmu->mmio_waiting, memory_order_relaxed)) && pauses++ < MAX_PAUSES)
		if (!sleep_for(c, PAUSE_NS))
			return false;
	return true;
}

enum round { NOTHING, SOMETHING, OVER };

/* Look at each once, and have each do a batch at most. */
static enum round one_round(struct smmu_cmdqv *c)
{
	enum round r = NOTHING;
	unsigned int w;

	for (w = 0; w < ARRAY_SIZE(c->live); w++) {
		uint64_t live = atomic_load_explicit(&c->live[w], memory_order_acquire);

		for (; live; live &= live - 1) {
			struct cmdqv_vcmdq *q = &c->vcmdq[64 * w + (unsigned int)__builtin_ctzll(live)];

			if (!wants(q))
				continue;
			serve(c, q);
			r = SOMETHING;
			if (!give_way(c))
				return OVER;
			if (unlikely(atomic_load_explicit(&c->attention, memory_order_relaxed)))
				return r; /* to park, or to end */
		}
	}
	return r;
}

static uint64_t nap_after(uint64_t idle)
{
	return idle / 8 < NAP_MIN_NS ? NAP_MIN_NS : idle / 8 < NAP_MAX_NS ? idle / 8 : NAP_MAX_NS;
}

static void *run(void *arg)
{
	struct smmu_cmdqv *c = arg;
	uint64_t idle_since = 0, idle = 0;
	unsigned int looks = 0;
	enum round r;

	(void)prctl(PR_SET_NAME, "nestbox-cmdqv");
	/* The default slack of 50 us would be most of a nap. */
	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	if (!sleep_for(c, 0))
		return NULL;
	for (;;) {
		if (atomic_load_explicit(&c->attention, memory_order_relaxed) || !any_live(c)) {
			if (!sleep_for(c, 0))
				return NULL;
			idle_since = idle = 0;
		}
		r = one_round(c);
		if (r == OVER)
			return NULL;
		if (r == SOMETHING) {
			idle_since = idle = looks = 0;
			continue;
		}
		nb_cpu_relax();
		if (idle < SPIN_NS && (++looks & 15)) /* looking at the clock costs more than looking at a queue */
			continue;
		if (idle_since == 0)
			idle_since = now_ns();
		idle = now_ns() - idle_since;
		if (idle >= SPIN_NS && !sleep_for(c, nap_after(idle)))
			return NULL;
	}
}

/* ---- life ---- */

static int start_locked(struct smmu_cmdqv *c)
{
	sigset_t all, old;
	int err;

	/* The program's signals are for the program's threads; faults are for guarded access. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = nb_should_fail() ? ENOMEM : pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->running = err == 0;
	c->at_work = c->running; /* until it has come to its first sleep */
	return -err;
}

bool cmdqv_poll_update(struct smmu_cmdqv *c)
{
	bool ok = true;

	if (!any_live(c))
		return true;
	pthread_mutex_lock(&c->lock);
	if (!c->running && !c->lost)
		ok = start_locked(c) == 0;
	else
		pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	return ok;
}

void cmdqv_poll_init(struct smmu_cmdqv *c)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&c->lock, NULL); /* none of these can fail in glibc */
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_cond_init(&c->parked, NULL);
	pthread_condattr_destroy(&attr);
}

void cmdqv_poll_fini(struct smmu_cmdqv *c)
{
	bool running;

	pthread_mutex_lock(&c->lock);
	c->stop = true;
	atomic_store_explicit(&c->attention, true, memory_order_relaxed);
	pthread_cond_broadcast(&c->wake);
	running = c->running;
	pthread_mutex_unlock(&c->lock);
	if (running)
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->parked);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
}

/* ---- struct hw_ops ---- */

static void hold(struct smmu_cmdqv *c)
{
	pthread_mutex_lock(&c->lock);
	c->held++;
	atomic_store_explicit(&c->attention, true, memory_order_relaxed);
	while (c->at_work)
		pthread_cond_wait(&c->parked, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void smmu_threads(struct hw_iommu *hw, enum hw_threads what)
{
	struct smmu_cmdqv *c = to_smmu(hw)->cmdqv;

	if (!c)
		return;
	switch (what) {
	case HW_THREADS_HOLD:
		hold(c);
		break;
	case HW_THREADS_GO:
		pthread_mutex_lock(&c->lock);
		if (--c->held == 0)
			pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
		break;
	case HW_THREADS_LOST: /* what other threads of the parent had of the lock and the conditions means nothing here */
		cmdqv_poll_init(c);
		c->held = 0;
		c->running = c->at_work = false;
		c->lost = true;
		break;
	case HW_THREADS_AGAIN:
		c->lost = false;
		(void)cmdqv_poll_update(c);
		break;
	}
}

int smmu_register_memory(struct hw_iommu *hw, uint64_t off, uint64_t len, int *fd, uint64_t *fd_off)
{
	const struct smmu_cmdqv *c = to_smmu(hw)->cmdqv;
	uint64_t first = SMMU_CMDQV_BASE + CMDQV_VINTF_PAGES, n;

	if (!c || off < first)
		return -EINVAL;
	/* Page 0 of one VINTF: its neighbours, and the queues by their own numbers, are not for guests. */
	n = (off - first) / CMDQV_VINTF_STEP;
	if ((off - first) % CMDQV_VINTF_STEP != 0 || len != CMDQV_PAGE_SIZE || n >= c->nvintfs)
		return -EINVAL;
	*fd = c->fd;
	*fd_off = n * CMDQV_PAGE_SIZE;
	return 0;
}
