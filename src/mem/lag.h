/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory as an agent sees it that does not snoop the processor's caches.
 *
 * Stores of the driver into pages of a mem_pool stay in its cache until it writes the line back; such an agent
 * reads what was written back last. A line that was never written back since its page was handed out reads as ones: what
 * lay there before is anybody's guess, and ones are an entry that no structure takes in silence. Lines are 64 bytes. Nothing is
 * ever written back by itself, as on a processor with an endless cache: the least that hardware promises, so that every missing
 * flush shows.
 *
 * Memory outside the pool (a guest's, a device's buffers) is read as it is: what we know of is the driver's own writing.
 * What the agent itself writes goes to memory and is seen by the processor, and not by this view of it.
 *
 * One lag belongs to one pool and is shared by all agents on it: a line that is written back is in memory for everyone.
 *
 * Threads: loads take no lock and may run beside everything. Loads of a line beside its write-back give, word by word, what was or
 * what will be there.
 */
#ifndef NB_MEM_LAG_H
#define NB_MEM_LAG_H

#include "mem/mem.h"

struct mem_lag;

#define MEM_LAG_POISON UINT64_MAX

/*
 * From now on every page that the pool hands out lags; pages handed out before do not. m is the space whose addresses the
 * pool gives. Null: out of memory. Freed before the pool, when no agent uses it and nothing is allocated from the pool any more
 * meanwhile.
 */
struct mem_lag *mem_lag_new(struct mem *m, struct mem_pool *pool);
void mem_lag_free(struct mem_lag *l);

/* As mem_load64(), seen by the agent. 0 or -EFAULT. */
int mem_lag_load64(const struct mem_lag *l, hpa_t pa, uint64_t *v);
/* The processor wrote back every line that has a byte of [pa, pa + len). Outside the pool: nothing happens. */
void mem_lag_written_back(struct mem_lag *l, hpa_t pa, size_t len);

/* For the pool: a page is handed out. False: out of memory. Under the pool's lock. */
bool mem_lag_page_given(struct mem_lag *l, hpa_t pa, unsigned int order);

#endif
