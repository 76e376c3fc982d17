/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/smmuv3/smmu.h"
#include "machine/board.h"
#include "machine/desc_smmuv3.h"

static bool lags(const struct nb_desc_iommu *d)
{
	return !d->smmuv3.coherent;
}

static int create(struct unit *u, const struct nb_desc_iommu *d, struct drv_iommu_cfg *cfg, struct nb_diag *diag)
{
	struct smmu_caps caps;
	int err;

	u->guest_msi = d->smmuv3.guest_msi;
	desc_smmuv3_caps(&d->smmuv3, &caps);
	if (caps.cmdqv) {
		cfg->companion = SMMU_CMDQV_BASE;
		u->companion = true;
		u->companion_wire = SMMU_WIRE_CMDQV;
	}
	err = smmu_create(&caps, &u->m->mem, u->m->tr, &u->hw, diag);
	if (err)
		return err;
	smmu_set_lag(u->hw, u->m->lag);
	return 0;
}

const struct unit_vendor unit_smmuv3 = {
	.id = NB_DESC_SMMUV3,
	.drv = &drv_smmuv3_ops,
	.doorbell = true,
	.lags = lags,
	.create = create,
};
