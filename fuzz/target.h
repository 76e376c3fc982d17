/* SPDX-License-Identifier: BSD-3-Clause */
/* The beginning of a target that needs nothing but guarded access. */
#ifndef NB_FUZZ_TARGET_H
#define NB_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "mem/guard.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return guard_init();
}

#endif
