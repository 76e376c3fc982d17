/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the proof harness has to know about a vendor. Everything else it learns from the seams (drv.h, hw.h) and from iommufd.
 *
 * A configuration is a host description: the harness runs every body over every configuration of every vendor, and a body
 * that a configuration cannot run says so by name (tests end with how many opted out, and why).
 *
 * To add a vendor: one file vendor_<name>.c with a struct vendor, one line in vendors[] (vendor.c). No body changes.
 */
#ifndef NB_TESTS_VENDOR_H
#define NB_TESTS_VENDOR_H

#include <stdbool.h>
#include <stdint.h>

#include "drv/drv.h"
#include "hw/hw.h"
#include "machine/desc.h"

struct vendor_conf {
	const char *name;
	/* Every IOMMU and function of the description: the built-in board, changed. */
	void (*make)(struct nb_desc *out);
	/* A bit per IOMMU: page walks do not snoop, so what the CPU wrote is seen only after a flush. */
	uint32_t noncoherent;
};

/* What is in force for a requester: the rows and columns of the table of transitions. */
enum vendor_kind { V_BLOCKED, V_IDENTITY, V_PAGING, V_NESTED };

struct vendor_blob {
	uint32_t type, len;
	uint8_t bytes[64];
};

struct vendor {
	const char *name;
	const struct vendor_conf *conf;
	unsigned int nconfs;
	const struct drv_ops *drv;

	/* A unit as it comes out of reset, over mem, and the errata that its driver is told. */
	int (*boot)(const struct nb_desc *d, unsigned int iommu, struct mem *mem, struct nb_trace *tr, struct hw_iommu **hw,
		    uint32_t *errata, struct nb_diag *diag);

	/*
	 * A guest's own stage-1 table of 4 levels and 4 KiB pages: what a node and a leaf look like, with whatever
	 * hardware would otherwise set in them. 0 is "not present".
	 */
	uint64_t (*s1_node)(uint64_t gpa);
	uint64_t (*s1_leaf)(uint64_t gpa, unsigned int prot); /* HW_READ | HW_WRITE */
	/* HWPT_ALLOC data of that table, and one HWPT_INVALIDATE entry. npages UINT64_MAX: everything. leaf: no node went. */
	void (*s1_blob)(uint64_t root, struct vendor_blob *out);
	void (*inv_blob)(uint64_t va, uint64_t npages, bool leaf, struct vendor_blob *out);

	/*
	 * Must the replacement of one by the other go without a fault? False: the architecture makes software take the old away
	 * before the new appears, so the device may see faults between. Never asked with from == V_BLOCKED or to == V_BLOCKED.
	 */
	bool (*hitless)(enum vendor_kind from, enum vendor_kind to);
};

extern const struct vendor vendor_vtd;
extern const struct vendor *const vendors[]; /* null-terminated */

#endif
