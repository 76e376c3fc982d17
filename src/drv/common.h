/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers of all vendors do alike. Locks are the caller's. */
#ifndef NB_DRV_COMMON_H
#define NB_DRV_COMMON_H

#include "drv/drv.h"

/* Milliseconds of a clock that only goes forward. */
uint64_t drv_now_ms(void);

/* Numbers below n that are taken, 64 a word; bits at and above n read as free and are never given out. 0 or -ENOSPC. */
int drv_id_alloc(uint64_t *taken, uint32_t n, uint16_t *id);
void drv_id_free(uint64_t *taken, uint16_t id);

/* Table pages that dead hardware may still walk: taken from *g, which is empty then; all of one order when they are freed. */
void drv_pages_keep(struct pt_gather *kept, struct pt_gather *g);
void drv_pages_free(struct pt_gather *kept, struct mem_pool *pool, unsigned int order);

/*
 * pt_read_dirty(), with what was cleared gathered: caches that hold "dirty already" must forget it, or later writes are not seen.
 * 0 or -errno.
 */
int drv_read_dirty(struct pt *pt, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn, void *opaque,
		   struct drv_gather *g);
int drv_lookup(const struct pt *pt, uint64_t ia, hpa_t *pa); /* 0 or -ENOENT */

#endif
