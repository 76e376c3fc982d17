/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The invalidation queue (VT-d 6.5.2): descriptors, submissions, errors.
 *
 * A submission is a run of descriptors and one wait descriptor that writes a
 * status word. The queue's lock is held from the first descriptor to the
 * completion, so at any time the ring holds one submission at most, and its slots
 * are ours until it completes: a submission that the unit dropped can be sent again from them.
 *
 * Descriptors are written straight into the ring; the tail register is written once a submission.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/cpu.h"

#define STATUS_PENDING 1
#define STATUS_DONE    2
#define MAX_RESENDS    3 /* submissions that the unit dropped because a device did not answer */

int dvtd_queue_init(struct vtd_unit *u, struct nb_diag *diag)
{
	struct vtd_queue *q = &u->queue;
	unsigned int order = u->scalable ? 1 : 0;
	uint64_t iqa, until;
	hpa_t pa;

	_Static_assert(VTD_QUEUE_SLOTS * 32 == 2 * 4096, "256 wide descriptors are two pages");
	pthread_mutex_init(&q->lock, NULL);
	q->slot_words = u->scalable ? 4 : 2;
	q->full = VTD_QUEUE_BATCH;
	q->status = mem_page_alloc(u->base.cfg.pool, 0, &q->status_pa);
	q->ring = mem_page_alloc(u->base.cfg.pool, order, &pa);
	if (!q->ring || !q->status)
		return nb_fail(diag, -ENOMEM, "no memory for the invalidation queue");
	dvtd_flush(u, q->ring, (size_t)VTD_QUEUE_SLOTS * q->slot_words * 8);
	iqa = pa.v | (u->scalable ? VTD_IQA_DW : 0) | FIELD(VTD_IQA_QS, order);
	dvtd_write64(u, VTD_REG_IQT, 0);
	dvtd_write64(u, VTD_REG_IQA, iqa);
	u->gcmd |= VTD_GCMD_QIE;
	dvtd_write32(u, VTD_REG_GCMD, u->gcmd);
	for (until = dvtd_now_ms() + VTD_TIMEOUT_MS; !(dvtd_read32(u, VTD_REG_GSTS) & VTD_GSTS_QIES);) {
		if (dvtd_now_ms() > until)
			return nb_fail(diag, -EIO, "the unit does not enable its invalidation queue");
		nb_cpu_relax();
	}
	return 0;
}

void dvtd_queue_fini(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;

	if (q->slot_words == 0)
		return; /* never initialised */
	mem_page_free(u->base.cfg.pool, q->ring, u->scalable ? 1 : 0);
	mem_page_free(u->base.cfg.pool, q->status, 0);
	pthread_mutex_destroy(&q->lock);
}

static struct vtd_desc desc_wait(const struct vtd_queue *q)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_WAIT) | VTD_INV_WAIT_0_SW |
		      FIELD_C(VTD_INV_WAIT_0_DATA, STATUS_DONE),
		.hi = q->status_pa.v,
	};
}

static uint32_t slots_from(uint32_t from, uint32_t to)
{
	return (to - from) & (VTD_QUEUE_SLOTS - 1);
}

/* 128-bit queues count tails in 16-byte units, 256-bit ones in 32-byte units; the register is a byte offset. */
static void ring_doorbell(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;

	__atomic_store_n(q->status, STATUS_PENDING, __ATOMIC_RELAXED);
	atomic_thread_fence(memory_order_release); /* the slots, before the hardware is told */
	dvtd_write64(u, VTD_REG_IQT, (uint64_t)q->tail * q->slot_words * 8);
}

/*
 * 7.3: a fault that is logged while an error is pending makes no interrupt. Whoever clears the error
 * looks for it.
 */
static void clear_error(struct vtd_unit *u, uint32_t bit)
{
	dvtd_write32(u, VTD_REG_FSTS, bit);
	atomic_store(&u->faults_left, true);
}

/* The unit refused the descriptor at its head. Put a wait in its place and let it go on. Queue lock. */
static int skip_bad_descriptor(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t head = (uint32_t)(dvtd_read64(u, VTD_REG_IQH) / (q->slot_words * 8u)) & (VTD_QUEUE_SLOTS - 1);

	NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_IQE, head);
	if (slots_from(q->start, head) >= slots_from(q->start, q->tail))
		return -EIO; /* not a descriptor of ours */
	dvtd_queue_put(u, head, desc_wait(q));
	clear_error(u, VTD_FSTS_IQE);
	return -EINVAL;
}

/*
 * Send the current submission once more, from its own slots. Each new slot lies less than a ring ahead
 * of the old one, so a slot that is overwritten was copied before. Queue lock.
 */
static void resend(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t n = slots_from(q->start, q->tail), from = q->start, i;

	q->start = q->tail;
	for (i = 0; i < n; i++) {
		const le64_t *s = &q->ring[(size_t)((from + i) & (VTD_QUEUE_SLOTS - 1)) * q->slot_words];

		dvtd_queue_put(u, q->tail, (struct vtd_desc){cpu64(s[0]), cpu64(s[1])});
		q->tail = (q->tail + 1) & (VTD_QUEUE_SLOTS - 1);
	}
	ring_doorbell(u);
}

/*
 * Wait for the status word. Bounded: by time, by the number of descriptors that can be refused, and
 * by the number of resends. Queue lock.
 */
static int wait_done(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t refusals = slots_from(q->start, q->tail), resends = 0, spins = 0;
	uint64_t until = 0;
	int err = 0;

	while (__atomic_load_n(q->status, __ATOMIC_ACQUIRE) != STATUS_DONE) {
		uint32_t fsts = dvtd_read32(u, VTD_REG_FSTS);

		if (fsts & VTD_FSTS_IQE) {
			err = skip_bad_descriptor(u);
			if (err == -EIO || refusals-- == 0)
				goto dead;
			continue;
		}
		if (fsts & VTD_FSTS_ITE) {
			/* A device did not answer; waits that were pending are dropped by the hardware. */
			NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_ITE, dvtd_read64(u, VTD_REG_IQH));
			clear_error(u, VTD_FSTS_ITE);
			if (__atomic_load_n(q->status, __ATOMIC_ACQUIRE) == STATUS_DONE)
				break;
			if (resends++ == MAX_RESENDS)
				goto dead;
			resend(u);
			continue;
		}
		if (fsts & VTD_FSTS_ICE) {
			NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_ICE, dvtd_read64(u, VTD_REG_IQH));
			clear_error(u, VTD_FSTS_ICE);
		}
		if (until == 0)
			until = dvtd_now_ms() + VTD_TIMEOUT_MS;
		else if ((++spins & 63) == 0 && dvtd_now_ms() > until)
			goto dead;
		nb_cpu_relax();
	}
	return err;
dead:
	q->dead = true;
	NB_TRACE(u->base.cfg.tr, drv_queue_error, dvtd_read32(u, VTD_REG_FSTS), dvtd_read64(u, VTD_REG_IQH));
	return -EIO;
}

static void start_at_tail(struct vtd_queue *q)
{
	q->start = q->tail;
	q->full = (q->tail + VTD_QUEUE_BATCH) & (VTD_QUEUE_SLOTS - 1);
}

/* Have what was pushed executed. Queue lock. */
static int submit(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	int err;

	if (q->start == q->tail)
		return 0;
	dvtd_queue_put(u, q->tail, desc_wait(q));
	q->tail = (q->tail + 1) & (VTD_QUEUE_SLOTS - 1);
	ring_doorbell(u);
	err = wait_done(u);
	start_at_tail(q);
	return err;
}

void dvtd_queue_begin(struct vtd_unit *u)
{
	pthread_mutex_lock(&u->queue.lock);
	assert(u->queue.start == u->queue.tail);
}

/*
 * The ring is full. An error is traced, and kept in `dead` when it lasts; a dead queue is written but
 * never sent.
 */
void dvtd_queue_full(struct vtd_unit *u)
{
	if (u->queue.dead)
		start_at_tail(&u->queue);
	else
		submit(u);
}

int dvtd_queue_end(struct vtd_unit *u)
{
	int err = u->queue.dead ? -EIO : submit(u);

	start_at_tail(&u->queue);
	pthread_mutex_unlock(&u->queue.lock);
	if (unlikely(atomic_load_explicit(&u->faults_left, memory_order_relaxed)))
		dvtd_read_leftover_faults(u);
	return err;
}

/* ---- descriptors ---- */

struct vtd_desc dvtd_desc_context(unsigned int granularity, uint16_t did, uint16_t sid)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_CC) | FIELD(VTD_INV_CC_0_G, granularity) |
		      FIELD(VTD_INV_CC_0_DID, did) | FIELD(VTD_INV_CC_0_SID, sid),
	};
}

struct vtd_desc dvtd_desc_pasid_cache(unsigned int granularity, uint16_t did, uint32_t pasid)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_PC) | FIELD(VTD_INV_PC_0_G, granularity) |
		      FIELD(VTD_INV_PC_0_DID, did) | FIELD(VTD_INV_PC_0_PASID, pasid),
	};
}

struct vtd_desc dvtd_desc_iotlb(const struct vtd_unit *u, unsigned int granularity, uint16_t did, uint64_t addr,
				unsigned int am, bool ih)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_IOTLB) | FIELD(VTD_INV_IOTLB_0_G, granularity) |
		      (u->cap & VTD_CAP_DRD ? VTD_INV_IOTLB_0_DR : 0) |
		      (u->cap & VTD_CAP_DWD ? VTD_INV_IOTLB_0_DW : 0) | FIELD(VTD_INV_IOTLB_0_DID, did),
		.hi = (addr & VTD_INV_IOTLB_1_ADDR) | FIELD(VTD_INV_IOTLB_1_AM, am) | (ih ? VTD_INV_IOTLB_1_IH : 0),
	};
}

struct vtd_desc dvtd_desc_piotlb(unsigned int granularity, uint16_t did, uint32_t pasid, uint64_t addr,
				 unsigned int am, bool ih)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_PIOTLB) | FIELD(VTD_INV_PIOTLB_0_G, granularity) |
		      FIELD(VTD_INV_PIOTLB_0_DID, did) | FIELD(VTD_INV_PIOTLB_0_PASID, pasid),
		.hi = (addr & VTD_INV_PIOTLB_1_ADDR) | FIELD(VTD_INV_PIOTLB_1_AM, am) |
		      (ih ? VTD_INV_PIOTLB_1_IH : 0),
	};
}

/*
 * The size lies in the address: with S, the lowest zero bit of ADDR says where the range's own bits
 * begin. One page is S = 0; everything is all ones below bit 63.
 */
struct vtd_desc dvtd_desc_devtlb(uint16_t sid, uint32_t pasid, uint64_t addr, unsigned int am)
{
	uint64_t range = addr & ~nb_low_mask(12 + am);

	if (am > 0)
		range |= nb_low_mask(12 + am - 1) & ~nb_low_mask(12);
	if (pasid == 0)
		return (struct vtd_desc){
			.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_DEVTLB) | FIELD(VTD_INV_DEVTLB_0_SID, sid),
			.hi = range | (am > 0 ? VTD_INV_DEVTLB_1_S : 0),
		};
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_PDEVTLB) | FIELD(VTD_INV_PDEVTLB_0_SID, sid) |
		      FIELD(VTD_INV_PDEVTLB_0_PASID, pasid),
		.hi = range | (am > 0 ? VTD_INV_PDEVTLB_1_S : 0),
	};
}
