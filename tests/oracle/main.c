/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle [--vendor NAME] [--cases N] [--seed S] [--jobs J] [--kind NAME] [--known NAME] [--min-hits] [--list]
 * oracle --unit NAME --replay 'name=value,...'
 *
 * N cases of each vendor, spread over the units (QEMU configurations) whose name begins with --kind, in J processes with
 * a QEMU each. --known stops at the first case that the filter of that name explains and prints it as a disagreement would be. Ends with
 * how often each filter was needed; --min-hits fails if one never was.
 * Exit status: 0, 1 (disagreement, or QEMU died), 2 (usage), 77 (no QEMU: skipped).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oracle.h"

#define MAX_BAD 3 /* disagreements of one worker and unit, until it goes on to the next */

static const struct oracle_vendor *const vendors[] = {&oracle_vtd, &oracle_smmuv3};

struct options {
	uint64_t cases, seed;
	unsigned int jobs;
	const char *vendor, *kind, *known, *replay, *unit;
	bool min_hits;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void count(struct oracle *o, unsigned int i)
{
	const struct oracle_built *b = &o->b[i];
	unsigned int s;

	atomic_fetch_add(&o->totals->cases, 1);
	atomic_fetch_add(&o->totals->skipped, b->skip);
	for (s = 0; s < b->ours.n; s++) {
		if (b->ours.step[s].outcome == ORACLE_LANDED)
			atomic_fetch_add(&o->totals->landed, 1);
		if (b->ours.step[s].outcome == ORACLE_FAULT) {
			atomic_fetch_add(&o->totals->faults, 1);
			atomic_fetch_add(&o->totals->reasons[b->ours.step[s].reason & 0xff], 1);
		}
	}
}

/* 0, or -EIO. *stop: the case that was looked for was found. */
static int run_unit(struct oracle *o, const struct options *opt, uint64_t cases, uint64_t seed, bool *stop,
		    struct nb_diag *diag)
{
	uint64_t done = 0, bad = 0;

	while (done < cases && bad < MAX_BAD && !*stop) {
		unsigned int n = cases - done < ORACLE_BATCH ? (unsigned int)(cases - done) : ORACLE_BATCH, i;
		unsigned int at = 0;
		int what = -2, err;

		for (i = 0; i < n; i++) {
			/* A case depends on its seed and number only. */
			uint64_t s = seed ^ (done + i) * UINT64_C(0xd1342543de82ef95);

			(void)oracle_rnd64(&s);
			o->v->plain(o->unit, &o->c[i]);
			o->v->random(o->unit, &s, &o->c[i]);
		}
		err = oracle_batch(o, n, diag);
		if (err)
			return err;
		for (i = 0; i < n; i++) {
			int f = oracle_judge(o, i);

			count(o, i);
			if (f >= 0)
				atomic_fetch_add(&o->totals->hits[f], 1);
			if (what == -2 && (f == -1 || (f >= 0 && opt->known && !strcmp(opt->known, o->v->filters[f].name)))) {
				what = f;
				at = i;
			}
		}
		done += n;
		if (what == -1) {
			bad++;
			atomic_fetch_add(&o->totals->bad, 1);
		}
		if (what >= -1) {
			*stop = what >= 0;
			printf("%s%s: unit %s, seed %" PRIu64 ", case %" PRIu64 "\n", what < 0 ? "DISAGREEMENT" : "known: ",
			       what < 0 ? "" : o->v->filters[what].name, o->unit->name, opt->seed, done - n + at);
			err = oracle_report(o, at, what, true, diag);
			if (err)
				return err;
		}
	}
	return 0;
}

static bool wanted(const struct options *opt, const struct oracle_unit *u)
{
	if (opt->unit)
		return strcmp(u->name, opt->unit) == 0;
	return !opt->kind || strncmp(u->name, opt->kind, strlen(opt->kind)) == 0;
}

static unsigned int nunits(const struct options *opt, const struct oracle_vendor *v)
{
	unsigned int n = 0, i;

	for (i = 0; v->units[i].name && !(opt->vendor && strcmp(opt->vendor, v->name)); i++)
		n += wanted(opt, &v->units[i]);
	return n;
}

static int replay(struct oracle *o, const struct options *opt, struct nb_diag *diag)
{
	const char *wrong;
	int err;

	o->v->plain(o->unit, &o->c[0]);
	wrong = oracle_parse(o, opt->replay, &o->c[0]);
	if (wrong)
		return nb_fail(diag, -EINVAL, "--replay: not name=number: %s", wrong);
	err = oracle_batch(o, 1, diag);
	if (err)
		return err;
	err = oracle_judge(o, 0);
	printf("%s%s\n", err == -2 ? "both agree" : err == -1 ? "they disagree" : "known: ",
	       err >= 0 ? o->v->filters[err].name : "");
	if (err == -1)
		atomic_fetch_add(&o->totals->bad, 1);
	return oracle_report(o, 0, err, false, diag);
}

/* All units of a vendor, one after the other. */
static int worker(const struct oracle_vendor *v, const struct options *opt, unsigned int job, const char *program,
		  struct oracle_totals *totals)
{
	uint64_t share = opt->cases / opt->jobs / nunits(opt, v) + 1;
	struct oracle *o = calloc(1, sizeof(*o));
	struct nb_diag diag = {""};
	bool stop = false;
	unsigned int i;
	int err = 0;

	if (!o)
		return 1;
	for (i = 0; v->units[i].name && !err && !stop; i++) {
		if (!wanted(opt, &v->units[i]))
			continue;
		memset(o, 0, sizeof(*o));
		o->v = v;
		o->unit = &v->units[i];
		o->totals = totals;
		err = oracle_open(o, program, &diag);
		if (!err && opt->replay)
			err = replay(o, opt, &diag);
		else if (!err)
			err = run_unit(o, opt, share, (opt->seed << 8 ^ i) + ((uint64_t)job << 40), &stop, &diag);
		if (err)
			printf("unit %s, seed %" PRIu64 ", job %u: %s\n", o->unit->name, opt->seed, job, diag.msg);
		oracle_close(o);
	}
	free(o);
	fflush(stdout);
	return err ? 1 : 0;
}

static int summary(const struct oracle_vendor *v, const struct options *opt, const struct oracle_totals *t,
		   double seconds)
{
	unsigned int i;
	int bad = 0;

	printf("%s: %" PRIu64 " cases in %.1f s (%.0f a second), seed %" PRIu64 ": %" PRIu64 " landed, %" PRIu64
	       " faults recorded, %" PRIu64 " not asked, %" PRIu64 " disagreements\n", v->name, t->cases, seconds, (double)t->cases / seconds,
	       opt->seed, t->landed, t->faults, t->skipped, t->bad);
	printf("fault reasons reached:");
	for (i = 0; i < 256; i++)
		if (t->reasons[i])
			printf(" %#x (%" PRIu64 ")", i, t->reasons[i]);
	printf("\nknown deviations of QEMU, and how often they showed:\n");
	for (i = 0; v->filters[i].name; i++) {
		printf("  %-24s %8" PRIu64 "  %s: %s\n", v->filters[i].name, t->hits[i], v->filters[i].section,
		       v->filters[i].what);
		if (opt->min_hits && !t->hits[i]) {
			printf("  ^ never needed\n");
			bad = 1;
		}
	}
	return bad || t->bad;
}

static int run(const struct oracle_vendor *v, const struct options *opt, const char *program)
{
	struct oracle_totals *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double start = now();
	unsigned int j;
	int status, bad = 0;

	if (t == MAP_FAILED)
		return 1;
	if (opt->jobs == 1) {
		bad = worker(v, opt, 0, program, t);
	} else {
		fflush(stdout);
		for (j = 0; j < opt->jobs; j++) {
			pid_t pid = fork();

			if (pid == 0)
				exit(worker(v, opt, j, program, t));
			bad |= pid < 0;
		}
		while (wait(&status) > 0)
			bad |= status != 0;
	}
	if (!opt->replay)
		bad |= summary(v, opt, t, now() - start);
	else
		bad |= t->bad != 0;
	munmap(t, sizeof(*t));
	return bad;
}

static int usage(void)
{
	fprintf(stderr, "usage: oracle [--vendor NAME] [--cases N] [--seed S] [--jobs J] [--kind NAME] [--known NAME] [--min-hits] [--list]\n"
			"       oracle --unit NAME --replay 'name=value,...'\n");
	return 2;
}

static void list(void)
{
	size_t v;
	unsigned int i;

	for (v = 0; v < ARRAY_SIZE(vendors); v++)
		for (i = 0; vendors[v]->units[i].name; i++)
			printf("%s\n", vendors[v]->units[i].name);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"cases", 1, NULL, 'c'}, {"seed", 1, NULL, 's'},   {"jobs", 1, NULL, 'j'},  {"kind", 1, NULL, 'k'},
		{"known", 1, NULL, 'n'}, {"replay", 1, NULL, 'r'}, {"unit", 1, NULL, 'u'}, {"min-hits", 0, NULL, 'm'},
		{"list", 0, NULL, 'l'},	 {"vendor", 1, NULL, 'v'}, {NULL, 0, NULL, 0},
	};
	struct options opt = {.cases = 100000, .seed = 1, .jobs = 1};
	const char *why = "";
	int bad = 0, found = 0, k;
	size_t v;

	while ((k = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (k) {
		case 'c':
			opt.cases = strtoull(optarg, NULL, 0);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 'j':
			opt.jobs = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'k':
			opt.kind = optarg;
			break;
		case 'n':
			opt.known = optarg;
			break;
		case 'r':
			opt.replay = optarg;
			break;
		case 'u':
			opt.unit = optarg;
			break;
		case 'm':
			opt.min_hits = true;
			break;
		case 'v':
			opt.vendor = optarg;
			break;
		case 'l':
			list();
			return 0;
		default:
			return usage();
		}
	}
	if (optind != argc || opt.jobs < 1 || opt.jobs > 256 || (opt.replay && !opt.unit))
		return usage();
	if (guard_init())
		return 1;
	for (v = 0; v < ARRAY_SIZE(vendors); v++) {
		const char *program;

		if (!nunits(&opt, vendors[v]))
			continue;
		found = 1;
		program = qtest_find(vendors[v]->program, &why);
		if (!program) {
			printf("%s\n", why);
			return 77;
		}
		bad |= run(vendors[v], &opt, program);
	}
	if (!found)
		fprintf(stderr, "oracle: no such unit; --list names them\n");
	return found ? bad : 2;
}
