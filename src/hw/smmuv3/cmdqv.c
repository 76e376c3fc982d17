/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CMDQ-V (spec/smmuv3/cmdqv.h): VINTFs, the VCMDQs that they are given, and what a guest may have in one.
 *
 * What no manual tells, and how it is here: CONFIG.EN cleared resets the block; LVCMDQs of a VINTF are allocated in ascending and taken back
 * in descending order, and a write to CMDQ_ALLOC that says otherwise changes nothing; a VCMDQ that is taken back is as after reset, so that nothing
 * of one guest's is left for the next; a VINTF's VMID and HYP_OWN are kept while it is enabled; an ATC invalidation for a StreamID that no slot matches,
 * and a CMD_SYNC that asks for a signal, are illegal commands. That a guest's queue takes only TLBI_NH_ASID, TLBI_NH_VA, ATC_INV and
 * CMD_SYNC, that CMD_SYNC knows no signal, and that a timeout stays with a queue that is disabled until CMDQ executes a CMD_SYNC, is what Linux
 * says of the hardware. A VINTF's page is memory also where silicon has no registers: what a guest left there is gone when the VINTF is enabled again.
 */
#include "hw/smmuv3/cmdqv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

static uint32_t vmid_of(const struct cmdqv_vintf *vi)
{
	return (uint32_t)FIELD_GET(CMDQV_VINTF_CONFIG_VMID, vi->config);
}

static bool hyp_own(const struct cmdqv_vintf *vi)
{
	return vi->config & CMDQV_VINTF_CONFIG_HYP_OWN;
}

/* ---- one queue ---- */

static struct cmdqv_vcmdq *to_vcmdq(struct smmu_cmdq *cq)
{
	return (struct cmdqv_vcmdq *)(void *)cq;
}
_Static_assert(offsetof(struct cmdqv_vcmdq, cq) == 0, "");

static bool runs(struct smmu *v, const struct smmu_cmdq *cq)
{
	const struct cmdqv_vcmdq *q = (const struct cmdqv_vcmdq *)(const void *)cq;

	(void)v;
	return q->on && !q->error;
}

static bool replace_sid(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, uint64_t *d0)
{
	uint64_t vsid = FIELD_GET(SMMU_CMD_0_SID, *d0);
	unsigned int i;

	for (i = 0; i < c->nsids; i++) {
		if (!(vi->sid_match[i] & CMDQV_SID_MATCH_EN) || FIELD_GET(CMDQV_SID_MATCH_VSID, vi->sid_match[i]) != vsid)
			continue;
		*d0 = (*d0 & ~SMMU_CMD_0_SID) | FIELD(SMMU_CMD_0_SID, vi->sid_replace[i]);
		return true;
	}
	return false;
}

static bool admit(struct smmu *v, struct smmu_cmdq *cq, uint64_t d[2])
{
	const struct cmdqv_vintf *vi = to_vcmdq(cq)->vintf;
	uint64_t op = FIELD_GET(SMMU_CMD_0_OP, d[0]);

	if (op == SMMU_CMD_SYNC)
		return FIELD_GET(SMMU_CMD_SYNC_0_CS, d[0]) == SMMU_SYNC_NONE;
	if (hyp_own(vi))
		return true;
	switch (op) {
	case SMMU_CMD_TLBI_NH_ASID:
	case SMMU_CMD_TLBI_NH_VA:
		d[0] = (d[0] & ~SMMU_CMD_TLBI_0_VMID) | FIELD(SMMU_CMD_TLBI_0_VMID, vmid_of(vi));
		return true;
	case SMMU_CMD_ATC_INV:
		return replace_sid(v->cmdqv, vi, &d[0]);
	default:
		return false;
	}
}

static void show_cons(struct cmdqv_vcmdq *q)
{
	cmdqv_word_put(q, CMDQV_VCMDQ_CONS, q->cq.q.cons);
}

/* A grace period is as long as the longest DMA that is under way: one is enough under mmio_lock. */
static bool moved(struct smmu *v, struct smmu_cmdq *cq)
{
	bool waited = cq->waited;

	(void)v;
	cq->waited = false;
	show_cons(to_vcmdq(cq));
	return !waited;
}

static void stop(struct smmu *v, struct smmu_cmdq *cq, unsigned int err, struct smmu_msis *msis)
{
	struct cmdqv_vcmdq *q = to_vcmdq(cq);

	cq->q.cons = (uint32_t)((cq->q.cons & SMMU_Q_IDX) | FIELD(SMMU_CMDQ_CONS_ERR, err));
	q->error = true;
	q->gerror ^= (uint32_t)CMDQV_VCMDQ_GERROR_CMDQ_ERR;
	show_cons(q);
	cmdqv_word_put(q, CMDQV_VCMDQ_GERROR, q->gerror);
	cmdqv_interrupt(v->cmdqv, q->vintf, msis);
}

/* So many that taking mmio_lock does not count, and so few that who waits for it does not wait long. */
static const struct smmu_cmdq_owner vcmdq_owner = {
	.most = 64,
	.runs = runs,
	.admit = admit,
	.moved = moved,
	.stop = stop,
};

static void switch_queue(struct cmdqv_vcmdq *q, bool on)
{
	q->on = on;
	if (on) { /* from where software says */
		q->cq.q.cons = cmdqv_word_get(q, CMDQV_VCMDQ_CONS) & (uint32_t)SMMU_Q_IDX;
		show_cons(q);
	}
	cmdqv_word_put(q, CMDQV_VCMDQ_STATUS, on ? (uint32_t)CMDQV_VCMDQ_STATUS_EN_OK : 0);
}

bool cmdqv_serve(struct cmdqv_vcmdq *q, struct smmu_msis *msis)
{
	const struct smmu_cmdqv *c = q->smmu->cmdqv;
	uint32_t config = cmdqv_word_get(q, CMDQV_VCMDQ_CONFIG), gerrorn = cmdqv_word_get(q, CMDQV_VCMDQ_GERRORN);
	uint32_t prod = cmdqv_word_get(q, CMDQV_VCMDQ_PROD);
	bool on = q->vintf && cmdqv_vintf_on(c, q->vintf) && (config & CMDQV_VCMDQ_CONFIG_EN), more;

	atomic_store_explicit(&q->seen_config, config, memory_order_relaxed);
	atomic_store_explicit(&q->seen_gerrorn, gerrorn, memory_order_relaxed);
	atomic_store_explicit(&q->seen_prod, prod, memory_order_relaxed);
	if (q->error && !((gerrorn ^ q->gerror) & CMDQV_VCMDQ_GERROR_CMDQ_ERR))
		q->error = false;
	if (on != q->on)
		switch_queue(q, on);
	q->cq.q.prod = prod & (uint32_t)SMMU_Q_IDX;
	q->cq.one_vmid = on && !hyp_own(q->vintf);
	more = smmu_cmdq_run(q->smmu, &q->cq, msis);
	atomic_store_explicit(&q->unfinished, more, memory_order_relaxed);
	return more;
}

/* As after reset, but for where it belongs. */
static void clear_queue(struct cmdqv_vcmdq *q)
{
	unsigned int i;

	q->cq = (struct smmu_cmdq){.owner = &vcmdq_owner};
	q->on = q->error = false;
	atomic_store_explicit(&q->unfinished, false, memory_order_relaxed);
	q->gerror = 0;
	q->cons_indx_base = 0;
	for (i = 0; i < CMDQV_WORDS; i++)
		cmdqv_word_put(q, 4 * i, 0);
	atomic_store_explicit(&q->seen_prod, 0, memory_order_relaxed);
	atomic_store_explicit(&q->seen_config, 0, memory_order_relaxed);
	atomic_store_explicit(&q->seen_gerrorn, 0, memory_order_relaxed);
}

/* ---- which queues are whose ---- */

static cmdqv_word *lvcmdq_regs(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, unsigned int l)
{
	return (cmdqv_word *)(void *)(c->pages + (size_t)(vi - c->vintf) * CMDQV_PAGE_SIZE + l * CMDQV_VCMDQ_STEP);
}

/* The page is the next guest's: nothing in it but registers of its own. Nobody has it mapped yet. */
static void clear_page(struct smmu_cmdqv *c, const struct cmdqv_vintf *vi)
{
	uint8_t *page = c->pages + (size_t)(vi - c->vintf) * CMDQV_PAGE_SIZE;
	unsigned int l;

	for (l = 0; l < CMDQV_MAX_VCMDQS; l++) {
		size_t regs = vi->lvcmdq[l] ? CMDQV_WORDS * sizeof(cmdqv_word) : 0;

		memset(page + l * CMDQV_VCMDQ_STEP + regs, 0, CMDQV_VCMDQ_STEP - regs);
	}
	memset(page + CMDQV_MAX_VCMDQS * CMDQV_VCMDQ_STEP, 0, CMDQV_PAGE_SIZE - CMDQV_MAX_VCMDQS * CMDQV_VCMDQ_STEP);
}

/* Queues of enabled guest VINTFs are the thread's to look after. False: there is none. */
static bool update_live(struct smmu_cmdqv *c)
{
	uint64_t live[ARRAY_SIZE(c->live)] = {0};
	unsigned int i;

	for (i = 0; i < c->nvcmdqs; i++) {
		struct cmdqv_vcmdq *q = &c->vcmdq[i];

		if (!q->vintf || !cmdqv_vintf_on(c, q->vintf) || hyp_own(q->vintf))
			continue;
		live[i / 64] |= BIT(i % 64);
		/* What its registers ask for may have been seen when it could not be done. */
		if (!cmdqv_is_live(c, q))
			atomic_store_explicit(&q->unfinished, true, memory_order_relaxed);
	}
	for (i = 0; i < ARRAY_SIZE(live); i++)
		atomic_store_explicit(&c->live[i], live[i], memory_order_release);
	return cmdqv_poll_update(c);
}

static void take_back(struct smmu_cmdqv *c, struct cmdqv_vcmdq *q)
{
	bool lost = q->cq.atc_lost;

	clear_queue(q); /* its words in the page too */
	q->cq.atc_lost = lost;
	q->vintf->lvcmdq[q->lvcmdq] = 0;
	q->vintf->nlvcmdqs--;
	q->vintf = NULL;
	atomic_store_explicit(&q->regs, q->own, memory_order_release);
	c->alloc[q->index] &= ~(uint32_t)CMDQV_CMDQ_ALLOC_ALLOCATED;
}

static bool give(struct smmu_cmdqv *c, struct cmdqv_vcmdq *q)
{
	unsigned int n = (unsigned int)FIELD_GET(CMDQV_CMDQ_ALLOC_VINTF, c->alloc[q->index]), i;
	unsigned int l = (unsigned int)FIELD_GET(CMDQV_CMDQ_ALLOC_LVCMDQ, c->alloc[q->index]);
	struct cmdqv_vintf *vi = &c->vintf[n];
	cmdqv_word *regs;

	if (n >= c->nvintfs || l >= c->nvcmdqs || l != vi->nlvcmdqs)
		return false;
	regs = lvcmdq_regs(c, vi, l);
	/* The page may hold what the guest wrote where nothing was. */
	for (i = 0; i < CMDQV_WORDS; i++) /* those that it comes back to are as after reset */
		atomic_store_explicit(&regs[i], atomic_exchange_explicit(&q->own[i], 0, memory_order_relaxed), memory_order_release);
	atomic_store_explicit(&q->regs, regs, memory_order_release);
	q->vintf = vi;
	q->lvcmdq = (uint8_t)l;
	vi->lvcmdq[l] = (uint8_t)(q->index + 1);
	vi->nlvcmdqs++;
	c->alloc[q->index] |= (uint32_t)CMDQV_CMDQ_ALLOC_ALLOCATED;
	return true;
}

void cmdqv_alloc_write(struct smmu_cmdqv *c, unsigned int index, uint32_t val)
{
	struct cmdqv_vcmdq *q = &c->vcmdq[index];

	if (!c->on)
		return;
	if (q->vintf) {
		if ((val & CMDQV_CMDQ_ALLOC_ALLOCATED) || q->lvcmdq + 1 != q->vintf->nlvcmdqs)
			return;
		take_back(c, q);
		update_live(c);
		return;
	}
	c->alloc[index] = val & (uint32_t)(CMDQV_CMDQ_ALLOC_LVCMDQ | CMDQV_CMDQ_ALLOC_VINTF);
	if ((val & CMDQV_CMDQ_ALLOC_ALLOCATED) && give(c, q) && !update_live(c)) {
		take_back(c, q);
		update_live(c);
	}
}

static void stop_vintf(struct smmu_cmdqv *c, struct cmdqv_vintf *vi)
{
	unsigned int l;

	vi->config &= ~(uint32_t)CMDQV_VINTF_CONFIG_EN;
	for (l = 0; l < vi->nlvcmdqs; l++)
		if (c->vcmdq[vi->lvcmdq[l] - 1].on)
			switch_queue(&c->vcmdq[vi->lvcmdq[l] - 1], false);
}

void cmdqv_vintf_config_write(struct smmu_cmdqv *c, struct cmdqv_vintf *vi, uint32_t val)
{
	val &= (uint32_t)(CMDQV_VINTF_CONFIG_EN | CMDQV_VINTF_CONFIG_VMID | CMDQV_VINTF_CONFIG_HYP_OWN);
	if (!c->on)
		return;
	if (!(vi->config & CMDQV_VINTF_CONFIG_EN)) {
		vi->config = val;
		if (val & CMDQV_VINTF_CONFIG_EN)
			clear_page(c, vi);
		/* Queues that it has from before are the thread's from now on. */
		if ((val & CMDQV_VINTF_CONFIG_EN) && !update_live(c))
			vi->config &= ~(uint32_t)CMDQV_VINTF_CONFIG_EN;
	} else if (!(val & CMDQV_VINTF_CONFIG_EN)) {
		stop_vintf(c, vi);
	} else {
		return;
	}
	update_live(c);
}

static void clear_all(struct smmu_cmdqv *c)
{
	unsigned int i;

	c->on = false;
	c->int_mask = 0;
	for (i = 0; i < c->nvcmdqs; i++)
		clear_queue(&c->vcmdq[i]);
	for (i = 0; i < c->nvcmdqs; i++) {
		c->vcmdq[i].vintf = NULL;
		atomic_store_explicit(&c->vcmdq[i].regs, c->vcmdq[i].own, memory_order_release);
	}
	memset(c->alloc, 0, sizeof(c->alloc));
	memset(c->vintf, 0, sizeof(c->vintf));
	update_live(c);
}

void cmdqv_config_write(struct smmu_cmdqv *c, uint32_t val)
{
	bool on = val & CMDQV_CONFIG_EN;

	if (c->on && !on)
		clear_all(c);
	c->on = on;
}

/* ---- errors ---- */

bool cmdqv_vintf_error(const struct smmu_cmdqv *c, const struct cmdqv_vintf *vi)
{
	unsigned int l;

	for (l = 0; l < vi->nlvcmdqs; l++)
		if (c->vcmdq[vi->lvcmdq[l] - 1].error)
			return true;
	return false;
}

void cmdqv_interrupt(struct smmu_cmdqv *c, const struct cmdqv_vintf *vi, struct smmu_msis *msis)
{
	if (!(c->int_mask & BIT((unsigned int)(vi - c->vintf))))
		smmu_msi_queue(c->smmu, msis, SMMU_IRQ_CMDQV, 0, 0);
}

void smmu_cmdqv_synced(struct smmu *v)
{
	unsigned int i;

	v->vcmdq_lost = false;
	for (i = 0; v->cmdqv && i < v->cmdqv->nvcmdqs; i++) {
		struct cmdqv_vcmdq *q = &v->cmdqv->vcmdq[i];

		q->cq.atc_lost = q->cq.atc_lost && q->on;
		v->vcmdq_lost |= q->cq.atc_lost;
	}
}

/* ---- life ---- */

void smmu_cmdqv_reset(struct smmu *v)
{
	if (v->cmdqv)
		clear_all(v->cmdqv);
}

uint64_t smmu_cmdqv_size(const struct smmu_caps *c)
{
	return CMDQV_VINTF_PAGES + ((uint64_t)CMDQV_VINTF_STEP << c->cmdqv_vintfs_lg2);
}

int smmu_cmdqv_create(struct smmu *v)
{
	struct smmu_cmdqv *c = nb_zalloc(sizeof(*c));
	size_t size;
	void *p;
	unsigned int i;
	int err;

	if (!c)
		return -ENOMEM;
	c->smmu = v;
	c->nvintfs = 1u << v->caps.cmdqv_vintfs_lg2;
	c->nvcmdqs = 1u << v->caps.cmdqv_vcmdqs_lg2;
	c->nsids = 1u << v->caps.cmdqv_sids_lg2;
	size = (size_t)c->nvintfs * CMDQV_PAGE_SIZE;
	c->fd = nb_should_fail() ? -1 : memfd_create("nestbox-cmdqv", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	err = -ENOMEM;
	if (c->fd < 0)
		goto out_free;
	/* Nobody who has it mapped can take it away from under us. */
	if (ftruncate(c->fd, (off_t)size) || fcntl(c->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto out_close;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (p == MAP_FAILED)
		goto out_close;
	c->pages = p;
	cmdqv_poll_init(c);
	for (i = 0; i < c->nvcmdqs; i++) {
		struct cmdqv_vcmdq *q = &c->vcmdq[i];

		q->smmu = v;
		q->index = (uint8_t)i;
		q->cq.owner = &vcmdq_owner;
		atomic_store_explicit(&q->regs, q->own, memory_order_relaxed);
	}
	v->cmdqv = c;
	return 0;
out_close:
	close(c->fd);
out_free:
	nb_free(c);
	return err;
}

void smmu_cmdqv_destroy(struct smmu *v)
{
	struct smmu_cmdqv *c = v->cmdqv;

	if (!c)
		return;
	cmdqv_poll_fini(c);
	munmap(c->pages, (size_t)c->nvintfs * CMDQV_PAGE_SIZE);
	close(c->fd);
	nb_free(c);
}
