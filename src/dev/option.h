/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options of models: values as people write them, and the refusal that names the option.
 */
#ifndef NB_DEV_OPTION_H
#define NB_DEV_OPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "dev/dev.h"

/* Decimal or 0x-hexadecimal within [min, max]. 0 or -EINVAL. */
int option_number(const struct dev_option *o, uint64_t min, uint64_t max, uint64_t *out, struct nb_diag *diag);
/* A number of bytes with an optional KiB, MiB, GiB, TiB (or K, M, G, T: the same). 0 or -EINVAL. */
int option_bytes(const struct dev_option *o, uint64_t min, uint64_t max, uint64_t *out, struct nb_diag *diag);
/* on, off, true, false, yes, no, 1, 0. 0 or -EINVAL. */
int option_bool(const struct dev_option *o, bool *out, struct nb_diag *diag);
/* -EINVAL: the model does not know this key. */
int option_unknown(const struct dev_option *o, const char *model, struct nb_diag *diag);

#endif
