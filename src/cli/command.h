/* SPDX-License-Identifier: BSD-3-Clause */
/* What `nestbox run` wants to know about the command before it starts it. */
#ifndef NB_CLI_COMMAND_H
#define NB_CLI_COMMAND_H

#include <limits.h>
#include <stdbool.h>

#include "base/diag.h"
#include "cli/qemu_devices.h"

struct command {
	char path[PATH_MAX];	  /* what to execute */
	bool elf;		  /* a program, not a script */
	bool qemu;		  /* called qemu-system-* */
	struct qemu_devices devices;
	char qemu_version[32];	  /* "11.1.3", or "" */
};

/*
 * Find argv[0] as execvp(3) would and look at it. 0, or the status to exit with (CLI_NOT_FOUND,
 * CLI_CANNOT_RUN) and the reason. Runs "COMMAND --version" when it is a QEMU, and refuses one that is too old unless
 * `force`.
 */
int command_find(char *const argv[], bool force, struct command *c, struct nb_diag *diag);

#endif
