/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbbench [--json FILE] [--merge FILE]... [--filter PATTERN] [--quick] [--list]
 *
 * Prints a table, a row per figure: the value, the limit measured in the same run, their ratio, the target. --json writes the
 * same as a list of {name, unit, value, limit, limit_value, ratio, target, ok}; --merge appends the rows of another such file
 * (the end-to-end comparison's). Exit status: 0 when all rows were measured, whether or not they reach their targets; 1 when one
 * could not be; 2 for a wrong command line.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct bench {
	FILE *json;
	unsigned int rows, skipped, below;
	bool quick;
};

static const struct bench_case *const rooms[] = {
	bench_pt,
	bench_hw,
	bench_ir,
	bench_ats,
	bench_host,
	bench_viommu,
	bench_iopf,
};

bool bench_quick(const struct bench *b)
{
	return b->quick;
}

unsigned int bench_samples(const struct bench *b, unsigned int normal)
{
	if (normal > BENCH_SAMPLES_MAX)
		normal = BENCH_SAMPLES_MAX;
	return b->quick ? 2 : normal;
}

void bench_add(struct bench_samples *s, double v)
{
	if (s->n < BENCH_SAMPLES_MAX)
		s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(struct bench_samples *s)
{
	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof(s->v[0]), compare);
	return s->n % 2 ? s->v[s->n / 2] : (s->v[s->n / 2 - 1] + s->v[s->n / 2]) / 2;
}

static bool reached(const struct bench_row *r, double ratio)
{
	if (r->more_is_better)
		return (r->target == 0 || r->value >= r->target) && (r->target_ratio == 0 || ratio >= r->target_ratio);
	return (r->target == 0 || r->value <= r->target) && (r->target_ratio == 0 || ratio <= r->target_ratio);
}

/* Names and units are ours: no character that JSON would want escaped. */
static void json_row(struct bench *b, const struct bench_row *r, double ratio, const char *target, bool ok)
{
	fprintf(b->json, "%s {\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.6g, ", b->rows ? ",\n" : "", r->name,
		r->unit, r->value);
	if (r->limit)
		fprintf(b->json, "\"limit\": \"%s\", \"limit_value\": %.6g, \"ratio\": %.4g, ", r->limit, r->limit_value,
			ratio);
	else
		fprintf(b->json, "\"limit\": null, \"limit_value\": null, \"ratio\": null, ");
	fprintf(b->json, "\"target\": \"%s\", \"ok\": %s}", target, ok ? "true" : "false");
}

void bench_report(struct bench *b, const struct bench_row *r)
{
	const char *sign = r->more_is_better ? ">=" : "<=";
	double ratio = r->limit_value != 0 ? r->value / r->limit_value : 0;
	char target[64] = "", limit[64] = "";
	bool ok = reached(r, ratio);

	if (r->target != 0 && r->target_ratio != 0)
		snprintf(target, sizeof(target), "%s %g and %s %gx", sign, r->target, sign, r->target_ratio);
	else if (r->target != 0)
		snprintf(target, sizeof(target), "%s %g", sign, r->target);
	else if (r->target_ratio != 0)
		snprintf(target, sizeof(target), "%s %gx", sign, r->target_ratio);
	if (r->limit)
		snprintf(limit, sizeof(limit), "%8.2f %6.2fx", r->limit_value, ratio);
	printf("%-66s %10.2f %-10s %-16s %-18s %s%s%s%s\n", r->name, r->value, r->unit, limit, target,
	       *target ? (ok ? "ok" : "BELOW") : "-", r->limit ? "  (limit: " : "", r->limit ? r->limit : "",
	       r->limit ? ")" : "");
	fflush(stdout);
	if (b->json)
		json_row(b, r, ratio, target, ok);
	b->rows++;
	b->below += !ok;
}

void bench_skip(struct bench *b, const char *name, const char *why)
{
	printf("%-66s could not be measured: %s\n", name, why);
	b->skipped++;
}

/* The rows between the brackets of another file, as they are. 0 or -EINVAL. */
static int merge(struct bench *b, const char *path)
{
	FILE *f = fopen(path, "r");
	static char text[1 << 20];
	size_t n, first, last;

	if (!f)
		return -EINVAL;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	for (first = 0; first < n && text[first] != '['; first++)
		;
	for (last = n; last > first && text[last] != ']'; last--)
		;
	if (last <= first || n == sizeof(text) - 1)
		return -EINVAL;
	for (first++; first < last && strchr(" \t\r\n", text[first]); first++)
		;
	while (last > first && strchr(" \t\r\n", text[last - 1]))
		last--;
	if (last == first)
		return 0;
	fprintf(b->json, "%s %.*s", b->rows ? ",\n" : "", (int)(last - first), text + first);
	b->rows++;
	return 0;
}

static int usage(void)
{
	fputs("usage: nbbench [--json FILE] [--merge FILE]... [--filter PATTERN] [--quick] [--list]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *filter = "*", *merges[8];
	struct bench b = {0};
	unsigned int nmerges = 0;
	bool list = false;
	size_t room;
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			b.quick = true;
		} else if (strcmp(argv[i], "--list") == 0) {
			list = true;
		} else if (i + 1 == argc) {
			return usage();
		} else if (strcmp(argv[i], "--filter") == 0) {
			filter = argv[++i];
		} else if (strcmp(argv[i], "--merge") == 0 && nmerges < 8) {
			merges[nmerges++] = argv[++i];
		} else if (strcmp(argv[i], "--json") == 0 && !b.json) {
			b.json = fopen(argv[++i], "w");
			if (!b.json) {
				fprintf(stderr, "nbbench: %s: %s\n", argv[i], strerror(errno));
				return 2;
			}
		} else {
			return usage();
		}
	}
	if (nmerges && !b.json)
		return usage();
	if (b.json)
		fputs("[\n", b.json);
	if (!list)
		printf("%-66s %10s %-10s %8s %7s %-18s\n", "", "value", "unit", "limit", "ratio", "target");
	for (room = 0; room < sizeof(rooms) / sizeof(rooms[0]); room++) {
		const struct bench_case *c;

		for (c = rooms[room]; c->name; c++) {
			if (fnmatch(filter, c->name, 0) != 0)
				continue;
			if (list)
				puts(c->name);
			else
				c->run(&b);
		}
	}
	for (i = 0; i < (int)nmerges; i++) {
		if (merge(&b, merges[i])) {
			fprintf(stderr, "nbbench: %s: not a list of rows\n", merges[i]);
			b.skipped++;
		}
	}
	if (b.json) {
		fputs("\n]\n", b.json);
		if (fclose(b.json)) {
			perror("nbbench");
			return 2;
		}
	}
	if (!list)
		printf("%u rows, %u below their target, %u not measured\n", b.rows, b.below, b.skipped);
	return b.skipped ? 1 : 0;
}
