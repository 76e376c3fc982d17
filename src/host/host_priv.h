/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual machine room itself, as this room's files see it. docs/locking.md has the order of all locks.
 */
#ifndef NB_HOST_HOST_PRIV_H
#define NB_HOST_HOST_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "host/host.h"
#include "host/irq_vector.h"

struct ioas;

struct host {
	struct host_cfg cfg;
	/* Outermost lock of revocations: keeps address spaces from being freed and copies from being under way. */
	pthread_mutex_t revoke_lock;
	struct nb_list ioas_list; /* struct ioas.host_link, under revoke_lock */
	struct nb_list mappings;  /* struct iommufd_mapping.link, under revoke_lock: mmap.c */
	/* All process memory that was ever mapped lies in [va_lo, va_hi]: the cheap no of host_revoke(). */
	_Atomic uint64_t va_lo, va_hi;
	/* Page requests: fault.h says what. A leaf that reports take, on any thread and with the driver's locks held. */
	pthread_mutex_t fault_lock;
	struct irq_vectors irqs;
	_Atomic bool told_unsafe_msi; /* once is enough */
	/* Set up before the first file is opened, then constant. */
	struct nb_list groups;	  /* struct host_group.link */
	struct host_function **fn; /* by number */
	unsigned int nfn;
	bool guest_msi; /* of some function: uapi/nestbox.h is offered */
};

void host_add_ioas(struct host *h, struct ioas *s);
void host_remove_ioas(struct host *h, struct ioas *s);
void host_revoke_lock(struct host *h);
void host_revoke_unlock(struct host *h);

static inline void host_widen_va(struct host *h, uint64_t first, uint64_t last)
{
	uint64_t lo = atomic_load_explicit(&h->va_lo, memory_order_relaxed);
	uint64_t hi = atomic_load_explicit(&h->va_hi, memory_order_relaxed);

	/* Release on success: pairs with the acquire in host_revoke(). */
	while (first < lo &&
	       !atomic_compare_exchange_weak_explicit(&h->va_lo, &lo, first, memory_order_release, memory_order_relaxed))
		;
	while (last > hi &&
	       !atomic_compare_exchange_weak_explicit(&h->va_hi, &hi, last, memory_order_release, memory_order_relaxed))
		;
}

/* At the end of a call that may have answered page requests, without any lock. */
static inline void host_settle(const struct host *h)
{
	if (h->cfg.settle)
		h->cfg.settle(h->cfg.opaque);
}

/* One line for the person who reads the log: a call was refused, and why. diag->msg empty: nothing to say. */
void host_log_refusal(struct host *h, const char *call, int err, const struct nb_diag *diag);
/* A call was not refused, and there is something to say. */
void host_log_note(struct host *h, const char *call, const struct nb_diag *diag);

#endif
