/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NB_CLI_DISK_H
#define NB_CLI_DISK_H

#include "base/diag.h"
#include "machine/desc.h"

/*
 * Make the files that functions' options name absolute, since the program may change its directory before it opens the virtual
 * host, and see that they can be opened, since a refusal is read best before the run. 0 or -errno with the reason.
 */
int disk_files(struct nb_desc *d, struct nb_diag *diag);

#endif
