/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a libFuzzer target without libFuzzer: NAME [COUNT [SEED]] feeds it pseudo-random inputs of all lengths, NAME FILE... feeds
 * it files. So every build, sanitizers included, meets each target for a few seconds, and a crash file can be
 * replayed anywhere.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * UINT64_C(0x2545f4914f6cdd1d);
}

static int run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return LLVMFuzzerTestOneInput(buf, n);
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000, i;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int a;

	if (LLVMFuzzerInitialize && LLVMFuzzerInitialize(&argc, &argv))
		return 1;
	if (argc > 1 && access(argv[1], R_OK) == 0) {
		for (a = 1; a < argc; a++)
			if (run_file(argv[a]))
				return 1;
		return 0;
	}
	for (i = 0; i < count; i++) {
		uint64_t s = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		size_t len = next(&s) % (i % 4 == 0 ? 4096 : 600), k;
		uint8_t *data = malloc(len ? len : 1); /* exactly, so that a read past its end is seen */

		if (!data)
			return 1;
		for (k = 0; k < len; k++)
			data[k] = (uint8_t)(next(&s) >> 32);
		/* Small values reach more than large ones do. */
		for (k = 0; k < len; k++)
			if (next(&s) >> 62 == 0)
				data[k] &= 7;
		if (LLVMFuzzerTestOneInput(data, len)) {
			printf("input %lu of seed %llu was refused\n", i, (unsigned long long)seed);
			free(data);
			return 1;
		}
		free(data);
	}
	printf("%lu inputs\n", count);
	return 0;
}
