/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page group responses and ends of stalls on their way from a unit to a function.
 *
 * A unit answers with its own locks held and the function then wants to go on with its DMA: so an answer is put aside here
 * and handed over by a thread that holds no lock, namely the one that made a page request, after it, and every thread that
 * leaves the host (host_cfg.settle).
 *
 * As many answers as fit are those to everything that the host keeps of one function, and a function's own thread takes what
 * comes while it asks; one more is dropped and counted as a lost request.
 *
 * Lock: `lock` is a leaf below those of the units.
 */
#ifndef NB_MACHINE_INBOX_H
#define NB_MACHINE_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define INBOX_SIZE 8192u

struct inbox_item {
	uint64_t addr;	/* stalls */
	uint32_t pasid;
	uint16_t prgi;	/* responses */
	uint8_t code;	/* of the response, or enum dev_stall_end */
	bool stall, all;
};

struct inbox {
	pthread_mutex_t lock;
	struct inbox_item *item; /* INBOX_SIZE; null: a function that never waits */
	uint32_t first;		 /* under lock */
	_Atomic uint32_t n;	 /* written under lock; without it a hint */
};

/* 0 or -ENOMEM. A zeroed one may be given to inbox_fini(). */
int inbox_init(struct inbox *b);
void inbox_fini(struct inbox *b);
/* False: dropped. */
bool inbox_put(struct inbox *b, const struct inbox_item *it);
bool inbox_take(struct inbox *b, struct inbox_item *out);

static inline bool inbox_has(const struct inbox *b)
{
	return atomic_load_explicit(&b->n, memory_order_acquire) != 0;
}

#endif
