/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The SMMUv3 driver's own structures (IHI 0070 G.b). Nothing outside drv/smmuv3 includes this.
 *
 * Words: a *unit* is one SMMU. An *attachment* is one domain in force for one (device, PASID); the PASID is the SubstreamID, and
 * requests without one use the CD of SubstreamID 0. An *id* is the ASID or VMID of a domain on a unit. A *tag* says that caches may hold
 * translations of a domain under a (unit, id), or in a device's ATC; a nesting parent also carries tags of the
 * nested domains over it.
 *
 * Locks, outermost first (docs/locking.md):
 *   group (core) -> dsmmu_viommu.lock -> dsmmu_evt.lock -> dsmmu_domain.lock -> dsmmu.lock -> dsmmu_queue.lock
 * At most one dsmmu_domain.lock is held at a time; dsmmu_evt.lock and dsmmu_domain.lock are never held together. Interrupts only
 * try dsmmu_evt.lock and dsmmu.gerror_lock, and leave a mark for the owner when they cannot get it.
 */
#ifndef NB_DRV_SMMUV3_SMMU_H
#define NB_DRV_SMMUV3_SMMU_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "drv/common.h"
#include "drv/smmuv3/entries.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/regs.h"

struct dsmmu;
struct dsmmu_dev;
struct dsmmu_domain;
struct dsmmu_att;
struct dsmmu_viommu;
struct dsmmu_cmdqv;

/* ---- queue.c: the command queue ---- */

/* The ring: as long as the unit allows, up to the larger; a shorter one than the smaller is not worth driving. */
#define DSMMU_CMDQ_LG2_MIN 7
#define DSMMU_CMDQ_LG2_MAX 9
#define DSMMU_CMDQ_MAX	   (1u << DSMMU_CMDQ_LG2_MAX)

struct dsmmu_cmd {
	uint64_t lo, hi;
};

struct dsmmu_queue {
	pthread_mutex_t lock;	/* everything below, and the order of submissions */
	struct smmu_cmd *ring;
	uint32_t slots;		/* a power of two */
	uint32_t batch;		/* commands between two CMD_SYNCs at most: leaves room for one, and for what is sent again one by one */
	bool dead;		/* stopped for good: nothing more is sent */
	bool guest;		/* the submission is a guest's: what the unit refuses of it is the guest's loss */
	bool atc;		/* it asks devices */
	uint32_t prod;		/* next free slot, counting on: index and wrap bit are its low bits */
	uint32_t start;		/* first slot of the submission that is being built */
	int err;		/* of the submission so far */
	bool cut_off;		/* some device is to be cut off: when the lock is gone */
};

int dsmmu_queue_init(struct dsmmu *u, struct nb_diag *diag);
void dsmmu_queue_fini(struct dsmmu *u);
/*
 * A submission: begin takes the queue's lock, push puts one command into the ring (and, when the ring is full, has what is there
 * executed), sync has the rest executed, waits for completion and keeps the lock, end does so and drops it. What was pushed before a
 * sync is done, with all accesses that used what it invalidated, before anything pushed later begins. Nothing to do: no wait.
 * end returns 0, -EINVAL when the unit refused a command (then, unless the submission is a guest's, it was made to forget everything),
 * -ETIMEDOUT when a device did not answer an ATC invalidation and was cut off (ats.c), -EIO when the unit stopped answering
 * (base.dead is set then). ATC invalidations are not pushed while dsmmu.lock is held.
 */
void dsmmu_queue_begin(struct dsmmu *u);
static inline void dsmmu_queue_push(struct dsmmu *u, struct dsmmu_cmd c);
void dsmmu_queue_sync(struct dsmmu *u);
int dsmmu_queue_end(struct dsmmu *u);
/* A CMD_SYNC by itself: what went unanswered before it is forgotten, or found. */
void dsmmu_queue_flush(struct dsmmu *u);
/* pasid NB_NO_PASID: of requests without; size_lg2 pages, 52: all. Not for who was cut off. */
void dsmmu_push_atc(struct dsmmu *u, uint16_t sid, uint32_t pasid, uint64_t addr, unsigned int pages_lg2);

struct dsmmu_cmd dsmmu_cmd_cfgi_ste(uint16_t sid, bool leaf);
struct dsmmu_cmd dsmmu_cmd_cfgi_all(void);
struct dsmmu_cmd dsmmu_cmd_cfgi_cd(uint16_t sid, uint32_t ssid, bool leaf);
struct dsmmu_cmd dsmmu_cmd_prefetch_ste(uint16_t sid);
/* op is one of the TLBI commands; fields that it has not are 0. */
struct dsmmu_cmd dsmmu_cmd_tlbi(unsigned int op, uint16_t vmid, uint16_t asid);
struct dsmmu_cmd dsmmu_cmd_resume(uint16_t sid, uint32_t stag, enum drv_page_code code);
struct dsmmu_cmd dsmmu_cmd_pri_resp(uint32_t sid, uint32_t ssid, uint32_t prgi, unsigned int code);

/* ---- event.c: event queue, page requests, global errors ---- */

struct dsmmu_outq {		/* a queue that the unit writes */
	le64_t *ring;		/* null: there is none */
	hpa_t pa;
	uint8_t lg2;		/* entries */
	uint8_t words;		/* of an entry */
	uint32_t cons;		/* index and wrap bit */
};

/* Whoever has the lock reads the queues, reports and answers; an interrupt only tries to take it. */
struct dsmmu_evt {
	pthread_mutex_t lock;	/* everything here, and dsmmu_dev.viommu and vsid */
	_Atomic bool pending;	/* an interrupt came: look again after dropping the lock */
	_Atomic bool left;	/* a reader has done enough and left something */
	struct dsmmu_outq evtq, priq;
	struct nb_list devs[64];/* dsmmu_dev.evt_link by StreamID */
};

int dsmmu_evt_init(struct dsmmu *u, struct nb_diag *diag);
void dsmmu_evt_fini(struct dsmmu *u);
void dsmmu_irq(struct drv_iommu *iommu, uint32_t data);
int dsmmu_evt_add(struct dsmmu_dev *sdev); /* 0 or -EBUSY: its StreamID is somebody else's */
/* When this returns nothing is reported for the device any more. */
void dsmmu_evt_del(struct dsmmu_dev *sdev);
/* Read what was left. Any lock but the queue's. */
void dsmmu_evt_leftover(struct dsmmu *u);
/* Everything that is in the queues when we come was reported or answered on return. No driver lock; the group's may be held. */
void dsmmu_evt_drain(struct dsmmu *u);
/* From now on events of the device go to v under the name vsid; null: to nobody. */
void dsmmu_evt_route(struct dsmmu_dev *sdev, struct dsmmu_viommu *v, uint32_t vsid);
/* Only if they go to v: to nobody. */
void dsmmu_evt_unroute(struct dsmmu_dev *sdev, const struct dsmmu_viommu *v);
void dsmmu_page_response(struct drv_dev *dev, const struct drv_page_response *resp);
/* Acknowledge global errors. gerror_lock is taken. */
void dsmmu_gerror_ack(struct dsmmu *u, uint32_t bits);

/* ---- the unit ---- */

struct dsmmu {
	struct drv_iommu base;
	uint32_t idr[6], iidr, aidr;
	bool s1, s2, nesting, coherent, e2h, ats, pri, ril, fwb, shcfg, st_2level, cd_2level, dirty;
	bool stall, stall_always;
	uint8_t oas, sid_bits, ssid_bits;
	uint8_t granule;	/* log2 of the page size of all tables */
	_Atomic uint32_t next_id; /* drv_domain.id */

	pthread_mutex_t lock;	/* stream table, STEs, ids, kept pages */
	le64_t *strtab;		/* level 1 descriptors, or STEs when the table is linear */
	hpa_t strtab_pa;
	uint8_t strtab_lg2;	/* log2 of the StreamIDs in reach */
	uint8_t strtab_order;
	struct drv_ids asids, vmids;
	struct pt_gather kept;	/* table pages that a dead unit may still walk */

	struct dsmmu_queue queue;
	struct dsmmu_evt evt;
	struct dsmmu_domain *identity;
	struct dsmmu_cmdqv *cmdqv; /* null: there is none */

	pthread_mutex_t gerror_lock; /* GERRORN */
	uint32_t gerrorn;
	_Atomic bool gerror_pending;

	/* By StreamID: devices that get no ATC invalidations and no ATS any more, as they do not answer. Null: no ATS. */
	_Atomic uint64_t *ats_off;
};

static inline struct dsmmu *dsmmu_of(struct drv_iommu *iommu)
{
	return container_of(iommu, struct dsmmu, base);
}

/* ---- probe.c ---- */
uint32_t dsmmu_read32(const struct dsmmu *u, uint64_t off);
void dsmmu_write32(const struct dsmmu *u, uint64_t off, uint32_t v);
void dsmmu_write64(const struct dsmmu *u, uint64_t off, uint64_t v);
/* Make the unit see what was written: for units whose accesses do not snoop. */
void dsmmu_flush(const struct dsmmu *u, const void *p, size_t len);
#define DSMMU_TIMEOUT_MS 1000
/* The command queue died: have the unit refuse all DMA. Any lock. */
void dsmmu_unit_died(struct dsmmu *u);
/* Take table pages of tables of this unit's granule: they are freed with it. Leaves *g empty. */
void dsmmu_keep_pages(struct dsmmu *u, struct pt_gather *g);

static inline void dsmmu_queue_full(struct dsmmu *u)
{
	dsmmu_queue_sync(u);
}

/* Queue lock. */
static inline void dsmmu_queue_put(struct dsmmu *u, uint32_t at, struct dsmmu_cmd c)
{
	struct smmu_cmd *s = &u->queue.ring[at & (u->queue.slots - 1)];

	s->q[0] = le64(c.lo);
	s->q[1] = le64(c.hi);
	if (unlikely(!u->coherent))
		dsmmu_flush(u, s, sizeof(*s));
}

static inline void dsmmu_queue_push(struct dsmmu *u, struct dsmmu_cmd c)
{
	struct dsmmu_queue *q = &u->queue;

	dsmmu_queue_put(u, q->prod, c);
	q->prod++;
	if (unlikely(q->prod - q->start == q->batch))
		dsmmu_queue_full(u);
}

/* ---- domains ---- */

enum dsmmu_kind { DSMMU_S1, DSMMU_S2, DSMMU_NESTED, DSMMU_IDENTITY };

enum dsmmu_tag_kind { /* in the order in which they are invalidated, each complete before the next begins */
	DSMMU_TAG_TLB,	     /* the domain's own translations, by address */
	DSMMU_TAG_CHILD_TLB, /* of nested domains over this parent: everything of stage 1 under the VMID */
	DSMMU_TAG_ATC,
	DSMMU_TAG_CHILD_ATC, /* everything: the device caches by IOVA, we know IPAs */
};

struct dsmmu_tag {
	struct nb_list link;	/* dsmmu_domain.tags, sorted by unit and kind */
	enum dsmmu_tag_kind kind;
	struct dsmmu *unit;
	uint16_t id;		/* TLB tags */
	uint16_t sid;		/* ATC tags */
	uint32_t pasid;
	uint32_t users;
};

struct dsmmu_domain {
	struct drv_domain base;
	enum dsmmu_kind kind;
	pthread_mutex_t lock;	/* lists below */
	struct nb_list tags;
	struct nb_list ids;	/* struct drv_domain_id: ASIDs or VMIDs */
	struct nb_list atts;	/* dsmmu_att.link */
	bool snoop_only;	/* cache coherency is enforced: devices that do not always snoop are refused */

	/* Paging. */
	struct pt pt;
	uint8_t sl0;
	bool coherent_only;	/* the table was built for walks that snoop */
	bool fwb;		/* stage 2: memory types are those of forced write-back */

	/* Nested: the guest's, checked. */
	struct dsmmu_viommu *viommu;
	uint64_t vste[2];
};

static inline struct dsmmu_domain *dsmmu_domain(struct drv_domain *d)
{
	return container_of(d, struct dsmmu_domain, base);
}
static inline struct dsmmu_domain *dsmmu_parent(const struct dsmmu_domain *d)
{
	return d->base.parent ? dsmmu_domain(d->base.parent) : NULL;
}
/* What the guest asks for: SMMU_STE_CONFIG_ABORT also stands for an entry that is not valid. */
static inline unsigned int dsmmu_vste_config(const struct dsmmu_domain *d)
{
	return d->vste[0] & SMMU_STE_0_V ? (unsigned int)FIELD_GET(SMMU_STE_0_CONFIG, d->vste[0]) :
					   (unsigned int)SMMU_STE_CONFIG_ABORT;
}

struct dsmmu_domain *dsmmu_domain_new(struct dsmmu *u, enum dsmmu_kind kind, const struct drv_domain_ops *ops);
void dsmmu_domain_delete(struct dsmmu_domain *d); /* detached everywhere */

/* ---- paging.c ---- */
int dsmmu_alloc_paging(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag);
bool dsmmu_is_nest_parent(const struct drv_domain *d);
/* May this unit walk it, for this device? The device may be null. 0 or -EINVAL. */
int dsmmu_paging_compatible(const struct dsmmu_domain *d, const struct dsmmu *u, const struct dsmmu_dev *sdev,
			    struct nb_diag *diag);
void dsmmu_s2_args(const struct dsmmu_domain *d, uint16_t vmid, bool stall, struct dsmmu_s2_args *out);
void dsmmu_cd_args(const struct dsmmu_domain *d, uint16_t asid, bool stall, struct dsmmu_cd_args *out);

/* ---- tags.c ---- */
/* The id of a paging domain on u, made at the first use. 0, -ENOMEM, -ENOSPC. */
int dsmmu_id_get(struct dsmmu_domain *d, struct dsmmu *u, uint16_t *id);
void dsmmu_id_put(struct dsmmu_domain *d, struct dsmmu *u);
/*
 * Announce that caches may come to hold translations of an attachment, before its entry is written; take that back when the entry
 * is gone and the unit has forgotten it. Whoever is the last has what is left under the id invalidated.
 */
int dsmmu_tags_add(const struct dsmmu_att *att);
void dsmmu_tags_del(const struct dsmmu_att *att);
/*
 * Invalidate [first, last] of a domain everywhere, nested domains over it included; wait. leaf: no table was taken out. cut: as in
 * struct drv_gather. Null; or a unit that is dead, so that nothing was invalidated there.
 */
struct dsmmu *dsmmu_flush_range(struct dsmmu_domain *d, uint64_t first, uint64_t last, bool leaf, bool cut);

/* ---- device.c: stream table, CD tables ---- */

/* A table of CDs, and what is attached by them. */
struct dsmmu_cds {
	struct smmu_cd *cd;
	hpa_t pa;
	uint8_t order;
	struct dsmmu_att **att;
};
#define DSMMU_CD_SPLIT 10 /* two-level tables: 1024 CDs of 64 bytes, 64 KiB */

struct dsmmu_dev {		/* drv_dev.priv; changed under the core's group lock */
	struct drv_dev *dev;
	struct dsmmu *unit;
	le64_t *ste;		/* the live one; unit lock */
	struct dsmmu_att *rid;	/* null: blocked */
	uint32_t pasids;	/* attachments with PASID */
	bool ats;		/* the function and the unit can */
	bool ats_on;		/* the function was told */
	bool pasid_on;
	bool stall;		/* its requests stall */

	/* CD table, made at first use. */
	uint8_t ssid_bits;
	bool two_level;
	le64_t *l1;		/* two_level */
	hpa_t cdtab_pa;		/* 0: not made yet */
	uint8_t l1_order;
	struct dsmmu_cds **cds;	/* one, or 2^(ssid_bits - DSMMU_CD_SPLIT) of them */

	struct nb_list evt_link;
	struct dsmmu_viommu *viommu; /* evt.lock: where its events go */
	uint32_t vsid;
};

int dsmmu_strtab_init(struct dsmmu *u, struct nb_diag *diag);
void dsmmu_strtab_fini(struct dsmmu *u);
int dsmmu_probe_device(struct drv_dev *dev, struct nb_diag *diag);
void dsmmu_release_device(struct drv_dev *dev);
/* The live STE of a StreamID; null: it has no table. Unit lock. */
le64_t *dsmmu_ste(struct dsmmu *u, uint16_t sid);
/* Write it. Unit lock. */
void dsmmu_ste_write(struct dsmmu *u, uint16_t sid, le64_t *live, const struct dsmmu_entry *to);
/* Where the CD and the attachment of a SubstreamID are; make: makes tables. Null: not there; out of memory. Group lock. */
struct dsmmu_cds *dsmmu_cds(struct dsmmu_dev *sdev, uint32_t ssid, bool make);
void dsmmu_cd_write(struct dsmmu_dev *sdev, uint32_t ssid, const struct dsmmu_entry *to);

/* ---- ats.c ---- */
bool dsmmu_ats_is_off(const struct dsmmu *u, uint16_t sid);
/* The device does not answer: queue lock. Its STE follows in dsmmu_ats_cut_off(), with no lock below 3 held. */
void dsmmu_ats_mark_off(struct dsmmu *u, uint16_t sid);
void dsmmu_ats_cut_off(struct dsmmu *u);
void dsmmu_features_find(struct dsmmu_dev *sdev);
void dsmmu_features_off(struct dsmmu_dev *sdev);
/* 0 or -ENODEV: it has none after all. */
int dsmmu_ats_enable(struct dsmmu_dev *sdev);
void dsmmu_ats_disable(struct dsmmu_dev *sdev);

/* ---- attach.c ---- */

struct dsmmu_att {
	struct nb_list link;	/* dsmmu_domain.atts */
	struct dsmmu_dev *sdev;
	struct dsmmu_domain *domain;
	uint32_t pasid;		/* or NB_NO_PASID */
	uint16_t id;		/* ASID or VMID */
	bool atc;		/* the device may cache what this attachment translates */
};

int dsmmu_attach(struct drv_dev *dev, uint32_t pasid, struct drv_domain *d, struct nb_diag *diag);
void dsmmu_block(struct drv_dev *dev, uint32_t pasid);

/* ---- nested.c, viommu.c ---- */

struct dsmmu_viommu {
	struct drv_viommu base;
	uint16_t vmid;
	pthread_mutex_t lock;	/* the list */
	struct nb_list vdevs[64]; /* dsmmu_vdevice.link by vSID */
};

struct dsmmu_vdevice {
	struct drv_vdevice base;
	struct nb_list link;
	uint32_t vsid;
	uint8_t slot;		/* cmdqv.c: where its StreamID is replaced */
};

static inline struct dsmmu_viommu *dsmmu_viommu(struct drv_viommu *v)
{
	return container_of(v, struct dsmmu_viommu, base);
}

int dsmmu_alloc_nested(struct drv_viommu *v, uint32_t flags, const struct drv_user_data *data, struct drv_domain **out,
		       struct nb_diag *diag);
/* Is the vIOMMU on the device's unit? Has the device a name in it, if the guest's stage 1 needs one? 0, -EINVAL; 0, -ENOENT. */
int dsmmu_nested_unit(const struct dsmmu_domain *d, const struct dsmmu_dev *sdev, struct nb_diag *diag);
int dsmmu_nested_named(const struct dsmmu_domain *d, const struct dsmmu_dev *sdev, struct nb_diag *diag);
size_t dsmmu_viommu_size(struct drv_dev *dev, uint32_t type);
int dsmmu_viommu_init(struct drv_viommu *v, const struct drv_user_data *data, struct nb_diag *diag);
/* What vIOMMUs of all types share. */
void dsmmu_viommu_fini(struct drv_viommu *viommu);
int dsmmu_vdevice_init(struct drv_vdevice *base, struct nb_diag *diag);
void dsmmu_vdevice_destroy(struct drv_vdevice *base);
/* Can a device stand on a vIOMMU of its unit? */
bool dsmmu_can_nest(const struct drv_dev *dev);
/* Have events of the device go to the vIOMMU under its guest name. -ENOENT: it has none. */
int dsmmu_viommu_route(struct dsmmu_viommu *v, struct dsmmu_dev *sdev);
int dsmmu_cache_invalidate(struct drv_viommu *viommu, struct drv_user_array *a, struct nb_diag *diag);
/* vSID -> device, or null. Viommu lock. */
struct dsmmu_vdevice *dsmmu_vdevice_find(struct dsmmu_viommu *v, uint32_t vsid);

/* ---- cmdqv.c: a CMDQ-V beside the unit ---- */
int dsmmu_cmdqv_init(struct dsmmu *u, struct nb_diag *diag); /* nothing if there is none */
void dsmmu_cmdqv_fini(struct dsmmu *u);
void dsmmu_cmdqv_irq(struct dsmmu *u);
int dsmmu_cmdqv_hw_info(const struct dsmmu *u, void *buf, uint32_t *len); /* -EOPNOTSUPP: there is none */
size_t dsmmu_cmdqv_viommu_size(struct drv_dev *dev);
/* The rest of dsmmu_viommu_init() for this type; what that did is undone by the caller if this fails. */
int dsmmu_cmdqv_viommu_init(struct drv_viommu *v, const struct drv_user_data *data, struct nb_diag *diag);

#endif
