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

/* One per thread. `ctr` is 0 outside read sections; inside, it holds the grace-period
 * phase (bit 32) that was current at entry and the nesting depth in the low half. */
struct nb_rcu_reader {
	_Atomic uint64_t ctr;
	struct nb_rcu_reader *next; /* registry, under its mutex */
	bool registered;
} __attribute__((aligned(64)));

extern __thread struct nb_rcu_reader nb_rcu_self __attribute__((tls_model("initial-exec")));
extern _Atomic uint64_t nb_rcu_gp;  /* phase | 1: what an outermost reader stores */
extern _Atomic bool nb_rcu_fenced; /* true: no membarrier(2), readers fence for themselves */

void nb_rcu_register(void); /* cold half of the first nb_rcu_read_lock() of a thread */

static inline void nb_rcu_read_lock(void)
{
	struct nb_rcu_reader *r = &nb_rcu_self;
	uint64_t ctr;

	if (__builtin_expect(!r->registered, 0))
		nb_rcu_register();
	ctr = atomic_load_explicit(&r->ctr, memory_order_relaxed);
	if (__builtin_expect((uint32_t)ctr == 0, 1)) {
		atomic_store_explicit(&r->ctr, atomic_load_explicit(&nb_rcu_gp, memory_order_acquire),
				      memory_order_relaxed);
		/* Pairs with the membarrier (or fence) in nb_rcu_synchronize(). */
		if (__builtin_expect(atomic_load_explicit(&nb_rcu_fenced, memory_order_relaxed), 0))
			atomic_thread_fence(memory_order_seq_cst);
		else
			atomic_signal_fence(memory_order_seq_cst);
	} else {
		atomic_store_explicit(&r->ctr, ctr + 1, memory_order_relaxed);
	}
}

static inline void nb_rcu_read_unlock(void)
{
	struct nb_rcu_reader *r = &nb_rcu_self;
	uint64_t ctr = atomic_load_explicit(&r->ctr, memory_order_relaxed);

	/* Release: what the section did is done before a waiter sees it closed. */
	atomic_store_explicit(&r->ctr, (uint32_t)ctr == 1 ? 0 : ctr - 1, memory_order_release);
}

static inline bool nb_rcu_in_section(void)
{
	return (uint32_t)atomic_load_explicit(&nb_rcu_self.ctr, memory_order_relaxed) != 0;
}

/* Wait until every read section that is open now has been left. May block. */
void nb_rcu_synchronize(void);

#define nb_rcu_dereference(p)	 atomic_load_explicit(&(p), memory_order_acquire)
#define nb_rcu_assign(p, v)	 atomic_store_explicit(&(p), (v), memory_order_release)

#endif
