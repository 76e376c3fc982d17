/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short passages that somebody waits for: who goes through counts itself, who has changed what they look at waits until all that began
 * before are out. For passages that call out or take locks, which a read section (base/rcu.h) may not.
 *
 * New passages count elsewhere while one waits, so it is not kept by them.
 */
#ifndef NB_BASE_DRAIN_H
#define NB_BASE_DRAIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

struct nb_drain { /* all zero at first */
	_Atomic uint32_t phase, busy[2];
};

/* What to give to nb_drain_leave(). Look at what may change only after this. */
static inline unsigned int nb_drain_enter(struct nb_drain *d)
{
	/* Sequential consistency: whoever waits and does not see us here, we see what it changed before. */
	unsigned int i = atomic_load(&d->phase) & 1;

	atomic_fetch_add(&d->busy[i], 1);
	return i;
}

static inline void nb_drain_leave(struct nb_drain *d, unsigned int i)
{
	atomic_fetch_sub_explicit(&d->busy[i], 1, memory_order_release); /* pairs with the load in nb_drain_wait() */
}

/* One at a time. Twice, because a passage that read the phase long ago may count itself among those of either. */
static inline void nb_drain_wait(struct nb_drain *d)
{
	for (unsigned int i = 0; i < 2; i++) {
		_Atomic uint32_t *busy = &d->busy[atomic_fetch_xor(&d->phase, 1) & 1];

		while (atomic_load(busy))
			sched_yield();
	}
}

#endif
