/* SPDX-License-Identifier: BSD-3-Clause */
/* VT-d for the proof harness: configurations, a guest's x86-64 tables, and what is declared disruptive. */
#include <string.h>

#include "hw/vtd/vtd.h"
#include "machine/desc_vtd.h"
#include "uapi/iommufd.h"
#include "vendor.h"

static void built_in(struct nb_desc *out, const char *name)
{
	*out = *nb_desc_find(name);
}

#define EACH_UNIT(d, field, value)                                                                            \
	do {                                                                                                   \
		uint32_t i_;                                                                                   \
		for (i_ = 0; i_ < (d)->niommus; i_++)                                                          \
			(d)->iommu[i_].vtd.field = (value);                                                    \
	} while (0)

static void spr(struct nb_desc *d)
{
	built_in(d, "spr");
}
static void spr_fixed(struct nb_desc *d)
{
	built_in(d, "spr-fixed");
}
static void legacy(struct nb_desc *d)
{
	built_in(d, "legacy");
}
static void noncoherent(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, coherent, false);
	EACH_UNIT(d, ss_dirty, false);
	EACH_UNIT(d, ext_access, false);
}
static void legacy_noncoherent(struct nb_desc *d)
{
	legacy(d);
	EACH_UNIT(d, coherent, false);
}
static void caching(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, caching_mode, true);
}
static void write_buffer(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, write_buffer_flush, true);
}
static void levels4(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, mgaw, 48);
	EACH_UNIT(d, levels5, false);
}
static void no_ats(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, device_tlb, false);
	EACH_UNIT(d, page_requests, false);
}
static void no_remap(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, intr_remap, false);
	EACH_UNIT(d, x2apic, false);
}
static void second_only(struct nb_desc *d)
{
	spr_fixed(d);
	EACH_UNIT(d, nested, false);
	EACH_UNIT(d, first_stage, false);
	EACH_UNIT(d, ext_access, false);
	EACH_UNIT(d, supervisor, false);
	EACH_UNIT(d, fs_1g, false);
}
/* The second unit is coherent and has no caching mode: domains built for the first serve it. */
static void mixed(struct nb_desc *d)
{
	caching(d);
	d->iommu[0].vtd.coherent = false;
	d->iommu[0].vtd.ss_dirty = false;
	d->iommu[0].vtd.ext_access = false;
	d->iommu[1].vtd.caching_mode = false;
}

static const struct vendor_conf conf[] = {
	{.name = "spr", .make = spr},
	{.name = "spr-fixed", .make = spr_fixed},
	{.name = "legacy", .make = legacy},
	{.name = "non-coherent", .make = noncoherent, .noncoherent = 3},
	{.name = "legacy-non-coherent", .make = legacy_noncoherent, .noncoherent = 3},
	{.name = "caching-mode", .make = caching},
	{.name = "write-buffer", .make = write_buffer},
	{.name = "4-level", .make = levels4},
	{.name = "no-ats", .make = no_ats},
	{.name = "no-interrupt-remapping", .make = no_remap},
	{.name = "second-stage-only", .make = second_only},
	{.name = "mixed", .make = mixed, .noncoherent = 1},
};

static int boot(const struct nb_desc *d, unsigned int iommu, struct mem *mem, struct nb_trace *tr, struct hw_iommu **hw,
		uint32_t *errata, struct nb_diag *diag)
{
	struct vtd_caps caps;

	desc_vtd_caps(&d->iommu[iommu].vtd, &caps);
	*errata = d->iommu[iommu].vtd.erratum_772415 ? DRV_ERRATUM_VTD_772415 : 0;
	return vtd_create(&caps, mem, tr, hw, diag);
}

static void guest(const struct vendor_conf *c, const struct nb_desc *d, struct vendor_guest *out)
{
	(void)c;
	/* A unit whose walks do not snoop cannot set A and D (SFS.9). */
	*out = (struct vendor_guest){.desc = d, .page_lg2 = 12, .levels = 4, .updates = d->iommu[0].vtd.coherent};
}

/* 9.7: P, R/W, U/S; bit 5 is A, bit 6 D. */
static uint64_t s1_node(const struct vendor_guest *g, uint64_t gpa)
{
	return gpa | (g->updates ? 0x07 : 0x27);
}

static uint64_t s1_leaf(const struct vendor_guest *g, uint64_t gpa, unsigned int prot)
{
	return gpa | (g->updates ? 0x05 : 0x65) | (prot & HW_WRITE ? 2u : 0u);
}

static void put(struct vendor_blob *out, uint32_t type, const void *p, uint32_t len)
{
	out->type = type;
	out->len = len;
	out->n = 1;
	memcpy(out->bytes, p, len);
}

static bool s1_blob(const struct vendor_guest *g, enum vendor_s1 how, uint64_t root, void *page, uint64_t page_gpa,
		    struct vendor_blob *out)
{
	const struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = root, .addr_width = 48};

	(void)g;
	(void)page;
	(void)page_gpa;
	if (how != V_S1_TABLE)
		return false;
	put(out, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1));
	return true;
}

static void inv_blob(const struct vendor_guest *g, uint64_t root, uint64_t va, uint64_t npages, bool leaf,
		     struct vendor_blob *out)
{
	const struct iommu_hwpt_vtd_s1_invalidate inv = {
		.addr = va, .npages = npages, .flags = leaf ? IOMMU_VTD_INV_FLAGS_LEAF : 0u};

	(void)g;
	(void)root;
	put(out, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv));
}

static bool faults_wait(const struct nb_desc *d)
{
	return d->iommu[0].vtd.page_requests;
}

/* A page request message; the function's own switch is the driver's. */
static bool ask_page(const struct nb_desc *d, struct hw_iommu *hw, uint16_t rid, uint64_t addr)
{
	static const struct hw_page_request as = {.pasid = NB_NO_PASID, .prgi = 7, .access = HW_READ, .last = true};
	struct hw_page_request pr = as;

	if (!faults_wait(d))
		return false;
	pr.rid = rid;
	pr.addr = addr;
	hw->ops->page_request(hw, &pr);
	return true;
}

/* 6.5.3.3: P is cleared, caches are invalidated, then the entry is written anew. */
static bool hitless(enum vendor_kind from, enum vendor_kind to, bool same)
{
	(void)from;
	(void)to;
	(void)same;
	return false;
}

const struct vendor vendor_vtd = {
	.name = "vtd",
	.conf = conf,
	.nconfs = ARRAY_SIZE(conf),
	.drv = &drv_vtd_ops,
	.boot = boot,
	.guest = guest,
	.s1_node = s1_node,
	.s1_leaf = s1_leaf,
	.s1_blob = s1_blob,
	.inv_blob = inv_blob,
	.faults_wait = faults_wait,
	.ask_page = ask_page,
	.hitless = hitless,
};
