/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a VT-d unit can do: the one structure from which CAP and ECAP are made and which every check
 * reads, so that what the unit advertises and what it refuses cannot drift apart.
 *
 * Zero is a sensible value of each field of the second group.
 */
#ifndef NB_HW_VTD_CAPS_H
#define NB_HW_VTD_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct vtd_caps {
	/* as in struct nb_desc_vtd */
	uint8_t haw;	    /* host address width: 32..52 */
	uint8_t mgaw;	    /* 39, 48 or 57 (any value from registers) */
	uint8_t nd_lg2;	    /* log2 of the number of domain ids: 4, 6, ... 16 */
	uint8_t pasid_bits; /* 0: no PASID */
	bool levels5;	    /* 5-level paging: FS5LP, and in SAGAW if MGAW has the room */
	bool scalable, first_stage, second_stage, nested, pass_through;
	bool fs_1g, ss_2m, ss_1g;
	bool coherent;	    /* C, and SMPWC with scalable mode */
	bool snoop_control;
	bool ss_dirty;
	bool ext_access;
	bool supervisor;
	bool exec_request;
	bool device_tlb;
	bool caching_mode, write_buffer_flush;
	uint8_t fault_records; /* 1..64 */
	bool page_requests;    /* PRS and PDS; stands on device_tlb */
	bool intr_remap;       /* IR */
	bool x2apic;	       /* EIM; stands on intr_remap */
	bool pmr_low, pmr_high; /* PLMR, PHMR: protected memory regions */

	/* beyond */
	bool c_only;	    /* when not coherent: C without SMPWC */
	bool smpwc_only;    /* when not coherent: SMPWC without C */
	bool rid_pasid;	    /* RPS: else RID_PASID is reserved and 0 is used */
	bool rid_priv;	    /* RPRIVS */
	bool abort_mode;    /* ADMS */
	bool esrtps;	    /* SRTP invalidates everything */
	bool esirtps;	    /* SIRTP invalidates the interrupt entry cache */
	bool dev_tlb_throttle; /* DIT: PFSID in device-TLB descriptors */
	bool no_write_flag; /* NWFS, with device_tlb: the No Write flag of translation requests is looked at */
	bool no_page_selective; /* PSI = 0 */
	uint8_t sagaw;	    /* CAP.SAGAW as it is; 0: all widths up to mgaw */
	uint8_t mamv;	    /* largest address mask; 0: 18 */
};

/* Everything the model can do, with 52-bit physical addresses. */
void vtd_caps_all(struct vtd_caps *c);

/* Values in range, and no feature without what it stands on. 0 or -EINVAL with the reason. */
int vtd_caps_check(const struct vtd_caps *c, struct nb_diag *diag);

uint64_t vtd_caps_cap(const struct vtd_caps *c);
uint64_t vtd_caps_ecap(const struct vtd_caps *c);
/* The reverse, as far as the model has the features; the host address width is in no register. */
void vtd_caps_from_regs(uint64_t cap, uint64_t ecap, uint8_t haw, struct vtd_caps *out);

/* ECAP.SMPWC: walks of tables behind PASID entries may snoop. */
bool vtd_caps_smpwc(const struct vtd_caps *c);
uint8_t vtd_caps_sagaw(const struct vtd_caps *c);
uint8_t vtd_caps_mamv(const struct vtd_caps *c);
/* Width of the widest address that a table of this unit takes: 39, 48 or 57. */
uint8_t vtd_caps_widest(const struct vtd_caps *c);

/* Where the model places the registers whose offset CAP and ECAP tell. */
#define VTD_IOTLB_AT 0x500
#define VTD_FRCD_AT  0x600
#define VTD_MMIO_SIZE 0x1000

#endif
