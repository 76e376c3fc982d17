/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers of all vendors do alike. Locks are the caller's, but that of struct drv_ids. */
#ifndef NB_DRV_COMMON_H
#define NB_DRV_COMMON_H

#include <pthread.h>

#include "base/list.h"
#include "drv/drv.h"

/* Milliseconds of a clock that only goes forward. */
uint64_t drv_now_ms(void);

/* The numbers below n, at most 65536, by which a unit's caches tell domains apart. */
struct drv_ids {
	pthread_mutex_t *lock; /* of the unit; taken here */
	uint64_t *taken;       /* a bit each */
	uint32_t n;
};
/* None is taken but `reserved`, bits of the first 64. 0 or -ENOMEM. */
int drv_ids_init(struct drv_ids *ids, pthread_mutex_t *lock, uint32_t n, uint64_t reserved);
void drv_ids_fini(struct drv_ids *ids);

/* A domain's number on one unit. */
struct drv_domain_id {
	struct nb_list link;
	const struct drv_iommu *unit;
	uint32_t users;
	uint16_t id;
};
/*
 * The number on `unit` of the domain that has this list of them, made at the first use; and the end of a use. The domain's lock is
 * held. 0, -ENOMEM, -ENOSPC.
 */
int drv_domain_id_get(struct nb_list *list, const struct drv_iommu *unit, struct drv_ids *ids, uint16_t *id);
void drv_domain_id_put(struct nb_list *list, const struct drv_iommu *unit, struct drv_ids *ids);

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
