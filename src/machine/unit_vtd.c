/* SPDX-License-Identifier: BSD-3-Clause */
#include "hw/vtd/vtd.h"
#include "machine/board.h"
#include "machine/desc_vtd.h"

static bool lags(const struct nb_desc_iommu *d)
{
	return !d->vtd.coherent;
}

static int create(struct unit *u, const struct nb_desc_iommu *d, struct drv_iommu_cfg *cfg, struct nb_diag *diag)
{
	struct vtd_caps caps;
	int err;

	desc_vtd_caps(&d->vtd, &caps);
	err = vtd_create(&caps, &u->m->mem, u->m->tr, &u->hw, diag);
	if (err)
		return err;
	if (lags(d))
		vtd_set_lag(u->hw, u->m->lag);
	cfg->errata = d->vtd.erratum_772415 ? DRV_ERRATUM_VTD_772415 : 0;
	return 0;
}

const struct unit_vendor unit_vtd = {
	.id = NB_DESC_VTD,
	.drv = &drv_vtd_ops,
	.lags = lags,
	.create = create,
};
