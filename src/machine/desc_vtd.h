/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_MACHINE_DESC_VTD_H
#define NB_MACHINE_DESC_VTD_H

#include "hw/vtd/caps.h"
#include "machine/desc.h"

void desc_vtd_caps(const struct nb_desc_vtd *v, struct vtd_caps *out);

#endif
