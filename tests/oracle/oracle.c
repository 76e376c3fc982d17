/* SPDX-License-Identifier: BSD-3-Clause */
/* See oracle.h. Here: one unit's life, batches, comparison. */
#include "oracle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>


int oracle_open(struct oracle *o, const char *program, struct nb_diag *diag)
{
	int err;

	o->q = qtest_start(program, o->unit->args, ORACLE_RAM, diag);
	if (!o->q)
		return -EIO;
	o->theirs = qtest_ram(o->q);
	o->ours = mmap(NULL, ORACLE_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->ours == MAP_FAILED) {
		o->ours = NULL;
		return nb_fail(diag, -ENOMEM, "no memory for a second RAM");
	}
	err = mem_init_regions(&o->mem);
	if (!err)
		err = mem_add_region(&o->mem, hpa(o->v->ram_base), o->ours, ORACLE_RAM);
	return err ? err : o->v->start(o, diag);
}

void oracle_close(struct oracle *o)
{
	if (o->hw)
		o->hw->ops->destroy(o->hw);
	if (o->ours) {
		mem_fini(&o->mem);
		munmap(o->ours, ORACLE_RAM);
	}
	qtest_stop(o->q);
	o->q = NULL;
	o->hw = NULL;
	o->ours = o->theirs = NULL;
}

static void clear_both(struct oracle *o)
{
	qtest_ram_clear(o->q);
	madvise(o->ours, ORACLE_RAM, MADV_DONTNEED);
}

static void write_words(struct oracle *o, const struct oracle_built *b, bool values)
{
	unsigned int i;

	for (i = 0; i < b->nwords; i++) {
		oracle_put64(o, o->ours, b->word[i].pa, values ? b->word[i].val : 0);
		oracle_put64(o, o->theirs, b->word[i].pa, values ? b->word[i].val : 0);
	}
}

static void collect(struct oracle *o, struct oracle_built *b)
{
	unsigned int i;

	for (i = 0; i < b->nwords; i++) {
		b->word[i].ours = oracle_get64(o, o->ours, b->word[i].pa);
		b->word[i].theirs = oracle_get64(o, o->theirs, b->word[i].pa);
	}
}

/* Wherever something may have landed, in both: the vendor's accesses are of at most 8 bytes, inside an aligned 16. */
static void wipe(struct oracle *o, uint64_t pa)
{
	pa &= ~UINT64_C(15);
	oracle_put64(o, o->ours, pa, 0);
	oracle_put64(o, o->ours, pa + 8, 0);
	oracle_put64(o, o->theirs, pa, 0);
	oracle_put64(o, o->theirs, pa + 8, 0);
}

int oracle_batch(struct oracle *o, unsigned int n, struct nb_diag *diag)
{
	bool explained = true;
	const char *wrong;
	unsigned int i, s;
	int err;

	/* All structures first, then all accesses: a damaged pointer may lead into another case's pages, for both alike. */
	for (i = 0; i < n; i++) {
		memset(&o->b[i], 0, offsetof(struct oracle_built, word));
		o->b[i].slot = i;
		o->v->build(o, &o->c[i], &o->b[i]);
		write_words(o, &o->b[i], true);
	}
	for (i = 0; i < n; i++)
		o->v->ours(o, &o->c[i], &o->b[i]);
	for (i = 0; i < n; i++)
		o->v->ask(o, &o->c[i], &o->b[i]);
	err = qtest_flush(o->q, diag);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		o->v->theirs(o, &o->c[i], &o->b[i]);
		collect(o, &o->b[i]);
		explained &= oracle_judge(o, i) != -1;
	}
	for (i = 0; i < n; i++) {
		write_words(o, &o->b[i], false);
		wipe(o, o->b[i].target);
		for (s = 0; s < o->b[i].ours.n; s++)
			wipe(o, o->b[i].ours.step[s].pa);
	}
	/* QEMU may have written where we do not know, when the two differ: seldom, and to where nothing of ours is. */
	if (!explained || ++o->nbatches % 256 == 0)
		clear_both(o);
	wrong = o->v->alive(o);
	return wrong ? nb_fail(diag, -EPROTO, "%s", wrong) : 0;
}

static bool steps_differ(const struct oracle *o, const struct oracle_step *a, const struct oracle_step *b)
{
	if (a->outcome != b->outcome)
		return true;
	return a->outcome == ORACLE_FAULT && !o->v->same_record(a, b);
}

bool oracle_differs(const struct oracle *o, unsigned int i, struct oracle_diff *d)
{
	const struct oracle_built *b = &o->b[i];
	unsigned int k;

	if (b->skip)
		return false;
	d->unit = o->unit;
	d->c = &o->c[i];
	d->b = b;
	for (k = 0; k < b->ours.n || k < b->theirs.n; k++) {
		if (k >= b->ours.n || k >= b->theirs.n || steps_differ(o, &b->ours.step[k], &b->theirs.step[k])) {
			d->step = (int)k;
			d->ours = &b->ours.step[k];
			d->theirs = &b->theirs.step[k];
			return true;
		}
	}
	d->step = -1;
	d->ours = &b->ours.step[0];
	d->theirs = &b->theirs.step[0];
	for (k = 0; k < b->nwords; k++)
		if (b->word[k].ours != b->word[k].theirs)
			return true;
	return false;
}

int oracle_judge(const struct oracle *o, unsigned int i)
{
	struct oracle_diff d;
	int f;

	if (!oracle_differs(o, i, &d))
		return -2;
	for (f = 0; o->v->filters[f].name; f++)
		if (o->v->filters[f].match(&d))
			return f;
	return -1;
}
