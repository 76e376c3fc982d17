/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entry points of dev.h that all functions share: configuration accesses, BAR dispatch, reset.
 *
 * Software may write any bytes at any offset; each byte goes through its write mask, then what changed takes
 * effect once for the whole write: decode, bus master, interrupt mode, function-level reset.
 */
#include "dev/pci.h"

#include <assert.h>
#include <string.h>

#define PCIE_DEVCTL	0x08
#define PCIE_DEVCTL_FLR BIT(15)
#define PM_CTL		0x04
#define PM_CTL_STATE	BITS(1, 0)

void dev_destroy(struct dev_fn *fn)
{
	if (fn)
		fn->ops->destroy(fn);
}

/* A function in D3hot answers configuration accesses only. */
void pci_shadow_locked(struct dev_fn *fn)
{
	uint16_t cmd = pci_get16(fn->config + PCI_COMMAND);
	bool d0 = !fn->pm || (fn->config[fn->pm + PM_CTL] & PM_CTL_STATE) == 0;
	enum pci_irq_mode mode = PCI_MODE_INTX;

	if (fn->msix && pci_get16(fn->config + fn->msix + 2) & BIT(15))
		mode = PCI_MODE_MSIX;
	else if (fn->msi && pci_get16(fn->config + fn->msi + 2) & BIT(0))
		mode = PCI_MODE_MSI;
	atomic_store_explicit(&fn->mem_on, d0 && (cmd & PCI_COMMAND_MEM), memory_order_relaxed);
	atomic_store_explicit(&fn->master_on, d0 && (cmd & PCI_COMMAND_BM), memory_order_relaxed);
	pci_ext_shadow_locked(fn, d0 && (cmd & PCI_COMMAND_BM));
	if (mode != pci_irq_mode(fn))
		fn->pending = 0; /* what one capability held back is not the next one's */
	atomic_store_explicit(&fn->irq_mode, mode, memory_order_relaxed);
}

void dev_reset(struct dev_fn *fn)
{
	struct pci_ext_controls ext_before;

	/* No transaction starts from here on; the model waits for those under way when it takes its locks. */
	atomic_store_explicit(&fn->master_on, false, memory_order_relaxed);
	atomic_store_explicit(&fn->ats_on, false, memory_order_relaxed);
	fn->ops->reset(fn);
	if (fn->bus.board.size)
		fn->bus.board.reset(fn->bus.opaque);

	pthread_mutex_lock(&fn->lock);
	pci_ext_controls_locked(fn, &ext_before);
	memcpy(fn->config, fn->initial, sizeof(fn->config));
	pci_irq_reset_locked(fn);
	pci_shadow_locked(fn);
	pthread_mutex_unlock(&fn->lock);
	pci_ext_tell(fn, &(struct pci_ext_effect){.ats_switched = ext_before.ats});
	pci_irq_update(fn); /* the line falls */
}

void dev_config_read(struct dev_fn *fn, uint32_t off, void *buf, uint32_t len)
{
	uint32_t n = off >= DEV_CONFIG_SIZE ? 0 : DEV_CONFIG_SIZE - off;

	if (n > len)
		n = len;
	memset(buf, 0xff, len);
	pthread_mutex_lock(&fn->lock);
	if (n)
		memcpy(buf, fn->config + off, n);
	pthread_mutex_unlock(&fn->lock);
}

/* Does the write set the bit of the byte at `at`? For bits that start something and read as 0. */
static bool write_sets(uint32_t off, const uint8_t *src, uint32_t len, uint32_t at, uint8_t bit)
{
	return at >= off && at - off < len && (src[at - off] & bit);
}

void dev_config_write(struct dev_fn *fn, uint32_t off, const void *buf, uint32_t len)
{
	const uint8_t *src = buf;
	enum pci_irq_mode before = pci_irq_mode(fn);
	struct pci_ext_controls ext_before;
	uint8_t state_before = 0;
	struct pci_ext_effect ext_after;

	if (off >= DEV_CONFIG_SIZE)
		return;
	if (len > DEV_CONFIG_SIZE - off)
		len = DEV_CONFIG_SIZE - off;
	if (fn->pcie && write_sets(off, src, len, fn->pcie + PCIE_DEVCTL + 1u, PCIE_DEVCTL_FLR >> 8)) {
		dev_reset(fn); /* 6.6.2: whatever else the write held is gone with it */
		return;
	}

	pthread_mutex_lock(&fn->lock);
	pci_ext_controls_locked(fn, &ext_before);
	if (fn->pm)
		state_before = fn->config[fn->pm + PM_CTL] & PM_CTL_STATE;
	for (uint32_t i = 0; i < len; i++) {
		uint8_t *b = fn->config + off + i, w = fn->wmask[off + i], c = fn->w1c[off + i];

		*b = (uint8_t)((*b & ~w & ~(c & src[i])) | (src[i] & w));
	}
	if (fn->pm) { /* D1 and D2 do not exist: such a write leaves the state as it was */
		uint8_t *ctl = fn->config + fn->pm + PM_CTL, state = *ctl & PM_CTL_STATE;

		if (state == 1 || state == 2)
			*ctl = (uint8_t)((*ctl & ~PM_CTL_STATE) | state_before);
	}
	pci_ext_written_locked(fn, &ext_before, &ext_after);
	pci_shadow_locked(fn);
	pthread_mutex_unlock(&fn->lock);

	pci_ext_tell(fn, &ext_after);
	if (pci_irq_mode(fn) != before && fn->ops->irq_mode_changed)
		fn->ops->irq_mode_changed(fn);
	pci_irq_update(fn);
}

void dev_bar_info(struct dev_fn *fn, unsigned int bar, struct dev_bar *out)
{
	if (bar < DEV_NBARS)
		*out = fn->bar[bar];
	else
		*out = (struct dev_bar){.mem_fd = -1};
	if (out->size == 0)
		out->mem_fd = -1;
}

/* dev.h leaves these checks to the caller; a second look costs nothing and a guest is on the other end. */
static bool access_ok(const struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size)
{
	return bar < DEV_NBARS && (size == 1 || size == 2 || size == 4 || size == 8) && nb_aligned(off, size) &&
	       off < fn->bar[bar].size && size <= fn->bar[bar].size - off &&
	       atomic_load_explicit(&fn->mem_on, memory_order_relaxed);
}

uint64_t dev_bar_read(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size)
{
	if (!access_ok(fn, bar, off, size))
		return nb_low_mask(8 * size);
	if (fn->msix && bar == fn->msix_bar)
		return pci_msix_read(fn, off, size);
	if (fn->bus.board.size && bar == DEV_BOARD_BAR)
		return fn->bus.board.read(fn->bus.opaque, off, size) & nb_low_mask(8 * size);
	return fn->ops->bar_read(fn, bar, off, size) & nb_low_mask(8 * size);
}

void dev_bar_write(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v)
{
	if (!access_ok(fn, bar, off, size))
		return;
	v &= nb_low_mask(8 * size);
	if (fn->msix && bar == fn->msix_bar)
		pci_msix_write(fn, off, size, v);
	else if (fn->bus.board.size && bar == DEV_BOARD_BAR)
		fn->bus.board.write(fn->bus.opaque, off, size, v);
	else
		fn->ops->bar_write(fn, bar, off, size, v);
}

void dev_board_intx(struct dev_fn *fn, bool level)
{
	pthread_mutex_lock(&fn->lock);
	fn->board_level = level;
	pthread_mutex_unlock(&fn->lock);
}

void dev_board_settle(struct dev_fn *fn)
{
	pci_irq_update(fn);
}

void dev_caps(struct dev_fn *fn, struct dev_caps *out)
{
	*out = (struct dev_caps){
		.pcie = fn->pcie != 0,
		.flr = fn->pcie != 0,
		.intx = fn->initial[PCI_INT_PIN] != 0,
		.msi_vectors = fn->nmsi,
		.msix_vectors = fn->nmsix,
		.msix_bar = fn->msix_bar,
		.msix_table_len = fn->nmsix * sizeof(struct pci_msix_entry),
		.ats = fn->ats != 0,
		.pri = fn->pri != 0,
		.stall = fn->stall,
		.max_pasids = fn->pasid ? 1u << fn->pasid_bits : 0,
	};
}
