/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command queue (IHI 0070 chapter 4, 3.5): commands, submissions, errors.
 *
 * A submission is a run of commands, each part of which ends with a CMD_SYNC; the unit moves CONS past a CMD_SYNC only when that is
 * complete (4.7.3), so CONS is what we wait for. The queue's lock is held from the first command to the end, so at any time the ring
 * holds one part at most.
 *
 * Errors (7.1): consumption stops at the command; what was wrong is put right in the ring, the error acknowledged, and the unit
 * fetches it again. A command that the unit refuses becomes a CMD_SYNC, and as nobody knows what it was to invalidate
 * the unit then forgets everything, unless it was a guest's. A device that does not answer an ATC invalidation makes the CMD_SYNC fail;
 * then they are asked again one by one, and who still does not answer is cut off (ats.c). A unit that stops for good makes the queue dead.
 */
#include "drv/smmuv3/smmu.h"

#include <errno.h>

#include "base/cpu.h"
#include "drv/common.h"

/* Errors that one part can have before the unit counts as dead: each command once, and some fetches. */
#define MAX_ERRORS (2 * DSMMU_CMDQ_MAX)
#define ATC_TRIES 2 /* of a device by itself */

/* Index and wrap bit. */
static uint32_t lap(const struct dsmmu *u)
{
	return 2 * u->queue.slots - 1;
}

static unsigned int ring_order(unsigned int lg2)
{
	return lg2 + 4 > 12 ? lg2 + 4 - 12 : 0;
}

int dsmmu_queue_init(struct dsmmu *u, struct nb_diag *diag)
{
	unsigned int lg2 = (unsigned int)FIELD_GET(SMMU_IDR1_CMDQS, u->idr[1]);
	struct dsmmu_queue *q = &u->queue;
	hpa_t pa;

	if (lg2 > DSMMU_CMDQ_LG2_MAX)
		lg2 = DSMMU_CMDQ_LG2_MAX;
	q->slots = 1u << lg2;
	q->batch = q->slots - 2;
	q->ring = mem_page_alloc(u->base.cfg.pool, ring_order(lg2), &pa);
	if (!q->ring)
		return nb_fail(diag, -ENOMEM, "no memory for the command queue");
	dsmmu_flush(u, q->ring, 4096u << ring_order(lg2));
	dsmmu_write64(u, SMMU_REG_CMDQ_BASE, pa.v | SMMU_Q_BASE_RWA | FIELD(SMMU_Q_BASE_LOG2SIZE, lg2));
	dsmmu_write32(u, SMMU_REG_CMDQ_PROD, 0);
	dsmmu_write32(u, SMMU_REG_CMDQ_CONS, 0);
	return 0;
}

void dsmmu_queue_fini(struct dsmmu *u)
{
	if (u->queue.ring)
		mem_page_free(u->base.cfg.pool, u->queue.ring, ring_order(nb_ilog2(u->queue.slots)));
	pthread_mutex_destroy(&u->queue.lock);
}

/* CS 0: completion is seen in CONS. */
static struct dsmmu_cmd cmd_sync(void)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_SYNC) | FIELD_C(SMMU_CMD_SYNC_0_CS, SMMU_SYNC_NONE), 0 };
}

static void ring_doorbell(struct dsmmu *u)
{
	atomic_thread_fence(memory_order_release); /* the slots, before the hardware is told */
	dsmmu_write32(u, SMMU_REG_CMDQ_PROD, u->queue.prod & lap(u));
}

/* ---- errors ---- */

enum outcome { GO_ON, ATC_TIMEOUT, DEAD };

/* The unit has stopped at a command. Queue lock. */
static enum outcome put_right(struct dsmmu *u, uint32_t cons)
{
	struct dsmmu_queue *q = &u->queue;
	uint32_t code = (uint32_t)FIELD_GET(SMMU_CMDQ_CONS_ERR, cons), at = (uint32_t)FIELD_GET(SMMU_Q_IDX, cons);
	enum outcome out = GO_ON;

	at &= lap(u);
	NB_TRACE(u->base.cfg.tr, drv_queue_error, code, at);
	if (((q->prod - at) & lap(u)) > ((q->prod - q->start) & lap(u)))
		return DEAD; /* not a command of ours */
	switch (code) {
	case SMMU_CERROR_ILL:
		dsmmu_queue_put(u, at, cmd_sync());
		q->err = -EINVAL;
		break;
	case SMMU_CERROR_ABT:
		break; /* fetched again */
	case SMMU_CERROR_ATC_INV_SYNC:
		out = ATC_TIMEOUT; /* the CMD_SYNC is executed again, for what else it waits for */
		break;
	default:
		return DEAD;
	}
	dsmmu_gerror_ack(u, SMMU_GERROR_CMDQ_ERR);
	return out;
}

/* Until everything that was pushed is consumed. Bounded by time and by the number of errors. True: a device did not answer. */
static bool wait_done(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;
	uint32_t cons, spins = 0, errors = 0;
	uint64_t until = 0;
	bool timeout = false;

	while (cons = dsmmu_read32(u, SMMU_REG_CMDQ_CONS), unlikely(((cons ^ q->prod) & lap(u)) != 0)) {
		uint32_t active = dsmmu_read32(u, SMMU_REG_GERROR) ^ dsmmu_read32(u, SMMU_REG_GERRORN);

		if (active & SMMU_GERROR_CMDQ_ERR) {
			enum outcome out = DEAD;

			if (errors++ < MAX_ERRORS) /* CONS.ERR is there before the error is active */
				out = put_right(u, dsmmu_read32(u, SMMU_REG_CMDQ_CONS));
			if (out == DEAD)
				goto dead;
			timeout |= out == ATC_TIMEOUT;
			continue;
		}
		if (until == 0)
			until = drv_now_ms() + DSMMU_TIMEOUT_MS;
		else if ((++spins & 63) == 0 && drv_now_ms() > until)
			goto dead;
		nb_cpu_relax();
	}
	return timeout;
dead:
	q->dead = true;
	q->err = -EIO;
	NB_TRACE(u->base.cfg.tr, drv_queue_error, dsmmu_read32(u, SMMU_REG_GERROR), cons);
	return false;
}

/* Have what was pushed executed. Queue lock. True: a device did not answer. */
static bool submit(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;
	bool timeout;

	dsmmu_queue_put(u, q->prod, cmd_sync());
	q->prod++;
	ring_doorbell(u);
	timeout = wait_done(u);
	q->start = q->prod;
	return timeout;
}

/* Ask who did not answer again, one by one: the commands are in the ring, which nothing has overwritten yet. Queue lock. */
static void find_silent(struct dsmmu *u, uint32_t from, uint32_t to)
{
	struct dsmmu_queue *q = &u->queue;
	struct dsmmu_cmd atc[DSMMU_CMDQ_MAX];
	uint32_t n = 0, i;

	for (; from != to && n < DSMMU_CMDQ_MAX; from++) {
		const struct smmu_cmd *s = &q->ring[from & (q->slots - 1)];

		if (FIELD_GET(SMMU_CMD_0_OP, cpu64(s->q[0])) == SMMU_CMD_ATC_INV)
			atc[n++] = (struct dsmmu_cmd){ cpu64(s->q[0]), cpu64(s->q[1]) };
	}
	for (i = 0; i < n && !q->dead; i++) {
		uint16_t sid = (uint16_t)FIELD_GET(SMMU_CMD_0_SID, atc[i].lo);
		unsigned int tries = 0;
		bool silent = true;

		if (dsmmu_ats_is_off(u, sid))
			continue;
		while (silent && tries++ < ATC_TRIES && !q->dead) {
			dsmmu_queue_put(u, q->prod++, atc[i]);
			silent = submit(u);
		}
		if (silent) {
			dsmmu_ats_mark_off(u, sid);
			q->cut_off = true;
			q->err = -ETIMEDOUT;
		}
	}
}

/* What a refused command was to invalidate is not known. Queue lock. */
static void forget_everything(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;

	dsmmu_queue_put(u, q->prod++, dsmmu_cmd_cfgi_all());
	dsmmu_queue_put(u, q->prod++, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_NSNH_ALL, 0, 0));
	if (u->e2h)
		dsmmu_queue_put(u, q->prod++, dsmmu_cmd_tlbi(SMMU_CMD_TLBI_EL2_ALL, 0, 0));
	submit(u);
}

/* ---- submissions ---- */

void dsmmu_queue_begin(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;

	pthread_mutex_lock(&q->lock);
	assert(q->start == q->prod);
	q->err = 0;
	q->guest = q->atc = false;
}

void dsmmu_queue_sync(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;
	uint32_t from = q->start, to = q->prod;
	int before = q->err;

	if (from == to)
		return;
	if (unlikely(q->dead)) {
		q->start = q->prod;
		return;
	}
	q->err = 0;
	if (unlikely(submit(u)))
		find_silent(u, from, to);
	if (unlikely(q->err == -EINVAL && !q->guest && !q->dead))
		forget_everything(u);
	if (q->err == 0)
		q->err = before;
}

int dsmmu_queue_end(struct dsmmu *u)
{
	struct dsmmu_queue *q = &u->queue;
	bool died, cut_off;
	int err;

	dsmmu_queue_sync(u);
	died = q->dead;
	err = died ? -EIO : q->err;
	cut_off = q->cut_off;
	q->cut_off = false;
	pthread_mutex_unlock(&q->lock);
	if (unlikely(died))
		dsmmu_unit_died(u);
	else if (unlikely(cut_off))
		dsmmu_ats_cut_off(u);
	if (unlikely(atomic_load_explicit(&u->evt.left, memory_order_relaxed)))
		dsmmu_evt_leftover(u);
	return err;
}

void dsmmu_queue_flush(struct dsmmu *u)
{
	dsmmu_queue_begin(u);
	dsmmu_queue_push(u, cmd_sync());
	dsmmu_queue_end(u);
}

void dsmmu_push_atc(struct dsmmu *u, uint16_t sid, uint32_t pasid, uint64_t addr, unsigned int pages_lg2)
{
	uint64_t page = pages_lg2 >= SMMU_ATC_SIZE_ALL ? 0 : addr & ~nb_low_mask(12 + pages_lg2);

	if (unlikely(dsmmu_ats_is_off(u, sid)))
		return;
	dsmmu_queue_push(u, (struct dsmmu_cmd){
		.lo = FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_ATC_INV) | FIELD(SMMU_CMD_0_SID, sid) |
		      (pasid == NB_NO_PASID ? 0 : SMMU_CMD_0_SSV | FIELD(SMMU_CMD_0_SSID, pasid)),
		.hi = page | FIELD(SMMU_CMD_ATC_1_SIZE, pages_lg2 < SMMU_ATC_SIZE_ALL ? pages_lg2 : SMMU_ATC_SIZE_ALL),
	});
}

/* ---- commands, made from zero ---- */

struct dsmmu_cmd dsmmu_cmd_cfgi_ste(uint16_t sid, bool leaf)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_CFGI_STE) | FIELD(SMMU_CMD_0_SID, sid),
				   leaf ? SMMU_CMD_CFGI_1_LEAF : 0 };
}

struct dsmmu_cmd dsmmu_cmd_cfgi_all(void)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_CFGI_STE_RANGE),
				   FIELD_C(SMMU_CMD_CFGI_1_RANGE, SMMU_CFGI_RANGE_ALL) };
}

struct dsmmu_cmd dsmmu_cmd_cfgi_cd(uint16_t sid, uint32_t ssid, bool leaf)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_CFGI_CD) | FIELD(SMMU_CMD_0_SID, sid) |
					   FIELD(SMMU_CMD_0_SSID, ssid),
				   leaf ? SMMU_CMD_CFGI_1_LEAF : 0 };
}

struct dsmmu_cmd dsmmu_cmd_prefetch_ste(uint16_t sid)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_PREFETCH_CONFIG) | FIELD(SMMU_CMD_0_SID, sid), 0 };
}

struct dsmmu_cmd dsmmu_cmd_tlbi(unsigned int op, uint16_t vmid, uint16_t asid)
{
	return (struct dsmmu_cmd){ FIELD(SMMU_CMD_0_OP, op) | FIELD(SMMU_CMD_TLBI_0_VMID, vmid) |
					   FIELD(SMMU_CMD_TLBI_0_ASID, asid),
				   0 };
}

/* 4.7.1: Ac retries; without it the transaction ends, with Ab in an abort. */
struct dsmmu_cmd dsmmu_cmd_resume(uint16_t sid, uint32_t stag, enum drv_page_code code)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_RESUME) | FIELD(SMMU_CMD_0_SID, sid) |
					   (code == DRV_PAGE_SUCCESS ? SMMU_CMD_RESUME_0_AC : SMMU_CMD_RESUME_0_AB),
				   FIELD(SMMU_CMD_RESUME_1_STAG, stag) };
}

/* ssid NB_NO_PASID: the request had none. */
struct dsmmu_cmd dsmmu_cmd_pri_resp(uint32_t sid, uint32_t ssid, uint32_t prgi, unsigned int code)
{
	return (struct dsmmu_cmd){ FIELD_C(SMMU_CMD_0_OP, SMMU_CMD_PRI_RESP) | FIELD(SMMU_CMD_0_SID, sid) |
					   (ssid == NB_NO_PASID ? 0 : SMMU_CMD_0_SSV | FIELD(SMMU_CMD_0_SSID, ssid)),
				   FIELD(SMMU_CMD_PRI_1_PRGI, prgi) | FIELD(SMMU_CMD_PRI_1_RESP, code) };
}
