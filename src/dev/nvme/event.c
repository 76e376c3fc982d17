/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asynchronous events (NVMe 1.4, 5.2).
 *
 * The host leaves up to NVME_AERS requests with us; an event completes one. After an event its type is muted until the host
 * reads the log that belongs to it. Events that find no request, no room or a muted type stay in `events`, one bit a
 * kind, so a guest that causes a thousand leaves one.
 */
#include "dev/nvme/nvme.h"

static const struct {
	uint8_t type, info, log;
	uint32_t enable; /* bit of the Asynchronous Event Configuration feature; 0: always on */
} events[] = {
	[NVME_EVENT_BAD_DOORBELL] = {0, 0x00, NVME_LOG_ERROR, 0},
	[NVME_EVENT_BAD_DOORBELL_VALUE] = {0, 0x01, NVME_LOG_ERROR, 0},
	[NVME_EVENT_TEMPERATURE] = {1, 0x01, NVME_LOG_SMART, 1u << 1},
};

void nvme_event(struct nvme *n, enum nvme_event ev)
{
	atomic_fetch_or_explicit(&n->events, 1u << ev, memory_order_relaxed);
	atomic_store_explicit(&n->events_new, true, memory_order_relaxed); /* the state lock orders it for the reader */
}

uint16_t nvme_async_event_request(struct nvme *n, const struct nvme_cmd *cmd)
{
	if (n->naers == NVME_AERS)
		return NVME_AER_LIMIT | NVME_DNR;
	n->aer_cid[n->naers++] = cmd->cid;
	return NVME_NO_COMPLETION;
}

bool nvme_async_event_abort(struct nvme *n, uint16_t cid)
{
	for (unsigned int i = 0; i < n->naers && n->naborted < NVME_AERS; i++) {
		if (n->aer_cid[i] != cid)
			continue;
		n->aer_cid[i] = n->aer_cid[--n->naers];
		n->aborted_cid[n->naborted++] = cid;
		return true;
	}
	return false;
}

void nvme_event_log_read(struct nvme *n, uint8_t log)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i].log == log)
			n->aer_muted &= (uint8_t)~(1u << events[i].type);
	}
}

void nvme_events_deliver(struct nvme *n, struct nvme_work *w)
{
	atomic_store_explicit(&n->events_new, false, memory_order_relaxed);
	if (!nvme_running(n))
		return;
	for (; n->naborted; n->naborted--) {
		if (!nvme_post_event(n, n->aborted_cid[n->naborted - 1], NVME_ABORT_REQUESTED, 0, w))
			return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(events) && n->naers; i++) {
		uint32_t result = (uint32_t)(FIELD(NVME_AER_TYPE, events[i].type) | FIELD(NVME_AER_INFO, events[i].info) |
					     FIELD(NVME_AER_LOG, events[i].log));

		if (!(atomic_load_explicit(&n->events, memory_order_relaxed) & 1u << i) ||
		    (n->aer_muted & 1u << events[i].type) || (i == NVME_EVENT_TEMPERATURE && !nvme_too_warm(n)) ||
		    (events[i].enable && !(n->feat.async_event & events[i].enable)))
			continue;
		if (!nvme_post_event(n, n->aer_cid[0], NVME_SUCCESS, result, w))
			return;
		n->naers--;
		for (unsigned int j = 0; j < n->naers; j++)
			n->aer_cid[j] = n->aer_cid[j + 1];
		n->aer_muted |= (uint8_t)(1u << events[i].type);
		atomic_fetch_and_explicit(&n->events, ~(1u << i), memory_order_relaxed);
	}
}

void nvme_events_reset(struct nvme *n)
{
	n->naers = n->naborted = 0;
	n->aer_muted = 0;
	atomic_store_explicit(&n->events, 0, memory_order_relaxed);
}
