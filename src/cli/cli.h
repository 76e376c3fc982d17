/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `nestbox` command: what its subcommands share.
 *
 * Exit statuses are part of the interface (nestbox(1)):
 *   0    done; for `run`, the command's own status
 *   1    refused or failed, with one sentence on stderr
 *   2    the command line is wrong
 *   123  `run`: the command ended well, but the nesting that it asked for was dropped
 *   125  `run`: the virtual host could not be set up
 *   126  `run`: the command cannot be run on the virtual host
 *   127  `run`: the command was not found
 *   128+n  `run`: the command was ended by signal n
 */
#ifndef NB_CLI_CLI_H
#define NB_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NOT_NESTED = 123,
	CLI_NO_HOST = 125,
	CLI_CANNOT_RUN = 126,
	CLI_NOT_FOUND = 127,
};

/* "nestbox: SENTENCE" to stderr; returns status. */
int cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "0000:01:00.0", "01:00.0", and with ".PASID" behind it when pasid is not null. False: not of that form. */
bool cli_parse_rid(const char *s, uint16_t *segment, uint16_t *rid, uint32_t *pasid);
/* Decimal or 0x..., the whole string. */
bool cli_parse_u64(const char *s, uint64_t *v);

/* Subcommands: argv[0] is the subcommand's name. */
int cmd_run(int argc, char **argv);
int cmd_host(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_walk(int argc, char **argv);
int cmd_translate(int argc, char **argv);

#endif
