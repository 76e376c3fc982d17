/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host descriptions in YAML, for people; nestbox-host(5) is the manual of the format.
 *
 * A library of its own, so that libyaml is in the command and in libnestbox but never in a program that is
 * run on the virtual host.
 */
#ifndef NB_MACHINE_DESC_YAML_H
#define NB_MACHINE_DESC_YAML_H

#include <stddef.h>
#include <stdio.h>

#include "base/diag.h"
#include "machine/desc.h"

/*
 * Read and check a file. 0; -EINVAL with "FILE:LINE: reason"; or what open and read returned with
 * "FILE: reason". *out is whole on success and undefined otherwise.
 */
int desc_yaml_read(const char *path, struct nb_desc *out, struct nb_diag *diag);

/* The same from memory; `name` stands for the file in messages. */
int desc_yaml_parse(const char *name, const void *text, size_t len, struct nb_desc *out, struct nb_diag *diag);

/*
 * What a user may say for "which host": the name of a built-in one, or a file when it has a '/' in it or ends in ".yaml"
 * or ".yml". -ENOENT: neither.
 */
int desc_yaml_find(const char *name, struct nb_desc *out, struct nb_diag *diag);

/* Write a checked description so that desc_yaml_read() gives it back, with comments for the reader. */
void desc_yaml_write(const struct nb_desc *d, FILE *f);

#endif
