/* SPDX-License-Identifier: BSD-3-Clause */
/* Of a function as a whole: it goes and comes, it does not answer, its interrupt messages change. */
#include <stdio.h>
#include <stdlib.h>

#include "update.h"

/* ---- a function goes ---- */

/* It leaves in the state `s`; behind every store it gets where it got, or nowhere; and at the end as one that never was. */
void release(struct test *t, const struct subject *s)
{
	const struct drv_dev was = t->b.dev[0];
	uint64_t stranger, got;

	if (!can_attach(t, 0, NB_NO_PASID, s))
		return;
	t->b.dev[0].rid ^= 8; /* beside it, never plugged in */
	stranger = bench_look(&t->b, 0, NB_NO_PASID, X, HW_READ);
	t->b.dev[0] = was;
	snprintf(t->what, sizeof(t->what), "%s: the function is released, %s, lines seen %s", s->name,
		 t->hot ? "asking all the time" : "cold", lines_name[t->lines]);
	asked(t, 0, NB_NO_PASID, X, s->x, BENCH_FAULT, true);
	begin(t);
	t->b.vendor->drv->release_device(&t->b.dev[0]);
	end(t, 0, NB_NO_PASID, Y, BENCH_FAULT);
	got = bench_look(&t->b, 0, NB_NO_PASID, X, HW_READ);
	if (got != stranger)
		fail(t, "released, but not as if it had never been there", "by memory", got, &(struct asked){.new = stranger});
	got = bench_go(&t->b, 0, NB_NO_PASID, X, HW_READ);
	if (got != stranger)
		fail(t, "released, but not as if it had never been there", "through caches", got, &(struct asked){.new = stranger});
	asked(t, 0, NB_NO_PASID, X, BENCH_FAULT, BENCH_FAULT, true);
	snprintf(t->what, sizeof(t->what), "%s: the function is plugged in, lines seen %s", s->name, lines_name[t->lines]);
	begin(t);
	if (t->b.vendor->drv->probe_device(&t->b.dev[0], &t->b.diag)) {
		printf("%s: %s\n", t->what, t->b.diag.msg);
		exit(1);
	}
	end(t, 0, NB_NO_PASID, Y, BENCH_FAULT);
}

/* ---- a function that does not answer ---- */

/* It loses its translation cache at most: what hardware reads of its entries is what the driver wrote, and blocking it works. */
void silent(struct test *t, const struct subject *s)
{
	uint64_t at;

	if (!t->b.dev[1].ats || !can_attach(t, 1, NB_NO_PASID, s))
		return;
	snprintf(t->what, sizeof(t->what), "%s: detached, and the function does not answer", s->name);
	asked(t, 1, NB_NO_PASID, X, s->x, BENCH_FAULT, true);
	begin(t);
	t->b.silent = true;
	bench_attach(&t->b, 1, NB_NO_PASID, NULL);
	t->b.silent = false;
	end(t, 1, NB_NO_PASID, Y, BENCH_FAULT);
	if (!can_attach(t, 1, NB_NO_PASID, s) || !same(bench_go(&t->b, 1, NB_NO_PASID, X, HW_READ), s->x) ||
	    !bench_agrees(&t->b, 1, NB_NO_PASID, X, &at))
		fail(t, "attached again", "it does not get there", 0, &(struct asked){.dev = 1, .pasid = NB_NO_PASID, .new = s->x});
	bench_attach(&t->b, 1, NB_NO_PASID, NULL);
	t->b.vendor->drv->release_device(&t->b.dev[1]);
	if (t->b.vendor->drv->probe_device(&t->b.dev[1], &t->b.diag))
		exit(1);
}

/* ---- interrupts ---- */

static void interrupt_changes(struct test *t, const char *what, uint64_t old, uint64_t new, const struct drv_irq_target *to,
			      uint32_t *handle)
{
	uint64_t got;
	int err = 0;

	snprintf(t->what, sizeof(t->what), "an interrupt %s, lines seen %s", what, lines_name[t->lines]);
	t->irq = (struct asked){.pasid = NB_NO_PASID, .addr = t->msg.addr, .old = old, .new = new};
	begin(t);
	if (to)
		err = t->b.vendor->drv->irq_map(&t->b.dev[0], 1, to, handle, &t->msg, &t->b.diag);
	else
		t->b.vendor->drv->irq_unmap(&t->b.dev[0], *handle, 1);
	finish(t);
	got = interrupt(t);
	if (err || !same(got, new))
		fail(t, "after it", "the message", got, &t->irq);
	t->irq.addr = 0;
}

/* Entries come and go one by one; the message of an entry is known once it has been there. */
void interrupts(struct test *t)
{
	const struct drv_irq_target a = {.dest = 3, .vector = 0x41}, b = {.dest = 7, .vector = 0x52};
	const struct drv_ops *drv = t->b.vendor->drv;
	uint32_t handle;
	struct drv_msi msg;

	if (!drv->irq_map || drv->irq_map(&t->b.dev[0], 1, &a, &handle, &t->msg, &t->b.diag))
		return;
	interrupt_changes(t, "goes", 3 << 8 | 0x41, BENCH_FAULT, NULL, &handle);
	msg = t->msg;
	interrupt_changes(t, "appears", BENCH_FAULT, 7 << 8 | 0x52, &b, &handle);
	if (msg.addr != t->msg.addr || msg.data != t->msg.data) {
		printf("%s: another entry was taken, so nothing was watched\n", t->what);
		t->failures++;
	}
	interrupt_changes(t, "goes", 7 << 8 | 0x52, BENCH_FAULT, NULL, &handle);
}
