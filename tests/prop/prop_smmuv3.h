/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prop_host on SMMUv3: vIOMMUs (a nesting parent on one SMMU), the guest's names of devices, its CD tables, its commands in raw
 * batches, its events; and device-TLBs.
 *
 * What may be remembered where, and what ends it:
 *
 *	ctx	translations by (SMMU, parent, ASID): a guest's TLBI commands there; when nobody stands on it any more, the driver
 *	cd_old	CDs by (device, SubstreamID): CFGI_CD, CFGI_CD_ALL; a change of the device's STE
 *	atc	whole translations by (device, SubstreamID): ATC_INV; a change of the device's attachment. They are made from the
 *		two above, so what is taken from those goes over to this.
 *
 * A space is one ASID, whichever parent it is used over: the same ASID under two VMIDs leads to different places.
 */
#ifndef NB_TESTS_PROP_SMMUV3_H
#define NB_TESTS_PROP_SMMUV3_H

#include "hw/atc.h"
#include "prop_host.h"
#include "spec/smmuv3/cd.h"
#include "spec/smmuv3/cmds.h"
#include "spec/smmuv3/events.h"
#include "spec/smmuv3/pte.h"
#include "spec/smmuv3/regs.h"
#include "spec/smmuv3/ste.h"

#define NUNITS	  3
#define NVIOMMUS  5
#define NCDTABS	  4
#define CDMAX	  7
#define MAX_BATCH 12
#define DEPTH	  8 /* of event queues */

#define FAULT_HOST  (-2) /* stage 2, or what is not the guest's to know */
#define FAULT_STALL (-3) /* it stalls, and nobody wants to mend it */

/* What a CD says: a space, perhaps with the stall model; or that it is not valid. A set of them is a word of bits. */
enum { CD_STALL = 4, CD_INVALID = 3, CD_VALUES = 8 };

struct smmu_ctx {
	unsigned int users; /* nested attachments */
	struct seen seen[NSPACES];
};

struct smmu_viommu {
	uint32_t id; /* 0: free */
	unsigned int unit, parent, users;
	uint32_t queue_id; /* 0: none */
	unsigned int queue;
	uint32_t sequence;
};

struct smmu_vdev {
	uint32_t id; /* 0: none */
	unsigned int viommu;
	uint32_t vsid;
};

enum nest { NEST_S1, NEST_BYPASS, NEST_ABORT };
struct smmu_nest { /* of a nested HWPT */
	enum nest nest;
	unsigned int viommu, cdtab;
	uint8_t dss;
	bool eats, stalld;
};

struct smmu_dev_state {
	uint8_t cd_old[NPASIDS];    /* by slot: values that may be cached besides the one in memory */
	unsigned int ctx;	    /* 1 + the parent under which it stands; 0: none */
	int route;		    /* index of the vIOMMU that gets its events, or -1 */
	uint32_t route_vsid;
	struct hw_atc *atc;
	struct hw_client client;
	const struct hw_client *(*machine_client)(void *opaque, uint16_t rid);
	struct seen atc_seen[NPASIDS];
	bool atc_on;
};

struct smmu_cdtab {
	unsigned int fmt, cdmax;
	uint64_t ctxptr;	     /* GPA */
	uint64_t *cd[NPASIDS];	     /* by slot: SubstreamID 0, then pasids[1] and so on; null: the table has it not */
	uint8_t now[NPASIDS];
};

struct smmu_state {
	const struct nb_desc_smmuv3 *cap; /* of the first unit; with others only these differ: RIL, stalls, the width of ids */
	struct smmu_ctx ctx[NUNITS][NHWPTS];
	struct smmu_viommu viommu[NVIOMMUS];
	struct smmu_vdev vdev[RIG_DEVS];
	struct smmu_nest nest[NHWPTS];
	struct smmu_dev_state dev[RIG_DEVS];
	struct smmu_cdtab cdtab[NCDTABS];
	uint16_t asid[NSPACES];
	bool ha[NSPACES]; /* hardware sets access flags and dirty states */
	/* The DMA that runs goes through the device-TLB: as it may, or in spite of a driver that did not switch ATS on. */
	enum { ATS_NONE, ATS_ON, ATS_OFF } ats_lent;
	uint64_t events, lost, batches, refused, through_atc, stalls, ats_off;
};

static inline struct smmu_state *own(const struct world *w)
{
	return w->own;
}
static inline unsigned int unit_of(const struct world *w, unsigned int dev)
{
	return w->desc->function[dev].iommu;
}
static inline const struct nb_desc_smmuv3 *unit_cap(const struct world *w, unsigned int unit)
{
	return &w->desc->iommu[unit].smmuv3;
}
static inline uint32_t ssid_of(unsigned int slot)
{
	return slot ? pasids[slot] : 0;
}
static inline struct smmu_ctx *ctx_of(const struct world *w, unsigned int dev)
{
	const struct smmu_dev_state *d = &own(w)->dev[dev];

	return d->ctx ? &own(w)->ctx[unit_of(w, dev)][d->ctx - 1] : NULL;
}
/* Of a nested attachment; null: none. */
static inline const struct smmu_nest *nest_of(struct world *w, unsigned int dev)
{
	const struct hwpt *h = hwpt_at(w, dev, 0);

	return h && h->kind == NESTED ? &own(w)->nest[h - w->hwpt] : NULL;
}

/* prop_smmuv3.c */
/* The slot of the CD table that answers requests of slot p; -1: none, and then *how is what happens (FAULT or a bypass: 0). */
int cd_slot(struct world *w, unsigned int dev, unsigned int p, int *how);
/* All CDs that it may be. */
unsigned int cd_candidates(struct world *w, unsigned int dev, unsigned int slot);

/* prop_smmuv3_objs.c: ioctls */
bool objs_begin(struct world *w);
void objs_end(struct world *w);
void do_alloc(struct world *w);
void do_viommu(struct world *w);
void do_vdevice(struct world *w);
void do_veventq(struct world *w);
void smmu_attach(struct world *w);
void smmu_attached(struct world *w, unsigned int dev, unsigned int p, int was);
void smmu_destroyed(struct world *w, struct hwpt *h);
long smmu_attach_refused(const struct world *w, unsigned int dev, unsigned int p, int at);
void read_events(struct world *w, unsigned int v, unsigned int at_most);
void smmu_faulted(struct world *w, unsigned int dev, unsigned int p, uint64_t va, bool write, int err, const int *o, unsigned int n);
void do_flood(struct world *w);

/* prop_smmuv3_guest.c: tables, CDs, device-TLBs */
bool guest_begin(struct world *w);
void guest_end(struct world *w);
void put_node(struct world *w, struct space *s, unsigned int win, unsigned int table);
void put_large(struct world *w, struct space *s, unsigned int win, uint64_t gpa, unsigned int prot);
void put_leaf(struct world *w, struct space *s, unsigned int table, unsigned int page, uint64_t gpa, unsigned int prot, bool group);
void do_cd(struct world *w);
unsigned int smmu_seers(struct world *w, unsigned int space, struct seen *out[MAX_SEEN]);
/* What these CDs lead to may be in the device-TLB. */
void atc_keeps_cds(struct world *w, unsigned int dev, unsigned int slot, unsigned int values);
/* What was remembered of this page under a context may be in the device-TLBs of those who stand on it. */
void atc_keeps_page(struct world *w, const struct smmu_ctx *c, unsigned int space, unsigned int win, unsigned int page);
void atc_clear(struct world *w, unsigned int dev);
int smmu_dma(struct world *w, unsigned int dev, unsigned int p, uint64_t va, uint64_t *buf, size_t len, bool write);

/* prop_smmuv3_cmds.c */
void do_commands(struct world *w);
void smmu_forget(struct world *w, struct seen *s);

#endif
