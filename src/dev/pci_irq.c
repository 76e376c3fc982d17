/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of a function: INTx, MSI with masks, MSI-X with its table and pending bits.
 *
 * A vector that is sent becomes pending and everything that is pending, enabled and not masked is taken out under the lock
 * and told to the bus after it has been dropped. So a mask, an unmask and a message may race: the message
 * leaves exactly once. Messages are memory writes: without bus master they stay pending. What is written, and where, is read
 * together with the decision to send, under the same lock, so that a message never mixes two programmings of its vector.
 * A message that stalls in the IOMMU is sent again when the stall ends in a retry, as its vector is programmed then.
 *
 * INTx is a level. Threads that change it may reach the bus out of order, so one thread at a time tells the bus
 * (intx_busy) and goes on until what it told is what is wanted.
 */
#include "dev/pci.h"

#include <string.h>

#define MSI_CTL		0x02
#define MSI_CTL_EN	BIT(0)
#define MSI_CTL_MME	BITS(6, 4)
#define MSI_ADDR	0x04 /* and its upper half: the capability is the 64-bit one */
#define MSI_DATA	0x0c
#define MSI_MASK	0x10
#define MSI_PENDING	0x14
#define MSIX_CTL	0x02
#define MSIX_CTL_MASK	BIT(14)
#define MSIX_CTL_EN	BIT(15)
#define MSIX_ENTRY_MASK BIT(0)

void pci_irq_reset_locked(struct dev_fn *fn)
{
	memset(fn->msix_table, 0, sizeof(fn->msix_table));
	for (unsigned int i = 0; i < fn->nmsix; i++)
		fn->msix_table[i].control = MSIX_ENTRY_MASK;
	fn->msix_masked = nb_low_mask(fn->nmsix);
	fn->pending = 0;
	fn->stalled = 0;
	fn->intx_level = false;
}

/* How many messages software allowed: never more than there are, whatever it wrote. */
static unsigned int msi_allowed(const struct dev_fn *fn)
{
	unsigned int lg2 = (unsigned int)FIELD_GET(MSI_CTL_MME, pci_get16(fn->config + fn->msi + MSI_CTL));
	unsigned int n = 1u << lg2;

	return n > fn->nmsi ? fn->nmsi : n;
}

static uint64_t take_deliverable_locked(struct dev_fn *fn, enum pci_irq_mode mode)
{
	uint64_t open = 0, set;

	if (mode == PCI_MODE_MSIX) {
		if (!(pci_get16(fn->config + fn->msix + MSIX_CTL) & MSIX_CTL_MASK))
			open = ~fn->msix_masked;
	} else if (mode == PCI_MODE_MSI) {
		open = ~(uint64_t)pci_get32(fn->config + fn->msi + MSI_MASK) & nb_low_mask(msi_allowed(fn));
	}
	if (!atomic_load_explicit(&fn->master_on, memory_order_relaxed))
		open = 0;
	set = fn->pending & open;
	fn->pending &= ~set;
	if (fn->msi)
		pci_put32(fn->config + fn->msi + MSI_PENDING, mode == PCI_MODE_MSI ? (uint32_t)fn->pending : 0);
	return set;
}

static void tell_intx_locked(struct dev_fn *fn, enum pci_irq_mode mode)
{
	bool status = (fn->intx_level || fn->board_level) && mode == PCI_MODE_INTX;

	fn->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
	if (status)
		fn->config[PCI_STATUS] |= (uint8_t)PCI_STATUS_INTX;
	if (fn->intx_busy)
		return; /* that thread looks again before it leaves */
	fn->intx_busy = true;
	for (;;) {
		bool line = (fn->config[PCI_STATUS] & PCI_STATUS_INTX) &&
			    !(pci_get16(fn->config + PCI_COMMAND) & PCI_COMMAND_NOINTX);

		if (line == fn->intx_sent)
			break;
		fn->intx_sent = line;
		pthread_mutex_unlock(&fn->lock);
		fn->bus.irq(fn->bus.opaque, DEV_IRQ_INTX, 0, line);
		pthread_mutex_lock(&fn->lock);
	}
	fn->intx_busy = false;
}

struct message {
	uint64_t addr;
	uint32_t data;
};

/* What the function writes for a vector. MSI: the low bits of the data are the vector's number, 6.8.1.6 of PCI 3.0. */
static struct message message_locked(const struct dev_fn *fn, enum pci_irq_mode mode, unsigned int vector)
{
	const struct pci_msix_entry *e = &fn->msix_table[vector];
	const uint8_t *c = fn->config + fn->msi;

	if (mode == PCI_MODE_MSIX)
		return (struct message){.addr = e->addr_lo | (uint64_t)e->addr_hi << 32, .data = e->data};
	return (struct message){.addr = pci_get32(c + MSI_ADDR) | (uint64_t)pci_get32(c + MSI_ADDR + 4) << 32,
				.data = (pci_get16(c + MSI_DATA) & ~(msi_allowed(fn) - 1)) | vector};
}

/*
 * They wait in the IOMMU; msg is of the vectors in `set`. A retry that was asked for since `retried` was read may have been theirs, and nobody would
 * tell us again: returns them then, to be sent once more. If it was not, they stall once more. (An abort that came as early is not noticed: the
 * message waits for nothing until a later end at the same place.)
 */
static __attribute__((cold, noinline)) uint64_t keep_stalled(struct dev_fn *fn, uint64_t waits, uint64_t set, const struct message *msg,
							      uint32_t retried)
{
	uint64_t again = 0;

	pthread_mutex_lock(&fn->lock);
	if (fn->stalls_retried != retried) {
		again = waits;
	} else {
		fn->stalled |= waits;
		for (; set; set &= set - 1, msg++)
			if (waits & FIELD_LSB(set))
				fn->stalled_at[__builtin_ctzll(set)] = msg->addr;
	}
	pthread_mutex_unlock(&fn->lock);
	return again;
}

/* Returns what has to be sent again at once. */
static uint64_t update_once(struct dev_fn *fn, uint64_t send)
{
	struct message msg[PCI_MAX_MSIX]; /* of the vectors in `set`, in their order */
	unsigned int n = 0, passage = 0;
	uint64_t set, left, waits = 0;
	enum pci_irq_mode mode;
	uint32_t retried;

	pthread_mutex_lock(&fn->lock);
	mode = pci_irq_mode(fn);
	if (mode == PCI_MODE_MSI) {
		unsigned int allowed = msi_allowed(fn);

		for (; send; send &= send - 1)
			fn->pending |= BIT((unsigned int)__builtin_ctzll(send) & (allowed - 1));
	} else if (mode == PCI_MODE_MSIX) {
		fn->pending |= send & nb_low_mask(fn->nmsix);
	}
	set = take_deliverable_locked(fn, mode);
	if (fn->bus.msi)
		for (left = set; left; left &= left - 1)
			msg[n++] = message_locked(fn, mode, (unsigned int)__builtin_ctzll(left));
	if (n)
		passage = nb_drain_enter(&fn->sending);
	retried = fn->stalls_retried;
	tell_intx_locked(fn, mode);
	pthread_mutex_unlock(&fn->lock);

	if (fn->bus.msi) {
		for (n = 0, left = set; left; left &= left - 1, n++)
			if (unlikely(fn->bus.msi(fn->bus.opaque, msg[n].addr, msg[n].data) == -EAGAIN))
				waits |= FIELD_LSB(left);
		if (n)
			nb_drain_leave(&fn->sending, passage);
		return unlikely(waits) ? keep_stalled(fn, waits, set, msg, retried) : 0;
	}
	for (; set; set &= set - 1)
		fn->bus.irq(fn->bus.opaque, mode == PCI_MODE_MSIX ? DEV_IRQ_MSIX : DEV_IRQ_MSI,
			    (unsigned int)__builtin_ctzll(set), true);
	return 0;
}

static void update(struct dev_fn *fn, uint64_t send)
{
	do {
		send = update_once(fn, send);
	} while (unlikely(send));
}

void pci_message_stall_done(struct dev_fn *fn, uint64_t addr, bool all, enum dev_stall_end end)
{
	uint64_t mine = 0, left;

	pthread_mutex_lock(&fn->lock);
	fn->stalls_retried += end == DEV_STALL_RETRY;
	for (left = fn->stalled; left; left &= left - 1)
		if (all || fn->stalled_at[__builtin_ctzll(left)] == addr)
			mine |= FIELD_LSB(left);
	fn->stalled &= ~mine;
	pthread_mutex_unlock(&fn->lock);
	if (mine && end == DEV_STALL_RETRY)
		update(fn, mine);
}

void pci_message(struct dev_fn *fn, uint64_t vectors)
{
	if (vectors && pci_irq_mode(fn) != PCI_MODE_INTX)
		update(fn, vectors);
}

void pci_intx_level(struct dev_fn *fn, bool level)
{
	pthread_mutex_lock(&fn->lock);
	fn->intx_level = level;
	pthread_mutex_unlock(&fn->lock);
}

void pci_irq_update(struct dev_fn *fn)
{
	update(fn, 0);
}

bool dev_intx_pending(struct dev_fn *fn)
{
	bool line;

	pthread_mutex_lock(&fn->lock);
	line = (fn->config[PCI_STATUS] & PCI_STATUS_INTX) &&
	       !(pci_get16(fn->config + PCI_COMMAND) & PCI_COMMAND_NOINTX);
	pthread_mutex_unlock(&fn->lock);
	return line;
}

int dev_irq_enable(struct dev_fn *fn, enum dev_irq kind, unsigned int n)
{
	enum pci_irq_mode before = pci_irq_mode(fn);
	unsigned int max = kind == DEV_IRQ_MSIX ? fn->nmsix : kind == DEV_IRQ_MSI ? fn->nmsi :
							       fn->initial[PCI_INT_PIN];
	uint8_t *ctl;

	if (n > max || max == 0)
		return -EINVAL;
	pthread_mutex_lock(&fn->lock);
	fn->stalled = 0; /* messages of a mode or an owner that is gone */
	switch (kind) {
	case DEV_IRQ_MSIX:
		ctl = fn->config + fn->msix + MSIX_CTL;
		pci_put16(ctl, (uint16_t)((pci_get16(ctl) & ~(MSIX_CTL_EN | MSIX_CTL_MASK)) | (n ? MSIX_CTL_EN : 0)));
		for (unsigned int i = 0; i < fn->nmsix; i++)
			fn->msix_table[i].control = i < n ? 0 : MSIX_ENTRY_MASK;
		fn->msix_masked = nb_low_mask(fn->nmsix) & ~nb_low_mask(n);
		break;
	case DEV_IRQ_MSI:
		ctl = fn->config + fn->msi + MSI_CTL;
		pci_put16(ctl, (uint16_t)(pci_get16(ctl) & ~(MSI_CTL_MME | MSI_CTL_EN)));
		if (n) {
			unsigned int lg2 = n > 1 ? nb_ilog2(n - 1) + 1 : 0;

			pci_put16(ctl, (uint16_t)(pci_get16(ctl) | FIELD(MSI_CTL_MME, lg2) | MSI_CTL_EN));
		}
		pci_put32(fn->config + fn->msi + MSI_MASK, 0);
		break;
	case DEV_IRQ_INTX:
		ctl = fn->config + PCI_COMMAND;
		pci_put16(ctl, (uint16_t)((pci_get16(ctl) & ~PCI_COMMAND_NOINTX) | (n ? 0 : PCI_COMMAND_NOINTX)));
		break;
	}
	pci_shadow_locked(fn);
	pthread_mutex_unlock(&fn->lock);
	if (pci_irq_mode(fn) != before && fn->ops->irq_mode_changed)
		fn->ops->irq_mode_changed(fn);
	pci_irq_update(fn);
	return 0;
}

int dev_irq_message(struct dev_fn *fn, enum dev_irq kind, unsigned int vector, uint64_t addr, uint32_t data)
{
	struct pci_msix_entry *e = &fn->msix_table[vector < PCI_MAX_MSIX ? vector : 0];
	uint8_t *c = fn->config + fn->msi;

	if (kind == DEV_IRQ_MSIX ? vector >= fn->nmsix : kind != DEV_IRQ_MSI || fn->nmsi == 0 || vector > 0)
		return -EINVAL;
	addr &= ~UINT64_C(3);
	pthread_mutex_lock(&fn->lock);
	if (kind == DEV_IRQ_MSIX) {
		e->addr_lo = (uint32_t)addr;
		e->addr_hi = (uint32_t)(addr >> 32);
		e->data = data;
	} else {
		pci_put32(c + MSI_ADDR, (uint32_t)addr);
		pci_put32(c + MSI_ADDR + 4, (uint32_t)(addr >> 32));
		pci_put16(c + MSI_DATA, (uint16_t)data);
	}
	pthread_mutex_unlock(&fn->lock);
	nb_drain_wait(&fn->sending); /* as a kernel reads back after it has written */
	return 0;
}

/* The table and the pending bits are dwords; 6.8.2 leaves 1- and 2-byte writes undefined: they do nothing here. */
static uint32_t msix_dword(const struct dev_fn *fn, uint64_t off)
{
	const struct pci_msix_entry *e;

	if (off >= PCI_MSIX_PBA) {
		off -= PCI_MSIX_PBA;
		if (off >= 8 || pci_irq_mode((struct dev_fn *)(uintptr_t)fn) != PCI_MODE_MSIX)
			return 0;
		return (uint32_t)(fn->pending >> 8 * off);
	}
	if (off / sizeof(*e) >= fn->nmsix)
		return 0;
	e = &fn->msix_table[off / sizeof(*e)];
	switch (off % sizeof(*e)) {
	case 0:
		return e->addr_lo;
	case 4:
		return e->addr_hi;
	case 8:
		return e->data;
	default:
		return e->control;
	}
}

uint64_t pci_msix_read(struct dev_fn *fn, uint64_t off, unsigned int size)
{
	uint64_t base = nb_align_down(off, 4), v;

	pthread_mutex_lock(&fn->lock);
	v = msix_dword(fn, base);
	if (size == 8)
		v |= (uint64_t)msix_dword(fn, base + 4) << 32;
	pthread_mutex_unlock(&fn->lock);
	return v >> 8 * (off - base) & nb_low_mask(8 * size);
}

static void msix_put(struct dev_fn *fn, uint64_t off, uint32_t v)
{
	uint64_t i = off / sizeof(struct pci_msix_entry);
	struct pci_msix_entry *e;

	if (off >= PCI_MSIX_PBA || i >= fn->nmsix)
		return;
	e = &fn->msix_table[i];
	switch (off % sizeof(*e)) {
	case 0:
		e->addr_lo = v & ~UINT32_C(3);
		break;
	case 4:
		e->addr_hi = v;
		break;
	case 8:
		e->data = v;
		break;
	default:
		e->control = v & (uint32_t)MSIX_ENTRY_MASK;
		fn->msix_masked = (fn->msix_masked & ~BIT(i)) | (e->control ? BIT(i) : 0);
		break;
	}
}

void pci_msix_write(struct dev_fn *fn, uint64_t off, unsigned int size, uint64_t v)
{
	if (size < 4)
		return;
	pthread_mutex_lock(&fn->lock);
	msix_put(fn, off, (uint32_t)v);
	if (size == 8)
		msix_put(fn, off + 4, (uint32_t)(v >> 32));
	pthread_mutex_unlock(&fn->lock);
	pci_irq_update(fn);
}
