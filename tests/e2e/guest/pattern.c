/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo-random data and a checksum, both a few instructions per word: the guest's CPU is emulated. */

#include <string.h>

#include "guest.h"

/* The finalizer of splitmix64: every input bit reaches every output bit. */
uint64_t mix64(uint64_t v)
{
	v = (v ^ (v >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ (v >> 27)) * UINT64_C(0x94d049bb133111eb);
	return v ^ (v >> 31);
}

uint64_t rng_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix64(*state);
}

void pattern_fill(void *buf, size_t size, uint64_t seed)
{
	unsigned char *p = buf;
	uint64_t v = mix64(seed + 1) | 1; /* xorshift's state must not be 0 */

	for (size_t i = 0; i < size; i += sizeof(v)) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		memcpy(p + i, &v, sizeof(v));
	}
}

uint64_t checksum(uint64_t sum, const void *buf, size_t size)
{
	const unsigned char *p = buf;
	uint64_t v;

	for (size_t i = 0; i < size; i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		sum = (sum ^ v) * UINT64_C(0x100000001b3);
		sum ^= sum >> 29;
	}
	return sum;
}
