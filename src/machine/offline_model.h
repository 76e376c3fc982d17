/* SPDX-License-Identifier: BSD-3-Clause */
/* What offline.c asks of a vendor; one row each: offline_vtd.c, offline_smmuv3.c. */
#ifndef NB_MACHINE_OFFLINE_MODEL_H
#define NB_MACHINE_OFFLINE_MODEL_H

#include "machine/offline_image.h"

#define OFFLINE_MAX_NAMES 4

struct offline_name {
	const char *name; /* null ends a list */
	uint8_t bits;	  /* width of the register */
};

struct offline_model {
	const char *name;
	struct offline_name registers[OFFLINE_MAX_NAMES + 1]; /* all must be given */
	struct offline_name caps[OFFLINE_MAX_NAMES + 1];      /* each may be */
	/* reg and cap in the order of the names; null: not given. -EINVAL: the caps do not fit together. */
	int (*start)(struct offline *o, const uint64_t *const reg[OFFLINE_MAX_NAMES],
		     const uint64_t *const cap[OFFLINE_MAX_NAMES], struct nb_diag *diag);
	/* What a cached translation could not tell is found out. May be null: it tells all. */
	void (*complete)(struct offline *o, const struct hw_request *req, struct hw_result *res);
	void (*flush)(struct hw_iommu *hw);
};

extern const struct offline_model offline_vtd, offline_smmuv3;

struct offline {
	const struct offline_model *model;
	struct hw_iommu *hw;
	struct offline_image image;
	bool used; /* since the caches were empty */
};

#endif
