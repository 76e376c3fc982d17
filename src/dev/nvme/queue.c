/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Submission and completion queues (NVMe 1.4, 4.1, 4.6, 7.2).
 *
 * A doorbell of a submission queue runs everything up to the tail it gave: entries are fetched several at
 * a time, as many as are contiguous, fit the batch and have room in the completion queue; their completions are
 * posted together and the queue interrupts once. When the completion queue is full the rest waits, and the
 * doorbell that makes room goes on with it.
 *
 * A queue that cannot be read or written is a fatal error: CSTS.CFS, and nothing runs until the host resets.
 */
#include "dev/nvme/nvme.h"

#include <assert.h>

#define BATCH 16

static uint32_t ring_used(uint32_t head, uint32_t tail, uint32_t size)
{
	return tail >= head ? tail - head : tail + size - head;
}

static uint32_t cq_room(const struct nvme_cq *cq)
{
	return cq->size - 1 - ring_used(cq->head, cq->tail, cq->size);
}

static struct nvme_cmd decode(const struct nvme_sqe *e, uint16_t sqid)
{
	uint64_t dw0 = cpu32(e->dw[0]);

	return (struct nvme_cmd){
		.sqid = sqid,
		.cid = (uint16_t)FIELD_GET(NVME_DW0_CID, dw0),
		.opcode = (uint8_t)FIELD_GET(NVME_DW0_OPCODE, dw0),
		.odd = (dw0 & (NVME_DW0_FUSE | NVME_DW0_PSDT)) != 0,
		.nsid = cpu32(e->dw[1]),
		.prp1 = cpu32(e->dw[6]) | (uint64_t)cpu32(e->dw[7]) << 32,
		.prp2 = cpu32(e->dw[8]) | (uint64_t)cpu32(e->dw[9]) << 32,
		.cdw10 = cpu32(e->dw[10]),
		.cdw11 = cpu32(e->dw[11]),
		.cdw12 = cpu32(e->dw[12]),
		.cdw13 = cpu32(e->dw[13]),
		.cdw14 = cpu32(e->dw[14]),
		.cdw15 = cpu32(e->dw[15]),
	};
}

/* The phase tag is set when the completion is posted; until then its place is not known. */
static struct nvme_cqe complete(const struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result)
{
	return (struct nvme_cqe){{
		le64(FIELD(NVME_CQE_0_RESULT, result)),
		le64(FIELD(NVME_CQE_1_SQHD, sq->head) | FIELD(NVME_CQE_1_SQID, sq->id) |
		     FIELD(NVME_CQE_1_CID, cid) | FIELD(NVME_CQE_1_STATUS, status)),
	}};
}

static void note_irq(struct nvme *n, struct nvme_cq *cq, bool posted, struct nvme_work *w)
{
	if (!cq->ien)
		return;
	if (cq->head == cq->tail) {
		atomic_fetch_and_explicit(&n->irq_cqs, ~BIT(cq->id), memory_order_release);
	} else if (posted) {
		atomic_fetch_or_explicit(&n->irq_cqs, BIT(cq->id), memory_order_release);
		w->vectors |= BIT(cq->vector);
	}
}

/* Post count completions, for which there is room. The lap ends at the ring's end: at most two writes. */
static void post(struct nvme *n, struct nvme_cq *cq, struct nvme_cqe *e, uint32_t count, struct nvme_work *w)
{
	while (count) {
		uint32_t run = cq->size - cq->tail < count ? cq->size - cq->tail : count;

		for (uint32_t i = 0; i < run; i++)
			e[i].q[1] = le64(cpu64(e[i].q[1]) | (cq->phase ? NVME_CQE_1_PHASE : 0));
		if (pci_dma_write(&n->fn, NB_NO_PASID, cq->base + ((uint64_t)cq->tail << NVME_CQE_LG2), e,
				  run * sizeof(*e))) {
			NB_TRACE(n->fn.tr, nvme_dma_error, cq->id, 0, cq->base);
			nvme_fatal(n);
			return;
		}
		cq->tail += run;
		if (cq->tail == cq->size) {
			cq->tail = 0;
			cq->phase = !cq->phase;
		}
		e += run;
		count -= run;
		note_irq(n, cq, true, w);
	}
}

/* Run what lies between head and tail. cq->lock held. */
static void sq_run(struct nvme *n, struct nvme_sq *sq, struct nvme_work *w)
{
	struct nvme_cq *cq = sq->cq;
	struct nvme_sqe entry[BATCH];
	struct nvme_cqe done[BATCH];

	while (sq->head != sq->tail && nvme_running(n)) {
		uint32_t count = sq->tail > sq->head ? sq->tail - sq->head : sq->size - sq->head;
		uint32_t ndone = 0;

		if (count > BATCH)
			count = BATCH;
		if (count > cq_room(cq))
			count = cq_room(cq);
		if (count == 0) {
			cq->stalled = true;
			return;
		}
		if (pci_dma_read(&n->fn, NB_NO_PASID, sq->base + ((uint64_t)sq->head << NVME_SQE_LG2), entry,
				 count * sizeof(entry[0]))) {
			NB_TRACE(n->fn.tr, nvme_dma_error, sq->id, 0, sq->base);
			nvme_fatal(n);
			return;
		}
		for (uint32_t i = 0; i < count; i++) {
			struct nvme_cmd cmd = decode(&entry[i], sq->id);
			uint32_t result = 0;
			uint16_t status;

			sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
			NB_TRACE(n->fn.tr, nvme_cmd, cmd.sqid, cmd.opcode, cmd.cid, cmd.nsid);
			status = sq->id ? nvme_io(n, &cmd, &cq->stats) : nvme_admin(n, &cmd, &result);
			if (status == NVME_NO_COMPLETION)
				continue;
			if (unlikely(status))
				nvme_log_error(n, &cmd, status);
			NB_TRACE(n->fn.tr, nvme_done, cmd.sqid, cmd.cid, status);
			done[ndone++] = complete(sq, cmd.cid, status, result);
		}
		post(n, cq, done, ndone, w);
	}
}

void nvme_sq_doorbell(struct nvme *n, unsigned int qid, uint32_t tail, struct nvme_work *w)
{
	struct nvme_sq *sq;

	if (qid > n->nqueues || !n->sq[qid].live) {
		nvme_event(n, NVME_EVENT_BAD_DOORBELL);
		return;
	}
	sq = &n->sq[qid];
	if (tail >= sq->size) {
		nvme_event(n, NVME_EVENT_BAD_DOORBELL_VALUE);
		return;
	}
	pthread_mutex_lock(&sq->cq->lock);
	sq->tail = tail;
	sq_run(n, sq, w);
	pthread_mutex_unlock(&sq->cq->lock);
}

void nvme_cq_doorbell(struct nvme *n, unsigned int qid, uint32_t head, struct nvme_work *w)
{
	struct nvme_cq *cq;

	if (qid > n->nqueues || !n->cq[qid].live) {
		nvme_event(n, NVME_EVENT_BAD_DOORBELL);
		return;
	}
	cq = &n->cq[qid];
	pthread_mutex_lock(&cq->lock);
	/* The host cannot have consumed what has not been posted. */
	if (head >= cq->size || ring_used(cq->head, head, cq->size) > ring_used(cq->head, cq->tail, cq->size)) {
		pthread_mutex_unlock(&cq->lock);
		nvme_event(n, NVME_EVENT_BAD_DOORBELL_VALUE);
		return;
	}
	cq->head = head;
	note_irq(n, cq, false, w);
	if (cq->stalled && cq_room(cq)) {
		cq->stalled = false; /* each queue that still finds no room sets it again */
		for (unsigned int i = 0; i <= n->nqueues; i++) {
			if (n->sq[i].live && n->sq[i].cq == cq)
				sq_run(n, &n->sq[i], w);
		}
	}
	pthread_mutex_unlock(&cq->lock);
}

bool nvme_post_event(struct nvme *n, uint16_t cid, uint16_t status, uint32_t result, struct nvme_work *w)
{
	struct nvme_cqe e = complete(&n->sq[0], cid, status, result);
	bool ok;

	pthread_mutex_lock(&n->cq[0].lock);
	ok = cq_room(&n->cq[0]) > 0;
	if (ok)
		post(n, &n->cq[0], &e, 1, w);
	pthread_mutex_unlock(&n->cq[0].lock);
	return ok;
}

void nvme_sq_init(struct nvme_sq *sq, uint16_t id, uint64_t base, uint32_t size, struct nvme_cq *cq)
{
	assert(!sq->live && cq->live);
	*sq = (struct nvme_sq){.live = true, .id = id, .size = size, .base = base, .cq = cq};
	cq->nsqs++;
}

void nvme_cq_init(struct nvme_cq *cq, uint16_t id, uint64_t base, uint32_t size, bool ien, uint16_t vector)
{
	assert(!cq->live);
	cq->id = id;
	cq->base = base;
	cq->size = size;
	cq->ien = ien;
	cq->vector = vector;
	cq->head = cq->tail = 0;
	cq->phase = true; /* the first lap writes 1 over memory that the host zeroed */
	cq->stalled = false;
	cq->nsqs = 0;
	cq->live = true;
}

void nvme_sq_drop(struct nvme_sq *sq)
{
	sq->live = false;
	sq->cq->nsqs--;
}

void nvme_cq_drop(struct nvme *n, struct nvme_cq *cq)
{
	assert(cq->nsqs == 0);
	cq->live = false;
	atomic_fetch_and_explicit(&n->irq_cqs, ~BIT(cq->id), memory_order_release);
}
