/* SPDX-License-Identifier: BSD-3-Clause */
/* From a description's words to the model's capability structure. */
#include "machine/desc_vtd.h"

void desc_vtd_caps(const struct nb_desc_vtd *v, struct vtd_caps *out)
{
	*out = (struct vtd_caps){
		.haw = v->haw,
		.mgaw = v->mgaw,
		.nd_lg2 = v->nd_lg2,
		.pasid_bits = v->pasid_bits,
		.levels5 = v->levels5,
		.scalable = v->scalable,
		.first_stage = v->first_stage,
		/* ECAP's bit is about scalable mode; without it there is nothing but second-stage tables. */
		.second_stage = v->second_stage && v->scalable,
		.nested = v->nested,
		.pass_through = v->pass_through,
		.fs_1g = v->fs_1g,
		.ss_2m = v->ss_2m,
		.ss_1g = v->ss_1g,
		.coherent = v->coherent,
		.snoop_control = v->snoop_control,
		.ss_dirty = v->ss_dirty,
		.ext_access = v->ext_access,
		.supervisor = v->supervisor,
		.exec_request = v->exec_request,
		.device_tlb = v->device_tlb,
		.caching_mode = v->caching_mode,
		.write_buffer_flush = v->write_buffer_flush,
		.fault_records = v->fault_records,
		.page_requests = v->page_requests,
		/* These two say nothing where what they refine is off. */
		.no_write_flag = v->no_write_flag && v->device_tlb,
		.rid_pasid = v->rid_pasid && v->scalable,
		.intr_remap = v->intr_remap,
		.x2apic = v->x2apic,
		.pmr_low = v->pmr_low,
		.pmr_high = v->pmr_high,
	};
}
