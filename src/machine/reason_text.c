/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/reason_text.h"

#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "spec/smmuv3/events.h"
#include "spec/vtd/faults.h"

/* VT-d 7.1.3: our words for the conditions of its tables. */
static const char *const vtd[] = {
	[VTD_FR_ROOT_NP] = "the root entry is not present",
	[VTD_FR_CTX_NP] = "the context entry is not present",
	[VTD_FR_CTX_INV] = "the context entry asks for what the unit cannot do, or its table is not readable",
	[VTD_FR_ADDR_WIDE] = "the address is wider than the second stage",
	[VTD_FR_NO_WRITE] = "the second stage does not permit the write",
	[VTD_FR_NO_READ] = "the second stage does not permit the read",
	[VTD_FR_SS_FETCH] = "a second-stage table is not readable",
	[VTD_FR_ROOT_FETCH] = "the root table is not readable",
	[VTD_FR_CTX_FETCH] = "the context table is not readable",
	[VTD_FR_ROOT_RSVD] = "the root entry has reserved bits set",
	[VTD_FR_CTX_RSVD] = "the context entry has reserved bits set",
	[VTD_FR_SS_RSVD] = "a second-stage entry has reserved bits set",
	[VTD_FR_ATS_BLOCKED] = "the context entry blocks translated and translation requests",
	[VTD_FR_INTR_OUT] = "the translation leads into the interrupt address range",
	[VTD_FR_IR_RSVD] = "an interrupt message with reserved bits set",
	[VTD_FR_IR_INDEX] = "an interrupt message with an index beyond the table",
	[VTD_FR_IRTE_NP] = "the interrupt remapping entry is not present",
	[VTD_FR_IRTE_FETCH] = "the interrupt remapping entry could not be read",
	[VTD_FR_IRTE_RSVD] = "the interrupt remapping entry has reserved bits set",
	[VTD_FR_IR_COMPAT] = "an interrupt message in compatibility format, which is blocked",
	[VTD_FR_IR_SID] = "the interrupt remapping entry is for another source",
	[VTD_FR_IR_NO_MSG] = "a request to the interrupt address range that is no interrupt message",
	[VTD_FR_RTADDR_INV] = "the root table address register holds a mode that the unit does not have",
	[VTD_FR_PASID_LEGACY] = "a request with PASID in legacy mode",
	[VTD_FR_PREQ_LEGACY] = "a page request in legacy mode",
	[VTD_FR_ABORT_MODE] = "the unit aborts all DMA",
	[VTD_FR_SROOT_FETCH] = "the root table is not readable",
	[VTD_FR_SROOT_NP] = "the root entry is not present",
	[VTD_FR_SROOT_RSVD] = "the root entry has reserved bits set",
	[VTD_FR_SCTX_FETCH] = "the context table is not readable",
	[VTD_FR_SCTX_NP] = "the context entry is not present",
	[VTD_FR_SCTX_RSVD] = "the context entry has reserved bits set",
	[VTD_FR_SCTX_INV] = "the context entry contradicts itself",
	[VTD_FR_SCTX_DTE] = "the context entry does not enable a device TLB",
	[VTD_FR_SCTX_PASIDE] = "the context entry does not enable PASIDs",
	[VTD_FR_PASID_WIDE] = "the PASID is beyond the directory",
	[VTD_FR_SCTX_PRE] = "the context entry does not enable page requests",
	[VTD_FR_RID_PASID] = "the PASID is the one that stands for requests without",
	[VTD_FR_PDIR_FETCH] = "the PASID directory is not readable",
	[VTD_FR_PDIR_NP] = "the PASID directory entry is not present",
	[VTD_FR_PDIR_RSVD] = "the PASID directory entry has reserved bits set",
	[VTD_FR_PASID_FETCH] = "the PASID table is not readable",
	[VTD_FR_PASID_NP] = "the PASID entry is not present: nothing is attached",
	[VTD_FR_PASID_RSVD] = "the PASID entry has reserved bits set",
	[VTD_FR_PASID_INV] = "the PASID entry asks for what the unit cannot do",
	[VTD_FR_PASID_ERE] = "the PASID entry does not enable execute requests",
	[VTD_FR_PASID_SRE] = "the PASID entry does not enable supervisor requests",
	[VTD_FR_FS_FETCH] = "a first-stage table is not readable",
	[VTD_FR_FS_NP] = "a first-stage entry is not present",
	[VTD_FR_FS_RSVD] = "a first-stage entry has reserved bits set",
	[VTD_FR_FS_ROOT_FETCH] = "the first first-stage table is not readable",
	[VTD_FR_FS_GPA_WIDE] = "a first-stage entry leads beyond the second stage",
	[VTD_FR_FS_ROOT_NO_READ] = "the second stage does not permit reading the first first-stage table",
	[VTD_FR_FS_NO_READ] = "the second stage does not permit reading a first-stage table",
	[VTD_FR_FS_NO_AD] = "the second stage does not permit marking a first-stage entry accessed or dirty",
	[VTD_FR_FS_AD_NO_SNOOP] = "a first-stage entry cannot be marked accessed or dirty: it is not snooped",
	[VTD_FR_FS_AD_FAILED] = "a first-stage entry could not be marked accessed or dirty",
	[VTD_FR_SSS_FETCH] = "a second-stage table is not readable",
	[VTD_FR_SSS_NO_PERM] = "a second-stage entry is not present: nothing is mapped there",
	[VTD_FR_SSS_RSVD] = "a second-stage entry has reserved bits set",
	[VTD_FR_SSS_ROOT_FETCH] = "the first second-stage table is not readable",
	[VTD_FR_SSS_AD_NO_SNOOP] = "a second-stage entry cannot be marked accessed or dirty: it is not snooped",
	[VTD_FR_SSS_AD_FAILED] = "a second-stage entry could not be marked accessed or dirty",
	[VTD_FR_NOT_CANONICAL] = "the address is not canonical",
	[VTD_FR_US] = "a user request to a supervisor page",
	[VTD_FR_NO_EXEC] = "the page may not be executed",
	[VTD_FR_HPA_WIDE] = "the address is wider than the host's",
	[VTD_FR_SS_ADDR_WIDE] = "the address is wider than the second stage",
	[VTD_FR_SNO_WRITE] = "the tables do not permit the write",
	[VTD_FR_SNO_READ] = "the tables do not permit the read",
	[VTD_FR_SINTR_OUT] = "the translation leads into the interrupt address range",
	[VTD_FR_PSS] = "the PASID is wider than the unit takes",
};

/* IHI 0070 7.3: our words for its events. */
static const char *const smmuv3[] = {
	[0] = "the stream table entry says that everything is aborted: nothing is attached",
	[SMMU_EVT_UUT] = "a kind of transaction that the SMMU does not take",
	[SMMU_EVT_BAD_STREAMID] = "the stream table has no entry for this StreamID",
	[SMMU_EVT_STE_FETCH] = "the stream table is not readable",
	[SMMU_EVT_BAD_STE] = "the stream table entry is not valid, or asks for what the SMMU cannot do",
	[SMMU_EVT_BAD_ATS_TREQ] = "a translation request that the stream table entry does not allow",
	[SMMU_EVT_STREAM_DISABLED] = "the stream table entry does not allow requests without SubstreamID, or with SubstreamID 0",
	[SMMU_EVT_TRANSL_FORBIDDEN] = "a translated request that the stream table entry does not allow",
	[SMMU_EVT_BAD_SUBSTREAMID] = "the SubstreamID is beyond the context descriptors, or there are none",
	[SMMU_EVT_CD_FETCH] = "the context descriptor is not readable",
	[SMMU_EVT_BAD_CD] = "the context descriptor is not valid, or asks for what the SMMU cannot do",
	[SMMU_EVT_WALK_EABT] = "a translation table is not readable",
	[SMMU_EVT_TRANSLATION] = "nothing is mapped there, or the address is beyond the tables",
	[SMMU_EVT_ADDR_SIZE] = "a descriptor leads to an address that is too wide, or with stage 1 bypassed the request does",
	[SMMU_EVT_ACCESS] = "a page that was never accessed, and the SMMU may not mark it",
	[SMMU_EVT_PERMISSION] = "the tables do not permit the access",
	[SMMU_EVT_TLB_CONFLICT] = "two TLB entries contradict each other",
	[SMMU_EVT_CFG_CONFLICT] = "two cached stream table entries contradict each other",
	[SMMU_EVT_PAGE_REQUEST] = "a hint that a page will be used",
	[SMMU_EVT_VMS_FETCH] = "the virtual machine structure is not readable",
};

/* Their names in the manual. */
static const char *const smmuv3_names[] = {
	[SMMU_EVT_UUT] = "F_UUT",
	[SMMU_EVT_BAD_STREAMID] = "C_BAD_STREAMID",
	[SMMU_EVT_STE_FETCH] = "F_STE_FETCH",
	[SMMU_EVT_BAD_STE] = "C_BAD_STE",
	[SMMU_EVT_BAD_ATS_TREQ] = "F_BAD_ATS_TREQ",
	[SMMU_EVT_STREAM_DISABLED] = "F_STREAM_DISABLED",
	[SMMU_EVT_TRANSL_FORBIDDEN] = "F_TRANSL_FORBIDDEN",
	[SMMU_EVT_BAD_SUBSTREAMID] = "C_BAD_SUBSTREAMID",
	[SMMU_EVT_CD_FETCH] = "F_CD_FETCH",
	[SMMU_EVT_BAD_CD] = "C_BAD_CD",
	[SMMU_EVT_WALK_EABT] = "F_WALK_EABT",
	[SMMU_EVT_TRANSLATION] = "F_TRANSLATION",
	[SMMU_EVT_ADDR_SIZE] = "F_ADDR_SIZE",
	[SMMU_EVT_ACCESS] = "F_ACCESS",
	[SMMU_EVT_PERMISSION] = "F_PERMISSION",
	[SMMU_EVT_TLB_CONFLICT] = "F_TLB_CONFLICT",
	[SMMU_EVT_CFG_CONFLICT] = "F_CFG_CONFLICT",
	[SMMU_EVT_PAGE_REQUEST] = "E_PAGE_REQUEST",
	[SMMU_EVT_VMS_FETCH] = "F_VMS_FETCH",
};

const char *reason_text(const char *vendor, uint16_t reason)
{
	if (strcmp(vendor, "vtd") == 0 && reason < ARRAY_SIZE(vtd))
		return vtd[reason];
	if (strcmp(vendor, "smmuv3") == 0 && reason < ARRAY_SIZE(smmuv3))
		return smmuv3[reason];
	return NULL;
}

const char *reason_name(const char *vendor, uint16_t reason)
{
	if (strcmp(vendor, "smmuv3") == 0 && reason < ARRAY_SIZE(smmuv3_names))
		return smmuv3_names[reason];
	return NULL;
}
