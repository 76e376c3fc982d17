/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVMe controller's inside: one controller, one namespace, up to 63 pairs of I/O queues.
 *
 * Life of a command: a doorbell write reaches regs.c, queue.c fetches the entries up to the new tail and hands each to io.c
 * or admin.c, which move data through prp.c between guest memory and the namespace's mapping; queue.c posts the
 * completions and the doorbell ends with one interrupt per completion queue. All of it happens in the thread that wrote
 * the doorbell, and a doorbell does no more than its queue holds.
 *
 * Locks, outermost first:
 *   state (rwlock)  which queues exist, registers, features, async events. Written by register writes, the admin queue and
 *                   reset; read by I/O doorbells, so those run side by side.
 *   cq[i].lock      completion queue i and every submission queue that completes into it; held while their commands run.
 *   log_lock        error log; nothing else is taken inside.
 *   intx_lock       orders computing the INTx level with handing it to dev_fn, whose lock nests inside.
 * DMA is called with state and cq[i].lock held. Interrupts go to the bus with none held (nvme_finish).
 */
#ifndef NB_DEV_NVME_NVME_H
#define NB_DEV_NVME_NVME_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/nvme/spec.h"
#include "dev/pci.h"

#define NVME_PCI_VENDOR 0x1234 /* nobody's: emulators share it; Linux has no quirk for it */
#define NVME_PCI_DEVICE 0x6e76
#define NVME_BAR_SIZE	0x4000
#define NVME_BAR_MSIX	4

#define NVME_MAX_QUEUES	 63 /* I/O queue pairs; bit n of a 64-bit word is queue or vector n */
#define NVME_MAX_ENTRIES 1024
#define NVME_PAGE_LG2_MIN 12
#define NVME_PAGE_LG2_MAX 16
#define NVME_MDTS	 8 /* transfers up to 2^MDTS pages of 4 KiB */
#define NVME_MAX_DATA	 (UINT64_C(1) << (NVME_PAGE_LG2_MIN + NVME_MDTS))
#define NVME_MAX_SEGS	 (NVME_MAX_DATA / 4096 + 1)
#define NVME_AERS	 4
#define NVME_ERRORS	 64
#define NVME_SERIAL_LEN	 20
#define NVME_TEMPERATURE 310 /* of the controller, K: it is never anything else */

/* A command as fetched, in the CPU's byte order. */
struct nvme_cmd {
	uint16_t sqid, cid;
	uint8_t opcode;
	bool odd;	/* fused or with SGLs, which we do not offer */
	uint32_t nsid;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_sq {
	bool live;
	uint16_t id;
	uint32_t size, head, tail; /* under cq->lock */
	uint64_t base;
	struct nvme_cq *cq;
};

struct nvme_stats { /* for the SMART log; never reset */
	uint64_t reads, writes, read_bytes, write_bytes;
};

struct nvme_cq {
	bool live;
	uint16_t id, vector;
	bool ien;
	unsigned int nsqs; /* under state: submission queues that complete here */
	uint64_t base;
	pthread_mutex_t lock;
	uint32_t size, head, tail; /* under lock */
	bool phase;		   /* of the lap that tail is in */
	bool stalled;		   /* a submission queue waits for room */
	struct nvme_stats stats;   /* under lock */
};

/* A data buffer of the host: pieces of contiguous addresses. */
struct nvme_sg {
	unsigned int nsegs;
	struct {
		uint64_t addr;
		uint64_t len;
	} seg[NVME_MAX_SEGS];
};

struct nvme_ns {
	uint8_t *base; /* mapping; its pages may vanish if the file is truncated, so only guarded access */
	uint64_t bytes, nlbas;
	unsigned int lba_lg2;
	bool readonly, file;
};

struct nvme_options {
	const char *file, *serial;
	uint64_t size, lba, queues, irq_delay;
	bool readonly;
};

struct nvme_error {
	uint64_t count, lba;
	uint16_t sqid, cid, status;
	uint32_t nsid;
};

enum nvme_event { /* bit numbers in `events` */
	NVME_EVENT_BAD_DOORBELL,       /* a doorbell of no queue */
	NVME_EVENT_BAD_DOORBELL_VALUE, /* a value out of range */
	NVME_EVENT_TEMPERATURE,
};

struct nvme_features { /* under state; back to default at reset */
	uint32_t arbitration, error_recovery, coalescing, atomicity, async_event;
	uint16_t temp_over, temp_under;
	bool write_cache;
	uint64_t no_coalesce; /* bit per vector */
	uint32_t queues;      /* pairs granted */
};

struct nvme {
	struct dev_fn fn;
	struct nvme_ns ns; /* opened at creation, constant */
	unsigned int nqueues;
	char serial[NVME_SERIAL_LEN + 1];

	pthread_rwlock_t state;
	uint32_t cc, aqa;		 /* under state */
	_Atomic uint32_t intms;		 /* changes under state */
	uint64_t asq, acq;		 /* under state */
	unsigned int page_lg2;		 /* under state; CC.MPS as it was when enabled */
	_Atomic uint32_t csts;		 /* RDY and SHST under state for writing; CFS by anyone. Relaxed: no data hangs on it */
	struct nvme_sq sq[NVME_MAX_QUEUES + 1];
	struct nvme_cq cq[NVME_MAX_QUEUES + 1];
	struct nvme_features feat;

	uint16_t aer_cid[NVME_AERS]; /* under state: requests that wait for an event */
	uint16_t aborted_cid[NVME_AERS]; /* under state: requests whose abort is still to be posted */
	unsigned int naers, naborted;
	uint8_t aer_muted;	     /* under state: event types (bits) reported and not yet read */
	_Atomic uint32_t events;     /* bit per enum nvme_event: set by anyone, cleared under state for writing */
	_Atomic bool events_new;     /* `events` changed since somebody tried to deliver it */

	_Atomic uint64_t irq_cqs; /* completion queues with interrupts on and entries to read; bit changes under cq.lock */
	pthread_mutex_t intx_lock;

	struct nvme_pace *pace; /* constant; null: interrupts leave at once */

	pthread_mutex_t log_lock;
	uint64_t nerrors;		       /* under log_lock */
	struct nvme_error error[NVME_ERRORS]; /* ring, newest at (nerrors - 1) % NVME_ERRORS */
};

/* What is left to do when a register write has dropped its locks. */
struct nvme_work {
	uint64_t vectors; /* messages to send */
};

static inline struct nvme *nvme_of(struct dev_fn *fn)
{
	return container_of(fn, struct nvme, fn);
}

static inline bool nvme_running(struct nvme *n)
{
	return atomic_load_explicit(&n->csts, memory_order_relaxed) == NVME_CSTS_RDY;
}
static inline void nvme_fatal(struct nvme *n)
{
	atomic_fetch_or_explicit(&n->csts, (uint32_t)NVME_CSTS_CFS, memory_order_relaxed);
}

/* regs.c */
uint64_t nvme_bar_read(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size);
void nvme_bar_write(struct dev_fn *fn, unsigned int bar, uint64_t off, unsigned int size, uint64_t v);
void nvme_disable_locked(struct nvme *n); /* state held for writing: queues go, registers of configuration stay */
void nvme_finish(struct nvme *n, struct nvme_work *w); /* no locks held: events, then interrupts */

/* queue.c. All with state held, for reading unless it says writing. */
void nvme_sq_doorbell(struct nvme *n, unsigned int qid, uint32_t tail, struct nvme_work *w);
void nvme_cq_doorbell(struct nvme *n, unsigned int qid, uint32_t head, struct nvme_work *w);
/* Post one completion that belongs to no fetched entry (async events). cq[0], writing. False: no room. */
bool nvme_post_event(struct nvme *n, uint16_t cid, uint16_t status, uint32_t result, struct nvme_work *w);
/* Create and delete, writing. The caller has checked everything the guest said. */
void nvme_sq_init(struct nvme_sq *sq, uint16_t id, uint64_t base, uint32_t size, struct nvme_cq *cq);
void nvme_cq_init(struct nvme_cq *cq, uint16_t id, uint64_t base, uint32_t size, bool ien, uint16_t vector);
void nvme_sq_drop(struct nvme_sq *sq);
void nvme_cq_drop(struct nvme *n, struct nvme_cq *cq);

/*
 * Run one command. Returns its status; *result is dword 0. NVME_NO_COMPLETION: none is
 * posted now (an asynchronous event request). cmd->sqid's queue lock is held.
 */
#define NVME_NO_COMPLETION 0xffff
uint16_t nvme_io(struct nvme *n, const struct nvme_cmd *cmd, struct nvme_stats *stats);
uint16_t nvme_admin(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result); /* writing */

/* identify.c, feature.c, log.c: all for admin.c, state held for writing */
uint16_t nvme_identify(struct nvme *n, const struct nvme_cmd *cmd);
uint16_t nvme_get_features(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result);
uint16_t nvme_set_features(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result);
void nvme_features_reset(struct nvme *n);
uint16_t nvme_get_log(struct nvme *n, const struct nvme_cmd *cmd);
void nvme_log_error(struct nvme *n, const struct nvme_cmd *cmd, uint16_t status); /* any locks */
bool nvme_too_warm(const struct nvme *n);
/* Little-endian numbers in identify and log pages. */
static inline void nvme_put16(uint8_t *p, uint64_t v)
{
	pci_put16(p, (uint16_t)v);
}
static inline void nvme_put32(uint8_t *p, uint64_t v)
{
	pci_put32(p, (uint32_t)v);
}
static inline void nvme_put64(uint8_t *p, uint64_t v)
{
	pci_put32(p, (uint32_t)v);
	pci_put32(p + 4, (uint32_t)(v >> 32));
}

/* event.c */
void nvme_event(struct nvme *n, enum nvme_event ev); /* any locks; delivered by nvme_finish() */
uint16_t nvme_async_event_request(struct nvme *n, const struct nvme_cmd *cmd);
bool nvme_async_event_abort(struct nvme *n, uint16_t cid); /* false: no such request waits */
void nvme_events_reset(struct nvme *n); /* writing: requests and events are forgotten */
void nvme_event_log_read(struct nvme *n, uint8_t log); /* the log of an event type was read: it may be reported again */
void nvme_events_deliver(struct nvme *n, struct nvme_work *w); /* writing */

/*
 * pace.c: interrupts of I/O queues that are held back for a moment, so that one tells of several completions. A
 * thread of its own sends them.
 */
int nvme_pace_new(struct nvme *n, unsigned int delay_us, struct nvme_pace **out); /* 0 or -errno */
void nvme_pace_free(struct nvme_pace *p);			  /* null is fine; what is held back is dropped */
void nvme_pace_send(struct nvme_pace *p, uint64_t vectors);	  /* any thread, no locks held */

/* prp.c: 0 or a status */
uint16_t nvme_map(struct nvme *n, const struct nvme_cmd *cmd, uint64_t len, struct nvme_sg *sg);
uint16_t nvme_sg_write(struct nvme *n, const struct nvme_cmd *cmd, const struct nvme_sg *sg, const void *buf);
uint16_t nvme_sg_read(struct nvme *n, const struct nvme_cmd *cmd, const struct nvme_sg *sg, void *buf);
/* Map and write or read at most 4 KiB or so in one go. */
uint16_t nvme_to_host(struct nvme *n, const struct nvme_cmd *cmd, const void *buf, uint64_t len);
uint16_t nvme_from_host(struct nvme *n, const struct nvme_cmd *cmd, void *buf, uint64_t len);

/* ns.c: 0 or -errno */
int nvme_ns_open(struct nvme_ns *ns, const struct nvme_options *o, struct nb_diag *diag);
void nvme_ns_close(struct nvme_ns *ns);
int nvme_ns_flush(struct nvme_ns *ns);
int nvme_ns_zero(struct nvme_ns *ns, uint64_t off, uint64_t len);
/*
 * Advice: what cannot be given back stays as it is. One command may name 256 ranges as large as the namespace, which on
 * a file system without holes would be that much clearing by hand in one doorbell.
 */
int nvme_ns_deallocate(struct nvme_ns *ns, uint64_t off, uint64_t len);
int nvme_ns_get(struct nvme_ns *ns, uint64_t off, void *buf, size_t len);

#endif
