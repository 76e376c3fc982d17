/* SPDX-License-Identifier: BSD-3-Clause */
/* A fuzzer's bytes as numbers; what is missing at the end reads as zero. */
#ifndef NB_FUZZ_INPUT_H
#define NB_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *p;
	size_t left;
};

/* The next n bytes, at most 8. */
static inline uint64_t take(struct input *in, size_t n)
{
	uint64_t v = 0;

	if (n > in->left)
		n = in->left;
	if (n)
		memcpy(&v, in->p, n);
	in->p += n;
	in->left -= n;
	return v;
}

/* Not assert(): a target stops in every build. */
static inline void check(bool ok)
{
	if (!ok)
		abort();
}

#endif
