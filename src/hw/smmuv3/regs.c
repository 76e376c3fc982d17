/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The register file (6.3): ID registers, controls and their acknowledgements, stream table, command queue.
 *
 * Accesses of 4 or 8 bytes, naturally aligned; others read as zero and write nothing. Every access is cut into 32-bit
 * pieces. An update is complete when the write returns, so CR0ACK and IRQ_CTRLACK follow at once and GBPA.Update reads zero.
 * Writes to guarded registers while their guard is up are ignored (the one choice that v3.2 leaves).
 *
 * The model's own registers cannot be reached by DMA: an access inside a read section would deadlock with the grace
 * period that an update waits for, so it reads as ones and writes nothing.
 */
#include "hw/smmuv3/model.h"

static uint32_t cr0_bits(const struct smmu *v)
{
	return (uint32_t)(SMMU_CR0_SMMUEN | SMMU_CR0_EVENTQEN | SMMU_CR0_CMDQEN | (v->caps.pri ? SMMU_CR0_PRIQEN : 0) |
			  (v->caps.ats ? SMMU_CR0_ATSCHK : 0) | (v->caps.vmw ? SMMU_CR0_VMW : 0));
}

static uint32_t cr2_bits(const struct smmu *v)
{
	return (uint32_t)(SMMU_CR2_RECINVSID | (v->caps.hyp ? SMMU_CR2_E2H : 0) |
			  (v->caps.ats_rec_err ? SMMU_CR2_REC_CFG_ATS : 0));
}

#define CR1_TABLE (SMMU_CR1_TABLE_IC | SMMU_CR1_TABLE_OC | SMMU_CR1_TABLE_SH)
#define CR1_QUEUE (SMMU_CR1_QUEUE_IC | SMMU_CR1_QUEUE_OC | SMMU_CR1_QUEUE_SH)
#define QUEUES	  (SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN | SMMU_CR0_PRIQEN)

/* What translations look at: SMMUEN and, of the other controls, what counts while it is set. */
static void set_mode(struct smmu *v)
{
	uint32_t mode = (v->cr0 & SMMU_CR0_SMMUEN ? SMMU_MODE_EN : 0) | (v->cr0 & SMMU_CR0_ATSCHK ? SMMU_MODE_ATSCHK : 0) |
			(v->cr2 & SMMU_CR2_E2H ? SMMU_MODE_E2H : 0) | (v->cr2 & SMMU_CR2_RECINVSID ? SMMU_MODE_RECINVSID : 0) |
			(v->cr2 & SMMU_CR2_REC_CFG_ATS ? SMMU_MODE_REC_CFG_ATS : 0);

	atomic_store_explicit(&v->mode, mode, memory_order_release);
}

/* 6.3.9. Each change is complete when this returns. */
static void write_cr0(struct smmu *v, uint32_t val)
{
	uint32_t changed;

	val &= cr0_bits(v);
	changed = val ^ v->cr0;
	if (changed & val & SMMU_CR0_SMMUEN) { /* 0 to 1: what was written to the guarded registers counts from here */
		atomic_store_explicit(&v->strtab, v->strtab_base & SMMU_STRTAB_BASE_ADDR, memory_order_release);
		atomic_store_explicit(&v->strtab_cfg, v->strtab_base_cfg, memory_order_release);
	}
	v->cr0 = val;
	set_mode(v);
	if (changed & (SMMU_CR0_SMMUEN | SMMU_CR0_ATSCHK))
		nb_rcu_synchronize();
	if (changed & ~val & SMMU_CR0_SMMUEN)
		smmu_stall_term(v, 0, true);
	if (changed & SMMU_CR0_EVENTQEN)
		smmu_event_enable(v, val & SMMU_CR0_EVENTQEN);
	if (changed & SMMU_CR0_PRIQEN)
		smmu_prq_enable(v, val & SMMU_CR0_PRIQEN);
}

/* 6.3.14.1 */
static void write_gbpa(struct smmu *v, uint32_t val)
{
	if (!(val & SMMU_GBPA_UPDATE))
		return;
	val &= (uint32_t)(SMMU_GBPA_ABORT | SMMU_GBPA_INSTCFG | SMMU_GBPA_PRIVCFG | SMMU_GBPA_SHCFG | SMMU_GBPA_ALLOCCFG |
			  SMMU_GBPA_MTCFG | SMMU_GBPA_MEMATTR);
	atomic_store_explicit(&v->gbpa, val, memory_order_release);
	nb_rcu_synchronize();
}

/* 6.3.16. Messages go out before the write that caused them returns, so there are none left to wait for but other threads'. */
static void write_irq_ctrl(struct smmu *v, uint32_t val)
{
	val &= (uint32_t)(SMMU_IRQ_CTRL_GERROR | SMMU_IRQ_CTRL_EVENTQ | (v->caps.pri ? SMMU_IRQ_CTRL_PRIQ : 0));
	/* Under both locks, so that who queues a message or changes a configuration has seen the one or the other. */
	pthread_mutex_lock(&v->prq_lock);
	pthread_mutex_lock(&v->event_lock);
	atomic_store_explicit(&v->irq_ctrl, val, memory_order_release);
	pthread_mutex_unlock(&v->event_lock);
	pthread_mutex_unlock(&v->prq_lock);
}

static uint32_t read32(struct smmu *v, uint64_t off)
{
	if (smmu_event_owns(off))
		return smmu_event_read(v, off);
	if (unlikely(smmu_ecmdq_owns(v, off)))
		return smmu_ecmdq_read(v, off);
	if (smmu_prq_owns(off))
		return smmu_prq_read(v, off);
	switch (off) {
	case SMMU_REG_IDR0:
		return v->id.idr0;
	case SMMU_REG_IDR1:
		return v->id.idr1;
	case SMMU_REG_IDR2:
		return v->id.idr2;
	case SMMU_REG_IDR3:
		return v->id.idr3;
	case SMMU_REG_IDR4:
		return v->id.idr4;
	case SMMU_REG_IDR5:
		return v->id.idr5;
	case SMMU_REG_IIDR:
		return v->id.iidr;
	case SMMU_REG_AIDR:
		return v->id.aidr;
	case SMMU_REG_CR0:
	case SMMU_REG_CR0ACK:
		return v->cr0;
	case SMMU_REG_CR1:
		return v->cr1;
	case SMMU_REG_CR2:
		return v->cr2;
	case SMMU_REG_GBPA:
		return atomic_load_explicit(&v->gbpa, memory_order_relaxed);
	case SMMU_REG_AGBPA:
		return v->agbpa;
	case SMMU_REG_IRQ_CTRL:
	case SMMU_REG_IRQ_CTRLACK:
		return atomic_load_explicit(&v->irq_ctrl, memory_order_relaxed);
	case SMMU_REG_STRTAB_BASE:
		return (uint32_t)v->strtab_base;
	case SMMU_REG_STRTAB_BASE + 4:
		return (uint32_t)(v->strtab_base >> 32);
	case SMMU_REG_STRTAB_BASE_CFG:
		return v->strtab_base_cfg;
	case SMMU_REG_CMDQ_BASE:
		return (uint32_t)v->cmdq.q.base;
	case SMMU_REG_CMDQ_BASE + 4:
		return (uint32_t)(v->cmdq.q.base >> 32);
	case SMMU_REG_CMDQ_PROD:
		return v->cmdq.q.prod;
	case SMMU_REG_CMDQ_CONS: /* RD reads zero above the wrap bit, as WR of the others does (6.3.28, 6.3.95) */
		return v->cmdq.q.cons & (smmu_q_lap(smmu_q_lg2(&v->cmdq.q, v->caps.cmdq_lg2)) | (uint32_t)SMMU_CMDQ_CONS_ERR);
	default: /* STATUSR: never dormant */
		return 0;
	}
}

static void strtab_write(struct smmu *v, bool high, uint32_t val)
{
	uint64_t mask = SMMU_STRTAB_BASE_RA | (SMMU_STRTAB_BASE_ADDR & nb_low_mask(v->caps.oas));

	if (high)
		v->strtab_base = (v->strtab_base & nb_low_mask(32)) | ((uint64_t)val << 32 & mask);
	else
		v->strtab_base = (v->strtab_base & ~nb_low_mask(32)) | (val & mask);
}

/* A command queue that is to be looked at, or null. */
static struct smmu_cmdq *write32(struct smmu *v, uint64_t off, uint32_t val, struct smmu_msis *q)
{
	bool enabled = v->cr0 & SMMU_CR0_SMMUEN, cmdqen = v->cr0 & SMMU_CR0_CMDQEN;
	bool queues = (v->cr0 & QUEUES) || smmu_ecmdq_any_on(v);

	if (smmu_event_owns(off))
		return smmu_event_write(v, off, val, q) ? &v->cmdq : NULL;
	if (smmu_prq_owns(off)) {
		smmu_prq_write(v, off, val, q);
		return NULL;
	}
	if (unlikely(smmu_ecmdq_owns(v, off)))
		return smmu_ecmdq_write(v, off, val);
	switch (off) {
	case SMMU_REG_CR0:
		write_cr0(v, val);
		return &v->cmdq;
	case SMMU_REG_CR1:
		v->cr1 = (v->cr1 & ~(uint32_t)((enabled ? 0 : CR1_TABLE) | (queues ? 0 : CR1_QUEUE))) |
			 (val & (uint32_t)((enabled ? 0 : CR1_TABLE) | (queues ? 0 : CR1_QUEUE)));
		break;
	case SMMU_REG_CR2:
		if (!enabled) {
			v->cr2 = val & cr2_bits(v);
			set_mode(v);
		}
		break;
	case SMMU_REG_GBPA:
		write_gbpa(v, val);
		break;
	case SMMU_REG_AGBPA:
		v->agbpa = 0; /* implementation defined: nothing is */
		break;
	case SMMU_REG_IRQ_CTRL:
		write_irq_ctrl(v, val);
		break;
	case SMMU_REG_STRTAB_BASE:
	case SMMU_REG_STRTAB_BASE + 4:
		if (!enabled)
			strtab_write(v, off != SMMU_REG_STRTAB_BASE, val);
		break;
	case SMMU_REG_STRTAB_BASE_CFG:
		if (!enabled)
			v->strtab_base_cfg = val & (uint32_t)(SMMU_STRTAB_BASE_CFG_LOG2SIZE |
							      (v->caps.st_2level ? SMMU_STRTAB_BASE_CFG_SPLIT |
											   SMMU_STRTAB_BASE_CFG_FMT :
										   0));
		break;
	case SMMU_REG_CMDQ_BASE:
	case SMMU_REG_CMDQ_BASE + 4:
		if (!cmdqen)
			smmu_q_base_write(v, &v->cmdq.q, off != SMMU_REG_CMDQ_BASE, val);
		break;
	case SMMU_REG_CMDQ_PROD:
		v->cmdq.q.prod = val & (uint32_t)SMMU_Q_IDX;
		return &v->cmdq;
	case SMMU_REG_CMDQ_CONS: /* ERR ignores what is written */
		if (!cmdqen)
			v->cmdq.q.cons = (v->cmdq.q.cons & (uint32_t)SMMU_CMDQ_CONS_ERR) | (val & (uint32_t)SMMU_Q_IDX);
		break;
	default:
		break;
	}
	return NULL;
}

static bool access_ok(const struct smmu *v, uint64_t off, unsigned int size)
{
	return (size == 4 || size == 8) && off % size == 0 && off < v->hw.mmio_size;
}

uint64_t smmu_mmio_read(struct hw_iommu *hw, uint64_t off, unsigned int size)
{
	struct smmu *v = to_smmu(hw);
	uint64_t val;

	if (!access_ok(v, off, size))
		return 0;
	if (nb_rcu_in_section())
		return nb_low_mask(size * 8);
	if (unlikely(off >= SMMU_CMDQV_BASE)) {
		val = smmu_cmdqv_read(v, off - SMMU_CMDQV_BASE, size);
	} else {
		smmu_mmio_enter(v);
		val = read32(v, off);
		if (size == 8)
			val |= (uint64_t)read32(v, off + 4) << 32;
		pthread_mutex_unlock(&v->mmio_lock);
	}
	NB_TRACE(hw->tr, hw_mmio_read, off, size, val);
	return val;
}

void smmu_mmio_write(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t val)
{
	struct smmu *v = to_smmu(hw);
	struct smmu_msis q = {.n = 0};
	struct smmu_cmdq *run, *high;
	bool more;

	if (!access_ok(v, off, size) || nb_rcu_in_section())
		return;
	NB_TRACE(hw->tr, hw_mmio_write, off, size, val);
	if (unlikely(off >= SMMU_CMDQV_BASE)) {
		smmu_cmdqv_write(v, off - SMMU_CMDQV_BASE, size, val);
		return;
	}
	smmu_mmio_enter(v);
	run = write32(v, off, (uint32_t)val, &q);
	if (size == 8) {
		high = write32(v, off + 4, (uint32_t)(val >> 32), &q);
		run = high ? high : run; /* no two queues are 4 bytes apart */
	}
	more = run && smmu_cmdq_run(v, run, &q);
	pthread_mutex_unlock(&v->mmio_lock);
	smmu_msi_send(v, &q);
	while (more) {
		smmu_mmio_enter(v);
		more = smmu_cmdq_run(v, run, &q);
		pthread_mutex_unlock(&v->mmio_lock);
		smmu_msi_send(v, &q);
	}
}

void smmu_regs_reset(struct smmu *v)
{
	v->cr0 = v->cr1 = v->cr2 = v->agbpa = 0;
	v->strtab_base = 0;
	v->strtab_base_cfg = 0;
	v->cmdq = (struct smmu_cmdq){.owner = &smmu_cmdq_host};
	v->lost_sid = -1;
	atomic_store_explicit(&v->strtab, 0, memory_order_release);
	atomic_store_explicit(&v->strtab_cfg, 0, memory_order_release);
	/* SHCFG: use incoming; nothing aborts. */
	atomic_store_explicit(&v->gbpa, (uint32_t)FIELD_C(SMMU_GBPA_SHCFG, SMMU_SHCFG_INCOMING), memory_order_release);
	atomic_store_explicit(&v->irq_ctrl, 0, memory_order_release);
	set_mode(v);
}
