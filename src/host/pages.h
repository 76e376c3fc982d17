/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an area maps: memory of this process, or of a file that we map into it. Shared by an area and its copies.
 *
 * A real kernel pins the pages here. We cannot, so "pinning" is a check that the memory is there with the
 * permission that was asked, and a revocation (host_revoke) when it goes away.
 *
 * Locking: refs is atomic; a file's mapping is made once, under its own lock; all else is set before the pages are shared.
 */
#ifndef NB_HOST_PAGES_H
#define NB_HOST_PAGES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct pages_file {
	pthread_mutex_t lock;
	int fd;			    /* ours; -1 once mapped */
	bool node;		    /* it stands for a device node: no memory, whatever it is made of; set before the pages are shared */
	uint64_t map_va, map_len;   /* our mapping of the file; 0, 0 before the first pin */
	uint64_t lead;		    /* from map_va to the byte `start` */
};

struct pages {
	_Atomic uint32_t refs;
	bool writable;		/* the first mapping was writable: copies may be too */
	uint64_t start;		/* user VA or file offset of the first byte: decides alignment */
	uint64_t len;
	struct pages_file *file; /* null: user memory */
	void *home;		/* allocation that this struct is part of */
};

/* Prepare p, part of the allocation `home`, for memory of this process. One reference. */
void pages_init_user(struct pages *p, void *home, uint64_t va, uint64_t len, bool writable);
/* The same for a file; dups fd. -EBADF, -EMFILE, -ENOMEM, -EOPNOTSUPP (a buffer of a kind that we have not). */
int pages_init_file(struct pages *p, void *home, int fd, uint64_t start, uint64_t len, bool writable,
		    struct nb_diag *diag);
static inline void pages_ref(struct pages *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}
void pages_put(struct pages *p);

/* Process address of the byte `off`; maps the file when that was not done. 0, or the error of the first pin. */
int pages_va(struct pages *p, uint64_t off, uint64_t *va, struct nb_diag *diag);

/*
 * Is [va, va + len) there with the permission that pinning would want? 0 or -EFAULT. Every page is touched when they
 * are few; of many, all mappings are checked but only samples are touched, so that no memory is filled in for nothing.
 */
int pages_check(const struct pages *p, uint64_t va, uint64_t len, struct nb_diag *diag);

#endif
