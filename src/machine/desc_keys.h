/* SPDX-License-Identifier: BSD-3-Clause */
/* The capability keys of a VT-d unit in YAML: one table for the reader, the writer and the manual's test. */
#ifndef NB_MACHINE_DESC_KEYS_H
#define NB_MACHINE_DESC_KEYS_H

#include <stddef.h>

#include "machine/desc.h"

enum desc_key_kind {
	DESC_KEY_NUMBER, /* uint8_t */
	DESC_KEY_BOOL,
	DESC_KEY_LEVELS, /* 4 or 5, kept as a bool "has 5" */
};

struct desc_vtd_key {
	const char *name;
	enum desc_key_kind kind;
	size_t offset; /* in struct nb_desc_vtd */
	const char *brief;
};

extern const struct desc_vtd_key desc_vtd_keys[];
/* The same names in the same order, null-terminated. */
extern const char *const desc_vtd_key_names[];

#endif
