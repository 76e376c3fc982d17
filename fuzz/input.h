/* SPDX-License-Identifier: BSD-3-Clause */
/* A fuzzer's bytes as numbers; what is missing at the end reads as zero. */
#ifndef NB_FUZZ_INPUT_H
#define NB_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
#define check(ok)                                                                                             \
	do {                                                                                                  \
		if (!(ok))                                                                                    \
			check_failed(__FILE__, __LINE__, #ok);                                                \
	} while (0)
static inline __attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

#endif
