/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nested domains over a nesting parent of a virtual host (rig.h), as a VMM of any vendor makes them: straight over the parent, or
 * by way of one vIOMMU per unit with vDEVICEs for the functions. A guest's table is one thing all the same: `struct nested` has the
 * HWPT of each unit, made when a function there is first attached to it.
 */
#ifndef NB_TESTS_NEST_H
#define NB_TESTS_NEST_H

#include "rig.h"
#include "vendor.h"

#define NEST_UNITS 3
#define NEST_VIRT_ID(dev) (0x10u + (dev)) /* the guest's name of a function */

struct nest { /* a parent */
	struct rig *rig;
	const struct vendor *v;
	struct vendor_guest g;
	uint32_t parent;
	uint32_t viommu[NEST_UNITS];
};

struct nested { /* a guest's table over a parent */
	struct nest *nest;
	uint64_t root;
	uint32_t flags;	/* IOMMU_HWPT_ALLOC_* */
	uint32_t fault;	/* with IOMMU_HWPT_FAULT_ID_VALID */
	struct vendor_blob blob;
	uint32_t id[NEST_UNITS];
};

/* vDEVICEs: a function has one at most, and it moves to the guest to which the function is attached. */
struct nest_vdevs {
	const struct nest *at[RIG_DEVS];
	uint32_t id[RIG_DEVS];
};

/* Which unit, by number in the order in which functions come. */
unsigned int nest_unit(const struct rig *r, unsigned int dev);
void nest_init(struct nest *n, struct rig *r, const struct vendor *v, const struct vendor_guest *g, uint32_t parent);
/* The vIOMMU of that function's unit, made at the first use; 0: the vendor has none, or it was refused (*err, may be null). */
uint32_t nest_viommu(struct nest *n, unsigned int dev, long *err);
/* tables: where the guest's memory at GPA `gpa` lies; root is there, and page `config` of the guest is the domain's. */
bool nest_table(struct nest *n, enum vendor_s1 how, uint64_t root, void *config, uint64_t config_gpa, uint32_t flags,
		struct nested *out);
/* The HWPT for that function, made at the first use. 0 or what the ioctl returned. */
long nest_hwpt(struct nested *d, unsigned int dev, uint32_t *id);
long nest_attach(struct nest_vdevs *vd, struct nested *d, unsigned int dev, uint32_t pasid);
/* Everywhere. npages UINT64_MAX: everything that the guest had there. */
long nest_invalidate(struct nested *d, uint64_t va, uint64_t npages, bool leaf);
long nest_destroy(struct nested *d);

#endif
