/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run came to: for people on stderr, for programs as JSON. nestbox-run(1) explains each figure. */
#ifndef NB_CLI_SUMMARY_H
#define NB_CLI_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/trace.h"
#include "cli/command.h"
#include "machine/desc.h"

enum tristate { UNKNOWN = -1, NO = 0, YES = 1 };

struct summary {
	const struct nb_desc *host;
	const struct command *command;
	int exit_status;
	uint64_t count[NB_EV_COUNT];
	/* From the guest's console, when there is one. */
	enum tristate checksum_ok;
	char guest_kernel[96]; /* "": not known */
	double boot_seconds;   /* negative: not known */
};

/* Take what the guest reported in lines "NB: key=value". 0 or -errno of reading the file. */
int summary_read_guest_log(struct summary *s, const char *path);

/* Did any process make use of the virtual host? */
bool summary_used(const struct summary *s);
/* The program meant to nest, and devices were attached without. */
bool summary_nesting_dropped(const struct summary *s);

void summary_print(const struct summary *s, FILE *f);
void summary_json(const struct summary *s, FILE *f);

#endif
