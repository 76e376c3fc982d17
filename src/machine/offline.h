/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hardware model by itself: an image of memory, register values, and translation requests.
 *
 * There is no host, no driver and no device here. Memory is what files hold, the registers are given their values through
 * MMIO as a driver would do it, and every request is answered by the same model that serves DMA in a virtual host. What is not
 * in a file is absent: reading it is a failed fetch.
 *
 * The files are never written: the model's accessed and dirty bits go to private copies of the pages, and
 * offline_write_back() puts these wherever the caller says.
 *
 * Threads: one at a time. guard_init() is done here.
 */
#ifndef NB_MACHINE_OFFLINE_H
#define NB_MACHINE_OFFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "hw/hw.h"

#define OFFLINE_MAX_REGIONS 4096

struct offline; /* opaque */

/* A file as physical memory from `base` on. */
struct offline_region {
	uint64_t base;
	const char *file;
};

/* A register, by the name that its manual gives it. */
struct offline_value {
	const char *name;
	uint64_t value;
};

struct offline_cfg {
	const char *model; /* "vtd", "smmuv3" */
	const struct offline_region *region;
	size_t nregions;
	/* What software would have written before it switched the unit on. */
	const struct offline_value *reg;
	size_t nregs;
	/* Read-only registers that say what the unit can do; what is missing is all that the model can do. */
	const struct offline_value *cap;
	size_t ncaps;
};

/* Which item of the configuration was refused. */
enum offline_part { OFFLINE_NOTHING, OFFLINE_MEMORY, OFFLINE_REGISTERS, OFFLINE_CAPS };
struct offline_blame {
	enum offline_part part;
	size_t item; /* index; the number of items: the part as a whole */
};

/* 0; -EOPNOTSUPP: a vendor without a model so far; -ENOENT. The reason in diag. */
int offline_model_check(const char *model, struct nb_diag *diag);

/* Nothing of cfg is referenced afterwards. 0 or -errno with the reason; *blame (may be null) says of what. */
int offline_create(const struct offline_cfg *cfg, struct offline **out, struct offline_blame *blame,
		   struct nb_diag *diag);
void offline_destroy(struct offline *o); /* null is fine */

/*
 * One request, through whatever is cached from those before it. A fault carries its record in any case: nothing is logged in
 * the unit's registers, which have room for a few. gpa of a fault of stage 2 is filled in wherever there is one.
 */
void offline_translate(struct offline *o, const struct hw_request *req, struct hw_result *res);
/* Empty all caches. */
void offline_flush(struct offline *o);

/* Is this file one of the regions'? */
bool offline_reads_file(const struct offline *o, dev_t dev, ino_t ino);
/* Two regions whose files have one name cannot both be written into one folder. 0 or -EEXIST, and which (blame). */
int offline_can_write_back(const struct offline *o, struct offline_blame *blame, struct nb_diag *diag);
/*
 * Each region as it is now into `dir` (made if need be), under its file's own name. A file there is replaced as a whole: it is the old
 * one or the new one, also when it is the very file that the region came from. 0 or -errno with the reason.
 */
int offline_write_back(const struct offline *o, const char *dir, struct nb_diag *diag);

#endif
