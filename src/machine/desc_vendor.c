/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine/desc_vendor.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

static const struct desc_vendor *const vendors[] = {&desc_vendor_vtd, &desc_vendor_smmuv3};

const struct desc_vendor *desc_vendor_of(const struct nb_desc_iommu *u)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vendors); i++)
		if ((uint32_t)vendors[i]->id == u->vendor)
			return vendors[i];
	return NULL;
}

const struct desc_vendor *desc_vendor_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vendors); i++)
		if (strcmp(vendors[i]->name, name) == 0)
			return vendors[i];
	return NULL;
}

void desc_vendor_names(char *buf, size_t size)
{
	size_t at = 0, i;

	for (buf[0] = 0, i = 0; i < ARRAY_SIZE(vendors) && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "", vendors[i]->name);
}
