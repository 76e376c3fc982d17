/* SPDX-License-Identifier: BSD-3-Clause */
/* The requester's side of a unit, whatever its vendor: takes everything and looks at what it is told. opaque: how often it was. */
#ifndef NB_FUZZ_CLIENT_H
#define NB_FUZZ_CLIENT_H

#include "hw/hw.h"
#include "input.h"

static inline void fz_msi(void *opaque, uint64_t addr, uint32_t data)
{
	(void)opaque;
	(void)addr;
	(void)data;
}

static inline bool fz_ats_invalidate(void *opaque, uint32_t pasid, bool all, uint64_t addr, unsigned int lg2)
{
	(void)opaque;
	(void)all;
	check(pasid == NB_NO_PASID || pasid <= NB_PASID_MAX);
	check(lg2 >= 12 && lg2 <= 64);
	check(lg2 == 64 || (addr & ((UINT64_C(1) << lg2) - 1)) == 0);
	return true;
}

static inline void fz_page_response(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	unsigned int *told = opaque;

	check(pasid == NB_NO_PASID || pasid <= NB_PASID_MAX);
	check(prgi < 512 && code < 16);
	++*told;
}

#endif
