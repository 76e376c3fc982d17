/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read-copy-update for threads that we do not create.
 *
 * Same contract as liburcu's "bulletproof" flavour: a thread registers itself at
 * its first read section and leaves when it exits, read sections nest and cost
 * one thread-local store, and nb_rcu_synchronize() waits for every read section
 * that was open when it began. docs/dependencies.md says why liburcu itself
 * cannot be used inside a preloaded library.
 *
 * Rules: no nb_rcu_synchronize() inside a read section, no call out of the
 * library inside one.
 */
#ifndef NB_BASE_RCU_H
#define NB_BASE_RCU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Somebody has to fence. Fencing at each section costs a busy reader; membarrier(2) costs a writer, as much as thousands of such
 * fences where interrupts between processors are slow. Each reader is in the state that has been the cheaper one: a writer that finds few
 * sections since the last grace period puts it into FENCED, and itself it goes back to LIGHT when it has paid a membarrier's worth.
 */
enum nb_rcu_state {
	NB_RCU_NEW,	/* not registered */
	NB_RCU_LIGHT,	/* registered; writers fence for it with membarrier(2) */
	NB_RCU_FENCED,	/* registered; fences for itself */
};

/* One per thread. */
struct nb_rcu_reader {
	/* Odd inside a read section, one more at each end of one: a writer that saw it odd waits for any other value. */
	_Atomic uint64_t ctr;
	_Atomic uint32_t waited_for; /* a writer sleeps until this section ends */
	uint32_t depth;	       /* sections beyond the outermost; the thread's own */
	_Atomic uint32_t state; /* enum nb_rcu_state; to LIGHT by the thread itself, else under the registry lock */
	_Atomic uint64_t seen; /* ctr as the writer of the latest grace period saw it; written under the registry lock */
	struct nb_rcu_reader *next; /* under the registry lock */
} __attribute__((aligned(64)));

extern __thread struct nb_rcu_reader nb_rcu_self __attribute__((tls_model("initial-exec")));

void nb_rcu_read_lock_slow(void); /* the rest of it for a thread that fences, or is new */
void nb_rcu_wake(struct nb_rcu_reader *self);

static inline void nb_rcu_read_lock(void)
{
	struct nb_rcu_reader *r = &nb_rcu_self;
	uint64_t ctr = atomic_load_explicit(&r->ctr, memory_order_relaxed);

	if (__builtin_expect(ctr & 1, 0)) {
		r->depth++;
		return;
	}
	atomic_store_explicit(&r->ctr, ctr + 1, memory_order_relaxed);
	/*
	 * Pairs with the membarrier in fence_all_locked(): who reads LIGHT before it has its counter seen, who reads the state after it
	 * reads what the writer made of it. So the counter comes first.
	 */
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(atomic_load_explicit(&r->state, memory_order_relaxed) != NB_RCU_LIGHT, 0))
		nb_rcu_read_lock_slow();
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void nb_rcu_read_unlock(void)
{
	struct nb_rcu_reader *r = &nb_rcu_self;

	if (__builtin_expect(r->depth != 0, 0)) {
		r->depth--;
		return;
	}
	/* Release: what the section did is done before a waiter sees it closed. */
	atomic_store_explicit(&r->ctr, atomic_load_explicit(&r->ctr, memory_order_relaxed) + 1, memory_order_release);
	if (__builtin_expect(atomic_load_explicit(&r->waited_for, memory_order_relaxed), 0))
		nb_rcu_wake(r);
}

static inline bool nb_rcu_in_section(void)
{
	return atomic_load_explicit(&nb_rcu_self.ctr, memory_order_relaxed) & 1;
}

/* Wait until every read section that is open now has been left. May block. */
void nb_rcu_synchronize(void);

#define nb_rcu_dereference(p)	 atomic_load_explicit(&(p), memory_order_acquire)
#define nb_rcu_assign(p, v)	 atomic_store_explicit(&(p), (v), memory_order_release)

#endif
