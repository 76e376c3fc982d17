/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Building a configuration space: header, BARs and capabilities.
 *
 * Runs once, before the function is published: plain stores, no lock. Each byte gets its value after reset (config), and the
 * bits that software may change (wmask) or clear by writing 1 (w1c). PCI Express Base 5.0, 7.5 to 7.9.
 */
#include "dev/pci.h"

#include <assert.h>
#include <string.h>

#define CAP_PM	  0x01
#define CAP_MSI	  0x05
#define CAP_PCIE  0x10
#define CAP_MSIX  0x11
#define EXT_ATS	  0x0f
#define EXT_PRI	  0x13
#define EXT_PASID 0x1b

int pci_init(struct dev_fn *fn, const struct dev_fn_ops *ops, const struct dev_bus *bus, struct nb_trace *tr,
	     const struct pci_id *id)
{
	fn->ops = ops;
	fn->bus = *bus;
	fn->tr = tr;
	fn->next_cap = 0x40;
	fn->next_ext = 0x100;
	if (pthread_mutex_init(&fn->lock, NULL))
		return -ENOMEM;
	pci_put16(fn->config + PCI_VENDOR, id->vendor);
	pci_put16(fn->config + PCI_DEVICE, id->device);
	fn->config[PCI_REVISION] = id->revision;
	fn->config[PCI_CLASS] = (uint8_t)id->class_code;
	fn->config[PCI_CLASS + 1] = (uint8_t)(id->class_code >> 8);
	fn->config[PCI_CLASS + 2] = (uint8_t)(id->class_code >> 16);
	pci_put16(fn->config + PCI_SUBVENDOR, id->vendor);
	pci_put16(fn->config + PCI_SUBDEVICE, id->device);
	/* memory, bus master, parity, SERR#, INTx disable; there is no I/O space */
	pci_put16(fn->wmask + PCI_COMMAND, 0x0546);
	pci_put16(fn->w1c + PCI_STATUS, PCI_STATUS_W1C);
	fn->wmask[0x0c] = 0xff; /* cache line size: software's scratch */
	fn->wmask[PCI_INT_LINE] = 0xff;
	return 0;
}

void pci_fini(struct dev_fn *fn)
{
	pthread_mutex_destroy(&fn->lock);
}

void pci_add_bar(struct dev_fn *fn, unsigned int n, const struct dev_bar *bar)
{
	uint8_t *reg = fn->config + PCI_BAR0 + 4 * n, *mask = fn->wmask + PCI_BAR0 + 4 * n;
	uint64_t writable = ~(bar->size - 1) & ~UINT64_C(0xf);

	assert(n + (bar->is64 ? 1 : 0) < DEV_NBARS && bar->size >= 16 && (bar->size & (bar->size - 1)) == 0);
	fn->bar[n] = *bar;
	pci_put32(reg, (uint32_t)((bar->is64 ? PCI_BAR_64 : 0) | (bar->prefetchable ? PCI_BAR_PREFETCH : 0)));
	pci_put32(mask, (uint32_t)writable);
	if (bar->is64)
		pci_put32(mask + 4, (uint32_t)(writable >> 32));
}

void pci_add_intx(struct dev_fn *fn)
{
	fn->config[PCI_INT_PIN] = 1;
}

static uint16_t add_cap(struct dev_fn *fn, uint8_t id, uint16_t len)
{
	uint16_t at = fn->next_cap;

	assert(at + len <= 0x100);
	fn->config[at] = id;
	fn->config[fn->last_cap ? fn->last_cap + 1 : PCI_CAPS] = (uint8_t)at;
	fn->config[PCI_STATUS] |= (uint8_t)PCI_STATUS_CAPS;
	fn->last_cap = at;
	fn->next_cap = (uint16_t)((at + len + 3) & ~3);
	return at;
}

static uint16_t add_ext(struct dev_fn *fn, uint16_t id, uint32_t version, uint16_t len)
{
	uint16_t at = fn->next_ext;
	uint8_t *last = fn->config + fn->last_ext;

	pci_put32(fn->config + at, id | version << 16);
	if (fn->last_ext)
		pci_put32(last, pci_get32(last) | (uint32_t)at << 20);
	fn->last_ext = at;
	fn->next_ext = (uint16_t)((at + len + 15) & ~15);
	return at;
}

void pci_add_pm(struct dev_fn *fn)
{
	uint8_t *c = fn->config + (fn->pm = add_cap(fn, CAP_PM, 8));

	pci_put16(c + 2, 0x0003); /* version 3 of the interface; D1, D2 and PME absent */
	pci_put16(c + 4, 0x0008); /* no soft reset: D3hot keeps the configuration */
	fn->wmask[fn->pm + 4] = 0x03;
}

void pci_add_msi(struct dev_fn *fn, unsigned int nvec)
{
	uint8_t *c = fn->config + (fn->msi = add_cap(fn, CAP_MSI, 0x18));
	uint8_t *w = fn->wmask + fn->msi;

	assert(nvec >= 1 && nvec <= PCI_MAX_MSI && (nvec & (nvec - 1)) == 0);
	fn->nmsi = nvec;
	pci_put16(c + 2, (uint16_t)(BIT(8) | BIT(7) | nb_ilog2(nvec) << 1)); /* masks, 64-bit, capable of nvec */
	pci_put16(w + 2, 0x0071);
	pci_put32(w + 4, 0xfffffffc);
	pci_put32(w + 8, 0xffffffff);
	pci_put16(w + 12, 0xffff);
	pci_put32(w + 16, (uint32_t)nb_low_mask(nvec));
}

void pci_add_msix(struct dev_fn *fn, unsigned int bar, unsigned int nvec)
{
	uint8_t *c = fn->config + (fn->msix = add_cap(fn, CAP_MSIX, 12));

	assert(nvec >= 1 && nvec <= PCI_MAX_MSIX);
	fn->nmsix = nvec;
	fn->msix_bar = bar;
	pci_put16(c + 2, (uint16_t)(nvec - 1));
	pci_put16(fn->wmask + fn->msix + 2, 0xc000);
	pci_put32(c + 4, bar);
	pci_put32(c + 8, bar | PCI_MSIX_PBA);
	pci_add_bar(fn, bar, &(struct dev_bar){.size = PCI_MSIX_BAR_SIZE, .mem_fd = -1});
}

void pci_add_pcie(struct dev_fn *fn)
{
	uint8_t *c = fn->config + (fn->pcie = add_cap(fn, CAP_PCIE, 0x3c));
	uint8_t *w = fn->wmask + fn->pcie;

	pci_put16(c + 0x02, 0x0002);	 /* version 2, endpoint */
	pci_put32(c + 0x04, 0x10008021); /* FLR, role-based errors, extended tags, 256-byte payloads */
	pci_put16(c + 0x08, 0x2810);	 /* after reset: relaxed ordering, no snoop, 512-byte read requests */
	pci_put16(w + 0x08, 0x7bff);	 /* all but phantom functions; bit 15 starts FLR and reads 0 */
	pci_put16(fn->w1c + fn->pcie + 0x0a, 0x000f);
	pci_put32(c + 0x0c, 0x00000044); /* 16 GT/s, four lanes */
	pci_put16(w + 0x10, 0x01c3);
	pci_put16(c + 0x12, 0x0044);
	pci_put32(c + 0x24, 0x00000010); /* completion timeouts may be disabled */
	pci_put16(w + 0x28, 0x0010);
	pci_put32(c + 0x2c, 0x0000001e); /* 2.5 to 16 GT/s */
	pci_put16(c + 0x30, 0x0004);
	pci_put16(w + 0x30, 0x000f);
}

void pci_add_ats(struct dev_fn *fn)
{
	fn->ats = add_ext(fn, EXT_ATS, 1, 8);
	pci_put16(fn->config + fn->ats + 4, 0x0020); /* 32 invalidations may be queued, page-aligned requests */
	pci_put16(fn->wmask + fn->ats + 6, 0x801f);
}

void pci_add_pasid(struct dev_fn *fn, unsigned int bits)
{
	fn->pasid = add_ext(fn, EXT_PASID, 1, 8);
	fn->pasid_bits = (uint8_t)bits;
	pci_put16(fn->config + fn->pasid + 4, (uint16_t)(bits << 8)); /* neither execute nor privileged */
	pci_put16(fn->wmask + fn->pasid + 6, 0x0001);
}

void pci_add_pri(struct dev_fn *fn)
{
	fn->pri = add_ext(fn, EXT_PRI, 1, 16);
	pci_put16(fn->wmask + fn->pri + 4, 0x0003);  /* enable; reset, which reads 0 again */
	pci_put16(fn->config + fn->pri + 6, 0x8100); /* stopped; responses must carry the PASID of the request */
	pci_put16(fn->w1c + fn->pri + 6, 0x0003);
	pci_put32(fn->config + fn->pri + 8, PCI_PRI_CAPACITY);
	pci_put32(fn->wmask + fn->pri + 12, 0xffffffff);
}

void pci_ready(struct dev_fn *fn)
{
	if (fn->bus.board.size) {
		assert(!fn->bar[DEV_BOARD_BAR].size && !(fn->bar[DEV_BOARD_BAR - 1].size && fn->bar[DEV_BOARD_BAR - 1].is64));
		pci_add_bar(fn, DEV_BOARD_BAR, &(struct dev_bar){.size = fn->bus.board.size, .mem_fd = -1});
	}
	memcpy(fn->initial, fn->config, sizeof(fn->initial));
	pci_irq_reset_locked(fn);
	pci_shadow_locked(fn);
}
