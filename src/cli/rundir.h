/* SPDX-License-Identifier: BSD-3-Clause */
/* The launcher's half of the run directory (run/rundir.h says what is in it). */
#ifndef NB_CLI_RUNDIR_H
#define NB_CLI_RUNDIR_H

#include <limits.h>

#include "base/diag.h"
#include "base/trace.h"
#include "machine/desc.h"

/* The start of a run directory's name, under $TMPDIR or /tmp. */
#define RUNDIR_PREFIX "nestbox-run-"

struct rundir {
	char path[PATH_MAX]; /* "" before and after */
	int lock;	     /* held while the launcher lives, so that others can tell a directory that was left */
};

/* Where run directories are made. */
const char *rundir_parent(void);

/* Make and fill one; on failure nothing is left of it. 0 or -errno with the reason. */
int rundir_make(struct rundir *r, const struct nb_desc *d, struct nb_diag *diag);
void rundir_remove(struct rundir *r);

/* The sum over all processes that had a machine. 0 or -errno. */
int rundir_counters(const struct rundir *r, uint64_t sum[NB_EV_COUNT]);

#endif
