/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library's own tools see of a public struct nb_host beyond <nestbox/nestbox.h>. Not exported. */
#ifndef NB_MACHINE_API_H
#define NB_MACHINE_API_H

#include "machine/machine.h"
#include "nestbox/nestbox.h"
#include "uapi/kernel.h"

/* The host as the waist; borrowed, lives as long as the host. */
const struct nb_kernel *nb_host_kernel(struct nb_host *host);
struct machine *nb_host_machine(struct nb_host *host);

#endif
