/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers of the CMDQ-V as the host's kernel reaches them: reads and writes that trap, of 4 bytes or 8, naturally aligned.
 *
 * A write to a queue's registers is acted on before it returns, also where the thread would see it sooner or later, so that a kernel which turns
 * a queue off and reads STATUS finds it off.
 */
#include "hw/smmuv3/cmdqv.h"

/* What an offset in the block names. */
struct place {
	struct cmdqv_vcmdq *q;
	bool page1;
	uint32_t reg;
};

/* False: none of the queues' pages, or a queue that is not there. */
static bool queue_at(struct smmu_cmdqv *c, uint64_t off, struct place *p)
{
	uint64_t i = (off & (CMDQV_PAGE_SIZE - 1)) / CMDQV_VCMDQ_STEP, n;

	p->reg = (uint32_t)(off % CMDQV_VCMDQ_STEP);
	p->q = NULL;
	if (off < CMDQV_VCMDQ_PAGE0)
		return false;
	if (off < CMDQV_VINTF_PAGES) {
		p->page1 = off >= CMDQV_VCMDQ_PAGE1;
		if (i < c->nvcmdqs)
			p->q = &c->vcmdq[i];
	} else {
		n = (off - CMDQV_VINTF_PAGES) / CMDQV_VINTF_STEP;
		p->page1 = (off - CMDQV_VINTF_PAGES) % CMDQV_VINTF_STEP >= CMDQV_PAGE_SIZE;
		if (n < c->nvintfs && i < CMDQV_MAX_VCMDQS && c->vintf[n].lvcmdq[i])
			p->q = &c->vcmdq[c->vintf[n].lvcmdq[i] - 1];
	}
	return p->q;
}

static uint32_t half(uint64_t v, uint32_t off)
{
	return (uint32_t)(v >> (off & 4 ? 32 : 0));
}

static uint64_t with_half(uint64_t v, uint32_t off, uint32_t val)
{
	return off & 4 ? (v & nb_low_mask(32)) | (uint64_t)val << 32 : (v & ~nb_low_mask(32)) | val;
}

/* ---- queues ---- */

static uint32_t queue_read(const struct place *p)
{
	const struct cmdqv_vcmdq *q = p->q;

	if (p->page1)
		return p->reg < CMDQV_VCMDQ_CONS_INDX_BASE	 ? half(q->cq.q.base, p->reg) :
		       p->reg < CMDQV_VCMDQ_CONS_INDX_BASE + 8 ? half(q->cons_indx_base, p->reg) :
								 0;
	switch (p->reg) {
	/* A page may hold more than a register has bits for. */
	case CMDQV_VCMDQ_CONS:
		return q->on ? q->cq.q.cons : cmdqv_word_get(q, CMDQV_VCMDQ_CONS) & (uint32_t)(SMMU_CMDQ_CONS_ERR | SMMU_Q_IDX);
	case CMDQV_VCMDQ_PROD:
		return cmdqv_word_get(q, CMDQV_VCMDQ_PROD) & (uint32_t)SMMU_Q_IDX;
	case CMDQV_VCMDQ_CONFIG:
		return cmdqv_word_get(q, CMDQV_VCMDQ_CONFIG) & (uint32_t)CMDQV_VCMDQ_CONFIG_EN;
	case CMDQV_VCMDQ_GERRORN:
		return cmdqv_word_get(q, CMDQV_VCMDQ_GERRORN) & (uint32_t)CMDQV_VCMDQ_GERROR_CMDQ_ERR;
	case CMDQV_VCMDQ_STATUS:
		return q->on ? (uint32_t)CMDQV_VCMDQ_STATUS_EN_OK : 0;
	case CMDQV_VCMDQ_GERROR:
		return q->gerror;
	default:
		return 0;
	}
}

/* True: look at the queue. */
static bool queue_write(const struct place *p, uint32_t val)
{
	struct cmdqv_vcmdq *q = p->q;

	if (p->page1) {
		if (q->on)
			return false;
		if (p->reg < CMDQV_VCMDQ_CONS_INDX_BASE)
			q->cq.q.base = with_half(q->cq.q.base, p->reg, val) & (CMDQV_VCMDQ_BASE_LOG2SIZE | CMDQV_VCMDQ_BASE_ADDR);
		else if (p->reg < CMDQV_VCMDQ_CONS_INDX_BASE + 8)
			q->cons_indx_base = with_half(q->cons_indx_base, p->reg, val);
		return false;
	}
	switch (p->reg) {
	case CMDQV_VCMDQ_CONS:
		if (!q->on)
			cmdqv_word_put(q, CMDQV_VCMDQ_CONS, val & (uint32_t)SMMU_Q_IDX);
		return false;
	case CMDQV_VCMDQ_PROD:
		cmdqv_word_put(q, CMDQV_VCMDQ_PROD, val & (uint32_t)SMMU_Q_IDX);
		return true;
	case CMDQV_VCMDQ_CONFIG:
		cmdqv_word_put(q, CMDQV_VCMDQ_CONFIG, val & (uint32_t)CMDQV_VCMDQ_CONFIG_EN);
		return true;
	case CMDQV_VCMDQ_GERRORN:
		cmdqv_word_put(q, CMDQV_VCMDQ_GERRORN, val & (uint32_t)CMDQV_VCMDQ_GERROR_CMDQ_ERR);
		return true;
	default:
		return false;
	}
}

/* ---- the first page ---- */

static uint32_t err_map(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, unsigned int word)
{
	uint32_t map = 0;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		unsigned int n = 32 * word + i;

		if (vi ? n < vi->nlvcmdqs && c->vcmdq[vi->lvcmdq[n] - 1].error : n < c->nvcmdqs && c->vcmdq[n].error)
			map |= (uint32_t)BIT(i);
	}
	return map;
}

static uint64_t vintf_err_map(const struct smmu_cmdqv *c)
{
	uint64_t map = 0;
	unsigned int i;

	for (i = 0; i < c->nvintfs; i++)
		if (cmdqv_vintf_error(c, &c->vintf[i]))
			map |= BIT(i);
	return map;
}

static uint32_t vintf_read(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, uint32_t reg)
{
	unsigned int slot = reg / 4 % CMDQV_MAX_SIDS;

	if (reg == CMDQV_VINTF_CONFIG)
		return vi->config;
	if (reg == CMDQV_VINTF_STATUS)
		return cmdqv_vintf_on(c, vi) ? (uint32_t)CMDQV_VINTF_STATUS_ENABLED : 0;
	if (reg >= CMDQV_VINTF_LVCMDQ_ERR_MAP)
		return reg < CMDQV_VINTF_LVCMDQ_ERR_MAP + 16 ? err_map(c, vi, (reg - CMDQV_VINTF_LVCMDQ_ERR_MAP) / 4) : 0;
	if (reg >= CMDQV_VINTF_SID_REPLACE)
		return vi->sid_replace[slot];
	return reg >= CMDQV_VINTF_SID_MATCH ? vi->sid_match[slot] : 0;
}

static void vintf_write(struct smmu_cmdqv *c, struct cmdqv_vintf *vi, uint32_t reg, uint32_t val)
{
	unsigned int slot = reg / 4 % CMDQV_MAX_SIDS;

	if (reg == CMDQV_VINTF_CONFIG)
		cmdqv_vintf_config_write(c, vi, val);
	else if (reg >= CMDQV_VINTF_LVCMDQ_ERR_MAP || slot >= c->nsids || !c->on)
		return;
	else if (reg >= CMDQV_VINTF_SID_REPLACE)
		vi->sid_replace[slot] = val;
	else if (reg >= CMDQV_VINTF_SID_MATCH)
		vi->sid_match[slot] = val & (uint32_t)(CMDQV_SID_MATCH_EN | CMDQV_SID_MATCH_VSID);
}

static struct cmdqv_vintf *vintf_at(struct smmu_cmdqv *c, uint64_t off)
{
	uint64_t n = (off - CMDQV_REG_VINTF) / CMDQV_VINTF_REGS;

	return off >= CMDQV_REG_VINTF && n < c->nvintfs ? &c->vintf[n] : NULL;
}

static uint32_t read32(struct smmu_cmdqv *c, uint64_t off)
{
	const struct cmdqv_vintf *vi = vintf_at(c, off);
	struct place p;

	if (off >= CMDQV_PAGE_SIZE)
		return queue_at(c, off, &p) ? queue_read(&p) : 0;
	if (vi)
		return vintf_read(c, vi, (uint32_t)(off % CMDQV_VINTF_REGS));
	if (off >= CMDQV_REG_CMDQ_ALLOC)
		return off < CMDQV_REG_CMDQ_ALLOC + 4ul * c->nvcmdqs ? c->alloc[(off - CMDQV_REG_CMDQ_ALLOC) / 4] : 0;
	if (off >= CMDQV_REG_CMDQ_ERR_MAP)
		return off < CMDQV_REG_CMDQ_ERR_MAP + 16 ? err_map(c, NULL, (unsigned int)(off - CMDQV_REG_CMDQ_ERR_MAP) / 4) : 0;
	switch (off) {
	case CMDQV_REG_CONFIG:
	case CMDQV_REG_STATUS:
		return c->on;
	case CMDQV_REG_PARAM:
		return (uint32_t)(FIELD_C(CMDQV_PARAM_VER, CMDQV_VER) |
				  FIELD(CMDQV_PARAM_NUM_VCMDQ_LOG2, c->smmu->caps.cmdqv_vcmdqs_lg2) |
				  FIELD(CMDQV_PARAM_NUM_VINTF_LOG2, c->smmu->caps.cmdqv_vintfs_lg2) |
				  FIELD(CMDQV_PARAM_NUM_SID_PER_VM_LOG2, c->smmu->caps.cmdqv_sids_lg2));
	case CMDQV_REG_VINTF_ERR_MAP:
		return (uint32_t)vintf_err_map(c);
	case CMDQV_REG_VINTF_ERR_MAP + 4:
		return (uint32_t)(vintf_err_map(c) >> 32);
	case CMDQV_REG_VINTF_INT_MASK:
		return (uint32_t)c->int_mask;
	case CMDQV_REG_VINTF_INT_MASK + 4:
		return (uint32_t)(c->int_mask >> 32);
	default:
		return 0;
	}
}

/* The line is level: what is let through and active interrupts at once. */
static void int_mask_write(struct smmu_cmdqv *c, bool high, uint32_t val, struct smmu_msis *msis)
{
	uint64_t was = c->int_mask, map = vintf_err_map(c);

	c->int_mask = with_half(was, high ? 4 : 0, val) & nb_low_mask(c->nvintfs);
	if (map & was & ~c->int_mask)
		smmu_msi_queue(c->smmu, msis, SMMU_IRQ_CMDQV, 0, 0);
}

/* Null, or the queue to be looked at. */
static struct cmdqv_vcmdq *write32(struct smmu_cmdqv *c, uint64_t off, uint32_t val, struct smmu_msis *msis)
{
	struct cmdqv_vintf *vi = vintf_at(c, off);
	struct place p;

	if (off >= CMDQV_PAGE_SIZE)
		return queue_at(c, off, &p) && queue_write(&p, val) ? p.q : NULL;
	if (vi)
		vintf_write(c, vi, (uint32_t)(off % CMDQV_VINTF_REGS), val);
	else if (off == CMDQV_REG_CONFIG)
		cmdqv_config_write(c, val);
	else if (off == CMDQV_REG_VINTF_INT_MASK || off == CMDQV_REG_VINTF_INT_MASK + 4)
		int_mask_write(c, off != CMDQV_REG_VINTF_INT_MASK, val, msis);
	else if (off >= CMDQV_REG_CMDQ_ALLOC && off < CMDQV_REG_CMDQ_ALLOC + 4ul * c->nvcmdqs)
		cmdqv_alloc_write(c, (unsigned int)(off - CMDQV_REG_CMDQ_ALLOC) / 4, val);
	return NULL;
}

/* ---- from smmu_mmio_read() and smmu_mmio_write(): size and alignment were looked at ---- */

uint64_t smmu_cmdqv_read(struct smmu *v, uint64_t off, unsigned int size)
{
	uint64_t val;

	smmu_mmio_enter(v);
	val = read32(v->cmdqv, off);
	if (size == 8)
		val |= (uint64_t)read32(v->cmdqv, off + 4) << 32;
	pthread_mutex_unlock(&v->mmio_lock);
	return val;
}

void smmu_cmdqv_write(struct smmu *v, uint64_t off, unsigned int size, uint64_t val)
{
	struct smmu_msis msis = {.n = 0};
	struct cmdqv_vcmdq *q, *q2;
	bool more;

	smmu_mmio_enter(v);
	q = write32(v->cmdqv, off, (uint32_t)val, &msis);
	if (size == 8) {
		q2 = write32(v->cmdqv, off + 4, (uint32_t)(val >> 32), &msis);
		q = q2 ? q2 : q; /* the same one */
	}
	more = q && cmdqv_serve(q, &msis);
	pthread_mutex_unlock(&v->mmio_lock);
	smmu_msi_send(v, &msis);
	/* A guest's queue is the thread's from here: one that is never empty would keep us forever. */
	while (more && !cmdqv_is_live(v->cmdqv, q)) {
		smmu_mmio_enter(v);
		more = cmdqv_serve(q, &msis);
		pthread_mutex_unlock(&v->mmio_lock);
		smmu_msi_send(v, &msis);
	}
}
