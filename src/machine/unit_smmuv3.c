/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "machine/board.h"

static bool lags(const struct nb_desc_iommu *d)
{
	return !d->smmuv3.coherent;
}

static int create(struct unit *u, const struct nb_desc_iommu *d, struct drv_iommu_cfg *cfg, struct nb_diag *diag)
{
	(void)u, (void)d, (void)cfg;
	return nb_fail(diag, -EOPNOTSUPP, "this nestbox can describe an SMMUv3, but not yet run one");
}

const struct unit_vendor unit_smmuv3 = {
	.id = NB_DESC_SMMUV3,
	.lags = lags,
	.create = create,
};
