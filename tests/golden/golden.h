/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes against masks.
 *
 * A row names one of our masks and gives, in the order in which they lie in memory, the bytes of a word in which
 * that field alone is all ones. The bytes are written out from the manual's figure, never computed: whoever edits
 * a row opens the manual. 4 bytes: a 32-bit register.
 */
#ifndef NB_TESTS_GOLDEN_H
#define NB_TESTS_GOLDEN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

struct golden_row {
	const char *name;
	uint64_t mask;
	const char *bytes; /* "1c 00 00 00 00 00 00 00" */
};
struct golden_number {
	const char *name;
	uint64_t value, want;
};
#define G(mask, bytes) {#mask, mask, bytes}
#define N(name, want)  {#name, name, want}

/* Number of bytes, or 0: not hexadecimal pairs parted by single spaces. */
static inline size_t golden_parse(const char *s, uint8_t *out, size_t max)
{
	size_t n = 0;

	while (n < max) {
		unsigned int b;
		char end;
		int got = sscanf(s, "%2x%c", &b, &end);

		if (got < 1)
			return 0;
		out[n++] = (uint8_t)b;
		if (got == 1)
			return n;
		if (end != ' ')
			return 0;
		s += 3;
	}
	return 0;
}

static inline void golden_rows(const struct golden_row *r, size_t n)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++) {
		uint8_t want[9], have[8];
		le64_t word = le64(r[i].mask);
		size_t len = golden_parse(r[i].bytes, want, sizeof(want));

		memcpy(have, &word, sizeof(have));
		if ((len != 4 && len != 8) || memcmp(have, want, len) != 0 || (len == 4 && r[i].mask >> 32)) {
			print_error("%s: mask %#llx, the manual's bytes are %s\n", r[i].name,
				    (unsigned long long)r[i].mask, r[i].bytes);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static inline void golden_numbers(const struct golden_number *r, size_t n)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++) {
		if (r[i].value != r[i].want) {
			print_error("%s is %#llx, the manual says %#llx\n", r[i].name,
				    (unsigned long long)r[i].value, (unsigned long long)r[i].want);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

/* A whole structure against a dump of it. */
static inline void golden_dump(const void *have, size_t size, const char *bytes)
{
	uint8_t want[129];

	assert_int_equal(golden_parse(bytes, want, sizeof(want)), size);
	assert_memory_equal(have, want, size);
}

#endif
