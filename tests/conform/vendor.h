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
	/* log2 of the smallest page of the driver's tables, of the guest's. 0: 4 KiB. */
	uint8_t page_lg2, guest_page_lg2;
	/* Why iommufd has no use for such units, so that only driver and hardware are tried. Null: it has. */
	const char *no_host;
};

/* What is in force for a requester: the rows and columns of the table of transitions. */
enum vendor_kind {
	V_BLOCKED,
	V_IDENTITY,
	V_PAGING,
	V_PARENT,	/* a nesting parent by itself, or a guest that bypasses its stage 1 */
	V_NESTED,
	V_NESTED_OTHER, /* with another treatment of plain requests than V_NESTED, see enum vendor_s1 */
};

/* What a guest may ask for where its own configuration says more than "this table". */
enum vendor_s1 {
	V_S1_TABLE,	   /* the table translates, for plain requests and for PASID V_GUEST_PASID */
	V_S1_BYPASS,	   /* no stage 1 */
	V_S1_ABORT,	   /* nothing goes through */
	V_S1_PASID_BYPASS, /* the table is for PASIDs, plain requests have no stage 1 */
	V_S1_PASID_ABORT,  /* the table is for PASIDs, plain requests are refused */
};
#define V_GUEST_PASID 5u

/* Shape of a guest's own stage-1 table of 48 bits: pages of 8-byte entries. */
struct vendor_guest {
	const struct nb_desc *desc;
	uint8_t page_lg2, levels;
	bool updates; /* hardware marks in a leaf that it was used and written: no leaf comes with these marks */
};

struct vendor_blob {
	uint32_t type, len, n; /* n entries of len bytes */
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

	/* A guest's tables: what a node and a leaf look like. 0 is "not present". */
	void (*guest)(const struct vendor_conf *conf, const struct nb_desc *d, struct vendor_guest *out);
	uint64_t (*s1_node)(const struct vendor_guest *g, uint64_t gpa);
	uint64_t (*s1_leaf)(const struct vendor_guest *g, uint64_t gpa, unsigned int prot); /* HW_READ | HW_WRITE */
	/*
	 * HWPT_ALLOC data of the table at root. `page`, one of the guest's at page_gpa, takes what the vendor needs beside the table; it
	 * is the domain's. False: a guest of this vendor cannot ask for that.
	 */
	bool (*s1_blob)(const struct vendor_guest *g, enum vendor_s1 how, uint64_t root, void *page, uint64_t page_gpa,
			struct vendor_blob *out);
	/* The guest invalidates what it had in the table at root. npages UINT64_MAX: everything. leaf: no node went. */
	void (*inv_blob)(const struct vendor_guest *g, uint64_t root, uint64_t va, uint64_t npages, bool leaf,
			 struct vendor_blob *out);
	/*
	 * 0: nested domains are made over the parent, and invalidations name them. Else a vIOMMU of this type is: made from it, named by
	 * invalidations; and a nested domain is for functions of one unit that have a vDEVICE there.
	 */
	uint32_t viommu_type;

	/*
	 * How a fault of a guest's address gets to the guest. As an event of this type from the vIOMMU, which names the function and the address;
	 * or, if the vendor has no such queue or the function waits for an answer, as a page request through the nested domain's fault queue.
	 */
	uint32_t veventq_type;
	bool (*faults_wait)(const struct nb_desc *d);
	void (*event)(const uint64_t payload[4], uint64_t *virt_id, uint64_t *addr);
	/* The function asks for a page and waits, as far as its unit lets it. False: neither function nor unit has such a thing. */
	bool (*ask_page)(const struct nb_desc *d, struct hw_iommu *hw, uint16_t rid, uint64_t addr);

	/*
	 * Must the replacement of one by the other go without a fault? False: the architecture makes software take the old away
	 * before the new appears, so the device may see faults between. Never asked with from == V_BLOCKED or to == V_BLOCKED.
	 * same: both stand on the same parent.
	 */
	bool torn; /* hardware reads an entry word by word, and may have read some of them before others changed, until it is told of a change */
	bool (*hitless)(enum vendor_kind from, enum vendor_kind to, bool same);
};

extern const struct vendor vendor_vtd;
extern const struct vendor vendor_smmuv3;
extern const struct vendor *const vendors[]; /* null-terminated */

#endif
