/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grace periods by counting: each reader has a counter that is odd inside a section. A writer looks at every counter once
 * and waits for those that were odd to change. A reader that enters later is not waited for, so no
 * reader can hold a writer up by being busy.
 *
 * Between a reader's store to its counter and its loads there has to be a fence, as between what the writer published and its look
 * at the counter. A reader in state LIGHT has none, and the writer makes every thread of the process execute one with
 * membarrier(2): after it, a reader whose section began before has its counter visibly odd, and one that begins after sees what the
 * writer had published. A reader in state FENCED has its own.
 */
#include "base/rcu.h"
#include "base/cpu.h"

#include <assert.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__thread struct nb_rcu_reader nb_rcu_self;
static _Atomic uint32_t asleep; /* 1: the writer sleeps, or is about to; futex */
static _Atomic bool no_membarrier; /* all readers are FENCED and stay so; written under registry_lock */

#define FENCES_MAX 2048u /* sections with a fence that cost as much as a membarrier(2), between the cheapest and the dearest we have met */

/* Registry lock: `readers` and their links. Grace-period lock: one writer at a time.
 * Order: gp_lock, then registry_lock. */
static pthread_mutex_t gp_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nb_rcu_reader *readers;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;

static int membarrier(int cmd)
{
	return (int)syscall(SYS_membarrier, cmd, 0, 0);
}

static void reader_exit(void *arg)
{
	struct nb_rcu_reader *self = arg, **link;

	pthread_mutex_lock(&registry_lock);
	for (link = &readers; *link != self; link = &(*link)->next)
		assert(*link);
	*link = self->next;
	atomic_store_explicit(&self->state, NB_RCU_NEW, memory_order_relaxed);
	pthread_mutex_unlock(&registry_lock);
}

static void fork_prepare(void)
{
	pthread_mutex_lock(&gp_lock);
	pthread_mutex_lock(&registry_lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&registry_lock);
	pthread_mutex_unlock(&gp_lock);
}

/* Sections since the latest grace period, at most by one wrong. */
static uint64_t sections(const struct nb_rcu_reader *r)
{
	return (atomic_load_explicit(&r->ctr, memory_order_relaxed) - atomic_load_explicit(&r->seen, memory_order_relaxed)) / 2;
}

/* No membarrier(2): from now on readers fence for themselves. Registry lock. */
static void use_fences_locked(void)
{
	struct nb_rcu_reader *r;

	atomic_store(&no_membarrier, true);
	for (r = readers; r; r = r->next)
		atomic_store_explicit(&r->state, NB_RCU_FENCED, memory_order_relaxed);
}

/* Only the forking thread lives on in the child. */
static void fork_child(void)
{
	readers = atomic_load(&nb_rcu_self.state) != NB_RCU_NEW ? &nb_rcu_self : NULL;
	nb_rcu_self.next = NULL;
	if (!atomic_load(&no_membarrier) && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
		use_fences_locked();
	fork_parent();
}

static void rcu_init(void)
{
	bool tsan = false;

#if defined(__SANITIZE_THREAD__)
	tsan = true; /* it does not know what membarrier(2) does */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	tsan = true;
#endif
#endif
	/* A sandbox may refuse the call itself, so it is tried now as well as registered. */
	if (tsan || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ||
	    membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		atomic_store(&no_membarrier, true);
	pthread_key_create(&exit_key, reader_exit);
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void reader_register(struct nb_rcu_reader *self)
{
	pthread_once(&once, rcu_init);
	pthread_mutex_lock(&registry_lock);
	/* Even: a grace period that is under way does not wait for it. */
	atomic_store_explicit(&self->seen, atomic_load_explicit(&self->ctr, memory_order_relaxed) - 1, memory_order_relaxed);
	self->next = readers;
	readers = self;
	atomic_store_explicit(&self->state, NB_RCU_FENCED, memory_order_relaxed);
	pthread_mutex_unlock(&registry_lock);
	pthread_setspecific(exit_key, self);
}

void nb_rcu_read_lock_slow(void)
{
	struct nb_rcu_reader *r = &nb_rcu_self;

	if (atomic_load_explicit(&r->state, memory_order_relaxed) == NB_RCU_NEW)
		reader_register(r);
	else if (sections(r) > FENCES_MAX && !atomic_load_explicit(&no_membarrier, memory_order_relaxed))
		/*
		 * Before the fence: a writer that does not see it has fenced before us, and what it had published is seen in all our sections
		 * that have no fence.
		 */
		atomic_store_explicit(&r->state, NB_RCU_LIGHT, memory_order_relaxed);
	/* Pairs with the first fence in fence_all_locked(). */
	atomic_thread_fence(memory_order_seq_cst);
}

/* Every reader executes a full fence now, or has executed one at each read_lock. Registry lock. */
static void fence_all_locked(void)
{
	struct nb_rcu_reader *r;
	bool light = false;

	atomic_thread_fence(memory_order_seq_cst);
	for (r = readers; r; r = r->next) {
		if (r == &nb_rcu_self || atomic_load_explicit(&r->state, memory_order_relaxed) != NB_RCU_LIGHT)
			continue;
		light = true;
		if (sections(r) <= FENCES_MAX)
			atomic_store_explicit(&r->state, NB_RCU_FENCED, memory_order_relaxed);
	}
	if (!light || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
		return;
	/*
	 * A sandbox closed the call after we registered. Sections under way had no fence: they get the time in which
	 * any processor's stores have long reached the others.
	 */
	use_fences_locked();
	usleep(10000);
	atomic_thread_fence(memory_order_seq_cst);
}

void nb_rcu_wake(struct nb_rcu_reader *self)
{
	atomic_store_explicit(&self->waited_for, 0, memory_order_relaxed);
	if (atomic_exchange(&asleep, 0))
		syscall(SYS_futex, &asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Is its section that was open when the grace period began still the same one? */
static bool in_the_way(const struct nb_rcu_reader *r)
{
	uint64_t seen = atomic_load_explicit(&r->seen, memory_order_relaxed);

	return (seen & 1) && atomic_load_explicit(&r->ctr, memory_order_acquire) == seen;
}

/* Registry lock. */
static struct nb_rcu_reader *first_in_the_way_locked(void)
{
	struct nb_rcu_reader *r;

	for (r = readers; r && !in_the_way(r); r = r->next)
		;
	return r;
}

/*
 * A section lasts well under a microsecond, so one that stays open is most likely preempted, perhaps by us: sleep, and be
 * woken at its end. The reader's last look at `waited_for` may come too early for what we write here, and
 * another fence for everyone would cost more than it saves: hence the second look after a pause, and the time limit. Drops
 * the registry lock meanwhile: threads may come and go.
 */
static void sleep_locked(struct nb_rcu_reader *r)
{
	static const struct timespec limit = {.tv_nsec = 1000000};
	unsigned int i;

	atomic_store(&asleep, 1);
	atomic_store(&r->waited_for, 1);
	for (i = 0; i < 8; i++)
		nb_cpu_relax();
	if (in_the_way(r)) {
		pthread_mutex_unlock(&registry_lock);
		syscall(SYS_futex, &asleep, FUTEX_WAIT_PRIVATE, 1, &limit, NULL, 0);
		pthread_mutex_lock(&registry_lock);
	}
	atomic_store(&asleep, 0);
}

void nb_rcu_synchronize(void)
{
	struct nb_rcu_reader *r;
	unsigned int spins = 0;

	assert(!nb_rcu_in_section());
	pthread_once(&once, rcu_init);
	pthread_mutex_lock(&gp_lock);
	pthread_mutex_lock(&registry_lock);
	/* No other reader in the process: nobody to wait for. */
	if (!readers || (readers == &nb_rcu_self && !readers->next))
		goto out_unlock;
	fence_all_locked();
	for (r = readers; r; r = r->next)
		atomic_store_explicit(&r->seen, atomic_load_explicit(&r->ctr, memory_order_acquire), memory_order_relaxed);
	while ((r = first_in_the_way_locked()) != NULL) {
		if (++spins < 32)
			nb_cpu_relax();
		else
			sleep_locked(r);
	}
	/* Their last accesses came before their counters changed (release, acquire). */
out_unlock:
	pthread_mutex_unlock(&registry_lock);
	pthread_mutex_unlock(&gp_lock);
}
