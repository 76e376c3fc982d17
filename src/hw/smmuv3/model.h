/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of one SMMU, shared by the files of this folder only.
 *
 * Locks, in this order; a holder never waits for a grace period except where said:
 *   mmio_lock   registers and the command queue; held across nb_rcu_synchronize(), so never taken by a requester
 *   prq_lock    the PRI queue; a requester takes it in page_request()
 *   event_lock  the event queue, stalled transactions, GERROR; a requester takes it in report()
 *   tlb.lock    everything cached, configuration included (a spinlock)
 * Interrupt messages are collected in struct smmu_msis and sent when all locks are gone.
 */
#ifndef NB_HW_SMMUV3_MODEL_H
#define NB_HW_SMMUV3_MODEL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/rcu.h"
#include "hw/smmuv3/smmu.h"
#include "hw/smmuv3/tlb.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/pte.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

/* ---- decoded configuration: everything was checked, nothing is illegal ---- */

/* Stage 2 of an STE. */
struct smmu_s2 {
	uint64_t ttb;	 /* aligned for its start table */
	uint8_t ia_bits; /* 64 - S2T0SZ */
	uint8_t tg;	 /* granule: 12, 14, 16 */
	int8_t start;	 /* level of the walk's start: -1..3, as the manual counts */
	uint8_t oa_bits; /* effective S2PS */
	uint16_t vmid;
	bool ds, big_endian, affd, ha, hd, ptw, fwb, r, s;
};

/* Stage 1 of a CD. [0] and [1] belong to TTB0 and TTB1; with one range only [0] counts. */
struct smmu_s1 {
	uint64_t ttb[2];
	uint8_t ia_bits[2]; /* 64 - TxSZ */
	uint8_t tg[2];	    /* 12, 14, 16 */
	bool epd[2], tbi[2], had[2], e0pd[2];
	uint8_t oa_bits;    /* effective IPS */
	bool two_ranges;    /* EL1 and EL2-E2H: TTB1 and unprivileged requests exist */
	bool ds;	    /* counts where the granule is not 64 KiB */
	bool big_endian, affd, ha, hd, wxn, uwxn, pan, epan, aset;
	bool a, r, s;	    /* 5.5 */
	uint16_t asid;	    /* EL2: 0 */
	uint64_t mair;
};

enum smmu_kind { SMMU_K_BYPASS, SMMU_K_S1, SMMU_K_S2, SMMU_K_NESTED };

/* A translation function, of a StreamID or of a (StreamID, SubstreamID). Immutable once published under RCU. */
struct smmu_cfg {
	/* An address may be looked up at once if ((address + in_bias) & in_mask) is 0; else smmu_walk() decides. */
	uint64_t in_bias, in_mask;
	struct smmu_tag *tag, *gtag, *s2tag; /* gtag: stage 1, else null. s2tag: stage 2, else null. Never null where they exist. */
	uint8_t kind;
	uint8_t regime;	       /* enum smmu_regime; of VMID only with SMMU_R_EL1 */
	uint8_t privcfg, instcfg; /* SMMU_CFG_*; requests are overridden before they come to the walk */
	bool hot;	       /* requests need nothing but a translation: no override, not bypass, rights of the unprivileged */
	bool mev;
	uint16_t sid, vmid;
	uint32_t ssid;	       /* NB_NO_PASID: of no CD */
	struct smmu_s1 s1;
	struct smmu_s2 s2;
	uint8_t bad;	       /* a CD that is illegal, cached as such: the event; else 0 */
	struct smmu_cfg *_Atomic next; /* chain of the CD cache */
	struct smmu_cfg *dead;
};

/* A stream: its STE, in whatever state. Immutable once published. */
struct smmu_dev {
	uint8_t bad;	  /* illegal, and cached as such: the event; else 0 */
	uint8_t config;	  /* SMMU_STE_CONFIG_* */
	uint8_t s1fmt, s1cdmax, s1dss, eats;
	uint8_t regime;
	bool s1stalld, ppar, mev;
	uint16_t sid, vmid;
	uint64_t s1ctx;
	uint8_t privcfg, instcfg;
	struct smmu_cfg nos1; /* stage 1 off or bypassed: kind bypass or S2 */
	struct smmu_dev *dead;
};

/* A level 1 descriptor of a CD table, as fetched. Immutable once published. */
struct smmu_l1 {
	uint64_t w;
	uint16_t sid;
	uint32_t index;
	struct smmu_l1 *_Atomic next;
	struct smmu_l1 *dead;
};

/* Configuration cache by StreamID. `fast` answers requests without SubstreamID: set only while both the STE and, where
 * there is one, the CD behind it are cached. */
struct smmu_slot {
	struct smmu_dev *_Atomic dev;
	struct smmu_cfg *_Atomic fast;
};
struct smmu_bus {
	struct smmu_slot slot[256];
};

#define SMMU_CD_HASH 1024 /* CD cache: chains by StreamID and SubstreamID */
#define SMMU_CD_MAX  16384
#define SMMU_L1CD_HASH 256
#define SMMU_L1STD_MAX 1024 /* 16-bit StreamIDs, SPLIT at least 6 */

/* ---- the unit ---- */

#define SMMU_MODE_EN	 1u /* CR0.SMMUEN */
#define SMMU_MODE_ATSCHK 2u
#define SMMU_MODE_E2H	 4u
#define SMMU_MODE_RECINVSID 8u
#define SMMU_MODE_REC_CFG_ATS 16u

struct smmu_queue { /* a queue's registers; what protects it is said where it stands */
	uint64_t base;
	uint32_t prod, cons;
};

/*
 * A command queue: CMDQ, or another that is consumed in the same way (queue.c). All of it under mmio_lock, as are the owner's calls.
 */
struct smmu_cmdq {
	struct smmu_queue q;
	const struct smmu_cmdq_owner *owner;
	bool inv_pending; /* something was invalidated and no grace period has passed since */
	bool waited;	  /* for one; nobody but the owner resets it */
	bool one_vmid;	  /* CR0.VMW does not count */
	bool atc_lost;	  /* an ATC invalidation went unanswered and no CMD_SYNC has said so */
};
struct smmu;
struct smmu_msis;
struct smmu_cmdq_owner {
	unsigned int most; /* commands that one call of smmu_cmdq_run() executes */
	bool (*runs)(struct smmu *v, const struct smmu_cmdq *cq); /* enabled, not empty, no error that is not acknowledged */
	/*
	 * May the queue hold this command, and if so as what? Null: all that the unit knows. False: CERROR_ILL. Asked when it is
	 * fetched, which may be before others ahead of it are executed, and more than once.
	 */
	bool (*admit)(struct smmu *v, struct smmu_cmdq *cq, uint64_t d[2]);
	bool (*moved)(struct smmu *v, struct smmu_cmdq *cq); /* CONS passed commands, whose work is done. False: enough for now. May be null */
	void (*stop)(struct smmu *v, struct smmu_cmdq *cq, unsigned int err, struct smmu_msis *q); /* report CERROR at CONS */
};
extern const struct smmu_cmdq_owner smmu_cmdq_host; /* of CMDQ itself */

struct smmu_irq { /* *_IRQ_CFG0 to 2 */
	uint64_t addr;
	uint32_t data, attr;
};

/* Entries that a queue has at most `lg2` of; index plus wrap bit of PROD and CONS. */
static inline unsigned int smmu_q_lg2(const struct smmu_queue *q, unsigned int most)
{
	unsigned int lg2 = (unsigned int)FIELD_GET(SMMU_Q_BASE_LOG2SIZE, q->base);

	return lg2 < most ? lg2 : most;
}
static inline uint32_t smmu_q_lap(unsigned int lg2)
{
	return (uint32_t)(BIT(lg2 + 1) - 1);
}
static inline bool smmu_q_empty(const struct smmu_queue *q, unsigned int lg2)
{
	return ((q->prod ^ q->cons) & smmu_q_lap(lg2)) == 0;
}
static inline bool smmu_q_full(const struct smmu_queue *q, unsigned int lg2)
{
	return ((q->prod ^ q->cons) & smmu_q_lap(lg2)) == BIT(lg2);
}

/* A transaction that faulted with Stall, was reported and waits for CMD_RESUME: stall.c. Its STAG is index and generation. */
struct smmu_stall {
	bool busy;
	uint16_t sid, gen;
	uint32_t ssid;
	uint64_t addr;
};

/* ---- interrupt messages: event.c ---- */

/* Sources in the order of the wires: smmu.h. */
enum { SMMU_IRQ_EVENTQ, SMMU_IRQ_SYNC, SMMU_IRQ_GERROR, SMMU_IRQ_PRIQ, SMMU_IRQ_CMDQV };
#define SMMU_MAX_MSIS 16
struct smmu_msis {
	unsigned int n;
	struct {
		uint64_t addr; /* 0: the wire */
		uint32_t data;
		uint8_t source;
	} m[SMMU_MAX_MSIS];
};

struct smmu {
	struct hw_iommu hw; /* first */
	/* hot: read by every translation */
	_Atomic uint32_t mode;
	struct smmu_tlb tlb;
	struct smmu_bus *_Atomic bus[256];

	struct mem_lag *lag; /* what accesses that do not snoop see (IDR0.COHACC clear); null: memory. smmu_set_lag() */
	struct smmu_caps caps;
	struct smmu_idregs id;
	_Atomic uint64_t strtab;     /* STRTAB_BASE.ADDR, and */
	_Atomic uint32_t strtab_cfg; /* STRTAB_BASE_CFG, as latched by SMMUEN */
	_Atomic uint32_t gbpa;
	_Atomic uint32_t irq_ctrl; /* written under mmio_lock */

	/* configuration caches, read under RCU, written under tlb.lock */
	struct smmu_cfg *_Atomic cds[SMMU_CD_HASH];
	struct smmu_l1 *_Atomic l1cds[SMMU_L1CD_HASH];
	_Atomic uint64_t l1std[SMMU_L1STD_MAX]; /* bit 63: cached */
	uint32_t ncds, nl1cds;
	/* unpublished, waiting for a grace period; under tlb.lock */
	struct smmu_dev *dead_devs;
	struct smmu_cfg *dead_cfgs;
	struct smmu_l1 *dead_l1s;
	uint32_t ndead;

	/* registers; mmio_lock */
	pthread_mutex_t mmio_lock;
	_Atomic unsigned int mmio_waiting; /* who waits for it: smmu_mmio_enter() */
	uint32_t cr0, cr1, cr2, agbpa;
	uint64_t strtab_base;
	uint32_t strtab_base_cfg;
	struct smmu_cmdq cmdq;
	struct smmu_cmdqv *cmdqv; /* null: none; cmdqv.h. Set at creation */
	struct smmu_ecmdqs *ecmdqs; /* null: none; ecmdq.c. Set at creation */
	bool vcmdq_lost;	  /* some VCMDQ's atc_lost is set */
	int32_t lost_sid; /* injected: this device-TLB does not answer; -1: none */

	/* PRI queue; prq_lock */
	pthread_mutex_t prq_lock;
	struct smmu_queue priq;
	struct smmu_irq priq_irq;
	bool priqen; /* CR0.PRIQEN, as it is; without SMMUEN it has no effect */

	/* events; event_lock */
	pthread_mutex_t event_lock;
	struct smmu_queue evtq;
	struct smmu_irq evtq_irq, gerror_irq;
	uint32_t gerror, gerrorn;
	bool eventqen;
	uint64_t merged[4]; /* the last record, if others may be merged with it; word 0 is 0: none */
	struct smmu_stall stalls[SMMU_STALLS];
	/* StreamIDs of transactions that stalled when nothing could be reported: they are issued again when it can. */
	uint64_t waiting[1024];
	bool any_waiting;
};

static inline struct smmu *to_smmu(struct hw_iommu *hw)
{
	return (struct smmu *)(void *)hw;
}

/*
 * mmio_lock for an access to a register. The CMDQ-V's thread takes it again and again while guests have work for it, and a mutex is not fair: it looks
 * whether somebody waits, and lets him in.
 */
static inline void smmu_mmio_enter(struct smmu *v)
{
	if (likely(pthread_mutex_trylock(&v->mmio_lock) == 0))
		return;
	atomic_fetch_add_explicit(&v->mmio_waiting, 1, memory_order_relaxed);
	pthread_mutex_lock(&v->mmio_lock);
	atomic_fetch_sub_explicit(&v->mmio_waiting, 1, memory_order_relaxed);
}

/* ---- what the unit reads of software's: tables, structures, commands. 0 or -EFAULT ---- */

static inline int smmu_load64(const struct smmu *v, uint64_t pa, uint64_t *val)
{
	return unlikely(v->lag) ? mem_lag_load64(v->lag, hpa(pa), val) : mem_load64(v->hw.mem, hpa(pa), val);
}
/* What lags comes by lines, which are written back whole. */
static inline int smmu_load128(const struct smmu *v, uint64_t pa, uint64_t val[2])
{
	if (unlikely(v->lag))
		return mem_lag_load64(v->lag, hpa(pa), &val[0]) || mem_lag_load64(v->lag, hpa(pa + 8), &val[1]) ? -EFAULT : 0;
	return mem_load128(v->hw.mem, hpa(pa), val);
}

/* ---- walks with a report of each entry: steps.c ---- */

struct smmu_steps {
	hw_step_fn *fn;
	void *opaque;
};
void smmu_step_entry(const struct smmu_steps *st, const char *name, uint64_t pa, bool gpa_valid, uint64_t ipa, bool fetched,
		     const uint64_t *w, unsigned int n, const char *fields);
/* level as the manual counts: 0..3, or -1. */
void smmu_step_pte(const struct smmu_steps *st, unsigned int stage, int level, uint64_t pa, bool gpa_valid, uint64_t ipa,
		   bool fetched, uint64_t e, const char *fields);

/* ---- faults: event.c ---- */

/* Why a translation ended, in the words of 7.3. */
struct smmu_why {
	uint8_t type;	/* SMMU_EVT_* */
	uint8_t class;	/* SMMU_CLASS_*; events that have one */
	bool s2;	/* of stage 2 */
	bool ttrnw;	/* F_PERMISSION of stage 2: what was refused was no write */
	uint64_t ipa;	/* with s2: what stage 2 refused */
	uint64_t fetch;	/* F_*_FETCH, F_WALK_EABT: physical address of the descriptor */
};

/*
 * Fill *res with a fault and its record; nothing is logged yet. cfg says whether it is recorded, aborted or stalled (A, R, S
 * of the stage) and may be null for faults of configuration, which always abort. type 0: an abort that is not recorded.
 * req is as the walk got it, with overrides.
 */
void smmu_fault(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
		const struct smmu_why *why);
/* hw_fault.model */
#define SMMU_F_STALL 1u /* may stall: CD.S, S2S */
#define SMMU_F_MUST  2u /* and may not end otherwise: STALL_MODEL */
#define SMMU_F_MERGE 4u /* STE.MEV */
#define SMMU_F_PAGE  8u /* class IN: of the page itself, not of a structure on the way */

void smmu_report(struct hw_iommu *hw, const struct hw_request *req, struct hw_result *res);
/* A record that belongs to no transaction under way. */
void smmu_event(struct smmu *v, const uint64_t rec[4], struct smmu_msis *q);
/* A GERROR bit becomes active, unless it is. Takes event_lock. */
void smmu_gerror(struct smmu *v, uint32_t bit, struct smmu_msis *q);
bool smmu_gerror_active(struct smmu *v, uint32_t bit);

void smmu_msi_queue(struct smmu *v, struct smmu_msis *q, unsigned int source, uint64_t addr, uint32_t data);
void smmu_msi_send(struct smmu *v, struct smmu_msis *q); /* no lock held */

/* Registers of event queue, GERROR and their interrupts, in 32-bit pieces; page 1 included. */
bool smmu_event_owns(uint64_t off);
uint32_t smmu_event_read(struct smmu *v, uint64_t off);
/* True: CMDQ_ERR was acknowledged. */
bool smmu_event_write(struct smmu *v, uint64_t off, uint32_t val, struct smmu_msis *q);
void smmu_event_enable(struct smmu *v, bool on); /* CR0.EVENTQEN */
/* One 32-bit piece of a *_IRQ_CFG group, `off` from its start: guarded by `enable` in IRQ_CTRL. Half of a *Q_BASE. */
void smmu_irq_write(const struct smmu *v, struct smmu_irq *irq_cfg, uint32_t enable, uint64_t off, uint32_t val, uint32_t attr_mask);
void smmu_q_base_write(const struct smmu *v, struct smmu_queue *queue, bool high, uint32_t val);
void smmu_event_reset(struct smmu *v);

/* ---- stall.c: event_lock held where it says locked ---- */

/* True: the transaction waits; *stag for its record, or no_record: there was nowhere to put one. */
bool smmu_stall_locked(struct smmu *v, const struct hw_request *req, bool writable, uint16_t *stag, bool *no_record);
/* Can this requester wait at all? */
bool smmu_can_stall(struct smmu *v, uint16_t rid);
/* Something can be reported again. */
void smmu_stall_wake_locked(struct smmu *v);
void smmu_stall_resume(struct smmu *v, uint16_t sid, uint16_t stag, enum hw_stall_end end);
/* All of a StreamID, or all there are: they abort. */
void smmu_stall_term(struct smmu *v, uint16_t sid, bool all);

/* ---- config.c, ste.c, cd.c ---- */

struct smmu_box { /* room for what cannot be cached */
	struct smmu_dev dev;
	struct smmu_cfg cfg;
};
/*
 * The translation function for a request, from the caches or from memory. `seq` is tlb.inv_seq as it was before anything was
 * read. With `observe` nothing is looked up in caches or put there. st may be null. Inside a read section unless observing.
 * Null: *why says why (type 0: no event); *cfg_of, which may be null, is whose A, R and S then count.
 */
const struct smmu_cfg *smmu_config(struct smmu *v, const struct hw_request *req, uint64_t seq, struct smmu_box *box,
				   const struct smmu_steps *st, bool observe, struct smmu_why *why, const struct smmu_cfg **of);
/* The STE alone, for requests that need no translation function. It may be illegal (bad), or say abort. */
const struct smmu_dev *smmu_config_dev(struct smmu *v, uint16_t sid, uint64_t seq, struct smmu_box *box,
				       const struct smmu_steps *st, bool observe, struct smmu_why *why);
/* From an STE that is legal and lets traffic pass on. As smmu_config(). */
const struct smmu_cfg *smmu_config_proc(struct smmu *v, const struct smmu_dev *d, uint32_t ssid, uint64_t seq,
					struct smmu_box *box, const struct smmu_steps *st, bool observe, struct smmu_why *why);
/* For requests with SubstreamID: the cached function, if everything on the way is cached and lets the request through. */
const struct smmu_cfg *smmu_config_cached(struct smmu *v, uint16_t sid, uint32_t ssid);
struct smmu_slot *smmu_slot_of(struct smmu *v, uint16_t sid, bool create);

/* What the words mean. d->bad and c->bad tell what is illegal. sid is set; the rest starts as zero. */
void smmu_ste_decode(const struct smmu *v, const uint64_t q[8], struct smmu_dev *d);
void smmu_cd_decode(const struct smmu *v, const uint64_t q[8], const struct smmu_dev *d, struct smmu_cfg *c);
uint8_t smmu_ps_bits(const struct smmu *v, uint64_t ps); /* IPS, S2PS; at most OAS */
void smmu_cfg_hot(struct smmu_cfg *c); /* in_bias, in_mask, hot */
void smmu_text_ste(char out[200], const uint64_t q[8]);
void smmu_text_cd(char out[200], const uint64_t q[8]);

/* ---- inval.c: configuration; each a whole operation that takes the lock ---- */

void smmu_cfgi_ste(struct smmu *v, uint32_t first, uint32_t last, bool leaf);
void smmu_cfgi_cd(struct smmu *v, uint16_t sid, uint32_t ssid, bool leaf);
void smmu_cfgi_cd_all(struct smmu *v, uint16_t sid);
void smmu_invalidate_all(struct smmu *v);
/* After a grace period: free what was unpublished before it began. Begin, synchronize, end. */
void smmu_sync(struct smmu *v);
void smmu_config_fini(struct smmu *v);

/* ---- queue.c, regs.c ---- */

/* Consume commands; mmio_lock held. True: there are more, but the messages are to be sent before it goes on. */
bool smmu_cmdq_run(struct smmu *v, struct smmu_cmdq *cq, struct smmu_msis *q);
uint64_t smmu_mmio_read(struct hw_iommu *hw, uint64_t off, unsigned int size);
void smmu_mmio_write(struct hw_iommu *hw, uint64_t off, unsigned int size, uint64_t val);
void smmu_regs_reset(struct smmu *v);

/* ---- cmdqv*.c: the CMDQ-V, at SMMU_CMDQV_BASE; offsets here are from there ---- */

int smmu_cmdqv_create(struct smmu *v); /* 0 or -ENOMEM */
uint64_t smmu_cmdqv_size(const struct smmu_caps *c); /* of its registers */
void smmu_cmdqv_destroy(struct smmu *v);
void smmu_cmdqv_reset(struct smmu *v);
uint64_t smmu_cmdqv_read(struct smmu *v, uint64_t off, unsigned int size);
void smmu_cmdqv_write(struct smmu *v, uint64_t off, unsigned int size, uint64_t val);
/* CMDQ has executed a CMD_SYNC: queues that are disabled forget ATC timeouts. */
void smmu_cmdqv_synced(struct smmu *v);
void smmu_threads(struct hw_iommu *hw, enum hw_threads what);
int smmu_register_memory(struct hw_iommu *hw, uint64_t off, uint64_t len, int *fd, uint64_t *fd_off);

/* ---- ecmdq.c: Command queue control pages, and the registers that tell of them ---- */

int smmu_ecmdq_create(struct smmu *v); /* 0 or -ENOMEM */
void smmu_ecmdq_destroy(struct smmu *v);
void smmu_ecmdq_reset(struct smmu *v);
bool smmu_ecmdq_owns(const struct smmu *v, uint64_t off);
uint32_t smmu_ecmdq_read(const struct smmu *v, uint64_t off);
struct smmu_cmdq *smmu_ecmdq_write(struct smmu *v, uint64_t off, uint32_t val); /* null, or a queue to be looked at */
bool smmu_ecmdq_any_on(const struct smmu *v);

/* ---- prq.c ---- */

bool smmu_prq_owns(uint64_t off);
uint32_t smmu_prq_read(struct smmu *v, uint64_t off);
void smmu_prq_write(struct smmu *v, uint64_t off, uint32_t val, struct smmu_msis *q);
void smmu_prq_enable(struct smmu *v, bool on);
void smmu_prq_reset(struct smmu *v);
void smmu_page_request(struct hw_iommu *hw, const struct hw_page_request *pr);
void smmu_page_respond(struct smmu *v, uint16_t sid, uint32_t pasid, unsigned int prgi, unsigned int code);

/* ---- ats.c, smmu.c ---- */

bool smmu_records_ats(const struct smmu *v, unsigned int type);
void smmu_ats_request(struct hw_iommu *hw, const struct hw_request *asked, struct hw_ats_completion *c);
bool smmu_translated_ok(struct hw_iommu *hw, uint16_t rid, uint64_t addr);
/* A request with HW_TRANSLATED. */
void smmu_translated(struct smmu *v, const struct hw_request *req, struct hw_result *res, uint64_t seq, uint32_t mode);
/* PRIVCFG and INSTCFG; an access of nothing is a read. */
void smmu_override(const struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *in, struct hw_request *out);
/* A request whose translation function is known, with overrides applied: address checks, TLB, walk. */
void smmu_translate_cfg(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
			uint64_t seq);

/* ---- walk.c ---- */

/*
 * Translate, fill the TLB, log nothing. cfg is not bypass. req: access is not 0; PRIVCFG and INSTCFG were applied; HW_PRIV
 * tells the privilege; HW_EXEC without HW_WRITE is an instruction read. seq is tlb.inv_seq as it was before anything was
 * read, configuration included. Inside a read section.
 */
void smmu_walk(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res, uint64_t seq);
/* The same from memory, not from caches, and changing nothing: HW_OBSERVE. st may be null. */
void smmu_walk_observe(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res,
		       const struct smmu_steps *st);
/*
 * What stage 1 of a nested function makes of the address: split-stage ATS. Observes. False: a fault on the way, at either stage.
 */
bool smmu_walk_ipa(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, uint64_t *ipa);
/*
 * Stage 2 for the fetch of a structure that lies in intermediate addresses: CD, L1CD (SMMU_CLASS_CD), and for the walk's own use
 * stage 1 descriptors (SMMU_CLASS_TT; write: an update of one). s2tag null: no TLB. With st or observe nothing changes. True: *pa; false: *why.
 */
bool smmu_s2_fetch(struct smmu *v, const struct smmu_s2 *s2, struct smmu_tag *s2tag, uint64_t ipa, unsigned int class,
		   bool write, bool observe, const struct smmu_steps *st, uint64_t seq, uint64_t *pa, struct smmu_why *why);
/*
 * A TLB value was found for the request: 0 done, *res filled (res->pa was set by the caller); > 0: the value does not
 * do (a dirty bit to be set, a permission to be explained): walk.
 */
int smmu_hit(struct smmu *v, const struct smmu_cfg *cfg, const struct hw_request *req, struct hw_result *res, uint64_t val);

/* ---- tlb.c: what config.c, inval.c and queue.c call ---- */

/*
 * Give a translation function (kind, regime, vmid, s1.asid are set) its tags. With tlb.lock held, so memory that may be needed is
 * allocated before: spares are used and set to null, or freed by smmu_spares_put(). Without room: tags that cache nothing.
 */
struct smmu_spares {
	void *p[4];
};
void smmu_spares_get(struct smmu_spares *sp);
void smmu_spares_put(struct smmu_spares *sp);
void smmu_tags_locked(struct smmu_tlb *t, struct smmu_cfg *cfg, struct smmu_spares *sp);
/* The same for functions that are not published: tags that cache nothing. */
void smmu_tags_none(struct smmu_tlb *t, struct smmu_cfg *cfg);

/*
 * Around one or more invalidations: hw/tlb.h. Nothing between them blocks. A grace period is the caller's.
 */
static inline void smmu_inval_begin(struct smmu *v)
{
	hw_spin_lock(&v->tlb.lock);
}
static inline void smmu_inval_end(struct smmu *v)
{
	hw_inval_end(&v->tlb.lock, &v->tlb.inv_seq);
}

/* Invalidations of translations, between these two. Ranges are of bits 55:0 and not empty. */
void smmu_tlbi_all(struct smmu *v, bool el1, bool el2);	/* el1: NSNH_ALL, both stages, all VMIDs; el2: EL2_ALL */
void smmu_tlbi_vmid(struct smmu *v, uint16_t vmid, bool s2); /* NH_ALL; with s2: S12_VMALL */
void smmu_tlbi_asid(struct smmu *v, enum smmu_regime regime, uint16_t vmid, uint16_t asid); /* not global entries */
void smmu_tlbi_va(struct smmu *v, enum smmu_regime regime, uint16_t vmid, uint16_t asid, const struct smmu_range *r);
void smmu_tlbi_vaa(struct smmu *v, enum smmu_regime regime, uint16_t vmid, const struct smmu_range *r);
void smmu_tlbi_ipa(struct smmu *v, uint16_t vmid, const struct smmu_range *r);

/*
 * Everything goes, tags included; the result is handed to smmu_tlb_dispose() after a grace period, and until
 * smmu_tlb_restart_locked() every tag given out caches nothing. inv_seq moves under this lock after.
 */
void *smmu_tlb_forget_locked(struct smmu_tlb *t);
void smmu_tlb_restart_locked(struct smmu_tlb *t);
void smmu_tlb_dispose(void *forgotten);

#endif
