/* SPDX-License-Identifier: BSD-3-Clause */
/* A disagreement, made as small as it goes and printed so that it can be replayed and judged by the manual. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "oracle.h"

static const char *const outcomes[] = {"nothing seen", "landed", "fault", "no fault (read)"};

static unsigned int nfields(const struct oracle *o)
{
	unsigned int n = 0;

	while (o->v->fields[n])
		n++;
	return n;
}

/* Does the case, alone, still give this judgement? -EIO: QEMU went away. */
static int still(struct oracle *o, const struct oracle_case *c, int filter, struct nb_diag *diag)
{
	int err;

	o->c[0] = *c;
	err = oracle_batch(o, 1, diag);
	if (err)
		return err;
	return oracle_judge(o, 0) == filter;
}

static int shrink(struct oracle *o, struct oracle_case *c, int filter, struct nb_diag *diag)
{
	unsigned int n = nfields(o), i, bit;
	struct oracle_case plain, t;
	bool moved = true;
	int r;

	o->v->plain(o->unit, &plain);
	while (moved) {
		moved = false;
		for (i = 0; i < n; i++) {
			if (c->f[i] == plain.f[i])
				continue;
			t = *c;
			t.f[i] = plain.f[i];
			r = still(o, &t, filter, diag);
			if (r < 0)
				return r;
			if (r) {
				*c = t;
				moved = true;
				continue;
			}
			/* Not at once: then bit by bit. */
			for (bit = 64; bit-- > 0;) {
				if (!((c->f[i] ^ plain.f[i]) >> bit & 1))
					continue;
				t = *c;
				t.f[i] ^= UINT64_C(1) << bit;
				r = still(o, &t, filter, diag);
				if (r < 0)
					return r;
				if (r) {
					*c = t;
					moved = true;
				}
			}
		}
	}
	return 0;
}

static void print_answer(const struct oracle *o, const char *who, const struct oracle_answer *a, bool ours)
{
	unsigned int i;

	for (i = 0; i < a->n; i++) {
		const struct oracle_step *s = &a->step[i];

		printf("  %-5s %s", i ? "" : who, outcomes[s->outcome]);
		if (s->outcome == ORACLE_LANDED || (s->outcome == ORACLE_UNSEEN && ours))
			printf(" at %#" PRIx64, s->pa);
		if (s->silent)
			printf(", refused without a record (reason %#x)", s->reason);
		if (s->outcome == ORACLE_FAULT)
			o->v->print_step(s, stdout);
		printf("\n");
	}
}

static void print_both(const struct oracle *o, const struct oracle_built *b)
{
	unsigned int i;

	print_answer(o, "ours:", &b->ours, true);
	print_answer(o, "QEMU:", &b->theirs, false);
	for (i = 0; i < b->nwords; i++) {
		const struct oracle_word *w = &b->word[i];

		if (w->ours != w->theirs)
			printf("  word %#" PRIx64 ": was %#" PRIx64 ", ours %#" PRIx64 ", QEMU %#" PRIx64 "\n", w->pa, w->val,
			       w->ours, w->theirs);
	}
}

int oracle_report(struct oracle *o, unsigned int at, int filter, bool simplify, struct nb_diag *diag)
{
	struct oracle_case first = o->c[at], small = first, plain;
	struct oracle_built was = o->b[at];
	unsigned int i, n = nfields(o);
	const char *sep = "";
	int r;

	r = still(o, &first, filter, diag);
	if (r < 0)
		return r;
	if (r == 0) {
		printf("  does not show when the case runs alone, what ran before it matters; then, at %#" PRIx64 ":\n", was.iova);
		print_both(o, &was);
	} else if (simplify && shrink(o, &small, filter, diag) < 0) {
		return -EIO;
	}
	r = still(o, &small, filter, diag);
	if (r < 0)
		return r;
	o->v->plain(o->unit, &plain);
	printf("  replay: --unit %s --replay '", o->unit->name);
	for (i = 0; i < n; i++) {
		if (small.f[i] != plain.f[i]) {
			printf("%s%s=%#" PRIx64, sep, o->v->fields[i], small.f[i]);
			sep = ",";
		}
	}
	printf("'\n");
	print_both(o, &o->b[0]);
	o->v->print(o, &small, &o->b[0], stdout);
	fflush(stdout);
	return 0;
}

const char *oracle_parse(const struct oracle *o, const char *text, struct oracle_case *c)
{
	unsigned int i;

	while (*text) {
		size_t len = strcspn(text, "=");
		char *end;

		for (i = 0; o->v->fields[i]; i++)
			if (strlen(o->v->fields[i]) == len && strncmp(o->v->fields[i], text, len) == 0)
				break;
		if (!o->v->fields[i] || text[len] != '=')
			return text;
		c->f[i] = strtoull(text + len + 1, &end, 0);
		if (end == text + len + 1 || (*end && *end != ','))
			return text;
		text = *end ? end + 1 : end;
	}
	return NULL;
}
