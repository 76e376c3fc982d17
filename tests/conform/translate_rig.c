/* SPDX-License-Identifier: BSD-3-Clause */
#include "translate_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

u64 rnd(struct image *im, u64 n)
{
	im->rng ^= im->rng >> 12;
	im->rng ^= im->rng << 25;
	im->rng ^= im->rng >> 27;
	return (im->rng * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

u64 rnd64(struct image *im)
{
	return rnd(im, UINT64_C(1) << 32) << 32 | rnd(im, UINT64_C(1) << 32);
}

bool chance(struct image *im, unsigned int one_in)
{
	return rnd(im, one_in) == 0;
}

u64 low(unsigned int n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

u64 get(const struct image *im, u64 pa)
{
	u64 v;

	memcpy(&v, im->ram + (pa - BASE), 8);
	return v;
}

void put(struct image *im, u64 pa, u64 v)
{
	memcpy(im->ram + (pa - BASE), &v, 8);
}

u64 new_room(struct image *im, unsigned int lg2)
{
	unsigned int n = lg2 <= 12 ? 1 : 1u << (lg2 - 12), at = (im->used + n - 1) / n * n;

	if (at + n > NPAGES)
		return 0;
	im->used = at + n;
	return BASE + 4096u * (u64)at;
}

u64 new_page(struct image *im)
{
	return new_room(im, 12);
}

/* ---- the files ---- */

static FILE *open_in(const struct image *im, const char *name, const char *mode)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", im->dir, name);
	f = fopen(path, mode);
	if (!f) {
		printf("%s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

/* Three regions; the middle one begins in the middle of a page. */
static const unsigned int cut[4] = {0, 700 * 4096 + 0x808, 1500 * 4096, LEN};

static void write_files(const struct rig_ops *ops)
{
	const struct image *im = ops->im;
	unsigned int i;
	FILE *f;

	for (i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "mem%u.bin", i);
		f = open_in(im, name, "wb");
		if (fwrite(im->ram + cut[i], 1, cut[i + 1] - cut[i], f) != cut[i + 1] - cut[i] || fclose(f))
			exit(1);
	}
	f = open_in(im, "config.json", "w");
	fputs("{ ", f);
	ops->registers(ops->world, f);
	fprintf(f,
		",\n  \"memory\": [\n"
		"    { \"base\": \"0x%" PRIx64 "\", \"file\": \"mem2.bin\" },\n"
		"    { \"file\": \"mem0.bin\", \"base\": \"0x%" PRIx64 "\" },\n"
		"    { \"base\": \"0x%" PRIX64 "\", \"file\": \"mem1.bin\" } ]\n}\n",
		BASE + cut[2], BASE + cut[0], BASE + cut[1]);
	fclose(f);
}

static bool run_command(const struct rig_ops *ops, const char *nestbox)
{
	static const char *const files[] = {"config.json", "requests", "results", "out"};
	char path[4][300];
	int status, i;
	pid_t pid;

	for (i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", ops->im->dir, files[i]);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl(nestbox, nestbox, "translate", "--model", ops->model, "--config", path[0], "--requests", path[1],
		      "--results", path[2], "--image-out", path[3], (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool check_image(const struct rig_ops *ops, bool exact, bool less)
{
	const struct image *im = ops->im;
	uint8_t *out = malloc(LEN);
	unsigned int i;
	bool ok = true;

	for (i = 0; i < 3 && out; i++) {
		char name[24];
		FILE *f;

		snprintf(name, sizeof(name), "out/mem%u.bin", i);
		f = open_in(im, name, "rb");
		if (fread(out + cut[i], 1, cut[i + 1] - cut[i], f) != cut[i + 1] - cut[i] || fgetc(f) != EOF) {
			printf("%s is of another size\n", name);
			ok = false;
		}
		fclose(f);
	}
	for (i = 0; i < LEN && out && ok; i += 8) {
		u64 a, b;

		memcpy(&a, out + i, 8);
		memcpy(&b, im->ram + i, 8);
		if (a == b || (!exact && (a | ops->marks) == (b | ops->marks) && (less || !ops->adds || !(b & ~a))))
			continue;
		printf("image at %#" PRIx64 ": got %#" PRIx64 ", wanted %#" PRIx64 "\n", BASE + i, a, b);
		ok = false;
	}
	free(out);
	return ok && out;
}

static void remove_files(const struct image *im)
{
	static const char *const all[] = {"mem0.bin",	  "mem1.bin",	  "mem2.bin",	  "config.json", "requests",
					  "results",	  "out/mem0.bin", "out/mem1.bin", "out/mem2.bin"};
	char path[300];
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", im->dir, all[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/out", im->dir);
	rmdir(path);
	rmdir(im->dir);
}

static bool one_image(const struct rig_ops *ops, const char *nestbox, u64 seed, unsigned int requests, u64 counts[NCOUNTS])
{
	u64 faults = counts[FAULTS], others = counts[OTHERS];
	struct image *im = ops->im;
	char line[1024];
	unsigned int i;
	FILE *f;

	im->rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	rnd(im, 2);
	im->clean = seed % 3 == 0;
	memset(im->ram, 0, LEN);
	im->used = 0;
	ops->build(ops->world);
	if (seed % 3 == 1)
		ops->damage(ops->world);
	write_files(ops);
	f = open_in(im, "requests", "w");
	for (i = 0; i < requests; i++) {
		if (chance(im, 300))
			fputs("{ \"flush\": true }\n", f);
		ops->request(ops->world, i, f);
	}
	fclose(f);
	if (!run_command(ops, nestbox)) {
		printf("the command failed\n");
		return false;
	}
	f = open_in(im, "results", "r");
	for (i = 0; i < requests; i++)
		if (!fgets(line, sizeof(line), f) || !ops->check(ops->world, line, i, counts)) {
			printf("in line %u of the results\n", i + 1);
			return false;
		}
	if (fgetc(f) != EOF) {
		printf("more results than requests\n");
		return false;
	}
	fclose(f);
	if (im->clean && counts[FAULTS] != faults) {
		printf("a clean image has faults\n");
		return false;
	}
	return check_image(ops, im->clean && counts[OTHERS] == others, counts[OTHERS] != others);
}

int rig_main(int argc, char **argv, const struct rig_ops *ops)
{
	u64 seed = 1, images = 24, requests = 5000, i, counts[NCOUNTS] = {0, 0, 0};
	const char *tmp = getenv("TMPDIR");
	struct image *im = ops->im;
	bool keep = false;
	int a;

	if (argc < 2)
		return 2;
	for (a = 2; a < argc; a++) {
		if (strcmp(argv[a], "--keep") == 0)
			keep = true;
		else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0)
			seed = strtoull(argv[++a], NULL, 0);
		else if (a + 1 < argc && strcmp(argv[a], "--images") == 0)
			images = strtoull(argv[++a], NULL, 0);
		else if (a + 1 < argc && strcmp(argv[a], "--requests") == 0)
			requests = strtoull(argv[++a], NULL, 0);
		else
			return 2;
	}
	if (requests > ops->most)
		requests = ops->most;
	im->ram = aligned_alloc(4096, LEN);
	snprintf(im->dir, sizeof(im->dir), "%s/translate-XXXXXX", tmp ? tmp : "/tmp");
	if (!im->ram || !mkdtemp(im->dir)) {
		printf("%s: %s\n", im->dir, strerror(errno));
		return 1;
	}
	printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + images - 1);
	for (i = seed; i < seed + images; i++)
		if (!one_image(ops, argv[1], i, (unsigned int)requests, counts)) {
			printf("repeat with --seed %" PRIu64 " --images 1 --requests %" PRIu64 " --keep; the files are in %s\n", i,
			       requests, im->dir);
			return 1;
		}
	if (!keep)
		remove_files(im);
	free(im->ram);
	printf("%" PRIu64 " translations, %" PRIu64 " faults, %" PRIu64 " others among them\n", counts[TRANSLATIONS], counts[FAULTS],
	       counts[OTHERS]);
	return counts[TRANSLATIONS] < images * requests / 4 || counts[FAULTS] < images * requests / 8;
}
