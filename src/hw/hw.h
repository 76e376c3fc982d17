/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hardware seam: what silicon shows to the rest of the machine.
 *
 * An IOMMU model is registers (MMIO), tables and queues in a memory, interrupt messages that it sends, and a
 * port on which requesters put transactions. Drivers use the first three and nothing else; devices use
 * hw_dma_read/write. Models never include pt or drv.
 *
 * Threads: MMIO and DMA may come from any thread at once. hw_translate() and the DMA calls take no lock on
 * a TLB hit; they are RCU readers, and an invalidation whose completion the
 * driver was told (wait descriptor, CMD_SYNC, COMPLETION_WAIT) has waited for every
 * access that could still use what was invalidated.
 */
#ifndef NB_HW_HW_H
#define NB_HW_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"
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
};

struct hw_request {
	uint64_t addr;	/* iova_t of the device, raw */
	uint32_t pasid; /* or NB_NO_PASID */
	uint16_t rid;	/* bus << 8 | device << 3 | function */
	uint8_t access; /* HW_READ | HW_WRITE | HW_EXEC */
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
};

/* Translate one request, log its fault if any. Takes the read section itself; res->pa is for tests and printing only. */
void hw_translate(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);

/*
 * DMA: translate and access in one call, page by page. 0 or -EFAULT: the transaction was
 * aborted at some byte (fault logged by the hardware); bytes before it may have moved. Reads of an aborted
 * range leave what was not read untouched. The range may not be longer than 2^32 bytes.
 */
int hw_dma_read(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, void *buf, size_t len);
int hw_dma_write(struct hw_iommu *hw, uint16_t rid, uint32_t pasid, uint64_t addr, const void *buf, size_t len);

#endif
