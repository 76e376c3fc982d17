/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver seam: a vendor driver as the host's core sees it. Names follow Linux's struct
 * iommu_ops and iommu_domain_ops, so that a kernel reader is at home. No
 * vendor word appears here.
 *
 * Rules of the house: allocating a domain touches no device entry; attaching computes the whole entry from
 * the domains attached now. A failed attach leaves the old attachment
 * in force, unless the vendor sheet says that Linux's driver cannot. Nothing here may block on a device.
 *
 * Attaching a nested domain that was made from a vIOMMU gives the device the guest's name from its vDEVICE in the events that are
 * reported; a domain that needs the name and finds no vDEVICE: -ENOENT. A device whose vDEVICE goes later keeps its attachment,
 * its events are no longer reported.
 *
 * Locking: the core serialises attach/block per device (its group lock) and map/unmap/dirty per paging domain (its
 * domain lock). Everything else may run concurrently; a driver locks its own structures.
 */
#ifndef NB_DRV_DRV_H
#define NB_DRV_DRV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"
#include "base/trace.h"
#include "mem/mem.h"
#include "pt/pt.h"

/* How a driver reaches its unit's registers, as a kernel does: 4- or 8-byte accesses. */
struct drv_mmio {
	void *opaque;
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, unsigned int size, uint64_t v);
};

#define DRV_MSI_PAGE_REQUEST 0x100u
#define DRV_MSI_COMPANION    0x200u

enum { /* errata of the silicon, from the host description */
	DRV_ERRATUM_VTD_772415 = 1, /* read-only second-stage mappings break nesting */
};

struct drv_iommu_cfg {
	struct mem *mem;	/* the machine's memory */
	struct mem_pool *pool;	/* for tables and queues */
	struct nb_trace *tr;
	struct drv_mmio mmio;
	uint16_t segment;
	uint32_t errata;
	/*
	 * Interrupt message that the unit shall send for its own events; comes back through ops->irq(data). Page requests have one of
	 * their own: the same address, msi_data + DRV_MSI_PAGE_REQUEST. It must come on a thread that holds no lock of the driver (that
	 * of the function which asked for the page; never one that is in a call of this seam).
	 */
	uint64_t msi_addr;
	uint32_t msi_data;
	/*
	 * Where in mmio the registers of a block lie that is not the unit's own but belongs to it, as firmware says; 0: there is none. It interrupts
	 * as msi_data + DRV_MSI_COMPANION, on any thread that holds no lock of the driver.
	 */
	uint64_t companion;
	/* Write CPU caches back for [p, p + len). Called only for units whose walks do not snoop. Null: nothing to do. */
	void (*flush)(void *opaque, const void *p, size_t len);
	void *flush_opaque;
};

enum drv_domain_type {
	DRV_DOMAIN_BLOCKED,
	DRV_DOMAIN_IDENTITY,
	DRV_DOMAIN_PAGING,
	DRV_DOMAIN_NESTED,
};

enum { /* domain_alloc_paging flags; values are iommufd's HWPT_ALLOC flags */
	DRV_ALLOC_NEST_PARENT = 1,
	DRV_ALLOC_DIRTY = 2,
	DRV_ALLOC_PASID = 8,
};

enum drv_cap {
	DRV_CAP_CACHE_COHERENCY,   /* DMA snoops the CPU caches */
	DRV_CAP_DIRTY_TRACKING,
	DRV_CAP_ENFORCE_COHERENCY, /* can force snooping */
	DRV_CAP_PASID_EXEC,
	DRV_CAP_PASID_PRIV,
	DRV_CAP_ATS,
	DRV_CAP_NESTING,	   /* domain_alloc_nested can succeed for this device */
	DRV_CAP_ISOLATED_MSI,	   /* interrupt messages are checked by source (remapping is on) */
};

enum drv_resv_type { DRV_RESV_DIRECT, DRV_RESV_DIRECT_RELAXABLE, DRV_RESV_RESERVED, DRV_RESV_MSI, DRV_RESV_SW_MSI };

struct drv_resv {
	uint64_t first, last;
	enum drv_resv_type type;
};

/* A vendor blob of the caller's: address and length in this process, hostile. */
struct drv_user_data {
	uint32_t type, len;
	uint64_t uptr;
};
struct drv_user_array {
	uint32_t type, entry_len, entry_num;
	uint64_t uptr;
};

/*
 * Copy a blob of the given type into a zeroed kernel struct, as iommu_copy_struct_from_user() does: wrong type,
 * shorter than min_len or longer than size: -EINVAL; -EFAULT.
 */
int drv_copy_user_data(void *dst, size_t size, size_t min_len, uint32_t type, const struct drv_user_data *data);

struct drv_iommu;
struct drv_domain;
struct drv_dev;

/* ---- page requests ---- */

/* Values are iommufd's IOMMU_PGFAULT_PERM_*. */
enum { DRV_PERM_READ = 1, DRV_PERM_WRITE = 2, DRV_PERM_EXEC = 4, DRV_PERM_PRIV = 8 };

struct drv_page_request {
	uint64_t addr;
	uint32_t pasid; /* or NB_NO_PASID */
	uint32_t grpid;
	uint32_t perm;
	bool last;	  /* of its group */
	bool needs_pasid; /* the response must carry the PASID */
};
enum drv_page_code { DRV_PAGE_SUCCESS, DRV_PAGE_INVALID, DRV_PAGE_FAILURE };
struct drv_page_response {
	uint32_t pasid, grpid;
	enum drv_page_code code;
};

/* ---- what a driver has the function itself do, as a kernel writes to its configuration space ---- */

enum drv_feature { DRV_FEATURE_PASID, DRV_FEATURE_ATS, DRV_FEATURE_PRI };
struct drv_fn_ops {
	/* ATS: arg is the smallest translation unit's log2; PRI: outstanding requests. 0, or -ENODEV: it has none. */
	int (*enable)(struct drv_dev *dev, enum drv_feature what, uint32_t arg);
	void (*disable)(struct drv_dev *dev, enum drv_feature what);
};

/* ---- interrupt messages ---- */

struct drv_irq_target {
	uint32_t dest; /* APIC id */
	uint8_t vector;
};
struct drv_msi {
	uint64_t addr;
	uint32_t data;
};

/* A function behind an IOMMU. The owner fills the upper half before probe_device(). */
struct drv_dev {
	struct drv_iommu *iommu;
	uint16_t rid;
	bool ats, pri;	     /* the function has the capability */
	bool stall;	     /* its requests may wait for a fault to be answered, where the unit can do that */
	bool always_snoops;  /* all its requests do, whatever attributes tables give them (Arm firmware: CANWBS) */
	uint32_t max_pasids; /* 0: no PASID capability; probe_device() lowers it to what the unit can do */
	const struct drv_fn_ops *fn_ops; /* null: the function is not told anything */
	/* What firmware said of the function's address space, with no type that is the driver's (MSI): part of resv_regions(). */
	const struct drv_resv *fw_resv;
	unsigned int nfw_resv;
	/*
	 * A page request of this function, set by the core before probe_device(); null: nobody wants any. 0: the core will answer the
	 * group through ops->page_response(). Else the driver answers (invalid). May come on any thread that holds no driver lock
	 * but the one that orders page requests; does not block on the group lock, and may call page_response() before it returns.
	 */
	int (*report_fault)(struct drv_dev *dev, const struct drv_page_request *pr);
	/*
	 * The unit's queue of page requests ran over, and lasts of groups may be lost: the core forgets the groups of this function
	 * that it knows in part. Same rules as report_fault; null: nothing to forget.
	 */
	void (*discard_partial)(struct drv_dev *dev);
	void *core;	     /* the core's, for report_fault */
	void *priv;	     /* the driver's */
};

/* What unmap left behind until iotlb_sync(): the range to invalidate and table pages to free. Zero-initialise. */
struct drv_gather {
	uint64_t first, last;
	bool any;
	bool cut; /* caches may hold leaves that reach beyond the range: one was split, or cleaned in part */
	struct pt_gather pages;
};

/* ---- vIOMMUs: a slice of a unit that a guest's own IOMMU stands on. Optional: a driver without leaves viommu_size null ---- */

struct drv_viommu;
struct drv_vdevice;
struct drv_hw_queue;

struct drv_viommu_ops {
	/* No domain, vdevice or queue is left that was made from it, and report_event() is not running. */
	void (*destroy)(struct drv_viommu *v);
	/* A nested domain over v->parent: out->viommu is v. The core holds the vIOMMU while the domain lives. */
	int (*domain_alloc_nested)(struct drv_viommu *v, uint32_t flags, const struct drv_user_data *data,
				   struct drv_domain **out, struct nb_diag *diag);
	/*
	 * The guest's own commands, from any thread. Sets a->entry_num to the number handled, also on error. Null: -EOPNOTSUPP.
	 */
	int (*cache_invalidate)(struct drv_viommu *v, struct drv_user_array *a, struct nb_diag *diag);

	/*
	 * vDEVICEs. The core allocates vdevice_size bytes, zeroed (0: sizeof(struct drv_vdevice)), fills the upper half, has seen
	 * to it that the virtual id is new in this vIOMMU and the device has none yet, and calls under the lock by which it
	 * serialises both, without the device's group lock. Null: nothing to do.
	 */
	size_t vdevice_size;
	int (*vdevice_init)(struct drv_vdevice *vd, struct nb_diag *diag);
	/* May come while the device is attached to a nested domain of the vIOMMU. When it returns nobody looks at vd any more. */
	void (*vdevice_destroy)(struct drv_vdevice *vd);

	/* Hardware queues of the guest. Size 0 or null: this vIOMMU has none of the type, -EOPNOTSUPP. */
	size_t (*hw_queue_size)(struct drv_viommu *v, uint32_t type);
	int (*hw_queue_init)(struct drv_hw_queue *q, struct nb_diag *diag);
	void (*hw_queue_destroy)(struct drv_hw_queue *q); /* when it returns hardware does not touch the queue's memory */
};

/* First member of the driver's structure. The core allocates viommu_size() bytes, zeroed, and fills all but ops before viommu_init(). */
struct drv_viommu {
	const struct drv_viommu_ops *ops; /* set by viommu_init() */
	struct drv_iommu *iommu;	  /* of the device it was made for */
	struct drv_domain *parent;	  /* a nesting parent; the core keeps it alive */
	uint32_t type;			  /* IOMMU_VIOMMU_TYPE_* */
	/*
	 * An event of a device for the guest, ids already the guest's: type is IOMMU_VEVENTQ_TYPE_*, data the payload. Null:
	 * nobody listens. Comes in interrupts, on any thread and under the driver's lock that orders events, from viommu_init()
	 * until destroy() returns: takes a leaf lock of the core and does not call back. 0, also when the
	 * queue is full and the event is lost; -ENOMEM: lost for want of memory; -EOPNOTSUPP: no queue of this type.
	 */
	int (*report_event)(struct drv_viommu *v, uint32_t type, const void *data, size_t len);
	/*
	 * Offer [reg, reg + len) of the unit's registers (pages) to user space, as long as the vIOMMU lives; *offset is what
	 * the user passes to mmap(). For viommu_init() only. Null: the core cannot.
	 */
	int (*offer_mmap)(struct drv_viommu *v, uint64_t reg, uint64_t len, uint64_t *offset);
	void *core;
};

struct drv_vdevice { /* first member of the driver's structure */
	struct drv_viommu *viommu;
	struct drv_dev *dev;	/* behind viommu->iommu; probed as long as this lives */
	uint64_t virt_id;	/* the guest's name of the device */
};

struct drv_hw_queue { /* first member of the driver's structure; the core fills it, but for `after` */
	struct drv_viommu *viommu;
	uint32_t type;		/* IOMMU_HW_QUEUE_TYPE_* */
	uint32_t index;
	uint64_t iova;		/* of viommu->parent: what the guest calls base */
	hpa_t base;		/* pinned and contiguous for length bytes */
	uint64_t length;
	/* Set by hw_queue_init(): a queue that has to live until this one is destroyed (the core refuses, -EBUSY). Null: none. */
	struct drv_hw_queue *after;
};

struct drv_domain_ops {
	void (*free)(struct drv_domain *d);
	/* Paging domains. ia and len are multiples of the smallest page. Errors map nothing. */
	int (*map)(struct drv_domain *d, uint64_t ia, hpa_t pa, uint64_t len, unsigned int prot, struct nb_diag *diag);
	/* Whatever is mapped in [ia, ia+len) goes; -ENOMEM only when a leaf had to be split. */
	int (*unmap)(struct drv_domain *d, uint64_t ia, uint64_t len, struct drv_gather *g);
	/* On return no device can reach through what was gathered, and table pages are free. */
	void (*iotlb_sync)(struct drv_domain *d, struct drv_gather *g);
	int (*iova_to_phys)(struct drv_domain *d, uint64_t ia, hpa_t *pa); /* 0 or -ENOENT */
	int (*set_dirty_tracking)(struct drv_domain *d, bool on, struct nb_diag *diag);
	/* Clears unless no_clear, and then gathers what must be invalidated. */
	int (*read_and_clear_dirty)(struct drv_domain *d, uint64_t ia, uint64_t len, bool no_clear, pt_dirty_fn *fn,
				    void *opaque, struct drv_gather *g);
	bool (*enforce_cache_coherency)(struct drv_domain *d);
	/* Nested domains. Sets a->entry_num to the number handled, also on error. */
	int (*cache_invalidate_user)(struct drv_domain *d, struct drv_user_array *a, struct nb_diag *diag);
};

struct drv_domain {
	const struct drv_domain_ops *ops;
	struct drv_iommu *iommu;	/* the unit it was allocated for; it may serve others that are compatible */
	enum drv_domain_type type;
	uint32_t id;			/* for traces: unique per unit */
	uint32_t flags;			/* DRV_ALLOC_* it was allocated with */
	uint64_t aperture_first, aperture_last;
	uint64_t pgsizes;
	struct drv_domain *parent;	/* nested: the stage-2 */
	struct drv_viommu *viommu;	/* nested and made from a vIOMMU: that; else null */
	/* Set by the core before the first attach: page requests of what it is attached to go to report_fault(). */
	bool iopf;
};

struct drv_ops {
	const char *vendor;
	uint32_t hw_info_type;		/* IOMMU_HW_INFO_TYPE_* */
	/* Bring the unit up through its registers. */
	int (*probe)(const struct drv_iommu_cfg *cfg, struct drv_iommu **out, struct nb_diag *diag);
	void (*remove)(struct drv_iommu *iommu); /* no device left */
	void (*irq)(struct drv_iommu *iommu, uint32_t data);
	/* Fill at most *len bytes of the vendor's hw_info struct; *len becomes the full size. */
	int (*hw_info)(struct drv_iommu *iommu, uint32_t type, void *buf, uint32_t *len);
	bool (*capable)(struct drv_dev *dev, enum drv_cap cap);
	unsigned int (*resv_regions)(struct drv_dev *dev, struct drv_resv *r, unsigned int max); /* number filled */

	int (*probe_device)(struct drv_dev *dev, struct nb_diag *diag); /* ends blocked */
	void (*release_device)(struct drv_dev *dev);

	int (*domain_alloc_paging)(struct drv_dev *dev, uint32_t flags, struct drv_domain **out, struct nb_diag *diag);
	int (*domain_alloc_nested)(struct drv_dev *dev, struct drv_domain *parent, uint32_t flags,
				   const struct drv_user_data *data, struct drv_domain **out, struct nb_diag *diag);
	/*
	 * How large the driver's vIOMMU of a type is for this device's unit; 0: it has none such (-EOPNOTSUPP). Null: none at all.
	 * data may be null or of length 0; what the type has to say to the user is written back there.
	 */
	size_t (*viommu_size)(struct drv_dev *dev, uint32_t type);
	int (*viommu_init)(struct drv_viommu *v, const struct drv_user_data *data, struct nb_diag *diag);
	/*
	 * PASIDs of a device that is attached to a nested domain are the guest's: a page request with a PASID to which nothing
	 * is attached belongs to the nested domain of the RID.
	 */
	bool user_pasid_table;
	/* The unit's identity domain; owned by the driver. */
	struct drv_domain *(*identity_domain)(struct drv_iommu *iommu);

	/*
	 * Attach or replace; pasid NB_NO_PASID is the function's plain requests (RID). -EINVAL: incompatible.
	 */
	int (*attach)(struct drv_dev *dev, uint32_t pasid, struct drv_domain *d, struct nb_diag *diag);
	void (*block)(struct drv_dev *dev, uint32_t pasid); /* cannot fail */
	/*
	 * With domains that have iopf set: attach() enables page requests of the function (-ENODEV: it or the unit cannot), and
	 * when block() or a replacing attach() returns, no request of (dev, pasid) made before is still on its way to
	 * report_fault(): each was reported (maybe by the thread that blocks, with the core's locks that it holds) or answered. What
	 * the core has of them is the core's to answer. Requests made later go to report_fault() as well, while the function has page
	 * requests on through another PASID. After release_device() nothing is reported any more, whatever was attached.
	 */
	/*
	 * Answer a group; needs no lock, may come from report_fault(), and between probe_device() and release_device() from any thread.
	 * Null: the vendor has no page requests here.
	 */
	void (*page_response)(struct drv_dev *dev, const struct drv_page_response *resp);

	/*
	 * Have n messages (a power of two; more than one only for MSI, and then consecutive in the message's data) of this function
	 * delivered to targets. *msg is what the function shall send for the first. -EOPNOTSUPP: this unit remaps nothing, and the
	 * message for a target is the architecture's plain one; -ENOSPC, -ENOMEM. Null: as -EOPNOTSUPP.
	 */
	int (*irq_map)(struct drv_dev *dev, unsigned int n, const struct drv_irq_target *target, uint32_t *handle,
		       struct drv_msi *msg, struct nb_diag *diag);
	/* When it returns no message arrives any more through the old mapping. */
	void (*irq_unmap)(struct drv_dev *dev, uint32_t handle, unsigned int n);
};

struct drv_iommu { /* first member of the driver's structure */
	const struct drv_ops *ops;
	struct drv_iommu_cfg cfg;
	/*
	 * The unit stopped executing commands, for good. No invalidation is done any more: if it could be told to, it refuses all DMA
	 * now, and nothing is attached to it again (-EIO). Table pages that it may still walk are kept until remove().
	 */
	_Atomic bool dead;
};

extern const struct drv_ops drv_vtd_ops;
extern const struct drv_ops drv_smmuv3_ops;

static inline void drv_gather_add(struct drv_gather *g, uint64_t first, uint64_t last)
{
	if (!g->any || first < g->first)
		g->first = first;
	if (!g->any || last > g->last)
		g->last = last;
	g->any = true;
}

#endif
