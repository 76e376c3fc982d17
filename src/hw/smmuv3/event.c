/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event queue (7.2 to 7.4), global errors (7.5), interrupts (3.18).
 *
 * "Writable" is 7.2.1's word: enabled, not full, no queue abort that software has not acknowledged. The message of a
 * queue is sent when it was empty before the record.
 */
#include "hw/smmuv3/model.h"

#include <string.h>

/* ---- messages ---- */

void smmu_msi_queue(struct smmu *v, struct smmu_msis *q, unsigned int source, uint64_t addr, uint32_t data)
{
	if (q->n == SMMU_MAX_MSIS)
		return; /* edges of one source merge (3.18); CMD_SYNC makes room before */
	q->m[q->n].addr = v->caps.msi ? addr & nb_low_mask(v->caps.oas) : 0;
	q->m[q->n].data = q->m[q->n].addr ? data : source;
	q->m[q->n++].source = (uint8_t)source;
}

/*
 * A message is a 32-bit write: to memory where memory is (software may poll it), else to whoever takes the machine's doorbells.
 * With nobody there it is aborted.
 */
static bool msi_write(struct smmu *v, uint64_t addr, uint32_t data)
{
	if (addr && !mem_store32(v->hw.mem, hpa(addr), data))
		return true;
	if (!v->hw.msi)
		return !addr;
	v->hw.msi(v->hw.msi_opaque, addr, data);
	return true;
}

void smmu_msi_send(struct smmu *v, struct smmu_msis *q)
{
	static const uint32_t abort_bit[] = {
		[SMMU_IRQ_EVENTQ] = (uint32_t)SMMU_GERROR_MSI_EVENTQ_ABT_ERR,
		[SMMU_IRQ_SYNC] = (uint32_t)SMMU_GERROR_MSI_CMDQ_ABT_ERR,
		[SMMU_IRQ_GERROR] = (uint32_t)SMMU_GERROR_MSI_GERROR_ABT_ERR,
		[SMMU_IRQ_PRIQ] = (uint32_t)SMMU_GERROR_MSI_PRIQ_ABT_ERR,
	};
	struct smmu_msis more;
	unsigned int i;

	while (q->n) {
		more.n = 0;
		for (i = 0; i < q->n; i++) {
			NB_TRACE(v->hw.tr, hw_irq, q->m[i].addr, q->m[i].data);
			if (!msi_write(v, q->m[i].addr, q->m[i].data))
				smmu_gerror(v, abort_bit[q->m[i].source], &more);
		}
		*q = more; /* a bit becomes active once, so this ends */
	}
}

static void irq(struct smmu *v, struct smmu_msis *q, unsigned int source, uint32_t enable, const struct smmu_irq *cfg)
{
	if (atomic_load_explicit(&v->irq_ctrl, memory_order_relaxed) & enable)
		smmu_msi_queue(v, q, source, cfg->addr, cfg->data);
}

/* ---- global errors ---- */

static void gerror_locked(struct smmu *v, uint32_t bit, struct smmu_msis *q)
{
	if ((v->gerror ^ v->gerrorn) & bit)
		return;
	v->gerror ^= bit;
	if (bit != SMMU_GERROR_MSI_GERROR_ABT_ERR) /* 7.5.1: the next one might be aborted as well */
		irq(v, q, SMMU_IRQ_GERROR, (uint32_t)SMMU_IRQ_CTRL_GERROR, &v->gerror_irq);
}

void smmu_gerror(struct smmu *v, uint32_t bit, struct smmu_msis *q)
{
	pthread_mutex_lock(&v->event_lock);
	gerror_locked(v, bit, q);
	pthread_mutex_unlock(&v->event_lock);
}

bool smmu_gerror_active(struct smmu *v, uint32_t bit)
{
	bool on;

	pthread_mutex_lock(&v->event_lock);
	on = (v->gerror ^ v->gerrorn) & bit;
	pthread_mutex_unlock(&v->event_lock);
	return on;
}

/* ---- making records, 7.3 ---- */

static bool may_stall(unsigned int type)
{
	return type >= SMMU_EVT_TRANSLATION && type <= SMMU_EVT_PERMISSION;
}

static uint64_t header(const struct smmu *v, const struct hw_request *req, unsigned int type)
{
	uint64_t w = FIELD(SMMU_EVT_0_ID, type) | FIELD(SMMU_EVT_0_SID, req->rid);

	if (req->pasid != NB_NO_PASID && v->caps.ssid_bits)
		w |= FIELD(SMMU_EVT_0_SSID, req->pasid & NB_PASID_MAX) | (type == SMMU_EVT_BAD_SUBSTREAMID ? 0 : SMMU_EVT_0_SSV);
	else if (req->pasid != NB_NO_PASID && type == SMMU_EVT_BAD_SUBSTREAMID)
		w |= FIELD(SMMU_EVT_0_SSID, req->pasid & NB_PASID_MAX);
	return w;
}

static uint64_t attributes(const struct hw_request *req)
{
	bool write = req->access & HW_WRITE;

	return (write ? 0 : SMMU_EVT_1_RNW) | (!write && (req->access & HW_EXEC) ? SMMU_EVT_1_IND : 0) |
	       (req->flags & HW_PRIV ? SMMU_EVT_1_PNU : 0);
}

static void make_record(const struct smmu *v, const struct hw_request *req, const struct smmu_why *why, uint64_t rec[4])
{
	uint64_t oas = nb_low_mask(v->caps.oas);

	rec[0] = header(v, req, why->type);
	rec[1] = rec[2] = rec[3] = 0;
	switch (why->type) {
	case SMMU_EVT_STE_FETCH:
	case SMMU_EVT_CD_FETCH:
		rec[3] = why->fetch & oas & SMMU_EVT_3_FETCH;
		break;
	case SMMU_EVT_TRANSL_FORBIDDEN:
		rec[1] = req->access & HW_WRITE ? 0 : SMMU_EVT_1_RNW;
		rec[2] = req->addr;
		break;
	case SMMU_EVT_WALK_EABT:
	case SMMU_EVT_TRANSLATION:
	case SMMU_EVT_ADDR_SIZE:
	case SMMU_EVT_ACCESS:
	case SMMU_EVT_PERMISSION:
		rec[1] = attributes(req) | (why->s2 ? SMMU_EVT_1_S2 : 0) | FIELD(SMMU_EVT_1_CLASS, why->class);
		rec[2] = req->addr;
		if (why->type == SMMU_EVT_WALK_EABT)
			rec[3] = why->fetch & oas & SMMU_EVT_3_FETCH;
		else if (why->s2)
			rec[3] = why->ipa & oas & SMMU_EVT_3_IPA;
		/* 13.1.1: of an atomic access that may write and not read, the record is of a read. */
		if (why->type == SMMU_EVT_PERMISSION && why->s2 && why->ttrnw)
			rec[1] |= why->class == SMMU_CLASS_TT ? SMMU_EVT_1_TTRNW : why->class == SMMU_CLASS_IN ? SMMU_EVT_1_RNW : 0;
		break;
	default:
		break;
	}
}

void smmu_fault(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
		const struct smmu_why *why)
{
	struct hw_fault *f = &res->fault;
	bool related = may_stall(why->type), record = why->type != 0;

	res->kind = HW_FAULT;
	res->lg2 = 0;
	res->perm = 0;
	res->pa = hpa(0);
	memset(f, 0, sizeof(*f));
	f->reason = why->type;
	f->model = why->class == SMMU_CLASS_IN ? SMMU_F_PAGE : 0;
	if (related || why->type == SMMU_EVT_WALK_EABT)
		f->stage = why->s2 ? 2 : 1;
	if (why->s2 && f->stage) {
		f->gpa_valid = true;
		f->gpa = gpa(why->ipa);
	}
	/* 5.5. What a bypassed stage 1 refuses ends with an abort and is recorded. */
	if (related && cfg && why->s2) {
		record = cfg->s2.r || cfg->s2.s;
		f->model |= cfg->s2.s ? SMMU_F_STALL : 0;
	} else if (related && cfg && (cfg->kind == SMMU_K_S1 || cfg->kind == SMMU_K_NESTED)) {
		record = cfg->s1.r || cfg->s1.s;
		f->model |= cfg->s1.s ? SMMU_F_STALL : 0;
		f->raz_wi = !cfg->s1.s && !cfg->s1.a;
	}
	if (f->model & SMMU_F_STALL && v->caps.stall_model == SMMU_STALL_ALWAYS)
		f->model |= SMMU_F_MUST;
	if (cfg && cfg->mev)
		f->model |= SMMU_F_MERGE;
	if (!record)
		return;
	make_record(v, req, why, f->record);
	f->record_len = 32;
}

/* ---- the queue ---- */

static bool enabled(const struct smmu *v)
{
	return v->eventqen && !((v->gerror ^ v->gerrorn) & SMMU_GERROR_EVENTQ_ABT_ERR);
}

static bool writable_locked(const struct smmu *v)
{
	return enabled(v) && !smmu_q_full(&v->evtq, smmu_q_lg2(&v->evtq, v->caps.evtq_lg2));
}

/* 7.3.1: alike but for the page offset, and software has not yet taken the one it would be merged with. */
static bool merges_locked(const struct smmu *v, const uint64_t rec[4], unsigned int lg2)
{
	return v->merged[0] == rec[0] && v->merged[1] == rec[1] && (v->merged[2] ^ rec[2]) >> 12 == 0 &&
	       v->merged[3] == rec[3] && !smmu_q_empty(&v->evtq, lg2);
}

static bool put_locked(struct smmu *v, const uint64_t rec[4], bool merge, struct smmu_msis *q)
{
	unsigned int lg2 = smmu_q_lg2(&v->evtq, v->caps.evtq_lg2);
	uint32_t lap = smmu_q_lap(lg2);
	uint64_t base = v->evtq.base & SMMU_Q_BASE_ADDR & nb_low_mask(v->caps.oas) & ~nb_low_mask(5 + lg2);
	le64_t out[4] = {le64(rec[0]), le64(rec[1]), le64(rec[2]), le64(rec[3])};
	bool was_empty;

	if (!enabled(v))
		return false;
	if (merge && merges_locked(v, rec, lg2))
		return true;
	if (smmu_q_full(&v->evtq, lg2)) {
		if (((v->evtq.prod ^ v->evtq.cons) & SMMU_Q_PROD_OVFLG) == 0)
			v->evtq.prod ^= (uint32_t)SMMU_Q_PROD_OVFLG;
		return false;
	}
	if (mem_copy_to(v->hw.mem, hpa(base + 32 * (v->evtq.prod & (lap >> 1))), out, sizeof(out))) {
		gerror_locked(v, (uint32_t)SMMU_GERROR_EVENTQ_ABT_ERR, q);
		return false;
	}
	was_empty = smmu_q_empty(&v->evtq, lg2);
	v->evtq.prod = (v->evtq.prod & (uint32_t)SMMU_Q_PROD_OVFLG) | ((v->evtq.prod + 1) & lap);
	memcpy(v->merged, rec, sizeof(v->merged));
	if (!merge)
		v->merged[0] = 0;
	if (was_empty)
		irq(v, q, SMMU_IRQ_EVENTQ, (uint32_t)SMMU_IRQ_CTRL_EVENTQ, &v->evtq_irq);
	return true;
}

void smmu_event(struct smmu *v, const uint64_t rec[4], struct smmu_msis *q)
{
	pthread_mutex_lock(&v->event_lock);
	put_locked(v, rec, false, q);
	pthread_mutex_unlock(&v->event_lock);
}

/* 3.12.2. The requester waits; its record is written, or it comes again when one can be. */
static void stall_locked(struct smmu *v, const struct hw_request *req, struct hw_fault *f, struct smmu_msis *q)
{
	uint16_t stag = 0;
	bool no_record;

	f->stalled = smmu_stall_locked(v, req, writable_locked(v), &stag, &no_record);
	f->raz_wi = false;
	if (!f->stalled || no_record)
		return;
	f->record[1] |= SMMU_EVT_1_STALL | FIELD(SMMU_EVT_1_STAG, stag);
	f->recorded = put_locked(v, f->record, false, q);
}

void smmu_report(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res)
{
	struct smmu *v = to_smmu(hw);
	struct hw_fault *f = &res->fault;
	struct smmu_msis q = {.n = 0};

	if (res->kind != HW_FAULT || (req->flags & HW_OBSERVE))
		return;
	NB_TRACE(hw->tr, hw_fault, req->rid, req->pasid, req->addr, f->reason);
	if (!f->record_len)
		return;
	/* A requester that cannot wait is none for which the stall model is meant: 3.12, "treat as a terminating configuration". */
	if ((f->model & SMMU_F_STALL) && !(f->model & SMMU_F_MUST) && !smmu_can_stall(v, req->rid))
		f->model &= (uint8_t)~SMMU_F_STALL;
	pthread_mutex_lock(&v->event_lock);
	if (f->model & SMMU_F_STALL)
		stall_locked(v, req, f, &q);
	else
		f->recorded = put_locked(v, f->record, f->model & SMMU_F_MERGE, &q);
	pthread_mutex_unlock(&v->event_lock);
	if (!f->recorded)
		NB_TRACE(hw->tr, hw_fault_lost, req->rid, f->reason);
	smmu_msi_send(v, &q);
}

/* ---- registers ---- */

void smmu_event_enable(struct smmu *v, bool on)
{
	pthread_mutex_lock(&v->event_lock);
	v->eventqen = on;
	v->merged[0] = 0;
	if (writable_locked(v))
		smmu_stall_wake_locked(v);
	pthread_mutex_unlock(&v->event_lock);
}

bool smmu_event_owns(uint64_t off)
{
	return (off >= SMMU_REG_GERROR && off <= SMMU_REG_GERROR_IRQ_CFG2) || off == SMMU_REG_EVENTQ_BASE ||
	       off == SMMU_REG_EVENTQ_BASE + 4 || (off >= SMMU_REG_EVENTQ_IRQ_CFG0 && off <= SMMU_REG_EVENTQ_IRQ_CFG2) ||
	       off == SMMU_REG_EVENTQ_PROD || off == SMMU_REG_EVENTQ_CONS;
}

uint32_t smmu_event_read(struct smmu *v, uint64_t off)
{
	uint32_t r = 0;

	pthread_mutex_lock(&v->event_lock);
	switch (off) {
	case SMMU_REG_GERROR:
		r = v->gerror;
		break;
	case SMMU_REG_GERRORN:
		r = v->gerrorn;
		break;
	case SMMU_REG_GERROR_IRQ_CFG0:
		r = (uint32_t)v->gerror_irq.addr;
		break;
	case SMMU_REG_GERROR_IRQ_CFG0 + 4:
		r = (uint32_t)(v->gerror_irq.addr >> 32);
		break;
	case SMMU_REG_GERROR_IRQ_CFG1:
		r = v->gerror_irq.data;
		break;
	case SMMU_REG_GERROR_IRQ_CFG2:
		r = v->gerror_irq.attr;
		break;
	case SMMU_REG_EVENTQ_BASE:
		r = (uint32_t)v->evtq.base;
		break;
	case SMMU_REG_EVENTQ_BASE + 4:
		r = (uint32_t)(v->evtq.base >> 32);
		break;
	case SMMU_REG_EVENTQ_IRQ_CFG0:
		r = (uint32_t)v->evtq_irq.addr;
		break;
	case SMMU_REG_EVENTQ_IRQ_CFG0 + 4:
		r = (uint32_t)(v->evtq_irq.addr >> 32);
		break;
	case SMMU_REG_EVENTQ_IRQ_CFG1:
		r = v->evtq_irq.data;
		break;
	case SMMU_REG_EVENTQ_IRQ_CFG2:
		r = v->evtq_irq.attr;
		break;
	case SMMU_REG_EVENTQ_PROD:
		r = v->evtq.prod & (smmu_q_lap(smmu_q_lg2(&v->evtq, v->caps.evtq_lg2)) | (uint32_t)SMMU_Q_PROD_OVFLG);
		break;
	case SMMU_REG_EVENTQ_CONS:
		r = v->evtq.cons;
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&v->event_lock);
	return r;
}

/* One 32-bit register of a *_IRQ_CFG group at `off`; guarded by its enable (6.3.21), and absent without MSI. */
void smmu_irq_write(const struct smmu *v, struct smmu_irq *irq_cfg, uint32_t enable, uint64_t off, uint32_t val, uint32_t attr_mask)
{
	uint64_t mask = SMMU_IRQ_CFG0_ADDR & nb_low_mask(v->caps.oas);

	if (!v->caps.msi || (atomic_load_explicit(&v->irq_ctrl, memory_order_relaxed) & enable))
		return;
	switch (off) {
	case 0:
		irq_cfg->addr = (irq_cfg->addr & ~nb_low_mask(32)) | (val & mask);
		break;
	case 4:
		irq_cfg->addr = (irq_cfg->addr & nb_low_mask(32)) | ((uint64_t)val << 32 & mask);
		break;
	case 8:
		irq_cfg->data = val;
		break;
	case 12:
		irq_cfg->attr = val & attr_mask;
		break;
	default:
		break;
	}
}

/* 64 bits of a queue's base register, in halves; high bits beyond the address size are not stored (6.3.26). */
void smmu_q_base_write(const struct smmu *v, struct smmu_queue *queue, bool high, uint32_t val)
{
	uint64_t mask = SMMU_Q_BASE_RWA | SMMU_Q_BASE_LOG2SIZE | (SMMU_Q_BASE_ADDR & nb_low_mask(v->caps.oas));

	if (high)
		queue->base = (queue->base & nb_low_mask(32)) | ((uint64_t)val << 32 & mask);
	else
		queue->base = (queue->base & ~nb_low_mask(32)) | (val & mask);
}

#define IRQ_ATTR ((uint32_t)(SMMU_IRQ_CFG2_MEMATTR | SMMU_IRQ_CFG2_SH))
#define GERRORS                                                                                                  \
	((uint32_t)(SMMU_GERROR_CMDQ_ERR | SMMU_GERROR_EVENTQ_ABT_ERR | SMMU_GERROR_PRIQ_ABT_ERR |               \
		    SMMU_GERROR_MSI_CMDQ_ABT_ERR | SMMU_GERROR_MSI_EVENTQ_ABT_ERR | SMMU_GERROR_MSI_PRIQ_ABT_ERR | \
		    SMMU_GERROR_MSI_GERROR_ABT_ERR | SMMU_GERROR_SFM_ERR | SMMU_GERROR_CMDQP_ERR))

bool smmu_event_write(struct smmu *v, uint64_t off, uint32_t val, struct smmu_msis *q)
{
	bool was, resume = false;

	(void)q;
	pthread_mutex_lock(&v->event_lock);
	was = writable_locked(v);
	switch (off) {
	case SMMU_REG_GERRORN:
		/* 6.3.20: toggling what is not active is software's error; here it changes nothing. */
		val = v->gerrorn ^ ((val ^ v->gerrorn) & (v->gerror ^ v->gerrorn) & GERRORS);
		resume = (val ^ v->gerrorn) & SMMU_GERROR_CMDQ_ERR;
		v->gerrorn = val;
		break;
	case SMMU_REG_GERROR_IRQ_CFG0:
	case SMMU_REG_GERROR_IRQ_CFG0 + 4:
	case SMMU_REG_GERROR_IRQ_CFG1:
	case SMMU_REG_GERROR_IRQ_CFG2:
		smmu_irq_write(v, &v->gerror_irq, (uint32_t)SMMU_IRQ_CTRL_GERROR, off - SMMU_REG_GERROR_IRQ_CFG0, val, IRQ_ATTR);
		break;
	case SMMU_REG_EVENTQ_BASE:
	case SMMU_REG_EVENTQ_BASE + 4:
		if (!v->eventqen)
			smmu_q_base_write(v, &v->evtq, off != SMMU_REG_EVENTQ_BASE, val);
		break;
	case SMMU_REG_EVENTQ_IRQ_CFG0:
	case SMMU_REG_EVENTQ_IRQ_CFG0 + 4:
	case SMMU_REG_EVENTQ_IRQ_CFG1:
	case SMMU_REG_EVENTQ_IRQ_CFG2:
		smmu_irq_write(v, &v->evtq_irq, (uint32_t)SMMU_IRQ_CTRL_EVENTQ, off - SMMU_REG_EVENTQ_IRQ_CFG0, val, IRQ_ATTR);
		break;
	case SMMU_REG_EVENTQ_PROD:
		if (!v->eventqen)
			v->evtq.prod = val & (uint32_t)(SMMU_Q_IDX | SMMU_Q_PROD_OVFLG);
		break;
	case SMMU_REG_EVENTQ_CONS:
		v->evtq.cons = val & (uint32_t)(SMMU_Q_IDX | SMMU_Q_CONS_OVACKFLG);
		v->merged[0] = 0;
		break;
	default:
		break;
	}
	if (!was && writable_locked(v))
		smmu_stall_wake_locked(v);
	pthread_mutex_unlock(&v->event_lock);
	return resume;
}

void smmu_event_reset(struct smmu *v)
{
	pthread_mutex_lock(&v->event_lock);
	memset(&v->evtq, 0, sizeof(v->evtq));
	memset(&v->evtq_irq, 0, sizeof(v->evtq_irq));
	memset(&v->gerror_irq, 0, sizeof(v->gerror_irq));
	memset(v->merged, 0, sizeof(v->merged));
	v->gerror = v->gerrorn = 0;
	v->eventqen = false;
	pthread_mutex_unlock(&v->event_lock);
}
