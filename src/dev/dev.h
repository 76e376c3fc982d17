/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI functions that can be assigned: configuration space, BARs, DMA, interrupts.
 *
 * A function is plugged into a bus (struct dev_bus) that carries its DMA and its interrupts; it knows
 * neither IOMMUs nor VFIO. Register accesses come from any thread and the work they start is
 * done by that thread before the call returns.
 */
#ifndef NB_DEV_DEV_H
#define NB_DEV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/trace.h"

enum dev_irq { DEV_IRQ_INTX, DEV_IRQ_MSI, DEV_IRQ_MSIX };

enum { DEV_READ = 1, DEV_WRITE = 2, DEV_EXEC = 4, DEV_PRIV = 8 }; /* access of ATS and page requests */

struct dev_ats { /* an ATS completion as the function sees it */
	bool ur, ca;	/* unsupported request, completer abort: nothing else is valid */
	bool untranslated_only, global;
	uint8_t lg2, perm; /* perm 0: no access; a page request may help */
	uint64_t pa;
};

struct dev_page_request {
	uint64_t addr;
	uint32_t pasid; /* or NB_NO_PASID */
	uint16_t prgi;	/* 0..511 */
	uint8_t access;
	bool last;
};

/*
 * Something else on the function's board: its registers are BAR DEV_BOARD_BAR, it is reset along with the function (function-level or
 * otherwise), and its interrupt, a level, shares the function's INTx. All three are called without locks of the function.
 */
#define DEV_BOARD_BAR 5
struct dev_board {
	uint64_t size; /* a power of two, at least 4 KiB; 0: there is nothing */
	/* As dev_bar_read() and dev_bar_write(); opaque is the bus's. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, unsigned int size, uint64_t v);
	void (*reset)(void *opaque);
};

struct dev_bus {
	void *opaque;
	struct dev_board board;
	/*
	 * pasid or NB_NO_PASID. 0 or -EFAULT: aborted; bytes before the failing one may have moved. -EAGAIN, only to functions that can
	 * wait (dev_caps.stall): it is stalled, and nothing of the failing 4 KiB page has moved; dev_stall_done() comes later.
	 */
	int (*dma_read)(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len);
	int (*dma_write)(void *opaque, uint32_t pasid, uint64_t addr, const void *buf, size_t len);
	/*
	 * A message was sent (MSI, MSI-X: level is true), or the INTx level changed. The function checks its own
	 * enable and mask bits as it sees them; the host delivers by index and vector. Called without any lock of the function.
	 * dma_read and dma_write are called with locks held and must not come back into the function.
	 */
	void (*irq)(void *opaque, enum dev_irq kind, unsigned int vector, bool level);
	/*
	 * MSI and MSI-X as what they are: a 32-bit write of data to addr, through the IOMMU. Without any lock of the function. If this is
	 * null, messages go to irq() above. What becomes of one is nobody's to know, but for -EAGAIN: as of dma_write.
	 */
	int (*msi)(void *opaque, uint64_t addr, uint32_t data);

	/* ---- ATS and PRI; null: the bus has none. Same rules as dma_read. ---- */

	/* A translation request, past the device-TLB: for functions that want to look at the completion. */
	void (*ats_translate)(void *opaque, uint32_t pasid, uint64_t addr, unsigned int access, struct dev_ats *out);
	/* A translated request (AT = 10b) with whatever address the function likes. 0 or -EFAULT. */
	int (*dma_translated)(void *opaque, uint32_t pasid, uint64_t pa, void *buf, size_t len, bool write);
	/*
	 * DMA through the function's device-TLB. 0; -EFAULT: aborted; -ENOENT: no access at addr + *done, where a page request may
	 * help. *done: bytes that moved.
	 */
	int (*dma_ats)(void *opaque, uint32_t pasid, uint64_t addr, void *buf, size_t len, bool write, size_t *done);
	/* The answer comes through dev_page_response(), possibly before this returns: no lock that it takes may be held. */
	void (*page_request)(void *opaque, const struct dev_page_request *pr);
	/* Empty the device-TLB, as a function may at any time. */
	void (*ats_forget)(void *opaque);
	/*
	 * ATS was switched on or off; dev_feature_enabled() says which. Without any lock of the function. When it returns after "off"
	 * the device-TLB is empty and no access through it is under way.
	 */
	void (*ats_switched)(void *opaque);
};

struct dev_fn; /* opaque */

struct dev_option { /* "size" = "1GiB", "file" = "/path" */
	const char *key, *value;
};

struct dev_model {
	const char *name;  /* "nvme", "dmatest" */
	const char *brief; /* one line for `nestbox host show` */
	const char *options; /* one line per option: "size=BYTES  namespace size ..." */
	int (*create)(const struct dev_option *opt, unsigned int nopts, const struct dev_bus *bus,
		      struct nb_trace *tr, struct dev_fn **out, struct nb_diag *diag);
};
/* Null-terminated. */
extern const struct dev_model *const dev_models[];
const struct dev_model *dev_model_find(const char *name);
/* Are these options ones that create() would take? Opens and creates nothing. 0, -EINVAL with the option named. */
int dev_check_options(const struct dev_model *m, const struct dev_option *opt, unsigned int nopts, struct nb_diag *diag);
/* Would a function with these (good) options have the ATS capability? Creates nothing: firmware's tables ask. */
bool dev_options_ats(const struct dev_model *m, const struct dev_option *opt, unsigned int nopts);

void dev_destroy(struct dev_fn *fn);
void dev_reset(struct dev_fn *fn); /* function-level reset: registers, queues, interrupts; storage stays */

#define DEV_CONFIG_SIZE 4096
#define DEV_NBARS 6
/* Any offset and size within 4 KiB; what is outside reads as ones. */
void dev_config_read(struct dev_fn *fn, uint32_t off, void *buf, uint32_t len);
void dev_config_write(struct dev_fn *fn, uint32_t off, const void *buf, uint32_t len);

struct dev_bar {
	uint64_t size;	/* 0: absent */
	bool mmap;	/* plain memory that may be mapped: mem_fd at mem_off */
	bool is64, prefetchable;
	int mem_fd;
	uint64_t mem_off;
};
void dev_bar_info(struct dev_fn *fn, unsigned int bar, struct dev_bar *out);
/* Registers. size is 1, 2, 4 or 8, naturally aligned, inside the BAR (the caller checks). */
uint64_t dev_bar_read(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size);
void dev_bar_write(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v);

struct dev_caps {
	bool pcie, flr, intx;
	unsigned int msi_vectors, msix_vectors; /* 0: no such capability */
	unsigned int msix_bar;			/* BAR of the MSI-X table */
	uint64_t msix_table_off, msix_table_len;
	bool ats, pri;
	bool stall;				/* its transactions can wait until software has mended a fault */
	uint32_t max_pasids;			/* 0: no PASID capability */
};
void dev_caps(struct dev_fn *fn, struct dev_caps *out);
/*
 * What a kernel does to the function itself when an owner asks for its interrupts: MSI, MSI-X: enable the capability with the
 * first n vectors unmasked (MSI: n rounded up to a power of two), INTx: clear command bit 10. n = 0 undoes it. -EINVAL: no such
 * capability or too many. Nothing but this and the config space enables messages: without it they are kept back.
 */
int dev_irq_enable(struct dev_fn *fn, enum dev_irq kind, unsigned int n);
/*
 * The message of a vector, as a kernel programs it: MSI-X table entry, or (vector 0) the MSI capability. -EINVAL. When it returns, messages as
 * they were programmed before have all been sent. One call at a time of a function, and never from inside dev_bus.msi.
 */
int dev_irq_message(struct dev_fn *fn, enum dev_irq kind, unsigned int vector, uint64_t addr, uint32_t data);
/*
 * The kernel's writes to capabilities that VFIO keeps from the owner. arg: ATS: log2 of the smallest translation unit; PRI:
 * outstanding requests. -ENODEV: no such capability. A function-level reset switches all off.
 */
enum dev_feature { DEV_FEATURE_PASID, DEV_FEATURE_ATS, DEV_FEATURE_PRI };
int dev_feature_enable(struct dev_fn *fn, enum dev_feature what, bool on, uint32_t arg);
bool dev_feature_enabled(struct dev_fn *fn, enum dev_feature what);
/* A page group response arrived (code 0 success, 1 invalid, 15 failure). Without locks; the function may go on with its DMA in here. */
void dev_page_response(struct dev_fn *fn, uint32_t pasid, unsigned int prgi, unsigned int code);
/*
 * The stalled transaction of pasid at addr ends; with all, every one of the function (pasid and addr mean nothing). Retry: it is to be
 * issued again, and may stall again. Without locks; the function may go on with its DMA in here.
 */
enum dev_stall_end { DEV_STALL_RETRY, DEV_STALL_ABORT, DEV_STALL_RAZ_WI };
void dev_stall_done(struct dev_fn *fn, uint32_t pasid, uint64_t addr, bool all, enum dev_stall_end end);
/*
 * The board's level. Any lock of a function but the innermost (dev_fn.lock) may be held. The line follows with dev_board_settle(), called
 * without locks.
 */
void dev_board_intx(struct dev_fn *fn, bool level);
void dev_board_settle(struct dev_fn *fn);
/* INTx: is the line asserted (config status bit 3, not masked by command bit 10)? */
bool dev_intx_pending(struct dev_fn *fn);

#endif
