/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a libFuzzer target without libFuzzer: NAME [COUNT [SEED]] [--dir DIR]... feeds it pseudo-random inputs of all lengths and
 * then every file of the folders (one that does not exist is empty), NAME FILE... feeds it files. So every build, sanitizers
 * included, meets each target for a few seconds, and a crash file can be replayed anywhere.
 */
#include <dirent.h>
#include <limits.h>
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

/* How many there were, or -1. */
static long run_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	long n = 0;

	while (d && n >= 0 && (e = readdir(d))) {
		char path[PATH_MAX];

		if (e->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) || run_file(path)) {
			printf("%s/%s was refused\n", dir, e->d_name);
			n = -2;
		}
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

static int run_random(unsigned long count, uint64_t seed)
{
	unsigned long i;

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
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long number[2] = {1000, 1};
	unsigned int given = 0;
	long files = 0, n;
	int a;

	if (LLVMFuzzerInitialize && LLVMFuzzerInitialize(&argc, &argv))
		return 1;
	if (argc > 1 && access(argv[1], R_OK) == 0) {
		for (a = 1; a < argc; a++)
			if (run_file(argv[a]))
				return 1;
		return 0;
	}
	for (a = 1; a < argc; a++) {
		if (strcmp(argv[a], "--dir") == 0 && a + 1 < argc) {
			n = run_dir(argv[++a]);
			if (n < 0)
				return 1;
			files += n;
		} else if (given < 2) {
			number[given++] = strtoul(argv[a], NULL, 0);
		}
	}
	if (run_random(number[0], number[1]))
		return 1;
	printf("%lu inputs, %ld files\n", number[0], files);
	return 0;
}
