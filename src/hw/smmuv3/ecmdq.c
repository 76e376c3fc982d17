/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Enhanced Command queue interfaces (3.5.6, 6.2.5): Command queue control pages and the ECMDQs in them.
 *
 * A queue is enabled or disabled when the write to its PROD returns, so ENACK follows EN at once. Where software makes ERRACK differ from ERR
 * by itself, nothing is consumed, one of the choices of 3.5.6.3. ERR_REASON stays after the acknowledgement. All under mmio_lock.
 */
#include "hw/smmuv3/model.h"

#include <errno.h>
#include <limits.h>

#include "base/alloc.h"

struct ecmdq {
	struct smmu_cmdq cq; /* q.prod and q.cons as the registers read, ENACK and ERR included */
};

struct smmu_ecmdqs {
	unsigned int npages, nqueues; /* queues of a page */
	unsigned int non;	      /* enabled queues */
	struct ecmdq q[];
};

static bool enabled(const struct smmu_cmdq *cq)
{
	return cq->q.cons & SMMU_ECMDQ_CONS_ENACK;
}

static bool runs(struct smmu *v, const struct smmu_cmdq *cq)
{
	(void)v;
	return enabled(cq) && !(cq->q.prod & SMMU_ECMDQ_PROD_ERRACK) == !(cq->q.cons & SMMU_ECMDQ_CONS_ERR);
}

/* 3.5.6.3: the reason and the index before GERROR says that there is one. */
static void stop(struct smmu *v, struct smmu_cmdq *cq, unsigned int err, struct smmu_msis *msis)
{
	cq->q.cons &= ~(uint32_t)SMMU_ECMDQ_CONS_ERR_REASON;
	cq->q.cons |= (uint32_t)FIELD(SMMU_ECMDQ_CONS_ERR_REASON, err);
	cq->q.cons ^= (uint32_t)SMMU_ECMDQ_CONS_ERR;
	smmu_gerror(v, (uint32_t)SMMU_GERROR_CMDQP_ERR, msis);
}

static const struct smmu_cmdq_owner owner = {
	.most = UINT_MAX,
	.runs = runs,
	.stop = stop,
};

static uint64_t control_regs_end(const struct smmu_ecmdqs *e)
{
	return SMMU_REG_CMDQ_CONTROL_PAGE_BASE + (uint64_t)SMMU_CMDQ_CONTROL_PAGE_STEP * e->npages;
}

bool smmu_ecmdq_owns(const struct smmu *v, uint64_t off)
{
	return v->ecmdqs && (off == SMMU_REG_IDR6 || off >= SMMU_REGS_SIZE ||
			     (off >= SMMU_REG_CMDQ_CONTROL_PAGE_BASE && off < control_regs_end(v->ecmdqs)));
}

/* Queues are spread evenly; null: between two of them. */
static struct ecmdq *queue_at(struct smmu_ecmdqs *e, uint64_t off, uint32_t *reg)
{
	uint64_t in = off - SMMU_REGS_SIZE, page = in / SMMU_CMDQ_CONTROL_PAGE_SIZE;
	uint32_t step = SMMU_CMDQ_CONTROL_PAGE_SIZE / e->nqueues;

	*reg = (uint32_t)(in % step);
	return page < e->npages && *reg < 16 ? &e->q[page * e->nqueues + in % SMMU_CMDQ_CONTROL_PAGE_SIZE / step] : NULL;
}

uint32_t smmu_ecmdq_read(const struct smmu *v, uint64_t off)
{
	struct smmu_ecmdqs *e = v->ecmdqs;
	const struct ecmdq *q;
	uint64_t base;
	uint32_t reg;

	if (off == SMMU_REG_IDR6)
		return v->id.idr6;
	if (off < SMMU_REGS_SIZE) {
		base = SMMU_CMDQ_CONTROL_PAGE_BASE_PRESET | FIELD_C(SMMU_CMDQ_CONTROL_PAGE_BASE_CMDQGS, SMMU_CMDQGS_64K) |
		       (SMMU_REGS_SIZE + (off - SMMU_REG_CMDQ_CONTROL_PAGE_BASE) / SMMU_CMDQ_CONTROL_PAGE_STEP *
						 SMMU_CMDQ_CONTROL_PAGE_SIZE);
		switch (SMMU_REG_CMDQ_CONTROL_PAGE_BASE + off % SMMU_CMDQ_CONTROL_PAGE_STEP) {
		case SMMU_REG_CMDQ_CONTROL_PAGE_BASE:
			return (uint32_t)base;
		case SMMU_REG_CMDQ_CONTROL_PAGE_CFG:
			return (uint32_t)SMMU_CMDQ_CONTROL_PAGE_CFG_EN;
		case SMMU_REG_CMDQ_CONTROL_PAGE_STATUS:
			return (uint32_t)SMMU_CMDQ_CONTROL_PAGE_STATUS_ENACK;
		default:
			return 0; /* the offset's upper half, too: pages lie low */
		}
	}
	q = queue_at(e, off, &reg);
	if (!q)
		return 0;
	switch (reg) {
	case SMMU_ECMDQ_PROD:
		return q->cq.q.prod;
	case SMMU_ECMDQ_CONS:
		return q->cq.q.cons;
	default:
		return (uint32_t)(reg == SMMU_ECMDQ_BASE ? q->cq.q.base : q->cq.q.base >> 32);
	}
}

struct smmu_cmdq *smmu_ecmdq_write(struct smmu *v, uint64_t off, uint32_t val)
{
	struct smmu_ecmdqs *e = v->ecmdqs;
	const uint32_t index = (uint32_t)SMMU_Q_IDX;
	struct smmu_cmdq *cq;
	struct ecmdq *q;
	uint32_t reg;

	if (off < SMMU_REGS_SIZE)
		return NULL;
	q = queue_at(e, off, &reg);
	if (!q)
		return NULL;
	cq = &q->cq;
	switch (reg) {
	case SMMU_ECMDQ_PROD:
		cq->q.prod = val & (uint32_t)(SMMU_ECMDQ_PROD_EN | SMMU_ECMDQ_PROD_ERRACK | SMMU_Q_IDX);
		if (enabled(cq) != !!(val & SMMU_ECMDQ_PROD_EN)) {
			cq->q.cons ^= (uint32_t)SMMU_ECMDQ_CONS_ENACK;
			e->non = enabled(cq) ? e->non + 1 : e->non - 1;
		}
		return cq;
	case SMMU_ECMDQ_CONS:
		/* RD, and what makes ERR and ERRACK consistent again (3.5.6.3). ENACK is EN's. */
		if (!enabled(cq))
			cq->q.cons = val & (uint32_t)(SMMU_ECMDQ_CONS_ERR_REASON | SMMU_ECMDQ_CONS_ERR | index);
		return NULL;
	default:
		if (!enabled(cq))
			smmu_q_base_write(v, &cq->q, reg != SMMU_ECMDQ_BASE, val);
		return NULL;
	}
}

bool smmu_ecmdq_any_on(const struct smmu *v)
{
	return v->ecmdqs && v->ecmdqs->non;
}

void smmu_ecmdq_reset(struct smmu *v)
{
	struct smmu_ecmdqs *e = v->ecmdqs;
	unsigned int i;

	if (!e)
		return;
	e->non = 0;
	for (i = 0; i < e->npages * e->nqueues; i++)
		e->q[i].cq = (struct smmu_cmdq){.owner = &owner};
}

int smmu_ecmdq_create(struct smmu *v)
{
	unsigned int pages = 1u << v->caps.ecmdq_pages_lg2, queues = 1u << v->caps.ecmdq_queues_lg2;
	struct smmu_ecmdqs *e = nb_zalloc(sizeof(*e) + (size_t)pages * queues * sizeof(e->q[0]));

	if (!e)
		return -ENOMEM;
	e->npages = pages;
	e->nqueues = queues;
	v->ecmdqs = e;
	smmu_ecmdq_reset(v);
	return 0;
}

void smmu_ecmdq_destroy(struct smmu *v)
{
	nb_free(v->ecmdqs);
}
