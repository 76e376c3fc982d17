/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/vtd/caps.h"

#include <errno.h>

#include "spec/vtd/regs.h"

void vtd_caps_all(struct vtd_caps *c)
{
	*c = (struct vtd_caps){
		.haw = 52,
		.mgaw = 57,
		.nd_lg2 = 16,
		.pasid_bits = 20,
		.levels5 = true,
		.scalable = true,
		.first_stage = true,
		.second_stage = true,
		.nested = true,
		.pass_through = true,
		.fs_1g = true,
		.ss_2m = true,
		.ss_1g = true,
		.coherent = true,
		.snoop_control = true,
		.ss_dirty = true,
		.ext_access = true,
		.supervisor = true,
		.device_tlb = true,
		.page_requests = true,
		.dev_tlb_throttle = true,
		.no_write_flag = true,
		.intr_remap = true,
		.x2apic = true,
		.pmr_low = true,
		.pmr_high = true,
		.fault_records = 8,
		.rid_pasid = true,
		.rid_priv = true,
		.abort_mode = true,
	};
}

int vtd_caps_check(const struct vtd_caps *c, struct nb_diag *diag)
{
	if (c->haw < 32 || c->haw > 52)
		return nb_fail(diag, -EINVAL, "VT-d: host address width %u is not in 32..52", c->haw);
	if (c->mgaw < 30 || c->mgaw > 57)
		return nb_fail(diag, -EINVAL, "VT-d: guest address width %u is not in 30..57", c->mgaw);
	if (c->nd_lg2 < 4 || c->nd_lg2 > 16 || c->nd_lg2 % 2 != 0)
		return nb_fail(diag, -EINVAL, "VT-d: domain ids of %u bits (4, 6, ... 16 exist)", c->nd_lg2);
	if (c->pasid_bits > 20)
		return nb_fail(diag, -EINVAL, "VT-d: PASIDs of %u bits (20 is the most)", c->pasid_bits);
	if (c->fault_records < 1 || c->fault_records > 64)
		return nb_fail(diag, -EINVAL, "VT-d: %u fault records (1 to 64)", c->fault_records);
	if ((c->sagaw & ~0x0eu) != 0)
		return nb_fail(diag, -EINVAL, "VT-d: SAGAW %#x names widths that do not exist", c->sagaw);
	if (!c->scalable && (c->first_stage || c->second_stage || c->nested || c->pasid_bits || c->supervisor ||
			     c->exec_request || c->ext_access || c->ss_dirty || c->rid_pasid || c->rid_priv))
		return nb_fail(diag, -EINVAL, "VT-d: a feature of scalable mode without scalable mode");
	if (c->nested && !(c->first_stage && c->second_stage))
		return nb_fail(diag, -EINVAL, "VT-d: nested translation needs both stages");
	if (c->fs_1g && !c->first_stage)
		return nb_fail(diag, -EINVAL, "VT-d: first-stage 1 GiB pages without first-stage translation");
	if (c->ss_1g && !c->ss_2m)
		return nb_fail(diag, -EINVAL, "VT-d: second-stage 1 GiB pages without 2 MiB pages");
	if ((c->c_only || c->smpwc_only) && (c->coherent || !c->scalable || (c->c_only && c->smpwc_only)))
		return nb_fail(diag, -EINVAL, "VT-d: C and SMPWC differ, and yet they do not");
	if ((c->ss_dirty || c->ext_access) && !vtd_caps_smpwc(c))
		return nb_fail(diag, -EINVAL, "VT-d: accessed and dirty bits need coherent page walks");
	if (c->rid_priv && !c->supervisor)
		return nb_fail(diag, -EINVAL, "VT-d: RID_PRIV without supervisor requests");
	if (c->page_requests && !c->device_tlb)
		return nb_fail(diag, -EINVAL, "VT-d: page requests without device-TLB support");
	if (c->page_requests && !c->scalable)
		return nb_fail(diag, -EINVAL, "VT-d: page requests without scalable mode");
	if ((c->x2apic || c->esirtps) && !c->intr_remap)
		return nb_fail(diag, -EINVAL, "VT-d: a feature of interrupt remapping without interrupt remapping");
	if (c->dev_tlb_throttle && !c->device_tlb)
		return nb_fail(diag, -EINVAL, "VT-d: device-TLB throttling without device-TLB support");
	if (c->mamv > 52)
		return nb_fail(diag, -EINVAL, "VT-d: address masks of %u bits", c->mamv);
	return 0;
}

bool vtd_caps_smpwc(const struct vtd_caps *c)
{
	return (c->coherent && c->scalable) || c->smpwc_only;
}

uint8_t vtd_caps_sagaw(const struct vtd_caps *c)
{
	if (c->sagaw)
		return c->sagaw;
	return (uint8_t)((c->mgaw >= 39 ? 2 : 0) | (c->mgaw >= 48 ? 4 : 0) | (c->mgaw >= 57 && c->levels5 ? 8 : 0));
}

uint8_t vtd_caps_mamv(const struct vtd_caps *c)
{
	return c->mamv ? c->mamv : 18;
}

uint8_t vtd_caps_widest(const struct vtd_caps *c)
{
	uint8_t s = vtd_caps_sagaw(c);

	if ((s & 8) || (c->first_stage && c->levels5))
		return 57;
	return (s & 4) || c->first_stage ? 48 : 39;
}

uint64_t vtd_caps_cap(const struct vtd_caps *c)
{
	return FIELD(VTD_CAP_ND, (c->nd_lg2 - 4u) / 2) | (c->write_buffer_flush ? VTD_CAP_RWBF : 0) |
	       (c->caching_mode ? VTD_CAP_CM : 0) | FIELD(VTD_CAP_SAGAW, vtd_caps_sagaw(c)) |
	       FIELD(VTD_CAP_MGAW, c->mgaw - 1u) | VTD_CAP_ZLR | FIELD_C(VTD_CAP_FRO, VTD_FRCD_AT / 16) |
	       (c->ss_2m ? VTD_CAP_SSLPS_2M : 0) | (c->ss_1g ? VTD_CAP_SSLPS_1G : 0) |
	       (c->no_page_selective ? 0 : VTD_CAP_PSI) | FIELD(VTD_CAP_NFR, c->fault_records - 1u) |
	       FIELD(VTD_CAP_MAMV, vtd_caps_mamv(c)) | VTD_CAP_DWD | VTD_CAP_DRD |
	       (c->fs_1g ? VTD_CAP_FS1GP : 0) | (c->first_stage && c->levels5 ? VTD_CAP_FS5LP : 0) |
	       (c->pmr_low ? VTD_CAP_PLMR : 0) | (c->pmr_high ? VTD_CAP_PHMR : 0) |
	       (c->esirtps ? VTD_CAP_ESIRTPS : 0) | (c->esrtps ? VTD_CAP_ESRTPS : 0);
}

uint64_t vtd_caps_ecap(const struct vtd_caps *c)
{
	return (c->coherent || c->c_only ? VTD_ECAP_C : 0) | VTD_ECAP_QI | (c->device_tlb ? VTD_ECAP_DT : 0) |
	       (c->pass_through ? VTD_ECAP_PT : 0) | (c->snoop_control ? VTD_ECAP_SC : 0) |
	       FIELD_C(VTD_ECAP_IRO, VTD_IOTLB_AT / 16) | (c->nested ? VTD_ECAP_NEST : 0) |
	       (c->exec_request ? VTD_ECAP_ERS : 0) | (c->supervisor ? VTD_ECAP_SRS : 0) |
	       (c->ext_access ? VTD_ECAP_EAFS : 0) | FIELD(VTD_ECAP_PSS, c->pasid_bits ? c->pasid_bits - 1u : 0) |
	       (c->pasid_bits ? VTD_ECAP_PASID : 0) | (c->scalable ? VTD_ECAP_SMTS : 0) |
	       (c->ss_dirty ? VTD_ECAP_SSADS : 0) | (c->second_stage ? VTD_ECAP_SSTS : 0) |
	       (c->first_stage ? VTD_ECAP_FSTS : 0) | (vtd_caps_smpwc(c) ? VTD_ECAP_SMPWC : 0) |
	       (c->rid_pasid ? VTD_ECAP_RPS : 0) | (c->abort_mode ? VTD_ECAP_ADMS : 0) |
	       (c->page_requests ? VTD_ECAP_PRS | VTD_ECAP_PDS : 0) | (c->intr_remap ? VTD_ECAP_IR : 0) |
	       (c->x2apic ? VTD_ECAP_EIM : 0) | (c->intr_remap ? FIELD_C(VTD_ECAP_MHMV, 15) : 0) |
	       (c->dev_tlb_throttle ? VTD_ECAP_DIT : 0) | (c->device_tlb && c->no_write_flag ? VTD_ECAP_NWFS : 0) | (c->rid_priv ? VTD_ECAP_RPRIVS : 0);
}

void vtd_caps_from_regs(uint64_t cap, uint64_t ecap, uint8_t haw, struct vtd_caps *out)
{
	bool sm = ecap & VTD_ECAP_SMTS;
	uint64_t nfr = FIELD_GET(VTD_CAP_NFR, cap) + 1, nd = FIELD_GET(VTD_CAP_ND, cap), pss = FIELD_GET(VTD_ECAP_PSS, ecap) + 1;

	*out = (struct vtd_caps){
		.haw = haw,
		.mgaw = (uint8_t)(FIELD_GET(VTD_CAP_MGAW, cap) + 1),
		.nd_lg2 = (uint8_t)(4 + 2 * (nd > 6 ? 6 : nd)),
		.pasid_bits = sm && (ecap & VTD_ECAP_PASID) ? (uint8_t)(pss > 20 ? 20 : pss) : 0,
		.levels5 = cap & VTD_CAP_FS5LP,
		.scalable = sm,
		.first_stage = sm && (ecap & VTD_ECAP_FSTS),
		.second_stage = sm && (ecap & VTD_ECAP_SSTS),
		.nested = sm && (ecap & VTD_ECAP_NEST),
		.pass_through = ecap & VTD_ECAP_PT,
		.fs_1g = cap & VTD_CAP_FS1GP,
		.ss_2m = cap & VTD_CAP_SSLPS_2M,
		.ss_1g = cap & VTD_CAP_SSLPS_1G,
		.coherent = (ecap & VTD_ECAP_C) && (!sm || (ecap & VTD_ECAP_SMPWC)),
		.c_only = sm && (ecap & VTD_ECAP_C) && !(ecap & VTD_ECAP_SMPWC),
		.smpwc_only = sm && !(ecap & VTD_ECAP_C) && (ecap & VTD_ECAP_SMPWC),
		.snoop_control = ecap & VTD_ECAP_SC,
		.ss_dirty = sm && (ecap & VTD_ECAP_SSADS),
		.ext_access = sm && (ecap & VTD_ECAP_EAFS),
		.supervisor = sm && (ecap & VTD_ECAP_SRS),
		.exec_request = sm && (ecap & VTD_ECAP_ERS),
		.device_tlb = ecap & VTD_ECAP_DT,
		.caching_mode = cap & VTD_CAP_CM,
		.write_buffer_flush = cap & VTD_CAP_RWBF,
		.fault_records = (uint8_t)(nfr > 64 ? 64 : nfr),
		.rid_pasid = sm && (ecap & VTD_ECAP_RPS),
		.rid_priv = sm && (ecap & VTD_ECAP_RPRIVS),
		.abort_mode = ecap & VTD_ECAP_ADMS,
		.esrtps = cap & VTD_CAP_ESRTPS,
		.page_requests = sm && (ecap & VTD_ECAP_DT) && (ecap & VTD_ECAP_PRS),
		.intr_remap = ecap & VTD_ECAP_IR,
		.x2apic = (ecap & VTD_ECAP_IR) && (ecap & VTD_ECAP_EIM),
		.pmr_low = cap & VTD_CAP_PLMR,
		.pmr_high = cap & VTD_CAP_PHMR,
		.esirtps = (ecap & VTD_ECAP_IR) && (cap & VTD_CAP_ESIRTPS),
		.no_write_flag = (ecap & VTD_ECAP_DT) && (ecap & VTD_ECAP_NWFS),
		.dev_tlb_throttle = (ecap & VTD_ECAP_DT) && (ecap & VTD_ECAP_DIT),
		.no_page_selective = !(cap & VTD_CAP_PSI),
		.sagaw = (uint8_t)(FIELD_GET(VTD_CAP_SAGAW, cap) & 0x0e),
		.mamv = (uint8_t)FIELD_GET(VTD_CAP_MAMV, cap),
	};
}
