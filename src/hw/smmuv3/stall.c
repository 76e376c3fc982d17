/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stalled transactions (3.12.2, 4.7.1, 4.7.2).
 *
 * Nothing is buffered: a transaction that stalls goes back to its requester, who waits for stall_done() (hw.h). What stays is who it was,
 * under its STAG, until CMD_RESUME or CMD_STALL_TERM. Not more than IDR5.STALL_MAX at once. One that comes when all
 * places are taken, or when the event queue cannot be written, leaves no record and no place: its StreamID is noted, and
 * its requester issues it again as soon as a place is free and the queue writable (7.2.1).
 *
 * stall_done() is called with event_lock held or without, never with tlb.lock, and only takes note.
 */
#include "hw/smmuv3/model.h"

#define INDEX_BITS 6
_Static_assert(SMMU_STALLS == 1 << INDEX_BITS, "index of a STAG");

static const struct hw_client *client_of(struct smmu *v, uint16_t sid)
{
	const struct hw_client *c = v->hw.client ? v->hw.client(v->hw.client_opaque, sid) : NULL;

	return c && c->stall_done ? c : NULL;
}

bool smmu_can_stall(struct smmu *v, uint16_t rid)
{
	return client_of(v, rid);
}

static unsigned int places(const struct smmu *v)
{
	return v->caps.stall_max ? v->caps.stall_max : SMMU_STALLS;
}

static struct smmu_stall *free_place(struct smmu *v)
{
	unsigned int i;

	for (i = 0; i < places(v); i++)
		if (!v->stalls[i].busy)
			return &v->stalls[i];
	return NULL;
}

bool smmu_stall_locked(struct smmu *v, const struct hw_request *req, bool writable, uint16_t *stag, bool *no_record)
{
	struct smmu_stall *s = writable ? free_place(v) : NULL;

	*no_record = !s;
	/* Translation was switched off meanwhile: nothing can become stalled any more (6.3.9.6), and what was about to is aborted. */
	if (!(atomic_load_explicit(&v->mode, memory_order_acquire) & SMMU_MODE_EN))
		return false;
	if (!s) {
		v->waiting[req->rid / 64] |= BIT(req->rid % 64);
		v->any_waiting = true;
		return true;
	}
	s->busy = true;
	s->sid = req->rid;
	s->ssid = req->pasid;
	s->addr = req->addr;
	s->gen++;
	*stag = (uint16_t)((unsigned int)(s - v->stalls) | (unsigned int)s->gen << INDEX_BITS);
	return true;
}

static void end(struct smmu *v, uint16_t sid, uint32_t ssid, uint64_t addr, bool all, enum hw_stall_end how)
{
	const struct hw_client *c = client_of(v, sid);

	if (c)
		c->stall_done(c->opaque, ssid, addr, all, how);
}

static void wake(struct smmu *v, enum hw_stall_end how)
{
	unsigned int i;

	if (!v->any_waiting)
		return;
	v->any_waiting = false;
	for (i = 0; i < ARRAY_SIZE(v->waiting); i++) {
		while (v->waiting[i]) {
			unsigned int bit = (unsigned int)__builtin_ctzll(v->waiting[i]);

			v->waiting[i] &= v->waiting[i] - 1;
			end(v, (uint16_t)(i * 64 + bit), NB_NO_PASID, 0, true, how);
		}
	}
}

void smmu_stall_wake_locked(struct smmu *v)
{
	if (free_place(v))
		wake(v, HW_STALL_RETRY);
}

void smmu_stall_resume(struct smmu *v, uint16_t sid, uint16_t stag, enum hw_stall_end how)
{
	struct smmu_stall *s = &v->stalls[stag & (SMMU_STALLS - 1)];

	pthread_mutex_lock(&v->event_lock);
	/* A STAG that stands for nothing, or for another stream's transaction, does nothing. */
	if (s->busy && s->sid == sid && stag >> INDEX_BITS == (s->gen & nb_low_mask(16 - INDEX_BITS))) {
		s->busy = false;
		end(v, sid, s->ssid, s->addr, false, how);
		if (v->eventqen)
			smmu_stall_wake_locked(v);
	}
	pthread_mutex_unlock(&v->event_lock);
}

void smmu_stall_term(struct smmu *v, uint16_t sid, bool all)
{
	unsigned int i;

	pthread_mutex_lock(&v->event_lock);
	for (i = 0; i < SMMU_STALLS; i++) {
		struct smmu_stall *s = &v->stalls[i];

		if (s->busy && (all || s->sid == sid)) {
			s->busy = false;
			end(v, s->sid, s->ssid, s->addr, false, HW_STALL_ABORT);
		}
	}
	if (all) {
		wake(v, HW_STALL_ABORT);
	} else {
		if (v->waiting[sid / 64] & BIT(sid % 64)) {
			v->waiting[sid / 64] &= ~BIT(sid % 64);
			end(v, sid, NB_NO_PASID, 0, true, HW_STALL_ABORT);
		}
		if (v->eventqen)
			smmu_stall_wake_locked(v);
	}
	pthread_mutex_unlock(&v->event_lock);
}
