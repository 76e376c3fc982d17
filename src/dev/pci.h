/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all PCI functions share: configuration space, BARs, reset, interrupts, the way to the bus.
 *
 * A model embeds struct dev_fn as its first member, calls pci_init(), describes its BARs
 * and capabilities in the order in which they shall be chained, ends with pci_ready() and from then on only uses the functions
 * under "at run time". Layouts follow PCI Express Base 5.0, chapter 7, and PCI Local Bus 3.0, chapter 6.
 *
 * Locks: `lock` below protects the configuration space and all interrupt state. It is the innermost lock of a
 * function: models may hold theirs around any call here, and nothing is called out with it held. dev_bus.irq
 * is called with no lock of ours, so the model must have dropped its own before pci_message() and pci_irq_update().
 */
#ifndef NB_DEV_PCI_H
#define NB_DEV_PCI_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "base/bits.h"
#include "base/drain.h"
#include "dev/dev.h"

#define PCI_MAX_MSIX 64 /* one 64-bit word holds the pending bits of a function */
#define PCI_MAX_MSI  32

/* Type 0 header. */
#define PCI_VENDOR	  0x00
#define PCI_DEVICE	  0x02
#define PCI_COMMAND	  0x04
#define PCI_COMMAND_MEM	  BIT(1)
#define PCI_COMMAND_BM	  BIT(2)
#define PCI_COMMAND_NOINTX BIT(10)
#define PCI_STATUS	  0x06
#define PCI_STATUS_INTX	  BIT(3)
#define PCI_STATUS_CAPS	  BIT(4)
#define PCI_STATUS_W1C	  0xf900
#define PCI_REVISION	  0x08
#define PCI_CLASS	  0x09 /* three bytes */
#define PCI_BAR0	  0x10
#define PCI_SUBVENDOR	  0x2c
#define PCI_SUBDEVICE	  0x2e
#define PCI_CAPS	  0x34
#define PCI_INT_LINE	  0x3c
#define PCI_INT_PIN	  0x3d

#define PCI_BAR_64	  BIT(2)
#define PCI_BAR_PREFETCH  BIT(3)

struct pci_id {
	uint16_t vendor, device;
	uint32_t class_code; /* 24 bits: base, sub, interface */
	uint8_t revision;
};

struct dev_fn_ops {
	void (*destroy)(struct dev_fn *fn); /* frees the model, pci_fini() included */
	/* Function-level reset of everything that is the model's; configuration space is reset afterwards. */
	void (*reset)(struct dev_fn *fn);
	uint64_t (*bar_read)(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size);
	void (*bar_write)(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v);
	/* A page group response; without locks. Null: the model makes no page requests. */
	void (*page_response)(struct dev_fn *fn, uint32_t pasid, unsigned int prgi, unsigned int code);
	/* dev_stall_done(). Null: the model's transactions cannot wait. */
	void (*stall_done)(struct dev_fn *fn, uint32_t pasid, uint64_t addr, bool all, enum dev_stall_end end);
	/* The page request interface was reset: requests that are out will not be answered. Without locks; may be null. */
	void (*pri_reset)(struct dev_fn *fn);
	/* May be null. The function changed between INTx, MSI and MSI-X: the model sets its INTx level anew. */
	void (*irq_mode_changed)(struct dev_fn *fn);
};

enum pci_irq_mode { PCI_MODE_INTX, PCI_MODE_MSI, PCI_MODE_MSIX };

struct pci_msix_entry {
	uint32_t addr_lo, addr_hi, data, control;
};

struct dev_fn {
	const struct dev_fn_ops *ops; /* these four: set before publish */
	struct dev_bus bus;
	struct nb_trace *tr;
	struct dev_bar bar[DEV_NBARS];

	/* Set by the builder, constant afterwards; 0: no such capability. */
	uint16_t pm, msi, msix, pcie, ats, pri, pasid;
	uint16_t last_cap, last_ext; /* where the next capability is linked */
	uint16_t next_cap, next_ext; /* first free byte */
	unsigned int nmsi, nmsix, msix_bar;
	uint8_t pasid_bits;
	bool stall; /* transactions can wait */

	pthread_mutex_t lock;
	uint8_t config[DEV_CONFIG_SIZE];  /* under lock */
	uint8_t initial[DEV_CONFIG_SIZE]; /* constant: config after reset */
	uint8_t wmask[DEV_CONFIG_SIZE];	  /* constant: bits that software may write */
	uint8_t w1c[DEV_CONFIG_SIZE];	  /* constant: bits that writing 1 clears */
	struct pci_msix_entry msix_table[PCI_MAX_MSIX]; /* under lock */
	uint64_t msix_masked;		  /* under lock: control bit 0 of each entry */
	struct nb_drain sending;	  /* entered under lock: messages on their way to the bus */
	uint64_t stalled;		  /* under lock: vectors whose message waits in the IOMMU, */
	uint64_t stalled_at[PCI_MAX_MSIX]; /* and where it was written to */
	uint32_t stalls_retried;	  /* under lock: ends of stalls that could have been a message's */
	uint64_t pending;		  /* under lock: vectors that wait for an enable or an unmask */
	bool intx_level;		  /* under lock: what the model wants */
	bool board_level;		  /* under lock: and what shares its board */
	bool intx_sent;			  /* under lock: the line level the bus knows */
	bool intx_busy;			  /* under lock: some thread is telling the bus */

	/* Shadows of config for paths without the lock; stored relaxed under it. */
	_Atomic bool mem_on, master_on;
	_Atomic bool ats_on; /* and bus master: translation requests may leave */
	_Atomic bool pri_on; /* and no response failure since it was enabled */
	_Atomic bool pri_failed;
	_Atomic enum pci_irq_mode irq_mode;
};

/* 0 or -ENOMEM. */
int pci_init(struct dev_fn *fn, const struct dev_fn_ops *ops, const struct dev_bus *bus, struct nb_trace *tr,
	     const struct pci_id *id);
void pci_fini(struct dev_fn *fn);

/* The builder. Sizes of BARs are powers of two, at least 16. */
void pci_add_bar(struct dev_fn *fn, unsigned int n, const struct dev_bar *bar);
void pci_add_intx(struct dev_fn *fn);
void pci_add_pm(struct dev_fn *fn);
void pci_add_msi(struct dev_fn *fn, unsigned int nvec);	/* 1, 2, 4 ... 32 */
/* Adds the BAR as well: table at 0, pending bits at PCI_MSIX_PBA. */
#define PCI_MSIX_PBA 0x1000
#define PCI_MSIX_BAR_SIZE 0x2000
void pci_add_msix(struct dev_fn *fn, unsigned int bar, unsigned int nvec);
void pci_add_pcie(struct dev_fn *fn); /* endpoint, FLR */
void pci_add_ats(struct dev_fn *fn);
void pci_add_pasid(struct dev_fn *fn, unsigned int bits);
#define PCI_PRI_CAPACITY 512 /* outstanding page requests: one for each index of a group */
void pci_add_pri(struct dev_fn *fn);
void pci_ready(struct dev_fn *fn);

/* At run time. */

/* A plain transaction of the function; aborted when it may not master the bus or the range wraps. */
static inline int pci_dma_read(struct dev_fn *fn, uint32_t pasid, uint64_t addr, void *buf, size_t len)
{
	if (!atomic_load_explicit(&fn->master_on, memory_order_relaxed) || addr + (len - 1) < addr)
		return -EFAULT;
	return fn->bus.dma_read(fn->bus.opaque, pasid, addr, buf, len);
}

static inline int pci_dma_write(struct dev_fn *fn, uint32_t pasid, uint64_t addr, const void *buf, size_t len)
{
	if (!atomic_load_explicit(&fn->master_on, memory_order_relaxed) || addr + (len - 1) < addr)
		return -EFAULT;
	return fn->bus.dma_write(fn->bus.opaque, pasid, addr, buf, len);
}

/* With an address that is a translation already, or pretends to be. -EFAULT as well where the bus has no such thing. */
static inline int pci_dma_translated(struct dev_fn *fn, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write)
{
	if (!atomic_load_explicit(&fn->master_on, memory_order_relaxed) || addr + (len - 1) < addr ||
	    !fn->bus.dma_translated)
		return -EFAULT;
	return fn->bus.dma_translated(fn->bus.opaque, pasid, addr, buf, len, write);
}

/* Only if pci_ats_on(). */
static inline int pci_dma_ats(struct dev_fn *fn, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write,
			      size_t *moved)
{
	*moved = 0;
	return addr + (len - 1) < addr ? -EFAULT :
					 fn->bus.dma_ats(fn->bus.opaque, pasid, addr, buf, len, write, moved);
}

/* Is ATS switched on, and has the bus a device-TLB? Else a function makes plain requests. */
static inline bool pci_ats_on(struct dev_fn *fn)
{
	return atomic_load_explicit(&fn->ats_on, memory_order_relaxed) && fn->bus.dma_ats;
}

/* May page requests be made, as far as the capability says? */
static inline bool pci_pri_on(struct dev_fn *fn)
{
	return atomic_load_explicit(&fn->pri_on, memory_order_relaxed) && fn->bus.page_request;
}

/* After a response failure responses are ignored until the interface is reset. */
static inline bool pci_pri_failed(struct dev_fn *fn)
{
	return atomic_load_explicit(&fn->pri_failed, memory_order_relaxed);
}

/* What the status register of the page request interface reports: PCI_PRI_* bits, from then on until they are cleared. */
#define PCI_PRI_FAILED	   BIT(0)
#define PCI_PRI_UNEXPECTED BIT(1)
void pci_pri_status(struct dev_fn *fn, uint16_t bits);
/* The smallest translation unit and the allowed outstanding page requests, as software set them. */
unsigned int pci_ats_stu(struct dev_fn *fn);
uint32_t pci_pri_allocation(struct dev_fn *fn);

static inline enum pci_irq_mode pci_irq_mode(struct dev_fn *fn)
{
	return atomic_load_explicit(&fn->irq_mode, memory_order_relaxed);
}

/*
 * Send these vectors (bit n: vector n) as MSI-X or MSI messages; masked ones become pending. Does nothing in INTx
 * mode. With fewer MSI vectors than the number, its low bits count.
 */
void pci_message(struct dev_fn *fn, uint64_t vectors);
/* dev_stall_done() of a request without PASID: messages that waited at addr, or all, are sent again or forgotten. */
void pci_message_stall_done(struct dev_fn *fn, uint64_t addr, bool all, enum dev_stall_end end);
/*
 * The level the model wants on its INTx line, set under the model's own lock so that levels are in order. It reaches the bus with
 * the next pci_irq_update(), which is called without locks, and only in INTx mode.
 */
void pci_intx_level(struct dev_fn *fn, bool level);
void pci_irq_update(struct dev_fn *fn);

/* Shared between pci.c, pci_caps.c, pci_ext.c and pci_irq.c. */
static inline uint16_t pci_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t pci_get32(const uint8_t *p)
{
	return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}
static inline void pci_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void pci_put32(uint8_t *p, uint32_t v)
{
	pci_put16(p, (uint16_t)v);
	pci_put16(p + 2, (uint16_t)(v >> 16));
}

void pci_shadow_locked(struct dev_fn *fn); /* config changed: bring the shadows up to date */
void pci_irq_reset_locked(struct dev_fn *fn);
/* Around a write: what it did to the controls of ATS and PRI takes effect; what is to be told without the lock in *after. */
struct pci_ext_controls {
	bool ats, pri;
};
struct pci_ext_effect {
	bool ats_switched, pri_reset;
};
void pci_ext_controls_locked(const struct dev_fn *fn, struct pci_ext_controls *out);
void pci_ext_written_locked(struct dev_fn *fn, const struct pci_ext_controls *before, struct pci_ext_effect *after);
void pci_ext_tell(struct dev_fn *fn, const struct pci_ext_effect *after);
void pci_ext_shadow_locked(struct dev_fn *fn, bool master);
uint64_t pci_msix_read(struct dev_fn *fn, uint64_t off, unsigned int size);
void pci_msix_write(struct dev_fn *fn, uint64_t off, unsigned int size, uint64_t v);

/* A model of this room: what dev.h shows, and the check of its options without creating anything. */
struct pci_model {
	struct dev_model m;
	int (*check)(const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag);
	bool (*has_ats)(const struct dev_option *opt, unsigned int nopts); /* null: never */
};
extern const struct pci_model dmatest_model, nvme_model;

#endif
