/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_MACHINE_DESC_SMMUV3_H
#define NB_MACHINE_DESC_SMMUV3_H

#include "hw/smmuv3/caps.h"
#include "machine/desc.h"

void desc_smmuv3_caps(const struct nb_desc_smmuv3 *s, struct smmu_caps *out);

#endif
