/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests: the PRI queue, its overflow, responses that the SMMU makes by itself (chapter 8).
 *
 * A response goes to the requester before page_request() returns, without any lock but what its caller holds.
 */
#include "hw/smmuv3/model.h"

#include <string.h>

void smmu_page_respond(struct smmu *v, uint16_t sid, uint32_t pasid, unsigned int prgi, unsigned int code)
{
	const struct hw_client *c = v->hw.client ? v->hw.client(v->hw.client_opaque, sid) : NULL;

	NB_TRACE(v->hw.tr, hw_page_response, sid, pasid, prgi, code);
	if (c && c->page_response)
		c->page_response(c->opaque, pasid, prgi, code);
}

/* A stop marker: PASID, Last, and asks for nothing. */
static bool stop_marker(const struct hw_page_request *pr)
{
	return pr->pasid != NB_NO_PASID && pr->last && !(pr->access & (HW_READ | HW_WRITE));
}

static void make_entry(const struct smmu *v, const struct hw_page_request *pr, uint64_t e[2])
{
	e[0] = FIELD(SMMU_PRI_0_SID, pr->rid) | (pr->last ? SMMU_PRI_0_LAST : 0) | (pr->access & HW_WRITE ? SMMU_PRI_0_W : 0) |
	       (pr->access & HW_READ ? SMMU_PRI_0_R : 0);
	if (pr->pasid != NB_NO_PASID && v->caps.ssid_bits)
		e[0] |= SMMU_PRI_0_SSV | FIELD(SMMU_PRI_0_SSID, pr->pasid & NB_PASID_MAX) | (pr->priv ? SMMU_PRI_0_P : 0) |
			(pr->access & HW_EXEC ? SMMU_PRI_0_X : 0);
	e[1] = (pr->addr & SMMU_PRI_1_ADDR) | FIELD(SMMU_PRI_1_PRGI, pr->prgi & FIELD_MAX(SMMU_PRI_1_PRGI));
}

enum outcome { QUEUED, OVERFLOW, DISABLED };

static void interrupt_locked(struct smmu *v, struct smmu_msis *q)
{
	if (atomic_load_explicit(&v->irq_ctrl, memory_order_relaxed) & SMMU_IRQ_CTRL_PRIQ)
		smmu_msi_queue(v, q, SMMU_IRQ_PRIQ, v->priq_irq.addr, v->priq_irq.data);
}

static enum outcome put_locked(struct smmu *v, const struct hw_page_request *pr, struct smmu_msis *q)
{
	unsigned int lg2 = smmu_q_lg2(&v->priq, v->caps.priq_lg2);
	uint32_t lap = smmu_q_lap(lg2), attr = v->priq_irq.attr;
	uint64_t base = v->priq.base & SMMU_Q_BASE_ADDR & nb_low_mask(v->caps.oas) & ~nb_low_mask(lg2 < 1 ? 5 : 4 + lg2), e[2];
	le64_t out[2];
	bool was_empty;

	if (!v->priqen || !(atomic_load_explicit(&v->mode, memory_order_acquire) & SMMU_MODE_EN) ||
	    smmu_gerror_active(v, (uint32_t)SMMU_GERROR_PRIQ_ABT_ERR))
		return DISABLED;
	if (((v->priq.prod ^ v->priq.cons) & SMMU_Q_PROD_OVFLG) || smmu_q_full(&v->priq, lg2)) {
		if (((v->priq.prod ^ v->priq.cons) & SMMU_Q_PROD_OVFLG) == 0)
			v->priq.prod ^= (uint32_t)SMMU_Q_PROD_OVFLG;
		if ((attr & SMMU_PRIQ_IRQ_CFG2_LO) && pr->last) /* 6.3.36: for one that is discarded as well */
			interrupt_locked(v, q);
		return OVERFLOW;
	}
	make_entry(v, pr, e);
	out[0] = le64(e[0]);
	out[1] = le64(e[1]);
	if (mem_copy_to(v->hw.mem, hpa(base + 16ul * (v->priq.prod & (lap >> 1))), out, sizeof(out))) {
		smmu_gerror(v, (uint32_t)SMMU_GERROR_PRIQ_ABT_ERR, q);
		return DISABLED;
	}
	was_empty = smmu_q_empty(&v->priq, lg2);
	v->priq.prod = (v->priq.prod & (uint32_t)SMMU_Q_PROD_OVFLG) | ((v->priq.prod + 1) & lap);
	if (attr & SMMU_PRIQ_IRQ_CFG2_LO ? pr->last : was_empty)
		interrupt_locked(v, q);
	return QUEUED;
}

/*
 * 8.1: the response to a request that was lost to an overflow. With PASID, IDR3.PPS or the stream's PPAR say whether the response
 * has it too; where the STE cannot be had it is a failure without PASID, and an event if software asked for these.
 */
static void overflow_response(struct smmu *v, const struct hw_page_request *pr, struct smmu_msis *q)
{
	const struct hw_request req = {.rid = pr->rid, .pasid = pr->pasid, .addr = pr->addr};
	uint64_t seq = atomic_load_explicit(&v->tlb.inv_seq, memory_order_acquire);
	unsigned int code = HW_PAGE_SUCCESS;
	uint32_t pasid = pr->pasid;
	const struct smmu_dev *d;
	struct smmu_box box;
	struct smmu_why why = {.type = 0};
	struct hw_result res;

	if (pasid != NB_NO_PASID && !v->caps.ssid_bits) {
		pasid = NB_NO_PASID;
	} else if (pasid != NB_NO_PASID && !v->caps.pps) {
		nb_rcu_read_lock();
		d = smmu_config_dev(v, pr->rid, seq, &box, NULL, false, &why);
		if (d && d->bad)
			why.type = d->bad;
		if (!d || d->bad) {
			pasid = NB_NO_PASID;
			code = HW_PAGE_FAILURE;
		} else if (!d->ppar) {
			pasid = NB_NO_PASID;
		}
		nb_rcu_read_unlock();
	}
	if (code != HW_PAGE_SUCCESS && smmu_records_ats(v, why.type)) {
		smmu_fault(v, NULL, &req, &res, &why);
		smmu_event(v, res.fault.record, q);
	}
	smmu_page_respond(v, pr->rid, pasid, pr->prgi, code);
}

void smmu_page_request(struct hw_iommu *hw, const struct hw_page_request *pr)
{
	struct smmu *v = to_smmu(hw);
	struct smmu_msis q = {.n = 0};
	enum outcome how = DISABLED;

	NB_TRACE(hw->tr, hw_page_request, pr->rid, pr->pasid, pr->addr, pr->prgi);
	if (v->caps.pri) {
		pthread_mutex_lock(&v->prq_lock);
		how = put_locked(v, pr, &q);
		pthread_mutex_unlock(&v->prq_lock);
	}
	if (how != QUEUED)
		NB_TRACE(hw->tr, hw_page_request_lost, pr->rid, pr->addr, pr->prgi);
	if (how == DISABLED && !stop_marker(pr))
		smmu_page_respond(v, pr->rid, NB_NO_PASID, pr->prgi, HW_PAGE_FAILURE);
	else if (how == OVERFLOW && pr->last && !stop_marker(pr))
		overflow_response(v, pr, &q);
	smmu_msi_send(v, &q);
}

/* ---- registers ---- */

void smmu_prq_enable(struct smmu *v, bool on)
{
	pthread_mutex_lock(&v->prq_lock);
	v->priqen = on;
	pthread_mutex_unlock(&v->prq_lock);
}

bool smmu_prq_owns(uint64_t off)
{
	return (off >= SMMU_REG_PRIQ_BASE && off <= SMMU_REG_PRIQ_BASE + 4) ||
	       (off >= SMMU_REG_PRIQ_IRQ_CFG0 && off <= SMMU_REG_PRIQ_IRQ_CFG2) || off == SMMU_REG_PRIQ_PROD ||
	       off == SMMU_REG_PRIQ_CONS;
}

uint32_t smmu_prq_read(struct smmu *v, uint64_t off)
{
	uint32_t r = 0;

	pthread_mutex_lock(&v->prq_lock);
	switch (off) {
	case SMMU_REG_PRIQ_BASE:
		r = (uint32_t)v->priq.base;
		break;
	case SMMU_REG_PRIQ_BASE + 4:
		r = (uint32_t)(v->priq.base >> 32);
		break;
	case SMMU_REG_PRIQ_IRQ_CFG0:
		r = (uint32_t)v->priq_irq.addr;
		break;
	case SMMU_REG_PRIQ_IRQ_CFG0 + 4:
		r = (uint32_t)(v->priq_irq.addr >> 32);
		break;
	case SMMU_REG_PRIQ_IRQ_CFG1:
		r = v->priq_irq.data;
		break;
	case SMMU_REG_PRIQ_IRQ_CFG2:
		r = v->priq_irq.attr;
		break;
	case SMMU_REG_PRIQ_PROD:
		r = v->priq.prod & (smmu_q_lap(smmu_q_lg2(&v->priq, v->caps.priq_lg2)) | (uint32_t)SMMU_Q_PROD_OVFLG);
		break;
	case SMMU_REG_PRIQ_CONS:
		r = v->priq.cons;
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&v->prq_lock);
	return r;
}

void smmu_prq_write(struct smmu *v, uint64_t off, uint32_t val, struct smmu_msis *q)
{
	(void)q;
	if (!v->caps.pri)
		return;
	pthread_mutex_lock(&v->prq_lock);
	switch (off) {
	case SMMU_REG_PRIQ_BASE:
	case SMMU_REG_PRIQ_BASE + 4:
		if (!v->priqen)
			smmu_q_base_write(v, &v->priq, off != SMMU_REG_PRIQ_BASE, val);
		break;
	case SMMU_REG_PRIQ_IRQ_CFG2:
		/* LO is there without MSI too. */
		if (!(atomic_load_explicit(&v->irq_ctrl, memory_order_relaxed) & SMMU_IRQ_CTRL_PRIQ))
			v->priq_irq.attr = val & (uint32_t)(SMMU_PRIQ_IRQ_CFG2_LO |
							    (v->caps.msi ? SMMU_IRQ_CFG2_MEMATTR | SMMU_IRQ_CFG2_SH : 0));
		break;
	case SMMU_REG_PRIQ_IRQ_CFG0:
	case SMMU_REG_PRIQ_IRQ_CFG0 + 4:
	case SMMU_REG_PRIQ_IRQ_CFG1:
		smmu_irq_write(v, &v->priq_irq, (uint32_t)SMMU_IRQ_CTRL_PRIQ, off - SMMU_REG_PRIQ_IRQ_CFG0, val, 0);
		break;
	case SMMU_REG_PRIQ_PROD:
		if (!v->priqen)
			v->priq.prod = val & (uint32_t)(SMMU_Q_IDX | SMMU_Q_PROD_OVFLG);
		break;
	case SMMU_REG_PRIQ_CONS:
		v->priq.cons = val & (uint32_t)(SMMU_Q_IDX | SMMU_Q_CONS_OVACKFLG);
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&v->prq_lock);
}

void smmu_prq_reset(struct smmu *v)
{
	pthread_mutex_lock(&v->prq_lock);
	memset(&v->priq, 0, sizeof(v->priq));
	memset(&v->priq_irq, 0, sizeof(v->priq_irq));
	v->priqen = false;
	pthread_mutex_unlock(&v->prq_lock);
}
