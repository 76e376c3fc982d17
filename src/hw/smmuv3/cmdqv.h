/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of the CMDQ-V beside an SMMU: cmdqv.c (what it is), cmdqv_regs.c (its registers), cmdqv_poll.c (its thread).
 *
 * Everything is under mmio_lock but what says otherwise. The page-0 registers of an LVCMDQ are words of a page that its guest has mapped, so
 * they change at any time and hold anything: each look fetches a word once, and what hardware owns (CONS of a queue that runs, STATUS, GERROR)
 * is kept here and only shown there.
 */
#ifndef NB_HW_SMMUV3_CMDQV_H
#define NB_HW_SMMUV3_CMDQV_H

#include "hw/smmuv3/model.h"
#include "spec/smmuv3/cmdqv.h"

#define CMDQV_MAX_VINTFS 64
#define CMDQV_MAX_VCMDQS 128
#define CMDQV_MAX_SIDS	 16
#define CMDQV_VER	 1
/* Registers of page 0 by the number of their word. */
#define CMDQV_WORDS 6
typedef _Atomic uint32_t cmdqv_word;

struct cmdqv_vintf {
	uint32_t config; /* HYP_OWN, VMID, EN as written */
	uint32_t sid_match[CMDQV_MAX_SIDS], sid_replace[CMDQV_MAX_SIDS];
	uint8_t lvcmdq[CMDQV_MAX_VCMDQS]; /* 1 + number of the VCMDQ, or 0: none */
	uint8_t nlvcmdqs;		  /* they are the first ones */
};

struct cmdqv_vcmdq {
	struct smmu_cmdq cq; /* CONS is the truth while the queue runs */
	struct smmu *smmu;
	struct cmdqv_vintf *vintf; /* null: not allocated */
	uint8_t index, lvcmdq;
	bool on;	 /* STATUS.EN_OK */
	bool error;	 /* stopped, and GERRORN has not said yet that software knows */
	uint32_t gerror;
	uint64_t cons_indx_base; /* kept, not used */
	/* Page-0 registers: of the LVCMDQ in its VINTF's page, else `own`. The thread reads them without the lock: both live as long as the model. */
	cmdqv_word *_Atomic regs;
	cmdqv_word own[CMDQV_WORDS];
	/* What was last acted on. Written under mmio_lock; hints to the thread. */
	_Atomic uint32_t seen_prod, seen_config, seen_gerrorn;
	_Atomic bool unfinished; /* there were more commands than are run at once */
};

struct smmu_cmdqv {
	struct smmu *smmu;
	unsigned int nvintfs, nvcmdqs, nsids;
	bool on; /* CONFIG.EN, STATUS.ENABLED */
	uint64_t int_mask;
	uint32_t alloc[CMDQV_MAX_VCMDQS]; /* CMDQ_ALLOC */
	struct cmdqv_vintf vintf[CMDQV_MAX_VINTFS];
	struct cmdqv_vcmdq vcmdq[CMDQV_MAX_VCMDQS];

	/* Page 0 of all VINTFs, one behind the other. Set at creation. */
	int fd;
	uint8_t *pages;

	/* The thread: cmdqv_poll.c. `lock` is taken under mmio_lock, and nothing under it. */
	_Atomic uint64_t live[CMDQV_MAX_VCMDQS / 64]; /* queues that nothing but the thread looks after; written under mmio_lock */
	_Atomic bool attention; /* held or stop was set: look */
	pthread_mutex_t lock;
	pthread_cond_t wake, parked;
	pthread_t thread;
	bool running, lost, stop, at_work; /* lock */
	unsigned int held;		   /* lock */
};

static inline bool cmdqv_vintf_on(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi)
{
	return c->on && (vi->config & CMDQV_VINTF_CONFIG_EN);
}
static inline uint32_t cmdqv_word_get(const struct cmdqv_vcmdq *q, unsigned int off)
{
	/* Acquire: what PROD or CONFIG announces, commands for one, was written before. */
	return atomic_load_explicit(&atomic_load_explicit(&q->regs, memory_order_acquire)[off / 4], memory_order_acquire);
}
static inline void cmdqv_word_put(struct cmdqv_vcmdq *q, unsigned int off, uint32_t val)
{
	/* Release: who sees CONS pass a command sees what it did. */
	atomic_store_explicit(&atomic_load_explicit(&q->regs, memory_order_relaxed)[off / 4], val, memory_order_release);
}

/* Does the thread look after the queue? */
static inline bool cmdqv_is_live(struct smmu_cmdqv *c, const struct cmdqv_vcmdq *q)
{
	return atomic_load_explicit(&c->live[q->index / 64], memory_order_relaxed) & BIT(q->index % 64);
}

/* ---- cmdqv.c ---- */

/*
 * Do what the queue's registers ask for, at most as many commands as its owner may run at once. True: there is more, after the messages
 * were sent. With mmio_lock.
 */
bool cmdqv_serve(struct cmdqv_vcmdq *q, struct smmu_msis *msis);
void cmdqv_config_write(struct smmu_cmdqv *c, uint32_t val);
void cmdqv_alloc_write(struct smmu_cmdqv *c, unsigned int index, uint32_t val);
void cmdqv_vintf_config_write(struct smmu_cmdqv *c, struct cmdqv_vintf *vi, uint32_t val);
/* Has a queue of the VINTF an error? */
bool cmdqv_vintf_error(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi);
/* The interrupt, if the VINTF's is not masked. */
void cmdqv_interrupt(struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, struct smmu_msis *msis);

/* ---- cmdqv_poll.c ---- */

void cmdqv_poll_init(struct smmu_cmdqv *c); /* also for what a fork left behind */
void cmdqv_poll_fini(struct smmu_cmdqv *c);
/* c->live has changed; with mmio_lock. False: there is work for a thread and none can be had. */
bool cmdqv_poll_update(struct smmu_cmdqv *c);

#endif
