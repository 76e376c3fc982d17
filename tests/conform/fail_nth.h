/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of fail_nth share: the scene, the plain calls on it, and the table of calls that are tried. */
#ifndef NB_TESTS_FAIL_NTH_H
#define NB_TESTS_FAIL_NTH_H

#include <stdatomic.h>
#include <stdint.h>

#include "machine/api.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"
#include "vendor.h"

#define PAGE  4096u
#define M2    (UINT64_C(2) << 20)
#define NDEVS 4u
#define PASID 70u
#define IOVA  UINT64_C(0x40000000)
#define VA    UINT64_C(0x600000000000)
#define BASE_PAGES 1024u /* of memory that is mapped */

struct scene {
	const struct vendor *v;
	const struct vendor_conf *conf;
	struct nb_host *host;
	struct nb_desc desc;
	int iommufd, dev[NDEVS];
	struct vendor_guest g;
	uint32_t devid[NDEVS], ioas, ioas2, hwpt, parent, parent_b, nested, nested_b, dirty;
	/* Where nested domains come from vIOMMUs: one over each parent, 0: the vendor has none; where a function has its vDEVICE. */
	uint32_t viommu, viommu_b, vdev_of[NDEVS], vdev[NDEVS];
	unsigned int ndevs;
	uint8_t *mem;
	uint32_t out; /* id that the call under test made */
	int fd;
	uint32_t pasid_flag; /* IOMMU_HWPT_ALLOC_PASID, where there are PASIDs */
	bool can_nest, can_dirty, can_pasid;
	bool binds_msi;	     /* guests may bind messages: uapi/nestbox.h */
	bool window;	     /* there is one for messages */
	bool nests_by_pasid; /* PASIDs can be attached to nested domains; else they are the guest's, and there are none beside it */
};


/* fail_count.c: what is allocated and not freed. */
extern _Atomic long live, pages_live;

/* fail_calls.c */
struct call {
	const char *name;
	long (*prepare)(struct scene *s);
	long (*call)(struct scene *s); /* 1: this configuration has no such thing */
	long (*back)(struct scene *s); /* undoes a call that worked */
};
extern const struct call calls[];
extern const unsigned int ncalls;
/* The model may be what has no memory left, which to the driver is silicon that does not do what it is told: -EIO. */
bool silicon_may_fail(const struct call *c);
long prepare_eventfd(struct scene *s);

long do_io(struct scene *s, int fd, unsigned long cmd, void *arg);
long do_ioas_alloc(struct scene *s, uint32_t *id);
long do_map(struct scene *s, uint32_t ioas, const void *va, uint64_t iova, uint64_t len);
long do_hwpt_flags(struct scene *s, uint32_t pt, uint32_t flags, uint32_t fault, uint32_t *id);
/* The parent's, or that of the vIOMMU over it. */
long do_hwpt_nested(struct scene *s, uint32_t parent, uint64_t root, uint32_t *id);
long do_viommu(struct scene *s, uint32_t parent, uint32_t *id);
long do_vdevice(struct scene *s, unsigned int dev, uint32_t viommu, uint32_t *id);
long do_attach(struct scene *s, unsigned int dev, uint32_t pasid, uint32_t pt);
long do_detach(struct scene *s, unsigned int dev, uint32_t pasid);
long do_destroy(struct scene *s, uint32_t id);
long do_bind(struct scene *s, unsigned int i);
long do_unbind_msi(struct scene *s);

#endif
