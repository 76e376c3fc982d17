/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses: memory of an address space that is used by its physical address, past every table, and therefore must stay where it is. While one
 * lives, unmapping what it covers is -EBUSY.
 *
 * As in Linux an access is an object with an id of its own, which nobody can use for anything.
 */
#ifndef NB_HOST_ACCESS_H
#define NB_HOST_ACCESS_H

#include "base/bits.h"
#include "host/ioas.h"
#include "host/object.h"

struct ioas_access {
	struct object obj;  /* published; the maker has a reference */
	struct ioas *ioas;  /* a reference */
	uint64_t first, last; /* whole pages, locked in ioas */
};

static inline struct ioas_access *access_of(struct object *obj)
{
	return container_of(obj, struct ioas_access, obj);
}

/*
 * [iova, iova + len) of s, which has a domain, is about to be read by hardware. *pa is where it begins. -ERANGE it wraps when rounded to pages,
 * -ENOMEM also for what nobody has that much of, -EADDRINUSE areas of s are not aligned to pages, -ENOENT not all of it is mapped, -EPERM not for
 * reading, -EFAULT the memory is not in one piece, or is gone.
 */
int access_create(struct ictx *c, struct ioas *s, uint64_t iova, uint64_t len, hpa_t *pa, struct ioas_access **out,
		  struct nb_diag *diag);
void access_destroy(struct ioas_access *a);
void access_free(struct ioas_access *a); /* object.c's */

#endif
