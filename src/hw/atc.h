/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A function's device-TLB (PCI Express 5.0, chapter 10): asks the unit for translations, keeps them, and puts translated
 * requests on the port.
 *
 * One per function. What it holds goes only by hw_atc_invalidate(), hw_atc_forget() and room being needed; so a missing
 * invalidation is an access through the old translation, as on silicon.
 *
 * Threads: DMA from any number of threads at once, without a lock on a hit: lookup and access are one read section, the one that the unit's
 * wait for an invalidation waits for. A translation that arrives after an invalidation began serves its own
 * request, in the section in which it was asked for, and is not kept.
 */
#ifndef NB_HW_ATC_H
#define NB_HW_ATC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/hw.h"

struct hw_atc; /* opaque */

/* Off, and empty. entries: at most 65536, rounded up to a power of two. Null: out of memory. */
struct hw_atc *hw_atc_new(struct hw_iommu *hw, uint16_t rid, unsigned int entries);
void hw_atc_free(struct hw_atc *atc); /* nobody uses it any more; null is fine */

/*
 * ATS on or off, as in the function's capability. Off: DMA goes untranslated, and when this returns, no translated request is under
 * way and nothing is kept. Not inside a read section.
 */
void hw_atc_enable(struct hw_atc *atc, bool on);
bool hw_atc_enabled(const struct hw_atc *atc);

/*
 * DMA of [addr, addr + len), translated page by page. flags: HW_PRIV. *done: bytes that moved. 0; -EFAULT: aborted (by the unit, or
 * there is no memory); -ENOENT: no such access at addr + *done, and a page request may help. A unit without ATS aborts all.
 * Reads ask with the No Write flag. Outside read sections: faults are logged in here.
 */
int hw_atc_dma(struct hw_atc *atc, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, unsigned int flags,
	       size_t *done);

/* One translation request past the cache; its fault, if any, is logged. */
void hw_atc_ask(struct hw_atc *atc, uint32_t pasid, uint64_t addr, unsigned int access, unsigned int flags,
		struct hw_ats_completion *c);
/* A translated request with whatever address the function likes. 0 or -EFAULT. */
int hw_atc_dma_translated(struct hw_atc *atc, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write);

/* As hw_client.ats_invalidate, which it is for. `atc` is a struct hw_atc. Always true. */
bool hw_atc_invalidate(void *atc, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2);
/* Forget all, as a function may at any time. */
void hw_atc_forget(struct hw_atc *atc);

#endif
