/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hardware seam: what silicon shows to the rest of the machine.
 *
 * An IOMMU model is registers (MMIO), tables and queues in a memory, interrupt messages that it sends, and a
 * port on which requesters put transactions. Drivers use the first three and nothing else; devices use
 * hw_dma_read/write. Models never include pt or drv.
 *
 * Requesters with a device-TLB (ATS) and page requests (PRI) talk to the unit through ats_request and page_request
 * and are answered through struct hw_client.
 *
 * Threads: MMIO and DMA may come from any thread at once. hw_translate() and the DMA calls take no lock on
 * a TLB hit; they are RCU readers, and an invalidation whose completion the
 * driver was told (wait descriptor, CMD_SYNC, COMPLETION_WAIT) has waited for every
 * access that could still use what was invalidated.
 */
#ifndef NB_HW_HW_H
#define NB_HW_HW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"
#include "base/drain.h"
#include "base/trace.h"
#include "mem/mem.h"

enum { /* access and permission bits */
	HW_READ = 1,
	HW_WRITE = 2,
	HW_EXEC = 4,
};

enum { /* request flags */
	HW_PRIV = 1,	  /* asks for supervisor privilege */
	HW_OBSERVE = 2, /* change nothing: no A/D update, no cache fill, no fault record */
	HW_TRANSLATED = 4, /* PCIe AT = 10b: addr came out of an ATS completion */
	HW_NO_MSG = 8, /* a write that is not one aligned 32-bit word: in an interrupt range it is no message */
};

struct hw_request {
	uint64_t addr;	/* iova_t of the device, raw */
	uint32_t pasid; /* or NB_NO_PASID */
	uint16_t rid;	/* bus << 8 | device << 3 | function */
	uint8_t access; /* HW_READ | HW_WRITE | HW_EXEC; 0: a read of no bytes, by which devices flush their writes */
	uint8_t flags;
};

enum hw_kind {
	HW_OK,	      /* memory at pa */
	HW_INTERRUPT, /* the address is an interrupt message; pa is the address as sent */
	HW_FAULT,     /* refused; see struct hw_fault */
};

struct hw_fault {
	uint16_t reason;   /* vendor's code */
	uint8_t stage;	   /* 1, 2, or 0: neither (configuration, request) */
	bool recorded;	   /* the hardware logged it */
	bool gpa_valid;	   /* gpa is what stage-2 refused */
	uint8_t record_len;/* bytes of record, 0 when the architecture logs nothing */
	bool raz_wi;	   /* not an abort: reads give zero, writes go nowhere, and the requester is told nothing */
	bool stalled;	   /* set by report(): no answer yet; see struct hw_client, stall_done */
	uint8_t model;	   /* the model's own, from translate() to report() */
	gpa_t gpa;
	uint64_t record[4];/* as it lies in memory or registers, low first */
};

struct hw_result {
	enum hw_kind kind;
	uint8_t lg2;	/* size of the translation as a whole */
	uint8_t perm;	/* HW_READ | HW_WRITE | HW_EXEC that the requester has here */
	hpa_t pa;	/* of the requested byte */
	struct hw_fault fault; /* valid only for HW_FAULT */
};

/* One entry read on the way, for `nestbox walk`. */
struct hw_step {
	const char *name; /* the manual's name of the entry */
	uint8_t stage;	  /* 0 configuration, 1, 2 */
	uint8_t level;	  /* tables only: 1 = the level that maps 4 KiB */
	uint8_t nwords;
	bool gpa_valid;
	bool fetched;	  /* false: memory was not there, words mean nothing */
	gpa_t gpa;	  /* where a stage-1 structure lies for its writer */
	hpa_t pa;	  /* where it was read */
	uint64_t word[8];
	char fields[200]; /* decoded, "P R W -> 0x1234000" */
};

/* ---- ATS and page requests (PCI Express 5.0, chapter 10) ---- */

enum hw_ats_status {
	HW_ATS_OK, /* perm may be 0: nothing there for this requester, and a page request may help */
	HW_ATS_UR, /* unsupported request: ATS is not on for this function; it should stop asking */
	HW_ATS_CA, /* completer abort: the unit met an error on the way */
};

struct hw_ats_completion {
	uint8_t status; /* enum hw_ats_status */
	uint8_t lg2;	/* size of the translation, at least 12 */
	uint8_t perm;	/* HW_READ | HW_WRITE | HW_EXEC granted */
	bool untranslated_only; /* U: the device must use untranslated requests there */
	bool global;	/* the same for all PASIDs of the function */
	bool priv;	/* granted for privileged requests */
	hpa_t pa;	/* of the page, lg2 bits below are 0 */
	struct hw_fault fault; /* why, for whatever is not a grant; record_len 0: not to be logged */
};

struct hw_page_request {
	uint64_t addr;
	uint32_t pasid; /* or NB_NO_PASID */
	uint16_t rid;
	uint16_t prgi;	/* page request group index, 9 bits */
	uint8_t access;
	bool last;	/* of its group */
	bool priv;
};
enum hw_page_response { HW_PAGE_SUCCESS = 0, HW_PAGE_INVALID = 1, HW_PAGE_FAILURE = 15 };

/*
 * What becomes of a stalled transaction (SMMUv3): a fault that software may mend while the requester waits. Transactions are
 * calls here and a call cannot wait for software that may run in the same thread, so a stall is an answer of its own:
 * hw_dma_*() returns -EAGAIN, nothing of the faulting page has moved, and later stall_done() says how the transaction ends. HW_STALL_RETRY:
 * the requester issues it again, as though it had just arrived (it may stall again). HW_STALL_ABORT: it failed. HW_STALL_RAZ_WI: it is
 * done, reads gave zero. A requester without stall_done cannot wait: its transactions fault at once wherever the architecture leaves the choice.
 */
enum hw_stall_end { HW_STALL_RETRY, HW_STALL_ABORT, HW_STALL_RAZ_WI };

/*
 * The requester's end, by source-id. Both calls come with locks of the unit held, from any thread: they may not call back into
 * the unit, block, or do the work that a response allows; a response is put aside and acted on later.
 */
struct hw_client {
	void *opaque;
	/*
	 * Forget translations of [addr, addr + 2^lg2); lg2 64: all. pasid NB_NO_PASID: those of requests without, and with
	 * all_pasids those of every PASID as well. A PASID: its own, or with all_pasids of every PASID, but not of requests
	 * without. True: done, no later lookup finds them. False: no answer, the unit's timeout.
	 */
	bool (*ats_invalidate)(void *opaque, uint32_t pasid, bool all_pasids, uint64_t addr, unsigned int lg2);
	void (*page_response)(void *opaque, uint32_t pasid, unsigned int prgi, unsigned int code);
	/*
	 * May be null. The transaction of pasid that faulted at addr ends; with all, every transaction of the function that waits
	 * (pasid and addr mean nothing).
	 */
	void (*stall_done)(void *opaque, uint32_t pasid, uint64_t addr, bool all, enum hw_stall_end end);
};

/* What an interrupt message becomes after remapping. */
struct hw_irq {
	uint32_t dest; /* APIC id, or the message's own when nothing remaps */
	uint8_t vector;
	uint8_t delivery; /* 0 fixed, 1 lowest priority, ... as in the message */
	bool logical, level, hint;
};

/*
 * Where messages of functions end that are writes like any other (Arm): physical addresses with no memory behind. Asked about messages, and of
 * other writes only about one that met no memory, so that other DMA does not pay for it. Such a write is posted: the requester does not learn what became of it.
 */
struct hw_doorbell {
	hpa_t base;
	uint64_t size; /* whole pages */
	void *opaque;
	/*
	 * A write at base + off. Inside its read section, so that a completed invalidation has waited for it: takes no lock, calls nobody. True:
	 * it was a message, and ring(*token) follows at once, outside the section, without locks.
	 */
	bool (*accept)(void *opaque, uint32_t device, uint64_t off, const void *buf, size_t n, uint64_t *token);
	void (*ring)(void *opaque, uint64_t token);
};

/*
 * A model's threads of its own. HOLD: none is at work until as many GOs; when it returns, none is. LOST: we are the child of a fork that was made under a
 * HOLD; its threads are the parent's, and none is made until AGAIN.
 */
enum hw_threads { HW_THREADS_HOLD, HW_THREADS_GO, HW_THREADS_LOST, HW_THREADS_AGAIN };

struct hw_iommu;
typedef void hw_step_fn(void *opaque, const struct hw_step *step);

struct hw_ops {
	const char *vendor; /* "vtd", "smmuv3", "amdvi" */
	void (*destroy)(struct hw_iommu *hw);
	void (*reset)(struct hw_iommu *hw);
	uint64_t (*mmio_read)(struct hw_iommu *hw, uint64_t off, unsigned int size);
	void (*mmio_write)(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t v);
	/*
	 * Untranslated request of at most the bytes up to the next 4 KiB boundary. Called
	 * inside an RCU read section; *res->pa is good until that section ends. On a fault the record has NOT yet been
	 * logged: the caller leaves the section and calls report().
	 */
	void (*translate)(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);
	/* Log the fault and send its interrupt message. Outside read sections. */
	void (*report)(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);
	/* The same walk with HW_OBSERVE, from memory and not from caches, one call per entry read. */
	void (*walk)(struct hw_iommu *hw, const struct hw_request *req, hw_step_fn *step, void *opaque,
		     struct hw_result *res);

	/* The following may be null: the unit has no such thing. */

	/*
	 * ATS translation request: access without HW_WRITE is the No Write flag. Inside a read section; a fault is logged by
	 * report() with c->fault afterwards, outside.
	 */
	void (*ats_request)(struct hw_iommu *hw, const struct hw_request *req, struct hw_ats_completion *c);
	/*
	 * Would a translated request (HW_TRANSLATED) without PASID to addr go through now? For those who make many. False also
	 * when it takes a longer look to tell: translate() then, which says why. Inside a read section.
	 */
	bool (*translated_ok)(struct hw_iommu *hw, uint16_t rid, uint64_t addr);
	/*
	 * Page request message. Outside read sections; what comes of it (queue entry, interrupt, automatic response) happens
	 * before this returns.
	 */
	void (*page_request)(struct hw_iommu *hw, const struct hw_page_request *pr);
	/*
	 * An interrupt message: a 32-bit write at addr in the interrupt range. 0: *out is to be delivered. -EFAULT: blocked,
	 * and logged already. Takes read sections itself.
	 */
	int (*interrupt)(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data, struct hw_irq *out);
	/*
	 * Units whose walks do not snoop: the CPU's copy of [pa, pa + len) went to memory. Until then they see what was there.
	 */
	void (*written_back)(struct hw_iommu *hw, hpa_t pa, size_t len);
	/*
	 * Registers [off, off + len), whole pages, that a kernel gives to a guest: memory to map, as a descriptor (the model's) and an offset in
	 * it. Nothing tells the model when they are accessed there. -EINVAL: they are others.
	 */
	int (*register_memory)(struct hw_iommu *hw, uint64_t off, uint64_t len, int *fd, uint64_t *fd_off);
	/* With no lock of the model's or of anybody whom its interrupts call. */
	void (*threads)(struct hw_iommu *hw, enum hw_threads what);
};

/* First member of every model's structure. */
struct hw_iommu {
	const struct hw_ops *ops;
	struct mem *mem;
	struct nb_trace *tr;
	uint64_t mmio_size;
	/* Interrupt messages of the IOMMU itself; may be null. Called without any lock of the model. */
	void (*msi)(void *opaque, uint64_t addr, uint32_t data);
	void *msi_opaque;
	/*
	 * Interrupts of functions, after remapping; may be null. Called without locks and outside read sections. A completed
	 * invalidation of interrupt entries has waited for the deliveries that used them: it may not write the unit's registers, or
	 * wait for somebody who does.
	 */
	void (*deliver)(void *opaque, const struct hw_irq *irq);
	void *deliver_opaque;
	struct nb_drain irq_drain; /* deliveries under way: hw_interrupt_drain() */
	/* Null: no physical address is one. The device of a write is doorbell_device | rid. */
	const struct hw_doorbell *doorbell;
	uint32_t doorbell_device;
	/* Who sits behind a source-id; null: nobody with a device-TLB. May be null. Called with locks of the unit. */
	const struct hw_client *(*client)(void *opaque, uint16_t rid);
	void *client_opaque;
};

/* Translate one request, log its fault if any. Takes the read section itself; res->pa is for tests and printing only. */
void hw_translate(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);

/*
 * DMA: translate and access in one call, page by page. 0 or -EFAULT: the transaction was
 * aborted at some byte (fault logged by the hardware); bytes before it may have moved. -EAGAIN: it is stalled (enum hw_stall_end). Reads of an aborted
 * range leave what was not read untouched. The range may not be longer than 2^32 bytes.
 */
int hw_dma_read(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, void *buf, size_t len);
int hw_dma_write(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, const void *buf, size_t len);

/*
 * A function sends an interrupt message (or writes 32 bits into the interrupt range by DMA): remapped and delivered. 0, or -EFAULT:
 * blocked, logged by the hardware.
 */
int hw_interrupt(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data);
/*
 * A function sends an interrupt message as the machine has it: where there is a doorbell it is a write like any other, with the results of
 * hw_dma_write(); else it is hw_interrupt().
 */
int hw_message(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data);
/* For the models: every hw_interrupt() that has begun by now has delivered. One at a time; blocks; not inside a read section. */
void hw_interrupt_drain(struct hw_iommu *hw);

#endif
