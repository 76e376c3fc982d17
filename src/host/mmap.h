/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What mmap(2) of an iommufd gives: pages of registers that an object offers, each set a region of the context with an offset of its own.
 * And mappings: regions that somebody has mapped. One holds its object and the context until the last of its pages is unmapped.
 */
#ifndef NB_HOST_MMAP_H
#define NB_HOST_MMAP_H

#include <stdint.h>

#include "base/list.h"
#include "host/object.h"

struct host;

struct mmap_region {
	struct nb_list link; /* ictx->regions, by offset, under ictx->lock */
	struct object *owner;
	uint64_t offset, len; /* whole pages */
	int fd;		      /* what to map, and from where; the host's as long as the unit lives */
	uint64_t fd_off;
};

/* Offer len bytes, whole pages, for the object: found by *offset as soon as it is published. -EINVAL, -ENOMEM, -ENOSPC. */
int mmap_region_add(struct object *owner, uint64_t len, int fd, uint64_t fd_off, uint64_t *offset);
void mmap_region_remove_all(const struct object *owner);

/* [va_first, va_last] of the process goes. Mappings that lost their last page are moved to `gone`; with host->revoke_lock. */
void mmap_revoke_locked(struct host *h, uint64_t va_first, uint64_t va_last, struct nb_list *gone);
/* What is in there lets go of its object and context, which may be the end of both; without locks. True: there was something. */
bool mmap_drop(struct nb_list *gone);

#endif
