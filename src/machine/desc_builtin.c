/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hosts that need no file.
 *
 * Those with VT-d are the same two-socket board: one unit per socket, an NVMe disk and a test engine behind
 * each, every function in an IOMMU group of its own. They differ in what the units can do. Those with SMMUs are alike, but for the number
 * of units.
 */
#include "machine/desc_vendor.h"

#include <stddef.h>
#include <string.h>

/* Widths and features as the capability registers of Sapphire Rapids report them. */
#define SCALABLE_UNIT                                                                                         \
	.haw = 52, .mgaw = 57, .nd_lg2 = 16, .pasid_bits = 20, .levels5 = true, .scalable = true,             \
	.first_stage = true, .second_stage = true, .nested = true, .pass_through = true, .fs_1g = true,       \
	.ss_2m = true, .ss_1g = true, .supervisor = true, .device_tlb = true, .fault_records = 8,             \
	.no_write_flag = true, .rid_pasid = true, .page_requests = true, .intr_remap = true, .x2apic = true,  \
	.pmr_low = true, .pmr_high = true
#define SPR_UNIT SCALABLE_UNIT, .coherent = true, .snoop_control = true, .ss_dirty = true, .ext_access = true

/* As the units of client parts whose walks go past the caches. */
#define INCOHERENT_UNIT SCALABLE_UNIT, .coherent = false

/* Before scalable mode: second-stage tables of four levels, found through legacy context entries; 8-bit APIC ids. */
#define LEGACY_UNIT                                                                                           \
	.haw = 48, .mgaw = 48, .nd_lg2 = 16, .second_stage = true, .pass_through = true, .ss_2m = true,       \
	.ss_1g = true, .coherent = true, .snoop_control = true, .fault_records = 8, .device_tlb = true,       \
	.intr_remap = true, .pmr_low = true, .pmr_high = true

#define BOARD(...)                                                                                            \
	.magic = NB_DESC_MAGIC, .size = sizeof(struct nb_desc), .niommus = 2, .nfunctions = 4,                \
	.iommu = {{.name = "dmar0", .vendor = NB_DESC_VTD, .vtd = {__VA_ARGS__}},                             \
		  {.name = "dmar1", .vendor = NB_DESC_VTD, .vtd = {__VA_ARGS__}}},                            \
	.function = {{.rid = 0x0100, .iommu = 0, .group = 0, .model = "nvme"},                                \
		     {.rid = 0x0200, .iommu = 0, .group = 1, .model = "dmatest"},                             \
		     {.rid = 0x8100, .iommu = 1, .group = 2, .model = "nvme"},                                \
		     {.rid = 0x8200, .iommu = 1, .group = 3, .model = "dmatest"}}

static const struct nb_desc spr = {
	.name = "spr",
	.title = "Sapphire Rapids-like: scalable VT-d, nesting, erratum 772415",
	BOARD(SPR_UNIT, .erratum_772415 = true),
};

const struct nb_desc desc_spr_fixed = {
	.name = "spr-fixed",
	.title = "as spr, without erratum 772415",
	BOARD(SPR_UNIT),
};

static const struct nb_desc legacy = {
	.name = "legacy",
	.title = "VT-d without scalable mode: no first stage, no nesting, no PASID",
	BOARD(LEGACY_UNIT),
};

static const struct nb_desc incoherent = {
	.name = "incoherent",
	.title = "as spr-fixed, but table walks do not snoop the caches",
	BOARD(INCOHERENT_UNIT),
};

/* As the SMMUs of an Nvidia Grace, with what its stage 1 and 2 lack of 52-bit addresses. */
#define GRACE_UNIT                                                                                            \
	.oas = 52, .vax52 = true, .ds = true, .s1 = true, .s2 = true, .asid16 = true, .vmid16 = true,         \
	.gran4k = true, .gran16k = true, .gran64k = true, .sid_bits = 16, .ssid_bits = 20, .cmdq_bits = 19,   \
	.evtq_bits = 19, .priq_bits = 19, .st_2level = true, .cd_2level = true, .httu = 2, .ats = true,       \
	.hyp = true, .msi = true, .sev = true, .coherent = true, .ril = true, .bbml = 2, .had = true,         \
	.stt = true, .xnx = true, .attr_ovr = true, .cmdqv = true

/* The least that Linux's driver is content with and that can nest. */
#define BASIC_UNIT                                                                                            \
	.oas = 48, .s1 = true, .s2 = true, .gran4k = true, .sid_bits = 16, .cmdq_bits = 8, .evtq_bits = 7,    \
	.coherent = true, .msi = true, .stall_model = 1, .no_term_model = true

const struct nb_desc desc_grace = {
	.name = "grace",
	.title = "Grace-like: three SMMUv3 with nesting, ATS, 52-bit addresses, CMDQV",
	.magic = NB_DESC_MAGIC, .size = sizeof(struct nb_desc), .niommus = 3, .nfunctions = 6,
	.iommu = {{.name = "smmu0", .vendor = NB_DESC_SMMUV3, .smmuv3 = {GRACE_UNIT}},
		  {.name = "smmu1", .vendor = NB_DESC_SMMUV3, .smmuv3 = {GRACE_UNIT}},
		  {.name = "smmu2", .vendor = NB_DESC_SMMUV3, .smmuv3 = {GRACE_UNIT}}},
	.function = {{.rid = 0x0100, .iommu = 0, .group = 0, .model = "nvme"},
		     {.rid = 0x0200, .iommu = 0, .group = 1, .model = "dmatest"},
		     {.rid = 0x4100, .iommu = 1, .group = 2, .model = "nvme"},
		     {.rid = 0x4200, .iommu = 1, .group = 3, .model = "dmatest"},
		     {.rid = 0x8100, .iommu = 2, .group = 4, .model = "nvme"},
		     {.rid = 0x8200, .iommu = 2, .group = 5, .model = "dmatest"}},
};

static const struct nb_desc smmu_basic = {
	.name = "smmu-basic",
	.title = "one plain SMMUv3: two stages of 48 bits, no ATS, no PASID, no stalls",
	.magic = NB_DESC_MAGIC, .size = sizeof(struct nb_desc), .niommus = 1, .nfunctions = 2,
	.iommu = {{.name = "smmu0", .vendor = NB_DESC_SMMUV3, .smmuv3 = {BASIC_UNIT}}},
	.function = {{.rid = 0x0100, .iommu = 0, .group = 0, .model = "nvme"},
		     {.rid = 0x0200, .iommu = 0, .group = 1, .model = "dmatest"}},
};

const struct nb_desc *const nb_desc_builtin[] = {&spr,	      &desc_spr_fixed,	&legacy, &incoherent,
						 &desc_grace, &smmu_basic, NULL};

const struct nb_desc *nb_desc_find(const char *name)
{
	const struct nb_desc *const *d;

	for (d = nb_desc_builtin; *d; d++)
		if (strcmp((*d)->name, name) == 0)
			return *d;
	return NULL;
}
