/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VT-d driver's own structures. Nothing outside drv/vtd includes this.
 *
 * Words: a *unit* is one remapping unit. An *attachment* is one domain in force
 * for one (device, PASID); RID requests are PASID 0, as RID_PASID is 0
 * in every context entry. A *tag* says that caches may hold translations of a
 * domain under a (unit, DID, PASID), or in a device's TLB; a nesting parent also carries the tags of the
 * nested domains over it.
 *
 * Locks, outermost first (docs/locking.md):
 *   group (core) -> vtd_prq.lock -> vtd_domain.lock -> vtd_unit.lock -> vtd_queue.lock
 * At most one vtd_domain.lock is held at a time; vtd_prq.lock and vtd_domain.lock are never held together. vtd_unit.fault_lock
 * is taken in interrupts, which may come on a thread that holds any of the others; it is only ever tried. vtd_irt.lock is a leaf.
 */
#ifndef NB_DRV_VTD_VTD_H
#define NB_DRV_VTD_VTD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "drv/common.h"
#include "spec/vtd/descs.h"
#include "spec/vtd/entries.h"
#include "spec/vtd/faults.h"
#include "spec/vtd/irte.h"
#include "spec/vtd/regs.h"

struct vtd_unit;
struct vtd_dev;
struct vtd_att;

/* DIDs 0 and 1 are never handed out: 0 may tag what is not present, 1 is pass-through. */
#define VTD_DID_PASS_THROUGH 1

/* ---- queue.c ---- */

#define VTD_QUEUE_SLOTS 256
/* Descriptors between two waits; one more slot for the wait, one that keeps tail off head. */
#define VTD_QUEUE_BATCH (VTD_QUEUE_SLOTS - 16)
/* The same where devices are asked: room to send it all again behind itself. */
#define VTD_QUEUE_BATCH_ATS (VTD_QUEUE_SLOTS / 2 - 8)

/* What we send fits the two words of a 128-bit descriptor; the rest of a 256-bit slot is 0 and stays so. */
struct vtd_desc {
	uint64_t lo, hi;
};

struct vtd_queue {
	pthread_mutex_t lock;	/* everything below, and the order of submissions */
	le64_t *ring;
	uint8_t slot_words;	/* 4 with 256-bit descriptors, else 2 */
	bool dead;		/* stopped for good: nothing more is sent */
	bool devtlb;		/* the submission asks devices, which may not answer: it is a smaller one */
	uint32_t tail;		/* next free slot */
	uint32_t start;		/* first slot of the submission that is being built */
	uint32_t full;		/* tail here: time to submit */
	uint32_t number;	/* of the submission that is being built; its wait descriptor writes it into *status */
	uint32_t *status;
	hpa_t status_pa;
};

int dvtd_queue_init(struct vtd_unit *u, struct nb_diag *diag);
void dvtd_queue_fini(struct vtd_unit *u);

/*
 * A submission: begin takes the queue's lock, push puts one descriptor into the ring (and, when the
 * ring is full, has what is there executed), end has the rest executed, waits for completion and drops
 * the lock. When end returns no device access that used what was invalidated is under way. Nothing to
 * do: no wait. end returns 0, -EINVAL when the unit refused a descriptor (of its work, translations are invalidated, all of them),
 * -ETIMEDOUT when a device did not answer and was cut off from translated requests (ats.c), -EIO when the unit stopped
 * answering (base.dead is set then).
 */
void dvtd_queue_begin(struct vtd_unit *u);
static inline void dvtd_queue_push(struct vtd_unit *u, struct vtd_desc d);
int dvtd_queue_end(struct vtd_unit *u);
/* The same; on return, page requests and responses that came before are in the ring or with their device (7.10). Needs ECAP.PDS. */
int dvtd_queue_end_drain(struct vtd_unit *u);
void dvtd_queue_full(struct vtd_unit *u); /* cold half of push */
/* Push an invalidation of a function's TLB, unless the function was cut off. pasid 0 is the RID. */
void dvtd_push_devtlb(struct vtd_unit *u, uint16_t rid, uint32_t pasid, uint64_t addr, unsigned int am);

/* Descriptors, made from zero. */
struct vtd_desc dvtd_desc_context(unsigned int granularity, uint16_t did, uint16_t sid);
struct vtd_desc dvtd_desc_pasid_cache(unsigned int granularity, uint16_t did, uint32_t pasid);
struct vtd_desc dvtd_desc_iotlb(const struct vtd_unit *u, unsigned int granularity, uint16_t did, uint64_t addr,
				unsigned int am, bool ih);
struct vtd_desc dvtd_desc_piotlb(unsigned int granularity, uint16_t did, uint32_t pasid, uint64_t addr,
				 unsigned int am, bool ih);
/* am: log2 of the number of pages; 52 is everything. pasid 0 is the RID. */
struct vtd_desc dvtd_desc_devtlb(const struct vtd_unit *u, uint16_t sid, uint32_t pasid, uint64_t addr,
				 unsigned int am);
/* What comes later waits for what came before; nothing else. */
struct vtd_desc dvtd_desc_fence(void);
struct vtd_desc dvtd_desc_irte_global(void);
struct vtd_desc dvtd_desc_irte(uint32_t handle, unsigned int mask); /* 2^mask entries, naturally aligned */
struct vtd_desc dvtd_desc_page_response(uint16_t rid, uint32_t pasid, uint32_t prgi, unsigned int code);

/* ---- prq.c ---- */

/* 7.4: 64 KiB of requests, as Linux has. */
#define VTD_PRQ_ORDER 4
#define VTD_PRQ_SLOTS ((4096u << VTD_PRQ_ORDER) / 32)
/* Requests that a function may have outstanding: as many as it can name groups. */
#define VTD_PRI_OUTSTANDING 512

/*
 * Page requests. Whoever has the lock reads the ring, reports and answers; an interrupt only tries to take it and leaves a mark
 * for the owner when it cannot. report_fault() and page_response() (queue lock) are called under it, so nobody may wait for it
 * who holds what they take.
 */
struct vtd_prq {
	pthread_mutex_t lock;
	_Atomic bool pending;	/* an interrupt came: look again after dropping the lock */
	struct vtd_page_req *ring; /* null: the unit has no page requests, or none that can be drained */
	hpa_t ring_pa;
	uint32_t head;		/* slot */
	struct nb_list devs[64];/* vtd_dev.prq_link by RID */
};

int dvtd_prq_init(struct vtd_unit *u, struct nb_diag *diag);
void dvtd_prq_start(struct vtd_unit *u);
void dvtd_prq_stop(struct vtd_unit *u);
void dvtd_prq_fini(struct vtd_unit *u);
void dvtd_prq_irq(struct vtd_unit *u);
void dvtd_prq_add(struct vtd_dev *vdev);
/* The function makes no requests any more; when this returns nothing is reported for it. */
void dvtd_prq_del(struct vtd_dev *vdev);
/*
 * On return every request of the function for this PASID (0: RID) that it made before was reported or answered, and every answer
 * sent before has reached it. Its translations are gone already; did: the id that they had, 0: there were none. No driver lock;
 * the group's may be held.
 */
void dvtd_prq_drain(struct vtd_dev *vdev, uint16_t did, uint32_t pasid);
void dvtd_page_response(struct drv_dev *dev, const struct drv_page_response *resp);

/* ---- remap.c ---- */

/* Entries of the interrupt remapping table: 64 KiB of them a unit, far more than the functions of one description have vectors. */
#define VTD_IRT_ORDER	4
#define VTD_IRT_ENTRIES ((4096u << VTD_IRT_ORDER) / sizeof(struct vtd_irte))

struct vtd_irt {
	pthread_mutex_t lock;	/* used; an entry belongs to whoever has its bit */
	struct vtd_irte *entries; /* null: no interrupt remapping */
	hpa_t pa;
	bool x2apic;		/* EIME: 32-bit destinations */
	uint64_t used[VTD_IRT_ENTRIES / 64];
};

int dvtd_irt_init(struct vtd_unit *u, struct nb_diag *diag); /* not shared yet; ends with remapping on */
void dvtd_irt_fini(struct vtd_unit *u);			      /* remapping is off */
int dvtd_irq_map(struct drv_dev *dev, unsigned int n, const struct drv_irq_target *target, uint32_t *handle,
		 struct drv_msi *msg, struct nb_diag *diag);
void dvtd_irq_unmap(struct drv_dev *dev, uint32_t handle, unsigned int n);

/* ---- the unit ---- */

struct vtd_unit {
	struct drv_iommu base;
	uint64_t cap, ecap;
	bool scalable;
	bool coherent;		/* ECAP.C: fetches of root, context, PASID and interrupt entries snoop */
	bool walk_coherent;	/* page walks do: ECAP.SMPWC in scalable mode, else C */
	uint8_t agaw;		/* levels of the tallest second stage, minus 2; 0 without one */
	_Atomic uint32_t next_id; /* drv_domain.id */

	pthread_mutex_t lock;	/* gcmd, root and context tables, DIDs */
	uint32_t gcmd;		/* what is enabled, as GSTS shows it */
	struct vtd_root_entry *root;
	hpa_t root_pa;
	uint32_t ndids;
	struct drv_ids dids;

	struct vtd_queue queue;
	struct vtd_prq prq;
	struct vtd_irt irt;
	struct vtd_domain *identity;

	/* By source-id: functions that no longer get device-TLB invalidations, as they do not answer them. Null: no ECAP.DT. */
	_Atomic uint64_t *ats_off;
	struct pt_gather kept;	/* unit lock: table pages that a dead unit may still walk */

	pthread_mutex_t fault_lock; /* tried only: the fault records are being read */
	_Atomic bool fault_pending;
	_Atomic bool faults_left;   /* there may be records that made no interrupt */
};

static inline struct vtd_unit *dvtd_unit(struct drv_iommu *iommu)
{
	return container_of(iommu, struct vtd_unit, base);
}

/* Make the unit see what was written: for units whose walks do not snoop. */
void dvtd_flush(const struct vtd_unit *u, const void *p, size_t len);

/* Queue lock. */
static inline void dvtd_queue_put(struct vtd_unit *u, uint32_t slot, struct vtd_desc d)
{
	le64_t *s = &u->queue.ring[(size_t)slot * u->queue.slot_words];

	s[0] = le64(d.lo);
	s[1] = le64(d.hi);
	if (unlikely(!u->coherent))
		dvtd_flush(u, s, 2 * sizeof(*s));
}

static inline void dvtd_queue_push(struct vtd_unit *u, struct vtd_desc d)
{
	struct vtd_queue *q = &u->queue;

	dvtd_queue_put(u, q->tail, d);
	q->tail = (q->tail + 1) & (VTD_QUEUE_SLOTS - 1);
	if (unlikely(q->tail == q->full))
		dvtd_queue_full(u);
}

/* ---- probe.c ---- */
uint32_t dvtd_read32(const struct vtd_unit *u, uint64_t off);
uint64_t dvtd_read64(const struct vtd_unit *u, uint64_t off);
void dvtd_write32(const struct vtd_unit *u, uint64_t off, uint32_t v);
void dvtd_write64(const struct vtd_unit *u, uint64_t off, uint64_t v);
void dvtd_flush_write_buffer(struct vtd_unit *u); /* when CAP.RWBF asks for it */
#define VTD_TIMEOUT_MS 1000
/* Switch a state of GCMD and wait until GSTS shows it. Unit lock, or not yet shared. 0 or -EIO. */
int dvtd_set_state(struct vtd_unit *u, uint32_t bit, bool on);
/* A one-shot of GCMD: SRTP, SIRTP. Same lock. */
int dvtd_command(struct vtd_unit *u, uint32_t bit);
/* Take table pages of vtdss or x86 tables: they are freed with the unit. Leaves *g empty. */
void dvtd_keep_pages(struct vtd_unit *u, struct pt_gather *g);
/* The queue died: have the unit refuse all DMA, where it can do that without a queue. No lock held below 2. */
void dvtd_unit_died(struct vtd_unit *u);

static inline bool dvtd_can_nest(const struct vtd_unit *u)
{
	return u->scalable && (u->ecap & VTD_ECAP_NEST);
}

static inline bool dvtd_can_dirty(const struct vtd_unit *u)
{
	return u->scalable && (u->ecap & VTD_ECAP_SSADS) && (u->ecap & VTD_ECAP_SMPWC);
}

/* A change from not present to present wants an invalidation or a write-buffer flush. */
static inline bool dvtd_flush_on_map(const struct vtd_unit *u)
{
	return (u->cap & (VTD_CAP_CM | VTD_CAP_RWBF)) != 0;
}

/* ---- domains ---- */

enum vtd_kind { VTD_FIRST_STAGE, VTD_SECOND_STAGE, VTD_NESTED, VTD_IDENTITY };

enum vtd_tag_kind {
	VTD_TAG_IOTLB,		/* the domain's own translations */
	VTD_TAG_DEVTLB,
	VTD_TAG_CHILD_IOTLB,	/* of a nested domain over this parent */
	VTD_TAG_CHILD_DEVTLB,
};

struct vtd_tag {
	struct nb_list link;	/* vtd_domain.tags, tags of one unit adjacent */
	enum vtd_tag_kind kind;
	struct vtd_unit *unit;
	uint16_t did;
	uint16_t rid;		/* device-TLB tags */
	uint32_t pasid;		/* first-stage and nested; device-TLB: 0 is the RID */
	uint32_t users;
};

struct vtd_domain {
	struct drv_domain base;
	enum vtd_kind kind;
	pthread_mutex_t lock;	/* lists and flags below, and the writing of entries made from them */
	struct nb_list tags;
	struct nb_list dids;	/* struct drv_domain_id */
	struct nb_list atts;	/* vtd_att.link: its attachments and those of nested domains over it */
	bool force_snoop;
	bool dirty_on;

	/* Paging. */
	struct pt pt;
	bool coherent_only;	/* the table was built for walks that snoop */
	bool flush_on_map;
	bool force_writable;	/* erratum: refuse read-only maps */

	/* Nested: what the user gave, checked at attach. */
	uint64_t s1_flags;	/* IOMMU_VTD_S1_* */
	gpa_t s1_root;
	uint32_t s1_width;
};

static inline struct vtd_domain *dvtd_domain(struct drv_domain *d)
{
	return container_of(d, struct vtd_domain, base);
}

/* The parent of a nested domain; null for others. */
static inline struct vtd_domain *dvtd_parent(const struct vtd_domain *d)
{
	return d->base.parent ? dvtd_domain(d->base.parent) : NULL;
}

/* Whose flags and lock decide about the entries of d's attachments. */
static inline struct vtd_domain *dvtd_owner(struct vtd_domain *d)
{
	return d->base.parent ? dvtd_domain(d->base.parent) : d;
}

struct vtd_domain *dvtd_domain_new(struct vtd_unit *u, enum vtd_kind kind, const struct drv_domain_ops *ops);
void dvtd_domain_delete(struct vtd_domain *d); /* detached everywhere */

/* ---- paging.c ---- */
int dvtd_alloc_paging(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag);
bool dvtd_is_nest_parent(const struct drv_domain *d);
/* May this paging domain be walked by this unit? 0 or -EINVAL. */
int dvtd_paging_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag);

/* ---- nested.c ---- */
int dvtd_alloc_nested(struct drv_dev *dev, struct drv_domain *parent, uint32_t flags, const struct drv_user_data *data,
		     struct drv_domain **out, struct nb_diag *diag);
int dvtd_nested_compatible(const struct vtd_domain *d, const struct vtd_unit *u, struct nb_diag *diag);

/* ---- tags.c ---- */
/* The id of d on u, made at the first use. 0, -ENOMEM, -ENOSPC. */
int dvtd_did_get(struct vtd_domain *d, struct vtd_unit *u, uint16_t *did);
void dvtd_did_put(struct vtd_domain *d, struct vtd_unit *u);
/*
 * Announce that caches may come to hold translations of an attachment, before its entry is written;
 * take that back, after its teardown invalidations are done.
 */
int dvtd_tags_add(const struct vtd_att *att);
void dvtd_tags_del(const struct vtd_att *att);
/* The function turned out to have no device-TLB after all; before the entry is written. */
void dvtd_tags_del_devtlb(const struct vtd_att *att);
/* Push what invalidates [first, last] under one tag. ih: no table page is about to be freed. */
void dvtd_push_tag(const struct vtd_domain *d, const struct vtd_tag *t, uint64_t first, uint64_t last, bool ih);
/*
 * Invalidate [first, last] of a domain everywhere, nested domains over it included; wait. Null; or a unit that is
 * dead, so that nothing was invalidated there.
 */
struct vtd_unit *dvtd_flush_range(struct vtd_domain *d, uint64_t first, uint64_t last, bool ih);
/*
 * log2 of the pages in the smallest naturally aligned power of two that covers both addresses; 52:
 * everything.
 */
static inline unsigned int dvtd_cover_lg2(uint64_t first, uint64_t last)
{
	uint64_t differ = first ^ last;

	return differ >> 12 ? nb_ilog2(differ) + 1 - 12 : 0;
}
/* Largest such value that a page-selective invalidation of this unit takes; -1: it has none. */
static inline int dvtd_max_am(const struct vtd_unit *u)
{
	return u->cap & VTD_CAP_PSI ? (int)FIELD_GET(VTD_CAP_MAMV, u->cap) : -1;
}
/* After a map, for units that want it. */
void dvtd_flush_mapped(struct vtd_domain *d, uint64_t first, uint64_t last);

/* ---- ats.c ---- */

/*
 * The function does not answer invalidations. Nobody knows what its TLB holds, so from the next context-cache invalidation on the
 * unit takes no translated requests of it. Queue lock.
 */
void dvtd_ats_cut_off(struct vtd_unit *u, uint16_t rid);
bool dvtd_ats_is_cut_off(const struct vtd_unit *u, uint16_t rid);
/* At probe_device(): what the function and the unit can do together, and switched on where that is done once. */
void dvtd_features_find(struct vtd_dev *vdev);
int dvtd_features_on(struct vtd_dev *vdev); /* 0; -ENODEV: one is not on after all, and vdev says which are */
void dvtd_features_off(struct vtd_dev *vdev);
/* Legacy mode: around an attachment. */
bool dvtd_ats_on(struct vtd_dev *vdev);
void dvtd_ats_off(struct vtd_dev *vdev);
/* Page requests, counted by attachments. Group lock. 0 or -ENODEV. */
int dvtd_pri_get(struct vtd_dev *vdev);
void dvtd_pri_put(struct vtd_dev *vdev);

/* ---- attach.c ---- */

struct vtd_att {
	struct nb_list link;	/* vtd_domain.atts of dvtd_owner(domain) */
	struct vtd_dev *vdev;
	struct vtd_domain *domain;
	uint32_t pasid;
	uint16_t did;
	bool devtlb;		/* the function may cache what this attachment translates */
	bool iopf;
};

/* A page of 64 PASID entries and what is attached by them. */
struct vtd_pasid_table {
	struct vtd_pasid_entry *entries;
	hpa_t pa;
	struct vtd_att *att[64];
};

struct vtd_dev {		/* drv_dev.priv; changed under the core's group lock */
	struct drv_dev *dev;
	struct vtd_unit *unit;
	bool ats;		/* the function and the unit can; scalable mode: it is on */
	bool pri;		/* can: scalable mode with ATS on */
	bool pasid;
	bool ats_told;		/* legacy mode: it is on */
	uint32_t pri_users;	/* attachments with iopf */
	struct nb_list prq_link;/* vtd_prq.devs */
	/* Scalable mode. */
	struct vtd_pasid_dir_entry *dir;
	uint32_t dir_entries;	/* power of two */
	uint8_t dir_order;
	hpa_t dir_pa;
	struct vtd_pasid_table **tables; /* dir_entries of them, null where absent */
	/* Legacy mode: the RID's attachment; PASIDs have none. */
	struct vtd_att *legacy_att;
};

int dvtd_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *d, struct nb_diag *diag);
void dvtd_block(struct drv_dev *dev, uint32_t pasid);
/* The live entry; scalable mode only. */
struct vtd_pasid_entry *dvtd_att_entry(const struct vtd_att *att);

/* ---- device.c ---- */
int dvtd_probe_device(struct drv_dev *dev, struct nb_diag *diag);
void dvtd_release_device(struct drv_dev *dev);
/* Legacy mode: where the device's context entry is; its table exists since probe_device. */
struct vtd_ctx_entry *dvtd_context(const struct vtd_dev *vdev);
/* The first word of the live context entry of a source-id, either mode; null: it has no table. Any lock. */
le64_t *dvtd_context_word(struct vtd_unit *u, uint16_t rid);

/* ---- fault.c ---- */
void dvtd_irq(struct drv_iommu *iommu, uint32_t data);
void dvtd_read_leftover_faults(struct vtd_unit *u);

#endif
