/* SPDX-License-Identifier: BSD-3-Clause */
#include "vendor.h"

#include <stddef.h>

const struct vendor *const vendors[] = {&vendor_vtd, &vendor_smmuv3, NULL};
