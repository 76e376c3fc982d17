/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grace periods by a two-phase flip.
 *
 * A reader publishes the phase it entered in. A writer flips the phase and waits
 * for the readers of the old one, twice: one flip alone misses a reader that
 * had loaded the old phase but not yet stored it. Readers use no fence; the writer
 * makes every thread of the process execute one with membarrier(2), before it
 * looks at the readers and after.
 */
#include "base/rcu.h"
#include "base/cpu.h"

#include <assert.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PHASE (UINT64_C(1) << 32)

__thread struct nb_rcu_reader nb_rcu_self;
_Atomic uint64_t nb_rcu_gp = 1;
_Atomic bool nb_rcu_fenced;

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
	self->registered = false;
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

/* Only the forking thread lives on in the child. */
static void fork_child(void)
{
	readers = nb_rcu_self.registered ? &nb_rcu_self : NULL;
	nb_rcu_self.next = NULL;
	if (!atomic_load(&nb_rcu_fenced) && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
		atomic_store(&nb_rcu_fenced, true);
	fork_parent();
}

static void rcu_init(void)
{
	/* A sandbox may refuse the call later, so it is tried now as well as registered. */
#if defined(__SANITIZE_THREAD__)
	atomic_store(&nb_rcu_fenced, true);
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	atomic_store(&nb_rcu_fenced, true);
#endif
#endif
	if (!atomic_load(&nb_rcu_fenced) &&
	    (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)))
		atomic_store(&nb_rcu_fenced, true);
	pthread_key_create(&exit_key, reader_exit);
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void nb_rcu_register(void)
{
	struct nb_rcu_reader *self = &nb_rcu_self;

	pthread_once(&once, rcu_init);
	pthread_mutex_lock(&registry_lock);
	self->next = readers;
	readers = self;
	self->registered = true;
	pthread_mutex_unlock(&registry_lock);
	pthread_setspecific(exit_key, self);
}

/* Everyone executes a full fence, or has executed one at each read_lock. */
static void fence_all(void)
{
	if (atomic_load_explicit(&nb_rcu_fenced, memory_order_relaxed)) {
		atomic_thread_fence(memory_order_seq_cst);
		return;
	}
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		/*
		 * A sandbox closed the call after we registered. Readers fence for
		 * themselves from now on; those already inside are waited for
		 * long enough that their stores have reached everyone.
		 */
		atomic_store(&nb_rcu_fenced, true);
		usleep(10000);
		atomic_thread_fence(memory_order_seq_cst);
	}
}

/* Called with both locks; drops the registry lock while it waits, so threads may come and go. */
static void wait_for_phase(uint64_t old)
{
	unsigned int spins = 0;

	for (;;) {
		struct nb_rcu_reader *r;

		for (r = readers; r; r = r->next) {
			uint64_t ctr = atomic_load_explicit(&r->ctr, memory_order_acquire);

			if ((uint32_t)ctr != 0 && (ctr & PHASE) == old)
				break;
		}
		if (!r)
			return;
		pthread_mutex_unlock(&registry_lock);
		if (++spins < 64)
			nb_cpu_relax();
		else
			sched_yield();
		pthread_mutex_lock(&registry_lock);
	}
}

void nb_rcu_synchronize(void)
{
	unsigned int pass;

	assert(!nb_rcu_in_section());
	pthread_once(&once, rcu_init);
	pthread_mutex_lock(&gp_lock);
	pthread_mutex_lock(&registry_lock);
	/* Alone in the process of readers: nobody to wait for. */
	if (readers && (readers != &nb_rcu_self || readers->next)) {
		fence_all();
		for (pass = 0; pass < 2; pass++) {
			uint64_t old = atomic_load_explicit(&nb_rcu_gp, memory_order_relaxed) & PHASE;

			atomic_store_explicit(&nb_rcu_gp, (old ^ PHASE) | 1, memory_order_release);
			wait_for_phase(old);
		}
		fence_all();
	}
	pthread_mutex_unlock(&registry_lock);
	pthread_mutex_unlock(&gp_lock);
}
