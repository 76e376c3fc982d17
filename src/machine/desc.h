/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host description: which IOMMUs and which PCI functions the virtual host has.
 *
 * Plain data without pointers: the launcher reads and checks YAML and hands the result to the
 * preloaded library as these bytes, so that no YAML code is loaded into strangers.
 */
#ifndef NB_MACHINE_DESC_H
#define NB_MACHINE_DESC_H

#include <stdbool.h>
#include <stdint.h>

#define NB_DESC_MAGIC 0x7a5b0002u
#define NB_DESC_MAX_IOMMUS 8
#define NB_DESC_MAX_FUNCTIONS 64
#define NB_DESC_MAX_OPTIONS 8
#define NB_DESC_MAX_RMRRS 4

enum nb_desc_vendor { NB_DESC_VTD = 1, NB_DESC_SMMUV3 = 2 };

/* What a VT-d unit can do; the capability registers are made from this (hw/vtd/caps.h says how). */
struct nb_desc_vtd {
	uint8_t haw;		/* host address width: 47..52, since addresses of a process are the host's */
	uint8_t mgaw;		/* guest address width of the second stage: 39, 48, 57 */
	uint8_t nd_lg2;		/* log2 of the number of domain ids: 4, 6, 8, 10, 12, 14, 16 */
	uint8_t pasid_bits;	/* 0: no PASID; else 1..20 */
	bool levels5;		/* 5-level second and first stage */
	bool scalable, first_stage, second_stage, nested, pass_through;
	bool fs_1g, ss_2m, ss_1g;
	bool coherent;		/* page walks snoop (C and SMPWC) */
	bool snoop_control;
	bool ss_dirty;		/* second-stage accessed/dirty (SLADS) */
	bool ext_access;	/* EAFS */
	bool supervisor;	/* SRS */
	bool exec_request;	/* ERS */
	bool device_tlb;	/* DT: ATS */
	bool caching_mode, write_buffer_flush;
	uint8_t fault_records;	/* 1..64 */
	bool erratum_772415;
	bool page_requests;	/* PRS, PDS: needs device_tlb */
	bool no_write_flag;	/* NWFS: needs device_tlb */
	bool rid_pasid;		/* RPS */
	bool intr_remap, x2apic; /* IR, EIM */
	bool pmr_low, pmr_high;	/* protected memory regions */
};

/*
 * What an SMMUv3 can do. Members are those of struct smmu_caps (hw/smmuv3/caps.h), which says what they mean, but for
 * *_bits of the queues (CMDQS and so on) and cmdqv.
 */
struct nb_desc_smmuv3 {
	uint32_t iidr;
	uint8_t oas; /* 48 or 52, since addresses of a process are the host's */
	uint8_t sid_bits, ssid_bits;
	uint8_t cmdq_bits, evtq_bits, priq_bits;
	uint8_t httu, stall_model, stall_max, bbml, minor;
	bool s1, s2, asid16, vmid16;
	bool gran4k, gran16k, gran64k, vax52, ds;
	bool st_2level, cd_2level;
	bool ats, pri, ns1ats, ats_rec_err, pasidtt, pps;
	bool hyp, msi, sev, coherent, ril;
	bool had, stt, fwb, xnx, e0pd, epan, attr_ovr;
	bool no_term_model, big_endian, vmw, ptwnnc;
	bool ecmdq;
	bool cmdqv; /* a Tegra241 CMDQV beside it */
	bool guest_msi; /* the host lets guests bind messages: uapi/nestbox.h. Not the unit's, but of what is behind it */
};

struct nb_desc_iommu {
	char name[32];
	uint32_t vendor; /* enum nb_desc_vendor: which part counts */
	uint32_t segment;
	union {
		struct nb_desc_vtd vtd;
		struct nb_desc_smmuv3 smmuv3;
	};
};

struct nb_desc_option {
	char key[32], value[224];
};

/* Memory that firmware reserved for a function, which uses it whatever the operating system does. */
struct nb_desc_rmrr {
	uint64_t base, size; /* multiples of 4 KiB */
};

struct nb_desc_function {
	uint16_t segment, rid;
	uint8_t iommu; /* index */
	uint8_t noptions;
	uint32_t group;
	char model[32];
	struct nb_desc_option option[NB_DESC_MAX_OPTIONS];
	uint8_t nrmrrs;
	struct nb_desc_rmrr rmrr[NB_DESC_MAX_RMRRS];
};

struct nb_desc {
	uint32_t magic, size; /* NB_DESC_MAGIC, sizeof(struct nb_desc) */
	char name[32], title[96];
	uint32_t niommus, nfunctions;
	struct nb_desc_iommu iommu[NB_DESC_MAX_IOMMUS];
	struct nb_desc_function function[NB_DESC_MAX_FUNCTIONS];
};

/* Built-in descriptions, null-terminated array of pointers. First: "spr". */
extern const struct nb_desc *const nb_desc_builtin[];
const struct nb_desc *nb_desc_find(const char *name);

struct nb_diag;
/*
 * Check what a reader of the description relies on: names unique, addresses unique, indices in range, capabilities that
 * the model has and that fit together, models known, options valid. 0 or -EINVAL with the reason. `what` (may be null) gets the index of
 * the offending item as "iommus[1]", "iommus[1].capabilities" (the reason then names keys) or "functions[3]", so that a YAML reader can
 * name the line.
 */
int nb_desc_check(const struct nb_desc *d, char what[32], struct nb_diag *diag);

#endif
