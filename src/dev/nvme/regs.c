/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Controller registers (NVMe 1.4, 3.1): what BAR 0 answers, enable, disable and shutdown (7.6), doorbells.
 *
 * Registers are dwords; an 8-byte access is two of them. Writes of 1 and 2 bytes are undefined in 3.1 and do nothing here.
 */
#include "dev/nvme/nvme.h"

#define DOORBELL_VALUE BITS(15, 0)

static uint64_t cap(void)
{
	return FIELD_C(NVME_CAP_MQES, NVME_MAX_ENTRIES - 1) | NVME_CAP_CQR | FIELD_C(NVME_CAP_TO, 20) |
	       NVME_CAP_CSS_NVM | FIELD_C(NVME_CAP_MPSMAX, NVME_PAGE_LG2_MAX - NVME_PAGE_LG2_MIN);
}

static uint32_t read32_locked(struct nvme *n, uint64_t off)
{
	switch (off) {
	case NVME_CAP:
		return (uint32_t)cap();
	case NVME_CAP + 4:
		return (uint32_t)(cap() >> 32);
	case NVME_VS:
		return NVME_VS_1_4;
	case NVME_INTMS:
	case NVME_INTMC:
		return atomic_load_explicit(&n->intms, memory_order_relaxed);
	case NVME_CC:
		return n->cc;
	case NVME_CSTS:
		return atomic_load_explicit(&n->csts, memory_order_relaxed);
	case NVME_AQA:
		return n->aqa;
	case NVME_ASQ:
		return (uint32_t)n->asq;
	case NVME_ASQ + 4:
		return (uint32_t)(n->asq >> 32);
	case NVME_ACQ:
		return (uint32_t)n->acq;
	case NVME_ACQ + 4:
		return (uint32_t)(n->acq >> 32);
	default:
		return 0; /* reserved, or a feature whose register reads 0 when it is absent; doorbells too */
	}
}

uint64_t nvme_bar_read(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size)
{
	struct nvme *n = nvme_of(fn);
	uint64_t base = nb_align_down(off, 4), v;

	(void)bar; /* only BAR 0 comes here */
	(void)size;
	pthread_rwlock_rdlock(&n->state);
	v = read32_locked(n, base);
	if (size == 8)
		v |= (uint64_t)read32_locked(n, base + 4) << 32;
	pthread_rwlock_unlock(&n->state);
	return v >> 8 * (off - base);
}

static void enable_locked(struct nvme *n)
{
	unsigned int page_lg2 = NVME_PAGE_LG2_MIN + (unsigned int)FIELD_GET(NVME_CC_MPS, (uint64_t)n->cc);
	uint32_t asqs = (uint32_t)FIELD_GET(NVME_AQA_ASQS, (uint64_t)n->aqa) + 1;
	uint32_t acqs = (uint32_t)FIELD_GET(NVME_AQA_ACQS, (uint64_t)n->aqa) + 1;

	/* 7.6.1: what cannot work is a fatal status, and RDY stays 0. */
	if (page_lg2 > NVME_PAGE_LG2_MAX || (n->cc & (NVME_CC_CSS | NVME_CC_AMS)) || asqs < 2 || acqs < 2 ||
	    !nb_aligned(n->asq, BIT(page_lg2)) || !nb_aligned(n->acq, BIT(page_lg2))) {
		nvme_fatal(n);
		return;
	}
	n->page_lg2 = page_lg2;
	nvme_features_reset(n);
	nvme_cq_init(&n->cq[0], 0, n->acq, acqs, true, 0);
	nvme_sq_init(&n->sq[0], 0, n->asq, asqs, &n->cq[0]);
	atomic_store_explicit(&n->csts, (uint32_t)NVME_CSTS_RDY, memory_order_relaxed);
}

void nvme_disable_locked(struct nvme *n)
{
	for (unsigned int i = 0; i <= n->nqueues; i++) {
		if (n->sq[i].live)
			nvme_sq_drop(&n->sq[i]);
	}
	for (unsigned int i = 0; i <= n->nqueues; i++) {
		if (n->cq[i].live)
			nvme_cq_drop(n, &n->cq[i]);
	}
	nvme_events_reset(n);
	atomic_store_explicit(&n->intms, 0, memory_order_relaxed);
	atomic_store_explicit(&n->csts, 0, memory_order_relaxed);
}

static void write_cc_locked(struct nvme *n, uint32_t v)
{
	uint32_t was = n->cc;

	if (!(was & NVME_CC_EN) || !(v & NVME_CC_EN)) {
		n->cc = v & (uint32_t)(NVME_CC_WRITABLE | NVME_CC_EN);
	} else {
		/* While enabled only the entry sizes (before I/O queues exist) and the shutdown request may change. */
		uint32_t may = (uint32_t)(NVME_CC_SHN | NVME_CC_IOSQES | NVME_CC_IOCQES);

		n->cc = (was & ~may) | (v & may);
	}
	if ((was & NVME_CC_EN) && !(v & NVME_CC_EN))
		nvme_disable_locked(n);
	if (!(was & NVME_CC_EN) && (v & NVME_CC_EN))
		enable_locked(n);
	if ((n->cc & NVME_CC_SHN) && !(was & NVME_CC_SHN)) {
		/* 7.6.2. A flush that fails has nowhere to go; the host asked the controller to end. */
		(void)nvme_ns_flush(&n->ns);
		atomic_fetch_or_explicit(&n->csts, (uint32_t)FIELD_C(NVME_CSTS_SHST, NVME_CSTS_SHST_DONE),
					 memory_order_relaxed);
	}
}

/* Interrupt masks, 3.1.3: for INTx and MSI; MSI-X has its own. */
static void write_mask_locked(struct nvme *n, uint32_t set, uint32_t clear, struct nvme_work *w)
{
	uint32_t was = atomic_load_explicit(&n->intms, memory_order_relaxed);
	uint64_t cqs = atomic_load_explicit(&n->irq_cqs, memory_order_relaxed);

	if (pci_irq_mode(&n->fn) == PCI_MODE_MSIX)
		return;
	atomic_store_explicit(&n->intms, (was | set) & ~clear, memory_order_relaxed);
	for (; cqs; cqs &= cqs - 1) { /* a message that the mask swallowed leaves now */
		uint64_t vector = BIT(n->cq[__builtin_ctzll(cqs)].vector);

		if (vector & was & clear)
			w->vectors |= vector;
	}
}

static void write32_locked(struct nvme *n, uint64_t off, uint32_t v, struct nvme_work *w)
{
	bool off_line = !(n->cc & NVME_CC_EN);

	switch (off) {
	case NVME_INTMS:
		write_mask_locked(n, v, 0, w);
		break;
	case NVME_INTMC:
		write_mask_locked(n, 0, v, w);
		break;
	case NVME_CC:
		write_cc_locked(n, v);
		break;
	case NVME_AQA: /* 3.1.9 to 3.1.11: only while disabled */
		if (off_line)
			n->aqa = v & (uint32_t)(NVME_AQA_ASQS | NVME_AQA_ACQS);
		break;
	case NVME_ASQ:
		if (off_line)
			n->asq = (n->asq & ~(uint64_t)UINT32_MAX) | nb_align_down(v, 4096);
		break;
	case NVME_ASQ + 4:
		if (off_line)
			n->asq = (n->asq & UINT32_MAX) | (uint64_t)v << 32;
		break;
	case NVME_ACQ:
		if (off_line)
			n->acq = (n->acq & ~(uint64_t)UINT32_MAX) | nb_align_down(v, 4096);
		break;
	case NVME_ACQ + 4:
		if (off_line)
			n->acq = (n->acq & UINT32_MAX) | (uint64_t)v << 32;
		break;
	default:
		break;
	}
}

static void doorbell(struct nvme *n, uint64_t off, uint32_t v, struct nvme_work *w)
{
	uint64_t index = (off - NVME_DOORBELLS) / 4;
	unsigned int qid = (unsigned int)(index / 2);
	uint32_t value = (uint32_t)FIELD_GET(DOORBELL_VALUE, (uint64_t)v);

	if (qid == 0)
		pthread_rwlock_wrlock(&n->state);
	else
		pthread_rwlock_rdlock(&n->state);
	if (nvme_running(n)) {
		if (index & 1)
			nvme_cq_doorbell(n, qid, value, w);
		else
			nvme_sq_doorbell(n, qid, value, w);
		if (qid == 0) /* a new request for events, a log read, or room in the queue */
			nvme_events_deliver(n, w);
	}
	pthread_rwlock_unlock(&n->state);
}

void nvme_bar_write(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v)
{
	struct nvme *n = nvme_of(fn);
	struct nvme_work w = {0};

	(void)bar;
	if (size < 4)
		return;
	if (off >= NVME_DOORBELLS) {
		if (size == 4) /* 3.1.24: doorbells are dwords */
			doorbell(n, off, (uint32_t)v, &w);
	} else {
		pthread_rwlock_wrlock(&n->state);
		write32_locked(n, off, (uint32_t)v, &w);
		if (size == 8)
			write32_locked(n, off + 4, (uint32_t)(v >> 32), &w);
		pthread_rwlock_unlock(&n->state);
	}
	nvme_finish(n, &w);
}

void nvme_finish(struct nvme *n, struct nvme_work *w)
{
	uint64_t now;

	if (unlikely(atomic_load_explicit(&n->events_new, memory_order_relaxed))) {
		pthread_rwlock_wrlock(&n->state);
		nvme_events_deliver(n, w);
		pthread_rwlock_unlock(&n->state);
	}
	switch (pci_irq_mode(&n->fn)) {
	case PCI_MODE_MSIX:
		now = w->vectors;
		if (n->pace && now & ~BIT(0)) { /* vector 0 is the admin queue's */
			nvme_pace_send(n->pace, now & ~BIT(0));
			now &= BIT(0);
		}
		pci_message(&n->fn, now);
		break;
	case PCI_MODE_MSI:
		pci_message(&n->fn, w->vectors & ~(uint64_t)atomic_load_explicit(&n->intms, memory_order_relaxed));
		break;
	case PCI_MODE_INTX:
		pthread_mutex_lock(&n->intx_lock);
		pci_intx_level(&n->fn, atomic_load_explicit(&n->irq_cqs, memory_order_acquire) != 0 &&
					       !(atomic_load_explicit(&n->intms, memory_order_relaxed) & BIT(0)));
		pthread_mutex_unlock(&n->intx_lock);
		pci_irq_update(&n->fn);
		break;
	}
}
