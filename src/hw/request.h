/* SPDX-License-Identifier: BSD-3-Clause */
/* What the models' common case, a hit decided without a call, is made of. */
#ifndef NB_HW_REQUEST_H
#define NB_HW_REQUEST_H

#include <string.h>

#include "base/bits.h"
#include "base/trace.h"
#include "hw/hw.h"

/* Count an event that nobody logs, in a thread that has its slot: no call, so the caller needs no stack. */
static inline bool hw_counted(struct nb_trace *tr, enum nb_event ev)
{
	if (!tr)
		return true;
	if (unlikely(nb_trace_slot_plus1 - 1 >= NB_TRACE_SLOTS - 1 || nb_trace_logged(tr, ev)))
		return false;
	nb_trace_add(tr, ev, 1);
	return true;
}

/* PASID, source-id, access and flags as one word: what is common is one comparison. */
static inline uint64_t hw_request_word(const struct hw_request *req)
{
	uint64_t w;

	_Static_assert(offsetof(struct hw_request, rid) == offsetof(struct hw_request, pasid) + 4 &&
		       offsetof(struct hw_request, access) == offsetof(struct hw_request, pasid) + 6 &&
		       offsetof(struct hw_request, flags) == offsetof(struct hw_request, pasid) + 7, "");
	memcpy(&w, &req->pasid, sizeof(w));
	return cpu64((le64_t){w});
}

/*
 * A read or write within a page met no memory. Called inside its read section, which ends in here. 0: it was a write to the doorbell.
 * -EFAULT: nothing is there.
 */
int hw_no_memory(struct hw_iommu *hw, uint16_t rid, uint64_t addr, hpa_t pa, const void *buf, size_t n, bool write);

#endif
