/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which IOVAs of an address space may be used at all: reserved ranges, each with an owner, and the list of
 * allowed ranges that a caller may set for the automatic allocator.
 *
 * Two lists are derived and kept sorted and merged: `holes`, what is not reserved, and `usable`, holes within what is
 * allowed (holes themselves while no list is set). Taking a reservation back needs no memory.
 *
 * Locking: the owner's.
 */
#ifndef NB_HOST_IOVA_SPACE_H
#define NB_HOST_IOVA_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iova_win {
	uint64_t first, last;
};

struct iova_resv {
	struct iova_win w;
	const void *owner;
};

struct iova_space {
	struct iova_resv *resv; /* any order, may overlap */
	size_t nresv;
	struct iova_win *allowed; /* sorted, disjoint */
	size_t nallowed;
	struct iova_win *holes, *usable; /* room for nresv + 1, and that plus nallowed */
	size_t nholes, nusable;
};

int iova_space_init(struct iova_space *s); /* everything is free; -ENOMEM */
void iova_space_fini(struct iova_space *s);

/* -EADDRINUSE: hits an allowed range; -ENOMEM. What is mapped there is the caller's to check. */
int iova_space_reserve(struct iova_space *s, uint64_t first, uint64_t last, const void *owner);
void iova_space_unreserve(struct iova_space *s, const void *owner);
bool iova_space_is_reserved(const struct iova_space *s, uint64_t first, uint64_t last); /* any byte of it */

/*
 * Replace the allowed list by n ranges in any order; they are copied. -EINVAL: they overlap each other; -EADDRINUSE: one hits a
 * reserved range; -ENOMEM. On failure the old list stays.
 */
int iova_space_allow(struct iova_space *s, struct iova_win *ranges, size_t n);

#endif
