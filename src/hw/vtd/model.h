/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of one VT-d unit, shared by the files of this folder only.
 *
 * The unit follows revision 5.10 of the manual, as its VER register (5.0, regs.c) tells software: what 5.10 gives to units up to
 * or from some major version is here as version 5 has it, register-based invalidation (up to 5) and execute requests (up to 7, as
 * in revision 4.1) included. 5.10's options that no capability announces are absent and their bits reserved: host permission
 * tables, PASIDs in translated requests, second-stage I/O permissions, mandatory interrupt remapping.
 *
 * Locks, in this order; a holder never waits for a grace period except where said:
 *   mmio_lock   registers and queues; held across nb_rcu_synchronize(), so never taken by a requester
 *   prq_lock    the page request queue and its event; a requester takes it in page_request()
 *   event_lock  fault recording: FSTS, FECTL and what belongs to them; a requester takes it in report()
 *   tlb.lock    everything cached, configuration included (a spinlock)
 *   iec.lock    cached interrupt entries (a spinlock)
 * Interrupt messages are collected in struct vtd_msis and sent when all locks are gone.
 */
#ifndef NB_HW_VTD_MODEL_H
#define NB_HW_VTD_MODEL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/rcu.h"
#include "hw/vtd/tlb.h"
#include "hw/vtd/vtd.h"
#include "spec/vtd/descs.h"
#include "spec/vtd/entries.h"
#include "spec/vtd/faults.h"
#include "spec/vtd/irte.h"
#include "spec/vtd/pte.h"
#include "spec/vtd/regs.h"

/* ---- decoded configuration ---- */

enum vtd_kind { VTD_K_PT, VTD_K_FS, VTD_K_SS, VTD_K_NESTED };

/* A translation function: a context entry of legacy mode or a PASID table entry. Immutable once published. */
struct vtd_proc {
	/* An address is acceptable if (address + in_bias) >> in_bits is 0: make_plain(). */
	uint64_t in_bias;
	struct vtd_tag *tag;  /* of the request's translations */
	uint8_t kind;
	uint8_t fs_levels, ss_levels;
	uint8_t in_bits;      /* input addresses: canonical in so many bits (first stage), or below 2^in_bits */
	uint8_t gpa_bits;     /* min(MGAW, AW) */
	bool legacy;
	bool hot;	      /* requests without PASID need nothing but a translation: not pass-through, not RID_PRIV */
	bool priv_rid;	      /* RID_PRIV, for requests without PASID */
	bool sre, ere, nxe, smep, wpe, eafe, ssade;
	bool can_ad;	      /* page walks snoop: A/D updates are possible */
	bool fpd;	      /* of any entry on the way */
	uint16_t did, rid;
	uint32_t pasid;	      /* of the table entry; legacy: NB_NO_PASID */
	uint64_t fs_root, ss_root;
	/* An entry with (e & mask) == want references a table and asks for no further look: present, all rights, accessed
	 * where that counts, nothing reserved. */
	uint64_t fs_plain_mask, fs_plain, ss_plain_mask, ss_plain;
	struct vtd_dom *dom;
	struct vtd_proc *_Atomic next; /* chain of the PASID cache */
	struct vtd_proc *dead;
	const struct mem_lag *lag; /* what its page walks read through when they do not snoop; null: memory */
};

/* A device: root and context entry. Immutable once published. */
struct vtd_dev {
	bool scalable;
	bool fpd, paside, rid_priv;
	bool dte, pre; /* ATS and page requests are on for it */
	uint8_t pdts;
	uint16_t rid;
	uint32_t rid_pasid;
	uint64_t pasid_dir;
	struct vtd_proc legacy; /* when not scalable */
	struct vtd_dev *dead;
};

/* Context cache by source-id. `fast` answers requests without PASID: set only while both the context entry and the
 * PASID entry that it leads to are cached. */
struct vtd_slot {
	struct vtd_dev *_Atomic dev;
	struct vtd_proc *_Atomic fast;
};
struct vtd_bus {
	struct vtd_slot slot[256];
};

#define VTD_PC_HASH 1024 /* PASID cache: chains by source-id and PASID */
#define VTD_PC_MAX  16384

/* ---- the unit ---- */

#define VTD_MODE_TE  1u
#define VTD_MODE_TTM 6u /* RTADDR.TTM << 1 */
#define VTD_MODE_PMR 8u /* protected memory regions are enabled */
#define VTD_MODE_IRE 16u
#define VTD_MODE_CFI 32u

struct vtd_iec; /* ir.c */

struct vtd {
	struct hw_iommu hw; /* first */
	/* hot: read by every translation */
	_Atomic uint32_t mode;
	struct vtd_tlb tlb;
	struct vtd_bus *_Atomic bus[256];

	_Atomic uint64_t root; /* latched by SRTP */
	_Atomic uint64_t irta_now; /* latched by SIRTP */
	struct vtd_iec *iec;	   /* null without interrupt remapping */
	_Atomic uint64_t pmr[4];   /* low first and last, high first and last; first > last: none. pmr.c */
	struct vtd_caps caps;
	uint64_t cap, ecap;
	/* What reads that do not snoop see; cfg_lag for structures other than page tables. Null: memory. lines.c */
	const struct mem_lag *cfg_lag;
	struct mem_lag *lag;
	/* Bits that must be 0, by level (index 1..5): entries that reference a table, entries that map a page. */
	uint64_t ss_node_rsvd[6], ss_leaf_rsvd[6], fs_node_rsvd[6], fs_leaf_rsvd[6];

	/* PASID cache, read under RCU, written under tlb.lock */
	struct vtd_proc *_Atomic pc[VTD_PC_HASH];
	uint32_t npc;
	/* unpublished, waiting for a grace period; under tlb.lock */
	struct vtd_proc *dead_procs;
	struct vtd_dev *dead_devs;
	uint32_t ndead;

	/* registers; mmio_lock */
	pthread_mutex_t mmio_lock;
	uint64_t gsts, rtaddr, irta;
	uint32_t pmen, plmbase, plmlimit;
	uint64_t phmbase, phmlimit;
	uint64_t ccmd, iotlb, iva;
	uint64_t iqh, iqt, iqa;
	uint32_t ics, iectl, iedata, ieaddr, ieuaddr;
	bool inv_pending; /* something was invalidated and no grace period has passed since */
	bool intr_pending; /* the same of interrupt entries and deliveries */
	int32_t lost_sid; /* injected: this device-TLB does not answer; -1: none */

	/* page requests; prq_lock */
	pthread_mutex_t prq_lock;
	uint64_t pqh, pqt, pqa;
	uint32_t prs, pectl, pedata, peaddr, peuaddr;

	/* fault recording; event_lock */
	pthread_mutex_t event_lock;
	uint32_t fsts, fectl, fedata, feaddr, feuaddr;
	uint64_t iqer;
	unsigned int frcd_next;
	uint64_t frcd[64][2];
};

static inline struct vtd *to_vtd(struct hw_iommu *hw)
{
	return (struct vtd *)(void *)hw;
}

/* ---- interrupt messages ---- */

#define VTD_MAX_MSIS 8
struct vtd_msis {
	unsigned int n;
	struct {
		uint64_t addr;
		uint32_t data;
	} m[VTD_MAX_MSIS];
};
void vtd_msi_queue(struct vtd_msis *q, uint64_t addr, uint32_t data);
void vtd_msi_send(struct vtd *v, struct vtd_msis *q); /* no lock held */

/* ---- walks with a report of each entry ---- */

struct vtd_steps {
	hw_step_fn *fn;
	void *opaque;
};
void vtd_step_entry(const struct vtd_steps *st, const char *name, uint64_t pa, bool fetched, const uint64_t *w,
		    unsigned int n, const char *fields);
void vtd_step_pte(const struct vtd_steps *st, unsigned int stage, unsigned int level, uint64_t pa, bool gpa_valid,
		  uint64_t gpa, bool fetched, uint64_t e);
void vtd_text_ctx(char out[200], uint64_t lo, uint64_t hi);
void vtd_text_sctx(char out[200], uint64_t q0, uint64_t q1);
void vtd_text_pasid(char out[200], const uint64_t q[8]);

/* ---- config.c ---- */

struct vtd_bad { /* why a configuration entry refused the request */
	uint16_t reason;
	bool silent; /* FPD, and the fault is one that FPD suppresses */
};

/*
 * The translation function for a request, from the caches or from memory. Reads entries through steps (may be null).
 * `seq` is tlb.inv_seq as it was before anything was read. `box` gives room when the result cannot be cached; with `observe` nothing is looked up in caches or put
 * there. Inside a read section unless observing. Null: *bad says why.
 */
struct vtd_box {
	struct vtd_dev dev;
	struct vtd_proc proc;
};
const struct vtd_proc *vtd_config(struct vtd *v, const struct hw_request *req, uint64_t seq, struct vtd_box *box,
				  const struct vtd_steps *st, bool observe, struct vtd_bad *bad);

/* For requests with PASID: the cached function, if every entry on the way is cached and lets the request through. */
const struct vtd_proc *vtd_config_cached(struct vtd *v, const struct hw_request *req);

/* The root and context entry alone, for requests that need no translation function. As above. */
const struct vtd_dev *vtd_config_dev(struct vtd *v, const struct hw_request *req, uint64_t seq, struct vtd_box *box,
				     struct vtd_bad *bad);

/* The context-cache slot of a source-id; null: none yet, or out of memory. */
struct vtd_slot *vtd_slot_of(struct vtd *v, uint16_t rid, bool create);

/* ---- inval.c ---- */

/* Each a whole operation that takes the lock. */
void vtd_cc_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint16_t sid, unsigned int fm);
void vtd_pc_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint32_t pasid);
void vtd_iotlb_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint64_t addr, unsigned int am, bool ih);
void vtd_piotlb_invalidate(struct vtd *v, unsigned int g, uint16_t did, uint32_t pasid, uint64_t addr,
			   unsigned int am, bool ih);
void vtd_invalidate_all(struct vtd *v);
/* After a grace period: free what was unpublished before it began. Begin, synchronize, end. */
void vtd_sync(struct vtd *v);
void vtd_config_fini(struct vtd *v);

/* ---- ir.c ---- */

int vtd_ir_init(struct vtd *v); /* 0 or -ENOMEM */
void vtd_ir_fini(struct vtd *v);
/* hw_ops.interrupt */
int vtd_interrupt(struct hw_iommu *hw, uint16_t rid, uint64_t addr, uint32_t data, struct hw_irq *out);
/* Cached entries of these indices go. A wait descriptor (inv_pending) has to follow before they are used by nobody. */
void vtd_iec_invalidate(struct vtd *v, uint32_t first, uint32_t last);
#define VTD_IEC_LAST 0xffffu

/* ---- pmr.c ---- */

/* PMEN was written: EPM may have changed. mmio_lock held; waits for a grace period. */
void vtd_pmr_update(struct vtd *v);
/* Whether a host-physical address lies in a protected region. Ask when VTD_MODE_PMR is set. */
bool vtd_pmr_hit(struct vtd *v, uint64_t pa);
#define VTD_PMR_LG2 21 /* granularity of base and limit */
/* Refuse: such a request is not recorded. */
void vtd_pmr_block(struct hw_result *res);

/* ---- lines.c ---- */

/* Load a word of a structure; lag is v->cfg_lag or the vtd_proc's. 0 or -EFAULT. */
static inline __attribute__((always_inline)) int vtd_load64(struct vtd *v, const struct mem_lag *lag, uint64_t pa, uint64_t *val)
{
	if (unlikely(lag))
		return mem_lag_load64(lag, hpa(pa), val);
	return mem_load64(v->hw.mem, hpa(pa), val);
}
/*
 * Two words that software changes in one store of 128 bits, and that hardware reads in one access (chapter 9). What lags comes by
 * lines, which are written back whole.
 */
static inline int vtd_load128(struct vtd *v, const struct mem_lag *lag, uint64_t pa, uint64_t val[2])
{
	if (unlikely(lag))
		return mem_lag_load64(lag, hpa(pa), &val[0]) || mem_lag_load64(lag, hpa(pa + 8), &val[1]) ? -EFAULT : 0;
	return mem_load128(v->hw.mem, hpa(pa), val);
}
void vtd_written_back(struct hw_iommu *hw, hpa_t pa, size_t len);

/* ---- walk.c ---- */

void vtd_walk(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
	      uint64_t seq);
void vtd_walk_observe(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
		      const struct vtd_steps *st);
/* walk.c says what it returns. */
int vtd_hit(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
	    uint64_t val);
/* Does the request carry privilege, given the translation function? */
static inline bool vtd_req_priv(const struct vtd_proc *p, const struct hw_request *req)
{
	return req->pasid == NB_NO_PASID ? p->priv_rid : req->flags & HW_PRIV;
}

#define VTD_INTR_RANGE UINT64_C(0xfee) /* address bits 63:20 */

/* ---- vtd.c ---- */

/* A request whose translation function is known: what the PASID entry allows, IOTLB, walk. */
void vtd_translate_proc(struct vtd *v, const struct vtd_proc *p, const struct hw_request *req, struct hw_result *res,
			uint64_t seq);

/* ---- ats.c ---- */

/* hw_ops.ats_request, hw_ops.translated_ok */
void vtd_ats_request(struct hw_iommu *hw, const struct hw_request *asked, struct hw_ats_completion *c);
bool vtd_translated_ok(struct hw_iommu *hw, uint16_t rid, uint64_t addr);
/* A request with HW_TRANSLATED. */
void vtd_translated(struct vtd *v, const struct hw_request *req, struct hw_result *res, uint64_t seq, uint32_t mode);

/* ---- event.c ---- */

/*
 * Further request flags, inside the unit only: what the transaction was, for its fault record. Requests with HW_TRANSLATED
 * or without any of the three are memory requests.
 */
#define VTD_REQ_ATS  0x80u /* translation request */
#define VTD_REQ_PAGE 0x40u /* page request */

/* Fill *res with a fault; nothing is logged yet. */
void vtd_fault(struct vtd *v, const struct hw_request *req, struct hw_result *res, unsigned int reason,
	       unsigned int stage, bool silent);
void vtd_report(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);
/* Queue errors: an FSTS bit and, for IQE, why; for ICE and ITE, which source-id. */
void vtd_event_queue_error(struct vtd *v, uint64_t fsts_bit, uint64_t info, struct vtd_msis *q);
bool vtd_event_queue_stopped(struct vtd *v); /* IQE or ITE pending */
uint32_t vtd_event_read(struct vtd *v, uint64_t off); /* 32-bit pieces */
/* Write the bytes `mask` of a 32-bit piece; true: IQE or ITE was cleared. */
bool vtd_event_write(struct vtd *v, uint64_t off, uint32_t val, uint32_t mask, struct vtd_msis *q);
bool vtd_event_owns(const struct vtd *v, uint64_t off);
void vtd_event_disabled(struct vtd *v); /* translation was switched off */
void vtd_event_reset(struct vtd *v);

/* ---- prq.c ---- */

/* Registers in 32-bit pieces, as of event.c; none is owned without page requests in ECAP. */
bool vtd_prq_owns(const struct vtd *v, uint64_t off);
uint32_t vtd_prq_read(struct vtd *v, uint64_t off);
void vtd_prq_write(struct vtd *v, uint64_t off, uint32_t val, uint32_t mask, struct vtd_msis *q);
void vtd_prq_reset(struct vtd *v);
/* hw_ops.page_request */
void vtd_page_request(struct hw_iommu *hw, const struct hw_page_request *pr);
/* Hand a page group response to whoever sits behind rid; nobody: it is lost. Any lock but tlb.lock may be held. */
void vtd_page_respond(struct vtd *v, uint16_t rid, uint32_t pasid, unsigned int prgi, unsigned int code);
/* Page requests that were received are in the queue, or answered, when this returns (wait descriptor with PD). */
void vtd_prq_drain(struct vtd *v);

/* ---- regs.c, queue.c ---- */

uint64_t vtd_mmio_read(struct hw_iommu *hw, uint64_t off, unsigned int size);
void vtd_mmio_write(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t val);
void vtd_regs_reset(struct vtd *v);
void vtd_queue_run(struct vtd *v, struct vtd_msis *q); /* mmio_lock held */

#endif
