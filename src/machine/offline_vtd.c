/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rcu.h"
#include "hw/vtd/vtd.h"
#include "machine/offline_model.h"
#include "spec/vtd/regs.h"

#define HOST_ADDRESS_WIDTH 52 /* no register says it */

static int vtd_start(struct offline *o, const uint64_t *const reg[OFFLINE_MAX_NAMES], const uint64_t *const cap[OFFLINE_MAX_NAMES],
		     struct nb_diag *diag)
{
	const struct hw_ops *ops;
	struct vtd_caps caps;
	int err;

	vtd_caps_all(&caps);
	caps.exec_request = true; /* the model has them, though no unit that Linux knows does */
	if (cap[0] || cap[1])
		vtd_caps_from_regs(cap[0] ? *cap[0] : vtd_caps_cap(&caps), cap[1] ? *cap[1] : vtd_caps_ecap(&caps),
				   HOST_ADDRESS_WIDTH, &caps);
	err = vtd_create(&caps, &o->image.mem, NULL, &o->hw, diag);
	if (err)
		return err;
	ops = o->hw->ops;
	ops->mmio_write(o->hw, VTD_REG_RTADDR, 8, *reg[0]);
	ops->mmio_write(o->hw, VTD_REG_GCMD, 4, VTD_GCMD_SRTP);
	ops->mmio_write(o->hw, VTD_REG_GCMD, 4, VTD_GCMD_TE);
	return 0;
}

/*
 * An IOTLB entry of a nested translation has no address between the stages; and a page around the interrupt range
 * (0xfee00000) is cached in pieces, so that the size of a hit is not the translation's. A walk that observes knows both.
 */
static void vtd_complete(struct offline *o, const struct hw_request *req, struct hw_result *res)
{
	struct hw_request again = *req;
	struct hw_result seen;

	if (res->kind == HW_OK ? res->lg2 != 12 || res->pa.v >> 30 != 3 :
				 res->kind != HW_FAULT || res->fault.stage != 2 || res->fault.gpa_valid)
		return;
	again.flags |= HW_OBSERVE;
	nb_rcu_read_lock();
	o->hw->ops->translate(o->hw, &again, &seen);
	nb_rcu_read_unlock();
	if (seen.kind != res->kind)
		return; /* what is cached is no longer what is in memory */
	if (res->kind == HW_OK && seen.pa.v == res->pa.v) {
		res->lg2 = seen.lg2;
	} else if (res->kind == HW_FAULT && seen.fault.reason == res->fault.reason) {
		res->fault.gpa_valid = seen.fault.gpa_valid;
		res->fault.gpa = seen.fault.gpa;
	}
}

const struct offline_model offline_vtd = {
	.name = "vtd",
	.registers = {{"RTADDR", 64}},
	.caps = {{"CAP", 64}, {"ECAP", 64}},
	.start = vtd_start,
	.complete = vtd_complete,
	.flush = vtd_drop_caches,
};
