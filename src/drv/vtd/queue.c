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
 *
 * Errors (6.5.2.11): a descriptor that the unit refuses is replaced by a larger one and the rest goes on. A device that does not answer
 * a device-TLB invalidation (ITE) has the submission sent again; if that does not help, the device is cut off (ats.c) and its
 * descriptors become what makes the unit see that. A unit that stops for good makes the queue dead.
 */
#include "drv/vtd/vtd.h"

#include <errno.h>

#include "base/cpu.h"
#include "drv/common.h"

#define MAX_RESENDS 3 /* of one submission before the devices that do not answer are cut off */
/* Of one submission at all: each further one cuts off another device. */
#define MAX_TIMEOUTS (MAX_RESENDS + VTD_QUEUE_SLOTS)

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
	q->number = 1;
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
	for (until = drv_now_ms() + VTD_TIMEOUT_MS; !(dvtd_read32(u, VTD_REG_GSTS) & VTD_GSTS_QIES);) {
		if (drv_now_ms() > until)
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

/* Its number is in no older wait descriptor, so that none of those that are still in the ring can be taken for it. */
static struct vtd_desc desc_wait(const struct vtd_queue *q)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_WAIT) | VTD_INV_WAIT_0_SW |
		      FIELD(VTD_INV_WAIT_0_DATA, q->number),
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

/*
 * The unit refused the descriptor at its head. What it was to invalidate we no longer know for sure, so in its place goes an
 * invalidation of all translations, and when that is refused too, a fence; in place of the wait itself, a plain one. Queue lock.
 */
static int skip_bad_descriptor(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t head = (uint32_t)(dvtd_read64(u, VTD_REG_IQH) / (q->slot_words * 8u)) & (VTD_QUEUE_SLOTS - 1);
	struct vtd_desc all = dvtd_desc_iotlb(u, VTD_INV_IOTLB_GLOBAL, 0, 0, 0, false);
	bool again = cpu64(q->ring[(size_t)head * q->slot_words]) == all.lo;

	NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_IQE, head);
	if (slots_from(q->start, head) >= slots_from(q->start, q->tail))
		return -EIO; /* not a descriptor of ours */
	dvtd_queue_put(u, head, slots_from(head, q->tail) == 1 ? desc_wait(q) : again ? dvtd_desc_fence() : all);
	clear_error(u, VTD_FSTS_IQE);
	return -EINVAL;
}

/* What to send in place of an invalidation of a device that was cut off: the unit shall look at the context entry again. */
static struct vtd_desc without_cut_off(const struct vtd_unit *u, struct vtd_desc d)
{
	uint64_t type = FIELD_GET(VTD_INV_0_TYPE, d.lo);

	if ((type == VTD_INV_DEVTLB && dvtd_ats_is_cut_off(u, (uint16_t)FIELD_GET(VTD_INV_DEVTLB_0_SID, d.lo))) ||
	    (type == VTD_INV_PDEVTLB && dvtd_ats_is_cut_off(u, (uint16_t)FIELD_GET(VTD_INV_PDEVTLB_0_SID, d.lo))))
		return dvtd_desc_context(VTD_INV_CC_GLOBAL, 0, 0);
	return d;
}

/*
 * Send the current submission once more, behind itself: it fills less than half of the ring, so what the unit still fetches of it
 * is not written over. Queue lock.
 */
static void resend(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t n = slots_from(q->start, q->tail), from = q->start, i;

	q->start = q->tail;
	q->number++;
	for (i = 0; i < n; i++) {
		const le64_t *s = &q->ring[(size_t)((from + i) & (VTD_QUEUE_SLOTS - 1)) * q->slot_words];
		struct vtd_desc d = without_cut_off(u, (struct vtd_desc){cpu64(s[0]), cpu64(s[1])});

		if (i == n - 1) /* the wait, with its bits and our number */
			d.lo = (d.lo & ~VTD_INV_WAIT_0_DATA) | FIELD(VTD_INV_WAIT_0_DATA, q->number);
		dvtd_queue_put(u, q->tail, d);
		q->tail = (q->tail + 1) & (VTD_QUEUE_SLOTS - 1);
	}
	ring_doorbell(u);
}

/*
 * A device did not answer. Waits that the unit had fetched are dropped; one that it fetches now completes though the device's
 * invalidation was not done. So all is sent again, with a new number. Queue lock. 0, -ETIMEDOUT: a device is cut off, -EIO: no end of it.
 */
static int send_again(struct vtd_unit *u, uint32_t times)
{
	uint16_t sid = (uint16_t)FIELD_GET(VTD_IQER_ITESID, dvtd_read64(u, VTD_REG_IQER));

	NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_ITE, sid);
	if (times >= MAX_TIMEOUTS)
		return -EIO;
	if (times >= MAX_RESENDS)
		dvtd_ats_cut_off(u, sid);
	clear_error(u, VTD_FSTS_ITE);
	resend(u);
	return times >= MAX_RESENDS ? -ETIMEDOUT : 0;
}

/*
 * Wait for the status word. Bounded: by time, by the number of descriptors that can be refused, and
 * by MAX_TIMEOUTS. 0 or the last error.
 */
static int wait_done(struct vtd_unit *u)
{
	struct vtd_queue *q = &u->queue;
	uint32_t refusals = 2 * slots_from(q->start, q->tail), timeouts = 0, spins = 0;
	uint64_t until = 0;
	int err = 0;

	/* No wait completes before the device-TLB invalidations ahead of it have an answer, so what is done is done. */
	while (__atomic_load_n(q->status, __ATOMIC_ACQUIRE) != q->number) {
		uint32_t fsts = dvtd_read32(u, VTD_REG_FSTS);

		if (fsts & VTD_FSTS_ITE) {
			int e = send_again(u, timeouts++);

			if (e == -EIO)
				goto dead;
			if (e)
				err = e;
			continue;
		}
		if (fsts & VTD_FSTS_IQE) {
			err = skip_bad_descriptor(u);
			if (err == -EIO || refusals-- == 0)
				goto dead;
			continue;
		}
		if (fsts & VTD_FSTS_ICE) {
			NB_TRACE(u->base.cfg.tr, drv_queue_error, VTD_FSTS_ICE, dvtd_read64(u, VTD_REG_IQH));
			clear_error(u, VTD_FSTS_ICE);
		}
		if (until == 0)
			until = drv_now_ms() + VTD_TIMEOUT_MS;
		else if ((++spins & 63) == 0 && drv_now_ms() > until)
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
	q->devtlb = false;
}

/* Have what was pushed executed; wait_bits: more for the wait descriptor. Queue lock. */
static inline int submit(struct vtd_unit *u, uint64_t wait_bits)
{
	struct vtd_queue *q = &u->queue;
	struct vtd_desc wait;
	int err;

	if (q->start == q->tail)
		return 0;
	q->number++;
	wait = desc_wait(q);
	wait.lo |= wait_bits;
	dvtd_queue_put(u, q->tail, wait);
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
		submit(u, 0);
}

void dvtd_push_devtlb(struct vtd_unit *u, uint16_t rid, uint32_t pasid, uint64_t addr, unsigned int am)
{
	struct vtd_queue *q = &u->queue;

	if (unlikely(dvtd_ats_is_cut_off(u, rid)))
		return;
	if (!q->devtlb) {
		if (slots_from(q->start, q->tail) >= VTD_QUEUE_BATCH_ATS)
			dvtd_queue_full(u);
		q->devtlb = true;
		q->full = (q->start + VTD_QUEUE_BATCH_ATS) & (VTD_QUEUE_SLOTS - 1);
	}
	dvtd_queue_push(u, dvtd_desc_devtlb(u, rid, pasid, addr, am));
}

static inline int end(struct vtd_unit *u, uint64_t wait_bits)
{
	int err = u->queue.dead ? -EIO : submit(u, wait_bits);
	bool died = u->queue.dead;

	start_at_tail(&u->queue);
	pthread_mutex_unlock(&u->queue.lock);
	if (unlikely(died))
		dvtd_unit_died(u);
	if (unlikely(atomic_load_explicit(&u->faults_left, memory_order_relaxed)))
		dvtd_read_leftover_faults(u);
	return err;
}

int dvtd_queue_end(struct vtd_unit *u)
{
	return end(u, 0);
}

int dvtd_queue_end_drain(struct vtd_unit *u)
{
	return end(u, VTD_INV_WAIT_0_PD);
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
 * begin. One page is S = 0; everything is all ones below bit 63. With ECAP.DIT the unit counts what is under way by physical
 * function; there are no virtual ones here. MIP 0: as many as the architecture allows.
 */
struct vtd_desc dvtd_desc_devtlb(const struct vtd_unit *u, uint16_t sid, uint32_t pasid, uint64_t addr,
				 unsigned int am)
{
	uint64_t range = addr & ~nb_low_mask(12 + am), pfsid = 0;

	_Static_assert(VTD_INV_DEVTLB_0_PFSID_LO == VTD_INV_PDEVTLB_0_PFSID_LO &&
			       VTD_INV_DEVTLB_0_PFSID_HI == VTD_INV_PDEVTLB_0_PFSID_HI, "6.5.2.5, 6.5.2.6");
	if (am > 0)
		range |= nb_low_mask(12 + am - 1) & ~nb_low_mask(12);
	if (u->ecap & VTD_ECAP_DIT)
		pfsid = FIELD(VTD_INV_DEVTLB_0_PFSID_LO, sid & 0xfu) | FIELD(VTD_INV_DEVTLB_0_PFSID_HI, sid >> 4);
	if (pasid == 0)
		return (struct vtd_desc){
			.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_DEVTLB) | FIELD(VTD_INV_DEVTLB_0_SID, sid) | pfsid,
			.hi = range | (am > 0 ? VTD_INV_DEVTLB_1_S : 0),
		};
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_PDEVTLB) | FIELD(VTD_INV_PDEVTLB_0_SID, sid) |
		      FIELD(VTD_INV_PDEVTLB_0_PASID, pasid) | pfsid,
		.hi = range | (am > 0 ? VTD_INV_PDEVTLB_1_S : 0),
	};
}

struct vtd_desc dvtd_desc_fence(void)
{
	return (struct vtd_desc){ .lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_WAIT) | VTD_INV_WAIT_0_FN };
}

struct vtd_desc dvtd_desc_irte_global(void)
{
	return (struct vtd_desc){ .lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_IEC) };
}

struct vtd_desc dvtd_desc_irte(uint32_t handle, unsigned int mask)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_IEC) | VTD_INV_IEC_0_G | FIELD(VTD_INV_IEC_0_IM, mask) |
		      FIELD(VTD_INV_IEC_0_IIDX, handle),
	};
}

struct vtd_desc dvtd_desc_page_response(uint16_t rid, uint32_t pasid, uint32_t prgi, unsigned int code)
{
	return (struct vtd_desc){
		.lo = FIELD_C(VTD_INV_0_TYPE, VTD_INV_PRGR) | FIELD(VTD_INV_PRGR_0_CODE, code) |
		      FIELD(VTD_INV_PRGR_0_RID, rid) |
		      (pasid == NB_NO_PASID ? 0 : VTD_INV_PRGR_0_PP | FIELD(VTD_INV_PRGR_0_PASID, pasid)),
		.hi = FIELD(VTD_INV_PRGR_1_PRGI, prgi),
	};
}
